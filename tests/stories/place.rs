//! Where a SIM is by LTE, as its SMF says it by Gx, and what becomes of that when control is killed: a live session under
//! a rule of place goes on, and one that is not in its place stays closed.

use crate::gateway::Sent;
use crate::packets::{Packet, What};
use crate::site::*;
use crate::world::World;
use hss::gx::{self, Gx, GxConfig, Session, SessionKey, Write};
use lab::peer::{Name as PeerName, Peer as _};
use lab::smf::pfcp::{Core, Wish, establishment};
use lab::smf::{Manners, Order, Smf, Wanted};
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use types::*;
use wire::diameter::{Identity, UserLocation};
use wire::pfcp::{self, FTeid, Message};

/// The core's user plane in front of us, as Open5GS has one.
const SGW: Ipv4Addr = Ipv4Addr::new(172, 16, 1, 99);
/// Tracking areas of the works, and of elsewhere.
const WORKS: u16 = 0x101;
const ELSEWHERE: u16 = 0x102;

/// In its place.
const THERE: usize = 0;
/// Not in its place.
const AWAY: usize = 1;

/// A core beside us, and what of its sessions is durable here.
pub struct Lte {
    smf: Smf,
    /// PFCP that it was told.
    pub told: Vec<Vec<u8>>,
    sequence: u32,
    /// As in the store: sessions, each with where its SIM is and since when.
    pub rows: BTreeMap<SessionKey, (Session, Option<(UserLocation, Utc)>)>,
    teids: BTreeMap<usize, u32>,
}

fn identity(s: &str) -> Identity {
    Identity::new(s).unwrap()
}

impl Lte {
    pub fn new() -> Self {
        let name = PeerName { host: identity("smf.example"), realm: identity("example"), state: 1 };
        Self {
            smf: Smf::new(name, Manners::Yes),
            told: Vec::new(),
            sequence: 0,
            rows: BTreeMap::new(),
            teids: BTreeMap::new(),
        }
    }

    /// Gx when control starts: the sessions that live.
    pub fn gx(&self, now: Now) -> Gx {
        let smf = gx::Smf {
            host: identity("smf.example"),
            realm: identity("example"),
            imsis: Vec::new(),
            assigns: Vec::new(),
            rules: false,
        };
        let config = GxConfig { host: identity("pcrf.example"), realm: identity("example"), smfs: vec![smf] };
        let mut gx = Gx::new(config);
        gx.handle(gx::Input::Load(self.rows.values().map(|(s, _)| s.clone()).collect()), now);
        gx
    }
}

fn address(u: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 20, 0, 100 + u as u8)
}

/// 3GPP-User-Location-Info of an area, and a cell of it.
fn location(tac: u16) -> Vec<u8> {
    let plmn = [0x00, 0xf1, 0x10];
    [&[130][..], &plmn, &tac.to_be_bytes(), &plmn, &[0, 0, 1, 2]].concat()
}

fn seen(place: Option<(UserLocation, Utc)>) -> SimFacts {
    let place = place.map(|(at, since)| SiteSeen {
        site: (at.tai.tac == Tac::try_from(u32::from(WORKS)).unwrap()).then(|| name("works")),
        usual: true,
        zone: None,
        since,
        source: name("network"),
    });
    SimFacts { place, ..SimFacts::default() }
}

impl World {
    /// What control knows when it starts: where SIMs were seen, as far as that is durable and can be read.
    pub fn recall_places(&mut self) {
        for (session, place) in self.lte.rows.values() {
            self.facts.insert(session.imsi, seen(*place));
        }
    }

