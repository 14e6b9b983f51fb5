//! An operator bans a SIM: the directory refuses it, the gateway cuts it, the database is told, sessions end.

use super::{CONFIRM_MS, Reply, receipt::journal_place};
use crate::{
    control::Control,
    crash,
    link::{CutReceipt, ToGateway},
    time::now,
};
use access::nr::UeState;
use admin_web::{BanError, BanRequest, Receipt};
use types::{Imsi, Mono, PduSessionId, SimState, Utc};

/// A cut that the gateway has not confirmed.
pub(super) struct Cut {
    pub request: BanRequest,
    pub reply: Option<Reply>,
    pub before: Option<SimState>,
    pub at: Utc,
    pub deadline: Mono,
}

impl Control {
    /// An operator bans a SIM.
    pub(in crate::control) fn ban(&mut self, request: BanRequest, reply: Reply) {
        // An unban that is on its way into the database is ahead of this ban there.
        let unbanned = self.bans.storing.values().find(|w| w.imsi == request.imsi && !w.ban).map(|w| w.to);
        let before = unbanned.or(self.hss.state(request.imsi));
        match before {
            None => return drop(reply.send(Err(BanError::NotFound))),
            // A second ban of the same kind is repeated and answered anew: whoever asks wants to be sure.
            Some(b) if b == request.state => {}
            Some(b) => {
                if let Err(e) = b.change_to(request.state) {
                    return drop(reply.send(Err(BanError::NotAllowed(e))));
                }
            }
        }
        self.cut(request, before, Some(reply));
    }

    pub(super) fn cut(&mut self, request: BanRequest, before: Option<SimState>, reply: Option<Reply>) {
        crash::point("ban.asked");
        let now = now();
        self.hss.handle(hss::Input::SetState { imsi: request.imsi, state: request.state }, now);
        let id = self.number();
        let (imsi, state) = (request.imsi, request.state);
        let (actor, reason) = (request.actor.clone(), request.reason.clone());
        let deadline = now.mono.plus_ms(CONFIRM_MS);
        self.bans.cuts.insert(id, Cut { request, reply, before, at: now.utc, deadline });
        if self.gateway.is_some() {
            self.to_gateway(ToGateway::Cut { id, imsi, state, actor, reason, at: now.utc });
        } else {
            self.cut_without_gateway(
                id,
                "the gateway is down: no packet passes, and it is cut before it forwards again",
            );
        }
    }

    /// The gateway has cut.
    pub(in crate::control) fn cut_done(&mut self, id: u64, receipt: CutReceipt) {
        let Some(cut) = self.bans.cuts.remove(&id) else {
            return self.learn_late_cut(&receipt);
        };
        let mut stored = Vec::new();
        let sessions = self.sessions_of(cut.request.imsi);
        let mut pending = self.tell(cut.request.imsi, cut.request.state);
        match &receipt.journal {
            Ok(r) => {
                stored.push(journal_place(r));
                pending.push("the revocation journal has no copy off this machine".to_owned());
            }
            Err(why) => pending.push(format!("the revocation journal could not be written: {why}")),
        }
        if receipt.shards_confirmed < receipt.shards {
            pending.push(format!("{} of {} shards confirmed", receipt.shards_confirmed, receipt.shards));
        }
        let answer = Receipt {
            imsi: receipt.imsi,
            state: cut.request.state,
            before: cut.before,
            cut_at: receipt.cut_at,
            cut_us: receipt.cut_us,
            shards: receipt.shards_confirmed,
            stored,
            last_packet: receipt.last_packet,
            dropped_since: 0,
            sessions,
            pending,
        };
        self.store_ban(id, cut, answer);
    }

    pub(super) fn cut_without_gateway(&mut self, id: u64, why: &str) {
        let Some(cut) = self.bans.cuts.remove(&id) else { return };
        let sessions = self.sessions_of(cut.request.imsi);
        let mut pending = self.tell(cut.request.imsi, cut.request.state);
        pending.push(why.to_owned());
        let answer = Receipt {
            imsi: cut.request.imsi,
            state: cut.request.state,
            before: cut.before,
            cut_at: cut.at,
            cut_us: 0,
            shards: 0,
            stored: Vec::new(),
            last_packet: None,
            dropped_since: 0,
            sessions,
            pending,
        };
        self.store_ban(id, cut, answer);
    }

    /// Session release, deregistration: sent, not waited for. What is pending of it, in words.
    fn tell(&mut self, imsi: Imsi, state: SimState) -> Vec<String> {
        self.end_sim(imsi, state);
        let ends = |s: UeState| s == UeState::Deregistering;
        let told = self.amf.ues().any(|u| u.supi.imsi() == imsi && ends(u.state));
        if told { vec!["the UE has not confirmed its deregistration".to_owned()] } else { Vec::new() }
    }

    fn sessions_of(&self, imsi: Imsi) -> Vec<PduSessionId> {
        self.amf.ues().filter(|u| u.supi.imsi() == imsi).flat_map(|u| u.sessions).map(|s| s.id).collect()
    }
}
