//! Templates: each use becomes rules whose names begin with its own.

use super::{
    de::Step,
    finding::{About, Findings, Problem},
    tree::{Key, Node, Value},
};
use std::collections::{BTreeMap, BTreeSet};

/// More than this is a slip of the hand, or an attack by doubling.
const MOST: usize = 50_000;
/// Parts of the tree that templates come to in all: so many rules with all their fields, and what is said to them. A list
/// that is handed on twice doubles with each level. A long text counts for several.
const MOST_PARTS: usize = 1_500_000;
/// What is said to a parameter is a value or a list; deeper than this it is neither.
const DEEPEST_VALUE: usize = 8;
/// A text that is filled in grows to so many octets at most: nothing that is meant is so long.
const LONGEST: usize = 1000;
/// So many templates may lie in one another.
const DEEPEST: usize = 32;

/// Looks at all templates whether they are used or not, and makes the rules of all uses. Each rule with the use that
/// it comes from.
pub(super) fn expand(templates: &[Node], uses: &[Node], found: &mut Findings) -> Vec<(About, Node)> {
    let mut by_name = BTreeMap::new();
    for (at, template) in templates.iter().enumerate() {
        // Of two with one name the first; the other is told of elsewhere.
        if let Some(name) = template.name_of("name") {
            by_name.entry(name).or_insert((at, template));
        }
    }
    let mut all = Expansion { by_name, made: Vec::new(), steps: 0, room: MOST_PARTS, told: false, found };
    let mut seen = BTreeSet::new();
    let mut looped = false;
    for (at, template) in templates.iter().enumerate() {
        let about = About::of("templates", at, template);
        all.placeholders(&about, template);
        looped |= all.loops(&about, template, &mut Vec::new(), &mut seen);
    }
    for (at, u) in uses.iter().enumerate().filter(|_| !looped) {
        let about = About::of("uses", at, u);
        let name = u.name_of("name").unwrap_or_default().to_owned();
        all.apply(&about, &name, u, &[], 0);
    }
    all.made
}

struct Expansion<'a> {
    by_name: BTreeMap<&'a str, (usize, &'a Node)>,
    made: Vec<(About, Node)>,
    steps: usize,
    room: usize,
    /// It is said that they come to too much.
    told: bool,
    found: &'a mut Findings,
}

fn list<'a>(node: &'a Node, field: &str) -> &'a [Node] {
    node.field(field).map(Node::items).unwrap_or_default()
}

fn parameters(template: &Node) -> impl Iterator<Item = &str> {
    list(template, "parameters").iter().filter_map(Node::text)
}

impl<'a> Expansion<'a> {
    /// True (and a finding) where templates come back to themselves. Each is walked once.
    fn loops(
        &mut self,
        about: &About,
        template: &'a Node,
        way: &mut Vec<&'a str>,
        seen: &mut BTreeSet<&'a str>,
    ) -> bool {
        let Some(name) = template.name_of("name").filter(|n| seen.insert(n)) else { return false };
        if way.len() > DEEPEST {
            self.too_many(about, &template.span);
            return true;
        }
        way.push(name);
        let mut looped = false;
        for (at, u) in list(template, "uses").iter().enumerate() {
            let Some(target) = u.name_of("template") else { continue };
            if let Some(from) = way.iter().position(|w| *w == target) {
                looped = true;
                let steps = way.iter().skip(from).chain([&target]).map(|s| (*s).to_owned()).collect();
                let span = u.field("template").map_or(&u.span, |n| &n.span);
                let field = ["template", "uses"].map(|f| Step::Field(f.to_owned()));
                let [inner, outer] = field;
                self.found.add(about, &[inner, Step::Item(at), outer], span, Problem::Loop(steps));
            } else if let Some(&(nth, next)) = self.by_name.get(target) {
                looped |= self.loops(&About::of("templates", nth, next), next, way, seen);
            } else {
                self.unknown(about, u);
            }
        }
        way.pop();
        looped
    }

