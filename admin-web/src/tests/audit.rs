//! Every change stands in the audit, and the audit leaves in a form that can be proved elsewhere.

use super::{Answer, World, sim_body};
use serde_json::Value;
use store::{AuditChain, AuditCheckpoint, AuditFilter, AuditRow};

/// Routes that are asked by POST and change nothing.
const ASKED: [&str; 6] = [
    "POST /api/v1/policies/test",
    "POST /api/v1/policies/explain",
    "POST /api/v1/policies/plan",
    "POST /api/v1/policies/replay",
    "POST /api/v1/risk-profile/plan",
    "/risk",
];

/// What the running system writes in the transaction of the state, and the stand-in for it here does not. Their rows
/// are looked for where the real one writes them: bans, unbans and restrictions in `src/control/bans/tests.rs` and
/// `store/src/tests/revocations.rs` (which has the approval, too), an import, which is in the audit when it is committed,
/// behind its answer, in `admin-web/src/import/tests.rs`.
const WRITTEN_BY_CONTROL: [&str; 9] = [
    "/ban",
    "/unban",
    "/quarantine",
    "/quarantine/release",
    "/panic",
    "/calm",
    "/api/v1/revocations",
    "/approve",
    "/api/v1/imports",
];

/// Looks for the audit row of a change that was answered with success.
pub(super) async fn must_hold(w: &World, what: &str, answer: &Answer) {
    let path = what.split('?').next().unwrap_or(what);
    let by_control = WRITTEN_BY_CONTROL.iter().any(|end| path.ends_with(end));
    // An import of entries that all stand there already changes nothing.
    let same = answer.body["new"] == 0 && answer.body["changed"] == 0;
    if ASKED.iter().any(|asked| path.ends_with(asked)) || by_control || same || answer.body["dry_run"] == true
    {
        return;
    }
    let id = answer.header("x-request-id").to_owned();
    let filter = AuditFilter { request_id: Some(id.clone()), ..AuditFilter::default() };
    let rows = w.store.audit_list(&filter, None, 10).await.unwrap().items;
    assert!(
        !rows.is_empty(),
        "{what} was answered with {} and left no audit row of request {id}",
        answer.status
    );
    for r in rows {
        assert!(!r.actor.is_empty() && !r.action.is_empty() && !r.object.is_empty(), "{what}: {r:?}");
        let named = r.object.contains(':') || ["audit", "system"].contains(&r.object.as_str());
        assert!(r.action.contains('.') && named, "{what}: {r:?}");
    }
}

#[tokio::test]
async fn lines_are_found_by_who_what_when_and_in_which_request() {
    let w = World::with_site().await;
    let made = w.post("/api/v1/sims", sim_body()).await.is(201);
    let id = made.header("x-request-id");
    let lines = async |query: &str| {
        let a = w.get(&format!("/api/v1/audit?{query}")).await.is(200);
        a.body["items"].as_array().unwrap().clone()
    };
    let of_request = lines(&format!("request_id={id}")).await;
    assert_eq!(of_request.len(), 1);
    let line = &of_request[0];
    assert_eq!(
        (&line["action"], &line["before"], &line["after"]["label"]),
        (&"sim.create".into(), &Value::Null, &"Laptop 1".into())
    );
    assert!(line["written"].is_string() && line["clock_back_ms"].is_null());
    let actor = line["actor"].as_str().unwrap().replace(' ', "%20");
    assert_eq!(lines(&format!("actor={actor}&action=sim.")).await.len(), 1);
    assert_eq!(lines("until=2001-01-01T00:00:00Z").await.len(), 0);
    assert_eq!(lines("action=group.create&object=group:staff").await.len(), 1);
    assert_eq!(w.get("/api/v1/audit?from=yesterday").await.is(422).pointers(), ["?from"]);
    assert_eq!(w.get("/api/v1/audit?who=me").await.is(422).pointers(), ["?who"]);
}

#[tokio::test]
async fn an_export_is_whole_signed_and_names_itself() {
    let w = World::with_site().await;
    w.post("/api/v1/sims", sim_body()).await.is(201);
    let export = w.get("/api/v1/audit/export").await.is(200);
    assert_eq!(export.header("content-type"), "application/x-ndjson");
    let lines: Vec<Value> = export.text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines[0]["begin"], "sekisho audit 1");
    let mut chain = AuditChain::default();
    let mut last = String::new();
    for row in lines.iter().filter_map(AuditRow::from_json) {
        chain.take(&row).unwrap();
        last = row.action;
    }
    assert_eq!(last, "audit.export", "whoever takes it away is in it");
    assert_eq!(lines.last().unwrap()["end"], chain.seq());
    let signed: Vec<u64> = lines.iter().filter_map(AuditCheckpoint::from_json).map(|c| c.seq).collect();
    assert_eq!(signed, [chain.seq()], "up to its last line");

    let part = w.get("/api/v1/audit/export?after=2").await.is(200);
    let lines: Vec<Value> = part.text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!((&lines[0]["behind"], lines[0]["hash"].as_str().map(str::len)), (&2.into(), Some(64)));
    assert_eq!(lines.iter().filter_map(AuditRow::from_json).next().unwrap().seq, 3);
    assert_eq!(w.get("/api/v1/audit/export?after=999").await.is(422).pointers(), ["?after"]);
}

#[tokio::test]
async fn knocking_without_a_right_is_counted_and_fills_no_audit() {
    let w = World::new().await;
    let clerk = w.token_with(&["read"]).await;
    let rows = w.store.audit_counted().await.unwrap();
    for _ in 0..20 {
        w.bare("GET", "/api/v1/sims").token("sekisho_00").send().await.is(401);
        w.call("GET", "/api/v1/audit").token(&clerk).send().await.is(403);
    }
    assert_eq!(w.store.audit_counted().await.unwrap(), rows);
    let m = w.get("/metrics").await.is(200);
    for why in ["no-token", "missing-right"] {
        assert!(m.text.contains(&format!("sekisho_api_refused_total{{why=\"{why}\"}} 20\n")), "{}", m.text);
    }
}
