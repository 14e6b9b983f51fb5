//! `[s6a]`: MMEs that ask us as their HSS.

use super::{Fault, line_of};
use hss::{diameter, s6a};
use serde::Deserialize;
use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};
use types::Plmn;
use wire::diameter::{Identity, application};

/// `[s6a]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S6a {
    /// Our Origin-Host.
    pub host: String,
    /// Our Origin-Realm.
    pub realm: String,
    /// Where MMEs connect by TCP; port 3868 by RFC 6733 §11.4.
    pub listen: SocketAddr,
    /// The MMEs that are admitted.
    #[serde(default)]
    pub mme: Vec<Mme>,
}

/// `[[s6a.mme]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mme {
    /// Its Origin-Host.
    pub host: String,
    /// Its Origin-Realm; ours, where not given.
    #[serde(default)]
    pub realm: Option<String>,
    /// Where its connection comes from.
    pub addresses: Vec<IpAddr>,
    /// What it is served: `s6a`, `s13`, or both.
    #[serde(default = "only_s6a")]
    pub applications: Vec<Application>,
    /// Networks that it may ask for; `network.plmn`, where not given.
    #[serde(default)]
    pub plmns: Vec<Plmn>,
    /// Leading digits of the IMSIs that it may ask for; all, where not given.
    #[serde(default)]
    pub imsis: Vec<String>,
    /// Most vectors in one answer, 1 to 5.
    #[serde(default = "one")]
    pub vectors: u32,
}

/// An application of an MME.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Application {
    /// HSS.
    S6a,
    /// EIR: it may ask about devices.
    S13,
}

impl Application {
    fn number(self) -> u32 {
        match self {
            Self::S6a => application::S6A,
            Self::S13 => application::S13,
        }
    }
}

fn only_s6a() -> Vec<Application> {
    vec![Application::S6a]
}

fn one() -> u32 {
    1
}

impl S6a {
    /// What parses and cannot be right.
    pub(super) fn faults(&self, text: &str) -> Vec<Fault> {
        let mut found = Vec::new();
        let mut check = |ok: bool, key: &str, what: &str| {
            if !ok {
                found.push(Fault { line: line_of(text, key), key: key.to_owned(), what: what.to_owned() });
            }
        };
        let name = |n: &str| Identity::new(n).is_some();
        const NAME: &str = "a name of letters, digits, '-', '_' and '.', for example hss.localdomain";
        check(name(&self.host), "s6a.host", NAME);
        check(name(&self.realm), "s6a.realm", NAME);
        check(self.listen.port() != 0, "s6a.listen", "write ADDRESS:PORT; 3868 is the usual port");
        check(!self.mme.is_empty(), "s6a.mme", "add an [[s6a.mme]]: without one nobody may connect");
        for (i, m) in self.mme.iter().enumerate() {
            let twin = self.mme.iter().take(i).any(|o| o.host.eq_ignore_ascii_case(&m.host));
            check(!twin, "s6a.mme.host", "two MMEs have this name; an Origin-Host is one peer");
            check(name(&m.host), "s6a.mme.host", NAME);
            check(m.realm.as_deref().is_none_or(name), "s6a.mme.realm", NAME);
            let from = "write where its connection comes from, for example [\"127.0.0.2\"]";
            check(!m.addresses.is_empty(), "s6a.mme.addresses", from);
            let digits = |p: &String| (5..=15).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit());
            check(
                m.imsis.iter().all(digits),
                "s6a.mme.imsis",
                "5 to 15 leading digits of IMSIs, for example [\"99970\"]",
            );
            let served = "name what it is served: [\"s6a\"], [\"s13\"] or both";
            check(!m.applications.is_empty(), "s6a.mme.applications", served);
            check((1..=5).contains(&m.vectors), "s6a.mme.vectors", "1 to 5; more than one outlives a ban");
        }
        found
    }

    /// The list of peers for their connections. The names were checked.
    pub(crate) fn entries(&self) -> Vec<diameter::Entry> {
        let entry = |m: &Mme| {
            Some(diameter::Entry {
                host: Identity::new(&m.host)?,
                realm: self.realm_of(m)?,
                addresses: m.addresses.clone(),
                certificate: false,
                applications: m.applications.iter().map(|a| a.number()).collect(),
            })
        };
        self.mme.iter().filter_map(entry).collect()
    }

    /// What each MME is served.
    pub(crate) fn mmes(&self, ours: Plmn) -> Vec<s6a::Mme> {
        let mme = |(node, m): (u64, &Mme)| {
            Some(s6a::Mme {
                host: Identity::new(&m.host)?,
                realm: self.realm_of(m)?,
                node,
                plmns: if m.plmns.is_empty() { vec![ours] } else { m.plmns.clone() },
                imsis: m.imsis.clone(),
                vectors: m.vectors,
            })
        };
        (1..).zip(&self.mme).filter_map(mme).collect()
    }

    fn realm_of(&self, m: &Mme) -> Option<Identity> {
        Identity::new(m.realm.as_ref().unwrap_or(&self.realm))
    }
}
