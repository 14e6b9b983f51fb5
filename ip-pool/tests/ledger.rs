//! Stories about the ledger, and the property that no address ever has two owners.

use ip_pool::{
    Assign, Lease, Ledger, LoadError, PoolError, PoolSpec, Refused, ReservationError, RouteRefused,
};
use proptest::prelude::*;
use types::{Dnn, Imsi, RoutePrefix, UeIp, Utc};

const REST: u64 = 1_000;

fn corp() -> Dnn {
    "corp".parse().unwrap()
}

fn imsi(n: u32) -> Imsi {
    format!("99970{n:010}").parse().unwrap()
}

fn ip(s: &str) -> UeIp {
    UeIp(s.parse().unwrap())
}

fn spec(dnn: &str, prefix: &str) -> PoolSpec {
    PoolSpec { dnn: dnn.parse().unwrap(), prefix: prefix.parse().unwrap(), gateway: None, prefix6: None }
}

/// A pool of /29: network .0, gateway .1, five addresses .2 to .6, broadcast .7.
fn small() -> Ledger {
    let mut l = Ledger::new(REST);
    l.put_pool(spec("corp", "10.20.0.0/29"), Utc(0)).unwrap();
    l
}

fn give(l: &mut Ledger, n: u32, at: i64) -> Lease {
    match l.assign(imsi(n), &corp(), Utc(at)).unwrap() {
        Assign::New { lease, ended: None } => lease,
        other => panic!("expected a new lease, got {other:?}"),
    }
}

#[test]
fn a_sim_keeps_its_address() {
    let mut l = small();
    let first = give(&mut l, 1, 10);
    assert_eq!(first.ip, ip("10.20.0.2"));
    assert_eq!(l.assign(imsi(1), &corp(), Utc(999)), Ok(Assign::Existing(first.clone())));
    assert_eq!(give(&mut l, 2, 11).ip, ip("10.20.0.3"));
    assert_eq!(l.owner(first.ip), Some(&first));
}

#[test]
fn network_gateway_and_broadcast_are_never_given_and_a_full_pool_says_so() {
    let mut l = small();
    let all: Vec<String> = (1..=5).map(|n| give(&mut l, n, 0).ip.to_string()).collect();
    assert_eq!(all, ["10.20.0.2", "10.20.0.3", "10.20.0.4", "10.20.0.5", "10.20.0.6"]);
    assert_eq!(l.assign(imsi(6), &corp(), Utc(0)), Err(Refused::Exhausted(corp())));
    let usage = l.usage(&corp()).unwrap();
    assert_eq!((usage.size, usage.leased, usage.reserved), (5, 5, 0));
    let iot: Dnn = "iot".parse().unwrap();
    assert_eq!(l.assign(imsi(6), &iot, Utc(0)), Err(Refused::UnknownDnn(iot)));
}

#[test]
fn a_released_address_rests() {
    let mut l = small();
    for n in 1..=5 {
        give(&mut l, n, 0);
    }
    let ended = l.release(imsi(3), &corp(), Utc(100)).unwrap();
    assert_eq!(ended.end, Some(Utc(100)));
    assert_eq!(l.release(imsi(3), &corp(), Utc(100)), None);
    assert!(l.assign(imsi(9), &corp(), Utc(1_099)).is_err());
    assert_eq!(give(&mut l, 9, 1_100).ip, ended.ip);
    let owner = |at| l.owner_at(ended.ip, Utc(at)).map(|o| o.imsi);
    assert_eq!(owner(-1), None);
    assert_eq!(owner(99), Some(imsi(3)));
    assert_eq!(owner(100), None);
    assert_eq!(owner(1_100), Some(imsi(9)));
}

#[test]
fn of_rested_addresses_the_one_that_rested_longest_goes_first() {
    let mut l = small();
    for n in 1..=5 {
        give(&mut l, n, 0);
    }
    l.release(imsi(5), &corp(), Utc(10));
    l.release(imsi(1), &corp(), Utc(20));
    assert_eq!(give(&mut l, 8, 9_000).ip, ip("10.20.0.6"));
    assert_eq!(give(&mut l, 9, 9_000).ip, ip("10.20.0.2"));
}

