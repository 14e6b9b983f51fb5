//! In front of the product and behind it: radios and UEs, simulated by `lab`, and the company's hosts. Packets go
//! through the gateway at once, and what becomes of each is told by its [`Fate`].

use crate::gateway::Sent;
use crate::packets::{Packet, What};
use crate::site;
use crate::world::{Channel, Flight, Tapped, World};
use access::nr::{self, AssocId};
use lab::gnb::{self, Gnb, GnbConfig, GnbLies, SessionTunnel, UeKey};
use lab::ue::{self, Lies, Ue, UeConfig, UeEvent};
use sim_auth::Usim;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use types::*;
use wire::gtpu::{self, MessageType};
use wire::nas::fgs::{PduSessionType, STmsi, UeSecurityCapability};
use wire::nas::security::{Direction, Nea, Nia};
use wire::ngap::{Cause, ErrorIndication, GlobalGnbId, RadioCause};

/// A gNB with its association.
pub struct Radio {
    pub gnb: Gnb,
    pub assoc: Option<AssocId>,
    /// Its address, on N2 and on N3.
    pub address: IpAddr,
    /// Downlink packets for a tunnel that it does not have.
    pub strays: u64,
    /// What the AMF found wrong with it.
    pub errors: Vec<ErrorIndication>,
}

/// A UE, where it is, and what it got.
pub struct Phone {
    pub ue: Ue,
    /// Which radio it is at.
    pub cell: usize,
    /// Where it goes when its radio sends it away; nowhere for one that does not obey.
    pub going: Option<usize>,
    /// Its radio connection's name there: a new one after it was switched off, or went to another radio.
    pub key: UeKey,
    /// Everything that happened to it.
    pub events: Vec<UeEvent>,
    /// Its user planes.
    pub tunnels: BTreeMap<PduSessionId, (usize, SessionTunnel)>,
    /// Every user plane that it ever had, with the address that it had there: what a liar goes on using.
    pub remembers: Vec<(usize, SessionTunnel)>,
    /// Every address that it ever had.
    pub addresses: Vec<Ipv4Addr>,
    /// Packets from the company or another UE.
    pub got: Vec<Packet>,
    /// Answers what it gets.
    pub answers: bool,
}

/// Names of radio connections of one UE are so far apart.
const KEYS: u32 = 1_000;

fn phone_of(key: UeKey) -> usize {
    (key.0 % KEYS) as usize
}

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It arrived, and its answer came back.
    Answered,
    /// It arrived; no answer came back.
    Arrived,
    /// It was dropped and the sender was told.
    Rejected(Reason),
    /// It was dropped in silence.
    Dropped(Reason),
    /// It waits for a UE that is idle.
    Waits,
    /// It did not leave: there is no user plane.
    NoRadio,
    /// The gateway does not run.
    NoGateway,
}

/// A packet that the gateway let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Passed {
    /// Whose: the UE that sent it or got it.
    pub phone: usize,
    /// True for one from the UE.
    pub up: bool,
    pub packet: Packet,
}

impl Radio {
    /// Its address is of the family of our N3 address.
    pub fn new(r: usize, n3: IpAddr, now: Now) -> Self {
        let address = match n3 {
            IpAddr::V4(_) => Ipv4Addr::new(172, 16, 1, 2 + r as u8).into(),
            IpAddr::V6(_) => Ipv6Addr::new(0xfd00, 0x16, 1, 0, 0, 0, 0, 2 + r as u16).into(),
        };
        let config = GnbConfig {
            id: GlobalGnbId { plmn: site::plmn(), id: r as u32 + 1, bits: 22 },
            name: format!("gnb-{r}"),
            plmn: site::plmn(),
            tac: site::tac(),
            slices: vec![site::snssai()],
            n3: address,
            lies: GnbLies::default(),
        };
        Self {
            gnb: Gnb::new(config, now, [r as u8 + 1; 32]),
            assoc: None,
            address,
            strays: 0,
            errors: Vec::new(),
        }
    }
}

impl Phone {
    pub fn new(u: usize, radios: usize, now: Now) -> Self {
        let (k, opc) = site::keys(u);
        let config = UeConfig {
            supi: Supi(site::imsi(u)),
            plmn: site::plmn(),
            imeisv: Some(format!("35546411{u:06}01").parse().unwrap()),
            capability: UeSecurityCapability::of(
                &[Nea::Nea0, Nea::Nea1, Nea::Nea2],
                &[Nia::Nia1, Nia::Nia2, Nia::Nia3],
            ),
            conceal: None,
            slices: vec![],
            lies: Lies::default(),
        };
        Self {
            ue: Ue::new(config, Usim::new(&k, &opc), now, [u as u8; 32]),
            cell: u % radios,
            going: None,
            key: UeKey(u as u32),
            events: Vec::new(),
            tunnels: BTreeMap::new(),
            remembers: Vec::new(),
            addresses: Vec::new(),
            got: Vec::new(),
            answers: true,
        }
    }

