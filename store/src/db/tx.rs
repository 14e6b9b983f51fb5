//! A transaction, of either database.
//!
//! SQLite answers from a thread of its own, and on a busy machine the way there and back costs more than the insert. So a
//! statement whose answer nobody needs can wait ([`Tx::later`]) and goes along with the next one: the transaction's
//! beginning with its first statement, its last statement with its end.

use super::{Arg, Connections, Rec, args, bound, is_of_the_connection};
use crate::error::StoreError;
use sqlx::{
    AssertSqlSafe, Postgres, SqlSafeStr as _, SqlStr, Sqlite, Transaction, pool::PoolConnection,
    sqlite::SqliteRow,
};

/// Statements that wait at most: SQLite takes 32 766 arguments at a time.
const WAITING: usize = 64;
/// Connections that are given up before a transaction is: more than a pool has.
const CONNECTIONS: usize = 8;

/// A statement with its arguments.
type Statement = (&'static str, Vec<Arg>);

/// An open transaction.
pub(crate) struct Tx {
    open: Open,
    waiting: Vec<Statement>,
    /// Nobody else's change is in it: what still waits at the end of the change may go along with the commit.
    pub(crate) alone: bool,
}

enum Open {
    Sqlite(Local),
    Pg(Transaction<'static, Postgres>),
}

/// A transaction of SQLite.
struct Local {
    /// `None` once it is given up or back.
    connection: Option<PoolConnection<Sqlite>>,
    of: Connections,
    /// True once the database may have heard of it.
    begun: bool,
    /// True once it is committed.
    ended: bool,
}

impl Local {
    fn connection(&mut self) -> Result<&mut PoolConnection<Sqlite>, sqlx::Error> {
        self.connection.as_mut().ok_or(sqlx::Error::PoolClosed)
    }

    /// Runs statements of which at most the last one gives rows. A connection that was opened while the file could not be
    /// written will never write: at the beginning it is given up for a new one, or a disk that is mended would leave us
    /// without a database for ever.
    async fn run(&mut self, all: Vec<Statement>) -> Result<Vec<SqliteRow>, sqlx::Error> {
        let (sql, args) = joined(all);
        if !std::mem::replace(&mut self.begun, true) && self.of.renewable {
            for _ in 0..CONNECTIONS {
                let query = bound!(Sqlite, sql.clone(), args.clone());
                match query.fetch_all(&mut **self.connection()?).await {
                    Err(e) if is_of_the_connection(&e) => {
                        tracing::warn!("a connection to the database is given up: {e}");
                        give_up(self.connection.take()).await;
                        self.connection = Some(self.of.pool.acquire().await?);
                    }
                    other => return other,
                }
            }
        }
        bound!(Sqlite, sql, args).fetch_all(&mut **self.connection()?).await
    }
}

impl Drop for Local {
    /// What was not committed is rolled back before anybody else gets the connection.
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take_if(|_| self.begun && !self.ended)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(roll_back(connection, self.of.renewable));
        }
    }
}

/// Where the disk fails, SQLite ends a transaction by itself. A connection that cannot say that there is none any more is
/// not used again.
async fn roll_back(mut connection: PoolConnection<Sqlite>, renewable: bool) {
    if sqlx::query("ROLLBACK").execute(&mut *connection).await.is_err() && renewable {
        give_up(Some(connection)).await;
    }
}

/// Whether it closes well says nothing that matters: it is not used again.
async fn give_up(connection: Option<PoolConnection<Sqlite>>) {
    if let Some(c) = connection {
        drop(c.close().await);
    }
}

impl Tx {
    /// `begin` goes along with the first statement.
    pub(crate) fn sqlite(connection: PoolConnection<Sqlite>, of: Connections, begin: &'static str) -> Self {
        let local = Local { connection: Some(connection), of, begun: false, ended: false };
        Self { open: Open::Sqlite(local), waiting: vec![(begin, vec![])], alone: false }
    }

