//! Recorded flows against a draft of the policy: who would newly be denied, who newly allowed.
//!
//! One answer is one stretch of the log; its cursor goes on. So a log of any length is read without a job that somebody
//! would have to look after, and whoever asks sees how far it is.

use crate::{
    api::{
        documents,
        policy_drafts::{read, set_of, sound},
        rules::DirectionWord,
    },
    check::{Check, Kind, Time, rfc3339},
    problem::{Problem, say},
    recorded::RecordedFlow,
    request::Body,
    rights::ReadCapability,
    state::{AppState, now},
};
use axum::{Json, extract::State};
use pgw_policy::{
    compile,
    replay::{Found, Kind as Difference, Replay},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use store::{FlowPlace, PolicySet};
use types::{FlowRecord, Imsi, Utc};
use utoipa::ToSchema;

/// So long one answer works.
const STRETCH: Duration = Duration::from_secs(2);
/// Most flows of one request.
const FLOWS: usize = 10_000;
/// Most kinds of difference in one answer.
const KINDS: usize = 2_000;

/// Which flows, against which draft.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayRequest {
    /// The draft as a file (TOML); this, or policy, or neither for the stored policy.
    text: Option<String>,
    /// The draft as a model.
    #[schema(value_type = Option<Object>)]
    policy: Option<Value>,
    /// Flows that ended at or after this time (RFC 3339); all if not given.
    from: Option<String>,
    /// Flows that began before this time (RFC 3339); now if not given.
    to: Option<String>,
    /// `next` of the answer before.
    cursor: Option<String>,
    /// These flows in place of those of the log: as GET /flows answers them, at most 10 000.
    #[schema(value_type = Option<Vec<Object>>)]
    flows: Option<Vec<RecordedFlow>>,
}

/// Flows that the draft says something else of.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReplayedKind {
    /// True where the draft would allow what was denied; false where it would deny what was allowed.
    allowed: bool,
    imsi: String,
    /// Whose SIM it is.
    person: Option<String>,
    app: Option<String>,
    direction: DirectionWord,
    /// IP protocol number.
    protocol: u8,
    /// Port of the side that was opened towards.
    port: u16,
    /// How many flows.
    flows: u64,
    /// When the first of them began.
    first: String,
    /// The other end of the first.
    peer: String,
    /// The rule that decided it then.
    was_rule: Option<String>,
    /// The draft's rule for it.
    rule: Option<String>,
}

/// How a stretch of the log came out.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Replayed {
    /// Flows that were looked at.
    records: u64,
    /// Allowed then, denied by the draft.
    newly_denied: u64,
    /// Denied by the rules then, allowed by the draft.
    newly_allowed: u64,
    /// It hangs on what was not recorded: a name in the TLS handshake, or what was known of the SIM.
    unsure: u64,
    /// Denied by something other than rules: a ban, a quarantine, a panic.
    not_by_rules: u64,
    /// Kinds of difference that are in the counts and not in the list.
    untold: u64,
    /// What differs, by SIM, app and service.
    kinds: Vec<ReplayedKind>,
    /// Where to go on; null at the end.
    next: Option<String>,
    /// Octets of the log behind this answer.
    done: u64,
    /// Octets of the log in all.
    total: u64,
}

/// Tries recorded flows against a draft, a stretch of the log at a time. Changes nothing.
#[utoipa::path(post, path = "/api/v1/policies/replay", tag = "policies", request_body = ReplayRequest,
    security(("token" = ["read"])), responses((status = 200, body = Replayed)))]
