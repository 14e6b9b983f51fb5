//! From information elements to [`crate::session`]'s rules: the one place. Nothing is changed until
//! everything is found right: the caller works on a copy.

use super::bar;
use crate::session::{Far, Pdr, Qer, Rules, Side, Tunnel, Urr, Volume};
use ipnet::{IpNet, Ipv6Net};
use std::net::IpAddr;
use std::sync::Arc;
use types::{ForeignGrant, RoutePrefix, Teid, UeIp};
use wire::pfcp::{
    ApplyAction, Cause, CreateFar, CreatePdr, CreateQer, CreateUrr, DestinationInterface, FTeid,
    FailedRuleId, GateStatus, Mbr, MeasurementMethod, OuterHeaderCreation, Pdi, Qfi,
    SessionEstablishmentRequest, SessionModificationRequest, UpdateFar, UpdatePdr, UpdateQer, UpdateUrr,
    VolumeQuota, VolumeThreshold,
};

/// Most rules of one kind in a session.
const MAX_RULES: usize = 64;

/// IE type numbers that refusals name.
pub(super) mod ie {
    pub(crate) const FORWARDING_PARAMETERS: u16 = 4;
    pub(crate) const SOURCE_INTERFACE: u16 = 20;
    pub(crate) const F_TEID: u16 = 21;
    pub(crate) const SDF_FILTER: u16 = 23;
    pub(crate) const PRECEDENCE: u16 = 29;
    pub(crate) const DESTINATION_INTERFACE: u16 = 42;
    pub(crate) const PDR_ID: u16 = 56;
    pub(crate) const F_SEID: u16 = 57;
    pub(crate) const NODE_ID: u16 = 60;
    pub(crate) const URR_ID: u16 = 81;
    pub(crate) const OUTER_HEADER_CREATION: u16 = 84;
    pub(crate) const BAR_ID: u16 = 88;
    pub(crate) const UE_IP_ADDRESS: u16 = 93;
    pub(crate) const FAR_ID: u16 = 108;
    pub(crate) const QER_ID: u16 = 109;
    pub(crate) const USER_ID: u16 = 141;
    pub(crate) const APN_DNN: u16 = 159;
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) cause: Cause,
    pub(super) offending: Option<u16>,
    pub(super) rule: Option<FailedRuleId>,
}

impl Refusal {
    pub(super) fn of(cause: Cause) -> Self {
        Self { cause, offending: None, rule: None }
    }

    pub(super) fn element(cause: Cause, ie: u16) -> Self {
        Self { cause, offending: Some(ie), rule: None }
    }

    pub(super) fn rule(rule: FailedRuleId, cause: Cause, ie: u16) -> Self {
        Self { cause, offending: Some(ie), rule: Some(rule) }
    }
}

/// What a PDR asks of our tunnel endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// One of our choosing; equal numbers get the same.
    Choose(Option<u8>),
    /// This one.
    Given(Teid),
}

/// The rules of a request, and the tunnel endpoints that PDRs still want.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    pub(super) rules: Rules,
    pub(super) wanted: Vec<(u16, Wanted)>,
    /// Filters that PDRs name by the number that they have elsewhere.
    pub(super) named_filters: Vec<(u16, u32)>,
    /// PDRs whose UE address is to be chosen by us: IPv4, IPv6.
    pub(super) chosen: Vec<(u16, bool, bool)>,
}

/// Who speaks, as far as rules depend on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Speaker {
    /// Our N3 address.
    pub(super) n3: IpAddr,
    /// True for our own control plane, and for a session that is said to be older than our start: it may name a TEID of
    /// ours.
    pub(super) may_name_teids: bool,
    /// True where a UE address may be left to us.
    pub(super) may_leave_address: bool,
}

impl Draft {
    pub(super) fn establish(m: &SessionEstablishmentRequest, who: Speaker) -> Result<Self, Refusal> {
        let mut draft = Self::default();
        draft.create(&m.create_pdrs, &m.create_fars, &m.create_qers, &m.create_urrs, who)?;
        draft.rules.bar = m.create_bar.as_ref().map(bar::created);
        draft.find_named_filters()?;
        draft.check(who)?;
        Ok(draft)
    }

