//! Apps: where company applications are and what they offer.

use crate::{
    api::{
        List,
        documents::{self, Kept, Resource, handlers},
    },
    check::{Check, Kind},
    problem::{Problem, say},
    request::{Body, IdempotencyKey, IfMatch, IfMatchHeader, Paging, Params, PathOf},
    rights::{Limited, PolicyCapability, ReadCapability},
    state::AppState,
};
use axum::{extract::State, http::StatusCode, response::Response};
use pgw_policy::{Item, Policy};
use serde::{Deserialize, Serialize};
use types::{App, Dscp, Qfi};
use utoipa::ToSchema;

/// A company application.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = App)]
pub(crate) struct AppBody {
    /// Its name: 1-63 of a-z, 0-9 and inner - _ .
    #[schema(example = "wiki")]
    name: String,
    /// Words for people.
    #[serde(default)]
    label: String,
    /// Where it is; the longest prefix wins.
    #[schema(example = json!(["10.10.1.5/32"]))]
    prefixes: Vec<String>,
    /// What it offers to UEs; empty for an app that only opens towards UEs.
    #[serde(default)]
    #[schema(example = json!(["tcp/443"]))]
    services: Vec<String>,
    /// What its servers are called, such as wiki.example.jp, or *.example.jp for all below. With any, only flows to one of
    /// these pass.
    #[serde(default)]
    #[schema(example = json!(["wiki.example.jp"]))]
    names: Vec<String>,
    /// How that is seen. tls (where nothing is said): it is reached by TLS over TCP only, and only where the ClientHello names one of
    /// them. dns: by whatever is spoken, at addresses that a resolver of the SIM's data network has given it for one of them.
    #[serde(default)]
    #[schema(value_type = String, example = "tls")]
    names_from: types::NamesFrom,
    /// DSCP that the packets of its flows get, 0-63, both ways; as they come if not given.
    #[serde(default)]
    #[schema(maximum = 63, example = 46)]
    dscp: Option<u8>,
    /// QoS flow for its packets to the UE, 1-63, where the session has it.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 63, example = 5)]
    qfi: Option<u8>,
    /// How much its contents matter: public, internal (where nothing is said) or confidential. A rule of verdict risk
    /// weighs the risk against it.
    #[serde(default)]
    #[schema(value_type = String, example = "internal")]
    sensitivity: types::Sensitivity,
    /// How it is found out that it works: tcp/PORT, or http/PORT/PATH. It is asked every half minute; no verdict hears of it.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "http/8080/healthz")]
    health: Option<types::Probe>,
}

impl Resource for App {
    type Body = AppBody;
    const PATH: &'static str = "/api/v1/apps";
    const KEY: &'static str = "name";

    fn read(b: AppBody, check: &mut Check) -> Option<Self> {
        check.label("/label", &b.label, 200);
        let name = check.parse("/name", &b.name, Kind::Name);
        let prefixes = check.each("/prefixes", &b.prefixes, Kind::Prefix);
        let services = check.each("/services", &b.services, Kind::Service);
        let names = check.each("/names", &b.names, Kind::ServerName);
        let dscp = number::<Dscp>(check, "/dscp", b.dscp, "0 – 63");
        let qfi = number::<Qfi>(check, "/qfi", b.qfi, "1 – 63");
        Some(Self {
            name: name?,
            label: b.label,
            prefixes: prefixes?,
            services: services?,
            names: names?,
            names_from: b.names_from,
            dscp: dscp?,
            qfi: qfi?,
            sensitivity: b.sensitivity,
            health: b.health,
        })
    }

    fn body(self) -> AppBody {
        AppBody {
            name: self.name.to_string(),
            label: self.label,
            prefixes: self.prefixes.iter().map(ToString::to_string).collect(),
            services: self.services.iter().map(ToString::to_string).collect(),
            names: self.names.iter().map(ToString::to_string).collect(),
            names_from: self.names_from,
            dscp: self.dscp.map(Dscp::value),
            qfi: self.qfi.map(Qfi::value),
            sensitivity: self.sensitivity,
            health: self.health,
        }
    }

    fn list(policy: &mut Policy) -> &mut Vec<Self> {
        &mut policy.apps
    }

    fn is(item: &Item, key: &str) -> bool {
        matches!(item, Item::App(n) if n.as_str() == key)
    }
}

/// A number of few bits, where one is given.
fn number<T: TryFrom<u8>>(check: &mut Check, at: &str, n: Option<u8>, range: &str) -> Option<Option<T>> {
    let Some(n) = n else { return Some(None) };
    let read = T::try_from(n).ok();
    if read.is_none() {
        check.add(
            at,
            say!("{n} is not in {range}", "{n} は {range} の範囲にありません"),
            Some(say!("give a number of {range}", "{range} の数を指定してください")),
        );
    }
    read.map(Some)
}

handlers!(App, AppBody, "apps", "/api/v1/apps", "/api/v1/apps/{name}", "name");
