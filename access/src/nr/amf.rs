//! The core itself: what it holds, its five verbs, and the one table from inputs to functions.

use super::clones::Clones;
use super::config::AmfConfig;
use super::gnb::Gnb;
use super::session::Smf;
use super::timers::{TimerKey, Timers};
use super::ue::{Conn, Mm, Registry, Ue};
use super::view::{Counters, GnbView, SessionView, UeState, UeView};
use super::{AssocId, Input, Output, TxnId};
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use types::{Dnn, Event, FgGuti, FgTmsi, Happening, Imsi, Mono, Now, PduSessionId, Sighting, Supi};
use wire::ngap::{self, AmfUeNgapId, Message};

/// The AMF with its session management part.
pub struct Amf {
    pub(super) config: AmfConfig,
    pub(super) now: Now,
    pub(super) rng: ChaCha12Rng,
    pub(super) out: VecDeque<Output>,
    pub(super) gnbs: BTreeMap<AssocId, Gnb>,
    pub(super) registry: Registry,
    pub(super) smf: Smf,
    pub(super) timers: Timers,
    pub(super) counters: Counters,
    pub(super) clones: Clones,
    /// The radios were told to let fewer UEs signal.
    pub(super) overloaded: bool,
    /// Before this no attempt stands still, so none is looked for to go in favour of a newcomer.
    pub(super) room_looked_for: Mono,
    txns: BTreeMap<TxnId, Asked>,
    next_txn: u64,
    told: Told,
}

/// How many events that outsiders can cause at will were told in the current second.
#[derive(Default)]
struct Told {
    second: u64,
    events: u32,
}

/// Most of them per second; the others are counted alone.
const EVENTS_PER_SECOND: u32 = 50;

/// Who waits for the answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// An attempt, for its vector.
    Vector(AmfUeNgapId),
    /// A UE, for new keys.
    Rekey(Supi),
    /// A UE, for its admission.
    Located(Supi),
    /// What a card said of its SQN.
    Judged {
        /// Whose.
        supi: Supi,
        /// True where it was probed.
        probe: bool,
        /// Where.
        seen: Box<Sighting>,
    },
    /// A session, for its address.
    Address(Supi, PduSessionId, Dnn),
}

impl Amf {
    /// A core that knows no gNB and no UE. `seed` comes from the operating system and is used once.
    pub fn new(config: AmfConfig, now: Now, seed: [u8; 32]) -> Self {
        let mut rng = ChaCha12Rng::from_seed(seed);
        // Names from an earlier life of this process should not be met again by chance.
        let (first_ue, first_seid, first_seq) = (rng.next_u32(), rng.next_u64(), rng.next_u32());
        Self {
            config,
            now,
            rng,
            out: VecDeque::new(),
            gnbs: BTreeMap::new(),
            registry: Registry::new(first_ue),
            smf: Smf::new(first_seid, first_seq, now),
            timers: Timers::default(),
            counters: Counters::default(),
            clones: Clones::default(),
            overloaded: false,
            room_looked_for: Mono(0),
            txns: BTreeMap::new(),
            next_txn: 0,
            told: Told::default(),
        }
    }

    /// Takes one fact in. What follows from it waits in [`Self::poll_output`].
    pub fn handle(&mut self, input: Input, now: Now) {
        self.now = now;
        match input {
            Input::AssocUp { assoc, peer } => self.on_assoc_up(assoc, peer),
            Input::AssocDown { assoc } => self.on_assoc_down(assoc),
            Input::Ngap { assoc, stream, bytes } => self.on_ngap(assoc, stream, &bytes),
            Input::Vector { txn, result } => match self.txns.remove(&txn) {
                Some(Asked::Vector(conn)) => self.on_vector(conn, txn, result),
                Some(Asked::Rekey(supi)) => self.on_rekey_vector(supi, result),
                _ => {}
            },
            Input::Located { txn, result } => {
                if let Some(Asked::Located(supi)) = self.txns.remove(&txn) {
                    self.on_located(supi, txn, result);
                }
            }
            Input::AutsJudged { txn, result } => {
                if let Some(Asked::Judged { supi, probe, seen }) = self.txns.remove(&txn) {
                    self.on_auts_judged(supi, probe, *seen, result);
                }
            }
            Input::Address { txn, result } => {
                if let Some(Asked::Address(supi, id, dnn)) = self.txns.remove(&txn) {
                    self.on_address((supi, id, dnn), txn, result);
                }
            }
            Input::N4(bytes) => self.on_n4(&bytes),
            // Whether the gateway was restarted is seen in what it still holds.
            Input::N4Up { sessions, .. } => self.on_n4_up(sessions),
            Input::N4Down => self.on_n4_down(),
            Input::Ban { supi, cause } => self.on_ban(supi, cause),
            Input::EndedTunnelUsed { supi, teid, radio } => self.on_ended_tunnel_used(supi, teid, radio),
            Input::Deregister { supi, cause, reregister } => self.deregister_ue(supi, cause, reregister),
            Input::Subscribed(subscription) => self.on_subscribed(subscription),
            Input::EndSession { supi, id } => self.end_session(supi, id),
            Input::Serve(serving) => self.on_serving(serving),
        }
        self.watch_load();
    }

