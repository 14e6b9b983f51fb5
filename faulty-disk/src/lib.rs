//! A disk that fails when it is told to: a library for `LD_PRELOAD` that stands between a program and the kernel.
//!
//! It passes every call on that writes to a file: open with O_CREAT or O_TRUNC, write, pwrite, writev, fsync,
//! fdatasync, ftruncate, fallocate. Those on files under one directory are counted, and one of them, by its number,
//! goes wrong in the way that was asked for. So what our own code and SQLite do on a bad disk is seen in the program
//! as it is, call by call.
//!
//! The environment says how, before the first call: `SEKISHO_DISK_UNDER` (directory), `SEKISHO_DISK_FAULT`
//! (`eio@12`, `enospc@12+` for all from there on; a second word names the files by the beginning of their names;
//! `@FILE` reads the words from FILE at each call), `SEKISHO_DISK_UNDO` (file). A program that was started with it may
//! also ask at run time, by [`faulty_disk_arm`] and [`faulty_disk_calls`].
//!
//! What was written and never flushed is lost when the power goes. To play that, the bytes that a write overwrites are
//! kept in the undo file until a flush of that file has come through; whoever plays the power cut puts back what is
//! still there, newest first. Names of files (create, rename, unlink) are not undone: a file that was made is there.
//!
//! Records of the undo file: `u32` length of the path, path, `i64` size of the file before, `u64` offset, `u32` length
//! of the bytes, bytes (all little endian). A flush that came through is a record with size −1 and no bytes.

#![allow(unsafe_code)]

use libc::{c_char, c_int, c_void, iovec, mode_t, off64_t, size_t, ssize_t};
use std::{
    ffi::CStr,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// What a call that was chosen does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// No space left; from there on (`+`) only for what makes a file longer.
    Enospc,
    /// Input/output error.
    Eio,
    /// Half is written, and the caller is told so.
    Short,
    /// Half is written, and the power goes.
    Torn,
    /// One bit of what is written is turned.
    Flip,
    /// A flush is answered and not done.
    Lost,
    /// It takes 20 ms.
    Slow,
    /// The power goes before it.
    Off,
    /// Nothing can be read or written any more.
    Gone,
}

struct Plan {
    under: PathBuf,
    fault: Option<Chosen>,
    /// Where the words about the fault are read from, at each call.
    file: Option<PathBuf>,
    undo: c_int,
}

/// Which call goes wrong, and how.
#[derive(Clone)]
struct Chosen {
    fault: Fault,
    at: u64,
    /// All from there on.
    on: bool,
    /// Only files whose names begin so.
    only: String,
}

static PLAN: OnceLock<Mutex<Option<Plan>>> = OnceLock::new();
static CALLS: AtomicU64 = AtomicU64::new(0);

fn plan() -> &'static Mutex<Option<Plan>> {
    PLAN.get_or_init(|| Mutex::new(of_environment()))
}

fn of_environment() -> Option<Plan> {
    let under = std::env::var_os("SEKISHO_DISK_UNDER")?;
    let fault = std::env::var("SEKISHO_DISK_FAULT").ok();
    let undo = std::env::var_os("SEKISHO_DISK_UNDO");
    Plan::new(Path::new(&under), fault.as_deref().unwrap_or(""), undo.as_deref().map(Path::new))
}

impl Plan {
    fn new(under: &Path, fault: &str, undo: Option<&Path>) -> Option<Self> {
        let undo = match undo {
            Some(file) => open_for_undo(file)?,
            None => -1,
        };
        let file = fault.strip_prefix('@').map(PathBuf::from);
        Some(Self { under: under.to_owned(), fault: words(fault), file, undo })
    }
}

fn words(text: &str) -> Option<Chosen> {
    let mut parts = text.split_whitespace();
    let (first, only) = (parts.next()?, parts.next().unwrap_or_default().to_owned());
    let (kind, at) = first.split_once('@')?;
    let (at, on) = at.strip_suffix('+').map_or((at, false), |at| (at, true));
    let fault = match kind {
        "enospc" => Fault::Enospc,
        "eio" => Fault::Eio,
        "short" => Fault::Short,
        "torn" => Fault::Torn,
        "flip" => Fault::Flip,
        "lost" => Fault::Lost,
        "slow" => Fault::Slow,
        "off" => Fault::Off,
        "gone" => Fault::Gone,
        _ => return None,
    };
    Some(Chosen { fault, at: at.parse().ok()?, on, only })
}

