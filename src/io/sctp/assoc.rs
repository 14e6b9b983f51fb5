//! One association: a dcsctp socket, and the cures it needs.
//!
//! The socket is the protocol machine of RFC 9260 (data transfer, retransmission, heartbeat, shutdown). It is
//! sans-IO and knows neither addresses nor other associations. What is added here:
//!
//! - **Shutdown.** dcsctp 0.1.16 does not read the Cumulative TSN Ack of a SHUTDOWN, so a peer that closes right
//!   after our last message would stall. Before a packet with SHUTDOWN, a SACK with that TSN is fed.
//! - **Close after the queue.** A close waits until everything queued was acknowledged; dcsctp looks only at what
//!   it has sent already.
//! - **The largest message.** A message that is longer than [`MAX_MESSAGE`], or octets that no missing packet can
//!   complete (a message without an end, a stream that skips its first number), end the association.
//! - **A fall is contained.** Should the machine panic on some input, this association ends and no other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use dcsctp::api::{
    DcSctpSocket, ErrorKind, Message, Options, PpId, SendError, SendOptions, Socket, SocketEvent,
    SocketState, SocketTime, StreamId,
};
use types::Mono;

use super::packet::{self, Packet, be16, be32, kind};
use super::{DownReason, MAX_MESSAGE, SctpConfig};

/// Receive window, octets: four of the largest message. It bounds what a peer can make us hold.
pub(super) const WINDOW: usize = 4 * MAX_MESSAGE;

/// dcsctp advertises, and accepts, nine tenths of its window.
const WATERMARK: usize = (WINDOW as f32 * 0.9) as usize;

/// Octets that may wait to be sent; more means that the peer does not read.
const SEND_QUEUE: usize = 1 << 20;

/// How long a lone DATA chunk waits for its SACK (RFC 9260 §6.2 allows 500 ms). Signalling is a dialogue: a peer
/// that bundles small messages holds the next one back until the last one is acknowledged, and an attach waits
/// with it.
pub(super) const SACK_DELAY: Duration = Duration::from_millis(10);

/// What happened to the association in one step.
pub(super) enum Step {
    /// A packet to send.
    Transmit(Vec<u8>),
    /// The association stands; `streams` may be sent on.
    Up { streams: u16 },
    /// A whole message.
    Data(Message),
    /// It ended.
    Down(DownReason),
}

/// One association.
pub(super) struct Assoc {
    socket: Socket,
    born: Mono,
    local_port: u16,
    peer_port: u16,
    /// Streams we may send on, and streams the peer may send on; 0 before it stands.
    outbound: u16,
    inbound: u16,
    /// A close was asked for and waits for the queue.
    closing: bool,
    /// Messages were left in the socket because the reader is behind.
    held: bool,
    up: bool,
    ended: Option<DownReason>,
}

impl Assoc {
    /// A socket that waits for its COOKIE ECHO (server) or for `connect` (client).
    pub fn new(config: &SctpConfig, local_port: u16, peer_port: u16, now: Mono) -> Self {
        Self {
            socket: Socket::new("n2", &options(config, local_port, peer_port)),
            born: now,
            local_port,
            peer_port,
            outbound: 0,
            inbound: 0,
            closing: false,
            held: false,
            up: false,
            ended: None,
        }
    }

    /// Sends INIT. The tag and TSN come from the generator that the caller has seeded.
    pub fn connect(&mut self, now: Mono) {
        self.advance(now);
        self.socket.connect();
    }

    /// Our verification tag; 0 before it has one.
    pub fn local_tag(&self) -> u32 {
        self.socket.verification_tag()
    }

    /// Our port and the peer's.
    pub fn ports(&self) -> (u16, u16) {
        (self.local_port, self.peer_port)
    }

    /// Whether messages wait in the socket for a reader.
    pub fn is_held(&self) -> bool {
        self.held
    }

    /// A packet of this association, checksum already verified.
    pub fn input(&mut self, packet: &Packet<'_>, now: Mono) {
        self.advance(now);
        if let Some(shutdown) = packet.chunks().find(|c| c.kind == kind::SHUTDOWN) {
            self.acknowledge(packet.tag, shutdown.value);
        }
        self.feed(packet.bytes());
    }

