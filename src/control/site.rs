//! A site for the tests of control: the real loop's parts over a real store, with a gateway's N4 node and shard behind
//! them and simulated UEs in front. What the loop would select on is delivered here by hand, one thing at a time; time
//! is the machine's.
//!
//! | file | what |
//! | --- | --- |
//! | `company` | what the company has put in, and its phones |
//! | `user_plane` | the gateway, and a foreign SMF |
//! | `written` | what was written down |

mod company;
mod user_plane;
mod written;

pub use company::{asker, device, imsi, keys, name};

use super::{Control, Done, boot, events::EventWriter, link_task::LinkEvent};
use crate::{
    config::Config,
    delivery::spool::{self, Spool},
    io::{
        diameter::{DiameterEvent, Door},
        sctp::{NGAP_PPID, SctpCommand, SctpEvent, SctpMode},
    },
    signing::{Purpose, verify},
};
use admin_web::{Asker, Receipt, signed_text};
use company::{phone, provision};
use gateway::{
    link::{CutReceipt, FromGateway, GatewayHello, JournalHead, SimTrace, Stored, ToGateway},
    time::now,
};
use lab::gnb::{self, Gnb, GnbConfig, GnbLies, UeKey};
use lab::ue::{self, Lies, Ue, UeConfig, UeEvent};
use pgw_policy::Compiled;
use pgw_policy::batch::ShardId;
use pgw_policy::command::{ShardCommand, ShardReply};
use pgw_policy::n4::{N4, N4Config, N4Output, Peer};
use pgw_policy::shard::{Limits, Shard, ShardConfig};
use sim_auth::Usim;
use std::time::{Duration, Instant};
use std::{collections::VecDeque, net::Ipv4Addr, sync::Arc};
use store::{
    AlertFilter, AlertRow, AuditFilter, AuditRow, Change, RevocationFilter, SimLinks, SimRow, SqnRow,
};
use tokio::sync::{mpsc, oneshot};
use types::*;
use wire::nas::fgs::{PduSessionType, UeSecurityCapability};
use wire::nas::security::{Nea, Nia};
use wire::ngap::GlobalGnbId;

const ASSOC: u64 = 1;
/// Names of radio connections of one UE are so far apart.
const KEYS: u32 = 1_000;
/// Two MMEs; where they connect is the test's own choice.
const S6A: &str = "[s6a]\nhost = \"hss.example\"\nrealm = \"example\"\nlisten = \"127.0.0.1:3868\"\n\
    [[s6a.mme]]\nhost = \"mme1.example\"\naddresses = [\"127.0.0.1\"]\nimsis = [\"00101\"]\n\
    applications = [\"s6a\", \"s13\"]\n\
    [[s6a.mme]]\nhost = \"mme2.example\"\naddresses = [\"127.0.0.1\"]\n\
    [[s6a.mme]]\nhost = \"far.example\"\naddresses = [\"192.0.2.77\"]\n\
    [[s6a.mme]]\nhost = \"sealed.example\"\naddresses = [\"127.0.0.1\"]\ncertificate = true\n\
    [s6a.tls]\nlisten = \"127.0.0.1:5658\"\ncertificate = \"not-read\"\nprivate_key = \"not-read\"\nca = \"not-read\"\n";
/// Another core's SMF.
const N4: &str = "[n4]\nlisten = \"192.0.2.1:8805\"\n[[n4.smf]]\nname = \"core-smf\"\naddress = \"192.0.2.4\"\n\
    user_plane = [\"192.0.2.9/32\"]\nown_range = [\"10.45.0.0/16\", \"2001:db8:45::/48\"]\n";
pub const SMF: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 4);
/// Two SMFs, one of which assigns on its own; and one from elsewhere.
const GX: &str = "[gx]\nhost = \"pcrf.example\"\nrealm = \"example\"\nlisten = \"127.0.0.1:3868\"\n\
    [[gx.smf]]\nhost = \"smf1.example\"\naddresses = [\"127.0.0.1\"]\nrules = true\n\
    [[gx.smf]]\nhost = \"smf2.example\"\naddresses = [\"127.0.0.1\"]\nassigns = [\"10.45.0.0/16\", \"2001:db8:45::/48\", \"10.20.0.128/25\"]\n\
    [[gx.smf]]\nhost = \"far.example\"\naddresses = [\"192.0.2.77\"]\n";
