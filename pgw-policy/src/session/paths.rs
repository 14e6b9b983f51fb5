//! From the control plane's rules to what the packet path reads: [`Rules::paths`], the one place.

use super::{Filter, Pdr, Qer, Rules, Seen, Side, Tunnel, Urr};
use std::sync::Arc;
use types::{Teid, UeIp};

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
    /// Most packets that may wait for its UE, where its BAR says less than there is room for.
    pub waiting: Option<u16>,
    /// What its URRs measure.
    pub measures: Vec<Measure>,
    /// Where PDRs have filters: all of them. Then [`Paths::uplink`] is what may pass at best, and [`Paths::downlink`] is
    /// where packets go of which no filter speaks.
    pub steps: Option<Arc<Steps>>,
}

/// PDRs in the order in which a packet meets them: the first that speaks of it decides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Steps {
    /// For each of [`Paths::uplink`], in that order.
    pub up: Box<[Box<[UpStep]>]>,
    /// Towards the UE.
    pub down: Box<[DownStep]>,
}

/// A PDR of one of our tunnel endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpStep {
    /// Its ID.
    pub pdr: u16,
    /// Which QoS flows it speaks of.
    pub of: Uplink,
    /// Of their packets, those that one of these meets; none: all.
    pub filters: Arc<[Filter]>,
    /// True if they may go to N6, if the policy says so.
    pub forwards: bool,
}

/// A PDR of packets for the UE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownStep {
    /// Its ID.
    pub pdr: u16,
    /// It speaks of packets that one of these meets; none: of all.
    pub filters: Arc<[Filter]>,
    /// Where they go.
    pub downlink: Downlink,
}

/// True if these filters speak of this packet.
fn speak_of(filters: &[Filter], packet: &Seen<'_>) -> bool {
    filters.is_empty() || filters.iter().any(|f| f.meets(packet))
}

impl Steps {
    /// The PDR of a packet that came through one of our endpoints, in this QoS flow.
    pub fn up(&self, endpoint: u8, qfi: Option<u8>, packet: &Seen<'_>) -> Option<&UpStep> {
        let all = self.up.get(usize::from(endpoint))?;
        all.iter().find(|step| step.of.takes(qfi) && speak_of(&step.filters, packet))
    }

    /// The PDR of a packet for the UE.
    pub fn down(&self, packet: &Seen<'_>) -> Option<&DownStep> {
        self.down.iter().find(|step| speak_of(&step.filters, packet))
    }
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

/// What a URR measures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measure {
    /// The URR's ID.
    pub urr: u32,
    /// Packets of any of these.
    pub of: Box<[RateOf]>,
}

/// Which packets a [`Rate`] or a [`Measure`] speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RateOf {
    /// All that come from the UE.
    AllUp,
    /// For each of [`Paths::uplink`], in that order: these.
    Up(Box<[Uplink]>),
    /// All that go to the UE.
    Down,
    /// Where there are [`Steps`]: those from the UE that these PDRs speak of.
    UpSteps(Box<[u16]>),
    /// The same of those that go to the UE.
    DownSteps(Box<[u16]>),
}

impl RateOf {
    /// True for packets that go to the UE.
    pub fn is_down(&self) -> bool {
        matches!(self, Self::Down | Self::DownSteps(_))
    }
}

impl Rules {
    /// The tunnels towards radios. One towards the control plane leads nowhere here, and may be that of many sessions.
    pub fn radio_tunnels(&self) -> impl Iterator<Item = Tunnel> {
        self.fars.values().filter(|f| f.to != Some(Side::CpFunction)).filter_map(|f| f.tunnel)
    }

    /// The PDRs that `pick` chooses, in the order in which a packet meets them.
    fn in_order(&self, pick: impl Fn(&Pdr) -> bool) -> impl Iterator<Item = (u16, &Pdr)> {
        let mut found: Vec<_> = self.pdrs.iter().filter(|(_, p)| pick(p)).collect();
        found.sort_by_key(|(id, p)| (p.precedence, **id));
        found.into_iter().map(|(id, p)| (*id, p))
    }

