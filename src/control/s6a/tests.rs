//! MMEs by real connections, before the real loop's parts: attach, ban, restart of either side, and who has no business.

use crate::control::site::{Site, asker, device, imsi, keys};
use admin_web::{BanRequest, PendingCode, Receipt, UnbanRequest};
use lab::mme::{Manners, Mme, MmeConfig, News, Order, run};
use sim_auth::Usim;
use std::{collections::BTreeMap, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::mpsc,
};
use types::*;
use wire::diameter::{Address, CancellationType, Identity, result};

/// An MME on its line.
pub(in crate::control) struct Line {
    orders: mpsc::UnboundedSender<Order>,
    news: mpsc::UnboundedReceiver<News>,
}

impl Line {
    async fn to(w: &Site, host: &str, state: u32, manners: Manners) -> Self {
        Self::tapped(w, host, state, manners, mpsc::unbounded_channel().0).await
    }

    async fn tapped(
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
        let (orders, wanted) = mpsc::unbounded_channel();
        let (told, news) = mpsc::unbounded_channel();
        tokio::spawn(run(stream, mme, wanted, told));
        Self { orders, news }
    }

    /// One that is served.
    pub(in crate::control) async fn up(w: &mut Site, host: &str, state: u32, manners: Manners) -> Self {
        let mut line = Self::to(w, host, state, manners).await;
        assert_eq!(line.next(w).await, News::Up(result::SUCCESS));
        line
    }

    /// The next that it learns.
    async fn next(&mut self, w: &mut Site) -> News {
        for _ in 0..1_000 {
            w.rest().await;
            if let Ok(n) = self.news.try_recv() {
                return n;
            }
        }
        panic!("nothing is new");
    }

    pub(in crate::control) async fn ask(&mut self, w: &mut Site, order: Order) -> News {
        self.orders.send(order).expect("it runs");
        self.next(w).await
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

    fn silent(&mut self) -> bool {
        self.news.try_recv().is_err()
    }
}

async fn ban(w: &mut Site, n: usize, request: &str) -> Receipt {
    let ban = BanRequest { imsi: imsi(n), state: SimState::Stolen, asker: asker("soc", request) };
    w.ask(|c, tx| c.ban(ban, tx)).await.expect("banned")
}

fn waits(r: &Receipt) -> Vec<(PendingCode, Option<String>)> {
    let of_mme = |p: &&admin_web::Pending| {
        matches!(p.code, PendingCode::MmeUnacknowledged | PendingCode::MmeNotEffective)
    };
    r.pending.iter().filter(of_mme).map(|p| (p.code, p.detail.clone())).collect()
}

async fn settled(w: &mut Site, n: usize, holds: impl Fn(&Receipt) -> bool) -> Receipt {
    for _ in 0..1_000 {
        let r = w.receipt(n).await;
        if holds(&r) {
            return r;
        }
        w.rest().await;
    }
    panic!("the receipt does not say it: {:?}", w.receipt(n).await);
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

/// A judge that is not there is a failure in CI, and a named skip elsewhere.
fn missing(judge: &str) {
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{judge} must be installed where CI=true");
    eprintln!("skipped: {judge} is not installed");
}

/// What the judge says to these words and this input; `None` where it is not there.
fn judged(program: &str, words: &[&str], input: &str) -> Option<String> {
    use std::{
        io::Write as _,
        process::{Command, Stdio},
    };
    let child = Command::new(program)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else {
        missing(program);
        return None;
    };
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("written");
    let out = child.wait_with_output().expect("it ends");
    assert!(out.status.success(), "{program}: {}", out.status);
    Some(String::from_utf8(out.stdout).expect("text"))
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
    let nonsense = vec![1, 0, 0, 20, 0x80, 0, 1, 0xff, 1, 0, 0, 0x23, 0, 0, 0, 9, 0, 0, 0, 9];
    mme.ask(&mut w, Order::Raw(nonsense)).await;

    let mut dump = String::new();
    let mut commands = Vec::new();
    while let Ok(octets) = heard.try_recv() {
        // A header alone, our nonsense, is no Diameter to it.
        let command = u32::from_be_bytes([0, octets[5], octets[6], octets[7]]);
        commands.push(if octets.len() == 20 { 0 } else { command });
        for (line, chunk) in octets.chunks(16).enumerate() {
            let hex: Vec<String> = chunk.iter().map(|o| format!("{o:02x}")).collect();
            dump += &format!("{:06x} {}\n", line * 16, hex.join(" "));
        }
    }
    for command in [257, 318, 316, 317, 321] {
        assert!(commands.iter().filter(|c| **c == command).count() >= 2, "{command}: {commands:?}");
    }
    let dir = tempfile::tempdir().expect("a directory");
    let (text, pcap) = (dir.path().join("dump.txt"), dir.path().join("s6a.pcap"));
    std::fs::write(&text, dump).expect("written");
    let path = |p: &std::path::Path| p.to_str().expect("a plain path").to_owned();
    // Each message in a datagram of its own, so that nothing of TCP is judged beside it.
    let made = judged("text2pcap", &["-q", "-u", "3868,3868", &path(&text), &path(&pcap)], "");
    let fields =
        ["-T", "fields", "-e", "diameter.cmd.code", "-e", "_ws.expert.message", "-e", "_ws.malformed"];
    let as_diameter = ["-d", "udp.port==3868,diameter", "-r", &path(&pcap)];
    let Some(read) = made.and_then(|_| judged("tshark", &[&as_diameter[..], &fields[..]].concat(), ""))
    else {
        return;
    };
    let lines: Vec<&str> = read.lines().collect();
    let seen: Vec<u32> =
        lines.iter().map(|l| l.split('\t').next().unwrap_or_default().parse().unwrap_or(0)).collect();
    assert_eq!(seen, commands);
    // That there is no such command is said of our answer, too.
    for l in lines.iter().zip(&commands).filter(|(_, c)| ![0, 0x1ff].contains(*c)).map(|(l, _)| l) {
        assert_eq!(l.split_once('\t').map(|(_, complaints)| complaints.trim()), Some(""), "{l}");
    }
}

mod transports;
