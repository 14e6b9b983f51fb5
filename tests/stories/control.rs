//! The control process: AMF, HSS, ledger and policy, wired as the product does; bans; and the store behind them,
//! which a story can hold up or let fail.

use crate::gateway::{Restriction, ToGateway};
use crate::site::{self, Role, plmn};
use crate::world::{Channel, Flight, World};
use access::nr::{self, Amf, AmfConfig};
use hss::{Hss, HssConfig, Persist, SimRecord, Vault};
use ip_pool::{Assign, Lease, Ledger, PoolSpec};
use pgw_policy::{Compiled, Policy, compile};
use std::collections::BTreeMap;
use std::sync::Arc;
use types::*;

/// How long a released address rests: a day, as in the product.
const REST_MS: u64 = 24 * 60 * 60 * 1000;

/// What the gateway says to control.
pub enum ToControl {
    N4(Vec<u8>),
    CutDone { imsi: Imsi, state: SimState },
    UncutDone { imsi: Imsi },
    PolicyDone { generation: u64 },
    EndedTunnelUsed { imsi: Imsi, teid: Teid, radio: std::net::IpAddr },
}

/// A write that somebody waits for.
pub enum Write {
    /// Of `hss`.
    Sim { id: u64, write: Persist },
    /// A lease, before the UE learns its address.
    Lease { txn: nr::TxnId, assign: Assign },
    /// A ban, or its end.
    State { imsi: Imsi, state: SimState },
}

/// What is durable, and how well the store does.
pub struct Store {
    pub sims: BTreeMap<Imsi, SimRecord>,
    /// Of SQN.
    pub horizon: Option<i64>,
    pub leases: BTreeMap<(Imsi, Dnn), Lease>,
    /// What each SIM's device must be, and was.
    pub bounds: BTreeMap<Imsi, types::Bound>,
    data_key: hss::SealedDataKey,
    /// Writes of leases fail.
    pub fail_leases: bool,
    /// Writes of `hss` fail.
    pub fail_sims: bool,
    /// Writes wait until this is false again.
    pub held: bool,
    /// Writes done.
    pub writes: u64,
}

fn kek() -> Key256 {
    Key256::new([0x4b; 32])
}

impl Store {
    /// The SIMs as they are provisioned.
    pub fn new(roles: &[Role], now: Utc) -> Self {
        let mut vault = Vault::new(&kek(), 1, None, [2; 32]).unwrap();
        let sims = roles.iter().enumerate();
        let sims = sims.map(|(n, role)| (site::imsi(n), site::record(&mut vault, n, *role, now))).collect();
        Self {
            sims,
            horizon: None,
            leases: BTreeMap::new(),
            bounds: BTreeMap::new(),
            data_key: vault.sealed_data_key().clone(),
            fail_leases: false,
            fail_sims: false,
            held: false,
            writes: 0,
        }
    }
}

impl Store {
    fn take(&mut self, write: Persist) {
        match write {
            Persist::SqnHorizon { horizon } => self.horizon = Some(horizon),
            Persist::SqnCeiling { imsi, state } => {
                self.sims.entry(imsi).and_modify(|r| r.sqn_state = state);
            }
            Persist::Activated { imsi } => {
                if let Some(r) = self.sims.get_mut(&imsi).filter(|r| r.state == SimState::Ready) {
                    r.state = SimState::Active;
                }
            }
            Persist::Learned { imsi, device, .. } => {
                self.bounds.entry(imsi).or_default().learned = Some(device);
            }
        }
    }
}

/// See the module.
pub struct Control {
    pub amf: Amf,
    pub hss: Hss,
    pub ledger: Ledger,
    pub gx: hss::gx::Gx,
    /// The gateway's link is up.
    linked: bool,
    /// Cuts that the gateway has not confirmed.
    cuts: BTreeMap<Imsi, (SimState, usize)>,
    compiled: Arc<Compiled>,
    /// The newest generation that the gateway has said to enforce.
    pub enforced: u64,
}

