//! `sekisho run`: starts the two processes, `gateway` and `control`, and starts again whichever dies.
//!
//! It holds no state and no secret, so it has nothing to lose. The gateway is started first: it reads the
//! revocation journal before it opens a socket. A process that keeps dying is started again with growing
//! pauses; a process that says by its exit code that it must not run (the journal is damaged, the
//! configuration is wrong) is not, and `run` ends with that code.

use gateway::journal::JournalError;
use std::{
    os::fd::RawFd,
    path::Path,
    process::{Child, Command, ExitCode, ExitStatus},
    time::{Duration, Instant},
};
use tracing::{error, info, warn};

/// Exit code of a part that must not be started again: a person has to act first.
pub const MUST_NOT_RUN: u8 = 78;

/// The exit code that goes with an error: [`MUST_NOT_RUN`] where starting again would find the same thing.
pub fn code_of(error: &anyhow::Error) -> ExitCode {
    let journal = error.chain().find_map(|e| e.downcast_ref::<JournalError>());
    if journal.is_some_and(JournalError::needs_a_person) {
        ExitCode::from(MUST_NOT_RUN)
    } else {
        ExitCode::FAILURE
    }
}

/// The pause before a part is started again, and its limit.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// A part that lived this long is healthy: its next pause is the shortest again.
const HEALTHY: Duration = Duration::from_secs(10);

struct Part {
    name: &'static str,
    child: Option<Child>,
    started: Instant,
    pause: Duration,
    due: Instant,
}

/// Runs both parts until a signal asks to stop.
///
/// `api_fd` is an API listener that was handed to us (LISTEN_FDS, as systemd does); it is passed on to `control`
/// and to nobody else.
pub async fn run(config: &Path, api_fd: Option<RawFd>) -> anyhow::Result<ExitCode> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let mut chld = signal(SignalKind::child())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let exe = std::env::current_exe()?;
    let now = Instant::now();
    let part = |name| Part { name, child: None, started: now, pause: PAUSE.0, due: now };
    let mut parts = [part("gateway"), part("control")];
    loop {
        let now = Instant::now();
        let mut next: Option<Instant> = None;
        for p in &mut parts {
            if let Some(code) = reap(p, now)? {
                error!(part = p.name, "{} says that it must not run; stopping", p.name);
                stop(&mut parts).await;
                return Ok(ExitCode::from(code));
            }
            if p.child.is_none() && p.due <= now {
                p.child = Some(start(&exe, config, p.name, api_fd)?);
                p.started = now;
                info!(part = p.name, pid = p.child.as_ref().map(Child::id), "{} started", p.name);
            } else if p.child.is_none() {
                next = Some(next.map_or(p.due, |n: Instant| n.min(p.due)));
            }
        }
        let wait = async {
            match next {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = term.recv() => break,
            _ = int.recv() => break,
            _ = chld.recv() => {}
            // Only `control` has what may change while it runs.
            _ = hangup.recv() => {
                let control = parts.iter().find(|p| p.name == "control");
                if let Some(child) = control.and_then(|p| p.child.as_ref()) {
                    self::signal(child.id() as libc::pid_t, libc::SIGHUP);
                }
            }
            () = wait => {}
        }
    }
    stop(&mut parts).await;
    Ok(ExitCode::SUCCESS)
}

/// Collects a part that ended; its exit code where it asked not to be started again.
fn reap(p: &mut Part, now: Instant) -> std::io::Result<Option<u8>> {
    let Some(child) = &mut p.child else { return Ok(None) };
    let Some(status) = child.try_wait()? else { return Ok(None) };
    p.child = None;
    if status.code() == Some(i32::from(MUST_NOT_RUN)) {
        return Ok(Some(MUST_NOT_RUN));
    }
    if now.duration_since(p.started) >= HEALTHY {
        p.pause = PAUSE.0;
    }
    p.due = now + p.pause;
    warn!(part = p.name, status = %words(status), "{} ended ({}); it is started again", p.name, words(status));
    p.pause = (p.pause * 2).min(PAUSE.1);
    Ok(None)
}

fn words(s: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (s.code(), s.signal()) {
        (Some(c), _) => format!("exit code {c}"),
        (None, Some(n)) => format!("signal {n}"),
        (None, None) => "unknown".to_owned(),
    }
}

fn start(exe: &Path, config: &Path, part: &str, api_fd: Option<RawFd>) -> std::io::Result<Child> {
    let mut c = Command::new(exe);
    c.arg("run").arg("--part").arg(part).arg("--config").arg(config);
    c.env_remove("LISTEN_FDS").env_remove("LISTEN_PID");
    die_with_parent(&mut c);
    if let (Some(fd), "control") = (api_fd, part) {
        c.arg("--api-fd").arg(fd.to_string());
        keep_open(&mut c, fd);
    }
    c.spawn()
}

