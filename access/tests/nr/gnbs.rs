//! gNBs: set-up, restart, reset, loss, errors.

use crate::ue::plmn;
use crate::world::*;
use access::nr::*;
use types::*;
use wire::ngap::{self, *};

fn setup_failure(w: &World, assoc: AssocId) -> Option<Cause> {
    match w.last(assoc) {
        Message::NgSetupFailure(f) => Some(f.cause),
        _ => None,
    }
}

#[test]
fn ng_setup_says_who_we_are() {
    let w = World::new(0);
    let Message::NgSetupResponse(r) = w.last(A) else { panic!() };
    assert_eq!(r.guamis, [Guami { plmn: plmn(), amf: AmfId { region: 1, set: 1, pointer: 0 } }]);
    assert_eq!(r.plmns, [SupportedPlmn { plmn: plmn(), slices: vec![snssai()] }]);
    let gnbs: Vec<_> = w.amf.gnbs().collect();
    assert_eq!((gnbs[0].name.as_str(), gnbs[0].id, gnbs[0].tacs.clone()), ("gnb-1", 1, vec![tac()]));
    assert_eq!(w.happened(|h| matches!(h, Happening::GnbUp { name, .. } if name == "gnb-1")), 1);
}

#[test]
fn a_gnb_of_another_network_area_or_slice_is_refused_with_its_cause() {
    let other = Plmn::new("999", "70").unwrap();
    let with = |f: &dyn Fn(&mut NgSetupRequest)| {
        let mut r = setup_request(2);
        f(&mut r);
        r
    };
    let cases: [(NgSetupRequest, Cause); 4] = [
        (with(&|r| r.tas[0].plmns[0].plmn = other), Cause::Misc(MiscCause::UNKNOWN_PLMN_OR_SNPN)),
        (with(&|r| r.tas[0].tac = Tac::try_from(1).unwrap()), Cause::Misc(MiscCause::UNSPECIFIED)),
        (
            with(&|r| r.tas[0].plmns[0].slices = vec![Snssai { sst: 9, sd: None }]),
            Cause::RadioNetwork(RadioCause::SLICE_NOT_SUPPORTED),
        ),
        // The number of a gNB that is connected from elsewhere.
        (
            with(&|r| r.node = RanNodeId::Gnb(GlobalGnbId { plmn: plmn(), id: 1, bits: 22 })),
            Cause::Protocol(ProtocolCause::SEMANTIC_ERROR),
        ),
    ];
    for (request, cause) in cases {
        let mut w = World::new(1);
        w.attach(0, A);
        w.inbox.push_back(Input::AssocUp { assoc: B, peer: "10.0.0.2".parse().unwrap() });
        w.gnb_says(B, Message::NgSetupRequest(request));
        w.run();
        assert_eq!(setup_failure(&w, B), Some(cause));
        assert_eq!(
            w.happened(|h| matches!(h, Happening::GnbRefused { address, .. } if address == "10.0.0.2")),
            1
        );
        assert_eq!((w.amf.gnbs().count(), w.state(0)), (1, Some(UeState::Connected)));
        // It may not speak of UEs.
        w.initial(B, RanUeNgapId(1), vec![0x7e, 0, 0x41]);
        w.run();
        assert!(matches!(w.last(B), Message::ErrorIndication(_)));
        w.assert_tidy(1);
    }
}

#[test]
fn a_gnb_that_sets_up_again_drops_its_old_contexts() {
    let mut w = World::new(2);
    w.gnb_up(B, 2);
    w.attach(0, A);
    w.connect(0, 1, "corp");
    w.attach(1, B);
    w.gnb_says(A, Message::NgSetupRequest(setup_request(1)));
    w.run();
    assert_eq!((w.state(0), w.state(1)), (Some(UeState::Idle), Some(UeState::Connected)));
    assert_eq!(w.gateway.sessions.values().next().unwrap().downlink, None);
    w.assert_tidy(1);
}

