//! A recorded flow as `GET /api/v1/flows` and `sekisho flows -o json` write it, read back: as much of it as a replay needs.

use crate::check::Time;
use serde::{Deserialize, Deserializer};
use std::net::{IpAddr, Ipv4Addr};
use types::{Direction, FlowRecord, Imsi, Name, Reason, ServerName, Utc, Verdict};

/// It.
#[derive(Debug, Clone, Deserialize)]
pub struct RecordedFlow {
    #[serde(deserialize_with = "moment")]
    start: Utc,
    imsi: Imsi,
    direction: Direction,
    #[serde(default)]
    ue_port: u16,
    peer: IpAddr,
    #[serde(default)]
    peer_port: u16,
    protocol: u8,
    #[serde(default)]
    app: Option<Name>,
    #[serde(default)]
    rule: Option<Name>,
    verdict: Verdict,
    reason: Reason,
    #[serde(default)]
    name: Option<ServerName>,
}

fn moment<'de, D: Deserializer<'de>>(d: D) -> Result<Utc, D::Error> {
    let text = String::deserialize(d)?;
    text.parse::<Time>().map(|t| t.0).map_err(serde::de::Error::custom)
}

impl From<RecordedFlow> for FlowRecord {
    fn from(r: RecordedFlow) -> Self {
        Self {
            start: r.start,
            end: r.start,
            imsi: r.imsi,
            direction: r.direction,
            ue: Ipv4Addr::UNSPECIFIED.into(),
            ue_port: r.ue_port,
            peer: r.peer,
            peer_port: r.peer_port,
            protocol: r.protocol,
            app: r.app,
            rule: r.rule,
            verdict: r.verdict,
            reason: r.reason,
            generation: 0,
            packets_up: 0,
            bytes_up: 0,
            packets_down: 0,
            bytes_down: 0,
            name: r.name,
            would: None,
        }
    }
}
