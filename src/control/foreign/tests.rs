//! Another core's SMF before the real loop's parts: who gets a session, with which address, and until when.

use crate::control::gx::tests::Line as Gx;
use crate::control::s6a::tests::Line;
use crate::control::site::{SMF, Site, asker, imsi};
use crate::control::talk::{ban, settled, tshark_reads, waits};
use admin_web::{BanRequest, PendingCode, Receipt, ScopeKind, SessionKey};
use lab::mme::{Manners, News, Order};
use lab::smf;
use lab::smf::pfcp::{Core, Wish};
use std::net::{IpAddr, Ipv4Addr};
use store::LeaseFilter;
use tokio::sync::mpsc;
use types::*;
use wire::diameter::{CancellationType, result};
use wire::pfcp::{Cause, Message, SessionDeletionRequest};

const CANCEL_LOCATION: u32 = 317;
const RE_AUTH: u32 = 258;

fn wish(n: usize, ip: Option<Ipv4Addr>) -> Wish {
    Wish {
        core: Core::Epc,
        imsi: Some(imsi(n)),
        dnn: "corp".parse().expect("a name"),
        ip,
        ip6: None,
        radio: Some((Ipv4Addr::new(192, 0, 2, 9), 0x77 + n as u32)),
        restores: None,
        threshold: None,
        seid: 0xf00 + n as u64,
    }
}

/// What the SMF is told: the cause, and what was refused.
async fn asks(w: &mut Site, wish: &Wish) -> (Cause, Option<u64>) {
    let request = lab::smf::pfcp::establishment(SMF, Ipv4Addr::new(192, 0, 2, 1), wish);
    w.smf_says(Some(0), request.into());
    w.rest().await;
    match w.smf_hears().expect("an answer") {
        Message::SessionEstablishmentResponse(m) => (m.cause, m.up_f_seid.map(|f| f.seid)),
        other => panic!("{other:?}"),
    }
}

async fn refused(w: &mut Site, wish: &Wish, cause: Cause, why: ForeignRefusal) {
    assert_eq!(asks(w, wish).await.0, cause, "{why:?}");
    let n = if wish.imsi == Some(imsi(2)) { 2 } else { 1 };
    w.happened(n, |h| matches!(h, Happening::ForeignRefused { why: w, .. } if *w == why)).await;
}

/// Who has, or had, this address: SIM, who gave it, whether that has ended. Newest first.
async fn owners(w: &Site, ip: IpAddr) -> Vec<(Imsi, Option<String>, bool)> {
    let filter = LeaseFilter { ip: Some(ip), ..LeaseFilter::default() };
    let page = w.control.store.leases(&filter, None, 10).await.expect("read");
    page.items.into_iter().map(|l| (l.imsi, l.smf, l.end.is_some())).collect()
}

fn live(w: &Site) -> Vec<ForeignSession> {
    w.control.foreign.sessions().cloned().collect()
}

async fn leased(w: &Site, n: usize) -> Ipv4Addr {
    let all = w.control.store.open_leases().await.expect("leases");
    all.iter().find(|l| l.imsi == imsi(n)).expect("a lease").ip
}

