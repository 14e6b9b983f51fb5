//! Why something is open or closed, in the words of whoever stands before it. No rule of anybody else is named.

use crate::problem::{Said, say};
use pgw_policy::{Explanation, Ruling};
use types::Reason;

/// What the page says of an app.
pub(super) fn of(story: &Explanation) -> Vec<Said> {
    let mut all = vec![verdict(story), why(story.reason)];
    if let Some(rule) = &story.rule {
        all.push(say!("Rule: {rule}", "ルール: {rule}"));
    }
    all
}

fn verdict(story: &Explanation) -> Said {
    match story.verdict {
        Ruling::Allow | Ruling::Inspect => say!("It is open to you.", "利用できます。"),
        Ruling::Deny | Ruling::Reject => say!("It is closed to you at the moment.", "現在は利用できません。"),
    }
}

fn why(reason: Reason) -> Said {
    match reason {
        Reason::Rule => say!("A rule allows it.", "ルールにより許可されています。"),
        Reason::Granted => {
            say!("It was opened for this SIM for a time.", "この SIM に期限付きで許可されています。")
        }
        Reason::StepUpNeeded => say!(
            "It opens when you have proved that it is you.",
            "本人確認を行うと利用できるようになります。"
        ),
        Reason::NoRule | Reason::UnknownApp => say!(
            "No rule opens it to this SIM. Ask your IT department.",
            "この SIM に許可するルールがありません。IT 部門に相談してください。"
        ),
        Reason::RuleQuarantine | Reason::Quarantined => say!(
            "This device is kept apart until it is in order again. Ask your IT department.",
            "この端末は安全が確認されるまで隔離されています。IT 部門に相談してください。"
        ),
        Reason::GroupInPanic => say!(
            "Your group reaches nothing but its emergency apps at the moment.",
            "所属グループは現在、緊急用アプリ以外を利用できません。"
        ),
        Reason::RiskTooHigh => say!(
            "The risk is too high at the moment: the state of the device, the place, the time of day and your sign-in count.",
            "現在のリスクが高すぎます。端末の状態、場所、時間帯、サインインの状況から判断しています。"
        ),
        Reason::FactUnknown => say!(
            "Something that the rule asks about is not known of this device. Ask your IT department.",
            "ルールの条件となる端末の情報が得られていません。IT 部門に相談してください。"
        ),
        Reason::StalePolicy => say!(
            "The network is just starting. Try again in a moment.",
            "ネットワークの起動中です。しばらくしてから再試行してください。"
        ),
        other => say!("Reason: {other}", "理由: {other}"),
    }
}

/// How long something is open, milliseconds.
pub(super) fn until(ms: i64) -> Said {
    let minutes = (ms / 60_000).max(0) + 1;
    say!("For {minutes} more minutes at most.", "あと最大 {minutes} 分間利用できます。")
}

pub(super) fn others() -> Said {
    say!("Open when you have proved that it is you", "本人確認を行うと利用できるアプリ")
}

pub(super) fn nothing_waits() -> Said {
    say!(
        "No app waits for you to prove that it is you. What stays closed is closed by a rule: ask your IT department.",
        "本人確認を待っているアプリはありません。利用できないアプリについては IT 部門に相談してください。"
    )
}

pub(super) fn nobody() -> Said {
    say!(
        "This SIM is not registered to a person, so nobody can prove that it is theirs. Ask your IT department.",
        "この SIM には利用者が登録されていないため、本人確認を行えません。IT 部門に相談してください。"
    )
}

pub(super) fn no_provider() -> Said {
    say!(
        "There is no identity provider at which to prove it. Ask your IT department.",
        "本人確認に使う ID プロバイダーが設定されていません。IT 部門に相談してください。"
    )
}

pub(super) fn unknown() -> Said {
    say!("not known", "不明")
}

pub(super) fn back() -> Said {
    say!("Back", "戻る")
}
