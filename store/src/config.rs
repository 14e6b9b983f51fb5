//! Data networks, apps, groups and rules: what people write and `pgw-policy` compiles (decision D18).
//!
//! Each change raises the policy generation in its own transaction. A caller that has checked a draft against
//! generation *g* passes `Some(g)`: should another change have come between, nothing is written and the check is
//! made again, so that two changes that are right one by one cannot be wrong together.

use crate::{
    Page, Store,
    audit::Change,
    db::{Arg, Rec, Tx, args},
    error::StoreError,
    kept::{Named, Statements, Versioned, object, read, statements},
};
use types::{App, DataNetwork, Group, Imsi, Name, PolicyExtras, Rule, Subject, UeGroups};

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
    /// What its file says beside these.
    pub extras: PolicyExtras,
    /// How risk is weighed, as JSON, where it is not as shipped.
    pub risk: Option<String>,
}

/// A kind of thing that a policy is made of: [`DataNetwork`], [`App`], [`Group`], [`Rule`].
pub trait Document: Named {
    #[doc(hidden)]
    const LIST: &'static str;
    #[doc(hidden)]
    const ALL: &'static str;
}

macro_rules! document {
    ($t:ty, $kind:literal, $table:literal, $key:ident, columns: $cols:literal, values: $vals:literal, set: $set:literal,
     |$v:ident| $extra:expr) => {
        impl Named for $t {
            const KIND: &'static str = $kind;
            const SQL: Statements =
                statements!($kind, $table, "name", columns: $cols, values: $vals, set: $set);
            fn key(&self) -> String {
                self.$key.to_string()
            }
            fn extra(&self) -> Vec<Arg> {
                let $v = self;
                $extra
            }
        }
        impl Document for $t {
            const LIST: &'static str =
                concat!("SELECT * FROM ", $table, " WHERE name > $1 ORDER BY name LIMIT $2");
            const ALL: &'static str = concat!("SELECT body FROM ", $table, " ORDER BY name");
        }
    };
}

document!(DataNetwork, "data-network", "data_networks", dnn, columns: "", values: "", set: "", |_v| vec![]);
document!(App, "app", "apps", name, columns: "", values: "", set: "", |_v| vec![]);
document!(Group, "group", "ue_groups", name, columns: "", values: "", set: "", |_v| vec![]);
document!(Rule, "rule", "rules", name,
columns: ", ord, app, grp, imsi, device, person", values: ", $4, $5, $6, $7, $8, $9",
set: ", ord = $4, app = $5, grp = $6, imsi = $7, device = $8, person = $9",
|v| {
    let (mut group, mut sim, mut device, mut person) = (None, None, None, None);
    match &v.subject {
        Subject::Any => {}
        Subject::Group(g) => group = Some(g.to_string()),
        Subject::Sim(i) => sim = Some(i.to_string()),
        Subject::Device(d) => device = Some(d.to_string()),
        Subject::Person(p) => person = Some(p.to_string()),
    }
    args![v.order, &v.app, group, sim, device, person]
});

/// The SIMs whose device or person a rule names; of the two what a rule names.
macro_rules! named {
    ($more:literal) => {
        concat!(
            "SELECT l.imsi,
                CASE WHEN l.device IN (SELECT device FROM rules WHERE device IS NOT NULL) THEN l.device END AS device,
                CASE WHEN l.person IN (SELECT person FROM rules WHERE person IS NOT NULL) THEN l.person END AS person
             FROM sim_links l
             WHERE (l.device IN (SELECT device FROM rules WHERE device IS NOT NULL)
                OR l.person IN (SELECT person FROM rules WHERE person IS NOT NULL))",
            $more
        )
    };
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

    /// The policy's generation.
    pub(crate) async fn generation(&mut self) -> Result<u64, StoreError> {
        let r = self.maybe("SELECT value FROM counters WHERE name = 'policy'", vec![]).await?;
        r.map(|r| r.uint("value")).transpose().map(Option::unwrap_or_default)
    }

    /// The device and the person of a SIM, where a rule names them.
    pub(crate) async fn named_links(
        &mut self,
        imsi: Imsi,
    ) -> Result<(Option<Name>, Option<Name>), StoreError> {
        self.maybe(named!(" AND l.imsi = $1"), args![imsi]).await?.map_or(Ok((None, None)), |r| named(&r))
    }

    /// True where a rule names this device or this person.
    pub(crate) async fn rules_name(
        &mut self,
        device: Option<&Name>,
        person: Option<&Name>,
    ) -> Result<bool, StoreError> {
        let sql = "SELECT 1 AS one FROM rules WHERE device = $1 OR person = $2 LIMIT 1";
        Ok(self.maybe(sql, args![device.map(Name::to_string), person.map(Name::to_string)]).await?.is_some())
    }

    /// Everything that a policy is made of, but for who is in which group.
    pub(crate) async fn documents(&mut self) -> Result<PolicySource, StoreError> {
        let mut source = PolicySource {
            generation: self.generation().await?,
            data_networks: all(self).await?,
            apps: all(self).await?,
            groups: all(self).await?,
            rules: all(self).await?,
            ues: Vec::new(),
            extras: self.extras().await?.map(|v| v.value).unwrap_or_default(),
            risk: self.risk_profile().await?.body,
        };
        source.in_order();
        Ok(source)
    }
}