#[test]
fn a_gnb_that_comes_back_on_a_new_association_replaces_the_old_one() {
    let mut w = World::new(1);
    w.attach(0, A);
    let new = AssocId(9);
    w.inbox.push_back(Input::AssocUp { assoc: new, peer: "10.0.0.1".parse().unwrap() });
    w.gnb_says(new, Message::NgSetupRequest(setup_request(1)));
    w.run();
    assert_eq!(w.closed, [A]);
    assert_eq!(w.state(0), Some(UeState::Idle));
    assert_eq!(w.amf.gnbs().map(|g| g.assoc).collect::<Vec<_>>(), [new]);
    w.assert_tidy(0);
}

#[test]
fn a_whole_reset_and_a_partial_one() {
    let mut w = World::new(3);
    for u in 0..3 {
        w.attach(u, A);
    }
    let p = w.places[0].as_ref().unwrap();
    let one = UeConnection { amf_ue_id: p.amf, ran_ue_id: Some(p.ran) };
    let stranger = UeConnection { amf_ue_id: AmfUeNgapId::new(12_345), ran_ue_id: None };
    let by_ran = UeConnection { amf_ue_id: None, ran_ue_id: Some(w.places[1].as_ref().unwrap().ran) };
    let list = vec![one, stranger, by_ran];
    let cause = Cause::UNSPECIFIED;
    w.gnb_says(A, Message::NgReset(NgReset { cause, reset: ResetType::Part(list.clone()) }));
    w.run();
    assert_eq!(w.last(A), &Message::NgResetAcknowledge(NgResetAcknowledge { connections: list }));
    let states: Vec<_> = (0..3).map(|u| w.state(u).unwrap()).collect();
    assert_eq!(states, [UeState::Idle, UeState::Idle, UeState::Connected]);
    w.gnb_says(A, Message::NgReset(NgReset { cause, reset: ResetType::All }));
    w.run();
    assert_eq!(w.last(A), &Message::NgResetAcknowledge(NgResetAcknowledge { connections: vec![] }));
    assert_eq!(w.state(2), Some(UeState::Idle));
    w.assert_tidy(0);
}

#[test]
fn a_reset_reaches_only_the_gnbs_own() {
    let mut w = World::new(1);
    w.gnb_up(B, 2);
    w.attach(0, A);
    let p = w.places[0].as_ref().unwrap();
    let victim = vec![UeConnection { amf_ue_id: p.amf, ran_ue_id: Some(p.ran) }];
    w.gnb_says(B, Message::NgReset(NgReset { cause: Cause::UNSPECIFIED, reset: ResetType::Part(victim) }));
    w.gnb_says(B, Message::NgReset(NgReset { cause: Cause::UNSPECIFIED, reset: ResetType::All }));
    w.run();
    assert_eq!(w.state(0), Some(UeState::Connected));
}

#[test]
fn an_error_indication_of_an_unknown_ue_ends_the_connection_and_is_not_answered() {
    let mut w = World::new(1);
    w.attach(0, A);
    let p = w.places[0].as_ref().unwrap();
    let m = ErrorIndication {
        amf_ue_id: p.amf,
        ran_ue_id: Some(p.ran),
        cause: Some(Cause::RadioNetwork(RadioCause::UNKNOWN_LOCAL_UE_NGAP_ID)),
        diagnostics: None,
    };
    let before = w.sent.len();
    w.gnb_says(A, Message::ErrorIndication(m));
    w.run();
    assert_eq!((w.state(0), w.sent.len()), (Some(UeState::Idle), before));
    w.assert_tidy(0);
}

#[test]
fn an_association_without_setup_is_closed() {
    let mut w = World::new(0);
    w.input(Input::AssocUp { assoc: B, peer: "10.0.0.2".parse().unwrap() });
    w.pass_ms(61_000);
    assert_eq!(w.closed, [B]);
}

#[test]
fn a_gnb_that_does_not_confirm_a_release_does_not_keep_the_context() {
    let mut w = World::new(1);
    w.attach(0, A);
    w.gnb_silent = true;
    w.go_idle(0);
    assert_eq!(w.state(0), Some(UeState::Idle));
    w.pass_ms(11_000);
    assert_eq!(w.refused("no-release-complete"), 1);
    w.assert_tidy(0);
}

