//! Bulk TCP between real kernels: an app behind a veth (so that large packets cross the TUN whole), and a UE
//! whose TUN is joined to the radio packet by packet.

use super::super::netlink::index_of;
use super::*;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc;

const PORT: u16 = 5201;
const AMOUNT: usize = 24 << 20;

/// Runs `work` on a thread that is alone in a new network namespace.
pub(super) fn elsewhere<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> thread::JoinHandle<T> {
    thread::spawn(move || {
        netns::leave_alone().unwrap();
        work()
    })
}

pub(super) fn attach(name: &str, address: &str, route: Option<&str>) {
    let mut netlink = Netlink::open().unwrap();
    let index = index_of(name).unwrap();
    netlink.set_up(index).unwrap();
    netlink.add_address(address.parse().unwrap(), index).unwrap();
    if let Some(route) = route {
        netlink.add_route(route.parse().unwrap(), index).unwrap();
    }
}

/// The app's side of the network: its address, with the subnet, and what its UEs have.
pub(super) struct Side {
    pub(super) app: IpAddr,
    pub(super) len: u8,
    pub(super) ues: &'static str,
}

pub(super) const FOUR: Side = Side { app: IpAddr::V4(APP), len: 24, ues: "10.45.0.0/16" };

/// Lays a cable to the app, which listens from then on. Whoever connects says one octet: `d` for data, `e` for data without
/// end, `u` to send some. Both ends compare what they read.
pub(super) fn lay_cable_to_app(side: &'static Side, router: &str) {
    lay_cable_to(side, router, |listens| {
        let listener = once_ours(|| TcpListener::bind((side.app, PORT)));
        listens();
        listener.incoming().for_each(|stream| serve(stream.unwrap()));
    });
}

/// Lays a cable to a machine of the app's own, where this runs; goes on when that says that it listens.
pub(super) fn lay_cable_to(
    side: &'static Side,
    router: &str,
    machine: impl FnOnce(&dyn Fn()) + Send + 'static,
) {
    let (ready, told) = mpsc::channel();
    let (wire, wired) = mpsc::channel::<()>();
    elsewhere(move || {
        ready.send(netns::current().unwrap()).unwrap();
        wired.recv().unwrap();
        at_once("eth0");
        attach("eth0", &format!("{}/{}", side.app, side.len), Some(side.ues));
        machine(&|| ready.send(netns::current().unwrap()).unwrap());
    });
    Netlink::open().unwrap().cable("app0", "eth0", &told.recv().unwrap()).unwrap();
    at_once("app0");
    attach("app0", router, None);
    std::fs::write("/proc/sys/net/ipv4/conf/app0/proxy_arp", "1").unwrap();
    std::fs::write("/proc/sys/net/ipv6/conf/app0/proxy_ndp", "1").unwrap();
    wire.send(()).unwrap();
    told.recv().unwrap();
}

/// Its IPv6 addresses are good at once: nobody else is on that cable.
fn at_once(name: &str) {
    std::fs::write(format!("/proc/sys/net/ipv6/conf/{name}/accept_dad"), "0").unwrap();
}

fn serve(mut stream: TcpStream) {
    thread::spawn(move || {
        let mut way = [0];
        stream.read_exact(&mut way).unwrap();
        match way[0] {
            b'd' => {
                let _ = write_pattern(&mut stream, AMOUNT);
            }
            b'e' => while write_pattern(&mut stream, AMOUNT).is_ok() {},
            _ => {
                read_pattern(&mut stream, AMOUNT).unwrap();
                stream.write_all(b"whole").unwrap();
            }
        }
    });
}

/// Says one octet to the app.
fn connect(app: IpAddr, way: u8) -> TcpStream {
    let app = SocketAddr::from((app, PORT));
    let mut stream = TcpStream::connect_timeout(&app, SOON).expect("the app does not answer");
    stream.write_all(&[way]).unwrap();
    stream
}

/// One bulk transfer from the app (`d`) or to it (`u`); every octet is compared.
pub(super) fn transfer(app: IpAddr, way: u8) {
    let mut stream = connect(app, way);
    if way == b'd' {
        return read_pattern(&mut stream, AMOUNT).unwrap();
    }
    write_pattern(&mut stream, AMOUNT).unwrap();
    let mut word = [0; 5];
    stream.read_exact(&mut word).unwrap();
    assert_eq!(&word, b"whole");
}

