//! Quarantine of a SIM and panic of a group: only what is meant for that hour is reachable, whatever the rules say, and
//! all of it comes back.

use crate::field::Fate;
use crate::gateway::Restriction;
use crate::packets::{Packet, What};
use crate::site::*;
use crate::world::World;
use std::net::Ipv4Addr;
use types::*;

const LAPTOP: usize = 0;
const OTHER: usize = 1;
const FACTORY_PLC: usize = 2;

/// Laptops reach `files` and `team-0` by the rules; `team-0` is for remediation, `files` for emergencies. The PLCs have
/// neither.
fn scene() -> (World, [Ipv4Addr; 3]) {
    let roles = [Role::Laptop, Role::Laptop, Role::Plc];
    let mut w = World::new(&roles, 2);
    let mut policy = policy(2, &roles, &[]);
    for g in policy.groups.iter_mut().filter(|g| g.name == name("laptops")) {
        (g.remediation_apps, g.emergency_apps) = (vec![name("team-0")], vec![name("files")]);
    }
    policy.rules.push(Rule {
        name: name("laptops-mend"),
        order: 50,
        subject: "group:laptops".parse().unwrap(),
        app: name("team-0"),
        direction: RuleDirection::Out,
        verdict: Verdict::Allow,
        rate: Default::default(),
        record: Default::default(),
        when: Default::default(),
        conditions: Default::default(),
        monitor_until: None,
    });
    w.publish(policy);
    w.run();
    let a = [w.attach(LAPTOP), w.attach(OTHER), w.attach(FACTORY_PLC)];
    (w, a)
}

/// What UE `u` gets at `files`, at `team-0`, and at an app that no rule allows; each time by a new flow.
fn reach(w: &mut World, u: usize, a: Ipv4Addr, port: u16) -> [Fate; 3] {
    [FILES, team(0), SECRET].map(|to| w.send(u, Packet::new(What::Syn, a, port, to, 443)))
}

const QUARANTINED: Fate = Fate::Dropped(Reason::Quarantined);
const PANIC: Fate = Fate::Dropped(Reason::GroupInPanic);

#[test]
fn in_quarantine_only_the_remediation_app_is_left_also_of_a_session_that_is_made_later() {
    let (mut w, a) = scene();
    let free = reach(&mut w, LAPTOP, a[0], 40_001);
    assert_eq!(free[..2], [Fate::Answered, Fate::Answered]);
    w.restrict(Restriction::Quarantine(imsi(LAPTOP)), true);
    w.run();
    // A flow that was open before has ended, too.
    let goes_on = Packet::new(What::Ack, a[0], 40_001, FILES, 443);
    assert!(matches!(w.send(LAPTOP, goes_on), Fate::Dropped(_)), "the old flow");
    let [files, mends, secret] = reach(&mut w, LAPTOP, a[0], 40_002);
    assert_eq!((files, mends), (QUARANTINED, Fate::Answered));
    assert!(!matches!(secret, Fate::Answered | Fate::Arrived), "it allows nothing that the rules do not");
    assert_eq!(reach(&mut w, OTHER, a[1], 40_002)[0], Fate::Answered, "the other one notices nothing");
    // It comes up anew, the gateway restarts: it is still there.
    w.power_cycle(LAPTOP);
    let again = w.attach(LAPTOP);
    assert_eq!(reach(&mut w, LAPTOP, again, 40_003)[..2], [QUARANTINED, Fate::Answered]);
    w.gateway_dies();
    w.pass_ms(2_000);
    w.gateway_starts();
    w.run();
    w.power_cycle(LAPTOP);
    let again = w.attach(LAPTOP);
    assert_eq!(reach(&mut w, LAPTOP, again, 40_004)[..2], [QUARANTINED, Fate::Answered]);
    w.restrict(Restriction::Quarantine(imsi(LAPTOP)), false);
    w.run();
    assert_eq!(reach(&mut w, LAPTOP, again, 40_005)[..2], [Fate::Answered, Fate::Answered]);
    w.assert_tidy();
}

#[test]
fn in_panic_only_the_emergency_apps_of_the_group_are_left() {
    let (mut w, a) = scene();
    let scada = |w: &mut World| w.knock(Packet::new(What::Syn, SCADA, 40_000, a[2], 502));
    assert_eq!(scada(&mut w), Fate::Answered);
    w.restrict(Restriction::Panic(name("laptops")), true);
    w.run();
    for (u, port) in [(LAPTOP, 40_001), (OTHER, 40_002)] {
        assert_eq!(reach(&mut w, u, a[u], port)[..2], [Fate::Answered, PANIC]);
    }
    assert_eq!(scada(&mut w), Fate::Answered, "the PLCs are another group");
    // Quarantine above it leaves nothing: of the two sets nothing is in both.
    w.restrict(Restriction::Quarantine(imsi(LAPTOP)), true);
    w.run();
    let [files, mends, _] = reach(&mut w, LAPTOP, a[0], 40_003);
    assert_eq!((files, mends), (QUARANTINED, PANIC));
    // Each is lifted for itself.
    w.restrict(Restriction::Panic(name("laptops")), false);
    w.run();
    assert_eq!(reach(&mut w, LAPTOP, a[0], 40_004)[..2], [QUARANTINED, Fate::Answered]);
    assert_eq!(reach(&mut w, OTHER, a[1], 40_005)[..2], [Fate::Answered, Fate::Answered]);
    w.restrict(Restriction::Quarantine(imsi(LAPTOP)), false);
    w.run();
    assert_eq!(reach(&mut w, LAPTOP, a[0], 40_006)[..2], [Fate::Answered, Fate::Answered]);
    // A ban stands above all of it.
    w.restrict(Restriction::Panic(name("laptops")), true);
    w.ban(LAPTOP, SimState::Lost);
    while w.cut.is_empty() {
        assert!(w.step());
    }
    assert_eq!(reach(&mut w, LAPTOP, a[0], 40_007)[0], Fate::Dropped(Reason::Banned));
}
