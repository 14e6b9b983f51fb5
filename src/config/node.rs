//! `[gateway]`, `[revocation]`, `[paths]`, `[store]`, `[log]`: how the two processes run on this machine and what they keep
//! there.

use gateway::journal::copies::CopyConfig;
use serde::Deserialize;
use std::path::PathBuf;

/// `[gateway]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// Network namespace that the gateway enters, as a path such as `/run/netns/core`; empty: stay.
    #[serde(default)]
    pub netns: Option<PathBuf>,
    /// Packet threads; each owns a share of the sessions.
    #[serde(default = "default_shards")]
    pub shards: u8,
    /// Where copies of the revocation journal are kept, off this machine.
    #[serde(default)]
    pub journal_copies: Vec<CopyConfig>,
    /// How long the receipt of a ban waits for the copies, milliseconds; 0: not at all.
    #[serde(default)]
    pub journal_copy_wait_ms: u64,
}

impl Default for Gateway {
    fn default() -> Self {
        Self { netns: None, shards: default_shards(), journal_copies: Vec::new(), journal_copy_wait_ms: 0 }
    }
}

/// `[revocation]`: bans and what takes them back.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// An unban waits until somebody else with the right `approve` agrees.
    #[serde(default)]
    pub second_person: bool,
}

/// `[paths]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paths {
    /// Directory of database, key file, revocation journal and flow records; mode 0700.
    pub data: PathBuf,
    /// Directory of the sockets between the two processes; `data` where not given.
    #[serde(default)]
    pub run: Option<PathBuf>,
}

/// `[store]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSection {
    /// `sqlite:PATH` or `postgres://…`; `sqlite:` in the data directory where not given.
    #[serde(default)]
    pub url: Option<String>,
}

/// `[log]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// `text` or `json`.
    #[serde(default)]
    pub format: LogFormat,
    /// Filter such as `info` or `info,access=debug`.
    #[serde(default)]
    pub filter: Option<String>,
}

/// Form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line of words and fields.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}
fn default_shards() -> u8 {
    std::thread::available_parallelism().map_or(1, |n| n.get().min(16) as u8)
}
