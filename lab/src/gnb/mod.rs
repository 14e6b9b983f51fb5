//! A simulated gNB as a pure core: the network side of a radio, without a radio (TS 38.413, TS 38.300 §9).
//!
//! It sets up NG, gives each UE that speaks a RAN UE NGAP ID, carries NAS both ways, answers context setup and
//! PDU session resources with tunnel endpoints of its own, releases, resets. Who owns it moves NGAP octets to
//! and from SCTP, NAS octets to and from the UE cores ([`crate::ue`]), and GTP-U packets by the tunnels that it is
//! told of. It holds no socket and no clock.
//!
//! The verbs are those of every core: [`Gnb::new`], [`Gnb::handle`], [`Gnb::poll_output`],
//! [`Gnb::poll_timeout`], [`Gnb::handle_timeout`].

mod n2;
mod sessions;
mod xn;

pub use xn::HandOver;

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use types::{Mono, Now, PduSessionId, Plmn, Snssai, Tac, Tai};
use wire::ngap::transfer::Tunnel;
use wire::ngap::{
    self, AmfUeNgapId, Cause, ErrorIndication, GlobalGnbId, InitialContextSetupFailure, InitialUeMessage,
    Message, NasCause, NgReset, NgResetAcknowledge, NgSetupRequest, NrCgi, PagingDrx, ProtocolCause,
    RadioCause, RanNodeId, RanUeNgapId, ResetType, RrcEstablishmentCause, STmsi, SecurityCapabilities,
    SecurityKey, SupportedPlmn, SupportedTa, TimeToWait, UeConnection, UeContextReleaseComplete,
    UeContextReleaseRequest, UeIds, UplinkNasTransport, UserLocation,
};

/// What a gNB is told about itself.
#[derive(Debug, Clone)]
pub struct GnbConfig {
    /// Its identity.
    pub id: GlobalGnbId,
    /// Its name for people.
    pub name: String,
    /// PLMN that it broadcasts.
    pub plmn: Plmn,
    /// Tracking area of its one cell.
    pub tac: Tac,
    /// Slices that it supports there.
    pub slices: Vec<Snssai>,
    /// Its N3 address: where it wants downlink GTP-U.
    pub n3: IpAddr,
    /// How it misbehaves.
    pub lies: GnbLies,
}

/// How a gNB misbehaves; all off by default.
#[derive(Debug, Clone, Default)]
pub struct GnbLies {
    /// Answers no request of the AMF (it still sends).
    pub silent: bool,
    /// Refuses every UE context with this cause.
    pub refuse_contexts: Option<Cause>,
    /// Refuses every PDU session with this cause.
    pub refuse_sessions: Option<Cause>,
    /// Gives this endpoint instead of its own.
    pub false_tunnel: Option<Tunnel>,
}

/// The owner's name of a UE at this gNB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UeKey(pub u32);

/// What a gNB is told.
#[derive(Debug, Clone)]
pub enum Input {
    /// The SCTP association is up: NG Setup follows.
    Up,
    /// The association is gone: every UE loses its radio connection.
    Down,
    /// NGAP from the AMF.
    Ngap(Vec<u8>),
    /// A NAS message of a UE. The first one makes its radio connection.
    Nas {
        /// Which UE.
        ue: UeKey,
        /// The message.
        octets: Vec<u8>,
        /// What the UE told the radio about itself, in a first message.
        s_tmsi: Option<STmsi>,
    },
    /// A UE comes over from another gNB, which gave this along ([`Gnb::hand_over`]).
    TakeOver {
        /// Which UE.
        ue: UeKey,
        /// What there is of it.
        context: HandOver,
    },
    /// Ask the AMF to send this UE to another gNB ([`Output::SendAway`]).
    WantAway {
        /// Which UE.
        ue: UeKey,
        /// To whom.
        target: GlobalGnbId,
        /// Tracking area of the cell there.
        tai: Tai,
    },
    /// It shall stay after all.
    CancelHandover {
        /// Which UE.
        ue: UeKey,
    },
    /// A UE that the AMF asked to take has come.
    Arrived {
        /// Which UE.
        ue: UeKey,
    },
    /// Ask the AMF to release this UE, with this cause.
    AskRelease {
        /// Which UE.
        ue: UeKey,
        /// Why, for example user inactivity.
        cause: Cause,
    },
    /// Reset the interface, or these UEs only.
    Reset(Option<Vec<UeKey>>),
    /// Send these NGAP octets as they are.
    Raw {
        /// SCTP stream.
        stream: u16,
        /// Octets.
        octets: Vec<u8>,
    },
}