    /// Its address in its first session.
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.ue.sessions().next().map(|s| s.address)
    }

    /// Where a packet with this source goes.
    fn tunnel(&self, src: Ipv4Addr) -> Option<(usize, SessionTunnel)> {
        let id = self.ue.sessions().find(|s| s.address == src).map(|s| s.id);
        id.and_then(|id| self.tunnels.get(&id)).or_else(|| self.tunnels.values().next()).copied()
    }
}

impl World {
    // ---- radios

    /// A radio connects.
    pub fn radio_up(&mut self, r: usize) {
        self.next_assoc += 1;
        let assoc = AssocId(self.next_assoc);
        let now = self.now;
        let radio = &mut self.radios[r];
        radio.assoc = Some(assoc);
        let peer = radio.address;
        radio.gnb.handle(gnb::Input::Up, now);
        if let Some(c) = &mut self.control {
            c.amf.handle(nr::Input::AssocUp { assoc, peer }, now);
        }
    }

    /// A radio loses its association, and both sides notice.
    pub fn radio_down(&mut self, r: usize) {
        let now = self.now;
        let Some(assoc) = self.radios[r].assoc.take() else { return };
        self.lose(|c| c == Channel::N2Up(r) || c == Channel::N2Down(r));
        self.radios[r].gnb.handle(gnb::Input::Down, now);
        if let Some(c) = &mut self.control {
            c.amf.handle(nr::Input::AssocDown { assoc }, now);
        }
    }

    pub(crate) fn close(&mut self, assoc: AssocId) {
        if let Some(r) = self.radios.iter().position(|r| r.assoc == Some(assoc)) {
            self.radio_down(r);
        }
    }

    pub(crate) fn ngap_to_radio(&mut self, assoc: AssocId, octets: Vec<u8>) {
        if let Some(r) = self.radios.iter().position(|r| r.assoc == Some(assoc)) {
            self.post(Channel::N2Down(r), Flight::ToRadio { assoc, octets });
        }
    }

    pub(crate) fn ngap_down(&mut self, r: usize, assoc: AssocId, octets: Vec<u8>) {
        let now = self.now;
        if self.radios[r].assoc == Some(assoc) {
            self.radios[r].gnb.handle(gnb::Input::Ngap(octets), now);
        }
    }

    pub(crate) fn ngap_up(&mut self, assoc: AssocId, stream: u16, octets: Vec<u8>) {
        let now = self.now;
        if let Some(c) = &mut self.control {
            c.amf.handle(nr::Input::Ngap { assoc, stream, bytes: octets }, now);
        }
    }

    fn overhear(&mut self, phone: usize, direction: Direction, octets: &[u8]) {
        if let Some(tap) = &mut self.tap {
            tap.push(Tapped { phone, direction, octets: octets.to_vec() });
        }
    }

    pub(crate) fn nas_up(&mut self, u: usize, mut octets: Vec<u8>, s_tmsi: Option<STmsi>) {
        let now = self.now;
        if let Some(change) = &mut self.on_way_up {
            change(&mut octets);
        }
        self.overhear(u, Direction::Uplink, &octets);
        let s_tmsi = s_tmsi.map(|s| wire::ngap::STmsi { set: s.set, pointer: s.pointer, tmsi: s.tmsi });
        let input = gnb::Input::Nas { ue: self.phones[u].key, octets, s_tmsi };
        self.radios[self.phones[u].cell].gnb.handle(input, now);
    }

    pub(crate) fn nas_down(&mut self, u: usize, by: (usize, UeKey), octets: Vec<u8>) {
        let now = self.now;
        if (self.phones[u].cell, self.phones[u].key) == by {
            self.phones[u].ue.handle(ue::Input::Nas(octets), now);
        }
    }

    pub(crate) fn released(&mut self, u: usize, by: (usize, UeKey)) {
        let now = self.now;
        if (self.phones[u].cell, self.phones[u].key) == by {
            self.phones[u].ue.handle(ue::Input::Released, now);
        }
    }

    pub(crate) fn poll_field(&mut self) -> bool {
        for r in 0..self.radios.len() {
            if let Some(o) = self.radios[r].gnb.poll_output() {
                self.radio_wish(r, o);
                return true;
            }
        }
        for u in 0..self.phones.len() {
            if let Some(o) = self.phones[u].ue.poll_output() {
                self.phone_wish(u, o);
                return true;
            }
        }
        false
    }

