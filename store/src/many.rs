//! Many rows in one statement: inserts and updates of several rows, and look-ups of a set of keys.
//!
//! A statement's text depends on how many rows it has. Only a few sizes are used, so that each text is prepared once
//! per connection and then found again.

use crate::{
    db::{Arg, Rec, Tx},
    error::StoreError,
};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Mutex, PoisonError},
};

/// Rows in one insert.
const ROWS: [usize; 3] = [64, 8, 1];
/// Keys in one look-up; the last key fills the places that are left.
const KEYS: [usize; 2] = [16, 250];
/// Rows in one update; the last row fills the places that are left.
const UPDATES: [usize; 4] = [1, 16, 64, 256];

/// The text of a statement that begins with `head`, goes on with `rows` lists of `columns` places and ends with `tail`.
///
/// Each text is made once and kept for ever; there are as many as heads and sizes in this room.
fn text(head: &'static str, rows: usize, columns: usize, set: bool, tail: &'static str) -> &'static str {
    static TEXTS: Mutex<BTreeMap<(&str, usize), &'static str>> = Mutex::new(BTreeMap::new());
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    texts.entry((head, rows)).or_insert_with(|| {
        let mut sql = head.to_owned();
        for r in 0..rows {
            if !set || r == 0 {
                sql.push_str(if r == 0 { " (" } else { ", (" });
            } else {
                sql.push_str(", ");
            }
            for c in 0..columns {
                let glue = if c == 0 { "" } else { ", " };
                let _ = write!(sql, "{glue}${}", r * columns + c + 1);
            }
            if !set || r + 1 == rows {
                sql.push(')');
            }
        }
        sql.push_str(tail);
        Box::leak(sql.into_boxed_str())
    })
}

impl Tx {
    /// Inserts rows. `head` is the statement up to and with `VALUES`.
    pub(crate) async fn insert_many(
        &mut self,
        head: &'static str,
        rows: Vec<Vec<Arg>>,
    ) -> Result<(), StoreError> {
        let mut rows = rows.into_iter();
        while let Some(columns) = rows.as_slice().first().map(Vec::len) {
            let left = rows.len();
            let size = ROWS.into_iter().find(|n| *n <= left).unwrap_or(1);
            let args: Vec<Arg> = rows.by_ref().take(size).flatten().collect();
            self.exec(text(head, size, columns, false, ""), args).await?;
        }
        Ok(())
    }

    /// Changes rows, not later than the next statement that has an answer. The statement is `head`, a list of the rows with
    /// the columns `column1`, `column2`, …, and `tail`; no two rows are about the same thing.
    pub(crate) async fn update_many(
        &mut self,
        head: &'static str,
        rows: Vec<Vec<Arg>>,
        tail: &'static str,
    ) -> Result<(), StoreError> {
        for some in rows.chunks(UPDATES[3]) {
            let Some(last) = some.last() else { continue };
            let size = UPDATES.into_iter().find(|n| *n >= some.len()).unwrap_or(UPDATES[3]);
            let filled = some.iter().chain(std::iter::repeat(last)).take(size).flatten().cloned();
            self.later(text(head, size, last.len(), false, tail), filled.collect()).await?;
        }
        Ok(())
    }

    /// Reads the rows of a set of keys. `head` is the statement up to and with `IN`.
    pub(crate) async fn rows_in(
        &mut self,
        head: &'static str,
        keys: Vec<Arg>,
    ) -> Result<Vec<Rec>, StoreError> {
        let mut found = Vec::new();
        for (size, args) in sets(keys) {
            found.extend(self.rows(text(head, size, 1, true, ""), args).await?);
        }
        Ok(found)
    }

    /// Runs a statement for a set of keys; the number of rows that it touched.
    pub(crate) async fn exec_in(&mut self, head: &'static str, keys: Vec<Arg>) -> Result<u64, StoreError> {
        let mut touched = 0;
        for (size, args) in sets(keys) {
            touched += self.exec(text(head, size, 1, true, ""), args).await?;
        }
        Ok(touched)
    }
}

/// Keys in sets of the sizes that have a statement.
fn sets(keys: Vec<Arg>) -> Vec<(usize, Vec<Arg>)> {
    let [small, large] = KEYS;
    keys.chunks(large)
        .map(|piece| {
            let size = if piece.len() <= small { small } else { large };
            let mut piece = piece.to_vec();
            while let (true, Some(last)) = (piece.len() < size, piece.last().cloned()) {
                piece.push(last);
            }
            (size, piece)
        })
        .collect()
}
