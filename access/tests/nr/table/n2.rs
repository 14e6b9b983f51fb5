//! NGAP: what a gNB says of a UE in each state of its connection, and of itself (TS 38.413 §8, §10).

use super::scenes::*;
use super::*;
use crate::ue::plmn;
use types::*;
use wire::nas::fgs::{FgmmMessage, RegistrationType};
use wire::ngap::*;

/// Every state of a connection, and that there is none.
fn states() -> Vec<Option<ConnStanding>> {
    std::iter::once(None).chain(ConnStanding::ALL.iter().copied().map(Some)).collect()
}

fn word(s: Option<ConnStanding>) -> &'static str {
    s.map_or("none", ConnStanding::word)
}

/// Both sides' names of the connection of a scene.
pub fn names(w: &World, (assoc, amf): (AssocId, AmfUeNgapId)) -> (AmfUeNgapId, RanUeNgapId) {
    match &w.places[UE] {
        Some(p) if p.assoc == assoc && p.amf == Some(amf) => (amf, p.ran),
        // Where it arrives, and where it left.
        _ if assoc == B => (amf, RanUeNgapId(88)),
        _ => (amf, last_name(w, amf)),
    }
}

/// What the gNB called it.
fn last_name(w: &World, amf: AmfUeNgapId) -> RanUeNgapId {
    let of = |m: &Message| match m.ue_ids() {
        (Some(a), Some(ran)) if a == amf => Some(ran),
        _ => None,
    };
    w.sent.iter().rev().find_map(|(_, m)| of(m)).unwrap_or(RanUeNgapId(5_555))
}

pub const SAID: [&str; 26] = [
    "UplinkNASTransport",
    "InitialUEMessage under the same name",
    "InitialContextSetupResponse",
    "InitialContextSetupFailure",
    "PDUSessionResourceSetupResponse",
    "PDUSessionResourceReleaseResponse",
    "PDUSessionResourceModifyResponse",
    "UERadioCapabilityInfoIndication",
    "UEContextModificationResponse",
    "UEContextModificationFailure",
    "NASNonDeliveryIndication",
    "LocationReport",
    "LocationReportingFailureIndication",
    "PathSwitchRequest",
    "HandoverRequired",
    "HandoverRequestAcknowledge",
    "HandoverFailure",
    "UplinkRANStatusTransfer",
    "HandoverNotify",
    "HandoverCancel",
    "UEContextReleaseRequest",
    "UEContextReleaseComplete",
    "ErrorIndication, UE unknown",
    "ErrorIndication, of another kind",
    "NGReset of this UE",
    "a NAS message that only we send",
];

/// What the gNB of Open5GS's handover tests says of one radio bearer.
fn ran_status() -> RanStatusTransfer {
    const RECORDED: &str = "00314021000003000a0005609ab8561a0055000200010054000b0008000001000240030004";
    let octets: Vec<u8> = (0..RECORDED.len())
        .step_by(2)
        .map(|n| u8::from_str_radix(&RECORDED[n..n + 2], 16).unwrap())
        .collect();
    let Message::UplinkRanStatusTransfer(m) = ngap::decode(&octets).unwrap() else { panic!() };
    assert_eq!(ngap::encode(&Message::UplinkRanStatusTransfer(m.clone())).unwrap(), octets);
    m
}