    /// The PDRs that meet packets for the UE, in order.
    fn downlink_pdrs(&self, ue: UeIp) -> impl Iterator<Item = (u16, &Pdr)> {
        self.in_order(move |p| {
            let of_n6 = matches!(p.source, Side::Core | Side::SgiLan) && p.teid.is_none();
            of_n6 && !p.meets_nothing() && p.ue.is_none_or(|u| u == ue)
        })
    }

    /// True if packets for the UE have a tunnel to go into.
    pub fn is_connected(&self, ue: UeIp) -> bool {
        let downlink = self.downlink_pdr(ue).map(|(_, pdr)| self.downlink(pdr));
        matches!(downlink, Some(Downlink::Forward { .. }))
    }

    /// The maximum bit rates of packets of which no filter speaks, bit/s: uplink, downlink.
    pub fn default_rates(&self, ue: UeIp) -> Option<(u64, u64)> {
        let (_, pdr) = self.downlink_pdr(ue)?;
        let rates = pdr.qers.iter().filter_map(|q| self.qers.get(q)?.mbr_kbps);
        let (up, down) = rates.reduce(|a, b| (a.0.min(b.0), a.1.min(b.1)))?;
        Some((up.saturating_mul(1_000), down.saturating_mul(1_000)))
    }

    /// The PDR that meets packets for the UE of which no filter speaks.
    pub fn downlink_pdr(&self, ue: UeIp) -> Option<(u16, &Pdr)> {
        self.downlink_pdrs(ue).find(|(_, p)| p.filters.is_empty())
    }

    fn gates(&self, pdr: &Pdr, open: impl Fn(&Qer) -> bool) -> bool {
        let used_up = |u| self.urrs.get(u).is_none_or(|u: &Urr| u.exhausted);
        pdr.qers.iter().all(|q| self.qers.get(q).is_some_and(&open)) && !pdr.urrs.iter().any(used_up)
    }

    /// What the packet path may do for each tunnel endpoint, and towards the UE.
    pub fn paths(&self, ue: UeIp) -> Paths {
        let mut teids: Vec<Teid> = self.pdrs.values().filter_map(|p| p.teid).collect();
        teids.sort_unstable();
        teids.dedup();
        let matches: Vec<_> = teids.iter().map(|t| self.matches(*t)).collect();
        let open = |m: &Vec<Match<'_>>| union(m, |pdr| self.forwards_uplink(pdr, ue));
        let uplink = teids.into_iter().zip(matches.iter().map(open)).collect();
        let has_filters = self.pdrs.values().any(|p| !p.filters.is_empty() && !p.meets_nothing());
        let steps = has_filters.then(|| Arc::new(self.steps(&matches, ue)));
        let packets = Packets { matches: &matches, ue, has_filters };
        let rates = self.rates(&packets);
        let measures = self.urrs.keys().map(|urr| self.measure(*urr, &packets)).collect();
        let qfis = self.qers.values().filter_map(|q| q.qfi).fold(0, |all, q| all | 1 << (q & 0x3f));
        let downlink = self.downlink_pdr(ue).map_or(Downlink::Drop, |(_, pdr)| self.downlink(pdr));
        let bar = self.bar.filter(|bar| self.fars.values().any(|f| f.buffers && f.bar == Some(bar.id)));
        let waiting = bar.and_then(|bar| bar.packets);
        Paths { uplink, downlink, rates, qfis, waiting, measures, steps }
    }

