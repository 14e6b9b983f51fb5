//! What liars, strangers and noise get.

use proptest::prelude::*;
use types::Mono;

use super::liar::{Liar, kinds};
use super::world::server_config;
use crate::io::sctp::packet::{self, Packet, T_BIT, kind};
use crate::io::sctp::{DownReason, Driver, SctpConfig, SctpEvent, SctpMode};

const NOW: Mono = Mono(1_000_000_000);

fn server() -> Driver {
    Driver::server(server_config(), [3; 32])
}

fn events(driver: &mut Driver) -> Vec<SctpEvent> {
    std::iter::from_fn(|| driver.poll_event(NOW)).collect()
}

fn flags(answer: &[u8]) -> (u32, u8, u8) {
    let packet = Packet::parse(answer).unwrap();
    let first = packet.first().unwrap();
    (packet.tag, first.kind, first.flags)
}

/// HOSTILE R01. Each variant sends until the association is ended, and is ended before it has sent 256 KiB.
fn oversized(mut next: impl FnMut(&mut Liar, u16) -> Vec<u8>) {
    let mut driver = server();
    let mut honest = Liar::new("10.5.0.3:5000");
    let neighbour = honest.stand(&mut driver, NOW);
    let mut liar = Liar::new("10.5.0.2:5000");
    let id = liar.stand(&mut driver, NOW);
    let mut sent = 0;
    let reason = loop {
        let bytes = next(&mut liar, (sent / 1000) as u16);
        sent += 1000;
        assert!(sent < 256 * 1024, "nobody stopped it");
        let answers = liar.say(&mut driver, NOW, &bytes);
        match events(&mut driver).pop() {
            None => {}
            Some(SctpEvent::Down { assoc, reason }) if assoc == id => {
                assert!(kinds(&answers).contains(&kind::ABORT));
                break reason;
            }
            Some(other) => panic!("{other:?}"),
        }
    };
    assert_eq!(reason, DownReason::Misbehaved("message longer than 64 KiB"));
    assert!(sent > 64_000, "not before the limit: {sent}");
    assert_eq!(driver.len(), 1, "only the neighbour stays");
    let hello = honest.data(3, 0, 0, b"hello");
    honest.say(&mut driver, NOW, &hello);
    assert!(matches!(&events(&mut driver)[..], [SctpEvent::Data { assoc, .. }] if *assoc == neighbour));
}

#[test]
fn a_message_without_an_end() {
    oversized(|liar, n| liar.data(if n == 0 { 2 } else { 0 }, 0, 0, &[7; 1000]));
}

#[test]
fn a_message_without_a_beginning() {
    oversized(|liar, _| liar.data(0, 0, 0, &[7; 1000]));
}

#[test]
fn a_stream_that_skips_its_first_message() {
    oversized(|liar, n| liar.data(3, 0, n + 1, &[7; 1000]));
}

#[test]
fn a_whole_message_of_a_hundred_kilobytes() {
    oversized(|liar, n| liar.data([2, 0, 1][usize::from(n > 0) + usize::from(n == 100)], 0, 0, &[7; 1000]));
}

#[test]
fn a_stream_that_was_not_negotiated() {
    let mut driver = server();
    let mut liar = Liar::new("10.5.0.2:5000");
    let id = liar.stand(&mut driver, NOW);
    let bytes = liar.data(3, 10, 0, b"x"); // it said it would use ten: 0 to 9
    liar.say(&mut driver, NOW, &bytes);
    let reason = DownReason::Misbehaved("stream that was not negotiated");
    assert_eq!(events(&mut driver), [SctpEvent::Down { assoc: id, reason }]);
}

#[test]
fn a_flood_of_init_leaves_nothing() {
    let mut driver = server();
    for n in 1..=10_000u32 {
        let mut liar = Liar::new("10.5.0.2:5000");
        (liar.tag, liar.port) = (n, n as u16 | 1);
        assert_eq!(kinds(&liar.say(&mut driver, NOW, &liar.init())), [kind::INIT_ACK]);
    }
    assert!(driver.is_empty());
    assert_eq!(driver.poll_timeout(), None);
    assert!(events(&mut driver).is_empty());
}

