//! What stands above the rules for some SIMs at this moment: quarantine of a SIM and panic of a group.
//!
//! Both only take away. A SIM in quarantine reaches the remediation apps of its groups, a SIM of a group in panic the
//! emergency apps of that group (of each such group, where it is in several), and of those only what the rules allow
//! it anyway: nothing unsaid is allowed. They are read before any rule.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used))]

use crate::compile::{AppIdx, ClassId, Compiled, GroupIdx};
use crate::decide::Ruling;
use crate::explain::{Explanation, Question};
use crate::policy::Policy;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use types::{Imsi, Name, Reason, SimFacts, Utc};

/// What stands at one moment: who is restricted, as far as a question about one SIM needs it, and which rules are not in
/// force.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// The SIM is in quarantine.
    pub quarantined: bool,
    /// The groups in panic, whether the SIM is in them or not.
    pub panicked: BTreeSet<Name>,
    /// The rules that are not in force at this moment.
    pub off: BTreeSet<Name>,
    /// What is known of the SIM.
    pub facts: SimFacts,
    /// The moment: what is known may be too old, or not count any longer.
    pub at: Utc,
}

/// The groups in panic as one [`Compiled`] numbers them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Panicked(Vec<GroupIdx>);

/// What a class reaches while it is restricted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Refuge {
    /// Its groups, rising.
    pub(crate) groups: Vec<GroupIdx>,
    /// The remediation apps of all of them, rising.
    remediation: Vec<AppIdx>,
}

/// The apps that a group names for bad times, rising.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct GroupApps {
    pub(crate) emergency: Vec<AppIdx>,
    pub(crate) remediation: Vec<AppIdx>,
}

impl Refuge {
    pub(crate) fn build(groups: &[GroupIdx], apps: &[GroupApps]) -> Self {
        let of =
            |g: &GroupIdx| apps.get(g.0 as usize).into_iter().flat_map(|a| a.remediation.iter().copied());
        let mut remediation: Vec<AppIdx> = groups.iter().flat_map(of).collect();
        remediation.sort_unstable();
        remediation.dedup();
        Self { groups: groups.to_vec(), remediation }
    }
}

impl Compiled {
    /// The groups of `names` that this policy has; a group that it does not have restricts nobody.
    pub fn panicked(&self, names: &BTreeSet<Name>) -> Panicked {
        Panicked(names.iter().filter_map(|n| self.group(n)).collect())
    }

    /// True where a SIM of this class is restricted.
    pub fn is_restricted(&self, class: ClassId, quarantined: bool, panicked: &Panicked) -> bool {
        quarantined
            || self
                .refuge(class)
                .is_some_and(|r| panicked.0.iter().any(|g| r.groups.binary_search(g).is_ok()))
    }

    /// Why a flow of this class to or from `app` does not pass, whatever the rules say; `None` if it may.
    pub(crate) fn barred(
        &self,
        class: ClassId,
        quarantined: bool,
        panicked: Option<&Panicked>,
        app: Option<AppIdx>,
    ) -> Option<Reason> {
        let has = |apps: &[AppIdx]| app.is_some_and(|a| apps.binary_search(&a).is_ok());
        let refuge = self.refuge(class);
        if quarantined && !refuge.is_some_and(|r| has(&r.remediation)) {
            return Some(Reason::Quarantined);
        }
        let in_panic = panicked
            .into_iter()
            .flat_map(|p| &p.0)
            .filter(|g| refuge.is_some_and(|r| r.groups.binary_search(g).is_ok()));
        let bars = |g: &GroupIdx| !self.group_apps(*g).is_some_and(|a| has(&a.emergency));
        in_panic.copied().any(|g| bars(&g)).then_some(Reason::GroupInPanic)
    }
}

/// The same, from the source and for a person: where the SIM is restricted and the app is not one that it still
/// reaches, no rule was read.
pub(crate) fn bar(story: &mut Explanation, policy: &Policy, question: &Question, standing: &Standing) {
    if let Some(reason) = reason(policy, question.imsi, standing, story.app.as_ref()) {
        story.verdict = Ruling::Deny;
        story.reason = reason;
        story.rule = None;
        story.terms = None;
        (story.would, story.grant, story.risk, story.nearest) = (None, None, None, None);
        story.considered.clear();
    }
}

fn reason(policy: &Policy, imsi: Imsi, standing: &Standing, app: Option<&Name>) -> Option<Reason> {
    let ue = policy.ues.iter().find(|u| u.imsi == imsi);
    let mine = || policy.groups.iter().filter(|g| ue.is_some_and(|u| u.groups.contains(&g.name)));
    let names = |apps: &[Name]| app.is_some_and(|a| apps.contains(a));
    if standing.quarantined && !mine().any(|g| names(&g.remediation_apps)) {
        return Some(Reason::Quarantined);
    }
    let barred = mine().any(|g| standing.panicked.contains(&g.name) && !names(&g.emergency_apps));
    barred.then_some(Reason::GroupInPanic)
}