#[test]
fn a_reservation_takes_its_address_out_of_the_pool() {
    let mut l = small();
    l.reserve(imsi(7), &corp(), ip("10.20.0.3")).unwrap();
    assert_eq!(give(&mut l, 1, 0).ip, ip("10.20.0.2"));
    assert_eq!(give(&mut l, 2, 0).ip, ip("10.20.0.4"));
    assert_eq!(give(&mut l, 7, 0).ip, ip("10.20.0.3"));
    give(&mut l, 3, 0);
    give(&mut l, 4, 0);
    l.release(imsi(7), &corp(), Utc(10));
    assert!(l.assign(imsi(5), &corp(), Utc(100_000)).is_err());
    assert_eq!(l.unreserve(imsi(7), &corp()), Some(ip("10.20.0.3")));
    assert!(l.assign(imsi(5), &corp(), Utc(11)).is_err(), "it still rests");
    assert_eq!(give(&mut l, 5, 100_000).ip, ip("10.20.0.3"));
}

#[test]
fn a_reservation_moves_a_sim_at_its_next_session() {
    let mut l = small();
    let old = give(&mut l, 1, 5);
    l.reserve(imsi(1), &corp(), ip("10.20.0.6")).unwrap();
    let Ok(Assign::New { lease, ended: Some(ended) }) = l.assign(imsi(1), &corp(), Utc(50)) else {
        panic!("the SIM should have moved")
    };
    assert_eq!((lease.ip, lease.start), (ip("10.20.0.6"), Utc(50)));
    assert_eq!((ended.ip, ended.end), (old.ip, Some(Utc(50))));
    assert_eq!(l.history(old.ip).count(), 1);
}

#[test]
fn a_lease_that_could_not_be_written_is_as_if_it_had_not_been() {
    let mut l = small();
    let assign = l.assign(imsi(1), &corp(), Utc(5)).unwrap();
    l.undo(assign.clone());
    l.undo(assign);
    assert_eq!(l.leases().count(), 0);
    for n in 2..=6 {
        give(&mut l, n, 6);
    }
    l.release(imsi(6), &corp(), Utc(7));
    l.reserve(imsi(2), &corp(), ip("10.20.0.5")).unwrap_err();
    let mut l = small();
    let old = give(&mut l, 1, 5);
    l.reserve(imsi(1), &corp(), ip("10.20.0.6")).unwrap();
    let moved = l.assign(imsi(1), &corp(), Utc(50)).unwrap();
    l.undo(moved);
    assert_eq!(l.lease(imsi(1), &corp()), Some(&old));
    assert_eq!(l.owner(old.ip), Some(&old));
    assert_eq!(l.history(old.ip).count(), 1);
}

#[test]
fn a_wrong_reservation_is_refused_with_the_fix() {
    let mut l = small();
    let text = |l: &mut Ledger, a: &str| l.reserve(imsi(1), &corp(), ip(a)).unwrap_err().to_string();
    assert_eq!(
        text(&mut l, "10.21.0.4"),
        "10.21.0.4 is outside 10.20.0.0/29, the pool of corp; use an address inside"
    );
    assert!(text(&mut l, "10.20.0.0").contains("network address"));
    assert!(text(&mut l, "10.20.0.7").contains("broadcast address"));
    assert!(text(&mut l, "10.20.0.1").contains("gateway address"));
    give(&mut l, 2, 0);
    assert!(text(&mut l, "10.20.0.2").contains("SIM 999700000000002 has 10.20.0.2"));
    l.reserve(imsi(3), &corp(), ip("10.20.0.5")).unwrap();
    assert!(text(&mut l, "10.20.0.5").contains("reserved for SIM 999700000000003"));
    let iot: Dnn = "iot".parse().unwrap();
    assert_eq!(l.reserve(imsi(1), &iot, ip("10.20.0.5")), Err(ReservationError::UnknownDnn(iot)));
}

#[test]
fn a_reserved_address_of_another_sim_rests_for_the_new_one() {
    let mut l = small();
    let had = give(&mut l, 1, 0);
    l.release(imsi(1), &corp(), Utc(10));
    l.reserve(imsi(2), &corp(), had.ip).unwrap();
    assert_eq!(l.assign(imsi(2), &corp(), Utc(20)), Err(Refused::Resting { ip: had.ip, until: Utc(1_010) }));
    assert_eq!(give(&mut l, 2, 1_010).ip, had.ip);
}

