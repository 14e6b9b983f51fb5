//! A simulated MME: what one of an open core says by S6a (Origin-State-Id in CER, attach by AIR and ULR, Purge), and how it
//! takes what an HSS says: Cancel-Location, Insert- and Delete-Subscriber-Data, Reset. [`Mme`] is octets in and out; [`run`] puts it on a TCP connection.

pub use crate::peer::run;

use crate::peer::{Name, Peer, of_3gpp};
use sim_auth::{Usim, UsimAnswer, eps::kasme};
use std::collections::BTreeMap;
use tokio::sync::mpsc;
use types::{Autn, Imsi, Plmn, Rand};
use wire::diameter::{
    AuthenticationInformationRequest, CancelLocationAnswer, CancellationType, DeleteSubscriberDataAnswer,
    EquipmentStatus, Experimental, Identity, InsertSubscriberDataAnswer, MeIdentityCheckRequest, Message,
    NO_STATE_MAINTAINED, Pdu, PurgeUeRequest, Refusal, RequestedVectors, ResetAnswer, SubscriptionData,
    TerminalInformation, UpdateLocationRequest, VendorApplication, application, result, ulr,
};

/// How it takes what the HSS wants of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manners {
    /// Says yes, and does nothing about it.
    Yes,
    /// Says nothing.
    Silent,
    /// Says that it cannot.
    No,
    /// As Open5GS's: knows Cancel-Location and Insert-Subscriber-Data, and of the rest that there is no such command.
    Open,
}

/// Who it is.
#[derive(Debug, Clone)]
pub struct MmeConfig {
    /// Origin-Host.
    pub host: Identity,
    /// Origin-Realm, and that of the HSS.
    pub realm: Identity,
    /// Its network.
    pub plmn: Plmn,
    /// Origin-State-Id.
    pub state: u32,
    /// See [`Manners`].
    pub manners: Manners,
}

/// What it is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Ask for a vector.
    Authenticate(Imsi),
    /// Register, in a device of these 14 digits.
    Locate(Imsi, String),
    /// Forget.
    Purge(Imsi),
    /// Ask about a device of these 14 digits, in which the SIM is.
    Check(Imsi, String),
    /// Send this as it is.
    Raw(Vec<u8>),
    /// Close.
    Close,
}

/// What it learnt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// The HSS has answered the CER.
    Up(u32),
    /// A vector came, and the card's answer to it is what it should be, or not.
    Vector(Imsi, bool),
    /// The SIM may be served, with this.
    Served(Imsi, Box<SubscriptionData>),
    /// It was forgotten.
    Purged(Imsi),
    /// What the EIR says of the device.
    Checked(Imsi, EquipmentStatus),
    /// No: the result of the base protocol or of 3GPP.
    Refused(Imsi, u32),
    /// The HSS takes the SIM away.
    Cancelled(Imsi, CancellationType),
    /// The SIM may have this from now on.
    Inserted(Imsi, Box<SubscriptionData>),
    /// These contexts are taken from the SIM.
    Deleted(Imsi, Vec<u32>),
    /// It is to ask anew about every SIM.
    Reset,
    /// Something else was answered, with this result.
    Answer(u32),
    /// The connection is gone.
    Down,
}

/// The MME.
pub struct Mme {
    config: MmeConfig,
    cards: BTreeMap<Imsi, Usim>,
    number: u32,
    sessions: BTreeMap<u32, Imsi>,
    /// Gets a copy of each message, in both directions.
    tap: Option<mpsc::UnboundedSender<Vec<u8>>>,
}

impl Mme {
    /// With the cards of the UEs at its radios.
    pub fn new(config: MmeConfig, cards: BTreeMap<Imsi, Usim>) -> Self {
        Self { config, cards, number: 0, sessions: BTreeMap::new(), tap: None }
    }

    /// What is said and heard goes there, too.
    #[must_use]
    pub fn tapped(self, tap: mpsc::UnboundedSender<Vec<u8>>) -> Self {
        Self { tap: Some(tap), ..self }
    }

    fn request(&mut self, imsi: Option<Imsi>, message: impl Into<Message>) -> Vec<u8> {
        self.number += 1;
        self.sessions.extend(imsi.map(|i| (self.number, i)));
        Pdu::request(message, self.number, self.config.state.wrapping_shl(20) | self.number).encode()
    }

