//! An app with names, reached by a real TLS client over real TCP, through the gateway's process to a real TLS server:
//! who may, who is reset, and what is left after a kill −9 in the middle.

use super::bulk::{FOUR, attach, elsewhere, lay_cable_to, pattern, radio};
use super::*;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, Stream};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc;

const NAME: &str = "portal.example.jp";
const PORT: u16 = 443;
const BLOCKS: usize = 32;

/// The server's certificate, for its own name and one that the policy does not list.
struct Identity {
    certificate: CertificateDer<'static>,
    key: Vec<u8>,
}

fn identity() -> Identity {
    let names = vec![NAME.to_owned(), "evil.example.jp".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    Identity { certificate: made.cert.der().clone(), key: made.signing_key.serialize_der() }
}

/// The server: whoever gets through the handshake and says `d` gets data, `e` data without end. `heard` counts the
/// connections of which it heard any octet at all.
fn serve(identity: &Identity, listens: &dyn Fn(), heard: &Arc<AtomicU64>) {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = PrivateKeyDer::Pkcs8(identity.key.clone().into());
    let config =
        builder.with_no_client_auth().with_single_cert(vec![identity.certificate.clone()], key).unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind((APP, PORT)).unwrap();
    listens();
    for stream in listener.incoming() {
        let (mut stream, config, heard) = (stream.unwrap(), Arc::clone(&config), Arc::clone(heard));
        thread::spawn(move || {
            if stream.peek(&mut [0]).is_ok_and(|n| n > 0) {
                heard.fetch_add(1, Ordering::SeqCst);
            }
            let mut tls = ServerConnection::new(config).unwrap();
            let mut tls = Stream::new(&mut tls, &mut stream);
            let mut way = [0];
            if tls.read_exact(&mut way).is_err() {
                return;
            }
            let block = pattern();
            for n in 0.. {
                if (way == *b"d" && n == BLOCKS) || tls.write_all(&block).is_err() {
                    return;
                }
            }
        });
    }
}

/// A stream whose octets leave in segments of at most so many.
struct Pieces(TcpStream, usize);

impl Read for Pieces {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.0.read(out)
    }
}

impl Write for Pieces {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.write(&octets[..octets.len().min(self.1)])
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The client: a TLS connection as the UE's programs make it.
struct Client {
    roots: RootCertStore,
}

impl Client {
    fn tls(&self, name: &str, sni: bool) -> ClientConnection {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = builder.with_root_certificates(self.roots.clone()).with_no_client_auth();
        config.enable_sni = sni;
        ClientConnection::new(Arc::new(config), ServerName::try_from(name.to_owned()).unwrap()).unwrap()
    }

    /// Connects; its octets leave `of` at a time.
    fn connect(of: usize) -> Pieces {
        let stream =
            TcpStream::connect_timeout(&SocketAddr::from((APP, PORT)), SOON).expect("the handshake passes");
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        Pieces(stream, of)
    }

