//! Every way in: freeDiameter by TCP, TLS and the kernel's SCTP, an MME of our own by userspace SCTP, and who
//! shows whose certificate.

use super::*;
use crate::{
    control::s6a::Wiring,
    io::{
        diameter::Tls,
        sctp::{Sctp, SctpCommand, SctpConfig, SctpEvent, SctpMode, probe},
    },
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// An authority, and files of what it has signed.
struct Authority {
    dir: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new(vec![]).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer =
            CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signed");
        let this = Self { dir: tempfile::tempdir().expect("a directory"), issuer };
        std::fs::write(this.ca(), this.issuer.pem()).expect("written");
        this
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn ca(&self) -> PathBuf {
        self.at("ca.pem")
    }

    /// Certificate and key of who has this name.
    fn signed(&self, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        let cert = params.signed_by(&key, &self.issuer).expect("signed");
        let (c, k) = (self.at(&format!("{name}.pem")), self.at(&format!("{name}.key")));
        std::fs::write(&c, cert.pem()).expect("written");
        std::fs::write(&k, key.serialize_pem()).expect("written");
        (c, k)
    }

    /// A way in at the site, by TLS.
    async fn way_in(&self, w: &Site) -> u16 {
        let (c, k) = self.signed("hss.example");
        let tls = Tls::new(&c, &k, &self.ca()).expect("usable");
        w.door.tls("127.0.0.1:0".parse().expect("an address"), tls).await.expect("a socket").port()
    }

    /// Connects there, and shows the certificate of this name, or none.
    async fn knock(&self, port: u16, name: Option<&str>) -> std::io::Result<TlsStream<TcpStream>> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.ca()).expect("read")).expect("an authority");
        let builder =
            rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .expect("versions")
                .with_root_certificates(roots);
        let config = match name.map(|n| self.signed(n)) {
            Some((c, k)) => {
                let cert = CertificateDer::from_pem_file(c).expect("read");
                builder
                    .with_client_auth_cert(vec![cert], PrivateKeyDer::from_pem_file(k).expect("read"))
                    .expect("they fit")
            }
            None => builder.with_no_client_auth(),
        };
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        let hss = ServerName::try_from("hss.example").expect("a name");
        TlsConnector::from(Arc::new(config)).connect(hss, stream).await
    }
}

/// freeDiameter, which connects to us.
struct FreeDiameter {
    child: Child,
    log: PathBuf,
    _dir: TempDir,
}

impl FreeDiameter {
    /// `None` where it is not installed. `way` is how it connects, in its own words.
    fn start(identity: &str, (cert, key): (&Path, &Path), ca: &Path, way: &str) -> Option<Self> {
        let dir = tempfile::tempdir().expect("a directory");
        let (conf, log) = (dir.path().join("fd.conf"), dir.path().join("fd.log"));
        // Its shortest watchdog, and no port of its own.
        let text = format!(
            "Identity = \"{identity}\";\nRealm = \"example\";\nPort = 0;\nSecPort = 0;\nTwTimer = 6;\n\
             TLS_Cred = \"{}\", \"{}\";\nTLS_CA = \"{}\";\n\
             ConnectPeer = \"hss.example\" {{ ConnectTo = \"127.0.0.1\"; {way} }};\n",
            cert.display(),
            key.display(),
            ca.display(),
        );
        std::fs::write(&conf, text).expect("written");
        let file = std::fs::File::create(&log).expect("a file");
        let child = Command::new("freeDiameterd")
            .arg("-c")
            .arg(&conf)
            .stdin(Stdio::null())
            .stdout(file.try_clone().expect("a file"))
            .stderr(file)
            .spawn();
        let Ok(child) = child else {
            missing("freeDiameterd");
            return None;
        };
        Some(Self { child, log, _dir: dir })
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// It comes, its watchdog is answered, and it takes its leave.
    async fn lives(mut self, w: &mut Site, identity: &str) {
        fn wiring(w: &Site) -> &Wiring {
            w.control.s6a.as_ref().expect("MMEs are configured")
        }
        let is_up = |w: &Site| wiring(w).mmes().any(|m| m.as_str() == identity);
        w.until(|w| is_up(w)).await;
        // Its question, and our answer to it, or it would call us suspect and let us go.
        let heard = wiring(w).messages();
        w.until(|w| wiring(w).messages() >= heard + 2).await;
        assert!(is_up(w) && !self.said().contains("SUSPECT"), "{}", self.said());
        crate::supervisor::signal(self.child.id() as i32, libc::SIGTERM);
        w.until(|w| !is_up(w)).await;
        let ended = self.child.wait().expect("it ends");
        assert!(ended.success() || ended.code().is_some(), "{ended}");
        assert!(self.said().contains("STATE_OPEN"), "{}", self.said());
    }
}

impl Drop for FreeDiameter {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.said());
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test]
async fn freediameter_connects_is_watched_and_says_goodbye() {
    let mut w = Site::new().await;
    let ours = Authority::new();
    let (c, k) = ours.signed("mme1.example");
    let way = format!("Port = {}; No_TLS; No_SCTP;", w.s6a_at.port());
    let Some(peer) = FreeDiameter::start("mme1.example", (&c, &k), &ours.ca(), &way) else { return };
    peer.lives(&mut w, "mme1.example").await;
}

