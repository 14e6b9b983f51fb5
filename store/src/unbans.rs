//! Unbans that wait for a second person.

use crate::{
    Page, Store,
    audit::Change,
    db::{Rec, Tx, args},
    error::{Clash, StoreError},
};
use types::{DevicePattern, Imsi, SimState, Utc};

/// Whose ban is to be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnbanOf {
    /// A SIM's.
    Sim {
        /// Which.
        imsi: Imsi,
        /// The state that it is to get.
        to: SimState,
    },
    /// A device's, by its IMEI.
    Device(DevicePattern),
}

impl UnbanOf {
    /// Its columns: scope, value, state.
    fn columns(self) -> (&'static str, String, String) {
        match self {
            Self::Sim { imsi, to } => ("sim", imsi.to_string(), to.to_string()),
            Self::Device(device) => ("imei", device.to_string(), String::new()),
        }
    }

    fn read(r: &Rec) -> Result<Self, StoreError> {
        match r.text("scope")?.as_str() {
            "sim" => Ok(Self::Sim { imsi: r.parse("value")?, to: r.parse("to_state")? }),
            "imei" => Ok(Self::Device(r.parse("value")?)),
            _ => Err(StoreError::Damaged { what: "scope" }),
        }
    }

    /// As the audit has it.
    fn named(self) -> serde_json::Value {
        match self {
            Self::Sim { imsi, to } => serde_json::json!({ "imsi": imsi, "to": to }),
            Self::Device(device) => serde_json::json!({ "device": device }),
        }
    }
}

/// Somebody asks that a ban be taken back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnbanRequestRow {
    /// Its name; sorts by time.
    pub id: String,
    /// When.
    pub at: Utc,
    /// Until when somebody may agree.
    pub expires: Utc,
    /// Whose ban.
    pub of: UnbanOf,
    /// Who asks.
    pub asked_by: String,
    /// Why, in their words.
    pub reason: String,
    /// Their ticket; may be empty.
    pub ticket: String,
    /// `open`, `approved`, `refused` or `expired`.
    pub state: String,
    /// Who decided.
    pub decided_by: Option<String>,
    /// When.
    pub decided: Option<Utc>,
    /// What they said.
    pub words: Option<String>,
}

impl UnbanRequestRow {
    fn read(r: &Rec) -> Result<Self, StoreError> {
        Ok(Self {
            id: r.text("id")?,
            at: r.utc("at")?,
            expires: r.utc("expires")?,
            of: UnbanOf::read(r)?,
            asked_by: r.text("asked_by")?,
            reason: r.text("reason")?,
            ticket: r.text("ticket")?,
            state: r.text("state")?,
            decided_by: r.maybe_text("decided_by")?,
            decided: r.maybe_int("decided")?.map(Utc),
            words: r.maybe_text("words")?,
        })
    }
}

fn object(id: &str) -> String {
    format!("unban-request:{id}")
}

impl Tx {
    /// The request is carried out, in the transaction of the unban itself.
    pub(crate) async fn carry_out(&mut self, id: &str, by: &str, change: &Change) -> Result<(), StoreError> {
        self.decide(id, "approved", by, change).await.map(|_| ())
    }

    async fn decide(
        &mut self,
        id: &str,
        state: &'static str,
        by: &str,
        change: &Change,
    ) -> Result<UnbanRequestRow, StoreError> {
        let r = self.maybe("SELECT * FROM unban_requests WHERE id = $1", args![id]).await?;
        let row = UnbanRequestRow::read(&r.ok_or(StoreError::NotFound)?)?;
        if row.state != "open" || (state != "expired" && row.expires <= change.at) {
            return Err(StoreError::Conflict { what: Clash::Other });
        }
        let sql =
            "UPDATE unban_requests SET state = $2, decided_by = $3, decided = $4, words = $5 WHERE id = $1";
        self.exec(sql, args![id, state, by, change.at, &change.reason]).await?;
        let mut after = row.of.named();
        if let Some(o) = after.as_object_mut() {
            o.insert("state".to_owned(), state.into());
        }
        let before = serde_json::json!({ "state": "open" });
        self.record(change, "unban-request.decide", object(id), Some(before), Some(after)).await?;
        Ok(UnbanRequestRow {
            state: state.to_owned(),
            decided_by: Some(by.to_owned()),
            decided: Some(change.at),
            words: Some(change.reason.clone()),
            ..row
        })
    }
}

impl Store {
    /// Stores a request. There is one open request for a SIM or a device at most.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where one is open.
    pub async fn ask_unban(&self, row: UnbanRequestRow, change: &Change) -> Result<(), StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let (scope, value, to) = row.of.columns();
                let sql = "SELECT id FROM unban_requests
                           WHERE value = $1 AND scope = $2 AND state = 'open' AND expires > $3";
                if tx.maybe(sql, args![&value, scope, row.at]).await?.is_some() {
                    return Err(StoreError::Conflict { what: Clash::Other });
                }
                let sql = "INSERT INTO unban_requests
                           (id, at, expires, scope, value, to_state, asked_by, reason, ticket, state)
                           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'open')";
                let (by, why) = (&row.asked_by, &row.reason);
                let a = args![&row.id, row.at, row.expires, scope, value, to, by, why, &row.ticket];
                tx.exec(sql, a).await?;
                let mut after = row.of.named();
                if let Some(o) = after.as_object_mut() {
                    o.insert("expires".to_owned(), row.expires.0.into());
                }
                tx.record(&change, "unban-request.create", object(&row.id), None, Some(after)).await
            })
        })
        .await
    }

    /// Refuses a request.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Conflict`] where it is no longer open.
    pub async fn refuse_unban(
        &self,
        id: String,
        by: String,
        change: &Change,
    ) -> Result<UnbanRequestRow, StoreError> {
        let change = change.clone();
        self.write(move |tx| Box::pin(async move { tx.decide(&id, "refused", &by, &change).await })).await
    }

    /// Ends requests that nobody agreed to in time; how many.
    pub async fn expire_unbans(&self, at: Utc) -> Result<u64, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "SELECT id FROM unban_requests WHERE state = 'open' AND expires <= $1";
                let rows = tx.rows(sql, args![at]).await?;
                let change =
                    Change { reason: "nobody agreed in time".to_owned(), ..Change::by_system("control", at) };
                for r in &rows {
                    tx.decide(&r.text("id")?, "expired", "control", &change).await?;
                }
                Ok(rows.len() as u64)
            })
        })
        .await
    }

    /// One request.
    pub async fn unban_request(&self, id: &str) -> Result<UnbanRequestRow, StoreError> {
        let r = self.db.maybe("SELECT * FROM unban_requests WHERE id = $1", args![id]).await?;
        UnbanRequestRow::read(&r.ok_or(StoreError::NotFound)?)
    }

    /// Requests, newest first, before `cursor`.
    pub async fn unban_requests(
        &self,
        state: Option<String>,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<UnbanRequestRow>, StoreError> {
        let sql = "SELECT * FROM unban_requests WHERE id < $1 AND (CAST($2 AS TEXT) IS NULL OR state = $2)
                   ORDER BY id DESC LIMIT $3";
        let rows = self.db.rows(sql, args![cursor.unwrap_or("z"), state, limit + 1]).await?;
        let items = rows.iter().map(UnbanRequestRow::read).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(items, limit, |r| r.id.clone()))
    }
}
