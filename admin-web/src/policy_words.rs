//! A policy file's faults, what a plan comes to, and what an analysis found, in the words of people.

use crate::{
    api::in_japanese,
    problem::{FieldError, Said, say},
};
use pgw_policy::{
    Access,
    analyse::{self, Kind, Of, Unused},
    plan::AccessChange,
    text::{CaseResult, Finding, Problem},
};
use std::collections::BTreeSet;
use types::{Direction, Expect, Name};

/// What is wrong, and what to do.
pub fn said(f: &Finding) -> (Said, Said) {
    match &f.problem {
        Problem::Syntax(words) => {
            let words = words.trim();
            (
                say!("this is no TOML: {words}", "TOML として読めません: {words}"),
                say!("mend the form; see https://toml.io", "書式を直してください (https://toml.io)"),
            )
        }
        Problem::UnknownField { name, near, known } => {
            let known = known.join(", ");
            let fix = near
                .as_ref()
                .map(|n| meant(n))
                .unwrap_or_else(|| say!("give one of {known}", "次のいずれかを指定してください: {known}"));
            (say!("there is no field {name}", "{name} というフィールドはありません"), fix)
        }
        Problem::DataNetworks => (
            say!(
                "data networks are no part of a policy file",
                "データネットワークはポリシーファイルに書けません"
            ),
            say!(
                "remove it here, and use `sekisho data-network`",
                "ここから削除し、`sekisho data-network` を使ってください"
            ),
        ),
        Problem::NotAList(section) => (
            say!("{section} is a list of tables", "{section} はテーブルの並びです"),
            say!("write [[{section}]] above each", "それぞれの先頭に [[{section}]] と書いてください"),
        ),
        Problem::Missing(field) => (say!("{field} is missing", "{field} がありません"), fix_of(field)),
        Problem::Value(words) => value(words, f.field.split('[').next().unwrap_or_default()),
        Problem::Unsound { problem, near } => {
            let text = problem.to_string();
            let (en, fix) = text.rsplit_once("; ").unwrap_or((text.as_str(), "mend it"));
            let said = Said { en: en.to_owned(), ja: in_japanese(problem) };
            let plain = || Said { en: fix.to_owned(), ja: "内容を訂正してください".to_owned() };
            (said, near.as_ref().map(|n| meant(n.as_str())).unwrap_or_else(plain))
        }
        Problem::Zone(zone) => (
            say!("there is no time zone {zone}", "タイムゾーン {zone} はありません"),
            say!("name one of IANA's, such as Asia/Tokyo", "Asia/Tokyo のような IANA 名を指定してください"),
        ),
        Problem::Duplicate(name) => (
            say!("there is another {name} before it", "{name} は既にあります"),
            say!("give one of them another name, or remove it", "どちらかの名前を変えるか、削除してください"),
        ),
        Problem::NameOfUse(owner) => (
            say!(
                "only rules that the use {owner} makes are called so",
                "この名前になるのは使用箇所 {owner} が作るルールだけです"
            ),
            say!("give it another name", "別の名前にしてください"),
        ),
        Problem::UnknownTemplate { name, near } => (
            say!("there is no template {name}", "テンプレート {name} はありません"),
            near.as_ref().map(|n| meant(n)).unwrap_or_else(|| {
                say!("add it, or name one that exists", "追加するか、あるものを指定してください")
            }),
        ),
        Problem::Loop(way) => {
            let way = way.join(" → ");
            (
                say!(
                    "templates are made of one another in a loop: {way}",
                    "テンプレートが循環しています: {way}"
                ),
                say!("take one of these uses out", "このうちどれかの使用をやめてください"),
            )
        }
        Problem::UnknownParameter { name, near } => (
            say!("the template has no parameter {name}", "テンプレートにパラメーター {name} はありません"),
            near.as_ref().map(|n| meant(n)).unwrap_or_else(|| {
                say!("add it to `parameters`, or remove it", "parameters に加えるか、削除してください")
            }),
        ),
        Problem::MissingParameter(name) => (
            say!("the parameter {name} is missing", "パラメーター {name} がありません"),
            say!("say what it is in `with`", "with で値を指定してください"),
        ),
        Problem::TooManyRules => (
            say!(
                "templates come to more than 50000 rules, or lie more than 32 deep",
                "テンプレートが 5 万件を超えるルールになるか、32 段より深く入れ子になっています"
            ),
            say!("use fewer of them", "減らしてください"),
        ),
        Problem::AppOrAddress => (
            say!("a test names an app or an address", "テストには app か address のどちらか一方が必要です"),
            say!("give one of them", "どちらか一方を指定してください"),
        ),
        Problem::OnePort => (
            say!("a flow has one port", "フローのポートは 1 つです"),
            say!("give one port, for example tcp/443", "ポートを 1 つ指定してください (例: tcp/443)"),
        ),
        other => (
            say!("this is not right: {other:?}", "誤りがあります: {other:?}"),
            say!("mend it", "訂正してください"),
        ),
    }
}

