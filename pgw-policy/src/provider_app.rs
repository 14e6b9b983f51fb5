//! The company's identity provider as an app that nobody has to make (ADR 29): whoever has to prove that it is they must
//! reach it before they have.
//!
//! It stands beside the apps that people made and takes nothing from them. An app or a rule of its name is somebody's own
//! and stands in its place.

use crate::{
    policy::Policy,
    validate::{overlap, validate},
};
use ipnet::IpNet;
use std::{collections::BTreeSet, net::IpAddr};
use types::{
    App, Conditions, Name, NamePattern, NamesFrom, Ports, Protocol, Recording, Rule, RuleDirection, RuleRate,
    Sensitivity, Service, Subject, Verdict, When,
};

/// What the app is called, and its rule.
pub const PROVIDER_APP: &str = "identity-provider";

/// Where the identity provider is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderApp {
    /// What its servers are called, as TLS clients say it; empty: whatever they are called.
    pub names: Vec<NamePattern>,
    /// Its TCP ports.
    pub ports: Vec<u16>,
    /// Where it is, as the configuration says: taken out of wider apps, as any app's prefix is.
    pub said: Vec<IpNet>,
    /// Addresses that were looked up. One that lies in a wider prefix of an app, or in a pool, stays theirs.
    pub found: BTreeSet<IpAddr>,
}

impl ProviderApp {
    /// The app beside those of a policy; `None` where they leave nothing of it, or there is one of its name.
    pub fn beside(&self, policy: &Policy) -> Option<App> {
        let name: Name = PROVIDER_APP.parse().ok()?;
        let own = policy.apps.iter().any(|a| a.name == name) || policy.rules.iter().any(|r| r.name == name);
        if own {
            return None;
        }
        let services: Vec<Service> = self.ports.iter().map(|p| tcp(*p)).collect();
        // Who has this very prefix shares its addresses, service by service.
        let beside = |p: IpNet| policy.apps.iter().filter(move |a| a.prefixes.contains(&p));
        let offered =
            |p: IpNet| beside(p).flat_map(|a| &a.services).any(|s| services.iter().any(|m| overlap(m, s)));
        let free = |ip: IpAddr| {
            let mut others = policy.apps.iter().flat_map(|a| &a.prefixes);
            let mut pools = policy.data_networks.iter().flat_map(|d| d.pools());
            let shares = beside(ip.into()).next().is_some();
            shares || (!others.any(|p| p.contains(&ip)) && !pools.any(|p| p.contains(&ip)))
        };
        let found = self.found.iter().copied().filter(|ip| free(*ip)).map(IpNet::from);
        let all = self.said.iter().copied().chain(found);
        let prefixes: BTreeSet<IpNet> = all.filter(|p| !offered(*p)).collect();
        let app = App {
            name,
            label: String::new(),
            prefixes: prefixes.into_iter().collect(),
            services,
            names: self.names.clone(),
            names_from: NamesFrom::Tls,
            dscp: None,
            qfi: None,
            sensitivity: Sensitivity::default(),
            health: None,
        };
        sound(app)
    }
}

fn tcp(port: u16) -> Service {
    Service { protocol: Protocol::Tcp, ports: Ports::one(port) }
}

/// The app without prefixes that no app may have: a resolver's answer must not make a whole policy unsound.
fn sound(mut app: App) -> Option<App> {
    let of = |app: &App| Policy { apps: vec![app.clone()], ..Policy::default() };
    let alone = |p: &IpNet| App { prefixes: vec![*p], ..app.clone() };
    app.prefixes = app.prefixes.iter().copied().filter(|p| validate(&of(&alone(p))).is_ok()).collect();
    validate(&of(&app)).is_ok().then_some(app)
}

fn open_to_everybody(app: &App) -> Rule {
    Rule {
        name: app.name.clone(),
        order: 0,
        subject: Subject::Any,
        app: app.name.clone(),
        direction: RuleDirection::Out,
        verdict: Verdict::Allow,
        rate: RuleRate::default(),
        record: Recording::All,
        when: When::default(),
        conditions: Conditions::default(),
        monitor_until: None,
    }
}

impl Policy {
    /// The policy with the identity provider's app beside its own, open to everybody: as the page is that takes people
    /// there.
    #[must_use]
    pub fn with_provider(self, provider: Option<&ProviderApp>) -> Self {
        let app = provider.and_then(|p| p.beside(&self));
        self.with_built_in(app)
    }

    /// The same with what [`ProviderApp::beside`] has left of it.
    #[must_use]
    pub fn with_built_in(mut self, app: Option<App>) -> Self {
        let Some(app) = app else { return self };
        self.rules.push(open_to_everybody(&app));
        self.apps.push(app);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Asker, Known, Ruling, compile, decide_for};
    use types::{DataNetwork, Direction};

