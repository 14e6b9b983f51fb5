//! JSON: an array of objects, or one object after the other (JSON lines). Members are named as the columns are, or the
//! objects are subscribers of an Open5GS database.
//!
//! Octets may come in any pieces; an object is parsed once its last brace is there.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{
    Finding, LINE_MOST, Lines, Raw,
    columns::{Column, tidy},
    csv::{looks_like, unknown_column},
    open5gs,
    text::Text,
};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use std::fmt;
use zeroize::Zeroizing;

/// The reader.
pub(crate) struct Json {
    object: Zeroizing<Vec<u8>>,
    /// Braces and brackets that are open inside an object.
    depth: u32,
    in_text: bool,
    escaped: bool,
    in_array: bool,
    line: u64,
    began: u64,
    first: bool,
    any: bool,
    /// The object is too long: it is passed over.
    skip: bool,
    text: Text,
}

impl Default for Json {
    fn default() -> Self {
        Self {
            object: Zeroizing::default(),
            depth: 0,
            in_text: false,
            escaped: false,
            in_array: false,
            line: 1,
            began: 1,
            first: true,
            any: false,
            skip: false,
            text: Text::default(),
        }
    }
}

impl Json {
    /// Takes octets in.
    pub(crate) fn push(&mut self, octets: &[u8]) -> Lines {
        let mut out = Lines::default();
        let text = self.text.push(octets);
        self.octets(&text, &mut out);
        out
    }

    fn octets(&mut self, octets: &[u8], out: &mut Lines) {
        for &b in octets {
            self.octet(b, out);
            if out.broken {
                break;
            }
        }
    }

    /// The file is at its end.
    pub(crate) fn end(mut self) -> Lines {
        let mut out = Lines::default();
        let text = self.text.end();
        self.octets(&text, &mut out);
        if out.broken {
            return out;
        }
        if self.depth > 0 || self.in_array {
            out.findings.push(Finding::new(self.began, "", "unclosed-json"));
            out.broken = true;
        } else if !self.any {
            out.findings.push(Finding::new(1, "", "empty"));
            out.broken = true;
        }
        out
    }

    fn octet(&mut self, b: u8, out: &mut Lines) {
        self.line += u64::from(b == b'\n');
        if self.depth == 0 {
            return self.between(b, out);
        }
        if self.object.len() < LINE_MOST {
            self.object.push(b);
        } else {
            self.skip = true;
        }
        if self.in_text {
            match b {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_text = false,
                _ => {}
            }
            return;
        }
        match b {
            b'"' => self.in_text = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth -= 1;
                if self.depth == 0 {
                    self.object(out);
                }
            }
            _ => {}
        }
    }

    /// Between objects.
    fn between(&mut self, b: u8, out: &mut Lines) {
        let first = std::mem::replace(&mut self.first, false);
        match b {
            b' ' | b'\t' | b'\r' | b'\n' | b',' => self.first = first,
            // A byte order mark.
            0xef | 0xbb | 0xbf if !self.any && !self.in_array => self.first = true,
            b'[' if first => (self.in_array, self.any) = (true, true),
            b']' if self.in_array => self.in_array = false,
            b'{' => {
                (self.depth, self.any, self.began) = (1, true, self.line);
                self.object.push(b);
            }
            0xff | 0xfe => {
                out.findings.push(Finding::new(self.line, "", "not-utf8").other("UTF-16".to_owned()));
                out.broken = true;
            }
            _ => {
                out.findings.push(Finding::new(self.line, "", "not-json"));
                out.broken = true;
            }
        }
    }

    fn object(&mut self, out: &mut Lines) {
        let octets = std::mem::take(&mut self.object);
        if std::mem::take(&mut self.skip) {
            out.findings.push(Finding::new(self.began, "", "line-too-long"));
            return;
        }
        if std::str::from_utf8(&octets).is_err() {
            let f = Finding::new(self.began, "", "not-utf8").other(looks_like(&octets).to_owned());
            out.findings.push(f);
            out.broken = true;
            return;
        }
        if open5gs::is(&octets) {
            let (raw, found) = open5gs::raw(&octets, self.began);
            out.rows.extend(raw);
            out.findings.extend(found);
            return;
        }
        let Ok(Members(members)) = serde_json::from_slice(&octets) else {
            out.findings.push(Finding::new(self.began, "", "not-json"));
            return;
        };
        let mut cells: Vec<(Column, Zeroizing<String>)> = Vec::with_capacity(members.len());
        let mut found = Vec::new();
        for (name, Cell(text)) in members {
            match Column::of(&name) {
                None => found.push(unknown_column(self.began, &name)),
                Some(c) if cells.iter().any(|(o, _)| *o == c) => {
                    found.push(Finding::new(self.began, c.name(), "column-twice"));
                }
                Some(c) => cells.push((c, tidy(c, &text))),
            }
        }
        // One line, one word: the others would say the same of every object.
        match found.into_iter().next() {
            Some(f) => out.findings.push(f),
            None => out.rows.push(Raw { line: self.began, cells }),
        }
    }
}

/// The members of an object in their order.
struct Members(Vec<(String, Cell)>);

/// A value in the form that it has in a cell: lists by `;`, pairs by `=`.
#[derive(Default)]
pub(super) struct Cell(pub(super) Zeroizing<String>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Members;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut m: A) -> Result<Members, A::Error> {
                let mut all = Vec::new();
                while let Some(pair) = m.next_entry()? {
                    all.push(pair);
                }
                Ok(Members(all))
            }
        }
        d.deserialize_map(V)
    }
}

impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(CellVisitor)
    }
}

struct CellVisitor;

fn cell<E>(text: String) -> Result<Cell, E> {
    Ok(Cell(Zeroizing::new(text)))
}

impl<'de> Visitor<'de> for CellVisitor {
    type Value = Cell;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, a list or an object of texts")
    }
    fn visit_str<E>(self, t: &str) -> Result<Cell, E> {
        cell(t.trim().to_owned())
    }
    fn visit_u64<E>(self, n: u64) -> Result<Cell, E> {
        cell(n.to_string())
    }
    fn visit_i64<E>(self, n: i64) -> Result<Cell, E> {
        cell(n.to_string())
    }
    fn visit_f64<E>(self, n: f64) -> Result<Cell, E> {
        // With its exponent: what a spreadsheet has rounded must not look like digits.
        cell(format!("{n:e}"))
    }
    fn visit_bool<E>(self, b: bool) -> Result<Cell, E> {
        cell(b.to_string())
    }
    fn visit_unit<E>(self) -> Result<Cell, E> {
        cell(String::new())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut s: A) -> Result<Cell, A::Error> {
        let mut all = Vec::new();
        while let Some(Cell(t)) = s.next_element()? {
            all.push(t.to_string());
        }
        cell(all.join(";"))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut m: A) -> Result<Cell, A::Error> {
        let mut all = Vec::new();
        while let Some((k, Cell(t))) = m.next_entry::<String, Cell>()? {
            all.push(format!("{k}={}", t.as_str()));
        }
        cell(all.join(";"))
    }
}
