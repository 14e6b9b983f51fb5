//! Idle UEs: packets that wait, paging, the way back, and a ban in between.

use crate::field::Fate;
use crate::packets::{Packet, What};
use crate::site::*;
use crate::world::World;
use access::nr::{SessionPhase, UeState};
use types::*;

const LAPTOP: usize = 0;
const FACTORY_PLC: usize = 1;

fn read(plc: std::net::Ipv4Addr, port: u16) -> Packet {
    Packet::new(What::Syn, SCADA, port, plc, 502)
}

/// A laptop and an idle PLC, each at a radio of its own; a third radio has nobody.
fn scene() -> (World, std::net::Ipv4Addr) {
    let mut w = World::new(&[Role::Laptop, Role::Plc], 3);
    w.attach(LAPTOP);
    let plc = w.attach(FACTORY_PLC);
    assert_eq!(w.knock(read(plc, 40_000)), Fate::Answered);
    w.go_idle(FACTORY_PLC);
    w.run();
    assert_eq!(w.phases(FACTORY_PLC), [SessionPhase::Idle]);
    w.phones[FACTORY_PLC].got.clear();
    (w, plc)
}

fn pages(w: &World) -> u64 {
    w.control.as_ref().unwrap().amf.counters().pages
}

#[test]
fn a_reading_from_scada_wakes_the_plc_and_arrives_in_order() {
    let (mut w, plc) = scene();
    let all: Vec<Packet> = (1..=5).map(|n| read(plc, 41_000 + n)).collect();
    for p in &all {
        assert_eq!(w.knock(*p), Fate::Waits);
    }
    // Nobody pages for what no rule allows.
    let stranger = Packet::new(What::Syn, FILES, 9, plc, 502);
    assert_eq!(w.knock(stranger), Fate::Dropped(Reason::NoFlow));
    w.run();
    assert_eq!((pages(&w), w.phases(FACTORY_PLC)), (1, vec![SessionPhase::Active]));
    assert_eq!(w.phones[FACTORY_PLC].got, all);
    assert_eq!(w.knock(read(plc, 42_000)), Fate::Answered);
    // The laptop heard the call, too, if it was in the cell; it is not its name.
    assert_eq!(w.view(LAPTOP).unwrap().state, UeState::Connected);
    w.assert_tidy();
    // It has moved while it was idle: it is called in the whole registration area.
    w.go_idle(FACTORY_PLC);
    w.run();
    w.move_to(FACTORY_PLC, 2);
    assert_eq!(w.knock(read(plc, 43_000)), Fate::Waits);
    w.run();
    assert_eq!(w.view(FACTORY_PLC).unwrap().gnb.as_deref(), Some("gnb-2"));
    assert_eq!(w.phones[FACTORY_PLC].got.last(), Some(&read(plc, 43_000)));
    w.assert_tidy();
}

#[test]
fn who_does_not_come_is_called_three_times_and_then_left_alone() {
    let (mut w, plc) = scene();
    w.phones[FACTORY_PLC].ue.lies().deaf = true;
    assert_eq!(w.knock(read(plc, 1)), Fate::Waits);
    w.pass_ms(11_900);
    assert_eq!((pages(&w), w.gw().counters().dropped(Reason::NoTunnel)), (3, 0));
    w.pass_ms(200);
    assert_eq!((pages(&w), w.gw().counters().dropped(Reason::NoTunnel)), (3, 1));
    // SCADA asks every second: nobody is paged for it until the pause is over.
    for n in 0..29 {
        assert_eq!(w.knock(read(plc, 100 + n)), Fate::Dropped(Reason::NoTunnel));
        w.pass_ms(1_000);
    }
    assert_eq!(pages(&w), 3);
    w.pass_ms(1_000);
    w.phones[FACTORY_PLC].ue.lies().deaf = false;
    assert_eq!(w.knock(read(plc, 2)), Fate::Waits);
    w.run();
    assert_eq!((pages(&w), w.phones[FACTORY_PLC].got.as_slice()), (4, &[read(plc, 2)][..]));
    // In the pause it may come by itself, and all is as before.
    w.go_idle(FACTORY_PLC);
    w.run();
    w.phones[FACTORY_PLC].ue.lies().deaf = true;
    w.knock(read(plc, 3));
    w.pass_ms(13_000);
    w.phones[FACTORY_PLC].ue.lies().deaf = false;
    w.tell(FACTORY_PLC, lab::ue::Input::Service);
    w.run();
    assert_eq!(w.knock(read(plc, 4)), Fate::Answered);
    w.go_idle(FACTORY_PLC);
    w.run();
    assert_eq!(w.knock(read(plc, 5)), Fate::Waits);
    w.run();
    assert_eq!(w.phones[FACTORY_PLC].got.last(), Some(&read(plc, 5)));
    w.assert_tidy();
}