    /// The COOKIE ECHO that makes or confirms the association: dcsctp's own cookie instead of ours, then
    /// whatever was bundled behind it.
    pub fn input_cookie(&mut self, packet: &Packet<'_>, inner: &[u8], now: Mono) {
        self.advance(now);
        let mut chunks = packet::chunk(kind::COOKIE_ECHO, 0, inner);
        chunks.extend_from_slice(packet.after_first());
        self.feed(&packet::packet(packet.src_port, packet.dst_port, packet.tag, &chunks));
    }

    /// RFC 9260 §9.2: the Cumulative TSN Ack of a SHUTDOWN acknowledges like that of a SACK.
    fn acknowledge(&mut self, tag: u32, shutdown: &[u8]) {
        let Some(tsn) = shutdown.get(..4) else { return };
        let mut sack = tsn.to_vec();
        sack.extend_from_slice(&(WINDOW as u32).to_be_bytes());
        sack.extend_from_slice(&[0; 4]);
        let chunk = packet::chunk(kind::SACK, 0, &sack);
        self.feed(&packet::packet(self.peer_port, self.local_port, tag, &chunk));
    }

    fn feed(&mut self, bytes: &[u8]) {
        let socket = &mut self.socket;
        // A panic in the protocol machine is a bug that a peer found: this association pays, the others live.
        if catch_unwind(AssertUnwindSafe(|| socket.handle_input(bytes))).is_err() {
            self.ended = Some(DownReason::Internal);
        }
    }

    fn advance(&mut self, now: Mono) {
        let age = Duration::from_nanos(now.0.saturating_sub(self.born.0));
        let socket = &mut self.socket;
        let at = SocketTime::zero() + age;
        if catch_unwind(AssertUnwindSafe(|| socket.advance_time(at))).is_err() {
            self.ended = Some(DownReason::Internal);
        }
    }

    /// Lets timers that are due fire.
    pub fn timeout(&mut self, now: Mono) {
        self.advance(now);
    }

    /// When [`Self::timeout`] is next due.
    pub fn next_timeout(&self) -> Option<Mono> {
        let at = self.socket.poll_timeout();
        if at == SocketTime::infinite_future() {
            return None;
        }
        let after = u64::try_from((at - SocketTime::zero()).as_nanos()).ok()?;
        Some(Mono(self.born.0.saturating_add(after)))
    }

    /// Queues one message. A stream that was not negotiated becomes stream 0, which always exists.
    ///
    /// # Errors
    /// Why it was not queued.
    pub fn send(&mut self, stream: u16, ppid: u32, bytes: Vec<u8>, now: Mono) -> Result<(), SendError> {
        self.advance(now);
        let stream = if stream < self.outbound { stream } else { 0 };
        let message = Message::new(StreamId(stream), PpId(ppid), bytes);
        self.socket.send(message, &SendOptions::default())
    }

    /// Asks for a graceful end once everything queued is acknowledged.
    pub fn close(&mut self, now: Mono) {
        self.advance(now);
        self.closing = true;
    }

    /// Ends at once with ABORT; `reason` is what the owner hears.
    pub fn abort(&mut self, reason: DownReason, now: Mono) {
        self.advance(now);
        self.socket.close();
        self.ended = Some(reason);
    }

    /// Takes what the socket has to say. `room` is false while the reader is behind: messages then stay in the
    /// socket, the window closes, and the peer waits.
    pub fn drain(&mut self, room: bool, out: &mut Vec<Step>) {
        if self.closing && self.is_quiet() {
            self.socket.shutdown();
        }
        let before = out.len();
        // A peer that says goodbye gets its last messages heard, whatever the reader's pace: the window bounds them.
        let leaving = self.socket.state() == SocketState::ShuttingDown;
        let mut ready = 0;
        let mut fault = None;
        self.held = !room && !leaving && self.socket.messages_ready_count() > 0;
        let was_held = self.held;
        while !was_held && let Some(message) = self.socket.get_next_message() {
            ready += message.payload.len();
            if message.payload.len() > MAX_MESSAGE {
                fault = Some(DownReason::Misbehaved("message longer than 64 KiB"));
            } else if self.up && message.stream_id.0 >= self.inbound {
                fault = Some(DownReason::Misbehaved("stream that was not negotiated"));
            } else {
                out.push(Step::Data(message));
            }
        }
        let messages: Vec<Step> = out.drain(before..).collect();
        let mut end = None;
        while let Some(event) = self.socket.poll_event() {
            match event {
                SocketEvent::SendPacket(bytes) => {
                    if !was_held && stuck(&bytes, ready) {
                        fault = Some(DownReason::Misbehaved("message longer than 64 KiB"));
                    }
                    out.push(Step::Transmit(bytes));
                }
                SocketEvent::OnConnected() => self.stand(out),
                SocketEvent::OnClosed() => end = Some(DownReason::Closed),
                SocketEvent::OnAborted(kind, text) => end = Some(aborted(kind, text)),
                SocketEvent::OnError(kind, text) => tracing::debug!(?kind, "SCTP: {text}"),
                _ => {}
            }
        }
        out.extend(messages);
        if let Some(reason) = fault
            && end.is_none()
            && self.ended.is_none()
        {
            self.socket.close();
            self.ended = Some(reason);
            while let Some(event) = self.socket.poll_event() {
                if let SocketEvent::SendPacket(bytes) = event {
                    out.push(Step::Transmit(bytes));
                }
            }
        }
        if let Some(reason) = self.ended.take().or(end) {
            out.push(Step::Down(reason));
        }
    }