    /// The next wish, in the order in which they arose.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// When to call [`Self::handle_timeout`] at the latest.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.timers.next()
    }

    /// Lets the timers that are due fire.
    pub fn handle_timeout(&mut self, now: Now) {
        self.now = now;
        while let Some(key) = self.timers.pop(now.mono) {
            match key {
                TimerKey::GnbSetup(assoc) => self.on_ng_setup_timeout(assoc),
                TimerKey::GnbReset(assoc) => self.on_reset_timeout(assoc),
                TimerKey::GnbUpdate(assoc) => self.on_serving_timeout(assoc),
                TimerKey::Attempt(conn) => self.on_attempt_timeout(conn),
                TimerKey::AttemptGuard(conn) => self.on_attempt_guard(conn),
                TimerKey::ContextSetup(conn) => self.on_context_setup_timeout(conn),
                TimerKey::PathSwitch(conn) => self.on_path_switch_timeout(conn),
                TimerKey::ContextRelease(conn) => self.on_context_release_timeout(conn),
                TimerKey::Mm(supi) => self.on_mm_timeout(supi),
                TimerKey::Handover(supi) => self.on_handover_timeout(supi),
                TimerKey::Rekey(supi) => self.on_rekey_timeout(supi),
                TimerKey::Configuration(supi) => self.on_configuration_timeout(supi),
                TimerKey::ContextModification(conn) => self.on_context_modification_timeout(conn),
                TimerKey::Reachable(supi) => self.on_unreachable(supi),
                TimerKey::Implicit(supi) => self.on_implicit_deregistration(supi),
                TimerKey::Paging(supi) => self.on_paging_timeout(supi),
                TimerKey::Session(supi, id) => self.on_session_timeout(supi, id),
                TimerKey::Modification(supi, id) => self.on_modification_timeout(supi, id),
                TimerKey::N4(seq) => self.on_n4_timeout(seq),
            }
        }
        self.watch_load();
    }

    // ---- what others may see

    /// All UEs: those that have proved themselves, and those of whom only sessions were found in the gateway.
    pub fn ues(&self) -> impl Iterator<Item = UeView> {
        let unknown = |s: &Supi| self.registry.ue(*s).is_none();
        let adopted: BTreeSet<Supi> = self.smf.adopted_supis().filter(unknown).collect();
        let adopted = adopted.into_iter().filter_map(|s| UeView::adopted(s, self.smf.adopted_of(s)));
        self.registry.ues().map(|ue| self.view(ue)).chain(adopted)
    }

    /// Who has something here: a UE context, or sessions. Some may be named twice. Cheap: nothing is copied.
    pub fn supis(&self) -> impl Iterator<Item = Supi> {
        self.registry.ues().map(|u| u.supi).chain(self.smf.adopted_supis())
    }

    /// How many UEs are registered, and how many sessions there are, those included that were found in the gateway. Cheap:
    /// nothing is copied.
    pub fn census(&self) -> (u64, u64) {
        let (ues, sessions) = self.registry.ues().fold((0, 0), |(n, s), ue| (n + 1, s + ue.sessions.len()));
        (ues, (sessions + self.smf.adopted_supis().count()) as u64)
    }

    /// One UE.
    pub fn ue(&self, supi: Supi) -> Option<UeView> {
        match self.registry.ue(supi) {
            Some(ue) => Some(self.view(ue)),
            None => UeView::adopted(supi, self.smf.adopted_of(supi)),
        }
    }

    /// All gNBs that have completed NG Setup.
    pub fn gnbs(&self) -> impl Iterator<Item = GnbView> {
        self.gnbs.iter().filter_map(|(assoc, gnb)| {
            let setup = gnb.setup.as_ref()?;
            Some(GnbView {
                assoc: *assoc,
                peer: gnb.peer,
                name: setup.name.clone(),
                plmn: setup.id.plmn,
                id: setup.id.id,
                tacs: setup.tacs.clone(),
                ues: self.registry.count_of(*assoc),
            })
        })
    }

    /// Counters since start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How many connections, timers, questions and PFCP requests are held: for tests of bounds and leaks.
    pub fn held(&self) -> [usize; 4] {
        [self.registry.conn_count(), self.timers.len(), self.txns.len(), self.smf.in_flight()]
    }

    /// How many old security contexts and SIMs are held to find clones: for tests of bounds.
    pub fn watched(&self) -> (usize, usize) {
        self.clones.held()
    }

    fn view(&self, ue: &Ue) -> UeView {
        let state = match (&ue.mm, ue.conn) {
            (Mm::ExpectLocated { .. }, _) => UeState::Admitting,
            (Mm::ExpectRegistrationComplete { .. }, _) => UeState::Accepted,
            (Mm::ExpectDeregistrationAccept { .. }, _) => UeState::Deregistering,
            (Mm::Registered, Some(_)) => UeState::Connected,
            (Mm::Registered, None) => UeState::Idle,
        };
        let own = ue.sessions.values().map(|s| s.view());
        let adopted = self.smf.adopted_of(ue.supi).map(SessionView::adopted);
        UeView {
            supi: ue.supi,
            state,
            guti: Some(ue.guti),
            pei: ue.pei,
            gnb: ue.conn.and_then(|c| self.registry.conn(c)).map(|c| self.gnb_name(c.assoc)),
            tai: Some(ue.tai),
            cell: Some(ue.cell),
            sessions: own.chain(adopted).collect(),
        }
    }

    // ---- small words that every procedure uses

    /// Starts `key` to fire in `ms` milliseconds.
    pub(super) fn start(&mut self, key: TimerKey, ms: u64) {
        self.timers.set(key, self.now.mono.plus_ms(ms));
    }

    /// A new question.
    pub(super) fn ask(&mut self, who: Asked) -> TxnId {
        self.next_txn += 1;
        let txn = TxnId(self.next_txn);
        self.txns.insert(txn, who);
        txn
    }

    /// The answer will not be waited for.
    pub(super) fn forget_question(&mut self, txn: TxnId) {
        self.txns.remove(&txn);
    }

    /// Tells the operator.
    pub(super) fn event(&mut self, imsi: Option<Imsi>, what: Happening) {
        self.out.push_back(Output::Event(Event { at: self.now.utc, imsi, what }));
    }

    /// Tells the operator of something that an outsider can cause at will: so often and no oftener.
    pub(super) fn event_limited(&mut self, imsi: Option<Imsi>, what: Happening) {
        let second = self.now.mono.0 / 1_000_000_000;
        if self.told.second != second {
            self.told = Told { second, events: 0 };
        }
        if self.told.events == EVENTS_PER_SECOND {
            return self.refused("events-not-told");
        }
        self.told.events += 1;
        self.event(imsi, what);
    }

    /// Counts a message that was answered with silence or an error.
    pub(super) fn refused(&mut self, reason: &'static str) {
        *self.counters.refused.entry(reason).or_default() += 1;
    }

    /// Sends one NGAP message.
    pub(super) fn send(&mut self, assoc: AssocId, stream: u16, message: &Message) {
        match ngap::encode(message) {
            Ok(bytes) => self.out.push_back(Output::Send { assoc, stream, bytes }),
            // A value of ours has no place in the protocol: the peer's own timers end its procedure.
            Err(e) => {
                self.refused("unencodable");
                let text = format!("{} could not be sent: {e}", message.name());
                self.event(None, Happening::Alarm { text });
            }
        }
    }

    /// Sends one NGAP message about a connection, made from the connection.
    pub(super) fn send_on(&mut self, conn: AmfUeNgapId, make: impl FnOnce(&Conn) -> Message) {
        let Some(c) = self.registry.conn(conn) else { return };
        let (assoc, stream, message) = (c.assoc, c.stream, make(c));
        self.send(assoc, stream, &message);
    }

    /// A 5G-GUTI that nobody has.
    pub(super) fn new_guti(&mut self) -> FgGuti {
        loop {
            let tmsi = FgTmsi(self.rng.next_u32());
            if self.registry.by_tmsi(tmsi).is_none() && !self.clones.has(tmsi) {
                return FgGuti { plmn: self.config.plmn, amf: self.config.amf, tmsi };
            }
        }
    }
}
