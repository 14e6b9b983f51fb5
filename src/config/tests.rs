//! Each mistake is named with its line, its key and what to write instead; the example file shows every key.

use super::*;
use crate::io::sctp::SctpMode;

const SMALL: &str = "[network]\nplmn = \"001-01\"\ntacs = [1]\nslices = [\"1\"]\n[n2]\naddress = \"192.0.2.1\"\n[n3]\naddress = \"192.0.2.1\"\n[paths]\ndata = \"/var/lib/sekisho\"\n";

fn faults(text: &str) -> Vec<Fault> {
    Config::parse(text, std::iter::empty()).expect_err("refused")
}

#[test]
fn gx_and_n4_say_the_same_of_an_smf_that_assigns_on_its_own() {
    let with = |assigns: &str, own_range: &str, address: &str| {
        let text = format!(
            "{SMALL}[gx]\nhost = \"pcrf.x\"\nrealm = \"x\"\nlisten = \"127.0.0.9:3868\"\n\
             [[gx.smf]]\nhost = \"smf.x\"\naddresses = [\"{address}\"]\nassigns = [{assigns}]\n\
             [n4]\nlisten = \"192.0.2.1:8805\"\n\
             [[n4.smf]]\nname = \"core\"\naddress = \"192.0.2.4\"\nown_range = [{own_range}]\n"
        );
        match Config::parse(&text, std::iter::empty()) {
            Ok(_) => Vec::new(),
            Err(found) => found.into_iter().map(|f| f.key).collect(),
        }
    };
    let (wide, part, other) = ("\"10.45.0.0/16\"", "\"10.45.7.0/24\"", "\"10.46.0.0/16\"");
    for (assigns, own_range, address) in [
        ("", "", "192.0.2.4"),
        (wide, wide, "192.0.2.4"),
        ("\"10.45.0.0/16\", \"2001:db8:45::/48\"", wide, "192.0.2.4"),
        // Its user plane is another's.
        (wide, "", "192.0.2.5"),
        (wide, part, "192.0.2.5"),
    ] {
        assert_eq!(with(assigns, own_range, address), [""; 0], "{assigns} {own_range}");
    }
    for (assigns, own_range) in [("", wide), (part, wide)] {
        assert_eq!(with(assigns, own_range, "192.0.2.4"), ["n4.smf.own_range"], "{assigns} {own_range}");
    }
    for (assigns, own_range) in [(wide, ""), (wide, part)] {
        assert_eq!(with(assigns, own_range, "192.0.2.4"), ["gx.smf.assigns"], "{assigns} {own_range}");
    }
    assert_eq!(with(wide, other, "192.0.2.4"), ["n4.smf.own_range", "gx.smf.assigns"]);
}

#[test]
fn each_fault_of_a_diameter_face_is_named_by_its_key() {
    let with = |gx: &str| faults(&format!("{SMALL}{gx}")).into_iter().map(|f| f.key).collect::<Vec<_>>();
    let head = "[gx]\nhost = \"pcrf.x\"\nrealm = \"x\"\n";
    let smf = "[[gx.smf]]\nhost = \"smf.x\"\naddresses = [\"127.0.0.4\"]\n";
    let listen = "listen = \"127.0.0.9:3868\"\n";
    assert_eq!(with(head), ["gx", "gx.smf"]);
    assert_eq!(with(&format!("{head}listen = \"127.0.0.9:0\"\n{smf}")), ["gx.listen"]);
    assert_eq!(with(&format!("{head}{listen}{smf}{smf}")), ["gx.smf.host"]);
    assert_eq!(with(&format!("{head}{listen}{smf}certificate = true\n")), ["gx.smf.certificate"]);
    assert_eq!(with(&format!("{head}{listen}{smf}imsis = [\"1\"]\n")), ["gx.smf.imsis"]);
    for wrong in ["[\"10.45.0.1/16\"]", "[\"10.45.0.0/16\", \"10.45.7.0/24\"]"] {
        assert_eq!(with(&format!("{head}{listen}{smf}assigns = {wrong}\n")), ["gx.smf.assigns"]);
    }
    let other = smf.replace("smf.x", "b.x");
    let twins = format!("{smf}assigns = [\"10.0.0.0/8\"]\n{other}assigns = [\"10.1.0.0/16\"]\n");
    assert_eq!(with(&format!("{head}{listen}{twins}")), ["gx.smf.assigns"]);
    let head = "[s6a]\nhost = \"h\"\nrealm = \"x\"\nlisten = \"127.0.0.8:3868\"\n";
    let mme = "[[s6a.mme]]\nhost = \"m\"\naddresses = []\napplications = []\nvectors = 6\n";
    let keys = ["s6a.mme.addresses", "s6a.mme.applications", "s6a.mme.vectors"];
    assert_eq!(with(&format!("{head}{mme}")), keys);
}

