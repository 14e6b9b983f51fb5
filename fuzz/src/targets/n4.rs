//! The PFCP node over UDP: a foreign SMF that says anything, strangers, time, and one shard behind it.
//!
//! An input is a row of records: two bits of kind, fourteen bits of length, octets.
//!
//! | kind | octets |
//! | --- | --- |
//! | 0 | a datagram of the SMF; the session's SEID is put in where there is one |
//! | 1 | a datagram of the SMF as it stands |
//! | 2 | a datagram of a stranger |
//! | 3 | time passes: as many tenths of a second as the first octet says |
//!
//! What must hold whatever comes: a stranger gets no answer; whatever we send can be read; a session is of a SIM and an
//! address that were granted, and there are no more of them than there may be; and behind the ban of the SIM none is made.

use super::Answer;
use pgw_policy::{
    batch::ShardId,
    n4::{N4, N4Config, N4Output, Peer},
    shard::{Limits, Shard, ShardConfig},
};
use std::net::{IpAddr, Ipv4Addr};
use types::{ForeignGrant, ForeignRefusal, Imsi, Now, UeIp};
use wire::pfcp::*;

const OURS: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 1);
const SMF: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 4);
const STRANGER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);
const UE: Ipv4Addr = Ipv4Addr::new(10, 45, 0, 2);
const MOST_OUTPUTS: usize = 8_192;
const MOST_SESSIONS: usize = 4;

fn imsi() -> Option<Imsi> {
    "999700000000001".parse().ok()
}

fn record(kind: u16, octets: &[u8]) -> Vec<u8> {
    let head = (kind << 14 | (octets.len() as u16 & 0x3fff)).to_be_bytes();
    [&head, octets].concat()
}

/// What another core's SMF said, alone and in a row, and the reports' answers.
pub fn seeds() -> Vec<Vec<u8>> {
    let said: Vec<Vec<u8>> = crate::corpus::load("pfcp", "pfcp");
    let requests = |m: &&Vec<u8>| matches!(m.get(1), Some(1 | 2 | 5 | 9 | 50 | 52 | 54 | 57));
    let mut seeds: Vec<Vec<u8>> =
        said.iter().filter(requests).map(|m| [record(0, m), record(3, &[40])].concat()).collect();
    seeds.push(said.iter().filter(requests).flat_map(|m| record(0, m)).collect());
    seeds.push(said.iter().filter(requests).flat_map(|m| record(2, m)).collect());
    let query = SessionModificationRequest {
        query_urrs: vec![QueryUrr { urr_id: UrrId(1), others: Vec::new() }],
        ..Default::default()
    };
    let query = Pdu { seid: Some(1), sequence: 9, message: query.into() }.encode();
    seeds.push([record(0, &query), record(3, &[255]), record(0, &query)].concat());
    seeds.extend(crate::corpus::load("n4", "n4"));
    seeds
}

struct Site {
    n4: N4,
    shard: Shard,
    now: Now,
    seid: u64,
    banned: bool,
    made: usize,
    outputs: usize,
}

/// Runs the records behind an association and a session, bans the SIM, and runs them again.
pub fn run(input: &[u8]) -> Answer {
    let Some(mut site) = Site::new() else { return Answer::Broken("no session comes up".to_owned()) };
    let mut result = site.records(input);
    // Answers by their order of magnitude: what brings forth more of them is worth keeping.
    let answers = site.outputs.checked_ilog2().unwrap_or(0);
    let (sessions, made) = (site.n4.session_count().min(9), site.made.min(9));
    let story = format!("{sessions} sessions, {made} made, 2^{answers} answers");
    if let Some(imsi) = imsi() {
        site.n4.revoke(imsi, true);
    }
    (site.banned, site.made) = (true, 0);
    result = result.and_then(|()| site.records(input));
    match result {
        Ok(()) => Answer::Lived(story),
        Err(what) => Answer::Broken(what),
    }
}

