//! What an MME was told is not so any more.

use super::*;
use crate::s6a;
use types::MmeUpdate::{Declined, Sent, Taken, Unsupported};
use wire::diameter::{
    DeleteSubscriberDataAnswer, DeleteSubscriberDataRequest, InsertSubscriberDataAnswer,
    InsertSubscriberDataRequest, Refusal as Refused, ResetAnswer, application, dsr,
};

const NO: (Option<u32>, Option<u32>) = (Some(result::UNABLE_TO_COMPLY), None);

fn subscription(n: u32, dnns: &[&str], dl: u64) -> Subscription {
    Subscription {
        supi: Supi(imsi(n)),
        slices: vec!["1".parse().unwrap()],
        dnns: dnns.iter().map(|d| d.parse().unwrap()).collect(),
        ambr_ul_bps: 50_000_000,
        ambr_dl_bps: dl,
    }
}

/// As the records have it.
const BOTH: [&str; 2] = ["corp", "plant"];
const DL: u64 = 5_000_000_000;

fn inserted(out: &[Output]) -> Vec<(u64, Identity, InsertSubscriberDataRequest)> {
    let of = |o: &Output| match o {
        Output::Ask { txn, peer, message: Message::InsertSubscriberDataRequest(m) } => {
            Some((*txn, peer.clone(), (**m).clone()))
        }
        _ => None,
    };
    out.iter().filter_map(of).collect()
}

fn deleted(out: &[Output]) -> Vec<(u64, DeleteSubscriberDataRequest)> {
    let of = |o: &Output| match o {
        Output::Ask { txn, message: Message::DeleteSubscriberDataRequest(m), .. } => {
            Some((*txn, (**m).clone()))
        }
        _ => None,
    };
    out.iter().filter_map(of).collect()
}

fn resets(out: &[Output]) -> Vec<(u64, Identity)> {
    let of = |o: &Output| match o {
        Output::Ask { txn, peer, message: Message::ResetRequest(m) } if m.users.is_empty() => {
            Some((*txn, peer.clone()))
        }
        _ => None,
    };
    out.iter().filter_map(of).collect()
}

fn updates(out: &[Output]) -> Vec<types::MmeUpdate> {
    let of = |o: &Output| match o {
        Output::Updated { how, .. } | Output::ResetAt { how, .. } => Some(*how),
        _ => None,
    };
    out.iter().filter_map(of).collect()
}

fn ida((base, experimental): (Option<u32>, Option<u32>)) -> Option<Message> {
    Some(Message::from(InsertSubscriberDataAnswer {
        session_id: "x".to_owned(),
        application: None,
        result_code: base,
        experimental: experimental.map(Experimental::tgpp),
        auth_session_state: None,
        origin_host: name("mme1.example"),
        origin_realm: name("example"),
        features: vec![],
        error_message: None,
        failed_avp: None,
        ims_voice: None,
        last_activity: None,
        flags: None,
        user_state: None,
        location: None,
    }))
}

fn dsa() -> Option<Message> {
    Some(Message::from(DeleteSubscriberDataAnswer {
        session_id: "x".to_owned(),
        application: None,
        result_code: Some(result::SUCCESS),
        experimental: None,
        auth_session_state: None,
        origin_host: name("mme1.example"),
        origin_realm: name("example"),
        features: vec![],
        error_message: None,
        failed_avp: None,
        flags: None,
    }))
}

fn rsa() -> Option<Message> {
    Some(Message::from(ResetAnswer {
        session_id: "x".to_owned(),
        application: None,
        result_code: Some(result::SUCCESS),
        experimental: None,
        auth_session_state: None,
        origin_host: name("mme1.example"),
        origin_realm: name("example"),
        features: vec![],
        error_message: None,
        failed_avp: None,
    }))
}

/// Of who does not know the command.
fn unknown(command: u32, result_code: u32) -> Option<Message> {
    let refusal = Box::new(Refused {
        session_id: None,
        origin_host: name("mme1.example"),
        origin_realm: name("example"),
        result_code,
        error_message: None,
        failed_avp: None,
    });
    Some(Message::Refusal { application: application::S6A, command, error: true, refusal })
}

impl World {
    fn change(&mut self, n: u32, dnns: &[&str], dl: u64) -> Vec<Output> {
        self.give(Input::Subscribed(subscription(n, dnns, dl)))
    }

    fn answer(&mut self, txn: u64, message: Option<Message>) -> Vec<Output> {
        self.give(Input::Answered { txn, message })
    }

    fn up(&mut self, peer: &str) -> Vec<Output> {
        self.give(up(peer, 7))
    }
}

