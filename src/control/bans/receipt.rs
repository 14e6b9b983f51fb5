//! What the operator is answered.

use super::Reply;
use crate::{
    control::{Control, api::Asked},
    crash,
    link::{SimTrace, Stored as Recorded, ToGateway},
};
use admin_web::{BanError, Receipt, StoredAt};

/// A receipt that only waits for the count of packets dropped since the cut.
pub(crate) struct Ready {
    reply: Reply,
    receipt: Receipt,
    stored: bool,
}

impl Ready {
    /// Answers the operator.
    pub(crate) fn answer(mut self, trace: Option<SimTrace>) {
        if let Some(t) = trace {
            self.receipt.dropped_since = t.dropped;
            self.receipt.last_packet = self.receipt.last_packet.or(t.last_packet);
        }
        let answer =
            if self.stored { Ok(self.receipt) } else { Err(BanError::CutNotStored(Box::new(self.receipt))) };
        crash::point("ban.answer");
        drop(self.reply.send(answer));
    }
}

impl Control {
    pub(super) fn answer(&mut self, reply: Option<Reply>, receipt: Receipt) {
        let Some(reply) = reply else { return };
        let ready = Ready { reply, stored: !receipt.stored.is_empty(), receipt };
        if self.gateway.is_none() {
            return ready.answer(None);
        }
        let id = self.number();
        let imsi = ready.receipt.imsi;
        self.asked.insert(id, Asked::Dropped(Box::new(ready)));
        self.to_gateway(ToGateway::Trace { id, imsi });
    }
}

pub(super) fn journal_place(r: &Recorded) -> StoredAt {
    let hash = types::hex(&r.hash);
    StoredAt { place: "journal".to_owned(), record: Some(r.record), hash: Some(hash) }
}
