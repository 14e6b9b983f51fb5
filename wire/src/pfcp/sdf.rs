//! SDF Filter (§8.2.5): which packets a PDR speaks of, by their addresses, protocol and ports.
//!
//! The description is an IPFilterRule as TS 29.212 §5.4.2 narrows it: `permit out`, no options, nothing inverted. It is
//! written from the network's point of view whatever the PDR's source interface is (TS 29.244 §5.2.1A.2A): what stands
//! behind `from` is the far end, what stands behind `to` is the UE.

use super::ie::Ie;
use super::reader::Reader;
use super::{Fault, PfcpError};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use thiserror::Error;

/// Longest description that is read, octets.
const LONGEST: usize = 255;
/// Most ranges of ports at one end.
const MOST_RANGES: usize = 8;

/// SDF Filter (§8.2.5).
///
/// ```text
/// 5  | spare | BID (5) | FL (4) | SPI (3) | TTC (2) | FD (1) |
/// 6  | spare                                                 |
///    | length and Flow Description: if FD                    |
///    | ToS or traffic class and its mask: if TTC             |
///    | Security Parameter Index: if SPI                      |
///    | Flow Label, 3 octets: if FL                           |
///    | SDF Filter ID: if BID                                 |
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SdfFilter {
    /// Addresses, protocol, ports.
    pub flow: Option<FlowDescription>,
    /// ToS octet or traffic class, and which of its bits count.
    pub traffic_class: Option<(u8, u8)>,
    /// Of ESP or AH.
    pub spi: Option<u32>,
    /// IPv6 flow label, 20 bits.
    pub flow_label: Option<u32>,
    /// Its number within the session; alone, it stands for the filter that has this number elsewhere in the session.
    pub id: Option<u32>,
}

impl SdfFilter {
    /// One that is described.
    pub fn of(flow: FlowDescription) -> Self {
        Self { flow: Some(flow), ..Self::default() }
    }

    /// True if it says nothing but its number.
    pub fn is_reference(&self) -> bool {
        let says = self.flow.is_some()
            || self.traffic_class.is_some()
            || self.spi.is_some()
            || self.flow_label.is_some();
        !says && self.id.is_some()
    }
}

impl Ie for SdfFilter {
    const TYPE: u16 = 23;
    fn read(r: &mut Reader<'_>) -> Result<Self, PfcpError> {
        let [flags, _spare] = r.array()?;
        let flow = if flags & 0x01 != 0 { Some(read_flow(r)?) } else { None };
        let traffic_class =
            if flags & 0x02 != 0 { Some(r.array().map(|[tos, mask]| (tos, mask))?) } else { None };
        let spi = if flags & 0x04 != 0 { Some(r.u32()?) } else { None };
        let flow_label = if flags & 0x08 != 0 {
            let [a, b, c] = r.array()?;
            Some(u32::from_be_bytes([0, a & 0x0f, b, c]))
        } else {
            None
        };
        let id = if flags & 0x10 != 0 { Some(r.u32()?) } else { None };
        // A filter of nothing would speak of everything.
        if flags & 0x1f == 0 {
            return Err(r.incorrect("SDF filter of nothing"));
        }
        Ok(Self { flow, traffic_class, spi, flow_label, id })
    }
    fn write(&self, out: &mut Vec<u8>) {
        out.push(
            u8::from(self.flow.is_some())
                | u8::from(self.traffic_class.is_some()) << 1
                | u8::from(self.spi.is_some()) << 2
                | u8::from(self.flow_label.is_some()) << 3
                | u8::from(self.id.is_some()) << 4,
        );
        out.push(0);
        if let Some(flow) = &self.flow {
            out.extend_from_slice(&(flow.text.len() as u16).to_be_bytes());
            out.extend_from_slice(flow.text.as_bytes());
        }
        if let Some((tos, mask)) = self.traffic_class {
            out.extend_from_slice(&[tos, mask]);
        }
        out.extend(self.spi.into_iter().flat_map(u32::to_be_bytes));
        if let Some(label) = self.flow_label {
            let [_, a, b, c] = label.to_be_bytes();
            out.extend_from_slice(&[a & 0x0f, b, c]);
        }
        out.extend(self.id.into_iter().flat_map(u32::to_be_bytes));
    }
}

fn read_flow(r: &mut Reader<'_>) -> Result<FlowDescription, PfcpError> {
    let length = usize::from(r.u16()?);
    if length > LONGEST {
        return Err(r.fault(Fault::Length));
    }
    let text = std::str::from_utf8(r.bytes(length)?).map_err(|_| r.incorrect("flow description"))?;
    text.parse().map_err(|_| r.incorrect("flow description"))
}

/// An IPFilterRule (RFC 6733 §4.3.1) of the form that TS 29.212 §5.4.2 allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowDescription {
    protocol: Option<u8>,
    remote: FlowEnd,
    ue: FlowEnd,
    /// As it was written.
    text: String,
}