fn meant(name: &str) -> Said {
    say!("did you mean {name}?", "{name} のことですか?")
}

/// What a field's own type says, cut into what is wrong and what to do where it says both.
fn value(words: &str, field: &str) -> (Said, Said) {
    let (en, own) = words.rsplit_once("; ").map_or((words, None), |(a, b)| (a, Some(b)));
    let fix = match own {
        Some(own) if fix_of(field) == see_docs() => Said { en: own.to_owned(), ja: see_docs().ja },
        _ if words.starts_with("`to` belongs") => say!(
            "remove it, or make this a rule of direction in",
            "削除するか、direction を in にしてください"
        ),
        _ if words.contains("names in `to`") => {
            say!("add for example to = [\"tcp/502\"]", "to = [\"tcp/502\"] のように追加してください")
        }
        _ => fix_of(field),
    };
    let ja = match words {
        w if w.contains("lower port") => "ポート範囲は小さい方から書きます",
        w if w.contains("is none of") => "使えない語です",
        w if w.contains("never hold") => "この条件が成り立つことはありません",
        w if w.contains("midnight") => "時刻の範囲が正しくありません",
        w if w.starts_with("`to` belongs") => "to は direction が in のルールだけで使えます",
        w if w.contains("names in `to`") => "in のルールには到達先のサービス (to) が必要です",
        _ => "この値は正しくありません",
    };
    // As the language of this program has it.
    let en = ["i64", "u64", "u32", "u16", "u8"]
        .iter()
        .fold(en.to_owned(), |en, t| en.replace(&format!("should be {t}"), "should be a whole number"));
    (Said { en, ja: ja.to_owned() }, fix)
}

fn see_docs() -> Said {
    say!("see docs/policy.md", "docs/policy.md を参照してください")
}

/// What a field should hold.
fn fix_of(field: &str) -> Said {
    match field.rsplit('.').next().unwrap_or_default() {
        "name" | "app" | "template" => say!(
            "give 1 to 63 of a-z, 0-9 and inner - _ . that begin and end with a letter or digit",
            "英小文字・数字と途中の - _ . からなる 1〜63 文字 (先頭と末尾は英数字) を指定してください"
        ),
        "order" => {
            say!("give a whole number; lower is read first", "整数を指定してください。小さい方から読まれます")
        }
        "subject" => {
            say!(
                "give any, group:NAME, sim:IMSI, device:ID or person:ID",
                "any、group:名前、sim:IMSI、device:ID、person:ID のいずれかを指定してください"
            )
        }
        "prefixes" => {
            say!("give prefixes like 10.10.1.0/24", "10.10.1.0/24 のようなプレフィックスを指定してください")
        }
        "services" | "to" | "service" => say!(
            "give tcp, udp or icmp, with /port or /first-last behind tcp and udp, for example tcp/443",
            "tcp, udp, icmp のいずれか。tcp と udp には /ポート や /先頭-末尾 を付けられます (例: tcp/443)"
        ),
        "names" => say!(
            "give server names like wiki.example.jp",
            "wiki.example.jp のようなサーバー名を指定してください"
        ),
        "direction" => say!("give out or in", "out か in を指定してください"),
        "verdict" => say!(
            "give one of the verdicts of docs/policy.md, such as allow or deny",
            "allow や deny など、docs/policy.md にある語を指定してください"
        ),
        "expect" => say!("give allow or deny", "allow か deny を指定してください"),
        "hours" => say!(
            "give days, times and an IANA time zone, such as mon-fri 08:00-18:00 Asia/Tokyo",
            "曜日、時刻、IANA タイムゾーンを mon-fri 08:00-18:00 Asia/Tokyo のように指定してください"
        ),
        "until" | "at" | "monitor_until" => {
            say!(
                "give a time like 2027-01-31T09:00:00Z",
                "2027-01-31T09:00:00Z のような時刻を指定してください"
            )
        }
        "record" => say!(
            "give all, counters, or 1/N such as 1/100",
            "all、counters、または 1/100 のような 1/N を指定してください"
        ),
        "sim" => say!("give an IMSI of 6 to 15 digits", "6〜15 桁の IMSI を指定してください"),
        "address" => say!("give an IP address", "IP アドレスを指定してください"),
        _ => see_docs(),
    }
}

