//! SMFs by real connections, before the real loop's parts: sessions, wrong addresses, ban, restart of either side, and who
//! has no business.

use crate::control::{
    Control,
    site::{Site, asker, device, imsi},
    talk::{Talk, ban, missing, settled, tshark_reads, waits},
};
use admin_web::{PendingCode, UnbanRequest};
use lab::{
    mme::{self, Mme, MmeConfig},
    peer::Name,
    smf::{Manners, News, Order, Smf, Wanted},
};
use sim_auth::Usim;
use std::net::Ipv4Addr;
use tokio::{net::TcpStream, sync::mpsc};
use types::*;
use wire::diameter::{CreditControlAnswer, Identity, result};

mod hostile;
mod restart;

/// An SMF on its line.
pub(in crate::control) type Line = Talk<Smf>;

const ENDED: Option<u32> = Some(1);

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
        let stream = TcpStream::connect(w.gx_at).await.expect("connected");
        let name = |n: &str| Identity::new(n).expect("a name");
        let smf = Smf::new(Name { host: name(host), realm: name("example"), state }, manners);
        Self::begin(stream, smf.tapped(tap))
    }

    /// One that is served.
    pub(in crate::control) async fn up(w: &mut Site, host: &str, state: u32, manners: Manners) -> Self {
        let mut line = Self::to(w, host, state, manners).await;
        assert_eq!(line.next(w).await, News::Up(result::SUCCESS));
        line
    }

    /// The result of session `n` of SIM `n` with this address.
    pub(in crate::control) async fn begins(&mut self, w: &mut Site, n: usize, ipv4: Ipv4Addr) -> u32 {
        code(self.asked(w, Order::Begin(n as u32, wanted(n, ipv4))).await)
    }

    async fn asked(&mut self, w: &mut Site, order: Order) -> CreditControlAnswer {
        match self.ask(w, order).await {
            News::Answered(_, a) => *a,
            n => panic!("{n:?}"),
        }
    }

    /// The answer, and the releases that came with it.
    async fn answered(&mut self, w: &mut Site, order: Order) -> (u32, usize) {
        let (mut answer, mut releases, mut next) = (None, 0, Some(self.ask(w, order).await));
        while let Some(n) = next {
            match n {
                News::Answered(_, a) => answer = Some(code(*a)),
                News::Released(..) => releases += 1,
                n => panic!("{n:?}"),
            }
            w.rest().await;
            next = self.news.try_recv().ok();
        }
        (answer.expect("an answer"), releases)
    }
}

fn wanted(n: usize, ipv4: Ipv4Addr) -> Wanted {
    Wanted { imsi: imsi(n), dnn: "corp".to_owned(), ipv4: Some(ipv4), ipv6: None }
}

fn code(a: CreditControlAnswer) -> u32 {
    a.result_code.or(a.experimental.map(|e| e.code)).expect("a result")
}

/// SIM `n`'s lease, as an MME would have it for the profile.
async fn lease(w: &mut Site, n: usize) -> Ipv4Addr {
    w.control.lease(crate::control::addresses::Asker::Profile(0), imsi(n), "corp".parse().expect("a name"));
    for _ in 0..1_000 {
        w.rest().await;
        let all = w.control.store.open_leases().await.expect("leases");
        if let Some(l) = all.iter().find(|l| l.imsi == imsi(n)) {
            return l.ip;
        }
    }
    panic!("no lease");
}

/// Control forgets what it knows of SMFs, and reads what is durable.
async fn restart(w: &mut Site) {
    let rows = w.control.store.gx_sessions().await.expect("read");
    let c = &w.control;
    w.control.gx = super::Wiring::new(&c.config, &c.hss, rows).expect("names");
}

fn live(c: &Control, n: usize) -> Vec<String> {
    c.sessions_at_smfs(imsi(n)).map(|s| format!("{} {} {}", s.smf, s.dnn, s.addresses)).collect()
}

fn smf(code: PendingCode) -> (PendingCode, Option<String>) {
    (code, Some("smf1.example".to_owned()))
}

