//! What UEs ask of the page inside the closed network: passed on to whoever answers, and the answer back to the gateway.

use super::{Control, Done};
use crate::{
    config::{Config, Service},
    provider,
};
use admin_web::{
    AppState,
    step_up::{self, PageRequest, StepUp},
};
use anyhow::{Context, Result};
use gateway::link::page::{PageAnswer, PageAsk};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::Arc,
};
use tokio::sync::{Semaphore, mpsc};
use tracing::{error, warn};
use types::{Imsi, Name, ServerName};

/// Questions that wait.
const WAITING: usize = 256;
/// Questions that are being answered.
const AT_ONCE: usize = 32;

/// Where questions go, with the numbers by which they are answered.
pub(super) type Questions = mpsc::Sender<(u64, PageAsk)>;

impl Control {
    pub(super) fn page_asked(&mut self, id: u64, ask: PageAsk) {
        let taken = self.pages.as_ref().is_some_and(|p| p.try_send((id, ask)).is_ok());
        if !taken {
            let answer = PageAnswer { status: 503, headers: Vec::new(), body: Vec::new() };
            drop(self.done.send(Done::Page { id, answer }));
        }
    }

    /// Kinds of SIMs, by their groups, that reach none of these addresses of this host: so many of them are named.
    pub(super) fn closed_to(&self, host: &str, at: &[SocketAddr]) -> Vec<String> {
        const NAMED: usize = 8;
        let mut kinds = BTreeMap::new();
        for ue in &self.policy.source().ues {
            kinds.entry(&ue.groups).or_insert(ue.imsi);
        }
        let mut doors = self.provider_doors();
        doors.push((host.to_owned(), at.to_vec()));
        let closed = kinds.into_iter().filter(|(_, imsi)| {
            let facts = self.known_of(*imsi);
            let reaches = |(host, at): &(String, Vec<SocketAddr>)| {
                let name = host.parse::<ServerName>().ok();
                at.iter()
                    .any(|at| self.policy.opens(*imsi, &facts, *at, name.as_ref(), gateway::time::now().utc))
            };
            !doors.iter().all(reaches)
        });
        let groups = |g: &BTreeSet<Name>| g.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        closed.take(NAMED).map(|(g, _)| if g.is_empty() { "-".to_owned() } else { groups(g) }).collect()
    }

    /// What is closed to a SIM until its person has proved themselves.
    pub(super) fn awaiting_proof(&self, imsi: Imsi) -> Vec<Name> {
        self.policy.awaiting_proof(imsi, &self.known_of(imsi), gateway::time::now().utc)
    }
}

/// Answers what is asked, many at a time.
pub(super) fn start(state: AppState, done: mpsc::UnboundedSender<Done>) -> Questions {
    let (tx, mut rx) = mpsc::channel::<(u64, PageAsk)>(WAITING);
    let doors = Arc::new(Semaphore::new(AT_ONCE));
    tokio::spawn(async move {
        while let Some((id, ask)) = rx.recv().await {
            let Ok(door) = Arc::clone(&doors).acquire_owned().await else { return };
            let (state, done) = (state.clone(), done.clone());
            tokio::spawn(async move {
                let answer = answer(&state, ask).await;
                drop(done.send(Done::Page { id, answer }));
                drop(door);
            });
        }
    });
    tx
}

async fn answer(state: &AppState, ask: PageAsk) -> PageAnswer {
    let PageAsk { from, target, language, cookie } = ask;
    let reply = step_up::answer(state, PageRequest { from, target, language, cookie }).await;
    PageAnswer { status: reply.status, headers: reply.headers, body: reply.body }
}

/// How people prove themselves at the page; `None` where there is no page, or the provider cannot be set up.
pub(super) fn prover(config: &Config) -> Option<StepUp> {
    let service = config.service.as_ref()?;
    match by_provider(config, service) {
        Ok(step_up) => Some(step_up),
        Err(e) => {
            error!("nobody can prove themselves at the page inside the closed network: {e:#}");
            None
        }
    }
}

fn by_provider(config: &Config, service: &Service) -> Result<StepUp> {
    let oidc = config.oidc.as_ref().context("there is no [oidc]")?;
    let mut amr = service.amr.clone();
    if amr.is_empty() && service.acr.is_empty() {
        amr.push("mfa".to_owned());
    }
    if !oidc.acr.is_empty() && service.acr.is_empty() {
        warn!("[oidc] asks for acr and [service] does not: a proof is judged by [service] alone");
    }
    let there =
        crate::config::Oidc { base_url: service.url.clone(), acr: service.acr.clone(), amr, ..oidc.clone() };
    let provider = provider::of(&there)?;
    Ok(StepUp::new(provider, i64::from(service.minutes) * 60_000, &service.claim))
}