pub(crate) async fn replay(
    _: ReadCapability,
    State(s): State<AppState>,
    Body(body): Body<ReplayRequest>,
) -> Result<Json<Replayed>, Problem> {
    let mut check = Check::default();
    let from: Option<Option<Time>> = check.maybe("/from", body.from.as_deref(), Kind::Time);
    let to: Option<Option<Time>> = check.maybe("/to", body.to.as_deref(), Kind::Time);
    let at = place(&mut check, body.cursor.as_deref());
    if body.flows.as_ref().is_some_and(|f| f.len() > FLOWS) {
        check.add(
            "/flows",
            say!("there are more than {FLOWS} flows", "フローが {FLOWS} 件を超えています"),
            Some(say!("send them in several requests", "複数のリクエストに分けてください")),
        );
    }
    check.done()?;
    let from = from.flatten().map_or(Utc(i64::MIN), |t| t.0);
    let to = to.flatten().map_or_else(now, |t| t.0);
    let source = s.store.policy_source().await?;
    let set = match (body.text, body.policy) {
        (None, None) => PolicySet::from(source.clone()),
        (text, policy) => set_of(read(text, policy).await?),
    };
    let draft = sound(&s, &source, &set).await?;
    let compiled = tokio::task::spawn_blocking(move || compile(&draft)).await;
    let compiled = compiled.map_err(|_| Problem::internal())?.map_err(documents::unsound)?;
    let mut replay = Replay::new(compiled);
    if let Some(flows) = body.flows {
        let replay = fed(replay, flows.into_iter().map(Into::into).collect()).await?;
        return answered(&s, replay, None, 0, 0).await;
    }
    let (begun, mut done, mut total) = (Instant::now(), 0, 0);
    let mut piece = s.flows.read_on(at, from, to).await?;
    let next = loop {
        let Some(next) = piece.next else {
            // The end: all of it lies behind.
            done = done.max(piece.done).max(total);
            break None;
        };
        (done, total) = (piece.done, piece.total);
        if begun.elapsed() >= STRETCH {
            replay = fed(replay, piece.records).await?;
            break Some(format!("{}-{}", next.segment, next.octet));
        }
        // The next piece is read while this one is judged.
        let (ahead, judged) = tokio::join!(s.flows.read_on(next, from, to), fed(replay, piece.records));
        (piece, replay) = (ahead?, judged?);
    };
    answered(&s, replay, next, done, total).await
}

async fn answered(
    s: &AppState,
    replay: Replay,
    next: Option<String>,
    done: u64,
    total: u64,
) -> Result<Json<Replayed>, Problem> {
    let (counts, found) = replay.found();
    let untold = counts.untold + found.len().saturating_sub(KINDS) as u64;
    let kinds = kinds(s, found).await?;
    Ok(Json(Replayed {
        records: counts.records,
        newly_denied: counts.newly_denied,
        newly_allowed: counts.newly_allowed,
        unsure: counts.unsure,
        not_by_rules: counts.not_by_rules,
        untold,
        kinds,
        next,
        done,
        total,
    }))
}

async fn fed(mut replay: Replay, records: Vec<FlowRecord>) -> Result<Replay, Problem> {
    let worked = tokio::task::spawn_blocking(move || {
        records.iter().for_each(|r| replay.feed(r));
        replay
    });
    worked.await.map_err(|_| Problem::internal())
}

async fn kinds(s: &AppState, found: BTreeMap<Difference, Found>) -> Result<Vec<ReplayedKind>, Problem> {
    let mut people: BTreeMap<Imsi, Option<String>> = BTreeMap::new();
    let mut kinds = Vec::new();
    for (kind, f) in found.into_iter().take(KINDS) {
        let person = match people.get(&kind.imsi) {
            Some(person) => person.clone(),
            None => {
                let sim = match s.store.sim(kind.imsi).await {
                    Ok(sim) => sim.links.person.map(|p| p.to_string()),
                    Err(store::StoreError::NotFound) => None,
                    Err(e) => return Err(e.into()),
                };
                people.insert(kind.imsi, sim.clone());
                sim
            }
        };
        kinds.push(ReplayedKind {
            allowed: kind.allowed,
            imsi: kind.imsi.to_string(),
            person,
            app: kind.app.map(|a| a.to_string()),
            direction: kind.direction.into(),
            protocol: kind.protocol,
            port: kind.port,
            flows: f.flows,
            first: rfc3339(f.first.start),
            peer: f.first.peer.to_string(),
            was_rule: f.first.rule.map(|r| r.to_string()),
            rule: f.rule.map(|r| r.to_string()),
        });
    }
    Ok(kinds)
}

fn place(check: &mut Check, cursor: Option<&str>) -> FlowPlace {
    let Some(cursor) = cursor else { return FlowPlace::default() };
    let read = |c: &str| {
        let (segment, octet) = c.split_once('-')?;
        Some(FlowPlace { segment: segment.parse().ok()?, octet: octet.parse().ok()? })
    };
    read(cursor).unwrap_or_else(|| {
        check.add(
            "/cursor",
            say!("this is no cursor", "カーソルではありません"),
            Some(say!("send `next` of the answer before", "直前の応答の next を指定してください")),
        );
        FlowPlace::default()
    })
}
