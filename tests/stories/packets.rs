//! Inner IPv4 packets of the stories: TCP, UDP and ICMP echo, made and read.
//!
//! A packet that opens is answered by whoever gets it; an answer is not. TCP tells them apart by its flags,
//! ICMP by its type, UDP here by its one octet of payload.

use pgw_policy::inner::{Inner, Transport};
use std::net::Ipv4Addr;

/// What a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// TCP: SYN.
    Syn,
    /// TCP: SYN and ACK.
    SynAck,
    /// TCP: ACK, in the middle of a connection.
    Ack,
    /// TCP: RST.
    Rst,
    /// UDP: a question.
    Ask,
    /// UDP: its answer.
    Tell,
    /// ICMP echo request.
    Ping,
    /// ICMP echo reply.
    Pong,
}

/// One packet. For echo both ports are the identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Packet {
    pub src: Ipv4Addr,
    pub dst: Ipv4Addr,
    pub sport: u16,
    pub dport: u16,
    pub what: What,
}

impl Packet {
    pub fn new(what: What, src: Ipv4Addr, sport: u16, dst: Ipv4Addr, dport: u16) -> Self {
        Self { src, dst, sport, dport, what }
    }

    /// IP protocol number.
    pub fn protocol(&self) -> u8 {
        match self.what {
            What::Syn | What::SynAck | What::Ack | What::Rst => 6,
            What::Ask | What::Tell => 17,
            What::Ping | What::Pong => 1,
        }
    }

    /// The answer of an ordinary host.
    pub fn answer(&self) -> Option<Self> {
        let what = match self.what {
            What::Syn => What::SynAck,
            What::Ask => What::Tell,
            What::Ping => What::Pong,
            _ => return None,
        };
        Some(Self { src: self.dst, dst: self.src, sport: self.dport, dport: self.sport, what })
    }

    /// The same, from another source.
    pub fn from(self, src: Ipv4Addr) -> Self {
        Self { src, ..self }
    }

    /// The octets.
    pub fn bytes(&self) -> Vec<u8> {
        let [s, d] = [self.sport.to_be_bytes(), self.dport.to_be_bytes()];
        let payload = match self.what {
            What::Syn | What::SynAck | What::Ack | What::Rst => {
                let flags = match self.what {
                    What::Syn => 0x02,
                    What::SynAck => 0x12,
                    What::Rst => 0x04,
                    _ => 0x10,
                };
                [&s[..], &d, &[0, 0, 0, 1, 0, 0, 0, 2, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]].concat()
            }
            What::Ask => [&s[..], &d, &[0, 9, 0, 0], b"?"].concat(),
            What::Tell => [&s[..], &d, &[0, 9, 0, 0], b"!"].concat(),
            What::Ping => [&[8, 0, 0, 0][..], &s, &[0, 1]].concat(),
            What::Pong => [&[0, 0, 0, 0][..], &s, &[0, 1]].concat(),
        };
        let [l1, l2] = ((20 + payload.len()) as u16).to_be_bytes();
        let head = [0x45, 0, l1, l2, 0, 1, 0x40, 0, 64, self.protocol(), 0, 0];
        let mut whole = [&head[..], &self.src.octets(), &self.dst.octets()].concat();
        let sum = whole.chunks(2).fold(0u32, |n, c| n + u32::from(u16::from_be_bytes([c[0], c[1]])));
        let sum = !(((sum & 0xffff) + (sum >> 16)) as u16);
        whole[10..12].copy_from_slice(&sum.to_be_bytes());
        [whole, payload].concat()
    }

    /// Reads one that came out of the gateway. `None` for what these stories do not speak, an ICMP error say, or IPv6.
    pub fn read(octets: &[u8]) -> Option<Self> {
        if octets.first().is_some_and(|b| b >> 4 == 6) {
            return None;
        }
        let inner = Inner::parse(octets).expect("what the gateway sends is well-formed");
        let (what, sport, dport) = match inner.transport {
            Transport::Tcp { src, dst, flags } => {
                let what = match flags & 0x16 {
                    0x02 => What::Syn,
                    0x12 => What::SynAck,
                    0x10 => What::Ack,
                    _ => What::Rst,
                };
                (what, src, dst)
            }
            Transport::Udp { src, dst } => {
                let what = if octets.last() == Some(&b'?') { What::Ask } else { What::Tell };
                (what, src, dst)
            }
            Transport::Echo { request, id } => (if request { What::Ping } else { What::Pong }, id, id),
            _ => return None,
        };
        Some(Self { src: inner.src, dst: inner.dst, sport, dport, what })
    }
}