/// A PDU session's user plane as the gNB has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionTunnel {
    /// Whose.
    pub ue: UeKey,
    /// Which session.
    pub session: PduSessionId,
    /// Where downlink packets come in.
    pub downlink: Tunnel,
    /// Where uplink packets go.
    pub uplink: Tunnel,
    /// QoS flow of the uplink.
    pub qfi: u8,
}

/// What a gNB wants or tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// NGAP to the AMF.
    Ngap {
        /// SCTP stream: 0 for the interface, 1 for UEs.
        stream: u16,
        /// Octets.
        octets: Vec<u8>,
    },
    /// NG Setup was accepted.
    Ready {
        /// Name of the AMF.
        amf: String,
    },
    /// What the AMF serves has changed.
    Updated {
        /// Name of the AMF, where it was named.
        amf: Option<String>,
        /// PLMNs with their slices; empty where they stay.
        plmns: Vec<SupportedPlmn>,
    },
    /// NG Setup was refused.
    Refused {
        /// Why.
        cause: Cause,
        /// When to try again.
        wait: Option<TimeToWait>,
    },
    /// A NAS message for a UE.
    Nas {
        /// Which UE.
        ue: UeKey,
        /// The message.
        octets: Vec<u8>,
    },
    /// The radio connection of a UE was released, its tunnels with it: it is idle.
    Released {
        /// Which UE.
        ue: UeKey,
        /// Why.
        cause: Cause,
    },
    /// The user plane of a session is there.
    TunnelUp(SessionTunnel),
    /// It is gone.
    TunnelDown {
        /// Whose.
        ue: UeKey,
        /// Which session.
        session: PduSessionId,
    },
    /// The AMF sends a UE to the gNB that was asked for: there it arrives ([`Input::Arrived`]).
    SendAway {
        /// Which UE.
        ue: UeKey,
    },
    /// The AMF calls an idle UE: to be told to all that are in the cell and have no radio connection.
    Paged {
        /// Whom.
        s_tmsi: STmsi,
    },
    /// The AMF says that something was wrong.
    Error(ErrorIndication),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Down,
    ExpectSetup { until: Mono },
    Ready,
}

/// A UE that has a radio connection here.
struct UeContext {
    ran: RanUeNgapId,
    amf: Option<AmfUeNgapId>,
    key: Option<SecurityKey>,
    capabilities: Option<SecurityCapabilities>,
    sessions: BTreeMap<PduSessionId, SessionTunnel>,
}

impl UeContext {
    /// One of which nothing but its name here is known.
    fn new(ran: RanUeNgapId) -> Self {
        Self { ran, amf: None, key: None, capabilities: None, sessions: BTreeMap::new() }
    }
}

/// A gNB.
pub struct Gnb {
    config: GnbConfig,
    link: Link,
    ues: BTreeMap<UeKey, UeContext>,
    next_ran: u32,
    next_teid: u32,
    outputs: VecDeque<Output>,
}

/// How long NG Setup may take, ms.
const SETUP_MS: u64 = 10_000;

impl Gnb {
    /// A gNB that knows nobody yet. The seed decides where its UE and tunnel identifiers begin, so that two
    /// gNBs seldom use the same.
    pub fn new(config: GnbConfig, _now: Now, seed: [u8; 32]) -> Self {
        let [a, b, c, d, ..] = seed;
        let start = u32::from_be_bytes([0, b, c, d]);
        Self {
            config,
            link: Link::Down,
            ues: BTreeMap::new(),
            next_ran: u32::from(a) << 8 | 1,
            next_teid: start << 4 | 1,
            outputs: VecDeque::new(),
        }
    }

