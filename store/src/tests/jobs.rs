//! Long runs in the store.

use super::{T0, by, on_both};
use crate::{Change, JobState, StoreError};
use serde_json::json;
use types::Utc;

on_both!(a_job_is_read_while_it_runs_and_when_it_has_ended, |store| {
    let change = Change { ticket: "INC-7".to_owned(), ..by("alice") };
    let job = store.begin_job("sim-import", "reading", None, &change).await.unwrap();
    assert_eq!((job.state, job.done, job.total), (JobState::Running, 0, None));
    assert_eq!((job.actor.as_str(), job.ticket.as_str(), job.started), ("alice", "INC-7", Some(T0)));
    store.job_progress(job.id, "applying", 5, Some(10)).await.unwrap();
    let seen = store.job(job.id).await.unwrap();
    assert_eq!((seen.phase.as_str(), seen.done, seen.total), ("applying", 5, Some(10)));

    let end = Utc(T0.0 + 9);
    let ended = store.end_job(job.id, JobState::Done, json!({ "new": 3 }), end).await.unwrap();
    assert_eq!(
        (ended.state, ended.ended, ended.result),
        (JobState::Done, Some(end), Some(json!({ "new": 3 })))
    );
    // A late word about its progress changes nothing.
    store.job_progress(job.id, "applying", 1, None).await.unwrap();
    assert_eq!(store.job(job.id).await.unwrap().phase, "ended");
    assert_eq!(store.job(job.id + 1).await, Err(StoreError::NotFound));
});

on_both!(jobs_are_listed_newest_first_and_narrowed, |store| {
    for n in 0..5 {
        let kind = if n % 2 == 0 { "sim-import" } else { "backup" };
        let job = store.begin_job(kind, "reading", None, &by("alice")).await.unwrap();
        if n < 3 {
            store.end_job(job.id, JobState::Done, json!({}), T0).await.unwrap();
        }
    }
    let ids = |p: crate::Page<crate::JobRow>| p.items.iter().map(|j| j.id).collect::<Vec<_>>();
    let page = store.jobs(None, None, None, 2).await.unwrap();
    assert_eq!(page.next.as_deref(), Some("4"));
    assert_eq!(ids(page), [5, 4]);
    assert_eq!(ids(store.jobs(None, None, Some(4), 9).await.unwrap()), [3, 2, 1]);
    assert_eq!(ids(store.jobs(Some(JobState::Running), None, None, 9).await.unwrap()), [5, 4]);
    assert_eq!(ids(store.jobs(None, Some("backup".to_owned()), None, 9).await.unwrap()), [4, 2]);

    // What a process that is gone left behind has failed, and says so.
    assert_eq!(store.fail_interrupted_jobs(T0).await.unwrap(), 2);
    let job = store.job(5).await.unwrap();
    assert_eq!((job.state, job.result), (JobState::Failed, Some(json!({ "error": "interrupted" }))));
    assert_eq!(store.job(1).await.unwrap().state, JobState::Done);
});

on_both!(what_a_job_found_is_read_page_by_page_in_its_order, |store| {
    let job = store.begin_job("sim-import", "reading", None, &by("alice")).await.unwrap().id;
    let lines = |from: u64, n: u64| (from..from + n).map(|n| json!({ "line": n })).collect::<Vec<_>>();
    store.add_job_items(job, "errors", 0, lines(0, 1203)).await.unwrap();
    store.add_job_items(job, "errors", 1203, lines(1203, 7)).await.unwrap();
    store.add_job_items(job, "rows", 0, lines(9000, 1)).await.unwrap();
    let (mut seen, mut skip) = (Vec::new(), 0);
    loop {
        let page = store.job_items(job, "errors", skip, 333).await.unwrap();
        seen.extend(page.items);
        match page.next {
            Some(n) => skip = n.parse().unwrap(),
            None => break,
        }
    }
    assert_eq!(seen, lines(0, 1210));
    assert_eq!(store.job_items(job, "rows", 0, 9).await.unwrap().items, lines(9000, 1));
    store.end_job(job, JobState::Failed, json!({}), T0).await.unwrap();
    assert_eq!(store.forget_jobs(T0).await.unwrap(), 0);
    assert_eq!(store.forget_jobs(Utc(T0.0 + 1)).await.unwrap(), 1);
    assert_eq!(store.job_items(job, "errors", 0, 9).await.unwrap().items, Vec::<serde_json::Value>::new());
});
