//! Tables brought up to date, forward only.
//!
//! One text serves both databases: PostgreSQL spells BLOB as BYTEA. A step that was applied is never edited;
//! its digest is kept and compared.

use crate::{
    db::{Db, Tx, args},
    error::StoreError,
};
use sha2::{Digest as _, Sha256};

/// Every step, in order.
const STEPS: &[(u64, &str)] = &[
    (1, include_str!("../migrations/0001_first.sql")),
    (2, include_str!("../migrations/0002_directory.sql")),
    (3, include_str!("../migrations/0003_life.sql")),
    (4, include_str!("../migrations/0004_revocations.sql")),
    (5, include_str!("../migrations/0005_audit.sql")),
    (6, include_str!("../migrations/0006_equipment.sql")),
    (7, include_str!("../migrations/0007_unban_devices.sql")),
    (8, include_str!("../migrations/0008_first_password.sql")),
    (9, include_str!("../migrations/0009_provider.sql")),
    (10, include_str!("../migrations/0010_passkeys.sql")),
    (11, include_str!("../migrations/0011_lists.sql")),
    (12, include_str!("../migrations/0012_policy_changes.sql")),
    (14, include_str!("../migrations/0014_home_keys.sql")),
    (15, include_str!("../migrations/0015_routes.sql")),
    (16, include_str!("../migrations/0016_serving_mmes.sql")),
    (17, include_str!("../migrations/0017_gx_sessions.sql")),
    (18, include_str!("../migrations/0018_facts.sql")),
    (19, include_str!("../migrations/0019_grants.sql")),
    (20, include_str!("../migrations/0020_policy_text.sql")),
    (21, include_str!("../migrations/0021_scim.sql")),
    (22, include_str!("../migrations/0022_proofs.sql")),
    (23, include_str!("../migrations/0023_foreign_leases.sql")),
    (24, include_str!("../migrations/0024_mme_updates.sql")),
    (25, include_str!("../migrations/0025_mme_cancellations.sql")),
    (26, include_str!("../migrations/0026_alert_rules.sql")),
    (27, include_str!("../migrations/0027_gx_places.sql")),
];

const MADE: &str = "CREATE TABLE IF NOT EXISTS schema_steps (
    step BIGINT PRIMARY KEY, digest BLOB NOT NULL)";

/// Applies the steps that are missing, each in a transaction of its own.
pub(crate) async fn run(db: &Db) -> Result<(), StoreError> {
    let mut tx = db.begin().await?;
    let made = spelled(&tx, MADE);
    tx.script(made).await?;
    let mut done = Vec::new();
    for r in tx.rows("SELECT step, digest FROM schema_steps ORDER BY step", vec![]).await? {
        done.push((r.uint("step")?, r.blob("digest")?));
    }
    tx.commit().await?;

    let newest = STEPS.last().map_or(0, |(step, _)| *step);
    if done.last().is_some_and(|(last, _)| *last > newest) {
        return Err(StoreError::Unavailable(
            "this database was made by a newer sekisho; migrations go forward only, so run that version"
                .to_owned(),
        ));
    }
    for (step, text) in STEPS {
        let digest = Sha256::digest(text.as_bytes()).to_vec();
        match done.iter().find(|(s, _)| s == step) {
            Some((_, d)) if *d == digest => continue,
            Some(_) => {
                return Err(StoreError::Unavailable(format!(
                    "step {step} of this database's tables is not the one that this sekisho knows"
                )));
            }
            None => {}
        }
        let mut tx = db.begin().await?;
        let script = spelled(&tx, text);
        tx.script(script).await?;
        tx.exec("INSERT INTO schema_steps (step, digest) VALUES ($1, $2)", args![*step, digest]).await?;
        tx.commit().await?;
        tracing::info!(step, "database tables brought to step {step}");
    }
    Ok(())
}

/// Refuses a database whose tables are not at the newest step that this version knows.
pub(crate) async fn must_be_done(db: &Db) -> Result<(), StoreError> {
    let newest = STEPS.last().map_or(0, |(step, _)| *step);
    let rows = db.rows("SELECT step FROM schema_steps WHERE step = $1", args![newest]).await?;
    if rows.is_empty() {
        return Err(StoreError::Unavailable(
            "its tables are of an older sekisho; open it once with `sekisho run` of this version, or read it with the \
             version that wrote it"
                .to_owned(),
        ));
    }
    Ok(())
}

fn spelled(tx: &Tx, text: &str) -> String {
    if tx.is_sqlite() { text.to_owned() } else { text.replace(" BLOB", " BYTEA") }
}
