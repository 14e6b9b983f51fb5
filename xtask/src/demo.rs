//! The demo: by hand, and as a test, as root and as an ordinary user with a fresh home.

use crate::{
    judges::{is_root, is_there},
    step::{Ended, Steps, cargo, show_tail, target_dir},
};
use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        fs::{FileTypeExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

/// How long the story may take.
const LIMIT: Duration = Duration::from_secs(300);

/// What the last line of `demo --once --json` holds at least.
const FIELDS: [&str; 7] = [
    "attach_ms",
    "allowed_flows",
    "denied_flows",
    "download_mbps",
    "ban_answer_ms",
    "packets_after_answer",
    "reattach_cause",
];

/// The API takes a port that is free.
const ANY_PORT: &str = "127.0.0.1:0";

/// A uid that owns nothing on an ordinary system.
const NOBODY: u32 = 65_533;

/// Enters what is handed over as `$1` (directory), `$2` (uid), `$3` (program) with a tun device that
/// everybody may open. The node lies in a mount namespace of its own and goes with it.
const WITH_TUN: &str = r#"
mount -t tmpfs -o mode=0755 tmpfs "$1/dev"
mknod -m 0666 "$1/dev/tun" c 10 200
mount --bind "$1/dev/tun" /dev/net/tun
exec setpriv --reuid "$2" --regid "$2" --clear-groups "$3" demo --once --json --listen 127.0.0.1:0
"#;

/// `cargo xtask demo ARGS`.
pub fn interactive(args: &[String]) -> ExitCode {
    crate::ui::for_a_person();
    match cargo(&["build", "--workspace", "--locked"]).status() {
        Ok(s) if s.success() => {}
        Ok(_) => return ExitCode::FAILURE,
        Err(e) => {
            eprintln!("cargo: {e}");
            return ExitCode::FAILURE;
        }
    }
    // The demo takes our place, so that Ctrl-C is its own.
    let e = Command::new(binary()).arg("demo").args(args).exec();
    eprintln!("{}: {e}", binary().display());
    ExitCode::FAILURE
}

/// The demo as CI sees it: with both processes killed on the way, before independent decoders, and as an
/// ordinary user. `path` is where judges are found.
pub fn all(steps: &mut Steps, path: &OsStr) {
    if is_root() {
        let mut c = Command::new(binary());
        c.args(["demo", "--once", "--json", "--kills", "--listen", ANY_PORT]);
        story(steps, "demo as root, with kills", c);
        captured(steps, path);
        kernel(steps);
    } else {
        steps.skip("demo as root", "we are not root");
    }
    ordinary(steps);
}

/// The demo with N2 over the kernel's SCTP, on a kernel that has it, whatever this machine's has.
fn kernel(steps: &mut Steps) {
    const NAME: &str = "demo over the kernel's SCTP, in User-Mode Linux";
    if !is_there("linux.uml") {
        return steps.skip(NAME, "user-mode-linux is not installed");
    }
    let mut c = Command::new("tests/judges/uml.sh");
    c.args(["-m", "1G", "--"]).arg(binary());
    c.args(["demo", "--once", "--json", "--kernel-sctp", "--listen", ANY_PORT]);
    story(steps, NAME, c);
}

/// A demo without ciphering is captured, and tshark and pycrate judge the bytes.
fn captured(steps: &mut Steps, path: &OsStr) {
    const NAME: &str = "capture before tshark and pycrate";
    if !is_there("tshark") {
        return steps.skip(NAME, "tshark is not installed");
    }
    let file = std::env::temp_dir().join(format!("sekisho-xtask-{}.pcap", std::process::id()));
    let mut c = Command::new(binary());
    c.args(["demo", "--once", "--json", "--clear-nas", "--listen", ANY_PORT, "--capture"]).arg(&file);
    story(steps, "demo without ciphering", c);
    let mut judge = Command::new("python3");
    judge.arg("tests/judges/capture.py").arg(&file).env("PATH", path);
    steps.run(NAME, judge, LIMIT);
    // What is left in the directory for temporary files hurts nobody.
    _ = fs::remove_file(&file);
}

fn ordinary(steps: &mut Steps) {
    const NAME: &str = "demo as an ordinary user";
    if let Err(why) = user_namespaces() {
        return steps.skip(NAME, why);
    }
    let place = match Place::new() {
        Ok(place) => place,
        Err(e) => return steps.fail(NAME, &format!("no place for a fresh home: {e}")),
    };
    let program = place.dir.join("sekisho");
    let mut c = if !is_root() {
        let mut c = Command::new(&program);
        c.args(["demo", "--once", "--json", "--listen", ANY_PORT]);
        c
    } else if tun_is_open() {
        let mut c = Command::new(&program);
        c.args(["demo", "--once", "--json", "--listen", ANY_PORT]).uid(NOBODY).gid(NOBODY);
        c
    } else if !is_there("unshare") || !is_there("setpriv") {
        return steps.skip(NAME, "/dev/net/tun is closed to ordinary users, and util-linux is missing");
    } else {
        let mut c = Command::new("unshare");
        c.args(["--mount", "--propagation", "private", "sh", "-euc", WITH_TUN, "sh"]);
        c.arg(&place.dir).arg(NOBODY.to_string()).arg(&program);
        c
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    c.env_clear()
        .env("PATH", path)
        .env("HOME", place.home())
        .env("LANG", "C.UTF-8")
        .current_dir(place.home());
    story(steps, NAME, c);
}

/// Runs the story and looks at its last line.
fn story(steps: &mut Steps, name: &str, command: Command) {
    let began = Instant::now();
    let (ended, log) = steps.command(name, command, LIMIT, |_| false);
    let said = fs::read_to_string(&log).unwrap_or_default();
    let last = said.lines().rfind(|l| !l.trim().is_empty()).unwrap_or_default();
    let verdict = match ended {
        Ended::Well => figures(last),
        Ended::Badly(why) => Err(why),
    };
    match verdict {
        Ok(()) => {
            println!("    {last}");
            steps.pass(name, Some(began.elapsed()));
        }
        Err(why) => {
            show_tail(&log);
            steps.fail(name, &format!("{why}; all of it in {}", log.display()));
        }
    }
}

/// The last line is one object with every field, and no packet came after the ban's answer.
fn figures(line: &str) -> Result<(), String> {
    let line: String = line.split_whitespace().collect();
    if !(line.starts_with('{') && line.ends_with('}')) {
        return Err("the last line is not a JSON object".to_owned());
    }
    if let Some(missing) = FIELDS.iter().find(|f| !line.contains(&format!("\"{f}\":"))) {
        return Err(format!("the last line has no {missing}"));
    }
    let none = ["\"packets_after_answer\":0,", "\"packets_after_answer\":0}"];
    if !none.iter().any(|n| line.contains(n)) {
        return Err("packets came after the ban's answer".to_owned());
    }
    Ok(())
}

fn binary() -> PathBuf {
    target_dir().join("debug/sekisho")
}

/// Whether we can make a simulated site here.
pub fn sites_are_possible() -> Result<(), &'static str> {
    if is_root() {
        return Ok(());
    }
    user_namespaces()?;
    if tun_is_open() { Ok(()) } else { Err("/dev/net/tun is closed to ordinary users") }
}

/// Whether an ordinary user may make a user namespace.
fn user_namespaces() -> Result<(), &'static str> {
    let is = |file: &str, value: &str| fs::read_to_string(file).is_ok_and(|v| v.trim() == value);
    if is("/proc/sys/user/max_user_namespaces", "0") || is("/proc/sys/kernel/unprivileged_userns_clone", "0")
    {
        return Err("user namespaces are switched off on this machine");
    }
    if is("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1") {
        return Err("AppArmor forbids user namespaces to ordinary users on this machine");
    }
    Ok(())
}