const N3: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// See the module. SIM 1 is Tanaka's in Osaka, in device pc-1 and of group staff; SIM 2 has nothing to do with that.
pub struct Site {
    pub control: Control,
    /// Orders that reached the gateway, but for N4, in their order.
    pub heard: Vec<ToGateway>,
    /// While true the gateway answers nothing.
    pub gateway_waits: bool,
    waiting: VecDeque<ToGateway>,
    finished: mpsc::UnboundedReceiver<Done>,
    sctp: mpsc::Receiver<SctpCommand>,
    link: mpsc::UnboundedReceiver<ToGateway>,
    s6a: mpsc::Receiver<DiameterEvent>,
    /// Where MMEs connect.
    pub s6a_at: std::net::SocketAddr,
    gx: mpsc::Receiver<DiameterEvent>,
    /// Where SMFs connect.
    pub gx_at: std::net::SocketAddr,
    /// Opens further ways in.
    pub door: Door,
    n4: N4,
    shard: Shard,
    /// What the gateway enforces.
    pub policy: Compiled,
    records: u64,
    /// What the foreign SMF is told.
    to_smf: Vec<wire::pfcp::Message>,
    smf_sequence: u32,
    gnb: Gnb,
    pub ues: Vec<Ue>,
    /// Names of the UEs' radio connections: a new one each time.
    keys: Vec<u32>,
    pub news: Vec<Vec<UeEvent>>,
    /// What the radio was told of changes of the network: its name, and how many slices.
    pub updates: Vec<(String, usize)>,
    public: String,
    _dir: tempfile::TempDir,
}

impl Site {
    /// A site that runs; nobody is attached.
    pub async fn new() -> Self {
        Box::pin(Self::begun()).await
    }

