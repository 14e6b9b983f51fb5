//! `sekisho policy explain`: one verdict in words, with what is known of each condition, by whom and since when.

use super::print::Printer;
use crate::{
    client::{Client, encoded},
    lang::Lang,
};
use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;
use std::fmt::Write as _;

/// What is asked.
#[derive(Debug, Args)]
pub struct Explain {
    /// Its IMSI.
    #[arg(value_name = "SIM", required_unless_present = "sim")]
    whose: Option<String>,
    /// App at the other end.
    #[arg(value_name = "APP", conflicts_with_all = ["to", "app"])]
    what: Option<String>,
    /// Its IMSI, by name.
    #[arg(long, value_name = "IMSI")]
    sim: Option<String>,
    /// Address of the other end, in place of an app.
    #[arg(long, conflicts_with = "app")]
    to: Option<String>,
    /// App at the other end, by name.
    #[arg(long)]
    app: Option<String>,
    /// tcp/443, udp/53, icmp; the first service of the app if not given. With --in a service of the UE.
    #[arg(long)]
    service: Option<String>,
    /// The other end opens towards the UE.
    #[arg(long = "in")]
    inward: bool,
    /// At another moment than now, such as 2027-03-31T14:03:00Z.
    #[arg(long)]
    at: Option<String>,
}

/// Does what `policy explain` says.
pub fn act(v: &Explain, api: &Client, out: &Printer, json_form: bool, lang: Lang) -> Result<()> {
    // One of an app that is named twice was refused before.
    let sim = if v.sim.is_some() { &v.sim } else { &v.whose }.as_deref().context("name a SIM")?;
    // With --sim the one word that stands alone is the app.
    let alone = if v.sim.is_some() { v.whose.as_deref() } else { None };
    let app = v.app.as_deref().or(v.what.as_deref()).or(alone);
    if app.is_none() && v.to.is_none() {
        bail!(
            lang.of("name an app, or give --to ADDRESS", "アプリ名か --to アドレス を指定してください")
                .to_owned()
        );
    }
    let service = match (&v.service, app) {
        (Some(s), _) => s.clone(),
        (None, Some(app)) if !v.inward => first_service(api, app)?,
        _ => bail!(
            lang.of("give --service, such as tcp/443", "--service tcp/443 のように指定してください")
                .to_owned()
        ),
    };
    let direction = if v.inward { "in" } else { "out" };
    let mut path =
        format!("decisions?imsi={}&direction={direction}&service={}", encoded(sim), encoded(&service));
    for (name, value) in [("address", v.to.as_deref()), ("app", app), ("at", v.at.as_deref())] {
        if let Some(value) = value {
            path.push_str(&format!("&{name}={}", encoded(value)));
        }
    }
    let story = api.get(&path)?.body;
    if json_form {
        return out.thing(&story);
    }
    let what = format!(
        "{sim} {} {} {service}",
        if v.inward { "←" } else { "→" },
        app.or(v.to.as_deref()).unwrap_or_default()
    );
    print!("{}", told(&story, &what, gateway::time::now().utc.0, lang)?);
    Ok(())
}

fn first_service(api: &Client, app: &str) -> Result<String> {
    let found = api.get(&format!("apps/{}", encoded(app)))?.body;
    let services = found["services"].as_array().map(Vec::as_slice).unwrap_or_default();
    let first = services.first().and_then(Value::as_str).context("the app has no service; give --service")?;
    // Of a range the first port.
    Ok(first.split('-').next().unwrap_or(first).to_owned())
}

fn word<'v>(v: &'v Value, field: &str) -> &'v str {
    v[field].as_str().unwrap_or_default()
}

fn list<'v>(v: &'v Value, field: &str) -> &'v [Value] {
    v[field].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The whole story, line by line.
