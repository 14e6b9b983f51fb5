//! Rules: who may open what. Read in ascending order, the first that matches decides, default deny.

use crate::{
    api::{
        List,
        documents::{self, Kept, Resource, Write, handlers},
    },
    check::{Check, Kind, Time, rfc3339},
    problem::{Problem, say},
    request::{Body, IdempotencyKey, IfMatch, IfMatchHeader, Paging, Params, PathOf},
    rights::{Limited, PolicyCapability, ReadCapability},
    state::AppState,
};
use axum::{extract::State, http::StatusCode, response::Response};
use pgw_policy::{Item, Policy};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use types::{Conditions, Hours, Name, Recording, Rule, RuleDirection, RuleRate, Verdict, When};
use utoipa::ToSchema;

/// What a rule says.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Verdict)]
pub(crate) enum VerdictWord {
    /// Forward.
    Allow,
    /// Drop in silence.
    Deny,
    /// Drop and tell the sender.
    Reject,
    /// Forward while the person has proved themselves for this SIM; else as reject.
    #[serde(rename = "step-up")]
    StepUp,
    /// As reject, because the SIM is to be kept apart.
    Quarantine,
    /// What the risk of the SIM and the sensitivity of the app come to.
    Risk,
}

/// Who opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = Direction)]
pub(crate) enum DirectionWord {
    /// The UE opens towards the app.
    Out,
    /// The app opens towards the UE.
    In,
}

impl From<Verdict> for VerdictWord {
    fn from(v: Verdict) -> Self {
        match v {
            Verdict::Allow => Self::Allow,
            Verdict::Deny => Self::Deny,
            Verdict::Reject => Self::Reject,
            Verdict::StepUp => Self::StepUp,
            Verdict::Quarantine => Self::Quarantine,
            Verdict::Risk => Self::Risk,
        }
    }
}

impl From<VerdictWord> for Verdict {
    fn from(v: VerdictWord) -> Self {
        match v {
            VerdictWord::Allow => Self::Allow,
            VerdictWord::Deny => Self::Deny,
            VerdictWord::Reject => Self::Reject,
            VerdictWord::StepUp => Self::StepUp,
            VerdictWord::Quarantine => Self::Quarantine,
            VerdictWord::Risk => Self::Risk,
        }
    }
}

impl From<types::Direction> for DirectionWord {
    fn from(d: types::Direction) -> Self {
        match d {
            types::Direction::Out => Self::Out,
            types::Direction::In => Self::In,
        }
    }
}

impl From<DirectionWord> for types::Direction {
    fn from(d: DirectionWord) -> Self {
        match d {
            DirectionWord::Out => Self::Out,
            DirectionWord::In => Self::In,
        }
    }
}

