//! The radio of the site: a gNB and its UEs, as real processes see them.
//!
//! The cores (`lab::gnb`, `lab::ue`) say what goes over N2; here are their sockets: SCTP, GTP-U, and a TUN interface
//! for each PDU session, which is moved into the namespace of the UE's host. One thread reads N3, one reads each
//! TUN. This radio is stubborn: it goes on sending into a tunnel after the network has released it, so that what
//! stops a banned SIM is the gateway and nothing else.

mod asks;
mod flood;

pub use asks::{AmfAt, RanAnswer, RanAsk};

use crate::io::sctp::{
    NGAP_PORT, NGAP_PPID, Sctp, SctpCommand, SctpConfig, SctpEvent, SctpHandle, SctpMode,
    UDP_ENCAPSULATION_PORT,
};
use anyhow::{Context, Result, bail};
use flood::noise;
use gateway::time::now;
use lab::{
    gnb::{self, Gnb, GnbConfig, GnbLies, SessionTunnel, UeKey},
    relay::Relay,
    site::{net::Net, pipe},
    ue::{self, Lies, Session, Ue, UeConfig, UeEvent},
};
use sim_auth::Usim;
use std::{
    cell::RefCell,
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    rc::Rc,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, oneshot, watch};
use tun_rs::{DeviceBuilder, SyncDevice};
use types::{Dnn, Imsi, K, Mono, Opc, PduSessionId, Plmn, Supi};
use wire::{
    gtpu,
    nas::{
        fgs::{PduSessionType, UeSecurityCapability},
        security::{Nea, Nia},
    },
    ngap::{Cause, GlobalGnbId, RadioCause},
};

/// The one PDU session of each UE here.
const SESSION: u8 = 1;

/// How long an attach may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where downlink packets go, by our TEID.
type Downlink = Arc<RwLock<HashMap<u32, Arc<SyncDevice>>>>;

/// Runs the radio until its standard input ends.
pub fn run() -> Result<()> {
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&rt, async {
        let net = Net::open()?;
        net.up("lo").await?;
        let radio = Rc::new(Radio { net, inner: RefCell::default() });
        pipe::answer(move |ask| {
            let radio = radio.clone();
            async move { radio.obey(ask).await }
        })
        .await
    })
}

struct Radio {
    net: Net,
    inner: RefCell<Inner>,
}

#[derive(Default)]
struct Inner {
    cell: Option<Cell>,
    /// UE key n is number n - 1, and again at every multiple of [`KEYS`] above it.
    ues: Vec<UeEntry>,
    names: HashMap<String, usize>,
    /// UEs that may have something to say.
    stirred: Vec<usize>,
    /// What stands between us and the AMF.
    relay: Option<Relay>,
    /// Sessions without an interface, past ones too: this radio is stubborn.
    bare: Bare,
}

/// What the flood sends from: each bare session's address, its end at the core, and our QFI.
type Bare = Arc<RwLock<Vec<(Ipv4Addr, SessionTunnel)>>>;
/// More UEs than a radio has: the keys of one UE's connections, one after the other, are so far apart. It divides 2^32.
const KEYS: u32 = 1 << 20;
/// Past sessions that are still sent from.
const BARE: usize = 30_000;

/// The gNB with its sockets.
struct Cell {
    plmn: Plmn,
    gnb: Gnb,
    sctp: mpsc::Sender<SctpCommand>,
    assoc: u64,
    n3: Arc<UdpSocket>,
    downlink: Downlink,
    ready: watch::Sender<Option<Result<(), String>>>,
}

/// A UE with what its owner waits for.
struct UeEntry {
    key: UeKey,
    core: Ue,
    dnn: Dnn,
    session: Option<Session>,
    tunnel: Option<SessionTunnel>,
    attach: Option<oneshot::Sender<Ended>>,
}

/// How an attach ended.
enum Ended {
    Up(Session, SessionTunnel),
    Refused {
        cause: u8,
        protected: bool,
    },
    NoSession(Option<u8>),
    /// The radio connection went before an answer came.
    Lost,
}

