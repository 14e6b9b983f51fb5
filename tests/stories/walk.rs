//! A random walk: anything that UEs, radios, operators, the store and the two processes can do, in any order, with
//! things in flight meanwhile; beside it a small reference model that knows who may live and who may reach what.
//!
//! After each act:
//! - no packet of a SIM passed after the gateway had confirmed its ban;
//! - each packet that passed is allowed by the rules themselves ([`pgw_policy::explain`], not the compiled rows), for
//!   the SIM that owns the address, under a policy that may be in force;
//! - no two SIMs have one address.
//!
//! Whenever all is quiet: journal, memory and database agree about each ban; and the other half of "exactly what the
//! rules name", that what is allowed passes.
//!
//! `STORIES_SEED=n` walks one seed alone, `STORIES_SEEDS=n` so many of them; a failure says its seed and what was
//! done last.

use crate::field::{Fate, Passed};
use crate::packets::{Packet, What};
use crate::site::*;
use crate::world::World;
use access::nr::SessionPhase;
use lab::ue::{Input, Lies, UeEvent};
use pgw_policy::{Explanation, Policy, Question, Ruling, explain};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;
use types::*;

const RADIOS: usize = 2;
const ROLES: [Role; 6] = [Role::Laptop, Role::Plc, Role::Team(0), Role::Laptop, Role::Team(1), Role::Plc];
/// This one never does what it is told.
const LIAR: usize = 3;
const ACTS: usize = 250;
const RULES: [&str; 6] = ["laptops-files", "no-secret", "scada-reads", "plcs-log", "team-0", "team-1"];
const HOSTS: [Ipv4Addr; 7] =
    [FILES, SCADA, SECRET, HISTORIAN, Ipv4Addr::new(192, 168, 2, 10), Ipv4Addr::new(192, 168, 2, 11), NOBODY];
const PORTS: [u16; 5] = [443, 53, 502, 514, 22];

/// What somebody does.
#[derive(Debug, Clone)]
enum Act {
    Attach(usize),
    Register(usize),
    SwitchOffAndOn(usize),
    Session(usize, u8),
    Release(usize, u8),
    Leave(usize, bool),
    Idle(usize),
    Return(usize),
    Update(usize),
    Move(usize),
    HandOver(usize),
    Lie(Lies),
    Send(usize, Packet),
    OldTunnel(usize, usize, Packet),
    Knock(Packet),
    Ban(usize),
    Unban(usize),
    Publish(Vec<&'static str>),
    GatewayDies,
    GatewayStarts,
    ControlDies,
    ControlStarts,
    StoreFails(bool, bool),
    StoreHeld(bool),
    RadioGoes(usize),
    RadioComes(usize),
    Time(u64),
    Steps(usize),
    Quiet,
}

/// What the operator said last about a SIM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Live,
    Banned,
    /// A process died while it was on its way: deny wins, or it was never taken.
    Unknown,
}

/// A flow: the UE's end, the peer's, and who opened it.
type Flow = (Ipv4Addr, Ipv4Addr, u8, u16, u16, Direction);

/// The reference model.
struct Model {
    words: Vec<Word>,
    /// Words that are known to have arrived.
    settled: BTreeSet<usize>,
    /// Policies that may be in force: the last one, and before it comes to rest those before.
    policies: Vec<Policy>,
    opened: BTreeSet<Flow>,
}

struct Walk {
    seed: u64,
    w: World,
    chance: fastrand::Rng,
    model: Model,
    log: VecDeque<String>,
    port: u16,
    /// What comes next, before anything is chosen.
    plan: VecDeque<Act>,
    counts: BTreeMap<&'static str, u64>,
}

impl Drop for Walk {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let acts: Vec<_> = self.log.iter().rev().take(40).rev().cloned().collect();
            eprintln!("STORIES_SEED={}, the last acts:\n{}", self.seed, acts.join("\n"));
        }
    }
}

