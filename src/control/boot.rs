//! What is read at start, and in which order.

use super::{
    addresses::Addresses,
    bans::{PendingFile, ScopeIndex},
    health::snapshot_file,
    policy::Published,
    s6a::MmesDurable,
    sims::{held_back, record_of},
    snapshot::Snapshot,
};
use crate::{backup, config::Config, keys, signing::Signer};
use admin_web::{Reaches, TokenBook};
use anyhow::{Context, Result};
use gateway::time::now;
use hss::{Hss, HssConfig, SealedDataKey, Vault};
use std::{collections::BTreeMap, sync::Arc};
use store::{
    FlowLog, FlowLogConfig, ForeignLease, GxSessionRow, Hold, ReceiptRow, RestrictionRow, Store, StoreError,
};
use tracing::{error, info};
use types::{Imsi, SimState};

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
    pub signer: Signer,
    pub tokens: TokenBook,
    /// Receipts that go on being written.
    pub receipts: Vec<ReceiptRow>,
    pub restrictions: Vec<RestrictionRow>,
    /// Which MME serves a SIM, and what MMEs know.
    pub mmes: MmesDurable,
    /// Which sessions live at SMFs.
    pub gx_sessions: Vec<GxSessionRow>,
    pub foreign_leases: Vec<ForeignLease>,
    /// Head of the gateway's journal that was last seen.
    pub head: Option<(u64, [u8; 32])>,
    pub scopes: ScopeIndex,
    /// States of SIMs, where there is no directory.
    pub remembered: Vec<(Imsi, SimState)>,
    /// The database could not be opened.
    pub reduced: bool,
    /// Where bans wait that the database does not take.
    pub pending: PendingFile,
    /// The SIMs inside the limits of tokens, where the database cannot be asked.
    pub reaches: Arc<Reaches>,
}

/// Reads everything; where the database cannot be opened and there is a snapshot, what a ban needs (DESIGN §5).
pub(crate) async fn load(config: &Config) -> Result<Ready> {
    let e = match load_all(config).await {
        Ok(ready) => return Ok(ready),
        Err(e) => e,
    };
    let by_the_store = e.chain().any(|c| {
        use StoreError::{Damaged, Full, Unavailable};
        matches!(c.downcast_ref(), Some(Unavailable(_) | Damaged { .. } | Full)) || c.is::<Vanished>()
    });
    if !by_the_store || !snapshot_file(config).exists() {
        return Err(e);
    }
    let ready = load_reduced(config).await.with_context(|| format!("without a database ({e:#})"))?;
    error!("the database cannot be opened: bans and status only, attaches are refused: {e:#}");
    Ok(ready)
}

/// The database is a new one, though there was another here.
#[derive(Debug, thiserror::Error)]
#[error(
    "the database is empty, but the snapshot of bans beside the journal is not: the database was lost or moved"
)]
struct Vanished;

/// True where this is the database that belongs to this node, and can be read.
pub(super) async fn is_ours(store: &Store) -> bool {
    matches!(store.meta(DATA_KEY).await, Ok(Some(_))) && store.sim_states().await.is_ok()
}

/// Without a database: no directory, no leases, no policy; tokens, states and scopes of the snapshot.
async fn load_reduced(config: &Config) -> Result<Ready> {
    let kek = keys::key_file(&config.key_file(), false)?;
    let mut snapshot = Snapshot::read(&kek, &snapshot_file(config))?;
    // What was banned since the database went away is not in the snapshot, but the revocation of it is here.
    let pending = PendingFile::new(&config.journal(), &kek, true);
    let waiting = pending.read().context("bans that wait for the database")?;
    let mut states: BTreeMap<Imsi, SimState> = snapshot.sims.iter().copied().collect();
    for w in &waiting {
        states.extend(w.states().iter().filter(|(i, _)| states.contains_key(i)).copied().collect::<Vec<_>>());
        snapshot.restrict(w.restriction());
    }
    snapshot.sims = states.into_iter().collect();
    let reaches = Arc::new(Reaches::default());
    reaches.set(snapshot.reach_sets());
    let vault = Vault::new(&kek, KEK_ID, None, gateway::sys::random()?).context("the key file")?;
    let flows =
        FlowLog::open(FlowLogConfig::new(config.flows())).await.context("opening the flow records")?;
    info!(
        sims = snapshot.sims.len(),
        waiting = waiting.len(),
        at = snapshot.at.0,
        "the snapshot of bans is read"
    );
    Ok(Ready {
        store: Store::absent().await?,
        flows,
        hss: Hss::new(hss_config(config), vault, now(), gateway::sys::random()?),
        addresses: Addresses::none(),
        policy: Published::none()?,
        signer: Signer::open(&config.paths.data, false)?,
        tokens: TokenBook::from_rows(snapshot.tokens()),
        receipts: Vec::new(),
        restrictions: snapshot.restriction_rows(),
        mmes: MmesDurable::default(),
        gx_sessions: Vec::new(),
        foreign_leases: Vec::new(),
        head: snapshot.head,
        remembered: snapshot.sims,
        scopes: snapshot.scopes,
        reaches,
        pending,
        reduced: true,
        // What is held is not known without the database; nobody attaches in this state.
        hold: None,
    })
}

