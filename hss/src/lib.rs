//! Answers "who is this SIM and may it live?" to any asker.
//!
//! A pure core: it holds the directory of all SIMs in memory (K sealed), fed by [`Input::Load`] and
//! [`Input::Put`]; what must become durable leaves as [`Output::Persist`], and the answer that depends
//! on it waits for [`Input::Persisted`]. It reads no clock, draws no random number and speaks no
//! protocol: N1/N2's AMF, S6a and the others are faces of the same answers.
//!
//! | file | what |
//! | --- | --- |
//! | `core` | the five verbs, and the order in which things are checked |
//! | `aka` | vectors: SQN ceilings, the queue of a SIM, re-synchronisation |
//! | `admission` | may this SIM, in this device, be served? (decision D6) |
//! | `equipment` | the company's list of devices, bindings, devices learnt on first use |
//! | `bearer` | the default bearer, as MMEs and SMFs are told of it |
//! | [`diameter`] | Diameter peers |
//! | [`s6a`], [`s13`], [`gx`] | the faces: HSS and EIR of an MME, PCRF of an SMF |
//! | `home_keys` | the home network's keys, and whom a SUCI conceals |
//! | [`vault`] | K, OPc and the home network's private keys at rest (decision D7) |

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod admission;
mod aka;
mod bearer;
mod core;
pub mod diameter;
mod equipment;
pub mod gx;
mod home_keys;
mod io;
mod record;
pub mod s13;
pub mod s6a;
#[cfg(test)]
mod spoilt;
pub mod vault;

pub use crate::core::{Hss, HssConfig};
pub use equipment::EquipmentBook;
pub use home_keys::HomeKey;
pub use io::{Input, Output, Persist};
pub use record::{Algorithm, RecordError, SimRecord};
pub use sim_auth::milenage::opc;
pub use sim_auth::suci::HomeNetworkKey;
pub use sim_auth::tuak::{TuakK, TuakKeys};
pub use sim_auth::{CardKeys, SqnClock, SqnHorizon, SqnMode, SqnProfile, SqnState};
pub use vault::{KFingerprint, SealedDataKey, SealedHomeKey, SealedKeys, Vault, VaultError};
