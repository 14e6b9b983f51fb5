//! How everything is: parts and counts for the API, figures for Prometheus.

use super::Control;
use crate::io::sctp::SctpMode;
use admin_web::{ControlError, GnbView, Metric, MetricKind, PartStatus, Status, say};
use gateway::link::{GatewayStatus, ShardStatus, SimTrace, ToGateway};
use pgw_policy::command::LearnedName;
use tokio::sync::oneshot;
use types::Imsi;

/// What waits for an answer of the gateway.
pub(crate) enum Asked {
    Status(oneshot::Sender<Status>),
    Metrics(oneshot::Sender<Vec<Metric>>),
    /// The receipt of this SIM's ban wants the count of packets dropped since.
    Dropped(Imsi),
    /// The reconciler.
    Sweep(super::bans::Swept),
    /// Somebody wants to know what a SIM has looked up.
    Names(oneshot::Sender<Result<Vec<LearnedName>, ControlError>>),
}

/// The gateway's answer.
pub(crate) enum GatewayAnswer {
    Status(Box<GatewayStatus>),
    Trace(SimTrace),
    Names(Vec<LearnedName>),
}

impl Control {
    /// Asks the gateway how it is, and answers at once where it is not there.
    pub(super) fn ask_gateway_status(&mut self, asked: Asked) {
        if self.gateway.is_some() {
            let id = self.number();
            self.asked.insert(id, asked);
            self.to_gateway(ToGateway::Status { id });
        } else {
            self.answer_status(asked, None);
        }
    }

    /// An answer of the gateway to one of our questions.
    pub(super) fn answered(&mut self, id: u64, answer: GatewayAnswer) {
        match (self.asked.remove(&id), answer) {
            (Some(Asked::Dropped(imsi)), GatewayAnswer::Trace(t)) => self.traced(imsi, t),
            (Some(Asked::Sweep(_)), GatewayAnswer::Status(s)) => self.sweep_gateway(&s),
            (Some(asked), GatewayAnswer::Status(s)) => self.answer_status(asked, Some(&s)),
            (Some(Asked::Names(reply)), GatewayAnswer::Names(names)) => drop(reply.send(Ok(names))),
            (None, _) | (Some(_), GatewayAnswer::Trace(_) | GatewayAnswer::Names(_)) => {}
        }
    }

    /// Whoever waits for the gateway is answered without it.
    pub(super) fn answer_without_gateway(&mut self) {
        for (_, asked) in std::mem::take(&mut self.asked) {
            self.answer_status(asked, None);
        }
    }

    fn answer_status(&self, asked: Asked, g: Option<&GatewayStatus>) {
        match asked {
            Asked::Status(reply) => drop(reply.send(self.status(g))),
            Asked::Metrics(reply) => drop(reply.send(self.metrics(g))),
            Asked::Names(reply) => {
                let why = "it does not answer".to_owned();
                drop(reply.send(Err(ControlError::Unavailable { part: "gateway", why })));
            }
            Asked::Dropped(_) | Asked::Sweep(_) => {}
        }
    }

    /// What a SIM has looked up.
    pub(super) fn ask_names(
        &mut self,
        imsi: Imsi,
        reply: oneshot::Sender<Result<Vec<LearnedName>, ControlError>>,
    ) {
        let asked = Asked::Names(reply);
        if self.gateway.is_none() {
            return self.answer_status(asked, None);
        }
        let id = self.number();
        self.asked.insert(id, asked);
        self.to_gateway(ToGateway::Names { id, imsi });
    }

