//! Buffering action rules: fewer packets than there is room for, later reports, UEs that stay away.

use super::*;

const SHORT: u8 = 4;

/// A session whose UE is idle, with a BAR.
fn idle(w: &mut World, bar: CreateBar) -> u64 {
    let mut m = session(7, PLC);
    m.create_bar = Some(bar);
    m.create_fars[1].bar_id = Some(BarId(3));
    w.made(FOREIGN, m).0
}

fn bar(delay: Option<u8>, packets: Option<u8>) -> CreateBar {
    let (delay, packets) = (delay.map(NotificationDelay), packets.map(SuggestedPackets));
    CreateBar { bar_id: BarId(3), delay, packets, others: Vec::new() }
}

/// A packet comes for the UE; the reports that go out.
fn packet(w: &mut World) -> Vec<Pdu> {
    let poll = crate::inner::make::tcp("192.168.1.20", 1, PLC, 502, crate::inner::SYN);
    let mut batch = crate::batch::Batch::new(crate::batch::BatchSize::default());
    w.sent.clear();
    for s in &mut w.shards {
        batch.clear();
        assert!(batch.push(crate::batch::Origin::N6 { handed: true }, &poll));
        s.on_batch(&mut batch, w.now);
        while let Some(event) = s.poll_event() {
            w.n4.event(event, w.now);
        }
    }
    w.pump();
    w.requests(56)
}

fn waiting(w: &World) -> u64 {
    w.shards.iter().map(|s| s.counters().waited).sum()
}

#[test]
fn a_bar_keeps_fewer_packets_and_never_more_than_there_is_room_for() {
    for (told, kept) in [(None, 64), (Some(SHORT), 4), (Some(255), 64), (Some(0), 0)] {
        let mut w = World::new();
        let seid = idle(&mut w, bar(None, told));
        for _ in 0..80 {
            packet(&mut w);
        }
        assert_eq!(waiting(&w), kept, "{told:?}");
        // Another number by a modification counts from there.
        let update =
            UpdateBar { bar_id: BarId(3), packets: Some(SuggestedPackets(10)), ..Default::default() };
        let m = SessionModificationRequest { update_bar: Some(update), ..Default::default() };
        assert_eq!(w.modify(FOREIGN, seid, m).cause, Cause::Accepted);
        for _ in 0..80 {
            packet(&mut w);
        }
        assert_eq!(waiting(&w), kept.max(10), "{told:?}");
    }
}

#[test]
fn a_report_comes_as_late_as_the_bar_says_and_once() {
    let mut w = World::new();
    // 4 × 50 ms.
    let seid = idle(&mut w, bar(Some(SHORT), None));
    assert!(packet(&mut w).is_empty() && packet(&mut w).is_empty());
    assert!(w.n4.poll_timeout().unwrap() <= w.now.mono.plus_ms(200));
    w.later(199);
    assert!(w.requests(56).is_empty());
    w.later(1);
    assert_eq!(w.requests(56).len(), 1);
    let yes = SessionReportResponse { cause: Cause::Accepted, ..Default::default() };
    w.answer(&w.requests(56)[0].clone(), yes.into());
    w.later(200);
    assert!(w.requests(56).is_empty());
    // A UE that comes back meanwhile is not asked for.
    w.modify(FOREIGN, seid, tunnel_to(0x77, None));
    let mut again = tunnel_to(0x77, None);
    again.update_fars[0].apply_action = Some(ApplyAction::of(ApplyAction::BUFF | ApplyAction::NOCP));
    w.modify(FOREIGN, seid, again);
    assert!(packet(&mut w).is_empty());
    w.modify(FOREIGN, seid, tunnel_to(0x77, None));
    w.later(1_000);
    assert!(w.requests(56).is_empty() && w.n4.later.is_empty());
    // Neither is one whose session has gone.
    let (mut w, gone) = (World::new(), bar(Some(SHORT), None));
    let seid = idle(&mut w, gone);
    packet(&mut w);
    assert_eq!((w.delete(FOREIGN, seid), w.n4.later.len()), (Cause::Accepted, 0));
}

