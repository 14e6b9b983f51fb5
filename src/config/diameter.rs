//! What `[s6a]` and `[gx]` have in common: who we are to Diameter peers, where they connect, and how a peer is known.

use super::{Fault, Transport, line_of};
use hss::diameter;
use serde::Deserialize;
use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};
use wire::diameter::Identity;

/// `[s6a.tls]`, `[gx.tls]`: TLS with certificates on both sides.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// Where; port 5658 by RFC 6733 §11.4.
    pub listen: SocketAddr,
    /// Our certificate, and those between it and its authority, PEM.
    pub certificate: PathBuf,
    /// Its key, PEM.
    pub private_key: PathBuf,
    /// The authorities whose certificates peers show, PEM.
    pub ca: PathBuf,
}

/// `[s6a.sctp]`, `[gx.sctp]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sctp {
    /// Where; port 3868 by RFC 6733 §11.4.
    pub listen: SocketAddr,
    /// How SCTP is carried.
    #[serde(default)]
    pub transport: Transport,
    /// UDP port of `transport = "udp"`, 9899 by RFC 6951.
    #[serde(default = "super::reference_points::default_sctp_udp_port")]
    pub udp_port: u16,
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

/// What a section says of us.
pub(crate) struct Face<'a> {
    /// The section.
    pub(crate) section: &'static str,
    /// Our Origin-Host.
    pub(crate) host: &'a str,
    /// Our Origin-Realm.
    pub(crate) realm: &'a str,
    /// Where peers connect by TCP.
    pub(crate) listen: Option<SocketAddr>,
    /// By TLS.
    pub(crate) tls: Option<&'a Tls>,
    /// By SCTP.
    pub(crate) sctp: Option<&'a Sctp>,
    /// Its peers.
    pub(crate) peers: Vec<Peer<'a>>,
}

/// What it says of a peer.
pub(crate) struct Peer<'a> {
    /// Its table: `mme`, `smf`.
    pub(crate) table: &'static str,
    /// Its Origin-Host.
    pub(crate) host: &'a str,
    /// Its Origin-Realm.
    pub(crate) realm: Option<&'a str>,
    /// Where it comes from.
    pub(crate) addresses: &'a [IpAddr],
    /// Whether it must show a certificate.
    pub(crate) certificate: bool,
    /// Leading digits of the IMSIs that it may ask for.
    pub(crate) imsis: &'a [String],
    /// Applications that it is served.
    pub(crate) applications: BTreeSet<u32>,
}

const NAME: &str = "a name of letters, digits, '-', '_' and '.', for example hss.localdomain";

impl Face<'_> {
    /// Each way in that is configured.
    pub(crate) fn ways(&self) -> Vec<Way> {
        let all = [
            ("listen", "TCP", 3868, self.listen),
            ("tls.listen", "TLS", 5658, self.tls.map(|t| t.listen)),
            ("sctp.listen", "SCTP", 3868, self.sctp.map(|s| s.listen)),
        ];
        all.into_iter().filter_map(|(key, word, usual, at)| Some(Way { key, word, usual, at: at? })).collect()
    }

    /// Our addresses, as the answer to a CER names them.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        self.ways().iter().map(|w| w.at.ip()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The list of peers for their connections. The names were checked.
    pub(crate) fn entries(&self) -> Vec<diameter::Entry> {
        let entry = |p: &Peer<'_>| {
            Some(diameter::Entry {
                host: Identity::new(p.host)?,
                realm: self.realm_of(p.realm)?,
                addresses: p.addresses.to_vec(),
                certificate: p.certificate,
                applications: p.applications.clone(),
            })
        };
        self.peers.iter().filter_map(entry).collect()
    }

    /// A peer's Origin-Realm.
    pub(crate) fn realm_of(&self, its: Option<&str>) -> Option<Identity> {
        Identity::new(its.unwrap_or(self.realm))
    }

    /// What parses and cannot be right.
    pub(super) fn faults(&self, text: &str) -> Vec<Fault> {
        let mut found = Vec::new();
        let section = self.section;
        let mut check = |ok: bool, key: &str, what: &str| {
            if !ok {
                let key = format!("{section}{}{key}", if key.is_empty() { "" } else { "." });
                found.push(Fault { line: line_of(text, &key), key, what: what.to_owned() });
            }
        };
        let name = |n: &str| Identity::new(n).is_some();
        check(name(self.host), "host", NAME);
        check(name(self.realm), "realm", NAME);
        let ways = self.ways();
        for w in &ways {
            let what = format!("write ADDRESS:PORT; {} is the usual port", w.usual);
            check(w.at.port() != 0, w.key, &what);
        }
        let where_to = format!(
            "say where peers connect: listen = \"ADDRESS:3868\", or [{section}.tls], or [{section}.sctp]"
        );
        check(!ways.is_empty(), "", &where_to);
        for (i, p) in self.peers.iter().enumerate() {
            let mut check = |ok: bool, key: &str, what: &str| check(ok, &format!("{}.{key}", p.table), what);
            let twin = self.peers.iter().take(i).any(|o| o.host.eq_ignore_ascii_case(p.host));
            check(!twin, "host", "two peers have this name; an Origin-Host is one peer");
            check(name(p.host), "host", NAME);
            check(p.realm.is_none_or(name), "realm", NAME);
            let from = "write where its connection comes from, for example [\"127.0.0.2\"]";
            check(!p.addresses.is_empty(), "addresses", from);
            let tls = format!("add [{section}.tls]: without TLS nobody is asked for a certificate");
            check(!p.certificate || self.tls.is_some(), "certificate", &tls);
            let digits = |p: &String| (5..=15).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit());
            check(
                p.imsis.iter().all(digits),
                "imsis",
                "5 to 15 leading digits of IMSIs, for example [\"99970\"]",
            );
        }
        found
    }
}
