//! Contexts and where they are found: connections by AMF UE NGAP ID, UEs by SUPI and by 5G-TMSI.
//!
//! A connection ([`Conn`]) is what a gNB holds for somebody. A UE ([`Ue`]) is a subscriber who has proved
//! itself. They are apart because most connections begin with somebody who has proved nothing: such an
//! attempt lives on its connection alone and dies with it.

use super::AssocId;
use super::authentication::Attempt;
use super::configuration::Configuring;
use super::handover::Handover;
use super::path_switch::Switching;
use super::rekey::Rekey;
use super::security::{KeyChain, SecurityContext};
use super::session::Session;
use std::collections::{BTreeMap, BTreeSet};
use types::{FgGuti, FgTmsi, Mono, PduSessionId, Pei, Snssai, Subscription, Supi, Tai};
use wire::nas::fgs::{RegistrationRequest, SessionSet, UeSecurityCapability};
use wire::ngap::{AmfUeNgapId, RanUeNgapId};

/// One UE-associated logical NG connection (TS 38.413 §8.6).
pub(super) struct Conn {
    /// Our name of it.
    pub(super) id: AmfUeNgapId,
    /// The gNB's association.
    pub(super) assoc: AssocId,
    /// The gNB's name of it.
    pub(super) ran: RanUeNgapId,
    /// SCTP stream that its messages use.
    pub(super) stream: u16,
    /// Where the UE is.
    pub(super) tai: Tai,
    /// NR cell identity where the UE is.
    pub(super) cell: u64,
    /// The UE context at the gNB.
    pub(super) radio: Radio,
    /// NAS COUNT of the uplink message that made it a UE's: KgNB is derived from it (TS 33.501 §6.8.1.2.2).
    pub(super) ul_count: u32,
    /// Keys for the handovers to come; none before the context was asked for.
    pub(super) chain: Option<KeyChain>,
    /// The UE has just come here from another gNB, which was not answered yet.
    pub(super) switching: Option<Switching>,
    /// The keys that its radio is being told (UE Context Modification).
    pub(super) new_chain: Option<KeyChain>,
    /// Its radio is being told the UE's rates (UE Context Modification).
    pub(super) rates_asked: bool,
    /// Who is on it.
    pub(super) phase: Phase,
}

/// State of Initial Context Setup on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Radio {
    /// Only NAS passes.
    Bare,
    /// The request is out.
    ExpectSetup,
    /// Access stratum security is up.
    Up,
}

/// Who is on a connection.
pub(super) enum Phase {
    /// Somebody who has proved nothing yet.
    Attempt(Box<Attempt>),
    /// This UE, and no other connection is its own.
    Ue(Supi),
    /// This UE is awaited, which has its own connection elsewhere: a handover.
    Arriving(Supi),
    /// Nobody: UE Context Release Command is out.
    Leaving,
}

/// A subscriber who has proved itself and runs a security context with us.
pub(super) struct Ue {
    /// Who.
    pub(super) supi: Supi,
    /// Its temporary identity.
    pub(super) guti: FgGuti,
    /// The one before it, valid until Registration Complete (TS 24.501 §5.5.1.2.4).
    pub(super) old_guti: Option<FgGuti>,
    /// Its device.
    pub(super) pei: Option<Pei>,
    /// Keys and counts.
    pub(super) security: SecurityContext,
    /// Its algorithms, as confirmed under integrity.
    pub(super) capability: UeSecurityCapability,
    /// What its radio can do, as a gNB told it: octets of RRC.
    pub(super) radio_capability: Option<Box<[u8]>>,
    /// What it may have; none until `hss` has said.
    pub(super) subscription: Option<Subscription>,
    /// Slices that it was allowed at its registration.
    pub(super) allowed: Vec<Snssai>,
    /// Its mobility management state.
    pub(super) mm: Mm,
    /// A handover by way of us, beside that state.
    pub(super) handover: Option<Handover>,
    /// New keys under way, beside that state.
    pub(super) rekey: Option<Box<Rekey>>,
    /// When new keys are due.
    pub(super) keys_due: Option<Mono>,
    /// A configuration update that the UE has not confirmed (T3555), beside that state.
    pub(super) configuring: Option<Configuring>,
    /// Its connection; none in CM-IDLE.
    pub(super) conn: Option<AmfUeNgapId>,
    /// Where it was last.
    pub(super) tai: Tai,
    /// NR cell identity where it was last.
    pub(super) cell: u64,
    /// What is known of it while it is idle.
    pub(super) reach: Reach,
    /// Sessions for which packets wait in the gateway.
    pub(super) data_waits: SessionSet,
    /// Its PDU sessions. Each stands apart: a map has room for eleven where most UEs have one.
    pub(super) sessions: BTreeMap<PduSessionId, Box<Session>>,
}

