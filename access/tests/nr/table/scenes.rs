//! How each state is reached: by what gNBs, UEs and neighbours really say, up to the moment where it stands.

use crate::ue::plmn;
use crate::world::*;
use access::nr::*;
use types::*;
use wire::nas::fgs::*;
use wire::nas::security::Nea;
use wire::ngap::transfer::{Admitted, PathSwitch, Tunnel};
use wire::ngap::*;
use wire::pfcp;

/// The UE that it is about.
pub const UE: usize = 0;
/// The UE that notices nothing.
pub const BESIDE: usize = 1;

/// The session that mobility is about, and the one that the table of 5GSM is about.
pub const FIRST: u8 = 1;
pub const SECOND: u8 = 2;

/// Keys are due after so long.
const KEY_LIFE_S: u32 = 60;

pub fn id(n: u8) -> PduSessionId {
    n.try_into().unwrap()
}

/// Two gNBs; the UE beside is at A with a session. Nothing is ciphered, so that what is sent can be read.
pub fn world() -> World {
    let mut c = config();
    (c.ciphering, c.key_life_s) = (vec![Nea::Nea0], KEY_LIFE_S);
    let mut w = World::with_config(2, c);
    w.gnb_up(B, 2);
    w.attach(BESIDE, A);
    w.connect(BESIDE, FIRST, "corp");
    w
}

pub fn conn_of(w: &World, u: usize) -> Option<(AssocId, AmfUeNgapId)> {
    w.places[u].as_ref().and_then(|p| Some((p.assoc, p.amf?)))
}

pub fn conn_word(w: &World, of: Option<(AssocId, AmfUeNgapId)>) -> String {
    of.and_then(|(a, id)| w.amf.conn_standing(a, id)).map_or("gone", ConnStanding::word).to_owned()
}

pub fn ue_word(w: &World) -> String {
    w.amf.ue_standing(w.ues[UE].supi).map_or("gone", UeStanding::word).to_owned()
}

pub fn session_word(w: &World) -> String {
    match w.amf.ue_standing(w.ues[UE].supi) {
        None => "the UE is gone".to_owned(),
        Some(_) => {
            let s = w.amf.session_standing(w.ues[UE].supi, id(SECOND));
            s.map_or("gone", SessionStanding::word).to_owned()
        }
    }
}

pub fn conn_is(w: &World, s: ConnStanding) -> bool {
    conn_word(w, conn_of(w, UE)) == s.word()
}

/// UE 0 registers until this is so; what it would have said next is not said.
pub fn registers_until(w: &mut World, is: impl Fn(&World) -> bool) {
    let nas = w.ues[UE].register(RegistrationType::Initial);
    w.arrive(UE, A, nas);
    w.run_until(is);
    w.inbox.clear();
}

/// Registered and connected, with one session.
pub fn connected() -> World {
    let mut w = world();
    w.attach(UE, A);
    w.connect(UE, FIRST, "corp");
    w
}

/// The gateway says that a packet waits, or that the gNB does not know its tunnel.
pub fn report(w: &mut World, session: u8, tunnel_gone: bool) {
    let held = w.gateway.sessions.values().find(|h| h.supi == w.ues[UE].supi && h.id == id(session));
    let seid = held.map_or(0xdead, |h| h.cp_seid);
    let mut report = pfcp::SessionReportRequest { report_type: pfcp::ReportType(1), ..Default::default() };
    if tunnel_gone {
        report.report_type = pfcp::ReportType(4);
        report.error_indication_report = Some(pfcp::ErrorIndicationReport {
            remote_f_teid: pfcp::FTeid::at(0x5002, std::net::Ipv4Addr::new(10, 0, 0, 1).into()),
            others: vec![],
        });
    } else {
        let waits = pfcp::DownlinkDataReport { pdr_ids: vec![pfcp::PdrId(2)], others: vec![] };
        report.downlink_data_report = Some(waits);
    }
    let pdu = pfcp::Pdu { seid: Some(seid), sequence: 5, message: report.into() };
    w.amf.handle(Input::N4(pdu.encode()), w.now);
}

