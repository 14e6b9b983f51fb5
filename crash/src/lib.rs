//! Named points of the write path at which a test can have the process killed.
//!
//! What is durable before what is a promise about moments: between the write and its flush, between the flush and
//! the answer. A kill at a random time seldom falls into them, so each has a name, and the kill harness aims at it:
//! `SEKISHO_CRASH_AT=journal.synced:3` ends the process by SIGKILL at the third passing of that point. With
//! `SEKISHO_CRASH_AT=@FILE` the same words are read from FILE at each passing, and the file is removed before the
//! process dies, so that a harness can aim at a process that runs and the next one lives.
//!
//! That a harness finds nothing says little until it has found something: `SEKISHO_SABOTAGE` breaks a promise on purpose
//! ([`PROMISES`]), and a run of the harness has to end with the loss.
//!
//! In builds without the `lab` feature, which is what packages are, [`point`] is empty, [`sabotaged`] is false, and
//! nothing is read.

/// Every point, in the order of the path. The kill harness aims at each and fails where one is never passed.
pub const POINTS: [&str; 27] = [
    "ban.asked",
    "ban.cut",
    "journal.before-write",
    "journal.written",
    "journal.synced",
    "ban.confirm",
    "store.before-commit",
    "store.committed",
    "ban.answer",
    "unban.recorded",
    "lease.before-durable",
    "lease.durable",
    "sqn.before-horizon",
    "sqn.horizon",
    "sqn.before-ceiling",
    "sqn.ceiling",
    "copy.before-append",
    "copy.appended",
    "receipt.before-update",
    "receipt.updated",
    "checkpoint.signed",
    "checkpoint.in-file",
    "checkpoint.stored",
    "import.before-switch",
    "import.switched",
    "import.piece",
    "backup.sealed",
];

/// The promises that can be broken: a ban is answered though neither journal nor database has it; the journal's write is
/// acknowledged without its flush; a vector leaves above a ceiling that nobody has written; the same, of the common ceiling.
pub const PROMISES: [&str; 4] = ["ban-stored", "journal-flushed", "sqn-stored", "sqn-horizon-stored"];

/// Passes a point. Ends the process here if that was asked for.
#[cfg(not(feature = "lab"))]
#[inline(always)]
pub fn point(_name: &'static str) {}

/// Passes a point. Ends the process here if that was asked for.
#[cfg(feature = "lab")]
pub fn point(name: &'static str) {
    if let Some(plan) = plan::of_this_process()
        && plan.is_due(name)
    {
        end();
    }
}

/// True where this process was told, by `SEKISHO_SABOTAGE`, to break this promise: the harnesses have to find it.
#[cfg(not(feature = "lab"))]
#[inline(always)]
pub fn sabotaged(_promise: &'static str) -> bool {
    false
}

/// True where this process was told, by `SEKISHO_SABOTAGE`, to break this promise: the harnesses have to find it.
#[cfg(feature = "lab")]
pub fn sabotaged(promise: &'static str) -> bool {
    static BROKEN: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    BROKEN.get_or_init(|| std::env::var("SEKISHO_SABOTAGE").ok()).as_deref() == Some(promise)
}

/// As kill -9 does: no destructor, no buffer, no other thread gets another step.
#[cfg(feature = "lab")]
#[allow(unsafe_code)]
fn end() -> ! {
    // SAFETY: kill(2) and getpid(2) take and give integers.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    // The signal is delivered before kill(2) returns to this thread.
    std::process::abort()
}

#[cfg(feature = "lab")]
mod plan {
    use std::{
        fs,
        path::PathBuf,
        sync::{
            OnceLock,
            atomic::{AtomicU64, Ordering},
        },
    };

    /// When to die.
    #[derive(Debug)]
    pub(super) enum Plan {
        /// At the n-th passing since the start.
        Fixed { name: String, left: AtomicU64 },
        /// As this file says.
        File(PathBuf),
    }

    /// What the environment asked for.
    pub(super) fn of_this_process() -> Option<&'static Plan> {
        static PLAN: OnceLock<Option<Plan>> = OnceLock::new();
        PLAN.get_or_init(|| Plan::parse(&std::env::var("SEKISHO_CRASH_AT").ok()?)).as_ref()
    }

    impl Plan {
        pub(super) fn parse(text: &str) -> Option<Self> {
            if let Some(file) = text.strip_prefix('@') {
                return Some(Self::File(file.into()));
            }
            let (name, n) = words(text)?;
            Some(Self::Fixed { name: name.to_owned(), left: AtomicU64::new(n) })
        }

        /// Counts a passing; true where it is the one.
        pub(super) fn is_due(&self, point: &str) -> bool {
            match self {
                Self::Fixed { name, left } => name == point && left.fetch_sub(1, Ordering::Relaxed) == 1,
                Self::File(file) => {
                    let Ok(text) = fs::read_to_string(file) else { return false };
                    match words(&text) {
                        Some((name, n)) if name == point && n <= 1 => fs::remove_file(file).is_ok(),
                        Some((name, n)) if name == point => {
                            // Where this fails the point is passed once more, and the harness sees that nobody died.
                            drop(fs::write(file, format!("{name}:{}", n - 1)));
                            false
                        }
                        _ => false,
                    }
                }
            }
        }
    }

    /// `NAME` or `NAME:N`.
    fn words(text: &str) -> Option<(&str, u64)> {
        match text.trim().split_once(':') {
            None => Some((text.trim(), 1)).filter(|w| !w.0.is_empty()),
            Some((name, n)) => Some((name, n.parse().ok().filter(|n| *n > 0)?)),
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn the_nth_passing_of_the_named_point_is_the_one() {
            let plan = Plan::parse("journal.synced:3").unwrap();
            let due: Vec<bool> = (0..5).map(|_| plan.is_due("journal.synced")).collect();
            assert_eq!(due, [false, false, true, false, false]);
            assert!(!Plan::parse("ban.cut").unwrap().is_due("ban.confirm"));
            assert!(Plan::parse("ban.cut").unwrap().is_due("ban.cut"));
            assert!(Plan::parse("").is_none() && Plan::parse("ban.cut:0").is_none());
        }

        #[test]
        fn a_file_is_read_at_each_passing_and_used_once() {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("crash");
            let plan = Plan::parse(&format!("@{}", file.display())).unwrap();
            assert!(!plan.is_due("ban.cut"));
            fs::write(&file, "ban.cut:2").unwrap();
            assert!(!plan.is_due("ban.confirm") && !plan.is_due("ban.cut") && plan.is_due("ban.cut"));
            assert!(!file.exists() && !plan.is_due("ban.cut"));
        }
    }
}
