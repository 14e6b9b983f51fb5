//! A simulated UE as a pure core: the UE side of 5GMM and 5GSM over a simulated USIM (TS 24.501, TS 33.501).
//!
//! It registers, answers identity, authentication (with MAC failure, synch failure and the separation bit as a
//! real card and ME do) and security mode, sets up and releases PDU sessions, comes back from idle, leaves,
//! and honours what the network orders. [`Lies`] make it ignore, replay, forge and spoof. Who owns it carries
//! NAS octets to and from a gNB core ([`crate::gnb`]) and gives the addresses that it gets to a real interface.
//! It holds no socket and no clock.
//!
//! ```text
//! Deregistered ── Register ──> Registering ── accept ──> Registered <── Service ──> Requesting
//!      ^  ^                        │ reject                  │
//!      │  └────────────────────────┘                         │ Deregister
//!      └───────── accept, T3521, network's order ───────── Leaving
//! ```
//!
//! The verbs are those of every core: [`Ue::new`], [`Ue::handle`], [`Ue::poll_output`], [`Ue::poll_timeout`],
//! [`Ue::handle_timeout`].

mod eap;
mod lies;
mod mm;
mod security;
mod sm;
mod timers;

pub use lies::Lies;

use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use security::Security;
use sim_auth::Usim;
use sm::Transaction;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use timers::{Timer, Timers};
use types::{
    Dnn, FgGuti, FgmmCause, FgsmCause, Imeisv, Mono, Now, PduSessionId, Plmn, Snssai, SuciProfile, Supi, Tai,
};
use wire::nas::fgs::{PduSessionType, STmsi, UeSecurityCapability};

/// How a UE conceals its permanent identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conceal {
    /// The profile of the key.
    pub profile: SuciProfile,
    /// What the home network calls the key.
    pub key_id: u8,
    /// The home network's public key.
    pub key: Vec<u8>,
}

/// What a UE is told about itself.
#[derive(Debug, Clone)]
pub struct UeConfig {
    /// The identity on its card.
    pub supi: Supi,
    /// Home network, which is also the one it looks for.
    pub plmn: Plmn,
    /// Its IMEISV; `None` for a device that has none to tell.
    pub imeisv: Option<Imeisv>,
    /// Algorithms that it can.
    pub capability: UeSecurityCapability,
    /// What it conceals its identity with; none for the null scheme.
    pub conceal: Option<Conceal>,
    /// Slices that it asks for; empty for the default ones.
    pub slices: Vec<Snssai>,
    /// How it misbehaves.
    pub lies: Lies,
}

/// What a UE is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Register (or register anew).
    Register,
    /// Tell the network that it is still there: periodic registration.
    Update,
    /// Leave.
    Deregister {
        /// The device switches off: no answer is awaited.
        switch_off: bool,
    },
    /// Switched off and on again: what the network forbade until switch-off is forgotten, and so are the temporary
    /// identity, keys and sessions.
    PowerCycle,
    /// Set up a PDU session.
    Establish {
        /// Which one.
        id: PduSessionId,
        /// Into which data network; `None` for the default one.
        dnn: Option<Dnn>,
        /// In which slice; `None` for the default one.
        slice: Option<Snssai>,
        /// Of which type.
        session_type: PduSessionType,
    },
    /// Release a PDU session.
    Release {
        /// Which one.
        id: PduSessionId,
    },
    /// Come back from idle with all sessions.
    Service,
    /// The radio calls somebody.
    Paged(STmsi),
    /// A NAS message from the network.
    Nas(Vec<u8>),
    /// The radio connection was released.
    Released,
    /// Send these NAS octets as they are.
    Raw(Vec<u8>),
}

/// What a UE wants or tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// A NAS message to the network.
    Nas {
        /// The message.
        octets: Vec<u8>,
        /// Where it makes a radio connection: what the radio is told about the UE.
        s_tmsi: Option<STmsi>,
    },
    /// Something happened.
    Event(UeEvent),
}

