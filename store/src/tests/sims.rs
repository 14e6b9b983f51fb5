//! A SIM's life in the store.

use super::{T0, by, conflict, imsi, on_both, sim, site};
use crate::{AuditVerdict, Clash, SimEdit, SimFilter, SqnCeiling, StateChange, StoreError};
use types::SimState;

on_both!(what_was_stored_is_what_is_read, |store| {
    site(&store).await;
    let mut row = sim(1);
    row.iccid = Some("8981100000000000002".parse().unwrap());
    row.groups = ["staff".parse().unwrap(), "plc".parse().unwrap()].into();
    row.static_ips = [("corp".parse().unwrap(), "10.20.3.4".parse().unwrap())].into();
    row.device = Some("35693803564380".to_owned());

    let made = store.create_sim(row.clone(), &by("alice")).await.unwrap();
    assert_eq!((made.version, made.created), (1, T0));
    (row.version, row.created, row.changed) = (1, T0, T0);
    assert_eq!(made, row);
    assert_eq!(store.sim(imsi(1)).await.unwrap(), row);
    assert_eq!(store.all_sims().await.unwrap(), [row.clone()]);
    assert_eq!(store.key_owner(&1u32.to_be_bytes()).await.unwrap(), Some(imsi(1)));
    assert_eq!(store.sim(imsi(2)).await, Err(StoreError::NotFound));
    assert_eq!(store.policy_source().await.unwrap().ues[0].groups, row.groups);
});

on_both!(a_second_owner_is_refused_and_nothing_of_it_stays, |store| {
    site(&store).await;
    let mut first = sim(1);
    first.iccid = Some("8981100000000000002".parse().unwrap());
    first.static_ips = [("corp".parse().unwrap(), "10.20.3.4".parse().unwrap())].into();
    store.create_sim(first.clone(), &by("alice")).await.unwrap();
    let before = store.audit(None, None, 100).await.unwrap().items.len();

    assert_eq!(conflict(store.create_sim(sim(1), &by("alice")).await), Clash::Imsi);
    let same_k = crate::SimRow { fingerprint: first.fingerprint.clone(), ..sim(2) };
    assert_eq!(conflict(store.create_sim(same_k, &by("alice")).await), Clash::Key);
    let same_card = crate::SimRow { iccid: first.iccid.clone(), ..sim(2) };
    assert_eq!(conflict(store.create_sim(same_card, &by("alice")).await), Clash::Iccid);
    let same_address = crate::SimRow { static_ips: first.static_ips.clone(), ..sim(2) };
    assert_eq!(conflict(store.create_sim(same_address, &by("alice")).await), Clash::StaticAddress);
    let no_such_group = crate::SimRow { groups: ["ghosts".parse().unwrap()].into(), ..sim(2) };
    assert_eq!(conflict(store.create_sim(no_such_group, &by("alice")).await), Clash::Reference);
    let no_such_dnn = crate::SimRow { dnns: vec!["moon".parse().unwrap()], ..sim(2) };
    assert_eq!(conflict(store.create_sim(no_such_dnn, &by("alice")).await), Clash::Reference);

    assert_eq!(store.all_sims().await.unwrap().len(), 1);
    assert_eq!(store.audit(None, None, 100).await.unwrap().items.len(), before, "no trace in the audit");
    assert_eq!(store.audit_verify().await.unwrap(), AuditVerdict::Whole { rows: before as u64 });
});

on_both!(a_change_needs_the_version_that_was_seen, |store| {
    site(&store).await;
    store.create_sim(sim(1), &by("alice")).await.unwrap();
    let generation = store.policy_generation().await.unwrap();
    let edit = SimEdit {
        label: Some("Press 7".to_owned()),
        groups: Some(["plc".parse().unwrap()].into()),
        ..SimEdit::default()
    };
    let changed = store.change_sim(imsi(1), Some(1), None, edit.clone(), &by("bob")).await.unwrap();
    assert_eq!((changed.version, changed.label.as_str()), (2, "Press 7"));
    assert_eq!(store.sim(imsi(1)).await.unwrap(), changed);
    assert_eq!(store.policy_generation().await.unwrap(), generation + 1, "its groups are part of the policy");

    let late = store.change_sim(imsi(1), Some(1), None, edit, &by("carol")).await;
    assert_eq!(late, Err(StoreError::VersionMismatch { current: 2 }));
    let rows = store.audit(Some(format!("sim:{}", imsi(1))), None, 10).await.unwrap().items;
    assert_eq!(rows[0].action, "sim.change");
    assert_eq!(rows[0].actor, "bob");
    assert!(rows[0].before.as_ref().unwrap().contains("Laptop 1"));
    assert!(rows[0].after.as_ref().unwrap().contains("Press 7"));
});

