//! Bans by each scope, two operators at once, what a receipt learns, devices and bindings: over the real store, with
//! what the audit has of it.

use crate::control::site::{Site, asker, device, imsi, name};
use access::nr;
use admin_web::{
    BanRequest, ControlError, Deregistration, DeviceUnban, PendingCode, RestrictRequest, Restricted,
    ScopeBan, ScopeKind, UnbanRequest,
};
use gateway::link::{FromGateway, Stored, ToGateway};
use lab::ue::UeEvent;
use serde_json::{Value, json};
use std::time::Duration;
use store::{AuditRow, Change};
use types::*;

fn told(news: &[UeEvent]) -> Option<FgmmCause> {
    news.iter().find_map(|e| match e {
        UeEvent::Rejected { cause, protected: true, .. } => Some(*cause),
        _ => None,
    })
}

fn json_of(text: Option<&String>) -> Value {
    text.map(|t| serde_json::from_str(t).expect("JSON")).unwrap_or_default()
}

/// The rows of one request: who, what, of what; each with its reason, and from where.
fn rows(all: &[AuditRow], who: &str) -> Vec<(String, String)> {
    for r in all {
        assert_eq!((r.actor.as_str(), r.origin.as_str()), (who, "10.0.0.9"), "{r:?}");
        assert!(r.reason.contains("says so"), "{r:?}");
    }
    all.iter().map(|r| (r.action.clone(), r.object.clone())).collect()
}

fn scope(kind: ScopeKind, value: &str, request: &str) -> ScopeBan {
    ScopeBan { scope: kind, value: value.to_owned(), state: SimState::Stolen, asker: asker("soc", request) }
}

#[tokio::test]
async fn each_scope_names_its_sessions_dry_and_then_cuts_them_with_a_receipt_and_its_audit() {
    let scopes = [
        (ScopeKind::Sim, "001010000000001"),
        (ScopeKind::Person, "tanaka"),
        (ScopeKind::Device, "pc-1"),
        (ScopeKind::Group, "staff"),
        (ScopeKind::Site, "osaka"),
    ];
    for (kind, value) in scopes {
        let mut w = Site::new().await;
        w.attached(1).await;
        w.attached(2).await;
        let dry = w.ask(|c, tx| c.affected(kind, value.to_owned(), tx)).await.expect("known");
        let [one] = dry.as_slice() else { panic!("{kind}: {dry:?}") };
        assert_eq!((one.imsi, one.state, one.sessions.len()), (imsi(1), SimState::Active, 1), "{kind}");
        assert_eq!(one.sessions[0].gnb.as_deref(), Some("gnb-1"));
        let told = w.heard.iter().filter(|m| !matches!(m, ToGateway::Facts(_))).count();
        assert_eq!((w.sessions(), told), (2, 0), "{kind}: nothing is done");

        let done = w.ask(|c, tx| c.ban_scope(scope(kind, value, "req-1"), tx)).await.expect("banned");
        assert_eq!((done.sims, done.sessions, done.failed.len()), (1, 1, 0), "{kind}");
        let places: Vec<&str> = done.stored.iter().map(|s| s.place.as_str()).collect();
        assert_eq!(places, ["journal", "database"], "{kind}");
        assert_eq!(done.device, (kind == ScopeKind::Device).then(|| device(1)));
        assert_eq!(w.sessions(), 1, "{kind}: the other one lives on");
        let r = w.receipt(1).await;
        assert_eq!(
            (r.scope.as_str(), r.before),
            (format!("{kind}:{value}").as_str(), Some(SimState::Active))
        );
        assert_eq!((r.cut.shards, r.cut.of, r.sessions.len()), (1, 1, 1), "{kind}");
        assert!(r.pending.iter().any(|p| p.code == PendingCode::NoCopy), "what is missing is named");

        let all = w.audit("req-1").await;
        let state = ("sim.state".to_owned(), format!("sim:{}", imsi(1)));
        let mut wanted =
            vec![state.clone(), ("revocation.create".to_owned(), format!("revocation:{}", done.id))];
        if kind == ScopeKind::Device {
            let imei = all.iter().find(|r| json_of(r.after.as_ref())["scope"] == "imei").expect("the IMEI's");
            wanted.push((imei.action.clone(), imei.object.clone()));
        }
        assert_eq!(rows(&all, "soc"), wanted, "{kind}");
        let before = json_of(all[0].before.as_ref());
        let after = json_of(all[0].after.as_ref());
        assert_eq!((&before["state"], &after["state"]), (&json!("active"), &json!("stolen")), "{kind}");
        let after = json_of(all[1].after.as_ref());
        assert_eq!(
            (&after["scope"], &after["value"], &after["sims"]),
            (&json!(kind.as_str()), &json!(value), &json!(1))
        );
    }
}

