//! SMFs that ask us as their PCRF: the wiring of peers, Gx, the directory, the ledger and the policy; and which sessions
//! live beside us, for who must know.

pub(super) mod places;

use super::{
    Control, Done,
    addresses::Asker,
    line::{self, Line},
    peers::Held,
};
use crate::{config::Config, io::diameter::DiameterEvent};
use admin_web::PeerView;
use anyhow::Result;
use gateway::time::now;
use hss::{
    Hss, diameter,
    gx::{self, Gx, GxConfig, Session, UeAddresses, Write},
};
use ipnet::IpNet;
use store::{GxSessionRow, StoreError};
use tracing::warn;
use types::{
    AddressRefusal, Dnn, Event, Happening, Imsi, Mono, Now, SessionAddress, SimState, Subscription, Supi,
    Utc, Withdrawal,
};
use wire::diameter::Identity;

/// Marks our numbers among those of questions to the directory.
const OURS: u64 = 1 << 62;

/// Whether a question to the directory was Gx's.
pub(super) fn asked(txn: u64) -> bool {
    !super::s6a::asked(txn) && txn & OURS != 0
}

/// Peers and Gx.
pub(super) struct Wiring {
    line: Line,
    gx: Gx,
}

/// A wish of either core.
pub(super) enum Wish {
    Peers(diameter::Output),
    Gx(gx::Output),
}

impl Wiring {
    /// None where no SMF is configured. Sessions are taken up again, and withdrawn from who may not live any more.
    pub(super) fn new(config: &Config, hss: &Hss, rows: Vec<GxSessionRow>) -> Result<Option<Box<Self>>> {
        let Some(c) = &config.gx else { return Ok(None) };
        let now = now();
        let (line, host, realm) = Line::new(&c.face(), now)?;
        let mut gx = Gx::new(GxConfig { host, realm, smfs: c.smfs() });
        let dead = |imsi: Imsi| !hss.state(imsi).is_some_and(lives);
        let withdrawn: Vec<Imsi> = rows.iter().map(|r| r.imsi).filter(|i| dead(*i)).collect();
        gx.handle(gx::Input::Load(rows.into_iter().filter_map(session).collect()), now);
        for imsi in withdrawn {
            gx.handle(gx::Input::Withdraw { imsi }, now);
        }
        Ok(Some(Box::new(Self { line, gx })))
    }

    /// SMFs that are there.
    pub(super) fn smfs(&self) -> impl Iterator<Item = &Identity> {
        self.line.peers.up()
    }

    /// How many messages have come.
    pub(super) fn messages(&self) -> u64 {
        self.line.peers.messages()
    }

    /// The SIMs that have sessions.
    pub(super) fn sims(&self) -> impl Iterator<Item = Imsi> {
        self.gx.sessions().map(|s| s.imsi)
    }

    /// How many sessions live.
    pub(super) fn sessions(&self) -> usize {
        self.gx.len()
    }

    /// Every SMF of the list, as it stands.
    pub(super) fn views(&self) -> Vec<PeerView> {
        let held = |smf: &Identity| Held { holds: self.gx.held_at(smf), ended: self.gx.lost_at(smf), due: 0 };
        self.line.views("gx", held)
    }

    pub(super) fn poll_output(&mut self) -> Option<Wish> {
        self.gx.poll_output().map(Wish::Gx).or_else(|| self.line.poll_output().map(Wish::Peers))
    }

    pub(super) fn flush(&mut self) {
        self.line.flush();
    }

    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        [self.line.peers.poll_timeout(), self.gx.poll_timeout()].into_iter().flatten().min()
    }

    pub(super) fn handle_timeout(&mut self, now: Now) {
        self.line.peers.handle_timeout(now);
        self.gx.handle_timeout(now);
    }
}

/// States in which a SIM may have sessions.
pub(super) fn lives(state: SimState) -> bool {
    matches!(state, SimState::Ready | SimState::Active)
}

fn session(r: GxSessionRow) -> Option<Session> {
    Some(Session {
        smf: Identity::new(&r.smf)?,
        id: r.session,
        imsi: r.imsi,
        dnn: r.dnn,
        addresses: UeAddresses { ipv4: r.ip, prefix: r.prefix },
        state: r.state,
    })
}

fn row(s: Session, since: Utc) -> GxSessionRow {
    GxSessionRow {
        smf: s.smf.to_string(),
        session: s.id,
        imsi: s.imsi,
        dnn: s.dnn,
        ip: s.addresses.ipv4,
        prefix: s.addresses.prefix,
        state: s.state,
        since,
        // It has not been said yet, or stays as it is.
        place: None,
    }
}

