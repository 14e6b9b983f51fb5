//! The gateway as control has it: what comes by the link, and what is sent.

use super::{Control, link_task::LinkEvent, status};
use access::nr;
use admin_web::Asker;
use gateway::{
    link::{FromGateway, GatewayHello, ToGateway},
    time::now,
};
use tokio::sync::mpsc;
use tracing::{debug, error, info, warn};

/// The gateway while it is connected.
pub(super) struct Gateway {
    pub(super) hello: GatewayHello,
    pub(super) to: mpsc::UnboundedSender<ToGateway>,
}

impl Control {
    /// The gateway: what it says.
    pub(super) fn link(&mut self, e: LinkEvent) {
        match e {
            LinkEvent::Up { hello, to } => self.gateway_up(hello, to),
            LinkEvent::Down => self.gateway_down(),
            LinkEvent::Message(m) => self.gateway_says(m),
        }
    }

    fn gateway_says(&mut self, m: FromGateway) {
        match m {
            FromGateway::Hello(_) => warn!("the gateway says hello twice"),
            FromGateway::N4(bytes) => self.amf.handle(nr::Input::N4(bytes), now()),
            FromGateway::PolicyDone { generation, result } => self.policy_enforced(generation, result),
            FromGateway::PolicyWanted { has } => {
                debug!(has, "the gateway wants the whole policy");
                self.publish_policy();
            }
            FromGateway::CutDone { id, receipt } => self.cut_done(id, vec![receipt]),
            FromGateway::LocalCut { revoked, .. } => {
                self.learn_revoked(&revoked);
            }
            FromGateway::Recorded { imsi, stored } => {
                info!(%imsi, record = stored.record, "the cut of {imsi} is in the journal after all");
                self.recorded(imsi, &stored);
            }
            FromGateway::UncutDone { id, result } => self.uncut_done(id, result),
            FromGateway::CutAllDone { id, receipts } => {
                self.cut_done(id, receipts);
            }
            FromGateway::RestrictDone { id, result, shards } => self.restrict_done(id, result, shards),
            FromGateway::UnionDone { id, result: Err(why) } => {
                warn!(id, "the gateway did not take the bans of the database: {why}");
            }
            FromGateway::UnionDone { .. } => {}
            FromGateway::NeedUnion { why } => {
                warn!("the gateway asks for the bans of the database: {why}");
                self.send_union();
            }
            FromGateway::CopyChanged(copy) => {
                if let Some(why) = copy.error {
                    self.alarm(None, format!("the journal's copy {} is behind: {why}", copy.place));
                }
            }
            FromGateway::CopyDone { place, head } => {
                debug!(records = head.records, "the journal's copy {place} has {} records", head.records);
                self.copied(&place, head.records);
            }
            FromGateway::LocalCutImei { device, actor, reason, at, stored } => {
                warn!("a device was cut at the gateway: {device}");
                let asker = Asker { actor, reason, origin: "gateway".to_owned(), ..Asker::default() };
                self.learn_device(device, asker, at, stored);
            }
            FromGateway::EndedTunnelUsed { imsi, teid, radio } => {
                let used = nr::Input::EndedTunnelUsed { supi: types::Supi(imsi), teid, radio };
                self.amf.handle(used, now());
            }
            FromGateway::ForeignAsk(ask) => self.foreign_ask(ask),
            FromGateway::Foreign { session, up } => self.foreign_changed(session, up),
            FromGateway::Smf { smf, state } => self.smf_changed(smf, state),
            FromGateway::Page { id, ask } => self.page_asked(id, ask),
            FromGateway::Flows { records, lost } => self.record_flows(records, lost),
            FromGateway::Status { id, status } => self.answered(id, status::GatewayAnswer::Status(status)),
            FromGateway::Trace { id, trace } => self.answered(id, status::GatewayAnswer::Trace(trace)),
            FromGateway::Names { id, names } => self.answered(id, status::GatewayAnswer::Names(names)),
            FromGateway::Alarm(text) => self.alarm(None, text),
        }
    }

    /// The order matters: revocations that the gateway does not know first, then the policy, then sessions.
    fn gateway_up(&mut self, hello: GatewayHello, to: mpsc::UnboundedSender<ToGateway>) {
        self.gateway = Some(Gateway { hello: hello.clone(), to });
        self.unite_revocations(&hello);
        self.send_union();
        self.foreign_up(&hello);
        // Without a database there is no policy here; the gateway goes on with the one that it has.
        if !self.reduced {
            self.publish_routes();
            self.publish_facts();
            self.reload_grants();
            self.publish_policy();
        }
        self.amf.handle(nr::Input::N4Up { recovery: hello.recovery, sessions: hello.sessions }, now());
    }

    fn gateway_down(&mut self) {
        self.gateway = None;
        self.foreign.forget();
        self.amf.handle(nr::Input::N4Down, now());
        self.gateway_lost();
        self.policy_without_gateway();
    }

    fn record_flows(&mut self, records: Vec<types::FlowRecord>, lost: u64) {
        if lost > 0 {
            warn!(lost, "{lost} flow records were lost while nobody took them");
        }
        self.watch_flows(&records);
        let flows = self.flows.clone();
        let at = now().utc;
        tokio::spawn(async move {
            if let Err(e) = flows.append(records, at).await {
                error!("flow records could not be written: {e}");
            }
        });
    }

    pub(super) fn to_gateway(&self, m: ToGateway) {
        if let Some(g) = &self.gateway {
            // A closed channel means that `Down` is on its way.
            drop(g.to.send(m));
        }
    }
}
