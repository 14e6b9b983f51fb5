//! Leases: given by the ledger, durable in the store before the UE learns its address (decision D8).

use super::{Control, Done};
use access::nr;
use anyhow::Result;
use gateway::{link::ToGateway, time::now};
use ip_pool::{Assign, Lease, Ledger, PoolSpec};
use std::{collections::BTreeMap, net::IpAddr};
use store::Store;
use tracing::{error, info, warn};
use types::{
    AddressRefusal, DataNetwork, Dnn, FramedRoute, Imsi, PduSessionId, SessionAddress, Supi, UeIp, Utc,
};

/// How long a released address rests before another SIM gets it, milliseconds: a day.
pub const REST_MS: u64 = 24 * 60 * 60 * 1000;

/// The ledger and what belongs to an address beside it.
pub(crate) struct Addresses {
    ledger: Ledger,
    networks: BTreeMap<Dnn, DataNetwork>,
    /// After a restore: until then no address gets a new owner.
    rest_until: Option<Utc>,
}

/// The store's answer about a lease.
pub(crate) struct Leased {
    asker: Asker,
    assigned: Assign,
    ok: bool,
}

/// Who needs an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asker {
    /// Our SMF, for a session.
    Session(nr::TxnId),
    /// An MME, for a SIM's profile.
    Profile(u64),
    /// The gateway, for a session of a foreign SMF.
    Foreign(u64),
    /// An SMF, to hold against what it has given.
    Bearer(u64),
}

impl Addresses {
    /// Pools, reservations, leases and networks behind SIMs as they are stored. `own` are addresses of this system.
    pub async fn load(store: &Store, networks: &[DataNetwork], own: Vec<IpAddr>, now: Utc) -> Result<Self> {
        let mut ledger = Ledger::new(REST_MS);
        ledger.set_own(own);
        let mut ended = Vec::new();
        for n in networks {
            ended.extend(put_pool(&mut ledger, n, now)?);
        }
        let since = Utc(now.0.saturating_sub(REST_MS as i64));
        let mut rows = store.open_leases().await?;
        rows.extend(store.leases_ended_since(since).await?);
        let leases = rows
            .into_iter()
            .map(|r| Lease { imsi: r.imsi, dnn: r.dnn, ip: UeIp(r.ip), start: r.start, end: r.end })
            .collect();
        ended.extend(ledger.load(leases, now)?);
        for l in ended {
            store.close_lease(l.imsi, l.dnn, l.end.unwrap_or(now)).await?;
        }
        let rest_until = store.leases_rest_until().await?;
        let networks = networks.iter().map(|n| (n.dnn.clone(), n.clone())).collect();
        let mut this = Self { ledger, networks, rest_until };
        for (imsi, dnn, ip) in store.static_addresses().await? {
            this.reserve(imsi, &dnn, UeIp(ip));
        }
        for mine in store.open_routes().await?.chunk_by(|a, b| a.imsi == b.imsi) {
            if let Some(first) = mine.first() {
                this.set_routes(first.imsi, mine);
            }
        }
        Ok(this)
    }

    /// Whether a lease may not begin yet: the backup that was restored does not know who had the address since. A
    /// static address is its SIM's in any case.
    fn rests(&self, assigned: &Assign, at: Utc) -> bool {
        let lease = assigned.lease();
        self.rest_until.is_some_and(|until| at < until)
            && self.ledger.reserved_for(&lease.dnn, lease.ip) != Some(lease.imsi)
    }

    /// No pool and no lease: nobody gets an address.
    pub fn none() -> Self {
        Self { ledger: Ledger::new(REST_MS), networks: BTreeMap::new(), rest_until: None }
    }

    /// What lies behind a SIM; true if that is new. What cannot hold is told, and the SIM keeps what it had.
    fn set_routes(&mut self, imsi: Imsi, routes: &[FramedRoute]) -> bool {
        let wanted: Vec<_> = routes.iter().map(|r| (r.dnn.clone(), r.prefix)).collect();
        self.ledger.set_routes(imsi, &wanted).unwrap_or_else(|e| {
            warn!(%imsi, "what lies behind {imsi} is not in force: {e}");
            false
        })
    }

    /// What lies behind SIMs.
    pub fn routes(&self) -> impl Iterator<Item = &FramedRoute> {
        self.ledger.routes()
    }

