//! Operators: the people who sign in here, with their grants, their password's hash and their second factor.
//!
//! The hash and the sealed secret are opaque octets here; neither goes into an audit row, an outbox row or a `Debug`.
//! A change of what an operator may do, or of how he proves who he is, ends every sign-in of his in the same
//! transaction.

use crate::{
    Page, Store,
    audit::Change,
    db::{Rec, Tx, args, json_text},
    error::{Clash, StoreError},
    kept::expect_version,
    tokens::{Grant, TokenRow},
};
use std::fmt;
use types::{Name, Utc};

/// An operator as he is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct OperatorRow {
    /// The name that he signs in with.
    pub name: Name,
    /// Full name.
    pub display: String,
    /// What he may do.
    pub grants: Vec<Grant>,
    /// Hash of the password, as a PHC string.
    pub password: String,
    /// True where somebody else set the password: it is good for choosing an own one alone.
    pub must_change: bool,
    /// Sealed secret of the second factor.
    pub totp: Option<Vec<u8>>,
    /// A sealed secret that was shown and not yet proven.
    pub totp_pending: Option<Vec<u8>>,
    /// The last step whose code was taken.
    pub totp_step: i64,
    /// Since when he may not sign in.
    pub disabled: Option<Utc>,
    /// When he last signed in.
    pub signed_in: Option<Utc>,
    /// Rises with each change.
    pub version: u64,
    /// When he was made.
    pub created: Utc,
    /// When he was last changed.
    pub changed: Utc,
}

impl fmt::Debug for OperatorRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut s = f.debug_struct("OperatorRow");
        s.field("name", &self.name).field("grants", &self.grants).field("disabled", &self.disabled);
        s.field("version", &self.version).finish_non_exhaustive()
    }
}

/// What of an operator is to be changed; `None` leaves it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct OperatorEdit {
    /// Full name.
    pub display: Option<String>,
    /// What he may do.
    pub grants: Option<Vec<Grant>>,
    /// True ends his sign-ins and refuses new ones.
    pub disabled: Option<bool>,
    /// A new password's hash.
    pub password: Option<String>,
    /// With a new password: somebody else set it.
    pub must_change: bool,
    /// A sealed secret to be proven.
    pub totp_pending: Option<Vec<u8>>,
    /// The pending secret was proven with a code of this step: it is the second factor from now on.
    pub totp_proven: Option<i64>,
    /// Takes the second factor away.
    pub totp_none: bool,
}

impl OperatorRow {
    fn read(r: &Rec) -> Result<Self, StoreError> {
        Ok(Self {
            name: r.parse("name")?,
            display: r.text("display")?,
            grants: r.json("grants")?,
            password: r.text("password")?,
            must_change: r.int("must_change")? != 0,
            totp: r.maybe_blob("totp")?,
            totp_pending: r.maybe_blob("totp_pending")?,
            totp_step: r.int("totp_step")?,
            disabled: r.maybe_int("disabled")?.map(Utc),
            signed_in: r.maybe_int("signed_in")?.map(Utc),
            version: r.uint("version")?,
            created: r.utc("created")?,
            changed: r.utc("changed")?,
        })
    }

    /// True where he may do everything, everywhere, now: `role` is the word for that.
    fn is_enabled(&self, role: &str) -> bool {
        let whole = |g: &Grant| g.roles.contains(role) && g.groups.is_empty() && g.sites.is_empty();
        self.disabled.is_none() && self.grants.iter().any(whole)
    }

    fn apply(&mut self, e: OperatorEdit, at: Utc) {
        if let Some(v) = e.display {
            self.display = v;
        }
        if let Some(v) = e.grants {
            self.grants = v;
        }
        if let Some(v) = e.disabled {
            self.disabled = v.then_some(self.disabled.unwrap_or(at));
        }
        if let Some(v) = e.password {
            (self.password, self.must_change) = (v, e.must_change);
        }
        if let Some(v) = e.totp_pending {
            self.totp_pending = Some(v);
        }
        if let Some(step) = e.totp_proven {
            (self.totp, self.totp_step) = (self.totp_pending.take(), step);
        }
        if e.totp_none {
            (self.totp, self.totp_pending, self.totp_step) = (None, None, 0);
        }
    }