pub fn said(what: &str, w: &World, (amf_ue_id, ran_ue_id): (AmfUeNgapId, RanUeNgapId)) -> Message {
    let cause = Cause::RadioNetwork(RadioCause::UNSPECIFIED);
    let nas = FgmmMessage::FgmmStatus(FgmmCause::ProtocolErrorUnspecified).encode().unwrap();
    match what {
        "UplinkNASTransport" => Message::UplinkNasTransport(UplinkNasTransport {
            amf_ue_id,
            ran_ue_id,
            nas,
            location: Some(location()),
        }),
        "InitialUEMessage under the same name" => Message::InitialUeMessage(InitialUeMessage {
            ran_ue_id,
            nas,
            location: location(),
            rrc_cause: None,
            s_tmsi: None,
            context_requested: true,
        }),
        "InitialContextSetupResponse" => Message::InitialContextSetupResponse(InitialContextSetupResponse {
            amf_ue_id,
            ran_ue_id,
            setup: vec![],
            failed: vec![],
        }),
        "InitialContextSetupFailure" => Message::InitialContextSetupFailure(InitialContextSetupFailure {
            amf_ue_id,
            ran_ue_id,
            failed: vec![],
            cause,
        }),
        "PDUSessionResourceSetupResponse" => {
            let setup = vec![SessionTransfer { id: id(FIRST), transfer: tunnel(0x6001, [6, 6, 6, 6]) }];
            let m = PduSessionResourceSetupResponse { amf_ue_id, ran_ue_id, setup, failed: vec![] };
            Message::PduSessionResourceSetupResponse(m)
        }
        "PDUSessionResourceReleaseResponse" => {
            let transfer = transfer::ReleaseResponse.encode().unwrap();
            Message::PduSessionResourceReleaseResponse(PduSessionResourceReleaseResponse {
                amf_ue_id,
                ran_ue_id,
                released: vec![SessionTransfer { id: id(FIRST), transfer }],
                location: None,
            })
        }
        "PDUSessionResourceModifyResponse" => {
            let transfer = transfer::ModifyResponse.encode().unwrap();
            Message::PduSessionResourceModifyResponse(PduSessionResourceModifyResponse {
                amf_ue_id,
                ran_ue_id,
                modified: vec![],
                failed: vec![SessionTransfer { id: id(FIRST), transfer }],
            })
        }
        "UERadioCapabilityInfoIndication" => {
            Message::UeRadioCapabilityInfoIndication(UeRadioCapabilityInfoIndication {
                amf_ue_id,
                ran_ue_id,
                radio_capability: Some(vec![1, 2, 3]),
            })
        }
        "UEContextModificationResponse" => {
            Message::UeContextModificationResponse(UeContextModificationResponse { amf_ue_id, ran_ue_id })
        }
        "UEContextModificationFailure" => {
            Message::UeContextModificationFailure(UeContextModificationFailure {
                amf_ue_id,
                ran_ue_id,
                cause,
            })
        }
        "NASNonDeliveryIndication" => Message::NasNonDeliveryIndication(NasNonDeliveryIndication {
            amf_ue_id,
            ran_ue_id,
            nas: Some(nas),
            cause,
        }),
        "LocationReport" => {
            let (location, event) = (Some(location()), Some(LocationEvent::CellChange));
            Message::LocationReport(LocationReport { amf_ue_id, ran_ue_id, location, event })
        }
        "LocationReportingFailureIndication" => {
            let m = LocationReportingFailureIndication { amf_ue_id, ran_ue_id, cause };
            Message::LocationReportingFailureIndication(m)
        }
        "PathSwitchRequest" => Message::PathSwitchRequest(path_switch(w, amf_ue_id, 4_444)),
        "HandoverRequired" => Message::HandoverRequired(handover_required(w, (amf_ue_id, ran_ue_id))),
        "HandoverRequestAcknowledge" => {
            let m = HandoverRequestAcknowledge { ran_ue_id, ..acknowledge(amf_ue_id, FIRST) };
            Message::HandoverRequestAcknowledge(m)
        }
        "HandoverFailure" => Message::HandoverFailure(HandoverFailure { amf_ue_id, cause }),
        "UplinkRANStatusTransfer" => {
            Message::UplinkRanStatusTransfer(RanStatusTransfer { amf_ue_id, ran_ue_id, ..ran_status() })
        }
        "HandoverNotify" => {
            let location = Some(location());
            Message::HandoverNotify(HandoverNotify { amf_ue_id, ran_ue_id, location })
        }
        "HandoverCancel" => Message::HandoverCancel(HandoverCancel { amf_ue_id, ran_ue_id, cause }),
        "UEContextReleaseRequest" => Message::UeContextReleaseRequest(UeContextReleaseRequest {
            amf_ue_id,
            ran_ue_id,
            sessions: vec![],
            cause,
        }),
        "UEContextReleaseComplete" => Message::UeContextReleaseComplete(UeContextReleaseComplete {
            amf_ue_id,
            ran_ue_id,
            location: None,
            sessions: vec![],
        }),
        "ErrorIndication, UE unknown" | "ErrorIndication, of another kind" => {
            let unknown = Cause::RadioNetwork(RadioCause::UNKNOWN_LOCAL_UE_NGAP_ID);
            let cause = if what.ends_with("unknown") { unknown } else { Cause::UNSPECIFIED };
            Message::ErrorIndication(ErrorIndication {
                amf_ue_id: Some(amf_ue_id),
                ran_ue_id: Some(ran_ue_id),
                cause: Some(cause),
                diagnostics: None,
            })
        }
        "NGReset of this UE" => {
            let connection = UeConnection { amf_ue_id: Some(amf_ue_id), ran_ue_id: Some(ran_ue_id) };
            Message::NgReset(NgReset { cause, reset: ResetType::Part(vec![connection]) })
        }
        "a NAS message that only we send" => {
            Message::DownlinkNasTransport(DownlinkNasTransport { amf_ue_id, ran_ue_id, nas })
        }
        other => panic!("{other}"),
    }
}

