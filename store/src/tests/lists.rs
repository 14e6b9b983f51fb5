//! SIMs in every order, where they were seen, and what held for one at a moment of the past.

use super::{T0, by, imsi, on_both, sim, site};
use crate::{
    Change, RevocationRow, RevocationWrite, SimEdit, SimFilter, SimKey, SimOrder, StateChange, Store,
};
use types::{
    App, BindingMode, Event, Group, Happening, Plmn, Rule, RuleDirection, SimState, Subject, Tac, Tai, Utc,
    Verdict,
};

fn later(ms: i64, actor: &str) -> Change {
    Change { at: Utc(T0.0 + ms), ..by(actor) }
}

fn orders() -> Vec<SimOrder> {
    let both = |by| [SimOrder { by, down: false }, SimOrder { by, down: true }];
    SimKey::ALL.into_iter().flat_map(both).collect()
}

on_both!(sims_come_in_any_order_and_pages_hold_together, |store| {
    site(&store).await;
    for n in 1..=9u32 {
        let mut row = sim(n);
        row.label = ["zoo", "Ant", "ant", "駅", "", "B", "b", "ant", "Zoo"][n as usize - 1].to_owned();
        row.iccid = n.is_multiple_of(3).then(|| format!("89811000000000{n:05}").parse().ok()).flatten();
        row.groups = ["staff".parse().unwrap()].into();
        store.create_sim(row, &later(i64::from(n % 4), "alice")).await.unwrap();
    }
    store.change_sim_state(imsi(4), SimState::Lost, StateChange::Ban, &later(50, "soc")).await.unwrap();
    let up = |n: u32, at: i64| Event {
        at: Utc(T0.0 + at),
        imsi: Some(imsi(n)),
        what: Happening::Deregistered { by_network: false, confirmed: true },
    };
    store.append_events(vec![up(2, 9), up(7, 5), up(2, 3)]).await.unwrap();
    for order in orders() {
        let filter = SimFilter { order, ..SimFilter::default() };
        let all = store.sims(&filter, None, 100).await.unwrap().items;
        assert_eq!(all.len(), 9, "{order}");
        assert!(all.iter().all(|s| s.groups.len() == 1), "{order}: each row has its parts");
        for size in [1, 2, 4] {
            let (mut paged, mut cursor) = (Vec::new(), None);
            loop {
                let page = store.sims(&filter, cursor.as_deref(), size).await.unwrap();
                paged.extend(page.items);
                cursor = page.next;
                let Some(c) = &cursor else { break };
                assert!(order.knows(c) && !c.contains(['&', '%', ' ']), "{c}");
                let other = SimOrder { down: !order.down, ..order };
                assert!(other == SimOrder::default() || !other.knows(c), "{c} is no cursor of {other}");
            }
            assert_eq!(paged, all, "{order} by {size}");
        }
        let other = SimOrder { down: !order.down, ..order };
        let mut turned = store.sims(&SimFilter { order: other, ..filter }, None, 100).await.unwrap().items;
        turned.reverse();
        assert_eq!(turned, all, "{order} the other way round");
    }
    // Filtered, the same rows stand in the same order.
    for order in orders() {
        let filter = SimFilter {
            order,
            text: Some("AN".to_owned()),
            group: Some("staff".parse().unwrap()),
            ..SimFilter::default()
        };
        let all = store.sims(&filter, None, 100).await.unwrap().items;
        let of_all = store.sims(&SimFilter { order, ..SimFilter::default() }, None, 100).await.unwrap().items;
        let fits: Vec<_> = of_all.into_iter().filter(|s| s.label.eq_ignore_ascii_case("ant")).collect();
        assert_eq!((all.len(), &all), (3, &fits), "{order}");
        let first = store.sims(&filter, None, 1).await.unwrap();
        let rest = store.sims(&filter, first.next.as_deref(), 5).await.unwrap().items;
        assert_eq!([first.items, rest].concat(), all, "{order}");
    }
    let ids = |by, down| {
        let store = store.clone();
        async move {
            let filter = SimFilter { order: SimOrder { by, down }, ..SimFilter::default() };
            let all = store.sims(&filter, None, 3).await.unwrap().items;
            all.into_iter().map(|s| s.imsi).collect::<Vec<_>>()
        }
    };
    assert_eq!(ids(SimKey::Label, false).await, [imsi(5), imsi(2), imsi(3)], "great and small letters alike");
    assert_eq!(ids(SimKey::Changed, true).await, [imsi(4), imsi(7), imsi(3)]);
    assert_eq!(ids(SimKey::LastSeen, true).await, [imsi(2), imsi(7), imsi(9)]);
    assert_eq!(ids(SimKey::State, false).await, [imsi(4), imsi(1), imsi(2)]);
    assert_eq!(
        store.sim(imsi(2)).await.unwrap().last_seen,
        Some(Utc(T0.0 + 9)),
        "the latest, not the last told"
    );
});

