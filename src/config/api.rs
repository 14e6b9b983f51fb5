//! `[api]` and `[oidc]`: where people and other systems come in, and the provider that says who they are.

use serde::Deserialize;
use std::{net::SocketAddr, path::PathBuf};
use types::Name;

/// `[api]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Api {
    /// Where it listens. Anything but loopback is served with TLS only.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Own certificate chain (PEM); a self-signed one is generated where TLS is needed and none is given.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// Its private key (PEM), mode 0600.
    #[serde(default)]
    pub private_key: Option<PathBuf>,
    /// Host name by which browsers reach the console: passkeys are bound to it.
    #[serde(default)]
    pub host: Option<String>,
}

impl Default for Api {
    fn default() -> Self {
        Self { listen: default_listen(), certificate: None, private_key: None, host: None }
    }
}

/// `[oidc]`: an identity provider that speaks OpenID Connect.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    /// What people call it: the button says so.
    pub name: String,
    /// Its issuer identifier.
    pub issuer: String,
    /// Who we are there.
    pub client_id: String,
    /// File of the client's secret, mode 0600; a public client has none.
    #[serde(default)]
    pub client_secret_file: Option<PathBuf>,
    /// Scheme, host and port at which people reach the console.
    pub base_url: String,
    /// Scopes that are asked for beside `openid`.
    #[serde(default = "default_scopes")]
    pub scopes: Vec<String>,
    /// The claim of the ID token that names a person's groups; one that begins with `/` is a JSON pointer.
    #[serde(default = "default_groups_claim")]
    pub groups_claim: String,
    /// A sign-in ends after so many minutes.
    #[serde(default = "default_session_minutes")]
    pub session_minutes: u16,
    /// Certificates (PEM) that are trusted; the system's where not given.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// One of these must be the ID token's `acr`; empty: any.
    #[serde(default)]
    pub acr: Vec<String>,
    /// All of these must be among the ID token's `amr`; empty: any.
    #[serde(default)]
    pub amr: Vec<String>,
    /// Which group may do what.
    #[serde(default)]
    pub grant: Vec<OidcGrant>,
}

/// `[[oidc.grant]]`: what the members of a group may do.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcGrant {
    /// The group, as the provider writes it.
    pub group: String,
    /// The role that it gives.
    pub role: String,
    /// Only for SIMs in one of these groups.
    #[serde(default)]
    pub groups: Vec<Name>,
    /// Only for SIMs at one of these sites.
    #[serde(default)]
    pub sites: Vec<Name>,
}
fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8443))
}

fn default_scopes() -> Vec<String> {
    vec!["profile".to_owned(), "email".to_owned()]
}
fn default_groups_claim() -> String {
    "groups".to_owned()
}
fn default_session_minutes() -> u16 {
    480
}
