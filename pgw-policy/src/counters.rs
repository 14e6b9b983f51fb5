//! What a shard counts: packets let through, and packets dropped, by reason.

use serde::{Deserialize, Serialize};
use types::Reason;

/// Counters of one shard, since its start.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Inner packets let through to N6.
    pub uplink_packets: u64,
    /// Octets of inner IP let through to N6.
    pub uplink_bytes: u64,
    /// Inner packets let through to a UE.
    pub downlink_packets: u64,
    /// Octets of inner IP let through to a UE.
    pub downlink_bytes: u64,
    /// Packets between two UEs let through (counted at the receiving side, also as downlink).
    pub ue_to_ue_packets: u64,
    /// Packets handed to another shard.
    pub handed: u64,
    /// Echo requests answered.
    pub echoes: u64,
    /// Error Indications sent.
    pub error_indications: u64,
    /// Error Indications that a session's own radio sent.
    pub error_indications_received: u64,
    /// End Markers sent.
    pub end_markers: u64,
    /// Resets and ICMP messages sent for `reject`.
    pub rejects: u64,
    /// ICMP messages "fragmentation needed" sent.
    pub too_big_told: u64,
    /// Router Advertisements sent.
    pub advertisements: u64,
    /// SYNs whose offer of a segment size was lowered.
    pub mss_lowered: u64,
    /// Streams whose server name was read and is one of their app's.
    pub names_read: u64,
    /// Addresses of apps' names that were learned from look-ups.
    pub names_learned: u64,
    /// Questions and addresses that were not noted because there was no room.
    pub lookups_left_out: u64,
    /// Packets that waited for an idle UE, whatever became of them.
    pub waited: u64,
    /// Answers of ours that were left out because there were too many of them.
    pub answers_limited: u64,
    /// Flow records that had no room.
    pub records_lost: u64,
    /// Allowed flows that ended and were not written down, because their rule says so.
    pub records_left_out: u64,
    dropped: Vec<u64>,
}

impl Counters {
    /// All zero.
    pub fn new() -> Self {
        Self { dropped: vec![0; Reason::ALL.len()], ..Self::default() }
    }

    pub(crate) fn drop_one(&mut self, reason: Reason) {
        if let Some(n) = self.dropped.get_mut(reason as usize) {
            *n += 1;
        }
    }

    /// Packets dropped for `reason`.
    pub fn dropped(&self, reason: Reason) -> u64 {
        self.dropped.get(reason as usize).copied().unwrap_or(0)
    }

    /// Each reason with its number of dropped packets, where there were any.
    pub fn drops(&self) -> impl Iterator<Item = (Reason, u64)> + '_ {
        Reason::ALL.iter().map(|&r| (r, self.dropped(r))).filter(|(_, n)| *n > 0)
    }

    /// All dropped packets.
    pub fn dropped_in_all(&self) -> u64 {
        self.dropped.iter().sum()
    }

    /// Adds another shard's counters to these.
    pub fn add(&mut self, other: &Self) {
        self.uplink_packets += other.uplink_packets;
        self.uplink_bytes += other.uplink_bytes;
        self.downlink_packets += other.downlink_packets;
        self.downlink_bytes += other.downlink_bytes;
        self.ue_to_ue_packets += other.ue_to_ue_packets;
        self.handed += other.handed;
        self.echoes += other.echoes;
        self.error_indications += other.error_indications;
        self.error_indications_received += other.error_indications_received;
        self.end_markers += other.end_markers;
        self.rejects += other.rejects;
        self.too_big_told += other.too_big_told;
        self.advertisements += other.advertisements;
        self.mss_lowered += other.mss_lowered;
        self.names_read += other.names_read;
        self.names_learned += other.names_learned;
        self.lookups_left_out += other.lookups_left_out;
        self.waited += other.waited;
        self.answers_limited += other.answers_limited;
        self.records_lost += other.records_lost;
        self.records_left_out += other.records_left_out;
        self.dropped.resize(Reason::ALL.len(), 0);
        for (a, b) in self.dropped.iter_mut().zip(&other.dropped) {
            *a += b;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_counter_of_its_own() {
        let mut c = Counters::new();
        for &r in Reason::ALL {
            c.drop_one(r);
        }
        assert!(Reason::ALL.iter().all(|&r| c.dropped(r) == 1));
        let mut sum = Counters::default();
        sum.add(&c);
        sum.add(&c);
        assert_eq!(sum.dropped_in_all(), 2 * Reason::ALL.len() as u64);
    }
}
