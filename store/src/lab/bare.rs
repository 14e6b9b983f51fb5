//! The console's questions as plain SQL, over a connection of their own that only reads: what a bench lays beside the API.

use crate::{StoreError, sims::containing};
use sqlx::{Connection as _, Row as _, SqliteConnection, sqlite::SqliteConnectOptions};
use std::path::Path;

/// A question about SIMs.
#[derive(Debug, Clone, Copy)]
pub enum Question<'a> {
    /// The first so many by IMSI.
    First(u32),
    /// The first so many by label, the last letters first.
    ByLabel(u32),
    /// The first so many by when they were changed, the newest first.
    ByChange(u32),
    /// The first so many whose IMSI, card or label holds this.
    Text(&'a str, u32),
    /// Those of which this is a part of anything that people know of them, at most so many a kind.
    Anything(&'a str, u32),
}

/// The rows of SIMs alone.
const FIRST: &str = "SELECT * FROM sims ORDER BY imsi LIMIT $1";
const BY_LABEL: &str = "SELECT * FROM sims ORDER BY LOWER(label) DESC, imsi DESC LIMIT $1";
const BY_CHANGE: &str = "SELECT * FROM sims ORDER BY changed DESC, imsi DESC LIMIT $1";
const TEXT: &str = "SELECT * FROM sims WHERE imsi LIKE $2 ESCAPE '!' OR iccid LIKE $2 ESCAPE '!'
                    OR LOWER(label) LIKE LOWER($2) ESCAPE '!' ORDER BY imsi LIMIT $1";
/// What goes with the SIMs of a page.
const WITH: [&str; 3] = [
    "SELECT * FROM sim_groups WHERE imsi IN (SELECT value FROM json_each($1))",
    "SELECT * FROM sim_addresses WHERE imsi IN (SELECT value FROM json_each($1))",
    "SELECT * FROM sim_links WHERE imsi IN (SELECT value FROM json_each($1))",
];
/// By everything at once.
const ANYTHING: &str = "SELECT * FROM sims WHERE imsi IN (
    SELECT imsi FROM sims WHERE imsi LIKE $2 ESCAPE '!' OR iccid LIKE $2 ESCAPE '!' OR LOWER(label) LIKE $2 ESCAPE '!'
                             OR device LIKE $2 ESCAPE '!'
    UNION SELECT imsi FROM learned_devices WHERE device LIKE $2 ESCAPE '!'
    UNION SELECT imsi FROM sim_links WHERE device IN (SELECT id FROM devices WHERE search LIKE $2 ESCAPE '!')
    UNION SELECT imsi FROM sims WHERE device IN (SELECT imei FROM devices WHERE search LIKE $2 ESCAPE '!')
    UNION SELECT imsi FROM sim_links WHERE person IN (SELECT id FROM people WHERE search LIKE $2 ESCAPE '!')
    UNION SELECT l.imsi FROM sim_links l JOIN devices d ON d.id = l.device
          WHERE d.owner IN (SELECT id FROM people WHERE search LIKE $2 ESCAPE '!')
    UNION SELECT s.imsi FROM sims s JOIN devices d ON d.imei = s.device
          WHERE d.owner IN (SELECT id FROM people WHERE search LIKE $2 ESCAPE '!')) ORDER BY imsi LIMIT $1";

/// A connection that only reads.
pub struct Bare(SqliteConnection);

impl Bare {
    /// Opens the database of this file.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub async fn open(file: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new().filename(file).read_only(true);
        Ok(Self(SqliteConnection::connect_with(&options).await?))
    }

    /// Asks, reads every row to its end, and returns the IMSIs of the SIMs found.
    ///
    /// # Errors
    /// Of the database.
    pub async fn ask(&mut self, question: Question<'_>) -> Result<Vec<String>, StoreError> {
        let (sql, limit, text) = match question {
            Question::First(n) => (FIRST, n, None),
            Question::ByLabel(n) => (BY_LABEL, n, None),
            Question::ByChange(n) => (BY_CHANGE, n, None),
            Question::Text(t, n) => (TEXT, n, Some(containing(t))),
            Question::Anything(t, n) => (ANYTHING, n, Some(containing(&t.to_lowercase()))),
        };
        let mut query = sqlx::query(sql).bind(limit);
        if let Some(t) = text {
            query = query.bind(t);
        }
        let rows = query.fetch_all(&mut self.0).await?;
        let imsis = rows.iter().map(|r| r.try_get("imsi")).collect::<Result<Vec<String>, _>>()?;
        let list = format!("[\"{}\"]", imsis.join("\",\""));
        for sql in WITH {
            sqlx::query(sql).bind(&list).fetch_all(&mut self.0).await?;
        }
        Ok(imsis)
    }
}
