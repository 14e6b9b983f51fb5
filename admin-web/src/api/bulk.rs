//! One change to many SIMs: the caller says how many he means, and every SIM gets an answer of its own.

use crate::{
    api::{
        documents,
        sim_bodies::check_names,
        sims::{no_such_sim, read_filter},
    },
    check::{Check, Kind},
    problem::{Lang, Problem, say},
    request::{Body, IdempotencyKey, Language, or_null},
    rights::{Caller, Limited, ProvisionCapability},
    state::{AppState, now},
};
use axum::{Json, extract::State};
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use store::{SimEdit, SimLinks, StateChange, StoreError};
use types::{Imsi, Name, SimState};
use utoipa::ToSchema;

/// Most SIMs of one request.
const MOST: usize = 10_000;
/// SIMs that are changed at the same time: the store writes what waits together.
const AT_ONCE: usize = 16;

/// Which SIMs: as GET /api/v1/sims takes them.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BulkFilter {
    pub(crate) state: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) q: Option<String>,
    pub(crate) device: Option<String>,
    pub(crate) person: Option<String>,
    pub(crate) site: Option<String>,
}

/// One change to many SIMs.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BulkChange {
    /// These SIMs; or `filter`.
    imsis: Option<Vec<String>>,
    /// The SIMs that this finds, at most 10 000; or `imsis`.
    filter: Option<BulkFilter>,
    /// How many SIMs are meant. Where it are not so many, nothing is changed.
    expect: u64,
    /// Only counts.
    #[serde(default)]
    dry_run: bool,
    /// Why; goes into each SIM's history and audit.
    reason: String,
    /// Number of the ticket that asked for it.
    ticket: Option<String>,
    /// The new state: ready, active, suspended, stock or retired. Bans go by POST /api/v1/revocations.
    state: Option<String>,
    /// Groups to add.
    #[serde(default)]
    groups_add: Vec<String>,
    /// Groups to take away.
    #[serde(default)]
    groups_remove: Vec<String>,
    /// The new site; null takes it away.
    #[serde(default, deserialize_with = "or_null")]
    #[schema(value_type = Option<String>)]
    site: Option<Option<String>>,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BulkAnswer {
    /// SIMs that were meant.
    matched: u64,
    /// SIMs that are as was asked now.
    done: u64,
    /// SIMs that are not, or not in every point.
    failed: u64,
    /// One for each SIM, by IMSI; empty in a dry run.
    results: Vec<BulkResult>,
}

/// What came of one SIM.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BulkResult {
    imsi: String,
    ok: bool,
    /// Why not; null where it is done.
    #[schema(value_type = Option<super::ProblemBody>)]
    problem: Option<serde_json::Value>,
}

/// The change, read.
struct Wanted {
    reason: String,
    ticket: String,
    state: Option<SimState>,
    add: BTreeSet<Name>,
    remove: BTreeSet<Name>,
    site: Option<Option<Name>>,
}

/// Changes state, groups or site of many SIMs. Each SIM is changed by itself, as by its own routes: one that cannot be is
/// named with the reason, and the others are changed all the same.
#[utoipa::path(post, path = "/api/v1/sims/bulk", tag = "sims", params(IdempotencyKey), request_body = BulkChange,
    security(("token" = ["provision"])), responses((status = 200, body = BulkAnswer)))]
pub(crate) async fn change(
    right: Limited<ProvisionCapability>,
    State(s): State<AppState>,
    Language(lang): Language,
    Body(body): Body<BulkChange>,
) -> Result<Json<BulkAnswer>, Problem> {
    let (expect, dry_run) = (body.expect, body.dry_run);
    let (listed, filter, wanted) = read(body)?;
    check_names(&s, &[], &wanted.add, &BTreeMap::new()).await?;
    let site = wanted.site.clone().flatten();
    super::directory::check_links(&s, &SimLinks { site, ..SimLinks::default() }).await?;
    let imsis = match filter {
        Some(f) => found(&s, &right, &f).await?,
        None => listed,
    };
    let matched = imsis.len() as u64;
    if matched != expect {
        return Err(Problem::new(
            409,
            "count",
            say!("It is another number of SIMs", "SIM の件数が一致しません"),
        )
        .detail(say!(
            "{expect} were meant, {matched} are found; nothing was changed",
            "指定は {expect} 件ですが、該当は {matched} 件です。何も変更していません"
        ))
        .fix(say!(
            "look at the list again, and give its number",
            "一覧を確認し、現在の件数を指定してください"
        ))
        .with("matched", serde_json::json!(matched)));
    }
    if dry_run {
        return Ok(Json(BulkAnswer { matched, done: 0, failed: 0, results: Vec::new() }));
    }
    let (s, right, wanted) = (&s, &right, &wanted);
    let results: Vec<BulkResult> = stream::iter(imsis)
        .map(|imsi| async move { result(imsi, one(s, right, imsi, wanted).await, right.caller(), lang) })
        .buffered(AT_ONCE)
        .collect()
        .await;
    if !wanted.add.is_empty() || !wanted.remove.is_empty() {
        documents::put_in_force(s).await;
    }
    let done = results.iter().filter(|r| r.ok).count() as u64;
    Ok(Json(BulkAnswer { matched, done, failed: matched - done, results }))
}

