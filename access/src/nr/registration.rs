//! Registration from the point where the UE has proved itself (TS 24.501 §5.5.1; TS 23.502 §4.2.2.2):
//! admission by `hss`, acceptance or refusal under integrity.

use super::Amf;
use super::amf::Asked;
use super::authentication::Story;
use super::release::NORMAL;
use super::security::SecurityContext;
use super::timers::{INNER_GUARD_MS, NAS_RETRANSMISSIONS, NAS_RETRANSMIT_MS, NGAP_GUARD_MS, TimerKey};
use super::ue::{Mm, Phase, Radio, Reach, Ue};
use super::{Output, TxnId};
use std::collections::BTreeMap;
use types::{FgmmCause, Happening, Pei, Refusal, RefusalReason, Snssai, Subscription, Supi, Tai};
use wire::nas::fgs::{
    FgmmMessage, MobileIdentity, RegistrationAccept, RegistrationReject, RegistrationRequest,
    RegistrationType, RejectedSnssai, SessionSet, Timer,
};
use wire::ngap::{
    Ambr, AmfUeNgapId, InitialContextSetupRequest, Message, PduSessionResourceSetupRequest, SecurityKey,
    SessionSetup,
};

/// T3502: how long a UE waits after repeated failure, seconds (TS 24.501 Table 10.2.1).
const T3502_S: u32 = 720;
/// T3346 told with cause #22, seconds.
pub(super) const T3346_S: u32 = 600;
/// Most tracking areas in a registration area (TS 24.501 §9.11.3.9).
const MAX_TAIS: usize = 16;
/// Most slices in an allowed NSSAI (TS 24.501 §9.11.3.37).
const MAX_ALLOWED: usize = 8;

impl Amf {
    /// A UE that has just proved itself by a challenge becomes a UE of ours. What it had before goes with it:
    /// its sessions stay until its admission says what becomes of them.
    pub(super) fn enrol(
        &mut self,
        id: AmfUeNgapId,
        story: Story,
        security: SecurityContext,
        pei: Option<Pei>,
        request: RegistrationRequest,
    ) {
        let supi = security.supi();
        let Some((tai, cell)) = self.registry.conn(id).map(|c| (c.tai, c.cell)) else { return };
        let tunnels = self.tunnels_of(supi);
        if self.registry.ue(supi).is_some_and(|ue| matches!(ue.mm, Mm::ExpectDeregistrationAccept { .. })) {
            // §5.5.2.3.5: it was sent away, and begins anew without having said that it goes: it has gone.
            self.deregistration_done(supi, true);
        }
        if let Some(before) = self.registry.ue(supi).and_then(|ue| ue.conn) {
            self.release_conn(before, NORMAL);
        }
        self.timers.stop(TimerKey::Mm(supi));
        self.stop_idle_timers(supi);
        let before = self.registry.remove_ue(supi);
        let (mut before, mut old_guti, mut sessions) = (before, None, BTreeMap::new());
        if let Some(ue) = &mut before {
            (old_guti, sessions) = (Some(ue.guti), std::mem::take(&mut ue.sessions));
        }
        self.note_new_context(supi, id, pei, before.map(|ue| (ue, tunnels)));
        let (guti, keys_due) = (self.new_guti(), self.keys_due());
        let ul_count = security.last_ul_count();
        self.registry.insert_ue(Ue {
            supi,
            guti,
            old_guti,
            pei,
            security,
            capability: story.capability,
            radio_capability: None,
            subscription: None,
            allowed: Vec::new(),
            mm: Mm::Registered,
            handover: None,
            rekey: None,
            keys_due,
            configuring: None,
            conn: Some(id),
            tai,
            cell,
            reach: Reach::Listens,
            data_waits: SessionSet::default(),
            sessions,
        });
        self.registry.set_phase(id, Phase::Ue(supi));
        if let Some(conn) = self.registry.conn_mut(id) {
            conn.ul_count = ul_count;
        }
        self.admit(supi, request, false, story.barred);
    }

