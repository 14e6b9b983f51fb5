//! The story as people read it: a heading a step, a line for what was seen, and how it was judged.

use crate::lang::Lang;
use std::io::IsTerminal;

/// Prints the story and remembers whether every step held.
pub struct Teller {
    lang: Lang,
    quiet: bool,
    colour: bool,
    held: bool,
    step: u32,
}

impl Teller {
    /// A teller in this language; a quiet one (for `--json`) speaks on standard error.
    pub fn new(lang: Lang, quiet: bool) -> Self {
        Self { lang, quiet, colour: std::io::stdout().is_terminal() && !quiet, held: true, step: 0 }
    }

    /// True while every step has held.
    pub fn held(&self) -> bool {
        self.held
    }

    /// A new step.
    pub fn step(&mut self, en: &str, ja: &str) {
        self.step += 1;
        let line = format!("\n{}. {}", self.step, self.lang.of(en, ja));
        self.line(&if self.colour { format!("\x1b[1m{line}\x1b[0m") } else { line });
    }

    /// A plain line.
    pub fn say(&self, en: &str, ja: &str) {
        self.line(&format!("   {}", self.lang.of(en, ja)));
    }

    /// Something that must hold.
    pub fn must(&mut self, holds: bool, en: &str, ja: &str) {
        self.held &= holds;
        let mark = match (holds, self.colour) {
            (true, true) => "\x1b[32m✓\x1b[0m",
            (true, false) => "✓",
            (false, true) => "\x1b[31m✗\x1b[0m",
            (false, false) => "✗",
        };
        self.line(&format!("   {mark} {}", self.lang.of(en, ja)));
    }

    fn line(&self, text: &str) {
        if self.quiet {
            eprintln!("{text}");
        } else {
            println!("{text}");
        }
    }
}
