//! What else belongs to the classes behind the rows R91 to R113 of docs/hostile.md: each element of what a real SMF says
//! spoilt, storms, replays, what is named twice, what is not there. Each with a session of somebody else beside.

use super::*;
use crate::session::Rules;

const OTHER: Peer = Peer::Udp(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 5)));

/// Two SMFs and our own control plane; a session of the last is the victim.
fn scene() -> (World, Seid) {
    let mut w = World::new();
    w.n4.config.peers.push("10.0.0.5".parse().unwrap());
    w.ask(OTHER, None, association(1, false));
    let (victim, _) = w.made(Peer::Local, session(7, PLC));
    w.modify(Peer::Local, victim, tunnel_to(7, None));
    (w, Seid(victim))
}

fn rules(w: &World, seid: Seid) -> Rules {
    w.n4.sessions[&seid].rules.clone()
}

/// An element of a message: where it begins, how long its value is, and where the groups begin that hold it.
struct Place {
    at: usize,
    len: usize,
    around: Vec<usize>,
}

fn number(octets: &[u8], at: usize) -> usize {
    usize::from(u16::from_be_bytes([octets[at], octets[at + 1]]))
}

fn places(octets: &[u8], mut at: usize, end: usize, around: &[usize], all: &mut Vec<Place>) {
    const GROUPS: [usize; 13] = [1, 2, 3, 4, 6, 7, 9, 10, 11, 12, 14, 77, 85];
    while at < end {
        let len = number(octets, at + 2);
        all.push(Place { at, len, around: around.to_vec() });
        if GROUPS.contains(&number(octets, at)) {
            places(octets, at + 4, at + 4 + len, &[around, &[at]].concat(), all);
        }
        at += 4 + len;
    }
}

fn element(kind: usize, len: usize, value: &[u8]) -> Vec<u8> {
    [&(kind as u16).to_be_bytes()[..], &(len as u16).to_be_bytes(), value].concat()
}

/// The message with other octets in the place of an element; whatever holds it is as long as it is then.
fn with(octets: &[u8], p: &Place, instead: &[u8]) -> Vec<u8> {
    let after = &octets[p.at + 4 + p.len..];
    let mut m = [&octets[..p.at], instead, after].concat();
    let lengths = p.around.iter().map(|a| a + 2).chain([2]);
    for at in lengths {
        let len = number(octets, at) + instead.len() - (4 + p.len);
        m[at..at + 2].copy_from_slice(&(len as u16).to_be_bytes());
    }
    m
}

/// An element spoilt in each way.
fn spoilt(octets: &[u8], p: &Place) -> Vec<Vec<u8>> {
    let (kind, value) = (number(octets, p.at), &octets[p.at + 4..p.at + 4 + p.len]);
    let good = element(kind, p.len, value);
    let mut first = value.to_vec();
    first.iter_mut().take(1).for_each(|b| *b ^= 0xff);
    let deep = (0..1_000).fold(good.clone(), |inner, _| element(kind, inner.len(), &inner));
    [
        Vec::new(),
        [&good[..], &good].concat(),
        element(kind, 0, &[]),
        element(kind, p.len.saturating_sub(1), &value[..p.len.saturating_sub(1)]),
        element(kind, p.len + 1, &[value, &[0]].concat()),
        element(kind, p.len, &vec![0xff; p.len]),
        element(kind, p.len, &vec![0; p.len]),
        element(kind, p.len, &first),
        // Lengths that lie: it ends in what follows, or beyond everything, or before its own end.
        element(kind, p.len + 1, value),
        element(kind, 0xffff, value),
        element(kind, p.len.saturating_sub(1), value),
        // Another vendor's element of this number.
        element(kind | 0x8000, p.len, value),
        deep,
    ]
    .iter()
    .map(|instead| with(octets, p, instead))
    .collect()
}

/// What another core's SMF said to its user plane: the one request of this kind that holds so much.
fn captured(kind: u8, least: usize) -> Vec<u8> {
    let lines =
        [include_str!("../../../../fixtures/pfcp/n4.hex"), include_str!("../../../../fixtures/pfcp/sx.hex")];
    let octet = |l: &str, i: usize| u8::from_str_radix(&l[2 * i..2 * i + 2], 16).unwrap();
    let all = lines.iter().flat_map(|t| t.lines()).filter(|l| !l.starts_with('#') && !l.is_empty());
    let mut all = all.map(|l| (0..l.len() / 2).map(|i| octet(l, i)).collect::<Vec<u8>>());
    all.find(|d| d[1] == kind && d.len() >= least).unwrap()
}

