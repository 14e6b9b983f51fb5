//! 5GS NAS: round trips, an independent encoder, and bad input. Here is what they share.

mod bad;
mod chance;
mod right;
mod samples;

use super::*;
use crate::nas::security::{Nea, Nia};
use proptest::prelude::*;
use samples::{registration, samples, session_samples};
use std::net::{IpAddr, Ipv4Addr};
use types::{
    AmfId, Autn, Auts, FgGuti, FgTmsi, FgmmCause, FgsmCause, PduSessionId, Pei, Plmn, Rand, Res, Snssai,
    Suci, SuciScheme, Tac, Tai,
};

const PYCRATE: &str = include_str!("../../../../fixtures/nas/pycrate.tsv");

fn hex(s: &str) -> Vec<u8> {
    (0..s.len()).step_by(2).map(|i| u8::from_str_radix(&s[i..i + 2], 16).unwrap()).collect()
}

fn plmn() -> Plmn {
    Plmn::new("001", "01").unwrap()
}

fn id(v: u8) -> PduSessionId {
    PduSessionId::try_from(v).unwrap()
}

fn tai(p: Plmn, t: u32) -> Tai {
    Tai { plmn: p, tac: Tac::try_from(t).unwrap() }
}

fn guti() -> FgGuti {
    FgGuti { plmn: plmn(), amf: AmfId { region: 0xca, set: 1023, pointer: 63 }, tmsi: FgTmsi(0xdead_beef) }
}

fn suci(msin: &str) -> MobileIdentity {
    MobileIdentity::Suci(Suci {
        home: plmn(),
        routing_indicator: "0".into(),
        scheme: SuciScheme::Null,
        key_id: 0,
        output: msin.into(),
    })
}

fn set(ids: &[u8]) -> SessionSet {
    ids.iter().map(|i| id(*i)).collect()
}
