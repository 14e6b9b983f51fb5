//! What has broken other cores by Diameter, over a real connection of an MME that is served, beside another MME whose UE must
//! not notice (rows R115 to R127).

use super::*;
use crate::control::talk::{retold, twice};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wire::diameter::Message;

const USER_NAME: u32 = 1;
const VSAI: u32 = 260;
const AUTH_APPLICATION: u32 = 258;
const SESSION_ID: u32 = 263;
const ORIGIN_HOST: u32 = 264;
const PRODUCT_NAME: u32 = 269;
const TERMINAL: u32 = 1401;
const IMEI: u32 = 1402;
const SOFTWARE_VERSION: u32 = 1403;
const VISITED_PLMN: u32 = 1407;
const REQUESTED: u32 = 1408;
const NUMBER: u32 = 1410;
const RESYNCHRONIZATION: u32 = 1411;

/// What a name that is none is answered with: nobody's, or no name at all.
const REFUSED: [u32; 3] = [result::USER_UNKNOWN, result::INVALID_AVP_VALUE, result::INVALID_AVP_LENGTH];

/// The victim's MME with its UE, and the attacker's.
struct Scene {
    w: Site,
    victim: Line,
    attacker: Line,
    /// Writes what the attacker begins with.
    pen: Mme,
}

impl Scene {
    async fn set() -> Self {
        let mut w = Site::new().await;
        let mut victim = Line::up(&mut w, "mme1.example", 1, Manners::Yes).await;
        victim.attach(&mut w, 2).await;
        let attacker = Line::up(&mut w, "mme2.example", 1, Manners::Yes).await;
        let config = MmeConfig {
            host: Identity::new("mme2.example").expect("a name"),
            realm: Identity::new("example").expect("a name"),
            plmn: "001-01".parse().expect("a PLMN"),
            state: 1,
            manners: Manners::Yes,
        };
        Self { w, victim, attacker, pen: Mme::new(config, BTreeMap::new()) }
    }

    fn written(&mut self, order: &Order) -> Vec<u8> {
        use lab::peer::Peer as _;
        self.pen.order(order).expect("octets")
    }

    fn air(&mut self) -> Vec<u8> {
        self.written(&Order::Authenticate(imsi(1)))
    }

    fn ulr(&mut self) -> Vec<u8> {
        self.written(&Order::Locate(imsi(1), device(1)))
    }

    /// What the attacker is answered.
    async fn answer(&mut self, octets: Vec<u8>) -> u32 {
        match self.attacker.ask(&mut self.w, Order::Raw(octets)).await {
            News::Answer(code) => code,
            other => panic!("{other:?}"),
        }
    }

    /// Nobody is touched: not who is served, nor the victim, which goes on.
    async fn nobody_noticed(&mut self) {
        assert_eq!(self.w.control.served_by(imsi(2)).as_deref(), Some("mme1.example"));
        assert_eq!(self.w.control.served_by(imsi(1)), None, "nothing was registered by it");
        assert!(self.victim.silent());
        self.victim.attach(&mut self.w, 2).await;
        assert!(self.attacker.silent());
    }
}

fn of(length: usize) -> impl Fn(&[u8]) -> Vec<Vec<u8>> {
    move |_| vec![vec![b'7'; length]]
}

#[tokio::test]
async fn r115_a_cer_with_an_avp_twice() {
    let mut s = Scene::set().await;
    let cer = {
        use lab::peer::Peer as _;
        s.pen.cer()
    };
    for path in [&[VSAI, AUTH_APPLICATION][..], &[ORIGIN_HOST], &[PRODUCT_NAME], &[VSAI, AUTH_APPLICATION]] {
        let mut stream = TcpStream::connect(s.w.s6a_at).await.expect("connected");
        stream.write_all(&retold(&cer, path, &twice)).await.expect("written");
        let mut heard = Vec::new();
        tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                tokio::select! {
                    n = stream.read_to_end(&mut heard) => return n,
                    () = s.w.rest() => {}
                }
            }
        })
        .await
        .expect("it is closed")
        .expect("read");
        let pdu = wire::diameter::Pdu::parse(&heard).expect("one answer");
        let code = match &pdu.message {
            Message::CapabilitiesExchangeAnswer(a) => a.result_code,
            Message::Refusal { refusal, .. } => refusal.result_code,
            other => panic!("{other:?}"),
        };
        assert_eq!(code, result::AVP_OCCURS_TOO_MANY_TIMES, "{path:?}");
    }
    s.nobody_noticed().await;
}

