//! Rules about what is seen together or too often: what raises an alert, and what is done at once.
//!
//! A rule takes away and never gives: what it does stands beside the policy, which stays as it is.

use crate::AlertKind;
use serde::{Deserialize, Serialize};

words! {
    /// The rules that there are.
    AlertRule, "an alert rule" {
        /// A proof failed for a SIM that is where it usually is not.
        UnusualPlace = "unusual-place",
        /// A SIM's device is not as its group asks.
        NotCompliant = "not-compliant",
        /// A SIM moved more within an hour than it should.
        MuchData = "much-data",
        /// Somebody, or a SIM, tried again and again what is refused to them.
        Escalation = "privilege-escalation",
        /// Somebody was at work at night.
        NightAccess = "night-access",
    }
}

words! {
    /// What is done when a rule fires.
    RuleResponse, "a response" {
        /// Nothing: the rule is switched off.
        Off = "off",
        /// It stands in the timeline.
        Log = "log",
        /// There is an alert as well, which goes where alerts go.
        Notify = "notify",
        /// And what the rule is about is taken away: access of the person, apps beside those for remediation, or the right to sign in.
        Act = "act",
    }
}

impl AlertRule {
    /// The kind of its alerts.
    pub fn kind(self) -> AlertKind {
        match self {
            Self::UnusualPlace => AlertKind::UnusualPlace,
            Self::NotCompliant => AlertKind::NotCompliant,
            Self::MuchData => AlertKind::MuchData,
            Self::Escalation => AlertKind::Escalation,
            Self::NightAccess => AlertKind::NightAccess,
        }
    }

    /// True where it can do more than notify.
    pub fn acts(self) -> bool {
        matches!(self, Self::UnusualPlace | Self::NotCompliant | Self::Escalation)
    }
}

/// All of them. What is left out is as shipped.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertRules {
    /// An unusual place and a failed proof.
    pub unusual_place: UnusualPlaceRule,
    /// A device that is not as its group asks.
    pub not_compliant: NotCompliantRule,
    /// Much data in an hour.
    pub much_data: MuchDataRule,
    /// Attempts at what is refused.
    pub privilege_escalation: EscalationRule,
    /// Access at night.
    pub night_access: NightRule,
}

/// An unusual place and a failed proof, whichever comes first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UnusualPlaceRule {
    /// `act` suspends the SIMs of the person.
    pub response: RuleResponse,
    /// The two belong together where they are not further apart.
    pub within_minutes: u16,
}

/// A device that is not as its group asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NotCompliantRule {
    /// `act` puts the SIM in quarantine until its device is compliant.
    pub response: RuleResponse,
}

/// More than so much in an hour.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MuchDataRule {
    /// At most `notify`.
    pub response: RuleResponse,
    /// Octets of both directions.
    pub octets: u64,
}

/// Attempts at what is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EscalationRule {
    /// `act` disables the operator, suspends the token, or puts the SIM in quarantine.
    pub response: RuleResponse,
    /// So many changes by the API that the caller has no right to.
    pub requests: u16,
    /// So many flows of a SIM to confidential apps that its rules refuse.
    pub flows: u16,
    /// Within so many minutes.
    pub within_minutes: u16,
}

/// Access at night.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NightRule {
    /// At most `notify`.
    pub response: RuleResponse,
    /// By the clocks of the SIM's site: `02:00-05:00`.
    pub hours: String,
    /// The time zone where the site has none, or nobody knows the site; none is that of the network.
    pub zone: Option<String>,
    /// True for SIMs that belong to nobody, too: machines work at night.
    pub machines: bool,
}

impl Default for UnusualPlaceRule {
    fn default() -> Self {
        Self { response: RuleResponse::Act, within_minutes: 60 }
    }
}

impl Default for NotCompliantRule {
    fn default() -> Self {
        Self { response: RuleResponse::Act }
    }
}

impl Default for MuchDataRule {
    fn default() -> Self {
        Self { response: RuleResponse::Notify, octets: 1_000_000_000 }
    }
}

impl Default for EscalationRule {
    fn default() -> Self {
        Self { response: RuleResponse::Act, requests: 10, flows: 30, within_minutes: 10 }
    }
}

impl Default for NightRule {
    fn default() -> Self {
        Self { response: RuleResponse::Log, hours: "02:00-05:00".to_owned(), zone: None, machines: false }
    }
}

impl AlertRules {
    /// None of them: what holds before the stored ones were read.
    pub fn off() -> Self {
        let mut all = Self::default();
        for rule in AlertRule::ALL {
            *all.response_mut(*rule) = RuleResponse::Off;
        }
        all
    }

    /// What is done where this one fires.
    pub fn response(&self, rule: AlertRule) -> RuleResponse {
        match rule {
            AlertRule::UnusualPlace => self.unusual_place.response,
            AlertRule::NotCompliant => self.not_compliant.response,
            AlertRule::MuchData => self.much_data.response,
            AlertRule::Escalation => self.privilege_escalation.response,
            AlertRule::NightAccess => self.night_access.response,
        }
    }

    fn response_mut(&mut self, rule: AlertRule) -> &mut RuleResponse {
        match rule {
            AlertRule::UnusualPlace => &mut self.unusual_place.response,
            AlertRule::NotCompliant => &mut self.not_compliant.response,
            AlertRule::MuchData => &mut self.much_data.response,
            AlertRule::Escalation => &mut self.privilege_escalation.response,
            AlertRule::NightAccess => &mut self.night_access.response,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shipped_is_the_common_table() {
        let shipped: AlertRules = serde_json::from_str("{}").expect("nothing said is as shipped");
        assert_eq!(shipped, AlertRules::default());
        let responses: Vec<RuleResponse> = AlertRule::ALL.iter().map(|r| shipped.response(*r)).collect();
        use RuleResponse::{Act, Log, Notify};
        assert_eq!(responses, [Act, Act, Notify, Act, Log]);
        assert_eq!(
            (shipped.much_data.octets, shipped.night_access.hours.as_str()),
            (1_000_000_000, "02:00-05:00")
        );
        for rule in AlertRule::ALL {
            assert_eq!(rule.as_str(), rule.kind().as_str(), "a rule and its alerts have one word");
            assert_eq!(AlertRules::off().response(*rule), RuleResponse::Off);
            assert!(rule.acts() || shipped.response(*rule) < Act);
        }
        assert!(serde_json::from_str::<AlertRules>(r#"{"nigth_access":{}}"#).is_err());
    }
}
