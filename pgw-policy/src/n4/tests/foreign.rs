//! A foreign SMF: what it gets, what it does not, and what becomes of it.

use super::*;
use crate::command::ShardEvent;
use crate::session::{Counted, Downlink};

impl World {
    pub(super) fn later(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
        self.sent.clear();
        self.n4.handle_timeout(self.now);
        self.pump();
    }

    /// Requests of ours to the SMF since the last step.
    pub(super) fn requests(&self, kind: u8) -> Vec<Pdu> {
        let ours =
            |(p, pdu): &(Peer, Pdu)| (*p == FOREIGN && pdu.message.kind() == kind).then(|| pdu.clone());
        self.sent.iter().filter_map(ours).collect()
    }

    pub(super) fn answer(&mut self, to: &Pdu, message: Message) {
        let bytes = Pdu { seid: to.seid, sequence: to.sequence, message }.encode();
        self.raw(FOREIGN, &bytes);
    }

    pub(super) fn beat(&mut self, recovery: u32) -> Message {
        let m = HeartbeatRequest { recovery: RecoveryTimeStamp(recovery), others: Vec::new() };
        self.ask(FOREIGN, None, m.into()).unwrap()
    }

    fn usage_says(&mut self, uplink: u64, downlink: u64) {
        let held = self.held.take().unwrap();
        for (token, shard, command) in held {
            let reply = match command {
                ShardCommand::Usage { .. } => {
                    ShardReply::Usage(Counted([(1, Usage { uplink, downlink })].into()))
                }
                other => self.shards[usize::from(shard.0)].command(other, self.now),
            };
            self.n4.confirmed(token, reply, self.now);
        }
        self.pump();
    }
}

#[test]
fn no_session_is_made_without_a_good_word_for_its_sim() {
    let mut w = World::new();
    let refused: [(Word, Cause, Option<u16>); 7] = [
        (|_| Err(ForeignRefusal::UnknownSim), Cause::Rejected, Some(141)),
        (|_| Err(ForeignRefusal::NotLiving), Cause::Rejected, Some(141)),
        (|_| Err(ForeignRefusal::NotAttached), Cause::Rejected, Some(141)),
        (|_| Err(ForeignRefusal::WrongNetwork), Cause::Rejected, Some(159)),
        (|_| Err(ForeignRefusal::WrongAddress), Cause::RuleFailure, Some(93)),
        (|_| Err(ForeignRefusal::NoAddress), Cause::NoResources, None),
        (|_| Ok(ForeignGrant { ip: UeIp(PLC.parse().unwrap()), prefix: None }), Cause::RuleFailure, Some(93)),
    ];
    for (judge, cause, ie) in refused {
        w.judge = judge;
        let m = w.establish(FOREIGN, session(5, LAPTOP));
        assert_eq!((m.cause, m.offending_ie.map(|o| o.0)), (cause, ie));
        assert_eq!(w.weight(), (0, 0, 0, 0, 0, 0));
    }
    // Without a data network nobody can be asked.
    let m = w.establish(FOREIGN, SessionEstablishmentRequest { apn_dnn: None, ..session(5, LAPTOP) });
    assert_eq!((m.cause, m.offending_ie), (Cause::ConditionalIeMissing, Some(OffendingIe(159))));
    w.judge = as_named;
    let (seid, _) = w.made(FOREIGN, session(5, LAPTOP));
    assert_eq!(w.foreign.iter().map(|(s, up)| (s.up_seid.0, *up)).collect::<Vec<_>>(), [(seid, true)]);
    // What may not live any longer ends here; what is our own control plane's does not.
    let (own, _) = w.made(Peer::Local, session(7, PLC));
    w.n4.end_foreign(&[Seid(seid), Seid(own), Seid(1)], w.now);
    w.pump();
    assert_eq!((w.in_shards(), w.foreign.len(), w.n4.sessions()[0].up_seid.0), (1, 2, own));
}

