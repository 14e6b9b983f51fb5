//! How risk is weighed: what counts how much, from where on it is medium, high or critical, and what that comes to.

use crate::{
    api::{
        documents::{policy, put_in_force},
        policy_tests::hold,
    },
    check::Check,
    problem::{Problem, say},
    request::{Body, IfMatch, IfMatchHeader, etag},
    rights::{PolicyCapability, ReadCapability},
    state::{AppState, now},
};
use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use pgw_policy::{RiskOutcome, RiskProfile, risk::ProfileFault};
use serde::{Deserialize, Serialize};
use store::{ProfileRow, StoreError};
use utoipa::ToSchema;

/// The most that one thing counts, and the highest level.
const MOST: u16 = 1000;

/// How risk is weighed. What is left out is as in the shipped profile.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = RiskProfile)]
pub(crate) struct ProfileBody {
    /// What each thing adds.
    weights: Weights,
    /// From which sum on a risk is of a level.
    levels: Levels,
    /// When it is night, by the clocks of the SIM's site.
    #[schema(example = "22:00-06:00")]
    night_hours: String,
    /// The time zone where the site has none, or where the SIM is at none; without one it is always night there.
    #[schema(example = "Asia/Tokyo")]
    zone: Option<String>,
    /// What a level comes to, by the sensitivity of the app.
    outcomes: Outcomes,
}

/// What each thing adds to a risk, 0-1000.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = RiskWeights)]
pub(crate) struct Weights {
    /// A device that is not as its group asks.
    not_compliant: u16,
    /// Nobody has proved themselves for the SIM.
    not_assured: u16,
    /// The SIM is where it usually is not.
    unusual_place: u16,
    /// It is night where the SIM is.
    night: u16,
}

/// From which sum on a risk is of a level, 1-1000.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = RiskLevels)]
pub(crate) struct Levels {
    medium: u16,
    high: u16,
    critical: u16,
}

/// What a risk and a sensitivity come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = RiskOutcome)]
pub(crate) enum OutcomeWord {
    /// Forward.
    Allow,
    /// Forward, and write the flow down.
    AllowLogged,
    /// Forward where the person has proved themselves for this SIM.
    StepUp,
    /// Refuse.
    Deny,
}

/// What each level comes to.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = RiskOutcomes)]
pub(crate) struct Outcomes {
    low: Row,
    medium: Row,
    high: Row,
    critical: Row,
}

/// What a level comes to for each sensitivity.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RiskRow)]
pub(crate) struct Row {
    public: OutcomeWord,
    internal: OutcomeWord,
    confidential: OutcomeWord,
}

/// The profile that is in force.
// The fields of [`ProfileBody`] once more: its description allows nothing beside them, so it cannot be a part.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KeptRiskProfile)]
pub(crate) struct ProfileView {
    /// What each thing adds.
    weights: Weights,
    /// From which sum on a risk is of a level.
    levels: Levels,
    /// When it is night, by the clocks of the SIM's site.
    #[schema(example = "22:00-06:00")]
    night_hours: String,
    /// The time zone where the site has none, or where the SIM is at none; without one it is always night there.
    #[schema(example = "Asia/Tokyo")]
    zone: Option<String>,
    /// What a level comes to, by the sensitivity of the app.
    outcomes: Outcomes,
    /// True where it is the shipped one.
    shipped: bool,
    /// Its version: the ETag is this number in quotes; 0 where nobody has changed it.
    version: u64,
}

impl From<RiskOutcome> for OutcomeWord {
    fn from(o: RiskOutcome) -> Self {
        match o {
            RiskOutcome::Allow => Self::Allow,
            RiskOutcome::AllowLogged => Self::AllowLogged,
            RiskOutcome::StepUp => Self::StepUp,
            RiskOutcome::Deny => Self::Deny,
        }
    }
}

impl From<OutcomeWord> for RiskOutcome {
    fn from(o: OutcomeWord) -> Self {
        match o {
            OutcomeWord::Allow => Self::Allow,
            OutcomeWord::AllowLogged => Self::AllowLogged,
            OutcomeWord::StepUp => Self::StepUp,
            OutcomeWord::Deny => Self::Deny,
        }
    }
}

impl From<[RiskOutcome; 3]> for Row {
    fn from([public, internal, confidential]: [RiskOutcome; 3]) -> Self {
        Self { public: public.into(), internal: internal.into(), confidential: confidential.into() }
    }
}

impl From<Row> for [RiskOutcome; 3] {
    fn from(r: Row) -> Self {
        [r.public.into(), r.internal.into(), r.confidential.into()]
    }
}

impl From<&RiskProfile> for ProfileBody {
    fn from(p: &RiskProfile) -> Self {
        let [low, medium, high, critical] = p.outcomes.map(Row::from);
        Self {
            weights: Weights {
                not_compliant: p.not_compliant,
                not_assured: p.not_assured,
                unusual_place: p.unusual_place,
                night: p.night,
            },
            levels: Levels { medium: p.medium, high: p.high, critical: p.critical },
            night_hours: p.night_hours.clone(),
            zone: p.zone.clone(),
            outcomes: Outcomes { low, medium, high, critical },
        }
    }
}

impl Default for ProfileBody {
    fn default() -> Self {
        Self::from(&RiskProfile::default())
    }
}

impl Default for Weights {
    fn default() -> Self {
        ProfileBody::default().weights
    }
}

impl Default for Levels {
    fn default() -> Self {
        ProfileBody::default().levels
    }
}

