//! 5GSM: what is said about a PDU session in each of its states, by its UE (TS 24.501 §6, §7.3), its gNB and the gateway.

use super::scenes::*;
use super::*;
use std::net::Ipv4Addr;
use types::*;
use wire::nas::fgs::*;
use wire::nas::security::{Direction, HeaderType};
use wire::ngap::{
    InitialContextSetupResponse, PduSessionResourceReleaseResponse, PduSessionResourceSetupResponse,
    SessionTransfer, transfer,
};

/// Every state of a session, and that there is none.
fn states() -> Vec<Option<SessionStanding>> {
    std::iter::once(None).chain(SessionStanding::ALL.iter().copied().map(Some)).collect()
}

fn word(s: Option<SessionStanding>) -> &'static str {
    s.map_or("none", SessionStanding::word)
}

/// The rows of what the UE says. The transaction with which it asked for the session is 5, that of its release 9.
const SAID: [&str; 26] = [
    "PDUSessionEstablishmentRequest, the same transaction",
    "PDUSessionEstablishmentRequest, another transaction",
    "PDUSessionEstablishmentRequest, existing session",
    "PDUSessionEstablishmentRequest, a type that we do not have",
    "PDUSessionEstablishmentRequest, an SSC mode that we do not have",
    "PDUSessionModificationRequest",
    "PDUSessionModificationRequest, the same transaction",
    "PDUSessionModificationRequest for other rules or flows",
    "PDUSessionModificationComplete",
    "PDUSessionModificationComplete, another transaction",
    "PDUSessionModificationCommandReject #43",
    "PDUSessionModificationCommandReject #31",
    "PDUSessionReleaseRequest",
    "PDUSessionReleaseRequest, the same transaction",
    "PDUSessionReleaseComplete, the transaction of its release",
    "PDUSessionReleaseComplete, another transaction",
    "5GSMStatus #98",
    "5GSMStatus #43",
    "5GSMStatus #47, of its release",
    "what only the network says",
    "a type that there is not",
    "a request without a transaction (PTI 0)",
    "the reserved transaction (PTI 255)",
    "an identity that is none",
    "PDUSessionEstablishmentRequest that is wrong",
    "another message that is wrong",
];