impl Radio {
    async fn obey(self: &Rc<Self>, ask: RanAsk) -> Result<RanAnswer> {
        match ask {
            RanAsk::Up { address } => {
                self.net.address("eth0", address).await?;
                self.net.up("eth0").await?;
            }
            RanAsk::Gnb { name, plmn, tac, slice, address, amf } => {
                let config = GnbConfig {
                    id: GlobalGnbId { plmn, id: 1, bits: 22 },
                    name,
                    plmn,
                    tac,
                    slices: vec![slice],
                    n3: address.into(),
                    lies: GnbLies::default(),
                };
                self.connect(config, address, amf).await?;
            }
            RanAsk::Ue { name, imsi, k, opc, dnn } => {
                self.inner.borrow_mut().add_ue(name, imsi, &k, &opc, dnn)?
            }
            RanAsk::Attach { ue, host } => return self.attach(&ue, Some(host), PATIENCE).await,
            RanAsk::AttachBare { ue } => return self.attach(&ue, None, PATIENCE).await,
            RanAsk::TryBare { ue, within_ms } => {
                let within = Duration::from_millis(within_ms);
                let tried = tokio::time::timeout(within, self.attach(&ue, None, within)).await;
                return tried.unwrap_or(Ok(RanAnswer::Silence));
            }
            RanAsk::MoreBare { ue, id, dnn } => {
                let id =
                    PduSessionId::try_from(id).map_err(|_| anyhow::anyhow!("session numbers are 1 to 15"))?;
                let session_type = PduSessionType::IPV4;
                let more = ue::Input::Establish { id, dnn: Some(dnn), slice: None, session_type };
                let ended = self.begin(&ue, more, None, PATIENCE).await?;
                return ended.context("the radio connection was lost");
            }
            RanAsk::Deaf { ue } => self.inner.borrow_mut().ue(&ue)?.core.lies().deaf = true,
            RanAsk::Reconnect => self.inner.borrow().give_up_n2(),
            RanAsk::Cards => return Ok(self.inner.borrow_mut().cards()),
            RanAsk::Flood { to, per_second } => self.inner.borrow().flood(to, per_second)?,
            RanAsk::Noise { to, datagrams, beginning } => {
                let n3 = self.inner.borrow().cell.as_ref().context("there is no gNB")?.n3.clone();
                // The radio goes on with its other duties.
                tokio::task::spawn_blocking(move || noise(&n3, to, datagrams, &beginning)).await?;
            }
            RanAsk::NgapNoise { messages } => {
                let (sctp, assoc) = {
                    let inner = self.inner.borrow();
                    let cell = inner.cell.as_ref().context("there is no gNB")?;
                    (cell.sctp.clone(), cell.assoc)
                };
                let mut chance = fastrand::Rng::with_seed(13);
                for n in 0..messages {
                    let mut bytes: Vec<u8> = (0..chance.usize(1..=300)).map(|_| chance.u8(..)).collect();
                    if n % 3 == 0 {
                        // An initiating message, its procedure, its criticality (TS 38.413 §9.4).
                        let begins = [0, chance.u8(..64), [0, 0x40, 0x80][chance.usize(..3)]];
                        bytes.splice(..begins.len().min(bytes.len()), begins);
                    }
                    let command = SctpCommand::Send { assoc, stream: 0, ppid: NGAP_PPID, bytes };
                    sctp.send(command).await.ok().context("N2 has ended")?;
                }
            }
            RanAsk::Damage { per_mille, seed } => {
                self.inner.borrow_mut().relay = Some(Relay::new(per_mille, seed));
            }
            RanAsk::Damaged => {
                let tally = self.inner.borrow().relay.as_ref().map(Relay::tally);
                return Ok(RanAnswer::Damaged(tally.unwrap_or_default()));
            }
            RanAsk::LetGo { ue } => {
                let mut inner = self.inner.borrow_mut();
                let key = inner.ue(&ue)?.key;
                let cause = Cause::RadioNetwork(RadioCause::USER_INACTIVITY);
                let cell = inner.cell.as_mut().context("there is no gNB")?;
                cell.gnb.handle(gnb::Input::AskRelease { ue: key, cause }, now());
                inner.pump();
            }
            RanAsk::PowerCycle { ue } => {
                let mut inner = self.inner.borrow_mut();
                let u = inner.ue(&ue)?;
                u.core.handle(ue::Input::PowerCycle, now());
                // It has vanished without a word: what it says next makes a radio connection of its own.
                u.key = UeKey(u.key.0.wrapping_add(KEYS));
                inner.pump();
            }
        }
        Ok(RanAnswer::Done)
    }

