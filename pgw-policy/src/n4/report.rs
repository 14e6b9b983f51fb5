//! What the shards saw, as Session Reports (TS 29.244 §7.5.8).

use super::requests::About;
use super::{Entry, N4};
use crate::command::ShardEvent;
use crate::session::Far;
use std::net::IpAddr;
use types::{Now, Seid, Teid};
use wire::pfcp::{self, FTeid, PdrId};

impl Entry {
    /// The PDR of a packet for the UE, and its FAR. Without filters there is one; with them, the one that the packet
    /// belongs to, if it is still there.
    pub(super) fn met(&self, pdr: Option<u16>) -> Option<(u16, &Far)> {
        let by_id = |id: u16| self.rules.pdrs.get(&id).map(|rule| (id, rule));
        let (id, rule) = pdr.map_or_else(|| self.rules.downlink_pdr(self.identity.ue), by_id)?;
        self.rules.fars.get(&rule.far).map(|far| (id, far))
    }
}

impl N4 {
    /// Takes what a shard saw; becomes a Session Report.
    pub fn event(&mut self, event: ShardEvent, now: Now) {
        match event {
            ShardEvent::DownlinkData { seid, pdr } => self.report_data(seid, pdr, now),
            ShardEvent::ErrorIndication { peer, teid } => self.on_error_indication(peer, teid, now),
            // No PFCP message says it.
            ShardEvent::EndedTunnelUsed { .. } => {}
        }
    }

    pub(super) fn report_data_now(&mut self, seid: Seid, pdr: Option<u16>, now: Now) {
        let Some(e) = self.sessions.get(&seid) else { return };
        let Some((pdr, _)) = e.met(pdr).filter(|(_, far)| far.notifies) else { return };
        let report = pfcp::DownlinkDataReport { pdr_ids: vec![PdrId(pdr)], others: Vec::new() };
        let message = pfcp::SessionReportRequest {
            report_type: pfcp::ReportType(0x01),
            downlink_data_report: Some(report),
            ..Default::default()
        };
        self.report(seid, message, now);
    }

    /// The radio gave a tunnel up (TS 23.527 §5.3.3.1): nothing more is sent there, and the control plane
    /// hears of it. It counts only from the very radio that the tunnel leads to.
    fn on_error_indication(&mut self, peer: IpAddr, teid: Teid, now: Now) {
        let Some(seid) = self.by_tunnel.remove(&(peer, teid)) else { return };
        self.lose_tunnel(seid, peer, teid);
        let remote_f_teid = FTeid::at(teid.value(), peer);
        let message = pfcp::SessionReportRequest {
            report_type: pfcp::ReportType(0x04),
            error_indication_report: Some(pfcp::ErrorIndicationReport { remote_f_teid, others: Vec::new() }),
            ..Default::default()
        };
        self.report(seid, message, now);
    }

    fn report(&mut self, seid: Seid, message: pfcp::SessionReportRequest, now: Now) {
        let Some(e) = self.sessions.get(&seid).filter(|e| e.ready) else { return };
        let (peer, cp) = (e.peer, e.cp.seid);
        self.request(peer, Some(cp), message.into(), About::Report(seid), now);
    }
}
