//! From a text to the model: everything that is wrong is named at once.

use super::{
    Parsed, PolicyText,
    de::{Fault, Of, Step, Why},
    expand::expand,
    finding::{About, Finding, Findings, MOST, Places, Problem},
    tree::{Key, Node, Value},
};
use crate::{
    clock,
    policy::Policy,
    validate::{self, Item, PolicyError, validate},
};
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use toml::de::DeTable;
use types::{App, Group, Name, PolicyExtras, PolicyTest, Protocol, Rule, Template, TemplateUse};

/// The sections of a policy file.
pub const SECTIONS: &[&str] = &["groups", "apps", "rules", "templates", "uses", "tests"];

/// Reads a file. `Err` holds every finding, in the order of the file.
pub fn parse(text: &str) -> Result<Parsed, Vec<Finding>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut found = Findings::default();
    // What follows the first is mostly made by it.
    for e in errors.iter().take(1) {
        let span = e.span().unwrap_or(0..0);
        found.add(&About::file(), &[], &span, Problem::Syntax(e.message().to_owned()));
    }
    let read = if errors.is_empty() {
        let root = Node::of_table(table.get_ref(), table.span());
        whole(&root, &mut found)
    } else {
        None
    };
    match read {
        Some(parsed) if found.0.is_empty() => Ok(parsed),
        _ => {
            let places = Places::new(text);
            let mut all = sorted(found);
            all.iter_mut().for_each(|f| f.place = Some(places.of(f.span.start)));
            Err(all)
        }
    }
}

/// Reads a model that came as JSON.
pub fn read(root: &Node) -> Result<Parsed, Vec<Finding>> {
    let mut found = Findings::default();
    match whole(root, &mut found) {
        Some(parsed) if found.0.is_empty() => Ok(parsed),
        _ => Err(sorted(found)),
    }
}

fn sorted(mut found: Findings) -> Vec<Finding> {
    found.0.sort_by_key(|f| f.span.start);
    found.0.dedup();
    found.0.truncate(MOST);
    found.0
}

/// The items of one kind that could be read, each with its part of the tree.
struct Section<'n, T> {
    read: Vec<(About, &'n Node, T)>,
}

impl<T: Clone> Section<'_, T> {
    fn values(&self) -> Vec<T> {
        self.read.iter().map(|(_, _, v)| v.clone()).collect()
    }
}

fn whole(root: &Node, found: &mut Findings) -> Option<Parsed> {
    top(root, found);
    let groups: Section<'_, Group> = section(root, "groups", &[], found);
    let apps: Section<'_, App> = section(root, "apps", &[("prefixes", Value::List(Vec::new()))], found);
    let rules: Section<'_, Rule> = section(root, "rules", &rule_base(), found);
    let templates: Section<'_, Template> = section(root, "templates", &[], found);
    let uses: Section<'_, TemplateUse> = section(root, "uses", &[("template", text("x"))], found);
    let base = [("expect", text("allow")), ("service", text("tcp/1"))];
    let tests: Section<'_, PolicyTest> = section(root, "tests", &base, found);

    let list = |name| root.field(name).map(Node::items).unwrap_or_default();
    let generated = expand(list("templates"), list("uses"), found);
    let mut made: Vec<(About, &Node, Rule)> = Vec::new();
    for (about, node) in &generated {
        made.extend(item(about, node, &rule_base(), found).map(|rule| (about.clone(), node, rule)));
    }
    for kind in ["templates", "uses", "tests"] {
        duplicates(kind, list(kind), found);
    }
    names_of_uses(&rules, list("uses"), found);
    let parsed = Parsed {
        text: PolicyText {
            apps: apps.values(),
            groups: groups.values(),
            rules: rules.values(),
            extras: PolicyExtras {
                templates: templates.values(),
                uses: uses.values(),
                tests: tests.values(),
            },
        },
        generated: made.iter().map(|(_, _, r)| r.clone()).collect(),
    };
    let all = All { root, groups: &groups, apps: &apps, rules: &rules, made: &made };
    all.unsound(&parsed, found);
    all.zones(found);
    all.tests(&tests, found);
    Some(parsed)
}

fn text(s: &str) -> Value {
    Value::Text(s.to_owned())
}

