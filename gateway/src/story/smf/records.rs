//! A foreign session carries IPv6 of its SMF's own range, moves with an End Marker, and leaves records of its flows.

use super::super::six::{PHONE, PREFIX, WIKI, asked, core6, udp6};
use super::*;
use types::Direction;
use wire::pfcp::SmReqFlags;

/// The radio's end of the tunnel after the move.
const MOVED_TEID: u32 = 0x99;
const END_MARKER: u8 = 254;
const GPDU: u8 = 255;

#[test]
fn a_foreign_session_carries_ipv6_moves_with_an_end_marker_and_leaves_records() {
    in_a_namespace(
        "story::smf::records::a_foreign_session_carries_ipv6_moves_with_an_end_marker_and_leaves_records",
        || {
            let mut site = site();
            let n6 = site.n6.if_index().unwrap();
            Netlink::open().unwrap().add_route("fd00:50::/64".parse().unwrap(), n6).unwrap();
            let mut control = site.start();
            let mut smf = associated(&mut control);
            let prefixes = ["10.45.0.0/16", "fd00:45::/48"].map(|p| p.parse().unwrap()).to_vec();
            control.say(ToGateway::UePrefixes(prefixes));
            let both = Wish { ip6: Some(PHONE), ..wish(Core::FiveG) };
            let made = session(&mut control, &mut smf, &both, as_named).unwrap();
            let up = told(&mut control, true);
            assert_eq!(up.prefix.map(|p| (p.network(), p.prefix_len())), Some((PREFIX, 64)));
            control.status();
            let ask = udp6((PHONE, 40_000), (WIKI, 5000), b"by IPv6");
            assert_eq!(core6(&asked(control.site, made.teid, &ask)), core6(&ask));
            let (to, advertised) = control.site.at_radio(SOON).expect("a Router Advertisement");
            assert_eq!((to, advertised[40]), (GNB_TEID, 134));
            exchange(control.site, Core::FiveG, made.teid, b"by IPv4");
            let back = udp6((WIKI, 5000), (PHONE, 40_000), b"and back");
            control.site.send_down(&back);
            let (to, inner) = control.site.traffic_at_radio(SOON).expect("the answer");
            assert_eq!((to, core6(&inner)), (GNB_TEID, core6(&back)));

            // It moves: the old tunnel is told that nothing follows, and what follows takes the new one.
            let mut moves = to_radio(GNB, MOVED_TEID);
            moves.update_fars[0].forwarding_parameters.as_mut().unwrap().flags = Some(SmReqFlags(2));
            assert_eq!(smf.modify(made.seid, moves).unwrap().unwrap().cause, Cause::Accepted);
            // The prefix is advertised there, and not before the End Marker.
            let heard = [(); 2].map(|()| heard(control.site));
            assert_eq!(heard, [(END_MARKER, GNB_TEID), (GPDU, MOVED_TEID)]);
            control.site.send_down(&back);
            let (to, inner) = control.site.traffic_at_radio(SOON).expect("by the new tunnel");
            assert_eq!((to, core6(&inner)), (MOVED_TEID, core6(&back)));

            // Its end ends its flows: one record for each, in the name of its SIM.
            assert_eq!(smf.delete(made.seid).unwrap().unwrap().cause, Cause::Accepted);
            let begin = Instant::now();
            let record = |control: &Control<'_>, ue: IpAddr| {
                let of = |f: &&FlowRecord| f.ue == ue && f.imsi == imsi() && f.direction == Direction::Out;
                control.flows.iter().find(of).cloned()
            };
            let (four, six) = loop {
                let found = (record(&control, UE.into()), record(&control, PHONE.into()));
                if let (Some(four), Some(six)) = found {
                    break (four, six);
                }
                assert!(begin.elapsed() < SOON, "no records: {:?}", control.flows);
                control.status();
                std::thread::sleep(Duration::from_millis(20));
            };
            assert_eq!((four.verdict, four.peer, four.peer_port), (Verdict::Allow, APP.into(), 5000));
            assert_eq!((four.packets_up, four.packets_down), (1, 1));
            assert_eq!((six.verdict, six.peer, six.packets_down), (Verdict::Allow, WIKI.into(), 2));
            judge(&smf);
        },
    );
}

/// Kind and tunnel of what the radio hears next.
fn heard(site: &Site) -> (u8, u32) {
    let mut octets = [0; 2048];
    site.gnb.set_read_timeout(Some(SOON)).unwrap();
    let (n, _) = site.gnb.recv_from(&mut octets).unwrap();
    let header = octets[..n].first_chunk::<8>().unwrap();
    (header[1], u32::from_be_bytes([header[4], header[5], header[6], header[7]]))
}