    /// A Registration Request that verified under the UE's own context: no challenge is needed, admission is.
    pub(super) fn on_proved_registration(
        &mut self,
        id: AmfUeNgapId,
        supi: Supi,
        outer: RegistrationRequest,
        ul_count: u32,
    ) {
        let used = match &outer.identity {
            MobileIdentity::Guti(guti) => Some(*guti),
            _ => None,
        };
        let request = self.inner_request(supi, outer, ul_count);
        let unchanged = |ue: &Ue| request.security_capability.as_ref().is_none_or(|c| *c == ue.capability);
        if !self.registry.ue(supi).is_some_and(unchanged) {
            // Its algorithms are others than those that we agreed upon: agree again.
            if matches!(self.registry.conn(id).map(|c| &c.phase), Some(Phase::Ue(_))) {
                return self.refused("changed-capability");
            }
            return self.begin_attempt(id, request);
        }
        if self.is_repeated(id, supi, &request) {
            return;
        }
        // Who was not admitted before asking again is not registered by asking again.
        let registered = self.registry.ue(supi).is_some_and(|ue| {
            ue.is_registered() || matches!(ue.mm, Mm::ExpectLocated { registered: true, .. })
        });
        self.bind(id, supi, ul_count);
        self.timers.stop(TimerKey::Mm(supi));
        if let Some(Ue { mm: Mm::ExpectLocated { txn, .. }, .. }) = self.registry.ue(supi) {
            let txn = *txn;
            self.forget_question(txn);
        }
        let guti = self.new_guti();
        self.registry.renew_guti(supi, guti, used);
        self.admit(supi, request, registered, None);
    }

    /// §5.5.1.2.8 d, e: the same request again, on the connection where the first one came, begins nothing. Where it was
    /// accepted already the UE hears so once more.
    fn is_repeated(&mut self, id: AmfUeNgapId, supi: Supi, request: &RegistrationRequest) -> bool {
        let accept = match self.registry.ue(supi).filter(|ue| ue.conn == Some(id)).map(|ue| &ue.mm) {
            Some(Mm::ExpectLocated { request: first, .. }) if **first == *request => None,
            Some(Mm::ExpectRegistrationComplete { request: first, accept, .. }) if **first == *request => {
                Some(accept.clone())
            }
            _ => return false,
        };
        self.refused("repeated-request");
        if let Some(accept) = accept {
            self.start(TimerKey::Mm(supi), NAS_RETRANSMIT_MS);
            self.send_protected(supi, &accept);
        }
        true
    }

    /// Asks `hss` whether this SIM, in this device, may live here.
    fn admit(
        &mut self,
        supi: Supi,
        request: RegistrationRequest,
        registered: bool,
        barred: Option<FgmmCause>,
    ) {
        let txn = self.ask(Asked::Located(supi));
        let emergency = request.kind == RegistrationType::Emergency;
        let request = Box::new(request);
        let Some(ue) = self.registry.ue_mut(supi) else { return self.forget_question(txn) };
        ue.mm = Mm::ExpectLocated { txn, request, registered };
        let (pei, tai, cell, conn) = (ue.pei, ue.tai, ue.cell, ue.conn);
        let served = conn.and_then(|c| self.registry.conn(c)).is_some_and(|c| self.serves(c.assoc, tai));
        if let Some(cause) = barred {
            return self.refuse_ue(supi, banned(cause));
        }
        if !served {
            let cause = FgmmCause::TrackingAreaNotAllowed;
            let reason = RefusalReason::NotServedHere;
            return self.refuse_ue(supi, Refusal { cause, backoff_s: None, reason });
        }
        if emergency {
            // §5.5.1.2.5: emergency service is not supported.
            let (cause, reason) = (FgmmCause::PeiNotAccepted, RefusalReason::NotServedHere);
            return self.refuse_ue(supi, Refusal { cause, backoff_s: None, reason });
        }
        self.start(TimerKey::Mm(supi), INNER_GUARD_MS);
        self.out.push_back(Output::Locate { txn, supi, pei, tai, cell });
    }

