//! The identity provider as an app that nobody has to make (ADR 29): where it is, asked for now and then.
//!
//! A browser is sent to the door that the provider names of itself, which need not be at its issuer: both are looked up with
//! this machine's resolver. Addresses that the resolver does not say any longer are kept for a day: large providers
//! answer with some of theirs in turn. What cannot be found out changes nothing.

use super::{Control, Done};
use crate::{
    config::{Config, ProviderWay},
    provider::{self, Door},
};
use gateway::time::now;
use pgw_policy::ProviderApp;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};
use tracing::{info, warn};
use types::{Mono, NamePattern, Now, Utc};

/// How often it is asked for.
const EVERY_MS: u64 = 5 * 60_000;
/// How long an address is kept that is not said any longer.
const KEPT_MS: i64 = 24 * 3_600_000;
/// The most addresses; those that were said last stay.
const MOST: usize = 64;

/// What a look has found.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    doors: Vec<Door>,
    addresses: Vec<IpAddr>,
}

#[cfg(test)]
impl Seen {
    /// Hosts and ports, and addresses, without doubles.
    pub fn told(&self) -> (Vec<(String, u16)>, Vec<IpAddr>) {
        let addresses: BTreeSet<IpAddr> = self.addresses.iter().copied().collect();
        (self.doors.iter().map(|d| (d.host.clone(), d.port)).collect(), addresses.into_iter().collect())
    }
}

/// Where the provider is, where there is a page that takes people there.
pub(super) struct Ways {
    said: Option<Said>,
    /// When each was said last.
    found: BTreeMap<IpAddr, Utc>,
    doors: Vec<Door>,
    under_way: bool,
    next: Mono,
}

/// What the configuration says.
struct Said {
    issuer: Door,
    way: ProviderWay,
}

impl Ways {
    /// By the configuration alone: nobody has been asked.
    pub fn new(config: &Config) -> Self {
        let said = config.service.as_ref().zip(config.oidc.as_ref()).and_then(|(s, o)| {
            let issuer = Door::of(&o.issuer)?;
            s.provider.open.then(|| Said { issuer, way: s.provider.clone() })
        });
        let doors: Vec<Door> = said.iter().map(|s| s.issuer.clone()).collect();
        let literal = doors.iter().filter_map(|d| d.host.parse().ok()).map(|ip| (ip, now().utc));
        Self { found: literal.collect(), said, doors, under_way: false, next: Mono(0) }
    }

    /// When it is asked for next; none where nobody asks, or somebody does.
    pub fn poll_timeout(&self) -> Option<Mono> {
        (self.said.is_some() && !self.under_way).then_some(self.next)
    }

    /// The app.
    pub fn app(&self) -> Option<ProviderApp> {
        let said = self.said.as_ref()?;
        let names: BTreeSet<NamePattern> =
            match !said.issuer.https || self.doors.iter().any(|d| d.name().is_none()) {
                // What is read of a flow is the name in TLS. To an address by itself no client says one.
                true => BTreeSet::new(),
                false => {
                    let of_doors = self.doors.iter().filter_map(Door::name).map(NamePattern::Exact);
                    of_doors.chain(said.way.names.iter().cloned()).collect()
                }
            };
        let ports: BTreeSet<u16> = self.doors.iter().map(|d| d.port).collect();
        Some(ProviderApp {
            names: names.into_iter().collect(),
            ports: ports.into_iter().collect(),
            said: said.way.prefixes.clone(),
            found: if said.way.prefixes.is_empty() {
                self.found.keys().copied().collect()
            } else {
                BTreeSet::new()
            },
        })
    }

    /// What a look has found, or nothing.
    fn saw(&mut self, seen: Seen, at: Utc) {
        self.under_way = false;
        if !seen.doors.is_empty() {
            self.doors = seen.doors;
        }
        if seen.addresses.is_empty() {
            return;
        }
        self.found.retain(|_, last| at.0.saturating_sub(last.0) < KEPT_MS);
        self.found.extend(seen.addresses.into_iter().map(|ip| (ip, at)));
        while self.found.len() > MOST {
            let oldest = self.found.iter().min_by_key(|(_, last)| **last).map(|(ip, _)| *ip);
            oldest.map(|ip| self.found.remove(&ip));
        }
    }
}