    /// Fetches the data by this name.
    fn fetch(&self, name: &str, sni: bool, of: usize) -> io::Result<()> {
        let (mut tls, mut stream) = (self.tls(name, sni), Self::connect(of));
        fetch(&mut tls, &mut stream)
    }
}

fn fetch(tls: &mut ClientConnection, stream: &mut Pieces) -> io::Result<()> {
    let mut stream = Stream::new(tls, stream);
    stream.write_all(b"d")?;
    let (wanted, mut block) = (pattern(), pattern());
    for _ in 0..BLOCKS {
        stream.read_exact(&mut block)?;
        assert!(block == wanted, "octets were changed on the way");
    }
    Ok(())
}

/// The next octets must not come: the connection was reset.
fn is_reset(stream: &mut Pieces) {
    let end = stream.read(&mut [0; 64]).expect_err("a reset");
    assert_eq!(end.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_tls_client_passes_by_the_right_name_only() {
    in_a_namespace("story::names::a_tls_client_passes_by_the_right_name_only", || {
        let mut site = Site::build(2);
        let identity = identity();
        let mut roots = RootCertStore::empty();
        roots.add(identity.certificate.clone()).unwrap();
        let heard = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&heard);
        lay_cable_to(&FOUR, "10.50.0.254/24", move |listens| serve(&identity, listens, &counter));

        let gnb = site.gnb.try_clone().unwrap();
        let (teid, down) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU64::new(0)));
        let (tunnel, packets) = (Arc::clone(&teid), Arc::clone(&down));
        let (go, next) = mpsc::channel::<()>();
        let (say, step) = mpsc::channel::<&'static str>();
        let ue = elsewhere(move || {
            next.recv().unwrap();
            let tun = DeviceBuilder::new().name("ue0").mtu(1400).build_sync().unwrap();
            attach("ue0", &format!("{UE}/32"), Some("10.50.0.0/16"));
            radio(Arc::new(tun), gnb, tunnel, packets);
            let client = Client { roots };
            // Whole, and in pieces of which none has the name.
            for of in [usize::MAX, 7] {
                client.fetch(NAME, true, of).expect("the right name passes, and what it fetches comes whole");
            }
            for (name, sni) in [("evil.example.jp", true), (NAME, false)] {
                let refused = client.fetch(name, sni, usize::MAX).expect_err(name);
                assert_eq!(refused.kind(), ErrorKind::ConnectionReset, "{name}: {refused}");
            }
            let mut plain = Client::connect(usize::MAX);
            plain.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
            is_reset(&mut plain);

            // One that has been let through, and one in the middle of its hello; then the gateway is killed.
            let (mut tls, mut through) = (client.tls(NAME, true), Client::connect(usize::MAX));
            while tls.is_handshaking() {
                tls.complete_io(&mut through).unwrap();
            }
            let (mut half, mut hello) = (Client::connect(usize::MAX), Vec::new());
            client.tls(NAME, true).write_tls(&mut hello).unwrap();
            half.write_all(&hello[..60]).unwrap();
            say.send("half").unwrap();
            next.recv().unwrap();
            half.write_all(&hello[60..]).unwrap();
            is_reset(&mut half);
            let lost = fetch(&mut tls, &mut through).expect_err("nobody has judged it");
            assert_eq!(lost.kind(), ErrorKind::ConnectionReset);
            client.fetch(NAME, true, usize::MAX).expect("anew it passes");

            // A ban under way, and in the middle of a hello.
            let mut half = Client::connect(usize::MAX);
            half.write_all(&hello[..60]).unwrap();
            let (mut tls, mut endless) = (client.tls(NAME, true), Client::connect(usize::MAX));
            let mut stream = Stream::new(&mut tls, &mut endless);
            stream.write_all(b"e").unwrap();
            stream.read_exact(&mut vec![0; 1 << 20]).unwrap();
            say.send("endless").unwrap();
            next.recv().unwrap();
            half.write_all(&hello[60..]).unwrap();
            half.0.set_read_timeout(Some(NEVER)).unwrap();
            assert_eq!(half.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        });

        let flows = {
            let mut control = site.start();
            control.associate();
            control.publish_policy(1);
            teid.store(control.establish().unwrap(), Ordering::SeqCst);
            go.send(()).unwrap();
            assert_eq!(step.recv().expect("the UE gave up"), "half");
            assert_eq!(heard.load(Ordering::SeqCst), 3, "of the refused ones the server heard no octet");
            let begin = Instant::now();
            while control.flows.iter().filter(|f| f.verdict == Verdict::Reject).count() < 3 {
                assert!(begin.elapsed() < SOON, "{:?}", control.flows);
                let names: u64 = control.status().shards.iter().map(|s| s.counters.names_read).sum();
                assert_eq!(names, 3);
            }
            std::mem::take(&mut control.flows)
        };
        let refused = |reason, name: Option<&str>| {
            let is = |f: &&FlowRecord| f.reason == reason && f.name.as_ref().map(|n| n.as_str()) == name;
            assert_eq!(flows.iter().filter(is).count(), 1, "{reason} {name:?}: {flows:?}");
        };
        refused(types::Reason::OtherServerName, Some("evil.example.jp"));
        refused(types::Reason::NoServerName, None);
        refused(types::Reason::NotTls, None);
        site.kill();

        let mut control = site.start();
        control.associate();
        control.publish_policy(1);
        teid.store(control.establish().unwrap(), Ordering::SeqCst);
        go.send(()).unwrap();
        assert_eq!(step.recv().expect("the UE gave up"), "endless");
        assert_eq!(heard.load(Ordering::SeqCst), 5, "of the half hello the server heard nothing");
        let receipt = control.cut();
        // What the kernel held for the radio when the cut was confirmed is read within a moment.
        thread::sleep(Duration::from_millis(100));
        let after = down.load(Ordering::Relaxed);
        go.send(()).unwrap();
        ue.join().unwrap();
        assert_eq!(down.load(Ordering::Relaxed), after, "something came after the cut");
        assert_eq!(heard.load(Ordering::SeqCst), 5);
        assert!(control.trace().last_packet <= Some(receipt.cut_at));
        assert_eq!(control.status().shards.iter().map(|s| s.io.panics).sum::<u64>(), 0);
    });
}
