//! API tokens as they are stored: by hash.
//!
//! A token is 32 random octets, so a plain SHA-256 is enough to keep it: there is nothing to guess, and a slow
//! hash (made for passwords, which people choose) would only slow every request.

use crate::{
    Store,
    audit::Change,
    db::{Rec, args, json_text},
    error::{Clash, StoreError},
};
use types::Utc;

/// A token without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRow {
    /// Its short name in lists and in the audit.
    pub id: String,
    /// SHA-256 of the secret.
    pub hash: Vec<u8>,
    /// Words for people: who or what uses it.
    pub label: String,
    /// What it may do; the words belong to the API.
    pub scopes: Vec<String>,
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
}

impl TokenRow {
    fn read(r: &Rec) -> Result<Self, StoreError> {
        Ok(Self {
            id: r.text("id")?,
            hash: r.blob("hash")?,
            label: r.text("label")?,
            scopes: r.json("scopes")?,
            created: r.utc("created")?,
            created_by: r.text("created_by")?,
            expires: r.maybe_int("expires")?.map(Utc),
            last_used: r.maybe_int("last_used")?.map(Utc),
            revoked: r.maybe_int("revoked")?.map(Utc),
        })
    }

    fn for_audit(&self) -> serde_json::Value {
        serde_json::json!({ "id": self.id, "label": self.label, "scopes": self.scopes, "expires": self.expires })
    }
}

impl Store {
    /// Stores a new token.
    pub async fn create_token(&self, row: TokenRow, change: &Change) -> Result<(), StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "INSERT INTO tokens (id, hash, label, scopes, created, created_by, expires)
                           VALUES ($1, $2, $3, $4, $5, $6, $7)";
                let after = row.for_audit();
                let id = row.id.clone();
                let a = args![
                    row.id,
                    row.hash,
                    row.label,
                    json_text(&row.scopes),
                    row.created,
                    row.created_by,
                    row.expires
                ];
                tx.exec(sql, a).await?;
                tx.record(&change, "token.create", format!("token:{id}"), None, Some(after)).await
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
                tx.exec("UPDATE tokens SET revoked = $2 WHERE id = $1", args![&id, change.at]).await?;
                tx.record(&change, "token.revoke", format!("token:{id}"), Some(row.for_audit()), None).await
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
