//! Sessions that foreign SMFs steer in our gateway (N4, Sxb): may this SIM have it, and with which address?
//!
//! The SMF is not believed. A session is granted where the SIM may live, is attached at an MME of ours (where we are the
//! HSS), has this very session at Gx (where we are the PCRF), has the data network, and has this address: by our ledger, so that its lease is durable before the SMF hears of
//! it and "who had this address" knows the session, or of the range that the SMF gives by itself, which is noted as a lease
//! in the same way (`leases`). What is granted is
//! looked at again in every round of the reconciler: what may not live any longer ends in the gateway.

mod leases;

pub(super) use leases::Leases;

use super::{Control, addresses::Asker};
use crate::config::n4::Smf;
use gateway::{
    link::{GatewayHello, SmfStatus, ToGateway},
    time::now,
};
use ipnet::Ipv6Net;
use leases::{leases_of, nets_of};
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
};
use tracing::info;
use types::{
    AddressRefusal, Dnn, Event, ForeignAsk, ForeignGrant, ForeignRefusal, ForeignSession, Happening, Imsi,
    Seid, SessionAddress, SimState, SmfState,
};

/// What the gateway has of foreign SMFs.
#[derive(Default)]
pub(super) struct Foreign {
    sessions: BTreeMap<(Imsi, Seid), ForeignSession>,
    /// Questions that wait for the ledger.
    asked: BTreeMap<u64, ForeignAsk>,
    /// Addresses of ranges of theirs.
    pub(super) leases: Leases,
}

impl Foreign {
    /// With what was durable of their addresses.
    pub(super) fn new(leases: Vec<store::ForeignLease>) -> Self {
        Self { leases: Leases::new(leases), ..Self::default() }
    }

    /// Nothing of it lives any more, as far as is known.
    pub(super) fn forget(&mut self) {
        self.sessions.clear();
        self.asked.clear();
    }

    /// All of them, by SIM.
    pub(super) fn sessions(&self) -> impl Iterator<Item = &ForeignSession> {
        self.sessions.values()
    }

    /// Those of one SIM.
    pub(super) fn sessions_of(&self, imsi: Imsi) -> impl Iterator<Item = &ForeignSession> {
        self.sessions.range((imsi, Seid(0))..=(imsi, Seid(u64::MAX))).map(|(_, s)| s)
    }
}

impl Control {
    /// The gateway is there: what lives in it, and what of that may not.
    pub(super) fn foreign_up(&mut self, hello: &GatewayHello) {
        self.foreign.forget();
        for s in &hello.foreign {
            self.foreign.sessions.insert((s.imsi, s.up_seid), s.clone());
        }
        self.foreign_found(&hello.foreign.iter().map(|s| s.up_seid).collect());
        self.foreign_leases_found();
        self.sweep_foreign();
    }

    /// The gateway asks about a session.
    pub(super) fn foreign_ask(&mut self, ask: ForeignAsk) {
        match self.may_have(ask.smf, ask.imsi, &ask.dnn, ask.ip.map(|ip| ip.0)) {
            Err(why) => self.foreign_refused(&ask, why),
            Ok(Whose::Smf(ip)) => {
                let prefix = ask.prefix.filter(|p| self.is_smfs_own(ask.smf, *p));
                self.lease_foreign(ask, ip, prefix);
            }
            Ok(Whose::Ours) => {
                let (id, imsi, dnn) = (ask.id, ask.imsi, ask.dnn.clone());
                self.foreign.asked.insert(id, ask);
                self.lease(Asker::Foreign(id), imsi, dnn);
            }
        }
    }

    /// The ledger has answered.
    pub(super) fn foreign_leased(&mut self, id: u64, address: Result<SessionAddress, AddressRefusal>) {
        let Some(ask) = self.foreign.asked.remove(&id) else { return };
        match address {
            Err(_) => self.foreign_refused(&ask, ForeignRefusal::NoAddress),
            Ok(a) if ask.ip.is_some_and(|ip| ip != a.ip) => {
                self.foreign_refused(&ask, ForeignRefusal::WrongAddress);
            }
            // Much may have happened while the lease was written.
            Ok(a) => match self.may_have(ask.smf, ask.imsi, &ask.dnn, Some(a.ip.0)) {
                Ok(_) => {
                    // Of another prefix than its own it carries nothing.
                    let own = a.prefix.filter(|p| ask.ip.is_none() || ask.prefix == Some(*p));
                    self.foreign_granted(&ask, a.ip.0, own);
                }
                Err(why) => self.foreign_refused(&ask, why),
            },
        }
    }

