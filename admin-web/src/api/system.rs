//! How the system is: for people, for load balancers, for Prometheus; and this API's own description.

use crate::{
    api::{apps::AppBody, documents::Resource},
    check::rfc3339,
    control::{AppView, AuditStanding, DeliveryStatus, GnbView, Metric, MetricKind, PeerView, Status},
    metrics,
    problem::{Lang, Problem, say},
    request::Language,
    rights::{Limited, ReadCapability},
    state::AppState,
};
use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

/// How the system is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct System {
    version: String,
    /// Since when it runs.
    started: String,
    /// True where every part works.
    ready: bool,
    parts: Vec<Part>,
    /// SCTP transport in use: udp, raw or kernel.
    transport: String,
    /// sqlite or postgres.
    database: String,
    /// Policy generation that is stored; null where the database does not answer.
    policy_generation: Option<u64>,
    /// Policy generation that the gateway enforces; null while it is not known.
    enforced_generation: Option<u64>,
    gnbs: Vec<Gnb>,
    /// MMEs and SMFs of another core.
    peers: Vec<Peer>,
    /// Apps that have a probe, and whether they work.
    apps: Vec<AppHealth>,
    /// Apps that stand beside those that people made: the identity provider, which everybody reaches before a proof.
    built_in_apps: Vec<AppBody>,
    /// UEs that are registered.
    ues: u64,
    /// Sessions that are live.
    sessions: u64,
    /// SIMs in the gateway's revoked set.
    revoked: u64,
    /// Newest record of the revocation journal.
    journal_record: Option<u64>,
    /// Where audit and alerts are sent to.
    deliveries: Vec<Delivery>,
    /// What the last reading of the audit found; null before the whole of it was read once.
    audit: Option<AuditCheck>,
    /// The console in this binary.
    console: ConsoleStanding,
}

/// What the last reading of the audit found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditCheck {
    /// When every row was last read against everything that was signed.
    whole: String,
    /// When what came since was last read.
    checked: String,
    /// Number of the newest row that was read.
    rows: u64,
    /// The first row that does not fit; null where all do.
    broken: Option<u64>,
}

impl From<AuditStanding> for AuditCheck {
    fn from(a: AuditStanding) -> Self {
        Self { whole: rfc3339(a.whole), checked: rfc3339(a.checked), rows: a.rows, broken: a.broken }
    }
}

/// How the console in this binary stands to the sources that the binary was built from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Console)]
pub(crate) struct ConsoleStanding {
    /// current, stale or missing.
    state: &'static str,
    /// In words.
    text: String,
    /// The command that mends it; null where nothing is to be mended.
    fix: Option<&'static str>,
}

impl ConsoleStanding {
    fn of(s: &crate::Standing) -> Self {
        Self { state: s.word(), text: s.text(), fix: s.fix() }
    }
}

/// A destination of audit and alerts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Delivery {
    name: String,
    /// webhook or syslog.
    kind: String,
    /// True while it takes what is sent.
    up: bool,
    /// Rows of the outbox that it has not yet; null where the database does not answer.
    behind: Option<u64>,
    /// Items that it took.
    items: u64,
    /// Items that were gone before it could take them: it was told how many.
    lost: u64,
    /// When it last had everything, or took something.
    last_ok: Option<String>,
    /// Since when it takes nothing.
    failing_since: Option<String>,
    /// What it last failed with.
    error: Option<String>,
}

impl Delivery {
    fn of(d: DeliveryStatus, last: Option<u64>) -> Self {
        Self {
            name: d.name,
            kind: d.kind.to_owned(),
            up: d.error.is_none(),
            behind: last.map(|n| n.saturating_sub(d.seq)),
            items: d.items,
            lost: d.lost,
            last_ok: d.last_ok.map(rfc3339),
            failing_since: d.failing_since.map(rfc3339),
            error: d.error,
        }
    }
}

/// A part of the system.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Part {
    name: String,
    up: bool,
    /// In words.
    detail: String,
}

/// A radio.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Gnb {
    name: String,
    address: String,
    tacs: Vec<String>,
    ues: u64,
    since: String,
}

