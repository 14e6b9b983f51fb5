//! Addresses, bearer and rules as an SMF reads them, and the answers' common parts.

use super::requests::Asked;
use super::{Ask, Gx, Output};
use crate::bearer;
use ipnet::{IpNet, Ipv6Net};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use types::{Pei, PermittedFlow, Ports, Protocol, SessionAddress, SessionPolicy, Subscription};
use wire::diameter::{
    CreditControlAnswer, CreditControlRequest, Equipment, Experimental, Features, Flow, FlowStatus, Message,
    Qos, RuleDefinition, RuleInstall, TGPP, application, result,
};

/// Most flows of the one rule: what an SMF and a UE's packet filters hold (TS 24.008 §10.5.6.12 has 16 places).
pub(super) const FLOWS: usize = 15;
/// DIAMETER_ERROR_INITIAL_PARAMETERS (TS 29.212 §5.5.3): what is needed to decide is not there, or wrong.
pub(super) const INITIAL_PARAMETERS: u32 = 5140;
/// Features of Gx that we have: Rel-8, Rel-9, Rel-10 (TS 29.212 §5.4.1, bits 0, 1 and 3).
const FEATURES: u32 = 0x0b;
/// Flow-Direction: both (TS 29.212 §5.3.65).
const BIDIRECTIONAL: u32 = 3;
/// The rule's name.
const RULE: &[u8] = b"sekisho";
/// Where it stands among others: behind what somebody makes for a service.
const PRECEDENCE: u32 = 1_000;
/// The length of a UE's prefix (TS 23.401 §5.3.1.2.2).
const PREFIX: u8 = 64;

/// A UE's addresses: IPv4, an IPv6 prefix, or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UeAddresses {
    /// Its IPv4 address.
    pub ipv4: Option<Ipv4Addr>,
    /// Its IPv6 prefix.
    pub prefix: Option<Ipv6Net>,
}

impl UeAddresses {
    /// As prefixes, of 32 and of 64 bits.
    pub fn nets(&self) -> impl Iterator<Item = IpNet> + use<> {
        let v4 = self.ipv4.map(|a| IpNet::from(std::net::IpAddr::from(a)));
        v4.into_iter().chain(self.prefix.map(IpNet::from))
    }

    /// True where there is none.
    pub fn is_none(&self) -> bool {
        self.ipv4.is_none() && self.prefix.is_none()
    }

    /// What of it lies in one of these ranges, and what does not.
    pub(super) fn split(self, ranges: &[IpNet]) -> (Self, Self) {
        let inside = |net: IpNet| ranges.iter().any(|r| r.contains(&net));
        let v4 = self.ipv4.is_some_and(|a| inside(IpNet::from(std::net::IpAddr::from(a))));
        let v6 = self.prefix.is_some_and(|p| inside(p.into()));
        let part =
            |v4: bool, v6: bool| Self { ipv4: self.ipv4.filter(|_| v4), prefix: self.prefix.filter(|_| v6) };
        (part(v4, v6), part(!v4, !v6))
    }

    /// What the ledger says.
    pub(super) fn of(lease: &SessionAddress) -> Self {
        Self { ipv4: Some(lease.ip.0), prefix: lease.prefix }
    }

    /// True where each that is here is the same there.
    pub(super) fn is_within(&self, other: &Self) -> bool {
        self.ipv4.is_none_or(|a| other.ipv4 == Some(a)) && self.prefix.is_none_or(|p| other.prefix == Some(p))
    }

    /// As the request says them.
    ///
    /// # Errors
    /// What is no prefix of 64 bits.
    pub(super) fn read(m: &CreditControlRequest) -> Result<Self, ()> {
        let prefix = m.ipv6.as_deref().map(|octets| prefix(octets).ok_or(())).transpose()?;
        Ok(Self { ipv4: m.ipv4.map(Ipv4Addr::from), prefix })
    }
}

impl fmt::Display for UeAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.ipv4, self.prefix) {
            (Some(a), Some(p)) => write!(f, "{a}, {p}"),
            (Some(a), None) => a.fmt(f),
            (None, Some(p)) => p.fmt(f),
            (None, None) => Ok(()),
        }
    }
}

/// Framed-IPv6-Prefix (RFC 3162 §2.3): a reserved octet, the length, and as many octets as it needs at least.
fn prefix(octets: &[u8]) -> Option<Ipv6Net> {
    let (&[0, PREFIX], rest) = octets.split_first_chunk::<2>()? else { return None };
    if rest.len() > 16 {
        return None;
    }
    let mut all = [0; 16];
    all.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    let net = Ipv6Net::new(Ipv6Addr::from(all), PREFIX).ok()?;
    // Fewer octets are zeros at the end; bits behind the length are none.
    (net.trunc() == net).then_some(net)
}