    fn provider() -> ProviderApp {
        ProviderApp {
            names: vec!["login.example".parse().unwrap()],
            ports: vec![443],
            said: Vec::new(),
            found: ["10.9.0.7", "fd00::7"].map(|a| a.parse().unwrap()).into(),
        }
    }

    fn app(name: &str, prefixes: &[&str]) -> App {
        let body = serde_json::json!({ "name": name, "prefixes": prefixes, "services": ["tcp/443"] });
        serde_json::from_value(body).unwrap()
    }

    fn with(apps: Vec<App>) -> Policy {
        Policy { apps, ..Policy::default() }
    }

    fn prefixes(p: &ProviderApp, policy: &Policy) -> Vec<String> {
        p.beside(policy).map(|a| a.prefixes.iter().map(ToString::to_string).collect()).unwrap_or_default()
    }

    fn ruling(policy: &Policy, to: &str, port: u16) -> Ruling {
        let compiled = compile(policy).unwrap();
        let known = Known::default();
        let asker = Asker::new(compiled.class_of("001010000000001".parse().unwrap()), &known);
        decide_for(&compiled, &asker, Direction::Out, to.parse().unwrap(), 6, port).verdict
    }

    #[test]
    fn whoever_has_proved_nothing_reaches_the_provider_by_its_name_and_nothing_else_with_it() {
        let policy = Policy::default().with_provider(Some(&provider()));
        assert_eq!(validate(&policy), Ok(()));
        for (to, port, expected) in [
            ("10.9.0.7", 443, Ruling::Inspect),
            ("fd00::7", 443, Ruling::Inspect),
            ("10.9.0.7", 80, Ruling::Deny),
            ("10.9.0.8", 443, Ruling::Deny),
        ] {
            assert_eq!(ruling(&policy, to, port), expected, "{to} {port}");
        }
        let bare = ProviderApp { names: Vec::new(), ..provider() };
        let policy = Policy::default().with_provider(Some(&bare));
        assert_eq!(ruling(&policy, "10.9.0.7", 443), Ruling::Allow, "one that is an address has no name");
        assert_eq!(Policy::default().with_provider(None), Policy::default());
    }

    #[test]
    fn what_somebody_else_has_stays_theirs() {
        let wide = with(vec![app("corp", &["10.9.0.0/16"])]);
        assert_eq!(prefixes(&provider(), &wide), ["fd00::7/128"], "an address that was looked up");
        let network: DataNetwork =
            serde_json::from_value(serde_json::json!({ "dnn": "corp", "pool": "10.9.0.0/24" })).unwrap();
        let pool = Policy { data_networks: vec![network], ..Policy::default() };
        assert_eq!(prefixes(&provider(), &pool), ["fd00::7/128"]);
        let said = ProviderApp { said: vec!["10.9.0.0/28".parse().unwrap()], ..provider() };
        assert_eq!(prefixes(&said, &wide), ["10.9.0.0/28", "fd00::7/128"], "one that was said is taken out");
        let same = with(vec![app("other", &["10.9.0.0/28", "fd00::7/128"])]);
        assert_eq!(prefixes(&said, &same), Vec::<String>::new());
        // A host that is an app by another port takes nothing from the provider, and loses nothing to it.
        let host =
            |service: &str| App { services: vec![service.parse().unwrap()], ..app("data", &["10.9.0.7/32"]) };
        let wide_and = |service| with(vec![app("corp", &["10.9.0.0/16"]), host(service)]);
        assert_eq!(prefixes(&provider(), &wide_and("tcp/80")), ["10.9.0.7/32", "fd00::7/128"]);
        let both = wide_and("tcp/80").with_provider(Some(&provider()));
        assert_eq!((validate(&both), ruling(&both, "10.9.0.7", 443)), (Ok(()), Ruling::Inspect));
        for theirs in ["tcp", "tcp/443", "tcp/1-1000"] {
            assert_eq!(prefixes(&provider(), &wide_and(theirs)), ["fd00::7/128"], "{theirs}");
        }
        for own in [with(vec![app(PROVIDER_APP, &["10.1.1.1/32"])]), {
            let mut p = with(vec![app("wiki", &["10.1.1.1/32"])]);
            p.rules.push(Rule { app: "wiki".parse().unwrap(), ..open_to_everybody(&app(PROVIDER_APP, &[])) });
            p
        }] {
            assert_eq!(own.clone().with_provider(Some(&provider())), own);
        }
    }

    #[test]
    fn a_resolver_that_says_anything_does_not_make_a_policy_unsound() {
        let strange = [
            "127.0.0.1",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "169.254.169.254",
            "::",
            "::1",
            "ff02::1",
            "fe80::1",
        ];
        let mut p = provider();
        p.found = strange.map(|a| a.parse().unwrap()).into();
        assert_eq!(p.beside(&Policy::default()), None);
        p.found.insert("10.9.0.7".parse().unwrap());
        let policy = Policy::default().with_provider(Some(&p));
        assert_eq!((validate(&policy), policy.apps[0].prefixes.len()), (Ok(()), 1));
    }
}
