//! The way to the identity provider: its configuration, its secret, and the one place that opens a connection to it.
//!
//! An answer is bounded in time and length, no redirect is followed and no proxy of the environment is used, so whoever
//! stands in the provider's place can waste a thread's ten seconds and no more. What is asked and how answers are judged
//! is `admin_web`'s.

use crate::{
    config::{Config, Oidc},
    delivery::tls,
    keys,
};
use admin_web::{Fetch, FetchError, HttpRequest, HttpResponse, Provider, ProviderConfig, ProviderGrant};
use anyhow::{Context, Result};
use rustls::pki_types::CertificateDer;
use std::{
    net::{SocketAddr, ToSocketAddrs, UdpSocket},
    time::Duration,
};
use store::{Change, Grant, Store};
use tracing::{error, info};
use types::ServerName;
use ureq::{
    Agent,
    http::{Method, Uri},
    tls::{Certificate, RootCerts, TlsConfig},
};
use zeroize::Zeroizing;

/// What a whole question and answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer, octets: keys of a large provider are a tenth of it.
const LONGEST: u64 = 256 * 1024;
/// Fewest octets of a client secret.
const SECRET: usize = 8;

/// The provider that the configuration names, if it does.
///
/// # Errors
/// Where the secret or the certificates cannot be read.
pub fn open(config: &Config) -> Result<Option<Provider>> {
    config.oidc.as_ref().map(of).transpose()
}

/// This provider.
///
/// # Errors
/// As [`open`].
pub(crate) fn of(oidc: &Oidc) -> Result<Provider> {
    let secret = match &oidc.client_secret_file {
        None => None,
        Some(file) => {
            let octets = keys::secret_file(file, SECRET).context("oidc.client_secret_file")?;
            let text = std::str::from_utf8(&octets).context("oidc.client_secret_file is not UTF-8")?;
            Some(Zeroizing::new(text.to_owned()))
        }
    };
    let http = Http::new(oidc, PATIENCE)?;
    Provider::new(believed(oidc, secret), Box::new(http)).map_err(|e| anyhow::anyhow!("[oidc] {e}"))
}

/// As [`open`], for the running system: sign-in by a provider that cannot be set up is off, and everything else goes on.
/// Sign-ins whose rights were read from another configuration end.
pub async fn start(config: &Config, store: &Store) -> Option<Provider> {
    let provider = match open(config) {
        Ok(p) => p,
        Err(e) => {
            error!("nobody signs in by the identity provider: {e:#}");
            return None;
        }
    };
    let terms = provider.as_ref().map(|p| p.terms().to_owned());
    let change = Change {
        reason: "the configuration of the identity provider changed".to_owned(),
        ..Change::by_system("start", gateway::time::utc())
    };
    match store.end_provider_tokens(terms, &change).await {
        Ok(0) => {}
        Ok(n) => info!("{n} sign-ins by the identity provider ended: its configuration changed"),
        // They count no more all the same: their terms are others.
        Err(e) => error!("sign-ins by another configuration of the identity provider are still listed: {e}"),
    }
    provider
}

/// In the form of the room that judges.
pub(crate) fn believed(oidc: &Oidc, client_secret: Option<Zeroizing<String>>) -> ProviderConfig {
    let grants = oidc.grant.iter().map(|g| ProviderGrant {
        group: g.group.clone(),
        grant: Grant {
            roles: [g.role.clone()].into(),
            scopes: Default::default(),
            groups: g.groups.iter().cloned().collect(),
            sites: g.sites.iter().cloned().collect(),
        },
    });
    ProviderConfig {
        name: oidc.name.clone(),
        issuer: oidc.issuer.clone(),
        client_id: oidc.client_id.clone(),
        client_secret,
        scopes: oidc.scopes.clone(),
        groups_claim: oidc.groups_claim.clone(),
        grants: grants.collect(),
        base_url: oidc.base_url.clone(),
        acr: oidc.acr.clone(),
        amr: oidc.amr.clone(),
        session_ms: i64::from(oidc.session_minutes) * 60_000,
    }
}

