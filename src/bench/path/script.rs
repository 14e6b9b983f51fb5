//! What a control plane says before a load runs, in PFCP: one script for whoever stands at the gate. The sessions are
//! written as our own SMF writes them.

use super::{GATE, RADIO, teid_of, ue_of};
use access::nr::Establishment;
use anyhow::{Context, Result, ensure};
use std::net::Ipv4Addr;
use types::{PduSessionId, Seid, Snssai, Supi, Teid, UeIp};
use wire::{
    ngap::transfer::Tunnel,
    pfcp::{AssociationSetupRequest, Message, NodeId, Pdu, RecoveryTimeStamp, SessionEstablishmentRequest},
};

/// The control plane.
pub(super) const CP: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 1);
/// When it started, as far as its peer is told.
pub(super) const RECOVERY: RecoveryTimeStamp = RecoveryTimeStamp(1);
/// Session AMBR, bits per second: a rate that no run reaches is asked for with every packet.
const AMBR: u64 = 100_000_000_000;

/// An association, then one session for each UE of the loads.
pub(super) fn script(sessions: u32) -> impl Iterator<Item = Result<Pdu>> {
    let association =
        AssociationSetupRequest { node_id: NodeId::V4(CP), recovery: RECOVERY, ..Default::default() };
    let begin = Pdu { seid: None, sequence: 0, message: association.into() };
    let session = |n| Ok(Pdu { seid: Some(0), sequence: n + 1, message: establishment(n)?.into() });
    std::iter::once(Ok(begin)).chain((0..sessions).map(session))
}

fn establishment(session: u32) -> Result<SessionEstablishmentRequest> {
    let teid = Teid::new(teid_of(session)).context("a TEID")?;
    let supi: Supi = format!("99970{session:010}").parse()?;
    Ok(Establishment {
        cp: CP,
        n3: Some(GATE.into()),
        supi,
        id: PduSessionId::try_from(1).map_err(anyhow::Error::msg)?,
        seid: Seid(u64::from(session) + 1),
        ip: UeIp(ue_of(session)),
        prefix: None,
        dnn: "corp".parse()?,
        slice: Some(Snssai { sst: 1, sd: None }),
        // The loads speak to these, whoever listens.
        teid: Some((teid, GATE.into())),
        radio: Some(Tunnel::new(RADIO, teid)),
        ambr: Some((AMBR, AMBR)),
    }
    .into())
}

/// That this answer to a request of the script says yes.
pub(super) fn accepted(request: &Pdu, answer: &Pdu) -> Result<()> {
    let cause = match &answer.message {
        Message::AssociationSetupResponse(m) => m.cause,
        Message::SessionEstablishmentResponse(m) => m.cause,
        other => anyhow::bail!("an answer of PFCP type {}", other.kind()),
    };
    let kind = request.message.kind();
    ensure!(cause.is_accepted(), "PFCP request {} of type {kind} is refused: {cause:?}", request.sequence);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_read_back_as_it_was_written() {
        let all: Vec<Pdu> = script(3).collect::<Result<_>>().unwrap();
        assert_eq!(all.len(), 4);
        for pdu in &all {
            assert_eq!(Pdu::parse(&pdu.encode()).as_ref(), Ok(pdu));
        }
    }
}
