//! A policy changed as a whole: what a file says is stored in one transaction as one generation, and each generation
//! can be had back.
//!
//! No generation is stored a second time. The audit has every change with what was before it, so that a generation is
//! what is there now with the later changes taken back.

use crate::{
    Page, PolicySource, Store,
    audit::Change,
    config::Document,
    db::{Arg, Rec, Tx, args},
    error::StoreError,
    kept::{Named, Statements, Versioned, read, statements},
    risk::SHIPPED,
};
use serde_json::json;
use std::collections::BTreeMap;
use types::{App, Group, PolicyExtras, Rule, Utc};

/// What a policy file says, templates expanded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PolicySet {
    /// Apps.
    pub apps: Vec<App>,
    /// Groups.
    pub groups: Vec<Group>,
    /// Rules, those of templates included.
    pub rules: Vec<Rule>,
    /// The rest.
    pub extras: PolicyExtras,
}

impl From<PolicySource> for PolicySet {
    fn from(s: PolicySource) -> Self {
        Self { apps: s.apps, groups: s.groups, rules: s.rules, extras: s.extras }
    }
}

/// What storing a policy came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Applied {
    /// The generation now.
    pub generation: u64,
    /// Apps, groups and rules that are new.
    pub created: u64,
    /// Those that are different.
    pub changed: u64,
    /// Those that are gone.
    pub deleted: u64,
    /// True where templates, uses or tests are different.
    pub extras: bool,
    /// True where how risk is weighed is.
    pub risk: bool,
}

impl Applied {
    /// True where everything was there already.
    pub fn is_nothing(&self) -> bool {
        (self.created, self.changed, self.deleted) == (0, 0, 0) && !self.extras && !self.risk
    }
}

/// A generation of the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyStep {
    /// Its number.
    pub generation: u64,
    /// When it was made.
    pub at: Utc,
    /// By whom.
    pub actor: String,
    /// How: `policy.apply`, `policy.rollback`, `rule.create`, ….
    pub action: String,
    /// Of what: `rule:NAME`, `policy:GENERATION`.
    pub object: String,
    /// Why.
    pub reason: String,
}

impl PolicyStep {
    fn read(r: &Rec) -> Result<Self, StoreError> {
        Ok(Self {
            generation: r.uint("generation")?,
            at: r.utc("at")?,
            actor: r.text("actor")?,
            action: r.text("action")?,
            object: r.text("object")?,
            reason: r.text("reason")?,
        })
    }
}

/// The one row's name.
const ALL: &str = "all";
/// Word of a file that is stored, and of a generation that is had back.
const APPLY: &str = "policy.apply";
const ROLLBACK: &str = "policy.rollback";
/// Word of the row that stands for everything before generations were noted.
const BEGIN: &str = "begin";

impl Named for PolicyExtras {
    const KIND: &'static str = "policy-extras";
    const SQL: Statements =
        statements!("policy-extras", "policy_extras", "name", columns: "", values: "", set: "");
    fn key(&self) -> String {
        ALL.to_owned()
    }
    fn extra(&self) -> Vec<Arg> {
        Vec::new()
    }
}

impl Tx {
    /// What stands in a policy file beside apps, groups and rules.
    pub(crate) async fn extras(&mut self) -> Result<Option<Versioned<PolicyExtras>>, StoreError> {
        self.maybe(PolicyExtras::SQL.get, args![ALL]).await?.map(|r| read(&r)).transpose()
    }

    /// Notes who made the generation that is about to be made, before its audit rows.
    pub(crate) async fn note_step(
        &mut self,
        change: &Change,
        action: &'static str,
        object: String,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO policy_history (generation, at, actor, action, object, reason, audit_before)
                   SELECT p.value, $1, $2, $3, $4, $5, COALESCE((SELECT value FROM counters WHERE name = 'audit'), 0)
                   FROM counters p WHERE p.name = 'policy'";
        self.exec(sql, args![change.at, &change.actor, action, object, &change.reason]).await.map(|_| ())
    }

