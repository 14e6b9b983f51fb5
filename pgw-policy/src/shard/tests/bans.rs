//! What takes everything from a SIM, or all but a few apps: bans, quarantine, a group in panic.

use super::*;

#[test]
fn a_cut_sim_carries_nothing_whatever_it_has() {
    let mut w = World::new();
    w.up(5, &tcp(LAPTOP, 1, FILES, 443, SYN));
    let at = w.now.utc;
    w.now = w.now.plus_ms(700);
    let report = w.cut(5);
    assert_eq!(report, CutReport { sessions: 1, last_packet: Some(at), dropped: 0 });
    w.up_dropped(5, &tcp(LAPTOP, 1, FILES, 443, ACK), Reason::Banned);
    w.down_dropped(&tcp(FILES, 443, LAPTOP, 1, ACK), Reason::Banned);
    // Whatever is wrong with the packet, and wherever it comes from.
    w.up_dropped(5, b"", Reason::Banned);
    // The flow's record ends with the ban, and what was tried after it is written down.
    w.wait(1);
    let r = w.records();
    assert!(r.iter().any(|r| r.verdict == Verdict::Allow && r.reason == Reason::Banned && r.end == at));
    assert!(r.iter().any(|r| r.verdict == Verdict::Deny && r.reason == Reason::Banned && r.packets_up == 1));
    // Another cut says what happened since; the others are untouched.
    assert_eq!(w.cut(5), CutReport { sessions: 1, last_packet: Some(at), dropped: 3 });
    assert_eq!(w.down(&tcp(SCADA, 1, PLC, 502, SYN)).len(), 1);
    // PFCP cannot clear the bit; policy cannot; a new session is born with it.
    w.tell(ShardCommand::Update { spec: spec(5, LAPTOP), end_marker: true });
    w.tell(compiled(2, &[]));
    w.up_dropped(5, &tcp(LAPTOP, 1, FILES, 443, ACK), Reason::Banned);
    w.end(5);
    assert_eq!(w.tell(ShardCommand::Insert(spec(5, LAPTOP))), ShardReply::Inserted { born_dropped: true });
    w.up_dropped(5, &tcp(LAPTOP, 1, FILES, 443, SYN), Reason::Banned);
    // What the session before let through is not forgotten.
    assert_eq!(w.cut(5).last_packet, Some(at));
    // Unban: the rules count again.
    w.tell(ShardCommand::Uncut { imsi: imsi(5) });
    assert_eq!(w.up(5, &tcp(LAPTOP, 1, FILES, 443, SYN)).len(), 1);
}

#[test]
fn a_ban_before_the_first_session_holds() {
    let mut w = World::new();
    w.end(5);
    assert_eq!(w.cut(5), CutReport { sessions: 0, last_packet: None, dropped: 0 });
    assert_eq!(w.tell(ShardCommand::Insert(spec(5, LAPTOP))), ShardReply::Inserted { born_dropped: true });
    w.tell(ShardCommand::Uncut { imsi: imsi(5) });
    assert_eq!(w.up(5, &tcp(LAPTOP, 1, FILES, 443, SYN)).len(), 1);
    let ShardReply::Status(s) = w.tell(ShardCommand::Status) else { panic!() };
    assert_eq!((s.sessions, s.flows, s.revoked, s.policy), (2, 1, 0, Some(1)));
}

#[test]
fn while_bans_may_be_missing_nothing_opens_and_nothing_goes_on() {
    let mut w = World::new();
    w.up(5, &tcp(LAPTOP, 1, FILES, 443, SYN));
    w.tell(ShardCommand::Close { on: true });
    w.up_dropped(5, &tcp(LAPTOP, 2, FILES, 443, SYN), Reason::StalePolicy);
    w.up_dropped(5, &tcp(LAPTOP, 1, FILES, 443, ACK), Reason::StalePolicy);
    w.down_dropped(&tcp(SCADA, 1, PLC, 502, SYN), Reason::StalePolicy);
    assert_eq!(w.records().first().map(|r| r.reason), Some(Reason::StalePolicy));
    // No policy changes that, however new it is.
    w.tell(compiled(u64::MAX, &[]));
    w.up_dropped(5, &tcp(LAPTOP, 2, FILES, 443, SYN), Reason::StalePolicy);
    w.tell(ShardCommand::Close { on: false });
    assert_eq!(w.up(5, &tcp(LAPTOP, 2, FILES, 443, SYN)).len(), 1);
}

