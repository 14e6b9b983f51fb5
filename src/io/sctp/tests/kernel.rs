//! The stories of the face over the kernel's SCTP.
//!
//! Where this machine's kernel has none, this test boots one that has (`tests/judges/uml.sh`, Debian package
//! user-mode-linux) and runs itself in there, as root of that kernel. Beside it, on this machine, our userspace
//! stack speaks to that kernel over a tap device: Linux judges our stack, and ours judges Linux's options.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use oxirush_sctp::{InitParams, SendOptions, Socket, SocketToAssociation};

use super::face::{self, at, configs, next};
use crate::io::sctp::{DownReason, NGAP_PPID, Sctp, SctpCommand, SctpConfig, SctpEvent, SctpMode, probe};

/// Name of the one test here.
const TEST: &str = "kernel::the_stories_hold_on_a_kernel_with_sctp";

/// In the environment: which part this process plays.
const PART: &str = "SEKISHO_SCTP_PART";

/// The tap device's two ends.
const HOST: &str = "10.77.0.1";
const GUEST: &str = "10.77.0.2";

/// Our userspace stack's port, so that a second life comes from the same one.
const PORT: u16 = 40_123;

#[test]
fn the_stories_hold_on_a_kernel_with_sctp() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // A peer's process inherits the part of the one that starts it.
    runtime.block_on(face::be_a_peer_if_asked());
    match std::env::var(PART).as_deref() {
        Ok("guest") => runtime.block_on(guest(false)),
        Ok("guest with tap") => runtime.block_on(guest(true)),
        Ok("raw") => runtime.block_on(raw_client()),
        _ => {
            if probe().kernel {
                return runtime.block_on(face::all(SctpMode::Kernel, TEST));
            }
            if !Path::new("/usr/bin/linux.uml").exists() {
                println!("skipped: no SCTP in this kernel, and user-mode-linux is not installed");
                return;
            }
            let output = boot();
            let said = String::from_utf8_lossy(&output.stdout);
            print!("{said}{}", String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success(), "{}", output.status);
            assert!(said.contains("guest: all stories hold"), "the guest did not come to its end");
        }
    }
}

/// Boots the other kernel, with a tap device where this user may make one.
fn boot() -> Output {
    let tap = "ip tuntap add tap0 mode tap && ip addr add 10.77.0.1/24 dev tap0 && ip link set tap0 up && \
               ip link set lo up";
    let own = ["--user", "--map-root-user"];
    let own = own.iter().take(if is_root() { 0 } else { 2 });
    let may = Command::new("unshare").args(own.clone()).args(["--net", "sh", "-c", tap]).output();
    let uml = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judges/uml.sh");
    let exe = std::env::current_exe().unwrap();
    let exe = exe.display();
    let me = format!("'{exe}' io::sctp::tests::{TEST} --exact --nocapture");
    if !may.is_ok_and(|o| o.status.success()) {
        println!("skipped: userspace SCTP against the kernel's: this user may not make a tap device");
        let script = format!("{PART}=guest exec {uml} -- {me}");
        return Command::new("sh").args(["-c", &script]).output().unwrap();
    }
    // The raw client goes on until the guest has heard it out; both must end well.
    let script = format!(
        "{tap}; {PART}=raw {me} & {PART}='guest with tap' {uml} -t tap0 -i {GUEST}/24 -- {me}; guest=$?; \
         wait $! && exit $guest"
    );
    Command::new("unshare").args(own).args(["--net", "sh", "-c", &script]).output().unwrap()
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0)
}

async fn guest(tap: bool) {
    assert!(probe().kernel, "this is the kernel that has it");
    let mode = SctpMode::Kernel;
    let mut began = Instant::now();
    let mut told = |what: &str| {
        println!("guest: {what} ({} ms)", began.elapsed().as_millis());
        began = Instant::now();
    };
    face::all(mode, TEST).await;
    told("the stories of the face");
    a_message_that_is_too_long().await;
    told("a message of 100000 octets ends its association");
    a_cable_that_is_cut().await;
    told("a cut cable is a lost peer");
    if tap {
        raw_server().await;
        told("our userspace stack speaks to the kernel's");
    }
    println!("guest: all stories hold");
}

