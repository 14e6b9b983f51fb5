//! Another user plane in our place: a program named by the operator, started with a configuration as an Open5GS UPF
//! reads it and told the same script. Nothing of it is in here; what it wants was seen from outside.

use super::{
    GATE, UES,
    gate::{Running, TUN, route},
    script::{CP, RECOVERY, accepted, script},
};
use anyhow::{Context, Result, bail};
use gateway::netlink::index_of;
use std::{
    fs::{self, File},
    io::ErrorKind,
    net::{Ipv4Addr, UdpSocket},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, atomic::Ordering, mpsc},
    time::Duration,
};
use wire::pfcp::{self, HeartbeatResponse, Message, Pdu};

/// Its end of N4.
const NODE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 7);
/// How long an answer is waited for before the request is sent again, and how often it is.
const T1: Duration = Duration::from_millis(50);
const TRIES: u32 = 200;

/// The program with `sessions` sessions, until it is stopped; says when it is ready.
pub(super) fn other(program: &Path, sessions: u32, ready: &mpsc::Sender<Running>) -> Result<()> {
    let dir = tempfile::Builder::new().prefix("sekisho-upf-").tempdir()?;
    let (config, log) = (dir.path().join("upf.yaml"), dir.path().join("log"));
    fs::write(&config, configuration(sessions))?;
    let said = File::create(&log)?;
    // It inherits the namespace of this thread.
    let child = Command::new(program)
        .arg("-c")
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(said.try_clone()?)
        .stderr(said)
        .spawn()
        .with_context(|| format!("{} does not start", program.display()))?;
    let mut child = Started(child);
    child.stand(sessions, ready).with_context(|| {
        let said = fs::read_to_string(&log).unwrap_or_default();
        let last = said.lines().rev().take(5).collect::<Vec<_>>();
        format!("{}; its last lines, the newest first: {last:?}", program.display())
    })
}

fn configuration(sessions: u32) -> String {
    format!(
        "logger: {{ level: error }}\n\
         global: {{ max: {{ ue: {sessions} }} }}\n\
         upf:\n\
         \x20 pfcp: {{ server: [{{ address: {NODE} }}] }}\n\
         \x20 gtpu: {{ server: [{{ address: {GATE} }}] }}\n\
         \x20 session: [{{ subnet: {UES}, dev: {TUN} }}]\n"
    )
}

/// A process that ends with this value.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Started {
    fn stand(&mut self, sessions: u32, ready: &mpsc::Sender<Running>) -> Result<()> {
        let n4 = N4::open()?;
        for request in script(sessions) {
            let request = request?;
            let answer = n4.ask(&request, || self.lives())?;
            accepted(&request, &answer)?;
        }
        // It makes its TUN before it answers; the way there is the operator's.
        route(index_of(TUN)?)?;
        let process = i32::try_from(self.0.id())?;
        // What it writes to the TUN is what the kernel receives there.
        let uplink: Arc<dyn Fn() -> u64 + Send + Sync> = Arc::new(move || {
            let devices = fs::read_to_string(format!("/proc/{process}/net/dev")).unwrap_or_default();
            received(&devices, TUN).unwrap_or_default()
        });
        let stop = Arc::default();
        let running = Running {
            threads: Vec::new(),
            process: Some(process),
            heard: Arc::clone(&uplink),
            uplink,
            stop: Arc::clone(&stop),
        };
        ready.send(running).ok().context("nobody waits")?;
        while !stop.load(Ordering::Relaxed) {
            n4.hear()?;
            self.lives()?;
        }
        Ok(())
    }

    fn lives(&mut self) -> Result<()> {
        match self.0.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("it ended by itself: {status}"),
        }
    }
}

/// Packets that came in on this device, of proc_net(5).
fn received(devices: &str, device: &str) -> Option<u64> {
    let counters = devices.lines().find_map(|l| l.trim_start().strip_prefix(device)?.strip_prefix(':'))?;
    // Octets stand first.
    counters.split_whitespace().nth(1)?.parse().ok()
}

/// The control plane's end of N4.
struct N4(UdpSocket);

impl N4 {
    fn open() -> Result<Self> {
        // Not connected: that nobody listens there yet is no error.
        let socket = UdpSocket::bind((CP, pfcp::PORT))?;
        socket.set_read_timeout(Some(T1))?;
        Ok(Self(socket))
    }

    fn send(&self, pdu: &Pdu) -> Result<()> {
        self.0.send_to(&pdu.encode(), (NODE, pfcp::PORT))?;
        Ok(())
    }

    /// The answer to `request`, which is sent again until it comes or the peer is gone.
    fn ask(&self, request: &Pdu, mut lives: impl FnMut() -> Result<()>) -> Result<Pdu> {
        let kind = request.message.kind();
        for _ in 0..TRIES {
            lives()?;
            self.send(request)?;
            while let Some(heard) = self.hear()? {
                if heard.sequence == request.sequence && heard.message.kind() == kind + 1 {
                    return Ok(heard);
                }
            }
        }
        bail!("PFCP request {} of type {kind} is not answered", request.sequence)
    }

    /// What it says next, within [`T1`]. A heartbeat is answered.
    fn hear(&self) -> Result<Option<Pdu>> {
        let mut octets = [0; 4096];
        let n = match self.0.recv(&mut octets) {
            Ok(n) => n,
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => return Ok(None),
            Err(e) => return Err(e.into()),
        };
        let octets = octets.get(..n).unwrap_or_default();
        let heard = Pdu::parse(octets).map_err(|e| anyhow::anyhow!("PFCP that cannot be read: {e}"))?;
        if let Message::HeartbeatRequest(_) = heard.message {
            let message = HeartbeatResponse { recovery: RECOVERY, others: Vec::new() }.into();
            self.send(&Pdu { seid: None, sequence: heard.sequence, message })?;
        }
        Ok(Some(heard))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_that_came_in_on_the_tun_are_counted() {
        let devices = "Inter-|   Receive                  |  Transmit\n\
             \x20face |bytes    packets errs |bytes    packets errs\n\
             \x20   lo:     100       1    0      100       1    0\n\
             \x20path0: 6400000  100000    0        0       7    0\n\
             \x20path01:      5       9    0        0       0    0\n";
        assert_eq!(received(devices, "path0"), Some(100_000));
        assert_eq!(received(devices, "path"), None);
    }
}