    fn radio_wish(&mut self, r: usize, o: gnb::Output) {
        match o {
            gnb::Output::Ngap { stream, octets } => {
                if let Some(assoc) = self.radios[r].assoc {
                    self.post(Channel::N2Up(r), Flight::Ngap { assoc, stream, octets });
                }
            }
            gnb::Output::Nas { ue, octets } => {
                self.overhear(phone_of(ue), Direction::Downlink, &octets);
                self.post(Channel::AirDown(phone_of(ue)), Flight::NasDown { radio: r, key: ue, octets });
            }
            gnb::Output::Released { ue, .. } => {
                self.post(Channel::AirDown(phone_of(ue)), Flight::Released { radio: r, key: ue });
            }
            gnb::Output::TunnelUp(t) => {
                let u = phone_of(t.ue);
                self.ends.insert((self.radios[r].address, t.downlink.teid.value()), u);
                let phone = &mut self.phones[u];
                phone.remembers.push((r, t));
                if (phone.cell, phone.key) == (r, t.ue) {
                    phone.tunnels.insert(t.session, (r, t));
                }
            }
            gnb::Output::TunnelDown { ue, session } => {
                let tunnels = &mut self.phones[phone_of(ue)].tunnels;
                if tunnels.get(&session).is_some_and(|(radio, t)| (*radio, t.ue) == (r, ue)) {
                    tunnels.remove(&session);
                }
            }
            gnb::Output::Refused { cause, .. } => panic!("gnb-{r} is refused: {cause:?}"),
            gnb::Output::SendAway { ue } => {
                let (u, now) = (phone_of(ue), self.now);
                if let Some(to) = self.phones[u].going.take().filter(|_| self.phones[u].key == ue) {
                    self.phones[u].cell = to;
                    self.radios[to].gnb.handle(gnb::Input::Arrived { ue }, now);
                }
            }
            gnb::Output::Paged { s_tmsi } => {
                for u in (0..self.phones.len()).filter(|u| self.phones[*u].cell == r).collect::<Vec<_>>() {
                    self.post(Channel::AirDown(u), Flight::Paged { radio: r, s_tmsi });
                }
            }
            gnb::Output::Error(e) => self.radios[r].errors.push(e),
            gnb::Output::Ready { .. } | gnb::Output::Updated { .. } => {}
        }
    }

    fn phone_wish(&mut self, u: usize, o: ue::Output) {
        match o {
            ue::Output::Nas { octets, s_tmsi } => {
                self.post(Channel::AirUp(u), Flight::NasUp { octets, s_tmsi });
            }
            ue::Output::Event(e) => {
                if let UeEvent::SessionUp(s) = &e {
                    self.phones[u].addresses.push(s.address);
                }
                self.phones[u].events.push(e);
            }
        }
    }

    // ---- UEs

    /// Tells a UE something; what follows happens in [`World::run`].
    pub fn tell(&mut self, u: usize, input: ue::Input) {
        let now = self.now;
        self.phones[u].ue.handle(input, now);
    }

    /// The UE is without its radio connection from one moment to the next; the radio does not notice.
    fn vanish(&mut self, u: usize, cell: usize) {
        let phone = &mut self.phones[u];
        phone.key = UeKey(phone.key.0 + KEYS);
        phone.cell = cell;
        phone.tunnels.clear();
        self.tell(u, ue::Input::Released);
    }

    /// The UE is switched off without a word, and on again.
    pub fn power_cycle(&mut self, u: usize) {
        self.tell(u, ue::Input::PowerCycle);
        self.vanish(u, self.phones[u].cell);
    }

    /// The UE goes out of its radio's sight and into that of another one.
    pub fn move_to(&mut self, u: usize, cell: usize) {
        self.vanish(u, cell);
    }

    /// The UE's radio gives it to another one, with its user plane; false for a UE that has none.
    pub fn hand_over(&mut self, u: usize, to: usize) -> bool {
        let (phone, now) = (&mut self.phones[u], self.now);
        let Some(context) = self.radios[phone.cell].gnb.hand_over(phone.key) else { return false };
        phone.cell = to;
        self.radios[to].gnb.handle(gnb::Input::TakeOver { ue: phone.key, context }, now);
        true
    }

    /// The UE's radio asks the AMF to send it to another one.
    pub fn ask_away(&mut self, u: usize, to: usize) {
        let (target, now) = (GlobalGnbId { plmn: site::plmn(), id: to as u32 + 1, bits: 22 }, self.now);
        let phone = &mut self.phones[u];
        phone.going = Some(to);
        let tai = Tai { plmn: site::plmn(), tac: site::tac() };
        let input = gnb::Input::WantAway { ue: phone.key, target, tai };
        self.radios[phone.cell].gnb.handle(input, now);
    }

