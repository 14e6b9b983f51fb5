//! Whether apps work, as their probes say: shown, and told of when one does not. No verdict hears of it.
//!
//! Control asks from where it runs, every app once in half a minute, some at a time. An app is asked at the first of its
//! prefixes that is one address; addresses of ours, and those that are nobody's or everybody's, are not asked, whatever
//! an app calls its own (ADR 14). An answer's body is not read, nor is anybody sent on by it.

use super::{Control, Done};
use admin_web::{AppView, Said, say};
use gateway::time::now;
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};
use tokio::{net::TcpStream, sync::Semaphore, task::JoinSet, time::timeout};
use tracing::info;
use types::{App, Mono, Name, Now, Probe, Utc};
use ureq::Agent;

/// How often each is asked.
const EVERY_MS: u64 = 30_000;
/// How soon again where apps have changed.
const SOON_MS: u64 = 5_000;
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// How many are asked at once, and how many at all.
const AT_ONCE: usize = 16;
const MOST: usize = 1_000;
/// The longest head of an answer that is read, octets.
const LONGEST: usize = 16 * 1024;
/// An app is down when it has failed so often in a row: one lost packet is no news.
const FAILS: u8 = 2;

/// A question to an app.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ask {
    app: Name,
    at: IpAddr,
    probe: Probe,
}

/// Why an app does not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Silent,
    Refused,
    Unreachable,
    NotHttp,
    Status(u16),
}

impl Why {
    fn said(self) -> Said {
        let s = PATIENCE.as_secs();
        match self {
            Self::Silent => say!("no answer within {s} s", "{s} 秒以内に応答がありません"),
            Self::Refused => say!("the connection is refused", "接続が拒否されました"),
            Self::Unreachable => say!("it cannot be reached", "到達できません"),
            Self::NotHttp => say!("what it answers is not HTTP", "応答が HTTP ではありません"),
            Self::Status(n) => say!("it answers with {n}", "応答は {n} です"),
        }
    }
}

/// What became of a question.
pub(crate) struct Answered {
    ask: Ask,
    at: Utc,
    result: Result<(), Why>,
}

/// What is known of one app.
struct Known {
    ask: Ask,
    /// None until it has been asked.
    up: Option<bool>,
    since: Utc,
    asked: Utc,
    fails: u8,
    why: Option<Why>,
}

/// What turned round with an answer.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    Down(Why),
    Up,
}

/// Every app that has a probe.
#[derive(Default)]
pub(super) struct Probes {
    known: BTreeMap<Name, Known>,
    under_way: bool,
    begun: Mono,
    next: Mono,
}

impl Probes {
    /// When the next round is due; none while one is under way.
    pub fn poll_timeout(&self) -> Option<Mono> {
        (!self.under_way).then_some(self.next)
    }

    /// Apps have changed: they are asked soon, however often that is said.
    pub fn soon(&mut self) {
        self.next = self.next.min(self.begun.plus_ms(SOON_MS));
    }

    /// A round begins.
    fn begin(&mut self, now: Mono) {
        (self.begun, self.next) = (now, now.plus_ms(EVERY_MS));
    }

    /// What is known of apps that are not asked so any longer goes.
    fn go_by(&mut self, asks: &[Ask]) {
        self.known.retain(|_, k| asks.contains(&k.ask));
    }

    /// An answer; what turned round with it.
    fn heard(&mut self, a: Answered) -> Option<Turn> {
        let Answered { ask, at, result } = a;
        let k = self.known.entry(ask.app.clone()).or_insert_with(|| Known {
            ask,
            up: None,
            since: at,
            asked: at,
            fails: 0,
            why: None,
        });
        k.asked = at;
        k.why = result.err();
        k.fails = if result.is_ok() { 0 } else { k.fails.saturating_add(1) };
        let up = match result {
            Ok(()) => true,
            Err(_) if k.fails < FAILS => return None,
            Err(_) => false,
        };
        let before = k.up.replace(up);
        if before == Some(up) {
            return None;
        }
        k.since = at;
        match (before, result) {
            (_, Err(why)) => Some(Turn::Down(why)),
            (Some(false), Ok(())) => Some(Turn::Up),
            (_, Ok(())) => None,
        }
    }
}

/// Which apps are asked, and where.
fn asks(apps: &[App], own: &[IpAddr]) -> Vec<Ask> {
    let one = |a: &App| {
        let probe = a.health.clone()?;
        Some(Ask { app: a.name.clone(), at: address(a, own)?, probe })
    };
    apps.iter().filter_map(one).take(MOST).collect()
}

/// The first of an app's prefixes that is one address which somebody else may have.
fn address(a: &App, own: &[IpAddr]) -> Option<IpAddr> {
    let single = a.prefixes.iter().filter(|p| p.prefix_len() == p.max_prefix_len()).map(|p| p.addr());
    let may_be = |ip: &IpAddr| {
        let nobodys = ip.is_unspecified() || ip.is_loopback() || ip.is_multicast();
        let linked = match ip {
            IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
            IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.to_ipv4_mapped().is_some(),
        };
        !nobodys && !linked && !own.contains(ip)
    };
    single.into_iter().find(may_be)
}

