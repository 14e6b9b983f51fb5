//! Bad input, generated: each element of each message that we read, gone, twice, too long, too short, out of its range.
//!
//! Expected of each: a clear answer of the protocol or silence, nothing else sent, the state as before, nothing of another UE
//! changed, and at most 64 KiB held for it at a time.

use crate::alloc;
use crate::hostile::{ids, last_error, scene, untouched};
use crate::octets::{Element, Parts};
use crate::table::{n2, scenes, sm};
use crate::world::*;
use access::nr::*;
use types::*;
use wire::nas::fgs::*;
use wire::nas::security::{self, Direction, HeaderType, Pdu};
use wire::ngap::{self, *};

/// What a message that is refused may cost at once, octets.
const MAY_COST: usize = 64 * 1024;

/// What is done to an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spoilt {
    Gone,
    Twice,
    TooLong,
    Empty,
    Short,
    Ones,
    Zeros,
    AnotherFirstOctet,
}

const ALL: [Spoilt; 8] = [
    Spoilt::Gone,
    Spoilt::Twice,
    Spoilt::TooLong,
    Spoilt::Empty,
    Spoilt::Short,
    Spoilt::Ones,
    Spoilt::Zeros,
    Spoilt::AnotherFirstOctet,
];

fn spoil(elements: &mut Vec<Element>, which: usize, how: Spoilt) {
    let value = &mut elements[which].value;
    match how {
        Spoilt::Gone => drop(elements.remove(which)),
        Spoilt::Twice => elements.insert(which, elements[which].clone()),
        Spoilt::TooLong => value.extend([0xff; 9_000]),
        Spoilt::Empty => value.clear(),
        Spoilt::Short => value.truncate(value.len() / 2),
        Spoilt::Ones => value.fill(0xff),
        Spoilt::Zeros => value.fill(0),
        Spoilt::AnotherFirstOctet => value[0] ^= 0xf0,
    }
}

/// Mandatory elements of criticality *reject* (TS 38.413 §9.2): without one the message is refused, whoever sends it.
fn must_have(m: &Message) -> &'static [u16] {
    match m {
        Message::NgSetupRequest(_) => &[27, 102],
        Message::InitialUeMessage(_) => &[85, 38, 121],
        Message::UplinkNasTransport(_) => &[10, 85, 38],
        Message::UeRadioCapabilityInfoIndication(_)
        | Message::NasNonDeliveryIndication(_)
        | Message::UeContextReleaseRequest(_)
        | Message::HandoverNotify(_)
        | Message::LocationReport(_)
        | Message::LocationReportingFailureIndication(_)
        | Message::HandoverCancel(_) => &[10, 85],
        Message::PathSwitchRequest(_) => &[85, 100, 76],
        Message::HandoverRequired(_) => &[10, 85, 29, 105, 61, 101],
        Message::UplinkRanStatusTransfer(_) => &[10, 85, 84],
        Message::HandoverRequestAcknowledge(_) => &[106],
        Message::NgReset(_) => &[88],
        _ => &[],
    }
}

/// Everything of a scene that may not change, in words.
fn standing(w: &World, of: (AssocId, AmfUeNgapId)) -> String {
    let sessions: Vec<_> = (1..=15)
        .filter_map(|n| w.amf.session_standing(supi(scenes::UE), PduSessionId::try_from(n).ok()?))
        .collect();
    format!(
        "{:?} {:?} {:?} {sessions:?} {:?} {:?}",
        w.view(scenes::UE),
        w.amf.conn_standing(of.0, of.1),
        w.amf.ue_standing(supi(scenes::UE)),
        w.amf.gnbs().collect::<Vec<_>>(),
        w.amf.held()[0],
    )
}

/// Gives the core one message; what it sends, and the most that it held for it.
fn give(w: &mut World, assoc: AssocId, bytes: Vec<u8>) -> (Vec<Message>, Vec<&'static str>, usize) {
    let input = Input::Ngap { assoc, stream: 1, bytes };
    alloc::start();
    w.amf.handle(input, w.now);
    let peak = alloc::peak();
    let (mut sent, mut others) = (vec![], vec![]);
    while let Some(out) = w.amf.poll_output() {
        match out {
            Output::Send { bytes, .. } => sent.push(ngap::decode(&bytes).expect("the AMF's message decodes")),
            Output::Event(_) => {}
            Output::N4(_) => others.push("N4"),
            _ => others.push("a question"),
        }
    }
    (sent, others, peak)
}

