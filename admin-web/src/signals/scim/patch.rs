//! Changes (RFC 7644 §3.5.2), with what Entra ID does otherwise: `"Add"` in whatever letters, booleans as text, paths as the
//! names of members, a value made where none fits a filter, members removed by a list of values.

use super::{
    filter::{Filter, Path, Target},
    schema::{Attr, Holds, Kind, Wrong, put, take, take_one},
};
use serde_json::{Map, Value};

/// Most operations of one request.
const MOST: usize = 1000;

/// Why a change is not made, by its word of RFC 7644 §3.12.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    Path(String),
    Value(String),
    /// No value fits where one must.
    NoTarget(String),
}

impl From<Wrong> for Refused {
    fn from(w: Wrong) -> Self {
        Self::Value(w.0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Do {
    Add,
    Replace,
    Remove,
}

/// Makes all changes of a request, or none.
pub(super) fn apply(
    kind: &Kind,
    body: &Map<String, Value>,
    request: &Map<String, Value>,
) -> Result<Map<String, Value>, Refused> {
    let mut body = body.clone();
    let own = request.iter().find(|(k, _)| k.eq_ignore_ascii_case("operations"));
    let all = own
        .and_then(|(_, v)| v.as_array())
        .ok_or_else(|| Refused::Value("Operations is missing".to_owned()))?;
    if all.is_empty() || all.len() > MOST {
        return Err(Refused::Value(format!("a request has 1 to {MOST} operations")));
    }
    for operation in all {
        one(kind, &mut body, operation)?;
    }
    kind.complete(&body)?;
    Ok(body)
}

fn one(kind: &Kind, body: &mut Map<String, Value>, operation: &Value) -> Result<(), Refused> {
    let what = match operation["op"].as_str().unwrap_or_default().to_ascii_lowercase().as_str() {
        "add" => Do::Add,
        "replace" => Do::Replace,
        "remove" => Do::Remove,
        _ => return Err(Refused::Value("op is add, replace or remove".to_owned())),
    };
    let value = &operation["value"];
    match (&operation["path"], value) {
        (Value::Null, _) if what == Do::Remove => {
            Err(Refused::NoTarget("a removal names what in path".to_owned()))
        }
        (Value::Null, Value::Object(o)) => {
            for (path, value) in o {
                // Each member is a path of its own; what is not ours is ignored.
                if let Ok(target) = Target::read(path) {
                    at(kind, body, what, &target, value)?;
                }
            }
            Ok(())
        }
        (Value::Null, _) => Err(Refused::Value("without a path the value is an object".to_owned())),
        (Value::String(path), value) => {
            let target =
                Target::read(path).map_err(|_| Refused::Path("the path cannot be read".to_owned()))?;
            at(kind, body, what, &target, value)
        }
        _ => Err(Refused::Path("a path is a text".to_owned())),
    }
}

fn at(
    kind: &Kind,
    body: &mut Map<String, Value>,
    what: Do,
    target: &Target,
    value: &Value,
) -> Result<(), Refused> {
    let path = &target.path;
    if let (Some(urn), Some((own, attrs))) = (path.urn, kind.extension)
        && urn == own
    {
        return in_extension(body, what, urn, attrs, path, value);
    }
    if ["id", "meta", "schemas"].iter().any(|n| n.eq_ignore_ascii_case(&path.attr)) {
        // What only we write; §3.5.2.3 lets it be ignored.
        return Ok(());
    }
    // What is not in the schema is ignored, as it is in a resource.
    let Some(attr) = kind.attr(&path.attr).filter(|_| path.urn.is_none()) else { return Ok(()) };
    let Some(which) = &target.which else { return whole(body, what, &attr, path.sub.as_deref(), value) };
    let Holds::Parts(parts) = attr.holds else {
        return Err(Refused::Path(format!("{} has no values to choose from", attr.name)));
    };
    let mut all = body.get(attr.name).and_then(Value::as_array).cloned().unwrap_or_default();
    chosen(&mut all, what, &attr, parts, which, path.sub.as_deref(), value)?;
    put(body, attr.name, Value::Array(all));
    Ok(())
}

fn in_extension(
    body: &mut Map<String, Value>,
    what: Do,
    urn: &'static str,
    attrs: &[Attr],
    path: &Path,
    value: &Value,
) -> Result<(), Refused> {
    let mut inside = body.get(urn).and_then(Value::as_object).cloned().unwrap_or_default();
    let find = |name: &str| attrs.iter().find(|a| a.name.eq_ignore_ascii_case(name));
    if path.attr.is_empty() {
        match (what, value) {
            (Do::Remove, _) => inside.clear(),
            (_, Value::Object(o)) => {
                for (name, value) in o {
                    if let Some(attr) = find(name) {
                        put(&mut inside, attr.name, take(attr, value)?);
                    }
                }
            }
            _ => return Err(Refused::Value("an extension is an object".to_owned())),
        }
    } else if let Some(attr) = find(&path.attr) {
        whole(&mut inside, what, attr, path.sub.as_deref(), value)?;
    }
    put(body, urn, Value::Object(inside));
    Ok(())
}

/// The attribute itself, or a part of it.
fn whole(
    body: &mut Map<String, Value>,
    what: Do,
    attr: &Attr,
    sub: Option<&str>,
    value: &Value,
) -> Result<(), Refused> {
    let Some(sub) = sub else {
        match what {
            Do::Remove if attr.many && value.is_array() => {
                // Entra ID: those of this list, and no others.
                let gone = take(attr, value)?;
                let all = body.get(attr.name).and_then(Value::as_array).cloned().unwrap_or_default();
                let left = all.into_iter().filter(|v| !is_among(v, &gone)).collect();
                put(body, attr.name, Value::Array(left));
            }
            Do::Remove => drop(body.remove(attr.name)),
            Do::Add if attr.many => {
                let new = take(attr, value)?;
                let mut all = body.get(attr.name).and_then(Value::as_array).cloned().unwrap_or_default();
                add(&mut all, new);
                put(body, attr.name, Value::Array(all));
            }
            Do::Add => match (take(attr, value)?, body.get_mut(attr.name)) {
                // Parts are added to those that are there.
                (Value::Object(new), Some(Value::Object(old))) => old.extend(new),
                (new, _) => put(body, attr.name, new),
            },
            Do::Replace => put(body, attr.name, take(attr, value)?),
        }
        return Ok(());
    };
    let Holds::Parts(parts) = attr.holds else {
        return Err(Refused::Path(format!("{} has no parts", attr.name)));
    };
    let Some(part) = parts.iter().find(|p| p.name.eq_ignore_ascii_case(sub)) else { return Ok(()) };
    let new = if what == Do::Remove { Value::Null } else { take(part, value)? };
    match body.get_mut(attr.name) {
        Some(Value::Array(all)) => {
            for o in all.iter_mut().filter_map(Value::as_object_mut) {
                put(o, part.name, new.clone());
            }
        }
        Some(Value::Object(o)) => {
            put(o, part.name, new);
            if o.is_empty() {
                body.remove(attr.name);
            }
        }
        _ if new.is_null() => {}
        _ => {
            let one = Value::Object(Map::from_iter([(part.name.to_owned(), new)]));
            put(body, attr.name, if attr.many { Value::Array(vec![one]) } else { one });
        }
    }
    Ok(())
}

/// Those values that fit.
fn chosen(
    all: &mut Vec<Value>,
    what: Do,
    attr: &Attr,
    parts: &[Attr],
    which: &Filter,
    sub: Option<&str>,
    value: &Value,
) -> Result<(), Refused> {
    let part = sub.map(|s| parts.iter().find(|p| p.name.eq_ignore_ascii_case(s)));
    if part == Some(None) {
        return Ok(());
    }
    let part = part.flatten();
    if what == Do::Remove && part.is_none() {
        all.retain(|v| !which.fits(v));
        return Ok(());
    }
    let new = match (what, part) {
        (Do::Remove, _) => Value::Null,
        (_, Some(part)) => take(part, value)?,
        (_, None) => take_one(attr, value)?,
    };
    let mut found = false;
    for v in all.iter_mut().filter(|v| which.fits(v)) {
        found = true;
        match (part, v.as_object_mut(), &new) {
            (Some(part), Some(o), _) => put(o, part.name, new.clone()),
            (None, Some(o), Value::Object(n)) if what == Do::Add => o.extend(n.clone()),
            _ => v.clone_from(&new),
        }
    }
    if found || what == Do::Remove {
        return Ok(());
    }
    // None fits: one that does is made of what the filter asks (Entra ID); where that cannot be, there is no target.
    let mut o = match &new {
        Value::Object(o) => o.clone(),
        _ => Map::new(),
    };
    for (name, v) in which.equalities() {
        if let Some(p) = parts.iter().find(|p| p.name.eq_ignore_ascii_case(name)) {
            put(&mut o, p.name, take(p, v)?);
        }
    }
    if let Some(part) = part {
        put(&mut o, part.name, new);
    }
    let made = Value::Object(o);
    if !which.fits(&made) {
        return Err(Refused::NoTarget("no value fits the path".to_owned()));
    }
    all.push(made);
    Ok(())
}

/// Adds values; one that is there already is not there twice, and of the main ones the newest stays.
fn add(all: &mut Vec<Value>, new: Value) {
    let Value::Array(new) = new else { return };
    for v in new {
        if v["primary"] == true {
            for o in all.iter_mut().filter_map(Value::as_object_mut) {
                o.remove("primary");
            }
        }
        let same =
            all.iter_mut().find(|old| **old == v || (v["type"].is_null() && old["value"] == v["value"]));
        match (same, &v) {
            (Some(Value::Object(old)), Value::Object(n)) => old.extend(n.clone()),
            (Some(_), _) => {}
            (None, _) => all.push(v),
        }
    }
}

fn is_among(v: &Value, all: &Value) -> bool {
    let all = all.as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().any(|g| v == g || (!g["value"].is_null() && v["value"] == g["value"]))
}
