//! A peer that speaks SCTP by hand, so that it can lie.

use std::net::SocketAddr;

use types::Mono;

use crate::io::sctp::packet::{self, Packet, be32, kind};
use crate::io::sctp::{Driver, SctpEvent};

pub struct Liar {
    pub at: SocketAddr,
    pub port: u16,
    pub to: u16,
    pub tag: u32,
    pub server_tag: u32,
    pub server_tsn: u32,
    pub tsn: u32,
    pub cookie: Vec<u8>,
}

impl Liar {
    pub fn new(at: &str) -> Self {
        let at = at.parse().unwrap();
        Self {
            at,
            port: 5000,
            to: 38412,
            tag: 0xAABB,
            server_tag: 0,
            server_tsn: 0,
            tsn: 100,
            cookie: vec![],
        }
    }

    pub fn init(&self) -> Vec<u8> {
        let mut value = self.tag.to_be_bytes().to_vec();
        value.extend([0, 1, 0, 0, 0, 10, 0, 10]);
        value.extend(self.tsn.to_be_bytes());
        self.packet(0, &packet::chunk(kind::INIT, 0, &value))
    }

    pub fn packet(&self, tag: u32, chunks: &[u8]) -> Vec<u8> {
        packet::packet(self.port, self.to, tag, chunks)
    }

    /// One packet in; the answers out.
    pub fn say(&self, driver: &mut Driver, now: Mono, bytes: &[u8]) -> Vec<Vec<u8>> {
        driver.on_packet(self.at, bytes, now);
        std::iter::from_fn(|| driver.poll_transmit()).map(|t| t.bytes).collect()
    }

    pub fn take_init_ack(&mut self, answers: &[Vec<u8>]) {
        let ack = Packet::parse(&answers[0]).unwrap().first().unwrap();
        assert_eq!(ack.kind, kind::INIT_ACK);
        self.server_tag = be32(ack.value, 0).unwrap();
        self.server_tsn = be32(ack.value, 12).unwrap();
        assert_eq!(&ack.value[16..18], [0, 7], "the cookie comes first");
        let length = usize::from(packet::be16(ack.value, 18).unwrap());
        self.cookie = ack.value[20..16 + length].to_vec();
    }

    pub fn cookie_echo(&self) -> Vec<u8> {
        self.packet(self.server_tag, &packet::chunk(kind::COOKIE_ECHO, 0, &self.cookie))
    }

    /// A standing association; its number at the server.
    pub fn stand(&mut self, driver: &mut Driver, now: Mono) -> u64 {
        let answers = self.say(driver, now, &self.init());
        self.take_init_ack(&answers);
        let answers = self.say(driver, now, &self.cookie_echo());
        assert_eq!(Packet::parse(&answers[0]).unwrap().first().unwrap().kind, kind::COOKIE_ACK);
        loop {
            if let Some(SctpEvent::Up { assoc, .. }) = driver.poll_event(now) {
                return assoc;
            }
        }
    }

    /// A DATA chunk with these flags (1 = end, 2 = begin) and the next TSN.
    pub fn data(&mut self, flags: u8, stream: u16, ssn: u16, payload: &[u8]) -> Vec<u8> {
        let mut value = self.tsn.to_be_bytes().to_vec();
        self.tsn = self.tsn.wrapping_add(1);
        value.extend(stream.to_be_bytes());
        value.extend(ssn.to_be_bytes());
        value.extend(60u32.to_be_bytes());
        value.extend(payload);
        self.packet(self.server_tag, &packet::chunk(kind::DATA, flags, &value))
    }
}

pub fn kinds(answers: &[Vec<u8>]) -> Vec<u8> {
    answers
        .iter()
        .flat_map(|a| Packet::parse(a).unwrap().chunks().map(|c| c.kind).collect::<Vec<_>>())
        .collect()
}
