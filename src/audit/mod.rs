//! The audit outside its table: signed checkpoints, and what `sekisho audit verify` finds.
//!
//! The chain in the table tells of whoever changes a row and leaves the rest. Whoever can write the whole database can
//! compute a new chain; what was signed before, and is kept in a file beside the database and wherever the audit is
//! delivered to, says that it is another one. Rows behind the newest checkpoint (at most [`checkpoints::ROWS`], or
//! what was written in [`checkpoints::EVERY`]) are held by the chain and the counter alone.
//!
//! | file | what |
//! | --- | --- |
//! | `checkpoints` | the task that reads what is new, signs it, and pays what bans owe |
//! | `file` | `audit.checkpoints`: one line each, only ever appended |
//! | `verify` | the whole audit, from a database or an export, against everything that was signed |
//! | `words` | what was found, in words |

pub mod checkpoints;
pub mod file;
pub mod verify;
pub mod words;
