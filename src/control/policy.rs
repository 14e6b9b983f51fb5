//! The policy: from the store, through the compiler, to the gateway.

use super::{Control, Done};
use admin_web::ControlError;
use anyhow::{Result, anyhow};
use gateway::{
    link::ToGateway,
    time::{mono, now},
};
use pgw_policy::clock;
use pgw_policy::{
    Asker, Change, Compiled, Explanation, PROVIDER_APP, Policy, PolicyError, ProviderApp, Question, Ruling,
    Standing, awaiting_proof, checked_explain_for, compile, decide_for, validate_change,
};
use std::net::SocketAddr;
use std::sync::Arc;
use store::{PolicyNews, PolicySource, Store};
use tokio::sync::oneshot;
use tracing::{error, info};
use types::{
    App, Direction, Event, Happening, Hours, Imsi, Mono, Name, Rule, ServerName, SimFacts, Subject, Utc, When,
};

type Reply = oneshot::Sender<Result<u64, ControlError>>;

/// The policy that is in force, as source and as rows, and who waits for the gateway to enforce one.
pub(crate) struct Published {
    source: Arc<Policy>,
    compiled: Arc<Compiled>,
    waiting: Vec<(u64, Reply)>,
    /// When the last change was asked for that is not in force yet.
    asked: Option<Mono>,
    /// How long the last one took until every shard had it, nanoseconds.
    took: Option<u64>,
    /// Where the identity provider is, which is an app beside those that are stored.
    provider: Option<ProviderApp>,
    /// That app, as far as those that are stored leave room for it.
    built_in: Option<App>,
}

/// What was loaded of a policy.
pub(crate) struct Loaded {
    result: Result<News, ControlError>,
    reply: Option<Reply>,
}

/// A policy as it was made of what is stored, and of what it was made beside that.
struct Whole {
    policy: Policy,
    compiled: Compiled,
    provider: Option<ProviderApp>,
    built_in: Option<App>,
}

enum News {
    /// The whole, compiled.
    Whole(Box<Whole>),
    /// What is different since an earlier generation.
    Changes { since: u64, generation: u64, changes: Vec<Change> },
}

impl Published {
    /// Reads and compiles what is stored. A stored policy that does not compile is a fault that a person must
    /// mend: nothing is enforced but default deny.
    pub async fn load(store: &Store, provider: Option<ProviderApp>) -> Result<Self> {
        let (source, compiled, built_in) = match load(store, provider.clone()).await {
            Ok(w) => (w.policy, w.compiled, w.built_in),
            Err(e) => {
                error!("{e}; every new flow is denied until it is mended");
                let source = Policy { generation: store.policy_generation().await?, ..Policy::default() };
                let compiled = compile(&source).map_err(|e| anyhow!(words(&e)))?;
                (source, compiled, None)
            }
        };
        Ok(Self { built_in, ..Self::of(source, compiled, provider) })
    }

    fn of(source: Policy, compiled: Compiled, provider: Option<ProviderApp>) -> Self {
        let (source, compiled) = (Arc::new(source), Arc::new(compiled));
        Self { source, compiled, waiting: Vec::new(), asked: None, took: None, provider, built_in: None }
    }

    /// From here on policies are made with this; true where it was another.
    pub fn set_provider(&mut self, provider: Option<ProviderApp>) -> bool {
        let is_new = self.provider != provider;
        self.provider = provider;
        is_new
    }

    /// Where the identity provider is.
    pub fn provider(&self) -> Option<&ProviderApp> {
        self.provider.as_ref()
    }

    /// Apps that nobody made.
    pub fn built_in(&self) -> Vec<App> {
        self.built_in.iter().cloned().collect()
    }

    /// How long the last change took from the order to put it in force until every shard had it, seconds.
    pub fn enforcement(&self) -> Option<f64> {
        self.took.map(|ns| ns as f64 / 1e9)
    }

    /// No policy at all: what the gateway has stays in force.
    pub fn none() -> Result<Self> {
        let source = Policy::default();
        let compiled = compile(&source).map_err(|e| anyhow!(words(&e)))?;
        Ok(Self::of(source, compiled, None))
    }

