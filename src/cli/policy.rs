//! `sekisho policy show|check|plan|apply|test|analyse|history|rollback`: the policy as a file.
//!
//! `check` reads the file here, without the API; the others are its clients, as every verb is.

use super::print::{Columns, Printer};
use crate::{client::Client, lang::Lang};
use admin_web::{Said, policy_words};
use anyhow::{Context, Result, bail};
use clap::Subcommand;
use pgw_policy::{
    Policy, analyse,
    text::{self, Parsed},
};
use serde_json::{Value, json};
use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

/// Verbs about the policy as a file.
#[derive(Debug, Subcommand)]
pub enum Text {
    /// The stored policy as a file: groups, apps, rules, templates, tests. `policy show > policy.toml`.
    Show {
        /// What an earlier generation said, in place of what is stored.
        #[arg(long)]
        generation: Option<u64>,
    },
    /// Generation that is stored, and the one that is enforced, with everything in it.
    Status,
    /// Read a file and say everything that is wrong with it, here and without the API.
    Check {
        /// The policy file.
        file: PathBuf,
    },
    /// Say in words what a file would change: who may reach what, and who no longer.
    Plan {
        /// The policy file.
        file: PathBuf,
    },
    /// Put a file in the place of the stored policy: in one step, or not at all.
    Apply {
        /// The policy file.
        file: PathBuf,
        /// Only if this generation is stored.
        #[arg(long)]
        if_generation: Option<u64>,
        /// Why.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Try the tests of a file with the SIMs that there are; of the stored policy without one.
    Test {
        /// The policy file.
        file: Option<PathBuf>,
    },
    /// What the stored policy says in vain or against itself, each with a flow that shows it.
    Analyse,
    /// Try recorded flows against a draft: who would newly be denied, who newly allowed.
    Replay(super::replay::Replay),
    /// Rules that are only watched (`monitor_until`), and what they would have denied, by SIM and app.
    Monitored,
    /// Generations, newest first: who made each, and how.
    History {
        /// How many; at most 1000.
        #[arg(long, default_value_t = 20)]
        last: u32,
    },
    /// Put an earlier generation in force again; the one before the last change without a number.
    Rollback {
        /// Which generation.
        to: Option<u64>,
        /// Only if this generation is stored.
        #[arg(long)]
        if_generation: Option<u64>,
        /// Why.
        #[arg(long, default_value = "")]
        reason: String,
    },
}

/// What needs no API.
pub fn offline(v: &Text, lang: Lang) -> Option<Result<()>> {
    match v {
        Text::Check { file } => Some(check(file, lang)),
        _ => None,
    }
}

pub(super) fn in_words(s: Said, lang: Lang) -> String {
    match lang {
        Lang::En => s.en,
        Lang::Ja => s.ja,
    }
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("the policy file {}", file.display()))
}

/// The file as it is sent, once it is known to be one: so that findings name it.
pub(super) fn sound(file: &Path, lang: Lang) -> Result<(String, Parsed)> {
    let text = read(file)?;
    match text::parse(&text) {
        Ok(parsed) => Ok((text, parsed)),
        Err(found) => {
            let name = file.display().to_string();
            for f in &found {
                eprintln!("{}", in_words(policy_words::line(&name, f), lang));
            }
            let many = found.len();
            bail!(in_words(
                admin_web::say!(
                    "{name}: {many} errors; nothing was changed",
                    "{name}: 誤りが {many} 件あります。何も変更していません"
                ),
                lang
            ))
        }
    }
}

