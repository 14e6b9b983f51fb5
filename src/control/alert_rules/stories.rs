//! Alert rules in a site that runs: what is taken away, what is told, and how it comes back.

use crate::control::site::{Site, imsi, name};
use admin_web::Suspicion;
use gateway::{
    link::{FromGateway, ToGateway},
    time::now,
};
use serde_json::json;
use store::{Change, FactsOf, Grant, OperatorRow};
use types::*;

impl Site {
    /// These rules are in force, and facts are known.
    async fn watched(rules: AlertRules) -> Self {
        let mut w = Self::new().await;
        w.go_by(rules).await;
        w.ask(|c, tx| c.reread_facts(FactsOf::All, Some(tx))).await.expect("read");
        w
    }

    async fn go_by(&mut self, rules: AlertRules) {
        let by = Change::by_system("soc", now().utc);
        self.control.store.set_alert_rules(rules, None, &by).await.expect("stored");
        self.ask(|c, tx| c.read_alert_rules(Some(tx))).await.expect("in force");
        self.rest().await;
    }

    async fn posture(&mut self, good: bool) {
        let report =
            PostureReport { at: now().utc, os: None, checks: [(PostureCheck::Managed, good)].into() };
        let by = Change::by_system("mdm", now().utc);
        let rows = vec![(name("pc-1"), report)];
        self.control.store.report_posture(rows, &name("mdm"), None, &by).await.expect("stored");
        let of = FactsOf::Devices(vec![name("pc-1")]);
        self.ask(|c, tx| c.reread_facts(of, Some(tx))).await.expect("read");
        self.rest().await;
    }

    /// Quarantines that the gateway was told of since the last look: of whom, and whether on.
    fn kept_apart(&mut self) -> Vec<(Imsi, bool)> {
        let of = |m: ToGateway| match m {
            ToGateway::Quarantine { imsi, on, .. } => Some((imsi, on)),
            _ => None,
        };
        std::mem::take(&mut self.heard).into_iter().filter_map(of).collect()
    }

    async fn state(&self, u: usize) -> SimState {
        self.control.store.sim(imsi(u)).await.expect("there").state
    }

    async fn alerts(&self) -> Vec<AlertKind> {
        drop(self.control.store.probe().await);
        let all = self.control.store.alerts(&store::AlertFilter::default(), None, 100).await.expect("read");
        all.items.into_iter().map(|a| a.kind).collect()
    }
}

#[tokio::test]
async fn a_failed_proof_at_an_unusual_place_suspends_the_person_until_somebody_resumes_it() {
    let mut w = Site::watched(AlertRules::default()).await;
    w.attached(1).await;
    w.attached(2).await;
    // SIM 1 is at home in Osaka, and is not there. Of SIM 2 nobody has said where it is at home.
    w.control.suspected(Suspicion::ProofFailed(imsi(2)));
    w.rest().await;
    assert_eq!((w.state(2).await, w.alerts().await), (SimState::Active, vec![]));
    w.control.suspected(Suspicion::ProofFailed(imsi(1)));
    w.until(|w| w.sessions() == 1).await;
    assert_eq!([w.state(1).await, w.state(2).await], [SimState::Suspended, SimState::Active]);
    let (alert, _) = w.alert(AlertKind::UnusualPlace, 1, 1).await;
    assert_eq!((alert.subject.as_str(), alert.severity), ("person:tanaka", Severity::Critical));
    let history = w.control.store.sim_history(imsi(1), 10).await.expect("read");
    assert!(history.iter().any(|h| h.actor == "alert rule unusual-place"), "{history:?}");
}

#[tokio::test]
async fn a_rule_that_only_notifies_takes_nothing_away() {
    let mut rules = AlertRules::default();
    rules.unusual_place.response = RuleResponse::Notify;
    rules.not_compliant.response = RuleResponse::Notify;
    let mut w = Site::watched(rules).await;
    w.attached(1).await;
    w.control.suspected(Suspicion::ProofFailed(imsi(1)));
    w.posture(false).await;
    w.alert(AlertKind::UnusualPlace, 1, 1).await;
    w.alert(AlertKind::NotCompliant, 1, 1).await;
    assert_eq!((w.state(1).await, w.kept_apart(), w.sessions()), (SimState::Active, vec![], 1));
}