#[test]
fn who_knows_of_a_foreign_session_hears_when_its_ue_is_there_and_when_its_rates_are_others() {
    let mut w = World::new();
    let (seid, _) = w.made(FOREIGN, session(5, LAPTOP));
    let seen = |w: &World| w.foreign.iter().map(|(s, up)| (s.connected, s.rates, *up)).collect::<Vec<_>>();
    assert_eq!(seen(&w), [(false, None, true)]);
    for teid in [0x77, 0x78] {
        w.modify(FOREIGN, seid, tunnel_to(teid, None));
    }
    assert_eq!(seen(&w)[1..], [(true, None, true)], "another tunnel is nothing new");
    let mbr = Some(Mbr { uplink: 50_000, downlink: 100_000 });
    let change = UpdateQer { qer_id: QerId(1), mbr, ..Default::default() };
    let change = SessionModificationRequest { update_qers: vec![change], ..Default::default() };
    w.modify(FOREIGN, seid, change);
    assert_eq!(seen(&w)[2..], [(true, Some((50_000_000, 100_000_000)), true)]);
    assert_eq!(w.n4.foreign_sessions(), [w.foreign[2].0.clone()]);
    // Of our own sessions nobody is told.
    let (own, _) = w.made(Peer::Local, session(7, PLC));
    w.modify(Peer::Local, own, tunnel_to(0x79, None));
    assert_eq!(w.foreign.len(), 3);
}

#[test]
fn a_question_that_nobody_answers_ends_in_no_session() {
    let mut w = World::new();
    let request = Pdu { seid: Some(0), sequence: 900, message: session(5, LAPTOP).into() }.encode();
    let mut asks = Vec::new();
    let hold = |w: &mut World, asks: &mut Vec<ForeignAsk>| {
        while let Some(o) = w.n4.poll_output() {
            match o {
                N4Output::Ask(ask) => asks.push(ask),
                N4Output::Send { bytes, .. } => return Some(Pdu::parse(&bytes).unwrap().message),
                other => panic!("{other:?}"),
            }
        }
        None
    };
    // Repeated while it waits: asked once.
    for _ in 0..3 {
        w.n4.handle(FOREIGN, &request, w.now);
        assert_eq!(hold(&mut w, &mut asks), None);
    }
    assert_eq!((w.n4.asked_about().len(), w.n4.session_count()), (1, 0));
    w.now = w.now.plus_ms(6_000);
    assert!(w.n4.poll_timeout().unwrap() <= w.now.mono);
    w.n4.give_up_asking(w.now);
    let said = hold(&mut w, &mut asks);
    assert!(matches!(said, Some(Message::SessionEstablishmentResponse(m)) if m.cause == Cause::NoResources));
    assert_eq!(asks.len(), 1);
    // An answer that is late, and one to a question that was never asked.
    for id in [asks[0].id, 77] {
        w.n4.answered(id, as_named(&asks[0]), w.now);
    }
    assert!(w.n4.poll_output().is_none() && w.weight() == (0, 0, 0, 0, 0, 0));
    // The SIM is banned between question and answer.
    let request = Pdu { seid: Some(0), sequence: 901, message: session(5, LAPTOP).into() }.encode();
    w.n4.handle(FOREIGN, &request, w.now);
    assert_eq!(hold(&mut w, &mut asks), None);
    w.n4.revoke(imsi(5), true);
    w.n4.answered(asks[1].id, as_named(&asks[1]), w.now);
    w.pump();
    let (_, Pdu { message: Message::SessionEstablishmentResponse(m), .. }) = w.sent.last().unwrap() else {
        panic!()
    };
    assert_eq!((m.cause, w.in_shards()), (Cause::Rejected, 0));
}

#[test]
fn a_banned_sims_session_is_changed_by_no_foreign_smf_but_may_be_deleted() {
    let mut w = World::new();
    let (seid, _) = w.made(FOREIGN, session(5, LAPTOP));
    w.n4.revoke(imsi(5), true);
    let before = w.weight();
    for m in
        [tunnel_to(0x77, None), tunnel_to(0x78, Some(SmReqFlags(2))), SessionModificationRequest::default()]
    {
        assert_eq!(w.modify(FOREIGN, seid, m).cause, Cause::Rejected);
    }
    assert_eq!(w.weight(), before);
    assert_eq!(w.delete(FOREIGN, seid), Cause::Accepted);
}