/// 5GMM state on the network's side, with what each state needs and nothing else.
pub(super) enum Mm {
    /// `hss` is asked whether it may live. `before` says whether it was registered already.
    ExpectLocated {
        /// The question.
        txn: super::TxnId,
        /// What the UE asked for.
        request: Box<RegistrationRequest>,
        /// True for a UE that was registered before this request.
        registered: bool,
    },
    /// Registration Accept is out (T3550).
    ExpectRegistrationComplete {
        /// What the UE asked for: the same again is answered by the same.
        request: Box<RegistrationRequest>,
        /// The accept, unprotected, for retransmission.
        accept: Vec<u8>,
        /// Retransmissions left.
        left: u8,
        /// The UE wants nothing more: release the connection when it has confirmed.
        then_release: bool,
        /// It is news to the operator (a periodic update is not).
        news: bool,
    },
    /// 5GMM-REGISTERED.
    Registered,
    /// Deregistration Request is out (T3522); nothing of the UE is up any more.
    ExpectDeregistrationAccept {
        /// The request, unprotected, for retransmission.
        request: Vec<u8>,
        /// Retransmissions left.
        left: u8,
    },
}

/// Can an idle UE be called? A connected one is [`Reach::Listens`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// It listens, as far as anybody knows.
    Listens,
    /// It is being paged (T3513).
    Paged {
        /// Calls left.
        left: u8,
    },
    /// It did not come: it is left alone for a while.
    LeftAlone,
    /// The mobile reachable timer ran out (TS 24.501 §5.3.7): it is not paged.
    Gone,
}

impl Ue {
    /// True where a session has its radio, or is about to.
    pub(super) fn has_user_plane(&self) -> bool {
        self.sessions.values().any(|s| !s.is_idle())
    }

    /// True where traffic and new sessions are in order.
    pub(super) fn is_registered(&self) -> bool {
        matches!(self.mm, Mm::ExpectRegistrationComplete { .. } | Mm::Registered)
    }
}

/// A UE that a gNB was asked to take.
enum Arrival {
    /// Its answer is awaited.
    Awaited(Supi),
    /// The handover is over: this gNB is to release it.
    GivenUp(AssocId),
}

/// All contexts.
#[derive(Default)]
pub(super) struct Registry {
    conns: BTreeMap<AmfUeNgapId, Conn>,
    /// By association and the gNB's own name; no association without a name.
    by_ran: BTreeMap<AssocId, BTreeMap<RanUeNgapId, AmfUeNgapId>>,
    attempts: BTreeSet<AmfUeNgapId>,
    /// Names under which gNBs were asked to take a UE and have not answered.
    arrivals: BTreeMap<AmfUeNgapId, Arrival>,
    /// Each stands apart: a map's leaves are half empty.
    ues: BTreeMap<Supi, Box<Ue>>,
    by_tmsi: BTreeMap<FgTmsi, Supi>,
    next_id: u64,
}

impl Registry {
    /// An empty one, whose first AMF UE NGAP ID follows `first`.
    pub(super) fn new(first: u32) -> Self {
        Self { next_id: u64::from(first), ..Self::default() }
    }

    // ---- connections