fn peer_of(p: &Passed) -> (Ipv4Addr, Ipv4Addr, u16, u16) {
    let k = &p.packet;
    if p.up { (k.src, k.dst, k.sport, k.dport) } else { (k.dst, k.src, k.dport, k.sport) }
}

impl Model {
    fn asks(
        policy: &Policy,
        imsi: Imsi,
        direction: Direction,
        peer: Ipv4Addr,
        protocol: u8,
        port: u16,
    ) -> Explanation {
        let port = if protocol == 1 { 0 } else { port };
        explain(policy, &Question { imsi, direction, peer: peer.into(), protocol, port })
    }

    /// May this packet pass under one of the policies? As the first of a flow, or inside one that was opened from the
    /// other side.
    fn allows(&mut self, imsi: Imsi, p: &Passed) -> bool {
        let (ue, peer, ue_port, peer_port) = peer_of(p);
        let protocol = p.packet.protocol();
        let mine = if p.up { Direction::Out } else { Direction::In };
        let others = if p.up { Direction::In } else { Direction::Out };
        let service = |d| if d == Direction::Out { peer_port } else { ue_port };
        let may = |policy: &Policy, d| {
            Self::asks(policy, imsi, d, peer, protocol, service(d)).verdict == Verdict::Allow
        };
        let flow = |d| (ue, peer, protocol, ue_port, peer_port, d);
        let is_reply = matches!(p.packet.what, What::Pong | What::Rst);
        if !is_reply && self.policies.iter().any(|policy| may(policy, mine)) {
            self.opened.insert(flow(mine));
            return true;
        }
        [others, mine]
            .iter()
            .any(|d| self.opened.contains(&flow(*d)) && self.policies.iter().any(|policy| may(policy, *d)))
    }
}

impl Walk {
    fn new(seed: u64) -> Self {
        let mut w = World::new(&ROLES, RADIOS);
        w.shuffle(seed);
        let model = Model {
            words: vec![Word::Live; ROLES.len()],
            settled: (0..ROLES.len()).collect(),
            policies: vec![w.policy.clone()],
            opened: BTreeSet::new(),
        };
        let chance = fastrand::Rng::with_seed(seed ^ 0x5eed);
        Self {
            seed,
            w,
            chance,
            model,
            log: VecDeque::new(),
            port: 10_000,
            plan: VecDeque::new(),
            counts: BTreeMap::new(),
        }
    }

