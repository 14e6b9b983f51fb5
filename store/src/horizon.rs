//! The horizon of SQN: one number ahead of the clock, instead of a ceiling for each SIM whose SEQ follows the clock.

use crate::{
    Store, StoreError,
    db::{Tx, args},
};

const KEY: &str = "sqn-horizon";

impl Store {
    /// The horizon, in ticks since 1970; none where there never was one.
    ///
    /// # Errors
    /// Where the database does not answer, or the entry cannot be read: without it an SQN could leave twice.
    pub async fn sqn_horizon(&self) -> Result<Option<i64>, StoreError> {
        read(self.meta(KEY).await?)
    }

    /// Raises the horizon, because vectors leave below it: durable when it returns. A lower one is passed over. No audit: nobody
    /// decided it.
    pub async fn raise_sqn_horizon(&self, horizon: i64) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                if stored(tx).await?.is_none_or(|s| s < horizon) {
                    tx.put_meta(KEY, horizon.to_string()).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Gives the horizon up: what it says of each SIM becomes that SIM's own ceiling, and there is none any more.
    pub async fn fold_sqn_horizon(&self) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let Some(horizon) = stored(tx).await? else { return Ok(()) };
                let sql = "UPDATE sims SET sqn_ceiling = sqn_offset + $1
                           WHERE sqn_mode = 'time' AND sqn_ceiling < sqn_offset + $1";
                tx.exec(sql, args![horizon]).await?;
                tx.exec("DELETE FROM meta WHERE key = $1", args![KEY]).await.map(|_| ())
            })
        })
        .await
    }
}

async fn stored(tx: &mut Tx) -> Result<Option<i64>, StoreError> {
    read(tx.meta(KEY).await?)
}

fn read(text: Option<String>) -> Result<Option<i64>, StoreError> {
    let damaged = |_| StoreError::Unavailable("the entry of the SQN horizon is damaged".to_owned());
    text.map(|t| t.parse().map_err(damaged)).transpose()
}