/// Where the row has its place: a message that is new in `wire` finds one here.
fn table_of(m: &Message) -> &'static str {
    match m {
        Message::InitialUeMessage(_)
        | Message::UplinkNasTransport(_)
        | Message::InitialContextSetupResponse(_)
        | Message::InitialContextSetupFailure(_)
        | Message::UeRadioCapabilityInfoIndication(_)
        | Message::UeContextModificationResponse(_)
        | Message::UeContextModificationFailure(_)
        | Message::NasNonDeliveryIndication(_)
        | Message::UeContextReleaseRequest(_)
        | Message::UeContextReleaseComplete(_)
        | Message::PduSessionResourceSetupResponse(_)
        | Message::PduSessionResourceReleaseResponse(_)
        | Message::PduSessionResourceModifyResponse(_)
        | Message::PathSwitchRequest(_)
        | Message::HandoverRequired(_)
        | Message::HandoverRequestAcknowledge(_)
        | Message::HandoverFailure(_)
        | Message::UplinkRanStatusTransfer(_)
        | Message::HandoverNotify(_)
        | Message::LocationReport(_)
        | Message::LocationReportingFailureIndication(_)
        | Message::HandoverCancel(_) => "of a UE",
        Message::NgSetupRequest(_)
        | Message::RanConfigurationUpdate(_)
        | Message::UplinkRanConfigurationTransfer(_)
        | Message::NgResetAcknowledge(_)
        | Message::AmfConfigurationUpdateAcknowledge
        | Message::AmfConfigurationUpdateFailure(_)
        | Message::Unknown(_) => "of the gNB",
        Message::NgReset(_) | Message::ErrorIndication(_) => "of both",
        Message::NgSetupResponse(_)
        | Message::NgSetupFailure(_)
        | Message::RanConfigurationUpdateAcknowledge
        | Message::RanConfigurationUpdateFailure(_)
        | Message::AmfConfigurationUpdate(_)
        | Message::OverloadStart(_)
        | Message::OverloadStop
        | Message::DownlinkNasTransport(_)
        | Message::InitialContextSetupRequest(_)
        | Message::UeContextModificationRequest(_)
        | Message::UeContextReleaseCommand(_)
        | Message::PduSessionResourceSetupRequest(_)
        | Message::PduSessionResourceReleaseCommand(_)
        | Message::PduSessionResourceModifyRequest(_)
        | Message::PathSwitchRequestAcknowledge(_)
        | Message::PathSwitchRequestFailure(_)
        | Message::HandoverCommand(_)
        | Message::HandoverPreparationFailure(_)
        | Message::HandoverRequest(_)
        | Message::DownlinkRanStatusTransfer(_)
        | Message::DownlinkRanConfigurationTransfer(_)
        | Message::HandoverCancelAcknowledge(_)
        | Message::LocationReportingControl(_)
        | Message::Paging(_) => "of the AMF",
    }
}

fn send(w: &mut World, assoc: AssocId, m: &Message) {
    let bytes = ngap::encode(m).unwrap();
    input(w, Input::Ngap { assoc, stream: 1, bytes });
}

