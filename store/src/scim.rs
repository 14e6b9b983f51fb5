//! People and groups as a provisioning client keeps them (RFC 7643), and what follows in the same transaction: a person who
//! is made, changed or deactivated there is so here, and the SIMs of people who join or leave a group that means one of
//! ours join or leave it.

use crate::{
    Store,
    audit::Change,
    db::{Rec, Tx, args},
    error::{Clash, StoreError},
    kept::{Named as _, expect_version, read},
    sims::SimEdit,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use types::{Group, Imsi, Name, Person, SignalSource, Utc};

/// What a resource is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScimKind {
    /// Somebody.
    User,
    /// Some of them.
    Group,
}

impl ScimKind {
    /// Its word in RFC 7643.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
        }
    }
}

impl std::str::FromStr for ScimKind {
    type Err = StoreError;
    fn from_str(s: &str) -> Result<Self, StoreError> {
        let all = [Self::User, Self::Group];
        all.into_iter().find(|k| k.as_str() == s).ok_or(StoreError::Damaged { what: "kind" })
    }
}

/// A resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScimRow {
    /// Its id: ours, for good.
    pub id: String,
    /// The source whose client keeps it.
    pub source: Name,
    /// What it is.
    pub kind: ScimKind,
    /// What no other one of its kind has in small letters: `userName`, or a group's `displayName`.
    pub key: String,
    /// Its id at the client.
    pub external: Option<String>,
    /// The person that a user is.
    pub person: Option<Name>,
    /// Its attributes as JSON, but for members.
    pub body: String,
    /// Rises with each change.
    pub version: u64,
    /// When it was made.
    pub created: Utc,
    /// When it was last changed.
    pub changed: Utc,
}

/// One in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScimMember {
    /// Its id.
    pub id: String,
    /// What it is.
    pub kind: ScimKind,
}

/// Which resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScimAsk<'a> {
    /// All of the kind.
    All,
    /// The one with this key.
    Key(&'a str),
    /// Those with this id at the client.
    External(&'a str),
}

/// What a user says of its person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScimPerson {
    /// Which.
    pub id: Name,
    /// Full name.
    pub name: String,
    /// Mail address; where there is none, it stays.
    pub mail: Option<String>,
    /// Employee number; where there is none, it stays.
    pub employee: Option<String>,
    /// Id at the client.
    pub external: Option<String>,
    /// Whether they may go on.
    pub life: ScimLife,
}

/// Whether a person may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScimLife {
    /// They have left: their SIMs have no reason to live, and no proof of theirs counts.
    Ended,
    /// They are back: a day of leaving that has come counts no longer.
    Back,
    /// As it is.
    Same,
}

/// A resource to be written, with what follows.
#[derive(Debug, Clone)]
pub struct ScimPut {
    /// The resource. Its version and times are set here.
    pub row: ScimRow,
    /// A group's members from now on; `None`: as they are.
    pub members: Option<BTreeSet<String>>,
    /// What it says of its person.
    pub person: Option<ScimPerson>,
}

/// What was written, and what followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScimDone {
    /// The resource as it is.
    pub row: ScimRow,
    /// SIMs that are in other groups than before.
    pub moved: Vec<Imsi>,
}

impl ScimRow {
    fn read(r: &Rec) -> Result<Self, StoreError> {
        let person = r.maybe_text("person")?;
        Ok(Self {
            id: r.text("id")?,
            source: r.parse("source")?,
            kind: r.parse("kind")?,
            key: r.text("key")?,
            external: r.maybe_text("external")?,
            person: person
                .map(|p| p.parse().map_err(|_| StoreError::Damaged { what: "person" }))
                .transpose()?,
            body: r.text("body")?,
            version: r.uint("version")?,
            created: r.utc("created")?,
            changed: r.utc("changed")?,
        })
    }

    fn object(&self) -> String {
        format!("scim-{}:{}", self.kind.as_str().to_ascii_lowercase(), self.id)
    }

    fn action(&self, user: &'static str, group: &'static str) -> &'static str {
        match self.kind {
            ScimKind::User => user,
            ScimKind::Group => group,
        }
    }

    fn told(&self) -> Value {
        json!({ "source": self.source.as_str(), "attributes": serde_json::from_str::<Value>(&self.body).ok() })
    }
}

