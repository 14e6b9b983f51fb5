//! `sekisho bench attach`: many UEs register at once, and what an idle one costs.
//!
//! The two cores that a registration goes through, `access` and `hss`, with real keys and messages, in front of `lab`'s
//! gNBs and UEs, in one thread; gateway and address pool answer at once and hold nothing. Beside it, in the same run, the
//! bare cost of the same messages (NGAP read and written) and of the same cryptography (vector, key chain, NAS
//! protection), without any state. Memory is what the process grows by from one UE to the next, lab's own share reused.

use super::at;
use access::nr::{self, Amf, AmfConfig, AssocId, TxnId};
use anyhow::{Context, Result, ensure};
use hss::{Algorithm, Hss, HssConfig, SimRecord, Vault};
use lab::gnb::{self, Gnb, GnbConfig, GnbLies, UeKey};
use lab::ue::{self, Lies, Ue, UeConfig};
use sim_auth::{SqnProfile, SqnState, Usim, fgs};
use std::collections::{BTreeMap, VecDeque};
use std::hint::black_box;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use types::{
    Dnn, Imsi, K, Key256, Mono, Now, Opc, Plmn, Rand, Seid, SessionAddress, SimState, Snssai, Sqn,
    Subscription, Supi, Tac, UeIp, Utc,
};
use wire::nas::fgs::{PduSessionType, UeSecurityCapability};
use wire::nas::security::{Direction, HeaderType, NasContext, Nea, Nia};
use wire::ngap::{self, Cause, GlobalGnbId, RadioCause};
use wire::pfcp;

/// Registrations per second, simulated radios and UEs included, and octets per idle UE: what is judged.
const FLOOR_PER_S: f64 = 500.0;
const FLOOR_OCTETS: f64 = 4_096.0;
/// UEs that are there at a time while the idle ones are made.
const BATCH: u32 = 200;
const SNN: &str = "5G:mnc001.mcc001.3gppnetwork.org";

/// Measures, prints a table, and with `json` one object as the last line.
pub fn run(ues: u32, gnbs: u32, idle: u32, json: bool) -> Result<ExitCode> {
    ensure!((1..=256).contains(&gnbs), "from 1 to 256 gNBs");
    let mut crowd = Site::new(ues, gnbs)?;
    crowd.recorded = Some(Recorded::default());
    let began = Instant::now();
    crowd.power_on(0..ues);
    let (all_s, core_s) = (began.elapsed().as_secs_f64(), crowd.core.as_secs_f64());
    let registered = crowd.amf.counters().registrations;
    ensure!(registered == u64::from(ues), "{registered} of {ues} UEs registered");
    let (codecs_s, crypto_s) = crowd.recorded.take().unwrap_or_default().bare(ues)?;
    let per_s = |s: f64| f64::from(ues) / s;
    println!("{ues} UEs register at {gnbs} gNBs at once           seconds   a second");
    let row = |name: &str, s: f64| println!("{name:<46} {s:>9.3} {:>10.0}", per_s(s));
    row("with the simulated radios and UEs", all_s);
    row("access and hss alone", core_s);
    row("bare: codecs and cryptography of the same", codecs_s + crypto_s);
    println!("access and hss beside the bare cost: {:.2} times", core_s / (codecs_s + crypto_s));
    drop(crowd);

    let octets = idle_octets(idle, gnbs)?;
    println!("an idle UE with a session: {octets:.0} octets ({idle} of them)");
    if json {
        println!(
            "{}",
            serde_json::json!({
                "ues": ues, "gnbs": gnbs, "registrations_per_s": per_s(all_s),
                "cores_per_s": per_s(core_s), "codecs_s": codecs_s, "crypto_s": crypto_s,
                "ratio": core_s / (codecs_s + crypto_s), "idle_ues": idle, "octets_per_idle_ue": octets,
            })
        );
    }
    let held = per_s(all_s) >= FLOOR_PER_S && octets <= FLOOR_OCTETS;
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What the process grows by for one more idle UE: the median over pieces of the second half.
fn idle_octets(idle: u32, gnbs: u32) -> Result<f64> {
    let mut site = Site::new(idle, gnbs)?;
    let (mut grown, mut before) = (Vec::new(), None);
    let piece = (idle / 8).max(BATCH);
    for first in (0..idle).step_by(BATCH as usize) {
        let batch = first..(first + BATCH).min(idle);
        site.power_on(batch.clone());
        site.connect(batch.clone());
        site.go_idle(batch);
        if (first + BATCH) % piece < BATCH && first >= idle / 2 {
            let (held, ues) = (resident()?, site.amf.census().0);
            if let Some((octets, count)) = before.replace((held, ues))
                && ues > count
            {
                grown.push((held as f64 - octets as f64) / (ues - count) as f64);
            }
        }
    }
    let (ues, sessions) = site.amf.census();
    ensure!((ues, sessions) == (idle.into(), idle.into()), "{ues} UEs and {sessions} sessions are there");
    grown.sort_by(f64::total_cmp);
    Ok(at(&grown, 0.5))
}

/// Octets of this process that are in memory.
fn resident() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1_024)
}

