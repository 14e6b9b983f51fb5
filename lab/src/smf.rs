//! A simulated SMF (PGW-C): what one of an open core says by Gx (sessions by CCR-I, -U and -T, with the AVPs that it was seen to
//! send), and how it takes a Re-Auth. [`Smf`] is octets in and out; [`run`] puts it on a connection.

pub mod pfcp;

pub use crate::peer::run;

use crate::peer::{Name, Peer, of_3gpp};
use ipnet::Ipv6Net;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use tokio::sync::mpsc;
use types::Imsi;
use wire::diameter::{
    Arp, BearerQos, CreditControlAnswer, CreditControlRequest, Features, IP_CAN_EPS, Message, Pdu, Qos,
    ReAuthAnswer, ReAuthRequest, RequestType, SubscriptionId, SubscriptionKind, TGPP, application, result,
};

/// How it takes a Re-Auth-Request with a release cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manners {
    /// Says yes, and does nothing about it.
    Yes,
    /// Says nothing.
    Silent,
    /// Says that it knows no such session.
    Forgetful,
}

/// A session as it asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Whose.
    pub imsi: Imsi,
    /// In which data network.
    pub dnn: String,
    /// With which address.
    pub ipv4: Option<Ipv4Addr>,
    /// And prefix.
    pub ipv6: Option<Ipv6Net>,
}

/// What it is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Begin the session of this number.
    Begin(u32, Wanted),
    /// Tell of a change in it.
    Update(u32),
    /// Tell where its UE is (the octets of 3GPP-User-Location-Info).
    Seen(u32, Vec<u8>),
    /// End it.
    End(u32),
    /// Send this as it is.
    Raw(Vec<u8>),
    /// Close.
    Close,
}

/// What it learnt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// The PCRF has answered the CER.
    Up(u32),
    /// The PCRF has answered a request about the session of this number.
    Answered(u32, Box<CreditControlAnswer>),
    /// It was refused: the result of the base protocol.
    Refused(u32),
    /// The PCRF wants the session of this number released, and why.
    Released(u32, Option<u32>),
    /// The connection is gone.
    Down,
}

/// The SMF.
pub struct Smf {
    name: Name,
    manners: Manners,
    number: u32,
    sessions: BTreeMap<u32, (Wanted, u32)>,
    tap: Option<mpsc::UnboundedSender<Vec<u8>>>,
}

impl Smf {
    /// Without a session.
    pub fn new(name: Name, manners: Manners) -> Self {
        Self { name, manners, number: 0, sessions: BTreeMap::new(), tap: None }
    }

    /// What is said and heard goes there, too.
    #[must_use]
    pub fn tapped(self, tap: mpsc::UnboundedSender<Vec<u8>>) -> Self {
        Self { tap: Some(tap), ..self }
    }

    fn request(&mut self, message: impl Into<Message>) -> Vec<u8> {
        self.number += 1;
        Pdu::request(message, self.number, self.name.state.wrapping_shl(20) | self.number).encode()
    }

    /// A CC-Request about a session that is there.
    fn ccr(&mut self, session: u32, kind: RequestType, location: Option<Vec<u8>>) -> Option<Vec<u8>> {
        let (w, number) = self.sessions.get_mut(&session)?;
        let begins = kind == RequestType::Initial;
        let n = std::mem::replace(number, *number + 1);
        let w = w.clone();
        let octets =
            |p: Ipv6Net| [&[0, p.prefix_len()][..], p.addr().octets().get(..8).unwrap_or(&[])].concat();
        let rates = Qos {
            qci: None,
            max_ul: None,
            max_dl: None,
            guaranteed_ul: None,
            guaranteed_dl: None,
            arp: None,
            apn_ul: Some(500_000),
            apn_dl: Some(1_000_000),
        };
        let arp = Arp { priority: 4, may_preempt: Some(1), preemptable: Some(0) };
        let message = CreditControlRequest {
            session_id: session_id(&self.name, session),
            auth_application: application::GX,
            origin_host: self.name.host.clone(),
            origin_realm: self.name.realm.clone(),
            destination_realm: self.name.realm.clone(),
            kind,
            number: n,
            destination_host: None,
            origin_state: None,
            subscriptions: vec![
                SubscriptionId { kind: SubscriptionKind::Imsi, data: w.imsi.to_string() },
                SubscriptionId { kind: SubscriptionKind::E164, data: "8190000001".to_owned() },
            ],
            features: vec![Features { vendor: TGPP, list: 1, features: 0x0b }],
            network_request: begins.then_some(1),
            ipv4: w.ipv4.filter(|_| begins).map(|a| a.octets()),
            ipv6: w.ipv6.filter(|_| begins).map(octets),
            ip_can: begins.then_some(IP_CAN_EPS),
            rat_type: begins.then_some(1004),
            termination: None,
            equipment: None,
            qos: begins.then_some(rates),
            default_qos: begins.then_some(BearerQos { qci: Some(9), arp: Some(arp) }),
            called_station: Some(w.dnn),
            location,
            triggers: Vec::new(),
            reports: Vec::new(),
            route: Vec::new(),
        };
        Some(self.request(message))
    }