    fn too_many(&mut self, about: &About, span: &std::ops::Range<usize>) {
        if !std::mem::replace(&mut self.told, true) {
            self.found.add(about, &[], span, Problem::TooManyRules);
        }
    }

    /// Names each `${…}` that is none of the template's parameters.
    fn placeholders(&mut self, about: &About, template: &Node) {
        let known: BTreeSet<&str> = parameters(template).collect();
        for field in ["rules", "uses"] {
            for text in texts(template.field(field)) {
                for name in asked(text.text().unwrap_or_default()) {
                    if !known.contains(name) {
                        let near = self.found.nearest(name, known.iter().copied()).map(str::to_owned);
                        let problem = Problem::UnknownParameter { name: name.to_owned(), near };
                        self.found.add(about, &[Step::Field(field.to_owned())], &text.span, problem);
                    }
                }
            }
        }
    }

    fn unknown(&mut self, about: &About, u: &Node) {
        let Some(name) = u.name_of("template") else { return };
        let near = self.found.nearest(name, self.by_name.keys().copied()).map(str::to_owned);
        let span = u.field("template").map_or(&u.span, |n| &n.span);
        let problem = Problem::UnknownTemplate { name: name.to_owned(), near };
        self.found.add(about, &[Step::Field("template".to_owned())], span, problem);
    }

    /// Makes the rules of one use, whose own placeholders stand for `outer`.
    fn apply(&mut self, about: &About, prefix: &str, u: &Node, outer: &[(Key, Node)], depth: usize) {
        self.steps += 1;
        if self.steps > MOST || self.made.len() > MOST || depth > DEEPEST {
            return self.too_many(about, &u.span);
        }
        let Some(&(_, template)) = u.name_of("template").and_then(|n| self.by_name.get(n)) else {
            // One within a template is told there.
            if depth == 0 {
                self.unknown(about, u);
            }
            return;
        };
        let mut with: Vec<(Key, Node)> = u
            .field("with")
            .map(Node::fields)
            .unwrap_or_default()
            .iter()
            .map(|(k, v)| (k.clone(), filled(v, outer, &mut self.room)))
            .collect();
        if self.room == 0 {
            return self.too_many(about, &u.span);
        }
        with.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
        if !self.fits(about, template, u, &with) {
            return;
        }
        for rule in list(template, "rules") {
            let mut rule = filled(rule, &with, &mut self.room);
            if self.room == 0 {
                return self.too_many(about, &u.span);
            }
            if let Value::Table(fields) = &mut rule.value
                && let Some((_, name)) = fields.iter_mut().find(|(k, _)| k.name == "name")
                && let Value::Text(text) = &mut name.value
            {
                *text = format!("{prefix}.{text}");
            }
            self.made.push((about.clone(), rule));
        }
        for inner in list(template, "uses") {
            let name = inner.field("name").map(|n| filled(n, &with, &mut self.room));
            let name = name.as_ref().and_then(Node::text).unwrap_or_default();
            self.apply(about, &format!("{prefix}.{name}"), inner, &with, depth + 1);
        }
    }

    /// True where the use says what each parameter is, and nothing else.
    fn fits(&mut self, about: &About, template: &Node, u: &Node, with: &[(Key, Node)]) -> bool {
        let before = self.found.0.len();
        let known: BTreeSet<&str> = parameters(template).collect();
        let way = |name: &str| [Step::Field(name.to_owned()), Step::Field("with".to_owned())];
        for (key, _) in with.iter().filter(|(k, _)| !known.contains(k.name.as_str())) {
            let near = self.found.nearest(&key.name, known.iter().copied()).map(str::to_owned);
            let problem = Problem::UnknownParameter { name: key.name.clone(), near };
            self.found.add(about, &way(&key.name), &key.span, problem);
        }
        for name in known.iter().filter(|n| value_of(with, n).is_none()) {
            let problem = Problem::MissingParameter((*name).to_owned());
            self.found.add(about, &[Step::Field("with".to_owned())], &u.span, problem);
        }
        self.found.0.len() == before
    }
}