#[tokio::test]
async fn freediameter_shows_its_certificate_and_sees_ours() {
    let mut w = Site::new().await;
    let ours = Authority::new();
    let port = ours.way_in(&w).await;
    let (c, k) = ours.signed("sealed.example");
    let way = format!("Port = {port}; No_SCTP;");
    let Some(peer) = FreeDiameter::start("sealed.example", (&c, &k), &ours.ca(), &way) else { return };
    peer.lives(&mut w, "sealed.example").await;
}

#[tokio::test]
async fn a_certificate_lets_in_who_it_names_and_nobody_else() {
    let mut w = Site::new().await;
    let ours = Authority::new();
    let port = ours.way_in(&w).await;
    let over = |s, host: &str| Line::over(s, host, 1, Manners::Yes, mpsc::unbounded_channel().0);

    let mut sealed = over(ours.knock(port, Some("sealed.example")).await.expect("shown"), "sealed.example");
    assert_eq!(sealed.next(&mut w).await, News::Up(result::SUCCESS));
    sealed.attach(&mut w, 1).await;
    // A good certificate of another; and none, by a connection that asks for none.
    let mut other = over(ours.knock(port, Some("mme1.example")).await.expect("shown"), "sealed.example");
    assert_eq!(other.next(&mut w).await, News::Up(result::UNKNOWN_PEER));
    let mut plain = Line::to(&w, "sealed.example", 2, Manners::Yes).await;
    assert_eq!(plain.next(&mut w).await, News::Up(result::UNKNOWN_PEER));
    w.seen(|h| matches!(h, Happening::MmeRefused { claimed, .. } if claimed == "sealed.example")).await;
    // Who needs none is served with one, under its own name.
    let mut mme1 = over(ours.knock(port, Some("mme1.example")).await.expect("shown"), "mme1.example");
    assert_eq!(mme1.next(&mut w).await, News::Up(result::SUCCESS));

    // Another authority's, and none at all: TLS 1.3 tells a client at its first reading. No connection is told of.
    let before = w.door.begun();
    let theirs = Authority::new();
    std::fs::copy(ours.ca(), theirs.ca()).expect("it knows us");
    for name in [Some("sealed.example"), None] {
        if let Ok(mut s) = theirs.knock(port, name).await {
            s.write_all(&[0; 20]).await.ok();
            assert!(s.read_u8().await.is_err(), "{name:?}");
        }
    }
    assert_eq!(w.door.begun(), before);
    assert!(sealed.silent(), "who was there stays");
}

