//! An MME, an HSS and a card. The store, the pool and the clock are moved by the test.

use super::{requests::device, *};
use crate::{Algorithm, Hss, HssConfig, SimRecord, SqnProfile, SqnState, Vault};
use sim_auth::{Usim, UsimAnswer, eps::kasme};
use types::{K, Key256, Opc, Rand, RefusalReason, SimState, Supi, Utc};
use wire::diameter::{
    Address, AuthenticationInformationRequest, CancelLocationAnswer, CancelLocationRequest, EutranVector,
    Experimental, NO_STATE_MAINTAINED, NotifyRequest, PurgeUeRequest, RequestedVectors, ResetRequest,
    TerminalInformation, UpdateLocationAnswer, UpdateLocationRequest, result,
};

fn name(s: &str) -> Identity {
    Identity::new(s).unwrap()
}

fn plmn() -> Plmn {
    "001-01".parse().unwrap()
}

fn imsi(n: u32) -> Imsi {
    format!("00101{n:010}").parse().unwrap()
}

/// An MME is there, as one that has this Origin-State-Id.
fn up(peer: &str, state: u32) -> Input {
    let version = Version { state: Some(state), product: "mme".to_owned() };
    Input::Up { peer: name(peer), version }
}

fn keys(n: u32) -> (K, Opc) {
    (K::new([n as u8; 16]), Opc::new([0x80 | n as u8; 16]))
}

fn card(n: u32) -> Usim {
    let (k, opc) = keys(n);
    Usim::new(&k, &opc)
}

fn mme(host: &str, node: u64, vectors: u32) -> Mme {
    Mme {
        host: name(host),
        realm: name("example"),
        node,
        plmns: vec![plmn()],
        imsis: vec!["00101".into()],
        vectors,
    }
}

mod hostile;
mod moved;
mod updates;

struct World {
    hss: Hss,
    s6a: S6a,
    now: Now,
    /// What the faces' neighbours were asked and did not answer by themselves.
    out: Vec<Output>,
    /// False: the store takes nothing.
    stores: bool,
    leases: bool,
    /// The third octet of every SIM's address.
    third: u8,
    id: u64,
}

impl World {
    fn new(state: SimState) -> Self {
        let now = Now { mono: Mono(5), utc: Utc(1_790_000_000_000) };
        let vault = Vault::new(&Key256::new([1; 32]), 1, None, [2; 32]).unwrap();
        let mut hss = Hss::new(HssConfig::new(plmn()), vault, now, [3; 32]);
        let records = (1..=3).map(|n| record(&mut hss, n, state, now)).collect();
        hss.handle(core::Input::Load { records, horizon: None }, now);
        let config = S6aConfig {
            host: name("hss.example"),
            realm: name("example"),
            mmes: vec![mme("mme1.example", 1, 1), mme("mme2.example", 2, 3)],
        };
        let s6a = S6a::new(config, now);
        Self { hss, s6a, now, out: Vec::new(), stores: true, leases: true, third: 0, id: 0 }
    }

    /// Lets everything happen that needs nobody's decision.
    fn settle(&mut self) -> Vec<Output> {
        loop {
            if let Some(o) = self.hss.poll_output() {
                self.core(o);
            } else if let Some(o) = self.s6a.poll_output() {
                self.face(o);
            } else {
                return std::mem::take(&mut self.out);
            }
        }
    }

    /// Lets everything happen until the next write, which is under way then: its number.
    fn up_to_the_write(&mut self) -> u64 {
        loop {
            if let Some(o) = self.hss.poll_output() {
                self.core(o);
                continue;
            }
            match self.s6a.poll_output() {
                Some(Output::Persist { txn, .. }) => return txn,
                Some(o) => self.face(o),
                None => panic!("no write"),
            }
        }
    }

