//! What a policy file says beside apps, groups and rules: templates, where they are used, and tests.

use crate::{Direction, Imsi, Name, Service, Utc};
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
