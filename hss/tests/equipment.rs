//! SIMs and the devices that they are put into.

use hss::{Algorithm, Hss, HssConfig, Input, Output, Persist, SimRecord, SqnProfile, SqnState, Vault};
use types::{
    Binding, BindingMode, Bound, Colour, DevicePattern, FgmmCause, Happening, Imsi, K, Key256, Mono, Now,
    Opc, Pei, RefusalReason, SimState, Subscription, Supi, Utc, WhenMissing,
};

const PHONE: &str = "imeisv-3569380356438001";
const PHONE_AS_IMEI: &str = "imei-356938035643809";
const SAME_MODEL: &str = "imeisv-3569380399999901";
const OTHER: &str = "imeisv-8601234500000101";

fn imsi() -> Imsi {
    "001010000000001".parse().unwrap()
}

fn device(pei: &str) -> DevicePattern {
    pei.parse::<Pei>().unwrap().into()
}

struct World {
    hss: Hss,
    now: Now,
    txn: u64,
}

/// The answer to a use, and what was noticed and written on the way.
#[derive(Debug, PartialEq)]
struct Answer {
    result: Result<(), (FgmmCause, RefusalReason)>,
    noticed: Vec<Happening>,
    written: Vec<DevicePattern>,
}

impl World {
    fn bound(mode: BindingMode, allowed: &[&str], when_missing: WhenMissing) -> Self {
        let now = Now { mono: Mono(5), utc: Utc(1_790_000_000_000) };
        let vault = Vault::new(&Key256::new([1; 32]), 1, None, [2; 32]).unwrap();
        let mut hss = Hss::new(HssConfig::new("001-01".parse().unwrap()), vault, now, [3; 32]);
        let sealed = hss.vault().seal(imsi(), &K::new([1; 16]), &Opc::new([2; 16]));
        let record = SimRecord {
            imsi: imsi(),
            sealed,
            algorithm: Algorithm::Milenage,
            sqn_profile: SqnProfile::default(),
            sqn_state: SqnState::fresh(now.utc),
            state: SimState::Active,
            subscription: Subscription {
                supi: Supi(imsi()),
                slices: vec!["1".parse().unwrap()],
                dnns: vec!["corp".parse().unwrap()],
                ambr_ul_bps: 1,
                ambr_dl_bps: 1,
            },
        };
        let allowed = allowed.iter().map(|p| p.parse().unwrap()).collect();
        let binding = Binding { mode, allowed, when_missing, ..Binding::default() };
        hss.handle(Input::Put(record), now);
        hss.handle(Input::Bind { imsi: imsi(), bound: Bound { binding, learned: None } }, now);
        Self { hss, now, txn: 0 }
    }

    fn tell(&mut self, input: Input) {
        self.hss.handle(input, self.now);
    }

    fn list(&mut self, entries: &[(&str, Colour)]) {
        let entries = entries.iter().map(|(p, c)| (p.parse().unwrap(), *c)).collect();
        self.tell(Input::Equipment(entries));
    }

    /// The SIM is used in this device; writes succeed as `ok` says.
    fn used(&mut self, pei: Option<&str>, ok: bool) -> Answer {
        self.txn += 1;
        let txn = self.txn;
        self.tell(Input::Locate { txn, supi: Supi(imsi()), pei: pei.map(|p| p.parse().unwrap()) });
        let mut answer = Answer { result: Ok(()), noticed: vec![], written: vec![] };
        let mut answers = 0;
        while let Some(o) = self.hss.poll_output() {
            match o {
                Output::Persist { id, write: Persist::Learned { device, .. } } => {
                    answer.written.push(device);
                    self.tell(Input::Persisted { id, ok });
                }
                Output::Located { txn: t, .. } if t == txn => answers += 1,
                Output::LocateRefused { txn: t, refusal } if t == txn => {
                    answer.result = Err((refusal.cause, refusal.reason));
                    answers += 1;
                }
                Output::Noticed { what, .. } => answer.noticed.push(what),
                o => panic!("{o:?}"),
            }
        }
        assert_eq!(answers, 1, "one answer to one question");
        answer
    }

    fn refused(&mut self, pei: Option<&str>) -> RefusalReason {
        let (cause, reason) = self.used(pei, true).result.unwrap_err();
        assert_eq!(cause, FgmmCause::IllegalMe);
        reason
    }

    fn fits(&mut self, pei: &str) -> bool {
        self.used(Some(pei), true).result.is_ok()
    }
}