#[test]
fn a_prefix_that_is_not_the_sims_carries_nothing_and_an_address_may_be_left_to_us() {
    let mut w = World::new();
    let with_six = |n, ue: &str| {
        let mut m = session(n, ue);
        for a in m.create_pdrs.iter_mut().flat_map(|p| &mut p.pdi.ue_ip_addresses) {
            a.v6 = Some("2001:db8:cafe:1::2".parse().unwrap());
        }
        m
    };
    w.judge = |ask| Ok(ForeignGrant { ip: ask.ip.unwrap(), prefix: None });
    let (seid, _) = w.made(FOREIGN, with_six(5, LAPTOP));
    assert_eq!(w.n4.sessions[&Seid(seid)].identity.prefix, None);
    // Its SMF goes on naming it.
    let again = with_six(5, LAPTOP).create_pdrs.remove(0);
    let update = UpdatePdr { pdr_id: PdrId(1), pdi: Some(again.pdi), ..Default::default() };
    let m = SessionModificationRequest { update_pdrs: vec![update], ..tunnel_to(0x77, None) };
    assert_eq!(w.modify(FOREIGN, seid, m).cause, Cause::Accepted);
    assert_eq!(w.n4.sessions[&Seid(seid)].identity.prefix, None);

    let left = |n| {
        let mut m = session(n, PLC);
        for a in m.create_pdrs.iter_mut().flat_map(|p| &mut p.pdi.ue_ip_addresses) {
            (a.v4, a.choose_v4) = (None, true);
        }
        m
    };
    w.judge = |ask| {
        assert_eq!(ask.ip, None);
        Ok(ForeignGrant { ip: UeIp(PLC.parse().unwrap()), prefix: None })
    };
    let m = w.establish(FOREIGN, left(7));
    assert_eq!(m.created_pdrs[0].ue_ip_addresses[0].v4, Some(PLC.parse().unwrap()));
    // Our own SMF has a ledger, and leaves nothing to us; nor is anything left by a modification.
    assert_eq!(w.establish(Peer::Local, left(8)).cause, Cause::RuleFailure);
    let update =
        UpdatePdr { pdr_id: PdrId(1), pdi: Some(left(5).create_pdrs.remove(0).pdi), ..Default::default() };
    let m = SessionModificationRequest { update_pdrs: vec![update], ..Default::default() };
    assert_eq!(w.modify(FOREIGN, seid, m).cause, Cause::RuleFailure);
}

#[test]
fn a_tunnel_of_another_control_planes_session_cannot_be_taken() {
    let mut w = World::new();
    let (own, _) = w.made(Peer::Local, session(7, PLC));
    w.modify(Peer::Local, own, tunnel_to(0x77, None));
    let (seid, _) = w.made(FOREIGN, session(5, LAPTOP));
    assert_eq!(w.modify(FOREIGN, seid, tunnel_to(0x77, None)).cause, Cause::RuleFailure);
    let downlink = |w: &World, s: u64| {
        let e = &w.n4.sessions[&Seid(s)];
        e.rules.paths(e.identity.ue).downlink
    };
    assert!(matches!(downlink(&w, own), Downlink::Forward { .. }));
    assert_eq!(w.modify(FOREIGN, seid, tunnel_to(0x78, None)).cause, Cause::Accepted);
    // The tunnel to the control plane is the same for all of its sessions.
    let to_cp = |n, ue| {
        let mut m = session(n, ue);
        m.create_fars.push(CreateFar {
            far_id: FarId(9),
            apply_action: ApplyAction::of(ApplyAction::FORW),
            forwarding_parameters: Some(ForwardingParameters {
                destination_interface: DestinationInterface(3),
                outer_header_creation: Some(OuterHeaderCreation::gtpu_v4(1, CP)),
                ..Default::default()
            }),
            ..Default::default()
        });
        m
    };
    let sessions = [(1, "10.20.0.61"), (2, "10.20.0.62")].map(|(n, ue)| w.made(FOREIGN, to_cp(n, ue)).0);
    for s in sessions {
        assert!(w.n4.sessions[&Seid(s)].rules.fars[&9].tunnel.is_some());
    }
}