/// The messages of a run.
#[derive(Default)]
struct Recorded {
    up: Vec<Vec<u8>>,
    down: Vec<Vec<u8>>,
}

impl Recorded {
    /// Seconds for reading and writing all of it, and for the cryptography of so many registrations.
    fn bare(self, ues: u32) -> Result<(f64, f64)> {
        let sent: Vec<_> = self.down.iter().map(|o| ngap::decode(o)).collect::<Result<_, _>>()?;
        let start = Instant::now();
        for octets in &self.up {
            black_box(ngap::decode(black_box(octets)).is_ok());
        }
        for message in &sent {
            black_box(ngap::encode(black_box(message)).is_ok());
        }
        let codecs_s = start.elapsed().as_secs_f64();
        let start = Instant::now();
        (0..ues).for_each(bare_registration);
        Ok((codecs_s, start.elapsed().as_secs_f64()))
    }
}

/// The cryptography of one registration on the network's side: vector, keys, and five protected messages.
fn bare_registration(n: u32) {
    let (k, opc) = keys(n);
    let sqn = Sqn::new(u64::from(n) << 5).unwrap_or(Sqn::from_octets([0; 6]));
    let v = sim_auth::fg_vector(&k, &opc, Rand([n as u8; 16]), sqn, [0x80, 0], SNN);
    let kamf = fgs::kamf(&v.kseaf, Supi(imsi(n)), &fgs::ABBA);
    let context = || {
        let int = fgs::knas_int(&kamf, Nia::Nia2.code());
        NasContext::new(int, fgs::knas_enc(&kamf, Nea::Nea2.code()), Nia::Nia2, Nea::Nea2)
    };
    let (mut ours, mut theirs) = (context(), context());
    black_box(fgs::nh(&kamf, &fgs::kgnb(&kamf, 0)));
    for direction in
        [Direction::Downlink, Direction::Uplink, Direction::Downlink, Direction::Uplink, Direction::Uplink]
    {
        if let Ok(pdu) = theirs.protect(&[0x7e; 60], HeaderType::Ciphered, direction) {
            black_box(ours.unprotect(&pdu, direction).is_ok());
        }
    }
}

fn plmn() -> Plmn {
    Plmn::new("001", "01").expect("digits")
}

fn imsi(n: u32) -> Imsi {
    format!("00101{n:010}").parse().expect("fifteen digits")
}

fn keys(n: u32) -> (K, Opc) {
    let mut key = [0x46; 16];
    if let Some(head) = key.first_chunk_mut::<4>() {
        *head = n.to_be_bytes();
    }
    let k = K::new(key);
    let opc = sim_auth::milenage::opc(&k, &[0xcd; 16]);
    (k, opc)
}

