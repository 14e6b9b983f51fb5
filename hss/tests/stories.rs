//! SIMs that ask, and what they are told. The world beside the core is a card, a clock and a store that
//! the test moves by hand.

use hss::{
    Algorithm, HomeKey, HomeNetworkKey, Hss, HssConfig, Input, Output, Persist, RecordError, SimRecord,
    SqnMode, SqnProfile, SqnState, Vault, VaultError,
};
use sim_auth::{FgAnswer, FgVector, Usim};
use types::{
    Auts, FgmmCause, Identity, Imsi, K, Key256, Mono, Now, Opc, Pei, Plmn, Rand, Refusal, RefusalReason,
    SimState, Sqn, Subscription, Suci, SuciProfile, SuciScheme, Supi, Utc,
};

const SNN: &str = "5G:mnc001.mcc001.3gppnetwork.org";

fn plmn() -> Plmn {
    "001-01".parse().unwrap()
}

fn imsi(n: u32) -> Imsi {
    format!("00101{n:010}").parse().unwrap()
}

fn sim_keys(n: u32) -> (K, Opc) {
    (K::new([n as u8; 16]), Opc::new([0x80 | n as u8; 16]))
}

fn card(n: u32) -> Usim {
    let (k, opc) = sim_keys(n);
    Usim::new(&k, &opc)
}

struct World {
    hss: Hss,
    now: Now,
    txn: u64,
    /// The horizon of SQN that is durable.
    horizon: Option<i64>,
}

impl World {
    fn new() -> Self {
        Self::configured(HssConfig::new(plmn()))
    }

    fn configured(config: HssConfig) -> Self {
        let now = Now { mono: Mono(5), utc: Utc(1_790_000_000_000) };
        let vault = Vault::new(&Key256::new([1; 32]), 1, None, [2; 32]).unwrap();
        Self { hss: Hss::new(config, vault, now, [3; 32]), now, txn: 0, horizon: None }
    }

    fn with_sims(n: u32, state: SimState) -> Self {
        Self::new().sims(n, state)
    }

    fn sims(mut self, n: u32, state: SimState) -> Self {
        let w = &mut self;
        let records = (1..=n).map(|i| w.record(i, state)).collect();
        w.tell(Input::Load { records, horizon: None });
        self
    }

    fn record(&mut self, n: u32, state: SimState) -> SimRecord {
        let (k, opc) = sim_keys(n);
        SimRecord {
            imsi: imsi(n),
            sealed: self.hss.vault().seal(imsi(n), &k, &opc),
            algorithm: Algorithm::Milenage,
            sqn_profile: SqnProfile::default(),
            sqn_state: SqnState::fresh(self.now.utc),
            state,
            subscription: Subscription {
                supi: Supi(imsi(n)),
                slices: vec!["1".parse().unwrap()],
                dnns: vec!["corp".parse().unwrap()],
                ambr_ul_bps: 1,
                ambr_dl_bps: 1,
            },
        }
    }

    fn tell(&mut self, input: Input) {
        self.hss.handle(input, self.now);
    }

    fn outputs(&mut self) -> Vec<Output> {
        std::iter::from_fn(|| self.hss.poll_output()).collect()
    }

    fn ask(&mut self, n: u32, resync: Option<(Rand, Auts)>) -> u64 {
        self.txn += 1;
        let identity = Identity::Supi(Supi(imsi(n)));
        self.tell(Input::AuthInfo { txn: self.txn, identity, serving: plmn(), resync });
        self.txn
    }

    /// Lets every write succeed until nothing more comes.
    fn settle(&mut self) -> Vec<Output> {
        let mut all = Vec::new();
        loop {
            let new = self.outputs();
            if new.is_empty() {
                return all;
            }
            for o in new {
                if let Output::Persist { id, write } = &o {
                    if let Persist::SqnHorizon { horizon } = write {
                        self.horizon = Some(*horizon);
                    }
                    self.tell(Input::Persisted { id: *id, ok: true });
                }
                all.push(o);
            }
        }
    }

    fn vector(&mut self, n: u32, resync: Option<(Rand, Auts)>) -> Result<FgVector, Refusal> {
        let asked = self.ask(n, resync);
        self.settle()
            .into_iter()
            .find_map(|o| match o {
                Output::Vector { txn, vector, .. } if txn == asked => Some(Ok(vector)),
                Output::AuthRefused { txn, refusal } if txn == asked => Some(Err(refusal)),
                _ => None,
            })
            .expect("an answer")
    }