pub fn service_request(w: &World, service_type: ServiceType, data: Option<SessionSet>) -> FgmmMessage {
    let g = w.ues[UE].guti.unwrap_or(unknown_guti());
    FgmmMessage::ServiceRequest(ServiceRequest {
        ngksi: w.ues[UE].ksi,
        service_type,
        s_tmsi: wire::nas::fgs::STmsi { set: g.amf.set, pointer: g.amf.pointer, tmsi: g.tmsi },
        uplink_data_status: data,
        pdu_session_status: None,
        nas_container: None,
    })
}

fn returns(w: &mut World, service_type: ServiceType, data: Option<SessionSet>) {
    let m = service_request(w, service_type, data);
    let nas = w.ues[UE].initial(&m);
    w.arrive(UE, A, nas);
}

pub fn unknown_guti() -> FgGuti {
    FgGuti { plmn: plmn(), amf: config().amf, tmsi: FgTmsi(0xdead_beef) }
}

/// Somebody unproved, in one of the states of an attempt.
pub fn attempt(state: ConnStanding) -> World {
    let mut w = world();
    match state {
        ConnStanding::Identity | ConnStanding::Vector => {
            // It comes with an identity that nobody knows, and is asked who it is.
            w.ues[UE].guti = Some(unknown_guti());
            registers_until(&mut w, |w| conn_is(w, ConnStanding::Identity));
            if state == ConnStanding::Vector {
                let nas = FgmmMessage::IdentityResponse(w.ues[UE].suci()).encode().unwrap();
                w.say(UE, nas);
                w.run_until(|w| conn_is(w, ConnStanding::Vector));
                w.inbox.clear();
            }
        }
        ConnStanding::Device => {
            w.ues[UE].habits.hides_device = true;
            registers_until(&mut w, |w| conn_is(w, ConnStanding::Device));
        }
        _ => registers_until(&mut w, |w| conn_is(w, state)),
    }
    assert!(conn_is(&w, state), "{state:?}");
    w
}

/// A UE of ours, in one of its states.
pub fn ue(state: UeStanding) -> World {
    use UeStanding as S;
    let mut w = match state {
        S::Admitting => {
            let mut w = world();
            registers_until(&mut w, |w| ue_word(w) == S::Admitting.word());
            return w;
        }
        S::Accepted => {
            let mut w = world();
            w.ues[UE].habits.no_complete = true;
            w.attach(UE, A);
            w
        }
        _ => connected(),
    };
    match state {
        S::Admitting | S::Accepted | S::Connected => {}
        S::Readmitting => {
            let nas = w.ues[UE].register(RegistrationType::MobilityUpdating);
            w.say(UE, nas);
            w.run_until(|w| ue_word(w) == S::Readmitting.word());
        }
        S::KeysVector | S::KeysChallenged | S::KeysSecuring => {
            w.pass_ms(u64::from(KEY_LIFE_S) * 1_000 + 1);
            let nas = w.ues[UE].protect(&FgmmMessage::FgmmStatus(FgmmCause::ProtocolErrorUnspecified));
            w.say(UE, nas);
            w.run_until(|w| ue_word(w) == state.word());
            if state == S::KeysSecuring {
                // The core still hears it under the old keys; the new ones are at hand.
                let ue = &mut w.ues[UE];
                std::mem::swap(&mut ue.context, &mut ue.before);
            }
        }
        S::Configuring => {
            w.go_idle(UE);
            report(&mut w, FIRST, false);
            w.run();
            returns(&mut w, ServiceType::MOBILE_TERMINATED, None);
            w.run();
        }
        S::Idle => w.go_idle(UE),
        S::Paged | S::LeftAlone => {
            w.go_idle(UE);
            report(&mut w, FIRST, false);
            w.run();
            w.pass_ms(if state == S::LeftAlone { 13_000 } else { 0 });
        }
        S::Unreachable => {
            w.go_idle(UE);
            w.pass_ms(3_850_000);
        }
        S::Deregistering => {
            w.ues[UE].habits.ignores_deregistration = true;
            w.input(Input::Deregister { supi: supi(UE), cause: None, reregister: true });
        }
    }
    w.inbox.clear();
    assert_eq!(ue_word(&w), state.word());
    w
}