    fn core(&mut self, o: core::Output) {
        let input = match o {
            core::Output::EpsVector { txn, vector } => Input::Vector { txn, vector },
            core::Output::AuthRefused { txn, refusal } | core::Output::LocateRefused { txn, refusal } => {
                Input::Refused { txn, refusal }
            }
            core::Output::Located { txn, subscription } => Input::Located { txn, subscription },
            core::Output::Persist { id, .. } => {
                return self.hss.handle(core::Input::Persisted { id, ok: self.stores }, self.now);
            }
            core::Output::Noticed { .. } => return,
            o => panic!("{o:?}"),
        };
        self.s6a.handle(input, self.now);
    }

    fn face(&mut self, o: Output) {
        let input = match o {
            Output::Core(input) => return self.hss.handle(input, self.now),
            Output::Lease { txn, imsi, dnns } => {
                let last = imsi.to_string().parse::<u64>().unwrap() as u8;
                let own = vec![IpAddr::from([10, 20, self.third, last])];
                let all = dnns.into_iter().map(|dnn| Addresses { dnn, own: own.clone() }).collect();
                Input::Leased { txn, addresses: self.leases.then_some(all) }
            }
            Output::Persist { txn, .. } => Input::Persisted { txn, ok: self.stores },
            o => return self.out.push(o),
        };
        self.s6a.handle(input, self.now);
    }

    fn give(&mut self, input: Input) -> Vec<Output> {
        self.s6a.handle(input, self.now);
        self.settle()
    }

    fn ask(&mut self, peer: &str, message: impl Into<Message>) -> Vec<Output> {
        self.id += 1;
        self.give(Input::Request { id: self.id, peer: name(peer), message: message.into() })
    }

    /// Results of the answer: of the base protocol, and of 3GPP.
    fn result(&mut self, peer: &str, message: impl Into<Message>) -> (Option<u32>, Option<u32>) {
        let out = self.ask(peer, message);
        let answers: Vec<&Message> = out
            .iter()
            .filter_map(|o| if let Output::Answer { message, .. } = o { Some(message) } else { None })
            .collect();
        let [one] = answers.as_slice() else { panic!("one answer: {out:?}") };
        let of = |r: &Option<u32>, e: &Option<Experimental>| (*r, e.as_ref().map(|e| e.code));
        match one {
            Message::AuthenticationInformationAnswer(a) => of(&a.result_code, &a.experimental),
            Message::UpdateLocationAnswer(a) => of(&a.result_code, &a.experimental),
            Message::PurgeUeAnswer(a) => of(&a.result_code, &a.experimental),
            Message::NotifyAnswer(a) => of(&a.result_code, &a.experimental),
            Message::Refusal { refusal, .. } => (Some(refusal.result_code), None),
            m => panic!("{m:?}"),
        }
    }

    fn vectors(&mut self, peer: &str, m: AuthenticationInformationRequest) -> Vec<EutranVector> {
        match self.ask(peer, m).remove(0) {
            Output::Answer { message: Message::AuthenticationInformationAnswer(a), .. } => {
                assert!(a.is_success(), "{a:?}");
                a.vectors.unwrap().eutran
            }
            o => panic!("{o:?}"),
        }
    }

    fn attach(&mut self, peer: &str, n: u32) -> UpdateLocationAnswer {
        match self.ask(peer, ulr(peer, n)).remove(0) {
            Output::Answer { message: Message::UpdateLocationAnswer(a), .. } => *a,
            o => panic!("{o:?}"),
        }
    }

    fn ban(&mut self, n: u32) -> Vec<Output> {
        self.hss.handle(core::Input::SetState { imsi: imsi(n), state: SimState::Stolen }, self.now);
        self.give(Input::Withdraw { imsi: imsi(n) })
    }

    fn pass(&mut self, ms: u64) -> Vec<Output> {
        self.now = self.now.plus_ms(ms);
        if self.s6a.poll_timeout().is_some_and(|t| t <= self.now.mono) {
            self.s6a.handle_timeout(self.now);
        }
        self.settle()
    }
}