const OF_ITSELF: [&str; 5] = [
    "NGSetupRequest",
    "RANConfigurationUpdate",
    "NGResetAcknowledge",
    "AMFConfigurationUpdateAcknowledge",
    "AMFConfigurationUpdateFailure",
];

/// The state in which a message is what is waited for.
fn natural(what: &str) -> (World, (AssocId, AmfUeNgapId), Message) {
    use ConnStanding as S;
    let state = match what {
        "InitialContextSetupResponse" | "InitialContextSetupFailure" => S::ContextSetup,
        "UEContextModificationResponse" | "UEContextModificationFailure" => S::Modifying,
        "HandoverRequestAcknowledge" | "HandoverFailure" => S::Preparing,
        "HandoverNotify" => S::Arriving,
        "HandoverCancel" | "UplinkRANStatusTransfer" => S::Executing,
        "UEContextReleaseComplete" => S::Leaving,
        _ => S::Up,
    };
    let (mut w, of) = scenes::conn(Some(state));
    let mut names = n2::names(&w, of);
    let mut from = of;
    if what == "HandoverRequestAcknowledge" || what == "HandoverFailure" {
        (names, from) = ((scenes::asked(&w), RanUeNgapId(88)), (B, of.1));
    }
    if what == "PathSwitchRequest" {
        from = (B, of.1);
    }
    if OF_ITSELF.contains(&what) {
        // A gNB of its own: what it may say of itself concerns its own UEs.
        from.0 = AssocId(3);
        w.gnb_up(from.0, 3);
        w.run();
    }
    if what.starts_with("AMF") {
        w.input(Input::Serve(crate::gnbs::other_name()));
    }
    let m = match what {
        "NGSetupRequest" => Message::NgSetupRequest(setup_request(3)),
        "RANConfigurationUpdate" => Message::RanConfigurationUpdate(RanConfigurationUpdate {
            name: Some("renamed".to_owned()),
            tas: setup_request(3).tas,
            paging_drx: Some(PagingDrx::V64),
        }),
        "AMFConfigurationUpdateAcknowledge" => Message::AmfConfigurationUpdateAcknowledge,
        "AMFConfigurationUpdateFailure" => {
            Message::AmfConfigurationUpdateFailure(AmfConfigurationUpdateFailure {
                cause: Cause::UNSPECIFIED,
                time_to_wait: Some(TimeToWait::S10),
            })
        }
        "NGResetAcknowledge" => Message::NgResetAcknowledge(NgResetAcknowledge {
            connections: vec![UeConnection { amf_ue_id: Some(names.0), ran_ue_id: Some(names.1) }],
        }),
        _ => n2::said(what, &w, names),
    };
    (w, from, m)
}

/// The answer that says that a message was not understood, in the form that its procedure has for it (§10.3.5).
fn is_refusal(m: &Message, e: &NgapError) -> bool {
    match m {
        Message::ErrorIndication(i) => i.cause == Some(e.cause()),
        Message::NgSetupFailure(f) => f.cause == e.cause(),
        Message::RanConfigurationUpdateFailure(f) => f.cause == e.cause(),
        Message::HandoverPreparationFailure(f) => f.cause == e.cause(),
        _ => false,
    }
}

#[test]
fn each_element_of_each_message_of_a_gnb_spoilt_in_eight_ways() {
    let (mut refused, mut lived) = (0, 0);
    let of_a_ue = n2::SAID.into_iter().filter(|w| *w != "a NAS message that only we send");
    for name in of_a_ue.chain(OF_ITSELF) {
        let (_, _, good) = natural(name);
        let parts = Parts::of(&ngap::encode(&good).unwrap());
        assert_eq!(parts.bytes(), ngap::encode(&good).unwrap(), "{name}: taken apart and put together");
        for which in 0..parts.elements.len() {
            for how in ALL {
                let id = parts.elements[which].id;
                let bytes = parts.with(|e| spoil(e, which, how));
                let what = format!("{name}, element {id} {how:?}");
                let (mut w, of, _) = natural(name);
                let read = ngap::decode(&bytes);
                if how == Spoilt::Gone && must_have(&good).contains(&id) || how == Spoilt::Twice {
                    assert!(read.is_err(), "{what} is refused");
                }
                let before = (standing(&w, of), w.view(scenes::BESIDE));
                let (sent, others, peak) = give(&mut w, of.0, bytes);
                assert_eq!(w.view(scenes::BESIDE), before.1, "{what}: the UE beside");
                assert!(peak <= MAY_COST, "{what} costs {peak} octets");
                match read {
                    Ok(_) => lived += 1,
                    Err(e) => {
                        refused += 1;
                        assert_eq!(standing(&w, of), before.0, "{what}");
                        assert!(others.is_empty(), "{what}: {others:?}");
                        match sent.as_slice() {
                            [m] => assert!(e.wants_answer() && is_refusal(m, &e), "{what}: {m:?}"),
                            [] => assert!(!e.wants_answer(), "{what} is answered"),
                            more => panic!("{what}: {more:?}"),
                        }
                    }
                }
            }
        }
    }
    assert!(refused > 250 && lived > 80, "{refused} refused, {lived} read");
}

