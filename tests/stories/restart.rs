//! One of the two processes is gone for a while: what goes on, what waits, and what is there before anything moves.

use crate::field::Fate;
use crate::packets::{Packet, What};
use crate::site::*;
use crate::world::World;
use access::nr::{SessionPhase, UeState};
use lab::ue::{Input, UeEvent};
use std::net::Ipv4Addr;
use types::*;

const LAPTOP: usize = 0;
const FACTORY_PLC: usize = 1;
/// A second laptop, which is lost.
const LOST: usize = 2;

fn syn(src: Ipv4Addr, dst: Ipv4Addr, port: u16) -> Packet {
    Packet::new(What::Syn, src, 40_000, dst, port)
}

fn ack(src: Ipv4Addr, sport: u16, dst: Ipv4Addr, port: u16) -> Packet {
    Packet::new(What::Ack, src, sport, dst, port)
}

/// Laptop, PLC and a laptop that is lost, all attached, each with a flow.
fn scene() -> (World, [Ipv4Addr; 3]) {
    let mut w = World::new(&[Role::Laptop, Role::Plc, Role::Laptop], 2);
    let a = [w.attach(LAPTOP), w.attach(FACTORY_PLC), w.attach(LOST)];
    assert_eq!(w.send(LAPTOP, syn(a[0], FILES, 443)), Fate::Answered);
    assert_eq!(w.knock(syn(SCADA, a[1], 502)), Fate::Answered);
    assert_eq!(w.send(LOST, syn(a[2], FILES, 443)), Fate::Answered);
    (w, a)
}

#[test]
fn the_gateway_restarts_and_the_sessions_are_there_again_in_their_old_tunnels() {
    let (mut w, [laptop, plc, lost]) = scene();
    w.ban(LOST, SimState::Lost);
    w.run();
    let teids = |w: &World, u: usize| w.view(u).unwrap().sessions[0].teid;
    let before = (teids(&w, LAPTOP), teids(&w, FACTORY_PLC));
    let tunnels: Vec<_> = w.phones.iter().map(|p| p.remembers.len()).collect();
    w.gateway_dies();
    w.run();
    assert_eq!(w.send(LAPTOP, syn(laptop, FILES, 443)), Fate::NoGateway);
    // The registrations do not suffer, and a new session is refused for now.
    assert_eq!(w.view(LAPTOP).map(|v| v.state), Some(UeState::Connected));
    w.ask_session(LAPTOP, 2);
    w.run();
    assert!(matches!(
        w.news_of(LAPTOP).last(),
        Some(UeEvent::SessionRejected { cause: Some(FgsmCause::InsufficientResources), .. })
    ));
    w.pass_ms(5_000);

    w.gateway_starts();
    // The cut stands before the first session does.
    assert_eq!(w.gw().n4.session_count(), 0);
    assert_eq!(w.trace(imsi(LOST)).sessions, 0);
    w.run();
    assert_eq!((teids(&w, LAPTOP), teids(&w, FACTORY_PLC)), before);
    assert_eq!(w.gw().n4.session_count(), 2);
    // The UEs and radios have not noticed: same tunnels, same addresses, traffic both ways.
    assert_eq!(w.phones.iter().map(|p| p.remembers.len()).collect::<Vec<_>>(), tunnels);
    assert_eq!(w.send(LAPTOP, syn(laptop, FILES, 443)), Fate::Answered);
    assert_eq!(w.knock(syn(SCADA, plc, 502)), Fate::Answered);
    let liar = w.phones[LOST].remembers[0];
    let from = w.radios[liar.0].address;
    let fate = w.send_by(LOST, from, liar.1.uplink.teid.value(), syn(lost, FILES, 443));
    assert_eq!(fate, Fate::Dropped(Reason::UnknownTeid));
    assert_eq!(w.ctl().enforced, 1);
    w.assert_tidy();
}

#[test]
fn new_flows_wait_for_the_policy_after_a_restart_of_the_gateway() {
    let (mut w, [laptop, ..]) = scene();
    w.gateway_dies();
    w.pass_ms(5_000);
    // The compiled policy is held back; everything else is told.
    w.gateway_starts();
    w.lose_policy();
    w.run();
    assert_eq!(w.gw().n4.session_count(), 3);
    assert_eq!(w.send(LAPTOP, syn(laptop, FILES, 443)), Fate::Dropped(Reason::StalePolicy));
    assert_eq!(w.knock(syn(FILES, laptop, 1)), Fate::Dropped(Reason::StalePolicy));
    let p = w.policy.clone();
    w.publish(p);
    w.run();
    assert_eq!(w.send(LAPTOP, syn(laptop, FILES, 443)), Fate::Answered);
}

