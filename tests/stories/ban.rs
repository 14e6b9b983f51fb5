//! A ban cuts now and stays: at every step of everything that a UE can be doing, whoever else wants something at
//! the same moment, and whatever the UE and its radio do about it.
//!
//! After each step behind the gateway's confirmation, every tunnel and address that the SIM ever had is tried;
//! a packet that passes ends the story ([`crate::world`]).

use crate::field::Fate;
use crate::packets::{Packet, What};
use crate::site::*;
use crate::world::World;
use access::nr::UeState;
use lab::ue::{Input, Lies, UeEvent};
use std::net::Ipv4Addr;
use types::*;

/// Who is banned.
const THIEF: usize = 0;
/// Who must not notice.
const FACTORY_PLC: usize = 1;

fn syn(src: Ipv4Addr, dst: Ipv4Addr, port: u16) -> Packet {
    Packet::new(What::Syn, src, 40_000, dst, port)
}

/// Tries everything that a banned SIM could try, both ways: each tunnel that it ever had, each that the gateway has
/// for it (though nobody has told it yet), each address.
fn try_everything(w: &mut World) {
    for imsi in w.cut.clone() {
        let u = (0..w.phones.len()).find(|u| crate::site::imsi(*u) == imsi).expect("a SIM of a UE");
        let addresses: Vec<Ipv4Addr> =
            w.store.leases.values().filter(|l| l.imsi == imsi).map(|l| l.ip.0).collect();
        let here = w.gateway.iter().flat_map(|g| g.n4.sessions()).filter(|s| s.supi.imsi() == imsi);
        let mut teids: Vec<u32> = here.map(|s| s.teid.value()).collect();
        teids.extend(w.phones[u].remembers.iter().map(|(_, t)| t.uplink.teid.value()));
        let from = w.radios[w.phones[u].cell].address;
        for (teid, address) in teids.iter().flat_map(|t| addresses.iter().map(|a| (*t, *a))) {
            let fate = w.send_by(u, from, teid, syn(address, FILES, 443));
            assert!(matches!(fate, Fate::Dropped(_) | Fate::NoGateway), "{fate:?}");
        }
        for address in addresses {
            for packet in [syn(SCADA, address, 502), Packet::new(What::SynAck, FILES, 443, address, 40_000)] {
                let fate = w.knock(packet);
                assert!(matches!(fate, Fate::Dropped(_) | Fate::NoGateway), "{fate:?}");
            }
        }
    }
}

/// What a UE is doing when the ban comes: what was before, and what it does.
struct Journey {
    name: &'static str,
    before: fn(&mut World),
    does: fn(&mut World),
}

fn nothing(_: &mut World) {}

fn attached(w: &mut World) {
    let a = w.attach(THIEF);
    assert_eq!(w.send(THIEF, syn(a, FILES, 443)), Fate::Answered);
}

fn idle(w: &mut World) {
    attached(w);
    w.go_idle(THIEF);
    w.run();
}

fn attaches(w: &mut World) {
    w.tell(THIEF, Input::Register);
    w.run();
    w.ask_session(THIEF, 1);
    w.run();
}

fn connects_twice(w: &mut World) {
    w.ask_session(THIEF, 2);
    w.ask_session(THIEF, 3);
    w.run();
}

fn releases(w: &mut World) {
    w.tell(THIEF, Input::Release { id: 1.try_into().unwrap() });
    w.run();
}

fn replaces(w: &mut World) {
    w.ask_session(THIEF, 1);
    w.run();
}

fn comes_back(w: &mut World) {
    w.tell(THIEF, Input::Service);
    w.run();
}

fn comes_back_elsewhere(w: &mut World) {
    w.move_to(THIEF, 1);
    w.tell(THIEF, Input::Service);
    w.run();
}

fn goes_idle(w: &mut World) {
    w.go_idle(THIEF);
    w.run();
}

fn updates(w: &mut World) {
    w.tell(THIEF, Input::Update);
    w.run();
}

fn registers_anew(w: &mut World) {
    w.power_cycle(THIEF);
    attaches(w);
}

fn leaves(w: &mut World) {
    w.tell(THIEF, Input::Deregister { switch_off: false });
    w.run();
}