    fn locate(&mut self, n: u32, pei: Option<Pei>) -> Result<Subscription, Refusal> {
        self.tell(Input::Locate { txn: 77, supi: Supi(imsi(n)), pei });
        self.settle()
            .into_iter()
            .find_map(|o| match o {
                Output::Located { txn: 77, subscription } => Some(Ok(subscription)),
                Output::LocateRefused { txn: 77, refusal } => Some(Err(refusal)),
                _ => None,
            })
            .expect("an answer")
    }
}

fn accepts(card: &mut Usim, v: &FgVector) -> bool {
    match card.authenticate_5g(&v.rand, &v.autn, SNN) {
        FgAnswer::Success { res_star, kseaf } => Some(&res_star) == v.xres_star() && kseaf == v.kseaf,
        _ => false,
    }
}

fn auts(card: &mut Usim, v: &FgVector) -> Auts {
    match card.authenticate_5g(&v.rand, &v.autn, SNN) {
        FgAnswer::SynchFailure(auts) => auts,
        _ => panic!("the card was to be out of synch"),
    }
}

#[test]
fn a_sim_is_authenticated_and_admitted() {
    let mut w = World::with_sims(1, SimState::Active);
    let mut card = card(1);
    let suci = Suci {
        home: plmn(),
        routing_indicator: "0".into(),
        scheme: SuciScheme::Null,
        key_id: 0,
        output: b"0000000001".to_vec(),
    };
    w.tell(Input::AuthInfo { txn: 1, identity: Identity::Suci(suci), serving: plmn(), resync: None });

    let first = w.outputs();
    let [Output::Persist { id, write: Persist::SqnCeiling { imsi: who, state } }] = first.as_slice() else {
        panic!("no vector before its ceiling is durable: {first:?}");
    };
    assert_eq!(*who, imsi(1));
    assert!(state.ceiling > 36_000);
    w.tell(Input::Persisted { id: *id, ok: true });
    let second = w.outputs();
    let [Output::Vector { txn: 1, supi, vector }] = second.as_slice() else { panic!("{second:?}") };
    assert_eq!(supi.imsi(), imsi(1));
    assert!(accepts(&mut card, vector));

    assert_eq!(w.locate(1, None).unwrap().supi, Supi(imsi(1)));
    w.ask(1, None);
    assert!(matches!(w.outputs().as_slice(), [Output::Vector { .. }]), "the next one needs no write");
}

#[test]
fn ceilings_are_written_ahead_so_that_a_silent_sim_needs_no_store_hours_later() {
    let mut w = World::new();
    let mut counted = |n| {
        let r = w.record(n, if n == 3 { SimState::Ready } else { SimState::Active });
        SimRecord { sqn_profile: SqnProfile { mode: SqnMode::Counter, ..r.sqn_profile }, ..r }
    };
    let records = (1..=3).map(&mut counted).collect();
    w.tell(Input::Load { records, horizon: None });
    let writes = |out: &[Output]| out.iter().filter(|o| matches!(o, Output::Persist { .. })).count();
    w.tell(Input::WriteAhead);
    assert_eq!(writes(&w.settle()), 1, "first the horizon, which is not for those that count");
    w.tell(Input::WriteAhead);
    assert_eq!(writes(&w.settle()), 2, "as after a restart; not for the one that never attached");
    w.tell(Input::WriteAhead);
    assert_eq!(writes(&w.settle()), 0, "they have room");
    for _ in 0..180 {
        w.now = w.now.plus_ms(60_000);
        w.tell(Input::WriteAhead);
        w.settle();
    }
    // The store is gone for ten minutes.
    w.now = w.now.plus_ms(600_000);
    w.ask(1, None);
    // At once; behind it a new ceiling may be asked for.
    let out = w.outputs();
    assert!(matches!(out.first(), Some(Output::Vector { .. })), "{out:?}");
}

