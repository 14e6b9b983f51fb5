//! The configuration of this node (decision D18): one TOML file plus environment, unknown keys refused.
//!
//! What belongs to the company (data networks, apps, groups, rules, SIMs) lives in the store, not here.
//! Every mistake is reported with the line, the key and the fix; nothing is half applied.

pub(crate) mod diameter;
mod gx;
pub(crate) mod n4;
mod s6a;
mod service;

pub(crate) use gx::overlap;
pub use gx::{Gx, Smf};
pub use n4::N4;
pub use s6a::{Application, Mme, S6a};
pub use service::{ProviderWay, Service};

use crate::io::sctp::SctpMode;
use gateway::{GTPU_PORT, GatewayConfig, TunConfig, journal::copies::CopyConfig, netns::Netns};
use ipnet::IpNet;
use serde::Deserialize;
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};
use types::{AmfId, AuthenticationMethod, Name, Plmn, Snssai, Tac};

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What the radio broadcasts and the UEs are told.
    pub network: Network,
    /// N2: where gNBs connect.
    pub n2: N2,
    /// The radios that are admitted.
    #[serde(default)]
    pub gnb: Vec<Gnb>,
    /// N3: where their user traffic arrives.
    pub n3: N3,
    /// N6: the way to the company's network.
    #[serde(default)]
    pub n6: N6,
    /// The gateway process.
    #[serde(default)]
    pub gateway: Gateway,
    /// Where files are kept.
    pub paths: Paths,
    /// The database.
    #[serde(default)]
    pub store: StoreSection,
    /// Bans and what takes them back.
    #[serde(default)]
    pub revocation: Revocation,
    /// The API.
    #[serde(default)]
    pub api: Api,
    /// The identity provider that people sign in by, beside local operators.
    #[serde(default)]
    pub oidc: Option<Oidc>,
    /// Our own page inside the closed network.
    #[serde(default)]
    pub service: Option<Service>,
    /// S6a: MMEs that ask us as their HSS.
    #[serde(default)]
    pub s6a: Option<S6a>,
    /// Foreign SMFs that steer our user plane.
    #[serde(default)]
    pub n4: Option<N4>,
    /// Gx: SMFs that ask us as their PCRF.
    #[serde(default)]
    pub gx: Option<Gx>,
    /// Where audit and alerts are sent to.
    #[serde(default)]
    pub delivery: Vec<Delivery>,
    /// Logs.
    #[serde(default)]
    pub log: Log,
}

/// `[network]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Network {
    /// AMF name told to gNBs.
    #[serde(default = "default_name")]
    pub name: String,
    /// What UEs show as the network's name.
    #[serde(default)]
    pub display_name: Option<String>,
    /// Whose clocks phones are told, an IANA time zone such as `Asia/Tokyo`; without it they are told no time.
    #[serde(default)]
    pub time_zone: Option<String>,
    /// PLMN, `MCC-MNC`.
    pub plmn: Plmn,
    /// AMF region, set and pointer (TS 23.003 §2.10.1).
    #[serde(default = "default_amf")]
    pub amf: AmfId,
    /// Tracking areas served.
    pub tacs: Vec<Tac>,
    /// Slices served, `SST` or `SST-SD`.
    pub slices: Vec<Snssai>,
    /// Relative AMF capacity told to gNBs: the weight by which they choose between AMFs of a set (TS 38.413 §9.3.1.32).
    #[serde(default = "default_relative_capacity")]
    pub relative_capacity: u8,
    /// NAS integrity algorithms by preference.
    #[serde(default = "default_integrity")]
    pub integrity: Vec<Integrity>,
    /// NAS ciphering algorithms by preference. `NEA0` (no ciphering) only where it is written here.
    #[serde(default = "default_ciphering")]
    pub ciphering: Vec<Ciphering>,
    /// How old the keys of a UE that stays connected may become before it is authenticated anew, seconds; 0: as old as it
    /// likes.
    #[serde(default = "default_key_life_s")]
    pub key_life_s: u32,
    /// T3512: how often an idle UE says that it is there, seconds (TS 24.501 §5.3.7).
    #[serde(default = "default_t3512_s")]
    pub t3512_s: u32,
    /// A SIM that tells its identity in clear (SUCI of the null scheme) is refused while there is a home network key.
    #[serde(default)]
    pub refuse_null_scheme: bool,
    /// How SIMs prove themselves: `5g-aka` or `eap-aka-prime` (TS 33.501 §6.1.3). Every 5G device has both.
    #[serde(default)]
    pub authentication: AuthenticationMethod,
}

/// NAS integrity algorithm (TS 33.501 §5.11.1.2). Null integrity cannot be configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Integrity {
    /// 128-NIA1, SNOW 3G.
    #[serde(rename = "NIA1")]
    Nia1,
    /// 128-NIA2, AES.
    #[serde(rename = "NIA2")]
    Nia2,
    /// 128-NIA3, ZUC.
    #[serde(rename = "NIA3")]
    Nia3,
}

/// NAS ciphering algorithm (TS 33.501 §5.11.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Ciphering {
    /// No ciphering: for captures and tests.
    #[serde(rename = "NEA0")]
    Nea0,
    /// 128-NEA1, SNOW 3G.
    #[serde(rename = "NEA1")]
    Nea1,
    /// 128-NEA2, AES.
    #[serde(rename = "NEA2")]
    Nea2,
    /// 128-NEA3, ZUC.
    #[serde(rename = "NEA3")]
    Nea3,
}

