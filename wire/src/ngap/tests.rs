//! NGAP against an independent encoder, against a captured registration, and against bad input.

use super::transfer::{Arp, QosFlowSetup, ReleaseCommand, SessionType, TransferError, Tunnel};
use super::*;
use oxirush_ngap::ngap as ox;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use types::{AmfId, FgTmsi, Key256, PduSessionId, Plmn, Snssai, Tac, Tai, Teid};

const PYCRATE: &str = include_str!("../../../fixtures/ngap/pycrate.tsv");
const CAPTURED: &str = include_str!("../../../fixtures/ngap/captured.tsv");

fn hex(s: &str) -> Vec<u8> {
    (0..s.len()).step_by(2).map(|i| u8::from_str_radix(&s[i..i + 2], 16).unwrap()).collect()
}

fn vector(name: &str) -> Vec<u8> {
    let line = PYCRATE.lines().find(|l| l.starts_with(&format!("{name}\t"))).unwrap();
    hex(line.split('\t').nth(1).unwrap())
}

/// Direction and octets, in order.
fn captured() -> Vec<(bool, Vec<u8>)> {
    CAPTURED
        .lines()
        .map(|l| {
            let mut f = l.split('\t');
            (f.next() == Some("up"), hex(f.nth(1).unwrap()))
        })
        .collect()
}

fn test_plmn() -> Plmn {
    Plmn::new("001", "01").unwrap()
}

fn tac(v: u32) -> Tac {
    Tac::try_from(v).unwrap()
}

fn location(plmn: Plmn) -> UserLocation {
    UserLocation {
        cell: NrCgi { plmn, cell: 0x1_2345_6001 },
        tai: Tai { plmn, tac: tac(1) },
        time_stamp: Some([1, 2, 3, 4]),
    }
}

const REGISTRATION: &str = "7e004179000d0100f1100000000000000010022e08a020000000000000";

fn slice(sst: u8, sd: Option<u32>) -> Snssai {
    let three = |v: u32| {
        let [_, a, b, c] = v.to_be_bytes();
        [a, b, c]
    };
    Snssai { sst, sd: sd.map(three) }
}

fn id(v: u8) -> PduSessionId {
    PduSessionId::try_from(v).unwrap()
}

fn amf(v: u64) -> AmfUeNgapId {
    AmfUeNgapId::new(v).unwrap()
}

fn setup_request() -> transfer::SetupRequest {
    transfer::SetupRequest {
        ambr: Some(Ambr { dl_bps: 1_000_000_000, ul_bps: 500_000_000 }),
        uplink: Tunnel::new(Ipv4Addr::new(10, 0, 0, 1), Teid::new(0x11).unwrap()),
        session_type: SessionType::Ipv4,
        flows: vec![QosFlowSetup {
            qfi: 1,
            five_qi: 9,
            arp: Arp { priority: 8, may_preempt: false, preemptable: false },
        }],
    }
}

#[test]
fn what_a_gnb_tells_another_is_read_as_far_as_it_concerns_us() {
    let (up, down) = (vector("UplinkRANConfigurationTransfer"), vector("DownlinkRANConfigurationTransfer"));
    let Ok(Message::UplinkRanConfigurationTransfer(m)) = decode(&up) else { panic!() };
    let node = |id| RanNodeId::Gnb(GlobalGnbId { plmn: test_plmn(), id, bits: 32 });
    let son = m.son.clone().unwrap();
    assert_eq!((son.source, son.target), (node(1), node(2)));
    assert_eq!(encode(&Message::UplinkRanConfigurationTransfer(m.clone())).unwrap(), up);
    // The other way it is the same, under another number, as an independent encoder writes it.
    assert_eq!(encode(&Message::DownlinkRanConfigurationTransfer(m)).unwrap(), down);
}

