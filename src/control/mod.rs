//! The control process: signalling, API, store, keys.
//!
//! One task owns the pure cores (`access`, `hss`, the address ledger, the policy's source) and everything that
//! changes them; whatever takes time (the database, the gateway, a compilation) is asked for, and its answer
//! comes back as an input. Each `match` below is the wiring of one core: an arm names a function.
//!
//! | file | what |
//! | --- | --- |
//! | `health`, `snapshot` | a database that does not answer, and what a ban lives on then |
//! | `boot` | what is read at start, and in which order |
//! | `bans` | the cut, its record, its receipt (DESIGN: a ban) |
//! | `addresses` | leases, durable before the UE learns its address |
//! | `policy` | from the store to the rows that the gateway judges by |
//! | `facts` | what is known of SIMs beside their rules, from store and network |
//! | `equipment` | devices: the list, the bindings, and those who live in the wrong one |
//! | `persist` | the one queue of writes that the cores wait for |
//! | `alert_rules` | what is seen together or too often, and what is done then |
//! | `alerts` | what of it somebody has to look at |
//! | `events` | the timeline: stored, then told to whoever listens |
//! | `run` | the process: what is started, the one loop, the end |
//! | `link_task`, `gateway` | the connection to the gateway; what comes by it |
//! | `api` | the handle that API requests hold |
//! | `serve` | the API's socket |
//! | `sealed` | octets sealed for a file beside the journal |
//! | `known` | what is known of SIMs, as the gateway is told it |
//! | `page` | what UEs ask of the page inside the closed network |
//! | `provider_app` | where the identity provider is, which everybody reaches |
//! | `probes` | whether apps work |
//! | `imports` | what an import changed, piece by piece |
//! | `schedule` | planned changes of state, run when they are due |
//! | `foreign` | sessions that foreign SMFs steer |
//! | `s6a` | MMEs that ask us as their HSS |
//! | `gx`, `line` | SMFs that ask us as their PCRF; a Diameter face's connections |
//! | `sessions` | live sessions as people see them |
//! | `sims`, `since` | rows to records; since when things are there |
//! | `upkeep` | what grows is kept in bounds |

pub(crate) mod addresses;
mod alert_rules;
mod alerts;
mod api;
mod bans;
pub mod boot;
mod equipment;
mod events;
mod facts;
mod foreign;
mod gateway;
mod gx;
pub(crate) mod health;
pub(crate) mod home_keys;
mod imports;
mod known;
mod line;
mod link_task;
mod page;
mod peers;
mod persist;
mod policy;
mod probes;
mod provider_app;
#[cfg(test)]
mod provider_tests;
mod reload;
mod run;
mod s6a;
mod schedule;
mod sealed;
mod serve;
mod sessions;
mod sims;
mod since;
#[cfg(all(test, feature = "lab"))]
mod site;
mod snapshot;
mod status;
#[cfg(all(test, feature = "lab"))]
mod talk;
mod union;
mod upkeep;

use crate::{
    config::Config,
    io::sctp::{NGAP_PPID, SctpCommand, SctpEvent, SctpMode},
};
use ::gateway::link::{ToGateway, page::PageAnswer};
use ::gateway::time::now;
use access::nr::{self, Amf, AssocId};
use admin_web::Reaches;
use anyhow::Result;
use bans::Bans;
use hss::Hss;
use std::sync::Arc;
use store::{FlowLog, Hold, Store, StoreError};
use tokio::sync::mpsc;
use tracing::{debug, info, warn};
use types::{Event, Happening, Imsi, Mono, OnClone, Utc};

pub use api::ControlHandle;
#[cfg(feature = "lab")]
pub(crate) use policy::policy_of;
pub use run::run;

