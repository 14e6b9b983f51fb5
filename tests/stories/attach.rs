//! A laptop and a PLC attach, get corporate addresses, and reach and are reached by exactly what the rules name.

use crate::field::Fate;
use crate::packets::{Packet, What};
use crate::site::*;
use crate::world::World;
use access::nr::{SessionPhase, UeState};
use hss::{CardKeys, TuakK, TuakKeys};
use lab::ue::{Input, UeEvent};
use sim_auth::Usim;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU8;
use types::*;

const LAPTOP: usize = 0;
const FACTORY_PLC: usize = 1;

fn syn(src: Ipv4Addr, dst: Ipv4Addr, port: u16) -> Packet {
    Packet::new(What::Syn, src, 40_000, dst, port)
}

/// Both are attached; their addresses.
fn attached() -> (World, Ipv4Addr, Ipv4Addr) {
    let mut w = World::site();
    let laptop = w.attach(LAPTOP);
    let plc = w.attach(FACTORY_PLC);
    (w, laptop, plc)
}

#[test]
fn both_get_an_address_of_their_network_and_everybody_agrees_about_it() {
    let (mut w, laptop, plc) = attached();
    assert_eq!((laptop, plc), (Ipv4Addr::new(10, 20, 0, 2), Ipv4Addr::new(10, 30, 0, 2)));
    for (u, ip) in [(LAPTOP, laptop), (FACTORY_PLC, plc)] {
        let v = w.view(u).unwrap();
        assert_eq!((v.state, v.gnb.as_deref()), (UeState::Connected, Some("gnb-0")));
        assert_eq!((v.sessions[0].phase, v.sessions[0].ip), (SessionPhase::Active, Some(UeIp(ip))));
        assert_eq!(w.happened(u, |h| matches!(h, Happening::Registered { .. })), 1);
        assert_eq!(w.happened(u, |h| matches!(h, Happening::SessionUp { ip: i, .. } if i.0 == ip)), 1);
        // The tunnel that the radio has is the one that the gateway made, and the key of the air is the same.
        let (_, t) = w.phones[u].tunnels.values().next().unwrap();
        assert_eq!((t.uplink.address, Some(t.uplink.teid)), (N3.into(), v.sessions[0].teid));
        let key = w.phones[u].key;
        assert_eq!(
            w.radios[0].gnb.key(key).map(|k| k.0.expose()),
            w.phones[u].ue.kgnb().as_ref().map(|k| k.expose())
        );
        // The SIM was ready and is active; its lease was durable before it heard of it.
        assert_eq!(w.store.sims[&imsi(u)].state, SimState::Active);
    }
    let session = w.phones[LAPTOP].ue.sessions().next().unwrap().clone();
    assert_eq!((session.mtu, session.dns), (Some(1358), vec!["192.168.1.53".parse().unwrap()]));
    assert_eq!(session.ambr_bps, (200_000_000, 100_000_000));
    assert_eq!(w.store.leases.len(), 2);
    w.assert_tidy();
}

#[test]
fn the_laptop_reaches_its_apps_and_nothing_else() {
    let (mut w, laptop, _) = attached();
    assert_eq!(w.send(LAPTOP, syn(laptop, FILES, 443)), Fate::Answered);
    assert_eq!(w.send(LAPTOP, Packet::new(What::Ask, laptop, 5_353, FILES, 53)), Fate::Answered);
    assert_eq!(w.send(LAPTOP, Packet::new(What::Ping, laptop, 7, FILES, 7)), Fate::Answered);
    // The right host, another port; a host that is no app; an app of somebody else; one that says no.
    assert_eq!(w.send(LAPTOP, syn(laptop, FILES, 22)), Fate::Dropped(Reason::UnknownApp));
    assert_eq!(w.send(LAPTOP, syn(laptop, NOBODY, 443)), Fate::Dropped(Reason::UnknownApp));
    assert_eq!(
        w.send(LAPTOP, Packet::new(What::Ask, laptop, 1, HISTORIAN, 514)),
        Fate::Dropped(Reason::NoRule)
    );
    assert_eq!(w.send(LAPTOP, syn(laptop, SECRET, 443)), Fate::Rejected(Reason::RuleReject));
    let c = w.gw().counters();
    assert_eq!((c.uplink_packets, c.downlink_packets, c.ue_to_ue_packets, c.rejects), (3, 3, 0, 1));
    let drops: Vec<_> = c.drops().collect();
    assert_eq!(drops, [(Reason::NoRule, 1), (Reason::RuleReject, 1), (Reason::UnknownApp, 2)]);
    // Each denial is written down with its SIM and its reason; the flows follow when they are over.
    w.pass_ms(1);
    let denied: Vec<_> = w.records.iter().map(|r| (r.imsi, r.reason, r.peer_port)).collect();
    let l = imsi(LAPTOP);
    let expected = [
        (l, Reason::UnknownApp, 22),
        (l, Reason::UnknownApp, 443),
        (l, Reason::NoRule, 514),
        (l, Reason::RuleReject, 443),
    ];
    assert_eq!(denied, expected);
    assert_eq!(w.records[3].rule, Some(name("no-secret")));
}

