//! People, devices and sites, and which SIM is whose.
//!
//! The links stand at the SIM (`sim_links`), so that a SIM has at most one device, one person and one site. A
//! person's SIMs are those linked to the person and those in a device that the person owns.

use crate::{
    Page, Store,
    audit::Change,
    config::{Versioned, expect_version},
    db::{Arg, Db, Rec, Tx, args, json_text},
    error::{Clash, StoreError},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::{BTreeMap, BTreeSet};
use types::{Device, Imsi, Name, Person, Site};

/// Which device, person and site a SIM is linked to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SimLinks {
    /// Id of its device.
    pub device: Option<Name>,
    /// Id of its person.
    pub person: Option<Name>,
    /// Id of its site.
    pub site: Option<Name>,
}

/// Where a SIM belongs: what a right that is limited to groups or sites is held against.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// Its groups.
    pub groups: BTreeSet<Name>,
    /// Its site.
    pub site: Option<Name>,
}

/// What some SIMs are linked to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Linked {
    /// People: linked, or owners of a linked device.
    pub people: BTreeSet<Name>,
    /// Devices.
    pub devices: BTreeSet<Name>,
    /// Sites.
    pub sites: BTreeSet<Name>,
}

/// Groups and sites that a right is limited to. An empty set is no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Within {
    /// The SIM is in one of these groups.
    pub groups: BTreeSet<Name>,
    /// The SIM is at one of these sites.
    pub sites: BTreeSet<Name>,
}

impl Within {
    /// True where nothing is limited.
    pub fn is_everywhere(&self) -> bool {
        self.groups.is_empty() && self.sites.is_empty()
    }

    /// True where a SIM of this place is inside.
    pub fn contains(&self, place: &Place) -> bool {
        (self.groups.is_empty() || !self.groups.is_disjoint(&place.groups))
            && (self.sites.is_empty() || place.site.as_ref().is_some_and(|s| self.sites.contains(s)))
    }
}

/// The statements of one kind.
#[doc(hidden)]
pub struct EntitySql {
    insert: &'static str,
    update: &'static str,
    delete: &'static str,
    get: &'static str,
    list: &'static str,
    sims: &'static str,
    created: &'static str,
    changed: &'static str,
    deleted: &'static str,
}

/// A kind of thing that SIMs are linked to: [`Person`], [`Device`], [`Site`].
pub trait Entity: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// The word for it in audit rows: `person`, `device`, `site`.
    const KIND: &'static str;
    #[doc(hidden)]
    const SQL: EntitySql;
    /// Its id.
    fn id(&self) -> &Name;
    /// What a search by text looks at.
    #[doc(hidden)]
    fn search(&self) -> String;
    /// Columns beside the body: what `$5`, `$6`, … stand for.
    #[doc(hidden)]
    fn extra(&self) -> Vec<Arg>;
}

macro_rules! entity {
    ($t:ty, $kind:literal, $table:literal, columns: $cols:literal, values: $vals:literal, set: $set:literal,
     |$v:ident| $extra:expr, search: $search:expr) => {
        impl Entity for $t {
            const KIND: &'static str = $kind;
            const SQL: EntitySql = EntitySql {
                insert: concat!(
                    "INSERT INTO ",
                    $table,
                    " (id, body, search, version, created, changed",
                    $cols,
                    ") VALUES ($1, $2, $3, 1, $4, $4",
                    $vals,
                    ")"
                ),
                update: concat!(
                    "UPDATE ",
                    $table,
                    " SET body = $2, search = $3, version = version + 1, changed = $4",
                    $set,
                    " WHERE id = $1 RETURNING version"
                ),
                delete: concat!("DELETE FROM ", $table, " WHERE id = $1"),
                get: concat!("SELECT * FROM ", $table, " WHERE id = $1"),
                list: concat!(
                    "SELECT * FROM ",
                    $table,
                    " WHERE id > $1 AND (CAST($2 AS TEXT) IS NULL OR search LIKE $2 ESCAPE '!')
                     ORDER BY id LIMIT $3"
                ),
                sims: concat!("SELECT imsi FROM sim_links WHERE ", $kind, " = $1 ORDER BY imsi LIMIT $2"),
                created: concat!($kind, ".create"),
                changed: concat!($kind, ".change"),
                deleted: concat!($kind, ".delete"),
            };
            fn id(&self) -> &Name {
                &self.id
            }
            fn search(&self) -> String {
                let $v = self;
                let words: Vec<Option<String>> = $search;
                words.into_iter().flatten().collect::<Vec<_>>().join("\n").to_lowercase()
            }
            fn extra(&self) -> Vec<Arg> {
                let columns: fn(&Self) -> Vec<Arg> = |$v| $extra;
                columns(self)
            }
        }
    };
}

