//! From the model to its text: fields in their own order, what goes without saying left out.

use super::{PolicyText, de::fields_of};
use serde::{Serialize, de::DeserializeOwned};
use std::fmt::Write as _;
use toml::{Table, Value};
use types::{App, Group, PolicyTest, Rule, Template, TemplateUse};

/// Fields that are moments: milliseconds in the model, RFC 3339 here.
const MOMENTS: &[&str] = &["until", "monitor_until", "at", "from"];

/// The file of a model.
pub fn write(policy: &PolicyText) -> String {
    let mut out = String::new();
    section(&mut out, "groups", &policy.groups, fields_of::<Group>());
    section(&mut out, "apps", &policy.apps, fields_of::<App>());
    section(&mut out, "rules", &policy.rules, fields_of::<Rule>());
    for template in &policy.extras.templates {
        let mut table = table(template);
        let lists = ["rules", "uses"].map(|field| (field, table.remove(field)));
        one(&mut out, "templates", &table, fields_of::<Template>());
        for (field, list) in lists {
            let Some(Value::Array(items)) = list else { continue };
            for item in items.iter().filter_map(Value::as_table) {
                let order = if field == "rules" { fields_of::<Rule>() } else { fields_of::<TemplateUse>() };
                head(&mut out, &format!("templates.{field}"));
                fields(&mut out, item, order, |_, _| false);
            }
        }
    }
    section(&mut out, "uses", &policy.extras.uses, fields_of::<TemplateUse>());
    section(&mut out, "tests", &policy.extras.tests, fields_of::<PolicyTest>());
    out
}

fn section<T: Serialize + DeserializeOwned>(out: &mut String, name: &str, items: &[T], order: &[&str]) {
    for item in items {
        one(out, name, &table(item), order);
    }
}

fn one(out: &mut String, name: &str, table: &Table, order: &[&str]) {
    head(out, name);
    fields(out, table, order, goes_without_saying);
}

fn head(out: &mut String, name: &str) {
    if !out.is_empty() {
        out.push('\n');
    }
    let _ = writeln!(out, "[[{name}]]");
}

fn table<T: Serialize>(item: &T) -> Table {
    let mut table = Table::try_from(item).unwrap_or_default();
    for (name, value) in &mut table {
        let moment = value.as_integer().filter(|_| MOMENTS.contains(&name.as_str()));
        if let Some(at) = moment.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()) {
            *value = Value::String(at.to_string());
        }
    }
    table
}

/// True for what a reader takes a field to be that is not there.
fn goes_without_saying(name: &str, value: &Value) -> bool {
    match value {
        Value::String(s) => {
            s.is_empty() || matches!((name, s.as_str()), ("record", "all") | ("names_from", "tls"))
        }
        Value::Array(a) => a.is_empty(),
        Value::Table(t) => t.is_empty(),
        _ => false,
    }
}

fn fields(out: &mut String, table: &Table, order: &[&str], skip: impl Fn(&str, &Value) -> bool) {
    let known = order.iter().filter_map(|name| table.get_key_value(*name));
    let others = table.iter().filter(|(name, _)| !order.contains(&name.as_str()));
    for (name, value) in known.chain(others).filter(|(name, value)| !skip(name, value)) {
        let _ = writeln!(out, "{} = {value}", key(name));
    }
}

/// A key as it may stand bare, else in quotes.
fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(bare) {
        return name.to_owned();
    }
    let quoted = name.chars().map(|c| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_control() => format!("\\u{:04X}", u32::from(c)),
        c => c.to_string(),
    });
    format!("\"{}\"", quoted.collect::<String>())
}
