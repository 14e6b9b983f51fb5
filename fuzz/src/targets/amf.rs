//! The AMF behind a real registration: the captured messages of a gNB and a UE, whose codes are right, so
//! that mutation reaches the states behind authentication and security mode.
//!
//! An input is a row of records: two bits of kind, fourteen bits of length, octets.
//!
//! | kind | octets |
//! | --- | --- |
//! | 0 | NGAP from the gNB; the AMF's number of the UE is put in, as the capture has another core's |
//! | 1 | NGAP from the gNB as it stands |
//! | 2 | PFCP from the gateway |
//! | 3 | something else happens: the first octet says what |

use super::Answer;
use crate::corpus;
use access::nr::{Amf, AmfConfig, AssocId, Input, Output, SessionPhase};
use sim_auth::{Aka as _, Expected, FgVector, Milenage, eap_vector_of, fg_vector_of};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::LazyLock,
};
use types::{
    Autn, Dnn, FgmmCause, Imsi, K, Now, Opc, PduSessionId, Plmn, Rand, Res, SessionAddress, Snssai,
    Subscription, Supi, Tac, Teid, UeIp,
};
use wire::{
    eap::{AkaPrime, Eap, EapBody, Subtype},
    nas::{
        fgs::{AuthenticationChallenge, AuthenticationResponse, EapMessage, FgmmMessage},
        security::{Nea, Nia},
    },
    ngap::{self, AmfUeNgapId, Message},
    pfcp,
};

/// Outputs after which the core is taken to talk to itself.
const MOST_OUTPUTS: usize = 20_000;

/// Where the radio is, on N2 and on N3.
const RADIO: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9));

/// Timers that may fire after the last input.
const MOST_TIMEOUTS: usize = 10_000;

/// The published test key of the capture (fixtures/ngap/README.md).
const K_HEX: &str = "465B5CE8B199B49FAA5F0A2EE238A6BC";
const OPC_HEX: &str = "E8ED289DEBA952E4283B54E88E6183CA";

/// What the capture was made with.
struct Scene {
    config: AmfConfig,
    supi: Supi,
    vector: FgVector,
    /// The same challenge by EAP-AKA'.
    eap: FgVector,
    subscription: Subscription,
    address: SessionAddress,
}

static SCENE: LazyLock<Option<Scene>> = LazyLock::new(scene);

fn scene() -> Option<Scene> {
    let plmn: Plmn = "99970".parse().ok()?;
    let supi = Supi("999700000000001".parse::<Imsi>().ok()?);
    let slice = Snssai { sst: 1, sd: None };
    let dnn: Dnn = "internet".parse().ok()?;
    let mut config = AmfConfig::new(plmn, Tac::try_from(1).ok()?, slice);
    config.integrity = vec![Nia::Nia2];
    config.ciphering = vec![Nea::Nea0];
    // The challenge that the captured answer belongs to.
    let (rand, autn) = corpus::load("none", "ngap").iter().find_map(|m| match ngap::decode(m) {
        Ok(Message::DownlinkNasTransport(d)) => match FgmmMessage::decode(&d.nas) {
            Ok(FgmmMessage::AuthenticationRequest(a)) => match a.challenge {
                AuthenticationChallenge::FgAka { rand, autn } => Some((rand, autn)),
                AuthenticationChallenge::Eap(_) => None,
            },
            _ => None,
        },
        _ => None,
    })?;
    Some(Scene {
        config,
        supi,
        vector: vector(rand, autn)?,
        eap: eap_vector(rand, autn, supi)?,
        subscription: Subscription {
            supi,
            slices: vec![slice],
            dnns: vec![dnn],
            ambr_ul_bps: 1_000_000_000,
            ambr_dl_bps: 1_000_000_000,
        },
        address: SessionAddress {
            ip: UeIp(Ipv4Addr::new(10, 20, 0, 2)),
            prefix: None,
            dns: vec![[10, 20, 0, 1].into()],
            mtu: 1400,
        },
    })
}

const SNN: &str = "5G:mnc070.mcc999.3gppnetwork.org";

fn card() -> Option<Milenage> {
    Some(Milenage::new(&K::from_hex(K_HEX).ok()?, &Opc::from_hex(OPC_HEX).ok()?))
}

fn vector(rand: Rand, autn: Autn) -> Option<FgVector> {
    let opened = card()?.open_autn(&rand, &autn).ok()?;
    Some(fg_vector_of(&card()?, rand, opened.sqn, opened.amf, SNN))
}

fn eap_vector(rand: Rand, autn: Autn, supi: Supi) -> Option<FgVector> {
    let opened = card()?.open_autn(&rand, &autn).ok()?;
    Some(eap_vector_of(&card()?, rand, opened.sqn, opened.amf, SNN, supi))
}