#[test]
fn exactly_the_devices_named_whatever_form_their_identity_has() {
    let mut w = World::bound(BindingMode::Exact, &["35693803564380"], WhenMissing::Refuse);
    assert!(w.fits(PHONE) && w.fits(PHONE_AS_IMEI));
    let wrong = w.used(Some(SAME_MODEL), true);
    assert_eq!(wrong.result, Err((FgmmCause::IllegalMe, RefusalReason::DeviceMismatch)));
    let (expected, seen) = (vec![device(PHONE)], Some(device(SAME_MODEL)));
    assert_eq!(wrong.noticed, [Happening::DeviceMismatch { mode: BindingMode::Exact, expected, seen }]);
    assert_eq!(w.refused(None), RefusalReason::NoDevice);
    assert_eq!(w.used(Some(PHONE), true).noticed, [], "the right one is no news");
}

#[test]
fn the_models_named_and_no_other() {
    let mut w = World::bound(BindingMode::Model, &["35693803"], WhenMissing::Allow);
    assert!(w.fits(PHONE) && w.fits(SAME_MODEL));
    assert_eq!(w.refused(Some(OTHER)), RefusalReason::DeviceMismatch);
    assert!(w.used(None, true).result.is_ok(), "as the policy says");
}

#[test]
fn what_is_learnt_is_durable_before_the_sim_is_served() {
    let mut w = World::bound(BindingMode::Learn, &[], WhenMissing::Refuse);
    assert_eq!(w.refused(None), RefusalReason::NoDevice, "nothing to learn from");

    // The write fails: not served, nothing learnt, and another device may still be the first.
    let (cause, reason) = w.used(Some(OTHER), false).result.unwrap_err();
    assert_eq!((cause, reason), (FgmmCause::Congestion, RefusalReason::Unavailable));

    // Two uses at once: the write is on its way, nobody is served, and the second device loses.
    for (txn, pei) in [(100, PHONE), (101, PHONE_AS_IMEI), (102, OTHER)] {
        w.tell(Input::Locate { txn, supi: Supi(imsi()), pei: Some(pei.parse().unwrap()) });
    }
    let first: Vec<Output> = std::iter::from_fn(|| w.hss.poll_output()).collect();
    let [Output::Persist { id, write: Persist::Learned { device: d, replace: false, .. } }] =
        first.as_slice()
    else {
        panic!("{first:?}")
    };
    assert_eq!(*d, device(PHONE));
    w.tell(Input::Persisted { id: *id, ok: true });
    let then: Vec<Output> = std::iter::from_fn(|| w.hss.poll_output()).collect();
    let answers: Vec<(u64, bool)> = then
        .iter()
        .filter_map(|o| match o {
            Output::Located { txn, .. } => Some((*txn, true)),
            Output::LocateRefused { txn, .. } => Some((*txn, false)),
            _ => None,
        })
        .collect();
    assert_eq!(answers, [(100, true), (101, true), (102, false)]);

    assert_eq!(w.used(Some(PHONE), true).written, [], "learnt once");
    // A row that was read before the device was learnt does not undo it.
    let binding = w.hss.binding(imsi());
    w.tell(Input::Bind { imsi: imsi(), bound: Bound { binding, learned: None } });
    assert_eq!(w.refused(Some(OTHER)), RefusalReason::DeviceMismatch);
    w.tell(Input::ForgetDevice { imsi: imsi() });
    assert_eq!(w.used(Some(OTHER), true).written, [device(OTHER)]);
    assert_eq!(w.refused(Some(PHONE)), RefusalReason::DeviceMismatch);
}

#[test]
fn observed_is_served_at_once_and_told_only_when_it_changes() {
    let mut w = World::bound(BindingMode::Observe, &[], WhenMissing::Allow);
    let first = w.used(Some(PHONE), true);
    assert_eq!((first.result, first.written), (Ok(()), vec![device(PHONE)]));
    assert_eq!(first.noticed, [Happening::DeviceLearned { device: device(PHONE), bound: false }]);
    for _ in 0..3 {
        let again = w.used(Some(PHONE_AS_IMEI), true);
        assert_eq!((again.noticed, again.written), (vec![], vec![]));
    }
    let other = w.used(Some(OTHER), true);
    assert_eq!(other.result, Ok(()));
    assert_eq!(other.noticed, [Happening::DeviceChanged { from: device(PHONE), to: device(OTHER) }]);
    assert_eq!(other.written, [device(OTHER)]);
    assert!(w.used(None, true).result.is_ok());

    let mut none = World::bound(BindingMode::None, &[], WhenMissing::Refuse);
    let a = none.used(None, true);
    assert_eq!((a.result, a.noticed, a.written), (Ok(()), vec![], vec![]));
}

