//! People, devices and sites, and which SIM is whose.
//!
//! The links stand at the SIM (`sim_links`), so that a SIM has at most one device, one person and one site. A
//! person's SIMs are those linked to the person and those in a device that the person owns.

use crate::{
    Page, Store,
    audit::Change,
    db::{Arg, Db, Rec, Tx, args},
    error::{Clash, StoreError},
    kept::{Named, Statements, Versioned, read, statements},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
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

/// A kind of thing that SIMs are linked to: [`Person`], [`Device`], [`Site`].
pub trait Entity: Named {
    #[doc(hidden)]
    const LIST: &'static str;
    #[doc(hidden)]
    const SIMS: &'static str;
    /// Its id.
    fn id(&self) -> &Name;
}

/// Columns begin behind `$4`, which is what a search by text looks at.
macro_rules! entity {
    ($t:ty, $kind:literal, $table:literal, columns: $cols:literal, values: $vals:literal, set: $set:literal,
     |$v:ident| $extra:expr, search: $search:expr) => {
        impl Named for $t {
            const KIND: &'static str = $kind;
            const SQL: Statements =
                statements!($kind, $table, "id", columns: $cols, values: $vals, set: $set);
            fn key(&self) -> String {
                self.id.to_string()
            }
            fn extra(&self) -> Vec<Arg> {
                let $v = self;
                let words: Vec<Option<String>> = $search;
                let search = words.into_iter().flatten().collect::<Vec<_>>().join("\n").to_lowercase();
                let mut columns = args![search];
                let more: fn(&Self) -> Vec<Arg> = |$v| $extra;
                columns.extend(more(self));
                columns
            }
        }
        impl Entity for $t {
            const LIST: &'static str = concat!(
                "SELECT * FROM ",
                $table,
                " WHERE id > $1 AND (CAST($2 AS TEXT) IS NULL OR search LIKE $2 ESCAPE '!')
                 ORDER BY id LIMIT $3"
            );
            const SIMS: &'static str =
                concat!("SELECT imsi FROM sim_links WHERE ", $kind, " = $1 ORDER BY imsi LIMIT $2");
            fn id(&self) -> &Name {
                &self.id
            }
        }
    };
}

entity!(Person, "person", "people",
columns: ", search, employee, external, ends_at", values: ", $4, $5, $6, $7",
set: ", search = $4, employee = $5, external = $6, ends_at = $7",
|p| args![p.employee.clone(), p.external.clone(), p.ends_at],
search: vec![Some(p.id.to_string()), Some(p.name.clone()), p.mail.clone(), p.employee.clone(), p.external.clone()]);
entity!(Device, "device", "devices",
columns: ", search, imei, owner", values: ", $4, $5, $6", set: ", search = $4, imei = $5, owner = $6",
|d| args![d.imei.map(|i| i.device()), d.owner.as_ref().map(ToString::to_string)],
search: vec![Some(d.id.to_string()), Some(d.label.clone()), d.imei.map(|i| i.to_string()), d.serial.clone()]);
entity!(Site, "site", "sites", columns: ", search", values: ", $4", set: ", search = $4", |_site| vec![],
search: vec![Some(_site.id.to_string()), Some(_site.name.clone()), Some(_site.description.clone())]);

const OF_PERSON: &str = "SELECT imsi FROM sim_links WHERE person = $1
    UNION SELECT l.imsi FROM sim_links l JOIN devices d ON d.id = l.device WHERE d.owner = $1
    UNION SELECT s.imsi FROM sims s JOIN devices d ON d.imei = s.device WHERE d.owner = $1
    UNION SELECT l.imsi FROM learned_devices l JOIN devices d ON d.imei = l.device WHERE d.owner = $1
    ORDER BY imsi";

impl Tx {
    /// As [`Store::sims_of_person`].
    pub(crate) async fn sims_of_person(&mut self, id: &Name) -> Result<Vec<Imsi>, StoreError> {
        self.rows(OF_PERSON, args![id]).await?.iter().map(|r| r.parse("imsi")).collect()
    }

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
                tx.insert_kept(value, &change).await
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
                let old = tx.kept(&value.key(), expect).await?;
                tx.replace_kept(&old, value, &change).await
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
                let old = tx.kept::<T>(&id.to_string(), expect).await?;
                tx.delete_kept(&old, &change).await
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
        let rows = self.db.rows(T::LIST, args![after.unwrap_or(""), text, limit + 1]).await?;
        let items = rows.iter().map(read::<T>).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(items, limit, |v| v.value.id().to_string()))
    }

    /// What is linked to a thing, as in the audit (`sim:…`, `device:…`): at most `limit` of each kind.
    pub async fn linked_to<T: Entity>(&self, id: &Name, limit: u32) -> Result<Vec<String>, StoreError> {
        let mut all = Vec::new();
        for r in self.db.rows(T::SIMS, args![id, limit]).await? {
            all.push(format!("sim:{}", r.text("imsi")?));
        }
        if T::KIND == Site::KIND {
            let sql = "SELECT imsi FROM sim_usual_sites WHERE site = $1 ORDER BY imsi LIMIT $2";
            for r in self.db.rows(sql, args![id, limit]).await? {
                all.push(format!("sim:{}", r.text("imsi")?));
            }
        }
        if T::KIND == Person::KIND {
            let sql = "SELECT id FROM devices WHERE owner = $1 ORDER BY id LIMIT $2";
            for r in self.db.rows(sql, args![id, limit]).await? {
                all.push(format!("device:{}", r.text("id")?));
            }
            let sql = "SELECT id FROM scim_resources WHERE person = $1 ORDER BY id LIMIT $2";
            for r in self.db.rows(sql, args![id, limit]).await? {
                all.push(format!("scim-user:{}", r.text("id")?));
            }
        }
        Ok(all)
    }

    /// The SIMs of a person: linked to the person, or of a device that the person owns.
    pub async fn sims_of_person(&self, id: &Name) -> Result<Vec<Imsi>, StoreError> {
        imsis(&self.db, OF_PERSON, id).await
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