/// What the captured UE would have answered, had it been asked by EAP-AKA': the first two messages of an attempt,
/// behind its gNB's.
fn eap_seed(captured: &[Vec<u8>]) -> Option<Vec<u8>> {
    let [setup, first, second, ..] = captured else { return None };
    let Expected::Eap(proof) = &SCENE.as_ref()?.eap.expected else { return None };
    let m = AkaPrime { res: Some(Res(proof.xres().to_vec())), ..AkaPrime::of(Subtype::CHALLENGE) };
    let response = Eap { identifier: 0, body: EapBody::Response(m) };
    let packet = response.encode_signed(|covered| proof.sign(covered)).ok()?;
    let answer = AuthenticationResponse { res_star: None, eap: Some(EapMessage(packet)) };
    let Ok(Message::UplinkNasTransport(mut m)) = ngap::decode(second) else { return None };
    m.nas = FgmmMessage::AuthenticationResponse(answer).encode().ok()?;
    let second = ngap::encode(&Message::UplinkNasTransport(m)).ok()?;
    Some([record(3, &[1]), record(3, &[10]), record(0, setup), record(0, first), record(0, &second)].concat())
}

fn record(kind: u8, octets: &[u8]) -> Vec<u8> {
    let len = octets.len().min(0x3fff);
    let head = u16::from(kind) << 14 | len as u16;
    [head.to_be_bytes().as_slice(), octets.get(..len).unwrap_or_default()].concat()
}

/// The whole capture as one input, and its beginnings; with a ban, a lost radio, a lost gateway behind.
pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = corpus::load("amf", "none");
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/ngap/captured.tsv");
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let up: String = text.lines().filter(|l| l.starts_with("up")).map(|l| format!("{l}\n")).collect();
    let mut so_far = record(3, &[1]);
    let captured = corpus::hex_words(&up);
    seeds.extend(eap_seed(&captured));
    for message in captured {
        so_far.extend(record(0, &message));
        seeds.push(so_far.clone());
    }
    for what in 0..11 {
        seeds.push([so_far.clone(), record(3, &[what])].concat());
    }
    seeds
}

struct Site<'a> {
    scene: &'a Scene,
    amf: Amf,
    now: Now,
    assoc: u64,
    /// Vectors are for EAP-AKA'.
    eap: bool,
    ue: Option<AmfUeNgapId>,
    outputs: usize,
}

/// Runs the records; then the gNB is lost, the SIM is banned, and every timer fires.
pub fn run(input: &[u8]) -> Answer {
    let Some(scene) = SCENE.as_ref() else { return Answer::Broken("the capture cannot be used".to_owned()) };
    let now = Now::default().plus_ms(1_000);
    let amf = Amf::new(scene.config.clone(), now, [7; 32]);
    let mut site = Site { scene, amf, now, assoc: 1, eap: false, ue: None, outputs: 0 };
    site.radio_up();
    let mut rest = input;
    let mut records = 0;
    while let Some((head, body)) = rest.split_first_chunk::<2>() {
        let head = u16::from_be_bytes(*head);
        let (octets, behind) = body.split_at(usize::from(head & 0x3fff).min(body.len()));
        site.record(head >> 14, octets);
        rest = behind;
        records += 1;
        if records == 64 {
            break;
        }
    }
    let story = site.story();
    match site.end() {
        Ok(()) => Answer::Lived(story),
        Err(what) => Answer::Broken(what),
    }
}

