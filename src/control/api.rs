//! The handle that API requests hold, and what the loop does for each of its commands.

use super::{Control, events::EventWriter, sims::sim_ended_by, status::Asked};
use crate::{audit::checkpoints::Checkpoints, backup, config::Config, delivery::Deliveries, doctor};
use access::nr;
use admin_web::{
    AffectedSim, Answer, AuditStanding, BackupCapability, BackupError, BackupFile, BackupMade, BanCapability,
    BanError, BanRequest, ControlError, DeliveryStatus, DeviceUnban, EveryFact, FactView, MachineFinding,
    Metric, NewKeys, OperatorKey, PartStatus, QuarantineCapability, Receipt, RestrictOutcome,
    RestrictRequest, ScopeBan, ScopeKind, ScopeOutcome, Sealed, SessionCapability, SessionKey, SessionView,
    Status, Suspicion, UnbanCapability, UnbanRequest, say,
};
use gateway::time::now;
use hss::CardKeys;
use pgw_policy::{Explanation, ProviderApp, Question, Ruling, Standing, command::LearnedName};
use std::{net::IpAddr, sync::Arc};
use store::{EventRow, FactsOf, FlowLog, Store};
use tokio::sync::{broadcast, mpsc, oneshot};
use types::{FgsmCause, Happening, Imsi, Reason, Supi, Utc};

/// What an API request asks of the loop, with the way back.
pub(crate) enum Command {
    Seal {
        imsi: Imsi,
        keys: NewKeys,
        reply: oneshot::Sender<Result<Sealed, ControlError>>,
    },
    SimChanged {
        imsi: Imsi,
        reply: oneshot::Sender<Result<(), ControlError>>,
    },
    EquipmentChanged {
        reply: oneshot::Sender<Result<(), ControlError>>,
    },
    /// What is known of SIMs changed in the store.
    FactsStored {
        of: FactsOf,
        reply: oneshot::Sender<Result<(), ControlError>>,
    },
    /// Something that alert rules count.
    Suspect(Suspicion),
    /// The alert rules changed in the store.
    AlertRulesChanged {
        reply: oneshot::Sender<Result<(), ControlError>>,
    },
    /// What a SIM has looked up.
    Names {
        imsi: Imsi,
        reply: oneshot::Sender<Result<Vec<LearnedName>, ControlError>>,
    },
    Facts {
        imsi: Imsi,
        reply: oneshot::Sender<Result<Vec<FactView>, ControlError>>,
    },
    /// Kinds of SIMs that reach none of these addresses of this host.
    ClosedTo {
        host: String,
        at: Vec<std::net::SocketAddr>,
        reply: oneshot::Sender<Vec<String>>,
    },
    Known {
        imsi: Imsi,
        reply: oneshot::Sender<types::SimFacts>,
    },
    KnownOfAll {
        reply: oneshot::Sender<Result<EveryFact, ControlError>>,
    },
    /// Where the identity provider is.
    ProviderApp {
        reply: oneshot::Sender<Option<ProviderApp>>,
    },
    AwaitingProof {
        imsi: Imsi,
        reply: oneshot::Sender<Vec<types::Name>>,
    },
    /// The home network's keys changed in the store.
    HomeKeysChanged {
        reply: oneshot::Sender<Result<(), ControlError>>,
    },
    DeviceForgotten {
        imsi: Imsi,
        reply: oneshot::Sender<Result<(), ControlError>>,
    },
    PolicyChanged {
        reply: oneshot::Sender<Result<u64, ControlError>>,
    },
    Ban {
        request: BanRequest,
        reply: oneshot::Sender<Result<Receipt, BanError>>,
    },
    Unban {
        request: UnbanRequest,
        reply: oneshot::Sender<Result<Receipt, BanError>>,
    },
    BanScope {
        request: ScopeBan,
        reply: oneshot::Sender<Result<ScopeOutcome, BanError>>,
    },
    Affected {
        scope: ScopeKind,
        value: String,
        reply: oneshot::Sender<Result<Vec<AffectedSim>, ControlError>>,
    },
    UnbanDevice {
        request: DeviceUnban,
        reply: oneshot::Sender<Result<RestrictOutcome, ControlError>>,
    },
    Restrict {
        request: RestrictRequest,
        reply: oneshot::Sender<Result<RestrictOutcome, ControlError>>,
    },
    Sessions {
        reply: oneshot::Sender<Vec<SessionView>>,
    },
    EndSession {
        imsi: Imsi,
        key: SessionKey,
        reply: oneshot::Sender<Result<(), ControlError>>,
    },
    Explain {
        question: Question,
        at: Option<Utc>,
        reply: oneshot::Sender<Result<Explanation, ControlError>>,
    },
    SchedulesChanged,
    Vault {
        reply: oneshot::Sender<Result<hss::Vault, ControlError>>,
    },
    Imported {
        job: u64,
        event: Option<types::Event>,
        reply: oneshot::Sender<Result<(), ControlError>>,
    },
    Status {
        reply: oneshot::Sender<Status>,
    },
    Metrics {
        reply: oneshot::Sender<Vec<Metric>>,
    },
    SilentPeers {
        reply: oneshot::Sender<Vec<doctor::SilentPeer>>,
    },
    HoldLifted {
        reply: oneshot::Sender<Result<(), ControlError>>,
    },
}