    fn stand(&mut self, out: &mut Vec<Step>) {
        if let Some(metrics) = self.socket.get_metrics() {
            self.outbound = metrics.negotiated_maximum_outgoing_streams;
            self.inbound = metrics.negotiated_maximum_incoming_streams;
        }
        self.up = true;
        out.push(Step::Up { streams: self.outbound });
    }

    /// Whether all that was queued has been acknowledged.
    fn is_quiet(&self) -> bool {
        self.socket.get_metrics().is_none_or(|m| m.unack_data_count == 0)
    }

    /// Whether the association stands, or stood.
    pub fn is_up(&self) -> bool {
        self.up
    }
}

/// RFC 9260 §6.9: the fragments of a message have consecutive TSNs. So when no TSN is missing (a SACK without gap
/// blocks), what is still not delivered is one message without its end, or nothing that could ever be delivered.
/// `ready` octets were complete at the time of the SACK.
fn stuck(bytes: &[u8], ready: usize) -> bool {
    let Some(packet) = Packet::parse(bytes) else { return false };
    let Some(sack) = packet.chunks().find(|c| c.kind == kind::SACK) else { return false };
    let (Some(window), Some(gaps)) = (be32(sack.value, 4), be16(sack.value, 8)) else { return false };
    let waiting = WATERMARK.saturating_sub(window as usize).saturating_sub(ready);
    gaps == 0 && waiting > MAX_MESSAGE
}

fn aborted(kind: ErrorKind, text: String) -> DownReason {
    match kind {
        ErrorKind::TooManyRetries => DownReason::Lost,
        ErrorKind::PeerReported => DownReason::Aborted(text),
        ErrorKind::ProtocolViolation => DownReason::Misbehaved("protocol violation"),
        _ => DownReason::Internal,
    }
}

fn options(config: &SctpConfig, local_port: u16, peer_port: u16) -> Options {
    let timers = &config.timers;
    Options {
        local_port,
        remote_port: peer_port,
        announced_maximum_incoming_streams: config.streams,
        announced_maximum_outgoing_streams: config.streams,
        mtu: config.packet_size(),
        max_message_size: MAX_MESSAGE,
        max_receiver_window_buffer_size: WINDOW,
        max_send_buffer_size: SEND_QUEUE,
        per_stream_send_queue_limit: SEND_QUEUE,
        total_buffered_amount_low_threshold: 0,
        rto_initial: timers.rto_initial,
        rto_min: timers.rto_min,
        rto_max: timers.rto_max,
        delayed_ack_max_timeout: SACK_DELAY,
        t1_init_timeout: timers.rto_initial,
        t1_cookie_timeout: timers.rto_initial,
        t2_shutdown_timeout: timers.rto_initial,
        max_timer_backoff_duration: Some(timers.rto_max),
        // dcsctp 0.1.16 waits `rto_initial` for the answer to a HEARTBEAT, and the next HEARTBEAT starts that wait
        // anew: sent sooner than that, no silence would ever be counted.
        heartbeat_interval: timers.heartbeat.max(timers.rto_initial + Duration::from_millis(10)),
        max_retransmissions: Some(timers.max_retransmissions),
        max_init_retransmits: Some(timers.max_init_retransmissions),
        enable_partial_reliability: false,
        enable_message_interleaving: false,
        // The driver has verified it before it looked for the association.
        disable_checksum_verification: true,
        ..Options::default()
    }
}
