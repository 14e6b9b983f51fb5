//! A policy that changes under live flows: what it denies ends at once, the rest goes on.

use super::*;

#[test]
fn a_new_policy_ends_what_it_denies_at_once_and_keeps_the_rest() {
    let mut w = World::new();
    w.up(5, &tcp(LAPTOP, 1, FILES, 443, SYN));
    w.down(&tcp(SCADA, 1, PLC, 502, SYN));
    w.tell(compiled(2, &["files"]));
    let r = w.records();
    let [r] = r.as_slice() else { panic!("{r:?}") };
    assert_eq!(
        (r.reason, r.generation, r.rule.as_ref().unwrap().as_str()),
        (Reason::PolicyChanged, 1, "files")
    );
    w.up_dropped(5, &tcp(LAPTOP, 1, FILES, 443, ACK), Reason::NoRule);
    w.down_dropped(&tcp(FILES, 443, LAPTOP, 1, ACK), Reason::NoFlow);
    assert_eq!(w.up(7, &tcp(PLC, 502, SCADA, 1, ACK)).len(), 1);
    w.end(7);
    let r = w.records();
    let ended = r.iter().find(|r| r.reason == Reason::SessionEnded).unwrap();
    assert_eq!((ended.generation, ended.rule.as_ref().unwrap().as_str()), (2, "scada-reads"));
}

#[test]
fn a_change_of_the_policy_ends_what_it_denies_and_leaves_the_rest_alone() {
    use crate::change::Change;
    let mut w = World::new();
    let mut source = policy(1, &[]);
    let mut policy = compile(&source).unwrap();
    let mut change = |w: &mut World, change: Change| {
        let (next, touched) = policy.with(std::slice::from_ref(&change), policy.generation() + 1).unwrap();
        source.apply(&[change], next.generation());
        policy = next;
        let (policy, touched) = (Arc::new(policy.clone()), Arc::new(touched));
        assert_eq!(
            w.tell(ShardCommand::PolicyChange { policy, touched, reason: Reason::PolicyChanged }),
            ShardReply::Done
        );
        source.clone()
    };
    let allow = |name: &str, order, subject| Rule {
        name: name.parse().unwrap(),
        order,
        subject,
        app: "files".parse().unwrap(),
        direction: RuleDirection::Out,
        verdict: Verdict::Allow,
        rate: Default::default(),
        record: Default::default(),
        when: Default::default(),
        conditions: Default::default(),
        monitor_until: None,
    };
    // Files for the PLC by a rule of its own, whoever else may.
    change(&mut w, Change::Rule(allow("plc-files", 0, Subject::Sim(imsi(7)))));
    for (n, ue) in [(5, LAPTOP), (7, PLC)] {
        assert_eq!(w.up(n, &tcp(ue, 1, FILES, 443, SYN)).len(), 1);
    }
    change(&mut w, Change::NoRule("files".parse().unwrap()));
    let ended = w.records();
    let [r] = ended.as_slice() else { panic!("{ended:?}") };
    // It is named though it is gone.
    assert_eq!(
        (r.imsi, r.reason, r.rule.as_ref().unwrap().as_str()),
        (imsi(5), Reason::PolicyChanged, "files")
    );
    w.up_dropped(5, &tcp(LAPTOP, 1, FILES, 443, ACK), Reason::NoRule);
    assert_eq!(w.up(7, &tcp(PLC, 1, FILES, 443, ACK)).len(), 1);
    // Another rule takes the flow over.
    change(&mut w, Change::Rule(allow("files-again", 0, Subject::Any)));
    let source = change(&mut w, Change::NoRule("plc-files".parse().unwrap()));
    assert_eq!(w.up(7, &tcp(PLC, 1, FILES, 443, ACK)).len(), 1);
    assert_eq!(w.up(5, &tcp(LAPTOP, 2, FILES, 443, SYN)).len(), 1);
    // The whole of the same source changes nothing.
    w.records();
    w.tell(ShardCommand::Policy(Arc::new(compile(&source).unwrap())));
    assert!(w.records().iter().all(|r| r.reason != Reason::PolicyChanged));
    assert_eq!(w.up(7, &tcp(PLC, 1, FILES, 443, ACK)).len(), 1);
}

#[test]
fn a_flow_ends_with_the_hours_of_its_rule_and_says_so() {
    let mut w = World::new();
    let mut p = policy(2, &[]);
    p.rules[0].when.until = Some(Utc(7));
    let off = compile(&p).unwrap();
    let (on, touched) = off.with_clocks(vec![1]);
    assert!(touched.touches_classes() && touched.touches(ClassId::NO_GROUPS));
    w.tell(ShardCommand::Policy(Arc::new(on.clone())));
    assert_eq!(w.up(5, &tcp(LAPTOP, 1, FILES, 443, SYN)).len(), 1);
    w.down(&tcp(SCADA, 1, PLC, 502, SYN));
    w.records();
    let (policy, touched) = on.with_clocks(vec![0]);
    let (policy, touched) = (Arc::new(policy), Arc::new(touched));
    w.tell(ShardCommand::PolicyChange { policy, touched, reason: Reason::OutOfHours });
    let ended = w.records();
    let [r] = ended.as_slice() else { panic!("{ended:?}") };
    assert_eq!((r.imsi, r.reason, r.rule.as_ref().unwrap().as_str()), (imsi(5), Reason::OutOfHours, "files"));
    w.up_dropped(5, &tcp(LAPTOP, 1, FILES, 443, ACK), Reason::NoRule);
    assert_eq!(w.up(7, &tcp(PLC, 502, SCADA, 1, ACK)).len(), 1);
    // Nothing was flipped: nobody is touched.
    assert_eq!(on.with_clocks(vec![1]).1, crate::change::Touched::default());
}

#[test]
fn a_sim_that_leaves_its_group_loses_what_the_group_may() {
    use crate::change::Change;
    let mut w = World::new();
    let ShardCommand::Policy(policy) = with_groups(2) else { panic!() };
    w.tell(ShardCommand::Policy(Arc::clone(&policy)));
    w.tell(ShardCommand::Panic { group: "laptops".parse().unwrap(), on: true });
    w.up_dropped(5, &tcp(LAPTOP, 1, FILES, 443, SYN), Reason::GroupInPanic);
    let ue = types::UeGroups {
        imsi: imsi(5),
        groups: ["plcs".parse().unwrap()].into(),
        device: None,
        person: None,
    };
    let (next, touched) = policy.with(&[Change::Ue(ue)], 3).unwrap();
    w.tell(ShardCommand::PolicyChange {
        policy: Arc::new(next),
        touched: Arc::new(touched),
        reason: Reason::PolicyChanged,
    });
    assert_eq!(w.up(5, &tcp(LAPTOP, 1, FILES, 443, SYN)).len(), 1, "its new group is not in panic");
}
