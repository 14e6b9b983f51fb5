//! The five verbs, and the order in which things are checked.

use crate::admission::{self, Judged};
use crate::aka::{Sim, Wanted};
use crate::equipment::Devices;
use crate::home_keys::HomeKey;
use crate::io::{Input, Output, Persist};
use crate::record::{Algorithm, RecordError, SimRecord};
use crate::vault::Vault;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use sim_auth::{SqnClock, SqnHorizon, SqnState};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use types::{
    AuthenticationMethod, DevicePattern, FgmmCause, Identity, Imsi, Mono, Now, Pei, Plmn, Refusal,
    RefusalReason, SimState, Supi,
};

/// How long attaches go on without a store (DESIGN §5): what is in memory grows old, and nobody can say who was let in.
const FROM_MEMORY_MS: u64 = 600_000;
/// T3346 for who is refused after that, seconds.
const AWAY_BACKOFF_S: u32 = 300;

/// What belongs to this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HssConfig {
    /// Number of this node, from 0.
    pub node: u8,
    /// How many nodes there are.
    pub nodes: u8,
    /// The network that we serve; vectors are made for no other.
    pub plmn: Plmn,
    /// T3346 for a SIM that is suspended or still in stock, seconds.
    pub backoff_s: u32,
    /// A SUCI of the null scheme is refused while there is a home network key that is accepted.
    pub refuse_null_scheme: bool,
    /// How SIMs prove themselves in 5GS.
    pub authentication: AuthenticationMethod,
}

impl HssConfig {
    /// One node alone, ten minutes of back-off.
    pub fn new(plmn: Plmn) -> Self {
        Self {
            node: 0,
            nodes: 1,
            plmn,
            backoff_s: 600,
            refuse_null_scheme: false,
            authentication: AuthenticationMethod::FgAka,
        }
    }
}

/// The home subscriber server (HSS, UDM and AUSF in one): the directory and its answers.
pub struct Hss {
    pub(crate) config: HssConfig,
    pub(crate) vault: Vault,
    pub(crate) clock: SqnClock,
    pub(crate) horizon: SqnHorizon,
    /// A write of it is under way.
    pub(crate) horizon_on_its_way: bool,
    /// The directory was read.
    pub(crate) loaded: bool,
    pub(crate) rng: ChaCha20Rng,
    /// Serving network name of `config.plmn`.
    pub(crate) snn: String,
    pub(crate) sims: BTreeMap<Imsi, Sim>,
    pub(crate) devices: Devices,
    pub(crate) writes: BTreeMap<u64, Write>,
    pub(crate) last_write: u64,
    /// When requests in a queue give up, in the order of time.
    pub(crate) deadlines: VecDeque<(Mono, Imsi)>,
    pub(crate) outputs: VecDeque<Output>,
    /// Since when the store is not well.
    pub(crate) store_away: Option<Mono>,
    /// The last SIM of the last round of ceilings written ahead.
    pub(crate) ahead: Option<Imsi>,
    /// The home network's keys by their ids.
    pub(crate) home_keys: BTreeMap<u8, HomeKey>,
}

/// A write on its way.
pub(crate) enum Write {
    Horizon { horizon: i64 },
    Sqn { imsi: Imsi, state: SqnState },
    Activated { imsi: Imsi },
    Learned { imsi: Imsi, device: DevicePattern, replace: bool },
}

impl Hss {
    /// An empty directory. `seed` is 32 octets of the OS's randomness, fresh at each start: RAND comes
    /// from it.
    pub fn new(config: HssConfig, vault: Vault, now: Now, seed: [u8; 32]) -> Self {
        Self {
            snn: config.plmn.serving_network_name(),
            config,
            vault,
            clock: SqnClock::new(now),
            horizon: SqnHorizon::load(None),
            horizon_on_its_way: false,
            loaded: false,
            rng: ChaCha20Rng::from_seed(seed),
            sims: BTreeMap::new(),
            devices: Devices::default(),
            writes: BTreeMap::new(),
            last_write: 0,
            deadlines: VecDeque::new(),
            outputs: VecDeque::new(),
            store_away: None,
            ahead: None,
            home_keys: BTreeMap::new(),
        }
    }

    /// The vault, to seal the keys of a SIM that is being created.
    pub fn vault(&mut self) -> &mut Vault {
        &mut self.vault
    }

