//! The configuration of this node (decision D18): one TOML file plus environment, unknown keys refused.
//!
//! What belongs to the company (data networks, apps, groups, rules, SIMs) lives in the store, not here.
//! Every mistake is reported with the line, the key and the fix; nothing is half applied.

mod api;
mod delivery;
pub(crate) mod diameter;
mod error;
mod faults;
mod gx;
pub(crate) mod n4;
mod network;
mod node;
mod reference_points;
mod s6a;
mod service;
mod text;

#[cfg(test)]
mod tests;

pub use api::{Api, Oidc, OidcGrant};
pub use delivery::{Delivery, DeliveryKind, What};
pub use error::{ConfigError, Fault};
pub(crate) use gx::overlap;
pub use gx::{Gx, Smf};
pub use n4::N4;
pub use network::{Ciphering, Integrity, Network};
pub use node::{Gateway, Log, LogFormat, Paths, Revocation, StoreSection};
pub use reference_points::{Gnb, N2, N3, N6, Transport};
pub use s6a::{Application, Mme, S6a};
pub use service::{ProviderWay, Service};

use gateway::{GTPU_PORT, GatewayConfig, TunConfig, netns::Netns};
use ipnet::IpNet;
use serde::Deserialize;
use std::{
    net::IpAddr,
    path::{Path, PathBuf},
};
use text::{ENV_PREFIX, SECTIONS, line_of, overlay, toml_fault};

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What the radio broadcasts and the UEs are told.
    pub network: Network,
    /// N2: where gNBs connect.
    pub n2: N2,
    /// The radios that are admitted.
    #[serde(default)]
    pub gnb: Vec<Gnb>,
    /// N3: where their user traffic arrives.
    pub n3: N3,
    /// N6: the way to the company's network.
    #[serde(default)]
    pub n6: N6,
    /// The gateway process.
    #[serde(default)]
    pub gateway: Gateway,
    /// Where files are kept.
    pub paths: Paths,
    /// The database.
    #[serde(default)]
    pub store: StoreSection,
    /// Bans and what takes them back.
    #[serde(default)]
    pub revocation: Revocation,
    /// The API.
    #[serde(default)]
    pub api: Api,
    /// The identity provider that people sign in by, beside local operators.
    #[serde(default)]
    pub oidc: Option<Oidc>,
    /// Our own page inside the closed network.
    #[serde(default)]
    pub service: Option<Service>,
    /// S6a: MMEs that ask us as their HSS.
    #[serde(default)]
    pub s6a: Option<S6a>,
    /// Foreign SMFs that steer our user plane.
    #[serde(default)]
    pub n4: Option<N4>,
    /// Gx: SMFs that ask us as their PCRF.
    #[serde(default)]
    pub gx: Option<Gx>,
    /// Where audit and alerts are sent to.
    #[serde(default)]
    pub delivery: Vec<Delivery>,
    /// Logs.
    #[serde(default)]
    pub log: Log,
}

impl Config {
    /// Addresses of this system that the configuration names.
    pub fn own_addresses(&self) -> Vec<IpAddr> {
        let all = [self.n2.address.into(), self.n3.address, self.api.listen.ip()];
        let s6a = self.s6a.iter().flat_map(|s| s.face().addresses());
        let gx = self.gx.iter().flat_map(|g| g.face().addresses());
        let n4 = self.n4.iter().map(|n| n.listen.ip());
        all.into_iter().chain(s6a).chain(gx).chain(n4).filter(|a| !a.is_unspecified()).collect()
    }

    /// Reads and checks `file`; variables of `env` named `SEKISHO_SECTION_KEY` override it.
    pub fn load(file: &Path, env: impl Iterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let fail = |faults| ConfigError { file: file.to_owned(), faults };
        let text = std::fs::read_to_string(file)
            .map_err(|e| fail(vec![Fault { line: None, key: String::new(), what: e.to_string() }]))?;
        Self::parse(&text, env).map_err(fail)
    }

    /// Parses and checks `text`.
    pub fn parse(text: &str, env: impl Iterator<Item = (String, String)>) -> Result<Self, Vec<Fault>> {
        let overrides: Vec<(String, String)> = env
            .filter_map(|(k, v)| Some((k.strip_prefix(ENV_PREFIX)?.to_ascii_lowercase(), v)))
            .filter(|(k, _)| SECTIONS.iter().any(|s| k.starts_with(&format!("{s}_"))))
            .collect();
        let parsed = if overrides.is_empty() {
            toml::from_str::<Self>(text)
        } else {
            overlay(text, &overrides).and_then(|t| t.try_into())
        };
        let config = parsed.map_err(|e| vec![toml_fault(text, &e)])?;
        let faults = config.faults(text);
        if faults.is_empty() { Ok(config) } else { Err(faults) }
    }

    /// Address of the database.
    pub fn store_url(&self) -> String {
        self.store
            .url
            .clone()
            .unwrap_or_else(|| format!("sqlite:{}", self.paths.data.join("sekisho.db").display()))
    }

    /// File of the key-encryption key, mode 0600.
    pub fn key_file(&self) -> PathBuf {
        self.paths.data.join("kek.key")
    }

    /// The revocation journal.
    pub fn journal(&self) -> PathBuf {
        self.paths.data.join("revocations.journal")
    }

    /// Directory of the flow record segments.
    pub fn flows(&self) -> PathBuf {
        self.paths.data.join("flows")
    }

    /// The socket at which the gateway serves control and `ban --local`.
    pub fn gateway_socket(&self) -> PathBuf {
        self.paths.run.as_ref().unwrap_or(&self.paths.data).join("gateway.sock")
    }

    /// What the gateway process is told.
    pub fn gateway_config(&self) -> GatewayConfig {
        GatewayConfig {
            netns: self.gateway.netns.clone().map(Netns::Path),
            forward: self.gateway.netns.is_some(),
            n3: self.n3.address,
            n3_port: GTPU_PORT,
            peer_grace_ms: self.n3.peer_grace_ms,
            tun: TunConfig {
                name: self.n6.tun.clone(),
                mtu: types::DataNetwork::default_mtu(),
                addresses: Vec::new(),
                ue_prefixes: Vec::new(),
            },
            shards: self.gateway.shards,
            radios: self.n3_peers(),
            n4: self.n4.as_ref().map(N4::socket),
            service: self.service.as_ref().map(Service::of_the_gateway),
            socket: self.gateway_socket(),
            journal: self.journal(),
            journal_copies: self.gateway.journal_copies.clone(),
            journal_copy_wait_ms: self.gateway.journal_copy_wait_ms,
        }
    }

    /// Where N2 may come from.
    pub fn n2_peers(&self) -> Vec<IpNet> {
        self.gnb.iter().flat_map(|g| g.n2.iter().copied()).collect()
    }

    /// Where N3 may come from.
    pub fn n3_peers(&self) -> Vec<IpNet> {
        let smfs = self.n4.iter().flat_map(|n| &n.smf).flat_map(|s| s.user_plane.iter().copied());
        self.gnb.iter().flat_map(|g| g.n3.iter().copied()).chain(smfs).collect()
    }

    /// True where the API is served with TLS.
    pub fn api_has_tls(&self) -> bool {
        self.api_is_public() || self.api.certificate.is_some()
    }

    /// True where the API listens on something that other machines can reach.
    pub fn api_is_public(&self) -> bool {
        match self.api.listen.ip() {
            IpAddr::V4(a) => !a.is_loopback(),
            IpAddr::V6(a) => !a.is_loopback(),
        }
    }
}
