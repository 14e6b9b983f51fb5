//! Which SQN comes next (TS 33.102 Annex C.1, partly time-based), and what must be durable before it.
//!
//! SQN is SEQ ‖ IND. SEQ = max(last + 1, clock + offset of the SIM), the clock ticking every 0.1 s, and
//! it rises across all values of IND. IND names who asks: its high bits our own node, its low bits the
//! serving node. Two nodes therefore never give the same SQN, and each keeps a [`SqnState`] of its own.
//!
//! A *ceiling* is written ahead: no SQN above it leaves. What may have been used before a crash is thus
//! known without a write per vector, and a start goes on above the ceiling. SIMs whose SEQ follows the clock have a
//! common one, the [`horizon`](crate::horizon); the ceiling that counts is the higher of the two. In the order of things
//! that can go wrong:
//!
//! | what | what saves us |
//! | --- | --- |
//! | crash, kill −9 | the ceiling, or the horizon |
//! | the clock steps back | the same; within a process [`SqnClock`] does not see steps at all |
//! | an old backup is restored | the clock, and [`SqnState::after_restore`] |
//! | a card is ahead, or more than Δ behind (the clock was wrong; it lay in a drawer for ten months) | its AUTS moves the offset ([`SqnGenerator::resync`]) |
//! | somebody asks for vectors without end | at most `max_ahead` ticks ahead, then back-off |

use serde::{Deserialize, Serialize};
use thiserror::Error;
use types::{Mono, Now, Sqn, Utc};

/// Length of a tick, milliseconds.
pub const TICK_MS: i64 = 100;
/// How far a ceiling is written above the clock: one hour. While the store is away, a SIM that is in
/// use can authenticate for at least half of it.
pub(crate) const LEAD: u64 = 36_000;
/// How far a ceiling is written above SEQ where SEQ has outrun the clock, or there is none.
pub(crate) const RESERVE: u64 = 64;
/// An imported SIM starts so far above the SEQ that its last owner exported.
const IMPORT_GAP: u64 = 1_024;
/// How far a restored SIM jumps: a little over 29 hours, far more than a SIM can have outrun the clock.
const RESTORE_JUMP: u64 = 1 << 20;

/// Where SEQ comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SqnMode {
    /// From the clock and the SIM's offset.
    Time,
    /// From the last one alone: for cards whose Δ is small.
    Counter,
}

/// How a batch of cards checks SQN, and how we make it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SqnProfile {
    /// Bits of IND, 0–16; ordinary cards have 5.
    pub ind_bits: u8,
    /// How many of them, from the high end, name our own node; the others name the serving node.
    pub node_bits: u8,
    /// Δ: the largest jump of SEQ that the card takes.
    pub delta: u64,
    /// Where SEQ comes from.
    pub mode: SqnMode,
    /// How many ticks a SIM may run ahead of the clock; one vector costs one tick.
    pub max_ahead: u64,
}

impl Default for SqnProfile {
    /// Array of 32, Δ = 2^28 (TS 33.102 Annex C.3), four nodes, eight serving nodes, ten minutes ahead.
    fn default() -> Self {
        Self { ind_bits: 5, node_bits: 2, delta: 1 << 28, mode: SqnMode::Time, max_ahead: 6_000 }
    }
}

/// A profile that cannot keep the nodes apart, or cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("IND of {ind_bits} bits with {node_bits} for the node cannot tell {nodes} nodes apart")]
pub struct IndSplitError {
    ind_bits: u8,
    node_bits: u8,
    nodes: u8,
}

impl SqnProfile {
    /// Refuses a profile that would let two of `nodes` nodes give the same SQN.
    ///
    /// # Errors
    /// [`IndSplitError`] where the split of IND has no room, or IND has more than 16 bits.
    pub fn check(&self, nodes: u8) -> Result<(), IndSplitError> {
        let fits = self.ind_bits <= 16
            && self.node_bits <= self.ind_bits
            && u32::from(nodes) <= 1u32 << self.node_bits;
        if fits {
            Ok(())
        } else {
            Err(IndSplitError { ind_bits: self.ind_bits, node_bits: self.node_bits, nodes })
        }
    }

    /// IND of a vector that `node` makes for serving node number `serving`. Serving nodes beyond the
    /// room share a value, which costs nothing but tolerance of disorder on the card.
    pub fn ind(&self, node: u8, serving: u64) -> u64 {
        let low_bits = self.ind_bits.saturating_sub(self.node_bits);
        let room = |bits: u8| (1u64 << bits.min(16)) - 1;
        (u64::from(node) & room(self.node_bits)) << low_bits | (serving & room(low_bits))
    }