#[test]
fn scada_reads_the_plc_on_its_port_and_on_no_other() {
    let (mut w, laptop, plc) = attached();
    assert_eq!(w.knock(syn(SCADA, plc, 502)), Fate::Answered);
    assert_eq!(w.knock(syn(SCADA, plc, 22)), Fate::Dropped(Reason::NoFlow));
    assert_eq!(w.knock(syn(FILES, plc, 502)), Fate::Dropped(Reason::NoFlow));
    assert_eq!(w.knock(syn(SCADA, laptop, 502)), Fate::Dropped(Reason::NoFlow));
    assert_eq!(w.knock(syn(SCADA, Ipv4Addr::new(10, 30, 0, 77), 502)), Fate::Dropped(Reason::UnknownUe));
    // The PLC answers SCADA; it does not open towards it.
    assert_eq!(w.send(FACTORY_PLC, syn(plc, SCADA, 502)), Fate::Dropped(Reason::UnknownApp));
    assert_eq!(w.send(FACTORY_PLC, Packet::new(What::Ask, plc, 514, HISTORIAN, 514)), Fate::Answered);
    assert_eq!(w.send(FACTORY_PLC, syn(plc, FILES, 443)), Fate::Dropped(Reason::NoRule));
    assert_eq!(w.phones[FACTORY_PLC].got.len(), 2);
    let c = w.gw().counters();
    assert_eq!((c.uplink_packets, c.downlink_packets), (2, 2));
}

#[test]
fn an_answer_passes_only_behind_its_question() {
    let (mut w, laptop, _) = attached();
    let back = Packet::new(What::SynAck, FILES, 443, laptop, 40_000);
    assert_eq!(w.knock(back), Fate::Dropped(Reason::NoFlow));
    assert_eq!(w.send(LAPTOP, syn(laptop, FILES, 443)), Fate::Answered);
    assert_eq!(w.knock(back), Fate::Arrived);
    // The next port is another flow.
    assert_eq!(w.knock(Packet { dport: 40_001, ..back }), Fate::Dropped(Reason::NoFlow));
}