fn record(hss: &mut Hss, n: u32, state: SimState, now: Now) -> SimRecord {
    let (k, opc) = keys(n);
    SimRecord {
        imsi: imsi(n),
        sealed: hss.vault().seal(imsi(n), &k, &opc),
        algorithm: Algorithm::Milenage,
        sqn_profile: SqnProfile::default(),
        sqn_state: SqnState::fresh(now.utc),
        state,
        subscription: Subscription {
            supi: Supi(imsi(n)),
            slices: vec!["1".parse().unwrap()],
            dnns: vec!["corp".parse().unwrap(), "plant".parse().unwrap()],
            ambr_ul_bps: 50_000_000,
            ambr_dl_bps: 5_000_000_000,
        },
    }
}

fn air(peer: &str, n: u32) -> AuthenticationInformationRequest {
    AuthenticationInformationRequest {
        session_id: format!("{peer};{n}"),
        application: None,
        auth_session_state: NO_STATE_MAINTAINED,
        origin_host: name(peer),
        origin_realm: name("example"),
        destination_host: None,
        destination_realm: name("example"),
        features: vec![],
        route: vec![],
        user_name: imsi(n).to_string(),
        eutran: Some(RequestedVectors { number: Some(1), immediate: Some(1), resynchronization: None }),
        visited_plmn: plmn().to_octets(),
    }
}

fn ulr(peer: &str, n: u32) -> UpdateLocationRequest {
    UpdateLocationRequest {
        session_id: format!("{peer};{n}"),
        application: None,
        auth_session_state: NO_STATE_MAINTAINED,
        origin_host: name(peer),
        origin_realm: name("example"),
        destination_host: None,
        destination_realm: name("example"),
        features: vec![],
        route: vec![],
        user_name: imsi(n).to_string(),
        terminal: Some(TerminalInformation {
            imei: Some("35609204079299".to_owned()),
            software_version: Some("01".to_owned()),
        }),
        rat_type: 1004,
        flags: ulr::S6A | ulr::INITIAL_ATTACH,
        srvcc: None,
        visited_plmn: plmn().to_octets(),
        sms_register: None,
    }
}

use wire::diameter::ulr;

fn pur(peer: &str, n: u32) -> PurgeUeRequest {
    let u = ulr(peer, n);
    PurgeUeRequest {
        session_id: u.session_id,
        application: None,
        auth_session_state: NO_STATE_MAINTAINED,
        origin_host: u.origin_host,
        origin_realm: u.origin_realm,
        destination_host: None,
        destination_realm: u.destination_realm,
        features: vec![],
        route: vec![],
        user_name: u.user_name,
        flags: None,
    }
}

fn nor(peer: &str, n: u32) -> NotifyRequest {
    let u = ulr(peer, n);
    NotifyRequest {
        session_id: u.session_id,
        application: None,
        auth_session_state: NO_STATE_MAINTAINED,
        origin_host: u.origin_host,
        origin_realm: u.origin_realm,
        destination_host: None,
        destination_realm: u.destination_realm,
        features: vec![],
        route: vec![],
        user_name: u.user_name,
        terminal: u.terminal,
        flags: None,
        alert: None,
    }
}

/// RES and KASME of the card are the vector's.
fn accepts(card: &mut Usim, v: &EutranVector) -> bool {
    let autn = types::Autn(v.autn);
    match card.authenticate(&Rand(v.rand), &autn) {
        UsimAnswer::Success { res, ck, ik, .. } => {
            res.expose().as_slice() == v.xres && *kasme(&ck, &ik, plmn(), &autn).expose() == v.kasme
        }
        _ => false,
    }
}

/// The Cancel-Location requests, with the numbers to answer them by.
fn cancelled(out: &[Output]) -> Vec<(u64, Identity, CancelLocationRequest)> {
    let of = |o: &Output| match o {
        Output::Ask { txn, peer, message: Message::CancelLocationRequest(m) } => {
            Some((*txn, peer.clone(), (**m).clone()))
        }
        _ => None,
    };
    out.iter().filter_map(of).collect()
}

