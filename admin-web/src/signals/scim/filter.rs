//! Filters (RFC 7644 §3.4.2.2) and paths (§3.5.2, figure 7): read whole or refused, bounded in length and depth.

use super::schema::{ENTERPRISE, GROUP, USER};
use serde_json::{Map, Value};

/// The longest filter, octets, and the deepest.
const LONGEST: usize = 2000;
const DEEPEST: u32 = 16;

/// What is asked of a resource.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Filter {
    And(Box<Filter>, Box<Filter>),
    Or(Box<Filter>, Box<Filter>),
    Not(Box<Filter>),
    /// Something is there.
    Present(Path),
    Compare(Path, Op, Value),
    /// One value of these fits.
    Among(Path, Box<Filter>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Eq,
    Ne,
    Co,
    Sw,
    Ew,
    Gt,
    Ge,
    Lt,
    Le,
}

/// An attribute: of an extension, where it names one, and a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Path {
    pub(super) urn: Option<&'static str>,
    pub(super) attr: String,
    pub(super) sub: Option<String>,
}

/// Where a change is made: an attribute, those of its values that fit, and a part of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Target {
    pub(super) path: Path,
    pub(super) which: Option<Filter>,
}

/// It cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unreadable;

impl Path {
    /// `[URN:]attr[.sub]`; a URN alone is the extension itself.
    pub(super) fn read(text: &str) -> Result<Self, Unreadable> {
        let of = |urn: &str| text.get(..urn.len()).is_some_and(|t| t.eq_ignore_ascii_case(urn));
        let urn = [ENTERPRISE, USER, GROUP].into_iter().find(|urn| of(urn));
        let rest = match urn {
            None => text,
            Some(urn) => match text.get(urn.len()..).unwrap_or_default() {
                "" if urn == ENTERPRISE => "",
                rest => rest.strip_prefix(':').ok_or(Unreadable)?,
            },
        };
        let urn = urn.filter(|u| *u == ENTERPRISE);
        if rest.is_empty() && urn.is_some() {
            return Ok(Self { urn, ..Self::default() });
        }
        let (attr, sub) = rest.split_once('.').map_or((rest, None), |(a, s)| (a, Some(s)));
        let plain = |s: &str| {
            s.starts_with(|c: char| c.is_ascii_alphabetic() || c == '$')
                && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_$".contains(&b))
        };
        if !plain(attr) || sub.is_some_and(|s| !plain(s)) {
            return Err(Unreadable);
        }
        Ok(Self { urn, attr: attr.to_owned(), sub: sub.map(str::to_owned) })
    }

    /// Puts what is at it into a resource of which nothing else is shown.
    pub(super) fn copy(&self, from: &Map<String, Value>, to: &mut Map<String, Value>) {
        if let Some(urn) = self.urn {
            let Some(Value::Object(inside)) = from.get(urn) else { return };
            if self.attr.is_empty() {
                to.insert(urn.to_owned(), Value::Object(inside.clone()));
            } else if let Value::Object(seen) = to.entry(urn).or_insert_with(|| Value::Object(Map::new())) {
                Self { urn: None, ..self.clone() }.copy(inside, seen);
            }
            return;
        }
        let Some((name, value)) = entry(from, &self.attr) else { return };
        let Some(sub) = &self.sub else {
            to.insert(name.clone(), value.clone());
            return;
        };
        let part = |v: &Value| {
            let found = v.as_object().and_then(|o| entry(o, sub));
            found.map(|(n, v)| Value::Object(Map::from_iter([(n.clone(), v.clone())])))
        };
        let seen = match value {
            Value::Array(all) => Some(Value::Array(
                all.iter().map(|v| part(v).unwrap_or_else(|| Value::Object(Map::new()))).collect(),
            )),
            one => part(one),
        };
        if let Some(seen) = seen {
            join(to, name, seen);
        }
    }

    /// Takes what is at it out.
    pub(super) fn cut(&self, from: &mut Map<String, Value>) {
        if let Some(urn) = self.urn {
            if self.attr.is_empty() {
                from.remove(urn);
            } else if let Some(Value::Object(inside)) = from.get_mut(urn) {
                Self { urn: None, ..self.clone() }.cut(inside);
            }
            return;
        }
        let Some(name) = entry(from, &self.attr).map(|(n, _)| n.clone()) else { return };
        let Some(sub) = &self.sub else {
            from.remove(&name);
            return;
        };
        let cut = |v: &mut Value| {
            if let Some(o) = v.as_object_mut() {
                o.retain(|n, _| !n.eq_ignore_ascii_case(sub));
            }
        };
        match from.get_mut(&name) {
            Some(Value::Array(all)) => all.iter_mut().for_each(cut),
            Some(one) => cut(one),
            None => {}
        }
    }

