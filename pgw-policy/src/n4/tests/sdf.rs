//! Flow filters: a dedicated bearer beside the default one, both ways, through real shards.

use super::*;
use crate::batch::{Batch, BatchSize, Origin, To};
use crate::inner::make::{ip, ping, tcp, udp};
use crate::inner::{ACK, SYN};
use crate::session::Counted;

/// The other core's end of the default bearer's tunnel, and of the dedicated one's.
const DEFAULT: u32 = 0x77;
const DEDICATED: u32 = 0x99;

fn filter(description: &str) -> SdfFilter {
    SdfFilter::of(description.parse().unwrap())
}

/// As a PGW-C adds a bearer to a session: endpoints of its own both ways, its filters, its QER and its URR.
fn bearer(filters: &[SdfFilter]) -> SessionModificationRequest {
    let pdr = |id, source, teid| CreatePdr {
        pdr_id: PdrId(id),
        precedence: Some(Precedence(100)),
        pdi: Pdi {
            source_interface: SourceInterface(source),
            local_f_teid: teid,
            ue_ip_addresses: ue_address(LAPTOP, source == 1),
            sdf_filters: filters.to_vec(),
            ..Default::default()
        },
        outer_header_removal: (source == 0).then_some(OuterHeaderRemoval(6)),
        far_id: Some(FarId(u32::from(id))),
        qer_ids: vec![QerId(9)],
        urr_ids: vec![UrrId(9)],
        ..Default::default()
    };
    let far = |id, to, outer| CreateFar {
        far_id: FarId(id),
        apply_action: ApplyAction::of(ApplyAction::FORW),
        forwarding_parameters: Some(ForwardingParameters {
            destination_interface: DestinationInterface(to),
            outer_header_creation: outer,
            ..Default::default()
        }),
        ..Default::default()
    };
    let choose = FTeid::Choose { v4: true, v6: false, choose_id: None };
    SessionModificationRequest {
        create_pdrs: vec![pdr(11, 1, None), pdr(12, 0, Some(choose))],
        create_fars: vec![far(11, 0, Some(OuterHeaderCreation::gtpu_v4(DEDICATED, GNB))), far(12, 1, None)],
        create_qers: vec![CreateQer { qer_id: QerId(9), ..Default::default() }],
        create_urrs: vec![CreateUrr { urr_id: UrrId(9), method: MeasurementMethod(2), ..Default::default() }],
        ..Default::default()
    }
}

struct Path {
    w: World,
    batch: Batch,
    seid: u64,
    /// Our endpoints of both bearers.
    default: u32,
    dedicated: u32,
}

impl Path {
    /// The laptop has a default bearer and one for what these filters speak of.
    fn with(filters: &[&str]) -> Self {
        let filters: Vec<SdfFilter> = filters.iter().map(|f| filter(f)).collect();
        let mut p = Self::plain();
        p.dedicated = p.add(&filters);
        p
    }

    fn plain() -> Self {
        let mut w = World::new();
        let (seid, default) = w.made(FOREIGN, session(5, LAPTOP));
        w.modify(FOREIGN, seid, tunnel_to(DEFAULT, None));
        Self { w, batch: Batch::new(BatchSize::default()), seid, default, dedicated: 0 }
    }

    fn add(&mut self, filters: &[SdfFilter]) -> u32 {
        let m = self.w.modify(FOREIGN, self.seid, bearer(filters));
        assert_eq!(m.cause, Cause::Accepted);
        let Some(FTeid::Given { teid, .. }) = m.created_pdrs[0].local_f_teid else { panic!("{m:?}") };
        teid
    }

    /// What goes out: the TEID where it goes to N3.
    fn run(&mut self, origin: Origin, bytes: &[u8]) -> Vec<(Option<u32>, Vec<u8>)> {
        self.batch.clear();
        assert!(self.batch.push(origin, bytes));
        let at = usize::from(shard_of(Teid::new(self.default).unwrap(), 2).0);
        self.w.shards[at].on_batch(&mut self.batch, self.w.now);
        let out = self.batch.outputs().iter().map(|o| match o.to {
            To::N6 => (None, self.batch.bytes(o.piece).to_vec()),
            To::N3 { .. } => {
                let p = wire::gtpu::Packet::parse(self.batch.bytes(o.piece)).unwrap();
                (Some(p.teid), p.payload.to_vec())
            }
            To::Shard { .. } | To::Service => panic!("{o:?}"),
        });
        out.collect()
    }

