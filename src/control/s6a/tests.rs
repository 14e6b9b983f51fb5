//! MMEs by real connections, before the real loop's parts: attach, ban, restart of either side, and who has no business.

use crate::control::{
    site::{Site, asker, device, imsi, keys},
    talk::{Talk, ban, missing, settled, tshark_reads, waits},
};
use admin_web::{PendingCode, UnbanRequest};
use lab::mme::{Manners, Mme, MmeConfig, News, Order};
use sim_auth::Usim;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use store::ServingRow;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::mpsc,
};
use types::*;
use wire::diameter::{Address, CancellationType, EquipmentStatus, Identity, result};

/// An MME on its line.
pub(in crate::control) type Line = Talk<Mme>;

impl Line {
    async fn to(w: &Site, host: &str, state: u32, manners: Manners) -> Self {
        Self::tapped(w, host, state, manners, mpsc::unbounded_channel().0).await
    }

    pub(in crate::control) async fn tapped(
        w: &Site,
        host: &str,
        state: u32,
        manners: Manners,
        tap: mpsc::UnboundedSender<Vec<u8>>,
    ) -> Self {
        let stream = TcpStream::connect(w.s6a_at).await.expect("connected");
        Self::over(stream, host, state, manners, tap)
    }

    fn over<S: AsyncRead + AsyncWrite + Send + 'static>(
        stream: S,
        host: &str,
        state: u32,
        manners: Manners,
        tap: mpsc::UnboundedSender<Vec<u8>>,
    ) -> Self {
        let config = MmeConfig {
            host: Identity::new(host).expect("a name"),
            realm: Identity::new("example").expect("a name"),
            plmn: "001-01".parse().expect("a PLMN"),
            state,
            manners,
        };
        let card = |n: usize| {
            let (k, opc) = keys(n);
            (imsi(n), Usim::new(&k, &opc))
        };
        let mme = Mme::new(config, (0..3).map(card).collect::<BTreeMap<_, _>>()).tapped(tap);
        Self::begin(stream, mme)
    }

    /// One that is served.
    pub(in crate::control) async fn up(w: &mut Site, host: &str, state: u32, manners: Manners) -> Self {
        let mut line = Self::to(w, host, state, manners).await;
        assert_eq!(line.next(w).await, News::Up(result::SUCCESS));
        line
    }

    pub(in crate::control) async fn attach(&mut self, w: &mut Site, n: usize) {
        assert_eq!(self.ask(w, Order::Authenticate(imsi(n))).await, News::Vector(imsi(n), true));
        let News::Served(who, data) = self.ask(w, Order::Locate(imsi(n), device(n))).await else {
            panic!("not served")
        };
        let profile = data.profile.expect("a profile");
        let [apn] = profile.apns.as_slice() else { panic!("{profile:?}") };
        let leased = w.control.store.open_leases().await.expect("leases");
        let lease =
            leased.iter().find(|l| l.imsi == imsi(n)).expect("a lease, before the MME knows the address");
        assert_eq!((who, apn.name.as_str()), (imsi(n), "corp"));
        assert_eq!(apn.addresses, vec![Address::Ip(lease.ip.into())]);
    }
}

const WITHDRAWN: CancellationType = CancellationType::SubscriptionWithdrawal;

#[tokio::test]
async fn a_sim_attaches_by_an_mme_and_a_ban_says_what_the_mme_said_and_what_was_seen() {
    let mut w = Site::new().await;
    let mut mme = Line::up(&mut w, "mme1.example", 1, Manners::Yes).await;
    mme.attach(&mut w, 1).await;
    w.happened(1, |h| matches!(h, Happening::MmeServes { .. })).await;

    let r = ban(&mut w, 1, "req-1").await;
    let both = Some("mme1.example".to_owned());
    assert_eq!(
        waits(&r),
        [(PendingCode::MmeUnacknowledged, both.clone()), (PendingCode::MmeNotEffective, both.clone())]
    );
    assert_eq!(mme.next(&mut w).await, News::Cancelled(imsi(1), WITHDRAWN));
    let r = settled(&mut w, 1, |r| waits(r).len() == 1).await;
    assert_eq!(waits(&r), [(PendingCode::MmeNotEffective, both)], "it has said yes, and does nothing");

    // It goes on serving: no vector, no registration, and it is told again each time.
    assert_eq!(mme.ask(&mut w, Order::Authenticate(imsi(1))).await, News::Cancelled(imsi(1), WITHDRAWN));
    assert_eq!(mme.next(&mut w).await, News::Refused(imsi(1), result::USER_UNKNOWN));
    let (alert, _) = w.alert(AlertKind::BannedReuse, 1, 1).await;
    assert_eq!(alert.severity, Severity::Warning);
    assert_eq!(mme.ask(&mut w, Order::Purge(imsi(1))).await, News::Purged(imsi(1)));
    settled(&mut w, 1, |r| waits(r).is_empty()).await;

    // Another one does not notice anything of it.
    mme.attach(&mut w, 2).await;
    assert!(mme.silent());
}