    fn name(&self) -> Name {
        let c = self.config.clone();
        Name { host: c.host, realm: c.realm, state: c.state }
    }

    fn session(&self) -> String {
        format!("{};{};{};app_s6a", self.config.host, self.config.state, self.number + 1)
    }

    /// What it says to a request of the HSS, as its manners are. `known` where Open5GS's knows it.
    fn said(&self, pdu: &Pdu, known: bool) -> Option<Vec<u8>> {
        let code = match self.config.manners {
            Manners::Open if !known => return Some(self.unknown(pdu)),
            Manners::Yes | Manners::Open => result::SUCCESS,
            Manners::No => result::UNABLE_TO_COMPLY,
            Manners::Silent => return None,
        };
        macro_rules! answer {
            ($name:ident, $m:expr, { $($field:ident,)* }) => {
                Message::from($name {
                    session_id: $m.session_id.clone(),
                    application: Some(s6a()),
                    result_code: Some(code),
                    experimental: None,
                    auth_session_state: Some(NO_STATE_MAINTAINED),
                    origin_host: self.config.host.clone(),
                    origin_realm: self.config.realm.clone(),
                    features: Vec::new(),
                    error_message: None,
                    failed_avp: None,
                    $($field: None,)*
                })
            };
        }
        let message = match &pdu.message {
            Message::CancelLocationRequest(m) => answer!(CancelLocationAnswer, m, {}),
            Message::InsertSubscriberDataRequest(m) => answer!(InsertSubscriberDataAnswer, m, {
                ims_voice, last_activity, flags, user_state, location,
            }),
            Message::DeleteSubscriberDataRequest(m) => answer!(DeleteSubscriberDataAnswer, m, { flags, }),
            Message::ResetRequest(m) => answer!(ResetAnswer, m, {}),
            _ => return None,
        };
        Some(pdu.answer(message).encode())
    }

    /// There is no such command (RFC 6733 §7.2).
    fn unknown(&self, pdu: &Pdu) -> Vec<u8> {
        let refusal = Refusal {
            session_id: pdu.message.route().map(|r| r.session_id.to_owned()),
            origin_host: self.config.host.clone(),
            origin_realm: self.config.realm.clone(),
            result_code: result::COMMAND_UNSUPPORTED,
            error_message: None,
            failed_avp: None,
        };
        let (application, command, _) = pdu.message.kind();
        pdu.answer(Message::Refusal { application, command, error: true, refusal: Box::new(refusal) })
            .encode()
    }
}

impl Peer for Mme {
    type Order = Order;
    type News = News;

    fn cer(&mut self) -> Vec<u8> {
        let cer = self.name().cer("simulated MME", &[s6a(), of_3gpp(application::S13)]);
        self.request(None, cer)
    }

    fn order(&mut self, order: &Order) -> Option<Vec<u8>> {
        let (session_id, c) = (self.session(), self.config.clone());
        Some(match order {
            Order::Authenticate(imsi) => self.request(
                Some(*imsi),
                AuthenticationInformationRequest {
                    session_id,
                    application: Some(s6a()),
                    auth_session_state: NO_STATE_MAINTAINED,
                    origin_host: c.host,
                    origin_realm: c.realm.clone(),
                    destination_host: None,
                    destination_realm: c.realm,
                    features: Vec::new(),
                    route: Vec::new(),
                    user_name: imsi.to_string(),
                    eutran: Some(RequestedVectors {
                        number: Some(1),
                        immediate: Some(1),
                        resynchronization: None,
                    }),
                    visited_plmn: c.plmn.to_octets(),
                },
            ),
            Order::Locate(imsi, device) => self.request(
                Some(*imsi),
                UpdateLocationRequest {
                    session_id,
                    application: Some(s6a()),
                    auth_session_state: NO_STATE_MAINTAINED,
                    origin_host: c.host,
                    origin_realm: c.realm.clone(),
                    destination_host: None,
                    destination_realm: c.realm,
                    features: Vec::new(),
                    route: Vec::new(),
                    user_name: imsi.to_string(),
                    terminal: Some(TerminalInformation {
                        imei: Some(device.clone()),
                        software_version: Some("01".to_owned()),
                    }),
                    rat_type: 1004,
                    flags: ulr::S6A | ulr::INITIAL_ATTACH,
                    srvcc: Some(0),
                    visited_plmn: c.plmn.to_octets(),
                    sms_register: Some(1),
                },
            ),
            Order::Purge(imsi) => self.request(
                Some(*imsi),
                PurgeUeRequest {
                    session_id,
                    application: Some(s6a()),
                    auth_session_state: NO_STATE_MAINTAINED,
                    origin_host: c.host,
                    origin_realm: c.realm.clone(),
                    destination_host: None,
                    destination_realm: c.realm,
                    features: Vec::new(),
                    route: Vec::new(),
                    user_name: imsi.to_string(),
                    flags: None,
                },
            ),
            Order::Check(imsi, device) => self.request(
                Some(*imsi),
                MeIdentityCheckRequest {
                    session_id,
                    application: Some(of_3gpp(application::S13)),
                    auth_session_state: NO_STATE_MAINTAINED,
                    origin_host: c.host,
                    origin_realm: c.realm.clone(),
                    destination_host: None,
                    destination_realm: c.realm,
                    features: Vec::new(),
                    route: Vec::new(),
                    terminal: TerminalInformation {
                        imei: Some(device.clone()),
                        software_version: Some("01".to_owned()),
                    },
                    user_name: Some(imsi.to_string()),
                },
            ),
            Order::Raw(octets) => octets.clone(),
            Order::Close => return None,
        })
    }

