//! The site of the stories: networks, apps, groups, rules; who carries which SIM.
//!
//! | app | where | who may |
//! | --- | --- | --- |
//! | `files` | 192.168.1.10 tcp/443 udp/53 icmp | laptops open it |
//! | `scada` | 192.168.1.20 | opens tcp/502 of the PLCs |
//! | `secret` | 192.168.1.30 tcp/443 | nobody; told so |
//! | `historian` | 192.168.1.40 udp/514 | PLCs open it |
//! | `team-0` … | 192.168.2.10 … tcp/443 | each team its own |

use hss::{Algorithm, SimRecord, SqnProfile, SqnState, Vault};
use pgw_policy::Policy;
use std::net::{Ipv4Addr, Ipv6Addr};
use types::*;

/// Our N3 address.
pub const N3: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 1);
/// The same where N3 is IPv6.
pub const N3_BY_IPV6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x16, 0, 0, 0, 0, 0, 1);
/// Another core's SMF.
pub const SMF: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 4);
/// Another address of ours, on the company's side.
pub const N6: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 1);
pub const FILES: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 10);
pub const SCADA: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 20);
pub const SECRET: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 30);
pub const HISTORIAN: Ipv4Addr = Ipv4Addr::new(192, 168, 1, 40);
/// A host of the company that is no app.
pub const NOBODY: Ipv4Addr = Ipv4Addr::new(192, 168, 9, 9);

/// The host of a team's app.
pub fn team(n: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 168, 2, 10 + n)
}

/// What a SIM is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Laptop,
    Plc,
    Team(u8),
}

impl Role {
    /// Its data network.
    pub fn dnn(self) -> &'static str {
        if self == Self::Plc { "factory" } else { "corp" }
    }

    fn group(self) -> Name {
        match self {
            Self::Laptop => name("laptops"),
            Self::Plc => name("plcs"),
            Self::Team(n) => name(&format!("team-{n}")),
        }
    }
}

pub fn name(s: &str) -> Name {
    s.parse().unwrap()
}

pub fn plmn() -> Plmn {
    Plmn::new("001", "01").unwrap()
}

pub fn tac() -> Tac {
    Tac::try_from(7).unwrap()
}

pub fn snssai() -> Snssai {
    Snssai { sst: 1, sd: None }
}

pub fn imsi(n: usize) -> Imsi {
    format!("00101{n:010}").parse().unwrap()
}

/// K and OPc of a card.
pub fn keys(n: usize) -> (K, Opc) {
    let mut key = [0x46; 16];
    key[..8].copy_from_slice(&(n as u64 + 1).to_be_bytes());
    let k = K::new(key);
    let opc = sim_auth::milenage::opc(&k, &[0xcd; 16]);
    (k, opc)
}

/// The SIM as it is provisioned.
pub fn record(vault: &mut Vault, n: usize, role: Role, now: Utc) -> SimRecord {
    let (k, opc) = keys(n);
    let mut dnns: Vec<Dnn> = vec![role.dnn().parse().unwrap()];
    dnns.extend(["corp", "factory"].iter().filter(|d| **d != role.dnn()).map(|d| d.parse::<Dnn>().unwrap()));
    SimRecord {
        imsi: imsi(n),
        sealed: vault.seal(imsi(n), &k, &opc),
        algorithm: Algorithm::Milenage,
        sqn_profile: SqnProfile::default(),
        sqn_state: SqnState::fresh(now),
        state: SimState::Ready,
        subscription: Subscription {
            supi: Supi(imsi(n)),
            slices: vec![snssai()],
            dnns,
            ambr_ul_bps: 100_000_000,
            ambr_dl_bps: 200_000_000,
        },
    }
}

pub fn networks() -> Vec<DataNetwork> {
    let network = |dnn: &str, pool: &str| DataNetwork {
        dnn: dnn.parse().unwrap(),
        pool: pool.parse().unwrap(),
        pool6: (dnn == "corp").then(|| "fd00:20::/48".parse().unwrap()),
        dns: vec![Ipv4Addr::new(192, 168, 1, 53).into()],
        mtu: 1358,
    };
    vec![network("corp", "10.20.0.0/24"), network("factory", "10.30.0.0/24")]
}

/// All addresses of the gateway's machine.
pub fn own_addresses() -> Vec<std::net::IpAddr> {
    vec![N3.into(), N6.into(), Ipv4Addr::new(10, 20, 0, 1).into(), Ipv4Addr::new(10, 30, 0, 1).into()]
}

fn app(n: &str, at: Ipv4Addr, services: &[&str]) -> App {
    App {
        name: name(n),
        label: String::new(),
        prefixes: vec![format!("{at}/32").parse().unwrap()],
        services: services.iter().map(|s| s.parse().unwrap()).collect(),
        names: Vec::new(),
        names_from: Default::default(),
        dscp: None,
        qfi: None,
        sensitivity: Default::default(),
        health: None,
    }
}

fn rule(n: &str, order: i64, subject: &str, app: &str, to: &[&str], verdict: Verdict) -> Rule {
    let direction = match to {
        [] => RuleDirection::Out,
        to => RuleDirection::In { to: to.iter().map(|s| s.parse().unwrap()).collect() },
    };
    Rule {
        name: name(n),
        order,
        subject: subject.parse().unwrap(),
        app: name(app),
        direction,
        verdict,
        rate: Default::default(),
        record: Default::default(),
        when: Default::default(),
        conditions: Default::default(),
        monitor_until: None,
    }
}

/// The policy of the site for these SIMs, without the rules of these names.
pub fn policy(generation: u64, roles: &[Role], without: &[&str]) -> Policy {
    let mut apps = vec![
        app("files", FILES, &["tcp/443", "udp/53", "icmp"]),
        app("scada", SCADA, &[]),
        app("secret", SECRET, &["tcp/443"]),
        app("historian", HISTORIAN, &["udp/514"]),
    ];
    let mut rules = vec![
        rule("laptops-files", 1, "group:laptops", "files", &[], Verdict::Allow),
        rule("no-secret", 2, "any", "secret", &[], Verdict::Reject),
        rule("scada-reads", 3, "group:plcs", "scada", &["tcp/502"], Verdict::Allow),
        rule("plcs-log", 4, "group:plcs", "historian", &[], Verdict::Allow),
    ];
    let mut groups = vec![Role::Laptop.group(), Role::Plc.group()];
    for n in 0..3 {
        let t = format!("team-{n}");
        apps.push(app(&t, team(n), &["tcp/443"]));
        groups.push(name(&t));
        rules.push(rule(&t, 10 + i64::from(n), &format!("group:{t}"), &t, &[], Verdict::Allow));
    }
    rules.retain(|r| !without.contains(&r.name.as_str()));
    let ue = |(n, role): (usize, &Role)| UeGroups {
        imsi: imsi(n),
        groups: [role.group()].into(),
        device: None,
        person: None,
    };
    Policy {
        generation,
        data_networks: networks(),
        apps,
        groups: groups.into_iter().map(|name| Group::new(name, "")).collect(),
        rules,
        ues: roles.iter().enumerate().map(ue).collect(),
        risk: Default::default(),
    }
}
