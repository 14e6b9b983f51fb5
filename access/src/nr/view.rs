//! What people and other rooms may see of the core: plain values, made on request.

use super::AssocId;
use serde::Serialize;
use std::net::IpAddr;
use types::{Dnn, FgGuti, GatewaySession, PduSessionId, Pei, Plmn, Snssai, Supi, Tac, Tai, Teid, UeIp};

/// Where a registered UE is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum UeState {
    /// Authenticated and secured; `hss` is asked whether it may live.
    Admitting,
    /// Registration Accept is out, Registration Complete is awaited.
    Accepted,
    /// Registered, with a signalling connection (CM-CONNECTED).
    Connected,
    /// Registered, without one (CM-IDLE).
    Idle,
    /// Deregistration Request is out (to the UE); nothing of it is up any more.
    Deregistering,
}

/// Where a PDU session is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionPhase {
    /// Being made: no traffic yet.
    Establishing,
    /// Traffic may pass as the rules say.
    Active,
    /// Kept, but the UE has no radio: downlink packets wait in the gateway, and the UE is paged.
    Idle,
    /// Found in the gateway after a restart of the control process; its UE has not spoken yet.
    Adopted,
    /// Gone in the gateway; the UE is being told.
    Releasing,
}

/// One PDU session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SessionView {
    /// Which of the UE's sessions.
    pub id: PduSessionId,
    /// Data network.
    pub dnn: Dnn,
    /// Slice; `None` where only the gateway knew it.
    pub snssai: Option<Snssai>,
    /// The UE's address, once it has one.
    pub ip: Option<UeIp>,
    /// Our uplink tunnel endpoint, once the gateway chose it.
    pub teid: Option<Teid>,
    /// Where it stands.
    pub phase: SessionPhase,
}

impl SessionView {
    /// A session of which only the gateway knows.
    pub(super) fn adopted(g: &GatewaySession) -> Self {
        Self {
            id: g.pdu_session_id,
            dnn: g.dnn.clone(),
            snssai: None,
            ip: Some(g.ip),
            teid: Some(g.teid),
            phase: SessionPhase::Adopted,
        }
    }
}

/// One registered UE.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UeView {
    /// Who.
    pub supi: Supi,
    /// Where it stands.
    pub state: UeState,
    /// Its temporary identity; none for a UE of which only sessions are known.
    pub guti: Option<FgGuti>,
    /// Its device, where it said.
    pub pei: Option<Pei>,
    /// Name of the gNB that serves it, where connected.
    pub gnb: Option<String>,
    /// Where it was last.
    pub tai: Option<Tai>,
    /// NR cell identity where it was last, 36 bits.
    pub cell: Option<u64>,
    /// Its sessions, by id.
    pub sessions: Vec<SessionView>,
}

impl UeView {
    /// A UE of which only `sessions` are known, those that were found in the gateway; `None` where there are none.
    pub(super) fn adopted<'a>(
        supi: Supi,
        sessions: impl Iterator<Item = &'a GatewaySession>,
    ) -> Option<Self> {
        let sessions: Vec<_> = sessions.map(SessionView::adopted).collect();
        let view = Self {
            supi,
            state: UeState::Idle,
            guti: None,
            pei: None,
            gnb: None,
            tai: None,
            cell: None,
            sessions,
        };
        (!view.sessions.is_empty()).then_some(view)
    }
}

/// One gNB that has completed NG Setup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GnbView {
    /// Its association.
    pub assoc: AssocId,
    /// Its N2 address.
    pub peer: IpAddr,
    /// Its name, as it said it; its identity where it said none.
    pub name: String,
    /// PLMN of its global identity.
    pub plmn: Plmn,
    /// gNB identity, 22–32 bits.
    pub id: u32,
    /// The tracking areas that it serves and that are ours.
    pub tacs: Vec<Tac>,
    /// UE contexts on it.
    pub ues: usize,
}

/// Counters since start. All rise only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Messages that were answered with silence or an error, by reason.
    pub refused: std::collections::BTreeMap<&'static str, u64>,
    /// Times that a UE was paged.
    pub pages: u64,
    /// Times that the keys of a registered UE were renewed.
    pub rekeyed: u64,
    /// Registrations accepted.
    pub registrations: u64,
    /// PDU sessions that came up.
    pub sessions: u64,
}