/// The fault in force. The file, if there is one, is read with no lock held: reading it comes through here again.
fn chosen() -> Option<Chosen> {
    let file = {
        let plan = plan().lock().unwrap_or_else(PoisonError::into_inner);
        let plan = plan.as_ref()?;
        match &plan.file {
            Some(file) => file.clone(),
            None => return plan.fault.clone(),
        }
    };
    words(&raw_text(&file)?)
}

/// The first octets of a file, by the kernel's own calls: ours would ask about the fault again, without end.
fn raw_text(file: &Path) -> Option<String> {
    let name = std::ffi::CString::new(file.as_os_str().as_bytes()).ok()?;
    let mut bytes = [0u8; 128];
    // SAFETY: a NUL-terminated name, and a buffer of the length that is given; the descriptor is our own.
    let n = unsafe {
        let flags = libc::O_RDONLY | libc::O_CLOEXEC;
        let fd = libc::syscall(libc::SYS_openat, libc::AT_FDCWD, name.as_ptr(), flags, 0) as c_int;
        if fd < 0 {
            return None;
        }
        let n = libc::syscall(libc::SYS_read, fd, bytes.as_mut_ptr(), bytes.len());
        libc::syscall(libc::SYS_close, fd);
        n
    };
    let text = bytes.get(..usize::try_from(n).ok()?)?;
    Some(String::from_utf8_lossy(text).into_owned())
}

fn is_meant(path: &Path, c: &Chosen) -> bool {
    path.file_name().is_some_and(|n| n.as_bytes().starts_with(c.only.as_bytes()))
}

fn open_for_undo(file: &Path) -> Option<c_int> {
    let name = std::ffi::CString::new(file.as_os_str().as_bytes()).ok()?;
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_APPEND | libc::O_CLOEXEC;
    // SAFETY: a NUL-terminated name that lives during the call; the kernel checks the rest.
    let fd = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, name.as_ptr(), flags, 0o600) };
    (fd >= 0).then_some(fd as c_int)
}

/// Asks for a fault at run time and counts from 0 again: the same words as in the environment; `undo` may be null.
///
/// # Safety
/// `under` and `fault` point to NUL-terminated text, `undo` too or is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn faulty_disk_arm(
    under: *const c_char,
    fault: *const c_char,
    undo: *const c_char,
) -> c_int {
    // SAFETY: the caller promises text that ends.
    let text = |p: *const c_char| (!p.is_null()).then(|| unsafe { CStr::from_ptr(p) });
    let (Some(under), Some(fault)) = (text(under), text(fault)) else { return -1 };
    let path = |c: &CStr| PathBuf::from(std::ffi::OsStr::from_bytes(c.to_bytes()));
    let made = Plan::new(&path(under), fault.to_str().unwrap_or(""), text(undo).map(path).as_deref());
    let ok = made.is_some();
    *plan().lock().unwrap_or_else(PoisonError::into_inner) = made;
    CALLS.store(0, Ordering::SeqCst);
    if ok { 0 } else { -1 }
}

/// Calls counted so far.
#[unsafe(no_mangle)]
pub extern "C" fn faulty_disk_calls() -> u64 {
    CALLS.load(Ordering::SeqCst)
}

/// What kind of call it is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    Open { grows: bool },
    Write { grows: bool },
    Flush,
    Length { grows: bool },
}

/// What to do with a call: nothing special, or a fault.
fn judge(path: &Path, call: Call) -> Option<Fault> {
    // The index of the write-ahead log is shared memory, made again at each start.
    if !is_watched(path) || path.as_os_str().as_bytes().ends_with(b"-shm") {
        return None;
    }
    let n = CALLS.fetch_add(1, Ordering::SeqCst);
    let c = chosen().filter(|c| is_meant(path, c))?;
    let grows = matches!(
        call,
        Call::Open { grows: true } | Call::Write { grows: true } | Call::Length { grows: true }
    );
    let due = if c.on { n >= c.at && (c.fault != Fault::Enospc || grows) } else { n == c.at };
    due.then_some(c.fault)
}

/// True where a file cannot be read any more.
fn is_gone(fd: c_int) -> bool {
    path_of(fd)
        .filter(|p| is_watched(p))
        .is_some_and(|p| chosen().is_some_and(|c| c.fault == Fault::Gone && is_meant(&p, &c)))
}

fn fail(errno: c_int) -> c_int {
    // SAFETY: the address of this thread's errno is always valid.
    unsafe { *libc::__errno_location() = errno };
    -1
}

fn power_off() -> ! {
    // SAFETY: kill(2) and getpid(2) take and give integers.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
    std::process::abort()
}

