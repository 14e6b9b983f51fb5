//! Inspection: the beginning of a flow towards an app with names is held until it can be read, and decides.
//!
//! The handshake passes. What the client says first is put together by a [`Stream`] and goes nowhere; from the server
//! nothing passes that carries octets, because in TLS the client speaks first. A ClientHello that names one of the app's
//! servers releases what is held, as packets of ours; anything else, and whatever does not come in time or finds no
//! room, ends the flow with a reset to both sides. Behind that [`Judged`] sees that nothing else takes the place of what
//! was read, until the server has confirmed it and answered. Where its answer is a HelloRetryRequest, the second ClientHello
//! is held and read as well, and must name what the first one named (RFC 8446 §4.1.2).
//!
//! Flows of other apps are never looked up here.

use super::answer::reset;
use super::judge::{Fate, Refused, Tell};
use super::six;
use super::{Limits, Shard};
use crate::batch::{Batch, To};
use crate::flow::Watch;
use crate::hash::{Keyed, Map};
use crate::inner::{ACK, Inner, RST, SYN, Transport, URG};
use crate::inner6::{Six, is_six};
use crate::record::Outcome;
use crate::stream::segment::{self, Segment};
use crate::stream::{Heard, Judged, Refusal, Stream};
use std::collections::VecDeque;
use std::net::IpAddr;
use types::{Direction, Mono, Now, Reason, ServerName, Verdict};
use wire::tls::Reply;

/// What a server takes in one segment if it does not say (RFC 9293 §3.7.1).
const DEFAULT_MSS: u16 = 536;
/// Octets of a TCP header without options.
const TCP_HEADER: usize = 20;

/// What is held of a stream that may go on.
#[derive(Debug)]
pub(super) struct Held {
    /// Headers of the client's last packet.
    pub(super) head: Vec<u8>,
    /// Octets of them that are IP's.
    pub(super) ip: usize,
    base: u32,
    octets: Vec<u8>,
    mss: u16,
}

impl Held {
    /// Its octets in parts that fit packets of `mtu` octets, each with its sequence number.
    pub(super) fn parts(&self, mtu: usize) -> impl Iterator<Item = (u32, &[u8])> {
        let options = self.head.len().saturating_sub(self.ip + TCP_HEADER);
        let room = usize::from(self.mss).saturating_sub(options).min(mtu.saturating_sub(self.head.len()));
        let parts = self.octets.chunks(room.max(64));
        parts.scan(self.base, |seq, part| {
            let at = *seq;
            *seq = seq.wrapping_add(part.len() as u32);
            Some((at, part))
        })
    }
}

enum State {
    /// The server has not answered: nobody knows where the stream begins.
    Opening,
    Reading(Stream),
    Judged(Judged),
    /// The server wants another ClientHello.
    Retried(Stream),
}

impl State {
    fn held(&self) -> usize {
        match self {
            Self::Opening => 0,
            Self::Reading(stream) | Self::Retried(stream) => stream.held(),
            Self::Judged(judged) => judged.held(),
        }
    }

    /// Sequence number of the first octet that was not let through.
    fn next(&self) -> Option<u32> {
        match self {
            Self::Opening => None,
            Self::Reading(stream) | Self::Retried(stream) => Some(stream.base()),
            Self::Judged(judged) => Some(judged.end()),
        }
    }
}

struct Inspection {
    session: u32,
    sim: u32,
    since: Mono,
    /// Headers of the client's last packet, and how many octets of them are IP's.
    head: Vec<u8>,
    ip: usize,
    mss: u16,
    /// Sequence number of the server's first octet.
    server: u32,
    state: State,
}

/// The streams that are watched, by flow.
pub(super) struct Inspections {
    watched: Map<u32, Inspection>,
    /// What was named, as long as the flow is there.
    names: Map<u32, ServerName>,
    per_sim: Map<u32, u32>,
    octets: usize,
    /// What the packet in hand has released.
    released: Option<Box<Held>>,
    /// Resets on their way: to the UE of a session, or to the network behind us.
    farewells: VecDeque<(Option<u32>, Vec<u8>)>,
}

impl Inspections {
    pub(super) fn new(keyed: Keyed) -> Self {
        Self {
            watched: Map::with_hasher(keyed),
            names: Map::with_hasher(keyed),
            per_sim: Map::with_hasher(keyed),
            octets: 0,
            released: None,
            farewells: VecDeque::new(),
        }
    }

    /// May one more stream of this SIM be read?
    pub(super) fn has_room(&self, sim: u32, limits: &Limits) -> bool {
        let mine = self.per_sim.get(&sim).copied().unwrap_or(0);
        self.watched.len() < limits.streams && mine < limits.streams_per_sim
    }

