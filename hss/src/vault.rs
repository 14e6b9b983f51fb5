//! K, OPc and the home network's private keys at rest (decision D7): AES-256-GCM under a key per SIM, wrapped by a data key, wrapped by
//! a key-encryption key (KEK) that is no part of the database.
//!
//! ```text
//! SealedDataKey  version 1 ‖ KEK id (4) ‖ data key id (8) ‖ nonce (12) ‖ data key (32) ‖ tag (16)
//! SealedKeys     version 1 ‖ data key id (8) ‖ nonce (12) ‖ SIM key (32) ‖ tag (16)
//!                                            ‖ nonce (12) ‖ K (16) ‖ OPc (16) ‖ tag (16)
//!                or version 2 ‖ the same ‖ nonce (12) ‖ iterations (1) ‖ TOPc (32) ‖ K (16 or 32) ‖ tag (16)
//! SealedHomeKey  version 1 ‖ data key id (8) ‖ nonce (12) ‖ key of its own (32) ‖ tag (16)
//!                                            ‖ nonce (12) ‖ private key of the home network (32) ‖ tag (16)
//! ```
//!
//! Associated data is the kind of the secret and the IMSI, or the home network key's id and profile, so a row moved to
//! another SIM or id does not open.
//! The data key is made once per store and kept beside it, sealed; the store needs it again at each start.
//! Nothing here says which octet was wrong, and nothing prints a key.

use aes_gcm::{
    Aes256Gcm, Nonce,
    aead::{AeadInOut, KeyInit},
};
use rand_chacha::{
    ChaCha20Rng,
    rand_core::{Rng, SeedableRng},
};
use serde::{Deserialize, Serialize};
use sim_auth::kdf::KdfKey;
use sim_auth::{CardKeys, TuakK, TuakKeys};
use std::{fmt, num::NonZeroU8};
use thiserror::Error;
use types::{Imsi, K, Key256, Opc, SuciProfile};
use zeroize::{Zeroize, Zeroizing};

const VERSION: u8 = 1;
const VERSION_TUAK: u8 = 2;
const SEALED_KEYS_LEN: usize = 1 + 8 + SECRET_LEN + SECRET_LEN;
const SEALED_DATA_KEY_LEN: usize = 1 + 4 + 8 + SECRET_LEN;
/// Nonce, 32 octets of secret, tag.
const SECRET_LEN: usize = FRAME + 32;
/// Nonce and tag around a secret.
const FRAME: usize = 12 + 16;
/// Iterations, TOPc and K of TUAK, the shorter and the longer one.
const TUAK_LENS: [usize; 2] = [1 + 32 + 16, 1 + 32 + 32];

const KIND_DATA_KEY: &[u8] = b"sekisho data key";
const KIND_SIM_KEY: &[u8] = b"sekisho sim key";
const KIND_K_OPC: &[u8] = b"sekisho milenage k opc";
const KIND_TUAK: &[u8] = b"sekisho tuak k topc";
const KIND_HOME_KEY_KEY: &[u8] = b"sekisho home network key key";
const KIND_HOME_KEY: &[u8] = b"sekisho home network key";
const KIND_FINGERPRINT: &[u8] = b"sekisho k fingerprint";

/// Why a secret did not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum VaultError {
    /// Not a sealed secret of a version that we know.
    #[error("not a sealed secret, or of an unknown version")]
    Format,
    /// Sealed under another KEK or data key.
    #[error("sealed under another key")]
    OtherKey,
    /// Altered, or sealed for another SIM.
    #[error("altered, or sealed for somebody else")]
    Tampered,
}

/// K with OPc or TOPc of one SIM, sealed. Opaque outside of the vault; safe to store.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct SealedKeys(Vec<u8>);

/// A private key of the home network, sealed. Opaque outside of the vault; safe to store.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct SealedHomeKey(Vec<u8>);

/// The data key, sealed by the KEK. One per store, kept beside it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<u8>", into = "Vec<u8>")]
pub struct SealedDataKey(Vec<u8>);