#[test]
fn an_independent_encoder_writes_and_reads_the_same() {
    let (plmn, nas) = (test_plmn(), hex(REGISTRATION));
    let one = slice(1, None);
    let ta = |t, slices| SupportedTa { tac: tac(t), plmns: vec![SupportedPlmn { plmn, slices }] };
    let guami = Guami { plmn, amf: AmfId { region: 2, set: 1, pointer: 0 } };
    let cases = [
        (
            "NGSetupRequest",
            Message::NgSetupRequest(NgSetupRequest {
                node: RanNodeId::Gnb(GlobalGnbId { plmn, id: 0x123456, bits: 24 }),
                name: Some("sekisho-gnb-001".into()),
                tas: vec![ta(1, vec![one, slice(1, Some(0xab))]), ta(2, vec![one])],
                paging_drx: Some(PagingDrx::V128),
            }),
        ),
        (
            "NGSetupResponse",
            Message::NgSetupResponse(NgSetupResponse {
                name: "sekisho-amf".into(),
                guamis: vec![guami],
                relative_capacity: Some(255),
                plmns: vec![SupportedPlmn { plmn, slices: vec![one] }],
            }),
        ),
        (
            "InitialUEMessage",
            Message::InitialUeMessage(InitialUeMessage {
                ran_ue_id: RanUeNgapId(7),
                nas: nas.clone(),
                location: location(plmn),
                rrc_cause: Some(RrcEstablishmentCause::MoSignalling),
                s_tmsi: None,
                context_requested: true,
            }),
        ),
        (
            "UplinkNASTransport",
            Message::UplinkNasTransport(UplinkNasTransport {
                amf_ue_id: amf((1 << 40) - 2),
                ran_ue_id: RanUeNgapId(u32::MAX),
                nas: nas.repeat(8),
                location: Some(location(plmn)),
            }),
        ),
        (
            "InitialContextSetupRequest",
            Message::InitialContextSetupRequest(InitialContextSetupRequest {
                amf_ue_id: amf(1),
                ran_ue_id: RanUeNgapId(7),
                ue_ambr: Some(Ambr { dl_bps: 1_000_000_000, ul_bps: 500_000_000 }),
                guami,
                sessions: vec![SessionSetup {
                    id: id(1),
                    nas: Some(nas.clone()),
                    slice: one,
                    transfer: vector("PDUSessionResourceSetupRequestTransfer"),
                }],
                allowed_nssai: vec![one],
                security_capabilities: SecurityCapabilities { nea: 0xe000, nia: 0xe000, eea: 0, eia: 0 },
                key: SecurityKey(Key256::new(std::array::from_fn(|i| i as u8))),
                radio_capability: None,
                nas: Some(nas.clone()),
            }),
        ),
    ];
    for (name, ours) in cases {
        let theirs = vector(name);
        assert_eq!(decode(&theirs).unwrap(), ours, "{name} read");
        assert_eq!(encode(&ours).unwrap(), theirs, "{name} written");
    }
    let theirs = vector("PDUSessionResourceSetupRequestTransfer");
    assert_eq!(transfer::SetupRequest::decode(&theirs).unwrap(), setup_request());
    assert_eq!(setup_request().encode().unwrap(), theirs);
}

#[test]
fn a_captured_registration_reads_as_the_walk_that_it_was() {
    let messages: Vec<_> = captured().iter().map(|(_, o)| decode(o).unwrap()).collect();
    let names: Vec<_> = messages.iter().map(Message::name).collect();
    let transport = ["DownlinkNASTransport", "UplinkNASTransport"];
    let expected = [
        &["NGSetupRequest", "NGSetupResponse", "InitialUEMessage"][..],
        &transport,
        &transport,
        &["InitialContextSetupRequest", "InitialContextSetupResponse"],
        &["UplinkNASTransport", "UplinkNASTransport", "DownlinkNASTransport"],
        &["PDUSessionResourceSetupRequest", "PDUSessionResourceSetupResponse"],
    ];
    assert_eq!(names, expected.concat());

    let plmn = Plmn::new("999", "70").unwrap();
    let Message::NgSetupRequest(setup) = &messages[0] else { panic!() };
    assert_eq!(setup.node, RanNodeId::Gnb(GlobalGnbId { plmn, id: 1, bits: 32 }));
    assert_eq!(setup.name.as_deref(), Some("UERANSIM-gnb-999-70-1"));
    assert_eq!(setup.tas[0].tac, tac(1));
    let Message::InitialUeMessage(first) = &messages[2] else { panic!() };
    assert_eq!((first.ran_ue_id, first.context_requested), (RanUeNgapId(1), true));
    assert_eq!(first.location.tai, Tai { plmn, tac: tac(1) });

    let Message::PduSessionResourceSetupRequest(request) = &messages[12] else { panic!() };
    let up = transfer::SetupRequest::decode(&request.sessions[0].transfer).unwrap();
    assert_eq!((up.session_type, up.flows[0].qfi, up.flows[0].five_qi), (SessionType::Ipv4, 1, 9));
    let Message::PduSessionResourceSetupResponse(response) = &messages[13] else { panic!() };
    let down = transfer::SetupResponse::decode(&response.setup[0].transfer).unwrap();
    assert_eq!(down.downlink.address, Ipv4Addr::new(10, 50, 0, 2));
    assert_eq!((down.flows, response.failed.len()), (vec![1], 0));

    // What we write of what we read is read as the same.
    for m in &messages {
        assert_eq!(&decode(&encode(m).unwrap()).unwrap(), m);
    }
}