#[tokio::test]
async fn every_order_of_sims_is_read_from_an_index() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&format!("sqlite:{}", dir.path().join("store.db").display())).await.unwrap();
    for order in orders() {
        for line in store.plan_of_sims(order).await {
            assert!(!line.contains("TEMP B-TREE FOR ORDER"), "{order}: {line}");
            assert!(line != "SCAN s", "{order}: {line}");
        }
    }
    // Behind a cursor the index is searched, not walked.
    let by = |by| SimOrder { by, down: true };
    for key in SimKey::ALL {
        let plan = store.plan_of_sims(by(key)).await;
        assert!(plan.iter().any(|l| l.starts_with("SEARCH s USING")), "{key:?}: {plan:?}");
    }
}

on_both!(devices_that_a_sim_was_in_are_kept_with_their_times, |store| {
    site(&store).await;
    store.create_sim(sim(1), &by("alice")).await.unwrap();
    let event = |at: i64, n: u32, what| Event { at: Utc(T0.0 + at), imsi: Some(imsi(n)), what };
    let came = |device: &str| Happening::Registered {
        pei: Some(types::Pei::Imei(device.parse().unwrap())),
        tai: Tai { plmn: Plmn::new("001", "01").unwrap(), tac: Tac::try_from(1).unwrap() },
        cell: 16,
        gnb: "gnb".to_owned(),
    };
    let black = |device: &str| Happening::DeviceMismatch {
        mode: BindingMode::Exact,
        expected: vec![],
        seen: Some(device.parse().unwrap()),
    };
    let (own, other) = ("490154203237518", "356938035643809");
    store
        .append_events(vec![event(1, 1, came(own)), event(2, 1, came(own)), event(3, 9, came(own))])
        .await
        .unwrap();
    store.append_events(vec![event(5, 1, black(&other[..14]))]).await.unwrap();
    let seen = store.sightings(imsi(1)).await.unwrap();
    let short: Vec<_> = seen
        .iter()
        .map(|s| (s.device.to_string(), s.first.0 - T0.0, s.last.0 - T0.0, s.times, s.refused.is_some()))
        .collect();
    assert_eq!(short, [("35693803564380".to_owned(), 5, 5, 1, true), (own[..14].to_owned(), 1, 2, 2, false)]);
    assert_eq!(store.sightings(imsi(9)).await.unwrap(), [], "a SIM that is not there was seen nowhere");
    // Whoever makes numbers up pushes out his own.
    let made_up = (0..120).map(|n| event(10 + n, 1, black(&format!("9900000000{n:04}")))).collect();
    store.append_events(made_up).await.unwrap();
    let seen = store.sightings(imsi(1)).await.unwrap();
    assert_eq!((seen.len(), seen[0].last.0 - T0.0), (100, 129));
});

on_both!(what_the_security_desk_wants_to_see_is_read_by_itself, |store| {
    let at = |n: i64, what| Event { at: Utc(T0.0 + n), imsi: None, what };
    let alarm = |n: i64| at(n, Happening::Alarm { text: format!("no. {n}") });
    let calm = |n: i64| at(n, Happening::Gateway { up: true });
    store.append_events(vec![alarm(1), calm(2), alarm(3), calm(4)]).await.unwrap();
    let page = store.security_events(None, 1).await.unwrap();
    assert_eq!((page.items[0].seq, page.next.as_deref()), (3, Some("3")));
    let page = store.security_events(Some(3), 5).await.unwrap();
    assert_eq!((page.items.len(), page.items[0].seq, page.next), (1, 1, None));
});

