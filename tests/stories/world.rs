//! The world: the pure cores of both processes joined in one, simulated radios and UEs in front of them, the
//! company's hosts behind them, a store that can fail, and a clock that is moved by hand.
//!
//! Everything that one part says to another is in flight for a while: it waits in the channel between the two,
//! in order, and [`World::step`] delivers one thing at a time, the oldest first or, with [`World::shuffle`], from
//! any channel. A story can do something after any step ([`World::at`]).
//!
//! | file | what |
//! | --- | --- |
//! | `world` | channels, steps, the clock |
//! | `control` | the control process: wiring as in the product, bans, leases, policy |
//! | `gateway` | the gateway process: PFCP node, two shards, the revoked set and its journal |
//! | `field` | radios, UEs, hosts; packets and what becomes of them |

use crate::control::{Control, Store, ToControl, Write};
use crate::field::{Passed, Phone, Radio};
use crate::gateway::{Gateway, Restriction, Ticket, ToGateway};
use crate::site::{Role, imsi};
use access::nr;
use lab::gnb::UeKey;
use pgw_policy::Policy;
use pgw_policy::batch::ShardId;
use pgw_policy::command::{ShardCommand, ShardReply};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use types::*;
use wire::nas::fgs::STmsi;
use wire::nas::security::{Direction, Nea, Nia};

/// A NAS message as a radio saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tapped {
    /// Whose.
    pub phone: usize,
    pub direction: Direction,
    pub octets: Vec<u8>,
}

/// Between whom something is in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// From a UE to its radio.
    AirUp(usize),
    /// To a UE.
    AirDown(usize),
    /// From a radio to control.
    N2Up(usize),
    /// To a radio.
    N2Down(usize),
    /// Cuts and uncuts on the link; a story may let them overtake the rest, as the gateway does.
    LinkUrgent,
    /// From control to the gateway.
    LinkDown,
    /// From the gateway to control.
    LinkUp,
    /// Orders to a shard.
    Ring(u8),
    /// Answers of the shards.
    Answers,
    /// Writes that the store has not done.
    Store,
}

/// Something in flight.
pub enum Flight {
    NasUp { octets: Vec<u8>, s_tmsi: Option<STmsi> },
    NasDown { radio: usize, key: UeKey, octets: Vec<u8> },
    Released { radio: usize, key: UeKey },
    Paged { radio: usize, s_tmsi: STmsi },
    Ngap { assoc: nr::AssocId, stream: u16, octets: Vec<u8> },
    ToRadio { assoc: nr::AssocId, octets: Vec<u8> },
    ToGateway(ToGateway),
    ToControl(ToControl),
    Order { ticket: Ticket, command: ShardCommand },
    Answer { ticket: Ticket, reply: ShardReply },
    Write(Write),
}

/// Changes a NAS message.
pub type OnWay = Box<dyn FnMut(&mut Vec<u8>)>;

type Act = Box<dyn FnOnce(&mut World)>;

/// See the module.
pub struct World {
    pub now: Now,
    /// Our N3 address; the radios have one of the same family.
    pub n3: IpAddr,
    pub roles: Vec<Role>,
    pub control: Option<Control>,
    pub gateway: Option<Gateway>,
    pub store: Store,
    /// The gateway's journal of revocations, as its disk has it.
    pub journal: BTreeMap<Imsi, SimState>,
    /// What else is on it: quarantines and panics.
    pub restrictions: BTreeSet<Restriction>,
    /// SIMs whose cut the gateway has confirmed: nothing of them may pass.
    pub cut: BTreeSet<Imsi>,
    /// Ends of bans that the operator was told.
    pub receipts: Vec<Imsi>,
    pub radios: Vec<Radio>,
    pub phones: Vec<Phone>,
    /// The policy as it was published last.
    pub policy: Policy,
    /// What control knows of the SIMs.
    pub facts: BTreeMap<Imsi, SimFacts>,
    /// A core that stands beside us.
    pub lte: crate::place::Lte,
    /// What lies behind SIMs.
    pub routes: Vec<FramedRoute>,
    pub events: Vec<Event>,
    pub records: Vec<FlowRecord>,
    /// Every packet that the gateway let through, since somebody looked last.
    pub passed: Vec<Passed>,
    /// Which UE a radio's tunnel endpoint leads to, or once led to.
    pub(crate) ends: BTreeMap<(IpAddr, u32), usize>,
    /// NAS as it passes the radios, both ways, where somebody listens.
    pub tap: Option<Vec<Tapped>>,
    /// Somebody between the UEs and their radios, who may change what the UEs send.
    pub on_way_up: Option<OnWay>,
    /// Algorithms of the AMF; the usual ones if a story names none.
    pub(crate) algorithms: Option<(Vec<Nia>, Vec<Nea>)>,
    /// How SIMs prove themselves, from the next start of control on.
    pub authentication: AuthenticationMethod,
    /// The home network's keys.
    pub home_keys: Vec<hss::HomeKey>,
    /// Cuts go ahead of all that waits on the link.
    pub cuts_overtake: bool,
    /// Steps so far: outputs taken and deliveries made.
    pub steps: usize,
    pub(crate) next_assoc: u64,
    pub(crate) seeds: u16,
    flights: BTreeMap<Channel, VecDeque<(u64, Flight)>>,
    next_flight: u64,
    chance: Option<fastrand::Rng>,
    acts: Vec<(usize, Act)>,
    /// Called after each step.
    pub watch: Option<fn(&mut World)>,
}

