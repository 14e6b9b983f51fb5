//! What a ban needs when the database cannot be read, also after a restart: token hashes with their rights, every
//! SIM's state, and what each scope covers; in memory, and in a sealed file beside the journal.
//!
//! The file is AES-256-GCM under a key of its own, derived from the key-encryption key: a stolen disk does not say
//! who works here. It is written on change, through a second file and a rename, and read only where the database
//! cannot be opened. Nothing in it opens a SIM.

use super::{bans::ScopeIndex, sealed::Sealer};
use admin_web::TokenBook;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};
use store::{RestrictionRow, Store, StoreError, TokenRow, Within};
use types::{Imsi, Key256, SimState, Utc};

/// Begins the file and is covered by its tag.
const MAGIC: &[u8; 8] = b"SKBANSN2";

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
    /// The SIMs inside each limit that a token has: who is limited can ban them.
    pub reaches: Vec<(Within, Vec<Imsi>)>,
}

impl Snapshot {
    /// Reads it from the database.
    pub(crate) async fn take(store: &Store, at: Utc, second_person: bool) -> Result<Self, StoreError> {
        let change = store.change_counter().await?;
        let tokens = store.tokens().await?;
        let mut reaches = Vec::new();
        for within in TokenBook::from_rows(tokens.clone()).limits() {
            let sims = store.sims_within(std::slice::from_ref(&within)).await?;
            reaches.push((within, sims.into_iter().collect()));
        }
        Ok(Self {
            at,
            change,
            tokens: serde_json::to_string(&tokens).unwrap_or_default(),
            sims: store.sim_states().await?,
            restrictions: store.restrictions().await?.into_iter().map(|r| (r.kind, r.value)).collect(),
            scopes: ScopeIndex::load(store).await?,
            head: store.journal_head().await?,
            second_person,
            reaches,
        })
    }

    /// The tokens.
    pub(crate) fn tokens(&self) -> Vec<TokenRow> {
        serde_json::from_str(&self.tokens).unwrap_or_default()
    }

    /// The SIMs inside the limits of tokens, in the form that the API looks them up in.
    pub(crate) fn reach_sets(&self) -> Vec<(Within, BTreeSet<Imsi>)> {
        self.reaches.iter().map(|(w, sims)| (w.clone(), sims.iter().copied().collect())).collect()
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

    /// A restriction that went on or off since.
    pub(crate) fn restrict(&mut self, change: Option<&(RestrictionRow, bool)>) {
        let Some((row, on)) = change else { return };
        let one = (row.kind.clone(), row.value.clone());
        self.restrictions.retain(|r| *r != one);
        if *on {
            self.restrictions.push(one);
        }
    }

    /// Seals it into `file`, whole or not at all.
    pub(crate) fn write(&self, kek: &Key256, file: &Path) -> Result<()> {
        let body = postcard::to_stdvec(self).context("writing the snapshot")?;
        let sealed = sealer(kek).seal(body).context("sealing the snapshot")?;
        let new = file.with_extension("sealed.new");
        let mut f = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .with_context(|| format!("writing {}", new.display()))?;
        f.write_all(MAGIC)?;
        f.write_all(&sealed)?;
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
        let body = sealer(kek)
            .open(rest)
            .context("the snapshot does not open: another key file, or it was changed")?;
        postcard::from_bytes(&body).context("the snapshot is of another version")
    }
}

fn sealer(kek: &Key256) -> Sealer {
    Sealer::new(kek, "ban snapshot", MAGIC)
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
            reaches: vec![(
                Within { groups: ["office".parse().expect("a name")].into(), ..Within::default() },
                vec!["001010000000001".parse().expect("an IMSI")],
            )],
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
