//! `sekisho doctor`: what this machine lacks, and the command that mends it.

mod copies;
mod paths;

use crate::{
    config::{Config, Transport},
    io::sctp::{self, SctpMode},
    lang::Lang,
};
use std::{
    fs,
    net::{IpAddr, UdpSocket},
    os::unix::fs::MetadataExt,
    path::Path,
    process::ExitCode,
};

/// One finding.
pub struct Finding {
    /// What was looked at.
    pub what: &'static str,
    /// How it is.
    pub state: State,
    /// What was seen.
    pub seen: String,
    /// What to do, where something is to be done.
    pub fix: Option<String>,
}

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Right.
    Good,
    /// It works, but somebody should know.
    Note,
    /// It does not work.
    Bad,
}

fn good(what: &'static str, seen: impl Into<String>) -> Finding {
    Finding { what, state: State::Good, seen: seen.into(), fix: None }
}

fn note(what: &'static str, seen: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding { what, state: State::Note, seen: seen.into(), fix: Some(fix.into()) }
}

fn bad(what: &'static str, seen: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding { what, state: State::Bad, seen: seen.into(), fix: Some(fix.into()) }
}

/// Looks at everything and prints it; fails where something does not work.
pub fn run(config: &Config, lang: Lang) -> ExitCode {
    let found = examine(config);
    for f in &found {
        let mark = match f.state {
            State::Good => lang.of("ok  ", "良好"),
            State::Note => lang.of("note", "注意"),
            State::Bad => lang.of("BAD ", "不良"),
        };
        println!("{mark}  {:<18} {}", f.what, f.seen);
        if let Some(fix) = &f.fix {
            println!("      {:<18} → {fix}", "");
        }
    }
    if found.iter().any(|f| f.state == State::Bad) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Everything that can be seen without changing anything.
pub fn examine(config: &Config) -> Vec<Finding> {
    let mut found = vec![
        transport(config),
        local_address("N2 address", config.n2.address.into(), "n2.address"),
        local_address("N3 address", config.n3.address.into(), "n3.address"),
        radios(config),
        tun(),
        data_directory(&config.paths.data),
        key_file(&config.key_file()),
        journal(&config.journal()),
        hold(&config.paths.data),
        backups(&config.paths.data),
        ciphering(config),
        clock(),
    ];
    found.extend(deliveries(config));
    found.extend(paths::forwarding(config));
    found.extend(copies::examine(config));
    found
}

fn transport(c: &Config) -> Finding {
    let p = sctp::probe();
    let here = format!(
        "kernel SCTP {}, raw IP {}",
        if p.kernel { "there" } else { "not there" },
        if p.raw { "allowed" } else { "not allowed" }
    );
    let mode = c.n2.sctp_mode(p.kernel);
    let auto = if c.n2.transport == Transport::Auto { ", chosen by \"auto\"" } else { "" };
    match mode {
        SctpMode::Kernel if !p.kernel => bad(
            "SCTP",
            format!("n2.transport is \"kernel\", but this kernel has no SCTP ({here})"),
            "modprobe sctp (perhaps from a package of extra kernel modules), or n2.transport = \"auto\"",
        ),
        SctpMode::Raw if !p.raw => bad(
            "SCTP",
            format!("userspace stack over raw IP{auto}, but raw sockets are not allowed ({here})"),
            "modprobe sctp, or start it with CAP_NET_RAW, or n2.transport = \"udp\" if the gNB can (RFC 6951)",
        ),
        SctpMode::Raw if p.kernel => bad(
            "SCTP",
            format!("userspace stack over raw IP ({here})"),
            "the kernel answers SCTP as well and would abort our associations: n2.transport = \"kernel\"",
        ),
        mode => good("SCTP", format!("{mode}{auto} ({here})")),
    }
}

fn local_address(what: &'static str, a: IpAddr, key: &str) -> Finding {
    // Binding a UDP socket to port 0 succeeds exactly for addresses of this namespace.
    match UdpSocket::bind((a, 0)) {
        Ok(_) => good(what, a.to_string()),
        Err(e) => bad(
            what,
            format!("{a} is not an address of this machine ({e})"),
            format!("ip address add {a}/24 dev INTERFACE, or correct {key}"),
        ),
    }
}

fn radios(c: &Config) -> Finding {
    match c.gnb.len() {
        0 => {
            bad("radios", "no [[gnb]] is configured: nobody is let in", "add a [[gnb]] with name, n2 and n3")
        }
        n => good("radios", format!("{n} admitted")),
    }
}

fn tun() -> Finding {
    match fs::OpenOptions::new().read(true).write(true).open("/dev/net/tun") {
        Ok(_) => good("TUN", "/dev/net/tun opens"),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => bad("TUN", e.to_string(), "modprobe tun"),
        Err(e) => bad("TUN", e.to_string(), "chmod 0666 /dev/net/tun, or start it with CAP_NET_ADMIN"),
    }
}

fn data_directory(dir: &Path) -> Finding {
    match fs::metadata(dir) {
        Ok(m) if m.mode() & 0o077 == 0 => good("data directory", dir.display().to_string()),
        Ok(m) => bad(
            "data directory",
            format!("{} is open to others (mode {:o})", dir.display(), m.mode() & 0o777),
            format!("chmod 700 {}", dir.display()),
        ),
        Err(_) => note("data directory", format!("{} is not there yet", dir.display()), "sekisho init"),
    }
}

fn key_file(file: &Path) -> Finding {
    match fs::metadata(file) {
        Ok(m) if m.mode() & 0o077 == 0 && m.len() == 32 => good("key file", file.display().to_string()),
        Ok(m) if m.len() != 32 => bad("key file", "it is not a key of 32 octets", "put the right file back"),
        Ok(_) => bad("key file", "others can read it", format!("chmod 600 {}", file.display())),
        Err(_) => note("key file", "it is not there yet", "sekisho init"),
    }
}

fn journal(file: &Path) -> Finding {
    match fs::metadata(file) {
        Ok(m) => good("journal", format!("{} octets are set aside", m.len())),
        Err(_) => note("journal", "it is not there yet", "the gateway makes it at its first start"),
    }
}

fn hold(dir: &Path) -> Finding {
    match fs::read_to_string(dir.join(crate::backup::HELD)) {
        Ok(why) => bad(
            "hold",
            format!("every SIM is held: {}", why.trim()),
            "look at the banned SIMs, then: sekisho restore confirm --banned NUMBER --reason WHY",
        ),
        Err(_) => good("hold", "no SIM is held"),
    }
}

fn backups(dir: &Path) -> Finding {
    const WEEK: u64 = 7 * 24 * 3600;
    if !dir.join("recovery.pub").exists() {
        return note(
            "backups",
            "this node has no recovery key, so no backup can be made",
            "sekisho backup key",
        );
    }
    let files = fs::read_dir(dir.join("backups")).into_iter().flatten().flatten();
    let newest = files.filter_map(|f| f.metadata().ok()?.modified().ok()).max();
    match newest.and_then(|at| at.elapsed().ok()).map(|age| age.as_secs()) {
        None => {
            note("backups", "no backup lies on this machine", "sekisho backup make, then take the file away")
        }
        Some(age) if age > WEEK => {
            note("backups", format!("the newest is {} days old", age / 86_400), "sekisho backup make")
        }
        Some(age) => good("backups", format!("the newest is {} hours old", age / 3600)),
    }
}

/// One finding for each destination: connected to, and shaken hands with. Nothing is sent.
fn deliveries(c: &Config) -> Vec<Finding> {
    let all = match crate::delivery::try_out::open_all(c) {
        Ok(all) => all,
        Err(e) => return vec![bad("delivery", format!("{e:#}"), "correct it in [[delivery]]")],
    };
    if all.is_empty() {
        return vec![note(
            "delivery",
            "audit and alerts stay on this machine",
            "whoever owns this machine could cut the end of the audit unseen: add a [[delivery]]",
        )];
    }
    all.iter()
        .map(|d| match d.reach() {
            Ok(()) => good("delivery", format!("{} answers", d.name())),
            Err(e) => bad("delivery", format!("{}: {e}", d.name()), "sekisho delivery test says more"),
        })
        .collect()
}

fn ciphering(c: &Config) -> Finding {
    if c.network.ciphering.contains(&crate::config::Ciphering::Nea0) {
        note("ciphering", "NEA0 is allowed: signalling may go in clear", "take NEA0 out of network.ciphering")
    } else {
        good("ciphering", "signalling is ciphered")
    }
}

fn clock() -> Finding {
    const YEAR_2025: i64 = 1_735_689_600_000;
    if crate::time::utc().0 < YEAR_2025 {
        bad("clock", "it is set before 2025", "timedatectl set-ntp true")
    } else {
        good("clock", "plausible")
    }
}