/// One line of the policy.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Rule)]
pub(crate) struct RuleBody {
    /// Its name: what a decision cites.
    #[schema(example = "staff-wiki")]
    name: String,
    /// Place in the order; ties are broken by name.
    order: i64,
    /// Whom it speaks of: any, group:NAME, sim:IMSI, device:ID or person:ID.
    #[schema(example = "group:staff")]
    subject: String,
    /// Which app.
    #[schema(example = "wiki")]
    app: String,
    /// Which way.
    direction: DirectionWord,
    /// With direction `in`: what of the UE the app may reach.
    #[serde(default)]
    #[schema(example = json!(["tcp/502"]))]
    to: Vec<String>,
    /// What it says.
    verdict: VerdictWord,
    /// Most bits a second from the UE, for each SIM: all its flows by this rule share them. At least 1000.
    #[serde(default)]
    #[schema(example = 10_000_000)]
    rate_ul_bps: Option<u64>,
    /// The same to the UE.
    #[serde(default)]
    #[schema(example = 50_000_000)]
    rate_dl_bps: Option<u64>,
    /// Which of the flows that it allows are written down: all (where not given), counters for none, or one in so many,
    /// such as 1/100. What is denied, and what a ban, a restriction or a new policy ends, always is.
    #[serde(default)]
    #[schema(example = "1/100")]
    record: Option<String>,
    /// In force in these hours only: days (daily, or a list of days and ranges of days), from and up to when, and an IANA
    /// time zone. Hours that end before they begin go on into the next day.
    #[serde(default)]
    #[schema(example = "mon-fri 08:00-18:00 Asia/Tokyo")]
    hours: Option<String>,
    /// In force before this moment only (RFC 3339).
    #[serde(default)]
    #[schema(example = "2027-03-31T15:00:00Z")]
    until: Option<String>,
    /// What has to be known of the SIM; what is not known never opens. The device is as its group asks: compliant, or
    /// not_compliant.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "compliant")]
    posture: Option<types::Compliance>,
    /// The SIM is at one of these sites.
    #[serde(default)]
    #[schema(value_type = Vec<String>, example = json!(["osaka"]))]
    sites: BTreeSet<Name>,
    /// The SIM is at none of these sites.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    not_sites: BTreeSet<Name>,
    /// By this radio: nr or eutra.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    radio: Option<types::Radio>,
    /// The person has proved themselves for this SIM and that still counts, or not.
    #[serde(default)]
    assured: Option<bool>,
    /// The risk is low, medium, high or critical, or lower.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    risk_at_most: Option<types::RiskLevel>,
    /// The risk is low, medium, high or critical, or higher.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    risk_at_least: Option<types::RiskLevel>,
    /// The device is of one of these models: 8-digit type allocation codes of the IMEI.
    #[serde(default)]
    #[schema(value_type = Vec<String>, example = json!(["35693803"]))]
    models: BTreeSet<types::DeviceModel>,
    /// It is only watched: it decides nothing, and what it would have said is written down (RFC 3339).
    #[serde(default)]
    #[schema(example = "2027-03-31T15:00:00Z")]
    monitor_until: Option<String>,
}

/// Conditions that can hold together.
fn conditions(check: &mut Check, b: &mut RuleBody) -> Option<Conditions> {
    let c = Conditions {
        posture: b.posture,
        sites: std::mem::take(&mut b.sites),
        not_sites: std::mem::take(&mut b.not_sites),
        radio: b.radio,
        assured: b.assured,
        risk_at_most: b.risk_at_most,
        risk_at_least: b.risk_at_least,
        models: std::mem::take(&mut b.models),
    };
    let Some(contradiction) = c.contradiction() else { return Some(c) };
    let of_sites = contradiction.contains("sites");
    check.add(
        if of_sites { "/not_sites" } else { "/risk_at_least" },
        say!("these conditions can never hold together", "この条件は同時に成り立ちません"),
        Some(if of_sites {
            say!("remove a site from sites or from not_sites", "sites と not_sites の重複をなくしてください")
        } else {
            say!(
                "let risk_at_least be at most risk_at_most",
                "risk_at_least を risk_at_most 以下にしてください"
            )
        }),
    );
    None
}

/// Hours whose time zone there is.
fn hours(check: &mut Check, text: Option<&str>) -> Option<Option<Hours>> {
    let hours: Option<Hours> = check.maybe("/hours", text, Kind::Hours)?;
    let Some(strange) = hours.as_ref().map(Hours::zone).filter(|z| !pgw_policy::clock::is_zone(z)) else {
        return Some(hours);
    };
    check.add(
        "/hours",
        say!("there is no time zone {strange}", "タイムゾーン {strange} はありません"),
        Some(say!("name one of IANA's, such as Asia/Tokyo", "Asia/Tokyo のような IANA 名を指定してください")),
    );
    None
}

impl Resource for Rule {
    type Body = RuleBody;
    const PATH: &'static str = "/api/v1/rules";
    const KEY: &'static str = "name";
    // A rule may name SIMs that lie outside.
    const SEEN_WITHIN: bool = false;