on_both!(a_ban_is_kept_with_who_and_why_and_can_be_repeated, |store| {
    site(&store).await;
    store.create_sim(sim(1), &by("alice")).await.unwrap();
    store.activate_sims(vec![imsi(1)], T0).await.unwrap();
    let change =
        crate::Change { reason: "left in a taxi".to_owned(), ticket: "INC-7".to_owned(), ..by("soc") };
    let lost = store.change_sim_state(imsi(1), SimState::Lost, StateChange::Ban, &change).await.unwrap();
    assert_eq!(lost.state, SimState::Lost);
    let again = store.change_sim_state(imsi(1), SimState::Lost, StateChange::Ban, &change).await.unwrap();
    assert_eq!(again, lost, "a repeated ban changes nothing");

    // No ordinary change leads out of a ban, and an unban leads nowhere else.
    for to in [SimState::Active, SimState::Suspended, SimState::Stock] {
        let r = store.change_sim_state(imsi(1), to, StateChange::Ordinary, &change).await;
        assert!(matches!(r, Err(StoreError::Transition(_))), "{to}: {r:?}");
    }
    let r = store.change_sim_state(imsi(1), SimState::Stolen, StateChange::Unban, &change).await;
    assert!(matches!(r, Err(StoreError::Transition(_))));
    let back = store.change_sim_state(imsi(1), SimState::Active, StateChange::Unban, &change).await.unwrap();
    assert_eq!(back.state, SimState::Active);
    // And none leads into one.
    let r = store.change_sim_state(imsi(1), SimState::Lost, StateChange::Ordinary, &change).await;
    assert!(matches!(r, Err(StoreError::Transition(_))));

    let history = store.sim_history(imsi(1), 10).await.unwrap();
    let steps: Vec<_> = history.iter().map(|h| (h.from, h.to, h.actor.as_str(), h.reason.as_str())).collect();
    assert_eq!(
        steps,
        [
            (SimState::Lost, SimState::Active, "soc", "left in a taxi"),
            (SimState::Active, SimState::Lost, "soc", "left in a taxi"),
            (SimState::Ready, SimState::Active, "network", "first attach"),
        ]
    );
    let tickets: Vec<_> = history.iter().map(|h| h.ticket.as_str()).collect();
    assert_eq!(tickets, ["INC-7", "INC-7", ""]);
    let audited = store.audit(Some(format!("sim:{}", imsi(1))), None, 1).await.unwrap().items;
    assert!(audited[0].after.as_ref().unwrap().contains("INC-7"));
    let out = store.outbox(0, 100).await.unwrap();
    assert_eq!(
        out.iter().filter(|o| o.payload.contains("\"action\":\"sim.state\"")).count(),
        3,
        "each change leaves by the outbox once"
    );
    store.outbox_delivered(out.last().unwrap().seq).await.unwrap();
    assert_eq!(store.outbox(0, 100).await.unwrap(), []);
});

on_both!(retiring_a_sim_destroys_its_key, |store| {
    site(&store).await;
    store.create_sim(sim(1), &by("alice")).await.unwrap();
    store.change_sim_state(imsi(1), SimState::Stolen, StateChange::Ban, &by("soc")).await.unwrap();
    let gone = store
        .change_sim_state(imsi(1), SimState::Retired, StateChange::Ordinary, &by("alice"))
        .await
        .unwrap();
    assert_eq!((gone.state, gone.sealed, gone.fingerprint), (SimState::Retired, None, None));
    let r = store.change_sim_state(imsi(1), SimState::Active, StateChange::Unban, &by("mallory")).await;
    assert!(matches!(r, Err(StoreError::Transition(_))));
});

on_both!(a_ceiling_only_rises_until_the_card_proves_otherwise, |store| {
    site(&store).await;
    for n in 1..=3 {
        store.create_sim(sim(n), &by("alice")).await.unwrap();
    }
    let write = |n, ceiling, offset, resyncs| {
        let store = store.clone();
        async move {
            let c = SqnCeiling { imsi: imsi(n), ceiling, offset, resyncs };
            store.write_sqn_ceilings(vec![c]).await.unwrap();
            let sqn = store.sim(imsi(n)).await.unwrap().sqn;
            (sqn.ceiling, sqn.offset, sqn.resyncs)
        }
    };
    assert_eq!(write(1, 100, 5, 0).await, (100, 5, 0));
    assert_eq!(write(1, 90, 5, 0).await, (100, 5, 0), "a late write of a lower ceiling is passed over");
    assert_eq!(write(1, 40, -7, 1).await, (40, -7, 1), "the card proved a lower SQN");
    assert_eq!(write(1, 200, 5, 0).await, (40, -7, 1), "a write from before that is stale");
    let ceiling = |n| SqnCeiling { imsi: imsi(n), ceiling: 64, offset: 0, resyncs: 0 };
    store.write_sqn_ceilings(vec![ceiling(2), ceiling(9), ceiling(3)]).await.unwrap();
    assert_eq!(store.sim(imsi(3)).await.unwrap().sqn.ceiling, 64);
    assert_eq!(store.sim(imsi(3)).await.unwrap().version, 1, "nobody changed the SIM");
    // Many at once, and one SIM more than once: its newest counts.
    let high = |(high, resyncs)| SqnCeiling { ceiling: high, resyncs, ..ceiling(2) };
    let many = (1_000..1_300).map(ceiling).chain([(80, 0), (90, 0), (70, 0)].map(high));
    store.write_sqn_ceilings(many.collect()).await.unwrap();
    let sqn = async |n| store.sim(imsi(n)).await.unwrap().sqn.ceiling;
    assert_eq!((sqn(2).await, sqn(3).await), (90, 64));
});