#[test]
fn a_change_is_told_once_to_the_mme_that_serves_the_sim_and_whole() {
    let mut w = World::new(SimState::Active);
    w.attach("mme1.example", 1);
    assert!(w.change(1, &BOTH, DL).is_empty(), "it was told so");
    let out = w.change(1, &BOTH, 7_000);
    assert_eq!(updates(&out), [Sent]);
    let [(txn, peer, m)] = inserted(&out).try_into().unwrap();
    assert_eq!((peer, m.user_name, m.flags), (name("mme1.example"), imsi(1).to_string(), None));
    let profile = m.subscription.profile.unwrap();
    assert_eq!((m.subscription.ambr.unwrap().dl, profile.all_included, profile.apns.len()), (7_000, 0, 2));
    assert!(deleted(&out).is_empty());
    assert_eq!(updates(&w.answer(txn, ida(YES))), [Taken]);
    assert!(w.change(1, &BOTH, 7_000).is_empty() && w.pass(3_600_000).is_empty());
    // Another address, and nothing else.
    w.third = 9;
    let [(txn, _, m)] = inserted(&w.change(1, &BOTH, 7_000)).try_into().unwrap();
    let apns = m.subscription.profile.unwrap().apns;
    assert_eq!(apns[0].addresses, vec![Address::Ip("10.20.9.1".parse().unwrap())]);
    // A change behind a question: the answer to that one says nothing of it.
    let [(later, ..)] = inserted(&w.change(1, &BOTH, 8_000)).try_into().unwrap();
    assert!(w.answer(txn, ida(YES)).is_empty());
    assert_eq!(updates(&w.answer(later, ida(YES))), [Taken]);
    assert!(w.change(1, &BOTH, 8_000).is_empty());
}

#[test]
fn who_is_not_served_or_banned_is_nobodys_news() {
    let mut w = World::new(SimState::Active);
    assert!(w.change(1, &BOTH, 7_000).is_empty());
    w.attach("mme1.example", 1);
    w.ban(1);
    assert!(inserted(&w.change(1, &BOTH, 7_000)).is_empty());
    w.attach("mme1.example", 2);
    w.ask("mme1.example", pur("mme1.example", 2));
    assert!(w.change(2, &BOTH, 7_000).is_empty());
    // A ban takes back what was on its way.
    w.attach("mme1.example", 3);
    let [(txn, ..)] = inserted(&w.change(3, &BOTH, 7_000)).try_into().unwrap();
    w.ban(3);
    assert!(inserted(&w.answer(txn, None)).is_empty());
    assert!(inserted(&w.pass(60_000)).is_empty() && inserted(&w.up("mme1.example")).is_empty());
}

#[test]
fn a_data_network_that_is_taken_away_is_deleted_by_its_context_but_the_default_one() {
    let mut w = World::new(SimState::Active);
    w.attach("mme1.example", 1);
    let out = w.change(1, &["corp"], DL);
    let [(delete, m)] = deleted(&out).try_into().unwrap();
    assert_eq!((m.flags, m.contexts), (dsr::PDN_CONTEXTS, vec![2]));
    let [(insert, _, m)] = inserted(&out).try_into().unwrap();
    assert!(delete < insert, "before the profile that counts anew");
    assert_eq!(m.subscription.profile.unwrap().apns.len(), 1);
    assert!(w.answer(delete, dsa()).is_empty());
    assert_eq!(updates(&w.answer(insert, ida(YES))), [Taken]);
    let out = w.change(1, &["plant"], DL);
    assert!(deleted(&out).is_empty(), "the default one is withdrawn by another profile alone");
    let [(_, _, m)] = inserted(&out).try_into().unwrap();
    assert_eq!(m.subscription.profile.unwrap().apns[0].name, "plant");
}

#[test]
fn what_an_mme_does_not_understand_is_not_said_to_it_again() {
    for code in [result::COMMAND_UNSUPPORTED, result::APPLICATION_UNSUPPORTED, result::AVP_UNSUPPORTED] {
        let mut w = World::new(SimState::Active);
        w.up("mme1.example");
        w.attach("mme1.example", 1);
        w.attach("mme1.example", 2);
        w.attach("mme2.example", 3);
        // Delete: the profile says it as well.
        let out = w.change(1, &["corp"], DL);
        assert!(updates(&w.answer(deleted(&out)[0].0, unknown(320, code))).is_empty());
        assert_eq!(updates(&w.answer(inserted(&out)[0].0, ida(YES))), [Taken]);
        let out = w.change(2, &["corp"], DL);
        assert_eq!((deleted(&out).len(), inserted(&out).len()), (0, 1), "{code}");
        // Insert.
        let told = updates(&w.answer(inserted(&out)[0].0, unknown(319, code)));
        assert_eq!(told, [Unsupported]);
        assert!(w.change(1, &BOTH, 9).is_empty() && w.up("mme1.example").is_empty());
        assert!(w.pass(3_600_000).is_empty());
        assert_eq!(deleted(&w.change(3, &["corp"], DL)).len(), 1, "another MME may know more");
        // The next Update-Location brings it all the same.
        let data = w.attach("mme1.example", 1).subscription.unwrap();
        assert_eq!(data.profile.unwrap().apns.len(), 2, "as the directory has it");
    }
}

