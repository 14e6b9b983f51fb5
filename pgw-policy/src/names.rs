//! The names that narrow apps: which servers a client may name (TLS server name), or may have looked up (DNS).
//!
//! A name never widens: prefix, service and rule have allowed the flow before anybody asks for its name.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used))]

use crate::compile::{AppIdx, ClassId, Compiled};
use crate::predicate::Known;
use serde::{Deserialize, Serialize};
use types::{App, NamePattern, NamesFrom, ServerName};

/// The names of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Names {
    from: NamesFrom,
    /// Sorted.
    patterns: Vec<NamePattern>,
}

impl Names {
    /// By search, not by a walk: lists may be long.
    fn lists(&self, name: &ServerName) -> bool {
        let has = |pattern: NamePattern| self.patterns.binary_search(&pattern).is_ok();
        has(NamePattern::Exact(name.clone()))
            || name.parents().filter_map(|p| p.parse().ok()).any(|p| has(NamePattern::Below(p)))
    }
}

/// The names of all apps that have any, by app; of most policies this is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct AppNames(Vec<(AppIdx, Names)>);

impl AppNames {
    /// Of apps that are numbered in this order.
    pub(crate) fn build(apps: &[App]) -> Self {
        let sorted = |app: &App| {
            let mut patterns = app.names.clone();
            patterns.sort_unstable();
            Names { from: app.names_from, patterns }
        };
        let all = apps.iter().zip((0..).map(AppIdx)).filter(|(app, _)| !app.names.is_empty());
        Self(all.map(|(app, idx)| (idx, sorted(app))).collect())
    }

    fn of(&self, app: Option<AppIdx>) -> Option<&Names> {
        let at = self.0.binary_search_by_key(&app?, |(a, _)| *a).ok()?;
        self.0.get(at).map(|(_, names)| names)
    }

    /// The apps whose names come from look-ups.
    fn looked_up(&self) -> impl Iterator<Item = (AppIdx, &Names)> {
        self.0.iter().filter(|(_, n)| n.from == NamesFrom::Dns).map(|(app, n)| (*app, n))
    }
}

impl Compiled {
    /// The names that narrow an app, sorted; none where it takes whatever is spoken.
    pub fn names_of(&self, app: Option<AppIdx>) -> &[NamePattern] {
        self.names.of(app).map_or(&[], |n| &n.patterns)
    }

    /// How it is seen that a flow is to one of an app's names, where it has any.
    pub fn names_from(&self, app: Option<AppIdx>) -> Option<NamesFrom> {
        self.names.of(app).map(|n| n.from)
    }

    /// True where a flow to this server is one to this app.
    pub(crate) fn lists(&self, app: Option<AppIdx>, name: &ServerName) -> bool {
        self.names.of(app).is_some_and(|n| n.lists(name))
    }

    /// True where any app's names come from look-ups.
    pub(crate) fn has_lookups(&self) -> bool {
        self.names.looked_up().next().is_some()
    }

    /// True where this is the name of an app whose names come from look-ups.
    pub(crate) fn looks_up(&self, name: &ServerName) -> bool {
        self.names.looked_up().any(|(_, n)| n.lists(name))
    }

    /// True where SIMs of this class may come to reach such an app, whatever may be known of them, or a grant opens one.
    pub(crate) fn opens_lookups(&self, class: ClassId, known: &Known) -> bool {
        let open = Known::most_open();
        self.names.looked_up().any(|(app, _)| {
            known.grants.binary_search(&app).is_ok()
                || self.outward(class, &open, app).hit.is_some_and(|hit| hit.act.allows())
        })
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
                names: names.to_vec(), names_from: NamesFrom::Tls, dscp: None, qfi: None,
                sensitivity: Default::default(), health: None,
            };
            let name: ServerName = name.parse().unwrap();
            let all = AppNames::build(&[app(&[]), app(&names)]);
            let lists = |app| all.of(Some(AppIdx(app))).is_some_and(|n| n.lists(&name));
            prop_assert_eq!(lists(1), names.iter().any(|p| p.covers(&name)));
            prop_assert!(!lists(0) && !lists(2));
        }
    }
}
