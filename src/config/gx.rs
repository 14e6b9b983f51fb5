//! `[gx]`: SMFs that ask us as their PCRF.

use super::{
    Fault,
    diameter::{Face, Peer, Sctp, Tls},
    line_of,
    n4::N4,
};
use hss::gx;
use ipnet::IpNet;
use serde::Deserialize;
use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr},
};
use wire::diameter::{Identity, application};

/// `[gx]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gx {
    /// Our Origin-Host, which is not that of `[s6a]`.
    pub host: String,
    /// Our Origin-Realm.
    pub realm: String,
    /// Where SMFs connect by TCP; port 3868 by RFC 6733 §11.4.
    #[serde(default)]
    pub listen: Option<SocketAddr>,
    /// Where they connect by TLS.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// Where they connect by SCTP.
    #[serde(default)]
    pub sctp: Option<Sctp>,
    /// The SMFs that are admitted.
    #[serde(default)]
    pub smf: Vec<Smf>,
}

/// `[[gx.smf]]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Smf {
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
    /// Leading digits of the IMSIs that it may ask for; all, where not given.
    #[serde(default)]
    pub imsis: Vec<String>,
    /// Ranges from which it assigns on its own; none, where not given: then every address is of our ledger.
    #[serde(default)]
    pub assigns: Vec<IpNet>,
    /// True where it is told what the SIM may reach.
    #[serde(default)]
    pub rules: bool,
}

impl Gx {
    /// What it has in common with other Diameter faces.
    pub(crate) fn face(&self) -> Face<'_> {
        Face {
            section: "gx",
            host: &self.host,
            realm: &self.realm,
            listen: self.listen,
            tls: self.tls.as_ref(),
            sctp: self.sctp.as_ref(),
            peers: self.smf.iter().map(Smf::peer).collect(),
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
        check(!self.smf.is_empty(), "gx.smf", "add a [[gx.smf]]: without one nobody may connect");
        let mut ranges: Vec<IpNet> = Vec::new();
        for r in self.smf.iter().flat_map(|s| &s.assigns) {
            let plain = *r == r.trunc();
            check(plain, "gx.smf.assigns", &format!("{r} has host bits set; write {}", r.trunc()));
            let taken = ranges.iter().find(|o| overlap(o, r));
            let what = taken.map(|o| format!("{r} and {o} overlap; an address has one owner"));
            check(taken.is_none(), "gx.smf.assigns", &what.unwrap_or_default());
            ranges.push(*r);
        }
        found
    }

    /// Where this section and `[n4]` disagree about whose an address is: a session has its address at both faces, or it is
    /// refused at one of them.
    pub(super) fn disagreements(&self, n4: &N4, text: &str) -> Vec<Fault> {
        let within = |r: &IpNet, all: &[IpNet]| all.iter().any(|a| a.contains(r));
        let assigned: Vec<IpNet> = self.smf.iter().flat_map(|s| s.assigns.iter().copied()).collect();
        let fault = |key: &str, what: String| Fault { line: line_of(text, key), key: key.to_owned(), what };
        let mut found = Vec::new();
        for (smf, r) in n4.smf.iter().flat_map(|s| s.own_range.iter().map(move |r| (s, r))) {
            if !within(r, &assigned) {
                let what = format!(
                    "{r} of {} stands in no gx.smf.assigns: its sessions would be refused at Gx",
                    smf.name
                );
                found.push(fault("n4.smf.own_range", what));
            }
        }
        for (smf, pfcp) in self.smf.iter().flat_map(|s| n4.smf.iter().map(move |p| (s, p))) {
            // The same one, as its address says.
            if !smf.addresses.contains(&pfcp.address) {
                continue;
            }
            for r in smf.assigns.iter().filter(|r| r.addr().is_ipv4() && !within(r, &pfcp.own_range)) {
                let what = format!(
                    "{r} of {} is not in own_range of {} in n4.smf, which has the same address: its sessions would be refused by PFCP",
                    smf.host, pfcp.name
                );
                found.push(fault("gx.smf.assigns", what));
            }
        }
        found
    }

    /// What each SMF is served.
    pub(crate) fn smfs(&self) -> Vec<gx::Smf> {
        let smf = |s: &Smf| {
            Some(gx::Smf {
                host: Identity::new(&s.host)?,
                realm: self.face().realm_of(s.realm.as_deref())?,
                imsis: s.imsis.clone(),
                assigns: s.assigns.clone(),
                rules: s.rules,
            })
        };
        self.smf.iter().filter_map(smf).collect()
    }

    /// Ranges of SMFs that overlap with one of these pools, with the SMF and the pool.
    pub fn overlaps<'a>(&'a self, pools: &'a [IpNet]) -> impl Iterator<Item = (&'a Smf, IpNet, IpNet)> {
        let of =
            move |s: &'a Smf, r: IpNet| pools.iter().filter(move |p| overlap(p, &r)).map(move |p| (s, r, *p));
        self.smf.iter().flat_map(move |s| s.assigns.iter().flat_map(move |r| of(s, *r)))
    }
}

impl Smf {
    fn peer(&self) -> Peer<'_> {
        Peer {
            table: "smf",
            host: &self.host,
            realm: self.realm.as_deref(),
            addresses: &self.addresses,
            certificate: self.certificate,
            imsis: &self.imsis,
            applications: BTreeSet::from([application::GX]),
        }
    }
}

/// True where two prefixes have an address in common.
pub(crate) fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}
