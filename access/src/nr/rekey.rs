//! New keys for a UE that is registered and connected (TS 24.501 §5.4.1.3, §5.4.2; TS 33.501 §6.9.4): its card is
//! challenged anew under the keys in use, the new ones are taken into use by both sides, and its radio gets the KgNB
//! that follows from them.
//!
//! `Vector → AuthResponse → SecurityModeComplete → (radio)`, beside whatever else the UE does. Nothing of the old keys
//! changes before the UE has used the new ones; whatever ends the connection ends this, with the old keys in force.

use super::Amf;
use super::amf::Asked;
use super::challenge::{
    Authenticated, Challenge, Verdict, authentication_request, eap_identifier, eap_result,
};
use super::security::{self, SecurityContext};
use super::timers::{
    INNER_GUARD_MS, NAS_RETRANSMISSIONS, NAS_RETRANSMIT_MS, NGAP_GUARD_MS, REKEY_PAUSE_MS, TimerKey,
};
use super::ue::{Mm, Radio};
use super::{AssocId, Output, TxnId};
use sim_auth::FgVector;
use types::{Auts, FgmmCause, Identity, Mono, Rand, Refusal, Supi};
use wire::nas::fgs::{
    AuthenticationFailure, AuthenticationResponse, FgmmMessage, NgKsi, SecurityModeCommand,
};
use wire::ngap::{
    AmfUeNgapId, Cause, Message, RadioCause, SecurityKey, UeContextModificationFailure,
    UeContextModificationRequest, UeContextModificationResponse,
};

/// How far it is.
pub(super) enum Rekey {
    /// `hss` is asked for a vector.
    Vector {
        /// The question.
        txn: TxnId,
        /// The card was out of step once.
        resynced: bool,
    },
    /// Authentication Response (T3560).
    AuthResponse {
        /// What was asked.
        challenge: Challenge,
        /// The card was out of step once.
        resynced: bool,
        /// Retransmissions left.
        left: u8,
    },
    /// Security Mode Complete (T3560).
    SecurityModeComplete {
        /// The new context. The old one is in force until the UE has used it.
        security: Box<SecurityContext>,
        /// The command, unprotected, for retransmission.
        command: Vec<u8>,
        /// Retransmissions left.
        left: u8,
    },
}

impl Amf {
    /// When keys that are made at this moment are to be replaced.
    pub(super) fn keys_due(&self) -> Option<Mono> {
        let life = u64::from(self.config.key_life_s);
        (life != 0).then(|| self.now.mono.plus_ms(life * 1_000))
    }

    /// Challenges a UE anew whose keys are old or whose counts come to their end, where it can be done at the moment.
    pub(super) fn renew_keys_if_due(&mut self, supi: Supi) {
        let now = self.now.mono;
        let Some(ue) = self.registry.ue(supi) else { return };
        let due = ue.keys_due.is_some_and(|at| at <= now) || ue.security.is_used_up();
        if !due || ue.rekey.is_some() || ue.handover.is_some() || !matches!(ue.mm, Mm::Registered) {
            return;
        }
        let conn = ue.conn.and_then(|c| self.registry.conn(c));
        let calm = conn.is_some_and(|c| {
            c.radio == Radio::Up && c.switching.is_none() && c.new_chain.is_none() && !c.rates_asked
        });
        if calm {
            self.ask_rekey_vector(supi, None);
        }
    }

    fn ask_rekey_vector(&mut self, supi: Supi, resync: Option<(Rand, Auts)>) {
        let txn = self.ask(Asked::Rekey(supi));
        let resynced = resync.is_some();
        self.expect_rekey(supi, Rekey::Vector { txn, resynced }, INNER_GUARD_MS);
        let (identity, serving) = (Identity::Supi(supi), self.config.plmn);
        self.out.push_back(Output::NeedVector { txn, identity, serving, resync });
    }

    fn expect_rekey(&mut self, supi: Supi, rekey: Rekey, ms: u64) {
        if let Some(ue) = self.registry.ue_mut(supi) {
            ue.rekey = Some(Box::new(rekey));
            self.start(TimerKey::Rekey(supi), ms);
        }
    }

    fn take_rekey(&mut self, supi: Supi) -> Option<Rekey> {
        self.registry.ue_mut(supi)?.rekey.take().map(|r| *r)
    }

    /// The connection it was on is gone, or the UE: the old keys stay in force.
    pub(super) fn stop_rekey(&mut self, supi: Supi) {
        self.timers.stop(TimerKey::Rekey(supi));
        if let Some(Rekey::Vector { txn, .. }) = self.take_rekey(supi) {
            self.forget_question(txn);
        }
    }

    /// It could not be done: the old keys stay in force, and it is tried again later.
    fn put_rekey_off(&mut self, supi: Supi) {
        self.refused("keys-not-renewed");
        self.stop_rekey(supi);
        let later = self.now.mono.plus_ms(REKEY_PAUSE_MS);
        if let Some(ue) = self.registry.ue_mut(supi) {
            ue.keys_due = Some(later);
        }
    }

