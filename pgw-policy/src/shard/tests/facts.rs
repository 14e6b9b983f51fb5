//! What is known of a SIM decides, and goes on deciding.

use super::*;
use crate::book::Book;
use crate::{Change, Compiled, Question, Standing, clock, explain_for};
use types::{ActiveGrant, Assurance, Compliance, Conditions, Posture, RiskLevel, SimFacts, SiteSeen};

/// A shard, and beside it what the gateway's main thread keeps and does.
struct Gateway {
    w: World,
    book: Book,
    source: Policy,
    policy: Arc<Compiled>,
}

fn rule(name: &str, order: i64, app: &str, verdict: Verdict, conditions: Conditions) -> Rule {
    let old = policy(1, &[]).rules.into_iter().find(|r| r.name.as_str() == "files").unwrap();
    Rule { name: name.parse().unwrap(), order, app: app.parse().unwrap(), verdict, conditions, ..old }
}

fn compliant() -> Conditions {
    Conditions { posture: Some(Compliance::Compliant), ..Conditions::default() }
}

fn posture(value: Compliance, until: Option<Utc>) -> Option<Posture> {
    Some(Posture { value, since: Utc(0), until, source: "mdm".parse().unwrap() })
}

fn assured(until: Utc) -> Option<Assurance> {
    Some(Assurance { until, since: Utc(0), source: "oidc".parse().unwrap() })
}

fn grant(app: &str, from: Utc, until: Utc) -> ActiveGrant {
    ActiveGrant { id: "g".to_owned(), app: app.parse().unwrap(), from, until, proof: false }
}

impl Gateway {
    fn new(rules: Vec<Rule>) -> Self {
        let source = Policy { rules, ..policy(2, &[]) };
        let mut g =
            Self { w: World::new(), book: Book::default(), source, policy: Arc::new(Compiled::empty()) };
        g.policy = Arc::new(g.by_the_hours(compile(&g.source).unwrap()).0);
        g.w.tell(ShardCommand::Policy(Arc::clone(&g.policy)));
        g
    }

    fn by_the_hours(&self, policy: Compiled) -> (Compiled, crate::Touched) {
        policy.with_clocks(clock::word(policy.clocks(), self.w.now.utc))
    }

    fn learn(&mut self, n: u8, facts: SimFacts) {
        if self.book.learn(imsi(n), facts, &self.policy, self.w.now.utc) {
            self.tell(imsi(n));
        }
    }

    fn tell(&mut self, imsi: Imsi) {
        self.w.tell(ShardCommand::Facts { imsi, facts: self.book.of(imsi) });
    }

    fn change(&mut self, changes: &[Change]) {
        let generation = self.source.generation + 1;
        self.source.apply(changes, generation);
        let (next, touched) = self.policy.with(changes, generation).unwrap();
        let (next, of_clocks) = self.by_the_hours(next);
        self.adopt(next, touched.and(of_clocks), Reason::PolicyChanged);
        self.book.judge_by(&self.policy, self.w.now.utc);
    }

    fn adopt(&mut self, next: Compiled, touched: crate::Touched, reason: Reason) {
        self.policy = Arc::new(next);
        let (policy, touched) = (Arc::clone(&self.policy), Arc::new(touched));
        self.w.tell(ShardCommand::PolicyChange { policy, touched, reason });
    }

    /// Time passes; what is due at a moment is done at that moment.
    fn wait(&mut self, ms: i64) {
        let end = self.w.now.utc.0 + ms;
        while self.w.now.utc.0 < end {
            let now = self.w.now.utc;
            let borders = self.policy.clocks().iter().filter_map(|when| clock::next(when, now));
            let next = borders.chain(self.book.next()).map(|t| t.0.max(now.0 + 1)).min();
            let step = next.unwrap_or(end).min(end) - now.0;
            self.w.now = self.w.now.plus_ms(step as u64);
            let (next, touched) = self.by_the_hours((*self.policy).clone());
            self.adopt(next, touched, Reason::OutOfHours);
            for imsi in self.book.due(&self.policy, self.w.now.utc) {
                self.tell(imsi);
            }
            self.check();
        }
    }

