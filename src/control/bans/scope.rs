//! What a person, device, group or site covers at this moment, and the ban of all of it.
//!
//! The database is asked first; where it does not answer in time, the index in memory says it, so that a ban by scope
//! works without a database.

use super::cut::{Cut, CutReply};
use crate::control::{Control, Done};
use admin_web::{AffectedSim, BanError, ControlError, ScopeBan, ScopeFailure, ScopeKind, ScopeOutcome};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};
use store::{Store, StoreError};
use tokio::sync::oneshot;
use tracing::warn;
use types::{Imsi, Name};

/// How long the database may take to say what a scope covers.
const PATIENCE: Duration = Duration::from_millis(500);

/// Which SIMs belong to what, in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ScopeIndex {
    /// By `person:ID`, `device:ID`, `group:NAME`, `site:ID`.
    sims: BTreeMap<String, Vec<Imsi>>,
    /// The 14 digits of a device's IMEI, by its id.
    imeis: BTreeMap<String, String>,
}

impl ScopeIndex {
    /// Reads it.
    pub(crate) async fn load(store: &Store) -> Result<Self, StoreError> {
        let mut sims: BTreeMap<String, Vec<Imsi>> = BTreeMap::new();
        for (kind, id, imsi) in store.scope_index().await? {
            sims.entry(format!("{kind}:{id}")).or_default().push(imsi);
        }
        Ok(Self { sims, imeis: store.device_imeis().await?.into_iter().collect() })
    }

    pub(crate) fn find(&self, scope: ScopeKind, value: &str) -> Covered {
        let sims = self.sims.get(&format!("{scope}:{value}")).cloned().unwrap_or_default();
        let device = (scope == ScopeKind::Device).then(|| self.imeis.get(value).cloned()).flatten();
        Covered { sims, device }
    }
}

/// What a scope covers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Covered {
    pub sims: Vec<Imsi>,
    pub device: Option<String>,
}

/// What is to be done with it.
enum Ask {
    Ban(ScopeBan, oneshot::Sender<Result<ScopeOutcome, BanError>>),
    Show(ScopeKind, String, oneshot::Sender<Result<Vec<AffectedSim>, ControlError>>),
}

/// What a scope covers, as the database says, if it does.
pub(crate) struct Expanded {
    ask: Ask,
    found: Option<Covered>,
}

async fn ask_store(store: &Store, scope: ScopeKind, value: &str) -> Result<Covered, StoreError> {
    let Ok(name) = value.parse::<Name>() else { return Ok(Covered::default()) };
    Ok(match scope {
        ScopeKind::Person => Covered { sims: store.sims_of_person(&name).await?, device: None },
        ScopeKind::Group => Covered { sims: store.sims_of_group(&name).await?, device: None },
        ScopeKind::Site => Covered { sims: store.sims_of_site(&name).await?, device: None },
        ScopeKind::Device => {
            let device = store.device_imeis().await?.into_iter().find(|(id, _)| id == value).map(|(_, i)| i);
            Covered { sims: store.sims_of_device(&name).await?, device }
        }
        ScopeKind::Sim | ScopeKind::Imei => Covered::default(),
    })
}

impl Control {
    /// An operator bans everything that a scope covers.
    pub(in crate::control) fn ban_scope(
        &mut self,
        request: ScopeBan,
        reply: oneshot::Sender<Result<ScopeOutcome, BanError>>,
    ) {
        let (scope, value) = (request.scope, request.value.clone());
        self.expand(scope, value, Ask::Ban(request, reply));
    }

    /// An operator wants to know what a ban would touch.
    pub(in crate::control) fn affected(
        &mut self,
        scope: ScopeKind,
        value: String,
        reply: oneshot::Sender<Result<Vec<AffectedSim>, ControlError>>,
    ) {
        self.expand(scope, value.clone(), Ask::Show(scope, value, reply));
    }