#[test]
fn who_does_not_answer_is_asked_again_and_who_says_no_when_it_is_back() {
    let mut w = World::new(SimState::Active);
    w.attach("mme1.example", 1);
    let [(txn, ..)] = inserted(&w.change(1, &BOTH, 7_000)).try_into().unwrap();
    assert!(w.answer(txn, None).is_empty());
    assert!(w.pass(29_000).is_empty());
    let out = w.pass(1_000);
    assert!(updates(&out).is_empty(), "it stands in the timeline once");
    let [(txn, ..)] = inserted(&out).try_into().unwrap();
    w.answer(txn, None);
    let [(txn, ..)] = inserted(&w.up("mme1.example")).try_into().unwrap();
    assert_eq!(updates(&w.answer(txn, ida(NO))), [Declined]);
    assert!(w.pass(3_600_000).is_empty() && w.up("mme2.example").is_empty());
    let [(txn, ..)] = inserted(&w.up("mme1.example")).try_into().unwrap();
    // It does not know the SIM: nobody is left to be told of.
    assert_eq!(updates(&w.answer(txn, ida(UNKNOWN))), [Declined]);
    assert!(w.up("mme1.example").is_empty() && w.pass(3_600_000).is_empty());
    // No address can be had at the moment.
    w.leases = false;
    assert!(w.change(1, &BOTH, 8_000).is_empty());
    w.leases = true;
    assert_eq!(inserted(&w.pass(30_000)).len(), 1);
}

#[test]
fn a_change_in_the_middle_of_an_update_location_is_told_behind_it() {
    let mut w = World::new(SimState::Active);
    let request =
        Input::Request { id: 1, peer: name("mme1.example"), message: ulr("mme1.example", 1).into() };
    w.s6a.handle(request, w.now);
    let txn = loop {
        if let Some(o) = w.hss.poll_output() {
            w.core(o);
            continue;
        }
        match w.s6a.poll_output() {
            Some(Output::Persist { txn, .. }) => break txn,
            Some(o) => w.face(o),
            None => panic!("no write"),
        }
    };
    assert!(w.change(1, &BOTH, 7_000).is_empty(), "it has not got any profile yet");
    let out = w.give(Input::Persisted { txn, ok: true });
    assert!(matches!(out[0], Output::Answer { .. }), "first the answer with what it was");
    let [(txn, ..)] = inserted(&out).try_into().unwrap();
    assert_eq!(updates(&w.answer(txn, ida(YES))), [Taken]);
    // One that comes to nothing, of a SIM that nobody serves.
    w.s6a.handle(
        Input::Request { id: 2, peer: name("mme1.example"), message: ulr("mme1.example", 2).into() },
        w.now,
    );
    w.s6a.handle(Input::Subscribed(subscription(2, &BOTH, 9)), w.now);
    w.stores = false;
    let out = w.settle();
    assert!(inserted(&out).is_empty() && w.pass(60_000).is_empty());
}

#[test]
fn after_a_restart_who_serves_somebody_is_told_to_ask_anew() {
    let mut w = World::new(SimState::Active);
    let serving = |n: u32, mme: &str| Serving { imsi: imsi(n), mme: Some(mme.to_owned()), told: None };
    w.give(load(vec![serving(1, "mme1.example"), serving(2, "mme1.example")], vec![]));
    assert!(w.up("mme2.example").is_empty(), "it serves nobody");
    let out = w.up("mme1.example");
    let [(txn, peer)] = resets(&out).try_into().unwrap();
    assert_eq!((peer, updates(&out)), (name("mme1.example"), vec![Sent]));
    w.answer(txn, None);
    let [(txn, _)] = resets(&w.up("mme1.example")).try_into().unwrap();
    assert_eq!(updates(&w.answer(txn, rsa())), [Taken]);
    assert!(w.up("mme1.example").is_empty(), "once");
    // What it was told before our restart is not known: a change is told, and one that is none costs a message.
    assert_eq!(inserted(&w.change(1, &BOTH, DL)).len(), 1);

    let mut w = World::new(SimState::Active);
    w.give(load(vec![serving(1, "mme1.example")], vec![]));
    let [(txn, _)] = resets(&w.up("mme1.example")).try_into().unwrap();
    assert_eq!(updates(&w.answer(txn, unknown(322, result::COMMAND_UNSUPPORTED))), [Unsupported]);
    assert!(w.up("mme1.example").is_empty() && w.pass(3_600_000).is_empty());
}

