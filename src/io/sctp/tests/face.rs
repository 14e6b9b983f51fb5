//! The same stories over real sockets of the loopback interface, whatever carries SCTP.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::timeout;

use crate::io::sctp::{
    DownReason, NGAP_PPID, Sctp, SctpCommand, SctpConfig, SctpCounters, SctpEvent, SctpHandle, SctpMode,
    packet, probe,
};

/// In the environment of a process that is to be a peer: where the server is.
const PEER: &str = "SEKISHO_SCTP_PEER";

/// Long enough for one slow processor that plays kernel and both peers.
pub async fn next(handle: &mut SctpHandle) -> SctpEvent {
    timeout(Duration::from_secs(20), handle.events.recv()).await.expect("in time").expect("an event")
}

/// Each driver draws its port and tags from a seed of its own.
pub fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).unwrap();
    seed
}

/// Waits until the counters are as they should be: they are shown after the events.
pub async fn counted(handle: &mut SctpHandle, right: impl Fn(&SctpCounters) -> bool) {
    let shown = timeout(Duration::from_secs(20), handle.counters.wait_for(|c| right(c))).await.map(drop);
    assert!(shown.is_ok(), "{:?}", handle.counters.borrow());
}

/// A server that hears 127.0.0.1 alone, and a client, with timers for people who wait for a test.
pub fn configs(mode: SctpMode) -> (SctpConfig, SctpConfig) {
    let local = "127.0.0.1".parse().unwrap();
    let mut listen = SctpConfig::new(mode, local, 38412, vec!["127.0.0.1/32".parse().unwrap()]);
    let mut connect = SctpConfig::new(mode, local, 0, vec![]);
    connect.streams = 10;
    for config in [&mut listen, &mut connect] {
        config.timers.rto_initial = Duration::from_millis(200);
        config.timers.rto_min = Duration::from_millis(100);
        config.timers.rto_max = Duration::from_millis(400);
        config.timers.heartbeat = Duration::from_millis(200);
        config.timers.max_retransmissions = 3;
        config.timers.max_init_retransmissions = 2;
    }
    (listen, connect)
}

pub fn at() -> SocketAddr {
    "127.0.0.1:38412".parse().unwrap()
}

/// A server and a client that stand: handles, the server's number, the client's.
pub async fn pair(mode: SctpMode) -> (SctpHandle, SctpHandle, u64, u64) {
    let (listen, connect) = configs(mode);
    let mut server = Sctp::listen(listen, seed()).unwrap();
    let (client, assoc, id) = join(&mut server, connect).await;
    (server, client, assoc, id)
}

/// Ends a transport and waits until its socket is closed: its thread has a moment to say goodbye, and on raw IP
/// it would answer the next server's peers.
pub async fn over(handle: SctpHandle) {
    let SctpHandle { mut events, commands, .. } = handle;
    drop(commands);
    while timeout(Duration::from_secs(20), events.recv()).await.expect("in time").is_some() {}
}

/// One more client.
pub async fn join(server: &mut SctpHandle, connect: SctpConfig) -> (SctpHandle, u64, u64) {
    let (mut client, id) = Sctp::connect(connect, at(), seed()).unwrap();
    let up = next(server).await;
    let SctpEvent::Up { assoc, peer, streams: 10 } = up else { panic!("{up:?}") };
    assert_eq!(peer.ip(), at().ip());
    let up = next(&mut client).await;
    assert!(matches!(up, SctpEvent::Up { assoc, streams: 10, .. } if assoc == id), "{up:?}");
    (client, assoc, id)
}