    /// The range is the SMF's own, and that this SIM has these of it is to be durable before it may use them.
    fn lease_foreign(&mut self, ask: ForeignAsk, ip: Ipv4Addr, prefix: Option<Ipv6Net>) {
        let smf = self.smf_name(ask.smf);
        match self.foreign.leases.begin(&leases_of(&ask, &smf, ip, prefix), now().mono) {
            wanted if wanted.is_empty() => self.foreign_granted(&ask, ip, prefix),
            wanted => {
                let id = ask.id;
                self.foreign.asked.insert(id, ask);
                self.store_foreign_leases(wanted, Some(ForeignLeased { id, ip, prefix }));
            }
        }
    }

    /// That it has them is durable, or could not be made so. Much may have happened meanwhile.
    pub(super) fn foreign_lease_stored(&mut self, l: ForeignLeased, ok: bool) {
        let Some(ask) = self.foreign.asked.remove(&l.id) else { return };
        match self.may_have(ask.smf, ask.imsi, &ask.dnn, Some(l.ip)) {
            _ if !ok => self.foreign_refused(&ask, ForeignRefusal::NoAddress),
            Ok(Whose::Smf(_)) => self.foreign_granted(&ask, l.ip, l.prefix),
            // A pool of ours has come over it.
            Ok(Whose::Ours) => self.foreign_refused(&ask, ForeignRefusal::WrongAddress),
            Err(why) => self.foreign_refused(&ask, why),
        }
    }

    fn foreign_granted(&mut self, ask: &ForeignAsk, ip: Ipv4Addr, prefix: Option<Ipv6Net>) {
        let answer = Ok(ForeignGrant { ip: types::UeIp(ip), prefix });
        self.to_gateway(ToGateway::ForeignAnswer { id: ask.id, answer });
    }

    fn foreign_refused(&mut self, ask: &ForeignAsk, why: ForeignRefusal) {
        self.to_gateway(ToGateway::ForeignAnswer { id: ask.id, answer: Err(why) });
        let what = Happening::ForeignRefused { smf: self.smf_name(ask.smf), dnn: ask.dnn.clone(), why };
        self.happened(Event { at: now().utc, imsi: Some(ask.imsi), what });
    }

    /// May this SIM have a session there with this address (none: which one is still to be said)?
    fn may_have(
        &self,
        smf: IpAddr,
        imsi: Imsi,
        dnn: &Dnn,
        ip: Option<Ipv4Addr>,
    ) -> Result<Whose, ForeignRefusal> {
        if self.reduced || self.hold.is_some() {
            return Err(ForeignRefusal::Unavailable);
        }
        let state = self.hss.state(imsi).ok_or(ForeignRefusal::UnknownSim)?;
        if !matches!(state, SimState::Ready | SimState::Active) {
            return Err(ForeignRefusal::NotLiving);
        }
        if !self.is_attached(imsi) || !self.is_at_gx(imsi, dnn, ip) {
            return Err(ForeignRefusal::NotAttached);
        }
        let subscribed = self.hss.subscription(imsi).is_some_and(|s| s.dnns.contains(dnn));
        if !subscribed {
            return Err(ForeignRefusal::WrongNetwork);
        }
        let smf = self.smf(smf).ok_or(ForeignRefusal::Unavailable)?;
        match ip {
            // What lies in a pool of ours is somebody's or nobody's by our ledger, whoever says it is of a range of his own.
            Some(ip) if self.addresses.are_over(ip) => Ok(Whose::Ours),
            Some(ip) if smf.own_range.iter().any(|p| p.contains(&IpAddr::V4(ip))) => Ok(Whose::Smf(ip)),
            _ => Ok(Whose::Ours),
        }
    }

    /// True for a prefix that an SMF gives by itself, and that is in no pool of ours.
    fn is_smfs_own(&self, smf: IpAddr, prefix: Ipv6Net) -> bool {
        let net = ipnet::IpNet::V6(prefix);
        let given = self.smf(smf).is_some_and(|s| s.own_range.iter().any(|p| p.contains(&net)));
        given && !self.addresses.are_over_prefix(prefix)
    }

    /// Where we are the HSS: an admitted MME serves it. Where we are not, nobody tells us.
    fn is_attached(&self, imsi: Imsi) -> bool {
        self.config.s6a.is_none() || self.served_by(imsi).is_some()
    }

    /// Where we are the PCRF: the SMF has told of this very session. Where we are not, nobody tells us.
    fn is_at_gx(&self, imsi: Imsi, dnn: &Dnn, ip: Option<Ipv4Addr>) -> bool {
        let it = |s: &hss::gx::Session| s.dnn == *dnn && ip.is_none_or(|ip| s.addresses.ipv4 == Some(ip));
        self.config.gx.is_none() || self.sessions_at_smfs(imsi).any(it)
    }

    fn smf(&self, at: IpAddr) -> Option<&Smf> {
        self.config.n4.as_ref()?.smf.iter().find(|s| s.address == at)
    }