#[test]
fn tags_and_sequence_numbers_do_not_repeat() {
    let mut driver = server();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..1000 {
        let mut liar = Liar::new("10.5.0.2:5000");
        let answers = liar.say(&mut driver, NOW, &liar.init());
        liar.take_init_ack(&answers);
        assert!(seen.insert(liar.server_tag) && seen.insert(liar.server_tsn));
    }
}

#[test]
fn strangers_hear_nothing() {
    let mut driver = server();
    let liar = Liar::new("192.0.2.9:5000");
    assert!(liar.say(&mut driver, NOW, &liar.init()).is_empty());
    assert!(liar.say(&mut driver, NOW, &liar.packet(7, &packet::chunk(kind::DATA, 3, &[0; 20]))).is_empty());
    assert_eq!(driver.counters().not_allowed, 2);
}

#[test]
fn a_cookie_works_for_its_owner_in_its_time_only() {
    let mut driver = server();
    let mut liar = Liar::new("10.5.0.2:5000");
    let answers = liar.say(&mut driver, NOW, &liar.init());
    liar.take_init_ack(&answers);
    // From another address, from another port, with another tag, with an octet changed.
    let mut thief = Liar { at: "10.5.0.9:5000".parse().unwrap(), cookie: liar.cookie.clone(), ..liar };
    assert!(thief.say(&mut driver, NOW, &thief.cookie_echo()).is_empty());
    thief.at = liar.at;
    thief.port += 1;
    assert!(thief.say(&mut driver, NOW, &thief.cookie_echo()).is_empty());
    thief.port -= 1;
    thief.server_tag += 1;
    assert!(thief.say(&mut driver, NOW, &thief.cookie_echo()).is_empty());
    thief.server_tag -= 1;
    thief.cookie[50] ^= 1;
    assert!(thief.say(&mut driver, NOW, &thief.cookie_echo()).is_empty());
    assert_eq!(driver.counters().bad_cookie, 4);
    // Too late: ERROR, Stale Cookie.
    let late = NOW.plus_ms(61_000);
    let answers = liar.say(&mut driver, late, &liar.cookie_echo());
    assert_eq!(flags(&answers[0]), (liar.tag, kind::ERROR, 0));
    assert!(driver.is_empty());
    // In time, and once more: one association, COOKIE ACK twice.
    for _ in 0..2 {
        assert_eq!(kinds(&liar.say(&mut driver, NOW, &liar.cookie_echo())), [kind::COOKIE_ACK]);
    }
    assert_eq!(driver.len(), 1);
    assert_eq!(events(&mut driver).len(), 1);
}

#[test]
fn an_old_cookie_does_not_end_a_standing_association() {
    let mut driver = server();
    let mut liar = Liar::new("10.5.0.2:5000");
    let answers = liar.say(&mut driver, NOW, &liar.init());
    liar.take_init_ack(&answers);
    let old = liar.cookie_echo();
    // Meanwhile the real one restarts twice and stands.
    (liar.tag, liar.tsn) = (0xCCDD, 9);
    let id = liar.stand(&mut driver, NOW);
    assert!(liar.say(&mut driver, NOW, &old).is_empty());
    assert_eq!(driver.len(), 1);
    let hello = liar.data(3, 0, 0, b"still here");
    liar.say(&mut driver, NOW, &hello);
    assert!(matches!(&events(&mut driver)[..], [SctpEvent::Data { assoc, .. }] if *assoc == id));
}