/// One of each message, for the tests that spoil them.
fn samples() -> Vec<Message> {
    let (amf_ue_id, ran_ue_id, plmn) = (amf(0x12_3456_789a), RanUeNgapId(0x8000_0001), test_plmn());
    let transfers = |t: Vec<u8>| vec![SessionTransfer { id: id(5), transfer: t }];
    let tunnel = Tunnel::new(Ipv4Addr::new(192, 0, 2, 7), Teid::new(u32::MAX).unwrap());
    let response = transfer::SetupResponse { downlink: tunnel, flows: vec![1], failed: Vec::new() };
    let lost = Cause::RadioNetwork(RadioCause::RADIO_CONNECTION_WITH_UE_LOST);
    let unsuccessful = transfer::SetupUnsuccessful { cause: lost };
    let release = ReleaseCommand { cause: Cause::Nas(NasCause::NORMAL_RELEASE) };
    let setup = SessionSetup {
        id: id(5),
        nas: Some(vec![0x7e]),
        slice: slice(1, Some(7)),
        transfer: setup_request().encode().unwrap(),
    };
    let diagnostics = CriticalityDiagnostics {
        procedure: Some(procedure::NG_SETUP),
        triggering: Some(Direction::Initiating),
        criticality: Some(Criticality::Reject),
        ies: vec![IeDiagnostic { criticality: Criticality::Reject, id: 27, error: TypeOfError::Missing }],
    };
    let connection = UeConnection { amf_ue_id: Some(amf_ue_id), ran_ue_id: None };
    let mut list: Vec<_> = captured().iter().map(|(_, o)| decode(o).unwrap()).collect();
    list.extend([
        Message::NgSetupFailure(NgSetupFailure {
            cause: Cause::Misc(MiscCause::UNKNOWN_PLMN_OR_SNPN),
            time_to_wait: Some(TimeToWait::S10),
            diagnostics: Some(diagnostics.clone()),
        }),
        Message::InitialUeMessage(InitialUeMessage {
            ran_ue_id,
            nas: vec![0x7e, 0, 0x41],
            location: UserLocation { time_stamp: None, ..location(plmn) },
            rrc_cause: Some(RrcEstablishmentCause::MtAccess),
            s_tmsi: Some(STmsi { set: 1023, pointer: 63, tmsi: FgTmsi(0xdead_beef) }),
            context_requested: false,
        }),
        Message::InitialContextSetupResponse(InitialContextSetupResponse {
            amf_ue_id,
            ran_ue_id,
            setup: transfers(response.encode().unwrap()),
            failed: transfers(unsuccessful.encode().unwrap()),
        }),
        Message::InitialContextSetupFailure(InitialContextSetupFailure {
            amf_ue_id,
            ran_ue_id,
            failed: transfers(unsuccessful.encode().unwrap()),
            cause: lost,
        }),
        Message::UeRadioCapabilityInfoIndication(UeRadioCapabilityInfoIndication {
            amf_ue_id,
            ran_ue_id,
            radio_capability: Some(vec![0xa5; 300]),
        }),
        Message::UeContextReleaseRequest(UeContextReleaseRequest {
            amf_ue_id,
            ran_ue_id,
            sessions: vec![id(1), id(15)],
            cause: Cause::RadioNetwork(RadioCause::USER_INACTIVITY),
        }),
        Message::UeContextReleaseCommand(UeContextReleaseCommand {
            ue: UeIds::Pair(amf_ue_id, ran_ue_id),
            cause: Cause::Nas(NasCause::DEREGISTER),
        }),
        Message::UeContextReleaseCommand(UeContextReleaseCommand {
            ue: UeIds::Amf(amf_ue_id),
            cause: Cause::Transport(TransportCause::UNSPECIFIED),
        }),
        Message::UeContextReleaseComplete(UeContextReleaseComplete {
            amf_ue_id,
            ran_ue_id,
            location: Some(location(plmn)),
            sessions: vec![id(5)],
        }),
        Message::PduSessionResourceSetupRequest(PduSessionResourceSetupRequest {
            amf_ue_id,
            ran_ue_id,
            nas: Some(vec![0x7e, 0, 0x54]),
            sessions: vec![setup],
            ue_ambr: Some(Ambr { dl_bps: 1, ul_bps: 4_000_000_000_000 }),
        }),
        Message::PduSessionResourceSetupResponse(PduSessionResourceSetupResponse {
            amf_ue_id,
            ran_ue_id,
            setup: Vec::new(),
            failed: transfers(unsuccessful.encode().unwrap()),
        }),
        Message::PduSessionResourceReleaseCommand(PduSessionResourceReleaseCommand {
            amf_ue_id,
            ran_ue_id,
            nas: Some(vec![0x7e]),
            sessions: transfers(release.encode().unwrap()),
        }),
        Message::PduSessionResourceReleaseResponse(PduSessionResourceReleaseResponse {
            amf_ue_id,
            ran_ue_id,
            released: transfers(transfer::ReleaseResponse.encode().unwrap()),
            location: Some(location(plmn)),
        }),
        Message::LocationReportingControl(LocationReportingControl {
            amf_ue_id,
            ran_ue_id,
            event: Some(LocationEvent::CellChange),
        }),
        Message::LocationReportingFailureIndication(LocationReportingFailureIndication {
            amf_ue_id,
            ran_ue_id,
            cause: Cause::Misc(MiscCause::OM_INTERVENTION),
        }),
        Message::LocationReport(LocationReport {
            amf_ue_id,
            ran_ue_id,
            location: Some(location(plmn)),
            event: Some(LocationEvent::Direct),
        }),
        Message::PduSessionResourceModifyRequest(PduSessionResourceModifyRequest {
            amf_ue_id,
            ran_ue_id,
            sessions: [None, Some(vec![0x7e, 2])]
                .into_iter()
                .zip([None, Some(Ambr { dl_bps: 1 << 40, ul_bps: 7 })])
                .map(|(nas, ambr)| SessionModify {
                    id: 5.try_into().unwrap(),
                    nas,
                    transfer: transfer::ModifyRequest { ambr }.encode().unwrap(),
                })
                .collect(),
        }),
        Message::PduSessionResourceModifyResponse(PduSessionResourceModifyResponse {
            amf_ue_id,
            ran_ue_id,
            modified: transfers(transfer::ModifyResponse.encode().unwrap()),
            failed: vec![],
        }),
        Message::PathSwitchRequest(PathSwitchRequest {
            ran_ue_id,
            source_amf_ue_id: amf_ue_id,
            location: Some(location(plmn)),
            security_capabilities: Some(SecurityCapabilities { nea: 0x6000, nia: 0x6000, eea: 0, eia: 1 }),
            sessions: transfers(
                transfer::PathSwitch { downlink: tunnel, flows: vec![1, 63] }.encode().unwrap(),
            ),
            failed: transfers(unsuccessful.encode().unwrap()),
        }),
        Message::PathSwitchRequestAcknowledge(PathSwitchRequestAcknowledge {
            amf_ue_id,
            ran_ue_id,
            security_capabilities: None,
            next_hop: NextHop { ncc: 7, nh: SecurityKey(types::Key256::new([9; 32])) },
            switched: transfers(transfer::PathSwitched { uplink: Some(tunnel) }.encode().unwrap()),
            released: transfers(transfer::PathNotSwitched { cause: lost }.encode().unwrap()),
            allowed_nssai: vec![slice(1, None), slice(2, Some(3))],
        }),
        Message::PathSwitchRequestFailure(PathSwitchRequestFailure {
            amf_ue_id,
            ran_ue_id,
            released: transfers(transfer::PathNotSwitched { cause: lost }.encode().unwrap()),
        }),
        Message::RanConfigurationUpdate(RanConfigurationUpdate {
            name: Some("north".into()),
            tas: vec![SupportedTa {
                tac: tac(9),
                plmns: vec![SupportedPlmn { plmn, slices: vec![slice(1, None)] }],
            }],
            paging_drx: Some(PagingDrx::V64),
        }),
        Message::RanConfigurationUpdateAcknowledge,
        Message::RanConfigurationUpdateFailure(RanConfigurationUpdateFailure {
            cause: Cause::Misc(MiscCause::UNKNOWN_PLMN_OR_SNPN),
            time_to_wait: Some(TimeToWait::S10),
        }),
        Message::AmfConfigurationUpdate(AmfConfigurationUpdate {
            name: Some("sekisho-2".into()),
            relative_capacity: Some(40),
            plmns: vec![SupportedPlmn { plmn, slices: vec![slice(1, None), slice(2, Some(3))] }],
        }),
        Message::AmfConfigurationUpdateAcknowledge,
        Message::AmfConfigurationUpdateFailure(AmfConfigurationUpdateFailure {
            cause: Cause::Misc(MiscCause::UNKNOWN_PLMN_OR_SNPN),
            time_to_wait: Some(TimeToWait::S5),
        }),
        Message::OverloadStop,
        Message::HandoverRequired(HandoverRequired {
            amf_ue_id,
            ran_ue_id,
            cause: Cause::RadioNetwork(RadioCause::HANDOVER_DESIRABLE_FOR_RADIO_REASON),
            target: RanNodeId::Gnb(GlobalGnbId { plmn, id: 0x123456, bits: 24 }),
            tai: Tai { plmn, tac: tac(7) },
            sessions: transfers(vec![0]),
            container: vec![1, 2, 3],
        }),
        Message::HandoverCommand(HandoverCommand {
            amf_ue_id,
            ran_ue_id,
            sessions: transfers(transfer::HandoverCommandTransfer.encode().unwrap()),
            released: transfers(transfer::NotPrepared { cause: lost }.encode().unwrap()),
            container: vec![4],
        }),
        Message::HandoverPreparationFailure(HandoverPreparationFailure {
            amf_ue_id,
            ran_ue_id,
            cause: Cause::RadioNetwork(RadioCause::UNKNOWN_TARGET_ID),
        }),
        Message::HandoverRequest(HandoverRequest {
            amf_ue_id,
            cause: lost,
            ue_ambr: Ambr { dl_bps: 1, ul_bps: 2 },
            security_capabilities: SecurityCapabilities { nea: 0xe000, nia: 0xe000, eea: 0, eia: 0 },
            next_hop: NextHop { ncc: 5, nh: SecurityKey(Key256::new([9; 32])) },
            sessions: vec![HandoverSession {
                id: id(5),
                slice: slice(1, Some(7)),
                transfer: setup_request().encode().unwrap(),
            }],
            allowed_nssai: vec![slice(1, None)],
            container: vec![1, 2, 3],
            guami: Guami { plmn, amf: AmfId { region: 2, set: 1, pointer: 0 } },
        }),
        Message::HandoverRequestAcknowledge(HandoverRequestAcknowledge {
            amf_ue_id,
            ran_ue_id,
            admitted: transfers(
                transfer::Admitted { downlink: tunnel, flows: vec![1, 63] }.encode().unwrap(),
            ),
            failed: transfers(transfer::NotAdmitted { cause: lost }.encode().unwrap()),
            container: vec![4],
        }),
        Message::HandoverFailure(HandoverFailure { amf_ue_id, cause: lost }),
        Message::UplinkRanStatusTransfer(RanStatusTransfer { amf_ue_id, ran_ue_id, status: ran_status() }),
        Message::DownlinkRanStatusTransfer(RanStatusTransfer { amf_ue_id, ran_ue_id, status: ran_status() }),
        decode(&vector("UplinkRANConfigurationTransfer")).unwrap(),
        decode(&vector("DownlinkRANConfigurationTransfer")).unwrap(),
        Message::UplinkRanConfigurationTransfer(RanConfigurationTransfer { son: None }),
        Message::HandoverNotify(HandoverNotify { amf_ue_id, ran_ue_id, location: Some(location(plmn)) }),
        Message::HandoverCancel(HandoverCancel { amf_ue_id, ran_ue_id, cause: lost }),
        Message::HandoverCancelAcknowledge(HandoverCancelAcknowledge { amf_ue_id, ran_ue_id }),
        Message::UeContextModificationRequest(UeContextModificationRequest {
            amf_ue_id,
            ran_ue_id,
            key: Some(SecurityKey(Key256::new([7; 32]))),
            ue_ambr: Some(Ambr { dl_bps: 4_000_000_000_000, ul_bps: 0 }),
        }),
        Message::UeContextModificationResponse(UeContextModificationResponse { amf_ue_id, ran_ue_id }),
        Message::UeContextModificationFailure(UeContextModificationFailure {
            amf_ue_id,
            ran_ue_id,
            cause: lost,
        }),
        Message::NasNonDeliveryIndication(NasNonDeliveryIndication {
            amf_ue_id,
            ran_ue_id,
            nas: Some(vec![0x7e, 0, 0x54]),
            cause: lost,
        }),
        Message::Paging(Paging {
            s_tmsi: STmsi { set: 1023, pointer: 63, tmsi: FgTmsi(0xdead_beef) },
            tais: vec![Tai { plmn, tac: tac(1) }; 16],
        }),
        Message::NgReset(NgReset { cause: Cause::Misc(MiscCause::OM_INTERVENTION), reset: ResetType::All }),
        Message::NgReset(NgReset { cause: lost, reset: ResetType::Part(vec![connection; 3]) }),
        Message::NgResetAcknowledge(NgResetAcknowledge { connections: vec![connection] }),
        Message::NgResetAcknowledge(NgResetAcknowledge { connections: Vec::new() }),
        Message::ErrorIndication(ErrorIndication {
            amf_ue_id: Some(amf_ue_id),
            ran_ue_id: Some(ran_ue_id),
            cause: Some(Cause::Protocol(ProtocolCause::SEMANTIC_ERROR)),
            diagnostics: Some(diagnostics),
        }),
    ]);
    list
}

