//! Sessions that live at an SMF beside us, by Gx (TS 29.212 §4.5).

use crate::{Store, db::args, error::StoreError};
use ipnet::Ipv6Net;
use std::net::Ipv4Addr;
use types::{Dnn, Imsi, Utc};

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GxSessionRow {
    /// The SMF's Origin-Host.
    pub smf: String,
    /// Session-Id.
    pub session: String,
    /// Whose.
    pub imsi: Imsi,
    /// In which data network.
    pub dnn: Dnn,
    /// The UE's IPv4 address.
    pub ip: Option<Ipv4Addr>,
    /// Its IPv6 prefix.
    pub prefix: Option<Ipv6Net>,
    /// The SMF's Origin-State-Id at the beginning.
    pub state: Option<u32>,
    /// Since when.
    pub since: Utc,
}

impl Store {
    /// Every session that lives.
    pub async fn gx_sessions(&self) -> Result<Vec<GxSessionRow>, StoreError> {
        let rows = self.db.rows("SELECT * FROM gx_sessions ORDER BY smf, session", args![]).await?;
        rows.iter().map(read).collect()
    }

    /// A session lives; one of the same key is the same one.
    pub async fn begin_gx_session(&self, s: GxSessionRow) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let (ip, prefix) = (s.ip.map(|a| a.to_string()), s.prefix.map(|p| p.to_string()));
                let sql = "INSERT INTO gx_sessions (smf, session, imsi, dnn, ip, prefix, state, since)
                           VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                           ON CONFLICT (smf, session) DO UPDATE
                           SET imsi = $3, dnn = $4, ip = $5, prefix = $6, state = $7";
                let state = s.state.map(i64::from);
                tx.later(sql, args![s.smf, s.session, s.imsi, &s.dnn, ip, prefix, state, s.since]).await
            })
        })
        .await
    }

    /// A session does not live any more.
    pub async fn end_gx_session(&self, smf: String, session: String) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "DELETE FROM gx_sessions WHERE smf = $1 AND session = $2";
                tx.later(sql, args![smf, session]).await
            })
        })
        .await
    }
}

fn read(r: &crate::db::Rec) -> Result<GxSessionRow, StoreError> {
    Ok(GxSessionRow {
        smf: r.text("smf")?,
        session: r.text("session")?,
        imsi: r.parse("imsi")?,
        dnn: r.parse("dnn")?,
        ip: maybe(r, "ip")?,
        prefix: maybe(r, "prefix")?,
        state: r.maybe_int("state")?.and_then(|n| u32::try_from(n).ok()),
        since: r.utc("since")?,
    })
}

/// A column of text in the canonical form of a type, or none.
fn maybe<T: std::str::FromStr>(r: &crate::db::Rec, c: &'static str) -> Result<Option<T>, StoreError> {
    let text = r.maybe_text(c)?;
    text.map(|t| t.parse().map_err(|_| StoreError::Damaged { what: c })).transpose()
}