/// Sends it under a number that was not used before.
fn say(w: &mut World, mut octets: Vec<u8>) -> Option<Message> {
    w.sequence += 1;
    octets[12..15].copy_from_slice(&w.sequence.to_be_bytes()[1..]);
    let answer = w.raw(FOREIGN, &octets).map(|a| a.message);
    assert!(w.sent.len() <= 1, "{:?}", w.sent);
    answer
}

#[test]
fn each_element_of_a_true_request_spoilt_in_thirteen_ways_hurts_nobody() {
    let (mut w, victim) = scene();
    // On N4 and on Sxb; the one of Sxb has a BAR, and a tunnel already: of one machine, as it was recorded.
    w.n4.config.n3 = Ipv4Addr::new(127, 0, 0, 7).into();
    assert!(matches!(w.raw(FOREIGN, &captured(5, 0)).unwrap().message, Message::AssociationSetupResponse(_)));
    let (theirs, before) = (rules(&w, victim), w.weight());
    let mut tried = [0; 2];
    for octets in [captured(50, 590), captured(50, 605)] {
        let mut all = Vec::new();
        places(&octets, 16, octets.len(), &[], &mut all);
        for (p, way, m) in
            all.iter().flat_map(|p| spoilt(&octets, p).into_iter().enumerate().map(move |(i, m)| (p, i, m)))
        {
            let Some(Message::SessionEstablishmentResponse(m)) = say(&mut w, m) else {
                panic!("no answer: element {} at {}, way {way}", number(&octets, p.at), p.at)
            };
            tried[usize::from(m.cause.is_accepted())] += 1;
            if let Some(f) = m.up_f_seid {
                assert_eq!((m.cause, w.delete(FOREIGN, f.seid)), (Cause::Accepted, Cause::Accepted));
            }
            assert_eq!(w.weight(), before, "element {} at {}, way {way}", number(&octets, p.at), p.at);
            assert!(rules(&w, victim) == theirs);
        }
    }
    assert!(tried[0] > 500 && tried[1] > 200, "refused, and taken: {tried:?}");

    // The same of a modification: what is refused has changed nothing of the session either.
    let Some(Message::SessionEstablishmentResponse(m)) = say(&mut w, captured(50, 590)) else { panic!() };
    let seid = Seid(m.up_f_seid.unwrap().seid);
    let mut octets = captured(52, 70);
    octets[4..12].copy_from_slice(&seid.0.to_be_bytes());
    let (mut all, mut refused) = (Vec::new(), 0);
    places(&octets, 16, octets.len(), &[], &mut all);
    for m in all.iter().flat_map(|p| spoilt(&octets, p)) {
        let mine = rules(&w, seid);
        let Some(Message::SessionModificationResponse(m)) = say(&mut w, m) else { panic!("no answer") };
        refused += u32::from(!m.cause.is_accepted());
        assert!(m.cause.is_accepted() || rules(&w, seid) == mine);
        assert!(rules(&w, victim) == theirs && w.n4.session_count() == 2 && w.in_shards() == 2);
    }
    assert!(refused > 40, "{refused}");
}

/// R105: answers to a report of ours, spoilt in the same ways.
#[test]
fn each_element_of_an_answer_spoilt_in_thirteen_ways_ends_no_session() {
    let (mut w, victim) = scene();
    let (seid, _) = w.made(FOREIGN, session(5, LAPTOP));
    let both = [rules(&w, victim), rules(&w, Seid(seid))];
    let update_bar = Some(UpdateBarInReport { bar_id: BarId(3), ..Default::default() });
    let whole = SessionReportResponse { cause: Cause::Accepted, update_bar, ..Default::default() };
    let octets = Pdu { seid: Some(seid), sequence: 0, message: whole.into() }.encode();
    let mut all = Vec::new();
    places(&octets, 16, octets.len(), &[], &mut all);
    assert!(all.len() >= 2);
    for mut m in all.iter().flat_map(|p| spoilt(&octets, p)) {
        let report = SessionReportRequest::default().into();
        w.n4.request(FOREIGN, Some(0x105), report, requests::About::Report(Seid(seid)), w.now);
        w.sent.clear();
        w.pump();
        let sequence = w.requests(56)[0].sequence;
        m[12..15].copy_from_slice(&sequence.to_be_bytes()[1..]);
        for _ in 0..2 {
            assert_eq!(w.raw(FOREIGN, &m), None, "an answer gets none");
        }
        assert!([rules(&w, victim), rules(&w, Seid(seid))] == both && w.in_shards() == 2);
    }
    // What none of them answered is given up.
    for _ in 0..4 {
        w.later(3_000);
    }
    assert!(w.requests(56).is_empty());
}