#[test]
fn an_unknown_procedure_is_answered_by_its_criticality() {
    let mut w = World::new(0);
    // Path Switch Request (25), criticality reject, empty.
    w.raw(A, vec![0x00, 25, 0x00, 0x03, 0x00, 0x00, 0x00]);
    w.run();
    let Message::ErrorIndication(e) = w.last(A) else { panic!() };
    assert_eq!(e.cause, Some(Cause::Protocol(ProtocolCause::ABSTRACT_SYNTAX_ERROR_REJECT)));
    assert_eq!(e.diagnostics.as_ref().and_then(|d| d.procedure), Some(25));
}

#[test]
fn ues_on_one_gnb_are_bounded() {
    let mut c = config();
    c.limits.ues_per_gnb = 2;
    let mut w = World::with_config(3, c);
    for u in 0..3 {
        w.attach(u, A);
    }
    assert_eq!(w.refused("too-many-ues"), 1);
    assert_eq!(w.amf.ues().count(), 2);
    assert!(matches!(w.last(A), Message::ErrorIndication(_)));
    let _ = ngap::PPID;
}

#[test]
fn a_gnb_that_serves_other_areas_from_now_on_says_so() {
    let mut c = config();
    let nine = Tac::try_from(9).unwrap();
    c.tacs.push(nine);
    let mut w = World::with_config(1, c);
    w.attach(0, A);
    let update = |w: &mut World, name: Option<&str>, tacs: &[u32], slice: Snssai| {
        let plmns = vec![SupportedPlmn { plmn: plmn(), slices: vec![slice] }];
        let tas = tacs.iter().map(|t| SupportedTa { tac: Tac::try_from(*t).unwrap(), plmns: plmns.clone() });
        let m =
            RanConfigurationUpdate { name: name.map(str::to_owned), tas: tas.collect(), paging_drx: None };
        w.gnb_says(A, Message::RanConfigurationUpdate(m));
        w.run();
        let g = w.amf.gnbs().next().unwrap();
        (matches!(w.last(A), Message::RanConfigurationUpdateAcknowledge), g.name, g.tacs)
    };
    assert_eq!(update(&mut w, Some("hall 2"), &[], snssai()), (true, "hall 2".into(), vec![tac()]));
    assert_eq!(update(&mut w, None, &[9, 7], snssai()), (true, "hall 2".into(), vec![tac(), nine]));
    // An area that is not ours, no slice in common: refused, and all is as it was.
    let other = Snssai { sst: 9, sd: None };
    for (tacs, slice) in [(&[8][..], snssai()), (&[7, 9], other)] {
        assert_eq!(update(&mut w, Some("no"), tacs, slice), (false, "hall 2".into(), vec![tac(), nine]));
        assert!(matches!(w.last(A), Message::RanConfigurationUpdateFailure(_)));
    }
    assert_eq!((w.refused("ran-configuration"), w.state(0)), (2, Some(UeState::Connected)));
    // From one that is not set up: an error, and nothing else.
    w.input(Input::AssocUp { assoc: B, peer: "10.0.0.9".parse().unwrap() });
    let m = RanConfigurationUpdate { name: None, tas: vec![], paging_drx: None };
    w.gnb_says(B, Message::RanConfigurationUpdate(m));
    w.run();
    assert!(matches!(w.last(B), Message::ErrorIndication(_)));
}

