//! Honest peers on an honest or a bad link.

use super::world::{Link, PORT, SERVER, World, server_config};
use crate::io::sctp::{DownReason, Driver, NGAP_PPID, SctpEvent, SendRefused};

fn blob(size: usize, seed: usize) -> Vec<u8> {
    (0..size).map(|i| ((i * 31 + seed * 7) % 251) as u8).collect()
}

#[test]
fn one_octet_and_fifty_kilobytes_arrive_whole_both_ways() {
    let mut world = World::new();
    let (at, id, up) = world.connected("10.5.0.2:40000", 0, 2);
    let now = world.now;
    let sent = [(0, blob(1, 0)), (1, blob(50_000, 1)), (9, blob(65_536, 2))];
    for (stream, bytes) in sent.clone() {
        world.client(at).send_message(id, stream, NGAP_PPID, bytes.clone(), now).unwrap();
        world.server.send_message(up, stream, 61, bytes, now).unwrap();
    }
    world.run(2000);
    // Streams are ordered each for itself: sort to compare.
    let with = |ppid| sent.iter().map(|(s, b)| (*s, ppid, b.clone())).collect::<Vec<_>>();
    let sorted = |mut heard: Vec<(u16, u32, Vec<u8>)>| {
        heard.sort();
        heard
    };
    assert_eq!(sorted(world.heard(up)), with(NGAP_PPID));
    assert_eq!(sorted(world.client_heard(at, id)), with(61));
    assert!(matches!(world.server_events[0], SctpEvent::Up { streams: 32, .. }));
}

#[test]
fn what_cannot_be_sent_is_refused_and_hurts_nobody() {
    let mut world = World::new();
    let (at, id, up) = world.connected("10.5.0.2:40000", 0, 2);
    let now = world.now;
    assert_eq!(world.server.send_message(up, 0, 60, vec![], now), Err(SendRefused::Size(0)));
    assert_eq!(world.server.send_message(up, 0, 60, vec![0; 65_537], now), Err(SendRefused::Size(65_537)));
    assert_eq!(world.server.send_message(77, 0, 60, vec![1], now), Err(SendRefused::Gone));
    // A stream that was not negotiated becomes stream 0.
    world.server.send_message(up, 500, 60, vec![1], now).unwrap();
    world.run(100);
    assert_eq!(world.client_heard(at, id), [(0, 60, vec![1])]);
}

#[test]
fn a_link_that_loses_and_reorders_delays_but_changes_nothing() {
    let mut world = World::new();
    let (at, id, up) = world.connected("10.5.0.2:40000", 0, 2);
    world.link = Link { loss: 10, reorder: 20 };
    for round in 0..40 {
        let now = world.now;
        let size = [1, 300, 1400, 4000, 50_000][round % 5];
        let stream = (round % 3) as u16;
        world.client(at).send_message(id, stream, 60, blob(size, round), now).unwrap();
        world.server.send_message(up, stream, 60, blob(size, round + 1000), now).unwrap();
        world.run(100);
    }
    world.run(60_000);
    let expect = |stream: u16, base: usize| -> Vec<(u16, u32, Vec<u8>)> {
        (0..40)
            .filter(|r| (r % 3) as u16 == stream)
            .map(|r| (stream, 60, blob([1, 300, 1400, 4000, 50_000][r % 5], r + base)))
            .collect()
    };
    for stream in 0..3 {
        let of =
            |heard: Vec<(u16, u32, Vec<u8>)>| heard.into_iter().filter(|m| m.0 == stream).collect::<Vec<_>>();
        assert_eq!(of(world.heard(up)), expect(stream, 0));
        assert_eq!(of(world.client_heard(at, id)), expect(stream, 1000));
    }
    assert_eq!(world.down(up), None);
}

#[test]
fn the_handshake_survives_a_bad_link() {
    let mut world = World::new();
    world.link = Link { loss: 20, reorder: 30 };
    for n in 0..20u8 {
        world.connect(&format!("10.5.0.{}:40000", n + 10), 0, n);
    }
    world.run(30_000);
    let ups = world.client_events.iter().filter(|(_, e)| matches!(e, SctpEvent::Up { .. })).count();
    let downs: Vec<_> =
        world.client_events.iter().filter(|(_, e)| matches!(e, SctpEvent::Down { .. })).collect();
    assert_eq!(ups, 20, "{downs:?}");
    // A lost COOKIE ACK must not make a second association.
    assert_eq!(world.server.counters().up - world.server.counters().down, world.server.len() as u64);
}

#[test]
fn a_gnb_that_was_killed_comes_back_on_the_same_port() {
    let mut world = World::new();
    let (_, _, old) = world.connected("10.5.0.2:40000", 38412, 2);
    // kill -9, and a new process on the same address and ports.
    let (at, id, new) = world.connected("10.5.0.2:40000", 38412, 3);
    assert_ne!(old, new);
    assert_eq!(world.down(old), Some(&DownReason::Restarted));
    assert_eq!(world.server.len(), 1);
    let now = world.now;
    world.server.send_message(new, 0, 60, vec![7], now).unwrap();
    world.run(100);
    assert_eq!(world.client_heard(at, id), [(0, 60, vec![7])]);
}

#[test]
fn our_restart_is_learnt_by_the_gnb_at_its_first_packet() {
    let mut world = World::new();
    let (at, id, _) = world.connected("10.5.0.2:40000", 0, 2);
    world.server = Driver::server(server_config(), [77; 32]);
    let now = world.now;
    world.client(at).send_message(id, 0, 60, vec![1], now).unwrap();
    world.run(20);
    assert!(matches!(world.client_down(at, id), Some(DownReason::Aborted(_))));
    assert!(world.server.is_empty());
}

