//! Keys of the home network for concealed identities (TS 33.501 Annex C). The private half is sealed before it comes here,
//! and no audit row has it.

use crate::{
    Store,
    audit::Change,
    db::{Rec, Tx, args},
    error::{Clash, StoreError},
    kept::expect_version,
};
use types::{SuciProfile, Utc};

/// A key pair as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HomeKeyRow {
    /// Home network public key identifier, 1–254.
    pub id: u8,
    /// Its profile.
    pub profile: SuciProfile,
    /// The public key: 32 octets, or 33 of a compressed point.
    pub public: Vec<u8>,
    /// The sealed private key.
    pub sealed: Vec<u8>,
    /// From when on no identity is opened with it; none for as long as it is there.
    pub accepted_until: Option<Utc>,
    /// Rises with each change; 1 at first.
    pub version: u64,
    /// When it was made.
    pub created: Utc,
    /// When it was last changed.
    pub changed: Utc,
}

impl HomeKeyRow {
    fn read(r: &Rec) -> Result<Self, StoreError> {
        Ok(Self {
            id: u8::try_from(r.uint("id")?).map_err(|_| StoreError::Damaged { what: "id" })?,
            profile: r.parse("profile")?,
            public: r.blob("public")?,
            sealed: r.blob("sealed")?,
            accepted_until: r.maybe_int("accepted_until")?.map(Utc),
            version: r.uint("version")?,
            created: r.utc("created")?,
            changed: r.utc("changed")?,
        })
    }

    fn for_audit(&self) -> Option<serde_json::Value> {
        Some(serde_json::json!({
            "profile": self.profile, "public_key": types::hex(&self.public), "accepted_until": self.accepted_until,
        }))
    }
}

fn object(id: u8) -> String {
    format!("home-network-key:{id}")
}

impl Tx {
    async fn home_key(&mut self, id: u8, expect: Option<u64>) -> Result<HomeKeyRow, StoreError> {
        let sql = "SELECT * FROM home_keys WHERE id = $1";
        let row = self.maybe(sql, args![u64::from(id)]).await?.ok_or(StoreError::NotFound)?;
        let row = HomeKeyRow::read(&row)?;
        expect_version(expect, row.version)?;
        Ok(row)
    }
}

impl Store {
    /// All of them, by id.
    pub async fn home_keys(&self) -> Result<Vec<HomeKeyRow>, StoreError> {
        let rows = self.db.rows("SELECT * FROM home_keys ORDER BY id", vec![]).await?;
        rows.iter().map(HomeKeyRow::read).collect()
    }

    /// Stores a new one. A [`Clash::Name`] where its id is taken.
    pub async fn add_home_key(&self, row: HomeKeyRow, change: &Change) -> Result<HomeKeyRow, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "INSERT INTO home_keys (id, profile, public, sealed, accepted_until, version, created, changed)
                           VALUES ($1, $2, $3, $4, $5, 1, $6, $6) ON CONFLICT (id) DO NOTHING";
                let (public, sealed) = (row.public.clone(), row.sealed.clone());
                let until = row.accepted_until.map(|t| t.0);
                let a = args![u64::from(row.id), row.profile.as_str(), public, sealed, until, change.at];
                if tx.exec(sql, a).await? != 1 {
                    return Err(StoreError::Conflict { what: Clash::Name });
                }
                let row = tx.home_key(row.id, None).await?;
                let object = object(row.id);
                tx.record(&change, "home-network-key.create", object, None, row.for_audit()).await?;
                Ok(row)
            })
        })
        .await
    }

    /// Says until when identities are opened with one. `expect` is the version that the caller saw; `None` is any.
    pub async fn accept_home_key(
        &self,
        id: u8,
        until: Option<Utc>,
        expect: Option<u64>,
        change: &Change,
    ) -> Result<HomeKeyRow, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let old = tx.home_key(id, expect).await?;
                let sql = "UPDATE home_keys SET accepted_until = $2, version = version + 1, changed = $3 WHERE id = $1";
                tx.exec(sql, args![u64::from(id), until.map(|t| t.0), change.at]).await?;
                let row = tx.home_key(id, None).await?;
                let (before, after) = (old.for_audit(), row.for_audit());
                tx.record(&change, "home-network-key.change", object(id), before, after).await?;
                Ok(row)
            })
        })
        .await
    }

    /// Removes one with its private key.
    pub async fn delete_home_key(
        &self,
        id: u8,
        expect: Option<u64>,
        change: &Change,
    ) -> Result<(), StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let old = tx.home_key(id, expect).await?;
                tx.exec("DELETE FROM home_keys WHERE id = $1", args![u64::from(id)]).await?;
                tx.record(&change, "home-network-key.delete", object(id), old.for_audit(), None).await
            })
        })
        .await
    }
}