    /// A flow whose first packet is here.
    pub(super) fn enter(&mut self, flow: u32, session: u32, sim: u32, now: Mono) {
        *self.per_sim.entry(sim).or_insert(0) += 1;
        let new = Inspection {
            session,
            sim,
            since: now,
            head: Vec::new(),
            ip: 0,
            mss: DEFAULT_MSS,
            server: 0,
            state: State::Opening,
        };
        self.watched.insert(flow, new);
    }

    /// A flow whose name was seen before it began.
    pub(super) fn named(&mut self, flow: u32, name: ServerName) {
        self.names.insert(flow, name);
    }

    /// What goes on after [`Fate::Release`].
    pub(super) fn released(&mut self) -> Option<Box<Held>> {
        self.released.take()
    }

    /// The server that a flow named and may reach.
    pub(super) fn name(&self, flow: u32) -> Option<&ServerName> {
        self.names.get(&flow)
    }

    /// A flow is gone, and this is what came of it.
    pub(super) fn leave(&mut self, flow: u32, watch: Watch) -> Outcome {
        match watch {
            Watch::No | Watch::Asking => return Outcome { verdict: Verdict::Allow, name: None },
            Watch::Reading | Watch::Judged => drop(self.take(flow)),
            Watch::Done | Watch::Named => {}
        }
        let verdict = if watch == Watch::Reading { Verdict::Deny } else { Verdict::Allow };
        Outcome { verdict, name: self.names.remove(&flow) }
    }

    /// Nothing is held any more of this session's flows, which are about to end.
    pub(super) fn forget(&mut self, session: u32) {
        let flows: Vec<u32> =
            self.watched.iter().filter(|(_, i)| i.session == session).map(|(flow, _)| *flow).collect();
        for flow in flows {
            self.take(flow);
        }
    }

    /// Takes a stream out of what is watched.
    fn take(&mut self, flow: u32) -> Option<Inspection> {
        let gone = self.watched.remove(&flow)?;
        self.octets = self.octets.saturating_sub(gone.state.held());
        if let Some(n) = self.per_sim.get_mut(&gone.sim) {
            *n = n.saturating_sub(1);
            if *n == 0 {
                self.per_sim.remove(&gone.sim);
            }
        }
        Some(gone)
    }
}

/// What a segment comes to.
enum Word {
    Pass,
    Open,
    Held,
    /// What was let through goes once more, and nothing behind it.
    Again,
    Whole(Option<ServerName>, usize),
    /// This packet is dropped, and the flow goes on waiting.
    Drop,
    /// The flow ends.
    End(Reason),
    Confirmed,
}

impl Inspection {
    /// The client's.
    fn client_says(&mut self, s: &Segment<'_>) -> Word {
        if s.flags & SYN != 0 {
            // One that opens may come twice. With octets of its own (RFC 7413) they would leave unread.
            let again = matches!(self.state, State::Opening | State::Reading(_)) && s.opens();
            return if again && s.payload.is_empty() { Word::Open } else { Word::Drop };
        }
        match &mut self.state {
            // An urgent octet is not where the other octets of a stream are (RFC 6093).
            _ if s.flags & URG != 0 => Word::Drop,
            _ if s.flags & RST != 0 => {
                if s.payload.is_empty() {
                    Word::Pass
                } else {
                    Word::Drop
                }
            }
            State::Opening => Word::Drop,
            State::Judged(judged) if !judged.agrees(s.seq, s.payload) => Word::Drop,
            // Early data; it is sent again. It may stand behind a hello that was lost on its way.
            State::Judged(judged) if judged.is_early(s.seq, s.payload) => {
                if judged.end().wrapping_sub(s.seq) as i32 > 0 { Word::Again } else { Word::Held }
            }
            State::Judged(_) => Word::Pass,
            State::Reading(_) | State::Retried(_) if s.payload.is_empty() && !s.ends() => Word::Pass,
            State::Reading(stream) | State::Retried(stream) => {
                match stream.push(s.seq, s.payload, s.ends()) {
                    Ok(Heard::More) => Word::Held,
                    Ok(Heard::Whole(hello, used)) => Word::Whole(hello.server_name, used),
                    Err(Refusal::NoHello(_) | Refusal::Ended) => Word::End(Reason::NotTls),
                    Err(Refusal::Differs) => Word::End(Reason::NotInspected),
                }
            }
        }
    }