#[test]
fn below_the_horizon_sims_that_nobody_ever_asked_about_need_no_write_and_no_store() {
    let mut w = World::new();
    let records: Vec<SimRecord> = (1..=3).map(|n| w.record(n, SimState::Active)).collect();
    w.tell(Input::Load { records: records.clone(), horizon: None });
    w.tell(Input::WriteAhead);
    let out = w.outputs();
    let [Output::Persist { id, write: Persist::SqnHorizon { horizon } }] = out.as_slice() else {
        panic!("{out:?}");
    };
    w.tell(Input::WriteAhead);
    assert_eq!(w.outputs(), [], "one at a time");
    w.tell(Input::Persisted { id: *id, ok: false });
    w.ask(1, None);
    let out = w.outputs();
    let [Output::Persist { write: Persist::SqnCeiling { .. }, .. }] = out.as_slice() else {
        panic!("without it each SIM has its own: {out:?}");
    };
    w.tell(Input::WriteAhead);
    w.settle();
    for hour in 0..5 {
        for n in [2, 3] {
            w.ask(n, None);
            assert!(matches!(w.outputs().as_slice(), [Output::Vector { .. }]), "hour {hour}, SIM {n}");
        }
        for _ in 0..60 {
            w.now = w.now.plus_ms(60_000);
            w.tell(Input::WriteAhead);
            w.settle();
        }
    }
    // Another process, another life: what left in this one lies below the horizon that it reads.
    let mut card = card(2);
    assert!(accepts(&mut card, &w.vector(2, None).unwrap()));
    assert!(w.horizon.is_some_and(|h| h > *horizon));
    let mut next = World { now: w.now, ..World::new() };
    next.tell(Input::Load { records, horizon: w.horizon });
    let again = next.vector(2, None).unwrap();
    let used = card.sqn_ms();
    assert!(accepts(&mut card, &again));
    assert!(card.sqn_ms().seq(5) > used.seq(5) + 20_000, "above the horizon, not at the clock");
}

#[test]
fn ten_minutes_after_the_store_went_away_everybody_gets_a_back_off_until_it_is_back() {
    let mut w = World::with_sims(1, SimState::Active);
    assert!(w.vector(1, None).is_ok());
    w.tell(Input::StoreIs { well: false });
    w.now = w.now.plus_ms(300_000);
    w.tell(Input::StoreIs { well: false });
    w.now = w.now.plus_ms(299_999);
    assert!(w.vector(1, None).is_ok());
    w.now = w.now.plus_ms(1);
    let refused = w.vector(1, None).unwrap_err();
    let seen = (refused.cause, refused.reason, refused.backoff_s);
    assert_eq!(seen, (FgmmCause::Congestion, RefusalReason::Unavailable, Some(300)));
    w.tell(Input::StoreIs { well: true });
    assert!(w.vector(1, None).is_ok());
}

#[test]
fn who_is_not_known_or_cannot_be_read_gets_no_vector() {
    let mut w = World::with_sims(1, SimState::Active);
    let refused = w.vector(2, None).unwrap_err();
    assert_eq!((refused.cause, refused.reason), (FgmmCause::IllegalUe, RefusalReason::UnknownSim));

    for (scheme, output) in [
        (SuciScheme::ProfileA, vec![1; 50]),
        (SuciScheme::Null, b"00000x0001".to_vec()),
        (SuciScheme::Null, vec![0xff; 40]),
        (SuciScheme::Null, vec![]),
    ] {
        let suci = Suci { home: plmn(), routing_indicator: "0".into(), scheme, key_id: 1, output };
        w.tell(Input::AuthInfo { txn: 9, identity: Identity::Suci(suci), serving: plmn(), resync: None });
        let out = w.outputs();
        let [Output::AuthRefused { txn: 9, refusal }] = out.as_slice() else { panic!("{out:?}") };
        let expected = match scheme {
            SuciScheme::Null => RefusalReason::SuciUnreadable,
            _ => RefusalReason::SuciKeyUnknown,
        };
        assert_eq!(refusal.reason, expected);
    }

    let identity = Identity::Supi(Supi(imsi(1)));
    w.tell(Input::AuthInfo { txn: 10, identity, serving: "440-10".parse().unwrap(), resync: None });
    let out = w.outputs();
    let [Output::AuthRefused { refusal, .. }] = out.as_slice() else { panic!("{out:?}") };
    assert_eq!(refusal.reason, RefusalReason::NotServedHere);
}

