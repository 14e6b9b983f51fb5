//! The proofs of a ban that run with real processes: kills, a bad disk, the keys looked for, bans under traffic. Each is a
//! verb of `sekisho bench` that judges itself by its exit code and says its figures in its last line.

use crate::{
    judges::is_root,
    step::{Ended, Steps, cargo, show_tail, target_dir},
};
use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

/// A short one.
const SHORT: Duration = Duration::from_secs(400);
/// Kills take a second or two each.
const A_KILL: Duration = Duration::from_secs(6);

/// What every run of the tests proves.
pub fn ordinary(steps: &mut Steps) {
    proof(steps, "a bad disk, every third call", false, &["disk", "--every", "3"], SHORT);
    proof(steps, "60 kills", true, &["kills", "--kills", "60"], 60 * A_KILL);
    proof(steps, "keys looked for", true, &["secrets"], SHORT);
    proof(
        steps,
        "bans under traffic",
        true,
        &["ban", "--bans", "20", "--sessions", "200", "--while", "all"],
        SHORT,
    );
    proof(steps, "the table of failures", true, &["failures"], SHORT);
}

/// The same at full length.
pub fn full(steps: &mut Steps) {
    for what in ["disk", "kills", "bans", "failures"] {
        // The names are those that are known.
        _ = soak(steps, what, &[]);
    }
}

/// One of them, by hand.
pub fn soak(steps: &mut Steps, what: &str, args: &[String]) -> Result<(), String> {
    let mut words: Vec<&str> = match what {
        "kills" => vec!["kills"],
        "disk" => vec!["disk"],
        "failures" => vec!["failures"],
        "bans" => vec!["ban", "--while", "all"],
        other => return Err(format!("soak knows no {other}")),
    };
    words.extend(args.iter().map(String::as_str));
    let usual: &[&str] = match what {
        "kills" if !has(args, "--kills") => &["--kills", "10000"],
        "bans" if args.is_empty() => &["--sessions", "10000", "--bans", "500"],
        _ => &[],
    };
    words.extend(usual);
    if steps.run("build", cargo(&["build", "--workspace", "--locked"]), crate::check::BUILD) {
        proof(steps, &format!("soak {what}"), what != "disk", &words, 10_000 * A_KILL);
    }
    Ok(())
}

fn has(args: &[String], name: &str) -> bool {
    args.iter().any(|a| a == name || a.starts_with(&format!("{name}=")))
}

/// Runs one and shows its last line. `site` needs namespaces and a TUN.
fn proof(steps: &mut Steps, name: &str, site: bool, args: &[&str], limit: Duration) {
    if site && !is_root() {
        return steps.skip(name, "we are not root, and it makes a site of network namespaces");
    }
    let mut c = Command::new(target_dir().join("debug/sekisho"));
    c.arg("bench").args(args).arg("--json");
    let began = Instant::now();
    let (ended, log) = steps.command(name, c, limit, |l| l.starts_with("seed ") || l.contains("FOUND"));
    let said = fs::read_to_string(&log).unwrap_or_default();
    let last = said.lines().rfind(|l| l.starts_with('{')).unwrap_or_default();
    match ended {
        Ended::Well if last.contains("\"held\":true") => {
            println!("    {last}");
            steps.pass(name, Some(began.elapsed()));
        }
        Ended::Well => {
            steps.fail(name, &format!("its last line does not say that it held; see {}", log.display()))
        }
        Ended::Badly(why) => {
            show_tail(&log);
            steps.fail(name, &format!("{why}; all of it in {}", log.display()));
        }
    }
}