fn check(file: &Path, lang: Lang) -> Result<()> {
    let (_, parsed) = sound(file, lang)?;
    let policy = Policy {
        apps: parsed.text.apps.clone(),
        groups: parsed.text.groups.clone(),
        rules: parsed.rules(),
        ..Policy::default()
    };
    let mut out = std::io::stdout().lock();
    let (apps, groups) = (policy.apps.len(), policy.groups.len());
    let (rules, made) = (policy.rules.len(), parsed.generated.len());
    let name = file.display();
    writeln!(
        out,
        "{}",
        in_words(
            admin_web::say!(
                "{name}: {groups} groups, {apps} apps, {rules} rules ({made} of templates): sound",
                "{name}: グループ {groups}、アプリ {apps}、ルール {rules} (テンプレートから {made}): 問題ありません"
            ),
            lang
        )
    )?;
    // Whether anybody is there is not known here.
    let now = gateway::time::now().utc;
    for f in analyse::analyse(&policy, now).unwrap_or_default() {
        if f.unused != Some(analyse::Unused::NobodyThere) {
            writeln!(out, "  {}", in_words(policy_words::analysis(&f), lang))?;
        }
    }
    // A test of a SIM's own groups needs the SIM.
    let here: Vec<_> = parsed
        .text
        .extras
        .tests
        .iter()
        .filter(|t| t.sim.is_none() || !t.groups.is_empty())
        .cloned()
        .collect();
    let results = text::run(&policy, &here).unwrap_or_default();
    let failed: Vec<_> = results.iter().filter(|r| !r.passed).collect();
    for r in &failed {
        writeln!(out, "  {}", in_words(policy_words::failed(r), lang))?;
    }
    let left = parsed.text.extras.tests.len() - here.len();
    tests_line(&mut out, results.len() - failed.len(), failed.len(), left, lang)?;
    ended(failed.len(), lang)
}

fn tests_line(
    out: &mut impl std::io::Write,
    passed: usize,
    failed: usize,
    left: usize,
    lang: Lang,
) -> Result<()> {
    let left = match left {
        0 => Said { en: String::new(), ja: String::new() },
        n => admin_web::say!(", {n} need the SIMs (policy test)", "、SIM が必要 {n} (policy test)"),
    };
    let (en, ja) = (left.en, left.ja);
    let line = admin_web::say!(
        "tests: {passed} passed, {failed} failed{en}",
        "テスト: 成功 {passed}、失敗 {failed}{ja}"
    );
    writeln!(out, "{}", in_words(line, lang))?;
    Ok(())
}

fn ended(failed: usize, lang: Lang) -> Result<()> {
    if failed > 0 {
        bail!(lang.of("tests fail", "テストに失敗しました").to_owned());
    }
    Ok(())
}

/// Does what the verb says.
pub fn act(v: &Text, api: &Client, out: &Printer, json_form: bool, lang: Lang) -> Result<()> {
    match v {
        Text::Show { generation } => {
            let which = generation.map(|g| format!("?generation={g}")).unwrap_or_default();
            let body = api.get(&format!("policies/text{which}"))?.body;
            if json_form {
                return out.thing(&body);
            }
            let text = body["text"].as_str().context("the answer has no text")?;
            std::io::stdout().lock().write_all(text.as_bytes())?;
            Ok(())
        }
        Text::Status => out.thing(&api.get("policies")?.body),
        Text::Check { .. } => Ok(()),
        Text::Plan { file } => {
            let (text, _) = sound(file, lang)?;
            let plan = api.post("policies/plan", &json!({ "text": text }))?.body;
            if json_form { out.thing(&plan) } else { say_plan(&plan, lang) }
        }
        Text::Apply { file, if_generation, reason } => {
            let (text, _) = sound(file, lang)?;
            let body = json!({ "text": text, "if_generation": if_generation, "reason": reason });
            out.thing(&api.post("policies/apply", &body)?.body)
        }
        Text::Test { file } => {
            let body = match file {
                Some(file) => json!({ "text": sound(file, lang)?.0 }),
                None => json!({}),
            };
            let tests = api.post("policies/plan", &body)?.body["tests"].take();
            if json_form {
                out.thing(&tests)?;
            } else {
                say_tests(&mut std::io::stdout().lock(), &tests, lang)?;
            }
            ended(tests["failed"].as_u64().unwrap_or_default() as usize, lang)
        }
        Text::Analyse => {
            let found = api.get("policies/analysis")?.body;
            let items = found.as_array().cloned().unwrap_or_default();
            out.list(&items, Columns(&["kind", "of", "by", "words"]))
        }
        Text::Replay(v) => super::replay::act(v, api, out, json_form, lang),
        Text::Monitored => {
            const COLUMNS: &[&str] = &[
                "rule",
                "until",
                "since",
                "would_deny",
                "would_allow",
                "sims",
                "complete",
                "first",
                "last",
                "by",
            ];
            out.list(&api.list("policies/monitored?")?, Columns(COLUMNS))
        }
        Text::History { last } => {
            let page = api.get(&format!("policies/history?limit={last}"))?.body;
            let items = page["items"].as_array().cloned().unwrap_or_default();
            out.list(&items, Columns(&["generation", "at", "actor", "action", "object", "reason"]))
        }
        Text::Rollback { to, if_generation, reason } => {
            let body = json!({ "to": to, "if_generation": if_generation, "reason": reason });
            out.thing(&api.post("policies/rollback", &body)?.body)
        }
    }
}

