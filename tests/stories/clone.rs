//! One card in two places: the tunnel of the first one goes on being used after the second came up elsewhere. And what
//! honest people do with their phones, packets in flight included, which raises nothing.

use crate::field::Fate;
use crate::packets::{Packet, What};
use crate::site::*;
use crate::world::World;
use lab::ue::Input;
use std::net::Ipv4Addr;
use types::*;

const LAPTOP: usize = 0;

fn syn(src: Ipv4Addr) -> Packet {
    Packet::new(What::Syn, src, 40_000, FILES, 443)
}

fn suspected(w: &World, u: usize) -> usize {
    let old = |h: &Happening| matches!(h, Happening::CloneSuspected { why: CloneSuspicion::OldTunnel, .. });
    w.happened(u, old)
}

fn clones(w: &World) -> usize {
    let any = |h: &Happening| matches!(h, Happening::CloneSuspected { .. } | Happening::CloneFound { .. });
    w.events.iter().filter(|e| any(&e.what)).count()
}

/// The tunnel that a UE had last: at which radio, and our endpoint.
fn last_tunnel(w: &World, u: usize) -> (usize, u32) {
    let (radio, t) = w.phones[u].remembers.last().expect("it had one");
    (*radio, t.uplink.teid.value())
}

/// Its old radio goes on sending there.
fn goes_on(w: &mut World, u: usize, (radio, teid): (usize, u32), src: Ipv4Addr) {
    let from = w.radios[radio].address;
    assert_eq!(w.send_by(u, from, teid, syn(src)), Fate::Dropped(Reason::UnknownTeid), "it passes nowhere");
    w.run();
}

#[test]
fn an_old_tunnel_that_goes_on_after_the_card_came_up_elsewhere_is_suspicion_and_no_proof() {
    let mut w = World::new(&[Role::Laptop, Role::Plc], 2);
    let a = w.attach(LAPTOP);
    assert_eq!(w.send(LAPTOP, syn(a)), Fate::Answered);
    let old = last_tunnel(&w, LAPTOP);
    // The same card comes up at the other radio. The first one does not do what it is told.
    w.radios[0].gnb.lies().silent = true;
    w.power_cycle(LAPTOP);
    w.move_to(LAPTOP, 1);
    assert_eq!(w.attach(LAPTOP), a);
    // What was on its way arrives.
    goes_on(&mut w, LAPTOP, old, a);
    w.pass_ms(59_000);
    goes_on(&mut w, LAPTOP, old, a);
    assert_eq!(clones(&w), 0);
    // A minute is not on its way. But from a radio that never had it, it says nothing.
    w.pass_ms(3_000);
    goes_on(&mut w, LAPTOP, (1, old.1), a);
    assert_eq!(clones(&w), 0);
    goes_on(&mut w, LAPTOP, old, a);
    assert_eq!((suspected(&w, LAPTOP), clones(&w)), (1, 1), "suspicion, not proof");
    let what = w.events.iter().find_map(|e| match &e.what {
        Happening::CloneSuspected { seen, before, .. } => Some((seen.gnb.clone(), before.gnb.clone())),
        _ => None,
    });
    assert_eq!(what, Some(("gnb-0".to_owned(), "gnb-1".to_owned())), "both places are named");
    // Told once, however long it goes on; and its owner goes on, too.
    for _ in 0..20 {
        w.pass_ms(5_000);
        goes_on(&mut w, LAPTOP, old, a);
    }
    assert_eq!(clones(&w), 1);
    assert_eq!(w.send(LAPTOP, syn(a)), Fate::Answered);
}

#[test]
fn a_radio_that_keeps_a_tunnel_of_a_session_that_simply_ended_is_no_clone() {
    let mut w = World::new(&[Role::Laptop, Role::Plc], 2);
    let a = w.attach(LAPTOP);
    let released = last_tunnel(&w, LAPTOP);
    w.tell(LAPTOP, Input::Release { id: 1.try_into().unwrap() });
    w.run();
    w.pass_ms(120_000);
    goes_on(&mut w, LAPTOP, released, a);
    assert_eq!(clones(&w), 0, "released");
    // It comes up anew where it was: its radio is confused, nobody is elsewhere.
    w.ask_session(LAPTOP, 1);
    w.run();
    let here = last_tunnel(&w, LAPTOP);
    w.power_cycle(LAPTOP);
    w.attach(LAPTOP);
    w.pass_ms(120_000);
    goes_on(&mut w, LAPTOP, here, a);
    assert_eq!(clones(&w), 0, "at the same radio");
    // It leaves for good.
    let last = last_tunnel(&w, LAPTOP);
    w.tell(LAPTOP, Input::Deregister { switch_off: false });
    w.run();
    w.pass_ms(120_000);
    goes_on(&mut w, LAPTOP, last, a);
    assert_eq!(clones(&w), 0, "gone");
    assert_eq!(w.view(LAPTOP), None);
}

#[test]
fn a_thousand_ordinary_moves_with_packets_in_flight_raise_nothing() {
    const UES: usize = 3;
    let mut w = World::new(&[Role::Laptop, Role::Laptop, Role::Plc], 2);
    let mut chance = fastrand::Rng::with_seed(7);
    let addresses: Vec<Ipv4Addr> = (0..UES).map(|u| w.attach(u)).collect();
    // Tunnels that have ended, whose, and when.
    let mut ended: Vec<(usize, (usize, u32), u64)> = Vec::new();
    let mut in_flight = 0;
    for _ in 0..1_000 {
        let u = chance.usize(..UES);
        let before = last_tunnel(&w, u);
        let to = chance.usize(..2);
        match chance.usize(..4) {
            // The battery is pulled, and it comes up here or there.
            0 => {
                w.power_cycle(u);
                w.move_to(u, to);
                assert_eq!(w.attach(u), addresses[u]);
                ended.push((u, before, w.now.mono.0));
            }
            // It goes out of sight and comes back with what it had.
            1 | 2 => {
                w.move_to(u, to);
                w.tell(u, Input::Service);
                w.run();
            }
            // Nothing to say for a while, then again.
            _ => {
                w.go_idle(u);
                w.run();
                w.tell(u, Input::Service);
                w.run();
            }
        }
        w.pass_ms(11_000 + chance.u64(..30_000));
        let now = w.now.mono.0;
        ended.retain(|(_, _, at)| now - at < 59_000_000_000);
        for (u, tunnel, _) in ended.clone() {
            let (from, teid) = (w.radios[tunnel.0].address, tunnel.1);
            w.send_by(u, from, teid, syn(addresses[u]));
            w.run();
            in_flight += 1;
        }
    }
    assert_eq!(clones(&w), 0, "{:?}", w.events.iter().rev().take(3).collect::<Vec<_>>());
    assert!(in_flight > 200, "{in_flight} packets were in flight");
}
