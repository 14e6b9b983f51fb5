//! Data networks, apps, groups and rules: what people write and `pgw-policy` compiles (decision D18).
//!
//! Each change raises the policy generation in its own transaction. A caller that has checked a draft against
//! generation *g* passes `Some(g)`: should another change have come between, nothing is written and the check is
//! made again, so that two changes that are right one by one cannot be wrong together.

use crate::{
    Page, Store,
    audit::Change,
    db::{Arg, Rec, Tx, args, json_text},
    error::StoreError,
};
use serde::{Serialize, de::DeserializeOwned};
use types::{App, DataNetwork, Group, Rule, Subject, UeGroups, Utc};

/// A thing with its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned<T> {
    /// The thing.
    pub value: T,
    /// Its version: rises with each change.
    pub version: u64,
    /// When it was made.
    pub created: Utc,
    /// When it was last changed.
    pub changed: Utc,
}

/// Everything that a policy is made of, as of one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicySource {
    /// Its generation.
    pub generation: u64,
    /// Data networks, by name.
    pub data_networks: Vec<DataNetwork>,
    /// Apps, by name.
    pub apps: Vec<App>,
    /// Groups, by name.
    pub groups: Vec<Group>,
    /// Rules, by order and name.
    pub rules: Vec<Rule>,
    /// Every SIM that is in a group, by IMSI.
    pub ues: Vec<UeGroups>,
}

/// The statements of one kind.
#[doc(hidden)]
pub struct Statements {
    insert: &'static str,
    update: &'static str,
    delete: &'static str,
    get: &'static str,
    list: &'static str,
    all: &'static str,
    created: &'static str,
    changed: &'static str,
    deleted: &'static str,
}

/// A kind of thing that is kept by name: [`DataNetwork`], [`App`], [`Group`], [`Rule`].
pub trait Document: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// The word for it in audit rows: `app`, `rule`, ….
    const KIND: &'static str;
    #[doc(hidden)]
    const SQL: Statements;
    /// Its name.
    fn key(&self) -> String;
    /// Columns beside the body, for references: what `$4`, `$5`, … stand for.
    #[doc(hidden)]
    fn extra(&self) -> Vec<Arg>;
}

macro_rules! document {
    ($t:ty, $kind:literal, $table:literal, $key:ident, columns: $cols:literal, values: $vals:literal, set: $set:literal,
     |$v:ident| $extra:expr) => {
        impl Document for $t {
            const KIND: &'static str = $kind;
            const SQL: Statements = Statements {
                insert: concat!(
                    "INSERT INTO ",
                    $table,
                    " (name, body, version, created, changed",
                    $cols,
                    ") VALUES ($1, $2, 1, $3, $3",
                    $vals,
                    ")"
                ),
                update: concat!(
                    "UPDATE ",
                    $table,
                    " SET body = $2, version = version + 1, changed = $3",
                    $set,
                    " WHERE name = $1 RETURNING version"
                ),
                delete: concat!("DELETE FROM ", $table, " WHERE name = $1"),
                get: concat!("SELECT * FROM ", $table, " WHERE name = $1"),
                list: concat!("SELECT * FROM ", $table, " WHERE name > $1 ORDER BY name LIMIT $2"),
                all: concat!("SELECT body FROM ", $table, " ORDER BY name"),
                created: concat!($kind, ".create"),
                changed: concat!($kind, ".change"),
                deleted: concat!($kind, ".delete"),
            };
            fn key(&self) -> String {
                self.$key.to_string()
            }
            fn extra(&self) -> Vec<Arg> {
                let $v = self;
                $extra
            }
        }
    };
}

document!(DataNetwork, "data-network", "data_networks", dnn, columns: "", values: "", set: "", |_v| vec![]);
document!(App, "app", "apps", name, columns: "", values: "", set: "", |_v| vec![]);
document!(Group, "group", "ue_groups", name, columns: "", values: "", set: "", |_v| vec![]);
document!(Rule, "rule", "rules", name,
columns: ", ord, app, grp, imsi", values: ", $4, $5, $6, $7",
set: ", ord = $4, app = $5, grp = $6, imsi = $7",
|v| {
    let (group, sim) = match &v.subject {
        Subject::Any => (None, None),
        Subject::Group(g) => (Some(g.to_string()), None),
        Subject::Sim(i) => (None, Some(i.to_string())),
    };
    args![v.order, &v.app, group, sim]
});

