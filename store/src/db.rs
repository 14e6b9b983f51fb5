//! Two databases behind one face: pools, transactions, arguments and rows.
//!
//! Everything above writes a statement once, with `$1` and columns by name; the macros here expand the
//! few bodies that differ in type, once per database.

mod tx;
pub(crate) use tx::Tx;

use crate::error::StoreError;
use sqlx::{
    Column as _, PgPool, Postgres, Row as _, Sqlite, SqlitePool,
    postgres::{PgPoolOptions, PgRow},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous},
};
use std::{path::Path, str::FromStr, time::Duration};
use types::Utc;

/// The pools.
pub(crate) enum Db {
    /// SQLite: one connection writes, four read beside it (WAL).
    Sqlite { write: Connections, read: Connections },
    /// PostgreSQL.
    Pg(PgPool),
}

/// Connections to one SQLite database.
#[derive(Clone)]
pub(crate) struct Connections {
    pub(crate) pool: SqlitePool,
    /// False for a database in memory: it lives in its one connection and would be lost with it.
    renewable: bool,
}

/// A row of an answer; columns are asked for by name.
pub(crate) enum Rec {
    Sqlite(SqliteRow),
    Pg(PgRow),
}

/// An argument of a statement. Public only because a sealed trait names it.
#[derive(Debug, Clone)]
pub enum Arg {
    Text(Option<String>),
    Int(Option<i64>),
    Blob(Option<Vec<u8>>),
}

/// `args![imsi, version]`: the arguments `$1`, `$2`, ….
macro_rules! args {
    ($($a:expr),* $(,)?) => { vec![$($crate::db::Arg::from($a)),*] };
}
pub(crate) use args;

macro_rules! arg_from {
    ($($t:ty => $variant:ident($v:ident) $e:expr;)*) => {
        $(impl From<$t> for Arg { fn from($v: $t) -> Self { Self::$variant($e) } })*
    };
}

arg_from! {
    &str => Text(v) Some(v.to_owned());
    &String => Text(v) Some(v.clone());
    String => Text(v) Some(v);
    Option<String> => Text(v) v;
    types::Imsi => Text(v) Some(v.to_string());
    &types::Imsi => Text(v) Some(v.to_string());
    &types::Name => Text(v) Some(v.to_string());
    &types::Dnn => Text(v) Some(v.to_string());
    types::SimState => Text(v) Some(v.to_string());
    i64 => Int(v) Some(v);
    u64 => Int(v) Some(i64::try_from(v).unwrap_or(i64::MAX));
    u32 => Int(v) Some(i64::from(v));
    Option<i64> => Int(v) v;
    Utc => Int(v) Some(v.0);
    Option<Utc> => Int(v) v.map(|t| t.0);
    &[u8] => Blob(v) Some(v.to_vec());
    &Vec<u8> => Blob(v) Some(v.clone());
    Vec<u8> => Blob(v) Some(v);
    Option<Vec<u8>> => Blob(v) v;
}

/// A query of one database with its arguments bound.
macro_rules! bound {
    ($db:ty, $sql:expr, $args:expr) => {{
        let mut q = sqlx::query::<$db>($sql);
        for a in $args {
            q = match a {
                Arg::Text(v) => q.bind(v),
                Arg::Int(v) => q.bind(v),
                Arg::Blob(v) => q.bind(v),
            };
        }
        q
    }};
}
pub(crate) use bound;

impl Db {
    pub(crate) async fn open(url: &str) -> Result<Self, StoreError> {
        if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            let pool = PgPoolOptions::new()
                .max_connections(8)
                .acquire_timeout(Duration::from_secs(5))
                .connect(url)
                .await?;
            return Ok(Self::Pg(pool));
        }
        let Some(path) = url.strip_prefix("sqlite:") else {
            return Err(StoreError::Unavailable(
                "a store's url begins with sqlite: or postgres:, for example sqlite:/var/lib/sekisho/sekisho.db"
                    .to_owned(),
            ));
        };
        Self::open_sqlite(path.strip_prefix("//").unwrap_or(path)).await
    }

    /// Opens what is there, to read it only.
    pub(crate) async fn open_to_read(url: &str) -> Result<Self, StoreError> {
        let Some(path) = url.strip_prefix("sqlite:") else { return Self::open(url).await };
        let path = path.strip_prefix("//").unwrap_or(path);
        if let Err(e) = std::fs::File::open(path) {
            return Err(StoreError::Unavailable(format!("{path}: {}", e.kind())));
        }
        // Where writers left no log behind, the file is taken as it stands: its directory may be read-only.
        let alone = !Path::new(&format!("{path}-wal")).exists();
        let options =
            SqliteConnectOptions::new().filename(path).read_only(true).immutable(alone).foreign_keys(false);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
        let read = Connections { pool, renewable: true };
        Ok(Self::Sqlite { write: read.clone(), read })
    }

    async fn open_sqlite(path: &str) -> Result<Self, StoreError> {
        let memory = path == ":memory:";
        let options = SqliteConnectOptions::from_str(if memory { "sqlite::memory:" } else { "sqlite:" })?;
        let options = if memory {
            options
        } else {
            make_private(Path::new(path))?;
            options.filename(path).create_if_missing(true)
        };
        let options = options
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5))
            // Rows come from a thread of its own; with the usual 50 it sleeps between most of them in a long answer.
            .row_buffer_size(1024)
            // A destroyed key must not linger in a free page.
            .pragma("secure_delete", "ON");
        let pool = |n| {
            SqlitePoolOptions::new()
                .min_connections(1)
                .max_connections(n)
                .idle_timeout(None)
                .max_lifetime(None)
                // It is in this process: to ask whether it is there costs a trip to its thread.
                .test_before_acquire(false)
                .acquire_timeout(Duration::from_secs(5))
        };
        let write = Connections { pool: pool(1).connect_with(options.clone()).await?, renewable: !memory };
        let read = match memory {
            true => write.clone(),
            false => Connections { pool: pool(4).connect_with(options).await?, renewable: true },
        };
        Ok(Self::Sqlite { write, read })
    }

    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Sqlite { .. } => "sqlite",
            Self::Pg(_) => "postgres",
        }
    }

    /// Begins a transaction that will write.
    pub(crate) async fn begin(&self) -> Result<Tx, StoreError> {
        Ok(match self {
            // The write lock at once: a later upgrade could fail half way.
            Self::Sqlite { write, .. } => write.begin("BEGIN IMMEDIATE").await?,
            Self::Pg(p) => Tx::pg(p.begin().await?),
        })
    }

    /// Begins a transaction whose reads all see one moment.
    pub(crate) async fn snapshot(&self) -> Result<Tx, StoreError> {
        Ok(match self {
            Self::Sqlite { read, .. } => read.begin("BEGIN").await?,
            Self::Pg(p) => Tx::pg(p.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ").await?),
        })
    }

    /// Reads rows outside a transaction.
    pub(crate) async fn rows(&self, sql: &'static str, args: Vec<Arg>) -> Result<Vec<Rec>, StoreError> {
        Ok(match self {
            Self::Sqlite { read, .. } => {
                bound!(Sqlite, sql, args).fetch_all(&read.pool).await?.into_iter().map(Rec::Sqlite).collect()
            }
            Self::Pg(p) => bound!(Postgres, sql, args).fetch_all(p).await?.into_iter().map(Rec::Pg).collect(),
        })
    }

    /// Reads the first row, if there is one.
    pub(crate) async fn maybe(&self, sql: &'static str, args: Vec<Arg>) -> Result<Option<Rec>, StoreError> {
        Ok(self.rows(sql, args).await?.into_iter().next())
    }

    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { write, read } => {
                read.pool.close().await;
                write.pool.close().await;
            }
            Self::Pg(p) => p.close().await,
        }
    }
}

