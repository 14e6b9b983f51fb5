//! Sign-ins by an identity provider: each state that was sent there comes back once, and who comes back gets a token.

use crate::{Store, audit::Change, db::args, error::StoreError, tokens::TokenRow};
use types::Utc;

impl Store {
    /// Uses up a state. False where it was used before. States that were used before `forget` are removed: what
    /// carries them counts no more.
    pub async fn use_provider_state(&self, state: String, now: Utc, forget: Utc) -> Result<bool, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                tx.exec("DELETE FROM provider_states WHERE used < $1", args![forget]).await?;
                let sql = "INSERT INTO provider_states (state, used) VALUES ($1, $2) ON CONFLICT (state) DO NOTHING";
                Ok(tx.exec(sql, args![state, now]).await? == 1)
            })
        })
        .await
    }

    /// Stores the token of somebody whom the provider let in.
    pub async fn sign_in_by_provider(&self, token: TokenRow, change: &Change) -> Result<(), StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                tx.forget_sign_ins(change.at).await?;
                token.insert(tx).await?;
                let subject = token.by_provider.as_ref().map(|b| b.subject.clone()).unwrap_or_default();
                let after = serde_json::json!({
                    "token": token.id, "label": token.label, "grants": token.grants,
                    "by_provider": token.by_provider, "expires": token.expires,
                });
                tx.record(&change, "operator.sign-in", format!("provider:{subject}"), None, Some(after)).await
            })
        })
        .await
    }
}
