//! Rows and rules agree: in every decision on policies of chance, and after changes of chance.

use super::{dice::Dice, *};

/// The rows at a moment.
fn at(compiled: &Compiled, is_on: impl Fn(&types::When) -> bool) -> (Compiled, pgw_policy::Touched) {
    let mut word = vec![0; compiled.clocks().len().div_ceil(64)];
    for (n, _) in compiled.clocks().iter().enumerate().filter(|(_, when)| is_on(when)) {
        word[n / 64] |= 1 << (n % 64);
    }
    compiled.with_clocks(word)
}

/// `policies` policies of chance with 48 questions each; also after each SIM's move. Returns how often each
/// of the reasons came, and last how often a name was to be read.
fn rows_and_rules_agree(seed: u64, policies: usize) -> [usize; 16] {
    let mut dice = Dice(ChaCha8Rng::seed_from_u64(seed));
    let mut seen = [0; 16];
    for nth in 0..policies {
        let mut policy = dice.policy();
        let mut compiled = compile(&policy).unwrap();
        let snapshot = compiled.to_bytes().unwrap();
        assert_eq!(Compiled::from_bytes(&snapshot).as_ref(), Ok(&compiled));
        for round in 0..3 {
            let moment = dice.moment();
            compiled = at(&compiled, moment).0;
            let plain = Plain::new(&policy);
            for _ in 0..16 {
                let q = dice.question();
                let standing = dice.standing(&policy, moment);
                plain_and_rows_agree(&plain, &compiled, &q, &standing);
                let story = checked_explain_for(&policy, &compiled, &q, &standing).unwrap();
                seen[14] += usize::from(story.verdict == Ruling::Inspect);
                seen[15] += usize::from(story.would.is_some());
                if matches!(story.verdict, Ruling::Allow | Ruling::Inspect) {
                    // What restricts only takes away.
                    let nobody =
                        Standing { quarantined: false, panicked: Default::default(), ..standing.clone() };
                    assert_eq!(explain_for(&policy, &q, &nobody).verdict, story.verdict);
                } else {
                    // Knowing less never opens.
                    let less = Standing { facts: dice.less(standing.facts.clone()), ..standing.clone() };
                    let story = explain_for(&policy, &q, &less);
                    let open = matches!(story.verdict, Ruling::Allow | Ruling::Inspect);
                    assert!(!open, "policy {nth}: {q:?} {standing:?} {less:?} {story:#?}\n{policy:#?}");
                }
                assert_ne!(
                    story.reason,
                    Reason::Disagreement,
                    "seed {seed}, policy {nth}, round {round}: {q:?} {standing:?}\n{policy:#?}"
                );
                let at = [
                    Reason::Rule,
                    Reason::RuleDeny,
                    Reason::RuleReject,
                    Reason::NoRule,
                    Reason::UnknownApp,
                    Reason::UeToUe,
                    Reason::Quarantined,
                    Reason::GroupInPanic,
                    Reason::NamesNeedTls,
                    Reason::StepUpNeeded,
                    Reason::RuleQuarantine,
                    Reason::RiskTooHigh,
                    Reason::FactUnknown,
                    Reason::Granted,
                ];
                seen[at.iter().position(|r| *r == story.reason).unwrap()] += 1;
            }
            (policy, compiled) = dice.change(policy, compiled);
        }
    }
    seen
}

/// The walk without a story says the same of those who are not restricted.
fn plain_and_rows_agree(plain: &Plain<'_>, compiled: &Compiled, q: &Question, standing: &Standing) {
    let said = plain.ask(q, standing);
    let known = compiled.known(&standing.facts, standing.at);
    let asker = pgw_policy::Asker::new(compiled.class_of(q.imsi), &known);
    let d = decide_for(compiled, &asker, q.direction, q.peer, q.protocol, q.port);
    let rule = d.rule.and_then(|r| compiled.rule_name(r));
    assert_eq!((said.verdict, said.reason, said.rule), (d.verdict, d.reason, rule), "{q:?} {standing:?}");
}

#[test]
fn rows_and_rules_agree_on_policies_of_chance() {
    let seen = rows_and_rules_agree(1, 4_000);
    let (often, names) = seen.split_at(8);
    let reached = often.iter().all(|n| *n > 130) && names.iter().all(|n| *n > 12);
    assert!(reached, "the questions reach every reason: {seen:?}");
}

#[test]
#[ignore = "soak: 1.2 million questions"]
fn rows_and_rules_agree_on_a_million_questions() {
    rows_and_rules_agree(2, 25_000);
}

/// What changes made, step by step, is what a compilation makes at once: in every decision, for every SIM.
#[test]
fn changes_one_after_the_other_are_as_good_as_the_whole() {
    let mut dice = Dice(ChaCha8Rng::seed_from_u64(4));
    for nth in 0..300 {
        let mut policy = dice.policy();
        let mut compiled = compile(&policy).unwrap();
        for step in 0..30 {
            (policy, compiled) = dice.change(policy, compiled);
            let snapshot = compiled.to_bytes().unwrap();
            assert_eq!(Compiled::from_bytes(&snapshot).as_ref(), Ok(&compiled));
            let moment = dice.moment();
            let (before, of_clocks) = (compiled.clone(), at(&compiled, moment).1);
            compiled = at(&compiled, moment).0;
            let whole = at(&compile(&policy).unwrap(), moment).0;
            for _ in 0..16 {
                let q = dice.question();
                let standing = dice.standing(&policy, moment);
                let class = compiled.class_of(q.imsi);
                let facts = |c: &Compiled| c.known(&standing.facts, standing.at);
                if !of_clocks.touches(class) && !of_clocks.sims().any(|s| s == q.imsi) {
                    let ask = |c: &Compiled| decide(c, class, q.direction, q.peer, q.protocol, q.port);
                    assert_eq!(ask(&before), ask(&compiled));
                }
                let stories =
                    [&whole, &compiled].map(|c| checked_explain_for(&policy, c, &q, &standing).unwrap());
                assert_ne!(stories[0].reason, Reason::Disagreement);
                assert_eq!(stories[0], stories[1], "policy {nth}, step {step}: {q:?}\n{policy:#?}");
                // The rows alone.
                let rows = [&whole, &compiled].map(|c| {
                    let known = facts(c);
                    let asker = pgw_policy::Asker::new(c.class_of(q.imsi), &known);
                    let d = decide_for(c, &asker, q.direction, q.peer, q.protocol, q.port);
                    let rule = d.rule.and_then(|r| c.rule_name(r)).cloned();
                    (d.verdict, d.reason, rule, d.app.and_then(|a| c.app_name(a)).cloned())
                });
                assert_eq!(rows[0], rows[1]);
            }
        }
    }
}
