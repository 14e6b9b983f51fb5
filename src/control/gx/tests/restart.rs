//! Control is killed and starts again beside LTE sessions that go on: their SIMs are where they were.

use super::{Line, lease};
use crate::control::{
    api::Command,
    gx::places,
    known::tests::for_tanaka,
    site::{Site, imsi, name},
};
use gateway::{link::ToGateway, time::now};
use lab::smf::{Manners, Order};
use pgw_policy::{Asked, Question, Reading, Truth};
use serde_json::json;
use store::{Change, FactsOf, GxPlace, GxSessionRow};
use types::*;

/// 3GPP-User-Location-Info of this tracking area of 001-01, and a cell of it.
fn location(tac: u16) -> Vec<u8> {
    let plmn = [0x00, 0xf1, 0x10];
    [&[130][..], &plmn, &tac.to_be_bytes(), &plmn, &[0, 0, 1, 2]].concat()
}

/// Two sites by LTE: SIM 1 is at home in the first.
async fn sites(w: &mut Site) {
    let by = Change::by_system("test", now().utc);
    for (id, tac) in [("osaka", 0x101), ("kobe", 0x102)] {
        let body = json!({ "id": id, "name": id, "tacs": [tac] });
        let site: types::Site = serde_json::from_value(body).expect("a site");
        match id {
            "osaka" => drop(w.control.store.replace_entity(site, None, &by).await.expect("stored")),
            _ => drop(w.control.store.create_entity(site, &by).await.expect("stored")),
        }
    }
    let wiki = json!({ "name": "wiki", "prefixes": ["10.10.1.5/32"], "services": ["tcp/443"] });
    let wiki: App = serde_json::from_value(wiki).expect("an app");
    w.control.store.create(wiki, None, &by).await.expect("made");
    let rule = json!({ "name": "osaka", "order": 1, "subject": "any", "app": "wiki", "direction": "out",
                       "verdict": "allow" });
    let mut rule: Rule = serde_json::from_value(rule).expect("a rule");
    rule.conditions.sites = [name("osaka")].into();
    w.control.store.create(rule, None, &by).await.expect("made");
    w.ask(|c, tx| c.reload_policy(Some(tx))).await.expect("in force");
    w.ask(|c, tx| c.reread_facts(FactsOf::All, Some(tx))).await.expect("read");
}

/// Everything that the gateway was told of where a SIM is.
fn told(w: &Site, n: usize) -> Vec<Option<(Option<Name>, Utc)>> {
    let of = |m: &ToGateway| match m {
        ToGateway::Facts(all) => all.iter().find(|(i, _)| *i == imsi(n)).map(|(_, f)| f.place.clone()),
        _ => None,
    };
    w.heard.iter().filter_map(of).map(|p| p.map(|p| (p.site, p.since))).collect()
}

fn known(w: &Site, n: usize) -> Option<SiteSeen> {
    w.control.facts.of(imsi(n)).and_then(|f| f.place.clone())
}

/// Its rows in the store, once they say this.
async fn kept(w: &mut Site, holds: impl Fn(&[Option<GxPlace>]) -> bool) -> Vec<Option<GxPlace>> {
    for _ in 0..1_000 {
        w.rest().await;
        let rows = w.control.store.gx_sessions().await.expect("read");
        let all: Vec<_> = rows.into_iter().map(|r| r.place).collect();
        if holds(&all) {
            return all;
        }
    }
    panic!("it is not written");
}

#[tokio::test]
async fn after_a_restart_of_control_lte_sims_are_where_they_were_since_they_were() {
    let mut w = Site::new().await;
    sites(&mut w).await;
    let (one, two) = (lease(&mut w, 1).await, lease(&mut w, 2).await);
    let mut line = Line::up(&mut w, "smf1.example", 1, Manners::Yes).await;
    for (n, ip, tac) in [(1, one, 0x101), (2, two, 0x102)] {
        assert_eq!(line.begins(&mut w, n, ip).await, 2001);
        assert_eq!(line.answered(&mut w, Order::Seen(n as u32, location(tac))).await, (2001, 0));
    }
    // Another cell of the same area: it is there since the same moment. Noise says nothing.
    let mut cell = location(0x101);
    *cell.last_mut().expect("octets") = 9;
    assert_eq!(line.answered(&mut w, Order::Seen(1, cell)).await, (2001, 0));
    assert_eq!(line.answered(&mut w, Order::Seen(1, vec![130, 1, 2])).await, (2001, 0));
    kept(&mut w, |all| matches!(all, [Some(a), Some(_)] if a.cell == Some(0x0109))).await;
    let before = [1, 2].map(|n| known(&w, n).expect("seen"));
    assert_eq!(before.clone().map(|p| p.site), [Some(name("osaka")), Some(name("kobe"))]);

    // What is granted to its person is told along with it.
    let by = Change::by_system("test", now().utc);
    w.control.store.create_grant(for_tanaka(), &by).await.expect("made");
    drop(line);
    w.control_restarts().await;
    for (n, was) in [1, 2].into_iter().zip(&before) {
        assert_eq!(told(&w, n), [Some((was.site.clone(), was.since))], "once, and never as unknown");
        assert_eq!(known(&w, n).as_ref(), Some(was));
    }
    let grants = w.heard.iter().find_map(|m| match m {
        ToGateway::Facts(all) => all.iter().find(|(i, _)| *i == imsi(1)).map(|(_, f)| f.grants.len()),
        _ => None,
    });
    assert_eq!(grants, Some(1));
    // It is explained with its age and its source.
    let radio = w.control.facts.of(imsi(1)).and_then(|f| f.radio.clone()).expect("known");
    assert_eq!((radio.value, radio.source), (Radio::Eutra, name("network")));
    let read = place_explained(&mut w).await;
    assert_eq!((read.value.as_deref(), read.holds), (Some("osaka"), Truth::Yes));
    assert_eq!((read.source, read.since), (Some(name("network")), Some(before[0].since)));

    // Its SMF speaks again: it has gone elsewhere, and was not there before.
    let mut line = Line::up(&mut w, "smf1.example", 1, Manners::Yes).await;
    assert_eq!(line.begins(&mut w, 1, one).await, 2001);
    assert_eq!(line.answered(&mut w, Order::Seen(1, location(0x102))).await, (2001, 0));
    let moved = known(&w, 1).expect("seen");
    assert_eq!(moved.site, Some(name("kobe")));
    assert!(moved.since > before[0].since);
    assert_eq!(place_explained(&mut w).await.holds, Truth::No);
}

