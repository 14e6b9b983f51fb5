//! People and groups as a provisioning client keeps them (RFC 7643), and what follows in the same transaction: a person who
//! is made, changed or deactivated there is so here, and the SIMs of people who join or leave a group that means one of
//! ours join or leave it.

mod follow;

use crate::{
    Store,
    audit::Change,
    db::{Rec, Tx, args},
    error::{Clash, StoreError},
    kept::{Named as _, expect_version, read},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use types::{Imsi, Name, Person, SignalSource, Utc};

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
}

impl Tx {
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