/// Control's cores between radios and a gateway that says yes.
struct Site {
    amf: Amf,
    hss: Hss,
    gnbs: Vec<Gnb>,
    ues: BTreeMap<u32, Ue>,
    n2: VecDeque<(usize, u16, Vec<u8>)>,
    stirred_gnbs: VecDeque<usize>,
    stirred_ues: VecDeque<u32>,
    now: Now,
    /// Time spent in the cores.
    core: Duration,
    seids: u64,
    addresses: u32,
    recorded: Option<Recorded>,
}

impl Site {
    fn new(ues: u32, gnbs: u32) -> Result<Self> {
        let now = Now { mono: Mono(1_000_000_000), utc: Utc(1_790_000_000_000) };
        let (slice, tac) = (Snssai { sst: 1, sd: None }, Tac::try_from(7u32).context("a tracking area")?);
        let mut vault = Vault::new(&Key256::new([0x4b; 32]), 1, None, [2; 32])?;
        let dnns: Vec<Dnn> = vec!["corp".parse()?];
        let record = |vault: &mut Vault, n: u32| {
            let (k, opc) = keys(n);
            SimRecord {
                imsi: imsi(n),
                sealed: vault.seal(imsi(n), &k, &opc),
                algorithm: Algorithm::Milenage,
                sqn_profile: SqnProfile::default(),
                sqn_state: SqnState::fresh(now.utc),
                state: SimState::Active,
                subscription: Subscription {
                    supi: Supi(imsi(n)),
                    slices: vec![slice],
                    dnns: dnns.clone(),
                    ambr_ul_bps: 100_000_000,
                    ambr_dl_bps: 200_000_000,
                },
            }
        };
        let records = (0..ues).map(|n| record(&mut vault, n)).collect();
        let mut hss = Hss::new(HssConfig::new(plmn()), vault, now, [3; 32]);
        hss.handle(hss::Input::Load { records, horizon: None }, now);
        let config = |n: u32| GnbConfig {
            id: GlobalGnbId { plmn: plmn(), id: n + 1, bits: 22 },
            name: format!("gnb-{n}"),
            plmn: plmn(),
            tac,
            slices: vec![slice],
            n3: Ipv4Addr::new(172, 16, 1, n as u8).into(),
            lies: GnbLies::default(),
        };
        let mut site = Self {
            amf: Amf::new(AmfConfig::new(plmn(), tac, slice), now, [4; 32]),
            hss,
            gnbs: (0..gnbs).map(|n| Gnb::new(config(n), now, [n as u8; 32])).collect(),
            ues: BTreeMap::new(),
            n2: VecDeque::new(),
            stirred_gnbs: VecDeque::new(),
            stirred_ues: VecDeque::new(),
            now,
            core: Duration::ZERO,
            seids: 0,
            addresses: 0,
            recorded: None,
        };
        site.amf.handle(nr::Input::N4Up { recovery: 1, sessions: Vec::new() }, now);
        for (n, g) in site.gnbs.iter_mut().enumerate() {
            let peer = Ipv4Addr::new(172, 16, 1, n as u8).into();
            site.amf.handle(nr::Input::AssocUp { assoc: AssocId(n as u64), peer }, now);
            g.handle(gnb::Input::Up, now);
            site.stirred_gnbs.push_back(n);
        }
        site.settle();
        ensure!(site.gnbs.iter().all(Gnb::is_ready), "NG Setup");
        site.core = Duration::ZERO;
        Ok(site)
    }

    fn gnb_of(&self, ue: u32) -> usize {
        ue as usize % self.gnbs.len()
    }

    fn tell(&mut self, whom: impl Iterator<Item = u32>, input: &ue::Input) {
        for n in whom {
            if let Some(ue) = self.ues.get_mut(&n) {
                ue.handle(input.clone(), self.now);
                self.stirred_ues.push_back(n);
            }
        }
        self.settle();
    }

    /// New phones with these cards register, all before the first is answered.
    fn power_on(&mut self, whom: std::ops::Range<u32>) {
        for n in whom.clone() {
            let (k, opc) = keys(n);
            let config = UeConfig {
                supi: Supi(imsi(n)),
                plmn: plmn(),
                imeisv: format!("35546411{n:06}01").parse().ok(),
                capability: UeSecurityCapability::of(&[Nea::Nea0, Nea::Nea2], &[Nia::Nia2]),
                conceal: None,
                slices: Vec::new(),
                lies: Lies::default(),
            };
            self.ues.insert(n, Ue::new(config, Usim::new(&k, &opc), self.now, [n as u8; 32]));
        }
        self.tell(whom, &ue::Input::Register);
    }

