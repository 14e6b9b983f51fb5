//! MMEs and SMFs of another core, as people see them: whether each is there, what it has of us, and what became of that when
//! it or we started anew (TS 23.007, TS 23.527 §4).

use super::{Control, line::Line};
use admin_web::PeerView;
use gateway::link::{GatewayStatus, SmfStatus};
use types::SmfState;
use wire::diameter::Identity;

/// What a face knows of one of its peers.
#[derive(Default)]
pub(super) struct Held {
    /// SIMs that it serves, or sessions that it has.
    pub holds: usize,
    /// Sessions that have ended because it started anew.
    pub ended: u64,
    /// SIMs that it is to let go of.
    pub due: usize,
}

impl Line {
    /// Everybody of the list, with what the face knows of each.
    pub fn views(&self, face: &'static str, held: impl Fn(&Identity) -> Held) -> Vec<PeerView> {
        let one = |(name, seen): (&Identity, Option<(Option<u32>, u64)>)| {
            let Held { holds, ended, due } = held(name);
            PeerView {
                face,
                name: name.to_string(),
                state: match self.peers.is_up(name) {
                    true => "up",
                    false if seen.is_some() => "away",
                    false => "never",
                },
                started: None,
                origin_state: seen.and_then(|(state, _)| state),
                restarts: seen.map_or(0, |(_, restarts)| restarts),
                holds: holds as u64,
                ended,
                restored: 0,
                due: due as u64,
            }
        };
        self.peers.listed().map(one).collect()
    }
}

impl Control {
    /// All of them.
    pub(super) fn core_peers(&self, gateway: Option<&GatewayStatus>) -> Vec<PeerView> {
        let s6a = self.s6a.iter().flat_map(|w| w.views());
        let gx = self.gx.iter().flat_map(|w| w.views());
        let n4 = gateway.into_iter().flat_map(|g| g.smfs.iter().map(|s| self.smf_view(s)));
        s6a.chain(gx).chain(n4).collect()
    }

    fn smf_view(&self, s: &SmfStatus) -> PeerView {
        let r = s.restoration;
        PeerView {
            face: "n4",
            name: self.smf_name(s.smf),
            state: match s.state {
                SmfState::Up => "up",
                SmfState::Silent => "silent",
                _ if r.recovery.is_some() => "away",
                _ => "never",
            },
            started: r.started(),
            origin_state: None,
            restarts: r.restarts,
            holds: s.sessions,
            ended: r.ended,
            restored: r.restored,
            due: 0,
        }
    }
}