/// The 5GSM messages of a row, with the request type of their envelope.
fn said(what: &str, state: Option<SessionStanding>) -> Vec<(Vec<u8>, Option<RequestType>)> {
    let message = |pti, body| FgsmMessage { session: id(SECOND), pti, body }.encode().unwrap();
    let request = |pti, kind, ssc_mode| {
        message(
            pti,
            FgsmBody::EstablishmentRequest(EstablishmentRequest {
                max_integrity_rate: [0xff, 0xff],
                session_type: Some(kind),
                ssc_mode: Some(ssc_mode),
                epco: None,
            }),
        )
    };
    let establish = |pti, kind| request(pti, kind, 1);
    let (v4, initial) = (PduSessionType::IPV4, Some(RequestType::INITIAL));
    let releasing = if state == Some(SessionStanding::ReleasingForUe) { 9 } else { 0 };
    let changing = if state == Some(SessionStanding::ChangingForUe) { 9 } else { 0 };
    let bare = |payload| (payload, None);
    match what {
        "PDUSessionEstablishmentRequest, the same transaction" => vec![(establish(5, v4), initial)],
        "PDUSessionEstablishmentRequest, another transaction" => vec![(establish(6, v4), initial)],
        "PDUSessionEstablishmentRequest, existing session" => {
            vec![(establish(6, v4), Some(RequestType::EXISTING))]
        }
        "PDUSessionEstablishmentRequest, a type that we do not have" => {
            [0, 4, 5, 6, 7].map(|kind| (establish(6, PduSessionType(kind)), initial)).to_vec()
        }
        "PDUSessionEstablishmentRequest, an SSC mode that we do not have" => {
            [0, 2, 3, 7].map(|mode| (request(6, v4, mode), initial)).to_vec()
        }
        "PDUSessionModificationRequest" => {
            vec![bare(message(7, FgsmBody::ModificationRequest(ModificationRequest::default())))]
        }
        "PDUSessionModificationRequest, the same transaction" => {
            vec![bare(message(9, FgsmBody::ModificationRequest(ModificationRequest::default())))]
        }
        "PDUSessionModificationRequest for other rules or flows" => [
            ModificationRequest { rules: vec![QosRule::match_all(2, 7, 3)], ..Default::default() },
            ModificationRequest { flows: vec![QosFlow::create(3, 7)], ..Default::default() },
        ]
        .map(|m| bare(message(7, FgsmBody::ModificationRequest(m))))
        .to_vec(),
        "PDUSessionModificationComplete" => {
            vec![bare(message(changing, FgsmBody::ModificationComplete))]
        }
        "PDUSessionModificationComplete, another transaction" => {
            vec![bare(message(77, FgsmBody::ModificationComplete))]
        }
        "PDUSessionModificationCommandReject #43" => {
            let cause = FgsmCause::InvalidPduSessionIdentity;
            vec![bare(message(changing, FgsmBody::ModificationCommandReject(cause)))]
        }
        "PDUSessionModificationCommandReject #31" => {
            let cause = FgsmCause::RequestRejectedUnspecified;
            vec![bare(message(changing, FgsmBody::ModificationCommandReject(cause)))]
        }
        "PDUSessionReleaseRequest" => vec![bare(message(8, FgsmBody::ReleaseRequest { cause: None }))],
        "PDUSessionReleaseRequest, the same transaction" => {
            vec![bare(message(9, FgsmBody::ReleaseRequest { cause: None }))]
        }
        "PDUSessionReleaseComplete, the transaction of its release" => {
            vec![bare(message(releasing, FgsmBody::ReleaseComplete { cause: None }))]
        }
        "PDUSessionReleaseComplete, another transaction" => {
            vec![bare(message(77, FgsmBody::ReleaseComplete { cause: None }))]
        }
        "5GSMStatus #98" => vec![bare(message(66, FgsmBody::Status(FgsmCause::MessageTypeNotCompatible)))],
        "5GSMStatus #43" => {
            vec![bare(message(releasing, FgsmBody::Status(FgsmCause::InvalidPduSessionIdentity)))]
        }
        "5GSMStatus #47, of its release" => {
            vec![bare(message(releasing, FgsmBody::Status(FgsmCause::PtiMismatch)))]
        }
        "what only the network says" => [
            FgsmBody::EstablishmentReject(EstablishmentReject {
                cause: FgsmCause::InsufficientResources,
                backoff: None,
            }),
            FgsmBody::ModificationReject(FgsmCause::RequestRejectedUnspecified),
            FgsmBody::ModificationCommand(ModificationCommand::default()),
            FgsmBody::ReleaseReject(FgsmCause::RequestRejectedUnspecified),
            FgsmBody::ReleaseCommand { cause: FgsmCause::RegularDeactivation, backoff: None },
        ]
        .map(|body| bare(message(7, body)))
        .to_vec(),
        "a type that there is not" => {
            vec![
                bare(vec![0x2e, SECOND, 7, 0xff]),
                bare(vec![0x2e, SECOND, 7, 0xc6, 1]),
                bare(vec![0x2e, SECOND, 7, 0xc5]),
            ]
        }
        "a request without a transaction (PTI 0)" => vec![
            (establish(0, v4), initial),
            bare(message(0, FgsmBody::ModificationRequest(ModificationRequest::default()))),
            bare(message(0, FgsmBody::ReleaseRequest { cause: None })),
        ],
        "the reserved transaction (PTI 255)" => {
            vec![bare(vec![0x2e, SECOND, 255, 0xd1]), bare(vec![0x2e, SECOND, 255, 0xc1, 0xff, 0xff])]
        }
        "an identity that is none" => {
            vec![bare(vec![0x2e, 0, 7, 0xd1]), bare(vec![0x2e, 16, 7, 0xd1]), bare(vec![0x2e, 0, 7, 0xc9])]
        }
        // Without its data rate, and with half of it; without its cause.
        "PDUSessionEstablishmentRequest that is wrong" => {
            vec![(vec![0x2e, SECOND, 7, 0xc1], initial), (vec![0x2e, SECOND, 7, 0xc1, 0xff], initial)]
        }
        "another message that is wrong" => vec![bare(vec![0x2e, SECOND, 7, 0xd6])],
        other => panic!("{other}"),
    }
}

fn answer(n: usize, what: &str, cell: impl Fn(usize) -> String) -> Option<String> {
    let mut answers: Vec<String> = (0..n).map(cell).collect();
    answers.sort();
    answers.dedup();
    assert!(answers.len() <= 1, "{what}: {answers:?}");
    answers.pop()
}