/// R95: heartbeats and requests without an end of one SMF take nothing from another one.
#[test]
fn a_flood_of_one_smf_takes_no_place_of_anothers() {
    let (mut w, _) = scene();
    w.held = Some(vec![]);
    let asked = Pdu { seid: Some(0), sequence: 900, message: session(5, LAPTOP).into() }.encode();
    assert_eq!(w.raw(OTHER, &asked), None, "its answer waits for the shards");
    for n in 0..20_000u32 {
        let beat = HeartbeatRequest { recovery: RecoveryTimeStamp(1), others: Vec::new() };
        let beat = Pdu { seid: None, sequence: n, message: beat.into() };
        let delete = Pdu { seid: Some(9), sequence: n, message: SessionDeletionRequest::default().into() };
        for pdu in [beat, delete] {
            assert!(w.raw(FOREIGN, &pdu.encode()).is_some_and(|a| a.sequence == n));
        }
    }
    assert_eq!(w.n4.answers.weight(FOREIGN).0, answers::KEPT, "heartbeats are not among them");
    assert_eq!((w.raw(OTHER, &asked), w.n4.session_count()), (None, 2), "it is not done twice");
    for (token, shard, command) in w.held.take().unwrap() {
        let reply = w.shards[usize::from(shard.0)].command(command, w.now);
        w.n4.confirmed(token, reply, w.now);
    }
    w.pump();
    let first = w.sent.iter().find(|(p, _)| *p == OTHER).map(|(_, a)| a.clone());
    assert_eq!((w.raw(OTHER, &asked), first.is_some()), (first, true));
    // In the other direction: what it does not answer keeps nobody else from being told, nor itself from being asked.
    let report = |w: &mut World, peer| {
        let m = SessionReportRequest::default().into();
        w.n4.request(peer, Some(1), m, requests::About::Report(Seid(1)), w.now);
    };
    (0..10_000).for_each(|_| report(&mut w, FOREIGN));
    assert_eq!(w.n4.requests[&FOREIGN].len(), requests::MOST);
    w.later(10_000);
    assert_eq!(w.requests(1).len(), 1);
    w.sent.clear();
    report(&mut w, OTHER);
    w.pump();
    assert!(w.sent.iter().any(|(p, _)| *p == OTHER));
    // And all of it is over with its time.
    (0..5).for_each(|_| w.later(3_000));
    assert!(w.n4.requests.values().map(|all| all.len()).sum::<usize>() <= 2);
    w.now = w.now.plus_ms(60_000);
    w.delete(FOREIGN, 9);
    assert_eq!(w.n4.answers.weight(FOREIGN).0, 1);
}

#[test]
fn questions_that_wait_are_bounded_in_octets_for_each_smf() {
    let (mut w, _) = scene();
    let mut large = session(5, LAPTOP);
    large.others = vec![RawIe { kind: 0x7ff0, value: vec![0; 60_000] }];
    let ask = |w: &mut World, peer, m: &SessionEstablishmentRequest, sequence| {
        w.n4.handle(peer, &Pdu { seid: Some(0), sequence, message: m.clone().into() }.encode(), w.now);
    };
    (0..400).for_each(|n| ask(&mut w, FOREIGN, &large, 1_000 + n));
    let wait = w.n4.pending.len();
    assert!(wait > 100 && wait <= crate::n4::foreign::MOST_OCTETS / 60_000, "{wait}");
    ask(&mut w, OTHER, &session(6, "10.20.0.6"), 1);
    assert_eq!(w.n4.pending.len(), wait + 1, "another SMF's is asked all the same");
    let mut refused = 0;
    while let Some(o) = w.n4.poll_output() {
        let N4Output::Send { bytes, .. } = o else { continue };
        let m = Pdu::parse(&bytes).unwrap().message;
        assert!(matches!(m, Message::SessionEstablishmentResponse(m) if m.cause == Cause::NoResources));
        refused += 1;
    }
    assert_eq!(refused, 400 - wait);
    w.later(6_000);
    assert!(w.n4.pending.is_empty() && w.n4.session_count() == 1);
}