#[test]
fn the_example_file_shows_every_key_and_parses() {
    let text = include_str!("../../sekisho.example.toml");
    let shown = Config::parse(text, std::iter::empty()).expect("the example parses");
    assert_eq!(shown.gnb.len(), 1);
    // With every comment sign in front of a key taken away it must still parse: no key in it is stale.
    let open: String = text
        .lines()
        .map(|l| match l.strip_prefix("#: ") {
            Some(rest) => format!("{rest}\n"),
            None => format!("{l}\n"),
        })
        .collect();
    Config::parse(&open, std::iter::empty()).expect("every optional key of the example parses");
    for key in [
        "name",
        "display_name",
        "time_zone",
        "plmn",
        "amf",
        "tacs",
        "slices",
        "relative_capacity",
        "integrity",
        "ciphering",
        "key_life_s",
        "t3512_s",
        "refuse_null_scheme",
        "authentication",
        "address",
        "port",
        "transport",
        "udp_port",
        "n2",
        "n3",
        "tun",
        "netns",
        "shards",
        "data",
        "run",
        "url",
        "listen",
        "host",
        "certificate",
        "private_key",
        "format",
        "filter",
        "issuer",
        "client_id",
        "client_secret_file",
        "base_url",
        "scopes",
        "groups_claim",
        "session_minutes",
        "acr",
        "amr",
        "group",
        "role",
        "groups",
        "sites",
        "kind",
        "secret_file",
        "ca",
        "what",
        "include_imsi",
        "close_notify",
        "enterprise",
    ] {
        assert!(
            open.lines().any(|l| l.split_once('=').is_some_and(|(k, _)| k.trim() == key)),
            "{key} is not shown"
        );
    }
}

#[test]
fn an_unknown_key_is_refused_with_its_line() {
    let f = faults(&SMALL.replace("tacs = [1]", "tacs = [1]\ntack = 2"));
    assert_eq!(f[0].line, Some(4));
    assert!(f[0].what.contains("tack"), "{}", f[0].what);
}

#[test]
fn a_wrong_mcc_is_refused_with_its_line() {
    let f = faults(&SMALL.replace("001-01", "01-01"));
    assert_eq!((f[0].line, f[0].key.as_str()), (Some(2), "plmn"));
}

#[test]
fn every_semantic_fault_is_named_at_once() {
    let text = SMALL
        .replace("tacs = [1]", "tacs = []")
        .replace("[n3]\naddress = \"192.0.2.1\"", "[n3]\naddress = \"0.0.0.0\"");
    let f = faults(&text);
    let keys: Vec<_> = f.iter().map(|f| (f.key.as_str(), f.line)).collect();
    assert_eq!(keys, [("network.tacs", Some(3)), ("n3.address", Some(8))]);
}

#[test]
fn the_radios_speak_the_family_of_n3() {
    let by_ipv6 = SMALL.replace("[n3]\naddress = \"192.0.2.1\"", "[n3]\naddress = \"fd00::1\"");
    let gnb =
        |n3: &str| format!("{by_ipv6}\n[[gnb]]\nname = \"g\"\nn2 = [\"192.0.2.9/32\"]\nn3 = [\"{n3}\"]\n");
    let f = faults(&gnb("192.0.2.9/32"));
    let of_n3: Vec<_> = f.iter().filter(|f| f.key == "gnb.n3").map(|f| f.what.as_str()).collect();
    assert_eq!(of_n3, ["n3.address is IPv6, so 192.0.2.9/32 can send it nothing; write its IPv6 prefix"]);
    for disguised in ["::ffff:192.0.2.1", "ff02::1", "::"] {
        let f = faults(&by_ipv6.replace("fd00::1", disguised));
        assert!(f.iter().any(|f| f.key == "n3.address"), "{disguised}");
    }
    Config::parse(&gnb("fd00::/64"), std::iter::empty()).unwrap();
}

