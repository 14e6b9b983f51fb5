//! A gNB by itself: setup, wrong partners, resets, refusals. Its everyday work is told in [`crate::ue`]'s tests.

use super::*;
use std::net::Ipv4Addr;
use types::{Tac, Teid, Utc};
use wire::ngap::transfer::{
    Arp, QosFlowSetup, ReleaseCommand, SessionType, SetupRequest, SetupResponse, SetupUnsuccessful,
};
use wire::ngap::{
    Ambr, DownlinkNasTransport, NgSetupFailure, NgSetupResponse, PduSessionResourceReleaseCommand,
    PduSessionResourceSetupRequest, SessionSetup, SessionTransfer, UeContextReleaseCommand,
};

fn plmn() -> Plmn {
    Plmn::new("001", "01").unwrap()
}

fn now() -> Now {
    Now { mono: Mono(1_000), utc: Utc(0) }
}

fn id(v: u8) -> PduSessionId {
    PduSessionId::try_from(v).unwrap()
}

fn slice() -> Snssai {
    Snssai { sst: 1, sd: None }
}

fn fresh() -> Gnb {
    let config = GnbConfig {
        id: GlobalGnbId { plmn: plmn(), id: 0x12345, bits: 24 },
        name: "lab-gnb".into(),
        plmn: plmn(),
        tac: Tac::try_from(9).unwrap(),
        slices: vec![slice()],
        n3: Ipv4Addr::new(192, 0, 2, 1).into(),
        lies: GnbLies::default(),
    };
    Gnb::new(config, now(), [1; 32])
}

fn drain(gnb: &mut Gnb) -> Vec<Output> {
    std::iter::from_fn(|| gnb.poll_output()).collect()
}

fn sent(gnb: &mut Gnb) -> Vec<Message> {
    let ngap = |o| match o {
        Output::Ngap { octets, .. } => Some(ngap::decode(&octets).unwrap()),
        _ => None,
    };
    drain(gnb).into_iter().filter_map(ngap).collect()
}

/// The one NGAP message that it sent.
fn one(gnb: &mut Gnb) -> Message {
    let mut all = sent(gnb);
    assert_eq!(all.len(), 1, "{all:?}");
    all.remove(0)
}

fn tell(gnb: &mut Gnb, m: &Message) {
    gnb.handle(Input::Ngap(ngap::encode(m).unwrap()), now());
}

fn amf(v: u64) -> AmfUeNgapId {
    AmfUeNgapId::new(v).unwrap()
}

/// A gNB that is set up, with one UE whose first message the AMF has answered.
fn with_ue() -> (Gnb, RanUeNgapId) {
    let mut gnb = fresh();
    gnb.handle(Input::Up, now());
    let Message::NgSetupRequest(request) = one(&mut gnb) else { panic!() };
    assert_eq!((request.tas[0].tac, request.name.as_deref()), (Tac::try_from(9).unwrap(), Some("lab-gnb")));
    tell(
        &mut gnb,
        &Message::NgSetupResponse(NgSetupResponse {
            name: "amf".into(),
            guamis: vec![ngap::Guami { plmn: plmn(), amf: types::AmfId { region: 1, set: 1, pointer: 0 } }],
            relative_capacity: Some(9),
            plmns: request.tas[0].plmns.clone(),
        }),
    );
    assert_eq!(drain(&mut gnb), [Output::Ready { amf: "amf".into() }]);
    gnb.handle(Input::Nas { ue: UeKey(1), octets: vec![0x7e, 0, 0x41], s_tmsi: None }, now());
    let Message::InitialUeMessage(first) = one(&mut gnb) else { panic!() };
    // The leftmost 24 of 36 bits are the gNB's.
    assert_eq!(first.location.cell.cell, 0x12345 << 12 | 1);
    tell(&mut gnb, &downlink(1, first.ran_ue_id));
    assert_eq!(drain(&mut gnb), [Output::Nas { ue: UeKey(1), octets: vec![0x7e] }]);
    (gnb, first.ran_ue_id)
}

fn downlink(amf_ue_id: u64, ran_ue_id: RanUeNgapId) -> Message {
    Message::DownlinkNasTransport(DownlinkNasTransport {
        amf_ue_id: amf(amf_ue_id),
        ran_ue_id,
        nas: vec![0x7e],
    })
}

fn set_up(ran_ue_id: RanUeNgapId, session: u8, transfer: Vec<u8>) -> Message {
    let session = SessionSetup { id: id(session), nas: Some(vec![session]), slice: slice(), transfer };
    Message::PduSessionResourceSetupRequest(PduSessionResourceSetupRequest {
        amf_ue_id: amf(1),
        ran_ue_id,
        nas: None,
        sessions: vec![session],
        ue_ambr: None,
    })
}

