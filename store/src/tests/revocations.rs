//! A ban is one transaction; an unban needs its second person; heads only rise.

use super::{by, imsi, on_both, sim, site};
use crate::{
    AuditFilter, Claim, Kept, KeptAnswer, ReceiptRow, RestrictionRow, RevocationFilter, RevocationRow,
    RevocationWrite, StateChange, StoreError, UnbanOf, UnbanRequestRow,
};
use types::{SimState, Utc};

fn record(id: &str, kind: &str) -> RevocationRow {
    RevocationRow {
        id: id.to_owned(),
        at: Utc(1),
        kind: kind.to_owned(),
        scope: "sim".to_owned(),
        value: imsi(1).to_string(),
        state: Some(SimState::Lost),
        actor: "soc".to_owned(),
        reason: "taxi".to_owned(),
        ticket: "T-1".to_owned(),
        request_id: "r".to_owned(),
        origin: "192.0.2.9".to_owned(),
        sims: 1,
        detail: "{}".to_owned(),
    }
}

fn receipt(revocation: &str, version: u64) -> ReceiptRow {
    ReceiptRow {
        revocation: revocation.to_owned(),
        imsi: imsi(1),
        version,
        body: format!("{{\"version\":{version}}}"),
        signature: "aa".to_owned(),
        pending: "no-copy".to_owned(),
        closed: None,
    }
}

fn ban(id: &str) -> RevocationWrite {
    RevocationWrite {
        record: Some(record(id, "ban")),
        states: vec![(imsi(1), SimState::Lost)],
        receipts: vec![receipt(id, 1)],
        head: Some((4, [4; 32])),
        kept: Some(KeptAnswer {
            actor: "soc".to_owned(),
            key: "k".to_owned(),
            fingerprint: vec![1],
            answer: Kept { status: 200, body: b"x".to_vec(), etag: None },
        }),
        ..RevocationWrite::new(StateChange::Ban, by("soc"))
    }
}

on_both!(a_ban_is_written_whole, |store| {
    site(&store).await;
    store.create_sim(sim(1), &by("it")).await.unwrap();
    store.write_revocation(ban("01")).await.unwrap();
    assert_eq!(store.sim(imsi(1)).await.unwrap().state, SimState::Lost);
    assert_eq!(store.revocation("01").await.unwrap(), record("01", "ban"));
    assert_eq!(store.open_receipts().await.unwrap(), [receipt("01", 1)]);
    assert_eq!(store.journal_head().await.unwrap(), Some((4, [4; 32])));
    assert!(matches!(store.claim_seen("soc", "k", &[1]).await.unwrap(), Claim::Done(_)));
    assert_eq!(store.claim_seen("soc", "k", &[2]).await.unwrap(), Claim::Other);
    // Once more, as a retry does: nothing is doubled. A head that is older changes nothing.
    let again = RevocationWrite { head: Some((3, [3; 32])), ..ban("01") };
    store.write_revocation(again).await.unwrap();
    assert_eq!(store.journal_head().await.unwrap(), Some((4, [4; 32])));
    let all = store.revocations(&RevocationFilter::default(), None, 10).await.unwrap();
    assert_eq!(all.items.len(), 1);
    // A later version takes the place of an earlier one, never the other way round.
    store.update_receipts(vec![receipt("01", 3)]).await.unwrap();
    store.update_receipts(vec![receipt("01", 2)]).await.unwrap();
    assert_eq!(store.receipts("01", None, 10).await.unwrap().items, [receipt("01", 3)]);
    let filter = RevocationFilter { imsi: Some(imsi(1)), ..Default::default() };
    assert_eq!(store.revocations(&filter, None, 10).await.unwrap().items.len(), 1);
    let filter = RevocationFilter { imsi: Some(imsi(2)), ..Default::default() };
    assert!(store.revocations(&filter, None, 10).await.unwrap().items.is_empty());
});

