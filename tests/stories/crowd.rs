//! Fifty UEs on three radios at once, in any order: each gets an address of its own, each reaches its app and no
//! other, and when all are gone nothing is left.

use crate::field::Fate;
use crate::packets::{Packet, What};
use crate::site::*;
use crate::world::World;
use access::nr::UeState;
use lab::ue::Input;
use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use types::*;

const CROWD: usize = 50;

fn syn(src: Ipv4Addr, dst: Ipv4Addr) -> Packet {
    Packet::new(What::Syn, src, 40_000, dst, 443)
}

fn crowd(seed: u64) {
    let roles: Vec<Role> = (0..CROWD).map(|u| Role::Team((u % 3) as u8)).collect();
    let mut w = World::new(&roles, 3);
    w.shuffle(seed);
    let mut chance = fastrand::Rng::with_seed(seed);
    // Everybody at once; some ask for their session while others still register.
    let mut order: Vec<usize> = (0..CROWD).collect();
    chance.shuffle(&mut order);
    for &u in &order {
        w.tell(u, Input::Register);
        for _ in 0..chance.usize(0..8) {
            w.step();
        }
    }
    w.run();
    chance.shuffle(&mut order);
    for &u in &order {
        w.ask_session(u, 1);
        for _ in 0..chance.usize(0..8) {
            w.step();
        }
    }
    w.run();
    let addresses: Vec<Ipv4Addr> = (0..CROWD).map(|u| w.phones[u].address().expect("a session")).collect();
    assert_eq!(addresses.iter().collect::<BTreeSet<_>>().len(), CROWD, "an address each");
    let amf = &w.ctl().amf;
    assert_eq!(amf.ues().filter(|u| u.state == UeState::Connected).count(), CROWD);
    assert_eq!(amf.gnbs().map(|g| g.ues).sum::<usize>(), CROWD);
    let on: Vec<usize> = amf.gnbs().map(|g| g.ues).collect();
    assert_eq!(on, [17, 17, 16], "each radio has its own");
    w.assert_tidy();

    // Each to each app.
    chance.shuffle(&mut order);
    for &u in &order {
        for t in 0..3 {
            let fate = w.send(u, syn(addresses[u], team(t)));
            let mine = roles[u] == Role::Team(t);
            assert_eq!(
                fate,
                if mine { Fate::Answered } else { Fate::Dropped(Reason::NoRule) },
                "UE {u}, app {t}"
            );
        }
        // A neighbour's address, as source and as destination.
        let other = addresses[(u + 1) % CROWD];
        assert_eq!(w.send(u, syn(other, team(0))), Fate::Dropped(Reason::SpoofedSource));
        assert_eq!(w.send(u, syn(addresses[u], other)), Fate::Dropped(Reason::UeToUe));
    }
    let c = w.gw().counters();
    let n = CROWD as u64;
    assert_eq!((c.uplink_packets, c.downlink_packets, c.ue_to_ue_packets), (n, n, 0));
    let drops: Vec<_> = c.drops().collect();
    assert_eq!(drops, [(Reason::NoRule, 2 * n), (Reason::SpoofedSource, n), (Reason::UeToUe, n)]);
    let now = w.now;
    assert_eq!(w.gw().held(now), (CROWD, CROWD), "sessions and flows");

    // A third of them are switched off, a third leaves, one radio goes down and its UEs are told.
    for &u in &order {
        w.tell(u, Input::Deregister { switch_off: u % 2 == 0 });
        for _ in 0..chance.usize(0..8) {
            w.step();
        }
    }
    w.run();
    w.pass_ms(30_000);
    assert_eq!(w.ctl().amf.ues().count(), 0);
    assert_eq!(w.ctl().amf.held(), [0; 4], "connections, timers, questions, requests");
    let now = w.now;
    assert_eq!((w.gw().n4.session_count(), w.gw().held(now)), (0, (0, 0)));
    assert!(w.radios.iter().all(|r| r.gnb.connected().count() == 0 && r.gnb.tunnels().count() == 0));
    // The leases outlive the sessions: each SIM gets its own again.
    assert_eq!(w.ctl().ledger.leases().count(), CROWD);
    let ended = w.records.iter().filter(|r| r.verdict == Verdict::Allow).count();
    assert_eq!(ended, CROWD, "a record of each flow");
    for &u in order.iter().take(10) {
        assert_eq!(w.attach(u), addresses[u]);
    }
    w.assert_tidy();
}

#[test]
fn fifty_ues_on_three_radios_in_any_order() {
    for seed in 0..6 {
        crowd(seed);
    }
}

/// A radio goes away under its UEs: they are idle, the others do not notice; it comes back, and so do they.
#[test]
fn a_radio_goes_and_comes_back() {
    let roles: Vec<Role> = (0..12).map(|u| Role::Team((u % 3) as u8)).collect();
    let mut w = World::new(&roles, 3);
    let addresses: Vec<Ipv4Addr> = (0..12).map(|u| w.attach(u)).collect();
    w.radio_down(1);
    w.run();
    for (u, &address) in addresses.iter().enumerate() {
        let state = w.view(u).unwrap().state;
        let there = u % 3 != 1;
        assert_eq!(state, if there { UeState::Connected } else { UeState::Idle }, "UE {u}");
        let fate = w.send(u, syn(address, team((u % 3) as u8)));
        assert_eq!(fate, if there { Fate::Answered } else { Fate::NoRadio }, "UE {u}");
    }
    w.radio_up(1);
    w.run();
    for u in (1..12).step_by(3) {
        // Half of them come back where they were, half at another radio.
        w.move_to(u, if u % 2 == 0 { 1 } else { 2 });
        w.tell(u, Input::Service);
    }
    w.run();
    for (u, &address) in addresses.iter().enumerate() {
        assert_eq!(w.send(u, syn(address, team((u % 3) as u8))), Fate::Answered, "UE {u}");
    }
    w.assert_tidy();
}