entity!(Person, "person", "people",
columns: ", employee, external, ends_at", values: ", $5, $6, $7", set: ", employee = $5, external = $6, ends_at = $7",
|p| args![p.employee.clone(), p.external.clone(), p.ends_at],
search: vec![Some(p.id.to_string()), Some(p.name.clone()), p.mail.clone(), p.employee.clone(), p.external.clone()]);
entity!(Device, "device", "devices",
columns: ", imei, owner", values: ", $5, $6", set: ", imei = $5, owner = $6",
|d| args![d.imei.map(|i| i.device()), d.owner.as_ref().map(ToString::to_string)],
search: vec![Some(d.id.to_string()), Some(d.label.clone()), d.imei.map(|i| i.to_string()), d.serial.clone()]);
entity!(Site, "site", "sites", columns: "", values: "", set: "", |_site| vec![],
search: vec![Some(_site.id.to_string()), Some(_site.name.clone()), Some(_site.description.clone())]);

fn read<T: Entity>(r: &Rec) -> Result<Versioned<T>, StoreError> {
    Ok(Versioned {
        value: r.json("body")?,
        version: r.uint("version")?,
        created: r.utc("created")?,
        changed: r.utc("changed")?,
    })
}

fn as_json<T: Serialize>(v: &T) -> Option<serde_json::Value> {
    serde_json::to_value(v).ok()
}

fn object<T: Entity>(id: &Name) -> String {
    format!("{}:{id}", T::KIND)
}

impl Tx {
    /// Which device, person and site a SIM is linked to.
    pub(crate) async fn sim_links(&mut self, imsi: Imsi) -> Result<SimLinks, StoreError> {
        let r = self.maybe("SELECT * FROM sim_links WHERE imsi = $1", args![imsi]).await?;
        r.map_or_else(|| Ok(SimLinks::default()), |r| SimLinks::read(&r))
    }

    /// Writes the links of a SIM. A name that is not there is a [`Clash::Reference`].
    pub(crate) async fn write_sim_links(&mut self, imsi: Imsi, links: &SimLinks) -> Result<(), StoreError> {
        if *links == SimLinks::default() {
            return self.exec("DELETE FROM sim_links WHERE imsi = $1", args![imsi]).await.map(|_| ());
        }
        let sql = "INSERT INTO sim_links (imsi, device, person, site) VALUES ($1, $2, $3, $4)
                   ON CONFLICT (imsi) DO UPDATE SET device = $2, person = $3, site = $4";
        let text = |n: &Option<Name>| n.as_ref().map(ToString::to_string);
        let a = args![imsi, text(&links.device), text(&links.person), text(&links.site)];
        self.exec(sql, a).await.map(|_| ())
    }
}

impl SimLinks {
    pub(crate) fn read(r: &Rec) -> Result<Self, StoreError> {
        let name = |c: &'static str| {
            let text = r.maybe_text(c)?;
            text.map(|t| t.parse().map_err(|_| StoreError::Damaged { what: c })).transpose()
        };
        Ok(Self { device: name("device")?, person: name("person")?, site: name("site")? })
    }
}

