//! Elements with addresses: nodes, endpoints of sessions and tunnels, UEs, headers to put before a packet.

use super::Ie;
use crate::pfcp::{Fault, PfcpError, reader::Reader};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Node ID (§8.2.38).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeId {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address.
    V6(Ipv6Addr),
    /// A name, as labels.
    Fqdn(Vec<u8>),
}

impl Default for NodeId {
    fn default() -> Self {
        Self::V4(Ipv4Addr::UNSPECIFIED)
    }
}

impl From<IpAddr> for NodeId {
    fn from(a: IpAddr) -> Self {
        match a {
            IpAddr::V4(a) => Self::V4(a),
            IpAddr::V6(a) => Self::V6(a),
        }
    }
}

/// The same as optional IPv4 and IPv6 address.
fn of_family(a: IpAddr) -> (Option<Ipv4Addr>, Option<Ipv6Addr>) {
    match a {
        IpAddr::V4(a) => (Some(a), None),
        IpAddr::V6(a) => (None, Some(a)),
    }
}

impl Ie for NodeId {
    const TYPE: u16 = 60;
    fn read(r: &mut Reader<'_>) -> Result<Self, PfcpError> {
        match r.u8()? & 0x0f {
            0 => r.array::<4>().map(|a| Self::V4(a.into())),
            1 => r.array::<16>().map(|a| Self::V6(a.into())),
            2 => {
                let name = r.rest();
                if name.is_empty() || name.len() > 255 {
                    return Err(r.fault(Fault::Length));
                }
                Ok(Self::Fqdn(name.to_vec()))
            }
            _ => Err(r.incorrect("type of the Node ID")),
        }
    }
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::V4(a) => {
                out.push(0);
                out.extend_from_slice(&a.octets());
            }
            Self::V6(a) => {
                out.push(1);
                out.extend_from_slice(&a.octets());
            }
            Self::Fqdn(name) => {
                out.push(2);
                out.extend_from_slice(name);
            }
        }
    }
}

/// Optional addresses behind flags; the order is v4, v6 in each element that has both.
fn read_addresses(
    r: &mut Reader<'_>,
    v4: bool,
    v6: bool,
) -> Result<(Option<Ipv4Addr>, Option<Ipv6Addr>), PfcpError> {
    let v4 = if v4 { Some(r.array::<4>()?.into()) } else { None };
    let v6 = if v6 { Some(r.array::<16>()?.into()) } else { None };
    Ok((v4, v6))
}

fn write_addresses(out: &mut Vec<u8>, v4: Option<Ipv4Addr>, v6: Option<Ipv6Addr>) {
    if let Some(a) = v4 {
        out.extend_from_slice(&a.octets());
    }
    if let Some(a) = v6 {
        out.extend_from_slice(&a.octets());
    }
}

/// F-SEID (§8.2.37): flags (bit 2 IPv4, bit 1 IPv6), SEID, addresses; at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FSeid {
    /// The SEID.
    pub seid: u64,
    /// IPv4 address.
    pub v4: Option<Ipv4Addr>,
    /// IPv6 address.
    pub v6: Option<Ipv6Addr>,
}

impl FSeid {
    /// At one address.
    pub fn at(seid: u64, address: IpAddr) -> Self {
        let (v4, v6) = of_family(address);
        Self { seid, v4, v6 }
    }
}

impl Default for FSeid {
    fn default() -> Self {
        Self { seid: 0, v4: Some(Ipv4Addr::UNSPECIFIED), v6: None }
    }
}

impl Ie for FSeid {
    const TYPE: u16 = 57;
    fn read(r: &mut Reader<'_>) -> Result<Self, PfcpError> {
        let flags = r.u8()?;
        let seid = r.u64()?;
        let (v4, v6) = read_addresses(r, flags & 2 != 0, flags & 1 != 0)?;
        if v4.is_none() && v6.is_none() {
            return Err(r.incorrect("F-SEID without an address"));
        }
        Ok(Self { seid, v4, v6 })
    }
    fn write(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.v4.is_some()) << 1 | u8::from(self.v6.is_some()));
        out.extend_from_slice(&self.seid.to_be_bytes());
        write_addresses(out, self.v4, self.v6);
    }
}

/// F-TEID (§8.2.3).
///
/// ```text
/// 5 | spare | CHID (8) | CH (4) | V6 (2) | V4 (1) |
/// 6 | TEID, addresses: if CH is 0; CHOOSE ID: if CHID is 1 |
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FTeid {
    /// The user plane chooses.
    Choose {
        /// An IPv4 address is wanted.
        v4: bool,
        /// An IPv6 address is wanted.
        v6: bool,
        /// Equal numbers within a request get equal TEIDs.
        choose_id: Option<u8>,
    },
    /// It is this one.
    Given {
        /// The TEID.
        teid: u32,
        /// IPv4 address.
        v4: Option<Ipv4Addr>,
        /// IPv6 address.
        v6: Option<Ipv6Addr>,
    },
}

impl FTeid {
    /// At one address.
    pub fn at(teid: u32, address: IpAddr) -> Self {
        let (v4, v6) = of_family(address);
        Self::Given { teid, v4, v6 }
    }
}

impl Default for FTeid {
    fn default() -> Self {
        Self::Choose { v4: true, v6: false, choose_id: None }
    }
}

