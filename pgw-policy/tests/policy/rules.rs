//! What the rules of a site let through, in words and in rows: who reaches what, in which order rules are read, what a rule
//! asks for beside letting through.

use super::*;

#[test]
fn a_laptop_reaches_only_its_apps() {
    let p = site();
    assert_eq!(
        ask(&p, out(1, "10.9.9.9", 6, 443)),
        (Ruling::Allow, Reason::Rule, some("web"), some("intranet"))
    );
    assert_eq!(ask(&p, out(1, "10.9.9.9", 6, 22)), (Ruling::Deny, Reason::UnknownApp, None, None));
    // The database's own prefix hides the intranet's wider one.
    assert_eq!(ask(&p, out(4, "10.1.0.5", 6, 443)).1, Reason::UnknownApp);
    assert_eq!(ask(&p, out(4, "10.1.0.5", 6, 5432)).2, some("hr"));
    assert_eq!(ask(&p, out(3, "10.1.0.5", 6, 5432)), (Ruling::Deny, Reason::NoRule, None, some("hr-db")));
    assert_eq!(ask(&p, out(1, "192.0.2.1", 6, 443)).1, Reason::UnknownApp);
    assert_eq!(ask(&p, out(1, "2001:db8::1", 6, 443)).1, Reason::UnknownApp);
}

#[test]
fn a_rule_for_one_sim_comes_before_its_groups_rule() {
    assert_eq!(
        ask(&site(), out(1, "10.1.0.5", 6, 5432)),
        (Ruling::Reject, Reason::RuleReject, some("no-hr-for-sim-1"), some("hr-db"))
    );
}

#[test]
fn a_groups_rule_and_a_rule_for_everyone_keep_their_order() {
    let mut p = site();
    assert_eq!(ask(&p, out(2, "10.9.9.9", 6, 80)).2, some("not-the-plcs"));
    p.rules[2].order = 1;
    assert_eq!(ask(&p, out(2, "10.9.9.9", 6, 80)).2, some("web"));
}

#[test]
fn scada_reaches_the_plc_at_the_named_ports_only() {
    let p = site();
    assert_eq!(
        ask(&p, inward(2, "10.1.0.9", 6, 502)),
        (Ruling::Allow, Reason::Rule, some("poll"), some("scada"))
    );
    assert_eq!(ask(&p, inward(2, "10.1.0.9", 6, 503)).2, some("service-port"));
    assert_eq!(ask(&p, inward(2, "10.1.0.9", 6, 80)), (Ruling::Deny, Reason::NoRule, None, None));
    assert_eq!(ask(&p, inward(2, "10.1.0.9", 1, 0)).2, some("poll"));
    assert_eq!(ask(&p, inward(2, "10.1.0.8", 6, 502)).1, Reason::NoRule);
    assert_eq!(ask(&p, inward(2, "198.51.100.1", 6, 502)).1, Reason::UnknownApp);
    assert_eq!(ask(&p, inward(1, "10.1.0.9", 6, 502)).1, Reason::NoRule);
}

#[test]
fn ue_to_ue_is_off_unless_a_prefix_in_the_pool_says_so() {
    let p = site();
    assert_eq!(ask(&p, out(1, "10.20.8.1", 6, 443)), (Ruling::Deny, Reason::UeToUe, None, None));
    assert_eq!(ask(&p, inward(2, "10.20.8.1", 6, 502)).1, Reason::UeToUe);
    assert_eq!(ask(&p, out(1, "10.20.7.4", 6, 502)).2, some("talk-to-plcs"));
}

#[test]
fn icmp_is_a_service_of_its_own_family_and_other_protocols_are_nothing() {
    let mut p = site();
    p.apps[0].prefixes.push("2001:db8::/32".parse().unwrap());
    assert_eq!(ask(&p, out(1, "10.9.9.9", 1, 8)).2, some("web"));
    assert_eq!(ask(&p, out(1, "2001:db8::1", 58, 128)).2, some("web"));
    assert_eq!(ask(&p, out(1, "2001:db8::1", 1, 0)).1, Reason::UnknownApp);
    assert_eq!(ask(&p, out(1, "10.9.9.9", 58, 0)).1, Reason::UnknownApp);
    for protocol in [0, 2, 4, 41, 47, 50, 132, 255] {
        assert_eq!(ask(&p, out(1, "10.9.9.9", protocol, 443)).1, Reason::UnknownApp);
        assert_eq!(ask(&p, inward(2, "10.1.0.9", protocol, 502)).1, Reason::NoRule);
    }
}