fn told(story: &Value, what: &str, now_ms: i64, lang: Lang) -> Result<String> {
    let mut s = String::new();
    let by = match (story["rule"].as_str(), story["grant"].as_str()) {
        (Some(rule), _) => format!(" — {} {rule}", lang.of("rule", "ルール")),
        (None, Some(grant)) => format!(" — {} {grant}", lang.of("grant", "許可")),
        _ => String::new(),
    };
    let ruling = if word(story, "names_from") == "dns" { "inspect-dns" } else { word(story, "verdict") };
    writeln!(s, "{what}: {}{by}", verdict(ruling, lang))?;
    writeln!(s, "  {} ({})", reason(word(story, "reason"), lang), word(story, "reason"))?;
    let facts = [
        ("at", lang.of("at", "時点")),
        ("sim_state", lang.of("state of the SIM", "SIM の状態")),
        ("prefix", lang.of("prefix", "プレフィックス")),
        ("would", lang.of("a watched rule would have said the other thing", "監視中のルール (逆の判定)")),
    ];
    for (field, label) in facts {
        if let Some(value) = story[field].as_str() {
            writeln!(s, "  {label}: {value}")?;
        }
    }
    let groups: Vec<&str> = list(story, "groups").iter().filter_map(Value::as_str).collect();
    if !groups.is_empty() {
        writeln!(s, "  {}: {}", lang.of("groups", "グループ"), groups.join(" "))?;
    }
    if story["risk"].is_object() {
        writeln!(s, "  {}", risk(&story["risk"], lang))?;
    }
    lookups(&mut s, story, now_ms, lang)?;
    let read = list(story, "considered");
    if !read.is_empty() {
        writeln!(
            s,
            "{}",
            lang.of("Rules, in the order in which they were read:", "読んだルール (順番どおり):")
        )?;
    }
    for c in read {
        let (rule, says) = (word(c, "rule"), word(c, "verdict"));
        writeln!(s, "  {rule} ({says}): {}", outcome(word(c, "outcome"), lang))?;
        for condition in list(c, "conditions") {
            writeln!(s, "    {}", reading(condition, now_ms, lang))?;
        }
    }
    if story["nearest"].is_object() {
        let rule = word(&story["nearest"], "rule");
        writeln!(s, "{}: {rule}", lang.of("Nearest rule that would let it through", "通過に最も近いルール"))?;
        for f in list(&story["nearest"], "failed") {
            writeln!(s, "  {}", failed(f, now_ms, lang))?;
        }
    }
    Ok(s)
}

/// The app's names, where they come from look-ups, and what the SIM has of them.
fn lookups(s: &mut String, story: &Value, now_ms: i64, lang: Lang) -> Result<()> {
    if word(story, "names_from") != "dns" {
        return Ok(());
    }
    let names: Vec<&str> = list(story, "names").iter().filter_map(Value::as_str).collect();
    writeln!(s, "  {}: {}", lang.of("names", "サーバー名"), names.join(" "))?;
    if story["looked_up"].is_null() {
        return Ok(());
    }
    let all = list(story, "looked_up");
    if all.is_empty() {
        let none =
            lang.of("the SIM has looked up none of them lately", "この SIM は最近どの名前も引いていません");
        writeln!(s, "  {none}")?;
    }
    for l in all {
        let since =
            word(l, "since").parse::<jiff::Timestamp>().map_or(now_ms, jiff::Timestamp::as_millisecond);
        let (age, left) = (span(now_ms - since, lang), l["left_s"].as_i64().unwrap_or(0) * 1000);
        let (name, address, by) = (word(l, "name"), word(l, "address"), word(l, "resolver"));
        let left = span(left, lang);
        let line = match lang {
            Lang::En => format!("{name} is {address} (says {by}, {age} ago, for another {left})"),
            Lang::Ja => format!("{name} は {address} (情報源 {by}、{age}前、残り {left})"),
        };
        writeln!(s, "  {line}")?;
    }
    Ok(())
}

fn reading(r: &Value, now_ms: i64, lang: Lang) -> String {
    let mark = match word(r, "holds") {
        "yes" => lang.of("holds", "満たす"),
        "no" => lang.of("does not hold", "満たさない"),
        _ => lang.of("not known", "不明"),
    };
    let (field, wanted) = (word(r, "condition"), word(r, "wanted"));
    let Some(value) = r["value"].as_str() else {
        return format!("{field} = {wanted}: {mark}");
    };
    let mut line = format!("{field} = {wanted}: {mark}; {} {value}", lang.of("it is", "現在値"));
    let source = r["source"].as_str().map(|by| format!("{} {by}", lang.of("says", "情報源")));
    let ms =
        |field: &str| word(r, field).parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_millisecond);
    let age = ms("since").map(|at| match lang {
        Lang::En => format!("for {}", span(now_ms - at, lang)),
        Lang::Ja => format!("{}前から", span(now_ms - at, lang)),
    });
    let until = r["until"].as_str().map(|end| format!("{} {end}", lang.of("until", "期限")));
    let more: Vec<String> = [source, age, until].into_iter().flatten().collect();
    if !more.is_empty() {
        line.push_str(&format!(" ({})", more.join(", ")));
    }
    line
}

