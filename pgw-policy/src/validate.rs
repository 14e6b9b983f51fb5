//! Is a policy sound? It is refused whole, and everything wrong with it is named at once.

use crate::hash::{Keyed, Map};
use crate::policy::Policy;
use ipnet::IpNet;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
};
use thiserror::Error;
use types::{
    App, DataNetwork, Dnn, Group, Imsi, Name, NamePattern, NamesFrom, Protocol, Recording, RoutePrefix, Rule,
    RuleDirection, Service, Subject,
};

/// Which part of the policy is meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// A data network.
    DataNetwork(Dnn),
    /// An app.
    App(Name),
    /// A group.
    Group(Name),
    /// A rule.
    Rule(Name),
    /// A SIM's groups.
    Ue(Imsi),
    /// How risk is weighed.
    Risk,
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DataNetwork(d) => write!(f, "data network {d}"),
            Self::App(n) => write!(f, "app {n}"),
            Self::Group(n) => write!(f, "group {n}"),
            Self::Rule(n) => write!(f, "rule {n}"),
            Self::Ue(i) => write!(f, "SIM {i}"),
            Self::Risk => f.write_str("risk profile"),
        }
    }
}

/// One thing that is wrong with a policy: where, what, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{item}, {field}: {problem}")]
pub struct PolicyError {
    /// The part.
    pub item: Item,
    /// Its field, as the API and the file call it.
    pub field: &'static str,
    /// What is wrong; its text ends with the fix.
    pub problem: Problem,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Problem {
    /// Two items of one kind have this name.
    #[error("there is another one with this name; give one of them another name or remove it")]
    Duplicate,
    /// A group that the policy does not have.
    #[error("there is no group {0}; add it or name one that exists")]
    UnknownGroup(Name),
    /// An app that the policy does not have.
    #[error("there is no app {0}; add it or name one that exists")]
    UnknownApp(Name),
    /// Bits right of the prefix length are set.
    #[error("{0} has bits set behind its prefix length; write {network}", network = .0.trunc())]
    HostBits(IpNet),
    /// Two pools share addresses.
    #[error("{pool} shares addresses with {other_pool} of data network {other}; give them separate pools")]
    OverlappingPools {
        /// This pool.
        pool: IpNet,
        /// The other data network.
        other: Dnn,
        /// Its pool.
        other_pool: IpNet,
    },
    /// An IPv6 pool without a prefix for each address of the pool.
    #[error("{0} has no 64-bit prefix for each address of the pool; use /{1} or a wider one")]
    Pool6Size(IpNet, u8),
    /// An MTU that IPv6 does not allow.
    #[error(
        "{0} octets is less than the 1280 that every IPv6 link carries; use 1280 to 65535, 1400 if in doubt"
    )]
    Mtu6(u16),
    /// A pool that is not IPv4.
    #[error("{0} is not IPv4; UE addresses come from an IPv4 prefix")]
    PoolNotIpv4(IpNet),
    /// A pool without an address to give.
    #[error("{0} has no address to give beside network, gateway and broadcast; use a prefix of /1 to /30")]
    PoolSize(IpNet),
    /// Loopback, link-local, multicast, broadcast or unspecified addresses (decision D14).
    #[error(
        "{0} lies in loopback, link-local, multicast or reserved space, where no traffic of a UE goes; use a routable prefix"
    )]
    SpecialPrefix(IpNet),
    /// A resolver that no UE can reach.
    #[error("{0} cannot be a resolver; name a unicast address")]
    SpecialResolver(IpAddr),
    /// An MTU that IPv4 does not allow.
    #[error(
        "{0} octets is less than the 576 that every IPv4 link carries; use 576 to 65535, 1400 if in doubt"
    )]
    Mtu(u16),
    /// An app that is nowhere.
    #[error("an app needs at least one prefix; add where it is, for example 10.10.1.5/32")]
    NoPrefix,
    /// The same prefix twice in one app.
    #[error("{0} stands here twice; remove one")]
    RepeatedPrefix(IpNet),
    /// Two apps claim the same service of the same prefix.
    #[error(
        "{prefix} with {service} is also offered by app {other} as {other_service}; a service of one prefix belongs to one app: narrow a prefix or the ports"
    )]
    Ambiguous {
        /// The prefix that both have.
        prefix: IpNet,
        /// The service here.
        service: Service,
        /// The other app.
        other: Name,
        /// Its service.
        other_service: Service,
    },
    /// An `out` rule to an app that offers nothing.
    #[error(
        "app {0} offers no services, so nothing can be opened towards it; add services to the app or make this a rule of direction in"
    )]
    NoServices(Name),
    /// An `in` rule without services of the UE.
    #[error("a rule of direction in names what of the UE may be reached; add for example tcp/502")]
    NoTo,
    /// A rate, or a choice of records, at a rule that allows nothing.
    #[error("this belongs to rules that allow; remove it, or let the rule allow")]
    OnlyAllow,
    /// A rate that is next to nothing.
    #[error("{0} bit/s is less than 1000; give at least 1000, or let the rule deny")]
    Rate(u64),
    /// A name without a service that a name is read from.
    #[error(
        "names are read from TLS over TCP, and no service here is tcp; add one, for example tcp/443, or remove the names"
    )]
    NamesWithoutTcp,
    /// Names from look-ups, and no names.
    #[error(
        "it is said how names are seen, and the app has none, so that nothing narrows it; add names, or remove this"
    )]
    NoNames,
    /// The same name twice in one app.
    #[error("{0} stands here twice; remove one")]
    RepeatedName(NamePattern),
    /// An `in` rule for an app with names.
    #[error(
        "app {0} has names, which say whom UEs reach and not who opens towards them; name an app without names for what opens"
    )]
    NamesInward(Name),
    /// A device or a person that no rule has named so far: the whole policy is to be compiled.
    #[error("rules begin to speak of this one; the whole policy is compiled anew")]
    NotNumbered,
    /// The rules ask about more different things than a SIM's word has bits.
    #[error(
        "the rules ask about more than {} different things of a SIM; let rules share conditions, such as the same list of sites",
        crate::predicate::MOST
    )]
    TooManyPredicates,
    /// A time zone that there is not, or levels that do not rise.
    #[error("{0}")]
    Risk(&'static str),
    /// More than the compiled form can number.
    #[error("there are {0}; the most is {MOST}")]
    TooMany(usize),
}

