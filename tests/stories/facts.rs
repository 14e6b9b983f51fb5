//! What is known of a SIM decides: a device that is not as it should be, a proof for one app, and that a gateway which
//! was killed knows all of it again before anything passes.

use crate::field::Fate;
use crate::gateway::Restriction;
use crate::packets::{Packet, What};
use crate::site::*;
use crate::world::World;
use std::net::Ipv4Addr;
use types::*;

/// Its device is as it should be, and its person has proved themselves for `team-0`.
const WELL: usize = 0;
/// Its device is not.
const ILL: usize = 1;
/// As the first, and in quarantine.
const APART: usize = 2;
/// Nobody has told anything of it.
const UNKNOWN: usize = 3;

const STEP_UP: Fate = Fate::Rejected(Reason::StepUpNeeded);

fn syn(src: Ipv4Addr, sport: u16, dst: Ipv4Addr) -> Packet {
    Packet::new(What::Syn, src, sport, dst, 443)
}

fn facts(value: Compliance, grants: Vec<ActiveGrant>) -> SimFacts {
    let posture = Posture { value, since: Utc(0), until: None, source: name("mdm") };
    SimFacts { posture: Some(posture), grants, ..SimFacts::default() }
}

/// What the page grants where a person has proved themselves: one app, for a while.
fn proof(w: &World, ms: i64) -> ActiveGrant {
    let from = w.now.utc;
    ActiveGrant { id: "p".to_owned(), app: name("team-0"), from, until: Utc(from.0 + ms), proof: true }
}

/// `files` is for devices that are as they should be, `team-0` for those whose person has proved themselves, and the rest
/// that is compliant reaches nothing else.
fn scene() -> (World, [Ipv4Addr; 4]) {
    let roles = [Role::Laptop; 4];
    let mut w = World::new(&roles, 2);
    let mut p = policy(2, &roles, &[]);
    let files = p.rules.iter_mut().find(|r| r.name == name("laptops-files")).unwrap();
    files.conditions.posture = Some(Compliance::Compliant);
    let team =
        Rule { name: name("laptops-team"), app: name("team-0"), verdict: Verdict::StepUp, ..files.clone() };
    let team = Rule { order: 2, conditions: Conditions::default(), ..team };
    p.rules.push(team);
    w.publish(p);
    let hour = proof(&w, 3_600_000);
    w.learn(WELL, facts(Compliance::Compliant, vec![hour.clone()]));
    w.learn(ILL, facts(Compliance::NotCompliant, vec![]));
    w.learn(APART, facts(Compliance::Compliant, vec![hour]));
    w.restrict(Restriction::Quarantine(imsi(APART)), true);
    w.run();
    let a = [WELL, ILL, APART, UNKNOWN].map(|u| w.attach(u));
    (w, a)
}

/// What each SIM gets at `files` and at `team-0` by new flows.
fn reach(w: &mut World, a: &[Ipv4Addr; 4], sport: u16) -> [[Fate; 2]; 4] {
    std::array::from_fn(|u| [FILES, team(0)].map(|to| w.send(u, syn(a[u], sport, to))))
}

fn dropped(reason: Reason) -> Fate {
    Fate::Dropped(reason)
}

fn as_known() -> [[Fate; 2]; 4] {
    [
        [Fate::Answered, Fate::Answered],
        [dropped(Reason::NoRule), STEP_UP],
        [dropped(Reason::Quarantined), dropped(Reason::Quarantined)],
        [dropped(Reason::NoRule), STEP_UP],
    ]
}