    // ---- choosing

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.chance.usize(..from.len())]
    }

    /// An address that a UE has or had, or that nobody has.
    fn ue_address(&mut self) -> Ipv4Addr {
        let all: Vec<Ipv4Addr> = self.w.store.leases.values().map(|l| l.ip.0).collect();
        if all.is_empty() || self.chance.u8(..10) == 0 {
            return Ipv4Addr::new(10, 20, 0, self.chance.u8(2..40));
        }
        self.pick(&all)
    }

    fn packet_from(&mut self, u: usize) -> Packet {
        let mine = self.w.phones[u].address();
        let lies = u == LIAR || self.chance.u8(..20) == 0;
        let src = match mine {
            Some(a) if !(lies && self.chance.bool()) => a,
            _ => self.ue_address(),
        };
        let dst = if self.chance.u8(..8) == 0 { self.ue_address() } else { self.pick(&HOSTS) };
        let sport = self.chance.u16(40_000..40_004);
        if self.chance.u8(..3) == 0 {
            // What its role is for.
            return match ROLES[u] {
                Role::Laptop => Packet::new(What::Syn, src, sport, FILES, 443),
                Role::Plc => Packet::new(What::Ask, src, sport, HISTORIAN, 514),
                Role::Team(n) => Packet::new(What::Syn, src, sport, team(n), 443),
            };
        }
        let what =
            self.pick(&[What::Syn, What::Syn, What::Ask, What::Ask, What::Ping, What::Ack, What::SynAck]);
        let dport = self.pick(&PORTS);
        let dport = if what == What::Ping { sport } else { dport };
        Packet::new(what, src, sport, dst, dport)
    }

    fn choose(&mut self) -> Act {
        let u = self.chance.usize(..ROLES.len());
        let (control, gateway) = (self.w.control.is_some(), self.w.gateway.is_some());
        if !control && self.chance.u8(..6) == 0 {
            return Act::ControlStarts;
        }
        if !gateway && self.chance.u8(..6) == 0 {
            return Act::GatewayStarts;
        }
        match self.chance.u8(..100) {
            0..6 => Act::Attach(u),
            6..8 => Act::Register(u),
            8..11 => Act::SwitchOffAndOn(u),
            11..17 => Act::Session(u, self.chance.u8(1..3)),
            17..19 => Act::Release(u, self.chance.u8(1..3)),
            19..21 => Act::Leave(u, self.chance.bool()),
            21..24 => Act::Idle(u),
            24..28 => Act::Return(u),
            28..30 => Act::Update(u),
            30 => Act::Move(u),
            31 => Act::HandOver(u),
            32..34 => {
                let stubborn = Lies { ignore_bars: true, ..Lies::stubborn() };
                let replays = Lies { replay: true, ..Lies::default() };
                let spoils = Lies { wrong_mac: true, ..Lies::default() };
                let wrong = Lies { wrong_res: true, ignore_bars: true, ..Lies::default() };
                let all = [stubborn, replays, spoils, wrong, Lies::default()];
                Act::Lie(all[self.chance.usize(..all.len())].clone())
            }
            34..48 => Act::Send(u, self.packet_from(u)),
            48..54 => Act::OldTunnel(u, self.chance.usize(..64), self.packet_from(u)),
            54..64 => {
                let (src, dst) = (self.pick(&HOSTS), self.ue_address());
                if self.chance.u8(..3) == 0 {
                    return Act::Knock(Packet::new(What::Syn, SCADA, 40_000, dst, 502));
                }
                let what =
                    self.pick(&[What::Syn, What::Syn, What::SynAck, What::Ask, What::Tell, What::Ping]);
                let (sport, dport) = (self.pick(&PORTS), self.chance.u16(40_000..40_004));
                let (sport, dport) = if self.chance.bool() { (dport, sport) } else { (sport, dport) };
                let dport = if what == What::Ping { sport } else { dport };
                Act::Knock(Packet::new(what, src, sport, dst, dport))
            }
            64..68 if control => {
                // While it is on its way, and a moment later, the SIM goes on as it can.
                for _ in 0..4 {
                    let p = self.packet_from(u);
                    self.plan.push_back(Act::Steps(self.chance.usize(1..4)));
                    self.plan.push_back(Act::OldTunnel(u, self.chance.usize(..64), p));
                }
                Act::Ban(u)
            }
            68..72 if control && gateway => {
                let cut: Vec<usize> = (0..ROLES.len()).filter(|u| self.w.cut.contains(&imsi(*u))).collect();
                if cut.is_empty() { Act::Quiet } else { Act::Unban(self.pick(&cut)) }
            }
            72..75 if control => {
                let without = RULES.iter().copied().filter(|_| self.chance.u8(..4) == 0).collect();
                Act::Publish(without)
            }
            75 if gateway => Act::GatewayDies,
            76 if control => Act::ControlDies,
            77..79 => Act::StoreFails(self.chance.u8(..3) == 0, self.chance.u8(..3) == 0),
            79..81 => Act::StoreHeld(self.chance.u8(..3) == 0),
            81 => Act::RadioGoes(self.chance.usize(..RADIOS)),
            82..84 => Act::RadioComes(self.chance.usize(..RADIOS)),
            84..88 => Act::Time(self.pick(&[10, 1_000, 7_000, 20_000])),
            88..94 => Act::Quiet,
            _ => Act::Steps(self.chance.usize(1..12)),
        }
    }

    // ---- doing

    fn act(&mut self, act: Act) {
        self.log.push_back(format!("{:>6} {act:?}", self.w.steps));
        let w = &mut self.w;
        match act {
            Act::Attach(u) => {
                if w.phones[u].ue.state() != lab::ue::State::Registered {
                    w.power_cycle(u);
                    w.tell(u, Input::Register);
                    w.run();
                }
                w.ask_session(u, 1);
                w.run();
            }
            Act::Register(u) => w.tell(u, Input::Register),
            Act::SwitchOffAndOn(u) => {
                w.tell(u, Input::Deregister { switch_off: true });
                w.power_cycle(u);
                w.tell(u, Input::Register);
            }
            Act::Session(u, id) => w.ask_session(u, id),
            Act::Release(u, id) => w.tell(u, Input::Release { id: id.try_into().unwrap() }),
            Act::Leave(u, switch_off) => w.tell(u, Input::Deregister { switch_off }),
            Act::Idle(u) => w.go_idle(u),
            Act::Return(u) => w.tell(u, Input::Service),
            Act::Update(u) => w.tell(u, Input::Update),
            Act::Move(u) => w.move_to(u, (w.phones[u].cell + 1) % RADIOS),
            Act::HandOver(u) => _ = w.hand_over(u, (w.phones[u].cell + 1) % RADIOS),
            Act::Lie(lies) => *w.phones[LIAR].ue.lies() = lies,
            Act::Send(u, p) => self.count_fate(|w| w.send(u, p)),
            Act::OldTunnel(u, n, p) => {
                let all = &w.phones[u].remembers;
                if let Some((radio, t)) = all.get(n % all.len().max(1)).copied() {
                    let from = w.radios[radio].address;
                    self.count_fate(|w| w.send_by(u, from, t.uplink.teid.value(), p));
                }
            }
            Act::Knock(p) => self.count_fate(|w| w.knock(p)),
            Act::Ban(u) => {
                let state = if self.chance.bool() { SimState::Lost } else { SimState::Stolen };
                w.ban(u, state);
                self.say(u, Word::Banned);
            }
            Act::Unban(u) => {
                w.unban(u);
                self.say(u, Word::Live);
            }
            Act::Publish(without) => {
                let p = policy(w.policy.generation + 1, &ROLES, &without);
                self.model.policies.push(p.clone());
                w.publish(p);
            }
            Act::GatewayDies => {
                self.doubt();
                self.w.gateway_dies();
                self.model.opened.clear();
            }
            Act::GatewayStarts => w.gateway_starts(),
            Act::ControlDies => {
                self.doubt();
                self.w.control_dies();
            }
            Act::ControlStarts => {
                w.control_starts();
                for r in 0..RADIOS {
                    w.radio_down(r);
                    w.radio_up(r);
                }
            }
            Act::StoreFails(leases, sims) => (w.store.fail_leases, w.store.fail_sims) = (leases, sims),
            Act::StoreHeld(held) => w.store.held = held,
            Act::RadioGoes(r) => w.radio_down(r),
            Act::RadioComes(r) => {
                if w.radios[r].assoc.is_none() {
                    w.radio_up(r);
                }
            }
            Act::Time(ms) => w.pass_ms(ms),
            Act::Steps(n) => {
                for _ in 0..n {
                    w.step();
                }
            }
            Act::Quiet => self.quiet(),
        }
        self.judge();
    }

    fn count_fate(&mut self, act: impl FnOnce(&mut World) -> Fate) {
        let word = match act(&mut self.w) {
            Fate::Answered => "answered",
            Fate::Arrived => "arrived",
            Fate::Rejected(_) => "rejected",
            Fate::Dropped(Reason::Banned) => "banned",
            Fate::Dropped(_) => "dropped",
            Fate::Waits => "waits",
            Fate::NoRadio => "no radio",
            Fate::NoGateway => "no gateway",
        };
        *self.counts.entry(word).or_default() += 1;
    }

    fn say(&mut self, u: usize, word: Word) {
        self.model.words[u] = word;
        self.model.settled.remove(&u);
    }

    /// A process dies: what was on its way to it may not have arrived.
    fn doubt(&mut self) {
        for u in 0..ROLES.len() {
            if !self.model.settled.contains(&u) {
                self.model.words[u] = Word::Unknown;
            }
        }
    }

    // ---- looking

    /// After each act.
    fn judge(&mut self) {
        for p in std::mem::take(&mut self.w.passed) {
            let who = imsi(p.phone);
            let (ue, ..) = peer_of(&p);
            let owns = self.w.store.leases.values().any(|l| l.imsi == who && l.ip.0 == ue);
            assert!(owns, "{p:?} passes with an address that is not its own");
            assert!(self.model.allows(who, &p), "{p:?} passes and no rule allows it");
        }
        self.w.assert_addresses();
    }

    /// Everything in flight arrives. Then there is one truth about each SIM.
    fn quiet(&mut self) {
        let held = std::mem::replace(&mut self.w.store.held, false);
        self.w.run();
        self.judge();
        self.w.store.held = held;
        if self.w.control.is_none() || self.w.gateway.is_none() {
            return;
        }
        let last = self.model.policies.len() - 1;
        self.model.policies.drain(..last);
        for u in 0..ROLES.len() {
            let who = imsi(u);
            let cut = self.w.cut.contains(&who);
            let hss = self.w.ctl().hss.state(who).unwrap().is_banned();
            let stored = self.w.store.sims[&who].state.is_banned();
            assert_eq!((cut, hss, stored), (cut, cut, cut), "UE {u}: gateway, memory, database");
            assert_eq!(self.w.journal.contains_key(&who), cut);
            match self.model.words[u] {
                Word::Banned => assert!(cut, "UE {u} was banned"),
                Word::Live => assert!(!cut, "UE {u} was unbanned, or never banned"),
                Word::Unknown => self.model.words[u] = if cut { Word::Banned } else { Word::Live },
            }
            self.model.settled.insert(u);
            if cut {
                let sessions = self.w.gw().n4.sessions();
                let left: Vec<_> = sessions.iter().filter(|s| s.supi.imsi() == who).collect();
                assert!(
                    left.is_empty(),
                    "UE {u} is banned and has {left:?}; it is seen as {:?}",
                    self.w.view(u)
                );
            }
        }
        let u = self.chance.usize(..ROLES.len());
        self.try_apps(u);
    }

    /// A UE whose session is up reaches exactly what the rules name.
    fn try_apps(&mut self, u: usize) {
        let Some(v) = self.w.view(u) else { return };
        let phone = &self.w.phones[u];
        let up = v.sessions.iter().find(|s| {
            let tunnel = phone.tunnels.get(&s.id);
            let radio = tunnel.is_some_and(|(r, t)| *r == phone.cell && Some(t.uplink.teid) == s.teid);
            let session =
                phone.ue.sessions().any(|own| own.id == s.id && Some(own.address) == s.ip.map(|i| i.0));
            s.phase == SessionPhase::Active && radio && session
        });
        let Some(ip) = up.and_then(|s| s.ip) else { return };
        let who = imsi(u);
        for (host, port) in HOSTS.iter().flat_map(|h| PORTS.map(|p| (*h, p))) {
            for what in [What::Syn, What::Ask] {
                self.port = if self.port == 39_000 { 10_000 } else { self.port + 1 };
                let out = Packet::new(what, ip.0, self.port, host, port);
                let protocol = out.protocol();
                let story = Model::asks(&self.model.policies[0], who, Direction::Out, host, protocol, port);
                let expected = match story.verdict {
                    Ruling::Allow => Fate::Answered,
                    Ruling::Reject => Fate::Rejected(story.reason),
                    Ruling::Deny | Ruling::Inspect => Fate::Dropped(story.reason),
                };
                let fate = self.w.send(u, out);
                assert_eq!(fate, expected, "UE {u}: {out:?}");
                let into = Packet::new(what, host, self.port, ip.0, port);
                let story = Model::asks(&self.model.policies[0], who, Direction::In, host, protocol, port);
                let expected = match story.verdict {
                    Ruling::Allow => Fate::Answered,
                    Ruling::Reject => Fate::Rejected(story.reason),
                    Ruling::Deny | Ruling::Inspect => Fate::Dropped(Reason::NoFlow),
                };
                let fate = self.w.knock(into);
                assert_eq!(fate, expected, "UE {u}: {into:?}");
                *self.counts.entry("tried").or_default() += 2;
            }
        }
        self.judge();
    }

    /// Everything works again and everybody behaves: who may live lives, who may not is told so.
    fn heal(&mut self) {
        self.log.push_back("heal".into());
        let w = &mut self.w;
        (w.store.fail_leases, w.store.fail_sims, w.store.held) = (false, false, false);
        if w.gateway.is_none() {
            w.gateway_starts();
        }
        if w.control.is_none() {
            w.control_starts();
        }
        *w.phones[LIAR].ue.lies() = Lies::default();
        for r in 0..RADIOS {
            w.radio_down(r);
            w.radio_up(r);
        }
        w.publish(policy(w.policy.generation + 1, &ROLES, &[]));
        self.model.policies.push(self.w.policy.clone());
        self.w.pass_ms(300_000);
        self.quiet();
        for u in 0..ROLES.len() {
            let w = &mut self.w;
            w.power_cycle(u);
            w.news_of(u);
            w.tell(u, Input::Register);
            w.run();
            if w.cut.contains(&imsi(u)) {
                let refused =
                    UeEvent::Rejected { cause: FgmmCause::IllegalUe, protected: true, backoff_s: None };
                assert_eq!(w.news_of(u).last(), Some(&refused), "UE {u}");
                continue;
            }
            let registered = w.phones[u].ue.state() == lab::ue::State::Registered;
            assert!(registered, "UE {u}: {:?}, {:?}", w.news_of(u), w.ctl().amf.counters());
            w.ask_session(u, 1);
            w.run();
            assert!(w.phones[u].address().is_some(), "UE {u}: {:?}", w.news_of(u));
            self.try_apps(u);
        }
        self.w.pass_ms(20_000);
        self.w.assert_tidy();
    }
}

