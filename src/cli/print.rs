//! Answers as people, scripts and spreadsheets want them.

use super::Form;
use anyhow::Result;
use serde_json::Value;
use std::io::Write;
use unicode_width::UnicodeWidthStr;

/// Which members of a list's items are printed, in this order.
pub struct Columns(pub &'static [&'static str]);

/// Prints in one form.
pub struct Printer {
    form: Form,
}

impl Printer {
    /// A printer of this form.
    pub fn new(form: Form) -> Self {
        Self { form }
    }

    /// A list.
    pub fn list(&self, items: &[Value], columns: Columns) -> Result<()> {
        let mut out = std::io::stdout().lock();
        match self.form {
            Form::Json => writeln!(out, "{}", serde_json::to_string_pretty(items)?)?,
            Form::Csv => {
                let mut w = csv::Writer::from_writer(out);
                w.write_record(columns.0)?;
                for i in items {
                    w.write_record(columns.0.iter().map(|c| harmless(cell(i.get(*c)))))?;
                }
                w.flush()?;
            }
            Form::Table => {
                let head: Vec<String> = columns.0.iter().map(|c| c.replace('_', " ")).collect();
                let rows = items.iter().map(|i| columns.0.iter().map(|c| cell(i.get(*c))).collect());
                let all: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
                for line in aligned(&all) {
                    writeln!(out, "{line}")?;
                }
            }
        }
        Ok(())
    }

    /// One thing.
    pub fn thing(&self, v: &Value) -> Result<()> {
        let mut out = std::io::stdout().lock();
        match (self.form, v.as_object()) {
            (Form::Json, _) | (_, None) => writeln!(out, "{}", serde_json::to_string_pretty(v)?)?,
            (Form::Csv, Some(o)) => {
                let mut w = csv::Writer::from_writer(out);
                w.write_record(o.keys())?;
                w.write_record(o.values().map(|v| harmless(cell(Some(v)))))?;
                w.flush()?;
            }
            (Form::Table, Some(o)) => {
                let rows: Vec<Vec<String>> =
                    o.iter().map(|(k, v)| vec![k.replace('_', " "), cell(Some(v))]).collect();
                for line in aligned(&rows) {
                    writeln!(out, "{line}")?;
                }
            }
        }
        Ok(())
    }
}

/// A value in one cell.
fn cell(v: Option<&Value>) -> String {
    match v {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(s)) => s.clone(),
        Some(Value::Array(a)) => a.iter().map(|v| cell(Some(v))).collect::<Vec<_>>().join(" "),
        Some(Value::Object(o)) => {
            o.iter().map(|(k, v)| format!("{k}={}", cell(Some(v)))).collect::<Vec<_>>().join(" ")
        }
        Some(other) => other.to_string(),
    }
}

/// A spreadsheet runs a cell that begins with one of these; a quote in front makes it text.
fn harmless(s: String) -> String {
    if s.starts_with(['=', '+', '-', '@', '\t', '\r']) && s.parse::<f64>().is_err() {
        format!("'{s}")
    } else {
        s
    }
}

/// Rows with their columns under one another; wide characters count two.
fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |c: usize| rows.iter().filter_map(|r| r.get(c)).map(|s| s.width()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(width).collect();
    rows.iter()
        .map(|r| {
            let cells = r.iter().zip(&widths).map(|(s, w)| format!("{s}{}", " ".repeat(w - s.width())));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_keep_the_columns() {
        let rows = vec![vec!["営業".to_owned(), "1".to_owned()], vec!["office".to_owned(), "2".to_owned()]];
        assert_eq!(aligned(&rows), ["営業    1", "office  2"]);
    }

    #[test]
    fn a_cell_that_a_spreadsheet_would_run_is_made_text() {
        assert_eq!(harmless("=HYPERLINK(1)".to_owned()), "'=HYPERLINK(1)");
        assert_eq!(harmless("-12.5".to_owned()), "-12.5");
    }
}