#[test]
fn the_companys_list_refuses_black_tells_grey_and_a_device_goes_before_its_model() {
    let mut w = World::bound(BindingMode::None, &[], WhenMissing::Allow);
    w.list(&[("35693803", Colour::Black), ("35693803564380", Colour::White), ("86012345", Colour::Grey)]);
    assert!(w.fits(PHONE), "white by itself in a black model");
    let black = w.used(Some(SAME_MODEL), true);
    assert_eq!(black.result, Err((FgmmCause::IllegalMe, RefusalReason::EquipmentBlack)));
    let by = "35693803".parse().unwrap();
    assert_eq!(black.noticed, [Happening::EquipmentBlack { device: device(SAME_MODEL), by }]);

    let by = "86012345".parse().unwrap();
    let grey = Happening::EquipmentGrey { device: device(OTHER), by };
    assert_eq!(w.used(Some(OTHER), true).noticed, std::slice::from_ref(&grey));
    assert_eq!(w.used(Some(OTHER), true).noticed, [], "told once");
    w.used(Some(PHONE), true);
    assert_eq!(w.used(Some(OTHER), true).noticed, [grey]);

    // A banned device stays out though it is white, and a new list does not take the ban back.
    w.tell(Input::BanDevice { device: device(PHONE), banned: true });
    w.list(&[("35693803564380", Colour::White)]);
    assert_eq!(w.refused(Some(PHONE)), RefusalReason::EquipmentBlack);
    w.tell(Input::BanDevice { device: device(PHONE), banned: false });
    assert!(w.fits(PHONE));

    let mut listed = World::bound(BindingMode::Listed, &[], WhenMissing::Refuse);
    listed.list(&[("35693803", Colour::White), ("86012345", Colour::Grey)]);
    assert!(listed.fits(PHONE));
    assert_eq!(listed.refused(Some(OTHER)), RefusalReason::DeviceMismatch);
    assert_eq!(listed.refused(None), RefusalReason::NoDevice);
}

#[test]
fn a_banned_sim_is_refused_for_its_ban_and_learns_nothing() {
    let mut w = World::bound(BindingMode::Learn, &[], WhenMissing::Refuse);
    w.tell(Input::SetState { imsi: imsi(), state: SimState::Stolen });
    let a = w.used(Some(PHONE), true);
    assert_eq!(a.result, Err((FgmmCause::IllegalUe, RefusalReason::Stolen)));
    assert_eq!((a.noticed, a.written), (vec![], vec![]));

    // Banned while its first device is being written: not served.
    let mut w = World::bound(BindingMode::Learn, &[], WhenMissing::Refuse);
    w.tell(Input::Locate { txn: 1, supi: Supi(imsi()), pei: Some(PHONE.parse().unwrap()) });
    w.tell(Input::SetState { imsi: imsi(), state: SimState::Lost });
    let Some(Output::Persist { id, .. }) = w.hss.poll_output() else { panic!("a write") };
    w.tell(Input::Persisted { id, ok: true });
    let out: Vec<Output> = std::iter::from_fn(|| w.hss.poll_output()).collect();
    assert!(out.iter().any(|o| matches!(o, Output::LocateRefused { txn: 1, refusal } if refusal.reason == RefusalReason::Lost)), "{out:?}");

    // Removed meanwhile: whoever waits is answered.
    let mut w = World::bound(BindingMode::Learn, &[], WhenMissing::Refuse);
    w.tell(Input::Locate { txn: 1, supi: Supi(imsi()), pei: Some(PHONE.parse().unwrap()) });
    w.tell(Input::Remove { imsi: imsi() });
    let out: Vec<Output> = std::iter::from_fn(|| w.hss.poll_output()).collect();
    assert!(out.iter().any(|o| matches!(o, Output::LocateRefused { txn: 1, .. })), "{out:?}");
}

#[test]
fn an_entry_may_be_about_a_software_version_or_a_range_of_models() {
    let mut w = World::bound(BindingMode::Listed, &[], WhenMissing::Refuse);
    let (tac, version) = (device(PHONE).model(), &PHONE[PHONE.len() - 2..]);
    let range = format!("{tac}-99999999");
    w.list(&[(&range, Colour::White)]);
    assert!(w.fits(PHONE));
    w.list(&[(&range, Colour::White), (&format!("{tac}:{version}"), Colour::Black)]);
    assert_eq!(w.refused(Some(PHONE)), RefusalReason::EquipmentBlack);
    assert!(w.fits(PHONE_AS_IMEI), "an IMEI says no version");
    let black = w.used(Some(PHONE), true).noticed;
    let by = format!("{tac}:{version}").parse().unwrap();
    assert_eq!(black, [Happening::EquipmentBlack { device: device(PHONE), by }]);
    w.list(&[(&format!("{tac}:{version}"), Colour::White)]);
    assert!(w.fits(PHONE));
    assert_eq!(w.refused(Some(PHONE_AS_IMEI)), RefusalReason::DeviceMismatch);
}