/// Everything that the loop owns.
pub(crate) struct Control {
    config: Arc<Config>,
    store: Store,
    flows: FlowLog,
    hss: Hss,
    amf: Amf,
    addresses: addresses::Addresses,
    policy: policy::Published,
    bans: Bans,
    states: bans::StateQueue,
    events: events::EventWriter,
    persist: persist::Queue,
    facts: facts::Facts,
    /// What alert rules have seen.
    watch: alert_rules::Watch,
    fact_reader: facts::Reader,
    /// Whether apps work.
    probes: probes::Probes,
    /// Where the identity provider is.
    provider_ways: provider_app::Ways,
    agenda: schedule::Agenda,
    agenda_unread: bool,
    due: schedule::Runner,
    gateway: Option<gateway::Gateway>,
    /// Where questions of UEs go, where there is a page for them.
    pages: Option<page::Questions>,
    sctp: mpsc::Sender<SctpCommand>,
    /// What foreign SMFs steer.
    foreign: foreign::Foreign,
    /// MMEs, where there are any.
    s6a: Option<Box<s6a::Wiring>>,
    /// SMFs, where there are any.
    gx: Option<Box<gx::Wiring>>,
    /// What of where these see SIMs is to be known after a restart.
    places: gx::places::Places,
    /// What SIMs were granted for a time.
    grants: known::Grants,
    /// Every SIM is held after a restore.
    hold: Option<Hold>,
    /// What carries N2.
    n2_mode: SctpMode,
    done: mpsc::UnboundedSender<Done>,
    started: Utc,
    since: since::Since,
    /// Numbers of requests to the gateway.
    next_id: u64,
    asked: std::collections::HashMap<u64, status::Asked>,
    /// Quarantines, panics and banned devices that are on.
    restrictions: std::collections::BTreeSet<bans::Restriction>,
    /// What a person, device, group or site covers, for the hour without a database.
    scopes: bans::ScopeIndex,
    health: health::Health,
    /// The SIMs inside the limits of tokens, for the API.
    reaches: Arc<Reaches>,
    /// The database could not be opened: bans and status only.
    reduced: bool,
    /// States of SIMs from the snapshot, where there is no directory.
    remembered: std::collections::BTreeMap<Imsi, types::SimState>,
}