#[tokio::test]
async fn a_foreign_smf_gets_sessions_of_sims_that_live_are_attached_and_have_that_address() {
    let mut w = Site::new().await;
    w.smf_associates().await;
    // Nobody knows it; nobody serves it.
    assert_eq!(asks(&mut w, &wish(77, None)).await.0, Cause::Rejected);
    w.seen(|h| matches!(h, Happening::ForeignRefused { smf, why: ForeignRefusal::UnknownSim, .. } if smf == "core-smf")).await;
    refused(&mut w, &wish(1, None), Cause::Rejected, ForeignRefusal::NotAttached).await;
    let mut mme = Line::up(&mut w, "mme1.example", 7, Manners::Yes).await;
    mme.attach(&mut w, 1).await;
    let ip = leased(&w, 1).await;
    // Attached, and no session at Gx; a session with another address there.
    refused(&mut w, &wish(1, Some(ip)), Cause::Rejected, ForeignRefusal::NotAttached).await;
    let mut gx = begun(&mut w, ip).await;
    // Another address than its lease, another data network.
    let other = Ipv4Addr::from_bits(ip.to_bits() + 1);
    refused(&mut w, &wish(1, Some(other)), Cause::Rejected, ForeignRefusal::NotAttached).await;
    let elsewhere = Wish { dnn: "ims".parse().expect("a name"), ..wish(1, Some(ip)) };
    refused(&mut w, &elsewhere, Cause::Rejected, ForeignRefusal::NotAttached).await;
    // Its own, named or left to us.
    for named in [Some(ip), None] {
        let (cause, seid) = asks(&mut w, &wish(1, named)).await;
        assert_eq!(cause, Cause::Accepted);
        let [s] = &live(&w)[..] else { panic!("not one session") };
        assert_eq!((s.imsi, s.ip.0, Some(s.up_seid.0)), (imsi(1), ip, seid));
    }
    w.happened(1, |h| matches!(h, Happening::ForeignUp { ip: up, .. } if up.0 == ip)).await;
    w.control.sweep_round();
    w.rest().await;
    assert_eq!(live(&w).len(), 1, "what may live is left alone");

    // The MME has forgotten the SIM: its session ends in the gateway, whatever the SMF says.
    mme.ask(&mut w, Order::Purge(imsi(1))).await;
    w.control.sweep_round();
    w.rest().await;
    assert!(live(&w).is_empty());
    w.happened(1, |h| matches!(h, Happening::ForeignDown { .. })).await;
    refused(&mut w, &wish(1, Some(ip)), Cause::Rejected, ForeignRefusal::NotAttached).await;

    // It comes back, and the session ends at Gx.
    mme.attach(&mut w, 1).await;
    assert_eq!(asks(&mut w, &wish(1, Some(ip))).await.0, Cause::Accepted);
    gx.ask(&mut w, smf::Order::End(1)).await;
    w.control.sweep_round();
    w.rest().await;
    assert!(live(&w).is_empty());
}

/// The SMF has told of SIM 1's session by Gx.
async fn begun(w: &mut Site, ip: Ipv4Addr) -> Gx {
    let mut gx = Gx::up(w, "smf1.example", 7, smf::Manners::Yes).await;
    assert_eq!(gx.begins(w, 1, ip).await, 2001);
    gx
}

#[tokio::test]
async fn a_banned_sim_gets_no_foreign_session_and_its_old_one_waits_for_its_smf() {
    let mut w = Site::new().await;
    w.smf_associates().await;
    let mut mme = Line::up(&mut w, "mme1.example", 7, Manners::Yes).await;
    mme.attach(&mut w, 1).await;
    let ip = leased(&w, 1).await;
    let _gx = begun(&mut w, ip).await;
    let (_, seid) = asks(&mut w, &wish(1, None)).await;
    // It stands among the sessions, and in what a ban would end.
    let all = w.control.session_views();
    let [s] = &all[..] else { panic!("not one session: {all:?}") };
    assert_eq!((s.imsi, s.key, s.ip.0), (imsi(1), SessionKey::Foreign(Seid(seid.expect("a SEID"))), ip));
    assert_eq!((s.smf.as_deref(), s.connected, s.banned), (Some("core-smf"), true, false));
    assert_eq!(s.rates, live(&w)[0].rates);
    let would = w.ask(|c, tx| c.affected(ScopeKind::Sim, imsi(1).to_string(), tx)).await.expect("covered");
    assert_eq!(would.iter().map(|a| a.sessions.clone()).collect::<Vec<_>>(), [all]);
    let ban = BanRequest { imsi: imsi(1), state: SimState::Stolen, asker: asker("soc", "r-1") };
    let r = w.ask(|c, tx| c.ban(ban, tx)).await.expect("banned");
    let [ends] = &r.sessions[..] else { panic!("not one session: {r:?}") };
    assert_eq!(
        (ends.id, ends.smf.as_deref(), ends.ip, ends.released),
        (None, Some("core-smf"), Some(ip), None)
    );
    assert_eq!(ends.seid, seid.map(|s| Seid(s).to_string()));
    assert!(r.pending.iter().any(|p| p.code == PendingCode::SessionRelease) && r.cut.shards == r.cut.of);
    assert!(w.control.session_views()[0].banned);
    assert_eq!(asks(&mut w, &wish(1, None)).await.0, Cause::Rejected);
    w.control.sweep_round();
    w.rest().await;
    assert_eq!(live(&w).len(), 1);
    let of_smf = |r: &Receipt| r.pending.iter().any(|p| p.code == PendingCode::SmfNotEffective);
    assert!(of_smf(&w.receipt(1).await), "it has not let go");
    w.smf_says(seid, SessionDeletionRequest::default().into());
    w.rest().await;
    assert!(live(&w).is_empty());
    // That is what we see of it, whether a CCR-T comes or not.
    let r = settled(&mut w, 1, |r| !of_smf(r) && r.sessions[0].released.is_some()).await;
    assert!(!r.pending.iter().any(|p| p.code == PendingCode::SessionRelease));
}