    fn max_seq(&self) -> u64 {
        Sqn::MAX >> self.ind_bits.min(16)
    }
}

/// What of a SIM's SQN is durable, per node of ours. It is written before a vector that needs it leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SqnState {
    /// SEQ = clock + offset, in ticks.
    pub offset: i64,
    /// No SEQ above it has left, or above the horizon's where SEQ follows the clock.
    pub ceiling: u64,
    /// How often the card has moved the offset; a write with a lower count than the stored one is stale.
    pub resyncs: u32,
}

impl SqnState {
    /// Of a SIM that is new at `now`: its first SEQ, if it were used at once, is 1.
    pub fn fresh(now: Utc) -> Self {
        Self { offset: 1 - ticks(now), ceiling: 0, resyncs: 0 }
    }

    /// Of a SIM whose last owner exported `seq`: it starts 1 024 above.
    pub fn imported(seq: u64, now: Utc) -> Self {
        let first = seq.saturating_add(IMPORT_GAP);
        Self { offset: above(first, ticks(now)), ceiling: first.saturating_sub(1), resyncs: 0 }
    }

    /// What a state out of a backup becomes when it is restored at `now` and the database that it
    /// replaces is lost (one that can still be read keeps its SQN states): above all that this node can
    /// have given since the backup was taken, provided that its clock is right.
    #[must_use]
    pub fn after_restore(self, now: Utc) -> Self {
        let wall = wall(ticks(now), self.offset);
        Self { ceiling: self.ceiling.max(wall).saturating_add(RESTORE_JUMP), ..self }
    }

    /// With what a horizon that is given up says of the SIM as its own ceiling.
    #[must_use]
    pub fn folded(self, mode: SqnMode, horizon: i64) -> Self {
        Self { ceiling: self.ceiling_with(mode, horizon), ..self }
    }

    fn ceiling_with(&self, mode: SqnMode, horizon: i64) -> u64 {
        match mode {
            SqnMode::Counter => self.ceiling,
            SqnMode::Time => self.ceiling.max(wall(horizon, self.offset)),
        }
    }
}

/// The SQN clock of a process: wall-clock at its start, monotonic from there, so a step is not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqnClock {
    utc: Utc,
    mono: Mono,
}

impl SqnClock {
    /// Starts at `now`.
    pub fn new(now: Now) -> Self {
        Self { utc: now.utc, mono: now.mono }
    }

    /// Ticks since 1970 at `now`.
    pub fn ticks(&self, now: Now) -> i64 {
        let elapsed = i64::try_from(now.mono.ms_since(self.mono)).unwrap_or(i64::MAX);
        ticks(Utc(self.utc.0.saturating_add(elapsed)))
    }
}

/// The answer to "which SQN is next?".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// This one; it is used up.
    Ready(Sqn),
    /// None before this state is durable. Make it so, tell [`SqnGenerator::persisted`], ask again.
    Persist(SqnState),
    /// The SIM has run too far ahead; ask again after so many ticks.
    Backoff {
        /// Ticks of 0.1 s.
        ticks: u64,
    },
    /// SEQ is at its end; the card must be replaced.
    Exhausted,
}

/// What a valid AUTS led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resync {
    /// The next SQN would be accepted as it is.
    Unchanged,
    /// The offset has moved; the state must be durable before the next vector leaves.
    Moved(SqnState),
}

/// SQN of one SIM at one node.
#[derive(Debug, Clone)]
pub struct SqnGenerator {
    profile: SqnProfile,
    durable: SqnState,
    /// Moved by the card and not yet durable: nothing leaves until it is.
    moved: Option<SqnState>,
    /// The highest SEQ that has, or may have, left.
    last: u64,
    /// `last` when the generator was loaded or re-synchronised, and the tick of that moment.
    since: (u64, i64),
}

impl SqnGenerator {
    /// Goes on from what is durable, the horizon of earlier lives included. All up to the ceiling counts as used.
    pub fn load(profile: SqnProfile, durable: SqnState, clock: i64, horizon: i64) -> Self {
        let last = durable.ceiling_with(profile.mode, horizon);
        Self { profile, durable, moved: None, last, since: (last, clock) }
    }

    /// The profile that it was loaded with.
    pub fn profile(&self) -> &SqnProfile {
        &self.profile
    }

    /// What is durable, as far as it was told.
    pub fn state(&self) -> SqnState {
        self.durable
    }

