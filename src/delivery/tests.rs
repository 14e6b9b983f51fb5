//! Real TLS servers on loopback that die, refuse, dawdle and cut: everything arrives at least once, in its order.

use super::{Deliveries, Pace};
use crate::{
    config::{Delivery, DeliveryKind, What},
    signing::{self, Purpose, Signer},
};
use hmac::Mac;
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};
use serde_json::Value;
use std::{
    collections::VecDeque,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};
use store::{Change, NewAlert, Store};
use types::{AlertKind, Event, Happening, Severity, Utc};

/// What a server does with one connection.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Act {
    /// Takes everything and says so.
    Take,
    /// Takes everything, after a while.
    Dawdle,
    /// Goes away in the middle of the message.
    Die,
    /// Reads everything, keeps it, and cuts the connection without a word.
    Cut,
    /// Reads everything and refuses it (HTTP 500); a syslog receiver ends without close_notify.
    Refuse,
    /// Reads everything and never says anything.
    Hang,
}

/// What a server got.
#[derive(Debug, Clone, Default)]
struct Got {
    /// Items that it kept, in their order of arrival, doubles too.
    items: Vec<Value>,
    /// Connections that it had.
    connections: usize,
}

type Tls = StreamOwned<ServerConnection, TcpStream>;

/// A server that plays its acts, one a connection, and takes everything afterwards.
struct Server {
    port: u16,
    got: Arc<Mutex<Got>>,
}

struct Keys {
    dir: tempfile::TempDir,
    config: Arc<ServerConfig>,
}

const SECRET: &str = "0123456789abcdef0123456789abcdef";

impl Keys {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        std::fs::write(dir.path().join("ca.pem"), made.cert.pem()).expect("written");
        let secret = dir.path().join("secret");
        std::fs::write(&secret, format!("{SECRET}\n")).expect("written");
        std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).expect("private");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .expect("a server");
        Self { dir, config: Arc::new(config) }
    }

    fn delivery(&self, name: &str, kind: DeliveryKind, port: u16) -> Delivery {
        let webhook = kind == DeliveryKind::Webhook;
        Delivery {
            name: name.parse().expect("a name"),
            kind,
            url: webhook.then(|| format!("https://localhost:{port}/hook")),
            address: (!webhook).then(|| format!("localhost:{port}")),
            secret_file: webhook.then(|| self.dir.path().join("secret")),
            ca: Some(self.dir.path().join("ca.pem")),
            certificate: None,
            private_key: None,
            what: vec![What::Audit, What::Alerts],
            include_imsi: true,
            close_notify: true,
            enterprise: 32473,
        }
    }
}

impl Server {
    fn start(keys: &Keys, kind: DeliveryKind, acts: &[Act]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let got: Arc<Mutex<Got>> = Arc::default();
        let (config, mine) = (keys.config.clone(), got.clone());
        let acts = Mutex::new(acts.iter().copied().collect::<VecDeque<Act>>());
        thread::spawn(move || {
            for tcp in listener.incoming() {
                let Ok(tcp) = tcp else { return };
                let act = acts.lock().expect("whole").pop_front().unwrap_or(Act::Take);
                let (config, got) = (config.clone(), mine.clone());
                got.lock().expect("whole").connections += 1;
                thread::spawn(move || {
                    let connection = ServerConnection::new(config).expect("a connection");
                    let tls = StreamOwned::new(connection, tcp);
                    // A client that gives up is no failure of the server.
                    drop(match kind {
                        DeliveryKind::Webhook => webhook(tls, act, &got),
                        DeliveryKind::Syslog => syslog(tls, act, &got),
                    });
                });
            }
        });
        Self { port, got }
    }

    fn got(&self) -> Got {
        self.got.lock().expect("whole").clone()
    }

    /// Numbers of what arrived, each where it arrived first.
    fn first_seen(&self) -> Vec<u64> {
        let mut seen = Vec::new();
        for i in self.got().items {
            let n = i["seq"].as_u64().expect("a number");
            if !seen.contains(&n) {
                seen.push(n);
            }
        }
        seen
    }
}