    pub(crate) fn pg(t: Transaction<'static, Postgres>) -> Self {
        Self { open: Open::Pg(t), waiting: Vec::new(), alone: false }
    }

    /// Runs a statement; the number of rows it touched.
    pub(crate) async fn exec(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<u64, StoreError> {
        self.flush().await?;
        Ok(match &mut self.open {
            Open::Sqlite(l) => {
                let (sql, args) = joined(vec![(sql, args)]);
                bound!(Sqlite, sql, args).execute(&mut **l.connection()?).await?.rows_affected()
            }
            Open::Pg(t) => bound!(Postgres, sql, args).execute(&mut **t).await?.rows_affected(),
        })
    }

    /// Runs a statement not later than the next one that has an answer. If it fails, that one does.
    pub(crate) async fn later(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<(), StoreError> {
        if let Open::Pg(_) = self.open {
            return self.exec(sql, args).await.map(|_| ());
        }
        self.waiting.push((sql, args));
        if self.waiting.len() == WAITING { self.flush().await } else { Ok(()) }
    }

    /// Runs what waits.
    pub(crate) async fn flush(&mut self) -> Result<(), StoreError> {
        let waiting = std::mem::take(&mut self.waiting);
        if let Open::Sqlite(l) = &mut self.open
            && !waiting.is_empty()
        {
            l.run(waiting).await?;
        }
        Ok(())
    }

    /// What waits will not be done: what it belonged to has failed.
    pub(crate) fn forget(&mut self) {
        self.waiting.clear();
    }

    /// Reads rows.
    pub(crate) async fn rows(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<Vec<Rec>, StoreError> {
        Ok(match &mut self.open {
            Open::Sqlite(l) => {
                let mut all = std::mem::take(&mut self.waiting);
                all.push((sql, args));
                l.run(all).await?.into_iter().map(Rec::Sqlite).collect()
            }
            Open::Pg(t) => {
                bound!(Postgres, sql, args).fetch_all(&mut **t).await?.into_iter().map(Rec::Pg).collect()
            }
        })
    }

    /// Reads the first row, if there is one.
    pub(crate) async fn maybe(
        &mut self,
        sql: &'static str,
        args: Vec<Arg>,
    ) -> Result<Option<Rec>, StoreError> {
        Ok(self.rows(sql, args).await?.into_iter().next())
    }

    /// Reads the first row.
    pub(crate) async fn one(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<Rec, StoreError> {
        self.maybe(sql, args).await?.ok_or(StoreError::NotFound)
    }

    /// Runs a whole script (migrations).
    pub(crate) async fn script(&mut self, text: String) -> Result<(), StoreError> {
        self.flush().await?;
        let sql = sqlx::raw_sql(AssertSqlSafe(text));
        match &mut self.open {
            Open::Sqlite(l) => sql.execute(&mut **l.connection()?).await.map(|_| ())?,
            Open::Pg(t) => sql.execute(&mut **t).await.map(|_| ())?,
        }
        Ok(())
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        matches!(self.open, Open::Sqlite(_))
    }

    /// As [`Tx::count_up`], not later than the next statement with an answer: for who reads the counter in SQL.
    pub(crate) async fn count_up_later(&mut self, name: &'static str, n: u64) -> Result<(), StoreError> {
        let sql = "INSERT INTO counters (name, value) VALUES ($1, $2)
                   ON CONFLICT (name) DO UPDATE SET value = counters.value + $2";
        self.later(sql, args![name, n]).await
    }

    /// Adds `n` to a counter and returns its new value: the numbers of rows come from here, because the two
    /// databases do not share a word for identity columns. On PostgreSQL the row's lock also puts the writers
    /// of one sequence in line.
    pub(crate) async fn count_up(&mut self, name: &'static str, n: u64) -> Result<u64, StoreError> {
        let sql = "INSERT INTO counters (name, value) VALUES ($1, $2)
                   ON CONFLICT (name) DO UPDATE SET value = counters.value + $2 RETURNING value";
        self.one(sql, args![name, n]).await?.uint("value")
    }

    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        match self.open {
            Open::Sqlite(ref mut l) => {
                // Nothing was asked of it, so the database has not heard of it.
                if l.begun || self.waiting.len() > 1 {
                    self.waiting.push(("COMMIT", vec![]));
                    l.run(self.waiting).await?;
                }
                l.ended = true;
            }
            Open::Pg(t) => t.commit().await?,
        }
        Ok(())
    }
}

/// Arguments from which on it pays to leave their numbers out.
const MANY: usize = 16;

/// Statements as one text, whose arguments are numbered through. None of ours has a `$` that is no argument.
fn joined(mut all: Vec<Statement>) -> (SqlStr, Vec<Arg>) {
    if let [(sql, args)] = all.as_mut_slice() {
        let args = std::mem::take(args);
        let text = if args.len() < MANY { None } else { in_order(sql) };
        let sql = text.map_or(SqlStr::from_static(sql), |text| AssertSqlSafe(text).into_sql_str());
        return (sql, args);
    }
    let (mut text, mut together) = (String::new(), Vec::new());
    for (sql, args) in all {
        let mut pieces = sql.split('$');
        text += pieces.next().unwrap_or_default();
        for piece in pieces {
            let rest = piece.trim_start_matches(|c: char| c.is_ascii_digit());
            let number = piece.strip_suffix(rest).and_then(|n| n.parse::<usize>().ok()).unwrap_or(0);
            text += &format!("${}{rest}", number + together.len());
        }
        text += ";\n";
        together.extend(args);
    }
    if together.len() >= MANY {
        text = in_order(&text).unwrap_or(text);
    }
    (AssertSqlSafe(text).into_sql_str(), together)
}

/// The same text with `?` for its arguments, where they come as they are numbered, each once. SQLite looks for each number
/// among the names of all arguments: a statement of 64 rows would take most of its time to be bound.
fn in_order(sql: &str) -> Option<String> {
    let mut pieces = sql.split('$');
    let mut text = String::with_capacity(sql.len());
    text += pieces.next()?;
    for (n, piece) in (1..).zip(pieces) {
        let rest = piece.trim_start_matches(|c: char| c.is_ascii_digit());
        if piece.strip_suffix(rest)?.parse::<usize>() != Ok(n) {
            return None;
        }
        text.push('?');
        text += rest;
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statements_are_joined_and_their_arguments_numbered_through() {
        let all = vec![
            ("UPDATE a SET b = $2 WHERE c = $1", args!["x", 1u64]),
            ("SAVEPOINT s", args![]),
            ("SELECT d FROM e WHERE f = $1 AND g = $10", args!["y"]),
        ];
        let (sql, args) = joined(all);
        let text =
            "UPDATE a SET b = $2 WHERE c = $1;\nSAVEPOINT s;\nSELECT d FROM e WHERE f = $3 AND g = $12;\n";
        assert_eq!((sql.as_str(), args.len()), (text, 3));
        let (sql, args) = joined(vec![("SELECT $1", args!["z"])]);
        assert_eq!((sql.as_str(), args.len()), ("SELECT $1", 1));
    }

    #[test]
    fn arguments_that_come_in_order_lose_their_numbers() {
        assert_eq!(in_order("a ($1, $2), ($3, $4) b").as_deref(), Some("a (?, ?), (?, ?) b"));
        assert_eq!(in_order("no arguments").as_deref(), Some("no arguments"));
        for kept in ["$2 $1", "$1 $1", "$1 $3", "$ 1", "$1 $x"] {
            assert_eq!(in_order(kept), None, "{kept}");
        }
        let many = |sql| vec![(sql, vec![Arg::Int(None); MANY])];
        assert_eq!(joined(many("x $1, $2")).0.as_str(), "x ?, ?");
        assert_eq!(joined(many("x $1, $1")).0.as_str(), "x $1, $1");
        let two = [many("x $1"), vec![("y $1", vec![Arg::Int(None)])]].concat();
        assert_eq!(joined(two).0.as_str(), "x $1;\ny $17;\n");
    }
}
