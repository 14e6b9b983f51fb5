//! Things that are kept by name and in versions: how each is written, replaced, deleted and read. What is asked before
//! (the policy's generation, whether a name is free) is the affair of [`crate::Document`] and [`crate::Entity`].

use crate::{
    audit::Change,
    db::{Arg, Rec, Tx, args, json_text},
    error::StoreError,
};
use serde::{Serialize, de::DeserializeOwned};
use types::Utc;

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

/// The statements and audit words of one kind.
#[doc(hidden)]
pub struct Statements {
    pub(crate) insert: &'static str,
    pub(crate) update: &'static str,
    pub(crate) delete: &'static str,
    pub(crate) get: &'static str,
    pub(crate) created: &'static str,
    pub(crate) changed: &'static str,
    pub(crate) deleted: &'static str,
}

/// A kind of thing that is kept by name.
pub trait Named: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    /// The word for it in audit rows: `app`, `person`, ….
    const KIND: &'static str;
    #[doc(hidden)]
    const SQL: Statements;
    /// Its name.
    fn key(&self) -> String;
    /// Columns beside the body: what `$4`, `$5`, … stand for.
    #[doc(hidden)]
    fn extra(&self) -> Vec<Arg>;
}

/// The [`Statements`] of a table whose name's column is `$name`; `columns`, `values` and `set` are those beside the
/// body, with a comma before each.
macro_rules! statements {
    ($kind:literal, $table:literal, $name:literal, columns: $cols:literal, values: $vals:literal, set: $set:literal) => {
        $crate::kept::Statements {
            insert: concat!(
                "INSERT INTO ",
                $table,
                " (",
                $name,
                ", body, version, created, changed",
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
                " WHERE ",
                $name,
                " = $1 RETURNING version"
            ),
            delete: concat!("DELETE FROM ", $table, " WHERE ", $name, " = $1"),
            get: concat!("SELECT * FROM ", $table, " WHERE ", $name, " = $1"),
            created: concat!($kind, ".create"),
            changed: concat!($kind, ".change"),
            deleted: concat!($kind, ".delete"),
        }
    };
}
pub(crate) use statements;

/// Reads a row.
pub(crate) fn read<T: Named>(r: &Rec) -> Result<Versioned<T>, StoreError> {
    Ok(Versioned {
        value: r.json("body")?,
        version: r.uint("version")?,
        created: r.utc("created")?,
        changed: r.utc("changed")?,
    })
}

/// Optimistic concurrency: what the caller saw must be what is there.
pub(crate) fn expect_version(expect: Option<u64>, current: u64) -> Result<(), StoreError> {
    match expect {
        Some(v) if v != current => Err(StoreError::VersionMismatch { current }),
        _ => Ok(()),
    }
}

fn as_json<T: Serialize>(v: &T) -> Option<serde_json::Value> {
    serde_json::to_value(v).ok()
}

/// The thing's name in the audit.
pub(crate) fn object<T: Named>(key: &str) -> String {
    format!("{}:{key}", T::KIND)
}

fn columns<T: Named>(value: &T, at: Utc) -> Vec<Arg> {
    let mut a = args![value.key(), json_text(value), at];
    a.extend(value.extra());
    a
}

impl Tx {
    /// Writes a new thing.
    pub(crate) async fn insert_kept<T: Named>(
        &mut self,
        value: T,
        change: &Change,
    ) -> Result<Versioned<T>, StoreError> {
        self.exec(T::SQL.insert, columns(&value, change.at)).await?;
        self.record(change, T::SQL.created, object::<T>(&value.key()), None, as_json(&value)).await?;
        Ok(Versioned { value, version: 1, created: change.at, changed: change.at })
    }

    /// The thing as it is; `expect` is the version that the caller saw, `None` is any.
    pub(crate) async fn kept<T: Named>(
        &mut self,
        key: &str,
        expect: Option<u64>,
    ) -> Result<Versioned<T>, StoreError> {
        let old = read(&self.one(T::SQL.get, args![key]).await?)?;
        expect_version(expect, old.version)?;
        Ok(old)
    }

    /// Writes `value` in the place of `old`.
    pub(crate) async fn replace_kept<T: Named>(
        &mut self,
        old: &Versioned<T>,
        value: T,
        change: &Change,
    ) -> Result<Versioned<T>, StoreError> {
        let version = self.one(T::SQL.update, columns(&value, change.at)).await?.uint("version")?;
        let (before, after) = (as_json(&old.value), as_json(&value));
        self.record(change, T::SQL.changed, object::<T>(&value.key()), before, after).await?;
        Ok(Versioned { value, version, created: old.created, changed: change.at })
    }

    /// Deletes a thing.
    pub(crate) async fn delete_kept<T: Named>(
        &mut self,
        old: &Versioned<T>,
        change: &Change,
    ) -> Result<(), StoreError> {
        let key = old.value.key();
        self.exec(T::SQL.delete, args![&key]).await?;
        self.record(change, T::SQL.deleted, object::<T>(&key), as_json(&old.value), None).await
    }
}
