//! The pages name tests: each of them is there, in the file that its short name stands for.
//!
//! A test is named as `` `short::name_of_the_test` ``; docs/compliance.md has a table of the short names. A page that
//! says that something is held by a test which nobody has is worse than one that says nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Where the table of short names is.
const TABLE: &str = "docs/compliance.md";
/// Fewer letters than this are a type's or a module's name.
const SHORTEST: usize = 12;
/// So many were named when this was written: a page that cannot be read any longer names none.
const FEWEST: usize = 600;

/// Every name that leads nowhere.
pub fn findings() -> Result<(), Vec<String>> {
    let mut found = Vec::new();
    let tests = tests();
    let table = fs::read_to_string(TABLE).map_err(|e| vec![format!("{TABLE}: {e}")])?;
    let shorts = shorts(&table);
    let mut named = 0;
    for page in files(Path::new("docs"), "md") {
        let text = fs::read_to_string(&page).unwrap_or_default();
        for (short, test) in names(&text) {
            named += 1;
            let page = page.display();
            match (tests.get(test), shorts.get(short)) {
                (None, _) => found.push(format!("{page}: there is no test {test}")),
                (Some(there), Some(file)) if !there.iter().any(|t| fits(t, file)) => {
                    let there = there.iter().cloned().collect::<Vec<_>>().join(", ");
                    found.push(format!("{page}: {short}::{test} is not in {file} but in {there}"));
                }
                _ => {}
            }
        }
    }
    if named < FEWEST {
        found.push(format!("docs name {named} tests and named {FEWEST}"));
    }
    if found.is_empty() { Ok(()) } else { Err(found) }
}

/// `short::test` between backticks; what lies before the short name is a part of it.
fn names(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let is_test = |t: &str| {
        t.len() >= SHORTEST && t.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    text.split('`').skip(1).step_by(2).filter_map(|w| w.rsplit_once("::")).filter(move |(_, t)| is_test(t))
}

/// The table's pairs: a short name, and its file or its files.
fn shorts(page: &str) -> BTreeMap<&str, &str> {
    let bare = |cell: &str| cell.strip_prefix('`').is_some_and(|c| c.ends_with('`'));
    let rows = page.lines().filter(|l| l.starts_with("| `"));
    let cells = rows.map(|l| l.split('|').map(str::trim).filter(|c| !c.is_empty()).collect::<Vec<_>>());
    let pairs =
        cells.flat_map(|c| c.chunks(2).filter_map(|p| Some((*p.first()?, *p.get(1)?))).collect::<Vec<_>>());
    let files = pairs.filter(|(short, file)| bare(short) && bare(file) && file.ends_with(".rs`"));
    files.map(|(short, file)| (short.trim_matches('`'), file.trim_matches('`'))).collect()
}

/// True where a file is this one, or one of these: one star stands for a part of a file's name.
fn fits(file: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => file == pattern,
        Some((head, tail)) => {
            let middle = file.strip_prefix(head).and_then(|rest| rest.strip_suffix(tail));
            middle.is_some_and(|m| !m.contains('/'))
        }
    }
}

/// Functions, and what a macro of ours makes two tests of, with the files that have them.
fn tests() -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let roots = fs::read_dir(".").into_iter().flatten().flatten().map(|e| e.path());
    let own = |p: &PathBuf| {
        !p.ends_with("target") && !p.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'))
    };
    for file in roots.filter(own).flat_map(|root| files(&root, "rs")) {
        let text = fs::read_to_string(&file).unwrap_or_default();
        let place = file.display().to_string();
        let place = place.trim_start_matches("./").to_owned();
        for head in ["fn ", "on_both!("] {
            for after in text.split(head).skip(1) {
                let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(after.len());
                found
                    .entry(after.get(..end).unwrap_or_default().to_owned())
                    .or_default()
                    .insert(place.clone());
            }
        }
    }
    found
}

/// Files below, by their ending; what was fetched or built is not ours.
fn files(at: &Path, ending: &str) -> Vec<PathBuf> {
    if at.is_file() {
        return if at.extension().is_some_and(|e| e == ending) { vec![at.to_owned()] } else { Vec::new() };
    }
    if at.ends_with("node_modules") {
        return Vec::new();
    }
    fs::read_dir(at).into_iter().flatten().flatten().flat_map(|e| files(&e.path(), ending)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_their_files_are_read_from_a_page() {
        let page = "| `a` | `x/a.rs` | `b` | `y/*.rs` |\n| no | `z.rs` |\ntext `a::a_test_of_something`, `b::Type`, `c::short`\n";
        assert_eq!(shorts(page), BTreeMap::from([("a", "x/a.rs"), ("b", "y/*.rs")]));
        assert_eq!(names(page).collect::<Vec<_>>(), [("a", "a_test_of_something")]);
        for (file, pattern, expected) in [
            ("x/a.rs", "x/a.rs", true),
            ("x/b.rs", "x/a.rs", false),
            ("y/b.rs", "y/*.rs", true),
            ("y/z/b.rs", "y/*.rs", false),
            ("x/y/b.rs", "y/*.rs", false),
        ] {
            assert_eq!(fits(file, pattern), expected, "{file} {pattern}");
        }
    }
}
