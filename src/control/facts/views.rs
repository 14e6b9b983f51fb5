//! What is known of a SIM, in words.

use super::found::{Found, Seat};
use crate::control::Control;
use admin_web::{ControlError, FactView, Said, risk_level_said, say};
use gateway::time::now;
use pgw_policy::{
    Assessment,
    posture::{Lack, Shortfall},
    risk::{Factor, Weighed},
};
use store::{FactRow, FactsOf};
use tokio::sync::oneshot;
use types::{Compliance, Imsi, Name, PostureCheck, Radio, SimFacts, Utc};

impl Control {
    /// Somebody wants to see what is known of a SIM: read anew, found as it is judged by.
    pub(in crate::control) fn show_facts(
        &self,
        imsi: Imsi,
        reply: oneshot::Sender<Result<Vec<FactView>, ControlError>>,
    ) {
        let (store, seat) = (self.store.clone(), self.seat(imsi));
        let before = self.facts.of(imsi).cloned();
        let (groups, sites) = (self.facts.groups.clone(), self.facts.sites.clone());
        let profile = self.policy.source().risk.clone();
        tokio::spawn(async move {
            let rows = store.fact_rows(&FactsOf::Sims(vec![imsi])).await;
            let answer = match rows.map(|mut rows| rows.pop()) {
                Ok(Some(row)) => {
                    let around = super::Around { groups: &groups, sites: &sites, now: now().utc };
                    let (found, at) = (around.find(&row, &seat, before.as_ref()), now().utc);
                    let mut all = views(&found, &row, &seat, at);
                    all.push(assessed(&profile.assess(&found.facts, at)));
                    Ok(all)
                }
                Ok(None) => Err(ControlError::NotFound),
                Err(e) => Err(ControlError::Unavailable { part: "store", why: e.to_string() }),
            };
            drop(reply.send(answer));
        });
    }
}

fn view(fact: &'static str, value: Option<String>, words: Said) -> FactView {
    FactView { fact, value, words, source: None, since: None, until: None }
}

fn unknown(fact: &'static str) -> FactView {
    view(fact, None, say!("not known", "不明"))
}

pub(super) fn views(found: &Found, row: &FactRow, seat: &Seat, now: Utc) -> Vec<FactView> {
    let directory: Option<Name> = "directory".parse().ok();
    let named = |fact, id: Option<&Name>| match id {
        None => unknown(fact),
        Some(id) => {
            FactView { source: directory.clone(), ..view(fact, Some(id.to_string()), say!("{id}", "{id}")) }
        }
    };
    let f = &found.facts;
    vec![
        named("person", row.person.as_ref()),
        named("device", found.device.as_ref().map(|d| &d.id)),
        posture(found),
        place(f, seat),
        radio(f),
        model(f),
        assurance(f, row, now),
        risk(f),
    ]
}

fn posture(found: &Found) -> FactView {
    let Some(p) = &found.facts.posture else {
        let words = match &found.device {
            None => say!(
                "not known: it is in no device of the directory",
                "不明 (台帳にある端末で使われていません)"
            ),
            Some(_) => {
                say!("not known: nobody has told of its device", "不明 (端末の状態が報告されていません)")
            }
        };
        return view("posture", None, words);
    };
    let failed: Vec<Said> = found.judgement.failed.iter().map(shortfall).collect();
    let list = |pick: fn(&Said) -> &str| failed.iter().map(pick).collect::<Vec<_>>().join(", ");
    let (en, ja) = (list(|s| &s.en), list(|s| &s.ja));
    let words = match (p.value, failed.is_empty()) {
        (Compliance::Compliant, true) => say!("compliant", "準拠"),
        (Compliance::Compliant, false) => {
            say!("compliant; it should be better: {en}", "準拠 (推奨項目の不足: {ja})")
        }
        (Compliance::NotCompliant, _) => say!("not compliant: {en}", "非準拠: {ja}"),
    };
    FactView {
        source: Some(p.source.clone()),
        since: Some(p.since),
        until: p.until,
        ..view("posture", Some(p.value.to_string()), words)
    }
}

fn shortfall(f: &Shortfall) -> Said {
    let check = match f.check {
        PostureCheck::OsVersion => say!("version of the operating system", "OS のバージョン"),
        PostureCheck::DiskEncryption => say!("disk encryption", "ディスク暗号化"),
        PostureCheck::Firewall => say!("firewall", "ファイアウォール"),
        PostureCheck::Antivirus => say!("antivirus", "ウイルス対策"),
        PostureCheck::ScreenLock => say!("screen lock", "画面ロック"),
        PostureCheck::Jailbreak => say!("no jailbreak", "改造 (脱獄) なし"),
        PostureCheck::Managed => say!("the word of the system that manages it", "管理システムの判定"),
    };
    let why = match f.why {
        Lack::Missing => say!("not told", "報告なし"),
        Lack::Stale => say!("too long ago", "報告が古い"),
        Lack::Failed => say!("not as it should be", "不適合"),
        Lack::OldVersion => say!("too old or not allowed", "古いか許可されていない"),
    };
    Said { en: format!("{} ({})", check.en, why.en), ja: format!("{} ({})", check.ja, why.ja) }
}

