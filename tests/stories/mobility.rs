//! UEs that go over from one radio to another while packets flow.

use crate::field::Fate;
use crate::packets::{Packet, What};
use crate::site::*;
use crate::world::World;
use access::nr::UeState;
use lab::gnb::Input;
use types::*;
use wire::ngap::{self, Cause, HandoverNotify, HandoverRequestAcknowledge, Message, RadioCause};

const LAPTOP: usize = 0;
const FACTORY_PLC: usize = 1;

#[test]
fn flows_go_on_at_the_new_radio_and_a_ban_finds_the_ue_there() {
    let mut w = World::new(&[Role::Laptop, Role::Plc], 2);
    let (laptop, plc) = (w.attach(LAPTOP), w.attach(FACTORY_PLC));
    let (open, read) =
        (Packet::new(What::Syn, laptop, 40_000, FILES, 443), Packet::new(What::Syn, SCADA, 40_000, plc, 502));
    assert_eq!((w.send(LAPTOP, open), w.knock(read)), (Fate::Answered, Fate::Answered));
    for to in [1, 0, 1] {
        assert!(w.hand_over(LAPTOP, to) & w.hand_over(FACTORY_PLC, 1 - to));
        w.run();
        // What was open is open, both ways; what is denied stays so; and nothing goes to the radio that it left.
        let (sent, got) = (Packet { what: What::Ack, ..open }, Packet { what: What::Ack, ..read });
        assert_eq!((w.send(LAPTOP, sent), w.knock(got)), (Fate::Arrived, Fate::Arrived));
        let (new, more) =
            (Packet { sport: 41_000 + to as u16, ..open }, Packet { sport: 41_000 + to as u16, ..read });
        assert_eq!((w.send(LAPTOP, new), w.knock(more)), (Fate::Answered, Fate::Answered));
        let secret = Packet::new(What::Syn, laptop, 40_001, SECRET, 443);
        assert!(!matches!(w.send(LAPTOP, secret), Fate::Answered | Fate::Arrived));
        assert_eq!(w.radios.iter().map(|r| r.strays).sum::<u64>(), 0);
        assert!(w.radios.iter().all(|r| r.errors.is_empty()));
        let view = w.view(LAPTOP).unwrap();
        assert_eq!((view.state, view.gnb), (UeState::Connected, Some(format!("gnb-{to}"))));
    }
    assert_eq!(w.happened(LAPTOP, |h| matches!(h, Happening::Moved { .. })), 3);

    // The gateway comes back with the tunnels where the UEs are.
    w.gateway_dies();
    w.run();
    w.gateway_starts();
    w.run();
    assert_eq!(w.knock(Packet::new(What::Syn, SCADA, 40_002, plc, 502)), Fate::Answered);

    w.ban(LAPTOP, SimState::Lost);
    w.run();
    assert!(!matches!(w.send(LAPTOP, open), Fate::Answered | Fate::Arrived));
    assert_eq!(w.view(LAPTOP), None);
}

#[test]
fn a_ban_on_its_way_is_faster_than_the_new_radio() {
    let mut w = World::new(&[Role::Laptop], 2);
    let laptop = w.attach(LAPTOP);
    let packet = Packet::new(What::Syn, laptop, 40_000, FILES, 443);
    assert_eq!(w.send(LAPTOP, packet), Fate::Answered);
    // The radios agree about the UE; the AMF has not heard of it when the ban comes.
    w.ban(LAPTOP, SimState::Stolen);
    assert!(w.hand_over(LAPTOP, 1));
    w.run();
    assert!(!matches!(w.send(LAPTOP, packet), Fate::Answered | Fate::Arrived));
    w.pass_ms(60_000);
    assert_eq!(w.view(LAPTOP), None);
    assert_eq!(w.radios[1].gnb.connected().count(), 0);
}

