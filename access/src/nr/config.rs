//! What the core is told at its birth: the network it is, the algorithms it likes, its bounds.

use jiff::tz::TimeZone;
use std::net::{IpAddr, Ipv4Addr};
use types::{AmfId, Plmn, Snssai, Tac};
use wire::nas::security::{Nea, Nia};

/// Configuration of the access and mobility function with its session management part.
#[derive(Debug, Clone)]
pub struct AmfConfig {
    /// AMF Name of NG Setup Response (TS 38.413 §9.3.3.21).
    pub name: String,
    /// What UEs show as the network's name; they are told none without it.
    pub display_name: Option<String>,
    /// Whose clocks UEs are told; they are told no time without it.
    pub time_zone: Option<TimeZone>,
    /// The one PLMN that we serve.
    pub plmn: Plmn,
    /// Region, set and pointer.
    pub amf: AmfId,
    /// Tracking areas that we serve; also the registration area of each UE (at most 16 are told).
    pub tacs: Vec<Tac>,
    /// Slices that we serve (at most 8 are told).
    pub slices: Vec<Snssai>,
    /// Integrity algorithms, the best first. NIA0 is never chosen, even if it stands here.
    pub integrity: Vec<Nia>,
    /// Ciphering algorithms, the best first. NEA0 is chosen only if it stands here.
    pub ciphering: Vec<Nea>,
    /// Relative AMF Capacity of NG Setup Response.
    pub relative_capacity: u8,
    /// Node ID and F-SEID address of our session management function towards the gateway.
    pub cp_address: Ipv4Addr,
    /// N3 address of the gateway, for sessions that a UE still holds after we were restarted; without it they
    /// end and the UE makes them anew. Of sessions that we make the gateway says it itself.
    pub n3_address: Option<IpAddr>,
    /// Bounds.
    pub limits: Limits,
    /// How old a key set may become before a connected UE is authenticated anew, seconds; 0 for as old as it likes.
    pub key_life_s: u32,
    /// T3512, periodic registration update, seconds. Use a value that a GPRS timer 3 has (so many times 2 s,
    /// 30 s, 1 min, 10 min, 1 h, 10 h, up to 31): another one is told rounded up.
    pub t3512_s: u32,
}

/// Bounds on what outsiders can make us hold (each is "at most").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Associations, set up or not.
    pub gnbs: usize,
    /// UE contexts on one gNB. A central unit with the cells of a whole plant is one gNB.
    pub ues_per_gnb: usize,
    /// Attempts that are not authenticated yet, over all gNBs; the oldest is dropped for a new one.
    pub pending: usize,
    /// Registered UEs.
    pub ues: usize,
    /// PDU sessions of one UE (the identity allows 15).
    pub sessions_per_ue: usize,
    /// PFCP requests in flight.
    pub n4_requests: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            gnbs: 256,
            ues_per_gnb: 16_384,
            pending: 1_024,
            ues: 200_000,
            sessions_per_ue: 15,
            n4_requests: 65_536,
        }
    }
}

impl AmfConfig {
    /// A configuration with one tracking area and one slice, NIA2 and NEA2 first and the usual bounds.
    pub fn new(plmn: Plmn, tac: Tac, slice: Snssai) -> Self {
        Self {
            name: "sekisho".to_owned(),
            display_name: None,
            time_zone: None,
            plmn,
            amf: AmfId { region: 1, set: 1, pointer: 0 },
            tacs: vec![tac],
            slices: vec![slice],
            integrity: vec![Nia::Nia2, Nia::Nia1, Nia::Nia3],
            ciphering: vec![Nea::Nea2, Nea::Nea1, Nea::Nea3],
            relative_capacity: 255,
            cp_address: Ipv4Addr::LOCALHOST,
            n3_address: None,
            limits: Limits::default(),
            key_life_s: 86_400,
            t3512_s: 3_600,
        }
    }
}