fn how(out: &[Output]) -> Vec<Withdrawal> {
    out.iter().filter_map(|o| if let Output::Withdrawn { how, .. } = o { Some(*how) } else { None }).collect()
}

fn cla(m: &CancelLocationRequest, results: (Option<u32>, Option<u32>)) -> Option<Message> {
    Some(Message::from(CancelLocationAnswer {
        session_id: m.session_id.clone(),
        application: None,
        result_code: results.0,
        experimental: results.1.map(Experimental::tgpp),
        auth_session_state: None,
        origin_host: m.destination_host.clone(),
        origin_realm: name("example"),
        features: vec![],
        error_message: None,
        failed_avp: None,
    }))
}

const YES: (Option<u32>, Option<u32>) = (Some(result::SUCCESS), None);
const UNKNOWN: (Option<u32>, Option<u32>) = (None, Some(result::USER_UNKNOWN));

#[test]
fn a_sim_attaches_by_an_mme_with_our_addresses() {
    let mut w = World::new(SimState::Ready);
    let mut card = card(1);
    let v = w.vectors("mme1.example", air("mme1.example", 1));
    assert!(v.len() == 1 && v[0].item.is_none() && accepts(&mut card, &v[0]));
    let ula = w.attach("mme1.example", 1);
    assert!(ula.is_success());
    let data = ula.subscription.unwrap();
    let ambr = data.ambr.unwrap();
    assert_eq!((ambr.ul, ambr.dl), (50_000_000, u32::MAX), "what does not fit is as much as fits");
    let profile = data.profile.unwrap();
    let names: Vec<&str> = profile.apns.iter().map(|a| a.name.as_str()).collect();
    assert_eq!((names, profile.context, profile.apns[0].context), (vec!["corp", "plant"], 1, 1));
    assert_eq!(profile.apns[1].addresses, vec![Address::Ip("10.20.0.1".parse().unwrap())]);
    assert_eq!(w.s6a.serving(imsi(1)), Some(&name("mme1.example")));
    assert_eq!(w.result("mme1.example", pur("mme1.example", 1)), YES);
    assert_eq!(w.s6a.serving(imsi(1)), None);
}

#[test]
fn no_vector_leaves_for_who_may_not_be_served() {
    for (state, expected) in [
        (SimState::Lost, UNKNOWN),
        (SimState::Stolen, UNKNOWN),
        (SimState::Retired, UNKNOWN),
        (SimState::Suspended, (None, Some(result::AUTHENTICATION_DATA_UNAVAILABLE))),
        (SimState::Stock, (None, Some(result::AUTHENTICATION_DATA_UNAVAILABLE))),
    ] {
        let mut w = World::new(state);
        assert_eq!(w.result("mme1.example", air("mme1.example", 1)), expected, "{state:?}");
        // With a vector from before it gets no further.
        assert_eq!(w.result("mme1.example", ulr("mme1.example", 1)), expected, "{state:?}");
        assert_eq!(w.s6a.serving(imsi(1)), None);
    }
    let mut w = World::new(SimState::Active);
    assert_eq!(w.result("mme1.example", air("mme1.example", 9)), UNKNOWN, "no such SIM");
    for user in ["440101234567890", "00101", "001010000000001x", "００１０１００００００００１", "1"]
    {
        let m = AuthenticationInformationRequest { user_name: user.to_owned(), ..air("mme1.example", 1) };
        assert_eq!(w.result("mme1.example", m), UNKNOWN, "{user}");
    }
    for octets in [[0x44, 0xf0, 0x10], [0xff; 3], [0; 3], [0x00, 0x11, 0x10]] {
        let refused = (None, Some(result::ROAMING_NOT_ALLOWED));
        let m = AuthenticationInformationRequest { visited_plmn: octets, ..air("mme1.example", 1) };
        assert_eq!(w.result("mme1.example", m), refused, "{octets:x?}");
        let m = UpdateLocationRequest { visited_plmn: octets, ..ulr("mme1.example", 1) };
        assert_eq!(w.result("mme1.example", m), refused, "{octets:x?}");
    }
    let m = AuthenticationInformationRequest { eutran: None, ..air("mme1.example", 1) };
    assert_eq!(w.result("mme1.example", m), (None, Some(result::UNKNOWN_EPS_SUBSCRIPTION)));
    assert_eq!(w.result("mme9.example", air("mme9.example", 1)), (Some(result::UNKNOWN_PEER), None));
    let u = ulr("mme1.example", 1);
    let reset = ResetRequest {
        session_id: u.session_id,
        application: None,
        auth_session_state: NO_STATE_MAINTAINED,
        origin_host: u.origin_host,
        origin_realm: u.origin_realm,
        destination_host: name("hss.example"),
        destination_realm: u.destination_realm,
        features: vec![],
        route: vec![],
        users: vec![],
    };
    assert_eq!(w.result("mme1.example", reset), (Some(result::COMMAND_UNSUPPORTED), None));
}

