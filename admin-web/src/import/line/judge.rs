//! A line against what the store has.

use super::{Column, Facts, Finding, Line};
use hss::{Algorithm, SqnMode, SqnState, Vault};
use std::collections::BTreeMap;
use store::{
    ImportEdit, ImportFacts, ImportNames, NewSimKeys, SimEdit, SimLinks, SimRow, SqnRow, Store, StoreError,
};
use types::{Dnn, Imsi, SimState, Utc};

const GIGABIT: u64 = 1_000_000_000;

/// What is to become of a line.
pub(in crate::import) enum Verdict {
    /// Nothing: it has errors.
    Wrong(Vec<Finding>),
    /// A new SIM; without its row where nothing is to be written.
    New(Option<Box<SimRow>>),
    /// A SIM that is there and differs in these columns.
    Changed(Box<ImportEdit>, Vec<&'static str>),
    /// A SIM that is there and is as the line says.
    Same,
}

/// What the store has of everything that these lines name.
pub(in crate::import) async fn look_up(
    store: &Store,
    vault: &Vault,
    lines: &[Line],
) -> Result<ImportFacts, StoreError> {
    if lines.is_empty() {
        return Ok(ImportFacts::default());
    }
    let mut names = ImportNames::default();
    for l in lines {
        names.imsis.push(l.imsi);
        names.iccids.extend(l.iccid.clone().flatten());
        names.keys.extend(l.keys.as_ref().map(|k| vault.fingerprint_of(k).0.to_vec()));
        names.ips.extend(l.static_ips.iter().flat_map(BTreeMap::values));
        names.devices.extend(l.asset.clone().flatten());
        names.people.extend(l.person.clone().flatten());
        names.sites.extend(l.site.clone().flatten());
    }
    store.import_facts(&names).await
}

impl Line {
    /// Judges the line against what the store has. `seals` says whether keys are to be sealed for writing.
    pub(in crate::import) fn judge(
        mut self,
        there: &ImportFacts,
        facts: &Facts,
        vault: &mut Vault,
        replace_keys: bool,
        seals: bool,
        at: Utc,
    ) -> Verdict {
        let mut found = self.taken(there, vault);
        match there.sims.get(&self.imsi) {
            None => {
                for (column, missing) in [
                    (Column::K, self.keys.is_none()),
                    (Column::Opc, self.keys.is_none()),
                    (Column::Dnns, self.dnns.as_ref().is_none_or(Vec::is_empty)),
                ] {
                    if missing {
                        found.push(Finding::new(self.line, column.name(), "needed"));
                    }
                }
                found.extend(self.addresses_outside(self.dnns.as_deref().unwrap_or_default(), facts));
                if found.is_empty() {
                    Verdict::New(self.row(vault, seals, at))
                } else {
                    Verdict::Wrong(found)
                }
            }
            Some(old) if old.state == SimState::Retired => {
                Verdict::Wrong(vec![Finding::new(self.line, "imsi", "retired")])
            }
            Some(old) => {
                let dnns = self.dnns.clone().unwrap_or_else(|| old.dnns.clone());
                found.extend(self.addresses_outside(&dnns, facts));
                // A card does not change its algorithm.
                if self.keys.as_ref().is_some_and(|k| Algorithm::of(k).as_str() != old.algorithm) {
                    found.push(Finding::new(self.line, "k", "key-algorithm").text(&old.algorithm));
                }
                let other_key = self.has_other_key(old, vault);
                if other_key && !replace_keys {
                    found.push(Finding::new(self.line, "k", "key-differs"));
                }
                if !found.is_empty() {
                    return Verdict::Wrong(found);
                }
                self.edit(old, other_key, vault, at)
            }
        }
    }

    /// What another SIM of the store has.
    fn taken(&self, there: &ImportFacts, vault: &Vault) -> Vec<Finding> {
        let mut found = Vec::new();
        let mut check = |column: &str, owner: Option<&Imsi>| {
            if let Some(o) = owner.filter(|o| **o != self.imsi) {
                found.push(Finding::new(self.line, column, "taken").other(o.to_string()));
            }
        };
        check("iccid", self.iccid.as_ref().and_then(|i| there.iccids.get(i.as_ref()?)));
        if !there.keys.is_empty() {
            let of_key = |k| there.keys.get(vault.fingerprint_of(k).0.as_slice());
            check("k", self.keys.as_ref().and_then(of_key));
        }
        if !there.addresses.is_empty() {
            for (dnn, ip) in self.static_ips.iter().flatten() {
                check("static_ips", there.addresses.get(&(dnn.clone(), *ip)));
            }
        }
        for (column, name, known) in [
            ("asset", &self.asset, &there.devices),
            ("person", &self.person, &there.people),
            ("site", &self.site, &there.sites),
        ] {
            if let Some(Some(n)) = name
                && !known.contains(n)
            {
                found.push(Finding::new(self.line, column, "no-entity").text(n.as_str()));
            }
        }
        found
    }

    fn addresses_outside(&self, dnns: &[Dnn], facts: &Facts) -> Vec<Finding> {
        let outside = |d: &&Dnn| !dnns.contains(d) || !facts.pools.contains_key(*d);
        let wrong = self.static_ips.iter().flat_map(BTreeMap::keys).filter(outside);
        wrong.map(|d| Finding::new(self.line, "static_ips", "static-dnn").text(d.as_str())).collect()
    }

