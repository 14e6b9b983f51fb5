//! Networks behind SIMs (framed routes): whose they are, and whose they were (decision D8).
//!
//! An address lies behind one SIM at most, and is in no pool: asked in the transaction that writes. A change of a SIM's
//! routes raises the version of the SIM. Their numbers are those of the leases, so that both are one ledger.

use crate::{
    Store,
    audit::Change,
    db::{Rec, Tx, args},
    error::{Clash, StoreError},
    kept::expect_version,
    sims::object,
};
use ipnet::IpNet;
use std::collections::BTreeSet;
use types::{DataNetwork, Dnn, FramedRoute, Imsi, RoutePrefix, Utc};

/// One line: a route and how long it was its SIM's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteRow {
    /// Its number.
    pub id: u64,
    /// Whose, where, which.
    pub route: FramedRoute,
    /// From when.
    pub start: Utc,
    /// Until when; `None` while it lasts.
    pub end: Option<Utc>,
}

/// What lies behind a SIM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimRoutes {
    /// Whose.
    pub imsi: Imsi,
    /// The SIM's version.
    pub version: u64,
    /// The routes, in the order of their addresses.
    pub routes: Vec<RouteRow>,
}

impl RouteRow {
    fn read(r: &Rec) -> Result<Self, StoreError> {
        Ok(Self {
            id: r.uint("id")?,
            route: FramedRoute { imsi: r.parse("imsi")?, dnn: r.parse("dnn")?, prefix: r.parse("prefix")? },
            start: r.utc("started")?,
            end: r.maybe_int("ended")?.map(Utc),
        })
    }
}

/// An address as the columns `low` and `high` have it.
pub(crate) fn digits(number: u128) -> String {
    format!("{number:032x}")
}

impl Tx {
    async fn sim_routes(&mut self, imsi: Imsi) -> Result<SimRoutes, StoreError> {
        let version =
            self.one("SELECT version FROM sims WHERE imsi = $1", args![imsi]).await?.uint("version")?;
        let sql = "SELECT * FROM sim_routes WHERE imsi = $1 AND ended IS NULL ORDER BY low";
        let rows = self.rows(sql, args![imsi]).await?;
        let routes = rows.iter().map(RouteRow::read).collect::<Result<_, _>>()?;
        Ok(SimRoutes { imsi, version, routes })
    }

    /// An open route that has an address of `net`.
    async fn route_meeting(&mut self, net: IpNet) -> Result<Option<RouteRow>, StoreError> {
        let (low, high) = RoutePrefix::span_of(net);
        let a = args![digits(low), digits(high)];
        self.maybe(MEETING, a).await?.as_ref().map(RouteRow::read).transpose()
    }

    /// Its SIM is gone for good: what lay behind it does no longer.
    pub(crate) async fn end_routes(&mut self, imsi: Imsi, at: Utc) -> Result<(), StoreError> {
        self.later("UPDATE sim_routes SET ended = $2 WHERE imsi = $1 AND ended IS NULL", args![imsi, at])
            .await
    }
}

const MEETING: &str =
    "SELECT * FROM sim_routes WHERE ended IS NULL AND low <= $2 AND high >= $1 ORDER BY low LIMIT 1";

impl Store {
    /// What lies behind a SIM.
    pub async fn sim_routes(&self, imsi: Imsi) -> Result<SimRoutes, StoreError> {
        self.db.snapshot().await?.sim_routes(imsi).await
    }

    /// Makes these the networks behind a SIM, in place of those that it had. One that shares addresses with a pool or with
    /// another route is [`Clash::Route`]. `expect` is the version of the SIM that the caller saw; `None` is any.
    pub async fn set_routes(
        &self,
        imsi: Imsi,
        wanted: BTreeSet<(Dnn, RoutePrefix)>,
        expect: Option<u64>,
        change: &Change,
    ) -> Result<SimRoutes, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let old = tx.sim_routes(imsi).await?;
                expect_version(expect, old.version)?;
                let of = |r: &RouteRow| (r.route.dnn.clone(), r.route.prefix);
                let had: BTreeSet<_> = old.routes.iter().map(of).collect();
                if had == wanted {
                    return Ok(old);
                }
                for gone in old.routes.iter().filter(|r| !wanted.contains(&of(r))) {
                    let sql = "UPDATE sim_routes SET ended = $2 WHERE id = $1";
                    tx.exec(sql, args![gone.id, change.at.max(gone.start)]).await?;
                }
                let pools: Vec<IpNet> = tx.documents().await?.data_networks.iter().flat_map(pools).collect();
                for (dnn, prefix) in wanted.difference(&had) {
                    let met = pools.iter().any(|p| prefix.meets(*p));
                    if met || tx.route_meeting(prefix.net()).await?.is_some() {
                        return Err(StoreError::Conflict { what: Clash::Route });
                    }
                    let id = tx.count_up("leases", 1).await?;
                    let (low, high) = prefix.span();
                    let sql = "INSERT INTO sim_routes (id, imsi, dnn, prefix, low, high, started)
                               VALUES ($1, $2, $3, $4, $5, $6, $7)";
                    let a = args![id, imsi, dnn, prefix.to_string(), digits(low), digits(high), change.at];
                    tx.exec(sql, a).await?;
                }
                let sql = "UPDATE sims SET version = version + 1, changed = $2 WHERE imsi = $1";
                tx.exec(sql, args![imsi, change.at]).await?;
                let told = |all: &BTreeSet<(Dnn, RoutePrefix)>| {
                    let one = |(dnn, prefix): &(Dnn, RoutePrefix)| serde_json::json!({ "dnn": dnn, "prefix": prefix });
                    Some(serde_json::json!({ "routes": all.iter().map(one).collect::<Vec<_>>() }))
                };
                tx.record(&change, "sim.routes", object(imsi), told(&had), told(&wanted)).await?;
                tx.sim_routes(imsi).await
            })
        })
        .await
    }

    /// All routes that SIMs have.
    pub async fn open_routes(&self) -> Result<Vec<FramedRoute>, StoreError> {
        let rows =
            self.db.rows("SELECT * FROM sim_routes WHERE ended IS NULL ORDER BY imsi, low", vec![]).await?;
        rows.iter().map(|r| RouteRow::read(r).map(|r| r.route)).collect()
    }

    /// A route that has an address of `net`.
    pub async fn route_meeting(&self, net: IpNet) -> Result<Option<RouteRow>, StoreError> {
        self.db.snapshot().await?.route_meeting(net).await
    }

    /// A route of a data network, where there is one.
    pub async fn route_of_network(&self, dnn: &str) -> Result<Option<RouteRow>, StoreError> {
        let sql = "SELECT * FROM sim_routes WHERE dnn = $1 AND ended IS NULL ORDER BY low LIMIT 1";
        self.db.maybe(sql, args![dnn]).await?.as_ref().map(RouteRow::read).transpose()
    }
}

/// Where a data network's sessions live.
fn pools(n: &DataNetwork) -> impl Iterator<Item = IpNet> + use<> {
    n.pools()
}
