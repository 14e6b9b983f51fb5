//! One line of the policy: whom it speaks of, which app, under which conditions, and what it says.

use crate::{
    Compliance, Conditions, DeviceModel, Direction, Hours, Imsi, Name, Radio, Recording, RiskLevel, RuleRate,
    Service, Utc, Verdict, When, digits::serde_as_text,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, fmt, str::FromStr};

/// Whom a rule speaks of. Text form `any`, `group:NAME`, `sim:IMSI`, `device:ID`,
/// `person:ID`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// Every SIM.
    Any,
    /// The SIMs of a group.
    Group(Name),
    /// One SIM.
    Sim(Imsi),
    /// The SIMs that are in this device.
    Device(Name),
    /// The SIMs of this person.
    Person(Name),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Group(n) => write!(f, "group:{n}"),
            Self::Sim(i) => write!(f, "sim:{i}"),
            Self::Device(n) => write!(f, "device:{n}"),
            Self::Person(n) => write!(f, "person:{n}"),
        }
    }
}

impl FromStr for Subject {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        match s.split_once(':') {
            None if s == "any" => Ok(Self::Any),
            Some(("group", n)) => n.parse().map(Self::Group).map_err(|e| e.to_string()),
            Some(("sim", i)) => i.parse().map(Self::Sim).map_err(|e| e.to_string()),
            Some(("device", n)) => n.parse().map(Self::Device).map_err(|e| e.to_string()),
            Some(("person", n)) => n.parse().map(Self::Person).map_err(|e| e.to_string()),
            _ => Err("a subject is any, group:NAME, sim:IMSI, device:ID or person:ID".to_owned()),
        }
    }
}
serde_as_text!(Subject);

/// Who may open, towards what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuleDirection {
    /// The UE opens towards the app's own services.
    Out,
    /// The app (its prefixes) opens towards these services of the UE.
    In {
        /// What of the UE the app may reach.
        to: Vec<Service>,
    },
}

/// One line of the policy. Rules are read in ascending `order`; the first that matches decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RawRule", into = "RawRule")]
pub struct Rule {
    /// Its name: what a decision cites.
    pub name: Name,
    /// Place in the order; ties are broken by name.
    pub order: i64,
    /// Whom it speaks of.
    pub subject: Subject,
    /// Which app.
    pub app: Name,
    /// Which way.
    pub direction: RuleDirection,
    /// What it says.
    pub verdict: Verdict,
    /// How much of what it allows.
    pub rate: RuleRate,
    /// What is written down of what it allows.
    pub record: Recording,
    /// When it is in force.
    pub when: When,
    /// What has to be known of the SIM.
    pub conditions: Conditions,
    /// Until this moment it is only watched: it decides nothing, and what it would have said is written down.
    pub monitor_until: Option<Utc>,
}

impl Rule {
    /// True where it is only watched.
    pub fn is_monitored(&self) -> bool {
        self.monitor_until.is_some()
    }
}

/// A rule as it stands in a file or a request: flat, with `to` only where the direction is `in`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    name: Name,
    order: i64,
    subject: Subject,
    app: Name,
    direction: Direction,
    #[serde(default)]
    to: Vec<Service>,
    verdict: Verdict,
    #[serde(default)]
    rate_ul_bps: Option<u64>,
    #[serde(default)]
    rate_dl_bps: Option<u64>,
    #[serde(default)]
    record: Recording,
    #[serde(default)]
    hours: Option<Hours>,
    #[serde(default)]
    until: Option<Utc>,
    #[serde(default)]
    posture: Option<Compliance>,
    #[serde(default)]
    sites: BTreeSet<Name>,
    #[serde(default)]
    not_sites: BTreeSet<Name>,
    #[serde(default)]
    radio: Option<Radio>,
    #[serde(default)]
    assured: Option<bool>,
    #[serde(default)]
    risk_at_most: Option<RiskLevel>,
    #[serde(default)]
    risk_at_least: Option<RiskLevel>,
    #[serde(default)]
    models: BTreeSet<DeviceModel>,
    #[serde(default)]
    monitor_until: Option<Utc>,
}

