//! A server, clients, and a link that may lose and reorder, under one clock that only the test moves.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use types::Mono;

use crate::io::sctp::{DownReason, Driver, SctpConfig, SctpEvent, SctpMode};

pub const SERVER: &str = "10.5.0.1:9899";
pub const PORT: u16 = 38412;

pub fn server_config() -> SctpConfig {
    let allowed = vec!["10.5.0.0/24".parse().unwrap()];
    SctpConfig::new(SctpMode::Udp { port: 9899 }, "10.5.0.1".parse().unwrap(), PORT, allowed)
}

pub fn client_config(port: u16) -> SctpConfig {
    SctpConfig::new(SctpMode::Udp { port: 9899 }, "10.5.0.2".parse().unwrap(), port, Vec::new())
}

/// What the link does to a packet, in percent and milliseconds.
#[derive(Clone, Copy, Default)]
pub struct Link {
    pub loss: u32,
    pub reorder: u32,
}

pub struct World {
    pub now: Mono,
    pub server: Driver,
    pub clients: BTreeMap<SocketAddr, Driver>,
    pub link: Link,
    /// Under way: when it arrives, a number, from, to, octets.
    flying: BTreeMap<(Mono, u64), (SocketAddr, SocketAddr, Vec<u8>)>,
    count: u64,
    rng: ChaCha20Rng,
    pub server_events: Vec<SctpEvent>,
    pub client_events: Vec<(SocketAddr, SctpEvent)>,
}

impl World {
    pub fn new() -> Self {
        Self::with(server_config())
    }

    pub fn with(config: SctpConfig) -> Self {
        Self {
            now: Mono(5_000_000_000),
            server: Driver::server(config, [1; 32]),
            clients: BTreeMap::new(),
            link: Link::default(),
            flying: BTreeMap::new(),
            count: 0,
            rng: ChaCha20Rng::from_seed([9; 32]),
            server_events: Vec::new(),
            client_events: Vec::new(),
        }
    }

    /// A client at this address that starts to connect.
    pub fn connect(&mut self, at: &str, port: u16, seed: u8) -> (SocketAddr, u64) {
        let at: SocketAddr = at.parse().unwrap();
        let mut client = Driver::client(client_config(port), [seed; 32]);
        let id = client.connect(SERVER.parse().unwrap(), PORT, self.now);
        self.clients.insert(at, client);
        (at, id)
    }

    /// A client that is connected; its address and number, and the server's number for it.
    pub fn connected(&mut self, at: &str, port: u16, seed: u8) -> (SocketAddr, u64, u64) {
        let (at, id) = self.connect(at, port, seed);
        self.run(50);
        let up = self.server_events.iter().rev().find_map(|e| match e {
            SctpEvent::Up { assoc, peer, .. } if peer.ip() == at.ip() => Some(*assoc),
            _ => None,
        });
        (at, id, up.expect("the association stands"))
    }

    pub fn client(&mut self, at: SocketAddr) -> &mut Driver {
        self.clients.get_mut(&at).unwrap()
    }

    fn collect(&mut self) {
        let server: SocketAddr = SERVER.parse().unwrap();
        let now = self.now;
        while let Some(t) = self.server.poll_transmit() {
            self.fly(server, t.to, t.bytes);
        }
        while let Some(event) = self.server.poll_event(now) {
            self.server_events.push(event);
        }
        let mut out = Vec::new();
        for (at, client) in &mut self.clients {
            while let Some(t) = client.poll_transmit() {
                out.push((*at, t));
            }
            while let Some(event) = client.poll_event(now) {
                self.client_events.push((*at, event));
            }
        }
        for (at, t) in out {
            self.fly(at, t.to, t.bytes);
        }
        // Taking events may have opened a window.
        if self.server.poll_transmit().is_some() {
            panic!("poll_event left packets behind the test's back");
        }
    }

    fn fly(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        if self.rng.next_u32() % 100 < self.link.loss {
            return;
        }
        let late = if self.rng.next_u32() % 100 < self.link.reorder { 7 } else { 1 };
        self.count += 1;
        self.flying.insert((self.now.plus_ms(late), self.count), (from, to, bytes));
    }

    /// Lets `ms` milliseconds pass.
    pub fn run(&mut self, ms: u64) {
        let end = self.now.plus_ms(ms);
        loop {
            self.collect();
            let timer = self.clients.values().chain([&self.server]).filter_map(Driver::poll_timeout).min();
            let packet = self.flying.keys().next().map(|(at, _)| *at);
            let Some(next) = [timer, packet].into_iter().flatten().min().filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(next);
            while let Some(entry) = self.flying.first_entry().filter(|e| e.key().0 <= self.now) {
                let (from, to, bytes) = entry.remove();
                if to == SERVER.parse().unwrap() {
                    self.server.on_packet(from, &bytes, self.now);
                } else if let Some(client) = self.clients.get_mut(&to) {
                    client.on_packet(from, &bytes, self.now);
                }
            }
            self.server.handle_timeout(self.now);
            for client in self.clients.values_mut() {
                client.handle_timeout(self.now);
            }
        }
        self.now = end;
    }

    /// The messages the server got on one association, in order: stream, PPID, octets.
    pub fn heard(&self, id: u64) -> Vec<(u16, u32, Vec<u8>)> {
        messages(self.server_events.iter(), id)
    }

    /// The same for a client.
    pub fn client_heard(&self, at: SocketAddr, id: u64) -> Vec<(u16, u32, Vec<u8>)> {
        messages(self.client_events.iter().filter(|(a, _)| *a == at).map(|(_, e)| e), id)
    }

    pub fn down(&self, id: u64) -> Option<&DownReason> {
        down(self.server_events.iter(), id)
    }

    pub fn client_down(&self, at: SocketAddr, id: u64) -> Option<&DownReason> {
        down(self.client_events.iter().filter(|(a, _)| *a == at).map(|(_, e)| e), id)
    }
}

fn messages<'a>(events: impl Iterator<Item = &'a SctpEvent>, id: u64) -> Vec<(u16, u32, Vec<u8>)> {
    events
        .filter_map(|e| match e {
            SctpEvent::Data { assoc, stream, ppid, bytes } if *assoc == id => {
                Some((*stream, *ppid, bytes.clone()))
            }
            _ => None,
        })
        .collect()
}

fn down<'a>(events: impl Iterator<Item = &'a SctpEvent>, id: u64) -> Option<&'a DownReason> {
    events
        .filter_map(|e| match e {
            SctpEvent::Down { assoc, reason } if *assoc == id => Some(reason),
            _ => None,
        })
        .next()
}
