//! SIMs follow the groups of their people: which of our groups a source's groups mean, and who is not where it says.

use crate::{
    Store,
    audit::Change,
    db::{Tx, args},
    error::StoreError,
    kept::Named as _,
    sims::SimEdit,
};
use std::collections::{BTreeMap, BTreeSet};
use types::{Group, Imsi, Name, SignalSource};

/// Those of our groups that a group of a source means, by its name in small letters.
fn meant(source: &SignalSource, governed: &BTreeSet<Name>, key: &str) -> BTreeSet<Name> {
    let named = source.groups.iter().filter(|(shown, _)| shown.to_lowercase() == key);
    named.map(|(_, ours)| ours.clone()).filter(|g| governed.contains(g)).collect()
}

/// The SIMs of people whom clients keep, by person.
const OF_PEOPLE: &str =
    "SELECT u.person, l.imsi FROM scim_resources u JOIN sim_links l ON l.person = u.person
        WHERE u.source = $1
    UNION SELECT d.owner, l.imsi FROM sim_links l JOIN devices d ON d.id = l.device
        JOIN scim_resources u ON u.person = d.owner WHERE u.source = $1
    UNION SELECT d.owner, s.imsi FROM sims s JOIN devices d ON d.imei = s.device
        JOIN scim_resources u ON u.person = d.owner WHERE u.source = $1
    UNION SELECT d.owner, l.imsi FROM learned_devices l JOIN devices d ON d.imei = l.device
        JOIN scim_resources u ON u.person = d.owner WHERE u.source = $1";

impl Tx {
    /// Our groups that a source's groups mean, as far as they are there: the source alone says which SIMs of its people
    /// are in them.
    async fn governed(&mut self, source: &SignalSource) -> Result<BTreeSet<Name>, StoreError> {
        let mut all = BTreeSet::new();
        for group in source.groups.values() {
            if self.maybe(Group::SQL.get, args![group]).await?.is_some() {
                all.insert(group.clone());
            }
        }
        Ok(all)
    }

    /// Puts the SIMs of these people into those of our groups that their source says, and takes them out of its others.
    pub(super) async fn follow_scim(
        &mut self,
        source: &SignalSource,
        people: &BTreeSet<Name>,
        change: &Change,
    ) -> Result<Vec<Imsi>, StoreError> {
        let governed = self.governed(source).await?;
        let mut moved = Vec::new();
        if governed.is_empty() {
            return Ok(moved);
        }
        for person in people {
            let sql = "SELECT g.key FROM scim_resources u JOIN scim_members m ON m.member = u.id
                       JOIN scim_resources g ON g.id = m.grp WHERE u.person = $1 AND u.source = $2";
            let mut wanted = BTreeSet::new();
            for r in self.rows(sql, args![person, &source.name]).await? {
                wanted.extend(meant(source, &governed, &r.text("key")?));
            }
            for imsi in self.sims_of_person(person).await? {
                if self.follow_one(imsi, &governed, &wanted, change).await? {
                    moved.push(imsi);
                }
            }
        }
        Ok(moved)
    }

    async fn follow_one(
        &mut self,
        imsi: Imsi,
        governed: &BTreeSet<Name>,
        wanted: &BTreeSet<Name>,
        change: &Change,
    ) -> Result<bool, StoreError> {
        let old = self.sim(imsi).await?;
        let groups: BTreeSet<Name> = old.groups.difference(governed).chain(wanted).cloned().collect();
        if groups == old.groups {
            return Ok(false);
        }
        let edit = SimEdit { groups: Some(groups), ..SimEdit::default() };
        self.change_sim(&old, None, edit, change).await?;
        Ok(true)
    }

    /// People of a source of whom a SIM is not in the groups that it says.
    async fn scim_strays(&mut self, source: &Name) -> Result<BTreeSet<Name>, StoreError> {
        let source = self.scim_source(source).await?;
        let governed = self.governed(&source).await?;
        if governed.is_empty() {
            return Ok(BTreeSet::new());
        }
        let mut wanted: BTreeMap<Name, BTreeSet<Name>> = BTreeMap::new();
        let sql = "SELECT u.person, g.key FROM scim_members m JOIN scim_resources u ON u.id = m.member
                   JOIN scim_resources g ON g.id = m.grp WHERE g.source = $1 AND u.person IS NOT NULL";
        for r in self.rows(sql, args![&source.name]).await? {
            wanted.entry(r.parse("person")?).or_default().extend(meant(&source, &governed, &r.text("key")?));
        }
        let mut is: BTreeMap<Imsi, BTreeSet<Name>> = BTreeMap::new();
        for group in &governed {
            for r in self.rows("SELECT imsi FROM sim_groups WHERE grp = $1", args![group]).await? {
                is.entry(r.parse("imsi")?).or_default().insert(group.clone());
            }
        }
        let (none, mut strays) = (BTreeSet::new(), BTreeSet::new());
        for r in self.rows(OF_PEOPLE, args![&source.name]).await? {
            let person: Name = r.parse("person")?;
            if is.get(&r.parse("imsi")?).unwrap_or(&none) != wanted.get(&person).unwrap_or(&none) {
                strays.insert(person);
            }
        }
        Ok(strays)
    }
}

impl Store {
    /// Puts all SIMs of a source's people into the groups that it says: what changed elsewhere (a SIM's person, a device's
    /// owner, what the source's groups mean) follows too. Nothing is written where nothing differs.
    pub async fn follow_scim(&self, source: &Name, change: &Change) -> Result<Vec<Imsi>, StoreError> {
        let people = self.db.snapshot().await?.scim_strays(source).await?;
        if people.is_empty() {
            return Ok(Vec::new());
        }
        let (source, change) = (source.clone(), change.clone());
        self.write(move |tx| {
            Box::pin(async move {
                let source = tx.scim_source(&source).await?;
                tx.follow_scim(&source, &people, &change).await
            })
        })
        .await
    }
}