#[test]
fn a_device_that_falls_ill_loses_its_live_flow_and_one_that_is_mended_opens_a_new_one() {
    let (mut w, a) = scene();
    assert_eq!(reach(&mut w, &a, 40_001), as_known());
    let goes_on = Packet::new(What::Ack, a[WELL], 40_001, FILES, 443);
    assert_eq!(w.send(WELL, goes_on), Fate::Arrived);
    w.learn(WELL, facts(Compliance::NotCompliant, vec![]));
    w.learn(ILL, facts(Compliance::Compliant, vec![]));
    w.run();
    assert_ne!(w.send(WELL, goes_on), Fate::Arrived);
    let ended = |r: &FlowRecord| r.imsi == imsi(WELL) && r.reason == Reason::FactsChanged;
    assert_eq!(w.records.iter().filter(|r| ended(r)).count(), 1);
    let now = reach(&mut w, &a, 40_002);
    assert_eq!([now[WELL][0], now[ILL][0]], [dropped(Reason::NoRule), Fate::Answered]);
}

#[test]
fn a_proof_opens_one_app_for_one_sim_until_it_ends() {
    let (mut w, a) = scene();
    assert_eq!(w.send(UNKNOWN, syn(a[UNKNOWN], 40_001, team(0))), STEP_UP);
    let minute = proof(&w, 60_000);
    w.learn(UNKNOWN, SimFacts { grants: vec![minute], ..SimFacts::default() });
    w.run();
    let now = reach(&mut w, &a, 40_002);
    assert_eq!(now[UNKNOWN], [dropped(Reason::NoRule), Fate::Answered]);
    assert_eq!(now[ILL], as_known()[ILL], "it is nobody else's");
    // By the gateway's own timer: control need not be there.
    w.control_dies();
    w.pass_ms(59_000);
    let goes_on = Packet::new(What::Ack, a[UNKNOWN], 40_002, team(0), 443);
    assert_eq!(w.send(UNKNOWN, goes_on), Fate::Arrived);
    w.pass_ms(1_000);
    assert_ne!(w.send(UNKNOWN, goes_on), Fate::Arrived);
    assert_eq!(w.send(UNKNOWN, syn(a[UNKNOWN], 40_003, team(0))), STEP_UP);
    let ended = |r: &FlowRecord| r.imsi == imsi(UNKNOWN) && r.reason == Reason::StepUpNeeded;
    assert!(w.records.iter().any(|r| ended(r) && r.packets_up > 0));
}

/// At every step of a restart each SIM sends: nothing passes that facts, proofs and quarantine do not let pass, and in the
/// end everything passes that did.
#[test]
fn a_gateway_that_was_killed_knows_everything_again_before_anything_passes() {
    let (mut w, a) = scene();
    assert_eq!(reach(&mut w, &a, 40_001), as_known());
    let before = w.steps;
    w.gateway_dies();
    w.gateway_starts();
    w.run();
    let steps = w.steps - before;
    assert!(steps > 10);
    assert_eq!(reach(&mut w, &a, 40_002), as_known());
    let mut early = 0;
    for n in 0..steps {
        w.gateway_dies();
        w.run();
        w.gateway_starts();
        for _ in 0..n {
            w.step();
        }
        for (u, (got, known)) in reach(&mut w, &a, 40_003).iter().zip(as_known()).enumerate() {
            for (got, known) in got.iter().zip(known) {
                let passes = |f: &Fate| matches!(f, Fate::Answered | Fate::Arrived);
                assert!(!passes(got) || passes(&known), "step {n}, SIM {u}: {got:?}");
                early += usize::from(passes(&known) && !passes(got));
            }
        }
        w.run();
        assert_eq!(reach(&mut w, &a, 40_004), as_known(), "step {n}");
    }
    assert!(early > 0, "some of them came before anything was known");
}

#[test]
fn what_a_gateway_was_not_told_of_again_opens_nothing() {
    let (mut w, a) = scene();
    w.gateway_dies();
    w.gateway_starts();
    w.lose_facts();
    w.run();
    let nothing = [dropped(Reason::NoRule), STEP_UP];
    let apart = as_known()[APART];
    assert_eq!(reach(&mut w, &a, 40_001), [nothing, nothing, apart, nothing]);
    let again = w.facts[&imsi(WELL)].clone();
    w.learn(WELL, again);
    w.run();
    assert_eq!(reach(&mut w, &a, 40_002)[WELL], as_known()[WELL]);
}
