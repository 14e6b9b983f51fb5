//! The chain: whatever is done to it from outside is found, and named.

use super::{by, on_both};
use crate::{
    AuditChain, AuditCheckpoint, AuditFault, AuditFilter, AuditReport, AuditRow, AuditVerdict, Change,
    ClockMark, Store, db::args,
};
use types::Utc;

async fn notes(store: &Store, n: u32) {
    for i in 0..n {
        let detail = serde_json::json!({ "no": i, "text": "日本語 \"quoted\"" });
        store.audit_note(&by("alice"), "token.use", format!("thing:{i}"), Some(detail)).await.unwrap();
    }
}

/// What nobody but a database's own tools does.
pub(super) async fn sql(store: &Store, sql: &'static str) {
    store.write(move |tx| Box::pin(async move { tx.exec(sql, vec![]).await })).await.unwrap();
}

async fn look(store: &Store) -> AuditReport {
    store.audit_examine(AuditChain::default(), |_, _| {}).await.unwrap()
}

fn broken(seq: u64, fault: AuditFault) -> AuditVerdict {
    AuditVerdict::Broken { seq, fault }
}

on_both!(every_column_of_every_row_is_held, |store| {
    notes(&store, 4).await;
    assert_eq!(look(&store).await.verdict, AuditVerdict::Whole { rows: 4 });
    for (flip, back) in [
        ("UPDATE audit SET at = at + 1 WHERE seq = 2", "UPDATE audit SET at = at - 1 WHERE seq = 2"),
        (
            "UPDATE audit SET written = written + 1 WHERE seq = 2",
            "UPDATE audit SET written = written - 1 WHERE seq = 2",
        ),
        ("UPDATE audit SET clock_back = 5 WHERE seq = 2", "UPDATE audit SET clock_back = NULL WHERE seq = 2"),
        ("UPDATE audit SET actor = 'alicf' WHERE seq = 2", "UPDATE audit SET actor = 'alice' WHERE seq = 2"),
        ("UPDATE audit SET origin = '::1' WHERE seq = 2", "UPDATE audit SET origin = '' WHERE seq = 2"),
        (
            "UPDATE audit SET action = 'token.usf' WHERE seq = 2",
            "UPDATE audit SET action = 'token.use' WHERE seq = 2",
        ),
        (
            "UPDATE audit SET object = 'thing:9' WHERE seq = 2",
            "UPDATE audit SET object = 'thing:1' WHERE seq = 2",
        ),
        ("UPDATE audit SET before = '' WHERE seq = 2", "UPDATE audit SET before = NULL WHERE seq = 2"),
        (
            "UPDATE audit SET reason = 'becausf' WHERE seq = 2",
            "UPDATE audit SET reason = 'because' WHERE seq = 2",
        ),
        (
            "UPDATE audit SET request_id = 'r2' WHERE seq = 2",
            "UPDATE audit SET request_id = 'r1' WHERE seq = 2",
        ),
    ] {
        sql(&store, flip).await;
        assert_eq!(look(&store).await.verdict, broken(2, AuditFault::Changed), "{flip}");
        sql(&store, back).await;
        assert_eq!(look(&store).await.verdict, AuditVerdict::Whole { rows: 4 }, "{back}");
    }
    sql(&store, "UPDATE audit SET form = 1 WHERE seq = 3").await;
    assert_eq!(look(&store).await.verdict, broken(3, AuditFault::UnknownForm), "form 1 has no such columns");
    sql(&store, "UPDATE audit SET form = 7 WHERE seq = 3").await;
    assert_eq!(look(&store).await.verdict, broken(3, AuditFault::UnknownForm));
});