    /// The rules after the request, from a copy of what they were. Also says if a FAR asks for End Markers.
    pub(super) fn modify(
        rules: Rules,
        m: &SessionModificationRequest,
        who: Speaker,
    ) -> Result<(Self, bool), Refusal> {
        let mut draft = Self { rules, ..Self::default() };
        let r = &mut draft.rules;
        for x in &m.remove_pdrs {
            let id = x.pdr_id.0;
            r.pdrs.remove(&id).ok_or(Refusal::rule(FailedRuleId::Pdr(id), Cause::RuleFailure, ie::PDR_ID))?;
        }
        for x in &m.remove_fars {
            let id = x.far_id.0;
            r.fars.remove(&id).ok_or(Refusal::rule(FailedRuleId::Far(id), Cause::RuleFailure, ie::FAR_ID))?;
        }
        for x in &m.remove_qers {
            let id = x.qer_id.0;
            r.qers.remove(&id).ok_or(Refusal::rule(FailedRuleId::Qer(id), Cause::RuleFailure, ie::QER_ID))?;
        }
        for x in &m.remove_urrs {
            let id = x.urr_id.0;
            r.urrs.remove(&id).ok_or(Refusal::rule(FailedRuleId::Urr(id), Cause::RuleFailure, ie::URR_ID))?;
        }
        draft.create(&m.create_pdrs, &m.create_fars, &m.create_qers, &m.create_urrs, who)?;
        draft.change_bar(m)?;
        for x in &m.update_pdrs {
            draft.update_pdr(x, who)?;
        }
        for x in &m.update_fars {
            draft.update_far(x, who)?;
        }
        for x in &m.update_qers {
            draft.update_qer(x)?;
        }
        for x in &m.update_urrs {
            draft.update_urr(x)?;
        }
        draft.find_named_filters()?;
        draft.check(who)?;
        // PFCPSMReq-Flags, bit 2: SNDEM.
        let end_marker = m
            .update_fars
            .iter()
            .any(|f| f.forwarding_parameters.as_ref().and_then(|p| p.flags).is_some_and(|f| f.0 & 0x02 != 0));
        Ok((draft, end_marker))
    }

    fn create(
        &mut self,
        pdrs: &[CreatePdr],
        fars: &[CreateFar],
        qers: &[CreateQer],
        urrs: &[CreateUrr],
        who: Speaker,
    ) -> Result<(), Refusal> {
        let r = &self.rules;
        let counts = [
            r.pdrs.len() + pdrs.len(),
            r.fars.len() + fars.len(),
            r.qers.len() + qers.len(),
            r.urrs.len() + urrs.len(),
        ];
        if counts.into_iter().any(|n| n > MAX_RULES) {
            return Err(Refusal::of(Cause::NoResources));
        }
        for x in pdrs {
            self.create_pdr(x, who)?;
        }
        for x in fars {
            let id = x.far_id.0;
            let twice = self.rules.fars.insert(id, far(x, who)?).is_some();
            refuse_if(twice, FailedRuleId::Far(id), ie::FAR_ID)?;
        }
        for x in qers {
            let id = x.qer_id.0;
            let twice = self.rules.qers.insert(id, qer(x)).is_some();
            refuse_if(twice, FailedRuleId::Qer(id), ie::QER_ID)?;
        }
        for x in urrs {
            let id = x.urr_id.0;
            let twice = self.rules.urrs.insert(id, urr(x)).is_some();
            refuse_if(twice, FailedRuleId::Urr(id), ie::URR_ID)?;
        }
        Ok(())
    }

    fn create_pdr(&mut self, x: &CreatePdr, who: Speaker) -> Result<(), Refusal> {
        let id = x.pdr_id.0;
        let failed = FailedRuleId::Pdr(id);
        let precedence =
            x.precedence.ok_or(Refusal::rule(failed, Cause::MandatoryIeMissing, ie::PRECEDENCE))?;
        let far = x.far_id.ok_or(Refusal::rule(failed, Cause::ConditionalIeMissing, ie::FAR_ID))?;
        let mut pdr = Pdr {
            precedence: precedence.0,
            source: Side::Access,
            teid: None,
            ue: None,
            prefix: None,
            filters: Arc::default(),
            unknown: false,
            qfis: 0,
            removes_outer_header: x.outer_header_removal.is_some(),
            far: far.0,
            qers: named(x.qer_ids.iter().map(|q| q.0))?,
            urrs: named(x.urr_ids.iter().map(|u| u.0))?,
        };
        self.read_pdi(id, &mut pdr, &x.pdi, who)?;
        refuse_if(self.rules.pdrs.insert(id, pdr).is_some(), failed, ie::PDR_ID)
    }