/// What is durable, as whoever stores it has it.
fn durable(out: &[Output]) -> (Vec<Told>, Vec<s6a::Unsupported>) {
    let told = |o: &Output| if let Output::Told { told, .. } = o { Some(told.clone()) } else { None };
    let none = |o: &Output| if let Output::NotUnderstood(u) = o { Some(u.clone()) } else { None };
    (out.iter().filter_map(told).collect(), out.iter().filter_map(none).collect())
}

#[test]
fn what_an_mme_was_told_is_known_after_a_restart_and_only_what_differs_is_due() {
    let mut w = World::new(SimState::Active);
    w.attach("mme1.example", 1);
    let out = w.change(1, &BOTH, 7_000);
    let (told, _) = durable(&w.answer(inserted(&out)[0].0, ida(YES)));
    assert_eq!(told.len(), 1);
    let told = Some(told[0].clone());
    let serving = Serving { imsi: imsi(1), mme: Some("mme1.example".to_owned()), told };

    let mut w = World::new(SimState::Active);
    w.give(load(vec![serving.clone()], vec![]));
    assert!(w.change(1, &BOTH, 7_000).is_empty(), "it knows that");
    // A data network was taken away while we were away: its context is deleted as if we had not been.
    let mut w = World::new(SimState::Active);
    w.give(load(vec![serving], vec![]));
    let out = w.change(1, &["corp"], 7_000);
    assert_eq!((deleted(&out).len(), inserted(&out).len()), (1, 1));
}

#[test]
fn what_an_mme_does_not_understand_is_known_after_a_restart_until_it_is_another_one() {
    let code = result::COMMAND_UNSUPPORTED;
    let mut w = World::new(SimState::Active);
    w.attach("mme1.example", 1);
    w.up("mme1.example");
    let out = w.change(1, &BOTH, 7_000);
    let (_, none) = durable(&w.answer(inserted(&out)[0].0, unknown(319, code)));
    assert_eq!(none.iter().map(|u| (u.command, u.by.state)).collect::<Vec<_>>(), [(319, Some(7))]);
    // Of ours.
    let again = |none: &[s6a::Unsupported]| {
        let mut w = World::new(SimState::Active);
        w.give(load(vec![], none.to_vec()));
        w.attach("mme1.example", 1);
        w
    };
    let mut w = again(&none);
    assert!(w.up("mme1.example").is_empty() && w.change(1, &BOTH, 7_000).is_empty());
    // Of the MME, and of one of the same name that is another product.
    for version in [(Some(8), "mme"), (None, "mme"), (Some(7), "mme 2")] {
        let mut w = again(&none);
        let version = Version { state: version.0, product: version.1.to_owned() };
        let out = w.give(Input::Up { peer: name("mme1.example"), version: version.clone() });
        assert_eq!(out, [Output::MayUnderstand { mme: name("mme1.example"), now: version }]);
        assert_eq!(inserted(&w.change(1, &BOTH, 7_000)).len(), 1);
    }
}

fn load(serving: Vec<Serving>, unsupported: Vec<s6a::Unsupported>) -> Input {
    Input::Load { serving, unsupported, due: Vec::new() }
}

#[test]
fn many_changes_at_once_are_told_a_few_at_a_time() {
    let mut w = World::new(SimState::Active);
    let all = 1..=1_000;
    let serving = |n| Serving { imsi: imsi(n), mme: Some("mme1.example".to_owned()), told: None };
    w.give(load(all.clone().map(serving).collect(), vec![]));
    let mut under_way: Vec<u64> =
        all.flat_map(|n| inserted(&w.change(n, &BOTH, 7_000)).into_iter().map(|(txn, ..)| txn)).collect();
    assert_eq!(under_way.len(), 64);
    let mut told = 0;
    while let Some(txn) = under_way.pop() {
        let out = w.answer(txn, ida(YES));
        told += updates(&out).iter().filter(|u| **u == Taken).count();
        under_way.extend(inserted(&out).into_iter().map(|(txn, ..)| txn));
        assert!(under_way.len() <= 64);
    }
    assert_eq!(told, 1_000);
}
