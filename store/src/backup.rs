//! What a backup takes out of the database, and what a restore marks in it.

use crate::{
    Store,
    audit::Change,
    db::{Db, args, make_private},
    error::StoreError,
    sims::SqnCeiling,
};
use serde::{Deserialize, Serialize};
use std::path::Path;
use types::Utc;

/// Setting under which a hold is kept.
const HOLD: &str = "hold";

/// Setting under which the end of the rest of all addresses is kept, milliseconds since 1970.
const REST: &str = "leases_rest_until";

/// Every SIM waits: a restore could not show that it knows all bans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Since when.
    pub since: Utc,
    /// When the backup was made that was restored.
    pub backup: Utc,
    /// Why, in plain words.
    pub reason: String,
}

/// What a restore marks, in one transaction.
#[derive(Debug, Clone)]
pub struct Marks {
    /// The hold, where there is one.
    pub hold: Option<Hold>,
    /// Until when no address gets a new owner.
    pub rest_until: Utc,
    /// SQN states, moved ahead.
    pub sqn: Vec<SqnCeiling>,
    /// What the audit says beside.
    pub note: serde_json::Value,
}

impl Store {
    /// Writes the whole database, as it is at one moment, to a new file of mode 0600. Writers go on meanwhile.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] on PostgreSQL, whose own `pg_dump` is the way; else where the disk fails.
    pub async fn snapshot_into(&self, file: &Path) -> Result<(), StoreError> {
        let Db::Sqlite { read, .. } = &*self.db else {
            return Err(StoreError::Unavailable(
                "a PostgreSQL database is backed up by its own pg_dump".to_owned(),
            ));
        };
        let Some(name) = file.to_str() else {
            return Err(StoreError::Unavailable("the name of the snapshot is not UTF-8".to_owned()));
        };
        make_private(file)?;
        // SQLite accepts an empty file as the target, so the mode is right from the first octet.
        sqlx::query("VACUUM INTO $1").bind(name.to_owned()).execute(&read.pool).await?;
        Ok(())
    }

    /// Marks a database that came out of a backup.
    pub async fn mark_restored(&self, marks: Marks, change: &Change) -> Result<(), StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                if let Some(hold) = &marks.hold {
                    let text = serde_json::to_string(hold).unwrap_or_default();
                    tx.put_meta(HOLD, text).await?;
                }
                tx.put_meta(REST, marks.rest_until.0.to_string()).await?;
                for c in marks.sqn {
                    let sql = "UPDATE sims SET sqn_ceiling = $2, sqn_offset = $3 WHERE imsi = $1";
                    tx.exec(sql, args![c.imsi, c.ceiling, c.offset]).await?;
                }
                tx.record(&change, "system.restore", "system".to_owned(), None, Some(marks.note)).await
            })
        })
        .await
    }

    /// The hold, while there is one.
    ///
    /// # Errors
    /// Where the database does not answer, or the entry cannot be read: a hold that cannot be read is no reason to
    /// go on without it.
    pub async fn hold(&self) -> Result<Option<Hold>, StoreError> {
        let Some(text) = self.meta(HOLD).await? else { return Ok(None) };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|_| StoreError::Unavailable("the entry of the hold is damaged".to_owned()))
    }

    /// Lifts the hold; false where there was none.
    pub async fn lift_hold(&self, change: &Change) -> Result<bool, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "DELETE FROM meta WHERE key = $1 RETURNING value";
                let Some(r) = tx.maybe(sql, args![HOLD]).await? else { return Ok(false) };
                let before = serde_json::from_str(&r.text("value")?).ok();
                tx.record(&change, "system.hold-lifted", "system".to_owned(), before, None).await?;
                Ok(true)
            })
        })
        .await
    }

    /// Until when no address gets a new owner; `None` where no restore asked for it.
    pub async fn leases_rest_until(&self) -> Result<Option<Utc>, StoreError> {
        Ok(self.meta(REST).await?.and_then(|t| t.parse().ok()).map(Utc))
    }

    /// How many SIMs are banned (lost or stolen).
    pub async fn count_banned(&self) -> Result<u64, StoreError> {
        let all = self.count_sims().await?;
        Ok(all.into_iter().filter(|(state, _)| state.is_banned()).map(|(_, n)| n).sum())
    }
}
