//! Bans, and what else takes rights away: the record of who asked for what, and a receipt for each SIM.
//!
//! The receipts' bodies are opaque here: signed text that only grows in version. A ban's state, history, audit,
//! outbox, record, receipts and the kept answer of its request are one transaction.

use crate::{
    Page, Store,
    audit::{Change, Saying, clock},
    db::{Rec, Tx, args},
    error::StoreError,
    idempotency::Kept,
    sims::StateChange,
};
use serde::{Deserialize, Serialize};
use types::{Imsi, SimState, TransitionError, Utc};

/// Setting under which the head of the gateway's journal is kept that `control` last saw.
const JOURNAL_HEAD: &str = "journal_head";

/// Who took what away from whom, or gave it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationRow {
    /// Its name; sorts by time.
    pub id: String,
    /// When it was asked for.
    pub at: Utc,
    /// `ban`, `unban`, `quarantine`, `release`, `panic` or `calm`.
    pub kind: String,
    /// `sim`, `imei`, `device`, `person`, `group` or `site`.
    pub scope: String,
    /// Which one.
    pub value: String,
    /// The state that its SIMs got, for a ban or unban.
    pub state: Option<SimState>,
    /// Who asked.
    pub actor: String,
    /// Why, in their words.
    pub reason: String,
    /// Their ticket; may be empty.
    pub ticket: String,
    /// In which request; may be empty.
    pub request_id: String,
    /// From where; may be empty.
    pub origin: String,
    /// How many SIMs it covers.
    pub sims: u64,
    /// What else is to be said, as JSON text: where it is recorded, what could not be done.
    pub detail: String,
}

/// The newest version of a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptRow {
    /// Of which revocation.
    pub revocation: String,
    /// Of which SIM.
    pub imsi: Imsi,
    /// Rises with each thing that is added.
    pub version: u64,
    /// The signed text, JSON.
    pub body: String,
    /// The signature, hexadecimal.
    pub signature: String,
    /// Codes of what is pending, separated by spaces.
    pub pending: String,
    /// When nothing more can be added.
    pub closed: Option<Utc>,
}

/// A restriction that is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestrictionRow {
    /// `quarantine` (of a SIM), `panic` (of a group) or `device` (banned by its IMEI).
    pub kind: String,
    /// Of what.
    pub value: String,
    /// Since when.
    pub at: Utc,
    /// Who asked.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// By which revocation.
    pub revocation: String,
}

/// The answer of the request that a change came in, kept in the change's own transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptAnswer {
    /// Whose key.
    pub actor: String,
    /// The key.
    pub key: String,
    /// Digest of the request.
    pub fingerprint: Vec<u8>,
    /// The answer.
    pub answer: Kept,
}

/// Everything that a ban, an unban or a restriction writes, in one transaction.
#[derive(Debug, Clone)]
pub struct RevocationWrite {
    /// The record; `None` where it is there already.
    pub record: Option<RevocationRow>,
    /// SIMs whose state changes.
    pub states: Vec<(Imsi, SimState)>,
    /// Of which kind the change is.
    pub kind: StateChange,
    /// Who, when, why.
    pub change: Change,
    /// Receipts, new or in a later version.
    pub receipts: Vec<ReceiptRow>,
    /// The request's answer.
    pub kept: Option<KeptAnswer>,
    /// Head of the journal after it: number of records and hash.
    pub head: Option<(u64, [u8; 32])>,
    /// A restriction that goes on (true) or off.
    pub restriction: Option<(RestrictionRow, bool)>,
    /// The request for an unban that this carries out.
    pub approves: Option<(String, String)>,
}

impl RevocationWrite {
    /// Nothing but who, when and why.
    pub fn new(kind: StateChange, change: Change) -> Self {
        Self {
            record: None,
            states: Vec::new(),
            kind,
            change,
            receipts: Vec::new(),
            kept: None,
            head: None,
            restriction: None,
            approves: None,
        }
    }

    /// True for what takes rights away, and goes on where the audit cannot be written.
    fn takes_away(&self) -> bool {
        self.record.as_ref().map_or(self.kind == StateChange::Ban, |r| {
            matches!(r.kind.as_str(), "ban" | "quarantine" | "panic")
        })
    }
}

/// Which revocations to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RevocationFilter {
    /// Only of this scope.
    pub scope: Option<String>,
    /// Only of this value.
    pub value: Option<String>,
    /// Only of this kind.
    pub kind: Option<String>,
    /// Only those that have a receipt of this SIM.
    pub imsi: Option<Imsi>,
}