#[tokio::test]
async fn a_receipt_grows_from_the_cut_to_who_came_back() {
    let mut w = Site::new().await;
    w.attached(1).await;
    let request = BanRequest { imsi: imsi(1), state: SimState::Lost, asker: asker("soc", "req-1") };
    let first = w.ask(|c, tx| c.ban(request, tx)).await.expect("banned");
    assert_eq!((first.version, first.deregistration), (1, Deregistration::Pending));
    let codes: Vec<PendingCode> = first.pending.iter().map(|p| p.code).collect();
    for code in [PendingCode::NoCopy, PendingCode::SessionRelease, PendingCode::DeregistrationUnconfirmed] {
        assert!(codes.contains(&code), "{codes:?}");
    }
    // Its session has ended and its UE has said so: later versions have it.
    let r = w.receipt(1).await;
    assert!(r.version > 1 && r.sessions[0].released.is_some(), "{r:?}");
    assert_eq!(r.deregistration, Deregistration::Confirmed);
    assert_eq!(r.pending.iter().map(|p| p.code).collect::<Vec<_>>(), [PendingCode::NoCopy]);
    // It comes back: proved, with the cell, and somebody is told within a second.
    assert_eq!(told(&w.attach(1).await), Some(FgmmCause::IllegalUe));
    let (reuse, took) = w.alert(AlertKind::BannedReuse, 1, 1).await;
    assert_eq!(reuse.severity, Severity::Critical);
    assert!(took < Duration::from_secs(1), "{took:?}");
    // Somebody claims to be it, and proves nothing.
    let what = Happening::RegistrationRefused {
        authenticated: false,
        cause: FgmmCause::IllegalUe,
        reason: RefusalReason::Lost,
        tai: None,
        cell: Some(77),
        gnb: "gnb-9".to_owned(),
    };
    w.control.amf_wish(nr::Output::Event(Event { at: Utc(5), imsi: Some(imsi(1)), what }));
    w.control.trace_some();
    w.rest().await;
    let r = w.receipt(1).await;
    assert_eq!((r.attempts.authenticated, r.attempts.claimed), (1, 1));
    let [proved, claimed] = r.attempts.last.as_slice() else { panic!("{r:?}") };
    assert!(proved.authenticated && proved.cell.is_some() && proved.gnb == "gnb-1", "{proved:?}");
    assert_eq!((claimed.authenticated, claimed.cell, claimed.gnb.as_str()), (false, Some(77), "gnb-9"));
    assert_eq!((proved.cause, r.dropped_since), (FgmmCause::IllegalUe, 7));
}

fn unban(n: usize, who: &str, request: &str) -> UnbanRequest {
    UnbanRequest { imsi: imsi(n), state: SimState::Active, asker: asker(who, request), approves: None }
}