#[test]
fn an_identity_in_clear_is_refused_where_that_is_set_and_there_is_a_key_that_is_accepted() {
    let mut w = World::with_sims(1, SimState::Active);
    let clear = Suci {
        home: plmn(),
        routing_indicator: "0".into(),
        scheme: SuciScheme::Null,
        key_id: 0,
        output: imsi(1).msin(2).into_bytes(),
    };
    let ask = |w: &mut World| {
        let identity = Identity::Suci(clear.clone());
        w.tell(Input::AuthInfo { txn: 5, identity, serving: plmn(), resync: None });
        w.settle().into_iter().find_map(|o| match o {
            Output::AuthRefused { txn: 5, refusal } => Some(refusal.reason),
            _ => None,
        })
    };
    let key = |w: &mut World| {
        let sealed = w.hss.vault().seal_home_key(1, SuciProfile::A, &Key256::new([1; 32]));
        let until = Utc(w.now.utc.0 + 60_000);
        let key = HomeKey { id: 1, profile: SuciProfile::A, sealed, accepted_until: Some(until) };
        w.tell(Input::HomeKeys(vec![key]));
    };
    key(&mut w);
    assert_eq!(ask(&mut w), None, "it is not set");
    let config = HssConfig { refuse_null_scheme: true, ..HssConfig::new(plmn()) };
    let mut w = World::configured(config).sims(1, SimState::Active);
    assert_eq!(ask(&mut w), None, "there is no key");
    key(&mut w);
    assert_eq!(ask(&mut w), Some(RefusalReason::SuciInClear));
    w.now = w.now.plus_ms(60_000);
    assert_eq!(ask(&mut w), None, "the only key is accepted no longer");
}

#[test]
fn a_concealed_identity_opens_with_the_key_that_it_names_until_that_is_retired() {
    let mut w = World::with_sims(1, SimState::Active);
    let keys = [(1, SuciProfile::A, [1; 32], None), (2, SuciProfile::B, [2; 32], Some(w.now.utc.0 + 60_000))];
    let mut home = Vec::new();
    for (id, profile, octets, until) in &keys {
        let sealed = w.hss.vault().seal_home_key(*id, *profile, &Key256::new(*octets));
        home.push(HomeKey { id: *id, profile: *profile, sealed, accepted_until: until.map(Utc) });
    }
    home.iter().for_each(|k| w.hss.check_home_key(k).unwrap());
    w.tell(Input::HomeKeys(home.clone()));
    let suci = |key_id: u8, (_, profile, octets, _): &(u8, SuciProfile, [u8; 32], Option<i64>)| {
        let public = HomeNetworkKey::new(*profile, &Key256::new(*octets)).unwrap().public();
        let output = sim_auth::suci::conceal(*profile, &public, &Key256::new([9; 32]), "0000000001").unwrap();
        Suci { home: plmn(), routing_indicator: "0".into(), scheme: (*profile).into(), key_id, output }
    };
    let ask = |w: &mut World, suci: Suci| {
        w.tell(Input::AuthInfo { txn: 5, identity: Identity::Suci(suci), serving: plmn(), resync: None });
        w.settle()
            .into_iter()
            .find_map(|o| match o {
                Output::Vector { txn: 5, supi, .. } => Some(Ok(supi.imsi())),
                Output::AuthRefused { txn: 5, refusal } => Some(Err((refusal.cause, refusal.reason))),
                _ => None,
            })
            .expect("an answer")
    };
    let refused = |reason| Err((FgmmCause::IllegalUe, reason));
    assert_eq!(ask(&mut w, suci(1, &keys[0])), Ok(imsi(1)));
    assert_eq!(ask(&mut w, suci(2, &keys[1])), Ok(imsi(1)));
    // An id of nobody, an id of the other profile, a key that was never ours, an altered output.
    assert_eq!(ask(&mut w, suci(3, &keys[0])), refused(RefusalReason::SuciKeyUnknown));
    assert_eq!(ask(&mut w, suci(2, &keys[0])), refused(RefusalReason::SuciKeyUnknown));
    let foreign = (1, SuciProfile::A, [7; 32], None);
    assert_eq!(ask(&mut w, suci(1, &foreign)), refused(RefusalReason::SuciUnreadable));
    let mut altered = suci(1, &keys[0]);
    altered.output[40] ^= 1;
    assert_eq!(ask(&mut w, altered), refused(RefusalReason::SuciUnreadable));
    // Another network's subscriber, concealed for us.
    let abroad = Suci { home: "440-10".parse().unwrap(), ..suci(1, &keys[0]) };
    assert_eq!(ask(&mut w, abroad), refused(RefusalReason::UnknownSim));
    // The second one retires; the first goes on.
    w.now = w.now.plus_ms(60_000);
    assert_eq!(ask(&mut w, suci(2, &keys[1])), refused(RefusalReason::SuciKeyRefused));
    assert_eq!(ask(&mut w, suci(1, &keys[0])), Ok(imsi(1)));
    // A row that was moved to another id or profile does not open.
    let moved = HomeKey { id: 3, ..home[0].clone() };
    assert_eq!(w.hss.check_home_key(&moved), Err(VaultError::Tampered));
    let other = HomeKey { profile: SuciProfile::B, ..home[0].clone() };
    assert_eq!(w.hss.check_home_key(&other), Err(VaultError::Tampered));
    w.tell(Input::HomeKeys(vec![moved]));
    assert_eq!(ask(&mut w, suci(1, &keys[0])), refused(RefusalReason::SuciKeyUnknown));
    assert_eq!(ask(&mut w, suci(3, &keys[0])), Err((FgmmCause::Congestion, RefusalReason::Unavailable)));
}

