//! A session as PFCP describes it (`Pdr Far Qer Urr`, TS 29.244 §5.2), and what a shard needs of it.
//!
//! [`Rules`] is what the control plane wrote, [`Rules::paths`] is the one place where it becomes
//! what the packet path reads: [`Paths`]. Rules of the company (apps, groups, verdicts) and the ban
//! are not here; they stand above (decision D4).

use ipnet::{IpNet, Ipv6Net};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use types::{Dnn, Imsi, PduSessionId, Seid, SimFacts, Snssai, Supi, Teid, UeIp};

/// Which side a packet of a PDR comes from, or a FAR sends to (TS 29.244 §8.2.2, §8.2.24).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Towards the UE.
    Access,
    /// Towards the data network.
    Core,
    /// Towards the data network, SGi-LAN or N6-LAN.
    SgiLan,
    /// The control plane.
    CpFunction,
}

/// Packet detection rule (TS 29.244 §5.2.1A).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pdr {
    /// Lower is read first.
    pub precedence: u32,
    /// Source interface.
    pub source: Side,
    /// Our tunnel endpoint, for packets that arrive by GTP-U.
    pub teid: Option<Teid>,
    /// The UE's address in the PDI.
    pub ue: Option<UeIp>,
    /// The UE's IPv6 prefix in the PDI.
    pub prefix: Option<Ipv6Net>,
    /// True if the PDI has a filter (SDF, application) that this user plane does not read; then the rule
    /// never matches, so it can never let more through than its writer meant.
    pub filtered: bool,
    /// QoS flows in the PDI, one bit each; 0: all.
    pub qfis: u64,
    /// True if the outer header is to be removed.
    pub removes_outer_header: bool,
    /// Its FAR.
    pub far: u32,
    /// Its QERs.
    pub qers: Vec<u32>,
    /// Its URRs.
    pub urrs: Vec<u32>,
}

/// A radio's tunnel endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tunnel {
    /// Its address.
    pub peer: IpAddr,
    /// Its TEID.
    pub teid: Teid,
}

/// Forwarding action rule (TS 29.244 §5.2.1A). Everything that is not plainly `FORW` carries nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Far {
    /// True if Apply Action has FORW and neither DROP nor BUFF.
    pub forwards: bool,
    /// True if Apply Action has BUFF and not DROP: packets wait.
    pub buffers: bool,
    /// True if Apply Action has NOCP: the control plane wants to hear of the first packet that waits.
    pub notifies: bool,
    /// Destination interface, where forwarding parameters are given.
    pub to: Option<Side>,
    /// Outer header creation towards a radio.
    pub tunnel: Option<Tunnel>,
}

/// QoS enforcement rule (TS 29.244 §5.2.1A).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Qer {
    /// False: the uplink gate is closed.
    pub uplink_open: bool,
    /// False: the downlink gate is closed.
    pub downlink_open: bool,
    /// Maximum bit rate (uplink, downlink), kbit/s.
    pub mbr_kbps: Option<(u64, u64)>,
    /// QoS flow that downlink packets are marked with.
    pub qfi: Option<u8>,
}

/// Usage reporting rule (TS 29.244 §5.2.2). It counts the session's inner octets in the directions of the PDRs that
/// name it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Urr {
    /// True if volume is measured.
    pub volume: bool,
    /// True if time is.
    pub time: bool,
    /// When it is reported (Reporting Triggers, octets 5 and 6).
    pub triggers: u16,
    /// Reported every so many seconds.
    pub period: Option<u32>,
    /// Reported at this volume.
    pub volume_threshold: Volume,
    /// Used up at this volume.
    pub volume_quota: Volume,
    /// Reported after so many seconds.
    pub time_threshold: Option<u32>,
    /// Used up after so many seconds.
    pub time_quota: Option<u32>,
    /// True once a quota is used up: its PDRs forward nothing until the control plane gives a new one.
    pub exhausted: bool,
}