#[test]
fn anything_in_any_order() {
    let number = |name| std::env::var(name).ok().map(|s| s.parse().expect("a number"));
    let seeds: Vec<u64> = match (number("STORIES_SEED"), number("STORIES_SEEDS")) {
        (Some(seed), _) => vec![seed],
        (None, n) => (0..n.unwrap_or(30)).collect(),
    };
    let mut sum: BTreeMap<&str, u64> = BTreeMap::new();
    for &seed in &seeds {
        let mut walk = Walk::new(seed);
        for u in 0..ROLES.len() {
            walk.act(Act::Attach(u));
        }
        for _ in 0..ACTS {
            let act = walk.plan.pop_front().unwrap_or_else(|| walk.choose());
            walk.act(act);
        }
        walk.heal();
        for (word, n) in &walk.counts {
            *sum.entry(word).or_default() += n;
        }
    }
    println!("{} seeds, {ACTS} acts each: {sum:?}", seeds.len());
    if seeds.len() > 1 {
        // The walk meets everything often enough to mean something.
        for (word, least) in
            [("answered", 40), ("arrived", 10), ("dropped", 500), ("banned", 50), ("tried", 5_000)]
        {
            assert!(sum.get(word).is_some_and(|n| *n >= least), "{word}: {sum:?}");
        }
    }
}
