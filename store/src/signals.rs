//! Sources of facts: what they are, their sealed secrets, how they do, and what was taken from them once.

use crate::{
    Store,
    audit::Change,
    db::{Arg, Rec, Tx, args},
    error::{Clash, StoreError},
    kept::{Named, Statements, Versioned, read, statements},
};
use types::{Name, SignalSource, Utc};

impl Named for SignalSource {
    const KIND: &'static str = "signal-source";
    const SQL: Statements =
        statements!("signal-source", "signal_sources", "name", columns: "", values: "", set: "");
    fn key(&self) -> String {
        self.name.to_string()
    }
    fn extra(&self) -> Vec<Arg> {
        vec![]
    }
}

/// How a source does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceHealth {
    /// When it last told something that was taken.
    pub last_ok: Option<Utc>,
    /// When something of it was last refused, or it did not answer.
    pub last_bad: Option<Utc>,
    /// Why.
    pub error: Option<String>,
    /// How much of it was taken.
    pub accepted: u64,
    /// How much of it was refused.
    pub refused: u64,
}

impl SourceHealth {
    fn read(r: &Rec) -> Result<Self, StoreError> {
        Ok(Self {
            last_ok: r.maybe_int("last_ok")?.map(Utc),
            last_bad: r.maybe_int("last_bad")?.map(Utc),
            error: r.maybe_text("error")?,
            accepted: r.maybe_int("accepted")?.and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
            refused: r.maybe_int("refused")?.and_then(|n| u64::try_from(n).ok()).unwrap_or(0),
        })
    }
}

/// A source and how it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRow {
    /// The source.
    pub source: Versioned<SignalSource>,
    /// How it does.
    pub health: SourceHealth,
}

impl SourceRow {
    fn read(r: &Rec) -> Result<Self, StoreError> {
        Ok(Self { source: read(r)?, health: SourceHealth::read(r)? })
    }
}

/// What `SourceRow::read` wants.
const ROWS: &str = "SELECT s.*, h.last_ok, h.last_bad, h.error, h.accepted, h.refused FROM signal_sources s
                    LEFT JOIN signal_health h ON h.source = s.name ORDER BY s.name";

impl Tx {
    async fn seal_source(&mut self, name: &Name, sealed: Vec<u8>) -> Result<(), StoreError> {
        let sql = "INSERT INTO signal_health (source, sealed, accepted, refused) VALUES ($1, $2, 0, 0)
                   ON CONFLICT (source) DO UPDATE SET sealed = $2";
        self.exec(sql, args![name, sealed]).await.map(drop)
    }

    /// Takes a word of a source once: false where it was taken before. Old ones go.
    pub(crate) async fn take_word(
        &mut self,
        source: &Name,
        word: &str,
        expires: Utc,
        now: Utc,
    ) -> Result<bool, StoreError> {
        self.exec("DELETE FROM signal_seen WHERE expires <= $1", args![now]).await?;
        let sql = "INSERT INTO signal_seen (source, word, expires) VALUES ($1, $2, $3)
                   ON CONFLICT (source, word) DO NOTHING";
        Ok(self.exec(sql, args![source, word, expires]).await? == 1)
    }
}

impl Store {
    /// Every source by its name.
    pub async fn signal_sources(&self) -> Result<Vec<SourceRow>, StoreError> {
        self.db.rows(ROWS, vec![]).await?.iter().map(SourceRow::read).collect()
    }

    /// One source.
    pub async fn signal_source(&self, name: &Name) -> Result<SourceRow, StoreError> {
        // There are few of them.
        let all = self.signal_sources().await?;
        all.into_iter().find(|s| s.source.value.name == *name).ok_or(StoreError::NotFound)
    }

    /// A source's sealed secret.
    pub async fn source_secret(&self, name: &Name) -> Result<Option<Vec<u8>>, StoreError> {
        let r = self.db.maybe("SELECT sealed FROM signal_health WHERE source = $1", args![name]).await?;
        r.map_or(Ok(None), |r| r.maybe_blob("sealed"))
    }