/// `[n2]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct N2 {
    /// Our N2 address.
    pub address: Ipv4Addr,
    /// SCTP port, 38412 by TS 38.412 §7.
    #[serde(default = "default_n2_port")]
    pub port: u16,
    /// How SCTP is carried.
    #[serde(default)]
    pub transport: Transport,
    /// UDP port of `transport = "udp"`, 9899 by RFC 6951.
    #[serde(default = "default_sctp_udp_port")]
    pub udp_port: u16,
}

impl N2 {
    /// What carries SCTP on a machine where `kernel` says whether its kernel speaks SCTP.
    pub fn sctp_mode(&self, kernel: bool) -> SctpMode {
        self.transport.mode(kernel, self.udp_port)
    }
}

/// How SCTP packets travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// `kernel` where the kernel speaks SCTP, else `raw`: a gNB sees no difference, both are IP protocol 132.
    #[default]
    Auto,
    /// The kernel's SCTP; refused where the kernel has none.
    Kernel,
    /// Our userspace stack over raw IP (protocol 132); needs the right to open raw sockets, and a kernel without SCTP.
    Raw,
    /// Our userspace stack inside UDP (RFC 6951).
    Udp,
}

impl Transport {
    /// What carries SCTP on a machine where `kernel` says whether its kernel speaks SCTP.
    pub fn mode(self, kernel: bool, udp_port: u16) -> SctpMode {
        match self {
            Self::Auto if kernel => SctpMode::Kernel,
            Self::Kernel => SctpMode::Kernel,
            Self::Auto | Self::Raw => SctpMode::Raw,
            Self::Udp => SctpMode::Udp { port: udp_port },
        }
    }
}

/// `[[gnb]]`: one admitted radio.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gnb {
    /// A name for people.
    pub name: Name,
    /// Where its N2 comes from.
    pub n2: Vec<IpNet>,
    /// Where its N3 comes from.
    pub n3: Vec<IpNet>,
}

/// `[n3]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct N3 {
    /// Our N3 address, IPv4 or IPv6: the one that gNBs send GTP-U to. All of them speak this family on N3.
    pub address: IpAddr,
    /// With a value, a UE is heard only through the radio that serves it, and for so many milliseconds after a
    /// handover through the former one.
    pub peer_grace_ms: Option<u64>,
}

/// `[n6]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct N6 {
    /// Name of the TUN interface, at most 15 characters.
    #[serde(default = "default_tun")]
    pub tun: String,
}

impl Default for N6 {
    fn default() -> Self {
        Self { tun: default_tun() }
    }
}

/// `[gateway]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// Network namespace that the gateway enters, as a path such as `/run/netns/core`; empty: stay.
    #[serde(default)]
    pub netns: Option<PathBuf>,
    /// Packet threads; each owns a share of the sessions.
    #[serde(default = "default_shards")]
    pub shards: u8,
    /// Where copies of the revocation journal are kept, off this machine.
    #[serde(default)]
    pub journal_copies: Vec<CopyConfig>,
    /// How long the receipt of a ban waits for the copies, milliseconds; 0: not at all.
    #[serde(default)]
    pub journal_copy_wait_ms: u64,
}

impl Default for Gateway {
    fn default() -> Self {
        Self { netns: None, shards: default_shards(), journal_copies: Vec::new(), journal_copy_wait_ms: 0 }
    }
}

/// `[revocation]`: bans and what takes them back.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Revocation {
    /// An unban waits until somebody else with the right `approve` agrees.
    #[serde(default)]
    pub second_person: bool,
}

/// `[paths]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Paths {
    /// Directory of database, key file, revocation journal and flow records; mode 0700.
    pub data: PathBuf,
    /// Directory of the sockets between the two processes; `data` where not given.
    #[serde(default)]
    pub run: Option<PathBuf>,
}

/// `[store]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSection {
    /// `sqlite:PATH` or `postgres://…`; `sqlite:` in the data directory where not given.
    #[serde(default)]
    pub url: Option<String>,
}

/// `[api]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Api {
    /// Where it listens. Anything but loopback is served with TLS only.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// Own certificate chain (PEM); a self-signed one is generated where TLS is needed and none is given.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// Its private key (PEM), mode 0600.
    #[serde(default)]
    pub private_key: Option<PathBuf>,
    /// Host name by which browsers reach the console: passkeys are bound to it.
    #[serde(default)]
    pub host: Option<String>,
}

impl Default for Api {
    fn default() -> Self {
        Self { listen: default_listen(), certificate: None, private_key: None, host: None }
    }
}

/// `[oidc]`: an identity provider that speaks OpenID Connect.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    /// What people call it: the button says so.
    pub name: String,
    /// Its issuer identifier.
    pub issuer: String,
    /// Who we are there.
    pub client_id: String,
    /// File of the client's secret, mode 0600; a public client has none.
    #[serde(default)]
    pub client_secret_file: Option<PathBuf>,
    /// Scheme, host and port at which people reach the console.
    pub base_url: String,
    /// Scopes that are asked for beside `openid`.
    #[serde(default = "default_scopes")]
    pub scopes: Vec<String>,
    /// The claim of the ID token that names a person's groups; one that begins with `/` is a JSON pointer.
    #[serde(default = "default_groups_claim")]
    pub groups_claim: String,
    /// A sign-in ends after so many minutes.
    #[serde(default = "default_session_minutes")]
    pub session_minutes: u16,
    /// Certificates (PEM) that are trusted; the system's where not given.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// One of these must be the ID token's `acr`; empty: any.
    #[serde(default)]
    pub acr: Vec<String>,
    /// All of these must be among the ID token's `amr`; empty: any.
    #[serde(default)]
    pub amr: Vec<String>,
    /// Which group may do what.
    #[serde(default)]
    pub grant: Vec<OidcGrant>,
}