impl World {
    /// The control process starts: it reads the store, then meets the gateway.
    pub fn control_starts(&mut self) {
        let now = self.now;
        let seed = self.seed();
        let vault = Vault::new(&kek(), 1, Some(&self.store.data_key), seed).unwrap();
        let mut hss = Hss::new(
            HssConfig { authentication: self.authentication, ..HssConfig::new(plmn()) },
            vault,
            now,
            self.seed(),
        );
        for r in self.store.sims.values() {
            hss.check(r).unwrap();
        }
        let records = self.store.sims.values().cloned().collect();
        hss.handle(hss::Input::Load { records, horizon: self.store.horizon }, now);
        let bounds = self.store.bounds.iter().map(|(i, b)| (*i, b.clone())).collect();
        hss.handle(hss::Input::Bindings(bounds), now);
        hss.handle(hss::Input::HomeKeys(self.home_keys.clone()), now);
        let mut config =
            AmfConfig { n3_address: Some(self.n3), ..AmfConfig::new(plmn(), site::tac(), site::snssai()) };
        if let Some((integrity, ciphering)) = self.algorithms.clone() {
            (config.integrity, config.ciphering) = (integrity, ciphering);
        }
        let mut ledger = Ledger::new(REST_MS);
        for n in site::networks() {
            let ipnet::IpNet::V4(prefix) = n.pool else { panic!("IPv4") };
            ledger
                .put_pool(PoolSpec { dnn: n.dnn, prefix, gateway: None, prefix6: n.pool6 }, now.utc)
                .unwrap();
        }
        assert_eq!(ledger.load(self.store.leases.values().cloned().collect(), now.utc).unwrap(), []);
        self.control = Some(Control {
            amf: Amf::new(config, now, self.seed()),
            hss,
            ledger,
            gx: self.lte.gx(now),
            linked: false,
            cuts: BTreeMap::new(),
            compiled: Arc::new(compile(&self.policy).unwrap()),
            enforced: 0,
        });
        self.recall_places();
        self.link_up();
    }

    /// The control process dies, and with it everything on its way to it or from it. The radios notice later
    /// ([`World::radio_down`]); the gateway goes on.
    pub fn control_dies(&mut self) {
        self.control = None;
        let is =
            |c| !matches!(c, Channel::AirUp(_) | Channel::AirDown(_) | Channel::Ring(_) | Channel::Answers);
        self.lose(is);
    }

    /// The store fails every write, or none any longer, and control finds it out.
    pub fn store_is(&mut self, well: bool) {
        (self.store.fail_sims, self.store.fail_leases) = (!well, !well);
        let now = self.now;
        self.ctl().hss.handle(hss::Input::StoreIs { well }, now);
    }

    /// The control process has time to write SQN ceilings ahead.
    pub fn write_ahead(&mut self) {
        let now = self.now;
        self.ctl().hss.handle(hss::Input::WriteAhead, now);
        self.run();
    }

    /// The company has a key pair for concealed identities. Returns the public key.
    pub fn home_key(&mut self, id: u8, profile: SuciProfile, accepted_until: Option<Utc>) -> Vec<u8> {
        let (now, octets) = (self.now, Key256::new([id; 32]));
        let sealed = self.ctl().hss.vault().seal_home_key(id, profile, &octets);
        let key = hss::HomeKey { id, profile, sealed, accepted_until };
        self.ctl().hss.check_home_key(&key).unwrap();
        self.home_keys.retain(|k| k.id != id);
        self.home_keys.push(key);
        let all = self.home_keys.clone();
        self.ctl().hss.handle(hss::Input::HomeKeys(all), now);
        hss::HomeNetworkKey::new(profile, &octets).unwrap().public()
    }

    /// The control process, which is there.
    pub fn ctl(&mut self) -> &mut Control {
        self.control.as_mut().expect("control runs")
    }

    /// Both processes are there: first what must not pass, then the policy, then the sessions.
    pub(crate) fn link_up(&mut self) {
        let (Some(c), Some(g)) = (&mut self.control, &self.gateway) else { return };
        c.linked = true;
        let (recovery, sessions) = (g.n4.recovery(), g.n4.sessions());
        let ours: Vec<_> = c.hss.banned().filter(|(i, _)| !self.journal.contains_key(i)).collect();
        let theirs: Vec<_> = self.journal.iter().map(|(i, s)| (*i, *s)).collect();
        for (imsi, state) in ours {
            self.ask_cut(imsi, state);
        }
        for (imsi, state) in theirs {
            if !self.ctl().hss.state(imsi).is_some_and(SimState::is_banned) {
                self.set_state(imsi, state);
                self.tell_banned(imsi);
                self.post(Channel::Store, Flight::Write(Write::State { imsi, state }));
            }
        }
        self.send_routes();
        self.send_facts();
        self.send_policy();
        let now = self.now;
        self.ctl().amf.handle(nr::Input::N4Up { recovery, sessions }, now);
    }

