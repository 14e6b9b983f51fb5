//! Leases, events, tokens, kept answers, settings.

use super::{T0, audit::sql, by, conflict, imsi, on_both};
use crate::{
    Claim, Clash, ForeignLease, GxPlace, GxSessionRow, Kept, LeaseFilter, StateChange, StoreError, TokenRow,
    UnsupportedRow,
};
use types::{Event, Happening, SimState, Utc};

on_both!(an_address_has_one_owner_at_any_instant, |store| {
    let (corp, ip) = ("corp".parse::<types::Dnn>().unwrap(), "10.20.3.4".parse().unwrap());
    let at = |s: i64| Utc(T0.0 + s * 1000);
    let lease = store.open_lease(imsi(1), corp.clone(), ip, at(0)).await.unwrap();
    let again = store.open_lease(imsi(1), corp.clone(), ip, at(5)).await.unwrap();
    assert_eq!(again, lease, "the same lease asked for again is the lease that is there");
    assert_eq!(conflict(store.open_lease(imsi(2), corp.clone(), ip, at(6)).await), Clash::Lease);
    let other = "10.20.3.5".parse().unwrap();
    assert_eq!(conflict(store.open_lease(imsi(1), corp.clone(), other, at(6)).await), Clash::Lease);
    let factory = "factory".parse().unwrap();
    store.open_lease(imsi(1), factory, other, at(6)).await.unwrap();
    assert_eq!(store.open_leases().await.unwrap().len(), 2);

    let ended = store.close_lease(imsi(1), corp.clone(), at(10)).await.unwrap().unwrap();
    assert_eq!(ended.end, Some(at(10)));
    assert_eq!(store.close_lease(imsi(1), corp.clone(), at(11)).await.unwrap(), None);
    assert_eq!(store.leases_ended_since(at(10)).await.unwrap(), [ended]);
    store.open_lease(imsi(2), corp, ip, at(20)).await.unwrap();

    // "Who was 10.20.3.4 at …?" has one answer.
    let who = |s| {
        let store = store.clone();
        async move {
            let rows = store.lease_history(ip, Some(at(s)), 10).await.unwrap();
            rows.iter().map(|r| r.imsi).collect::<Vec<_>>()
        }
    };
    assert_eq!(who(3).await, [imsi(1)]);
    assert_eq!(who(15).await, []);
    assert_eq!(who(25).await, [imsi(2)]);
    assert_eq!(store.lease_history(ip, None, 10).await.unwrap().len(), 2);
});

on_both!(what_a_foreign_smf_gave_has_one_owner_at_any_instant_too, |store| {
    let at = |s: i64| Utc(T0.0 + s * 1000);
    let of = |n: u32, net: &str| ForeignLease {
        imsi: imsi(n),
        dnn: "corp".parse().unwrap(),
        smf: "core-smf".to_owned(),
        net: net.parse().unwrap(),
    };
    let (four, six) = ("10.45.0.7/32", "2001:db8:45:7::/64");
    store.begin_foreign_leases(vec![of(1, four), of(1, six)], at(0)).await.unwrap();
    // Once more, at the next session: it goes on.
    store.begin_foreign_leases(vec![of(1, four)], at(5)).await.unwrap();
    assert_eq!(store.open_foreign_leases().await.unwrap(), [of(1, four), of(1, six)]);
    // The SMF gives the address to somebody else: the first owner's time is over. The prefix ends by itself.
    store.begin_foreign_leases(vec![of(2, four)], at(10)).await.unwrap();
    store.end_foreign_leases(vec![(of(1, six), at(12)), (of(1, four), at(13))]).await.unwrap();
    assert_eq!(store.open_foreign_leases().await.unwrap(), [of(2, four)], "only its owner's ends");
    store.end_foreign_leases(vec![(of(2, four), at(1))]).await.unwrap();

    let who = |ip: &str, s: i64| {
        let (store, ip) = (store.clone(), Some(ip.parse().unwrap()));
        async move {
            let filter = LeaseFilter { ip, at: Some(at(s)), ..LeaseFilter::default() };
            let page = store.leases(&filter, None, 10).await.unwrap();
            page.items.into_iter().map(|l| (l.imsi, l.smf, l.what)).collect::<Vec<_>>()
        }
    };
    let smf = Some("core-smf".to_owned());
    for s in [0, 9] {
        assert_eq!(who("10.45.0.7", s).await, [(imsi(1), smf.clone(), four.to_owned())]);
        assert_eq!(who("2001:db8:45:7::1", s).await, [(imsi(1), smf.clone(), six.to_owned())]);
    }
    assert_eq!(who("10.45.0.7", 10).await, [], "an end before its beginning is its beginning");
    assert_eq!(who("2001:db8:45:7::1", 12).await, []);
    assert_eq!(who("2001:db8:45:8::1", 5).await, []);
    let all = store.leases(&LeaseFilter::default(), None, 2).await.unwrap();
    assert_eq!((all.items.len(), all.next.is_some()), (2, true));
});