#[test]
fn one_address_gets_so_many_associations_and_others_get_theirs() {
    let mut config = server_config();
    config.limits.per_peer = 3;
    config.limits.associations = 4;
    let mut driver = Driver::server(config, [3; 32]);
    let mut at = |host: &str, port: u16| {
        let mut liar = Liar::new(host);
        liar.port = port;
        let answers = liar.say(&mut driver, NOW, &liar.init());
        if kinds(&answers) == [kind::INIT_ACK] {
            liar.take_init_ack(&answers);
            liar.say(&mut driver, NOW, &liar.cookie_echo());
        }
        kinds(&answers)[0]
    };
    for port in 1..=3 {
        assert_eq!(at("10.5.0.2:5000", port), kind::INIT_ACK);
    }
    assert_eq!(at("10.5.0.2:5000", 4), kind::ABORT);
    assert_eq!(at("10.5.0.3:5000", 1), kind::INIT_ACK);
    assert_eq!(at("10.5.0.4:5000", 1), kind::ABORT, "all places are taken");
    assert_eq!(driver.len(), 4);
    assert_eq!(driver.counters().over_limit, 2);
}

#[test]
fn packets_of_no_association_are_answered_as_rfc_9260_says() {
    let mut driver = server();
    let liar = Liar::new("10.5.0.2:5000");
    let mut say = |kind: u8, flags: u8| {
        liar.say(&mut driver, NOW, &liar.packet(77, &packet::chunk(kind, flags, &[0; 16])))
    };
    for talk in [kind::DATA, kind::SACK, kind::SHUTDOWN, 4, 5] {
        assert_eq!(flags(&say(talk, 0)[0]), (77, kind::ABORT, T_BIT), "chunk type {talk}");
    }
    assert_eq!(flags(&say(kind::SHUTDOWN_ACK, 0)[0]), (77, kind::SHUTDOWN_COMPLETE, T_BIT));
    for quiet in [kind::ABORT, kind::SHUTDOWN_COMPLETE, kind::INIT_ACK, kind::COOKIE_ACK, kind::ERROR] {
        assert!(say(quiet, 0).is_empty(), "chunk type {quiet}");
    }
    assert!(say(kind::COOKIE_ECHO, 0).is_empty());
    // An answer for every packet would make us an amplifier's friend.
    let answers = (0..1000).filter(|_| !say(kind::DATA, 0).is_empty()).count();
    assert!(answers < 100);
}

#[test]
fn on_raw_ip_the_packets_of_other_stacks_are_left_in_silence() {
    let allowed = vec!["10.5.0.0/24".parse().unwrap()];
    let config = SctpConfig::new(SctpMode::Raw, "10.5.0.1".parse().unwrap(), 38412, allowed);
    let mut driver = Driver::server(config, [3; 32]);
    let mut liar = Liar::new("10.5.0.2:0");
    liar.to = 36412;
    assert!(liar.say(&mut driver, NOW, &liar.init()).is_empty());
    assert!(liar.say(&mut driver, NOW, &liar.packet(7, &packet::chunk(kind::DATA, 3, &[0; 20]))).is_empty());
    assert_eq!(driver.counters().not_ours, 2);
    liar.to = 38412;
    assert_eq!(kinds(&liar.say(&mut driver, NOW, &liar.init())), [kind::INIT_ACK]);
    let stray = liar.say(&mut driver, NOW, &liar.packet(7, &packet::chunk(kind::DATA, 3, &[0; 20])));
    assert_eq!(flags(&stray[0]), (7, kind::ABORT, T_BIT));
}

#[test]
fn an_abort_needs_the_right_tag() {
    let mut driver = server();
    let mut liar = Liar::new("10.5.0.2:5000");
    let id = liar.stand(&mut driver, NOW);
    for (tag, flags) in
        [(liar.server_tag ^ 1, 0), (liar.tag ^ 1, T_BIT), (liar.tag, 0), (liar.server_tag, T_BIT)]
    {
        liar.say(&mut driver, NOW, &liar.packet(tag, &packet::chunk(kind::ABORT, flags, &[])));
        assert_eq!(driver.len(), 1, "tag {tag:x} flags {flags}");
    }
    liar.say(&mut driver, NOW, &liar.packet(liar.tag, &packet::chunk(kind::ABORT, T_BIT, &[])));
    assert!(matches!(&events(&mut driver)[..], [SctpEvent::Down { assoc, .. }] if *assoc == id));
}