const JOURNEYS: [Journey; 11] = [
    Journey { name: "attaches", before: nothing, does: attaches },
    Journey { name: "asks for two more sessions", before: attached, does: connects_twice },
    Journey { name: "releases its session", before: attached, does: releases },
    Journey { name: "asks for its session anew", before: attached, does: replaces },
    Journey { name: "goes idle", before: attached, does: goes_idle },
    Journey { name: "comes back from idle", before: idle, does: comes_back },
    Journey { name: "comes back at another radio", before: idle, does: comes_back_elsewhere },
    Journey { name: "updates its registration", before: attached, does: updates },
    Journey { name: "updates from idle", before: idle, does: updates },
    Journey { name: "is switched off and on", before: attached, does: registers_anew },
    Journey { name: "leaves", before: attached, does: leaves },
];

/// Two radios; the PLC is attached and is being read.
fn scene(j: &Journey) -> World {
    let mut w = World::new(&[Role::Laptop, Role::Plc], 2);
    let plc = w.attach(FACTORY_PLC);
    assert_eq!(w.knock(syn(SCADA, plc, 502)), Fate::Answered);
    (j.before)(&mut w);
    w
}

/// The SIM is banned for good: nothing of it is there, everybody knows it, and it is told so when it comes.
fn assert_banned(w: &mut World, state: SimState, when: &str) {
    w.pass_ms(120_000);
    let who = imsi(THIEF);
    assert_eq!(w.view(THIEF), None, "{when}");
    assert_eq!((w.journal.get(&who), w.store.sims[&who].state), (Some(&state), state), "{when}");
    assert_eq!(w.ctl().hss.state(who), Some(state), "{when}");
    assert!(w.receipts.contains(&who), "{when}");
    assert!(w.gw().n4.sessions().iter().all(|s| s.supi.imsi() != who), "{when}");
    assert_eq!(w.trace(who).sessions, 0, "{when}");
    w.assert_tidy();
    w.news_of(THIEF);
    w.power_cycle(THIEF);
    w.tell(THIEF, Input::Register);
    w.run();
    let refused = UeEvent::Rejected { cause: FgmmCause::IllegalUe, protected: true, backoff_s: None };
    assert_eq!(w.news_of(THIEF).last(), Some(&refused), "{when}");
    w.pass_ms(10_000);
    w.assert_tidy();
}

/// The PLC was not hurt.
fn assert_unhurt(w: &mut World, when: &str) {
    let plc = w.phones[FACTORY_PLC].address().expect("the PLC's session");
    assert_eq!(w.knock(syn(SCADA, plc, 502)), Fate::Answered, "{when}");
    assert_eq!(w.view(FACTORY_PLC).map(|v| v.state), Some(UeState::Connected), "{when}");
}

/// How many steps a journey has when nobody is in its way.
fn length(j: &Journey) -> usize {
    let mut w = scene(j);
    let before = w.steps;
    (j.does)(&mut w);
    w.steps - before
}

fn ban_at_every_step(j: &Journey, cuts_overtake: bool) -> usize {
    let steps = length(j);
    for n in 0..=steps {
        let when = format!("{}: ban after step {n} of {steps}, overtaking: {cuts_overtake}", j.name);
        let mut w = scene(j);
        w.cuts_overtake = cuts_overtake;
        w.watch = Some(try_everything);
        if n == 0 {
            w.ban(THIEF, SimState::Lost);
        } else {
            w.at(n, |w| w.ban(THIEF, SimState::Lost));
        }
        (j.does)(&mut w);
        assert!(!w.has_plans(), "{when}");
        w.watch = None;
        assert_banned(&mut w, SimState::Lost, &when);
        assert_unhurt(&mut w, &when);
    }
    steps + 1
}

#[test]
fn at_every_step_of_an_attach() {
    let n = ban_at_every_step(&JOURNEYS[0], true) + ban_at_every_step(&JOURNEYS[0], false);
    assert!(n > 150, "{n} moments");
}

#[test]
fn at_every_step_of_session_procedures() {
    for j in &JOURNEYS[1..5] {
        ban_at_every_step(j, true);
    }
}