#[tokio::test]
async fn a_gateway_that_comes_back_without_a_banned_sims_session_has_ended_it() {
    let mut w = Site::new().await;
    w.smf_associates().await;
    let mut mme = Line::up(&mut w, "mme1.example", 7, Manners::Yes).await;
    for n in [1, 2] {
        mme.attach(&mut w, n).await;
    }
    let ip = leased(&w, 1).await;
    let _gx = begun(&mut w, ip).await;
    asks(&mut w, &wish(1, None)).await;
    let ban = BanRequest { imsi: imsi(1), state: SimState::Lost, asker: asker("soc", "r-1") };
    w.ask(|c, tx| c.ban(ban, tx)).await.expect("banned");
    let waits = |r: &Receipt| r.pending.iter().any(|p| p.code == PendingCode::SessionRelease);
    assert!(waits(&w.receipt(1).await));
    w.control.foreign_found(&live(&w).iter().map(|s| s.up_seid).collect());
    assert!(waits(&w.receipt(1).await), "it is there");
    w.control.foreign_found(&std::collections::BTreeSet::new());
    settled(&mut w, 1, |r| !waits(r) && r.sessions[0].released.is_some()).await;
}

#[tokio::test]
async fn an_address_of_the_smfs_own_range_is_its_own_choice() {
    let mut w = Site::new().await;
    w.smf_associates().await;
    let mut mme = Line::up(&mut w, "mme1.example", 7, Manners::Yes).await;
    mme.attach(&mut w, 1).await;
    let theirs = Ipv4Addr::new(10, 45, 0, 7);
    let mut gx = Gx::up(&mut w, "smf2.example", 7, smf::Manners::Yes).await;
    assert_eq!(gx.begins(&mut w, 1, theirs).await, 2001);
    assert_eq!(asks(&mut w, &wish(1, Some(theirs))).await.0, Cause::Accepted);
    assert_eq!(live(&w)[0].ip.0, theirs);
    assert_eq!(live(&w)[0].prefix, None);
    // A prefix of its own range is, too; another one is left out.
    for (six, prefix) in
        [("2001:db8:45:7::2", Some("2001:db8:45:7::/64")), ("2001:db8:46:7::2", None), ("fd00:20::2", None)]
    {
        let named = Wish { ip6: Some(six.parse().expect("an address")), ..wish(1, Some(theirs)) };
        assert_eq!(asks(&mut w, &named).await.0, Cause::Accepted);
        let [s] = &live(&w)[..] else { panic!("not one session") };
        assert_eq!(s.prefix, prefix.map(|p| p.parse().expect("a prefix")), "{six}");
    }
    // "Who had this address then" has an answer, and the prefix is its own line.
    let lines = owners(&w, theirs.into()).await;
    assert_eq!(lines, [(imsi(1), Some("core-smf".to_owned()), false)]);
    let six = owners(&w, "2001:db8:45:7::99".parse().expect("an address")).await;
    assert_eq!(six[0], (imsi(1), Some("core-smf".to_owned()), false));
    // An operator ends it: once, and not in another SIM's name.
    let seid = live(&w)[0].up_seid;
    assert!(w.control.end_foreign(imsi(2), seid).is_err());
    assert!(w.control.end_foreign(imsi(1), seid).is_ok());
    w.rest().await;
    assert!(live(&w).is_empty() && w.control.end_foreign(imsi(1), seid).is_err());
    // It has ended, which is written in a round of the reconciler.
    w.control.sweep_round();
    for _ in 0..1_000 {
        w.rest().await;
        if owners(&w, theirs.into()).await[0].2 {
            break;
        }
    }
    assert!(owners(&w, theirs.into()).await[0].2, "the line has an end");
    // An address of our pool is not theirs to give, whatever was said at Gx.
    let ours = leased(&w, 1).await;
    refused(
        &mut w,
        &wish(1, Some(Ipv4Addr::from_bits(ours.to_bits() + 1))),
        Cause::Rejected,
        ForeignRefusal::NotAttached,
    )
    .await;
}

/// What the SMF says of a session that lives, and the cause of the answer.
async fn says(w: &mut Site, seid: Option<u64>, message: Message) -> Cause {
    w.smf_says(seid, message);
    w.rest().await;
    match w.smf_hears().expect("an answer") {
        Message::SessionModificationResponse(m) => m.cause,
        Message::SessionDeletionResponse(m) => m.cause,
        other => panic!("{other:?}"),
    }
}