    fn has_other_key(&self, old: &SimRow, vault: &Vault) -> bool {
        let Some(keys) = &self.keys else { return false };
        if old.fingerprint.as_deref() != Some(vault.fingerprint_of(keys).0.as_slice()) {
            return true;
        }
        let sealed = old.sealed.as_ref().and_then(|b| hss::SealedKeys::from_bytes(b).ok());
        // One that does not open is not the same either.
        sealed.and_then(|s| vault.open(&s, self.imsi).ok()).is_none_or(|there| there != *keys)
    }

    fn sqn_row(&self, at: Utc) -> SqnRow {
        let state = match self.exported_seq {
            Some(seq) => SqnState::imported(seq, at),
            None => SqnState::fresh(at),
        };
        let mode = match self.profile.mode {
            SqnMode::Time => "time",
            SqnMode::Counter => "counter",
        };
        SqnRow {
            mode: mode.to_owned(),
            ind_bits: self.profile.ind_bits,
            node_bits: self.profile.node_bits,
            delta: self.profile.delta,
            max_ahead: self.profile.max_ahead,
            offset: state.offset,
            ceiling: state.ceiling,
            resyncs: state.resyncs,
        }
    }

    fn sealed(&self, vault: &mut Vault) -> Option<(Vec<u8>, Vec<u8>)> {
        let keys = self.keys.as_ref()?;
        let sealed = vault.seal_card(self.imsi, keys).as_bytes().to_vec();
        Some((sealed, vault.fingerprint_of(keys).0.to_vec()))
    }

    fn row(self, vault: &mut Vault, seals: bool, at: Utc) -> Option<Box<SimRow>> {
        if !seals {
            return None;
        }
        let algorithm = Algorithm::of(self.keys.as_ref()?);
        let (sealed, fingerprint) = self.sealed(vault)?;
        Some(Box::new(SimRow {
            imsi: self.imsi,
            state: self.state.unwrap_or(SimState::Ready),
            sealed: Some(sealed),
            fingerprint: Some(fingerprint),
            algorithm: algorithm.as_str().to_owned(),
            sqn: self.sqn_row(at),
            iccid: self.iccid.flatten(),
            label: self.label.unwrap_or_default(),
            dnns: self.dnns.unwrap_or_default(),
            slices: self.slices.unwrap_or_default(),
            static_ips: self.static_ips.unwrap_or_default(),
            groups: self.groups.unwrap_or_default(),
            ambr_ul_bps: self.ul.unwrap_or(GIGABIT),
            ambr_dl_bps: self.dl.unwrap_or(GIGABIT),
            device: self.device.flatten(),
            links: SimLinks {
                device: self.asset.flatten(),
                person: self.person.flatten(),
                site: self.site.flatten(),
            },
            version: 0,
            created: at,
            changed: at,
            last_seen: None,
        }))
    }

    /// What differs from the SIM that is there.
    fn edit(&mut self, old: &SimRow, other_key: bool, vault: &mut Vault, at: Utc) -> Verdict {
        fn differs<T: PartialEq>(
            name: &'static str,
            new: Option<T>,
            old: &T,
            fields: &mut Vec<&'static str>,
        ) -> Option<T> {
            let new = new.filter(|n| n != old)?;
            fields.push(name);
            Some(new)
        }
        let mut fields = Vec::new();
        let f = &mut fields;
        let edit = SimEdit {
            iccid: differs("iccid", self.iccid.take(), &old.iccid, f),
            label: differs("label", self.label.take(), &old.label, f),
            dnns: differs("dnns", self.dnns.take(), &old.dnns, f),
            slices: differs("slices", self.slices.take(), &old.slices, f),
            static_ips: differs("static_ips", self.static_ips.take(), &old.static_ips, f),
            groups: differs("groups", self.groups.take(), &old.groups, f),
            ambr_ul_bps: differs("ambr_ul_bps", self.ul, &old.ambr_ul_bps, f),
            ambr_dl_bps: differs("ambr_dl_bps", self.dl, &old.ambr_dl_bps, f),
            device: differs("device", self.device.take(), &old.device, f),
            linked_device: differs("asset", self.asset.take(), &old.links.device, f),
            person: differs("person", self.person.take(), &old.links.person, f),
            site: differs("site", self.site.take(), &old.links.site, f),
        };
        let state = self.state.filter(|to| state_follows(old.state, *to));
        fields.extend(state.map(|_| "state"));
        let keys = if other_key { self.sealed(vault) } else { None };
        let keys =
            keys.map(|(sealed, fingerprint)| NewSimKeys { sealed, fingerprint, sqn: self.sqn_row(at) });
        fields.extend(keys.as_ref().map(|_| "k"));
        if fields.is_empty() {
            return Verdict::Same;
        }
        Verdict::Changed(Box::new(ImportEdit { imsi: self.imsi, edit, state, keys }), fields)
    }
}

/// Whether a SIM in state `from` takes the state of its line. A supplier's file says `ready` for ever, also of a SIM that
/// is in use by now; and what is suspended, banned or retired stays so.
fn state_follows(from: SimState, to: SimState) -> bool {
    use SimState::{Active, Ready, Stock};
    matches!((from, to), (Stock, Ready | Active) | (Ready, Active | Stock) | (Active, Stock))
}