#[test]
fn what_a_ue_says_of_a_session() {
    let rows = SAID.into_iter().map(|what| {
        row(what, &states(), word, |state| {
            answer(said(what, state).len(), what, |i| {
                let mut w = session(state);
                let (payload, request) = said(what, state).swap_remove(i);
                let m = FgmmMessage::UlNasTransport(UlNasTransport {
                    kind: ContainerType::N1_SM,
                    payload,
                    session: Some(id(SECOND)),
                    request,
                    slice: None,
                    dnn: request.map(|_| RequestedDnn::Name("factory".parse().unwrap())),
                });
                let plain = m.encode().unwrap();
                let context = w.ues[UE].context.as_mut().unwrap();
                let nas = context.protect(&plain, HeaderType::Ciphered, Direction::Uplink).unwrap();
                what_comes(&mut w, &session_word, |w| {
                    let (amf_ue_id, ran_ue_id) = ids(w);
                    let m = wire::ngap::UplinkNasTransport { amf_ue_id, ran_ue_id, nas, location: None };
                    let bytes = ngap::encode(&Message::UplinkNasTransport(m)).unwrap();
                    input(w, Input::Ngap { assoc: A, stream: 1, bytes });
                })
            })
        })
    });
    Table { name: "sessions", rows: rows.collect() }.hold();
}

/// What a gNB says of the session: made, not made, or something that cannot be read.
fn resources(w: &mut World, setup: Vec<SessionTransfer>, failed: Vec<SessionTransfer>) {
    let (amf_ue_id, ran_ue_id) = ids(w);
    let m = Message::PduSessionResourceSetupResponse(PduSessionResourceSetupResponse {
        amf_ue_id,
        ran_ue_id,
        setup,
        failed,
    });
    let bytes = ngap::encode(&m).unwrap();
    input(w, Input::Ngap { assoc: A, stream: 1, bytes });
}

fn of_second(transfer: Vec<u8>) -> Vec<SessionTransfer> {
    vec![SessionTransfer { id: id(SECOND), transfer }]
}

/// The gateway's answer to whatever it was asked last about the session.
fn gateway(w: &mut World, cause: pfcp::Cause) {
    if let Some(bytes) = of_gateway(w, cause) {
        input(w, Input::N4(bytes));
    }
}

/// The same as octets.
pub fn of_gateway(w: &World, cause: pfcp::Cause) -> Option<Vec<u8>> {
    let node_id = pfcp::NodeId::V4(Ipv4Addr::new(10, 0, 0, 100));
    let (sequence, seid, establishes) = w.asked_of_gateway?;
    let made = cause.is_accepted();
    let message: pfcp::Message = if establishes {
        let teid = pfcp::FTeid::Given { teid: 0x999, v4: Some(Ipv4Addr::new(10, 0, 0, 100)), v6: None };
        let created =
            pfcp::CreatedPdr { pdr_id: pfcp::PdrId(1), local_f_teid: Some(teid), ..Default::default() };
        pfcp::SessionEstablishmentResponse {
            node_id,
            cause,
            offending_ie: None,
            up_f_seid: made.then_some(pfcp::FSeid { seid: 99, v4: Some(Ipv4Addr::LOCALHOST), v6: None }),
            created_pdrs: if made { vec![created] } else { vec![] },
            failed_rule_id: None,
            others: vec![],
        }
        .into()
    } else {
        pfcp::SessionModificationResponse { cause, ..Default::default() }.into()
    };
    Some(pfcp::Pdu { seid: Some(seid), sequence, message }.encode())
}

