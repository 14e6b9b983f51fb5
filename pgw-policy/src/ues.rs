//! Which class each SIM is in: sorted pages that several generations share, so that a SIM's move copies one page and
//! the list of pages, whatever the number of SIMs. 16 octets a SIM.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used))]

use crate::{compile::ClassId, shared::Shared};
use serde::{Deserialize, Serialize};
use types::Imsi;

/// A page that grows beyond this is cut in two.
const FULL: usize = 512;

/// One SIM ([`Imsi::packed`]) with its class.
type Entry = (u64, ClassId);

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Ues {
    /// None is empty; each begins behind the end of the one before.
    pages: Vec<Shared<Vec<Entry>>>,
}

impl Ues {
    /// Of these, in any order; of two entries for one SIM one is taken.
    pub(crate) fn new(all: impl Iterator<Item = (Imsi, ClassId)>) -> Self {
        let mut all: Vec<Entry> = all.map(|(imsi, class)| (imsi.packed(), class)).collect();
        all.sort_unstable_by_key(|e| e.0);
        all.dedup_by_key(|e| e.0);
        Self { pages: all.chunks(FULL / 2).map(|page| Shared::new(page.to_vec())).collect() }
    }

    /// The class of a SIM that is listed.
    pub(crate) fn get(&self, imsi: Imsi) -> Option<ClassId> {
        let key = imsi.packed();
        let page = self.pages.get(self.page_of(key))?;
        page.binary_search_by_key(&key, |e| e.0).ok().and_then(|at| page.get(at)).map(|e| e.1)
    }

    /// The last page that begins at or before `key`; the first one where none does.
    fn page_of(&self, key: u64) -> usize {
        self.pages.partition_point(|p| p.first().is_some_and(|e| e.0 <= key)).saturating_sub(1)
    }

    /// Lists a SIM, or changes its class.
    pub(crate) fn set(&mut self, imsi: Imsi, class: ClassId) {
        let key = imsi.packed();
        let nth = self.page_of(key);
        let Some(page) = self.pages.get_mut(nth) else {
            return self.pages.push(Shared::new(vec![(key, class)]));
        };
        let page = page.make_mut();
        match page.binary_search_by_key(&key, |e| e.0) {
            Ok(at) => {
                if let Some(entry) = page.get_mut(at) {
                    entry.1 = class;
                }
            }
            Err(at) => page.insert(at, (key, class)),
        }
        if page.len() > FULL {
            let behind = page.split_off(FULL / 2);
            self.pages.insert(nth + 1, Shared::new(behind));
        }
    }

    /// Octets on the heap.
    pub(crate) fn heap(&self) -> usize {
        let pages: usize = self.pages.iter().map(|p| p.capacity() * size_of::<Entry>()).sum();
        pages + self.pages.capacity() * size_of::<Shared<Vec<Entry>>>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn imsi(n: u32) -> Imsi {
        format!("99970{n:010}").parse().unwrap()
    }

    proptest! {
        /// Against a plain map; what was made before a change does not see it.
        #[test]
        fn the_pages_are_a_map(first in prop::collection::vec((0u32..3_000, 0u32..9), 0..1_500),
                               then in prop::collection::vec((0u32..3_000, 0u32..9), 0..1_500)) {
            let mut model: BTreeMap<u32, u32> = first.iter().copied().collect();
            let mut ues = Ues::new(model.iter().map(|(n, c)| (imsi(*n), ClassId(*c))));
            let (before, old) = (ues.clone(), model.clone());
            for (n, class) in then {
                ues.set(imsi(n), ClassId(class));
                model.insert(n, class);
            }
            for n in 0..3_000 {
                prop_assert_eq!(ues.get(imsi(n)).map(|c| c.0), model.get(&n).copied());
                prop_assert_eq!(before.get(imsi(n)).map(|c| c.0), old.get(&n).copied());
            }
            prop_assert!(ues.pages.iter().all(|p| !p.is_empty() && p.len() <= FULL));
        }
    }
}