/// Has the child asked to stop when we end, however we end: a part without its supervisor would hold the sockets and
/// the journal of the next one.
#[allow(unsafe_code)]
pub fn die_with_parent(c: &mut Command) {
    use std::os::unix::process::CommandExt;
    // SAFETY: between fork and exec only prctl(2) is called, with integers.
    unsafe {
        c.pre_exec(|| match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        });
    }
}

/// Hands `fd` to the child as descriptor 3, where LISTEN_FDS begins.
#[allow(unsafe_code)]
pub fn hand_over(c: &mut Command, fd: RawFd) {
    use std::os::unix::process::CommandExt;
    // SAFETY: between fork and exec only fcntl(2) and dup2(2) are called, which are async-signal-safe.
    unsafe {
        c.pre_exec(move || {
            let done = if fd == 3 { libc::fcntl(fd, libc::F_SETFD, 0) } else { libc::dup2(fd, 3) };
            if done < 0 { Err(std::io::Error::last_os_error()) } else { Ok(()) }
        });
    }
}

/// Ends a process at once.
pub fn kill(pid: libc::pid_t) {
    signal(pid, libc::SIGKILL);
}

/// Sends a signal to a process.
#[allow(unsafe_code)]
pub fn signal(pid: libc::pid_t, signal: libc::c_int) {
    // SAFETY: kill(2) takes two integers.
    unsafe { libc::kill(pid, signal) };
}

/// For this thread and those that it makes: a simulated radio that floods takes no processor from what would have the
/// machine for itself.
#[cfg(feature = "lab")]
#[allow(unsafe_code)]
pub fn give_way() {
    // SAFETY: setpriority(2) takes integers. Lowering one's own priority is never refused.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, 10) };
}

/// No process that holds keys leaves a core file, and none of the same user reads its memory. The limit alone does
/// not do: a kernel that pipes cores to a program asks it for nothing.
///
/// # Errors
/// Where the kernel refuses, which it does not do to the process itself.
#[allow(unsafe_code)]
pub fn forbid_core_files() -> std::io::Result<()> {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: setrlimit(2) reads the struct that is ours; prctl(2) takes integers.
    let done = unsafe {
        libc::setrlimit(libc::RLIMIT_CORE, &raw const none) == 0 && libc::prctl(libc::PR_SET_DUMPABLE, 0) == 0
    };
    if done { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Lets `fd`, which closes on exec like every descriptor of ours, live on in this child.
#[allow(unsafe_code)]
pub fn keep_open(c: &mut Command, fd: RawFd) {
    use std::os::unix::process::CommandExt;
    // SAFETY: between fork and exec only fcntl(2) is called, which is async-signal-safe.
    unsafe {
        c.pre_exec(move || match libc::fcntl(fd, libc::F_SETFD, 0) {
            -1 => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        });
    }
}

/// The API listener that our parent handed over by the LISTEN_FDS protocol (`sd_listen_fds(3)`), made to close
/// on exec. `None` where none was, or where it was meant for another process.
#[allow(unsafe_code)]
pub fn handed_listener() -> Option<RawFd> {
    const FIRST: RawFd = 3;
    let var = |k| std::env::var(k).ok();
    let mine = var("LISTEN_PID")?.parse() == Ok(std::process::id());
    let count: u32 = var("LISTEN_FDS")?.parse().ok()?;
    if !mine || count == 0 {
        return None;
    }
    // SAFETY: fcntl(2) on an integer; an fd that is not open gives an error, which means that nothing was handed over.
    (unsafe { libc::fcntl(FIRST, libc::F_SETFD, libc::FD_CLOEXEC) } == 0).then_some(FIRST)
}

/// Asks both to end, control first, and waits; what does not end in time is killed.
async fn stop(parts: &mut [Part; 2]) {
    for p in parts.iter_mut().rev() {
        let Some(child) = &mut p.child else { continue };
        terminate(child);
        let deadline = Instant::now() + Duration::from_secs(5);
        while matches!(child.try_wait(), Ok(None)) {
            if Instant::now() >= deadline {
                warn!(part = p.name, "{} does not stop; killed", p.name);
                drop(child.kill());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        p.child = None;
    }
}

#[allow(unsafe_code)]
fn terminate(child: &Child) {
    // SAFETY: kill(2) takes two integers; the child has not been waited for, so its pid is still its own.
    unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGTERM) };
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn a_damaged_journal_is_not_started_again_and_a_disk_that_failed_once_is() {
        let damaged = JournalError::Damaged { record: 7, what: "its hash does not match its content" };
        let failed = JournalError::Io(std::io::Error::from(std::io::ErrorKind::StorageFull));
        let code = |e: JournalError| {
            let wrapped = Err::<(), _>(e).context("revocation journal x").expect_err("an error");
            format!("{:?}", code_of(&wrapped))
        };
        assert_eq!(code(damaged), format!("{:?}", ExitCode::from(MUST_NOT_RUN)));
        assert_eq!(code(failed), format!("{:?}", ExitCode::FAILURE));
    }
}