/// Where a URL leads to: a host's name, or its address as text, and a TCP port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Door {
    pub host: String,
    pub port: u16,
    /// Whether that is spoken by TLS.
    pub https: bool,
}

impl Door {
    pub fn of(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let https = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if https { 443 } else { 80 });
        Some(Self { host: uri.host()?.trim_matches(['[', ']']).to_ascii_lowercase(), port, https })
    }

    /// Its name, where it is not an address.
    pub fn name(&self) -> Option<ServerName> {
        self.host.parse().ok()
    }

    /// What this machine's resolver says of it. Blocking.
    ///
    /// # Errors
    /// Where the resolver knows nothing.
    pub fn addresses(&self) -> std::io::Result<Vec<SocketAddr>> {
        Ok((self.host.as_str(), self.port).to_socket_addrs()?.collect())
    }
}

/// Why the address that the provider sends people back to does not seem to be this machine's; a proxy in front of it
/// may be the reason.
pub(crate) fn lost_way(config: &Config, oidc: &Oidc) -> Option<String> {
    let door = Door::of(&oidc.base_url)?;
    let (https, tls) = (door.https, config.api_has_tls());
    let listen = config.api.listen;
    if https != tls {
        let (said, served) = if https { ("https", "HTTP") } else { ("http", "HTTPS") };
        return Some(format!("{said} is written, and {served} is served at {listen}"));
    }
    let Door { host, port, .. } = &door;
    if *port != listen.port() {
        return Some(format!("port {port} is written, and {} is served", listen.port()));
    }
    let addresses = match door.addresses() {
        Ok(all) => all,
        Err(e) => return Some(format!("{host}: {e}")),
    };
    let ours = addresses.iter().any(|a| UdpSocket::bind((a.ip(), 0)).is_ok());
    (!ours).then(|| format!("{host} is not this machine"))
}

/// See the module.
pub(crate) struct Http {
    agent: Agent,
}

impl Http {
    /// A whole question and answer takes `patience` at most.
    pub(crate) fn new(oidc: &Oidc, patience: Duration) -> Result<Self> {
        let tls = oidc.issuer.starts_with("https:");
        let roots = if tls { tls::trusted(oidc.ca.as_deref()).context("oidc.ca")? } else { Vec::new() };
        Ok(Self::trusting(&roots, patience))
    }

    /// For transmitters of security events: those whom the identity provider's authorities vouch for, else the system's.
    /// Where the system knows none, only this machine is asked.
    pub(crate) fn to_transmitters(config: &Config) -> Result<Self> {
        let ca = config.oidc.as_ref().and_then(|o| o.ca.as_deref());
        let roots = match tls::trusted(ca) {
            Err(e) if ca.is_some() => return Err(e.context("oidc.ca")),
            roots => roots.unwrap_or_default(),
        };
        Ok(Self::trusting(&roots, PATIENCE))
    }

    fn trusting(roots: &[CertificateDer<'_>], patience: Duration) -> Self {
        // A second installation is refused and harmless: it is the same provider.
        drop(rustls::crypto::ring::default_provider().install_default());
        let roots: Vec<_> = roots.iter().map(|c| Certificate::from_der(c.as_ref()).to_owned()).collect();
        let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&roots)).build();
        let agent = Agent::config_builder()
            .timeout_connect(Some(patience / 2))
            .timeout_global(Some(patience))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(0)
            .proxy(None)
            .user_agent(concat!("sekisho/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build()
            .new_agent();
        Self { agent }
    }
}

impl Fetch for Http {
    fn fetch(&self, request: HttpRequest) -> Result<HttpResponse, FetchError> {
        let fail = |e: ureq::Error| FetchError(e.to_string());
        let (parts, body) = request.into_parts();
        let answer = if parts.method == Method::GET {
            self.agent.run(ureq::http::Request::from_parts(parts, ()))
        } else {
            self.agent.run(ureq::http::Request::from_parts(parts, body))
        };
        let (parts, mut body) = answer.map_err(fail)?.into_parts();
        let octets = body.with_config().limit(LONGEST).read_to_vec().map_err(fail)?;
        Ok(HttpResponse::from_parts(parts, octets))
    }
}