/// The most items of one kind.
const MOST: usize = 1 << 24;

/// Checks a policy; `Err` holds every finding, never only the first.
pub fn validate(policy: &Policy) -> Result<(), Vec<PolicyError>> {
    let mut found = Findings(Vec::new());
    found.data_networks(&policy.data_networks);
    found.apps(&policy.apps);
    found.groups(policy);
    found.rules(policy);
    found.ues(policy);
    if let Some((field, why)) = policy.risk.problem() {
        found.add(Item::Risk, field, Problem::Risk(why));
    }
    if found.0.is_empty() { Ok(()) } else { Err(found.0) }
}

/// Checks a rule that is to be put into a sound policy, with the app and the group that it names, if they are there.
/// Whether another rule has its name is not asked.
pub fn validate_change(
    rule: &Rule,
    app: Option<&App>,
    group: Option<&Group>,
) -> Result<(), Vec<PolicyError>> {
    let mut found = Findings(Vec::new());
    found.rules(&Policy {
        apps: app.cloned().into_iter().collect(),
        groups: group.cloned().into_iter().collect(),
        rules: vec![rule.clone()],
        ..Policy::default()
    });
    if found.0.is_empty() { Ok(()) } else { Err(found.0) }
}

/// What a prefix and a service are taken by.
type Claims<'a> = BTreeMap<IpNet, Vec<(&'a App, &'a Service)>>;

struct Findings(Vec<PolicyError>);

impl Findings {
    fn add(&mut self, item: Item, field: &'static str, problem: Problem) {
        self.0.push(PolicyError { item, field, problem });
    }

    /// Names each item that comes a second time.
    fn names<T>(&mut self, items: &[T], item_of: impl Fn(&T) -> Item, field: &'static str) {
        let mut seen = BTreeSet::new();
        for item in items.iter().map(&item_of) {
            if !seen.insert(item.clone()) {
                self.add(item, field, Problem::Duplicate);
            }
        }
        if items.len() > MOST
            && let Some(last) = items.last()
        {
            self.add(item_of(last), field, Problem::TooMany(items.len()));
        }
    }