impl World {
    /// A site that runs: `roles` name the SIMs, each in a UE of its own; nobody is attached.
    pub fn new(roles: &[Role], radios: usize) -> Self {
        Self::algorithms(roles, radios, None)
    }

    /// The same with these algorithms, the best first.
    pub fn algorithms(roles: &[Role], radios: usize, algorithms: Option<(Vec<Nia>, Vec<Nea>)>) -> Self {
        Self::build(roles, radios, algorithms, crate::site::N3.into())
    }

    /// The same where the radios and we have IPv6 addresses.
    pub fn over_ipv6(roles: &[Role], radios: usize) -> Self {
        Self::build(roles, radios, None, crate::site::N3_BY_IPV6.into())
    }

    fn build(roles: &[Role], radios: usize, algorithms: Option<(Vec<Nia>, Vec<Nea>)>, n3: IpAddr) -> Self {
        let now = Now { mono: Mono(1_000_000_000), utc: Utc(1_790_000_000_000) };
        let store = Store::new(roles, now.utc);
        let mut w = Self {
            now,
            n3,
            roles: roles.to_vec(),
            control: None,
            gateway: None,
            store,
            journal: BTreeMap::new(),
            restrictions: BTreeSet::new(),
            cut: BTreeSet::new(),
            receipts: Vec::new(),
            radios: (0..radios).map(|r| Radio::new(r, n3, now)).collect(),
            phones: (0..roles.len()).map(|u| Phone::new(u, radios, now)).collect(),
            policy: crate::site::policy(1, roles, &[]),
            facts: BTreeMap::new(),
            lte: crate::place::Lte::new(),
            routes: Vec::new(),
            events: Vec::new(),
            records: Vec::new(),
            passed: Vec::new(),
            tap: None,
            algorithms,
            authentication: AuthenticationMethod::FgAka,
            home_keys: Vec::new(),
            on_way_up: None,
            ends: BTreeMap::new(),
            cuts_overtake: true,
            steps: 0,
            next_assoc: 0,
            seeds: 0,
            flights: BTreeMap::new(),
            next_flight: 0,
            chance: None,
            acts: Vec::new(),
            watch: None,
        };
        w.gateway_starts();
        w.control_starts();
        for r in 0..radios {
            w.radio_up(r);
        }
        w.run();
        for r in &w.radios {
            assert!(r.gnb.is_ready(), "NG Setup");
        }
        w
    }

    /// A laptop (0) and a PLC (1) on one radio.
    pub fn site() -> Self {
        Self::new(&[Role::Laptop, Role::Plc], 1)
    }

    /// Random 32 octets, the same in each run.
    pub(crate) fn seed(&mut self) -> [u8; 32] {
        self.seeds += 1;
        let [low, high] = self.seeds.to_le_bytes();
        let mut seed = [low; 32];
        seed[0] ^= high;
        seed
    }

    /// From here on, what is in flight is delivered in any order that the channels allow.
    pub fn shuffle(&mut self, seed: u64) {
        self.chance = Some(fastrand::Rng::with_seed(seed));
    }

    // ---- channels

    pub(crate) fn post(&mut self, channel: Channel, flight: Flight) {
        self.next_flight += 1;
        let ahead = channel == Channel::LinkUrgent && self.cuts_overtake;
        let place = if ahead { 0 } else { self.next_flight };
        self.flights.entry(channel).or_default().push_back((place, flight));
    }

