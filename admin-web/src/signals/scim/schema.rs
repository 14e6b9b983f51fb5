//! Which attributes people and groups have here (RFC 7643 §4), and how what a client sends becomes them.
//!
//! Names are read in whatever letters they come; what is not in the schema is ignored (RFC 7644 §3.3), what is of the wrong
//! kind is refused. Entra ID writes booleans as text: `"False"` is read as what it means.

use serde_json::{Map, Value, json};
use store::ScimKind;

pub(super) const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub(super) const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
pub(super) const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

/// The longest text, characters.
const LONGEST: usize = 1000;
/// Most values of one attribute.
const VALUES: usize = 50;
/// Most members of a group.
const MEMBERS: usize = 10_000;

/// What an attribute holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    Text,
    Bool,
    /// The address of a user or a group.
    Reference,
    Parts(&'static [Attr]),
}

/// An attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Attr {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) holds: Holds,
    pub(super) many: bool,
    /// Most values.
    pub(super) most: usize,
    pub(super) required: bool,
    /// Compared letter by letter.
    pub(super) exact: bool,
    pub(super) unique: bool,
    /// What it may be, where that is a list.
    pub(super) words: &'static [&'static str],
}

const fn text(name: &'static str, about: &'static str) -> Attr {
    Attr {
        name,
        about,
        holds: Holds::Text,
        many: false,
        most: VALUES,
        required: false,
        exact: false,
        unique: false,
        words: &[],
    }
}

const fn parts(name: &'static str, about: &'static str, all: &'static [Attr]) -> Attr {
    Attr { holds: Holds::Parts(all), ..text(name, about) }
}

/// `externalId`, which every resource may have (§3.1).
pub(super) const EXTERNAL: Attr = Attr { exact: true, ..text("externalId", "Its id at the client.") };

const NAME: &[Attr] = &[
    text("formatted", "The full name."),
    text("familyName", "The family name."),
    text("givenName", "The given name."),
];

const MAIL: &[Attr] = &[
    text("value", "The address."),
    text("type", "Such as work."),
    Attr { holds: Holds::Bool, ..text("primary", "True of the main one.") },
];

const MEMBER: &[Attr] = &[
    Attr { exact: true, ..text("value", "The member's id.") },
    Attr { holds: Holds::Reference, exact: true, ..text("$ref", "The member's address.") },
    Attr { words: &["User", "Group"], ..text("type", "What the member is.") },
];

/// What a user has.
pub(super) const USER_ATTRS: &[Attr] = &[
    Attr { required: true, unique: true, ..text("userName", "By which they sign in.") },
    parts("name", "Their name.", NAME),
    text("displayName", "The name to show."),
    text("title", "Their job."),
    text("userType", "Such as employee or contractor."),
    Attr {
        holds: Holds::Bool,
        ..text("active", "False from when they may do nothing any longer: their SIMs are suspended.")
    },
    Attr { many: true, ..parts("emails", "Mail addresses.", MAIL) },
];

/// What a company adds to a user (§4.3).
pub(super) const ENTERPRISE_ATTRS: &[Attr] = &[
    text("employeeNumber", "Their number."),
    text("organization", "Their company."),
    text("division", "Their division."),
    text("department", "Their department."),
];

/// What a group has.
pub(super) const GROUP_ATTRS: &[Attr] = &[
    Attr { required: true, unique: true, ..text("displayName", "The name to show.") },
    Attr { many: true, most: MEMBERS, ..parts("members", "Who is in it.", MEMBER) },
];

/// A kind of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) is: ScimKind,
    pub(super) endpoint: &'static str,
    pub(super) schema: &'static str,
    pub(super) about: &'static str,
    pub(super) attrs: &'static [Attr],
    pub(super) extension: Option<(&'static str, &'static [Attr])>,
}

pub(super) const PEOPLE: Kind = Kind {
    is: ScimKind::User,
    endpoint: "/Users",
    schema: USER,
    about: "Somebody who uses SIMs.",
    attrs: USER_ATTRS,
    extension: Some((ENTERPRISE, ENTERPRISE_ATTRS)),
};

pub(super) const GROUPS: Kind = Kind {
    is: ScimKind::Group,
    endpoint: "/Groups",
    schema: GROUP,
    about: "A group of people.",
    attrs: GROUP_ATTRS,
    extension: None,
};

pub(super) const KINDS: [Kind; 2] = [PEOPLE, GROUPS];

/// Why a value is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrong(pub(super) String);

impl Kind {
    /// An attribute of the resource itself by its name.
    pub(super) fn attr(&self, name: &str) -> Option<Attr> {
        let own = self.attrs.iter().chain([&EXTERNAL]);
        own.copied().find(|a| a.name.eq_ignore_ascii_case(name))
    }

    /// The schemas of a resource with these attributes.
    pub(super) fn schemas(&self, body: &Map<String, Value>) -> Value {
        let more = self.extension.map(|(urn, _)| urn).filter(|urn| body.contains_key(*urn));
        json!([self.schema].into_iter().chain(more).collect::<Vec<_>>())
    }

    /// What of a request's resource is ours.
    pub(super) fn read(&self, sent: &Map<String, Value>) -> Result<Map<String, Value>, Wrong> {
        let mut body = Map::new();
        for (name, value) in sent {
            if let Some(attr) = self.attr(name) {
                put(&mut body, attr.name, take(&attr, value)?);
            } else if let Some((urn, attrs)) = self.extension
                && urn.eq_ignore_ascii_case(name)
                && let Some(o) = value.as_object()
            {
                put(&mut body, urn, read_parts(attrs, o)?);
            }
        }
        self.complete(&body)?;
        Ok(body)
    }