#[test]
fn a_ue_that_stays_away_is_not_reported_again_until_then() {
    let mut w = World::new();
    let seid = idle(&mut w, bar(None, None));
    let report = packet(&mut w).remove(0);
    // Away for 2 × 2 s; meanwhile 300 packets are worth keeping, of which there is room for 64.
    let away = |duration| UpdateBarInReport {
        bar_id: BarId(3),
        duration: Some(DlBufferingDuration(duration)),
        meanwhile: Some(DlBufferingPackets(300)),
        ..Default::default()
    };
    let said =
        |update_bar| SessionReportResponse { cause: Cause::Accepted, update_bar, ..Default::default() };
    w.answer(&report, said(Some(away(2))).into());
    assert_eq!(w.n4.sessions[&Seid(seid)].rules.bar.unwrap().packets, Some(300));
    assert!(packet(&mut w).is_empty());
    w.later(3_999);
    assert!(packet(&mut w).is_empty());
    w.later(1);
    let report = w.requests(56).remove(0);
    // A BAR that the session has not changes nothing.
    let before = w.n4.sessions[&Seid(seid)].quiet;
    w.answer(&report, said(Some(UpdateBarInReport { bar_id: BarId(9), ..away(0xff) })).into());
    assert_eq!(w.n4.sessions[&Seid(seid)].quiet, before);
    // Forever: until the SMF says something of the session.
    let mut w = World::new();
    let seid = idle(&mut w, bar(None, None));
    let report = packet(&mut w).remove(0);
    w.answer(&report, said(Some(away(0xff))).into());
    w.later(3_600_000);
    assert!(packet(&mut w).is_empty() && w.requests(56).is_empty() && w.n4.later.is_empty());
    w.modify(FOREIGN, seid, tunnel_to(0x77, None));
    let mut again = tunnel_to(0x77, None);
    again.update_fars[0].apply_action = Some(ApplyAction::of(ApplyAction::BUFF | ApplyAction::NOCP));
    w.modify(FOREIGN, seid, again);
    assert_eq!(packet(&mut w).len(), 1);
}

#[test]
fn one_bar_for_a_session_and_none_that_nobody_knows() {
    let mut w = World::new();
    let mut m = session(7, PLC);
    m.create_fars[1].bar_id = Some(BarId(3));
    let refused = w.establish(FOREIGN, m);
    assert_eq!((refused.cause, refused.offending_ie), (Cause::RuleFailure, Some(OffendingIe(88))));
    let seid = idle(&mut w, bar(None, None));
    let before = w.weight();
    let second = SessionModificationRequest { create_bar: Some(bar(None, None)), ..Default::default() };
    let unknown = SessionModificationRequest {
        update_bar: Some(UpdateBar { bar_id: BarId(4), ..Default::default() }),
        ..Default::default()
    };
    // Its FAR still names it.
    let gone = RemoveBar { bar_id: BarId(3), others: Vec::new() };
    let removed = SessionModificationRequest { remove_bar: Some(gone), ..Default::default() };
    for m in [second, unknown, removed.clone()] {
        let m = w.modify(FOREIGN, seid, m);
        assert_eq!((m.cause, m.offending_ie), (Cause::RuleFailure, Some(OffendingIe(88))));
    }
    // Another in its place.
    let other = CreateBar { packets: Some(SuggestedPackets(1)), ..bar(None, None) };
    let m = SessionModificationRequest { create_bar: Some(other), ..removed };
    assert_eq!(w.modify(FOREIGN, seid, m).cause, Cause::Accepted);
    assert_eq!(w.weight(), before);
    packet(&mut w);
    packet(&mut w);
    assert_eq!(waiting(&w), 1);
}