#[test]
fn silence_keeps_what_lives_and_a_restart_ends_it() {
    let mut w = World::new();
    w.made(FOREIGN, session(5, LAPTOP));
    // The first heartbeat goes out with the association, and again after T1, N1 times.
    w.later(1);
    let first = w.requests(1);
    assert_eq!(first.len(), 1);
    for _ in 0..3 {
        w.later(3_000);
        assert_eq!(w.requests(1), first);
    }
    assert_eq!(w.states, [SmfState::Up]);
    w.later(3_000);
    assert_eq!(w.states, [SmfState::Up, SmfState::Silent]);
    assert_eq!(w.n4.peers()[0].state, SmfState::Silent);
    assert_eq!((w.in_shards(), w.establish(FOREIGN, session(7, PLC)).cause), (1, Cause::NoAssociation));
    // An answer to a heartbeat that was given up, or that nobody sent, is no sign of life; the next one's is.
    let yes = |r| HeartbeatResponse { recovery: RecoveryTimeStamp(r), others: Vec::new() };
    for sequence in [first[0].sequence, first[0].sequence ^ 0x55] {
        let stray = Pdu { seid: None, sequence, message: yes(99).into() };
        w.raw(FOREIGN, &stray.encode());
    }
    assert_eq!((w.states.len(), w.in_shards()), (2, 1));
    w.later(10_000);
    let next = w.requests(1).remove(0);
    w.answer(&next, yes(1).into());
    assert_eq!(w.states.last(), Some(&SmfState::Up));
    w.made(FOREIGN, session(7, PLC));
    // Its own heartbeat is one, too; with another time stamp it is a restart.
    assert!(matches!(w.beat(1), Message::HeartbeatResponse(_)));
    assert_eq!(w.in_shards(), 2);
    w.beat(2);
    assert_eq!((w.in_shards(), w.states.last()), (0, Some(&SmfState::Restarted)));
    let r = Restoration { recovery: Some(2), restarts: 1, ended: 2, restored: 0 };
    assert_eq!((w.n4.peers()[0].restoration, r.started()), (r, Some(types::Utc(-2_208_988_798_000))));
    assert_eq!(w.establish(FOREIGN, session(5, LAPTOP)).cause, Cause::NoAssociation);
    assert_eq!(w.weight(), (0, 0, 0, 0, 0, 0));
    assert!(w.n4.requests.is_empty() && w.n4.watched.is_empty());
}

#[test]
fn a_restored_session_gets_its_own_endpoints_and_nobody_elses() {
    let mut w = World::new();
    let (seid, teid) = w.made(FOREIGN, session(5, LAPTOP));
    let (_, other) = w.made(Peer::Local, session(7, PLC));
    let named = |n, ue, teid, restores: bool| {
        let mut m = session(n, ue);
        m.create_pdrs[0].pdi.local_f_teid = Some(FTeid::at(teid, N3.into()));
        m.flags = restores.then_some(SeReqFlags(1));
        m
    };
    // A live one, that of another, one of nobody without the flag.
    for m in [
        named(8, "10.20.0.8", teid, true),
        named(8, "10.20.0.8", other, true),
        named(8, "10.20.0.8", other ^ 0x400, false),
    ] {
        let m = w.establish(FOREIGN, m);
        assert_eq!((m.cause, m.offending_ie), (Cause::InvalidFteidAllocation, Some(OffendingIe(21))));
    }
    // After our start its own comes back, to it and its very address.
    let mut fresh = World::new();
    let m = fresh.establish(FOREIGN, named(5, LAPTOP, teid, true));
    assert_eq!((m.cause, m.created_pdrs.len()), (Cause::Accepted, 0));
    let restored = |w: &World| w.n4.peers()[0].restoration.restored;
    assert_eq!((restored(&w), restored(&fresh)), (0, 1), "what was refused was not given back");
    let e = fresh.n4.sessions.values().next().unwrap();
    assert_eq!(e.teids().first().map(|t| t.value()), Some(teid));
    assert_eq!(w.delete(FOREIGN, seid), Cause::Accepted);
}