    fn place(&self) -> Option<store::Place> {
        match &self.subject {
            types::Subject::Group(g) => Some(store::Place { groups: [g.clone()].into(), site: None }),
            _ => None,
        }
    }

    fn read(mut b: RuleBody, check: &mut Check) -> Option<Self> {
        let conditions = conditions(check, &mut b);
        let name = check.parse("/name", &b.name, Kind::Name);
        let subject = check.parse("/subject", &b.subject, Kind::Subject);
        let app = check.parse("/app", &b.app, Kind::Name);
        let to: Option<Vec<types::Service>> = check.each("/to", &b.to, Kind::Service);
        let record = match &b.record {
            Some(text) => check.parse("/record", text, Kind::Recording),
            None => Some(Recording::All),
        };
        let hours = hours(check, b.hours.as_deref());
        let until: Option<Option<Time>> = check.maybe("/until", b.until.as_deref(), Kind::Time);
        let monitor_until: Option<Option<Time>> =
            check.maybe("/monitor_until", b.monitor_until.as_deref(), Kind::Time);
        let direction = match (b.direction, to?) {
            (DirectionWord::In, to) => RuleDirection::In { to },
            (DirectionWord::Out, to) if to.is_empty() => RuleDirection::Out,
            (DirectionWord::Out, _) => {
                check.add(
                    "/to",
                    say!(
                        "to belongs to rules of direction in only",
                        "to は direction が in のルールだけで使えます"
                    ),
                    Some(say!(
                        "remove it, or make this a rule of direction in",
                        "削除するか、direction を in にしてください"
                    )),
                );
                return None;
            }
        };
        Some(Self {
            name: name?,
            order: b.order,
            subject: subject?,
            app: app?,
            direction,
            verdict: b.verdict.into(),
            rate: RuleRate { ul_bps: b.rate_ul_bps, dl_bps: b.rate_dl_bps },
            record: record?,
            when: When { hours: hours?, until: until?.map(|t| t.0) },
            conditions: conditions?,
            monitor_until: monitor_until?.map(|t| t.0),
        })
    }

    fn body(self) -> RuleBody {
        let (direction, to) = match self.direction {
            RuleDirection::Out => (DirectionWord::Out, Vec::new()),
            RuleDirection::In { to } => (DirectionWord::In, to.iter().map(ToString::to_string).collect()),
        };
        RuleBody {
            name: self.name.to_string(),
            order: self.order,
            subject: self.subject.to_string(),
            app: self.app.to_string(),
            direction,
            to,
            verdict: self.verdict.into(),
            rate_ul_bps: self.rate.ul_bps,
            rate_dl_bps: self.rate.dl_bps,
            record: Some(self.record.to_string()),
            hours: self.when.hours.map(|h| h.to_string()),
            until: self.when.until.map(rfc3339),
            posture: self.conditions.posture,
            sites: self.conditions.sites,
            not_sites: self.conditions.not_sites,
            radio: self.conditions.radio,
            assured: self.conditions.assured,
            risk_at_most: self.conditions.risk_at_most,
            risk_at_least: self.conditions.risk_at_least,
            models: self.conditions.models,
            monitor_until: self.monitor_until.map(rfc3339),
        }
    }

    fn list(policy: &mut Policy) -> &mut Vec<Self> {
        &mut policy.rules
    }

    fn is(item: &Item, key: &str) -> bool {
        matches!(item, Item::Rule(n) if n.as_str() == key)
    }

    /// A rule is sound by itself, its app and its group; nothing names a rule.
    async fn draft(s: &AppState, w: &Write<Self>) -> Result<Policy, Problem> {
        let rule = match w {
            Write::Create(rule) | Write::Replace(rule, _) => Some(rule.clone()),
            Write::Delete(..) => None,
        };
        Ok(documents::policy(s.store.draft_with_rule(rule).await?))
    }
}

handlers!(Rule, RuleBody, "rules", "/api/v1/rules", "/api/v1/rules/{name}", "name");