impl Site<'_> {
    fn radio_up(&mut self) {
        self.give(Input::AssocUp { assoc: AssocId(self.assoc), peer: RADIO });
    }

    fn give(&mut self, input: Input) {
        self.now = self.now.plus_ms(1);
        self.amf.handle(input, self.now);
        self.drain();
    }

    /// Does what the AMF wishes, as a friendly site would.
    fn drain(&mut self) {
        while let Some(output) = self.amf.poll_output() {
            self.outputs += 1;
            if self.outputs > MOST_OUTPUTS {
                return;
            }
            let answer = match output {
                Output::Send { bytes, .. } => {
                    if let Ok((Some(ue), _)) = ngap::decode(&bytes).map(|m| m.ue_ids()) {
                        self.ue = Some(ue);
                    }
                    continue;
                }
                Output::NeedVector { txn, .. } => {
                    let vector = if self.eap { &self.scene.eap } else { &self.scene.vector };
                    Input::Vector { txn, result: Ok((self.scene.supi, vector.clone())) }
                }
                Output::JudgeAuts { txn, .. } => Input::AutsJudged { txn, result: None },
                Output::Locate { txn, .. } => {
                    Input::Located { txn, result: Ok(self.scene.subscription.clone()) }
                }
                Output::NeedAddress { txn, .. } => {
                    Input::Address { txn, result: Ok(self.scene.address.clone()) }
                }
                Output::N4(bytes) => match gateway(&bytes) {
                    Some(bytes) => Input::N4(bytes),
                    None => continue,
                },
                Output::Close { assoc, .. } => Input::AssocDown { assoc },
                Output::ReleaseAddress { .. } | Output::Event(_) => continue,
            };
            self.amf.handle(answer, self.now);
        }
    }

    fn record(&mut self, kind: u16, octets: &[u8]) {
        let assoc = AssocId(self.assoc);
        match kind {
            0 => {
                let bytes = self.with_our_number(octets);
                self.give(Input::Ngap { assoc, stream: 1, bytes });
            }
            1 => self.give(Input::Ngap { assoc, stream: 0, bytes: octets.to_vec() }),
            2 => self.give(Input::N4(octets.to_vec())),
            _ => self.happen(octets),
        }
    }

    fn happen(&mut self, octets: &[u8]) {
        let supi = self.scene.supi;
        let id = octets.get(1).and_then(|b| PduSessionId::try_from(*b).ok());
        match octets.first().map_or(0, |b| b % 11) {
            0 => self.give(Input::N4Down),
            1 => self.give(Input::N4Up { recovery: 1, sessions: Vec::new() }),
            2 => self.give(Input::N4Up { recovery: 2, sessions: Vec::new() }),
            3 => {
                self.give(Input::AssocDown { assoc: AssocId(self.assoc) });
                self.assoc += 1;
                self.radio_up();
            }
            4 => self.give(Input::Ban { supi, cause: FgmmCause::IllegalUe }),
            5 => self.give(Input::Deregister { supi, cause: None, reregister: true }),
            6 => self.give(Input::Deregister { supi, cause: Some(FgmmCause::IllegalUe), reregister: false }),
            7 => id.into_iter().for_each(|id| self.give(Input::EndSession { supi, id })),
            8 => self.wait(5_000),
            10 => self.eap = true,
            // Somebody sends into a tunnel that has ended.
            _ => match octets.get(1).and_then(|b| Teid::new(u32::from(*b))) {
                Some(teid) => self.give(Input::EndedTunnelUsed { supi, teid, radio: RADIO }),
                None => self.wait(60_000),
            },
        }
    }

    /// Time goes on by `ms`; timers fire when they are due.
    fn wait(&mut self, ms: u64) {
        let end = self.now.plus_ms(ms);
        for _ in 0..MOST_TIMEOUTS {
            match self.amf.poll_timeout() {
                Some(due) if due <= end.mono => {
                    self.now = self.now.plus_ms(due.ms_since(self.now.mono).max(1));
                    self.amf.handle_timeout(self.now);
                    self.drain();
                }
                Some(_) | None => break,
            }
        }
        if self.now.mono < end.mono {
            self.now = end;
        }
    }

    /// The captured message with the number that this AMF gave to the UE.
    fn with_our_number(&self, octets: &[u8]) -> Vec<u8> {
        let (Some(ours), Ok(mut message)) = (self.ue, ngap::decode(octets)) else { return octets.to_vec() };
        match &mut message {
            Message::UplinkNasTransport(m) => m.amf_ue_id = ours,
            Message::InitialContextSetupResponse(m) => m.amf_ue_id = ours,
            Message::InitialContextSetupFailure(m) => m.amf_ue_id = ours,
            Message::UeContextReleaseRequest(m) => m.amf_ue_id = ours,
            Message::UeContextReleaseComplete(m) => m.amf_ue_id = ours,
            Message::PduSessionResourceSetupResponse(m) => m.amf_ue_id = ours,
            Message::PduSessionResourceReleaseResponse(m) => m.amf_ue_id = ours,
            _ => return octets.to_vec(),
        }
        ngap::encode(&message).unwrap_or_else(|_| octets.to_vec())
    }

    /// Where it came to: tells one life from another.
    fn story(&self) -> String {
        let ues: Vec<String> = self
            .amf
            .ues()
            .map(|u| format!("{:?} {:?}", u.state, u.sessions.iter().map(|s| s.phase).collect::<Vec<_>>()))
            .collect();
        let refused: Vec<&str> = self.amf.counters().refused.keys().copied().collect();
        format!("lived: {} gNB, {ues:?}, refused {refused:?}", self.amf.gnbs().count())
    }

    /// A ban ends every session at once; a lost radio and time leave nothing behind.
    fn end(mut self) -> Result<(), String> {
        let supi = self.scene.supi;
        self.give(Input::Ban { supi, cause: FgmmCause::IllegalUe });
        let alive =
            |s: &access::nr::SessionView| matches!(s.phase, SessionPhase::Active | SessionPhase::Idle);
        if self.amf.ue(supi).is_some_and(|u| u.sessions.iter().any(alive)) {
            return Err("a banned SIM has a live session".to_owned());
        }
        self.give(Input::AssocDown { assoc: AssocId(self.assoc) });
        if self.outputs > MOST_OUTPUTS {
            return Err("the core talks without an end".to_owned());
        }
        // Longer than T3512 and the implicit deregistration behind it.
        self.wait(3 * 3_600_000);
        match (self.amf.held(), self.amf.ues().count()) {
            ([0, _, 0, _], 0) => Ok(()),
            (held, ues) => Err(format!("after the radio and hours are gone: {held:?} held, {ues} UEs")),
        }
    }
}

