//! The address ledger (decision D8): who had which address, from when to when.
//!
//! An address of a data network has one owner at any instant, and a SIM one address per data network: two
//! partial unique indexes hold it, whatever the callers do.

use crate::{
    Store,
    db::{Rec, args},
    error::{Clash, StoreError},
};
use std::net::Ipv4Addr;
use types::{Dnn, Imsi, Utc};

/// One line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRow {
    /// Its number.
    pub id: u64,
    /// Whose.
    pub imsi: Imsi,
    /// In which data network.
    pub dnn: Dnn,
    /// The address.
    pub ip: Ipv4Addr,
    /// From when.
    pub start: Utc,
    /// Until when; `None` while it lasts.
    pub end: Option<Utc>,
}

impl LeaseRow {
    pub(crate) fn read(r: &Rec) -> Result<Self, StoreError> {
        Ok(Self {
            id: r.uint("id")?,
            imsi: r.parse("imsi")?,
            dnn: r.parse("dnn")?,
            ip: r.parse("ip")?,
            start: r.utc("started")?,
            end: r.maybe_int("ended")?.map(Utc),
        })
    }
}

impl Store {
    /// Opens a lease; durable when it returns. The same lease that is open already is not an error. An open
    /// lease of the address by another SIM, or of another address by this SIM, is [`Clash::Lease`].
    pub async fn open_lease(
        &self,
        imsi: Imsi,
        dnn: Dnn,
        ip: Ipv4Addr,
        start: Utc,
    ) -> Result<LeaseRow, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "SELECT * FROM leases WHERE imsi = $1 AND dnn = $2 AND ended IS NULL";
                if let Some(r) = tx.maybe(sql, args![imsi, &dnn]).await? {
                    let open = LeaseRow::read(&r)?;
                    return if open.ip == ip {
                        Ok(open)
                    } else {
                        Err(StoreError::Conflict { what: Clash::Lease })
                    };
                }
                let id = tx.count_up("leases", 1).await?;
                let sql = "INSERT INTO leases (id, imsi, dnn, ip, started) VALUES ($1, $2, $3, $4, $5)";
                tx.exec(sql, args![id, imsi, &dnn, ip.to_string(), start]).await?;
                Ok(LeaseRow { id, imsi, dnn, ip, start, end: None })
            })
        })
        .await
    }

    /// Ends the open lease of a SIM in a data network; `None` if there is none.
    pub async fn close_lease(&self, imsi: Imsi, dnn: Dnn, end: Utc) -> Result<Option<LeaseRow>, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let sql =
                    "UPDATE leases SET ended = $3 WHERE imsi = $1 AND dnn = $2 AND ended IS NULL RETURNING *";
                tx.maybe(sql, args![imsi, &dnn, end]).await?.as_ref().map(LeaseRow::read).transpose()
            })
        })
        .await
    }

    /// Every open lease.
    pub async fn open_leases(&self) -> Result<Vec<LeaseRow>, StoreError> {
        let rows = self.db.rows("SELECT * FROM leases WHERE ended IS NULL ORDER BY id", vec![]).await?;
        rows.iter().map(LeaseRow::read).collect()
    }

    /// Leases that ended at or after `since`: addresses that may still rest.
    pub async fn leases_ended_since(&self, since: Utc) -> Result<Vec<LeaseRow>, StoreError> {
        let rows = self.db.rows("SELECT * FROM leases WHERE ended >= $1 ORDER BY id", args![since]).await?;
        rows.iter().map(LeaseRow::read).collect()
    }

    /// Who has had this address, newest first; `at` narrows it to the owner at that instant.
    pub async fn lease_history(
        &self,
        ip: Ipv4Addr,
        at: Option<Utc>,
        limit: u32,
    ) -> Result<Vec<LeaseRow>, StoreError> {
        let sql = "SELECT * FROM leases WHERE ip = $1
                   AND (CAST($2 AS BIGINT) IS NULL OR (started <= $2 AND (ended IS NULL OR ended > $2)))
                   ORDER BY started DESC, id DESC LIMIT $3";
        self.db.rows(sql, args![ip.to_string(), at, limit]).await?.iter().map(LeaseRow::read).collect()
    }
}
