//! A list that several generations share: a change copies one page and the list of pages, not the whole.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used))]

use crate::shared::Shared;
use serde::{Deserialize, Serialize};

/// How many stand in one page.
const PAGE: u32 = 128;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Paged<T> {
    /// All but the last are full.
    pages: Vec<Shared<Vec<T>>>,
    len: u32,
}

impl<T> Default for Paged<T> {
    fn default() -> Self {
        Self { pages: Vec::new(), len: 0 }
    }
}

impl<T: Clone> Paged<T> {
    pub(crate) fn len(&self) -> u32 {
        self.len
    }

    pub(crate) fn get(&self, at: u32) -> Option<&T> {
        self.pages.get((at / PAGE) as usize)?.get((at % PAGE) as usize)
    }

    /// Puts another one in the place of one that is there.
    pub(crate) fn set(&mut self, at: u32, value: T) {
        let page = self.pages.get_mut((at / PAGE) as usize);
        if let Some(place) = page.and_then(|p| p.make_mut().get_mut((at % PAGE) as usize)) {
            *place = value;
        }
    }

    pub(crate) fn push(&mut self, value: T) {
        if self.len.is_multiple_of(PAGE) {
            self.pages.push(Shared::default());
        }
        if let Some(page) = self.pages.last_mut() {
            page.make_mut().push(value);
            self.len += 1;
        }
    }
}

impl<T: Clone> FromIterator<T> for Paged<T> {
    fn from_iter<I: IntoIterator<Item = T>>(all: I) -> Self {
        let mut new = Self::default();
        all.into_iter().for_each(|value| new.push(value));
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_leaves_what_was_made_before_as_it_was() {
        let before: Paged<u32> = (0..1_000).collect();
        let mut after = before.clone();
        after.set(700, 7);
        after.push(1_000);
        after.set(5_000, 1);
        let all = |p: &Paged<u32>| (0..p.len()).map(|at| *p.get(at).unwrap()).collect::<Vec<_>>();
        assert_eq!(all(&before), (0..1_000).collect::<Vec<_>>());
        assert_eq!(
            (after.len(), after.get(700), after.get(1_000), after.get(1_001)),
            (1_001, Some(&7), Some(&1_000), None)
        );
        assert_eq!(all(&after).iter().zip(all(&before)).filter(|(a, b)| **a != *b).count(), 1);
    }
}
