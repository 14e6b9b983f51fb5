//! IPv6 inside, with the kernel's routes and real packets.

use super::super::netlink::index_of;
use super::bulk::{Side, attach, elsewhere, lay_cable_to_app, radio, transfer};
use super::*;
use std::net::Ipv6Addr;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::sync::mpsc;

pub(super) const PREFIX: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x45, 0, 5, 0, 0, 0, 0);
pub(super) const PHONE: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x45, 0, 5, 0, 0, 0, 9);
pub(super) const WIKI: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x50, 0, 0, 0, 0, 0, 1);

pub(super) fn udp6(from: (Ipv6Addr, u16), to: (Ipv6Addr, u16), word: &[u8]) -> Vec<u8> {
    let len = (8 + word.len()) as u16;
    let mut p = vec![0x60, 0, 0, 0];
    p.extend(len.to_be_bytes());
    p.extend([17, 64]);
    p.extend(from.0.octets());
    p.extend(to.0.octets());
    p.extend([from.1.to_be_bytes(), to.1.to_be_bytes(), len.to_be_bytes(), [0, 0]].concat());
    p.extend(word);
    // RFC 8200 §8.1: over the pseudo header too, and never left out.
    let mut sum = u32::from(len) + 17;
    for pair in p[8..].chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    }
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let sum = if sum == 0xffff { 0xffff } else { !(sum as u16) };
    p[46..48].copy_from_slice(&sum.to_be_bytes());
    p
}

/// Everything but the hop limit, which each router lowers.
pub(super) fn core6(p: &[u8]) -> (&[u8], &[u8]) {
    (&p[..7], &p[8..])
}

impl Site {
    /// The next packet for `WIKI` on the company's side that is none of ICMPv6's own.
    pub(super) fn at_wiki(&self, within: Duration) -> Option<Vec<u8>> {
        let begin = Instant::now();
        let mut buffer = [0; 2048];
        while begin.elapsed() < within {
            match self.n6.recv(&mut buffer) {
                Ok(n) if buffer[6] != 58 && buffer[..n].get(24..40) == Some(&WIKI.octets()) => {
                    return Some(buffer[..n].to_vec());
                }
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => thread::sleep(Duration::from_millis(1)),
                Err(e) => panic!("{e}"),
            }
        }
        None
    }

    /// The next packet at the radio that is none of ICMPv6's own.
    pub(super) fn traffic_at_radio(&self, within: Duration) -> Option<(u32, Vec<u8>)> {
        std::iter::from_fn(|| self.at_radio(within)).find(|(_, inner)| inner[6] != 58)
    }
}

/// Sends a question up until it arrives: the interface on the company's side takes a moment until it carries IPv6.
pub(super) fn asked(site: &Site, teid: u32, ask: &[u8]) -> Vec<u8> {
    let begin = Instant::now();
    loop {
        site.send_up(teid, ask);
        if let Some(p) = site.at_wiki(Duration::from_millis(200)) {
            return p;
        }
        assert!(begin.elapsed() < SOON, "the question does not arrive");
    }
}

/// Another decoder reads what the radio got: a capture of these inner packets in their tunnels, by fields.
fn by_tshark(inner: &[&[u8]], fields: &[&str]) -> Option<Vec<String>> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("radio.pcap");
    // Little-endian, version 2.4, whole packets, plain IP (LINKTYPE_RAW).
    let mut all = [[0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 0xffff, 101].map(u32::to_le_bytes).concat()].concat();
    for p in inner {
        let datagram = wire::gtpu::encode_uplink(GNB_TEID, 1, p).unwrap();
        let outer = udp((US, GTPU_PORT), (GNB, GTPU_PORT), &datagram);
        let len = (outer.len() as u32).to_le_bytes();
        all.extend([[0; 4], [0; 4], len, len].concat());
        all.extend(outer);
    }
    std::fs::write(&file, all).unwrap();
    let mut tshark = Command::new("tshark");
    tshark.arg("-r").arg(&file).args(["-o", "udp.check_checksum:TRUE", "-T", "fields", "-E", "occurrence=l"]);
    tshark.args(fields.iter().flat_map(|f| ["-e", f]));
    let Ok(output) = tshark.output() else {
        eprintln!("skipped: tshark is not installed");
        return None;
    };
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(said.lines().map(str::to_owned).collect())
}