/// Asks the provider for its door, and the resolver for both hosts. Blocking.
pub(super) fn look(config: &Config) -> Seen {
    let Some(issuer) = config.oidc.as_ref().and_then(|o| Door::of(&o.issuer)) else { return Seen::default() };
    let door = match provider::open(config) {
        Ok(Some(p)) => {
            p.door_url().map_err(|e| warn!("the identity provider does not say where its door is: {e}")).ok()
        }
        Ok(None) | Err(_) => None,
    };
    let mut seen = Seen::default();
    let doors: BTreeSet<Door> = door.iter().filter_map(|url| Door::of(url)).chain([issuer]).collect();
    for d in &doors {
        match d.addresses() {
            Ok(all) => seen.addresses.extend(all.iter().map(SocketAddr::ip)),
            Err(e) => warn!("the identity provider's host {} is not found: {e}", d.host),
        }
    }
    // Without a word of the provider's what it said before holds.
    seen.doors = if door.is_some() { doors.into_iter().collect() } else { Vec::new() };
    seen
}

impl Control {
    /// Asks where the provider is, when that is due.
    pub(super) fn provider_timeout(&mut self, now: Now) {
        if self.provider_ways.poll_timeout().is_none_or(|at| at > now.mono) {
            return;
        }
        self.provider_ways.next = now.mono.plus_ms(EVERY_MS);
        self.provider_ways.under_way = true;
        let (config, done) = (self.config.clone(), self.done.clone());
        tokio::task::spawn_blocking(move || drop(done.send(Done::ProviderSeen(look(&config)))));
    }

    /// It was asked for. What is new is in force as soon as the policy is made with it.
    pub(super) fn provider_seen(&mut self, seen: Seen) {
        self.provider_ways.saw(seen, now().utc);
        let app = self.provider_ways.app();
        if self.policy.set_provider(app) {
            info!("where the identity provider is has changed: the policy is made anew with it");
            self.reload_whole_policy(None);
        }
    }