/// One radio bearer: what came in order, and which of what came behind it.
fn ran_status() -> RanStatus {
    use oxirush_ngap::{BitString, ngap as ox};
    let count = |sn, hfn| ox::COUNTValueForPDCPSN18::new(sn, hfn, None);
    let behind = BitString::from_octets(vec![0b1010_0000]);
    let up = ox::DRBStatusUL18::new(count(31, 1), Some(behind), None);
    let down = ox::DRBStatusDL18::new(count(16, 0), None);
    let item = ox::DRBsSubjectToStatusTransferItem::new(
        ox::DRBID(1),
        ox::DRBStatusUL::dRBStatusUL18(up),
        ox::DRBStatusDL::dRBStatusDL18(down),
        None,
    );
    let list = ox::DRBsSubjectToStatusTransferList(vec![item]);
    RanStatus(ox::RANStatusTransferTransparentContainer::new(list, None))
}

#[test]
fn each_message_survives_the_round_trip() {
    for m in samples() {
        let octets = encode(&m).unwrap();
        assert_eq!(decode(&octets).unwrap(), m);
    }
}

/// The message with the IEs that `keep` lets through.
fn with_ies(octets: &[u8], change: impl FnOnce(&mut Vec<ox::ProtocolIEField<'static>>)) -> Vec<u8> {
    let mut pdu = ox::NGAP_PDU::decode(octets).unwrap();
    let mut ies = pdu.protocol_ies().unwrap().into_owned();
    change(&mut ies.0);
    pdu.set_protocol_ies(ies).unwrap();
    pdu.encode().unwrap()
}

/// R09: each IE of each message removed in turn. A missing one of criticality *reject* is named; the answer
/// can be encoded; nothing else fails.
#[test]
fn r09_every_ie_removed_in_turn() {
    let mut refused = 0;
    for m in samples() {
        let octets = encode(&m).unwrap();
        let n = ox::NGAP_PDU::decode(&octets).unwrap().protocol_ies().unwrap().0.len();
        for gone in 0..n {
            let mut removed = 0;
            let cut = with_ies(&octets, |ies| removed = ies.remove(gone).id.0);
            match decode(&cut) {
                Ok(less) => assert_ne!(less, m, "{} without IE {removed} reads the same", m.name()),
                Err(e) if e.fault == Fault::Unusable => assert!(!e.wants_answer()),
                Err(e) => {
                    let missing = IeDiagnostic {
                        criticality: Criticality::Reject,
                        id: removed,
                        error: TypeOfError::Missing,
                    };
                    assert_eq!((e.fault, e.ies.as_slice()), (Fault::AbstractSyntaxReject, &[missing][..]));
                    let answer = Message::ErrorIndication(e.indication());
                    assert_eq!(decode(&encode(&answer).unwrap()).unwrap(), answer);
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 40, "only {refused} removals were refused");
}

#[test]
fn an_ie_that_comes_twice_makes_the_message_falsely_constructed() {
    for m in samples() {
        let octets = encode(&m).unwrap();
        let twice = with_ies(&octets, |ies| {
            if let Some(first) = ies.first().cloned() {
                ies.push(first);
            }
        });
        if twice == octets {
            continue; // no IE at all
        }
        let e = decode(&twice).unwrap_err();
        assert_eq!(e.fault, Fault::FalselyConstructed, "{}", m.name());
        assert_eq!(e.cause(), Cause::Protocol(ProtocolCause::ABSTRACT_SYNTAX_ERROR_FALSELY_CONSTRUCTED));
    }
}

#[test]
fn an_unknown_ie_fails_the_message_only_if_it_says_so() {
    for (criticality, fails) in
        [(ox::Criticality::reject, true), (ox::Criticality::ignore, false), (ox::Criticality::notify, false)]
    {
        for m in samples() {
            let odd = with_ies(&encode(&m).unwrap(), |ies| {
                ies.push(ox::ProtocolIEField::new(65_500u16, criticality, vec![1, 2, 3].into()));
            });
            match decode(&odd) {
                Ok(read) => assert!(!fails && read == m),
                Err(e) => assert!(fails && e.ies.iter().any(|i| i.id == 65_500)),
            }
        }
    }
}

#[test]
fn a_procedure_that_is_not_ours_is_told_with_its_criticality() {
    // PWS Cancel (32), and a code that the spec does not have; with each criticality.
    for (octets, criticality, answered) in [
        ("00200003000000", Criticality::Reject, true),
        ("00fa4003000000", Criticality::Ignore, false),
        ("00fa8003000000", Criticality::Notify, true),
    ] {
        let Message::Unknown(p) = decode(&hex(octets)).unwrap() else { panic!() };
        assert_eq!((p.criticality, p.direction), (criticality, Direction::Initiating));
        let answer = p.indication(None, None);
        assert_eq!(answer.is_some(), answered);
        if let Some(a) = answer {
            encode(&Message::ErrorIndication(a)).unwrap();
        }
    }
    assert!(encode(&decode(&hex("00200003000000")).unwrap()).is_err());
}

/// R11: a PLMN that is not three octets of digits, in each of the places that carry one.
#[test]
fn r11_bad_plmn_in_ng_setup() {
    let good = vector("NGSetupRequest");
    let plmns: Vec<_> = (0..good.len() - 2).filter(|i| good[*i..*i + 3] == [0x00, 0xf1, 0x10]).collect();
    assert_eq!(plmns.len(), 3);
    for at in plmns {
        for bad in [[0xaa, 0xf1, 0x10], [0x00, 0xfb, 0x10], [0x00, 0xf1, 0xcd]] {
            let mut octets = good.clone();
            octets[at..at + 3].copy_from_slice(&bad);
            let e = decode(&octets).unwrap_err();
            assert_eq!(e.fault, Fault::AbstractSyntaxReject);
            assert!(matches!(
                e.ies.as_slice(),
                [IeDiagnostic { id: 27 | 102, error: TypeOfError::NotUnderstood, .. }]
            ));
        }
        // Two octets where three belong: everything behind moves.
        let mut short = good.clone();
        short.remove(at);
        assert!(decode(&short).is_err());
    }
}

#[test]
fn a_three_digit_mnc_has_its_own_order_of_digits() {
    let p = Plmn::new("310", "410").unwrap();
    assert_eq!(convert::plmn_octets(p).0, [0x13, 0x40, 0x01]);
    assert_eq!(convert::plmn(&ox::PLMNIdentity([0x13, 0x40, 0x01])), Some(p));
    let q = Plmn::new("208", "93").unwrap();
    assert_eq!(convert::plmn_octets(q).0, [0x02, 0xf8, 0x39]);
}

/// R13: AMF-UE-NGAP-ID above 40 bits. The error can be answered, and the answer carries no such number.
#[test]
fn r13_amf_ue_ngap_id_out_of_range() {
    let good = vector("UplinkNASTransport");
    let wide = [
        vec![0xa0, 1, 0, 0, 0, 0, 0],
        vec![0xc0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        vec![0xe0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        vec![0x80],
        vec![],
    ];
    for value in wide {
        let octets = with_ies(&good, |ies| ies[0].value = value.clone().into());
        let e = decode(&octets).unwrap_err();
        assert_eq!(
            (e.fault, e.amf_ue_id, e.ran_ue_id),
            (Fault::AbstractSyntaxReject, None, Some(RanUeNgapId(u32::MAX)))
        );
        let id = IeDiagnostic { criticality: Criticality::Reject, id: 10, error: TypeOfError::NotUnderstood };
        assert_eq!(e.ies, [id]);
        encode(&Message::ErrorIndication(e.indication())).unwrap();
    }
    assert_eq!(AmfUeNgapId::new(1 << 40), None);
}

/// R15: a cause or a choice that does not exist. The cause is of criticality *ignore*, the choice is not.
#[test]
fn r15_ng_reset_with_unknown_choices() {
    let reset = encode(&Message::NgReset(NgReset {
        cause: Cause::Misc(MiscCause::HARDWARE_FAILURE),
        reset: ResetType::All,
    }))
    .unwrap();
    for cause in [vec![0xff], vec![0x0f, 0xff, 0xff], vec![0xa0, 0x00, 0x0f, 0x00, 0x01, 0x00], vec![]] {
        let octets = with_ies(&reset, |ies| ies[0].value = cause.clone().into());
        assert_eq!(
            decode(&octets).unwrap(),
            Message::NgReset(NgReset { cause: Cause::UNSPECIFIED, reset: ResetType::All })
        );
    }
    for kind in [vec![0x80, 0x00, 0x58, 0x00, 0x01, 0x00], vec![0xc0], vec![0x60, 0xff], vec![]] {
        let octets = with_ies(&reset, |ies| ies[1].value = kind.clone().into());
        let e = decode(&octets).unwrap_err();
        assert_eq!((e.fault, e.ies[0].id), (Fault::AbstractSyntaxReject, 88));
    }
}

/// R23: the longest FailedToSetupList there can be, with sessions that cannot be.
#[test]
fn r23_a_very_long_failed_list() {
    let cause = transfer::SetupUnsuccessful { cause: Cause::UNSPECIFIED }.encode().unwrap();
    let base = PduSessionResourceSetupResponse {
        amf_ue_id: amf(1),
        ran_ue_id: RanUeNgapId(1),
        setup: Vec::new(),
        failed: Vec::new(),
    };
    let full = |n: usize, t: &[u8]| {
        let item = SessionTransfer { id: id(1), transfer: t.to_vec() };
        encode(&Message::PduSessionResourceSetupResponse(PduSessionResourceSetupResponse {
            failed: vec![item; n],
            ..base.clone()
        }))
    };
    // 256 is the limit of the spec, with small and with large transfers.
    for t in [cause.clone(), vec![0; 200]] {
        let Message::PduSessionResourceSetupResponse(m) = decode(&full(256, &t).unwrap()).unwrap() else {
            panic!()
        };
        assert_eq!(m.failed.len(), 256);
    }
    assert!(full(257, &cause).is_err());
    assert!(full(256, &[0; 300]).is_err(), "above one message");
    // Sessions 16 and 255 do not exist: the list (criticality ignore) counts as not received.
    for wrong in [0u8, 16, 255] {
        let octets = full(1, &cause).unwrap();
        let list = with_ies(&octets, |ies| {
            let mut v = ies[2].value.to_vec();
            v[2] = wrong;
            ies[2].value = v.into();
        });
        assert_eq!(decode(&list).unwrap(), Message::PduSessionResourceSetupResponse(base.clone()));
    }
}

/// R25: a transfer without a usable tunnel fails its session and nothing else.
#[test]
fn r25_transfer_without_an_address() {
    let tunnel = Tunnel::new(Ipv4Addr::new(192, 0, 2, 7), Teid::new(9).unwrap());
    let good = transfer::SetupResponse { downlink: tunnel, flows: vec![1], failed: Vec::new() };
    let octets = good.encode().unwrap();
    assert_eq!(transfer::SetupResponse::decode(&octets).unwrap(), good);
    let with_address = |bits: oxirush_ngap::BitString<'static>, teid: [u8; 4]| {
        let mut t: ox::PDUSessionResourceSetupResponseTransfer<'_> = ox::decode_open_type(&octets).unwrap();
        t.dl_qos_flow_per_tnl_information.up_transport_layer_information =
            ox::UPTransportLayerInformation::gTPTunnel(ox::GTPTunnel::new(
                ox::TransportLayerAddress(bits),
                ox::GTPTEID(teid),
                None,
            ));
        transfer::SetupResponse::decode(&ox::encode_open_type(&t).unwrap())
    };
    let bits = |n: usize| {
        oxirush_ngap::BitString::new(vec![if n < 8 { 128u8 } else { 192 }; n.div_ceil(8)], n).unwrap()
    };
    for n in [1, 8, 30, 34, 64, 126, 130, 158, 162] {
        assert_eq!(with_address(bits(n), [0, 0, 0, 9]), Err(TransferError::Tunnel), "{n} bits");
    }
    assert_eq!(with_address(bits(32), [0; 4]), Err(TransferError::Tunnel), "TEID 0");
    // Both families: the IPv4 address comes first. What is read is written again.
    let (v4, v6) = (Ipv4Addr::from([192; 4]), Ipv6Addr::from([192; 16]));
    for (n, address, also) in [(32, IpAddr::V4(v4), None), (128, v6.into(), None), (160, v4.into(), Some(v6))]
    {
        let read = with_address(bits(n), [0, 0, 0, 9]).unwrap();
        assert_eq!((read.downlink.address, read.downlink.also), (address, also), "{n} bits");
        assert_eq!(transfer::SetupResponse::decode(&read.encode().unwrap()).unwrap(), read);
    }
    assert_eq!(
        transfer::SetupResponse::decode(&vec![0; transfer::MAX_TRANSFER + 1]),
        Err(TransferError::TooLong(transfer::MAX_TRANSFER + 1))
    );
    for n in 0..octets.len() {
        assert!(transfer::SetupResponse::decode(&octets[..n]).is_err());
    }
}

#[test]
fn sizes_are_bounded_both_ways() {
    assert_eq!(decode(&vec![0; MAX_MESSAGE + 1]).unwrap_err().fault, Fault::TooLong);
    let of = |n: usize| {
        Message::DownlinkNasTransport(DownlinkNasTransport {
            amf_ue_id: amf(1),
            ran_ue_id: RanUeNgapId(1),
            nas: vec![0x7e; n],
        })
    };
    assert!(encode(&of(MAX_NAS_PDU + 1)).is_err());
    let long = encode(&of(MAX_NAS_PDU)).unwrap();
    assert_eq!(decode(&long).unwrap(), of(MAX_NAS_PDU));
    for n in [MAX_NAS_PDU + 1, 20_000, 60_000] {
        let too_long = with_ies(&long, |ies| {
            let pdu = ox::NASPDU::from(vec![0x7e; n]);
            ies[2].value = ox::encode_open_type(&pdu).unwrap();
        });
        let e = decode(&too_long).unwrap_err();
        assert_eq!((e.fault, e.ies[0].id), (Fault::AbstractSyntaxReject, 38));
    }
    // A NAS PDU of no octets is the NAS layer's business.
    assert_eq!(decode(&encode(&of(0)).unwrap()).unwrap(), of(0));
}

#[test]
fn nothing_that_is_cut_short_is_taken_for_a_message() {
    for m in samples() {
        let octets = encode(&m).unwrap();
        for n in 0..octets.len() {
            if let Ok(Message::Unknown(_)) | Err(_) = decode(&octets[..n]) {
                continue;
            }
            panic!("{} of {} octets of {} were read", n, octets.len(), m.name());
        }
    }
}

#[test]
fn every_octet_changed_ends_no_process() {
    for m in samples() {
        let octets = encode(&m).unwrap();
        for at in 0..octets.len() {
            for v in [0x00, 0x01, 0x7f, 0x80, 0xff, octets[at] ^ 1, octets[at] ^ 0x80] {
                let mut odd = octets.clone();
                odd[at] = v;
                match decode(&odd) {
                    Ok(Message::Unknown(_)) => {}
                    Ok(read) => _ = encode(&read),
                    Err(e) => _ = encode(&Message::ErrorIndication(e.indication())).unwrap(),
                }
            }
        }
    }
}

#[test]
fn a_key_is_not_printed() {
    let Message::InitialContextSetupRequest(m) = decode(&vector("InitialContextSetupRequest")).unwrap()
    else {
        panic!()
    };
    let text = format!("{m:?}");
    assert!(text.contains("SecurityKey(..)") && !text.contains("28, 29, 30, 31"));
}

fn any_plmn() -> impl Strategy<Value = Plmn> {
    (0u16..1000, 0u16..1000, any::<bool>()).prop_map(|(c, n, three)| {
        let mnc = if three { format!("{n:03}") } else { format!("{:02}", n % 100) };
        Plmn::new(&format!("{c:03}"), &mnc).unwrap()
    })
}

fn any_slice() -> impl Strategy<Value = Snssai> {
    (any::<u8>(), proptest::option::of(0u32..0xff_ffff)).prop_map(|(sst, sd)| slice(sst, sd))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn ng_setup_of_any_plmn_and_slices(
        plmn in any_plmn(),
        (gnb, bits) in (22u8..=32).prop_flat_map(|b| (0..=(u32::MAX >> (32 - b)), Just(b))),
        tas in proptest::collection::vec((0u32..=0xff_ffff, any_plmn(), proptest::collection::vec(any_slice(), 1..9)), 1..9),
    ) {
        let tas = tas.into_iter()
            .map(|(t, plmn, slices)| SupportedTa { tac: tac(t), plmns: vec![SupportedPlmn { plmn, slices }] })
            .collect();
        let m = Message::NgSetupRequest(NgSetupRequest {
            node: RanNodeId::Gnb(GlobalGnbId { plmn, id: gnb, bits }),
            name: None,
            tas,
            paging_drx: Some(PagingDrx::V32),
        });
        prop_assert_eq!(decode(&encode(&m).unwrap()).unwrap(), m);
    }

    #[test]
    fn uplink_of_any_ids_and_octets(
        a in 0..=AmfUeNgapId::MAX,
        r in any::<u32>(),
        nas in proptest::collection::vec(any::<u8>(), 0..600),
        plmn in any_plmn(),
        cell in 0u64..1 << 36,
        t in 0u32..=0xff_ffff,
    ) {
        let location = UserLocation {
            cell: NrCgi { plmn, cell },
            tai: Tai { plmn, tac: tac(t) },
            time_stamp: None,
        };
        let m = Message::UplinkNasTransport(UplinkNasTransport {
            amf_ue_id: amf(a),
            ran_ue_id: RanUeNgapId(r),
            nas,
            location: Some(location),
        });
        prop_assert_eq!(decode(&encode(&m).unwrap()).unwrap(), m);
    }

    #[test]
    fn any_cause_that_the_spec_has(group in 0u8..5, v in 0u8..65) {
        let cause = match group {
            0 => Cause::RadioNetwork(RadioCause(v)),
            1 => Cause::Transport(TransportCause(v % 2)),
            2 => Cause::Nas(NasCause(v % 8)),
            3 => Cause::Protocol(ProtocolCause(v % 7)),
            _ => Cause::Misc(MiscCause(v % 6)),
        };
        let m = Message::NgReset(NgReset { cause, reset: ResetType::All });
        prop_assert_eq!(decode(&encode(&m).unwrap()).unwrap(), m);
        let t = ReleaseCommand { cause };
        prop_assert_eq!(ReleaseCommand::decode(&t.encode().unwrap()).unwrap(), t);
    }

    #[test]
    fn octets_of_no_meaning(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&octets);
        let _ = transfer::SetupRequest::decode(&octets);
        let _ = transfer::SetupResponse::decode(&octets);
        let _ = transfer::SetupUnsuccessful::decode(&octets);
        let _ = transfer::ReleaseCommand::decode(&octets);
        let _ = transfer::ReleaseResponse::decode(&octets);
    }
}