/// A laptop and a PLC with a flow each, on three radios.
fn scene() -> (World, [Packet; 2]) {
    let mut w = World::new(&[Role::Laptop, Role::Plc], 3);
    let (laptop, plc) = (w.attach(LAPTOP), w.attach(FACTORY_PLC));
    let open = Packet::new(What::Syn, laptop, 40_000, FILES, 443);
    let read = Packet::new(What::Syn, SCADA, 40_000, plc, 502);
    assert_eq!((w.send(LAPTOP, open), w.knock(read)), (Fate::Answered, Fate::Answered));
    (w, [open, read])
}

fn at(w: &World) -> Option<String> {
    w.view(LAPTOP).and_then(|v| v.gnb)
}

/// The laptop is where it was, whole, and nothing is left of the handover anywhere.
fn stays(w: &mut World, open: Packet) {
    assert_eq!(at(w).as_deref(), Some("gnb-0"));
    assert_eq!(w.send(LAPTOP, Packet { sport: open.sport + 7, ..open }), Fate::Answered);
    assert_eq!(w.radios[1].gnb.connected().count(), 1, "the PLC alone");
    assert_eq!(w.happened(LAPTOP, |h| matches!(h, Happening::Moved { .. })), 0);
    w.assert_tidy();
}

#[test]
fn the_amf_sends_a_ue_to_another_radio_with_its_flows_and_new_keys() {
    let (mut w, [open, read]) = scene();
    let mut keys = Vec::new();
    for to in [1, 2, 0, 1] {
        w.ask_away(LAPTOP, to);
        w.run();
        assert_eq!(at(&w), Some(format!("gnb-{to}")));
        let (sent, got) = (Packet { what: What::Ack, ..open }, Packet { what: What::Ack, ..read });
        assert_eq!((w.send(LAPTOP, sent), w.knock(got)), (Fate::Arrived, Fate::Arrived));
        assert_eq!(w.send(LAPTOP, Packet { sport: 41_000 + to as u16, ..open }), Fate::Answered);
        // Each radio has a key of its own, and the one that was left has nothing.
        keys.push(*w.radios[to].gnb.key(w.phones[LAPTOP].key).unwrap().0.expose());
        let here: usize = w.radios.iter().map(|r| r.gnb.connected().count()).sum();
        assert_eq!((here, w.radios.iter().map(|r| r.strays).sum::<u64>()), (2, 0));
        assert!(w.radios.iter().all(|r| r.errors.is_empty()));
        w.assert_tidy();
    }
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 4);
    assert_eq!(w.happened(LAPTOP, |h| matches!(h, Happening::Moved { .. })), 4);
    assert!(w.gw().counters().end_markers >= 4);
    // It goes on from there: over Xn, through idle, and out.
    assert!(w.hand_over(LAPTOP, 0));
    w.run();
    w.go_idle(LAPTOP);
    w.run();
    w.tell(LAPTOP, lab::ue::Input::Service);
    w.run();
    assert_eq!(w.send(LAPTOP, Packet { sport: 42_000, ..open }), Fate::Answered);
    w.ban(LAPTOP, SimState::Lost);
    w.run();
    assert!(!matches!(w.send(LAPTOP, open), Fate::Answered | Fate::Arrived));
}

#[test]
fn a_handover_that_does_not_come_off_changes_nothing() {
    let refused = Cause::RadioNetwork(RadioCause::NO_RADIO_RESOURCES_AVAILABLE_IN_TARGET_CELL);
    // The other radio refuses the UE, or its only session, or says nothing.
    for lie in 0..3 {
        let (mut w, [open, _]) = scene();
        let lies = w.radios[1].gnb.lies();
        match lie {
            0 => lies.refuse_contexts = Some(refused),
            1 => lies.refuse_sessions = Some(refused),
            _ => lies.silent = true,
        }
        w.ask_away(LAPTOP, 1);
        w.run();
        w.pass_ms(11_000);
        w.radios[1].gnb.lies().silent = false;
        stays(&mut w, open);
        // Afterwards it works.
        *w.radios[1].gnb.lies() = Default::default();
        w.ask_away(LAPTOP, 1);
        w.run();
        assert_eq!(at(&w).as_deref(), Some("gnb-1"));
    }
    // There is no such radio; it is the same; two at once.
    let (mut w, [open, _]) = scene();
    for to in [9, 0] {
        w.ask_away(LAPTOP, to);
        w.run();
        stays(&mut w, open);
    }
    // The UE does not go: what was prepared ends after a while.
    w.ask_away(LAPTOP, 1);
    w.phones[LAPTOP].going = None;
    w.run();
    assert_eq!(w.radios[1].gnb.connected().count(), 2);
    w.pass_ms(11_000);
    stays(&mut w, open);
}