on_both!(an_unban_that_is_not_allowed_leaves_nothing, |store| {
    site(&store).await;
    store.create_sim(sim(1), &by("it")).await.unwrap();
    let unban = RevocationWrite {
        record: Some(record("02", "unban")),
        states: vec![(imsi(1), SimState::Active)],
        receipts: vec![receipt("02", 1)],
        ..RevocationWrite::new(StateChange::Unban, by("soc"))
    };
    let e = store.write_revocation(unban.clone()).await.unwrap_err();
    assert!(matches!(e, StoreError::Transition(_)), "{e}");
    assert_eq!(store.revocation("02").await, Err(StoreError::NotFound));
    assert!(store.open_receipts().await.unwrap().is_empty());
    store.write_revocation(ban("01")).await.unwrap();
    let closing = ReceiptRow { closed: Some(Utc(9)), ..receipt("01", 2) };
    let unban = RevocationWrite { receipts: vec![closing], ..unban };
    store.write_revocation(unban).await.unwrap();
    assert_eq!(store.sim(imsi(1)).await.unwrap().state, SimState::Active);
    assert!(store.open_receipts().await.unwrap().is_empty());
});

on_both!(a_ban_of_a_sim_that_is_gone_or_retired_is_recorded_all_the_same, |store| {
    store.write_revocation(ban("01")).await.unwrap();
    site(&store).await;
    store.create_sim(sim(1), &by("it")).await.unwrap();
    store.change_sim_state(imsi(1), SimState::Retired, StateChange::Ordinary, &by("it")).await.unwrap();
    store.write_revocation(RevocationWrite { kept: None, ..ban("02") }).await.unwrap();
    assert_eq!(store.sim(imsi(1)).await.unwrap().state, SimState::Retired);
    assert_eq!(store.revocation("02").await.unwrap().id, "02");
});

on_both!(a_restriction_is_there_until_it_is_taken_away, |store| {
    let row = RestrictionRow {
        kind: "panic".to_owned(),
        value: "office".to_owned(),
        at: Utc(1),
        actor: "soc".to_owned(),
        reason: "worm".to_owned(),
        revocation: "01".to_owned(),
    };
    let write = |on| RevocationWrite {
        restriction: Some((row.clone(), on)),
        ..RevocationWrite::new(StateChange::Ban, by("soc"))
    };
    store.write_revocation(write(true)).await.unwrap();
    store.write_revocation(write(true)).await.unwrap();
    assert_eq!(store.restrictions().await.unwrap(), std::slice::from_ref(&row));
    store.write_revocation(write(false)).await.unwrap();
    assert!(store.restrictions().await.unwrap().is_empty());
});

on_both!(an_unban_request_is_decided_once_and_in_time, |store| {
    site(&store).await;
    store.create_sim(sim(1), &by("it")).await.unwrap();
    store.write_revocation(ban("01")).await.unwrap();
    let row = UnbanRequestRow {
        id: "0a".to_owned(),
        at: Utc(10),
        expires: Utc(20),
        of: UnbanOf::Sim { imsi: imsi(1), to: SimState::Active },
        asked_by: "helpdesk".to_owned(),
        reason: "found".to_owned(),
        ticket: String::new(),
        state: "open".to_owned(),
        decided_by: None,
        decided: None,
        words: None,
    };
    store.ask_unban(row.clone(), &by("helpdesk")).await.unwrap();
    let second = UnbanRequestRow { id: "0b".to_owned(), ..row.clone() };
    assert!(matches!(
        store.ask_unban(second.clone(), &by("helpdesk")).await,
        Err(StoreError::Conflict { .. })
    ));
    let at = |t| crate::Change { at: Utc(t), ..by("owner") };
    let unban = |t| RevocationWrite {
        states: vec![(imsi(1), SimState::Active)],
        approves: Some(("0a".to_owned(), "owner".to_owned())),
        ..RevocationWrite::new(StateChange::Unban, at(t))
    };
    // Too late: the unban itself does not happen either.
    assert!(matches!(store.write_revocation(unban(20)).await, Err(StoreError::Conflict { .. })));
    assert_eq!(store.sim(imsi(1)).await.unwrap().state, SimState::Lost);
    store.write_revocation(unban(19)).await.unwrap();
    assert_eq!(store.sim(imsi(1)).await.unwrap().state, SimState::Active);
    let done = store.unban_request("0a").await.unwrap();
    assert_eq!((done.state.as_str(), done.decided_by.as_deref()), ("approved", Some("owner")));
    assert!(store.refuse_unban("0a".to_owned(), "x".to_owned(), &at(19)).await.is_err());
    // The next one runs out.
    store.ask_unban(second, &by("helpdesk")).await.unwrap();
    assert_eq!(store.expire_unbans(Utc(19)).await.unwrap(), 0);
    assert_eq!(store.expire_unbans(Utc(20)).await.unwrap(), 1);
    assert_eq!(store.unban_request("0b").await.unwrap().state, "expired");
});