    /// The values at it.
    fn values<'v>(&self, of: &'v Value) -> Vec<&'v Value> {
        let root = match self.urn {
            None => Some(of),
            Some(urn) => of.get(urn),
        };
        let found = root.and_then(|r| member(r, &self.attr));
        let flat = |v: &'v Value| match v {
            Value::Array(all) => all.iter().collect(),
            one => vec![one],
        };
        let all: Vec<&Value> = found.map(flat).unwrap_or_default();
        match &self.sub {
            Some(sub) => all.into_iter().filter_map(|v| member(v, sub)).collect(),
            // Of values that have parts, the one that is called value.
            None => all.into_iter().map(|v| v.get("value").unwrap_or(v)).collect(),
        }
    }
}

/// A member by its name, in whatever letters.
fn entry<'v>(of: &'v Map<String, Value>, name: &str) -> Option<(&'v String, &'v Value)> {
    of.iter().find(|(k, _)| k.eq_ignore_ascii_case(name))
}

fn member<'v>(of: &'v Value, name: &str) -> Option<&'v Value> {
    entry(of.as_object()?, name).map(|(_, v)| v)
}

/// Two parts of one attribute that are asked for are shown beside each other.
fn join(to: &mut Map<String, Value>, name: &str, more: Value) {
    match (to.get_mut(name), more) {
        (Some(Value::Object(old)), Value::Object(new)) => old.extend(new),
        (Some(Value::Array(old)), Value::Array(new)) => {
            for (old, new) in old.iter_mut().zip(new) {
                if let (Value::Object(old), Value::Object(new)) = (old, new) {
                    old.extend(new);
                }
            }
        }
        (_, more) => {
            to.insert(name.to_owned(), more);
        }
    }
}

impl Filter {
    /// Reads one.
    pub(super) fn read(text: &str) -> Result<Self, Unreadable> {
        if text.len() > LONGEST {
            return Err(Unreadable);
        }
        let mut r = Reader { rest: text };
        let filter = r.any(0)?;
        if r.rest.trim().is_empty() { Ok(filter) } else { Err(Unreadable) }
    }

    /// The text that an attribute must be, where that is all that is asked.
    pub(super) fn only_eq(&self, attr: &str) -> Option<&str> {
        match self {
            Self::Compare(p, Op::Eq, Value::String(s))
                if p.urn.is_none() && p.sub.is_none() && p.attr.eq_ignore_ascii_case(attr) =>
            {
                Some(s)
            }
            _ => None,
        }
    }

    /// True where it looks at an attribute.
    pub(super) fn mentions(&self, attr: &str) -> bool {
        match self {
            Self::And(a, b) | Self::Or(a, b) => a.mentions(attr) || b.mentions(attr),
            Self::Not(a) => a.mentions(attr),
            Self::Present(p) | Self::Compare(p, ..) | Self::Among(p, _) => p.attr.eq_ignore_ascii_case(attr),
        }
    }

    /// Equalities of a value's parts: what a value is made of that is added because none fits (Entra ID).
    pub(super) fn equalities(&self) -> Vec<(&str, &Value)> {
        match self {
            Self::And(a, b) => a.equalities().into_iter().chain(b.equalities()).collect(),
            Self::Compare(p, Op::Eq, v) if p.sub.is_none() => vec![(p.attr.as_str(), v)],
            _ => Vec::new(),
        }
    }

    /// True where a resource, or one value of it, fits.
    pub(super) fn fits(&self, of: &Value) -> bool {
        match self {
            Self::And(a, b) => a.fits(of) && b.fits(of),
            Self::Or(a, b) => a.fits(of) || b.fits(of),
            Self::Not(a) => !a.fits(of),
            Self::Present(p) => p.values(of).iter().any(|v| !v.is_null() && **v != ""),
            Self::Among(p, f) => {
                let root = p.urn.map_or(Some(of), |urn| of.get(urn));
                let all = root.and_then(|r| member(r, &p.attr));
                all.and_then(Value::as_array).is_some_and(|all| all.iter().any(|v| f.fits(v)))
            }
            // §3.4.2.2: of several values one that fits is enough.
            Self::Compare(p, Op::Ne, v) => !p.values(of).iter().any(|x| compare(p, x, Op::Eq, v)),
            Self::Compare(p, op, v) => p.values(of).iter().any(|x| compare(p, x, *op, v)),
        }
    }
}

/// Attributes whose letters count.
fn is_exact(p: &Path) -> bool {
    let name = p.sub.as_deref().unwrap_or(&p.attr);
    ["id", "externalId", "resourceType", "version", "location"].iter().any(|e| e.eq_ignore_ascii_case(name))
}

fn compare(p: &Path, x: &Value, op: Op, v: &Value) -> bool {
    match (x, v) {
        (Value::String(a), Value::String(b)) => {
            let (a, b) =
                if is_exact(p) { (a.clone(), b.clone()) } else { (a.to_lowercase(), b.to_lowercase()) };
            match op {
                Op::Eq => a == b,
                Op::Ne => a != b,
                Op::Co => a.contains(&b),
                Op::Sw => a.starts_with(&b),
                Op::Ew => a.ends_with(&b),
                Op::Gt => a > b,
                Op::Ge => a >= b,
                Op::Lt => a < b,
                Op::Le => a <= b,
            }
        }
        // Booleans as text (Entra ID).
        (Value::Bool(a), Value::String(b)) => {
            let same = b.eq_ignore_ascii_case(&a.to_string());
            op == Op::Eq && same || op == Op::Ne && !same
        }
        (a, b) => op == Op::Eq && a == b,
    }
}