/// At every step: its radio takes it back, either radio is lost, or its SIM is banned.
#[test]
fn a_cancel_a_lost_radio_or_a_ban_at_every_step() {
    let (mut w, _) = scene();
    let before = w.steps;
    w.ask_away(LAPTOP, 1);
    w.run();
    let steps = w.steps - before;
    assert!(steps > 15);
    for n in 0..=steps {
        for what in 0..4 {
            let (mut w, [open, _]) = scene();
            w.ask_away(LAPTOP, 1);
            let key = w.phones[LAPTOP].key;
            w.at(n, move |w| match what {
                0 => w.radios[0].gnb.handle(Input::CancelHandover { ue: key }, w.now),
                1 => w.radio_down(0),
                2 => w.radio_down(1),
                _ => w.ban(LAPTOP, SimState::Stolen),
            });
            w.run();
            w.pass_ms(30_000);
            let view = w.view(LAPTOP);
            if what == 3 {
                assert_eq!(view, None, "ban at {n}");
                assert!(!matches!(w.send(LAPTOP, open), Fate::Answered | Fate::Arrived));
                let left = |r: usize| w.radios[r].gnb.connected().filter(|k| *k == key).count();
                assert_eq!((left(0), left(1)), (0, 0), "ban at {n}");
            } else {
                let gnb = view.and_then(|v| v.gnb);
                assert!(
                    gnb.is_none() || what == 0 || gnb != Some(format!("gnb-{}", what - 1)),
                    "{what} at {n}"
                );
            }
            let held = w.control.as_ref().unwrap().amf.held();
            assert_eq!(held[2..], [0, 0], "{what} at {n}");
            if what == 0 {
                let whole = w.send(LAPTOP, Packet { sport: 50_000, ..open });
                assert!(
                    matches!(whole, Fate::Answered | Fate::NoRadio | Fate::Dropped(_)),
                    "at {n}: {whole:?}"
                );
            }
        }
    }
}

/// A third radio says that it takes the UE, and that it is there.
#[test]
fn a_radio_that_was_not_asked_gets_no_ue() {
    let (mut w, [open, _]) = scene();
    w.radios[1].gnb.lies().silent = true;
    w.ask_away(LAPTOP, 1);
    w.run();
    let (source, _) = w.radios[0].gnb.ids(w.phones[LAPTOP].key).unwrap();
    // Our names follow one another: it guesses the one at the other radio, and knows the one at the first.
    let first = source.unwrap().value();
    for id in [first, first + 1, first + 2, first + 3] {
        let amf_ue_id = ngap::AmfUeNgapId::new(id).unwrap();
        let ran_ue_id = ngap::RanUeNgapId(77);
        let takes = HandoverRequestAcknowledge {
            amf_ue_id,
            ran_ue_id,
            admitted: vec![],
            failed: vec![],
            container: vec![0],
        };
        for m in [
            Message::HandoverRequestAcknowledge(takes),
            Message::HandoverNotify(HandoverNotify { amf_ue_id, ran_ue_id, location: None }),
            Message::HandoverFailure(ngap::HandoverFailure { amf_ue_id, cause: Cause::UNSPECIFIED }),
        ] {
            let octets = ngap::encode(&m).unwrap();
            w.radios[2].gnb.handle(Input::Raw { stream: 1, octets }, w.now);
            w.run();
        }
    }
    assert_eq!(w.radios[2].errors.len(), 12);
    w.pass_ms(11_000);
    w.radios[1].gnb.lies().silent = false;
    stays(&mut w, open);
}