fn tun_is_open() -> bool {
    fs::metadata("/dev/net/tun")
        .is_ok_and(|m| m.file_type().is_char_device() && m.permissions().mode() & 0o006 == 0o006)
}

/// A directory with a copy of the binary and an empty home, gone when dropped.
struct Place {
    dir: PathBuf,
}

impl Place {
    fn new() -> std::io::Result<Self> {
        let dir = std::env::temp_dir().join(format!("sekisho-xtask-{}", std::process::id()));
        fs::create_dir(&dir)?;
        let place = Self { dir };
        for sub in ["dev", "home"] {
            fs::create_dir(place.dir.join(sub))?;
        }
        open(&place.dir)?;
        fs::copy(binary(), place.dir.join("sekisho"))?;
        open(&place.dir.join("sekisho"))?;
        if is_root() {
            chown(place.home(), Some(NOBODY), Some(NOBODY))?;
        }
        Ok(place)
    }

    fn home(&self) -> PathBuf {
        self.dir.join("home")
    }
}

fn open(path: &Path) -> std::io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

impl Drop for Place {
    fn drop(&mut self) {
        // A directory left under /tmp hurts nobody.
        _ = fs::remove_dir_all(&self.dir);
    }
}

#[cfg(test)]
mod tests {
    use super::figures;

    #[test]
    fn the_last_line_must_be_whole() {
        let good = r#"{"attach_ms": 12.5, "allowed_flows": 3, "denied_flows": 2, "download_mbps": 900, "ban_answer_ms": 1.2, "packets_after_answer": 0, "reattach_cause": 3}"#;
        assert_eq!(figures(good), Ok(()));
        assert!(figures(&good.replace("answer\": 0,", "answer\": 7,")).is_err());
        assert!(figures(&good.replace("attach_ms", "attach")).is_err());
        assert!(figures("done").is_err());
        assert!(figures("").is_err());
    }
}
