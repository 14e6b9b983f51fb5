//! How risk is weighed, where it is not as shipped: one row, part of the policy.

use crate::{
    Store,
    audit::Change,
    db::{Tx, args},
    error::StoreError,
    kept::expect_version,
};
use serde_json::Value;

/// The profile by which risk is weighed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProfileRow {
    /// It, as JSON; `None`: the shipped one.
    pub body: Option<String>,
    /// Rises with each change; 0 before the first.
    pub version: u64,
}

impl Tx {
    pub(crate) async fn risk_profile(&mut self) -> Result<ProfileRow, StoreError> {
        let Some(r) = self.maybe("SELECT body, version FROM risk_profile WHERE one = 1", vec![]).await?
        else {
            return Ok(ProfileRow::default());
        };
        Ok(ProfileRow { body: Some(r.text("body")?), version: r.uint("version")? })
    }
}

impl Store {
    /// The profile by which risk is weighed.
    pub async fn risk_profile(&self) -> Result<ProfileRow, StoreError> {
        self.db.snapshot().await?.risk_profile().await
    }

    /// Replaces it; the policy's generation rises. `expect` is the version that the caller saw, `based_on` the generation
    /// that it was checked against.
    pub async fn set_risk_profile(
        &self,
        body: String,
        expect: Option<u64>,
        based_on: Option<u64>,
        change: &Change,
    ) -> Result<ProfileRow, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let old = tx.risk_profile().await?;
                expect_version(expect, old.version)?;
                tx.next_generation(based_on).await?;
                let (action, object) = ("risk-profile.change", "policy:risk-profile");
                tx.note_step(&change, action, object.to_owned()).await?;
                let sql = "INSERT INTO risk_profile (one, body, version, changed) VALUES (1, $1, 1, $2)
                           ON CONFLICT (one) DO UPDATE SET body = $1, version = risk_profile.version + 1, changed = $2";
                tx.exec(sql, args![&body, change.at]).await?;
                let told = |body: Option<&String>| body.and_then(|t| serde_json::from_str::<Value>(t).ok());
                let (before, after) = (told(old.body.as_ref()), told(Some(&body)));
                tx.record(&change, action, object.to_owned(), before, after).await?;
                tx.risk_profile().await
            })
        })
        .await
    }
}