/// A connection in one of its states, and its name. `None` is one that there never was.
pub fn conn(state: Option<ConnStanding>) -> (World, (AssocId, AmfUeNgapId)) {
    use ConnStanding as S;
    let Some(state) = state else { return (connected(), (A, AmfUeNgapId::new(0xffff_ffff).unwrap())) };
    let mut w = match state {
        S::Identity | S::Vector | S::Challenged | S::Securing | S::Device => attempt(state),
        S::Bare => ue(UeStanding::Admitting),
        S::ContextSetup => {
            let mut w = world();
            w.gnb_silent = true;
            w.attach(UE, A);
            w
        }
        S::Modifying => {
            let mut w = connected();
            w.pass_ms(u64::from(KEY_LIFE_S) * 1_000 + 1);
            let nas = w.ues[UE].protect(&FgmmMessage::FgmmStatus(FgmmCause::ProtocolErrorUnspecified));
            w.say(UE, nas);
            w.run();
            w
        }
        _ => connected(),
    };
    match state {
        S::Switching => {
            w.gateway.silent = true;
            let m = path_switch(&w, conn_of(&w, UE).unwrap().1, 77);
            w.gnb_says(B, Message::PathSwitchRequest(m));
            w.run();
            let amf = conn_of(&w, UE).unwrap().1;
            w.places[UE] = Some(Place { assoc: B, ran: RanUeNgapId(77), amf: Some(amf), context: true });
        }
        S::Preparing | S::Executing | S::Arriving => {
            let m = handover_required(&w, ids(&w));
            w.gnb_says(A, Message::HandoverRequired(m));
            w.run();
            if state != S::Preparing {
                let target = asked(&w);
                w.gnb_says(B, Message::HandoverRequestAcknowledge(acknowledge(target, FIRST)));
                w.run();
                if state == S::Arriving {
                    return (w, (B, target));
                }
            }
        }
        S::Leaving => {
            let of = conn_of(&w, UE).unwrap();
            w.gnb_silent = true;
            w.go_idle(UE);
            assert_eq!(conn_word(&w, Some(of)), S::Leaving.word());
            return (w, of);
        }
        _ => {}
    }
    w.inbox.clear();
    let of = conn_of(&w, UE).unwrap();
    assert_eq!(conn_word(&w, Some(of)), state.word());
    (w, of)
}

/// What both sides call the UE.
pub fn ids(w: &World) -> (AmfUeNgapId, RanUeNgapId) {
    let p = w.places[UE].as_ref().unwrap();
    (p.amf.unwrap(), p.ran)
}

pub fn path_switch(w: &World, source_amf_ue_id: AmfUeNgapId, ran: u32) -> PathSwitchRequest {
    let downlink = Tunnel::new([10, 0, 0, 2], Teid::new(0x7001).unwrap());
    let transfer = PathSwitch { downlink, flows: vec![1] }.encode().unwrap();
    PathSwitchRequest {
        ran_ue_id: RanUeNgapId(ran),
        source_amf_ue_id,
        location: Some(location()),
        security_capabilities: Some(w.ues[UE].capability.for_ngap()),
        sessions: vec![SessionTransfer { id: id(FIRST), transfer }],
        failed: vec![],
    }
}

pub fn handover_required(w: &World, (amf_ue_id, ran_ue_id): (AmfUeNgapId, RanUeNgapId)) -> HandoverRequired {
    let target = w.amf.gnbs().find(|g| g.assoc == B).unwrap();
    HandoverRequired {
        amf_ue_id,
        ran_ue_id,
        cause: Cause::RadioNetwork(RadioCause::HANDOVER_DESIRABLE_FOR_RADIO_REASON),
        target: RanNodeId::Gnb(GlobalGnbId { plmn: plmn(), id: target.id, bits: 22 }),
        tai: location().tai,
        sessions: vec![SessionTransfer { id: id(FIRST), transfer: vec![0] }],
        container: vec![1, 2, 3],
    }
}