    /// The UE asks for a session with this identity in its own data network.
    pub fn ask_session(&mut self, u: usize, id: u8) {
        let dnn = Some(self.roles[u].dnn().parse().unwrap());
        let id = id.try_into().unwrap();
        self.tell(u, ue::Input::Establish { id, dnn, slice: None, session_type: PduSessionType::IPV4 });
    }

    /// Registration and one session, from nothing to traffic; the address.
    pub fn attach(&mut self, u: usize) -> Ipv4Addr {
        self.tell(u, ue::Input::Register);
        self.run();
        self.ask_session(u, 1);
        self.run();
        let phone = &self.phones[u];
        phone.address().unwrap_or_else(|| panic!("UE {u} has no session: {:?}", phone.events))
    }

    /// The radio lets a UE go for inactivity.
    pub fn go_idle(&mut self, u: usize) {
        let now = self.now;
        let cause = Cause::RadioNetwork(RadioCause::USER_INACTIVITY);
        let input = gnb::Input::AskRelease { ue: self.phones[u].key, cause };
        self.radios[self.phones[u].cell].gnb.handle(input, now);
    }

    /// What happened to a UE since this was asked last.
    pub fn news_of(&mut self, u: usize) -> Vec<UeEvent> {
        std::mem::take(&mut self.phones[u].events)
    }

    // ---- packets

    /// UE `u` sends a packet; hosts and UEs answer what opens.
    pub fn send(&mut self, u: usize, packet: Packet) -> Fate {
        match self.phones[u].tunnel(packet.src) {
            Some((radio, tunnel)) => {
                let from = self.radios[radio].address;
                self.send_by(u, from, tunnel.uplink.teid.value(), packet)
            }
            None => Fate::NoRadio,
        }
    }

    /// The same, from this outer source into this tunnel, whatever the radios say.
    pub fn send_by(&mut self, u: usize, from: impl Into<IpAddr>, teid: u32, packet: Packet) -> Fate {
        let datagram = gtpu::encode_uplink(teid, 1, &packet.bytes()).unwrap();
        let before = self.drops();
        let sent = self.at_n3(from, &datagram);
        let mut arrived = false;
        let mut rejected = false;
        for s in sent {
            match s {
                Sent::N6(octets) => {
                    let p = Packet::read(&octets).expect("a packet of ours");
                    assert_eq!(p, packet, "what leaves is what came");
                    self.note(Passed { phone: u, up: true, packet: p });
                    arrived = true;
                }
                Sent::N3(peer, octets) => match self.radio_gets(peer, &octets) {
                    Some((to, Some(p))) if p == packet => {
                        self.note(Passed { phone: u, up: true, packet: p });
                        self.note(Passed { phone: to, up: false, packet: p });
                        self.phones[to].got.push(p);
                        arrived = true;
                    }
                    Some((to, p)) => {
                        assert_eq!(to, u, "a rejection goes to its sender");
                        assert!(p.is_none_or(|p| p.what == What::Rst));
                        rejected = true;
                    }
                    None => {}
                },
            }
        }
        if arrived {
            return if self.reply_to(u, packet) { Fate::Answered } else { Fate::Arrived };
        }
        self.why(before, rejected)
    }

    /// The answer of whoever got `packet` from UE `u`; true if it reached it.
    fn reply_to(&mut self, u: usize, packet: Packet) -> bool {
        let Some(answer) = packet.answer() else { return false };
        let other = self.phones.iter().position(|p| p.answers && p.address() == Some(packet.dst));
        let sent = match other {
            Some(v) => {
                let Some((r, t)) = self.phones[v].tunnel(answer.src) else { return false };
                let datagram = gtpu::encode_uplink(t.uplink.teid.value(), 1, &answer.bytes()).unwrap();
                self.at_n3(self.radios[r].address, &datagram)
            }
            None => self.at_n6(&answer.bytes()),
        };
        self.reaches(u, answer, sent)
    }

    fn reaches(&mut self, u: usize, packet: Packet, sent: Vec<Sent>) -> bool {
        let mut reached = false;
        for s in sent {
            let Sent::N3(peer, octets) = s else { continue };
            if let Some((to, Some(p))) = self.radio_gets(peer, &octets) {
                assert_eq!(p, packet);
                self.note(Passed { phone: to, up: false, packet: p });
                self.phones[to].got.push(p);
                reached |= to == u;
            }
        }
        reached
    }

