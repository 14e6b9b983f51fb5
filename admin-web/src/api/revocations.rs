//! Revocations: bans by scope with their dry run, the record of every ban, unban and restriction, their receipts.

use crate::{
    api::{
        List,
        sessions::{SessionId, SessionKind},
        sims::no_such_sim,
    },
    check::{Check, Kind, rfc3339},
    control::{AffectedSim, Asker, BanError, ScopeBan, ScopeKind, ScopeOutcome},
    idempotency::{AnswerKept, HeldClaim},
    problem::{Problem, say},
    receipt::Receipt,
    request::{Body, IdempotencyKey, Paging, Params, PathOf, one_of, page_limit},
    rights::{BanCapability, Caller, Limited, ReadCapability},
    state::{AppState, now},
};
use axum::{
    Extension, Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use store::{ReceiptRow, RevocationFilter, RevocationRow};
use types::{Imsi, Name, SimState};
use utoipa::{IntoParams, ToSchema};

/// Receipts that stand in a revocation itself; the rest is a list of its own.
const INLINE: u32 = 20;
/// Sessions named one by one in a dry run.
const NAMED: usize = 1000;

/// A ban by scope.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRevocation {
    /// sim, imei, device, person, group or site.
    #[schema(example = "person")]
    scope: String,
    /// Which one: an IMSI, an IMEI (14 digits), or the name in the directory.
    #[schema(example = "tanaka")]
    value: String,
    /// lost or stolen.
    #[schema(example = "stolen")]
    state: String,
    /// Why.
    reason: String,
    /// Ticket it belongs to.
    #[serde(default)]
    ticket: String,
    /// True: nothing is done; the answer names the SIMs and the sessions that would end.
    #[serde(default)]
    dry_run: bool,
}

/// Who took what away from whom, or gave it back.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Revocation {
    id: String,
    at: String,
    /// ban, unban, quarantine, release, panic or calm.
    kind: String,
    /// sim, imei, device, person, group or site.
    scope: String,
    value: String,
    /// State that its SIMs got.
    state: Option<String>,
    actor: String,
    reason: String,
    ticket: String,
    request_id: String,
    /// Address of the one who asked.
    origin: String,
    /// How many SIMs it covers.
    sims: u64,
    /// What else is to be said: where it is recorded, what could not be done.
    #[schema(value_type = Object)]
    detail: serde_json::Value,
}

/// A revocation with its receipts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RevocationWithReceipts {
    #[serde(flatten)]
    revocation: Revocation,
    /// The first receipts by IMSI, each in its newest version.
    #[schema(value_type = Vec<Receipt>)]
    receipts: Vec<serde_json::Value>,
    /// True where there are more than these.
    more: bool,
}

/// What a revocation would do.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DryRun {
    /// Always true: nothing was done.
    dry_run: bool,
    scope: String,
    value: String,
    /// How many SIMs it would cover.
    sims: u64,
    /// Of them banned already.
    banned_already: u64,
    /// How many live sessions would end.
    sessions: u64,
    /// The SIMs with their sessions; at most a thousand.
    affected: Vec<Affected>,
    /// True where there are more than these.
    more: bool,
}

/// What was done, or with `dry_run` what would be.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum OrDryRun<T> {
    /// It is done.
    Done(T),
    /// Nothing was done.
    Would(DryRun),
}

/// A SIM that a revocation would cover.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Affected {
    imsi: String,
    state: String,
    sessions: Vec<AffectedSession>,
}

/// A session that would end.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AffectedSession {
    /// As in the list of sessions.
    id: String,
    /// own, or foreign: steered by another core's SMF.
    kind: SessionKind,
    dnn: String,
    ip: String,
    gnb: Option<String>,
    /// The SMF that steers a foreign one.
    smf: Option<String>,
    since: String,
}

/// Which revocations.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RevocationQuery {
    /// Only of this scope.
    scope: Option<String>,
    /// Only of this value.
    value: Option<String>,
    /// Only of this kind: ban, unban, quarantine, release, panic, calm.
    kind: Option<String>,
    /// Only those that cover this SIM.
    imsi: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Most items on a page, 1-1000; 100 if not given.
    limit: Option<u32>,
}

impl From<RevocationRow> for Revocation {
    fn from(r: RevocationRow) -> Self {
        Self {
            id: r.id,
            at: rfc3339(r.at),
            kind: r.kind,
            scope: r.scope,
            value: r.value,
            state: r.state.map(|s| s.to_string()),
            actor: r.actor,
            reason: r.reason,
            ticket: r.ticket,
            request_id: r.request_id,
            origin: r.origin,
            sims: r.sims,
            detail: serde_json::from_str(&r.detail).unwrap_or_default(),
        }
    }
}