    /// `hss` has said.
    pub(super) fn on_located(&mut self, supi: Supi, txn: TxnId, result: Result<Subscription, Refusal>) {
        let Some(ue) = self.registry.ue_mut(supi) else { return };
        let request = match &ue.mm {
            Mm::ExpectLocated { txn: t, request, .. } if *t == txn => (**request).clone(),
            _ => return,
        };
        self.timers.stop(TimerKey::Mm(supi));
        match result {
            Ok(subscription) => self.accept(supi, request, subscription),
            Err(refusal) => self.refuse_ue(supi, refusal),
        }
    }

    /// Refuses a UE that has proved itself, under integrity, and forgets it with all that it had.
    pub(super) fn refuse_ue(&mut self, supi: Supi, refusal: Refusal) {
        let t3346 = refusal.backoff_s.map(Timer::Seconds);
        let reject = RegistrationReject { t3346, ..RegistrationReject::new(refusal.cause) };
        self.send_to_ue(supi, &FgmmMessage::RegistrationReject(reject));
        if let Some(conn) = self.registry.ue(supi).and_then(|ue| ue.conn) {
            self.tell_refused(conn, Some(supi), true, refusal.cause, refusal.reason);
        }
        self.end_adopted(supi);
        self.remove_ue(supi);
    }

    fn accept(&mut self, supi: Supi, request: RegistrationRequest, subscription: Subscription) {
        let (configured, allowed) = self.slices(&request, &subscription);
        if allowed.is_empty() {
            let cause = FgmmCause::NoNetworkSlicesAvailable;
            let reason = RefusalReason::NothingInCommon;
            return self.refuse_ue(supi, Refusal { cause, backoff_s: None, reason });
        }
        if let Some(ue) = self.registry.ue_mut(supi) {
            ue.subscription = Some(subscription);
            ue.allowed.clone_from(&allowed);
            // It may say that its radio has changed in an element that we do not read (TS 23.501 §5.4.4.1): the gNB asks it.
            if request.kind != RegistrationType::PeriodicUpdating {
                ue.radio_capability = None;
            }
        }
        self.settle_sessions(supi, &request);
        let rejected = request.requested_nssai.iter().filter(|s| !allowed.contains(s)).take(MAX_ALLOWED);
        let rejected_nssai = rejected.map(|s| RejectedSnssai { slice: *s, cause: 0 }).collect();
        let Some((guti, tai)) = self.registry.ue(supi).map(|ue| (ue.guti, ue.tai)) else { return };
        let held = self.held_sessions(supi);
        let asked = request.uplink_data_status;
        let failed: SessionSet =
            asked.into_iter().flat_map(|s| s.iter()).filter(|id| !held.contains(*id)).collect();
        let accept = FgmmMessage::RegistrationAccept(RegistrationAccept {
            guti: Some(guti),
            tai_list: self.registration_area(tai),
            allowed_nssai: allowed,
            rejected_nssai,
            configured_nssai: configured,
            // No voice, no emergency (§9.11.3.5).
            features: Some(vec![0, 0]),
            pdu_session_status: request.pdu_session_status.map(|_| held),
            reactivation_result: asked.map(|_| failed),
            t3512: Some(Timer::Seconds(self.config.t3512_s)),
            t3502: Some(Timer::Seconds(T3502_S)),
        });
        let Some(accept) = self.encode(&accept) else { return self.remove_ue(supi) };
        let wanted = asked.unwrap_or_default().or(self.data_waits(supi));
        if let Some(ue) = self.registry.ue_mut(supi) {
            ue.mm = Mm::ExpectRegistrationComplete {
                accept: accept.clone(),
                left: NAS_RETRANSMISSIONS,
                then_release: !request.follow_on
                    && request.kind == RegistrationType::PeriodicUpdating
                    && wanted.is_empty(),
                news: request.kind != RegistrationType::PeriodicUpdating,
                request: Box::new(request),
            };
        }
        self.counters.registrations += 1;
        self.start(TimerKey::Mm(supi), NAS_RETRANSMIT_MS);
        let setups = self.reactivate(supi, wanted);
        self.send_with_context(supi, &accept, setups);
    }