    /// What is in flight there is lost.
    pub(crate) fn lose(&mut self, is: impl Fn(Channel) -> bool) {
        self.flights.retain(|c, _| !is(*c));
    }

    /// Some of what is in flight there is lost.
    pub(crate) fn lose_some(&mut self, channel: Channel, is: impl Fn(&Flight) -> bool) {
        if let Some(queue) = self.flights.get_mut(&channel) {
            queue.retain(|(_, f)| !is(f));
        }
    }

    /// True if something like this is in flight there.
    pub(crate) fn is_on_its_way(&self, channel: Channel, is: impl Fn(&Flight) -> bool) -> bool {
        self.flights.get(&channel).is_some_and(|queue| queue.iter().any(|(_, f)| is(f)))
    }

    /// How many things are in flight.
    pub fn in_flight(&self) -> usize {
        self.flights.values().map(VecDeque::len).sum()
    }

    fn next(&mut self) -> Option<(Channel, Flight)> {
        let held = self.store.held;
        let open = |c: &Channel| !(held && *c == Channel::Store);
        let waiting: Vec<(Channel, u64)> = self
            .flights
            .iter()
            .filter(|(c, _)| open(c))
            .filter_map(|(c, q)| Some((*c, q.front()?.0)))
            .collect();
        let channel = match &mut self.chance {
            Some(chance) if !waiting.is_empty() => waiting[chance.usize(..waiting.len())].0,
            _ => waiting.iter().min_by_key(|(_, place)| *place)?.0,
        };
        let queue = self.flights.get_mut(&channel)?;
        let (_, flight) = queue.pop_front()?;
        if queue.is_empty() {
            self.flights.remove(&channel);
        }
        Some((channel, flight))
    }

    // ---- moving on

    /// Does `act` after step `n` from here.
    pub fn at(&mut self, n: usize, act: impl FnOnce(&mut World) + 'static) {
        self.acts.push((self.steps + n, Box::new(act)));
    }

    /// True while an act of [`World::at`] has not been done.
    pub fn has_plans(&self) -> bool {
        !self.acts.is_empty()
    }

    /// Takes one output of one part, or delivers one thing. False if all is quiet.
    pub fn step(&mut self) -> bool {
        if !(self.poll_control() || self.poll_n4() || self.poll_field()) {
            let Some((channel, flight)) = self.next() else { return false };
            self.deliver(channel, flight);
        }
        self.steps += 1;
        let steps = self.steps;
        while let Some(i) = self.acts.iter().position(|(at, _)| *at <= steps) {
            let (_, act) = self.acts.remove(i);
            act(self);
        }
        if let Some(watch) = self.watch {
            watch(self);
        }
        true
    }

    /// Until nobody has anything to say.
    pub fn run(&mut self) {
        let bound = self.steps + 200_000;
        while self.step() {
            assert!(self.steps < bound, "the world does not come to rest");
        }
    }

    fn deliver(&mut self, channel: Channel, flight: Flight) {
        match (channel, flight) {
            (Channel::AirUp(u), Flight::NasUp { octets, s_tmsi }) => self.nas_up(u, octets, s_tmsi),
            (Channel::AirDown(u), Flight::NasDown { radio, key, octets }) => {
                self.nas_down(u, (radio, key), octets)
            }
            (Channel::AirDown(u), Flight::Released { radio, key }) => self.released(u, (radio, key)),
            (Channel::AirDown(u), Flight::Paged { radio, s_tmsi }) => {
                let now = self.now;
                if self.phones[u].cell == radio {
                    self.phones[u].ue.handle(lab::ue::Input::Paged(s_tmsi), now);
                }
            }
            (Channel::N2Up(_), Flight::Ngap { assoc, stream, octets }) => self.ngap_up(assoc, stream, octets),
            (Channel::N2Down(r), Flight::ToRadio { assoc, octets }) => self.ngap_down(r, assoc, octets),
            (Channel::LinkUrgent | Channel::LinkDown, Flight::ToGateway(m)) => self.gateway_hears(m),
            (Channel::LinkUp, Flight::ToControl(m)) => self.control_hears(m),
            (Channel::Ring(s), Flight::Order { ticket, command }) => self.order(ShardId(s), ticket, command),
            (Channel::Answers, Flight::Answer { ticket, reply }) => self.answered(ticket, reply),
            (Channel::Store, Flight::Write(w)) => self.write(w),
            (channel, _) => panic!("a thing on the wrong way: {channel:?}"),
        }
    }