    /// Without anything secret.
    fn for_audit(&self) -> serde_json::Value {
        serde_json::json!({
            "name": self.name, "display": self.display, "grants": self.grants, "disabled": self.disabled,
            "second_factor": self.totp.is_some(), "must_change_password": self.must_change,
        })
    }
}

/// What the audit calls a change.
fn action(e: &OperatorEdit) -> &'static str {
    if e.password.is_some() {
        "operator.password"
    } else if e.totp_none || e.totp_pending.is_some() || e.totp_proven.is_some() {
        "operator.second-factor"
    } else {
        "operator.change"
    }
}

pub(crate) fn object(name: &Name) -> String {
    format!("operator:{name}")
}

impl Tx {
    async fn operator(&mut self, name: &Name) -> Result<OperatorRow, StoreError> {
        OperatorRow::read(&self.one("SELECT * FROM operators WHERE name = $1", args![name]).await?)
    }

    async fn insert_operator(&mut self, row: &OperatorRow, change: &Change) -> Result<(), StoreError> {
        let sql = "INSERT INTO operators (name, display, grants, password, must_change, totp, totp_step, version, created, changed)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8, $8)";
        let a = args![
            &row.name,
            &row.display,
            json_text(&row.grants),
            &row.password,
            i64::from(row.must_change),
            row.totp.clone(),
            row.totp_step,
            change.at
        ];
        self.exec(sql, a).await?;
        self.record(change, "operator.create", object(&row.name), None, Some(row.for_audit())).await
    }
}

impl Store {
    /// Stores a new operator. `version`, `created` and `changed` of `row` are set here.
    pub async fn create_operator(
        &self,
        row: OperatorRow,
        change: &Change,
    ) -> Result<OperatorRow, StoreError> {
        let change = change.clone();
        let mut row = row;
        (row.version, row.created, row.changed) = (1, change.at, change.at);
        self.write(move |tx| {
            Box::pin(async move {
                tx.insert_operator(&row, &change).await?;
                Ok(row)
            })
        })
        .await
    }

    /// As [`Store::create_operator`], where there is no operator yet; else [`Clash::Name`].
    pub async fn create_first_operator(
        &self,
        row: OperatorRow,
        change: &Change,
    ) -> Result<OperatorRow, StoreError> {
        let change = change.clone();
        let mut row = row;
        (row.version, row.created, row.changed) = (1, change.at, change.at);
        self.write(move |tx| {
            Box::pin(async move {
                // The counter's row is locked: two at the same time come one behind the other.
                tx.count_up("operators", 1).await?;
                if !tx.rows("SELECT name FROM operators LIMIT 1", vec![]).await?.is_empty() {
                    return Err(StoreError::Conflict { what: Clash::Name });
                }
                tx.insert_operator(&row, &change).await?;
                Ok(row)
            })
        })
        .await
    }