    /// No flow lives that the rules, read one by one, do not allow at this moment.
    fn check(&self) {
        let at = self.w.now.utc;
        for flow in (0..self.w.shard.flows.places()).filter_map(|f| self.w.shard.flows.get(f)) {
            let imsi = self.w.shard.session(flow.session).unwrap().imsi;
            let (direction, peer) = (flow.opened, self.w.shard.peer_of(&flow.key));
            let (protocol, port) = (flow.key.protocol, flow.service_port());
            let facts = (*self.book.of(imsi)).clone();
            let off = clock::off(&self.source.rules, at);
            let standing = Standing { facts, at, off, ..Standing::default() };
            let story =
                explain_for(&self.source, &Question { imsi, direction, peer, protocol, port }, &standing);
            assert_eq!(story.verdict, crate::Ruling::Allow, "{story:#?}");
        }
    }

    fn opens(&mut self, port: u16, to: &str) -> bool {
        !self.w.up(5, &tcp(LAPTOP, port, to, 443, SYN)).iter().all(|o| matches!(o, Out::N3(..)))
    }

    fn flows(&self) -> usize {
        self.w.shard.flows.len()
    }

    fn reasons(&mut self) -> Vec<Reason> {
        self.w.records().iter().map(|r| r.reason).collect()
    }
}

#[test]
fn a_posture_opens_and_its_age_ends_what_it_opened() {
    let mut g = Gateway::new(vec![rule("files", 1, "files", Verdict::Allow, compliant())]);
    assert!(!g.opens(1, FILES));
    let until = Some(Utc(g.w.now.utc.0 + 60_000));
    g.learn(5, SimFacts { posture: posture(Compliance::Compliant, until), ..SimFacts::default() });
    assert!(g.opens(2, FILES));
    g.w.records();
    g.wait(59_999);
    assert_eq!(g.flows(), 1);
    g.wait(1);
    assert_eq!((g.flows(), g.reasons()), (0, vec![Reason::FactsChanged]));
    assert!(!g.opens(2, FILES));
}

#[test]
fn a_proof_opens_what_asks_for_it_until_it_ends() {
    let mut g = Gateway::new(vec![rule("files", 1, "files", Verdict::StepUp, Conditions::default())]);
    let syn = tcp(LAPTOP, 1, FILES, 443, SYN);
    // The UE is told at once, as by a closed port.
    assert!(matches!(g.w.up(5, &syn).as_slice(), [Out::N3(..)]));
    assert_eq!(g.reasons(), [Reason::StepUpNeeded]);
    g.learn(5, SimFacts { assurance: assured(Utc(g.w.now.utc.0 + 1_000)), ..SimFacts::default() });
    assert_eq!(g.w.up(5, &syn), [Out::N6(syn.clone())]);
    g.wait(1_000);
    assert_eq!((g.flows(), g.reasons()), (0, vec![Reason::StepUpNeeded]));
}

#[test]
fn a_grant_opens_what_nobody_speaks_of_and_nothing_that_a_rule_refuses() {
    let mut g = Gateway::new(vec![rule("no", 1, "secret", Verdict::Reject, Conditions::default())]);
    let (from, until) = (g.w.now.utc, Utc(g.w.now.utc.0 + 500));
    let grants = vec![grant("files", from, until), grant("secret", from, until)];
    g.learn(5, SimFacts { grants, ..SimFacts::default() });
    assert!(g.opens(1, FILES) && !g.opens(2, SECRET));
    assert_eq!(g.reasons(), [Reason::RuleReject]);
    g.wait(500);
    assert_eq!((g.flows(), g.reasons()), (0, vec![Reason::GrantEnded]));
}

#[test]
fn a_session_that_comes_later_is_judged_by_what_is_known_and_one_of_which_nothing_is_known_by_that() {
    let mut g = Gateway::new(vec![rule("files", 1, "files", Verdict::Allow, compliant())]);
    g.learn(5, SimFacts { posture: posture(Compliance::Compliant, None), ..SimFacts::default() });
    g.w.end(5);
    let mut born = spec(5, LAPTOP);
    g.w.tell(ShardCommand::Insert(born.clone()));
    assert!(!g.opens(1, FILES));
    g.w.end(5);
    born.facts = g.book.of(imsi(5));
    g.w.tell(ShardCommand::Insert(born));
    assert!(g.opens(2, FILES));
}