    /// Where a browser goes to, as far as that is known: the hosts of the provider's doors.
    pub(super) fn provider_doors(&self) -> Vec<(String, Vec<SocketAddr>)> {
        let ways = &self.provider_ways;
        if ways.found.is_empty() {
            return Vec::new();
        }
        let at = |d: &Door| ways.found.keys().map(|ip| SocketAddr::new(*ip, d.port)).collect();
        ways.doors.iter().map(|d| (d.host.clone(), at(d))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(issuer: &str, service: &str) -> Config {
        let text = format!(
            "[network]\nplmn = \"001-01\"\ntacs = [7]\nslices = [\"1\"]\n[n2]\naddress = \"127.0.0.1\"\n\
             [n3]\naddress = \"192.0.2.1\"\n[paths]\ndata = \"/var/lib/sekisho\"\n\
             [oidc]\nname = \"Corp\"\nissuer = \"{issuer}\"\nclient_id = \"sekisho\"\nbase_url = \"https://localhost:8443\"\n\
             [[oidc.grant]]\ngroup = \"net\"\nrole = \"soc\"\n\
             [service]\naddress = \"10.255.255.1\"\nurl = \"https://check.example\"\ncertificate = \"/c\"\n\
             private_key = \"/k\"\n{service}"
        );
        Config::parse(&text, std::iter::empty()).expect("a configuration")
    }

    fn ways(issuer: &str, service: &str) -> Ways {
        Ways::new(&config(issuer, service))
    }

    fn seen(doors: &[&str], addresses: &[&str]) -> Seen {
        Seen {
            doors: doors.iter().filter_map(|d| Door::of(d)).collect(),
            addresses: addresses.iter().map(|a| a.parse().expect("an address")).collect(),
        }
    }

    fn said(app: &ProviderApp) -> (String, Vec<u16>, Vec<String>) {
        let names: Vec<_> = app.names.iter().map(ToString::to_string).collect();
        (names.join(" "), app.ports.clone(), app.found.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_app_is_where_the_provider_says_that_its_door_is() {
        let mut w = ways("https://sts.example/tenant", "");
        assert_eq!(said(&w.app().expect("an app")), ("sts.example".to_owned(), vec![443], vec![]));
        w.saw(
            seen(
                &["https://sts.example/tenant", "https://login.example:8443/authorize"],
                &["10.9.0.7", "fd00::7"],
            ),
            Utc(0),
        );
        let both = (
            "login.example sts.example".to_owned(),
            vec![443, 8443],
            vec!["10.9.0.7".to_owned(), "fd00::7".to_owned()],
        );
        assert_eq!(said(&w.app().expect("an app")), both);
        w.saw(Seen::default(), Utc(KEPT_MS * 9));
        assert_eq!(said(&w.app().expect("an app")), both, "a resolver that is away changes nothing");
        assert_eq!(ways("https://sts.example", "[service.provider]\nopen = false").app(), None);
    }

    #[test]
    fn a_provider_that_is_an_address_has_no_name_and_needs_no_resolver() {
        for (issuer, port, at) in
            [("https://10.9.0.7:9443", 9443, "10.9.0.7"), ("https://[fd00::7]/x", 443, "fd00::7")]
        {
            let app = ways(issuer, "").app().expect("an app");
            assert_eq!(said(&app), (String::new(), vec![port], vec![at.to_owned()]), "{issuer}");
        }
    }

    #[test]
    fn what_is_written_stands_in_place_of_what_is_looked_up() {
        let more = "[service.provider]\nnames = [\"*.assets.example\"]\nprefixes = [\"192.0.2.0/28\"]";
        let mut w = ways("https://idp.example", more);
        w.saw(seen(&["https://idp.example"], &["10.9.0.7"]), Utc(0));
        let app = w.app().expect("an app");
        assert_eq!(said(&app), ("idp.example *.assets.example".to_owned(), vec![443], vec![]));
        assert_eq!(app.said, ["192.0.2.0/28".parse().expect("a prefix")]);
    }

    #[test]
    fn addresses_are_kept_for_a_day_and_so_many() {
        let mut w = ways("https://idp.example", "");
        w.saw(seen(&[], &["10.9.0.1"]), Utc(0));
        w.saw(seen(&[], &["10.9.0.2"]), Utc(KEPT_MS - 1));
        assert_eq!(w.found.len(), 2);
        w.saw(seen(&[], &["10.9.0.3"]), Utc(KEPT_MS));
        assert_eq!(said(&w.app().expect("an app")).2, ["10.9.0.2", "10.9.0.3"]);
        for n in 0..1000_u32 {
            let ip = IpAddr::from(std::net::Ipv4Addr::from_bits(0x0a00_0000 + n));
            w.saw(Seen { doors: Vec::new(), addresses: vec![ip] }, Utc(KEPT_MS + 1 + i64::from(n)));
        }
        assert_eq!(
            (w.found.len(), w.found.contains_key(&"10.0.3.231".parse().expect("the last"))),
            (MOST, true)
        );
    }
    #[cfg(feature = "lab")]
    #[tokio::test]
    async fn everybody_reaches_it_beside_what_is_stored_and_an_own_one_stands_in_its_place() {
        use crate::control::site::{Site, imsi};
        use pgw_policy::{PROVIDER_APP, Ruling, decide};
        use serde_json::json;
        use types::{Direction, Rule};

        let mut site = Site::new().await;
        site.control.provider_ways = ways("https://idp.example", "");
        let store = site.control.store.clone();
        let by = || store::Change::by_system("test", now().utc);
        let generation = store.policy_generation().await.expect("read");
        let ruling = |site: &Site| {
            let class = site.policy.class_of(imsi(0));
            decide(&site.policy, class, Direction::Out, [10, 9, 0, 7].into(), 6, 443).verdict
        };
        site.control.provider_seen(seen(&["https://idp.example"], &["10.9.0.7"]));
        site.until(|s| ruling(s) == Ruling::Inspect).await;
        assert_eq!(site.policy.generation(), generation, "nothing that is stored has changed");
        assert_eq!(site.control.policy.built_in().len(), 1);

        let own = json!({ "name": PROVIDER_APP, "prefixes": ["10.9.0.0/24"], "services": ["tcp/443"] });
        store
            .create::<types::App>(serde_json::from_value(own).expect("an app"), None, &by())
            .await
            .expect("made");
        site.ask(|c, reply| c.reload_policy(Some(reply))).await.expect("in force");
        assert_eq!((ruling(&site), site.control.policy.built_in()), (Ruling::Deny, vec![]));
        store.delete::<types::App>(PROVIDER_APP.to_owned(), None, None, &by()).await.expect("deleted");
        site.ask(|c, reply| c.reload_policy(Some(reply))).await.expect("in force");
        assert_eq!(ruling(&site), Ruling::Inspect);

        // A rule comes by itself; one of this name has the whole made anew.
        let wiki = json!({ "name": "wiki", "prefixes": ["10.10.1.5/32"], "services": ["tcp/443"] });
        store
            .create::<types::App>(serde_json::from_value(wiki).expect("an app"), None, &by())
            .await
            .expect("made");
        site.ask(|c, reply| c.reload_policy(Some(reply))).await.expect("in force");
        let rule = json!({ "name": PROVIDER_APP, "order": 1, "subject": "any", "app": "wiki", "direction": "out", "verdict": "allow" });
        let rule: Rule = serde_json::from_value(rule).expect("a rule");
        store.create(rule, None, &by()).await.expect("made");
        site.ask(|c, reply| c.reload_policy(Some(reply))).await.expect("in force");
        assert_eq!(ruling(&site), Ruling::Deny);
        store.delete::<Rule>(PROVIDER_APP.to_owned(), None, None, &by()).await.expect("deleted");
        site.ask(|c, reply| c.reload_policy(Some(reply))).await.expect("in force");
        assert_eq!(ruling(&site), Ruling::Inspect);
    }
}
