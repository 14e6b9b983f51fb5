//! `[service]`: our own page inside the closed network, where people prove that it is they (decision D14).

use super::Config;
use crate::service::PageConfig;
use ::gateway::service::ServiceConfig;
use ipnet::IpNet;
use serde::Deserialize;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::PathBuf,
};
use types::{NamePattern, ServerName};
use ureq::http::Uri;
use wire::dns;

/// `[service]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its IPv4 address: of no UE, and of nobody else.
    #[serde(default)]
    pub address: Option<Ipv4Addr>,
    /// Its IPv6 address.
    #[serde(default)]
    pub address6: Option<Ipv6Addr>,
    /// Scheme, host and port at which browsers of UEs find it.
    pub url: String,
    /// Its certificate chain (PEM), for the host of `url`.
    pub certificate: PathBuf,
    /// The certificate's private key (PEM).
    pub private_key: PathBuf,
    /// A proof counts for so many minutes.
    #[serde(default = "default_minutes")]
    pub minutes: u16,
    /// The claim of the ID token that is held against a person's id in another system; `email`: against their mail.
    #[serde(default = "default_claim")]
    pub claim: String,
    /// One of these must be the ID token's `acr`; empty: any.
    #[serde(default)]
    pub acr: Vec<String>,
    /// All of these must be among the ID token's `amr`. `mfa` where neither is written.
    #[serde(default)]
    pub amr: Vec<String>,
    /// It answers the page's name, and no other, to UEs that ask it (udp/53): for data networks without a resolver that does.
    #[serde(default)]
    pub resolver: bool,
    /// How devices reach the identity provider before anybody has proved anything.
    #[serde(default)]
    pub provider: ProviderWay,
    /// The user that the page's process becomes where it is started as root.
    #[serde(default = "default_user")]
    pub user: u32,
}

/// `[service.provider]`: the way to the identity provider, an app that nobody has to make.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderWay {
    /// True: everybody reaches it.
    #[serde(default = "default_open")]
    pub open: bool,
    /// What its servers are called beside its issuer and its door.
    #[serde(default)]
    pub names: Vec<NamePattern>,
    /// Where it is, in place of what this machine's resolver says.
    #[serde(default)]
    pub prefixes: Vec<IpNet>,
}

fn default_open() -> bool {
    true
}

impl Default for ProviderWay {
    fn default() -> Self {
        Self { open: true, names: Vec::new(), prefixes: Vec::new() }
    }
}

fn default_minutes() -> u16 {
    60
}

fn default_claim() -> String {
    "sub".to_owned()
}

/// The user that is nobody on most systems.
fn default_user() -> u32 {
    65_534
}

impl Service {
    /// What parses and cannot be right.
    pub(super) fn check(&self, config: &Config, check: &mut impl FnMut(bool, &str, &str)) {
        let v4 = self.address.map(IpAddr::V4);
        let v6 = self.address6.map(IpAddr::V6);
        check(v4.is_some() || v6.is_some(), "service.address", "write address, address6 or both");
        let ours = config.own_addresses();
        for (key, address) in [("service.address", v4), ("service.address6", v6)] {
            let Some(a) = address else { continue };
            let special = match a {
                IpAddr::V4(a) => a.is_loopback() || a.is_link_local() || a.is_broadcast(),
                IpAddr::V6(a) => a.is_loopback() || a.is_unicast_link_local(),
            };
            check(
                !special && !a.is_unspecified() && !a.is_multicast(),
                key,
                "write a unicast address that UEs can send to",
            );
            check(!ours.contains(&a), key, "it is an address of this machine; take one that nobody has");
        }
        check(
            self.port().is_some(),
            "service.url",
            "write scheme, host and port alone, such as https://check.corp.example",
        );
        check(
            !self.resolver || self.host().is_some(),
            "service.resolver",
            "there is no name in service.url that it could answer; write one, or leave this out",
        );
        check(
            (1..=1440).contains(&self.minutes),
            "service.minutes",
            "1 to 1440: a proof is over the next day",
        );
        check(
            !self.claim.is_empty(),
            "service.claim",
            "write the name of a claim, such as sub, oid or email",
        );
        check(self.user != 0, "service.user", "the page's process is not root; write another user's number");
        for p in &self.provider.prefixes {
            let fix = format!("{p} has bits set behind its prefix length; write {}", p.trunc());
            check(*p == p.trunc(), "service.provider.prefixes", &fix);
            check(p.prefix_len() > 0, "service.provider.prefixes", "everything is not where the provider is");
        }
        check(
            config.oidc.is_some(),
            "service",
            "add [oidc]: without an identity provider nobody can prove anything",
        );
    }

    /// The port of its URL, where that is one.
    fn port(&self) -> Option<u16> {
        let uri: Uri = self.url.parse().ok()?;
        let bare = uri.scheme_str() == Some("https")
            && matches!(uri.path(), "" | "/")
            && uri.query().is_none()
            && !self.url.ends_with('/')
            && uri.authority().is_some_and(|a| !a.as_str().contains('@'));
        bare.then(|| uri.port_u16().unwrap_or(443))
    }

    /// The host of its URL, where that is a name.
    fn host(&self) -> Option<ServerName> {
        let uri: Uri = self.url.parse().ok()?;
        uri.host()?.to_ascii_lowercase().parse().ok()
    }

    /// What UEs reach of it.
    pub fn reached(&self) -> pgw_policy::Service {
        pgw_policy::Service {
            v4: self.address,
            v6: self.address6,
            tcp: vec![crate::service::PLAIN, self.port().unwrap_or(443)],
            udp: if self.resolver { vec![dns::PORT] } else { Vec::new() },
            url: self.url.clone(),
        }
    }

    /// What the gateway is told.
    pub(super) fn of_the_gateway(&self) -> ServiceConfig {
        let port = self.port().unwrap_or(443);
        let page = PageConfig {
            addresses: [self.address.map(IpAddr::V4), self.address6.map(IpAddr::V6)]
                .into_iter()
                .flatten()
                .collect(),
            port,
            url: self.url.clone(),
            certificate: self.certificate.clone(),
            private_key: self.private_key.clone(),
            user: self.user,
            resolves: self.host().filter(|_| self.resolver),
        };
        let exe = std::env::current_exe().unwrap_or_default();
        let said = serde_json::to_string(&page).unwrap_or_default();
        let words = ["run", "--part", "service", "--page", &said].map(str::to_owned);
        ServiceConfig {
            service: self.reached(),
            command: std::iter::once(exe.to_string_lossy().into_owned()).chain(words).collect(),
        }
    }
}