fn transfer() -> Vec<u8> {
    let arp = Arp { priority: 8, may_preempt: false, preemptable: false };
    let t = SetupRequest {
        ambr: Some(Ambr { dl_bps: 1, ul_bps: 1 }),
        uplink: Tunnel::new(Ipv4Addr::new(198, 51, 100, 1), Teid::new(5).unwrap()),
        session_type: SessionType::Ipv4,
        flows: vec![QosFlowSetup { qfi: 1, five_qi: 9, arp }],
    };
    t.encode().unwrap()
}

#[test]
fn setup_without_an_answer_is_sent_again_and_a_refusal_is_told() {
    let mut gnb = fresh();
    gnb.handle(Input::Up, now());
    assert_eq!(sent(&mut gnb).len(), 1);
    let at = gnb.poll_timeout().unwrap();
    gnb.handle_timeout(now());
    assert!(sent(&mut gnb).is_empty());
    gnb.handle_timeout(Now { mono: at, utc: Utc(0) });
    assert_eq!(sent(&mut gnb).len(), 1);
    let cause = Cause::Misc(ngap::MiscCause::UNKNOWN_PLMN_OR_SNPN);
    let wait = Some(TimeToWait::S60);
    let failure = NgSetupFailure { cause, time_to_wait: wait, diagnostics: None };
    tell(&mut gnb, &Message::NgSetupFailure(failure));
    assert_eq!(drain(&mut gnb), [Output::Refused { cause, wait }]);
    // A UE finds no cell.
    gnb.handle(Input::Nas { ue: UeKey(1), octets: vec![1], s_tmsi: None }, now());
    assert!(matches!(drain(&mut gnb).as_slice(), [Output::Released { ue: UeKey(1), .. }]));
}

#[test]
fn identifiers_that_do_not_fit_are_answered_and_nothing_reaches_a_ue() {
    let (mut gnb, ran) = with_ue();
    for (a, r, cause) in [
        (1, RanUeNgapId(ran.0 + 1), RadioCause::UNKNOWN_LOCAL_UE_NGAP_ID),
        (2, ran, RadioCause::INCONSISTENT_REMOTE_UE_NGAP_ID),
    ] {
        tell(&mut gnb, &downlink(a, r));
        let Message::ErrorIndication(e) = one(&mut gnb) else { panic!() };
        assert_eq!(e.cause, Some(Cause::RadioNetwork(cause)));
    }
    gnb.handle(Input::Ngap(vec![0xff; 9]), now());
    assert!(matches!(sent(&mut gnb).as_slice(), [Message::ErrorIndication(_)]));
}

#[test]
fn sessions_come_and_go_each_by_itself() {
    let (mut gnb, ran) = with_ue();
    tell(&mut gnb, &set_up(ran, 1, transfer()));
    let out = drain(&mut gnb);
    let Output::TunnelUp(t) = &out[0] else { panic!() };
    assert_eq!(out[1], Output::Nas { ue: UeKey(1), octets: vec![1] });
    let Output::Ngap { octets, .. } = &out[2] else { panic!() };
    let Message::PduSessionResourceSetupResponse(r) = ngap::decode(octets).unwrap() else { panic!() };
    let answer = SetupResponse::decode(&r.setup[0].transfer).unwrap();
    assert_eq!((answer.downlink, answer.flows), (t.downlink, vec![1]));
    assert_eq!(gnb.tunnels().collect::<Vec<_>>(), [*t]);

    // The same again, and one that cannot be read: refused, and their NAS messages stay here.
    for (session, transfer) in [(1, transfer()), (2, vec![0xff; 3])] {
        tell(&mut gnb, &set_up(ran, session, transfer));
        let out = drain(&mut gnb);
        let [Output::Ngap { octets, .. }] = out.as_slice() else { panic!("{out:?}") };
        let Message::PduSessionResourceSetupResponse(r) = ngap::decode(octets).unwrap() else { panic!() };
        assert!(r.setup.is_empty());
        SetupUnsuccessful::decode(&r.failed[0].transfer).unwrap();
    }

    let release = ReleaseCommand { cause: NORMAL_RELEASE }.encode().unwrap();
    tell(
        &mut gnb,
        &Message::PduSessionResourceReleaseCommand(PduSessionResourceReleaseCommand {
            amf_ue_id: amf(1),
            ran_ue_id: ran,
            nas: None,
            sessions: [1, 9].map(|s| SessionTransfer { id: id(s), transfer: release.clone() }).into(),
        }),
    );
    let out = drain(&mut gnb);
    assert_eq!(out[0], Output::TunnelDown { ue: UeKey(1), session: id(1) });
    let Output::Ngap { octets, .. } = &out[1] else { panic!() };
    let Message::PduSessionResourceReleaseResponse(r) = ngap::decode(octets).unwrap() else { panic!() };
    assert_eq!(r.released.len(), 2);
}

