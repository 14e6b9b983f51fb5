//! The one place that reads clocks. Everything else gets [`Now`] as an argument.

use types::{Mono, Now, Utc};

/// Both clocks, read once.
pub fn now() -> Now {
    Now { mono: mono(), utc: utc() }
}

/// The machine's monotonic clock (`CLOCK_MONOTONIC`), in nanoseconds. The same for all processes of one
/// boot, so that times of `gateway` and `control` can be compared.
pub fn mono() -> Mono {
    let t = clock(libc::CLOCK_MONOTONIC);
    Mono(nanoseconds(t))
}

/// The wall clock in milliseconds since 1970.
pub fn utc() -> Utc {
    let t = clock(libc::CLOCK_REALTIME);
    Utc(t.tv_sec.saturating_mul(1000).saturating_add(t.tv_nsec / 1_000_000))
}

/// The text of a time for people and files (RFC 3339, UTC).
pub fn rfc3339(at: Utc) -> String {
    jiff::Timestamp::from_millisecond(at.0).map_or_else(|_| at.0.to_string(), |t| t.to_string())
}

/// The number of the calling thread, for [`processor_time`].
///
/// # Errors
/// Where `/proc` is not mounted.
pub fn this_thread() -> std::io::Result<i32> {
    let link = std::fs::read_link("/proc/thread-self")?;
    let number = link.file_name().and_then(|n| n.to_str()).and_then(|n| n.parse().ok());
    number.ok_or_else(|| std::io::Error::other("/proc/thread-self names no thread"))
}

/// Processor time that a thread of this process has used, nanoseconds.
pub fn processor_time(thread: i32) -> u64 {
    // How Linux numbers the clock of a thread (`CPUCLOCK_PERTHREAD_MASK | CPUCLOCK_SCHED`).
    nanoseconds(clock(!thread << 3 | 6))
}

/// Processor time that all threads of another process have used, nanoseconds; 0 once it is gone.
pub fn processor_time_of(process: i32) -> u64 {
    // The same for a process (`CPUCLOCK_SCHED`).
    nanoseconds(clock(!process << 3 | 2))
}

/// Processor time that all threads of this process have used, nanoseconds.
pub fn processor_time_of_all() -> u64 {
    nanoseconds(clock(libc::CLOCK_PROCESS_CPUTIME_ID))
}

fn nanoseconds(t: libc::timespec) -> u64 {
    (t.tv_sec as u64).saturating_mul(1_000_000_000).saturating_add(t.tv_nsec as u64)
}

#[allow(unsafe_code)]
fn clock(id: libc::clockid_t) -> libc::timespec {
    let mut t = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `t` is a valid timespec for the call to fill. The clocks of the machine and of this process exist on
    // every Linux; that of a thread or process that has ended does not, and leaves `t` at zero.
    unsafe { libc::clock_gettime(id, &raw mut t) };
    t
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monotonic_time_does_not_go_back_and_wall_time_is_of_this_century() {
        let a = now();
        let b = now();
        assert!(b.mono >= a.mono);
        assert!(a.utc.0 > 1_600_000_000_000);
    }
    #[test]
    fn the_time_of_a_process_is_that_of_all_its_threads_and_of_one_that_is_gone_nothing() {
        let pid = std::process::id() as i32;
        let (before, seen, after) =
            (processor_time_of_all(), processor_time_of(pid), processor_time_of_all());
        assert!(before > 0 && (before..=after).contains(&seen));
        // Beyond all process ids (`PID_MAX_LIMIT`).
        assert_eq!(processor_time_of(1 << 27), 0);
    }
}