/// A gateway that says yes to everything. Its number of a session is the one that it was told.
fn gateway(request: &[u8]) -> Option<Vec<u8>> {
    use pfcp::{
        AssociationSetupResponse, Cause, CreatedPdr, FSeid, FTeid, HeartbeatResponse, NodeId,
        SessionDeletionResponse, SessionEstablishmentResponse, SessionModificationResponse,
    };
    let here = Ipv4Addr::LOCALHOST;
    let asked = pfcp::Pdu::parse(request).ok()?;
    let (seid, message) = match asked.message {
        pfcp::Message::HeartbeatRequest(m) => (
            None,
            pfcp::Message::HeartbeatResponse(HeartbeatResponse {
                recovery: m.recovery,
                ..Default::default()
            }),
        ),
        pfcp::Message::AssociationSetupRequest(m) => {
            let yes = AssociationSetupResponse {
                node_id: NodeId::V4(here),
                cause: Cause::Accepted,
                recovery: m.recovery,
                ..Default::default()
            };
            (None, pfcp::Message::AssociationSetupResponse(yes))
        }
        pfcp::Message::SessionEstablishmentRequest(m) => {
            let chosen = FTeid::Given { teid: 0x1234, v4: Some(here), v6: None };
            let chosen = m.create_pdrs.iter().map(|p| CreatedPdr {
                pdr_id: p.pdr_id,
                local_f_teid: Some(chosen),
                ..Default::default()
            });
            let yes = SessionEstablishmentResponse {
                node_id: NodeId::V4(here),
                cause: Cause::Accepted,
                up_f_seid: Some(FSeid { seid: m.cp_f_seid.seid, v4: Some(here), v6: None }),
                created_pdrs: chosen.take(1).collect(),
                ..Default::default()
            };
            (Some(m.cp_f_seid.seid), pfcp::Message::SessionEstablishmentResponse(yes))
        }
        pfcp::Message::SessionModificationRequest(_) => {
            let yes = SessionModificationResponse { cause: Cause::Accepted, ..Default::default() };
            (asked.seid, pfcp::Message::SessionModificationResponse(yes))
        }
        pfcp::Message::SessionDeletionRequest(_) => {
            let yes = SessionDeletionResponse { cause: Cause::Accepted, ..Default::default() };
            (asked.seid, pfcp::Message::SessionDeletionResponse(yes))
        }
        _ => return None,
    };
    Some(pfcp::Pdu { seid, sequence: asked.sequence, message }.encode())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_ue_proves_itself_by_eap_too() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/ngap/captured.tsv");
        let text = std::fs::read_to_string(file).unwrap();
        let up: String = text.lines().filter(|l| l.starts_with("up")).map(|l| format!("{l}\n")).collect();
        let seed = eap_seed(&corpus::hex_words(&up)).expect("a seed");
        let Some(scene) = SCENE.as_ref() else { panic!("a scene") };
        let now = Now::default().plus_ms(1_000);
        let amf = Amf::new(scene.config.clone(), now, [7; 32]);
        let mut site = Site { scene, amf, now, assoc: 1, eap: false, ue: None, outputs: 0 };
        site.radio_up();
        let mut rest = seed.as_slice();
        while let Some((head, body)) = rest.split_first_chunk::<2>() {
            let head = u16::from_be_bytes(*head);
            let (octets, behind) = body.split_at(usize::from(head & 0x3fff));
            site.record(head >> 14, octets);
            rest = behind;
        }
        let standing = site.amf.conn_standing(AssocId(1), site.ue.unwrap());
        assert_eq!(standing, Some(access::nr::ConnStanding::Securing));
    }

    #[test]
    fn the_captured_registration_comes_to_a_live_session() {
        let all = seeds();
        let whole = all.iter().filter(|s| matches!(run(s), Answer::Lived(story) if story.contains("Active")));
        assert!(whole.count() > 0, "no seed brings a session up");
    }
}
