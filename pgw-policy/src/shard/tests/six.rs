//! Stories of IPv6 inside.

use super::*;
use crate::inner6::make::*;
use crate::inner6::{HEADER, Six};
use std::net::Ipv6Addr;

const UE: &str = "fd00:20:0:5::9";
const OTHER: &str = "fd00:20:0:7::9";
const FILES6: &str = "2001:db8::10";
const SECRET6: &str = "2001:db8::30";
const SCADA6: &str = "2001:db8::20";

fn prefix(n: u8) -> ipnet::Ipv6Net {
    format!("fd00:20:0:{n}::/64").parse().unwrap()
}

/// What a UE asks for its prefix with.
pub(super) fn solicitation() -> Vec<u8> {
    let mut ask = ip6("fe80::9", "ff02::2", 58, &[133, 0, 0, 0, 0, 0, 0, 0]);
    ask[7] = 255;
    ask
}

/// Laptop and PLC have a prefix each, and the apps IPv6 addresses.
fn world() -> World {
    let mut w = World::new();
    let mut p = policy(2, &[]);
    for (app, address) in [(0, FILES6), (1, SECRET6), (2, SCADA6)] {
        p.apps[app].prefixes.push(format!("{address}/128").parse().unwrap());
    }
    w.tell(ShardCommand::Policy(Arc::new(compile(&p).unwrap())));
    for (n, ue) in [(5, LAPTOP), (7, PLC)] {
        w.end(n);
        w.tell(ShardCommand::Insert(Box::new(SessionSpec { prefix: Some(prefix(n)), ..*spec(n, ue) })));
        w.tell(ShardCommand::RouteOwner { prefix: prefix(n).into(), shard: ShardId(0), on: true });
    }
    w.tell(ShardCommand::OwnAddresses(vec![OURS.parse().unwrap(), "2001:db8::1".parse().unwrap()]));
    // Each asks for its prefix.
    for n in [5, 7] {
        w.up(n, &solicitation());
    }
    w.down(&udp6(FILES6, 1, "fd00:20:0:99::1", 1, b""));
    assert_eq!((w.shard.counters().advertisements, w.dropped(Reason::UnknownUe)), (2, 1));
    w.records();
    w
}

#[test]
fn an_allowed_flow_passes_both_ways_and_leaves_one_record() {
    let mut w = world();
    let syn = tcp6(UE, 40_000, FILES6, 443, SYN);
    assert_eq!(w.up(5, &syn), [Out::N6(syn.clone())]);
    let answer = tcp6(FILES6, 443, UE, 40_000, SYN | ACK);
    assert_eq!(w.down(&answer), [Out::N3(gnb(), 0x9005, answer.clone())]);
    // Another address of the same prefix is the UE's, too, and another flow.
    assert_eq!(w.up(5, &udp6("fd00:20:0:5:1:2:3:4", 9, FILES6, 53, b"?")).len(), 1);
    // IPv4 beside it, by the same session.
    assert_eq!(w.up(5, &tcp(LAPTOP, 40_000, FILES, 443, SYN)).len(), 1);
    w.end(5);
    let r = w.records();
    let r: Vec<_> = r.iter().filter(|r| r.protocol == 6 && r.ue.is_ipv6()).collect();
    let [r] = r[..] else { panic!("{r:?}") };
    assert_eq!((r.ue, r.peer), (UE.parse().unwrap(), FILES6.parse().unwrap()));
    assert_eq!(
        (r.ue_port, r.peer_port, r.reason, r.verdict),
        (40_000, 443, Reason::SessionEnded, Verdict::Allow)
    );
    assert_eq!((r.packets_up, r.bytes_up, r.packets_down, r.bytes_down), (1, 60, 1, 60));
    assert_eq!(r.app.as_ref().unwrap().as_str(), "files");
    w.end(7);
    w.wait(1);
    assert_eq!(w.shard.sixes.len(), 0, "no number is left behind");
}

