//! `[n2]`, `[[gnb]]`, `[n3]`, `[n6]`: where radios connect, where their user traffic arrives, and where it leaves to the
//! company's network.

use crate::io::sctp::SctpMode;
use ipnet::IpNet;
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr};
use types::Name;

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
fn default_n2_port() -> u16 {
    38412
}
pub(super) fn default_sctp_udp_port() -> u16 {
    9899
}
fn default_tun() -> String {
    "sekisho0".to_owned()
}
