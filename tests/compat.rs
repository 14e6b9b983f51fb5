//! `sekisho compat open5gs-dbctl` as scripts call it: the binary itself, before the API of a control process of its own.

mod node;

use node::Node;
use serde_json::{Value, json};
use std::{
    process::Output,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

const K: &str = "465b5ce8b199b49faa5f0a2ee238a6bc";
const OPC: &str = "e8ed289deba952e4283b54e88e6183ca";
/// Of each SIM another K: two cards with one are refused.
static KEYS: AtomicU32 = AtomicU32::new(1);

impl Node {
    fn dbctl(&self, line: &str, input: &str) -> Output {
        let words: Vec<&str> =
            ["compat", "open5gs-dbctl"].into_iter().chain(line.split_whitespace()).collect();
        self.run(&words, input)
    }

    fn does(&self, line: &str, input: &str) -> String {
        let done = self.dbctl(line, input);
        assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).expect("text")
    }

    /// Exit code and what it said.
    fn refuses(&self, line: &str) -> (i32, String) {
        let done = self.dbctl(line, "");
        (done.status.code().expect("a code"), String::from_utf8(done.stderr).expect("text"))
    }

    fn pair(&self) -> String {
        format!("{:032x} {OPC}\n", 0x1234_5678_9abc_def0_u128 + u128::from(KEYS.fetch_add(1, Relaxed)))
    }

    fn sim(&self, imsi: &str) -> Value {
        serde_json::from_str(&self.good(&["sim", "show", imsi, "-o", "json"], "")).expect("JSON")
    }
}

#[test]
fn every_verb_does_what_a_script_means_by_it() {
    let n = Node::start(&[
        ("internet", "10.45.0.0/16"),
        ("internet1", "10.46.0.0/16"),
        ("internet2", "10.47.0.0/16"),
        ("corp", "10.48.0.0/16"),
    ]);

    // SIMs come, and keys never by an argument unless that is asked for.
    let pair = n.pair();
    n.does("add 001010000000001 -", &pair);
    let pair = n.pair();
    n.does("add 001010000000002 10.45.0.9 -", &pair);
    let pair = n.pair();
    n.does("addT1 001010000000003 -", &pair);
    let (k, opc) = (format!("{:032x}", 0xabc), OPC);
    let keys = n.file("sim.key", &format!("k = {k}\nopc = {opc}\n"));
    n.does(&format!("--keys-from {} add_ue_with_apn 001010000000004 corp", keys.display()), "");
    let pair = n.pair();
    n.does("add_ue_with_slice 001010000000005 - corp 1 00000a", &pair);
    n.does(&format!("--keys-in-arguments add 001010000000006 {:032x} {OPC}", 0xdef), "");
    let one = n.sim("001010000000001");
    assert_eq!(
        (&one["dnns"], &one["ambr_dl_bps"], &one["state"]),
        (&json!(["internet"]), &json!(1_000_000_000), &json!("ready"))
    );
    assert_eq!(n.sim("001010000000002")["static_ips"], json!({ "internet": "10.45.0.9" }));
    assert_eq!(n.sim("001010000000003")["dnns"], json!(["internet", "internet1", "internet2"]));
    assert_eq!(n.sim("001010000000004")["dnns"], json!(["corp"]));
    assert_eq!(n.sim("001010000000005")["slices"], json!(["1-00000a"]));

    let (code, said) = n.refuses(&format!("add 001010000000007 {K} {OPC}"));
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("printf") && !said.contains(K) && !said.contains(OPC), "{said}");
    let (code, said) = n.refuses("add 001010000000001 -");
    assert_eq!(code, 1, "no keys came: {said}");
    let pair = n.pair();
    assert_eq!(n.dbctl("add 001010000000001 -", &pair).status.code(), Some(3), "there is one already");

    // They are changed.
    n.does("static_ip 001010000000001 10.45.0.77", "");
    n.does("update_apn 001010000000001 corp 0", "");
    n.does("ambr_speed 001010000000001 100 2 20 2", "");
    let one = n.sim("001010000000001");
    assert_eq!(
        (&one["static_ips"], &one["dnns"]),
        (&json!({ "internet": "10.45.0.77" }), &json!(["internet", "corp"]))
    );
    assert_eq!((&one["ambr_dl_bps"], &one["ambr_ul_bps"]), (&json!(100_000_000), &json!(20_000_000)));
    n.does("update_slice 001010000000005 internet 1 ffffff", "");
    let five = n.sim("001010000000005");
    assert_eq!((&five["slices"], &five["dnns"]), (&json!(["1-00000a", "1"]), &json!(["corp", "internet"])));
    n.does("update_slice 001010000000001 internet2 1 00000a", "");
    let one = n.sim("001010000000001");
    assert_eq!(one["slices"], json!([]), "it has every slice already");
    assert_eq!(one["dnns"], json!(["internet", "corp", "internet2"]));
    assert_eq!(n.refuses("update_apn 001010000000001 internet1 4").0, 2);

    // Barred, and not.
    n.does("subscriber_status 001010000000001 0 0", "");
    assert_eq!(n.sim("001010000000001")["state"], "ready", "nothing was barred");
    n.good(&["sim", "bulk", "001010000000001", "--expect", "1", "--state", "active", "--reason", "x"], "");
    n.does("subscriber_status 001010000000001 1 0", "");
    assert_eq!(n.sim("001010000000001")["state"], "suspended");
    n.does("subscriber_status 001010000000001 0 0", "");
    assert_eq!(n.sim("001010000000001")["state"], "active");

    // They are shown, without keys.
    let all = n.does("showall", "");
    assert_eq!(all.lines().count(), 6);
    let each: Vec<Value> = all.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    assert_eq!(each[0]["imsi"], "001010000000001");
    let pretty: Value = serde_json::from_str(&n.does("showpretty", "")).expect("JSON");
    assert_eq!(pretty.as_array().map(Vec::len), Some(6));
    let few = n.does("showfiltered", "");
    assert!(few.contains("001010000000002") && few.contains("10.45.0.9"), "{few}");
    for shown in [&all, &few] {
        assert!(!shown.contains(&k) && !shown.contains(OPC), "{shown}");
    }

    // One goes.
    n.does("remove 001010000000006", "");
    let six = n.sim("001010000000006");
    assert_eq!((&six["state"], &six["has_key"]), (&json!("retired"), &json!(false)));
    assert_eq!(n.refuses("remove 001010000000099").0, 3);

    // What means nothing here says what to do instead, and changes nothing.
    let before = n.does("showall", "");
    for (line, instead) in [
        ("reset", "remove IMSI"),
        ("static_ip6 001010000000001 2001:db8::1", "--pool6"),
        ("type 001010000000001 3", "--pool6"),
        ("lbo_roaming_allowed 001010000000001 1", "plmns"),
        ("subscriber_status 001010000000001 0 3", "suspends"),
    ] {
        let (code, said) = n.refuses(line);
        assert_eq!(code, 5, "{line}: {said}");
        assert!(said.contains(instead), "{line}: {said}");
    }
    assert_eq!(n.does("showall", ""), before);
    assert!(n.does("help", "").contains("add_ue_with_slice"));
    assert_eq!(n.refuses("add").0, 2);
    assert_eq!(n.refuses("--db_uri=mongodb://localhost/open5gs remove").0, 2);
}
