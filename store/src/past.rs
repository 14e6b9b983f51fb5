//! What held for a SIM at a moment of the past: rules, apps, groups, its state, and what stood above the rules.
//!
//! Nothing is kept twice for it. The documents of the policy are those of this moment with every later change taken back
//! as the audit has it; states come from their history, restrictions from the record of bans. It is what was stored
//! then; the gateway enforced it as soon as it was published, which the timeline tells.

use crate::{
    Store,
    config::{Document, PolicySource},
    db::{Tx, args},
    error::StoreError,
    kept::Named,
};
use std::collections::BTreeSet;
use types::{Imsi, Name, SimState, UeGroups, Utc};

/// What held for one SIM at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// The policy; of SIMs it has this one alone, and its generation is 0: nobody numbered that moment.
    pub source: PolicySource,
    /// The SIM's state; `None` where it had not been made yet.
    pub state: Option<SimState>,
    /// True where it was in quarantine.
    pub quarantined: bool,
    /// Those of its groups that were in panic.
    pub panicked: BTreeSet<Name>,
}

impl Store {
    /// What held for `imsi` at `at`.
    pub async fn past(&self, imsi: Imsi, at: Utc) -> Result<Past, StoreError> {
        let mut tx = self.db.snapshot().await?;
        let sim = tx.sim(imsi).await?;
        let mut source = tx.documents().await?;
        tx.take_back(&mut source.data_networks, at).await?;
        tx.take_back(&mut source.apps, at).await?;
        tx.take_back(&mut source.groups, at).await?;
        tx.take_back(&mut source.rules, at).await?;
        source.in_order();
        source.generation = 0;
        let sql = "SELECT grps FROM sim_groups_past WHERE imsi = $1 AND until > $2 ORDER BY until LIMIT 1";
        let then = tx.maybe(sql, args![imsi, at]).await?.map(|r| r.json("grps")).transpose()?;
        let groups: BTreeSet<Name> = then.unwrap_or(sim.groups);
        let sql = "SELECT from_state FROM sim_history WHERE imsi = $1 AND at > $2 ORDER BY seq LIMIT 1";
        let then = tx.maybe(sql, args![imsi, at]).await?.map(|r| r.parse("from_state")).transpose()?;
        let state = (sim.created <= at).then_some(then.unwrap_or(sim.state));
        let quarantined = tx.was_restricted("sim", imsi.to_string(), ["quarantine", "release"], at).await?;
        let mut panicked = BTreeSet::new();
        for g in &groups {
            if tx.was_restricted("group", g.to_string(), ["panic", "calm"], at).await? {
                panicked.insert(g.clone());
            }
        }
        // Of devices and people it is only kept whose they are, not whose they were.
        let (device, person) = tx.named_links(imsi).await?;
        source.ues = vec![UeGroups { imsi, groups, device, person }];
        Ok(Past { source, state, quarantined, panicked })
    }
}

impl Tx {
    /// Takes back every change of a kind of document that was made after `at`, the newest first.
    async fn take_back<T: Document>(&mut self, list: &mut Vec<T>, at: Utc) -> Result<(), StoreError> {
        let sql =
            "SELECT object, before FROM audit WHERE action IN ($1, $2, $3) AND at > $4 ORDER BY seq DESC";
        self.take_back_by(list, sql, at.0).await
    }

    /// Takes back every change of a kind that stands in the audit behind row `seq`, the newest first.
    pub(crate) async fn take_back_behind<T: Named>(
        &mut self,
        list: &mut Vec<T>,
        seq: u64,
    ) -> Result<(), StoreError> {
        let sql =
            "SELECT object, before FROM audit WHERE action IN ($1, $2, $3) AND seq > $4 ORDER BY seq DESC";
        self.take_back_by(list, sql, i64::try_from(seq).unwrap_or(i64::MAX)).await
    }

    async fn take_back_by<T: Named>(
        &mut self,
        list: &mut Vec<T>,
        sql: &'static str,
        since: i64,
    ) -> Result<(), StoreError> {
        let a = args![T::SQL.created, T::SQL.changed, T::SQL.deleted, since];
        for r in self.rows(sql, a).await? {
            let object = r.text("object")?;
            let key = object.split_once(':').map_or("", |(_, key)| key);
            list.retain(|v| v.key() != key);
            if r.maybe_text("before")?.is_some() {
                list.push(r.json("before")?);
            }
        }
        Ok(())
    }

    /// True where the last of two kinds of record about one thing up to `at` is the first kind.
    async fn was_restricted(
        &mut self,
        scope: &'static str,
        value: String,
        [on, off]: [&'static str; 2],
        at: Utc,
    ) -> Result<bool, StoreError> {
        let sql =
            "SELECT kind FROM revocations WHERE scope = $1 AND value = $2 AND kind IN ($3, $4) AND at <= $5
                   ORDER BY id DESC LIMIT 1";
        let last = self.maybe(sql, args![scope, value, on, off, at]).await?;
        Ok(last.map(|r| r.text("kind")).transpose()?.as_deref() == Some(on))
    }
}