macro_rules! blob {
    ($name:ident, $fits:expr) => {
        impl $name {
            /// The octets to store.
            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }

            /// From stored octets.
            ///
            /// # Errors
            /// [`VaultError::Format`] for a wrong length or version.
            pub fn from_bytes(b: &[u8]) -> Result<Self, VaultError> {
                if $fits(b) { Ok(Self(b.to_vec())) } else { Err(VaultError::Format) }
            }
        }

        impl TryFrom<Vec<u8>> for $name {
            type Error = VaultError;
            fn try_from(b: Vec<u8>) -> Result<Self, VaultError> {
                Self::from_bytes(&b)
            }
        }

        impl From<$name> for Vec<u8> {
            fn from(s: $name) -> Vec<u8> {
                s.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    };
}
blob!(SealedKeys, |b: &[u8]| is_version_1(b, SEALED_KEYS_LEN) || is_tuak(b));
blob!(SealedHomeKey, |b: &[u8]| is_version_1(b, SEALED_KEYS_LEN));
blob!(SealedDataKey, |b: &[u8]| is_version_1(b, SEALED_DATA_KEY_LEN));

fn is_version_1(b: &[u8], len: usize) -> bool {
    b.len() == len && b.first() == Some(&VERSION)
}

fn is_tuak(b: &[u8]) -> bool {
    b.first() == Some(&VERSION_TUAK)
        && TUAK_LENS.iter().any(|len| b.len() == 1 + 8 + SECRET_LEN + FRAME + len)
}

/// Tells equal Ks apart from different ones without the K: HMAC-SHA-256 under a key derived from the
/// data key. Equal only within one store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KFingerprint(pub [u8; 32]);

/// Seals and opens. It has one owner: its nonces come from a generator of its own.
pub struct Vault {
    data_key: Aes256Gcm,
    data_key_id: [u8; 8],
    sealed_data_key: SealedDataKey,
    fingerprint: KdfKey,
    rng: ChaCha20Rng,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(..)")
    }
}

impl Vault {
    /// With the data key that the store kept, or with a new one (`None`: only for a store without a SIM)
    /// that the store must keep before the first SIM: [`Vault::sealed_data_key`]. `seed` comes from the
    /// OS, fresh at each start.
    ///
    /// # Errors
    /// [`VaultError::OtherKey`] where the data key was sealed under another KEK,
    /// [`VaultError::Tampered`] where it does not open.
    pub fn new(
        kek: &Key256,
        kek_id: u32,
        stored: Option<&SealedDataKey>,
        seed: [u8; 32],
    ) -> Result<Self, VaultError> {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let wrap = Aes256Gcm::new(kek.expose().into());
        let (sealed_data_key, data_key_id, mut key) = match stored {
            Some(s) => {
                let (id, key) = open_data_key(&wrap, kek_id, s)?;
                (s.clone(), id, key)
            }
            None => make_data_key(&wrap, kek_id, &mut rng),
        };
        let root = KdfKey::new(&key);
        let vault = Self {
            data_key: Aes256Gcm::new((&key).into()),
            data_key_id,
            sealed_data_key,
            fingerprint: KdfKey::new(&root.mac(&[KIND_FINGERPRINT])),
            rng,
        };
        key.zeroize();
        Ok(vault)
    }

    /// Another vault of the same store, to seal beside this one. `seed` comes from the OS, fresh for each.
    #[must_use]
    pub fn sibling(&self, seed: [u8; 32]) -> Self {
        Self {
            data_key: self.data_key.clone(),
            data_key_id: self.data_key_id,
            sealed_data_key: self.sealed_data_key.clone(),
            fingerprint: self.fingerprint.clone(),
            rng: ChaCha20Rng::from_seed(seed),
        }
    }

    /// The data key as the store keeps it.
    pub fn sealed_data_key(&self) -> &SealedDataKey {
        &self.sealed_data_key
    }

    /// Seals K and OPc of `imsi` under a new key of their own.
    pub fn seal(&mut self, imsi: Imsi, k: &K, opc: &Opc) -> SealedKeys {
        let secrets = Zeroizing::new([k.expose().as_slice(), opc.expose()].concat());
        SealedKeys(self.seal_pair(VERSION, &[KIND_SIM_KEY, KIND_K_OPC], &imsi.to_string(), &secrets))
    }

    /// Seals the keys of a SIM under a new key of their own.
    pub fn seal_card(&mut self, imsi: Imsi, keys: &CardKeys) -> SealedKeys {
        let tuak = match keys {
            CardKeys::Milenage { k, opc } => return self.seal(imsi, k, opc),
            CardKeys::Tuak(tuak) => tuak,
        };
        let secrets = [&[tuak.iterations.get()], tuak.topc.expose().as_slice(), tuak.k.expose()].concat();
        let secrets = Zeroizing::new(secrets);
        SealedKeys(self.seal_pair(VERSION_TUAK, &[KIND_SIM_KEY, KIND_TUAK], &imsi.to_string(), &secrets))
    }