    /// A name for a new connection that no connection has.
    pub(super) fn next_id(&mut self) -> AmfUeNgapId {
        loop {
            self.next_id = (self.next_id + 1) & AmfUeNgapId::MAX;
            if let Some(id) = AmfUeNgapId::new(self.next_id)
                .filter(|id| !self.conns.contains_key(id) && !self.arrivals.contains_key(id))
            {
                return id;
            }
        }
    }

    /// Takes a new connection in.
    pub(super) fn insert_conn(&mut self, conn: Conn) {
        self.by_ran.entry(conn.assoc).or_default().insert(conn.ran, conn.id);
        if matches!(conn.phase, Phase::Attempt(_)) {
            self.attempts.insert(conn.id);
        }
        self.conns.insert(conn.id, conn);
    }

    /// A connection goes over to another gNB, which calls it `ran`.
    pub(super) fn move_conn(&mut self, id: AmfUeNgapId, assoc: AssocId, ran: RanUeNgapId) {
        if let Some(conn) = self.remove_conn(id) {
            self.insert_conn(Conn { assoc, ran, ..conn });
        }
    }

    /// The connection of this name on this association.
    pub(super) fn conn_of(&self, assoc: AssocId, id: AmfUeNgapId) -> Option<&Conn> {
        self.conns.get(&id).filter(|c| c.assoc == assoc)
    }

    /// The connection that this gNB calls `ran`.
    pub(super) fn conn_by_ran(&self, assoc: AssocId, ran: RanUeNgapId) -> Option<AmfUeNgapId> {
        self.by_ran.get(&assoc)?.get(&ran).copied()
    }

    /// A connection that we know to be ours.
    pub(super) fn conn(&self, id: AmfUeNgapId) -> Option<&Conn> {
        self.conns.get(&id)
    }

    /// A connection that we know to be ours, to change. Its phase changes by [`Self::set_phase`].
    pub(super) fn conn_mut(&mut self, id: AmfUeNgapId) -> Option<&mut Conn> {
        self.conns.get_mut(&id)
    }

    /// Puts somebody else on a connection and gives back who was there.
    pub(super) fn set_phase(&mut self, id: AmfUeNgapId, phase: Phase) -> Option<Phase> {
        let conn = self.conns.get_mut(&id)?;
        if matches!(phase, Phase::Attempt(_)) {
            self.attempts.insert(id);
        } else {
            self.attempts.remove(&id);
        }
        Some(std::mem::replace(&mut conn.phase, phase))
    }

    /// Forgets a connection.
    pub(super) fn remove_conn(&mut self, id: AmfUeNgapId) -> Option<Conn> {
        let conn = self.conns.remove(&id)?;
        self.attempts.remove(&id);
        if let Some(names) = self.by_ran.get_mut(&conn.assoc) {
            if names.get(&conn.ran) == Some(&id) {
                names.remove(&conn.ran);
            }
            if names.is_empty() {
                self.by_ran.remove(&conn.assoc);
            }
        }
        Some(conn)
    }

    /// All connections of a gNB.
    pub(super) fn conns_of(&self, assoc: AssocId) -> Vec<AmfUeNgapId> {
        self.by_ran.get(&assoc).into_iter().flat_map(|names| names.values().copied()).collect()
    }

    /// How many connections a gNB has.
    pub(super) fn count_of(&self, assoc: AssocId) -> usize {
        self.by_ran.get(&assoc).map_or(0, BTreeMap::len)
    }

    /// How many unauthenticated attempts there are.
    pub(super) fn attempt_count(&self) -> usize {
        self.attempts.len()
    }

    /// All unauthenticated attempts.
    pub(super) fn attempts(&self) -> impl Iterator<Item = AmfUeNgapId> {
        self.attempts.iter().copied()
    }

    /// How many connections there are.
    pub(super) fn conn_count(&self) -> usize {
        self.conns.len()
    }

    /// A gNB is asked to take a UE under this name.
    pub(super) fn expect_arrival(&mut self, id: AmfUeNgapId, supi: Supi) {
        self.arrivals.insert(id, Arrival::Awaited(supi));
    }

