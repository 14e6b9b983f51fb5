//! What grows is kept in bounds: old flow records, old events, answers that nobody repeats any longer.

use gateway::time::now;
use std::time::Duration;
use store::{FlowLog, Store};
use tracing::{info, warn};
use types::Utc;

/// How often it is looked after.
const EVERY: Duration = Duration::from_secs(600);
/// How long the timeline is kept, milliseconds: a year.
const EVENTS_MS: i64 = 365 * 86_400_000;
/// How long a retried request is answered as it was the first time, milliseconds: a day.
const ANSWERS_MS: i64 = 86_400_000;
/// How long a job that has ended is kept, milliseconds: 90 days.
const JOBS_MS: i64 = 90 * 86_400_000;

/// Looks after it until the process ends.
pub(super) async fn keep(store: Store, flows: FlowLog) {
    let mut tick = tokio::time::interval(EVERY);
    loop {
        tick.tick().await;
        let at = now().utc;
        let before = |ms: i64| Utc(at.0.saturating_sub(ms));
        let gone = [
            ("flow segments", flows.expire(at).await),
            ("events", store.forget_events(before(EVENTS_MS)).await),
            ("jobs", store.forget_jobs(before(JOBS_MS)).await),
            ("kept answers", store.forget_answers(before(ANSWERS_MS)).await),
        ];
        match store.expire_unbans(at).await {
            Ok(0) => {}
            Ok(n) => info!(n, "{n} requests for an unban found no second person in time"),
            Err(e) => warn!("requests for an unban could not be looked through: {e}"),
        }
        for (what, result) in gone {
            match result {
                Ok(0) => {}
                Ok(n) => info!(n, "{n} old {what} are deleted"),
                Err(e) => warn!("old {what} could not be deleted: {e}"),
            }
        }
    }
}
