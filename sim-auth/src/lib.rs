//! SIM cryptography as pure functions: what a home network and a USIM compute from K.
//!
//! | module | what | where it is written |
//! | --- | --- | --- |
//! | [`milenage`] | f1 … f5\*, OPc | TS 35.206 |
//! | [`tuak`] | f1 … f5\*, TOPc | TS 35.231 |
//! | [`card`] | either of them with its keys | |
//! | [`aka`] | AUTN and AUTS, made and checked; vectors | TS 33.102 §6.3 |
//! | [`kdf`] | the key derivation function | TS 33.220 Annex B.2 |
//! | [`fgs`] | keys of 5GS | TS 33.501 Annex A |
//! | [`eap`] | keys of EAP-AKA' | RFC 9048, TS 33.501 §6.1.3.1 |
//! | [`eps`] | keys of EPS | TS 33.401 Annex A |
//! | [`horizon`] | one ceiling for all SIMs whose SQN follows the clock | |
//! | [`sqn`] | which SQN comes next, and what must be durable before it | TS 33.102 Annex C |
//! | [`suci`] | concealed identities: profiles A and B | TS 33.501 Annex C.3 |
//! | [`usim`] | a simulated card that checks as ordinary cards do | TS 33.102 §6.3.3, Annex C.2 |
//!
//! Nothing here holds a directory of SIMs, reads a clock or draws a random number: RAND, SQN and time
//! come in as arguments. Secrets have no `Debug`, are zeroed on drop and compared in constant time.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

pub mod aka;
pub mod card;
pub mod eap;
pub mod eps;
pub mod fgs;
pub mod horizon;
pub mod kdf;
pub mod milenage;
pub mod sqn;
pub mod suci;
pub mod tuak;
pub mod usim;

pub use aka::{Aka, AutnOpened, MacFailure, Xres};
pub use card::{Card, CardKeys};
pub use eap::{EapKeys, EapProof, eap_vector_of};
pub use eps::{EpsVector, eps_vector, eps_vector_of};
pub use fgs::{Expected, FgVector, fg_vector, fg_vector_of};
pub use horizon::SqnHorizon;
pub use milenage::Milenage;
pub use sqn::{IndSplitError, Next, Resync, SqnClock, SqnGenerator, SqnMode, SqnProfile, SqnState};
pub use tuak::{TuakK, TuakKeys};
pub use usim::{EapAnswer, FgAnswer, Seen, Usim, UsimAnswer};