impl Urr {
    /// True if it says nothing by itself: it is reported when it is asked for, and at its end.
    pub fn is_passive(&self) -> bool {
        let by_itself = 0x0700;
        let quota = self.volume_quota != Volume::default() || self.time_quota.is_some();
        self.triggers & by_itself == 0 && !quota
    }
}

/// Volumes of a threshold or a quota, octets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Volume {
    /// Both ways.
    pub total: Option<u64>,
    /// From the UE.
    pub uplink: Option<u64>,
    /// To the UE.
    pub downlink: Option<u64>,
}

/// Inner octets that passed in a session, and its packets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// From the UE.
    pub uplink: u64,
    /// To the UE.
    pub downlink: u64,
}

impl Volume {
    /// True if `used` has reached one of them.
    pub fn is_reached(&self, used: Usage) -> bool {
        let reached = |most: Option<u64>, used| most.is_some_and(|most| used >= most);
        reached(self.total, used.uplink.saturating_add(used.downlink))
            || reached(self.uplink, used.uplink)
            || reached(self.downlink, used.downlink)
    }
}

/// Everything that the control plane wrote for one session.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// By PDR ID.
    pub pdrs: BTreeMap<u16, Pdr>,
    /// By FAR ID.
    pub fars: BTreeMap<u32, Far>,
    /// By QER ID.
    pub qers: BTreeMap<u32, Qer>,
    /// By URR ID.
    pub urrs: BTreeMap<u32, Urr>,
}

/// Whose session it is, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Whose.
    pub supi: Supi,
    /// The address of the UE.
    pub ue: UeIp,
    /// Its IPv6 prefix, where it has one.
    pub prefix: Option<Ipv6Net>,
    /// Data network.
    pub dnn: Option<Dnn>,
    /// Slice.
    pub snssai: Option<Snssai>,
    /// Which PDU session of theirs; our own control plane says it.
    pub pdu_session_id: Option<PduSessionId>,
}

/// A set of uplink packets of one of our tunnel endpoints. As [`Paths::uplink`]: those that may go to N6, if the
/// policy says so; the others are dropped: gate closed, no FORW, not for N6.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Uplink {
    /// One bit per QoS flow, for packets with a PDU Session Container.
    pub qfis: u64,
    /// For packets without one.
    pub without_qfi: bool,
}

impl Uplink {
    /// Everything may go.
    pub const FORWARD: Self = Self { qfis: u64::MAX, without_qfi: true };
    /// Nothing may go.
    pub const DROP: Self = Self { qfis: 0, without_qfi: false };

    /// True if a packet with this QFI is among them.
    pub fn takes(self, qfi: Option<u8>) -> bool {
        qfi.map_or(self.without_qfi, |q| self.qfis >> (q & 0x3f) & 1 != 0)
    }

    fn and(self, other: Self) -> Self {
        Self { qfis: self.qfis | other.qfis, without_qfi: self.without_qfi || other.without_qfi }
    }

    fn but(self, other: Self) -> Self {
        Self { qfis: self.qfis & !other.qfis, without_qfi: self.without_qfi && !other.without_qfi }
    }
}

/// What happens to downlink packets of the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Downlink {
    /// They may go into this tunnel, if the policy says so.
    Forward {
        /// The radio's end.
        tunnel: Tunnel,
        /// QoS flow; with one, a PDU Session Container is added.
        qfi: Option<u8>,
    },
    /// The UE is idle: they wait, so many and so long, until it is back.
    Wait,
    /// The radio's end is not known (yet), or the UE cannot be reached.
    NoTunnel,
    /// They are dropped: gate closed or no FORW.
    Drop,
}

