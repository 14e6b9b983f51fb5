//! Over real sockets of the loopback interface.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::timeout;

use crate::io::sctp::{
    DownReason, NGAP_PPID, Sctp, SctpCommand, SctpConfig, SctpEvent, SctpHandle, SctpMode, probe,
};

async fn next(handle: &mut SctpHandle) -> SctpEvent {
    timeout(Duration::from_secs(10), handle.events.recv()).await.expect("in time").expect("an event")
}

async fn story(listen: SctpConfig, connect: SctpConfig, to: SocketAddr) {
    let mut server = Sctp::listen(listen, [1; 32]).unwrap();
    let (mut client, id) = Sctp::connect(connect, to, [2; 32]).unwrap();
    let SctpEvent::Up { assoc, peer, streams: 10 } = next(&mut server).await else { panic!() };
    assert_eq!(peer.ip(), to.ip());
    assert!(matches!(next(&mut client).await, SctpEvent::Up { assoc, .. } if assoc == id));
    for size in [1usize, 200, 50_000] {
        let bytes = vec![size as u8; size];
        let send = |assoc| SctpCommand::Send { assoc, stream: 3, ppid: NGAP_PPID, bytes: bytes.clone() };
        client.commands.send(send(id)).await.unwrap();
        let expect = |assoc| SctpEvent::Data { assoc, stream: 3, ppid: NGAP_PPID, bytes: bytes.clone() };
        assert_eq!(next(&mut server).await, expect(assoc));
        server.commands.send(send(assoc)).await.unwrap();
        assert_eq!(next(&mut client).await, expect(id));
    }
    client.commands.send(SctpCommand::Close { assoc: id }).await.unwrap();
    assert_eq!(next(&mut server).await, SctpEvent::Down { assoc, reason: DownReason::Closed });
    assert_eq!(next(&mut client).await, SctpEvent::Down { assoc: id, reason: DownReason::Closed });
    assert_eq!(client.events.recv().await, None, "a client ends with its association");
    assert_eq!(server.counters.borrow().up, 1);
}

fn configs(mode: SctpMode) -> (SctpConfig, SctpConfig) {
    let local = "127.0.0.1".parse().unwrap();
    let listen = SctpConfig::new(mode, local, 38412, vec!["127.0.0.0/8".parse().unwrap()]);
    let mut connect = SctpConfig::new(mode, local, 0, vec![]);
    connect.streams = 10;
    (listen, connect)
}

#[tokio::test]
async fn over_udp() {
    // A port of this test's own: ask the kernel for a free one.
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (listen, connect) = configs(SctpMode::Udp { port });
    story(listen, connect, "127.0.0.1:38412".parse().unwrap()).await;
}

#[tokio::test]
async fn over_raw_ip_where_the_machine_allows_it() {
    let has = probe();
    if has.kernel || !has.raw {
        eprintln!("not run: {has}");
        return;
    }
    let (listen, connect) = configs(SctpMode::Raw);
    story(listen, connect, "127.0.0.1:38412".parse().unwrap()).await;
}

#[tokio::test]
async fn a_server_that_ends_tells_its_peers() {
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (listen, connect) = configs(SctpMode::Udp { port });
    let mut server = Sctp::listen(listen, [1; 32]).unwrap();
    let (mut client, id) = Sctp::connect(connect, "127.0.0.1:38412".parse().unwrap(), [2; 32]).unwrap();
    assert!(matches!(next(&mut server).await, SctpEvent::Up { .. }));
    assert!(matches!(next(&mut client).await, SctpEvent::Up { .. }));
    drop(server);
    let SctpEvent::Down { assoc, reason: DownReason::Aborted(_) } = next(&mut client).await else { panic!() };
    assert_eq!(assoc, id);
}