/// One end of a flow description.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlowEnd {
    /// Address and length of the prefix; none: any.
    pub net: Option<(IpAddr, u8)>,
    /// Ranges of ports, both ends included; none: any, and protocols without ports.
    pub ports: Vec<(u16, u16)>,
}

impl FlowDescription {
    /// IP protocol number; none: any.
    pub fn protocol(&self) -> Option<u8> {
        self.protocol
    }

    /// The far end.
    pub fn remote(&self) -> &FlowEnd {
        &self.remote
    }

    /// The UE's end. `assigned`, which is whatever the UE has, is any.
    pub fn ue(&self) -> &FlowEnd {
        &self.ue
    }
}

impl fmt::Display for FlowDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// It is no flow description that may stand in a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no flow description: {0}")]
pub struct NoFlowDescription(&'static str);

impl FromStr for FlowDescription {
    type Err = NoFlowDescription;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > LONGEST {
            return Err(NoFlowDescription("too long"));
        }
        let mut words = text.split_ascii_whitespace().peekable();
        let mut expect =
            |word, why| if words.next() == Some(word) { Ok(()) } else { Err(NoFlowDescription(why)) };
        expect("permit", "permits nothing")?;
        expect("out", "not written from the network's side")?;
        let protocol = protocol(words.next())?;
        let mut end = |keyword, assigned| {
            if words.next() != Some(keyword) {
                return Err(NoFlowDescription("no `from` or no `to`"));
            }
            let net = net(words.next(), assigned)?;
            let ports = words.next_if(|w| w.starts_with(|c: char| c.is_ascii_digit()));
            Ok(FlowEnd { net, ports: ports.map(ranges).transpose()?.unwrap_or_default() })
        };
        let (remote, ue) = (end("from", false)?, end("to", true)?);
        if words.next().is_some() {
            return Err(NoFlowDescription("options"));
        }
        let is_four = |end: &FlowEnd| end.net.map(|(a, _)| a.is_ipv4());
        if is_four(&remote).zip(is_four(&ue)).is_some_and(|(a, b)| a != b) {
            return Err(NoFlowDescription("ends of two families"));
        }
        Ok(Self { protocol, remote, ue, text: text.to_owned() })
    }
}

/// A number, or one of the words that are in use for a few of them.
fn protocol(word: Option<&str>) -> Result<Option<u8>, NoFlowDescription> {
    match word {
        Some("ip") => Ok(None),
        Some("icmp") => Ok(Some(1)),
        Some("tcp") => Ok(Some(6)),
        Some("udp") => Ok(Some(17)),
        Some(n) => {
            number(n).and_then(|n| u8::try_from(n).ok()).map(Some).ok_or(NoFlowDescription("protocol"))
        }
        None => Err(NoFlowDescription("protocol")),
    }
}

/// Digits and nothing else.
fn number(digits: &str) -> Option<u16> {
    digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())?
}

fn net(word: Option<&str>, may_be_assigned: bool) -> Result<Option<(IpAddr, u8)>, NoFlowDescription> {
    let bad = NoFlowDescription("address");
    let word = word.ok_or(bad)?;
    if word == "any" || (word == "assigned" && may_be_assigned) {
        return Ok(None);
    }
    let (address, length) = word.split_once('/').map_or((word, None), |(a, l)| (a, Some(l)));
    let address: IpAddr = address.parse().map_err(|_| bad)?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let length = length.map_or(Some(most), number).filter(|l| *l <= most).ok_or(bad)?;
    Ok((length > 0).then_some((address, length as u8)))
}