on_both!(an_mme_serves_a_sim_knows_something_of_it_and_does_not_understand_everything, |store| {
    let (mme, told) = (|n: u32| format!("mme{n}"), |s: &str| Some(s.to_owned()));
    store.set_serving_mme(imsi(1), Some(mme(1)), told("first"), T0).await.unwrap();
    store.set_serving_mme(imsi(2), Some(mme(1)), None, T0).await.unwrap();
    store.set_told(imsi(1), mme(1), "second".to_owned()).await.unwrap();
    store.set_told(imsi(2), mme(2), "not its".to_owned()).await.unwrap();
    store.set_told(imsi(3), mme(1), "not served".to_owned()).await.unwrap();
    let all = store.serving_mmes().await.unwrap();
    assert_eq!(all.iter().map(|r| r.told.as_deref()).collect::<Vec<_>>(), [Some("second"), None]);
    store.set_serving_mme(imsi(1), None, None, T0).await.unwrap();
    assert_eq!(store.serving_mmes().await.unwrap().len(), 1);

    store.set_serving_mme(imsi(1), Some(mme(1)), None, T0).await.unwrap();
    let due = || async {
        let all = store.mme_cancellations().await.unwrap();
        all.into_iter().map(|r| (r.imsi, r.mme, r.moved)).collect::<Vec<_>>()
    };
    // Whoever served it before is to let go, until it answers or serves it again.
    store.set_serving_mme(imsi(1), Some(mme(2)), None, T0).await.unwrap();
    store.set_serving_mme(imsi(1), Some(mme(3)), None, T0).await.unwrap();
    store.set_serving_mme(imsi(1), Some(mme(3)), None, T0).await.unwrap();
    assert_eq!(due().await, [(imsi(1), mme(1), true), (imsi(1), mme(2), true)]);
    store.set_serving_mme(imsi(1), Some(mme(1)), None, T0).await.unwrap();
    assert_eq!(due().await, [(imsi(1), mme(2), true), (imsi(1), mme(3), true)]);
    store.end_mme_cancellation(imsi(1), mme(2)).await.unwrap();
    store.end_mme_cancellation(imsi(2), mme(3)).await.unwrap();
    // A refused device is another reason; whoever purges the SIM has let go.
    store.add_mme_cancellation(imsi(1), mme(1), T0).await.unwrap();
    store.add_mme_cancellation(imsi(2), mme(1), T0).await.unwrap();
    let three = [(imsi(1), mme(1), false), (imsi(1), mme(3), true), (imsi(2), mme(1), false)];
    assert_eq!(due().await, three);
    store.set_serving_mme(imsi(1), None, None, T0).await.unwrap();
    assert_eq!(due().await, three[1..]);
    // With another MME, and a device that is allowed there.
    store.set_serving_mme(imsi(2), Some(mme(2)), None, T0).await.unwrap();
    assert_eq!(due().await.last(), Some(&(imsi(2), mme(1), true)));

    let row =
        |n: u32, command, state| UnsupportedRow { mme: mme(n), command, state, product: "mme 1".to_owned() };
    for r in [row(1, 320, Some(7)), row(1, 322, None), row(2, 322, None), row(1, 322, Some(7))] {
        store.add_unsupported(r).await.unwrap();
    }
    let forget = |n: u32, state, product: &str| store.forget_unsupported(mme(n), state, product.to_owned());
    forget(1, Some(7), "mme 1").await.unwrap();
    let all = [row(1, 320, Some(7)), row(1, 322, Some(7)), row(2, 322, None)];
    assert_eq!(store.unsupported().await.unwrap(), all, "the same one");
    forget(1, Some(8), "mme 1").await.unwrap();
    forget(2, None, "mme 1").await.unwrap();
    assert_eq!(store.unsupported().await.unwrap(), all[2..]);
    forget(2, None, "mme 2").await.unwrap();
    assert_eq!(store.unsupported().await.unwrap(), []);
});

