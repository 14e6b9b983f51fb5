//! The beginning of a TCP stream, put together in order and read before any of it goes on.
//!
//! A [`Stream`] takes segments as they come (late, twice, overlapping, in pieces) and says when a ClientHello is there.
//! What comes twice must say the same both times. Once it is judged, [`Judged`] holds every later segment against what
//! was read, until the other end has confirmed those octets and takes no others in their place: so whatever a client
//! sends, twice or with a wrong checksum or a short life, the server never sees another beginning than we did. What the
//! client says behind it waits until the server has answered: where the answer is a HelloRetryRequest, a second ClientHello
//! is read as the first was ([`Stream::anew`]).
//!
//! Bounded: [`tls::MOST`] octets, [`GAPS`] gaps. It knows nothing of IP, of flows and of names that are allowed.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic))]

pub mod segment;
#[cfg(test)]
pub(crate) mod tests;

use wire::tls::{self, ClientHello, NoHello, Progress, Reply};

/// Stretches that may lie apart from one another; a segment that would make one more is as good as lost.
pub const GAPS: usize = 64;

/// What a segment brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// Not the end of the ClientHello.
    More,
    /// The ClientHello, and how many octets of the stream it takes.
    Whole(ClientHello, usize),
}

/// The stream will never begin with a ClientHello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// By what it says.
    NoHello(NoHello),
    /// The same octet was sent twice, with different values.
    Differs,
    /// It ends before.
    Ended,
}

/// Octets of a stream, put together in order.
#[derive(Debug, Clone)]
struct Octets {
    /// Sequence number of the first one.
    base: u32,
    octets: Vec<u8>,
    /// What of them is there: rising, apart from one another.
    filled: Vec<(usize, usize)>,
}

impl Octets {
    fn new(base: u32) -> Self {
        Self { base, octets: Vec::new(), filled: Vec::new() }
    }

    /// Those from the first one to the first gap.
    fn in_order(&self) -> &[u8] {
        self.octets.get(..self.there()).unwrap_or_default()
    }

    fn there(&self) -> usize {
        self.filled.first().filter(|(start, _)| *start == 0).map_or(0, |(_, end)| *end)
    }

    /// Where the stream has this sequence number.
    fn place(&self, seq: u32) -> i64 {
        i64::from(seq.wrapping_sub(self.base) as i32)
    }

    /// Those of a segment that lie within the first `most`.
    fn put(&mut self, seq: u32, payload: &[u8], most: usize) -> Result<(), Refusal> {
        let start = self.place(seq);
        let skip = usize::try_from(-start).unwrap_or(0).min(payload.len());
        let start = usize::try_from(start).unwrap_or(0);
        let payload = payload.get(skip..).unwrap_or_default();
        self.fill(start, payload.get(..most.saturating_sub(start)).unwrap_or(payload))
    }