/// R91: heartbeats that were overtaken, and clocks that go back. Only a later start is a restart (TS 23.007 §19A).
#[test]
fn a_time_stamp_that_goes_back_is_old_news() {
    let (mut w, _) = scene();
    w.made(FOREIGN, session(5, LAPTOP));
    let told = w.states.clone();
    for old in [0, u32::MAX, 0x8000_0002] {
        assert!(matches!(w.beat(old), Message::HeartbeatResponse(_)));
        assert_eq!((w.in_shards(), &w.states), (2, &told), "{old}");
    }
    // As an answer it is none: the question comes again, and then it is silent.
    w.later(1);
    let beat = w.requests(1).remove(0);
    let old = HeartbeatResponse { recovery: RecoveryTimeStamp(0), others: Vec::new() };
    for _ in 0..3 {
        w.answer(&beat, old.clone().into());
        w.later(3_000);
        assert!(w.requests(1).contains(&beat));
    }
    w.later(3_000);
    assert_eq!((w.n4.peers()[0].state, w.in_shards()), (SmfState::Silent, 2));
    w.beat(2);
    assert_eq!(w.in_shards(), 1, "a later one is a restart");
    // Whoever asks for an association begins anew, whatever its clock says; and 2036 comes.
    for (association_at, later) in [(1, 2), (u32::MAX, 3)] {
        w.ask(FOREIGN, None, association(association_at, false));
        w.made(FOREIGN, session(5, LAPTOP));
        w.ask(FOREIGN, None, association(association_at - 1, false));
        assert_eq!(w.in_shards(), 1);
        w.ask(FOREIGN, None, association(association_at, false));
        w.made(FOREIGN, session(5, LAPTOP));
        w.beat(later);
        assert_eq!(w.in_shards(), 1);
    }
}

/// R95: who listens hears of so many changes in a row, then of the last one.
#[test]
fn associations_in_a_storm_are_told_of_now_and_then() {
    let mut w = World::bare();
    for n in 0..10_000 {
        w.ask(FOREIGN, None, association(n, false));
    }
    assert_eq!(w.states, [SmfState::Up; 8]);
    let release = AssociationReleaseRequest { node_id: NodeId::V4(CP), ..Default::default() };
    w.ask(FOREIGN, None, release.into());
    assert_eq!(w.states.len(), 8);
    let due = w.n4.poll_timeout().unwrap();
    assert!(due > w.now.mono && due <= w.now.mono.plus_ms(1_000));
    w.later(1_000);
    assert_eq!(w.states[8..], [SmfState::Released]);
    assert_eq!(w.n4.peers()[0].restoration.restarts, 9_999);
    // One that says the same again is no news.
    w.later(20_000);
    for _ in 0..100 {
        w.ask(FOREIGN, None, association(77, false));
    }
    assert_eq!(w.states[9..], [SmfState::Up]);
}

#[test]
fn an_end_of_a_session_that_is_none_is_refused_and_one_that_is_used_twice_confuses_nobody() {
    let (mut w, _) = scene();
    let before = w.weight();
    for peer in [FOREIGN, Peer::Local, OTHER] {
        let mut m = session(5, LAPTOP);
        m.cp_f_seid.seid = 0;
        let m = w.establish(peer, m);
        assert_eq!((m.cause, m.offending_ie), (Cause::MandatoryIeIncorrect, Some(OffendingIe(57))));
    }
    assert_eq!(w.weight(), before);
    let same = |n, ue: &str| {
        let mut m = session(n, ue);
        m.cp_f_seid.seid = 0xabc;
        m
    };
    let made: Vec<u64> = [(FOREIGN, 1), (FOREIGN, 2), (OTHER, 3)]
        .map(|(peer, n)| w.made(peer, same(n, &format!("10.20.0.{n}"))).0)
        .into();
    let none = FSeid { seid: 0, v4: Some(CP), v6: None };
    let m = SessionModificationRequest { cp_f_seid: Some(none), ..tunnel_to(0x77, None) };
    let rules_before = rules(&w, Seid(made[0]));
    assert_eq!(w.modify(FOREIGN, made[0], m).cause, Cause::MandatoryIeIncorrect);
    assert!(rules(&w, Seid(made[0])) == rules_before && w.n4.sessions[&Seid(made[0])].cp.seid == 0xabc);
    assert_eq!(w.delete(FOREIGN, made[0]), Cause::Accepted);
    assert_eq!(
        (w.delete(FOREIGN, made[2]), w.delete(OTHER, made[1])),
        (Cause::SessionContextNotFound, Cause::SessionContextNotFound)
    );
    assert_eq!((w.delete(FOREIGN, made[1]), w.delete(OTHER, made[2])), (Cause::Accepted, Cause::Accepted));
    assert_eq!(w.weight(), before);
}