impl PolicySource {
    /// Puts the rules in the order in which they are read.
    pub(crate) fn in_order(&mut self) {
        self.rules.sort_by(|a, b| (a.order, &a.name).cmp(&(b.order, &b.name)));
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
                tx.next_generation_by::<T>(&value.key(), based_on).await?;
                tx.note_step(&change, T::SQL.created, object::<T>(&value.key())).await?;
                tx.insert_kept(value, &change).await
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
                let old = tx.kept(&value.key(), expect).await?;
                tx.next_generation_by::<T>(&value.key(), based_on).await?;
                tx.note_step(&change, T::SQL.changed, object::<T>(&value.key())).await?;
                tx.replace_kept(&old, value, &change).await
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
                let old = tx.kept::<T>(&key, expect).await?;
                tx.next_generation_by::<T>(&key, based_on).await?;
                tx.note_step(&change, T::SQL.deleted, object::<T>(&key)).await?;
                tx.delete_kept(&old, &change).await
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
        let rows = self.db.rows(T::LIST, args![after.unwrap_or(""), limit + 1]).await?;
        let items = rows.iter().map(read::<T>).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(items, limit, |v| v.value.key()))
    }

    /// Everything that a policy is made of, as of one moment.
    pub async fn policy_source(&self) -> Result<PolicySource, StoreError> {
        let mut tx = self.db.snapshot().await?;
        let mut source = tx.documents().await?;
        let sql = "SELECT imsi, grp FROM sim_groups ORDER BY imsi, grp";
        for r in tx.rows(sql, vec![]).await? {
            let imsi = r.parse("imsi")?;
            if source.ues.last().is_none_or(|u| u.imsi != imsi) {
                source.ues.push(UeGroups { imsi, groups: Default::default(), device: None, person: None });
            }
            if let Some(ue) = source.ues.last_mut() {
                ue.groups.insert(r.parse("grp")?);
            }
        }
        let listed = source.ues.len();
        for r in tx.rows(named!(""), vec![]).await? {
            let imsi: Imsi = r.parse("imsi")?;
            let (device, person) = named(&r)?;
            let in_groups = source.ues.get_mut(..listed).unwrap_or_default();
            match in_groups.binary_search_by_key(&imsi, |u| u.imsi).ok().and_then(|at| in_groups.get_mut(at))
            {
                Some(ue) => (ue.device, ue.person) = (device, person),
                None => source.ues.push(UeGroups { imsi, groups: Default::default(), device, person }),
            }
        }
        source.ues.sort_by_key(|u| u.imsi);
        Ok(source)
    }
}

fn named(r: &Rec) -> Result<(Option<Name>, Option<Name>), StoreError> {
    let name = |column| r.maybe_text(column)?.map(|_| r.parse(column)).transpose();
    Ok((name("device")?, name("person")?))
}

async fn all<T: Document>(tx: &mut Tx) -> Result<Vec<T>, StoreError> {
    tx.rows(T::ALL, vec![]).await?.iter().map(|r| r.json("body")).collect()
}
