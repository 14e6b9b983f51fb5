//! Another core's SMF before the real loop's parts: who gets a session, with which address, and until when.

use crate::control::gx::tests::Line as Gx;
use crate::control::s6a::tests::Line;
use crate::control::site::{SMF, Site, asker, imsi};
use crate::control::talk::settled;
use admin_web::{BanRequest, PendingCode, Receipt};
use lab::mme::{Manners, Order};
use lab::smf;
use lab::smf::pfcp::{Core, Wish};
use std::net::Ipv4Addr;
use types::*;
use wire::pfcp::{Cause, Message, SessionDeletionRequest};

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
        let [s] = &w.control.foreign.sessions()[..] else { panic!("not one session") };
        assert_eq!((s.imsi, s.ip.0, Some(s.up_seid.0)), (imsi(1), ip, seid));
    }
    w.happened(1, |h| matches!(h, Happening::ForeignUp { ip: up, .. } if up.0 == ip)).await;
    w.control.sweep_round();
    w.rest().await;
    assert_eq!(w.control.foreign.sessions().len(), 1, "what may live is left alone");

    // The MME has forgotten the SIM: its session ends in the gateway, whatever the SMF says.
    mme.ask(&mut w, Order::Purge(imsi(1))).await;
    w.control.sweep_round();
    w.rest().await;
    assert!(w.control.foreign.sessions().is_empty());
    w.happened(1, |h| matches!(h, Happening::ForeignDown { .. })).await;
    refused(&mut w, &wish(1, Some(ip)), Cause::Rejected, ForeignRefusal::NotAttached).await;

    // It comes back, and the session ends at Gx.
    mme.attach(&mut w, 1).await;
    assert_eq!(asks(&mut w, &wish(1, Some(ip))).await.0, Cause::Accepted);
    gx.ask(&mut w, smf::Order::End(1)).await;
    w.control.sweep_round();
    w.rest().await;
    assert!(w.control.foreign.sessions().is_empty());
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
    let ban = BanRequest { imsi: imsi(1), state: SimState::Stolen, asker: asker("soc", "r-1") };
    w.ask(|c, tx| c.ban(ban, tx)).await.expect("banned");
    assert_eq!(asks(&mut w, &wish(1, None)).await.0, Cause::Rejected);
    w.control.sweep_round();
    w.rest().await;
    assert_eq!(w.control.foreign.sessions().len(), 1);
    let of_smf = |r: &Receipt| r.pending.iter().any(|p| p.code == PendingCode::SmfNotEffective);
    assert!(of_smf(&w.receipt(1).await), "it has not let go");
    w.smf_says(seid, SessionDeletionRequest::default().into());
    w.rest().await;
    assert!(w.control.foreign.sessions().is_empty());
    // That is what we see of it, whether a CCR-T comes or not.
    settled(&mut w, 1, |r| !of_smf(r)).await;
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
    assert_eq!(w.control.foreign.sessions()[0].ip.0, theirs);
    assert_eq!(w.control.foreign.sessions()[0].prefix, None);
    // A prefix of its own range is, too; another one is left out.
    for (six, prefix) in
        [("2001:db8:45:7::2", Some("2001:db8:45:7::/64")), ("2001:db8:46:7::2", None), ("fd00:20::2", None)]
    {
        let named = Wish { ip6: Some(six.parse().expect("an address")), ..wish(1, Some(theirs)) };
        assert_eq!(asks(&mut w, &named).await.0, Cause::Accepted);
        let [s] = &w.control.foreign.sessions()[..] else { panic!("not one session") };
        assert_eq!(s.prefix, prefix.map(|p| p.parse().expect("a prefix")), "{six}");
    }
    // An operator ends it: once, and not in another SIM's name.
    let seid = w.control.foreign.sessions()[0].up_seid;
    assert!(w.control.end_foreign(imsi(2), seid).is_err());
    assert!(w.control.end_foreign(imsi(1), seid).is_ok());
    w.rest().await;
    assert!(w.control.foreign.sessions().is_empty() && w.control.end_foreign(imsi(1), seid).is_err());
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
