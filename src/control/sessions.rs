//! Live sessions as people see them: our own SMF's, and those that another core's SMF steers in our gateway.

use super::Control;
use access::nr::{self, SessionPhase};
use admin_web::{ControlError, EndedSession, SessionKey, SessionView};
use gateway::time::now;
use types::{ForeignSession, Imsi, PduSessionId, Supi};

impl Control {
    /// All of them.
    pub(super) fn session_views(&self) -> Vec<SessionView> {
        let own = self.amf.ues().flat_map(|u| self.own_sessions(&u));
        let foreign = self.foreign.sessions().map(|s| self.foreign_session(s));
        let mut all: Vec<SessionView> = own.chain(foreign).collect();
        all.sort_by_key(|s| (s.imsi, s.key));
        all
    }

    /// Those of one SIM.
    pub(super) fn sessions_of(&self, imsi: Imsi) -> Vec<SessionView> {
        let own = self.amf.ue(Supi(imsi)).map(|u| self.own_sessions(&u)).unwrap_or_default();
        let foreign = self.foreign.sessions_of(imsi).map(|s| self.foreign_session(s));
        own.into_iter().chain(foreign).collect()
    }

    /// Those of one UE of ours.
    pub(super) fn own_sessions(&self, u: &nr::UeView) -> Vec<SessionView> {
        let imsi = u.supi.imsi();
        let banned = self.state_of(imsi).is_some_and(types::SimState::is_banned);
        let rates = self.hss.subscription(imsi).map(|s| (s.ambr_ul_bps, s.ambr_dl_bps));
        let view = |s: &nr::SessionView| {
            let ip = s.ip?;
            Some(SessionView {
                imsi,
                key: SessionKey::Own(s.id),
                smf: None,
                dnn: s.dnn.clone(),
                slice: s.snssai,
                ip,
                prefix: self.addresses.prefix_beside(&s.dnn, ip.0),
                rates,
                connected: s.phase == SessionPhase::Active,
                gnb: u.gnb.clone(),
                tai: u.tai,
                cell: u.cell,
                since: self.since.session(imsi, s.id),
                banned,
            })
        };
        u.sessions.iter().filter_map(view).collect()
    }

    fn foreign_session(&self, s: &ForeignSession) -> SessionView {
        SessionView {
            imsi: s.imsi,
            key: SessionKey::Foreign(s.up_seid),
            smf: Some(self.smf_name(s.smf)),
            dnn: s.dnn.clone(),
            slice: s.snssai,
            ip: s.ip,
            prefix: s.prefix,
            rates: s.rates,
            connected: s.connected,
            gnb: None,
            tai: None,
            cell: None,
            since: s.since,
            banned: self.state_of(s.imsi).is_some_and(types::SimState::is_banned),
        }
    }

    /// The sessions of a SIM that end with its ban.
    pub(super) fn ending_sessions(&self, imsi: Imsi) -> Vec<EndedSession> {
        let own = self.amf.ue(Supi(imsi)).map(|u| u.sessions).unwrap_or_default();
        let own = own.into_iter().map(|s| EndedSession {
            id: Some(s.id),
            smf: None,
            seid: None,
            ip: s.ip.map(|ip| ip.0),
            dnn: s.dnn,
            released: None,
        });
        let foreign = self.foreign.sessions_of(imsi).map(|s| EndedSession {
            id: None,
            smf: Some(self.smf_name(s.smf)),
            seid: Some(s.up_seid.to_string()),
            ip: Some(s.ip.0),
            dnn: s.dnn.clone(),
            released: None,
        });
        own.chain(foreign).collect()
    }

    /// Somebody ends a session.
    pub(super) fn end_session(&mut self, imsi: Imsi, key: SessionKey) -> Result<(), ControlError> {
        match key {
            SessionKey::Own(id) => self.end_own(imsi, id),
            SessionKey::Foreign(seid) => self.end_foreign(imsi, seid),
        }
    }

    fn end_own(&mut self, imsi: Imsi, id: PduSessionId) -> Result<(), ControlError> {
        let there = |u: nr::UeView| u.sessions.iter().any(|s| s.id == id);
        if !self.amf.ue(Supi(imsi)).is_some_and(there) {
            return Err(ControlError::NotFound);
        }
        self.amf.handle(nr::Input::EndSession { supi: Supi(imsi), id }, now());
        Ok(())
    }
}