#[test]
fn a_banned_sim_is_authenticated_first_and_refused_after() {
    for (state, cause, backoff_s, reason) in [
        (SimState::Lost, FgmmCause::IllegalUe, None, RefusalReason::Lost),
        (SimState::Stolen, FgmmCause::IllegalUe, None, RefusalReason::Stolen),
        (SimState::Suspended, FgmmCause::Congestion, Some(600), RefusalReason::Suspended),
        (SimState::Stock, FgmmCause::Congestion, Some(600), RefusalReason::Stock),
    ] {
        let mut w = World::with_sims(1, SimState::Active);
        let mut card = card(1);
        w.tell(Input::SetState { imsi: imsi(1), state });
        let v = w.vector(1, None).unwrap();
        assert!(accepts(&mut card, &v));
        assert_eq!(w.locate(1, None).unwrap_err(), Refusal { cause, backoff_s, reason });
    }
    let mut w = World::with_sims(1, SimState::Retired);
    assert_eq!(w.vector(1, None).unwrap_err().reason, RefusalReason::Retired, "its key is destroyed");
}

#[test]
fn the_first_attach_makes_a_ready_sim_active_once_that_is_durable() {
    let mut w = World::with_sims(1, SimState::Ready);
    w.tell(Input::Locate { txn: 1, supi: Supi(imsi(1)), pei: None });
    w.tell(Input::Locate { txn: 2, supi: Supi(imsi(1)), pei: None });
    let out = w.outputs();
    let id = match out.as_slice() {
        [
            Output::Persist { id, write: Persist::Activated { .. } },
            Output::Located { txn: 1, .. },
            Output::Located { txn: 2, .. },
        ] => *id,
        _ => panic!("{out:?}"),
    };
    assert_eq!(w.hss.state(imsi(1)), Some(SimState::Ready));
    w.tell(Input::Persisted { id, ok: false });
    assert_eq!(w.hss.state(imsi(1)), Some(SimState::Ready), "the store failed: next time again");
    w.locate(1, None).unwrap();
    assert_eq!(w.hss.state(imsi(1)), Some(SimState::Active));
}

#[test]
fn a_ban_while_the_activation_is_being_written_is_not_undone_by_it() {
    let mut w = World::with_sims(1, SimState::Ready);
    w.tell(Input::Locate { txn: 1, supi: Supi(imsi(1)), pei: None });
    w.tell(Input::SetState { imsi: imsi(1), state: SimState::Stolen });
    w.settle();
    assert_eq!(w.hss.state(imsi(1)), Some(SimState::Stolen));
    assert!(w.locate(1, None).is_err());
}