/// A whole site's SIMs, served by one MME: more than a connection takes at once, and nothing is lost.
#[tokio::test]
async fn five_thousand_withdrawals_go_out_in_turns_by_one_connection() {
    const ALL: u32 = 5_000;
    let mut w = Site::new().await;
    let since = gateway::time::utc();
    let row = |n: u32| ServingRow {
        imsi: format!("00101{n:010}").parse().expect("an IMSI"),
        mme: "mme1.example".to_owned(),
        told: None,
        since,
    };
    // Nobody knows them any more: what was served is withdrawn when the MME is there.
    let rows = (1_000_000..1_000_000 + ALL).map(row).collect();
    let c = &w.control;
    let durable = super::MmesDurable { serving: rows, ..Default::default() };
    w.control.s6a = super::Wiring::new(&c.config, &c.hss, &c.addresses, durable).expect("names");
    let mut mme = Line::up(&mut w, "mme1.example", 1, Manners::Yes).await;
    let mut told = BTreeSet::new();
    while told.len() < ALL as usize {
        match mme.next_of_many(&mut w).await {
            News::Cancelled(imsi, WITHDRAWN) => assert!(told.insert(imsi), "once by one connection"),
            News::Reset => {}
            n => panic!("{n:?}"),
        }
    }
    w.rest().await;
    // The Reset stood in the same queue.
    while let Ok(n) = mme.news.try_recv() {
        assert_eq!(n, News::Reset, "acknowledged: said again where there is a reason");
    }
}

#[tokio::test]
async fn an_mme_that_is_silent_or_away_is_told_when_it_is_back() {
    let mut w = Site::new().await;
    let mut mme = Line::up(&mut w, "mme1.example", 1, Manners::Silent).await;
    mme.attach(&mut w, 1).await;
    mme.attach(&mut w, 2).await;
    ban(&mut w, 1, "req-1").await;
    assert_eq!(mme.next(&mut w).await, News::Cancelled(imsi(1), WITHDRAWN));
    mme.orders.send(Order::Close).expect("it runs");
    assert_eq!(mme.next(&mut w).await, News::Down);
    ban(&mut w, 2, "req-2").await;

    let mut mme = Line::up(&mut w, "mme1.example", 2, Manners::No).await;
    let mut told = [mme.next(&mut w).await, mme.next(&mut w).await];
    told.sort_by_key(|n| format!("{n:?}"));
    assert_eq!(told, [News::Cancelled(imsi(1), WITHDRAWN), News::Cancelled(imsi(2), WITHDRAWN)]);
    let r = settled(&mut w, 1, |_| true).await;
    assert_eq!(waits(&r).len(), 2, "no is no acknowledgement");

    // The ban is taken back: it is served again, and nobody takes it away any more.
    let unban =
        UnbanRequest { imsi: imsi(2), state: SimState::Active, asker: asker("soc", "req-3"), approves: None };
    w.ask(|c, tx| c.unban(unban, tx)).await.expect("unbanned");
    mme.attach(&mut w, 2).await;
    mme.orders.send(Order::Close).expect("it runs");
    assert_eq!(mme.next(&mut w).await, News::Down);
    let mut mme = Line::up(&mut w, "mme1.example", 3, Manners::Yes).await;
    assert_eq!(mme.next(&mut w).await, News::Cancelled(imsi(1), WITHDRAWN));
    assert!(mme.silent());
}

#[tokio::test]
async fn a_second_mme_takes_over_and_who_has_no_business_is_an_alert() {
    let mut w = Site::new().await;
    let mut one = Line::up(&mut w, "mme1.example", 1, Manners::Yes).await;
    let mut two = Line::up(&mut w, "mme2.example", 1, Manners::Yes).await;
    one.attach(&mut w, 1).await;
    two.attach(&mut w, 1).await;
    assert_eq!(one.next(&mut w).await, News::Cancelled(imsi(1), CancellationType::MmeUpdate));
    let r = ban(&mut w, 1, "req-1").await;
    assert_eq!(waits(&r)[0].1.as_deref(), Some("mme2.example"));
    assert_eq!(two.next(&mut w).await, News::Cancelled(imsi(1), WITHDRAWN));
    assert!(one.silent());

    // Nobody of that name; another's name; and the name of one that lives.
    for host in ["mme9.example", "far.example"] {
        let mut line = Line::to(&w, host, 1, Manners::Yes).await;
        assert_eq!(line.next(&mut w).await, News::Up(result::UNKNOWN_PEER), "{host}");
        assert_eq!(line.next(&mut w).await, News::Down, "{host}");
    }
    let refused =
        |h: &Happening| matches!(h, Happening::MmeRefused { claimed, .. } if claimed == "far.example");
    w.seen(refused).await;
    let mut twin = Line::to(&w, "mme1.example", 1, Manners::Yes).await;
    assert_eq!(twin.next(&mut w).await, News::Up(4003), "the one that lives stays");
    one.attach(&mut w, 2).await;
}

