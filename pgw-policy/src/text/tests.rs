//! Files that are read, files that are refused, and the way there and back.

use super::*;
use proptest::prelude::*;
use types::{Expect, Loose, PolicyTest, RuleDirection, RuleRate, Subject, Template, Utc, Verdict, When};

const WHOLE: &str = r#"
[[groups]]
name = "sales"

[[groups]]
name = "plant"
label = "工場"

[[apps]]
name = "wiki"
prefixes = ["10.10.1.5/32"]
services = ["tcp/443"]

[[apps]]
name = "crm"
prefixes = ["10.10.2.0/24"]
services = ["tcp/443", "tcp/8000-8010"]

[[rules]]
name = "no-crm-at-night"
order = 5
subject = "any"
app = "crm"
direction = "out"
verdict = "deny"
hours = "daily 22:00-06:00 Asia/Tokyo"
until = 2030-01-01T00:00:00Z

[[templates]]
name = "office"
parameters = ["group", "services"]
[[templates.rules]]
name = "wiki"
order = 100
subject = "group:${group}"
app = "wiki"
direction = "out"
verdict = "allow"
[[templates.rules]]
name = "agent"
order = 100
subject = "group:${group}"
app = "wiki"
direction = "in"
to = "${services}"
verdict = "allow"

[[templates]]
name = "seller"
parameters = ["group"]
[[templates.rules]]
name = "crm"
order = 110
subject = "group:${group}"
app = "crm"
direction = "out"
verdict = "allow"
[[templates.uses]]
name = "base"
template = "office"
with = { group = "${group}", services = ["tcp/22"] }

[[uses]]
name = "tokyo"
template = "seller"
with = { group = "sales" }

[[tests]]
name = "sales-have-the-crm"
expect = "allow"
groups = ["sales"]
app = "crm"
service = "tcp/443"
at = 2027-06-01T03:00:00Z

[[tests]]
name = "not-at-night"
expect = "deny"
groups = ["sales"]
address = "10.10.2.9"
service = "tcp/8005"
at = 2027-06-01T15:00:00Z

[[tests]]
name = "the-plant-has-not"
expect = "deny"
groups = ["plant"]
app = "crm"
service = "tcp/443"
"#;

fn policy(parsed: &Parsed) -> crate::Policy {
    crate::Policy {
        apps: parsed.text.apps.clone(),
        groups: parsed.text.groups.clone(),
        rules: parsed.rules(),
        ..crate::Policy::default()
    }
}

#[test]
fn templates_become_rules_that_say_where_they_come_from() {
    let parsed = parse(WHOLE).unwrap();
    let names: Vec<String> = parsed.generated.iter().map(|r| r.name.to_string()).collect();
    assert_eq!(names, ["tokyo.crm", "tokyo.base.wiki", "tokyo.base.agent"]);
    let agent = &parsed.generated[2];
    assert_eq!(agent.subject, "group:sales".parse().unwrap());
    assert_eq!(agent.direction, RuleDirection::In { to: vec!["tcp/22".parse().unwrap()] });
    assert_eq!(parsed.text.rules[0].when.until, Some(Utc(1_893_456_000_000)));
    let all = PolicyText::of(
        parsed.text.apps.clone(),
        parsed.text.groups.clone(),
        parsed.rules(),
        parsed.text.extras.clone(),
    );
    assert_eq!(all, parsed.text, "what templates make is not said twice");
    assert_eq!(parse(&write(&all)).unwrap(), parsed);
}

#[test]
fn tests_of_a_policy_are_tried() {
    let parsed = parse(WHOLE).unwrap();
    let mut policy = policy(&parsed);
    let results = run(&policy, &parsed.text.extras.tests).unwrap();
    assert!(results.iter().all(|r| r.passed), "{results:#?}");
    policy.rules.retain(|r| r.name.as_str() != "no-crm-at-night");
    let failed: Vec<_> = run(&policy, &parsed.text.extras.tests).unwrap();
    let failed: Vec<&str> = failed.iter().filter(|r| !r.passed).map(|r| r.name.as_str()).collect();
    assert_eq!(failed, ["not-at-night"]);
}

/// One SIM, asked about in two sets of groups and in its own.
#[test]
fn a_sim_is_tried_in_the_groups_that_each_test_says() {
    let mut parsed = parse(WHOLE).unwrap();
    let imsi: types::Imsi = "001010000000001".parse().unwrap();
    let mut policy = policy(&parsed);
    policy.ues = vec![types::UeGroups {
        imsi,
        groups: [parsed.text.groups[0].name.clone()].into(),
        device: None,
        person: None,
    }];
    let of = |name: &str, groups: &[&str], expect| PolicyTest {
        name: name.parse().unwrap(),
        expect,
        sim: Some(imsi),
        groups: groups.iter().map(|g| g.parse().unwrap()).collect(),
        app: Some("wiki".parse().unwrap()),
        address: None,
        service: "tcp/443".parse().unwrap(),
        direction: types::Direction::Out,
        at: None,
        facts: Default::default(),
    };
    parsed.text.extras.tests = vec![
        of("own", &[], Expect::Allow),
        of("plant", &["plant"], Expect::Deny),
        of("sales", &["sales"], Expect::Allow),
    ];
    let results = run(&policy, &parsed.text.extras.tests).unwrap();
    assert!(results.iter().all(|r| r.passed), "{results:#?}");
    assert_eq!(results.len(), 3);
}

