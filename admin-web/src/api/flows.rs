//! Flow records: who reached what, when, by which rule, and what was denied.

use crate::{
    api::{
        List,
        rules::{DirectionWord, VerdictWord},
    },
    check::{Check, Kind, Time, rfc3339},
    problem::Problem,
    request::{Params, bad_cursor, page_limit},
    rights::{Limited, ReadCapability},
    state::AppState,
};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use store::FlowQuery;
use types::FlowRecord;
use utoipa::{IntoParams, ToSchema};

/// One flow.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Flow {
    start: String,
    end: String,
    imsi: String,
    /// Who opened it.
    direction: DirectionWord,
    /// The UE's address.
    ue: String,
    ue_port: u16,
    /// The other end.
    peer: String,
    peer_port: u16,
    /// IP protocol number.
    protocol: u8,
    app: Option<String>,
    rule: Option<String>,
    verdict: VerdictWord,
    /// Why it was denied, or why an allowed one ended.
    reason: String,
    /// Policy generation that judged it last.
    generation: u64,
    packets_up: u64,
    bytes_up: u64,
    packets_down: u64,
    bytes_down: u64,
    /// The server that its TLS ClientHello named, where the app has names.
    name: Option<String>,
    /// A rule that is only watched, and that would have refused it where it was allowed, or allowed it where it was
    /// refused.
    would: Option<String>,
}

impl From<FlowRecord> for Flow {
    fn from(r: FlowRecord) -> Self {
        Self {
            start: rfc3339(r.start),
            end: rfc3339(r.end),
            imsi: r.imsi.to_string(),
            direction: r.direction.into(),
            ue: r.ue.to_string(),
            ue_port: r.ue_port,
            peer: r.peer.to_string(),
            peer_port: r.peer_port,
            protocol: r.protocol,
            app: r.app.map(|a| a.to_string()),
            rule: r.rule.map(|a| a.to_string()),
            verdict: r.verdict.into(),
            reason: r.reason.to_string(),
            generation: r.generation,
            packets_up: r.packets_up,
            bytes_up: r.bytes_up,
            packets_down: r.packets_down,
            bytes_down: r.bytes_down,
            name: r.name.map(|n| n.to_string()),
            would: r.would.map(|r| r.to_string()),
        }
    }
}

/// Which flows; all conditions hold together.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FlowsQuery {
    /// Of this SIM.
    imsi: Option<String>,
    /// With this address at either end.
    address: Option<String>,
    /// With this app.
    app: Option<String>,
    /// With this verdict.
    #[param(inline)]
    verdict: Option<VerdictWord>,
    /// Ended at or after this time (RFC 3339).
    from: Option<String>,
    /// Began before this time (RFC 3339).
    to: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Most items on a page, 1-1000; 100 if not given.
    limit: Option<u32>,
}

/// Lists flow records, newest first.
#[utoipa::path(get, path = "/api/v1/flows", tag = "flows", params(FlowsQuery), security(("token" = ["read"])),
    responses((status = 200, body = List<Flow>)))]
pub(crate) async fn list(
    right: Limited<ReadCapability>,
    State(s): State<AppState>,
    Params(q): Params<FlowsQuery>,
) -> Result<Json<List<Flow>>, Problem> {
    let mut check = Check::default();
    let imsi = check.maybe("?imsi", q.imsi.as_deref(), Kind::Imsi);
    let address = check.maybe("?address", q.address.as_deref(), Kind::Ip);
    let app = check.maybe("?app", q.app.as_deref(), Kind::Name);
    let from: Option<Option<Time>> = check.maybe("?from", q.from.as_deref(), Kind::Time);
    let to: Option<Option<Time>> = check.maybe("?to", q.to.as_deref(), Kind::Time);
    check.done()?;
    let query = FlowQuery {
        imsi: imsi.flatten(),
        sims: right.sims(&s).await?.map(std::sync::Arc::new),
        address: address.flatten(),
        app: app.flatten(),
        verdict: q.verdict.map(Into::into),
        from: from.flatten().map(|t| t.0),
        to: to.flatten().map(|t| t.0),
    };
    let page = s.flows.query(query, q.cursor, page_limit(q.limit)?).await.map_err(|e| match e {
        store::StoreError::NotFound => bad_cursor(),
        e => e.into(),
    })?;
    Ok(List::of(page, Flow::from))
}