#[test]
fn a_card_that_is_ahead_is_resynchronised_by_one_auts() {
    let mut w = World::with_sims(1, SimState::Active);
    let mut card = card(1).with_sqn(Sqn::from_seq_ind(200_000_000, 0, 5).unwrap());
    let v = w.vector(1, None).unwrap();
    let auts = auts(&mut card, &v);
    w.ask(1, Some((v.rand, auts)));
    let out = w.outputs();
    let [Output::Persist { id, write: Persist::SqnCeiling { state, .. } }] = out.as_slice() else {
        panic!("the moved offset is durable before a vector leaves: {out:?}");
    };
    assert_eq!(state.resyncs, 1);
    w.ask(1, None);
    assert!(w.outputs().is_empty(), "nor does anybody else get one");
    w.tell(Input::Persisted { id: *id, ok: true });
    let out = w.outputs();
    let [Output::Vector { vector, .. }, Output::Vector { vector: second, .. }] = out.as_slice() else {
        panic!("{out:?}")
    };
    assert!(accepts(&mut card, vector));
    assert!(accepts(&mut card, second));
}

#[test]
fn a_forged_auts_moves_nothing_and_uses_nothing_up() {
    let mut w = World::with_sims(1, SimState::Active);
    let mut card = card(1);
    let v = w.vector(1, None).unwrap();
    for i in 0..1_000u32 {
        let mut forged = [0u8; 14];
        forged[..4].copy_from_slice(&i.to_be_bytes());
        let refused = w.vector(1, Some((v.rand, Auts(forged)))).unwrap_err();
        assert_eq!(refused.reason, RefusalReason::Resync);
    }
    let v = w.vector(1, None).unwrap();
    assert!(accepts(&mut card, &v));
}

#[test]
fn resynchronisations_of_a_sim_are_limited() {
    let mut w = World::with_sims(2, SimState::Active);
    let mut card = card(1).with_sqn(Sqn::from_seq_ind(200_000_000, 0, 5).unwrap());
    let v = w.vector(1, None).unwrap();
    let proof = (v.rand, auts(&mut card, &v));
    for _ in 0..5 {
        w.vector(1, Some(proof)).unwrap();
    }
    let refused = w.vector(1, Some(proof)).unwrap_err();
    assert_eq!((refused.cause, refused.reason), (FgmmCause::Congestion, RefusalReason::Resync));
    assert!(w.vector(1, None).is_ok(), "an ordinary vector is not refused");
    assert!(w.vector(2, None).is_ok(), "nor is another SIM");
    w.now = w.now.plus_ms(60_000);
    assert!(w.vector(1, Some(proof)).is_ok(), "a minute brings one back");
    assert!(w.vector(1, Some(proof)).is_err());
}

#[test]
fn requests_queue_while_the_store_writes_and_are_all_refused_if_it_fails() {
    let mut w = World::with_sims(1, SimState::Active);
    for _ in 0..8 {
        w.ask(1, None);
    }
    let out = w.outputs();
    let [Output::Persist { id, .. }] = out.as_slice() else { panic!("one write for all: {out:?}") };
    let ninth = w.ask(1, None);
    let full = w.outputs();
    assert!(
        matches!(full.as_slice(), [Output::AuthRefused { txn, refusal }]
            if *txn == ninth && refusal.reason == RefusalReason::Overload),
        "{full:?}"
    );
    w.tell(Input::Persisted { id: *id, ok: false });
    let out = w.outputs();
    assert_eq!(out.len(), 8);
    assert!(out.iter().all(|o| matches!(o, Output::AuthRefused { refusal, .. }
        if refusal.reason == RefusalReason::Unavailable && refusal.backoff_s.is_some())));
    assert!(w.vector(1, None).is_ok(), "and the next one tries again");
}

#[test]
fn a_store_that_never_answers_is_given_up_on() {
    let mut w = World::with_sims(1, SimState::Active);
    w.ask(1, None);
    w.outputs();
    let at = w.hss.poll_timeout().unwrap();
    w.hss.handle_timeout(w.now.plus_ms(4_999));
    assert!(w.outputs().is_empty());
    w.now = w.now.plus_ms(5_000);
    assert_eq!(at, w.now.mono);
    w.hss.handle_timeout(w.now);
    assert!(matches!(w.outputs().as_slice(), [Output::AuthRefused { .. }]));
    assert_eq!(w.hss.poll_timeout(), None);
}