fn only(change: impl FnOnce(&mut SessionModificationRequest)) -> SessionModificationRequest {
    let mut m = SessionModificationRequest::default();
    change(&mut m);
    m
}

#[test]
fn rules_that_are_named_twice_are_refused_or_count_once() {
    let (mut w, _) = scene();
    let (seid, teid) = w.made(FOREIGN, session(5, LAPTOP));
    let (before, mine) = (w.weight(), rules(&w, Seid(seid)));
    let pdr = |id| CreatePdr { pdr_id: PdrId(id), ..session(5, LAPTOP).create_pdrs.remove(1) };
    let far = |id| CreateFar { far_id: FarId(id), ..Default::default() };
    let gone = || RemovePdr { pdr_id: PdrId(2), ..Default::default() };
    let no_bar = RemoveBar { bar_id: BarId(1), others: Vec::new() };
    for (i, m) in [
        only(|m| m.remove_pdrs = vec![gone(), gone()]),
        only(|m| m.create_pdrs = vec![pdr(9), pdr(9)]),
        only(|m| m.create_pdrs = vec![pdr(2)]),
        only(|m| m.create_fars = vec![far(9), far(9)]),
        only(|m| m.create_qers = vec![CreateQer { qer_id: QerId(1), ..Default::default() }]),
        only(|m| m.create_urrs = vec![CreateUrr::default(); 2]),
        only(|m| {
            m.remove_pdrs = vec![gone()];
            m.update_pdrs = vec![UpdatePdr { pdr_id: PdrId(2), ..Default::default() }];
        }),
        only(|m| m.remove_fars = vec![RemoveFar { far_id: FarId(2), ..Default::default() }]),
        only(|m| m.remove_pdrs = vec![RemovePdr { pdr_id: PdrId(9), ..Default::default() }; 6_000]),
        only(|m| m.remove_urrs = vec![RemoveUrr { urr_id: UrrId(9), ..Default::default() }]),
        only(|m| m.remove_qers = vec![RemoveQer { qer_id: QerId(9), ..Default::default() }]),
        only(|m| m.query_urrs = vec![QueryUrr { urr_id: UrrId(9), others: Vec::new() }; 5_000]),
        only(|m| m.remove_bar = Some(no_bar.clone())),
        only(|m| m.update_urrs = vec![UpdateUrr { urr_id: UrrId(9), ..Default::default() }]),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(w.modify(FOREIGN, seid, m).cause, Cause::RuleFailure, "{i}");
        assert!(rules(&w, Seid(seid)) == mine && w.weight() == before, "{i}");
    }
    // So many that no session has them.
    let many = only(|m| m.create_fars = (100..3_000).map(far).collect());
    assert_eq!(w.modify(FOREIGN, seid, many).cause, Cause::NoResources);
    let all = (1..8_000).map(QerId).collect();
    let many =
        only(|m| m.update_pdrs = vec![UpdatePdr { pdr_id: PdrId(1), qer_ids: all, ..Default::default() }]);
    assert_eq!(w.modify(FOREIGN, seid, many).cause, Cause::NoResources);
    assert!(rules(&w, Seid(seid)) == mine);
    // A QER that a PDR names 8 000 times is named; of two changes of a FAR the last one holds.
    let again = vec![QerId(1); 8_000];
    let m =
        only(|m| m.update_pdrs = vec![UpdatePdr { pdr_id: PdrId(1), qer_ids: again, ..Default::default() }]);
    assert_eq!(w.modify(FOREIGN, seid, m).cause, Cause::Accepted);
    assert!(rules(&w, Seid(seid)) == mine);
    let mut twice = tunnel_to(0x77, None);
    twice.update_fars.extend(tunnel_to(0x78, None).update_fars);
    assert_eq!(w.modify(FOREIGN, seid, twice).cause, Cause::Accepted);
    assert_eq!(rules(&w, Seid(seid)).fars[&2].tunnel.unwrap().teid.value(), 0x78);
    // A rule that goes and comes in one request is another one, with another endpoint.
    let fresh = session(5, LAPTOP).create_pdrs.remove(0);
    let m = only(|m| {
        m.remove_pdrs = vec![RemovePdr { pdr_id: PdrId(1), ..Default::default() }];
        m.create_pdrs = vec![fresh];
    });
    let m = w.modify(FOREIGN, seid, m);
    let Some(FTeid::Given { teid: new, .. }) = m.created_pdrs[0].local_f_teid else { panic!("{m:?}") };
    assert!(m.cause.is_accepted() && new != teid);
    assert_eq!(w.delete(FOREIGN, seid), Cause::Accepted);
}