    fn read_pdi(&mut self, id: u16, pdr: &mut Pdr, pdi: &Pdi, who: Speaker) -> Result<(), Refusal> {
        let failed = FailedRuleId::Pdr(id);
        pdr.source = side(pdi.source_interface.0).ok_or(Refusal::rule(
            failed,
            Cause::MandatoryIeIncorrect,
            ie::SOURCE_INTERFACE,
        ))?;
        let mut addresses = pdi.ue_ip_addresses.iter().filter_map(|a| a.v4);
        pdr.ue = addresses.next().map(UeIp);
        // One UE, one address: another one in the same rule would be somebody else's.
        let chooses =
            |v4: bool| pdi.ue_ip_addresses.iter().any(|a| if v4 { a.choose_v4 } else { a.choose_v6 });
        let (chooses_v4, chooses_v6) = (chooses(true), chooses(false));
        if chooses_v4 || chooses_v6 {
            self.chosen.push((id, chooses_v4, chooses_v6));
        }
        let leaves = chooses_v4 && (pdr.ue.is_some() || !who.may_leave_address);
        let leaves = leaves || (chooses_v6 && !who.may_leave_address);
        if leaves || addresses.any(|a| Some(UeIp(a)) != pdr.ue) {
            return Err(Refusal::rule(failed, Cause::RuleFailure, ie::UE_IP_ADDRESS));
        }
        // A prefix of 64 bits is what a session gets (TS 23.501 §5.8.2.2.3); other lengths are no session's.
        let mut prefixes =
            pdi.ue_ip_addresses.iter().filter_map(|a| Some((a.v6?, a.v6_length.unwrap_or(64))));
        pdr.prefix = prefixes.next().and_then(|(a, len)| Ipv6Net::new(a, len).ok()).map(|p| p.trunc());
        let usual = |p: Ipv6Net| p.prefix_len() == 64 && RoutePrefix::try_from(IpNet::V6(p)).is_ok();
        let named = pdi.ue_ip_addresses.iter().any(|a| a.v6.is_some());
        if prefixes.next().is_some() || named != pdr.prefix.is_some_and(usual) {
            return Err(Refusal::rule(failed, Cause::RuleFailure, ie::UE_IP_ADDRESS));
        }
        pdr.unknown = pdi.application_id.is_some();
        self.read_filters(id, pdr, &pdi.sdf_filters)?;
        pdr.qfis = pdi.qfis.iter().fold(0, |all, q| all | 1 << (q.0 & 0x3f));
        let bad = Refusal::rule(failed, Cause::InvalidFteidAllocation, ie::F_TEID);
        match pdi.local_f_teid {
            None => {}
            // We have one address on N3, of one family.
            Some(FTeid::Choose { v4, v6, choose_id }) if (if who.n3.is_ipv4() { v4 } else { v6 }) => {
                self.want(id, Wanted::Choose(choose_id));
            }
            Some(FTeid::Choose { .. }) => return Err(bad),
            Some(FTeid::Given { teid, v4, v6 }) => {
                let named = [v4.map(IpAddr::from), v6.map(IpAddr::from)].contains(&Some(who.n3));
                let teid = Teid::new(teid).filter(|_| named).ok_or(bad)?;
                if pdr.teid != Some(teid) {
                    if !who.may_name_teids {
                        return Err(bad);
                    }
                    self.want(id, Wanted::Given(teid));
                }
            }
        }
        Ok(())
    }

