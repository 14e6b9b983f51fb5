//! Proofs by hand: an operator answers for it that somebody has proved that it is they who use a SIM, for a while.
//!
//! It counts as a proof at the page or at the provider does, for every app whose rule asks for one, and no longer than a day.

use crate::{
    api::{directory::tell_facts, sims::no_such_sim},
    check::{Check, Kind, Time, rfc3339},
    problem::{Problem, say},
    request::{Body, IdempotencyKey, PathOf},
    rights::{ApproveCapability, OnSim},
    state::{AppState, now},
};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use store::{FactsOf, StoreError};
use types::{Imsi, Name, Proof};
use utoipa::ToSchema;

/// The longest that a proof by hand counts, milliseconds: a day.
const LONGEST_MS: i64 = 86_400_000;
/// Who says so, where the fact is shown; the audit has the operator.
const SOURCE: &str = "operator";

/// A proof by hand.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewAssurance)]
pub(crate) struct NewAssurance {
    /// Until when it counts (RFC 3339), a day from now at most.
    #[schema(example = "2027-01-31T18:00:00+09:00")]
    until: String,
    /// How the person has proved it.
    #[schema(example = "came to the desk with their card")]
    reason: String,
}

/// Why a proof does not count any longer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AssuranceWords {
    reason: String,
}

/// What counts from here on.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SimAssurance)]
pub(crate) struct Assurance {
    imsi: String,
    /// Until when somebody has proved that it is they who use this SIM; null: nobody has.
    until: Option<String>,
}

/// Records that somebody has proved, to whoever says so, that it is they who use this SIM. In the place of any other proof
/// for it. Where changes that open something ask for a second person, it is refused: a grant is asked for instead.
#[utoipa::path(post, path = "/api/v1/sims/{imsi}/assurance", tag = "sims",
    params(("imsi" = String, Path), IdempotencyKey), request_body = NewAssurance,
    security(("token" = ["approve"])), responses((status = 200, body = Assurance)))]
pub(crate) async fn assure(
    right: OnSim<ApproveCapability>,
    State(s): State<AppState>,
    PathOf(imsi): PathOf<Imsi>,
    Body(body): Body<NewAssurance>,
) -> Result<Json<Assurance>, Problem> {
    let at = now();
    let mut check = Check::default();
    check.reason(&body.reason);
    let until: Option<Time> = check.parse("/until", &body.until, Kind::Time);
    if until.is_some_and(|t| t.0 <= at || t.0.0 > at.0.saturating_add(LONGEST_MS)) {
        check.add(
            "/until",
            say!("it is over already, or more than a day away", "既に過ぎているか、1 日より先です"),
            Some(say!("give a moment within a day", "24 時間以内の時刻を指定してください")),
        );
    }
    let until = check.finish(until)?.0;
    if s.control.second_person() {
        let what = say!("One person alone does not open anything here", "1 人では許可できない設定です");
        let fix = say!("ask for a grant instead", "期限付き許可を申請してください");
        return Err(Problem::new(409, "second-person", what).fix(fix));
    }
    there(&s, imsi).await?;
    let source = SOURCE.parse::<Name>().map_err(|_| Problem::internal())?;
    let proof = Proof { until, level: "by-hand".to_owned(), source, at };
    let change = right.0.caller().change(&body.reason, at);
    s.store.set_assurance(vec![imsi], Some(proof), &change).await?;
    tell_facts(&s, FactsOf::Sims(vec![imsi])).await;
    Ok(Json(Assurance { imsi: imsi.to_string(), until: Some(rfc3339(until)) }))
}

/// Takes back every proof for this SIM, whoever it is from, those for single apps included. What hangs on them ends at once.
#[utoipa::path(post, path = "/api/v1/sims/{imsi}/assurance/withdraw", tag = "sims",
    params(("imsi" = String, Path), IdempotencyKey), request_body = AssuranceWords,
    security(("token" = ["approve"])), responses((status = 200, body = Assurance)))]
pub(crate) async fn withdraw(
    right: OnSim<ApproveCapability>,
    State(s): State<AppState>,
    PathOf(imsi): PathOf<Imsi>,
    Body(body): Body<AssuranceWords>,
) -> Result<Json<Assurance>, Problem> {
    let mut check = Check::default();
    check.reason(&body.reason);
    check.done()?;
    there(&s, imsi).await?;
    let change = right.0.caller().change(&body.reason, now());
    s.store.set_assurance(vec![imsi], None, &change).await?;
    // What was proved app by app is over as well.
    if let Err(e) = s.control.policy_changed().await {
        tracing::info!("what was proved for {imsi} is taken back in the store: {e}");
    }
    tell_facts(&s, FactsOf::Sims(vec![imsi])).await;
    Ok(Json(Assurance { imsi: imsi.to_string(), until: None }))
}

async fn there(s: &AppState, imsi: Imsi) -> Result<(), Problem> {
    match s.store.sim(imsi).await {
        Ok(_) => Ok(()),
        Err(StoreError::NotFound) => Err(no_such_sim(imsi)),
        Err(e) => Err(e.into()),
    }
}
