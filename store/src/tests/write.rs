//! The writer, the chain of the audit, and what happens when the disk or the database does not play along.

use super::{by, imsi, on_both, sim, site};
use crate::{
    AuditFault, AuditVerdict, Clash, Store, StoreError,
    db::{Db, args},
};
use types::Group;

on_both!(many_changes_share_commits_and_a_refused_one_takes_nothing_along, |store| {
    site(&store).await;
    store.create_sim(sim(0), &by("alice")).await.unwrap();
    let tasks: Vec<_> = (0..200u32)
        .map(|n| {
            let store = store.clone();
            // Every fourth has the K of SIM 0.
            let mut row = sim(n + 1);
            if n.is_multiple_of(4) {
                row.fingerprint = sim(0).fingerprint;
            }
            tokio::spawn(async move { store.create_sim(row, &by("alice")).await })
        })
        .collect();
    let (mut made, mut refused) = (0, 0);
    for t in tasks {
        match t.await.unwrap() {
            Ok(_) => made += 1,
            Err(e) => {
                assert_eq!(e, StoreError::Conflict { what: Clash::Key });
                refused += 1;
            }
        }
    }
    assert_eq!((made, refused), (150, 50));
    assert_eq!(store.all_sims().await.unwrap().len(), 151);
    // Four of the site, 151 SIMs: one row each, in one unbroken chain.
    assert_eq!(store.audit_verify().await.unwrap(), AuditVerdict::Whole { rows: 155 });
});

on_both!(a_statement_that_waits_fails_its_own_change_and_no_other, |store| {
    let put = |key: String| {
        let store = store.clone();
        tokio::spawn(async move {
            let insert = "INSERT INTO meta (key, value) VALUES ($1, $2)";
            let update = "UPDATE meta SET value = $2 WHERE key = $1";
            store
                .write(move |tx| {
                    Box::pin(async move {
                        tx.later(insert, args![&key, "x"]).await?;
                        tx.later(update, args![&key, "y"]).await
                    })
                })
                .await
        })
    };
    // Every other one clashes with the one before.
    let all: Vec<_> = (0..100).map(|n| put(format!("k{}", n / 2))).collect();
    let mut refused = 0;
    for p in all {
        refused += u32::from(p.await.unwrap().is_err());
    }
    assert_eq!(refused, 50);
    let kept =
        store.db.rows("SELECT key FROM meta WHERE key LIKE 'k%' AND value = 'y'", vec![]).await.unwrap();
    assert_eq!(kept.len(), 50);
});

on_both!(one_altered_deleted_or_cut_audit_row_is_found, |store| {
    site(&store).await;
    for n in 1..=5 {
        store.create_sim(sim(n), &by("alice")).await.unwrap();
    }
    assert_eq!(store.audit_verify().await.unwrap(), AuditVerdict::Whole { rows: 9 });
    let tamper = |sql: &'static str| {
        let store = store.clone();
        async move {
            store.write(move |tx| Box::pin(async move { tx.exec(sql, vec![]).await })).await.unwrap();
            store.audit_verify().await.unwrap()
        }
    };
    let broken = |seq, fault| AuditVerdict::Broken { seq, fault };
    let changed = tamper("UPDATE audit SET actor = 'bob' WHERE seq = 7").await;
    assert_eq!(changed, broken(7, AuditFault::Changed));
    let whole = tamper("UPDATE audit SET actor = 'alice' WHERE seq = 7").await;
    assert_eq!(whole, AuditVerdict::Whole { rows: 9 });
    let cut = tamper("DELETE FROM audit WHERE seq = 9").await;
    assert_eq!(cut, broken(9, AuditFault::Cut { written: 9 }));
    assert_eq!(tamper("DELETE FROM audit WHERE seq = 3").await, broken(3, AuditFault::Missing));
});

