//! Tokens: made, kept by hash, found again.
//!
//! The secret is 32 octets of the OS's randomness, so SHA-256 is enough to keep it by: there is nothing to guess,
//! and a slow hash, made for passwords that people choose, would only slow every request.
//!
//! All tokens are held in memory: a request, and above all a ban, is let in while the database does not answer.
//! What other nodes changed is read every few seconds.

use crate::rights::{Asking, Caller, Held, Scope};
use ipnet::IpNet;
use sha2::{Digest as _, Sha256};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};
use store::{Store, StoreError, TokenRow, Within};
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
        grants: Vec::new(),
        addresses: Vec::new(),
        operator: None,
        by_provider: None,
        idle_ms: None,
        created: now,
        created_by: created_by.to_owned(),
        expires,
        last_used: None,
        revoked: None,
        suspended: None,
    };
    (TokenSecret(secret), row)
}

fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

/// Every token, in memory: what a request is let in by, whether or not the database answers.
#[derive(Default)]
pub struct TokenBook {
    tokens: RwLock<Book>,
}

#[derive(Default)]
struct Book {
    // By the hash of a secret: looking it up tells a clock nothing about the secret.
    by_hash: HashMap<Vec<u8>, Known>,
    read_at: Utc,
    used: HashMap<String, Utc>,
    told_at: Utc,
    /// The terms of sign-ins by a provider that hold here; without a provider none do.
    terms: Option<String>,
}

/// A token with what its words mean.
struct Known {
    row: TokenRow,
    held: Arc<[Held]>,
    /// `None` where a prefix cannot be read: such a token counts from nowhere.
    addresses: Option<Vec<IpNet>>,
}

impl Known {
    fn new(row: TokenRow) -> Self {
        // A word that this version does not know gives nothing.
        let scopes = row.scopes.iter().filter_map(|s| s.parse().ok()).collect();
        let mut held = vec![Held { scopes, within: Within::default() }];
        held.extend(row.grants.iter().map(Held::of));
        let addresses = row.addresses.iter().map(|a| a.parse().ok()).collect();
        Self { row, held: held.into(), addresses }
    }

    /// True where the token counts now, for a caller from there.
    fn counts(&self, peer: Option<IpAddr>, used: Option<Utc>, now: Utc) -> bool {
        let row = &self.row;
        let idle = row.idle_ms.is_some_and(|most| {
            let last = [used, row.last_used].into_iter().flatten().max().unwrap_or(row.created);
            now.0.saturating_sub(last.0) > most
        });
        let rests = row.revoked.is_some() || row.suspended.is_some();
        !rests && row.expires.is_none_or(|t| now < t) && !idle && self.is_from(peer)
    }

    /// True where its rights were read from the configuration that holds, or from none.
    fn is_under(&self, terms: Option<&str>) -> bool {
        self.row.by_provider.as_ref().is_none_or(|by| terms == Some(&by.terms))
    }

    fn is_from(&self, peer: Option<IpAddr>) -> bool {
        match &self.addresses {
            None => false,
            Some(all) if all.is_empty() => true,
            Some(all) => peer.is_some_and(|ip| all.iter().any(|net| net.contains(&ip))),
        }
    }
}

impl TokenBook {
    /// A book of these tokens: from the store, or from a snapshot where the store cannot be read.
    pub fn from_rows(rows: Vec<TokenRow>) -> Self {
        let book = Self::default();
        book.replace(rows);
        book
    }

    /// Reads the store's tokens.
    pub async fn open(store: &Store, now: Utc) -> Result<Self, StoreError> {
        let book = Self::default();
        book.read(store, now).await?;
        Ok(book)
    }

    /// Every token: what a snapshot keeps.
    pub fn rows(&self) -> Vec<TokenRow> {
        let mut rows: Vec<TokenRow> = self.read_lock().by_hash.values().map(|k| k.row.clone()).collect();
        rows.sort_by(|a, b| a.id.cmp(&b.id));
        rows
    }

    /// One token, by its id.
    pub(crate) fn row(&self, id: &str) -> Option<TokenRow> {
        self.read_lock().by_hash.values().find(|k| k.row.id == id).map(|k| k.row.clone())
    }

    /// Lets sign-ins by a provider count under these terms alone.
    pub(crate) fn only_under(&self, terms: &str) {
        self.write_lock().terms = Some(terms.to_owned());
    }

    fn replace(&self, rows: Vec<TokenRow>) {
        let by_hash = rows.into_iter().map(|r| (r.hash.clone(), Known::new(r))).collect();
        self.write_lock().by_hash = by_hash;
    }

    /// Reads the tokens anew.
    pub(crate) async fn read(&self, store: &Store, now: Utc) -> Result<(), StoreError> {
        self.replace(store.tokens().await?);
        self.write_lock().read_at = now;
        Ok(())
    }

    /// Limits of the tokens that count: whose SIMs must be known while the database does not answer.
    pub fn limits(&self) -> Vec<Within> {
        let book = self.read_lock();
        let live = book.by_hash.values().filter(|k| k.row.revoked.is_none());
        let mut all: Vec<Within> = Vec::new();
        for held in live.flat_map(|k| k.held.iter()) {
            if !held.within.is_everywhere() && !all.contains(&held.within) {
                all.push(held.within.clone());
            }
        }
        all
    }

    /// True where it is time to read anew; says so to one caller only.
    pub(crate) fn stale(&self, now: Utc) -> bool {
        let old = |b: &Book| (now.0 - b.read_at.0).abs() >= FRESH_MS;
        if !old(&self.read_lock()) {
            return false;
        }
        let mut book = self.write_lock();
        let stale = old(&book);
        book.read_at = now;
        stale
    }

    /// The caller behind a secret, where the token counts now and there.
    pub(crate) fn find(&self, secret: &str, asking: &Asking, now: Utc) -> Option<Caller> {
        let hash = digest(secret);
        let (caller, id) = {
            let book = self.read_lock();
            let known = book.by_hash.get(hash.as_slice())?;
            let used = book.used.get(&known.row.id).copied();
            if !known.counts(asking.peer, used, now) || !known.is_under(book.terms.as_deref()) {
                return None;
            }
            let caller = Caller::new(&known.row, Arc::clone(&known.held), asking);
            if used.or(known.row.last_used).is_some_and(|t| now.0 - t.0 < USE_MS) {
                return Some(caller);
            }
            (caller, known.row.id.clone())
        };
        self.write_lock().used.insert(id, now);
        Some(caller)
    }

    /// Uses that are to be written, about once a minute.
    pub(crate) fn uses_to_write(&self, now: Utc) -> Vec<(String, Utc)> {
        if now.0 - self.read_lock().told_at.0 < USE_MS {
            return Vec::new();
        }
        let mut book = self.write_lock();
        book.told_at = now;
        book.used.iter().map(|(id, at)| (id.clone(), *at)).collect()
    }

    fn read_lock(&self) -> RwLockReadGuard<'_, Book> {
        self.tokens.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_lock(&self) -> RwLockWriteGuard<'_, Book> {
        self.tokens.write().unwrap_or_else(PoisonError::into_inner)
    }
}