impl From<GnbView> for Gnb {
    fn from(g: GnbView) -> Self {
        Self {
            name: g.name,
            address: g.address.to_string(),
            tacs: g.tacs,
            ues: g.ues,
            since: rfc3339(g.since),
        }
    }
}

/// An MME or SMF of another core, and what became of what it had when it or we started anew.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CorePeer)]
pub(crate) struct Peer {
    /// s6a, gx or n4.
    face: String,
    name: String,
    /// never (not heard of since our start), up, away (S6a, Gx: not connected), silent (N4: no answer to heartbeats, or no
    /// association any more).
    state: String,
    /// N4: when it started, as its Recovery Time Stamp says.
    started: Option<String>,
    /// S6a, Gx: its Origin-State-Id.
    origin_state: Option<u32>,
    /// How often it has started anew since our start.
    restarts: u64,
    /// S6a: SIMs that it serves. Gx, N4: sessions that it has.
    holds: u64,
    /// Sessions that have ended because it started anew.
    ended: u64,
    /// N4: sessions to which it gave back their endpoints after our start.
    restored: u64,
    /// S6a: SIMs that it is to let go of, and has not.
    due: u64,
}

impl From<PeerView> for Peer {
    fn from(p: PeerView) -> Self {
        Self {
            face: p.face.to_owned(),
            name: p.name,
            state: p.state.to_owned(),
            started: p.started.map(rfc3339),
            origin_state: p.origin_state,
            restarts: p.restarts,
            holds: p.holds,
            ended: p.ended,
            restored: p.restored,
            due: p.due,
        }
    }
}

/// An app that has a probe, and what that says.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AppHealth {
    name: String,
    /// What it is asked: tcp/PORT, http/PORT/PATH.
    probe: String,
    /// Where; null where none of its prefixes is one address that may be asked.
    address: Option<String>,
    /// up, down (two failures in a row), unknown, not-asked.
    state: String,
    /// Since when it is up or down.
    since: Option<String>,
    /// When it was last asked.
    asked: Option<String>,
    /// What was wrong the last time, in words.
    why: Option<String>,
}

impl AppHealth {
    fn of(a: AppView, lang: Lang) -> Self {
        Self {
            name: a.name,
            probe: a.probe,
            address: a.address.map(|ip| ip.to_string()),
            state: a.state.to_owned(),
            since: a.since.map(rfc3339),
            asked: a.asked.map(rfc3339),
            why: a.why.map(|w| w.text(lang).to_owned()),
        }
    }
}

/// Every part and whether it works, radios, MMEs and SMFs of another core, generations, counts.
#[utoipa::path(get, path = "/api/v1/system", tag = "system", security(("token" = ["read"])),
    responses((status = 200, body = System)))]
pub(crate) async fn status(
    _: Limited<ReadCapability>,
    Language(lang): Language,
    State(s): State<AppState>,
) -> Json<System> {
    let status = s.control.status().await;
    let generation = s.store.policy_generation().await.ok();
    let last = s.store.last_outbox().await.ok();
    let ready = status.ready() && generation.is_some();
    let part = |p: crate::PartStatus| Part {
        name: p.name.to_owned(),
        up: p.up,
        detail: p.detail.text(lang).to_owned(),
    };
    Json(System {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: rfc3339(status.started),
        ready,
        parts: status.parts.into_iter().map(part).collect(),
        transport: status.transport,
        database: s.store.kind().to_owned(),
        policy_generation: generation,
        enforced_generation: status.enforced_generation,
        gnbs: status.gnbs.into_iter().map(Gnb::from).collect(),
        peers: status.peers.into_iter().map(Peer::from).collect(),
        apps: status.apps.into_iter().map(|a| AppHealth::of(a, lang)).collect(),
        built_in_apps: status.built_in.into_iter().map(Resource::body).collect(),
        ues: status.ues,
        sessions: status.sessions,
        revoked: status.revoked,
        journal_record: status.journal_record,
        deliveries: s.control.deliveries().into_iter().map(|d| Delivery::of(d, last)).collect(),
        audit: s.control.audit_standing().map(AuditCheck::from),
        console: ConsoleStanding::of(s.console.standing()),
    })
}