impl Default for Outcomes {
    fn default() -> Self {
        ProfileBody::default().outcomes
    }
}

impl ProfileBody {
    /// Reads it whole; what is wrong is named with its fix.
    pub(crate) fn read(self) -> Result<RiskProfile, Problem> {
        let mut check = Check::default();
        let (w, l, o) = (self.weights, self.levels, self.outcomes);
        for (at, value, least) in [
            ("/weights/not_compliant", w.not_compliant, 0),
            ("/weights/not_assured", w.not_assured, 0),
            ("/weights/unusual_place", w.unusual_place, 0),
            ("/weights/night", w.night, 0),
            ("/levels/medium", l.medium, 1),
            ("/levels/high", l.high, 1),
            ("/levels/critical", l.critical, 1),
        ] {
            if !(least..=MOST).contains(&value) {
                check.add(
                    at,
                    say!("it is not between {least} and {MOST}", "{least}〜{MOST} の範囲外です"),
                    Some(say!("give {least} to {MOST}", "{least}〜{MOST} を指定してください")),
                );
            }
        }
        let profile = RiskProfile {
            not_compliant: w.not_compliant,
            not_assured: w.not_assured,
            unusual_place: w.unusual_place,
            night: w.night,
            medium: l.medium,
            high: l.high,
            critical: l.critical,
            night_hours: self.night_hours,
            zone: self.zone,
            outcomes: [o.low, o.medium, o.high, o.critical].map(Into::into),
        };
        for fault in profile.faults() {
            let (at, what, fix) = said(&fault);
            check.add(at, what, Some(fix));
        }
        check.finish(Some(profile))
    }
}

fn said(fault: &ProfileFault) -> (String, crate::Said, crate::Said) {
    match fault {
        ProfileFault::Levels(field) => (
            format!("/levels/{field}"),
            say!("it is higher than the level above it", "一つ上のレベルより高い値です"),
            say!(
                "the levels rise: medium is at most high, and high at most critical",
                "medium ≦ high ≦ critical となるように指定してください"
            ),
        ),
        ProfileFault::NightHours => (
            "/night_hours".to_owned(),
            say!("these are no hours", "時間帯として読めません"),
            say!("write them as 22:00-06:00", "22:00-06:00 のように指定してください"),
        ),
        ProfileFault::Zone => (
            "/zone".to_owned(),
            say!("there is no time zone of this name", "この名前のタイムゾーンはありません"),
            say!("name one of IANA's, such as Asia/Tokyo", "Asia/Tokyo のような IANA 名を指定してください"),
        ),
        ProfileFault::Outcome { level, sensitivity } => (
            format!("/outcomes/{level}/{sensitivity}"),
            say!(
                "it opens more than a lower risk, or a less sensitive app, does",
                "より低いリスク、またはより機密度の低いアプリの場合よりも緩い結果です"
            ),
            say!(
                "of allow, allow-logged, step-up, deny give one that is as strict or stricter",
                "allow → allow-logged → step-up → deny の順で、同じかより厳しいものを指定してください"
            ),
        ),
    }
}

/// What is stored; the shipped profile where nothing is.
pub fn of(stored: Option<&str>) -> RiskProfile {
    stored.map_or_else(RiskProfile::default, |text| RiskProfile::or_closed(serde_json::from_str(text).ok()))
}

fn view(row: &ProfileRow) -> Response {
    let profile = of(row.body.as_deref());
    let shipped = profile == RiskProfile::default();
    let ProfileBody { weights, levels, night_hours, zone, outcomes } = ProfileBody::from(&profile);
    let body = ProfileView { weights, levels, night_hours, zone, outcomes, shipped, version: row.version };
    ([(header::ETAG, etag(row.version))], Json(body)).into_response()
}

/// Reads how risk is weighed.
#[utoipa::path(get, path = "/api/v1/risk-profile", tag = "policies", security(("token" = ["read"])),
    responses((status = 200, body = ProfileView)))]
pub(crate) async fn profile(_: ReadCapability, State(s): State<AppState>) -> Result<Response, Problem> {
    Ok(view(&s.store.risk_profile().await?))
}

/// Says how risk is weighed, whole: what is left out is as in the shipped profile, so `{}` is that. Stored, and put in
/// force in one step; refused where a test of the policy would fail with it.
#[utoipa::path(put, path = "/api/v1/risk-profile", tag = "policies", params(IfMatchHeader),
    request_body = ProfileBody, security(("token" = ["policy"])), responses((status = 200, body = ProfileView)))]
pub(crate) async fn set_profile(
    right: PolicyCapability,
    State(s): State<AppState>,
    expect: IfMatch,
    Body(body): Body<ProfileBody>,
) -> Result<Response, Problem> {
    let profile = body.read()?;
    let text = serde_json::to_string(&profile).map_err(|_| Problem::internal())?;
    let change = right.caller().change("", now());
    for _ in 0..5 {
        let source = s.store.policy_source().await?;
        let (generation, tests) = (source.generation, source.extras.tests.clone());
        let draft = pgw_policy::Policy { risk: profile.clone(), ..policy(source) };
        hold(draft, tests).await?;
        match s.store.set_risk_profile(text.clone(), expect.0, Some(generation), &change).await {
            // Another change came between: the tests are tried with it.
            Err(StoreError::PolicyMoved { .. }) => continue,
            Err(e) => return Err(e.into()),
            Ok(row) => {
                put_in_force(&s).await;
                return Ok(view(&row));
            }
        }
    }
    Err(StoreError::PolicyMoved { current: 0 }.into())
}
