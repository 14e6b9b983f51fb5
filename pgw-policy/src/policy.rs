//! The policy as people write it: data networks, apps, groups, rules, and who is in which group.
//!
//! This is the source model. It says nothing about how packets are judged: `validate` refuses it whole or
//! finds it sound, `compile` makes rows of it, `explain` reads it line by line.

use crate::risk::RiskProfile;
use serde::{Deserialize, Serialize};
use types::{App, DataNetwork, Group, Imsi, Rule, Subject, UeGroups};

/// The whole policy of one generation. The order of the lists carries no meaning: rules are read by
/// [`Rule::order`], then by name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Rises with every published change.
    pub generation: u64,
    /// Where sessions live. UE addresses belong to no app but one whose prefix lies inside the pool.
    #[serde(default)]
    pub data_networks: Vec<DataNetwork>,
    /// What can be reached.
    #[serde(default)]
    pub apps: Vec<App>,
    /// Named sets of SIMs.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// Who may open what; default deny.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// How risk is weighed; the shipped profile where nothing is said.
    #[serde(default)]
    pub risk: RiskProfile,
    /// The groups of each SIM. A SIM that is not listed is in no group.
    #[serde(default)]
    pub ues: Vec<UeGroups>,
}

/// True where this SIM is whom a rule speaks of; `ue` is what the policy lists of it.
pub(crate) fn speaks_of(subject: &Subject, imsi: Imsi, ue: Option<&UeGroups>) -> bool {
    match subject {
        Subject::Any => true,
        Subject::Group(g) => ue.is_some_and(|u| u.groups.contains(g)),
        Subject::Sim(i) => *i == imsi,
        Subject::Device(d) => ue.is_some_and(|u| u.device.as_ref() == Some(d)),
        Subject::Person(p) => ue.is_some_and(|u| u.person.as_ref() == Some(p)),
    }
}

impl Policy {
    /// What the policy lists of a SIM.
    pub(crate) fn ue(&self, imsi: Imsi) -> Option<&UeGroups> {
        self.ues.iter().find(|u| u.imsi == imsi)
    }

    /// The rules in the order in which they are read: the first that matches decides.
    pub fn rules_in_order(&self) -> Vec<&Rule> {
        let mut rules: Vec<&Rule> = self.rules.iter().collect();
        rules.sort_by(|a, b| (a.order, &a.name).cmp(&(b.order, &b.name)));
        rules
    }
}