    /// Opens N3 and N2 and waits for NG Setup.
    async fn connect(self: &Rc<Self>, config: GnbConfig, address: Ipv4Addr, amf: AmfAt) -> Result<()> {
        let n3 = Arc::new(UdpSocket::bind((address, gtpu::PORT)).context("N3")?);
        let downlink = Downlink::default();
        receive_n3(n3.clone(), downlink.clone());
        let (handle, assoc) = open_n2(address, amf)?;
        let (ready, mut settled) = watch::channel(None);
        let cell = Cell {
            plmn: config.plmn,
            gnb: Gnb::new(config, now(), gateway::sys::random()?),
            sctp: handle.commands,
            assoc,
            n3,
            downlink,
            ready,
        };
        self.inner.borrow_mut().cell = Some(cell);
        tokio::task::spawn_local(self.clone().keep_n2(handle.events, address, amf));
        let settled = tokio::time::timeout(PATIENCE, settled.wait_for(Option::is_some)).await;
        match settled.context("the AMF does not answer NG Setup")??.clone() {
            Some(Err(why)) => bail!(why),
            _ => Ok(()),
        }
    }

    /// Carries N2, moves the timers on, and connects again when the core was restarted.
    async fn keep_n2(self: Rc<Self>, mut events: mpsc::Receiver<SctpEvent>, address: Ipv4Addr, amf: AmfAt) {
        loop {
            let next = self.inner.borrow().next_timeout();
            let wait = next.map(|t| Duration::from_nanos(t.0.saturating_sub(now().mono.0)));
            tokio::select! {
                e = events.recv() => match e {
                    Some(e) => self.inner.borrow_mut().n2(e),
                    None => {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        if let Ok((handle, assoc)) = open_n2(address, amf) {
                            events = handle.events;
                            self.inner.borrow_mut().reconnected(handle.commands, assoc);
                        }
                    }
                },
                // A timer of a UE may be set by a question meanwhile, so the wait is never long.
                () = tokio::time::sleep(wait.unwrap_or(PATIENCE).min(Duration::from_millis(100))) => {
                    self.inner.borrow_mut().tick();
                }
            }
        }
    }

    /// A UE looks for a cell before it speaks, and a gNB without its AMF has none on air.
    async fn cell_on_air(&self) {
        while !self.inner.borrow().cell.as_ref().is_some_and(|c| c.gnb.is_ready()) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Registers a UE and sets its session up. One whose radio connection goes on the way, because the core behind
    /// its cell was restarted, tries again (TS 24.501 §5.5.1.2.7).
    async fn attach(self: &Rc<Self>, name: &str, host: Option<u32>, patience: Duration) -> Result<RanAnswer> {
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            tokio::time::timeout(left, self.cell_on_air()).await.context("no cell is on air")?;
            let left = deadline.saturating_duration_since(Instant::now());
            if let Some(answer) = self.begin(name, ue::Input::Register, host, left).await? {
                return Ok(answer);
            }
        }
    }