    fn status(&self, g: Option<&GatewayStatus>) -> Status {
        let part = |name, up, detail| PartStatus { name, up, detail };
        let (ues, own) = self.amf.census();
        let sessions = own + self.foreign.sessions().count() as u64;
        let gateway = match &self.gateway {
            Some(h) => {
                let shards = h.hello.shards;
                part("gateway", true, say!("{shards} shards", "シャード {shards} 個"))
            }
            None => part(
                "gateway",
                false,
                say!(
                    "it does not answer; no packet passes, and nobody can attach",
                    "応答しません。パケットは 1 つも通らず、新しい接続もできません"
                ),
            ),
        };
        let journal = match g {
            Some(s) => {
                let (records, room) = (s.journal.records, s.journal_room);
                let detail = say!(
                    "{records} records, room for {room} more",
                    "記録 {records} 件、あと {room} 件書けます"
                );
                part("journal", true, detail)
            }
            None => {
                let detail = say!(
                    "the gateway keeps it and does not answer",
                    "これを保持しているゲートウェイが応答しません"
                );
                part("journal", false, detail)
            }
        };
        let hold = self.hold.as_ref().map(|h| {
            let why = &h.reason;
            let detail = say!(
                "every SIM is held: {why}; sekisho restore confirm",
                "すべての SIM を保留しています: {why}。解除するには sekisho restore confirm"
            );
            part("hold", false, detail)
        });
        let s6a = self.config.s6a.as_ref().map(|c| {
            let at = ways(&c.face());
            let all = c.mme.len();
            let here: Vec<&str> = self.s6a.iter().flat_map(|w| w.mmes()).map(|m| m.as_str()).collect();
            let (n, names) = (here.len(), here.join(", "));
            part(
                "s6a",
                true,
                say!("{at}, {n} of {all} MMEs connected: {names}", "{at}、接続中の MME {n}/{all}: {names}"),
            )
        });
        let gx = self.config.gx.as_ref().zip(self.gx.as_ref()).map(|(c, w)| {
            let at = ways(&c.face());
            let (all, sessions) = (c.smf.len(), w.sessions());
            let here: Vec<&str> = w.smfs().map(|s| s.as_str()).collect();
            let (n, names) = (here.len(), here.join(", "));
            part(
                "gx",
                true,
                say!(
                    "{at}, {n} of {all} SMFs connected: {names}; {sessions} sessions",
                    "{at}、接続中の SMF {n}/{all}: {names}、セッション {sessions} 件"
                ),
            )
        });
        let (address, transport) = (self.config.n2.address, self.n2_mode.word());
        let port = match self.n2_mode {
            SctpMode::Udp { port } => port,
            SctpMode::Kernel | SctpMode::Raw => self.config.n2.port,
        };
        Status {
            started: self.started,
            parts: [
                gateway,
                journal,
                self.database_status(),
                self.heads_status(),
                self.reconciler_status(),
                part(
                    "n2",
                    true,
                    say!(
                        "{address} port {port}, SCTP over {transport}",
                        "{address} ポート {port}、SCTP は {transport} の上"
                    ),
                ),
            ]
            .into_iter()
            .chain(s6a)
            .chain(self.smf_status(g.map(|g| &g.smfs[..])))
            .chain(gx)
            .chain(hold)
            .collect(),
            transport: transport.to_owned(),
            enforced_generation: g.map(|s| s.policy_generation),
            gnbs: self
                .amf
                .gnbs()
                .map(|v| GnbView {
                    since: self.since.gnb(&v.name),
                    name: v.name,
                    address: v.peer,
                    tacs: v.tacs.iter().map(|t| u32::from(*t).to_string()).collect(),
                    ues: v.ues as u64,
                })
                .collect(),
            peers: self.core_peers(g),
            apps: self.app_views(),
            built_in: self.policy.built_in(),
            ues,
            sessions,
            revoked: g.map_or(0, |s| s.revoked),
            journal_record: g.map(|s| s.journal.records),
        }
    }