    /// The source.
    pub fn source(&self) -> &Policy {
        &self.source
    }

    /// Rules and rows, held against each other, by the hours of this moment.
    pub fn explain(&self, q: &Question, standing: Standing, at: Utc) -> Result<Explanation, ControlError> {
        let standing = Standing { off: clock::off(&self.source.rules, at), at, ..standing };
        let (then, _) = self.compiled.with_clocks(clock::word(self.compiled.clocks(), at));
        checked_explain_for(&self.source, &then, q, &standing)
            .map_err(|e| ControlError::Unavailable { part: "control", why: e.to_string() })
    }
}

impl Published {
    /// Apps that are closed to the SIM until its person has proved themselves, by the hours of this moment.
    pub fn awaiting_proof(&self, imsi: Imsi, facts: &SimFacts, at: Utc) -> Vec<Name> {
        let (then, _) = self.compiled.with_clocks(clock::word(self.compiled.clocks(), at));
        let known = then.known(facts, at);
        awaiting_proof(&then, &Asker::new(then.class_of(imsi), &known))
    }

    /// True where the SIM may open a TCP connection there, by the name of its server where one is asked for.
    pub fn opens(
        &self,
        imsi: Imsi,
        facts: &SimFacts,
        at: SocketAddr,
        host: Option<&ServerName>,
        now: Utc,
    ) -> bool {
        const TCP: u8 = 6;
        let (then, _) = self.compiled.with_clocks(clock::word(self.compiled.clocks(), now));
        let known = then.known(facts, now);
        let asker = Asker::new(then.class_of(imsi), &known);
        let decision = decide_for(&then, &asker, Direction::Out, at.ip(), TCP, at.port());
        match decision.verdict {
            Ruling::Allow => true,
            Ruling::Inspect => host.is_some_and(|h| then.names_of(decision.app).iter().any(|n| n.covers(h))),
            Ruling::Deny | Ruling::Reject => false,
        }
    }
}

/// Refuses hours of a time zone that there is not.
fn check_clocks(compiled: &Compiled) -> Result<(), ControlError> {
    let of =
        |when: &When| when.hours.as_ref().map(Hours::zone).filter(|z| !clock::is_zone(z)).map(str::to_owned);
    match compiled.clocks().iter().find_map(of) {
        Some(zone) => Err(ControlError::PolicyRefused(format!("there is no time zone {zone}"))),
        None => Ok(()),
    }
}

/// What is new since a generation.
async fn load_news(store: &Store, since: u64, provider: Option<ProviderApp>) -> Result<News, ControlError> {
    match store.policy_news(since).await.map_err(unread)? {
        PolicyNews::Changes { generation, rules, ues } => {
            let rule = |(name, rule)| match rule {
                Some(rule) => Change::Rule(rule),
                None => Change::NoRule(name),
            };
            let changes = rules.into_iter().map(rule).chain(ues.into_iter().map(Change::Ue)).collect();
            Ok(News::Changes { since, generation, changes })
        }
        PolicyNews::Whole => load_whole(store, provider).await,
    }
}

async fn load_whole(store: &Store, provider: Option<ProviderApp>) -> Result<News, ControlError> {
    Ok(News::Whole(Box::new(load(store, provider).await?)))
}

fn unread(e: store::StoreError) -> ControlError {
    ControlError::Unavailable { part: "store", why: e.to_string() }
}

async fn load(store: &Store, provider: Option<ProviderApp>) -> Result<Whole, ControlError> {
    let source = store.policy_source().await.map_err(unread)?;
    let stopped = |_| ControlError::Unavailable { part: "control", why: "it is stopping".to_owned() };
    tokio::task::spawn_blocking(move || {
        let stored = policy_of(source);
        let built_in = provider.as_ref().and_then(|p| p.beside(&stored));
        let policy = stored.with_built_in(built_in.clone());
        let compiled = compile(&policy).map_err(|e| ControlError::PolicyRefused(words(&e)))?;
        check_clocks(&compiled)?;
        Ok(Whole { policy, compiled, provider, built_in })
    })
    .await
    .map_err(stopped)?
}