impl From<AffectedSim> for Affected {
    fn from(a: AffectedSim) -> Self {
        let session = |s: crate::SessionView| AffectedSession {
            id: SessionId::of(&s).to_string(),
            kind: SessionKind::of(s.key),
            dnn: s.dnn.to_string(),
            ip: s.ip.to_string(),
            gnb: s.gnb,
            smf: s.smf,
            since: rfc3339(s.since),
        };
        Self {
            imsi: a.imsi.to_string(),
            state: a.state.to_string(),
            sessions: a.sessions.into_iter().map(session).collect(),
        }
    }
}

impl DryRun {
    pub(crate) fn of(scope: String, value: String, all: Vec<AffectedSim>) -> Self {
        let sims = all.len() as u64;
        Self {
            dry_run: true,
            scope,
            value,
            sims,
            banned_already: all.iter().filter(|a| a.state.is_banned()).count() as u64,
            sessions: all.iter().map(|a| a.sessions.len() as u64).sum(),
            more: all.len() > NAMED,
            affected: all.into_iter().take(NAMED).map(Affected::from).collect(),
        }
    }
}

/// Who asks, from the caller and the words of the body.
pub(crate) fn asker(
    caller: &Caller,
    reason: String,
    ticket: String,
    claim: Option<Extension<HeldClaim>>,
) -> Asker {
    let c = caller.change(&reason, now());
    Asker {
        actor: c.actor,
        reason,
        ticket,
        request_id: c.request_id,
        origin: c.origin,
        claim: claim.map(|Extension(c)| c),
    }
}

/// The stored text of a receipt with its signature. It is given out as it was signed.
pub(crate) fn receipt_of(row: &ReceiptRow) -> serde_json::Value {
    let mut v: serde_json::Value = serde_json::from_str(&row.body).unwrap_or_default();
    if let Some(o) = v.as_object_mut() {
        o.insert("signature".to_owned(), serde_json::json!(row.signature));
    }
    v
}

fn no_such_revocation(e: store::StoreError) -> Problem {
    match e {
        store::StoreError::NotFound => {
            Problem::not_found(say!("there is no such revocation", "該当する失効記録がありません"))
        }
        e => e.into(),
    }
}

/// Bans everything that a scope covers at this moment, or says with `dry_run` what that would be.
#[utoipa::path(post, path = "/api/v1/revocations", tag = "revocations", params(IdempotencyKey),
    request_body = NewRevocation, security(("token" = ["ban"])),
    responses((status = 200, body = OrDryRun<ScopeOutcome>)))]
pub(crate) async fn create(
    right: Limited<BanCapability>,
    State(s): State<AppState>,
    claim: Option<Extension<HeldClaim>>,
    Body(body): Body<NewRevocation>,
) -> Result<Response, Problem> {
    let mut check = Check::default();
    check.reason(&body.reason);
    check.ticket(Some(body.ticket.as_str()));
    let scope: Option<ScopeKind> = check.parse("/scope", &body.scope, Kind::Word);
    let state = super::sims::one_of(&mut check, &body.state, &[SimState::Lost, SimState::Stolen]);
    let value = scope.and_then(|k| value(&mut check, k, &body.value));
    let (scope, state, value) = check.finish((|| Some((scope?, state?, value?)))())?;
    let right = within(&s, right, scope, &value).await?;
    if body.dry_run {
        let all = s.control.affected(scope, value.clone()).await?;
        let would = DryRun::of(scope.to_string(), value, all);
        return Ok(Json(OrDryRun::<ScopeOutcome>::Would(would)).into_response());
    }
    let asker = asker(right.caller(), body.reason, body.ticket, claim);
    let request = ScopeBan { scope, value: value.clone(), state, asker };
    match s.control.ban_scope(&right, request).await {
        Ok(done) => {
            let kept = done.kept;
            let mut r = Json(OrDryRun::Done(done)).into_response();
            if kept {
                r.extensions_mut().insert(AnswerKept);
            }
            Ok(r)
        }
        Err(e) => Err(match scope {
            ScopeKind::Sim => match value.parse::<Imsi>() {
                Ok(imsi) => super::sims::ban_problem(imsi, e),
                Err(_) => Problem::internal(),
            },
            _ => scope_problem(scope, &value, e),
        }),
    }
}

/// The right, where it is for all of the scope. People and devices lie across groups and sites, so a limited right
/// is not for them.
async fn within(
    s: &AppState,
    right: Limited<BanCapability>,
    scope: ScopeKind,
    value: &str,
) -> Result<BanCapability, Problem> {
    match (scope, value.parse::<Imsi>(), value.parse::<Name>()) {
        (ScopeKind::Sim, Ok(imsi), _) => right.on_sim(s, imsi).await,
        (ScopeKind::Group, _, Ok(name)) => right.at(&super::restrictions::group_place(&name)),
        (ScopeKind::Site, _, Ok(name)) => right.at(&store::Place { site: Some(name), ..Default::default() }),
        _ => right.everywhere(),
    }
}

