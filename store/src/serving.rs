//! Who serves a SIM beside us: the MME that asked for it by S6a last (TS 29.272 §5.2.1.1), what it knows of the SIM by us,
//! which MMEs are to let go of it, and what MMEs do not understand.

use crate::{
    Store,
    db::{Rec, args},
    error::StoreError,
};
use types::{Imsi, Utc};

/// A SIM and its MME.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServingRow {
    /// Which SIM.
    pub imsi: Imsi,
    /// The MME's Origin-Host.
    pub mme: String,
    /// What the MME knows of it, as whoever told it writes that.
    pub told: Option<String>,
    /// Since when.
    pub since: Utc,
}

/// A command that an MME does not understand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnsupportedRow {
    /// The MME's Origin-Host.
    pub mme: String,
    /// The command.
    pub command: u32,
    /// Its Origin-State-Id when it said so.
    pub state: Option<u32>,
    /// Its product.
    pub product: String,
}

/// An MME that is to let go of a SIM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancellationRow {
    /// Which SIM.
    pub imsi: Imsi,
    /// The MME's Origin-Host.
    pub mme: String,
    /// Another MME serves it, otherwise its device is refused.
    pub moved: bool,
    /// Since when.
    pub since: Utc,
}

/// Cancellation-Type (TS 29.272 §7.3.24).
const MME_UPDATE: i64 = 0;
const SUBSCRIPTION_WITHDRAWAL: i64 = 2;

impl CancellationRow {
    fn read(r: &Rec) -> Result<Self, StoreError> {
        Ok(Self {
            imsi: r.parse("imsi")?,
            mme: r.text("mme")?,
            moved: r.int("kind")? == MME_UPDATE,
            since: r.utc("since")?,
        })
    }
}

impl ServingRow {
    fn read(r: &Rec) -> Result<Self, StoreError> {
        Ok(Self {
            imsi: r.parse("imsi")?,
            mme: r.text("mme")?,
            told: r.maybe_text("told")?,
            since: r.utc("since")?,
        })
    }
}

impl UnsupportedRow {
    fn read(r: &Rec) -> Result<Self, StoreError> {
        let number = |n: i64, what| u32::try_from(n).map_err(|_| StoreError::Damaged { what });
        Ok(Self {
            mme: r.text("mme")?,
            command: number(r.int("command")?, "command")?,
            state: r.maybe_int("state")?.map(|n| number(n, "state")).transpose()?,
            product: r.text("product")?,
        })
    }
}

impl Store {
    /// Every SIM that an MME serves.
    pub async fn serving_mmes(&self) -> Result<Vec<ServingRow>, StoreError> {
        let rows = self.db.rows("SELECT * FROM serving_mmes ORDER BY imsi", args![]).await?;
        rows.iter().map(ServingRow::read).collect()
    }

    /// This MME serves the SIM from now on and knows this of it; none does, where there is none. The one before is to let go,
    /// and this one is not any more; nor is one that has let go.
    pub async fn set_serving_mme(
        &self,
        imsi: Imsi,
        mme: Option<String>,
        told: Option<String>,
        at: Utc,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                match mme {
                    Some(mme) => {
                        let sql = "INSERT INTO mme_cancellations (imsi, mme, kind, since)
                                   SELECT imsi, mme, $3, $4 FROM serving_mmes WHERE imsi = $1 AND mme <> $2
                                   ON CONFLICT (imsi, mme) DO UPDATE SET kind = $3, since = $4";
                        tx.later(sql, args![imsi, mme.clone(), MME_UPDATE, at]).await?;
                        let sql = "DELETE FROM mme_cancellations WHERE imsi = $1 AND mme = $2";
                        tx.later(sql, args![imsi, mme.clone()]).await?;
                        let sql = "INSERT INTO serving_mmes (imsi, mme, told, since) VALUES ($1, $2, $3, $4)
                                   ON CONFLICT (imsi) DO UPDATE SET mme = $2, told = $3, since = $4";
                        tx.later(sql, args![imsi, mme, told, at]).await
                    }
                    None => {
                        let sql = "DELETE FROM mme_cancellations WHERE imsi = $1
                                   AND mme IN (SELECT mme FROM serving_mmes WHERE imsi = $1)";
                        tx.later(sql, args![imsi]).await?;
                        tx.later("DELETE FROM serving_mmes WHERE imsi = $1", args![imsi]).await
                    }
                }
            })
        })
        .await
    }

    /// The MME, if it still serves the SIM, knows this of it.
    pub async fn set_told(&self, imsi: Imsi, mme: String, told: String) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE serving_mmes SET told = $3 WHERE imsi = $1 AND mme = $2";
                tx.later(sql, args![imsi, mme, told]).await
            })
        })
        .await
    }

    /// Every SIM that an MME is to let go of.
    pub async fn mme_cancellations(&self) -> Result<Vec<CancellationRow>, StoreError> {
        let rows = self.db.rows("SELECT * FROM mme_cancellations ORDER BY imsi, mme", args![]).await?;
        rows.iter().map(CancellationRow::read).collect()
    }

    /// An MME is to let go of a SIM because of its device.
    pub async fn add_mme_cancellation(&self, imsi: Imsi, mme: String, at: Utc) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "INSERT INTO mme_cancellations (imsi, mme, kind, since) VALUES ($1, $2, $3, $4)
                           ON CONFLICT (imsi, mme) DO UPDATE SET kind = $3";
                tx.later(sql, args![imsi, mme, SUBSCRIPTION_WITHDRAWAL, at]).await
            })
        })
        .await
    }

    /// It has let go.
    pub async fn end_mme_cancellation(&self, imsi: Imsi, mme: String) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "DELETE FROM mme_cancellations WHERE imsi = $1 AND mme = $2";
                tx.later(sql, args![imsi, mme]).await
            })
        })
        .await
    }

    /// Everything that MMEs do not understand.
    pub async fn unsupported(&self) -> Result<Vec<UnsupportedRow>, StoreError> {
        let rows = self.db.rows("SELECT * FROM mme_unsupported ORDER BY mme, command", args![]).await?;
        rows.iter().map(UnsupportedRow::read).collect()
    }

    /// An MME does not understand a command.
    pub async fn add_unsupported(&self, row: UnsupportedRow) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "INSERT INTO mme_unsupported (mme, command, state, product) VALUES ($1, $2, $3, $4)
                           ON CONFLICT (mme, command) DO UPDATE SET state = $3, product = $4";
                let state = row.state.map(i64::from);
                tx.later(sql, args![row.mme, row.command, state, row.product]).await
            })
        })
        .await
    }

    /// An MME is here as this one: what it did not understand as another one is forgotten.
    pub async fn forget_unsupported(
        &self,
        mme: String,
        state: Option<u32>,
        product: String,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "DELETE FROM mme_unsupported WHERE mme = $1
                           AND NOT (product = $3 AND COALESCE(state, -1) = $2)";
                tx.later(sql, args![mme, state.map_or(-1, i64::from), product]).await
            })
        })
        .await
    }
}