    pub(crate) fn link_down(&mut self) {
        let now = self.now;
        let Some(c) = &mut self.control else { return };
        c.linked = false;
        c.amf.handle(nr::Input::N4Down, now);
        // Cuts under way go on without it: no packet passes, and it is cut before it forwards again.
        for (imsi, (state, _)) in std::mem::take(&mut c.cuts) {
            self.cut_done(imsi, state);
        }
    }

    // ---- wiring

    pub(crate) fn poll_control(&mut self) -> bool {
        let Some(c) = &mut self.control else { return false };
        if let Some(o) = c.amf.poll_output() {
            self.amf_wish(o);
        } else if let Some(o) = c.hss.poll_output() {
            self.hss_wish(o);
        } else {
            return false;
        }
        true
    }

    fn amf_wish(&mut self, o: nr::Output) {
        let now = self.now;
        match o {
            nr::Output::Send { assoc, bytes, .. } => self.ngap_to_radio(assoc, bytes),
            nr::Output::Close { assoc, .. } => self.close(assoc),
            nr::Output::NeedVector { txn, identity, serving, resync } => {
                let input = hss::Input::AuthInfo { txn: txn.0, identity, serving, resync };
                self.ctl().hss.handle(input, now);
            }
            nr::Output::JudgeAuts { txn, supi, accepted, rand, auts } => {
                let judge = hss::Input::JudgeAuts { txn: txn.0, supi, accepted, rand, auts };
                self.ctl().hss.handle(judge, now);
            }
            nr::Output::Locate { txn, supi, pei, .. } => {
                self.ctl().hss.handle(hss::Input::Locate { txn: txn.0, supi, pei }, now);
            }
            nr::Output::NeedAddress { txn, supi, dnn, .. } => self.need_address(txn, supi, &dnn),
            // The lease outlives the session.
            nr::Output::ReleaseAddress { .. } => {}
            nr::Output::N4(bytes) => self.tell_gateway(ToGateway::N4(bytes)),
            nr::Output::Event(e) => {
                let gateway_is_up = e.what == Happening::Gateway { up: true };
                self.events.push(e);
                if gateway_is_up {
                    self.sweep();
                }
            }
        }
    }

    fn hss_wish(&mut self, o: hss::Output) {
        let now = self.now;
        let input = match o {
            // Nobody here asks for one.
            hss::Output::EpsVector { .. } => return,
            hss::Output::Vector { txn, supi, vector } => {
                nr::Input::Vector { txn: nr::TxnId(txn), result: Ok((supi, vector)) }
            }
            hss::Output::AuthRefused { txn, refusal } => {
                nr::Input::Vector { txn: nr::TxnId(txn), result: Err(refusal) }
            }
            hss::Output::AutsJudged { txn, says } => {
                let result =
                    says.map(|(accepted, sqn_ms, behind)| nr::AutsJudgement { accepted, sqn_ms, behind });
                nr::Input::AutsJudged { txn: nr::TxnId(txn), result }
            }
            hss::Output::Located { txn, subscription } => {
                nr::Input::Located { txn: nr::TxnId(txn), result: Ok(subscription) }
            }
            hss::Output::LocateRefused { txn, refusal } => {
                nr::Input::Located { txn: nr::TxnId(txn), result: Err(refusal) }
            }
            hss::Output::Noticed { imsi, what } | hss::Output::Quarantine { imsi, happening: what } => {
                return self.events.push(types::Event { at: now.utc, imsi: Some(imsi), what });
            }
            hss::Output::Persist { id, write } => {
                return self.post(Channel::Store, Flight::Write(Write::Sim { id, write }));
            }
        };
        self.ctl().amf.handle(input, now);
    }