/// From the gNB that has the connection, by its own name; from another gNB; and by another name. The last two are one row
/// each: nothing of the UE may change.
#[test]
fn what_a_gnb_says_of_a_ue() {
    let mut rows: Vec<Row> = Vec::new();
    for what in SAID {
        rows.push(row(what, &states(), word, |state| {
            let (mut w, of) = conn(state);
            let m = said(what, &w, names(&w, of));
            assert!(["of a UE", "of both", "of the AMF"].contains(&table_of(&m)));
            // Where a UE has come to is where it is asked for.
            let after = move |w: &World| match (what, w.amf.conn_standing(B, of.1)) {
                ("PathSwitchRequest", Some(there)) if of.0 == A => {
                    format!("{} at the other gNB", there.word())
                }
                _ => conn_word(w, Some(of)),
            };
            let from = if what == "PathSwitchRequest" { B } else { of.0 };
            Some(what_comes(&mut w, &after, |w| send(w, from, &m)))
        }));
    }
    let strange = |how: &str| -> Row {
        row(how, &states(), word, |state| {
            let mut answers: Vec<String> = Vec::new();
            for what in SAID {
                // A connection's new name is its own affair, and a reset is answered whatever it names.
                let others =
                    ["InitialUEMessage under the same name", "PathSwitchRequest", "NGReset of this UE"];
                if others.contains(&what) || what == "a NAS message that only we send" {
                    continue;
                }
                let (mut w, of) = conn(state);
                let (amf, ran) = names(&w, of);
                let before = (w.view(UE), conn_word(&w, Some(of)));
                let (from, m) = match how {
                    "any of these from another gNB" => {
                        (if of.0 == A { B } else { A }, said(what, &w, (amf, ran)))
                    }
                    _ => (of.0, said(what, &w, (amf, RanUeNgapId(ran.0 ^ 0x4000)))),
                };
                // What is said by our name alone has no other name.
                if what == "HandoverFailure" && from == of.0 || what.starts_with("ErrorIndication") {
                    continue;
                }
                answers.push(what_comes(&mut w, &|w| conn_word(w, Some(of)), |w| send(w, from, &m)));
                let after = (w.view(UE), conn_word(&w, Some(of)));
                assert_eq!(before, after, "{how}, {what}, {state:?}: nothing of the UE changes");
            }
            answers.sort();
            answers.dedup();
            Some(answers.join(" *or* "))
        })
    };
    rows.push(strange("any of these from another gNB"));
    rows.push(strange("any of these with another name of the gNB's"));
    rows.push(row("the next timer", &states(), word, |state| {
        let (mut w, of) = conn(state);
        Some(what_comes(&mut w, &move |w| conn_word(w, Some(of)), timer))
    }));
    Table { name: "ue-context", rows }.hold();
}

/// Where an association stands.
fn gnb_word(w: &World, assoc: AssocId) -> String {
    w.amf.gnb_standing(assoc).map_or("gone", GnbStanding::word).to_owned()
}

const C: AssocId = AssocId(3);

