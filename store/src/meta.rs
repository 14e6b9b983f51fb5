//! Settings and heads: small values by name, such as the head of the revocation journal that `control` last saw.

use crate::{
    Store,
    db::{Tx, args},
    error::StoreError,
};

impl Tx {
    /// The value of a setting.
    pub(crate) async fn meta(&mut self, key: &str) -> Result<Option<String>, StoreError> {
        let r = self.maybe("SELECT value FROM meta WHERE key = $1", args![key]).await?;
        r.map(|r| r.text("value")).transpose()
    }

    /// Sets a setting.
    pub(crate) async fn put_meta(&mut self, key: &'static str, value: String) -> Result<(), StoreError> {
        let sql = "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = $2";
        self.exec(sql, args![key, value]).await.map(|_| ())
    }
}

impl Store {
    /// The value of a setting.
    pub async fn meta(&self, key: &str) -> Result<Option<String>, StoreError> {
        let r = self.db.maybe("SELECT value FROM meta WHERE key = $1", args![key]).await?;
        r.map(|r| r.text("value")).transpose()
    }

    /// Sets a setting.
    pub async fn set_meta(&self, key: &'static str, value: String) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(tx.put_meta(key, value))).await
    }

    /// The generation of the policy that is stored: it rises with every change of a data network, app, group,
    /// rule or a SIM's groups.
    pub async fn policy_generation(&self) -> Result<u64, StoreError> {
        let r = self.db.maybe("SELECT value FROM counters WHERE name = 'policy'", vec![]).await?;
        r.map(|r| r.uint("value")).transpose().map(Option::unwrap_or_default)
    }
}