#[test]
fn nobody_is_paged_where_no_radio_is_and_nobody_who_was_silent_for_too_long() {
    let (mut w, plc) = scene();
    for r in 0..3 {
        w.radio_down(r);
    }
    assert_eq!(w.knock(read(plc, 1)), Fate::Waits);
    w.run();
    assert_eq!((pages(&w), w.gw().counters().dropped(Reason::NoTunnel)), (0, 1));
    for r in 0..3 {
        w.radio_up(r);
    }
    // T3512 and four minutes: not paged; four more: forgotten.
    w.pass_ms(3_600_000 + 240_000);
    assert_eq!(w.knock(read(plc, 2)), Fate::Dropped(Reason::NoTunnel));
    assert_eq!((pages(&w), w.view(FACTORY_PLC).map(|v| v.state)), (0, Some(UeState::Idle)));
    w.pass_ms(240_000);
    assert_eq!(w.view(FACTORY_PLC), None);
    assert_eq!(w.knock(read(plc, 3)), Fate::Dropped(Reason::UnknownUe));
    w.assert_tidy();
}

/// At every step from the first packet to the last answer: the ban wins, and nothing that waited passes (the world
/// watches that of every packet).
#[test]
fn a_ban_during_paging_wins() {
    let (mut w, plc) = scene();
    let before = w.steps;
    w.knock(read(plc, 1));
    w.run();
    let steps = w.steps - before;
    assert!(steps > 10);
    for at in 0..=steps {
        let (mut w, plc) = scene();
        assert_eq!(w.knock(read(plc, 1)), Fate::Waits);
        assert_eq!(w.knock(read(plc, 2)), Fate::Waits);
        w.at(at, |w| w.ban(FACTORY_PLC, SimState::Stolen));
        w.run();
        assert_eq!(w.knock(read(plc, 3)), Fate::Dropped(Reason::UnknownUe), "at {at}");
        let paged = pages(&w);
        w.pass_ms(60_000);
        assert_eq!((w.view(FACTORY_PLC), pages(&w)), (None, paged), "at {at}");
        w.assert_tidy();
    }
}

/// A liar answers the call of another: in its name, with its own keys or none.
#[test]
fn a_call_that_the_wrong_ue_answers_gives_it_nothing() {
    let (mut w, plc) = scene();
    w.phones[FACTORY_PLC].ue.lies().deaf = true;
    w.go_idle(LAPTOP);
    w.run();
    let victim = w.phones[FACTORY_PLC].ue.guti().unwrap();
    assert_eq!(w.knock(read(plc, 1)), Fate::Waits);
    w.run();
    for protected in [false, true] {
        use wire::nas::fgs::{FgmmMessage, NgKsi, STmsi, ServiceRequest, ServiceType};
        let request = FgmmMessage::ServiceRequest(ServiceRequest {
            ngksi: NgKsi::Native(0),
            service_type: ServiceType::MOBILE_TERMINATED,
            s_tmsi: STmsi { set: victim.amf.set, pointer: victim.amf.pointer, tmsi: victim.tmsi },
            uplink_data_status: None,
            pdu_session_status: None,
            nas_container: None,
        });
        let plain = request.encode().unwrap();
        // A MAC of its own making.
        let lie =
            if protected { [&[0x7e, 1, 0xde, 0xad, 0xbe, 0xef, 7][..], &plain].concat() } else { plain };
        w.tell(LAPTOP, lab::ue::Input::Raw(lie));
        w.run();
        assert_eq!(w.view(FACTORY_PLC).unwrap().state, UeState::Idle);
        assert_eq!(w.phones[LAPTOP].got, []);
    }
    // The one that was called still can come.
    w.phones[FACTORY_PLC].ue.lies().deaf = false;
    w.pass_ms(4_000);
    assert_eq!(w.phones[FACTORY_PLC].got, [read(plc, 1)]);
}