/// The gateway dies at every step of an attach: the UE ends with a session or without one, both sides agree, and
/// a second try works.
#[test]
fn the_gateway_dies_at_every_step_of_an_attach() {
    let journey = |w: &mut World| {
        w.tell(LAPTOP, Input::Register);
        w.run();
        w.ask_session(LAPTOP, 1);
        w.run();
    };
    let mut w = World::site();
    let before = w.steps;
    journey(&mut w);
    let steps = w.steps - before;
    for n in 1..=steps {
        let mut w = World::site();
        let plc = w.attach(FACTORY_PLC);
        w.at(n, |w| {
            w.gateway_dies();
            w.now = w.now.plus_ms(1_500);
            w.gateway_starts();
        });
        journey(&mut w);
        assert!(!w.has_plans());
        w.pass_ms(100_000);
        let mut sessions = w.phones[LAPTOP].ue.sessions().count();
        if sessions == 0 {
            w.ask_session(LAPTOP, 1);
            w.run();
            sessions = w.phones[LAPTOP].ue.sessions().count();
        }
        assert_eq!(
            (sessions, w.view(LAPTOP).map(|v| v.state)),
            (1, Some(UeState::Connected)),
            "step {n} of {steps}"
        );
        let a = w.phones[LAPTOP].address().unwrap();
        assert_eq!(w.send(LAPTOP, syn(a, FILES, 443)), Fate::Answered, "step {n} of {steps}");
        assert_eq!(w.knock(syn(SCADA, plc, 502)), Fate::Answered, "step {n} of {steps}");
        w.assert_tidy();
    }
}

#[test]
fn control_dies_and_no_packet_of_a_live_session_is_lost() {
    let (mut w, [laptop, plc, _]) = scene();
    let before = w.gw().counters();
    w.control_dies();
    for n in 0..1_000 {
        assert_eq!(w.knock(ack(FILES, 443, laptop, 40_000)), Fate::Arrived);
        assert_eq!(w.send(LAPTOP, ack(laptop, 40_000, FILES, 443)), Fate::Arrived);
        // New flows, too: the compiled policy is the gateway's own.
        assert_eq!(w.knock(Packet { sport: 41_000 + n % 100, ..syn(SCADA, plc, 502) }), Fate::Answered);
        assert_eq!(w.send(LAPTOP, syn(laptop, FILES, 22)), Fate::Dropped(Reason::UnknownApp));
        if n == 500 {
            w.control_starts();
            w.run();
        }
    }
    let after = w.gw().counters();
    assert_eq!(after.uplink_packets - before.uplink_packets, 2_000);
    assert_eq!(after.downlink_packets - before.downlink_packets, 2_000);
    assert_eq!(after.dropped_in_all() - before.dropped_in_all(), 1_000);
}

#[test]
fn control_comes_back_and_takes_the_sessions_over() {
    let (mut w, [laptop, plc, lost]) = scene();
    w.control_dies();
    w.pass_ms(3_000);
    w.control_starts();
    w.run();
    for u in [LAPTOP, FACTORY_PLC, LOST] {
        assert_eq!(w.phases(u), [SessionPhase::Adopted]);
        assert_eq!(w.view(u).unwrap().state, UeState::Idle);
    }
    let c = w.ctl();
    assert_eq!((c.amf.ues().count(), c.ledger.leases().count()), (3, 3));
    // The radios notice that the association is gone; their UEs are idle then.
    for r in 0..2 {
        w.radio_down(r);
        w.radio_up(r);
    }
    w.run();
    assert_eq!(w.send(LAPTOP, syn(laptop, FILES, 443)), Fate::NoRadio);

    // An adopted session is banned: it is cut, deleted, and nobody is asked.
    w.ban(LOST, SimState::Lost);
    w.run();
    assert_eq!((w.view(LOST), w.gw().n4.session_count()), (None, 2));
    assert_eq!(w.knock(ack(FILES, 443, lost, 40_000)), Fate::Dropped(Reason::UnknownUe));
    w.news_of(LOST);
    w.power_cycle(LOST);
    w.tell(LOST, Input::Register);
    w.run();
    let refused = UeEvent::Rejected { cause: FgmmCause::IllegalUe, protected: true, backoff_s: None };
    assert_eq!(w.news_of(LOST).last(), Some(&refused));

    // The laptop comes back as if it had only been idle; its context is not known any more, so it registers.
    w.news_of(LAPTOP);
    w.tell(LAPTOP, Input::Service);
    w.run();
    assert!(w.news_of(LAPTOP).iter().any(|e| matches!(e, UeEvent::ServiceRejected(_))));
    assert_eq!(w.attach(LAPTOP), laptop);
    assert_eq!(w.send(LAPTOP, syn(laptop, FILES, 443)), Fate::Answered);

    // The PLC says at its next update which session it holds, proves itself, and keeps it: our tunnel end too.
    let teid = w.phones[FACTORY_PLC].remembers[0].1.uplink.teid;
    w.tell(FACTORY_PLC, Input::Update);
    w.run();
    assert_eq!(w.phones[FACTORY_PLC].address(), Some(plc), "it still has its session");
    assert_eq!(w.phases(FACTORY_PLC), [SessionPhase::Idle]);
    w.go_idle(FACTORY_PLC);
    w.run();
    w.tell(FACTORY_PLC, Input::Service);
    w.run();
    assert_eq!(w.knock(syn(SCADA, plc, 502)), Fate::Answered);
    assert_eq!(w.view(FACTORY_PLC).unwrap().sessions[0].teid, Some(teid));
    w.pass_ms(10_000);
    w.assert_tidy();
}

