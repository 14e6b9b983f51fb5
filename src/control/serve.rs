//! The API's socket: plain HTTP on loopback, TLS everywhere else (decision D17).

use super::ControlHandle;
use crate::{config::Config, first_run, keys, provider};
use admin_web::{AppState, Reaches, TokenBook};
use anyhow::{Context, Result};
use axum_server::tls_rustls::RustlsConfig;
use std::{
    fs::{self, OpenOptions},
    io::Write,
    net::{SocketAddr, TcpListener},
    os::{
        fd::{FromRawFd, OwnedFd, RawFd},
        unix::fs::OpenOptionsExt,
    },
    path::{Path, PathBuf},
    sync::Arc,
};
use tracing::{error, info};

/// Begins to serve; what its handlers hold. `fd` is a listener that was handed over; it is taken as it is.
pub(super) async fn start(
    config: &Config,
    fd: Option<RawFd>,
    handle: ControlHandle,
    tokens: TokenBook,
    reaches: Arc<Reaches>,
) -> Result<AppState> {
    let (store, flows) = (handle.store.clone(), handle.flows.clone());
    first_run::announce(config, &store).await;
    let kek = keys::key_file(&config.key_file(), false)?;
    let provider = provider::start(config, &store).await;
    let mut state = AppState::with_tokens(Arc::new(handle), store, flows, Arc::new(tokens))
        .sharing_reaches(reaches)
        .sealing_with(keys::derived(&kek, "operators' second factors"))
        .network(config.network.plmn)
        .first_run(first_run::kept(config));
    if let Some(p) = provider {
        state = state.signing_in_by(p);
    }
    match provider::Http::to_transmitters(config) {
        Ok(http) => state = state.fetching_signals_by(Box::new(http)),
        Err(e) => error!("transmitters of security events are not asked: {e:#}"),
    }
    tokio::spawn(admin_web::keep_polling(state.clone()));
    if let Some(host) = &config.api.host {
        state = state.passkeys_at(host);
    }
    if let Some(step_up) = super::page::prover(config) {
        state = state.proving_by(step_up);
    }
    let app = admin_web::router(state.clone()).into_make_service_with_connect_info::<SocketAddr>();
    let listener = match fd {
        Some(fd) => adopt(fd),
        None => TcpListener::bind(config.api.listen)
            .with_context(|| format!("listening at {} for the API", config.api.listen))?,
    };
    listener.set_nonblocking(true)?;
    let at = listener.local_addr()?;
    let tls = !at.ip().is_loopback() || config.api.certificate.is_some();
    if tls {
        let tls = tls_config(config).await?;
        info!(%at, "API at https://{at}");
        tokio::spawn(async move {
            if let Err(e) = axum_server::from_tcp_rustls(listener, tls)?.serve(app).await {
                error!("the API has ended: {e}");
            }
            anyhow::Ok(())
        });
    } else {
        info!(%at, "API at http://{at}");
        tokio::spawn(async move {
            if let Err(e) = axum_server::from_tcp(listener)?.serve(app).await {
                error!("the API has ended: {e}");
            }
            anyhow::Ok(())
        });
    }
    Ok(state)
}

#[allow(unsafe_code)]
fn adopt(fd: RawFd) -> TcpListener {
    // SAFETY: the supervisor handed this descriptor to us alone, and it is adopted once.
    TcpListener::from(unsafe { OwnedFd::from_raw_fd(fd) })
}

async fn tls_config(config: &Config) -> Result<RustlsConfig> {
    // A second installation is refused and harmless: it is the same provider.
    drop(rustls::crypto::ring::default_provider().install_default());
    let (cert, key) = match (&config.api.certificate, &config.api.private_key) {
        (Some(c), Some(k)) => (c.clone(), k.clone()),
        _ => generated(&config.paths.data, config.api.listen)?,
    };
    RustlsConfig::from_pem_file(&cert, &key)
        .await
        .with_context(|| format!("reading certificate {} and its key", cert.display()))
}

/// Our own certificate, made once and kept; its fingerprint is printed at every start.
fn generated(data: &Path, listen: SocketAddr) -> Result<(PathBuf, PathBuf)> {
    let (cert, key) = (data.join("api.cert.pem"), data.join("api.key.pem"));
    if !cert.exists() || !key.exists() {
        let names = vec!["localhost".to_owned(), listen.ip().to_string()];
        let made = rcgen::generate_simple_self_signed(names).context("making a certificate")?;
        write_private(&key, made.signing_key.serialize_pem().as_bytes())?;
        write_private(&cert, made.cert.pem().as_bytes())?;
    }
    let pem = fs::read(&cert)?;
    let der = rustls_pem(&pem).context("the generated certificate is damaged; delete it to get a new one")?;
    info!("the API's certificate is self-signed; its SHA-256 fingerprint is {}", fingerprint(&der));
    Ok((cert, key))
}

fn rustls_pem(pem: &[u8]) -> Option<Vec<u8>> {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    CertificateDer::from_pem_slice(pem).ok().map(|c| c.to_vec())
}

fn fingerprint(der: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    let d: [u8; 32] = Sha256::digest(der).into();
    d.iter().map(|b| format!("{b:02X}")).collect::<Vec<_>>().join(":")
}

fn write_private(file: &Path, bytes: &[u8]) -> Result<()> {
    let mut f = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file)
        .with_context(|| format!("writing {}", file.display()))?;
    f.write_all(bytes)?;
    f.sync_all()?;
    Ok(())
}