fn webhook(mut s: Tls, act: Act, got: &Mutex<Got>) -> std::io::Result<()> {
    let mut text = Vec::new();
    let mut chunk = [0u8; 4096];
    let head = loop {
        let n = s.read(&mut chunk)?;
        text.extend_from_slice(&chunk[..n]);
        if act == Act::Die {
            return Ok(());
        }
        if let Some(at) = text.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let headers = String::from_utf8(text[..head].to_vec()).expect("text");
    let header = |name: &str| {
        let mut lines = headers.lines().filter_map(|l| l.split_once(": "));
        lines.find(|(k, _)| k.eq_ignore_ascii_case(name)).map(|(_, v)| v.to_owned()).unwrap_or_default()
    };
    let length: usize = header("content-length").parse().expect("a length");
    while text.len() < head + length {
        let n = s.read(&mut chunk)?;
        text.extend_from_slice(&chunk[..n]);
    }
    let body = &text[head..];
    // Both signatures, as a receiver would check them.
    let signed = [header("sekisho-timestamp").as_bytes(), b".", body].concat();
    let mac = <hmac::Hmac<sha2::Sha256> as hmac::KeyInit>::new_from_slice(SECRET.as_bytes()).expect("a key");
    let right = types::hex(&mac.chain_update(&signed).finalize().into_bytes());
    assert_eq!(header("sekisho-signature"), format!("hmac-sha256={right}"));
    let (key, signature) = (header("sekisho-public-key"), header("sekisho-signature-ed25519"));
    assert!(signing::verify(&key, Purpose::Delivery, &signed, &signature));
    assert!(!signing::verify(&key, Purpose::Delivery, body, &signature), "the time is signed too");

    let v: Value = serde_json::from_slice(body).expect("JSON");
    let answer: &[u8] = match act {
        Act::Refuse => b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n",
        Act::Hang => {
            thread::sleep(Duration::from_secs(20));
            return Ok(());
        }
        Act::Cut => {
            keep(got, v["items"].as_array().expect("items"));
            return Ok(());
        }
        Act::Dawdle | Act::Take | Act::Die => {
            if act == Act::Dawdle {
                thread::sleep(Duration::from_millis(400));
            }
            keep(got, v["items"].as_array().expect("items"));
            b"HTTP/1.1 204 No Content\r\n\r\n"
        }
    };
    s.write_all(answer)?;
    s.flush()
}

fn syslog(mut s: Tls, act: Act, got: &Mutex<Got>) -> std::io::Result<()> {
    let mut text = Vec::new();
    if act == Act::Die {
        s.read_exact(&mut [0u8; 10])?;
        return Ok(());
    }
    // Ends with the sender's close_notify; an end without it is an error here.
    s.read_to_end(&mut text)?;
    let mut items = Vec::new();
    let mut rest = text.as_slice();
    while let Some(space) = rest.iter().position(|b| *b == b' ') {
        let n: usize = std::str::from_utf8(&rest[..space]).expect("digits").parse().expect("a length");
        let message = std::str::from_utf8(&rest[space + 1..space + 1 + n]).expect("UTF-8");
        let field = |k: &str| {
            let from = message.find(&format!(" {k}=\"")).map(|i| &message[i + k.len() + 3..])?;
            from.split('"').next().map(ToOwned::to_owned)
        };
        let (_, body) = message.split_once('\u{feff}').expect("a body");
        let seq: u64 = field("seq").expect("a number").parse().expect("a number");
        let kind = message.split(' ').nth(5).expect("MSGID");
        let body: Value = serde_json::from_str(body).expect("JSON");
        items.push(serde_json::json!({ "seq": seq, "kind": kind, "body": body }));
        rest = &rest[space + 1 + n..];
    }
    match act {
        Act::Refuse => return Ok(()),
        Act::Hang => {
            thread::sleep(Duration::from_secs(20));
            return Ok(());
        }
        Act::Dawdle => thread::sleep(Duration::from_millis(400)),
        Act::Take | Act::Die | Act::Cut => {}
    }
    keep(got, &items);
    if act == Act::Cut {
        return Ok(());
    }
    s.conn.send_close_notify();
    s.conn.complete_io(&mut s.sock).map(drop)
}

fn keep(got: &Mutex<Got>, items: &[Value]) {
    got.lock().expect("whole").items.extend(items.iter().cloned());
}

fn fast() -> Pace {
    Pace {
        look: Duration::from_millis(20),
        first_pause: Duration::from_millis(20),
        longest_pause: Duration::from_millis(100),
        alert: Duration::from_millis(150),
        most: 100_000,
    }
}

struct World {
    store: Store,
    keys: Keys,
    told: Arc<Mutex<Vec<Event>>>,
    _dir: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let url = format!("sqlite:{}", dir.path().join("s.db").display());
        let store = Store::open(&url).await.expect("opened");
        Self { store, keys: Keys::new(), told: Arc::default(), _dir: dir }
    }

    fn start(&self, to: &[Delivery], pace: Pace) -> Deliveries {
        let signer = Signer::from_seed([9; 32]);
        let told = self.told.clone();
        Deliveries::start(to, "node-1", &signer, &self.store, pace, move |e| {
            told.lock().expect("whole").push(e)
        })
    }

    /// `n` audit rows and an alert behind them.
    async fn happen(&self, n: u32) {
        for i in 0..n {
            let detail = serde_json::json!({ "text": "x".repeat(2_000), "no": i });
            let change = Change::by_system("init", Utc(1_800_000_000_000));
            self.store
                .audit_note(&change, "token.use", format!("x:{i}"), Some(detail))
                .await
                .expect("written");
        }
        let alert = NewAlert {
            at: Utc(1_800_000_000_000),
            kind: AlertKind::BannedReuse,
            severity: Severity::Critical,
            imsi: "001010000000001".parse().ok(),
            subject: format!("{n} {}", self.store.last_outbox().await.expect("read")),
            what: Value::Null,
        };
        self.store.append_events_and_alerts(vec![], vec![alert]).await.expect("raised");
    }
}