    /// The server's. `offer` is what it takes in one segment, where it says so.
    fn server_says(&mut self, s: &Segment<'_>, offer: Option<u16>) -> Word {
        let answers = s.flags & (SYN | ACK) == SYN | ACK;
        match &mut self.state {
            // A connection of its own, in place of the one that is read.
            _ if s.opens() => Word::Drop,
            State::Judged(judged) => {
                if judged.hear(s.seq, s.payload) == Reply::Retry {
                    self.state = State::Retried(Stream::anew(judged.end()));
                    return Word::Pass;
                }
                if s.flags & ACK != 0 && judged.is_confirmed_by(s.ack) { Word::Confirmed } else { Word::Pass }
            }
            State::Retried(_) => Word::Pass,
            _ if !s.payload.is_empty() => Word::End(Reason::NotTls),
            State::Reading(stream) if answers && !stream.is_empty() => {
                if stream.base() == s.ack {
                    Word::Pass
                } else {
                    Word::Drop
                }
            }
            State::Opening | State::Reading(_) if answers => {
                (self.mss, self.server) = (offer.unwrap_or(DEFAULT_MSS), s.seq.wrapping_add(1));
                self.state = State::Reading(Stream::new(s.ack));
                Word::Pass
            }
            State::Opening | State::Reading(_) => Word::Pass,
        }
    }
}

impl Shard {
    /// A packet of a flow that is watched: does it go on? Out of the way of those that nobody watches.
    #[cold]
    pub(super) fn watch(
        &mut self,
        at: u32,
        packet: &Inner,
        octets: &[u8],
        direction: Direction,
        now: Now,
    ) -> Result<Fate, Refused> {
        let Some((session, watch)) = self.flows.get(at).map(|f| (f.session, f.watch)) else {
            return Err(Refused { reason: Reason::NotInspected, tell: Tell::Nothing });
        };
        // An error about a packet of the server's quotes octets that nobody reads.
        let is_error = matches!(packet.transport, Transport::Error(_));
        if is_error && (direction == Direction::In || watch != Watch::Reading) {
            return Ok(Fate::Pass);
        }
        let segment = octets.get(packet.header..packet.len).and_then(Segment::parse);
        let segment = match segment.filter(|_| !is_error && packet.fragment.is_none()) {
            Some(segment) => segment,
            None => return Err(self.deny(session, packet, direction, Reason::NotInspected, now)),
        };
        let Some(i) = self.inspections.watched.get_mut(&at) else {
            // Read long ago, and an answer that comes twice; anything else begins where nobody reads.
            let answers = segment.flags & (SYN | ACK) == SYN | ACK;
            if watch == Watch::Done && direction == Direction::In && answers {
                return Ok(Fate::Pass);
            }
            return Err(self.deny(session, packet, direction, Reason::NotInspected, now));
        };
        let before = i.state.held();
        let word = match direction {
            Direction::Out => {
                if let Some(head) = octets.get(..packet.header + segment.header) {
                    (i.ip, i.head) = (packet.header, head.to_vec());
                }
                i.client_says(&segment)
            }
            Direction::In => i.server_says(&segment, super::mss::offer_of(octets, packet.header)),
        };
        self.inspections.octets = (self.inspections.octets + i.state.held()).saturating_sub(before);
        match word {
            Word::Pass => Ok(Fate::Pass),
            Word::Open => Ok(Fate::Open),
            Word::Held if self.inspections.octets > self.limits.stream_octets => {
                Err(self.refuse_stream(at, Reason::InspectFull, None, now))
            }
            Word::Held => Ok(Fate::Held),
            Word::Again => {
                self.release_again(at);
                Ok(Fate::Release)
            }
            Word::Drop => Err(self.deny(session, packet, direction, Reason::NotInspected, now)),
            Word::End(reason) => Err(self.refuse_stream(at, reason, None, now)),
            Word::Confirmed => {
                self.inspections.take(at);
                if let Some(flow) = self.flows.get_mut(at) {
                    flow.watch = Watch::Done;
                }
                Ok(Fate::Pass)
            }
            Word::Whole(None, _) => Err(self.refuse_stream(at, Reason::NoServerName, None, now)),
            Word::Whole(Some(name), used) => self.name_read(at, name, used, now),
        }
    }

    /// The name of the server is there: is it one of the app's, and the same as before where it is asked for again?
    fn name_read(&mut self, at: u32, name: ServerName, used: usize, now: Now) -> Result<Fate, Refused> {
        let app = self.flows.get(at).and_then(|f| f.app);
        let differs = self.inspections.name(at).is_some_and(|first| *first != name);
        if differs || !self.policy.as_ref().is_some_and(|p| p.lists(app, &name)) {
            return Err(self.refuse_stream(at, Reason::OtherServerName, Some(name), now));
        }
        let (Some(i), Some(flow)) = (self.inspections.watched.get_mut(&at), self.flows.get_mut(at)) else {
            return Err(self.refuse_stream(at, Reason::NotInspected, None, now));
        };
        let (before, first) = (i.state.held(), matches!(i.state, State::Reading(_)));
        let (octets, judged) = match &i.state {
            // What stands behind it waits for the server's answer.
            State::Reading(s) => (s.in_order().get(..used), s.judged_first(used, i.server)),
            State::Retried(s) => (Some(s.in_order()), s.judged_last(used)),
            State::Opening | State::Judged(_) => return Ok(Fate::Pass),
        };
        let octets = octets.unwrap_or_default().to_vec();
        let held = Held { head: i.head.clone(), ip: i.ip, base: judged.base(), octets, mss: i.mss };
        self.inspections.octets = (self.inspections.octets + judged.held()).saturating_sub(before);
        i.state = State::Judged(judged);
        flow.watch = Watch::Judged;
        if first {
            self.inspections.names.insert(at, name);
            self.counters.names_read += 1;
        }
        self.inspections.released = Some(Box::new(held));
        Ok(Fate::Release)
    }