/// Under which name gNB B was asked to take the UE.
pub fn asked(w: &World) -> AmfUeNgapId {
    let of = |m: &Message| match m {
        Message::HandoverRequest(m) => Some(m.amf_ue_id),
        _ => None,
    };
    w.sent.iter().rev().find_map(|(_, m)| of(m)).expect("a Handover Request")
}

pub fn acknowledge(amf_ue_id: AmfUeNgapId, session: u8) -> HandoverRequestAcknowledge {
    let downlink = Tunnel::new([10, 0, 0, 2], Teid::new(0x7002).unwrap());
    let transfer = Admitted { downlink, flows: vec![1] }.encode().unwrap();
    HandoverRequestAcknowledge {
        amf_ue_id,
        ran_ue_id: RanUeNgapId(88),
        admitted: vec![SessionTransfer { id: id(session), transfer }],
        failed: vec![],
        container: vec![4, 5],
    }
}

/// The second session of a connected UE, in one of its states. `None` is one that there is not.
pub fn session(state: Option<SessionStanding>) -> World {
    use SessionStanding as S;
    let Some(state) = state else { return connected() };
    let mut w = match state {
        S::Radio => {
            let mut w = world();
            w.gnb_silent = true;
            w.attach(UE, A);
            w
        }
        _ => connected(),
    };
    let establish = |w: &mut World| {
        let nas = w.ues[UE].establish(SECOND, 5, Some("factory"), PduSessionType::IPV4);
        w.say(UE, nas);
    };
    let until = |w: &mut World| {
        w.run_until(|w| session_word(w) == state.word());
        w.inbox.clear();
    };
    match state {
        S::Address | S::Gateway | S::Radio | S::Resources | S::Opening => {
            establish(&mut w);
            until(&mut w);
        }
        S::Active | S::Changing | S::ChangingForUe | S::Releasing | S::ReleasingForUe => {
            w.ues[UE].habits.keeps_sessions = true;
            w.ues[UE].habits.keeps_rates = true;
            establish(&mut w);
            w.run();
            if state == S::Changing {
                w.input(Input::Subscribed(other_rates(UE)));
                // The first session was told as well; it has confirmed.
                let nas = w.ues[UE].session_message(FIRST, 0, FgsmBody::ModificationComplete);
                w.say(UE, nas);
                w.run();
            }
            if state == S::ChangingForUe {
                let nas =
                    w.ues[UE].session_message(SECOND, 9, FgsmBody::ModificationRequest(Default::default()));
                w.say(UE, nas);
                w.run();
            }
            if state == S::Releasing {
                w.input(Input::EndSession { supi: supi(UE), id: id(SECOND) });
            }
            if state == S::ReleasingForUe {
                let nas = w.ues[UE].session_message(SECOND, 9, FgsmBody::ReleaseRequest { cause: None });
                w.say(UE, nas);
                w.run();
            }
        }
        S::Idle | S::ResourcesAgain | S::OpeningAgain => {
            establish(&mut w);
            w.run();
            w.go_idle(UE);
            let wanted = [id(SECOND)].into_iter().collect();
            returns(&mut w, ServiceType::DATA, Some(wanted).filter(|_| state != S::Idle));
            if state == S::Idle {
                w.run();
            } else {
                until(&mut w);
            }
        }
    }
    w.inbox.clear();
    assert_eq!(session_word(&w), state.word());
    w
}

/// What a UE may have, at other rates.
pub fn other_rates(u: usize) -> Subscription {
    Subscription { ambr_ul_bps: 5_000_000, ambr_dl_bps: 6_000_000, ..subscription(supi(u)) }
}
