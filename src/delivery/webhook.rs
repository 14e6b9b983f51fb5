//! A webhook: batches of JSON over HTTPS, signed twice.
//!
//! `Sekisho-Signature` is the HMAC-SHA256 under the secret that both sides share, `Sekisho-Signature-Ed25519` this
//! node's signature, which anybody can check with its public key. Both are over the text of `Sekisho-Timestamp`
//! (seconds since 1970), a dot, and the body, so that an old request cannot be sent again as a new one.

use super::{NotDelivered, item::Item, tls};
use crate::{
    config::Delivery,
    keys,
    signing::{Purpose, Signer},
};
use anyhow::{Context, Result, bail};
use gateway::time::utc;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use std::{sync::Arc, time::Duration};
use types::hex;
use ureq::{
    Agent,
    tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig},
};
use zeroize::Zeroizing;

/// Fewest octets of a shared secret.
const SECRET: usize = 16;

/// A webhook.
pub struct Webhook {
    name: String,
    node: String,
    url: String,
    host: String,
    port: u16,
    mac: Hmac<Sha256>,
    signer: Signer,
    agent: Agent,
    client: Arc<rustls::ClientConfig>,
}

impl Webhook {
    /// Reads the secret and the certificates.
    pub fn open(config: &Delivery, node: &str, signer: Signer) -> Result<Self> {
        // A second installation is refused and harmless: it is the same provider.
        drop(rustls::crypto::ring::default_provider().install_default());
        let name = config.name.to_string();
        let url = config.url.clone().with_context(|| format!("{name} has no url"))?;
        let (host, port) = host_of(&url).with_context(|| format!("the url of {name}"))?;
        let file = config.secret_file.as_deref().with_context(|| format!("{name} has no secret_file"))?;
        let secret = keys::secret_file(file, SECRET).with_context(|| format!("the secret of {name}"))?;
        let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&secret)?;
        let roots: Vec<_> = tls::trusted(config.ca.as_deref())?
            .iter()
            .map(|c| Certificate::from_der(c.as_ref()).to_owned())
            .collect();
        let mut tls_config = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&roots));
        if let (Some(cert), Some(key)) = (&config.certificate, &config.private_key) {
            let chain: Vec<Certificate<'static>> = tls::own(config)?
                .map(|(c, _)| c.iter().map(|c| Certificate::from_der(c.as_ref()).to_owned()).collect())
                .unwrap_or_default();
            let pem = Zeroizing::new(std::fs::read(key).with_context(|| format!("{}", key.display()))?);
            let key = PrivateKey::from_pem(&pem).with_context(|| format!("the key of {}", cert.display()))?;
            tls_config = tls_config.client_cert(Some(ClientCert::new_with_certs(&chain, key)));
        }
        let agent = Agent::config_builder()
            .timeout_connect(Some(tls::PATIENCE))
            .timeout_global(Some(Duration::from_secs(30)))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // A connection of its own for each batch: a kept one may be dead in a way that only shows half way.
            .max_idle_connections(0)
            .proxy(None)
            .tls_config(tls_config.build())
            .build()
            .new_agent();
        Ok(Self {
            name,
            node: node.to_owned(),
            url,
            host,
            port,
            mac,
            signer,
            agent,
            client: tls::client(config)?,
        })
    }

    /// Sends a batch; done when the other side has answered with 2xx.
    pub fn send(&self, items: &[Item]) -> Result<(), NotDelivered> {
        let (first, last) = (items.first().map_or(0, |i| i.seq), items.last().map_or(0, |i| i.seq));
        let items: Vec<Value> = items.iter().map(Item::to_json).collect();
        let body =
            json!({ "sekisho": "delivery 1", "node": self.node, "destination": self.name, "items": items });
        let body = body.to_string();
        let timestamp = (utc().0 / 1000).to_string();
        let signed = [timestamp.as_bytes(), b".", body.as_bytes()].concat();
        let mac = hex(&self.mac.clone().chain_update(&signed).finalize().into_bytes());
        let answer = self
            .agent
            .post(&self.url)
            .header("content-type", "application/json")
            .header("user-agent", concat!("sekisho/", env!("CARGO_PKG_VERSION")))
            .header("sekisho-delivery", format!("{}/{first}-{last}", self.name))
            .header("sekisho-timestamp", &timestamp)
            .header("sekisho-signature", format!("hmac-sha256={mac}"))
            .header("sekisho-signature-ed25519", self.signer.sign(Purpose::Delivery, &signed))
            .header("sekisho-public-key", self.signer.public())
            .send(body.as_bytes());
        match answer {
            Ok(r) if r.status().is_success() => Ok(()),
            Ok(r) => Err(NotDelivered(format!("it answered HTTP {}", r.status().as_u16()))),
            Err(e) => Err(NotDelivered(e.to_string())),
        }
    }

    /// Connects and shakes hands.
    pub fn reach(&self) -> Result<(), NotDelivered> {
        tls::connect(&self.client, &self.host, self.port).map(drop)
    }
}

/// Host and port of an https URL.
fn host_of(url: &str) -> Result<(String, u16)> {
    let uri: ureq::http::Uri = url.parse()?;
    if uri.scheme_str() != Some("https") {
        bail!("a webhook is reached by https only");
    }
    let host = uri.host().context("it names no host")?;
    Ok((host.trim_matches(['[', ']']).to_owned(), uri.port_u16().unwrap_or(443)))
}