impl Control {
    /// What the transport says.
    pub(super) fn gx_event(&mut self, e: DiameterEvent) {
        if let Some(w) = &mut self.gx {
            w.line.event(e);
        }
    }

    /// What the peers' core or Gx wants.
    pub(super) fn gx_wish(&mut self, wish: Wish) {
        match wish {
            Wish::Peers(o) => self.smfs_wish(o),
            Wish::Gx(o) => self.gx_face_wish(o),
        }
    }

    fn smfs_wish(&mut self, o: diameter::Output) {
        use diameter::Output as O;
        let now = now();
        let what = match o {
            // The line's own.
            O::Send { .. } | O::Close { .. } => return,
            O::Request { id, peer, message } => {
                return self.tell_gx(gx::Input::Request { id, peer, message });
            }
            O::Answered { txn, message } => {
                return self.tell_gx(gx::Input::Answered { txn, message: Some(message) });
            }
            O::Unanswered { txn } => return self.tell_gx(gx::Input::Answered { txn, message: None }),
            O::Up { peer, state, .. } => {
                self.tell_gx(gx::Input::Up { peer: peer.clone(), state });
                Happening::SmfUp { name: peer.to_string() }
            }
            O::Down { peer, why } => Happening::SmfDown { name: peer.to_string(), why: line::gone(why) },
            O::Refused { claimed, from, why } => {
                let (claimed, address) = (claimed.to_string(), from.to_string());
                Happening::SmfRefused { claimed, address, why: line::refused(why) }
            }
        };
        self.happened(Event { at: now.utc, imsi: None, what });
    }

    fn gx_face_wish(&mut self, o: gx::Output) {
        use gx::Output as O;
        let now = now();
        let (imsi, what) = match o {
            O::Locate { txn, imsi, pei } => {
                let supi = Supi(imsi);
                // Whoever judged it where it is served has judged its device, which an SMF need not name.
                let input = match pei {
                    None if self.served_by(imsi).is_some() => hss::Input::Admit { txn: txn | OURS, supi },
                    pei => hss::Input::Locate { txn: txn | OURS, supi, pei },
                };
                if let Some(refusal) = self.refusal_without_directory() {
                    return self.tell_gx(gx::Input::Refused { txn, refusal });
                }
                return self.hss.handle(input, now);
            }
            O::Addresses { txn, imsi, dnn, lease, foreign } => {
                if !self.pools_are_without(&foreign) {
                    return self.tell_gx(gx::Input::Addresses { txn, lease: None, disjoint: false });
                }
                match lease {
                    true => return self.lease(Asker::Bearer(txn), imsi, dnn),
                    false => {
                        return self.tell_gx(gx::Input::Addresses { txn, lease: None, disjoint: true });
                    }
                }
            }
            O::Policy { txn, imsi, most } => {
                let policy = self.policy.source().session_policy(imsi, most);
                return self.tell_gx(gx::Input::Policy { txn, policy });
            }
            O::Persist { txn, write } => return self.store_gx(txn, write, now.utc),
            O::Answer { id, message } => return self.tell_smfs(diameter::Input::Answer { id, message }),
            O::Ask { txn, peer, message } => {
                return self.tell_smfs(diameter::Input::Ask { txn, peer, message });
            }
            O::Began(Session { imsi, smf, dnn, addresses, .. }) => {
                // With another session of it there may be a place already, which this one has not.
                if let Some(seen) = self.place_at_smf(imsi) {
                    self.places.keep(imsi, seen);
                }
                let (smf, address) = (smf.to_string(), addresses.to_string());
                (imsi, Happening::SmfSessionUp { smf, dnn, address })
            }
            O::Seen { imsi, place } => {
                if let Some(seen) = self.seen_by_smf(imsi, place) {
                    self.places.keep(imsi, seen);
                }
                return;
            }
            O::Ended(Session { imsi, smf, dnn, .. }) => {
                if self.sessions_at_smfs(imsi).next().is_none() {
                    self.seen_no_more(imsi);
                }
                (imsi, Happening::SmfSessionDown { smf: smf.to_string(), dnn })
            }
            O::Denied { imsi, smf, dnn, reason } => {
                (imsi, Happening::SmfDenied { smf: smf.to_string(), dnn, reason })
            }
            O::WrongAddress { imsi, smf, dnn, given, ours } => {
                let (given, ours) = (given.to_string(), ours.to_string());
                (imsi, Happening::SmfWrongAddress { smf: smf.to_string(), dnn, given, ours })
            }
            O::Withdrawn { imsi, smf, dnn, how } => {
                // Nothing carries its packets any more, whatever an MME still has of it.
                if how == Withdrawal::Effective && self.smfs_let_go(imsi).1 {
                    self.gone_at_mme(imsi);
                }
                (imsi, Happening::SessionWithdrawn { smf: smf.to_string(), dnn, how })
            }
        };
        self.happened(Event { at: now.utc, imsi: Some(imsi), what });
    }