/// The item and its field, as a person names them.
fn whereabouts(f: &Finding) -> Option<Said> {
    let (item, field) = (&f.item, &f.field);
    match (item.is_empty(), field.is_empty()) {
        (true, _) => None,
        (false, true) => Some(say!("{item}", "{item}")),
        (false, false) => Some(say!("{item}, {field}", "{item} の {field}")),
    }
}

/// A finding in one line, as compilers write them.
pub fn line(file: &str, f: &Finding) -> Said {
    let (what, fix) = said(f);
    let at = f.place.map(|p| format!("{}:{}: ", p.line, p.column)).unwrap_or_default();
    let place = whereabouts(f).map_or(Said { en: String::new(), ja: String::new() }, |p| Said {
        en: format!("{}: ", p.en),
        ja: format!("{}: ", p.ja),
    });
    Said {
        en: format!("{file}:{at}{}{}; {}", place.en, what.en, fix.en),
        ja: format!("{file}:{at}{}{}。{}", place.ja, what.ja, fix.ja),
    }
}

/// A finding as a field of a request: `text` or `policy`.
pub(crate) fn field_error(f: &Finding) -> FieldError {
    let (what, fix) = said(f);
    let at = whereabouts(f).unwrap_or(Said { en: String::new(), ja: String::new() });
    let (pointer, place) = match f.place {
        Some(p) => {
            let (line, column) = (p.line, p.column);
            ("/text".to_owned(), say!("line {line}, column {column}: ", "{line} 行 {column} 桁: "))
        }
        None => (format!("/policy{}", f.pointer), Said { en: String::new(), ja: String::new() }),
    };
    let join = |a: &str, b: &str, c: &str| {
        let glue = if b.is_empty() { "" } else { ": " };
        format!("{a}{b}{glue}{c}")
    };
    let detail = Said { en: join(&place.en, &at.en, &what.en), ja: join(&place.ja, &at.ja, &what.ja) };
    FieldError { pointer, detail, fix: Some(fix) }
}

/// "12 SIMs of laptops may reach hr-db tcp/443".
pub fn change(c: &AccessChange) -> Said {
    let many = c.count();
    let who = groups(c.sims.keys());
    let (sims, of) = (if many == 1 { "SIM" } else { "SIMs" }, who.en);
    let (app, service, ja) = (&c.app, c.service, who.ja);
    let rule = c.rule.as_ref().map(|r| format!(" ({r})")).unwrap_or_default();
    match (c.direction, c.was, c.is) {
        (Direction::Out, Access::Never, Access::Always) => say!(
            "{many} {sims}{of} may reach {app} {service}{rule}",
            "{ja}{many} 枚の SIM が {app} {service} に到達できるようになります{rule}"
        ),
        (Direction::Out, _, Access::Never) => say!(
            "{many} {sims}{of} may no longer reach {app} {service}{rule}",
            "{ja}{many} 枚の SIM が {app} {service} に到達できなくなります{rule}"
        ),
        (Direction::Out, Access::Sometimes, Access::Always) => say!(
            "{many} {sims}{of} may reach {app} {service} at all times{rule}",
            "{ja}{many} 枚の SIM が {app} {service} にいつでも到達できるようになります{rule}"
        ),
        (Direction::Out, _, _) => say!(
            "{many} {sims}{of} may reach {app} {service} under other conditions{rule}",
            "{ja}{many} 枚の SIM が {app} {service} に到達できる条件が変わります{rule}"
        ),
        (Direction::In, Access::Never, Access::Always) => say!(
            "{app} may open {service} of {many} {sims}{of}{rule}",
            "{app} が{ja}{many} 枚の SIM の {service} に接続できるようになります{rule}"
        ),
        (Direction::In, _, Access::Never) => say!(
            "{app} may no longer open {service} of {many} {sims}{of}{rule}",
            "{app} が{ja}{many} 枚の SIM の {service} に接続できなくなります{rule}"
        ),
        (Direction::In, _, _) => say!(
            "{app} may open {service} of {many} {sims}{of} under other conditions{rule}",
            "{app} が{ja}{many} 枚の SIM の {service} に接続できる条件が変わります{rule}"
        ),
    }
}

/// The sets of groups that SIMs are in; the first three.
fn groups<'a>(all: impl Iterator<Item = &'a BTreeSet<Name>>) -> Said {
    let set = |s: &BTreeSet<Name>| s.iter().map(ToString::to_string).collect::<Vec<_>>().join("+");
    let sets: Vec<String> = all.map(set).collect();
    if sets.iter().all(String::is_empty) {
        return say!(" without a group", "グループのない ");
    }
    let (mut en, mut ja) = (Vec::new(), Vec::new());
    for s in sets.iter().take(3) {
        en.push(if s.is_empty() { "no group".to_owned() } else { s.clone() });
        ja.push(if s.is_empty() { "グループなし".to_owned() } else { s.clone() });
    }
    let more = sets.len().saturating_sub(3);
    let (more_en, more_ja) = match more {
        0 => (String::new(), String::new()),
        n => (format!(" and {n} more"), format!(" ほか {n} 組")),
    };
    Said { en: format!(" of {}{more_en}", en.join(", ")), ja: format!("{}{more_ja} の ", ja.join("、")) }
}