/// What a UE says, taken apart: the fixed part of the message and each field's place behind it.
struct Fields {
    plain: Vec<u8>,
    /// Where each mandatory field begins and ends, and how many octets of length it has.
    fields: Vec<(std::ops::Range<usize>, usize)>,
}

impl Fields {
    /// A 5GMM message whose mandatory fields have these numbers of length octets; one of none has one octet.
    fn of(m: &FgmmMessage, lengths: &[usize]) -> Self {
        Self::behind(m.encode().unwrap(), 3, lengths)
    }

    fn behind(plain: Vec<u8>, mut at: usize, lengths: &[usize]) -> Self {
        let fields = lengths
            .iter()
            .map(|n| {
                let len = match n {
                    0 => 1,
                    1 => usize::from(plain[at]),
                    _ => usize::from(plain[at]) << 8 | usize::from(plain[at + 1]),
                };
                let range = at..at + n + len;
                at = range.end;
                (range, *n)
            })
            .collect();
        Self { plain, fields }
    }

    fn spoilt(&self, which: usize, how: Spoilt) -> Vec<u8> {
        let (range, n) = self.fields[which].clone();
        let field = self.plain[range.clone()].to_vec();
        let (content, sized) = (field[n..].to_vec(), n);
        let build = |content: Vec<u8>| {
            let len = content.len();
            let mut f = match sized {
                0 => vec![],
                1 => vec![len.min(255) as u8],
                _ => (len.min(65_535) as u16).to_be_bytes().to_vec(),
            };
            f.extend(content);
            f
        };
        let new = match how {
            Spoilt::Gone => vec![],
            Spoilt::Twice => [field.clone(), field].concat(),
            Spoilt::TooLong => build([content, vec![0xff; if n == 1 { 255 } else { 8_000 }]].concat()),
            Spoilt::Empty => build(vec![]),
            Spoilt::Short => build(content[..content.len() / 2].to_vec()),
            Spoilt::Ones => build(vec![0xff; content.len()]),
            Spoilt::Zeros => build(vec![0; content.len()]),
            // A length that says more than there is.
            Spoilt::AnotherFirstOctet => {
                let mut f = field;
                f[0] ^= 0xf0;
                f
            }
        };
        let mut out = self.plain[..range.start].to_vec();
        out.extend(new);
        out.extend(&self.plain[range.end..]);
        out
    }

    fn all(&self) -> impl Iterator<Item = (String, Vec<u8>)> {
        let each = (0..self.fields.len()).flat_map(|which| ALL.map(|how| (which, how)));
        each.map(|(which, how)| (format!("field {which} {how:?}"), self.spoilt(which, how)))
    }
}

