//! Judges: programs of others that say whether we are right. Installed where we may, named where missing.

use crate::step::{Steps, target_dir};
use std::{
    ffi::OsString,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// A program and the Debian package that brings it.
const DEBIAN: [(&str, &str); 12] = [
    ("tshark", "tshark"),
    ("osmo-auc-gen", "libosmocore-utils"),
    ("initdb", "postgresql"),
    ("ip", "iproute2"),
    ("setpriv", "util-linux"),
    ("linux.uml", "user-mode-linux"),
    ("modprobe", "kmod"),
    ("busybox", "busybox-static"),
    ("node", "nodejs"),
    ("npm", "npm"),
    ("chromium", "chromium"),
    ("freeDiameterd", "freediameterd"),
];

/// Judges of PyPI: name, modules that it is there by, and the version that judges.
const PYPI: [(&str, &str, &str); 3] = [
    ("pycrate", "pycrate_core, pycrate_mobile", "pycrate==0.8.1"),
    ("schemathesis", "schemathesis", "schemathesis==4.32.5"),
    ("scim2-tester", "scim2_tester, scim2_client, httpx2", "scim2-tester[httpx2]==0.5.2"),
];

/// True for uid 0.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0)
}

/// Installs what is missing, where we are root and apt is there. Returns the `PATH` under which tests find
/// the judges.
pub fn prepare(steps: &mut Steps) -> OsString {
    let venv = target_dir().join("judges");
    let missing: Vec<&str> =
        DEBIAN.iter().filter(|(p, _)| !is_there(p)).map(|(_, package)| *package).collect();
    let lacking = || PYPI.iter().filter(|(_, modules, _)| !has(&venv, modules)).map(|(.., version)| *version);
    let python = !is_there("python3") || (lacking().next().is_some() && !can_make_venv());
    if (!missing.is_empty() || python) && is_root() && is_there("apt-get") {
        let mut packages = missing;
        if python {
            packages.extend(["python3", "python3-venv"]);
        }
        apt(steps, &packages);
    }
    let wanted: Vec<&str> = lacking().collect();
    if !wanted.is_empty() {
        make_venv(steps, &venv, &wanted);
    }
    for (program, package) in DEBIAN {
        if is_there(program) {
            steps.pass(&format!("judge {program}"), None);
        } else {
            steps.skip(&format!("judge {program}"), &format!("not installed (Debian package {package})"));
        }
    }
    for (name, modules, version) in PYPI {
        if has(&venv, modules) {
            steps.pass(&format!("judge {name}"), None);
        } else {
            steps.skip(&format!("judge {name}"), &format!("not installed (PyPI {version})"));
        }
    }
    path_with(&venv)
}

fn apt(steps: &Steps, packages: &[&str]) {
    let run = |args: &[&str]| {
        let mut c = Command::new("apt-get");
        c.args(args).env("DEBIAN_FRONTEND", "noninteractive");
        steps.command(&format!("apt-get {}", args.join(" ")), c, Duration::from_secs(900), |_| false)
    };
    // What this could not do shows where each judge is looked for.
    run(&["update", "-qq"]);
    run(&[["install", "-y", "-qq", "--no-install-recommends"].as_slice(), packages].concat());
}

fn make_venv(steps: &Steps, venv: &Path, wanted: &[&str]) {
    let mut make = Command::new("python3");
    make.args(["-m", "venv"]).arg(venv);
    steps.command("venv for the judges", make, Duration::from_secs(120), |_| false);
    let mut pip = Command::new(venv.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check"]).args(wanted);
    steps.command("pip install of the judges", pip, Duration::from_secs(300), |_| false);
}

fn has(venv: &Path, modules: &str) -> bool {
    let mut c = Command::new(venv.join("bin/python3"));
    c.args(["-c", &format!("import {modules}")]);
    c.output().is_ok_and(|o| o.status.success())
}

fn can_make_venv() -> bool {
    let mut c = Command::new("python3");
    c.args(["-c", "import venv, ensurepip"]);
    c.output().is_ok_and(|o| o.status.success())
}

/// True where a program is in `PATH`, or among PostgreSQL's own, which Debian keeps out of it.
pub fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain(sbin()).chain(postgresql()).any(|dir| dir.join(program).is_file())
}

fn sbin() -> [PathBuf; 2] {
    ["/usr/sbin".into(), "/sbin".into()]
}

fn postgresql() -> Vec<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions.map(|v| v.path().join("bin")).collect()
}

fn path_with(venv: &Path) -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut dirs = vec![venv.join("bin")];
    dirs.extend(std::env::split_paths(&path));
    dirs.extend(sbin());
    dirs.extend(postgresql());
    std::env::join_paths(dirs).unwrap_or(path)
}