#[test]
fn a_shutdown_acknowledges_what_was_sent() {
    // The peer takes our message and closes without a SACK of its own.
    let mut driver = server();
    let mut liar = Liar::new("10.5.0.2:5000");
    let id = liar.stand(&mut driver, NOW);
    driver.send_message(id, 0, 60, b"last words".to_vec(), NOW).unwrap();
    assert_eq!(kinds(&[driver.poll_transmit().unwrap().bytes]), [kind::DATA]);
    let shutdown = packet::chunk(kind::SHUTDOWN, 0, &liar.server_tsn.to_be_bytes());
    let answers = liar.say(&mut driver, NOW, &liar.packet(liar.server_tag, &shutdown));
    assert_eq!(kinds(&answers), [kind::SHUTDOWN_ACK]);
    liar.say(
        &mut driver,
        NOW,
        &liar.packet(liar.server_tag, &packet::chunk(kind::SHUTDOWN_COMPLETE, 0, &[])),
    );
    assert_eq!(events(&mut driver), [SctpEvent::Down { assoc: id, reason: DownReason::Closed }]);
}

#[test]
fn a_close_waits_for_what_is_queued_even_if_all_that_was_sent_is_acknowledged() {
    let mut driver = server();
    let mut liar = Liar::new("10.5.0.2:5000");
    let id = liar.stand(&mut driver, NOW);
    driver.send_message(id, 0, 60, vec![1; 60_000], NOW).unwrap();
    driver.close(id, NOW);
    let mut answers: Vec<Vec<u8>> = std::iter::from_fn(|| driver.poll_transmit()).map(|t| t.bytes).collect();
    let mut acked = liar.server_tsn.wrapping_sub(1);
    // One SACK for each whole flight, until the goodbye comes.
    while !kinds(&answers).contains(&kind::SHUTDOWN) {
        let data = kinds(&answers).iter().filter(|k| **k == kind::DATA).count();
        assert!(data > 0, "neither data nor goodbye");
        acked = acked.wrapping_add(data as u32);
        let mut sack = acked.to_be_bytes().to_vec();
        sack.extend([0, 3, 0, 0, 0, 0, 0, 0]);
        answers =
            liar.say(&mut driver, NOW, &liar.packet(liar.server_tag, &packet::chunk(kind::SACK, 0, &sack)));
    }
    let chunks = acked.wrapping_sub(liar.server_tsn) + 1;
    assert!(chunks >= 44, "only {chunks} chunks of 60000 octets were sent before the goodbye");
}

#[test]
fn a_cookie_inside_a_packet_is_not_taken() {
    // dcsctp would believe a cookie of its own kind, which has no MAC.
    let mut driver = server();
    let mut liar = Liar::new("10.5.0.2:5000");
    liar.stand(&mut driver, NOW);
    let mut chunks = packet::chunk(4, 0, &[0, 1, 0, 8, 0, 0, 0, 0]);
    chunks.extend(packet::chunk(kind::COOKIE_ECHO, 0, &[0; 48]));
    assert!(liar.say(&mut driver, NOW, &liar.packet(liar.server_tag, &chunks)).is_empty());
    let mut chunks = packet::chunk(4, 0, &[0, 1, 0, 8, 0, 0, 0, 0]);
    chunks.extend(packet::chunk(kind::INIT, 0, &[1; 16]));
    assert!(liar.say(&mut driver, NOW, &liar.packet(liar.server_tag, &chunks)).is_empty());
    assert_eq!(driver.counters().malformed, 2);
}

/// One chunk of a peer that knows the tag and means no good.
#[derive(Debug, Clone)]
enum Lie {
    Noise {
        kind: u8,
        flags: u8,
        value: Vec<u8>,
    },
    /// A DATA chunk near the expected TSN, with any fragment bits, stream and number.
    Data {
        ahead: i8,
        flags: u8,
        stream: u16,
        ssn: u16,
        octets: usize,
    },
    /// A SACK or SHUTDOWN near what was sent, with any gap blocks.
    Ack {
        kind: u8,
        ahead: i8,
        window: u32,
        gaps: Vec<(u16, u16)>,
    },
}

