//! Addresses that foreign SMFs give of ranges of their own: whose they are, and whose they were (decision D8).
//!
//! We do not give them, so nothing here says whether somebody may have one: what the SMF has given is noted before its
//! session carries anything. An address has one owner at any instant: who gets it ends whoever had it. Their numbers are
//! those of the leases, so that both are one ledger.

use crate::{
    Store,
    db::{Rec, args},
    error::StoreError,
    routes::digits,
};
use ipnet::IpNet;
use types::{Dnn, Imsi, RoutePrefix, Utc};

/// An address or a prefix that a SIM has of a foreign SMF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignLease {
    /// Whose.
    pub imsi: Imsi,
    /// In which data network.
    pub dnn: Dnn,
    /// Who gave it.
    pub smf: String,
    /// A single address, or a prefix.
    pub net: IpNet,
}

impl ForeignLease {
    fn read(r: &Rec) -> Result<Self, StoreError> {
        Ok(Self { imsi: r.parse("imsi")?, dnn: r.parse("dnn")?, smf: r.text("smf")?, net: r.parse("net")? })
    }
}

impl Store {
    /// Every one that lasts.
    pub async fn open_foreign_leases(&self) -> Result<Vec<ForeignLease>, StoreError> {
        let sql = "SELECT * FROM foreign_leases WHERE ended IS NULL ORDER BY id";
        self.db.rows(sql, vec![]).await?.iter().map(ForeignLease::read).collect()
    }

    /// These begin, all or none; durable when it returns. One that lasts already goes on; another SIM's of the same address
    /// ends.
    pub async fn begin_foreign_leases(&self, all: Vec<ForeignLease>, at: Utc) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                for l in all {
                    let (low, high) = RoutePrefix::span_of(l.net);
                    let net = l.net.to_string();
                    let sql = "UPDATE foreign_leases SET ended = $5 WHERE low = $1 AND ended IS NULL
                               AND NOT (imsi = $2 AND dnn = $3 AND net = $4)";
                    tx.later(sql, args![digits(low), l.imsi, &l.dnn, &net, at]).await?;
                    let open = "SELECT id FROM foreign_leases WHERE low = $1 AND ended IS NULL";
                    if tx.maybe(open, args![digits(low)]).await?.is_some() {
                        continue;
                    }
                    let id = tx.count_up("leases", 1).await?;
                    let sql = "INSERT INTO foreign_leases (id, imsi, dnn, smf, net, low, high, started)
                               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
                    let a = args![id, l.imsi, &l.dnn, &l.smf, net, digits(low), digits(high), at];
                    tx.later(sql, a).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// These have ended, each at its time.
    pub async fn end_foreign_leases(&self, all: Vec<(ForeignLease, Utc)>) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                for (l, at) in all {
                    let (low, _) = RoutePrefix::span_of(l.net);
                    let sql =
                        "UPDATE foreign_leases SET ended = CASE WHEN started > $4 THEN started ELSE $4 END
                               WHERE low = $1 AND imsi = $2 AND dnn = $3 AND ended IS NULL";
                    tx.later(sql, args![digits(low), l.imsi, &l.dnn, at]).await?;
                }
                Ok(())
            })
        })
        .await
    }
}