/// A session as a shard gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionSpec {
    /// Our SEID.
    pub seid: Seid,
    /// Whose.
    pub imsi: Imsi,
    /// The UE's address.
    pub ue: UeIp,
    /// The networks behind it (framed routes).
    pub routes: Vec<IpNet>,
    /// Its IPv6 prefix, where it has one: 64 bits, of which the UE makes its addresses.
    pub prefix: Option<Ipv6Net>,
    /// The paths.
    pub paths: Paths,
    /// What is known of the SIM. It comes from the company's own side, never from a PFCP message.
    pub facts: Arc<SimFacts>,
}

/// The resolved rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// Each of our tunnel endpoints and what its packets may do.
    pub uplink: Vec<(Teid, Uplink)>,
    /// The way to the UE.
    pub downlink: Downlink,
    /// Its maximum bit rates.
    pub rates: Vec<Rate>,
    /// The QoS flows that it has, one bit each.
    pub qfis: u64,
    /// True if somebody measures what passes.
    pub measured: bool,
}

/// A maximum bit rate of a session: the MBR of one QER in one direction. All packets that it speaks of share it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rate {
    /// The QER's ID.
    pub qer: u32,
    /// kbit/s of inner IP; 0 lets nothing through.
    pub kbps: u64,
    /// Which packets.
    pub of: RateOf,
}

/// Which packets a [`Rate`] speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RateOf {
    /// All that come from the UE.
    AllUp,
    /// For each of [`Paths::uplink`], in that order: these.
    Up(Box<[Uplink]>),
    /// All that go to the UE.
    Down,
}

impl Rules {
    /// The tunnels towards radios. One towards the control plane leads nowhere here, and may be that of many sessions.
    pub fn radio_tunnels(&self) -> impl Iterator<Item = Tunnel> {
        self.fars.values().filter(|f| f.to != Some(Side::CpFunction)).filter_map(|f| f.tunnel)
    }

    /// The PDRs that `pick` chooses, in the order in which a packet meets them.
    fn in_order(&self, pick: impl Fn(&Pdr) -> bool) -> impl Iterator<Item = &Pdr> {
        let mut found: Vec<_> = self.pdrs.iter().filter(|(_, p)| pick(p)).collect();
        found.sort_by_key(|(id, p)| (p.precedence, **id));
        found.into_iter().map(|(_, p)| p)
    }

    /// The PDR that meets packets for the UE.
    pub fn downlink_pdr(&self, ue: UeIp) -> Option<(u16, &Pdr)> {
        let of_n6 =
            |p: &Pdr| matches!(p.source, Side::Core | Side::SgiLan) && !p.filtered && p.teid.is_none();
        let mine = self.pdrs.iter().filter(|(_, p)| of_n6(p) && p.ue.is_none_or(|u| u == ue));
        mine.min_by_key(|(id, p)| (p.precedence, **id)).map(|(id, p)| (*id, p))
    }

    fn gates(&self, pdr: &Pdr, open: impl Fn(&Qer) -> bool) -> bool {
        let used_up = |u| self.urrs.get(u).is_none_or(|u: &Urr| u.exhausted);
        pdr.qers.iter().all(|q| self.qers.get(q).is_some_and(&open)) && !pdr.urrs.iter().any(used_up)
    }

    /// What a URR sees of a session's usage: the directions of the PDRs that name it.
    pub fn measured(&self, urr: u32, used: Usage) -> Usage {
        let names = |access: bool| {
            self.pdrs.values().any(|p| (p.source == Side::Access) == access && p.urrs.contains(&urr))
        };
        Usage {
            uplink: if names(true) { used.uplink } else { 0 },
            downlink: if names(false) { used.downlink } else { 0 },
        }
    }

    /// What the packet path may do for each tunnel endpoint, and towards the UE.
    pub fn paths(&self, ue: UeIp) -> Paths {
        let mut teids: Vec<Teid> = self.pdrs.values().filter_map(|p| p.teid).collect();
        teids.sort_unstable();
        teids.dedup();
        let matches: Vec<_> = teids.iter().map(|t| self.matches(*t)).collect();
        let open = |m: &Vec<(&Pdr, Uplink)>| union(m, |pdr| self.forwards_uplink(pdr, ue));
        let rates = self.rates(&matches, ue);
        let uplink = teids.into_iter().zip(matches.iter().map(open)).collect();
        let qfis = self.qers.values().filter_map(|q| q.qfi).fold(0, |all, q| all | 1 << (q & 0x3f));
        let measured = !self.urrs.is_empty();
        Paths { uplink, downlink: self.downlink(ue), rates, qfis, measured }
    }