    /// The SMF says this by Gx, and control does what it asks for.
    fn by_gx(&mut self, order: &Order) {
        let now = self.now;
        let octets = self.lte.smf.order(order).expect("a message");
        let message = wire::diameter::Pdu::parse(&octets).unwrap().message;
        let peer = identity("smf.example");
        self.ctl().gx.handle(gx::Input::Request { id: 1, peer, message }, now);
        while let Some(wish) = self.ctl().gx.poll_output() {
            let input = match wish {
                gx::Output::Locate { txn, imsi, .. } => {
                    let subscription = self.store.sims[&imsi].subscription.clone();
                    gx::Input::Located { txn, subscription }
                }
                gx::Output::Addresses { txn, imsi, .. } => {
                    let u = (0..self.roles.len()).find(|u| crate::site::imsi(*u) == imsi).unwrap();
                    let ip = UeIp(address(u));
                    let lease = Some(Ok(SessionAddress { ip, prefix: None, dns: vec![], mtu: 1358 }));
                    gx::Input::Addresses { txn, lease, disjoint: true }
                }
                gx::Output::Persist { txn, write } => {
                    match write {
                        Write::Begin(s) => drop(self.lte.rows.insert(s.key(), (s, None))),
                        Write::End(key) => drop(self.lte.rows.remove(&key)),
                    }
                    gx::Input::Persisted { txn, ok: true }
                }
                gx::Output::Seen { imsi, place } => {
                    for (_, at) in self.lte.rows.values_mut().filter(|(s, _)| s.imsi == imsi) {
                        *at = Some((place, now.utc));
                    }
                    let u = (0..self.roles.len()).find(|u| crate::site::imsi(*u) == imsi).unwrap();
                    self.learn(u, seen(Some((place, now.utc))));
                    continue;
                }
                _ => continue,
            };
            self.ctl().gx.handle(input, now);
        }
        self.run();
    }

    /// The SMF says this by PFCP; what it is told.
    fn by_pfcp(&mut self, seid: Option<u64>, message: impl Into<Message>) -> Message {
        let now = self.now;
        self.lte.sequence += 1;
        let octets = pfcp::Pdu { seid, sequence: self.lte.sequence, message: message.into() }.encode();
        self.gw().n4.handle(pgw_policy::n4::Peer::Udp(SMF.into()), &octets, now);
        self.run();
        let told = std::mem::take(&mut self.lte.told);
        pfcp::Pdu::parse(told.last().expect("an answer")).unwrap().message
    }

    /// The UE attaches by LTE in this area: its session is told by Gx, then made by PFCP.
    fn attach_by_lte(&mut self, u: usize, tac: u16) {
        let ip = address(u);
        let wanted = Wanted { imsi: imsi(u), dnn: "corp".to_owned(), ipv4: Some(ip), ipv6: None };
        self.by_gx(&Order::Begin(u as u32, wanted));
        self.by_gx(&Order::Seen(u as u32, location(tac)));
        let wish = Wish {
            core: Core::Epc,
            imsi: Some(imsi(u)),
            dnn: "corp".parse().unwrap(),
            ip: Some(ip),
            ip6: None,
            radio: Some((SGW, 0x77 + u as u32)),
            restores: None,
            threshold: None,
            seid: 0xf00 + u as u64,
        };
        let Message::SessionEstablishmentResponse(m) = self.by_pfcp(Some(0), establishment(SMF, N3, &wish))
        else {
            panic!("another answer")
        };
        assert!(m.cause.is_accepted(), "{:?}", m.cause);
        let up = m.created_pdrs.iter().find(|p| p.pdr_id == pfcp::PdrId(2)).expect("the uplink");
        let Some(FTeid::Given { teid, .. }) = up.local_f_teid else { panic!("no tunnel") };
        self.lte.teids.insert(u, teid);
    }

    /// True where a packet of the UE to `files` leaves.
    fn passes_by_lte(&mut self, u: usize, what: What, sport: u16) -> bool {
        let packet = Packet::new(what, address(u), sport, FILES, 443).bytes();
        let datagram = wire::gtpu::encode_uplink(self.lte.teids[&u], 1, &packet).unwrap();
        self.at_n3(SGW, &datagram).contains(&Sent::N6(packet))
    }
}

/// `files` is for laptops at the works. One is there, one is not, and both have sessions by LTE.
fn scene() -> World {
    let roles = [Role::Laptop; 2];
    let mut w = World::new(&roles, 1);
    let mut p = policy(2, &roles, &[]);
    let files = p.rules.iter_mut().find(|r| r.name == name("laptops-files")).unwrap();
    files.conditions.sites = [name("works")].into();
    w.publish(p);
    w.run();
    let request = pfcp::AssociationSetupRequest {
        node_id: pfcp::NodeId::V4(SMF),
        recovery: pfcp::RecoveryTimeStamp(1),
        ..Default::default()
    };
    assert!(
        matches!(w.by_pfcp(None, request), Message::AssociationSetupResponse(m) if m.cause.is_accepted())
    );
    w.attach_by_lte(THERE, WORKS);
    w.attach_by_lte(AWAY, ELSEWHERE);
    w
}

