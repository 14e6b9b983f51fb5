//! The home network's keys, from the store to the directory.

use super::{Control, Done};
use admin_web::ControlError;
use anyhow::{Context, Result};
use gateway::time::now;
use hss::{HomeKey, Hss, SealedHomeKey};
use store::Store;
use tokio::sync::oneshot;

/// They were read again.
pub(crate) struct Reread {
    keys: Result<Vec<HomeKey>>,
    reply: oneshot::Sender<Result<(), ControlError>>,
}

/// Reads them, still sealed.
pub(crate) async fn read(store: &Store) -> Result<Vec<HomeKey>> {
    let rows = store.home_keys().await.context("reading the home network's keys")?;
    rows.into_iter()
        .map(|r| {
            let sealed =
                SealedHomeKey::from_bytes(&r.sealed).with_context(|| format!("home network key {}", r.id))?;
            Ok(HomeKey { id: r.id, profile: r.profile, sealed, accepted_until: r.accepted_until })
        })
        .collect()
}

/// Gives them to the directory, if each opens.
fn put_in(keys: Vec<HomeKey>, hss: &mut Hss) -> Result<()> {
    for key in &keys {
        hss.check_home_key(key).with_context(|| format!("home network key {}", key.id))?;
    }
    hss.handle(hss::Input::HomeKeys(keys), now());
    Ok(())
}

/// Reads them at start.
pub(super) async fn load(store: &Store, hss: &mut Hss) -> Result<()> {
    put_in(read(store).await?, hss)
}

impl Control {
    /// They changed in the store.
    pub(super) fn reload_home_keys(&self, reply: oneshot::Sender<Result<(), ControlError>>) {
        let (store, done) = (self.store.clone(), self.done.clone());
        tokio::spawn(async move {
            let keys = read(&store).await;
            drop(done.send(Done::HomeKeys(Reread { keys, reply })));
        });
    }

    /// They were read again; where one does not open, those before stay.
    pub(super) fn home_keys_reread(&mut self, r: Reread) {
        let put = r.keys.and_then(|keys| put_in(keys, &mut self.hss));
        drop(
            r.reply.send(put.map_err(|e| ControlError::Unavailable { part: "store", why: format!("{e:#}") })),
        );
    }
}