impl Store {
    /// Stores a new person, device or site.
    pub async fn create_entity<T: Entity>(
        &self,
        value: T,
        change: &Change,
    ) -> Result<Versioned<T>, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                // Asked first, because the databases differ in which of two clashes they name.
                if tx.maybe(T::SQL.get, args![value.id()]).await?.is_some() {
                    return Err(StoreError::Conflict { what: Clash::Name });
                }
                let mut a = args![value.id(), json_text(&value), value.search(), change.at];
                a.extend(value.extra());
                tx.exec(T::SQL.insert, a).await?;
                tx.record(&change, T::SQL.created, object::<T>(value.id()), None, as_json(&value)).await?;
                Ok(Versioned { value, version: 1, created: change.at, changed: change.at })
            })
        })
        .await
    }

    /// Replaces a thing of the same id. `expect` is the version that the caller saw; `None` is any.
    pub async fn replace_entity<T: Entity>(
        &self,
        value: T,
        expect: Option<u64>,
        change: &Change,
    ) -> Result<Versioned<T>, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let old: Versioned<T> = read(&tx.one(T::SQL.get, args![value.id()]).await?)?;
                expect_version(expect, old.version)?;
                let mut a = args![value.id(), json_text(&value), value.search(), change.at];
                a.extend(value.extra());
                let version = tx.one(T::SQL.update, a).await?.uint("version")?;
                let (before, after) = (as_json(&old.value), as_json(&value));
                tx.record(&change, T::SQL.changed, object::<T>(value.id()), before, after).await?;
                Ok(Versioned { value, version, created: old.created, changed: change.at })
            })
        })
        .await
    }

    /// Deletes a thing. One that something is still linked to is a [`Clash::Reference`]; [`Self::linked_to`]
    /// names what.
    pub async fn delete_entity<T: Entity>(
        &self,
        id: Name,
        expect: Option<u64>,
        change: &Change,
    ) -> Result<(), StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let old: Versioned<T> = read(&tx.one(T::SQL.get, args![&id]).await?)?;
                expect_version(expect, old.version)?;
                tx.exec(T::SQL.delete, args![&id]).await?;
                tx.record(&change, T::SQL.deleted, object::<T>(&id), as_json(&old.value), None).await
            })
        })
        .await
    }

    /// One thing by its id.
    pub async fn entity<T: Entity>(&self, id: &Name) -> Result<Versioned<T>, StoreError> {
        let r = self.db.maybe(T::SQL.get, args![id]).await?;
        read(&r.ok_or(StoreError::NotFound)?)
    }

    /// Things by id, behind `after`; `text` narrows them to those that hold it somewhere.
    pub async fn entities<T: Entity>(
        &self,
        text: Option<&str>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<Versioned<T>>, StoreError> {
        let text = text.map(|t| crate::sims::containing(&t.to_lowercase()));
        let rows = self.db.rows(T::SQL.list, args![after.unwrap_or(""), text, limit + 1]).await?;
        let items = rows.iter().map(read::<T>).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(items, limit, |v| v.value.id().to_string()))
    }

    /// What is linked to a thing, as in the audit (`sim:…`, `device:…`): at most `limit` of each kind.
    pub async fn linked_to<T: Entity>(&self, id: &Name, limit: u32) -> Result<Vec<String>, StoreError> {
        let mut all = Vec::new();
        for r in self.db.rows(T::SQL.sims, args![id, limit]).await? {
            all.push(format!("sim:{}", r.text("imsi")?));
        }
        if T::KIND == Person::KIND {
            let sql = "SELECT id FROM devices WHERE owner = $1 ORDER BY id LIMIT $2";
            for r in self.db.rows(sql, args![id, limit]).await? {
                all.push(format!("device:{}", r.text("id")?));
            }
        }
        Ok(all)
    }

    /// The SIMs of a person: linked to the person, or of a device that the person owns.
    pub async fn sims_of_person(&self, id: &Name) -> Result<Vec<Imsi>, StoreError> {
        let sql = "SELECT imsi FROM sim_links WHERE person = $1
                   UNION SELECT l.imsi FROM sim_links l JOIN devices d ON d.id = l.device WHERE d.owner = $1
                   UNION SELECT s.imsi FROM sims s JOIN devices d ON d.imei = s.device WHERE d.owner = $1
                   UNION SELECT l.imsi FROM learned_devices l JOIN devices d ON d.imei = l.device
                         WHERE d.owner = $1
                   ORDER BY imsi";
        imsis(&self.db, sql, id).await
    }

    /// The SIMs of a device: linked to it, bound to its IMEI, or last used in it.
    pub async fn sims_of_device(&self, id: &Name) -> Result<Vec<Imsi>, StoreError> {
        let sql = "SELECT imsi FROM sim_links WHERE device = $1
                   UNION SELECT s.imsi FROM sims s JOIN devices d ON d.imei = s.device WHERE d.id = $1
                   UNION SELECT l.imsi FROM learned_devices l JOIN devices d ON d.imei = l.device WHERE d.id = $1
                   ORDER BY imsi";
        imsis(&self.db, sql, id).await
    }

    /// The SIMs of a group.
    pub async fn sims_of_group(&self, group: &Name) -> Result<Vec<Imsi>, StoreError> {
        imsis(&self.db, "SELECT imsi FROM sim_groups WHERE grp = $1 ORDER BY imsi", group).await
    }

    /// The SIMs of a site.
    pub async fn sims_of_site(&self, id: &Name) -> Result<Vec<Imsi>, StoreError> {
        imsis(&self.db, "SELECT imsi FROM sim_links WHERE site = $1 ORDER BY imsi", id).await
    }

    /// Where a SIM belongs.
    pub async fn place_of_sim(&self, imsi: Imsi) -> Result<Place, StoreError> {
        let mut tx = self.db.snapshot().await?;
        tx.one("SELECT imsi FROM sims WHERE imsi = $1", args![imsi]).await?;
        let mut place = Place { site: tx.sim_links(imsi).await?.site, ..Place::default() };
        for r in tx.rows("SELECT grp FROM sim_groups WHERE imsi = $1", args![imsi]).await? {
            place.groups.insert(r.parse("grp")?);
        }
        Ok(place)
    }

    /// What these SIMs are linked to.
    pub async fn linked(&self, sims: &BTreeSet<Imsi>) -> Result<Linked, StoreError> {
        let sql = "SELECT l.imsi, l.device, l.person, l.site, d.owner FROM sim_links l
                   LEFT JOIN devices d ON d.id = l.device";
        let mut all = Linked::default();
        for r in &self.db.rows(sql, vec![]).await? {
            if !sims.contains(&r.parse("imsi")?) {
                continue;
            }
            let links = SimLinks::read(r)?;
            all.people.extend(links.person);
            all.devices.extend(links.device);
            all.sites.extend(links.site);
            if r.maybe_text("owner")?.is_some() {
                all.people.insert(r.parse("owner")?);
            }
        }
        Ok(all)
    }

    /// The SIMs inside any of these limits. An empty list is no SIM; ask not where nothing is limited.
    pub async fn sims_within(&self, limits: &[Within]) -> Result<BTreeSet<Imsi>, StoreError> {
        let mut all = BTreeSet::new();
        for w in limits {
            let by_group = of_all(&self.db, "SELECT imsi FROM sim_groups WHERE grp = $1", &w.groups).await?;
            let by_site = of_all(&self.db, "SELECT imsi FROM sim_links WHERE site = $1", &w.sites).await?;
            match (w.groups.is_empty(), w.sites.is_empty()) {
                (true, true) => {
                    let rows = self.db.rows("SELECT imsi FROM sims", vec![]).await?;
                    for r in &rows {
                        all.insert(r.parse("imsi")?);
                    }
                }
                (false, true) => all.extend(by_group),
                (true, false) => all.extend(by_site),
                (false, false) => all.extend(by_group.intersection(&by_site)),
            }
        }
        Ok(all)
    }
}