/// The device, as text or as swapped digits of four bits (RFC 8506 §8.49, TS 23.003 §6.2).
pub(super) fn device(e: &Equipment) -> Option<Pei> {
    const IMEISV: u32 = 0;
    if e.kind != IMEISV {
        return None;
    }
    let digits: String = match e.value.as_slice() {
        text @ [_, _, _, _, _, _, _, _, _, ..] => String::from_utf8(text.to_vec()).ok()?,
        packed => packed
            .iter()
            .flat_map(|o| [o & 15, o >> 4])
            .take_while(|d| *d < 10)
            .filter_map(|d| char::from_digit(d.into(), 10))
            .collect(),
    };
    match digits.len() {
        16 => digits.parse().ok().map(Pei::Imeisv),
        15 => digits.parse().ok().map(Pei::Imei),
        _ => None,
    }
}

/// The one rule: it opens what the SIM may reach, on a bearer like the default one.
pub(super) fn install(policy: &SessionPolicy, s: &Subscription) -> Option<RuleInstall> {
    if policy.flows.is_empty() || policy.flows.len() > FLOWS {
        return None;
    }
    let (ul, dl) = bearer::ambr(s);
    let definition = RuleDefinition {
        name: RULE.to_vec(),
        flows: policy.flows.iter().map(flow).collect(),
        status: Some(FlowStatus::Enabled),
        qos: Some(Qos {
            qci: Some(bearer::QCI),
            max_ul: Some(ul),
            max_dl: Some(dl),
            guaranteed_ul: None,
            guaranteed_dl: None,
            arp: Some(bearer::ARP),
            apn_ul: None,
            apn_dl: None,
        }),
        precedence: Some(PRECEDENCE),
    };
    Some(RuleInstall { definitions: vec![definition], names: Vec::new() })
}

/// `permit out PROTOCOL from APP [PORTS] to assigned [PORTS]`: SMFs read this form alone (TS 29.212 §5.4.2, RFC 6733
/// §4.3.1).
fn flow(f: &PermittedFlow) -> Flow {
    let number = match (f.protocol, f.remote) {
        (Protocol::Tcp, _) => 6,
        (Protocol::Udp, _) => 17,
        (Protocol::Icmp, IpNet::V4(_)) => 1,
        (Protocol::Icmp, IpNet::V6(_)) => 58,
    };
    let ports = |p: Ports| match (p.first(), p.last()) {
        _ if p == Ports::ANY || f.protocol == Protocol::Icmp => String::new(),
        (first, last) if first == last => format!(" {first}"),
        (first, last) => format!(" {first}-{last}"),
    };
    let (from, to) = (ports(f.remote_ports), ports(f.ue_ports));
    Flow {
        description: Some(format!("permit out {number} from {}{from} to assigned{to}", f.remote)),
        tos: None,
        direction: Some(BIDIRECTIONAL),
    }
}

impl Gx {
    /// The answer to a CC-Request, with nothing but its result.
    pub(super) fn cca(&self, session: &str, asked: &Asked, result_code: u32) -> CreditControlAnswer {
        let experimental = result_code == INITIAL_PARAMETERS;
        CreditControlAnswer {
            session_id: session.to_owned(),
            auth_application: Some(application::GX),
            origin_host: self.config.host.clone(),
            origin_realm: self.config.realm.clone(),
            result_code: (!experimental).then_some(result_code),
            experimental: experimental.then(|| Experimental::tgpp(result_code)),
            kind: Some(asked.kind),
            number: Some(asked.number),
            features: Vec::new(),
            bearer_control: None,
            triggers: Vec::new(),
            origin_state: None,
            remove: Vec::new(),
            install: Vec::new(),
            qos: Vec::new(),
            default_qos: None,
            error_message: None,
            failed_avp: None,
        }
    }

    /// The answer to the beginning of a session that may be.
    pub(super) fn grant(&self, ask: &Ask, s: &Subscription, policy: Option<&SessionPolicy>) -> Message {
        let (apn_ul, apn_dl) = bearer::ambr(s);
        let features = ask.request.features.map(|features| Features {
            vendor: TGPP,
            list: 1,
            features: features & FEATURES,
        });
        CreditControlAnswer {
            features: features.into_iter().collect(),
            install: policy.and_then(|p| install(p, s)).into_iter().collect(),
            qos: vec![Qos {
                qci: None,
                max_ul: None,
                max_dl: None,
                guaranteed_ul: None,
                guaranteed_dl: None,
                arp: None,
                apn_ul: Some(apn_ul),
                apn_dl: Some(apn_dl),
            }],
            default_qos: Some(bearer::qos()),
            ..self.cca(&ask.session.id, &ask.request, result::SUCCESS)
        }
        .into()
    }

    pub(super) fn answer_with(&mut self, ask: &Ask, result_code: u32) {
        self.reply(ask.id, &ask.session.id, &ask.request, result_code);
    }

    pub(super) fn reply(&mut self, id: u64, session: &str, asked: &Asked, result_code: u32) {
        let message = self.cca(session, asked, result_code).into();
        self.outputs.push_back(Output::Answer { id, message });
    }
}