/// D14 and R77 for IPv6: sources and destinations that are nobody's or ours, before any rule.
#[test]
fn lies_about_addresses_do_not_pass() {
    let mut w = world();
    w.up_dropped(5, &tcp6(OTHER, 1, FILES6, 443, SYN), Reason::SpoofedSource);
    w.up_dropped(5, &tcp6("fe80::9", 1, FILES6, 443, SYN), Reason::SpoofedSource);
    w.up_dropped(5, &tcp6(UE, 1, "2001:db8::1", 443, SYN), Reason::OwnAddress);
    for special in
        ["::1", "fe80::1", "ff02::1", "::ffff:192.168.1.10", "2002:c0a8:10a::1", "64:ff9b::1", "::"]
    {
        w.up_dropped(5, &tcp6(UE, 1, special, 443, SYN), Reason::SpecialAddress);
    }
    w.up_dropped(5, &tcp6(UE, 1, "fd00:20:0:5::1", 443, SYN), Reason::UeToUe);
    w.up_dropped(5, &tcp6(UE, 1, OTHER, 80, SYN), Reason::UeToUe);
    w.down_dropped(&tcp6(OTHER, 1, UE, 80, SYN), Reason::SpoofedSource);
    w.down_dropped(&tcp6("fe80::1", 1, UE, 80, SYN), Reason::SpecialAddress);
    w.up_dropped(5, &tcp6(UE, 1, FILES6, 22, SYN), Reason::UnknownApp);
    w.down_dropped(&tcp6(FILES6, 443, UE, 40_000, SYN), Reason::NoFlow);
    // The other family's number is not an address of this one.
    w.down_dropped(&tcp(FILES, 443, "0.0.0.1", 40_000, ACK), Reason::UnknownUe);
    // A session without a prefix carries no IPv6, whatever it says.
    w.end(5);
    w.tell(ShardCommand::Insert(spec(5, LAPTOP)));
    w.up_dropped(5, &tcp6(UE, 1, FILES6, 443, SYN), Reason::WrongIpVersion);
    assert_eq!(w.shard.sixes.len(), 0);
}

#[test]
fn scada_reads_the_plc_by_an_in_rule_and_a_ban_cuts_it() {
    let mut w = world();
    let syn = tcp6(SCADA6, 50_000, OTHER, 502, SYN);
    assert_eq!(w.down(&syn), [Out::N3(gnb(), 0x9007, syn.clone())]);
    let answer = tcp6(OTHER, 502, SCADA6, 50_000, SYN | ACK);
    assert_eq!(w.up(7, &answer), [Out::N6(answer.clone())]);
    w.cut(7);
    w.up_dropped(7, &answer, Reason::Banned);
    w.down_dropped(&syn, Reason::Banned);
    w.wait(1);
    assert_eq!(w.shard.sixes.len(), 0);
}

#[test]
fn a_reject_is_answered_with_a_reset_or_prohibited() {
    let mut w = world();
    let out = w.up(5, &tcp6(UE, 40_000, SECRET6, 443, SYN));
    let [Out::N3(_, 0x9005, rst)] = out.as_slice() else { panic!("{out:?}") };
    let s = Six::parse(rst).unwrap();
    assert_eq!(s.inner.transport, Transport::Tcp { src: 443, dst: 40_000, flags: RST | ACK });
    assert_eq!((s.src, s.dst), (SECRET6.parse().unwrap(), UE.parse().unwrap()));
    assert_eq!((rst[48..52].to_vec(), sum6(rst, 6)), (vec![0, 0, 0, 2], 0));
    let query = udp6(UE, 9, SECRET6, 53, b"query");
    let out = w.up(5, &query);
    let [Out::N3(_, 0x9005, icmp)] = out.as_slice() else { panic!("{out:?}") };
    // RFC 4443 §3.1: type 1, code 1, with the packet.
    assert_eq!((&icmp[40..42], &icmp[48..], sum6(icmp, 58)), (&[1, 1][..], &query[..], 0));
    // It is not answered itself.
    w.up_dropped(5, &error6(UE, SECRET6, 1, icmp), Reason::NoFlow);
}