    fn connect(&mut self, whom: std::ops::Range<u32>) {
        let Ok(id) = 1.try_into() else { return };
        let input = ue::Input::Establish { id, dnn: None, slice: None, session_type: PduSessionType::IPV4 };
        self.tell(whom, &input);
    }

    /// Their radios let them go, and the phones are forgotten.
    fn go_idle(&mut self, whom: std::ops::Range<u32>) {
        let cause = Cause::RadioNetwork(RadioCause::USER_INACTIVITY);
        for n in whom.clone() {
            let g = self.gnb_of(n);
            if let Some(gnb) = self.gnbs.get_mut(g) {
                gnb.handle(gnb::Input::AskRelease { ue: UeKey(n), cause }, self.now);
                self.stirred_gnbs.push_back(g);
            }
        }
        self.settle();
        whom.for_each(|n| drop(self.ues.remove(&n)));
    }

    /// Until nobody has anything to say.
    fn settle(&mut self) {
        loop {
            let start = Instant::now();
            let wish = self.amf.poll_output();
            let answer = if wish.is_none() { self.hss.poll_output() } else { None };
            match (wish, answer) {
                (Some(o), _) => self.amf_wish(o),
                (None, Some(o)) => self.hss_wish(o),
                (None, None) => {
                    self.core += start.elapsed();
                    if self.field() {
                        continue;
                    }
                    return;
                }
            }
            self.core += start.elapsed();
        }
    }

    fn amf_wish(&mut self, o: nr::Output) {
        match o {
            nr::Output::Send { assoc, bytes, .. } => {
                let g = assoc.0 as usize;
                if let Some(r) = &mut self.recorded {
                    r.down.push(bytes.clone());
                }
                // The radio's time is not ours.
                let start = Instant::now();
                if let Some(gnb) = self.gnbs.get_mut(g) {
                    gnb.handle(gnb::Input::Ngap(bytes), self.now);
                    self.stirred_gnbs.push_back(g);
                }
                self.core = self.core.saturating_sub(start.elapsed());
            }
            nr::Output::NeedVector { txn, identity, serving, resync } => {
                let input = hss::Input::AuthInfo { txn: txn.0, identity, serving, resync };
                self.hss.handle(input, self.now);
            }
            nr::Output::Locate { txn, supi, pei, .. } => {
                self.hss.handle(hss::Input::Locate { txn: txn.0, supi, pei }, self.now);
            }
            nr::Output::NeedAddress { txn, .. } => {
                self.addresses += 1;
                let ip = UeIp((0x0a14_0000 + self.addresses).into());
                let result = Ok(SessionAddress { ip, prefix: None, dns: Vec::new(), mtu: 1_358 });
                self.amf.handle(nr::Input::Address { txn, result }, self.now);
            }
            nr::Output::N4(bytes) => self.gateway(&bytes),
            nr::Output::JudgeAuts { .. }
            | nr::Output::Close { .. }
            | nr::Output::ReleaseAddress { .. }
            | nr::Output::Event(_) => {}
        }
    }

    fn hss_wish(&mut self, o: hss::Output) {
        let input = match o {
            hss::Output::Vector { txn, supi, vector } => {
                nr::Input::Vector { txn: TxnId(txn), result: Ok((supi, vector)) }
            }
            hss::Output::AuthRefused { txn, refusal } => {
                nr::Input::Vector { txn: TxnId(txn), result: Err(refusal) }
            }
            hss::Output::Located { txn, subscription } => {
                nr::Input::Located { txn: TxnId(txn), result: Ok(subscription) }
            }
            hss::Output::LocateRefused { txn, refusal } => {
                nr::Input::Located { txn: TxnId(txn), result: Err(refusal) }
            }
            hss::Output::Persist { id, .. } => {
                return self.hss.handle(hss::Input::Persisted { id, ok: true }, self.now);
            }
            _ => return,
        };
        self.amf.handle(input, self.now);
    }