#[tokio::test]
async fn what_was_acknowledged_is_there_after_the_store_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("store.db");
    let url = format!("sqlite:{}", path.display());
    let store = Store::open(&url).await.unwrap();
    site(&store).await;
    store.create_sim(sim(1), &by("alice")).await.unwrap();
    store.close().await;
    assert!(matches!(store.sim(imsi(1)).await, Err(StoreError::Unavailable(_))));

    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let store = Store::open(&url).await.unwrap();
    assert_eq!(store.sim(imsi(1)).await.unwrap().label, "Laptop 1");
    assert_eq!(store.kind(), "sqlite");
}

#[tokio::test]
async fn sqlite_syncs_every_commit_and_holds_references() {
    let dir = tempfile::tempdir().unwrap();
    let db = Db::open(&format!("sqlite:{}", dir.path().join("s.db").display())).await.unwrap();
    let mut tx = db.begin().await.unwrap();
    // FULL is 2; WAL is the mode of the file.
    assert_eq!(tx.one("PRAGMA synchronous", vec![]).await.unwrap().int("synchronous").unwrap(), 2);
    assert_eq!(tx.one("PRAGMA journal_mode", vec![]).await.unwrap().text("journal_mode").unwrap(), "wal");
    assert_eq!(tx.one("PRAGMA foreign_keys", vec![]).await.unwrap().int("foreign_keys").unwrap(), 1);
    assert_eq!(tx.one("PRAGMA secure_delete", vec![]).await.unwrap().int("secure_delete").unwrap(), 1);
}

#[tokio::test]
async fn a_full_disk_refuses_the_change_and_reading_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&format!("sqlite:{}", dir.path().join("s.db").display())).await.unwrap();
    site(&store).await;
    store
        .write(|tx| Box::pin(async move { tx.rows("PRAGMA max_page_count = 60", vec![]).await }))
        .await
        .unwrap();
    let mut full = None;
    for n in 0..500u32 {
        let group = Group::new(format!("g{n}").parse().unwrap(), "x".repeat(4000));
        if let Err(e) = store.create(group, None, &by("alice")).await {
            full = Some(e);
            break;
        }
    }
    assert_eq!(full, Some(StoreError::Full));
    assert_eq!(store.policy_source().await.unwrap().data_networks.len(), 2);
    let rows = store.audit(None, None, 500).await.unwrap().items.len() as u64;
    assert_eq!(store.audit_verify().await.unwrap(), AuditVerdict::Whole { rows });
}

#[tokio::test]
async fn a_database_from_the_future_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", dir.path().join("store.db").display());
    let store = Store::open(&url).await.unwrap();
    let sql = "INSERT INTO schema_steps (step, digest) VALUES (1000, x'00')";
    store.write(move |tx| Box::pin(async move { tx.exec(sql, vec![]).await })).await.unwrap();
    store.close().await;
    let refused = Store::open(&url).await.unwrap_err();
    assert!(refused.to_string().contains("newer sekisho"), "{refused}");
}

#[tokio::test]
async fn a_url_that_is_none_is_refused_with_an_example() {
    let refused = Store::open("mysql://x").await.unwrap_err();
    assert!(refused.to_string().contains("sqlite:/var/lib"), "{refused}");
    let refused = Store::open("sqlite:/nonexistent/dir/x.db").await.unwrap_err();
    assert!(refused.to_string().contains("/nonexistent/dir/x.db"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_goes_away_does_not_stop_its_change() {
    let store = Store::open("sqlite::memory:").await.unwrap();
    site(&store).await;
    let mine = store.clone();
    let caller = tokio::spawn(async move { mine.create_sim(sim(1), &by("alice")).await });
    tokio::task::yield_now().await;
    caller.abort();
    // Either it never began, or it is whole with its audit row.
    store.set_meta("after", "x".to_owned()).await.unwrap();
    let sims = store.all_sims().await.unwrap().len() as u64;
    assert_eq!(store.audit_verify().await.unwrap(), AuditVerdict::Whole { rows: 4 + sims });
}
