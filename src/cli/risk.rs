//! `sekisho risk …`

use super::{
    policy::{in_words, list, number, say_tests},
    print::Printer,
};
use crate::{client::Client, lang::Lang};
use admin_web::say;
use anyhow::{Context, Result};
use clap::Subcommand;
use serde_json::Value;
use std::{
    io::Write,
    path::{Path, PathBuf},
};
use types::Imsi;

/// `risk`
#[derive(Debug, Subcommand)]
pub enum Risk {
    /// How risk is weighed: weights, levels, night, and what each level comes to.
    Show,
    /// What a file would change: the rules that hang on it, whom it moves at this moment, and how the policy's tests come
    /// out with it.
    Plan {
        /// The file.
        file: PathBuf,
        /// What the risk of this SIM comes to, in place of that.
        #[arg(long)]
        sim: Option<Imsi>,
    },
    /// Say how risk is weighed, from a TOML or JSON file; what is left out is as shipped, so an empty file is that.
    Set {
        /// The file.
        file: PathBuf,
        /// Only if this version is stored.
        #[arg(long)]
        if_version: Option<u64>,
    },
}

/// Does what `risk` says.
pub fn act(v: &Risk, api: &Client, out: &Printer, as_table: bool, lang: Lang) -> Result<()> {
    match v {
        Risk::Show => out.thing(&api.get("risk-profile")?.body),
        Risk::Plan { file, sim } => {
            let path = sim.map_or_else(|| "risk-profile/plan".to_owned(), |imsi| format!("sims/{imsi}/risk"));
            let said = api.post(&path, &profile(file)?)?.body;
            if as_table && sim.is_none() { say_plan(&said, lang) } else { out.thing(&said) }
        }
        Risk::Set { file, if_version } => {
            out.thing(&api.put("risk-profile", &profile(file)?, &expected(*if_version))?.body)
        }
    }
}

/// A plan, line by line.
fn say_plan(plan: &Value, lang: Lang) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let generation = number(plan, "generation");
    let head = match plan["unchanged"] == true {
        true => say!(
            "nothing changes against generation {generation}",
            "世代 {generation} からの変更はありません"
        ),
        false => say!("against generation {generation}:", "世代 {generation} からの変更:"),
    };
    writeln!(out, "{}", in_words(head, lang))?;
    let rules: Vec<&str> = list(plan, "rules").iter().filter_map(Value::as_str).collect();
    if !rules.is_empty() {
        let (n, names) = (rules.len(), rules.join(" "));
        let line = say!("rules that go by risk, {n}: {names}", "リスクによるルール {n} 件: {names}");
        writeln!(out, "  {}", in_words(line, lang))?;
    }
    say_moves(&mut out, &plan["moves"], lang)?;
    say_tests(&mut out, &plan["tests"], lang)
}

fn say_moves(out: &mut impl Write, moves: &Value, lang: Lang) -> Result<()> {
    let (sims, moved) = (number(moves, "sims"), number(moves, "moved"));
    let line = match moves.is_null() {
        true => say!(
            "whom it moves is not known at this moment: what is known of SIMs is not at hand",
            "影響する SIM は現在算出できません (SIM の状態を読み込めません)"
        ),
        false => say!(
            "of {sims} SIMs {moved} come to another level of risk at this moment",
            "現時点で SIM {sims} 枚のうち {moved} 枚のリスクレベルが変わります"
        ),
    };
    writeln!(out, "  {}", in_words(line, lang))?;
    for what in list(moves, "levels").iter().chain(list(moves, "apps")) {
        writeln!(out, "    {}", what["words"].as_str().unwrap_or_default())?;
    }
    let left = number(moves, "apps_left");
    if left > 0 {
        writeln!(out, "    {}", in_words(say!("and {left} more", "ほか {left} 件"), lang))?;
    }
    Ok(())
}

/// A profile without what only an answer says: one that was shown can be sent back.
fn profile(file: &Path) -> Result<Value> {
    let mut profile = read(file)?;
    if let Some(fields) = profile.as_object_mut() {
        for only in ["shipped", "version"] {
            fields.remove(only);
        }
    }
    Ok(profile)
}

/// What `If-Match` says: this version, or any.
pub(super) fn expected(version: Option<u64>) -> String {
    version.map_or_else(|| "*".to_owned(), |v| format!("\"{v}\""))
}

/// A file in TOML or JSON.
pub(super) fn read(file: &Path) -> Result<Value> {
    let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    if text.trim_start().starts_with('{') {
        return serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()));
    }
    let table: toml::Table =
        toml::from_str(&text).with_context(|| format!("{} is not TOML", file.display()))?;
    serde_json::to_value(table).with_context(|| format!("{} says what JSON cannot", file.display()))
}
