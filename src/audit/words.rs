//! What was found in the audit, in words: what is wrong, and what it means.

use super::verify::Findings;
use crate::lang::Lang;
use serde_json::{Value, json};
use store::{AuditFault, AuditVerdict};
use types::Utc;

fn time(t: Utc) -> String {
    jiff::Timestamp::from_millisecond(t.0).map_or_else(|_| t.0.to_string(), |t| t.to_string())
}

/// The word of a fault, for scripts.
fn word(f: &AuditFault) -> &'static str {
    match f {
        AuditFault::Changed => "changed",
        AuditFault::Missing => "missing",
        AuditFault::Moved { .. } => "moved",
        AuditFault::Foreign => "foreign",
        AuditFault::Cut { .. } => "cut",
        AuditFault::ClockUnmarked { .. } => "clock-unmarked",
        AuditFault::NotAsSigned { .. } => "not-as-signed",
        AuditFault::UnknownForm => "unknown-form",
        AuditFault::Unreadable { .. } => "unreadable",
    }
}

/// What is wrong with row `seq`, and what it means.
pub fn fault(seq: u64, f: &AuditFault, lang: Lang) -> (String, String) {
    let (en, ja) = match f {
        AuditFault::Changed => (
            (
                format!("row {seq} is not as it was written"),
                "one of its fields was changed, or the row before it was replaced. Everything before it holds."
                    .to_owned(),
            ),
            (
                format!("{seq} 行目が書き込み時と異なります"),
                "いずれかの項目が変更されたか、直前の行が差し替えられています。それより前の行は正しいままです。"
                    .to_owned(),
            ),
        ),
        AuditFault::Missing => (
            (
                format!("row {seq} is not there, though later rows are"),
                "it was deleted. Everything before it holds.".to_owned(),
            ),
            (
                format!("{seq} 行目がなく、それより後の行はあります"),
                "削除されています。それより前の行は正しいままです。".to_owned(),
            ),
        ),
        AuditFault::Moved { to } => (
            (
                format!("the row that belongs at {seq} stands at {to}"),
                "rows were put into another order.".to_owned(),
            ),
            (format!("{seq} 行目にあるべき行が {to} 行目にあります"), "行の順序が入れ替えられています。".to_owned()),
        ),
        AuditFault::Foreign => (
            (
                format!("row {seq} was not written by this system"),
                "somebody put a row in between or behind.".to_owned(),
            ),
            (
                format!("{seq} 行目はこのシステムが書いた行ではありません"),
                "外部から行が挿入されています。".to_owned(),
            ),
        ),
        AuditFault::Cut { written } => (
            (
                format!("the rows end before {seq}, though row {written} was written"),
                "the end was cut off, or an older copy of the database was put back.".to_owned(),
            ),
            (
                format!("{written} 行目まで書かれたはずですが、{seq} 行目以降がありません"),
                "末尾が切り取られたか、古いデータベースが戻されています。".to_owned(),
            ),
        ),
        AuditFault::ClockUnmarked { back_ms } => (
            (
                format!("row {seq} is {} s older than the row before and does not say so", back_ms / 1000),
                "rows written while the clock stands back say so; this one was written by something else."
                    .to_owned(),
            ),
            (
                format!("{seq} 行目は直前の行より {} 秒前の時刻ですが、その記載がありません", back_ms / 1000),
                "時計が戻った場合は行に記載されます。この行は別の手段で書かれています。".to_owned(),
            ),
        ),
        AuditFault::NotAsSigned { signed } => (
            (
                format!("row {seq} fits the chain, but another one was signed at {}", time(*signed)),
                "the rows up to it were written anew by somebody who can write the whole database.".to_owned(),
            ),
            (
                format!("{seq} 行目は連鎖としては正しいものの、{} に署名された内容と異なります", time(*signed)),
                "データベース全体に書き込める者が、ここまでの行を作り直しています。".to_owned(),
            ),
        ),
        AuditFault::UnknownForm => (
            (
                format!("row {seq} is of a form that this version does not know"),
                "it was changed, or written by a newer version.".to_owned(),
            ),
            (
                format!("{seq} 行目はこのバージョンが知らない形式です"),
                "変更されたか、新しいバージョンが書いた行です。".to_owned(),
            ),
        ),
        AuditFault::Unreadable { why } => (
            (
                format!("row {seq} or one behind it cannot be read: {why}"),
                "the database file itself is damaged. Everything before it holds.".to_owned(),
            ),
            (
                format!("{seq} 行目またはその後の行を読めません: {why}"),
                "データベースのファイル自体が破損しています。それより前の行は正しいままです。".to_owned(),
            ),
        ),
    };
    match lang {
        Lang::En => en,
        Lang::Ja => ja,
    }
}