/// A session of SIM `n` at an SMF.
fn seen_session(smf: &str, n: u32, place: Option<GxPlace>) -> GxSessionRow {
    GxSessionRow {
        smf: smf.to_owned(),
        session: "smf;1;1".to_owned(),
        imsi: imsi(n),
        dnn: "corp".parse().unwrap(),
        ip: Some([10, 20, 0, n as u8].into()),
        prefix: None,
        state: None,
        since: T0,
        place,
    }
}

fn seen_at(tac: u32, cell: Option<u32>, s: i64) -> GxPlace {
    GxPlace {
        tai: types::Tai { plmn: "001-01".parse().unwrap(), tac: tac.try_into().unwrap() },
        cell,
        radio: types::Radio::Eutra,
        since: Utc(T0.0 + s * 1000),
    }
}

on_both!(a_session_at_an_smf_is_one_by_smf_and_name, |store| {
    let row = |smf: &str, n: u32| GxSessionRow {
        prefix: (n == 2).then(|| "2001:db8:20:2::/64".parse().unwrap()),
        state: (n == 2).then_some(u32::MAX),
        ..seen_session(smf, n, None)
    };
    for s in [row("a", 1), row("b", 2)] {
        store.begin_gx_session(s).await.unwrap();
    }
    assert_eq!(store.gx_sessions().await.unwrap(), [row("a", 1), row("b", 2)]);
    // The same once more, with what it has since.
    let anew = GxSessionRow { ip: None, ..row("a", 1) };
    store.begin_gx_session(anew.clone()).await.unwrap();
    assert_eq!(store.gx_sessions().await.unwrap(), [anew, row("b", 2)]);
    store.end_gx_session("a".to_owned(), "smf;1;1".to_owned()).await.unwrap();
    store.end_gx_session("b".to_owned(), "smf;1;2".to_owned()).await.unwrap();
    assert_eq!(store.gx_sessions().await.unwrap(), [row("b", 2)]);
});

on_both!(where_a_sim_was_seen_last_is_kept_with_each_of_its_sessions, |store| {
    let (row, at) = (seen_session, seen_at);
    for (smf, n) in [("a", 1), ("b", 1), ("c", 2)] {
        store.begin_gx_session(row(smf, n, None)).await.unwrap();
    }
    let (here, there) = (at(7, Some(0x0fff_ffff), 1), at(0xffff, None, 2));
    store.set_gx_places(vec![(imsi(1), here), (imsi(9), there)]).await.unwrap();
    let all = [row("a", 1, Some(here)), row("b", 1, Some(here)), row("c", 2, None)];
    assert_eq!(store.gx_sessions().await.unwrap(), all);
    store.set_gx_places(vec![(imsi(1), there), (imsi(2), here)]).await.unwrap();
    // Begun once more: it is where it was.
    store.begin_gx_session(row("a", 1, None)).await.unwrap();
    let all = [row("a", 1, Some(there)), row("b", 1, Some(there)), row("c", 2, Some(here))];
    assert_eq!(store.gx_sessions().await.unwrap(), all);
    // It goes with its session.
    store.end_gx_session("c".to_owned(), "smf;1;1".to_owned()).await.unwrap();
    store.begin_gx_session(row("c", 2, None)).await.unwrap();
    assert_eq!(store.gx_sessions().await.unwrap()[2].place, None);
});