/// What stands in the place of a field of a rule that could not be read, so that the others are read, too.
fn rule_base() -> [(&'static str, Value); 5] {
    [
        ("order", Value::Int(0)),
        ("subject", text("any")),
        ("app", text("x")),
        ("direction", text("out")),
        ("verdict", text("allow")),
    ]
}

fn top(root: &Node, found: &mut Findings) {
    for (key, node) in root.fields() {
        let name = key.name.as_str();
        let Some(section) = SECTIONS.iter().find(|s| **s == name) else {
            let problem = match name {
                "data_networks" | "data-networks" | "data_network" => Problem::DataNetworks,
                _ => {
                    let near = found.nearest(name, SECTIONS.iter().copied()).map(str::to_owned);
                    Problem::UnknownField { name: name.to_owned(), near, known: SECTIONS.to_vec() }
                }
            };
            found.add(&About::file(), &[Step::Field(name.to_owned())], &key.span, problem);
            continue;
        };
        let tables = |items: &[Node]| items.iter().all(|n| matches!(n.value, Value::Table(_)));
        if !matches!(&node.value, Value::List(items) if tables(items)) {
            let way = [Step::Field(name.to_owned())];
            found.add(&About::file(), &way, &node.span, Problem::NotAList(section));
        }
    }
    if !matches!(root.value, Value::Table(_)) {
        found.add(&About::file(), &[], &root.span, Problem::Value("a policy is a table".to_owned()));
    }
}

fn section<'n, T: DeserializeOwned>(
    root: &'n Node,
    name: &str,
    base: &[(&'static str, Value)],
    found: &mut Findings,
) -> Section<'n, T> {
    let items = root.field(name).map(Node::items).unwrap_or_default();
    let mut read = Vec::new();
    for (at, node) in items.iter().enumerate().filter(|(_, n)| matches!(n.value, Value::Table(_))) {
        let about = About::of(name, at, node);
        if let Some(value) = item(&about, node, base, found) {
            read.push((about, node, value));
        }
    }
    Section { read }
}

/// Reads one item. A field that cannot be read is named and set aside, until all that is wrong has been named.
fn item<T: DeserializeOwned>(
    about: &About,
    node: &Node,
    base: &[(&'static str, Value)],
    found: &mut Findings,
) -> Option<T> {
    let mut rest = node.clone();
    let mut clean = true;
    for _ in 0..64 {
        let fault: Fault = match T::deserialize(Of(&rest)) {
            Ok(value) => return clean.then_some(value),
            Err(fault) => fault,
        };
        clean = false;
        found.fault(about, &rest, &fault);
        let field = match (&fault.why, fault.way.last()) {
            (_, Some(Step::Field(name))) => name.clone(),
            (Why::Missing(name), None) => (*name).to_owned(),
            _ => return None,
        };
        let Value::Table(fields) = &mut rest.value else { return None };
        fields.retain(|(k, _)| k.name != field);
        let stand_in = base.iter().find(|(name, _)| *name == field).map(|(_, v)| v.clone());
        if let Some(value) = stand_in.or_else(|| (field == "name").then(|| text("x"))) {
            fields.push((Key { name: field, span: 0..0 }, Node::new(value)));
        }
    }
    None
}

fn duplicates(kind: &str, items: &[Node], found: &mut Findings) {
    let mut seen = BTreeSet::new();
    for (at, node) in items.iter().enumerate() {
        let Some(name) = node.field("name") else { continue };
        let text = name.text().unwrap_or_default();
        if !seen.insert(text) {
            let about = About::of(kind, at, node);
            let problem = Problem::Duplicate(text.to_owned());
            found.add(&about, &[Step::Field("name".to_owned())], &name.span, problem);
        }
    }
}

/// A rule of its own may not look like one of a use.
fn names_of_uses(rules: &Section<'_, Rule>, uses: &[Node], found: &mut Findings) {
    let uses: BTreeSet<&str> = uses.iter().filter_map(|u| u.name_of("name")).collect();
    for (about, node, rule) in &rules.read {
        let before = |(dot, _)| rule.name.as_str().get(..dot).filter(|n| uses.contains(n));
        let owner = rule.name.as_str().match_indices('.').find_map(before).and_then(|n| n.parse().ok());
        if let (Some(owner), Some(name)) = (owner, node.field("name")) {
            found.add(about, &[Step::Field("name".to_owned())], &name.span, Problem::NameOfUse(owner));
        }
    }
}

/// All that was read, to be looked at together.
struct All<'a, 'n> {
    root: &'n Node,
    groups: &'a Section<'n, Group>,
    apps: &'a Section<'n, App>,
    rules: &'a Section<'n, Rule>,
    made: &'a [(About, &'n Node, Rule)],
}

impl<'n> All<'_, 'n> {
    /// Every name of a section, also of what could not be read.
    fn names(&self, section: &str) -> BTreeSet<&'n str> {
        let items = self.root.field(section).map(Node::items).unwrap_or_default();
        items.iter().filter_map(|n| n.name_of("name")).collect()
    }

    fn unsound(&self, parsed: &Parsed, found: &mut Findings) {
        let policy = Policy {
            apps: parsed.text.apps.clone(),
            groups: parsed.text.groups.clone(),
            rules: parsed.rules(),
            ..Policy::default()
        };
        let (apps, groups) = (self.names("apps"), self.names("groups"));
        for e in validate(&policy).err().unwrap_or_default() {
            if found.are_enough() {
                break;
            }
            let unknown = match &e.problem {
                validate::Problem::UnknownApp(n) => Some((n, &apps)),
                validate::Problem::UnknownGroup(n) => Some((n, &groups)),
                _ => None,
            };
            self.tell(&e, unknown, found);
        }
    }

    /// Tells of what is wrong; where a name is not known, with the names that are.
    fn tell(&self, e: &PolicyError, unknown: Option<(&Name, &BTreeSet<&str>)>, found: &mut Findings) {
        // One that is there and could not be read has its own finding.
        if unknown.is_some_and(|(n, known)| known.contains(n.as_str())) {
            return;
        }
        let near =
            unknown.and_then(|(n, known)| found.nearest(n.as_str(), known.iter().copied())?.parse().ok());
        let Some((about, node)) = self.part(e) else { return };
        let (way, span) = at_field(node, e);
        found.add(&about, &way, &span, Problem::Unsound { problem: e.problem.clone(), near });
    }

    /// Where the thing stands that a finding is about: of two with one name the second.
    fn part(&self, e: &PolicyError) -> Option<(About, &'n Node)> {
        let last = |n: &Node, name: &str| n.name_of("name") == Some(name);
        match &e.item {
            Item::App(name) => of(&self.apps.read, |n| last(n, name.as_str())),
            Item::Group(name) => of(&self.groups.read, |n| last(n, name.as_str())),
            Item::Rule(name) => {
                let made = of(self.made, |n| last(n, name.as_str()));
                made.or_else(|| of(&self.rules.read, |n| last(n, name.as_str())))
            }
            _ => None,
        }
    }

    /// Hours of a time zone that there is not.
    fn zones(&self, found: &mut Findings) {
        for (about, node, rule) in self.rules.read.iter().chain(self.made) {
            let zone = rule.when.hours.as_ref().map(types::Hours::zone).filter(|z| !clock::is_zone(z));
            if let (Some(zone), Some(hours)) = (zone, node.field("hours")) {
                let way = [Step::Field("hours".to_owned())];
                found.add(about, &way, &hours.span, Problem::Zone(zone.to_owned()));
            }
        }
    }

    fn tests(&self, tests: &Section<'_, PolicyTest>, found: &mut Findings) {
        let (apps, groups) = (self.names("apps"), self.names("groups"));
        for (about, node, test) in &tests.read {
            if found.are_enough() {
                break;
            }
            let at = |found: &mut Findings, field: &str, nth: Option<usize>, problem| {
                let mut way: Vec<Step> = nth.map(Step::Item).into_iter().collect();
                way.push(Step::Field(field.to_owned()));
                let part = node.field(field);
                let inner = nth.and_then(|n| part.and_then(|p| p.items().get(n)));
                let span = inner.or(part).map_or(&node.span, |n| &n.span);
                found.add(about, &way, span, problem);
            };
            if test.app.is_some() == test.address.is_some() {
                at(found, "app", None, Problem::AppOrAddress);
            }
            if test.service.protocol != Protocol::Icmp
                && test.service.ports.first() != test.service.ports.last()
            {
                at(found, "service", None, Problem::OnePort);
            }
            if let Some(app) = test.app.as_ref().filter(|a| !apps.contains(a.as_str())) {
                let near = found.nearest(app.as_str(), apps.iter().copied()).and_then(|n| n.parse().ok());
                let problem = validate::Problem::UnknownApp(app.clone());
                at(found, "app", None, Problem::Unsound { problem, near });
            }
            for (nth, group) in test.groups.iter().enumerate() {
                if !groups.contains(group.as_str()) {
                    let near =
                        found.nearest(group.as_str(), groups.iter().copied()).and_then(|n| n.parse().ok());
                    let problem = validate::Problem::UnknownGroup(group.clone());
                    at(found, "groups", Some(nth), Problem::Unsound { problem, near });
                }
            }
        }
    }
}

fn of<'n, T>(read: &[(About, &'n Node, T)], is: impl Fn(&Node) -> bool) -> Option<(About, &'n Node)> {
    read.iter().rev().find(|(_, n, _)| is(n)).map(|(about, n, _)| (about.clone(), *n))
}

/// The field of a finding, and of a list the very item where the finding names it.
fn at_field(node: &Node, e: &PolicyError) -> (Vec<Step>, std::ops::Range<usize>) {
    let step = Step::Field(e.field.to_owned());
    let Some(field) = node.field(e.field) else { return (vec![step], node.span.clone()) };
    let words = e.problem.to_string();
    let said = |n: &&Node| n.text().is_some_and(|t| words.split([' ', ',', ';']).any(|w| w == t));
    let twice =
        matches!(e.problem, validate::Problem::RepeatedPrefix(_) | validate::Problem::RepeatedName(_));
    let items = field.items();
    let nth = if twice { items.iter().rposition(|n| said(&n)) } else { items.iter().position(|n| said(&n)) };
    match nth.and_then(|n| Some((n, items.get(n)?))) {
        Some((n, item)) => (vec![Step::Item(n), step], item.span.clone()),
        None => (vec![step], field.span.clone()),
    }
}
