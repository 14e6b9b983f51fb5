//! What a wrong configuration is told: every mistake, with its line, its key and the fix.

use std::{fmt, path::PathBuf};

/// What is wrong with a configuration: all of it, not only the first mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, as it was named.
    pub file: PathBuf,
    /// Every mistake.
    pub faults: Vec<Fault>,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// One-based line, where it can be told.
    pub line: Option<usize>,
    /// The key, such as `n3.address`; empty where the text does not parse.
    pub key: String,
    /// What is wrong and what to write instead.
    pub what: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.faults.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{}", self.file.display())?;
            if let Some(l) = fault.line {
                write!(f, ":{l}")?;
            }
            if !fault.key.is_empty() {
                write!(f, ": {}", fault.key)?;
            }
            write!(f, ": {}", fault.what)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
