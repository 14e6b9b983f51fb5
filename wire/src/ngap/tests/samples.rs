//! One of each message, for the tests that spoil them.

use super::*;

/// One of each message, for the tests that spoil them.
pub(super) fn samples() -> Vec<Message> {
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
