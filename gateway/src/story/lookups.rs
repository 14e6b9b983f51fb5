//! An app by look-ups, through the gateway's process: a program of the UE asks the company's resolver over a real socket, and
//! reaches what it was told, by what is no TLS. After a kill −9 of the gateway it has to ask again.

use super::bulk::{FOUR, attach, elsewhere, lay_cable_to, radio};
use super::*;
use pgw_policy::command::LearnedName;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc;

const NAME: &str = "dB.example.JP";
const PORT: u16 = 5432;

/// A question for the address of [`NAME`].
fn question(id: u16) -> Vec<u8> {
    let mut q = id.to_be_bytes().to_vec();
    q.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in NAME.split('.') {
        q.push(label.len() as u8);
        q.extend(label.as_bytes());
    }
    q.extend([0, 0, 1, 0, 1]);
    q
}

/// The resolver's and the database's machine.
fn serve(listens: &dyn Fn()) {
    let database = TcpListener::bind((APP, PORT)).unwrap();
    thread::spawn(move || {
        for stream in database.incoming() {
            stream.unwrap().write_all(b"ready").unwrap();
        }
    });
    let resolver = UdpSocket::bind((APP, 53)).unwrap();
    listens();
    let mut octets = [0; 512];
    loop {
        let (n, from) = resolver.recv_from(&mut octets).unwrap();
        let mut told = octets[..n].to_vec();
        // An answer, with one record behind the question.
        (told[2], told[3], told[7]) = (0x81, 0x80, 1);
        told.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 200, 0, 4]);
        told.extend(APP.octets());
        resolver.send_to(&told, from).unwrap();
    }
}

/// What the database says to whoever connects.
fn greeting() -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((APP, PORT)), SOON)?;
    stream.set_read_timeout(Some(SOON))?;
    let mut said = Vec::new();
    stream.read_to_end(&mut said).map(|_| said)
}

fn look_up(id: u16) {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.set_read_timeout(Some(SOON)).unwrap();
    socket.send_to(&question(id), (APP, 53)).unwrap();
    let mut octets = [0; 512];
    let n = socket.recv(&mut octets).expect("the answer passes");
    assert_eq!(octets[n - 4..n], APP.octets());
}

#[test]
fn what_a_ue_has_looked_up_is_reached_and_forgotten_with_the_gateway() {
    in_a_namespace(
        "story::lookups::what_a_ue_has_looked_up_is_reached_and_forgotten_with_the_gateway",
        || {
            let mut site = Site::build(2);
            lay_cable_to(&FOUR, "10.50.0.254/24", serve);

            let gnb = site.gnb.try_clone().unwrap();
            let (teid, down) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU64::new(0)));
            let (tunnel, packets) = (Arc::clone(&teid), Arc::clone(&down));
            let (go, next) = mpsc::channel::<()>();
            let (say, step) = mpsc::channel::<()>();
            let ue = elsewhere(move || {
                next.recv().unwrap();
                let tun = DeviceBuilder::new().name("ue0").mtu(1400).build_sync().unwrap();
                attach("ue0", &format!("{UE}/32"), Some("10.50.0.0/16"));
                radio(Arc::new(tun), gnb, tunnel, packets);
                for id in [1, 2] {
                    let refused = greeting().expect_err("nobody has looked it up").kind();
                    assert_eq!(refused, ErrorKind::ConnectionRefused);
                    look_up(id);
                    assert_eq!(greeting().expect("it was looked up"), b"ready");
                    say.send(()).unwrap();
                    if id == 1 {
                        next.recv().unwrap();
                    }
                }
            });
            for run in [1, 2] {
                let mut control = site.start();
                control.associate();
                let network = json!({ "dnn": "office", "pool": "10.45.0.0/16", "dns": [APP] });
                control.publish_policy_with(1, network);
                teid.store(control.establish().unwrap(), Ordering::SeqCst);
                go.send(()).unwrap();
                step.recv().expect("the UE gave up");
                let names = control.looked_up();
                let [LearnedName { name, address, resolver, left_ms, .. }] = names.as_slice() else {
                    panic!("{names:?}")
                };
                assert_eq!((name.as_str(), *address, *resolver), ("db.example.jp", APP.into(), APP.into()));
                assert!((150_000..=200_000).contains(left_ms), "{left_ms}");
                assert_eq!(control.status().shards.iter().map(|s| s.counters.names_learned).sum::<u64>(), 1);
                if run == 1 {
                    drop(control);
                    site.kill();
                }
            }
            ue.join().unwrap();
        },
    );
}
