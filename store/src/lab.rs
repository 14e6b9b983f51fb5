//! What tests and benches of every room above need: a SIM that is right in every part, and a PostgreSQL of their own.
//! Only where the `lab` feature is on, which no package has.

mod bare;
mod cluster;

pub use bare::{Bare, Question};
pub use cluster::database as postgres;

use crate::{SimLinks, SimRow, SqnRow};
use types::{Imsi, SimState, Utc};

/// A SIM in state `ready` with a sealed key of no meaning, in no group and with no data network.
pub fn sim(imsi: Imsi) -> SimRow {
    SimRow {
        imsi,
        iccid: None,
        label: String::new(),
        state: SimState::Ready,
        sealed: Some(vec![1; 40]),
        fingerprint: Some(imsi.to_string().into_bytes()),
        algorithm: "milenage".to_owned(),
        sqn: SqnRow {
            mode: "time".to_owned(),
            ind_bits: 5,
            node_bits: 2,
            delta: 1 << 28,
            max_ahead: 6_000,
            offset: 0,
            ceiling: 0,
            resyncs: 0,
        },
        dnns: Vec::new(),
        slices: Vec::new(),
        static_ips: Default::default(),
        groups: Default::default(),
        ambr_ul_bps: 1_000,
        ambr_dl_bps: 1_000,
        device: None,
        links: SimLinks::default(),
        version: 0,
        created: Utc(0),
        changed: Utc(0),
        last_seen: None,
    }
}