#[test]
fn a_goodbye_with_messages_under_way_loses_none() {
    let mut world = World::new();
    let (at, id, up) = world.connected("10.5.0.2:40000", 0, 2);
    let now = world.now;
    for n in 0..30 {
        world.client(at).send_message(id, 1, 60, blob(20_000, n), now).unwrap();
        world.server.send_message(up, 1, 60, blob(3_000, n), now).unwrap();
    }
    world.client(at).close(id, now);
    world.run(5000);
    assert_eq!(world.heard(up).len(), 30);
    assert_eq!(world.client_heard(at, id).len(), 30);
    assert_eq!(world.down(up), Some(&DownReason::Closed));
    assert_eq!(world.client_down(at, id), Some(&DownReason::Closed));
    assert!(world.server.is_empty() && world.clients[&at].is_empty());
}

#[test]
fn ten_thousand_come_and_go_and_nothing_stays() {
    // HOSTILE R03, in three variants: closed by the peer, closed by us, aborted.
    let mut world = World::new();
    let at = "10.5.0.2:40000".parse().unwrap();
    for n in 0..10_000u32 {
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&n.to_be_bytes());
        let mut client = Driver::client(super::world::client_config(0), seed);
        let id = client.connect(SERVER.parse().unwrap(), PORT, world.now);
        world.clients.insert(at, client);
        world.run(10);
        let Some(SctpEvent::Up { assoc, .. }) = world.server_events.last() else { panic!("round {n}") };
        let (assoc, now) = (*assoc, world.now);
        match n % 3 {
            0 => world.client(at).close(id, now),
            1 => world.server.close(assoc, now),
            _ => world.client(at).abort(id, now),
        }
        world.run(10);
        assert!(world.server.is_empty(), "round {n}");
        world.server_events.clear();
        world.client_events.clear();
    }
    let counters = world.server.counters();
    assert_eq!((counters.up, counters.down), (10_000, 10_000));
    assert_eq!(world.server.poll_timeout(), None, "no timer stays");
}

#[test]
fn a_silent_peer_is_given_up_after_half_a_minute() {
    let mut world = World::new();
    let (_, _, up) = world.connected("10.5.0.2:40000", 0, 2);
    world.clients.clear();
    world.run(25_000);
    assert_eq!(world.down(up), None);
    world.run(20_000);
    assert_eq!(world.down(up), Some(&DownReason::Lost));
    assert!(world.server.is_empty());
}

#[test]
fn a_peer_that_does_not_read_is_cut_off() {
    let mut world = World::new();
    let (_, _, up) = world.connected("10.5.0.2:40000", 0, 2);
    world.clients.clear();
    let now = world.now;
    let mut refused = None;
    for _ in 0..40 {
        if let Err(why) = world.server.send_message(up, 0, 60, vec![0; 60_000], now) {
            refused = Some(why);
            break;
        }
    }
    assert_eq!(refused, Some(SendRefused::Overrun));
    world.run(1);
    assert_eq!(world.down(up), Some(&DownReason::Overrun));
}

#[test]
fn nobody_answers_a_connect() {
    let mut world = World::new();
    let (at, id) = world.connect("10.9.0.2:40000", 0, 2); // not in the allow-list
    world.run(60_000);
    assert_eq!(world.client_down(at, id), Some(&DownReason::Lost));
    assert!(world.server.counters().not_allowed >= 5);
    assert!(world.server_events.is_empty());
}

#[test]
fn a_slow_owner_slows_the_peer_and_memory_stays_bounded() {
    let mut world = World::new();
    let (at, id, up) = world.connected("10.5.0.2:40000", 0, 2);
    // Drive by hand, without taking the server's events.
    let (server, client) = (&mut world.server, world.clients.get_mut(&at).unwrap());
    let mut now = world.now;
    for n in 0..64 {
        client.send_message(id, 1, 60, blob(15_000, n), now).unwrap();
    }
    let mut held = 0;
    for _ in 0..4000 {
        now = now.plus_ms(1);
        client.handle_timeout(now);
        server.handle_timeout(now);
        while let Some(t) = client.poll_transmit() {
            server.on_packet(at, &t.bytes, now);
        }
        while let Some(t) = server.poll_transmit() {
            client.on_packet(SERVER.parse().unwrap(), &t.bytes, now);
        }
    }
    while let Some(event) = server.poll_event(Default::default()) {
        if let SctpEvent::Data { bytes, .. } = event {
            held += bytes.len();
        }
    }
    assert!(held < 640_000, "{held} octets were held for a reader that did not come");
    world.now = now;
    world.run(30_000);
    let later: usize = world.heard(up).iter().map(|m| m.2.len()).sum();
    assert_eq!(held + later, 64 * 15_000, "and nothing was lost");
}

#[test]
fn a_peer_whose_udp_port_changed_is_answered_at_the_new_one() {
    let mut world = World::new();
    let (at, id, up) = world.connected("10.5.0.2:40000", 0, 2);
    // The NAT forgets: the same client now comes from another port.
    let client = world.clients.remove(&at).unwrap();
    let moved = "10.5.0.2:41111".parse().unwrap();
    world.clients.insert(moved, client);
    let now = world.now;
    world.client(moved).send_message(id, 0, 60, vec![1], now).unwrap();
    world.run(100);
    world.server.send_message(up, 0, 60, vec![2], world.now).unwrap();
    world.run(100);
    assert_eq!(world.heard(up), [(0, 60, vec![1])]);
    assert_eq!(world.client_heard(moved, id), [(0, 60, vec![2])]);
    assert_eq!(world.down(up), None);
}