    /// Configured and allowed slices: what the UE may have here, and what of it it gets (TS 23.501 §5.15.5.2.1).
    fn slices(
        &self,
        request: &RegistrationRequest,
        subscription: &Subscription,
    ) -> (Vec<Snssai>, Vec<Snssai>) {
        let here = |s: &&Snssai| self.config.slices.contains(s);
        let configured: Vec<Snssai> =
            subscription.slices.iter().filter(here).copied().take(MAX_ALLOWED).collect();
        let mut allowed: Vec<Snssai> =
            configured.iter().filter(|s| request.requested_nssai.contains(s)).copied().collect();
        if allowed.is_empty() {
            // It asked for none, or for none that it may have: the default one.
            allowed.extend(configured.first());
        }
        (configured, allowed)
    }

    /// The registration area: ours, the current one first.
    pub(super) fn registration_area(&self, here: Tai) -> Vec<Tai> {
        let plmn = self.config.plmn;
        let others = self.config.tacs.iter().filter(|t| **t != here.tac).map(|tac| Tai { plmn, tac: *tac });
        std::iter::once(here).chain(others).take(MAX_TAIS).collect()
    }

    /// Brings a NAS message to a UE together with what the radio must make for it: by Initial Context Setup
    /// where there is no context yet, by PDU Session Resource Setup where sessions are wanted, alone else.
    pub(super) fn send_with_context(&mut self, supi: Supi, plain: &[u8], sessions: Vec<SessionSetup>) {
        let Some(conn) = self.registry.ue(supi).and_then(|ue| ue.conn) else { return };
        let radio = self.registry.conn(conn).map(|c| c.radio);
        match radio {
            Some(Radio::Bare) => self.set_up_context(supi, conn, Some(plain), sessions),
            Some(Radio::Up) if !sessions.is_empty() => {
                let nas = self.protect_for(supi, plain);
                self.ask_for_resources(supi, Some(nas), sessions);
            }
            _ => {
                self.not_reactivated(supi, &sessions);
                self.send_protected(supi, plain);
            }
        }
    }

    /// PDU SESSION RESOURCE SETUP REQUEST (TS 38.413 §8.2.1), where there is anything to ask for.
    pub(super) fn ask_for_resources(
        &mut self,
        supi: Supi,
        nas: Option<Vec<u8>>,
        sessions: Vec<SessionSetup>,
    ) {
        let Some(conn) = self.registry.ue(supi).and_then(|ue| ue.conn) else { return };
        if sessions.is_empty() {
            return;
        }
        let ue_ambr = self.ue_ambr(supi);
        self.send_on(conn, |c| {
            Message::PduSessionResourceSetupRequest(PduSessionResourceSetupRequest {
                amf_ue_id: c.id,
                ran_ue_id: c.ran,
                nas,
                sessions,
                ue_ambr,
            })
        });
    }

    /// INITIAL CONTEXT SETUP REQUEST (TS 38.413 §8.3.1).
    pub(super) fn set_up_context(
        &mut self,
        supi: Supi,
        conn: AmfUeNgapId,
        plain: Option<&[u8]>,
        sessions: Vec<SessionSetup>,
    ) {
        let nas = plain.map(|p| self.protect_for(supi, p)).filter(|n| !n.is_empty());
        let (guami, ue_ambr) = (self.guami(), self.ue_ambr(supi));
        let Some(ul_count) = self.registry.conn(conn).map(|c| c.ul_count) else { return };
        let Some(ue) = self.registry.ue(supi) else { return };
        let key = SecurityKey(ue.security.kgnb(ul_count));
        let chain = ue.security.chain(&key.0);
        let (allowed_nssai, security_capabilities) = (ue.allowed.clone(), ue.capability.for_ngap());
        let radio_capability = ue.radio_capability.as_ref().map(|c| c.to_vec());
        if let Some(c) = self.registry.conn_mut(conn) {
            (c.radio, c.chain) = (Radio::ExpectSetup, Some(chain));
        }
        self.start(TimerKey::ContextSetup(conn), NGAP_GUARD_MS);
        self.send_on(conn, |c| {
            Message::InitialContextSetupRequest(InitialContextSetupRequest {
                amf_ue_id: c.id,
                ran_ue_id: c.ran,
                ue_ambr,
                guami,
                sessions,
                allowed_nssai,
                security_capabilities,
                key,
                radio_capability,
                nas,
            })
        });
    }

