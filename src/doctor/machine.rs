//! What this machine is like: looked at, nothing changed. [`super::judge`] says what is wrong with it.

use super::{
    certificate::{self, Certificate},
    page::PageSeen,
    ways::{self, Ways},
};
use crate::{
    config::{Config, Transport},
    delivery,
    io::sctp::{self, Probe},
    provider::{self, lost_way},
};
use admin_web::{Console, Standing};
use gateway::{
    GTPU_PORT, journal::copies::CopyConfig, journal::offline, link::GatewayStatus, link::local, time,
};
use ipnet::IpNet;
use std::{
    fs,
    io::ErrorKind,
    net::{IpAddr, SocketAddr, TcpListener, UdpSocket},
    os::unix::fs::MetadataExt,
    path::Path,
    process::Command,
};
use types::Utc;

/// A destination of alerts and audit, and whether it answers.
pub type Reached = (String, Result<(), String>);

/// Everything that is looked at.
#[derive(Debug)]
pub struct Machine {
    /// The clock, milliseconds since 1970.
    pub utc_ms: i64,
    /// Whether something keeps it right; `None` where nobody says.
    pub clock_kept: Option<bool>,
    /// What there is for SCTP.
    pub sctp: Probe,
    /// Whether N2's and N3's addresses are this machine's, or why not.
    pub n2: Result<(), String>,
    /// As `n2`.
    pub n3: Result<(), String>,
    /// The TUN device.
    pub tun: Tun,
    /// Mode of the data directory; `None` where it is not there.
    pub data_mode: Option<u32>,
    /// Mode and length of the key file.
    pub key: Option<(u32, u64)>,
    /// Records of the journal; `None` where there is none, else why it cannot be read.
    pub journal: Option<Result<u64, String>>,
    /// Records of the journal that the database knows of, where somebody asked it.
    pub database_knows: Option<u64>,
    /// Pools of the data networks, where somebody asked the database for them.
    pub pools: Vec<IpNet>,
    /// Why every SIM is held.
    pub held: Option<String>,
    /// Whether backups can be made.
    pub recovery_key: bool,
    /// Age of the newest backup, seconds.
    pub backup_age: Option<u64>,
    /// Each destination and whether it answers, or why their configuration is wrong.
    pub deliveries: Result<Vec<Reached>, String>,
    /// The identity provider, where there is one.
    pub provider: Option<ProviderSeen>,
    /// The page inside the closed network, where there is one.
    pub page: Option<PageSeen>,
    /// What the kernel forwards where the gateway stands, or why that cannot be seen.
    pub ways: Result<Ways, String>,
    /// The gateway's own answer.
    pub gateway: Option<Box<GatewayStatus>>,
    /// Each copy of the journal.
    pub copies: Vec<(String, CopySeen)>,
    /// Free room on the disk of the data directory, octets.
    pub free: Option<u64>,
    /// The most that a socket may keep for us, octets.
    pub receive_buffer: Option<u64>,
    /// Files that one process may have open.
    pub open_files: Option<u64>,
    /// Addresses that we need and somebody else has.
    pub taken: Vec<String>,
    /// The API's own certificate, where one is configured: validity in seconds since 1970, and the mode of its key.
    pub certificate: Option<Result<Certificate, String>>,
    /// The console in this binary.
    pub console: Standing,
    /// What radios and UEs were refused with lately, newest last.
    pub refused: Vec<Refused>,
    /// MMEs and SMFs that are configured and not connected.
    pub silent: Vec<SilentPeer>,
}

/// A Diameter peer that is configured and not connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SilentPeer {
    /// S6a or Gx.
    pub face: &'static str,
    /// Its Origin-Host.
    pub name: String,
    /// Since when.
    pub since: Utc,
}

/// The TUN device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tun {
    /// It opens.
    Opens,
    /// It is not there.
    Missing,
    /// It does not open.
    Closed(String),
}

/// The identity provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderSeen {
    /// Whether it answers as it should.
    pub answer: Result<(), String>,
    /// Why the address that it sends people back to does not seem to be this machine's.
    pub lost: Option<String>,
}

/// A copy of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopySeen {
    /// Has so many records, and lacks so many.
    Has(u64, u64),
    /// Lies on the journal's own disk.
    SameDisk,
    /// Cannot be reached or read.
    Fails(String),
    /// Has not answered yet.
    Silent,
}

/// Something that a radio or a UE asked for and did not get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// A gNB at NG Setup.
    Radio {
        /// Its address.
        address: String,
        /// Why.
        why: String,
    },
    /// A session in a data network that we do not know, or that the SIM may not use.
    Session {
        /// The name that was asked for.
        dnn: String,
    },
}

impl Machine {
    /// Looks at everything.
    pub fn look(config: &Config) -> Self {
        let data = &config.paths.data;
        let gateway = local::status(&config.gateway_socket());
        let here = |a: IpAddr| UdpSocket::bind((a, 0)).map(drop).map_err(|e| e.to_string());
        let meta = |p: &Path| fs::metadata(p).ok();
        let head = |p: &Path| offline::inspect(p).map(|i| i.head.records).map_err(|e| e.to_string());
        let journal = config.journal();
        Self {
            utc_ms: time::utc().0,
            clock_kept: clock_kept(),
            sctp: sctp::probe(),
            n2: here(config.n2.address.into()),
            n3: here(config.n3.address),
            tun: tun(),
            data_mode: meta(data).map(|m| m.mode() & 0o777),
            key: meta(&config.key_file()).map(|m| (m.mode() & 0o777, m.len())),
            journal: journal.exists().then(|| head(&journal)),
            database_knows: None,
            pools: Vec::new(),
            held: fs::read_to_string(data.join(crate::backup::HELD)).ok().map(|w| w.trim().to_owned()),
            recovery_key: data.join("recovery.pub").exists(),
            backup_age: backup_age(data),
            deliveries: deliveries(config),
            provider: config
                .oidc
                .as_ref()
                .map(|o| ProviderSeen { answer: provider(config), lost: lost_way(config, o) }),
            page: PageSeen::look(config),
            ways: ways::look(config),
            copies: config
                .gateway
                .journal_copies
                .iter()
                .map(|c| (c.place(), copy(c, gateway.as_deref(), &journal)))
                .collect(),
            taken: if gateway.is_some() { Vec::new() } else { taken(config) },
            gateway,
            free: free(data),
            receive_buffer: number("/proc/sys/net/core/rmem_max"),
            open_files: open_files(),
            certificate: config
                .api
                .certificate
                .as_ref()
                .map(|file| certificate::read(file, config.api.private_key.as_deref())),
            console: Console::embedded().standing().clone(),
            refused: Vec::new(),
            silent: Vec::new(),
        }
    }
}