/// Ten streams, messages of one octet to the longest, both ways, a goodbye.
pub async fn messages(mode: SctpMode) {
    let (mut server, mut client, assoc, id) = pair(mode).await;
    let sizes = [1usize, 200, 1_400, 3_000, 50_000, 60_000, 65_536, 2, 3, 4];
    for (stream, size) in (0..10).zip(sizes) {
        let bytes: Vec<u8> = (0..size).map(|i| (i * 31 + size) as u8).collect();
        let send = |assoc| SctpCommand::Send { assoc, stream, ppid: NGAP_PPID, bytes: bytes.clone() };
        let expect = |assoc| SctpEvent::Data { assoc, stream, ppid: NGAP_PPID, bytes: bytes.clone() };
        client.commands.send(send(id)).await.unwrap();
        assert!(next(&mut server).await == expect(assoc), "{size} octets to the server");
        server.commands.send(send(assoc)).await.unwrap();
        assert!(next(&mut client).await == expect(id), "{size} octets to the client");
    }
    // A stream that was not negotiated becomes stream 0; what cannot be sent hurts nobody.
    for (stream, bytes) in [(77, vec![7]), (1, vec![]), (1, vec![0; 65_537]), (1, vec![8])] {
        server.commands.send(SctpCommand::Send { assoc, stream, ppid: 61, bytes }).await.unwrap();
    }
    assert_eq!(next(&mut client).await, SctpEvent::Data { assoc: id, stream: 0, ppid: 61, bytes: vec![7] });
    assert_eq!(next(&mut client).await, SctpEvent::Data { assoc: id, stream: 1, ppid: 61, bytes: vec![8] });
    // What is queued before a goodbye arrives before it.
    for n in 0..20 {
        let bytes = vec![n; 5_000];
        client.commands.send(SctpCommand::Send { assoc: id, stream: 1, ppid: 60, bytes }).await.unwrap();
    }
    client.commands.send(SctpCommand::Close { assoc: id }).await.unwrap();
    for n in 0..20 {
        let SctpEvent::Data { bytes, .. } = next(&mut server).await else { panic!("message {n}") };
        assert!(bytes == vec![n; 5_000]);
    }
    assert_eq!(next(&mut server).await, SctpEvent::Down { assoc, reason: DownReason::Closed });
    assert_eq!(next(&mut client).await, SctpEvent::Down { assoc: id, reason: DownReason::Closed });
    assert_eq!(client.events.recv().await, None, "a client ends with its association");
    counted(&mut server, |c| (c.up, c.down) == (1, 1)).await;
    over(server).await;
}

/// A server that ends tells its peers, and its port is free again.
pub async fn an_end_is_told(mode: SctpMode) {
    for _ in 0..2 {
        let (server, mut client, _, id) = pair(mode).await;
        over(server).await;
        let down = next(&mut client).await;
        assert!(
            matches!(&down, SctpEvent::Down { assoc, reason: DownReason::Aborted(_) } if *assoc == id),
            "{down:?}"
        );
    }
}

/// The owner's abort is seen on both sides.
pub async fn an_abort(mode: SctpMode) {
    let (mut server, mut client, assoc, id) = pair(mode).await;
    server.commands.send(SctpCommand::Abort { assoc }).await.unwrap();
    assert_eq!(next(&mut server).await, SctpEvent::Down { assoc, reason: DownReason::Ended });
    let down = next(&mut client).await;
    assert!(
        matches!(&down, SctpEvent::Down { assoc, reason: DownReason::Aborted(_) } if *assoc == id),
        "{down:?}"
    );
    over(server).await;
}

/// An address that may not speak hears nothing and is not heard, and hurts nobody.
pub async fn a_stranger(mode: SctpMode) {
    let (listen, connect) = configs(mode);
    let mut server = Sctp::listen(listen, seed()).unwrap();
    let mut strange = connect.clone();
    strange.local = "127.0.0.2".parse().unwrap();
    let (mut stranger, id) = Sctp::connect(strange, at(), seed()).unwrap();
    let down = next(&mut stranger).await;
    assert_eq!(down, SctpEvent::Down { assoc: id, reason: DownReason::Lost }, "silence, not a refusal");
    join(&mut server, connect).await;
    counted(&mut server, |c| c.up == 1).await;
    over(server).await;
}

