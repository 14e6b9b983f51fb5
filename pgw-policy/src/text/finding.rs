//! What is wrong with a policy file: where, what, and what comes nearest to what was meant.

use super::{
    de::{Fault, Step, Why},
    tree::Node,
};
use crate::validate;
use std::ops::Range;
use types::Name;

/// A place in a file, as editors count: from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Where in the file; `None` for what did not come from one.
    pub place: Option<Place>,
    /// JSON pointer (RFC 6901) into the model.
    pub pointer: String,
    /// What of the policy is meant, for example `rule staff-wiki`; empty for the file as such.
    pub item: String,
    /// Its field; empty for the whole item.
    pub field: String,
    /// What is wrong.
    pub problem: Problem,
    pub(super) span: Range<usize>,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// It is no TOML; in the words of its reader.
    Syntax(String),
    /// No field has this name.
    UnknownField {
        /// As it stands there.
        name: String,
        /// What comes nearest.
        near: Option<String>,
        /// All that there are.
        known: Vec<&'static str>,
    },
    /// Data networks are no part of a policy file.
    DataNetworks,
    /// A section that is not a list of tables.
    NotAList(&'static str),
    /// A field that must be there.
    Missing(String),
    /// What stands there cannot be read as the field's type; in its words.
    Value(String),
    /// It can be read, but it does not fit the rest.
    Unsound {
        /// What is wrong.
        problem: validate::Problem,
        /// Where a name is not known: what comes nearest.
        near: Option<Name>,
    },
    /// There is no such time zone.
    Zone(String),
    /// Two of one kind have this name.
    Duplicate(String),
    /// A rule has a name as only the rules of this use have.
    NameOfUse(Name),
    /// No template has this name.
    UnknownTemplate {
        /// As it stands there.
        name: String,
        /// What comes nearest.
        near: Option<String>,
    },
    /// A template is made of itself, by these.
    Loop(Vec<String>),
    /// The template has no such parameter.
    UnknownParameter {
        /// As it stands there.
        name: String,
        /// What comes nearest.
        near: Option<String>,
    },
    /// The use does not say what this parameter is.
    MissingParameter(String),
    /// The templates come to more rules than anybody can mean.
    TooManyRules,
    /// A test names neither an app nor an address, or both.
    AppOrAddress,
    /// A flow has one port.
    OnePort,
}

/// More findings than this help nobody.
pub(super) const MOST: usize = 200;

/// Collects findings.
#[derive(Default)]
pub(super) struct Findings(pub(super) Vec<Finding>);

/// The item that findings are about.
#[derive(Clone)]
pub(super) struct About {
    pub(super) pointer: String,
    pub(super) item: String,
}

impl About {
    pub(super) fn file() -> Self {
        Self { pointer: String::new(), item: String::new() }
    }

    /// The `at`th of a section.
    pub(super) fn of(section: &str, at: usize, node: &Node) -> Self {
        let kind = section.strip_suffix('s').unwrap_or(section);
        let item = match node.name_of("name") {
            Some(name) => format!("{kind} {name}"),
            None => format!("{kind} {}", at + 1),
        };
        Self { pointer: format!("/{section}/{at}"), item }
    }
}

impl Findings {
    /// True where more help nobody.
    pub(super) fn are_enough(&self) -> bool {
        self.0.len() >= MOST
    }