    /// The audit row behind which all later changes of the policy stand; `None` for the last generation.
    async fn behind(&mut self, generation: u64) -> Result<Option<u64>, StoreError> {
        let now = self.generation().await?;
        let first = "SELECT * FROM policy_history ORDER BY generation LIMIT 1";
        let first = self.maybe(first, vec![]).await?.map(|r| PolicyStep::read(&r)).transpose()?;
        // Before the first change of all there was no policy; before the numbering began it is not known.
        let known = first.map_or(now, |s| if s.action == BEGIN { s.generation } else { 0 });
        if generation > now || generation < known {
            return Err(StoreError::NotFound);
        }
        let sql = "SELECT audit_before FROM policy_history WHERE generation > $1 AND action <> $2
                   ORDER BY generation LIMIT 1";
        self.maybe(sql, args![generation, BEGIN]).await?.map(|r| r.uint("audit_before")).transpose()
    }

    /// Apps, groups, rules and the rest as they were in a generation.
    async fn set_at(&mut self, generation: u64) -> Result<PolicySet, StoreError> {
        let behind = self.behind(generation).await?;
        let mut source = self.documents().await?;
        let Some(behind) = behind else { return Ok(source.into()) };
        self.take_back_behind(&mut source.apps, behind).await?;
        self.take_back_behind(&mut source.groups, behind).await?;
        self.take_back_behind(&mut source.rules, behind).await?;
        let mut extras = vec![source.extras];
        self.take_back_behind(&mut extras, behind).await?;
        source.extras = extras.pop().unwrap_or_default();
        source.in_order();
        Ok(source.into())
    }

    async fn apply_set(
        &mut self,
        set: PolicySet,
        based_on: Option<u64>,
        action: &'static str,
        back: Option<Back>,
        change: &Change,
    ) -> Result<Applied, StoreError> {
        let old = self.documents().await?;
        if based_on.is_some_and(|g| g != old.generation) {
            return Err(StoreError::PolicyMoved { current: old.generation });
        }
        let groups = Steps::of(old.groups, set.groups);
        let apps = Steps::of(old.apps, set.apps);
        let rules = Steps::of(old.rules, set.rules);
        let extras = (old.extras != set.extras).then_some(set.extras);
        let from = back.as_ref().map(|b| b.from);
        let weighed = |body: Option<String>| body.unwrap_or_else(|| SHIPPED.to_owned());
        let now = weighed(old.risk);
        let risk = back.map(|b| weighed(b.risk)).filter(|then| *then != now);
        let mut done = Applied { generation: old.generation, extras: extras.is_some(), ..Applied::default() };
        done.risk = risk.is_some();
        for (created, changed, deleted) in [groups.counts(), apps.counts(), rules.counts()] {
            done.created += created;
            done.changed += changed;
            done.deleted += deleted;
        }
        if done.is_nothing() {
            return Ok(done);
        }
        done.generation = self.next_generation(based_on).await?;
        let object = format!("policy:{}", done.generation);
        self.note_step(change, action, object.clone()).await?;
        let before = json!({ "generation": old.generation });
        let after = json!({
            "generation": done.generation, "from": from, "created": done.created, "changed": done.changed,
            "deleted": done.deleted, "risk": done.risk,
        });
        self.record(change, action, object, Some(before), Some(after)).await?;
        // What a rule names is there before it, and goes after it.
        self.put(apps.put, change).await?;
        self.put(groups.put, change).await?;
        self.take::<Rule>(rules.gone, change).await?;
        self.put(rules.put, change).await?;
        self.take::<Group>(groups.gone, change).await?;
        self.take::<App>(apps.gone, change).await?;
        if let Some(extras) = extras {
            match self.extras().await? {
                Some(was) => drop(self.replace_kept(&was, extras, change).await?),
                None => drop(self.insert_kept(extras, change).await?),
            }
        }
        if let Some(risk) = risk {
            let was = self.risk_profile().await?;
            self.put_risk_profile(was, risk, change).await?;
        }
        Ok(done)
    }

