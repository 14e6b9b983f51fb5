//! Why: one verdict explained, of what is in force or of what was.

use crate::{
    api::{
        documents,
        policies::{ExplanationView, FlowQuestion, question},
        rules::DirectionWord,
    },
    check::{Check, Kind, Time},
    problem::{Problem, say},
    request::Params,
    rights::{Limited, ReadCapability},
    state::{AppState, now},
};
use axum::{Json, extract::State};
use serde::Deserialize;
use std::net::IpAddr;
use store::{LeaseFilter, ScheduleFilter, ScheduleState, StoreError};
use types::{Imsi, Name, Utc};
use utoipa::IntoParams;

/// Most planned changes of one SIM that are looked at.
const PLANNED: u32 = 1_000;

/// A flow that is asked about.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DecisionQuery {
    /// The SIM; this or ue.
    #[param(value_type = Option<String>)]
    imsi: Option<Imsi>,
    /// The SIM that has this address, or behind which it lies, at that moment; this or imsi.
    #[param(value_type = Option<String>)]
    ue: Option<IpAddr>,
    /// Who opens; out if not given.
    #[param(inline)]
    direction: Option<DirectionWord>,
    /// Address of the other end; this or app.
    #[param(value_type = Option<String>)]
    address: Option<IpAddr>,
    /// App at the other end; this or address.
    #[param(value_type = Option<String>)]
    app: Option<Name>,
    /// Protocol and port of the side that is opened towards: tcp/443, udp/53, icmp.
    service: String,
    /// When (RFC 3339); now if not given. For a moment of the past the answer is what was stored then; for one to come it
    /// is the policy in force now, by the hours of its rules then, and the state that the SIM's planned changes will have
    /// given it.
    at: Option<String>,
}

/// Explains what the gateway would decide about one flow: now, or at another moment.
#[utoipa::path(get, path = "/api/v1/decisions", tag = "decisions", params(DecisionQuery),
    security(("token" = ["read"])), responses((status = 200, body = ExplanationView)))]
pub(crate) async fn decide(
    right: Limited<ReadCapability>,
    State(s): State<AppState>,
    Params(q): Params<DecisionQuery>,
) -> Result<Json<ExplanationView>, Problem> {
    let mut check = Check::default();
    let at: Option<Option<Time>> = check.maybe("?at", q.at.as_deref(), Kind::Time);
    check.done()?;
    let at = at.flatten().map(|t| t.0);
    let imsi = whose(&s, &q, at.unwrap_or_else(now)).await?;
    right.on_sim(&s, imsi).await?;
    let asked =
        FlowQuestion { imsi, direction: q.direction, address: q.address, app: q.app, service: q.service };
    match at {
        Some(at) if at < now() => then(&s, &asked, at).await.map(Json),
        _ => soon(&s, &asked, at).await.map(Json),
    }
}

/// The SIM that is meant: named, or by an address that it has at that moment, or that lies behind it.
async fn whose(s: &AppState, q: &DecisionQuery, at: Utc) -> Result<Imsi, Problem> {
    let (name, one) = (
        say!("name the SIM by imsi or by ue", "SIM を imsi または ue で指定してください"),
        Some(say!("give one of them", "どちらか一方を指定してください")),
    );
    let ip = match (q.imsi, q.ue) {
        (Some(imsi), None) => return Ok(imsi),
        (None, Some(ip)) => ip,
        _ => return Err(Problem::field("?imsi", name, one)),
    };
    // For a moment to come the address is whose it is now.
    let filter = LeaseFilter { imsi: None, ip: Some(ip), at: Some(at.min(now())) };
    let found = s.store.leases(&filter, None, 1).await?.items.first().map(|l| l.imsi);
    found.ok_or_else(|| {
        Problem::field(
            "?ue",
            say!("no SIM had {ip} then", "この時点で {ip} を持つ SIM はありません"),
            Some(say!(
                "give an address of a session or of a network behind a SIM",
                "セッションのアドレスか、SIM の背後のネットワークのアドレスを指定してください"
            )),
        )
    })
}

/// By what is in force now; the SIM's state is that of now, or of a moment to come.
async fn soon(s: &AppState, asked: &FlowQuestion, at: Option<Utc>) -> Result<ExplanationView, Problem> {
    // Only the app's address comes from the store; the verdict is that of the rows in force.
    let mut policy = pgw_policy::Policy::default();
    if let Some(name) = &asked.app {
        policy.apps = match s.store.get::<types::App>(name.as_str()).await {
            Ok(app) => vec![app.value],
            // One that nobody made, or none.
            Err(StoreError::NotFound) => s.control.status().await.built_in,
            Err(e) => return Err(e.into()),
        };
    }
    let question = read(asked, &policy)?;
    let explained = s.control.explain(question, at).await?;
    let state = match s.store.sim(asked.imsi).await {
        Ok(sim) => Some(sim.state),
        Err(StoreError::NotFound) => None,
        Err(e) => return Err(e.into()),
    };
    let mut view = ExplanationView::from(explained);
    let Some(mut state) = state else { return Ok(view) };
    if let Some(at) = at {
        let waiting = ScheduleFilter {
            imsi: Some(asked.imsi),
            state: Some(ScheduleState::Waiting),
            ..ScheduleFilter::default()
        };
        let mut due = s.store.schedules(&waiting, None, PLANNED).await?.items;
        due.retain(|x| x.at <= at);
        due.sort_by_key(|x| (x.at, x.id));
        for x in due {
            // A planned change never lifts a ban, and is dropped where it is not allowed.
            if !state.is_banned() && state.change_to(x.to).is_ok() {
                state = x.to;
            }
        }
    }
    view.of_state(state, at);
    if at.is_none() && view.asks_for_lookups() {
        let all = s.control.looked_up(asked.imsi).await;
        all.into_iter().for_each(|all| view.with_lookups(all));
    }
    Ok(view)
}

/// By what was stored at a moment of the past.
async fn then(s: &AppState, asked: &FlowQuestion, at: Utc) -> Result<ExplanationView, Problem> {
    let past = s.store.past(asked.imsi, at).await?;
    let Some(state) = past.state else {
        return Err(Problem::field(
            "?at",
            say!("the SIM had not been made yet", "この時点では SIM が未登録です"),
            Some(say!("ask about a later moment", "登録後の時刻を指定してください")),
        ));
    };
    let policy = documents::with_built_in(s, documents::policy(past.source)).await;
    let question = read(asked, &policy)?;
    let off = pgw_policy::clock::off(&policy.rules, at);
    // What was known of a SIM is not kept: of the past nothing is, and that never opens.
    let standing = pgw_policy::Standing {
        quarantined: past.quarantined,
        panicked: past.panicked,
        off,
        at,
        ..pgw_policy::Standing::default()
    };
    let mut view = ExplanationView::from(pgw_policy::explain_for(&policy, &question, &standing));
    view.generation = None;
    view.of_state(state, Some(at));
    Ok(view)
}

fn read(asked: &FlowQuestion, policy: &pgw_policy::Policy) -> Result<pgw_policy::Question, Problem> {
    let mut check = Check::default();
    let question = question(&mut check, "?", asked, policy);
    check.finish(question)
}