    /// What comes nearest to a name, as long as somebody will see it: looking at every name for every fault takes long.
    pub(super) fn nearest<'a>(&self, name: &str, all: impl Iterator<Item = &'a str>) -> Option<&'a str> {
        if self.are_enough() { None } else { nearest(name, all) }
    }

    pub(super) fn add(&mut self, about: &About, way: &[Step], span: &Range<usize>, problem: Problem) {
        let mut pointer = about.pointer.clone();
        let mut field = String::new();
        for step in way.iter().rev() {
            match step {
                Step::Field(name) => {
                    pointer.push('/');
                    pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                    if !field.is_empty() {
                        field.push('.');
                    }
                    field.push_str(name);
                }
                Step::Item(at) => {
                    pointer.push_str(&format!("/{at}"));
                    field.push_str(&format!("[{at}]"));
                }
            }
        }
        let item = about.item.clone();
        self.0.push(Finding { place: None, pointer, item, field, problem, span: span.clone() });
    }

    pub(super) fn fault(&mut self, about: &About, node: &Node, fault: &Fault) {
        let mut span = fault.span.clone().unwrap_or_else(|| node.span.clone());
        let mut way = fault.way.clone();
        let problem = match &fault.why {
            Why::Says(words) => {
                // A word in backquotes is the field that does not go with the others.
                let meant = words.split('`').nth(1).and_then(|f| Some((f, node.field(f)?)));
                if let (true, Some((field, value))) = (way.is_empty(), meant) {
                    way.push(Step::Field(field.to_owned()));
                    span = value.span.clone();
                }
                Problem::Value(words.clone())
            }
            Why::Missing(field) => Problem::Missing((*field).to_owned()),
            Why::Unknown { name, known } => {
                let near = self.nearest(name, known.iter().copied()).map(str::to_owned);
                Problem::UnknownField { name: name.clone(), near, known: known.to_vec() }
            }
        };
        self.add(about, &way, &span, problem);
    }
}

/// Where the lines of a text begin: many findings ask for their places.
pub(super) struct Places<'t> {
    text: &'t str,
    begins: Vec<usize>,
}

impl<'t> Places<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let behind = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { text, begins: std::iter::once(0).chain(behind).collect() }
    }

    /// The place of an octet of the text.
    pub(super) fn of(&self, at: usize) -> Place {
        let at = if self.text.is_char_boundary(at) { at } else { self.text.len() };
        let line = self.begins.partition_point(|begin| *begin <= at);
        let begin = self.begins.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let column = self.text.get(begin..at).unwrap_or_default().chars().count() + 1;
        Place { line, column }
    }
}

/// Longer names than this are nobody's slip of the hand: no field and no name of ours is so long.
const LONGEST: usize = 64;

/// The one of `all` that differs by least, where that is little enough to be a slip of the hand.
fn nearest<'a>(name: &str, all: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let letters = name.chars().take(LONGEST + 1).count();
    if letters > LONGEST {
        return None;
    }
    let few = (letters / 3).clamp(1, 3);
    // Each letter that one has more is one to put in or take out. Octets are at least as many as letters.
    let may_be = |other: &&str| {
        other.len() + few >= letters && other.chars().take(letters + few + 1).count() <= letters + few
    };
    all.filter(may_be)
        .map(|other| (distance(name, other), other))
        .filter(|(d, _)| *d <= few)
        .min()
        .map(|(_, other)| other)
}

/// Letters to put in, take out, change or swap with their neighbour (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let at = |r: &[usize], n: usize| r.get(n).copied().unwrap_or(usize::MAX - 1);
            let change = at(&row, j) + usize::from(x != y);
            let swapped = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            let swap = if swapped { at(&before, j - 1) + 1 } else { change };
            next.push(change.min(swap).min(at(&row, j + 1) + 1).min(at(&next, j) + 1));
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_hand_is_near_and_another_word_is_not() {
        let all = ["subject", "service", "order", "app"];
        let near = |name| nearest(name, all.into_iter());
        assert_eq!(near("subjetc"), Some("subject"));
        assert_eq!(near("services"), Some("service"));
        assert_eq!(near("ap"), Some("app"));
        assert_eq!((near("verdict"), near("x")), (None, None));
        assert_eq!(nearest("ラベレ", ["ラベル", "x"].into_iter()), Some("ラベル"));
        let long = "a".repeat(64);
        assert_eq!(nearest(&long, [long.as_str()].into_iter()), Some(long.as_str()));
        let longer = "a".repeat(65);
        assert_eq!(nearest(&longer, [longer.as_str()].into_iter()), None, "it is not looked at");
    }

    #[test]
    fn columns_are_characters() {
        assert_eq!(Places::new("a = 1\nラベル = 2").of(16), Place { line: 2, column: 5 });
        assert_eq!(Places::new("").of(0), Place { line: 1, column: 1 });
        assert_eq!(Places::new("x").of(9), Place { line: 1, column: 2 });
    }
}
