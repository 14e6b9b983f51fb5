//! RFC 4180, as spreadsheets and suppliers write it: in any encoding that [`Text`] reads, CRLF or LF, quoted cells with
//! line breaks and doubled quotes, columns in any order, separated by commas or, where the header has none, by tabs or
//! semicolons.
//!
//! Octets may come in any pieces. A line that is wrong is named and passed over; where the file as a whole cannot be
//! understood (its header, its encoding), reading ends.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{
    Finding, LINE_MOST, Lines, Raw,
    columns::{Column, tidy},
    text::Text,
};
use zeroize::Zeroizing;

/// Where the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// At the begin of a cell.
    Begin,
    /// In a cell without quotes.
    Plain,
    /// Between quotes.
    Quoted,
    /// Behind a quote that may be the last one, or the first of two.
    Quote,
    /// In the rest of a line that is wrong.
    Skip,
}

/// The reader.
pub(crate) struct Csv {
    at: At,
    header: Option<Vec<Column>>,
    text: Text,
    /// What stands between two cells; `None` before the first separator of the header.
    separator: Option<u8>,
    cell: Zeroizing<Vec<u8>>,
    cells: Vec<Zeroizing<Vec<u8>>>,
    /// Line that is read, from 1.
    line: u64,
    /// Line at which the record began.
    began: u64,
    /// Line of the quote that is open.
    quoted_at: u64,
    /// Octets of the record so far.
    length: usize,
    /// CR was the octet before.
    cr: bool,
}

impl Default for Csv {
    fn default() -> Self {
        Self {
            at: At::Begin,
            header: None,
            text: Text::default(),
            separator: None,
            cell: Zeroizing::default(),
            cells: Vec::new(),
            line: 1,
            began: 1,
            quoted_at: 1,
            length: 0,
            cr: false,
        }
    }
}

impl Csv {
    /// Takes octets in.
    pub(crate) fn push(&mut self, octets: &[u8]) -> Lines {
        let mut out = Lines::default();
        let text = self.text.push(octets);
        self.octets(&text, &mut out);
        out
    }

    /// The file is at its end.
    pub(crate) fn end(mut self) -> Lines {
        let mut out = Lines::default();
        let text = self.text.end();
        self.octets(&text, &mut out);
        if out.broken {
            return out;
        }
        if self.at == At::Quoted {
            let f = Finding::new(self.began, "", "unclosed-quote").other(self.quoted_at.to_string());
            out.findings.push(f);
        } else if self.length > 0 || !self.cells.is_empty() {
            self.record(&mut out);
        }
        if self.header.is_none() && !out.broken && out.findings.is_empty() {
            out.findings.push(Finding::new(1, "", "empty"));
            out.broken = true;
        }
        out
    }

    fn octets(&mut self, octets: &[u8], out: &mut Lines) {
        for &b in octets {
            self.octet(b, out);
            if out.broken {
                return;
            }
        }
    }

    fn octet(&mut self, b: u8, out: &mut Lines) {
        let after_cr = std::mem::replace(&mut self.cr, b == b'\r');
        if self.at == At::Quoted {
            self.length += 1;
            self.line += u64::from(b == b'\n');
            match b {
                b'"' => self.at = At::Quote,
                _ => self.keep(b, out),
            }
            return;
        }
        match b {
            // The LF of a CRLF: its CR has ended the record.
            b'\n' if after_cr => {
                self.line += 1;
                self.began = self.line;
            }
            b'\r' | b'\n' => {
                self.record(out);
                self.line += u64::from(b == b'\n');
                self.began = self.line;
            }
            _ if self.at == At::Skip => {}
            b',' | b';' | b'\t' if self.separates(b) => {
                self.length += 1;
                self.end_cell();
            }
            b'"' if self.at == At::Begin => {
                self.length += 1;
                (self.at, self.quoted_at) = (At::Quoted, self.line);
            }
            // Two quotes between quotes are one.
            b'"' if self.at == At::Quote => {
                self.at = At::Quoted;
                self.keep(b, out);
            }
            _ if self.at == At::Quote => {
                let column = self.column();
                self.wrong(Finding::new(self.began, column, "after-quote"), out);
            }
            _ => {
                self.length += 1;
                self.at = At::Plain;
                self.keep(b, out);
            }
        }
    }

    /// True where an octet ends a cell. The first that could in the header says what does in the whole file.
    fn separates(&mut self, b: u8) -> bool {
        if self.header.is_none() && self.separator.is_none() {
            self.separator = Some(b);
        }
        self.separator.unwrap_or(b',') == b
    }