async fn ask_all(asks: Vec<Ask>) -> Vec<Answered> {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut all = JoinSet::new();
    for ask in asks {
        let places = places.clone();
        all.spawn(async move {
            let _place = places.acquire_owned().await;
            let result = question(SocketAddr::new(ask.at, port(&ask.probe)), &ask.probe, PATIENCE).await;
            Answered { ask, at: now().utc, result }
        });
    }
    all.join_all().await
}

fn port(p: &Probe) -> u16 {
    match p {
        Probe::Tcp(port) | Probe::Http { port, .. } => *port,
    }
}

async fn question(at: SocketAddr, probe: &Probe, patience: Duration) -> Result<(), Why> {
    match probe {
        Probe::Tcp(_) => match timeout(patience, TcpStream::connect(at)).await {
            Err(_) => Err(Why::Silent),
            Ok(Err(e)) => Err(why(&e)),
            Ok(Ok(_)) => Ok(()),
        },
        Probe::Http { path, .. } => {
            let url = format!("http://{at}{path}");
            tokio::task::spawn_blocking(move || get(&url, patience)).await.unwrap_or(Err(Why::Unreachable))
        }
    }
}

fn get(url: &str, patience: Duration) -> Result<(), Why> {
    let agent: Agent = Agent::config_builder()
        .timeout_global(Some(patience))
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .max_idle_connections(0)
        .max_response_header_size(LONGEST)
        .proxy(None)
        .user_agent(concat!("sekisho/", env!("CARGO_PKG_VERSION")))
        .build()
        .new_agent();
    match agent.get(url).call() {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(Why::Status(answer.status().as_u16())),
        Err(ureq::Error::Timeout(_)) => Err(Why::Silent),
        Err(ureq::Error::Io(e)) => Err(why(&e)),
        Err(_) => Err(Why::NotHttp),
    }
}

fn why(e: &std::io::Error) -> Why {
    use std::io::ErrorKind as Kind;
    match e.kind() {
        Kind::ConnectionRefused => Why::Refused,
        Kind::TimedOut | Kind::WouldBlock => Why::Silent,
        // It took the connection and hung up.
        Kind::UnexpectedEof | Kind::ConnectionReset | Kind::InvalidData => Why::NotHttp,
        _ => Why::Unreachable,
    }
}

impl Control {
    /// Begins a round when one is due.
    pub(super) fn probes_timeout(&mut self, now: Now) {
        if self.probes.poll_timeout().is_none_or(|at| at > now.mono) {
            return;
        }
        self.probes.begin(now.mono);
        let asks = asks(&self.policy.source().apps, &self.config.own_addresses());
        self.probes.go_by(&asks);
        if asks.is_empty() {
            return;
        }
        self.probes.under_way = true;
        let done = self.done.clone();
        tokio::spawn(async move { drop(done.send(Done::Probed(ask_all(asks).await))) });
    }

    /// A round is over.
    pub(super) fn probed(&mut self, all: Vec<Answered>) {
        self.probes.under_way = false;
        for a in all {
            let Ask { app, at, probe } = a.ask.clone();
            match self.probes.heard(a) {
                Some(Turn::Down(why)) => {
                    let why = why.said().en;
                    self.alarm(None, format!("the app {app} does not work: {probe} at {at}: {why}"));
                }
                Some(Turn::Up) => info!("the app {app} works again"),
                None => {}
            }
        }
    }

