//! Access to one app for a time: who asked, who answers for it, and what became of it. Rows stay.
//!
//! A grant counts for whom and what it was made: a SIM, a person or an app that is deleted and made anew under the same
//! name has none of the old one's.

use crate::{
    Page, Store,
    audit::Change,
    db::{Rec, Tx, args},
    error::{Clash, StoreError},
};
use types::{ActiveGrant, Grant, Grantee, Imsi, Utc};

fn read(r: &Rec) -> Result<Grant, StoreError> {
    let to = match r.maybe_text("imsi")? {
        Some(_) => Grantee::Sim(r.parse("imsi")?),
        None => Grantee::Person(r.parse("person")?),
    };
    Ok(Grant {
        id: r.text("id")?,
        to,
        app: r.parse("app")?,
        reason: r.text("reason")?,
        requester: r.text("requester")?,
        approver: r.maybe_text("approver")?,
        from: r.utc("began")?,
        until: r.utc("ends")?,
        revoked: r.maybe_int("revoked")?.map(Utc),
        prover: r.maybe_text("prover")?.map(|_| r.parse("prover")).transpose()?,
    })
}

fn object(id: &str) -> String {
    format!("grant:{id}")
}

fn as_json(grant: &Grant) -> serde_json::Value {
    serde_json::json!({
        "to": grant.to, "app": grant.app, "reason": grant.reason, "from": grant.from.0, "until": grant.until.0,
        "approver": grant.approver, "prover": grant.prover,
    })
}

impl Tx {
    async fn grant(&mut self, id: &str) -> Result<Grant, StoreError> {
        let r = self.maybe("SELECT * FROM grants WHERE id = $1", args![id]).await?;
        read(&r.ok_or(StoreError::NotFound)?)
    }

    /// Ends what was proved for a SIM; how much that is.
    pub(crate) async fn revoke_proofs(&mut self, imsi: Imsi, change: &Change) -> Result<u64, StoreError> {
        let sql = "UPDATE grants SET revoker = $2, revoked = $3
                   WHERE imsi = $1 AND prover IS NOT NULL AND revoked IS NULL AND ends > $3";
        self.exec(sql, args![imsi, &change.actor, change.at]).await
    }

    /// Refuses a grantee or an app that there is not.
    async fn check_grant(&mut self, grant: &Grant) -> Result<(), StoreError> {
        let (sql, key) = match &grant.to {
            Grantee::Sim(imsi) => ("SELECT imsi FROM sims WHERE imsi = $1", imsi.to_string()),
            Grantee::Person(id) => ("SELECT id FROM people WHERE id = $1", id.to_string()),
        };
        let whom = self.maybe(sql, args![key]).await?;
        let app = self.maybe("SELECT name FROM apps WHERE name = $1", args![&grant.app]).await?;
        match (whom, app) {
            (Some(_), Some(_)) => Ok(()),
            _ => Err(StoreError::Conflict { what: Clash::Reference }),
        }
    }
}