#[test]
fn what_is_not_there_or_somebody_elses_is_neither_changed_nor_deleted() {
    let (mut w, victim) = scene();
    let (seid, _) = w.made(FOREIGN, session(5, LAPTOP));
    let (before, theirs) = (w.weight(), rules(&w, victim));
    for (peer, seid) in [
        (FOREIGN, 0),
        (FOREIGN, u64::MAX),
        (FOREIGN, seid ^ 1),
        (FOREIGN, seid ^ (1 << 63)),
        (FOREIGN, victim.0),
        (OTHER, seid),
        (OTHER, victim.0),
        (Peer::Local, seid),
        // The control plane's own end is not ours.
        (FOREIGN, 0x105),
    ] {
        assert_eq!(w.modify(peer, seid, tunnel_to(9, None)).cause, Cause::SessionContextNotFound);
        assert_eq!(w.modify(peer, seid, only(|_| ())).cause, Cause::SessionContextNotFound);
        assert_eq!(w.delete(peer, seid), Cause::SessionContextNotFound);
        assert!(w.weight() == before && rules(&w, victim) == theirs);
    }
    assert_eq!(w.delete(FOREIGN, seid), Cause::Accepted);
    assert_eq!(w.delete(FOREIGN, seid), Cause::SessionContextNotFound);
}

/// A listed SMF cannot have a UE's packets sent to where no user plane of its is.
#[test]
fn packets_for_a_ue_are_sent_to_listed_user_planes_alone() {
    let (mut w, _) = scene();
    w.n4.config.radios = vec!["172.16.0.0/28".parse().unwrap()];
    let (seid, _) = w.made(FOREIGN, session(5, LAPTOP));
    assert_eq!(w.modify(FOREIGN, seid, tunnel_to(0x77, None)).cause, Cause::Accepted);
    let (before, mine) = (w.weight(), rules(&w, Seid(seid)));
    for elsewhere in ["8.8.8.8", "172.16.0.16", "10.0.0.4", "192.168.1.10"] {
        let to: Ipv4Addr = elsewhere.parse().unwrap();
        let mut m = tunnel_to(0x78, None);
        let forwarding = m.update_fars[0].forwarding_parameters.as_mut().unwrap();
        forwarding.outer_header_creation = Some(OuterHeaderCreation::gtpu_v4(0x78, to));
        let m = w.modify(FOREIGN, seid, m);
        assert_eq!((m.cause, m.offending_ie), (Cause::RuleFailure, Some(OffendingIe(84))));
        let mut m = session(6, "10.20.0.6");
        outer(&mut m, OuterHeaderCreation::gtpu_v4(0x79, to));
        let m = w.establish(FOREIGN, m);
        assert_eq!((m.cause, m.offending_ie), (Cause::RuleFailure, Some(OffendingIe(84))));
        assert!(w.weight() == before && rules(&w, Seid(seid)) == mine);
    }
}

