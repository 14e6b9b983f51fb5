//! The union with the gateway's journal, and the end of what may not live. It only ever removes.

use super::store::Storing;
use crate::{
    control::Control,
    link::{CutReceipt, GatewayHello, Revoked},
    time::now,
};
use admin_web::{BanRequest, Receipt};
use std::collections::BTreeMap;
use store::{Change, StateChange};
use tracing::info;
use types::{Imsi, SimState, Utc};

impl Control {
    /// The gateway is back: the union of its revoked set and ours is enforced on both sides.
    pub(in crate::control) fn unite_revocations(&mut self, hello: &GatewayHello) {
        let theirs: BTreeMap<Imsi, SimState> = hello.revoked.iter().map(|r| (r.imsi, r.state)).collect();
        let ours: Vec<(Imsi, SimState)> = self.hss.banned().collect();
        for (imsi, state) in ours {
            if !theirs.contains_key(&imsi) {
                info!(%imsi, "the database says that {imsi} is banned, the journal does not: cut");
                self.recut(imsi, state);
            }
        }
        for r in &hello.revoked {
            self.learn_revoked(r);
        }
    }

    /// Ends whatever of a banned SIM is there all the same, because a part was away when the SIM was banned: a session
    /// that was found in the gateway, say. It only ever removes.
    pub(in crate::control) fn sweep(&mut self) {
        let banned: Vec<(Imsi, SimState)> = self.hss.banned().collect();
        for (imsi, state) in banned {
            self.end_sim(imsi, state);
        }
    }

    /// Cuts a SIM that is banned in the database already.
    pub(super) fn recut(&mut self, imsi: Imsi, state: SimState) {
        let request = BanRequest {
            imsi,
            state,
            reason: "banned in the database".to_owned(),
            actor: "reconciler".to_owned(),
            request_id: String::new(),
            ticket: String::new(),
        };
        self.cut(request, Some(state), None);
    }

    /// A cut that was confirmed after its asker had been answered.
    pub(super) fn learn_late_cut(&mut self, r: &CutReceipt) {
        self.learn(r.imsi, r.state, "gateway", "cut at the gateway", r.cut_at);
    }

    /// A cut that the gateway's journal has.
    pub(in crate::control) fn learn_revoked(&mut self, r: &Revoked) {
        self.learn(r.imsi, r.state, &r.actor, &r.reason, r.at);
    }

    /// The gateway has a ban that the database does not know.
    fn learn(&mut self, imsi: Imsi, state: SimState, actor: &str, reason: &str, at: Utc) {
        let Some(before) = self.hss.state(imsi) else { return };
        if before.is_banned() || !state.is_banned() {
            return;
        }
        info!(%imsi, "the journal says that {imsi} is banned, the database does not: recorded");
        self.hss.handle(hss::Input::SetState { imsi, state }, now());
        self.end_sim(imsi, state);
        let id = self.number();
        let receipt = Receipt {
            imsi,
            state,
            before: Some(before),
            cut_at: at,
            cut_us: 0,
            shards: 0,
            stored: Vec::new(),
            last_packet: None,
            dropped_since: 0,
            sessions: Vec::new(),
            pending: Vec::new(),
        };
        let (actor, reason) = (actor.to_owned(), reason.to_owned());
        let change = Change { reason: reason.clone(), ..Change::by_system(&actor, at) };
        self.bans.storing.insert(
            id,
            Storing { imsi, to: state, before: Some(before), actor, reason, reply: None, ban: true, receipt },
        );
        self.store_state(id, imsi, state, StateChange::Ban, change);
    }
}