    /// Puts the session's addresses in: those that were left to us, and no prefix that is not the session's.
    pub(super) fn settle(&mut self, grant: ForeignGrant) {
        for pdr in self.rules.pdrs.values_mut() {
            pdr.prefix = pdr.prefix.and(grant.prefix);
        }
        for (id, v4, v6) in &self.chosen {
            let Some(pdr) = self.rules.pdrs.get_mut(id) else { continue };
            if *v4 {
                pdr.ue = Some(grant.ip);
            }
            if *v6 {
                pdr.prefix = grant.prefix;
            }
        }
    }

    /// True if an address is left to us.
    pub(super) fn leaves_address(&self) -> bool {
        self.chosen.iter().any(|(_, v4, _)| *v4)
    }

    fn want(&mut self, pdr: u16, wanted: Wanted) {
        self.wanted.retain(|(id, _)| *id != pdr);
        self.wanted.push((pdr, wanted));
    }

    fn update_pdr(&mut self, x: &UpdatePdr, who: Speaker) -> Result<(), Refusal> {
        let id = x.pdr_id.0;
        let missing = Refusal::rule(FailedRuleId::Pdr(id), Cause::RuleFailure, ie::PDR_ID);
        let mut pdr = self.rules.pdrs.remove(&id).ok_or(missing)?;
        if let Some(p) = x.precedence {
            pdr.precedence = p.0;
        }
        if let Some(pdi) = &x.pdi {
            self.read_pdi(id, &mut pdr, pdi, who)?;
        }
        pdr.removes_outer_header |= x.outer_header_removal.is_some();
        if let Some(far) = x.far_id {
            pdr.far = far.0;
        }
        if !x.qer_ids.is_empty() {
            pdr.qers = named(x.qer_ids.iter().map(|q| q.0))?;
        }
        if !x.urr_ids.is_empty() {
            pdr.urrs = named(x.urr_ids.iter().map(|u| u.0))?;
        }
        self.rules.pdrs.insert(id, pdr);
        Ok(())
    }

    fn update_far(&mut self, x: &UpdateFar, who: Speaker) -> Result<(), Refusal> {
        let id = x.far_id.0;
        let failed = FailedRuleId::Far(id);
        let far =
            self.rules.fars.get_mut(&id).ok_or(Refusal::rule(failed, Cause::RuleFailure, ie::FAR_ID))?;
        if let Some(action) = x.apply_action {
            (far.forwards, far.buffers, far.notifies) = actions(action);
        }
        far.bar = x.bar_id.map(|b| b.0).or(far.bar);
        if let Some(p) = &x.forwarding_parameters {
            if let Some(d) = p.destination_interface {
                far.to = Some(destination(failed, d)?);
            }
            if let Some(o) = &p.outer_header_creation {
                far.tunnel = Some(tunnel(failed, far.to, o, who)?);
            }
        }
        Ok(())
    }

    fn update_qer(&mut self, x: &UpdateQer) -> Result<(), Refusal> {
        let id = x.qer_id.0;
        let missing = Refusal::rule(FailedRuleId::Qer(id), Cause::RuleFailure, ie::QER_ID);
        let qer = self.rules.qers.get_mut(&id).ok_or(missing)?;
        if let Some(g) = x.gate_status {
            (qer.uplink_open, qer.downlink_open) = gates(g);
        }
        qer.mbr_kbps = x.mbr.map(rates).or(qer.mbr_kbps);
        qer.qfi = x.qfi.map(|Qfi(q)| q).or(qer.qfi);
        Ok(())
    }

    fn update_urr(&mut self, x: &UpdateUrr) -> Result<(), Refusal> {
        let id = x.urr_id.0;
        let missing = Refusal::rule(FailedRuleId::Urr(id), Cause::RuleFailure, ie::URR_ID);
        let urr = self.rules.urrs.get_mut(&id).ok_or(missing)?;
        if let Some(m) = x.method {
            (urr.time, urr.volume) = measures(m);
        }
        urr.triggers = x.triggers.map_or(urr.triggers, |t| t.first);
        urr.period = x.period.map(|p| p.0).or(urr.period);
        urr.volume_threshold = x.volume_threshold.map_or(urr.volume_threshold, threshold);
        urr.time_threshold = x.time_threshold.map(|t| t.0).or(urr.time_threshold);
        // A quota that is given anew counts from here on.
        if x.volume_quota.is_some() || x.time_quota.is_some() {
            urr.exhausted = false;
        }
        urr.volume_quota = x.volume_quota.map_or(urr.volume_quota, quota);
        urr.time_quota = x.time_quota.map(|t| t.0).or(urr.time_quota);
        Ok(())
    }