#[test]
fn a_test_says_what_is_known_of_its_sim() {
    const FILE: &str = r#"
[[groups]]
name = "staff"

[[apps]]
name = "hr"
prefixes = ["10.10.3.0/24"]
services = ["tcp/443"]

[[rules]]
name = "hr-well"
order = 1
subject = "group:staff"
app = "hr"
direction = "out"
verdict = "allow"
posture = "compliant"
sites = ["osaka"]
"#;
    let case = |n: usize, expect: &str, facts: &str| {
        format!(
            "\n[[tests]]\nname = \"t{n}\"\nexpect = \"{expect}\"\ngroups = [\"staff\"]\napp = \"hr\"\nservice = \"tcp/443\"\n{facts}\n"
        )
    };
    let cases = [
        ("deny", ""),
        ("allow", r#"facts = { posture = "compliant", site = "osaka" }"#),
        ("deny", r#"facts = { posture = "compliant" }"#),
        ("deny", r#"facts = { posture = "compliant", site = "nara" }"#),
        ("deny", r#"facts = { posture = "not_compliant", site = "osaka" }"#),
        ("deny", r#"facts = { posture = "compliant", at_a_site = false }"#),
    ];
    let file: String = cases.iter().enumerate().map(|(n, (expect, facts))| case(n, expect, facts)).collect();
    let parsed = parse(&format!("{FILE}{file}")).unwrap();
    let results = run(&policy(&parsed), &parsed.text.extras.tests).unwrap();
    assert!(results.len() == cases.len() && results.iter().all(|r| r.passed), "{results:#?}");
    // As it was read it is written.
    assert_eq!(parse(&write(&parsed.text)).unwrap(), parsed);
    let wrong = format!("{FILE}{}", case(0, "allow", r#"facts = { postur = "compliant" }"#));
    assert!(parse(&wrong).is_err());
}

/// Where each finding of a file is.
fn places(text: &str) -> Vec<(usize, usize, String)> {
    let found = parse(text).unwrap_err();
    let at = |f: &Finding| f.place.map(|p| (p.line, p.column)).unwrap();
    found.iter().map(|f| (at(f).0, at(f).1, format!("{} {}", f.item, f.field).trim().to_owned())).collect()
}

#[test]
fn everything_wrong_is_named_at_once_each_at_its_place() {
    let text = r#"
colour = "red"
[[groups]]
name = "sales"
[[apps]]
name = "wiki"
prefixes = ["10.10.1.5/32", "10.10.1.5/24"]
service = ["tcp/443"]
[[apps]]
name = "crm"
prefixes = ["10.10.2.0/24", "10.10.3.1/24"]
services = ["tcp/443"]
[[rules]]
name = "a"
order = 1
subject = "group:slaes"
app = "wikki"
direction = "out"
verdict = "alow"
hours = "mon 8-9"
[[rules]]
name = "a b"
subject = "group:slaes"
app = "crm"
direction = "out"
to = ["tcp/9"]
verdict = "allow"
"#;
    assert_eq!(
        places(text),
        [
            (2, 1, "colour".to_owned()),
            (8, 1, "app wiki service".to_owned()),
            (11, 29, "app crm prefixes[1]".to_owned()),
            (19, 11, "rule a verdict".to_owned()),
            (20, 9, "rule a hours".to_owned()),
            (21, 1, "rule a b".to_owned()),
            (22, 8, "rule a b name".to_owned()),
            (26, 6, "rule a b to".to_owned()),
        ]
    );
    let pointers: Vec<String> = parse(text).unwrap_err().into_iter().map(|f| f.pointer).collect();
    assert_eq!(pointers[2], "/apps/1/prefixes/1");
}

/// A chain of templates of which each uses the next one twice.
fn doubling(many: usize) -> String {
    let mut text = String::new();
    for n in 0..many {
        text += &format!(
            "[[templates]]\nname = \"t{n}\"\n[[templates.uses]]\nname = \"a\"\ntemplate = \"t{m}\"\n\
             [[templates.uses]]\nname = \"b\"\ntemplate = \"t{m}\"\n",
            m = n + 1
        );
    }
    text + &format!("[[templates]]\nname = \"t{many}\"\n[[uses]]\nname = \"u\"\ntemplate = \"t0\"\n")
}

#[test]
fn templates_that_double_or_loop_end() {
    let problems =
        |text: &str| -> Vec<Problem> { parse(text).unwrap_err().into_iter().map(|f| f.problem).collect() };
    assert_eq!(problems(&doubling(30)), [Problem::TooManyRules]);
    assert_eq!(problems(&doubling(2_000)), [Problem::TooManyRules]);
    assert!(parse(&doubling(5)).is_ok());
    let back = doubling(3)
        .replace("name = \"t3\"\n", "name = \"t3\"\n[[templates.uses]]\nname = \"x\"\ntemplate = \"t1\"\n");
    let way = ["t1", "t2", "t3", "t1"].map(str::to_owned).to_vec();
    assert_eq!(problems(&back), [Problem::Loop(way)]);
}

fn name() -> impl Strategy<Value = types::Name> {
    "[a-z][a-z0-9]{0,6}".prop_map(|s| s.parse().unwrap())
}

fn rule() -> impl Strategy<Value = types::Rule> {
    let direction = prop_oneof![
        Just(RuleDirection::Out),
        Just(RuleDirection::In { to: vec!["tcp/502".parse().unwrap(), "icmp".parse().unwrap()] })
    ];
    let verdict = prop_oneof![Just(Verdict::Allow), Just(Verdict::Deny), Just(Verdict::Reject)];
    let subject = prop_oneof![
        Just(Subject::Any),
        Just("group:g".parse().unwrap()),
        Just("sim:001010000000001".parse().unwrap())
    ];
    let when = (any::<bool>(), proptest::option::of(0..4_000_000_000_000_i64));
    (name(), any::<i64>(), subject, direction, verdict, when).prop_map(
        |(name, order, subject, direction, verdict, (hours, until))| types::Rule {
            name,
            order,
            subject,
            app: "a".parse().unwrap(),
            direction,
            rate: match verdict {
                Verdict::Allow => RuleRate { ul_bps: Some(5000), dl_bps: None },
                _ => RuleRate::default(),
            },
            verdict,
            record: types::Recording::default(),
            when: When {
                hours: hours.then(|| "mon-fri 08:00-18:00 Asia/Tokyo".parse().unwrap()),
                until: until.map(Utc),
            },
            conditions: types::Conditions {
                sites: if order % 2 == 0 { ["osaka".parse().unwrap()].into() } else { Default::default() },
                assured: (order % 3 == 0).then_some(true),
                ..Default::default()
            },
            monitor_until: until.filter(|_| order % 5 == 0).map(Utc),
        },
    )
}

proptest! {
    /// Text → model → text, and model → JSON → model, lose nothing.
    #[test]
    fn what_is_written_is_read_as_the_same(
        mut rules in proptest::collection::vec(rule(), 0..6),
        label in any::<String>(),
        number in any::<i64>(),
        odd in "[ -~あ]{0,9}",
    ) {
        rules.sort_by(|a, b| a.name.cmp(&b.name));
        rules.dedup_by(|a, b| a.name == b.name);
        let app = serde_json::json!({ "name": "a", "label": label, "prefixes": ["10.1.0.0/16"], "services": ["tcp/443"] });
        let mut group = types::Group::new("g".parse().unwrap(), label.clone());
        group.emergency_apps = vec!["a".parse().unwrap()];
        let fields = types::LooseFields::from([
            ("name".to_owned(), Loose::Text("x".to_owned())),
            (odd, Loose::List(vec![Loose::Number(number), Loose::Switch(true)])),
        ]);
        let text = PolicyText {
            apps: vec![serde_json::from_value(app).unwrap()],
            groups: vec![group],
            rules,
            extras: types::PolicyExtras {
                templates: vec![Template {
                    name: "t".parse().unwrap(),
                    label,
                    parameters: vec!["p".parse().unwrap()],
                    rules: vec![fields.clone()],
                    uses: Vec::new(),
                }],
                uses: Vec::new(),
                tests: Vec::new(),
            },
        };
        let written = write(&text);
        let read = parse(&written).map_err(|e| TestCaseError::fail(format!("{e:#?}\n{written}")))?;
        prop_assert_eq!(&read.text, &text, "{}", written);
        let json = serde_json::json!({
            "apps": &text.apps, "groups": &text.groups, "rules": &text.rules,
            "templates": &text.extras.templates, "tests": null,
        });
        let node: Node = serde_json::from_value(json).unwrap();
        prop_assert_eq!(super::read(&node).unwrap().text, text);
    }

    /// Whatever stands in a file: an answer, and every finding with a place in it.
    #[test]
    fn a_damaged_file_is_refused_with_places(cut in 0..WHOLE.len(), with in "[\\[\\]={}\"$#a-z0-9\n. ]{0,8}") {
        let at = (0..=cut).rev().find(|n| WHOLE.is_char_boundary(*n)).unwrap();
        let text = format!("{}{with}{}", &WHOLE[..at], &WHOLE[at..]);
        if let Err(found) = parse(&text) {
            prop_assert!(!found.is_empty());
            let lines = text.lines().count() + 1;
            prop_assert!(found.iter().all(|f| f.place.is_some_and(|p| p.line <= lines)));
        }
    }
}

#[test]
fn uses_and_templates_are_held_to_their_parameters() {
    let with = |with: &str| {
        let text = WHOLE.replace("with = { group = \"sales\" }", with);
        parse(&text).unwrap_err().into_iter().map(|f| f.problem).collect::<Vec<_>>()
    };
    let near = Some("group".to_owned());
    assert_eq!(
        with("with = { gruop = \"sales\" }"),
        [
            Problem::MissingParameter("group".to_owned()),
            Problem::UnknownParameter { name: "gruop".to_owned(), near }
        ]
    );
    // What a parameter is wrong about is told where the parameter stands.
    let text = WHOLE.replace("group = \"sales\"", "group = \"salse\"");
    let found = parse(&text).unwrap_err();
    let line = text.lines().position(|l| l.contains("salse")).unwrap() + 1;
    assert!(found.iter().all(|f| f.place.unwrap().line == line && f.item == "use tokyo"), "{found:#?}");
}

/// Each template hands its list to the next one twice; or its text, as often as one likes.
#[test]
fn what_doubles_from_template_to_template_is_refused() {
    let chain = |with: &str, deep: usize| {
        let mut text = String::new();
        for n in 0..deep {
            text += &format!(
                "[[templates]]\nname = \"t{n}\"\nparameters = [\"p\"]\n\
                 [[templates.uses]]\nname = \"u\"\ntemplate = \"t{}\"\nwith = {{ p = {with} }}\n",
                n + 1
            );
        }
        text + &format!(
            "[[templates]]\nname = \"t{deep}\"\nparameters = [\"p\"]\n[[templates.rules]]\nname = \"r\"\norder = 1\n\
             subject = \"any\"\napp = \"a\"\ndirection = \"in\"\nto = \"${{p}}\"\nverdict = \"deny\"\n\
             [[uses]]\nname = \"u\"\ntemplate = \"t0\"\nwith = {{ p = [\"tcp/22\"] }}\n\
             [[apps]]\nname = \"a\"\nprefixes = [\"10.1.0.0/16\"]\nservices = [\"tcp/443\"]\n"
        )
    };
    assert_eq!(parse(&chain("\"${p}\"", 30)).map(|p| p.generated.len()), Ok(1));
    for (with, deep) in [("[\"${p}\", \"${p}\"]", 30), ("[\"${p}\"]", 20)] {
        let found = parse(&chain(with, deep)).unwrap_err();
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].problem, Problem::TooManyRules, "{with}");
    }
    // One long text, again and again.
    let text = chain(&format!("[{}]", ["\"${p}\""; 200].join(", ")), 1);
    let long = text
        .replace("with = { p = [\"tcp/22\"] }", &format!("with = {{ p = \"{}\" }}", "x".repeat(1_000_000)));
    assert_eq!(parse(&long).unwrap_err()[0].problem, Problem::TooManyRules);
    let wide = format!("[{}]", ["\"${p}\""; 60].join(", "));
    assert_eq!(parse(&chain(&wide, 5)).unwrap_err()[0].problem, Problem::TooManyRules);
}

/// However long the names, and however many are wrong: so many findings, each with its place.
#[test]
fn names_without_an_end_and_faults_without_number_are_named_two_hundred_times() {
    let long = format!("{} = \"x\"\n", "dr".repeat(20_000));
    let found = parse(&long).unwrap_err();
    assert!(matches!(&found[..], [Finding { problem: Problem::UnknownField { near: None, .. }, .. }]));
    // A text that nobody means is left as it stands.
    let holes =
        WHOLE.replace("name = \"crm\"\norder", &format!("name = \"{}\"\norder", "${group}".repeat(5_000)));
    assert!(parse(&holes).is_err());
    let mut text =
        "[[apps]]\nname = \"a\"\nprefixes = [\"10.1.0.0/16\"]\nservices = [\"tcp/443\"]\n".to_owned();
    for n in 0..1_000 {
        text += &format!(
            "[[rules]]\nname = \"r{n}\"\norder = {n}\nsubject = \"any\"\napp = \"b\"\ndirection = \"out\"\nverdict = \"deny\"\n"
        );
    }
    let found = parse(&text).unwrap_err();
    assert_eq!(found.len(), 200);
    assert!(found.iter().all(|f| f.place.is_some()));
    assert!(matches!(&found[0].problem, Problem::Unsound { near: Some(a), .. } if a.as_str() == "a"));
}