fn scope_problem(scope: ScopeKind, value: &str, e: BanError) -> Problem {
    match e {
        BanError::NotFound => Problem::not_found(say!(
            "there is no {scope} {value}, or no SIM belongs to it",
            "{scope} {value} が存在しないか、対象の SIM がありません"
        )),
        BanError::NotAllowed(t) => store::StoreError::Transition(t).into(),
        BanError::Control(e) => e.into(),
        BanError::CutNotStored(r) => super::sims::ban_problem(r.imsi, BanError::CutNotStored(r)),
    }
}

/// The value in the form of its scope.
fn value(check: &mut Check, scope: ScopeKind, text: &str) -> Option<String> {
    match scope {
        ScopeKind::Sim => check.parse::<Imsi>("/value", text, Kind::Imsi).map(|i| i.to_string()),
        ScopeKind::Imei => {
            let digits = matches!(text.len(), 14..=16) && text.bytes().all(|b| b.is_ascii_digit());
            if !digits {
                check.add(
                    "/value",
                    say!("a device is named by the digits of its IMEI", "端末は IMEI の数字で指定します"),
                    Some(say!("give 14, 15 or 16 digits", "14〜16 桁の数字を指定してください")),
                );
                return None;
            }
            text.get(..14).map(str::to_owned)
        }
        ScopeKind::Group | ScopeKind::Device | ScopeKind::Person | ScopeKind::Site => {
            check.parse::<Name>("/value", text, Kind::Name).map(|n| n.to_string())
        }
    }
}

/// Lists bans, unbans and restrictions, newest first.
#[utoipa::path(get, path = "/api/v1/revocations", tag = "revocations", params(RevocationQuery),
    security(("token" = ["read"])), responses((status = 200, body = List<Revocation>)))]
pub(crate) async fn list(
    _: ReadCapability,
    State(s): State<AppState>,
    Params(q): Params<RevocationQuery>,
) -> Result<Json<List<Revocation>>, Problem> {
    let mut check = Check::default();
    let imsi = check.maybe("?imsi", q.imsi.as_deref(), Kind::Imsi);
    if let Some(scope) = &q.scope {
        check.parse::<ScopeKind>("?scope", scope, Kind::Word);
    }
    check.done()?;
    one_of("?kind", q.kind.as_deref(), &["ban", "unban", "quarantine", "release", "panic", "calm"])?;
    let filter = RevocationFilter { scope: q.scope, value: q.value, kind: q.kind, imsi: imsi.flatten() };
    let page = s.store.revocations(&filter, q.cursor.as_deref(), page_limit(q.limit)?).await?;
    Ok(List::of(page, Revocation::from))
}

/// Reads a revocation with its receipts in their newest versions.
#[utoipa::path(get, path = "/api/v1/revocations/{id}", tag = "revocations", params(("id" = String, Path)),
    security(("token" = ["read"])), responses((status = 200, body = RevocationWithReceipts)))]
pub(crate) async fn get(
    _: ReadCapability,
    State(s): State<AppState>,
    PathOf(id): PathOf<String>,
) -> Result<Json<RevocationWithReceipts>, Problem> {
    let revocation = s.store.revocation(&id).await.map_err(no_such_revocation)?.into();
    let page = s.store.receipts(&id, None, INLINE).await?;
    let receipts = page.items.iter().map(receipt_of).collect();
    Ok(Json(RevocationWithReceipts { revocation, receipts, more: page.next.is_some() }))
}

/// Lists the receipts of a revocation by IMSI, each in its newest version.
#[utoipa::path(get, path = "/api/v1/revocations/{id}/receipts", tag = "revocations",
    params(("id" = String, Path), Paging), security(("token" = ["read"])),
    responses((status = 200, body = List<Receipt>)))]
pub(crate) async fn receipts(
    _: ReadCapability,
    State(s): State<AppState>,
    PathOf(id): PathOf<String>,
    Params(p): Params<Paging>,
) -> Result<Json<List<serde_json::Value>>, Problem> {
    let limit = page_limit(p.limit)?;
    s.store.revocation(&id).await.map_err(no_such_revocation)?;
    let page = s.store.receipts(&id, p.cursor.as_deref(), limit).await?;
    Ok(List::of(page, |r| receipt_of(&r)))
}

/// A receipt as an answer; it says whether it is kept for its key.
pub(crate) fn receipt_answer(imsi: Imsi, r: Result<Receipt, BanError>) -> Result<Response, Problem> {
    match r {
        Ok(receipt) => {
            let kept = receipt.kept;
            let mut r = Json(receipt).into_response();
            if kept {
                r.extensions_mut().insert(AnswerKept);
            }
            Ok(r)
        }
        Err(BanError::NotFound) => Err(no_such_sim(imsi)),
        Err(e) => Err(super::sims::ban_problem(imsi, e)),
    }
}
