//! The rules that raise alerts and act: what they look for, and what is done.

use crate::{
    check::Check,
    problem::{Problem, say},
    request::{Body, IfMatch, IfMatchHeader, etag},
    rights::{AlertCapability, ReadCapability},
    state::{AppState, now},
};
use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use pgw_policy::clock;
use serde::{Deserialize, Serialize};
use store::AlertRulesRow;
use types::{
    AlertRule, AlertRules, EscalationRule, Hours, MuchDataRule, NightRule, NotCompliantRule, RuleResponse,
    UnusualPlaceRule,
};
use utoipa::ToSchema;

/// Minutes of a day: no rule looks further back.
const DAY: u16 = 1440;
/// The least that is much: a megabyte.
const LEAST: u64 = 1_000_000;

/// What is done where a rule fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
#[schema(as = AlertResponse)]
pub(crate) enum Done {
    /// Nothing.
    Off,
    /// It stands in the timeline.
    Log,
    /// There is an alert.
    Notify,
    /// And what it is about is taken away.
    Act,
}

/// The rules. What is left out is as shipped, so `{}` is that.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = AlertRules)]
pub(crate) struct RulesBody {
    /// A proof failed for a SIM that is where it usually is not.
    unusual_place: UnusualPlace,
    /// A SIM's device is not as its group asks.
    not_compliant: NotCompliant,
    /// A SIM moved more within an hour.
    much_data: MuchData,
    /// Somebody, or a SIM, tried again and again what is refused to them.
    privilege_escalation: Escalation,
    /// Somebody was at work at night.
    night_access: Night,
}

/// An unusual place and a failed proof, whichever comes first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = UnusualPlaceRule)]
pub(crate) struct UnusualPlace {
    /// `act` suspends the SIMs of the person.
    response: Done,
    /// The two belong together where they are not further apart, 1-1440.
    within_minutes: u16,
}

/// A device that is not as its group asks.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = NotCompliantRule)]
pub(crate) struct NotCompliant {
    /// `act` puts the SIM in quarantine until its device is compliant.
    response: Done,
}

/// More than so much in an hour.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = MuchDataRule)]
pub(crate) struct MuchData {
    /// At most `notify`.
    response: Done,
    /// Octets of both directions, from 1000000.
    octets: u64,
}

/// Attempts at what is refused.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = EscalationRule)]
pub(crate) struct Escalation {
    /// `act` disables the operator, suspends the token, or puts the SIM in quarantine.
    response: Done,
    /// So many changes by the API that the caller has no right to.
    requests: u16,
    /// So many flows of a SIM to confidential apps that its rules refuse.
    flows: u16,
    /// Within so many minutes, 1-1440.
    within_minutes: u16,
}

/// Access at night.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = NightAccessRule)]
pub(crate) struct Night {
    /// At most `notify`.
    response: Done,
    /// By the clocks of the SIM's site.
    #[schema(example = "02:00-05:00")]
    hours: String,
    /// The time zone where the site has none, or nobody knows the site; that of the network if not given.
    #[schema(example = "Asia/Tokyo")]
    zone: Option<String>,
    /// True for SIMs that belong to nobody, too.
    machines: bool,
}

/// The rules that are in force.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = KeptAlertRules)]
pub(crate) struct RulesView {
    /// A proof failed for a SIM that is where it usually is not.
    unusual_place: UnusualPlace,
    /// A SIM's device is not as its group asks.
    not_compliant: NotCompliant,
    /// A SIM moved more within an hour.
    much_data: MuchData,
    /// Somebody, or a SIM, tried again and again what is refused to them.
    privilege_escalation: Escalation,
    /// Somebody was at work at night.
    night_access: Night,
    /// True where they are as shipped.
    shipped: bool,
    /// Rises with each change; 0 before the first.
    version: u64,
}

impl From<RuleResponse> for Done {
    fn from(r: RuleResponse) -> Self {
        match r {
            RuleResponse::Off => Self::Off,
            RuleResponse::Log => Self::Log,
            RuleResponse::Notify => Self::Notify,
            RuleResponse::Act => Self::Act,
        }
    }
}

impl From<Done> for RuleResponse {
    fn from(r: Done) -> Self {
        match r {
            Done::Off => Self::Off,
            Done::Log => Self::Log,
            Done::Notify => Self::Notify,
            Done::Act => Self::Act,
        }
    }
}

/// Both ways between a rule and its description, field by field.
macro_rules! described {
    ($($body:ident = $rule:ident { $($field:ident),* })*) => {
        $(
            impl From<$rule> for $body {
                fn from(r: $rule) -> Self {
                    Self { response: r.response.into(), $($field: r.$field),* }
                }
            }

            impl From<$body> for $rule {
                fn from(b: $body) -> Self {
                    Self { response: b.response.into(), $($field: b.$field),* }
                }
            }

            impl Default for $body {
                fn default() -> Self {
                    $rule::default().into()
                }
            }
        )*
    };
}

described! {
    UnusualPlace = UnusualPlaceRule { within_minutes }
    NotCompliant = NotCompliantRule {}
    MuchData = MuchDataRule { octets }
    Escalation = EscalationRule { requests, flows, within_minutes }
    Night = NightRule { hours, zone, machines }
}