#[tokio::test]
async fn of_two_operators_at_once_deny_wins_and_the_audit_has_the_order_of_the_effects() {
    let mut w = Site::new().await;
    let ban = |request: &str, state| BanRequest { imsi: imsi(1), state, asker: asker("soc", request) };
    w.ask(|c, tx| c.ban(ban("req-1", SimState::Lost), tx)).await.expect("banned");
    // An unban that a ban overtakes on its way.
    w.gateway_waits = true;
    let mut back = w.start(|c, tx| c.unban(unban(1, "owner", "req-2"), tx));
    let mut again = w.start(|c, tx| c.ban(ban("req-3", SimState::Stolen), tx));
    // And one while the ban is on its way: refused at once.
    let early = w.start(|c, tx| c.unban(unban(1, "owner", "req-4"), tx)).await.expect("answered");
    assert!(early.is_err(), "{early:?}");
    w.gateway_waits = false;
    w.rest().await;
    assert!(back.try_recv().expect("answered").is_err(), "deny wins");
    again.try_recv().expect("answered").expect("banned");
    assert_eq!(w.control.state_of(imsi(1)), Some(SimState::Stolen));
    assert_eq!(w.control.store.sim(imsi(1)).await.expect("there").state, SimState::Stolen);
    assert_eq!(told(&w.attach(1).await), Some(FgmmCause::IllegalUe));
    // One behind the other: both happen, in this order, each with its record.
    w.ask(|c, tx| c.unban(unban(1, "owner", "req-5"), tx)).await.expect("back");
    w.ask(|c, tx| c.ban(ban("req-6", SimState::Lost), tx)).await.expect("banned");
    let mut seqs = Vec::new();
    for (request, n, who) in [
        ("req-1", 2, "soc"),
        ("req-2", 0, ""),
        ("req-3", 2, "soc"),
        ("req-4", 0, ""),
        ("req-5", 2, "owner"),
        ("req-6", 2, "soc"),
    ] {
        let all = w.audit(request).await;
        assert_eq!(all.len(), n, "{request}: {all:?}");
        assert!(all.iter().all(|r| r.actor == who), "{request}");
        seqs.extend(all.iter().map(|r| r.seq));
    }
    assert!(seqs.is_sorted(), "{seqs:?}");
    let kinds = w.control.store.revocations(&Default::default(), None, 10).await.expect("read").items;
    let kinds: Vec<&str> = kinds.iter().rev().map(|r| r.kind.as_str()).collect();
    assert_eq!(kinds, ["ban", "ban", "unban", "ban"]);
}

#[tokio::test]
async fn two_operators_at_a_quarantine_deny_wins() {
    let mut w = Site::new().await;
    let ask = |on, request: &str| RestrictRequest {
        what: Restricted::Quarantine(imsi(2)),
        on,
        asker: asker("soc", request),
    };
    w.ask(|c, tx| c.restrict(ask(true, "req-1"), tx)).await.expect("on");
    // A release that a quarantine overtakes, and one while it is on its way.
    w.gateway_waits = true;
    let mut off = w.start(|c, tx| c.restrict(ask(false, "req-2"), tx));
    let mut on = w.start(|c, tx| c.restrict(ask(true, "req-3"), tx));
    let early = w.start(|c, tx| c.restrict(ask(false, "req-4"), tx)).await.expect("answered");
    assert!(matches!(early, Err(ControlError::Denied(_))), "{early:?}");
    w.gateway_waits = false;
    w.rest().await;
    assert!(matches!(off.try_recv().expect("answered"), Err(ControlError::Denied(_))));
    on.try_recv().expect("answered").expect("on");
    let rest = w.control.store.restrictions().await.expect("read");
    assert_eq!((rest.len(), rest[0].value.clone()), (1, imsi(2).to_string()));
    assert_eq!(w.control.restrictions.len(), 1);
    w.ask(|c, tx| c.restrict(ask(false, "req-5"), tx)).await.expect("off");
    assert!(w.control.restrictions.is_empty());
    assert!(w.control.store.restrictions().await.expect("read").is_empty());
    for (request, kinds) in [
        ("req-1", vec!["quarantine"]),
        ("req-2", vec![]),
        ("req-3", vec!["quarantine"]),
        ("req-5", vec!["release"]),
    ] {
        let all = w.audit(request).await;
        let found: Vec<Value> = all.iter().map(|r| json_of(r.after.as_ref())["kind"].clone()).collect();
        assert_eq!(found, kinds, "{request}");
    }
}

#[tokio::test]
async fn each_restriction_and_its_end_stand_in_the_audit_with_who_and_which_request() {
    let mut w = Site::new().await;
    for (what, scope, value, on, off) in [
        (Restricted::Quarantine(imsi(1)), "sim", imsi(1).to_string(), "quarantine", "release"),
        (Restricted::Panic(name("staff")), "group", "staff".to_owned(), "panic", "calm"),
    ] {
        for (is_on, kind) in [(true, on), (false, off)] {
            let request = RestrictRequest {
                what: what.clone(),
                on: is_on,
                asker: asker("soc", &format!("req-{kind}")),
            };
            let done = w.ask(|c, tx| c.restrict(request, tx)).await.expect("done");
            assert_eq!((done.kind.as_str(), done.stored.len(), done.shards), (kind, 2, 1));
            let all = w.audit(&format!("req-{kind}")).await;
            assert_eq!(
                rows(&all, "soc"),
                [("revocation.create".to_owned(), format!("revocation:{}", done.id))]
            );
            assert_eq!(all[0].before, None, "{kind}");
            let after = json_of(all[0].after.as_ref());
            assert_eq!(
                after,
                json!({
                    "kind": kind, "scope": scope, "value": value, "state": null, "sims": 1, "ticket": "T-7"
                })
            );
        }
    }
}

