//! `[s6a]`: MMEs that ask us as their HSS.

use super::{Fault, Transport, line_of};
use hss::{diameter, s6a};
use serde::Deserialize;
use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
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

/// `[s6a.tls]`: TLS with certificates on both sides.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Where; port 5658 by RFC 6733 §11.4.
    pub listen: SocketAddr,
    /// Our certificate, and those between it and its authority, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub private_key: PathBuf,
    /// The authorities whose certificates MMEs show, PEM.
    pub ca: PathBuf,
}

/// `[s6a.sctp]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sctp {
    /// Where; port 3868 by RFC 6733 §11.4.
    pub listen: SocketAddr,
    /// How SCTP is carried.
    #[serde(default)]
    pub transport: Transport,
    /// UDP port of `transport = "udp"`, 9899 by RFC 6951.
    #[serde(default = "super::default_sctp_udp_port")]
    pub udp_port: u16,
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

/// A way in.
pub(crate) struct Way {
    key: &'static str,
    /// Its transport.
    pub(crate) word: &'static str,
    usual: u16,
    /// Where.
    pub(crate) at: SocketAddr,
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
        let ways = self.ways();
        for w in &ways {
            let what = format!("write ADDRESS:PORT; {} is the usual port", w.usual);
            check(w.at.port() != 0, w.key, &what);
        }
        check(
            !ways.is_empty(),
            "s6a",
            "say where MMEs connect: listen = \"ADDRESS:3868\", or [s6a.tls], or [s6a.sctp]",
        );
        check(!self.mme.is_empty(), "s6a.mme", "add an [[s6a.mme]]: without one nobody may connect");
        for (i, m) in self.mme.iter().enumerate() {
            let twin = self.mme.iter().take(i).any(|o| o.host.eq_ignore_ascii_case(&m.host));
            check(!twin, "s6a.mme.host", "two MMEs have this name; an Origin-Host is one peer");
            check(name(&m.host), "s6a.mme.host", NAME);
            check(m.realm.as_deref().is_none_or(name), "s6a.mme.realm", NAME);
            let from = "write where its connection comes from, for example [\"127.0.0.2\"]";
            check(!m.addresses.is_empty(), "s6a.mme.addresses", from);
            check(
                !m.certificate || self.tls.is_some(),
                "s6a.mme.certificate",
                "add [s6a.tls]: without TLS nobody is asked for a certificate",
            );
            let digits = |p: &String| (5..=15).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit());
            check(
                m.imsis.iter().all(digits),
                "s6a.mme.imsis",
                "5 to 15 leading digits of IMSIs, for example [\"99970\"]",
            );
            check((1..=5).contains(&m.vectors), "s6a.mme.vectors", "1 to 5; more than one outlives a ban");
        }
        found
    }

    /// Each way in that is configured.
    pub(crate) fn ways(&self) -> Vec<Way> {
        let all = [
            ("s6a.listen", "TCP", 3868, self.listen),
            ("s6a.tls.listen", "TLS", 5658, self.tls.as_ref().map(|t| t.listen)),
            ("s6a.sctp.listen", "SCTP", 3868, self.sctp.as_ref().map(|s| s.listen)),
        ];
        all.into_iter().filter_map(|(key, word, usual, at)| Some(Way { key, word, usual, at: at? })).collect()
    }

    /// Our addresses, as the answer to a CER names them.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        self.ways().iter().map(|w| w.at.ip()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The list of peers for their connections. The names were checked.
    pub(crate) fn entries(&self) -> Vec<diameter::Entry> {
        let entry = |m: &Mme| {
            Some(diameter::Entry {
                host: Identity::new(&m.host)?,
                realm: self.realm_of(m)?,
                addresses: m.addresses.clone(),
                certificate: m.certificate,
                applications: BTreeSet::from([application::S6A]),
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