fn place(f: &SimFacts, seat: &Seat) -> FactView {
    let Some(p) = &f.place else {
        return view("place", None, say!("not known: it is not here", "不明 (在圏していません)"));
    };
    let tac = seat.tai.map(|t| t.tac.to_string()).unwrap_or_default();
    let cell = seat.cell.map(|c| format!("{c:09x}")).unwrap_or_default();
    let at = format!("TAC {tac}, cell {cell}");
    let words = match (&p.site, p.usual) {
        (Some(s), true) => say!("{s} ({at})", "{s} ({at})"),
        (Some(s), false) => say!("{s}, where it is not usually ({at})", "{s} (普段とは異なる拠点、{at})"),
        (None, true) => say!("at no site ({at})", "どの拠点でもない場所 ({at})"),
        (None, false) => {
            say!("at no site, where it is not usually ({at})", "普段とは異なる、どの拠点でもない場所 ({at})")
        }
    };
    let value = p.site.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string);
    FactView { source: Some(p.source.clone()), since: Some(p.since), ..view("place", Some(value), words) }
}

fn radio(f: &SimFacts) -> FactView {
    let Some(r) = &f.radio else { return unknown("radio") };
    let words = match r.value {
        Radio::Nr => say!("5G", "5G"),
        Radio::Eutra => say!("LTE", "LTE"),
    };
    FactView {
        source: Some(r.source.clone()),
        since: Some(r.since),
        ..view("radio", Some(r.value.to_string()), words)
    }
}

fn model(f: &SimFacts) -> FactView {
    let Some(m) = &f.model else { return unknown("model") };
    let tac = m.value.to_string();
    FactView {
        source: Some(m.source.clone()),
        since: Some(m.since),
        ..view("model", Some(tac.clone()), say!("{tac}", "{tac}"))
    }
}

fn assurance(f: &SimFacts, row: &FactRow, now: Utc) -> FactView {
    let Some(a) = &f.assurance else {
        return view(
            "assurance",
            Some("no".to_owned()),
            say!("the person has not proved to be the one who uses it", "本人確認されていません"),
        );
    };
    let level = row.assurance.as_ref().map(|p| p.level.clone()).unwrap_or_default();
    let (value, words) = if a.until > now {
        ("yes", say!("the person proved to be the one who uses it ({level})", "本人確認済み ({level})"))
    } else {
        ("no", say!("the proof counts no longer ({level})", "本人確認の有効期間が過ぎています ({level})"))
    };
    FactView {
        source: Some(a.source.clone()),
        since: Some(a.since),
        until: Some(a.until),
        ..view("assurance", Some(value.to_owned()), words)
    }
}

fn risk(f: &SimFacts) -> FactView {
    let Some(r) = &f.risk else {
        return view("risk", None, say!("nobody has said anything", "外部からの通知なし"));
    };
    FactView {
        source: Some(r.source.clone()),
        since: Some(r.since),
        until: r.until,
        ..view("risk", Some(r.value.to_string()), risk_level_said(r.value))
    }
}

/// What all of it comes to at this moment: the sum, and what it is the sum of.
pub(super) fn assessed(a: &Assessment) -> FactView {
    let part = |w: &Weighed| {
        let name = match w.factor {
            Factor::NotCompliant => say!("not compliant", "非準拠"),
            Factor::NotAssured => say!("no proof", "本人確認なし"),
            Factor::UnusualPlace => say!("unusual place", "普段と異なる場所"),
            Factor::Night => say!("night", "夜間"),
        };
        let unknown = if w.known { say!("", "") } else { say!(", not known", "、不明") };
        let (weight, en, ja) = (w.weight, name.en, name.ja);
        Said { en: format!("{en} {weight}{}", unknown.en), ja: format!("{ja} {weight}{}", unknown.ja) }
    };
    let all: Vec<Said> = a.factors.iter().map(part).collect();
    let list =
        |pick: fn(&Said) -> &str, between: &str| all.iter().map(pick).collect::<Vec<_>>().join(between);
    let (score, en, ja) = (a.score, list(|s| &s.en, "; "), list(|s| &s.ja, " / "));
    let words =
        if all.is_empty() { say!("{score}", "{score}") } else { say!("{score}: {en}", "{score}: {ja}") };
    view("risk-score", Some(a.level.to_string()), words)
}