#[test]
fn a_watched_rule_ends_nothing_and_stands_in_the_record() {
    let mut watched = rule("watched", 1, "files", Verdict::Deny, Conditions::default());
    watched.monitor_until = Some(Utc(i64::MAX));
    let mut g = Gateway::new(vec![watched, rule("files", 2, "files", Verdict::Allow, Conditions::default())]);
    g.source.rules[1].record = types::Recording::Counters;
    let edited = g.source.rules[1].clone();
    g.change(&[Change::Rule(edited)]);
    assert!(g.opens(1, FILES));
    g.w.end(5);
    let r = g.w.records();
    assert_eq!(r.len(), 1, "it is written down although its rule only counts");
    assert_eq!((r[0].verdict, r[0].would.as_ref().unwrap().as_str()), (Verdict::Allow, "watched"));
}

/// Every step may be any of them: a flow, another fact, another rule, time.
#[test]
fn at_every_instant_only_flows_live_that_the_rules_allow() {
    let (mut opened, mut ended) = (0, 0);
    for seed in 0..150 {
        let mut chance = ChaCha12Rng::from_seed([seed; 32]);
        let mut below = move |n: u64| chance.next_u64() % n;
        let mut g = Gateway::new(vec![rule("files", 3, "files", Verdict::Allow, compliant())]);
        for port in 0..60 {
            let now = g.w.now.utc;
            let mut soon = |n: u64| Utc(now.0 + below(n) as i64);
            match port % 4 {
                0 | 2 => opened += usize::from(g.opens(1_000 + port, [FILES, SECRET][port as usize / 2 % 2])),
                1 => {
                    let value = Compliance::ALL[(soon(4).0 - now.0 > 0) as usize ^ 1];
                    let zone = Some("Asia/Tokyo".to_owned());
                    let site = Some(if soon(2) == now { "osaka" } else { "tokyo" }.parse().unwrap());
                    let usual = soon(2) == now;
                    let place = SiteSeen { site, usual, zone, since: now, source: "ngap".parse().unwrap() };
                    let facts = SimFacts {
                        posture: posture(value, Some(soon(5_000))),
                        place: (soon(4) != now).then_some(place),
                        assurance: assured(soon(4_000)),
                        grants: vec![grant(
                            if soon(2) == now { "files" } else { "secret" },
                            soon(900),
                            soon(3_000),
                        )],
                        ..SimFacts::default()
                    };
                    g.learn(5, facts);
                }
                _ if soon(2) == now => {
                    let verdict =
                        [Verdict::Allow, Verdict::Deny, Verdict::StepUp, Verdict::Risk, Verdict::Quarantine];
                    let conditions = Conditions {
                        posture: (soon(3) == now).then_some(Compliance::Compliant),
                        not_sites: if soon(2) == now {
                            ["osaka".parse().unwrap()].into()
                        } else {
                            Default::default()
                        },
                        risk_at_most: (soon(3) == now).then_some(RiskLevel::High),
                        ..Conditions::default()
                    };
                    let (which, app) = (soon(5).0 - now.0, if soon(3) == now { "secret" } else { "files" });
                    let mut new = rule(&format!("r{which}"), which, app, verdict[which as usize], conditions);
                    new.when.until = (soon(2) == now).then(|| soon(2_000));
                    let gone = format!("r{}", soon(5).0 - now.0).parse().unwrap();
                    g.change(&[Change::NoRule(gone), Change::Rule(new)]);
                }
                _ => g.wait(soon(3_000).0 - now.0),
            }
            g.check();
        }
        ended +=
            g.reasons().iter().filter(|r| **r == Reason::FactsChanged || **r == Reason::StepUpNeeded).count();
    }
    assert!(opened > 300 && ended > 100, "{opened} {ended}");
}
