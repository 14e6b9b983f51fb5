//! The door: capabilities exchange (RFC 6733 §5.3), and which of two connections of a peer stays.

use super::connection::{Connection, Open, State};
use super::{CONTEST_MS, ELECTION_LOST, Gone, Output, Peers, entry};
use std::collections::BTreeSet;
use types::Now;
use wire::diameter::{
    Address, CapabilitiesExchangeAnswer, CapabilitiesExchangeRequest, NO_INBAND_SECURITY, Pdu, TGPP,
    VendorApplication, result,
};

impl Peers {
    /// A CER, on a connection that has said nothing else.
    pub(super) fn introduced(&mut self, id: u64, pdu: &Pdu, cer: &CapabilitiesExchangeRequest, now: Now) {
        let Some(from) = self.connections.get(&id).map(|c| c.from.clone()) else { return };
        let entry = match entry::admitted(&self.config.peers, cer, &from) {
            Ok(entry) => entry,
            Err((code, why)) => {
                if let Some(why) = why {
                    self.refused(id, &cer.origin_host, why, now);
                }
                self.send_cea(id, pdu, code, Some("this peer is not served"));
                return self.close(id, Gone::Faulty, now);
            }
        };
        let applications = entry.common(cer);
        if applications.is_empty() {
            self.send_cea(
                id,
                pdu,
                result::NO_COMMON_APPLICATION,
                Some("no application of this peer is served"),
            );
            return self.close(id, Gone::Faulty, now);
        }
        if !cer.inband_security.is_empty() && !cer.inband_security.contains(&NO_INBAND_SECURITY) {
            self.send_cea(
                id,
                pdu,
                result::NO_COMMON_SECURITY,
                Some("TLS is begun before Diameter, or not at all"),
            );
            return self.close(id, Gone::Faulty, now);
        }
        let restarted = matches!(
            (cer.origin_state, self.states.get(&cer.origin_host)),
            (Some(new), Some((Some(old), _))) if new > *old
        );
        let Some(old) = self.up.get(&cer.origin_host).copied() else {
            return self.open(id, pdu, cer, applications, restarted, now);
        };
        if restarted {
            self.close(old, Gone::Replaced, now);
            return self.open(id, pdu, cer, applications, restarted, now);
        }
        // One contest at a time.
        let busy = matches!(
            self.connections.get(&old),
            Some(Connection { state: State::Open(Open { contender: Some(_), .. }), .. })
        );
        if busy {
            self.send_cea(id, pdu, ELECTION_LOST, Some("another connection of this peer is being looked at"));
            return self.close(id, Gone::Faulty, now);
        }
        if let Some(c) = self.connections.get_mut(&id) {
            c.state = State::Contender { pdu: Box::new(pdu.clone()), cer: Box::new(cer.clone()), old };
            c.timer = now.mono.plus_ms(CONTEST_MS * 2);
        }
        self.watchdog(old, now);
        if let Some(Connection { state: State::Open(open), timer, .. }) = self.connections.get_mut(&old) {
            open.contender = Some(id);
            *timer = now.mono.plus_ms(CONTEST_MS);
        }
    }

    pub(super) fn contest_won(&mut self, newcomer: u64, now: Now) {
        let Some(c) = self.connections.get_mut(&newcomer) else { return };
        let State::Contender { pdu, cer, .. } = std::mem::replace(&mut c.state, State::ExpectCer) else {
            return;
        };
        let from = c.from.clone();
        if let Ok(entry) = entry::admitted(&self.config.peers, &cer, &from) {
            let applications = entry.common(&cer);
            self.open(newcomer, &pdu, &cer, applications, false, now);
        }
    }

    pub(super) fn contest_lost(&mut self, newcomer: u64, now: Now) {
        let Some(c) = self.connections.get_mut(&newcomer) else { return };
        let State::Contender { pdu, .. } = std::mem::replace(&mut c.state, State::ExpectEnd) else { return };
        self.send_cea(newcomer, &pdu, ELECTION_LOST, Some("another connection of this peer lives"));
        self.close(newcomer, Gone::Faulty, now);
    }

    fn open(
        &mut self,
        id: u64,
        pdu: &Pdu,
        cer: &CapabilitiesExchangeRequest,
        applications: BTreeSet<u32>,
        restarted: bool,
        now: Now,
    ) {
        let peer = cer.origin_host.clone();
        let timer = now.mono.plus_ms(self.jittered());
        self.send_cea(id, pdu, result::SUCCESS, None);
        if let Some(c) = self.connections.get_mut(&id) {
            c.state = State::Open(Open {
                peer: peer.clone(),
                applications: applications.clone(),
                unanswered_watchdogs: 0,
                contender: None,
            });
            c.timer = timer;
        }
        let (last, restarts) = self.states.entry(peer.clone()).or_default();
        *restarts += u64::from(restarted);
        *last = cer.origin_state.or(*last);
        self.up.insert(peer.clone(), id);
        let (state, name) = (cer.origin_state, String::from_utf8_lossy(&cer.product));
        let product = cer.firmware.map_or_else(|| name.to_string(), |f| format!("{name} {f}"));
        self.outputs.push_back(Output::Up { peer, applications, restarted, state, product });
    }

    pub(super) fn send_cea(&mut self, id: u64, request: &Pdu, result_code: u32, why: Option<&str>) {
        let vendor = |auth| VendorApplication { vendor_id: TGPP, auth: Some(auth), acct: None };
        let ours: BTreeSet<u32> =
            self.config.peers.iter().flat_map(|p| p.applications.iter().copied()).collect();
        let message = CapabilitiesExchangeAnswer {
            result_code,
            origin_host: self.config.host.clone(),
            origin_realm: self.config.realm.clone(),
            addresses: self.config.addresses.iter().copied().map(Address::Ip).collect(),
            vendor_id: 0,
            product: b"Sekisho".to_vec(),
            origin_state: Some(self.config.origin_state),
            error_message: why.map(str::to_owned),
            failed_avp: None,
            vendors: vec![TGPP],
            auth: Vec::new(),
            inband_security: Vec::new(),
            acct: Vec::new(),
            vendor_applications: ours.into_iter().map(vendor).collect(),
            firmware: None,
        };
        self.send(id, &request.answer(message));
    }
}