#[test]
fn reports_are_repeated_until_they_are_answered() {
    let mut w = World::new();
    let (seid, _) = w.made(FOREIGN, session(5, LAPTOP));
    w.n4.event(ShardEvent::DownlinkData { seid: Seid(seid), pdr: None }, w.now);
    w.sent.clear();
    w.pump();
    let report = w.requests(56).remove(0);
    assert_eq!(report.seid, Some(0x105));
    for _ in 0..2 {
        w.later(3_000);
        assert_eq!(w.requests(56), std::slice::from_ref(&report));
    }
    // R105: an answer for another session, in another's name, of another kind.
    let yes = |cause| SessionReportResponse { cause, ..Default::default() };
    let stray = Pdu {
        seid: Some(3),
        sequence: report.sequence ^ 1,
        message: yes(Cause::SessionContextNotFound).into(),
    };
    w.raw(FOREIGN, &stray.encode());
    w.raw(Peer::Local, &Pdu { sequence: report.sequence, ..stray.clone() }.encode());
    w.answer(&Pdu { seid: None, ..report.clone() }, HeartbeatResponse::default().into());
    assert_eq!(w.in_shards(), 1);
    w.answer(&report, yes(Cause::Accepted).into());
    w.later(3_000);
    assert!(w.requests(56).is_empty());
    // Whoever made the session does not know it.
    w.n4.event(ShardEvent::DownlinkData { seid: Seid(seid), pdr: None }, w.now);
    w.sent.clear();
    w.pump();
    let report = w.requests(56).remove(0);
    w.answer(&report, yes(Cause::SessionContextNotFound).into());
    assert_eq!(w.in_shards(), 0);
}

#[test]
fn a_quota_ends_what_it_is_for_until_there_is_a_new_one() {
    let mut w = World::new();
    let mut m = session(5, LAPTOP);
    let volume = |n| Some(VolumeQuota { total: Some(n), uplink: None, downlink: None });
    m.create_urrs = vec![CreateUrr {
        urr_id: UrrId(1),
        method: MeasurementMethod(3),
        triggers: ReportingTriggers::of(ReportingTriggers::VOLQU | ReportingTriggers::PERIO),
        period: Some(MeasurementPeriod(60)),
        volume_quota: volume(1_000),
        ..Default::default()
    }];
    m.create_pdrs.iter_mut().for_each(|p| p.urr_ids = vec![UrrId(1)]);
    let (seid, teid) = w.made(FOREIGN, m);
    let open = |w: &World| {
        let e = &w.n4.sessions[&Seid(seid)];
        e.rules.paths(e.identity.ue).uplink.iter().any(|(t, u)| t.value() == teid && u.takes(None))
    };
    let look = |w: &mut World, ms, up, down| {
        w.held = Some(Vec::new());
        w.later(ms);
        w.usage_says(up, down);
        let reports = w.requests(56);
        for r in &reports {
            w.answer(r, SessionReportResponse { cause: Cause::Accepted, ..Default::default() }.into());
        }
        let usage = |p: Pdu| match p.message {
            Message::SessionReportRequest(m) => m.usage_reports[0].0.clone(),
            other => panic!("{other:?}"),
        };
        reports.into_iter().map(usage).collect::<Vec<_>>()
    };
    assert!(look(&mut w, 1_000, 400, 500).is_empty() && open(&w));
    let told = look(&mut w, 1_000, 500, 501);
    assert_eq!((told[0].trigger, told[0].volume.unwrap().total), (UsageReportTrigger::VOLQU, Some(1_001)));
    assert!(!open(&w));
    // It is told once. A new quota counts from there.
    assert!(look(&mut w, 1_000, 500, 501).is_empty());
    let update = UpdateUrr { urr_id: UrrId(1), volume_quota: volume(2_000), ..Default::default() };
    let m = SessionModificationRequest { update_urrs: vec![update], ..Default::default() };
    w.held = Some(Vec::new());
    let request = Pdu { seid: Some(seid), sequence: 5_000, message: m.into() };
    w.raw(FOREIGN, &request.encode());
    w.usage_says(500, 501);
    assert!(open(&w));
    assert!(look(&mut w, 1_000, 1_500, 1_000).is_empty() && open(&w));
    // Every so often, with what came since the last report.
    let told = look(&mut w, 60_000, 1_500, 1_200);
    assert_eq!((told[0].trigger, told[0].volume.unwrap().total), (UsageReportTrigger::PERIO, Some(1_699)));
    assert_eq!((told[0].ur_seqn.0, told[0].duration.is_some()), (1, true));
    let told = look(&mut w, 1_000, 1_500, 1_501);
    assert_eq!((told[0].trigger, open(&w)), (UsageReportTrigger::VOLQU, false));
}