    /// Refuses a resource that lacks what it must have.
    pub(super) fn complete(&self, body: &Map<String, Value>) -> Result<(), Wrong> {
        let empty = |a: &&Attr| body.get(a.name).and_then(Value::as_str).is_none_or(|s| s.trim().is_empty());
        if let Some(a) = self.attrs.iter().find(|a| a.required && empty(a)) {
            return Err(Wrong(format!("{} is missing", a.name)));
        }
        let many = |a: &&Attr| body.get(a.name).and_then(Value::as_array).is_some_and(|v| v.len() > a.most);
        match self.attrs.iter().find(many) {
            Some(a) => Err(Wrong(format!("{} has more than {} values", a.name, a.most))),
            None => Ok(()),
        }
    }
}

/// Puts a value in its place; nothing takes the attribute away (RFC 7643 §2.5).
pub(super) fn put(body: &mut Map<String, Value>, name: &str, value: Value) {
    let nothing = match &value {
        Value::Null => true,
        Value::Array(a) => a.is_empty(),
        Value::Object(o) => o.is_empty(),
        _ => false,
    };
    if nothing {
        body.remove(name);
    } else {
        body.insert(name.to_owned(), value);
    }
}

/// A value of an attribute, as it is kept.
pub(super) fn take(attr: &Attr, value: &Value) -> Result<Value, Wrong> {
    match (attr.many, value) {
        (_, Value::Null) => Ok(Value::Null),
        (true, Value::Array(all)) if all.len() <= attr.most => {
            let all = all.iter().filter(|v| !v.is_null()).map(|v| take_one(attr, v));
            Ok(Value::Array(all.collect::<Result<_, _>>()?))
        }
        (true, Value::Array(_)) => Err(Wrong(format!("{} has more than {} values", attr.name, attr.most))),
        // One value in place of a list of one.
        (true, one) => Ok(Value::Array(vec![take_one(attr, one)?])),
        (false, one) => take_one(attr, one),
    }
}

/// One value of an attribute.
pub(super) fn take_one(attr: &Attr, value: &Value) -> Result<Value, Wrong> {
    match (attr.holds, value) {
        (Holds::Text | Holds::Reference, Value::String(s)) if s.chars().count() <= LONGEST => {
            Ok(value.clone())
        }
        (Holds::Bool, Value::Bool(_)) => Ok(value.clone()),
        (Holds::Bool, Value::String(s)) if s.eq_ignore_ascii_case("true") => Ok(Value::Bool(true)),
        (Holds::Bool, Value::String(s)) if s.eq_ignore_ascii_case("false") => Ok(Value::Bool(false)),
        (Holds::Parts(all), Value::Object(o)) => read_parts(all, o),
        // The id alone in place of an object with it.
        (Holds::Parts(all), Value::String(_)) if attr.many => {
            let o = Map::from_iter([("value".to_owned(), value.clone())]);
            read_parts(all, &o)
        }
        _ => Err(Wrong(format!("{} is of the wrong kind or too long", attr.name))),
    }
}

fn read_parts(all: &[Attr], o: &Map<String, Value>) -> Result<Value, Wrong> {
    let mut parts = Map::new();
    for (name, value) in o {
        if let Some(attr) = all.iter().find(|a| a.name.eq_ignore_ascii_case(name)) {
            put(&mut parts, attr.name, take(attr, value)?);
        }
    }
    Ok(Value::Object(parts))
}

/// The document of a schema (RFC 7643 §7).
pub(super) fn document(root: &str, urn: &str) -> Option<Value> {
    let (name, about, attrs) = match urn {
        USER => ("User", PEOPLE.about, USER_ATTRS),
        GROUP => ("Group", GROUPS.about, GROUP_ATTRS),
        ENTERPRISE => ("EnterpriseUser", "What a company adds to a user.", ENTERPRISE_ATTRS),
        _ => return None,
    };
    Some(json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
        "id": urn, "name": name, "description": about,
        "attributes": attrs.iter().map(describe).collect::<Vec<_>>(),
        "meta": { "resourceType": "Schema", "location": format!("{root}/Schemas/{urn}") },
    }))
}

fn describe(a: &Attr) -> Value {
    let kind = match a.holds {
        Holds::Text => "string",
        Holds::Bool => "boolean",
        Holds::Reference => "reference",
        Holds::Parts(_) => "complex",
    };
    let mut v = json!({
        "name": a.name, "type": kind, "multiValued": a.many, "description": a.about, "required": a.required,
        "caseExact": a.exact, "mutability": "readWrite", "returned": "default",
        "uniqueness": if a.unique { "server" } else { "none" },
    });
    let Some(o) = v.as_object_mut() else { return v };
    match a.holds {
        Holds::Parts(all) => {
            o.insert("subAttributes".to_owned(), Value::Array(all.iter().map(describe).collect()));
        }
        Holds::Reference => {
            o.insert("referenceTypes".to_owned(), json!(["User", "Group"]));
        }
        Holds::Text | Holds::Bool => {}
    }
    if !a.words.is_empty() {
        o.insert("canonicalValues".to_owned(), json!(a.words));
    }
    v
}
