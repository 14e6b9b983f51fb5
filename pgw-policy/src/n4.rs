//! The PFCP node of the gateway (skeleton: signatures first).
use crate::batch::ShardId;
use crate::command::{ShardCommand, ShardEvent, ShardReply};
use std::net::{IpAddr, Ipv4Addr};
use types::{GatewaySession, Imsi, Now};

/// Who speaks PFCP to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// Our own control plane, over the UNIX socket.
    Local,
    /// A foreign one, from this address.
    Udp(IpAddr),
}

/// What the node is told at its start.
#[derive(Debug, Clone)]
pub struct N4Config {
    /// Our Node ID and the address in our F-SEIDs.
    pub node: Ipv4Addr,
    /// Our N3 address: what our F-TEIDs name.
    pub n3: Ipv4Addr,
    /// Foreign peers that may associate.
    pub peers: Vec<IpAddr>,
    /// Shards, 1 to 16.
    pub shards: u8,
    /// Sessions in all.
    pub max_sessions: usize,
}

/// A change under way: what its commands and their answers carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// What the node wants done.
#[derive(Debug, Clone)]
pub enum N4Output {
    /// Send these octets to a peer.
    Send {
        /// To whom.
        peer: Peer,
        /// PFCP.
        bytes: Vec<u8>,
    },
    /// Give this command to a shard, and its answer to [`N4::confirmed`].
    Command {
        /// What the answer is given back with. One token may have several commands under way.
        token: Token,
        /// Which shard.
        shard: ShardId,
        /// What.
        command: ShardCommand,
    },
}

/// See the module.
pub struct N4 {
    _config: N4Config,
}

impl N4 {
    /// A node without associations or sessions. `now.utc` becomes its Recovery Time Stamp.
    pub fn new(config: N4Config, _now: Now, _seed: [u8; 32]) -> Self {
        Self { _config: config }
    }

    /// Takes one PFCP datagram.
    pub fn handle(&mut self, _peer: Peer, _bytes: &[u8], _now: Now) {}

    /// Takes a shard's answer.
    pub fn confirmed(&mut self, _token: Token, _reply: ShardReply, _now: Now) {}

    /// Takes what a shard saw; becomes a Session Report.
    pub fn event(&mut self, _event: ShardEvent, _now: Now) {}

    /// Says that a SIM is banned (or not): its sessions are refused at PFCP.
    pub fn revoke(&mut self, _imsi: Imsi, _banned: bool) {}

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<N4Output> {
        None
    }

    /// Our Recovery Time Stamp, NTP seconds.
    pub fn recovery(&self) -> u32 {
        0
    }

    /// The sessions of our own control plane.
    pub fn sessions(&self) -> Vec<GatewaySession> {
        Vec::new()
    }
}
