//! What the records of the journal add up to.

use super::record::{Device, Entry, What};
use crate::link::{Revoked, Stored};
use std::collections::BTreeMap;
use types::{Imsi, Name};

/// Who is restricted, and where that is recorded (`None`: in force, not on the disk).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// SIMs that are cut.
    pub revoked: BTreeMap<Imsi, Revoked>,
    /// Devices that are cut.
    pub devices: BTreeMap<Device, Option<Stored>>,
    /// SIMs in quarantine.
    pub quarantined: BTreeMap<Imsi, Option<Stored>>,
    /// Groups in panic.
    pub panicked: BTreeMap<Name, Option<Stored>>,
}

impl State {
    /// What holds after `entry`.
    pub fn apply(&mut self, entry: &Entry, stored: Option<Stored>) {
        match &entry.what {
            What::Cut(imsi, _) => {
                self.revoked.extend(entry.revoked(stored).map(|r| (*imsi, r)));
            }
            What::Uncut(imsi) => {
                self.revoked.remove(imsi);
            }
            What::CutDevice(d) => {
                self.devices.insert(*d, stored);
            }
            What::UncutDevice(d) => {
                self.devices.remove(d);
            }
            What::Quarantine(imsi, true) => {
                self.quarantined.insert(*imsi, stored);
            }
            What::Quarantine(imsi, false) => {
                self.quarantined.remove(imsi);
            }
            What::Panic(group, true) => {
                self.panicked.insert(group.clone(), stored);
            }
            What::Panic(group, false) => {
                self.panicked.remove(group);
            }
        }
    }

    /// Where `what` is recorded, if it holds already.
    pub fn holds(&self, what: &What) -> Option<Option<Stored>> {
        match what {
            What::Cut(imsi, state) => self.revoked.get(imsi).filter(|r| r.state == *state).map(|r| r.stored),
            What::CutDevice(d) => self.devices.get(d).copied(),
            What::Quarantine(imsi, true) => self.quarantined.get(imsi).copied(),
            What::Panic(group, true) => self.panicked.get(group).copied(),
            _ => None,
        }
    }

    /// Notes where something is recorded that holds already. Nothing if it was taken back meanwhile.
    pub fn note(&mut self, what: &What, stored: Stored) {
        let place = match what {
            What::Cut(imsi, _) => self.revoked.get_mut(imsi).map(|r| &mut r.stored),
            What::CutDevice(d) => self.devices.get_mut(d),
            What::Quarantine(imsi, true) => self.quarantined.get_mut(imsi),
            What::Panic(group, true) => self.panicked.get_mut(group),
            _ => None,
        };
        if let Some(place) = place {
            *place = Some(stored);
        }
    }

    /// The restriction that `entry` would have lifted, if it is in force.
    pub fn opposite(&self, entry: &Entry) -> Option<Entry> {
        let what = match &entry.what {
            What::Uncut(imsi) => What::Cut(*imsi, self.revoked.get(imsi)?.state),
            What::UncutDevice(d) => self.devices.contains_key(d).then_some(What::CutDevice(*d))?,
            What::Quarantine(imsi, false) => {
                self.quarantined.contains_key(imsi).then_some(What::Quarantine(*imsi, true))?
            }
            What::Panic(group, false) => {
                self.panicked.contains_key(group).then(|| What::Panic(group.clone(), true))?
            }
            _ => return None,
        };
        let reason = "stays: its end could not be recorded".to_owned();
        Some(Entry { what, at: entry.at, actor: "journal".to_owned(), reason })
    }
}