    fn reauth(&self, pdu: &Pdu, m: &ReAuthRequest) -> Option<Vec<u8>> {
        let result_code = match self.manners {
            Manners::Yes => result::SUCCESS,
            Manners::Forgetful => result::UNKNOWN_SESSION_ID,
            Manners::Silent => return None,
        };
        let raa = ReAuthAnswer {
            session_id: m.session_id.clone(),
            origin_host: self.name.host.clone(),
            origin_realm: self.name.realm.clone(),
            result_code: Some(result_code),
            experimental: None,
            origin_state: Some(self.name.state),
            reports: Vec::new(),
            error_message: None,
            failed_avp: None,
        };
        Some(pdu.answer(raa).encode())
    }
}

/// The Session-Id of a session.
fn session_id(name: &Name, session: u32) -> String {
    format!("{};1795296192;{session};app_gx", name.host)
}

fn number_of(session_id: &str) -> u32 {
    session_id.split(';').nth(2).and_then(|n| n.parse().ok()).unwrap_or(0)
}

impl Peer for Smf {
    type Order = Order;
    type News = News;

    fn cer(&mut self) -> Vec<u8> {
        let cer = self.name.cer("simulated SMF", &[of_3gpp(application::GX)]);
        self.request(cer)
    }

    fn order(&mut self, order: &Order) -> Option<Vec<u8>> {
        match order {
            Order::Begin(n, wanted) => {
                self.sessions.insert(*n, (wanted.clone(), 0));
                let seen = vec![0x82, 0x99, 0xf9, 0x07, 0, 1, 0x99, 0xf9, 0x07, 0x01, 0x07, 0x9b, 0xaf];
                self.ccr(*n, RequestType::Initial, Some(seen))
            }
            Order::Update(n) => self.ccr(*n, RequestType::Update, None),
            Order::Seen(n, place) => self.ccr(*n, RequestType::Update, Some(place.clone())),
            Order::End(n) => self.ccr(*n, RequestType::Termination, None),
            Order::Raw(octets) => Some(octets.clone()),
            Order::Close => None,
        }
    }

    fn received(&mut self, octets: &[u8]) -> (Option<Vec<u8>>, Option<News>) {
        let Ok(pdu) = Pdu::parse(octets) else { return (None, None) };
        match &pdu.message {
            Message::CapabilitiesExchangeAnswer(a) => (None, Some(News::Up(a.result_code))),
            Message::CreditControlAnswer(a) => {
                (None, Some(News::Answered(number_of(&a.session_id), a.clone())))
            }
            Message::ReAuthRequest(m) => {
                let news = News::Released(number_of(&m.session_id), m.release);
                (self.reauth(&pdu, m), Some(news))
            }
            Message::Refusal { refusal, .. } => (None, Some(News::Refused(refusal.result_code))),
            _ => (self.name.base_answer(&pdu), None),
        }
    }

    fn heard(&self, octets: &[u8]) {
        if let Some(tap) = &self.tap {
            drop(tap.send(octets.to_vec()));
        }
    }

    fn down() -> News {
        News::Down
    }
}
