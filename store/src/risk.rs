//! How risk is weighed, where it is not as shipped: one row, part of the policy.

use crate::{
    Store,
    audit::Change,
    db::{Tx, args},
    error::StoreError,
    kept::expect_version,
};
use serde_json::Value;

/// A profile of which nothing is said: the shipped one.
pub(crate) const SHIPPED: &str = "{}";
/// Word and object of a change in the audit.
const CHANGE: (&str, &str) = ("risk-profile.change", "policy:risk-profile");

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

    /// The profile as it was before all changes that stand behind this row of the audit.
    pub(crate) async fn risk_behind(&mut self, seq: u64) -> Result<Option<String>, StoreError> {
        let sql =
            "SELECT before FROM audit WHERE action = $1 AND object = $2 AND seq > $3 ORDER BY seq LIMIT 1";
        match self.maybe(sql, args![CHANGE.0, CHANGE.1, seq]).await? {
            Some(r) => r.maybe_text("before"),
            None => Ok(self.risk_profile().await?.body),
        }
    }

    /// Puts another one in the place of what was there.
    pub(crate) async fn put_risk_profile(
        &mut self,
        was: ProfileRow,
        body: String,
        change: &Change,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO risk_profile (one, body, version, changed) VALUES (1, $1, 1, $2)
                   ON CONFLICT (one) DO UPDATE SET body = $1, version = risk_profile.version + 1, changed = $2";
        self.exec(sql, args![&body, change.at]).await?;
        let told = |body: Option<&String>| body.and_then(|t| serde_json::from_str::<Value>(t).ok());
        let (before, after) = (told(was.body.as_ref()), told(Some(&body)));
        self.record(change, CHANGE.0, CHANGE.1.to_owned(), before, after).await
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
                tx.note_step(&change, CHANGE.0, CHANGE.1.to_owned()).await?;
                tx.put_risk_profile(old, body, &change).await?;
                tx.risk_profile().await
            })
        })
        .await
    }
}