    fn received(&mut self, octets: &[u8]) -> (Option<Vec<u8>>, Option<News>) {
        let Ok(pdu) = Pdu::parse(octets) else { return (None, None) };
        let imsi = self.sessions.remove(&pdu.hop_by_hop);
        let refused = |base: Option<u32>, e: &Option<Experimental>| {
            let code = base.or(e.as_ref().map(|e| e.code)).unwrap_or(0);
            // Of what was sent as it is nobody knows whom it is about.
            Some(imsi.map_or(News::Answer(code), |i| News::Refused(i, code)))
        };
        match &pdu.message {
            Message::CapabilitiesExchangeAnswer(a) => (None, Some(News::Up(a.result_code))),
            Message::AuthenticationInformationAnswer(a) => {
                let vector = a.vectors.as_ref().and_then(|v| v.eutran.first());
                let (Some(imsi), Some(v)) = (imsi, vector) else {
                    return (None, refused(a.result_code, &a.experimental));
                };
                let autn = Autn(v.autn);
                let said = self.cards.get_mut(&imsi).map(|card| card.authenticate(&Rand(v.rand), &autn));
                let good = matches!(said, Some(UsimAnswer::Success { res, ck, ik, .. })
                    if res.expose().as_slice() == v.xres && *kasme(&ck, &ik, self.config.plmn, &autn).expose() == v.kasme);
                (None, Some(News::Vector(imsi, good)))
            }
            Message::UpdateLocationAnswer(a) => match (imsi, &a.subscription) {
                (Some(imsi), Some(data)) if a.is_success() => {
                    (None, Some(News::Served(imsi, Box::new(data.clone()))))
                }
                _ => (None, refused(a.result_code, &a.experimental)),
            },
            Message::MeIdentityCheckAnswer(a) => match (imsi, a.status) {
                (Some(imsi), Some(status)) if a.is_success() => (None, Some(News::Checked(imsi, status))),
                _ => (None, refused(a.result_code, &a.experimental)),
            },
            Message::PurgeUeAnswer(a) => match imsi {
                Some(imsi) if a.is_success() => (None, Some(News::Purged(imsi))),
                _ => (None, refused(a.result_code, &a.experimental)),
            },
            Message::CancelLocationRequest(m) => {
                let news = m.user_name.parse().ok().map(|imsi| News::Cancelled(imsi, m.cancellation));
                (self.said(&pdu, true), news)
            }
            Message::InsertSubscriberDataRequest(m) => {
                let data = || Box::new(m.subscription.clone());
                (self.said(&pdu, true), m.user_name.parse().ok().map(|imsi| News::Inserted(imsi, data())))
            }
            Message::DeleteSubscriberDataRequest(m) => {
                let news = m.user_name.parse().ok().map(|imsi| News::Deleted(imsi, m.contexts.clone()));
                (self.said(&pdu, false), news)
            }
            Message::ResetRequest(_) => (self.said(&pdu, false), Some(News::Reset)),
            Message::Refusal { refusal, .. } => (None, Some(News::Answer(refusal.result_code))),
            _ => (self.name().base_answer(&pdu), None),
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

fn s6a() -> VendorApplication {
    of_3gpp(application::S6A)
}
