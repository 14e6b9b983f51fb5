//! The process that serves our own page inside the closed network (decision D14).
//!
//! It is started by the gateway in a namespace that has one way out: to UEs whose packets the gateway has let through. It
//! opens its sockets, gives up every right and the file system, and then reads what UEs send: one request of a bounded
//! length per connection, which it passes on with the address that it came from, and whose answer it writes. It knows
//! no SIM, judges nobody, and has no secret but the key of its certificate.
//!
//! | file | what |
//! | --- | --- |
//! | `confine` | what it gives up before the first connection |
//! | `serve` | connections and their limits |
//! | `names` | the one name that it answers, where it is asked for |
//! | `line` | questions to `control` through the gateway, and their answers |

mod confine;
mod line;
mod names;
mod serve;

use crate::delivery::tls::read_own;
use anyhow::{Context, Result};
use rustls::ServerConfig;
use serde::{Deserialize, Serialize};
use std::{
    net::{IpAddr, SocketAddr, TcpListener},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};
use types::ServerName;

/// Where browsers come that were told no scheme.
pub const PLAIN: u16 = 80;

/// What the process is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageConfig {
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Where it speaks TLS.
    pub port: u16,
    /// How browsers find it.
    pub url: String,
    /// Its certificate chain (PEM).
    pub certificate: PathBuf,
    /// The certificate's private key (PEM).
    pub private_key: PathBuf,
    /// The user that it becomes.
    pub user: u32,
    /// The name that it answers with its addresses, where it is a resolver for that.
    pub resolves: Option<ServerName>,
}

/// Runs the process. Call it before any second thread exists; standard input is the line to the gateway.
///
/// # Errors
/// Where a socket cannot be opened, the certificate not be read, or a right not be given up.
pub fn run(config: &PageConfig) -> Result<ExitCode> {
    let tls = Arc::new(tls(config).context("[service]")?);
    let listen = |port: u16| -> Result<Vec<TcpListener>> {
        let one = |a: &IpAddr| {
            let at = SocketAddr::new(*a, port);
            let listener = TcpListener::bind(at).with_context(|| format!("listening at {at}"))?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        config.addresses.iter().map(one).collect()
    };
    let (plain, secure) = (listen(PLAIN)?, listen(config.port)?);
    let questions = names::listen(config)?;
    confine::give_up(config.user).context("giving up what the page does not need")?;
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answers = Arc::new(names::Answers::of(config));
    let serve = async {
        names::serve(questions, &answers)?;
        serve::run(plain, secure, tls, config.url.clone()).await
    };
    tokio::task::LocalSet::new().block_on(&rt, serve)?;
    Ok(ExitCode::SUCCESS)
}

fn tls(config: &PageConfig) -> Result<ServerConfig> {
    // A second installation is refused and harmless: it is the same provider.
    drop(rustls::crypto::ring::default_provider().install_default());
    let (certs, key) = read_own(&config.certificate, &config.private_key)?;
    let mut tls = ServerConfig::builder().with_no_client_auth().with_single_cert(certs, key)?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(tls)
}