/// Every message of a UE that has something mandatory behind its type.
fn of_a_ue(w: &World) -> Vec<(&'static str, Fields)> {
    let ue = &w.ues[scenes::UE];
    let leave = DeregistrationRequestUeOriginating {
        switch_off: false,
        access: 1,
        ngksi: ue.ksi,
        identity: ue.guti.map_or_else(|| ue.suci(), MobileIdentity::Guti),
    };
    let payload = FgsmMessage {
        session: scenes::id(scenes::SECOND),
        pti: 5,
        body: FgsmBody::EstablishmentRequest(EstablishmentRequest {
            max_integrity_rate: [0xff, 0xff],
            session_type: Some(PduSessionType::IPV4),
            ssc_mode: Some(1),
            epco: Some(Epco::ordinary_request()),
        }),
    };
    let transport = UlNasTransport {
        kind: ContainerType::N1_SM,
        payload: payload.encode().unwrap(),
        session: Some(scenes::id(scenes::SECOND)),
        request: Some(RequestType::INITIAL),
        slice: None,
        dnn: None,
    };
    let failure = AuthenticationFailure { cause: FgmmCause::MacFailure, auts: None };
    let register = FgmmMessage::RegistrationRequest(ue.registration(RegistrationType::MobilityUpdating));
    vec![
        ("RegistrationRequest", Fields::of(&register, &[0, 2])),
        ("ServiceRequest", Fields::of(&scenes::service_request(w, ServiceType::DATA, None), &[0, 2])),
        (
            "DeregistrationRequest",
            Fields::of(&FgmmMessage::DeregistrationRequestUeOriginating(leave), &[0, 2]),
        ),
        ("IdentityResponse", Fields::of(&FgmmMessage::IdentityResponse(ue.suci()), &[2])),
        ("AuthenticationFailure", Fields::of(&FgmmMessage::AuthenticationFailure(failure), &[0])),
        (
            "SecurityModeReject",
            Fields::of(&FgmmMessage::SecurityModeReject(FgmmCause::SecurityModeRejected), &[0]),
        ),
        ("5GMMStatus", Fields::of(&FgmmMessage::FgmmStatus(FgmmCause::MessageTypeNonExistent), &[0])),
        ("ULNASTransport", Fields::of(&FgmmMessage::UlNasTransport(transport), &[0, 2])),
    ]
}

/// What goes to the UE of a message that cannot be read: its reject, or a status, with a cause of protocol errors.
fn told(sent: &[Message]) -> Vec<(&'static str, u8)> {
    let mut told = vec![];
    for m in sent {
        let Message::DownlinkNasTransport(d) = m else { continue };
        let plain = match security::open(&d.nas).unwrap() {
            Pdu::Plain(p) | Pdu::Protected { payload: p, .. } => p,
        };
        let m = FgmmMessage::decode(plain).unwrap();
        let cause = match &m {
            FgmmMessage::RegistrationReject(r) => r.cause.0,
            FgmmMessage::ServiceReject(r) => r.cause.0,
            FgmmMessage::FgmmStatus(c) => c.0,
            _ => 0,
        };
        told.push((m.name(), cause));
    }
    told
}

fn uplink(w: &World, (assoc, amf_ue_id): (AssocId, AmfUeNgapId), nas: Vec<u8>) -> (AssocId, Vec<u8>) {
    let ran_ue_id = n2::names(w, (assoc, amf_ue_id)).1;
    let m = UplinkNasTransport { amf_ue_id, ran_ue_id, nas, location: Some(location()) };
    (assoc, ngap::encode(&Message::UplinkNasTransport(m)).unwrap())
}

/// In one scene: what could not be read is answered or not, and nothing changes. True where it could not be read.
fn one(mut w: World, name: &str, how: &str, plain: &[u8], verified: bool) -> bool {
    let what = format!("{name}, {how}, verified {verified}");
    let of = scenes::conn_of(&w, scenes::UE).unwrap();
    let nas = if verified {
        let context = w.ues[scenes::UE].context.as_mut().unwrap();
        context.protect(plain, HeaderType::Ciphered, Direction::Uplink).unwrap()
    } else {
        plain.to_vec()
    };
    let (assoc, bytes) = uplink(&w, of, nas);
    let before = (standing(&w, of), w.view(scenes::BESIDE));
    let (sent, others, peak) = give(&mut w, assoc, bytes);
    assert_eq!(w.view(scenes::BESIDE), before.1, "{what}: the UE beside");
    assert!(peak <= MAY_COST, "{what} costs {peak} octets");
    let Err(e) = FgmmMessage::decode(plain) else { return false };
    assert_eq!(standing(&w, of), before.0, "{what}");
    assert!(others.is_empty(), "{what}: {others:?}");
    let kind = match name {
        "RegistrationRequest" => "RegistrationReject",
        "ServiceRequest" => "ServiceReject",
        _ => "5GMMStatus",
    };
    let expected: Vec<(&str, u8)> = e.fgmm_cause().map(|c| (kind, c.0)).into_iter().collect();
    assert_eq!(told(&sent), expected, "{what}: {e}");
    assert_eq!(sent.len(), expected.len(), "{what}: {sent:?}");
    true
}

