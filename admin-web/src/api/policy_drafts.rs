//! A draft of the whole policy: read in one of its two forms, and held against what there is.

use crate::{
    api::{documents, documents::Resource, policy_tests::hold},
    policy_words,
    problem::{FieldError, Problem, say},
    state::AppState,
};
use pgw_policy::{
    Policy,
    text::{self as texts, Node, Parsed, PolicyText},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use store::{PolicySet, PolicySource, StoreError};
use types::{Imsi, Name};

/// Reads a policy that came in one of its two forms. Up to 16 MiB are read beside everybody else's requests.
pub(crate) async fn read(text: Option<String>, policy: Option<Value>) -> Result<Parsed, Problem> {
    tokio::task::spawn_blocking(move || read_whole(text, policy)).await.map_err(|_| Problem::internal())?
}

fn read_whole(text: Option<String>, policy: Option<Value>) -> Result<Parsed, Problem> {
    let one = || {
        Problem::field(
            "/text",
            say!("a policy comes as text or as policy", "ポリシーは text か policy のどちらかで送ります"),
            Some(say!("give one of them", "どちらか一方を指定してください")),
        )
    };
    let refused = |found: Vec<texts::Finding>| {
        // Beside the words, so that an editor can mark what is meant: one for each of `errors`.
        let places = found.iter().map(|f| f.place.map(|p| json!({ "line": p.line, "column": p.column })));
        let places: Value = places.collect();
        Problem::invalid(found.iter().map(policy_words::field_error).collect()).with("places", places)
    };
    match (text, policy) {
        (Some(text), None) => texts::parse(&text).map_err(refused),
        (None, Some(model)) => {
            let node: Node = serde_json::from_value(model).map_err(|_| one())?;
            texts::read(&node).map_err(refused)
        }
        _ => Err(one()),
    }
}

/// What is stored of it.
pub(crate) fn set_of(parsed: Parsed) -> PolicySet {
    let rules = parsed.rules();
    let text = parsed.text;
    PolicySet { apps: text.apps, groups: text.groups, rules, extras: text.extras }
}

/// What is stored, as a file says it.
pub(crate) fn stored(source: PolicySource) -> PolicyText {
    PolicyText::of(source.apps, source.groups, source.rules, source.extras)
}

/// True where a policy says what is stored.
pub(crate) fn is_same(source: &PolicySource, set: &PolicySet) -> bool {
    fn sorted<T: Resource + PartialEq>(all: &[T]) -> Vec<&T> {
        let mut all: Vec<&T> = all.iter().collect();
        all.sort_by_key(|v| v.key());
        all
    }
    sorted(&source.apps) == sorted(&set.apps)
        && sorted(&source.groups) == sorted(&set.groups)
        && sorted(&source.rules) == sorted(&set.rules)
        && source.extras == set.extras
}

/// The whole policy as it would be; refused where it is not sound, or where SIMs are in a group that it has no more.
pub(crate) async fn sound(s: &AppState, source: &PolicySource, set: &PolicySet) -> Result<Policy, Problem> {
    let draft = Policy {
        apps: set.apps.clone(),
        groups: set.groups.clone(),
        rules: set.rules.clone(),
        ..documents::policy(source.clone())
    };
    let kept: BTreeSet<&Name> = set.groups.iter().map(|g| &g.name).collect();
    let dropped: BTreeSet<&Name> =
        source.ues.iter().flat_map(|u| &u.groups).filter(|g| !kept.contains(g)).collect();
    let mut fields: Vec<_> = dropped
        .into_iter()
        .map(|group| FieldError {
            pointer: String::new(),
            detail: say!(
                "group {group} is not in this policy, and SIMs are in it",
                "グループ {group} がこのポリシーにありませんが、所属する SIM があります"
            ),
            fix: Some(say!("keep it, or move its SIMs first", "残すか、先に SIM を移してください")),
        })
        .collect();
    let listed: BTreeSet<Imsi> = source.ues.iter().map(|u| u.imsi).collect();
    for rule in &set.rules {
        let types::Subject::Sim(imsi) = &rule.subject else { continue };
        if listed.contains(imsi) {
            continue;
        }
        match s.store.sim(*imsi).await {
            Err(StoreError::NotFound) => fields.push(FieldError {
                pointer: String::new(),
                detail: {
                    let name = &rule.name;
                    say!("rule {name}: there is no SIM {imsi}", "ルール {name}: SIM {imsi} はありません")
                },
                fix: Some(say!(
                    "add the SIM first, or remove the rule",
                    "先に SIM を追加するか、ルールを削除してください"
                )),
            }),
            other => drop(other?),
        }
    }
    if !fields.is_empty() {
        return Err(Problem::invalid(fields));
    }
    pgw_policy::validate(&draft).map_err(documents::unsound)?;
    Ok(documents::with_built_in(s, draft).await)
}

/// Refuses a policy that is not sound, or whose own tests fail.
pub(crate) async fn publishable(s: &AppState, source: &PolicySource, set: &PolicySet) -> Result<(), Problem> {
    let draft = sound(s, source, set).await?;
    hold(draft, set.extras.tests.clone()).await
}
