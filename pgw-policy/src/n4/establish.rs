//! A session is made: who may, with which TEIDs, in which shard.

use super::change::Done;
use super::rules::{Draft, Refusal, Speaker, Wanted, ie};
use super::{Asked, Entry, N4, Peer, SESSIONS_PER_SIM};
use crate::batch::ShardId;
use crate::command::ShardCommand;
use crate::session::Identity;
use crate::shard::shard_of;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use types::{ForeignAsk, ForeignGrant, Imsi, Mono, Now, Seid, Supi, Teid, UeIp};
use wire::pfcp::{self, Cause, FSeid};

/// A control plane's end of a session. 0 stands for none (§7.2.2.4.2): nobody could be told of that session.
pub(super) fn named_by(cp: FSeid) -> Result<FSeid, Refusal> {
    match cp.seid {
        0 => Err(Refusal::element(Cause::MandatoryIeIncorrect, ie::F_SEID)),
        _ => Ok(cp),
    }
}

impl N4 {
    /// `grant` is the word about a foreign peer's SIM; without it, it is asked for, and this comes again.
    pub(super) fn establish(
        &mut self,
        asked: Asked,
        m: &pfcp::SessionEstablishmentRequest,
        grant: Option<ForeignGrant>,
        now: Now,
    ) -> Result<(), Refusal> {
        let peer = asked.peer;
        if self.associations.get(&peer).is_none_or(|a| a.node != m.node_id || a.silent) {
            return Err(Refusal::element(Cause::NoAssociation, ie::NODE_ID));
        }
        let cp = named_by(m.cp_f_seid)?;
        // D4: a session without an identified SIM carries nothing; so it is not made.
        let imsi = m.user_id.as_ref().and_then(|u| u.imsi);
        let imsi = imsi.ok_or(Refusal::element(Cause::ConditionalIeMissing, ie::USER_ID))?;
        let supi = Supi(imsi);
        if self.revoked.contains(&imsi) {
            return Err(Refusal::element(Cause::Rejected, ie::USER_ID));
        }
        let mut draft = Draft::establish(m, self.establisher(peer, m))?;
        let chooses = draft.leaves_address();
        if let Peer::Udp(smf) = peer {
            let dnn = m.apn_dnn.as_ref().map(|d| d.0.clone());
            let dnn = dnn.ok_or(Refusal::element(Cause::ConditionalIeMissing, ie::APN_DNN))?;
            let Some(grant) = grant else {
                let ip = if chooses { None } else { Some(draft.ue()?) };
                let ask = ForeignAsk { id: 0, smf, imsi, dnn, ip, prefix: draft.prefix()? };
                return self.ask_about(asked, m, ask, now);
            };
            draft.settle(grant);
        }
        let (ue, prefix) = (draft.ue()?, draft.prefix()?);
        if grant.is_some_and(|g| g.ip != ue || prefix.is_some_and(|p| Some(p) != g.prefix)) {
            return Err(Refusal::element(Cause::RuleFailure, ie::UE_IP_ADDRESS));
        }
        let old = self.replaceable(peer, supi, ue)?;
        // The same holds for its prefix.
        if prefix.and_then(|p| self.by_prefix.get(&p)).is_some_and(|s| Some(*s) != old) {
            return Err(Refusal::element(Cause::RuleFailure, ie::UE_IP_ADDRESS));
        }
        let mine = self.by_supi.get(&supi).map_or(0, BTreeSet::len);
        if old.is_none() && (self.sessions.len() >= self.config.max_sessions || mine >= SESSIONS_PER_SIM) {
            return Err(Refusal::of(Cause::NoResources));
        }
        let shard = self.shard_for(imsi, &draft)?;
        self.check_named(&draft, old)?;
        self.check_tunnels(&draft, peer)?;
        // From here on things change.
        let mut commands = Vec::new();
        let mut rest = BTreeSet::new();
        if let Some(old) = old
            && let Some(gone) = self.forget(old)
        {
            commands.push((gone.shard, ShardCommand::Remove { seid: old }));
            commands.extend(self.routes_off(&gone.nets(), gone.shard));
            rest = gone.teids();
        }
        // Those that the new session takes over do not rest.
        for t in &rest {
            self.teids.release(*t, now.mono);
        }
        let named = draft.wanted.iter().any(|(_, w)| matches!(w, Wanted::Given(_)));
        let created = match self.give_teids(&mut draft, shard, now.mono) {
            Some(created) => created,
            None => {
                let answer = self.establishment_refused(m.cp_f_seid.seid, Refusal::of(Cause::NoResources));
                let owner = |s| (s, ShardCommand::UeOwner { ue, shard: None });
                commands.extend(self.all_shards().map(owner));
                self.start(commands, Done::Answer { asked, seid: Some(m.cp_f_seid.seid), message: answer });
                return Ok(());
            }
        };
        let seid = self.new_seid();
        let identity = Identity {
            supi,
            ue,
            prefix,
            dnn: m.apn_dnn.as_ref().map(|d| d.0.clone()),
            snssai: m.s_nssai.map(|s| s.0),
            pdu_session_id: m.pdu_session.map(|p| p.0),
        };
        let rules = draft.rules;
        let entry = Entry {
            peer,
            cp,
            identity,
            shard,
            rules,
            routes: Vec::new(),
            ready: false,
            since: now.utc,
            chose_address: chooses,
            meters: BTreeMap::new(),
            quiet: super::bar::Quiet::No,
        };
        self.remember(seid, entry);
        if named {
            self.restored(peer);
        }
        self.carry(seid, &mut commands);
        if let Some(prefix) = prefix.map(IpNet::from) {
            let on = |s| (s, ShardCommand::RouteOwner { prefix, shard, on: true });
            commands.extend(self.all_shards().map(on));
        }
        commands.extend(self.sessions.get(&seid).map(|e| (shard, ShardCommand::Insert(e.spec(seid)))));
        commands.extend(self.all_shards().map(|s| (s, ShardCommand::UeOwner { ue, shard: Some(shard) })));
        self.start(commands, Done::Established { asked, seid, created });
        Ok(())
    }