/// While control was away the radio forgot its UEs, and gives a tunnel endpoint that one of them had to another UE: what
/// is for the first one does not reach the second.
#[test]
fn a_tunnel_endpoint_that_is_given_anew_leads_to_its_new_owner_alone() {
    let mut w = World::new(&[Role::Laptop, Role::Laptop], 1);
    let first = w.attach(0);
    assert_eq!(w.send(0, syn(first, FILES, 443)), Fate::Answered);
    let endpoint = w.phones[0].remembers[0].1.downlink;
    w.control_dies();
    w.pass_ms(2_000);
    w.control_starts();
    w.radio_down(0);
    w.radio_up(0);
    w.run();
    assert_eq!(w.phases(0), [SessionPhase::Adopted]);
    w.radios[0].gnb.lies().false_tunnel = Some(endpoint);
    let second = w.attach(1);
    let before = w.gw().counters().downlink_packets;
    assert_eq!(w.knock(ack(FILES, 443, first, 40_000)), Fate::Dropped(Reason::NoTunnel));
    assert_eq!(w.gw().counters().downlink_packets, before);
    w.radios[0].gnb.lies().false_tunnel = None;
    w.power_cycle(0);
    assert_eq!(w.attach(0), first);
    assert_eq!(w.send(0, syn(first, FILES, 443)), Fate::Answered);
    assert_ne!(first, second);
}

#[test]
fn a_ban_is_known_to_a_control_that_was_away() {
    // Cut at the gateway, and control dies before it has written anything.
    let (mut w, [_, _, lost]) = scene();
    w.store.held = true;
    w.ban(LOST, SimState::Stolen);
    while w.cut.is_empty() {
        assert!(w.step());
    }
    w.control_dies();
    w.store.held = false;
    assert_eq!(w.store.sims[&imsi(LOST)].state, SimState::Active, "the database does not know");
    let t = w.phones[LOST].remembers[0];
    let from = w.radios[t.0].address;
    let packet = syn(lost, FILES, 443);
    assert_eq!(w.send_by(LOST, from, t.1.uplink.teid.value(), packet), Fate::Dropped(Reason::Banned));
    w.control_starts();
    w.run();
    assert_eq!((w.store.sims[&imsi(LOST)].state, w.gw().n4.session_count()), (SimState::Stolen, 2));
    assert_eq!(w.view(LOST), None);
    assert_eq!(w.send_by(LOST, from, t.1.uplink.teid.value(), packet), Fate::Dropped(Reason::UnknownTeid));
}

#[test]
fn both_restart_one_after_the_other() {
    let (mut w, [laptop, plc, _]) = scene();
    w.ban(LOST, SimState::Lost);
    w.run();
    w.control_dies();
    w.gateway_dies();
    w.pass_ms(2_000);
    w.gateway_starts();
    w.control_starts();
    for r in 0..2 {
        w.radio_down(r);
        w.radio_up(r);
    }
    w.run();
    // Nobody remembers the sessions; everybody remembers the ban and the addresses.
    assert_eq!((w.ctl().amf.ues().count(), w.gw().n4.session_count()), (0, 0));
    assert_eq!(w.cut.iter().copied().collect::<Vec<_>>(), [imsi(LOST)]);
    for (u, a) in [(LAPTOP, laptop), (FACTORY_PLC, plc)] {
        w.power_cycle(u);
        assert_eq!(w.attach(u), a);
    }
    assert_eq!(w.send(LAPTOP, syn(laptop, FILES, 443)), Fate::Answered);
    w.assert_tidy();
}