on_both!(a_place_that_cannot_be_read_any_longer_is_unknown_and_its_session_lives, |store| {
    let (place, session) = (seen_at(7, Some(1), 0), seen_session("a", 1, None));
    for wrong in [
        "UPDATE gx_sessions SET place_plmn = '1-2-3'",
        "UPDATE gx_sessions SET place_tac = 65536",
        "UPDATE gx_sessions SET place_tac = -1",
        "UPDATE gx_sessions SET place_tac = NULL",
        "UPDATE gx_sessions SET place_cell = 268435456",
        "UPDATE gx_sessions SET place_cell = -1",
        "UPDATE gx_sessions SET place_radio = 'wifi'",
        "UPDATE gx_sessions SET place_radio = NULL",
        "UPDATE gx_sessions SET place_since = NULL",
        "UPDATE gx_sessions SET place_since = -1",
    ] {
        store.begin_gx_session(session.clone()).await.unwrap();
        store.set_gx_places(vec![(imsi(1), place)]).await.unwrap();
        assert_eq!(store.gx_sessions().await.unwrap()[0].place, Some(place));
        sql(&store, wrong).await;
        assert_eq!(store.gx_sessions().await.unwrap(), std::slice::from_ref(&session), "{wrong}");
        store.end_gx_session("a".to_owned(), "smf;1;1".to_owned()).await.unwrap();
    }
});

on_both!(fifty_sims_race_for_one_address_and_one_gets_it, |store| {
    let ip = "10.20.3.4".parse().unwrap();
    let tasks: Vec<_> = (0..50)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { store.open_lease(imsi(n), "corp".parse().unwrap(), ip, T0).await })
        })
        .collect();
    let mut won = 0;
    for t in tasks {
        match t.await.unwrap() {
            Ok(_) => won += 1,
            Err(e) => assert_eq!(e, StoreError::Conflict { what: Clash::Lease }),
        }
    }
    assert_eq!(won, 1);
});

on_both!(a_network_lies_behind_one_sim_and_the_ledger_knows_since_when, |store| {
    let at = |s: i64| crate::Change { at: Utc(T0.0 + s * 1000), ..by("it") };
    for n in 1..=2 {
        store.create_sim(crate::lab::sim(imsi(n)), &by("it")).await.unwrap();
    }
    let route = |p: &str| ("corp".parse().unwrap(), p.parse().unwrap());
    let both = [route("192.168.1.0/24"), route("fd00:1::/48")];
    let made = store.set_routes(imsi(1), both.clone().into(), Some(1), &at(1)).await.unwrap();
    assert_eq!((made.version, made.routes.len()), (2, 2));
    let same = store.set_routes(imsi(1), both.into(), Some(2), &at(2)).await.unwrap();
    assert_eq!(same, made, "nothing changed");
    let stale = store.set_routes(imsi(1), [].into(), Some(1), &at(2)).await;
    assert_eq!(stale, Err(StoreError::VersionMismatch { current: 2 }));
    for taken in ["192.168.0.0/16", "192.168.1.7/32", "fd00:1::/64"] {
        let more = [route("172.16.0.0/16"), route(taken)];
        assert_eq!(
            conflict(store.set_routes(imsi(2), more.into(), None, &at(3)).await),
            Clash::Route,
            "{taken}"
        );
    }
    assert_eq!(store.sim_routes(imsi(2)).await.unwrap().routes, [], "all or none");
    let net = serde_json::json!({ "dnn": "corp", "pool": "10.20.0.0/16" });
    store.create::<types::DataNetwork>(serde_json::from_value(net).unwrap(), None, &by("it")).await.unwrap();
    let in_pool = store.set_routes(imsi(2), [route("10.20.9.0/24")].into(), None, &at(4)).await;
    assert_eq!(conflict(in_pool), Clash::Route);

    // It moves to another SIM, which retires.
    store.set_routes(imsi(1), [route("fd00:1::/48")].into(), None, &at(10)).await.unwrap();
    store.set_routes(imsi(2), [route("192.168.1.0/24")].into(), None, &at(10)).await.unwrap();
    assert_eq!(store.open_routes().await.unwrap().len(), 2);
    let retire = crate::Change { at: Utc(T0.0 + 20_000), ..by("it") };
    store.change_sim_state(imsi(2), SimState::Retired, StateChange::Ordinary, &retire).await.unwrap();
    let who = |ip: &str, s: i64| {
        let (ip, store) = (ip.parse().unwrap(), store.clone());
        async move {
            let filter = LeaseFilter { ip: Some(ip), at: Some(Utc(T0.0 + s * 1000)), imsi: None };
            store.leases(&filter, None, 9).await.unwrap().items.iter().map(|l| l.imsi).collect::<Vec<_>>()
        }
    };
    assert_eq!(who("192.168.1.200", 5).await, [imsi(1)]);
    assert_eq!(who("192.168.1.200", 10).await, [imsi(2)]);
    assert_eq!(who("192.168.1.200", 20).await, []);
    assert_eq!(who("192.168.2.0", 5).await, []);
    assert_eq!(who("fd00:1::9", 30).await, [imsi(1)]);
    let found = store.search_sims(&["fd00:1:0:9::1".to_owned()], 5).await.unwrap();
    assert_eq!(found.iter().map(|f| f.imsi).collect::<Vec<_>>(), [imsi(1)]);
});

