//! One shard of the user plane (skeleton: signatures first).
use crate::batch::{Batch, ShardId};
use crate::command::{ShardCommand, ShardEvent, ShardReply};
use std::net::IpAddr;
use types::{FlowRecord, Now, Teid};

/// Bounds and timers.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Sessions in a shard.
    pub sessions: usize,
    /// Flows in a shard.
    pub flows: usize,
    /// Flows of one SIM.
    pub flows_per_sim: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { sessions: 65_536, flows: 262_144, flows_per_sim: 4096 }
    }
}

/// What a shard is told at its start.
#[derive(Debug, Clone)]
pub struct ShardConfig {
    /// Which one it is.
    pub id: ShardId,
    /// How many there are, 1 to 16.
    pub shards: u8,
    /// Our N3 address: what Error Indications name.
    pub n3: IpAddr,
    /// Bounds and timers.
    pub limits: Limits,
}

/// The shard that owns a TEID of ours.
pub fn shard_of(teid: Teid, shards: u8) -> ShardId {
    ShardId(((teid.value() >> 28) as u8) % shards.max(1))
}

/// See the module.
pub struct Shard {
    _config: ShardConfig,
}

impl Shard {
    /// An empty shard: no session, no policy, no radio admitted.
    pub fn new(config: ShardConfig, _seed: [u8; 32]) -> Self {
        Self { _config: config }
    }

    /// Judges everything in the batch and names what is to be sent.
    pub fn on_batch(&mut self, _batch: &mut Batch, _now: Now) {}

    /// Idle flows, interval records. Call it at least every 100 ms; it does a bounded piece of work.
    /// What it wants to send stands in `batch` (End Markers), which is empty before.
    pub fn on_tick(&mut self, _batch: &mut Batch, _now: Now) {}

    /// Carries out a command. What it says holds for every later batch.
    pub fn command(&mut self, _command: ShardCommand, _now: Now) -> ShardReply {
        ShardReply::Done
    }

    /// The next flow record.
    pub fn poll_record(&mut self) -> Option<FlowRecord> {
        None
    }

    /// The next thing that the control plane should know.
    pub fn poll_event(&mut self) -> Option<ShardEvent> {
        None
    }
}