on_both!(what_each_operation_did_is_in_the_audit_with_who_and_in_which_request, |store| {
    site(&store).await;
    store.create_sim(sim(1), &by("it")).await.unwrap();
    let asked = |request: &str| crate::Change { request_id: request.to_owned(), ..by("soc") };
    let row =
        |id: &str, kind: &str, scope: &str| RevocationRow { scope: scope.to_owned(), ..record(id, kind) };
    let restriction = |kind: &str, value: &str| RestrictionRow {
        kind: kind.to_owned(),
        value: value.to_owned(),
        at: Utc(1),
        actor: "soc".to_owned(),
        reason: "worm".to_owned(),
        revocation: "01".to_owned(),
    };
    for (n, (kind, scope, what, on)) in [
        ("quarantine", "sim", "quarantine", true),
        ("release", "sim", "quarantine", false),
        ("panic", "group", "panic", true),
        ("calm", "group", "panic", false),
        ("ban", "imei", "device", true),
        ("unban", "imei", "device", false),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("0{n}");
        let write = RevocationWrite {
            record: Some(row(&id, kind, scope)),
            restriction: Some((restriction(what, "x"), on)),
            ..RevocationWrite::new(StateChange::Ban, asked(kind))
        };
        store.write_revocation(write).await.unwrap();
        assert_eq!(store.restrictions().await.unwrap().len(), usize::from(on), "{kind}");
        let filter = AuditFilter {
            object: Some(format!("revocation:{id}")),
            request_id: Some(kind.to_owned()),
            ..Default::default()
        };
        let found = store.audit_list(&filter, None, 10).await.unwrap().items;
        let [line] = found.as_slice() else { panic!("{kind}: {found:?}") };
        assert_eq!((line.actor.as_str(), line.action.as_str()), ("soc", "revocation.create"), "{kind}");
        assert_eq!(line.before, None);
        let after = line.after.clone().unwrap();
        assert!(after.contains(&format!("\"kind\":\"{kind}\"")) && after.contains(scope), "{after}");
    }
});

on_both!(an_unban_of_a_device_waits_for_a_second_person_as_a_sims_does, |store| {
    let device: types::DevicePattern = "35693803564380".parse().unwrap();
    let row = UnbanRequestRow {
        id: "0a".to_owned(),
        at: Utc(10),
        expires: Utc(20),
        of: UnbanOf::Device(device),
        asked_by: "helpdesk".to_owned(),
        reason: "found".to_owned(),
        ticket: String::new(),
        state: "open".to_owned(),
        decided_by: None,
        decided: None,
        words: None,
    };
    store.ask_unban(row.clone(), &by("helpdesk")).await.unwrap();
    let second = UnbanRequestRow { id: "0b".to_owned(), ..row.clone() };
    assert!(store.ask_unban(second, &by("helpdesk")).await.is_err(), "one at a time");
    assert_eq!(store.unban_request("0a").await.unwrap(), row);
    let write = RevocationWrite {
        approves: Some(("0a".to_owned(), "owner".to_owned())),
        ..RevocationWrite::new(
            StateChange::Unban,
            crate::Change { at: Utc(15), request_id: "r".to_owned(), ..by("owner") },
        )
    };
    store.write_revocation(write).await.unwrap();
    assert_eq!(store.unban_request("0a").await.unwrap().state, "approved");
    let filter = AuditFilter { request_id: Some("r".to_owned()), ..Default::default() };
    let found = store.audit_list(&filter, None, 10).await.unwrap().items;
    let [line] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((line.action.as_str(), line.object.as_str()), ("unban-request.decide", "unban-request:0a"));
    assert_eq!(line.before.as_deref(), Some("{\"state\":\"open\"}"));
    let after = line.after.clone().unwrap();
    assert!(after.contains("approved") && after.contains("35693803564380"), "{after}");
});
