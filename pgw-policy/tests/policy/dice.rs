//! Small policies made of chance over few names and addresses, so that everything meets everything; questions, facts and
//! changes of chance as well.

use super::*;

const GROUPS: [&str; 4] = ["g0", "g1", "g2", "g3"];
const DEVICES: [&str; 2] = ["pc-1", "pc-2"];
const PEOPLE: [&str; 2] = ["sato", "tanaka"];
const SITES: [&str; 2] = ["osaka", "tokyo"];
const MODELS: [&str; 2] = ["35693803", "86000000"];

/// Small policies made of chance over few names and addresses, so that everything meets everything.
pub(super) struct Dice(pub(super) ChaCha8Rng);

impl Dice {
    pub(super) fn below(&mut self, n: usize) -> usize {
        self.0.next_u32() as usize % n
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    fn some<'a>(&mut self, from: &[&'a str], most: usize) -> Vec<&'a str> {
        (0..self.below(most + 1)).map(|_| self.pick(from)).collect()
    }

    fn service(&mut self) -> &'static str {
        self.pick(&[
            "tcp",
            "tcp/80",
            "tcp/443",
            "tcp/80-443",
            "tcp/0",
            "tcp/65535",
            "tcp/100-200",
            "udp",
            "udp/53",
            "udp/53-80",
            "icmp",
        ])
    }

    fn services(&mut self, most: usize) -> Vec<&'static str> {
        (0..self.below(most + 1)).map(|_| self.service()).collect()
    }

    fn verdict(&mut self) -> Verdict {
        use Verdict::{Allow, Deny, Quarantine, Reject, Risk, StepUp};
        *self.pick(&[&Allow, &Allow, &Allow, &Deny, &Reject, &StepUp, &Risk, &Quarantine])
    }

    fn ue(&mut self, n: u32) -> UeGroups {
        let groups = self.some(&GROUPS, 3);
        let mut maybe = |all: &[&str]| (self.below(2) == 0).then(|| name(self.pick(all)));
        UeGroups { device: maybe(&DEVICES), person: maybe(&PEOPLE), ..ue(n, &groups) }
    }

    /// One in so many times.
    fn once_in<T>(&mut self, n: usize, what: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.below(n) == 0 { Some(what(self)) } else { None }
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    fn sites(&mut self) -> std::collections::BTreeSet<Name> {
        self.some(&SITES, 2).into_iter().map(name).collect()
    }

    fn conditions(&mut self) -> Conditions {
        let c = Conditions {
            posture: self.once_in(4, |d| d.one(Compliance::ALL)),
            sites: self.once_in(4, Self::sites).unwrap_or_default(),
            not_sites: self.once_in(4, Self::sites).unwrap_or_default(),
            radio: self.once_in(6, |d| d.one(Radio::ALL)),
            assured: self.once_in(5, |d| d.below(2) == 0),
            risk_at_most: self.once_in(5, |d| d.one(RiskLevel::ALL)),
            risk_at_least: self.once_in(5, |d| d.one(RiskLevel::ALL)),
            models: self
                .once_in(6, |d| d.some(&MODELS, 2).iter().map(|m| m.parse().unwrap()).collect())
                .unwrap_or_default(),
        };
        if c.contradiction().is_some() { Conditions::default() } else { c }
    }

    /// What is known of a SIM, of each kind sometimes nothing.
    fn facts(&mut self) -> SimFacts {
        let source = || name("test");
        let since = Utc(0);
        let time = |d: &mut Self| Utc(d.below(5) as i64);
        let known = 4;
        let maybe = |d: &mut Self| d.below(known) > 0;
        SimFacts {
            posture: maybe(self).then(|| {
                let until = self.once_in(2, time);
                Posture { value: self.one(Compliance::ALL), since, until, source: source() }
            }),
            place: maybe(self).then(|| SiteSeen {
                site: self.once_in(2, |d| name(d.pick(&SITES))),
                usual: self.below(2) == 0,
                zone: self.once_in(2, |_| "Asia/Tokyo".to_owned()),
                since,
                source: source(),
            }),
            radio: maybe(self).then(|| RadioSeen { value: self.one(Radio::ALL), since, source: source() }),
            model: maybe(self).then(|| Model {
                value: self.pick(&["35693803", "86000000", "11111111"]).parse().unwrap(),
                since,
                source: source(),
            }),
            assurance: maybe(self).then(|| Assurance { until: time(self), since, source: source() }),
            risk: self.once_in(6, |d| RiskSignal {
                value: d.one(RiskLevel::ALL),
                since,
                until: d.once_in(2, time),
                source: source(),
            }),
            grants: (0..self.below(3))
                .map(|n| ActiveGrant {
                    id: format!("g{n}"),
                    app: name(&format!("a{}", self.below(7))),
                    from: time(self),
                    until: time(self),
                    proof: self.below(2) == 0,
                })
                .collect(),
        }
    }

    /// The same with one kind of them gone.
    pub(super) fn less(&mut self, mut facts: SimFacts) -> SimFacts {
        match self.below(5) {
            0 => facts.posture = None,
            1 => facts.place = None,
            2 => (facts.radio, facts.model) = (None, None),
            3 => facts.assurance = None,
            _ => drop(facts.grants.pop()),
        }
        facts
    }

    pub(super) fn policy(&mut self) -> Policy {
        const PREFIXES: [&str; 13] = [
            "0.0.0.0/0",
            "10.0.0.0/8",
            "10.0.0.0/9",
            "10.128.0.0/9",
            "10.1.0.0/16",
            "10.1.1.0/24",
            "10.1.1.1/32",
            "10.1.1.255/32",
            "10.20.0.0/16",
            "10.20.1.0/24",
            "::/0",
            "2001:db8::/32",
            "2001:db8::1/128",
        ];
        let mut p = Policy { generation: u64::from(self.0.next_u32()), ..Policy::default() };
        if self.below(2) == 0 {
            p.data_networks.push(network("corp", "10.20.0.0/16"));
        }
        for i in 0..=self.below(6) {
            let (prefixes, services) = (self.some(&PREFIXES, 3), self.services(3));
            let mut app = app(&format!("a{i}"), &prefixes, &services);
            app.sensitivity = self.one(types::Sensitivity::ALL);
            app.dscp = (self.below(2) == 0).then(|| types::Dscp::try_from(46).unwrap());
            if self.below(3) == 0 {
                let names = self.some(&["wiki.example.jp", "*.example.jp", "files.example.jp"], 2);
                app.names = names.iter().map(|n| n.parse().unwrap()).collect();
                if !app.names.is_empty() && self.below(6) == 0 {
                    app.names_from = types::NamesFrom::Dns;
                }
            }
            p.apps.push(app);
            if validate(&p).is_err() {
                p.apps.pop();
            }
        }
        for g in GROUPS {
            let apps: Vec<Name> = p.apps.iter().map(|a| a.name.clone()).collect();
            let mut some = || apps.iter().filter(|_| self.below(2) == 0).cloned().collect::<Vec<_>>();
            let (emergency_apps, remediation_apps) = (some(), some());
            p.groups.push(Group { emergency_apps, remediation_apps, ..group(g) });
        }
        for _ in 0..self.below(14) {
            p.rules.push(self.rule());
            if validate(&p).is_err() {
                p.rules.pop();
            }
        }
        for n in 1..5 {
            p.ues.push(self.ue(n));
        }
        p
    }

    /// A SIM moves or appears, a rule is made, edited or deleted, or several of these at once.
    pub(super) fn change(&mut self, policy: Policy, compiled: Compiled) -> (Policy, Compiled) {
        let mut next = policy;
        let generation = next.generation + 1;
        let mut all = Vec::new();
        for _ in 0..=self.below(3) {
            let change = match self.below(3) {
                0 => {
                    let n = self.below(6) as u32;
                    Change::Ue(self.ue(n))
                }
                1 => Change::NoRule(name(&format!("r{}", self.below(14)))),
                _ => Change::Rule(self.rule()),
            };
            let mut tried = next.clone();
            tried.apply(std::slice::from_ref(&change), generation);
            if validate(&tried).is_ok() {
                next = tried;
                all.push(change);
            }
        }
        next.generation = generation;
        let Ok((after, touched)) = compiled.with(&all, generation) else {
            // Rules begin to speak of a device or a person: that is for a compilation.
            let after = compile(&next).unwrap();
            return (next, after);
        };
        for n in (0..6).map(imsi) {
            // Whom it does not touch, for them nothing is different.
            let (class, old) = (after.class_of(n), compiled.class_of(n));
            if !touched.sims().any(|s| s == n) {
                assert_eq!(class, old);
                for _ in 0..if touched.touches(class) { 0 } else { 4 } {
                    let q = self.question();
                    let ask = |c: &Compiled| decide(c, class, q.direction, q.peer, q.protocol, q.port);
                    assert_eq!(ask(&after), ask(&compiled));
                }
            }
        }
        (next, after)
    }

    fn rule(&mut self) -> Rule {
        let sims = ["sim:999700000000000", "sim:999700000000001"];
        let subject = match self.below(10) {
            0 | 1 => "any".to_owned(),
            2 => self.pick(&sims).to_owned(),
            3 => format!("device:{}", self.pick(&DEVICES)),
            4 => format!("person:{}", self.pick(&PEOPLE)),
            _ => format!("group:{}", self.pick(&GROUPS)),
        };
        let to = if self.below(2) == 0 { Vec::new() } else { self.services(3) };
        let (app, order) = (format!("a{}", self.below(6)), self.below(5) as i64 - 2);
        let mut rule = rule(&format!("r{}", self.below(14)), order, &subject, &app, &to, self.verdict());
        if self.below(2) == 0 {
            rule.conditions = self.conditions();
        }
        rule.monitor_until = (self.below(8) == 0).then_some(types::Utc(9));
        if rule.verdict.may_open() {
            rule.rate.ul_bps = (self.below(2) == 0).then_some(10_000);
            rule.record = self.pick(&["all", "1/7", "counters"]).parse().unwrap();
        }
        rule.when.until = (self.below(3) == 0).then(|| types::Utc(self.below(5) as i64));
        rule
    }

    /// A moment at which some rules are in force and others are not.
    pub(super) fn moment(&mut self) -> impl Fn(&types::When) -> bool + Copy + use<> {
        let salt = self.below(64);
        move |when| when.until.is_none_or(|n| salt >> n.0 & 1 != 0)
    }

    /// Half the time nobody is restricted.
    pub(super) fn standing(&mut self, policy: &Policy, is_on: impl Fn(&types::When) -> bool) -> Standing {
        let off = policy.rules.iter().filter(|r| !is_on(&r.when)).map(|r| r.name.clone()).collect();
        let (facts, at) = (self.facts(), Utc(self.one(&[0, 1, 2, 3, 4, 50_000_000])));
        if self.below(2) == 0 {
            return Standing { off, facts, at, ..Standing::default() };
        }
        let panicked = self.some(&["g0", "g1", "g2", "g3", "not-there"], 3);
        let panicked = panicked.into_iter().map(name).collect();
        Standing { quarantined: self.below(3) == 0, panicked, off, facts, at }
    }

    pub(super) fn question(&mut self) -> Question {
        let peer = self.pick(&[
            "10.0.0.0",
            "10.0.0.1",
            "10.1.0.7",
            "10.1.1.0",
            "10.1.1.1",
            "10.1.1.2",
            "10.1.1.254",
            "10.1.1.255",
            "10.1.2.0",
            "10.20.0.3",
            "10.20.1.3",
            "10.21.0.0",
            "10.127.255.255",
            "10.128.0.0",
            "10.255.255.255",
            "11.0.0.0",
            "9.255.255.255",
            "255.255.255.255",
            "0.0.0.0",
            "2001:db8::",
            "2001:db8::1",
            "2001:db8::2",
            "2001:db9::",
            "::",
            "ffff::",
        ]);
        let protocol = *self.pick(&[&6, &6, &6, &17, &17, &1, &58, &132]);
        let port =
            *self.pick(&[&0, &52, &53, &79, &80, &81, &99, &100, &200, &201, &443, &444, &65534, &65535]);
        let direction = *self.pick(&[&Direction::Out, &Direction::In]);
        Question {
            imsi: imsi(self.below(6) as u32),
            direction,
            peer: peer.parse::<IpAddr>().unwrap(),
            protocol,
            port,
        }
    }
}