/// All texts of a tree.
fn texts(node: Option<&Node>) -> Vec<&Node> {
    let Some(node) = node else { return Vec::new() };
    match &node.value {
        Value::Text(_) => vec![node],
        Value::List(items) => items.iter().flat_map(|n| texts(Some(n))).collect(),
        Value::Table(fields) => fields.iter().flat_map(|(_, n)| texts(Some(n))).collect(),
        _ => Vec::new(),
    }
}

/// What is said to a parameter; `with` is in the order of names.
fn value_of<'w>(with: &'w [(Key, Node)], name: &str) -> Option<&'w Node> {
    let at = with.binary_search_by(|(k, _)| k.name.as_str().cmp(name)).ok()?;
    with.get(at).map(|(_, v)| v)
}

/// The names in `${…}`.
fn asked(text: &str) -> impl Iterator<Item = &str> {
    text.split("${").skip(1).filter_map(|rest| rest.split_once('}').map(|(name, _)| name))
}

/// The tree with every `${…}` filled in. A text that is nothing but one becomes the value itself, list or number, and
/// stands where the value stands: what is wrong with it is to be mended there. Each part takes of `room`; where none is left
/// nothing more is made.
fn filled(node: &Node, with: &[(Key, Node)], room: &mut usize) -> Node {
    let Some(left) = room.checked_sub(weight(node)) else {
        *room = 0;
        return Node { span: node.span.clone(), value: Value::Null };
    };
    *room = left;
    let value = match &node.value {
        Value::Text(text) => return filled_text(node, text, with, room),
        Value::List(items) => Value::List(items.iter().map(|n| filled(n, with, room)).collect()),
        Value::Table(fields) => {
            Value::Table(fields.iter().map(|(k, v)| (k.clone(), filled(v, with, room))).collect())
        }
        other => other.clone(),
    };
    Node { span: node.span.clone(), value }
}

fn filled_text(node: &Node, text: &str, with: &[(Key, Node)], room: &mut usize) -> Node {
    let alone = text.strip_prefix("${").and_then(|t| t.strip_suffix('}'));
    let alone = alone.and_then(|name| value_of(with, name));
    if let Some(value) = alone {
        if takes(value, DEEPEST_VALUE, room) {
            return value.clone();
        }
        *room = 0;
        return Node { span: node.span.clone(), value: Value::Null };
    }
    let mut span = node.span.clone();
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, (name, after))) =
        rest.split_once("${").and_then(|(b, r)| Some((b, r.split_once('}')?)))
    {
        out.push_str(before);
        let value = value_of(with, name).filter(|_| text.len() <= LONGEST);
        let words = value.and_then(|v| match &v.value {
            Value::Text(t) if t.len() <= LONGEST => Some(t.clone()),
            Value::Int(n) => Some(n.to_string()),
            Value::Bool(b) => Some(b.to_string()),
            _ => None,
        });
        match (words, value) {
            (Some(words), Some(value)) if out.len() + words.len() + after.len() <= LONGEST => {
                out.push_str(&words);
                span = value.span.clone();
            }
            _ => {
                let place = ["${", name, "}"];
                place.iter().for_each(|s| out.push_str(s));
            }
        }
        rest = after;
    }
    out.push_str(rest);
    *room = room.saturating_sub(out.len() / 64);
    Node { span, value: Value::Text(out) }
}

/// How many parts a part of the tree counts for without what is in it.
fn weight(node: &Node) -> usize {
    1 + node.text().map_or(0, |t| t.len() / 64)
}

/// Takes the parts of a value of what is left; false where that is too little, or where it is too deep.
fn takes(node: &Node, deep: usize, room: &mut usize) -> bool {
    let (Some(left), Some(deep)) = (room.checked_sub(weight(node)), deep.checked_sub(1)) else {
        return false;
    };
    *room = left;
    match &node.value {
        Value::List(items) => items.iter().all(|n| takes(n, deep, room)),
        Value::Table(fields) => fields.iter().all(|(_, n)| takes(n, deep, room)),
        _ => true,
    }
}