/// `[[oidc.grant]]`: what the members of a group may do.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OidcGrant {
    /// The group, as the provider writes it.
    pub group: String,
    /// The role that it gives.
    pub role: String,
    /// Only for SIMs in one of these groups.
    #[serde(default)]
    pub groups: Vec<Name>,
    /// Only for SIMs at one of these sites.
    #[serde(default)]
    pub sites: Vec<Name>,
}

/// `[[delivery]]`: a destination of audit and alerts.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// A name for people; it also marks how far the destination is, so a new name begins anew.
    pub name: Name,
    /// How it is reached.
    pub kind: DeliveryKind,
    /// Of a webhook: where, `https://…`.
    #[serde(default)]
    pub url: Option<String>,
    /// Of a syslog receiver: where, `HOST:PORT`.
    #[serde(default)]
    pub address: Option<String>,
    /// Of a webhook: file of the secret that both sides share, mode 0600.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// Certificates (PEM) that are trusted; the system's where not given.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Own certificate chain (PEM), where the destination asks for one.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// Its private key (PEM).
    #[serde(default)]
    pub private_key: Option<PathBuf>,
    /// What it gets.
    #[serde(default = "default_what")]
    pub what: Vec<What>,
    /// Whether IMSI, IMEI and ICCID leave as they are; else each is replaced by a name that tells nothing.
    #[serde(default)]
    pub include_imsi: bool,
    /// Of a syslog receiver: whether only its close_notify says that it has read everything.
    #[serde(default = "default_true")]
    pub close_notify: bool,
    /// Of a syslog receiver: private enterprise number in the name of the structured data (RFC 5424 §7.2.2).
    #[serde(default = "default_enterprise")]
    pub enterprise: u32,
}

/// How a destination is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryKind {
    /// Signed JSON over HTTPS.
    Webhook,
    /// RFC 5424 over TLS (RFC 5425).
    Syslog,
}

impl DeliveryKind {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Syslog => "syslog",
        }
    }
}

/// What a destination gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// The audit with its checkpoints.
    Audit,
    /// Alerts.
    Alerts,
}

/// `[log]`
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// `text` or `json`.
    #[serde(default)]
    pub format: LogFormat,
    /// Filter such as `info` or `info,access=debug`.
    #[serde(default)]
    pub filter: Option<String>,
}

/// Form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One line of words and fields.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

fn default_name() -> String {
    "sekisho".to_owned()
}
fn default_relative_capacity() -> u8 {
    255
}
fn default_amf() -> AmfId {
    AmfId { region: 1, set: 1, pointer: 0 }
}
fn default_integrity() -> Vec<Integrity> {
    vec![Integrity::Nia2]
}
fn default_ciphering() -> Vec<Ciphering> {
    vec![Ciphering::Nea2]
}
fn default_key_life_s() -> u32 {
    86_400
}
fn default_t3512_s() -> u32 {
    3_600
}
fn default_n2_port() -> u16 {
    38412
}
fn default_sctp_udp_port() -> u16 {
    9899
}
fn default_tun() -> String {
    "sekisho0".to_owned()
}
fn default_shards() -> u8 {
    std::thread::available_parallelism().map_or(1, |n| n.get().min(16) as u8)
}
fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8443))
}

fn default_scopes() -> Vec<String> {
    vec!["profile".to_owned(), "email".to_owned()]
}
fn default_groups_claim() -> String {
    "groups".to_owned()
}
fn default_session_minutes() -> u16 {
    480
}
fn default_what() -> Vec<What> {
    vec![What::Audit, What::Alerts]
}
fn default_true() -> bool {
    true
}
fn default_enterprise() -> u32 {
    // The number that RFC 5612 sets aside for examples: we have none of our own.
    32473
}

/// What is wrong with a configuration: all of it, not only the first mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, as it was named.
    pub file: PathBuf,
    /// Every mistake.
    pub faults: Vec<Fault>,
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// One-based line, where it can be told.
    pub line: Option<usize>,
    /// The key, such as `n3.address`; empty where the text does not parse.
    pub key: String,
    /// What is wrong and what to write instead.
    pub what: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.faults.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{}", self.file.display())?;
            if let Some(l) = fault.line {
                write!(f, ":{l}")?;
            }
            if !fault.key.is_empty() {
                write!(f, ": {}", fault.key)?;
            }
            write!(f, ": {}", fault.what)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// Prefix of environment variables that override a key: `SEKISHO_API_LISTEN` is `api.listen`.
const ENV_PREFIX: &str = "SEKISHO_";

impl Config {
    /// Addresses of this system that the configuration names.
    pub fn own_addresses(&self) -> Vec<IpAddr> {
        let all = [self.n2.address.into(), self.n3.address, self.api.listen.ip()];
        let s6a = self.s6a.iter().flat_map(|s| s.face().addresses());
        let gx = self.gx.iter().flat_map(|g| g.face().addresses());
        let n4 = self.n4.iter().map(|n| n.listen.ip());
        all.into_iter().chain(s6a).chain(gx).chain(n4).filter(|a| !a.is_unspecified()).collect()
    }

