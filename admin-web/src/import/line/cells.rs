//! The cells of a line while they are read.

use super::{Column, Finding, Raw};
use std::str::FromStr;

/// The cells of a line while they are read.
pub(super) struct Cells<'a> {
    pub(super) raw: &'a Raw,
    pub(super) found: Vec<Finding>,
}

impl<'a> Cells<'a> {
    /// What stands in a column; `None` where it is empty or not there.
    pub(super) fn text(&self, c: Column) -> Option<&'a str> {
        let cell = self.raw.cells.iter().find(|(o, _)| *o == c)?;
        let text = cell.1.as_str();
        (!text.is_empty()).then_some(text)
    }

    pub(super) fn wrong(&mut self, c: Column, code: &'static str) {
        self.found.push(Finding::new(self.raw.line, c.name(), code));
    }

    pub(super) fn wrong_text(&mut self, c: Column, code: &'static str, text: &str) {
        self.found.push(Finding::new(self.raw.line, c.name(), code).text(text));
    }

    pub(super) fn parse<T: FromStr>(&mut self, c: Column, code: &'static str) -> Option<T> {
        let text = self.text(c)?;
        match text.parse() {
            Ok(v) => Some(v),
            Err(_) => {
                self.wrong_text(c, code, text);
                None
            }
        }
    }

    /// A column in which `-` takes away what is there.
    pub(super) fn clearable<T>(
        &mut self,
        c: Column,
        read: impl FnOnce(&mut Self, &str) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.text(c)? {
            "-" => Some(None),
            text => read(self, text).map(Some),
        }
    }

    /// A list, separated by `;`, spaces or commas.
    pub(super) fn list<T: FromStr>(&mut self, c: Column, code: &'static str) -> Option<Vec<T>> {
        let text = self.text(c)?;
        let mut all = Vec::new();
        if text == "-" {
            return Some(all);
        }
        for part in text.split([';', ' ', ',', '\u{3000}']).filter(|p| !p.is_empty()) {
            match part.parse() {
                Ok(v) => all.push(v),
                Err(_) => self.wrong_text(c, code, part),
            }
        }
        Some(all)
    }

    pub(super) fn key<T>(&mut self, c: Column, read: impl Fn(&str) -> Result<T, &'static str>) -> Option<T> {
        let text = self.text(c)?;
        // Suppliers write octets apart.
        let plain: zeroize::Zeroizing<String> =
            zeroize::Zeroizing::new(text.chars().filter(|c| !matches!(c, ' ' | ':' | '-')).collect());
        match read(&plain) {
            Ok(k) => Some(k),
            Err(_) => {
                self.wrong(c, "bad-key");
                None
            }
        }
    }
}