impl Site {
    fn new() -> Option<Self> {
        let now = Now::default().plus_ms(1_000_000);
        let config = N4Config {
            node: OURS.into(),
            n3: OURS.into(),
            peers: vec![SMF.into()],
            radios: ["0.0.0.0/0"].iter().filter_map(|n| n.parse().ok()).collect(),
            shards: 1,
            max_sessions: MOST_SESSIONS,
        };
        let limits = Limits { sessions: MOST_SESSIONS, flows: 16, ..Limits::default() };
        let shard = ShardConfig { id: ShardId(0), shards: 1, n3: OURS.into(), limits };
        let (n4, shard) = (N4::new(config, now, [3; 32]), Shard::new(shard, [4; 32]));
        let mut site = Self { n4, shard, now, seid: 0, banned: false, made: 0, outputs: 0 };
        for m in crate::corpus::load("pfcp", "pfcp").iter().filter(|m| matches!(m.get(1), Some(5 | 50))) {
            site.n4.handle(Peer::Udp(SMF.into()), m, now);
            site.outputs(Peer::Udp(SMF.into())).ok()?;
        }
        Some(site)
    }

    fn records(&mut self, mut rest: &[u8]) -> Result<(), String> {
        for _ in 0..64 {
            let Some((head, body)) = rest.split_first_chunk::<2>() else { break };
            let head = u16::from_be_bytes(*head);
            let (octets, behind) = body.split_at(usize::from(head & 0x3fff).min(body.len()));
            rest = behind;
            self.now = self.now.plus_ms(10);
            let mut octets = octets.to_vec();
            let peer = Peer::Udp(IpAddr::V4(if head >> 14 == 2 { STRANGER } else { SMF }));
            match head >> 14 {
                0 => {
                    if octets.first().is_some_and(|f| f & 1 != 0)
                        && octets.get(1) != Some(&50)
                        && let Some(seid) = octets.get_mut(4..12)
                    {
                        seid.copy_from_slice(&self.seid.to_be_bytes());
                    }
                    self.n4.handle(peer, &octets, self.now);
                }
                3 => {
                    self.now = self.now.plus_ms(100 * u64::from(octets.first().copied().unwrap_or(1)));
                    self.n4.handle_timeout(self.now);
                }
                _ => self.n4.handle(peer, &octets, self.now),
            }
            self.outputs(peer)?;
        }
        Ok(())
    }

    fn outputs(&mut self, asked: Peer) -> Result<(), String> {
        while let Some(o) = self.n4.poll_output() {
            self.outputs += 1;
            if self.outputs > MOST_OUTPUTS {
                return Err("the node talks without an end".to_owned());
            }
            match o {
                N4Output::Send { peer, bytes, .. } => {
                    if peer == Peer::Udp(STRANGER.into()) || asked == Peer::Udp(STRANGER.into()) {
                        return Err("a stranger is answered".to_owned());
                    }
                    Pdu::parse(&bytes).map_err(|e| format!("the node's own message cannot be read: {e}"))?;
                }
                N4Output::Command { token, command, .. } => {
                    let reply = self.shard.command(command, self.now);
                    self.n4.confirmed(token, reply, self.now);
                }
                N4Output::Ask(ask) => {
                    let ours = imsi() == Some(ask.imsi) && ask.ip.is_none_or(|ip| ip == UeIp(UE));
                    let grant = ForeignGrant { ip: UeIp(UE), prefix: None };
                    let answer = if ours { Ok(grant) } else { Err(ForeignRefusal::UnknownSim) };
                    self.n4.answered(ask.id, answer, self.now);
                }
                N4Output::Foreign { session, up: true } => {
                    self.made += 1;
                    self.seid = session.up_seid.0;
                    if self.banned {
                        return Err("a session of a banned SIM".to_owned());
                    }
                    if imsi() != Some(session.imsi) || session.ip != UeIp(UE) || session.prefix.is_some() {
                        return Err("a session that was not granted".to_owned());
                    }
                }
                N4Output::Foreign { up: false, .. } | N4Output::Smf { .. } => {}
            }
            if self.n4.session_count() > MOST_SESSIONS {
                return Err("too many sessions".to_owned());
            }
        }
        Ok(())
    }
}
