//! Stories of networks behind a UE.

use super::*;

const LAN: &str = "192.168.10.0/24";
const HOST: &str = "192.168.10.7";
const ROUTER: &str = "192.168.10.1";

fn with_routes(n: u8, ue: &str, routes: &[&str]) -> Box<SessionSpec> {
    Box::new(SessionSpec { routes: routes.iter().map(|r| r.parse().unwrap()).collect(), ..*spec(n, ue) })
}

impl World {
    fn put_behind(&mut self, n: u8, ue: &str, routes: &[&str]) {
        for r in routes {
            let prefix = r.parse().unwrap();
            self.tell(ShardCommand::RouteOwner { prefix, shard: ShardId(0), on: true });
        }
        self.tell(ShardCommand::Update { spec: with_routes(n, ue, routes), end_marker: false });
    }
}

#[test]
fn what_lies_behind_a_ue_is_reached_and_reaches_as_the_ue_may() {
    let mut w = World::new();
    let out = tcp(HOST, 40_000, FILES, 443, SYN);
    w.up_dropped(7, &out, Reason::SpoofedSource);
    w.down_dropped(&tcp(SCADA, 9, HOST, 502, SYN), Reason::UnknownUe);
    w.put_behind(7, PLC, &[LAN]);
    w.records();
    // In by the rule of the SIM, out by the rule of the SIM, and back on each flow.
    let poll = tcp(SCADA, 50_000, HOST, 502, SYN);
    assert_eq!(w.down(&poll), [Out::N3(gnb(), 0x9007, poll.clone())]);
    let answer = tcp(HOST, 502, SCADA, 50_000, SYN | ACK);
    assert_eq!(w.up(7, &answer), [Out::N6(answer)]);
    w.down_dropped(&tcp(SCADA, 50_000, HOST, 22, SYN), Reason::NoFlow);
    let query = udp(HOST, 9, FILES, 53, b"?");
    assert_eq!(w.up(7, &query), [Out::N6(query)]);
    let reply = udp(FILES, 53, HOST, 9, b"!");
    assert_eq!(w.down(&reply), [Out::N3(gnb(), 0x9007, reply.clone())]);
    // A neighbour of the network, and a stranger in its name.
    w.up_dropped(7, &udp("192.168.11.7", 9, FILES, 53, b"?"), Reason::SpoofedSource);
    w.up_dropped(5, &udp(HOST, 9, FILES, 53, b"?"), Reason::SpoofedSource);
    w.down_dropped(&udp(HOST, 9, LAPTOP, 53, b"?"), Reason::SpoofedSource);
    // What turns round behind the UE is none of ours.
    w.up_dropped(7, &tcp(HOST, 1, ROUTER, 80, SYN), Reason::UeToUe);
    w.up_dropped(7, &tcp(PLC, 1, ROUTER, 80, SYN), Reason::UeToUe);
    // The router there complains on behalf of the host.
    let complaint = icmp_error(PLC, FILES, &reply);
    assert_eq!(w.up(7, &complaint), [Out::N6(complaint)]);
    w.up_dropped(5, &icmp_error(LAPTOP, FILES, &reply), Reason::NoFlow);
    // The records speak of who it was behind the SIM.
    w.end(7);
    let ended: Vec<_> = w.records().into_iter().filter(|r| r.reason == Reason::SessionEnded).collect();
    assert_eq!(ended.len(), 2);
    assert!(ended.iter().all(|r| r.imsi == imsi(7) && r.ue == HOST.parse::<IpAddr>().unwrap()));
}

#[test]
fn a_ban_cuts_what_lies_behind_and_a_route_that_goes_takes_its_flows() {
    let mut w = World::new();
    w.put_behind(7, PLC, &[LAN, "172.31.0.0/16"]);
    let (query, reply) = (udp(HOST, 9, FILES, 53, b"?"), udp(FILES, 53, HOST, 9, b"!"));
    let other = udp("172.31.4.4", 9, FILES, 53, b"?");
    for p in [&query, &other] {
        assert_eq!(w.up(7, p).len(), 1);
    }
    w.cut(7);
    w.up_dropped(7, &query, Reason::Banned);
    w.down_dropped(&reply, Reason::Banned);
    w.tell(ShardCommand::Uncut { imsi: imsi(7) });
    assert_eq!((w.up(7, &query).len(), w.up(7, &other).len()), (1, 1));
    w.records();
    // One of the two goes: its flow ends at once, and nothing of it passes any more.
    w.tell(ShardCommand::RouteOwner { prefix: LAN.parse().unwrap(), shard: ShardId(0), on: false });
    w.tell(ShardCommand::Update { spec: with_routes(7, PLC, &["172.31.0.0/16"]), end_marker: false });
    let r = w.records();
    let [r] = r.as_slice() else { panic!("{r:?}") };
    assert_eq!((r.ue, r.reason), (HOST.parse().unwrap(), Reason::SessionEnded));
    w.up_dropped(7, &query, Reason::SpoofedSource);
    w.down_dropped(&reply, Reason::UnknownUe);
    assert_eq!(w.up(7, &other).len(), 1);
}

/// The longest prefix counts, and an address that a UE has of its own is nobody's else.
#[test]
fn of_two_prefixes_the_longer_one_leads_to_its_ue() {
    let mut w = World::new();
    w.put_behind(5, LAPTOP, &["10.20.0.0/16", "192.168.8.0/21"]);
    w.put_behind(7, PLC, &[LAN]);
    let poll = tcp(SCADA, 50_000, HOST, 502, SYN);
    assert_eq!(w.down(&poll), [Out::N3(gnb(), 0x9007, poll.clone())]);
    w.up_dropped(5, &udp(HOST, 9, FILES, 53, b"?"), Reason::SpoofedSource);
    w.up_dropped(5, &udp(PLC, 9, FILES, 53, b"?"), Reason::SpoofedSource);
    assert_eq!(w.up(5, &udp("192.168.11.1", 9, FILES, 53, b"?")).len(), 1);
    // From UE to what lies behind another: asked on both sides.
    w.up_dropped(5, &tcp(LAPTOP, 1, HOST, 502, SYN), Reason::UeToUe);
}