#[test]
fn a_session_with_a_prefix_carries_ipv6_both_ways() {
    in_a_namespace("story::six::a_session_with_a_prefix_carries_ipv6_both_ways", || {
        let mut site = Site::build(2);
        let mut netlink = Netlink::open().unwrap();
        netlink.add_route("fd00:50::/64".parse().unwrap(), site.n6.if_index().unwrap()).unwrap();
        let mut control = site.start();
        control.associate();
        control.publish_policy_with(
            1,
            json!({ "dnn": "office", "pool": "10.45.0.0/16", "dns": ["10.50.0.53", "fd00:50::53"] }),
        );
        let prefixes = ["10.45.0.0/16", "fd00:45::/48"].map(|p| p.parse().unwrap()).to_vec();
        control.say(ToGateway::UePrefixes(prefixes));
        let teid = control.establish_with(1, Some(PREFIX)).unwrap();
        control.status();
        let site = control.site;
        let ask = udp6((PHONE, 40_000), (WIKI, 5000), b"by IPv6");
        let got = asked(site, teid, &ask);
        assert_eq!(core6(&got), core6(&ask));
        // The UE learns its prefix when it has spoken, unasked.
        let (to, told) = site.at_radio(SOON).expect("a Router Advertisement");
        assert_eq!((to, told[40], &told[72..88]), (GNB_TEID, 134, &PREFIX.octets()[..]));
        let answer = udp6((WIKI, 5000), (PHONE, 40_000), b"and back");
        site.send_down(&answer);
        let (to, inner) = site.traffic_at_radio(SOON).expect("the answer");
        assert_eq!((to, core6(&inner)), (GNB_TEID, core6(&answer)));
        let checksums = ["_ws.malformed", "icmpv6.checksum.status", "udp.checksum.status"];
        let facts = [
            "icmpv6.type",
            "icmpv6.opt.prefix",
            "icmpv6.opt.mtu",
            "icmpv6.opt.rdnss",
            "ipv6.dst",
            "udp.dstport",
        ];
        if let Some(read) = by_tshark(&[&told, &inner], &[&checksums[..], &facts].concat()) {
            // The status of the last UDP of each: the tunnel's, which has no checksum, and the answer's.
            let advertised = format!("\t1\t3\t134\t{PREFIX}\t1400\tfd00:50::53\tff02::1\t{GTPU_PORT}");
            assert_eq!(read, [advertised, format!("\t\t1\t\t\t\t\t{PHONE}\t40000")]);
        }
        // IPv4 beside it.
        site.send_up(teid, &question(b"by IPv4"));
        assert!(site.at_company(SOON).is_some());
        // A neighbour's prefix, and a packet of the company in the UE's name.
        let neighbour = Ipv6Addr::new(0xfd00, 0x45, 0, 6, 0, 0, 0, 9);
        while site.at_wiki(NEVER).is_some() {}
        site.send_up(teid, &udp6((neighbour, 40_000), (WIKI, 5000), b"spoofed"));
        assert!(site.at_wiki(NEVER).is_none());

        assert_eq!(control.cut().shards_confirmed, 2);
        site.send_up(teid, &ask);
        site.send_down(&answer);
        assert!(site.at_wiki(NEVER).is_none() && site.traffic_at_radio(NEVER).is_none());
    });
}