    /// A gateway that says yes and remembers nothing.
    fn gateway(&mut self, bytes: &[u8]) {
        use pfcp::Message as M;
        let Ok(pdu) = pfcp::Pdu::parse(bytes) else { return };
        let here = Ipv4Addr::new(10, 0, 0, 100);
        let cause = pfcp::Cause::Accepted;
        let (seid, message): (Option<u64>, M) = match pdu.message {
            M::AssociationSetupRequest(_) => {
                let recovery = pfcp::RecoveryTimeStamp(1);
                let node_id = pfcp::NodeId::V4(here);
                (
                    None,
                    pfcp::AssociationSetupResponse { node_id, cause, recovery, ..Default::default() }.into(),
                )
            }
            M::SessionEstablishmentRequest(m) => {
                self.seids += 1;
                let teid = pfcp::FTeid::at(self.seids as u32, here.into());
                let pdr_id = m.create_pdrs.first().map_or(pfcp::PdrId(1), |p| p.pdr_id);
                let created =
                    pfcp::CreatedPdr { pdr_id, local_f_teid: Some(teid), ..pfcp::CreatedPdr::default() };
                let answer = pfcp::SessionEstablishmentResponse {
                    node_id: pfcp::NodeId::V4(here),
                    cause,
                    up_f_seid: Some(pfcp::FSeid::at(Seid(self.seids).0, here.into())),
                    created_pdrs: vec![created],
                    ..Default::default()
                };
                (Some(m.cp_f_seid.seid), answer.into())
            }
            M::SessionModificationRequest(_) => {
                (Some(0), pfcp::SessionModificationResponse { cause, ..Default::default() }.into())
            }
            M::SessionDeletionRequest(_) => {
                (Some(0), pfcp::SessionDeletionResponse { cause, ..Default::default() }.into())
            }
            _ => return,
        };
        let bytes = pfcp::Pdu { seid, sequence: pdu.sequence, message }.encode();
        self.amf.handle(nr::Input::N4(bytes), self.now);
    }

    /// Radios and phones say what they have; then one message goes to the AMF. False if all is quiet.
    fn field(&mut self) -> bool {
        while let Some(n) = self.stirred_ues.pop_front() {
            let g = self.gnb_of(n);
            let (Some(ue), Some(gnb)) = (self.ues.get_mut(&n), self.gnbs.get_mut(g)) else { continue };
            while let Some(o) = ue.poll_output() {
                if let ue::Output::Nas { octets, s_tmsi } = o {
                    gnb.handle(gnb::Input::Nas { ue: UeKey(n), octets, s_tmsi }, self.now);
                    self.stirred_gnbs.push_back(g);
                }
            }
        }
        while let Some(g) = self.stirred_gnbs.pop_front() {
            while let Some(o) = self.gnbs.get_mut(g).and_then(Gnb::poll_output) {
                let (key, input) = match o {
                    gnb::Output::Ngap { stream, octets } => {
                        self.n2.push_back((g, stream, octets));
                        continue;
                    }
                    gnb::Output::Nas { ue, octets } => (ue, ue::Input::Nas(octets)),
                    gnb::Output::Released { ue, .. } => (ue, ue::Input::Released),
                    _ => continue,
                };
                if let Some(ue) = self.ues.get_mut(&key.0) {
                    ue.handle(input, self.now);
                    self.stirred_ues.push_back(key.0);
                }
            }
        }
        if !self.stirred_ues.is_empty() {
            return true;
        }
        let Some((g, stream, bytes)) = self.n2.pop_front() else { return false };
        if let Some(r) = &mut self.recorded {
            r.up.push(bytes.clone());
        }
        let start = Instant::now();
        self.amf.handle(nr::Input::Ngap { assoc: AssocId(g as u64), stream, bytes }, self.now);
        self.core += start.elapsed();
        true
    }
}