/// What is sent over and over: no two places near each other alike.
pub(super) fn pattern() -> Vec<u8> {
    (0..64 * 1024u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn write_pattern(stream: &mut TcpStream, amount: usize) -> io::Result<()> {
    let block = pattern();
    for _ in 0..amount / block.len() {
        stream.write_all(&block)?;
    }
    Ok(())
}

/// Reads and compares every octet.
fn read_pattern(stream: &mut TcpStream, amount: usize) -> io::Result<()> {
    let (wanted, mut block) = (pattern(), pattern());
    for _ in 0..amount / block.len() {
        stream.read_exact(&mut block)?;
        assert!(block == wanted, "octets were changed on the way");
    }
    Ok(())
}

/// Joins the UE's TUN and the radio, one packet per call, as a radio does.
pub(super) fn radio(tun: Arc<SyncDevice>, gnb: UdpSocket, teid: Arc<AtomicU32>, down: Arc<AtomicU64>) {
    let (up_tun, up_gnb) = (Arc::clone(&tun), gnb.try_clone().unwrap());
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        loop {
            let n = up_tun.recv(&mut buffer).unwrap();
            let teid = teid.load(Ordering::Relaxed);
            let datagram = wire::gtpu::encode_uplink(teid, 1, &buffer[..n]).unwrap();
            let _ = up_gnb.send_to(&datagram, (US, GTPU_PORT));
        }
    });
    thread::spawn(move || {
        let mut buffer = [0; 2048];
        gnb.set_read_timeout(None).unwrap();
        loop {
            let n = gnb.recv(&mut buffer).unwrap();
            let packet = wire::gtpu::Packet::parse(&buffer[..n]).unwrap();
            down.fetch_add(1, Ordering::Relaxed);
            let _ = tun.send(packet.payload);
        }
    });
}

/// Clock ticks of processor time of a process.
fn ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn bulk_tcp_comes_through_whole_both_ways_and_a_cut_stops_it() {
    in_a_namespace("story::bulk::bulk_tcp_comes_through_whole_both_ways_and_a_cut_stops_it", || {
        let mut site = Site::build(2);
        lay_cable_to_app(&FOUR, "10.50.0.254/24");

        let mut control = site.start();
        control.associate();
        control.publish_policy(1);
        let teid = control.establish().unwrap();
        let gnb = control.site.gnb.try_clone().unwrap();
        let pid = control.site.gateway.as_ref().unwrap().id();
        let down = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&down);
        let endless = Arc::new(AtomicBool::new(false));
        let running = Arc::clone(&endless);
        let ue = elsewhere(move || {
            let tun = DeviceBuilder::new().name("ue0").mtu(1400).build_sync().unwrap();
            attach("ue0", &format!("{UE}/32"), Some("10.50.0.0/16"));
            radio(Arc::new(tun), gnb, Arc::new(AtomicU32::new(teid)), counter);
            let mut figures = Vec::new();
            for way in [b'd', b'u'] {
                let (begin, used) = (Instant::now(), ticks(pid));
                transfer(APP.into(), way);
                figures.push((way as char, begin.elapsed(), ticks(pid) - used));
            }
            let mut stream = connect(APP.into(), b'e');
            running.store(true, Ordering::SeqCst);
            stream.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
            let mut block = vec![0; 64 * 1024];
            while stream.read(&mut block).is_ok_and(|n| n > 0) {}
            figures
        });
        while !endless.load(Ordering::SeqCst) {
            assert!(!ue.is_finished(), "the UE gave up");
            thread::sleep(Duration::from_millis(5));
        }
        thread::sleep(Duration::from_millis(200));
        let receipt = control.cut();
        // What the kernel held for the radio when the cut was confirmed is read within a moment.
        thread::sleep(Duration::from_millis(100));
        let after = down.load(Ordering::Relaxed);
        for (way, took, ticks) in ue.join().unwrap() {
            let mbps = AMOUNT as f64 * 8.0 / took.as_secs_f64() / 1e6;
            println!("{way}: {mbps:.0} Mbit/s, gateway {} ms of processor time", ticks * 10);
        }
        println!("cut in {} µs, stored in {} µs more, under full traffic", receipt.cut_us, receipt.store_us);
        assert_eq!(down.load(Ordering::Relaxed), after, "something came after the cut");
        let trace = control.trace();
        assert!(trace.dropped > 0 && trace.last_packet <= Some(receipt.cut_at), "{trace:?}");
        for s in control.status().shards {
            println!("{:?}", s.io);
            // A ring that was full for a moment on a crowded machine drops, counts it, and TCP sends again: every octet
            // was compared above.
            assert_eq!(s.io.panics, 0);
        }
    });
}
