//! `sekisho equipment import FILE`: the list of devices and models from a CSV file, all of it or nothing.
//!
//! What a line says is judged by the API; what is wrong with it is told with line and column of the file.

use super::print::{Columns, Printer};
use crate::{
    client::{Client, Refused},
    lang::Lang,
};
use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, path::Path};

/// Columns of the file; the last one may be missing.
const COLUMNS: [&str; 3] = ["pattern", "colour", "label"];

/// What is wrong, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    line: u64,
    column: String,
    what: String,
    fix: String,
}

/// A line of the file.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    line: u64,
    cells: [String; 3],
}

/// Reads the file and puts what it says on the list.
pub(super) fn import(file: &Path, reason: &str, api: &Client, out: &Printer, lang: Lang) -> Result<()> {
    let octets = fs::read(file).with_context(|| file.display().to_string())?;
    let rows = match read(&octets, lang) {
        Ok(rows) => rows,
        Err(found) => return refuse(&found, out, lang),
    };
    let entry = |r: &Row| {
        let [pattern, colour, label] = &r.cells;
        json!({ "pattern": pattern, "colour": colour, "label": label })
    };
    let entries: Vec<Value> = rows.iter().map(entry).collect();
    match api.post("equipment/import", &json!({ "reason": reason, "entries": entries })) {
        Ok(done) => out.thing(&done.body),
        Err(e) => match e.downcast_ref::<Refused>().map(|r| told(&r.problem, &rows)) {
            Some(found) if !found.is_empty() => refuse(&found, out, lang),
            _ => Err(e),
        },
    }
}

fn refuse(found: &[Finding], out: &Printer, lang: Lang) -> Result<()> {
    let item = |f: &Finding| json!({ "line": f.line, "column": f.column, "what": f.what, "fix": f.fix });
    let items: Vec<Value> = found.iter().map(item).collect();
    out.list(&items, Columns(&["line", "column", "what", "fix"]))?;
    bail!("{}", lang.of("nothing was written", "何も書き込まれていません"))
}

/// Lines of CSV, with commas or semicolons as spreadsheets write them.
fn read(octets: &[u8], lang: Lang) -> Result<Vec<Row>, Vec<Finding>> {
    let text = octets.strip_prefix(b"\xef\xbb\xbf").unwrap_or(octets);
    let head = text.split(|b| *b == b'\n').next().unwrap_or_default();
    let delimiter = if head.contains(&b';') && !head.contains(&b',') { b';' } else { b',' };
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).trim(csv::Trim::All).from_reader(text);
    let places = places(&reader.headers().cloned().unwrap_or_default(), lang)?;
    let (mut rows, mut found) = (Vec::new(), Vec::new());
    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
    for record in reader.records() {
        let record = match record {
            Ok(r) => r,
            Err(e) => {
                let line = e.position().map_or(0, csv::Position::line);
                found.push(Finding {
                    line,
                    column: String::new(),
                    what: lang.of("this is no text in UTF-8", "UTF-8 の文字列ではありません").to_owned(),
                    fix: lang.of("save the file as UTF-8", "UTF-8 で保存してください").to_owned(),
                });
                continue;
            }
        };
        let line = record.position().map_or(0, |p| line_of(text, p));
        let cell = |at: &Option<usize>| at.and_then(|n| record.get(n)).unwrap_or_default().to_owned();
        let cells = [cell(&places[0]), cell(&places[1]), cell(&places[2])];
        if let Some(first) = seen.insert(cells[0].clone(), line) {
            found.push(Finding {
                line,
                column: COLUMNS[0].to_owned(),
                what: format!(
                    "{} {first}",
                    lang.of("it stands there already, in line", "次の行にもあります:")
                ),
                fix: lang.of("leave one of the two", "どちらか一方を残してください").to_owned(),
            });
        }
        rows.push(Row { line, cells });
    }
    if found.is_empty() { Ok(rows) } else { Err(found) }
}

/// The line of a record: empty lines before it are the reader's, not its.
fn line_of(text: &[u8], begin: &csv::Position) -> u64 {
    let rest = usize::try_from(begin.byte()).ok().and_then(|n| text.get(n..)).unwrap_or_default();
    let empty = rest.iter().take_while(|b| matches!(b, b'\r' | b'\n'));
    begin.line() + empty.filter(|b| **b == b'\n').count() as u64
}