    /// Moves the clock on, timer by timer.
    pub fn pass_ms(&mut self, ms: u64) {
        let end = self.now.plus_ms(ms);
        self.run();
        while let Some(at) = self.next_timeout().filter(|at| *at <= end.mono) {
            let step = at.0.saturating_sub(self.now.mono.0).div_ceil(1_000_000);
            self.now = self.now.plus_ms(step);
            self.timeouts();
            self.run();
        }
        self.now = end;
        self.tick_shards();
    }

    fn next_timeout(&self) -> Option<Mono> {
        let control = self.control.iter().flat_map(|c| [c.amf.poll_timeout(), c.hss.poll_timeout()]);
        let phones = self.phones.iter().map(|p| p.ue.poll_timeout());
        let radios = self.radios.iter().map(|r| r.gnb.poll_timeout());
        let known = self.gateway.iter().filter_map(|g| g.book.next()).map(|due| {
            let left = u64::try_from(due.0 - self.now.utc.0).unwrap_or(0);
            self.now.mono.plus_ms(left)
        });
        control.chain(phones).chain(radios).flatten().chain(known).min()
    }

    fn timeouts(&mut self) {
        let now = self.now;
        if let Some(c) = &mut self.control {
            c.amf.handle_timeout(now);
            c.hss.handle_timeout(now);
        }
        self.phones.iter_mut().for_each(|p| p.ue.handle_timeout(now));
        self.radios.iter_mut().for_each(|r| r.gnb.handle_timeout(now));
        self.turn_facts();
    }

    // ---- what stories look at

    /// How often it happened to a SIM.
    pub fn happened(&self, u: usize, is: impl Fn(&Happening) -> bool) -> usize {
        self.events.iter().filter(|e| e.imsi == Some(imsi(u)) && is(&e.what)).count()
    }

    /// A UE as the control process sees it.
    pub fn view(&self, u: usize) -> Option<nr::UeView> {
        self.control.as_ref()?.amf.ue(Supi(imsi(u)))
    }

    /// Where each of its sessions stands.
    pub fn phases(&self, u: usize) -> Vec<nr::SessionPhase> {
        self.view(u).map(|v| v.sessions.iter().map(|s| s.phase).collect()).unwrap_or_default()
    }

    /// Nothing leaks: no connection but those of the UEs that have one, no question, no request under way; the
    /// gateway holds the sessions that control holds and no other, and each of them on a lease of its SIM.
    pub fn assert_tidy(&mut self) {
        assert_eq!(self.in_flight(), 0);
        let Some(c) = &self.control else { return };
        let [connections, _, questions, requests] = c.amf.held();
        let connected = c.amf.ues().filter(|u| u.gnb.is_some()).count();
        assert_eq!([connections, questions, requests], [connected, 0, 0], "connections, questions, requests");
        let Some(g) = &self.gateway else { return };
        let here: BTreeSet<_> =
            g.n4.sessions().into_iter().map(|s| (s.supi, s.pdu_session_id, s.ip)).collect();
        let ours: BTreeSet<_> = c
            .amf
            .ues()
            .flat_map(|u| u.sessions.into_iter().map(move |s| (u.supi, s)))
            .filter(|(_, s)| !matches!(s.phase, nr::SessionPhase::Releasing))
            .map(|(supi, s)| (supi, s.id, s.ip.expect("a session at rest has its address")))
            .collect();
        assert_eq!(here, ours, "sessions of the gateway, sessions of control");
        assert_eq!(g.n4.session_count(), here.len());
        let now = self.now;
        assert_eq!(self.gw().held(now).0, here.len());
        self.assert_addresses();
    }

    /// At every moment: one address, one SIM; and each session stands on its own SIM's lease.
    pub fn assert_addresses(&self) {
        let (Some(c), Some(g)) = (&self.control, &self.gateway) else { return };
        let mut owner = BTreeMap::new();
        for s in g.n4.sessions() {
            let before = owner.insert(s.ip, s.supi);
            assert_eq!(before, None, "{} has two sessions", s.ip);
            let lease = c.ledger.owner(s.ip).map(|l| l.imsi);
            assert_eq!(lease, Some(s.supi.imsi()), "{} is used by another SIM than its owner", s.ip);
        }
    }
}
