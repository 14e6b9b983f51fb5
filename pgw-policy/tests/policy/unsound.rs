//! Policies that are refused, whole and with everything that is wrong named.

use super::*;

#[test]
fn an_unsound_policy_is_refused_whole_and_everything_is_named() {
    let found = refused(|p| {
        p.rules[1].app = name("hr-dv");
        p.rules[2].subject = "group:all".parse().unwrap();
        p.rules[4].direction = RuleDirection::In { to: Vec::new() };
        p.rules.push(rule("hr", 99, "any", "scada", &[], Verdict::Allow));
        p.ues.push(ue(1, &["plc", "nobody"]));
    });
    let lines: Vec<(String, &str)> = found.iter().map(|f| (f.0.to_string(), f.1)).collect();
    assert_eq!(
        lines,
        [
            ("rule hr".to_owned(), "name"),
            ("rule hr".to_owned(), "app"),
            ("rule web".to_owned(), "subject"),
            ("rule poll".to_owned(), "to"),
            ("rule hr".to_owned(), "app"),
            ("SIM 999700000000001".to_owned(), "imsi"),
            ("SIM 999700000000001".to_owned(), "groups"),
        ]
    );
    assert_eq!(found[1].2, "there is no app hr-dv; add it or name one that exists");
}

#[test]
fn apps_must_be_somewhere_and_be_told_apart() {
    let bad = |prefixes: &[&str], services: &[&str]| {
        let new = app("new", prefixes, services);
        refused(move |p| p.apps.push(new)).remove(0)
    };
    assert_eq!(bad(&[], &["tcp/80"]).1, "prefixes");
    assert!(bad(&["10.1.2.3/24"], &["tcp/80"]).2.contains("write 10.1.2.0/24"));
    assert!(bad(&["127.0.0.0/16"], &[]).2.contains("loopback"));
    assert!(bad(&["224.0.0.5/32"], &[]).2.contains("multicast"));
    assert!(bad(&["fe80::/64"], &[]).2.contains("link-local"));
    assert!(bad(&["10.3.0.0/16", "10.3.0.0/16"], &[]).2.contains("twice"));
    assert!(
        bad(&["10.1.0.5/32"], &["udp/53", "tcp/5000-6000"])
            .2
            .contains("also offered by app hr-db as tcp/5432")
    );
    assert_eq!(refused(|p| p.apps.push(app("hr-db", &["10.1.0.6/32"], &[]))).remove(0).1, "name");
    assert_eq!(refused(|p| p.groups.push(group("hr"))).remove(0).0, Item::Group(name("hr")));
    let mut p = site();
    p.apps.push(app("new", &["10.1.0.5/32", "0.0.0.0/0"], &["tcp/5433", "udp"]));
    assert_eq!(validate(&p), Ok(()));
}

#[test]
fn pools_are_ipv4_separate_and_of_use() {
    let bad = |pool: &str| {
        let n = network("new", pool);
        refused(move |p| p.data_networks.push(n)).remove(0).2
    };
    assert!(bad("10.20.30.0/24").contains("shares addresses with 10.20.0.0/16 of data network corp"));
    assert!(bad("10.0.0.0/8").contains("shares addresses"));
    assert!(bad("10.30.0.1/16").contains("write 10.30.0.0/16"));
    assert!(bad("2001:db8::/64").contains("not IPv4"));
    assert!(bad("10.30.0.0/31").contains("no address to give"));
    assert!(bad("127.1.0.0/16").contains("loopback"));
    assert_eq!(refused(|p| p.data_networks.push(network("corp", "10.30.0.0/16")))[0].1, "dnn");
    assert_eq!(refused(|p| p.data_networks[0].mtu = 575)[0].1, "mtu");
    assert_eq!(refused(|p| p.data_networks[0].dns.push(IpAddr::from([127, 0, 0, 53])))[0].1, "dns");
}

#[test]
fn an_error_reads_as_one_line() {
    let mut p = site();
    p.rules[1].app = name("hr-dv");
    let e = validate(&p).unwrap_err().remove(0);
    assert_eq!(e.problem, Problem::UnknownApp(name("hr-dv")));
    assert_eq!(e.to_string(), "rule hr, app: there is no app hr-dv; add it or name one that exists");
}

#[test]
fn names_stand_where_they_can_be_read_only() {
    let found = |p: &Policy| {
        let of = |e: &pgw_policy::PolicyError| (e.field, e.problem.clone());
        validate(p).unwrap_err().iter().map(of).collect::<Vec<_>>()
    };
    let mut p = site();
    // SCADA offers nothing and opens towards the PLC.
    p.apps[2].names = vec!["scada.example.jp".parse().unwrap()];
    assert_eq!(
        found(&p),
        [("names", Problem::NamesWithoutTcp), ("app", Problem::NamesInward(name("scada")))]
    );
    p.apps[2].names_from = types::NamesFrom::Dns;
    assert_eq!(found(&p), [("app", Problem::NamesInward(name("scada")))], "what is looked up needs no tcp");
    p.apps[2].names.clear();
    assert_eq!(found(&p), [("names_from", Problem::NoNames)]);
    let mut p = site();
    p.apps[1].names = vec!["a.jp".parse().unwrap(), "*.a.jp".parse().unwrap(), "a.jp".parse().unwrap()];
    assert_eq!(found(&p), [("names", Problem::RepeatedName("a.jp".parse().unwrap()))]);
}
