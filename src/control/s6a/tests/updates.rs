//! A SIM is changed while an MME serves it, by real connections: told, taken, refused, not understood, away; and a restart of
//! ours.

use super::*;
use crate::control::s6a::{MmesDurable, Wiring};
use hss::s6a::Told;
use store::{Change, SimEdit};
use types::MmeUpdate::{Declined, Sent, Taken, Unsupported};
use wire::diameter::SubscriptionData;

impl Site {
    /// Somebody changes SIM `n` by the API.
    async fn change(&mut self, n: usize, edit: SimEdit) {
        let by = Change::by_system("test", gateway::time::utc());
        self.control.store.change_sim(imsi(n), None, None, edit, &by).await.expect("changed");
        self.ask(|c, tx| c.reread_sim(imsi(n), Some(tx))).await.expect("learnt");
    }

    async fn dnns(&mut self, n: usize, dnns: &[&str]) {
        let dnns = dnns.iter().map(|d| d.parse().expect("a name")).collect();
        self.change(n, SimEdit { dnns: Some(dnns), ..SimEdit::default() }).await;
    }

    async fn rate(&mut self, n: usize, dl: u64) {
        self.change(n, SimEdit { ambr_dl_bps: Some(dl), ..SimEdit::default() }).await;
    }

    async fn updated(&self, n: usize, how: types::MmeUpdate) {
        self.happened(n, |h| matches!(h, Happening::MmeUpdated { how: h, .. } if *h == how)).await;
    }

