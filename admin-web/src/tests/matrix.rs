//! Every route × every role, held against a committed table: who is let in, and who is not.
//!
//! A route that is in no line of the table fails the test, so nobody adds one without saying who may use it.
//! Regenerate with `UPDATE_RIGHTS=1 cargo test -p admin-web matrix`, and read the difference line by line.

use super::{
    IMSI, World,
    contract::{Route, all_routes},
    sim_body,
};
use crate::{Role, Scope, token::new_token};
use serde_json::{Value, json};
use store::Grant;
use types::Utc;

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tests/rights.txt");

const HEAD: &str = "\
# Who is let in by which route: + is let in, - is refused (401 or 403) before anything happens.
# nobody: no token. empty: a token without any right. elsewhere: an owner whose right is limited to a group that the
# SIM of the request is not in; + there means that the route limits what it shows or does by itself.
# Made by: UPDATE_RIGHTS=1 cargo test -p admin-web matrix
";

/// Whoever knocks, with the token; `None` has none.
async fn callers(w: &World) -> Vec<(String, Option<String>)> {
    let mut all = vec![("nobody".to_owned(), None)];
    let none = [("empty".to_owned(), Grant::default())];
    let of_role = |r: Role| (r.to_string(), Grant { roles: [r.to_string()].into(), ..Grant::default() });
    let elsewhere = Grant {
        roles: [Role::Owner.to_string()].into(),
        groups: ["plc".parse().unwrap()].into(),
        ..Grant::default()
    };
    let elsewhere = [("elsewhere".to_owned(), elsewhere)];
    for (i, (name, grant)) in none.into_iter().chain(Role::all().map(of_role)).chain(elsewhere).enumerate() {
        let (secret, mut row) = new_token([i as u8 + 1; 32], &name, &[], None, "init", Utc(0));
        row.grants = vec![grant];
        w.store.create_token(row, &store::Change::by_system("init", Utc(0))).await.unwrap();
        all.push((name, Some(secret.expose().to_owned())));
    }
    w.state.tokens.read(&w.store, Utc(0)).await.unwrap();
    all
}

async fn knock(w: &World, r: &Route, who: &str, token: Option<&str>) -> u16 {
    let mut call = w
        .bare(&r.method, &r.filled())
        .from("10.0.0.1")
        .header("idempotency-key", &format!("{who} {} {}", r.method, r.path))
        .if_match("*")
        .json(Value::Null);
    if let Some(t) = token {
        call = call.token(t);
    }
    // The head alone: a stream has no end.
    call.stream().await.status().as_u16()
}

#[tokio::test]
async fn every_route_lets_in_whom_the_table_says_and_nobody_else() {
    let w = World::with_site().await;
    w.post("/api/v1/groups", json!({ "name": "plc" })).await.is(201);
    let mut body = sim_body();
    body["groups"] = json!(["staff"]);
    w.post("/api/v1/sims", body).await.is(201);
    let callers = callers(&w).await;
    let names: Vec<&str> = callers.iter().map(|(n, _)| n.as_str()).collect();
    let mut made = format!("{HEAD}# columns: {}\n", names.join(" "));
    let mut routes = all_routes();
    routes.sort_by(|a, b| (&a.path, &a.method).cmp(&(&b.path, &b.method)));
    for r in &routes {
        let mut marks = Vec::new();
        for (name, token) in &callers {
            let status = knock(&w, r, name, token.as_deref()).await;
            let is_in = ![401, 403].contains(&status);
            marks.push(if is_in { '+' } else { '-' });
            holds(r, name, is_in, status);
        }
        let scope = match r.scope() {
            Some(s) => s.as_str(),
            None if r.is_own() => "own",
            None => "open",
        };
        let marks: Vec<String> = marks.iter().map(char::to_string).collect();
        made += &format!("{:<6} {:<44} {scope:<10} {}\n", r.method, r.path, marks.join(" "));
    }
    if std::env::var_os("UPDATE_RIGHTS").is_some() {
        std::fs::write(TABLE, &made).unwrap();
    }
    let committed = std::fs::read_to_string(TABLE).unwrap_or_default();
    let lines = |t: &str| t.lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
    let (new, old) = (lines(&made), lines(&committed));
    let differ: Vec<String> = old
        .difference(&new)
        .map(|l| format!("- {l}"))
        .chain(new.difference(&old).map(|l| format!("+ {l}")))
        .collect();
    assert!(
        differ.is_empty(),
        "the table of rights is not that of the code:\n{}\nrun: UPDATE_RIGHTS=1 cargo test -p admin-web matrix",
        differ.join("\n")
    );
}

/// What no table may say otherwise.
fn holds(r: &Route, who: &str, is_in: bool, status: u16) {
    let Some(needed) = r.scope() else {
        assert!(who != "nobody" || !r.is_own() || !is_in, "{} {} without a token", r.method, r.path);
        return;
    };
    let route = format!("{} {} as {who}: {status}", r.method, r.path);
    match who {
        "nobody" | "empty" => assert!(!is_in, "{route}"),
        "elsewhere" => {
            // Nothing is done to a SIM that lies outside.
            assert!(!(is_in && r.path.contains("{imsi}")), "{route}");
            let closed = [Scope::Operators, Scope::Tokens, Scope::Audit, Scope::Backup];
            assert!(!(is_in && closed.contains(&needed)), "{route}");
        }
        role => {
            let role: Role = role.parse().unwrap();
            assert_eq!(is_in, role.scopes().contains(&needed), "{route}");
            if role == Role::Viewer || role == Role::Auditor {
                assert!(!(is_in && r.changes_something()), "{route}");
            }
        }
    }
}

#[test]
fn the_sim_of_the_table_is_the_one_of_the_paths() {
    let of_sim = all_routes().into_iter().filter(|r| r.path.contains("{imsi}"));
    assert!(of_sim.map(|r| assert!(r.filled().contains(IMSI))).count() >= 6);
}