/// Flows of a SIM that ended because of what is known of it.
fn ended(w: &World, u: usize) -> usize {
    let ended = |r: &&FlowRecord| r.imsi == imsi(u) && r.reason == Reason::FactsChanged;
    w.records.iter().filter(ended).count()
}

#[test]
fn an_lte_session_in_its_place_goes_on_over_a_restart_of_control_and_one_that_is_not_stays_closed() {
    let mut w = scene();
    assert!(w.passes_by_lte(THERE, What::Syn, 40_001));
    assert!(!w.passes_by_lte(AWAY, What::Syn, 40_001));
    w.control_dies();
    w.pass_ms(60_000);
    assert!(w.passes_by_lte(THERE, What::Ack, 40_001), "without control");
    assert!(!w.passes_by_lte(AWAY, What::Syn, 40_002));

    // At every step of the start.
    let before = w.steps;
    w.control_starts();
    w.run();
    let steps = w.steps - before;
    assert!(steps > 5);
    for n in 0..=steps {
        w.control_dies();
        w.run();
        w.control_starts();
        for _ in 0..n {
            w.step();
        }
        assert!(w.passes_by_lte(THERE, What::Ack, 40_001), "step {n}");
        assert!(!w.passes_by_lte(AWAY, What::Syn, 41_000 + n as u16), "step {n}");
        w.run();
    }
    assert!(w.passes_by_lte(THERE, What::Syn, 40_003), "and opens new flows");
    assert_eq!(ended(&w, THERE), 0);

    // Its SMF speaks again: it has left, and the other has come.
    w.by_gx(&Order::Seen(THERE as u32, location(ELSEWHERE)));
    w.by_gx(&Order::Seen(AWAY as u32, location(WORKS)));
    assert!(!w.passes_by_lte(THERE, What::Ack, 40_001));
    assert!(w.passes_by_lte(AWAY, What::Syn, 42_000));
    assert_eq!(ended(&w, THERE), 2);
    // And that is what the next start knows.
    w.control_dies();
    w.control_starts();
    w.run();
    assert!(!w.passes_by_lte(THERE, What::Syn, 42_001));
    assert!(w.passes_by_lte(AWAY, What::Ack, 42_000));
}

#[test]
fn a_place_that_cannot_be_read_any_longer_opens_nothing_until_the_smf_speaks() {
    let mut w = scene();
    assert!(w.passes_by_lte(THERE, What::Syn, 40_001));
    w.control_dies();
    w.lte.rows.values_mut().for_each(|(_, place)| *place = None);
    w.control_starts();
    w.run();
    assert!(!w.passes_by_lte(THERE, What::Ack, 40_001));
    assert!(!w.passes_by_lte(AWAY, What::Syn, 40_001));
    w.by_gx(&Order::Seen(THERE as u32, location(WORKS)));
    assert!(w.passes_by_lte(THERE, What::Syn, 40_002));
}

/// Another SMF's word, noise for a place, a session that there is not: nobody is anywhere else.
#[test]
fn what_is_no_place_moves_nobody() {
    let mut w = scene();
    for nothing in [
        vec![],
        vec![130],
        location(WORKS)[..6].to_vec(),
        vec![0xff; 13],
        [&location(WORKS)[..], &[0]].concat(),
    ] {
        w.by_gx(&Order::Seen(AWAY as u32, nothing.clone()));
        assert!(!w.passes_by_lte(AWAY, What::Syn, 40_001), "{nothing:?}");
    }
    let now = w.now;
    let stranger = identity("smf9.example");
    let octets = w.lte.smf.order(&Order::Seen(AWAY as u32, location(WORKS))).expect("a message");
    let message = wire::diameter::Pdu::parse(&octets).unwrap().message;
    w.ctl().gx.handle(gx::Input::Request { id: 7, peer: stranger, message }, now);
    let told: Vec<_> = std::iter::from_fn(|| w.ctl().gx.poll_output()).collect();
    assert!(!told.iter().any(|o| matches!(o, gx::Output::Seen { .. })), "{told:?}");
    assert!(!w.passes_by_lte(AWAY, What::Syn, 40_002));
}