    /// True if an address lies in the pool of a data network: only the ledger gives it.
    pub fn are_over(&self, ip: std::net::Ipv4Addr) -> bool {
        self.networks.values().any(|n| n.pool.contains(&IpAddr::V4(ip)))
    }

    /// The same of an IPv6 prefix.
    pub fn are_over_prefix(&self, prefix: ipnet::Ipv6Net) -> bool {
        self.networks.values().filter_map(|n| n.pool6).any(|p| p.contains(&prefix) || prefix.contains(&p))
    }

    /// The address that a SIM has or would have in a data network, where that is settled.
    pub fn settled(&self, imsi: Imsi, dnn: &Dnn) -> Option<UeIp> {
        self.ledger.settled(imsi, dnn)
    }

    /// The prefix that belongs to an address of a data network.
    pub fn prefix_beside(&self, dnn: &Dnn, ip: std::net::Ipv4Addr) -> Option<ipnet::Ipv6Net> {
        self.networks.get(dnn)?.prefix_of(ip)
    }

    /// Who holds a lease that is open.
    pub fn holders(&self) -> impl Iterator<Item = Imsi> {
        self.ledger.leases().filter(|l| l.end.is_none()).map(|l| l.imsi)
    }

    /// A reservation that cannot hold is told, not silently dropped; the SIM then gets a pooled address.
    fn reserve(&mut self, imsi: Imsi, dnn: &Dnn, ip: UeIp) {
        if let Err(e) = self.ledger.reserve(imsi, dnn, ip) {
            warn!(%imsi, %dnn, %ip, "the static address {ip} of {imsi} cannot be reserved: {e}");
        }
    }
}

fn put_pool(ledger: &mut Ledger, n: &DataNetwork, now: Utc) -> Result<Vec<Lease>> {
    let ipnet::IpNet::V4(prefix) = n.pool else {
        anyhow::bail!("the pool {} of {} is not IPv4", n.pool, n.dnn);
    };
    Ok(ledger.put_pool(PoolSpec { dnn: n.dnn.clone(), prefix, gateway: None, prefix6: n.pool6 }, now)?)
}

impl Control {
    /// The data networks of a new policy: pools come, change and go.
    pub(super) fn set_networks(&mut self, networks: &[DataNetwork]) {
        let at = now().utc;
        let mut ended = Vec::new();
        let gone: Vec<Dnn> = self
            .addresses
            .networks
            .keys()
            .filter(|d| !networks.iter().any(|n| n.dnn == **d))
            .cloned()
            .collect();
        for dnn in gone {
            ended.extend(self.addresses.ledger.remove_pool(&dnn, at));
            self.addresses.networks.remove(&dnn);
        }
        for n in networks {
            match put_pool(&mut self.addresses.ledger, n, at) {
                Ok(e) => {
                    ended.extend(e);
                    self.addresses.networks.insert(n.dnn.clone(), n.clone());
                }
                Err(e) => self.alarm(None, format!("the pool of {} is not in use: {e:#}", n.dnn)),
            }
        }
        for l in ended {
            self.close_lease(l);
        }
    }

    /// Static addresses of one SIM, as they are stored.
    pub(super) fn set_reservations(&mut self, imsi: Imsi, ips: &BTreeMap<Dnn, std::net::Ipv4Addr>) {
        let dnns: Vec<Dnn> = self.addresses.networks.keys().cloned().collect();
        for dnn in dnns {
            match ips.get(&dnn) {
                Some(ip) => self.addresses.reserve(imsi, &dnn, UeIp(*ip)),
                None => drop(self.addresses.ledger.unreserve(imsi, &dnn)),
            }
        }
    }

    /// What lies behind one SIM, as it is stored.
    pub(super) fn set_routes(&mut self, imsi: Imsi, routes: &[FramedRoute]) {
        if self.addresses.set_routes(imsi, routes) {
            self.publish_routes();
            self.publish_prefixes();
        }
    }

    /// Tells the gateway what lies behind SIMs.
    pub(super) fn publish_routes(&self) {
        self.to_gateway(ToGateway::Routes(self.addresses.routes().cloned().collect()));
    }

    /// The SMF needs an address for a session.
    pub(super) fn need_address(&mut self, txn: nr::TxnId, supi: Supi, dnn: Dnn, id: PduSessionId) {
        tracing::debug!(imsi = %supi.imsi(), %dnn, session = u8::from(id), "a session needs an address");
        self.lease(Asker::Session(txn), supi.imsi(), dnn);
    }

