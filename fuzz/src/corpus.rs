//! Inputs to begin with: the captured and independently encoded messages under `fixtures/`, and what the
//! fuzzer kept under `fuzz/corpus/`. Both are text, one input per line in hexadecimal.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

/// Longest input that is kept in the repository.
const SMALL: usize = 512;

/// Inputs that one corpus file holds at most.
const MOST: usize = 48;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The inputs of a target: its own corpus, then everything in `fixtures/<folder>`.
pub fn load(target: &str, folder: &str) -> Vec<Vec<u8>> {
    let mut inputs = Vec::new();
    for dir in [root().join("fuzz/corpus").join(target), root().join("fixtures").join(folder)] {
        for file in files(&dir) {
            inputs.extend(hex_words(&fs::read_to_string(file).unwrap_or_default()));
        }
    }
    inputs
}

/// Text files of one folder in a fixed order.
fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.path());
    let mut files: Vec<PathBuf> =
        entries.filter(|p| p.extension().is_some_and(|e| e == "hex" || e == "tsv")).collect();
    files.sort();
    files
}

/// The last column of each line, where it is hexadecimal. Lines that begin with `#` are comments.
pub fn hex_words(text: &str) -> Vec<Vec<u8>> {
    text.lines().filter(|l| !l.starts_with('#')).filter_map(|l| unhex(l.split_whitespace().last()?)).collect()
}

fn unhex(word: &str) -> Option<Vec<u8>> {
    if word.len() < 2 || !word.len().is_multiple_of(2) || !word.is_ascii() {
        return None;
    }
    word.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

fn hex(input: &[u8]) -> String {
    input.iter().map(|b| format!("{b:02x}")).collect()
}

/// Adds to a target's corpus one small input per answer that its file does not have yet.
pub fn keep(target: &str, kept: &BTreeMap<String, Vec<u8>>) -> io::Result<()> {
    let dir = root().join("fuzz/corpus").join(target);
    fs::create_dir_all(&dir)?;
    let file = dir.join("answers.hex");
    let old = fs::read_to_string(&file).unwrap_or_default();
    let mut text = if old.is_empty() {
        "# One input per answer that the fuzzer saw: answer, input\n".to_owned()
    } else {
        old
    };
    for (class, input) in kept.iter().filter(|(_, i)| (1..=SMALL).contains(&i.len())) {
        let label: String =
            class.chars().map(|c| if c.is_ascii_graphic() { c } else { '_' }).take(60).collect();
        if text.lines().count() > MOST {
            break;
        }
        if !text.lines().any(|l| l.split_whitespace().next() == Some(&label)) {
            text += &format!("{label} {}\n", hex(input));
        }
    }
    fs::write(file, text)
}

/// Writes an input that was a finding; returns the file's name.
pub fn crash(target: &str, input: &[u8]) -> io::Result<String> {
    let dir = root().join("fuzz/crashes");
    fs::create_dir_all(&dir)?;
    let sum =
        input.iter().fold(0xcbf2_9ce4_8422_2325u64, |h, b| (h ^ u64::from(*b)).wrapping_mul(0x100_0000_01b3));
    let name = format!("{target}-{sum:016x}.hex");
    fs::write(dir.join(&name), format!("{}\n", hex(input)))?;
    Ok(format!("fuzz/crashes/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_column_counts_and_comments_do_not() {
        let text = "# 0102\nname\t0a0b\nup\t1\t0c\nodd 123\nword xyzw\n\n";
        assert_eq!(hex_words(text), [vec![0x0a, 0x0b], vec![0x0c]]);
    }

    #[test]
    fn every_target_has_something_to_begin_with() {
        for t in crate::targets::TARGETS {
            assert!(!(t.seeds)().is_empty(), "{}", t.name);
        }
    }
}
