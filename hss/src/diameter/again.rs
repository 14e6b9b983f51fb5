//! Answers that are kept for a while: a request that comes twice has its effect once (RFC 6733 §8.22, Appendix C).

use std::collections::VecDeque;
use wire::diameter::Header;

/// How many are kept of each peer.
const KEPT: usize = 256;

/// The last answers to one peer, by their end-to-end identifiers.
#[derive(Default)]
pub(super) struct Again(VecDeque<(u32, Vec<u8>)>);

impl Again {
    pub fn keep(&mut self, end_to_end: u32, answer: &[u8]) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back((end_to_end, answer.to_vec()));
    }

    /// The answer that this request had, if it says that it may have come before: with its new hop-by-hop identifier.
    pub fn answered(&self, request: &Header) -> Option<Vec<u8>> {
        let (_, answer) =
            self.0.iter().rev().find(|(e, _)| request.retransmitted && *e == request.end_to_end)?;
        let mut answer = answer.clone();
        answer.get_mut(12..16)?.copy_from_slice(&request.hop_by_hop.to_be_bytes());
        Some(answer)
    }
}
