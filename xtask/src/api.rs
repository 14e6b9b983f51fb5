//! The API before schemathesis: requests made from its committed document, right ones and wrong ones, against the real
//! binary with a simulated site (`tests/judges/api.py`; what is left out stands in `schemathesis.toml` beside it); and SCIM
//! before scim2-tester (`tests/judges/scim.py`).

use crate::{
    demo,
    step::{Ended, Steps, show_tail, target_dir},
};
use std::{
    ffi::OsStr,
    fs,
    process::Command,
    time::{Duration, Instant},
};

/// Seconds in an ordinary run.
pub const SHORT_S: u64 = 60;
/// Seconds in a soak.
pub const SOAK_S: u64 = 600;

/// Has it judged for so many seconds. `path` is where judges are found.
pub fn judged(steps: &mut Steps, path: &OsStr, seconds: u64) {
    let limit = Duration::from_secs(180 + 2 * seconds);
    let name = format!("schemathesis for {seconds} s");
    by_script(steps, path, &name, "tests/judges/api.py", &[&seconds.to_string()], limit);
}

/// Has people and groups by SCIM judged by scim2-tester.
pub fn scim(steps: &mut Steps, path: &OsStr) {
    by_script(steps, path, "scim2-tester", "tests/judges/scim.py", &[], Duration::from_secs(180));
}

/// A judge in Python that starts the binary itself.
fn by_script(steps: &mut Steps, path: &OsStr, name: &str, script: &str, args: &[&str], limit: Duration) {
    if let Err(why) = demo::sites_are_possible() {
        return steps.skip(name, why);
    }
    let mut c = Command::new("python3");
    c.arg(script).arg(target_dir().join("debug/sekisho")).args(args).env("PATH", path);
    let began = Instant::now();
    let (ended, log) = steps.command(name, c, limit, |l| l.starts_with("FOUND"));
    match ended {
        Ended::Well => {
            let said = fs::read_to_string(&log).unwrap_or_default();
            println!("    {}", said.lines().rfind(|l| l.starts_with('{')).unwrap_or_default());
            steps.pass(name, Some(began.elapsed()));
        }
        Ended::Badly(why) => {
            show_tail(&log);
            steps.fail(name, &format!("{why}; all of it in {}", log.display()));
        }
    }
}
