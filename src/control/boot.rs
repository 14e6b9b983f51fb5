//! What is read at start, and in which order.

use super::{
    addresses::Addresses,
    policy::Published,
    sims::{held_back, record_of},
};
use crate::{backup, config::Config, keys, time::now};
use anyhow::{Context, Result};
use hss::{Hss, HssConfig, SealedDataKey, Vault};
use store::{FlowLog, FlowLogConfig, Hold, Store};
use tracing::info;

/// Setting under which the sealed data key is kept.
pub(crate) const DATA_KEY: &str = "data_key";

/// Id of the key-encryption key; it rises when the key is changed.
pub(crate) const KEK_ID: u32 = 1;

/// Everything that was read.
pub(crate) struct Ready {
    pub store: Store,
    pub flows: FlowLog,
    pub hss: Hss,
    pub addresses: Addresses,
    pub policy: Published,
    pub hold: Option<Hold>,
}

/// Opens the store and the keys, and fills the directory, the ledger and the policy.
pub(crate) async fn load(config: &Config) -> Result<Ready> {
    let (store, vault) = open(config).await?;
    backup::finish(config, &store).await.context("finishing the restore")?;
    let hold = store.hold().await.context("reading the hold")?;
    if let Some(h) = &hold {
        tracing::error!(
            "every SIM is held: {}; an owner confirms the bans: sekisho restore confirm",
            h.reason
        );
    }
    // Before anybody reads a SIM: an import that was switched is put in force whole, one that was not leaves nothing.
    for job in store.imports_under_way().await.context("reading the imports")? {
        info!(job, "import {job} was interrupted and is carried on");
        store.carry_on_import(job, now().utc).await.with_context(|| format!("carrying import {job} on"))?;
    }
    let left = store.fail_interrupted_jobs(now().utc).await.context("reading the jobs")?;
    if left > 0 {
        info!(left, "{left} jobs were interrupted by the last stop and have failed");
    }
    store.drop_orphaned_imports().await.context("dropping what was staged")?;
    let flows =
        FlowLog::open(FlowLogConfig::new(config.flows())).await.context("opening the flow records")?;
    let mut hss = Hss::new(HssConfig::new(config.network.plmn), vault, now(), keys::random()?);
    let mut records = Vec::new();
    for row in store.all_sims().await.context("reading the SIMs")? {
        if let Some(mut r) = record_of(&row, &config.network.slices)? {
            if hold.is_some() {
                r.state = held_back(r.state);
            }
            hss.check(&r).with_context(|| format!("SIM {}", row.imsi))?;
            records.push(r);
        }
    }
    let sims = records.len();
    hss.handle(hss::Input::Load(records), now());
    super::equipment::Books::read(&store).await.context("reading the equipment list")?.put_in(&mut hss);
    let policy = Published::load(&store).await?;
    let addresses = Addresses::load(&store, &policy.source().data_networks, now().utc).await?;
    info!(
        sims,
        generation = policy.source().generation,
        "{sims} SIMs and policy {} are loaded",
        policy.source().generation
    );
    Ok(Ready { store, flows, hss, addresses, policy, hold })
}

/// Opens the store and the vault; makes key file and data key where there is neither yet.
pub async fn open(config: &Config) -> Result<(Store, Vault)> {
    keys::data_directory(&config.paths.data)?;
    let store =
        Store::open(&config.store_url()).await.with_context(|| format!("opening {}", kind(config)))?;
    let stored = store.meta(DATA_KEY).await?;
    // A store with a data key belongs to a key file that exists; making a new one would open nothing.
    let kek = keys::key_file(&config.key_file(), stored.is_none())
        .context("the key file opens every SIM of this store; put it back from where it is kept")?;
    let sealed = stored
        .map(|h| {
            types::unhex(&h)
                .and_then(|b| SealedDataKey::from_bytes(&b).ok())
                .context("the stored data key is damaged")
        })
        .transpose()?;
    let vault = Vault::new(&kek, KEK_ID, sealed.as_ref(), keys::random()?).with_context(|| {
        format!("the key file {} does not belong to this store", config.key_file().display())
    })?;
    if sealed.is_none() {
        store.set_meta(DATA_KEY, types::hex(vault.sealed_data_key().as_bytes())).await?;
    }
    Ok((store, vault))
}

/// The kind of database, without what its address may hold of a password.
fn kind(config: &Config) -> &'static str {
    if config.store_url().starts_with("sqlite") { "the SQLite database" } else { "the PostgreSQL database" }
}