#[tokio::test]
async fn r117_r119_r121_r127_requests_that_are_none() {
    let mut s = Scene::set().await;
    // R117: a network of another length, and ones that are none.
    for length in [0, 1, 2, 4, 255] {
        let air = retold(&s.air(), &[VISITED_PLMN], &of(length));
        assert_eq!(s.answer(air).await, result::INVALID_AVP_LENGTH, "{length}");
        let ulr = retold(&s.ulr(), &[VISITED_PLMN], &of(length));
        assert_eq!(s.answer(ulr).await, result::INVALID_AVP_LENGTH, "{length}");
    }
    for none in [[0xff; 3], [0; 3], [0x44, 0xf0, 0x10]] {
        let air = retold(&s.air(), &[VISITED_PLMN], &|_| vec![none.to_vec()]);
        assert_eq!(s.answer(air).await, result::ROAMING_NOT_ALLOWED);
    }

    // R119: nobody at all, and far too much of it. R121: a device of thousands of digits.
    for octets in [s.air(), s.ulr(), s.written(&Order::Purge(imsi(1)))] {
        for (path, length) in [(&[SESSION_ID][..], 0), (&[ORIGIN_HOST], 0), (&[USER_NAME], 0)] {
            let code = s.answer(retold(&octets, path, &of(length))).await;
            assert!(REFUSED.contains(&code), "{path:?}: {code}");
        }
        for length in [16, 255, 40_000] {
            let code = s.answer(retold(&octets, &[USER_NAME], &of(length))).await;
            assert!(REFUSED.contains(&code), "{length}: {code}");
        }
    }
    for (path, length) in
        [(&[TERMINAL, IMEI][..], 5_000), (&[TERMINAL, IMEI], 0), (&[TERMINAL, SOFTWARE_VERSION], 65_000)]
    {
        // It is read as no device at all: the SIM is served, and told to be elsewhere at once.
        let ulr = retold(&s.ulr(), path, &of(length));
        let ulr = retold(&ulr, &[VISITED_PLMN], &|_| vec![vec![0xff; 3]]);
        assert_eq!(s.answer(ulr).await, result::ROAMING_NOT_ALLOWED, "{path:?}");
    }

    // R127: none, five, and as many as there are numbers: one each time, which the card of SIM 1 has not seen before.
    for number in [0, 5, u32::MAX] {
        let air = retold(&s.air(), &[REQUESTED, NUMBER], &|_| vec![number.to_be_bytes().to_vec()]);
        assert_eq!(s.answer(air).await, result::SUCCESS, "{number}");
    }
    for length in [0, 3, 8] {
        let air = retold(&s.air(), &[REQUESTED, NUMBER], &of(length));
        assert_eq!(s.answer(air).await, result::INVALID_AVP_LENGTH, "{length}");
    }
    s.nobody_noticed().await;
}

#[tokio::test]
async fn r125_resynchronisations_that_are_none() {
    let mut s = Scene::set().await;
    let air = s.air();
    // One that asks for it: the AVP goes in where the number is.
    let with = |data: Vec<u8>| {
        retold(&air, &[REQUESTED], &|inner| {
            let length = u32::try_from(12 + data.len()).expect("short").to_be_bytes();
            let mut avp = RESYNCHRONIZATION.to_be_bytes().to_vec();
            avp.extend([0xc0, length[1], length[2], length[3]]);
            avp.extend(wire::diameter::TGPP.to_be_bytes());
            avp.extend(&data);
            avp.resize(avp.len().next_multiple_of(4), 0);
            vec![[inner, &avp].concat()]
        })
    };
    for length in [0, 16, 29, 31, 600] {
        assert_eq!(s.answer(with(vec![7; length])).await, result::INVALID_AVP_LENGTH, "{length}");
    }
    for n in 0..1_000_u32 {
        let mut forged = vec![0x5a; 30];
        forged[26..].copy_from_slice(&n.to_be_bytes());
        s.attacker.orders.send(Order::Raw(with(forged))).expect("it runs");
    }
    for n in 0..1_000 {
        let News::Answer(code) = s.attacker.next_of_many(&mut s.w).await else { panic!("{n}") };
        assert!([result::AUTHENTICATION_DATA_UNAVAILABLE, result::TOO_BUSY].contains(&code), "{n}: {code}");
    }
    // The SIM's card has not been moved, nor its allowance used up: its next vector is one that it takes.
    s.victim.attach(&mut s.w, 1).await;
    assert_eq!(s.w.control.served_by(imsi(1)).as_deref(), Some("mme1.example"));
}

#[tokio::test]
async fn r123_answers_to_what_nobody_asked() {
    let mut s = Scene::set().await;
    // What the victim's MME is asked is not answered yet.
    s.victim.orders.send(Order::Close).expect("it runs");
    assert_eq!(s.victim.next(&mut s.w).await, News::Down);
    s.victim = Line::up(&mut s.w, "mme1.example", 2, Manners::Silent).await;
    let (tap, mut heard) = mpsc::unbounded_channel();
    let mut other = Line::tapped(&s.w, "mme1.example", 1, Manners::Yes, tap).await;
    assert_eq!(other.next(&mut s.w).await, News::Up(4003), "the one that lives stays");
    while heard.try_recv().is_ok() {}
    let r = ban(&mut s.w, 2, "req-1").await;
    assert_eq!(s.victim.next(&mut s.w).await, News::Cancelled(imsi(2), WITHDRAWN));
    let before = waits(&r);
    // Cancel-Location-, Insert-, Delete- and Reset-Answers of the attacker, for every number that may be under way.
    for command in [317_u32, 319, 320, 322] {
        for number in [0_u32, 1, 2, 0xffff_ffff] {
            let mut answer = s.written(&Order::Purge(imsi(2)));
            // A request's octets, but for the flag and the command: Session-Id and Origin-Host are there, no result is.
            answer[4] = 0;
            answer[5..8].copy_from_slice(&command.to_be_bytes()[1..]);
            answer[12..16].copy_from_slice(&number.to_be_bytes());
            for _ in 0..2 {
                s.attacker.orders.send(Order::Raw(answer.clone())).expect("it runs");
            }
        }
    }
    s.w.rest().await;
    assert!(s.attacker.silent(), "silence is the answer to an answer");
    let r = settled(&mut s.w, 2, |_| true).await;
    assert_eq!(waits(&r), before, "nobody has acknowledged it");
    s.attacker.attach(&mut s.w, 1).await;
}