#[test]
fn pools_must_be_sound_and_apart() {
    let mut l = small();
    let mut bad = |s: PoolSpec| l.put_pool(s, Utc(0)).unwrap_err();
    assert!(matches!(bad(spec("iot", "10.20.0.1/29")), PoolError::HostBits(_)));
    assert!(matches!(bad(spec("iot", "10.30.0.0/31")), PoolError::Size(_)));
    assert!(matches!(bad(spec("iot", "0.0.0.0/0")), PoolError::Size(_)));
    assert!(matches!(bad(spec("iot", "10.0.0.0/8")), PoolError::Overlap { .. }));
    let far = PoolSpec { gateway: Some([10, 31, 0, 1].into()), ..spec("iot", "10.30.0.0/24") };
    assert!(matches!(bad(far), PoolError::Gateway { .. }));
    let edge = PoolSpec { gateway: Some([10, 30, 0, 255].into()), ..spec("iot", "10.30.0.0/24") };
    assert!(matches!(bad(edge), PoolError::Gateway { .. }));
    l.reserve(imsi(1), &corp(), ip("10.20.0.6")).unwrap();
    assert!(matches!(l.put_pool(spec("corp", "10.20.0.0/30"), Utc(0)), Err(PoolError::Reserved { .. })));
    l.put_pool(spec("tiny", "10.30.0.0/30"), Utc(0)).unwrap();
    assert_eq!(l.usage(&"tiny".parse().unwrap()).unwrap().size, 1);
    assert_eq!(l.gateway(&"tiny".parse().unwrap()), Some([10, 30, 0, 1].into()));
}

#[test]
fn a_changed_pool_keeps_the_leases_that_it_can_hold() {
    let mut l = small();
    let (kept, lost) = (give(&mut l, 1, 0), {
        give(&mut l, 2, 0);
        give(&mut l, 3, 0)
    });
    let ended = l.put_pool(spec("corp", "10.20.0.0/30"), Utc(30)).unwrap();
    assert_eq!(
        ended.iter().map(|e| (e.imsi, e.end)).collect::<Vec<_>>(),
        [
            (imsi(2), Some(Utc(30))), // 10.20.0.3 is the broadcast address now.
            (imsi(3), Some(Utc(30))),
        ]
    );
    assert_eq!(l.lease(imsi(1), &corp()), Some(&kept));
    assert_eq!(l.owner_at(lost.ip, Utc(29)).map(|o| o.imsi), Some(imsi(3)));
    assert_eq!(l.remove_pool(&corp(), Utc(40)).len(), 1);
    assert!(matches!(l.assign(imsi(1), &corp(), Utc(41)), Err(Refused::UnknownDnn(_))));
}

#[test]
fn what_was_stored_comes_back() {
    let mut l = small();
    let mut stored = vec![give(&mut l, 1, 0), give(&mut l, 2, 1)];
    stored.push(l.release(imsi(1), &corp(), Utc(500)).unwrap());
    stored.remove(0);
    let mut again = small();
    assert_eq!(again.load(stored.clone(), Utc(600)), Ok(Vec::new()));
    assert_eq!(again.lease(imsi(2), &corp()), Some(&stored[0]));
    for n in 3..=5 {
        give(&mut again, n, 600);
    }
    assert!(again.assign(imsi(6), &corp(), Utc(1_499)).is_err(), "10.20.0.2 rests since before the start");
    assert_eq!(give(&mut again, 6, 1_500).ip, ip("10.20.0.2"));
    let mut elsewhere = Ledger::new(REST);
    elsewhere.put_pool(spec("corp", "10.99.0.0/24"), Utc(0)).unwrap();
    let ended = elsewhere.load(stored, Utc(700)).unwrap();
    assert_eq!(ended.iter().map(|e| e.end).collect::<Vec<_>>(), [Some(Utc(700))]);
}

#[test]
fn a_reservation_made_over_a_stored_lease_waits_for_it() {
    let mut l = small();
    let stored = give(&mut l, 1, 0);
    let mut again = small();
    again.reserve(imsi(2), &corp(), stored.ip).unwrap();
    again.load(vec![stored.clone()], Utc(5)).unwrap();
    assert_eq!(again.assign(imsi(2), &corp(), Utc(6)), Err(Refused::Leased { ip: stored.ip, imsi: imsi(1) }));
    again.release(imsi(1), &corp(), Utc(7));
    assert_eq!(give(&mut again, 2, 5_000).ip, stored.ip);
}

