//! Signing in by an identity provider (OpenID Connect Core 1.0, authorization code flow with PKCE S256).
//!
//! | file | what |
//! | --- | --- |
//! | `talk` | what is said to the provider and how its answers are judged: blocking, by `openidconnect` |
//! | `rights` | which of a person's groups gives which rights |
//! | `refusal` | why somebody is not let in |
//!
//! No socket is opened here: requests go out by [`Fetch`], which the binary makes. The pages are in
//! [`crate::console`]. What the provider said of itself is kept for an hour; a key that is unknown is asked for anew,
//! seldom, so that nobody who sends bad tokens makes us a nuisance to the provider. A provider that did not answer is
//! left alone for some seconds.

mod refusal;
mod rights;
mod talk;

pub(crate) use refusal::Refusal;
use talk::Urls;
pub(crate) use talk::{METHODS, Person, plain};

use openidconnect::core::{CoreJsonWebKeySet, CoreProviderMetadata};
use sha2::{Digest as _, Sha256};
use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use store::{ByProvider, Grant};
use tokio::sync::Semaphore;
use types::{Utc, hex};
use zeroize::Zeroizing;

pub use openidconnect::{HttpRequest, HttpResponse};

/// Where the provider sends people back to, below the console's own address.
pub(crate) const CALLBACK: &str = "/sign-in/provider/callback";

/// What the provider says of itself is asked for again after so long, milliseconds.
const FRESH: i64 = 3_600_000;
/// Keys are asked for again at most so often, milliseconds.
const KEYS_APART: i64 = 15_000;
/// A provider that did not answer is left alone for so long, milliseconds.
const LEFT_ALONE: i64 = 3_000;
/// Conversations at once; more are refused, because each may hold a thread as long as the provider is slow.
const AT_ONCE: usize = 8;

/// Sends a request to the provider. Blocking; it must end within seconds and take no long answers.
pub trait Fetch: Send + Sync {
    /// Sends it, and follows nothing.
    fn fetch(&self, request: HttpRequest) -> Result<HttpResponse, FetchError>;
}

/// A request got no answer that can be read: connection, TLS, time, length.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct FetchError(pub String);

/// Who of the provider's groups gets which rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderGrant {
    /// The group's name (or id) as the provider writes it.
    pub group: String,
    /// What its members may do.
    pub grant: Grant,
}

/// A provider, and what we believe of it.
#[derive(Clone)]
pub struct ProviderConfig {
    /// What people call it.
    pub name: String,
    /// Its issuer identifier.
    pub issuer: String,
    /// Who we are there.
    pub client_id: String,
    /// By what it knows us; a public client has none.
    pub client_secret: Option<Zeroizing<String>>,
    /// Scopes beside `openid`.
    pub scopes: Vec<String>,
    /// The claim that names a person's groups; one that begins with `/` is a JSON pointer.
    pub groups_claim: String,
    /// What the groups may do.
    pub grants: Vec<ProviderGrant>,
    /// Address of the console as people reach it, without a path.
    pub base_url: String,
    /// One of these `acr` values must be said; empty is any.
    pub acr: Vec<String>,
    /// All of these `amr` values must be said; empty is any.
    pub amr: Vec<String>,
    /// A sign-in ends after so long, milliseconds.
    pub session_ms: i64,
}

impl ProviderConfig {
    /// Looks at the addresses.
    ///
    /// # Errors
    /// The key that is wrong, and what to write: an address that is none, or one without TLS that is not on this
    /// machine.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        Urls::of(self).map(drop)
    }
}

impl fmt::Debug for ProviderConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderConfig").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// See the module.
pub struct Provider {
    config: ProviderConfig,
    urls: Urls,
    terms: String,
    fetch: Box<dyn Fetch>,
    known: Mutex<Known>,
    doors: Arc<Semaphore>,
}

/// What the provider said of itself, and when it was asked.
#[derive(Default)]
struct Known {
    found: Option<Found>,
    read_at: Utc,
    keys_at: Utc,
    failed_at: Utc,
}

/// Where the provider's doors are, and its keys.
#[derive(Clone)]
pub(crate) struct Found {
    metadata: Arc<CoreProviderMetadata>,
    keys: Arc<CoreJsonWebKeySet>,
}

/// What a browser must bring back.
pub(crate) struct Begun {
    pub(crate) state: String,
    pub(crate) nonce: String,
    /// PKCE's code verifier.
    pub(crate) verifier: String,
}

/// Somebody with a mapped group.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) label: String,
    pub(crate) grants: Vec<Grant>,
    pub(crate) by: ByProvider,
}

fn in_words(e: Refusal) -> String {
    match e {
        Refusal::Unreachable(why) => why,
        other => other.why().en,
    }
}

impl Provider {
    /// A provider that is asked nothing before somebody signs in.
    ///
    /// # Errors
    /// Where one of the addresses is none, or is not https (but for loopback).
    pub fn new(config: ProviderConfig, fetch: Box<dyn Fetch>) -> Result<Self, String> {
        let urls = Urls::of(&config).map_err(|(key, what)| format!("{key}: {what}"))?;
        let terms = terms(&config);
        let doors = Arc::new(Semaphore::new(AT_ONCE));
        Ok(Self { config, urls, terms, fetch, known: Mutex::default(), doors })
    }

    /// What people call it.
    pub(crate) fn name(&self) -> &str {
        &self.config.name
    }

    /// Its issuer identifier.
    pub(crate) fn issuer(&self) -> &str {
        &self.config.issuer
    }

    /// Digest of everything that a person's rights follow from.
    pub fn terms(&self) -> &str {
        &self.terms
    }