/// The beginning of a stream is read over IPv6 as over IPv4, extension headers or not.
#[test]
fn an_app_with_names_is_reached_by_the_right_one_only() {
    let mut w = world();
    let mut p = policy(3, &[]);
    p.apps[0].prefixes.push(format!("{FILES6}/128").parse().unwrap());
    p.apps[0].services = vec!["tcp/443".parse().unwrap()];
    p.apps[0].names = vec!["files.example.jp".parse().unwrap()];
    w.tell(ShardCommand::Policy(Arc::new(compile(&p).unwrap())));
    let segment = |up: bool, options: bool, seq: u32, flags: u8, data: &[u8]| {
        let (src, sp, dst, dp) = if up { (UE, 40_000, FILES6, 443) } else { (FILES6, 443, UE, 40_000) };
        let mut t = tcp_payload(sp, dp, flags, data);
        t[4..8].copy_from_slice(&seq.to_be_bytes());
        t[8..12].copy_from_slice(&(if up { 501u32 } else { 101 }).to_be_bytes());
        match options {
            true => ip6(src, dst, 60, &[&[6, 0, 1, 4, 0, 0, 0, 0][..], &t].concat()),
            false => ip6(src, dst, 6, &t),
        }
    };
    for (name, options) in
        [("files.example.jp", false), ("files.example.jp", true), ("evil.example.jp", false)]
    {
        let hello = crate::stream::tests::hello(name, 100, b"");
        assert_eq!(w.up(5, &segment(true, options, 100, SYN, b"")).len(), 1);
        assert_eq!(w.down(&segment(false, false, 500, SYN | ACK, b"")).len(), 1);
        assert_eq!(w.up(5, &segment(true, options, 101, ACK, &hello[..40])), []);
        let out = w.up(5, &segment(true, options, 141, ACK, &hello[40..]));
        if name == "files.example.jp" {
            let [Out::N6(p)] = &out[..] else { panic!("{out:?}") };
            let six = Six::parse(p).unwrap();
            assert_eq!(
                (&p[six.inner.header + 20..], six.inner.header),
                (&hello[..], 40 + 8 * usize::from(options))
            );
            let tcp = &p[six.inner.header..];
            let len = (tcp.len() as u32).to_be_bytes();
            assert_eq!(checksum(&[&p[8..40], &len, &[0, 0, 0, 6], tcp]), 0);
            w.end(5);
            w.tell(ShardCommand::Insert(Box::new(SessionSpec {
                prefix: Some(prefix(5)),
                ..*spec(5, LAPTOP)
            })));
            w.up(5, &solicitation());
            w.run(Origin::N6 { handed: false }, &udp(FILES, 1, "10.20.0.99", 1, b""));
            continue;
        }
        // Both sides are reset, by segments that both take.
        let [Out::N3(_, 0x9005, to_ue), Out::N6(to_server)] = &out[..] else { panic!("{out:?}") };
        for (p, from, to, seq, flags) in
            [(to_ue, FILES6, UE, 501u32, RST), (to_server, UE, FILES6, 101, RST | ACK)]
        {
            let six = Six::parse(p).unwrap();
            assert_eq!((six.src, six.dst), (from.parse().unwrap(), to.parse().unwrap()));
            assert_eq!((&p[44..48], p[53] & flags, sum6(p, 6)), (&seq.to_be_bytes()[..], flags, 0));
        }
        assert_eq!(w.dropped(Reason::OtherServerName), 1);
        assert_eq!((w.shard.inspections_held(), w.shard.flows.len()), ((0, 0), 0));
    }
    let named: Vec<_> =
        w.records().into_iter().filter_map(|r| r.name.map(|n| (n.to_string(), r.ue.is_ipv6()))).collect();
    assert_eq!(named.len(), 3);
    assert!(named.iter().all(|(_, six)| *six));
}

#[test]
fn what_does_not_fit_is_told_the_mtu_and_a_syn_offers_no_more() {
    let mut w = world();
    w.up(5, &udp6(UE, 9, FILES6, 53, b"question"));
    let of = |len: usize| udp6(FILES6, 53, UE, 9, &vec![0; len - 48]);
    assert!(matches!(w.down(&of(1_400)).as_slice(), [Out::N3(..)]));
    let out = w.down(&of(1_401));
    let [Out::N6(icmp)] = out.as_slice() else { panic!("{out:?}") };
    // RFC 4443 §3.2: type 2, code 0, the MTU; no longer than the least MTU.
    assert_eq!(icmp[40..48].iter().copied().skip(4).collect::<Vec<_>>(), 1_400u32.to_be_bytes());
    assert_eq!((&icmp[40..42], icmp.len(), sum6(icmp, 58)), (&[2, 0][..], 1_280, 0));
    let mut t = tcp_payload(9, 443, SYN, &[2, 4, 0xff, 0xff]);
    t[12] = 0x60;
    let out = w.up(5, &ip6(UE, FILES6, 6, &t));
    let [Out::N6(syn)] = out.as_slice() else { panic!("{out:?}") };
    assert_eq!(u16::from_be_bytes([syn[62], syn[63]]), 1_340);
}

