//! Where each context stands, in one word. The words are the columns of `docs/states.md`; a state that is added to the core
//! gets its word here, or this does not compile, and its column there, or the test of that table fails.
//!
//! For people's eyes there are the views of [`super::view`]: fewer states, those that matter to them.

use super::authentication::Expect;
use super::rekey::Rekey;
use super::serving::Telling;
use super::session::State;
use super::ue::{Conn, Mm, Phase, Radio, Reach};
use super::{Amf, AssocId};
use types::{PduSessionId, Supi};
use wire::ngap::AmfUeNgapId;

macro_rules! standings {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// All of them, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word of the table.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

standings!(
    /// An association with a gNB.
    GnbStanding {
        /// NG Setup has not come.
        Connected = "connected",
        /// NG Setup was accepted.
        SetUp = "set up",
        /// It was told of a change; AMF Configuration Update Acknowledge is awaited, or the end of the time that it asked for.
        Updating = "updating",
    }
);

standings!(
    /// A UE-associated connection: somebody unproved, or the UE context of a UE of ours.
    ConnStanding {
        /// Unproved; the identity is awaited (T3570).
        Identity = "identity",
        /// Unproved; the vector is awaited.
        Vector = "vector",
        /// Unproved; the answer to a challenge is awaited (T3560).
        Challenged = "challenged",
        /// Proved by its answer; Security Mode Complete is awaited (T3560).
        Securing = "securing",
        /// Secured; the device is awaited (T3570).
        Device = "device",
        /// A UE's, without a context at the gNB.
        Bare = "bare",
        /// A UE's; Initial Context Setup Response is awaited.
        ContextSetup = "context set-up",
        /// A UE's, with its context.
        Up = "up",
        /// A UE's, which has come from another gNB; the gateway switches.
        Switching = "switching",
        /// A UE's; UE Context Modification Response is awaited.
        Modifying = "modifying",
        /// A UE's, which is to go; the other gNB's answer is awaited.
        Preparing = "preparing",
        /// A UE's, which was sent to another gNB.
        Executing = "executing",
        /// At the gNB to which a UE was sent.
        Arriving = "arriving",
        /// Nobody's; UE Context Release Complete is awaited.
        Leaving = "leaving",
    }
);

standings!(
    /// A UE that has proved itself.
    UeStanding {
        /// New; its admission is awaited.
        Admitting = "admitting",
        /// Registered; its admission is awaited once more.
        Readmitting = "readmitting",
        /// Registration Complete is awaited (T3550).
        Accepted = "accepted",
        /// Registered and connected.
        Connected = "connected",
        /// The same; the vector for new keys is awaited.
        KeysVector = "keys: vector",
        /// The same; the answer to the challenge for new keys is awaited (T3560).
        KeysChallenged = "keys: challenged",
        /// The same; Security Mode Complete under the new keys is awaited (T3560).
        KeysSecuring = "keys: securing",
        /// The same; Configuration Update Complete is awaited (T3555).
        Configuring = "configuring",
        /// Registered, without a connection.
        Idle = "idle",
        /// The same, and being paged (T3513).
        Paged = "paged",
        /// The same; it did not come, and is left alone for a while.
        LeftAlone = "left alone",
        /// The same; the mobile reachable timer ran out.
        Unreachable = "unreachable",
        /// Deregistration Accept is awaited (T3522).
        Deregistering = "deregistering",
    }
);

standings!(
    /// A PDU session of a UE.
    SessionStanding {
        /// The address is awaited.
        Address = "address",
        /// The gateway is making it.
        Gateway = "gateway",
        /// The gNB's context is awaited.
        Radio = "radio",
        /// New; the gNB's resources are awaited.
        Resources = "resources",
        /// It has been up; the gNB's resources are awaited.
        ResourcesAgain = "resources again",
        /// New; the gateway is opening its downlink.
        Opening = "opening",
        /// It has been up; the gateway is opening its downlink.
        OpeningAgain = "opening again",
        /// Traffic may pass.
        Active = "active",
        /// It has no radio.
        Idle = "idle",
        /// It is up, with radio or without; PDU Session Modification Complete is awaited (T3591), the UE asked.
        ChangingForUe = "changing for its UE",
        /// The same; the network asked.
        Changing = "changing",
        /// PDU Session Release Complete is awaited (T3592); the UE asked.
        ReleasingForUe = "releasing for its UE",
        /// The same; the network asked.
        Releasing = "releasing",
    }
);

impl Amf {
    /// Where an association stands; `None` for one that there is not.
    pub fn gnb_standing(&self, assoc: AssocId) -> Option<GnbStanding> {
        let gnb = self.gnbs.get(&assoc)?;
        Some(match (&gnb.setup, gnb.telling) {
            (None, _) => GnbStanding::Connected,
            (Some(_), Telling::Done) => GnbStanding::SetUp,
            (Some(_), _) => GnbStanding::Updating,
        })
    }

    /// Where a connection stands; `None` for one that there is not.
    pub fn conn_standing(&self, assoc: AssocId, id: AmfUeNgapId) -> Option<ConnStanding> {
        let conn = self.registry.conn_of(assoc, id)?;
        Some(match &conn.phase {
            Phase::Attempt(attempt) => match attempt.expect {
                Expect::Identity { .. } => ConnStanding::Identity,
                Expect::Vector { .. } => ConnStanding::Vector,
                Expect::AuthResponse { .. } => ConnStanding::Challenged,
                Expect::SecurityModeComplete { .. } => ConnStanding::Securing,
                Expect::Device { .. } => ConnStanding::Device,
            },
            Phase::Ue(supi) => self.radio_standing(conn, *supi),
            Phase::Arriving(_) => ConnStanding::Arriving,
            Phase::Leaving => ConnStanding::Leaving,
        })
    }

    fn radio_standing(&self, conn: &Conn, supi: Supi) -> ConnStanding {
        let handover = self.registry.ue(supi).and_then(|ue| ue.handover.as_ref());
        match (conn.radio, handover) {
            (Radio::Bare, _) => ConnStanding::Bare,
            (Radio::ExpectSetup, _) => ConnStanding::ContextSetup,
            (Radio::Up, Some(h)) if h.was_answered() => ConnStanding::Executing,
            (Radio::Up, Some(_)) => ConnStanding::Preparing,
            (Radio::Up, None) if conn.switching.is_some() => ConnStanding::Switching,
            (Radio::Up, None) if conn.new_chain.is_some() => ConnStanding::Modifying,
            (Radio::Up, None) => ConnStanding::Up,
        }
    }

    /// Where a UE stands; `None` for one that has not proved itself or is gone.
    pub fn ue_standing(&self, supi: Supi) -> Option<UeStanding> {
        let ue = self.registry.ue(supi)?;
        Some(match (&ue.mm, ue.conn, ue.reach) {
            (Mm::ExpectLocated { registered: false, .. }, ..) => UeStanding::Admitting,
            (Mm::ExpectLocated { registered: true, .. }, ..) => UeStanding::Readmitting,
            (Mm::ExpectRegistrationComplete { .. }, ..) => UeStanding::Accepted,
            (Mm::ExpectDeregistrationAccept { .. }, ..) => UeStanding::Deregistering,
            (Mm::Registered, None, Reach::Listens) => UeStanding::Idle,
            (Mm::Registered, None, Reach::Paged { .. }) => UeStanding::Paged,
            (Mm::Registered, None, Reach::LeftAlone) => UeStanding::LeftAlone,
            (Mm::Registered, None, Reach::Gone) => UeStanding::Unreachable,
            (Mm::Registered, Some(_), _) => match ue.rekey.as_deref() {
                Some(Rekey::Vector { .. }) => UeStanding::KeysVector,
                Some(Rekey::AuthResponse { .. }) => UeStanding::KeysChallenged,
                Some(Rekey::SecurityModeComplete { .. }) => UeStanding::KeysSecuring,
                None if ue.configuring.is_some() => UeStanding::Configuring,
                None => UeStanding::Connected,
            },
        })
    }

    /// Where a PDU session stands; `None` for one that there is not.
    pub fn session_standing(&self, supi: Supi, id: PduSessionId) -> Option<SessionStanding> {
        let s = self.session(supi, id)?;
        if let Some(c) = s.changing.as_ref() {
            return Some(if c.is_of(0) { SessionStanding::Changing } else { SessionStanding::ChangingForUe });
        }
        Some(match (&s.state, s.announced) {
            (State::ExpectAddress { .. }, _) => SessionStanding::Address,
            (State::ExpectN4Established, _) => SessionStanding::Gateway,
            (State::ExpectRadio, _) => SessionStanding::Radio,
            (State::ExpectResources, false) => SessionStanding::Resources,
            (State::ExpectResources, true) => SessionStanding::ResourcesAgain,
            (State::ExpectN4Forwarding, false) => SessionStanding::Opening,
            (State::ExpectN4Forwarding, true) => SessionStanding::OpeningAgain,
            (State::Active, _) => SessionStanding::Active,
            (State::Idle, _) => SessionStanding::Idle,
            (State::ExpectReleaseComplete { pti: 0, .. }, _) => SessionStanding::Releasing,
            (State::ExpectReleaseComplete { .. }, _) => SessionStanding::ReleasingForUe,
        })
    }
}