#[test]
fn a_release_ends_the_tunnels_first() {
    let (mut gnb, ran) = with_ue();
    tell(&mut gnb, &set_up(ran, 3, transfer()));
    drain(&mut gnb);
    let ue = UeIds::Pair(amf(1), ran);
    let command = UeContextReleaseCommand { ue, cause: Cause::Nas(NasCause::DEREGISTER) };
    tell(&mut gnb, &Message::UeContextReleaseCommand(command));
    let out = drain(&mut gnb);
    assert!(matches!(&out[0], Output::Ngap { .. }));
    assert_eq!(out[1], Output::TunnelDown { ue: UeKey(1), session: id(3) });
    assert_eq!(out[2], Output::Released { ue: UeKey(1), cause: Cause::Nas(NasCause::DEREGISTER) });
    assert_eq!(gnb.connected().count() + gnb.tunnels().count(), 0);
}

#[test]
fn resets_from_both_sides() {
    let (mut gnb, ran) = with_ue();
    let stranger = UeConnection { amf_ue_id: None, ran_ue_id: Some(RanUeNgapId(77)) };
    let known = UeConnection { amf_ue_id: Some(amf(1)), ran_ue_id: None };
    let cause = Cause::Misc(ngap::MiscCause::OM_INTERVENTION);
    tell(&mut gnb, &Message::NgReset(NgReset { cause, reset: ResetType::Part(vec![stranger]) }));
    let out = sent(&mut gnb);
    assert_eq!(out, [Message::NgResetAcknowledge(NgResetAcknowledge { connections: vec![stranger] })]);
    assert_eq!(gnb.connected().count(), 1);
    tell(&mut gnb, &Message::NgReset(NgReset { cause, reset: ResetType::Part(vec![known]) }));
    assert_eq!(drain(&mut gnb)[0], Output::Released { ue: UeKey(1), cause });
    assert_eq!(gnb.connected().count(), 0);

    let (mut gnb, _) = with_ue();
    gnb.handle(Input::Reset(Some(vec![UeKey(1)])), now());
    let out = drain(&mut gnb);
    let Some(Output::Ngap { octets, .. }) = out.last() else { panic!() };
    let both = UeConnection { amf_ue_id: Some(amf(1)), ran_ue_id: Some(ran) };
    assert_eq!(
        ngap::decode(octets).unwrap(),
        Message::NgReset(NgReset { cause, reset: ResetType::Part(vec![both]) })
    );
    gnb.handle(Input::Reset(None), now());
    assert_eq!(sent(&mut gnb), [Message::NgReset(NgReset { cause, reset: ResetType::All })]);
}

#[test]
fn a_silent_and_a_refusing_gnb() {
    let (mut gnb, ran) = with_ue();
    gnb.lies().silent = true;
    tell(&mut gnb, &set_up(ran, 1, transfer()));
    assert!(drain(&mut gnb).is_empty());
    gnb.lies().silent = false;
    let cause = Cause::RadioNetwork(RadioCause::RADIO_RESOURCES_NOT_AVAILABLE);
    gnb.lies().refuse_sessions = Some(cause);
    tell(&mut gnb, &set_up(ran, 1, transfer()));
    let Message::PduSessionResourceSetupResponse(r) = one(&mut gnb) else { panic!() };
    assert_eq!(SetupUnsuccessful::decode(&r.failed[0].transfer).unwrap().cause, cause);
    gnb.lies().refuse_sessions = None;
    let stolen = Tunnel::new(Ipv4Addr::new(203, 0, 113, 6), Teid::new(6).unwrap());
    gnb.lies().false_tunnel = Some(stolen);
    tell(&mut gnb, &set_up(ran, 1, transfer()));
    let Message::PduSessionResourceSetupResponse(r) = one(&mut gnb) else { panic!() };
    assert_eq!(SetupResponse::decode(&r.setup[0].transfer).unwrap().downlink, stolen);
    // The association goes: so does everyone.
    gnb.handle(Input::Down, now());
    assert!(matches!(drain(&mut gnb).as_slice(), [Output::TunnelDown { .. }, Output::Released { .. }]));
    assert!(!gnb.is_ready());
}