#[test]
fn each_field_of_each_message_of_a_ue_spoilt_in_eight_ways() {
    let mut refused = 0;
    let connected = scenes::ue(UeStanding::Connected);
    for (name, fields) in of_a_ue(&connected) {
        for (how, plain) in fields.all() {
            // Verified, in states where nothing else is under way; the lengths of what it says are its own.
            for state in [UeStanding::Connected, UeStanding::Accepted] {
                refused += usize::from(one(scenes::ue(state), name, &how, &plain, true));
            }
            // In clear, in an attempt.
            for state in [ConnStanding::Identity, ConnStanding::Challenged, ConnStanding::Securing] {
                refused += usize::from(one(scenes::attempt(state), name, &how, &plain, false));
            }
        }
    }
    assert!(refused > 200, "{refused}");
}

#[test]
fn each_field_of_a_session_request_spoilt_in_eight_ways() {
    let message = |body| FgsmMessage { session: scenes::id(scenes::SECOND), pti: 5, body }.encode().unwrap();
    let establish = message(FgsmBody::EstablishmentRequest(EstablishmentRequest {
        max_integrity_rate: [0xff, 0xff],
        session_type: Some(PduSessionType::IPV4),
        ssc_mode: Some(1),
        epco: Some(Epco::ordinary_request()),
    }));
    let status = message(FgsmBody::Status(FgsmCause::MessageTypeNonExistent));
    // The header's identity and transaction, then what the message has; the data rate is two octets.
    let samples = [
        ("PDUSessionEstablishmentRequest", Fields::behind(establish, 1, &[0, 0, 0, 0, 0])),
        ("5GSMStatus", Fields::behind(status, 1, &[0, 0, 0, 0])),
    ];
    let mut refused = 0;
    for (name, fields) in samples {
        for (how, payload) in fields.all() {
            for state in [None, Some(SessionStanding::Active), Some(SessionStanding::Releasing)] {
                let what = format!("{name}, {how}, {state:?}");
                let mut w = scenes::session(state);
                let of = scenes::conn_of(&w, scenes::UE).unwrap();
                let m = FgmmMessage::UlNasTransport(UlNasTransport {
                    kind: ContainerType::N1_SM,
                    payload: payload.clone(),
                    session: Some(scenes::id(scenes::SECOND)),
                    request: Some(RequestType::INITIAL),
                    slice: None,
                    dnn: None,
                });
                let nas = w.ues[scenes::UE].protect(&m);
                let (assoc, bytes) = uplink(&w, of, nas);
                let before = (standing(&w, of), w.view(scenes::BESIDE));
                let (sent, others, peak) = give(&mut w, assoc, bytes);
                assert_eq!(w.view(scenes::BESIDE), before.1, "{what}: the UE beside");
                assert!(peak <= MAY_COST, "{what} costs {peak} octets");
                if FgsmMessage::decode(&payload).is_err() {
                    refused += 1;
                    assert_eq!(standing(&w, of), before.0, "{what}");
                    assert!(others.is_empty() && sent.len() <= 1, "{what}: {others:?} {sent:?}");
                }
            }
        }
    }
    assert!(refused > 60, "{refused}");
}

// ---- rows of the public record, in front of the AMF, with a victim beside

#[test]
fn r11_a_plmn_that_is_none_in_ng_setup() {
    for variant in 0..5 {
        let mut w = scene();
        let parts = Parts::of(&ngap::encode(&Message::NgSetupRequest(setup_request(2))).unwrap());
        let at = |value: &[u8], n: usize| {
            let found: Vec<usize> =
                (0..value.len() - 2).filter(|i| value[*i..*i + 3] == [0x00, 0xf1, 0x10]).collect();
            found[n]
        };
        let bad = parts.with(|e| match variant {
            // Digits that are none, in the node's identity and in the areas; two octets; six; none.
            0 => {
                let i = at(&e[0].value, 0);
                e[0].value[i] = 0xaa;
            }
            1 => {
                let n = e.iter().position(|e| e.id == 102).unwrap();
                let i = at(&e[n].value, 0);
                e[n].value[i + 1] = 0xfb;
            }
            2 => {
                let i = at(&e[0].value, 0);
                e[0].value.remove(i);
            }
            3 => {
                let i = at(&e[0].value, 0);
                e[0].value.splice(i..i, [1, 2, 3]);
            }
            _ => {
                let i = at(&e[0].value, 0);
                e[0].value.drain(i..i + 3);
            }
        });
        w.raw(B, bad);
        w.run();
        assert!(
            matches!(w.last(B), Message::NgSetupFailure(f) if matches!(f.cause, Cause::Protocol(_) | Cause::Misc(_))),
            "variant {variant}: {:?}",
            w.last(B)
        );
        untouched(&mut w, &format!("variant {variant}"));
    }
}