/// As Open5GS does it: an active UE is detached; an idle one whose paging goes unanswered stays, and everything is
/// acknowledged. Then it comes back by a Service Request, and by an attach with its GUTI.
#[tokio::test]
async fn a_ban_is_true_whether_the_ue_is_active_or_idle_and_its_paging_goes_unanswered() {
    let mut w = Site::new().await;
    w.smf_associates().await;
    let (tap, mut heard) = mpsc::unbounded_channel();
    let mut mme = Line::tapped(&w, "mme1.example", 7, Manners::Yes, tap.clone()).await;
    assert_eq!(mme.next(&mut w).await, News::Up(result::SUCCESS));
    let mut gx = Gx::tapped(&w, "smf1.example", 7, smf::Manners::Yes, tap).await;
    assert_eq!(gx.next(&mut w).await, smf::News::Up(result::SUCCESS));
    let (mut ips, mut seids) = (Vec::new(), Vec::new());
    for n in [1, 2] {
        mme.attach(&mut w, n).await;
        ips.push(leased(&w, n).await);
        assert_eq!(gx.begins(&mut w, n, ips[n - 1]).await, result::SUCCESS);
        let (cause, seid) = asks(&mut w, &wish(n, Some(ips[n - 1]))).await;
        assert_eq!(cause, Cause::Accepted);
        seids.push(seid);
    }
    let withdrawn = CancellationType::SubscriptionWithdrawal;
    let both = |r: &Receipt| waits(r).into_iter().map(|(code, _)| code).collect::<Vec<_>>();
    let gone = |r: &Receipt| both(r).is_empty() && r.sessions.iter().all(|s| s.released.is_some());

    // Active: both are told by their own protocols, and let go.
    let r = ban(&mut w, 1, "req-1").await;
    assert_eq!((both(&r).len(), r.sessions.len(), r.cut.shards), (4, 1, r.cut.of));
    assert_eq!(mme.next(&mut w).await, News::Cancelled(imsi(1), withdrawn));
    assert_eq!(gx.next(&mut w).await, smf::News::Released(1, Some(1)));
    mme.ask(&mut w, Order::Purge(imsi(1))).await;
    gx.ask(&mut w, smf::Order::End(1)).await;
    assert_eq!(says(&mut w, seids[0], SessionDeletionRequest::default().into()).await, Cause::Accepted);
    settled(&mut w, 1, gone).await;

    // Idle: both say yes, and nothing follows.
    assert_eq!(says(&mut w, seids[1], smf::pfcp::idle().into()).await, Cause::Accepted);
    assert!(!live(&w)[0].connected);
    ban(&mut w, 2, "req-2").await;
    assert_eq!(mme.next(&mut w).await, News::Cancelled(imsi(2), withdrawn));
    assert_eq!(gx.next(&mut w).await, smf::News::Released(2, Some(1)));
    let stays = [PendingCode::MmeNotEffective, PendingCode::SmfNotEffective];
    let r = settled(&mut w, 2, |r| both(r) == stays).await;
    assert!(r.sessions[0].released.is_none());
    // Service Request: its tunnel is not opened.
    let radio = smf::pfcp::to_radio(Ipv4Addr::new(192, 0, 2, 9), 0x99);
    assert_eq!(says(&mut w, seids[1], radio.into()).await, Cause::Rejected);
    assert!(!live(&w)[0].connected && w.control.session_views()[0].banned);
    // Attach by its GUTI: no vector, and it is told once more; the old session goes, and there is no new one.
    assert_eq!(mme.ask(&mut w, Order::Authenticate(imsi(2))).await, News::Cancelled(imsi(2), withdrawn));
    assert_eq!(mme.next(&mut w).await, News::Refused(imsi(2), result::USER_UNKNOWN));
    assert_eq!(both(&w.receipt(2).await), stays);
    gx.ask(&mut w, smf::Order::End(2)).await;
    assert_eq!(says(&mut w, seids[1], SessionDeletionRequest::default().into()).await, Cause::Accepted);
    assert_eq!(gx.begins(&mut w, 2, ips[1]).await, result::AUTHORIZATION_REJECTED);
    assert_eq!(asks(&mut w, &wish(2, Some(ips[1]))).await.0, Cause::Rejected);
    settled(&mut w, 2, gone).await;
    assert!(live(&w).is_empty());
    tshark_reads(&mut heard, &[CANCEL_LOCATION, RE_AUTH], &[]);
}
