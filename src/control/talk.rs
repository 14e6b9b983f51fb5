//! Diameter peers of a [`Site`], by real connections, and the judges of what is said. For stories.

use super::site::{Site, asker, imsi};
use admin_web::{BanRequest, PendingCode, Receipt};
use lab::peer::{Peer, run};
use std::{
    io::Write as _,
    process::{Command, Stdio},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::mpsc,
};
use types::SimState;

/// A peer on its line.
pub struct Talk<P: Peer> {
    pub orders: mpsc::UnboundedSender<P::Order>,
    pub news: mpsc::UnboundedReceiver<P::News>,
}

impl<P: Peer> Talk<P> {
    /// It has connected.
    pub fn begin<S>(stream: S, peer: P) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
        P: Send + 'static,
        P::Order: Send,
        P::News: Send,
    {
        let (orders, wanted) = mpsc::unbounded_channel();
        let (told, news) = mpsc::unbounded_channel();
        tokio::spawn(run(stream, peer, wanted, told));
        Self { orders, news }
    }

    /// The next that it learns.
    pub async fn next(&mut self, w: &mut Site) -> P::News {
        for _ in 0..1_000 {
            w.rest().await;
            if let Ok(n) = self.news.try_recv() {
                return n;
            }
        }
        panic!("nothing is new");
    }

    /// The same where many are under way: what has come already is taken first.
    pub async fn next_of_many(&mut self, w: &mut Site) -> P::News {
        match self.news.try_recv() {
            Ok(n) => n,
            Err(_) => self.next(w).await,
        }
    }

    /// What it learns when it does this.
    pub async fn ask(&mut self, w: &mut Site, order: P::Order) -> P::News {
        assert!(self.orders.send(order).is_ok(), "it runs");
        self.next(w).await
    }

    /// Nothing is new to it.
    pub fn silent(&mut self) -> bool {
        self.news.try_recv().is_err()
    }
}

pub async fn ban(w: &mut Site, n: usize, request: &str) -> Receipt {
    let ban = BanRequest { imsi: imsi(n), state: SimState::Stolen, asker: asker("soc", request) };
    w.ask(|c, tx| c.ban(ban, tx)).await.expect("banned")
}

/// What of foreign nodes is pending.
pub fn waits(r: &Receipt) -> Vec<(PendingCode, Option<String>)> {
    use PendingCode::{MmeNotEffective, MmeUnacknowledged, SmfNotEffective, SmfUnacknowledged};
    let foreign = [MmeUnacknowledged, MmeNotEffective, SmfUnacknowledged, SmfNotEffective];
    r.pending.iter().filter(|p| foreign.contains(&p.code)).map(|p| (p.code, p.detail.clone())).collect()
}

/// The receipt, once it says this.
pub async fn settled(w: &mut Site, n: usize, holds: impl Fn(&Receipt) -> bool) -> Receipt {
    for _ in 0..1_000 {
        let r = w.receipt(n).await;
        if holds(&r) {
            return r;
        }
        w.rest().await;
    }
    panic!("the receipt does not say it: {:?}", w.receipt(n).await);
}

/// A judge that is not there is a failure in CI, and a named skip elsewhere.
pub fn missing(judge: &str) {
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{judge} must be installed where CI=true");
    eprintln!("skipped: {judge} is not installed");
}

/// What the judge says to these words and this input; `None` where it is not there.
pub fn judged(program: &str, words: &[&str], input: &str) -> Option<String> {
    let child = Command::new(program)
        .args(words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut child) = child else {
        missing(program);
        return None;
    };
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("written");
    let out = child.wait_with_output().expect("it ends");
    assert!(out.status.success(), "{program}: {}", out.status);
    Some(String::from_utf8(out.stdout).expect("text"))
}

/// Whether one of our faces says that it has sent this, in its Origin-Host.
fn is_of_ours(octets: &[u8]) -> bool {
    ["hss.example", "pcrf.example"].into_iter().any(|host| {
        let length = u8::try_from(8 + host.len()).expect("short");
        let avp = [&[0, 0, 1, 8, 0x40, 0, 0, length][..], host.as_bytes()].concat();
        octets.windows(avp.len()).any(|w| w == avp)
    })
}

