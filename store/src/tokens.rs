//! API tokens as they are stored: by hash.
//!
//! A token is 32 random octets, so a plain SHA-256 is enough to keep it: there is nothing to guess, and a slow
//! hash (made for passwords, which people choose) would only slow every request.

use crate::{
    Store,
    audit::Change,
    db::{Rec, Tx, args, json_text},
    error::{Clash, StoreError},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use types::{Name, Utc};

/// Rights that somebody was given: roles or scopes, within groups and sites. The words belong to the API.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Roles.
    #[serde(default)]
    pub roles: BTreeSet<String>,
    /// Scopes beside those of the roles.
    #[serde(default)]
    pub scopes: BTreeSet<String>,
    /// Only for SIMs in one of these groups; empty is every SIM.
    #[serde(default)]
    pub groups: BTreeSet<Name>,
    /// Only for SIMs at one of these sites; empty is every SIM.
    #[serde(default)]
    pub sites: BTreeSet<Name>,
}

/// Whom an identity provider let in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByProvider {
    /// What the provider is called here.
    pub provider: String,
    /// Who it is: its issuer identifier.
    pub issuer: String,
    /// Who the person is there; never given to another one.
    pub subject: String,
    /// Digest of the configuration that the rights were read from: under another one the token does not count.
    pub terms: String,
}

/// A token without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRow {
    /// Its short name in lists and in the audit.
    pub id: String,
    /// SHA-256 of the secret.
    pub hash: Vec<u8>,
    /// Words for people: who or what uses it.
    pub label: String,
    /// What it may do to every SIM; the words belong to the API.
    pub scopes: Vec<String>,
    /// What it may do beside, within limits.
    pub grants: Vec<Grant>,
    /// Prefixes that it may be used from; empty is everywhere.
    pub addresses: Vec<String>,
    /// The operator who signed in with it; `None` for a token that was made for a script.
    pub operator: Option<String>,
    /// Who signed in by an identity provider with it.
    #[serde(default)]
    pub by_provider: Option<ByProvider>,
    /// It ends when it was not used for so long, milliseconds; `None` is never.
    pub idle_ms: Option<i64>,
    /// When it was made.
    pub created: Utc,
    /// Who made it.
    pub created_by: String,
    /// When it ends; `None` is never.
    pub expires: Option<Utc>,
    /// When it was last used, to the minute.
    pub last_used: Option<Utc>,
    /// When it was revoked.
    pub revoked: Option<Utc>,
    /// Since when it rests: it does not count until somebody lets it.
    #[serde(default)]
    pub suspended: Option<Utc>,
}

impl TokenRow {
    fn read(r: &Rec) -> Result<Self, StoreError> {
        Ok(Self {
            id: r.text("id")?,
            hash: r.blob("hash")?,
            label: r.text("label")?,
            scopes: r.json("scopes")?,
            grants: maybe_list(r, "grants")?,
            addresses: maybe_list(r, "addresses")?,
            operator: r.maybe_text("operator")?,
            by_provider: match r.maybe_text("provider")? {
                None => None,
                Some(provider) => Some(ByProvider {
                    provider,
                    issuer: r.text("issuer")?,
                    subject: r.text("subject")?,
                    terms: r.text("terms")?,
                }),
            },
            idle_ms: r.maybe_int("idle_ms")?,
            created: r.utc("created")?,
            created_by: r.text("created_by")?,
            expires: r.maybe_int("expires")?.map(Utc),
            last_used: r.maybe_int("last_used")?.map(Utc),
            revoked: r.maybe_int("revoked")?.map(Utc),
            suspended: r.maybe_int("suspended")?.map(Utc),
        })
    }

    fn for_audit(&self) -> serde_json::Value {
        serde_json::json!({
            "id": self.id, "label": self.label, "scopes": self.scopes, "grants": self.grants,
            "addresses": self.addresses, "operator": self.operator, "expires": self.expires,
            "by_provider": self.by_provider,
        })
    }

    /// Writes the row.
    pub(crate) async fn insert(&self, tx: &mut Tx) -> Result<(), StoreError> {
        let sql =
            "INSERT INTO tokens (id, hash, label, scopes, created, created_by, expires, grants, addresses,
                   operator, idle_ms, provider, issuer, subject, terms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)";
        let by = self.by_provider.as_ref();
        let a = args![
            &self.id,
            &self.hash,
            &self.label,
            json_text(&self.scopes),
            self.created,
            &self.created_by,
            self.expires,
            json_text(&self.grants),
            json_text(&self.addresses),
            self.operator.clone(),
            self.idle_ms,
            by.map(|b| b.provider.clone()),
            by.map(|b| b.issuer.clone()),
            by.map(|b| b.subject.clone()),
            by.map(|b| b.terms.clone())
        ];
        tx.exec(sql, a).await.map(|_| ())
    }
}