/// More associations of one address than may be are ended before the owner hears of them.
pub async fn a_crowd(mode: SctpMode) {
    let (mut listen, connect) = configs(mode);
    listen.limits.per_peer = 2;
    let mut server = Sctp::listen(listen, seed()).unwrap();
    let (first, _, first_id) = join(&mut server, connect.clone()).await;
    let _second = join(&mut server, connect.clone()).await;
    let (mut third, _) = Sctp::connect(connect.clone(), at(), seed()).unwrap();
    let end = loop {
        // The kernel completes the handshake before the limit is looked at.
        if let SctpEvent::Down { reason, .. } = next(&mut third).await {
            break reason;
        }
    };
    match mode {
        SctpMode::Kernel => assert!(matches!(end, DownReason::Aborted(_)), "{end:?}"),
        // dcsctp 0.1.16 has no association before the INIT ACK, and so does not hear the ABORT that answers its INIT.
        _ => assert_eq!(end, DownReason::Lost),
    }
    first.commands.send(SctpCommand::Close { assoc: first_id }).await.unwrap();
    let down = next(&mut server).await;
    assert!(matches!(down, SctpEvent::Down { reason: DownReason::Closed, .. }), "{down:?}");
    join(&mut server, connect).await;
    // A client that does not hear the ABORT sends its INIT again.
    counted(&mut server, |c| c.over_limit >= 1 && c.up == 3).await;
    over(server).await;
}

/// A peer whose owner does not read is cut off, and costs a bounded queue.
pub async fn a_peer_that_does_not_read(mode: SctpMode) {
    let (mut server, client, assoc, _) = pair(mode).await;
    let bytes = vec![0; 60_000];
    for sent in 0.. {
        assert!(sent < 400, "24 MB and nobody stopped it");
        let send = SctpCommand::Send { assoc, stream: 0, ppid: 60, bytes: bytes.clone() };
        server.commands.send(send).await.unwrap();
        match timeout(Duration::from_millis(2), server.events.recv()).await {
            Err(_) => {}
            Ok(down) => {
                assert_eq!(down, Some(SctpEvent::Down { assoc, reason: DownReason::Overrun }));
                break;
            }
        }
    }
    over(server).await;
    drop(client);
}

/// Octets that are no SCTP, and packets of our ports that make no sense, beside a standing association.
pub async fn garbage(mode: SctpMode) {
    let (mut server, mut client, assoc, id) = pair(mode).await;
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let raw = || {
        let protocol = socket2::Protocol::from(super::super::probe::IPPROTO_SCTP);
        socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::RAW, Some(protocol)).unwrap()
    };
    let raw = matches!(mode, SctpMode::Raw | SctpMode::Kernel).then(raw);
    let throw = |bytes: &[u8]| match (&raw, mode) {
        (Some(raw), _) => drop(raw.send_to(bytes, &at().into())),
        (None, SctpMode::Udp { port }) => drop(udp.send_to(bytes, ("127.0.0.1", port)).unwrap()),
        _ => unreachable!(),
    };
    let mut noise = 1u64;
    for n in 0..600u32 {
        let octets: Vec<u8> = (0..n % 97)
            .map(|_| {
                noise = noise.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                (noise >> 56) as u8
            })
            .collect();
        match n % 3 {
            0 => throw(&octets),
            // A whole packet with a good checksum from a port of nobody, with any chunk.
            1 => throw(&packet::packet(5, 38412, n, &packet::chunk(n as u8, (n >> 3) as u8, &octets))),
            // Half an INIT.
            _ => throw(&packet::packet(5, 38412, 0, &packet::chunk(1, 0, octets.get(..9).unwrap_or(&[])))),
        }
    }
    let word = |assoc| SctpCommand::Send { assoc, stream: 4, ppid: 60, bytes: vec![1, 2] };
    let heard = |assoc| SctpEvent::Data { assoc, stream: 4, ppid: 60, bytes: vec![1, 2] };
    client.commands.send(word(id)).await.unwrap();
    assert_eq!(next(&mut server).await, heard(assoc));
    server.commands.send(word(assoc)).await.unwrap();
    assert_eq!(next(&mut client).await, heard(id));
    counted(&mut server, |c| c.up == 1).await;
    over(server).await;
}