#[test]
fn what_a_gnb_says_of_itself() {
    let states: Vec<Option<GnbStanding>> =
        std::iter::once(None).chain(GnbStanding::ALL.iter().copied().map(Some)).collect();
    let scene = |state: Option<GnbStanding>| {
        let mut w = world();
        if let Some(s) = state {
            if s != GnbStanding::Connected {
                w.gnb_up(C, 3);
            } else {
                w.inbox.push_back(Input::AssocUp { assoc: C, peer: "10.0.0.3".parse().unwrap() });
            }
            w.run();
            if s == GnbStanding::Updating {
                w.input(Input::Serve(crate::gnbs::other_name()));
            }
        }
        assert_eq!(w.amf.gnb_standing(C), state);
        w
    };
    let area = |tac: u32, plmn| SupportedTa {
        tac: tac.try_into().unwrap(),
        plmns: vec![SupportedPlmn { plmn, slices: vec![snssai()] }],
    };
    let update = |tas| RanConfigurationUpdate { name: Some("renamed".to_owned()), tas, paging_drx: None };
    let not_now = |time_to_wait| AmfConfigurationUpdateFailure { cause: Cause::UNSPECIFIED, time_to_wait };
    let unknown = |id: u8, criticality: u8| vec![0x00, id, criticality, 3, 0, 0, 0];
    let own = |m: Message| ngap::encode(&m).unwrap();
    let other = Plmn::new("999", "99").unwrap();
    let wrong = NgSetupRequest { tas: vec![area(7, other)], ..setup_request(3) };
    let elsewhere = NgSetupRequest { tas: vec![area(99, plmn())], ..setup_request(3) };
    let initial = {
        let w = world();
        let nas = FgmmMessage::RegistrationRequest(w.ues[UE].registration(RegistrationType::Initial));
        own(Message::InitialUeMessage(InitialUeMessage {
            ran_ue_id: RanUeNgapId(1),
            nas: nas.encode().unwrap(),
            location: location(),
            rrc_cause: None,
            s_tmsi: None,
            context_requested: true,
        }))
    };
    let reset = |reset| own(Message::NgReset(NgReset { cause: Cause::UNSPECIFIED, reset }));
    let nobody = UeConnection { amf_ue_id: AmfUeNgapId::new(5), ran_ue_id: Some(RanUeNgapId(5)) };
    let error = ErrorIndication {
        amf_ue_id: None,
        ran_ue_id: None,
        cause: Some(Cause::UNSPECIFIED),
        diagnostics: None,
    };
    let said: Vec<(&str, Vec<u8>)> = vec![
        ("NGSetupRequest", own(Message::NgSetupRequest(setup_request(3)))),
        (
            "NGSetupRequest of a gNB that is connected elsewhere",
            own(Message::NgSetupRequest(setup_request(1))),
        ),
        ("NGSetupRequest of another PLMN", own(Message::NgSetupRequest(wrong))),
        ("NGSetupRequest of another area", own(Message::NgSetupRequest(elsewhere))),
        ("RANConfigurationUpdate, a name", own(Message::RanConfigurationUpdate(update(vec![])))),
        (
            "RANConfigurationUpdate, areas of ours",
            own(Message::RanConfigurationUpdate(update(vec![area(7, plmn()), area(8, plmn())]))),
        ),
        (
            "RANConfigurationUpdate, areas of others",
            own(Message::RanConfigurationUpdate(update(vec![area(8, plmn())]))),
        ),
        (
            "UplinkRANConfigurationTransfer in another's name",
            own(Message::UplinkRanConfigurationTransfer(crate::gnbs::asks_for_xn())),
        ),
        (
            "UplinkRANConfigurationTransfer for nobody",
            own(Message::UplinkRanConfigurationTransfer(RanConfigurationTransfer { son: None })),
        ),
        ("NGReset of all", reset(ResetType::All)),
        ("NGReset of a UE that there is not", reset(ResetType::Part(vec![nobody]))),
        (
            "NGResetAcknowledge that nobody waits for",
            own(Message::NgResetAcknowledge(NgResetAcknowledge { connections: vec![] })),
        ),
        ("AMFConfigurationUpdateAcknowledge", own(Message::AmfConfigurationUpdateAcknowledge)),
        ("AMFConfigurationUpdateFailure", own(Message::AmfConfigurationUpdateFailure(not_now(None)))),
        (
            "AMFConfigurationUpdateFailure with a time to wait",
            own(Message::AmfConfigurationUpdateFailure(not_now(Some(TimeToWait::S5)))),
        ),
        ("ErrorIndication about nobody", own(Message::ErrorIndication(error))),
        ("InitialUEMessage", initial),
        ("a message that only we send", own(Message::OverloadStop)),
        // Cell Traffic Trace, Retrieve UE Information and a number without a name: ignore, reject, notify.
        ("a procedure that we do not have, criticality ignore", unknown(2, 0x40)),
        ("the same, criticality reject", unknown(55, 0x00)),
        ("the same, criticality notify", unknown(200, 0x80)),
        ("octets of no meaning", vec![0xff; 20]),
        ("a message that ends too soon", own(Message::NgSetupRequest(setup_request(3)))[..20].to_vec()),
    ];
    let mut rows: Vec<Row> = Vec::new();
    for (what, bytes) in &said {
        rows.push(row(
            what,
            &states,
            |s| s.map_or("none", GnbStanding::word),
            |state| {
                let mut w = scene(state);
                let bytes = bytes.clone();
                Some(what_comes(&mut w, &|w| gnb_word(w, C), |w| {
                    input(w, Input::Ngap { assoc: C, stream: 0, bytes });
                }))
            },
        ));
    }
    type Act = fn(&mut World);
    let events: [(&str, Act); 4] = [
        ("what we serve changes", |w| {
            input(w, Input::Serve(Serving { relative_capacity: 1, ..crate::gnbs::other_name() }));
        }),
        ("the association is lost", |w| input(w, Input::AssocDown { assoc: C })),
        ("the association is begun anew", |w| {
            input(w, Input::AssocUp { assoc: C, peer: "10.0.0.3".parse().unwrap() });
        }),
        ("the next timer", timer),
    ];
    for (what, act) in events {
        rows.push(row(
            what,
            &states,
            |s| s.map_or("none", GnbStanding::word),
            |state| {
                let mut w = scene(state);
                Some(what_comes(&mut w, &|w| gnb_word(w, C), act))
            },
        ));
    }
    Table { name: "gnb", rows }.hold();
}
