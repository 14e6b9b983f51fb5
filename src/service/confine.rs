//! What the page's process gives up: its user, its rights, the file system, further processes.

use anyhow::{Context, Result, bail};
use std::io;
use tracing::warn;

/// Open descriptors, at most.
const DESCRIPTORS: u64 = 1024;
/// Every right to a file that the first version of Landlock knows: none is given.
const FILE_RIGHTS: u64 = 0x1fff;

/// Gives everything up. What is open stays open.
///
/// # Errors
/// Where a right would be kept.
pub(super) fn give_up(user: u32) -> Result<()> {
    let parent = parent();
    limit(libc::RLIMIT_NOFILE, DESCRIPTORS)?;
    become_user(user)?;
    drop_capabilities().context("capabilities")?;
    check(prctl(libc::PR_SET_NO_NEW_PRIVS, 1)).context("no_new_privs")?;
    // After the user is another one a process could be looked into again.
    crate::supervisor::forbid_core_files()?;
    if let Err(e) = no_files() {
        warn!(
            "the page's process keeps what every user may do with files, because this kernel has no Landlock: {e}"
        );
    }
    // The kernel forgets this where the user changes. Who ended before is found by the number.
    check(prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong))
        .context("the end with the gateway")?;
    if self::parent() != parent {
        bail!("the gateway has ended");
    }
    // No further process, and no further thread.
    limit(libc::RLIMIT_NPROC, 0)
}

#[allow(unsafe_code)]
fn parent() -> libc::pid_t {
    // SAFETY: the call takes nothing and cannot fail.
    unsafe { libc::getppid() }
}

fn check(rc: libc::c_long) -> io::Result<()> {
    if rc == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[allow(unsafe_code)]
fn prctl(what: libc::c_int, value: libc::c_ulong) -> libc::c_long {
    // SAFETY: prctl(2) takes integers.
    libc::c_long::from(unsafe { libc::prctl(what, value, 0, 0, 0) })
}

#[allow(unsafe_code)]
fn limit(what: libc::__rlimit_resource_t, most: u64) -> Result<()> {
    let both = libc::rlimit { rlim_cur: most, rlim_max: most };
    // SAFETY: setrlimit(2) reads the struct that is ours.
    check(libc::c_long::from(unsafe { libc::setrlimit(what, &raw const both) }))
        .context("a limit of the process")
}

/// Root becomes somebody else. In a user namespace that has nobody else root is an ordinary user outside of it, and has no
/// rights inside either after the next step.
#[allow(unsafe_code)]
fn become_user(user: u32) -> Result<()> {
    // SAFETY: the call takes nothing and cannot fail.
    if unsafe { libc::geteuid() } != 0 {
        return Ok(());
    }
    // SAFETY: no pointer is read for a list of no groups; the other calls take integers.
    let (groups, group, is) = unsafe {
        (
            libc::setgroups(0, std::ptr::null()),
            libc::setresgid(user, user, user),
            if libc::geteuid() == 0 { libc::setresuid(user, user, user) } else { 0 },
        )
    };
    if groups == 0 && group == 0 && is == 0 {
        return Ok(());
    }
    let why = io::Error::last_os_error();
    // EINVAL: the namespace does not know this number. EPERM: it does not allow groups to be set.
    let alone = matches!(why.raw_os_error(), Some(libc::EINVAL | libc::EPERM))
        && std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|m| !m.trim_end().ends_with("4294967295"));
    if alone {
        return Ok(());
    }
    bail!("the page's process cannot become user {user}: {why}")
}

#[allow(unsafe_code)]
fn drop_capabilities() -> Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: libc::c_int,
    }
    /// `_LINUX_CAPABILITY_VERSION_3`: two words of each set.
    const VERSION: u32 = 0x2008_0522;
    check(prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong))?;
    let (header, none) = (Header { version: VERSION, pid: 0 }, [0u32; 6]);
    // SAFETY: capset(2) reads a header and six words, which live until the call is over.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) })?;
    Ok(())
}

/// From here on nothing in the file system can be opened (Landlock, Linux 5.13).
#[allow(unsafe_code)]
fn no_files() -> io::Result<()> {
    let rights = FILE_RIGHTS;
    // SAFETY: the kernel reads eight octets of rights, which live until the call is over.
    let set =
        unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &raw const rights, size_of::<u64>(), 0) };
    if set < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: both calls take integers; the descriptor is the one that was just made, and nobody else has it.
    unsafe {
        let done = check(libc::syscall(libc::SYS_landlock_restrict_self, set, 0));
        libc::close(set as libc::c_int);
        done
    }
}
