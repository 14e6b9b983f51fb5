//! Secrets and authentication values.
//!
//! A secret has no `Debug`, no `Display`, no `Serialize`; it is zeroed on drop and compared in constant
//! time. Values that go over the air in clear (RAND, AUTN, AUTS) are ordinary values.

use serde::{Deserialize, Serialize};
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Zeroize, ZeroizeOnDrop)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Takes the octets.
            pub fn new(b: [u8; $len]) -> Self {
                Self(b)
            }

            /// The octets, for the cipher that needs them. The name is loud on purpose.
            pub fn expose(&self) -> &[u8; $len] {
                &self.0
            }

            /// From hexadecimal digits; the error never repeats the input.
            pub fn from_hex(s: &str) -> Result<Self, &'static str> {
                let mut b = [0u8; $len];
                if s.len() != 2 * $len || !s.is_ascii() {
                    return Err(concat!("a key of ", stringify!($len), " octets, in hexadecimal, is expected"));
                }
                for (o, pair) in b.iter_mut().zip(s.as_bytes().chunks_exact(2)) {
                    let t = std::str::from_utf8(pair).map_err(|_| "not hexadecimal")?;
                    *o = u8::from_str_radix(t, 16).map_err(|_| "only hexadecimal digits are allowed in a key")?;
                }
                Ok(Self(b))
            }
        }

        impl PartialEq for $name {
            fn eq(&self, o: &Self) -> bool {
                self.0.ct_eq(&o.0).into()
            }
        }
        impl Eq for $name {}
    };
}

secret!(
    /// A 128-bit secret: CK, IK, a NAS key, XRES*.
    Key128, 16);
secret!(
    /// A 256-bit secret: KAUSF, KSEAF, KAMF, KgNB, KASME, a wrapping key.
    Key256, 32);
secret!(
    /// The SIM's long-term key K (TS 33.102 §6.3).
    K, 16);
secret!(
    /// OPc, the operator value bound to K (TS 35.206 §4.1).
    Opc, 16);

/// How a SIM proves itself in 5GS (TS 33.501 §6.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum AuthenticationMethod {
    /// 5G AKA.
    #[default]
    #[serde(rename = "5g-aka")]
    FgAka,
    /// EAP-AKA'.
    #[serde(rename = "eap-aka-prime")]
    EapAkaPrime,
}

/// The random challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rand(pub [u8; 16]);

/// The authentication token: (SQN ⊕ AK) ‖ AMF ‖ MAC-A.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Autn(pub [u8; 16]);

/// The re-synchronisation token: (SQN_MS ⊕ AK*) ‖ MAC-S.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Auts(pub [u8; 14]);

/// The answer of the UE (RES* in 5GS, RES in EPS) as received, 4–16 octets; compare by [`Res::matches`].
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Res(pub Vec<u8>);

impl Res {
    /// Constant-time comparison with what was expected.
    pub fn matches(&self, expected: &[u8]) -> bool {
        self.0.as_slice().ct_eq(expected).into()
    }
}

impl fmt::Debug for Res {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Res({} octets)", self.0.len())
    }
}