    /// A host of the company sends a packet towards a UE.
    pub fn knock(&mut self, packet: Packet) -> Fate {
        let before = self.drops();
        let sent = self.at_n6(&packet.bytes());
        if let [Sent::N6(octets)] = sent.as_slice() {
            assert!(Packet::read(octets).is_none_or(|p| p.what == What::Rst && p.dst == packet.src));
            return self.why(before, true);
        }
        let [Sent::N3(peer, octets)] = sent.as_slice() else { return self.why(before, false) };
        let Some((to, Some(p))) = self.radio_gets(*peer, octets) else { return Fate::Arrived };
        assert_eq!(p, packet);
        self.note(Passed { phone: to, up: false, packet: p });
        self.phones[to].got.push(p);
        let Some(answer) = packet.answer().filter(|_| self.phones[to].answers) else { return Fate::Arrived };
        let Some((r, t)) = self.phones[to].tunnel(answer.src) else { return Fate::Arrived };
        let datagram = gtpu::encode_uplink(t.uplink.teid.value(), 1, &answer.bytes()).unwrap();
        let sent = self.at_n3(self.radios[r].address, &datagram);
        let [Sent::N6(octets)] = sent.as_slice() else { return Fate::Arrived };
        assert_eq!(Packet::read(octets), Some(answer));
        self.note(Passed { phone: to, up: true, packet: answer });
        Fate::Answered
    }

    /// A radio gets a datagram that nobody sent just now: the packet inside had waited.
    pub(crate) fn comes_late(&mut self, peer: IpAddr, datagram: &[u8]) {
        if let Some((to, Some(packet))) = self.radio_gets(peer, datagram) {
            self.note(Passed { phone: to, up: false, packet });
            self.phones[to].got.push(packet);
        }
    }

    /// A radio gets a datagram: to which UE it leads, and the packet. A tunnel that is not there any more is
    /// told to the gateway.
    fn radio_gets(&mut self, peer: IpAddr, datagram: &[u8]) -> Option<(usize, Option<Packet>)> {
        let p = gtpu::Packet::parse(datagram).expect("GTP-U of the gateway");
        if p.kind != MessageType::GPdu {
            return None;
        }
        assert_eq!(
            p.pdu_session.map(|c| (c.pdu_type, c.qfi)),
            Some((0, 1)),
            "a downlink PDU Session Container"
        );
        let (teid, packet) = (p.teid, Packet::read(p.payload));
        let u = *self.ends.get(&(peer, teid)).expect("a tunnel of a radio");
        let r = self.radios.iter().position(|r| r.address == peer).expect("a radio");
        let is_up = self.radios[r].gnb.tunnels().any(|t| t.downlink.teid.value() == teid);
        if is_up {
            return Some((u, packet));
        }
        // A reset is the gateway's own answer; nobody here sends one.
        if let Some(packet) = packet.filter(|p| p.what != What::Rst) {
            self.note(Passed { phone: u, up: false, packet });
        }
        self.radios[r].strays += 1;
        let mut message = [0; gtpu::SMALL_MESSAGE];
        let n = gtpu::encode_error_indication(&mut message, teid, peer);
        assert_eq!(self.at_n3(peer, &message[..n]), []);
        None
    }

    fn note(&mut self, p: Passed) {
        let imsi = site::imsi(p.phone);
        assert!(!self.cut.contains(&imsi), "step {}: a packet of a banned SIM passes: {p:?}", self.steps);
        self.passed.push(p);
    }

    /// Packets dropped so far, by reason, and packets that waited.
    fn drops(&self) -> (Vec<(Reason, u64)>, u64) {
        let Some(g) = &self.gateway else { return (Vec::new(), 0) };
        let c = g.counters();
        (Reason::ALL.iter().map(|&r| (r, c.dropped(r))).collect(), c.waited)
    }

    fn why(&mut self, (before, waited): (Vec<(Reason, u64)>, u64), rejected: bool) -> Fate {
        if self.gateway.is_none() {
            return Fate::NoGateway;
        }
        let (after, _) = self.drops();
        if self.gw().counters().waited != waited {
            assert_eq!(before, after, "what waits is not dropped");
            return Fate::Waits;
        }
        let mut risen = before.iter().zip(&after).filter(|(b, a)| b.1 != a.1).map(|(b, a)| (b.0, a.1 - b.1));
        let (reason, n) = risen.next().expect("a packet that does not pass is counted");
        assert_eq!((n, risen.next()), (1, None), "one packet, one reason: {reason}");
        if rejected { Fate::Rejected(reason) } else { Fate::Dropped(reason) }
    }
}
