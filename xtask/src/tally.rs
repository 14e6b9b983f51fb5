//! What `cargo test` said, counted.

/// The sum over all test binaries of one run.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Tests that ran and passed, those that said `skipped:` not included.
    pub passed: u64,
    /// Names of tests that failed.
    pub failed: Vec<String>,
    /// Failures that no name was seen for.
    pub failed_unnamed: u64,
    /// What tests said behind `skipped: `.
    pub skipped: Vec<String>,
    /// Tests marked `ignored`, with their reason.
    pub ignored: Vec<String>,
}

impl Tally {
    /// Reads the output of `cargo test -- --show-output`.
    pub fn read(output: &str) -> Self {
        let (mut tally, mut passed, mut failed) = (Self::default(), 0, 0);
        for line in output.lines().map(str::trim) {
            if let Some(sums) = line.strip_prefix("test result: ") {
                passed += number_before(sums, "passed");
                failed += number_before(sums, "failed");
            } else if let Some(why) = line.strip_prefix("skipped: ") {
                tally.skipped.push(why.to_owned());
            } else if let Some(name) = test_name(line, " ... FAILED") {
                tally.failed.push(name.to_owned());
            } else if let Some((name, why)) =
                line.strip_prefix("test ").and_then(|l| l.split_once(" ... ignored"))
            {
                tally.ignored.push(format!("{name}{why}"));
            }
        }
        tally.passed = u64::saturating_sub(passed, tally.skipped.len() as u64);
        tally.failed_unnamed = u64::saturating_sub(failed, tally.failed.len() as u64);
        tally
    }
}

/// True for a line that a person who waits wants to see.
pub fn is_news(line: &str) -> bool {
    let line = line.trim();
    ["test result: ", "skipped: ", "Running ", "error", "thread '"].iter().any(|p| line.starts_with(p))
        || line.ends_with("... FAILED")
}

fn test_name<'a>(line: &'a str, end: &str) -> Option<&'a str> {
    line.strip_prefix("test ")?.strip_suffix(end)
}

fn number_before(text: &str, word: &str) -> u64 {
    let mut before = 0;
    for part in text.split([' ', ';', '.']) {
        if part == word {
            return before;
        }
        before = part.parse().unwrap_or(before);
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_output_of_cargo_test_is_counted() {
        let output = "\
     Running unittests src/lib.rs (target/debug/deps/a-1)
running 4 tests
test a::one ... ok
test a::two ... FAILED
test a::long ... ignored, soak: an hour
test a::judge ... ok
successes:
---- a::judge stdout ----
skipped: tshark is not installed
test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
test result: ok. 10 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";
        let t = Tally::read(output);
        assert_eq!(t.passed, 11);
        assert_eq!(t.failed, ["a::two"]);
        assert_eq!(t.failed_unnamed, 1);
        assert_eq!(t.skipped, ["tshark is not installed"]);
        assert_eq!(t.ignored, ["a::long, soak: an hour"]);
    }
}
