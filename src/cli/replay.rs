//! `sekisho policy replay`: recorded flows against a draft, a stretch of the log at a time.

use super::print::{Columns, Printer};
use crate::{client::Client, lang::Lang};
use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::{collections::BTreeMap, path::PathBuf};

/// Which flows, against which draft.
#[derive(Debug, Args)]
pub struct Replay {
    /// Recorded flows (what `flows -o json` prints, or one of them a line), a draft (a policy file), or both. Without
    /// flows those of the log, without a draft the stored policy.
    #[arg(value_name = "FILE", num_args = 0..=2)]
    pub files: Vec<PathBuf>,
    /// The draft by name.
    #[arg(long = "draft", value_name = "FILE")]
    pub draft: Option<PathBuf>,
    /// Flows of the last so many hours or days, such as 24h or 7d; all if nothing is said.
    #[arg(long, conflicts_with = "from")]
    pub last: Option<String>,
    /// Flows that ended at or after this time, such as 2027-03-31T14:00:00Z.
    #[arg(long)]
    pub from: Option<String>,
    /// Flows that began before this time.
    #[arg(long)]
    pub to: Option<String>,
    /// Most lines of each list.
    #[arg(long, default_value_t = 20)]
    pub lines: usize,
}

/// Flows and kinds of flows by something.
type Sums = BTreeMap<(bool, String), u64>;

/// What was found so far.
#[derive(Default)]
struct Total {
    counts: BTreeMap<&'static str, u64>,
    kinds: BTreeMap<String, Value>,
}

const COUNTS: [&str; 6] = ["records", "newly_denied", "newly_allowed", "unsure", "not_by_rules", "untold"];
/// What makes two kinds one.
const SAME: [&str; 6] = ["allowed", "imsi", "app", "direction", "protocol", "port"];

impl Total {
    fn add(&mut self, answer: &Value) {
        for name in COUNTS {
            *self.counts.entry(name).or_default() += answer[name].as_u64().unwrap_or_default();
        }
        for kind in answer["kinds"].as_array().into_iter().flatten() {
            let key = SAME.map(|f| kind[f].to_string()).join(" ");
            let flows = |v: &Value| v["flows"].as_u64().unwrap_or_default();
            match self.kinds.get_mut(&key) {
                Some(was) => was["flows"] = json!(flows(was) + flows(kind)),
                None => drop(self.kinds.insert(key, kind.clone())),
            }
        }
    }

    fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or_default()
    }

    /// Flows by a field of their kinds, the most first.
    fn by(&self, field: &str) -> Vec<((bool, String), u64)> {
        let mut sums = Sums::new();
        for k in self.kinds.values() {
            let of = k[field].as_str().unwrap_or("-").to_owned();
            *sums.entry((k["allowed"] == true, of)).or_default() += k["flows"].as_u64().unwrap_or_default();
        }
        let mut all: Vec<_> = sums.into_iter().collect();
        all.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        all
    }

    fn json(&self) -> Value {
        let mut v = json!({ "kinds": self.kinds.values().collect::<Vec<_>>() });
        for name in COUNTS {
            v[name] = json!(self.count(name));
        }
        v
    }
}

/// Flows that are sent at once.
const AT_ONCE: usize = 5_000;

/// What the files are.
#[derive(Default)]
struct Given {
    draft: Option<PathBuf>,
    flows: Option<Vec<Value>>,
}

impl Given {
    fn read(v: &Replay, lang: Lang) -> Result<Self> {
        let mut given = Self { draft: v.draft.clone(), flows: None };
        for file in &v.files {
            let text =
                std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
            let name = file.display().to_string();
            // A policy file begins with neither.
            if text.trim_start().starts_with(['{', '[']) && !text.trim_start().starts_with("[[") {
                let found = recorded(&text).map_err(|wrong| anyhow::anyhow!(wrong.words(&name, lang)))?;
                if given.flows.replace(found).is_some() {
                    bail!(lang.of("two files of flows", "フローのファイルが 2 つあります").to_owned());
                }
            } else if given.draft.replace(file.clone()).is_some() {
                bail!(lang.of("two drafts", "ドラフトが 2 つあります").to_owned());
            }
        }
        if given.flows.is_some() && (v.last.is_some() || v.from.is_some() || v.to.is_some()) {
            let said = lang.of(
                "--last, --from and --to are for the log, not for a file",
                "--last・--from・--to はログに対する指定で、ファイルには使えません",
            );
            bail!(said.to_owned());
        }
        Ok(given)
    }
}