/// Waits until it is so; a test that waits in vain fails with what it saw.
async fn until(what: &str, is: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !is() {
        assert!(Instant::now() < end, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn everything_arrives(kind: DeliveryKind) {
    let w = World::new().await;
    let acts = [Act::Die, Act::Refuse, Act::Cut, Act::Take, Act::Dawdle, Act::Die, Act::Cut];
    let server = Server::start(&w.keys, kind, &acts);
    let deliveries = w.start(&[w.keys.delivery("soc", kind, server.port)], fast());
    // It begins with what comes once it is known.
    until("the destination begins", || deliveries.status()[0].last_ok.is_some()).await;
    w.happen(250).await;
    w.happen(3).await;
    let last = w.store.last_outbox().await.expect("read");
    assert_eq!(last, 255);
    until("everything arrives", || server.first_seen().len() as u64 == last).await;
    assert_eq!(server.first_seen(), (1..=last).collect::<Vec<_>>(), "in its order");
    let got = server.got();
    assert!(got.items.len() as u64 > last, "what was cut was sent again");
    assert!(got.connections >= acts.len(), "{} connections", got.connections);
    assert_eq!(got.items.iter().filter(|i| i["kind"] == "gap").count(), 0);
    let alert = got.items.iter().find(|i| i["kind"] == "alert").expect("an alert");
    assert_eq!(alert["body"]["imsi"], "001010000000001");
    let row = got.items.iter().find(|i| i["seq"] == 7).expect("row 7");
    assert_eq!(row["body"]["after"]["no"], 6, "the row as it stands in the audit");

    until("it says so", || deliveries.status()[0].seq == last).await;
    let kept = w.store.delivery("soc").await.expect("read").expect("there");
    assert_eq!((kept.seq, kept.items, kept.lost), (last, last, 0));
    // What everybody has need not be kept.
    let store = w.store.clone();
    let end = Instant::now() + Duration::from_secs(10);
    while store.oldest_outbox().await.expect("read").is_some() {
        assert!(Instant::now() < end, "the outbox is pruned");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_arrives_at_a_webhook_that_dies_refuses_dawdles_and_cuts() {
    everything_arrives(DeliveryKind::Webhook).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_arrives_at_a_syslog_receiver_that_dies_dawdles_and_cuts() {
    everything_arrives(DeliveryKind::Syslog).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_hangs_holds_no_other_and_somebody_is_told_of_one_that_is_away() {
    let w = World::new().await;
    let hangs = Server::start(&w.keys, DeliveryKind::Webhook, &[Act::Hang; 50]);
    let good = Server::start(&w.keys, DeliveryKind::Syslog, &[]);
    // Bound and closed again: nobody listens there.
    let away = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let to = [
        w.keys.delivery("hangs", DeliveryKind::Webhook, hangs.port),
        w.keys.delivery("good", DeliveryKind::Syslog, good.port),
        w.keys.delivery("away", DeliveryKind::Webhook, away),
    ];
    let deliveries = w.start(&to, fast());
    until("they begin", || deliveries.status().iter().all(|s| s.last_ok.is_some())).await;
    let began = Instant::now();
    w.happen(120).await;
    until("the good one has everything", || good.first_seen().len() == 121).await;
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    until("somebody is told", || !w.told.lock().expect("whole").is_empty()).await;
    let told = w.told.lock().expect("whole").clone();
    assert!(
        matches!(&told[0].what, Happening::DeliveryFailing { destination, .. } if destination == "away"),
        "{told:?}"
    );
    let status = deliveries.status();
    let of = |n: &str| status.iter().find(|s| s.name == n).expect("there");
    assert!(of("away").error.as_ref().is_some_and(|e| !e.is_empty()) && of("good").error.is_none());
    assert_eq!(of("hangs").items, 0);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(w.told.lock().expect("whole").len(), 1, "once, not at every try");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_dropped_for_one_that_was_away_is_counted_to_it() {
    let w = World::new().await;
    let begun = store::DeliveryRow { name: "soc".to_owned(), seq: 0, items: 0, lost: 0, at: Utc(0) };
    w.store.delivered(begun).await.expect("written");
    w.happen(119).await;
    // It is away; what is too much goes.
    let names = ["soc".to_owned()];
    assert_eq!(super::task::prune(&w.store, &names, 40).await.expect("pruned"), 80);
    assert_eq!(super::task::prune(&w.store, &names, 40).await.expect("pruned"), 0);
    let server = Server::start(&w.keys, DeliveryKind::Syslog, &[]);
    let deliveries = w.start(&[w.keys.delivery("soc", DeliveryKind::Syslog, server.port)], fast());
    until("the rest arrives", || server.first_seen().last() == Some(&120)).await;
    let got = server.got().items;
    assert_eq!((&got[0]["kind"], &got[0]["body"]["count"]), (&"gap".into(), &80.into()));
    assert_eq!((&got[0]["body"]["first"], &got[0]["body"]["last"]), (&1.into(), &80.into()));
    assert_eq!(server.first_seen(), (80..=120).collect::<Vec<_>>(), "the gap, and everything behind it");
    until("it says so", || deliveries.status()[0].lost == 80).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_destination_goes_on_where_it_was_and_gets_only_what_it_wants() {
    let w = World::new().await;
    let server = Server::start(&w.keys, DeliveryKind::Webhook, &[]);
    let mut to = w.keys.delivery("soc", DeliveryKind::Webhook, server.port);
    to.what = vec![What::Alerts];
    to.include_imsi = false;
    w.store
        .delivered(store::DeliveryRow { name: "soc".to_owned(), seq: 0, items: 0, lost: 0, at: Utc(0) })
        .await
        .expect("written");
    w.happen(5).await;
    // As after a restart: a new task finds its place in the database.
    let deliveries = w.start(&[to], fast());
    until("the alert arrives", || server.got().items.len() == 1).await;
    until("it has passed over the rest", || deliveries.status()[0].seq == 6).await;
    let items = server.got().items;
    assert_eq!((&items[0]["seq"], &items[0]["kind"]), (&6.into(), &"alert".into()));
    let imsi = items[0]["body"]["imsi"].as_str().expect("a name");
    assert!(imsi.starts_with("p-") && !items[0].to_string().contains("001010000000001"), "{imsi}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_is_not_trusted_gets_nothing() {
    let w = World::new().await;
    let other = Keys::new();
    for kind in [DeliveryKind::Webhook, DeliveryKind::Syslog] {
        let server = Server::start(&other, kind, &[]);
        let d = super::Destination::open(
            &w.keys.delivery("soc", kind, server.port),
            "n",
            &Signer::from_seed([1; 32]),
        )
        .expect("opened");
        let (sent, reached) =
            tokio::task::spawn_blocking(move || (d.send(&[super::item::Item::test(Utc(0))]), d.reach()))
                .await
                .expect("ran");
        assert!(sent.is_err() && reached.is_err(), "{sent:?} {reached:?}");
        assert_eq!(server.got().items.len(), 0);
    }
}

#[test]
fn a_secret_that_others_can_read_or_that_is_short_is_refused_with_the_fix() {
    let keys = Keys::new();
    let open = |d: &Delivery| {
        super::Destination::open(d, "n", &Signer::from_seed([1; 32])).err().map(|e| format!("{e:#}"))
    };
    let d = keys.delivery("soc", DeliveryKind::Webhook, 1);
    assert_eq!(open(&d), None);
    let file: &Path = d.secret_file.as_deref().expect("a file");
    std::fs::set_permissions(file, PermissionsExt::from_mode(0o644)).expect("opened up");
    assert!(open(&d).expect("refused").contains("chmod 600"));
    std::fs::write(file, "short").expect("written");
    std::fs::set_permissions(file, PermissionsExt::from_mode(0o600)).expect("private");
    let why = open(&d).expect("refused");
    assert!(why.contains("16 octets") && !why.contains("short"), "{why}");
}
