//! An MME that is to let go of a SIM hears of it until it has answered, whatever is in between.

use super::*;
use crate::s6a::{Due, Why};
use wire::diameter::Refusal as Refused;

const NO: (Option<u32>, Option<u32>) = (Some(result::UNABLE_TO_COMPLY), None);

/// SIM 1 attached by the first MME, then by the second; the question to the first.
fn moved() -> (World, u64, CancelLocationRequest) {
    let mut w = World::new(SimState::Active);
    w.attach("mme1.example", 1);
    let out = w.ask("mme2.example", ulr("mme2.example", 1));
    let (txn, m) = to_first(&out);
    (w, txn, m)
}

/// The one Cancel-Location, of type 0 to the first MME.
fn to_first(out: &[Output]) -> (u64, CancelLocationRequest) {
    let [(txn, peer, m)] = cancelled(out).try_into().unwrap();
    assert_eq!((peer, m.cancellation), (name("mme1.example"), CancellationType::MmeUpdate));
    (txn, m)
}

fn over(mme: &str) -> Output {
    Output::NotDue { imsi: imsi(1), mme: name(mme) }
}

fn not_understood(m: &CancelLocationRequest) -> Option<Message> {
    let refusal = Refused {
        session_id: Some(m.session_id.clone()),
        origin_host: m.destination_host.clone(),
        origin_realm: name("example"),
        result_code: result::COMMAND_UNSUPPORTED,
        error_message: None,
        failed_avp: None,
    };
    let (application, command, _) = Message::from(m.clone()).kind();
    Some(Message::Refusal { application, command, error: true, refusal: Box::new(refusal) })
}

#[test]
fn a_move_is_said_until_it_is_answered() {
    let (mut w, first, _) = moved();
    // Nobody answers: again after half a minute, and when the peer is back.
    assert!(w.give(Input::Answered { txn: first, message: None }).is_empty());
    assert!(w.pass(29_999).is_empty());
    let (second, _) = to_first(&w.pass(1));
    let (third, m) = to_first(&w.give(up("mme1.example", 7)));
    assert!(w.give(up("mme2.example", 7)).is_empty(), "not its");
    // An answer to what has been asked once more, or to nothing.
    for txn in [first, second, third + 7] {
        assert!(w.give(Input::Answered { txn, message: cla(&m, YES) }).is_empty());
    }
    // It does not want to: until it is back.
    assert!(w.give(Input::Answered { txn: third, message: cla(&m, NO) }).is_empty());
    assert!(w.pass(3_600_000).is_empty());
    let (txn, m) = to_first(&w.give(up("mme1.example", 7)));
    assert_eq!(w.give(Input::Answered { txn, message: cla(&m, YES) }), [over("mme1.example")]);
    assert!(w.give(up("mme1.example", 7)).is_empty() && w.pass(3_600_000).is_empty());
}

#[test]
fn whoever_does_not_know_the_sim_or_the_command_has_answered() {
    for answer in [|m: &CancelLocationRequest| cla(m, UNKNOWN), not_understood] {
        let (mut w, txn, m) = moved();
        assert_eq!(w.give(Input::Answered { txn, message: answer(&m) }), [over("mme1.example")]);
        assert!(w.give(up("mme1.example", 7)).is_empty());
    }
}

#[test]
fn a_purge_or_the_sims_return_makes_a_move_moot() {
    let (mut w, txn, m) = moved();
    assert!(w.ask("mme1.example", pur("mme1.example", 1)).contains(&over("mme1.example")));
    assert!(w.give(Input::Answered { txn, message: cla(&m, YES) }).is_empty(), "too late");
    assert!(w.give(up("mme1.example", 7)).is_empty());
    assert_eq!(w.s6a.serving(imsi(1)), Some(&name("mme2.example")));

    // It comes back: now the second one is to let go, and the first is not.
    let (mut w, _, _) = moved();
    let out = w.ask("mme1.example", ulr("mme1.example", 1));
    let [(_, peer, _)] = cancelled(&out).try_into().unwrap();
    assert_eq!(peer, name("mme2.example"));
    assert!(w.give(up("mme1.example", 7)).is_empty());
    assert_eq!(cancelled(&w.give(up("mme2.example", 7))).len(), 1);
    // Another SIM of the same MME, and a purge by who has nothing to purge.
    assert!(
        !w.ask("mme1.example", pur("mme1.example", 2)).iter().any(|o| matches!(o, Output::NotDue { .. }))
    );
}

#[test]
fn a_move_is_known_after_a_restart() {
    let mut w = World::new(SimState::Active);
    let serving = vec![Serving { imsi: imsi(1), mme: Some("mme2.example".to_owned()), told: None }];
    let due = |n, why| Due { imsi: imsi(n), mme: name("mme1.example"), why };
    let all = vec![due(1, Why::Moved), due(2, Why::Device)];
    w.give(Input::Load { serving, unsupported: Vec::new(), due: all });
    assert!(cancelled(&w.give(up("mme2.example", 7))).is_empty());
    let out = w.give(up("mme1.example", 7));
    let kinds: Vec<_> =
        cancelled(&out).iter().map(|(_, _, m)| (m.user_name.clone(), m.cancellation)).collect();
    let (moved, device) = (CancellationType::MmeUpdate, CancellationType::SubscriptionWithdrawal);
    assert_eq!(kinds.len(), 2);
    assert!(kinds.contains(&(imsi(1).to_string(), moved)) && kinds.contains(&(imsi(2).to_string(), device)));
    // A ban finds the one that serves it; the other one stays due.
    let out = w.ban(1);
    let [(_, peer, _)] = cancelled(&out).try_into().unwrap();
    assert_eq!(peer, name("mme2.example"));
    to_first_of_one(&cancelled(&w.give(up("mme1.example", 7))));
}

