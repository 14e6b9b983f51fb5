//! The ledger: all pools, all leases, and what was before.

use crate::{
    error::{LoadError, PoolError, Refused, ReservationError, RouteRefused},
    lease::{Assign, Lease},
    pool::{Pool, PoolSpec, Usage},
    routes::Routes,
};
use ipnet::IpNet;
use std::{collections::BTreeMap, net::IpAddr};
use types::{Dnn, FramedRoute, Imsi, RoutePrefix, UeIp, Utc};

/// Who owns which address, and who did.
///
/// Order of use at start: [`Ledger::new`], [`Ledger::put_pool`] and [`Ledger::reserve`] for what is
/// configured, [`Ledger::load`] for what is stored.
#[derive(Debug, Clone)]
pub struct Ledger {
    rest_ms: u64,
    pools: BTreeMap<Dnn, Pool>,
    open: BTreeMap<(Imsi, Dnn), Lease>,
    /// Ended leases per address, in the order of time.
    past: BTreeMap<UeIp, Vec<Lease>>,
    routes: Routes,
}

impl Ledger {
    /// An empty ledger whose released addresses rest for `rest_ms` milliseconds.
    pub fn new(rest_ms: u64) -> Self {
        Self {
            rest_ms,
            pools: BTreeMap::new(),
            open: BTreeMap::new(),
            past: BTreeMap::new(),
            routes: Routes::default(),
        }
    }

    /// Adds a pool or changes one. Leases that the changed pool cannot hold end at `now` and come back, to
    /// be written.
    pub fn put_pool(&mut self, spec: PoolSpec, now: Utc) -> Result<Vec<Lease>, PoolError> {
        spec.check()?;
        let clash = self.pools.values().map(|p| &p.spec).find(|o| {
            o.dnn != spec.dnn
                && (o.prefix.contains(&spec.prefix.network()) || spec.prefix.contains(&o.prefix.network()))
        });
        if let Some(o) = clash {
            return Err(PoolError::Overlap {
                prefix: spec.prefix,
                other: o.dnn.clone(),
                other_prefix: o.prefix,
            });
        }
        let met = self.routes.meeting(spec.prefix.into());
        let met6 = || spec.prefix6.and_then(|p| self.routes.meeting(p.into()));
        if let Some(r) = met.or_else(met6) {
            return Err(PoolError::Route { prefix: spec.prefix, route: r.prefix, imsi: r.imsi });
        }
        let old = self.pools.get(&spec.dnn);
        if old.is_some_and(|p| p.spec == spec) {
            return Ok(Vec::new());
        }
        let reserved: Vec<(Imsi, UeIp)> =
            old.iter().flat_map(|p| &p.reserved).map(|(&i, &ip)| (i, ip)).collect();
        if let Some(&(imsi, ip)) = reserved.iter().find(|(_, ip)| spec.allows(*ip).is_err()) {
            return Err(PoolError::Reserved { ip, imsi });
        }
        let leases = self.take_leases_of(&spec.dnn);
        let mut pool = Pool::new(spec);
        for (imsi, ip) in reserved {
            // Checked above, and distinct because they come from one pool.
            _ = pool.reserve(imsi, ip);
        }
        self.pools.insert(pool.spec.dnn.clone(), pool);
        Ok(self.reopen(leases, now))
    }

    /// Removes a pool with its reservations. Its leases end at `now` and come back, to be written.
    pub fn remove_pool(&mut self, dnn: &Dnn, now: Utc) -> Vec<Lease> {
        let leases = self.take_leases_of(dnn);
        self.pools.remove(dnn);
        self.reopen(leases, now)
    }

    fn take_leases_of(&mut self, dnn: &Dnn) -> Vec<Lease> {
        let keys: Vec<_> = self.open.keys().filter(|(_, d)| d == dnn).cloned().collect();
        keys.iter().filter_map(|k| self.open.remove(k)).collect()
    }

    /// Puts open leases into their pools; returns those that found no place, ended.
    fn reopen(&mut self, leases: Vec<Lease>, now: Utc) -> Vec<Lease> {
        let mut ended = Vec::new();
        for lease in leases {
            match self.pools.get_mut(&lease.dnn) {
                Some(pool) if pool.spec.allows(lease.ip).is_ok() => {
                    pool.taken.insert(lease.ip, lease.imsi);
                    self.open.insert((lease.imsi, lease.dnn.clone()), lease);
                }
                Some(_) | None => {
                    let lease = lease.ended(now);
                    self.bury(lease.clone());
                    ended.push(lease);
                }
            }
        }
        ended
    }

    fn bury(&mut self, lease: Lease) {
        self.past.entry(lease.ip).or_default().push(lease);
    }

    /// Reserves `ip` for a SIM and takes it out of the pool; a reservation that the SIM had there before is
    /// replaced. It holds from the SIM's next [`Ledger::assign`] on.
    pub fn reserve(&mut self, imsi: Imsi, dnn: &Dnn, ip: UeIp) -> Result<(), ReservationError> {
        self.pools.get_mut(dnn).ok_or_else(|| ReservationError::UnknownDnn(dnn.clone()))?.reserve(imsi, ip)
    }