/// A list in JSON; absent in rows that are older than the column.
fn maybe_list<T: serde::de::DeserializeOwned>(r: &Rec, c: &'static str) -> Result<Vec<T>, StoreError> {
    match r.maybe_text(c)? {
        None => Ok(Vec::new()),
        Some(t) => serde_json::from_str(&t).map_err(|_| StoreError::Damaged { what: c }),
    }
}

impl Tx {
    async fn revoke(&mut self, row: &TokenRow, change: &Change) -> Result<(), StoreError> {
        self.exec("UPDATE tokens SET revoked = $2 WHERE id = $1", args![&row.id, change.at]).await?;
        self.record(change, "token.revoke", format!("token:{}", row.id), Some(row.for_audit()), None).await
    }

    /// Removes ended sign-ins that nobody looks at any more.
    pub(crate) async fn forget_sign_ins(&mut self, now: Utc) -> Result<(), StoreError> {
        /// They are kept for so long, milliseconds.
        const KEEP: i64 = 30 * 86_400_000;
        let sql = "DELETE FROM tokens WHERE (operator IS NOT NULL OR provider IS NOT NULL) AND expires < $1";
        self.exec(sql, args![now.0 - KEEP]).await.map(|_| ())
    }
}

impl Store {
    /// Stores a new token.
    pub async fn create_token(&self, row: TokenRow, change: &Change) -> Result<(), StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                row.insert(tx).await?;
                let object = format!("token:{}", row.id);
                tx.record(&change, "token.create", object, None, Some(row.for_audit())).await
            })
        })
        .await
    }

    /// Every token, the revoked too, by id.
    pub async fn tokens(&self) -> Result<Vec<TokenRow>, StoreError> {
        self.db.rows("SELECT * FROM tokens ORDER BY id", vec![]).await?.iter().map(TokenRow::read).collect()
    }

    /// Ends a token. One that is revoked already is a conflict.
    pub async fn revoke_token(&self, id: String, change: &Change) -> Result<(), StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let row = TokenRow::read(&tx.one("SELECT * FROM tokens WHERE id = $1", args![&id]).await?)?;
                if row.revoked.is_some() {
                    return Err(StoreError::Conflict { what: Clash::Other });
                }
                tx.revoke(&row, &change).await
            })
        })
        .await
    }

    /// Lets a token rest (`true`), or count again. One that is so already, or is revoked, is a conflict.
    pub async fn suspend_token(&self, id: String, rests: bool, change: &Change) -> Result<(), StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let row = TokenRow::read(&tx.one("SELECT * FROM tokens WHERE id = $1", args![&id]).await?)?;
                if row.revoked.is_some() || row.suspended.is_some() == rests {
                    return Err(StoreError::Conflict { what: Clash::Other });
                }
                let since = rests.then_some(change.at);
                tx.exec("UPDATE tokens SET suspended = $2 WHERE id = $1", args![&id, since]).await?;
                let action = if rests { "token.suspend" } else { "token.resume" };
                tx.record(&change, action, format!("token:{id}"), None, Some(row.for_audit())).await
            })
        })
        .await
    }

    /// As [`Store::revoke_token`] for every live token of a sign-in by a provider that was made under other terms than
    /// these (`None` is under any). Returns how many there were.
    pub async fn end_provider_tokens(
        &self,
        terms: Option<String>,
        change: &Change,
    ) -> Result<usize, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let sql =
                    "SELECT * FROM tokens WHERE provider IS NOT NULL AND revoked IS NULL AND expires > $1
                           ORDER BY id";
                let rows = tx.rows(sql, args![change.at]).await?;
                let rows = rows.iter().map(TokenRow::read).collect::<Result<Vec<_>, _>>()?;
                let others = |r: &TokenRow| r.by_provider.as_ref().map(|b| &b.terms) != terms.as_ref();
                let mut ended = 0;
                for row in rows.into_iter().filter(others) {
                    tx.revoke(&row, &change).await?;
                    ended += 1;
                }
                Ok(ended)
            })
        })
        .await
    }

    /// Notes when tokens were last used. Not a change that anybody decided, so not in the audit.
    pub async fn tokens_used(&self, used: Vec<(String, Utc)>) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                for (id, at) in used {
                    tx.exec("UPDATE tokens SET last_used = $2 WHERE id = $1", args![id, at]).await?;
                }
                Ok(())
            })
        })
        .await
    }
}