/// What happened to a UE, for stories and logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UeEvent {
    /// Registered.
    Registered {
        /// The temporary identity.
        guti: Option<FgGuti>,
        /// Slices allowed.
        slices: Vec<Snssai>,
        /// Where it may move.
        areas: Vec<Tai>,
    },
    /// Registration refused.
    Rejected {
        /// Why.
        cause: FgmmCause,
        /// The reject was integrity protected: to be believed.
        protected: bool,
        /// Back-off (T3346), s.
        backoff_s: Option<u32>,
    },
    /// No answer in time.
    TimedOut(&'static str),
    /// The network said that the answer to the challenge was wrong.
    AuthenticationRejected,
    /// The card refused the challenge.
    ChallengeRefused(FgmmCause),
    /// The security mode command was refused.
    SecurityModeRefused(FgmmCause),
    /// No longer registered.
    Deregistered {
        /// Why, where the network said it.
        cause: Option<FgmmCause>,
        /// The network ordered it.
        by_network: bool,
    },
    /// The registration is not tried: the network forbade it until the device is switched off, or backs off.
    Barred,
    /// A PDU session is there.
    SessionUp(Session),
    /// A PDU session was refused.
    SessionRejected {
        /// Which one.
        id: PduSessionId,
        /// 5GSM cause, where the session management answered.
        cause: Option<FgsmCause>,
        /// 5GMM cause, where the AMF gave the request back.
        not_forwarded: Option<FgmmCause>,
    },
    /// A PDU session is gone.
    SessionDown {
        /// Which one.
        id: PduSessionId,
        /// Why, where the network said it.
        cause: Option<FgsmCause>,
    },
    /// Back from idle.
    ServiceAccepted,
    /// Not let back from idle.
    ServiceRejected(FgmmCause),
    /// A message that was not believed or not understood, and why.
    Dropped(&'static str),
}

/// A PDU session as the UE has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Which one.
    pub id: PduSessionId,
    /// Its data network, as the network named it.
    pub dnn: Option<Dnn>,
    /// Its address.
    /// Unspecified where the session is of IPv6 alone.
    pub address: Ipv4Addr,
    /// The interface identifier of its link-local IPv6 address, where it has one.
    pub interface: Option<[u8; 8]>,
    /// Resolvers.
    pub dns: Vec<IpAddr>,
    /// IPv4 link MTU.
    pub mtu: Option<u16>,
    /// Session bit rates, downlink and uplink, bit/s.
    pub ambr_bps: (u64, u64),
    /// Why it is less than was asked.
    pub cause: Option<FgsmCause>,
}

/// Where the UE is in 5GMM (TS 24.501 §5.1.3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Not registered.
    Deregistered,
    /// Registration sent.
    Registering,
    /// Registered.
    Registered,
    /// Registered, service request sent.
    Requesting,
    /// Deregistration sent.
    Leaving,
}

/// A UE.
pub struct Ue {
    config: UeConfig,
    card: Usim,
    state: State,
    /// A radio connection is there.
    connected: bool,
    guti: Option<FgGuti>,
    security: Security,
    /// It has answered the EAP-Request of this identifier and awaits the result.
    eap: Option<u8>,
    sessions: BTreeMap<PduSessionId, Session>,
    transactions: BTreeMap<u8, Transaction>,
    next_pti: u8,
    /// The registration request as it was sent, plain and whole, for Security Mode Complete.
    initial: Vec<u8>,
    barred: bool,
    backoff_until: Option<Mono>,
    /// Register again once the radio connection is released.
    again: bool,
    /// What is done once the UE is back from idle.
    waiting: Vec<Input>,
    timers: Timers,
    chance: ChaCha20Rng,
    outputs: VecDeque<Output>,
}