#[tokio::test]
async fn a_banned_imei_ends_what_lives_in_it_and_comes_back_by_an_unban_of_its_own() {
    let mut w = Site::new().await;
    w.attached(1).await;
    w.attached(2).await;
    let dry = w.ask(|c, tx| c.affected(ScopeKind::Imei, device(1), tx)).await.expect("known");
    assert_eq!(dry.iter().map(|a| (a.imsi, a.sessions.len())).collect::<Vec<_>>(), [(imsi(1), 1)]);
    let done =
        w.ask(|c, tx| c.ban_scope(scope(ScopeKind::Imei, &device(1), "req-1"), tx)).await.expect("banned");
    assert_eq!((done.sims, done.sessions), (1, 1), "counted");
    assert_eq!(w.sessions(), 1, "ended at the gateway");
    let cut = ToGateway::CutImei {
        id: 0,
        device: device(1),
        on: true,
        actor: "soc".to_owned(),
        reason: "soc says so".to_owned(),
        at: Utc(0),
    };
    let same = |m: &&ToGateway| match (m, &cut) {
        (
            ToGateway::CutImei { device: a, on: true, actor: x, .. },
            ToGateway::CutImei { device: b, actor: y, .. },
        ) => (a, x) == (b, y),
        _ => false,
    };
    assert_eq!(w.heard.iter().filter(same).count(), 1, "{:?}", w.heard);
    assert_eq!(rows(&w.audit("req-1").await, "soc").len(), 1);
    assert_eq!(w.control.state_of(imsi(1)), Some(SimState::Active), "the SIM is not banned");
    assert_eq!(told(&w.attach(1).await), Some(FgmmCause::IllegalMe));
    // Once for the one that was sent away, once for its way back.
    let (black, took) = w.alert(AlertKind::EquipmentBlack, 1, 2).await;
    assert_eq!((black.severity, black.subject), (Severity::Critical, device(1)));
    assert!(took < Duration::from_secs(1), "{took:?}");

    let pattern: DevicePattern = device(1).parse().expect("a device");
    let ask = |request: &str| DeviceUnban { device: pattern, asker: asker("owner", request), approves: None };
    let back = w.ask(|c, tx| c.unban_device(ask("req-2"), tx)).await.expect("back");
    assert_eq!((back.kind.as_str(), back.value, back.stored.len()), ("unban", device(1), 2));
    assert_eq!(
        rows(&w.audit("req-2").await, "owner"),
        [("revocation.create".to_owned(), format!("revocation:{}", back.id))]
    );
    let record = w.control.store.revocation(&back.id).await.expect("its record");
    assert_eq!((record.kind.as_str(), record.scope.as_str()), ("unban", "imei"));
    w.attached(1).await;
    let none = w.ask(|c, tx| c.unban_device(ask("req-3"), tx)).await;
    assert_eq!(none, Err(ControlError::NotFound));
    // A SIM that was last used in a device of the directory is one of its SIMs.
    let dry = w.ask(|c, tx| c.affected(ScopeKind::Device, "pc-1".to_owned(), tx)).await.expect("known");
    assert_eq!(dry.len(), 1);
}

#[tokio::test]
async fn a_device_that_was_cut_at_the_gateway_ends_here_too_and_is_written_down() {
    let mut w = Site::new().await;
    w.attached(2).await;
    let stored = Ok(Stored { record: 9, hash: [9; 32] });
    w.gateway_says(FromGateway::LocalCutImei {
        device: device(2),
        actor: "local root".to_owned(),
        reason: "control was dead".to_owned(),
        at: Utc(1_800_000_000_000),
        stored,
    })
    .await;
    assert_eq!(w.sessions(), 0);
    let rest = w.control.store.restrictions().await.expect("read");
    assert_eq!(
        (rest[0].kind.as_str(), rest[0].value.clone(), rest[0].actor.as_str()),
        ("device", device(2), "local root")
    );
    assert_eq!(told(&w.attach(2).await), Some(FgmmCause::IllegalMe));
    assert!(!w.heard.iter().any(|m| matches!(m, ToGateway::CutImei { .. })), "the gateway has it already");
}