fn ends_at(life: ScimLife, is: Option<Utc>, now: Utc) -> Option<Utc> {
    match life {
        ScimLife::Same => is,
        ScimLife::Ended => Some(is.filter(|at| *at <= now).unwrap_or(now)),
        // A day that is to come stays.
        ScimLife::Back => is.filter(|at| *at > now),
    }
}

/// Those of our groups that a group of a source means, by its name in small letters.
fn meant(source: &SignalSource, governed: &BTreeSet<Name>, key: &str) -> BTreeSet<Name> {
    let named = source.groups.iter().filter(|(shown, _)| shown.to_lowercase() == key);
    named.map(|(_, ours)| ours.clone()).filter(|g| governed.contains(g)).collect()
}

impl Tx {
    async fn scim_row(&mut self, source: &Name, kind: ScimKind, id: &str) -> Result<ScimRow, StoreError> {
        let sql = "SELECT * FROM scim_resources WHERE id = $1 AND kind = $2 AND source = $3";
        ScimRow::read(&self.one(sql, args![id, kind.as_str(), source]).await?)
    }

    /// Asked first, because the databases differ in which of two clashes they name.
    async fn scim_key_is_free(&mut self, row: &ScimRow) -> Result<(), StoreError> {
        let sql = "SELECT id FROM scim_resources WHERE source = $1 AND kind = $2 AND key = $3 AND id <> $4";
        match self.maybe(sql, args![&row.source, row.kind.as_str(), &row.key, &row.id]).await? {
            Some(_) => Err(StoreError::Conflict { what: Clash::Name }),
            None => Ok(()),
        }
    }

    /// Makes a person what a user says. Read here, so that nobody's change in between is lost.
    async fn write_scim_person(
        &mut self,
        says: Option<ScimPerson>,
        change: &Change,
    ) -> Result<(), StoreError> {
        let Some(says) = says else { return Ok(()) };
        let old = match self.kept::<Person>(says.id.as_str(), None).await {
            Ok(old) => Some(old),
            Err(StoreError::NotFound) => None,
            Err(e) => return Err(e),
        };
        let was = old.as_ref().map(|v| &v.value);
        let ends_at = ends_at(says.life, was.and_then(|p| p.ends_at), change.at);
        let person = Person {
            id: says.id,
            name: says.name,
            mail: says.mail.or_else(|| was?.mail.clone()),
            employee: says.employee.or_else(|| was?.employee.clone()),
            external: says.external.or_else(|| was?.external.clone()),
            ends_at,
        };
        if says.life == ScimLife::Ended {
            self.end_proofs(&person.id, change).await?;
        }
        match old {
            Some(old) if old.value == person => Ok(()),
            Some(old) => self.replace_kept(&old, person, change).await.map(drop),
            None => self.insert_kept(person, change).await.map(drop),
        }
    }

    /// Ends a person whose user is deleted.
    async fn end_scim_person(&mut self, id: &Name, change: &Change) -> Result<(), StoreError> {
        let old = self.kept::<Person>(id.as_str(), None).await?;
        let ends_at = ends_at(ScimLife::Ended, old.value.ends_at, change.at);
        self.end_proofs(id, change).await?;
        if ends_at != old.value.ends_at {
            let person = Person { ends_at, ..old.value.clone() };
            self.replace_kept(&old, person, change).await?;
        }
        Ok(())
    }

    /// That somebody proved to be the one who uses a SIM counts no longer.
    async fn end_proofs(&mut self, person: &Name, change: &Change) -> Result<(), StoreError> {
        for imsi in self.sims_of_person(person).await? {
            self.put_assurance(imsi, None, change).await?;
        }
        Ok(())
    }

    async fn scim_member_ids(&mut self, group: &str) -> Result<BTreeSet<String>, StoreError> {
        let rows = self.rows("SELECT member FROM scim_members WHERE grp = $1", args![group]).await?;
        rows.iter().map(|r| r.text("member")).collect()
    }

