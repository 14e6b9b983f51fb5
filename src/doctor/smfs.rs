//! Another core's SMFs at N4, and what became of their sessions when they or we started anew.

use super::{
    judge::{List, both},
    machine::Machine,
};
use crate::config::Config;
use gateway::link::SmfStatus;
use types::SmfState;

pub(super) fn judge(l: &mut List, c: &Config, m: &Machine) {
    let (Some(n4), Some(g)) = (&c.n4, &m.gateway) else { return };
    for s in &g.smfs {
        let name =
            n4.smf.iter().find(|e| e.address == s.smf).map_or_else(|| s.smf.to_string(), |e| e.name.clone());
        one(l, &name, s);
    }
}

fn one(l: &mut List, name: &str, s: &SmfStatus) {
    let what = || both!("SMF at N4", "N4 の SMF");
    let (sessions, r) = (s.sessions, s.restoration);
    let (restarts, ended, restored) = (r.restarts, r.ended, r.restored);
    let (code, seen) = match s.state {
        SmfState::Up => {
            return l.good(
                "smf",
                what(),
                both!(
                    "{name}: {sessions} sessions; it has started anew {restarts} times, which ended {ended} sessions; {restored} were given back after our start",
                    "{name}: セッション {sessions} 件。再起動 {restarts} 回、それによる終了 {ended} 件、当方の再起動後の復元 {restored} 件"
                ),
            );
        }
        SmfState::Silent => (
            "smf-silent",
            both!(
                "{name} does not answer heartbeats: its {sessions} sessions go on, it gets no new one",
                "{name} がハートビートに応答しません。既存の {sessions} 件は続きますが、新しいセッションは拒否します"
            ),
        ),
        SmfState::Never | SmfState::Restarted | SmfState::Released => {
            ("smf-away", both!("{name} has no association", "{name} とのアソシエーションがありません"))
        }
    };
    l.note(
        code,
        what(),
        seen,
        both!(
            "see that it runs, and that its address is that of its entry and its UPF address ours",
            "SMF が起動していること、そのアドレスが設定と一致し、SMF 側の UPF アドレスが当方のものであることを確認してください"
        ),
        "sekisho core-peer list",
    );
}
