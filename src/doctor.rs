//! `sekisho doctor`: what this machine lacks, and the command that mends it.
//!
//! | file | what |
//! | --- | --- |
//! | `machine` | what the machine is like: looked at, nothing changed |
//! | `ways`, `certificate` | parts of that |
//! | `page` | the page inside the closed network: what it is like, and what is wrong with it |
//! | `judge` | what is wrong with such a machine, in both languages: the list and its order |
//! | `radio`, `network`, `smfs`, `gateway`, `storage`, `people` | the findings, by topic |
//!
//! The API's health screen shows the same list, with what only the running system knows beside it.

mod certificate;
mod gateway;
mod judge;
mod machine;
mod network;
mod page;
mod people;
mod radio;
mod smfs;
mod storage;
mod ways;

#[cfg(test)]
mod tests;

pub use judge::judge;
pub use machine::{CopySeen, Machine, ProviderSeen, Refused, SilentPeer, Tun};
pub use page::PageSeen;
pub use ways::Ways;

use crate::{cli::Form, config::Config, lang::Lang};
use admin_web::{FindingState, MachineFinding, Said};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Looks at everything and prints it, for people or as JSON; fails where something does not work.
pub fn run(config: &Config, form: Form, lang: Lang) -> ExitCode {
    let found = examine(config);
    let text = |s: &Said| lang.of(&s.en, &s.ja).to_owned();
    if form == Form::Json {
        let line = |f: &MachineFinding| {
            let (what, seen, fix) = (text(&f.what), text(&f.seen), f.fix.as_ref().map(text));
            json!({ "code": f.code, "state": f.state.as_str(), "what": what, "seen": seen, "fix": fix, "command": f.command })
        };
        println!("{}", Value::from_iter(found.iter().map(line)));
        return code(&found);
    }
    for f in &found {
        let mark = match f.state {
            FindingState::Good => lang.of("ok  ", "良好"),
            FindingState::Note => lang.of("note", "注意"),
            FindingState::Bad => lang.of("BAD ", "不良"),
        };
        println!("{mark}  {}: {}", text(&f.what), text(&f.seen));
        if let Some(fix) = &f.fix {
            println!("      → {}", text(fix));
        }
        if let Some(command) = &f.command {
            println!("      $ {command}");
        }
    }
    code(&found)
}

fn code(found: &[MachineFinding]) -> ExitCode {
    if found.iter().any(|f| f.state == FindingState::Bad) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Everything that can be seen without changing anything.
pub fn examine(config: &Config) -> Vec<MachineFinding> {
    judge(config, &Machine::look(config))
}