#[test]
fn at_every_step_of_mobility_procedures() {
    for j in &JOURNEYS[5..] {
        ban_at_every_step(j, true);
    }
}

/// The order in which things arrive is anybody's: each journey, banned at a random moment of a random order.
#[test]
fn in_any_order_of_arrival() {
    let mut bans = 0;
    for seed in 0..110 {
        let j = &JOURNEYS[seed as usize % JOURNEYS.len()];
        let mut chance = fastrand::Rng::with_seed(seed);
        let mut w = scene(j);
        let n = chance.usize(1..length(j));
        let when = format!("{}: seed {seed}, ban after step {n}", j.name);
        w.shuffle(seed);
        w.cuts_overtake = chance.bool();
        w.watch = Some(try_everything);
        w.at(n, |w| w.ban(THIEF, SimState::Stolen));
        (j.does)(&mut w);
        w.run();
        if w.has_plans() {
            // In this order the journey was shorter.
            continue;
        }
        w.watch = None;
        assert_banned(&mut w, SimState::Stolen, &when);
        assert_unhurt(&mut w, &when);
        bans += 1;
    }
    assert!(bans > 80, "{bans} of 110 journeys met their ban");
}

#[test]
fn two_bans_at_once_are_one_cut_and_two_receipts() {
    let j = &JOURNEYS[0];
    let steps = length(j);
    for n in (1..steps).step_by(3) {
        for gap in [0, 1, 2, 5] {
            let when = format!("bans after steps {n} and {}", n + gap);
            let mut w = scene(j);
            w.watch = Some(try_everything);
            w.at(n, |w| w.ban(THIEF, SimState::Lost));
            w.at(n + gap, |w| w.ban(THIEF, SimState::Stolen));
            (j.does)(&mut w);
            w.run();
            if w.has_plans() {
                continue;
            }
            w.watch = None;
            assert_eq!(w.receipts, [imsi(THIEF); 2], "{when}");
            assert_banned(&mut w, SimState::Stolen, &when);
            assert_unhurt(&mut w, &when);
        }
    }
}

#[test]
fn a_ban_that_is_taken_back_is_over_and_the_ue_lives_as_before() {
    let mut w = scene(&JOURNEYS[1]);
    let address = w.phones[THIEF].address().unwrap();
    w.watch = Some(try_everything);
    w.ban(THIEF, SimState::Lost);
    w.run();
    assert_banned(&mut w, SimState::Lost, "banned");
    w.unban(THIEF);
    w.run();
    assert_eq!((w.journal.len(), w.store.sims[&imsi(THIEF)].state), (0, SimState::Active));
    // Its card was told that it is an illegal UE: it stays away until it is switched off and on.
    w.news_of(THIEF);
    w.tell(THIEF, Input::Register);
    w.run();
    assert_eq!(w.news_of(THIEF), [UeEvent::Barred]);
    w.power_cycle(THIEF);
    assert_eq!(w.attach(THIEF), address);
    assert_eq!(w.send(THIEF, syn(address, FILES, 443)), Fate::Answered);
    assert_eq!(w.knock(syn(SCADA, address, 502)), Fate::Dropped(Reason::NoFlow));
    w.assert_tidy();
}

/// Ban and unban close behind one another, both ways round: the later word holds, everywhere.
#[test]
fn the_last_word_holds() {
    for gap in 0..40 {
        let when = format!("an unban {gap} steps behind the ban");
        let mut w = scene(&JOURNEYS[1]);
        w.watch = Some(try_everything);
        w.ban(THIEF, SimState::Lost);
        w.at(gap.max(1), |w| w.unban(THIEF));
        w.run();
        assert!(!w.has_plans() || gap > 20, "{when}");
        if !w.has_plans() {
            assert_eq!((w.journal.len(), w.store.sims[&imsi(THIEF)].state), (0, SimState::Active), "{when}");
            w.pass_ms(30_000);
            w.power_cycle(THIEF);
            let address = w.attach(THIEF);
            assert_eq!(w.send(THIEF, syn(address, FILES, 443)), Fate::Answered, "{when}");
        }
        let when = format!("a ban {gap} steps behind the unban");
        let mut w = scene(&JOURNEYS[1]);
        w.watch = Some(try_everything);
        w.ban(THIEF, SimState::Lost);
        w.run();
        w.unban(THIEF);
        w.at(gap.max(1), |w| w.ban(THIEF, SimState::Stolen));
        w.run();
        if !w.has_plans() {
            assert_banned(&mut w, SimState::Stolen, &when);
        }
    }
}

