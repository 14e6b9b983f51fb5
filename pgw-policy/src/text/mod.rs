//! The policy as one text: apps, groups, rules, templates and tests in a TOML file, and the same model as JSON.
//!
//! [`parse`] refuses a file whole and names everything that is wrong with it, each with its place; [`write()`] makes the
//! file of a model; what the one writes the other reads as the same. Fields are those of [`types::Rule`], [`types::App`]
//! and [`types::Group`] by their own reading, so that the file has whatever they have. Data networks are no part of it:
//! leases and routes hang on them, and a policy is no place to move those.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used))]

mod cases;
mod de;
mod expand;
mod finding;
mod read;
#[cfg(test)]
mod tests;
mod tree;
mod write;

pub use cases::{CaseResult, run};
pub use finding::{Finding, Place, Problem};
pub use read::{SECTIONS, parse, read};
pub use tree::Node;
pub use write::write;

use types::{App, Group, PolicyExtras, Rule};

/// What a policy file says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PolicyText {
    /// Apps.
    pub apps: Vec<App>,
    /// Groups.
    pub groups: Vec<Group>,
    /// Rules, but for those of templates.
    pub rules: Vec<Rule>,
    /// Templates, their uses, tests.
    pub extras: PolicyExtras,
}

/// A file that was read, with what its templates come to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parsed {
    /// What it says.
    pub text: PolicyText,
    /// The rules of its templates.
    pub generated: Vec<Rule>,
}

impl Parsed {
    /// All rules.
    pub fn rules(&self) -> Vec<Rule> {
        self.text.rules.iter().chain(&self.generated).cloned().collect()
    }
}

impl PolicyText {
    /// The file of what is stored: rules that its templates make are said by them.
    pub fn of(apps: Vec<App>, groups: Vec<Group>, rules: Vec<Rule>, extras: PolicyExtras) -> Self {
        let rules = rules.into_iter().filter(|r| extras.origin(&r.name).is_none()).collect();
        Self { apps, groups, rules, extras }
    }
}