#[test]
fn nobody_hoards_vectors_whatever_number_is_asked_for() {
    let mut w = World::new(SimState::Active);
    for (peer, asked, given) in [
        ("mme1.example", 0, 1),
        ("mme1.example", 5, 1),
        ("mme1.example", u32::MAX, 1),
        ("mme2.example", 2, 2),
        ("mme2.example", u32::MAX, 3),
    ] {
        let eutran = Some(RequestedVectors { number: Some(asked), immediate: None, resynchronization: None });
        let v = w.vectors(peer, AuthenticationInformationRequest { eutran, ..air(peer, 1) });
        assert_eq!(v.len(), given, "{asked} of {peer}");
        let mut autns: Vec<_> = v.iter().map(|v| v.autn).collect();
        autns.dedup();
        assert_eq!(autns.len(), given);
    }
}

#[test]
fn two_mmes_and_their_cards_never_see_a_number_twice() {
    let mut w = World::new(SimState::Active);
    let mut card = card(2);
    for n in 0..300 {
        let peer = if n % 3 == 0 { "mme2.example" } else { "mme1.example" };
        for v in w.vectors(peer, air(peer, 2)) {
            assert!(accepts(&mut card, &v), "round {n}");
        }
        w.now = w.now.plus_ms(40);
    }
    assert_eq!(card.seen().reused, 0);
}

#[test]
fn a_card_that_is_ahead_is_followed_and_nobody_else_is() {
    let mut w = World::new(SimState::Active);
    let mut card = card(1).with_sqn(types::Sqn::from_octets([0, 0, 0x40, 0, 0, 1]));
    let v = w.vectors("mme1.example", air("mme1.example", 1)).remove(0);
    let UsimAnswer::SynchFailure(auts) = card.authenticate(&Rand(v.rand), &types::Autn(v.autn)) else {
        panic!("the card was to be out of synch")
    };
    let resync = |rand: [u8; 16], auts: [u8; 14]| {
        let mut both = [0; 30];
        both[..16].copy_from_slice(&rand);
        both[16..].copy_from_slice(&auts);
        let eutran = RequestedVectors { number: Some(1), immediate: None, resynchronization: Some(both) };
        AuthenticationInformationRequest { eutran: Some(eutran), ..air("mme1.example", 1) }
    };
    for n in 0..1000_u32 {
        let mut forged = auts.0;
        forged[(n % 14) as usize] ^= 1 + (n / 14) as u8;
        let refused = w.result("mme1.example", resync(v.rand, forged));
        assert_eq!(refused, (None, Some(result::AUTHENTICATION_DATA_UNAVAILABLE)), "round {n}");
    }
    let v = w.vectors("mme1.example", resync(v.rand, auts.0)).remove(0);
    assert!(accepts(&mut card, &v), "after a thousand forged ones");
}