/// Everything that was found, line by line, for people.
pub fn lines(f: &Findings, lang: Lang) -> Vec<String> {
    let mut out = Vec::new();
    let ja = lang == Lang::Ja;
    let mut say = |en: String, j: String| out.push(if ja { j } else { en });
    match &f.report.verdict {
        AuditVerdict::Whole { rows } => {
            say(
                format!("{rows} rows read: the chain holds."),
                format!("{rows} 行を確認しました。連鎖は正しい状態です。"),
            );
        }
        AuditVerdict::Broken { seq, fault: why } => {
            let (what, meaning) = fault(*seq, why, lang);
            say(format!("BROKEN at row {seq}: {what}."), format!("{seq} 行目で不正を検出: {what}。"));
            say(format!("It means: {meaning}"), format!("意味: {meaning}"));
        }
    }
    if f.behind > 0 {
        let n = f.behind;
        say(
            format!("The export begins behind row {n}; what is before was not read."),
            format!("このエクスポートは {n} 行目の後から始まり、それ以前は確認していません。"),
        );
    }
    if !f.complete {
        say(
            "INCOMPLETE: the export breaks off; download it again.".to_owned(),
            "不完全: エクスポートが途中で切れています。再取得してください。".to_owned(),
        );
    }
    let (n, newest) = (f.known.right.len(), f.known.newest());
    if n == 0 {
        say(
            "No checkpoint was found: a chain that was written anew as a whole cannot be told from the first one."
                .to_owned(),
            "署名付きチェックポイントがないため、全体が作り直されていても検出できません。".to_owned(),
        );
    } else {
        say(
            format!(
                "{n} signed checkpoints agree up to row {newest}; behind it the chain and the counter alone hold."
            ),
            format!(
                "{n} 件の署名付きチェックポイントと照合しました ({newest} 行目まで)。それ以降は連鎖と件数のみで保護されています。"
            ),
        );
    }
    for seq in &f.known.wrong {
        say(
            format!("BAD SIGNATURE: the checkpoint of row {seq} was changed after it was signed."),
            format!("署名不正: {seq} 行目のチェックポイントが署名後に変更されています。"),
        );
    }
    if f.known.strange > 0 {
        let n = f.known.strange;
        say(
            format!(
                "UNKNOWN KEY: {n} checkpoints are signed by a key that is not trusted; name it by --public-key if it is yours."
            ),
            format!(
                "不明な鍵: 信頼していない鍵による署名が {n} 件あります。自組織の鍵なら --public-key で指定してください。"
            ),
        );
    }
    if f.known.unreadable > 0 {
        let n = f.known.unreadable;
        say(
            format!(
                "{n} lines of the checkpoint file cannot be read: a crash tore them, or somebody changed them."
            ),
            format!(
                "チェックポイントファイルの {n} 行を読めません。異常終了で途切れたか、変更されています。"
            ),
        );
    }
    for m in &f.report.clock_back {
        let (seq, s) = (m.seq, m.back_ms / 1000);
        say(
            format!("Row {seq} says that the clock stood {s} s back when it was written."),
            format!("{seq} 行目に、書き込み時に時計が {s} 秒戻っていた旨の記載があります。"),
        );
    }
    if f.report.owed > 0 {
        let n = f.report.owed;
        say(
            format!("{n} rows of bans are not written yet: the audit could not be written with them."),
            format!("停止操作の監査行 {n} 件が未書き込みです (操作時に監査へ書けなかったため)。"),
        );
    }
    out
}

/// The same as one object, for scripts.
pub fn object(f: &Findings) -> Value {
    let (rows, broken) = match &f.report.verdict {
        AuditVerdict::Whole { rows } => (Some(rows), Value::Null),
        AuditVerdict::Broken { seq, fault: why } => {
            (None, json!({ "row": seq, "fault": word(why), "text": why.to_string() }))
        }
    };
    let marks: Vec<Value> =
        f.report.clock_back.iter().map(|m| json!({ "row": m.seq, "back_ms": m.back_ms })).collect();
    json!({
        "whole": f.whole(), "rows": rows, "broken": broken, "behind": f.behind, "complete": f.complete,
        "checkpoints": f.known.right.len(), "signed_up_to": f.known.newest(),
        "bad_signatures": f.known.wrong, "unknown_keys": f.known.strange,
        "unreadable_lines": f.known.unreadable, "clock_back": marks, "owed": f.report.owed,
    })
}