    /// Reads and checks `file`; variables of `env` named `SEKISHO_SECTION_KEY` override it.
    pub fn load(file: &Path, env: impl Iterator<Item = (String, String)>) -> Result<Self, ConfigError> {
        let fail = |faults| ConfigError { file: file.to_owned(), faults };
        let text = std::fs::read_to_string(file)
            .map_err(|e| fail(vec![Fault { line: None, key: String::new(), what: e.to_string() }]))?;
        Self::parse(&text, env).map_err(fail)
    }

    /// Parses and checks `text`.
    pub fn parse(text: &str, env: impl Iterator<Item = (String, String)>) -> Result<Self, Vec<Fault>> {
        let overrides: Vec<(String, String)> = env
            .filter_map(|(k, v)| Some((k.strip_prefix(ENV_PREFIX)?.to_ascii_lowercase(), v)))
            .filter(|(k, _)| SECTIONS.iter().any(|s| k.starts_with(&format!("{s}_"))))
            .collect();
        let parsed = if overrides.is_empty() {
            toml::from_str::<Self>(text)
        } else {
            overlay(text, &overrides).and_then(|t| t.try_into())
        };
        let config = parsed.map_err(|e| vec![toml_fault(text, &e)])?;
        let faults = config.faults(text);
        if faults.is_empty() { Ok(config) } else { Err(faults) }
    }