#[test]
fn a_removed_sim_leaves_nothing_waiting_and_late_ends_of_writes_are_harmless() {
    let mut w = World::with_sims(1, SimState::Active);
    w.ask(1, None);
    let out = w.outputs();
    let [Output::Persist { id, .. }] = out.as_slice() else { panic!("{out:?}") };
    w.tell(Input::Remove { imsi: imsi(1) });
    assert!(matches!(w.outputs().as_slice(), [Output::AuthRefused { refusal, .. }]
        if refusal.reason == RefusalReason::UnknownSim));
    let again = w.record(1, SimState::Active);
    w.tell(Input::Put(again));
    w.tell(Input::Persisted { id: *id, ok: true });
    w.tell(Input::Persisted { id: 4_711, ok: true });
    assert!(w.outputs().is_empty());
    w.ask(1, None);
    assert!(
        matches!(w.outputs().as_slice(), [Output::Persist { .. }]),
        "the new SIM has a ceiling of its own"
    );
}

#[test]
fn an_edit_in_the_store_does_not_take_sqn_back() {
    let mut w = World::with_sims(1, SimState::Active);
    let mut card = card(1);
    let stale = {
        let mut r = w.record(1, SimState::Active);
        w.tell(Input::Put(r.clone()));
        r.subscription.dnns = vec!["factory".parse().unwrap()];
        r
    };
    for _ in 0..10 {
        let v = w.vector(1, None).unwrap();
        assert!(accepts(&mut card, &v));
    }
    w.tell(Input::Put(stale.clone()));
    let v = w.vector(1, None).unwrap();
    assert!(accepts(&mut card, &v));
    assert_eq!(w.locate(1, None).unwrap().dnns, stale.subscription.dnns);
    w.tell(Input::Load { records: vec![stale], horizon: None });
    let v = w.vector(1, None).unwrap();
    assert!(accepts(&mut card, &v), "nor does reading the whole store again");
}

#[test]
fn a_record_that_could_not_be_served_is_refused_before_it_is_stored() {
    let mut w = World::new();
    let good = w.record(1, SimState::Stock);
    assert_eq!(w.hss.check(&good), Ok(()));
    let swapped = SimRecord { sealed: w.record(2, SimState::Stock).sealed, ..good.clone() };
    assert!(matches!(w.hss.check(&swapped), Err(RecordError::Keys(_))));
    let narrow = SqnProfile { ind_bits: 1, node_bits: 2, ..SqnProfile::default() };
    assert!(matches!(
        w.hss.check(&SimRecord { sqn_profile: narrow, ..good.clone() }),
        Err(RecordError::IndSplit(_))
    ));
    // Were it stored all the same, it gets no vector and harms nobody.
    w.tell(Input::Put(swapped));
    assert_eq!(w.vector(1, None).unwrap_err().reason, RefusalReason::Unavailable);
}

#[test]
fn a_hundred_and_twenty_sims_attach_at_once_and_each_gets_its_own_vector() {
    let mut w = World::with_sims(120, SimState::Active);
    for n in 1..=120 {
        w.ask(n, None);
    }
    let out = w.settle();
    let mut served = 0;
    for o in &out {
        if let Output::Vector { supi, vector, .. } = o {
            let n: u32 = supi.imsi().msin(2).parse().unwrap();
            assert!(accepts(&mut card(n), vector));
            served += 1;
        }
    }
    assert_eq!(served, 120);
    let text = format!("{out:?}");
    assert!(!text.contains("kseaf") && !text.contains("xres"), "no key in a debug print");
    let bytes = postcard::to_stdvec(&out).unwrap();
    let Some(Output::Vector { vector, .. }) = out.iter().find(|o| matches!(o, Output::Vector { .. })) else {
        panic!("there are vectors")
    };
    assert!(!bytes.windows(32).any(|w| w == vector.kseaf.expose()), "no key in a recording");
}

#[test]
fn inputs_can_be_recorded_and_played_again() {
    let mut w = World::new();
    let record = w.record(1, SimState::Active);
    let input = Input::Load { records: vec![record], horizon: Some(7) };
    let bytes = postcard::to_stdvec(&input).unwrap();
    assert_eq!(postcard::from_bytes::<Input>(&bytes).unwrap(), input);
}
