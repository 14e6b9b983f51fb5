//! UEs that go over from one radio to another while packets flow.

use crate::field::Fate;
use crate::packets::{Packet, What};
use crate::site::*;
use crate::world::World;
use access::nr::UeState;
use types::*;

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