    /// Everything that parses but cannot be right.
    fn faults(&self, text: &str) -> Vec<Fault> {
        let mut found = Vec::new();
        let mut check = |ok: bool, key: &str, what: &str| {
            if !ok {
                found.push(Fault { line: line_of(text, key), key: key.to_owned(), what: what.to_owned() });
            }
        };
        let n = &self.network;
        check(!n.tacs.is_empty(), "network.tacs", "name at least one tracking area, for example [1]");
        check(!n.slices.is_empty(), "network.slices", "name at least one slice, for example [\"1\"]");
        check(n.slices.len() <= 8, "network.slices", "a UE can be told at most 8 slices; name at most 8");
        check(
            n.time_zone.as_deref().is_none_or(pgw_policy::clock::is_zone),
            "network.time_zone",
            "an IANA time zone, such as \"Asia/Tokyo\" or \"Europe/Berlin\"",
        );
        check(n.amf.set < 1024, "network.amf", "the AMF set is 0 to 1023");
        check(n.amf.pointer < 64, "network.amf", "the AMF pointer is 0 to 63");
        check(!n.integrity.is_empty(), "network.integrity", "name at least one of NIA1, NIA2, NIA3");
        check(!n.ciphering.is_empty(), "network.ciphering", "name at least one of NEA0, NEA1, NEA2, NEA3");
        check(
            n.key_life_s == 0 || n.key_life_s >= 60,
            "network.key_life_s",
            "0 for as long as it likes, or at least 60 seconds",
        );
        check(
            (60..=1_116_000).contains(&n.t3512_s),
            "network.t3512_s",
            "60 to 1116000 seconds (310 hours, the most that a UE can be told)",
        );
        check(
            (1..=150).contains(&n.name.chars().count()) && n.name.is_ascii(),
            "network.name",
            "the AMF name has 1 to 150 ASCII characters",
        );
        let shown = n.display_name.as_deref().unwrap_or("x");
        check(
            (1..=32).contains(&shown.chars().count()) && !shown.chars().any(char::is_control),
            "network.display_name",
            "the name that UEs show has 1 to 32 characters",
        );
        let unusable = |a: IpAddr| {
            let disguised = matches!(a, IpAddr::V6(a) if a.to_ipv4_mapped().is_some());
            a.is_unspecified() || a.is_multicast() || a == Ipv4Addr::BROADCAST || disguised
        };
        check(!unusable(self.n2.address.into()), "n2.address", "write the address that gNBs connect to");
        check(!unusable(self.n3.address), "n3.address", "write the address that gNBs send GTP-U to");
        check(
            self.n3.peer_grace_ms.is_none_or(|ms| ms <= 60_000),
            "n3.peer_grace_ms",
            "at most 60000 milliseconds; leave it out to hear a UE through every listed radio",
        );
        check(self.n2.port != 0, "n2.port", "write a port; 38412 is the usual one");
        check(
            (1..=15).contains(&self.n6.tun.len())
                && self.n6.tun.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'),
            "n6.tun",
            "an interface name has 1 to 15 letters, digits, '-' or '_'",
        );
        check((1..=16).contains(&self.gateway.shards), "gateway.shards", "1 to 16 packet threads");
        for copy in &self.gateway.journal_copies {
            let fault = copy.fault();
            check(fault.is_none(), "gateway.journal_copies", fault.unwrap_or_default());
        }
        check(
            self.gateway.journal_copy_wait_ms <= 2_000,
            "gateway.journal_copy_wait_ms",
            "0 to 2000: a ban is answered within 3 seconds, whatever the copies do",
        );
        check(
            self.api.certificate.is_some() == self.api.private_key.is_some(),
            "api.certificate",
            "certificate and private_key belong together: give both or none",
        );
        if let Some(h) = &self.api.host {
            let name = h.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b));
            let right = name && !h.is_empty() && h.parse::<IpAddr>().is_err();
            check(
                right,
                "api.host",
                "a host name in lower case, without scheme and port; an address cannot have passkeys",
            );
        }
        if let Some(u) = &self.store.url {
            let known = ["sqlite:", "postgres://", "postgresql://"].iter().any(|p| u.starts_with(p));
            check(known, "store.url", "begin with sqlite: or postgres://");
        }
        if let Some(o) = &self.oidc {
            if let Err((key, what)) = crate::provider::believed(o, None).check() {
                check(false, &format!("oidc.{key}"), &what);
            }
            check((1..=40).contains(&o.name.chars().count()), "oidc.name", "a name has 1 to 40 characters");
            check(!o.client_id.is_empty(), "oidc.client_id", "write who we are at the provider");
            check(
                (5..=720).contains(&o.session_minutes),
                "oidc.session_minutes",
                "5 to 720: a sign-in ends after twelve hours at the latest",
            );
            check(!o.grant.is_empty(), "oidc.grant", "add an [[oidc.grant]]: without one nobody gets in");
            for g in &o.grant {
                check(!g.group.is_empty(), "oidc.grant", "a grant names a group of the provider's");
                let role = g.role.parse::<admin_web::Role>();
                check(role.is_ok(), "oidc.grant", &role.err().unwrap_or_default());
            }
        }
        if let Some(s) = &self.service {
            s.check(self, &mut check);
        }
        for (i, d) in self.delivery.iter().enumerate() {
            let twin = self.delivery.iter().take(i).any(|o| o.name == d.name);
            check(!twin, "delivery.name", "two destinations have this name; give each its own");
            check(!d.what.is_empty(), "delivery.what", "name at least one of audit, alerts");
            check(
                d.certificate.is_some() == d.private_key.is_some(),
                "delivery.certificate",
                "certificate and private_key belong together: give both or none",
            );
            match d.kind {
                DeliveryKind::Webhook => {
                    let https = d.url.as_ref().is_some_and(|u| u.starts_with("https://"));
                    check(https, "delivery.url", "write where the webhook is, https://…");
                    check(
                        d.secret_file.is_some(),
                        "delivery.secret_file",
                        "name the file of the shared secret",
                    );
                    check(d.address.is_none(), "delivery.address", "a webhook has a url, no address");
                }
                DeliveryKind::Syslog => {
                    let port = d.address.as_ref().and_then(|a| a.rsplit_once(':')).map(|(_, p)| p);
                    let right = port.is_some_and(|p| p.parse::<u16>().is_ok_and(|p| p != 0));
                    check(right, "delivery.address", "write HOST:PORT; 6514 is the usual port");
                    check(d.url.is_none(), "delivery.url", "a syslog receiver has an address, no url");
                }
            }
        }
        for (i, g) in self.gnb.iter().enumerate() {
            let twin = self.gnb.iter().take(i).any(|o| o.name == g.name);
            check(!twin, "gnb.name", "two gNBs have this name; give each its own");
            check(
                !g.n2.is_empty(),
                "gnb.n2",
                "write where its N2 comes from, for example [\"192.0.2.10/32\"]",
            );
            check(
                !g.n3.is_empty(),
                "gnb.n3",
                "write where its N3 comes from, for example [\"192.0.2.10/32\"]",
            );
            for (key, p) in g.n2.iter().map(|p| ("gnb.n2", p)).chain(g.n3.iter().map(|p| ("gnb.n3", p))) {
                check(*p == p.trunc(), key, &format!("{p} has host bits set; write {}", p.trunc()));
            }
            let family = |a: IpAddr| if a.is_ipv4() { "IPv4" } else { "IPv6" };
            let ours = family(self.n3.address);
            for p in g.n3.iter().filter(|p| family(p.addr()) != ours) {
                check(
                    false,
                    "gnb.n3",
                    &format!("n3.address is {ours}, so {p} can send it nothing; write its {ours} prefix"),
                );
            }
        }
        found.extend(self.n4.iter().flat_map(|n| n.faults(text, self.n3.address)));
        found.extend(self.s6a.iter().flat_map(|s| s.faults(text)));
        found.extend(self.gx.iter().flat_map(|g| g.faults(text)));
        if let (Some(gx), Some(n4)) = (&self.gx, &self.n4) {
            found.extend(gx.disagreements(n4, text));
        }
        found
    }

    /// Address of the database.
    pub fn store_url(&self) -> String {
        self.store
            .url
            .clone()
            .unwrap_or_else(|| format!("sqlite:{}", self.paths.data.join("sekisho.db").display()))
    }

    /// File of the key-encryption key, mode 0600.
    pub fn key_file(&self) -> PathBuf {
        self.paths.data.join("kek.key")
    }

    /// The revocation journal.
    pub fn journal(&self) -> PathBuf {
        self.paths.data.join("revocations.journal")
    }

    /// Directory of the flow record segments.
    pub fn flows(&self) -> PathBuf {
        self.paths.data.join("flows")
    }

    /// The socket at which the gateway serves control and `ban --local`.
    pub fn gateway_socket(&self) -> PathBuf {
        self.paths.run.as_ref().unwrap_or(&self.paths.data).join("gateway.sock")
    }

    /// What the gateway process is told.
    pub fn gateway_config(&self) -> GatewayConfig {
        GatewayConfig {
            netns: self.gateway.netns.clone().map(Netns::Path),
            forward: self.gateway.netns.is_some(),
            n3: self.n3.address,
            n3_port: GTPU_PORT,
            peer_grace_ms: self.n3.peer_grace_ms,
            tun: TunConfig {
                name: self.n6.tun.clone(),
                mtu: types::DataNetwork::default_mtu(),
                addresses: Vec::new(),
                ue_prefixes: Vec::new(),
            },
            shards: self.gateway.shards,
            radios: self.n3_peers(),
            n4: self.n4.as_ref().map(N4::socket),
            service: self.service.as_ref().map(Service::of_the_gateway),
            socket: self.gateway_socket(),
            journal: self.journal(),
            journal_copies: self.gateway.journal_copies.clone(),
            journal_copy_wait_ms: self.gateway.journal_copy_wait_ms,
        }
    }

    /// Where N2 may come from.
    pub fn n2_peers(&self) -> Vec<IpNet> {
        self.gnb.iter().flat_map(|g| g.n2.iter().copied()).collect()
    }

    /// Where N3 may come from.
    pub fn n3_peers(&self) -> Vec<IpNet> {
        let smfs = self.n4.iter().flat_map(|n| &n.smf).flat_map(|s| s.user_plane.iter().copied());
        self.gnb.iter().flat_map(|g| g.n3.iter().copied()).chain(smfs).collect()
    }

    /// True where the API is served with TLS.
    pub fn api_has_tls(&self) -> bool {
        self.api_is_public() || self.api.certificate.is_some()
    }

    /// True where the API listens on something that other machines can reach.
    pub fn api_is_public(&self) -> bool {
        match self.api.listen.ip() {
            IpAddr::V4(a) => !a.is_loopback(),
            IpAddr::V6(a) => !a.is_loopback(),
        }
    }
}

