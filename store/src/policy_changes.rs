//! What changed since a generation of the policy: the rules and SIMs by name, each as it is at this moment. So whoever
//! has the whole of that generation need not read it again.

use crate::{
    PolicySource, Store,
    config::Document,
    db::{Tx, args},
    error::StoreError,
    kept::{Named as _, read},
};
use std::collections::BTreeSet;
use types::{App, Group, Imsi, Name, Rule, Subject, UeGroups};

/// What is different from an earlier generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyNews {
    /// These rules and SIMs, and nothing else.
    Changes {
        /// The generation now.
        generation: u64,
        /// By name; none where there is no rule of that name.
        rules: Vec<(Name, Option<Rule>)>,
        /// With all groups that they are in.
        ues: Vec<UeGroups>,
    },
    /// More than that, or it is not known: read the whole.
    Whole,
}

/// More changes than this are read as the whole.
const MOST: u64 = 256;
/// For so many generations it is known what changed.
const KEPT: u64 = 1024;

const RULE: &str = "rule";
const SIM: &str = "sim";

impl Tx {
    /// A change of this thing alone raises the policy's generation; see [`Tx::next_generation`].
    pub(crate) async fn next_generation_by<T: Document>(
        &mut self,
        key: &str,
        based_on: Option<u64>,
    ) -> Result<(), StoreError> {
        let generation = self.next_generation(based_on).await?;
        if T::KIND == RULE { self.note_change(generation, RULE, key).await } else { Ok(()) }
    }

    /// The groups of this SIM alone raise the policy's generation.
    pub(crate) async fn next_generation_by_sim(
        &mut self,
        imsi: Imsi,
        based_on: Option<u64>,
    ) -> Result<(), StoreError> {
        let generation = self.next_generation(based_on).await?;
        self.note_change(generation, SIM, &imsi.to_string()).await
    }

    async fn note_change(
        &mut self,
        generation: u64,
        kind: &'static str,
        name: &str,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO policy_changes (generation, kind, name) VALUES ($1, $2, $3)";
        self.exec(sql, args![generation, kind, name]).await?;
        if generation.is_multiple_of(KEPT / 16) {
            let old = generation.saturating_sub(KEPT);
            self.exec("DELETE FROM policy_changes WHERE generation < $1", args![old]).await?;
        }
        Ok(())
    }
}

impl Store {
    /// What changed since `generation`, as of one moment.
    pub async fn policy_news(&self, generation: u64) -> Result<PolicyNews, StoreError> {
        let since = generation;
        let mut tx = self.db.snapshot().await?;
        let generation = tx.generation().await?;
        let Some(steps) = generation.checked_sub(since).filter(|n| *n <= MOST) else {
            return Ok(PolicyNews::Whole);
        };
        let (mut rules, mut sims) = (BTreeSet::new(), BTreeSet::new());
        let sql = "SELECT kind, name FROM policy_changes WHERE generation > $1 AND generation <= $2";
        let noted = tx.rows(sql, args![since, generation]).await?;
        if noted.len() as u64 != steps {
            return Ok(PolicyNews::Whole);
        }
        for r in noted {
            match r.text("kind")?.as_str() {
                RULE => drop(rules.insert(r.parse::<Name>("name")?)),
                SIM => drop(sims.insert(r.parse::<Imsi>("name")?)),
                _ => return Ok(PolicyNews::Whole),
            }
        }
        let mut now = Vec::with_capacity(rules.len());
        for name in rules {
            let rule = tx.maybe(Rule::SQL.get, args![&name]).await?.map(|r| read::<Rule>(&r)).transpose()?;
            now.push((name, rule.map(|r| r.value)));
        }
        let mut ues = Vec::with_capacity(sims.len());
        for imsi in sims {
            let mut groups = BTreeSet::new();
            for r in tx.rows("SELECT grp FROM sim_groups WHERE imsi = $1", args![imsi]).await? {
                groups.insert(r.parse("grp")?);
            }
            let (device, person) = tx.named_links(imsi).await?;
            ues.push(UeGroups { imsi, groups, device, person });
        }
        Ok(PolicyNews::Changes { generation, rules: now, ues })
    }

    /// A draft of the policy with this rule, its app and its group (if they are there) and nothing else: what it takes
    /// to see whether the rule is sound. With the generation that this is of.
    pub async fn draft_with_rule(&self, rule: Option<Rule>) -> Result<PolicySource, StoreError> {
        let mut tx = self.db.snapshot().await?;
        let mut draft = PolicySource { generation: tx.generation().await?, ..PolicySource::default() };
        if let Some(rule) = rule {
            draft.apps.extend(one::<App>(&mut tx, &rule.app).await?);
            if let Subject::Group(group) = &rule.subject {
                draft.groups.extend(one::<Group>(&mut tx, group).await?);
            }
            draft.rules.push(rule);
        }
        Ok(draft)
    }
}

async fn one<T: Document>(tx: &mut Tx, name: &Name) -> Result<Option<T>, StoreError> {
    let r = tx.maybe(T::SQL.get, args![name]).await?;
    r.map(|r| read(&r).map(|v| v.value)).transpose()
}