    /// For each QoS flow, and for packets without one, the first PDR that matches decides: each PDR of a tunnel
    /// endpoint with the packets that are its own, as far as filters do not give them to another.
    fn matches(&self, teid: Teid) -> Vec<Match<'_>> {
        let mut rest = Uplink::FORWARD;
        let in_order = self.in_order(|p| p.teid == Some(teid) && !p.meets_nothing());
        in_order
            .map(|(id, pdr)| {
                let named = Uplink { qfis: rest.qfis & pdr.qfis, without_qfi: false };
                let mine = if pdr.qfis == 0 { rest } else { named };
                if pdr.filters.is_empty() {
                    rest = rest.but(mine);
                }
                Match { id, pdr, mine }
            })
            .collect()
    }

    fn steps(&self, matches: &[Vec<Match<'_>>], ue: UeIp) -> Steps {
        let up = |m: &Match<'_>| UpStep {
            pdr: m.id,
            of: m.mine,
            filters: Arc::clone(&m.pdr.filters),
            forwards: self.forwards_uplink(m.pdr, ue),
        };
        let down = |(pdr, p): (u16, &Pdr)| DownStep {
            pdr,
            filters: Arc::clone(&p.filters),
            downlink: self.downlink(p),
        };
        Steps {
            up: matches.iter().map(|m| m.iter().map(up).collect()).collect(),
            down: self.downlink_pdrs(ue).map(down).collect(),
        }
    }

    /// Which packets the PDRs speak of that `names` chooses: those from the UE, and those that go to it.
    fn packets_of(
        &self,
        all: &Packets<'_>,
        names: impl Fn(&Pdr) -> bool,
    ) -> (Option<RateOf>, Option<RateOf>) {
        if all.has_filters {
            let some = |ids: Box<[u16]>, of: fn(Box<[u16]>) -> RateOf| (!ids.is_empty()).then(|| of(ids));
            let up = all.matches.iter().flatten().filter(|m| names(m.pdr)).map(|m| m.id).collect();
            let down = self.downlink_pdrs(all.ue).filter(|(_, p)| names(p)).map(|(id, _)| id).collect();
            return (some(up, RateOf::UpSteps), some(down, RateOf::DownSteps));
        }
        let of: Box<[Uplink]> = all.matches.iter().map(|m| union(m, &names)).collect();
        let up = match of.iter().all(|u| *u == Uplink::FORWARD) && !of.is_empty() {
            true => Some(RateOf::AllUp),
            false => of.iter().any(|u| *u != Uplink::DROP).then_some(RateOf::Up(of)),
        };
        let down = self.downlink_pdr(all.ue).is_some_and(|(_, p)| names(p)).then_some(RateOf::Down);
        (up, down)
    }

    /// A QER speaks of the packets of all PDRs that name it (TS 29.244 §5.2.1A): they share its rate.
    fn rates(&self, packets: &Packets<'_>) -> Vec<Rate> {
        let mut rates = Vec::new();
        for (&qer, q) in &self.qers {
            let Some((up, down)) = q.mbr_kbps else { continue };
            let (of_up, of_down) = self.packets_of(packets, |p| p.qers.contains(&qer));
            rates.extend(of_up.map(|of| Rate { qer, kbps: up, of }));
            rates.extend(of_down.map(|of| Rate { qer, kbps: down, of }));
        }
        rates
    }

    fn measure(&self, urr: u32, packets: &Packets<'_>) -> Measure {
        let (up, down) = self.packets_of(packets, |p| p.urrs.contains(&urr));
        Measure { urr, of: up.into_iter().chain(down).collect() }
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

    fn downlink(&self, pdr: &Pdr) -> Downlink {
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

/// A PDR of a tunnel endpoint, and the QoS flows of which it may have packets.
struct Match<'a> {
    id: u16,
    pdr: &'a Pdr,
    mine: Uplink,
}

/// All packets of a session, as rates and measures divide them.
struct Packets<'a> {
    /// For each tunnel endpoint.
    matches: &'a [Vec<Match<'a>>],
    ue: UeIp,
    has_filters: bool,
}

/// The packets of the PDRs that `pick` chooses.
fn union(matches: &[Match<'_>], pick: impl Fn(&Pdr) -> bool) -> Uplink {
    matches.iter().filter(|m| pick(m.pdr)).fold(Uplink::DROP, |all, m| all.and(m.mine))
}