    /// Has a UE do something that ends with a session; `None` where its radio connection went before.
    async fn begin(
        self: &Rc<Self>,
        name: &str,
        what: ue::Input,
        host: Option<u32>,
        patience: Duration,
    ) -> Result<Option<RanAnswer>> {
        let start = Instant::now();
        let (tx, rx) = oneshot::channel();
        {
            let mut inner = self.inner.borrow_mut();
            let ue = inner.ue(name)?;
            (ue.attach, ue.session, ue.tunnel) = (Some(tx), None, None);
            ue.core.handle(what, now());
            inner.pump();
        }
        let ended =
            tokio::time::timeout(patience, rx).await.with_context(|| format!("{name} got no answer"))??;
        let us = start.elapsed().as_micros() as u64;
        match ended {
            Ended::Lost => Ok(None),
            Ended::Refused { cause, protected } => Ok(Some(RanAnswer::Refused { cause, protected, us })),
            Ended::NoSession(cause) => Ok(Some(RanAnswer::NoSession { cause })),
            Ended::Up(session, tunnel) => {
                let mut dev = String::new();
                if let Some(host) = host {
                    let tun;
                    (dev, tun) = self.inner.borrow().interface(&tunnel)?;
                    self.net.give(&dev, host).await?;
                    self.inner.borrow().carry(&tunnel, tun);
                } else {
                    self.inner.borrow().join_flood(session.address, tunnel);
                }
                let mtu = session.mtu.unwrap_or(types::DataNetwork::default_mtu());
                Ok(Some(RanAnswer::Attached { ip: session.address, mtu, dev, us }))
            }
        }
    }
}

impl Inner {
    fn ue(&mut self, name: &str) -> Result<&mut UeEntry> {
        let n = *self.names.get(name).with_context(|| format!("there is no UE {name}"))?;
        self.stirred.push(n);
        self.ues.get_mut(n).with_context(|| format!("there is no UE {name}"))
    }

    fn add_ue(&mut self, name: String, imsi: Imsi, k: &str, opc: &str, dnn: Dnn) -> Result<()> {
        let no = |e: &str| anyhow::anyhow!("the keys of {name}: {e}");
        let card = Usim::new(&K::from_hex(k).map_err(no)?, &Opc::from_hex(opc).map_err(no)?);
        let plmn = self.cell.as_ref().map_or_else(|| "001-01".parse(), |c| Ok(c.plmn))?;
        let config = UeConfig {
            supi: Supi(imsi),
            plmn,
            imeisv: Some("3534900698733190".parse()?),
            capability: UeSecurityCapability::of(
                &[Nea::Nea0, Nea::Nea1, Nea::Nea2, Nea::Nea3],
                &[Nia::Nia1, Nia::Nia2, Nia::Nia3],
            ),
            conceal: None,
            slices: Vec::new(),
            lies: Lies::default(),
        };
        let key = UeKey(self.ues.len() as u32 + 1);
        let core = Ue::new(config, card, now(), gateway::sys::random()?);
        self.names.insert(name, self.ues.len());
        self.ues.push(UeEntry { key, core, dnn, session: None, tunnel: None, attach: None });
        Ok(())
    }

    fn give_up_n2(&self) {
        if let Some(c) = &self.cell {
            // A full queue means that the association ends by itself.
            drop(c.sctp.try_send(SctpCommand::Abort { assoc: c.assoc }));
        }
    }

    fn cards(&mut self) -> RanAnswer {
        let (mut challenges, mut reused) = (0, Vec::new());
        for u in &mut self.ues {
            let seen = u.core.card().seen();
            challenges += seen.challenges;
            if seen.reused > 0 {
                reused.push(u.core.supi().imsi());
            }
        }
        RanAnswer::Cards { challenges, reused }
    }

    fn join_flood(&self, address: Ipv4Addr, tunnel: SessionTunnel) {
        let mut bare = self.bare.write().unwrap_or_else(PoisonError::into_inner);
        if bare.len() >= BARE {
            bare.drain(..BARE / 2);
        }
        bare.push((address, tunnel));
    }

    fn reconnected(&mut self, sctp: mpsc::Sender<SctpCommand>, assoc: u64) {
        if let Some(c) = &mut self.cell {
            (c.sctp, c.assoc) = (sctp, assoc);
        }
    }

    fn next_timeout(&self) -> Option<Mono> {
        let cell = self.cell.iter().filter_map(|c| c.gnb.poll_timeout());
        cell.chain(self.ues.iter().filter_map(|u| u.core.poll_timeout())).min()
    }

    fn tick(&mut self) {
        let now = now();
        if let Some(c) = &mut self.cell {
            c.gnb.handle_timeout(now);
        }
        for (n, u) in self.ues.iter_mut().enumerate() {
            if u.core.poll_timeout().is_some_and(|t| t <= now.mono) {
                u.core.handle_timeout(now);
                self.stirred.push(n);
            }
        }
        self.pump();
    }