/// What was asked for outside the loop and is finished.
pub(crate) enum Done {
    /// Writes that `hss` waits for.
    Persisted { ids: Vec<u64>, ok: bool },
    /// A device could not be bound: the SIM is bound to another one in the store.
    NotLearned { imsi: Imsi },
    /// Which MME serves a SIM is durable, or could not be made so.
    ServingStored { txn: u64, imsi: Imsi, mme: Option<String>, ok: bool },
    /// A session at an SMF is durable, or its end, or could not be made so.
    GxStored { txn: u64, ok: bool },
    /// A lease is durable, or could not be made so.
    Leased(addresses::Leased),
    /// What foreign SMFs have given of their own is durable, or could not be made so; and what waits for that.
    ForeignLeased { rows: Vec<store::ForeignLease>, then: Option<foreign::ForeignLeased>, ok: bool },
    /// A policy was loaded and compiled, or refused.
    Policy(policy::Loaded),
    /// A SIM was read again.
    Sim(Box<sims::Reread>),
    /// Equipment list and bindings were read again.
    Equipment(equipment::Reloaded),
    /// The home network's keys were read again.
    HomeKeys(home_keys::Reread),
    /// A ban (or unban) is in the database, or could not be put there.
    Stored(Box<bans::Stored>),
    /// Later versions of receipts are.
    Receipts(bans::ReceiptsWritten),
    /// What a scope covers.
    Scope(Box<bans::Expanded>),
    /// Whether the database answers.
    Pulse(health::Pulse),
    /// Why the database does not take changes, or that it does.
    Written(Option<StoreError>),
    /// The database that could not be opened at start can be.
    DatabaseBack,
    /// A piece of what an import changed was read.
    Imported(imports::Piece),
    /// All of it was.
    ImportLearnt(imports::Learnt),
    /// Schedules were read, or could not be.
    Agenda(Result<Vec<(Utc, u64)>, StoreError>),
    /// A schedule was run.
    Scheduled(schedule::Ran),
    /// What is known of SIMs was read.
    Facts(Box<facts::Read>),
    /// A round of probes is over.
    Probed(Vec<probes::Answered>),
    /// Where the identity provider is was asked for.
    ProviderSeen(provider_app::Seen),
    /// Sources of facts were read.
    Sources(Result<Vec<store::SourceRow>, StoreError>),
    /// The system suspended a SIM, or could not.
    Ended(facts::Ended),
    /// The alert rules were read.
    AlertRules(Box<alert_rules::Loaded>),
    /// An alert rule has blocked somebody, or could not.
    Blocked(alert_rules::Blocked),
    /// The system put this SIM in quarantine for this reason, and it holds no longer.
    Release { imsi: Imsi, reason: &'static str },
    /// What a UE gets that asked for the page.
    Page { id: u64, answer: PageAnswer },
    /// The grants that count, or will.
    Grants(Vec<(Imsi, types::ActiveGrant)>),
}

fn amf_config(config: &Config) -> nr::AmfConfig {
    use crate::config::{Ciphering, Integrity};
    use wire::nas::security::{Nea, Nia};
    let n = &config.network;
    nr::AmfConfig {
        name: n.name.clone(),
        display_name: n.display_name.clone(),
        // That there is one of this name was checked with the configuration.
        time_zone: n.time_zone.as_deref().and_then(|z| jiff::tz::TimeZone::get(z).ok()),
        plmn: n.plmn,
        amf: n.amf,
        tacs: n.tacs.clone(),
        slices: n.slices.clone(),
        integrity: n
            .integrity
            .iter()
            .map(|i| match i {
                Integrity::Nia1 => Nia::Nia1,
                Integrity::Nia2 => Nia::Nia2,
                Integrity::Nia3 => Nia::Nia3,
            })
            .collect(),
        ciphering: n
            .ciphering
            .iter()
            .map(|c| match c {
                Ciphering::Nea0 => Nea::Nea0,
                Ciphering::Nea1 => Nea::Nea1,
                Ciphering::Nea2 => Nea::Nea2,
                Ciphering::Nea3 => Nea::Nea3,
            })
            .collect(),
        relative_capacity: n.relative_capacity,
        cp_address: config.n2.address,
        n3_address: Some(config.n3.address),
        limits: nr::Limits::default(),
        key_life_s: n.key_life_s,
        t3512_s: n.t3512_s,
    }
}

impl Control {
    /// With what was read at start; the queues of its writes run from here on.
    fn new(
        config: Arc<Config>,
        ready: boot::Ready,
        events: events::EventWriter,
        (sctp, n2_mode): (mpsc::Sender<SctpCommand>, SctpMode),
        done: mpsc::UnboundedSender<Done>,
    ) -> Result<Self> {
        let boot::Ready {
            store, flows, signer, receipts, restrictions, head, reduced, pending, reaches, ..
        } = ready;
        let started = now().utc;
        let seen = gx::places::known(&config, &ready.gx_sessions);
        Ok(Self {
            amf: Amf::new(amf_config(&config), now(), ::gateway::sys::random()?),
            s6a: s6a::Wiring::new(&config, &ready.hss, &ready.addresses, ready.mmes)?,
            gx: gx::Wiring::new(&config, &ready.hss, ready.gx_sessions)?,
            places: gx::places::Places::start(store.clone()),
            persist: persist::Queue::start(store.clone(), done.clone()),
            states: bans::StateQueue::start(store.clone(), signer.clone(), pending, done.clone()),
            bans: Bans::new(receipts, head, signer),
            restrictions: restrictions.iter().filter_map(bans::Restriction::of).collect(),
            scopes: ready.scopes,
            health: health::Health::default(),
            reaches,
            reduced,
            remembered: ready.remembered.into_iter().collect(),
            facts: facts::Facts::new(seen),
            watch: alert_rules::Watch::default(),
            fact_reader: facts::Reader::start(store.clone(), done.clone()),
            probes: probes::Probes::default(),
            provider_ways: provider_app::Ways::new(&config),
            agenda: schedule::Agenda::default(),
            agenda_unread: false,
            due: schedule::Runner::start(store.clone(), done.clone()),
            config,
            store,
            flows,
            hss: ready.hss,
            addresses: ready.addresses,
            policy: ready.policy,
            events,
            gateway: None,
            pages: None,
            grants: known::Grants::default(),
            foreign: foreign::Foreign::new(ready.foreign_leases),
            sctp,
            n2_mode,
            hold: ready.hold,
            done,
            started,
            since: since::Since::new(started),
            next_id: 0,
            asked: std::collections::HashMap::new(),
        })
    }

    /// Turns the outputs of each core into inputs of the others, until all are quiet.
    fn drain(&mut self) {
        loop {
            if let Some(o) = self.amf.poll_output() {
                self.amf_wish(o);
            } else if let Some(o) = self.hss.poll_output() {
                self.hss_wish(o);
            } else if let Some(o) = self.s6a.as_mut().and_then(|w| w.poll_output()) {
                self.s6a_wish(o);
            } else if let Some(o) = self.gx.as_mut().and_then(|w| w.poll_output()) {
                self.gx_wish(o);
            } else {
                return self.flush_peers();
            }
        }
    }