#[tokio::test]
async fn a_device_that_is_not_compliant_is_kept_apart_until_it_is() {
    let mut w = Site::watched(AlertRules::default()).await;
    w.posture(true).await;
    assert_eq!((w.kept_apart(), w.alerts().await), (vec![], vec![]));
    w.posture(false).await;
    assert_eq!(w.kept_apart(), [(imsi(1), true)]);
    w.alert(AlertKind::NotCompliant, 1, 1).await;
    w.posture(true).await;
    assert_eq!(w.kept_apart(), [(imsi(1), false)]);
    // A storm of reports: each is followed, and told once.
    for good in [false, true, false] {
        w.posture(good).await;
    }
    assert_eq!(w.kept_apart(), [(imsi(1), true), (imsi(1), false), (imsi(1), true)]);
    w.alert(AlertKind::NotCompliant, 1, 1).await;
    // The rule does not act any longer; then it does again.
    let mut rules = AlertRules::default();
    rules.not_compliant.response = RuleResponse::Log;
    w.go_by(rules).await;
    assert_eq!(w.kept_apart(), [(imsi(1), false)]);
    w.go_by(AlertRules::default()).await;
    assert_eq!(w.kept_apart(), [(imsi(1), true)]);
}

fn record(verdict: Verdict, reason: Reason, octets: u64) -> FlowRecord {
    let at = now().utc.0;
    FlowRecord {
        imsi: imsi(1),
        app: Some(name("designs")),
        verdict,
        reason,
        ..super::tests::flow(at - 1_000, at, octets)
    }
}

#[tokio::test]
async fn much_data_is_told_and_knocking_at_a_confidential_app_is_ended() {
    let mut w = Site::watched(AlertRules::default()).await;
    let app = json!({ "name": "designs", "prefixes": ["10.10.1.5/32"], "services": ["tcp/443"],
                      "sensitivity": "confidential" });
    let by = Change::by_system("test", now().utc);
    w.control
        .store
        .create::<App>(serde_json::from_value(app).expect("an app"), None, &by)
        .await
        .expect("made");
    w.ask(|c, reply| c.reload_policy(Some(reply))).await.expect("in force");
    w.kept_apart();
    let flows = |records| FromGateway::Flows { records, lost: 0 };
    w.gateway_says(flows(vec![record(Verdict::Allow, Reason::Closed, 1_000_000_000)])).await;
    w.gateway_says(flows(vec![record(Verdict::Deny, Reason::NoRule, 60); 29])).await;
    assert_eq!((w.kept_apart(), w.alerts().await), (vec![], vec![]));
    w.gateway_says(flows(vec![record(Verdict::Allow, Reason::Closed, 1)])).await;
    w.alert(AlertKind::MuchData, 1, 1).await;
    w.gateway_says(flows(vec![record(Verdict::Deny, Reason::NoRule, 60); 300])).await;
    let (alert, _) = w.alert(AlertKind::Escalation, 1, 1).await;
    assert_eq!(alert.what["rule-fired"]["count"], 30);
    assert_eq!(w.kept_apart(), [(imsi(1), true)]);
}

fn operator(id: &str, role: &str) -> OperatorRow {
    OperatorRow {
        name: name(id),
        display: String::new(),
        grants: vec![Grant { roles: [role.to_owned()].into(), ..Grant::default() }],
        password: String::new(),
        must_change: false,
        totp: None,
        totp_pending: None,
        totp_step: 0,
        disabled: None,
        signed_in: None,
        version: 0,
        created: Utc(0),
        changed: Utc(0),
    }
}

#[tokio::test]
async fn an_operator_who_asks_for_what_is_not_theirs_is_disabled_and_the_last_owner_is_not() {
    let mut w = Site::watched(AlertRules::default()).await;
    let (store, by) = (w.control.store.clone(), Change::by_system("test", now().utc));
    for (id, role) in [("hanako", "owner"), ("taro", "viewer")] {
        store.create_operator(operator(id, role), &by).await.expect("made");
    }
    let (_, script) = admin_web::new_token([7; 32], "script", &[], None, "test", now().utc);
    store.create_token(script.clone(), &by).await.expect("made");
    let mut ask = async |operator: Option<&str>, token: &str| {
        for _ in 0..10 {
            let operator = operator.map(name);
            w.control.suspected(Suspicion::NoRight { operator, token: token.to_owned() });
        }
        w.rest().await;
    };
    ask(Some("taro"), "t1").await;
    ask(None, &script.id).await;
    ask(Some("hanako"), "t2").await;
    assert!(store.operator(&name("taro")).await.expect("there").disabled.is_some());
    assert_eq!(store.operator(&name("hanako")).await.expect("there").disabled, None);
    let rests = store.tokens().await.expect("read").into_iter().find(|t| t.id == script.id).expect("there");
    assert!(rests.suspended.is_some() && rests.revoked.is_none());
    let mut kinds = w.alerts().await;
    kinds.sort();
    assert_eq!(kinds, [vec![AlertKind::Escalation; 3], vec![AlertKind::Alarm]].concat());
}