#[test]
fn the_story_names_each_rule_on_the_way() {
    let story = explain(&site(), &out(2, "10.9.9.9", 6, 443));
    let read: Vec<(&str, Outcome)> = story.considered.iter().map(|c| (c.rule.as_str(), c.outcome)).collect();
    assert_eq!(
        read,
        [
            ("no-hr-for-sim-1", Outcome::OtherSubject),
            ("hr", Outcome::OtherSubject),
            ("not-the-plcs", Outcome::Matched),
        ]
    );
    assert_eq!(story.prefix, Some("10.0.0.0/8".parse().unwrap()));
    assert_eq!(story.groups.len(), 1);
}

#[test]
fn rows_that_disagree_with_the_rules_deny() {
    let mut p = site();
    let compiled = compile(&p).unwrap();
    p.rules.retain(|r| r.name != name("not-the-plcs"));
    let story = checked_explain(&p, &compiled, &out(2, "10.9.9.9", 6, 443)).unwrap();
    assert_eq!((story.verdict, story.reason), (Ruling::Deny, Reason::Disagreement));
    p.generation += 1;
    assert!(checked_explain(&p, &compiled, &out(2, "10.9.9.9", 6, 443)).is_err());
}

#[test]
fn nothing_is_allowed_before_the_first_policy() {
    let none = Compiled::empty();
    let d = decide(&none, none.class_of(imsi(1)), Direction::Out, "10.0.0.1".parse().unwrap(), 6, 443);
    assert_eq!((d.verdict, d.reason), (Ruling::Deny, Reason::UnknownApp));
    let site = compile(&site()).unwrap();
    let d = decide(&site, ClassId(u32::MAX), Direction::Out, "10.9.9.9".parse().unwrap(), 6, 443);
    assert_eq!((d.verdict, d.reason), (Ruling::Deny, Reason::NoRule));
}

#[test]
fn sims_in_the_same_groups_share_a_class_and_named_ones_do_not() {
    let c = compile(&site()).unwrap();
    assert_eq!(c.class_of(imsi(3)), ClassId::NO_GROUPS);
    assert_ne!(c.class_of(imsi(1)), c.class_of(imsi(4)));
    let mut p = site();
    p.rules.remove(0);
    let c = compile(&p).unwrap();
    assert_eq!(c.class_of(imsi(1)), c.class_of(imsi(4)));
    assert_eq!(c.classes(), 3);
}

#[test]
fn a_person_is_told_that_quarantine_was_read_before_any_rule() {
    let mut p = site();
    p.groups[0].remediation_apps = vec![name("hr-db")];
    let imsi = p.ues.iter().find(|u| u.groups.contains(&p.groups[0].name)).unwrap().imsi;
    let compiled = compile(&p).unwrap();
    let q = Question {
        imsi,
        direction: Direction::Out,
        peer: "10.9.9.9".parse().unwrap(),
        protocol: 6,
        port: 443,
    };
    let standing = Standing { quarantined: true, ..Standing::default() };
    let story = checked_explain_for(&p, &compiled, &q, &standing).unwrap();
    assert_eq!((story.verdict, story.reason, story.rule), (Ruling::Deny, Reason::Quarantined, None));
    assert!(story.considered.is_empty());
    p.groups[0].emergency_apps = vec![name("gone")];
    let found = validate(&p).unwrap_err();
    assert_eq!((&found[0].item, found[0].field), (&Item::Group(p.groups[0].name.clone()), "emergency_apps"));
}

