//! The rules that raise alerts and act, where they are not as shipped: one row. No part of the policy: they open nothing
//! and change no verdict.

use crate::{
    Store,
    audit::Change,
    db::{Tx, args, json_text},
    error::StoreError,
    kept::expect_version,
};
use types::AlertRules;

/// The alert rules, with their version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AlertRulesRow {
    /// They.
    pub rules: AlertRules,
    /// Rises with each change; 0 before the first, where they are as shipped.
    pub version: u64,
}

impl Tx {
    async fn alert_rules(&mut self) -> Result<AlertRulesRow, StoreError> {
        let row = self.maybe("SELECT body, version FROM alert_rules WHERE one = 1", vec![]).await?;
        Ok(match row {
            None => AlertRulesRow::default(),
            Some(r) => AlertRulesRow { rules: r.json("body")?, version: r.uint("version")? },
        })
    }
}

impl Store {
    /// The alert rules; the shipped ones where nobody has said otherwise.
    pub async fn alert_rules(&self) -> Result<AlertRulesRow, StoreError> {
        self.db.snapshot().await?.alert_rules().await
    }

    /// Replaces them, whole. `expect` is the version that the caller saw.
    pub async fn set_alert_rules(
        &self,
        rules: AlertRules,
        expect: Option<u64>,
        change: &Change,
    ) -> Result<AlertRulesRow, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let old = tx.alert_rules().await?;
                expect_version(expect, old.version)?;
                let sql = "INSERT INTO alert_rules (one, body, version, changed) VALUES (1, $1, 1, $2)
                           ON CONFLICT (one) DO UPDATE SET body = $1, version = alert_rules.version + 1, changed = $2";
                tx.exec(sql, args![json_text(&rules), change.at]).await?;
                let told = |r: &AlertRules| serde_json::to_value(r).ok();
                let object = "alerts:rules".to_owned();
                tx.record(&change, "alert-rules.change", object, told(&old.rules), told(&rules)).await?;
                tx.alert_rules().await
            })
        })
        .await
    }
}