    /// Makes the members of a group these; who joined and who left. One that the client does not keep is a
    /// [`Clash::Reference`].
    async fn write_scim_members(
        &mut self,
        row: &ScimRow,
        members: BTreeSet<String>,
    ) -> Result<(Vec<String>, Vec<String>), StoreError> {
        let old = self.scim_member_ids(&row.id).await?;
        let left: Vec<String> = old.difference(&members).cloned().collect();
        let joined: Vec<String> = members.difference(&old).cloned().collect();
        for member in &left {
            let sql = "DELETE FROM scim_members WHERE grp = $1 AND member = $2";
            self.exec(sql, args![&row.id, member]).await?;
        }
        for member in &joined {
            let sql = "INSERT INTO scim_members (grp, member)
                       SELECT $1, id FROM scim_resources WHERE id = $2 AND source = $3 AND id <> $1";
            if self.exec(sql, args![&row.id, member, &row.source]).await? != 1 {
                return Err(StoreError::Conflict { what: Clash::Reference });
            }
        }
        Ok((joined, left))
    }

    /// The people whom these resources are; a group among them has none.
    async fn scim_people(&mut self, ids: &[String]) -> Result<BTreeSet<Name>, StoreError> {
        let mut people = BTreeSet::new();
        for id in ids {
            let sql = "SELECT person FROM scim_resources WHERE id = $1 AND person IS NOT NULL";
            if let Some(r) = self.maybe(sql, args![id]).await? {
                people.insert(r.parse("person")?);
            }
        }
        Ok(people)
    }

    async fn scim_source(&mut self, name: &Name) -> Result<SignalSource, StoreError> {
        Ok(read::<SignalSource>(&self.one(SignalSource::SQL.get, args![name]).await?)?.value)
    }

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
    async fn follow_scim(
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
}

impl Store {
    /// A page of resources, the oldest first, and how many there are.
    pub async fn scim_page(
        &self,
        source: &Name,
        kind: ScimKind,
        ask: ScimAsk<'_>,
        skip: u64,
        limit: u64,
    ) -> Result<(Vec<ScimRow>, u64), StoreError> {
        let (key, external) = match ask {
            ScimAsk::All => (None, None),
            ScimAsk::Key(k) => (Some(k.to_lowercase()), None),
            ScimAsk::External(e) => (None, Some(e.to_owned())),
        };
        let mut tx = self.db.snapshot().await?;
        let a = args![source, kind.as_str(), key, external];
        let sql = "SELECT COUNT(*) AS n FROM scim_resources WHERE source = $1 AND kind = $2
                   AND (CAST($3 AS TEXT) IS NULL OR key = $3) AND (CAST($4 AS TEXT) IS NULL OR external = $4)";
        let total = tx.one(sql, a.clone()).await?.uint("n")?;
        let sql = "SELECT * FROM scim_resources WHERE source = $1 AND kind = $2
                   AND (CAST($3 AS TEXT) IS NULL OR key = $3) AND (CAST($4 AS TEXT) IS NULL OR external = $4)
                   ORDER BY created, id LIMIT $5 OFFSET $6";
        let rows = tx.rows(sql, [a, args![limit, skip]].concat()).await?;
        Ok((rows.iter().map(ScimRow::read).collect::<Result<_, _>>()?, total))
    }

    /// One of a kind by its id.
    pub async fn scim_row(&self, source: &Name, kind: ScimKind, id: &str) -> Result<ScimRow, StoreError> {
        self.db.snapshot().await?.scim_row(source, kind, id).await
    }

    /// Who is in a group.
    pub async fn scim_members(&self, group: &str) -> Result<Vec<ScimMember>, StoreError> {
        let sql = "SELECT m.member, r.kind FROM scim_members m JOIN scim_resources r ON r.id = m.member
                   WHERE m.grp = $1 ORDER BY r.created, r.id";
        let rows = self.db.rows(sql, args![group]).await?;
        rows.iter().map(|r| Ok(ScimMember { id: r.text("member")?, kind: r.parse("kind")? })).collect()
    }

    /// True where some client keeps this person.
    pub async fn is_scim_person(&self, person: &Name) -> Result<bool, StoreError> {
        let sql = "SELECT id FROM scim_resources WHERE person = $1";
        Ok(self.db.maybe(sql, args![person]).await?.is_some())
    }