#[test]
fn r15_a_reset_whose_cause_or_kind_is_none() {
    let reset = NgReset { cause: Cause::Misc(MiscCause::HARDWARE_FAILURE), reset: ResetType::All };
    let parts = Parts::of(&ngap::encode(&Message::NgReset(reset)).unwrap());
    for kind in [vec![0x80, 0x00, 0x58, 0x00, 0x01, 0x00], vec![0xc0], vec![0x60, 0xff], vec![]] {
        let mut w = scene();
        let bad = parts.with(|e| e[1].value.clone_from(&kind));
        w.raw(A, bad);
        w.run();
        let reject = Cause::Protocol(ProtocolCause::ABSTRACT_SYNTAX_ERROR_REJECT);
        assert_eq!(last_error(&w, A), Some(reject), "{kind:02x?}");
        untouched(&mut w, &format!("{kind:02x?}"));
    }
    // A cause that is none is as no cause: another gNB's reset is its own affair, and touches nobody here.
    for cause in [vec![0xff], vec![0x0f, 0xff, 0xff], vec![0xa0, 0x00, 0x0f, 0x00, 0x01, 0x00], vec![]] {
        let mut w = scene();
        let bad = parts.with(|e| e[0].value.clone_from(&cause));
        w.raw(B, bad);
        w.run();
        assert!(matches!(w.last(B), Message::NgResetAcknowledge(_)), "{cause:02x?}");
        untouched(&mut w, &format!("{cause:02x?}"));
    }
}

#[test]
fn r19_a_path_switch_whose_location_or_capabilities_are_missing() {
    for (id, how) in [121u16, 119, 76]
        .into_iter()
        .flat_map(|id| [Spoilt::Gone, Spoilt::Empty, Spoilt::Ones, Spoilt::Twice].map(|how| (id, how)))
    {
        let mut w = scene();
        let (amf, _) = ids(&w, 0);
        let good = Message::PathSwitchRequest(PathSwitchRequest {
            // Somebody else's capabilities, and a tunnel of the attacker's.
            ..scenes::path_switch(&w, amf, 66)
        });
        let parts = Parts::of(&ngap::encode(&good).unwrap());
        let which = parts.elements.iter().position(|e| e.id == id).unwrap();
        let before = w.view(0);
        w.raw(B, parts.with(|e| spoil(e, which, how)));
        w.run();
        let what = format!("element {id} {how:?}");
        match (id, how) {
            // Of criticality ignore: the capabilities are told anew, and the UE has gone over.
            (119, Spoilt::Gone | Spoilt::Empty | Spoilt::Ones) => {
                let Some(Message::PathSwitchRequestAcknowledge(m)) = Some(w.last(B)) else {
                    panic!("{what}: {:?}", w.last(B))
                };
                assert!(m.security_capabilities.is_some(), "{what}");
            }
            // Where it is must be known before anything of it moves.
            (121, Spoilt::Gone | Spoilt::Empty | Spoilt::Ones) => {
                assert!(matches!(w.last(B), Message::PathSwitchRequestFailure(_)), "{what}: {:?}", w.last(B));
                assert_eq!(w.view(0), before, "{what}");
                untouched(&mut w, &what);
            }
            _ => {
                assert!(last_error(&w, B).is_some(), "{what}: {:?}", w.last(B));
                assert_eq!(w.view(0), before, "{what}");
                untouched(&mut w, &what);
            }
        }
    }
}

