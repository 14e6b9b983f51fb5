//! Dependencies: where they come from, under which licence, banned ones, and two versions of one.
//!
//! The lists are those of `deny.toml`; this reads the few lines of it that it needs. Where cargo-deny is
//! installed, it runs beside this and sees more (advisories, other targets).

use crate::spdx;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

/// The only place that dependencies come from.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The lists of `deny.toml`.
struct Lists {
    licences: Vec<String>,
    /// A licence that one crate may have.
    exceptions: Vec<(String, String)>,
    banned: Vec<Ban>,
    twice: Vec<String>,
}

/// A crate that is not to come in, but for those that may bring it for themselves.
struct Ban {
    name: String,
    wrappers: Vec<String>,
}

/// All checks over `Cargo.lock` and the tree of what is linked. `tree` is the output of
/// `cargo tree --workspace -e normal,build --prefix none --format '{p}|{l}'`.
pub fn findings(tree: &str) -> Result<(), Vec<String>> {
    let read = |f: &str| fs::read_to_string(f).map_err(|e| vec![format!("{f}: {e}")]);
    let (deny, lock) = (read("deny.toml")?, read("Cargo.lock")?);
    let lists = Lists {
        licences: list(&deny, "[licenses]", "allow"),
        exceptions: exceptions(&list(&deny, "[licenses]", "exceptions")),
        banned: bans(&list(&deny, "[bans]", "deny")),
        twice: crates(&list(&deny, "[bans]", "skip")),
    };
    let mut found = Vec::new();
    if lists.licences.is_empty() || lists.banned.is_empty() {
        found.push("deny.toml: no licences or no bans were read from it".to_owned());
    }
    locked(&lock, &lists, &mut found);
    linked(tree, &lists, &mut found);
    if found.is_empty() { Ok(()) } else { Err(found) }
}

/// Sources and bans: over everything that is locked.
fn locked(lock: &str, lists: &Lists, found: &mut Vec<String>) {
    for package in lock.split("[[package]]").skip(1) {
        let field = |key: &str| {
            package
                .lines()
                .find_map(|l| l.strip_prefix(key)?.strip_prefix(" = "))
                .map(|v| v.trim_matches('"'))
        };
        let name = field("name").unwrap_or("?");
        match field("source") {
            None if fs::exists(format!("{name}/Cargo.toml")).unwrap_or(false) || name == "sekisho" => {}
            None => found.push(format!("{name}: no source, and not a room of this house")),
            Some(CRATES_IO) if field("checksum").is_some() => {}
            Some(CRATES_IO) => found.push(format!("{name}: no checksum in Cargo.lock")),
            Some(other) => found.push(format!("{name}: comes from {other}, not from crates.io")),
        }
        for ban in &lists.banned {
            if needs(package, &ban.name) && !ban.wrappers.iter().any(|w| w == name) {
                found.push(format!("{name}: depends on {}, which is banned by deny.toml", ban.name));
            }
            if ban.name == name && ban.wrappers.is_empty() {
                found.push(format!("{name}: banned by deny.toml"));
            }
        }
    }
}

/// True where a package of the lock file depends on a crate.
fn needs(package: &str, name: &str) -> bool {
    let lines = package.lines().skip_while(|l| *l != "dependencies = [").skip(1).take_while(|l| *l != "]");
    lines.filter_map(|l| l.trim().trim_matches(['"', ',']).split(' ').next()).any(|n| n == name)
}

/// Licences and duplicates: over what is linked into the workspace.
fn linked(tree: &str, lists: &Lists, found: &mut Vec<String>) {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for line in tree.lines().filter(|l| !l.trim().is_empty()) {
        let (package, licence) = line.split_once('|').unwrap_or((line, ""));
        let licence = licence.trim().trim_end_matches("(*)").trim();
        let mut words = package.split_whitespace();
        let (name, version) = (words.next().unwrap_or("?"), words.next().unwrap_or("?"));
        versions.entry(name).or_default().insert(version);
        let own = lists.exceptions.iter().filter(|(krate, _)| krate == name).map(|(_, l)| l.clone());
        let allowed: Vec<String> = lists.licences.iter().cloned().chain(own).collect();
        if seen.insert(package) && !spdx::is_met(licence, &allowed) {
            found.push(format!("{name} {version}: licence {licence:?} is not in deny.toml"));
        }
    }
    for (name, versions) in &versions {
        if versions.len() > 1 && !lists.twice.iter().any(|t| t == name) {
            let all: Vec<&str> = versions.iter().copied().collect();
            found.push(format!(
                "{name}: {} versions ({}); use one, or say why in deny.toml",
                all.len(),
                all.join(", ")
            ));
        }
    }
}