/// Where a file of flows is none.
#[derive(Debug, PartialEq, Eq)]
struct Wrong {
    line: usize,
    column: usize,
    what: String,
    /// True where it is JSON, and not a flow.
    is_json: bool,
}

impl Wrong {
    /// `begun` lines stand before what was read.
    fn of(e: &serde_json::Error, begun: usize) -> Self {
        let all = e.to_string();
        let what = all.rsplit_once(" at line ").map_or(all.as_str(), |(what, _)| what).to_owned();
        Self { line: begun + e.line().max(1), column: e.column(), what, is_json: e.is_data() }
    }

    fn words(&self, file: &str, lang: Lang) -> String {
        let fix = if self.is_json {
            lang.of(
                "give a flow as `sekisho flows -o json` writes it",
                "`sekisho flows -o json` の出力と同じ形で指定してください",
            )
        } else {
            lang.of(
                "write one JSON object a line, or one list",
                "1 行に 1 つの JSON、または 1 つの配列で書いてください",
            )
        };
        format!("{file}:{}:{}: {} ({fix})", self.line, self.column, self.what)
    }
}

/// The flows of a file, each checked here: a list, or one a line.
fn recorded(text: &str) -> Result<Vec<Value>, Wrong> {
    use admin_web::RecordedFlow;
    if text.trim_start().starts_with('[') {
        serde_json::from_str::<Vec<RecordedFlow>>(text).map_err(|e| Wrong::of(&e, 0))?;
        return serde_json::from_str(text).map_err(|e| Wrong::of(&e, 0));
    }
    let mut all = Vec::new();
    for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        serde_json::from_str::<RecordedFlow>(line).map_err(|e| Wrong::of(&e, n))?;
        all.push(serde_json::from_str(line).map_err(|e| Wrong::of(&e, n))?);
    }
    Ok(all)
}

/// Does what `policy replay` says.
pub fn act(v: &Replay, api: &Client, out: &Printer, json_form: bool, lang: Lang) -> Result<()> {
    let given = Given::read(v, lang)?;
    let text = given.draft.map(|f| super::policy::sound(&f, lang)).transpose()?.map(|(text, _)| text);
    if let Some(flows) = given.flows {
        let mut total = Total::default();
        for some in flows.chunks(AT_ONCE) {
            total.add(&api.post("policies/replay", &json!({ "text": text, "flows": some }))?.body);
        }
        return if json_form { out.thing(&total.json()) } else { say(&total, v.lines, out, lang) };
    }
    let from = match &v.last {
        Some(last) => Some(ago(last)?),
        None => v.from.clone(),
    };
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template("{bar:40} {percent}% {msg}").context("the bar")?);
    let (mut total, mut cursor) = (Total::default(), Value::Null);
    loop {
        let body = json!({ "text": text, "from": from, "to": v.to, "cursor": cursor });
        let answer = api.post("policies/replay", &body)?.body;
        total.add(&answer);
        bar.set_length(answer["total"].as_u64().unwrap_or_default());
        bar.set_position(answer["done"].as_u64().unwrap_or_default());
        bar.set_message(total.count("records").to_string());
        cursor = answer["next"].clone();
        if cursor.is_null() {
            break;
        }
    }
    bar.finish_and_clear();
    if json_form {
        return out.thing(&total.json());
    }
    say(&total, v.lines, out, lang)
}

fn say(total: &Total, lines: usize, out: &Printer, lang: Lang) -> Result<()> {
    let n = |name| total.count(name);
    println!("{}: {}", lang.of("flows", "フロー"), n("records"));
    println!("{}: {}", lang.of("newly denied", "新たに拒否"), n("newly_denied"));
    println!("{}: {}", lang.of("newly allowed", "新たに許可"), n("newly_allowed"));
    let also = [
        (
            "unsure",
            "hangs on what was not recorded (a TLS name, what was known of the SIM)",
            "記録にないもの (TLS 名、SIM の状況) による",
        ),
        ("not_by_rules", "denied by a ban, a quarantine or a panic", "停止・隔離・緊急遮断による拒否"),
        ("untold", "in the counts and not in the lists", "件数のみ (一覧なし)"),
    ];
    for (name, en, ja) in also.into_iter().filter(|(name, ..)| n(name) > 0) {
        println!("{}: {}", lang.of(en, ja), n(name));
    }
    for (field, en, ja) in
        [("app", "by app", "アプリ別"), ("person", "by person", "利用者別"), ("imsi", "by SIM", "SIM 別")]
    {
        let sums = total.by(field);
        if sums.is_empty() {
            continue;
        }
        println!("\n{}", lang.of(en, ja));
        for ((allowed, of), flows) in sums.into_iter().take(lines) {
            println!("  {} {flows:>10}  {of}", if allowed { '+' } else { '-' });
        }
    }
    if total.kinds.is_empty() {
        return Ok(());
    }
    println!("\n{}", lang.of("first of each kind", "種類ごとの最初の例"));
    let mut kinds: Vec<Value> = total.kinds.values().cloned().collect();
    kinds.sort_by_key(|k| std::cmp::Reverse(k["flows"].as_u64()));
    kinds.truncate(lines);
    let columns =
        Columns(&["allowed", "flows", "imsi", "person", "app", "peer", "port", "first", "was_rule", "rule"]);
    out.list(&kinds, columns)
}