    /// Every rule that a rule names is there, and what forwards knows where to.
    fn check(&self, who: Speaker) -> Result<(), Refusal> {
        let r = &self.rules;
        for (&id, pdr) in &r.pdrs {
            let failed = FailedRuleId::Pdr(id);
            refuse_if(!r.fars.contains_key(&pdr.far), failed, ie::FAR_ID)?;
            refuse_if(pdr.qers.iter().any(|q| !r.qers.contains_key(q)), failed, ie::QER_ID)?;
            refuse_if(pdr.urrs.iter().any(|u| !r.urrs.contains_key(u)), failed, ie::URR_ID)?;
        }
        for (&id, far) in &r.fars {
            let unknown_bar = far.bar.is_some() && far.bar != r.bar.map(|b| b.id);
            refuse_if(unknown_bar, FailedRuleId::Far(id), ie::BAR_ID)?;
            if far.forwards && far.to.is_none() {
                let cause = Cause::ConditionalIeMissing;
                return Err(Refusal::rule(FailedRuleId::Far(id), cause, ie::FORWARDING_PARAMETERS));
            }
            let loops = far.to == Some(Side::Access)
                && far.tunnel.is_some_and(|t| t.peer.is_loopback() && !who.n3.is_loopback());
            refuse_if(loops, FailedRuleId::Far(id), ie::OUTER_HEADER_CREATION)?;
        }
        Ok(())
    }

    /// The IPv6 prefix that all PDRs which name one agree on.
    pub(super) fn prefix(&self) -> Result<Option<Ipv6Net>, Refusal> {
        let mut all = self.rules.pdrs.values().filter_map(|p| p.prefix);
        let first = all.next();
        if all.any(|p| Some(p) != first) {
            return Err(Refusal::element(Cause::RuleFailure, ie::UE_IP_ADDRESS));
        }
        Ok(first)
    }

    /// The address that all PDRs agree on.
    pub(super) fn ue(&self) -> Result<UeIp, Refusal> {
        let refusal = Refusal::element(Cause::RuleFailure, ie::UE_IP_ADDRESS);
        let mut all = self.rules.pdrs.values().filter_map(|p| p.ue);
        let ue = all.next().ok_or(refusal)?;
        if all.any(|a| a != ue) || crate::inner::is_special(ue.0) { Err(refusal) } else { Ok(ue) }
    }
}

/// The rules that a PDR names, each once, in the order in which it names them.
fn named(ids: impl Iterator<Item = u32>) -> Result<Vec<u32>, Refusal> {
    let mut once = Vec::new();
    for id in ids {
        if !once.contains(&id) {
            if once.len() == MAX_RULES {
                return Err(Refusal::of(Cause::NoResources));
            }
            once.push(id);
        }
    }
    Ok(once)
}

fn refuse_if(bad: bool, rule: FailedRuleId, ie: u16) -> Result<(), Refusal> {
    if bad { Err(Refusal::rule(rule, Cause::RuleFailure, ie)) } else { Ok(()) }
}

fn side(interface: u8) -> Option<Side> {
    match interface {
        0 => Some(Side::Access),
        1 => Some(Side::Core),
        2 => Some(Side::SgiLan),
        3 => Some(Side::CpFunction),
        _ => None,
    }
}

fn destination(failed: FailedRuleId, d: DestinationInterface) -> Result<Side, Refusal> {
    side(d.0).ok_or(Refusal::rule(failed, Cause::MandatoryIeIncorrect, ie::DESTINATION_INTERFACE))
}

/// GTP-U to an IPv4 and to an IPv6 address of the same peer.
const BOTH: u16 = OuterHeaderCreation::GTPU_V4 | OuterHeaderCreation::GTPU_V6;

