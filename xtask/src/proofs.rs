//! The proofs of a ban that run with real processes: kills, a bad disk, the keys looked for, bans under traffic. Each is a
//! verb of `sekisho bench` that judges itself by its exit code and says its figures in its last line.

use crate::{
    judges::is_root,
    step::{Ended, Steps, show_tail, target_dir},
};
use std::{
    fs,
    path::PathBuf,
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
    let unflushed = ["disk", "--every", "80", "--sabotage", "journal-flushed"];
    finds(steps, "a flush left out is found", false, &unflushed, "\"found\":[\"");
    let unstored = ["kills", "--kills", "4", "--sabotage", "ban-stored"];
    finds(steps, "bans not stored are found", true, &unstored, "acknowledged ban is neither in the journal");
    // Few SIMs and turns: that every answer is right, and what kills leave. Rates are for `bench air` by itself.
    let air = ["air", "--sims", "3000", "--turns", "1", "--kills", "12"];
    proof(steps, "vectors for an MME, and 12 kills", false, &air, SHORT);
    let unwritten = ["air", "--sims", "300", "--turns", "1", "--kills", "3", "--sabotage", "sqn-stored"];
    finds(steps, "ceilings not written are found", false, &unwritten, "came twice");
    let lowered =
        ["air", "--sims", "300", "--turns", "1", "--kills", "3", "--sabotage", "sqn-horizon-stored"];
    finds(steps, "a horizon not written is found", false, &lowered, "came twice");
    proof(steps, "a node restored", true, &["restore"], SHORT);
    proof(steps, "an import of 5 000 SIMs", false, &["import", "--sims", "5000"], SHORT);
    proof(steps, "the console's first questions with 100 000 SIMs", true, &["console"], SHORT);
    proof(steps, "noise at every socket", true, &["noise"], SHORT);
    proof(steps, "a relay that damages messages", true, &["damage", "--minutes", "0.2"], SHORT);
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
    for what in ["disk", "kills", "bans", "import", "failures", "damage", "air"] {
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
        "import" => vec!["import"],
        "damage" => vec!["damage"],
        "air" => vec!["air"],
        "bans" => vec!["ban", "--while", "all"],
        other => return Err(format!("soak knows no {other}")),
    };
    words.extend(args.iter().map(String::as_str));
    let usual: &[&str] = match what {
        "kills" if !has(args, "--kills") => &["--kills", "10000"],
        "damage" if !has(args, "--minutes") => &["--minutes", "30"],
        "bans" if args.is_empty() => &["--sessions", "10000", "--bans", "500"],
        "air" if !has(args, "--kills") => &["--sims", "100000", "--kills", "2000"],
        _ => &[],
    };
    words.extend(usual);
    if crate::check::build(steps) {
        proof(
            steps,
            &format!("soak {what}"),
            !matches!(what, "disk" | "import" | "air"),
            &words,
            10_000 * A_KILL,
        );
    }
    Ok(())
}

fn has(args: &[String], name: &str) -> bool {
    args.iter().any(|a| a == name || a.starts_with(&format!("{name}=")))
}

/// What one said.
struct Said {
    ended: Ended,
    log: PathBuf,
    last: String,
    took: Duration,
}

/// Runs one; `None` where it was skipped. `site` needs namespaces and a TUN.
fn bench(steps: &mut Steps, name: &str, site: bool, args: &[&str], limit: Duration) -> Option<Said> {
    if site && !is_root() {
        steps.skip(name, "we are not root, and it makes a site of network namespaces");
        return None;
    }
    let mut c = Command::new(target_dir().join("debug/sekisho"));
    c.arg("bench").args(args).arg("--json");
    let began = Instant::now();
    let (ended, log) = steps.command(name, c, limit, |l| l.starts_with("seed ") || l.contains("FOUND"));
    let said = fs::read_to_string(&log).unwrap_or_default();
    let last = said.lines().rfind(|l| l.starts_with('{')).unwrap_or_default().to_owned();
    Some(Said { ended, log, last, took: began.elapsed() })
}

/// One with a promise broken on purpose: it has to end badly and to name the loss, or it could find nothing.
fn finds(steps: &mut Steps, name: &str, site: bool, args: &[&str], loss: &str) {
    let Some(said) = bench(steps, name, site, args, SHORT) else { return };
    if matches!(said.ended, Ended::Badly(_))
        && said.last.contains("\"held\":false")
        && said.last.contains(loss)
    {
        return steps.pass(name, Some(said.took));
    }
    show_tail(&said.log);
    steps.fail(name, &format!("the loss was not found; see {}", said.log.display()));
}

/// Runs one and shows its last line.
fn proof(steps: &mut Steps, name: &str, site: bool, args: &[&str], limit: Duration) {
    let Some(Said { ended, log, last, took }) = bench(steps, name, site, args, limit) else { return };
    match ended {
        Ended::Well if last.contains("\"held\":true") => {
            println!("    {last}");
            steps.pass(name, Some(took));
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