    /// For each QoS flow, and for packets without one, the first PDR that matches decides: each PDR of a tunnel
    /// endpoint with the packets that are its own.
    fn matches(&self, teid: Teid) -> Vec<(&Pdr, Uplink)> {
        let mut rest = Uplink::FORWARD;
        let in_order = self.in_order(|p| p.teid == Some(teid) && !p.filtered);
        in_order
            .map(|pdr| {
                let named = Uplink { qfis: rest.qfis & pdr.qfis, without_qfi: false };
                let mine = if pdr.qfis == 0 { rest } else { named };
                rest = rest.but(mine);
                (pdr, mine)
            })
            .collect()
    }

    /// A QER speaks of the packets of all PDRs that name it (TS 29.244 §5.2.1A): they share its rate.
    fn rates(&self, matches: &[Vec<(&Pdr, Uplink)>], ue: UeIp) -> Vec<Rate> {
        let downlink = self.downlink_pdr(ue);
        let mut rates = Vec::new();
        for (&qer, q) in &self.qers {
            let Some((up, down)) = q.mbr_kbps else { continue };
            let of: Box<[Uplink]> = matches.iter().map(|m| union(m, |p| p.qers.contains(&qer))).collect();
            if of.iter().all(|u| *u == Uplink::FORWARD) && !of.is_empty() {
                rates.push(Rate { qer, kbps: up, of: RateOf::AllUp });
            } else if of.iter().any(|u| *u != Uplink::DROP) {
                rates.push(Rate { qer, kbps: up, of: RateOf::Up(of) });
            }
            if downlink.is_some_and(|(_, p)| p.qers.contains(&qer)) {
                rates.push(Rate { qer, kbps: down, of: RateOf::Down });
            }
        }
        rates
    }

    fn forwards_uplink(&self, pdr: &Pdr, ue: UeIp) -> bool {
        let Some(far) = self.fars.get(&pdr.far) else { return false };
        pdr.source == Side::Access
            && pdr.removes_outer_header
            && pdr.ue.is_none_or(|u| u == ue)
            && far.forwards
            && far.tunnel.is_none()
            && matches!(far.to, Some(Side::Core | Side::SgiLan))
            && self.gates(pdr, |q| q.uplink_open)
    }

    fn downlink(&self, ue: UeIp) -> Downlink {
        let Some((_, pdr)) = self.downlink_pdr(ue) else { return Downlink::Drop };
        let Some(far) = self.fars.get(&pdr.far) else { return Downlink::Drop };
        if !self.gates(pdr, |q| q.downlink_open) {
            return Downlink::Drop;
        }
        match (far.forwards, far.to, far.tunnel) {
            (true, Some(Side::Access), Some(tunnel)) => {
                let qfi = pdr.qers.iter().find_map(|q| self.qers.get(q).and_then(|q| q.qfi));
                Downlink::Forward { tunnel, qfi }
            }
            // FORW to somewhere that is not the UE is not a path of ours.
            (true, Some(Side::Core | Side::SgiLan | Side::CpFunction), _) => Downlink::Drop,
            _ if far.buffers => Downlink::Wait,
            _ => Downlink::NoTunnel,
        }
    }
}

/// The packets of the PDRs that `pick` chooses.
fn union(matches: &[(&Pdr, Uplink)], pick: impl Fn(&Pdr) -> bool) -> Uplink {
    matches.iter().filter(|(pdr, _)| pick(pdr)).fold(Uplink::DROP, |all, (_, mine)| all.and(*mine))
}