    async fn begun() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let text = format!(
            "[network]\nplmn = \"001-01\"\ntacs = [7]\nslices = [\"1\"]\n[n2]\naddress = \"127.0.0.1\"\n\
             [n3]\naddress = \"{N3}\"\n[paths]\ndata = \"{}\"\n{S6A}{GX}{N4}",
            dir.path().display()
        );
        let config = Arc::new(Config::parse(&text, std::iter::empty()).expect("a configuration"));
        provision(&config).await;
        let Process { control, finished, sctp, public } = Process::start(config).await;
        let (s6a_tx, s6a) = mpsc::channel(1_024);
        let door = Door::new(s6a_tx);
        let s6a_at = door.tcp((Ipv4Addr::LOCALHOST, 0).into()).await.expect("a socket");
        let (gx_tx, gx) = mpsc::channel(1_024);
        let gx_at = Door::new(gx_tx).tcp((Ipv4Addr::LOCALHOST, 0).into()).await.expect("a socket");
        let n4 = N4Config {
            node: N3.into(),
            n3: N3.into(),
            peers: vec![SMF.into()],
            radios: vec!["0.0.0.0/0".parse().expect("a network")],
            shards: 1,
            max_sessions: 100,
        };
        let shard = ShardConfig { id: ShardId(0), shards: 1, n3: N3.into(), limits: Limits::default() };
        let gnb = GnbConfig {
            id: GlobalGnbId { plmn: plmn(), id: 1, bits: 22 },
            name: "gnb-1".to_owned(),
            plmn: plmn(),
            tac: Tac::try_from(7).expect("a TAC"),
            slices: vec![Snssai { sst: 1, sd: None }],
            n3: Ipv4Addr::new(192, 0, 2, 9).into(),
            lies: GnbLies::default(),
        };
        let mut this = Self {
            control,
            heard: Vec::new(),
            gateway_waits: false,
            waiting: VecDeque::new(),
            finished,
            sctp,
            link: mpsc::unbounded_channel().1,
            s6a,
            door,
            s6a_at,
            gx,
            gx_at,
            n4: N4::new(n4, now(), [1; 32]),
            shard: Shard::new(shard, [2; 32]),
            policy: Compiled::empty(),
            records: 0,
            to_smf: Vec::new(),
            smf_sequence: 0,
            gnb: Gnb::new(gnb, now(), [3; 32]),
            ues: (0..3).map(phone).collect(),
            keys: (0..3).collect(),
            news: vec![Vec::new(); 3],
            updates: Vec::new(),
            public,
            _dir: dir,
        };
        this.link_up();
        this.gnb.handle(gnb::Input::Up, now());
        let peer = (Ipv4Addr::new(127, 0, 0, 9), 38_412).into();
        this.control.n2(SctpEvent::Up { assoc: ASSOC, peer, streams: 2 });
        this.rest().await;
        assert!(this.gnb.is_ready(), "NG Setup");
        this.heard.clear();
        this
    }

    fn link_up(&mut self) {
        let hello = GatewayHello {
            gateway_id: 1,
            recovery: self.n4.recovery(),
            sessions: self.n4.sessions(),
            revoked: vec![],
            journal: JournalHead::default(),
            policy_generation: self.policy.generation(),
            shards: 1,
            quarantined: vec![],
            panicked: vec![],
            cut_devices: vec![],
            copies: vec![],
            foreign: self.n4.foreign_sessions(),
            smfs: Vec::new(),
        };
        let (to, link) = mpsc::unbounded_channel();
        self.link = link;
        self.control.link(LinkEvent::Up { hello, to });
    }

    /// Control is killed with all that was on its way to it and from it, and starts again from what is durable; the gateway
    /// goes on.
    pub async fn control_restarts(&mut self) {
        let Process { control, finished, sctp, .. } = Process::start(self.control.config.clone()).await;
        (self.control, self.finished, self.sctp) = (control, finished, sctp);
        self.waiting.clear();
        self.heard.clear();
        // In the order in which the process does it.
        super::known::load_grants(&self.control.store, &self.control.done).await;
        self.control.learn_facts();
        self.link_up();
        self.rest().await;
    }

    // ---- moving on

    /// Delivers one thing; false if there is none at this moment.
    fn step(&mut self) -> bool {
        let now = now();
        self.control.drain();
        if let Ok(c) = self.sctp.try_recv() {
            if let SctpCommand::Send { bytes, .. } = c {
                self.gnb.handle(gnb::Input::Ngap(bytes), now);
            }
        } else if let Some(o) = self.gnb.poll_output() {
            self.radio_says(o);
        } else if let Some((u, o)) = (0..self.ues.len()).find_map(|u| Some((u, self.ues[u].poll_output()?))) {
            match o {
                ue::Output::Nas { octets, s_tmsi } => {
                    let s_tmsi =
                        s_tmsi.map(|s| wire::ngap::STmsi { set: s.set, pointer: s.pointer, tmsi: s.tmsi });
                    self.gnb.handle(gnb::Input::Nas { ue: UeKey(self.keys[u]), octets, s_tmsi }, now);
                }
                ue::Output::Event(e) => self.news[u].push(e),
            }
        } else if let Ok(m) = self.link.try_recv() {
            match m {
                ToGateway::N4(bytes) => {
                    self.n4.handle(Peer::Local, &bytes, now);
                    self.run_n4();
                }
                m => {
                    self.heard.push(m.clone());
                    self.waiting.push_back(m);
                }
            }
        } else if let Some(m) = (!self.gateway_waits).then(|| self.waiting.pop_front()).flatten() {
            self.gateway_does(m);
        } else if let Ok(e) = self.s6a.try_recv() {
            self.control.diameter(e);
        } else if let Ok(e) = self.gx.try_recv() {
            self.control.gx_event(e);
        } else if let Ok(d) = self.finished.try_recv() {
            self.control.finished(d);
        } else {
            return false;
        }
        true
    }

    /// Until nothing has moved for a moment: writes of the store come back from its own task.
    pub async fn rest(&mut self) {
        self.until(|_| true).await;
    }

    /// Until this holds, and then until nothing has moved for a moment, in which the store has caught up, too.
    pub async fn until(&mut self, holds: impl Fn(&Self) -> bool) {
        let mut quiet = 0;
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(60) {
            if self.step() {
                quiet = 0;
                continue;
            }
            self.control.bans_timeout(now());
            quiet += 1;
            if quiet > 10 && !self.control.bans.is_writing() && holds(self) {
                return;
            }
            if quiet % 4 == 0 {
                // Behind all writes that wait: on a machine that is busy they take longer than a moment.
                drop(self.control.store.probe().await);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the site does not come to rest: {:?}", self.news);
    }

    /// Asks control something, and what it answers.
    pub async fn ask<T>(&mut self, what: impl FnOnce(&mut Control, oneshot::Sender<T>)) -> T {
        let mut rx = self.start(what);
        for _ in 0..1_000 {
            self.rest().await;
            if let Ok(answer) = rx.try_recv() {
                return answer;
            }
        }
        panic!("no answer");
    }

    /// Asks control something, and does not wait.
    pub fn start<T>(&mut self, what: impl FnOnce(&mut Control, oneshot::Sender<T>)) -> oneshot::Receiver<T> {
        let (tx, rx) = oneshot::channel();
        what(&mut self.control, tx);
        rx
    }

    fn radio_says(&mut self, o: gnb::Output) {
        let now = now();
        match o {
            gnb::Output::Ngap { stream, octets } => {
                let data = SctpEvent::Data { assoc: ASSOC, stream, ppid: NGAP_PPID, bytes: octets };
                self.control.n2(data);
            }
            gnb::Output::Nas { ue, octets } => {
                if let Some(u) = self.at(ue) {
                    self.ues[u].handle(ue::Input::Nas(octets), now);
                }
            }
            gnb::Output::Released { ue, .. } => {
                if let Some(u) = self.at(ue) {
                    self.ues[u].handle(ue::Input::Released, now);
                }
            }
            gnb::Output::Updated { amf, plmns } => {
                let slices = plmns.iter().map(|p| p.slices.len()).sum();
                self.updates.push((amf.unwrap_or_default(), slices));
            }
            _ => {}
        }
    }

    /// Whose radio connection it is, if anybody's.
    fn at(&self, key: UeKey) -> Option<usize> {
        self.keys.iter().position(|k| *k == key.0)
    }

    // ---- UEs

    /// A UE is switched off without a word and on again, registers, and asks for its session where it is let in. What
    /// it was told.
    pub async fn attach(&mut self, u: usize) -> Vec<UeEvent> {
        self.keys[u] += KEYS;
        self.ues[u].handle(ue::Input::PowerCycle, now());
        self.ues[u].handle(ue::Input::Released, now());
        self.rest().await;
        self.news[u].clear();
        self.ues[u].handle(ue::Input::Register, now());
        self.until(|w| w.news[u].iter().any(is_answer)).await;
        if self.news[u].iter().any(|e| matches!(e, UeEvent::Registered { .. })) {
            let id = PduSessionId::try_from(1).expect("an identity");
            let dnn = Some("corp".parse().expect("a name"));
            let session_type = PduSessionType::IPV4;
            self.ues[u].handle(ue::Input::Establish { id, dnn, slice: None, session_type }, now());
            self.until(|w| w.news[u].iter().any(is_session)).await;
        }
        std::mem::take(&mut self.news[u])
    }

    /// The same, and it must be let in.
    pub async fn attached(&mut self, u: usize) {
        let news = self.attach(u).await;
        assert!(news.iter().any(|e| matches!(e, UeEvent::SessionUp(_))), "{news:?}");
    }
}

/// The control process, as far as it is not its sockets.
struct Process {
    control: Control,
    finished: mpsc::UnboundedReceiver<Done>,
    sctp: mpsc::Receiver<SctpCommand>,
    public: String,
}

impl Process {
    async fn start(config: Arc<Config>) -> Self {
        let mut ready = boot::load(&config).await.expect("loaded");
        drop(std::mem::take(&mut ready.tokens));
        let public = ready.signer.public();
        let (done, finished) = mpsc::unbounded_channel();
        let (to_gnb, sctp) = mpsc::channel(1_024);
        let spool = Spool::open(&config.paths.data.join(spool::NAME), spool::MOST).expect("a spool");
        let events = EventWriter::start(ready.store.clone(), spool);
        let n2 = (to_gnb, SctpMode::Udp { port: 9_899 });
        let mut control = Control::new(config, ready, events, n2, done).expect("control");
        control.ban_devices_again();
        Self { control, finished, sctp, public }
    }
}

fn plmn() -> Plmn {
    Plmn::new("001", "01").expect("a PLMN")
}

/// How a registration ended.
fn is_answer(e: &UeEvent) -> bool {
    !matches!(e, UeEvent::ChallengeRefused(_) | UeEvent::Dropped(_))
}

/// How the request of a session ended.
fn is_session(e: &UeEvent) -> bool {
    matches!(e, UeEvent::SessionUp(_) | UeEvent::SessionRejected { .. })
}
