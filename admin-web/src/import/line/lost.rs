//! What cells lost on their way here, to a spreadsheet or an encoding.

use super::{Column, Facts, Finding, cells::Cells};
use types::Iccid;

/// What is left of a long number in a cell that a spreadsheet took for one. A key may look like one by chance, but has no
/// sign and no point.
fn is_rounded(c: Column, text: &str) -> bool {
    let number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'+');
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else {
        return text.split_once('.').is_some_and(|(a, b)| number(a) && number(b));
    };
    let key = c.is_key();
    number(mantissa) && number(exponent) && (!key || text.contains(['.', '+']))
}

/// Columns whose digits mean something one by one.
const EXACT: [Column; 8] = [
    Column::Imsi,
    Column::K,
    Column::Opc,
    Column::Op,
    Column::Topc,
    Column::Top,
    Column::Iccid,
    Column::Device,
];

/// Names every cell that lost something on its way here. True where one did.
pub(super) fn lost(c: &mut Cells<'_>, facts: &Facts) -> bool {
    for (column, text) in &c.raw.cells {
        if text.contains('\u{fffd}') {
            c.wrong(*column, "lost-character");
        }
    }
    for column in EXACT {
        match c.text(column) {
            Some(t) if is_rounded(column, t) => c.wrong_text(column, "spreadsheet-number", t),
            _ => {}
        }
    }
    if let (Some(t), Some(plmn)) = (c.text(Column::Imsi), facts.plmn) {
        let begin = format!("{}{}", plmn.mcc(), plmn.mnc());
        let whole = format!("{t:0>15}");
        let digits = t.bytes().all(|b| b.is_ascii_digit());
        if digits && (10..15).contains(&t.len()) && whole.starts_with(&begin) && !t.starts_with(&begin) {
            let f = Finding::new(c.raw.line, Column::Imsi.name(), "zeros-lost");
            c.found.push(f.text(t).other(whole));
        }
    }
    if let Some(t) = c.text(Column::Iccid) {
        let behind = t.get(15..).unwrap_or_default();
        if behind.len() >= 3 && behind.bytes().all(|b| b == b'0') && t.parse::<Iccid>().is_err() {
            c.wrong_text(Column::Iccid, "digits-lost", t);
        }
    }
    !c.found.is_empty()
}
