//! Bounded mutation fuzzing on the stable toolchain: every decoder, and the state machines behind them.
//!
//! `fuzz run --seconds N [--target NAME] [--seed S] [--keep]` mutates known inputs. A panic, an input that
//! takes long, a refused message that made us allocate much, and a message that does not survive its own
//! round trip are findings: the input is made smaller, written to `fuzz/crashes/`, and the exit code is 1.
//! `fuzz replay TARGET FILE` runs one input again.
//!
//! Without coverage the fuzzer takes the answer as its guide: an input that is refused (or read) in a way
//! not seen before is kept and mutated further; `--keep` adds such inputs to `fuzz/corpus/`.

mod alloc;
mod corpus;
mod hunt;
mod mutate;
mod targets;

use std::{process::ExitCode, time::Duration};
use targets::{TARGETS, Target};

#[global_allocator]
static ALLOCATOR: alloc::Counting = alloc::Counting;

const USAGE: &str = "\
fuzz run --seconds N [--target NAME] [--seed S] [--keep]
fuzz replay TARGET FILE
fuzz list";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["run", rest @ ..] => Run::parse(rest).and_then(|r| r.go()),
        ["replay", target, file] => replay(target, file),
        ["list"] => {
            TARGETS.iter().for_each(|t| println!("{:14} {}", t.name, t.what));
            Ok(true)
        }
        _ => Err(USAGE.to_owned()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

fn find(name: &str) -> Result<&'static Target, String> {
    TARGETS.iter().find(|t| t.name == name).ok_or_else(|| format!("there is no target {name}; see fuzz list"))
}

/// What `fuzz run` was asked.
struct Run {
    seconds: u64,
    targets: Vec<&'static Target>,
    seed: u64,
    keep: bool,
}

impl Run {
    fn parse(mut words: &[&str]) -> Result<Self, String> {
        let mut run = Self { seconds: 60, targets: TARGETS.iter().collect(), seed: 1, keep: false };
        while let [word, rest @ ..] = words {
            words = match (*word, rest) {
                ("--seconds", [n, rest @ ..]) => {
                    run.seconds = n.parse().map_err(|_| format!("--seconds {n}: not a number"))?;
                    rest
                }
                ("--seed", [n, rest @ ..]) => {
                    run.seed = n.parse().map_err(|_| format!("--seed {n}: not a number"))?;
                    rest
                }
                ("--target", [name, rest @ ..]) => {
                    run.targets = vec![find(name)?];
                    rest
                }
                ("--keep", rest) => {
                    run.keep = true;
                    rest
                }
                _ => return Err(USAGE.to_owned()),
            };
        }
        Ok(run)
    }

    /// True where nothing was found.
    fn go(self) -> Result<bool, String> {
        let hands = std::thread::available_parallelism().map_or(1, usize::from).min(self.targets.len());
        let share = (hands as f64 / self.targets.len() as f64).min(1.0);
        let each = Duration::from_secs_f64(self.seconds as f64 * share);
        println!("{} targets, {:.1} s each, seed {}", self.targets.len(), each.as_secs_f64(), self.seed);
        let reports = hunt::all(&self.targets, hands, each, self.seed);
        let mut clean = true;
        for (target, report) in &reports {
            println!(
                "{:14} {:>9} inputs, {:>4} answers, {:>6} octets allocated at most for a refused one",
                target.name,
                report.inputs,
                report.kept.len(),
                report.peak
            );
            if self.keep {
                corpus::keep(target.name, &report.kept).map_err(|e| format!("corpus: {e}"))?;
            }
            if let Some(finding) = &report.finding {
                clean = false;
                let file = corpus::crash(target.name, &finding.input).map_err(|e| format!("crashes: {e}"))?;
                println!("{:14} FOUND: {}\n{:14} input: {file}", target.name, finding.what, "");
            }
        }
        Ok(clean)
    }
}

fn replay(target: &str, file: &str) -> Result<bool, String> {
    let target = find(target)?;
    let text = std::fs::read_to_string(file).map_err(|e| format!("{file}: {e}"))?;
    let mut clean = true;
    for input in corpus::hex_words(&text) {
        match hunt::once(target, &input) {
            hunt::Seen::Answer { class, peak } => println!("{class} ({peak} octets allocated)"),
            hunt::Seen::Finding(what) => {
                println!("FOUND: {what}");
                clean = false;
            }
        }
    }
    Ok(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_survives_its_corpus_and_a_moment_of_mutation() {
        let all: Vec<&'static Target> = TARGETS.iter().collect();
        for (target, report) in hunt::all(&all, 2, Duration::from_millis(400), 7) {
            if let Some(f) = report.finding {
                let hex: String = f.input.iter().map(|b| format!("{b:02x}")).collect();
                panic!("{}: {}: {hex}", target.name, f.what);
            }
            assert!(report.inputs > 10, "{} ran {} inputs only", target.name, report.inputs);
            assert!(report.kept.len() > 2, "{} gives the same answer to everything", target.name);
        }
    }

    #[test]
    fn arguments_are_read() {
        let run =
            Run::parse(&["--seconds", "5", "--target", "gtpu", "--keep"]).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((run.seconds, run.targets.len(), run.keep), (5, 1, true));
        assert!(Run::parse(&["--target", "nothing"]).is_err());
        assert!(Run::parse(&["--seconds"]).is_err());
    }
}