/// Makes the file with mode 0600 before SQLite would make it with the umask's.
pub(crate) fn make_private(path: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let made = std::fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path);
    made.map(|_| ()).map_err(|e| StoreError::Unavailable(format!("{}: {}", path.display(), e.kind())))
}

/// True where another connection to the same file may do better: this one was opened while the file could not be written
/// (SQLITE_READONLY).
fn is_of_the_connection(e: &sqlx::Error) -> bool {
    matches!(e, sqlx::Error::Database(d) if d.code().is_some_and(|c| c == "8" || c == "1032"))
}

impl Connections {
    async fn begin(&self, begin: &'static str) -> Result<Tx, sqlx::Error> {
        Ok(Tx::sqlite(self.pool.acquire().await?, self.clone(), begin))
    }
}

impl Rec {
    /// A column of text that may be absent.
    pub(crate) fn maybe_text(&self, c: &'static str) -> Result<Option<String>, StoreError> {
        Ok(match self {
            Self::Sqlite(r) => r.try_get(c)?,
            Self::Pg(r) => r.try_get(c)?,
        })
    }

    /// A column of whole numbers that may be absent.
    pub(crate) fn maybe_int(&self, c: &'static str) -> Result<Option<i64>, StoreError> {
        Ok(match self {
            Self::Sqlite(r) => r.try_get(c)?,
            Self::Pg(r) => r.try_get(c)?,
        })
    }

    /// A column of octets that may be absent.
    pub(crate) fn maybe_blob(&self, c: &'static str) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(match self {
            Self::Sqlite(r) => r.try_get(c)?,
            Self::Pg(r) => r.try_get(c)?,
        })
    }

    pub(crate) fn text(&self, c: &'static str) -> Result<String, StoreError> {
        self.maybe_text(c)?.ok_or(StoreError::Damaged { what: c })
    }

    pub(crate) fn int(&self, c: &'static str) -> Result<i64, StoreError> {
        self.maybe_int(c)?.ok_or(StoreError::Damaged { what: c })
    }

    pub(crate) fn uint(&self, c: &'static str) -> Result<u64, StoreError> {
        u64::try_from(self.int(c)?).map_err(|_| StoreError::Damaged { what: c })
    }

    pub(crate) fn blob(&self, c: &'static str) -> Result<Vec<u8>, StoreError> {
        self.maybe_blob(c)?.ok_or(StoreError::Damaged { what: c })
    }

    pub(crate) fn utc(&self, c: &'static str) -> Result<Utc, StoreError> {
        self.int(c).map(Utc)
    }

    /// A column of text in the canonical form of a type.
    pub(crate) fn parse<T: FromStr>(&self, c: &'static str) -> Result<T, StoreError> {
        self.text(c)?.parse().map_err(|_| StoreError::Damaged { what: c })
    }

    /// A column of JSON.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self, c: &'static str) -> Result<T, StoreError> {
        serde_json::from_str(&self.text(c)?).map_err(|_| StoreError::Damaged { what: c })
    }
}

impl std::fmt::Debug for Rec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Names only: a value may be a sealed key.
        let names: Vec<&str> = match self {
            Self::Sqlite(r) => r.columns().iter().map(|c| c.name()).collect(),
            Self::Pg(r) => r.columns().iter().map(|c| c.name()).collect(),
        };
        write!(f, "Rec{names:?}")
    }
}

/// JSON text of a value that always serialises (our own plain structs).
pub(crate) fn json_text<T: serde::Serialize>(v: &T) -> String {
    serde_json::to_string(v).unwrap_or_else(|_| "null".to_owned())
}