#[test]
fn what_lies_about_where_it_comes_from_or_goes_to_is_dropped_before_any_rule() {
    let (mut w, laptop, plc) = attached();
    let good = syn(laptop, FILES, 443);
    // Another UE's address, an app's, nobody's.
    for src in [plc, FILES, Ipv4Addr::new(10, 20, 0, 200)] {
        assert_eq!(w.send(LAPTOP, good.from(src)), Fate::Dropped(Reason::SpoofedSource));
    }
    // UE to UE is off, whichever network the other is in.
    assert_eq!(w.send(LAPTOP, syn(laptop, plc, 502)), Fate::Dropped(Reason::UeToUe));
    assert_eq!(w.send(LAPTOP, syn(laptop, laptop, 80)), Fate::Dropped(Reason::UeToUe));
    // Our own addresses, on all sides, also where an app would cover them (D14).
    for ours in own_addresses() {
        let std::net::IpAddr::V4(ours) = ours else { continue };
        for packet in [syn(laptop, ours, 443), Packet::new(What::Ask, laptop, 2152, ours, 2152)] {
            assert_eq!(w.send(LAPTOP, packet), Fate::Dropped(Reason::OwnAddress), "{ours}");
        }
    }
    for special in
        [Ipv4Addr::LOCALHOST, Ipv4Addr::BROADCAST, Ipv4Addr::new(224, 0, 0, 5), Ipv4Addr::new(169, 254, 1, 1)]
    {
        assert_eq!(w.send(LAPTOP, syn(laptop, special, 443)), Fate::Dropped(Reason::SpecialAddress));
    }
    // From the company's side nobody speaks with a UE's address.
    assert_eq!(w.knock(syn(laptop, plc, 502)), Fate::Dropped(Reason::SpoofedSource));
    // The right tunnel, but not from a radio of ours; a radio of ours, but no tunnel of ours.
    let teid = w.phones[LAPTOP].remembers[0].1.uplink.teid.value();
    let stranger = Ipv4Addr::new(172, 16, 2, 9);
    assert_eq!(w.send_by(LAPTOP, stranger, teid, good), Fate::Dropped(Reason::UnknownPeer));
    let radio = w.radios[0].address;
    for wrong in [teid ^ 1, teid ^ 0x400, teid ^ 0x1000_0000, 1] {
        assert_eq!(w.send_by(LAPTOP, radio, wrong, good), Fate::Dropped(Reason::UnknownTeid), "{wrong:#x}");
    }
    assert_eq!(w.gw().counters().error_indications, 4);
    // All of it cost the honest ones nothing.
    assert_eq!(w.send(LAPTOP, good), Fate::Answered);
    assert_eq!(w.gw().counters().uplink_packets, 1);
    assert_eq!(w.passed.len(), 2);
}

#[test]
fn an_idle_ue_comes_back_with_its_address_and_its_tunnel() {
    let (mut w, laptop, _) = attached();
    assert_eq!(w.send(LAPTOP, syn(laptop, FILES, 443)), Fate::Answered);
    let before = w.phones[LAPTOP].remembers[0].1;
    w.go_idle(LAPTOP);
    w.run();
    assert_eq!(w.phases(LAPTOP), [SessionPhase::Idle]);
    assert_eq!(w.send(LAPTOP, syn(laptop, FILES, 443)), Fate::NoRadio);
    let back = Packet::new(What::Ack, FILES, 443, laptop, 40_000);
    w.tell(LAPTOP, lab::ue::Input::Service);
    w.run();
    assert!(w.news_of(LAPTOP).contains(&UeEvent::ServiceAccepted));
    let after = w.phones[LAPTOP].remembers[1].1;
    assert_eq!(after.uplink, before.uplink, "our end stays");
    assert_ne!(after.downlink, before.downlink, "the radio's end is a new one");
    // The flow that was there goes on.
    assert_eq!(w.knock(back), Fate::Arrived);
    w.assert_tidy();
}

#[test]
fn who_leaves_leaves_nothing_and_gets_the_same_address_again() {
    let (mut w, laptop, _) = attached();
    w.send(LAPTOP, syn(laptop, FILES, 443));
    for switch_off in [false, true] {
        w.tell(LAPTOP, lab::ue::Input::Deregister { switch_off });
        w.run();
        assert_eq!(w.view(LAPTOP), None);
        assert_eq!(w.gw().n4.session_count(), 1);
        assert_eq!(
            w.knock(Packet::new(What::Ack, FILES, 443, laptop, 40_000)),
            Fate::Dropped(Reason::UnknownUe)
        );
        w.assert_tidy();
        let writes = w.store.writes;
        assert_eq!(w.attach(LAPTOP), laptop);
        // Sticky: no lease is written a second time (an SQN ceiling may be).
        assert!(w.store.writes <= writes + 1);
        assert_eq!(w.store.leases.len(), 2);
    }
    assert_eq!(
        w.happened(LAPTOP, |h| *h == Happening::Deregistered { by_network: false, confirmed: true }),
        2
    );
}