/// Our own face does not send more than it takes; another's does.
async fn a_message_that_is_too_long() {
    let (listen, connect) = configs(SctpMode::Kernel);
    let mut server = Sctp::listen(listen, face::seed()).unwrap();
    let (_neighbour, _, _) = face::join(&mut server, connect).await;
    let socket = Socket::new_v4(SocketToAssociation::OneToOne).unwrap();
    socket.options().set_init_params(InitParams::streams(10, 10)).unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let (liar, _) = socket.connect(at()).await.unwrap();
    let up = next(&mut server).await;
    let SctpEvent::Up { assoc, .. } = up else { panic!("{up:?}") };
    liar.send(&[7; 100_000], SendOptions::new()).await.unwrap();
    let reason = DownReason::Misbehaved("message longer than 64 KiB");
    assert_eq!(next(&mut server).await, SctpEvent::Down { assoc, reason });
    assert_eq!(liar.recv().await.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    face::counted(&mut server, |c| c.misbehaved == 1).await;
    face::over(server).await;
}

/// The loopback interface goes down: nobody can say goodbye.
async fn a_cable_that_is_cut() {
    let (mut server, mut client, assoc, id) = face::pair(SctpMode::Kernel).await;
    let link = |state: &str| {
        assert!(Command::new("ip").args(["link", "set", "lo", state]).status().unwrap().success());
    };
    link("down");
    assert_eq!(next(&mut server).await, SctpEvent::Down { assoc, reason: DownReason::Lost });
    assert_eq!(next(&mut client).await, SctpEvent::Down { assoc: id, reason: DownReason::Lost });
    link("up");
    face::over(server).await;
}

/// The kernel's side of the tap: answers every message, and sees the other's second life.
async fn raw_server() {
    let allowed = vec![format!("{HOST}/32").parse().unwrap()];
    let mut config = SctpConfig::new(SctpMode::Kernel, GUEST.parse().unwrap(), 38412, allowed);
    config.timers = configs(SctpMode::Kernel).0.timers;
    // The first life is silent for a moment: that is not yet a lost peer.
    config.timers.max_retransmissions = 10;
    let mut server = Sctp::listen(config, face::seed()).unwrap();
    let (mut lives, mut heard) = (Vec::new(), 0);
    loop {
        match next(&mut server).await {
            SctpEvent::Up { assoc, peer, .. } => {
                assert_eq!(peer, SocketAddr::new(HOST.parse().unwrap(), PORT));
                lives.push(assoc);
            }
            SctpEvent::Data { assoc, stream, ppid, bytes } => {
                heard += 1;
                server.commands.send(SctpCommand::Send { assoc, stream, ppid, bytes }).await.unwrap();
            }
            SctpEvent::Down { assoc, reason: DownReason::Restarted } => assert_eq!(lives, [assoc]),
            SctpEvent::Down { assoc, reason } => {
                assert_eq!((reason, lives.last()), (DownReason::Closed, Some(&assoc)));
                break;
            }
        }
    }
    assert_eq!((lives.len(), heard), (2, 24));
}

/// Our userspace stack on this machine: two lives from the same port, the first of which ends without a word.
async fn raw_client() {
    let mut config = SctpConfig::new(SctpMode::Raw, HOST.parse().unwrap(), PORT, Vec::new());
    config.streams = 10;
    config.timers.max_init_retransmissions = 0;
    let to = SocketAddr::new(GUEST.parse().unwrap(), 38412);
    let mut server = None;
    let began = Instant::now();
    while server.is_none() {
        assert!(began.elapsed() < Duration::from_secs(60), "the guest listens in time");
        let (mut client, id) = Sctp::connect(config.clone(), to, face::seed()).unwrap();
        match next(&mut client).await {
            SctpEvent::Up { streams: 10, .. } => {
                server = Some((client, id));
            }
            // The guest still boots, or is not yet so far.
            SctpEvent::Down { .. } => tokio::time::sleep(Duration::from_millis(100)).await,
            other => panic!("{other:?}"),
        }
    }
    let (mut first, id) = server.expect("there is one");
    talk(&mut first, id).await;
    // A second life while the first stands: its handle is kept, so it says nothing, and its packets are strays.
    let (mut second, id) = Sctp::connect(config, to, face::seed()).unwrap();
    let up = next(&mut second).await;
    assert!(matches!(up, SctpEvent::Up { .. }), "{up:?}");
    talk(&mut second, id).await;
    second.commands.send(SctpCommand::Close { assoc: id }).await.unwrap();
    assert_eq!(next(&mut second).await, SctpEvent::Down { assoc: id, reason: DownReason::Closed });
    println!("raw: both lives were heard");
}

async fn talk(client: &mut crate::io::sctp::SctpHandle, id: u64) {
    let sizes = [1usize, 100, 1_400, 5_000, 30_000, 60_000, 65_536, 7, 8, 9, 10, 11];
    for (n, size) in sizes.into_iter().enumerate() {
        let (stream, bytes) = ((n % 10) as u16, vec![n as u8; size]);
        let send = SctpCommand::Send { assoc: id, stream, ppid: NGAP_PPID, bytes: bytes.clone() };
        client.commands.send(send).await.unwrap();
        let back = SctpEvent::Data { assoc: id, stream, ppid: NGAP_PPID, bytes };
        assert!(next(client).await == back, "{size} octets come back");
    }
}
