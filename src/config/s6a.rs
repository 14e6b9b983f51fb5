//! `[s6a]`: MMEs that ask us as their HSS, and as their EIR.

use super::{
    Fault,
    diameter::{Face, Peer, Sctp, Tls},
    line_of,
};
use hss::s6a;
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};
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
    #[serde(default)]
    pub listen: Option<SocketAddr>,
    /// Where they connect by TLS.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// Where they connect by SCTP.
    #[serde(default)]
    pub sctp: Option<Sctp>,
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
    /// True where it must show a certificate of its name, which only TLS asks for.
    #[serde(default)]
    pub certificate: bool,
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
    /// What it has in common with other Diameter faces.
    pub(crate) fn face(&self) -> Face<'_> {
        Face {
            section: "s6a",
            host: &self.host,
            realm: &self.realm,
            listen: self.listen,
            tls: self.tls.as_ref(),
            sctp: self.sctp.as_ref(),
            peers: self.mme.iter().map(Mme::peer).collect(),
        }
    }

    /// What parses and cannot be right.
    pub(super) fn faults(&self, text: &str) -> Vec<Fault> {
        let mut found = self.face().faults(text);
        let mut check = |ok: bool, key: &str, what: &str| {
            if !ok {
                found.push(Fault { line: line_of(text, key), key: key.to_owned(), what: what.to_owned() });
            }
        };
        check(!self.mme.is_empty(), "s6a.mme", "add an [[s6a.mme]]: without one nobody may connect");
        for m in &self.mme {
            let served = "name what it is served: [\"s6a\"], [\"s13\"] or both";
            check(!m.applications.is_empty(), "s6a.mme.applications", served);
            check((1..=5).contains(&m.vectors), "s6a.mme.vectors", "1 to 5; more than one outlives a ban");
        }
        found
    }

    /// What each MME is served.
    pub(crate) fn mmes(&self, ours: Plmn) -> Vec<s6a::Mme> {
        let mme = |(node, m): (u64, &Mme)| {
            Some(s6a::Mme {
                host: Identity::new(&m.host)?,
                realm: self.face().realm_of(m.realm.as_deref())?,
                node,
                plmns: if m.plmns.is_empty() { vec![ours] } else { m.plmns.clone() },
                imsis: m.imsis.clone(),
                vectors: m.vectors,
            })
        };
        (1..).zip(&self.mme).filter_map(mme).collect()
    }
}

impl Mme {
    fn peer(&self) -> Peer<'_> {
        Peer {
            table: "mme",
            host: &self.host,
            realm: self.realm.as_deref(),
            addresses: &self.addresses,
            certificate: self.certificate,
            imsis: &self.imsis,
            applications: self.applications.iter().map(|a| a.number()).collect(),
        }
    }
}
