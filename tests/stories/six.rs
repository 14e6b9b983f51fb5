//! IPv6 inside: a UE asks for both families, makes its address of the prefix that it is told (RFC 4862), and reaches what
//! its SIM may, until it may not.

use crate::field::Fate;
use crate::gateway::Sent;
use crate::packets::Packet;
use crate::packets::What;
use crate::site::*;
use crate::world::World;
use lab::ue::Input;
use std::net::{IpAddr, Ipv6Addr};
use types::*;
use wire::nas::fgs::PduSessionType;

const LAPTOP: usize = 0;
const FACTORY_PLC: usize = 1;
const FILES6: Ipv6Addr = Ipv6Addr::new(0xfd00, 1, 0, 0, 0, 0, 0, 0x10);

/// A UDP packet; the path does not look at its checksum.
fn udp6(from: Ipv6Addr, to: Ipv6Addr, port: u16) -> Vec<u8> {
    let fixed = [0x60, 0, 0, 0, 0, 9, 17, 64];
    let ports = [40_000u16.to_be_bytes(), port.to_be_bytes(), [0, 9], [1, 1]].concat();
    [&fixed[..], &from.octets(), &to.octets(), &ports, &[7]].concat()
}

/// The answer to one.
fn answer6(p: &[u8]) -> Vec<u8> {
    [&p[..8], &p[24..40], &p[8..24], &p[42..44], &p[40..42], &p[44..]].concat()
}

impl World {
    fn ask_for(&mut self, u: usize, session_type: PduSessionType) {
        let (id, dnn) = (1.try_into().unwrap(), Some(self.roles[u].dnn().parse().unwrap()));
        self.tell(u, Input::Register);
        self.run();
        self.tell(u, Input::Establish { id, dnn, slice: None, session_type });
        self.run();
    }

    /// What comes of an uplink packet of a UE, by its own tunnel.
    fn up6(&mut self, u: usize, packet: &[u8]) -> Vec<Sent> {
        let (radio, tunnel) = *self.phones[u].tunnels.values().next().expect("a tunnel");
        let datagram = wire::gtpu::encode_uplink(tunnel.uplink.teid.value(), 1, packet).unwrap();
        self.at_n3(self.radios[radio].address, &datagram)
    }

    /// The address that a UE makes of the Router Advertisement that it gets when it asks for one.
    fn slaac(&mut self, u: usize) -> Option<Ipv6Addr> {
        let interface = self.phones[u].ue.sessions().next()?.interface?;
        let link_local = Ipv6Addr::from_bits(0xfe80 << 112 | u128::from(u64::from_be_bytes(interface)));
        let all_routers = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
        let fixed = [0x60, 0, 0, 0, 0, 8, 58, 255];
        let ask =
            [&fixed[..], &link_local.octets(), &all_routers.octets(), &[133, 0, 0, 0, 0, 0, 0, 0]].concat();
        let mut sent = self.up6(u, &ask);
        sent.extend(self.up6(u, &ask));
        // The answer to the second one goes, too.
        self.pass_ms(200);
        let told = sent.into_iter().find_map(|s| match s {
            Sent::N3(_, d) => Some(wire::gtpu::Packet::parse(&d).ok()?.payload.to_vec()),
            Sent::N6(_) => None,
        })?;
        assert_eq!((told[6], told[40], told[59] & 0x40), (58, 134, 0x40), "autonomous");
        let mut address = [0; 16];
        address[..8].copy_from_slice(&told[72..80]);
        address[8..].copy_from_slice(&interface);
        Some(address.into())
    }
}

#[test]
fn a_ue_gets_both_families_and_a_ban_ends_both() {
    let mut w = World::new(&[Role::Laptop, Role::Plc], 1);
    let mut p = w.policy.clone();
    p.generation += 1;
    let files = p.apps.iter_mut().find(|a| a.prefixes.contains(&IpAddr::from(FILES).into())).expect("files");
    files.prefixes.push(IpAddr::from(FILES6).into());
    w.publish(p);
    w.run();
    w.ask_for(LAPTOP, PduSessionType::IPV4V6);
    let v4 = w.phones[LAPTOP].address().expect("a session");
    let address = w.slaac(LAPTOP).expect("a prefix");
    // Of the lease 10.20.0.N it is the N-th prefix.
    let expected = networks()[0].prefix_of(v4).unwrap();
    assert!(expected.contains(&address), "{address} of {expected}");

    let ask = udp6(address, FILES6, 53);
    assert_eq!(w.up6(LAPTOP, &ask), [Sent::N6(ask.clone())]);
    let answer = answer6(&ask);
    let back = w.at_n6(&answer);
    let [Sent::N3(_, d)] = back.as_slice() else { panic!("{back:?}") };
    assert_eq!(wire::gtpu::Packet::parse(d).unwrap().payload, answer);
    assert_eq!(w.send(LAPTOP, Packet::new(What::Ask, v4, 5_353, FILES, 53)), Fate::Answered);
    // Another UE's prefix, another port, and from outside.
    let neighbour = Ipv6Addr::from_bits(address.to_bits() + (1 << 64));
    for p in [udp6(neighbour, FILES6, 53), udp6(address, FILES6, 54), udp6(address, Ipv6Addr::LOCALHOST, 53)]
    {
        assert_eq!(w.up6(LAPTOP, &p), []);
    }
    assert_eq!(w.at_n6(&answer6(&udp6(address, FILES6, 54))), []);
    w.pass_ms(1);
    let reasons: Vec<_> = w.records.iter().filter(|r| r.peer.is_ipv6()).map(|r| (r.ue, r.reason)).collect();
    assert!(reasons.contains(&(address.into(), Reason::UnknownApp)), "{reasons:?}");
    assert!(reasons.contains(&(address.into(), Reason::SpecialAddress)), "{reasons:?}");

    // The factory's data network is IPv4 alone, and says so.
    w.ask_for(FACTORY_PLC, PduSessionType::IPV4V6);
    let plc = w.phones[FACTORY_PLC].ue.sessions().next().expect("a session").clone();
    assert_eq!((plc.interface, plc.cause), (None, Some(FgsmCause::PduSessionTypeIpv4OnlyAllowed)));

    // The gateway restarts: the same prefix by the same tunnel.
    w.gateway_dies();
    w.run();
    w.pass_ms(5_000);
    w.gateway_starts();
    w.run();
    assert!(w.up6(LAPTOP, &ask).contains(&Sent::N6(ask.clone())));
    w.pass_ms(200);

    let (radio, tunnel) = *w.phones[LAPTOP].tunnels.values().next().expect("a tunnel");
    w.ban(LAPTOP, SimState::Lost);
    w.run();
    let datagram = wire::gtpu::encode_uplink(tunnel.uplink.teid.value(), 1, &ask).unwrap();
    let from = w.radios[radio].address;
    let sent = w.at_n3(from, &datagram);
    assert!(sent.iter().all(|s| !matches!(s, Sent::N6(_))), "{sent:?}");
    assert_eq!(w.at_n6(&answer), []);
}
