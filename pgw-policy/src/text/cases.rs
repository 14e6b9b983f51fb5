//! The tests of a policy file, tried by the compiled rows that judge packets.

use crate::{
    clock,
    compile::{ClassId, compile},
    decide::{Asker, Ruling, decide_for},
    explain::{Explanation, Question, explain_for},
    policy::Policy,
    reach::bare,
    restrict::Standing,
    validate::PolicyError,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};
use types::{Expect, Imsi, Name, PolicyTest, Protocol, UeGroups};

/// How a test came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseResult {
    /// Its name.
    pub name: Name,
    /// What was expected.
    pub expect: Expect,
    /// True where that came out.
    pub passed: bool,
    /// What came out, and why; `None` where the test names an app without an address.
    pub story: Option<Explanation>,
}

/// Tries all tests against a policy; an `Err` is a policy that is not sound.
pub fn run(policy: &Policy, tests: &[PolicyTest]) -> Result<Vec<CaseResult>, Vec<PolicyError>> {
    if tests.is_empty() {
        return Ok(Vec::new());
    }
    let own: BTreeMap<Imsi, &UeGroups> = policy.ues.iter().map(|u| (u.imsi, u)).collect();
    let mut sims: Vec<UeGroups> = Vec::new();
    let mut trial = Policy { ues: Vec::new(), ..policy.clone() };
    let mut at_work: BTreeMap<Imsi, usize> = BTreeMap::new();
    let mut questions = Vec::new();
    for (n, test) in tests.iter().enumerate() {
        let Some(ue) = ue_of(test, &own, n) else { continue };
        questions.push(question(policy, test, ue.imsi));
        sims.push(ue);
    }
    // Two tests may put one SIM into different groups: each has its turn with a policy in which the SIM is so.
    let mut results: Vec<Option<CaseResult>> = vec![None; tests.len()];
    let mut left: Vec<usize> = (0..tests.len()).collect();
    while !left.is_empty() {
        at_work.clear();
        let (mut now, mut later) = (Vec::new(), Vec::new());
        for n in left {
            let Some(ue) = sims.get(n) else { continue };
            let same = at_work.get(&ue.imsi).is_none_or(|first| sims.get(*first) == Some(ue));
            if same {
                at_work.entry(ue.imsi).or_insert(n);
                now.push(n);
            } else {
                later.push(n);
            }
        }
        trial.ues = at_work.values().filter_map(|n| sims.get(*n).cloned()).collect();
        let compiled = compile(&trial)?;
        for n in now {
            if let (Some(test), Some(q), Some(ue), Some(slot)) =
                (tests.get(n), questions.get(n), sims.get(n), results.get_mut(n))
            {
                *slot = Some(judge(&trial, &compiled, test, *q, ue));
            }
        }
        left = later;
    }
    Ok(results.into_iter().flatten().collect())
}

fn judge(
    policy: &Policy,
    compiled: &crate::Compiled,
    test: &PolicyTest,
    question: Option<Question>,
    ue: &UeGroups,
) -> CaseResult {
    let (name, expect) = (test.name.clone(), test.expect);
    let Some(q) = question else { return CaseResult { name, expect, passed: false, story: None } };
    let (word, off) = match test.at {
        Some(at) => (clock::word(compiled.clocks(), at), clock::off(&policy.rules, at)),
        None => (vec![u64::MAX; compiled.clocks().len().div_ceil(64)], BTreeSet::new()),
    };
    let (then, _) = compiled.with_clocks(word);
    let class: ClassId = then.class_of(ue.imsi);
    // Only what is said of risk depends on the moment beside hours.
    let at = test.at.unwrap_or_default();
    let facts = test.facts.at(at);
    let known = then.known(&facts, at);
    let row = decide_for(&then, &Asker::new(class, &known), q.direction, q.peer, q.protocol, q.port);
    let story = explain_for(policy, &q, &Standing { off, facts, at, ..Standing::default() });
    let opens = |r: Ruling| matches!(r, Ruling::Allow | Ruling::Inspect);
    // Rows and rules that disagree open nothing.
    let allowed = opens(row.verdict) && opens(story.verdict);
    CaseResult { name, expect, passed: allowed == (expect == Expect::Allow), story: Some(story) }
}

/// The SIM of a test. Where it names none, one that there cannot be: no country has the MCC 000.
fn ue_of(test: &PolicyTest, own: &BTreeMap<Imsi, &UeGroups>, n: usize) -> Option<UeGroups> {
    let groups: BTreeSet<Name> = test.groups.iter().cloned().collect();
    match test.sim {
        Some(imsi) if groups.is_empty() => {
            Some(own.get(&imsi).map_or_else(|| bare(imsi), |ue| (*ue).clone()))
        }
        Some(imsi) => Some(UeGroups { groups, ..bare(imsi) }),
        None => Some(UeGroups { groups, ..bare(format!("000{n:012}").parse().ok()?) }),
    }
}

fn question(policy: &Policy, test: &PolicyTest, imsi: Imsi) -> Option<Question> {
    let of_app = || {
        let app = policy.apps.iter().find(|a| Some(&a.name) == test.app.as_ref())?;
        app.prefixes.first().map(|p| p.network())
    };
    let peer = test.address.or_else(of_app)?;
    let protocol = match (test.service.protocol, peer) {
        (Protocol::Tcp, _) => 6,
        (Protocol::Udp, _) => 17,
        (Protocol::Icmp, IpAddr::V4(_)) => 1,
        (Protocol::Icmp, IpAddr::V6(_)) => 58,
    };
    let port = if test.service.protocol == Protocol::Icmp { 0 } else { test.service.ports.first() };
    Some(Question { imsi, direction: test.direction, peer, protocol, port })
}