    fn expand(&mut self, scope: ScopeKind, value: String, ask: Ask) {
        if matches!(scope, ScopeKind::Sim | ScopeKind::Imei) {
            let found = Some(self.covered_here(scope, &value));
            return self.expanded(Expanded { ask, found });
        }
        let (store, done) = (self.store.clone(), self.done.clone());
        tokio::spawn(async move {
            let found = match tokio::time::timeout(PATIENCE, ask_store(&store, scope, &value)).await {
                Ok(Ok(found)) => Some(found),
                Ok(Err(e)) => {
                    warn!("the database cannot say what {scope} {value} covers, memory does: {e}");
                    None
                }
                Err(_) => {
                    warn!("the database is slow to say what {scope} {value} covers, memory does");
                    None
                }
            };
            drop(done.send(Done::Scope(Box::new(Expanded { ask, found }))));
        });
    }

    /// One SIM; or the SIMs that are in a device now or bound to it.
    fn covered_here(&self, scope: ScopeKind, value: &str) -> Covered {
        match scope {
            ScopeKind::Sim => Covered { sims: value.parse().into_iter().collect(), device: None },
            ScopeKind::Imei => {
                let in_it = |u: &access::nr::UeView| u.pei.is_some_and(|p| p.device() == value);
                let sims = self.amf.ues().filter(in_it).map(|u| u.supi.imsi()).collect();
                Covered { sims, device: Some(value.to_owned()) }
            }
            _ => self.scopes.find(scope, value),
        }
    }

    /// It is known what the scope covers.
    pub(in crate::control) fn expanded(&mut self, e: Expanded) {
        let (scope, value) = match &e.ask {
            Ask::Ban(r, _) => (r.scope, r.value.clone()),
            Ask::Show(scope, value, _) => (*scope, value.clone()),
        };
        let covered = e.found.unwrap_or_else(|| self.covered_here(scope, &value));
        match e.ask {
            Ask::Show(_, _, reply) => drop(reply.send(self.show(&covered))),
            Ask::Ban(request, reply) => self.ban_covered(request, covered, reply),
        }
    }

    fn show(&self, covered: &Covered) -> Result<Vec<AffectedSim>, ControlError> {
        if covered.sims.is_empty() && covered.device.is_none() {
            return Err(ControlError::NotFound);
        }
        let wanted: BTreeSet<Imsi> = covered.sims.iter().copied().collect();
        let known = wanted.into_iter().filter_map(|i| Some((i, self.state_of(i)?)));
        let all: Vec<AffectedSim> = known
            .map(|(imsi, state)| AffectedSim { imsi, state, sessions: self.sessions_of(imsi) })
            .collect();
        if all.is_empty() && covered.device.is_none() { Err(ControlError::NotFound) } else { Ok(all) }
    }

    fn ban_covered(
        &mut self,
        request: ScopeBan,
        covered: Covered,
        reply: oneshot::Sender<Result<ScopeOutcome, BanError>>,
    ) {
        let ScopeBan { scope, value, state, asker } = request;
        if scope == ScopeKind::Imei {
            // The device is banned, not the SIM that happens to be in it: that one lives on in another device.
            return self.ban_device(value, state, asker, reply);
        }
        let (mut sims, mut failed) = (Vec::new(), Vec::new());
        for imsi in covered.sims {
            match self.may_ban(imsi, state) {
                Ok(before) => sims.push((imsi, before)),
                Err(e) if scope == ScopeKind::Sim => return drop(reply.send(Err(e))),
                Err(e) => failed.push(ScopeFailure { imsi: imsi.to_string(), why: e.to_string() }),
            }
        }
        if sims.is_empty() && covered.device.is_none() {
            return drop(reply.send(Err(BanError::NotFound)));
        }
        let mut cut = Cut::new(scope, value, state, asker.clone(), CutReply::Scope(reply));
        (cut.sims, cut.failed, cut.device) = (sims, failed, covered.device.clone());
        // Its own SIMs first: who else lives in the device is looked for behind that.
        self.cut(cut);
        if let Some(device) = covered.device {
            self.cut_device(device, asker);
        }
    }
}