/// What every API request holds: a way to the loop, and to what needs no loop.
#[derive(Clone)]
pub struct ControlHandle {
    pub(super) tx: mpsc::Sender<Command>,
    pub(super) events: EventWriter,
    pub(super) checkpoints: Checkpoints,
    pub(super) deliveries: Deliveries,
    pub(super) store: Store,
    pub(super) flows: FlowLog,
    pub(super) config: Arc<Config>,
    pub(super) second_person: bool,
}

impl ControlHandle {
    async fn ask<T>(&self, make: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, ControlError> {
        let gone = || ControlError::Unavailable { part: "control", why: "it is stopping".to_owned() };
        let (tx, rx) = oneshot::channel();
        self.tx.send(make(tx)).await.map_err(|_| gone())?;
        rx.await.map_err(|_| gone())
    }
}

impl ControlHandle {
    /// What radios and UEs were refused with in the last hour, as far as it says that the set-up is wrong: each once.
    async fn refused_lately(&self) -> Vec<doctor::Refused> {
        const LOOK: u64 = 1_000;
        const HOUR: i64 = 3_600_000;
        let Ok(last) = self.store.last_event().await else { return Vec::new() };
        let rows = self.store.events_after(last.saturating_sub(LOOK), LOOK as u32).await.unwrap_or_default();
        let since = now().utc.0 - HOUR;
        let mut found = Vec::new();
        for row in rows.into_iter().filter(|r| r.event.at.0 >= since) {
            let refused = match row.event.what {
                Happening::GnbRefused { address, why } => doctor::Refused::Radio { address, why },
                Happening::SessionRefused {
                    dnn: Some(dnn),
                    cause: FgsmCause::MissingOrUnknownDnn | FgsmCause::MissingOrUnknownDnnInSlice,
                    ..
                } => doctor::Refused::Session { dnn: dnn.to_string() },
                // Who was refused and came in since has been mended.
                Happening::GnbUp { address, .. } => {
                    found
                        .retain(|f| !matches!(f, doctor::Refused::Radio { address: a, .. } if *a == address));
                    continue;
                }
                _ => continue,
            };
            if !found.contains(&refused) {
                found.push(refused);
            }
        }
        found
    }
}

impl admin_web::Control for ControlHandle {
    fn seal(&self, imsi: Imsi, keys: NewKeys) -> Answer<'_, Result<Sealed, ControlError>> {
        Box::pin(async move { self.ask(|reply| Command::Seal { imsi, keys, reply }).await? })
    }