#[test]
fn another_mme_takes_over_and_the_first_is_told() {
    let mut w = World::new(SimState::Active);
    w.attach("mme1.example", 1);
    assert!(cancelled(&w.ask("mme1.example", ulr("mme1.example", 1))).is_empty(), "the same one again");
    let out = w.ask("mme2.example", ulr("mme2.example", 1));
    let [(txn, peer, m)] = cancelled(&out).try_into().unwrap();
    assert_eq!((peer, m.cancellation), (name("mme1.example"), CancellationType::MmeUpdate));
    assert!(how(&w.give(Input::Answered { txn, message: cla(&m, YES) })).is_empty(), "no withdrawal");
    // A purge of the one before changes nothing.
    assert_eq!(w.result("mme1.example", pur("mme1.example", 1)), YES);
    let served = |w: &World| ["mme1.example", "mme2.example"].map(|m| w.s6a.served_at(&name(m)));
    assert_eq!(served(&w), [0, 1]);
    assert_eq!(w.s6a.serving(imsi(1)), Some(&name("mme2.example")));
    assert_eq!(w.result("mme1.example", nor("mme1.example", 1)), (None, Some(result::UNKNOWN_SERVING_NODE)));
}

#[test]
fn a_ban_is_said_until_it_is_effective() {
    let mut w = World::new(SimState::Active);
    w.attach("mme1.example", 1);
    let out = w.ban(1);
    let [(txn, peer, m)] = cancelled(&out).try_into().unwrap();
    assert_eq!((peer, m.cancellation), (name("mme1.example"), CancellationType::SubscriptionWithdrawal));
    assert_eq!((m.user_name, m.destination_host), (imsi(1).to_string(), name("mme1.example")));
    // Nobody answers: again after half a minute, and when the peer is back.
    assert!(w.give(Input::Answered { txn, message: None }).is_empty());
    assert!(cancelled(&w.pass(29_000)).is_empty());
    assert_eq!(cancelled(&w.pass(1_000)).len(), 1);
    let out = w.give(up("mme1.example", 7));
    let [(txn, _, m)] = cancelled(&out).try_into().unwrap();
    assert!(w.give(up("mme2.example", 7)).is_empty(), "not its");
    // "Unable to comply": it stays due. Then yes: said only where there is a reason.
    assert_eq!(
        how(&w.give(Input::Answered { txn, message: cla(&m, (Some(5012), None)) })),
        [Withdrawal::Declined]
    );
    let [(txn, _, m)] = cancelled(&w.pass(30_000)).try_into().unwrap();
    assert_eq!(how(&w.give(Input::Answered { txn, message: cla(&m, YES) })), [Withdrawal::Acknowledged]);
    assert!(w.pass(3_600_000).is_empty());
    // Acknowledged, and the SIM is still used there: no vector, and it is said again.
    let out = w.ask("mme1.example", air("mme1.example", 1));
    assert_eq!(
        (cancelled(&out).len(), out.iter().filter(|o| matches!(o, Output::Attempt { .. })).count()),
        (1, 1)
    );
    let out = w.ask("mme1.example", pur("mme1.example", 1));
    assert_eq!((cancelled(&out).len(), how(&out)), (0, vec![Withdrawal::Effective]));
    assert!(w.pass(3_600_000).is_empty() && w.give(up("mme1.example", 7)).is_empty());
}

#[test]
fn a_session_that_is_seen_to_end_ends_the_withdrawal_and_an_unban_too() {
    let mut w = World::new(SimState::Active);
    w.attach("mme1.example", 1);
    w.ban(1);
    assert_eq!(how(&w.give(Input::Gone { imsi: imsi(1) })), [Withdrawal::Effective]);
    w.attach("mme1.example", 2);
    w.ban(2);
    w.give(Input::Restore { imsi: imsi(2) });
    assert!(w.pass(3_600_000).is_empty());
    assert!(w.ban(3).is_empty(), "nobody serves it, so nobody is told");
}

