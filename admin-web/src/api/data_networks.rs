//! Data networks: where sessions of one DNN live.

use crate::{
    api::{
        List,
        documents::{self, Kept, Resource, Write, handlers},
        routes,
    },
    check::{Check, Kind},
    problem::Problem,
    request::{Body, IdempotencyKey, IfMatch, IfMatchHeader, Paging, Params, PathOf},
    rights::{Limited, PolicyCapability, ReadCapability},
    state::AppState,
};
use axum::{extract::State, http::StatusCode, response::Response};
use pgw_policy::{Item, Policy};
use serde::{Deserialize, Serialize};
use store::{Clash, StoreError};
use types::DataNetwork;
use utoipa::ToSchema;

/// A data network.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = DataNetwork)]
pub(crate) struct DataNetworkBody {
    /// Its name, as the UE asks for it.
    #[schema(example = "corp")]
    dnn: String,
    /// Prefix that UE addresses come from (IPv4).
    #[schema(example = "10.20.0.0/16")]
    pool: String,
    /// Prefix that UEs' IPv6 prefixes of 64 bits come from, one for each address of the pool; without it sessions are IPv4
    /// alone. A change holds for sessions that are made after it.
    #[serde(default)]
    #[schema(example = "2001:db8:20::/48")]
    pool6: Option<String>,
    /// Resolvers told to the UE, IPv4 and IPv6: those of IPv6 by router advertisement too.
    #[serde(default)]
    dns: Vec<String>,
    /// IPv4 link MTU told to the UE, octets; 1400 if not given.
    #[serde(default = "DataNetwork::default_mtu")]
    mtu: u16,
}

impl Resource for DataNetwork {
    type Body = DataNetworkBody;
    const PATH: &'static str = "/api/v1/data-networks";
    const KEY: &'static str = "dnn";

    fn read(b: DataNetworkBody, check: &mut Check) -> Option<Self> {
        let dnn = check.parse("/dnn", &b.dnn, Kind::Dnn);
        let pool = check.parse("/pool", &b.pool, Kind::Prefix);
        let pool6 = check.maybe("/pool6", b.pool6.as_deref(), Kind::Prefix);
        let dns = check.each("/dns", &b.dns, Kind::Ip);
        Some(Self { dnn: dnn?, pool: pool?, pool6: pool6?, dns: dns?, mtu: b.mtu })
    }

    fn body(self) -> DataNetworkBody {
        DataNetworkBody {
            dnn: self.dnn.to_string(),
            pool: self.pool.to_string(),
            pool6: self.pool6.map(|p| p.to_string()),
            dns: self.dns.iter().map(ToString::to_string).collect(),
            mtu: self.mtu,
        }
    }

    fn list(policy: &mut Policy) -> &mut Vec<Self> {
        &mut policy.data_networks
    }

    async fn clash(s: &AppState, w: &Write<Self>) -> Result<(), Problem> {
        match w {
            Write::Create(n) | Write::Replace(n, _) => routes::pool_is_free(s, n).await,
            Write::Delete(dnn, _) => match s.store.route_of_network(dnn).await? {
                Some(_) => Err(StoreError::Conflict { what: Clash::Reference }.into()),
                None => Ok(()),
            },
        }
    }

    fn is(item: &Item, key: &str) -> bool {
        matches!(item, Item::DataNetwork(n) if n.as_str() == key)
    }
}

handlers!(
    DataNetwork,
    DataNetworkBody,
    "data-networks",
    "/api/v1/data-networks",
    "/api/v1/data-networks/{dnn}",
    "dnn"
);
