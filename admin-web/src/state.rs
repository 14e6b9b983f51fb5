//! What every handler holds.

use crate::{control::Control, token::TokenBook};
use std::sync::Arc;
use store::{FlowLog, Store, StoreError};
use types::Utc;

/// The running system's door, the store and the tokens. Cheap to clone.
#[derive(Clone)]
pub struct AppState {
    pub(crate) control: Arc<dyn Control>,
    pub(crate) store: Store,
    pub(crate) flows: FlowLog,
    pub(crate) tokens: Arc<TokenBook>,
    pub(crate) requests: Arc<crate::metrics::Requests>,
    pub(crate) under_way: crate::idempotency::UnderWay,
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
        Self { control, store, flows, tokens, requests: Arc::default(), under_way: Arc::default() }
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