/// Where each column stands.
fn places(header: &csv::StringRecord, lang: Lang) -> Result<[Option<usize>; 3], Vec<Finding>> {
    let known = lang.of("the columns are pattern, colour and label", "列は pattern、colour、label です");
    let finding = |column: &str, what: &str| Finding {
        line: 1,
        column: column.to_owned(),
        what: what.to_owned(),
        fix: known.to_owned(),
    };
    let at = |name: &str| header.iter().position(|h| h.eq_ignore_ascii_case(name));
    let unknown = header.iter().filter(|h| !COLUMNS.iter().any(|c| c.eq_ignore_ascii_case(h)));
    let mut found: Vec<Finding> =
        unknown.map(|h| finding(h, lang.of("there is no such column", "この列はありません"))).collect();
    for name in COLUMNS.iter().take(2).filter(|name| at(name).is_none()) {
        found.push(finding(name, lang.of("this column is missing", "この列がありません")));
    }
    if found.is_empty() { Ok(COLUMNS.map(at)) } else { Err(found) }
}

/// What the API found, by lines of the file.
fn told(problem: &Value, rows: &[Row]) -> Vec<Finding> {
    let text = |v: &Value, name: &str| v[name].as_str().unwrap_or_default().to_owned();
    let finding = |e: &Value| {
        let pointer = text(e, "pointer");
        let (n, column) = pointer.strip_prefix("/entries/")?.split_once('/')?;
        let row = rows.get(n.parse::<usize>().ok()?)?;
        Some(Finding {
            line: row.line,
            column: column.to_owned(),
            what: text(e, "detail"),
            fix: text(e, "fix"),
        })
    };
    problem["errors"].as_array().into_iter().flatten().filter_map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<(u64, String)> {
        let all = read(text.as_bytes(), Lang::En).expect("right");
        all.into_iter().map(|r| (r.line, r.cells.join("|"))).collect()
    }

    #[test]
    fn a_file_is_read_as_spreadsheets_write_it() {
        let wanted = [(2, "35693803564380|black|lost, 東京".to_owned()), (4, "35693803|white|".to_owned())];
        let comma = "pattern,colour,label\n35693803564380,black,\"lost, 東京\"\n\n35693803,white,\n";
        assert_eq!(rows(comma), wanted);
        let semicolon =
            "\u{feff}Colour; Label ;PATTERN\r\nblack;lost, 東京;35693803564380\r\n\r\nwhite;;35693803\r\n";
        assert_eq!(rows(semicolon), wanted);
        assert_eq!(
            rows("pattern,colour\n35693803564380:01,grey\n"),
            [(2, "35693803564380:01|grey|".to_owned())]
        );
    }

    #[test]
    fn what_is_wrong_is_named_by_line_and_column() {
        let found = |octets: &[u8]| read(octets, Lang::En).expect_err("wrong");
        let of = |f: &[Finding]| f.iter().map(|f| (f.line, f.column.clone())).collect::<Vec<_>>();
        assert_eq!(
            of(&found(b"imei,colour\n1,black\n")),
            [(1, "imei".to_owned()), (1, "pattern".to_owned())]
        );
        assert_eq!(of(&found(b"")), [(1, "pattern".to_owned()), (1, "colour".to_owned())]);
        let twice = b"pattern,colour\n35693803,black\n35693804,white\n35693803,white\n";
        assert_eq!(of(&found(twice)), [(4, "pattern".to_owned())]);
        assert_eq!(of(&found(b"pattern,colour,label\n35693803,black,\xff\n")), [(2, String::new())]);
        // What the API says of the second entry is about its line; what is about no entry is not a line's.
        let rows =
            read(b"pattern,colour\n1,black\n\n2,blue\n", Lang::En).expect("its lines can be told apart");
        let problem = json!({ "errors": [
            { "pointer": "/entries/1/colour", "detail": "no colour", "fix": "white, grey or black" },
            { "pointer": "/reason", "detail": "missing" },
            { "pointer": "/entries/7/colour", "detail": "whose" },
        ] });
        let wanted = Finding {
            line: 4,
            column: "colour".to_owned(),
            what: "no colour".to_owned(),
            fix: "white, grey or black".to_owned(),
        };
        assert_eq!(told(&problem, &rows), [wanted]);
    }
}
