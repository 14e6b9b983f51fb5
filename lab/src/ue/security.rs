//! The keys of a UE: what the last authentication gave, and the NAS security context in use (TS 33.501 §6.7.2,
//! TS 24.501 §4.4.2).

use sim_auth::fgs;
use types::Key256;
use wire::nas::fgs::NgKsi;
use wire::nas::security::{Direction, HeaderType, NasContext, Nea, Nia, SecurityError, Verified};

/// Keys of the UE.
#[derive(Default)]
pub(super) struct Security {
    /// KAMF of the last authentication, not taken into use yet.
    fresh: Option<(NgKsi, Key256)>,
    current: Option<Current>,
    /// KgNB of the radio connection.
    kgnb: Option<Key256>,
    /// A protected message of the network was verified in this radio connection: from here on nothing is
    /// taken unprotected (TS 24.501 §4.4.4.2).
    secured: bool,
}

struct Current {
    ngksi: NgKsi,
    kamf: Key256,
    context: NasContext,
}

impl Security {
    /// The key set that the network is told about.
    pub(super) fn ngksi(&self) -> NgKsi {
        self.current.as_ref().map_or(NgKsi::NoKey, |c| c.ngksi)
    }

    pub(super) fn is_up(&self) -> bool {
        self.current.is_some()
    }

    pub(super) fn is_secured(&self) -> bool {
        self.secured
    }

    pub(super) fn kgnb(&self) -> Option<Key256> {
        self.kgnb.clone()
    }

    /// The card accepted a challenge.
    pub(super) fn authenticated(&mut self, ngksi: NgKsi, kamf: Key256) {
        self.fresh = Some((ngksi, kamf));
    }

    /// Tries the Security Mode Command `octets` with the algorithms that it names: the keys of the last
    /// authentication where its key set is named, else those in use. They are taken into use only if the
    /// message verifies.
    pub(super) fn take_into_use(
        &mut self,
        ngksi: NgKsi,
        nia: Nia,
        nea: Nea,
        octets: &[u8],
    ) -> Result<Verified, SecurityError> {
        let fresh = self.fresh.as_ref().filter(|(k, _)| *k == ngksi).map(|(_, kamf)| (kamf.clone(), (0, 0)));
        let again = || {
            let c = self.current.as_ref().filter(|c| c.ngksi == ngksi)?;
            let count = |d| c.context.next_count(d);
            Some((c.kamf.clone(), (count(Direction::Uplink), count(Direction::Downlink))))
        };
        let (kamf, (up, down)) = fresh.or_else(again).ok_or(SecurityError::WrongMac)?;
        let integrity = fgs::knas_int(&kamf, nia.code());
        let ciphering = fgs::knas_enc(&kamf, nea.code());
        let mut context = NasContext::new(integrity, ciphering, nia, nea).with_counts(up, down);
        let verified = context.unprotect(octets, Direction::Downlink)?;
        self.current = Some(Current { ngksi, kamf, context });
        self.fresh = None;
        self.secured = true;
        Ok(verified)
    }

    /// Protects an uplink message. The first one of a radio connection is the one that KgNB comes from.
    pub(super) fn protect(&mut self, plain: &[u8], header: HeaderType) -> Option<Vec<u8>> {
        let c = self.current.as_mut()?;
        let count = c.context.next_count(Direction::Uplink);
        let octets = c.context.protect(plain, header, Direction::Uplink).ok()?;
        if self.kgnb.is_none() || header == HeaderType::CipheredNewContext {
            self.kgnb = Some(fgs::kgnb(&c.kamf, count));
        }
        Some(octets)
    }

    /// Ciphers the value of a NAS message container that goes with the next uplink message.
    pub(super) fn cipher_container(&self, value: &mut [u8]) {
        if let Some(c) = &self.current {
            let count = c.context.next_count(Direction::Uplink);
            c.context.cipher_container(count, Direction::Uplink, value);
        }
    }

    pub(super) fn unprotect(&mut self, octets: &[u8]) -> Result<Verified, SecurityError> {
        let c = self.current.as_mut().ok_or(SecurityError::WrongMac)?;
        let verified = c.context.unprotect(octets, Direction::Downlink)?;
        self.secured = true;
        Ok(verified)
    }

    pub(super) fn radio_released(&mut self) {
        self.kgnb = None;
        self.secured = false;
    }

    /// The keys go: nothing of them is used again.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}