    /// What peers are to be sent goes together: their connections wake once.
    fn flush_peers(&mut self) {
        if let Some(w) = &mut self.s6a {
            w.flush();
        }
        if let Some(w) = &mut self.gx {
            w.flush();
        }
    }

    fn next_timeout(&self) -> Option<Mono> {
        [
            self.amf.poll_timeout(),
            self.hss.poll_timeout(),
            self.s6a.as_ref().and_then(|w| w.poll_timeout()),
            self.gx.as_ref().and_then(|w| w.poll_timeout()),
            self.bans.poll_timeout(),
            self.agenda.poll_timeout(),
            self.facts.poll_timeout(),
            self.health_poll_timeout(),
            self.probes.poll_timeout(),
            self.provider_ways.poll_timeout(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn timeout(&mut self) {
        let now = now();
        self.amf.handle_timeout(now);
        self.hss.handle_timeout(now);
        if let Some(s6a) = &mut self.s6a {
            s6a.handle_timeout(now);
        }
        if let Some(gx) = &mut self.gx {
            gx.handle_timeout(now);
        }
        self.bans_timeout(now);
        self.schedules_timeout(now);
        self.facts_timeout(now);
        self.health_timeout(now);
        self.probes_timeout(now);
        self.provider_timeout(now);
    }

    /// N2: what the transport says.
    fn n2(&mut self, e: SctpEvent) {
        let input = match e {
            SctpEvent::Up { assoc, peer, .. } => {
                nr::Input::AssocUp { assoc: AssocId(assoc), peer: peer.ip() }
            }
            SctpEvent::Data { assoc, stream, ppid, bytes } if ppid == NGAP_PPID => {
                nr::Input::Ngap { assoc: AssocId(assoc), stream, bytes }
            }
            SctpEvent::Data { assoc, ppid, .. } => {
                debug!(assoc, ppid, "a message that is not NGAP is ignored");
                return;
            }
            SctpEvent::Down { assoc, reason } => {
                info!(assoc, %reason, "N2 association ended: {reason}");
                nr::Input::AssocDown { assoc: AssocId(assoc) }
            }
        };
        self.amf.handle(input, now());
    }

    /// What `access` wants.
    fn amf_wish(&mut self, o: nr::Output) {
        match o {
            nr::Output::Send { assoc, stream, bytes } => {
                self.n2_command(SctpCommand::Send { assoc: assoc.0, stream, ppid: NGAP_PPID, bytes });
            }
            nr::Output::Close { assoc, why } => {
                warn!(assoc = assoc.0, "closing an N2 association: {why}");
                self.n2_command(SctpCommand::Abort { assoc: assoc.0 });
            }
            nr::Output::NeedVector { txn, identity, serving, resync } => {
                if let Some(refusal) = self.refusal_without_directory() {
                    return self.refuse_vector(txn, refusal);
                }
                self.hss.handle(hss::Input::AuthInfo { txn: txn.0, identity, serving, resync }, now());
            }
            nr::Output::Locate { txn, supi, pei, .. } => {
                self.hss.handle(hss::Input::Locate { txn: txn.0, supi, pei }, now());
            }
            nr::Output::JudgeAuts { txn, supi, accepted, rand, auts } => {
                self.hss.handle(hss::Input::JudgeAuts { txn: txn.0, supi, accepted, rand, auts }, now());
            }
            nr::Output::NeedAddress { txn, supi, dnn, id } => self.need_address(txn, supi, dnn, id),
            nr::Output::ReleaseAddress { supi, dnn, id } => self.release_address(supi, &dnn, id),
            nr::Output::N4(bytes) => self.to_gateway(ToGateway::N4(bytes)),
            nr::Output::Event(e) => {
                // Sessions were found in the gateway; some may be of SIMs that were banned meanwhile.
                let gateway_is_up = e.what == Happening::Gateway { up: true };
                let cloned = match (&e.what, e.imsi) {
                    (Happening::CloneFound { proof, .. }, Some(imsi)) => {
                        Some((imsi, bans::clone_reason(proof)))
                    }
                    _ => None,
                };
                self.happened(e);
                if gateway_is_up {
                    self.sweep();
                }
                if let Some((imsi, reason)) = cloned
                    && self.hss.binding(imsi).on_clone == OnClone::Quarantine
                {
                    self.quarantine_by_binding(imsi, reason);
                }
            }
        }
    }

    /// What `hss` wants.
    fn hss_wish(&mut self, o: hss::Output) {
        let input = match o {
            hss::Output::EpsVector { txn, vector } => {
                return self.tell_s6a(txn, |txn| hss::s6a::Input::Vector { txn, vector });
            }
            hss::Output::AuthRefused { txn, refusal } | hss::Output::LocateRefused { txn, refusal }
                if s6a::asked(txn) =>
            {
                return self.tell_s6a(txn, |txn| hss::s6a::Input::Refused { txn, refusal });
            }
            hss::Output::LocateRefused { txn, refusal } if gx::asked(txn) => {
                return self.gx_located(txn, |txn| hss::gx::Input::Refused { txn, refusal });
            }
            hss::Output::Located { txn, subscription } if gx::asked(txn) => {
                return self.gx_located(txn, |txn| hss::gx::Input::Located { txn, subscription });
            }
            hss::Output::Located { txn, subscription } if s6a::asked(txn) => {
                return self.tell_s6a(txn, |txn| hss::s6a::Input::Located { txn, subscription });
            }
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
            hss::Output::Noticed { imsi, what } => {
                return self.happened(Event { at: now().utc, imsi: Some(imsi), what });
            }
            hss::Output::Quarantine { imsi, happening: what } => {
                self.happened(Event { at: now().utc, imsi: Some(imsi), what });
                self.quarantine_by_binding(imsi, equipment::NO_DEVICE);
                return;
            }
            hss::Output::Persist { id, write } => return self.persist.push(id, write, now().utc),
        };
        self.amf.handle(input, now());
    }

    /// What was asked for and is finished.
    fn finished(&mut self, d: Done) {
        match d {
            Done::NotLearned { imsi } => self.reread_sim(imsi, None),
            Done::Persisted { ids, ok } => {
                let now = now();
                ids.into_iter().for_each(|id| self.hss.handle(hss::Input::Persisted { id, ok }, now));
            }
            Done::Leased(l) => self.leased(l),
            Done::ForeignLeased { rows, then, ok } => self.foreign_leases_stored(&rows, then, ok),
            Done::ServingStored { txn, imsi, mme, ok } => self.serving_stored(txn, imsi, mme, ok),
            Done::GxStored { txn, ok } => self.gx_stored(txn, ok),
            Done::Policy(p) => self.policy_loaded(p),
            Done::Sim(s) => self.sim_reread(*s),
            Done::Stored(s) => self.ban_stored(*s),
            Done::Receipts(w) => self.receipts_written(w),
            Done::Scope(e) => self.expanded(*e),
            Done::Pulse(p) => self.pulse(p),
            Done::Written(fault) => self.database_said(fault.as_ref()),
            Done::DatabaseBack => {}
            Done::Equipment(r) => self.equipment_reloaded(r),
            Done::HomeKeys(r) => self.home_keys_reread(r),
            Done::Imported(p) => self.import_piece(p),
            Done::ImportLearnt(l) => self.import_learnt(l),
            Done::Agenda(a) => self.agenda_read(a),
            Done::Scheduled(r) => self.schedule_ran(r),
            Done::Facts(r) => self.facts_read(*r),
            Done::Sources(s) => self.sources_read(s),
            Done::Probed(all) => self.probed(all),
            Done::ProviderSeen(seen) => self.provider_seen(seen),
            Done::Ended(e) => self.facts_ended(e),
            Done::AlertRules(l) => self.alert_rules_read(*l),
            Done::Blocked(b) => self.blocked(b),
            Done::Release { imsi, reason } => self.release(imsi, reason),
            Done::Page { id, answer } => self.to_gateway(ToGateway::PageAnswer { id, answer }),
            Done::Grants(all) => self.grants_changed(all),
        }
    }

    fn n2_command(&self, c: SctpCommand) {
        if let Err(e) = self.sctp.try_send(c) {
            warn!("N2 does not take a message: {e}");
        }
    }

    fn happened(&mut self, e: Event) {
        self.since.note(&e);
        self.note_in_receipt(&e);
        self.facts_note(&e);
        self.watch_event(&e);
        self.events.push(e);
    }

    fn alarm(&mut self, imsi: Option<Imsi>, text: String) {
        warn!("{text}");
        self.happened(Event { at: now().utc, imsi, what: Happening::Alarm { text } });
    }

    fn number(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}
