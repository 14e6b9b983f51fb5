//! Rules that are only watched, and what they would have said.

use crate::{
    api::{List, page_of_few},
    check::rfc3339,
    problem::Problem,
    request::{Paging, Params},
    rights::ReadCapability,
    state::AppState,
    watch::{self, Count},
};
use axum::{Json, extract::State};
use serde::Serialize;
use types::Utc;
use utoipa::ToSchema;

/// Most lines by SIM and app of one rule.
const LINES: usize = 50;

/// A watched rule, and what it would have said since it stands as it does.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MonitoredRule {
    /// Its name.
    rule: String,
    /// At this moment it comes into force if it would have denied nothing; else it is watched on, and there is an alert.
    until: Option<String>,
    /// Since when it is counted: when the rule was last changed.
    since: String,
    /// Flows that were allowed and would not have been.
    would_deny: u64,
    /// Flows that were refused and would have been allowed.
    would_allow: u64,
    /// SIMs of which a flow would have been denied.
    sims: u64,
    /// When the first of them began.
    first: Option<String>,
    /// When the last of them ended.
    last: Option<String>,
    /// False while records are still being read, after a start.
    complete: bool,
    /// By SIM and app, the most first.
    by: Vec<MonitoredLine>,
    /// By the hours in which they ended, the oldest first; hours with none are left out, and all but the last 168.
    by_hour: Vec<MonitoredHour>,
}

/// What a watched rule would have said in an hour.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MonitoredHour {
    /// When it began.
    at: String,
    would_deny: u64,
    would_allow: u64,
}

/// What a watched rule would have said of a SIM and an app.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MonitoredLine {
    imsi: String,
    app: Option<String>,
    would_deny: u64,
    would_allow: u64,
}

impl MonitoredRule {
    fn of(c: &Count, complete: bool) -> Self {
        let mut by: Vec<MonitoredLine> =
            c.by.iter()
                .map(|((imsi, app), (would_deny, would_allow))| MonitoredLine {
                    imsi: imsi.to_string(),
                    app: app.as_ref().map(ToString::to_string),
                    would_deny: *would_deny,
                    would_allow: *would_allow,
                })
                .collect();
        let hour = |(at, n): (&Utc, &(u64, u64))| MonitoredHour {
            at: rfc3339(*at),
            would_deny: n.0,
            would_allow: n.1,
        };
        by.sort_by_key(|l| std::cmp::Reverse((l.would_deny, l.would_allow)));
        by.truncate(LINES);
        Self {
            rule: c.rule.value.name.to_string(),
            until: c.until().map(rfc3339),
            since: rfc3339(c.rule.changed),
            would_deny: c.denied,
            would_allow: c.allowed,
            sims: c.sims() as u64,
            first: c.first.map(rfc3339),
            last: c.last.map(rfc3339),
            complete,
            by,
            by_hour: c.hours.iter().map(hour).collect(),
        }
    }
}

/// Lists the rules that are only watched, each with what it would have said, by SIM and app. Flows that are still open are
/// not yet among them.
#[utoipa::path(get, path = "/api/v1/policies/monitored", tag = "policies", params(Paging),
    security(("token" = ["read"])), responses((status = 200, body = List<MonitoredRule>)))]
pub(crate) async fn list(
    _: ReadCapability,
    State(s): State<AppState>,
    Params(p): Params<Paging>,
) -> Result<Json<List<MonitoredRule>>, Problem> {
    watch::follow(&s).await?;
    let (counts, complete) = s.watch.counts();
    let page = page_of_few(counts, &p, |c| c.rule.value.name.to_string())?;
    Ok(List::of(page, |c| MonitoredRule::of(&c, complete)))
}
