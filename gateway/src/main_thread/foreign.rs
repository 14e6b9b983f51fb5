//! Foreign SMFs: their datagrams, and the times of our own requests.

use super::MainThread;
use crate::link::SmfStatus;
use crate::time;
use pgw_policy::n4::Peer;

impl MainThread {
    /// What came by UDP, and what is due.
    pub(super) fn hear_smfs(&mut self) {
        let now = time::now();
        if let Some(socket) = &mut self.socket {
            let n4 = &mut self.n4;
            socket.receive(|smf, port, bytes| n4.handle_from(Peer::Udp(smf), port, bytes, now));
        }
        if self.n4.poll_timeout().is_some_and(|at| at <= now.mono) {
            self.n4.handle_timeout(now);
        }
        self.run_n4();
    }

    pub(super) fn smfs(&self) -> Vec<SmfStatus> {
        let status = |p: pgw_policy::n4::PeerStatus| SmfStatus {
            smf: p.smf,
            state: p.state,
            sessions: p.sessions as u64,
            restoration: p.restoration,
        };
        self.n4.peers().into_iter().map(status).collect()
    }
}