    /// Removes a SIM's reservation; a lease of that address goes on as an ordinary one.
    pub fn unreserve(&mut self, imsi: Imsi, dnn: &Dnn) -> Option<UeIp> {
        self.pools.get_mut(dnn)?.unreserve(imsi)
    }

    /// Makes these the networks behind a SIM, in place of those that it had; true if they were others. All or none.
    pub fn set_routes(&mut self, imsi: Imsi, wanted: &[(Dnn, RoutePrefix)]) -> Result<bool, RouteRefused> {
        let of = |p: &Pool| [Some(IpNet::V4(p.spec.prefix)), p.spec.prefix6.map(IpNet::V6)];
        let pools =
            self.pools.iter().flat_map(|(dnn, p)| of(p).into_iter().flatten().map(move |net| (dnn, net)));
        self.routes.set(imsi, wanted, pools)
    }

    /// Addresses of this system: none of them lies behind a SIM.
    pub fn set_own(&mut self, own: Vec<IpAddr>) {
        self.routes.set_own(own);
    }

    /// All networks behind SIMs.
    pub fn routes(&self) -> impl Iterator<Item = &FramedRoute> {
        self.routes.iter()
    }

    /// The network behind a SIM that an address lies in.
    pub fn route_over(&self, address: IpAddr) -> Option<&FramedRoute> {
        self.routes.over(address)
    }

    /// The address that a SIM has or would have in a data network, where that is settled: its reservation, else its lease.
    pub fn settled(&self, imsi: Imsi, dnn: &Dnn) -> Option<UeIp> {
        let reserved = self.pools.get(dnn)?.reserved.get(&imsi).copied();
        reserved.or_else(|| self.lease(imsi, dnn).map(|l| l.ip))
    }

    /// The address of a SIM in a data network: its lease, else its reservation, else the next free one.
    pub fn assign(&mut self, imsi: Imsi, dnn: &Dnn, now: Utc) -> Result<Assign, Refused> {
        let pool = self.pools.get_mut(dnn).ok_or_else(|| Refused::UnknownDnn(dnn.clone()))?;
        let key = (imsi, dnn.clone());
        let held = self.open.get(&key);
        let (past, rest_ms) = (&self.past, self.rest_ms);
        let ip = match (held, pool.reserved.get(&imsi).copied()) {
            (Some(lease), None) => return Ok(Assign::Existing(lease.clone())),
            (Some(lease), Some(ip)) if lease.ip == ip => return Ok(Assign::Existing(lease.clone())),
            (_, Some(ip)) => {
                if let Some(&other) = pool.taken.get(&ip) {
                    return Err(Refused::Leased { ip, imsi: other });
                }
                match last_lease(past, ip) {
                    Some(last) if last.imsi != imsi && rested(last, rest_ms) > now => {
                        return Err(Refused::Resting { ip, until: rested(last, rest_ms) });
                    }
                    Some(_) | None => ip,
                }
            }
            (None, None) => pool
                .next(now, |ip| last_lease(past, ip).map(|l| rested(l, rest_ms)))
                .ok_or_else(|| Refused::Exhausted(dnn.clone()))?,
        };
        // A clock that stepped back does not let two owners overlap.
        let start = last_lease(past, ip).and_then(|l| l.end).map_or(now, |end| end.max(now));
        let ended = self.release(imsi, dnn, now);
        let lease = Lease { imsi, dnn: dnn.clone(), ip, start, end: None };
        if let Some(pool) = self.pools.get_mut(dnn) {
            pool.taken.insert(ip, imsi);
        }
        self.open.insert(key, lease.clone());
        Ok(Assign::New { lease, ended })
    }

    /// Takes back an [`Assign::New`] that could not be made durable. Nobody has used the address, so it does
    /// not rest, and the lease that ended for it goes on.
    pub fn undo(&mut self, assign: Assign) {
        let Assign::New { lease, ended } = assign else { return };
        let key = (lease.imsi, lease.dnn.clone());
        if self.open.get(&key) != Some(&lease) {
            return;
        }
        self.open.remove(&key);
        let Some(pool) = self.pools.get_mut(&lease.dnn) else { return };
        pool.give_back(lease.ip, Utc(i64::MIN));
        if let Some(old) = ended {
            pool.taken.insert(old.ip, old.imsi);
            if let Some(past) = self.past.get_mut(&old.ip)
                && past.last() == Some(&old)
            {
                past.pop();
            }
            self.open.insert(key, Lease { end: None, ..old });
        }
    }

    /// Ends a SIM's lease at `now`; its address rests. Returns the ended lease, to be written.
    pub fn release(&mut self, imsi: Imsi, dnn: &Dnn, now: Utc) -> Option<Lease> {
        let lease = self.open.remove(&(imsi, dnn.clone()))?.ended(now);
        let until = rested(&lease, self.rest_ms);
        if let Some(pool) = self.pools.get_mut(dnn) {
            pool.give_back(lease.ip, until);
        }
        self.bury(lease.clone());
        Some(lease)
    }