    /// Apps that have a probe, as people see them.
    pub(super) fn app_views(&self) -> Vec<AppView> {
        let own = self.config.own_addresses();
        let apps = self.policy.source().apps.iter();
        apps.filter_map(|a| Some((a, a.health.as_ref()?)))
            .map(|(a, probe)| {
                let at = address(a, &own);
                let known =
                    self.probes.known.get(&a.name).filter(|k| k.ask.probe == *probe && Some(k.ask.at) == at);
                AppView {
                    name: a.name.to_string(),
                    probe: probe.to_string(),
                    address: at,
                    state: match (at, known.and_then(|k| k.up)) {
                        (None, _) => "not-asked",
                        (_, None) => "unknown",
                        (_, Some(true)) => "up",
                        (_, Some(false)) => "down",
                    },
                    since: known.filter(|k| k.up.is_some()).map(|k| k.since),
                    asked: known.map(|k| k.asked),
                    why: known.and_then(|k| k.why).map(Why::said),
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };

    fn app(name: &str, prefixes: &[&str], health: Option<&str>) -> App {
        serde_json::from_value(serde_json::json!({ "name": name, "prefixes": prefixes, "health": health }))
            .unwrap()
    }

    fn heard(p: &mut Probes, s: i64, result: Result<(), Why>) -> Option<Turn> {
        let ask = Ask {
            app: "wiki".parse().unwrap(),
            at: "10.10.1.5".parse().unwrap(),
            probe: "tcp/443".parse().unwrap(),
        };
        p.heard(Answered { ask, at: Utc(s * 1000), result })
    }

    #[test]
    fn an_app_is_asked_at_an_address_that_is_its_own() {
        let own = ["10.10.1.7".parse().unwrap()];
        let of = |prefixes: &[&str]| {
            asks(&[app("wiki", prefixes, Some("tcp/443"))], &own).first().map(|a| a.at.to_string())
        };
        assert_eq!(of(&["10.10.0.0/16", "10.10.1.5/32", "10.10.1.6/32"]).as_deref(), Some("10.10.1.5"));
        assert_eq!(of(&["fd00::/64", "fd00::5/128"]).as_deref(), Some("fd00::5"));
        for nobodys in [
            "10.10.1.7/32",
            "127.0.0.1/32",
            "0.0.0.0/32",
            "255.255.255.255/32",
            "224.0.0.1/32",
            "169.254.169.254/32",
            "::1/128",
            "::/128",
            "ff02::1/128",
            "fe80::1/128",
            "::ffff:127.0.0.1/128",
            "10.10.1.4/31",
        ] {
            assert_eq!(of(&[nobodys]), None, "{nobodys}");
        }
        assert_eq!(asks(&[app("wiki", &["10.10.1.5/32"], None)], &own), []);
        let many: Vec<App> =
            (0..MOST + 5).map(|n| app(&format!("a{n}"), &["10.10.1.5/32"], Some("tcp/1"))).collect();
        assert_eq!(asks(&many, &own).len(), MOST);
    }

    #[test]
    fn two_failures_in_a_row_are_news_and_what_follows_is_not() {
        let mut p = Probes::default();
        assert_eq!(heard(&mut p, 0, Ok(())), None);
        assert_eq!(heard(&mut p, 30, Err(Why::Silent)), None);
        assert_eq!(heard(&mut p, 60, Ok(())), None, "one lost packet");
        assert_eq!(heard(&mut p, 90, Err(Why::Silent)), None);
        assert_eq!(heard(&mut p, 120, Err(Why::Refused)), Some(Turn::Down(Why::Refused)));
        assert_eq!(heard(&mut p, 150, Err(Why::Status(503))), None);
        let k = &p.known[&"wiki".parse().unwrap()];
        assert_eq!(
            (k.up, k.since, k.asked, k.why),
            (Some(false), Utc(120_000), Utc(150_000), Some(Why::Status(503)))
        );
        assert_eq!(heard(&mut p, 180, Ok(())), Some(Turn::Up));
        // Asked in another way it is another app.
        p.go_by(&[]);
        assert!(p.known.is_empty());
    }

    #[test]
    fn who_changes_apps_without_an_end_has_them_asked_every_five_seconds_at_most() {
        let mut p = Probes::default();
        let at = |s: u64| Mono(0).plus_ms(1_000 * s);
        p.begin(at(100));
        assert_eq!(p.poll_timeout(), Some(at(130)));
        p.soon();
        p.soon();
        assert_eq!(p.poll_timeout(), Some(at(105)));
        p.begin(at(129));
        assert_eq!(p.poll_timeout(), Some(at(159)));
        p.under_way = true;
        p.soon();
        assert_eq!(p.poll_timeout(), None, "one round at a time");
    }

    /// A server that says this to whoever connects, once, and then says no more.
    async fn says(answer: &'static [u8], hangs_up: bool) -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut s, _) = listener.accept().await.unwrap();
            let mut asked = [0; 1024];
            let _read = s.read(&mut asked).await;
            let _sent = s.write_all(answer).await;
            if !hangs_up {
                std::future::pending::<()>().await;
            }
        });
        at
    }

    #[tokio::test]
    async fn a_probe_says_what_it_met() {
        let short = Duration::from_millis(700);
        let http = |at: SocketAddr| Probe::Http { port: at.port(), path: "/healthz".into() };
        let met = async |answer: &'static [u8], hangs_up| {
            let at = says(answer, hangs_up).await;
            question(at, &http(at), short).await
        };
        assert_eq!(met(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true).await, Ok(()));
        // Its body may come when it likes.
        assert_eq!(met(b"HTTP/1.1 204 No Content\r\n\r\n", false).await, Ok(()));
        assert_eq!(met(b"HTTP/1.1 503 Away\r\nContent-Length: 0\r\n\r\n", true).await, Err(Why::Status(503)));
        let elsewhere = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(met(elsewhere, true).await, Err(Why::Status(302)), "nobody is sent on");
        assert_eq!(met(b"SSH-2.0-OpenSSH_9.6\r\n", true).await, Err(Why::NotHttp));
        assert_eq!(met(b"", true).await, Err(Why::NotHttp));
        assert_eq!(met(b"HTTP/1.1 200 OK\r\nX: ", false).await, Err(Why::Silent));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let at = listener.local_addr().unwrap();
        assert_eq!(question(at, &Probe::Tcp(at.port()), short).await, Ok(()));
        drop(listener);
        assert_eq!(question(at, &Probe::Tcp(at.port()), short).await, Err(Why::Refused));
        assert_eq!(question(at, &http(at), short).await, Err(Why::Refused));
    }
}
