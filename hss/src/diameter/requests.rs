//! Requests of peers and of ours, and which answer belongs to which.

use super::connection::{Connection, State, Waiting};
use super::{Impostor, Output, Peers, REALM_NOT_SERVED, UNDER_WAY};
use types::Now;
use wire::diameter::{Identity, Message, Pdu, Refusal, result};

impl Peers {
    /// A request of an application: from who it says it is, to us, of what it may ask, and not twice.
    pub(super) fn asked_by_peer(&mut self, id: u64, pdu: Pdu, now: Now) {
        let Some(Connection { state: State::Open(open), .. }) = self.connections.get(&id) else { return };
        let Some(route) = pdu.message.route() else { return };
        let peer = open.peer.clone();
        let header = pdu.header();
        let wrong = if *route.origin_host != peer {
            let claimed = route.origin_host.clone();
            self.refused(id, &claimed, Impostor::InAnothersName, now);
            Some((result::UNKNOWN_PEER, "this connection is another peer's"))
        } else if !open.applications.contains(&header.application) {
            Some((result::APPLICATION_UNSUPPORTED, "this application was not agreed upon"))
        } else if *route.destination_realm != self.config.realm {
            Some((REALM_NOT_SERVED, "that realm is not served here"))
        } else if route.destination_host.is_some_and(|h| *h != self.config.host) {
            Some((result::UNABLE_TO_DELIVER, "that host is not reached by this one"))
        } else if self.asked.values().filter(|(c, _)| *c == id).count() >= UNDER_WAY {
            Some((result::TOO_BUSY, "too many requests are under way"))
        } else {
            None
        };
        if let Some((code, why)) = wrong {
            return self.refuse(id, &pdu, code, why);
        }
        let again = self.again.entry(peer.clone()).or_default();
        if let Some(answer) = again.answered(&header) {
            return self.outputs.push_back(Output::Send { connection: id, octets: answer });
        }
        // It is being worked on: the answer goes where it was asked for last.
        let same = |(_, p): &&mut (u64, Pdu)| {
            p.end_to_end == pdu.end_to_end
                && p.message.route().map(|r| r.origin_host) == pdu.message.route().map(|r| r.origin_host)
        };
        if pdu.retransmitted
            && let Some(first) = self.asked.values_mut().find(same)
        {
            *first = (id, pdu);
            return;
        }
        self.last_id += 1;
        let message = pdu.message.clone();
        self.asked.insert(self.last_id, (id, pdu));
        self.outputs.push_back(Output::Request { id: self.last_id, peer, message });
    }

    fn refuse(&mut self, id: u64, pdu: &Pdu, result_code: u32, why: &str) {
        let refusal = Refusal {
            session_id: pdu.message.route().map(|r| r.session_id.to_owned()),
            origin_host: self.config.host.clone(),
            origin_realm: self.config.realm.clone(),
            result_code,
            error_message: Some(why.to_owned()),
            failed_avp: None,
        };
        let octets = refusal.encode(&pdu.header(), &pdu.proxies);
        self.outputs.push_back(Output::Send { connection: id, octets });
    }

    pub(super) fn answer(&mut self, id: u64, message: Message) {
        let Some((connection, request)) = self.asked.remove(&id) else { return };
        let octets = request.answer(message).encode();
        if let Some(route) = request.message.route() {
            self.again.entry(route.origin_host.clone()).or_default().keep(request.end_to_end, &octets);
        }
        if self.connections.contains_key(&connection) {
            self.outputs.push_back(Output::Send { connection, octets });
        }
    }

    /// Many may be asked at once: all SIMs of an MME may be banned together. Then each waits for its turn, and its time runs
    /// from there.
    pub(super) fn ask(&mut self, txn: u64, peer: &Identity, message: Message, now: Now) {
        let (application, ..) = message.kind();
        let reached = self.up.get(peer).copied().filter(|id| {
            matches!(self.connections.get(id), Some(Connection { state: State::Open(o), .. })
                if o.applications.contains(&application) && o.unanswered_watchdogs < 2)
        });
        let Some(id) = reached else { return self.outputs.push_back(Output::Unanswered { txn }) };
        let queued = self.connections.get_mut(&id).is_some_and(|c| c.waiting.queue(txn, message));
        if !queued {
            return self.outputs.push_back(Output::Unanswered { txn });
        }
        self.ask_next(id, now);
    }

    /// Sends what waits for its turn, as far as there is room.
    pub(super) fn ask_next(&mut self, id: u64, now: Now) {
        let deadline = now.mono.plus_ms(self.config.answer_ms);
        while let Some((txn, message)) = self.connections.get_mut(&id).and_then(|c| c.waiting.next()) {
            let session = message.route().map(|r| r.session_id.to_owned());
            let (application, command, _) = message.kind();
            let hop_by_hop = self.request(id, message);
            if let Some(c) = self.connections.get_mut(&id) {
                c.waiting.push(hop_by_hop, Waiting { txn, deadline, application, command, session });
            }
        }
    }

    /// Sends a request of ours; its hop-by-hop identifier.
    pub(super) fn request(&mut self, id: u64, message: Message) -> u32 {
        self.hop_by_hop = self.hop_by_hop.wrapping_add(1);
        self.end_to_end = self.end_to_end.wrapping_add(1);
        self.send(id, &Pdu::request(message, self.hop_by_hop, self.end_to_end));
        self.hop_by_hop
    }

    /// An answer counts if it is to what was asked of this peer by this connection. Everything else is nobody's.
    pub(super) fn answered(&mut self, id: u64, pdu: Pdu, now: Now) {
        let Some(c) = self.connections.get_mut(&id) else { return };
        let (application, command, _) = pdu.message.kind();
        let fits = |w: &Waiting| {
            (w.application, w.command) == (application, command)
                && pdu.message.answered_session().is_none_or(|s| w.session.as_deref() == Some(s))
        };
        if let Some(w) = c.waiting.take(pdu.hop_by_hop, fits) {
            self.outputs.push_back(Output::Answered { txn: w.txn, message: pdu.message });
            self.ask_next(id, now);
        }
    }
}

/// The answer of a face to a request that is not for it, or that it cannot take now.
pub(crate) fn refusal(host: &Identity, realm: &Identity, request: &Message, result_code: u32) -> Message {
    let (application, command, _) = request.kind();
    let refusal = Refusal {
        session_id: request.route().map(|r| r.session_id.to_owned()),
        origin_host: host.clone(),
        origin_realm: realm.clone(),
        result_code,
        error_message: Some("not served to this peer".to_owned()),
        failed_avp: None,
    };
    Message::Refusal { application, command, error: true, refusal: Box::new(refusal) }
}
