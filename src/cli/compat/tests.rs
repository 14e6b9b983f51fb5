//! What the words are taken for. What they do is told over the real API, in `tests/compat.rs`.

use super::*;
use clap::Parser;

#[derive(Debug, Parser)]
struct Line {
    #[command(subcommand)]
    compat: Compat,
}

const K: &str = "465b5ce8b199b49faa5f0a2ee238a6bc";
const OPC: &str = "e8ed289deba952e4283b54e88e6183ca";

fn read(line: &str) -> Result<Asked> {
    let words = ["sekisho", "open5gs-dbctl"].into_iter().chain(line.split_whitespace());
    let Line { compat: Compat::Open5gsDbctl(c) } = Line::try_parse_from(words).expect("parsed");
    Words { all: &c.words, options: &c, lang: Lang::En }.read()
}

fn added(line: &str) -> New {
    match read(line) {
        Ok(Asked::Add(new)) => new,
        _ => panic!("{line}"),
    }
}

fn refused(line: &str) -> anyhow::Error {
    match read(line) {
        Err(e) => e,
        Ok(_) => panic!("{line} was taken"),
    }
}

#[test]
fn keys_come_by_standard_input_or_a_file_and_as_arguments_only_where_that_is_asked_for() {
    let new = added("add 001010000000001 -");
    assert_eq!((new.imsi.as_str(), new.ip, new.dnns), ("001010000000001", None, vec!["internet".to_owned()]));
    assert!(matches!(new.keys, Keys::Input));
    let new = added("add 001010000000001 10.45.0.9 - -");
    assert_eq!(new.ip, Some([10, 45, 0, 9].into()));
    assert!(matches!(new.keys, Keys::Input));
    for line in ["--keys-from f add 1 10.45.0.9", "--keys-from f add 1 10.45.0.9 -", "--keys-from f addT1 1"]
    {
        assert!(matches!(added(line).keys, Keys::File(_)), "{line}");
    }
    let Keys::Words(words) = added(&format!("--keys-in-arguments add 001010000000001 {K} {OPC}")).keys else {
        panic!("not taken")
    };
    assert_eq!(*words, format!("{K} {OPC}"));
    for line in [
        format!("add 001010000000001 {K} {OPC}"),
        format!("add 001010000000001 10.45.0.9 {K} {OPC}"),
        format!("addT1 001010000000001 {K} {OPC}"),
        format!("add_ue_with_apn 001010000000001 {K} {OPC} corp"),
        format!("add_ue_with_slice 001010000000001 {K} {OPC} corp 1 000001"),
        format!("--keys-from f add 001010000000001 {K} {OPC}"),
    ] {
        let e = refused(&line);
        assert!(e.is::<WrongWords>(), "{line}: {e}");
        let said = e.to_string();
        assert!(
            said.contains("printf") && said.contains("--keys-from"),
            "it says how to change the script: {said}"
        );
        assert!(!said.contains(K) && !said.contains(OPC), "{said}");
    }
}

#[test]
fn arguments_stand_where_the_other_tool_has_them() {
    let new = added("addT1 001010000000001 10.45.0.9 -");
    assert_eq!((new.ip, new.dnns.len()), (Some([10, 45, 0, 9].into()), 3));
    assert_eq!(added("add_ue_with_apn 001010000000001 - corp").dnns, ["corp"]);
    let new = added("add_ue_with_slice 001010000000001 - corp 1 00000a");
    assert_eq!((new.dnns, new.slices), (vec!["corp".to_owned()], vec!["1-00000a".to_owned()]));
    assert_eq!(added("add_ue_with_slice 001010000000001 - corp 1 FFFFFF").slices, ["1"], "no SD");
    let rates = read("ambr_speed 001010000000001 100 2 5 3");
    assert!(matches!(rates, Ok(Asked::Rates { dl: 100_000_000, ul: 5_000_000_000, .. })), "downlink first");
    assert!(matches!(read("subscriber_status 1 1 0"), Ok(Asked::State { state: "suspended", .. })));
    assert!(matches!(read("subscriber_status 1 0 0"), Ok(Asked::State { state: "active", .. })));
    assert!(matches!(read("update_apn 1 corp 0"), Ok(Asked::Apn { slice: 0, .. })));
    assert!(matches!(read("--db_uri=mongodb://localhost/open5gs showall"), Ok(Asked::ShowAll)));
}

#[test]
fn what_means_nothing_here_says_so_and_wrong_arguments_name_the_form() {
    for line in [
        "reset",
        "static_ip6 1 2001:db8::1",
        "type 1 3",
        "lbo_roaming_allowed 1 1",
        "subscriber_status 1 0 3",
        "subscriber_status 1 1 8",
    ] {
        assert!(refused(line).is::<MeansNothing>(), "{line}");
    }
    for line in [
        "",
        "drop",
        "add",
        "add 001010000000001",
        "add 001010000000001 aa",
        "add 001010000000001 - - -",
        "add_ue_with_apn 001010000000001 -",
        "remove",
        "remove 1 2",
        "reset 1",
        "static_ip 1 fe80::1",
        "ambr_speed 1 1 5 1 0",
        "ambr_speed 1 18446744073709551615 4 1 0",
        "ambr_speed 1 -1 0 1 0",
        "update_apn 1 corp x",
        "subscriber_status 1 2 0",
        "subscriber_status 1 0 9",
        "showall 1",
    ] {
        assert!(refused(line).is::<WrongWords>(), "{line}");
    }
    assert_eq!(refused("remove").to_string(), "wrong arguments: remove IMSI");
    let verbs = |help: &str| -> Vec<String> {
        let lines = help.lines().filter(|l| l.starts_with("  "));
        lines.filter_map(|l| l.split_whitespace().next()).map(ToOwned::to_owned).collect()
    };
    assert_eq!((verbs(HELP), verbs(HELP).len()), (verbs(HELP_JA), 18), "both languages have every verb");
}

#[test]
fn keys_are_two_words_or_lines() {
    let read = |text: &str| {
        let mut body = Map::new();
        keys(text, "-", &mut body).map(|()| (body.get("k").cloned(), body.get("opc").cloned()))
    };
    let both = (Some(json!(K)), Some(json!(OPC)));
    for text in [format!("{K} {OPC}\n"), format!("{K}\n{OPC}"), format!("# card\nk = {K}\nopc={OPC}\n")] {
        assert_eq!(read(&text).expect("read"), both);
    }
    let e = read(&format!("{K}\n")).expect_err("one word").to_string();
    assert!(e.contains("-:1:") && !e.contains(K), "{e}");
}