on_both!(whose_an_ipv6_address_was_is_said_by_the_lease_beside_it, |store| {
    let at = |s: i64| Utc(T0.0 + s * 1000);
    for n in 1..=2 {
        store.create_sim(crate::lab::sim(imsi(n)), &by("it")).await.unwrap();
    }
    let net = serde_json::json!({ "dnn": "corp", "pool": "10.20.0.0/16", "pool6": "2001:db8:20::/48" });
    store.create::<types::DataNetwork>(serde_json::from_value(net).unwrap(), None, &by("it")).await.unwrap();
    let corp = || "corp".parse().unwrap();
    store.open_lease(imsi(1), corp(), "10.20.1.4".parse().unwrap(), at(0)).await.unwrap();
    store.close_lease(imsi(1), corp(), at(10)).await.unwrap();
    store.open_lease(imsi(2), corp(), "10.20.1.4".parse().unwrap(), at(20)).await.unwrap();
    let who = |ip: &str, s: i64| {
        let (ip, store) = (ip.parse().unwrap(), store.clone());
        async move {
            let filter = LeaseFilter { ip: Some(ip), at: Some(at(s)), imsi: None };
            store.leases(&filter, None, 9).await.unwrap().items.iter().map(|l| l.imsi).collect::<Vec<_>>()
        }
    };
    // The 260th prefix of 64 bits.
    assert_eq!(who("2001:db8:20:104::9", 5).await, [imsi(1)]);
    assert_eq!(who("2001:db8:20:104:ffff::", 15).await, []);
    assert_eq!(who("2001:db8:20:104::", 25).await, [imsi(2)]);
    assert_eq!(who("2001:db8:20:105::9", 5).await, []);
    assert_eq!(who("2001:db8:21:104::9", 5).await, []);
    let found = store.search_sims(&["2001:db8:20:104::7".to_owned()], 5).await.unwrap();
    assert_eq!(found.iter().map(|f| f.imsi).collect::<Vec<_>>(), [imsi(2)]);
});

fn alarm(n: u32, of: Option<u32>) -> Event {
    Event {
        at: Utc(T0.0 + i64::from(n)),
        imsi: of.map(imsi),
        what: Happening::Alarm { text: format!("no. {n}") },
    }
}

on_both!(a_stream_of_events_goes_on_where_it_broke_off, |store| {
    assert_eq!(store.last_event().await.unwrap(), 0);
    let first = store.append_events(vec![alarm(1, Some(1)), alarm(2, None)]).await.unwrap();
    assert_eq!(first.iter().map(|r| r.seq).collect::<Vec<_>>(), [1, 2]);
    store.append_events(vec![alarm(3, Some(1))]).await.unwrap();
    assert_eq!(store.append_events(vec![]).await.unwrap(), []);
    assert_eq!(store.last_event().await.unwrap(), 3);
    let rest = store.events_after(1, 10).await.unwrap();
    assert_eq!(rest.iter().map(|r| r.event.clone()).collect::<Vec<_>>(), [alarm(2, None), alarm(3, Some(1))]);

    let page = store.timeline(imsi(1), None, 1).await.unwrap();
    assert_eq!((page.items[0].seq, page.next.as_deref()), (3, Some("3")));
    let page = store.timeline(imsi(1), Some(3), 1).await.unwrap();
    assert_eq!((page.items[0].seq, page.next), (1, None));

    assert_eq!(store.forget_events(Utc(T0.0 + 3)).await.unwrap(), 2);
    assert_eq!(
        store.append_events(vec![alarm(4, None)]).await.unwrap()[0].seq,
        4,
        "numbers are not used twice"
    );
});