fn slowly() {
    std::thread::sleep(std::time::Duration::from_millis(20));
}

/// The file behind a descriptor; `None` for what has no name (pipes, sockets).
fn path_of(fd: c_int) -> Option<PathBuf> {
    let p = std::fs::read_link(format!("/proc/self/fd/{fd}")).ok()?;
    p.is_absolute().then_some(p)
}

fn size_of_file(fd: c_int) -> i64 {
    // SAFETY: a zeroed stat is a valid one; fstat(2) writes it.
    let mut st: libc::stat64 = unsafe { std::mem::zeroed() };
    // SAFETY: the kernel checks the descriptor and fills the struct that is ours.
    if unsafe { libc::fstat64(fd, &raw mut st) } == 0 { st.st_size } else { 0 }
}

/// True for files that count; nothing is looked up for a program that nobody armed.
fn is_watched(path: &Path) -> bool {
    let plan = plan().lock().unwrap_or_else(PoisonError::into_inner);
    plan.as_ref().is_some_and(|p| path.starts_with(&p.under))
}

fn raw_pwrite(fd: c_int, bytes: &[u8], offset: i64) -> ssize_t {
    // SAFETY: pointer and length are of one slice.
    unsafe { libc::syscall(libc::SYS_pwrite64, fd, bytes.as_ptr(), bytes.len(), offset) as ssize_t }
}

fn raw_write(fd: c_int, bytes: &[u8]) -> ssize_t {
    // SAFETY: pointer and length are of one slice.
    unsafe { libc::syscall(libc::SYS_write, fd, bytes.as_ptr(), bytes.len()) as ssize_t }
}

/// Keeps what is about to be overwritten.
fn remember(fd: c_int, path: &Path, offset: i64, len: usize) {
    let undo = plan().lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(-1, |p| p.undo);
    if undo < 0 {
        return;
    }
    let size = size_of_file(fd);
    let mut old = vec![0u8; len.min(usize::try_from((size - offset).max(0)).unwrap_or(0))];
    // The descriptor may be for writing only, so the name is opened once more.
    use std::os::unix::fs::FileExt;
    let read = std::fs::File::open(path).and_then(|f| f.read_exact_at(&mut old, offset.max(0) as u64));
    if read.is_err() {
        old.clear();
    }
    raw_write(undo, &record(path, size, offset.max(0) as u64, &old));
}

/// A flush has come through.
fn forget(path: &Path) {
    let undo = plan().lock().unwrap_or_else(PoisonError::into_inner).as_ref().map_or(-1, |p| p.undo);
    if undo >= 0 {
        raw_write(undo, &record(path, -1, 0, &[]));
    }
}

fn record(path: &Path, size: i64, offset: u64, old: &[u8]) -> Vec<u8> {
    let name = path.as_os_str().as_bytes();
    let mut r = Vec::with_capacity(name.len() + old.len() + 24);
    r.extend((name.len() as u32).to_le_bytes());
    r.extend(name);
    r.extend(size.to_le_bytes());
    r.extend(offset.to_le_bytes());
    r.extend((old.len() as u32).to_le_bytes());
    r.extend(old);
    r
}

/// One write: `real` writes the bytes that it is given, at `offset` or where the file stands.
fn written(fd: c_int, bytes: &[u8], offset: Option<i64>) -> ssize_t {
    let real = |b: &[u8]| match offset {
        Some(o) => raw_pwrite(fd, b, o),
        None => raw_write(fd, b),
    };
    let Some(path) = path_of(fd).filter(|p| is_watched(p)) else { return real(bytes) };
    let at = offset.unwrap_or_else(|| standing(fd));
    let grows = at + bytes.len() as i64 > size_of_file(fd);
    let fault = judge(&path, Call::Write { grows });
    match fault {
        Some(Fault::Enospc) => return fail(libc::ENOSPC) as ssize_t,
        Some(Fault::Eio | Fault::Gone) => return fail(libc::EIO) as ssize_t,
        Some(Fault::Off) => power_off(),
        _ => {}
    }
    remember(fd, &path, at, bytes.len());
    let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
    match fault {
        Some(Fault::Short) if !half.is_empty() => real(half),
        Some(Fault::Torn) => {
            // What the disk has of it, it has: the half is not undone.
            forget(&path);
            real(half);
            power_off()
        }
        Some(Fault::Flip) => {
            let mut turned = bytes.to_vec();
            let middle = turned.len() / 2;
            if let Some(b) = turned.get_mut(middle) {
                *b ^= 0x10;
            }
            real(&turned)
        }
        Some(Fault::Slow) => {
            slowly();
            real(bytes)
        }
        _ => real(bytes),
    }
}