impl TryFrom<RawRule> for Rule {
    type Error = &'static str;
    fn try_from(r: RawRule) -> Result<Self, &'static str> {
        let direction = match (r.direction, r.to) {
            (Direction::Out, to) if to.is_empty() => RuleDirection::Out,
            (Direction::Out, _) => return Err("`to` belongs to rules of direction `in` only"),
            (Direction::In, to) if to.is_empty() => {
                return Err(
                    "a rule of direction `in` names in `to` what of the UE may be reached, for example [\"tcp/502\"]",
                );
            }
            (Direction::In, to) => RuleDirection::In { to },
        };
        let conditions = Conditions {
            posture: r.posture,
            sites: r.sites,
            not_sites: r.not_sites,
            radio: r.radio,
            assured: r.assured,
            risk_at_most: r.risk_at_most,
            risk_at_least: r.risk_at_least,
            models: r.models,
        };
        if let Some(why) = conditions.contradiction() {
            return Err(why);
        }
        Ok(Self {
            name: r.name,
            order: r.order,
            subject: r.subject,
            app: r.app,
            direction,
            verdict: r.verdict,
            rate: RuleRate { ul_bps: r.rate_ul_bps, dl_bps: r.rate_dl_bps },
            record: r.record,
            when: When { hours: r.hours, until: r.until },
            conditions,
            monitor_until: r.monitor_until,
        })
    }
}

impl From<Rule> for RawRule {
    fn from(r: Rule) -> Self {
        let (direction, to) = match r.direction {
            RuleDirection::Out => (Direction::Out, Vec::new()),
            RuleDirection::In { to } => (Direction::In, to),
        };
        let c = r.conditions;
        Self {
            name: r.name,
            order: r.order,
            subject: r.subject,
            app: r.app,
            direction,
            to,
            verdict: r.verdict,
            rate_ul_bps: r.rate.ul_bps,
            rate_dl_bps: r.rate.dl_bps,
            record: r.record,
            hours: r.when.hours,
            until: r.when.until,
            posture: c.posture,
            sites: c.sites,
            not_sites: c.not_sites,
            radio: c.radio,
            assured: c.assured,
            risk_at_most: c.risk_at_most,
            risk_at_least: c.risk_at_least,
            models: c.models,
            monitor_until: r.monitor_until,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: &str) -> Result<Rule, String> {
        let text = format!(
            r#"{{"name":"r","order":1,"subject":"device:pc-7","app":"wiki","direction":"out","verdict":"step-up"{more}}}"#
        );
        serde_json::from_str(&text).map_err(|e| e.to_string())
    }

    #[test]
    fn conditions_stand_flat_in_the_rule_and_none_is_needed() {
        let bare = read("").unwrap();
        assert_eq!((bare.conditions.is_empty(), bare.verdict), (true, Verdict::StepUp));
        assert_eq!(bare.subject, Subject::Device("pc-7".parse().unwrap()));
        let full = read(
            r#","posture":"compliant","sites":["osaka"],"not_sites":["cafe"],"radio":"nr","assured":true,
            "risk_at_most":"medium","models":["35693803"],"monitor_until":1"#,
        )
        .unwrap();
        assert!(full.is_monitored() && !full.conditions.is_empty());
        let text = serde_json::to_string(&full).unwrap();
        assert_eq!(serde_json::from_str::<Rule>(&text).unwrap(), full);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (bad, why) in [
            (r#","posture":"fine""#, "unknown variant"),
            (r#","models":["3569380"]"#, "8 to 8 digits"),
            (r#","sites":["a"],"not_sites":["a"]"#, "sites"),
            (r#","risk_at_least":"high","risk_at_most":"low""#, "risk"),
            (r#","postur":"compliant""#, "unknown field"),
        ] {
            let e = read(bad).unwrap_err();
            assert!(e.contains(why), "{bad}: {e}");
        }
    }
}