on_both!(a_token_is_kept_by_hash_used_and_revoked, |store| {
    let row = TokenRow {
        id: "ab12".to_owned(),
        hash: vec![7; 32],
        label: "SOC".to_owned(),
        scopes: vec!["read".to_owned(), "ban".to_owned()],
        grants: vec![crate::Grant {
            roles: ["viewer".to_owned()].into(),
            scopes: ["ban".to_owned()].into(),
            groups: ["staff".parse().unwrap()].into(),
            sites: ["osaka".parse().unwrap()].into(),
        }],
        addresses: vec!["10.0.0.0/8".to_owned()],
        operator: None,
        by_provider: None,
        idle_ms: Some(60_000),
        created: T0,
        created_by: "init".to_owned(),
        expires: Some(Utc(T0.0 + 1)),
        last_used: None,
        revoked: None,
        suspended: None,
    };
    store.create_token(row.clone(), &by("init")).await.unwrap();
    assert_eq!(store.tokens().await.unwrap(), [row]);
    store.tokens_used(vec![("ab12".to_owned(), Utc(5))]).await.unwrap();
    let rest = async |rests| store.suspend_token("ab12".to_owned(), rests, &by("alert rule")).await;
    assert_eq!(conflict(rest(false).await), Clash::Other, "it does not rest");
    rest(true).await.unwrap();
    assert_eq!(conflict(rest(true).await), Clash::Other);
    assert_eq!(store.tokens().await.unwrap()[0].suspended, Some(T0));
    rest(false).await.unwrap();
    assert_eq!(store.tokens().await.unwrap()[0].suspended, None);
    store.revoke_token("ab12".to_owned(), &by("owner")).await.unwrap();
    assert_eq!(conflict(rest(true).await), Clash::Other, "what is revoked does not come back");
    let kept = store.tokens().await.unwrap().remove(0);
    assert_eq!((kept.last_used, kept.revoked), (Some(Utc(5)), Some(T0)));
    assert_eq!(conflict(store.revoke_token("ab12".to_owned(), &by("owner")).await), Clash::Other);
    assert_eq!(store.revoke_token("none".to_owned(), &by("owner")).await, Err(StoreError::NotFound));
    let audit = store.audit(None, None, 10).await.unwrap().items;
    assert!(audit.iter().all(|a| !format!("{a:?}").contains("7, 7, 7")), "no hash in the audit");
});

on_both!(a_key_is_claimed_once_and_its_answer_kept, |store| {
    let claim = |body: u8| {
        let store = store.clone();
        async move { store.claim("t1".to_owned(), "k".to_owned(), vec![body], T0).await.unwrap() }
    };
    assert_eq!(claim(1).await, Claim::New);
    assert_eq!(claim(1).await, Claim::Open);
    assert_eq!(claim(2).await, Claim::Other);
    let answer = Kept { status: 201, body: b"{}".to_vec(), etag: Some("\"1\"".to_owned()) };
    store.keep_answer("t1".to_owned(), "k".to_owned(), answer.clone()).await.unwrap();
    assert_eq!(claim(1).await, Claim::Done(answer));
    store.unclaim("t1".to_owned(), "k".to_owned()).await.unwrap();
    assert!(matches!(claim(1).await, Claim::Done(_)), "an answer that was given is not taken back");
    assert_eq!(store.forget_answers(Utc(T0.0 + 1)).await.unwrap(), 1);
    assert_eq!(claim(2).await, Claim::New);
});

on_both!(a_setting_is_kept, |store| {
    assert_eq!(store.meta("journal-head").await.unwrap(), None);
    store.set_meta("journal-head", "17:ab".to_owned()).await.unwrap();
    store.set_meta("journal-head", "18:cd".to_owned()).await.unwrap();
    assert_eq!(store.meta("journal-head").await.unwrap().as_deref(), Some("18:cd"));
    store.ping().await.unwrap();
});
