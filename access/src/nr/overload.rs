//! Too many want in at once (TS 23.501 §5.19.5; TS 38.413 §8.7.6, §8.7.7; TS 24.501 §5.3.9): a plant comes back after a
//! power cut, or somebody floods us with attempts.
//!
//! Only attempts are held back, for they alone have proved nothing. Whoever has (a service request, a registration under
//! keys that we know, a deregistration, a handover), a ban and the gateway never wait here. When most of the room for
//! attempts is taken the radios are told to let fewer UEs signal; when all of it is, the newcomer gets a back-off, unless
//! the gNB that has most attempts has one that stands still: that one goes instead, so that nobody can hold the room by
//! silence.

use super::Amf;
use super::release::NORMAL;
use super::ue::Phase;
use rand_chacha::rand_core::Rng;
use std::collections::BTreeMap;
use types::Mono;
use wire::ngap::{AmfUeNgapId, Message, OverloadStart};

/// An attempt that has stood so long without a step has lost its claim on the room.
const STANDS_STILL_MS: u64 = 5_000;
/// Less signalling that radios are asked for, per cent.
const REDUCTION: u8 = 50;
/// The shortest back-off of a newcomer, seconds, and by how much it is spread, so that they do not all come back at once.
/// Up to 62 s a GPRS timer 2 has steps of 2 s (TS 24.008 §10.5.7.4); above it would round them up to whole minutes.
const BACKOFF_S: u32 = 30;
const SPREAD_S: u32 = 32;

impl Amf {
    /// Room for one attempt more. Where there is none: the back-off, seconds, that it is refused with.
    pub(super) fn make_room_for_attempt(&mut self) -> Result<(), u32> {
        let (most, now) = (self.config.limits.pending, self.now.mono);
        if self.registry.attempt_count() < most {
            return Ok(());
        }
        // A flood does not make us look through all of them each time.
        let oldest = if now < self.room_looked_for { None } else { self.oldest_of_most() };
        match oldest.map(|(since, id)| (since.plus_ms(STANDS_STILL_MS), id)) {
            Some((at, id)) if at <= now => {
                self.refused("pending-attempts");
                self.release_conn(id, NORMAL);
                return Ok(());
            }
            Some((at, _)) => self.room_looked_for = at,
            None => {}
        }
        Err(BACKOFF_S + self.rng.next_u32() % SPREAD_S)
    }

    /// Of the gNB that has most attempts the oldest one, and when it took its last step.
    fn oldest_of_most(&self) -> Option<(Mono, AmfUeNgapId)> {
        let mut by_gnb: BTreeMap<_, (usize, Option<(Mono, AmfUeNgapId)>)> = BTreeMap::new();
        for id in self.registry.attempts() {
            let Some(conn) = self.registry.conn(id) else { continue };
            let Phase::Attempt(attempt) = &conn.phase else { continue };
            let (count, oldest) = by_gnb.entry(conn.assoc).or_default();
            *count += 1;
            let this = (attempt.story.since, id);
            *oldest = Some(oldest.map_or(this, |o| o.min(this)));
        }
        by_gnb.into_values().max_by_key(|(count, _)| *count)?.1
    }

    /// Tells the radios when three quarters of the room are taken, and when no more than a quarter is.
    pub(super) fn watch_load(&mut self) {
        let (most, held) = (self.config.limits.pending, self.registry.attempt_count());
        let message = match self.overloaded {
            false if held * 4 >= most * 3 => {
                Message::OverloadStart(OverloadStart { reduction: Some(REDUCTION) })
            }
            true if held * 4 <= most => Message::OverloadStop,
            _ => return,
        };
        self.overloaded = !self.overloaded;
        if self.overloaded {
            self.refused("overload");
        }
        let set_up = self.gnbs.iter().filter(|(_, g)| g.setup.is_some());
        for assoc in set_up.map(|(assoc, _)| *assoc).collect::<Vec<_>>() {
            self.send(assoc, 0, &message);
        }
    }

    /// A radio that has just come is told as well.
    pub(super) fn tell_load(&mut self, assoc: super::AssocId) {
        if self.overloaded {
            self.send(assoc, 0, &Message::OverloadStart(OverloadStart { reduction: Some(REDUCTION) }));
        }
    }
}