impl Ie for FTeid {
    const TYPE: u16 = 21;
    fn read(r: &mut Reader<'_>) -> Result<Self, PfcpError> {
        let flags = r.u8()?;
        let (v4, v6) = (flags & 1 != 0, flags & 2 != 0);
        if !v4 && !v6 {
            return Err(r.incorrect("F-TEID without an address"));
        }
        if flags & 4 != 0 {
            let choose_id = if flags & 8 != 0 { Some(r.u8()?) } else { None };
            return Ok(Self::Choose { v4, v6, choose_id });
        }
        let teid = r.u32()?;
        let (v4, v6) = read_addresses(r, v4, v6)?;
        Ok(Self::Given { teid, v4, v6 })
    }
    fn write(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Choose { v4, v6, choose_id } => {
                out.push(4 | u8::from(v4) | u8::from(v6) << 1 | if choose_id.is_some() { 8 } else { 0 });
                out.extend(choose_id);
            }
            Self::Given { teid, v4, v6 } => {
                out.push(u8::from(v4.is_some()) | u8::from(v6.is_some()) << 1);
                out.extend_from_slice(&teid.to_be_bytes());
                write_addresses(out, v4, v6);
            }
        }
    }
}

/// UE IP Address (§8.2.62).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UeIpAddress {
    /// S/D flag: true where it is the destination (downlink).
    pub destination: bool,
    /// IPv4 address.
    pub v4: Option<Ipv4Addr>,
    /// IPv6 address or prefix.
    pub v6: Option<Ipv6Addr>,
    /// IPv6 prefix delegation bits.
    pub v6_delegation: Option<u8>,
    /// IPv6 prefix length.
    pub v6_length: Option<u8>,
    /// CHV4: the user plane is asked to choose an IPv4 address.
    pub choose_v4: bool,
    /// CHV6: the user plane is asked to choose an IPv6 prefix.
    pub choose_v6: bool,
}

impl Ie for UeIpAddress {
    const TYPE: u16 = 93;
    fn read(r: &mut Reader<'_>) -> Result<Self, PfcpError> {
        let f = r.u8()?;
        let (v4, v6) = read_addresses(r, f & 0x02 != 0, f & 0x01 != 0)?;
        let v6_delegation = if f & 0x08 != 0 { Some(r.u8()?) } else { None };
        let v6_length = if f & 0x40 != 0 { Some(r.u8()?) } else { None };
        if v6_length.is_some_and(|l| l > 128) {
            return Err(r.incorrect("IPv6 prefix length"));
        }
        Ok(Self {
            destination: f & 0x04 != 0,
            v4,
            v6,
            v6_delegation,
            v6_length,
            choose_v4: f & 0x10 != 0,
            choose_v6: f & 0x20 != 0,
        })
    }
    fn write(&self, out: &mut Vec<u8>) {
        out.push(
            u8::from(self.v6.is_some())
                | u8::from(self.v4.is_some()) << 1
                | u8::from(self.destination) << 2
                | u8::from(self.v6_delegation.is_some()) << 3
                | u8::from(self.choose_v4) << 4
                | u8::from(self.choose_v6) << 5
                | u8::from(self.v6_length.is_some()) << 6,
        );
        write_addresses(out, self.v4, self.v6);
        out.extend(self.v6_delegation);
        out.extend(self.v6_length);
    }
}

/// Outer Header Creation (§8.2.56). Octet 5 of the description is its high octet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OuterHeaderCreation {
    /// Which headers, as bits.
    pub description: u16,
    /// TEID, for GTP-U.
    pub teid: Option<u32>,
    /// IPv4 address.
    pub v4: Option<Ipv4Addr>,
    /// IPv6 address.
    pub v6: Option<Ipv6Addr>,
    /// UDP port, for plain UDP.
    pub port: Option<u16>,
    /// C-TAG.
    pub c_tag: Option<[u8; 3]>,
    /// S-TAG.
    pub s_tag: Option<[u8; 3]>,
}

impl OuterHeaderCreation {
    /// GTP-U, UDP, IPv4.
    pub const GTPU_V4: u16 = 0x0100;
    /// GTP-U, UDP, IPv6.
    pub const GTPU_V6: u16 = 0x0200;

    /// A GTP-U tunnel to an IPv4 or an IPv6 address.
    pub fn gtpu(teid: u32, address: IpAddr) -> Self {
        let (v4, v6) = of_family(address);
        let description = if v4.is_some() { Self::GTPU_V4 } else { Self::GTPU_V6 };
        Self { description, teid: Some(teid), v4, v6, ..Self::default() }
    }

    /// A GTP-U tunnel to an IPv4 address.
    pub fn gtpu_v4(teid: u32, address: Ipv4Addr) -> Self {
        Self { description: Self::GTPU_V4, teid: Some(teid), v4: Some(address), ..Self::default() }
    }
}

impl Ie for OuterHeaderCreation {
    const TYPE: u16 = 84;
    fn read(r: &mut Reader<'_>) -> Result<Self, PfcpError> {
        let d = r.u16()?;
        let teid = if d & 0x0300 != 0 { Some(r.u32()?) } else { None };
        let (v4, v6) = read_addresses(r, d & 0x1500 != 0, d & 0x2a00 != 0)?;
        let port = if d & 0x0c00 != 0 { Some(r.u16()?) } else { None };
        let c_tag = if d & 0x4000 != 0 { Some(r.array()?) } else { None };
        let s_tag = if d & 0x8000 != 0 { Some(r.array()?) } else { None };
        if d & 0xff00 == 0 {
            return Err(r.incorrect("Outer Header Creation of nothing"));
        }
        Ok(Self { description: d, teid, v4, v6, port, c_tag, s_tag })
    }
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.description.to_be_bytes());
        if let Some(t) = self.teid {
            out.extend_from_slice(&t.to_be_bytes());
        }
        write_addresses(out, self.v4, self.v6);
        if let Some(p) = self.port {
            out.extend_from_slice(&p.to_be_bytes());
        }
        out.extend(self.c_tag.into_iter().flatten());
        out.extend(self.s_tag.into_iter().flatten());
    }
}
