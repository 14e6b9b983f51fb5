//! Tokens: made, kept by hash, found again.
//!
//! The secret is 32 octets of the OS's randomness, so SHA-256 is enough to keep it by: there is nothing to guess,
//! and a slow hash, made for passwords that people choose, would only slow every request.
//!
//! All tokens are held in memory: a request, and above all a ban, is let in while the database does not answer.
//! What other nodes changed is read every few seconds.

use crate::rights::{Caller, Scope};
use sha2::{Digest as _, Sha256};
use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};
use store::{Store, StoreError, TokenRow};
use types::{Utc, hex};

/// What a token's text begins with, so that scanners of leaked secrets can find it.
const PREFIX: &str = "sekisho_";
/// Read again after so long, milliseconds.
const FRESH_MS: i64 = 5_000;
/// The time of last use is kept to the minute, milliseconds.
const USE_MS: i64 = 60_000;

/// The text of a token: shown once, kept nowhere.
#[derive(Clone)]
pub struct TokenSecret(String);

impl TokenSecret {
    /// The text, for the one who asked for it. The name is loud on purpose.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Makes a token from 32 octets of the OS's randomness. Only its row is stored.
pub fn new_token(
    random: [u8; 32],
    label: &str,
    scopes: &[Scope],
    expires: Option<Utc>,
    created_by: &str,
    now: Utc,
) -> (TokenSecret, TokenRow) {
    let secret = format!("{PREFIX}{}", hex(&random));
    let hash = digest(&secret);
    let row = TokenRow {
        // Part of the hash: a name that tells nothing about the secret.
        id: hex(&hash[..6]),
        hash: hash.to_vec(),
        label: label.to_owned(),
        scopes: scopes.iter().map(ToString::to_string).collect(),
        created: now,
        created_by: created_by.to_owned(),
        expires,
        last_used: None,
        revoked: None,
    };
    (TokenSecret(secret), row)
}

fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// Every token, in memory.
pub(crate) struct TokenBook {
    tokens: RwLock<Book>,
}

#[derive(Default)]
struct Book {
    // By the hash of a secret: looking it up tells a clock nothing about the secret.
    by_hash: HashMap<Vec<u8>, TokenRow>,
    read_at: Utc,
    used: HashMap<String, Utc>,
    told_at: Utc,
}

impl TokenBook {
    pub(crate) async fn open(store: &Store, now: Utc) -> Result<Self, StoreError> {
        let book = Self { tokens: RwLock::default() };
        book.read(store, now).await?;
        Ok(book)
    }

    /// Reads the tokens anew.
    pub(crate) async fn read(&self, store: &Store, now: Utc) -> Result<(), StoreError> {
        let rows = store.tokens().await?;
        let mut book = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        book.by_hash = rows.into_iter().map(|r| (r.hash.clone(), r)).collect();
        book.read_at = now;
        Ok(())
    }

    /// True where it is time to read anew; says so to one caller only.
    pub(crate) fn stale(&self, now: Utc) -> bool {
        let old = |b: &Book| (now.0 - b.read_at.0).abs() >= FRESH_MS;
        if !old(&self.tokens.read().unwrap_or_else(PoisonError::into_inner)) {
            return false;
        }
        let mut book = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        let stale = old(&book);
        book.read_at = now;
        stale
    }

    /// The caller behind a secret, where the token counts now.
    pub(crate) fn find(&self, secret: &str, request_id: &str, now: Utc) -> Option<Caller> {
        let hash = digest(secret);
        let (caller, id) = {
            let book = self.tokens.read().unwrap_or_else(PoisonError::into_inner);
            let row = book.by_hash.get(hash.as_slice())?;
            if row.revoked.is_some() || row.expires.is_some_and(|t| t <= now) {
                return None;
            }
            // A scope that this version does not know gives nothing.
            let scopes = row.scopes.iter().filter_map(|s| s.parse().ok()).collect();
            let caller = Caller::new(row.id.clone(), row.label.clone(), scopes, request_id.to_owned());
            if book.used.get(&row.id).or(row.last_used.as_ref()).is_some_and(|t| now.0 - t.0 < USE_MS) {
                return Some(caller);
            }
            (caller, row.id.clone())
        };
        self.tokens.write().unwrap_or_else(PoisonError::into_inner).used.insert(id, now);
        Some(caller)
    }

    /// Uses that are to be written, about once a minute.
    pub(crate) fn uses_to_write(&self, now: Utc) -> Vec<(String, Utc)> {
        if now.0 - self.tokens.read().unwrap_or_else(PoisonError::into_inner).told_at.0 < USE_MS {
            return Vec::new();
        }
        let mut book = self.tokens.write().unwrap_or_else(PoisonError::into_inner);
        book.told_at = now;
        book.used.iter().map(|(id, at)| (id.clone(), *at)).collect()
    }
}