impl Store {
    /// Stores a grant; one without an approver grants nothing yet.
    ///
    /// # Errors
    /// [`Clash::Reference`] where there is no such SIM, person or app.
    pub async fn create_grant(&self, grant: Grant, change: &Change) -> Result<(), StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                tx.check_grant(&grant).await?;
                let (imsi, person) = match &grant.to {
                    Grantee::Sim(imsi) => (Some(imsi.to_string()), None),
                    Grantee::Person(id) => (None, Some(id.to_string())),
                };
                let approved = grant.approver.as_ref().map(|_| change.at.0);
                let sql = "INSERT INTO grants
                    (id, imsi, person, app, reason, requester, requested, approver, approved, began, ends, prover)
                    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
                let a = args![
                    &grant.id,
                    imsi,
                    person,
                    &grant.app,
                    &grant.reason,
                    &grant.requester,
                    change.at,
                    grant.approver.clone(),
                    approved,
                    grant.from,
                    grant.until,
                    grant.prover.as_ref().map(ToString::to_string)
                ];
                tx.exec(sql, a).await?;
                tx.record(&change, "grant.create", object(&grant.id), None, Some(as_json(&grant))).await
            })
        })
        .await
    }

    /// Somebody answers for a grant that waits for that.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Conflict`] where it does not wait any longer.
    pub async fn approve_grant(&self, id: String, by: String, change: &Change) -> Result<Grant, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let old = tx.grant(&id).await?;
                if old.approver.is_some() || old.revoked.is_some() || old.until <= change.at {
                    return Err(StoreError::Conflict { what: Clash::Other });
                }
                let sql = "UPDATE grants SET approver = $2, approved = $3 WHERE id = $1";
                tx.exec(sql, args![&id, &by, change.at]).await?;
                let new = Grant { approver: Some(by), ..old.clone() };
                let (before, after) = (as_json(&old), as_json(&new));
                tx.record(&change, "grant.approve", object(&id), Some(before), Some(after)).await?;
                Ok(new)
            })
        })
        .await
    }

    /// Takes a grant back, approved or not.
    ///
    /// # Errors
    /// [`StoreError::NotFound`]; [`StoreError::Conflict`] where it is over.
    pub async fn revoke_grant(&self, id: String, by: String, change: &Change) -> Result<Grant, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let old = tx.grant(&id).await?;
                if old.revoked.is_some() || old.until <= change.at {
                    return Err(StoreError::Conflict { what: Clash::Other });
                }
                let sql = "UPDATE grants SET revoker = $2, revoked = $3 WHERE id = $1";
                tx.exec(sql, args![&id, &by, change.at]).await?;
                let before = serde_json::json!({ "revoked": null });
                let after = serde_json::json!({ "revoked": change.at.0, "by": by });
                tx.record(&change, "grant.revoke", object(&id), Some(before), Some(after)).await?;
                Ok(Grant { revoked: Some(change.at), ..old })
            })
        })
        .await
    }

    /// One grant.
    pub async fn grant(&self, id: &str) -> Result<Grant, StoreError> {
        let r = self.db.maybe("SELECT * FROM grants WHERE id = $1", args![id]).await?;
        read(&r.ok_or(StoreError::NotFound)?)
    }

    /// Grants, the newest first, before `cursor`; with `at` those that are not over then.
    pub async fn grants(
        &self,
        at: Option<Utc>,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Grant>, StoreError> {
        let sql = "SELECT * FROM grants WHERE id < $1 AND ($2 = 0 OR (revoked IS NULL AND ends > $3))
                   ORDER BY id DESC LIMIT $4";
        let (living, at) = (i64::from(at.is_some()), at.unwrap_or_default());
        let rows = self.db.rows(sql, args![cursor.unwrap_or("z"), living, at, limit + 1]).await?;
        let items = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(items, limit, |g| g.id.clone()))
    }

    /// The approved grants of each SIM that are not over, those of its person included.
    pub async fn active_grants(&self, at: Utc) -> Result<Vec<(Imsi, ActiveGrant)>, StoreError> {
        // A proof is of a person, and of a SIM as long as it is theirs: linked to them, or in a device of theirs.
        let sql = "SELECT s.imsi, g.id, g.app, g.began, g.ends, g.prover FROM grants g
                JOIN apps a ON a.name = g.app AND a.created <= g.requested
                JOIN sims s ON s.imsi = g.imsi AND s.created <= g.requested
                LEFT JOIN sim_links k ON k.imsi = s.imsi
                LEFT JOIN devices dl ON dl.id = k.device
                LEFT JOIN learned_devices ld ON ld.imsi = s.imsi
                LEFT JOIN devices du ON du.imei = ld.device
                LEFT JOIN people p ON p.id = COALESCE(k.person, du.owner, dl.owner)
                WHERE g.approver IS NOT NULL AND g.revoked IS NULL AND g.ends > $1
                AND (g.prover IS NULL OR (g.prover = p.id AND p.created <= g.requested))
            UNION SELECT l.imsi, g.id, g.app, g.began, g.ends, g.prover FROM grants g
                JOIN apps a ON a.name = g.app AND a.created <= g.requested
                JOIN people p ON p.id = g.person AND p.created <= g.requested
                JOIN sim_links l ON l.person = g.person
                WHERE g.approver IS NOT NULL AND g.revoked IS NULL AND g.ends > $1
            ORDER BY 1, 2";
        let rows = self.db.rows(sql, args![at]).await?;
        let one = |r: &Rec| {
            let grant = ActiveGrant {
                id: r.text("id")?,
                app: r.parse("app")?,
                from: r.utc("began")?,
                until: r.utc("ends")?,
                proof: r.maybe_text("prover")?.is_some(),
            };
            Ok((r.parse("imsi")?, grant))
        };
        rows.iter().map(one).collect()
    }
}