/// The lines of the list `key = [ … ]` in a section of `deny.toml`.
fn list(toml: &str, section: &str, key: &str) -> Vec<String> {
    toml.lines()
        .skip_while(|l| l.trim() != section)
        .skip(1)
        .take_while(|l| !l.starts_with('['))
        .skip_while(|l| !l.starts_with(&format!("{key} = [")))
        .skip(1)
        .take_while(|l| l.trim() != "]")
        .map(|l| l.trim().trim_end_matches(',').trim_matches('"').to_owned())
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
        .collect()
}

/// The names in `{ crate = "NAME@VERSION", reason = "…" }`.
fn crates(lines: &[String]) -> Vec<String> {
    lines
        .iter()
        .filter_map(|l| l.split_once("crate = \"")?.1.split('"').next()?.split('@').next())
        .map(str::to_owned)
        .collect()
}

/// The crate and the licence in `{ allow = ["LICENCE"], crate = "NAME" }`.
fn exceptions(lines: &[String]) -> Vec<(String, String)> {
    let licence = |l: &str| Some(l.split_once("allow = [\"")?.1.split('"').next()?.to_owned());
    lines.iter().filter_map(|l| Some((crates(std::slice::from_ref(l)).pop()?, licence(l)?))).collect()
}

/// The bans, each with those that may bring it: `wrappers = ["NAME", …]` on the same line.
fn bans(lines: &[String]) -> Vec<Ban> {
    let wrappers = |line: &str| -> Vec<String> {
        let named = line.split_once("wrappers = [").and_then(|(_, l)| l.split(']').next());
        let named = named.unwrap_or_default().split(',').map(|w| w.trim().trim_matches('"').to_owned());
        named.filter(|w| !w.is_empty()).collect()
    };
    let one = |line: &String| {
        let name = crates(std::slice::from_ref(line)).pop()?;
        Some(Ban { name, wrappers: wrappers(line) })
    };
    lines.iter().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lists() -> Lists {
        let banned =
            ["{ crate = \"bad\" }", "{ crate = \"odd\", wrappers = [\"its\", \"own\"], reason = \"r\" }"];
        let banned = bans(&banned.map(str::to_owned));
        let exceptions = exceptions(&["{ allow = [\"MPL-2.0\"], crate = \"m\" }".to_owned()]);
        Lists { licences: vec!["MIT".into()], exceptions, banned, twice: vec!["twin".into()] }
    }

    #[test]
    fn a_git_source_a_ban_and_a_missing_checksum_are_found() {
        let lock = "version = 4\n\n\
            [[package]]\nname = \"good\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"00\"\n\n\
            [[package]]\nname = \"bare\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\n\n\
            [[package]]\nname = \"fork\"\nsource = \"git+https://example.com/fork\"\n\n\
            [[package]]\nname = \"bad\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"00\"\n\n\
            [[package]]\nname = \"lost\"\n\n\
            [[package]]\nname = \"odd\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"00\"\n\n\
            [[package]]\nname = \"own\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"00\"\ndependencies = [\n \"odd 1.0.0\",\n]\n\n\
            [[package]]\nname = \"foreign\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"00\"\ndependencies = [\n \"oddly\",\n \"odd\",\n]\n";
        let mut found = Vec::new();
        locked(lock, &lists(), &mut found);
        let names: Vec<&str> = found.iter().filter_map(|f| f.split(':').next()).collect();
        assert_eq!(names, ["bare", "fork", "bad", "lost", "foreign"]);
    }

    #[test]
    fn licences_and_duplicates_are_found() {
        let tree = "a v1.0.0|MIT\na v2.0.0|MIT\ntwin v1.0.0|MIT\ntwin v2.0.0|MIT (*)\nb v1.0.0|GPL-3.0\n\nc v1.0.0 (proc-macro)|\nm v1.0.0|MPL-2.0\nn v1.0.0|MPL-2.0\n";
        let mut found = Vec::new();
        linked(tree, &lists(), &mut found);
        let names: Vec<&str> = found.iter().filter_map(|f| f.split([' ', ':']).next()).collect();
        assert_eq!(names, ["b", "c", "n", "a"]);
    }

    #[test]
    fn the_lists_of_deny_toml_are_read() {
        let toml = "[bans]\ndeny = [\n    # why\n    { crate = \"x@1\", reason = \"r\" },\n]\nskip = [\n]\n[sources]\nallow = [\n    \"no\",\n]\n";
        assert_eq!(crates(&list(toml, "[bans]", "deny")), ["x"]);
        assert!(list(toml, "[bans]", "skip").is_empty());
        assert!(list(toml, "[bans]", "allow").is_empty());
    }
}