#[tokio::test]
async fn a_session_has_the_sims_address_and_a_ban_says_what_the_smf_said_and_what_was_seen() {
    let mut w = Site::new().await;
    let ip = lease(&mut w, 1).await;
    let mut line = Line::up(&mut w, "smf1.example", 1, Manners::Yes).await;
    let a = line.asked(&mut w, Order::Begin(1, wanted(1, ip))).await;
    assert_eq!((a.result_code, a.default_qos.expect("a bearer").qci), (Some(2001), Some(9)));
    assert_eq!(live(&w.control, 1), [format!("smf1.example corp {ip}")]);
    w.happened(1, |h| matches!(h, Happening::SmfSessionUp { .. })).await;
    assert_eq!(w.control.store.gx_sessions().await.expect("read")[0].ip, Some(ip));

    let r = ban(&mut w, 1, "req-1").await;
    let both = [smf(PendingCode::SmfUnacknowledged), smf(PendingCode::SmfNotEffective)];
    assert_eq!(waits(&r), both);
    assert_eq!(line.next(&mut w).await, News::Released(1, ENDED));
    settled(&mut w, 1, |r| waits(r) == both[1..]).await;
    assert_eq!(live(&w.control, 1).len(), 1, "it has said yes, and does nothing");

    // It goes on: nothing is given, and it is told again each time.
    assert_eq!(line.answered(&mut w, Order::Update(1)).await, (5003, 1));
    assert_eq!(line.answered(&mut w, Order::Begin(2, wanted(1, ip))).await, (5003, 1));
    w.alert(AlertKind::BannedReuse, 1, 1).await;
    assert_eq!(line.answered(&mut w, Order::End(1)).await, (2001, 0));
    settled(&mut w, 1, |r| waits(r).is_empty()).await;
    w.happened(1, |h| matches!(h, Happening::SmfSessionDown { .. })).await;
    assert!(live(&w.control, 1).is_empty() && w.control.store.gx_sessions().await.expect("read").is_empty());
    assert_eq!(line.answered(&mut w, Order::End(1)).await, (result::UNKNOWN_SESSION_ID, 0));

    // Another one does not notice anything of it.
    let ip = lease(&mut w, 2).await;
    assert_eq!(line.begins(&mut w, 2, ip).await, 2001);
}

#[tokio::test]
async fn an_address_that_is_not_the_sims_is_refused_and_told() {
    let mut w = Site::new().await;
    let (one, two) = (lease(&mut w, 1).await, lease(&mut w, 2).await);
    let mut line = Line::up(&mut w, "smf1.example", 1, Manners::Yes).await;
    for ip in [two, [10, 45, 0, 2].into(), [127, 0, 0, 1].into(), [0, 0, 0, 0].into()] {
        assert_eq!(line.begins(&mut w, 1, ip).await, 5003, "{ip}");
    }
    let told = |h: &Happening| {
        matches!(h, Happening::SmfWrongAddress { given, ours, .. }
            if *given == two.to_string() && *ours == one.to_string())
    };
    w.seen(told).await;
    let (alert, _) = w.alert(AlertKind::Alarm, 1, 4).await;
    assert_eq!(alert.severity, Severity::Warning);

    // One that assigns on its own: its range, and no pool of ours.
    let mut own = Line::up(&mut w, "smf2.example", 1, Manners::Forgetful).await;
    assert_eq!(own.begins(&mut w, 1, [10, 45, 0, 2].into()).await, 2001);
    assert_eq!(own.begins(&mut w, 2, [10, 46, 0, 2].into()).await, 5003);
    assert_eq!(own.begins(&mut w, 2, [10, 20, 0, 130].into()).await, 5003, "in its range and in our pool");
    assert_eq!(own.begins(&mut w, 2, two).await, 2001, "ours, which it takes as well");
    assert_eq!(live(&w.control, 1), ["smf2.example corp 10.45.0.2"]);
    // Another SIM's: refused; the SMF that has forgotten the first one gives it the second time.
    assert_eq!(own.answered(&mut w, Order::Begin(7, wanted(0, [10, 45, 0, 2].into()))).await, (5003, 1));
    assert_eq!(own.begins(&mut w, 0, [10, 45, 0, 2].into()).await, 2001);
    assert!(live(&w.control, 1).is_empty());
}

