//! Whom we trust, and who we are.

use super::NotDelivered;
use crate::config::Delivery;
use anyhow::{Context, Result, bail};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use std::{
    net::{TcpStream, ToSocketAddrs},
    path::Path,
    sync::Arc,
    time::Duration,
};

/// Where systems keep the certificates that everybody trusts.
const SYSTEM: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// How long a connection, and each reading and writing, may take.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// The certificates (PEM) that are trusted: those of `ca`, else the system's.
pub fn trusted(ca: Option<&Path>) -> Result<Vec<CertificateDer<'static>>> {
    let file = match ca {
        Some(f) => f,
        None => SYSTEM
            .iter()
            .map(Path::new)
            .find(|p| p.exists())
            .context("this system has no file of trusted certificates; name one as `ca`")?,
    };
    let all: Vec<_> = CertificateDer::pem_file_iter(file)
        .with_context(|| format!("the certificates {}", file.display()))?
        .collect::<Result<_, _>>()
        .with_context(|| format!("the certificates {}", file.display()))?;
    if all.is_empty() {
        bail!("{} holds no certificate", file.display());
    }
    Ok(all)
}

/// A certificate with those between it and its authority, and its key.
pub type Own = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// Our own certificates and key, where the destination asks for them.
pub fn own(config: &Delivery) -> Result<Option<Own>> {
    let (Some(cert), Some(key)) = (&config.certificate, &config.private_key) else { return Ok(None) };
    read_own(cert, key).map(Some)
}

/// Our own certificates and key, from their files (PEM).
pub fn read_own(cert: &Path, key: &Path) -> Result<Own> {
    let certs = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect)
        .with_context(|| format!("the certificate {}", cert.display()))?;
    let key =
        PrivateKeyDer::from_pem_file(key).with_context(|| format!("the private key {}", key.display()))?;
    Ok((certs, key))
}

/// A client that trusts and is what the configuration says.
pub fn client(config: &Delivery) -> Result<Arc<ClientConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(trusted(config.ca.as_deref())?);
    if added == 0 {
        bail!("none of the trusted certificates can be read");
    }
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    Ok(Arc::new(match own(config)? {
        Some((certs, key)) => builder.with_client_auth_cert(certs, key)?,
        None => builder.with_no_client_auth(),
    }))
}

/// Connects to `host` and shakes hands.
pub fn connect(
    client: &Arc<ClientConfig>,
    host: &str,
    port: u16,
) -> Result<StreamOwned<ClientConnection, TcpStream>, NotDelivered> {
    let fail = |what: &str, e: &dyn std::fmt::Display| NotDelivered(format!("{what} {host}:{port}: {e}"));
    let addresses = (host, port).to_socket_addrs().map_err(|e| fail("looking up", &e))?;
    let mut last = NotDelivered(format!("{host} has no address"));
    for a in addresses {
        let tcp = match TcpStream::connect_timeout(&a, PATIENCE) {
            Ok(t) => t,
            Err(e) => {
                last = fail("connecting to", &e);
                continue;
            }
        };
        for set in [
            tcp.set_read_timeout(Some(PATIENCE)),
            tcp.set_write_timeout(Some(PATIENCE)),
            tcp.set_nodelay(true),
        ] {
            set.map_err(|e| fail("setting up the connection to", &e))?;
        }
        let name = ServerName::try_from(host.to_owned()).map_err(|e| fail("naming", &e))?;
        let connection = ClientConnection::new(client.clone(), name).map_err(|e| fail("TLS to", &e))?;
        let mut stream = StreamOwned::new(connection, tcp);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).map_err(|e| fail("TLS to", &e))?;
        }
        return Ok(stream);
    }
    Err(last)
}
