//! Which MME serves each SIM, and how many SIMs each of them serves.

use std::collections::BTreeMap;
use types::Imsi;
use wire::diameter::Identity;

#[derive(Default)]
pub(super) struct Served {
    by: BTreeMap<Imsi, Identity>,
    /// Counted as it changes: a look at all SIMs for each MME would hold the others up.
    at: BTreeMap<Identity, usize>,
}

impl Served {
    pub fn by(&self, imsi: Imsi) -> Option<&Identity> {
        self.by.get(&imsi)
    }

    pub fn at(&self, mme: &Identity) -> usize {
        self.at.get(mme).copied().unwrap_or_default()
    }

    pub fn mmes(&self) -> impl Iterator<Item = &Identity> {
        self.by.values()
    }

    /// From this moment on it is this MME; who it was before.
    pub fn put(&mut self, imsi: Imsi, mme: Identity) -> Option<Identity> {
        *self.at.entry(mme.clone()).or_default() += 1;
        let before = self.by.insert(imsi, mme);
        self.one_less(before.as_ref());
        before
    }

    pub fn remove(&mut self, imsi: Imsi) {
        let before = self.by.remove(&imsi);
        self.one_less(before.as_ref());
    }

    fn one_less(&mut self, mme: Option<&Identity>) {
        let Some(mme) = mme else { return };
        if let Some(n) = self.at.get_mut(mme) {
            *n -= 1;
            if *n == 0 {
                self.at.remove(mme);
            }
        }
    }
}

impl FromIterator<(Imsi, Identity)> for Served {
    fn from_iter<T: IntoIterator<Item = (Imsi, Identity)>>(all: T) -> Self {
        let mut served = Self::default();
        for (imsi, mme) in all {
            served.put(imsi, mme);
        }
        served
    }
}