impl RevocationRow {
    fn read(r: &Rec) -> Result<Self, StoreError> {
        let state = r.maybe_text("state")?;
        Ok(Self {
            id: r.text("id")?,
            at: r.utc("at")?,
            kind: r.text("kind")?,
            scope: r.text("scope")?,
            value: r.text("value")?,
            state: state.map(|s| s.parse().map_err(|_| StoreError::Damaged { what: "state" })).transpose()?,
            actor: r.text("actor")?,
            reason: r.text("reason")?,
            ticket: r.text("ticket")?,
            request_id: r.text("request_id")?,
            origin: r.text("origin")?,
            sims: r.uint("sims")?,
            detail: r.text("detail")?,
        })
    }
}

impl ReceiptRow {
    fn read(r: &Rec) -> Result<Self, StoreError> {
        Ok(Self {
            revocation: r.text("revocation")?,
            imsi: r.parse("imsi")?,
            version: r.uint("version")?,
            body: r.text("body")?,
            signature: r.text("signature")?,
            pending: r.text("pending")?,
            closed: r.maybe_int("closed")?.map(Utc),
        })
    }
}

impl RestrictionRow {
    fn read(r: &Rec) -> Result<Self, StoreError> {
        Ok(Self {
            kind: r.text("kind")?,
            value: r.text("value")?,
            at: r.utc("at")?,
            actor: r.text("actor")?,
            reason: r.text("reason")?,
            revocation: r.text("revocation")?,
        })
    }
}

impl Tx {
    /// What the database has of a change before it is made: is its record there, and the state of its first SIM. One trip
    /// to the database, whose answer somebody waits for.
    async fn look(&mut self, w: &RevocationWrite) -> Result<(bool, Option<SimState>), StoreError> {
        let sql = "SELECT s.state AS state, r.id AS record FROM (SELECT 1 AS one) o
                   LEFT JOIN sims s ON s.imsi = $1 LEFT JOIN revocations r ON r.id = $2";
        let imsi = w.states.first().map(|(imsi, _)| imsi.to_string());
        let found = self.one(sql, args![imsi, w.record.as_ref().map(|r| r.id.clone())]).await?;
        let state = found.maybe_text("state")?;
        let state =
            state.map(|s| s.parse().map_err(|_| StoreError::Damaged { what: "state" })).transpose()?;
        Ok((found.maybe_text("record")?.is_some(), state))
    }

    /// Writes the record, which is not there yet; what the audit is to say of it.
    async fn add_revocation(&mut self, r: &RevocationRow, change: &Change) -> Result<Saying, StoreError> {
        let sql =
            "INSERT INTO revocations (id, at, kind, scope, value, state, actor, reason, ticket, request_id,
                   origin, sims, detail) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
        let a = args![
            &r.id,
            r.at,
            &r.kind,
            &r.scope,
            &r.value,
            r.state.map(|s| s.to_string()),
            &r.actor,
            &r.reason,
            &r.ticket,
            &r.request_id,
            &r.origin,
            r.sims,
            &r.detail,
        ];
        self.later(sql, a).await?;
        let after = serde_json::json!({
            "kind": r.kind, "scope": r.scope, "value": r.value, "state": r.state, "sims": r.sims, "ticket": r.ticket,
        });
        let object = format!("revocation:{}", r.id);
        Ok(Saying::new(change, "revocation.create", object, None, Some(after)))
    }

    /// Writes a receipt, if it is newer than the one that is there.
    async fn put_receipt(&mut self, r: &ReceiptRow) -> Result<(), StoreError> {
        let sql = "INSERT INTO receipts (revocation, imsi, version, body, signature, pending, closed)
                   VALUES ($1, $2, $3, $4, $5, $6, $7)
                   ON CONFLICT (revocation, imsi) DO UPDATE SET version = $3, body = $4, signature = $5,
                   pending = $6, closed = $7 WHERE receipts.version < $3 OR receipts.closed IS NULL AND $7 IS NOT NULL";
        let closed = r.closed.map(|t| t.0);
        let a = args![&r.revocation, r.imsi, r.version, &r.body, &r.signature, &r.pending, closed];
        self.later(sql, a).await
    }

    /// A state that a ban or unban wants. What a ban cannot change (a SIM that is gone or retired may not live
    /// anyway) is passed over: the ban's record stands all the same.
    async fn revoke_state(
        &mut self,
        imsi: Imsi,
        from: Option<SimState>,
        to: SimState,
        w: &RevocationWrite,
    ) -> Result<Option<Saying>, StoreError> {
        let ban = w.kind == StateChange::Ban;
        let from = match from {
            None if ban => return Ok(None),
            from => from.ok_or(StoreError::NotFound)?,
        };
        if ban && (from == to || from == SimState::Retired) {
            return Ok(None);
        }
        let fits = if ban { to.is_banned() } else { from.is_banned() && !to.is_banned() };
        if !fits {
            return Err(TransitionError { from, to }.into());
        }
        from.change_to(to)?;
        self.put_state(imsi, from, to, &w.change).await.map(Some)
    }

    async fn restrict(&mut self, r: &RestrictionRow, on: bool) -> Result<(), StoreError> {
        let sql = "DELETE FROM restrictions WHERE kind = $1 AND value = $2";
        self.later(sql, args![&r.kind, &r.value]).await?;
        if on {
            let sql = "INSERT INTO restrictions (kind, value, at, actor, reason, revocation)
                       VALUES ($1, $2, $3, $4, $5, $6)";
            let a = args![&r.kind, &r.value, r.at, &r.actor, &r.reason, &r.revocation];
            self.later(sql, a).await?;
        }
        Ok(())
    }

    async fn set_head(&mut self, records: u64, hash: &[u8; 32]) -> Result<(), StoreError> {
        // The number has no leading zeros and the hash one length: a longer text has the greater number, and of two of one
        // length the greater text. Of the same number the first one stays.
        let sql = "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = $2
                   WHERE LENGTH(meta.value) < LENGTH($2) OR LENGTH(meta.value) = LENGTH($2) AND meta.value < $3";
        let number = format!("{records} ");
        let value = format!("{number}{}", types::hex(hash));
        self.later(sql, args![JOURNAL_HEAD, value, number]).await
    }
}