impl Default for RulesBody {
    fn default() -> Self {
        AlertRules::default().into()
    }
}

impl From<AlertRules> for RulesBody {
    fn from(r: AlertRules) -> Self {
        Self {
            unusual_place: r.unusual_place.into(),
            not_compliant: r.not_compliant.into(),
            much_data: r.much_data.into(),
            privilege_escalation: r.privilege_escalation.into(),
            night_access: r.night_access.into(),
        }
    }
}

impl RulesBody {
    /// The rules, where they are sound.
    fn read(self) -> Result<AlertRules, Problem> {
        let rules = AlertRules {
            unusual_place: self.unusual_place.into(),
            not_compliant: self.not_compliant.into(),
            much_data: self.much_data.into(),
            privilege_escalation: self.privilege_escalation.into(),
            night_access: self.night_access.into(),
        };
        let mut check = Check::default();
        check_responses(&mut check, &rules);
        check_numbers(&mut check, &rules);
        check_night(&mut check, &rules.night_access);
        check.finish(Some(rules))
    }
}

/// A rule that can only notify is not told to act.
fn check_responses(check: &mut Check, rules: &AlertRules) {
    for rule in AlertRule::ALL {
        if rules.response(*rule) == RuleResponse::Act && !rule.acts() {
            check.add(
                format!("/{}/response", rule.as_str().replace('-', "_")),
                say!("there is nothing that this rule could do", "このルールに自動処置はありません"),
                Some(say!("give off, log or notify", "off・log・notify のいずれかを指定してください")),
            );
        }
    }
}

fn check_numbers(check: &mut Check, rules: &AlertRules) {
    let e = &rules.privilege_escalation;
    for (at, value, most) in [
        ("/unusual_place/within_minutes", rules.unusual_place.within_minutes, DAY),
        ("/privilege_escalation/requests", e.requests, u16::MAX),
        ("/privilege_escalation/flows", e.flows, u16::MAX),
        ("/privilege_escalation/within_minutes", e.within_minutes, DAY),
    ] {
        if !(1..=most).contains(&value) {
            check.add(
                at,
                say!("it is not between 1 and {most}", "1〜{most} の範囲外です"),
                Some(say!("give 1 to {most}", "1〜{most} を指定してください")),
            );
        }
    }
    if rules.much_data.octets < LEAST {
        check.add(
            "/much_data/octets",
            say!("it is less than {LEAST}", "{LEAST} 未満です"),
            Some(say!("give {LEAST} or more", "{LEAST} 以上を指定してください")),
        );
    }
}

fn check_night(check: &mut Check, night: &NightRule) {
    if night.zone.as_deref().is_some_and(|z| !clock::is_zone(z)) {
        check.add(
            "/night_access/zone",
            say!("there is no time zone of this name", "この名前のタイムゾーンはありません"),
            Some(say!(
                "name one of IANA's, such as Asia/Tokyo",
                "Asia/Tokyo のような IANA 名を指定してください"
            )),
        );
    }
    if format!("daily {} UTC", night.hours).parse::<Hours>().is_err() {
        check.add(
            "/night_access/hours",
            say!("these are no hours", "時間帯として読めません"),
            Some(say!("write them as 02:00-05:00", "02:00-05:00 のように指定してください")),
        );
    }
}

fn view(row: AlertRulesRow) -> Response {
    let shipped = row.rules == AlertRules::default();
    let RulesBody { unusual_place, not_compliant, much_data, privilege_escalation, night_access } =
        row.rules.into();
    let body = RulesView {
        unusual_place,
        not_compliant,
        much_data,
        privilege_escalation,
        night_access,
        shipped,
        version: row.version,
    };
    ([(header::ETAG, etag(row.version))], Json(body)).into_response()
}

/// Reads the rules that raise alerts and act.
#[utoipa::path(get, path = "/api/v1/alert-rules", tag = "alerts", security(("token" = ["read"])),
    responses((status = 200, body = RulesView)))]
pub(crate) async fn rules(_: ReadCapability, State(s): State<AppState>) -> Result<Response, Problem> {
    Ok(view(s.store.alert_rules().await?))
}

/// Says what raises alerts and what is done then, whole: what is left out is as shipped. In force with the answer; what
/// a rule has taken away that does not act any more stays away until somebody gives it back, but for a quarantine
/// for want of compliance, which ends.
#[utoipa::path(put, path = "/api/v1/alert-rules", tag = "alerts", params(IfMatchHeader),
    request_body = RulesBody, security(("token" = ["alerts"])), responses((status = 200, body = RulesView)))]
pub(crate) async fn set_rules(
    right: AlertCapability,
    State(s): State<AppState>,
    expect: IfMatch,
    Body(body): Body<RulesBody>,
) -> Result<Response, Problem> {
    let rules = body.read()?;
    let row = s.store.set_alert_rules(rules, expect.0, &right.caller().change("", now())).await?;
    s.control.alert_rules_changed().await?;
    Ok(view(row))
}