    fn n2(&mut self, e: SctpEvent) {
        let Some(c) = &mut self.cell else { return };
        match e {
            SctpEvent::Up { .. } => c.gnb.handle(gnb::Input::Up, now()),
            SctpEvent::Data { bytes, .. } => {
                for octets in through(&mut self.relay, bytes) {
                    c.gnb.handle(gnb::Input::Ngap(octets), now());
                }
            }
            SctpEvent::Down { reason, .. } => {
                c.ready.send_if_modified(|r| {
                    let first = r.is_none();
                    *r = r.take().or_else(|| Some(Err(format!("N2: {reason}"))));
                    first
                });
                c.gnb.handle(gnb::Input::Down, now());
            }
        }
        self.pump();
    }

    /// Carries outputs of the cores to one another and to the sockets until all are quiet.
    fn pump(&mut self) {
        let Some(mut cell) = self.cell.take() else { return };
        loop {
            let mut quiet = true;
            while let Some(o) = cell.gnb.poll_output() {
                quiet = false;
                self.of_gnb(&mut cell, o);
            }
            for n in std::mem::take(&mut self.stirred) {
                let Some(u) = self.ues.get_mut(n) else { continue };
                while let Some(o) = u.core.poll_output() {
                    quiet = false;
                    of_ue(&mut cell, u, o);
                }
            }
            if quiet {
                break;
            }
        }
        self.cell = Some(cell);
    }

    fn of_gnb(&mut self, cell: &mut Cell, o: gnb::Output) {
        let mut by_key = |key: UeKey, f: &mut dyn FnMut(&mut UeEntry)| {
            let n = (key.0.wrapping_sub(1) % KEYS) as usize;
            // What is for a connection that has vanished reaches nobody.
            if let Some(u) = self.ues.get_mut(n).filter(|u| u.key == key) {
                f(u);
                self.stirred.push(n);
            }
        };
        match o {
            gnb::Output::Ngap { stream, octets } => {
                for bytes in through(&mut self.relay, octets) {
                    let c = SctpCommand::Send { assoc: cell.assoc, stream, ppid: NGAP_PPID, bytes };
                    if cell.sctp.try_send(c).is_err() {
                        tracing::warn!("N2 does not take a message");
                    }
                }
            }
            gnb::Output::Ready { .. } => drop(cell.ready.send(Some(Ok(())))),
            gnb::Output::Refused { cause, .. } => {
                drop(cell.ready.send(Some(Err(format!("NG Setup was refused: {cause:?}")))));
            }
            gnb::Output::Nas { ue, octets } => {
                by_key(ue, &mut |u| u.core.handle(ue::Input::Nas(octets.clone()), now()));
            }
            gnb::Output::Released { ue, .. } => {
                by_key(ue, &mut |u| {
                    u.core.handle(ue::Input::Released, now());
                    u.end(Ended::Lost);
                });
            }
            gnb::Output::TunnelUp(t) => by_key(t.ue, &mut |u| {
                u.tunnel = Some(t);
                u.up_if_whole();
            }),
            gnb::Output::TunnelDown { .. } | gnb::Output::Updated { .. } => {}
            // There is one radio.
            gnb::Output::SendAway { .. } => {}
            // All hear the call; whose it is knows.
            gnb::Output::Paged { s_tmsi } => {
                for (n, u) in self.ues.iter_mut().enumerate() {
                    u.core.handle(ue::Input::Paged(s_tmsi), now());
                    self.stirred.push(n);
                }
            }
            gnb::Output::Error(e) => tracing::warn!("error indication from the AMF: {e:?}"),
        }
    }

    /// Makes the interface of a session, still in our namespace.
    fn interface(&self, t: &SessionTunnel) -> Result<(String, Arc<SyncDevice>)> {
        let dev = format!("ue{}", t.ue.0);
        let tun = DeviceBuilder::new().name(&dev).build_sync().context("making a TUN interface")?;
        Ok((dev, Arc::new(tun)))
    }