    /// The gateway has no session of this SIM there any more: what was to be withdrawn at Gx is.
    pub(super) fn path_gone(&mut self, imsi: Imsi, dnn: &Dnn) {
        self.tell_gx(gx::Input::Gone { imsi, dnn: dnn.clone() });
    }

    fn tell_gx(&mut self, input: gx::Input) {
        if let Some(w) = &mut self.gx {
            w.gx.handle(input, now());
        }
    }

    fn tell_smfs(&mut self, input: diameter::Input) {
        if let Some(w) = &mut self.gx {
            w.line.peers.handle(input, now());
        }
    }

    /// The directory's answer to a question of Gx's.
    pub(super) fn gx_located(&mut self, txn: u64, input: impl FnOnce(u64) -> gx::Input) {
        self.tell_gx(input(txn & !OURS));
    }

    /// The ledger's answer to a question of Gx's.
    pub(super) fn bearer_leased(&mut self, txn: u64, lease: Result<SessionAddress, AddressRefusal>) {
        self.tell_gx(gx::Input::Addresses { txn, lease: Some(lease), disjoint: true });
    }

    /// A session is durable, or its end, or could not be made so.
    pub(super) fn gx_stored(&mut self, txn: u64, ok: bool) {
        self.tell_gx(gx::Input::Persisted { txn, ok });
    }

    fn store_gx(&self, txn: u64, write: Write, at: Utc) {
        let (store, done) = (self.store.clone(), self.done.clone());
        tokio::spawn(async move {
            let ok: Result<(), StoreError> = match write {
                Write::Begin(s) => store.begin_gx_session(row(s, at)).await,
                Write::End(key) => store.end_gx_session(key.smf.to_string(), key.id).await,
            };
            if let Err(e) = &ok {
                warn!("which sessions live at an SMF could not be written: {e}");
            }
            drop(done.send(Done::GxStored { txn, ok: ok.is_ok() }));
        });
    }

    /// Whether none of these lies in a pool of ours.
    fn pools_are_without(&self, foreign: &[IpNet]) -> bool {
        let mut pools = self.policy.source().data_networks.iter().flat_map(|n| n.pools());
        !pools.any(|p| foreign.iter().any(|f| crate::config::overlap(&p, f)))
    }

    /// A SIM may not be served any more: every SMF that has a session of it is told, and told again until it has ended.
    pub(super) fn release_at_smfs(&mut self, imsi: Imsi) {
        self.tell_gx(gx::Input::Withdraw { imsi });
    }

    /// What a SIM may have from now on.
    pub(super) fn subscribed_at_smfs(&mut self, s: &Subscription) {
        self.tell_gx(gx::Input::Subscribed(s.clone()));
    }

    /// It may be served again.
    pub(super) fn restore_at_smfs(&mut self, imsi: Imsi) {
        self.tell_gx(gx::Input::Restore { imsi });
    }

    /// Sessions of a SIM that live at SMFs, as Gx says: with which address, where, at whom.
    pub(crate) fn sessions_at_smfs(&self, imsi: Imsi) -> impl Iterator<Item = &Session> {
        self.gx.iter().flat_map(move |w| w.gx.sessions_of(imsi))
    }

    /// SMFs that have a session of this SIM.
    pub(super) fn session_holders(&self, imsi: Imsi) -> Vec<String> {
        let mut all: Vec<String> = self.sessions_at_smfs(imsi).map(|s| s.smf.to_string()).collect();
        all.dedup();
        all
    }

    /// Whether every SMF has acknowledged that it ends the sessions of this SIM, and whether they are over.
    pub(super) fn smfs_let_go(&self, imsi: Imsi) -> (bool, bool) {
        let acknowledged = self.gx.as_ref().is_none_or(|w| w.gx.is_acknowledged(imsi));
        (acknowledged, self.gx.as_ref().is_none_or(|w| w.gx.is_let_go(imsi)))
    }

    /// Every SMF is told that we go away; what was said by then is sent.
    pub(super) fn farewell_to_smfs(&mut self) {
        self.tell_smfs(diameter::Input::Farewell);
        self.drain();
    }
}

#[cfg(all(test, feature = "lab"))]
pub(super) mod tests;