    async fn put<T: Document>(&mut self, all: Vec<(T, bool)>, change: &Change) -> Result<(), StoreError> {
        for (value, is_new) in all {
            if is_new {
                self.insert_kept(value, change).await?;
            } else {
                let old = self.kept::<T>(&value.key(), None).await?;
                self.replace_kept(&old, value, change).await?;
            }
        }
        Ok(())
    }

    async fn take<T: Document>(&mut self, all: Vec<String>, change: &Change) -> Result<(), StoreError> {
        for key in all {
            let old = self.kept::<T>(&key, None).await?;
            self.delete_kept(&old, change).await?;
        }
        Ok(())
    }
}

/// Which generation comes back, and how risk was weighed then (`None`: as shipped).
struct Back {
    from: u64,
    risk: Option<String>,
}

/// What it takes to come from one list to another.
struct Steps<T> {
    /// New or different; true where it is new.
    put: Vec<(T, bool)>,
    gone: Vec<String>,
}

impl<T: Document + PartialEq> Steps<T> {
    fn of(old: Vec<T>, new: Vec<T>) -> Self {
        let mut old: BTreeMap<String, T> = old.into_iter().map(|v| (v.key(), v)).collect();
        let mut put = Vec::new();
        for value in new {
            match old.remove(&value.key()) {
                Some(was) if was == value => {}
                was => put.push((value, was.is_none())),
            }
        }
        Self { put, gone: old.into_keys().collect() }
    }

    /// How many are new, different and gone.
    fn counts(&self) -> (u64, u64, u64) {
        let created = self.put.iter().filter(|(_, is_new)| *is_new).count();
        (created as u64, (self.put.len() - created) as u64, self.gone.len() as u64)
    }
}

impl Store {
    /// Stores a whole policy in the place of the one that is there: one transaction, one generation. Where nothing is
    /// different nothing is written. `based_on` is the generation that a check of it was made against.
    pub async fn apply_policy(
        &self,
        set: PolicySet,
        based_on: Option<u64>,
        change: &Change,
    ) -> Result<Applied, StoreError> {
        let change = change.clone();
        self.write(move |tx| Box::pin(async move { tx.apply_set(set, based_on, APPLY, None, &change).await }))
            .await
    }

    /// Stores what was in generation `from` as a generation of its own. `set` is [`Store::policy_at`] of it, `risk` is
    /// [`Store::risk_at`].
    pub async fn roll_policy_back(
        &self,
        from: u64,
        (set, risk): (PolicySet, Option<String>),
        based_on: Option<u64>,
        change: &Change,
    ) -> Result<Applied, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            let back = Some(Back { from, risk });
            Box::pin(async move { tx.apply_set(set, based_on, ROLLBACK, back, &change).await })
        })
        .await
    }

    /// What a generation said.
    pub async fn policy_at(&self, generation: u64) -> Result<PolicySet, StoreError> {
        let mut tx = self.db.snapshot().await?;
        tx.set_at(generation).await
    }

    /// How risk was weighed in a generation, as JSON; `None`: as shipped.
    pub async fn risk_at(&self, generation: u64) -> Result<Option<String>, StoreError> {
        let mut tx = self.db.snapshot().await?;
        match tx.behind(generation).await? {
            Some(behind) => tx.risk_behind(behind).await,
            None => Ok(tx.risk_profile().await?.body),
        }
    }

    /// Templates, uses and tests.
    pub async fn policy_extras(&self) -> Result<PolicyExtras, StoreError> {
        let r = self.db.maybe(PolicyExtras::SQL.get, args![ALL]).await?;
        Ok(r.map(|r| read(&r)).transpose()?.map(|v: Versioned<PolicyExtras>| v.value).unwrap_or_default())
    }

    /// Generations, newest first. One that only moved SIMs between groups is none of them.
    pub async fn policy_history(
        &self,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Page<PolicyStep>, StoreError> {
        let sql = "SELECT * FROM policy_history WHERE generation < $1 ORDER BY generation DESC LIMIT $2";
        let before = before.unwrap_or(i64::MAX as u64);
        let rows = self.db.rows(sql, args![before, limit + 1]).await?;
        let items = rows.iter().map(PolicyStep::read).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(items, limit, |s| s.generation.to_string()))
    }
}