#[test]
fn pings_errors_and_pieces_follow_their_flow() {
    let mut w = world();
    assert_eq!(w.up(5, &ping6(UE, FILES6, true, 7)).len(), 1);
    assert_eq!(w.down(&ping6(FILES6, UE, false, 7)).len(), 1);
    w.down_dropped(&ping6(FILES6, UE, false, 8), Reason::NoFlow);
    let query = udp6(UE, 9, FILES6, 53, b"?");
    assert_eq!(w.up(5, &query).len(), 1);
    // A router on the way complains about it; about another one nobody may.
    assert_eq!(w.down(&error6("2001:db8:ffff::1", UE, 3, &query)).len(), 1);
    w.down_dropped(&error6("2001:db8:ffff::1", UE, 3, &udp6(UE, 10, FILES6, 53, b"?")), Reason::NoFlow);
    let reply = udp6(FILES6, 53, UE, 9, b"!");
    assert_eq!(w.up(5, &error6(UE, FILES6, 1, &reply)).len(), 1);
    w.up_dropped(7, &error6(OTHER, FILES6, 1, &reply), Reason::NoFlow);
    // Pieces: the first is judged, those that lie behind it follow; early, overlapping and late ones do not.
    let whole = [&[0, 9, 0, 53, 0, 40, 0, 0][..], &[7; 32]].concat();
    let piece = |begin: u16, more, octets: &[u8]| piece6(UE, FILES6, 17, begin, more, octets);
    w.up_dropped(5, &piece(24, false, &whole[24..]), Reason::Fragment);
    assert_eq!(w.up(5, &piece(0, true, &whole[..24])).len(), 1);
    w.up_dropped(5, &piece(16, false, &whole[16..]), Reason::Fragment);
    assert_eq!(w.up(5, &piece(24, false, &whole[24..])).len(), 1);
    w.up_dropped(5, &piece(24, false, &whole[24..]), Reason::Fragment);
}

/// RFC 4861 §6.2.6: a UE that asks is told its prefix, and only one that asks as the standard says.
#[test]
fn a_ue_is_told_its_prefix() {
    let mut w = World::new();
    w.end(5);
    w.tell(ShardCommand::Insert(Box::new(SessionSpec { prefix: Some(prefix(5)), ..*spec(5, LAPTOP) })));
    let told = |w: &mut World, out: Vec<Out>| {
        let [Out::N3(_, 0x9005, ra)] = &out[..] else { panic!("{out:?}") };
        assert_eq!((Six::parse(ra).unwrap().dst, ra[7], sum6(ra, 58)), ("ff02::1".parse().unwrap(), 255, 0));
        assert!(Six::parse(ra).unwrap().src.is_unicast_link_local());
        assert_eq!((ra[HEADER], &ra[HEADER + 16..HEADER + 20]), (134, &[3, 4, 64, 0x40][..]));
        let told = Ipv6Addr::from(*ra[HEADER + 32..HEADER + 48].first_chunk::<16>().unwrap());
        assert_eq!(
            (told, &ra[HEADER + 48..HEADER + 56]),
            (prefix(5).network(), &[5, 1, 0, 0, 0, 0, 0x05, 0x78][..])
        );
        let servers: [Ipv6Addr; 2] = ["2001:db8::53", "2001:db8::5353"].map(|r| r.parse().unwrap());
        let rdnss = [&[25, 5, 0, 0, 255, 255, 255, 255], servers.map(|r| r.octets()).as_flattened()].concat();
        assert_eq!(&ra[HEADER + 56..], rdnss);
        w.shard.counters().advertisements
    };
    // At the beginning it is not reached yet by all that lies between: it is told once it has spoken, and once.
    let other = |w: &mut World| w.run(Origin::N6 { handed: false }, &udp(FILES, 1, "10.20.0.99", 1, b""));
    assert_eq!(other(&mut w), []);
    assert_eq!(w.up(5, &tcp(LAPTOP, 40_000, FILES, 443, SYN)).len(), 1);
    let out = other(&mut w);
    assert_eq!(told(&mut w, out), 1);
    assert_eq!((w.up(5, &tcp(LAPTOP, 40_000, FILES, 443, ACK)).len(), other(&mut w).len()), (1, 0));
    let ask = solicitation();
    assert_eq!(w.up(5, &ask), []);
    let out = w.up(5, &ask);
    assert_eq!(told(&mut w, out), 2);
    w.batch.clear();
    w.shard.on_tick(&mut w.batch, w.now);
    assert_eq!(w.shard.counters().advertisements, 3);
    for (at, wrong) in [(7, 64), (39, 3), (41, 1)] {
        let mut p = ask.clone();
        p[at] = wrong;
        w.up_dropped(5, &p, Reason::SpoofedSource);
    }
    w.cut(5);
    w.up_dropped(5, &ask, Reason::Banned);
}