    fn up(&mut self, teid: u32, inner: &[u8]) -> bool {
        // As an EPC's SGW-U sends: without a PDU Session Container.
        let mut datagram = vec![0x30, 0xff];
        datagram.extend((inner.len() as u16).to_be_bytes());
        datagram.extend(teid.to_be_bytes());
        datagram.extend(inner);
        let out = self.run(Origin::N3 { from: (GNB, 2152).into() }, &datagram);
        assert!(out.is_empty() || out == [(None, inner.to_vec())]);
        !out.is_empty()
    }

    /// Through which tunnel it goes, if it goes.
    fn down(&mut self, inner: &[u8]) -> Option<u32> {
        let out = self.run(Origin::N6 { handed: false }, inner);
        out.into_iter().next().map(|(teid, octets)| {
            assert_eq!(octets, inner);
            teid.unwrap()
        })
    }

    fn counted(&mut self) -> Counted {
        let at = usize::from(shard_of(Teid::new(self.default).unwrap(), 2).0);
        match self.w.shards[at].command(ShardCommand::Usage { seid: Seid(self.seid) }, self.w.now) {
            ShardReply::Usage(counted) => counted,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_dedicated_bearers_packets_go_its_own_way_both_ways() {
    let mut p =
        Path::with(&["permit out 17 from 192.168.1.0/24 53 to assigned", "permit out icmp from any to any"]);
    let (default, dedicated) = (p.default, p.dedicated);
    let dns = udp(LAPTOP, 4000, FILES, 53, b"who?");
    let web = tcp(LAPTOP, 4001, FILES, 443, SYN);
    // What the bearer is for may come by it; what it is not for, by the default one only.
    assert!(p.up(dedicated, &dns) && p.up(dedicated, &ping(LAPTOP, FILES, true, 7)));
    assert!(!p.up(dedicated, &web));
    assert!(p.up(default, &web));
    // Answers go the way that the filters say.
    assert_eq!(p.down(&udp(FILES, 53, LAPTOP, 4000, b"me")), Some(DEDICATED));
    assert_eq!(p.down(&ping(FILES, LAPTOP, false, 7)), Some(DEDICATED));
    assert_eq!(p.down(&tcp(FILES, 443, LAPTOP, 4001, SYN | ACK)), Some(DEFAULT));
    // Its URR saw its packets and no others: 32 and 32 octets, 30 and 32.
    let used = p.counted().by(9);
    assert_eq!((used.uplink, used.downlink), (32 + 32, 30 + 32));
    // A filter lets nothing through that no rule of ours allows, and turns nobody into somebody else.
    assert!(!p.up(dedicated, &udp(LAPTOP, 4000, "192.168.1.77", 53, b"not yours")));
    assert!(!p.up(dedicated, &udp(PLC, 4000, FILES, 53, b"not you")));
    assert!(!p.up(dedicated, &udp(LAPTOP, 4000, &NODE.to_string(), 53, b"not us")));
    assert_eq!(p.down(&udp("192.168.1.66", 53, LAPTOP, 4000, b"unasked")), None);
    // A ban asks no filter.
    p.w.n4.revoke(imsi(5), true);
    for s in &mut p.w.shards {
        s.command(ShardCommand::Cut { imsi: imsi(5) }, p.w.now);
    }
    assert!(!p.up(dedicated, &dns) && !p.up(default, &web));
    assert_eq!(p.down(&udp(FILES, 53, LAPTOP, 4000, b"me")), None);
}

#[test]
fn fragments_follow_their_first_one() {
    let mut p = Path::with(&["permit out 17 from any 53 to assigned"]);
    let dedicated = p.dedicated;
    let whole = crate::inner::make::udp_payload(4000, 53, &[7; 40]);
    let (first, last) = whole.split_at(24);
    let first = ip(LAPTOP, FILES, 17, 0x2000, 9, first);
    let later = |id| ip(LAPTOP, FILES, 17, 3, id, last);
    assert!(p.up(dedicated, &first) && p.up(dedicated, &later(9)));
    assert!(!p.up(dedicated, &later(10)), "whose first nobody has seen");
    let other =
        ip(LAPTOP, FILES, 17, 0x2000, 11, &crate::inner::make::udp_payload(4000, 443, &[7; 16])[..24]);
    assert!(!p.up(dedicated, &other) && !p.up(dedicated, &later(11)));
}

#[test]
fn precedence_decides_and_what_no_pdr_speaks_of_is_dropped() {
    let mut p = Path::with(&["permit out 17 from any to assigned"]);
    let (default, dedicated) = (p.default, p.dedicated);
    let dns = udp(LAPTOP, 4000, FILES, 53, b"who?");
    let answer = udp(FILES, 53, LAPTOP, 4000, b"me");
    assert!(p.up(default, &dns));
    assert_eq!(p.down(&answer), Some(DEDICATED));
    // Behind the default one, it is never reached.
    let last = UpdatePdr { pdr_id: PdrId(11), precedence: Some(Precedence(300)), ..Default::default() };
    let change = |p: &mut Path, m| assert_eq!(p.w.modify(FOREIGN, p.seid, m).cause, Cause::Accepted);
    change(&mut p, SessionModificationRequest { update_pdrs: vec![last], ..Default::default() });
    assert_eq!(p.down(&answer), Some(DEFAULT));
    // A gate that is closed is no reason to go another way.
    let first = UpdatePdr { pdr_id: PdrId(11), precedence: Some(Precedence(1)), ..Default::default() };
    let shut = UpdateQer { qer_id: QerId(9), gate_status: Some(GateStatus(0x05)), ..Default::default() };
    change(
        &mut p,
        SessionModificationRequest {
            update_pdrs: vec![first],
            update_qers: vec![shut],
            ..Default::default()
        },
    );
    assert!(p.down(&answer).is_none() && !p.up(dedicated, &dns) && p.up(default, &dns));
    // Without the default bearer's PDR there is no way for the rest.
    let open = UpdateQer { qer_id: QerId(9), gate_status: Some(GateStatus(0)), ..Default::default() };
    let gone = vec![RemovePdr { pdr_id: PdrId(2), others: Vec::new() }];
    change(
        &mut p,
        SessionModificationRequest { update_qers: vec![open], remove_pdrs: gone, ..Default::default() },
    );
    assert!(p.up(default, &tcp(LAPTOP, 4001, FILES, 443, SYN)));
    assert_eq!(p.down(&tcp(FILES, 443, LAPTOP, 4001, SYN | ACK)), None);
    assert_eq!(p.down(&answer), Some(DEDICATED));
}

#[test]
fn each_bearer_has_its_own_rate() {
    let mut p = Path::with(&["permit out 17 from any to assigned"]);
    let slow =
        UpdateQer { qer_id: QerId(9), mbr: Some(Mbr { uplink: 8, downlink: 8 }), ..Default::default() };
    let m = SessionModificationRequest { update_qers: vec![slow], ..Default::default() };
    assert_eq!(p.w.modify(FOREIGN, p.seid, m).cause, Cause::Accepted);
    let (default, dedicated) = (p.default, p.dedicated);
    let large = udp(LAPTOP, 4000, FILES, 53, &[7; 1300]);
    // The bucket of the slow one holds 65 536 octets: 49 packets of 1 328.
    assert_eq!((0..100).filter(|_| p.up(dedicated, &large)).count(), 49);
    assert_eq!((0..100).filter(|_| p.up(default, &large)).count(), 100);
    let answer = udp(FILES, 53, LAPTOP, 4000, &[7; 1300]);
    assert_eq!((0..100).filter(|_| p.down(&answer) == Some(DEDICATED)).count(), 49);
}

#[test]
fn packets_of_a_bearer_that_is_not_ready_wait_and_the_others_go() {
    let mut p = Path::with(&["permit out 17 from any to assigned"]);
    let default = p.default;
    assert!(p.up(default, &udp(LAPTOP, 4000, FILES, 53, b"who?")));
    assert!(p.up(default, &tcp(LAPTOP, 4001, FILES, 443, SYN)));
    let far = |action, outer| UpdateFar {
        far_id: FarId(11),
        apply_action: Some(ApplyAction::of(action)),
        forwarding_parameters: outer,
        ..Default::default()
    };
    let change = |p: &mut Path, far| {
        let m = SessionModificationRequest { update_fars: vec![far], ..Default::default() };
        assert_eq!(p.w.modify(FOREIGN, p.seid, m).cause, Cause::Accepted);
    };
    change(&mut p, far(ApplyAction::BUFF | ApplyAction::NOCP, None));
    let answer = |n: u8| udp(FILES, 53, LAPTOP, 4000, &[n]);
    assert!(p.down(&answer(1)).is_none() && p.down(&answer(2)).is_none());
    assert_eq!(p.down(&tcp(FILES, 443, LAPTOP, 4001, SYN | ACK)), Some(DEFAULT));
    // The PDR that the packet belongs to is named.
    let at = usize::from(shard_of(Teid::new(default).unwrap(), 2).0);
    let event = p.w.shards[at].poll_event().unwrap();
    assert_eq!(event, ShardEvent::DownlinkData { seid: Seid(p.seid), pdr: Some(11) });
    p.w.sent.clear();
    p.w.n4.event(event, p.w.now);
    p.w.pump();
    let Message::SessionReportRequest(m) = &p.w.sent[0].1.message else { panic!() };
    assert_eq!(m.downlink_data_report.as_ref().unwrap().pdr_ids, [PdrId(11)]);
    // Its tunnel is there: what waited goes first.
    change(&mut p, far(ApplyAction::FORW, None));
    let out = p.run(Origin::N6 { handed: false }, &answer(3));
    assert_eq!(out, [1, 2, 3].map(|n| (Some(DEDICATED), answer(n))));
}

#[test]
fn a_filter_may_be_named_by_its_number() {
    let numbered = SdfFilter { id: Some(4), ..filter("permit out 17 from any 53 to assigned") };
    let number = |n| SdfFilter { id: Some(n), ..Default::default() };
    let mut p = Path::plain();
    let mut m = bearer(&[numbered]);
    m.create_pdrs[1].pdi.sdf_filters = vec![number(4)];
    let Some(FTeid::Given { teid, .. }) = p.w.modify(FOREIGN, p.seid, m).created_pdrs[0].local_f_teid else {
        panic!()
    };
    assert!(p.up(teid, &udp(LAPTOP, 4000, FILES, 53, b"who?")));
    assert!(!p.up(teid, &tcp(LAPTOP, 4001, FILES, 443, SYN)));
    // A number that stands for nothing.
    let before = p.w.weight();
    let mut p2 = bearer(&[number(5)]);
    p2.create_pdrs.iter_mut().for_each(|c| c.pdr_id.0 += 10);
    p2.create_fars.clear();
    p2.create_qers.clear();
    p2.create_urrs.clear();
    let refused = p.w.modify(FOREIGN, p.seid, p2);
    assert_eq!((refused.cause, refused.offending_ie), (Cause::RuleFailure, Some(OffendingIe(23))));
    assert_eq!((refused.failed_rule_id, p.w.weight()), (Some(FailedRuleId::Pdr(21)), before));
}

#[test]
fn filters_are_bounded_and_those_of_nobody_cost_nothing() {
    let mut p = Path::plain();
    let many = |n: usize| {
        (0..n).map(|i| filter(&format!("permit out 17 from any {i} to assigned"))).collect::<Vec<_>>()
    };
    let before = p.w.weight();
    let refused = p.w.modify(FOREIGN, p.seid, bearer(&many(16)));
    assert_eq!((refused.cause, refused.offending_ie), (Cause::NoResources, Some(OffendingIe(23))));
    // 18 PDRs of 15 filters are more than a session may have.
    let mut m = bearer(&many(15));
    for i in 0..16 {
        let mut one = m.create_pdrs[0].clone();
        one.pdr_id = PdrId(100 + i);
        m.create_pdrs.push(one);
    }
    assert_eq!(p.w.modify(FOREIGN, p.seid, m).cause, Cause::NoResources);
    assert_eq!(p.w.weight(), before);
    // Router Solicitations are answered here; no packet is held against the filter that sends them elsewhere.
    p.add(&[filter("permit out 58 from ff02::2/128 to assigned")]);
    let e = &p.w.n4.sessions[&Seid(p.seid)];
    assert!(e.rules.paths(e.identity.ue).steps.is_none());
}
