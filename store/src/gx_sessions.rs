//! Sessions that live at an SMF beside us, by Gx (TS 29.212 §4.5).

use crate::{Store, db::args, error::StoreError};
use ipnet::Ipv6Net;
use std::net::Ipv4Addr;
use tracing::warn;
use types::{Dnn, Imsi, Radio, Tac, Tai, Utc};

/// The largest E-UTRA cell identity (28 bits, TS 36.413 §9.2.1.38).
const LAST_CELL: i64 = 0x0fff_ffff;
/// The largest tracking area code of LTE (TS 23.003 §19.4.2.3).
const LAST_TAC: i64 = 0xffff;

/// Where an SMF said last that a SIM is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GxPlace {
    /// The tracking area.
    pub tai: Tai,
    /// The cell, where the SMF names it.
    pub cell: Option<u32>,
    /// By what radio.
    pub radio: Radio,
    /// Since when it is in this area.
    pub since: Utc,
}

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
    /// Where its SIM is; unknown where the SMF has not said it, or what it said cannot be read any longer.
    pub place: Option<GxPlace>,
}

impl Store {
    /// Every session that lives.
    pub async fn gx_sessions(&self) -> Result<Vec<GxSessionRow>, StoreError> {
        let rows = self.db.rows("SELECT * FROM gx_sessions ORDER BY smf, session", args![]).await?;
        rows.iter().map(read).collect()
    }

    /// A session lives; one of the same key is the same one, and its SIM is where it was ([`Store::set_gx_places`]).
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

    /// SIMs are here from now on, as said with each of their sessions.
    pub async fn set_gx_places(&self, places: Vec<(Imsi, GxPlace)>) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE gx_sessions
                           SET place_plmn = $2, place_tac = $3, place_cell = $4, place_radio = $5, place_since = $6
                           WHERE imsi = $1";
                for (imsi, p) in places {
                    let (plmn, tac, cell) =
                        (p.tai.plmn.to_string(), i64::from(u32::from(p.tai.tac)), p.cell.map(i64::from));
                    tx.later(sql, args![imsi, plmn, tac, cell, p.radio.as_str(), p.since]).await?;
                }
                Ok(())
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
        place: place(r)?,
    })
}

/// What was kept is judged like what comes from outside: a place that is none is unknown, and no reason not to start.
fn place(r: &crate::db::Rec) -> Result<Option<GxPlace>, StoreError> {
    let Some(plmn) = r.maybe_text("place_plmn")? else { return Ok(None) };
    let (tac, cell) = (r.maybe_int("place_tac")?, r.maybe_int("place_cell")?);
    let (radio, since) = (r.maybe_text("place_radio")?, r.maybe_int("place_since")?);
    let read = || {
        let tac = tac.filter(|t| (0..=LAST_TAC).contains(t)).and_then(|t| u32::try_from(t).ok())?;
        let cell = match cell {
            None => None,
            Some(c) => Some(u32::try_from(c).ok().filter(|_| c <= LAST_CELL)?),
        };
        Some(GxPlace {
            tai: Tai { plmn: plmn.parse().ok()?, tac: Tac::try_from(tac).ok()? },
            cell,
            radio: radio?.parse().ok()?,
            since: Utc(since.filter(|at| *at >= 0)?),
        })
    };
    let place = read();
    if place.is_none() {
        warn!("where a SIM was seen last cannot be read: its place is unknown until its SMF speaks of it");
    }
    Ok(place)
}

/// A column of text in the canonical form of a type, or none.
fn maybe<T: std::str::FromStr>(r: &crate::db::Rec, c: &'static str) -> Result<Option<T>, StoreError> {
    let text = r.maybe_text(c)?;
    text.map(|t| t.parse().map_err(|_| StoreError::Damaged { what: c })).transpose()
}
