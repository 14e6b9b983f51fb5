//! What a ban needs when the database cannot be read, also after a restart: token hashes with their rights, every
//! SIM's state, and what each scope covers; in memory, and in a sealed file beside the journal.
//!
//! The file is AES-256-GCM under a key of its own, derived from the key-encryption key: a stolen disk does not say
//! who works here. It is written on change, through a second file and a rename, and read only where the database
//! cannot be opened. Nothing in it opens a SIM.

use super::bans::ScopeIndex;
use aes_gcm::{
    Aes256Gcm, Nonce,
    aead::{AeadInOut, KeyInit},
};
use anyhow::{Context, Result, bail};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};
use store::{RestrictionRow, Store, StoreError, TokenRow};
use types::{Imsi, Key256, SimState, Utc};

/// Begins the file and is covered by its tag.
const MAGIC: &[u8; 8] = b"SKBANSN1";
const NONCE: usize = 12;
const TAG: usize = 16;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    /// When it was made.
    pub at: Utc,
    /// Number of the audit's newest row then.
    pub change: u64,
    /// Token hashes and what they may do, as JSON: its shape may grow.
    tokens: String,
    /// Every SIM's state.
    pub sims: Vec<(Imsi, SimState)>,
    /// Restrictions that are on: kind and value.
    pub restrictions: Vec<(String, String)>,
    /// What each scope covers.
    pub scopes: ScopeIndex,
    /// Head of the journal that the database knew: records and hash.
    pub head: Option<(u64, [u8; 32])>,
    /// True where an unban needs a second person.
    pub second_person: bool,
}

impl Snapshot {
    /// Reads it from the database.
    pub(crate) async fn take(store: &Store, at: Utc, second_person: bool) -> Result<Self, StoreError> {
        let change = store.change_counter().await?;
        Ok(Self {
            at,
            change,
            tokens: serde_json::to_string(&store.tokens().await?).unwrap_or_default(),
            sims: store.sim_states().await?,
            restrictions: store.restrictions().await?.into_iter().map(|r| (r.kind, r.value)).collect(),
            scopes: ScopeIndex::load(store).await?,
            head: store.journal_head().await?,
            second_person,
        })
    }

    /// The tokens.
    pub(crate) fn tokens(&self) -> Vec<TokenRow> {
        serde_json::from_str(&self.tokens).unwrap_or_default()
    }

    /// Restrictions in the form of the database's rows.
    pub(crate) fn restriction_rows(&self) -> Vec<RestrictionRow> {
        let row = |(kind, value): &(String, String)| RestrictionRow {
            kind: kind.clone(),
            value: value.clone(),
            at: self.at,
            actor: String::new(),
            reason: String::new(),
            revocation: String::new(),
        };
        self.restrictions.iter().map(row).collect()
    }

    /// Seals it into `file`, whole or not at all.
    pub(crate) fn write(&self, kek: &Key256, file: &Path) -> Result<()> {
        let mut body = postcard::to_stdvec(self).context("writing the snapshot")?;
        let nonce = crate::keys::random::<NONCE>()?;
        let tag = cipher(kek)?
            .encrypt_inout_detached(&Nonce::from(nonce), MAGIC, body.as_mut_slice().into())
            .map_err(|_| anyhow::anyhow!("the snapshot is too long to be sealed"))?;
        let new = file.with_extension("sealed.new");
        let mut f = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .with_context(|| format!("writing {}", new.display()))?;
        for part in [MAGIC.as_slice(), &nonce, &tag, &body] {
            f.write_all(part)?;
        }
        f.sync_all()?;
        fs::rename(&new, file).with_context(|| format!("writing {}", file.display()))?;
        if let Some(dir) = file.parent() {
            fs::File::open(dir)?.sync_all()?;
        }
        Ok(())
    }

    /// Opens it.
    pub(crate) fn read(kek: &Key256, file: &Path) -> Result<Self> {
        let bytes = fs::read(file).with_context(|| format!("the snapshot {}", file.display()))?;
        let rest = bytes.strip_prefix(MAGIC).context("it is not a snapshot of bans")?;
        let Some((nonce, rest)) = rest.split_first_chunk::<NONCE>() else {
            bail!("the snapshot is cut short")
        };
        let Some((tag, body)) = rest.split_first_chunk::<TAG>() else { bail!("the snapshot is cut short") };
        let mut body = body.to_vec();
        cipher(kek)?
            .decrypt_inout_detached(&Nonce::from(*nonce), MAGIC, body.as_mut_slice().into(), &(*tag).into())
            .map_err(|_| {
                anyhow::anyhow!("the snapshot does not open: another key file, or it was changed")
            })?;
        postcard::from_bytes(&body).context("the snapshot is of another version")
    }
}

/// The snapshot's own key.
fn cipher(kek: &Key256) -> Result<Aes256Gcm> {
    let mut mac = <Hmac<Sha256>>::new_from_slice(kek.expose()).context("a key of 32 octets")?;
    mac.update(b"sekisho ban snapshot");
    let key: [u8; 32] = mac.finalize().into_bytes().into();
    Ok(Aes256Gcm::new(&key.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot() -> Snapshot {
        Snapshot {
            at: Utc(5),
            change: 7,
            tokens: "[]".to_owned(),
            sims: vec![("001010000000001".parse().expect("an IMSI"), SimState::Lost)],
            restrictions: vec![("panic".to_owned(), "office".to_owned())],
            scopes: ScopeIndex::default(),
            head: Some((3, [9; 32])),
            second_person: true,
        }
    }

    #[test]
    fn what_is_sealed_comes_back_and_says_nothing_to_who_has_no_key() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("ban-snapshot.sealed");
        let kek = Key256::new([1; 32]);
        snapshot().write(&kek, &file).expect("written");
        assert_eq!(Snapshot::read(&kek, &file).expect("read"), snapshot());
        let bytes = fs::read(&file).expect("there");
        assert!(!bytes.windows(6).any(|w| w == b"office"));
        assert!(Snapshot::read(&Key256::new([2; 32]), &file).is_err(), "another key");
        for at in 0..bytes.len() {
            let mut bad = bytes.clone();
            if let Some(b) = bad.get_mut(at) {
                *b ^= 1;
            }
            fs::write(&file, bad).expect("written");
            assert!(Snapshot::read(&kek, &file).is_err(), "octet {at} flipped");
        }
        fs::write(&file, bytes.get(..20).expect("long enough")).expect("written");
        assert!(Snapshot::read(&kek, &file).is_err(), "cut short");
    }
}