#[test]
fn a_gnb_that_does_not_confirm_a_release_is_told_to_forget_that_ue_alone() {
    let mut w = World::new(2);
    w.attach(0, A);
    w.attach(1, A);
    w.gnb_silent = true;
    w.go_idle(0);
    w.sent.clear();
    w.pass_ms(11_000);
    let Some(Message::NgReset(NgReset { reset: ResetType::Part(list), .. })) = Some(w.last(A).clone()) else {
        panic!("{:?}", w.sent)
    };
    assert_eq!((w.sent.len(), list.len(), list[0].ran_ue_id), (1, 1, Some(RanUeNgapId(1))));
    // It acknowledges once; a second time nobody waits for.
    for unasked in [0, 1] {
        w.gnb_says(A, Message::NgResetAcknowledge(NgResetAcknowledge { connections: list.clone() }));
        w.run();
        assert_eq!(w.refused("unasked-answer"), unasked);
    }
    assert_eq!((w.state(0), w.state(1)), (Some(UeState::Idle), Some(UeState::Connected)));
    // A gNB that is silent about that as well is not told for ever.
    w.go_idle(1);
    w.pass_ms(40_000);
    assert_eq!((w.refused("no-reset-acknowledge"), w.closed.len()), (1, 0));
    w.assert_tidy(0);
}

/// Of an independent encoder: gNB 1 asks gNB 2 for its Xn addresses.
pub fn asks_for_xn() -> RanConfigurationTransfer {
    const ASKED: &str =
        "0030402900000100634022000000f11050000000020000f1100000020000f11050000000010000f11000000100";
    let Message::UplinkRanConfigurationTransfer(m) = ngap::decode(&unhex(ASKED).unwrap()).unwrap() else {
        panic!()
    };
    m
}

/// A gNB of this number, whose numbers have 32 bits.
pub fn wide(id: u32) -> NgSetupRequest {
    NgSetupRequest { node: RanNodeId::Gnb(GlobalGnbId { plmn: plmn(), id, bits: 32 }), ..setup_request(id) }
}

#[test]
fn what_a_gnb_tells_another_goes_there_as_it_is() {
    let mut w = World::new(0);
    w.gnb_up(B, 2);
    w.gnb_says(A, Message::NgSetupRequest(wide(1)));
    w.run();
    w.gnb_says(B, Message::NgSetupRequest(wide(2)));
    w.run();
    let asked = asks_for_xn();
    w.gnb_says(A, Message::UplinkRanConfigurationTransfer(asked.clone()));
    w.run();
    assert_eq!(*w.last(B), Message::DownlinkRanConfigurationTransfer(asked.clone()));
    let refused = |w: &World, why| w.amf.counters().refused.get(why).copied().unwrap_or_default();
    // In another's name; to one that there is not; to nobody; in the wrong direction.
    w.gnb_says(B, Message::UplinkRanConfigurationTransfer(asked.clone()));
    w.run();
    assert_eq!(refused(&w, "transfer-of-another"), 1);
    w.gnb_says(B, Message::NgSetupRequest(wide(3)));
    w.run();
    let before = w.sent.len();
    w.gnb_says(A, Message::UplinkRanConfigurationTransfer(asked.clone()));
    w.run();
    w.gnb_says(A, Message::UplinkRanConfigurationTransfer(RanConfigurationTransfer { son: None }));
    w.run();
    assert_eq!((refused(&w, "transfer-for-nobody"), w.sent.len()), (2, before));
    w.gnb_says(A, Message::DownlinkRanConfigurationTransfer(asked));
    w.run();
    assert_eq!(refused(&w, "wrong-direction"), 1);
}

/// The network as it is, under another name.
pub fn other_name() -> Serving {
    Serving {
        name: "renamed".to_owned(),
        display_name: None,
        time_zone: None,
        slices: vec![snssai()],
        relative_capacity: 255,
    }
}

/// What a gNB was told of what we serve: name, capacity, slices.
fn told(w: &World, assoc: AssocId) -> Vec<(String, u8, usize)> {
    let updates = w.sent.iter().filter(|(a, _)| *a == assoc).filter_map(|(_, m)| match m {
        Message::AmfConfigurationUpdate(u) => Some(u),
        _ => None,
    });
    updates
        .map(|u| (u.name.clone().unwrap(), u.relative_capacity.unwrap(), u.plmns[0].slices.len()))
        .collect()
}

fn serve(w: &mut World, s: Serving) {
    w.inbox.push_back(Input::Serve(s));
    w.run();
}