/// A length of time, in its largest unit.
fn span(ms: i64, lang: Lang) -> String {
    let s = (ms / 1000).max(0);
    let (n, en, ja) = match s {
        s if s < 120 => (s, "s", "秒"),
        s if s < 7200 => (s / 60, "min", "分"),
        s if s < 172_800 => (s / 3600, "h", "時間"),
        s => (s / 86_400, "days", "日"),
    };
    format!("{n} {}", lang.of(en, ja))
}

fn risk(r: &Value, lang: Lang) -> String {
    let factors: Vec<String> = list(r, "factors")
        .iter()
        .map(|f| {
            let unknown = if f["known"] == true { "" } else { lang.of(", not known", "、不明") };
            format!("{} {}{unknown}", factor(word(f, "factor"), lang), f["weight"])
        })
        .collect();
    let head = format!("{}: {} ({})", lang.of("risk", "リスク"), word(r, "level"), r["score"]);
    if factors.is_empty() { head } else { format!("{head} = {}", factors.join(" + ")) }
}

fn failed(f: &Value, now_ms: i64, lang: Lang) -> String {
    let of = word(f, "of");
    match word(f, "what") {
        "subject" => format!("{} {of}", lang.of("it speaks of", "対象は")),
        "time" => lang.of("it is in force at other times", "有効な時間帯ではない").to_owned(),
        "condition" => reading(&f["condition"], now_ms, lang),
        "proof" => lang.of("the person has to prove themselves first", "先に本人確認が必要").to_owned(),
        "risk" => risk(&f["risk"], lang),
        "monitored" => lang.of("it is only watched", "監視のみのルール").to_owned(),
        _ => format!("{} {of}", lang.of("read before it, and refuses:", "先に読まれて拒否するルール:")),
    }
}

/// The word for it, or the word itself.
fn of_table<'w>(table: &'w [(&str, &'w str, &'w str)], key: &'w str, lang: Lang) -> &'w str {
    table.iter().find(|(k, ..)| *k == key).map_or(key, |(_, en, ja)| lang.of(en, ja))
}

fn verdict(key: &str, lang: Lang) -> &str {
    const TABLE: &[(&str, &str, &str)] = &[
        ("allow", "allowed", "許可"),
        (
            "inspect",
            "allowed where TLS names one of the app's servers",
            "TLS のサーバー名がアプリの一覧にあれば許可",
        ),
        (
            "inspect-dns",
            "allowed at addresses that the SIM has looked up for the app's names",
            "アプリのサーバー名を SIM が DNS で引いたアドレスなら許可",
        ),
        ("deny", "dropped in silence", "拒否 (応答なし)"),
        ("reject", "refused, and the sender is told", "拒否 (応答あり)"),
    ];
    of_table(TABLE, key, lang)
}

fn factor(key: &str, lang: Lang) -> &str {
    const TABLE: &[(&str, &str, &str)] = &[
        ("not-compliant", "not compliant", "非準拠"),
        ("not-assured", "no proof", "本人確認なし"),
        ("unusual-place", "unusual place", "普段と異なる場所"),
        ("night", "night", "夜間"),
    ];
    of_table(TABLE, key, lang)
}

fn outcome(key: &str, lang: Lang) -> &str {
    const TABLE: &[(&str, &str, &str)] = &[
        ("matched", "decides", "このルールで決定"),
        ("other-subject", "for other SIMs", "別の SIM が対象"),
        ("other-direction", "for the other direction", "方向が異なる"),
        ("other-app", "for another app", "別のアプリが対象"),
        ("other-service", "for another service", "別のサービスが対象"),
        ("other-time", "not in force at that time", "その時刻には有効でない"),
        (
            "other-facts",
            "what it asks of the SIM is not so, or not known",
            "SIM の状態が条件に合わない、または不明",
        ),
        ("watched", "only watched: would decide", "監視のみ (有効なら決定)"),
    ];
    of_table(TABLE, key, lang)
}

