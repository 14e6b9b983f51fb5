//! Each rule with what fires it and what must not.

use super::watch::{Around, Subject, Watch};
use types::*;

/// 01:00 in Tokyo.
const ONE: i64 = 1_800_028_800_000;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const GB: u64 = 1_000_000_000;

fn imsi(n: usize) -> Imsi {
    format!("00101{n:010}").parse().expect("an IMSI")
}

fn watch() -> Watch {
    Watch::new(AlertRules::default())
}

const HERE: Around<'_> = Around { confidential: false, zone: Some("Asia/Tokyo"), has_person: true };

pub(super) fn flow(start: i64, end: i64, octets: u64) -> FlowRecord {
    FlowRecord {
        start: Utc(start),
        end: Utc(end),
        imsi: imsi(1),
        direction: Direction::Out,
        ue: [10, 20, 0, 5].into(),
        ue_port: 40_000,
        peer: [10, 10, 1, 5].into(),
        peer_port: 443,
        protocol: 6,
        app: None,
        rule: None,
        verdict: Verdict::Allow,
        reason: Reason::Closed,
        generation: 1,
        packets_up: 1,
        bytes_up: octets / 4,
        packets_down: 1,
        bytes_down: octets - octets / 4,
        name: None,
        would: None,
    }
}

fn refused(reason: Reason) -> FlowRecord {
    FlowRecord { verdict: Verdict::Deny, reason, ..flow(ONE, ONE, 60) }
}

/// The rules that fire for flows, each with the moment at which it is written.
fn fired(w: &mut Watch, flows: &[(FlowRecord, i64)], around: Around<'_>) -> Vec<AlertRule> {
    flows.iter().flat_map(|(r, at)| w.flow(r, around, Utc(*at))).map(|f| f.rule).collect()
}

#[test]
fn an_unusual_place_and_a_failed_proof_are_too_much_in_either_order() {
    let mut w = watch();
    let tanaka: Name = "tanaka".parse().expect("a name");
    assert_eq!(w.unusual(imsi(1), Some(&tanaka), Utc(ONE)), None, "a place alone");
    w.proof_failed(imsi(1), Utc(ONE));
    assert_eq!(w.unusual(imsi(2), Some(&tanaka), Utc(ONE)), None, "another SIM's place");
    let f = w.unusual(imsi(1), Some(&tanaka), Utc(ONE + 59 * MINUTE)).expect("fires");
    assert_eq!((f.subject.to_string(), f.response), ("person:tanaka".to_owned(), RuleResponse::Act));
    w.proof_failed(imsi(1), Utc(ONE + 59 * MINUTE));
    assert_eq!(w.unusual(imsi(1), Some(&tanaka), Utc(ONE + 60 * MINUTE)), None, "once in its time");
    w.proof_failed(imsi(3), Utc(ONE));
    assert_eq!(w.unusual(imsi(3), None, Utc(ONE + HOUR)), None, "an hour later they do not belong together");
}

#[test]
fn a_device_that_is_not_compliant_is_told_once_an_hour() {
    let mut w = watch();
    let f = w.not_compliant(imsi(1), Utc(ONE)).expect("fires");
    assert_eq!((f.subject, f.response), (Subject::Sim(imsi(1)), RuleResponse::Act));
    // A source that says yes and no in turn.
    let again = (1..60).filter_map(|m| w.not_compliant(imsi(1), Utc(ONE + m * MINUTE))).count();
    assert_eq!(again, 0);
    assert!(
        w.not_compliant(imsi(1), Utc(ONE + HOUR)).is_some() && w.not_compliant(imsi(2), Utc(ONE)).is_some()
    );
}

#[test]
fn more_than_a_gigabyte_within_an_hour_is_told_and_the_same_over_three_is_not() {
    let noon = ONE + 11 * HOUR;
    let mut w = watch();
    let parts: Vec<_> =
        (1..=10).map(|n| noon + n * 5 * MINUTE).map(|t| (flow(t - MINUTE, t, GB / 10 + 1), t)).collect();
    assert_eq!(fired(&mut w, &parts[..9], HERE), []);
    assert_eq!(fired(&mut w, &parts[9..], HERE), [AlertRule::MuchData]);
    assert_eq!(fired(&mut w, &parts[9..], HERE), [], "once an hour");

    let mut w = watch();
    let long = flow(noon, noon + 3 * HOUR, 2 * GB);
    assert_eq!(fired(&mut w, &[(long, noon + 3 * HOUR)], HERE), [], "a third of it lies in the last hour");
    let short = flow(noon, noon + HOUR / 2, 2 * GB);
    assert_eq!(fired(&mut w, &[(short, noon + 3 * HOUR)], HERE), [], "it is told late, and was hours ago");
    let mut w = watch();
    let apart: Vec<_> = (0..5).map(|n| noon + n * HOUR).map(|t| (flow(t - MINUTE, t, GB), t)).collect();
    assert_eq!(fired(&mut w, &apart, HERE), [], "exactly as much is not more");
}

