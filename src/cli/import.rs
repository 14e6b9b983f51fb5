//! `sekisho sim import …`: a file up, a job down.

use super::print::{Columns, Printer};
use crate::{client::Client, lang::Lang};
use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

/// How often a running job is looked at.
const LOOK: Duration = Duration::from_millis(300);
/// Errors that are printed; the API has them all.
const SHOWN: u64 = 1_000;

/// `sim import FILE`, `sim import undo JOB`
#[derive(Debug, Args)]
pub struct Import {
    /// A CSV file with a header, or JSON (.json, .jsonl, .ndjson); or the word undo.
    file: PathBuf,
    /// Behind undo: number of the import's job.
    job: Option<u64>,
    /// Write nothing; say what would be.
    #[arg(long, conflicts_with = "valid_rows")]
    dry_run: bool,
    /// Take the lines that are right. Without it one wrong line and nothing is written.
    #[arg(long)]
    valid_rows: bool,
    /// A key that differs from the one that a SIM has replaces it.
    #[arg(long)]
    replace_keys: bool,
    /// Why.
    #[arg(long)]
    reason: Option<String>,
    /// Number of the ticket that asked for it.
    #[arg(long)]
    ticket: Option<String>,
}

pub(super) fn act(i: &Import, api: &Client, out: &Printer, lang: Lang) -> Result<()> {
    let word = i.file == Path::new("undo");
    match (word, i.job) {
        (true, Some(job)) => {
            let begun = api.post(&format!("jobs/{job}/undo"), &json!({}))?.body;
            end(api, begun, out, lang)
        }
        (false, None) => {
            let begun = upload(i, api, lang)?;
            end(api, begun, out, lang)
        }
        _ => bail!(
            "{}",
            lang.of(
                "write `sim import FILE` or `sim import undo JOB`",
                "`sim import ファイル` または `sim import undo ジョブ番号` と入力してください"
            )
        ),
    }
}

fn upload(i: &Import, api: &Client, lang: Lang) -> Result<Value> {
    let file = File::open(&i.file).with_context(|| i.file.display().to_string())?;
    let length = file.metadata().map(|m| m.len()).unwrap_or(0);
    let kind = match i.file.extension().and_then(|e| e.to_str()) {
        Some("json" | "jsonl" | "ndjson") => "application/json",
        _ => "text/csv",
    };
    let mode = match (i.dry_run, i.valid_rows) {
        (true, _) => "dry-run",
        (_, true) => "valid-rows",
        _ => "all-or-nothing",
    };
    let mut path = format!("imports?mode={mode}&replace_keys={}", i.replace_keys);
    for (name, text) in [("reason", &i.reason), ("ticket", &i.ticket)] {
        if let Some(t) = text {
            path.push_str(&format!("&{name}={}", encoded(t)));
        }
    }
    let bar = ProgressBar::new(length);
    let style = "{msg} [{bar:30}] {bytes}/{total_bytes} {eta}";
    bar.set_style(ProgressStyle::with_template(style)?);
    bar.set_message(lang.of("reading ", "読み込み").to_owned());
    let done = api.upload(&path, kind, &mut bar.wrap_read(file));
    bar.finish_and_clear();
    Ok(done?.body)
}

/// A text in a query (RFC 3986 §2.1).
fn encoded(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// Follows a job to its end and says what came of it.
fn end(api: &Client, mut job: Value, out: &Printer, lang: Lang) -> Result<()> {
    let id = job["id"].as_u64().context("a job")?;
    let bar = ProgressBar::new(job["total"].as_u64().unwrap_or(0));
    bar.set_style(ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len}")?);
    bar.set_message(lang.of("applying", "反映    ").to_owned());
    while job["state"] == "running" {
        bar.set_position(job["done"].as_u64().unwrap_or(0));
        std::thread::sleep(LOOK);
        job = api.get(&format!("jobs/{id}"))?.body;
    }
    bar.finish_and_clear();
    let result = &job["result"];
    let errors = result["errors"].as_u64().unwrap_or(0);
    if errors > 0 {
        let page = api.get(&format!("jobs/{id}/errors?limit={SHOWN}"))?.body;
        let items = page["items"].as_array().cloned().unwrap_or_default();
        out.list(&items, Columns(&["line", "column", "what", "fix"]))?;
        if errors > SHOWN {
            eprintln!(
                "{}",
                lang.of(
                    "… and more: GET /api/v1/jobs/{}/errors has all {n}",
                    "… 全 {n} 件は GET /api/v1/jobs/{}/errors にあります"
                )
                .replace("{}", &id.to_string())
                .replace("{n}", &errors.to_string())
            );
        }
    }
    if job["state"] == "undone" && result["undo"]["kept"].as_u64().unwrap_or(0) > 0 {
        let kept = api.list(&format!("jobs/{id}/kept"))?;
        out.list(&kept, Columns(&["imsi", "fields", "why"]))?;
    }
    let mut summary = json!({ "job": id, "state": job["state"] });
    for k in ["mode", "rows", "new", "changed", "same", "wrong", "errors", "undo", "error", "clash"] {
        if !result[k].is_null() {
            summary[k] = result[k].clone();
        }
    }
    out.thing(&summary)?;
    if job["state"] == "failed" {
        bail!("{}", lang.of("nothing was written", "何も書き込まれていません"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_passes_a_query_unharmed() {
        assert_eq!(encoded("搬入 1&2"), "%E6%90%AC%E5%85%A5%201%262");
    }
}
