//! MMEs that are to let go of a SIM, by real connections, while they or we are away.

use super::super::{MmesDurable, Wiring};
use super::*;
use store::CancellationRow;
use wire::diameter::{NO_STATE_MAINTAINED, NotifyRequest, Pdu, TerminalInformation};

/// What is due and durable, once it is this many.
async fn due(w: &mut Site, count: usize) -> Vec<(Imsi, String, bool)> {
    for _ in 0..1_000 {
        w.rest().await;
        let all = w.control.store.mme_cancellations().await.expect("read");
        if all.len() == count {
            return all
                .into_iter()
                .map(|CancellationRow { imsi, mme, moved, .. }| (imsi, mme, moved))
                .collect();
        }
    }
    panic!("not {count} that are due: {:?}", w.control.store.mme_cancellations().await);
}

/// Control forgets what it knows of MMEs, and reads what is durable.
async fn restart(w: &mut Site) {
    let c = &w.control;
    let durable = MmesDurable::read(&c.store).await.expect("read");
    w.control.s6a = Wiring::new(&c.config, &c.hss, &c.addresses, durable).expect("names");
}

#[tokio::test]
async fn an_mme_that_was_away_when_its_sim_moved_is_told_over_our_restart() {
    let mut w = Site::new().await;
    let mut one = Line::up(&mut w, "mme1.example", 1, Manners::Yes).await;
    one.attach(&mut w, 1).await;
    one.orders.send(Order::Close).expect("it runs");
    assert_eq!(one.next(&mut w).await, News::Down);
    let mut two = Line::up(&mut w, "mme2.example", 1, Manners::Yes).await;
    two.attach(&mut w, 1).await;
    assert_eq!(due(&mut w, 1).await, [(imsi(1), "mme1.example".to_owned(), true)]);
    let view = |w: &Site, n: usize| {
        let p = w.control.core_peers(None).swap_remove(n);
        (p.name, p.state, p.origin_state, p.restarts, p.holds, p.due)
    };
    assert_eq!(view(&w, 0), ("mme1.example".to_owned(), "away", Some(1), 0, 0, 1));
    assert_eq!(view(&w, 1), ("mme2.example".to_owned(), "up", Some(1), 0, 1, 0));
    assert_eq!(view(&w, 2), ("far.example".to_owned(), "never", None, 0, 0, 0));
    // It comes back as one that has started anew.
    let mut anew = Line::up(&mut w, "mme2.example", 2, Manners::Yes).await;
    assert_eq!((view(&w, 1).2, view(&w, 1).3, anew.silent()), (Some(2), 1, true));
    restart(&mut w).await;
    let mut one = Line::up(&mut w, "mme1.example", 1, Manners::Yes).await;
    assert_eq!(one.next(&mut w).await, News::Cancelled(imsi(1), CancellationType::MmeUpdate));
    assert_eq!(due(&mut w, 0).await, []);
    // It has answered: the next start finds nothing.
    restart(&mut w).await;
    assert_eq!(one.next(&mut w).await, News::Down);
    let mut one = Line::up(&mut w, "mme1.example", 1, Manners::Yes).await;
    w.rest().await;
    assert!(one.silent());
    assert_eq!(w.control.served_by(imsi(1)).as_deref(), Some("mme2.example"));
}

#[tokio::test]
async fn what_a_refused_device_withdrew_is_known_after_our_restart_and_a_purge_ends_it() {
    let mut w = Site::new().await;
    let mut mme = Line::up(&mut w, "mme1.example", 1, Manners::Yes).await;
    mme.attach(&mut w, 1).await;
    let pattern = device(2).parse().expect("a device");
    w.control.hss.handle(hss::Input::BanDevice { device: pattern, banned: true }, gateway::time::now());
    mme.orders.send(Order::Raw(tells_of(1, &device(2)))).expect("it runs");
    assert_eq!(mme.next(&mut w).await, News::Cancelled(imsi(1), WITHDRAWN));
    assert_eq!(due(&mut w, 1).await, [(imsi(1), "mme1.example".to_owned(), false)]);
    // That it said yes is not that it has let go: it is told once more.
    restart(&mut w).await;
    assert_eq!(mme.next(&mut w).await, News::Down);
    let mut mme = Line::up(&mut w, "mme1.example", 1, Manners::Yes).await;
    let told = [mme.next(&mut w).await, mme.next(&mut w).await];
    assert!(told.contains(&News::Reset) && told.contains(&News::Cancelled(imsi(1), WITHDRAWN)), "{told:?}");
    assert_eq!(mme.ask(&mut w, Order::Purge(imsi(1))).await, News::Purged(imsi(1)));
    assert_eq!(due(&mut w, 0).await, []);
}

/// Notify with another device of SIM `n` than the one that it registered with.
fn tells_of(n: usize, device: &str) -> Vec<u8> {
    let name = |s: &str| Identity::new(s).expect("a name");
    let m = NotifyRequest {
        session_id: "mme1.example;9;9".to_owned(),
        application: None,
        auth_session_state: NO_STATE_MAINTAINED,
        origin_host: name("mme1.example"),
        origin_realm: name("example"),
        destination_host: None,
        destination_realm: name("example"),
        features: vec![],
        route: vec![],
        user_name: imsi(n).to_string(),
        terminal: Some(TerminalInformation {
            imei: Some(device.to_owned()),
            software_version: Some("01".to_owned()),
        }),
        flags: None,
        alert: None,
    };
    Pdu::request(m, 0x77, 0x78).encode()
}
