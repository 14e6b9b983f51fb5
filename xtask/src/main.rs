//! What developers and CI run, with the standard library alone.
//!
//! `cargo xtask check` before a push, `cargo xtask test` for everything that CI checks. Each step says
//! what it does, how long it took, and where its full output is.

mod api;
mod check;
mod demo;
mod deny;
mod house;
mod judges;
mod pages;
mod proofs;
mod readme;
mod spdx;
mod step;
mod tally;
mod test;
mod ui;

use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask <verb>

  check         fmt, clippy, doc, deny, purity, the tests that docs name, and the tests inside the crates
  test          all that CI checks: installs the judges (root and apt), builds the console, check, every test,
                fuzz, the demo as root and as an ordinary user, the README's commands,
                the API before schemathesis, the console in a browser, the proofs
  demo [ARGS]   builds and runs `sekisho demo ARGS`, with the console where Node 20 or later is
  ui            builds the console (npm) and stamps it with the sources that it was built from
  package       builds the release binary without the lab; refused without the console of these sources
  deny          bans, duplicates, licences and sources of dependencies
  purity        the pure rooms stay pure, and the house's floors stay in order
  readme        the first fifteen minutes of both READMEs, as they are written, with what is built
  fuzz [ARGS]   `fuzz run ARGS`: --seconds N, --target NAME
  soak [WHAT]   the tests marked `ignored`, ten minutes of fuzz and of schemathesis, and the proofs at full length; or
                one of them: api, kills [--kills N] [--seed S], disk, bans, import, failures,
                damage [--minutes N] [--per-mille N] [--seed S], air [--sims N,N] [--kills N] [--seed S]
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some((verb, rest)) = args.split_first() else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    // Every path below is relative to the workspace.
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    if let Err(e) = std::env::set_current_dir(root) {
        eprintln!("cannot enter {root}: {e}");
        return ExitCode::FAILURE;
    }
    let mut steps = step::Steps::new();
    match verb.as_str() {
        "check" => check::all(&mut steps, true),
        "test" => test::all(&mut steps),
        "ui" => return ui::by_hand(),
        "package" => ui::package(&mut steps),
        "deny" => check::deny(&mut steps),
        "readme" => readme::all(&mut steps),
        "purity" => check::purity(&mut steps),
        "soak" => match rest.split_first() {
            None => test::soak(&mut steps),
            Some((what, [])) if what == "api" => test::soak_api(&mut steps),
            Some((what, args)) => match proofs::soak(&mut steps, what, args) {
                Ok(()) => {}
                Err(why) => {
                    eprintln!("{why}\n\n{USAGE}");
                    return ExitCode::from(2);
                }
            },
        },
        "demo" => return demo::interactive(rest),
        "fuzz" => return test::fuzz_by_hand(rest),
        "-h" | "--help" | "help" => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        other => {
            eprintln!("there is no verb {other}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    }
    steps.finish()
}