    /// The next SQN for `ind` at tick `clock`, where `horizon` is durable.
    pub fn next(&mut self, ind: u64, clock: i64, horizon: i64) -> Next {
        if let Some(moved) = self.moved {
            return Next::Persist(moved);
        }
        let seq = self.candidate(clock);
        let limit = self.limit(clock);
        if seq > limit {
            return Next::Backoff { ticks: seq - limit };
        }
        let Some(sqn) = Sqn::from_seq_ind(seq, ind, self.profile.ind_bits) else {
            return Next::Exhausted;
        };
        if seq > self.durable.ceiling_with(self.profile.mode, horizon) {
            return Next::Persist(self.raised(seq, clock));
        }
        self.last = seq;
        Next::Ready(sqn)
    }

    /// A ceiling worth writing in the background, so that no later vector has to wait for it.
    pub fn renewal(&self, clock: i64, horizon: i64) -> Option<SqnState> {
        if self.moved.is_some() {
            return None;
        }
        let next = self.candidate(clock);
        let wanted = self.raised(next, clock);
        // Room above the next one, not the last: a SIM that was silent has used up what the clock has passed.
        let room =
            |s: SqnState| s.ceiling_with(self.profile.mode, horizon).saturating_add(1).saturating_sub(next);
        (room(self.durable) < room(wanted) / 2).then_some(wanted)
    }

    /// `state` is durable. What is older than what we know is ignored.
    pub fn persisted(&mut self, state: SqnState) {
        if state.resyncs < self.durable.resyncs {
            return;
        }
        if state.resyncs == self.durable.resyncs {
            self.durable.ceiling = self.durable.ceiling.max(state.ceiling);
            return;
        }
        self.durable = state;
        if self.moved.is_some_and(|m| m.resyncs <= state.resyncs) {
            self.moved = None;
        }
    }

    /// The card has proved (MAC-S was right) that the highest SQN it accepted is `sqn_ms`
    /// (TS 33.102 §6.3.5). Where our next SEQ would be accepted the AUTS was about a vector that came
    /// late, and nothing moves.
    pub fn resync(&mut self, sqn_ms: Sqn, clock: i64) -> Resync {
        let seq_ms = sqn_ms.seq(self.profile.ind_bits);
        let next = self.candidate(clock);
        if next > seq_ms && next - seq_ms <= self.profile.delta {
            return match self.moved {
                Some(moved) => Resync::Moved(moved),
                None => Resync::Unchanged,
            };
        }
        self.last = seq_ms;
        self.since = (seq_ms, clock);
        let resyncs = self.moved.map_or(self.durable.resyncs, |m| m.resyncs).saturating_add(1);
        let offset = above(seq_ms.saturating_add(1), clock);
        let moved = SqnState { offset, ceiling: 0, resyncs };
        let moved = SqnState { ceiling: self.lead(seq_ms.saturating_add(1), clock, offset), ..moved };
        self.moved = Some(moved);
        Resync::Moved(moved)
    }

    fn offset(&self) -> i64 {
        self.moved.map_or(self.durable.offset, |m| m.offset)
    }

    /// SEQ that would come next, whatever ceiling and limit say.
    fn candidate(&self, clock: i64) -> u64 {
        let next = self.last.saturating_add(1);
        match self.profile.mode {
            SqnMode::Counter => next,
            SqnMode::Time => next.max(wall(clock, self.offset())),
        }
    }

    /// The highest SEQ that may be given at `clock`: the clock, or where the SIM stood when it was
    /// loaded and the time since, and `max_ahead` above.
    fn limit(&self, clock: i64) -> u64 {
        let (seq, at) = self.since;
        let by_time = match self.profile.mode {
            SqnMode::Time => wall(clock, self.offset()),
            SqnMode::Counter => 0,
        };
        let since = seq.saturating_add(u64::try_from(clock.saturating_sub(at)).unwrap_or(0));
        by_time.max(since).saturating_add(self.profile.max_ahead)
    }

    fn raised(&self, seq: u64, clock: i64) -> SqnState {
        let offset = self.offset();
        SqnState { ceiling: self.lead(seq, clock, offset).max(self.durable.ceiling), ..self.durable }
    }

    /// The ceiling to write when `seq` is about to be used.
    fn lead(&self, seq: u64, clock: i64, offset: i64) -> u64 {
        let by_time = match self.profile.mode {
            SqnMode::Time => wall(clock, offset).saturating_add(LEAD),
            SqnMode::Counter => 0,
        };
        seq.saturating_add(RESERVE).max(by_time).min(self.profile.max_seq())
    }
}

fn ticks(utc: Utc) -> i64 {
    utc.0.div_euclid(TICK_MS)
}

/// clock + offset; never below 0.
fn wall(clock: i64, offset: i64) -> u64 {
    u64::try_from(clock.saturating_add(offset)).unwrap_or(0)
}

/// The offset that makes clock + offset equal to `seq`.
fn above(seq: u64, clock: i64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX).saturating_sub(clock)
}