    /// Takes in what is stored, open and ended leases in any order. Open leases that no pool holds any more
    /// end at `now` and come back, to be written. On an error nothing is taken in.
    pub fn load(&mut self, leases: Vec<Lease>, now: Utc) -> Result<Vec<Lease>, LoadError> {
        let stored = leases.iter().chain(self.open.values()).chain(self.past.values().flatten());
        check(stored)?;
        let (open, past): (Vec<Lease>, Vec<Lease>) = leases.into_iter().partition(|l| l.end.is_none());
        for lease in past {
            self.bury(lease);
        }
        for list in self.past.values_mut() {
            list.sort_by_key(|l| (l.start, l.end));
        }
        let ended = self.reopen(open, now);
        for (ip, list) in &self.past {
            for pool in self.pools.values_mut().filter(|p| p.spec.prefix.contains(&ip.0)) {
                if let (Some(last), false) = (list.last(), pool.taken.contains_key(ip)) {
                    pool.give_back(*ip, rested(last, self.rest_ms));
                }
            }
        }
        Ok(ended)
    }

    /// The open lease of a SIM in a data network.
    pub fn lease(&self, imsi: Imsi, dnn: &Dnn) -> Option<&Lease> {
        self.open.get(&(imsi, dnn.clone()))
    }

    /// The open leases, by SIM and data network.
    pub fn leases(&self) -> impl Iterator<Item = &Lease> {
        self.open.values()
    }

    /// The leases of an address in the order of time, the open one last.
    pub fn history(&self, ip: UeIp) -> impl Iterator<Item = &Lease> {
        self.past.get(&ip).into_iter().flatten().chain(self.owner(ip))
    }

    /// The lease that holds an address now.
    pub fn owner(&self, ip: UeIp) -> Option<&Lease> {
        self.pools.iter().find_map(|(dnn, pool)| {
            let imsi = *pool.taken.get(&ip)?;
            self.open.get(&(imsi, dnn.clone()))
        })
    }

    /// Who had `ip` at the instant `at`, as far back as leases were loaded and not forgotten.
    pub fn owner_at(&self, ip: UeIp, at: Utc) -> Option<&Lease> {
        self.history(ip).find(|l| l.covers(at))
    }

    /// Forgets leases that ended before `at` and have rested; `store` still has them.
    pub fn forget_before(&mut self, at: Utc, now: Utc) {
        let rest_ms = self.rest_ms;
        self.past.retain(|_, list| {
            list.retain(|l| l.end.is_none_or(|end| end >= at) || rested(l, rest_ms) > now);
            !list.is_empty()
        });
    }

    /// The SIM for which an address is reserved.
    pub fn reserved_for(&self, dnn: &Dnn, ip: UeIp) -> Option<Imsi> {
        self.pools.get(dnn)?.reserved_for(ip)
    }

    /// Our own address in a data network.
    pub fn gateway(&self, dnn: &Dnn) -> Option<std::net::Ipv4Addr> {
        self.pools.get(dnn).map(|p| p.spec.gateway())
    }

    /// How full the pool of a data network is.
    pub fn usage(&self, dnn: &Dnn) -> Option<Usage> {
        self.pools.get(dnn).map(Pool::usage)
    }
}

fn last_lease(past: &BTreeMap<UeIp, Vec<Lease>>, ip: UeIp) -> Option<&Lease> {
    past.get(&ip)?.last()
}

/// From when on another SIM may have the address of an ended lease.
fn rested(lease: &Lease, rest_ms: u64) -> Utc {
    let end = lease.end.unwrap_or(Utc(i64::MAX));
    Utc(end.0.saturating_add(i64::try_from(rest_ms).unwrap_or(i64::MAX)))
}

/// No address with two owners at one instant, no SIM with two open leases in one data network.
fn check<'a>(leases: impl Iterator<Item = &'a Lease>) -> Result<(), LoadError> {
    let mut by_ip: BTreeMap<UeIp, Vec<&Lease>> = BTreeMap::new();
    let mut open = std::collections::BTreeSet::new();
    for l in leases {
        if l.end.is_some_and(|end| end < l.start) {
            return Err(LoadError::Backwards { ip: l.ip, imsi: l.imsi });
        }
        if l.end.is_none() && !open.insert((l.imsi, &l.dnn)) {
            return Err(LoadError::TwoLeases { imsi: l.imsi, dnn: l.dnn.clone() });
        }
        by_ip.entry(l.ip).or_default().push(l);
    }
    for (ip, mut list) in by_ip {
        list.sort_by_key(|l| (l.start, l.end.unwrap_or(Utc(i64::MAX))));
        for pair in list.windows(2) {
            if let [a, b] = pair
                && a.end.is_none_or(|end| end > b.start)
            {
                return Err(LoadError::TwoOwners { ip, one: a.imsi, other: b.imsi });
            }
        }
    }
    Ok(())
}