#[test]
fn what_a_rule_asks_for_beside_letting_through_is_told_and_belongs_to_rules_that_allow() {
    let mut p = site();
    p.rules[2].rate.dl_bps = Some(8_000_000);
    p.rules[2].record = "1/50".parse().unwrap();
    p.apps[0].dscp = Some(types::Dscp::try_from(46).unwrap());
    let q = out(1, "10.9.9.9", 6, 443);
    let story = checked_explain(&p, &compile(&p).unwrap(), &q).unwrap();
    let terms = story.terms.unwrap();
    assert_eq!((terms.rate.ul_bps, terms.rate.dl_bps), (None, Some(8_000_000)));
    assert_eq!((terms.record.to_string(), terms.mark.dscp.unwrap().value()), ("1/50".to_owned(), 46));
    assert_eq!(checked_explain(&p, &compile(&p).unwrap(), &out(1, "10.9.9.9", 6, 22)).unwrap().terms, None);
    // Rows that ask for something else disagree.
    let mut other = p.clone();
    other.rules[2].rate.dl_bps = None;
    let story = checked_explain(&other, &compile(&p).unwrap(), &q).unwrap();
    assert_eq!((story.verdict, story.reason), (Ruling::Deny, Reason::Disagreement));

    let fields: Vec<_> = refused(|p| {
        p.rules[0].rate.ul_bps = Some(5_000);
        p.rules[0].record = "counters".parse().unwrap();
        p.rules[2].rate.ul_bps = Some(999);
    })
    .into_iter()
    .map(|f| (f.0.to_string(), f.1))
    .collect();
    let of = |r: &str, f| (format!("rule {r}"), f);
    assert_eq!(
        fields,
        [of("no-hr-for-sim-1", "rate_ul_bps"), of("no-hr-for-sim-1", "record"), of("web", "rate_ul_bps")]
    );
    for bad in ["", "1/0", "2/3", "1/", "none", "1/-1"] {
        assert!(bad.parse::<types::Recording>().is_err(), "{bad}");
    }
}

#[test]
fn a_name_narrows_an_app_and_never_widens_it() {
    let mut p = site();
    let inspected = ask(&p, out(4, "10.1.0.5", 6, 5432));
    assert_eq!(inspected.0, Ruling::Allow);
    p.apps[1].names = vec!["*.db.example.jp".parse().unwrap(), "db.example.jp".parse().unwrap()];
    p.apps[1].services.push("udp/5432".parse().unwrap());
    let rule = some("hr");
    assert_eq!(
        ask(&p, out(4, "10.1.0.5", 6, 5432)),
        (Ruling::Inspect, Reason::Rule, rule.clone(), some("hr-db"))
    );
    let story = explain(&p, &out(4, "10.1.0.5", 6, 5432));
    let names: Vec<String> = story.terms.unwrap().names.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["db.example.jp", "*.db.example.jp"]);
    // QUIC, or anything else without a ClientHello in a stream.
    assert_eq!(
        ask(&p, out(4, "10.1.0.5", 17, 5432)),
        (Ruling::Deny, Reason::NamesNeedTls, rule.clone(), some("hr-db"))
    );
    // By look-ups it is whatever is spoken there.
    p.apps[1].names_from = types::NamesFrom::Dns;
    for protocol in [6, 17] {
        let asked = out(4, "10.1.0.5", protocol, 5432);
        assert_eq!(ask(&p, asked), (Ruling::Inspect, Reason::Rule, rule.clone(), some("hr-db")));
        assert_eq!(explain(&p, &asked).terms.unwrap().names_from, Some(types::NamesFrom::Dns));
    }
    // What was denied before stays so, by the same rule and for the same reason.
    assert_eq!(ask(&p, out(1, "10.1.0.5", 6, 5432)).1, Reason::RuleReject);
    assert_eq!(ask(&p, out(3, "10.1.0.5", 6, 5432)).1, Reason::NoRule);
    assert_eq!(ask(&p, out(4, "10.1.0.5", 6, 443)).1, Reason::UnknownApp);
    // A snapshot carries them.
    let compiled = compile(&p).unwrap();
    assert_eq!(Compiled::from_bytes(&compiled.to_bytes().unwrap()).unwrap(), compiled);
}