#[tokio::test]
async fn what_lives_is_known_after_a_restart_and_a_silent_smf_is_told_when_it_is_back() {
    let mut w = Site::new().await;
    let ip = lease(&mut w, 1).await;
    let mut line = Line::up(&mut w, "smf1.example", 1, Manners::Silent).await;
    assert_eq!(line.begins(&mut w, 1, ip).await, 2001);
    restart(&mut w).await;
    assert_eq!(line.next(&mut w).await, News::Down, "its connection went with it");
    assert_eq!(live(&w.control, 1), [format!("smf1.example corp {ip}")]);

    // Banned while the SMF is away; and we restart once more.
    let r = ban(&mut w, 1, "req-1").await;
    assert_eq!(waits(&r).len(), 2);
    restart(&mut w).await;
    let mut line = Line::up(&mut w, "smf1.example", 1, Manners::Yes).await;
    assert_eq!(line.next(&mut w).await, News::Released(1, ENDED));
    settled(&mut w, 1, |r| waits(r) == [smf(PendingCode::SmfNotEffective)]).await;

    // The ban is taken back: the session goes on, and nobody takes it away any more.
    let unban =
        UnbanRequest { imsi: imsi(1), state: SimState::Active, asker: asker("soc", "req-2"), approves: None };
    w.ask(|c, tx| c.unban(unban, tx)).await.expect("unbanned");
    restart(&mut w).await;
    let _ = line.next(&mut w).await;
    let mut line = Line::up(&mut w, "smf1.example", 1, Manners::Yes).await;
    assert!(line.silent() && live(&w.control, 1).len() == 1);
    // Banned again, and the SMF has lost all: what it had is gone.
    ban(&mut w, 1, "req-3").await;
    assert_eq!(line.next(&mut w).await, News::Released(1, ENDED));
    line.orders.send(Order::Close).expect("it runs");
    assert_eq!(line.next(&mut w).await, News::Down);
    let mut line = Line::up(&mut w, "smf1.example", 2, Manners::Yes).await;
    settled(&mut w, 1, |r| waits(r).is_empty()).await;
    assert!(line.silent() && live(&w.control, 1).is_empty());
}

#[tokio::test]
async fn the_device_that_an_mme_has_told_of_counts_for_the_session_too() {
    let mut w = Site::new().await;
    let bound = Bound {
        binding: Binding {
            mode: BindingMode::Exact,
            allowed: vec![device(1).parse().expect("a device")],
            when_missing: WhenMissing::Refuse,
            ..Binding::default()
        },
        learned: None,
    };
    w.control.hss.handle(hss::Input::Bind { imsi: imsi(1), bound }, gateway::time::now());
    let ip = lease(&mut w, 1).await;
    let mut line = Line::up(&mut w, "smf1.example", 1, Manners::Yes).await;
    assert_eq!(line.begins(&mut w, 1, ip).await, 5003, "bound to a device, and nobody says in which it is");

    let (k, opc) = crate::control::site::keys(1);
    let name = |n: &str| Identity::new(n).expect("a name");
    let config = MmeConfig {
        host: name("mme1.example"),
        realm: name("example"),
        plmn: "001-01".parse().expect("a PLMN"),
        state: 1,
        manners: mme::Manners::Yes,
    };
    let stream = TcpStream::connect(w.s6a_at).await.expect("connected");
    let mut mme = Talk::begin(stream, Mme::new(config, [(imsi(1), Usim::new(&k, &opc))].into()));
    assert_eq!(mme.next(&mut w).await, mme::News::Up(result::SUCCESS));
    let located = mme.ask(&mut w, mme::Order::Locate(imsi(1), device(1))).await;
    assert!(matches!(located, mme::News::Served(..)), "{located:?}");
    assert_eq!(line.begins(&mut w, 1, ip).await, 2001);

    // A ban is said to both, and the receipt names both.
    let r = ban(&mut w, 1, "req-1").await;
    let codes: Vec<PendingCode> = waits(&r).into_iter().map(|(c, _)| c).collect();
    use PendingCode::{MmeNotEffective, MmeUnacknowledged, SmfNotEffective, SmfUnacknowledged};
    assert_eq!(codes, [MmeUnacknowledged, MmeNotEffective, SmfUnacknowledged, SmfNotEffective]);
    settled(&mut w, 1, |r| waits(r).len() == 2).await;
    // Its session is over: then the MME has nothing of it left that would carry anything.
    assert_eq!(line.next(&mut w).await, News::Released(1, ENDED));
    assert_eq!(line.answered(&mut w, Order::End(1)).await, (2001, 0));
    settled(&mut w, 1, |r| waits(r).is_empty()).await;
}