    /// The keys of `imsi`.
    ///
    /// # Errors
    /// [`VaultError::Tampered`] for an altered row or one of another SIM; [`VaultError::OtherKey`] for a
    /// row of another store.
    pub fn open(&self, sealed: &SealedKeys, imsi: Imsi) -> Result<CardKeys, VaultError> {
        let (who, sealed) = (imsi.to_string(), sealed.as_bytes());
        if sealed.first() == Some(&VERSION_TUAK) {
            let secrets = self.open_pair(&[KIND_SIM_KEY, KIND_TUAK], &who, sealed)?;
            return tuak_keys(&secrets).map(CardKeys::Tuak).ok_or(VaultError::Format);
        }
        let secrets = self.open_pair(&[KIND_SIM_KEY, KIND_K_OPC], &who, sealed)?;
        let (k, opc) = secrets.split_first_chunk().ok_or(VaultError::Format)?;
        let opc = opc.try_into().map_err(|_| VaultError::Format)?;
        Ok(CardKeys::Milenage { k: K::new(*k), opc: Opc::new(opc) })
    }

    /// Seals the private key `id` of the home network under a new key of its own.
    pub fn seal_home_key(&mut self, id: u8, profile: SuciProfile, key: &Key256) -> SealedHomeKey {
        let who = home_key_name(id, profile);
        SealedHomeKey(self.seal_pair(VERSION, &[KIND_HOME_KEY_KEY, KIND_HOME_KEY], &who, key.expose()))
    }

    /// The private key `id` of the home network.
    ///
    /// # Errors
    /// [`VaultError::Tampered`] for an altered row, or one of another id or profile; [`VaultError::OtherKey`] for a
    /// row of another store.
    pub fn open_home_key(
        &self,
        sealed: &SealedHomeKey,
        id: u8,
        profile: SuciProfile,
    ) -> Result<Key256, VaultError> {
        let who = home_key_name(id, profile);
        let key = self.open_pair(&[KIND_HOME_KEY_KEY, KIND_HOME_KEY], &who, sealed.as_bytes())?;
        Ok(Key256::new(key.as_slice().try_into().map_err(|_| VaultError::Format)?))
    }

    /// Seals a secret under a key of its own, and that one under the data key; `kinds` are those of the two.
    fn seal_pair(&mut self, version: u8, [outer, inner]: &[&[u8]; 2], who: &str, secret: &[u8]) -> Vec<u8> {
        let mut own_key = [0u8; 32];
        self.rng.fill_bytes(&mut own_key);
        let mut out = Vec::with_capacity(1 + 8 + SECRET_LEN + FRAME + secret.len());
        out.push(version);
        out.extend_from_slice(&self.data_key_id);
        let aad = [outer, self.data_key_id.as_slice(), who.as_bytes()].concat();
        out.extend_from_slice(&seal_secret(&self.data_key, &aad, &own_key, &mut self.rng));
        let cipher = Aes256Gcm::new((&own_key).into());
        out.extend_from_slice(&seal_secret(
            &cipher,
            &[inner, who.as_bytes()].concat(),
            secret,
            &mut self.rng,
        ));
        own_key.zeroize();
        out
    }

    fn open_pair(
        &self,
        [outer, inner]: &[&[u8]; 2],
        who: &str,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let body = sealed.split_first().ok_or(VaultError::Format)?.1;
        let (id, body) = body.split_first_chunk::<8>().ok_or(VaultError::Format)?;
        let (wrapped, secret) = body.split_first_chunk::<SECRET_LEN>().ok_or(VaultError::Format)?;
        if *id != self.data_key_id {
            return Err(VaultError::OtherKey);
        }
        let aad = [outer, id.as_slice(), who.as_bytes()].concat();
        let own_key = open_secret(&self.data_key, &aad, wrapped)?;
        let own_key: &[u8; 32] = own_key.as_slice().try_into().map_err(|_| VaultError::Format)?;
        open_secret(&Aes256Gcm::new(own_key.into()), &[inner, who.as_bytes()].concat(), secret)
    }

