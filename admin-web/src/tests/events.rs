//! The event stream: from now on, from where it broke off, and across what is lost.

use super::{IMSI, World};
use axum::response::Response;
use futures_util::StreamExt as _;
use store::EventRow;
use types::{Event, Happening, SimState, Utc};

fn alarm(n: u32) -> Event {
    Event { at: Utc(i64::from(n)), imsi: None, what: Happening::Alarm { text: format!("no. {n}") } }
}

fn banned() -> Event {
    let what = Happening::SimState {
        from: SimState::Active,
        to: SimState::Lost,
        actor: "soc".to_owned(),
        reason: "taxi".to_owned(),
    };
    Event { at: Utc(0), imsi: Some(IMSI.parse().unwrap()), what }
}

/// Stores an event and sends it, as the running system does.
async fn happen(w: &World, e: Event) -> EventRow {
    let row = w.store.append_events(vec![e]).await.unwrap().remove(0);
    let _ = w.control.events.send(row.clone());
    row
}

/// The next `n` events of a stream, as (name, id, data).
async fn take(r: &mut axum::body::BodyDataStream, n: usize) -> Vec<(String, String, String)> {
    let mut text = String::new();
    // A comment is no event.
    let events = |text: &str| text.split("\n\n").filter(|b| !b.is_empty() && !b.starts_with(':')).count();
    while events(&text) < n {
        let chunk = tokio::time::timeout(std::time::Duration::from_secs(5), r.next()).await;
        text.push_str(std::str::from_utf8(&chunk.expect("an event in time").unwrap().unwrap()).unwrap());
    }
    let part = |block: &str, name: &str| {
        let found = block.lines().find_map(|l| l.strip_prefix(&format!("{name}: ")));
        found.unwrap_or_default().to_owned()
    };
    text.split("\n\n")
        .filter(|b| !b.is_empty() && !b.starts_with(':'))
        .map(|b| (part(b, "event"), part(b, "id"), part(b, "data")))
        .collect()
}

fn names(events: &[(String, String, String)]) -> Vec<(&str, &str)> {
    events.iter().map(|(e, i, _)| (e.as_str(), i.as_str())).collect()
}

fn body(r: Response) -> axum::body::BodyDataStream {
    assert_eq!(r.status(), 200);
    assert_eq!(r.headers()["content-type"], "text/event-stream");
    assert_eq!(r.headers()["cache-control"], "no-store");
    r.into_body().into_data_stream()
}

#[tokio::test]
async fn a_stream_begins_now_and_goes_on_where_it_broke_off() {
    let w = World::new().await;
    happen(&w, alarm(1)).await;
    let mut live = body(w.call("GET", "/api/v1/events").stream().await);
    happen(&w, banned()).await;
    let got = take(&mut live, 1).await;
    assert_eq!(names(&got), [("sim-state", "2")], "what was before is not told");
    let view: serde_json::Value = serde_json::from_str(&got[0].2).unwrap();
    assert_eq!((&view["kind"], &view["imsi"]), (&"sim-state".into(), &IMSI.into()));
    assert_eq!(view["detail"]["to"], "lost");
    drop(live);

    happen(&w, alarm(3)).await;
    let call = w.call("GET", "/api/v1/events").header("last-event-id", "2");
    let mut again = body(call.stream().await);
    assert_eq!(names(&take(&mut again, 1).await), [("alarm", "3")]);
    happen(&w, alarm(4)).await;
    assert_eq!(names(&take(&mut again, 1).await), [("alarm", "4")], "each event once");
}

#[tokio::test]
async fn a_slow_reader_gets_everything_from_the_store() {
    let w = World::new().await;
    let mut slow = body(w.call("GET", "/api/v1/events?after=0").stream().await);
    // The live feed holds four.
    for n in 1..=20 {
        happen(&w, alarm(n)).await;
    }
    let mut ids = Vec::new();
    while ids.len() < 20 {
        ids.extend(take(&mut slow, 1).await.into_iter().map(|(_, id, _)| id));
    }
    assert_eq!(ids, (1..=20).map(|n: u32| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_is_lost_is_told_as_a_gap() {
    let w = World::new().await;
    for n in 1..=6 {
        happen(&w, alarm(n)).await;
    }
    w.store.forget_events(Utc(4)).await.unwrap();
    let mut late = body(w.call("GET", "/api/v1/events?after=1").stream().await);
    let mut got = Vec::new();
    while got.len() < 4 {
        got.extend(take(&mut late, 1).await);
    }
    assert_eq!(names(&got), [("gap", ""), ("alarm", "4"), ("alarm", "5"), ("alarm", "6")]);
    assert_eq!(got[0].2, r#"{"from":2,"to":3}"#);
}

#[tokio::test]
async fn one_sims_events_alone() {
    let w = World::new().await;
    let mut mine = body(w.call("GET", &format!("/api/v1/events?imsi={IMSI}&after=0")).stream().await);
    happen(&w, alarm(1)).await;
    happen(&w, banned()).await;
    assert_eq!(names(&take(&mut mine, 1).await), [("sim-state", "2")]);
    w.get("/api/v1/events?imsi=x").await.is(422);
    w.call("GET", "/api/v1/events").header("last-event-id", "x").send().await.is(422);
}

#[tokio::test]
async fn what_the_security_desk_wants_to_see_is_there_from_before() {
    let w = World::new().await;
    for n in 1..=3 {
        happen(&w, alarm(n)).await;
        happen(&w, banned()).await;
    }
    let r = w.get("/api/v1/events/security?limit=2").await.is(200);
    let ids = |r: &super::Answer| -> Vec<u64> {
        r.body["items"].as_array().unwrap().iter().map(|e| e["id"].as_u64().unwrap()).collect()
    };
    assert_eq!(
        (ids(&r), &r.body["items"][0]["security"]),
        (vec![5, 3], &true.into()),
        "alarms, not changes of state"
    );
    let next = r.body["next"].as_str().unwrap();
    assert_eq!(ids(&w.get(&format!("/api/v1/events/security?cursor={next}")).await.is(200)), [1]);
    w.get("/api/v1/events/security?cursor=x").await.is(422);
}