    /// Who establishes a session. A foreign one may name TEIDs of ours where it says that the session is older than our
    /// start (RESTI, TS 23.527 §4.3): ours of before, which nobody has yet.
    fn establisher(&self, peer: Peer, m: &pfcp::SessionEstablishmentRequest) -> Speaker {
        let restores = m.flags.is_some_and(|f| f.0 & 0x01 != 0);
        let who = self.speaker(peer);
        Speaker {
            may_name_teids: who.may_name_teids || restores,
            may_leave_address: peer != Peer::Local,
            ..who
        }
    }

    /// R109: the address of a live session is nobody else's. The same SIM's new session replaces its old one.
    pub(super) fn replaceable(&self, peer: Peer, supi: Supi, ue: UeIp) -> Result<Option<Seid>, Refusal> {
        let Some(&old) = self.by_ue.get(&ue) else { return Ok(None) };
        let same = self.sessions.get(&old).is_some_and(|e| e.peer == peer && e.identity.supi == supi);
        if same { Ok(Some(old)) } else { Err(Refusal::element(Cause::RuleFailure, ie::UE_IP_ADDRESS)) }
    }

    /// Where named TEIDs are, else where all sessions of this SIM go.
    pub(super) fn shard_for(&self, imsi: Imsi, draft: &Draft) -> Result<ShardId, Refusal> {
        let shards = self.config.shards;
        let mut named = draft.wanted.iter().filter_map(|(_, w)| match w {
            Wanted::Given(t) => Some(shard_of(*t, shards)),
            Wanted::Choose(_) => None,
        });
        let Some(first) = named.next() else {
            let mixed = imsi.digits().fold(0u32, |h, d| h.wrapping_mul(31).wrapping_add(u32::from(d)));
            return Ok(ShardId((mixed.wrapping_mul(0x9e37_79b9) >> 16) as u8 % shards));
        };
        if named.any(|s| s != first) {
            return Err(Refusal::element(Cause::InvalidFteidAllocation, ie::F_TEID));
        }
        Ok(first)
    }

    /// A named TEID is free, rests from itself, or belongs to the session that is replaced.
    pub(super) fn check_named(&self, draft: &Draft, old: Option<Seid>) -> Result<(), Refusal> {
        let olds = old.and_then(|s| self.sessions.get(&s)).map(Entry::teids).unwrap_or_default();
        for (_, wanted) in &draft.wanted {
            if let Wanted::Given(t) = wanted
                && !olds.contains(t)
                && !self.teids.is_claimable(*t)
            {
                return Err(Refusal::element(Cause::InvalidFteidAllocation, ie::F_TEID));
            }
        }
        Ok(())
    }

    /// Gives the PDRs their tunnel endpoints. All or none; those that were chosen are told to the peer.
    pub(super) fn give_teids(
        &mut self,
        draft: &mut Draft,
        shard: ShardId,
        now: Mono,
    ) -> Option<Vec<(u16, Teid)>> {
        let mut chosen: BTreeMap<u8, Teid> = BTreeMap::new();
        let (mut taken, mut created, mut ok) = (Vec::new(), Vec::new(), true);
        for (pdr, wanted) in std::mem::take(&mut draft.wanted) {
            let teid = match wanted {
                Wanted::Given(t) if taken.contains(&t) => Some(t),
                Wanted::Given(t) => self.teids.claim(t, now).then_some(t),
                Wanted::Choose(id) => match id.and_then(|id| chosen.get(&id)) {
                    Some(t) => Some(*t),
                    None => self.teids.choose(shard, &mut self.chance, now),
                },
            };
            let Some(teid) = teid else {
                ok = false;
                break;
            };
            taken.push(teid);
            if let Wanted::Choose(id) = wanted {
                created.push((pdr, teid));
                chosen.extend(id.map(|id| (id, teid)));
            }
            if let Some(p) = draft.rules.pdrs.get_mut(&pdr) {
                p.teid = Some(teid);
            }
        }
        if !ok {
            for t in taken {
                self.teids.release(t, now);
            }
            return None;
        }
        Some(created)
    }
}