/// Where a file stands; the end for one that is appended to.
fn standing(fd: c_int) -> i64 {
    // SAFETY: fcntl(2) and lseek(2) take integers.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    if flags >= 0 && flags & libc::O_APPEND != 0 {
        return size_of_file(fd);
    }
    // SAFETY: as above.
    unsafe { libc::lseek64(fd, 0, libc::SEEK_CUR) }.max(0)
}

fn flushed(fd: c_int, number: libc::c_long) -> c_int {
    // SAFETY: the call takes a descriptor.
    let real = || unsafe { libc::syscall(number, fd) as c_int };
    let Some(path) = path_of(fd).filter(|p| is_watched(p)) else { return real() };
    match judge(&path, Call::Flush) {
        Some(Fault::Enospc) => return fail(libc::ENOSPC),
        Some(Fault::Eio | Fault::Gone | Fault::Short | Fault::Flip) => return fail(libc::EIO),
        Some(Fault::Lost) => return 0,
        Some(Fault::Off | Fault::Torn) => power_off(),
        Some(Fault::Slow) => slowly(),
        None => {}
    }
    let rc = real();
    if rc == 0 {
        forget(&path);
    }
    rc
}

fn lengthened(fd: c_int, to: i64, real: impl Fn() -> c_int) -> c_int {
    let Some(path) = path_of(fd).filter(|p| is_watched(p)) else { return real() };
    let size = size_of_file(fd);
    match judge(&path, Call::Length { grows: to > size }) {
        Some(Fault::Enospc) => return fail(libc::ENOSPC),
        Some(Fault::Eio | Fault::Gone | Fault::Short | Fault::Flip) => return fail(libc::EIO),
        Some(Fault::Off | Fault::Torn) => power_off(),
        Some(Fault::Slow) => slowly(),
        Some(Fault::Lost) | None => {}
    }
    // What is cut off is kept whole, so that it can be put back.
    remember(fd, &path, to.min(size), usize::try_from((size - to).max(0)).unwrap_or(0));
    real()
}

fn opened(dir: c_int, name: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    if flags & (libc::O_CREAT | libc::O_TRUNC) != 0 && !name.is_null() {
        // SAFETY: whoever calls open(2) gives text that ends.
        let text = unsafe { CStr::from_ptr(name) };
        let path = Path::new(std::ffi::OsStr::from_bytes(text.to_bytes()));
        if path.is_absolute() && is_watched(path) {
            // What is there is opened on a full disk, too.
            match judge(path, Call::Open { grows: !path.exists() }) {
                Some(Fault::Enospc) => return fail(libc::ENOSPC),
                Some(Fault::Eio | Fault::Gone) => return fail(libc::EIO),
                Some(Fault::Off | Fault::Torn) => power_off(),
                Some(Fault::Slow) => slowly(),
                _ => {}
            }
        }
    }
    // SAFETY: the arguments are passed on as they came.
    unsafe { libc::syscall(libc::SYS_openat, dir, name, flags, mode) as c_int }
}

/// open(2). The mode is read also where the caller gave none: the kernel ignores it then.
///
/// # Safety
/// As open(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn open(name: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    opened(libc::AT_FDCWD, name, flags, mode)
}

/// open64(2).
///
/// # Safety
/// As open(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn open64(name: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    opened(libc::AT_FDCWD, name, flags | libc::O_LARGEFILE, mode)
}

/// openat(2).
///
/// # Safety
/// As openat(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn openat(dir: c_int, name: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    opened(dir, name, flags, mode)
}

/// openat64(2).
///
/// # Safety
/// As openat(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn openat64(dir: c_int, name: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    opened(dir, name, flags | libc::O_LARGEFILE, mode)
}

/// write(2).
///
/// # Safety
/// As write(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn write(fd: c_int, buf: *const c_void, count: size_t) -> ssize_t {
    // SAFETY: the caller promises `count` octets at `buf`; an empty slice needs no valid pointer to be made of one.
    let bytes = if count == 0 { &[] } else { unsafe { std::slice::from_raw_parts(buf.cast(), count) } };
    written(fd, bytes, None)
}

/// pwrite(2).
///
/// # Safety
/// As pwrite(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwrite(fd: c_int, buf: *const c_void, count: size_t, offset: off64_t) -> ssize_t {
    // SAFETY: as in write.
    let bytes = if count == 0 { &[] } else { unsafe { std::slice::from_raw_parts(buf.cast(), count) } };
    written(fd, bytes, Some(offset))
}