    fn need_address(&mut self, txn: nr::TxnId, supi: Supi, dnn: &Dnn) {
        let now = self.now;
        let c = self.ctl();
        match c.ledger.assign(supi.imsi(), dnn, now.utc) {
            Err(e) => c.amf.handle(nr::Input::Address { txn, result: Err(e.into()) }, now),
            Ok(Assign::Existing(l)) => self.give_address(txn, &l),
            Ok(assign) => self.post(Channel::Store, Flight::Write(Write::Lease { txn, assign })),
        }
    }

    fn give_address(&mut self, txn: nr::TxnId, l: &Lease) {
        let now = self.now;
        let n = site::networks().into_iter().find(|n| n.dnn == l.dnn).unwrap();
        let result = Ok(SessionAddress { ip: l.ip, prefix: n.prefix_of(l.ip.0), dns: n.dns, mtu: n.mtu });
        self.ctl().amf.handle(nr::Input::Address { txn, result }, now);
    }

    /// The store does a write, or fails.
    pub(crate) fn write(&mut self, w: Write) {
        let now = self.now;
        self.store.writes += 1;
        match w {
            Write::Sim { id, write } => {
                let ok = !self.store.fail_sims;
                if ok {
                    self.store.take(write);
                }
                self.ctl().hss.handle(hss::Input::Persisted { id, ok }, now);
            }
            Write::Lease { txn, assign } if self.store.fail_leases => {
                let c = self.ctl();
                c.ledger.undo(assign);
                let result = Err(AddressRefusal::Unavailable);
                c.amf.handle(nr::Input::Address { txn, result }, now);
            }
            Write::Lease { txn, assign } => {
                let l = assign.lease().clone();
                self.store.leases.insert((l.imsi, l.dnn.clone()), l.clone());
                self.give_address(txn, &l);
            }
            Write::State { imsi, state } => {
                if let Some(r) = self.store.sims.get_mut(&imsi) {
                    r.state = state;
                }
                // An unban holds from here on, unless a ban came behind it; a ban has held since it was asked for.
                let is_ban = |f: &Flight| matches!(f, Flight::Write(Write::State { imsi: i, state }) if *i == imsi && state.is_banned());
                let banned_again = self.ctl().cuts.contains_key(&imsi)
                    || self.cut.contains(&imsi)
                    || self.is_on_its_way(Channel::Store, is_ban);
                if state.is_banned() {
                    self.receipts.push(imsi);
                } else if !banned_again {
                    self.set_state(imsi, state);
                }
            }
        }
    }

    // ---- bans

    /// An operator bans the SIM of UE `u`.
    pub fn ban(&mut self, u: usize, state: SimState) {
        let imsi = site::imsi(u);
        self.set_state(imsi, state);
        self.ask_cut(imsi, state);
    }

    fn set_state(&mut self, imsi: Imsi, state: SimState) {
        let now = self.now;
        self.ctl().hss.handle(hss::Input::SetState { imsi, state }, now);
    }

    fn ask_cut(&mut self, imsi: Imsi, state: SimState) {
        let c = self.ctl();
        if !c.linked {
            return self.cut_done(imsi, state);
        }
        let cut = c.cuts.entry(imsi).or_insert((state, 0));
        *cut = (state, cut.1 + 1);
        self.post(Channel::LinkUrgent, Flight::ToGateway(ToGateway::Cut { imsi, state }));
    }

    /// The gateway has cut: the rest is told, and written.
    fn cut_done(&mut self, imsi: Imsi, state: SimState) {
        self.tell_banned(imsi);
        self.post(Channel::Store, Flight::Write(Write::State { imsi, state }));
    }

    fn tell_banned(&mut self, imsi: Imsi) {
        let now = self.now;
        let input = nr::Input::Ban { supi: Supi(imsi), cause: FgmmCause::IllegalUe };
        self.ctl().amf.handle(input, now);
    }

    /// Sessions that were found in the gateway are compared with what may live; what may not ends.
    fn sweep(&mut self) {
        let banned: Vec<Imsi> = self.ctl().hss.banned().map(|(imsi, _)| imsi).collect();
        for imsi in banned {
            self.tell_banned(imsi);
        }
    }