    /// Takes an input.
    pub fn handle(&mut self, input: Input, now: Now) {
        match input {
            Input::Up => self.set_up(now),
            Input::Down => self.association_down(),
            Input::Ngap(octets) => self.ngap(&octets),
            Input::Nas { ue, octets, s_tmsi } => self.uplink(ue, octets, s_tmsi),
            Input::TakeOver { ue, context } => self.take_over(ue, context),
            Input::WantAway { ue, target, tai } => self.want_away(ue, target, tai),
            Input::CancelHandover { ue } => self.cancel_handover(ue),
            Input::Arrived { ue } => self.arrived(ue),
            Input::AskRelease { ue, cause } => self.ask_release(ue, cause),
            Input::Reset(part) => self.reset(part),
            Input::Raw { stream, octets } => self.outputs.push_back(Output::Ngap { stream, octets }),
        }
    }

    /// The next output, if there is one.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Self::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Mono> {
        match self.link {
            Link::ExpectSetup { until } => Some(until),
            Link::Down | Link::Ready => None,
        }
    }

    /// Time has passed: an NG Setup without an answer is sent again.
    pub fn handle_timeout(&mut self, now: Now) {
        if let Link::ExpectSetup { until } = self.link
            && now.mono >= until
        {
            self.set_up(now);
        }
    }

    /// True once NG Setup was accepted.
    pub fn is_ready(&self) -> bool {
        self.link == Link::Ready
    }

    /// The UEs that have a radio connection here.
    pub fn connected(&self) -> impl Iterator<Item = UeKey> {
        self.ues.keys().copied()
    }

    /// The user planes that are there.
    pub fn tunnels(&self) -> impl Iterator<Item = SessionTunnel> {
        self.ues.values().flat_map(|u| u.sessions.values().copied())
    }

    /// KgNB that the AMF gave for a UE.
    pub fn key(&self, ue: UeKey) -> Option<&SecurityKey> {
        self.ues.get(&ue)?.key.as_ref()
    }

    /// The identifiers of a UE on N2.
    pub fn ids(&self, ue: UeKey) -> Option<(Option<AmfUeNgapId>, RanUeNgapId)> {
        self.ues.get(&ue).map(|u| (u.amf, u.ran))
    }

    /// How it misbehaves from here on.
    pub fn lies(&mut self) -> &mut GnbLies {
        &mut self.config.lies
    }

    fn send(&mut self, stream: u16, message: &Message) {
        // What this core builds is within the protocol's ranges; a name of 200 characters in the
        // configuration is the one way to get here.
        match ngap::encode(message) {
            Ok(octets) => self.outputs.push_back(Output::Ngap { stream, octets }),
            Err(e) => tracing::error!("gNB {}: {} not sent: {e}", self.config.name, message.name()),
        }
    }

    fn location(&self) -> UserLocation {
        let plmn = self.config.plmn;
        // The leftmost bits of the cell identity are the gNB's (TS 38.413 §9.3.1.7); ours has cell 1.
        let cell = u64::from(self.config.id.id) << 36u8.saturating_sub(self.config.id.bits) | 1;
        UserLocation {
            cell: NrCgi { plmn, cell: cell & ((1 << 36) - 1) },
            tai: Tai { plmn, tac: self.config.tac },
            time_stamp: None,
        }
    }

    fn set_up(&mut self, now: Now) {
        self.link = Link::ExpectSetup { until: now.mono.plus_ms(SETUP_MS) };
        let plmn = SupportedPlmn { plmn: self.config.plmn, slices: self.config.slices.clone() };
        let request = NgSetupRequest {
            node: RanNodeId::Gnb(self.config.id),
            name: Some(self.config.name.clone()),
            tas: vec![SupportedTa { tac: self.config.tac, plmns: vec![plmn] }],
            paging_drx: Some(PagingDrx::V128),
        };
        self.send(0, &Message::NgSetupRequest(request));
    }

    fn association_down(&mut self) {
        self.link = Link::Down;
        let all: Vec<_> = self.ues.keys().copied().collect();
        for ue in all {
            self.forget(ue, Cause::Transport(ngap::TransportCause::UNSPECIFIED));
        }
    }

    /// The UE's radio connection ends here, its tunnels first.
    fn forget(&mut self, ue: UeKey, cause: Cause) {
        let Some(context) = self.ues.remove(&ue) else { return };
        for session in context.sessions.into_keys() {
            self.outputs.push_back(Output::TunnelDown { ue, session });
        }
        self.outputs.push_back(Output::Released { ue, cause });
    }

    fn uplink(&mut self, ue: UeKey, nas: Vec<u8>, s_tmsi: Option<STmsi>) {
        if self.link != Link::Ready {
            self.outputs.push_back(Output::Released { ue, cause: Cause::UNSPECIFIED });
            return;
        }
        let location = self.location();
        match self.ues.get(&ue) {
            Some(UeContext { ran, amf: Some(amf), .. }) => {
                let m =
                    UplinkNasTransport { amf_ue_id: *amf, ran_ue_id: *ran, nas, location: Some(location) };
                self.send(1, &Message::UplinkNasTransport(m));
            }
            // The AMF has not answered the first message: this one replaces it, under a new connection.
            _ => {
                let ran = self.new_ran();
                self.ues.insert(ue, UeContext::new(ran));
                let m = InitialUeMessage {
                    ran_ue_id: ran,
                    nas,
                    location,
                    rrc_cause: Some(RrcEstablishmentCause::MoSignalling),
                    s_tmsi,
                    context_requested: true,
                };
                self.send(1, &Message::InitialUeMessage(m));
            }
        }
    }

    fn new_ran(&mut self) -> RanUeNgapId {
        let ran = RanUeNgapId(self.next_ran);
        self.next_ran = self.next_ran.wrapping_add(1);
        ran
    }

    fn ask_release(&mut self, ue: UeKey, cause: Cause) {
        let Some(UeContext { ran, amf, sessions, .. }) = self.ues.get(&ue) else { return };
        match amf {
            Some(amf) => {
                let m = UeContextReleaseRequest {
                    amf_ue_id: *amf,
                    ran_ue_id: *ran,
                    sessions: sessions.keys().copied().collect(),
                    cause,
                };
                self.send(1, &Message::UeContextReleaseRequest(m));
            }
            None => self.forget(ue, cause),
        }
    }

    fn reset(&mut self, part: Option<Vec<UeKey>>) {
        let whom: Vec<UeKey> = part.clone().unwrap_or_else(|| self.ues.keys().copied().collect());
        let connections: Vec<_> = whom
            .iter()
            .filter_map(|ue| self.ues.get(ue))
            .map(|c| UeConnection { amf_ue_id: c.amf, ran_ue_id: Some(c.ran) })
            .collect();
        let cause = Cause::Misc(ngap::MiscCause::OM_INTERVENTION);
        for ue in whom {
            self.forget(ue, cause);
        }
        let reset = match part {
            None => ResetType::All,
            Some(_) if connections.is_empty() => return,
            Some(_) => ResetType::Part(connections),
        };
        self.send(0, &Message::NgReset(NgReset { cause, reset }));
    }

    fn ngap(&mut self, octets: &[u8]) {
        let message = match ngap::decode(octets) {
            Ok(m) => m,
            Err(e) => {
                if e.wants_answer() {
                    self.send(0, &Message::ErrorIndication(e.indication()));
                }
                return;
            }
        };
        match message {
            Message::NgSetupResponse(m) => {
                self.link = Link::Ready;
                self.outputs.push_back(Output::Ready { amf: m.name });
            }
            Message::NgSetupFailure(m) => {
                self.link = Link::Down;
                self.outputs.push_back(Output::Refused { cause: m.cause, wait: m.time_to_wait });
            }
            Message::DownlinkNasTransport(m) => {
                if let Some(ue) = self.known(m.amf_ue_id, m.ran_ue_id) {
                    self.outputs.push_back(Output::Nas { ue, octets: m.nas });
                }
            }
            Message::InitialContextSetupRequest(m) => self.context_setup(m),
            Message::HandoverRequest(m) => self.handover_request(m),
            Message::HandoverCommand(m) => self.handover_command(&m),
            Message::HandoverPreparationFailure(m) => {
                // It stays where it is.
                self.known(m.amf_ue_id, m.ran_ue_id);
            }
            // How many UEs signal is the owner's doing; this gNB has one cell, which no UE changes.
            Message::LocationReportingControl(_)
            | Message::HandoverCancelAcknowledge(_)
            | Message::OverloadStart(_)
            | Message::OverloadStop => {}
            Message::UeContextModificationRequest(m) => self.context_modification(m),
            Message::PduSessionResourceSetupRequest(m) => self.session_setup(m),
            Message::PduSessionResourceModifyRequest(m) => self.session_modify(m),
            Message::PduSessionResourceReleaseCommand(m) => self.session_release(m),
            Message::PathSwitchRequestAcknowledge(m) => self.path_switched(m),
            Message::PathSwitchRequestFailure(m) => self.path_not_switched(&m),
            Message::UeContextReleaseCommand(m) => self.context_release(m.ue, m.cause),
            Message::Paging(m) => {
                let here = self.location().tai;
                if m.tais.contains(&here) && !self.config.lies.silent {
                    self.outputs.push_back(Output::Paged { s_tmsi: m.s_tmsi });
                }
            }
            Message::NgReset(m) => self.reset_by_amf(m),
            Message::AmfConfigurationUpdate(m) => {
                self.send(0, &Message::AmfConfigurationUpdateAcknowledge);
                self.outputs.push_back(Output::Updated { amf: m.name, plmns: m.plmns });
            }
            Message::NgResetAcknowledge(_) => {}
            Message::ErrorIndication(m) => self.outputs.push_back(Output::Error(m)),
            Message::Unknown(p) => {
                if let Some(m) = p.indication(None, None) {
                    self.send(0, &Message::ErrorIndication(m));
                }
            }
            other => {
                let cause = ProtocolCause::MESSAGE_NOT_COMPATIBLE_WITH_RECEIVER_STATE;
                let (amf_ue_id, ran_ue_id) = other.ue_ids();
                let m = ErrorIndication {
                    amf_ue_id,
                    ran_ue_id,
                    cause: Some(Cause::Protocol(cause)),
                    diagnostics: None,
                };
                self.send(0, &Message::ErrorIndication(m));
            }
        }
    }

    /// The UE that both identifiers name. The first message of the AMF teaches its identifier; a pair that
    /// does not fit is answered by an Error Indication (TS 38.413 §10.6).
    fn known(&mut self, amf: AmfUeNgapId, ran: RanUeNgapId) -> Option<UeKey> {
        let found = self.ues.iter_mut().find(|(_, c)| c.ran == ran);
        let cause = match found {
            None => RadioCause::UNKNOWN_LOCAL_UE_NGAP_ID,
            Some((ue, c)) if c.amf.is_none_or(|a| a == amf) => {
                c.amf = Some(amf);
                return Some(*ue);
            }
            Some(_) => RadioCause::INCONSISTENT_REMOTE_UE_NGAP_ID,
        };
        let m = ErrorIndication {
            amf_ue_id: Some(amf),
            ran_ue_id: Some(ran),
            cause: Some(Cause::RadioNetwork(cause)),
            diagnostics: None,
        };
        self.send(1, &Message::ErrorIndication(m));
        None
    }

    fn context_setup(&mut self, m: ngap::InitialContextSetupRequest) {
        let Some(ue) = self.known(m.amf_ue_id, m.ran_ue_id) else { return };
        if self.config.lies.silent {
            return;
        }
        if let Some(cause) = self.config.lies.refuse_contexts {
            let (amf_ue_id, ran_ue_id) = (m.amf_ue_id, m.ran_ue_id);
            let m = InitialContextSetupFailure { amf_ue_id, ran_ue_id, failed: Vec::new(), cause };
            self.send(1, &Message::InitialContextSetupFailure(m));
            return;
        }
        if let Some(c) = self.ues.get_mut(&ue) {
            (c.key, c.capabilities) = (Some(m.key), Some(m.security_capabilities));
        }
        if let Some(octets) = m.nas {
            self.outputs.push_back(Output::Nas { ue, octets });
        }
        let (setup, failed) = self.set_up_sessions(ue, m.sessions);
        let (amf_ue_id, ran_ue_id) = (m.amf_ue_id, m.ran_ue_id);
        let m = ngap::InitialContextSetupResponse { amf_ue_id, ran_ue_id, setup, failed };
        self.send(1, &Message::InitialContextSetupResponse(m));
    }

    fn context_modification(&mut self, m: ngap::UeContextModificationRequest) {
        let (amf_ue_id, ran_ue_id) = (m.amf_ue_id, m.ran_ue_id);
        let Some(ue) = self.known(amf_ue_id, ran_ue_id) else { return };
        if self.config.lies.silent {
            return;
        }
        let answer = match (self.config.lies.refuse_contexts, self.ues.get_mut(&ue)) {
            (None, Some(c)) => {
                c.key = m.key.or(c.key.take());
                let m = ngap::UeContextModificationResponse { amf_ue_id, ran_ue_id };
                Message::UeContextModificationResponse(m)
            }
            (refused, _) => {
                let cause = refused.unwrap_or(Cause::UNSPECIFIED);
                let m = ngap::UeContextModificationFailure { amf_ue_id, ran_ue_id, cause };
                Message::UeContextModificationFailure(m)
            }
        };
        self.send(1, &answer);
    }

    fn context_release(&mut self, ids: UeIds, cause: Cause) {
        let ue = match ids {
            UeIds::Pair(amf, ran) => self.known(amf, ran),
            UeIds::Amf(amf) => self.ues.iter().find(|(_, c)| c.amf == Some(amf)).map(|(ue, _)| *ue),
        };
        let Some((ue, context)) = ue.and_then(|ue| Some((ue, self.ues.get(&ue)?))) else { return };
        if self.config.lies.silent {
            return;
        }
        if let Some(amf_ue_id) = context.amf {
            let m = UeContextReleaseComplete {
                amf_ue_id,
                ran_ue_id: context.ran,
                location: Some(self.location()),
                sessions: context.sessions.keys().copied().collect(),
            };
            self.send(1, &Message::UeContextReleaseComplete(m));
        }
        self.forget(ue, cause);
    }

    fn reset_by_amf(&mut self, m: NgReset) {
        let named = |c: &UeContext, n: &UeConnection| match (n.ran_ue_id, n.amf_ue_id) {
            (Some(ran), _) => c.ran == ran,
            (None, amf) => amf.is_some() && c.amf == amf,
        };
        let gone: Vec<_> = self
            .ues
            .iter()
            .filter(|(_, c)| match &m.reset {
                ResetType::All => true,
                ResetType::Part(list) => list.iter().any(|n| named(c, n)),
            })
            .map(|(ue, _)| *ue)
            .collect();
        for ue in gone {
            self.forget(ue, m.cause);
        }
        let connections = match m.reset {
            ResetType::All => Vec::new(),
            ResetType::Part(list) => list,
        };
        self.send(0, &Message::NgResetAcknowledge(NgResetAcknowledge { connections }));
    }
}

/// The cause of an ordinary release.
pub const NORMAL_RELEASE: Cause = Cause::Nas(NasCause::NORMAL_RELEASE);

#[cfg(test)]
mod tests;