fn to_first_of_one(all: &[(u64, Identity, CancelLocationRequest)]) {
    let ones = all.iter().filter(|(_, _, m)| m.user_name == imsi(1).to_string());
    assert_eq!(ones.map(|(_, _, m)| m.cancellation).collect::<Vec<_>>(), [CancellationType::MmeUpdate]);
}

#[test]
fn of_two_mmes_at_once_the_one_that_is_durable_first_is_told() {
    let mut w = World::new(SimState::Active);
    let writes = ["mme1.example", "mme2.example"].map(|peer| {
        w.id += 1;
        w.s6a.handle(Input::Request { id: w.id, peer: name(peer), message: ulr(peer, 1).into() }, w.now);
        w.up_to_the_write()
    });
    assert!(cancelled(&w.give(Input::Persisted { txn: writes[0], ok: true })).is_empty());
    to_first(&w.give(Input::Persisted { txn: writes[1], ok: true }));
}

/// SIM 1 attached by the first MME with a device that is refused since: what is said when the MME tells of it.
fn device_refused() -> (World, Vec<Output>) {
    let mut w = World::new(SimState::Active);
    w.attach("mme1.example", 1);
    blacken(&mut w, "35609204");
    let out = w.ask("mme1.example", nor("mme1.example", 1));
    (w, out)
}

fn blacken(w: &mut World, range: &str) {
    w.hss.handle(core::Input::Equipment(vec![(range.parse().unwrap(), types::Colour::Black)]), w.now);
}

#[test]
fn what_a_refused_device_withdrew_is_durable_until_another_device_comes() {
    let (mut w, out) = device_refused();
    assert!(out.contains(&Output::Due { imsi: imsi(1), mme: name("mme1.example") }), "{out:?}");
    let [(txn, _, m)] = cancelled(&out).try_into().unwrap();
    assert_eq!(how(&w.give(Input::Answered { txn, message: cla(&m, YES) })), [Withdrawal::Acknowledged]);
    // It is asked for again: nobody knows with which device. The SIM's state says nothing of it either.
    assert!(cancelled(&w.ask("mme1.example", air("mme1.example", 1))).is_empty());
    w.give(Input::Restore { imsi: imsi(1) });
    assert_eq!(cancelled(&w.give(up("mme1.example", 7))).len(), 1);
    // With the same device it does not come back, with another one it does, and nothing is due any more.
    let refused = (Some(result::AUTHORIZATION_REJECTED), None);
    assert_eq!(w.result("mme1.example", ulr("mme1.example", 1)), refused);
    blacken(&mut w, "99999999");
    assert!(w.attach("mme1.example", 1).is_success());
    assert!(w.give(up("mme1.example", 7)).is_empty() && w.pass(3_600_000).is_empty());
    assert_eq!(w.s6a.serving(imsi(1)), Some(&name("mme1.example")));
}

#[test]
fn a_purge_is_the_end_of_what_a_refused_device_withdrew() {
    let (mut w, _) = device_refused();
    let out = w.ask("mme1.example", pur("mme1.example", 1));
    assert_eq!(how(&out), [Withdrawal::Effective]);
    assert!(out.contains(&over("mme1.example")));
    assert!(w.give(up("mme1.example", 7)).is_empty());
}

#[test]
fn a_ban_and_its_end_leave_a_refused_device_refused() {
    let (mut w, _) = device_refused();
    w.ban(1);
    // Barred, every sign of life counts.
    let out = w.give(up("mme1.example", 7));
    let [(txn, _, m)] = cancelled(&out).try_into().unwrap();
    w.give(Input::Answered { txn, message: cla(&m, YES) });
    assert_eq!(cancelled(&w.ask("mme1.example", air("mme1.example", 1))).len(), 1);
    w.hss.handle(core::Input::SetState { imsi: imsi(1), state: SimState::Active }, w.now);
    w.give(Input::Restore { imsi: imsi(1) });
    assert_eq!(cancelled(&w.give(up("mme1.example", 7))).len(), 1, "its device still is");
}

#[test]
fn a_device_that_is_refused_while_the_sim_registers_is_withdrawn_where_it_registers() {
    let (mut w, _) = device_refused();
    blacken(&mut w, "99999999");
    // Another MME, with a device that is allowed, up to the write; then the first one tells of the old device once more.
    w.s6a.handle(
        Input::Request { id: 77, peer: name("mme2.example"), message: ulr("mme2.example", 1).into() },
        w.now,
    );
    let txn = w.up_to_the_write();
    blacken(&mut w, "35609204");
    w.ask("mme1.example", nor("mme1.example", 1));
    let out = w.give(Input::Persisted { txn, ok: true });
    assert!(out.contains(&Output::Due { imsi: imsi(1), mme: name("mme2.example") }), "{out:?}");
    let both: Vec<_> = cancelled(&out).into_iter().map(|(_, peer, m)| (peer, m.cancellation)).collect();
    let expected = [
        (name("mme1.example"), CancellationType::MmeUpdate),
        (name("mme2.example"), CancellationType::SubscriptionWithdrawal),
    ];
    assert_eq!(both, expected);
}
