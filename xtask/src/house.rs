//! The house's order: pure rooms stay pure, and each room knows only the floors below it.

use std::fs;

/// Rooms that read no clock, draw no random number and open no socket.
pub const PURE: [&str; 7] = ["types", "wire", "sim-auth", "ip-pool", "hss", "pgw-policy", "access"];

/// What no pure room may have in its tree: runtimes, sockets, databases, the system's randomness.
const IMPURE: [&str; 14] = [
    "tokio",
    "sqlx",
    "sqlx-core",
    "axum",
    "getrandom",
    "mio",
    "hyper",
    "socket2",
    "rustls",
    "rand",
    "libc",
    "nix",
    "rustix",
    "async-std",
];

/// Which rooms each room may use.
const USES: [(&str, &[&str]); 13] = [
    ("crash", &[]),
    ("types", &[]),
    ("wire", &["types"]),
    ("sim-auth", &["types"]),
    ("ip-pool", &["types"]),
    ("store", &["types", "crash"]),
    ("hss", &["types", "sim-auth", "wire"]),
    ("pgw-policy", &["types", "wire", "ip-pool"]),
    ("access", &["types", "wire", "sim-auth"]),
    ("gateway", &["types", "wire", "pgw-policy", "crash"]),
    ("admin-web", &["types", "store", "hss", "pgw-policy", "ip-pool"]),
    ("lab", &["types", "wire", "sim-auth"]),
    ("xtask", &[]),
];

/// Findings in the tree of one pure room: the output of
/// `cargo tree -p ROOM -e normal --prefix none --format '{p}'`.
pub fn impure(room: &str, tree: &str) -> Vec<String> {
    let mut found: Vec<String> = tree
        .lines()
        .filter_map(|l| l.split_whitespace().next())
        .filter(|name| IMPURE.contains(name))
        .map(|name| format!("{room}: its tree has {name} (see cargo tree -p {room} -e normal -i {name})"))
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Findings in the manifests: a room that uses one beside or above it.
pub fn floors() -> Vec<String> {
    let mut found = Vec::new();
    for (room, may) in USES {
        match fs::read_to_string(format!("{room}/Cargo.toml")) {
            Ok(manifest) => found.extend(
                dependencies(&manifest)
                    .into_iter()
                    .filter(|d| USES.iter().any(|(r, _)| r == d) && !may.contains(d))
                    .map(|d| format!("{room}/Cargo.toml: {room} may not use {d}")),
            ),
            Err(e) => found.push(format!("{room}/Cargo.toml: {e}")),
        }
    }
    found
}

/// Findings about the ban list of the pure rooms: each has a link to the one list.
pub fn links() -> Vec<String> {
    let list = fs::canonicalize("lints/pure.toml");
    PURE.iter()
        .filter_map(|room| {
            let link = format!("{room}/clippy.toml");
            match (&list, fs::read_link(&link).and_then(|_| fs::canonicalize(&link))) {
                (Ok(list), Ok(to)) if *list == to => None,
                _ => Some(format!("{link}: must be a link to lints/pure.toml")),
            }
        })
        .collect()
}

/// Names under `[dependencies]` of a manifest.
fn dependencies(manifest: &str) -> Vec<&str> {
    manifest
        .lines()
        .skip_while(|l| l.trim() != "[dependencies]")
        .skip(1)
        .take_while(|l| !l.starts_with('['))
        .filter_map(|l| l.split(['.', ' ', '=']).next())
        .filter(|n| !n.is_empty() && !n.starts_with('#'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_linked_counts_as_a_dependency() {
        let manifest = "[package]\nname = \"a\"\n\n[dependencies]\ntypes.workspace = true\nwire = { path = \"x\" }\n# tokio\n\n[dev-dependencies]\nlab.workspace = true\n";
        assert_eq!(dependencies(manifest), ["types", "wire"]);
    }

    #[test]
    fn a_runtime_in_a_pure_tree_is_found_once() {
        let tree = "wire v0.1.0 (/x/wire)\ntokio v1.0.0\ntokio v1.0.0 (*)\nrand_core v0.10.0\n";
        assert_eq!(impure("wire", tree).len(), 1);
    }
}