/// What an analysis found, with the flow that shows it.
pub fn analysis(f: &analyse::Finding) -> Said {
    let (kind, name) = match &f.of {
        Of::Rule(n) => (say!("rule", "ルール"), n),
        Of::App(n) => (say!("app", "アプリ"), n),
        Of::Group(n) => (say!("group", "グループ"), n),
    };
    let by = f.by.as_ref().map(ToString::to_string).unwrap_or_default();
    let what = match (f.kind, f.unused) {
        (Kind::Shadowed, _) => say!(
            "never decides: {by} is read before it and says otherwise",
            "決定に使われません。先に読まれる {by} が別の判定をします"
        ),
        (Kind::Redundant, _) => {
            say!("changes nothing: {by} says the same", "なくても結果は同じです ({by} と同じ)")
        }
        (Kind::Contradictory, _) => say!(
            "and {by} have the same order and differ: their names tell which is read first",
            "と {by} は順番が同じで判定が異なり、名前の順だけで決まります"
        ),
        (_, Some(Unused::NobodyThere)) => say!("speaks of nobody", "対象の SIM がありません"),
        (_, Some(Unused::Over)) => say!("is over", "期限が過ぎています"),
        (_, Some(Unused::Hidden)) => say!(
            "never matches: narrower prefixes take all addresses of its app",
            "一致しません。アプリのアドレスがすべて、より長いプレフィックスに取られています"
        ),
        (Kind::Unused, None | Some(Unused::NoRule)) => {
            say!("is named by no rule", "どのルールにも使われていません")
        }
    };
    let shown = f.shown.as_ref().map(flow).unwrap_or(Said { en: String::new(), ja: String::new() });
    let (en, ja) = (kind.en, kind.ja);
    let (what_en, what_ja, shown_en, shown_ja) = (what.en, what.ja, shown.en, shown.ja);
    let glue = if f.kind == Kind::Contradictory { " " } else { " は" };
    Said {
        en: format!("{en} {name} {what_en}{shown_en}"),
        ja: format!("{ja} {name}{glue}{what_ja}{shown_ja}"),
    }
}

fn flow(s: &analyse::Shown) -> Said {
    let groups = s.ue.groups.iter().map(ToString::to_string).collect::<Vec<_>>().join("+");
    let (peer, port) = (s.flow.peer, s.flow.port);
    let protocol = match s.flow.protocol {
        6 => format!("tcp/{port}"),
        17 => format!("udp/{port}"),
        _ => "icmp".to_owned(),
    };
    let who = match (s.exists, groups.is_empty()) {
        (true, _) => {
            let imsi = s.ue.imsi;
            say!("SIM {imsi}", "SIM {imsi}")
        }
        (false, true) => say!("a SIM without a group", "グループのない SIM"),
        (false, false) => say!("a SIM of {groups}", "{groups} の SIM"),
    };
    let decides = s.decides.as_ref().map(ToString::to_string).unwrap_or_else(|| "-".to_owned());
    let (en, ja) = (who.en, who.ja);
    match s.flow.direction {
        Direction::Out => say!(
            "; for example {en} to {peer} {protocol}: {decides} decides",
            " (例: {ja} から {peer} {protocol} は {decides} が決めます)"
        ),
        Direction::In => say!(
            "; for example {peer} to {protocol} of {en}: {decides} decides",
            " (例: {peer} から {ja} の {protocol} は {decides} が決めます)"
        ),
    }
}

/// Why a test did not come out.
pub fn failed(r: &CaseResult) -> Said {
    let name = &r.name;
    let (expected, ja) = match r.expect {
        Expect::Allow => ("allow", "許可"),
        Expect::Deny => ("deny", "拒否"),
    };
    match &r.story {
        None => say!("test {name}: there is no such app", "テスト {name}: そのアプリはありません"),
        Some(story) => {
            let reason = story.reason;
            let rule = story.rule.as_ref().map(|r| format!(" {r}")).unwrap_or_default();
            say!(
                "test {name}: {expected} was expected, and it came out otherwise: {reason}{rule}",
                "テスト {name}: {ja}のはずが異なる結果でした: {reason}{rule}"
            )
        }
    }
}

#[cfg(test)]
mod tests;
