//! One change, without a compilation: what it touches and what it leaves alone. And how long a whole company takes.

use super::{dice::Dice, *};

/// `with` for one change.
fn with(compiled: &Compiled, change: Change) -> (Compiled, pgw_policy::Touched) {
    compiled.with(&[change], compiled.generation() + 1).unwrap()
}

#[test]
fn a_move_of_one_sim_leaves_every_other_class_alone() {
    let p = site();
    let before = compile(&p).unwrap();
    let (after, touched) = with(&before, Change::Ue(ue(2, &["laptops", "hr"])));
    assert_eq!(touched.sims().collect::<Vec<_>>(), [imsi(2)]);
    assert!(!touched.touches_classes());
    for n in [0, 1, 3, 4, 5] {
        assert_eq!(before.class_of(imsi(n)), after.class_of(imsi(n)));
    }
    assert_eq!(after.class_of(imsi(2)), after.class_of(imsi(4)));
    assert_eq!(after.generation(), 8);
    assert_eq!(after.classes(), before.classes());
    assert!(before.with(&[Change::Ue(ue(2, &["nobody"]))], 8).is_err());
    let (newcomer, _) = with(&before, Change::Ue(ue(9, &["plc", "hr"])));
    assert_eq!(newcomer.classes(), before.classes() + 1);
}

#[test]
fn a_rules_edit_touches_those_of_whom_it_speaks() {
    let p = site();
    let before = compile(&p).unwrap();
    let edit = |n: &str, subject: &str| Change::Rule(rule(n, 1, subject, "intranet", &[], Verdict::Deny));
    let (after, touched) = with(&before, edit("new", "group:hr"));
    let touches = |touched: &pgw_policy::Touched, n| touched.touches(after.class_of(imsi(n)));
    assert_eq!([1, 2, 3, 4].map(|n| touches(&touched, n)), [true, false, false, true]);
    assert_eq!(touched.sims().count(), 0);
    assert_eq!(after.classes(), before.classes());
    let ask = |c: &Compiled, n| {
        let d = decide(c, c.class_of(imsi(n)), Direction::Out, "10.9.9.9".parse().unwrap(), 6, 443);
        d.rule.and_then(|r| c.rule_name(r)).map(Name::to_string)
    };
    assert_eq!([1, 2].map(|n| ask(&after, n)), [some("new"), some("not-the-plcs")]);
    // It speaks of others from here on: those of before are touched as well.
    let (other, touched) = with(&after, edit("new", "group:plc"));
    assert_eq!([1, 2, 3, 4].map(|n| touches(&touched, n)), [true, true, false, true]);
    assert_eq!([1, 2].map(|n| ask(&other, n)), [some("web"), some("new")]);
    let (of_all, touched) = with(&other, edit("new", "any"));
    assert_eq!([1, 2, 3, 4].map(|n| touches(&touched, n)), [true; 4]);
    assert_eq!(ask(&of_all, 3), some("new"));
    // A SIM that a rule names has a class of its own for as long.
    let (of_one, touched) = with(&other, edit("new", "sim:999700000000004"));
    assert_eq!(touched.sims().collect::<Vec<_>>(), [imsi(4)]);
    assert_ne!(of_one.class_of(imsi(4)), other.class_of(imsi(4)));
    let (gone, _) = with(&of_one, Change::NoRule(name("new")));
    assert_eq!(gone.class_of(imsi(4)), other.class_of(imsi(4)));
    assert_eq!([1, 2, 4].map(|n| ask(&gone, n)), [some("web"), some("not-the-plcs"), some("web")]);
    assert!(before.with(&[Change::Rule(rule("x", 1, "any", "nowhere", &[], Verdict::Allow))], 8).is_err());
}

#[test]
#[ignore = "measures: 100 000 SIMs, 10 000 rules, about 3 000 classes"]
#[allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn how_long_a_company_takes_to_compile() {
    let mut dice = Dice(ChaCha8Rng::seed_from_u64(3));
    let mut p = Policy { generation: 1, ..Policy::default() };
    p.groups = (0..300).map(|g| group(&format!("g{g}"))).collect();
    p.apps = (0..2_000)
        .map(|a| {
            app(&format!("a{a}"), &[&format!("10.{}.{}.0/24", 100 + a / 250, a % 250)], &["tcp/443", "icmp"])
        })
        .collect();
    p.rules = (0..10_000)
        .map(|r| {
            let subject = format!("group:g{}", dice.below(300));
            rule(&format!("r{r}"), r, &subject, &format!("a{}", dice.below(2_000)), &[], Verdict::Allow)
        })
        .collect();
    let sets: Vec<Vec<String>> =
        (0..3_000).map(|_| (0..5).map(|_| format!("g{}", dice.below(300))).collect()).collect();
    p.ues = (0..100_000)
        .map(|n| ue(n, &sets[dice.below(3_000)].iter().map(String::as_str).collect::<Vec<_>>()))
        .collect();
    let clock = std::time::Instant::now();
    validate(&p).unwrap();
    println!("validate: {:?}", clock.elapsed());
    let clock = std::time::Instant::now();
    let compiled = compile(&p).unwrap();
    println!("compile: {:?}, {} classes", clock.elapsed(), compiled.classes());
    let (sims, rows) = (compiled.heap_of_sims(), compiled.heap_of_rows());
    println!("octets per SIM: {} and {} of rows", sims / p.ues.len(), rows / p.ues.len());
    let clock = std::time::Instant::now();
    let edited = rule("r5000", 77, "group:g7", "a12", &[], Verdict::Deny);
    let (edited, _) = compiled.with(&[Change::Rule(edited)], 2).unwrap();
    println!("one rule's edit: {:?}", clock.elapsed());
    let clock = std::time::Instant::now();
    let (moved, _) = edited.with(&[Change::Ue(ue(77, &["g1", "g2", "g3"]))], 3).unwrap();
    println!("one SIM's move: {:?}", clock.elapsed());
    let clock = std::time::Instant::now();
    let bytes = moved.to_bytes().unwrap();
    println!("snapshot: {:?}, {} octets", clock.elapsed(), bytes.len());
    let clock = std::time::Instant::now();
    Compiled::from_bytes(&bytes).unwrap();
    println!("read back: {:?}", clock.elapsed());
    let asked: Vec<(ClassId, IpAddr)> = (0..1 << 16)
        .map(|_| {
            let a = dice.below(2_000);
            let address = format!("10.{}.{}.7", 100 + a / 250, a % 250);
            (moved.class_of(imsi(dice.below(100_000) as u32)), address.parse().unwrap())
        })
        .collect();
    let clock = std::time::Instant::now();
    let mut allowed = 0u32;
    for _ in 0..16 {
        for &(class, peer) in &asked {
            allowed += u32::from(decide(&moved, class, Direction::Out, peer, 6, 443).allows());
        }
    }
    println!("decide: {:?} each, {allowed} allowed", clock.elapsed() / (16 << 16));
}