/// A SIM that is served beside us is where its SMF says, as long as it has a session there.
#[tokio::test]
async fn the_place_of_an_lte_session_is_as_its_smf_says() {
    let mut w = Site::new().await;
    let ip = lease(&mut w, 1).await;
    let seen = |w: &Site| {
        let facts = w.control.facts.of(imsi(1));
        (facts.is_some_and(|f| f.place.is_some()), facts.and_then(|f| f.radio.as_ref()).map(|r| r.value))
    };
    let mut line = Line::up(&mut w, "smf1.example", 1, Manners::Yes).await;
    assert_eq!(seen(&w), (false, None));
    assert_eq!(line.begins(&mut w, 1, ip).await, 2001);
    w.rest().await;
    assert_eq!(seen(&w), (true, Some(Radio::Eutra)));
    assert_eq!(line.answered(&mut w, Order::End(1)).await, (2001, 0));
    w.rest().await;
    assert_eq!(seen(&w), (false, None));
}

#[tokio::test]
async fn who_has_no_business_is_an_alert_and_nobody_else_notices() {
    let mut w = Site::new().await;
    let ip = lease(&mut w, 1).await;
    let mut line = Line::up(&mut w, "smf1.example", 1, Manners::Yes).await;
    assert_eq!(line.begins(&mut w, 1, ip).await, 2001);
    // Nobody of that name, another's name, an MME's, and the name of one that lives.
    for host in ["smf9.example", "far.example", "mme1.example"] {
        let mut stranger = Line::to(&w, host, 1, Manners::Yes).await;
        assert_eq!(stranger.next(&mut w).await, News::Up(result::UNKNOWN_PEER), "{host}");
        assert_eq!(stranger.next(&mut w).await, News::Down, "{host}");
    }
    let refused =
        |h: &Happening| matches!(h, Happening::SmfRefused { claimed, .. } if claimed == "far.example");
    w.seen(refused).await;
    let mut twin = Line::to(&w, "smf1.example", 1, Manners::Yes).await;
    assert_eq!(twin.next(&mut w).await, News::Up(4003), "the one that lives stays");
    // Another SMF's session, in its own name and in the other's.
    let mut other = Line::up(&mut w, "smf2.example", 1, Manners::Yes).await;
    assert_eq!(other.begins(&mut w, 2, [10, 45, 0, 9].into()).await, 2001);
    let end = |origin: &str| {
        let name = |n: &str| Identity::new(n).expect("a name");
        let m = wire::diameter::CreditControlRequest {
            session_id: "smf1.example;1795296192;1;app_gx".to_owned(),
            auth_application: wire::diameter::application::GX,
            origin_host: name(origin),
            origin_realm: name("example"),
            destination_realm: name("example"),
            kind: wire::diameter::RequestType::Termination,
            number: 1,
            destination_host: None,
            origin_state: None,
            subscriptions: vec![],
            features: vec![],
            network_request: None,
            ipv4: None,
            ipv6: None,
            ip_can: None,
            rat_type: None,
            termination: Some(1),
            equipment: None,
            qos: None,
            default_qos: None,
            called_station: None,
            location: None,
            triggers: vec![],
            reports: vec![],
            route: vec![],
        };
        Order::Raw(wire::diameter::Pdu::request(m, 77, 77).encode())
    };
    assert_eq!(code(other.asked(&mut w, end("smf2.example")).await), result::UNKNOWN_SESSION_ID);
    assert_eq!(other.ask(&mut w, end("smf1.example")).await, News::Refused(result::UNKNOWN_PEER));
    assert_eq!(live(&w.control, 1), [format!("smf1.example corp {ip}")]);
    assert_eq!(line.answered(&mut w, Order::Update(1)).await, (2001, 0));
}

