//! What other systems tell of people and devices: posture by signed webhooks, security events by OpenID Shared Signals 1.0
//! (SET, RFC 8417) pushed (RFC 8935) or asked for (RFC 8936).
//!
//! | file | what |
//! | --- | --- |
//! | `webhook` | posture, signed with a secret that both know |
//! | `set` | whether an event is what it says it is: pure |
//! | `push`, `poll` | how events come |
//! | `events` | what an event says of whom, and what follows |
//! | `scim` | people and their groups, kept by a provisioning client |
//! | `fuzzing` | doors for the fuzzer |
//!
//! Nothing here but SCIM has a token: who speaks is proved by a signature, over a name of a source that somebody made. What is
//! refused is counted by its reason and written seldom, so that whoever knocks without end fills no disk.

mod events;
pub mod fuzzing;
pub(crate) mod poll;
mod push;
pub(crate) mod scim;
pub(crate) mod set;
mod webhook;

pub use poll::{keep_polling, round as ask_transmitters};

use crate::{
    Fetch,
    console::Made,
    control::{Metric, MetricKind},
    problem::Problem,
    state::{AppState, now, random},
};
use axum::{Router, response::Response, routing::post};
use openidconnect::core::CoreJsonWebKeySet;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use store::{SourceHealth, SourceRow};
use types::{Name, SsfStream, Utc};
use zeroize::Zeroizing;

/// What is refused is written at most so often, milliseconds.
const WRITTEN_APART: i64 = 10_000;

/// The addresses that sources speak to.
pub(crate) fn routes() -> Router<AppState> {
    Router::new()
        .route("/signals/{source}/posture", post(webhook::take))
        .route("/signals/{source}/events", post(push::take))
        .merge(scim::routes())
}

/// What is known of sources beside the store.
#[derive(Default)]
pub(crate) struct Signals {
    fetch: Option<Box<dyn Fetch>>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// What is not written yet.
    pending: BTreeMap<Name, SourceHealth>,
    written: BTreeMap<Name, Utc>,
    keys: BTreeMap<Name, (Arc<CoreJsonWebKeySet>, Utc)>,
    /// What transmitters said of their streams.
    streams: BTreeMap<Name, String>,
    /// Refused, by reason.
    refused: BTreeMap<&'static str, u64>,
    accepted: u64,
}