#[test]
fn a_ban_in_the_middle_of_an_update_location_finds_the_mme() {
    let mut w = World::new(SimState::Active);
    w.s6a.handle(
        Input::Request { id: 1, peer: name("mme1.example"), message: ulr("mme1.example", 1).into() },
        w.now,
    );
    let txn = w.up_to_the_write();
    assert_eq!(cancelled(&w.ban(1)).len(), 1, "at once");
    let out = w.give(Input::Persisted { txn, ok: true });
    let order: Vec<bool> = out.iter().map(|o| matches!(o, Output::Ask { .. })).collect();
    assert_eq!(
        order.iter().filter(|ask| **ask).count(),
        1,
        "and behind the answer, which made the MME serve it"
    );
    assert!(!order[0]);
}

#[test]
fn what_cannot_be_stored_or_leased_is_not_served() {
    let mut w = World::new(SimState::Active);
    w.vectors("mme1.example", air("mme1.example", 1));
    w.leases = false;
    assert_eq!(w.result("mme1.example", ulr("mme1.example", 1)), (Some(result::UNABLE_TO_COMPLY), None));
    w.leases = true;
    w.stores = false;
    assert_eq!(w.result("mme1.example", ulr("mme1.example", 1)), (Some(result::UNABLE_TO_COMPLY), None));
    assert_eq!(w.s6a.serving(imsi(1)), None);
    w.stores = true;
    // An MME that has the subscription, or another radio.
    let skip =
        UpdateLocationRequest { flags: ulr::S6A | ulr::SKIP_SUBSCRIBER_DATA, ..ulr("mme1.example", 1) };
    let out = w.ask("mme1.example", skip);
    assert!(
        matches!(&out[0], Output::Answer { message: Message::UpdateLocationAnswer(a), .. } if a.subscription.is_none())
    );
    for (rat_type, flags) in [(1000, ulr::S6A), (1004, 0), (u32::MAX, ulr::S6A)] {
        let m = UpdateLocationRequest { rat_type, flags, ..ulr("mme1.example", 1) };
        assert_eq!(w.result("mme1.example", m), (None, Some(result::RAT_NOT_ALLOWED)));
    }
}

#[test]
fn who_served_whom_is_known_after_a_restart() {
    let mut w = World::new(SimState::Active);
    let serving = vec![
        Serving { imsi: imsi(1), mme: Some("mme2.example".to_owned()), told: None },
        Serving { imsi: imsi(2), mme: None, told: None },
    ];
    w.give(Input::Load { serving, unsupported: Vec::new(), due: Vec::new() });
    assert_eq!(cancelled(&w.ban(1))[0].1, name("mme2.example"));
    assert!(cancelled(&w.ban(2)).is_empty());
}

#[test]
fn a_device_is_read_in_every_form_that_an_mme_sends() {
    let of = |imei: &str, sv: Option<&str>| {
        device(&TerminalInformation { imei: Some(imei.to_owned()), software_version: sv.map(str::to_owned) })
            .map(|p| p.device())
    };
    let fourteen = Some("35609204079299".to_owned());
    assert_eq!(of("35609204079299", Some("01")), fourteen);
    assert_eq!(of("356092040792997", Some("01")), fourteen);
    assert_eq!(of("35609204079299", None), fourteen);
    for (imei, sv) in [
        ("", None),
        ("3560920407929", Some("01")),
        ("35609204079299", Some("1")),
        ("3560920407929x", Some("01")),
    ] {
        assert_eq!(of(imei, sv), None, "{imei}");
    }
}

#[test]
fn a_refused_device_is_taken_from_the_mme_that_tells_of_it() {
    let mut w = World::new(SimState::Active);
    w.attach("mme1.example", 1);
    let black = vec![("35609204".parse().unwrap(), types::Colour::Black)];
    w.hss.handle(core::Input::Equipment(black), w.now);
    let out = w.ask("mme1.example", nor("mme1.example", 1));
    let refused = |o: &Output| matches!(o, Output::Attempt { refusal, .. } if refusal.reason == RefusalReason::EquipmentBlack);
    assert!(cancelled(&out).len() == 1 && out.iter().any(refused), "{out:?}");
    assert_eq!(
        w.result("mme1.example", ulr("mme1.example", 1)),
        (Some(result::AUTHORIZATION_REJECTED), None)
    );
}