/// `80`, `80-90`, `80,8080-8090`.
fn ranges(word: &str) -> Result<Vec<(u16, u16)>, NoFlowDescription> {
    let one = |range: &str| {
        let (low, high) = range.split_once('-').unwrap_or((range, range));
        let (low, high) = (number(low)?, number(high)?);
        (low <= high).then_some((low, high))
    };
    let all: Option<Vec<_>> = word.split(',').take(MOST_RANGES + 1).map(one).collect();
    all.filter(|all| all.len() <= MOST_RANGES).ok_or(NoFlowDescription("ports"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pfcp::tests::{ie, message};
    use proptest::prelude::*;

    fn read(value: &[u8]) -> Result<SdfFilter, PfcpError> {
        SdfFilter::read(&mut Reader::new(value, 0))
    }

    fn written(filter: &SdfFilter) -> Vec<u8> {
        let mut out = Vec::new();
        filter.write(&mut out);
        out
    }

    /// What Open5GS's SMF was seen to send, and what its policy control passes on from an application function.
    #[test]
    fn descriptions_of_other_cores_are_read() {
        let four = |a: &str, l| Some((a.parse::<IpAddr>().unwrap(), l));
        for (text, protocol, remote, remote_ports, ue, ue_ports) in [
            (
                "permit out 58 from ff02::2/128 to assigned",
                Some(58),
                four("ff02::2", 128),
                vec![],
                None,
                vec![],
            ),
            ("permit out ip from any to assigned", None, None, vec![], None, vec![]),
            (
                "permit out 17 from 172.20.166.84 to 10.45.0.2 20001",
                Some(17),
                four("172.20.166.84", 32),
                vec![],
                four("10.45.0.2", 32),
                vec![(20001, 20001)],
            ),
            ("permit out icmp from any to any", Some(1), None, vec![], None, vec![]),
            (
                "permit out 6 from 10.0.0.0/8 80,8000-8100 to assigned 1-65535",
                Some(6),
                four("10.0.0.0", 8),
                vec![(80, 80), (8000, 8100)],
                None,
                vec![(1, 65535)],
            ),
            ("permit out tcp from 0.0.0.0/0 443 to any", Some(6), None, vec![(443, 443)], None, vec![]),
        ] {
            let d: FlowDescription = text.parse().unwrap();
            assert_eq!((d.protocol(), d.remote().net, d.ue().net), (protocol, remote, ue), "{text}");
            assert_eq!((&d.remote().ports, &d.ue().ports), (&remote_ports, &ue_ports), "{text}");
            assert_eq!(d.to_string(), text);
            let filter = SdfFilter::of(d);
            assert_eq!(read(&written(&filter)), Ok(filter));
        }
    }

    #[test]
    fn what_is_no_description_is_refused() {
        let long = format!("permit out ip from any to any {}", "1".repeat(240));
        let many = format!("permit out 6 from any {} to any", ["1"; 9].join(","));
        for text in [
            "",
            "permit",
            "deny out ip from any to any",
            "permit in ip from any to any",
            "permit out ip from any",
            "permit out ip to any from any",
            "permit out 256 from any to any",
            "permit out -1 from any to any",
            "permit out +6 from any to any",
            "permit out quic from any to any",
            "permit out ip from assigned to any",
            "permit out ip from !10.0.0.1 to any",
            "permit out ip from 10.0.0.1/33 to any",
            "permit out ip from 10.0.0.1/+8 to any",
            "permit out ip from 10.0.0/8 to any",
            "permit out ip from 2001:db8::/129 to any",
            "permit out ip from 10.0.0.1 to 2001:db8::1",
            "permit out 6 from any 80-79 to any",
            "permit out 6 from any 65536 to any",
            "permit out 6 from any 80, to any",
            "permit out 6 from any 80- to any",
            "permit out 6 from any to any established",
            "permit out 6 from any to any 80 frag",
            "permit out 6 from any to any 80 81",
            &long,
            &many,
        ] {
            assert!(text.parse::<FlowDescription>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_filter_that_is_cut_or_says_nothing_is_refused() {
        let whole = SdfFilter {
            flow: Some("permit out 17 from any 53 to assigned".parse().unwrap()),
            traffic_class: Some((0xb8, 0xfc)),
            spi: Some(7),
            flow_label: Some(0xf_ffff),
            id: Some(9),
        };
        let bytes = written(&whole);
        assert_eq!(read(&bytes), Ok(whole.clone()));
        for cut in 0..bytes.len() {
            assert!(read(&bytes[..cut]).is_err(), "{cut}");
        }
        // A length that reaches further, flags of nothing, octets that are no text.
        let mut lies = bytes.clone();
        lies[3] = 0xff;
        assert!(read(&lies).is_err() && read(&[0, 0]).is_err() && read(&[0xe0, 0]).is_err());
        assert!(read(&[1, 0, 0, 2, 0xff, 0xfe]).is_err() && read(&[1, 0, 0, 0]).is_err());
        assert!(!whole.is_reference() && SdfFilter { id: Some(9), ..SdfFilter::default() }.is_reference());
        // In a message the element is named.
        let pdi = [ie(20, &[0]), ie(23, &[1, 0, 0, 2, b'p', b'e'])].concat();
        let pdr = [ie(56, &[0, 1]), ie(2, &pdi)].concat();
        let m = message(50, &[ie(60, &[0, 1, 2, 3, 4]), ie(1, &pdr)].concat());
        assert_eq!(crate::pfcp::Pdu::parse(&m).unwrap_err().ie, Some(23));
    }

    proptest! {
        #[test]
        fn any_text_is_a_description_or_refused(words in prop::collection::vec(prop::sample::select(vec![
            "permit", "out", "in", "ip", "6", "17", "from", "to", "any", "assigned", "10.0.0.1", "10.0.0.0/8", "::1",
            "80", "80-90", "1,2", "!", "frag", " ",
        ]), 0..12), octets in prop::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(d) = words.join(" ").parse::<FlowDescription>() {
                let filter = SdfFilter::of(d);
                prop_assert_eq!(read(&written(&filter)), Ok(filter));
            }
            if let Ok(filter) = read(&octets) {
                prop_assert_eq!(read(&written(&filter)), Ok(filter));
            }
        }
    }
}