/// Those reasons that a verdict can have before anything is sent.
fn reason(key: &str, lang: Lang) -> &str {
    const TABLE: &[(&str, &str, &str)] = &[
        ("rule", "a rule allows it", "ルールで許可されています"),
        ("no-rule", "no rule allows it", "許可するルールがありません"),
        ("rule-deny", "a rule denies it", "ルールで拒否されています"),
        ("rule-reject", "a rule rejects it", "ルールで拒否応答しています"),
        ("rule-quarantine", "a rule keeps the SIM apart from this", "ルールにより SIM が隔離されています"),
        ("banned", "the SIM is cut off", "SIM が停止されています"),
        ("unknown-app", "no app is at this address and port", "このアドレスとポートのアプリはありません"),
        ("ue-to-ue", "from UE to UE, where both sides must allow it", "端末間の通信です (双方の許可が必要)"),
        ("own-address", "it is an address of the gateway itself", "ゲートウェイ自身のアドレスです"),
        ("quarantined", "the SIM is in quarantine", "SIM が隔離されています"),
        ("group-in-panic", "a group of the SIM is in panic", "SIM のグループが非常停止中です"),
        (
            "service",
            "it is our own page inside the closed network, which no rule closes",
            "Sekisho の案内ページ宛てです (ルールの対象外)",
        ),
        (
            "not-looked-up",
            "the app's names come from DNS look-ups, and the SIM has not looked one up at this address lately",
            "この SIM は、このアドレスのサーバー名を最近 DNS で引いていません",
        ),
        (
            "names-need-tls",
            "the app has names, which are read from TLS over TCP only",
            "サーバー名で制限されたアプリには TCP 上の TLS だけが使えます",
        ),
        ("step-up-needed", "the person has to prove themselves for this first", "先に本人確認が必要です"),
        (
            "risk-too-high",
            "the SIM's risk is too high for this app",
            "このアプリに対して SIM のリスクが高すぎます",
        ),
        (
            "fact-unknown",
            "a fact that the rule asks about is not known",
            "ルールの条件となる情報がまだありません",
        ),
        ("granted", "a grant for a time allowed it", "期限付きの許可で通過します"),
        (
            "disagreement",
            "rules and compiled rows disagree; it is denied",
            "ルールと判定表が一致しないため拒否されます",
        ),
    ];
    of_table(TABLE, key, lang)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const HOUR: i64 = 3_600_000;

    fn story() -> Value {
        let posture = json!({ "condition": "posture", "wanted": "compliant", "value": "not_compliant", "holds": "no",
                              "source": "mdm", "since": "1970-01-01T00:00:00Z", "until": null });
        let place = json!({ "condition": "sites", "wanted": "osaka", "value": null, "holds": "unknown",
                            "source": null, "since": null, "until": null });
        json!({
            "verdict": "deny", "reason": "no-rule", "rule": null, "grant": null, "app": "wiki", "at": null,
            "sim_state": "active", "prefix": "10.1.0.0/16", "would": null, "groups": ["staff"],
            "risk": { "level": "high", "score": 55,
                      "factors": [{ "factor": "not-compliant", "weight": 30, "known": true },
                                  { "factor": "not-assured", "weight": 25, "known": false }] },
            "considered": [{ "rule": "a", "verdict": "allow", "outcome": "other-facts", "conditions": [posture, place] }],
            "nearest": { "rule": "a", "failed": [{ "what": "condition", "of": null, "condition": posture, "risk": null },
                                                 { "what": "behind", "of": "b", "condition": null, "risk": null }] },
        })
    }

    #[test]
    fn a_refusal_is_told_with_source_age_and_the_nearest_rule() {
        let en = told(&story(), "001 → wiki tcp/443", 3 * HOUR, Lang::En).expect("told");
        let expected = "\
001 → wiki tcp/443: dropped in silence
  no rule allows it (no-rule)
  state of the SIM: active
  prefix: 10.1.0.0/16
  groups: staff
  risk: high (55) = not compliant 30 + no proof 25, not known
Rules, in the order in which they were read:
  a (allow): what it asks of the SIM is not so, or not known
    posture = compliant: does not hold; it is not_compliant (says mdm, for 3 h)
    sites = osaka: not known
Nearest rule that would let it through: a
  posture = compliant: does not hold; it is not_compliant (says mdm, for 3 h)
  read before it, and refuses: b
";
        assert_eq!(en, expected);
        let ja = told(&story(), "001 → wiki tcp/443", 3 * HOUR, Lang::Ja).expect("told");
        for words in [
            "許可するルールがありません",
            "情報源 mdm, 3 時間前から",
            "リスク: high (55) = 非準拠 30",
            "先に読まれて拒否するルール: b",
        ] {
            assert!(ja.contains(words), "{words}: {ja}");
        }
    }
}