    fn fill(&mut self, start: usize, new: &[u8]) -> Result<(), Refusal> {
        let end = start + new.len();
        if new.is_empty() {
            return Ok(());
        }
        for &(from, to) in &self.filled {
            let (from, to) = (from.max(start), to.min(end));
            if from < to && self.octets.get(from..to) != new.get(from - start..to - start) {
                return Err(Refusal::Differs);
            }
        }
        // Those that it overlaps or touches become one with it.
        let first = self.filled.partition_point(|(_, to)| *to < start);
        let last = self.filled.partition_point(|(from, _)| *from <= end);
        let joined = self.filled.get(first..last).unwrap_or_default();
        if joined.is_empty() && self.filled.len() >= GAPS {
            return Ok(());
        }
        let from = joined.first().map_or(start, |(from, _)| start.min(*from));
        let to = joined.last().map_or(end, |(_, to)| end.max(*to));
        if self.octets.len() < end {
            self.octets.resize(end, 0);
        }
        if let Some(place) = self.octets.get_mut(start..end) {
            place.copy_from_slice(new);
        }
        self.filled.splice(first..last, [(from, to)]);
        Ok(())
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Stream {
    octets: Octets,
    /// Reads what is there.
    read: fn(&[u8]) -> Result<Progress, NoHello>,
    /// Before so many are there, nothing new can be read.
    need: usize,
    /// Where the client ended it.
    end: Option<usize>,
}

impl Stream {
    /// Nothing of a stream whose first octet has this sequence number.
    pub fn new(base: u32) -> Self {
        Self { octets: Octets::new(base), read: tls::client_hello, need: 1, end: None }
    }

    /// Nothing of what follows a ClientHello that the server wants anew.
    pub fn anew(base: u32) -> Self {
        Self { read: tls::second_client_hello, ..Self::new(base) }
    }

    /// Sequence number of its first octet.
    pub fn base(&self) -> u32 {
        self.octets.base
    }

    /// True before anything came.
    pub fn is_empty(&self) -> bool {
        self.octets.octets.is_empty()
    }

    /// Octets that it holds memory for.
    pub fn held(&self) -> usize {
        self.octets.octets.capacity()
    }

    /// The octets from the first one to the first gap.
    pub fn in_order(&self) -> &[u8] {
        self.octets.in_order()
    }

    /// A segment; `fin` where the client's stream ends behind it.
    pub fn push(&mut self, seq: u32, payload: &[u8], fin: bool) -> Result<Heard, Refusal> {
        if let (true, Ok(end)) = (fin, usize::try_from(self.octets.place(seq) + payload.len() as i64)) {
            self.end = Some(self.end.map_or(end, |e| e.min(end)));
        }
        self.octets.put(seq, payload, tls::MOST)?;
        let there = self.octets.there();
        if there >= self.need {
            match (self.read)(self.in_order()).map_err(Refusal::NoHello)? {
                Progress::Whole(hello, used) => return Ok(Heard::Whole(hello, used)),
                Progress::More(need) => self.need = need,
            }
        }
        if self.end.is_some_and(|end| end <= there) { Err(Refusal::Ended) } else { Ok(Heard::More) }
    }

    /// What it is held against once its first `used` octets have been judged.
    fn judged(&self, used: usize, reply: Option<Octets>) -> Judged {
        let octets = self.octets.octets.get(..used).unwrap_or_default().into();
        Judged { base: self.base(), octets, reply }
    }

    /// The same, where the server may want another one; its stream begins at `server`.
    pub fn judged_first(&self, used: usize, server: u32) -> Judged {
        self.judged(used, Some(Octets::new(server)))
    }

    /// The same, where nothing else can follow.
    pub fn judged_last(&self, used: usize) -> Judged {
        self.judged(used, None)
    }
}

/// The beginning of a stream that was judged.
#[derive(Debug, Clone)]
pub struct Judged {
    base: u32,
    octets: Box<[u8]>,
    /// What the server said to it, until that can be read.
    reply: Option<Octets>,
}

impl Judged {
    /// Sequence number of its first octet.
    pub fn base(&self) -> u32 {
        self.base
    }

    /// Sequence number of the first octet behind it.
    pub fn end(&self) -> u32 {
        self.base.wrapping_add(self.octets.len() as u32)
    }

    /// What was judged.
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Octets that it holds memory for.
    pub fn held(&self) -> usize {
        self.octets.len() + self.reply.as_ref().map_or(0, |r| r.octets.capacity())
    }

    /// False for a segment that says otherwise than what was judged.
    pub fn agrees(&self, seq: u32, payload: &[u8]) -> bool {
        let start = i64::from(seq.wrapping_sub(self.base) as i32);
        let end = (start + payload.len() as i64).min(self.octets.len() as i64);
        let from = start.max(0);
        if from >= end {
            return true;
        }
        part(&self.octets, from, end) == part(payload, from - start, end - start)
    }

    /// True for a segment with octets that must wait, because the server has not answered.
    pub fn is_early(&self, seq: u32, payload: &[u8]) -> bool {
        let end = i64::from(seq.wrapping_sub(self.base) as i32) + payload.len() as i64;
        self.reply.is_some() && !payload.is_empty() && end > self.octets.len() as i64
    }

    /// A segment of the server's: what it says to the ClientHello, as far as that is known.
    pub fn hear(&mut self, seq: u32, payload: &[u8]) -> Reply {
        let Some(reply) = &mut self.reply else { return Reply::Other };
        // Octets that differ are the server's own affair; the first ones count.
        _ = reply.put(seq, payload, tls::REPLY);
        let said = tls::server_reply(reply.in_order());
        if said != Reply::More {
            self.reply = None;
        }
        said
    }

    /// True where the server has answered, and confirmed all of it.
    pub fn is_confirmed_by(&self, ack: u32) -> bool {
        self.reply.is_none() && ack.wrapping_sub(self.end()) as i32 >= 0
    }
}

fn part(octets: &[u8], from: i64, to: i64) -> Option<&[u8]> {
    octets.get(usize::try_from(from).ok()?..usize::try_from(to).ok()?)
}