/// A second decoder, which writes what it has read: the same octets. Of ours alone, because it takes some AVPs for others.
fn pycrate_reads(ours: &[Vec<u8>]) {
    const SCRIPT: &str = "import sys\n\
        from pycrate_diameter.Diameter3GPP import Diameter3GPP\n\
        for l in sys.stdin:\n    \
            octets = bytes.fromhex(l)\n    \
            m = Diameter3GPP()\n    \
            m.from_bytes(octets)\n    \
            assert m.to_bytes() == octets, l\n    \
            print(int.from_bytes(octets[5:8], 'big'))\n";
    assert!(!ours.is_empty(), "nothing of ours was heard");
    if !Command::new("python3")
        .args(["-c", "import pycrate_diameter"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|s| s.success())
    {
        return missing("pycrate");
    }
    let lines: Vec<String> = ours.iter().map(|o| types::hex(o)).collect();
    let Some(read) = judged("python3", &["-c", SCRIPT], &(lines.join("\n") + "\n")) else { return };
    let commands: Vec<u32> = ours.iter().map(|o| u32::from_be_bytes([0, o[5], o[6], o[7]])).collect();
    let seen: Vec<u32> = read.lines().map(|l| l.parse().expect("a number")).collect();
    assert_eq!(seen, commands);
}

/// tshark reads all that was said and heard without a complaint, and each of these commands at least twice. Commands that
/// there are not, which it complains of, are named. What our side said is read by pycrate as well.
pub fn tshark_reads(heard: &mut mpsc::UnboundedReceiver<Vec<u8>>, twice: &[u32], none: &[u32]) {
    let (mut dump, mut ours) = (String::new(), Vec::new());
    let mut commands = Vec::new();
    while let Ok(octets) = heard.try_recv() {
        ours.extend(is_of_ours(&octets).then(|| octets.clone()));
        // A header alone, our nonsense, is no Diameter to it.
        let command = u32::from_be_bytes([0, octets[5], octets[6], octets[7]]);
        commands.push(if octets.len() == 20 { 0 } else { command });
        for (line, chunk) in octets.chunks(16).enumerate() {
            let hex: Vec<String> = chunk.iter().map(|o| format!("{o:02x}")).collect();
            dump += &format!("{:06x} {}\n", line * 16, hex.join(" "));
        }
    }
    for command in twice {
        assert!(commands.iter().filter(|c| *c == command).count() >= 2, "{command}: {commands:?}");
    }
    pycrate_reads(&ours);
    let dir = tempfile::tempdir().expect("a directory");
    let (text, pcap) = (dir.path().join("dump.txt"), dir.path().join("said.pcap"));
    std::fs::write(&text, dump).expect("written");
    let path = |p: &std::path::Path| p.to_str().expect("a plain path").to_owned();
    // Each message in a datagram of its own, so that nothing of TCP is judged beside it.
    let made = judged("text2pcap", &["-q", "-u", "3868,3868", &path(&text), &path(&pcap)], "");
    let fields =
        ["-T", "fields", "-e", "diameter.cmd.code", "-e", "_ws.expert.message", "-e", "_ws.malformed"];
    let as_diameter = ["-d", "udp.port==3868,diameter", "-r", &path(&pcap)];
    let read = made.and_then(|_| judged("tshark", &[&as_diameter[..], &fields[..]].concat(), ""));
    let Some(read) = read else { return };
    let lines: Vec<&str> = read.lines().collect();
    let seen: Vec<u32> =
        lines.iter().map(|l| l.split('\t').next().unwrap_or_default().parse().unwrap_or(0)).collect();
    assert_eq!(seen, commands);
    for l in lines.iter().zip(&commands).filter(|(_, c)| **c != 0 && !none.contains(c)).map(|(l, _)| l) {
        assert_eq!(l.split_once('\t').map(|(_, complaints)| complaints.trim()), Some(""), "{l}");
    }
}

/// A message with one AVP told otherwise: `path` leads to it by codes, `how` makes of its data that of none, one or more AVPs.
/// Lengths are right again afterwards, so that only what is meant is wrong.
pub fn retold(octets: &[u8], path: &[u32], how: &dyn Fn(&[u8]) -> Vec<Vec<u8>>) -> Vec<u8> {
    let (header, body) = octets.split_at(20);
    let (body, found) = retold_avps(body, path, how);
    assert!(found, "no AVP {path:?}");
    let mut out = [header, &body].concat();
    let length = u32::try_from(out.len()).expect("short").to_be_bytes();
    out[1..4].copy_from_slice(&length[1..]);
    out
}

fn retold_avps(mut rest: &[u8], path: &[u32], how: &dyn Fn(&[u8]) -> Vec<Vec<u8>>) -> (Vec<u8>, bool) {
    let (mut out, mut found) = (Vec::new(), false);
    while rest.len() >= 8 {
        let code = u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]);
        let length = u32::from_be_bytes([0, rest[5], rest[6], rest[7]]) as usize;
        let head = if rest[4] & 0x80 == 0 { 8 } else { 12 };
        let (this, next) = rest.split_at(length.next_multiple_of(4).min(rest.len()));
        let data = &this[head..length];
        let told = match path {
            [only] if *only == code && !found => Some(how(data)),
            [first, inner @ ..] if *first == code && !inner.is_empty() && !found => {
                let (data, there) = retold_avps(data, inner, how);
                there.then(|| vec![data])
            }
            _ => None,
        };
        found |= told.is_some();
        match told {
            Some(all) => all.iter().for_each(|data| {
                let mut avp = this[..head].to_vec();
                let length = u32::try_from(head + data.len()).expect("short").to_be_bytes();
                avp[5..8].copy_from_slice(&length[1..]);
                avp.extend_from_slice(data);
                avp.resize(avp.len().next_multiple_of(4), 0);
                out.extend(avp);
            }),
            None => out.extend_from_slice(this),
        }
        rest = next;
    }
    (out, found)
}

/// The data that stands there, and once more.
pub fn twice(data: &[u8]) -> Vec<Vec<u8>> {
    vec![data.to_vec(), data.to_vec()]
}