    /// Whom a gNB was asked to take under this name.
    pub(super) fn arrival(&self, id: AmfUeNgapId) -> Option<Supi> {
        match self.arrivals.get(&id) {
            Some(Arrival::Awaited(supi)) => Some(*supi),
            Some(Arrival::GivenUp(_)) | None => None,
        }
    }

    /// It is to release what it has made under this name.
    pub(super) fn give_up_arrival(&mut self, id: AmfUeNgapId, assoc: AssocId) {
        self.arrivals.insert(id, Arrival::GivenUp(assoc));
    }

    /// The gNB that is to release what it has made under this name.
    pub(super) fn given_up_at(&self, id: AmfUeNgapId) -> Option<AssocId> {
        match self.arrivals.get(&id) {
            Some(Arrival::GivenUp(assoc)) => Some(*assoc),
            Some(Arrival::Awaited(_)) | None => None,
        }
    }

    /// True where this gNB is to release what it has made under this name.
    pub(super) fn was_given_up(&self, id: AmfUeNgapId, assoc: AssocId) -> bool {
        self.given_up_at(id) == Some(assoc)
    }

    /// The gNB has answered, or is not waited for any more.
    pub(super) fn arrived(&mut self, id: AmfUeNgapId) {
        self.arrivals.remove(&id);
    }

    // ---- UEs

    /// The UE with this identity.
    pub(super) fn ue(&self, supi: Supi) -> Option<&Ue> {
        self.ues.get(&supi).map(|ue| &**ue)
    }

    /// The UE with this identity, to change.
    pub(super) fn ue_mut(&mut self, supi: Supi) -> Option<&mut Ue> {
        self.ues.get_mut(&supi).map(|ue| &mut **ue)
    }

    /// All UEs.
    pub(super) fn ues(&self) -> impl Iterator<Item = &Ue> {
        self.ues.values().map(|ue| &**ue)
    }

    /// How many UEs there are.
    pub(super) fn ue_count(&self) -> usize {
        self.ues.len()
    }

    /// Who has this temporary identity.
    pub(super) fn by_tmsi(&self, tmsi: FgTmsi) -> Option<Supi> {
        self.by_tmsi.get(&tmsi).copied()
    }

    /// Takes a UE in, with its temporary identities.
    pub(super) fn insert_ue(&mut self, ue: Ue) {
        self.by_tmsi.insert(ue.guti.tmsi, ue.supi);
        if let Some(old) = ue.old_guti {
            self.by_tmsi.insert(old.tmsi, ue.supi);
        }
        self.ues.insert(ue.supi, Box::new(ue));
    }

    /// Forgets a UE and its temporary identities.
    pub(super) fn remove_ue(&mut self, supi: Supi) -> Option<Ue> {
        let ue = self.ues.remove(&supi)?;
        for guti in std::iter::once(ue.guti).chain(ue.old_guti) {
            self.by_tmsi.remove(&guti.tmsi);
        }
        Some(*ue)
    }

    /// Gives a UE a new temporary identity. The one that it `used` stays valid beside it: of two that it may
    /// have, it has just shown which.
    pub(super) fn renew_guti(&mut self, supi: Supi, guti: FgGuti, used: Option<FgGuti>) {
        let Some(ue) = self.ues.get_mut(&supi) else { return };
        let keep = used.unwrap_or(ue.guti);
        for older in std::iter::once(ue.guti).chain(ue.old_guti) {
            self.by_tmsi.remove(&older.tmsi);
        }
        ue.old_guti = Some(keep);
        ue.guti = guti;
        self.by_tmsi.insert(keep.tmsi, supi);
        self.by_tmsi.insert(guti.tmsi, supi);
    }

    /// The UE has confirmed its new temporary identity: the old one is nobody's.
    pub(super) fn confirm_guti(&mut self, supi: Supi) {
        if let Some(old) = self.ues.get_mut(&supi).and_then(|ue| ue.old_guti.take()) {
            self.by_tmsi.remove(&old.tmsi);
        }
    }
}