    /// The card did not prove itself again: the UE has to begin from its SUCI.
    fn doubt_ue(&mut self, supi: Supi) {
        self.refused("new-proof-failed");
        self.stop_rekey(supi);
        self.deregister_ue(supi, None, true);
    }

    /// The vector, or why there is none.
    pub(super) fn on_rekey_vector(&mut self, supi: Supi, result: Result<(Supi, FgVector), Refusal>) {
        let Some(Rekey::Vector { resynced, .. }) = self.take_rekey(supi) else { return };
        let (Ok((_, vector)), Some(ksi)) = (result, self.registry.ue(supi).map(|ue| ue.security.ksi()))
        else {
            return self.put_rekey_off(supi);
        };
        let ksi = (ksi + 1) % 7;
        let request = authentication_request(&vector, ksi, self.config.plmn);
        let Some(request) = request.and_then(|m| self.encode(&m)) else {
            return self.put_rekey_off(supi);
        };
        self.send_protected(supi, &request);
        let challenge = Challenge::new(vector, supi, ksi, request);
        let rekey = Rekey::AuthResponse { challenge, resynced, left: NAS_RETRANSMISSIONS };
        self.expect_rekey(supi, rekey, NAS_RETRANSMIT_MS);
    }

    /// Authentication Response, under the keys in use.
    pub(super) fn on_rekey_response(&mut self, supi: Supi, m: &AuthenticationResponse) {
        let (challenge, resynced, left) = match self.take_rekey(supi) {
            Some(Rekey::AuthResponse { challenge, resynced, left }) => (challenge, resynced, left),
            other => return self.out_of_place(supi, other),
        };
        match challenge.judge(m) {
            Verdict::Proved(proof) => self.on_rekey_proof(supi, challenge, proof),
            Verdict::Synch(auts) if !resynced => {
                self.ask_rekey_vector(supi, Some((challenge.rand(), auts)));
            }
            Verdict::Synch(_) | Verdict::Refused | Verdict::Wrong => self.doubt_ue(supi),
            Verdict::Aside => {
                self.out_of_place(supi, Some(Rekey::AuthResponse { challenge, resynced, left }));
            }
        }
    }

    fn on_rekey_proof(&mut self, supi: Supi, challenge: Challenge, proof: Authenticated) {
        let capability = self.registry.ue(supi).map(|ue| ue.capability.clone());
        let chosen = capability.and_then(|c| Some((security::choose(&self.config, &c)?, c)));
        let Some(((integrity, ciphering), replayed_capability)) = chosen else {
            return self.doubt_ue(supi);
        };
        let (most, vector) = (self.config.limits.ues, challenge.into_vector());
        let mut security = Box::new(SecurityContext::new(proof, integrity, ciphering));
        let eap = eap_result(eap_identifier(&vector, security.ksi()), true);
        self.clones.accepted(supi, vector, most);
        let command = FgmmMessage::SecurityModeCommand(SecurityModeCommand {
            integrity,
            ciphering,
            ngksi: NgKsi::Native(security.ksi()),
            replayed_capability,
            imeisv_requested: false,
            retransmit_initial: false,
            abba: Some(sim_auth::fgs::ABBA.to_vec()),
            eap,
        });
        let Some(command) = self.encode(&command) else { return self.put_rekey_off(supi) };
        self.send_under(supi, &mut security, &command);
        let rekey = Rekey::SecurityModeComplete { security, command, left: NAS_RETRANSMISSIONS };
        self.expect_rekey(supi, rekey, NAS_RETRANSMIT_MS);
    }

    /// Security Mode Command, under the new keys.
    fn send_under(&mut self, supi: Supi, security: &mut SecurityContext, command: &[u8]) {
        let pdu = security.protect_new(command);
        if let Some(conn) = self.registry.ue(supi).and_then(|ue| ue.conn) {
            self.send_nas(conn, pdu);
        }
    }

    /// Authentication Failure, under the keys in use (§5.4.1.3.7). A card that is ahead is met once.
    pub(super) fn on_rekey_failure(&mut self, supi: Supi, m: AuthenticationFailure) {
        let (challenge, resynced) = match self.take_rekey(supi) {
            Some(Rekey::AuthResponse { challenge, resynced, .. }) => (challenge, resynced),
            other => return self.out_of_place(supi, other),
        };
        match (m.cause, m.auts) {
            (FgmmCause::SynchFailure, Some(auts)) if !resynced => {
                self.ask_rekey_vector(supi, Some((challenge.rand(), auts)));
            }
            (FgmmCause::NgKsiAlreadyInUse, _) => self.put_rekey_off(supi),
            _ => self.doubt_ue(supi),
        }
    }

    /// Security Mode Reject, under the keys in use (§5.4.2.5): they stay.
    pub(super) fn on_rekey_rejected(&mut self, supi: Supi) {
        match self.take_rekey(supi) {
            Some(Rekey::SecurityModeComplete { .. }) => self.put_rekey_off(supi),
            other => self.out_of_place(supi, other),
        }
    }