#[test]
fn impossible_records_of_flows_are_counted_without_a_panic() {
    let mut w = watch();
    for (start, end, now) in [
        (i64::MIN, i64::MAX, ONE),
        (i64::MAX, i64::MIN, ONE),
        (ONE, ONE - HOUR, ONE),
        (ONE + HOUR, ONE + 2 * HOUR, ONE),
        (ONE, ONE, i64::MIN),
        (ONE, ONE, i64::MAX),
        (0, 0, 0),
    ] {
        w.flow(&FlowRecord { bytes_up: u64::MAX, ..flow(start, end, u64::MAX) }, HERE, Utc(now));
    }
}

#[test]
fn who_tries_again_and_again_what_is_refused_is_blocked() {
    let mut w = watch();
    let operator = || Subject::Operator("hanako".parse().expect("a name"));
    let tries = |w: &mut Watch, who: &dyn Fn() -> Subject, n: i64, apart: i64| {
        (0..n).filter_map(|k| w.no_right(who(), Utc(ONE + k * apart))).collect::<Vec<_>>()
    };
    assert_eq!(tries(&mut w, &operator, 9, 1_000), [], "one fewer than it takes");
    let token = || Subject::Token("ab12".to_owned());
    assert_eq!(tries(&mut w, &token, 100, 2 * MINUTE), [], "five in ten minutes, for hours");
    let mut w = watch();
    let all = tries(&mut w, &operator, 1_000, 100);
    assert_eq!(all.len(), 1, "a storm is one alert");
    assert_eq!((all[0].count, all[0].response), (10, RuleResponse::Act));

    let secret = Around { confidential: true, ..HERE };
    let many = |reason| vec![(refused(reason), ONE); 200];
    assert_eq!(fired(&mut w, &many(Reason::NoRule)[..29], secret), []);
    assert_eq!(fired(&mut w, &many(Reason::NoRule), secret), [AlertRule::Escalation]);
    let mut w = watch();
    assert_eq!(fired(&mut w, &many(Reason::StepUpNeeded), secret), [], "they are only to prove who they are");
    let kept_apart = [many(Reason::Quarantined), many(Reason::GroupInPanic), many(Reason::Banned)].concat();
    assert_eq!(fired(&mut w, &kept_apart, secret), [], "what would be allowed but for a measure of ours");
    assert_eq!(fired(&mut w, &many(Reason::NoRule), HERE), [], "an app like any other");
}

#[test]
fn access_between_two_and_five_by_the_clocks_of_the_site_is_told_once_a_night() {
    let at = |w: &mut Watch, from: i64, to: i64, around| {
        w.night(imsi(1), (Utc(ONE + from), Utc(ONE + to)), around, Utc(ONE + to)).map(|f| f.response)
    };
    let log = Some(RuleResponse::Log);
    for (from, to, expected) in [
        (0, HOUR - 1, None),
        (0, HOUR, log),
        (HOUR, HOUR, log),
        (4 * HOUR - 1, 4 * HOUR - 1, log),
        (4 * HOUR, 5 * HOUR, None),
        (0, 12 * HOUR, log),
        (5 * HOUR, 26 * HOUR, log),
    ] {
        assert_eq!(at(&mut watch(), from, to, HERE), expected, "{from} {to}");
    }
    let berlin = Around { zone: Some("Europe/Berlin"), ..HERE };
    assert_eq!(at(&mut watch(), HOUR, 2 * HOUR, berlin), None, "there it is evening");
    let nobody = Around { has_person: false, ..HERE };
    assert_eq!(at(&mut watch(), HOUR, 2 * HOUR, nobody), None, "machines work at night");
    let nowhere = Around { zone: None, ..HERE };
    assert_eq!(at(&mut watch(), HOUR, 2 * HOUR, nowhere), None, "nobody knows the clocks");
    let mut w = watch();
    assert_eq!([at(&mut w, HOUR, HOUR, HERE), at(&mut w, 3 * HOUR, 3 * HOUR, HERE)], [log, None]);
    assert_eq!(at(&mut w, 25 * HOUR, 25 * HOUR, HERE), log, "the next night");
}

#[test]
fn a_rule_that_is_switched_off_says_nothing_and_what_is_old_is_dropped() {
    let mut w = Watch::new(AlertRules::off());
    let secret = Around { confidential: true, ..HERE };
    w.proof_failed(imsi(1), Utc(ONE));
    assert!(w.unusual(imsi(1), None, Utc(ONE)).is_none() && w.not_compliant(imsi(1), Utc(ONE)).is_none());
    assert_eq!(fired(&mut w, &vec![(flow(ONE + HOUR, ONE + HOUR, 9 * GB), ONE + HOUR); 3], HERE), []);
    assert_eq!(fired(&mut w, &vec![(refused(Reason::NoRule), ONE); 99], secret), []);

    let mut w = watch();
    for n in 0..1_000 {
        w.proof_failed(imsi(n), Utc(ONE));
        w.not_compliant(imsi(n), Utc(ONE));
        w.no_right(Subject::Token(format!("t{n}")), Utc(ONE));
        w.flow(&FlowRecord { imsi: imsi(n), ..flow(ONE, ONE, 100) }, HERE, Utc(ONE));
    }
    assert_eq!(w.kept(), 4_000);
    w.proof_failed(imsi(1), Utc(ONE + 24 * HOUR));
    assert_eq!(w.kept(), 1);
}