#[test]
fn what_lies_behind_a_ue_by_ipv6_is_routed_through_its_session() {
    in_a_namespace("story::six::what_lies_behind_a_ue_by_ipv6_is_routed_through_its_session", || {
        const LAN: &str = "fd00:77:3::/48";
        const MACHINE: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x77, 3, 4, 0, 0, 0, 9);
        const NEIGHBOUR: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x77, 4, 4, 0, 0, 0, 9);
        let mut site = Site::build(2);
        let n6 = site.n6.if_index().unwrap();
        Netlink::open().unwrap().add_route("fd00:50::/64".parse().unwrap(), n6).unwrap();
        let mut control = site.start();
        control.associate();
        control.publish_policy(1);
        let teid = control.establish_with(1, Some(PREFIX)).unwrap();
        control.put_behind(&[LAN]);
        let site = control.site;
        let ask = |from: Ipv6Addr| udp6((from, 40_000), (WIKI, 5000), b"from behind");
        assert_eq!(core6(&asked(site, teid, &ask(MACHINE))), core6(&ask(MACHINE)));
        let answer = udp6((WIKI, 5000), (MACHINE, 40_000), b"to behind");
        site.send_down(&answer);
        let (to, inner) = site.traffic_at_radio(SOON).expect("the answer");
        assert_eq!((to, core6(&inner)), (GNB_TEID, core6(&answer)));
        // A neighbour of the network, and a packet of the company in its name.
        while site.at_wiki(NEVER).is_some() {}
        site.send_up(teid, &ask(NEIGHBOUR));
        site.send_down(&udp6((MACHINE, 5000), (PHONE, 40_000), b"spoofed"));
        assert!(site.at_wiki(NEVER).is_none() && site.traffic_at_radio(NEVER).is_none());
        // Without its network a machine is nobody.
        control.put_behind(&[]);
        site.send_up(teid, &ask(MACHINE));
        site.send_down(&answer);
        assert!(site.at_wiki(NEVER).is_none() && site.traffic_at_radio(NEVER).is_none());

        control.put_behind(&[LAN]);
        asked(site, teid, &ask(MACHINE));
        while site.at_wiki(NEVER).is_some() {}
        assert_eq!(control.cut().shards_confirmed, 2);
        site.send_up(teid, &ask(MACHINE));
        site.send_down(&answer);
        assert!(site.at_wiki(NEVER).is_none() && site.traffic_at_radio(NEVER).is_none());
    });
}

/// Octets and packets, by the kernel's count of what it gave to the TUN and got from it: a large packet is one.
fn across_the_border() -> [[u64; 2]; 2] {
    let all = std::fs::read_to_string("/proc/thread-self/net/dev").unwrap();
    let line = all.lines().find_map(|l| l.trim().strip_prefix("sekisho0:")).unwrap();
    let fields: Vec<u64> = line.split_whitespace().map(|f| f.parse().unwrap()).collect();
    [[fields[8], fields[9]], [fields[0], fields[1]]]
}

#[test]
fn bulk_tcp_crosses_the_border_in_large_packets() {
    in_a_namespace("story::six::bulk_tcp_crosses_the_border_in_large_packets", || {
        const SIX: Side = Side { app: IpAddr::V6(WIKI), len: 64, ues: "fd00:45::/48" };
        let mut site = Site::build(1);
        lay_cable_to_app(&SIX, "fd00:50::fe/64");
        Netlink::open().unwrap().stand_for(PHONE.into(), index_of("app0").unwrap()).unwrap();
        let mut control = site.start();
        control.associate();
        control.publish_policy(1);
        control.say(ToGateway::UePrefixes(vec!["fd00:45::/48".parse().unwrap()]));
        let teid = control.establish_with(1, Some(PREFIX)).unwrap();
        let gnb = control.site.gnb.try_clone().unwrap();
        let (go, ways) = mpsc::channel::<u8>();
        let (done, is_done) = mpsc::channel();
        let ue = elsewhere(move || {
            let tun = DeviceBuilder::new().name("ue0").mtu(1400).build_sync().unwrap();
            // Of the prefix that it is told its kernel would make another address.
            std::fs::write("/proc/sys/net/ipv6/conf/ue0/accept_ra", "0").unwrap();
            attach("ue0", &format!("{PHONE}/128"), Some("fd00:50::/64"));
            radio(Arc::new(tun), gnb, Arc::new(AtomicU32::new(teid)), Arc::new(AtomicU64::new(0)));
            for way in ways {
                transfer(WIKI.into(), way);
                done.send(()).unwrap();
            }
        });
        let mut written = || control.status().shards.iter().map(|s| s.io.n6_sent).sum::<u64>();
        let mut run = |way: u8| {
            let ([[down, downs], [_, ups]], sent) = (across_the_border(), written());
            go.send(way).unwrap();
            is_done.recv().expect("the UE gave up");
            let [[down_now, downs_now], [_, ups_now]] = across_the_border();
            (down_now - down, downs_now - downs, ups_now - ups, written() - sent)
        };
        // What the app's kernel sends comes whole, longer than any packet on the air.
        let (octets, packets, ..) = run(b'd');
        assert!(octets > packets * 1400, "{octets} octets in {packets} packets");
        // What the UE sends packet by packet is joined.
        let (_, _, packets, written) = run(b'u');
        assert!(packets < written, "{written} packets were written as {packets}");
        println!("down {} octets a packet, up {written} packets as {packets}", octets / packets.max(1));
        drop(go);
        ue.join().unwrap();
    });
}