#[test]
fn r25_a_tunnel_without_an_address_in_each_message_that_brings_one() {
    // The transfer of a handover and of a path switch, their transport address cut, empty, of a wrong length.
    let spoil_transfer = |m: &Message, n: usize| {
        let parts = Parts::of(&ngap::encode(m).unwrap());
        let which = parts.elements.iter().position(|e| [76, 53].contains(&e.id)).unwrap();
        let address = [10, 0, 0, 2];
        parts.with(|e| {
            let v = &mut e[which].value;
            let at = (0..v.len() - 3).find(|i| v[*i..*i + 4] == address).unwrap();
            match n {
                // The length of the bit string says 0, 33 and 255 bits.
                0 => v[at - 1] = 0,
                1 => v[at - 1] = 0x20,
                _ => v[at - 1] = 0xfe,
            }
        })
    };
    for n in 0..3 {
        let mut w = scene();
        let (amf, _) = ids(&w, 0);
        let m = Message::PathSwitchRequest(scenes::path_switch(&w, amf, 66));
        let before = w.view(0);
        w.raw(B, spoil_transfer(&m, n));
        w.run();
        assert!(
            matches!(w.last(B), Message::PathSwitchRequestFailure(_) | Message::ErrorIndication(_)),
            "{n}: {:?}",
            w.last(B)
        );
        assert_eq!(w.view(0), before, "{n}");
        untouched(&mut w, "path switch");

        let (mut w, of) = scenes::conn(Some(ConnStanding::Preparing));
        let m = Message::HandoverRequestAcknowledge(scenes::acknowledge(scenes::asked(&w), scenes::FIRST));
        w.raw(B, spoil_transfer(&m, n));
        w.run();
        w.pass_ms(20_000);
        assert_eq!(w.amf.conn_standing(of.0, of.1), Some(ConnStanding::Up), "{n}: it stays where it is");
        assert_eq!(w.phases(scenes::UE), [SessionPhase::Active]);
    }
}

#[test]
fn r37_a_container_whose_length_lies() {
    for (n, len) in [0u16, 1, 3, 200, 9_000, 65_535].into_iter().enumerate() {
        let mut w = scene();
        let payload =
            FgsmMessage { session: scenes::id(1), pti: 7, body: FgsmBody::ReleaseRequest { cause: None } };
        let m = FgmmMessage::UlNasTransport(UlNasTransport {
            kind: ContainerType::N1_SM,
            payload: payload.encode().unwrap(),
            session: Some(scenes::id(1)),
            request: None,
            slice: None,
            dnn: None,
        });
        let mut plain = m.encode().unwrap();
        plain[4..6].copy_from_slice(&len.to_be_bytes());
        let context = w.ues[0].context.as_mut().unwrap();
        let nas = context.protect(&plain, HeaderType::Ciphered, Direction::Uplink).unwrap();
        w.say(0, nas);
        w.run();
        untouched(&mut w, &format!("variant {n}: a container of {len} octets"));
    }
}

#[test]
fn r35_what_a_uplink_message_does_not_have_and_too_much_of_it() {
    // Emergency numbers (0x34), a list of them that is too long, and elements that nobody knows, behind a true request.
    for (n, more) in [
        vec![0x34, 3, 2, 0x1f, 0x11],
        [vec![0x34, 0xff], vec![0x9f; 255]].concat(),
        vec![0x34, 0xff, 1],
        vec![0x7a, 0xff, 0xff, 0, 0],
        [vec![0x7a, 0x20, 0x00], vec![0; 0x2000]].concat(),
    ]
    .into_iter()
    .enumerate()
    {
        let mut w = scene();
        let mut nas = FgmmMessage::RegistrationRequest(w.ues[1].registration(RegistrationType::Initial))
            .encode()
            .unwrap();
        nas.extend(more);
        w.ues[1].request = Some(w.ues[1].registration(RegistrationType::Initial));
        w.arrive(1, B, nas);
        w.run();
        w.pass_ms(100_000);
        untouched(&mut w, &format!("variant {n}"));
    }
}

#[test]
fn r57_a_registration_behind_a_security_mode_reject_and_two_sessions() {
    for variant in 0..3 {
        let mut w = scene();
        w.ues[1].habits.deaf_to = Some("SecurityModeCommand");
        w.attach(1, A);
        let reject = FgmmMessage::SecurityModeReject(FgmmCause::UeSecurityCapabilitiesMismatch);
        w.say(1, reject.encode().unwrap());
        w.run();
        assert_eq!(w.state(1), None, "variant {variant}");
        w.ues[1].forget();
        w.ues[1].habits.deaf_to = None;
        if variant == 1 {
            // It comes back in the victim's name first, and goes away.
            let mut r = w.ues[0].registration(RegistrationType::MobilityUpdating);
            r.ngksi = NgKsi::NoKey;
            w.arrive(1, A, FgmmMessage::RegistrationRequest(r).encode().unwrap());
            w.run();
            w.ues[1].forget();
        }
        w.attach(1, A);
        w.connect(1, 1, "corp");
        if variant == 2 {
            w.attach(1, B);
            w.connect(1, 1, "corp");
        }
        w.connect(1, 2, "factory");
        assert_eq!(w.phases(1), [SessionPhase::Active; 2], "variant {variant}");
        untouched(&mut w, &format!("variant {variant}"));
    }
}

