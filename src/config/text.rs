//! The file as text: the environment laid over it, and the line on which a key stands.

use super::Fault;

/// Prefix of environment variables that override a key: `SEKISHO_API_LISTEN` is `api.listen`.
pub(super) const ENV_PREFIX: &str = "SEKISHO_";

/// Sections that may be overridden by the environment.
pub(super) const SECTIONS: [&str; 15] = [
    "network",
    "n2",
    "n3",
    "n6",
    "s6a",
    "gx",
    "n4",
    "gateway",
    "paths",
    "store",
    "revocation",
    "api",
    "oidc",
    "service",
    "log",
];

/// The text as a table with the environment's values laid over it.
pub(super) fn overlay(text: &str, overrides: &[(String, String)]) -> Result<toml::Table, toml::de::Error> {
    let mut table: toml::Table = toml::from_str(text)?;
    for (path, value) in overrides {
        let Some((section, key)) = path.split_once('_') else { continue };
        // A value that is no TOML value of its own (an address, a path) is a string.
        let value = toml::from_str::<toml::Table>(&format!("v = {value}"))
            .ok()
            .and_then(|mut t| t.remove("v"))
            .unwrap_or_else(|| toml::Value::String(value.clone()));
        let entry = table.entry(section.to_owned()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        if let toml::Value::Table(t) = entry {
            t.insert(key.to_owned(), value);
        }
    }
    Ok(table)
}

/// A parse error with its line and the key that stands on it.
pub(super) fn toml_fault(text: &str, e: &toml::de::Error) -> Fault {
    let line = e.span().map(|s| text.get(..s.start).unwrap_or(text).matches('\n').count() + 1);
    let key = line
        .and_then(|l| text.lines().nth(l - 1))
        .and_then(|l| l.split_once('='))
        .map(|(k, _)| k.trim().to_owned())
        .unwrap_or_default();
    Fault { line, key, what: e.message().replace('\n', "; ") }
}

/// The line on which `section.key` stands; the section's own line where the key is not written.
pub(super) fn line_of(text: &str, path: &str) -> Option<usize> {
    let (section, key) = path.split_once('.')?;
    let mut here = false;
    let mut header = None;
    for (i, line) in text.lines().enumerate() {
        let l = line.trim();
        if l.starts_with('[') {
            here = l.trim_matches(['[', ']']) == section;
            if here {
                header = Some(i + 1);
            }
        } else if here && l.split_once('=').is_some_and(|(k, _)| k.trim() == key) {
            return Some(i + 1);
        }
    }
    header
}