    /// Changes an operator. `expect` is the version that the caller saw; `None` is any. Refused with
    /// [`Clash::LastOwner`] where nobody would be left who has the role `owner` without limits and may sign in.
    pub async fn change_operator(
        &self,
        name: Name,
        expect: Option<u64>,
        edit: OperatorEdit,
        owner: &'static str,
        change: &Change,
    ) -> Result<OperatorRow, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                // The row is locked by a change that changes nothing: two owners who disable one another at the same
                // time must come one behind the other.
                tx.count_up("operators", 1).await?;
                let old = tx.operator(&name).await?;
                expect_version(expect, old.version)?;
                let mut new = old.clone();
                let action = action(&edit);
                let ends = edit.grants.is_some()
                    || edit.disabled == Some(true)
                    || edit.password.is_some()
                    || edit.totp_none
                    || edit.totp_proven.is_some();
                // Somebody else gave him a password, or took his second factor away: what he had is not trusted.
                let drops = edit.must_change && edit.password.is_some() || edit.totp_none;
                new.apply(edit, change.at);
                if old.is_enabled(owner) && !new.is_enabled(owner) {
                    let rows = tx.rows("SELECT * FROM operators WHERE name <> $1", args![&name]).await?;
                    let others = rows.iter().map(OperatorRow::read).collect::<Result<Vec<_>, _>>()?;
                    if !others.iter().any(|o| o.is_enabled(owner)) {
                        return Err(StoreError::Conflict { what: Clash::LastOwner });
                    }
                }
                (new.version, new.changed) = (old.version + 1, change.at);
                let sql = "UPDATE operators SET display = $2, grants = $3, password = $4, totp = $5, totp_pending = $6,
                           totp_step = $7, disabled = $8, version = $9, changed = $10, must_change = $11 WHERE name = $1";
                let a = args![
                    &name,
                    &new.display,
                    json_text(&new.grants),
                    &new.password,
                    new.totp.clone(),
                    new.totp_pending.clone(),
                    new.totp_step,
                    new.disabled,
                    new.version,
                    new.changed,
                    i64::from(new.must_change)
                ];
                tx.exec(sql, a).await?;
                if ends {
                    let sql = "UPDATE tokens SET revoked = $2 WHERE operator = $1 AND revoked IS NULL";
                    tx.exec(sql, args![&name, change.at]).await?;
                }
                if drops {
                    tx.exec("DELETE FROM passkeys WHERE operator = $1", args![&name]).await?;
                }
                let (before, after) = (old.for_audit(), new.for_audit());
                tx.record(&change, action, object(&name), Some(before), Some(after)).await?;
                Ok(new)
            })
        })
        .await
    }

    /// One operator.
    pub async fn operator(&self, name: &Name) -> Result<OperatorRow, StoreError> {
        let r = self.db.maybe("SELECT * FROM operators WHERE name = $1", args![name]).await?;
        OperatorRow::read(&r.ok_or(StoreError::NotFound)?)
    }

    /// Operators by name, behind `after`.
    pub async fn operators(&self, after: Option<&str>, limit: u32) -> Result<Page<OperatorRow>, StoreError> {
        let sql = "SELECT * FROM operators WHERE name > $1 ORDER BY name LIMIT $2";
        let rows = self.db.rows(sql, args![after.unwrap_or(""), limit + 1]).await?;
        let items = rows.iter().map(OperatorRow::read).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(items, limit, |o| o.name.to_string()))
    }

    /// An operator signs in: stores the token. `seen` is the version that the password was checked against, and
    /// `step` the step of the code, which must be later than any that was taken. [`StoreError::NotFound`] where one
    /// of them is not so any more: a code is taken once, whoever is faster.
    pub async fn sign_in(
        &self,
        name: Name,
        seen: u64,
        step: Option<i64>,
        token: TokenRow,
        change: &Change,
    ) -> Result<(), StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "UPDATE operators SET signed_in = $2, totp_step = COALESCE($3, totp_step)
                           WHERE name = $1 AND version = $4 AND disabled IS NULL
                           AND (CAST($3 AS BIGINT) IS NULL OR totp_step < $3)";
                if tx.exec(sql, args![&name, change.at, step, seen]).await? != 1 {
                    return Err(StoreError::NotFound);
                }
                tx.forget_sign_ins(change.at).await?;
                token.insert(tx).await?;
                let after = serde_json::json!({ "token": token.id, "second_factor": step.is_some() });
                tx.record(&change, "operator.sign-in", object(&name), None, Some(after)).await
            })
        })
        .await
    }
}