#[test]
fn r125_an_auts_of_another_length() {
    for len in [0usize, 1, 13, 15, 16, 255] {
        let mut w = scene();
        w.ues[1].habits.silent = true;
        w.attach(1, A);
        let mut nas = vec![0x7e, 0, 0x59, FgmmCause::SynchFailure.0, 0x30, len as u8];
        nas.extend(vec![0x55; len]);
        w.say(1, nas);
        w.run();
        // A synch failure without an AUTS that can be one: it has not proved anything.
        assert_eq!(w.ues[1].heard.last(), Some(&FgmmMessage::AuthenticationReject(None)), "{len}");
        w.pass_ms(100_000);
        untouched(&mut w, &format!("AUTS of {len} octets"));
        w.assert_tidy(1);
    }
}

#[test]
fn r113_an_establishment_response_that_lacks_something() {
    let whole = {
        let w = scenes::session(Some(SessionStanding::Gateway));
        sm::of_gateway(&w, wire::pfcp::Cause::Accepted).unwrap()
    };
    // Behind sixteen octets of header each element has four of type and length.
    let mut elements = vec![];
    let mut at = 16;
    while at < whole.len() {
        let end = at + 4 + usize::from(u16::from_be_bytes([whole[at + 2], whole[at + 3]]));
        elements.push((u16::from_be_bytes([whole[at], whole[at + 1]]), at..end));
        at = end;
    }
    let kinds: Vec<u16> = elements.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [60, 19, 57, 8], "Node ID, Cause, F-SEID, Created PDR");
    for (kind, range) in elements {
        for how in ["gone", "empty", "cut"] {
            let mut w = scenes::session(Some(SessionStanding::Gateway));
            let body = match how {
                "gone" => vec![],
                "empty" => [&whole[range.start..range.start + 2], &[0, 0]].concat(),
                _ => {
                    let n = range.len() - 5;
                    [
                        &whole[range.start..range.start + 2],
                        &(n as u16).to_be_bytes()[..],
                        &whole[range.start + 4..range.end - 1],
                    ]
                    .concat()
                }
            };
            let mut bytes = [&whole[..range.start], &body, &whole[range.end..]].concat();
            let n = (bytes.len() - 4) as u16;
            bytes[2..4].copy_from_slice(&n.to_be_bytes());
            let beside = w.view(scenes::BESIDE);
            w.input(Input::N4(bytes));
            let what = format!("element {kind} {how}");
            let stands = w.amf.session_standing(supi(scenes::UE), scenes::id(scenes::SECOND));
            match (kind, how) {
                // It cannot be read: as if it had not come. The answer is still waited for.
                (60 | 19, _) | (_, "empty" | "cut") => {
                    assert_eq!(stands, Some(SessionStanding::Gateway), "{what}");
                    assert_eq!((w.amf.held()[3], w.refused("malformed-n4")), (1, 1), "{what}");
                }
                // It says that there is a session and not which: the UE is refused, and what may be there is deleted.
                _ => {
                    assert_eq!(stands, None, "{what}");
                    assert_eq!(w.phases(scenes::UE), [SessionPhase::Active], "{what}");
                }
            }
            assert_eq!(w.view(scenes::BESIDE), beside, "{what}");
        }
    }
}

#[test]
fn bounds_on_ues_and_on_requests_to_the_gateway() {
    let mut c = config();
    (c.limits.ues, c.limits.n4_requests) = (1, 1);
    let mut w = World::with_config(2, c);
    w.attach(0, A);
    w.attach(1, A);
    let refused = w.ues[1].heard.iter().any(
        |m| matches!(m, FgmmMessage::RegistrationReject(r) if r.cause == FgmmCause::Congestion && r.t3346.is_some()),
    );
    assert!(refused, "{:?}", w.ues[1].heard);
    w.gateway.silent = true;
    w.connect(0, 1, "corp");
    w.connect(0, 2, "factory");
    let last = w.ues[0].session_messages.last().map(|m| (u8::from(m.session), m.body.clone()));
    let Some((2, FgsmBody::EstablishmentReject(r))) = last else { panic!("{last:?}") };
    assert_eq!(r.cause, FgsmCause::InsufficientResources);
    assert_eq!(w.amf.held()[3], 1, "one request, and no more");
}
