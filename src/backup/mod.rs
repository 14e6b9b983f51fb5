//! Backup and restore: the database, the revocation journal and the node's keys in one sealed file.
//!
//! A backup is made while everything runs ([`make`]): a snapshot of the database as of one moment, then the journal,
//! which is therefore at least as new, then the key files. All of it is sealed to the recovery key (`recovery`),
//! whose secret the node does not have: who steals the node's disk opens no backup, and who steals a backup opens
//! nothing without the recovery key.
//!
//! A restore ([`restore`]) is offline. It verifies the whole file before it writes, works in a directory of its own
//! beside the target, and puts that in place by one rename, so that a refused or interrupted restore leaves nothing.
//! What an old backup cannot know is met with *deny*: without a newer journal every SIM is held until an owner
//! confirms the list of bans, every SIM's SQN jumps ahead, and no address gets a new owner for a day.
//!
//! A drill does the same into a temporary directory, says what it found, and leaves nothing.

mod archive;
mod make;
mod recovery;
mod restore;
mod seal;
mod words;

#[cfg(test)]
mod tests;

pub use archive::{JournalPart, Manifest};
pub use make::{Made, is_there, list, make, sweep};
pub use recovery::{RecoveryPublic, RecoverySecret, make_key, public_key};
pub use restore::{HELD, Report, Restore, drill, finish, restore};
pub use words::Refusal;
