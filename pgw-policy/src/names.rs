//! The names that narrow apps: which servers a client may name (TLS server name).
//!
//! A name never widens: prefix, service and rule have allowed the flow before anybody asks for its name.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used))]

use crate::compile::AppIdx;
use serde::{Deserialize, Serialize};
use types::{App, NamePattern, ServerName};

/// The names of all apps that have any; of most policies this is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct AppNames(
    /// By app; each list sorted.
    Vec<(AppIdx, Vec<NamePattern>)>,
);

impl AppNames {
    /// Of apps that are numbered in this order.
    pub(crate) fn build(apps: &[App]) -> Self {
        let sorted = |app: &App| {
            let mut names = app.names.clone();
            names.sort_unstable();
            names
        };
        let all = apps.iter().zip((0..).map(AppIdx)).filter(|(app, _)| !app.names.is_empty());
        Self(all.map(|(app, idx)| (idx, sorted(app))).collect())
    }

    /// The names of this app, sorted; none for an app that takes whatever is spoken.
    pub(crate) fn of(&self, app: AppIdx) -> &[NamePattern] {
        let at = self.0.binary_search_by_key(&app, |(a, _)| *a).ok();
        at.and_then(|at| self.0.get(at)).map_or(&[], |(_, names)| names)
    }

    /// True where a client of this app may name this server. By search, not by a walk: lists may be long.
    pub(crate) fn lists(&self, app: AppIdx, name: &ServerName) -> bool {
        let has = |pattern: NamePattern| self.of(app).binary_search(&pattern).is_ok();
        has(NamePattern::Exact(name.clone()))
            || name.parents().filter_map(|p| p.parse().ok()).any(|p| has(NamePattern::Below(p)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The search finds what a walk over the patterns finds.
        #[test]
        fn a_list_is_searched_as_it_is_read(
            patterns in prop::collection::vec("(\\*\\.)?[ab](\\.[ab]){0,2}", 0..8), name in "[ab](\\.[ab]){0,3}",
        ) {
            let names: Vec<NamePattern> = patterns.iter().map(|p| p.parse().unwrap()).collect();
            let app = |names: &[NamePattern]| App {
                name: "x".parse().unwrap(), label: String::new(), prefixes: vec![], services: vec![],
                names: names.to_vec(), dscp: None, qfi: None, sensitivity: Default::default(), health: None,
            };
            let name: ServerName = name.parse().unwrap();
            let all = AppNames::build(&[app(&[]), app(&names)]);
            prop_assert_eq!(all.lists(AppIdx(1), &name), names.iter().any(|p| p.covers(&name)));
            prop_assert!(!all.lists(AppIdx(0), &name) && !all.lists(AppIdx(2), &name));
        }
    }
}