    pub(super) fn smf_name(&self, at: IpAddr) -> String {
        self.smf(at).map_or_else(|| at.to_string(), |s| s.name.clone())
    }

    /// A foreign session is there, is otherwise than it was, or is gone.
    pub(super) fn foreign_changed(&mut self, s: ForeignSession, up: bool) {
        let (smf, dnn, ip) = (self.smf_name(s.smf), s.dnn.clone(), s.ip);
        let (imsi, key) = (s.imsi, (s.imsi, s.up_seid));
        let what = if up {
            self.foreign_lease_lives(&s);
            if self.foreign.sessions.insert(key, s).is_some() {
                return;
            }
            Happening::ForeignUp { smf, dnn, ip }
        } else {
            self.foreign.sessions.remove(&key);
            if !self.foreign.sessions_of(imsi).any(|o| o.dnn == dnn) {
                self.path_gone(imsi, &dnn);
            }
            self.foreign_over(imsi, s.up_seid);
            self.foreign.leases.left(&nets_of(&s), imsi, now().utc);
            Happening::ForeignDown { smf, dnn, ip }
        };
        self.happened(Event { at: now().utc, imsi: Some(imsi), what });
    }

    /// Somebody ends a session. Its SMF learns it when it next speaks of it (*session context not found*); as long as it
    /// has it at Gx, it may ask for it anew.
    pub(super) fn end_foreign(&mut self, imsi: Imsi, seid: Seid) -> Result<(), admin_web::ControlError> {
        match self.foreign.sessions.contains_key(&(imsi, seid)) {
            true => self.to_gateway(ToGateway::EndForeign { seids: vec![seid] }),
            false => return Err(admin_web::ControlError::NotFound),
        }
        Ok(())
    }

    /// What became of an SMF's association.
    pub(super) fn smf_changed(&mut self, smf: IpAddr, state: SmfState) {
        let what = Happening::Smf { name: self.smf_name(smf), state };
        self.happened(Event { at: now().utc, imsi: None, what });
    }

    /// Ends what may not live any longer. What is banned carries nothing, and stays until its SMF gives it up: that it
    /// did is what the receipt tells.
    pub(super) fn sweep_foreign(&mut self) -> u64 {
        let may_not = |s: &&ForeignSession| {
            let banned = self.state_of(s.imsi).is_some_and(SimState::is_banned);
            let refused = self.may_have(s.smf, s.imsi, &s.dnn, Some(s.ip.0));
            !banned && refused.is_err_and(|why| why != ForeignRefusal::Unavailable)
        };
        let gone: Vec<ForeignSession> = self.foreign.sessions.values().filter(may_not).cloned().collect();
        for s in &gone {
            let imsi = s.imsi;
            info!(%imsi, smf = %s.smf, "the session of {imsi} in {} may not live any longer: ended", s.dnn);
        }
        let seids: Vec<Seid> = gone.iter().map(|s| s.up_seid).collect();
        if !seids.is_empty() {
            self.to_gateway(ToGateway::EndForeign { seids });
        }
        self.end_foreign_leases();
        gone.len() as u64
    }

    /// The SMFs as a part of the system, where there are any.
    pub(super) fn smf_status(&self, smfs: Option<&[SmfStatus]>) -> Option<admin_web::PartStatus> {
        let c = self.config.n4.as_ref()?;
        let smfs = smfs.unwrap_or_default();
        let there = smfs.iter().filter(|s| s.state == SmfState::Up).count();
        let silent: Vec<String> =
            smfs.iter().filter(|s| s.state == SmfState::Silent).map(|s| self.smf_name(s.smf)).collect();
        let (at, all, sessions) = (c.listen, c.smf.len(), self.foreign.sessions.len());
        let quiet = silent.join(", ");
        let detail = match silent.is_empty() {
            true => admin_web::say!(
                "{at}, {there} of {all} SMFs associated, {sessions} sessions",
                "{at}、アソシエーションのある SMF {there}/{all}、セッション {sessions}"
            ),
            false => admin_web::say!(
                "{at}, {there} of {all} SMFs associated, {sessions} sessions; no answer from {quiet}: its sessions go on, it gets no new one",
                "{at}、アソシエーションのある SMF {there}/{all}、セッション {sessions}。{quiet} が応答しません。既存のセッションは続きますが、新しいセッションは拒否します"
            ),
        };
        Some(admin_web::PartStatus { name: "n4", up: silent.is_empty(), detail })
    }
}

/// What was to be durable for a session that waits for it.
pub(crate) struct ForeignLeased {
    id: u64,
    ip: Ipv4Addr,
    prefix: Option<Ipv6Net>,
}

/// Who gives a session its address.
enum Whose {
    /// Our ledger.
    Ours,
    /// The SMF, of its own range: this one.
    Smf(Ipv4Addr),
}

#[cfg(all(test, feature = "lab"))]
mod tests;