    fn data_networks(&mut self, all: &[DataNetwork]) {
        let item = |d: &DataNetwork| Item::DataNetwork(d.dnn.clone());
        self.names(all, item, "dnn");
        let mut before: Vec<&DataNetwork> = Vec::new();
        for d in all {
            if let Some(problem) = pool_problem(d.pool) {
                self.add(item(d), "pool", problem);
            }
            // Prefixes share addresses exactly where one holds the other's first address.
            let other = before
                .iter()
                .find(|o| o.pool.contains(&d.pool.network()) || d.pool.contains(&o.pool.network()));
            if let Some(o) = other {
                let problem =
                    Problem::OverlappingPools { pool: d.pool, other: o.dnn.clone(), other_pool: o.pool };
                self.add(item(d), "pool", problem);
            }
            if let Some(pool) = d.pool6.map(IpNet::V6) {
                let most = d.pool.prefix_len().saturating_add(32).min(64);
                let special = RoutePrefix::try_from(pool.trunc());
                let mut others = before.iter().filter_map(|o| Some((&o.dnn, IpNet::V6(o.pool6?))));
                let met = others.find(|(_, o)| o.contains(&pool.network()) || pool.contains(&o.network()));
                let problem = if pool != pool.trunc() {
                    Some(Problem::HostBits(pool))
                } else if pool.prefix_len() > most {
                    Some(Problem::Pool6Size(pool, most))
                } else if special.is_err() {
                    Some(Problem::SpecialPrefix(pool))
                } else {
                    met.map(|(other, o)| Problem::OverlappingPools {
                        pool,
                        other: other.clone(),
                        other_pool: o,
                    })
                };
                if let Some(problem) = problem {
                    self.add(item(d), "pool6", problem);
                }
                if d.mtu < 1280 {
                    self.add(item(d), "mtu", Problem::Mtu6(d.mtu));
                }
            }
            before.push(d);
            for r in &d.dns {
                if is_special(&IpNet::from(*r)) {
                    self.add(item(d), "dns", Problem::SpecialResolver(*r));
                }
            }
            if d.mtu < 576 {
                self.add(item(d), "mtu", Problem::Mtu(d.mtu));
            }
        }
    }

    fn apps(&mut self, all: &[App]) {
        let item = |a: &App| Item::App(a.name.clone());
        self.names(all, item, "name");
        let mut claims: Claims<'_> = BTreeMap::new();
        for app in all {
            if app.prefixes.is_empty() {
                self.add(item(app), "prefixes", Problem::NoPrefix);
            }
            if app.needs_tls() && !app.services.iter().any(|s| s.protocol == Protocol::Tcp) {
                self.add(item(app), "names", Problem::NamesWithoutTcp);
            }
            if app.names.is_empty() && app.names_from != NamesFrom::default() {
                self.add(item(app), "names_from", Problem::NoNames);
            }
            let mut names = BTreeSet::new();
            if let Some(twice) = app.names.iter().find(|n| !names.insert(*n)) {
                self.add(item(app), "names", Problem::RepeatedName(twice.clone()));
            }
            let mut seen = BTreeSet::new();
            for &prefix in &app.prefixes {
                if prefix != prefix.trunc() {
                    self.add(item(app), "prefixes", Problem::HostBits(prefix));
                } else if is_special(&prefix) {
                    self.add(item(app), "prefixes", Problem::SpecialPrefix(prefix));
                } else if !seen.insert(prefix) {
                    self.add(item(app), "prefixes", Problem::RepeatedPrefix(prefix));
                } else {
                    self.claim(&mut claims, app, prefix);
                }
            }
        }
    }

