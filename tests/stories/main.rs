//! Stories.
#[test]
fn nothing_yet() {}