fn read_head(text: &str) -> Option<(u64, [u8; 32])> {
    let (records, hash) = text.split_once(' ')?;
    Some((records.parse().ok()?, types::unhex(hash)?.try_into().ok()?))
}

impl Store {
    /// Writes a ban, an unban or a restriction: everything of it, or nothing.
    ///
    /// # Errors
    /// [`StoreError::Transition`] for an unban of a SIM that is not banned; what the database says otherwise.
    pub async fn write_revocation(&self, w: RevocationWrite) -> Result<(), StoreError> {
        if crash::sabotaged("ban-stored") {
            return Ok(());
        }
        // Whether it was the audit that failed costs a trip to find out: it is asked where something did. Where there is no
        // room, there is none for what the audit is owed either.
        match self.write_revocation_with(w.clone(), false).await {
            Err(StoreError::Full) => Err(StoreError::Full),
            Err(_) if w.takes_away() => self.write_revocation_with(w, true).await,
            done => done,
        }
    }

    /// `may_owe`: the audit may be written later.
    async fn write_revocation_with(&self, w: RevocationWrite, may_owe: bool) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let mut said = Vec::new();
                let (is_there, first) = tx.look(&w).await?;
                for (nth, (imsi, to)) in w.states.iter().enumerate() {
                    let from = if nth == 0 { first } else { tx.maybe_sim_state(*imsi).await? };
                    said.extend(tx.revoke_state(*imsi, from, *to, &w).await?);
                }
                if let Some(r) = w.record.as_ref().filter(|_| !is_there) {
                    said.push(tx.add_revocation(r, &w.change).await?);
                }
                if may_owe {
                    tx.record_or_owe(said).await?;
                } else {
                    tx.append_audit(said, clock()).await?;
                }
                for r in &w.receipts {
                    tx.put_receipt(r).await?;
                }
                if let Some((r, on)) = &w.restriction {
                    tx.restrict(r, *on).await?;
                }
                if let Some((request, by)) = &w.approves {
                    tx.carry_out(request, by, &w.change).await?;
                }
                if let Some((records, hash)) = &w.head {
                    tx.set_head(*records, hash).await?;
                }
                if let Some(k) = w.kept {
                    tx.keep_whole(k, w.change.at).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Writes later versions of receipts.
    pub async fn update_receipts(&self, receipts: Vec<ReceiptRow>) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                for r in &receipts {
                    tx.put_receipt(r).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Revocations, newest first, before `cursor`.
    pub async fn revocations(
        &self,
        f: &RevocationFilter,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<RevocationRow>, StoreError> {
        let sql = "SELECT * FROM revocations r WHERE r.id < $1
                   AND (CAST($2 AS TEXT) IS NULL OR r.scope = $2) AND (CAST($3 AS TEXT) IS NULL OR r.value = $3)
                   AND (CAST($4 AS TEXT) IS NULL OR r.kind = $4)
                   AND (CAST($5 AS TEXT) IS NULL OR EXISTS
                        (SELECT 1 FROM receipts c WHERE c.revocation = r.id AND c.imsi = $5))
                   ORDER BY r.id DESC LIMIT $6";
        let imsi = f.imsi.map(|i| i.to_string());
        // Every id begins with a digit or a letter up to f.
        let a =
            args![cursor.unwrap_or("z"), f.scope.clone(), f.value.clone(), f.kind.clone(), imsi, limit + 1];
        let rows = self.db.rows(sql, a).await?;
        let items = rows.iter().map(RevocationRow::read).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(items, limit, |r| r.id.clone()))
    }

    /// One revocation.
    pub async fn revocation(&self, id: &str) -> Result<RevocationRow, StoreError> {
        let r = self.db.maybe("SELECT * FROM revocations WHERE id = $1", args![id]).await?;
        RevocationRow::read(&r.ok_or(StoreError::NotFound)?)
    }

    /// Its receipts by IMSI, behind `after`.
    pub async fn receipts(
        &self,
        revocation: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<ReceiptRow>, StoreError> {
        let sql = "SELECT * FROM receipts WHERE revocation = $1 AND imsi > $2 ORDER BY imsi LIMIT $3";
        let rows = self.db.rows(sql, args![revocation, after.unwrap_or(""), limit + 1]).await?;
        let items = rows.iter().map(ReceiptRow::read).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(items, limit, |r| r.imsi.to_string()))
    }

    /// Every receipt that goes on being written.
    pub async fn open_receipts(&self) -> Result<Vec<ReceiptRow>, StoreError> {
        let sql = "SELECT * FROM receipts WHERE closed IS NULL ORDER BY revocation";
        self.db.rows(sql, vec![]).await?.iter().map(ReceiptRow::read).collect()
    }

    /// Every restriction that is on.
    pub async fn restrictions(&self) -> Result<Vec<RestrictionRow>, StoreError> {
        let sql = "SELECT * FROM restrictions ORDER BY kind, value";
        self.db.rows(sql, vec![]).await?.iter().map(RestrictionRow::read).collect()
    }

    /// Rises with every change that somebody makes: the number of the newest audit row.
    pub async fn change_counter(&self) -> Result<u64, StoreError> {
        let r = self.db.maybe("SELECT value FROM counters WHERE name = 'audit'", vec![]).await?;
        r.map(|r| r.uint("value")).transpose().map(Option::unwrap_or_default)
    }

    /// Every SIM's state.
    pub async fn sim_states(&self) -> Result<Vec<(Imsi, SimState)>, StoreError> {
        let rows = self.db.rows("SELECT imsi, state FROM sims", vec![]).await?;
        rows.iter().map(|r| Ok((r.parse("imsi")?, r.parse("state")?))).collect()
    }

    /// Which SIM belongs to what: kind (`person`, `device`, `group`, `site`), id, IMSI.
    pub async fn scope_index(&self) -> Result<Vec<(String, String, Imsi)>, StoreError> {
        let sql = "SELECT 'person' AS kind, person AS id, imsi FROM sim_links WHERE person IS NOT NULL
                   UNION SELECT 'person', d.owner, l.imsi FROM sim_links l JOIN devices d ON d.id = l.device
                         WHERE d.owner IS NOT NULL
                   UNION SELECT 'person', d.owner, s.imsi FROM sims s JOIN devices d ON d.imei = s.device
                         WHERE d.owner IS NOT NULL
                   UNION SELECT 'person', d.owner, l.imsi FROM learned_devices l JOIN devices d ON d.imei = l.device
                         WHERE d.owner IS NOT NULL
                   UNION SELECT 'device', device, imsi FROM sim_links WHERE device IS NOT NULL
                   UNION SELECT 'device', d.id, s.imsi FROM sims s JOIN devices d ON d.imei = s.device
                   UNION SELECT 'device', d.id, l.imsi FROM learned_devices l JOIN devices d ON d.imei = l.device
                   UNION SELECT 'site', site, imsi FROM sim_links WHERE site IS NOT NULL
                   UNION SELECT 'group', grp, imsi FROM sim_groups";
        let rows = self.db.rows(sql, vec![]).await?;
        rows.iter().map(|r| Ok((r.text("kind")?, r.text("id")?, r.parse("imsi")?))).collect()
    }

    /// The 14 digits of each device's IMEI, by its id.
    pub async fn device_imeis(&self) -> Result<Vec<(String, String)>, StoreError> {
        let rows = self.db.rows("SELECT id, imei FROM devices WHERE imei IS NOT NULL", vec![]).await?;
        rows.iter().map(|r| Ok((r.text("id")?, r.text("imei")?))).collect()
    }

    /// The head of the gateway's journal that `control` last saw: number of records and hash.
    pub async fn journal_head(&self) -> Result<Option<(u64, [u8; 32])>, StoreError> {
        let Some(text) = self.meta(JOURNAL_HEAD).await? else { return Ok(None) };
        read_head(&text).map(Some).ok_or(StoreError::Damaged { what: "journal head" })
    }

    /// Writes that head down, if it is newer than the one that is there.
    pub async fn set_journal_head(&self, records: u64, hash: [u8; 32]) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.set_head(records, &hash).await })).await
    }
}
