//! Who serves a SIM beside us: the MME that asked for it by S6a last (TS 29.272 §5.2.1.1).

use crate::{Store, db::args, error::StoreError};
use types::{Imsi, Utc};

/// A SIM and its MME.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServingRow {
    /// Which SIM.
    pub imsi: Imsi,
    /// The MME's Origin-Host.
    pub mme: String,
    /// Since when.
    pub since: Utc,
}

impl Store {
    /// Every SIM that an MME serves.
    pub async fn serving_mmes(&self) -> Result<Vec<ServingRow>, StoreError> {
        let rows = self.db.rows("SELECT * FROM serving_mmes ORDER BY imsi", args![]).await?;
        let of = |r: &crate::db::Rec| {
            Ok(ServingRow { imsi: r.parse("imsi")?, mme: r.text("mme")?, since: r.utc("since")? })
        };
        rows.iter().map(of).collect()
    }

    /// This MME serves the SIM from now on; none does, where there is none.
    pub async fn set_serving_mme(&self, imsi: Imsi, mme: Option<String>, at: Utc) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                match mme {
                    Some(mme) => {
                        let sql = "INSERT INTO serving_mmes (imsi, mme, since) VALUES ($1, $2, $3)
                                   ON CONFLICT (imsi) DO UPDATE SET mme = $2, since = $3";
                        tx.later(sql, args![imsi, mme, at]).await
                    }
                    None => tx.later("DELETE FROM serving_mmes WHERE imsi = $1", args![imsi]).await,
                }
            })
        })
        .await
    }
}
