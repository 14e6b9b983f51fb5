use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use types::{Os, PostureReport};

const T0: i64 = 1_800_000_000_000;
const HOUR: i64 = 3_600_000;

fn laptop() -> PostureRequirement {
    PostureRequirement {
        must: [PostureCheck::OsVersion, PostureCheck::DiskEncryption].into(),
        should: [PostureCheck::ScreenLock].into(),
        os: [(OsName::Windows, "10.0.22631".parse().unwrap())].into(),
        max_age_s: 3600,
        when_silent: WhenSilent::Closed,
    }
}

fn told(version: &str, encrypted: bool) -> DevicePosture {
    let os = Os { name: OsName::Windows, version: version.parse().unwrap() };
    let checks = [(PostureCheck::DiskEncryption, encrypted), (PostureCheck::ScreenLock, true)].into();
    let mut p = DevicePosture::default();
    p.take(&PostureReport { at: Utc(T0), os: Some(os), checks }, &"mdm".parse().unwrap());
    p
}

fn words(c: &Judgement) -> Vec<String> {
    c.failed
        .iter()
        .map(|f| format!("{} {}{}", f.check, f.why.as_str(), if f.must { "" } else { " (should)" }))
        .collect()
}

#[test]
fn a_device_that_is_as_asked_is_compliant_until_the_word_is_too_old() {
    let (asked, known) = (laptop(), told("10.0.22631.3447", true));
    let c = judge([&asked], Some(&known), Utc(T0));
    assert_eq!((c.compliant, c.failed.len(), c.until), (true, 0, Some(Utc(T0 + HOUR))));
    assert!(judge([&asked], Some(&known), Utc(T0 + HOUR - 1)).compliant);
    let stale = judge([&asked], Some(&known), Utc(T0 + HOUR));
    assert_eq!(words(&stale), ["os-version stale", "disk-encryption stale", "screen-lock stale (should)"]);
    assert_eq!((stale.compliant, stale.remediate, stale.until), (false, false, None));
}

#[test]
fn what_is_missing_wrong_or_too_old_a_version_fails_a_must_and_not_a_should() {
    let asked = laptop();
    assert_eq!(
        words(&judge([&asked], None, Utc(T0))),
        ["os-version missing", "disk-encryption missing", "screen-lock missing (should)"]
    );
    assert_eq!(
        words(&judge([&asked], Some(&told("10.0.19045", false)), Utc(T0))),
        ["os-version old-version", "disk-encryption failed"]
    );
    let mut other = told("10.0.22631", true);
    other.os.as_mut().unwrap().value.name = OsName::Linux;
    assert_eq!(words(&judge([&asked], Some(&other), Utc(T0))), ["os-version old-version"], "not named there");
    let mut unlocked = told("10.0.22631", true);
    unlocked.checks.remove(&PostureCheck::ScreenLock);
    let c = judge([&asked], Some(&unlocked), Utc(T0));
    assert_eq!((c.compliant, words(&c)), (true, vec!["screen-lock missing (should)".to_owned()]));
}

#[test]
fn what_happens_when_the_source_is_silent_is_by_group() {
    let late = Utc(T0 + 10 * HOUR);
    let of = |when_silent| PostureRequirement { when_silent, ..laptop() };
    let good = told("10.0.22631", true);
    let closed = judge([&of(WhenSilent::Closed)], Some(&good), late);
    let repair = judge([&of(WhenSilent::Remediation)], Some(&good), late);
    let kept = judge([&of(WhenSilent::Static)], Some(&good), late);
    assert_eq!([closed.compliant, repair.compliant, kept.compliant], [false, false, true]);
    assert_eq!([closed.remediate, repair.remediate, kept.remediate], [false, true, false]);
    assert_eq!(kept.until, None, "it goes on");
    let wrong = judge([&of(WhenSilent::Remediation)], Some(&told("10.0.22631", false)), Utc(T0));
    assert_eq!((wrong.compliant, wrong.remediate), (false, false), "that is no silence");
    assert!(!judge([&of(WhenSilent::Static)], None, late).compliant, "what was never told does not go on");
}

#[test]
fn several_groups_must_all_be_met_and_where_none_asks_the_manager_is_believed() {
    let strict = PostureRequirement { max_age_s: 60, ..laptop() };
    let (known, later) = (told("10.0.22631", true), Utc(T0 + 60_000));
    assert_eq!(judge([&laptop(), &strict], Some(&known), Utc(T0)).until, Some(later));
    assert!(!judge([&laptop(), &strict], Some(&known), later).compliant);
    assert!(!judge([], Some(&known), Utc(T0)).compliant, "nobody who manages it has spoken");
    let mut managed = DevicePosture::default();
    let checks = [(PostureCheck::Managed, true)].into();
    managed.take(&PostureReport { at: Utc(T0), os: None, checks }, &"mdm".parse().unwrap());
    assert!(judge([], Some(&managed), Utc(T0)).compliant);
}

fn any_check() -> impl Strategy<Value = PostureCheck> {
    prop::sample::select(PostureCheck::ALL)
}

fn any_requirement() -> impl Strategy<Value = PostureRequirement> {
    let checks = || prop::collection::btree_set(any_check(), 0..4);
    let silent = prop::sample::select(WhenSilent::ALL);
    (checks(), checks(), 0u32..5, 1u32..100, silent).prop_map(|(must, should, least, age, when_silent)| {
        PostureRequirement {
            must,
            should,
            os: BTreeMap::from([(OsName::Windows, least.to_string().parse().unwrap())]),
            max_age_s: age,
            when_silent,
        }
    })
}

fn any_posture() -> impl Strategy<Value = DevicePosture> {
    let report =
        (0i64..100, prop::option::of(0u32..5), prop::collection::btree_map(any_check(), any::<bool>(), 0..5));
    prop::collection::vec(report, 0..4).prop_map(|reports| {
        let mut p = DevicePosture::default();
        for (s, version, mut checks) in reports {
            checks.remove(&PostureCheck::OsVersion);
            let os = version.map(|v| Os { name: OsName::Windows, version: v.to_string().parse().unwrap() });
            p.take(&PostureReport { at: Utc(s * 1000), os, checks }, &"agent".parse().unwrap());
        }
        p
    })
}

proptest! {
    #[test]
    fn it_holds_exactly_until_it_says(
        asked in prop::collection::vec(any_requirement(), 0..3), known in any_posture(),
        at in 0i64..250_000, later in 0i64..250_000,
    ) {
        let now = judge(&asked, Some(&known), Utc(at));
        prop_assert_eq!(now.compliant, !now.failed.iter().any(|f| f.must));
        prop_assert!(now.compliant || now.until.is_none());
        let then = judge(&asked, Some(&known), Utc(at.max(later)));
        match now.until {
            Some(until) if at.max(later) >= until.0 => prop_assert!(!then.compliant),
            _ => prop_assert_eq!(then.compliant, now.compliant),
        }
    }

    #[test]
    fn more_is_never_asked_in_vain(
        asked in prop::collection::vec(any_requirement(), 1..3), more in any_requirement(),
        known in any_posture(), at in 0i64..250_000,
    ) {
        let before = judge(&asked, Some(&known), Utc(at));
        let after = judge(asked.iter().chain([&more]), Some(&known), Utc(at));
        prop_assert!(before.compliant || !after.compliant);
        prop_assert!(before.failed.iter().all(|f| after.failed.contains(f)));
    }
}