    /// A sign-in ends after so long, milliseconds.
    pub(crate) fn session_ms(&self) -> i64 {
        self.config.session_ms
    }

    /// Asks the provider who it is. Blocking: for who looks whether it answers.
    ///
    /// # Errors
    /// What is wrong with its answer, or that there was none.
    pub fn reach(&self) -> Result<(), String> {
        self.discover().map(drop).map_err(in_words)
    }

    /// Asks the provider where browsers are to be sent to: its authorization endpoint. Blocking.
    ///
    /// # Errors
    /// As [`Provider::reach`].
    pub fn door_url(&self) -> Result<String, String> {
        let found = self.discover().map_err(in_words)?;
        Ok(found.metadata.authorization_endpoint().to_string())
    }

    /// Where a browser is sent to.
    pub(crate) async fn door(self: &Arc<Self>, begun: &Begun, now: Utc) -> Result<String, Refusal> {
        let found = self.found(now).await?;
        self.authorize_url(&found, begun)
    }

    /// Whom a code stands for, and what he may do.
    pub(crate) async fn admit(
        self: &Arc<Self>,
        code: String,
        begun: Begun,
        now: Utc,
    ) -> Result<Admitted, (Refusal, Option<Box<Person>>)> {
        let person = self.person(code, begun, now).await.map_err(|r| (r, None))?;
        match rights::of(&self.config, &person) {
            Ok(grants) => Ok(Admitted {
                grants,
                by: ByProvider {
                    provider: self.config.name.clone(),
                    issuer: self.config.issuer.clone(),
                    subject: person.subject,
                    terms: self.terms.clone(),
                },
                label: person.label,
            }),
            Err(refusal) => Err((refusal, Some(Box::new(person)))),
        }
    }

    /// Whom a code stands for, where they proved themselves as it is asked for.
    pub(crate) async fn vouch(
        self: &Arc<Self>,
        code: String,
        begun: Begun,
        now: Utc,
    ) -> Result<Person, Refusal> {
        let person = self.person(code, begun, now).await?;
        if rights::is_proven(&self.config, &person) { Ok(person) } else { Err(Refusal::Assurance) }
    }

    async fn person(self: &Arc<Self>, code: String, begun: Begun, now: Utc) -> Result<Person, Refusal> {
        let found = self.found(now).await?;
        if self.is_left_alone(now) {
            return Err(Refusal::LeftAlone);
        }
        let nonce = begun.nonce.clone();
        let said = self.in_turn(move |p| p.exchange(&found, code, &begun)).await;
        let token = self.note(said, now)?;
        let found = self.found(now).await?;
        match self.judge(&found, &token, &nonce, now) {
            // The provider may have new keys.
            Err(Refusal::KeyUnknown | Refusal::Signature) if self.may_ask_for_keys(now) => {
                let said = self.in_turn(move |p| p.read_keys(&found)).await;
                let found = self.note(said, now)?;
                self.lock().found = Some(found.clone());
                self.judge(&found, &token, &nonce, now)
            }
            other => other,
        }
    }

    /// What the provider said of itself, asked for anew where that was long ago. Where it does not answer, what it said
    /// before goes on.
    async fn found(self: &Arc<Self>, now: Utc) -> Result<Found, Refusal> {
        let kept = {
            let known = self.lock();
            let fresh = now.0 - known.read_at.0 < FRESH;
            match &known.found {
                Some(found) if fresh => return Ok(found.clone()),
                kept => kept.clone(),
            }
        };
        if self.is_left_alone(now) {
            return kept.ok_or(Refusal::LeftAlone);
        }
        let said = self.in_turn(Self::discover).await;
        match self.note(said, now) {
            Ok(found) => {
                let mut known = self.lock();
                (known.found, known.read_at) = (Some(found.clone()), now);
                Ok(found)
            }
            Err(refusal) => kept.ok_or(refusal),
        }
    }

    /// Remembers that the provider did not answer.
    fn note<T>(&self, said: Result<T, Refusal>, now: Utc) -> Result<T, Refusal> {
        if let Err(Refusal::Unreachable(why)) = &said {
            tracing::warn!("the identity provider {} does not answer: {why}", self.config.issuer);
            self.lock().failed_at = now;
        }
        said
    }

    fn is_left_alone(&self, now: Utc) -> bool {
        (now.0 - self.lock().failed_at.0).abs() < LEFT_ALONE
    }

    fn may_ask_for_keys(&self, now: Utc) -> bool {
        let mut known = self.lock();
        let may = (now.0 - known.keys_at.0).abs() >= KEYS_APART;
        if may {
            known.keys_at = now;
        }
        may
    }

    /// Talks to the provider on a thread that may wait.
    async fn in_turn<T: Send + 'static>(
        self: &Arc<Self>,
        talk: impl FnOnce(&Self) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let Ok(door) = Arc::clone(&self.doors).try_acquire_owned() else { return Err(Refusal::Busy) };
        let this = Arc::clone(self);
        let said = tokio::task::spawn_blocking(move || {
            let said = talk(&this);
            drop(door);
            said
        });
        said.await.unwrap_or_else(|e| Err(Refusal::Unreachable(e.to_string())))
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Provider({})", self.config.issuer)
    }
}

/// Digest of everything that a person's rights, and how long he has them, follow from.
fn terms(c: &ProviderConfig) -> String {
    let grants: Vec<_> = c.grants.iter().map(|g| (&g.group, &g.grant)).collect();
    let all = serde_json::json!([c.issuer, c.client_id, c.groups_claim, grants, c.acr, c.amr, c.session_ms]);
    let digest: [u8; 32] = Sha256::digest(all.to_string().as_bytes()).into();
    hex(&digest[..16])
}
