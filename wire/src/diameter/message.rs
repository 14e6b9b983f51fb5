//! Messages: application, command and direction give the type.

use super::avp::{self, Octets};
use super::{DiameterError, Header, Identity, application, base::*, gx::*, result, s6a::*};

macro_rules! messages {
    ($($app:ident $command:literal $request:ident $answer:ident,)*) => {
        /// What a message says. Those of a protocol hold a kilobyte at most, so they stand in boxes.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Message {
            $(
                #[doc = concat!("Request ", stringify!($command), ".")]
                $request(Box<$request>),
                #[doc = concat!("Answer ", stringify!($command), ".")]
                $answer(Box<$answer>),
            )*
            /// An answer that only says why not, to any request.
            Refusal {
                /// The request's application.
                application: u32,
                /// The request's command.
                command: u32,
                /// The E flag: what stands in the answer is the base protocol's, not the command's.
                error: bool,
                /// What it says.
                refusal: Box<Refusal>,
            },
            /// An answer to a command that is not read here.
            OtherAnswer {
                /// Its application.
                application: u32,
                /// Its command.
                command: u32,
            },
        }

        impl Message {
            /// Application, command and whether it is a request.
            pub fn kind(&self) -> (u32, u32, bool) {
                match self {
                    $(
                        Self::$request(_) => (application::$app, $command, true),
                        Self::$answer(_) => (application::$app, $command, false),
                    )*
                    Self::Refusal { application, command, .. } => (*application, *command, false),
                    Self::OtherAnswer { application, command } => (*application, *command, false),
                }
            }

            pub(crate) fn read(h: &Header, body: Octets<'_>) -> Result<Self, DiameterError> {
                if h.error {
                    let refusal = Box::new(Refusal::read_avps(body)?);
                    return Ok(Self::Refusal { error: true, application: h.application, command: h.command, refusal });
                }
                match (h.application, h.command, h.request) {
                    $(
                        (application::$app, $command, true) => {
                            $request::read_avps(body).map(|m| Self::$request(Box::new(m)))
                        }
                        (application::$app, $command, false) => $answer::read_avps(body)
                            .map(|m| Self::$answer(Box::new(m)))
                            .or_else(|e| Self::short_of(h, body, e)),
                    )*
                    (application, command, false) => Ok(Self::OtherAnswer { application, command }),
                    (application, ..) if [$(application::$app),*].contains(&application) => {
                        Err(DiameterError::header(result::COMMAND_UNSUPPORTED, "a command that is not served", 5, None))
                    }
                    _ => {
                        let what = "an application that is not served";
                        Err(DiameterError::header(result::APPLICATION_UNSUPPORTED, what, 8, None))
                    }
                }
            }

            pub(crate) fn write(&self, out: &mut Vec<u8>) {
                match self {
                    $(
                        Self::$request(m) => m.write_avps(out),
                        Self::$answer(m) => m.write_avps(out),
                    )*
                    Self::Refusal { refusal, .. } => refusal.write_avps(out),
                    Self::OtherAnswer { .. } => {}
                }
            }
        }

        $(
            impl From<$request> for Message {
                fn from(m: $request) -> Self {
                    Self::$request(Box::new(m))
                }
            }
            impl From<$answer> for Message {
                fn from(m: $answer) -> Self {
                    Self::$answer(Box::new(m))
                }
            }
        )*
    };
}

messages! {
    BASE 257 CapabilitiesExchangeRequest CapabilitiesExchangeAnswer,
    BASE 280 DeviceWatchdogRequest DeviceWatchdogAnswer,
    BASE 282 DisconnectPeerRequest DisconnectPeerAnswer,
    S6A 316 UpdateLocationRequest UpdateLocationAnswer,
    S6A 317 CancelLocationRequest CancelLocationAnswer,
    S6A 318 AuthenticationInformationRequest AuthenticationInformationAnswer,
    S6A 319 InsertSubscriberDataRequest InsertSubscriberDataAnswer,
    S6A 320 DeleteSubscriberDataRequest DeleteSubscriberDataAnswer,
    S6A 321 PurgeUeRequest PurgeUeAnswer,
    S6A 322 ResetRequest ResetAnswer,
    S6A 323 NotifyRequest NotifyAnswer,
    S13 324 MeIdentityCheckRequest MeIdentityCheckAnswer,
    GX 272 CreditControlRequest CreditControlAnswer,
    GX 258 ReAuthRequest ReAuthAnswer,
}

impl Message {
    /// An answer that says why not may lack AVPs that its command's answers have (RFC 6733 §7.2); what is there is whole.
    fn short_of(h: &Header, body: Octets<'_>, e: DiameterError) -> Result<Self, DiameterError> {
        let refusal = Refusal::read_avps(body).ok().filter(|r| e.what == avp::MISSING && !r.is_success());
        let refusal = Box::new(refusal.ok_or(e)?);
        Ok(Self::Refusal { error: false, application: h.application, command: h.command, refusal })
    }

    /// True for an answer that carries the E flag.
    pub fn is_protocol_error(&self) -> bool {
        matches!(self, Self::Refusal { error: true, .. })
    }
}

/// Between whom a request of an application goes, and of which session it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route<'a> {
    /// Session-Id.
    pub session_id: &'a str,
    /// Who sends it.
    pub origin_host: &'a Identity,
    /// Of which realm.
    pub origin_realm: &'a Identity,
    /// To whom, by name.
    pub destination_host: Option<&'a Identity>,
    /// To which realm.
    pub destination_realm: &'a Identity,
}

/// A name that must be there, or may.
trait Named {
    fn named(&self) -> Option<&Identity>;
}
impl Named for Identity {
    fn named(&self) -> Option<&Identity> {
        Some(self)
    }
}
impl Named for Option<Identity> {
    fn named(&self) -> Option<&Identity> {
        self.as_ref()
    }
}

macro_rules! applications {
    ($($request:ident $answer:ident,)*) => {
        impl Message {
            /// Between whom it goes; `None` for answers, and for requests of the base protocol.
            pub fn route(&self) -> Option<Route<'_>> {
                match self {
                    $(Self::$request(m) => Some(Route {
                        session_id: &m.session_id,
                        origin_host: &m.origin_host,
                        origin_realm: &m.origin_realm,
                        destination_host: m.destination_host.named(),
                        destination_realm: &m.destination_realm,
                    }),)*
                    _ => None,
                }
            }

            /// Session-Id of an application's answer, where it has one.
            pub fn answered_session(&self) -> Option<&str> {
                match self {
                    $(Self::$answer(m) => Some(&m.session_id),)*
                    Self::Refusal { refusal, .. } => refusal.session_id.as_deref(),
                    _ => None,
                }
            }
        }
    };
}

applications! {
    UpdateLocationRequest UpdateLocationAnswer,
    CancelLocationRequest CancelLocationAnswer,
    AuthenticationInformationRequest AuthenticationInformationAnswer,
    InsertSubscriberDataRequest InsertSubscriberDataAnswer,
    DeleteSubscriberDataRequest DeleteSubscriberDataAnswer,
    PurgeUeRequest PurgeUeAnswer,
    ResetRequest ResetAnswer,
    NotifyRequest NotifyAnswer,
    MeIdentityCheckRequest MeIdentityCheckAnswer,
    CreditControlRequest CreditControlAnswer,
    ReAuthRequest ReAuthAnswer,
}