on_both!(deleted_reordered_foreign_and_cut_rows_are_named, |store| {
    notes(&store, 8).await;
    // 3 and 5 change places.
    sql(&store, "UPDATE audit SET seq = 100 WHERE seq = 3").await;
    assert_eq!(look(&store).await.verdict, broken(3, AuditFault::Missing));
    sql(&store, "UPDATE audit SET seq = 3 WHERE seq = 5").await;
    sql(&store, "UPDATE audit SET seq = 5 WHERE seq = 100").await;
    assert_eq!(look(&store).await.verdict, broken(3, AuditFault::Moved { to: 5 }));
    sql(&store, "UPDATE audit SET seq = 100 WHERE seq = 3").await;
    sql(&store, "UPDATE audit SET seq = 3 WHERE seq = 5").await;
    sql(&store, "UPDATE audit SET seq = 5 WHERE seq = 100").await;
    assert_eq!(look(&store).await.verdict, AuditVerdict::Whole { rows: 8 });

    // A row is put in at 6: the ones behind it make room.
    sql(&store, "UPDATE audit SET seq = -seq - 1 WHERE seq >= 6").await;
    sql(&store, "UPDATE audit SET seq = -seq WHERE seq < 0").await;
    sql(
        &store,
        "INSERT INTO audit SELECT 6, at, 'mallory', action, object, before, after, reason, request_id, hash, origin,
         form, written, clock_back FROM audit WHERE seq = 5",
    )
    .await;
    assert_eq!(look(&store).await.verdict, broken(6, AuditFault::Foreign));
    sql(&store, "DELETE FROM audit WHERE seq = 6").await;
    sql(&store, "UPDATE audit SET seq = seq - 1 + 1000 WHERE seq > 6").await;
    sql(&store, "UPDATE audit SET seq = seq - 1000 WHERE seq > 1000").await;
    assert_eq!(look(&store).await.verdict, AuditVerdict::Whole { rows: 8 });

    sql(&store, "DELETE FROM audit WHERE seq >= 7").await;
    assert_eq!(look(&store).await.verdict, broken(7, AuditFault::Cut { written: 8 }));
    sql(&store, "DELETE FROM audit WHERE seq = 4").await;
    assert_eq!(look(&store).await.verdict, broken(4, AuditFault::Missing));
});

// What whoever has the whole database can do: rows cut, the counter turned back, new rows chained behind.
on_both!(a_tail_that_was_written_anew_is_found_by_what_was_signed, |store| {
    notes(&store, 6).await;
    let rows = store.audit_after(0, 100).await.unwrap();
    let signed = |r: &AuditRow| AuditCheckpoint {
        seq: r.seq,
        hash: r.hash.clone(),
        at: Utc(77),
        public_key: String::new(),
        signature: String::new(),
    };
    let checkpoints = vec![signed(&rows[2]), signed(&rows[5])];
    let against =
        async || store.audit_examine(AuditChain::new(checkpoints.clone()), |_, _| {}).await.unwrap().verdict;
    assert_eq!(against().await, AuditVerdict::Whole { rows: 6 });

    sql(&store, "DELETE FROM audit WHERE seq >= 5").await;
    sql(&store, "UPDATE counters SET value = 4 WHERE name = 'audit'").await;
    assert_eq!(
        look(&store).await.verdict,
        AuditVerdict::Whole { rows: 4 },
        "the table alone knows of nothing"
    );
    assert_eq!(against().await, broken(5, AuditFault::Cut { written: 6 }));
    notes(&store, 4).await;
    assert_eq!(look(&store).await.verdict, AuditVerdict::Whole { rows: 8 });
    assert_eq!(against().await, broken(6, AuditFault::NotAsSigned { signed: Utc(77) }));

    sql(&store, "UPDATE counters SET value = 7 WHERE name = 'audit'").await;
    assert_eq!(look(&store).await.verdict, broken(8, AuditFault::Foreign), "a row that nobody counted");
});

on_both!(a_clock_that_was_turned_back_is_told_by_the_row_that_was_written_then, |store| {
    notes(&store, 1).await;
    let now = store.audit_after(0, 1).await.unwrap()[0].written;
    let write_at = |ms: i64| {
        let store = store.clone();
        let saying = crate::audit::Saying::new(&by("alice"), "token.use", "x".to_owned(), None, None);
        async move {
            store
                .write(move |tx| Box::pin(async move { tx.append_audit(vec![saying], Utc(ms)).await }))
                .await
                .unwrap();
        }
    };
    write_at(now.0 + 60_000).await;
    // Half a second is what a time service does; ten minutes is not.
    write_at(now.0 + 59_500).await;
    write_at(now.0 - 540_000).await;
    write_at(now.0 - 539_000).await;
    let report = look(&store).await;
    assert_eq!(report.verdict, AuditVerdict::Whole { rows: 5 });
    assert_eq!(report.clock_back, [ClockMark { seq: 4, back_ms: 599_500 }]);

    // The same without the mark, with a hash that fits: a row that this system did not write so.
    let mut row = store.audit_after(3, 1).await.unwrap().remove(0);
    let previous = store.audit_after(2, 1).await.unwrap().remove(0);
    row.clock_back = None;
    row.hash = row.chained(&previous.hash).unwrap();
    let set = "UPDATE audit SET clock_back = NULL, hash = $1 WHERE seq = 4";
    store.write(move |tx| Box::pin(async move { tx.exec(set, args![row.hash]).await })).await.unwrap();
    assert_eq!(look(&store).await.verdict, broken(4, AuditFault::ClockUnmarked { back_ms: 599_500 }));
});