#[tokio::test]
async fn a_place_that_is_none_or_of_another_smf_is_unknown_after_a_restart_and_that_is_told() {
    let mut w = Site::new().await;
    sites(&mut w).await;
    let ip = lease(&mut w, 1).await;
    let mut line = Line::up(&mut w, "smf1.example", 1, Manners::Yes).await;
    assert_eq!(line.begins(&mut w, 1, ip).await, 2001);
    assert_eq!(line.answered(&mut w, Order::Seen(1, location(0x101))).await, (2001, 0));
    let all =
        kept(&mut w, |all| matches!(all, [Some(p)] if p.tai.tac == Tac::try_from(0x101).expect("a TAC")))
            .await;
    drop(line);
    // Gx says nothing of 5G: whoever wrote that is not we.
    let strange = GxPlace { radio: Radio::Nr, ..all[0].expect("kept") };
    w.control.store.set_gx_places(vec![(imsi(1), strange)]).await.expect("stored");
    w.control_restarts().await;
    assert_eq!((told(&w, 1), known(&w, 1)), (vec![None], None));
    assert_eq!(super::live(&w.control, 1).len(), 1, "its session lives");

    let row = |smf: &str, session: &str, since| GxSessionRow {
        smf: smf.to_owned(),
        session: session.to_owned(),
        imsi: imsi(1),
        dnn: "corp".parse().expect("a name"),
        ip: Some(ip),
        prefix: None,
        state: None,
        since: Utc(0),
        place: Some(GxPlace { since, ..all[0].expect("kept") }),
    };
    let rows = [
        row("smf1.example", "a", Utc(2)),
        row("smf1.example", "b", Utc(1)),
        row("gone.example", "c", Utc(3)),
    ];
    let seen = places::known(&w.control.config, &rows);
    assert_eq!(seen.values().map(|s| s.since).collect::<Vec<_>>(), [Utc(2)], "the newest, of an SMF of ours");
}

/// What a reading of everything finds is told when it is whole: whoever is not read yet is not unknown.
#[tokio::test]
async fn nothing_is_told_of_sims_before_everything_was_read() {
    let mut w = Site::new().await;
    sites(&mut w).await;
    let ip = lease(&mut w, 1).await;
    let mut line = Line::up(&mut w, "smf1.example", 1, Manners::Yes).await;
    w.heard.clear();
    w.control.learn_facts();
    assert!(w.control.facts.is_starting());
    w.control.seen_by_smf(imsi(1), wire::diameter::user_location(&location(0x102)).expect("a place"));
    w.control.tell_facts([imsi(1), imsi(2)]);
    assert_eq!((told(&w, 1), told(&w, 2)), (vec![], vec![]));
    w.rest().await;
    assert!(!w.control.facts.is_starting());
    assert_eq!(told(&w, 1).len(), 1);
    assert_eq!(line.begins(&mut w, 1, ip).await, 2001);
    w.rest().await;
    assert_eq!(told(&w, 1).len(), 2, "from here on, each change");
}

/// How the place of SIM 1 is read for the rule that asks for it.
async fn place_explained(w: &mut Site) -> Reading {
    let question = Question {
        imsi: imsi(1),
        direction: Direction::Out,
        peer: [10, 10, 1, 5].into(),
        protocol: 6,
        port: 443,
    };
    let explain = |reply| Command::Explain { question, at: None, reply };
    let story = w.ask(|c, reply| c.command(explain(reply))).await.expect("explained");
    let rule = story.considered.into_iter().find(|c| c.rule == name("osaka")).expect("a rule");
    rule.conditions.into_iter().find(|c| c.asked == Asked::Sites).expect("a place")
}