    fn keep(&mut self, b: u8, out: &mut Lines) {
        if self.length > LINE_MOST {
            return self.wrong(Finding::new(self.began, "", "line-too-long"), out);
        }
        self.cell.push(b);
    }

    fn end_cell(&mut self) {
        self.cells.push(std::mem::take(&mut self.cell));
        self.at = At::Begin;
    }

    /// The column that is being read, as far as there is a header.
    fn column(&self) -> &'static str {
        self.header.as_ref().and_then(|h| h.get(self.cells.len())).map_or("", |c| c.name())
    }

    /// The record is wrong: the rest of its line is passed over.
    fn wrong(&mut self, f: Finding, out: &mut Lines) {
        out.findings.push(f);
        out.broken |= self.header.is_none();
        self.cells.clear();
        self.cell = Zeroizing::default();
        self.length = 0;
        self.at = At::Skip;
    }

    /// A record has ended.
    fn record(&mut self, out: &mut Lines) {
        let skipped = self.at == At::Skip;
        let empty = self.length == 0 && self.cells.is_empty();
        self.end_cell();
        self.length = 0;
        let cells = std::mem::take(&mut self.cells);
        if skipped || empty {
            return;
        }
        let Some(header) = &self.header else { return self.header_of(cells, out) };
        // A row of commas alone is what a spreadsheet leaves of a deleted one.
        if cells.iter().all(|c| c.is_empty()) {
            return;
        }
        let mut texts = Vec::with_capacity(cells.len());
        for (n, cell) in cells.iter().enumerate() {
            match std::str::from_utf8(cell) {
                Ok(t) => texts.push(t),
                Err(_) => {
                    let column = header.get(n).map_or("", |c| c.name());
                    let f = Finding::new(self.began, column, "not-utf8").other(looks_like(cell).to_owned());
                    out.findings.push(f);
                    out.broken = true;
                    return;
                }
            }
        }
        if texts.len() != header.len() {
            let (got, wanted) = (texts.len(), header.len());
            let f =
                Finding::new(self.began, "", "cell-count").text(got.to_string()).other(wanted.to_string());
            out.findings.push(f);
            return;
        }
        let cells = header.iter().zip(&texts).map(|(c, t)| (*c, tidy(*c, t)));
        out.rows.push(Raw { line: self.began, cells: cells.collect() });
    }

    fn header_of(&mut self, cells: Vec<Zeroizing<Vec<u8>>>, out: &mut Lines) {
        let mut header = Vec::with_capacity(cells.len());
        for cell in &cells {
            let Ok(name) = std::str::from_utf8(cell) else {
                let f = Finding::new(self.began, "", "not-utf8").other(looks_like(cell).to_owned());
                out.findings.push(f);
                break;
            };
            match Column::of(name) {
                Some(c) if header.contains(&c) => {
                    out.findings.push(Finding::new(self.began, c.name(), "column-twice"));
                }
                Some(c) => header.push(c),
                None => out.findings.push(unknown_column(self.began, name)),
            }
        }
        if out.findings.is_empty() && !header.contains(&Column::Imsi) {
            out.findings.push(Finding::new(self.began, "imsi", "column-missing"));
        }
        out.broken = !out.findings.is_empty();
        self.header = Some(header);
    }
}

/// A name that is none. It is repeated only where it cannot be a key: a file without a header would show its first line.
pub(super) fn unknown_column(line: u64, name: &str) -> Finding {
    let f = Finding::new(line, "", "unknown-column").other(Column::nearest(name).to_owned());
    let hex = name.len() >= 16 && name.bytes().all(|b| b.is_ascii_hexdigit());
    if hex { f } else { f.text(name) }
}

/// What octets that are not UTF-8 seem to be.
pub(super) fn looks_like(octets: &[u8]) -> &'static str {
    let mut it = octets.iter().copied().peekable();
    let mut pairs = 0;
    while let Some(b) = it.next() {
        match b {
            // Half-width katakana stand alone.
            0x00..=0x7f | 0xa1..=0xdf => {}
            0x81..=0x9f | 0xe0..=0xfc => match it.next() {
                Some(0x40..=0x7e | 0x80..=0xfc) => pairs += 1,
                _ => return "",
            },
            _ => return "",
        }
    }
    if pairs > 0 || octets.iter().any(|b| *b > 0x7f) { "Shift_JIS" } else { "" }
}