impl Signals {
    /// With a way to read keys and to ask for events.
    pub(crate) fn with(fetch: Box<dyn Fetch>) -> Self {
        Self { fetch: Some(fetch), known: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How a source does, with what is not written yet.
    pub(crate) fn with_pending(&self, row: &SourceRow) -> SourceHealth {
        let known = self.lock();
        let Some(p) = known.pending.get(&row.source.value.name) else { return row.health.clone() };
        let h = &row.health;
        SourceHealth {
            last_ok: p.last_ok.max(h.last_ok),
            last_bad: p.last_bad.max(h.last_bad),
            error: p.error.clone().or_else(|| h.error.clone()),
            accepted: h.accepted + p.accepted,
            refused: h.refused + p.refused,
        }
    }

    /// What a transmitter last said of its stream.
    pub(crate) fn stream_status(&self, name: &Name) -> Option<String> {
        self.lock().streams.get(name).cloned()
    }

    /// The source is another, or gone.
    pub(crate) fn forget_keys(&self, name: &Name) {
        let mut known = self.lock();
        known.keys.remove(name);
        known.streams.remove(name);
    }

    /// Counters for `/metrics`.
    pub(crate) fn metrics(&self) -> Vec<Metric> {
        let known = self.lock();
        let refused = known.refused.iter().map(|(why, n)| Metric {
            name: "sekisho_signals_refused_total",
            help: "What sources of facts sent and was refused.",
            kind: MetricKind::Counter,
            labels: vec![("why", (*why).to_owned())],
            value: *n as f64,
        });
        let accepted = Metric {
            name: "sekisho_signals_accepted_total",
            help: "What sources of facts sent and was taken.",
            kind: MetricKind::Counter,
            labels: Vec::new(),
            value: known.accepted as f64,
        };
        refused.chain([accepted]).collect()
    }
}

/// Notes that something of a source was taken, or (`Err`) that it was refused, and why: for the counter and for people.
async fn note(s: &AppState, source: Option<&Name>, how: Result<(), (&'static str, &str)>) {
    let now = now();
    let write = {
        let mut known = s.signals.lock();
        match how {
            Ok(()) => known.accepted += 1,
            Err((why, _)) => *known.refused.entry(why).or_default() += 1,
        }
        // Of a source that there is not, nothing is kept but the counter.
        let Some(source) = source else { return };
        let p = known.pending.entry(source.clone()).or_default();
        match how {
            Ok(()) => {
                p.accepted += 1;
                p.last_ok = Some(now);
            }
            Err((_, words)) => {
                p.refused += 1;
                p.last_bad = Some(now);
                p.error = Some(words.to_owned());
            }
        }
        let last = known.written.get(source).copied().unwrap_or_default();
        let due = how.is_ok() || (now.0 - last.0).abs() >= WRITTEN_APART;
        if due {
            known.written.insert(source.clone(), now);
            known.pending.remove(source).map(|p| (source.clone(), p))
        } else {
            None
        }
    };
    if let Some((source, did)) = write
        && let Err(e) = s.store.source_did(&source, did).await
    {
        tracing::warn!(%source, "how the source {source} did could not be stored: {e}");
    }
}

/// Looks at what a source of security events is to be.
pub(crate) struct Stream;

impl Stream {
    /// Reads a set of public keys.
    pub(crate) fn check_keys(text: &str) -> Result<CoreJsonWebKeySet, String> {
        let keys: CoreJsonWebKeySet = serde_json::from_str(text).map_err(|_| "not a JWK set".to_owned())?;
        if keys.keys().is_empty() {
            return Err("there is no key in it that can be read".to_owned());
        }
        Ok(keys)
    }

    /// True for addresses that we connect to: by TLS, or on this machine.
    pub(crate) fn may_ask(url: &str) -> bool {
        let Ok(url) = openidconnect::url::Url::parse(url) else { return false };
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let local = host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|a| a.is_loopback());
        url.scheme() == "https" || url.scheme() == "http" && local
    }

    /// The keys that are written down for a stream.
    fn written_keys(stream: &SsfStream) -> Option<CoreJsonWebKeySet> {
        stream.jwks.as_deref().and_then(|t| Self::check_keys(t).ok())
    }
}

/// A secret of the OS's randomness, as 64 hexadecimal digits.
pub(crate) fn new_secret() -> Result<Zeroizing<String>, Problem> {
    let octets = Zeroizing::new(random::<32>()?);
    Ok(Zeroizing::new(types::hex(octets.as_slice())))
}

fn purpose(source: &Name) -> String {
    format!("secret of the signal source {source}")
}

/// Seals a source's secret: it opens for no other source and no other purpose.
pub(crate) fn seal_secret(s: &AppState, source: &Name, secret: &str) -> Result<Vec<u8>, Problem> {
    let key = s.secrets.as_ref().ok_or_else(Problem::internal)?;
    crate::seal::seal(key, &purpose(source), random()?, secret.as_bytes()).ok_or_else(Problem::internal)
}

/// Opens a source's secret, where it has one.
async fn open_secret(s: &AppState, source: &Name) -> Result<Option<Zeroizing<Vec<u8>>>, Problem> {
    let Some(sealed) = s.store.source_secret(source).await? else { return Ok(None) };
    let key = s.secrets.as_ref().ok_or_else(Problem::internal)?;
    Ok(crate::seal::open(key, &purpose(source), &sealed))
}

/// An answer that says itself what is wrong, in the form of its protocol.
fn own_words(mut r: Response) -> Response {
    r.extensions_mut().insert(Made);
    r
}
