//! All that CI checks, in one go.

use crate::{
    api,
    check::{self, BUILD},
    demo, judges, proofs, readme,
    step::{Ended, Steps, cargo, show_tail, target_dir},
    tally::{Tally, is_news},
    ui,
};
use std::{
    ffi::OsStr,
    fs,
    process::{Command, ExitCode},
    time::Duration,
};

/// Seconds of fuzz in an ordinary run.
const FUZZ_S: u64 = 60;

/// Seconds of fuzz in a soak.
const SOAK_FUZZ_S: u64 = 600;

/// `cargo xtask test`.
pub fn all(steps: &mut Steps) {
    let path = judges::prepare(steps);
    // Before anything is compiled: it is embedded then.
    ui::fresh(steps);
    check::all(steps, false);
    cargo_tests(steps, &[], Some(&path));
    if check::build(steps) {
        fuzz(steps, FUZZ_S);
        demo::all(steps, &path);
        readme::all(steps);
        api::judged(steps, &path, api::SHORT_S);
        api::scim(steps, &path);
        ui::screens(steps);
        proofs::ordinary(steps);
    }
}

/// `cargo xtask soak`.
pub fn soak(steps: &mut Steps) {
    let path = judges::prepare(steps);
    cargo_tests(steps, &["--", "--ignored"], Some(&path));
    if check::build(steps) {
        fuzz(steps, SOAK_FUZZ_S);
        api::judged(steps, &path, api::SOAK_S);
        proofs::full(steps);
    }
}

/// `cargo xtask soak api`.
pub fn soak_api(steps: &mut Steps) {
    let path = judges::prepare(steps);
    if check::build(steps) {
        api::judged(steps, &path, api::SOAK_S);
    }
}

/// `cargo test --workspace`, counted test by test. `path` is where judges are found.
pub fn cargo_tests(steps: &mut Steps, args: &[&str], path: Option<&OsStr>) {
    let mut command = cargo(&["test", "--workspace", "--locked", "--no-fail-fast"]);
    command.args(args);
    if !args.contains(&"--") {
        command.arg("--");
    }
    command.arg("--show-output");
    if let Some(path) = path {
        command.env("PATH", path);
    }
    let (ended, log) = steps.command("cargo test", command, 2 * BUILD, is_news);
    let output = fs::read(&log).unwrap_or_default();
    let tally = Tally::read(&String::from_utf8_lossy(&output));
    steps.add_passed(tally.passed);
    for why in &tally.skipped {
        steps.skip("test", why);
    }
    for name in &tally.ignored {
        steps.leave_out("test", name);
    }
    for name in &tally.failed {
        steps.fail("test", name);
    }
    for _ in 0..tally.failed_unnamed {
        steps.fail("test", &format!("see {}", log.display()));
    }
    if let Ended::Badly(why) = ended {
        show_tail(&log);
        if tally.failed.is_empty() && tally.failed_unnamed == 0 {
            steps.fail("cargo test", &format!("{why}; all of it in {}", log.display()));
        }
    }
}

fn fuzz(steps: &mut Steps, seconds: u64) {
    let mut command = Command::new(target_dir().join("debug/fuzz"));
    command.args(["run", "--seconds", &seconds.to_string()]);
    steps.run(&format!("fuzz for {seconds} s"), command, Duration::from_secs(60 + 4 * seconds));
}

/// `cargo xtask fuzz ARGS`.
pub fn fuzz_by_hand(args: &[String]) -> ExitCode {
    let mut command = cargo(&["run", "--quiet", "--package", "fuzz", "--", "run"]);
    match command.args(args).status() {
        Ok(s) if s.success() => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("cargo: {e}");
            ExitCode::FAILURE
        }
    }
}
