//! A transaction, of either database.
//!
//! SQLite answers from a thread of its own, and on a busy machine the way there and back costs more than the insert. So a
//! statement whose answer nobody needs can wait ([`Tx::later`]) and goes along with the next one.

use super::{Arg, Rec, args, bound};
use crate::error::StoreError;
use sqlx::{AssertSqlSafe, Postgres, SqlSafeStr as _, SqlStr, Sqlite, Transaction};

/// Statements that wait at most: SQLite takes 32 766 arguments at a time.
const WAITING: usize = 64;

/// An open transaction.
pub(crate) struct Tx {
    open: Open,
    waiting: Vec<(&'static str, Vec<Arg>)>,
}

enum Open {
    Sqlite(Transaction<'static, Sqlite>),
    Pg(Transaction<'static, Postgres>),
}

impl Tx {
    pub(crate) fn sqlite(t: Transaction<'static, Sqlite>) -> Self {
        Self { open: Open::Sqlite(t), waiting: Vec::new() }
    }

    pub(crate) fn pg(t: Transaction<'static, Postgres>) -> Self {
        Self { open: Open::Pg(t), waiting: Vec::new() }
    }

    /// Runs a statement; the number of rows it touched.
    pub(crate) async fn exec(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<u64, StoreError> {
        self.flush().await?;
        Ok(match &mut self.open {
            Open::Sqlite(t) => bound!(Sqlite, sql, args).execute(&mut **t).await?.rows_affected(),
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
        if let Open::Sqlite(t) = &mut self.open
            && !waiting.is_empty()
        {
            let (sql, args) = joined(waiting);
            bound!(Sqlite, sql, args).execute(&mut **t).await?;
        }
        Ok(())
    }

    /// What waits will not be done: what it belonged to has failed.
    pub(crate) fn forget(&mut self) {
        self.waiting.clear();
    }

    /// Reads rows.
    pub(crate) async fn rows(&mut self, sql: &'static str, args: Vec<Arg>) -> Result<Vec<Rec>, StoreError> {
        // The others give no rows.
        let mut all = std::mem::take(&mut self.waiting);
        all.push((sql, args));
        let (sql, args) = joined(all);
        Ok(match &mut self.open {
            Open::Sqlite(t) => {
                bound!(Sqlite, sql, args).fetch_all(&mut **t).await?.into_iter().map(Rec::Sqlite).collect()
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
            Open::Sqlite(t) => sql.execute(&mut **t).await.map(|_| ())?,
            Open::Pg(t) => sql.execute(&mut **t).await.map(|_| ())?,
        }
        Ok(())
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        matches!(self.open, Open::Sqlite(_))
    }

    /// Adds `n` to a counter and returns its new value: the numbers of rows come from here, because the two
    /// databases do not share a word for identity columns. On PostgreSQL the row's lock also puts the writers
    /// of one sequence in line.
    pub(crate) async fn count_up(&mut self, name: &'static str, n: u64) -> Result<u64, StoreError> {
        let sql = "INSERT INTO counters (name, value) VALUES ($1, $2)
                   ON CONFLICT (name) DO UPDATE SET value = counters.value + $2 RETURNING value";
        self.one(sql, args![name, n]).await?.uint("value")
    }

    /// Adds `n` to two counters.
    pub(crate) async fn count_up_both(
        &mut self,
        names: [&'static str; 2],
        n: u64,
    ) -> Result<[u64; 2], StoreError> {
        let sql = "INSERT INTO counters (name, value) VALUES ($1, $3), ($2, $3)
                   ON CONFLICT (name) DO UPDATE SET value = counters.value + $3 RETURNING name, value";
        let rows = self.rows(sql, args![names[0], names[1], n]).await?;
        let mut values = [0; 2];
        for r in &rows {
            let name = r.text("name")?;
            for (v, _) in values.iter_mut().zip(names).filter(|(_, n)| *n == name) {
                *v = r.uint("value")?;
            }
        }
        Ok(values)
    }

    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        self.flush().await?;
        match self.open {
            Open::Sqlite(t) => t.commit().await?,
            Open::Pg(t) => t.commit().await?,
        }
        Ok(())
    }
}

/// Statements as one text, whose arguments are numbered through. None of ours has a `$` that is no argument.
fn joined(mut all: Vec<(&'static str, Vec<Arg>)>) -> (SqlStr, Vec<Arg>) {
    if let [(sql, args)] = all.as_mut_slice() {
        return (SqlStr::from_static(sql), std::mem::take(args));
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
    (AssertSqlSafe(text).into_sql_str(), together)
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
}