fn read<T: Document>(r: &Rec) -> Result<Versioned<T>, StoreError> {
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

impl Tx {
    /// Raises the policy generation; refuses where it is not the one that the caller's check was based on.
    pub(crate) async fn next_generation(&mut self, based_on: Option<u64>) -> Result<u64, StoreError> {
        let next = self.count_up("policy", 1).await?;
        match based_on {
            Some(g) if g + 1 != next => Err(StoreError::PolicyMoved { current: next - 1 }),
            _ => Ok(next),
        }
    }
}

impl Store {
    /// Stores a new thing. `based_on` is the policy generation that a check of it was made against.
    pub async fn create<T: Document>(
        &self,
        value: T,
        based_on: Option<u64>,
        change: &Change,
    ) -> Result<Versioned<T>, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                tx.next_generation(based_on).await?;
                let mut a = args![value.key(), json_text(&value), change.at];
                a.extend(value.extra());
                tx.exec(T::SQL.insert, a).await?;
                let object = format!("{}:{}", T::KIND, value.key());
                tx.record(&change, T::SQL.created, object, None, as_json(&value)).await?;
                Ok(Versioned { value, version: 1, created: change.at, changed: change.at })
            })
        })
        .await
    }

    /// Replaces a thing of the same name. `expect` is the version that the caller saw; `None` is any.
    pub async fn replace<T: Document>(
        &self,
        value: T,
        expect: Option<u64>,
        based_on: Option<u64>,
        change: &Change,
    ) -> Result<Versioned<T>, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let old: Versioned<T> = read(&tx.one(T::SQL.get, args![value.key()]).await?)?;
                expect_version(expect, old.version)?;
                tx.next_generation(based_on).await?;
                let mut a = args![value.key(), json_text(&value), change.at];
                a.extend(value.extra());
                let version = tx.one(T::SQL.update, a).await?.uint("version")?;
                let object = format!("{}:{}", T::KIND, value.key());
                tx.record(&change, T::SQL.changed, object, as_json(&old.value), as_json(&value)).await?;
                Ok(Versioned { value, version, created: old.created, changed: change.at })
            })
        })
        .await
    }

    /// Deletes a thing. One that something still refers to is a [`crate::Clash::Reference`].
    pub async fn delete<T: Document>(
        &self,
        key: String,
        expect: Option<u64>,
        based_on: Option<u64>,
        change: &Change,
    ) -> Result<(), StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let old: Versioned<T> = read(&tx.one(T::SQL.get, args![&key]).await?)?;
                expect_version(expect, old.version)?;
                tx.next_generation(based_on).await?;
                tx.exec(T::SQL.delete, args![&key]).await?;
                let object = format!("{}:{key}", T::KIND);
                tx.record(&change, T::SQL.deleted, object, as_json(&old.value), None).await
            })
        })
        .await
    }

    /// One thing by its name.
    pub async fn get<T: Document>(&self, key: &str) -> Result<Versioned<T>, StoreError> {
        let r = self.db.maybe(T::SQL.get, args![key]).await?;
        read(&r.ok_or(StoreError::NotFound)?)
    }

    /// Things by name, behind `after`.
    pub async fn list<T: Document>(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<Versioned<T>>, StoreError> {
        let rows = self.db.rows(T::SQL.list, args![after.unwrap_or(""), limit + 1]).await?;
        let items = rows.iter().map(read::<T>).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(items, limit, |v| v.value.key()))
    }

    /// Everything that a policy is made of, as of one moment.
    pub async fn policy_source(&self) -> Result<PolicySource, StoreError> {
        let mut tx = self.db.snapshot().await?;
        let generation = tx.maybe("SELECT value FROM counters WHERE name = 'policy'", vec![]).await?;
        let mut source = PolicySource {
            generation: generation.map(|r| r.uint("value")).transpose()?.unwrap_or(0),
            data_networks: all(&mut tx).await?,
            apps: all(&mut tx).await?,
            groups: all(&mut tx).await?,
            rules: all(&mut tx).await?,
            ues: Vec::new(),
        };
        source.rules.sort_by(|a: &Rule, b| (a.order, &a.name).cmp(&(b.order, &b.name)));
        let sql = "SELECT imsi, grp FROM sim_groups ORDER BY imsi, grp";
        for r in tx.rows(sql, vec![]).await? {
            let imsi = r.parse("imsi")?;
            if source.ues.last().is_none_or(|u| u.imsi != imsi) {
                source.ues.push(UeGroups { imsi, groups: Default::default() });
            }
            if let Some(ue) = source.ues.last_mut() {
                ue.groups.insert(r.parse("grp")?);
            }
        }
        Ok(source)
    }
}

async fn all<T: Document>(tx: &mut Tx) -> Result<Vec<T>, StoreError> {
    tx.rows(T::SQL.all, vec![]).await?.iter().map(|r| r.json("body")).collect()
}

/// Optimistic concurrency: what the caller saw must be what is there.
pub(crate) fn expect_version(expect: Option<u64>, current: u64) -> Result<(), StoreError> {
    match expect {
        Some(v) if v != current => Err(StoreError::VersionMismatch { current }),
        _ => Ok(()),
    }
}