    /// By what the store refuses a K that it already has.
    pub fn fingerprint(&self, k: &K) -> KFingerprint {
        KFingerprint(self.fingerprint.mac(&[k.expose()]))
    }

    /// As [`Vault::fingerprint`], of the K of a card with any algorithm set.
    pub fn fingerprint_of(&self, keys: &CardKeys) -> KFingerprint {
        match keys {
            CardKeys::Milenage { k, .. } => self.fingerprint(k),
            CardKeys::Tuak(tuak) => KFingerprint(self.fingerprint.mac(&[tuak.k.expose()])),
        }
    }
}

/// Iterations, TOPc and K.
fn tuak_keys(secrets: &[u8]) -> Option<TuakKeys> {
    let (iterations, rest) = secrets.split_first()?;
    let (topc, k) = rest.split_first_chunk()?;
    let k = match k.try_into() {
        Ok(short) => TuakK::Short(K::new(short)),
        Err(_) => TuakK::Long(Key256::new(k.try_into().ok()?)),
    };
    Some(TuakKeys { k, topc: Key256::new(*topc), iterations: NonZeroU8::new(*iterations)? })
}

fn home_key_name(id: u8, profile: SuciProfile) -> String {
    format!("{id} {profile}")
}

fn make_data_key(wrap: &Aes256Gcm, kek_id: u32, rng: &mut ChaCha20Rng) -> (SealedDataKey, [u8; 8], [u8; 32]) {
    let (mut id, mut key) = ([0u8; 8], [0u8; 32]);
    rng.fill_bytes(&mut id);
    rng.fill_bytes(&mut key);
    let mut out = Vec::with_capacity(SEALED_DATA_KEY_LEN);
    out.push(VERSION);
    out.extend_from_slice(&kek_id.to_be_bytes());
    out.extend_from_slice(&id);
    out.extend_from_slice(&seal_secret(wrap, &data_key_aad(kek_id, &id), &key, rng));
    (SealedDataKey(out), id, key)
}

fn open_data_key(
    wrap: &Aes256Gcm,
    kek_id: u32,
    sealed: &SealedDataKey,
) -> Result<([u8; 8], [u8; 32]), VaultError> {
    let body = sealed.as_bytes().split_first().ok_or(VaultError::Format)?.1;
    let (under, body) = body.split_first_chunk::<4>().ok_or(VaultError::Format)?;
    let (id, body) = body.split_first_chunk::<8>().ok_or(VaultError::Format)?;
    if u32::from_be_bytes(*under) != kek_id {
        return Err(VaultError::OtherKey);
    }
    let key = open_secret(wrap, &data_key_aad(kek_id, id), body)?;
    Ok((*id, key.as_slice().try_into().map_err(|_| VaultError::Format)?))
}

fn data_key_aad(kek_id: u32, id: &[u8; 8]) -> Vec<u8> {
    [KIND_DATA_KEY, &kek_id.to_be_bytes(), id].concat()
}

/// Nonce ‖ ciphertext ‖ tag.
fn seal_secret(key: &Aes256Gcm, aad: &[u8], secret: &[u8], rng: &mut ChaCha20Rng) -> Vec<u8> {
    let mut nonce = [0u8; 12];
    rng.fill_bytes(&mut nonce);
    let mut body = secret.to_vec();
    // GCM refuses only messages of many gigabytes. Were it to refuse these few octets, what stays must not be
    // the secret: a blob of zeros does not open.
    let tag: [u8; 16] = match key.encrypt_inout_detached(&Nonce::from(nonce), aad, body.as_mut_slice().into())
    {
        Ok(tag) => tag.into(),
        Err(_) => {
            body.fill(0);
            [0; 16]
        }
    };
    [nonce.as_slice(), &body, &tag].concat()
}

fn open_secret(key: &Aes256Gcm, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
    let (nonce, rest) = sealed.split_first_chunk::<12>().ok_or(VaultError::Format)?;
    let (body, tag) = rest.split_last_chunk::<16>().ok_or(VaultError::Format)?;
    let mut body = Zeroizing::new(body.to_vec());
    key.decrypt_inout_detached(&Nonce::from(*nonce), aad, body.as_mut_slice().into(), &(*tag).into())
        .map_err(|_| VaultError::Tampered)?;
    Ok(body)
}
