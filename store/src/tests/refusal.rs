//! Where the audit cannot be written a change is refused and leaves no trace; a ban is not (DESIGN §5).

use super::{T0, by, imsi, on_both, sim, site};
use crate::{AuditVerdict, NewAlert, SimEdit, StateChange, Store, StoreError};
use types::{AlertKind, AlertState, Group, Severity, SimState, Utc};

/// Nothing can be put into the audit any longer.
async fn break_audit(store: &Store) {
    let sqlite = store.kind() == "sqlite";
    let sql = if sqlite {
        "CREATE TRIGGER no_audit BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no audit'); END"
    } else {
        "ALTER TABLE audit ADD CONSTRAINT no_audit CHECK (seq < 0) NOT VALID"
    };
    store.write(move |tx| Box::pin(async move { tx.exec(sql, vec![]).await })).await.unwrap();
}

async fn mend_audit(store: &Store) {
    let sqlite = store.kind() == "sqlite";
    let sql = if sqlite { "DROP TRIGGER no_audit" } else { "ALTER TABLE audit DROP CONSTRAINT no_audit" };
    store.write(move |tx| Box::pin(async move { tx.exec(sql, vec![]).await })).await.unwrap();
}

fn refused<T: std::fmt::Debug>(r: Result<T, StoreError>) {
    assert!(matches!(r, Err(StoreError::Unavailable(_))), "{r:?}");
}

on_both!(a_change_without_its_audit_row_is_none, |store| {
    site(&store).await;
    store.create_sim(sim(1), &by("alice")).await.unwrap();
    let alert = NewAlert {
        at: T0,
        kind: AlertKind::Alarm,
        severity: Severity::Warning,
        imsi: None,
        subject: String::new(),
        what: serde_json::Value::Null,
    };
    store.append_events_and_alerts(vec![], vec![alert]).await.unwrap();
    let before = (store.sim(imsi(1)).await.unwrap(), store.last_outbox().await.unwrap());
    let generation = store.policy_generation().await.unwrap();

    break_audit(&store).await;
    refused(store.create_sim(sim(2), &by("alice")).await);
    let edit = SimEdit { label: Some("other".to_owned()), ..SimEdit::default() };
    refused(store.change_sim(imsi(1), None, None, edit, &by("alice")).await);
    refused(store.change_sim_state(imsi(1), SimState::Suspended, StateChange::Ordinary, &by("alice")).await);
    let group: Group = serde_json::from_value(serde_json::json!({ "name": "new", "label": "" })).unwrap();
    refused(store.create(group, None, &by("alice")).await);
    refused(store.delete::<Group>("plc".to_owned(), None, None, &by("alice")).await);
    refused(store.answer_alert(1, AlertState::Closed, &by("alice")).await);
    refused(store.audit_note(&by("alice"), "audit.export", "audit".to_owned(), None).await);

    assert_eq!((store.sim(imsi(1)).await.unwrap(), store.last_outbox().await.unwrap()), before);
    assert_eq!(store.policy_generation().await.unwrap(), generation);
    assert_eq!(store.alert(1).await.unwrap().state, AlertState::Open);
    assert_eq!(store.all_sims().await.unwrap().len(), 1);
    mend_audit(&store).await;
    store.create_sim(sim(2), &by("alice")).await.unwrap();
    assert!(matches!(store.audit_verify().await.unwrap(), AuditVerdict::Whole { .. }));
});

on_both!(a_ban_goes_on_and_its_row_is_written_when_it_can_be, |store| {
    site(&store).await;
    store.create_sim(sim(1), &by("alice")).await.unwrap();
    let rows = store.audit_counted().await.unwrap();
    break_audit(&store).await;
    let banned =
        store.change_sim_state(imsi(1), SimState::Stolen, StateChange::Ban, &by("soc")).await.unwrap();
    assert_eq!(banned.state, SimState::Stolen);
    refused(store.change_sim_state(imsi(1), SimState::Active, StateChange::Unban, &by("soc")).await);
    assert_eq!(store.audit_counted().await.unwrap(), rows, "no number was used up");
    refused(store.pay_audit().await);
    let owed = store.audit_examine(crate::AuditChain::default(), |_, _| {}).await.unwrap();
    assert_eq!((owed.owed, owed.verdict), (1, AuditVerdict::Whole { rows }));

    mend_audit(&store).await;
    assert_eq!(store.pay_audit().await.unwrap(), 1);
    assert_eq!(store.pay_audit().await.unwrap(), 0);
    let row = store.audit(None, None, 1).await.unwrap().items.remove(0);
    assert_eq!(
        (row.action.as_str(), row.actor.as_str(), row.reason.as_str()),
        ("sim.state", "soc", "because")
    );
    assert!(row.after.as_ref().unwrap().contains("stolen"));
    assert!(row.at == T0 && row.written != Utc(0) && row.written != T0, "both times");
    assert_eq!(store.audit_verify().await.unwrap(), AuditVerdict::Whole { rows: rows + 1 });
});