/// A GTP-U tunnel to one address; nothing else is created here.
fn tunnel(
    failed: FailedRuleId,
    to: Option<Side>,
    o: &OuterHeaderCreation,
    who: Speaker,
) -> Result<Tunnel, Refusal> {
    let bad = Refusal::rule(failed, Cause::RuleFailure, ie::OUTER_HEADER_CREATION);
    let (v4, v6) = match o.description & 0xff00 {
        OuterHeaderCreation::GTPU_V4 => (o.v4, None),
        OuterHeaderCreation::GTPU_V6 => (None, o.v6),
        BOTH => (o.v4, o.v6),
        _ => return Err(bad),
    };
    let peer = match (v4, v6) {
        (Some(a), None) => a.into(),
        (None, Some(a)) => a.into(),
        // Of both, the one that we can reach.
        (Some(a), Some(_)) if who.n3.is_ipv4() => a.into(),
        (_, Some(a)) => IpAddr::V6(a),
        (None, None) => return Err(bad),
    };
    // A control plane on this machine may name a loopback address for itself; nothing is sent there.
    let loops = peer.is_loopback() && !who.n3.is_loopback() && to != Some(Side::CpFunction);
    let unreachable = peer.is_ipv4() != who.n3.is_ipv4() && to != Some(Side::CpFunction);
    let in_disguise = matches!(peer, IpAddr::V6(a) if a.to_ipv4_mapped().is_some());
    let useless = peer.is_unspecified() || peer.is_multicast() || loops || unreachable || in_disguise;
    let teid = o.teid.and_then(Teid::new).filter(|_| !useless).ok_or(bad)?;
    Ok(Tunnel { peer, teid })
}

/// Does it forward, buffer, notify? What says several of them is read as the one that lets least through.
fn actions(a: ApplyAction) -> (bool, bool, bool) {
    let has = |bit| a.first & bit != 0;
    let (drops, buffers) = (has(ApplyAction::DROP), has(ApplyAction::BUFF));
    (has(ApplyAction::FORW) && !drops && !buffers, buffers && !drops, has(ApplyAction::NOCP))
}

fn far(x: &CreateFar, who: Speaker) -> Result<Far, Refusal> {
    let failed = FailedRuleId::Far(x.far_id.0);
    let (forwards, buffers, notifies) = actions(x.apply_action);
    let bar = x.bar_id.map(|b| b.0);
    let mut far = Far { forwards, buffers, notifies, to: None, tunnel: None, bar };
    if let Some(p) = &x.forwarding_parameters {
        far.to = Some(destination(failed, p.destination_interface)?);
        let outer = p.outer_header_creation.as_ref();
        far.tunnel = outer.map(|o| tunnel(failed, far.to, o, who)).transpose()?;
    }
    Ok(far)
}

/// 0 is open, everything else is closed (TS 29.244 §8.2.7).
fn gates(g: GateStatus) -> (bool, bool) {
    (g.0 >> 2 & 0x03 == 0, g.0 & 0x03 == 0)
}

fn rates(m: Mbr) -> (u64, u64) {
    (m.uplink, m.downlink)
}

fn qer(x: &CreateQer) -> Qer {
    let (uplink_open, downlink_open) = gates(x.gate_status);
    Qer { uplink_open, downlink_open, mbr_kbps: x.mbr.map(rates), qfi: x.qfi.map(|q| q.0) }
}

/// Time, volume (§8.2.40). Events are not measured.
fn measures(m: MeasurementMethod) -> (bool, bool) {
    (m.0 & 0x01 != 0, m.0 & 0x02 != 0)
}

fn threshold(v: VolumeThreshold) -> Volume {
    Volume { total: v.total, uplink: v.uplink, downlink: v.downlink }
}

fn quota(v: VolumeQuota) -> Volume {
    Volume { total: v.total, uplink: v.uplink, downlink: v.downlink }
}

fn urr(x: &CreateUrr) -> Urr {
    let (time, volume) = measures(x.method);
    Urr {
        volume,
        time,
        triggers: x.triggers.first,
        period: x.period.map(|p| p.0),
        volume_threshold: x.volume_threshold.map(threshold).unwrap_or_default(),
        volume_quota: x.volume_quota.map(quota).unwrap_or_default(),
        time_threshold: x.time_threshold.map(|t| t.0),
        time_quota: x.time_quota.map(|t| t.0),
        exhausted: false,
    }
}