/// A stream whose messages go by SCTP.
fn by_sctp(port: u16, mode: SctpMode) -> DuplexStream {
    let (near, mut far) = tokio::io::duplex(1 << 16);
    let config = SctpConfig::new(mode, "127.0.0.1".parse().expect("an address"), 0, vec![]);
    let to = std::net::SocketAddr::from(([127, 0, 0, 1], port));
    let (mut handle, assoc) =
        Sctp::connect(config, to, gateway::sys::random().expect("random")).expect("a socket");
    tokio::spawn(async move {
        // What the MME writes at once is read at once, and is one message.
        let mut buffer = Vec::with_capacity(1 << 16);
        let mut up = false;
        loop {
            tokio::select! {
                e = handle.events.recv() => match e {
                    Some(SctpEvent::Up { .. }) => up = true,
                    Some(SctpEvent::Data { bytes, .. }) => far.write_all(&bytes).await.expect("taken"),
                    Some(SctpEvent::Down { reason, .. }) => return eprintln!("an MME's association is down: {reason}"),
                    None => return,
                },
                n = far.read_buf(&mut buffer), if up => {
                    if !matches!(n, Ok(1..)) {
                        return drop(handle.commands.send(SctpCommand::Close { assoc }).await);
                    }
                    let bytes = buffer.clone();
                    buffer.clear();
                    handle.commands.send(SctpCommand::Send { assoc, stream: 0, ppid: 46, bytes }).await.expect("taken");
                }
            }
        }
    });
    near
}

#[tokio::test]
async fn an_mme_comes_by_sctp_and_loses_its_association_by_a_lie_about_a_length() {
    let mut w = Site::new().await;
    let mode = SctpMode::Udp { port: free_port() };
    let allowed = vec!["127.0.0.1/32".parse().expect("a prefix")];
    let at = "127.0.0.1".parse().expect("an address");
    w.door.sctp(SctpConfig::new(mode, at, 3_868, allowed)).expect("a socket");
    let over = |host| Line::over(by_sctp(3_868, mode), host, 1, Manners::Yes, mpsc::unbounded_channel().0);
    let mut mme = over("mme1.example");
    assert_eq!(mme.next(&mut w).await, News::Up(result::SUCCESS));
    mme.attach(&mut w, 1).await;
    let r = ban(&mut w, 1, "req-1").await;
    assert!(!waits(&r).is_empty());
    assert_eq!(mme.next(&mut w).await, News::Cancelled(imsi(1), WITHDRAWN));

    // One octet more than it says; longer than anything; no Diameter at all.
    for lie in [vec![1, 0, 0, 20, 0x80], vec![1, 0xff, 0xff, 0xfc], b"GET / HTTP/1.1\r\n\r\n".to_vec()] {
        let mut mme = over("mme2.example");
        assert_eq!(mme.next(&mut w).await, News::Up(result::SUCCESS), "{lie:x?}");
        assert_eq!(mme.ask(&mut w, Order::Raw(lie)).await, News::Down);
    }
    assert_eq!(mme.ask(&mut w, Order::Authenticate(imsi(2))).await, News::Vector(imsi(2), true));
}

fn free_port() -> u16 {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    socket.local_addr().expect("bound").port()
}

/// Where this machine's kernel has no SCTP, the same test runs on one that has.
#[tokio::test]
async fn freediameter_comes_by_the_kernels_sctp() {
    if !probe().kernel {
        if !Path::new("/usr/bin/linux.uml").exists() {
            return missing("linux.uml");
        }
        let uml = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judges/uml.sh");
        let me = std::env::current_exe().expect("this test");
        let test = "control::s6a::tests::transports::freediameter_comes_by_the_kernels_sctp";
        // freeDiameter starts only where it has an address that is not 127.0.0.1.
        let script = format!(
            "ip link add v0 type veth peer name v1 && ip addr add 192.0.2.9/24 dev v0 && \
             ip link set v1 up && ip link set v0 up && exec '{}' {test} --exact --nocapture",
            me.display()
        );
        let ran = Command::new(uml).args(["--", "sh", "-c", &script]).output();
        let ran = ran.expect("started");
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
        return assert!(said.contains("1 passed"), "{said}");
    }
    let mut w = Site::new().await;
    let allowed = vec!["127.0.0.1/32".parse().expect("a prefix")];
    let at = "127.0.0.1".parse().expect("an address");
    w.door.sctp(SctpConfig::new(SctpMode::Kernel, at, 3_868, allowed)).expect("a socket");
    let ours = Authority::new();
    let (c, k) = ours.signed("mme1.example");
    let Some(peer) =
        FreeDiameter::start("mme1.example", (&c, &k), &ours.ca(), "Port = 3868; No_TLS; No_TCP;")
    else {
        return;
    };
    peer.lives(&mut w, "mme1.example").await;
}