/// What is stored, as the compiler reads it.
pub(crate) fn policy_of(s: PolicySource) -> Policy {
    Policy {
        generation: s.generation,
        data_networks: s.data_networks,
        apps: s.apps,
        groups: s.groups,
        rules: s.rules,
        ues: s.ues,
        risk: admin_web::risk_profile_of(s.risk.as_deref()),
    }
}

fn words(errors: &[PolicyError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Refuses a rule that is not sound.
fn validate_rule(source: &Policy, rule: &Rule) -> Result<(), Vec<PolicyError>> {
    let app = source.apps.iter().find(|a| a.name == rule.app);
    let group = match &rule.subject {
        Subject::Group(name) => source.groups.iter().find(|g| g.name == *name),
        _ => None,
    };
    validate_change(rule, app, group)
}

impl Control {
    /// Something of the policy changed in the store.
    pub(super) fn reload_policy(&mut self, reply: Option<Reply>) {
        self.policy.asked.get_or_insert_with(mono);
        let (store, done, since) = (self.store.clone(), self.done.clone(), self.policy.source.generation);
        let provider = self.policy.provider.clone();
        tokio::spawn(async move {
            super::known::load_grants(&store, &done).await;
            let result = load_news(&store, since, provider).await;
            drop(done.send(Done::Policy(Loaded { result, reply })));
        });
    }

    /// The same from the beginning, whatever changed.
    pub(super) fn reload_whole_policy(&self, reply: Option<Reply>) {
        let (store, done, provider) = (self.store.clone(), self.done.clone(), self.policy.provider.clone());
        tokio::spawn(async move {
            let result = load_whole(&store, provider).await;
            drop(done.send(Done::Policy(Loaded { result, reply })));
        });
    }

    /// It is loaded, or refused: then the old one stays.
    pub(super) fn policy_loaded(&mut self, l: Loaded) {
        let in_force = self.policy.source.generation;
        let generation = match l.result {
            // The provider has moved meanwhile.
            Ok(News::Whole(whole)) if whole.provider != self.policy.provider => {
                return self.reload_whole_policy(l.reply);
            }
            Ok(News::Whole(whole)) => {
                let Whole { policy: source, compiled, built_in, .. } = *whole;
                let generation = source.generation;
                // One of the same generation is the one in force, without what changes have left behind.
                if generation >= in_force {
                    if source.data_networks != self.policy.source.data_networks {
                        self.set_networks(&source.data_networks);
                    }
                    (self.policy.source, self.policy.compiled) = (Arc::new(source), Arc::new(compiled));
                    self.policy.built_in = built_in;
                    self.probes.soon();
                    // Groups say what is asked of devices, and when contracts end.
                    self.reread_facts(store::FactsOf::All, None);
                    self.publish_policy();
                }
                generation
            }
            // They hold what things are now: what came in between is in them.
            Ok(News::Changes { since, generation, changes })
                if since <= in_force && in_force < generation =>
            {
                if let Err(why) = self.change_policy(generation, changes) {
                    info!("{why}; the whole policy is read");
                    return self.reload_whole_policy(l.reply);
                }
                generation
            }
            // Another reading was faster.
            Ok(News::Changes { generation, .. }) => generation,
            Err(e) => {
                self.alarm(None, format!("{e}; the old policy stays in force"));
                return drop(l.reply.map(|r| r.send(Err(e))));
            }
        };
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

    /// Makes the policy in force what it is after these changes, here and at the gateway.
    fn change_policy(&mut self, generation: u64, changes: Vec<Change>) -> Result<(), String> {
        let named = |c: &Change| match c {
            Change::Rule(rule) => rule.name.as_str() == PROVIDER_APP,
            Change::NoRule(name) => name.as_str() == PROVIDER_APP,
            _ => false,
        };
        if changes.iter().any(named) {
            return Err(format!("somebody's own {PROVIDER_APP} has come or gone"));
        }
        for change in &changes {
            if let Change::Rule(rule) = change {
                validate_rule(&self.policy.source, rule).map_err(|e| words(&e))?;
            }
        }
        let base = self.policy.source.generation;
        let (compiled, _) = self.policy.compiled.with(&changes, generation).map_err(|e| e.to_string())?;
        check_clocks(&compiled).map_err(|e| e.to_string())?;
        let worn = compiled.is_worn();
        Arc::make_mut(&mut self.policy.source).apply(&changes, generation);
        self.policy.compiled = Arc::new(compiled);
        let moved = changes.iter().filter_map(|c| match c {
            Change::Ue(ue) => Some(ue.imsi),
            _ => None,
        });
        self.reread_facts(store::FactsOf::Sims(moved.collect()), None);
        self.to_gateway(ToGateway::PolicyChange { base, generation, changes });
        if worn {
            self.reload_whole_policy(None);
        }
        Ok(())
    }

    /// Tells the gateway what is to be routed to it: where sessions live, and what lies behind them.
    pub(super) fn publish_prefixes(&self) {
        let pools = self.policy.source.data_networks.iter().flat_map(types::DataNetwork::pools);
        let behind = self.addresses.routes().map(|r| r.prefix.net());
        let foreign = self.config.n4.iter().flat_map(|n| n.own_ranges());
        self.to_gateway(ToGateway::UePrefixes(pools.chain(behind).chain(foreign).collect()));
    }

    /// Gives the policy in force to the gateway.
    pub(super) fn publish_policy(&mut self) {
        match self.policy.compiled.to_bytes() {
            Some(compiled) => {
                self.publish_prefixes();
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
                if generation >= self.policy.source.generation
                    && let Some(asked) = self.policy.asked.take()
                {
                    self.policy.took = Some(mono().0.saturating_sub(asked.0));
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

#[cfg(all(test, feature = "lab"))]
mod tests {
    use crate::control::site::Site;
    use gateway::link::ToGateway;
    use gateway::time::now;
    use pgw_policy::Ruling;
    use pgw_policy::{Compiled, decide};
    use serde_json::json;
    use store::Change;
    use types::{App, Direction, Rule};

    fn by() -> Change {
        Change::by_system("test", now().utc)
    }

    fn rule(name: &str, subject: &str, verdict: &str) -> Rule {
        let body = json!({ "name": name, "order": 1, "subject": subject, "app": "wiki", "direction": "out",
                           "verdict": verdict });
        serde_json::from_value(body).expect("a rule")
    }

    /// What is different reaches the gateway, and nothing else does.
    async fn changed(site: &mut Site) -> Vec<ToGateway> {
        site.heard.clear();
        let generation = site.ask(|c, reply| c.reload_policy(Some(reply))).await.expect("in force");
        assert_eq!(generation, site.policy.generation());
        assert_eq!(generation, site.control.store.policy_generation().await.expect("read"));
        site.heard.iter().filter(|m| !matches!(m, ToGateway::UePrefixes(_))).cloned().collect()
    }

    fn verdict_for(policy: &Compiled, n: usize) -> Ruling {
        let class = policy.class_of(crate::control::site::imsi(n));
        decide(policy, class, Direction::Out, [10, 10, 1, 5].into(), 6, 443).verdict
    }

    #[tokio::test]
    async fn a_rule_and_a_sim_reach_the_gateway_as_what_they_are_and_all_else_as_the_whole() {
        let mut site = Site::new().await;
        let store = site.control.store.clone();
        let wiki = json!({ "name": "wiki", "prefixes": ["10.10.1.5/32"], "services": ["tcp/443"] });
        store.create::<App>(serde_json::from_value(wiki).expect("an app"), None, &by()).await.expect("made");
        assert!(matches!(changed(&mut site).await.as_slice(), [ToGateway::Policy { .. }]));

        store.create(rule("staff", "group:staff", "allow"), None, &by()).await.expect("made");
        let one =
            |m: &[ToGateway]| matches!(m, [ToGateway::PolicyChange { changes, .. }] if changes.len() == 1);
        assert!(one(&changed(&mut site).await));
        assert_eq!([0, 1].map(|n| verdict_for(&site.policy, n)), [Ruling::Deny, Ruling::Allow]);

        let edit = store::SimEdit {
            groups: Some([crate::control::site::name("staff")].into()),
            ..Default::default()
        };
        store.change_sim(crate::control::site::imsi(0), None, None, edit, &by()).await.expect("moved");
        assert!(one(&changed(&mut site).await));
        assert_eq!([0, 1].map(|n| verdict_for(&site.policy, n)), [Ruling::Allow, Ruling::Allow]);

        store.delete::<Rule>("staff".to_owned(), None, None, &by()).await.expect("deleted");
        store.create(rule("one", "sim:001010000000001", "allow"), None, &by()).await.expect("made");
        assert_eq!(changed(&mut site).await.len(), 1, "two changes in one message");
        assert_eq!([0, 1].map(|n| verdict_for(&site.policy, n)), [Ruling::Deny, Ruling::Allow]);

        // A gateway that has something else gets the whole.
        site.policy = Compiled::empty();
        store.replace(rule("one", "any", "allow"), None, None, &by()).await.expect("changed");
        let heard = changed(&mut site).await;
        assert!(
            matches!(heard.as_slice(), [ToGateway::PolicyChange { .. }, ToGateway::Policy { .. }]),
            "{heard:?}"
        );
        assert_eq!([0, 1].map(|n| verdict_for(&site.policy, n)), [Ruling::Allow, Ruling::Allow]);
        assert_eq!(changed(&mut site).await, [], "nothing changed");
    }

    #[tokio::test]
    async fn the_service_address_is_explained_as_what_it_is() {
        let mut site = Site::new().await;
        let page = "address = \"10.255.255.1\"\nurl = \"https://check.example\"\ncertificate = \"/c\"\nprivate_key = \"/k\"";
        let mut config = (*site.control.config).clone();
        config.service = Some(toml::from_str(page).expect("a page"));
        site.control.config = std::sync::Arc::new(config);
        let mut ask = async |port: u16| {
            let question = pgw_policy::Question {
                imsi: crate::control::site::imsi(1),
                direction: Direction::Out,
                peer: [10, 255, 255, 1].into(),
                protocol: 6,
                port,
            };
            let explain = |reply| crate::control::api::Command::Explain { question, at: None, reply };
            let story = site.ask(|c, reply| c.command(explain(reply))).await.expect("explained");
            (story.verdict, story.reason)
        };
        assert_eq!(ask(443).await, (Ruling::Allow, types::Reason::Service));
        assert_eq!(ask(22).await, (Ruling::Reject, types::Reason::OwnAddress));
    }

    #[tokio::test]
    async fn a_rule_with_an_end_is_explained_by_the_moment() {
        let mut site = Site::new().await;
        let store = site.control.store.clone();
        let wiki = json!({ "name": "wiki", "prefixes": ["10.10.1.5/32"], "services": ["tcp/443"] });
        store.create::<App>(serde_json::from_value(wiki).expect("an app"), None, &by()).await.expect("made");
        let mut short = rule("short", "any", "allow");
        let end = types::Utc(now().utc.0 + 3_600_000);
        short.when.until = Some(end);
        store.create(short, None, &by()).await.expect("made");
        changed(&mut site).await;
        let question = pgw_policy::Question {
            imsi: crate::control::site::imsi(1),
            direction: Direction::Out,
            peer: [10, 10, 1, 5].into(),
            protocol: 6,
            port: 443,
        };
        let explained = |at| {
            let story = site.control.policy.explain(&question, Default::default(), at).expect("explained");
            assert_ne!(story.reason, types::Reason::Disagreement);
            story.verdict
        };
        assert_eq!([end.0 - 1, end.0].map(|at| explained(types::Utc(at))), [Ruling::Allow, Ruling::Deny]);
    }
}