    /// Whether `record` could be served; asked before it is stored.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, record: &SimRecord) -> Result<(), RecordError> {
        record.sqn_profile.check(self.config.nodes)?;
        if record.subscription.supi != Supi(record.imsi) {
            return Err(RecordError::Supi);
        }
        if record.subscription.dnns.is_empty() {
            return Err(RecordError::NoDataNetwork);
        }
        let keys = self.vault.open(&record.sealed, record.imsi)?;
        if Algorithm::of(&keys) != record.algorithm {
            return Err(RecordError::Algorithm);
        }
        Ok(())
    }

    /// State of a SIM, as the directory has it.
    pub fn state(&self, imsi: Imsi) -> Option<SimState> {
        self.sims.get(&imsi).map(|s| s.record.state)
    }

    /// What a SIM may have, as the directory has it.
    pub fn subscription(&self, imsi: Imsi) -> Option<&types::Subscription> {
        self.sims.get(&imsi).map(|s| &s.record.subscription)
    }

    /// The banned SIMs, as the directory has them.
    pub fn banned(&self) -> impl Iterator<Item = (Imsi, SimState)> {
        self.sims.iter().map(|(i, s)| (*i, s.record.state)).filter(|(_, s)| s.is_banned())
    }

    /// How many SIMs there are.
    pub fn len(&self) -> usize {
        self.sims.len()
    }

    /// True if there is no SIM.
    pub fn is_empty(&self) -> bool {
        self.sims.is_empty()
    }

    /// True where the store has been away for so long that nobody is let in from memory any more.
    pub fn refuses_without_store(&self, now: Now) -> bool {
        self.store_away.is_some_and(|since| now.mono >= since.plus_ms(FROM_MEMORY_MS))
    }

    /// Takes a fact in.
    pub fn handle(&mut self, input: Input, now: Now) {
        match input {
            Input::Load { records, horizon } => self.load(records, horizon, now),
            Input::Put(record) => self.put(record, now),
            Input::SetState { imsi, state } => self.set_state(imsi, state),
            Input::Remove { imsi } => self.remove(imsi),
            Input::AuthInfo { txn, identity, serving, resync } => {
                self.auth_info(txn, &identity, serving, resync, now);
            }
            Input::EpsAuthInfo { txn, imsi, serving, node, resync } => {
                self.eps_auth_info(txn, imsi, Wanted::Eps { serving, node }, resync, now);
            }
            Input::JudgeAuts { txn, supi, accepted: (accepted, autn), rand, auts } => {
                let says = self.judge_auts(supi.imsi(), &accepted, &autn, &rand, &auts);
                self.outputs.push_back(Output::AutsJudged { txn, says });
            }
            Input::Equipment(list) => self.devices.book.set(list),
            Input::BanDevice { device, banned } => self.devices.book.ban(device, banned),
            Input::Bindings(all) => self.devices.bind_all(all),
            Input::Bind { imsi, bound } => self.devices.bind(imsi, bound),
            Input::ForgetDevice { imsi } => self.devices.forget(imsi),
            Input::Locate { txn, supi, pei } => self.locate(txn, supi, pei),
            Input::Admit { txn, supi } => self.admit(txn, supi),
            Input::HomeKeys(all) => self.home_keys = all.into_iter().map(|k| (k.id, k)).collect(),
            Input::WriteAhead => self.write_ahead(now),
            Input::StoreIs { well: true } => self.store_away = None,
            Input::StoreIs { well: false } => drop(self.store_away.get_or_insert(now.mono)),
            Input::Persisted { id, ok } => self.persisted(id, ok, now),
        }
    }

    /// The next wish, if there is one.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Hss::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Mono> {
        self.deadlines.front().map(|(at, _)| *at)
    }

    /// Gives up on requests whose write takes too long.
    pub fn handle_timeout(&mut self, now: Now) {
        while let Some((at, imsi)) = self.deadlines.front().copied() {
            if at > now.mono {
                break;
            }
            self.deadlines.pop_front();
            self.give_up(imsi, at);
        }
    }

    fn load(&mut self, records: Vec<SimRecord>, horizon: Option<i64>, now: Now) {
        // Read again while we live, it says nothing that we did not write.
        if !std::mem::replace(&mut self.loaded, true) {
            self.horizon = SqnHorizon::load(horizon);
        }
        let named: BTreeSet<Imsi> = records.iter().map(|r| r.imsi).collect();
        for imsi in self.sims.keys().filter(|i| !named.contains(i)).copied().collect::<Vec<_>>() {
            self.remove(imsi);
        }
        for record in records {
            self.put(record, now);
        }
    }

    fn put(&mut self, record: SimRecord, now: Now) {
        let imsi = record.imsi;
        match self.sims.get_mut(&imsi) {
            // What the store says of SQN is at best as new as what we have.
            Some(sim)
                if sim.record.sealed == record.sealed && sim.record.sqn_profile == record.sqn_profile =>
            {
                sim.record = record;
            }
            known => {
                // Of a SIM that nobody knew nothing has left since we started.
                let horizon = if known.is_some() { self.horizon.durable() } else { self.horizon.at_start() };
                self.drop_sim(imsi);
                self.sims.insert(imsi, Sim::new(record, self.clock.ticks(now), horizon));
            }
        }
    }

    fn set_state(&mut self, imsi: Imsi, state: SimState) {
        if let Some(sim) = self.sims.get_mut(&imsi) {
            sim.record.state = state;
        }
        if state == SimState::Retired {
            self.refuse_queue(imsi, &admission::refusal(FgmmCause::IllegalUe, RefusalReason::Retired));
        }
    }

    fn remove(&mut self, imsi: Imsi) {
        self.drop_sim(imsi);
        for txn in self.devices.remove(imsi) {
            let refusal = admission::refusal(FgmmCause::IllegalUe, RefusalReason::UnknownSim);
            self.outputs.push_back(Output::LocateRefused { txn, refusal });
        }
    }

    /// Forgets a SIM, but for the device that it is bound to: it may be back at once with other keys.
    fn drop_sim(&mut self, imsi: Imsi) {
        self.refuse_queue(imsi, &admission::refusal(FgmmCause::IllegalUe, RefusalReason::UnknownSim));
        self.sims.remove(&imsi);
        // The ends of its writes say nothing about a later SIM of the same IMSI.
        self.writes.retain(
            |_, w| !matches!(w, Write::Sqn { imsi: i, .. } | Write::Activated { imsi: i } if *i == imsi),
        );
    }

    fn auth_info(
        &mut self,
        txn: u64,
        identity: &Identity,
        serving: Plmn,
        resync: Option<(types::Rand, types::Auts)>,
        now: Now,
    ) {
        if self.refuses_without_store(now) {
            let refusal = admission::backoff(AWAY_BACKOFF_S, RefusalReason::Unavailable);
            return self.outputs.push_back(Output::AuthRefused { txn, refusal });
        }
        let checked = self
            .identify(identity, now)
            .and_then(|imsi| self.may_have_vector(imsi, serving))
            .and_then(|imsi| match resync {
                Some((rand, auts)) => self.resync(imsi, &rand, &auts, now).map(|()| imsi),
                None => Ok(imsi),
            });
        match checked {
            Ok(imsi) => self.enqueue(imsi, txn, Wanted::Fg, now),
            Err(refusal) => self.outputs.push_back(Output::AuthRefused { txn, refusal }),
        }
    }

    fn eps_auth_info(
        &mut self,
        txn: u64,
        imsi: Imsi,
        wanted: Wanted,
        resync: Option<(types::Rand, types::Auts)>,
        now: Now,
    ) {
        let known = self.sims.get(&imsi).map(|s| admission::judge(&s.record, self.config.backoff_s));
        let checked = match known {
            _ if self.refuses_without_store(now) => {
                Err(admission::backoff(AWAY_BACKOFF_S, RefusalReason::Unavailable))
            }
            None => Err(admission::refusal(FgmmCause::IllegalUe, RefusalReason::UnknownSim)),
            Some(Err(refusal)) => Err(refusal),
            Some(Ok(())) => resync.map_or(Ok(()), |(rand, auts)| self.resync(imsi, &rand, &auts, now)),
        };
        match checked {
            Ok(()) => self.enqueue(imsi, txn, wanted, now),
            Err(refusal) => self.outputs.push_back(Output::AuthRefused { txn, refusal }),
        }
    }

    fn identify(&self, identity: &Identity, now: Now) -> Result<Imsi, Refusal> {
        match identity {
            Identity::Supi(supi) => Ok(supi.imsi()),
            Identity::Suci(suci) => self.deconceal(suci, now),
        }
    }

    /// A banned SIM gets its vector (decision D6): what follows is refused under integrity protection.
    fn may_have_vector(&self, imsi: Imsi, serving: Plmn) -> Result<Imsi, Refusal> {
        // TS 33.501 §6.1.2: the home network judges whether the serving network may use this name.
        if serving != self.config.plmn {
            return Err(admission::refusal(FgmmCause::PlmnNotAllowed, RefusalReason::NotServedHere));
        }
        match self.sims.get(&imsi).map(|s| s.record.state) {
            None => Err(admission::refusal(FgmmCause::IllegalUe, RefusalReason::UnknownSim)),
            Some(SimState::Retired) => Err(admission::refusal(FgmmCause::IllegalUe, RefusalReason::Retired)),
            Some(_) => Ok(imsi),
        }
    }

    pub(crate) fn locate(&mut self, txn: u64, supi: Supi, pei: Option<Pei>) {
        let judged = match self.may_live(supi.imsi()) {
            Err(refusal) => Judged::Refused(refusal),
            Ok(()) => self.judge_use(txn, supi.imsi(), pei),
        };
        self.answer_location(txn, supi, judged);
    }

    fn admit(&mut self, txn: u64, supi: Supi) {
        let judged = self.may_live(supi.imsi()).map_or_else(Judged::Refused, |()| Judged::Accepted);
        self.answer_location(txn, supi, judged);
    }

    fn may_live(&self, imsi: Imsi) -> Result<(), Refusal> {
        match self.sims.get(&imsi) {
            None => Err(admission::refusal(FgmmCause::IllegalUe, RefusalReason::UnknownSim)),
            Some(sim) => admission::judge(&sim.record, self.config.backoff_s),
        }
    }

    fn answer_location(&mut self, txn: u64, supi: Supi, judged: Judged) {
        match judged {
            Judged::Accepted => self.serve_sim(txn, supi.imsi()),
            Judged::Refused(refusal) => self.outputs.push_back(Output::LocateRefused { txn, refusal }),
            Judged::Waits => {}
        }
    }

    fn serve_sim(&mut self, txn: u64, imsi: Imsi) {
        let Some(sim) = self.sims.get_mut(&imsi) else { return };
        let subscription = sim.record.subscription.clone();
        if sim.record.state == SimState::Ready && !sim.activating {
            sim.activating = true;
            self.persist(Write::Activated { imsi });
        }
        self.outputs.push_back(Output::Located { txn, subscription });
    }

    fn persisted(&mut self, id: u64, ok: bool, now: Now) {
        match self.writes.remove(&id) {
            None => {}
            Some(Write::Horizon { horizon }) => {
                self.horizon_on_its_way = false;
                if ok {
                    self.horizon.persisted(horizon);
                }
            }
            Some(Write::Sqn { imsi, state }) => self.sqn_persisted(imsi, state, ok, now),
            Some(Write::Learned { imsi, device, .. }) => self.device_persisted(id, imsi, device, ok),
            Some(Write::Activated { imsi }) => {
                if let Some(sim) = self.sims.get_mut(&imsi) {
                    sim.activating = false;
                    // It may have been banned meanwhile: only `ready` becomes `active`.
                    if ok && sim.record.state == SimState::Ready {
                        sim.record.state = SimState::Active;
                    }
                }
            }
        }
    }

    pub(crate) fn persist(&mut self, write: Write) -> u64 {
        self.last_write += 1;
        let id = self.last_write;
        let wish = match &write {
            Write::Horizon { horizon } => Persist::SqnHorizon { horizon: *horizon },
            Write::Sqn { imsi, state } => Persist::SqnCeiling { imsi: *imsi, state: *state },
            Write::Activated { imsi } => Persist::Activated { imsi: *imsi },
            Write::Learned { imsi, device, replace } => {
                Persist::Learned { imsi: *imsi, device: *device, replace: *replace }
            }
        };
        self.writes.insert(id, write);
        self.outputs.push_back(Output::Persist { id, write: wish });
        id
    }
}
