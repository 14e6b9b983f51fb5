//! The policy: from the store, through the compiler, to the gateway.

use super::{Control, Done};
use crate::{link::ToGateway, time::now};
use admin_web::ControlError;
use anyhow::{Result, anyhow};
use pgw_policy::{
    Compiled, Explanation, Policy, PolicyError, Question, Standing, checked_explain_for, compile,
};
use std::sync::Arc;
use store::{PolicySource, Store};
use tokio::sync::oneshot;
use tracing::error;
use types::{Event, Happening};

type Reply = oneshot::Sender<Result<u64, ControlError>>;

/// The policy that is in force, as source and as rows, and who waits for the gateway to enforce one.
pub(crate) struct Published {
    source: Arc<Policy>,
    compiled: Arc<Compiled>,
    waiting: Vec<(u64, Reply)>,
}

/// A policy that was loaded and compiled.
pub(crate) struct Loaded {
    result: Result<(Policy, Compiled), ControlError>,
    reply: Option<Reply>,
}

impl Published {
    /// Reads and compiles what is stored. A stored policy that does not compile is a fault that a person must
    /// mend: nothing is enforced but default deny.
    pub async fn load(store: &Store) -> Result<Self> {
        let (source, compiled) = match load(store).await {
            Ok(p) => p,
            Err(e) => {
                error!("{e}; every new flow is denied until it is mended");
                let source = Policy { generation: store.policy_generation().await?, ..Policy::default() };
                let compiled = compile(&source).map_err(|e| anyhow!(words(&e)))?;
                (source, compiled)
            }
        };
        Ok(Self { source: Arc::new(source), compiled: Arc::new(compiled), waiting: Vec::new() })
    }

    /// No policy at all: what the gateway has stays in force.
    pub fn none() -> Result<Self> {
        let source = Policy::default();
        let compiled = compile(&source).map_err(|e| anyhow!(words(&e)))?;
        Ok(Self { source: Arc::new(source), compiled: Arc::new(compiled), waiting: Vec::new() })
    }

    /// The source.
    pub fn source(&self) -> &Policy {
        &self.source
    }

    /// Rules and rows, held against each other.
    pub fn explain(&self, q: &Question, standing: &Standing) -> Result<Explanation, ControlError> {
        checked_explain_for(&self.source, &self.compiled, q, standing)
            .map_err(|e| ControlError::Unavailable { part: "control", why: e.to_string() })
    }
}

async fn load(store: &Store) -> Result<(Policy, Compiled), ControlError> {
    let source = store
        .policy_source()
        .await
        .map_err(|e| ControlError::Unavailable { part: "store", why: e.to_string() })?;
    let stopped = |_| ControlError::Unavailable { part: "control", why: "it is stopping".to_owned() };
    tokio::task::spawn_blocking(move || {
        let policy = policy_of(source);
        let compiled = compile(&policy).map_err(|e| ControlError::PolicyRefused(words(&e)))?;
        Ok((policy, compiled))
    })
    .await
    .map_err(stopped)?
}

fn policy_of(s: PolicySource) -> Policy {
    Policy {
        generation: s.generation,
        data_networks: s.data_networks,
        apps: s.apps,
        groups: s.groups,
        rules: s.rules,
        ues: s.ues,
    }
}

fn words(errors: &[PolicyError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

impl Control {
    /// Something of the policy changed in the store.
    pub(super) fn reload_policy(&self, reply: Option<Reply>) {
        let (store, done) = (self.store.clone(), self.done.clone());
        tokio::spawn(async move {
            let result = load(&store).await;
            drop(done.send(Done::Policy(Loaded { result, reply })));
        });
    }

    /// It is loaded, or refused: then the old one stays.
    pub(super) fn policy_loaded(&mut self, l: Loaded) {
        let (source, compiled) = match l.result {
            Ok(p) => p,
            Err(e) => {
                self.alarm(None, format!("{e}; the old policy stays in force"));
                return drop(l.reply.map(|r| r.send(Err(e))));
            }
        };
        let generation = source.generation;
        if generation > self.policy.source.generation {
            let networks_changed = source.data_networks != self.policy.source.data_networks;
            if networks_changed {
                self.set_networks(&source.data_networks);
            }
            (self.policy.source, self.policy.compiled) = (Arc::new(source), Arc::new(compiled));
            self.publish_policy();
        }
        if let Some(reply) = l.reply {
            if self.gateway.is_some() {
                self.policy.waiting.push((generation, reply));
                self.answer_policy();
            } else {
                let why = "the policy is stored; it is enforced when the gateway is back".to_owned();
                drop(reply.send(Err(ControlError::Unavailable { part: "gateway", why })));
            }
        }
    }

    /// Gives the policy in force to the gateway.
    pub(super) fn publish_policy(&mut self) {
        match self.policy.compiled.to_bytes() {
            Some(compiled) => {
                let prefixes = self.policy.source.data_networks.iter().map(|n| n.pool).collect();
                self.to_gateway(ToGateway::UePrefixes(prefixes));
                self.to_gateway(ToGateway::Policy { generation: self.policy.source.generation, compiled });
            }
            None => self
                .alarm(None, "the compiled policy cannot be written as bytes; the old one stays".to_owned()),
        }
    }

    /// The gateway enforces a generation in every shard, or refused it.
    pub(super) fn policy_enforced(&mut self, generation: u64, result: Result<(), String>) {
        match result {
            Ok(()) => {
                if let Some(g) = &mut self.gateway {
                    g.hello.policy_generation = g.hello.policy_generation.max(generation);
                }
                self.happened(Event {
                    at: now().utc,
                    imsi: None,
                    what: Happening::PolicyPublished { generation },
                });
                self.answer_policy();
            }
            Err(why) => {
                self.alarm(
                    None,
                    format!("the gateway refused policy {generation}: {why}; the old one stays"),
                );
                let late = self.policy.waiting.extract_if(.., |(g, _)| *g <= generation);
                for (_, reply) in late.collect::<Vec<_>>() {
                    drop(reply.send(Err(ControlError::PolicyRefused(why.clone()))));
                }
            }
        }
    }

    /// Whoever waits for a generation that is enforced by now is answered.
    fn answer_policy(&mut self) {
        let Some(g) = &self.gateway else { return };
        let enforced = g.hello.policy_generation;
        let ready = self.policy.waiting.extract_if(.., |(g, _)| *g <= enforced);
        for (_, reply) in ready.collect::<Vec<_>>() {
            drop(reply.send(Ok(enforced)));
        }
    }

    /// The gateway went away: whoever waits learns it.
    pub(super) fn policy_without_gateway(&mut self) {
        for (_, reply) in std::mem::take(&mut self.policy.waiting) {
            let why = "the policy is stored; it is enforced when the gateway is back".to_owned();
            drop(reply.send(Err(ControlError::Unavailable { part: "gateway", why })));
        }
    }
}