/// This document.
#[utoipa::path(get, path = "/api/openapi.json", tag = "system",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json")))]
pub(crate) async fn document() -> Response {
    Json(crate::openapi()).into_response()
}

/// The process answers.
#[utoipa::path(get, path = "/healthz", tag = "system",
    responses((status = 200, description = "It answers", body = String, content_type = "text/plain")))]
pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

/// Every part works. If not, the problem names those that do not, and nothing else.
#[utoipa::path(get, path = "/readyz", tag = "system",
    responses((status = 200, description = "Every part works", body = String, content_type = "text/plain")))]
pub(crate) async fn ready(State(s): State<AppState>) -> Result<&'static str, Problem> {
    let status: Status = s.control.status().await;
    let mut down: Vec<&str> = status.parts.iter().filter(|p| !p.up).map(|p| p.name).collect();
    if s.store.ping().await.is_err() && !down.contains(&"store") {
        down.push("store");
    }
    if down.is_empty() {
        return Ok("ready\n");
    }
    let names = down.join(", ");
    Err(Problem::new(503, "not-ready", say!("Not ready", "準備ができていません"))
        .detail(say!("down: {names}", "停止中: {names}"))
        .fix(say!("GET /api/v1/system says more", "詳細は GET /api/v1/system を確認してください"))
        .with("down", serde_json::json!(down)))
}

/// Numbers for Prometheus. No label holds an IMSI.
#[utoipa::path(get, path = "/metrics", tag = "system", security(("token" = ["read"])),
    responses((status = 200, description = "Prometheus text format", body = String, content_type = "text/plain")))]
pub(crate) async fn metrics(_: ReadCapability, State(s): State<AppState>) -> Response {
    let mut all = s.control.metrics().await;
    all.extend(s.signals.metrics());
    let gauge =
        |name, help, labels, value| crate::Metric { name, help, kind: MetricKind::Gauge, labels, value };
    for (state, n) in s.store.count_sims().await.unwrap_or_default() {
        let labels = vec![("state", state.to_string())];
        all.push(gauge("sekisho_sims", "SIMs by state.", labels, n as f64));
    }
    for (state, severity, n) in s.store.count_alerts().await.unwrap_or_default() {
        let labels = vec![("state", state.to_string()), ("severity", severity.to_string())];
        all.push(gauge("sekisho_alerts", "Alerts that are not closed.", labels, n as f64));
    }
    let last = s.store.last_outbox().await.unwrap_or_default();
    for d in s.control.deliveries() {
        let labels = || vec![("destination", d.name.clone())];
        let behind = last.saturating_sub(d.seq) as f64;
        all.push(gauge("sekisho_delivery_behind", "Rows that a destination has not yet.", labels(), behind));
        let up = f64::from(u8::from(d.error.is_none()));
        all.push(gauge("sekisho_delivery_up", "1 while a destination takes what is sent.", labels(), up));
        for (name, help, n) in [
            ("sekisho_delivery_items_total", "Items that a destination took.", d.items),
            ("sekisho_delivery_lost_total", "Items gone before a destination could take them.", d.lost),
        ] {
            let (kind, value) = (MetricKind::Counter, n as f64);
            all.push(crate::Metric { name, help, kind, labels: labels(), value });
        }
    }
    if let Ok(f) = s.flows.stats().await {
        all.push(gauge("sekisho_flow_records", "Flow records that are kept.", vec![], f.records as f64));
        all.push(gauge("sekisho_flow_log_bytes", "Octets of flow records on disk.", vec![], f.bytes as f64));
        all.push(crate::Metric {
            name: "sekisho_flow_records_lost_total",
            help: "Flow records that could not be written.",
            kind: MetricKind::Counter,
            labels: vec![],
            value: f.lost as f64,
        });
    }
    all.extend(s.requests.metrics());
    let proofs = s.step_up.as_ref().map(|p| p.counted()).unwrap_or_default();
    all.extend(proofs.into_iter().map(|(what, n)| Metric {
        name: "sekisho_proofs_total",
        help: "People at the page inside the closed network who proved themselves, or why not.",
        kind: MetricKind::Counter,
        labels: vec![("what", what.to_owned())],
        value: n as f64,
    }));
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics::text(&all))
        .into_response()
}