    fn sim_changed(&self, imsi: Imsi) -> Answer<'_, Result<(), ControlError>> {
        Box::pin(async move { self.ask(|reply| Command::SimChanged { imsi, reply }).await? })
    }

    fn own_addresses(&self) -> Vec<IpAddr> {
        self.config.own_addresses()
    }

    fn equipment_changed(&self) -> Answer<'_, Result<(), ControlError>> {
        Box::pin(async move { self.ask(|reply| Command::EquipmentChanged { reply }).await? })
    }

    fn facts_stored(&self, of: FactsOf) -> Answer<'_, Result<(), ControlError>> {
        Box::pin(async move { self.ask(|reply| Command::FactsStored { of, reply }).await? })
    }

    fn facts(&self, imsi: Imsi) -> Answer<'_, Result<Vec<FactView>, ControlError>> {
        Box::pin(async move { self.ask(|reply| Command::Facts { imsi, reply }).await? })
    }

    fn known(&self, imsi: Imsi) -> Answer<'_, Result<types::SimFacts, ControlError>> {
        Box::pin(async move { self.ask(|reply| Command::Known { imsi, reply }).await })
    }

    fn known_of_all(&self) -> Answer<'_, Result<EveryFact, ControlError>> {
        Box::pin(async move { self.ask(|reply| Command::KnownOfAll { reply }).await? })
    }

    fn awaiting_proof(&self, imsi: Imsi) -> Answer<'_, Result<Vec<types::Name>, ControlError>> {
        Box::pin(async move { self.ask(|reply| Command::AwaitingProof { imsi, reply }).await })
    }

    fn provider_app(&self) -> Answer<'_, Option<ProviderApp>> {
        Box::pin(async move { self.ask(|reply| Command::ProviderApp { reply }).await.ok().flatten() })
    }

    fn suspect(&self, what: Suspicion) {
        // Where so much waits that there is no room, there will be another one.
        drop(self.tx.try_send(Command::Suspect(what)));
    }

    fn alert_rules_changed(&self) -> Answer<'_, Result<(), ControlError>> {
        Box::pin(async move { self.ask(|reply| Command::AlertRulesChanged { reply }).await? })
    }

    fn home_keys_changed(&self) -> Answer<'_, Result<(), ControlError>> {
        Box::pin(async move { self.ask(|reply| Command::HomeKeysChanged { reply }).await? })
    }

    fn device_forgotten(&self, imsi: Imsi) -> Answer<'_, Result<(), ControlError>> {
        Box::pin(async move { self.ask(|reply| Command::DeviceForgotten { imsi, reply }).await? })
    }

    fn policy_changed(&self) -> Answer<'_, Result<u64, ControlError>> {
        Box::pin(async move { self.ask(|reply| Command::PolicyChanged { reply }).await? })
    }

    fn ban<'a>(&'a self, _: &'a BanCapability, request: BanRequest) -> Answer<'a, Result<Receipt, BanError>> {
        Box::pin(async move { self.ask(|reply| Command::Ban { request, reply }).await? })
    }

    fn unban<'a>(
        &'a self,
        _: &'a UnbanCapability,
        request: UnbanRequest,
    ) -> Answer<'a, Result<Receipt, BanError>> {
        Box::pin(async move { self.ask(|reply| Command::Unban { request, reply }).await? })
    }

    fn affected(
        &self,
        scope: ScopeKind,
        value: String,
    ) -> Answer<'_, Result<Vec<AffectedSim>, ControlError>> {
        Box::pin(async move { self.ask(|reply| Command::Affected { scope, value, reply }).await? })
    }

    fn ban_scope<'a>(
        &'a self,
        _: &'a BanCapability,
        request: ScopeBan,
    ) -> Answer<'a, Result<ScopeOutcome, BanError>> {
        Box::pin(async move { self.ask(|reply| Command::BanScope { request, reply }).await? })
    }

    fn restrict<'a>(
        &'a self,
        _: &'a QuarantineCapability,
        request: RestrictRequest,
    ) -> Answer<'a, Result<RestrictOutcome, ControlError>> {
        Box::pin(async move { self.ask(|reply| Command::Restrict { request, reply }).await? })
    }

    fn unban_device<'a>(
        &'a self,
        _: &'a UnbanCapability,
        request: DeviceUnban,
    ) -> Answer<'a, Result<RestrictOutcome, ControlError>> {
        Box::pin(async move { self.ask(|reply| Command::UnbanDevice { request, reply }).await? })
    }

    fn second_person(&self) -> bool {
        self.second_person
    }

    fn sessions(&self) -> Answer<'_, Result<Vec<SessionView>, ControlError>> {
        Box::pin(async move { self.ask(|reply| Command::Sessions { reply }).await })
    }

    fn end_session<'a>(
        &'a self,
        _: &'a SessionCapability,
        imsi: Imsi,
        key: SessionKey,
    ) -> Answer<'a, Result<(), ControlError>> {
        Box::pin(async move { self.ask(|reply| Command::EndSession { imsi, key, reply }).await? })
    }

    fn explain(&self, question: Question, at: Option<Utc>) -> Answer<'_, Result<Explanation, ControlError>> {
        Box::pin(async move { self.ask(|reply| Command::Explain { question, at, reply }).await? })
    }

    fn looked_up(&self, imsi: Imsi) -> Answer<'_, Result<Vec<LearnedName>, ControlError>> {
        Box::pin(async move { self.ask(|reply| Command::Names { imsi, reply }).await? })
    }

    fn backup<'a>(
        &'a self,
        _: &'a BackupCapability,
        name: String,
    ) -> Answer<'a, Result<BackupMade, BackupError>> {
        Box::pin(async move {
            let failed = |e: anyhow::Error| BackupError::Failed(format!("{e:#}"));
            if backup::public_key(&self.config.paths.data).map_err(failed)?.is_none() {
                return Err(BackupError::NoRecoveryKey);
            }
            if backup::is_there(&self.config, &name) {
                return Err(BackupError::NameTaken);
            }
            let made = backup::make(&self.config, &self.store, &name, now().utc).await.map_err(failed)?;
            Ok(BackupMade {
                file: made.file.display().to_string(),
                octets: made.octets,
                at: made.manifest.at,
                sims: made.manifest.sims,
                banned: made.manifest.banned,
                journal_records: made.manifest.journal.records,
            })
        })
    }

    fn backups<'a>(&'a self, _: &'a BackupCapability) -> Answer<'a, Result<Vec<BackupFile>, ControlError>> {
        Box::pin(async move {
            let all = backup::list(&self.config)
                .map_err(|e| ControlError::Unavailable { part: "control", why: format!("{e:#}") })?;
            Ok(all.into_iter().map(|(name, octets, at)| BackupFile { name, octets, at }).collect())
        })
    }

    fn hold_lifted(&self) -> Answer<'_, Result<(), ControlError>> {
        Box::pin(async move { self.ask(|reply| Command::HoldLifted { reply }).await? })
    }

    fn status(&self) -> Answer<'_, Status> {
        Box::pin(async move {
            match self.ask(|reply| Command::Status { reply }).await {
                Ok(s) => s,
                Err(e) => Status {
                    started: Utc::default(),
                    parts: vec![PartStatus {
                        name: "control",
                        up: false,
                        detail: say!("{e}", "制御の本体が応答しません: {e}"),
                    }],
                    transport: String::new(),
                    enforced_generation: None,
                    gnbs: Vec::new(),
                    peers: Vec::new(),
                    apps: Vec::new(),
                    built_in: Vec::new(),
                    ues: 0,
                    sessions: 0,
                    revoked: 0,
                    journal_record: None,
                },
            }
        })
    }

    fn metrics(&self) -> Answer<'_, Vec<Metric>> {
        Box::pin(async move { self.ask(|reply| Command::Metrics { reply }).await.unwrap_or_default() })
    }

    fn deliveries(&self) -> Vec<DeliveryStatus> {
        self.deliveries.status()
    }

    fn findings(&self) -> Answer<'_, Vec<MachineFinding>> {
        Box::pin(async move {
            let config = Arc::clone(&self.config);
            // Destinations are connected to, and the gateway is asked: not on a thread that serves.
            let looked = tokio::task::spawn_blocking(move || doctor::Machine::look(&config)).await;
            let Ok(mut machine) = looked else { return Vec::new() };
            // The API's port is our own.
            machine.taken.clear();
            machine.database_knows =
                self.store.journal_head().await.ok().flatten().map(|(records, _)| records);
            machine.refused = self.refused_lately().await;
            machine.silent = self.ask(|reply| Command::SilentPeers { reply }).await.unwrap_or_default();
            if let Some(page) = &mut machine.page
                && let Ok((host, at)) = &page.provider
            {
                let (host, at) = (host.clone(), at.clone());
                page.closed =
                    self.ask(|reply| Command::ClosedTo { host, at, reply }).await.unwrap_or_default();
            }
            let lists = self.config.gx.is_some() || self.config.n4.is_some() || self.config.service.is_some();
            if lists && let Ok(networks) = self.store.list::<types::DataNetwork>(None, 1_000).await {
                machine.pools = networks.items.iter().flat_map(|n| n.value.pools()).collect();
            }
            doctor::judge(&self.config, &machine)
        })
    }

    fn audit_standing(&self) -> Option<AuditStanding> {
        self.checkpoints.standing()
    }

    fn sign_audit(&self) -> Answer<'_, bool> {
        Box::pin(self.checkpoints.now())
    }

    fn vault(&self) -> Answer<'_, Result<hss::Vault, ControlError>> {
        Box::pin(async move { self.ask(|reply| Command::Vault { reply }).await? })
    }

    fn sims_imported(&self, job: u64, event: Option<types::Event>) -> Answer<'_, Result<(), ControlError>> {
        Box::pin(async move { self.ask(|reply| Command::Imported { job, event, reply }).await? })
    }

    fn schedules_changed(&self) -> Answer<'_, ()> {
        // A loop that is stopping reads them anew when it starts.
        Box::pin(async move { drop(self.tx.send(Command::SchedulesChanged).await) })
    }

    fn events(&self) -> broadcast::Receiver<EventRow> {
        self.events.subscribe()
    }
}

