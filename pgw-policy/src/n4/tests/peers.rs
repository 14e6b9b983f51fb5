//! Control planes and what is theirs: associations, sessions over a restart, SIMs that may have none.

use super::*;

/// Decision D4, and the ban at PFCP.
#[test]
fn a_session_without_an_identified_or_with_a_banned_sim_is_not_made() {
    let mut w = World::new();
    for user_id in
        [None, Some(UserId::default()), Some(UserId { nai: Some(b"me@here".to_vec()), ..Default::default() })]
    {
        let m = w.establish(FOREIGN, SessionEstablishmentRequest { user_id, ..session(5, LAPTOP) });
        assert_eq!((m.cause, m.offending_ie), (Cause::ConditionalIeMissing, Some(OffendingIe(141))));
    }
    w.n4.revoke(imsi(5), true);
    assert_eq!(w.establish(Peer::Local, session(5, LAPTOP)).cause, Cause::Rejected);
    w.n4.revoke(imsi(5), false);
    // The shard knows of a ban that this node does not: what was made is taken back.
    for s in &mut w.shards {
        s.command(ShardCommand::Cut { imsi: imsi(5) }, w.now);
    }
    assert_eq!(w.establish(Peer::Local, session(5, LAPTOP)).cause, Cause::Rejected);
    assert_eq!(w.weight(), (0, 0, 0, 0, 0, 0));
}

#[test]
fn sessions_belong_to_the_peer_that_made_them() {
    let mut w = World::new();
    let (seid, _) = w.made(Peer::Local, session(5, LAPTOP));
    assert_eq!(w.modify(FOREIGN, seid, tunnel_to(1, None)).cause, Cause::SessionContextNotFound);
    assert_eq!(w.delete(FOREIGN, seid), Cause::SessionContextNotFound);
    // R109: the address of a live session, from the same peer for another SIM, from another peer for the same.
    for (peer, n) in [(Peer::Local, 7), (FOREIGN, 7), (FOREIGN, 5)] {
        let m = w.establish(peer, session(n, LAPTOP));
        assert_eq!((m.cause, m.offending_ie), (Cause::RuleFailure, Some(OffendingIe(93))));
    }
    assert_eq!(w.n4.sessions()[0].up_seid, Seid(seid));
    // The same SIM replaces its own.
    let (again, _) = w.made(Peer::Local, session(5, LAPTOP));
    assert_ne!(again, seid);
    assert_eq!((w.in_shards(), w.n4.session_count()), (1, 1));
    assert_eq!(w.delete(Peer::Local, seid), Cause::SessionContextNotFound);
}

#[test]
fn associations_are_for_listed_peers_and_end_with_their_sessions() {
    let mut w = World::bare();
    // Without an association; from nobody we know.
    assert_eq!(w.establish(FOREIGN, session(5, LAPTOP)).cause, Cause::NoAssociation);
    let stranger = Peer::Udp("10.0.0.66".parse().unwrap());
    for m in [association(1, false), HeartbeatRequest::default().into()] {
        assert_eq!(w.ask(stranger, None, m), None);
    }
    w.ask(FOREIGN, None, association(1, false));
    // Another node's name in the same address's session.
    let node_id = NodeId::V4(Ipv4Addr::new(9, 9, 9, 9));
    let m = w.establish(FOREIGN, SessionEstablishmentRequest { node_id, ..session(5, LAPTOP) });
    assert_eq!(m.cause, Cause::NoAssociation);
    w.made(FOREIGN, session(5, LAPTOP));
    // The same again, and a restart that kept its sessions: they stay. A restart that did not: they go.
    for (recovery, retains, left) in [(1, false, 1), (2, true, 1), (3, false, 0)] {
        w.ask(FOREIGN, None, association(recovery, retains));
        assert_eq!(w.in_shards(), left, "{recovery}");
    }
    w.made(FOREIGN, session(5, LAPTOP));
    let release =
        |a: u8| AssociationReleaseRequest { node_id: NodeId::V4([10, 0, 0, a].into()), ..Default::default() };
    for (node, cause, left) in
        [(9, Cause::NoAssociation, 1), (4, Cause::Accepted, 0), (4, Cause::NoAssociation, 0)]
    {
        let answer = w.ask(FOREIGN, None, release(node).into());
        assert!(matches!(answer, Some(Message::AssociationReleaseResponse(m)) if m.cause == cause));
        assert_eq!(w.in_shards(), left);
    }
    assert_eq!(w.weight(), (0, 0, 0, 0, 0, 0));
}

#[test]
fn our_own_control_plane_keeps_its_sessions_over_a_restart() {
    let mut w = World::new();
    let (seid, teid) = w.made(Peer::Local, session(5, LAPTOP));
    w.ask(Peer::Local, None, association(99, true));
    assert_eq!(w.n4.sessions()[0].up_seid, Seid(seid));
    // The gateway restarts: the old TEID is given explicitly, by our own control plane only.
    let mut fresh = World::new();
    let explicit = |n, ue: &str, teid, v4| {
        let mut m = session(n, ue);
        m.create_pdrs[0].pdi.local_f_teid = Some(FTeid::Given { teid, v4, v6: None });
        m
    };
    let m = fresh.establish(FOREIGN, explicit(5, LAPTOP, teid, Some(N3)));
    assert_eq!((m.cause, m.offending_ie), (Cause::InvalidFteidAllocation, Some(OffendingIe(21))));
    let m = fresh.establish(Peer::Local, explicit(5, LAPTOP, teid, Some(GNB)));
    assert_eq!(m.cause, Cause::InvalidFteidAllocation);
    let m = fresh.establish(Peer::Local, explicit(5, LAPTOP, teid, Some(N3)));
    assert_eq!((m.cause, m.created_pdrs.len()), (Cause::Accepted, 0));
    assert_eq!(fresh.n4.sessions()[0].teid.value(), teid);
    // Another session may not have it; the same SIM's next one may.
    assert_eq!(
        fresh.establish(Peer::Local, explicit(7, PLC, teid, Some(N3))).cause,
        Cause::InvalidFteidAllocation
    );
    assert_eq!(fresh.establish(Peer::Local, explicit(5, LAPTOP, teid, Some(N3))).cause, Cause::Accepted);
    assert_eq!((fresh.in_shards(), fresh.n4.session_count()), (1, 1));
}