fn number(file: &str) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// The last line of what a command prints.
fn said(command: &str, args: &[&str]) -> Option<String> {
    let out = Command::new(command).args(args).output().ok().filter(|o| o.status.success())?;
    String::from_utf8_lossy(&out.stdout).lines().last().map(|l| l.trim().to_owned())
}

fn clock_kept() -> Option<bool> {
    match said("timedatectl", &["show", "--property", "NTPSynchronized", "--value"])?.as_str() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

fn tun() -> Tun {
    match fs::OpenOptions::new().read(true).write(true).open("/dev/net/tun") {
        Ok(_) => Tun::Opens,
        Err(e) if e.kind() == ErrorKind::NotFound => Tun::Missing,
        Err(e) => Tun::Closed(e.to_string()),
    }
}

fn backup_age(data: &Path) -> Option<u64> {
    let files = fs::read_dir(data.join("backups")).into_iter().flatten().flatten();
    let newest = files.filter_map(|f| f.metadata().ok()?.modified().ok()).max()?;
    newest.elapsed().ok().map(|age| age.as_secs())
}

/// Connected to, and shaken hands with. Nothing is sent.
fn deliveries(config: &Config) -> Result<Vec<Reached>, String> {
    let all = delivery::try_out::open_all(config).map_err(|e| format!("{e:#}"))?;
    Ok(all.iter().map(|d| (d.name().to_owned(), d.reach().map_err(|e| e.to_string()))).collect())
}

/// Asked who it is.
fn provider(config: &Config) -> Result<(), String> {
    let opened = provider::open(config).map_err(|e| format!("{e:#}"))?;
    opened.map_or(Ok(()), |p| p.reach())
}

fn free(dir: &Path) -> Option<u64> {
    // "Filesystem 1024-blocks Used Available Capacity Mounted on"
    let line = said("df", &["-Pk", &dir.display().to_string()])?;
    line.split_whitespace().nth(3)?.parse::<u64>().ok().map(|k| k * 1024)
}

fn open_files() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/limits").ok()?;
    let line = text.lines().find(|l| l.starts_with("Max open files"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

/// Binds what we would bind. An address that is not this machine's is told elsewhere.
fn taken(config: &Config) -> Vec<String> {
    let busy = |e: std::io::Error| e.kind() == ErrorKind::AddrInUse;
    let udp = |at: SocketAddr| UdpSocket::bind(at).err().is_some_and(busy).then(|| format!("{at}/udp"));
    let api = config.api.listen;
    let mut found = Vec::new();
    found.extend(TcpListener::bind(api).err().is_some_and(busy).then(|| format!("{api}/tcp")));
    // In a namespace of its own the gateway has every port.
    if config.gateway.netns.is_none() {
        found.extend(udp((config.n3.address, GTPU_PORT).into()));
    }
    let diameter = [config.s6a.as_ref().and_then(|s| s.listen), config.gx.as_ref().and_then(|g| g.listen)];
    let tcp = diameter.into_iter().flatten().filter(|at| TcpListener::bind(at).err().is_some_and(busy));
    found.extend(tcp.map(|at| format!("{at}/tcp")));
    if config.n2.transport == Transport::Udp {
        found.extend(udp((config.n2.address, config.n2.udp_port).into()));
    }
    found
}

fn copy(config: &CopyConfig, status: Option<&GatewayStatus>, journal: &Path) -> CopySeen {
    let place = config.place();
    if let Some(directory) = &config.directory {
        let device = |p: &Path| fs::metadata(p).map(|m| m.dev());
        match (device(directory), journal.parent().map(device)) {
            (Err(e), _) => return CopySeen::Fails(e.to_string()),
            (Ok(there), Some(Ok(here))) if there == here => return CopySeen::SameDisk,
            _ => {}
        }
    }
    let known =
        status.and_then(|s| s.copies.iter().find(|c| c.place == place).map(|c| (s.journal.records, c)));
    let (ours, theirs, error) = match known {
        Some((ours, c)) => (ours, c.head.map(|h| h.records), c.error.clone()),
        // No gateway runs: a directory can be looked at all the same.
        None => {
            let head = |p: &Path| offline::inspect(p).map(|i| i.head.records);
            let theirs = config.directory.as_ref().map(|d| head(&d.join(offline::FILE)));
            let error = theirs.as_ref().and_then(|t| t.as_ref().err().map(ToString::to_string));
            (head(journal).unwrap_or(0), theirs.and_then(Result::ok), error)
        }
    };
    match (error, theirs) {
        (Some(why), _) => CopySeen::Fails(why),
        (None, Some(n)) => CopySeen::Has(n, ours.saturating_sub(n)),
        (None, None) => CopySeen::Silent,
    }
}
