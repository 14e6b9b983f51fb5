//! How an association comes to be on the listening port: INIT is answered from nothing, COOKIE ECHO is believed
//! only with our MAC. RFC 9260 §5.1 and §5.2.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;

use rand_chacha::rand_core::Rng;
use types::Mono;

use super::{Driver, Path};
use crate::io::sctp::DownReason;
use crate::io::sctp::assoc::{Assoc, WINDOW};
use crate::io::sctp::cookie::Cookie;
use crate::io::sctp::packet::{self, Init, InitFault, Packet, cause, kind};

impl Driver {
    /// RFC 9260 §5.1 B: an INIT is answered and forgotten.
    pub(super) fn on_init(&mut self, src: SocketAddr, packet: &Packet<'_>, now: Mono) {
        let Some(chunk) = packet.first() else { return };
        if packet.tag != 0 {
            self.counters.malformed += 1;
            return;
        }
        let init = match Init::parse(chunk.value) {
            Ok(init) => init,
            Err(InitFault::Silent) => {
                self.counters.malformed += 1;
                return;
            }
            Err(InitFault::Abort { tag, cause }) => {
                self.counters.malformed += 1;
                return self.refuse(src, packet, tag, cause);
            }
        };
        let path = Path::of(src, packet);
        let existing = self.paths.get(&path).and_then(|id| self.assocs.get(id));
        if self.listen != Some(packet.dst_port) {
            // A client is not called. In UDP mode the port is ours alone, so the caller may hear that.
            if existing.is_none() {
                self.counters.stray += 1;
                self.answer_stray(src, packet, init.tag, kind::ABORT, 0, now);
            }
            return;
        }
        let tie = existing.map_or((0, 0), |e| (e.tag, e.peer_tag));
        if existing.is_none() && !self.has_room(path.ip) {
            self.counters.over_limit += 1;
            return self.refuse(src, packet, init.tag, cause::OUT_OF_RESOURCE);
        }
        let cookie = Cookie {
            created: now,
            peer: path.ip,
            peer_port: path.peer_port,
            local_port: path.local_port,
            tie,
            local_tag: self.fresh_tag(),
            peer_tag: init.tag,
            local_tsn: self.rng.next_u32(),
            peer_tsn: init.tsn,
            a_rwnd: init.a_rwnd,
            outbound: init.outbound,
            inbound: init.inbound,
        };
        let ack = self.init_ack(&cookie, &init.unrecognized);
        self.send(path.to(), packet.dst_port, packet.src_port, init.tag, &ack);
    }

    fn init_ack(&self, cookie: &Cookie, unrecognized: &[u8]) -> Vec<u8> {
        let mut value = cookie.local_tag.to_be_bytes().to_vec();
        // dcsctp closes its window at nine tenths; promise less than that.
        value.extend_from_slice(&(WINDOW as u32 / 4 * 3).to_be_bytes());
        value.extend_from_slice(&self.config.streams.to_be_bytes());
        value.extend_from_slice(&self.config.streams.to_be_bytes());
        value.extend_from_slice(&cookie.local_tsn.to_be_bytes());
        // State Cookie (7), Unrecognized Parameter (8): RFC 9260 §3.3.3.
        value.extend(packet::tlv(7, &self.key.seal(cookie)));
        if !unrecognized.is_empty() {
            value.extend(packet::tlv(8, unrecognized));
        }
        packet::chunk(kind::INIT_ACK, 0, &value)
    }

    /// RFC 9260 §5.1 D and §5.2.4: the cookie comes back.
    pub(super) fn on_cookie_echo(&mut self, src: SocketAddr, packet: &Packet<'_>, now: Mono) {
        let path = Path::of(src, packet);
        let cookie = packet.first().and_then(|c| self.key.open(c.value)).filter(|c| {
            c.local_tag == packet.tag
                && (c.peer, c.peer_port, c.local_port) == (path.ip, path.peer_port, path.local_port)
                && self.listen == Some(c.local_port)
        });
        let Some(cookie) = cookie else {
            self.counters.bad_cookie += 1;
            return;
        };
        let standing = self.tags.get(&cookie.local_tag).or_else(|| self.paths.get(&path)).copied();
        if let Some(id) = standing
            && let Some(entry) = self.assocs.get_mut(&id)
        {
            let same = (cookie.local_tag == entry.tag, cookie.peer_tag == entry.peer_tag);
            let tied = cookie.tie == (entry.tag, entry.peer_tag);
            match same {
                // D: our COOKIE ACK was lost.
                (true, true) => {
                    entry.assoc.input_cookie(packet, &cookie.inner(), now);
                    return self.settle(id, now);
                }
                // A: the peer restarted. It knows nothing of the old association, so that one ends without a word.
                (false, false) if tied && !self.is_stale(&cookie, now) => {
                    self.remove(id, DownReason::Restarted);
                }
                // B cannot be, because a listening port never sends INIT. C is a late cookie. The rest fits nothing.
                _ => {
                    self.counters.bad_cookie += 1;
                    return;
                }
            }
        }
        if self.is_stale(&cookie, now) {
            self.counters.bad_cookie += 1;
            let late = (now.0.saturating_sub(cookie.created.0) / 1000).min(u64::from(u32::MAX)) as u32;
            let stale = packet::tlv(cause::STALE_COOKIE, &late.to_be_bytes());
            let error = packet::chunk(kind::ERROR, 0, &stale);
            return self.send(path.to(), packet.dst_port, packet.src_port, cookie.peer_tag, &error);
        }
        if !self.has_room(path.ip) {
            self.counters.over_limit += 1;
            return self.refuse(src, packet, cookie.peer_tag, cause::OUT_OF_RESOURCE);
        }
        let mut assoc = Assoc::new(&self.config, path.local_port, path.peer_port, now);
        assoc.input_cookie(packet, &cookie.inner(), now);
        if assoc.local_tag() != cookie.local_tag {
            // dcsctp did not take it: nothing stands, so nothing has to end.
            self.counters.bad_cookie += 1;
            return;
        }
        let id = self.insert(assoc, path, cookie.peer_tag);
        self.settle(id, now);
    }

    fn is_stale(&self, cookie: &Cookie, now: Mono) -> bool {
        u128::from(now.0.saturating_sub(cookie.created.0)) > self.config.limits.cookie_life.as_nanos()
    }

    fn fresh_tag(&mut self) -> u32 {
        loop {
            let tag = self.rng.next_u32();
            if tag != 0 && !self.tags.contains_key(&tag) {
                return tag;
            }
        }
    }

    /// ABORT with a cause and without the T bit: the peer's own tag is known.
    fn refuse(&mut self, to: SocketAddr, packet: &Packet<'_>, tag: u32, cause: u16) {
        let abort = packet::chunk(kind::ABORT, 0, &packet::tlv(cause, &[]));
        self.send(to, packet.dst_port, packet.src_port, tag, &abort);
    }
}
