//! Addresses of ranges that foreign SMFs give by themselves: which SIM has which, durable before its session carries
//! anything, so that "who had this address" has an answer there, too.
//!
//! A session that its SMF makes anew comes before the end of its old one is looked at, so an end is written a round of the
//! reconciler later, with the time at which the session went.

use super::{Control, ForeignLeased};
use crate::control::Done;
use gateway::time::now;
use ipnet::{IpNet, Ipv6Net};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};
use store::{ForeignLease, StoreError};
use tracing::error;
use types::{ForeignAsk, ForeignSession, Imsi, Mono, Utc};

/// How long one waits for its session.
const PATIENCE_MS: u64 = 30_000;

/// Those that last.
#[derive(Default)]
pub(in crate::control) struct Leases(BTreeMap<IpNet, Lease>);

struct Lease {
    row: ForeignLease,
    durable: bool,
    since: Mono,
    /// When its session went.
    gone: Option<Utc>,
}

impl Leases {
    pub(super) fn new(rows: Vec<ForeignLease>) -> Self {
        let since = now().mono;
        let lease = |row: ForeignLease| (row.net, Lease { row, durable: true, since, gone: None });
        Self(rows.into_iter().map(lease).collect())
    }

    /// These begin; those of them that are not durable yet.
    pub(super) fn begin(&mut self, wanted: &[ForeignLease], at: Mono) -> Vec<ForeignLease> {
        let mut news = Vec::new();
        for row in wanted {
            let durable = self.0.get(&row.net).is_some_and(|l| l.durable && l.row == *row);
            if !durable {
                news.push(row.clone());
            }
            self.0.insert(row.net, Lease { row: row.clone(), durable, since: at, gone: None });
        }
        news
    }

    /// These are durable.
    fn stored(&mut self, rows: &[ForeignLease]) {
        for row in rows {
            if let Some(l) = self.0.get_mut(&row.net).filter(|l| l.row == *row) {
                l.durable = true;
            }
        }
    }

    /// The session that had these is gone.
    pub(super) fn left(&mut self, nets: &[IpNet], imsi: Imsi, at: Utc) {
        for net in nets {
            if let Some(l) = self.0.get_mut(net).filter(|l| l.row.imsi == imsi) {
                l.gone = Some(at);
            }
        }
    }

    /// Takes out those that no session has: whose session went, or never came.
    fn over(&mut self, live: &BTreeSet<(Imsi, IpNet)>, at: types::Now) -> Vec<(ForeignLease, Utc)> {
        let ends = |net: &IpNet, l: &mut Lease| {
            let waits = l.gone.is_none() && at.mono < l.since.plus_ms(PATIENCE_MS);
            !waits && !live.contains(&(l.row.imsi, *net))
        };
        self.0.extract_if(.., ends).map(|(_, l)| (l.row, l.gone.unwrap_or(at.utc))).collect()
    }
}

/// What a session has of the SMF's own.
pub(super) fn leases_of(
    ask: &ForeignAsk,
    smf: &str,
    ip: Ipv4Addr,
    prefix: Option<Ipv6Net>,
) -> Vec<ForeignLease> {
    let row = |net| ForeignLease { imsi: ask.imsi, dnn: ask.dnn.clone(), smf: smf.to_owned(), net };
    nets(ip, prefix).map(row).collect()
}

/// Address and prefix of a session.
pub(super) fn nets_of(s: &ForeignSession) -> Vec<IpNet> {
    nets(s.ip.0, s.prefix).collect()
}

fn nets(ip: Ipv4Addr, prefix: Option<Ipv6Net>) -> impl Iterator<Item = IpNet> {
    std::iter::once(IpNet::from(std::net::IpAddr::V4(ip))).chain(prefix.map(IpNet::V6))
}

impl Control {
    /// A session lives: what it has of its SMF's own lasts, though a restored database may not know of it.
    pub(super) fn foreign_lease_lives(&mut self, s: &ForeignSession) {
        if self.addresses.are_over(s.ip.0) {
            return;
        }
        let smf = self.smf_name(s.smf);
        let row = |net| ForeignLease { imsi: s.imsi, dnn: s.dnn.clone(), smf: smf.clone(), net };
        let rows: Vec<ForeignLease> = nets(s.ip.0, s.prefix).map(row).collect();
        let news = self.foreign.leases.begin(&rows, now().mono);
        if !news.is_empty() && !self.reduced {
            self.store_foreign_leases(news, None);
        }
    }

    /// The gateway is back: whatever has no session in it went with it.
    pub(super) fn foreign_leases_found(&mut self) {
        let at = now().utc;
        for l in self.foreign.leases.0.values_mut() {
            l.gone.get_or_insert(at);
        }
        let live: Vec<ForeignSession> = self.foreign.sessions().cloned().collect();
        live.iter().for_each(|s| self.foreign_lease_lives(s));
    }

    /// Begins them in the database; `then` waits for that.
    pub(super) fn store_foreign_leases(&self, rows: Vec<ForeignLease>, then: Option<ForeignLeased>) {
        let (store, done, at) = (self.store.clone(), self.done.clone(), now().utc);
        tokio::spawn(async move {
            let written = store.begin_foreign_leases(rows.clone(), at).await;
            if let Err(e) = &written {
                error!("which addresses foreign SMFs have given could not be written: {e}");
            }
            let ok = written.is_ok();
            drop(done.send(Done::ForeignLeased { rows, then, ok }));
        });
    }

    /// The database has answered about them.
    pub(in crate::control) fn foreign_leases_stored(
        &mut self,
        rows: &[ForeignLease],
        then: Option<ForeignLeased>,
        ok: bool,
    ) {
        if ok {
            self.foreign.leases.stored(rows);
        }
        if let Some(then) = then {
            self.foreign_lease_stored(then, ok);
        }
    }

    /// Ends those that no session has any more, where the gateway is there to say so.
    pub(super) fn end_foreign_leases(&mut self) {
        if self.gateway.is_none() || self.reduced {
            return;
        }
        let live = self.foreign.sessions().flat_map(|s| nets_of(s).into_iter().map(|n| (s.imsi, n)));
        let live: BTreeSet<(Imsi, IpNet)> = live.collect();
        let over = self.foreign.leases.over(&live, now());
        if over.is_empty() {
            return;
        }
        let store = self.store.clone();
        tokio::spawn(async move {
            let written: Result<(), StoreError> = store.end_foreign_leases(over).await;
            if let Err(e) = written {
                error!("the end of addresses that foreign SMFs gave could not be written: {e}");
            }
        });
    }
}
