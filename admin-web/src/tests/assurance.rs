//! Proofs by hand: who answers for them, for how long, and how they are taken back.

use super::{IMSI, World, sim_body};
use serde_json::json;
use std::sync::atomic::Ordering;
use store::FactsOf;

#[tokio::test]
async fn an_operator_answers_for_a_proof_and_takes_it_back() {
    let w = World::with_site().await;
    w.post("/api/v1/sims", sim_body()).await.is(201);
    let path = format!("/api/v1/sims/{IMSI}/assurance");
    let at = |ms: i64| jiff::Timestamp::from_millisecond(crate::state::now().0 + ms).unwrap().to_string();
    let body = |until: String, reason: &str| json!({ "until": until, "reason": reason });
    for (until, reason, pointers) in [
        (at(-1_000), "desk", vec!["/until"]),
        (at(86_460_000), "desk", vec!["/until"]),
        ("soon".to_owned(), " ", vec!["/reason", "/until"]),
    ] {
        assert_eq!(w.post(&path, body(until, reason)).await.is(422).pointers(), pointers);
    }
    let of = FactsOf::Sims(vec![IMSI.parse().unwrap()]);
    let kept = async || w.store.fact_rows(&of).await.unwrap().remove(0).assurance;
    assert_eq!(kept().await, None, "nothing of it was stored");
    w.control.facts.lock().unwrap().clear();
    let made = w.post(&path, body(at(3_600_000), "came to the desk")).await.is(200).body;
    assert!(made["until"].is_string(), "{made}");
    let proof = kept().await.unwrap();
    assert_eq!((proof.level.as_str(), proof.source.as_str()), ("by-hand", "operator"));
    assert_eq!(
        w.control.facts.lock().unwrap().as_slice(),
        std::slice::from_ref(&of),
        "it counts with the answer"
    );
    let audit = w.store.audit(None, None, 20).await.unwrap().items;
    let row = audit.iter().find(|a| a.action == "sim.assurance").unwrap();
    assert_eq!(
        (row.object.as_str(), row.reason.as_str()),
        (format!("sim:{IMSI}").as_str(), "came to the desk")
    );

    w.control.second_person.store(true, Ordering::Relaxed);
    let alone = w.post(&path, body(at(3_600_000), "again")).await.is(409);
    assert_eq!(alone.body["type"], "urn:sekisho:problem:second-person");
    w.control.was_asked();
    w.post(&format!("{path}/withdraw"), json!({ "reason": "left the card" })).await.is(200);
    assert_eq!((kept().await, w.control.was_asked()), (None, vec!["policy_changed".to_owned()]));
    let nobody = path.replace(IMSI, "001010000099999");
    w.post(&format!("{nobody}/withdraw"), json!({ "reason": "x" })).await.is(404);
}