impl Lie {
    fn chunk(&self, liar: &Liar) -> Vec<u8> {
        match self {
            Self::Noise { kind, flags, value } => packet::chunk(*kind, *flags, value),
            Self::Data { ahead, flags, stream, ssn, octets } => {
                let mut value = liar.tsn.wrapping_add_signed(i32::from(*ahead)).to_be_bytes().to_vec();
                value.extend(stream.to_be_bytes());
                value.extend(ssn.to_be_bytes());
                value.extend(60u32.to_be_bytes());
                value.resize(12 + octets, 7);
                packet::chunk(kind::DATA, *flags, &value)
            }
            Self::Ack { kind, ahead, window, gaps } => {
                let mut value = liar.server_tsn.wrapping_add_signed(i32::from(*ahead)).to_be_bytes().to_vec();
                if *kind == kind::SACK {
                    value.extend(window.to_be_bytes());
                    value.extend((gaps.len() as u16).to_be_bytes());
                    value.extend([0, 0]);
                    value.extend(gaps.iter().flat_map(|(a, b)| [a.to_be_bytes(), b.to_be_bytes()].concat()));
                }
                packet::chunk(*kind, 0, &value)
            }
        }
    }
}

fn lie() -> impl Strategy<Value = Lie> {
    let noise =
        (prop_oneof![0u8..16, any::<u8>()], any::<u8>(), proptest::collection::vec(any::<u8>(), 0..60))
            .prop_map(|(kind, flags, value)| Lie::Noise { kind, flags, value });
    let data = (-3i8..20, 0u8..16, 0u16..12, 0u16..4, 0usize..1200)
        .prop_map(|(ahead, flags, stream, ssn, octets)| Lie::Data { ahead, flags, stream, ssn, octets });
    let gaps = proptest::collection::vec((0u16..9, 0u16..9), 0..4);
    let kinds = prop_oneof![4 => Just(kind::SACK), 1 => Just(kind::SHUTDOWN)];
    let ack = (kinds, -3i8..6, any::<u32>(), gaps).prop_map(|(kind, ahead, window, gaps)| Lie::Ack {
        kind,
        ahead,
        window,
        gaps,
    });
    prop_oneof![noise, data, ack]
}

proptest! {
    /// Well-framed nonsense with the right tag and checksum, in any order with time passing: the process lives,
    /// the neighbour's association works, the memory of the liar's is given back.
    #[test]
    fn nonsense_hurts_its_sender_only(
        packets in proptest::collection::vec((proptest::collection::vec(lie(), 1..4), 0u64..300), 1..40),
        noise in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let mut driver = server();
        let mut honest = Liar::new("10.5.0.3:5000");
        let neighbour = honest.stand(&mut driver, NOW);
        let mut liar = Liar::new("10.5.0.2:5000");
        let id = liar.stand(&mut driver, NOW);
        driver.send_message(id, 0, 60, vec![1; 6000], NOW).unwrap();
        let mut now = NOW;
        for (lies, wait) in packets {
            let chunks: Vec<u8> = lies.iter().flat_map(|lie| lie.chunk(&liar)).collect();
            liar.say(&mut driver, now, &liar.packet(liar.server_tag, &chunks));
            liar.say(&mut driver, now, &liar.packet(0, &chunks));
            liar.say(&mut driver, now, &noise);
            now = now.plus_ms(wait / 10);
            driver.handle_timeout(now);
        }
        while driver.poll_transmit().is_some() {}
        while let Some(event) = driver.poll_event(now) {
            let fell = matches!(event, SctpEvent::Down { reason: DownReason::Internal, .. });
            prop_assert!(!fell, "the protocol machine fell");
        }
        driver.abort(id, now);
        prop_assert_eq!(driver.len(), 1);
        while driver.poll_event(now).is_some() {}
        let hello = honest.data(3, 0, 0, b"hello");
        honest.say(&mut driver, now, &hello);
        let heard: Vec<_> = std::iter::from_fn(|| driver.poll_event(now)).collect();
        let got = matches!(&heard[..], [SctpEvent::Data { assoc, .. }] if *assoc == neighbour);
        prop_assert!(got, "the neighbour was not heard");
    }
}
