//! What has broken other cores by Diameter, over a real connection of an SMF that is served, beside the session of another SMF
//! that must not notice (rows R115 to R123, as far as Gx has their like).

use super::*;
use crate::control::talk::{retold, twice};

const SESSION_ID: u32 = 263;
const ORIGIN_HOST: u32 = 264;
const REQUEST_TYPE: u32 = 416;
const SUBSCRIPTION: u32 = 443;
const SUBSCRIPTION_DATA: u32 = 444;
const CALLED_STATION: u32 = 30;
const FRAMED_IP: u32 = 8;

/// The result of what the SMF sends as it is.
async fn answer(w: &mut Site, line: &mut Line, octets: Vec<u8>) -> u32 {
    match line.ask(w, Order::Raw(octets)).await {
        News::Refused(code) => code,
        News::Answered(_, a) => code(*a),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn r115_r117_r119_r121_ccrs_that_are_none_beside_a_live_session() {
    use lab::peer::Peer as _;
    let mut w = Site::new().await;
    let (ip, its) = (lease(&mut w, 1).await, lease(&mut w, 2).await);
    let mut victim = Line::up(&mut w, "smf1.example", 1, Manners::Yes).await;
    assert_eq!(victim.begins(&mut w, 2, its).await, result::SUCCESS);
    let mut attacker = Line::up(&mut w, "smf2.example", 1, Manners::Yes).await;
    let name = |n: &str| Identity::new(n).expect("a name");
    let who = Name { host: name("smf2.example"), realm: name("example"), state: 1 };
    let mut pen = Smf::new(who, Manners::Yes);
    let ccr = pen.order(&Order::Begin(7, wanted(1, ip))).expect("octets");

    // R115: an AVP twice.
    for path in
        [&[SESSION_ID][..], &[ORIGIN_HOST], &[REQUEST_TYPE], &[FRAMED_IP], &[SUBSCRIPTION, SUBSCRIPTION_DATA]]
    {
        let code = answer(&mut w, &mut attacker, retold(&ccr, path, &twice)).await;
        assert_eq!(code, result::AVP_OCCURS_TOO_MANY_TIMES, "{path:?}");
    }
    // R117: a value of another length.
    for (path, length) in [
        (REQUEST_TYPE, 0),
        (REQUEST_TYPE, 3),
        (REQUEST_TYPE, 5),
        (FRAMED_IP, 0),
        (FRAMED_IP, 3),
        (FRAMED_IP, 16),
    ] {
        let code = answer(&mut w, &mut attacker, retold(&ccr, &[path], &|_| vec![vec![0; length]])).await;
        assert_eq!(code, result::INVALID_AVP_LENGTH, "{path} of {length}");
    }
    // R119 and R121: nobody, nowhere, and far too much of it. None of them begins a session.
    for path in [&[SUBSCRIPTION, SUBSCRIPTION_DATA][..], &[CALLED_STATION]] {
        for length in [0, 16, 300, 60_000] {
            let wrong = retold(&ccr, path, &|_| vec![vec![b'7'; length]]);
            let code = answer(&mut w, &mut attacker, wrong).await;
            assert_ne!(code, result::SUCCESS, "{path:?} of {length}");
        }
    }
    for path in [&[SESSION_ID][..], &[ORIGIN_HOST]] {
        let code = answer(&mut w, &mut attacker, retold(&ccr, path, &|_| vec![vec![]])).await;
        assert_eq!(code, result::INVALID_AVP_VALUE, "{path:?}");
    }
    assert!(live(&w.control, 1).is_empty());
    assert_eq!(live(&w.control, 2), [format!("smf1.example corp {its}")]);
    assert!(victim.silent() && attacker.silent());
    assert_eq!(victim.asked(&mut w, Order::Update(2)).await.result_code, Some(result::SUCCESS));
}

#[tokio::test]
async fn r123_answers_to_what_nobody_asked_an_smf() {
    use lab::peer::Peer as _;
    let mut w = Site::new().await;
    let its = lease(&mut w, 2).await;
    let mut victim = Line::up(&mut w, "smf1.example", 1, Manners::Silent).await;
    assert_eq!(victim.begins(&mut w, 2, its).await, result::SUCCESS);
    let mut attacker = Line::up(&mut w, "smf2.example", 1, Manners::Yes).await;
    let r = ban(&mut w, 2, "req-1").await;
    assert_eq!(victim.next(&mut w).await, News::Released(2, ENDED));
    let before = waits(&r);
    let name = |n: &str| Identity::new(n).expect("a name");
    let who = Name { host: name("smf2.example"), realm: name("example"), state: 1 };
    let mut pen = Smf::new(who, Manners::Yes);
    let ccr = pen.order(&Order::Begin(7, wanted(1, its))).expect("octets");
    // Re-Auth-Answers without a result, of sessions that are none, for numbers that may be under way, each twice; and one for
    // the victim's own session.
    let of_the_victim = retold(&ccr, &[SESSION_ID], &|_| vec![b"smf1.example;1795296192;2;app_gx".to_vec()]);
    for octets in [&ccr, &of_the_victim] {
        for number in [0_u32, 1, 2, u32::MAX] {
            let mut raa = octets.clone();
            raa[4] = 0;
            raa[5..8].copy_from_slice(&258_u32.to_be_bytes()[1..]);
            raa[12..16].copy_from_slice(&number.to_be_bytes());
            for _ in 0..2 {
                attacker.orders.send(Order::Raw(raa.clone())).expect("it runs");
            }
        }
    }
    w.rest().await;
    assert!(attacker.silent(), "silence is the answer to an answer");
    let r = settled(&mut w, 2, |_| true).await;
    assert_eq!(waits(&r), before, "nobody has acknowledged it");
    assert_eq!(live(&w.control, 2).len(), 1);
}
