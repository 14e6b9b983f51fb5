//! Bad files and the words for them, in both languages, held against a committed list.
//! Regenerate with `UPDATE_POLICY_WORDS=1 cargo test -p admin-web policy_words`, and read the difference.

use super::*;
use pgw_policy::text::parse;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/policy_words/golden.txt");

/// A file in which every case changes one thing.
const GOOD: &str = r#"[[groups]]
name = "staff"

[[apps]]
name = "wiki"
prefixes = ["10.10.1.0/24"]
services = ["tcp/443"]

[[apps]]
name = "crm"
prefixes = ["10.10.2.5/32"]
services = ["tcp/8000-8010"]

[[rules]]
name = "staff-wiki"
order = 10
subject = "group:staff"
app = "wiki"
direction = "out"
verdict = "allow"
hours = "mon-fri 08:00-18:00 Asia/Tokyo"

[[templates]]
name = "office"
parameters = ["group"]
[[templates.rules]]
name = "crm"
order = 20
subject = "group:${group}"
app = "crm"
direction = "out"
verdict = "allow"

[[uses]]
name = "tokyo"
template = "office"
with = { group = "staff" }

[[tests]]
name = "staff-have-the-wiki"
expect = "allow"
groups = ["staff"]
app = "wiki"
service = "tcp/443"
"#;

/// What is changed: from, to.
const CASES: &[(&str, &str, &str)] = &[
    ("not TOML", "prefixes = [\"10.10.1.0/24\"]", "prefixes = [\"10.10.1.0/24\""),
    ("a key twice", "order = 10\n", "order = 10\norder = 11\n"),
    ("a typo in a field", "subject = \"group:staff\"", "subjetc = \"group:staff\""),
    ("an unknown field", "order = 10\n", "order = 10\ncolour = \"red\"\n"),
    ("an unknown section", "[[groups]]\n", "[[grups]]\n"),
    ("a data network", "[[groups]]\n", "[[data_networks]]\ndnn = \"corp\"\n[[groups]]\n"),
    ("a section that is no list", "[[groups]]\n", "[groups]\n"),
    ("a field that is missing", "verdict = \"allow\"\nhours", "hours"),
    ("an unknown verdict", "verdict = \"allow\"\nhours", "verdict = \"alow\"\nhours"),
    ("an unknown group", "subject = \"group:staff\"", "subject = \"group:stafff\""),
    ("a strange subject", "subject = \"group:staff\"", "subject = \"staff\""),
    ("an unknown app", "app = \"wiki\"\ndirection", "app = \"wikki\"\ndirection"),
    ("a name with a space", "name = \"staff-wiki\"", "name = \"staff wiki\""),
    (
        "two rules of one name",
        "[[templates]]",
        "[[rules]]\nname = \"staff-wiki\"\norder = 1\nsubject = \"any\"\napp = \"crm\"\ndirection = \"out\"\nverdict = \"deny\"\n\n[[templates]]",
    ),
    ("a prefix with host bits", "10.10.2.5/32", "10.10.2.5/24"),
    ("no prefix at all", "10.10.2.5/32", "10.10.2.5/33"),
    ("the same prefix twice", "[\"10.10.1.0/24\"]", "[\"10.10.1.0/24\", \"10.10.1.0/24\"]"),
    ("a port range upside down", "tcp/8000-8010", "tcp/8010-8000"),
    (
        "a service of two apps",
        "prefixes = [\"10.10.2.5/32\"]\nservices = [\"tcp/8000-8010\"]",
        "prefixes = [\"10.10.2.5/32\", \"10.10.1.0/24\"]\nservices = [\"tcp/400-500\", \"tcp/8000\"]",
    ),
    ("a number with a fraction", "order = 10", "order = 1.5"),
    ("a text for a number", "order = 10", "order = \"ten\""),
    ("hours that end where they begin", "08:00-18:00", "08:00-08:00"),
    ("hours of no zone", "Asia/Tokyo", "Asia/Edo"),
    ("an end that is no time", "hours = ", "until = \"tomorrow\"\nhours = "),
    (
        "to without in",
        "direction = \"out\"\nverdict = \"allow\"\nhours",
        "direction = \"out\"\nto = [\"tcp/1\"]\nverdict = \"allow\"\nhours",
    ),
    (
        "in without to",
        "direction = \"out\"\nverdict = \"allow\"\nhours",
        "direction = \"in\"\nverdict = \"allow\"\nhours",
    ),
    (
        "a rate where nothing passes",
        "verdict = \"allow\"\nhours",
        "verdict = \"deny\"\nrate_ul_bps = 5000\nhours",
    ),
    ("risk that cannot be", "hours = ", "risk_at_least = \"high\"\nrisk_at_most = \"low\"\nhours = "),
    ("an unknown template", "template = \"office\"", "template = \"ofice\""),
    (
        "a template in a loop",
        "[[uses]]",
        "[[templates.uses]]\nname = \"again\"\ntemplate = \"office\"\n\n[[uses]]",
    ),
    ("a parameter that is missing", "with = { group = \"staff\" }", "with = {}"),
    (
        "a parameter that there is not",
        "with = { group = \"staff\" }",
        "with = { group = \"staff\", groop = 1 }",
    ),
    ("a parameter with a wrong value", "with = { group = \"staff\" }", "with = { group = \"sales\" }"),
    ("a placeholder that there is not", "group:${group}", "group:${grp}"),
    ("a rule that looks like one of a use", "name = \"staff-wiki\"", "name = \"tokyo.wiki\""),
    (
        "two tests of one name",
        "[[tests]]",
        "[[tests]]\nname = \"staff-have-the-wiki\"\nexpect = \"deny\"\naddress = \"10.9.9.9\"\nservice = \"icmp\"\n\n[[tests]]",
    ),
    ("a test of nothing", "app = \"wiki\"\nservice", "service"),
    ("a test of many ports", "service = \"tcp/443\"\n", "service = \"tcp/1-443\"\n"),
    ("a test of an unknown group", "groups = [\"staff\"]", "groups = [\"staff\", \"staf\"]"),
    ("a test that expects something else", "expect = \"allow\"", "expect = \"maybe\""),
];

#[test]
fn every_bad_file_is_refused_with_file_line_column_field_and_fix() {
    assert!(parse(GOOD).is_ok(), "{:#?}", parse(GOOD));
    let mut made = String::new();
    for (what, from, to) in CASES {
        assert!(GOOD.contains(from), "{what}");
        let text = GOOD.replacen(from, to, 1);
        let found = parse(&text).expect_err(what);
        assert!(!found.is_empty(), "{what}");
        made += &format!("# {what}\n");
        for f in &found {
            let said = line("policy.toml", f);
            assert!(f.place.is_some() && said.en.contains("; "), "{what}: {said:?}");
            made += &format!("{}\n{}\n", said.en, said.ja);
        }
        made.push('\n');
    }
    if std::env::var_os("UPDATE_POLICY_WORDS").is_some() {
        std::fs::write(GOLDEN, &made).unwrap();
    }
    let committed = std::fs::read_to_string(GOLDEN).unwrap_or_default();
    for (new, old) in made.lines().zip(committed.lines()) {
        assert_eq!(new, old, "run: UPDATE_POLICY_WORDS=1 cargo test -p admin-web policy_words");
    }
    assert_eq!(made.lines().count(), committed.lines().count());
}