/// The UE hears no order to leave, its radio answers nothing, and both go on: nobody waits for them.
#[test]
fn a_liar_and_its_radio_are_cut_all_the_same() {
    let mut w = World::new(&[Role::Laptop, Role::Plc], 2);
    w.attach(FACTORY_PLC);
    let address = w.attach(THIEF);
    let packet = syn(address, FILES, 443);
    assert_eq!(w.send(THIEF, packet), Fate::Answered);
    *w.phones[THIEF].ue.lies() = Lies { ignore_bars: true, ..Lies::stubborn() };
    w.radios[0].gnb.lies().silent = true;
    w.ban(THIEF, SimState::Stolen);
    // Up to the cut, not further: the session still stands, and carries nothing.
    while w.cut.is_empty() {
        assert!(w.step());
    }
    for _ in 0..100 {
        assert_eq!(w.send(THIEF, packet), Fate::Dropped(Reason::Banned));
        assert_eq!(w.knock(packet.answer().unwrap()), Fate::Dropped(Reason::Banned));
    }
    let t = w.trace(imsi(THIEF));
    assert_eq!((t.sessions, t.dropped, t.last_packet.is_some()), (1, 200, true));
    w.run();
    // Now the session is gone, too. The radio has kept its tunnel, and is told that there is none.
    for _ in 0..100 {
        assert_eq!(w.send(THIEF, packet), Fate::Dropped(Reason::UnknownTeid));
    }
    assert_eq!(w.gw().counters().error_indications, 100);
    assert_eq!(w.view(THIEF).map(|v| v.state), Some(UeState::Deregistering));
    w.ask_session(THIEF, 2);
    w.run();
    assert_eq!(w.gw().n4.session_count(), 1);
    w.pass_ms(10_000);
    assert_eq!(w.view(THIEF), None);
    assert_eq!(
        w.happened(THIEF, |h| *h == Happening::Deregistered { by_network: true, confirmed: false }),
        1
    );
    // The radio comes to its senses; the UE registers again and again, and is told each time.
    w.radios[0].gnb.lies().silent = false;
    let now = w.now;
    let whom = w.phones[THIEF].key;
    w.radios[0].gnb.handle(lab::gnb::Input::Reset(Some(vec![whom])), now);
    w.run();
    for _ in 0..3 {
        w.news_of(THIEF);
        w.power_cycle(THIEF);
        w.tell(THIEF, Input::Register);
        w.run();
        let refused = UeEvent::Rejected { cause: FgmmCause::IllegalUe, protected: true, backoff_s: None };
        assert_eq!(w.news_of(THIEF).last(), Some(&refused));
    }
    let lost = |h: &Happening| {
        matches!(h, Happening::RegistrationRefused { authenticated: true, reason: RefusalReason::Stolen, .. })
    };
    assert_eq!(w.happened(THIEF, lost), 3);
    assert_unhurt(&mut w, "at the end");
}

/// No gateway: no packet passes, the ban is taken, and it is there before the gateway forwards again.
#[test]
fn a_ban_without_a_gateway_is_there_before_it_forwards_again() {
    let mut w = scene(&JOURNEYS[1]);
    let address = w.phones[THIEF].address().unwrap();
    w.gateway_dies();
    assert_eq!(w.send(THIEF, syn(address, FILES, 443)), Fate::NoGateway);
    w.ban(THIEF, SimState::Lost);
    w.run();
    assert_eq!(w.receipts, [imsi(THIEF)]);
    w.pass_ms(2_000);
    w.watch = Some(try_everything);
    w.gateway_starts();
    w.run();
    assert!(w.cut.contains(&imsi(THIEF)));
    w.watch = None;
    assert_banned(&mut w, SimState::Lost, "the gateway is back");
    assert_unhurt(&mut w, "the gateway is back");
}
