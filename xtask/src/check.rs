//! What must hold before a push.

use crate::{
    deny, house, pages,
    step::{Steps, cargo},
};
use std::{process::Command, time::Duration};

/// A build on two cores from nothing.
pub const BUILD: Duration = Duration::from_secs(45 * 60);

/// Builds the binaries on what the tests have built: asked for alone they would need less of some dependencies, and
/// half the workspace would be compiled a second time for that.
pub fn build(steps: &mut Steps) -> bool {
    steps.run("build", cargo(&["build", "--workspace", "--locked", "--lib", "--bins", "--tests"]), BUILD)
}

/// Every check. `tests` also runs the tests inside the crates, which are the fast ones.
pub fn all(steps: &mut Steps, tests: bool) {
    steps.run("fmt", cargo(&["fmt", "--all", "--", "--check", "--color=never"]), Duration::from_secs(120));
    purity(steps);
    steps.judge("tests that the pages name", pages::findings());
    deny(steps);
    let clippy =
        ["clippy", "--workspace", "--all-targets", "--locked", "--keep-going", "--", "-D", "warnings"];
    steps.run("clippy", cargo(&clippy), BUILD);
    let mut doc = cargo(&["doc", "--workspace", "--no-deps", "--locked", "--keep-going"]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    steps.run("doc", doc, BUILD);
    if tests {
        crate::test::cargo_tests(steps, &["--lib", "--bins"], None);
    }
}

/// Bans, duplicates, licences, sources.
pub fn deny(steps: &mut Steps) {
    let tree =
        output(&["tree", "--workspace", "-e", "normal,build", "--prefix", "none", "--format", "{p}|{l}"]);
    steps.judge("deny (own check)", tree.and_then(|t| deny::findings(&t)));
    let there = Command::new("cargo-deny").arg("--version").output().is_ok_and(|o| o.status.success());
    if there {
        let c = cargo(&["deny", "check", "bans", "licenses", "sources"]);
        steps.run("cargo deny", c, Duration::from_secs(300));
    } else {
        steps.leave_out("cargo deny", "cargo-deny is not installed; the own check read the same lists");
    }
}

/// Pure rooms, their ban list, and the order of the floors.
pub fn purity(steps: &mut Steps) {
    let mut found = house::floors();
    found.extend(house::links());
    for room in house::PURE {
        match output(&["tree", "-p", room, "-e", "normal", "--prefix", "none", "--format", "{p}"]) {
            Ok(tree) => found.extend(house::impure(room, &tree)),
            Err(e) => found.extend(e),
        }
    }
    steps.judge("purity", if found.is_empty() { Ok(()) } else { Err(found) });
}

/// What a cargo command prints.
fn output(args: &[&str]) -> Result<String, Vec<String>> {
    match cargo(args).output() {
        Ok(o) if o.status.success() => Ok(String::from_utf8_lossy(&o.stdout).into_owned()),
        Ok(o) => Err(String::from_utf8_lossy(&o.stderr).lines().map(str::to_owned).collect()),
        Err(e) => Err(vec![format!("cargo {}: {e}", args.join(" "))]),
    }
}