on_both!(the_horizon_only_rises_and_is_folded_into_the_sims_that_follow_the_clock, |store| {
    site(&store).await;
    for (n, mode, offset, ceiling) in
        [(1, "time", -900, 7), (2, "time", -100, 950), (3, "counter", -900, 7), (4, "time", -5_000, 0)]
    {
        let mut row = sim(n);
        (row.sqn.mode, row.sqn.offset, row.sqn.ceiling) = (mode.to_owned(), offset, ceiling);
        store.create_sim(row, &by("alice")).await.unwrap();
    }
    assert_eq!(store.sqn_horizon().await.unwrap(), None);
    store.fold_sqn_horizon().await.unwrap();
    for (told, stored) in [(1_000, 1_000), (999, 1_000), (1_001, 1_001)] {
        store.raise_sqn_horizon(told).await.unwrap();
        assert_eq!(store.sqn_horizon().await.unwrap(), Some(stored));
    }
    store.fold_sqn_horizon().await.unwrap();
    assert_eq!(store.sqn_horizon().await.unwrap(), None);
    let mut ceilings = Vec::new();
    for n in 1..=4 {
        ceilings.push(store.sim(imsi(n)).await.unwrap().sqn.ceiling);
    }
    assert_eq!(ceilings, [101, 950, 7, 0], "above its own, above the horizon, it counts, made far ahead");
    store.set_meta("sqn-horizon", "soon".to_owned()).await.unwrap();
    assert!(matches!(store.sqn_horizon().await, Err(StoreError::Unavailable(_))));
    assert!(store.raise_sqn_horizon(2_000).await.is_err(), "what it was cannot be said to be lower");
});

on_both!(a_list_pages_and_filters, |store| {
    site(&store).await;
    for n in 1..=7 {
        let mut row = sim(n);
        if n.is_multiple_of(2) {
            row.groups = ["plc".parse().unwrap()].into();
        }
        if n == 5 {
            row.label = "100%_sure".to_owned();
        }
        store.create_sim(row, &by("alice")).await.unwrap();
    }
    store.change_sim_state(imsi(4), SimState::Lost, StateChange::Ban, &by("soc")).await.unwrap();

    let all = SimFilter::default();
    let first = store.sims(&all, None, 3).await.unwrap();
    assert_eq!(first.items.iter().map(|s| s.imsi).collect::<Vec<_>>(), [imsi(1), imsi(2), imsi(3)]);
    assert_eq!(first.items[1].groups.len(), 1, "a page has its groups");
    let second = store.sims(&all, first.next.as_deref(), 3).await.unwrap();
    let third = store.sims(&all, second.next.as_deref(), 3).await.unwrap();
    assert_eq!((third.items.len(), third.next), (1, None));

    let some = |f: SimFilter| {
        let store = store.clone();
        async move {
            let page = store.sims(&f, None, 100).await.unwrap();
            page.items.iter().map(|s| s.imsi).collect::<Vec<_>>()
        }
    };
    let plc = SimFilter { group: Some("plc".parse().unwrap()), ..SimFilter::default() };
    assert_eq!(some(plc.clone()).await, [imsi(2), imsi(4), imsi(6)]);
    let lost_plc = SimFilter { state: Some(SimState::Lost), ..plc };
    assert_eq!(some(lost_plc).await, [imsi(4)]);
    let text = |t: &str| SimFilter { text: Some(t.to_owned()), ..SimFilter::default() };
    assert_eq!(some(text("lAPTOP 7")).await, [imsi(7)]);
    assert_eq!(some(text("%_")).await, [imsi(5)], "signs of LIKE are plain letters");
    assert_eq!(some(text("0000000006")).await, [imsi(6)]);
    let counts = store.count_sims().await.unwrap();
    assert!(counts.contains(&(SimState::Ready, 6)) && counts.contains(&(SimState::Lost, 1)));
});

#[test]
fn a_sim_shows_no_key_in_debug() {
    let text = format!("{:?}", sim(171));
    assert!(!text.contains("171, 171"), "{text}");
}