impl Control {
    /// One command of the API. A reply whose asker has gone away is dropped.
    pub(super) fn command(&mut self, c: Command) {
        match c {
            Command::Seal { imsi, keys, reply } => drop(reply.send(Ok(self.seal(imsi, &keys)))),
            Command::SimChanged { imsi, reply } => self.reread_sim(imsi, Some(reply)),
            Command::EquipmentChanged { reply } => self.reload_equipment(Some(reply)),
            Command::FactsStored { of, reply } => self.reread_facts(of, Some(reply)),
            Command::Suspect(what) => self.suspected(what),
            Command::AlertRulesChanged { reply } => self.read_alert_rules(Some(reply)),
            Command::Facts { imsi, reply } => self.show_facts(imsi, reply),
            Command::ClosedTo { host, at, reply } => drop(reply.send(self.closed_to(&host, &at))),
            Command::Known { imsi, reply } => drop(reply.send(self.known_of(imsi))),
            Command::KnownOfAll { reply } => drop(reply.send(self.known_of_all())),
            Command::ProviderApp { reply } => drop(reply.send(self.policy.provider().cloned())),
            Command::AwaitingProof { imsi, reply } => drop(reply.send(self.awaiting_proof(imsi))),
            Command::HomeKeysChanged { reply } => self.reload_home_keys(reply),
            Command::DeviceForgotten { imsi, reply } => self.device_forgotten(imsi, Some(reply)),
            Command::PolicyChanged { reply } => self.reload_policy(Some(reply)),
            Command::Ban { request, reply } => self.ban(request, reply),
            Command::Unban { request, reply } => self.unban(request, reply),
            Command::BanScope { request, reply } => self.ban_scope(request, reply),
            Command::Affected { scope, value, reply } => self.affected(scope, value, reply),
            Command::Restrict { request, reply } => self.restrict(request, reply),
            Command::UnbanDevice { request, reply } => self.unban_device(request, reply),
            Command::Sessions { reply } => drop(reply.send(self.session_views())),
            Command::EndSession { imsi, key, reply } => drop(reply.send(self.end_session(imsi, key))),
            Command::Names { imsi, reply } => self.ask_names(imsi, reply),
            Command::Explain { question, at, reply } => drop(reply.send(self.explain(&question, at))),
            Command::Vault { reply } => drop(reply.send(self.sibling_vault())),
            Command::Imported { job, event, reply } => self.learn_import(job, event, reply),
            Command::SchedulesChanged => self.read_agenda(),
            Command::Status { reply } => self.ask_gateway_status(Asked::Status(reply)),
            Command::HoldLifted { reply } => self.hold_lifted(reply),
            Command::SilentPeers { reply } => drop(reply.send(self.silent_peers())),
            Command::Metrics { reply } => self.ask_gateway_status(Asked::Metrics(reply)),
        }
    }