    /// It stands among what happened to no SIM in particular.
    async fn was_reset(&self, how: types::MmeUpdate) {
        for _ in 0..1_000 {
            let all = self.control.store.events_after(0, 1_000).await.expect("read");
            let is = |h: &Happening| matches!(h, Happening::MmeReset { how: h, .. } if *h == how);
            if all.iter().any(|e| is(&e.event.what)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("no Reset that was {how:?}");
    }

    /// Control forgets what it knows of MMEs, and reads what is durable.
    async fn restart_s6a(&mut self) {
        let durable = self.mmes_durable().await;
        let c = &self.control;
        self.control.s6a = Wiring::new(&c.config, &c.hss, &c.addresses, durable).expect("names");
    }

    /// What is read of MMEs at a start, once all is written that nobody waits for.
    async fn mmes_durable(&mut self) -> MmesDurable {
        for _ in 0..1_000 {
            self.rest().await;
            let durable = MmesDurable::read(&self.control.store).await.expect("read");
            let s6a = &self.control.s6a.as_ref().expect("MMEs").s6a;
            let told = |r: &ServingRow| serde_json::from_str::<Told>(r.told.as_ref()?).ok();
            if durable.serving.iter().all(|r| told(r).as_ref() == s6a.told(r.imsi)) {
                return durable;
            }
        }
        panic!("what MMEs know is not written");
    }
}

async fn inserted(mme: &mut Line, w: &mut Site, n: usize) -> Box<SubscriptionData> {
    match mme.next(w).await {
        News::Inserted(who, data) if who == imsi(n) => data,
        other => panic!("{other:?}"),
    }
}

fn names(data: &SubscriptionData) -> Vec<&str> {
    data.profile.iter().flat_map(|p| &p.apns).map(|a| a.name.as_str()).collect()
}

#[tokio::test]
async fn what_is_changed_at_a_sim_reaches_the_mme_that_serves_it() {
    let mut w = Site::new().await;
    let mut mme = Line::up(&mut w, "mme1.example", 1, Manners::Yes).await;
    mme.attach(&mut w, 1).await;
    mme.attach(&mut w, 2).await;
    w.rate(1, 7_000_000).await;
    let data = inserted(&mut mme, &mut w, 1).await;
    assert_eq!((data.ambr.as_ref().map(|a| a.dl), names(&data)), (Some(7_000_000), vec!["corp"]));
    w.updated(1, Sent).await;
    w.updated(1, Taken).await;
    // What an MME does not see is not said: a label, and what has not changed.
    w.change(1, SimEdit { label: Some("x".to_owned()), ..SimEdit::default() }).await;
    w.rate(1, 7_000_000).await;
    assert!(mme.silent());

    // A fixed address.
    let ip: std::net::Ipv4Addr = [10, 20, 0, 77].into();
    let fixed = [("corp".parse().expect("a name"), ip)].into();
    w.change(1, SimEdit { static_ips: Some(fixed), ..SimEdit::default() }).await;
    let data = inserted(&mut mme, &mut w, 1).await;
    let apns = &data.profile.as_ref().expect("a profile").apns;
    assert_eq!(apns[0].addresses, vec![Address::Ip(ip.into())]);

    // A data network more, and one taken away.
    w.dnns(1, &["corp", "plant"]).await;
    let data = inserted(&mut mme, &mut w, 1).await;
    assert_eq!(names(&data), ["corp", "plant"]);
    w.dnns(1, &["corp"]).await;
    assert_eq!(mme.next(&mut w).await, News::Deleted(imsi(1), vec![2]));
    let data = inserted(&mut mme, &mut w, 1).await;
    assert_eq!(names(&data), ["corp"]);

    // A ban is a ban, and the other SIM's MME was told nothing of all this.
    ban(&mut w, 1, "req-1").await;
    assert_eq!(mme.next(&mut w).await, News::Cancelled(imsi(1), WITHDRAWN));
    w.rate(1, 8_000_000).await;
    while let Ok(news) = mme.news.try_recv() {
        assert_eq!(news, News::Cancelled(imsi(1), WITHDRAWN), "what is said of a banned SIM");
    }
    mme.attach(&mut w, 2).await;
}

#[tokio::test]
async fn who_is_away_or_says_no_is_told_when_it_is_back() {
    let mut w = Site::new().await;
    let mut mme = Line::up(&mut w, "mme1.example", 1, Manners::No).await;
    mme.attach(&mut w, 1).await;
    w.rate(1, 7_000_000).await;
    inserted(&mut mme, &mut w, 1).await;
    w.updated(1, Declined).await;
    assert!(mme.silent());
    mme.orders.send(Order::Close).expect("it runs");
    assert_eq!(mme.next(&mut w).await, News::Down);
    let mut mme = Line::up(&mut w, "mme1.example", 2, Manners::Silent).await;
    inserted(&mut mme, &mut w, 1).await;
    mme.orders.send(Order::Close).expect("it runs");
    assert_eq!(mme.next(&mut w).await, News::Down);
    w.rate(1, 9_000_000).await;
    let mut mme = Line::up(&mut w, "mme1.example", 3, Manners::Yes).await;
    let data = inserted(&mut mme, &mut w, 1).await;
    assert_eq!(data.ambr.as_ref().map(|a| a.dl), Some(9_000_000), "as it is by now");
    w.updated(1, Taken).await;
    assert!(mme.silent());
}

#[tokio::test]
async fn an_mme_that_knows_insert_alone_gets_nothing_else_twice() {
    let mut w = Site::new().await;
    let mut mme = Line::up(&mut w, "mme1.example", 1, Manners::Open).await;
    mme.attach(&mut w, 1).await;
    w.dnns(1, &["corp", "plant"]).await;
    inserted(&mut mme, &mut w, 1).await;
    for round in 0..2 {
        w.dnns(1, &["corp"]).await;
        if round == 0 {
            assert_eq!(mme.next(&mut w).await, News::Deleted(imsi(1), vec![2]));
        }
        assert_eq!(
            names(&*inserted(&mut mme, &mut w, 1).await),
            ["corp"],
            "the profile takes it away as well"
        );
        w.dnns(1, &["corp", "plant"]).await;
        assert_eq!(names(&*inserted(&mut mme, &mut w, 1).await), ["corp", "plant"]);
    }

    // We restart: it is told to ask anew. It does not know Reset, and is not asked again.
    w.restart_s6a().await;
    assert_eq!(mme.next(&mut w).await, News::Down);
    let mut mme = Line::up(&mut w, "mme1.example", 1, Manners::Open).await;
    assert_eq!(mme.next(&mut w).await, News::Reset);
    w.was_reset(Unsupported).await;
    mme.orders.send(Order::Close).expect("it runs");
    assert_eq!(mme.next(&mut w).await, News::Down);
    let mut mme = Line::up(&mut w, "mme1.example", 1, Manners::Open).await;
    assert!(mme.silent());
    // We restart again: that is final for it, until it has restarted itself and may be a newer one.
    for (state, again) in [(1, false), (2, true)] {
        w.restart_s6a().await;
        assert_eq!(mme.next(&mut w).await, News::Down);
        mme = Line::up(&mut w, "mme1.example", state, Manners::Open).await;
        w.dnns(1, &["corp"]).await;
        if again {
            assert_eq!(mme.next(&mut w).await, News::Reset);
            assert_eq!(mme.next(&mut w).await, News::Deleted(imsi(1), vec![2]));
        }
        inserted(&mut mme, &mut w, 1).await;
        w.dnns(1, &["corp", "plant"]).await;
        inserted(&mut mme, &mut w, 1).await;
    }
    // One that serves nobody is told nothing.
    let mut two = Line::up(&mut w, "mme2.example", 1, Manners::Yes).await;
    w.rest().await;
    assert!(two.silent() && mme.silent());
}

#[tokio::test]
async fn what_an_mme_was_to_be_told_when_we_went_away_it_is_told_when_both_are_back() {
    let mut w = Site::new().await;
    let mut mme = Line::up(&mut w, "mme1.example", 1, Manners::Yes).await;
    for n in [1, 2] {
        mme.attach(&mut w, n).await;
    }
    w.dnns(1, &["corp", "plant"]).await;
    inserted(&mut mme, &mut w, 1).await;
    w.updated(1, Taken).await;
    mme.orders.send(Order::Close).expect("it runs");
    assert_eq!(mme.next(&mut w).await, News::Down);
    // It is away when this changes, and then we are.
    w.dnns(1, &["corp"]).await;
    w.rate(1, 6_000_000).await;
    w.restart_s6a().await;
    let mut mme = Line::up(&mut w, "mme1.example", 1, Manners::Yes).await;
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(mme.next(&mut w).await);
    }
    assert!(told.contains(&News::Reset) && told.contains(&News::Deleted(imsi(1), vec![2])), "{told:?}");
    let data = told.iter().find_map(|n| if let News::Inserted(who, d) = n { Some((*who, d)) } else { None });
    let (who, data) = data.expect("a profile");
    assert_eq!(
        (who, data.ambr.as_ref().map(|a| a.dl), names(data)),
        (imsi(1), Some(6_000_000), vec!["corp"])
    );
    // Once: the next start finds that it knows all.
    w.updated(1, Taken).await;
    w.restart_s6a().await;
    assert_eq!(mme.next(&mut w).await, News::Down);
    let mut mme = Line::up(&mut w, "mme1.example", 1, Manners::Yes).await;
    assert_eq!(mme.next(&mut w).await, News::Reset);
    w.rest().await;
    assert!(mme.silent());
    // Suspended while we were away: it is withdrawn as a banned one is.
    mme.orders.send(Order::Close).expect("it runs");
    assert_eq!(mme.next(&mut w).await, News::Down);
    w.control.set_state(imsi(2), SimState::Suspended);
    w.restart_s6a().await;
    let mut mme = Line::up(&mut w, "mme1.example", 1, Manners::Yes).await;
    let told = [mme.next(&mut w).await, mme.next(&mut w).await];
    assert!(told.contains(&News::Cancelled(imsi(2), WITHDRAWN)), "{told:?}");
}

#[tokio::test]
async fn tshark_reads_what_an_mme_is_told_of_a_change() {
    let mut w = Site::new().await;
    let (tap, mut heard) = mpsc::unbounded_channel();
    let mut mme = Line::tapped(&w, "mme1.example", 1, Manners::Yes, tap.clone()).await;
    assert_eq!(mme.next(&mut w).await, News::Up(result::SUCCESS));
    mme.attach(&mut w, 1).await;
    w.dnns(1, &["corp", "plant"]).await;
    inserted(&mut mme, &mut w, 1).await;
    w.dnns(1, &["corp"]).await;
    assert_eq!(mme.next(&mut w).await, News::Deleted(imsi(1), vec![2]));
    inserted(&mut mme, &mut w, 1).await;
    w.restart_s6a().await;
    assert_eq!(mme.next(&mut w).await, News::Down);
    let mut mme = Line::tapped(&w, "mme1.example", 1, Manners::Yes, tap).await;
    assert_eq!(mme.next(&mut w).await, News::Up(result::SUCCESS));
    assert_eq!(mme.next(&mut w).await, News::Reset);
    w.was_reset(Taken).await;
    tshark_reads(&mut heard, &[319, 320, 322], &[]);
}