on_both!(what_held_at_a_moment_of_the_past_is_told, |store| {
    site(&store).await;
    let app = |port: &str| App {
        name: "wiki".parse().unwrap(),
        label: String::new(),
        prefixes: vec!["10.10.1.5/32".parse().unwrap()],
        services: vec![port.parse().unwrap()],
        names: Vec::new(),
        names_from: Default::default(),
        dscp: None,
        qfi: None,
        sensitivity: Default::default(),
        health: None,
    };
    let rule = |name: &str, verdict| Rule {
        name: name.parse().unwrap(),
        order: 10,
        subject: Subject::Group("staff".parse().unwrap()),
        app: "wiki".parse().unwrap(),
        direction: RuleDirection::Out,
        verdict,
        rate: Default::default(),
        record: Default::default(),
        when: Default::default(),
        conditions: Default::default(),
        monitor_until: None,
    };
    store.create(app("tcp/80"), None, &later(10, "a")).await.unwrap();
    store.create_sim(sim(1), &later(20, "a")).await.unwrap();
    store.create(rule("one", Verdict::Allow), None, &later(30, "a")).await.unwrap();
    let join = SimEdit { groups: Some(["staff".parse().unwrap()].into()), ..SimEdit::default() };
    store.change_sim(imsi(1), None, None, join, &later(40, "a")).await.unwrap();
    store.replace(app("tcp/443"), None, None, &later(50, "a")).await.unwrap();
    store.replace(rule("one", Verdict::Deny), None, None, &later(60, "a")).await.unwrap();
    store.delete::<Rule>("one".to_owned(), None, None, &later(70, "a")).await.unwrap();
    store.change_sim_state(imsi(1), SimState::Stolen, StateChange::Ban, &later(80, "soc")).await.unwrap();
    for (at, kind, scope, value) in [
        (45, "quarantine", "sim", imsi(1).to_string()),
        (55, "release", "sim", imsi(1).to_string()),
        (65, "panic", "group", "staff".to_owned()),
    ] {
        let record = RevocationRow {
            id: format!("r{at}"),
            at: Utc(T0.0 + at),
            kind: kind.to_owned(),
            scope: scope.to_owned(),
            value,
            state: None,
            actor: "soc".to_owned(),
            reason: "because".to_owned(),
            ticket: String::new(),
            request_id: String::new(),
            origin: String::new(),
            sims: 1,
            detail: "{}".to_owned(),
        };
        write(&store, record).await;
    }
    let then = |at: i64| {
        let store = store.clone();
        async move { store.past(imsi(1), Utc(T0.0 + at)).await.unwrap() }
    };
    assert_eq!(then(15).await.state, None, "it had not been made");
    let p = then(35).await;
    assert_eq!((p.state, p.source.rules.len(), p.source.ues[0].groups.len()), (Some(SimState::Ready), 1, 0));
    assert_eq!(p.source.apps, [app("tcp/80")]);
    assert!(then(45).await.quarantined && !then(44).await.quarantined && !then(55).await.quarantined);
    assert_eq!(then(45).await.source.ues[0].groups.len(), 1);
    assert_eq!(
        (then(49).await.source.apps, then(50).await.source.apps),
        (vec![app("tcp/80")], vec![app("tcp/443")])
    );
    assert_eq!(then(59).await.source.rules, [rule("one", Verdict::Allow)]);
    assert_eq!(then(69).await.source.rules, [rule("one", Verdict::Deny)]);
    assert_eq!((then(64).await.panicked.len(), then(65).await.panicked.len()), (0, 1));
    let p = then(75).await;
    assert_eq!((p.source.rules.len(), p.state), (0, Some(SimState::Ready)));
    assert_eq!(then(85).await.state, Some(SimState::Stolen));
    assert_eq!(then(-1).await.source.groups, Vec::<Group>::new(), "and back to the first day");
});

async fn write(store: &Store, record: RevocationRow) {
    let change = Change { at: record.at, ..by("soc") };
    let record = Some(record);
    let write = RevocationWrite { record, ..RevocationWrite::new(StateChange::Ban, change) };
    store.write_revocation(write).await.unwrap();
}