#[test]
fn contradicting_leases_are_not_loaded() {
    let lease = |n, a: &str, start, end: Option<i64>| Lease {
        imsi: imsi(n),
        dnn: corp(),
        ip: ip(a),
        start: Utc(start),
        end: end.map(Utc),
    };
    let load = |leases: Vec<Lease>| {
        let mut l = small();
        let e = l.load(leases, Utc(0)).unwrap_err();
        assert_eq!(l.leases().count(), 0);
        e
    };
    assert_eq!(
        load(vec![lease(1, "10.20.0.2", 0, Some(10)), lease(2, "10.20.0.2", 9, None)]),
        LoadError::TwoOwners { ip: ip("10.20.0.2"), one: imsi(1), other: imsi(2) }
    );
    assert!(matches!(
        load(vec![lease(1, "10.20.0.2", 0, None), lease(2, "10.20.0.2", 9, None)]),
        LoadError::TwoOwners { .. }
    ));
    assert!(matches!(
        load(vec![lease(1, "10.20.0.2", 0, None), lease(1, "10.20.0.3", 9, None)]),
        LoadError::TwoLeases { .. }
    ));
    assert!(matches!(load(vec![lease(1, "10.20.0.2", 5, Some(4))]), LoadError::Backwards { .. }));
}

#[test]
fn a_clock_that_steps_back_makes_no_two_owners() {
    let mut l = Ledger::new(0);
    l.put_pool(spec("corp", "10.20.0.0/30"), Utc(0)).unwrap();
    let first = give(&mut l, 1, 1_000);
    let ended = l.release(imsi(1), &corp(), Utc(500)).unwrap();
    assert_eq!(ended.end, Some(Utc(1_000)));
    assert!(l.assign(imsi(2), &corp(), Utc(600)).is_err(), "not before the former owner's end");
    assert_eq!(give(&mut l, 2, 1_000).start, Utc(1_000));
    assert_eq!(l.owner_at(first.ip, Utc(1_000)).map(|o| o.imsi), Some(imsi(2)));
}

#[test]
fn old_history_can_be_forgotten_but_not_what_rests() {
    let mut l = small();
    let a = give(&mut l, 1, 0);
    l.release(imsi(1), &corp(), Utc(10));
    l.forget_before(Utc(100), Utc(100));
    assert_eq!(l.history(a.ip).count(), 1);
    l.forget_before(Utc(100), Utc(2_000));
    assert_eq!(l.history(a.ip).count(), 0);
}

/// What can happen to a ledger.
#[derive(Debug, Clone)]
enum Act {
    Assign(u32),
    AssignAndFail(u32),
    Release(u32),
    Reserve(u32, u8),
    Unreserve(u32),
    Widen(bool),
    Restart,
}

fn act() -> impl Strategy<Value = Act> {
    let sim = 0..7u32;
    prop_oneof![
        6 => sim.clone().prop_map(Act::Assign),
        1 => sim.clone().prop_map(Act::AssignAndFail),
        4 => sim.clone().prop_map(Act::Release),
        2 => (sim.clone(), 0..18u8).prop_map(|(s, a)| Act::Reserve(s, a)),
        1 => sim.prop_map(Act::Unreserve),
        1 => any::<bool>().prop_map(Act::Widen),
        1 => Just(Act::Restart),
    ]
}

/// The plainest ledger there is: what would stand in the store.
#[derive(Default)]
struct Paper(Vec<Lease>);

impl Paper {
    fn write(&mut self, lease: &Lease) {
        self.0.retain(|l| (l.imsi, l.ip, l.start) != (lease.imsi, lease.ip, lease.start) || l.end.is_some());
        self.0.push(lease.clone());
    }

    fn open(&self) -> impl Iterator<Item = &Lease> {
        self.0.iter().filter(|l| l.end.is_none())
    }