    /// An answer to what was not asked: what was asked goes on.
    fn out_of_place(&mut self, supi: Supi, rekey: Option<Rekey>) {
        self.refused("nas-out-of-place");
        if let Some(ue) = self.registry.ue_mut(supi) {
            ue.rekey = rekey.map(Box::new);
        }
    }

    /// A message that does not verify under the keys in use: true where it is the Security Mode Complete under the new
    /// ones, which are in force from here on.
    pub(super) fn complete_rekey(&mut self, id: AmfUeNgapId, supi: Supi, nas: &[u8]) -> bool {
        let keys_due = self.keys_due();
        let Some(ue) = self.registry.ue_mut(supi) else { return false };
        let Some(Rekey::SecurityModeComplete { security, .. }) = ue.rekey.as_deref_mut() else {
            return false;
        };
        let Ok(verified) = security.unprotect(nas) else { return false };
        if !matches!(FgmmMessage::decode(&verified.plain), Ok(FgmmMessage::SecurityModeComplete(_))) {
            return false;
        }
        if let Some(Rekey::SecurityModeComplete { security, .. }) = ue.rekey.take().map(|r| *r) {
            (ue.security, ue.keys_due) = (*security, keys_due);
        }
        self.timers.stop(TimerKey::Rekey(supi));
        self.counters.rekeyed += 1;
        self.rekey_radio(id, supi, verified.count);
        true
    }

    /// T3560, or `hss` was silent.
    pub(super) fn on_rekey_timeout(&mut self, supi: Supi) {
        match self.take_rekey(supi) {
            Some(Rekey::AuthResponse { challenge, resynced, left }) if left > 0 => {
                self.send_protected(supi, challenge.request());
                let rekey = Rekey::AuthResponse { challenge, resynced, left: left - 1 };
                self.expect_rekey(supi, rekey, NAS_RETRANSMIT_MS);
            }
            Some(Rekey::SecurityModeComplete { mut security, command, left }) if left > 0 => {
                self.send_under(supi, &mut security, &command);
                let rekey = Rekey::SecurityModeComplete { security, command, left: left - 1 };
                self.expect_rekey(supi, rekey, NAS_RETRANSMIT_MS);
            }
            Some(Rekey::Vector { txn, .. }) => {
                self.forget_question(txn);
                self.put_rekey_off(supi);
            }
            Some(_) => self.put_rekey_off(supi),
            None => {}
        }
    }

    // ---- the radio

    /// UE CONTEXT MODIFICATION REQUEST (TS 38.413 §8.3.4) with the KgNB of the new keys and of the message that took
    /// them into use.
    pub(super) fn rekey_radio(&mut self, id: AmfUeNgapId, supi: Supi, ul_count: u32) {
        let Some(ue) = self.registry.ue(supi) else { return };
        let key = ue.security.kgnb(ul_count);
        let chain = ue.security.chain(&key);
        let Some(conn) = self.registry.conn_mut(id) else { return };
        (conn.ul_count, conn.new_chain) = (ul_count, Some(chain));
        self.start(TimerKey::ContextModification(id), NGAP_GUARD_MS);
        self.send_on(id, |c| {
            Message::UeContextModificationRequest(UeContextModificationRequest {
                amf_ue_id: c.id,
                ran_ue_id: c.ran,
                key: Some(SecurityKey(key)),
                ue_ambr: None,
            })
        });
    }

    /// UE CONTEXT MODIFICATION RESPONSE.
    pub(super) fn on_context_modified(
        &mut self,
        assoc: AssocId,
        stream: u16,
        m: &UeContextModificationResponse,
    ) {
        let Some(conn) = self.lookup(assoc, stream, m.amf_ue_id, m.ran_ue_id) else { return };
        match conn.new_chain.take() {
            Some(chain) => conn.chain = Some(chain),
            None if std::mem::take(&mut conn.rates_asked) => {}
            None => return self.refused("unasked-answer"),
        }
        self.timers.stop(TimerKey::ContextModification(m.amf_ue_id));
    }

    /// UE CONTEXT MODIFICATION FAILURE: the radio has no keys that both sides agree on. The UE comes back with its new
    /// ones.
    pub(super) fn on_context_not_modified(
        &mut self,
        assoc: AssocId,
        stream: u16,
        m: &UeContextModificationFailure,
    ) {
        let Some(conn) = self.lookup(assoc, stream, m.amf_ue_id, m.ran_ue_id) else { return };
        if conn.new_chain.is_none() && !conn.rates_asked {
            return self.refused("unasked-answer");
        }
        self.timers.stop(TimerKey::ContextModification(m.amf_ue_id));
        self.on_context_modification_timeout(m.amf_ue_id);
    }

    /// The gNB did not take the new keys, or did not answer.
    pub(super) fn on_context_modification_timeout(&mut self, id: AmfUeNgapId) {
        self.refused("no-context-modification");
        let rates = self.registry.conn_mut(id).is_some_and(|c| std::mem::take(&mut c.rates_asked));
        if rates {
            // It keeps to the ones that it has; the gateway does not.
            return;
        }
        self.release_conn(id, Cause::RadioNetwork(RadioCause::UNSPECIFIED));
    }
}