#[test]
fn what_we_serve_changes_and_each_gnb_is_told_once_at_a_time() {
    let mut w = World::new(1);
    w.gnb_up(B, 2);
    w.attach(0, A);
    // What concerns UEs alone is not told to radios.
    serve(&mut w, other_name());
    assert_eq!((told(&w, A), told(&w, B)), (vec![("renamed".to_owned(), 255, 1)], told(&w, A)));
    serve(&mut w, Serving { display_name: Some("Plant".to_owned()), ..other_name() });
    assert_eq!(told(&w, A).len(), 1, "nothing of it concerns a gNB");
    // Two changes while the answer is awaited: one more update, with the last of them.
    let second = Snssai { sst: 2, sd: None };
    serve(&mut w, Serving { relative_capacity: 10, ..other_name() });
    serve(&mut w, Serving { slices: vec![snssai(), second], relative_capacity: 20, ..other_name() });
    assert_eq!(told(&w, A).len(), 1);
    w.gnb_says(A, Message::AmfConfigurationUpdateAcknowledge);
    w.run();
    assert_eq!(told(&w, A)[1..], [("renamed".to_owned(), 20, 2)]);
    w.gnb_says(A, Message::AmfConfigurationUpdateAcknowledge);
    w.run();
    assert_eq!(w.amf.gnb_standing(A), Some(GnbStanding::SetUp));
    // An answer that nobody waits for changes nothing.
    w.gnb_says(A, Message::AmfConfigurationUpdateAcknowledge);
    w.run();
    assert_eq!(told(&w, A).len(), 2);
    // The other one is silent: it is told of what it missed when its time is over, and then left with what it has.
    w.pass_ms(10_000);
    assert_eq!(told(&w, B)[1..], [("renamed".to_owned(), 20, 2)]);
    w.pass_ms(10_000);
    assert_eq!((told(&w, B).len(), w.amf.gnb_standing(B)), (2, Some(GnbStanding::SetUp)));
    // A radio that comes now hears it by NG Setup, and the UE is where it was.
    w.gnb_up(AssocId(3), 3);
    w.run();
    let Message::NgSetupResponse(r) = w.last(AssocId(3)) else { panic!() };
    assert_eq!((r.name.as_str(), r.relative_capacity, r.plmns[0].slices.len()), ("renamed", Some(20), 2));
    assert_eq!(w.state(0), Some(UeState::Connected));
    w.assert_tidy(1);
}

#[test]
fn a_gnb_that_asks_for_patience_gets_it_and_not_for_ever() {
    let mut w = World::new(0);
    serve(&mut w, other_name());
    let refusal = |wait| {
        Message::AmfConfigurationUpdateFailure(AmfConfigurationUpdateFailure {
            cause: Cause::UNSPECIFIED,
            time_to_wait: wait,
        })
    };
    for n in 1..8 {
        w.gnb_says(A, refusal(Some(TimeToWait::S5)));
        w.run();
        w.pass_ms(4_999);
        assert_eq!(told(&w, A).len(), n, "not before its time is over");
        w.pass_ms(1);
        assert_eq!(told(&w, A).len(), n + 1);
    }
    w.gnb_says(A, refusal(Some(TimeToWait::S5)));
    w.run();
    w.pass_ms(60_000);
    assert_eq!(told(&w, A).len(), 8, "it keeps what it had");
    // A refusal without a time is the end of it, and of nothing else.
    serve(&mut w, Serving { relative_capacity: 1, ..other_name() });
    w.gnb_says(A, refusal(None));
    w.run();
    w.pass_ms(60_000);
    assert_eq!((told(&w, A).len(), w.amf.gnb_standing(A)), (9, Some(GnbStanding::SetUp)));
    // What it was waiting for is void when it sets up anew.
    serve(&mut w, Serving { relative_capacity: 2, ..other_name() });
    w.gnb_says(A, refusal(Some(TimeToWait::S60)));
    w.gnb_says(A, Message::NgSetupRequest(setup_request(1)));
    w.run();
    w.pass_ms(60_000);
    assert_eq!(told(&w, A).len(), 10);
    w.assert_tidy(0);
}