#[tokio::test]
async fn tshark_reads_every_message_without_a_complaint() {
    let mut w = Site::new().await;
    let policy =
        r#"{"name":"mail","order":1,"subject":"any","app":"mail","direction":"out","verdict":"allow"}"#;
    let app = r#"{"name":"mail","prefixes":["10.9.0.0/24"],"services":["tcp/443","udp/5000-5010","icmp"]}"#;
    let by = store::Change::by_system("test", gateway::time::now().utc);
    let app: App = serde_json::from_str(app).expect("an app");
    w.control.store.create(app, None, &by).await.expect("made");
    let rule: Rule = serde_json::from_str(policy).expect("a rule");
    w.control.store.create(rule, None, &by).await.expect("made");
    w.control.reload_policy(None);
    w.until(|w| w.control.policy.source().rules.len() == 1).await;

    let ip = lease(&mut w, 1).await;
    let (tap, mut heard) = mpsc::unbounded_channel();
    let mut line = Line::tapped(&w, "smf1.example", 1, Manners::Yes, tap).await;
    assert_eq!(line.next(&mut w).await, News::Up(result::SUCCESS));
    let a = line.asked(&mut w, Order::Begin(1, wanted(1, ip))).await;
    let flows = &a.install[0].definitions[0].flows;
    let said: Vec<&str> = flows.iter().filter_map(|f| f.description.as_deref()).collect();
    let expected = ["6 from 10.9.0.0/24 443", "17 from 10.9.0.0/24 5000-5010", "1 from 10.9.0.0/24"];
    assert_eq!(said, expected.map(|f| format!("permit out {f} to assigned")));
    assert_eq!(line.begins(&mut w, 2, ip).await, 5003);
    let nowhere = Wanted { ipv4: None, ..wanted(2, ip) };
    assert_eq!(code(line.asked(&mut w, Order::Begin(3, nowhere)).await), 5140);
    assert_eq!(line.answered(&mut w, Order::Update(1)).await, (2001, 0));
    ban(&mut w, 1, "req-1").await;
    assert_eq!(line.next(&mut w).await, News::Released(1, ENDED));
    assert_eq!(line.answered(&mut w, Order::End(1)).await, (2001, 0));
    w.rest().await;
    tshark_reads(&mut heard, &[257, 272, 258], &[]);
}

#[tokio::test]
async fn freediameter_connects_for_gx() {
    use std::process::{Command, Stdio};
    let mut w = Site::new().await;
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name).display().to_string();
    let key = rcgen::KeyPair::generate().expect("a key");
    let params = rcgen::CertificateParams::new(vec!["smf1.example".to_owned()]).expect("a name");
    let cert = params.self_signed(&key).expect("signed");
    std::fs::write(at("key.pem"), key.serialize_pem()).expect("written");
    std::fs::write(at("cert.pem"), cert.pem()).expect("written");
    let text = format!(
        "Identity = \"smf1.example\";\nRealm = \"example\";\nNo_SCTP;\nPort = 0;\nSecPort = 0;\nTwTimer = 6;\n\
         TLS_Cred = \"{}\", \"{}\";\nTLS_CA = \"{}\";\n\
         ConnectPeer = \"pcrf.example\" {{ ConnectTo = \"127.0.0.1\"; Port = {}; No_TLS; No_SCTP; }};\n",
        at("cert.pem"),
        at("key.pem"),
        at("cert.pem"),
        w.gx_at.port()
    );
    std::fs::write(at("fd.conf"), text).expect("written");
    let child = Command::new("freeDiameterd")
        .args(["-c", &at("fd.conf")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else { return missing("freeDiameterd") };
    fn is_up(w: &Site) -> bool {
        w.control.gx.as_ref().is_some_and(|g| g.smfs().any(|s| s.as_str() == "smf1.example"))
    }
    w.until(is_up).await;
    crate::supervisor::signal(child.id() as i32, libc::SIGTERM);
    w.until(|w| !is_up(w)).await;
    let ended = child.wait().expect("it ends");
    assert!(ended.success() || ended.code().is_some(), "{ended}");
}