/// The moment so long ago.
fn ago(last: &str) -> Result<String> {
    let (number, hours) = match (last.strip_suffix('h'), last.strip_suffix('d')) {
        (Some(n), _) => (n, 1),
        (_, Some(n)) => (n, 24),
        _ => bail!("--last takes hours or days, such as 24h or 7d"),
    };
    let n: i64 = number.parse().context("--last takes hours or days, such as 24h or 7d")?;
    let ms = n.checked_mul(hours * 3_600_000).filter(|ms| *ms > 0).context("--last is more than nothing")?;
    let at = gateway::time::now().utc.0.saturating_sub(ms);
    let at = jiff::Timestamp::from_millisecond(at).context("--last is too long ago")?;
    Ok(at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stretches_are_added_up_by_kind() {
        let kind = |imsi: &str, flows: u64, allowed: bool| {
            json!({ "allowed": allowed, "imsi": imsi, "app": "wiki", "direction": "out", "protocol": 6, "port": 443,
                    "flows": flows, "person": null, "first": flows.to_string() })
        };
        let mut total = Total::default();
        total.add(
            &json!({ "records": 5, "newly_denied": 3, "kinds": [kind("1", 2, false), kind("2", 1, false)] }),
        );
        total.add(&json!({ "records": 4, "newly_denied": 4, "newly_allowed": 1, "kinds": [kind("1", 4, false), kind("1", 1, true)] }));
        assert_eq!((total.count("records"), total.count("newly_denied"), total.kinds.len()), (9, 7, 3));
        let by_sim = total.by("imsi");
        assert_eq!(by_sim[0], ((false, "1".to_owned()), 6));
        let first = total.kinds.values().find(|k| k["flows"] == 6).expect("joined");
        assert_eq!(first["first"], "2", "the first of the first stretch");
    }

    #[test]
    fn flows_of_a_file_are_read_as_a_list_or_by_lines_and_what_is_wrong_has_its_place() {
        let flow = r#"{"start":"2027-03-31T14:03:00Z","imsi":"001010000000001","direction":"out","peer":"10.1.2.3","protocol":6,"verdict":"allow","reason":"rule","bytes_up":1}"#;
        assert_eq!(recorded(&format!("{flow}\n\n{flow}\n")).expect("lines").len(), 2);
        assert_eq!(recorded(&format!("[\n{flow},\n{flow}]")).expect("a list").len(), 2);
        let at =
            |text: String| recorded(&text).map_err(|w| (w.line, w.column > 0, w.is_json)).map(|v| v.len());
        assert_eq!(at(format!("{flow}\n{}", flow.replace("\"allow\"", "\"open\""))), Err((2, true, true)));
        assert_eq!(at(format!("{flow}\n{flow}\n{{\"start\"")), Err((3, true, false)));
        assert_eq!(at(flow.replace("2027-", "27-")), Err((1, true, true)));
        assert_eq!(at(flow.replace("\"imsi\":\"001010000000001\",", "")), Err((1, true, true)));
        assert_eq!(at(format!("[{flow},\n{}]", flow.replace("10.1.2.3", "10.1.2"))), Err((2, true, true)));
        let wrong = recorded("{}").expect_err("no flow");
        assert!(
            wrong.words("f", Lang::En).starts_with("f:1:2: missing field `start` (give a flow as"),
            "{wrong:?}"
        );
    }

    #[test]
    fn hours_and_days_are_read_and_nothing_else() {
        for good in ["24h", "7d"] {
            assert!(ago(good).is_ok(), "{good}");
        }
        for bad in ["", "h", "24", "-1h", "0d", "1w", "99999999999999999d"] {
            assert!(ago(bad).is_err(), "{bad}");
        }
    }
}