/// Sections that may be overridden by the environment.
const SECTIONS: [&str; 15] = [
    "network",
    "n2",
    "n3",
    "n6",
    "s6a",
    "gx",
    "n4",
    "gateway",
    "paths",
    "store",
    "revocation",
    "api",
    "oidc",
    "service",
    "log",
];

/// The text as a table with the environment's values laid over it.
fn overlay(text: &str, overrides: &[(String, String)]) -> Result<toml::Table, toml::de::Error> {
    let mut table: toml::Table = toml::from_str(text)?;
    for (path, value) in overrides {
        let Some((section, key)) = path.split_once('_') else { continue };
        // A value that is no TOML value of its own (an address, a path) is a string.
        let value = toml::from_str::<toml::Table>(&format!("v = {value}"))
            .ok()
            .and_then(|mut t| t.remove("v"))
            .unwrap_or_else(|| toml::Value::String(value.clone()));
        let entry = table.entry(section.to_owned()).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        if let toml::Value::Table(t) = entry {
            t.insert(key.to_owned(), value);
        }
    }
    Ok(table)
}

/// A parse error with its line and the key that stands on it.
fn toml_fault(text: &str, e: &toml::de::Error) -> Fault {
    let line = e.span().map(|s| text.get(..s.start).unwrap_or(text).matches('\n').count() + 1);
    let key = line
        .and_then(|l| text.lines().nth(l - 1))
        .and_then(|l| l.split_once('='))
        .map(|(k, _)| k.trim().to_owned())
        .unwrap_or_default();
    Fault { line, key, what: e.message().replace('\n', "; ") }
}