    /// Aggregate maximum bit rate of a UE.
    pub(super) fn ue_ambr(&self, supi: Supi) -> Option<Ambr> {
        let s = self.registry.ue(supi)?.subscription.as_ref()?;
        Some(Ambr { dl_bps: s.ambr_dl_bps, ul_bps: s.ambr_ul_bps })
    }

    /// Registration Complete: the UE has its new temporary identity.
    pub(super) fn on_registration_complete(&mut self, supi: Supi) {
        self.registry.confirm_guti(supi);
        let leaves = self.registry.ue(supi).and_then(|ue| match ue.mm {
            // Unless packets have come for it meanwhile.
            Mm::ExpectRegistrationComplete { then_release: true, .. } if !ue.has_user_plane() => ue.conn,
            _ => None,
        });
        self.registration_done(supi);
        if let Some(conn) = leaves {
            self.release_conn(conn, NORMAL);
        }
    }

    /// The UE is registered.
    pub(super) fn registration_done(&mut self, supi: Supi) {
        self.timers.stop(TimerKey::Mm(supi));
        let Some(ue) = self.registry.ue_mut(supi) else { return };
        let before = std::mem::replace(&mut ue.mm, Mm::Registered);
        let (pei, tai, cell, conn) = (ue.pei, ue.tai, ue.cell, ue.conn);
        if matches!(before, Mm::ExpectRegistrationComplete { news: true, .. }) {
            let assoc = conn.and_then(|c| self.registry.conn(c)).map(|c| c.assoc);
            let gnb = assoc.map(|a| self.gnb_name(a)).unwrap_or_default();
            self.event(Some(supi.imsi()), Happening::Registered { pei, tai, cell, gnb });
            self.tell_name(supi);
        }
        self.renew_keys_if_due(supi);
    }

    /// T3550 or T3522 ran out, or `hss` was silent.
    pub(super) fn on_mm_timeout(&mut self, supi: Supi) {
        let Some(ue) = self.registry.ue_mut(supi) else { return };
        let again = match &mut ue.mm {
            Mm::ExpectLocated { txn, .. } => {
                let txn = *txn;
                self.forget_question(txn);
                let (cause, reason) = (FgmmCause::Congestion, RefusalReason::Unavailable);
                return self.refuse_ue(supi, Refusal { cause, backoff_s: Some(30), reason });
            }
            // §5.5.1.2.8 c: registered, both temporary identities stay valid.
            Mm::ExpectRegistrationComplete { left: 0, .. } => return self.registration_done(supi),
            Mm::ExpectDeregistrationAccept { left: 0, .. } => return self.deregistration_done(supi, false),
            Mm::ExpectRegistrationComplete { accept: pdu, left, .. }
            | Mm::ExpectDeregistrationAccept { request: pdu, left } => {
                *left -= 1;
                pdu.clone()
            }
            Mm::Registered => return,
        };
        self.start(TimerKey::Mm(supi), NAS_RETRANSMIT_MS);
        self.send_protected(supi, &again);
    }
}

/// What a banned SIM is told when the ban comes in the middle of its registration.
pub(super) fn banned(cause: FgmmCause) -> Refusal {
    let reason = match cause {
        FgmmCause::Congestion => RefusalReason::Suspended,
        FgmmCause::IllegalMe => RefusalReason::DeviceMismatch,
        FgmmCause::IllegalUe => RefusalReason::Lost,
        _ => RefusalReason::Unavailable,
    };
    let backoff_s = (cause == FgmmCause::Congestion).then_some(T3346_S);
    Refusal { cause, backoff_s, reason }
}
