//! `[gx]`: SMFs that ask us as their PCRF.

use super::{Fault, line_of};
use hss::{diameter, gx};
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
    pub listen: SocketAddr,
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
    /// What parses and cannot be right.
    pub(super) fn faults(&self, text: &str) -> Vec<Fault> {
        let mut found = Vec::new();
        let mut check = |ok: bool, key: &str, what: &str| {
            if !ok {
                found.push(Fault { line: line_of(text, key), key: key.to_owned(), what: what.to_owned() });
            }
        };
        let name = |n: &str| Identity::new(n).is_some();
        const NAME: &str = "a name of letters, digits, '-', '_' and '.', for example pcrf.localdomain";
        check(name(&self.host), "gx.host", NAME);
        check(name(&self.realm), "gx.realm", NAME);
        check(self.listen.port() != 0, "gx.listen", "write ADDRESS:PORT; 3868 is the usual port");
        check(!self.smf.is_empty(), "gx.smf", "add a [[gx.smf]]: without one nobody may connect");
        let mut ranges: Vec<IpNet> = Vec::new();
        for (i, s) in self.smf.iter().enumerate() {
            let twin = self.smf.iter().take(i).any(|o| o.host.eq_ignore_ascii_case(&s.host));
            check(!twin, "gx.smf.host", "two SMFs have this name; an Origin-Host is one peer");
            check(name(&s.host), "gx.smf.host", NAME);
            check(s.realm.as_deref().is_none_or(name), "gx.smf.realm", NAME);
            let from = "write where its connection comes from, for example [\"127.0.0.4\"]";
            check(!s.addresses.is_empty(), "gx.smf.addresses", from);
            let digits = |p: &String| (5..=15).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit());
            check(
                s.imsis.iter().all(digits),
                "gx.smf.imsis",
                "5 to 15 leading digits of IMSIs, for example [\"99970\"]",
            );
            for r in &s.assigns {
                let plain = *r == r.trunc();
                check(plain, "gx.smf.assigns", &format!("{r} has host bits set; write {}", r.trunc()));
                let taken = ranges.iter().find(|o| overlap(o, r));
                let what = taken.map(|o| format!("{r} and {o} overlap; an address has one owner"));
                check(taken.is_none(), "gx.smf.assigns", &what.unwrap_or_default());
                ranges.push(*r);
            }
        }
        found
    }

    /// The list of peers for their connections. The names were checked.
    pub(crate) fn entries(&self) -> Vec<diameter::Entry> {
        let entry = |s: &Smf| {
            Some(diameter::Entry {
                host: Identity::new(&s.host)?,
                realm: self.realm_of(s)?,
                addresses: s.addresses.clone(),
                certificate: false,
                applications: BTreeSet::from([application::GX]),
            })
        };
        self.smf.iter().filter_map(entry).collect()
    }

    /// What each SMF is served.
    pub(crate) fn smfs(&self) -> Vec<gx::Smf> {
        let smf = |s: &Smf| {
            Some(gx::Smf {
                host: Identity::new(&s.host)?,
                realm: self.realm_of(s)?,
                imsis: s.imsis.clone(),
                assigns: s.assigns.clone(),
                rules: s.rules,
            })
        };
        self.smf.iter().filter_map(smf).collect()
    }

    /// Ranges of SMFs that overlap with one of these pools, with the SMF and the pool.
    pub fn overlaps<'a>(&'a self, pools: &'a [IpNet]) -> impl Iterator<Item = (&'a Smf, IpNet, IpNet)> {
        let of = move |s: &'a Smf, r: IpNet| {
            pools.iter().filter(move |p| overlap(p, &r)).map(move |p| (s, r, *p))
        };
        self.smf.iter().flat_map(move |s| s.assigns.iter().flat_map(move |r| of(s, *r)))
    }

    fn realm_of(&self, s: &Smf) -> Option<Identity> {
        Identity::new(s.realm.as_ref().unwrap_or(&self.realm))
    }
}

/// True where two prefixes have an address in common.
pub(crate) fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}
