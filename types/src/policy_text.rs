//! What a policy file says beside apps, groups and rules: templates, where they are used, and tests.

use crate::{
    Assurance, Compliance, DeviceModel, Direction, Imsi, Model, Name, Posture, Radio, RadioSeen, RiskLevel,
    RiskSignal, Service, SimFacts, SiteSeen, Utc,
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::IpAddr};

/// A value of a field that is not read yet: it may hold `${parameter}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a text, a whole number, true or false, or a list of them")]
pub enum Loose {
    /// `true`, `false`.
    Switch(bool),
    /// A whole number.
    Number(i64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Self>),
}

/// Fields by name.
pub type LooseFields = BTreeMap<String, Loose>;

/// Rules for a department (or anything else that there are several of), with parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Its name.
    pub name: Name,
    /// Words for people.
    #[serde(default)]
    pub label: String,
    /// What each use has to say; stands as `${parameter}` in its rules and uses.
    #[serde(default)]
    pub parameters: Vec<Name>,
    /// Its rules, with the fields of a rule. The name of each goes on behind the name of the use.
    #[serde(default)]
    pub rules: Vec<LooseFields>,
    /// Other templates that it is made of.
    #[serde(default)]
    pub uses: Vec<TemplateUse>,
}

/// A template, used: its rules are named `USE.RULE`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateUse {
    /// Its name.
    pub name: Name,
    /// Which template.
    pub template: Name,
    /// The parameters.
    #[serde(default)]
    pub with: LooseFields,
}

/// What a test expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expect {
    /// The flow may pass.
    Allow,
    /// It may not, however that is said to the sender.
    Deny,
}

/// What a test takes for known of its SIM. What it does not say is not known.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TestFacts {
    /// Whether its device is as its group asks.
    #[serde(default)]
    pub posture: Option<Compliance>,
    /// The site that it is at.
    #[serde(default)]
    pub site: Option<Name>,
    /// False for a place that belongs to no site.
    #[serde(default)]
    pub at_a_site: Option<bool>,
    /// Whether it is usually there; it is, where not given.
    #[serde(default)]
    pub usual: Option<bool>,
    /// Time zone of the site, as IANA names it.
    #[serde(default)]
    pub zone: Option<String>,
    /// By which radio.
    #[serde(default)]
    pub radio: Option<Radio>,
    /// Whether its person has proved themselves for it.
    #[serde(default)]
    pub assured: Option<bool>,
    /// Somebody else's word that the risk is at least this.
    #[serde(default)]
    pub risk: Option<RiskLevel>,
    /// The device's model.
    #[serde(default)]
    pub model: Option<DeviceModel>,
}

impl TestFacts {
    /// True where nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The facts, as they are known at this moment.
    pub fn at(&self, at: Utc) -> SimFacts {
        let Ok(source) = "test".parse::<Name>() else { return SimFacts::default() };
        let by = || source.clone();
        let place = self.site.is_some() || self.at_a_site == Some(false);
        SimFacts {
            posture: self.posture.map(|value| Posture { value, since: at, until: None, source: by() }),
            place: place.then(|| SiteSeen {
                site: self.site.clone(),
                usual: self.usual.unwrap_or(true),
                zone: self.zone.clone(),
                since: at,
                source: by(),
            }),
            radio: self.radio.map(|value| RadioSeen { value, since: at, source: by() }),
            model: self.model.map(|value| Model { value, since: at, source: by() }),
            // A proof that ends now counts no longer.
            assurance: self.assured.map(|yes| Assurance {
                until: Utc(at.0 + i64::from(yes)),
                since: at,
                source: by(),
            }),
            risk: self.risk.map(|value| RiskSignal { value, since: at, until: None, source: by() }),
            grants: Vec::new(),
        }
    }
}

/// A case that must come out as it says, or the policy is not published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyTest {
    /// Its name.
    pub name: Name,
    /// What must come out.
    pub expect: Expect,
    /// A SIM, with its own groups. Without one: any SIM that is in `groups` and in no other.
    #[serde(default)]
    pub sim: Option<Imsi>,
    /// The groups of the SIM, in place of its own.
    #[serde(default)]
    pub groups: Vec<Name>,
    /// The app at the other end, by its first address.
    #[serde(default)]
    pub app: Option<Name>,
    /// The other end, in place of an app.
    #[serde(default)]
    pub address: Option<IpAddr>,
    /// Protocol and port of the side that is opened towards.
    pub service: Service,
    /// Who opens; `out` where not given.
    #[serde(default = "out")]
    pub direction: Direction,
    /// By the hours of this moment; where not given, every rule counts whatever its hours.
    #[serde(default)]
    pub at: Option<Utc>,
    /// What is known of the SIM.
    #[serde(default, skip_serializing_if = "TestFacts::is_empty")]
    pub facts: TestFacts,
}

fn out() -> Direction {
    Direction::Out
}

/// What is stored of a policy file beside its apps, groups and rules.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyExtras {
    /// Templates.
    #[serde(default)]
    pub templates: Vec<Template>,
    /// Where they are used.
    #[serde(default)]
    pub uses: Vec<TemplateUse>,
    /// Tests.
    #[serde(default)]
    pub tests: Vec<PolicyTest>,
}

impl PolicyExtras {
    /// The use that made the rule of this name.
    pub fn origin(&self, rule: &Name) -> Option<&TemplateUse> {
        let made = |u: &&TemplateUse| {
            rule.as_str().strip_prefix(u.name.as_str()).is_some_and(|rest| rest.starts_with('.'))
        };
        self.uses.iter().find(made)
    }
}