on_both!(rows_of_the_first_form_still_hold, |store| {
    // As the version before wrote them: form 1, nothing in the columns that came later.
    let mut previous = Vec::new();
    for seq in 1..=3u64 {
        let mut row = AuditRow {
            seq,
            at: Utc(1_000 * seq as i64),
            written: Utc(0),
            clock_back: None,
            actor: "init".to_owned(),
            origin: String::new(),
            action: "token.create".to_owned(),
            object: "token:1".to_owned(),
            before: None,
            after: Some("{}".to_owned()),
            reason: String::new(),
            request_id: String::new(),
            form: 1,
            hash: Vec::new(),
        };
        row.hash = row.chained(&previous).unwrap();
        previous.clone_from(&row.hash);
        let insert =
            "INSERT INTO audit (seq, at, actor, action, object, before, after, reason, request_id, hash)
                      VALUES ($1, $2, 'init', 'token.create', 'token:1', NULL, '{}', '', '', $3)";
        store
            .write(move |tx| {
                Box::pin(async move {
                    tx.count_up("audit", 1).await?;
                    tx.exec(insert, args![row.seq, row.at, row.hash]).await
                })
            })
            .await
            .unwrap();
    }
    notes(&store, 2).await;
    assert_eq!(look(&store).await.verdict, AuditVerdict::Whole { rows: 5 });
    sql(&store, "UPDATE audit SET origin = '10.0.0.1' WHERE seq = 2").await;
    assert_eq!(look(&store).await.verdict, broken(2, AuditFault::UnknownForm), "a place that form 1 has not");
});

on_both!(a_row_leaves_as_json_and_comes_back_to_the_octet, |store| {
    notes(&store, 3).await;
    let odd = Change { origin: "192.0.2.7".to_owned(), ..by("bob") };
    store.audit_note(&odd, "token.use", "x".to_owned(), Some(serde_json::json!("only text"))).await.unwrap();
    sql(&store, "UPDATE audit SET after = '{ \"spaced\": 1 }' WHERE seq = 2").await;
    let mut chain = AuditChain::default();
    for row in store.audit_after(0, 10).await.unwrap() {
        let line = row.to_json().to_string();
        let back = AuditRow::from_json(&serde_json::from_str(&line).unwrap()).unwrap();
        assert_eq!(back, row, "{line}");
        if row.seq == 1 {
            chain.take(&back).unwrap();
            assert!(row.to_json()["after"].is_object(), "readable where it can be");
        }
    }
    let c = AuditCheckpoint {
        seq: 4,
        hash: vec![1, 2],
        at: Utc(5),
        public_key: "aa".to_owned(),
        signature: "bb".to_owned(),
    };
    assert_eq!(AuditCheckpoint::from_json(&c.to_json()), Some(c.clone()));
    store.add_audit_checkpoint(c.clone()).await.unwrap();
    store.add_audit_checkpoint(c.clone()).await.unwrap();
    assert_eq!(store.audit_checkpoints().await.unwrap(), [c]);
    let kinds: Vec<_> = store.outbox(0, 100).await.unwrap().iter().map(|r| r.kind.as_str()).collect();
    assert_eq!(kinds, ["audit", "audit", "audit", "audit", "checkpoint"], "told once");
});

on_both!(the_audit_is_narrowed_by_who_what_when_and_in_which_request, |store| {
    notes(&store, 3).await;
    let other = Change { request_id: "r9".to_owned(), at: Utc(5), ..by("bob") };
    store.audit_note(&other, "alert.close", "alert:1".to_owned(), None).await.unwrap();
    let seqs = |f: AuditFilter| {
        let store = store.clone();
        async move {
            let rows = store.audit_list(&f, None, 100).await.unwrap().items;
            rows.iter().map(|r| r.seq).collect::<Vec<_>>()
        }
    };
    let some = |t: &str| Some(t.to_owned());
    assert_eq!(seqs(AuditFilter { actor: some("bob"), ..Default::default() }).await, [4]);
    assert_eq!(seqs(AuditFilter { action: some("token.use"), ..Default::default() }).await, [3, 2, 1]);
    assert_eq!(seqs(AuditFilter { action: some("alert."), ..Default::default() }).await, [4]);
    assert_eq!(seqs(AuditFilter { action: some("token"), ..Default::default() }).await, Vec::<u64>::new());
    assert_eq!(seqs(AuditFilter { request_id: some("r9"), ..Default::default() }).await, [4]);
    assert_eq!(seqs(AuditFilter { until: Some(Utc(6)), ..Default::default() }).await, [4]);
    assert_eq!(seqs(AuditFilter { from: Some(Utc(6)), ..Default::default() }).await, [3, 2, 1]);
});
