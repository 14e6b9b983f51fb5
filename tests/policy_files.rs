//! A policy file with a fault, by `sekisho policy apply FILE` and by the API: refused whole, with file, line, column and
//! what to do; and what was in force goes on (docs/hostile.md, "Policy files and tokens").

mod node;

use node::Node;
use sekisho::client::{Client, Refused};
use serde_json::{Value, json};

/// A policy with no fault. The faults are put into it, so that only what is meant is wrong.
const FILE: &str = r#"[[groups]]
name = "staff"

[[apps]]
name = "wiki"
prefixes = ["10.10.1.5/32"]
services = ["tcp/443"]
names = ["wiki.example.com"]

[[apps]]
name = "files"
prefixes = ["10.10.2.0/24"]
services = ["tcp/445", "udp/5000-5010"]

[[rules]]
name = "staff-files"
order = 10
subject = "group:staff"
app = "files"
direction = "out"
verdict = "allow"
hours = "daily 00:00-24:00 Asia/Tokyo"

[[templates]]
name = "department"
parameters = ["group"]
[[templates.rules]]
name = "wiki"
order = 20
subject = "group:${group}"
app = "wiki"
direction = "out"
verdict = "allow"

[[templates]]
name = "outer"
parameters = ["group"]
[[templates.uses]]
name = "inner"
template = "department"
with = { group = "${group}" }

[[uses]]
name = "office"
template = "outer"
with = { group = "staff" }

[[tests]]
name = "staff-have-files"
expect = "allow"
groups = ["staff"]
app = "files"
service = "tcp/445"
"#;

/// What is replaced by what, and how the line of the fault begins and goes on: `LINE:COLUMN: item: … what … fix`.
struct Fault {
    from: &'static str,
    to: &'static str,
    at: (u64, u64),
    says: &'static [&'static str],
}

const fn fault(from: &'static str, to: &'static str, at: (u64, u64), says: &'static [&'static str]) -> Fault {
    Fault { from, to, at, says }
}

/// A node that has the policy without a fault in force, and a client of its API.
fn node() -> (Node, Client) {
    let n = Node::start(&[("corp", "10.48.0.0/16")]);
    let keys = "k = 465b5ce8b199b49faa5f0a2ee238a6bc\nopc = e8ed289deba952e4283b54e88e6183ca\n";
    let (keys, whole) = (n.file("sim.key", keys), n.file("whole.toml", FILE));
    let (keys, whole) = (keys.display().to_string(), whole.display().to_string());
    n.good(&["policy", "apply", &whole], "");
    let sim = ["sim", "add", "001010000000001", "--key-file", &keys, "--dnn", "corp", "--group", "staff"];
    n.good(&sim, "");
    let client = Client::new(&format!("http://{}", n.api), &n.token, "en", None).expect("a client");
    (n, client)
}

/// What is in force: its generation, and that staff reach the files.
fn in_force(api: &Client) -> (Value, Value) {
    let generation = api.get("policies").expect("read").body["generation"].clone();
    let path = "decisions?imsi=001010000000001&app=files&service=tcp/445";
    (generation, api.get(path).expect("explained").body["verdict"].clone())
}

/// Each fault by both doors, one after another: refused with its place and words, and nothing else is in force than before.
fn refused_whole(faults: &[Fault]) {
    let (n, api) = node();
    let before = in_force(&api);
    assert_eq!(before.1, "allow");
    for (nth, f) in faults.iter().enumerate() {
        assert_eq!(FILE.matches(f.from).count(), 1, "{}", f.from);
        let text = FILE.replace(f.from, f.to);
        let file = n.file(&format!("fault-{nth}.toml"), &text).display().to_string();
        let done = n.run(&["policy", "apply", &file], "");
        let said = String::from_utf8(done.stderr).expect("text");
        assert!(!done.status.success(), "{file}: {text}");
        let (line, column) = f.at;
        let place = format!("{file}:{line}:{column}: ");
        let told =
            said.lines().find(|l| l.starts_with(&place)).unwrap_or_else(|| panic!("no {place}: {said}"));
        for word in f.says {
            assert!(told.contains(word), "{word}: {told}");
        }
        assert!(said.contains("nothing was changed"), "{said}");

        let e = api.post("policies/apply", &json!({ "text": text })).expect_err("a fault");
        let refused = e.downcast_ref::<Refused>().expect("a problem");
        assert_eq!(refused.status, 422);
        let places = refused.problem["places"].as_array().expect("places");
        let at = places.iter().position(|p| *p == json!({ "line": line, "column": column }));
        let error = &refused.problem["errors"][at.unwrap_or_else(|| panic!("{:?}: {places:?}", f.at))];
        let detail = error["detail"].as_str().expect("words");
        assert!(detail.starts_with(&format!("line {line}, column {column}: ")), "{detail}");
        assert!(error["fix"].as_str().is_some_and(|fix| !fix.is_empty()), "{error}");
        assert_eq!(in_force(&api), before, "{}", f.to);
    }
}

