//! A router's SIM with a network behind it: a cell of machines that SCADA reads, and that reaches what the SIM may.

use crate::field::Fate;
use crate::packets::{Packet, What};
use crate::site::*;
use crate::world::World;
use std::net::{IpAddr, Ipv4Addr};
use types::*;

const LAPTOP: usize = 0;
/// The router of the cell.
const ROUTER: usize = 1;
const LAN: &str = "10.77.3.0/24";
/// A machine behind the router, its neighbour, and one of another network.
const MACHINE: Ipv4Addr = Ipv4Addr::new(10, 77, 3, 9);
const NEIGHBOUR: Ipv4Addr = Ipv4Addr::new(10, 77, 3, 10);
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(10, 77, 4, 9);

fn syn(src: Ipv4Addr, dst: Ipv4Addr, port: u16) -> Packet {
    Packet::new(What::Syn, src, 40_000, dst, port)
}

fn route(u: usize) -> FramedRoute {
    FramedRoute { imsi: imsi(u), dnn: "factory".parse().unwrap(), prefix: LAN.parse().unwrap() }
}

/// Traffic in and out of the network behind the router.
fn both_ways(w: &mut World) {
    assert_eq!(w.knock(syn(SCADA, MACHINE, 502)), Fate::Answered);
    assert_eq!(w.send(ROUTER, Packet::new(What::Ask, NEIGHBOUR, 514, HISTORIAN, 514)), Fate::Answered);
}

#[test]
fn machines_behind_a_router_reach_and_are_reached_as_its_sim_may_and_a_ban_cuts_them_all() {
    let mut w = World::new(&[Role::Laptop, Role::Plc], 1);
    let (laptop, router) = (w.attach(LAPTOP), w.attach(ROUTER));
    // Before there is a route: an address that nobody has, and a source that is a lie.
    assert_eq!(w.knock(syn(SCADA, MACHINE, 502)), Fate::Dropped(Reason::UnknownUe));
    let out = Packet::new(What::Ask, MACHINE, 514, HISTORIAN, 514);
    assert_eq!(w.send(ROUTER, out), Fate::Dropped(Reason::SpoofedSource));

    w.set_routes(vec![route(ROUTER)]);
    w.run();
    both_ways(&mut w);
    assert_eq!(w.knock(syn(SCADA, router, 502)), Fate::Answered, "the router itself, as before");
    // The rules are those of the SIM.
    assert_eq!(w.knock(syn(SCADA, MACHINE, 22)), Fate::Dropped(Reason::NoFlow));
    assert_eq!(w.knock(syn(FILES, MACHINE, 502)), Fate::Dropped(Reason::NoFlow));
    assert_eq!(w.send(ROUTER, syn(MACHINE, FILES, 443)), Fate::Dropped(Reason::NoRule));
    // What is not behind it: a source beside the network, the network's name in another's mouth, also from the company's
    // side, and our own addresses from within.
    assert_eq!(w.send(ROUTER, syn(ELSEWHERE, FILES, 443)), Fate::Dropped(Reason::SpoofedSource));
    assert_eq!(w.send(LAPTOP, syn(MACHINE, FILES, 443)), Fate::Dropped(Reason::SpoofedSource));
    assert_eq!(w.knock(syn(MACHINE, laptop, 443)), Fate::Dropped(Reason::SpoofedSource));
    assert_eq!(w.send(ROUTER, syn(MACHINE, N6, 443)), Fate::Dropped(Reason::OwnAddress));
    assert_eq!(w.send(LAPTOP, syn(laptop, MACHINE, 502)), Fate::Dropped(Reason::UeToUe));

    // The records name the machine and the SIM in front of it.
    w.pass_ms(1);
    let of_machine: Vec<_> = w.records.iter().filter(|r| r.ue == IpAddr::V4(MACHINE)).collect();
    assert!(of_machine.iter().any(|r| r.reason == Reason::NoRule));
    assert!(of_machine.iter().all(|r| r.imsi == imsi(ROUTER)), "{of_machine:?}");

    // Either process restarts: the route is there again with the session.
    w.gateway_dies();
    w.run();
    w.pass_ms(5_000);
    w.gateway_starts();
    w.run();
    both_ways(&mut w);

    w.ban(ROUTER, SimState::Stolen);
    w.run();
    for packet in [syn(SCADA, MACHINE, 502), syn(SCADA, router, 502)] {
        assert!(matches!(w.knock(packet), Fate::Dropped(Reason::Banned | Reason::UnknownUe)));
    }
    for (_, tunnel) in w.phones[ROUTER].remembers.clone() {
        let fate = w.send_by(ROUTER, w.radios[0].address, tunnel.uplink.teid.value(), out);
        assert!(matches!(fate, Fate::Dropped(_)), "{fate:?}");
    }
    // Its network goes to another router, at once; nothing of it passes by the banned one.
    w.attach_routes_elsewhere();
}

impl World {
    /// The network moves behind the laptop's SIM, whose session is of the other data network: there it is carried only
    /// when it is said for that one.
    fn attach_routes_elsewhere(&mut self) {
        self.set_routes(vec![route(LAPTOP)]);
        self.run();
        assert_eq!(self.send(LAPTOP, syn(MACHINE, FILES, 443)), Fate::Dropped(Reason::SpoofedSource));
        self.set_routes(vec![FramedRoute { dnn: "corp".parse().unwrap(), ..route(LAPTOP) }]);
        self.run();
        assert_eq!(self.send(LAPTOP, syn(MACHINE, FILES, 443)), Fate::Answered);
    }
}