#[test]
fn what_happens_to_a_session() {
    type Act = fn(&mut World);
    let events: [(&str, Act); 22] = [
        ("the address is there", |w| {
            for n in 0..40 {
                let address = SessionAddress {
                    ip: UeIp(Ipv4Addr::new(10, 21, 0, 2)),
                    prefix: None,
                    dns: vec![],
                    mtu: 1_400,
                };
                input(w, Input::Address { txn: TxnId(n), result: Ok(address) });
            }
        }),
        ("there is no address", |w| {
            for n in 0..40 {
                input(w, Input::Address { txn: TxnId(n), result: Err(AddressRefusal::PoolExhausted) });
            }
        }),
        ("the gateway has done it", |w| gateway(w, pfcp::Cause::Accepted)),
        ("the gateway refuses", |w| gateway(w, pfcp::Cause::NoResources)),
        ("the gateway is gone", |w| input(w, Input::N4Down)),
        ("the gateway has a packet for it", |w| report(w, SECOND, false)),
        ("the gateway says that the gNB does not know its tunnel", |w| report(w, SECOND, true)),
        ("PDUSessionResourceSetupResponse, made", |w| {
            resources(w, of_second(tunnel(0x6001, [10, 0, 0, 1])), vec![]);
        }),
        ("PDUSessionResourceSetupResponse, made, cannot be read", |w| {
            resources(w, of_second(vec![0xff; 3]), vec![]);
        }),
        ("PDUSessionResourceSetupResponse, not made", |w| {
            let cause = wire::ngap::Cause::UNSPECIFIED;
            let transfer = transfer::SetupUnsuccessful { cause }.encode().unwrap();
            resources(w, vec![], of_second(transfer));
        }),
        ("InitialContextSetupResponse, made", |w| {
            let (amf_ue_id, ran_ue_id) = ids(w);
            let m = Message::InitialContextSetupResponse(InitialContextSetupResponse {
                amf_ue_id,
                ran_ue_id,
                setup: vec![],
                failed: vec![],
            });
            let bytes = ngap::encode(&m).unwrap();
            input(w, Input::Ngap { assoc: A, stream: 1, bytes });
        }),
        ("PDUSessionResourceReleaseResponse", |w| {
            let (amf_ue_id, ran_ue_id) = ids(w);
            let m = Message::PduSessionResourceReleaseResponse(PduSessionResourceReleaseResponse {
                amf_ue_id,
                ran_ue_id,
                released: of_second(transfer::ReleaseResponse.encode().unwrap()),
                location: None,
            });
            let bytes = ngap::encode(&m).unwrap();
            input(w, Input::Ngap { assoc: A, stream: 1, bytes });
        }),
        ("the next timer", timer),
        ("the next timers, until it is another state", |w| {
            let before = session_word(w);
            for _ in 0..6 {
                if session_word(w) != before {
                    break;
                }
                timer(w);
            }
        }),
        ("its UE has another session into the same network", |w| {
            let nas = w.ues[UE].establish(3, 11, Some("factory"), PduSessionType::IPV4);
            let (amf_ue_id, ran_ue_id) = ids(w);
            let m = wire::ngap::UplinkNasTransport { amf_ue_id, ran_ue_id, nas, location: None };
            let bytes = ngap::encode(&Message::UplinkNasTransport(m)).unwrap();
            input(w, Input::Ngap { assoc: A, stream: 1, bytes });
        }),
        ("the rates of its SIM change", |w| input(w, Input::Subscribed(other_rates(UE)))),
        ("its SIM may not use the network any more", |w| {
            let mut less = subscription(supi(UE));
            less.dnns.retain(|d| d.as_str() != "factory");
            input(w, Input::Subscribed(less));
        }),
        ("PDUSessionResourceModifyResponse, not changed", |w| {
            let (amf_ue_id, ran_ue_id) = ids(w);
            let transfer = transfer::ModifyResponse.encode().unwrap();
            let m = wire::ngap::PduSessionResourceModifyResponse {
                amf_ue_id,
                ran_ue_id,
                modified: vec![],
                failed: of_second(transfer),
            };
            let bytes = ngap::encode(&Message::PduSessionResourceModifyResponse(m)).unwrap();
            input(w, Input::Ngap { assoc: A, stream: 1, bytes });
        }),
        ("the operator ends it", |w| {
            input(w, Input::EndSession { supi: supi(UE), id: id(SECOND) });
        }),
        ("the SIM is banned", |w| input(w, Input::Ban { supi: supi(UE), cause: FgmmCause::IllegalUe })),
        ("the UE's radio is lost", |w| {
            let (amf_ue_id, ran_ue_id) = ids(w);
            let m = wire::ngap::UeContextReleaseRequest {
                amf_ue_id,
                ran_ue_id,
                sessions: vec![],
                cause: wire::ngap::Cause::UNSPECIFIED,
            };
            let bytes = ngap::encode(&Message::UeContextReleaseRequest(m)).unwrap();
            input(w, Input::Ngap { assoc: A, stream: 1, bytes });
        }),
        ("the UE deregisters", |w| {
            let nas = w.ues[UE].deregister();
            let (amf_ue_id, ran_ue_id) = ids(w);
            let m = wire::ngap::UplinkNasTransport { amf_ue_id, ran_ue_id, nas, location: None };
            let bytes = ngap::encode(&Message::UplinkNasTransport(m)).unwrap();
            input(w, Input::Ngap { assoc: A, stream: 1, bytes });
        }),
    ];
    let rows = events.into_iter().map(|(what, act)| {
        row(what, &states(), word, |state| {
            let mut w = session(state);
            Some(what_comes(&mut w, &session_word, act))
        })
    });
    Table { name: "session-events", rows: rows.collect() }.hold();
}
