//! NGAP against an independent encoder, against a captured registration, and against bad input. Here is what they share.

mod bad;
mod chance;
mod right;
mod samples;

use super::transfer::{Arp, QosFlowSetup, ReleaseCommand, SessionType, TransferError, Tunnel};
use super::*;
use oxirush_ngap::ngap as ox;
use proptest::prelude::*;
use samples::samples;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use types::{AmfId, FgTmsi, Key256, PduSessionId, Plmn, Snssai, Tac, Tai, Teid};

const PYCRATE: &str = include_str!("../../../fixtures/ngap/pycrate.tsv");
const CAPTURED: &str = include_str!("../../../fixtures/ngap/captured.tsv");

fn hex(s: &str) -> Vec<u8> {
    (0..s.len()).step_by(2).map(|i| u8::from_str_radix(&s[i..i + 2], 16).unwrap()).collect()
}

fn vector(name: &str) -> Vec<u8> {
    let line = PYCRATE.lines().find(|l| l.starts_with(&format!("{name}\t"))).unwrap();
    hex(line.split('\t').nth(1).unwrap())
}

/// Direction and octets, in order.
fn captured() -> Vec<(bool, Vec<u8>)> {
    CAPTURED
        .lines()
        .map(|l| {
            let mut f = l.split('\t');
            (f.next() == Some("up"), hex(f.nth(1).unwrap()))
        })
        .collect()
}

fn test_plmn() -> Plmn {
    Plmn::new("001", "01").unwrap()
}

fn tac(v: u32) -> Tac {
    Tac::try_from(v).unwrap()
}

fn location(plmn: Plmn) -> UserLocation {
    UserLocation {
        cell: NrCgi { plmn, cell: 0x1_2345_6001 },
        tai: Tai { plmn, tac: tac(1) },
        time_stamp: Some([1, 2, 3, 4]),
    }
}

const REGISTRATION: &str = "7e004179000d0100f1100000000000000010022e08a020000000000000";

fn slice(sst: u8, sd: Option<u32>) -> Snssai {
    let three = |v: u32| {
        let [_, a, b, c] = v.to_be_bytes();
        [a, b, c]
    };
    Snssai { sst, sd: sd.map(three) }
}

fn id(v: u8) -> PduSessionId {
    PduSessionId::try_from(v).unwrap()
}

fn amf(v: u64) -> AmfUeNgapId {
    AmfUeNgapId::new(v).unwrap()
}

fn setup_request() -> transfer::SetupRequest {
    transfer::SetupRequest {
        ambr: Some(Ambr { dl_bps: 1_000_000_000, ul_bps: 500_000_000 }),
        uplink: Tunnel::new(Ipv4Addr::new(10, 0, 0, 1), Teid::new(0x11).unwrap()),
        session_type: SessionType::Ipv4,
        flows: vec![QosFlowSetup {
            qfi: 1,
            five_qi: 9,
            arp: Arp { priority: 8, may_preempt: false, preemptable: false },
        }],
    }
}
