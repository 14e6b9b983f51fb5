//! Passkeys of local operators. What a credential means belongs to the API; here it is a text that is replaced when its
//! counter rises.

use crate::{
    Store,
    audit::Change,
    db::{Rec, args},
    error::StoreError,
    operators::object,
    tokens::TokenRow,
};
use types::{Name, Utc};

/// A passkey as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasskeyRow {
    /// The credential's id, which the authenticator made.
    pub id: String,
    /// Whose it is.
    pub operator: Name,
    /// What he calls it.
    pub name: String,
    /// Public key and counter.
    pub credential: String,
    /// When it was registered.
    pub created: Utc,
    /// When it last let him in.
    pub last_used: Option<Utc>,
}

impl PasskeyRow {
    fn read(r: &Rec) -> Result<Self, StoreError> {
        Ok(Self {
            id: r.text("id")?,
            operator: r.parse("operator")?,
            name: r.text("name")?,
            credential: r.text("credential")?,
            created: r.utc("created")?,
            last_used: r.maybe_int("last_used")?.map(Utc),
        })
    }

    fn for_audit(&self) -> serde_json::Value {
        serde_json::json!({ "passkey": self.id, "name": self.name })
    }
}

impl Store {
    /// The passkeys of an operator, oldest first.
    pub async fn passkeys(&self, operator: &Name) -> Result<Vec<PasskeyRow>, StoreError> {
        let sql = "SELECT * FROM passkeys WHERE operator = $1 ORDER BY created, id";
        self.db.rows(sql, args![operator]).await?.iter().map(PasskeyRow::read).collect()
    }

    /// One passkey, by the id of its credential.
    pub async fn passkey(&self, id: &str) -> Result<PasskeyRow, StoreError> {
        let r = self.db.maybe("SELECT * FROM passkeys WHERE id = $1", args![id]).await?;
        PasskeyRow::read(&r.ok_or(StoreError::NotFound)?)
    }

    /// Stores a new passkey.
    pub async fn add_passkey(&self, row: PasskeyRow, change: &Change) -> Result<(), StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "INSERT INTO passkeys (id, operator, name, credential, created) VALUES ($1, $2, $3, $4, $5)";
                let a = args![&row.id, &row.operator, &row.name, &row.credential, row.created];
                tx.exec(sql, a).await?;
                tx.record(&change, "operator.passkey", object(&row.operator), None, Some(row.for_audit())).await
            })
        })
        .await
    }

    /// Removes a passkey of an operator.
    pub async fn remove_passkey(
        &self,
        operator: Name,
        id: String,
        change: &Change,
    ) -> Result<(), StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "SELECT * FROM passkeys WHERE id = $1 AND operator = $2";
                let row = PasskeyRow::read(&tx.one(sql, args![&id, &operator]).await?)?;
                tx.exec("DELETE FROM passkeys WHERE id = $1", args![&id]).await?;
                tx.record(&change, "operator.passkey", object(&operator), Some(row.for_audit()), None).await
            })
        })
        .await
    }

    /// An operator signs in by a passkey: keeps its new counter and stores the token. `seen` is the version of the
    /// operator that was looked at. [`StoreError::NotFound`] where he or the passkey is not so any more.
    pub async fn sign_in_by_passkey(
        &self,
        passkey: PasskeyRow,
        seen: u64,
        token: TokenRow,
        change: &Change,
    ) -> Result<(), StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE operators SET signed_in = $2 WHERE name = $1 AND version = $3 AND disabled IS NULL";
                if tx.exec(sql, args![&passkey.operator, change.at, seen]).await? != 1 {
                    return Err(StoreError::NotFound);
                }
                let sql = "UPDATE passkeys SET credential = $2, last_used = $3 WHERE id = $1";
                if tx.exec(sql, args![&passkey.id, &passkey.credential, change.at]).await? != 1 {
                    return Err(StoreError::NotFound);
                }
                tx.forget_sign_ins(change.at).await?;
                token.insert(tx).await?;
                let after = serde_json::json!({ "token": token.id, "passkey": passkey.id, "name": passkey.name });
                tx.record(&change, "operator.sign-in", object(&passkey.operator), None, Some(after)).await
            })
        })
        .await
    }
}
