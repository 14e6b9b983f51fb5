//! The tests that are stored with a policy: whatever changes the policy, they come out as they say, or it is refused.

use crate::{
    api::documents::{self, Resource, Write},
    policy_words,
    problem::{FieldError, Lang, Problem, say},
    state::AppState,
};
use pgw_policy::{
    Policy, PolicyError,
    text::{self, CaseResult},
};
use serde::Serialize;
use types::{Name, PolicyTest};
use utoipa::ToSchema;

/// How the tests of a policy came out.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PolicyTests)]
pub(crate) struct TestsView {
    passed: u64,
    failed: u64,
    /// What is wrong with those that failed.
    failures: Vec<String>,
}

impl TestsView {
    pub(crate) fn of(all: &[CaseResult], lang: Lang) -> Self {
        let failures: Vec<String> =
            all.iter().filter(|r| !r.passed).map(|r| policy_words::failed(r).text(lang).to_owned()).collect();
        let failed = failures.len() as u64;
        Self { passed: all.len() as u64 - failed, failed, failures }
    }
}

pub(crate) fn tried(policy: &Policy, tests: &[PolicyTest]) -> Result<Vec<CaseResult>, Vec<PolicyError>> {
    text::run(policy, tests)
}

/// Refuses a policy whose tests fail.
pub(crate) async fn hold(policy: Policy, tests: Vec<PolicyTest>) -> Result<(), Problem> {
    if tests.is_empty() {
        return Ok(());
    }
    let tried = tokio::task::spawn_blocking(move || tried(&policy, &tests));
    let results = tried.await.map_err(|_| Problem::internal())?.map_err(documents::unsound)?;
    let failed: Vec<FieldError> = results
        .iter()
        .filter(|r| !r.passed)
        .take(20)
        .map(|r| FieldError { pointer: String::new(), detail: policy_words::failed(r), fix: None })
        .collect();
    if failed.is_empty() {
        return Ok(());
    }
    let title = say!("The policy's own tests fail", "ポリシー自身のテストに失敗しました");
    Err(Problem::new(422, "tests-failed", title).fields(failed).fix(say!(
        "mend the policy, or change its tests with it (sekisho policy apply)",
        "ポリシーを直すか、テストも合わせて変更してください (sekisho policy apply)"
    )))
}

/// Refuses a write of one thing that the policy's tests do not come out with, and one of a rule that a template makes.
pub(crate) async fn published<T: Resource>(s: &AppState, w: &Write<T>) -> Result<(), Problem> {
    let extras = s.store.policy_extras().await?;
    let key = w.key();
    if let (true, Ok(name)) = (T::KIND == "rule", key.parse::<Name>())
        && let Some(of) = extras.origin(&name)
    {
        let (owner, template) = (&of.name, &of.template);
        return Err(Problem::new(
            409,
            "of-template",
            say!("A template makes this rule", "テンプレートから作られるルールです"),
        )
        .detail(say!(
            "{name} belongs to the use {owner} of template {template}",
            "{name} はテンプレート {template} の使用箇所 {owner} のものです"
        ))
        .fix(say!(
            "change the template in the policy file (sekisho policy show, then apply)",
            "ポリシーファイルのテンプレートを変更してください (sekisho policy show の後に apply)"
        )));
    }
    if extras.tests.is_empty() {
        return Ok(());
    }
    let mut draft = documents::policy(s.store.policy_source().await?);
    documents::apply(w, T::list(&mut draft));
    hold(documents::with_built_in(s, draft).await, extras.tests).await
}
