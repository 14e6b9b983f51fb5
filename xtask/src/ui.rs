//! The console: built by npm, stamped with the digest of what it was built from, and looked for before packaging.

use crate::{
    judges::is_there,
    step::{Ended, Steps, cargo, show_tail, target_dir},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};

#[path = "../../admin-web/stamp.rs"]
mod stamp;

const ROOM: &str = "admin-web";
/// The oldest Node that the console is built with.
const NODE: u32 = 20;
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// `cargo xtask ui`: builds whatever is there.
pub fn build(steps: &mut Steps) {
    const NAME: &str = "console";
    match node() {
        Ok(()) => {
            if let Err(why) = made(steps) {
                steps.fail(NAME, &why);
            }
        }
        Err(why) => steps.fail(NAME, &why),
    }
}

/// Builds it where it is not that of the sources. False where it could not be.
pub fn fresh(steps: &mut Steps) {
    const NAME: &str = "console";
    if findings().is_ok() {
        return steps.pass("console is that of the sources", None);
    }
    match node() {
        Ok(()) => build(steps),
        Err(why) => steps.skip(NAME, &why),
    }
}

/// As [`fresh`], for a person who wants to see the demo: without Node it says so and goes on.
pub fn for_a_person() {
    if findings().is_ok() {
        return;
    }
    match node() {
        Ok(()) => {
            let mut steps = Steps::new();
            if let Err(why) = made(&mut steps) {
                eprintln!("the console could not be built: {why}; everything else works");
            }
        }
        Err(why) => eprintln!("without the console: {why}; everything else works"),
    }
}

fn made(steps: &mut Steps) -> Result<(), String> {
    let ui = Path::new(ROOM).join("ui");
    if !ui.join("package.json").exists() {
        return Err("admin-web/ui holds no sources".to_owned());
    }
    // What lies there must not be taken for what is built now, should that fail in the middle.
    _ = fs::remove_file(stamped());
    for args in [&["ci", "--no-audit", "--no-fund"][..], &["run", "build"]] {
        let mut c = Command::new("npm");
        c.args(args).current_dir(&ui);
        let name = format!("npm {}", args.join(" "));
        if let (Ended::Badly(why), log) = steps.command(&name, c, LIMIT, |_| false) {
            show_tail(&log);
            return Err(format!("{name}: {why}; all of it in {}", log.display()));
        }
        steps.pass(&name, None);
    }
    let digest = stamp::digest(Path::new(ROOM)).map_err(|e| format!("reading the sources: {e}"))?;
    fs::write(stamped(), format!("{digest}\n")).map_err(|e| format!("{}: {e}", stamped().display()))?;
    steps.say(&format!("console built from sources {digest}"));
    Ok(())
}

fn stamped() -> PathBuf {
    Path::new(ROOM).join("ui/dist").join(stamp::FILE)
}

/// The console's own tests, and its screens in a browser against the real binary with seeded data.
pub fn screens(steps: &mut Steps) {
    const NAME: &str = "screens of the console";
    let ui = Path::new(ROOM).join("ui");
    if findings().is_err() {
        return steps.skip(NAME, "the console is not built");
    }
    if !is_there("chromium") {
        return steps.skip(NAME, "chromium is not installed");
    }
    for verb in ["test", "e2e"] {
        let mut c = Command::new("npm");
        c.args(["run", verb]).current_dir(&ui).env("SEKISHO_BIN", target_dir().join("debug/sekisho"));
        steps.run(&format!("npm run {verb}"), c, LIMIT);
    }
}

/// What keeps this tree's console from being packaged.
pub fn findings() -> Result<(), Vec<String>> {
    let digest = stamp::digest(Path::new(ROOM)).map_err(|e| vec![format!("reading the sources: {e}")])?;
    judge(fs::read_to_string(stamped()).ok().as_deref(), &digest).map_err(|why| vec![why])
}

fn judge(stamp: Option<&str>, digest: &str) -> Result<(), String> {
    match stamp.map(str::trim) {
        _ if digest.is_empty() => Err("admin-web/ui holds no sources".to_owned()),
        None => Err("the console is not built: cargo xtask ui".to_owned()),
        Some(s) if s != digest => {
            Err(format!("the console was built from sources {s}, here lie {digest}: cargo xtask ui"))
        }
        Some(_) => Ok(()),
    }
}

/// `cargo xtask package`: the binary as it is given away, without the lab. Refused without the console of these sources.
pub fn package(steps: &mut Steps) {
    let found = findings();
    let whole = found.is_ok();
    steps.judge("the console for the package", found);
    if whole {
        let args = [
            "build",
            "--release",
            "--locked",
            "--package",
            "sekisho",
            "--no-default-features",
            "--features",
            "passkeys",
        ];
        steps.run("release without the lab", cargo(&args), 2 * crate::check::BUILD);
    }
}

/// Whether a Node is here that builds it.
fn node() -> Result<(), String> {
    let said = Command::new("node").arg("--version").output();
    let said = said.map_err(|_| format!("Node {NODE} or later is needed to build it, and is not here"))?;
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    match major(&text) {
        Some(n) if n >= NODE => Ok(()),
        _ => Err(format!("Node {NODE} or later is needed to build it; here is {}", text.trim())),
    }
}

fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// `cargo xtask ui` alone.
pub fn by_hand() -> ExitCode {
    let mut steps = Steps::new();
    build(&mut steps);
    steps.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_console_of_these_sources_is_packaged() {
        assert_eq!(judge(Some("abc\n"), "abc"), Ok(()));
        for (stamp, digest) in
            [(None, "abc"), (Some("abd"), "abc"), (Some(""), "abc"), (Some(""), ""), (None, "")]
        {
            assert!(judge(stamp, digest).is_err(), "{stamp:?} {digest}");
        }
    }

    #[test]
    fn the_version_of_node_is_read() {
        assert_eq!(major("v20.20.2\n"), Some(20));
        assert_eq!(major("20"), None);
        assert_eq!(major(""), None);
    }

    #[test]
    fn the_digest_is_of_names_and_contents_and_of_nothing_else() {
        let dir = std::env::temp_dir().join(format!("sekisho-stamp-{}", std::process::id()));
        let ui = dir.join("ui");
        fs::create_dir_all(ui.join("src")).unwrap();
        let write = |name: &str, text: &str| fs::write(dir.join(name), text).unwrap();
        assert_eq!(stamp::digest(&dir).unwrap(), "");
        write("ui/package.json", "{}");
        write("openapi.json", "{}");
        write("ui/src/a.ts", "1");
        let first = stamp::digest(&dir).unwrap();
        assert_eq!(first.len(), 16);
        for (name, text) in [("openapi.json", "{ }"), ("ui/src/a.ts", "2"), ("ui/src/b.ts", "")] {
            let before = stamp::digest(&dir).unwrap();
            write(name, text);
            assert_ne!(stamp::digest(&dir).unwrap(), before, "{name}");
        }
        let before = stamp::digest(&dir).unwrap();
        for place in ["ui/dist", "ui/node_modules"] {
            fs::create_dir_all(dir.join(place)).unwrap();
            write(&format!("{place}/x"), "y");
        }
        assert_eq!(stamp::digest(&dir).unwrap(), before);
        fs::remove_dir_all(dir).unwrap();
    }
}
