//! What every handler holds.

use crate::{
    console::{Console, FirstRun},
    control::Control,
    guard::Guard,
    passkeys::Passkeys,
    password::{Cost, Passwords},
    problem::Problem,
    provider::Provider,
    rights::Reaches,
    signals::Signals,
    token::TokenBook,
    watch::Watch,
};
use std::sync::Arc;
use store::{FlowLog, Store, StoreError};
use types::{Key256, Plmn, Utc};

/// The running system's door, the store and the tokens. Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    pub(crate) control: Arc<dyn Control>,
    pub(crate) store: Store,
    pub(crate) flows: FlowLog,
    pub(crate) tokens: Arc<TokenBook>,
    pub(crate) requests: Arc<crate::metrics::Requests>,
    pub(crate) under_way: crate::idempotency::UnderWay,
    pub(crate) passwords: Arc<Passwords>,
    pub(crate) guard: Arc<Guard>,
    pub(crate) reaches: Arc<Reaches>,
    /// Seals second factors, and what a browser keeps while its owner is at the provider.
    pub(crate) secrets: Option<Arc<Key256>>,
    /// What a browser gets.
    pub(crate) console: Arc<Console>,
    /// The network's own PLMN.
    pub(crate) plmn: Option<Plmn>,
    /// The link of the first operator.
    pub(crate) first_run: Option<Arc<FirstRun>>,
    /// Who lets people in beside the operators' own passwords.
    pub(crate) provider: Option<Arc<Provider>>,
    /// What sources told, and how it was taken.
    pub(crate) signals: Arc<Signals>,
    /// What rules that are only watched would have said.
    pub(crate) watch: Arc<Watch>,
    /// Passkeys, where there is a host name that they are bound to.
    pub(crate) passkeys: Option<Arc<Passkeys>>,
}

impl AppState {
    /// Reads the tokens and puts the parts together.
    pub async fn new(control: Arc<dyn Control>, store: Store, flows: FlowLog) -> Result<Self, StoreError> {
        let tokens = TokenBook::open(&store, now()).await?;
        Ok(Self::with_tokens(control, store, flows, Arc::new(tokens)))
    }

    /// Puts the parts together with tokens that were read elsewhere. They are read anew from the store every few
    /// seconds, as soon as that answers.
    pub fn with_tokens(
        control: Arc<dyn Control>,
        store: Store,
        flows: FlowLog,
        tokens: Arc<TokenBook>,
    ) -> Self {
        Self {
            control,
            store,
            flows,
            tokens,
            requests: Arc::default(),
            passwords: Arc::new(Passwords::new(Cost::default())),
            guard: Arc::default(),
            reaches: Arc::default(),
            secrets: None,
            console: Arc::new(Console::embedded()),
            plmn: None,
            first_run: None,
            provider: None,
            signals: Arc::default(),
            watch: Arc::default(),
            passkeys: None,
            under_way: Arc::default(),
        }
    }

    /// Seals second factors with this key, which every node of one store has in common. Without one no second factor
    /// can be set up or checked.
    #[must_use]
    pub fn sealing_with(mut self, key: Key256) -> Self {
        self.secrets = Some(Arc::new(key));
        self
    }

    /// Shares what limits cover with whoever reads it, or keeps it, elsewhere.
    #[must_use]
    pub fn sharing_reaches(mut self, reaches: Arc<Reaches>) -> Self {
        self.reaches = reaches;
        self
    }

    /// Lets the first operator be made by the link that is kept there.
    #[must_use]
    pub fn first_run(mut self, at: FirstRun) -> Self {
        self.first_run = Some(Arc::new(at));
        self
    }

    /// Lets people sign in by an identity provider. Without this, or under other terms, no token of such a sign-in
    /// counts.
    #[must_use]
    pub fn signing_in_by(mut self, provider: Provider) -> Self {
        self.tokens.only_under(provider.terms());
        self.provider = Some(Arc::new(provider));
        self
    }

    /// Lets operators have passkeys, bound to the host name by which browsers reach the console. Without the feature
    /// `passkeys` there are none.
    #[must_use]
    pub fn passkeys_at(mut self, host: &str) -> Self {
        self.passkeys = Passkeys::at(host).map(Arc::new);
        self
    }

    /// Lets the keys of transmitters of security events be read, and their events be asked for.
    #[must_use]
    pub fn fetching_signals_by(mut self, fetch: Box<dyn crate::Fetch>) -> Self {
        self.signals = Arc::new(Signals::with(fetch));
        self
    }

    /// Says which network this is: an import points out the IMSIs of others.
    #[must_use]
    pub fn network(mut self, plmn: Plmn) -> Self {
        self.plmn = Some(plmn);
        self
    }

    /// What hashing a password costs.
    #[must_use]
    pub fn password_cost(mut self, cost: Cost) -> Self {
        self.passwords = Arc::new(Passwords::new(cost));
        self
    }

    /// The tokens in memory.
    pub fn tokens(&self) -> &Arc<TokenBook> {
        &self.tokens
    }
}

/// The clock of this room: the API's own times (token expiry, audit) come from here.
pub(crate) fn now() -> Utc {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Utc(since.map(|d| d.as_millis() as i64).unwrap_or(0))
}

/// Octets of the operating system's randomness.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Problem> {
    let mut b = [0u8; N];
    getrandom::fill(&mut b).map_err(|e| {
        tracing::error!("the operating system gives no randomness: {e}");
        Problem::internal()
    })?;
    Ok(b)
}