fn hss_config(config: &Config) -> HssConfig {
    let n = &config.network;
    HssConfig {
        refuse_null_scheme: n.refuse_null_scheme,
        authentication: n.authentication,
        ..HssConfig::new(n.plmn)
    }
}

/// Opens the store and the keys, and fills the directory, the ledger and the policy.
async fn load_all(config: &Config) -> Result<Ready> {
    let (store, vault) = open(config).await?;
    backup::finish(config, &store).await.context("finishing the restore")?;
    let kek = keys::key_file(&config.key_file(), false)?;
    let signer = Signer::open(&config.paths.data, true)?;
    // Before the journal could teach the database the same bans without their scope and receipt.
    let pending = PendingFile::new(&config.journal(), &kek, false);
    pending.replay(&store, &signer).await.context("writing bans that waited for the database")?;
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
    let mut hss = Hss::new(hss_config(config), vault, now(), gateway::sys::random()?);
    let horizon = horizon(&store).await.context("reading the horizon of SQN")?;
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
    hss.handle(hss::Input::Load { records, horizon }, now());
    super::home_keys::load(&store, &mut hss).await?;
    super::equipment::Books::read(&store).await.context("reading the equipment list")?.put_in(&mut hss);
    let policy = Published::load(&store, super::provider_app::Ways::new(config).app()).await?;
    let addresses =
        Addresses::load(&store, &policy.source().data_networks, config.own_addresses(), now().utc).await?;
    info!(
        sims,
        generation = policy.source().generation,
        "{sims} SIMs and policy {} are loaded",
        policy.source().generation
    );
    Ok(Ready {
        signer,
        pending,
        reaches: Arc::default(),
        tokens: TokenBook::from_rows(store.tokens().await.context("reading the tokens")?),
        receipts: store.open_receipts().await.context("reading the receipts")?,
        restrictions: store.restrictions().await.context("reading the restrictions")?,
        mmes: MmesDurable::read(&store).await.context("reading which MME serves a SIM")?,
        gx_sessions: store.gx_sessions().await.context("reading which sessions live at SMFs")?,
        foreign_leases: store.open_foreign_leases().await.context("reading what SMFs gave")?,
        head: store.journal_head().await.context("reading the journal's head")?,
        scopes: ScopeIndex::load(&store).await.context("reading what belongs to whom")?,
        remembered: Vec::new(),
        reduced: false,
        hold,
        store,
        flows,
        hss,
        addresses,
        policy,
    })
}

/// The horizon of SQN, before any SIM is read: one that is astray goes into the SIMs' own ceilings.
async fn horizon(store: &Store) -> Result<Option<i64>> {
    let stored = store.sqn_horizon().await?;
    let clock = hss::SqnClock::new(now()).ticks(now());
    if stored.is_some_and(|s| hss::SqnHorizon::is_astray(s, clock)) {
        tracing::warn!("the clock was put back by more than an hour since SQNs were last given");
        store.fold_sqn_horizon().await?;
        return Ok(None);
    }
    Ok(stored)
}

/// Opens the store and the vault; makes key file and data key where there is neither yet.
pub async fn open(config: &Config) -> Result<(Store, Vault)> {
    keys::data_directory(&config.paths.data)?;
    let store =
        Store::open(&config.store_url()).await.with_context(|| format!("opening {}", kind(config)))?;
    let stored = store.meta(DATA_KEY).await?;
    if stored.is_none() && snapshot_file(config).exists() {
        return Err(Vanished.into());
    }
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
    let vault = Vault::new(&kek, KEK_ID, sealed.as_ref(), gateway::sys::random()?).with_context(|| {
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