/// pwrite64(2).
///
/// # Safety
/// As pwrite(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwrite64(fd: c_int, buf: *const c_void, count: size_t, offset: off64_t) -> ssize_t {
    // SAFETY: the same call.
    unsafe { pwrite(fd, buf, count, offset) }
}

/// writev(2): the first part that is not empty, which is what a short write is.
///
/// # Safety
/// As writev(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn writev(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t {
    if path_of(fd).is_none_or(|p| !is_watched(&p)) {
        // SAFETY: passed on as it came.
        return unsafe { libc::syscall(libc::SYS_writev, fd, parts, count) as ssize_t };
    }
    // SAFETY: the caller promises `count` parts.
    let parts = unsafe { std::slice::from_raw_parts(parts, usize::try_from(count).unwrap_or(0)) };
    match parts.iter().find(|p| p.iov_len > 0) {
        // SAFETY: the caller promises the octets of each part.
        Some(p) => written(fd, unsafe { std::slice::from_raw_parts(p.iov_base.cast(), p.iov_len) }, None),
        None => 0,
    }
}

/// read(2).
///
/// # Safety
/// As read(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn read(fd: c_int, buf: *mut c_void, count: size_t) -> ssize_t {
    if is_gone(fd) {
        return fail(libc::EIO) as ssize_t;
    }
    // SAFETY: passed on as it came.
    unsafe { libc::syscall(libc::SYS_read, fd, buf, count) as ssize_t }
}

/// pread(2).
///
/// # Safety
/// As pread(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pread(fd: c_int, buf: *mut c_void, count: size_t, offset: off64_t) -> ssize_t {
    if is_gone(fd) {
        return fail(libc::EIO) as ssize_t;
    }
    // SAFETY: passed on as it came.
    unsafe { libc::syscall(libc::SYS_pread64, fd, buf, count, offset) as ssize_t }
}

/// pread64(2).
///
/// # Safety
/// As pread(2).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pread64(fd: c_int, buf: *mut c_void, count: size_t, offset: off64_t) -> ssize_t {
    // SAFETY: the same call.
    unsafe { pread(fd, buf, count, offset) }
}

/// fsync(2).
#[unsafe(no_mangle)]
pub extern "C" fn fsync(fd: c_int) -> c_int {
    flushed(fd, libc::SYS_fsync)
}

/// fdatasync(2).
#[unsafe(no_mangle)]
pub extern "C" fn fdatasync(fd: c_int) -> c_int {
    flushed(fd, libc::SYS_fdatasync)
}

/// ftruncate(2).
#[unsafe(no_mangle)]
pub extern "C" fn ftruncate(fd: c_int, length: off64_t) -> c_int {
    // SAFETY: the call takes integers.
    lengthened(fd, length, || unsafe { libc::syscall(libc::SYS_ftruncate, fd, length) as c_int })
}

/// ftruncate64(2).
#[unsafe(no_mangle)]
pub extern "C" fn ftruncate64(fd: c_int, length: off64_t) -> c_int {
    ftruncate(fd, length)
}

/// fallocate(2).
#[unsafe(no_mangle)]
pub extern "C" fn fallocate(fd: c_int, mode: c_int, offset: off64_t, len: off64_t) -> c_int {
    // SAFETY: the call takes integers.
    let real = || unsafe { libc::syscall(libc::SYS_fallocate, fd, mode, offset, len) as c_int };
    lengthened(fd, offset.saturating_add(len), real)
}

/// fallocate64(2).
#[unsafe(no_mangle)]
pub extern "C" fn fallocate64(fd: c_int, mode: c_int, offset: off64_t, len: off64_t) -> c_int {
    fallocate(fd, mode, offset, len)
}

/// posix_fallocate(3): answers with the error itself.
#[unsafe(no_mangle)]
pub extern "C" fn posix_fallocate(fd: c_int, offset: off64_t, len: off64_t) -> c_int {
    match fallocate(fd, 0, offset, len) {
        0 => 0,
        // SAFETY: the address of this thread's errno is always valid.
        _ => unsafe { *libc::__errno_location() },
    }
}

/// posix_fallocate64(3).
#[unsafe(no_mangle)]
pub extern "C" fn posix_fallocate64(fd: c_int, offset: off64_t, len: off64_t) -> c_int {
    posix_fallocate(fd, offset, len)
}