fn read(body: BulkChange) -> Result<(BTreeSet<Imsi>, Option<BulkFilter>, Wanted), Problem> {
    let mut check = Check::default();
    check.reason(&body.reason);
    check.ticket(body.ticket.as_deref());
    let mut listed = Some(BTreeSet::new());
    match (&body.imsis, &body.filter) {
        (Some(all), None) if all.len() > MOST => too_many(&mut check, "/imsis"),
        (Some(all), None) => listed = check.each("/imsis", all, Kind::Imsi),
        (None, Some(_)) => {}
        _ => check.add(
            "/imsis",
            say!(
                "either imsis or filter says which SIMs",
                "imsis か filter のどちらか一方で対象を指定します"
            ),
            Some(say!("give one of the two", "どちらか一方を指定してください")),
        ),
    }
    let state: Option<Option<SimState>> = check.maybe("/state", body.state.as_deref(), Kind::State);
    if state.flatten().is_some_and(SimState::is_banned) {
        check.add(
            "/state",
            say!("a ban has a route of its own", "停止 (ban) には専用のルートがあります"),
            Some(say!("POST /api/v1/revocations", "POST /api/v1/revocations を使ってください")),
        );
    }
    let add: Option<BTreeSet<Name>> = check.each("/groups_add", &body.groups_add, Kind::Name);
    let remove: Option<BTreeSet<Name>> = check.each("/groups_remove", &body.groups_remove, Kind::Name);
    let site = match &body.site {
        Some(Some(text)) => check.parse("/site", text, Kind::Name).map(|n: Name| Some(Some(n))),
        Some(None) => Some(Some(None)),
        None => Some(None),
    };
    if body.state.is_none()
        && body.site.is_none()
        && body.groups_add.is_empty()
        && body.groups_remove.is_empty()
    {
        check.add(
            "/state",
            say!("nothing is to be changed", "変更内容がありません"),
            Some(say!(
                "give state, groups_add, groups_remove or site",
                "state、groups_add、groups_remove、site のいずれかを指定してください"
            )),
        );
    }
    let all = listed.zip(state).zip(add.zip(remove)).zip(site);
    let (((listed, state), (add, remove)), site) = check.finish(all)?;
    let ticket = body.ticket.unwrap_or_default();
    Ok((listed, body.filter, Wanted { reason: body.reason, ticket, state, add, remove, site }))
}

fn too_many(check: &mut Check, pointer: &str) {
    check.add(
        pointer,
        say!("more than {MOST} SIMs at once", "一度に変更できるのは {MOST} 件までです"),
        Some(say!("narrow it, or import a file", "対象を絞り込むか、ファイルで取り込んでください")),
    );
}

/// The SIMs that a filter finds, as far as the caller sees them.
async fn found(
    s: &AppState,
    right: &Limited<ProvisionCapability>,
    filter: &BulkFilter,
) -> Result<BTreeSet<Imsi>, Problem> {
    let mut check = Check::default();
    let filter = read_filter(&mut check, "/filter/", filter);
    let filter = check.finish(filter)?;
    let mut all = BTreeSet::new();
    let mut after: Option<String> = None;
    loop {
        let page = s.store.sims(&filter, after.as_deref(), 1000).await?;
        all.extend(page.items.iter().filter(|r| right.reach().contains(&r.place())).map(|r| r.imsi));
        if all.len() > MOST {
            let mut check = Check::default();
            too_many(&mut check, "/filter");
            check.done()?;
        }
        after = page.next;
        if after.is_none() {
            return Ok(all);
        }
    }
}

/// Changes one SIM: groups and site in one step, the state in another.
async fn one(
    s: &AppState,
    right: &Limited<ProvisionCapability>,
    imsi: Imsi,
    wanted: &Wanted,
) -> Result<(), Problem> {
    let missing = |e| match e {
        StoreError::NotFound => no_such_sim(imsi),
        e => e.into(),
    };
    let change = right.clone().on_sim(s, imsi).await?.caller().change(&wanted.reason, now());
    let change = store::Change { ticket: wanted.ticket.clone(), ..change };
    let old = s.store.sim(imsi).await.map_err(missing)?;
    let groups: BTreeSet<Name> =
        old.groups.union(&wanted.add).filter(|g| !wanted.remove.contains(*g)).cloned().collect();
    let site = wanted.site.clone().filter(|to| *to != old.links.site);
    if groups != old.groups || site.is_some() {
        let after = store::Place {
            groups: groups.clone(),
            site: site.clone().unwrap_or_else(|| old.links.site.clone()),
        };
        // Of the very version that was looked at: a change in between is told, and not overwritten.
        right.clone().change(Some(&old.place()), &after)?;
        let edit = SimEdit { groups: (groups != old.groups).then_some(groups), site, ..SimEdit::default() };
        s.store.change_sim(imsi, Some(old.version), None, edit, &change).await.map_err(missing)?;
    }
    if let Some(to) = wanted.state.filter(|to| *to != old.state) {
        s.store.change_sim_state(imsi, to, StateChange::Ordinary, &change).await.map_err(missing)?;
    }
    super::sims::tell_of(s, imsi).await;
    Ok(())
}

fn result(imsi: Imsi, r: Result<(), Problem>, caller: &Caller, lang: Lang) -> BulkResult {
    let problem = r.err().map(|p| p.to_json(lang, &caller.request_id));
    BulkResult { imsi: imsi.to_string(), ok: problem.is_none(), problem }
}