async fn bind(w: &mut Site, n: usize, binding: Binding) {
    let by = Change::by_system("it", Utc(1));
    w.control.store.bind_sim(imsi(n), Some(binding), None, &by).await.expect("bound");
    w.ask(|c, tx| c.reread_sim(imsi(n), Some(tx))).await.expect("read");
}

fn quarantines(w: &Site) -> Vec<(Imsi, bool, String)> {
    let of = |m: &ToGateway| match m {
        ToGateway::Quarantine { imsi, on, actor, .. } => Some((*imsi, *on, actor.clone())),
        _ => None,
    };
    w.heard.iter().filter_map(of).collect()
}

#[tokio::test]
async fn a_device_that_does_not_name_itself_is_served_in_quarantine_where_its_binding_says_so() {
    let mut w = Site::new().await;
    w.attached(0).await;
    assert_eq!(quarantines(&w), []);
    // Who lives already is put in, too.
    bind(&mut w, 0, Binding { when_missing: WhenMissing::Quarantine, ..Binding::default() }).await;
    let system = |on| (imsi(0), on, "system".to_owned());
    assert_eq!(quarantines(&w), [system(true)]);
    assert_eq!(w.sessions(), 1, "it is served");
    // Once is enough.
    w.attached(0).await;
    assert_eq!(quarantines(&w), [system(true)]);
    // Told when it was put in, and at its next registration.
    w.alert(AlertKind::DeviceMismatch, 0, 2).await;
    let f = store::AuditFilter { actor: Some("system".to_owned()), ..Default::default() };
    let audit = w.control.store.audit_list(&f, None, 10).await.expect("read").items;
    let [row] = audit.as_slice() else { panic!("{audit:?}") };
    assert_eq!(json_of(row.after.as_ref())["kind"], "quarantine");
    assert!(row.reason.contains("does not name itself"), "{row:?}");
    w.happened(0, |h| matches!(h, Happening::Revoked { kind, .. } if kind == "quarantine")).await;
    // Lifted as any other; the next registration is judged anew.
    let request =
        RestrictRequest { what: Restricted::Quarantine(imsi(0)), on: false, asker: asker("owner", "req-1") };
    w.ask(|c, tx| c.restrict(request, tx)).await.expect("lifted");
    assert_eq!(rows(&w.audit("req-1").await, "owner").len(), 1);
    assert!(w.control.restrictions.is_empty());
    w.attached(0).await;
    assert_eq!(quarantines(&w).len(), 3, "on, off, on");
}

#[tokio::test]
async fn a_clone_that_is_found_is_put_in_quarantine_and_one_that_is_suspected_is_not() {
    let mut w = Site::new().await;
    bind(&mut w, 1, Binding { on_clone: OnClone::Quarantine, ..Binding::default() }).await;
    let tai = Tai { plmn: Plmn::new("001", "01").expect("a PLMN"), tac: Tac::try_from(7).expect("a TAC") };
    let seen = |gnb: &str| Sighting { at: Utc(1), gnb: gnb.to_owned(), tai, cell: 16, device: None };
    let happens = |w: &mut Site, n, what| {
        w.control.amf_wish(nr::Output::Event(Event { at: Utc(1), imsi: Some(imsi(n)), what }));
    };
    let (here, there) = (seen("gnb-1"), seen("gnb-2"));
    let why = CloneSuspicion::OldTunnel;
    happens(&mut w, 1, Happening::CloneSuspected { why, seen: here.clone(), before: there.clone() });
    w.rest().await;
    assert_eq!(quarantines(&w), []);
    let found = Happening::CloneFound { proof: CloneProof::ProbeAccepted, seen: here, before: there };
    // The other one's binding says: alert.
    happens(&mut w, 2, found.clone());
    happens(&mut w, 1, found);
    w.rest().await;
    assert_eq!(quarantines(&w), [(imsi(1), true, "system".to_owned())]);
    for n in [1, 2] {
        w.alert(AlertKind::CloneFound, n, 1).await;
    }
    w.alert(AlertKind::CloneSuspected, 1, 1).await;
}