impl Target {
    /// `[URN:]attr`, `attr.sub`, `attr[filter]`, `attr[filter].sub`.
    pub(super) fn read(text: &str) -> Result<Self, Unreadable> {
        if text.len() > LONGEST {
            return Err(Unreadable);
        }
        let Some((head, rest)) = text.split_once('[') else {
            return Ok(Self { path: Path::read(text)?, which: None });
        };
        let (inside, tail) = rest.rsplit_once(']').ok_or(Unreadable)?;
        let mut path = Path::read(head)?;
        if path.sub.is_some() {
            return Err(Unreadable);
        }
        path.sub = match tail {
            "" => None,
            tail => Some(Path::read(tail.strip_prefix('.').ok_or(Unreadable)?)?.attr),
        };
        Ok(Self { path, which: Some(Filter::read(inside)?) })
    }
}

struct Reader<'t> {
    rest: &'t str,
}

impl<'t> Reader<'t> {
    fn any(&mut self, depth: u32) -> Result<Filter, Unreadable> {
        let mut left = self.all(depth)?;
        while self.word("or") {
            left = Filter::Or(Box::new(left), Box::new(self.all(depth)?));
        }
        Ok(left)
    }

    fn all(&mut self, depth: u32) -> Result<Filter, Unreadable> {
        let mut left = self.one(depth)?;
        while self.word("and") {
            left = Filter::And(Box::new(left), Box::new(self.one(depth)?));
        }
        Ok(left)
    }

    fn one(&mut self, depth: u32) -> Result<Filter, Unreadable> {
        if depth >= DEEPEST {
            return Err(Unreadable);
        }
        if self.word("not") {
            return Ok(Filter::Not(Box::new(self.grouped(depth)?)));
        }
        self.rest = self.rest.trim_start();
        if self.rest.starts_with('(') {
            return self.grouped(depth);
        }
        let end =
            self.rest.find(|c: char| c.is_whitespace() || "[]()".contains(c)).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at_checked(end).ok_or(Unreadable)?;
        self.rest = rest;
        let path = Path::read(name)?;
        if let Some(rest) = self.rest.strip_prefix('[') {
            self.rest = rest;
            let inside = self.any(depth + 1)?;
            self.rest = self.rest.trim_start().strip_prefix(']').ok_or(Unreadable)?;
            return Ok(Filter::Among(path, Box::new(inside)));
        }
        if self.word("pr") {
            return Ok(Filter::Present(path));
        }
        const OPS: [(&str, Op); 9] = [
            ("eq", Op::Eq),
            ("ne", Op::Ne),
            ("co", Op::Co),
            ("sw", Op::Sw),
            ("ew", Op::Ew),
            ("gt", Op::Gt),
            ("ge", Op::Ge),
            ("lt", Op::Lt),
            ("le", Op::Le),
        ];
        let op = OPS.iter().find(|(word, _)| self.word(word)).ok_or(Unreadable)?.1;
        Ok(Filter::Compare(path, op, self.value()?))
    }

    fn grouped(&mut self, depth: u32) -> Result<Filter, Unreadable> {
        self.rest = self.rest.trim_start().strip_prefix('(').ok_or(Unreadable)?;
        let inside = self.any(depth + 1)?;
        self.rest = self.rest.trim_start().strip_prefix(')').ok_or(Unreadable)?;
        Ok(inside)
    }

    /// Takes a word that ends here.
    fn word(&mut self, word: &str) -> bool {
        let rest = self.rest.trim_start();
        let Some((head, tail)) = rest.split_at_checked(word.len()) else { return false };
        let ends = tail.is_empty() || tail.starts_with(|c: char| c.is_whitespace() || "()[]\"".contains(c));
        let found = ends && head.eq_ignore_ascii_case(word);
        if found {
            self.rest = tail;
        }
        found
    }

    /// JSON: a text, a number, true, false or null.
    fn value(&mut self) -> Result<Value, Unreadable> {
        let rest = self.rest.trim_start();
        if !rest.starts_with('"') {
            // A bracket ends it, as `active eq true` is ended in `not (active eq true)`.
            let end = rest.find(|c: char| c.is_whitespace() || "()[]".contains(c)).unwrap_or(rest.len());
            let (word, rest) = rest.split_at_checked(end).ok_or(Unreadable)?;
            self.rest = rest;
            let value = serde_json::from_str::<Value>(word).map_err(|_| Unreadable)?;
            return if value.is_object() || value.is_array() { Err(Unreadable) } else { Ok(value) };
        }
        let mut all = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        let Some(Ok(value)) = all.next() else { return Err(Unreadable) };
        self.rest = rest.get(all.byte_offset()..).ok_or(Unreadable)?;
        Ok(value)
    }
}