    fn owners_at(&self, ip: UeIp, at: Utc) -> Vec<Imsi> {
        self.0.iter().filter(|l| l.ip == ip && l.covers(at)).map(|l| l.imsi).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_address_has_two_owners_at_any_instant(acts in prop::collection::vec((act(), 0..700i64), 1..80)) {
        let mut l = small();
        let mut paper = Paper::default();
        let (mut now, mut prefix) = (0, "10.20.0.0/29");
        let mut reserved: std::collections::BTreeMap<u32, UeIp> = Default::default();
        for (act, later) in acts {
            now += later;
            let before: Vec<Lease> = l.leases().cloned().collect();
            match act {
                Act::Assign(n) => match l.assign(imsi(n), &corp(), Utc(now)) {
                    Ok(Assign::New { lease, ended }) => {
                        ended.iter().for_each(|e| paper.write(e));
                        let last = paper.0.iter().filter(|p| p.ip == lease.ip).filter_map(|p| Some((p.end?, p.imsi))).max();
                        prop_assert!(last.is_none_or(|(end, who)|
                            now >= end.0 + REST as i64 || (who == imsi(n) && reserved.contains_key(&n))));
                        let other = reserved.iter().find(|(_, a)| **a == lease.ip).map(|(o, _)| *o);
                        prop_assert!(other.is_none_or(|o| o == n), "reserved for another");
                        prop_assert!(reserved.get(&n).is_none_or(|a| *a == lease.ip));
                        paper.write(&lease);
                    }
                    Ok(Assign::Existing(lease)) => prop_assert!(paper.open().any(|p| *p == lease)),
                    Err(_) => prop_assert!(paper.open().all(|p| p.imsi != imsi(n)) || reserved.contains_key(&n)),
                },
                Act::AssignAndFail(n) => if let Ok(a) = l.assign(imsi(n), &corp(), Utc(now)) {
                    l.undo(a);
                    prop_assert_eq!(l.leases().cloned().collect::<Vec<_>>(), before);
                },
                Act::Release(n) => if let Some(e) = l.release(imsi(n), &corp(), Utc(now)) {
                    paper.write(&e);
                },
                Act::Reserve(n, a) => {
                    let a = UeIp([10, 20, 0, a].into());
                    if l.reserve(imsi(n), &corp(), a).is_ok() {
                        reserved.insert(n, a);
                    }
                },
                Act::Unreserve(n) => {
                    l.unreserve(imsi(n), &corp());
                    reserved.remove(&n);
                },
                Act::Widen(wide) => {
                    let wanted = if wide { "10.20.0.0/28" } else { "10.20.0.0/29" };
                    if let Ok(ended) = l.put_pool(spec("corp", wanted), Utc(now)) {
                        prefix = wanted;
                        ended.iter().for_each(|e| paper.write(e));
                    }
                },
                Act::Restart => {
                    l = Ledger::new(REST);
                    l.put_pool(spec("corp", prefix), Utc(now)).unwrap();
                    for (n, a) in &reserved {
                        l.reserve(imsi(*n), &corp(), *a).unwrap();
                    }
                    prop_assert_eq!(l.load(paper.0.clone(), Utc(now)), Ok(Vec::new()));
                },
            }
            let mut open: Vec<Lease> = paper.open().cloned().collect();
            open.sort_by_key(|o| o.imsi);
            prop_assert_eq!(l.leases().cloned().collect::<Vec<_>>(), open);
        }
        // Each address at each border of an interval has one owner at most, and the ledger names that one.
        for a in 0..16u8 {
            let a = UeIp([10, 20, 0, a].into());
            let borders: Vec<i64> =
                paper.0.iter().filter(|p| p.ip == a).flat_map(|p| [p.start.0, p.end.map_or(now, |e| e.0)]).collect();
            for at in borders.into_iter().flat_map(|b| [b - 1, b, b + 1]) {
                let owners = paper.owners_at(a, Utc(at));
                prop_assert!(owners.len() <= 1, "{} at {}: {:?}", a, at, owners);
                prop_assert_eq!(l.owner_at(a, Utc(at)).map(|o| o.imsi), owners.first().copied());
            }
        }
    }
}

fn route(s: &str) -> (Dnn, RoutePrefix) {
    (corp(), s.parse().unwrap())
}

#[test]
fn a_network_behind_a_sim_meets_no_pool_no_other_network_and_not_us() {
    let mut l = small();
    l.set_own(vec!["192.0.2.1".parse().unwrap()]);
    assert_eq!(l.set_routes(imsi(1), &[route("192.168.0.0/24"), route("192.168.2.0/24")]), Ok(true));
    assert_eq!(l.set_routes(imsi(1), &[route("192.168.2.0/24"), route("192.168.0.0/24")]), Ok(false));
    let owner = |l: &Ledger, a: &str| l.route_over(a.parse().unwrap()).map(|r| r.imsi);
    assert_eq!(owner(&l, "192.168.2.255"), Some(imsi(1)));
    assert_eq!(owner(&l, "192.168.1.0"), None);
    let pool = Err(RouteRefused::Pool {
        prefix: "10.20.0.0/16".parse().unwrap(),
        pool: "10.20.0.0/29".parse().unwrap(),
        dnn: corp(),
    });
    assert_eq!(l.set_routes(imsi(2), &[route("10.20.0.0/16")]), pool);
    assert!(matches!(l.set_routes(imsi(2), &[route("192.0.2.0/28")]), Err(RouteRefused::Own { .. })));
    for taken in ["192.168.0.0/16", "192.168.2.8/32", "192.168.0.0/24"] {
        let e = l.set_routes(imsi(2), &[route("172.16.0.0/16"), route(taken)]).unwrap_err();
        assert!(matches!(e, RouteRefused::Taken { imsi: i, .. } if i == imsi(1)), "{e}");
    }
    assert_eq!(owner(&l, "172.16.1.1"), None, "all or none");
    assert!(
        l.set_routes(imsi(2), &[route("172.16.0.0/16"), route("172.16.3.0/24")]).is_err(),
        "twice its own"
    );
    // A pool that would take addresses from behind a SIM is refused, until the SIM gives them up.
    let wide = || spec("iot", "192.168.0.0/16");
    assert!(matches!(l.put_pool(wide(), Utc(0)), Err(PoolError::Route { imsi: i, .. }) if i == imsi(1)));
    assert_eq!(l.set_routes(imsi(1), &[]), Ok(true));
    assert_eq!(l.put_pool(wide(), Utc(0)), Ok(Vec::new()));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]
    /// Sixteen addresses, each asked: whoever owns one owns it alone, as a lease's holder or by a network behind him; and
    /// what is refused would have had two owners.
    #[test]
    fn no_address_is_leased_and_behind_a_sim_or_behind_two(acts in prop::collection::vec(
        (0..4u32, prop::collection::vec((0..16u8, 28..=32u8), 0..3), any::<bool>(), 29..=30u8), 1..40)) {
        let mut l = Ledger::new(0);
        for (now, (sim, nets, pool, len)) in acts.into_iter().enumerate() {
            let now = Utc(now as i64);
            if pool {
                let net = nets.first().map_or(0, |(a, _)| *a);
                let net = ipnet::Ipv4Net::new([10, 20, 0, net].into(), len).unwrap().trunc();
                let spec = PoolSpec { dnn: corp(), prefix: net, gateway: None, prefix6: None };
                let met = l.routes().any(|r| r.prefix.meets(net.into()));
                match l.put_pool(spec, now) {
                    Ok(_) => prop_assert!(!met),
                    Err(e) => {
                        let by_route = matches!(e, PoolError::Route { .. });
                        prop_assert!(by_route && met, "{e}");
                    }
                }
                _ = l.assign(imsi(sim), &corp(), now);
            } else {
                let wanted: Vec<(Dnn, RoutePrefix)> = nets
                    .into_iter()
                    .map(|(a, len)| (corp(), ipnet::IpNet::new([10, 20, 0, a].into(), len).unwrap().trunc().try_into().unwrap()))
                    .collect();
                let before: Vec<_> = l.routes().cloned().collect();
                if l.set_routes(imsi(sim), &wanted).is_err() {
                    prop_assert_eq!(l.routes().cloned().collect::<Vec<_>>(), before);
                } else {
                    let mine: Vec<_> = l.routes().filter(|r| r.imsi == imsi(sim)).collect();
                    prop_assert_eq!(mine.len(), wanted.len());
                }
            }
            for a in 0..16u8 {
                let address = std::net::Ipv4Addr::new(10, 20, 0, a);
                let behind: Vec<_> = l.routes().filter(|r| r.prefix.net().contains(&std::net::IpAddr::V4(address))).collect();
                let leased = l.leases().filter(|lease| lease.ip.0 == address).count();
                prop_assert!(behind.len() + leased <= 1, "{address}: {behind:?} and {leased} leases");
                prop_assert_eq!(l.route_over(address.into()), behind.first().copied());
            }
        }
    }
}