    /// An operator gives UE `u`'s SIM other rates, bits per second.
    pub fn change_rates(&mut self, u: usize, ul_bps: u64, dl_bps: u64) {
        let (now, imsi) = (self.now, site::imsi(u));
        let subscription = &mut self.store.sims.get_mut(&imsi).expect("the SIM is known").subscription;
        (subscription.ambr_ul_bps, subscription.ambr_dl_bps) = (ul_bps, dl_bps);
        let subscription = subscription.clone();
        self.ctl().amf.handle(nr::Input::Subscribed(subscription), now);
        self.run();
    }

    /// An operator takes the ban of UE `u`'s SIM back.
    pub fn unban(&mut self, u: usize) {
        let imsi = site::imsi(u);
        self.post(Channel::LinkUrgent, Flight::ToGateway(ToGateway::Uncut { imsi }));
    }

    pub(crate) fn control_hears(&mut self, m: ToControl) {
        let now = self.now;
        let Some(c) = &mut self.control else { return };
        match m {
            ToControl::N4(bytes) => c.amf.handle(nr::Input::N4(bytes), now),
            ToControl::EndedTunnelUsed { imsi, teid, radio } => {
                let used = nr::Input::EndedTunnelUsed { supi: Supi(imsi), teid, radio };
                c.amf.handle(used, now);
            }
            ToControl::PolicyDone { generation } => c.enforced = c.enforced.max(generation),
            ToControl::CutDone { imsi, state } => {
                if let Some(cut) = c.cuts.get_mut(&imsi) {
                    cut.1 -= 1;
                    if cut.1 == 0 {
                        c.cuts.remove(&imsi);
                    }
                }
                self.cut_done(imsi, state);
            }
            // A ban that came between wins: it is behind this in the journal.
            ToControl::UncutDone { imsi } if c.cuts.contains_key(&imsi) => {}
            ToControl::UncutDone { imsi } => {
                let state = SimState::Active;
                self.post(Channel::Store, Flight::Write(Write::State { imsi, state }));
            }
        }
    }

    /// An operator leaves a SIM or a group little, or gives it back.
    pub fn restrict(&mut self, what: Restriction, on: bool) {
        let m = if on { ToGateway::Restrict(what) } else { ToGateway::Lift(what) };
        self.post(Channel::LinkUrgent, Flight::ToGateway(m));
    }

    // ---- policy

    /// A new policy is published.
    pub fn publish(&mut self, policy: Policy) {
        let compiled = Arc::new(compile(&policy).unwrap());
        self.policy = policy;
        if let Some(c) = &mut self.control {
            c.compiled = compiled;
            self.send_policy();
        }
    }

    /// Every policy that is on its way is lost, as if it could not be compiled.
    pub fn lose_policy(&mut self) {
        self.lose_some(Channel::LinkDown, |f| matches!(f, Flight::ToGateway(ToGateway::Policy(_))));
    }

    /// What lies behind SIMs, from now on.
    pub fn set_routes(&mut self, all: Vec<FramedRoute>) {
        self.routes = all;
        self.send_routes();
    }

    fn send_routes(&mut self) {
        self.tell_gateway(ToGateway::Routes(self.routes.clone()));
    }

    /// This is known of a UE's SIM from now on.
    pub fn learn(&mut self, u: usize, facts: SimFacts) {
        self.facts.insert(crate::site::imsi(u), facts.clone());
        if self.control.is_some() {
            self.tell_gateway(ToGateway::Facts(crate::site::imsi(u), Box::new(facts)));
        }
    }

    fn send_facts(&mut self) {
        for (imsi, facts) in self.facts.clone() {
            self.tell_gateway(ToGateway::Facts(imsi, Box::new(facts)));
        }
    }

    /// Everything that is known of SIMs and on its way is lost.
    pub fn lose_facts(&mut self) {
        self.lose_some(Channel::LinkDown, |f| matches!(f, Flight::ToGateway(ToGateway::Facts(..))));
    }

    fn send_policy(&mut self) {
        let p = Arc::clone(&self.ctl().compiled);
        self.tell_gateway(ToGateway::Policy(p));
    }

    fn tell_gateway(&mut self, m: ToGateway) {
        if self.ctl().linked {
            self.post(Channel::LinkDown, Flight::ToGateway(m));
        }
    }
}
