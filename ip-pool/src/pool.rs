//! One pool: which addresses of a data network may be given next.

use crate::error::{PoolError, ReservationError};
use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};
use types::{Dnn, Imsi, UeIp, Utc};

/// A pool as configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolSpec {
    /// The data network.
    pub dnn: Dnn,
    /// Where its addresses come from.
    pub prefix: Ipv4Net,
    /// Our own address in it, never given to a UE; `None` means the first host address.
    pub gateway: Option<Ipv4Addr>,
    /// Where the IPv6 prefixes of its UEs lie: each is the affair of its address's lease.
    pub prefix6: Option<Ipv6Net>,
}

impl PoolSpec {
    /// The address that is ours: the configured one, else the first host address.
    pub fn gateway(&self) -> Ipv4Addr {
        self.gateway.unwrap_or_else(|| Ipv4Addr::from_bits(self.prefix.network().to_bits().saturating_add(1)))
    }

    pub(crate) fn check(&self) -> Result<(), PoolError> {
        if self.prefix != self.prefix.trunc() {
            return Err(PoolError::HostBits(self.prefix));
        }
        if !(1..=30).contains(&self.prefix.prefix_len()) {
            return Err(PoolError::Size(self.prefix));
        }
        let gateway = self.gateway();
        let edge = gateway == self.prefix.network() || gateway == self.prefix.broadcast();
        if edge || !self.prefix.contains(&gateway) {
            return Err(PoolError::Gateway { gateway, prefix: self.prefix });
        }
        Ok(())
    }

    /// Whether a UE may have this address.
    pub(crate) fn allows(&self, ip: UeIp) -> Result<(), ReservationError> {
        if !self.prefix.contains(&ip.0) {
            return Err(ReservationError::OutsidePool { ip, prefix: self.prefix, dnn: self.dnn.clone() });
        }
        if ip.0 == self.prefix.network() {
            return Err(ReservationError::Network(ip));
        }
        if ip.0 == self.prefix.broadcast() {
            return Err(ReservationError::Broadcast(ip));
        }
        if ip.0 == self.gateway() {
            return Err(ReservationError::Gateway(ip));
        }
        Ok(())
    }
}

/// How full a pool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Addresses that UEs can have in all.
    pub size: u64,
    /// Leased now, reserved ones included.
    pub leased: u64,
    /// Reserved and not leased.
    pub reserved: u64,
}

/// The state of one pool.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    pub(crate) spec: PoolSpec,
    /// Owners of leased addresses.
    pub(crate) taken: BTreeMap<UeIp, Imsi>,
    pub(crate) reserved: BTreeMap<Imsi, UeIp>,
    reserved_for: BTreeMap<UeIp, Imsi>,
    /// Every address below has been looked at once. 64 bits, so that it can stand behind the last one.
    fresh: u64,
    /// Addresses that come free again, by the instant at which they have rested. An entry is a hint: it
    /// counts only if the address is neither taken nor reserved.
    returned: BTreeSet<(Utc, UeIp)>,
}

impl Pool {
    pub(crate) fn new(spec: PoolSpec) -> Self {
        let fresh = u64::from(spec.prefix.network().to_bits());
        Self {
            spec,
            taken: BTreeMap::new(),
            reserved: BTreeMap::new(),
            reserved_for: BTreeMap::new(),
            fresh,
            returned: BTreeSet::new(),
        }
    }

    pub(crate) fn reserved_for(&self, ip: UeIp) -> Option<Imsi> {
        self.reserved_for.get(&ip).copied()
    }

    pub(crate) fn reserve(&mut self, imsi: Imsi, ip: UeIp) -> Result<(), ReservationError> {
        self.spec.allows(ip)?;
        match (self.reserved_for(ip), self.taken.get(&ip)) {
            (Some(other), _) if other != imsi => Err(ReservationError::Reserved { ip, imsi: other }),
            (_, Some(&other)) if other != imsi => Err(ReservationError::Leased { ip, imsi: other }),
            _ => {
                self.unreserve(imsi);
                self.reserved.insert(imsi, ip);
                self.reserved_for.insert(ip, imsi);
                Ok(())
            }
        }
    }

    pub(crate) fn unreserve(&mut self, imsi: Imsi) -> Option<UeIp> {
        let ip = self.reserved.remove(&imsi)?;
        self.reserved_for.remove(&ip);
        // It may have been passed over while it was reserved.
        self.returned.insert((Utc(i64::MIN), ip));
        Some(ip)
    }

    /// An address comes free at `at`.
    pub(crate) fn give_back(&mut self, ip: UeIp, at: Utc) {
        self.taken.remove(&ip);
        self.returned.insert((at, ip));
    }

    /// The next address for a SIM without a reservation: one that nobody ever had, else the one that has
    /// rested longest. `rested(ip)` says from when on an address may be given; `None` if nobody had it.
    pub(crate) fn next(&mut self, now: Utc, rested: impl Fn(UeIp) -> Option<Utc>) -> Option<UeIp> {
        let last = u64::from(self.spec.prefix.broadcast().to_bits());
        while self.fresh < last {
            let ip = UeIp(Ipv4Addr::from_bits(u32::try_from(self.fresh).ok()?));
            self.fresh += 1;
            if self.is_open(ip) {
                match rested(ip) {
                    None => return Some(ip),
                    Some(until) => _ = self.returned.insert((until, ip)),
                }
            }
        }
        while let Some(&(until, ip)) = self.returned.first()
            && until <= now
        {
            self.returned.pop_first();
            if self.is_open(ip) {
                match rested(ip) {
                    Some(later) if later > now => _ = self.returned.insert((later, ip)),
                    Some(_) | None => return Some(ip),
                }
            }
        }
        None
    }

    fn is_open(&self, ip: UeIp) -> bool {
        !self.taken.contains_key(&ip) && self.reserved_for(ip).is_none() && self.spec.allows(ip).is_ok()
    }

    pub(crate) fn usage(&self) -> Usage {
        let reserved = self.reserved_for.keys().filter(|ip| !self.taken.contains_key(ip)).count();
        Usage {
            size: (1u64 << (32 - u32::from(self.spec.prefix.prefix_len()))).saturating_sub(3),
            leased: self.taken.len() as u64,
            reserved: reserved as u64,
        }
    }
}