#[test]
fn choose_ids_hold_within_a_request_and_no_endpoint_is_given_twice() {
    let (mut w, _) = scene();
    let uplink = |pdr, id| {
        let mut p = session(5, LAPTOP).create_pdrs.remove(0);
        p.pdr_id = PdrId(pdr);
        p.pdi.local_f_teid = Some(FTeid::Choose { v4: true, v6: false, choose_id: id });
        p
    };
    let given = |all: &[CreatedPdr]| -> Vec<u32> {
        let one = |c: &CreatedPdr| match c.local_f_teid {
            Some(FTeid::Given { teid, .. }) => teid,
            _ => panic!("{c:?}"),
        };
        all.iter().map(one).collect()
    };
    let mut m = session(5, LAPTOP);
    m.create_pdrs.extend(
        (0..28).flat_map(|i| [uplink(100 + 2 * i, Some(i as u8)), uplink(101 + 2 * i, Some(i as u8))]),
    );
    m.create_pdrs.push(uplink(200, None));
    let m = w.establish(FOREIGN, m);
    let teids = given(&m.created_pdrs);
    let different: BTreeSet<u32> = teids.iter().copied().collect();
    assert_eq!((teids.len(), different.len()), (58, 30));
    let seid = m.up_f_seid.unwrap().seid;
    // The same number in the next request is another endpoint; in place of one that is there, too.
    let more = w.modify(FOREIGN, seid, only(|m| m.create_pdrs = vec![uplink(300, Some(0))]));
    assert!(!different.contains(&given(&more.created_pdrs)[0]));
    let pdi = Some(uplink(1, Some(0)).pdi);
    let change = vec![UpdatePdr { pdr_id: PdrId(1), pdi, ..Default::default() }; 2];
    let more = w.modify(FOREIGN, seid, only(|m| m.update_pdrs = change));
    assert_eq!(more.created_pdrs.len(), 1);
    assert!(!different.contains(&given(&more.created_pdrs)[0]));
    // Of an address that we do not have, and one that is named without a right.
    for f_teid in [
        FTeid::Choose { v4: false, v6: true, choose_id: Some(0) },
        FTeid::at(teids[0], N3.into()),
        FTeid::at(teids[0] ^ 1, N3.into()),
        FTeid::at(0, N3.into()),
        FTeid::at(teids[0], GNB.into()),
    ] {
        let mut p = uplink(400, None);
        p.pdi.local_f_teid = Some(f_teid);
        let m = w.modify(FOREIGN, seid, only(|m| m.create_pdrs = vec![p]));
        assert_eq!(
            (m.cause, m.offending_ie),
            (Cause::InvalidFteidAllocation, Some(OffendingIe(21))),
            "{f_teid:?}"
        );
    }
    assert_eq!(w.delete(FOREIGN, seid), Cause::Accepted);
}

#[test]
fn names_of_nodes_are_octets_that_are_the_same_or_not() {
    let mut w = World::bare();
    let named = |name: &[u8]| NodeId::Fqdn(name.to_vec());
    let associate = |node_id| AssociationSetupRequest { node_id, ..Default::default() };
    // Nothing, too much, and kinds of names that are none.
    for node in [
        vec![2],
        [&[2][..], &[7; 256]].concat(),
        vec![3, 1, 1, 1, 1],
        vec![15],
        vec![0, 1, 2, 3],
        vec![1; 16],
        vec![],
    ] {
        let body = [element(60, node.len(), &node), element(96, 4, &[1; 4])].concat();
        let octets = [element(0x2005, body.len() + 4, &[0, 0, 9, 0]), body].concat();
        let m = w.raw(FOREIGN, &octets).unwrap().message;
        assert!(matches!(m, Message::AssociationSetupResponse(m) if !m.cause.is_accepted()), "{node:?}");
        assert!(w.n4.associations.is_empty());
    }
    // A label that is longer than the name, one that points back, one that is no text: names as any.
    for name in [&[200, b'a'][..], &[0xc0, 0], &[3, 0xff, 0, 0xfe], b"\x01a"] {
        w.ask(FOREIGN, None, associate(named(name)).into());
        let as_whom = |node_id| SessionEstablishmentRequest { node_id, ..session(5, LAPTOP) };
        assert_eq!(w.establish(FOREIGN, as_whom(named(b"\x01b"))).cause, Cause::NoAssociation);
        assert_eq!(w.establish(FOREIGN, as_whom(NodeId::V4(CP))).cause, Cause::NoAssociation);
        w.made(FOREIGN, as_whom(named(name)));
    }
    // Another name from the same address is the same SMF: its sessions stay, and are the new name's to steer.
    let (live, _) =
        w.made(FOREIGN, SessionEstablishmentRequest { node_id: named(b"\x01a"), ..session(5, LAPTOP) });
    w.ask(FOREIGN, None, associate(NodeId::V4(CP)).into());
    assert_eq!((w.n4.associations.len(), w.in_shards()), (1, 1));
    let release = AssociationReleaseRequest { node_id: named(b"\x01a"), ..Default::default() };
    w.ask(FOREIGN, None, release.into());
    assert_eq!((w.n4.associations.len(), w.delete(FOREIGN, live)), (1, Cause::Accepted));
}