#[test]
fn a_session_is_released_and_an_unknown_network_hurts_nobody() {
    let (mut w, laptop, _) = attached();
    let id = 1.try_into().unwrap();
    w.tell(LAPTOP, lab::ue::Input::Release { id });
    w.run();
    assert_eq!((w.phases(LAPTOP), w.phones[LAPTOP].address()), (vec![], None));
    assert_eq!(w.send(LAPTOP, syn(laptop, FILES, 443)), Fate::NoRadio);
    w.assert_tidy();
    w.news_of(LAPTOP);
    let dnn = Some("internet".parse().unwrap());
    let session_type = wire::nas::fgs::PduSessionType::IPV4;
    w.tell(LAPTOP, lab::ue::Input::Establish { id, dnn, slice: None, session_type });
    w.run();
    let refused =
        UeEvent::SessionRejected { id, cause: None, not_forwarded: Some(FgmmCause::DnnNotSupportedInSlice) };
    assert_eq!(w.news_of(LAPTOP), [refused]);
    w.ask_session(LAPTOP, 1);
    w.run();
    assert_eq!(w.phones[LAPTOP].address(), Some(laptop));
    // A second session, into the factory's network: another address, rules by SIM as before.
    let dnn = Some("factory".parse().unwrap());
    let second = 2.try_into().unwrap();
    w.tell(LAPTOP, lab::ue::Input::Establish { id: second, dnn, slice: None, session_type });
    w.run();
    let other = w.phones[LAPTOP].ue.sessions().nth(1).unwrap().address;
    assert_eq!(other, Ipv4Addr::new(10, 30, 0, 3));
    assert_eq!(w.send(LAPTOP, syn(other, FILES, 443)), Fate::Answered);
    assert_eq!(w.send(LAPTOP, syn(laptop, FILES, 443)), Fate::Answered);
    w.assert_tidy();
}

#[test]
fn a_new_policy_ends_what_it_denies_and_opens_what_it_allows() {
    let (mut w, laptop, plc) = attached();
    assert_eq!(w.send(LAPTOP, syn(laptop, FILES, 443)), Fate::Answered);
    assert_eq!(w.knock(syn(SCADA, plc, 502)), Fate::Answered);
    let roles = w.roles.clone();
    w.publish(policy(2, &roles, &["laptops-files"]));
    w.run();
    assert_eq!(w.ctl().enforced, 2);
    // The live flow is over in both directions; the one that is still allowed is not.
    assert_eq!(w.knock(Packet::new(What::Ack, FILES, 443, laptop, 40_000)), Fate::Dropped(Reason::NoFlow));
    assert_eq!(
        w.send(LAPTOP, Packet::new(What::Ack, laptop, 40_000, FILES, 443)),
        Fate::Dropped(Reason::NoRule)
    );
    assert_eq!(w.knock(Packet::new(What::Ack, SCADA, 40_000, plc, 502)), Fate::Arrived);
    w.pass_ms(1);
    let ended = |r: &&FlowRecord| r.verdict == Verdict::Allow && r.reason == Reason::PolicyChanged;
    let ended: Vec<_> =
        w.records.iter().filter(ended).map(|r| (r.imsi, r.generation, r.packets_up)).collect();
    assert_eq!(ended, [(imsi(LAPTOP), 1, 1)]);
    w.publish(policy(3, &roles, &[]));
    w.run();
    assert_eq!(w.send(LAPTOP, syn(laptop, FILES, 443)), Fate::Answered);
}

/// The radios and we speak IPv6 on N3; what is inside stays IPv4.
#[test]
fn over_ipv6_radios_it_is_the_same() {
    let mut w = World::over_ipv6(&[Role::Laptop, Role::Plc], 2);
    let (laptop, plc) = (w.attach(LAPTOP), w.attach(FACTORY_PLC));
    for u in [LAPTOP, FACTORY_PLC] {
        let (_, t) = w.phones[u].tunnels.values().next().unwrap();
        assert_eq!((t.uplink.address, t.downlink.address), (w.n3, w.radios[u].address));
    }
    assert_eq!(w.send(LAPTOP, syn(laptop, FILES, 443)), Fate::Answered);
    assert_eq!(w.knock(syn(SCADA, plc, 502)), Fate::Answered);
    assert_eq!(w.send(LAPTOP, syn(laptop, NOBODY, 443)), Fate::Dropped(Reason::UnknownApp));
    // Who is no radio of ours, by either family; and our own address.
    let teid = w.phones[LAPTOP].remembers[0].1.uplink.teid.value();
    let strangers: [IpAddr; 3] = ["fd00:17::2".parse().unwrap(), Ipv4Addr::new(172, 16, 2, 9).into(), w.n3];
    for stranger in strangers {
        let packet = syn(laptop, FILES, 443);
        assert_eq!(
            w.send_by(LAPTOP, stranger, teid, packet),
            Fate::Dropped(Reason::UnknownPeer),
            "{stranger}"
        );
    }
    // The gateway restarts, then control: both find the IPv6 ends again.
    w.gateway_dies();
    w.gateway_starts();
    w.run();
    assert_eq!(w.send(LAPTOP, syn(laptop, FILES, 443)), Fate::Answered);
    w.control_dies();
    w.control_starts();
    w.run();
    assert_eq!(w.send(LAPTOP, syn(laptop, FILES, 443)), Fate::Answered);
    w.assert_tidy();
}