/// The line on which `section.key` stands; the section's own line where the key is not written.
fn line_of(text: &str, path: &str) -> Option<usize> {
    let (section, key) = path.split_once('.')?;
    let mut here = false;
    let mut header = None;
    for (i, line) in text.lines().enumerate() {
        let l = line.trim();
        if l.starts_with('[') {
            here = l.trim_matches(['[', ']']) == section;
            if here {
                header = Some(i + 1);
            }
        } else if here && l.split_once('=').is_some_and(|(k, _)| k.trim() == key) {
            return Some(i + 1);
        }
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "[network]\nplmn = \"001-01\"\ntacs = [1]\nslices = [\"1\"]\n[n2]\naddress = \"192.0.2.1\"\n[n3]\naddress = \"192.0.2.1\"\n[paths]\ndata = \"/var/lib/sekisho\"\n";

    fn faults(text: &str) -> Vec<Fault> {
        Config::parse(text, std::iter::empty()).expect_err("refused")
    }

    #[test]
    fn gx_and_n4_say_the_same_of_an_smf_that_assigns_on_its_own() {
        let with = |assigns: &str, own_range: &str, address: &str| {
            let text = format!(
                "{SMALL}[gx]\nhost = \"pcrf.x\"\nrealm = \"x\"\nlisten = \"127.0.0.9:3868\"\n\
                 [[gx.smf]]\nhost = \"smf.x\"\naddresses = [\"{address}\"]\nassigns = [{assigns}]\n\
                 [n4]\nlisten = \"192.0.2.1:8805\"\n\
                 [[n4.smf]]\nname = \"core\"\naddress = \"192.0.2.4\"\nown_range = [{own_range}]\n"
            );
            match Config::parse(&text, std::iter::empty()) {
                Ok(_) => Vec::new(),
                Err(found) => found.into_iter().map(|f| f.key).collect(),
            }
        };
        let (wide, part, other) = ("\"10.45.0.0/16\"", "\"10.45.7.0/24\"", "\"10.46.0.0/16\"");
        for (assigns, own_range, address) in [
            ("", "", "192.0.2.4"),
            (wide, wide, "192.0.2.4"),
            ("\"10.45.0.0/16\", \"2001:db8:45::/48\"", wide, "192.0.2.4"),
            // Its user plane is another's.
            (wide, "", "192.0.2.5"),
            (wide, part, "192.0.2.5"),
        ] {
            assert_eq!(with(assigns, own_range, address), [""; 0], "{assigns} {own_range}");
        }
        for (assigns, own_range) in [("", wide), (part, wide)] {
            assert_eq!(with(assigns, own_range, "192.0.2.4"), ["n4.smf.own_range"], "{assigns} {own_range}");
        }
        for (assigns, own_range) in [(wide, ""), (wide, part)] {
            assert_eq!(with(assigns, own_range, "192.0.2.4"), ["gx.smf.assigns"], "{assigns} {own_range}");
        }
        assert_eq!(with(wide, other, "192.0.2.4"), ["n4.smf.own_range", "gx.smf.assigns"]);
    }

    #[test]
    fn each_fault_of_a_diameter_face_is_named_by_its_key() {
        let with = |gx: &str| faults(&format!("{SMALL}{gx}")).into_iter().map(|f| f.key).collect::<Vec<_>>();
        let head = "[gx]\nhost = \"pcrf.x\"\nrealm = \"x\"\n";
        let smf = "[[gx.smf]]\nhost = \"smf.x\"\naddresses = [\"127.0.0.4\"]\n";
        let listen = "listen = \"127.0.0.9:3868\"\n";
        assert_eq!(with(head), ["gx", "gx.smf"]);
        assert_eq!(with(&format!("{head}listen = \"127.0.0.9:0\"\n{smf}")), ["gx.listen"]);
        assert_eq!(with(&format!("{head}{listen}{smf}{smf}")), ["gx.smf.host"]);
        assert_eq!(with(&format!("{head}{listen}{smf}certificate = true\n")), ["gx.smf.certificate"]);
        assert_eq!(with(&format!("{head}{listen}{smf}imsis = [\"1\"]\n")), ["gx.smf.imsis"]);
        for wrong in ["[\"10.45.0.1/16\"]", "[\"10.45.0.0/16\", \"10.45.7.0/24\"]"] {
            assert_eq!(with(&format!("{head}{listen}{smf}assigns = {wrong}\n")), ["gx.smf.assigns"]);
        }
        let other = smf.replace("smf.x", "b.x");
        let twins = format!("{smf}assigns = [\"10.0.0.0/8\"]\n{other}assigns = [\"10.1.0.0/16\"]\n");
        assert_eq!(with(&format!("{head}{listen}{twins}")), ["gx.smf.assigns"]);
        let head = "[s6a]\nhost = \"h\"\nrealm = \"x\"\nlisten = \"127.0.0.8:3868\"\n";
        let mme = "[[s6a.mme]]\nhost = \"m\"\naddresses = []\napplications = []\nvectors = 6\n";
        let keys = ["s6a.mme.addresses", "s6a.mme.applications", "s6a.mme.vectors"];
        assert_eq!(with(&format!("{head}{mme}")), keys);
    }

    #[test]
    fn the_example_file_shows_every_key_and_parses() {
        let text = include_str!("../sekisho.example.toml");
        let shown = Config::parse(text, std::iter::empty()).expect("the example parses");
        assert_eq!(shown.gnb.len(), 1);
        // With every comment sign in front of a key taken away it must still parse: no key in it is stale.
        let open: String = text
            .lines()
            .map(|l| match l.strip_prefix("#: ") {
                Some(rest) => format!("{rest}\n"),
                None => format!("{l}\n"),
            })
            .collect();
        Config::parse(&open, std::iter::empty()).expect("every optional key of the example parses");
        for key in [
            "name",
            "display_name",
            "time_zone",
            "plmn",
            "amf",
            "tacs",
            "slices",
            "relative_capacity",
            "integrity",
            "ciphering",
            "key_life_s",
            "t3512_s",
            "refuse_null_scheme",
            "authentication",
            "address",
            "port",
            "transport",
            "udp_port",
            "n2",
            "n3",
            "tun",
            "netns",
            "shards",
            "data",
            "run",
            "url",
            "listen",
            "host",
            "certificate",
            "private_key",
            "format",
            "filter",
            "issuer",
            "client_id",
            "client_secret_file",
            "base_url",
            "scopes",
            "groups_claim",
            "session_minutes",
            "acr",
            "amr",
            "group",
            "role",
            "groups",
            "sites",
            "kind",
            "secret_file",
            "ca",
            "what",
            "include_imsi",
            "close_notify",
            "enterprise",
        ] {
            assert!(
                open.lines().any(|l| l.split_once('=').is_some_and(|(k, _)| k.trim() == key)),
                "{key} is not shown"
            );
        }
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let f = faults(&SMALL.replace("tacs = [1]", "tacs = [1]\ntack = 2"));
        assert_eq!(f[0].line, Some(4));
        assert!(f[0].what.contains("tack"), "{}", f[0].what);
    }

    #[test]
    fn a_wrong_mcc_is_refused_with_its_line() {
        let f = faults(&SMALL.replace("001-01", "01-01"));
        assert_eq!((f[0].line, f[0].key.as_str()), (Some(2), "plmn"));
    }

    #[test]
    fn every_semantic_fault_is_named_at_once() {
        let text = SMALL
            .replace("tacs = [1]", "tacs = []")
            .replace("[n3]\naddress = \"192.0.2.1\"", "[n3]\naddress = \"0.0.0.0\"");
        let f = faults(&text);
        let keys: Vec<_> = f.iter().map(|f| (f.key.as_str(), f.line)).collect();
        assert_eq!(keys, [("network.tacs", Some(3)), ("n3.address", Some(8))]);
    }

    #[test]
    fn the_radios_speak_the_family_of_n3() {
        let by_ipv6 = SMALL.replace("[n3]\naddress = \"192.0.2.1\"", "[n3]\naddress = \"fd00::1\"");
        let gnb = |n3: &str| {
            format!("{by_ipv6}\n[[gnb]]\nname = \"g\"\nn2 = [\"192.0.2.9/32\"]\nn3 = [\"{n3}\"]\n")
        };
        let f = faults(&gnb("192.0.2.9/32"));
        let of_n3: Vec<_> = f.iter().filter(|f| f.key == "gnb.n3").map(|f| f.what.as_str()).collect();
        assert_eq!(of_n3, ["n3.address is IPv6, so 192.0.2.9/32 can send it nothing; write its IPv6 prefix"]);
        for disguised in ["::ffff:192.0.2.1", "ff02::1", "::"] {
            let f = faults(&by_ipv6.replace("fd00::1", disguised));
            assert!(f.iter().any(|f| f.key == "n3.address"), "{disguised}");
        }
        Config::parse(&gnb("fd00::/64"), std::iter::empty()).unwrap();
    }

    #[test]
    fn auto_is_the_kernels_sctp_where_there_is_one_and_raw_ip_elsewhere() {
        let mode = |text: &str, kernel| {
            Config::parse(text, std::iter::empty()).expect("parses").n2.sctp_mode(kernel)
        };
        assert_eq!((mode(SMALL, true), mode(SMALL, false)), (SctpMode::Kernel, SctpMode::Raw));
        let with = |t: &str| SMALL.replace("[n2]\n", &format!("[n2]\ntransport = \"{t}\"\n"));
        // What was asked for by name is never something else in silence.
        for kernel in [true, false] {
            assert_eq!(mode(&with("kernel"), kernel), SctpMode::Kernel);
            assert_eq!(mode(&with("raw"), kernel), SctpMode::Raw);
            assert_eq!(mode(&with("udp"), kernel), SctpMode::Udp { port: 9899 });
        }
        assert!(faults(&with("tcp"))[0].what.contains("unknown variant"));
    }

    #[test]
    fn a_provider_is_reached_by_https_and_lets_in_mapped_groups_alone() {
        let right = format!(
            "{SMALL}[oidc]\nname = \"Corp\"\nissuer = \"https://idp.example/realms/corp\"\nclient_id = \"sekisho\"\n\
             base_url = \"https://sekisho.example:8443\"\n[[oidc.grant]]\ngroup = \"net\"\nrole = \"owner\"\n"
        );
        let c = Config::parse(&right, std::iter::empty()).expect("parses");
        assert_eq!(c.oidc.map(|o| (o.session_minutes, o.groups_claim)), Some((480, "groups".to_owned())));
        let local = right.replace("https://idp.example", "http://127.0.0.1:9000");
        assert!(Config::parse(&local, std::iter::empty()).is_ok(), "on this machine");
        for (old, new, key, line) in [
            ("https://idp", "http://idp", "oidc.issuer", 13),
            ("https://idp.example/realms/corp", "idp", "oidc.issuer", 13),
            ("https://sekisho", "http://sekisho", "oidc.base_url", 15),
            ("example:8443", "example:8443/console", "oidc.base_url", 15),
            ("role = \"owner\"", "role = \"root\"", "oidc.grant", 11),
            ("client_id = \"sekisho\"", "client_id = \"\"", "oidc.client_id", 14),
        ] {
            let f = faults(&right.replace(old, new));
            assert_eq!((f[0].key.as_str(), f[0].line), (key, Some(line)), "{f:?}");
        }
    }

    #[test]
    fn host_bits_in_a_radio_prefix_are_refused_with_the_fix() {
        let f = faults(&format!(
            "{SMALL}[[gnb]]\nname = \"a\"\nn2 = [\"192.0.2.9/24\"]\nn3 = [\"192.0.2.9/32\"]\n"
        ));
        assert!(f[0].what.contains("192.0.2.0/24"), "{}", f[0].what);
    }

    #[test]
    fn the_environment_overrides_a_key_and_a_wrong_one_is_refused() {
        let env = |k: &str, v: &str| vec![(k.to_owned(), v.to_owned())].into_iter();
        let c = Config::parse(SMALL, env("SEKISHO_API_LISTEN", "127.0.0.1:9000")).expect("parses");
        assert_eq!(c.api.listen.port(), 9000);
        let c = Config::parse(SMALL, env("SEKISHO_REVOCATION_SECOND_PERSON", "true")).expect("parses");
        assert!(c.revocation.second_person);
        let c = Config::parse(SMALL, env("SEKISHO_N2_UDP_PORT", "9900")).expect("parses");
        assert_eq!(c.n2.udp_port, 9900);
        assert!(Config::parse(SMALL, env("SEKISHO_API_LISTENN", "x")).is_err());
    }
}
