//! The subscription as an MME reads it, results, and the answers' common parts.

use super::{Addresses, Ask, Output, S6a};
use crate::{bearer, diameter};
use sim_auth::EpsVector;
use std::net::IpAddr;
use types::{Refusal, RefusalReason, Subscription};
use wire::diameter::{
    Address, AggregateRate, Apn, ApnProfile, AuthenticationInformationAnswer, EutranVector, Experimental,
    Message, NO_STATE_MAINTAINED, NotifyAnswer, PurgeUeAnswer, SEPARATION, SubscriptionData, TGPP,
    UpdateLocationAnswer, Vectors, VendorApplication, application, result,
};

/// Radio technologies of an MME (TS 29.212 §5.3.31): E-UTRAN, NB-IoT, LTE-M.
pub(super) const EUTRAN: [u32; 3] = [1004, 1005, 1008];

/// Result of the base protocol, and of 3GPP: one of them.
pub(super) type Results = (Option<u32>, Option<Experimental>);

pub(super) const SUCCESS: Results = (Some(result::SUCCESS), None);

/// PDN-Type: IPv4, IPv6, both.
const PDN_TYPE: [u32; 3] = [0, 1, 2];
/// Network-Access-Mode: packets only.
const ONLY_PACKET: u32 = 2;
const SERVICE_GRANTED: u32 = 0;
const ALL_INCLUDED: u32 = 0;

pub(super) fn application() -> VendorApplication {
    VendorApplication { vendor_id: TGPP, auth: Some(application::S6A), acct: None }
}

/// What the MME is told of a refusal (§7.4); it tells the UE by Annex A of TS 29.272: unknown is EMM cause #8, which lasts until
/// the card is taken out or the UE is switched off; what may change is unavailable data (#17, the UE tries again).
pub(super) fn results(refusal: &Refusal) -> Results {
    let experimental = |code| (None, Some(Experimental::tgpp(code)));
    match refusal.reason {
        RefusalReason::UnknownSim | RefusalReason::Lost | RefusalReason::Stolen | RefusalReason::Retired => {
            experimental(result::USER_UNKNOWN)
        }
        RefusalReason::DeviceMismatch | RefusalReason::NoDevice | RefusalReason::EquipmentBlack => {
            (Some(result::AUTHORIZATION_REJECTED), None)
        }
        RefusalReason::NotServedHere => experimental(result::ROAMING_NOT_ALLOWED),
        _ => experimental(result::AUTHENTICATION_DATA_UNAVAILABLE),
    }
}

/// Subscription-Data, whole: an MME refuses a part.
pub(super) fn subscription(s: &Subscription, addresses: &[Addresses]) -> SubscriptionData {
    let (ul, dl) = bearer::ambr(s);
    let ambr = AggregateRate { ul, dl };
    let apns = (1..).zip(&s.dnns).map(|(context, dnn)| {
        let own: Vec<IpAddr> =
            addresses.iter().filter(|a| a.dnn == *dnn).flat_map(|a| a.own.iter().copied()).collect();
        let [v4, v6, both] = PDN_TYPE;
        let pdn_type = match (own.iter().any(IpAddr::is_ipv4), own.iter().any(IpAddr::is_ipv6)) {
            (true, true) => both,
            (false, true) => v6,
            _ => v4,
        };
        Apn {
            context,
            addresses: own.into_iter().map(Address::Ip).collect(),
            pdn_type,
            name: dnn.to_string(),
            qos: Some(bearer::qos()),
            ambr: Some(ambr.clone()),
        }
    });
    SubscriptionData {
        status: Some(SERVICE_GRANTED),
        msisdn: None,
        access_mode: Some(ONLY_PACKET),
        access_restriction: None,
        ambr: Some(ambr.clone()),
        profile: Some(ApnProfile { context: 1, all_included: ALL_INCLUDED, apns: apns.collect() }),
        periodic_timer: None,
    }
}

fn vectors(all: &[EpsVector]) -> Vectors {
    let one = |(n, v): (u32, &EpsVector)| EutranVector {
        item: (all.len() > 1).then_some(n),
        rand: v.rand.0,
        xres: v.xres.expose().to_vec(),
        autn: v.autn.0,
        kasme: *v.kasme.expose(),
    };
    Vectors { eutran: (1..).zip(all).map(one).collect() }
}

/// An answer of S6a, with these results and the fields of its own.
macro_rules! answer {
    ($face:expr, $name:ident, $session:expr, $results:expr, { $($field:ident: $value:expr,)* }) => {{
        let (result_code, experimental) = $results;
        Message::from($name {
            session_id: $session.to_owned(),
            application: Some(application()),
            result_code,
            experimental,
            auth_session_state: Some(NO_STATE_MAINTAINED),
            origin_host: $face.config.host.clone(),
            origin_realm: $face.config.realm.clone(),
            features: Vec::new(),
            error_message: None,
            failed_avp: None,
            $($field: $value,)*
        })
    }};
}

/// A request of S6a to an MME, with the fields of its own; `None` where that is not listed any more.
macro_rules! request {
    ($face:expr, $name:ident, $mme:expr, { $($field:ident: $value:expr,)* }) => {
        $face.session_with($mme).map(|(session_id, realm)| wire::diameter::Message::from($name {
            session_id,
            application: Some($crate::s6a::profile::application()),
            auth_session_state: NO_STATE_MAINTAINED,
            origin_host: $face.config.host.clone(),
            origin_realm: $face.config.realm.clone(),
            destination_host: $mme.clone(),
            destination_realm: realm,
            features: Vec::new(),
            route: Vec::new(),
            $($field: $value,)*
        }))
    };
}
pub(super) use request;

impl S6a {
    pub(super) fn aia(&self, session: &str, results: Results, all: Option<&[EpsVector]>) -> Message {
        answer!(self, AuthenticationInformationAnswer, session, results, { vectors: all.map(vectors), })
    }

    pub(super) fn ula(&self, session: &str, results: Results, data: Option<SubscriptionData>) -> Message {
        answer!(self, UpdateLocationAnswer, session, results, { flags: Some(SEPARATION), subscription: data, })
    }

    pub(super) fn pua(&self, session: &str, results: Results, freeze: bool) -> Message {
        answer!(self, PurgeUeAnswer, session, results, { flags: freeze.then_some(1), })
    }

    fn noa(&self, session: &str, results: Results) -> Message {
        answer!(self, NotifyAnswer, session, results, {})
    }

    pub(super) fn answer_with(&mut self, ask: &Ask, results: Results) {
        self.reply(ask.id, ask.command, &ask.session, results);
    }

    /// The answer to a command, with nothing but its result.
    pub(super) fn reply(&mut self, id: u64, command: u32, session: &str, results: Results) {
        let message = match command {
            318 => self.aia(session, results, None),
            316 => {
                answer!(self, UpdateLocationAnswer, session, results, { flags: None, subscription: None, })
            }
            321 => self.pua(session, results, false),
            _ => self.noa(session, results),
        };
        self.outputs.push_back(Output::Answer { id, message });
    }

    /// A request that goes the other way, or comes from nobody.
    pub(super) fn not_for_us(&mut self, id: u64, message: &Message, result_code: u32) {
        let c = &self.config;
        let message = diameter::refusal(&c.host, &c.realm, message, result_code);
        self.outputs.push_back(Output::Answer { id, message });
    }
}