    /// Gives a SIM its address in a data network; answered by [`Control::give_address`].
    pub(super) fn lease(&mut self, asker: Asker, imsi: Imsi, dnn: Dnn) {
        let at = now().utc;
        match self.addresses.ledger.assign(imsi, &dnn, at) {
            Err(e) => {
                info!(%imsi, %dnn, "no address for {imsi}: {e}");
                self.give_address(asker, Err(e.into()));
            }
            Ok(Assign::Existing(l)) => self.give_lease(asker, &l),
            Ok(assigned @ Assign::New { .. }) if self.addresses.rests(&assigned, at) => {
                let ip = assigned.lease().ip;
                warn!(%imsi, %dnn, %ip, "no address for {imsi}: after the restore all of them rest");
                self.addresses.ledger.undo(assigned);
                self.give_address(asker, Err(AddressRefusal::Unavailable));
            }
            Ok(assigned @ Assign::New { .. }) => {
                let (store, done) = (self.store.clone(), self.done.clone());
                tokio::spawn(async move {
                    let ok = match write_lease(&store, &assigned).await {
                        Ok(()) => true,
                        Err(e) => {
                            error!("a lease could not be made durable: {e}");
                            false
                        }
                    };
                    drop(done.send(Done::Leased(Leased { asker, assigned, ok })));
                });
            }
        }
    }

    /// The store has answered about a lease.
    pub(super) fn leased(&mut self, l: Leased) {
        let lease = l.assigned.lease().clone();
        if l.ok {
            return self.give_lease(l.asker, &lease);
        }
        warn!(imsi = %lease.imsi, dnn = %lease.dnn, "the lease of {} is taken back", lease.imsi);
        self.addresses.ledger.undo(l.assigned);
        self.give_address(l.asker, Err(AddressRefusal::Unavailable));
    }

    fn give_lease(&mut self, asker: Asker, l: &Lease) {
        let result = match self.addresses.networks.get(&l.dnn) {
            Some(n) => {
                Ok(SessionAddress { ip: l.ip, prefix: n.prefix_of(l.ip.0), dns: n.dns.clone(), mtu: n.mtu })
            }
            None => Err(AddressRefusal::UnknownDnn),
        };
        self.give_address(asker, result);
    }

    fn give_address(&mut self, asker: Asker, result: Result<SessionAddress, AddressRefusal>) {
        match asker {
            Asker::Session(txn) => self.amf.handle(nr::Input::Address { txn, result }, now()),
            Asker::Profile(txn) => self.profile_leased(txn, result.ok()),
            Asker::Foreign(id) => self.foreign_leased(id, result),
            Asker::Bearer(txn) => self.bearer_leased(txn, result),
        }
    }

    /// A session is over. The lease outlives it: the SIM gets the same address again, and the next attach writes
    /// nothing.
    pub(super) fn release_address(&mut self, supi: Supi, dnn: &Dnn, id: PduSessionId) {
        tracing::debug!(imsi = %supi.imsi(), %dnn, session = u8::from(id), "the lease outlives the session");
    }

    /// A SIM is retired: its addresses rest.
    pub(super) fn release_all(&mut self, imsi: Imsi) {
        let at = now().utc;
        self.set_routes(imsi, &[]);
        let dnns: Vec<Dnn> = self.addresses.networks.keys().cloned().collect();
        for dnn in dnns {
            self.addresses.ledger.unreserve(imsi, &dnn);
            if let Some(l) = self.addresses.ledger.release(imsi, &dnn, at) {
                self.close_lease(l);
            }
        }
    }

    fn close_lease(&self, l: Lease) {
        let store = self.store.clone();
        tokio::spawn(async move {
            if let Err(e) = store.close_lease(l.imsi, l.dnn, l.end.unwrap_or_default()).await {
                error!(imsi = %l.imsi, "the end of a lease could not be written: {e}");
            }
        });
    }
}

async fn write_lease(store: &Store, a: &Assign) -> Result<(), store::StoreError> {
    if let Assign::New { lease, ended } = a {
        crash::point("lease.before-durable");
        if let Some(old) = ended {
            store.close_lease(old.imsi, old.dnn.clone(), old.end.unwrap_or(lease.start)).await?;
        }
        store.open_lease(lease.imsi, lease.dnn.clone(), lease.ip.0, lease.start).await?;
        crash::point("lease.durable");
    }
    Ok(())
}
