//! Sessions that foreign SMFs steer in our gateway (N4, Sxb): may this SIM have it, and with which address?
//!
//! The SMF is not believed. A session is granted where the SIM may live, is attached at an MME of ours (where we are the
//! HSS), has this very session at Gx (where we are the PCRF), has the data network, and has this address: by our ledger, so that its lease is durable before the SMF hears of
//! it and "who had this address" knows the session, or of the range that the SMF gives by itself. What is granted is
//! looked at again in every round of the reconciler: what may not live any longer ends in the gateway.

use super::{Control, addresses::Asker};
use crate::config::n4::Smf;
use gateway::{
    link::{GatewayHello, SmfStatus, ToGateway},
    time::now,
};
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
    sessions: BTreeMap<Seid, ForeignSession>,
    /// Questions that wait for the ledger.
    asked: BTreeMap<u64, ForeignAsk>,
}

impl Foreign {
    /// How many this SIM has.
    pub(super) fn count_of(&self, imsi: Imsi) -> usize {
        self.sessions.values().filter(|s| s.imsi == imsi).count()
    }

    /// All of them, by SIM.
    pub(super) fn sessions(&self) -> Vec<ForeignSession> {
        let mut all: Vec<_> = self.sessions.values().cloned().collect();
        all.sort_by_key(|s| (s.imsi, s.up_seid));
        all
    }
}

impl Control {
    /// The gateway is there: what lives in it, and what of that may not.
    pub(super) fn foreign_up(&mut self, hello: &GatewayHello) {
        self.foreign = Foreign::default();
        for s in &hello.foreign {
            self.foreign.sessions.insert(s.up_seid, s.clone());
        }
        self.sweep_foreign();
    }

    /// The gateway asks about a session.
    pub(super) fn foreign_ask(&mut self, ask: ForeignAsk) {
        match self.may_have(ask.smf, ask.imsi, &ask.dnn, ask.ip.map(|ip| ip.0)) {
            Err(why) => self.foreign_refused(&ask, why),
            Ok(Whose::Smf(ip)) => {
                let prefix = ask.prefix.filter(|p| self.is_smfs_own(ask.smf, *p));
                self.foreign_granted(&ask, ip, prefix);
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

    fn foreign_granted(&mut self, ask: &ForeignAsk, ip: Ipv4Addr, prefix: Option<ipnet::Ipv6Net>) {
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
    fn is_smfs_own(&self, smf: IpAddr, prefix: ipnet::Ipv6Net) -> bool {
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

    fn smf_name(&self, at: IpAddr) -> String {
        self.smf(at).map_or_else(|| at.to_string(), |s| s.name.clone())
    }

    /// A foreign session is there, or gone.
    pub(super) fn foreign_changed(&mut self, s: ForeignSession, up: bool) {
        let (smf, dnn, ip) = (self.smf_name(s.smf), s.dnn.clone(), s.ip);
        let imsi = Some(s.imsi);
        let what = if up {
            self.foreign.sessions.insert(s.up_seid, s);
            Happening::ForeignUp { smf, dnn, ip }
        } else {
            self.foreign.sessions.remove(&s.up_seid);
            if !self.foreign.sessions.values().any(|o| (o.imsi, &o.dnn) == (s.imsi, &dnn)) {
                self.path_gone(s.imsi, &dnn);
            }
            Happening::ForeignDown { smf, dnn, ip }
        };
        self.happened(Event { at: now().utc, imsi, what });
    }

    /// Somebody ends a session. Its SMF learns it when it next speaks of it (*session context not found*); as long as it
    /// has it at Gx, it may ask for it anew.
    pub(super) fn end_foreign(&mut self, imsi: Imsi, seid: Seid) -> Result<(), admin_web::ControlError> {
        match self.foreign.sessions.get(&seid).is_some_and(|s| s.imsi == imsi) {
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

/// Who gives a session its address.
enum Whose {
    /// Our ledger.
    Ours,
    /// The SMF, of its own range: this one.
    Smf(Ipv4Addr),
}

#[cfg(all(test, feature = "lab"))]
mod tests;