pub(super) fn number(v: &Value, field: &str) -> u64 {
    v[field].as_u64().unwrap_or_default()
}

pub(super) fn list<'a>(v: &'a Value, field: &str) -> &'a [Value] {
    v[field].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A plan, line by line.
fn say_plan(plan: &Value, lang: Lang) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let generation = number(plan, "generation");
    if plan["unchanged"] == true {
        let same = admin_web::say!(
            "nothing changes against generation {generation}",
            "世代 {generation} からの変更はありません"
        );
        writeln!(out, "{}", in_words(same, lang))?;
    } else {
        let head = admin_web::say!("against generation {generation}:", "世代 {generation} からの変更:");
        writeln!(out, "{}", in_words(head, lang))?;
    }
    for (kind, ja) in [("groups", "グループ"), ("apps", "アプリ"), ("rules", "ルール")] {
        let marked = [("new", '+'), ("changed", '~'), ("deleted", '-')].map(|(field, mark)| {
            list(&plan[kind], field).iter().filter_map(Value::as_str).map(move |n| format!("{mark}{n}"))
        });
        let names: Vec<String> = marked.into_iter().flatten().collect();
        if !names.is_empty() {
            writeln!(out, "  {}: {}", lang.of(kind, ja), names.join(" "))?;
        }
    }
    for change in list(plan, "access") {
        writeln!(out, "  {}", change["words"].as_str().unwrap_or_default())?;
    }
    let shown = list(plan, "access").len() as u64;
    let more = number(plan, "access_total").saturating_sub(shown);
    if more > 0 {
        writeln!(out, "  {}", in_words(admin_web::say!("and {more} more", "ほか {more} 件"), lang))?;
    }
    let (losing, live) = (number(plan, "losing_sims"), number(plan, "losing_sessions"));
    if losing > 0 {
        let line = admin_web::say!(
            "{losing} SIMs lose something; {live} of them have a session now, whose flows end with it",
            "{losing} 枚の SIM が何かに到達できなくなります。うち {live} 枚は接続中で、該当するフローは切れます"
        );
        writeln!(out, "{}", in_words(line, lang))?;
    }
    for f in list(plan, "findings") {
        writeln!(out, "  ! {}", f["words"].as_str().unwrap_or_default())?;
    }
    say_tests(&mut out, &plan["tests"], lang)
}

pub(super) fn say_tests(out: &mut impl std::io::Write, tests: &Value, lang: Lang) -> Result<()> {
    for f in list(tests, "failures") {
        writeln!(out, "  {}", f.as_str().unwrap_or_default())?;
    }
    let (passed, failed) = (number(tests, "passed") as usize, number(tests, "failed") as usize);
    tests_line(out, passed, failed, 0, lang)
}