#[tokio::test]
async fn who_speaks_no_diameter_is_closed_and_nobody_else_notices() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut w = Site::new().await;
    let mut mme = Line::up(&mut w, "mme1.example", 1, Manners::Yes).await;
    for noise in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        &[0; 64],
        &[1, 0, 0, 20],
        &[1, 0xff, 0xff, 0xff, 0, 0, 0, 0],
        &[0x16, 3, 1, 0, 5],
    ] {
        let mut stream = TcpStream::connect(w.s6a_at).await.expect("connected");
        stream.write_all(noise).await.expect("written");
        stream.shutdown().await.expect("half closed");
        let mut end = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(20), async {
            loop {
                tokio::select! {
                    n = stream.read_to_end(&mut end) => return n,
                    () = w.rest() => {}
                }
            }
        });
        drop(read.await.expect("it is closed"));
        assert_eq!(end, b"", "{noise:x?}");
    }
    // A peer's own nonsense costs it one answer.
    let mut raw = vec![1, 0, 0, 20, 0x80, 0, 1, 0xff, 1, 0, 0, 0x23, 0, 0, 0, 9, 0, 0, 0, 9];
    assert_eq!(mme.ask(&mut w, Order::Raw(raw.clone())).await, News::Answer(result::COMMAND_UNSUPPORTED));
    raw[11] = 0xff;
    assert_eq!(mme.ask(&mut w, Order::Raw(raw)).await, News::Answer(result::APPLICATION_UNSUPPORTED));
    mme.attach(&mut w, 1).await;
}

#[tokio::test]
async fn tshark_reads_every_message_without_a_complaint() {
    let mut w = Site::new().await;
    let (tap, mut heard) = mpsc::unbounded_channel();
    let mut mme = Line::tapped(&w, "mme1.example", 1, Manners::Yes, tap).await;
    assert_eq!(mme.next(&mut w).await, News::Up(result::SUCCESS));
    mme.attach(&mut w, 1).await;
    ban(&mut w, 1, "req-1").await;
    assert_eq!(mme.next(&mut w).await, News::Cancelled(imsi(1), WITHDRAWN));
    assert_eq!(mme.ask(&mut w, Order::Authenticate(imsi(1))).await, News::Cancelled(imsi(1), WITHDRAWN));
    mme.next(&mut w).await;
    mme.ask(&mut w, Order::Purge(imsi(1))).await;
    mme.ask(&mut w, Order::Check(imsi(1), device(1))).await;
    mme.ask(&mut w, Order::Check(imsi(1), "3554".to_owned())).await;
    let nonsense = vec![1, 0, 0, 20, 0x80, 0, 1, 0xff, 1, 0, 0, 0x23, 0, 0, 0, 9, 0, 0, 0, 9];
    mme.ask(&mut w, Order::Raw(nonsense)).await;

    // That there is no such command is said of our answer, too.
    tshark_reads(&mut heard, &[257, 318, 316, 317, 321, 324], &[0x1ff]);
}

#[tokio::test]
async fn an_mme_asks_about_devices_and_a_black_one_stands_in_the_sims_timeline() {
    let mut w = Site::new().await;
    let mut mme = Line::up(&mut w, "mme1.example", 1, Manners::Yes).await;
    let ask = |n: usize, device: &str| Order::Check(imsi(n), device.to_owned());
    let white = News::Checked(imsi(1), EquipmentStatus::White);
    assert_eq!(mme.ask(&mut w, ask(1, &device(1))).await, white);
    let pattern = device(1).parse().expect("a device");
    w.control.hss.handle(hss::Input::BanDevice { device: pattern, banned: true }, gateway::time::now());
    let black = News::Checked(imsi(1), EquipmentStatus::Black);
    assert_eq!(mme.ask(&mut w, ask(1, &device(1))).await, black);
    w.happened(1, |h| matches!(h, Happening::EquipmentBlack { .. })).await;
    assert_eq!(mme.ask(&mut w, ask(1, "3554")).await, News::Refused(imsi(1), result::EQUIPMENT_UNKNOWN));
    // One whose entry does not name S13 is not answered by the EIR.
    let mut other = Line::up(&mut w, "mme2.example", 1, Manners::Yes).await;
    let refused = News::Answer(result::APPLICATION_UNSUPPORTED);
    assert_eq!(other.ask(&mut w, ask(1, &device(1))).await, refused);
    other.attach(&mut w, 2).await;
}

mod hostile;
mod moved;
mod transports;
mod updates;
