//! Mutual TLS: who a peer is says its certificate.

use super::PATIENCE;
use crate::delivery::tls::{read_own, trusted};
use anyhow::{Context as _, Result};
use rustls::{RootCertStore, ServerConfig, pki_types::CertificateDer, server::WebPkiClientVerifier};
use std::{
    net::IpAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tracing::warn;
use wire::diameter::Identity;

/// Our side of a handshake.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    refused: Arc<AtomicU64>,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Tls {
    /// Reads our certificate with its key, and the authorities whose certificates a peer may show; all PEM.
    ///
    /// # Errors
    /// Which file cannot be read or used.
    pub fn new(certificate: &Path, private_key: &Path, ca: &Path) -> Result<Self> {
        let mut roots = RootCertStore::empty();
        for c in trusted(Some(ca))? {
            roots.add(c).with_context(|| format!("the authority in {}", ca.display()))?;
        }
        let (chain, key) = read_own(certificate, private_key)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build()?;
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .with_context(|| format!("the certificate {} with its key", certificate.display()))?;
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), refused: Arc::default() })
    }

    /// The stream, and the names in the certificate that the peer has shown.
    pub(super) async fn shake_hands(
        &self,
        stream: TcpStream,
    ) -> Result<(TlsStream<TcpStream>, Vec<Identity>)> {
        let stream =
            timeout(PATIENCE, self.acceptor.accept(stream)).await.context("no handshake in time")??;
        let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let names = names(shown.context("no certificate")?)?;
        Ok((stream, names))
    }

    /// A line for the operator who sets this up. Who knocks without a good certificate may do so as often as they
    /// like: of those only some get one.
    pub(super) fn complain(&self, from: IpAddr, why: &anyhow::Error) {
        let nth = self.refused.fetch_add(1, Ordering::Relaxed) + 1;
        if nth.is_power_of_two() {
            warn!(%from, nth, "Diameter: TLS with {from} came to nothing: {why:#}");
        }
    }
}

/// Its names by DNS (RFC 6733 §13.1 asks for the Origin-Host among them). One that no DiameterIdentity can be, such as a
/// wildcard, is nobody's.
fn names(certificate: &CertificateDer<'_>) -> Result<Vec<Identity>> {
    let certificate = webpki::EndEntityCert::try_from(certificate).context("reading the certificate")?;
    Ok(certificate.valid_dns_names().filter_map(Identity::new).collect())
}