/// A peer's process is killed with SIGKILL: the association ends, and the next one stands.
pub async fn a_killed_peer(mode: SctpMode, test: &str) {
    let (listen, connect) = configs(mode);
    let mut server = Sctp::listen(listen, seed()).unwrap();
    let mut peer = peer_process(mode, test);
    let up = next(&mut server).await;
    let SctpEvent::Up { assoc, .. } = up else { panic!("{up:?}") };
    let data = next(&mut server).await;
    assert!(matches!(data, SctpEvent::Data { .. }), "{data:?}");
    peer.kill().unwrap();
    peer.wait().unwrap();
    let down = next(&mut server).await;
    let SctpEvent::Down { assoc: gone, reason } = down else { panic!("{down:?}") };
    assert_eq!(gone, assoc);
    match mode {
        // The kernel outlives the process and says goodbye for it.
        SctpMode::Kernel => {
            assert!(matches!(reason, DownReason::Closed | DownReason::Aborted(_)), "{reason:?}");
        }
        _ => assert_eq!(reason, DownReason::Lost),
    }
    join(&mut server, connect).await;
    over(server).await;
}

fn peer_process(mode: SctpMode, test: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([&format!("io::sctp::tests::{test}"), "--exact", "--nocapture"])
        .env(PEER, format!("{mode:?}"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// In a process of [`a_killed_peer`]: connects, says one word, and waits to be killed.
pub async fn be_a_peer_if_asked() {
    let Ok(asked) = std::env::var(PEER) else { return };
    let digits: String = asked.chars().filter(char::is_ascii_digit).collect();
    let mode = match asked.as_str() {
        "Kernel" => SctpMode::Kernel,
        "Raw" => SctpMode::Raw,
        _ => SctpMode::Udp { port: digits.parse().unwrap() },
    };
    let (mut client, id) = Sctp::connect(configs(mode).1, at(), seed()).unwrap();
    assert!(matches!(next(&mut client).await, SctpEvent::Up { .. }));
    let word = SctpCommand::Send { assoc: id, stream: 0, ppid: 60, bytes: vec![1] };
    client.commands.send(word).await.unwrap();
    drop(timeout(Duration::from_secs(60), client.events.recv()).await);
    std::process::exit(3);
}

/// All stories, one after the other.
pub async fn all(mode: SctpMode, test: &str) {
    let began = std::time::Instant::now();
    let told = |what: &str| println!("{mode}: {what} ({} ms)", began.elapsed().as_millis());
    messages(mode).await;
    told("ten streams, messages of 1 to 65536 octets, a goodbye");
    an_end_is_told(mode).await;
    an_abort(mode).await;
    told("ends and aborts are told");
    a_stranger(mode).await;
    told("a stranger is not answered");
    a_crowd(mode).await;
    a_peer_that_does_not_read(mode).await;
    told("limits hold");
    garbage(mode).await;
    told("garbage hurts nobody");
    a_killed_peer(mode, test).await;
    told("a killed peer is gone");
}

#[tokio::test]
async fn over_udp() {
    be_a_peer_if_asked().await;
    // A port of this test's own: ask the kernel for a free one.
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    all(SctpMode::Udp { port }, "face::over_udp").await;
}

#[tokio::test]
async fn over_raw_ip_where_the_machine_allows_it() {
    be_a_peer_if_asked().await;
    let has = probe();
    if has.kernel || !has.raw {
        eprintln!("not run: {has}");
        return;
    }
    all(SctpMode::Raw, "face::over_raw_ip_where_the_machine_allows_it").await;
}

#[test]
fn the_stack_that_cannot_work_here_is_refused_and_the_fix_is_named() {
    let (mode, fix) =
        if probe().kernel { (SctpMode::Raw, "use its own") } else { (SctpMode::Kernel, "modprobe sctp") };
    let (listen, connect) = configs(mode);
    let refused = Sctp::listen(listen, seed()).unwrap_err().to_string();
    assert!(refused.contains(fix), "{refused}");
    let refused = Sctp::connect(connect, at(), seed()).unwrap_err().to_string();
    assert!(refused.contains(fix), "{refused}");
}