    fn metrics(&self, g: Option<&GatewayStatus>) -> Vec<Metric> {
        use MetricKind::{Counter, Gauge};
        let m = |name, help, kind, labels, value| Metric { name, help, kind, labels, value };
        let c = self.amf.counters();
        let mut all = vec![
            m(
                "sekisho_gateway_up",
                "1 where the gateway is connected",
                Gauge,
                vec![],
                f64::from(u8::from(self.gateway.is_some())),
            ),
            m("sekisho_gnbs", "Radios connected", Gauge, vec![], self.amf.gnbs().count() as f64),
            m("sekisho_ues", "UEs registered", Gauge, vec![], self.amf.census().0 as f64),
            m(
                "sekisho_registrations_total",
                "Registrations accepted",
                Counter,
                vec![],
                c.registrations as f64,
            ),
            m("sekisho_sessions_total", "PDU sessions that came up", Counter, vec![], c.sessions as f64),
            m("sekisho_sims_loaded", "SIMs in the directory", Gauge, vec![], self.hss.len() as f64),
        ];
        if let Some(w) = &self.s6a {
            all.push(m("sekisho_mmes", "MMEs connected by S6a", Gauge, vec![], w.mmes().count() as f64));
            let messages = w.messages() as f64;
            all.push(m("sekisho_s6a_messages_total", "Messages of MMEs", Counter, vec![], messages));
        }
        if let Some(g) = g.filter(|_| self.config.n4.is_some()) {
            let up = g.smfs.iter().filter(|s| s.state == types::SmfState::Up).count();
            let sessions: u64 = g.smfs.iter().map(|s| s.sessions).sum();
            let (received, refused) = (g.pfcp_received as f64, g.pfcp_refused as f64);
            all.extend([
                m("sekisho_pfcp_smfs", "Foreign SMFs associated by PFCP", Gauge, vec![], up as f64),
                m("sekisho_foreign_sessions", "Sessions that they steer", Gauge, vec![], sessions as f64),
                m("sekisho_pfcp_messages_total", "PFCP datagrams of SMFs", Counter, vec![], received),
                m("sekisho_pfcp_refused_total", "Datagrams of others at N4", Counter, vec![], refused),
            ]);
        }
        if let Some(w) = &self.gx {
            all.push(m("sekisho_smfs", "SMFs connected by Gx", Gauge, vec![], w.smfs().count() as f64));
            let sessions = w.sessions() as f64;
            all.push(m("sekisho_gx_sessions", "Sessions that live at SMFs", Gauge, vec![], sessions));
            let messages = w.messages() as f64;
            all.push(m("sekisho_gx_messages_total", "Messages of SMFs", Counter, vec![], messages));
        }
        for (reason, n) in &c.refused {
            let labels = vec![("reason", (*reason).to_owned())];
            all.push(m(
                "sekisho_n2_refused_total",
                "Messages answered with an error or silence",
                Counter,
                labels,
                *n as f64,
            ));
        }
        all.extend(self.reconciler_metrics());
        for (kind, n) in self.events.raised() {
            let labels = vec![("kind", kind.to_string())];
            all.push(m(
                "sekisho_alerts_raised_total",
                "Alerts raised, repeats too",
                Counter,
                labels,
                n as f64,
            ));
        }
        let Some(g) = g else { return all };
        let sum = |of: fn(&ShardStatus) -> u64| g.shards.iter().map(of).sum::<u64>() as f64;
        all.push(m(
            "sekisho_gateway_sessions",
            "Sessions in the gateway",
            Gauge,
            vec![],
            sum(|s| s.sessions),
        ));
        all.push(m("sekisho_gateway_flows", "Live flows", Gauge, vec![], sum(|s| s.flows)));
        all.push(m("sekisho_revoked_sims", "SIMs in the revoked set", Gauge, vec![], g.revoked as f64));
        all.push(m(
            "sekisho_policy_generation",
            "Generation enforced",
            Gauge,
            vec![],
            g.policy_generation as f64,
        ));
        if let Some(seconds) = self.policy.enforcement() {
            all.push(m(
                "sekisho_policy_enforcement_seconds",
                "From the order to put the last change of the policy in force until every shard had it",
                Gauge,
                vec![],
                seconds,
            ));
        }
        for s in &g.shards {
            let shard = || ("shard", s.shard.to_string());
            let packets = "sekisho_gateway_packets_total";
            let bytes = "sekisho_gateway_bytes_total";
            let dir = |d: &str| vec![shard(), ("direction", d.to_owned())];
            let c = &s.counters;
            all.push(m(packets, "Packets forwarded", Counter, dir("uplink"), c.uplink_packets as f64));
            all.push(m(packets, "Packets forwarded", Counter, dir("downlink"), c.downlink_packets as f64));
            all.push(m(bytes, "Octets of inner IP forwarded", Counter, dir("uplink"), c.uplink_bytes as f64));
            all.push(m(
                bytes,
                "Octets of inner IP forwarded",
                Counter,
                dir("downlink"),
                c.downlink_bytes as f64,
            ));
            all.push(m(
                "sekisho_gateway_flows_unrecorded_total",
                "Allowed flows that ended without a record, because their rule says so",
                Counter,
                vec![shard()],
                c.records_left_out as f64,
            ));
            all.push(m(
                "sekisho_gateway_names_learned_total",
                "Addresses of apps' names that were learned from DNS answers",
                Counter,
                vec![shard()],
                c.names_learned as f64,
            ));
            all.push(m(
                "sekisho_gateway_lookups_left_out_total",
                "DNS questions and addresses for which there was no room",
                Counter,
                vec![shard()],
                c.lookups_left_out as f64,
            ));
            for (reason, n) in c.drops() {
                let labels = vec![shard(), ("reason", reason.as_str().to_owned())];
                all.push(m("sekisho_gateway_dropped_total", "Packets dropped", Counter, labels, n as f64));
            }
        }
        all
    }
}

/// Where peers of a Diameter face connect.
fn ways(face: &crate::config::diameter::Face<'_>) -> String {
    face.ways().iter().map(|w| format!("{} {}", w.at, w.word)).collect::<Vec<_>>().join(", ")
}