    fn sibling_vault(&mut self) -> Result<hss::Vault, ControlError> {
        let unavailable =
            |e: anyhow::Error| ControlError::Unavailable { part: "control", why: format!("{e:#}") };
        let seed = gateway::sys::random().map_err(unavailable)?;
        Ok(self.hss.vault().sibling(seed))
    }

    fn seal(&mut self, imsi: Imsi, keys: &NewKeys) -> Sealed {
        let keys = match keys {
            NewKeys::Milenage { k, operator } => {
                let opc = match operator {
                    OperatorKey::Op(op) => hss::opc(k, op.expose()),
                    OperatorKey::Opc(opc) => opc.clone(),
                };
                CardKeys::Milenage { k: k.clone(), opc }
            }
            NewKeys::Tuak(keys) => CardKeys::Tuak(keys.clone()),
        };
        let vault = self.hss.vault();
        Sealed {
            keys: vault.seal_card(imsi, &keys).as_bytes().to_vec(),
            fingerprint: vault.fingerprint_of(&keys).0.to_vec(),
        }
    }

    fn explain(&mut self, q: &Question, at: Option<Utc>) -> Result<Explanation, ControlError> {
        let mut standing = Standing { facts: self.known_of(q.imsi), ..Standing::default() };
        if let Some(g) = &self.gateway {
            standing.quarantined = g.hello.quarantined.contains(&q.imsi);
            standing.panicked = g.hello.panicked.iter().cloned().collect();
        }
        let story = self.policy.explain(q, standing, at.unwrap_or_else(|| now().utc))?;
        let page = self.config.service.as_ref().map(|s| s.reached());
        if let Some(ruling) = page.and_then(|p| p.ruling(q.direction, q.peer, q.protocol, q.port)) {
            return Ok(by_page(story, ruling));
        }
        if story.reason == Reason::Disagreement {
            let what = types::Happening::PolicyDisagreement { peer: q.peer };
            self.happened(types::Event { at: now().utc, imsi: Some(q.imsi), what });
        }
        Ok(story)
    }

    /// Tells `access` that a SIM may not live any longer, with the cause that belongs to its state.
    pub(super) fn end_sim(&mut self, imsi: Imsi, state: types::SimState) {
        if !matches!(state, types::SimState::Ready | types::SimState::Active) {
            self.withdraw(imsi);
            self.release_at_smfs(imsi);
        }
        if let Some(cause) = sim_ended_by(state) {
            self.amf.handle(nr::Input::Ban { supi: Supi(imsi), cause }, now());
        }
    }
}

/// What our own page inside the closed network comes to: no rule is read for it.
fn by_page(story: Explanation, (verdict, reason): (Ruling, Reason)) -> Explanation {
    Explanation {
        verdict,
        reason,
        rule: None,
        app: None,
        prefix: None,
        terms: None,
        considered: Vec::new(),
        grant: None,
        risk: None,
        would: None,
        nearest: None,
        ..story
    }
}