#[test]
fn typos_and_unknown_fields() {
    refused_whole(&[
        // A typo in a word, in a key, and in the form itself.
        fault("verdict = \"allow\"\nhours", "verdict = \"alow\"\nhours", (21, 11), &["alow"]),
        fault(
            "direction = \"out\"\nverdict = \"allow\"\nhours",
            "direction = \"ot\"\nverdict = \"allow\"\nhours",
            (20, 13),
            &["ot"],
        ),
        fault("order = 10\n", "order = 10x\n", (17, 9), &[]),
        // Fields that there are not: of a rule, of an app, of the file.
        fault("hours = ", "houres = ", (22, 1), &["houres", "hours"]),
        fault("names = [\"wiki", "hosts = [\"wiki", (8, 1), &["hosts"]),
        fault("[[groups]]\n", "colour = \"red\"\n[[groups]]\n", (1, 1), &["colour"]),
    ]);
}

#[test]
fn groups_and_apps_that_there_are_not() {
    refused_whole(&[
        fault("\"group:staff\"", "\"group:slaff\"", (18, 11), &["slaff", "staff"]),
        fault("with = { group = \"staff\" }", "with = { group = \"stuff\" }", (46, 18), &["stuff", "staff"]),
        fault("groups = [\"staff\"]", "groups = [\"staff\", \"guests\"]", (51, 20), &["guests"]),
    ]);
}

#[test]
fn names_that_overlap() {
    refused_whole(&[
        // Two of one name; a name twice in one app; two apps by name at one place, of which one's names hold the other's.
        fault("name = \"files\"", "name = \"wiki\"", (11, 8), &["wiki"]),
        fault("[\"wiki.example.com\"]", "[\"wiki.example.com\", \"wiki.example.com\"]", (8, 30), &["twice"]),
        fault(
            "[[rules]]\nname = \"staff-files\"",
            "[[apps]]\nname = \"all\"\nprefixes = [\"10.10.1.5/32\"]\nservices = [\"tcp/443\"]\n\
             names = [\"*.example.com\"]\n\n[[rules]]\nname = \"staff-files\"",
            (18, 13),
            &["wiki", "narrow"],
        ),
    ]);
}

#[test]
fn templates_in_a_loop() {
    refused_whole(&[
        fault("template = \"department\"", "template = \"outer\"", (40, 12), &["outer"]),
        fault(
            "[[templates]]\nname = \"outer\"",
            "[[templates.uses]]\nname = \"back\"\ntemplate = \"outer\"\nwith = { group = \"${group}\" }\n\n[[templates]]\nname = \"outer\"",
            (45, 12),
            &["department → outer → department"],
        ),
        fault(
            "[[uses]]\nname = \"office\"",
            "[[templates]]\nname = \"self\"\n[[templates.uses]]\nname = \"again\"\ntemplate = \"self\"\n\n[[uses]]\nname = \"office\"",
            (47, 12),
            &["self → self"],
        ),
    ]);
}

#[test]
fn schedules_that_cannot_be() {
    const WHOLE: &str = "\"daily 00:00-24:00 Asia/Tokyo\"";
    refused_whole(&[
        fault(WHOLE, "\"daily 09:00-09:00 Asia/Tokyo\"", (22, 9), &["end at another time"]),
        fault(WHOLE, "\"mon-fri 08:00-25:00 Asia/Tokyo\"", (22, 9), &["hours are"]),
        fault(WHOLE, "\"daily 08:00-18:00 Asia/Edo\"", (22, 9), &["Asia/Edo"]),
    ]);
}

#[test]
fn prefixes_with_host_bits() {
    refused_whole(&[
        fault("\"10.10.2.0/24\"", "\"10.10.2.1/24\"", (12, 13), &["10.10.2.1/24", "10.10.2.0/24"]),
        fault("\"10.10.2.0/24\"", "\"10.10.4.0/24\", \"10.10.2.255/31\"", (12, 29), &["10.10.2.254/31"]),
        fault("\"10.10.2.0/24\"", "\"2001:db8::1/64\"", (12, 13), &["2001:db8::/64"]),
    ]);
}

#[test]
fn port_ranges_upside_down() {
    refused_whole(&[
        fault("udp/5000-5010", "udp/5010-5000", (13, 24), &["a port range begins with its lower port"]),
        fault(
            "udp/5000-5010",
            "udp/65535-1",
            (13, 24),
            &["services[1]", "a port range begins with its lower port"],
        ),
        fault(
            "\"tcp/445\", ",
            "\"tcp/446-445\", ",
            (13, 13),
            &["services[0]", "a port range begins with its lower port"],
        ),
    ]);
}