#[test]
fn auto_is_the_kernels_sctp_where_there_is_one_and_raw_ip_elsewhere() {
    let mode =
        |text: &str, kernel| Config::parse(text, std::iter::empty()).expect("parses").n2.sctp_mode(kernel);
    assert_eq!((mode(SMALL, true), mode(SMALL, false)), (SctpMode::Kernel, SctpMode::Raw));
    let with = |t: &str| SMALL.replace("[n2]\n", &format!("[n2]\ntransport = \"{t}\"\n"));
    // What was asked for by name is never something else in silence.
    for kernel in [true, false] {
        assert_eq!(mode(&with("kernel"), kernel), SctpMode::Kernel);
        assert_eq!(mode(&with("raw"), kernel), SctpMode::Raw);
        assert_eq!(mode(&with("udp"), kernel), SctpMode::Udp { port: 9899 });
    }
    assert!(faults(&with("tcp"))[0].what.contains("unknown variant"));
}

#[test]
fn a_provider_is_reached_by_https_and_lets_in_mapped_groups_alone() {
    let right = format!(
        "{SMALL}[oidc]\nname = \"Corp\"\nissuer = \"https://idp.example/realms/corp\"\nclient_id = \"sekisho\"\n\
         base_url = \"https://sekisho.example:8443\"\n[[oidc.grant]]\ngroup = \"net\"\nrole = \"owner\"\n"
    );
    let c = Config::parse(&right, std::iter::empty()).expect("parses");
    assert_eq!(c.oidc.map(|o| (o.session_minutes, o.groups_claim)), Some((480, "groups".to_owned())));
    let local = right.replace("https://idp.example", "http://127.0.0.1:9000");
    assert!(Config::parse(&local, std::iter::empty()).is_ok(), "on this machine");
    for (old, new, key, line) in [
        ("https://idp", "http://idp", "oidc.issuer", 13),
        ("https://idp.example/realms/corp", "idp", "oidc.issuer", 13),
        ("https://sekisho", "http://sekisho", "oidc.base_url", 15),
        ("example:8443", "example:8443/console", "oidc.base_url", 15),
        ("role = \"owner\"", "role = \"root\"", "oidc.grant", 11),
        ("client_id = \"sekisho\"", "client_id = \"\"", "oidc.client_id", 14),
    ] {
        let f = faults(&right.replace(old, new));
        assert_eq!((f[0].key.as_str(), f[0].line), (key, Some(line)), "{f:?}");
    }
}

#[test]
fn host_bits_in_a_radio_prefix_are_refused_with_the_fix() {
    let f =
        faults(&format!("{SMALL}[[gnb]]\nname = \"a\"\nn2 = [\"192.0.2.9/24\"]\nn3 = [\"192.0.2.9/32\"]\n"));
    assert!(f[0].what.contains("192.0.2.0/24"), "{}", f[0].what);
}

#[test]
fn the_environment_overrides_a_key_and_a_wrong_one_is_refused() {
    let env = |k: &str, v: &str| vec![(k.to_owned(), v.to_owned())].into_iter();
    let c = Config::parse(SMALL, env("SEKISHO_API_LISTEN", "127.0.0.1:9000")).expect("parses");
    assert_eq!(c.api.listen.port(), 9000);
    let c = Config::parse(SMALL, env("SEKISHO_REVOCATION_SECOND_PERSON", "true")).expect("parses");
    assert!(c.revocation.second_person);
    let c = Config::parse(SMALL, env("SEKISHO_N2_UDP_PORT", "9900")).expect("parses");
    assert_eq!(c.n2.udp_port, 9900);
    assert!(Config::parse(SMALL, env("SEKISHO_API_LISTENN", "x")).is_err());
}