    /// Notes what `app` offers at `prefix`, and names the first clash with an app before it.
    fn claim<'a>(&mut self, claims: &mut Claims<'a>, app: &'a App, prefix: IpNet) {
        let taken = claims.entry(prefix).or_default();
        let clash = app.services.iter().find_map(|mine| {
            taken
                .iter()
                .find(|(other, theirs)| other.name != app.name && overlap(mine, theirs))
                .map(|t| (mine, *t))
        });
        if let Some((mine, (other, theirs))) = clash {
            let problem = Problem::Ambiguous {
                prefix,
                service: *mine,
                other: other.name.clone(),
                other_service: *theirs,
            };
            self.add(Item::App(app.name.clone()), "services", problem);
        }
        taken.extend(app.services.iter().map(|s| (app, s)));
    }

    fn groups(&mut self, policy: &Policy) {
        let item = |g: &Group| Item::Group(g.name.clone());
        self.names(&policy.groups, item, "name");
        let apps: BTreeSet<&Name> = policy.apps.iter().map(|a| &a.name).collect();
        for group in &policy.groups {
            let lists =
                [("emergency_apps", &group.emergency_apps), ("remediation_apps", &group.remediation_apps)];
            for (field, names) in lists {
                for name in names.iter().filter(|n| !apps.contains(n)) {
                    self.add(item(group), field, Problem::UnknownApp(name.clone()));
                }
            }
        }
    }

    fn rules(&mut self, policy: &Policy) {
        let item = |n: &Name| Item::Rule(n.clone());
        self.names(&policy.rules, |r| item(&r.name), "name");
        let groups: BTreeSet<&Name> = policy.groups.iter().map(|g| &g.name).collect();
        let apps: BTreeMap<&Name, &App> = policy.apps.iter().map(|a| (&a.name, a)).collect();
        for rule in &policy.rules {
            self.terms(rule);
            if let Subject::Group(g) = &rule.subject
                && !groups.contains(g)
            {
                self.add(item(&rule.name), "subject", Problem::UnknownGroup(g.clone()));
            }
            match (apps.get(&rule.app), &rule.direction) {
                (None, _) => self.add(item(&rule.name), "app", Problem::UnknownApp(rule.app.clone())),
                (Some(app), RuleDirection::Out) if app.services.is_empty() => {
                    self.add(item(&rule.name), "app", Problem::NoServices(rule.app.clone()));
                }
                (Some(_), RuleDirection::In { to }) if to.is_empty() => {
                    self.add(item(&rule.name), "to", Problem::NoTo);
                }
                (Some(app), RuleDirection::In { .. }) if !app.names.is_empty() => {
                    self.add(item(&rule.name), "app", Problem::NamesInward(rule.app.clone()));
                }
                (Some(_), _) => {}
            }
        }
    }

    /// What a rule asks for beside letting flows through.
    fn terms(&mut self, rule: &Rule) {
        let rates = [("rate_ul_bps", rule.rate.ul_bps), ("rate_dl_bps", rule.rate.dl_bps)];
        for (field, bps) in rates.into_iter().filter_map(|(f, bps)| Some((f, bps?))) {
            if !rule.verdict.may_open() {
                self.add(Item::Rule(rule.name.clone()), field, Problem::OnlyAllow);
            } else if bps < 1_000 {
                self.add(Item::Rule(rule.name.clone()), field, Problem::Rate(bps));
            }
        }
        if !rule.verdict.may_open() && rule.record != Recording::All {
            self.add(Item::Rule(rule.name.clone()), "record", Problem::OnlyAllow);
        }
    }

    fn ues(&mut self, policy: &Policy) {
        // There are many: what is right is seen quickly.
        let mut groups: Map<&Name, ()> = Map::with_hasher(Keyed::new(1, 2));
        groups.extend(policy.groups.iter().map(|g| (&g.name, ())));
        let mut imsis: Vec<u64> = policy.ues.iter().map(|u| u.imsi.packed()).collect();
        imsis.sort_unstable();
        let twice = imsis.windows(2).any(|pair| matches!(pair, [a, b] if a == b));
        if twice || imsis.len() > MOST {
            self.names(&policy.ues, |u| Item::Ue(u.imsi), "imsi");
        }
        for ue in &policy.ues {
            for g in ue.groups.iter().filter(|g| !groups.contains_key(g)) {
                self.add(Item::Ue(ue.imsi), "groups", Problem::UnknownGroup(g.clone()));
            }
        }
    }
}

fn pool_problem(pool: IpNet) -> Option<Problem> {
    if pool != pool.trunc() {
        Some(Problem::HostBits(pool))
    } else if let IpNet::V6(_) = pool {
        Some(Problem::PoolNotIpv4(pool))
    } else if !(1..=30).contains(&pool.prefix_len()) {
        Some(Problem::PoolSize(pool))
    } else {
        is_special(&pool).then_some(Problem::SpecialPrefix(pool))
    }
}

/// True where two services have a port in common.
pub(crate) fn overlap(a: &Service, b: &Service) -> bool {
    a.protocol == b.protocol && a.ports.first() <= b.ports.last() && b.ports.first() <= a.ports.last()
}

/// True where the whole prefix lies in space that the packet path drops before any rule (decision D14).
fn is_special(prefix: &IpNet) -> bool {
    // RFC 6890; documentation prefixes are left out, because examples use them.
    const SPECIAL: [(IpAddr, u8); 8] = [
        (IpAddr::V4(std::net::Ipv4Addr::new(0, 0, 0, 0)), 8),
        (IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8),
        (IpAddr::V4(std::net::Ipv4Addr::new(169, 254, 0, 0)), 16),
        (IpAddr::V4(std::net::Ipv4Addr::new(224, 0, 0, 0)), 3),
        (IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED), 128),
        (IpAddr::V6(std::net::Ipv6Addr::LOCALHOST), 128),
        (IpAddr::V6(std::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0)), 10),
        (IpAddr::V6(std::net::Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0)), 8),
    ];
    SPECIAL.iter().any(|&(a, len)| IpNet::new(a, len).is_ok_and(|s| s.contains(prefix)))
}