    /// Makes a source.
    pub async fn create_source(
        &self,
        source: SignalSource,
        sealed: Option<Vec<u8>>,
        change: &Change,
    ) -> Result<Versioned<SignalSource>, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                if tx.maybe(SignalSource::SQL.get, args![&source.name]).await?.is_some() {
                    return Err(StoreError::Conflict { what: Clash::Name });
                }
                let name = source.name.clone();
                let made = tx.insert_kept(source, &change).await?;
                if let Some(sealed) = sealed {
                    tx.seal_source(&name, sealed).await?;
                }
                Ok(made)
            })
        })
        .await
    }

    /// Replaces a source; its secret stays. `expect` is the version that the caller saw.
    pub async fn replace_source(
        &self,
        source: SignalSource,
        expect: Option<u64>,
        change: &Change,
    ) -> Result<Versioned<SignalSource>, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let old = tx.kept(&source.key(), expect).await?;
                tx.replace_kept(&old, source, &change).await
            })
        })
        .await
    }

    /// Gives a source another secret; the old one counts no longer.
    pub async fn set_source_secret(
        &self,
        name: &Name,
        sealed: Vec<u8>,
        change: &Change,
    ) -> Result<(), StoreError> {
        let (change, name) = (change.clone(), name.clone());
        self.write(move |tx| {
            Box::pin(async move {
                tx.one(SignalSource::SQL.get, args![&name]).await?;
                tx.seal_source(&name, sealed).await?;
                tx.record(&change, "signal-source.secret", format!("signal-source:{name}"), None, None).await
            })
        })
        .await
    }

    /// Deletes a source; what it told stays until it is too old.
    pub async fn delete_source(
        &self,
        name: &Name,
        expect: Option<u64>,
        change: &Change,
    ) -> Result<(), StoreError> {
        let (change, name) = (change.clone(), name.clone());
        self.write(move |tx| {
            Box::pin(async move {
                let old = tx.kept::<SignalSource>(&name.to_string(), expect).await?;
                tx.delete_kept(&old, &change).await
            })
        })
        .await
    }

    /// Notes how a source did since the last note.
    pub async fn source_did(&self, name: &Name, did: SourceHealth) -> Result<(), StoreError> {
        let name = name.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "INSERT INTO signal_health (source, last_ok, last_bad, error, accepted, refused)
                           SELECT name, $2, $3, $4, $5, $6 FROM signal_sources WHERE name = $1
                           ON CONFLICT (source) DO UPDATE SET
                             last_ok = COALESCE(excluded.last_ok, signal_health.last_ok),
                             last_bad = COALESCE(excluded.last_bad, signal_health.last_bad),
                             error = COALESCE(excluded.error, signal_health.error),
                             accepted = signal_health.accepted + excluded.accepted,
                             refused = signal_health.refused + excluded.refused";
                let a = args![&name, did.last_ok, did.last_bad, did.error, did.accepted, did.refused];
                tx.exec(sql, a).await.map(drop)
            })
        })
        .await
    }

    /// True where a word of a source was taken before.
    pub async fn was_taken(&self, source: &Name, word: &str) -> Result<bool, StoreError> {
        let sql = "SELECT expires FROM signal_seen WHERE source = $1 AND word = $2";
        Ok(self.db.maybe(sql, args![source, word]).await?.is_some())
    }

    /// Takes a word of a source once: false where it was taken before, this program's life or an earlier one.
    pub async fn take_word_once(
        &self,
        source: &Name,
        word: &str,
        expires: Utc,
        now: Utc,
    ) -> Result<bool, StoreError> {
        let (source, word) = (source.clone(), word.to_owned());
        self.write(move |tx| Box::pin(async move { tx.take_word(&source, &word, expires, now).await })).await
    }
}