#[test]
fn numbers_of_requests_may_come_again_begin_anew_and_be_any() {
    let (mut w, _) = scene();
    let pdu = |seid, sequence, message: Message| Pdu { seid: Some(seid), sequence, message }.encode();
    let mut last = None;
    for sequence in [0, 0xff_ffff, 1, 0] {
        // The same number with other octets is another request; with the same ones it is that one.
        let ue = format!("10.20.0.{}", 40 + w.n4.session_count());
        let octets = pdu(0, sequence, session(5, &ue).into());
        let first = w.raw(FOREIGN, &octets).unwrap();
        assert_eq!(first.sequence, sequence);
        for _ in 0..3 {
            assert_eq!(w.raw(FOREIGN, &octets).as_ref(), Some(&first));
        }
        let Message::SessionEstablishmentResponse(m) = first.message else { panic!() };
        last = m.up_f_seid;
    }
    assert_eq!(w.n4.session_count(), 5);
    // A deletion that comes again long after it was answered deletes nothing.
    let octets = pdu(last.unwrap().seid, 7, SessionDeletionRequest::default().into());
    let first = w.raw(FOREIGN, &octets);
    assert_eq!(w.raw(FOREIGN, &octets), first);
    w.now = w.now.plus_ms(31_000);
    let late = w.raw(FOREIGN, &octets).unwrap();
    assert!(
        matches!(late.message, Message::SessionDeletionResponse(m) if m.cause == Cause::SessionContextNotFound)
    );
    // The same request from another port is another one: its answer goes there.
    w.sent.clear();
    w.n4.handle_from(FOREIGN, 9_999, &octets, w.now);
    assert!(matches!(w.n4.poll_output(), Some(N4Output::Send { port: 9_999, .. })));
    assert_eq!(w.n4.session_count(), 4);
}

/// R105, R113 and all other kinds: what nobody asked for, and what nobody knows, is left alone.
#[test]
fn answers_that_nobody_asked_for_and_kinds_that_nobody_knows_get_silence() {
    let (mut w, victim) = scene();
    let (before, theirs, kept) = (w.weight(), rules(&w, victim), w.n4.answers.weight(FOREIGN));
    let bodies = [
        Vec::new(),
        element(19, 1, &[1]),
        [element(60, 5, &[0, 10, 0, 0, 4]), element(19, 1, &[65])].concat(),
        [element(19, 1, &[64]), element(96, 4, &[9; 4])].concat(),
        element(96, 4, &[0; 4]),
    ];
    let requests = [1, 5, 9, 50, 52, 54];
    for kind in (0..=255u8).filter(|k| !requests.contains(k)) {
        for (body, seid) in bodies.iter().flat_map(|b| [victim.0, 0, 0x107].map(|s| (b, s))) {
            for s_flag in [true, false] {
                let seid = if s_flag { seid.to_be_bytes().to_vec() } else { Vec::new() };
                let rest = [&seid[..], &[0, 0, 1, 0], body].concat();
                let head = [0x20 | u8::from(s_flag), kind];
                let octets = [&head[..], &(rest.len() as u16).to_be_bytes(), &rest].concat();
                for peer in [FOREIGN, Peer::Local] {
                    assert_eq!(w.raw(peer, &octets), None, "{kind}");
                }
            }
        }
    }
    assert!(w.weight() == before && rules(&w, victim) == theirs);
    assert_eq!(w.n4.answers.weight(FOREIGN), kept, "nothing is kept of it");
    assert_eq!(w.n4.associations.len(), 3);
    // A request whose S flag is a lie is none.
    for (kind, s_flag) in requests.map(|k| (k, k < 50)) {
        let rest = vec![0; if s_flag { 12 } else { 4 }];
        let octets = [&[0x20 | u8::from(s_flag), kind, 0, rest.len() as u8][..], &rest].concat();
        assert_eq!(w.raw(FOREIGN, &octets), None);
    }
}