    /// What was judged and let through, once more.
    fn release_again(&mut self, at: u32) {
        let Some(i) = self.inspections.watched.get(&at) else { return };
        let State::Judged(judged) = &i.state else { return };
        let (head, octets) = (i.head.clone(), judged.octets().to_vec());
        let held = Held { head, ip: i.ip, base: judged.base(), octets, mss: i.mss };
        self.inspections.released = Some(Box::new(held));
    }

    /// Ends a flow whose beginning does not do, says so to both sides and writes it down.
    fn refuse_stream(&mut self, at: u32, reason: Reason, name: Option<ServerName>, now: Now) -> Refused {
        let refused = Refused { reason, tell: Tell::Nothing };
        let Some(flow) = self.flows.get(at) else { return refused };
        let (session, peer) = (flow.session, self.peer_of(&flow.key));
        if let Some(i) = self.inspections.take(at) {
            // Another UE is told nothing, as everywhere.
            let owner = match peer {
                IpAddr::V4(peer) => self.owner_of(peer),
                IpAddr::V6(_) => self.route_owners.find(peer),
            };
            let behind_us = owner.is_none();
            if self.rejects.take(now.mono) {
                self.counters.rejects += 1;
                let to_ue = to_client(&i).map(|p| (Some(session), p));
                let to_server = to_server(&i).filter(|_| behind_us).map(|p| (None, p));
                self.inspections.farewells.extend(to_ue.into_iter().chain(to_server));
            } else {
                self.counters.answers_limited += 1;
            }
        }
        self.close_flow(at, reason, |_| Outcome { verdict: Verdict::Reject, name });
        refused
    }

    /// Streams that took too long.
    pub(super) fn end_late_streams(&mut self, now: Now) {
        let limit = self.limits.stream_ms;
        let is_late = |i: &Inspection| now.mono.ms_since(i.since) >= limit;
        let mut late: Vec<u32> =
            self.inspections.watched.iter().filter(|(_, i)| is_late(i)).map(|(at, _)| *at).collect();
        late.sort_unstable();
        for at in late {
            let name = self.inspections.name(at).cloned();
            self.refuse_stream(at, Reason::InspectTimeout, name, now);
            self.counters.drop_one(Reason::InspectTimeout);
        }
    }

    /// Streams that are watched, and the octets that are kept of them.
    #[cfg(test)]
    pub(super) fn inspections_held(&self) -> (usize, usize) {
        (self.inspections.watched.len(), self.inspections.octets)
    }

    /// Sends the resets that are due.
    pub(super) fn send_farewells(&mut self, batch: &mut Batch) {
        while let Some((session, packet)) = self.inspections.farewells.pop_front() {
            let Some(piece) = batch.make_from(&packet) else { continue };
            match session {
                // A UE without a downlink tunnel gets none; that is no error.
                Some(session) => drop(self.send_own_to_ue(batch, piece, session)),
                None => batch.send(To::N6, piece),
            }
        }
    }
}

/// The reset that the client gets: how a closed port would answer its last packet.
fn to_client(i: &Inspection) -> Option<Vec<u8>> {
    let mut bare = vec![0; i.head.len()];
    let last = Segment::parse(i.head.get(i.ip..)?)?;
    segment::write(&i.head, i.ip, last.seq, last.flags, &[], &mut bare)?;
    if is_six(&bare) {
        return six::answer(&bare, &Six::parse(&bare).ok()?.inner, Tell::Rejected);
    }
    let mut answer = vec![0; i.ip + TCP_HEADER];
    let n = reset(&bare, &Inner::parse(&bare).ok()?, &mut answer)?;
    answer.truncate(n);
    Some(answer)
}

/// The reset that the server gets: from the client, behind nothing; or behind what was let through.
fn to_server(i: &Inspection) -> Option<Vec<u8>> {
    let head = i.head.get(..i.ip + TCP_HEADER)?;
    let mut packet = vec![0; head.len()];
    segment::write(head, i.ip, i.state.next()?, RST | ACK, &[], &mut packet)?;
    Some(packet)
}