#[test]
fn a_sim_in_quarantine_reaches_its_remediation_app_and_nothing_else() {
    let mut w = World::new();
    w.tell(with_groups(2));
    w.up(5, &tcp(LAPTOP, 1, FILES, 443, SYN));
    w.up(5, &tcp(LAPTOP, 2, PLC, 80, SYN));
    w.down(&tcp(SCADA, 1, PLC, 502, SYN));
    w.records();
    let quarantine = |n: u8, on| ShardCommand::Quarantine { imsi: imsi(n), on };
    for n in [5, 7] {
        assert_eq!(w.tell(quarantine(n, true)), ShardReply::Done);
    }
    // The flow to the remediation app goes on, the others ended at once and say why.
    let ended: Vec<_> = w.records().iter().map(|r| (r.reason, r.peer_port)).collect();
    assert!(ended.iter().all(|(reason, _)| *reason == Reason::Quarantined), "{ended:?}");
    assert!(ended.len() >= 2, "{ended:?}");
    assert_eq!(w.up(5, &tcp(LAPTOP, 1, FILES, 443, ACK)).len(), 1);
    assert_eq!(w.up(5, &tcp(LAPTOP, 3, FILES, 443, SYN)).len(), 1);
    w.up_dropped(5, &tcp(LAPTOP, 2, PLC, 80, SYN), Reason::Quarantined);
    w.up_dropped(5, &tcp(LAPTOP, 4, SECRET, 443, SYN), Reason::Quarantined);
    // A group without remediation apps leaves nothing, either way.
    w.up_dropped(7, &tcp(PLC, 1, FILES, 443, SYN), Reason::Quarantined);
    w.down_dropped(&tcp(SCADA, 1, PLC, 502, SYN), Reason::Quarantined);
    // A policy does not end it, nor does a new session; another session is born in it.
    w.tell(with_groups(3));
    w.end(7);
    assert_eq!(w.tell(ShardCommand::Insert(spec(7, PLC))), ShardReply::Inserted { born_dropped: false });
    w.up_dropped(7, &tcp(PLC, 1, FILES, 443, SYN), Reason::Quarantined);
    w.tell(quarantine(7, false));
    assert_eq!(w.up(7, &tcp(PLC, 1, FILES, 443, SYN)).len(), 1);
    w.up_dropped(5, &tcp(LAPTOP, 2, PLC, 80, SYN), Reason::Quarantined);
}

#[test]
fn a_group_in_panic_keeps_its_emergency_apps_and_other_groups_keep_everything() {
    let mut w = World::new();
    w.tell(with_groups(2));
    let panic = |g: &str, on| ShardCommand::Panic { group: g.parse().unwrap(), on };
    w.up(5, &tcp(LAPTOP, 1, FILES, 443, SYN));
    w.down(&tcp(SCADA, 1, PLC, 502, SYN));
    w.tell(panic("laptops", true));
    w.tell(panic("nobody", true));
    assert!(w.records().iter().any(|r| r.reason == Reason::GroupInPanic));
    w.up_dropped(5, &tcp(LAPTOP, 1, FILES, 443, ACK), Reason::GroupInPanic);
    // An emergency app is left to the rules, and these reject it.
    assert_ne!(w.up(5, &tcp(LAPTOP, 4, SECRET, 443, SYN)), []);
    assert_eq!(w.up(7, &tcp(PLC, 502, SCADA, 1, ACK)).len(), 1);
    // Both at once: what neither bars.
    w.tell(ShardCommand::Quarantine { imsi: imsi(5), on: true });
    w.up_dropped(5, &tcp(LAPTOP, 5, SECRET, 443, SYN), Reason::Quarantined);
    w.up_dropped(5, &tcp(LAPTOP, 5, FILES, 443, SYN), Reason::GroupInPanic);
    w.tell(ShardCommand::Quarantine { imsi: imsi(5), on: false });
    // A policy in which the group has another number.
    w.tell(compiled(3, &[]));
    assert_eq!(w.up(5, &tcp(LAPTOP, 6, FILES, 443, SYN)).len(), 1, "it is in no group there");
    w.tell(with_groups(4));
    w.up_dropped(5, &tcp(LAPTOP, 6, FILES, 443, ACK), Reason::GroupInPanic);
    w.tell(panic("laptops", false));
    assert_eq!(w.up(5, &tcp(LAPTOP, 7, FILES, 443, SYN)).len(), 1);
}

#[test]
fn a_quarantine_before_the_first_policy_and_session_holds() {
    let mut w = World::new();
    w.end(5);
    w.tell(ShardCommand::Quarantine { imsi: imsi(5), on: true });
    w.tell(ShardCommand::Insert(spec(5, LAPTOP)));
    w.up_dropped(5, &tcp(LAPTOP, 1, FILES, 443, SYN), Reason::Quarantined);
    // A ban is above it, and its end leaves the quarantine.
    w.cut(5);
    w.up_dropped(5, &tcp(LAPTOP, 1, FILES, 443, SYN), Reason::Banned);
    w.tell(ShardCommand::Uncut { imsi: imsi(5) });
    w.up_dropped(5, &tcp(LAPTOP, 1, FILES, 443, SYN), Reason::Quarantined);
}
