//! The default bearer of a session beside another core: what an MME is told by S6a, an SMF by Gx.

use types::Subscription;
use wire::diameter::{Arp, BearerQos};

/// A bearer without a guaranteed rate, the least of them (TS 23.203 table 6.1.7).
pub(crate) const QCI: u32 = 9;
/// ARP: priority 8 of 15, takes nothing from others and loses nothing to them.
pub(crate) const ARP: Arp = Arp { priority: 8, may_preempt: Some(1), preemptable: Some(1) };

/// Its quality.
pub(crate) fn qos() -> BearerQos {
    BearerQos { qci: Some(QCI), arp: Some(ARP) }
}

/// AMBR of a subscription, uplink and downlink, bits a second, as wide as the AVP can say.
pub(crate) fn ambr(s: &Subscription) -> (u32, u32) {
    let rate = |bps: u64| u32::try_from(bps).unwrap_or(u32::MAX);
    (rate(s.ambr_ul_bps), rate(s.ambr_dl_bps))
}
