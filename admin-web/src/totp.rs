//! The second factor: one-time codes of a shared secret and the time (TOTP, RFC 6238; HOTP, RFC 4226).
//!
//! SHA-1, six digits, thirty seconds: what every authenticator app takes. The secret is sealed at rest with a key that
//! is derived from the node's key-encryption key; it is shown once, to the operator who asked for it.

use crate::seal::{self, NONCE};
use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use types::{Key256, Utc};
use zeroize::Zeroizing;

/// Seconds that a code is for.
const STEP: i64 = 30;
/// Steps that the two clocks may be apart.
const DRIFT: i64 = 1;
/// Octets of a secret: as long as the hash (RFC 4226 §4, R6).
const SECRET: usize = 20;

/// The shared secret of one operator.
pub(crate) struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// From the OS's randomness.
    pub(crate) fn new(random: [u8; SECRET]) -> Self {
        Self(Zeroizing::new(random.to_vec()))
    }

    /// As authenticator apps take it by hand.
    pub(crate) fn base32(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE32_NOPAD.encode(&self.0))
    }

    /// As authenticator apps take it from a picture (the `otpauth` URI of Google Authenticator's key URI format).
    pub(crate) fn uri(&self, operator: &str) -> Zeroizing<String> {
        Zeroizing::new(format!(
            "otpauth://totp/Sekisho:{operator}?secret={}&issuer=Sekisho&algorithm=SHA1&digits=6&period={STEP}",
            &*self.base32()
        ))
    }

    /// The code of one step.
    pub(crate) fn code(&self, step: i64) -> String {
        let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(&self.0) else { return String::new() };
        mac.update(&step.to_be_bytes());
        let hash: [u8; 20] = mac.finalize().into_bytes().into();
        // RFC 4226 §5.3: four octets from where the last nibble points, without the sign.
        let at = usize::from(hash.last().copied().unwrap_or_default() & 0x0f);
        let four = hash.iter().skip(at).take(4).fold(0u32, |n, b| n << 8 | u32::from(*b));
        format!("{:06}", (four & 0x7fff_ffff) % 1_000_000)
    }

    /// The step that a code is of, where it is later than `last`: a code is taken once.
    pub(crate) fn accepts(&self, code: &str, last: i64, now: Utc) -> Option<i64> {
        let here = step(now);
        // Every step is tried, so that the time taken tells nothing.
        (here - DRIFT..=here + DRIFT).fold(None, |found, s| {
            let same = same(self.code(s).as_bytes(), code.trim().as_bytes());
            if same && s > last && found.is_none() { Some(s) } else { found }
        })
    }

    /// Sealed for an operator.
    pub(crate) fn seal(&self, key: &Key256, operator: &str, nonce: [u8; NONCE]) -> Option<Vec<u8>> {
        seal::seal(key, operator, nonce, &self.0)
    }

    /// Opened for an operator; `None` where it was sealed for another, or with another key.
    pub(crate) fn open(sealed: &[u8], key: &Key256, operator: &str) -> Option<Self> {
        seal::open(key, operator, sealed).map(Self)
    }
}

/// The step of a time.
pub(crate) fn step(now: Utc) -> i64 {
    now.0.div_euclid(1000 * STEP)
}

/// Compared in a time that does not depend on where they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0u8, |d, (x, y)| d | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rfc() -> Secret {
        Secret::new(*b"12345678901234567890")
    }

    #[test]
    fn codes_are_those_of_rfc_6238() {
        // Appendix B, SHA-1, the last six of its eight digits.
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(rfc().code(step(Utc(seconds * 1000))), code);
        }
    }

    #[test]
    fn a_code_is_taken_once_and_one_step_early_or_late() {
        let now = Utc(59_000);
        let here = step(now);
        for (at, taken) in [(-2, false), (-1, true), (0, true), (1, true), (2, false)] {
            assert_eq!(
                rfc().accepts(&rfc().code(here + at), 0, now).is_some(),
                taken && here + at > 0,
                "{at}"
            );
        }
        let code = rfc().code(here);
        assert_eq!(rfc().accepts(&code, here - 1, now), Some(here));
        assert_eq!(rfc().accepts(&code, here, now), None, "the same code again");
        assert_eq!(rfc().accepts(&rfc().code(here - 1), here, now), None, "an older one after it");
        for wrong in ["", "28708", "2870820", "287083", "abcdef"] {
            assert_eq!(rfc().accepts(wrong, 0, now), None, "{wrong}");
        }
        assert_eq!(rfc().accepts(" 287082\n", 0, now), Some(here));
    }

    #[test]
    fn a_secret_is_opened_for_its_operator_with_its_key_alone() {
        let (key, other) = (Key256::new([1; 32]), Key256::new([2; 32]));
        let mut sealed = rfc().seal(&key, "hanako", [7; 12]).unwrap();
        assert!(!sealed.windows(20).any(|w| w == b"12345678901234567890"));
        assert_eq!(Secret::open(&sealed, &key, "hanako").unwrap().code(1), "287082");
        assert!(Secret::open(&sealed, &key, "taro").is_none());
        assert!(Secret::open(&sealed, &other, "hanako").is_none());
        *sealed.last_mut().unwrap() ^= 1;
        assert!(Secret::open(&sealed, &key, "hanako").is_none());
        assert!(Secret::open(&[0; 5], &key, "hanako").is_none());
    }

    #[test]
    fn the_uri_is_what_apps_read() {
        let uri = rfc().uri("hanako");
        assert!(
            uri.starts_with("otpauth://totp/Sekisho:hanako?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&"),
            "{}",
            &*uri
        );
    }
}