impl Ue {
    /// A UE that was just switched on and does nothing yet. The seed decides where its transaction identifiers
    /// begin, and gives the ephemeral keys of its concealed identities.
    pub fn new(config: UeConfig, card: Usim, _now: Now, seed: [u8; 32]) -> Self {
        let [first, ..] = seed;
        Self {
            config,
            card,
            state: State::Deregistered,
            connected: false,
            guti: None,
            security: Security::default(),
            eap: None,
            sessions: BTreeMap::new(),
            transactions: BTreeMap::new(),
            next_pti: first % 254 + 1,
            initial: Vec::new(),
            barred: false,
            backoff_until: None,
            again: false,
            waiting: Vec::new(),
            timers: Timers::default(),
            chance: ChaCha20Rng::from_seed(seed),
            outputs: VecDeque::new(),
        }
    }

    /// Takes an input.
    pub fn handle(&mut self, input: Input, now: Now) {
        match input {
            Input::Register => self.register(now),
            Input::Update => self.update(now),
            Input::Deregister { switch_off } => self.deregister(switch_off, now),
            Input::PowerCycle => self.power_cycle(),
            Input::Establish { id, dnn, slice, session_type } => {
                self.establish(id, dnn, slice, session_type, now);
            }
            Input::Release { id } => self.release(id, now),
            Input::Service => self.service(None, now),
            Input::Paged(whom) => self.paged(whom, now),
            Input::Nas(octets) => self.downlink(&octets, now),
            Input::Released => self.released(now),
            Input::Raw(octets) => self.transmit(octets),
        }
    }

    /// The next output, if there is one.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Self::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.timers.next()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some(timer) = self.timers.expired(now.mono) {
            match timer {
                Timer::T3510 => self.registration_timed_out(),
                Timer::T3517 => self.service_timed_out(),
                Timer::T3521 => self.leave(None, false),
                Timer::Session(pti) => self.session_timed_out(pti, now),
            }
        }
    }

    /// Where it is.
    pub fn state(&self) -> State {
        self.state
    }

    /// True while a radio connection is there.
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// Its identity.
    pub fn supi(&self) -> Supi {
        self.config.supi
    }

    /// Its temporary identity.
    pub fn guti(&self) -> Option<FgGuti> {
        self.guti
    }

    /// Its PDU sessions.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.sessions.values()
    }

    /// KgNB of the current radio connection, to compare with the one that the gNB was given.
    pub fn kgnb(&self) -> Option<types::Key256> {
        self.security.kgnb()
    }

    /// It conceals its identity so from here on.
    pub fn conceal(&mut self, how: Option<Conceal>) {
        self.config.conceal = how;
    }

    /// Its algorithms from here on.
    pub fn can(&mut self, capability: UeSecurityCapability) {
        self.config.capability = capability;
    }

    /// How it misbehaves from here on.
    pub fn lies(&mut self) -> &mut Lies {
        &mut self.config.lies
    }

    /// Its card, for tests that wear it out.
    pub fn card(&mut self) -> &mut Usim {
        &mut self.card
    }

    fn event(&mut self, e: UeEvent) {
        self.outputs.push_back(Output::Event(e));
    }

    fn s_tmsi(&self) -> Option<STmsi> {
        self.guti.map(|g| STmsi { set: g.amf.set, pointer: g.amf.pointer, tmsi: g.tmsi })
    }

    /// Octets to the network, over a radio connection that is made where there is none.
    fn transmit(&mut self, octets: Vec<u8>) {
        let s_tmsi = if self.connected { None } else { self.s_tmsi() };
        self.connected = true;
        self.outputs.push_back(Output::Nas { octets, s_tmsi });
    }

    fn released(&mut self, now: Now) {
        self.connected = false;
        self.security.radio_released();
        if std::mem::take(&mut self.again) {
            self.register(now);
        }
    }

    fn power_cycle(&mut self) {
        self.state = State::Deregistered;
        self.guti = None;
        self.security = Security::default();
        self.timers = Timers::default();
        self.transactions.clear();
        self.barred = false;
        self.backoff_until = None;
        self.again = false;
        self.waiting.clear();
        let ids: Vec<_> = self.sessions.keys().copied().collect();
        self.sessions.clear();
        for id in ids {
            self.event(UeEvent::SessionDown { id, cause: None });
        }
    }
}

#[cfg(test)]
mod tests;