    /// Starts to carry packets between a session's interface and its tunnel.
    fn carry(&self, t: &SessionTunnel, tun: Arc<SyncDevice>) {
        let Some(cell) = &self.cell else { return };
        let mut map = cell.downlink.write().unwrap_or_else(PoisonError::into_inner);
        map.insert(t.downlink.teid.value(), tun.clone());
        let (n3, to) = (cell.n3.clone(), SocketAddr::from((t.uplink.address, gtpu::PORT)));
        let (teid, qfi) = (t.uplink.teid.value(), t.qfi);
        std::thread::spawn(move || {
            let mut buf = [0u8; 2048];
            while let Ok(n) = tun.recv(&mut buf) {
                let Some(p) = gtpu::encode_uplink(teid, qfi, buf.get(..n).unwrap_or_default()) else {
                    continue;
                };
                // A full socket drops, as a radio would.
                drop(n3.send_to(&p, to));
            }
        });
    }
}

impl UeEntry {
    /// The attach has ended once the UE has its address and the radio its tunnel.
    fn up_if_whole(&mut self) {
        if let (Some(s), Some(t)) = (&self.session, self.tunnel)
            && let Some(tx) = self.attach.take()
        {
            drop(tx.send(Ended::Up(s.clone(), t)));
        }
    }

    fn end(&mut self, how: Ended) {
        if let Some(tx) = self.attach.take() {
            drop(tx.send(how));
        }
    }
}

fn of_ue(cell: &mut Cell, u: &mut UeEntry, o: ue::Output) {
    let event = match o {
        ue::Output::Nas { octets, s_tmsi } => {
            return cell.gnb.handle(gnb::Input::Nas { ue: u.key, octets, s_tmsi }, now());
        }
        ue::Output::Event(e) => e,
    };
    match event {
        UeEvent::Registered { .. } if u.attach.is_some() => {
            let Ok(id) = PduSessionId::try_from(SESSION) else { return };
            let dnn = Some(u.dnn.clone());
            let establish = ue::Input::Establish { id, dnn, slice: None, session_type: PduSessionType::IPV4 };
            u.core.handle(establish, now());
        }
        UeEvent::SessionUp(s) => {
            u.session = Some(s);
            u.up_if_whole();
        }
        UeEvent::Rejected { cause, protected, .. } => u.end(Ended::Refused { cause: cause.0, protected }),
        UeEvent::SessionRejected { cause, .. } => u.end(Ended::NoSession(cause.map(|c| c.0))),
        other => tracing::debug!("{}: {other:?}", u.core.supi()),
    }
}

/// What comes out at the other side of the relay, where there is one.
fn through(relay: &mut Option<Relay>, octets: Vec<u8>) -> Vec<Vec<u8>> {
    match relay {
        Some(relay) => relay.pass(octets),
        None => vec![octets],
    }
}

/// Opens an association to the AMF.
fn open_n2(address: Ipv4Addr, amf: AmfAt) -> Result<(SctpHandle, u64)> {
    let mode =
        if amf.kernel_sctp { SctpMode::Kernel } else { SctpMode::Udp { port: UDP_ENCAPSULATION_PORT } };
    let mut sctp = SctpConfig::new(mode, address.into(), 0, Vec::new());
    // All on one machine: a core that was killed is given up soon.
    sctp.timers.heartbeat = Duration::from_millis(200);
    sctp.timers.rto_max = Duration::from_millis(500);
    sctp.timers.max_retransmissions = 3;
    Sctp::connect(sctp, SocketAddr::from((amf.address, NGAP_PORT)), gateway::sys::random()?).context("N2")
}

/// Reads N3 and gives each packet to the interface of its tunnel.
fn receive_n3(n3: Arc<UdpSocket>, downlink: Downlink) {
    std::thread::spawn(move || {
        let mut buf = [0u8; 65536];
        while let Ok((n, _)) = n3.recv_from(&mut buf) {
            let Ok(p) = gtpu::Packet::parse(buf.get(..n).unwrap_or_default()) else { continue };
            if p.kind != gtpu::MessageType::GPdu {
                continue;
            }
            let map = downlink.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(tun) = map.get(&p.teid) {
                // An interface that is down takes nothing; the packet is lost, as in the air.
                drop(tun.send(p.payload));
            }
        }
    });
}