    /// Makes a resource, and its person what it says. A [`Clash::Name`] where its key is taken.
    pub async fn create_scim(&self, put: ScimPut, change: &Change) -> Result<ScimDone, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let ScimPut { row, members, person } = put;
                tx.scim_key_is_free(&row).await?;
                tx.write_scim_person(person, &change).await?;
                let sql = "INSERT INTO scim_resources (id, source, kind, key, external, person, body, version, created,
                           changed) VALUES ($1, $2, $3, $4, $5, $6, $7, 1, $8, $8)";
                let of = row.person.as_ref().map(ToString::to_string);
                let (kind, external) = (row.kind.as_str(), row.external.clone());
                let a = args![&row.id, &row.source, kind, &row.key, external, of, &row.body, change.at];
                tx.exec(sql, a).await?;
                let (joined, _) = tx.write_scim_members(&row, members.unwrap_or_default()).await?;
                let mut told = row.told();
                told["joined"] = json!(joined);
                let action = row.action("scim-user.create", "scim-group.create");
                tx.record(&change, action, row.object(), None, Some(told)).await?;
                tx.scim_done(row, joined, &change).await
            })
        })
        .await
    }

    /// Replaces a resource, and makes its person what it says. `expect` is the version that the caller saw.
    pub async fn replace_scim(
        &self,
        put: ScimPut,
        expect: Option<u64>,
        change: &Change,
    ) -> Result<ScimDone, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let ScimPut { row, members, person } = put;
                let old = tx.scim_row(&row.source, row.kind, &row.id).await?;
                expect_version(expect, old.version)?;
                tx.scim_key_is_free(&row).await?;
                tx.write_scim_person(person, &change).await?;
                let sql =
                    "UPDATE scim_resources SET key = $2, external = $3, body = $4, version = version + 1,
                           changed = $5 WHERE id = $1";
                tx.exec(sql, args![&row.id, &row.key, row.external.clone(), &row.body, change.at]).await?;
                let (joined, left) = match members {
                    Some(members) => tx.write_scim_members(&row, members).await?,
                    None => Default::default(),
                };
                let mut told = row.told();
                (told["joined"], told["left"]) = (json!(joined), json!(left));
                let action = row.action("scim-user.change", "scim-group.change");
                tx.record(&change, action, row.object(), Some(old.told()), Some(told)).await?;
                let mut touched = [joined, left].concat();
                if old.key != row.key {
                    // It means another one of our groups, or none.
                    touched.extend(tx.scim_member_ids(&row.id).await?);
                }
                tx.scim_done(row, touched, &change).await
            })
        })
        .await
    }

    /// Deletes a resource; a user's person has left and stays, because SIMs and records name them.
    pub async fn delete_scim(
        &self,
        row: ScimRow,
        expect: Option<u64>,
        change: &Change,
    ) -> Result<Vec<Imsi>, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let old = tx.scim_row(&row.source, row.kind, &row.id).await?;
                expect_version(expect, old.version)?;
                let mut touched = tx.scim_member_ids(&row.id).await?;
                touched.insert(row.id.clone());
                let people = tx.scim_people(&Vec::from_iter(touched)).await?;
                tx.exec("DELETE FROM scim_resources WHERE id = $1", args![&row.id]).await?;
                let action = row.action("scim-user.delete", "scim-group.delete");
                tx.record(&change, action, row.object(), Some(old.told()), None).await?;
                if let Some(person) = &old.person {
                    tx.end_scim_person(person, &change).await?;
                }
                let source = tx.scim_source(&row.source).await?;
                tx.follow_scim(&source, &people, &change).await
            })
        })
        .await
    }

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

    async fn scim_done(
        &mut self,
        row: ScimRow,
        mut touched: Vec<String>,
        change: &Change,
    ) -> Result<ScimDone, StoreError> {
        touched.push(row.id.clone());
        let source = self.scim_source(&row.source).await?;
        let people = self.scim_people(&touched).await?;
        let moved = self.follow_scim(&source, &people, change).await?;
        Ok(ScimDone { row: self.scim_row(&row.source, row.kind, &row.id).await?, moved })
    }
}