async fn imsis(db: &Db, sql: &'static str, name: &Name) -> Result<Vec<Imsi>, StoreError> {
    db.rows(sql, args![name]).await?.iter().map(|r| r.parse("imsi")).collect()
}

async fn of_all(db: &Db, sql: &'static str, names: &BTreeSet<Name>) -> Result<BTreeSet<Imsi>, StoreError> {
    let mut all = BTreeSet::new();
    for name in names {
        all.extend(imsis(db, sql, name).await?);
    }
    Ok(all)
}

/// Adds links to SIMs that are in the order of their IMSI.
pub(crate) async fn add_links(
    tx: &mut Tx,
    range: Vec<Arg>,
    at: &mut BTreeMap<String, &mut crate::SimRow>,
) -> Result<(), StoreError> {
    for r in &tx.rows("SELECT * FROM sim_links WHERE imsi BETWEEN $1 AND $2", range).await? {
        if let Some(s) = at.get_mut(&r.text("imsi")?) {
            s.links = SimLinks::read(r)?;
        }
    }
    Ok(())
}

/// Which clash a constraint of these tables is, by how its name begins.
pub(crate) fn clash(has: impl Fn(&str) -> bool) -> Option<Clash> {
    let all = [
        ("people.employee", Clash::Employee),
        ("people_employee", Clash::Employee),
        ("people.external", Clash::External),
        ("people_external", Clash::External),
        ("devices.imei", Clash::Imei),
        ("devices_imei", Clash::Imei),
        ("people", Clash::Name),
        ("devices", Clash::Name),
        ("sites", Clash::Name),
        ("operators", Clash::Name),
    ];
    all.into_iter().find(|(name, _)| has(name)).map(|(_, clash)| clash)
}
