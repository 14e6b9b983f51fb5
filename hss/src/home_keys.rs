//! The home network's keys, and whom a SUCI conceals (the SIDF of TS 33.501 §6.12.5).
//!
//! Private keys stay sealed; one is opened for each SUCI that names it. Two keys or more at a time are how one is
//! replaced: SIMs are made with the new one while those that have the old one are still let in.

use crate::admission::refusal;
use crate::core::Hss;
use crate::vault::{SealedHomeKey, VaultError};
use serde::{Deserialize, Serialize};
use sim_auth::suci::HomeNetworkKey;
use types::{FgmmCause, Imsi, Now, Refusal, RefusalReason, Suci, SuciProfile, Supi, Utc};

/// A key pair of the home network, its private half sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HomeKey {
    /// Home network public key identifier, 1–254: what a SUCI names it by.
    pub id: u8,
    /// Its profile.
    pub profile: SuciProfile,
    /// The private key.
    pub sealed: SealedHomeKey,
    /// From when on no SUCI is opened with it; none for as long as it is there.
    pub accepted_until: Option<Utc>,
}

impl Hss {
    /// Whether the private key opens and is one; asked before it is stored or loaded.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_home_key(&self, key: &HomeKey) -> Result<(), VaultError> {
        self.open_home_key(key).map(drop)
    }

    fn open_home_key(&self, key: &HomeKey) -> Result<HomeNetworkKey, VaultError> {
        let octets = self.vault.open_home_key(&key.sealed, key.id, key.profile)?;
        HomeNetworkKey::new(key.profile, &octets).map_err(|_| VaultError::Format)
    }

    /// Who this is. All that fails behind the choice of the key is told alike, to the UE and to people.
    pub(crate) fn deconceal(&self, suci: &Suci, now: Now) -> Result<Imsi, Refusal> {
        let refuse = |reason| refusal(FgmmCause::IllegalUe, reason);
        let unreadable = || refuse(RefusalReason::SuciUnreadable);
        let Some(profile) = suci.scheme.profile() else {
            let accepted = |k: &HomeKey| k.accepted_until.is_none_or(|until| now.utc < until);
            if self.config.refuse_null_scheme && self.home_keys.values().any(accepted) {
                return Err(refuse(RefusalReason::SuciInClear));
            }
            return suci.null_scheme_supi().map(Supi::imsi).ok_or_else(unreadable);
        };
        let key = self.home_keys.get(&suci.key_id).filter(|k| k.profile == profile);
        let key = key.ok_or_else(|| refuse(RefusalReason::SuciKeyUnknown))?;
        if key.accepted_until.is_some_and(|until| now.utc >= until) {
            return Err(refuse(RefusalReason::SuciKeyRefused));
        }
        let opened = self.open_home_key(key).map_err(|_| crate::aka::unavailable())?;
        let msin = opened.deconceal(&suci.output).map_err(|_| unreadable())?;
        Imsi::from_parts(suci.home, &msin).map_err(|_| unreadable())
    }
}