/// A card with TUAK (TS 35.231), of either length of K: it attaches, and where it is ahead its AUTS is believed.
#[test]
fn a_tuak_card_attaches_as_a_milenage_one() {
    for k in [TuakK::Short(K::new([0x31; 16])), TuakK::Long(Key256::new([0x31; 32]))] {
        let mut w = World::site();
        let keys = TuakKeys::with_top(k, &Key256::new([0x32; 32]), NonZeroU8::MIN);
        let (now, who) = (w.now, imsi(LAPTOP));
        let sealed = w.ctl().hss.vault().seal_card(who, &CardKeys::Tuak(keys.clone()));
        let record = w.store.sims.get_mut(&who).unwrap();
        (record.sealed, record.algorithm) = (sealed, hss::Algorithm::Tuak);
        let record = record.clone();
        w.ctl().hss.check(&record).unwrap();
        let wrong = hss::SimRecord { algorithm: hss::Algorithm::Milenage, ..record.clone() };
        assert_eq!(w.ctl().hss.check(&wrong), Err(hss::RecordError::Algorithm));
        w.ctl().hss.handle(hss::Input::Put(record), now);
        // The card that was in the phone is another's.
        w.tell(LAPTOP, Input::Register);
        w.run();
        assert!(w.news_of(LAPTOP).contains(&UeEvent::ChallengeRefused(FgmmCause::MacFailure)));
        w.pass_ms(100_000);
        let ahead = Sqn::from_seq_ind(1 << 34, 0, 5).unwrap();
        *w.phones[LAPTOP].ue.card() = Usim::of(CardKeys::Tuak(keys).card()).with_sqn(ahead);
        w.power_cycle(LAPTOP);
        let a = w.attach(LAPTOP);
        assert!(w.news_of(LAPTOP).contains(&UeEvent::ChallengeRefused(FgmmCause::SynchFailure)));
        assert_eq!(w.send(LAPTOP, Packet::new(What::Syn, a, 40_000, FILES, 443)), Fate::Answered);
    }
}

#[test]
fn new_rates_of_a_sim_reach_its_live_session_and_nothing_else_changes() {
    let mut w = World::new(&[Role::Laptop, Role::Plc], 1);
    let (laptop, _) = (w.attach(0), w.attach(1));
    let packet = Packet::new(What::Syn, laptop, 40_000, FILES, 443);
    assert_eq!(w.send(0, packet), Fate::Answered);
    let rates = |w: &World, u: usize| w.phones[u].ue.sessions().next().map(|s| s.ambr_bps);
    let of_the_plc = rates(&w, 1);
    w.change_rates(0, 64_000, 128_000);
    assert_eq!((rates(&w, 0), rates(&w, 1)), (Some((128_000, 64_000)), of_the_plc));
    // The gateway holds the UE to them: of what it sends at once a part passes, and some time later all of it again.
    let big = Packet { what: What::Ack, ..packet };
    let passed = (0..4_000).filter(|_| w.send(0, big) == Fate::Arrived).count();
    assert!((1..4_000).contains(&passed), "{passed} of 4000 at once");
    w.pass_ms(60_000);
    assert_eq!(w.send(0, big), Fate::Arrived);
    w.assert_tidy();
}
