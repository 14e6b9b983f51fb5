//! An SMF, a directory, a ledger and a policy of a few lines; the store and the clock are moved by the test.

mod hostile;

use super::profile::INITIAL_PARAMETERS;
use super::*;
use std::collections::BTreeSet;
use types::{FgmmCause, PermittedFlow, Ports, Protocol, Supi, UeIp, Utc};
use wire::diameter::{
    CreditControlAnswer, CreditControlRequest, Equipment, Experimental, Features, Pdu, ReAuthAnswer,
    ReAuthRequest, RequestType, SubscriptionId, SubscriptionKind, TGPP, application, result,
};

const SMF: &str = "smf1.example";
const OWN: &str = "smf2.example";

fn name(s: &str) -> Identity {
    Identity::new(s).unwrap()
}

fn imsi(n: u32) -> Imsi {
    format!("00101{n:010}").parse().unwrap()
}

fn smf(host: &str, assigns: &[&str], rules: bool) -> Smf {
    Smf {
        host: name(host),
        realm: name("example"),
        imsis: vec!["00101".into()],
        assigns: assigns.iter().map(|r| r.parse().unwrap()).collect(),
        rules,
    }
}

struct World {
    gx: Gx,
    now: Now,
    out: Vec<Output>,
    /// SIMs that may live.
    alive: BTreeSet<Imsi>,
    /// False: the store takes nothing.
    stores: bool,
    leases: bool,
    /// True: what is written stays on its way.
    slow: bool,
    writing: Vec<u64>,
    flows: Option<usize>,
    devices: Vec<Option<Pei>>,
    id: u64,
}

impl World {
    fn new() -> Self {
        let config = GxConfig {
            host: name("pcrf.example"),
            realm: name("example"),
            smfs: vec![
                smf(SMF, &[], true),
                smf(OWN, &["10.45.0.0/16", "2001:db8:45::/48", "10.20.200.0/24"], false),
            ],
        };
        Self {
            gx: Gx::new(config),
            now: Now { mono: Mono(5), utc: Utc(1_790_000_000_000) },
            out: Vec::new(),
            alive: (1..=9).map(imsi).collect(),
            stores: true,
            leases: true,
            slow: false,
            writing: Vec::new(),
            flows: Some(0),
            devices: Vec::new(),
            id: 0,
        }
    }

    fn settle(&mut self) -> Vec<Output> {
        while let Some(o) = self.gx.poll_output() {
            let input = match o {
                Output::Locate { txn, imsi, pei } => {
                    self.devices.push(pei);
                    match self.alive.contains(&imsi) {
                        true => Input::Located { txn, subscription: subscription(imsi) },
                        false => Input::Refused { txn, refusal: stolen() },
                    }
                }
                Output::Addresses { txn, imsi, dnn, lease, foreign } => {
                    let given = match (self.leases, dnn.to_string().as_str()) {
                        (false, _) => Err(AddressRefusal::PoolExhausted),
                        (true, "corp") => Ok(leased(imsi)),
                        (true, _) => Err(AddressRefusal::UnknownDnn),
                    };
                    let pool: IpNet = "10.20.0.0/16".parse().unwrap();
                    let disjoint = !foreign.iter().any(|f| pool.contains(f));
                    Input::Addresses { txn, lease: lease.then_some(given), disjoint }
                }
                Output::Policy { txn, most, .. } => {
                    let policy = self.flows.filter(|n| *n <= most).map(|n| policy(n as u8));
                    Input::Policy { txn, policy }
                }
                Output::Persist { txn, .. } if self.slow => {
                    self.writing.push(txn);
                    continue;
                }
                Output::Persist { txn, .. } => Input::Persisted { txn, ok: self.stores },
                o => {
                    self.out.push(o);
                    continue;
                }
            };
            self.gx.handle(input, self.now);
        }
        std::mem::take(&mut self.out)
    }

    /// What was on its way to the disk is there.
    fn written(&mut self) -> Vec<Output> {
        self.slow = false;
        for txn in std::mem::take(&mut self.writing) {
            self.gx.handle(Input::Persisted { txn, ok: true }, self.now);
        }
        self.settle()
    }

    fn give(&mut self, input: Input) -> Vec<Output> {
        self.gx.handle(input, self.now);
        self.settle()
    }

    fn ask(&mut self, peer: &str, message: impl Into<Message>) -> Vec<Output> {
        self.id += 1;
        self.give(Input::Request { id: self.id, peer: name(peer), message: message.into() })
    }

    fn result(&mut self, peer: &str, message: impl Into<Message>) -> u32 {
        code(&self.ask(peer, message))
    }

    fn ban(&mut self, n: u32) -> Vec<Output> {
        self.alive.remove(&imsi(n));
        self.give(Input::Withdraw { imsi: imsi(n) })
    }

    fn pass(&mut self, ms: u64) -> Vec<Output> {
        self.now = self.now.plus_ms(ms);
        if self.gx.poll_timeout().is_some_and(|t| t <= self.now.mono) {
            self.gx.handle_timeout(self.now);
        }
        self.settle()
    }

    fn live(&self) -> Vec<&str> {
        self.gx.sessions().map(|s| s.id.as_str()).collect()
    }
}

fn subscription(imsi: Imsi) -> Subscription {
    Subscription {
        supi: Supi(imsi),
        slices: vec!["1".parse().unwrap()],
        dnns: vec!["corp".parse().unwrap(), "plant".parse().unwrap()],
        ambr_ul_bps: 50_000_000,
        ambr_dl_bps: 5_000_000_000,
    }
}

fn stolen() -> Refusal {
    Refusal { cause: FgmmCause::IllegalUe, backoff_s: None, reason: RefusalReason::Stolen }
}

fn leased(imsi: Imsi) -> SessionAddress {
    let last = imsi.to_string().parse::<u64>().unwrap() as u8;
    SessionAddress {
        ip: UeIp([10, 20, 0, last].into()),
        prefix: Some(format!("2001:db8:20:{last:x}::/64").parse().unwrap()),
        dns: vec![],
        mtu: 1400,
    }
}

fn policy(flows: u8) -> SessionPolicy {
    let flow = |n: u8| PermittedFlow {
        protocol: Protocol::Tcp,
        remote: format!("10.1.{n}.0/24").parse().unwrap(),
        remote_ports: Ports::one(443),
        ue_ports: Ports::ANY,
    };
    SessionPolicy { flows: (0..flows).map(flow).collect() }
}

fn octets(prefix: &str) -> Vec<u8> {
    let net: ipnet::Ipv6Net = prefix.parse().unwrap();
    [&[0, net.prefix_len()][..], &net.addr().octets()].concat()
}

fn ccr(peer: &str, kind: RequestType, n: u32) -> CreditControlRequest {
    CreditControlRequest {
        session_id: format!("{peer};1;{n};app_gx"),
        auth_application: application::GX,
        origin_host: name(peer),
        origin_realm: name("example"),
        destination_realm: name("example"),
        kind,
        number: u32::from(kind != RequestType::Initial),
        destination_host: None,
        origin_state: None,
        subscriptions: vec![
            SubscriptionId { kind: SubscriptionKind::E164, data: "8190000001".into() },
            SubscriptionId { kind: SubscriptionKind::Imsi, data: imsi(n).to_string() },
        ],
        features: vec![Features { vendor: TGPP, list: 1, features: 0xffff }],
        network_request: Some(1),
        ipv4: None,
        ipv6: None,
        ip_can: Some(5),
        rat_type: Some(1004),
        termination: None,
        equipment: None,
        qos: None,
        default_qos: None,
        called_station: Some("corp".into()),
        location: None,
        triggers: vec![],
        reports: vec![],
        route: vec![],
    }
}

fn initial(n: u32) -> CreditControlRequest {
    let ipv4 = Some([10, 20, 0, n as u8]);
    CreditControlRequest { ipv4, ..ccr(SMF, RequestType::Initial, n) }
}

fn update(n: u32) -> CreditControlRequest {
    ccr(SMF, RequestType::Update, n)
}

fn termination(n: u32) -> CreditControlRequest {
    ccr(SMF, RequestType::Termination, n)
}

fn answer(out: &[Output]) -> Message {
    let of = |o: &Output| if let Output::Answer { message, .. } = o { Some(message.clone()) } else { None };
    let all: Vec<Message> = out.iter().filter_map(of).collect();
    let [one] = all.as_slice() else { panic!("one answer: {out:?}") };
    one.clone()
}

fn cca(out: &[Output]) -> CreditControlAnswer {
    match answer(out) {
        Message::CreditControlAnswer(a) => *a,
        m => panic!("{m:?}"),
    }
}

fn code(out: &[Output]) -> u32 {
    match answer(out) {
        Message::CreditControlAnswer(a) => a.result_code.or(a.experimental.map(|e| e.code)).unwrap(),
        Message::Refusal { refusal, .. } => refusal.result_code,
        m => panic!("{m:?}"),
    }
}

/// The Re-Auth requests, with the numbers to answer them by.
fn released(out: &[Output]) -> Vec<(u64, ReAuthRequest)> {
    let of = |o: &Output| match o {
        Output::Ask { txn, peer, message: Message::ReAuthRequest(m) } => {
            assert_eq!(*peer, m.destination_host);
            Some((*txn, (**m).clone()))
        }
        _ => None,
    };
    out.iter().filter_map(of).collect()
}

fn raa(m: &ReAuthRequest, result_code: Option<u32>, experimental: Option<u32>) -> Option<Message> {
    Some(Message::from(ReAuthAnswer {
        session_id: m.session_id.clone(),
        origin_host: m.destination_host.clone(),
        origin_realm: name("example"),
        result_code,
        experimental: experimental.map(Experimental::tgpp),
        origin_state: None,
        reports: vec![],
        error_message: None,
        failed_avp: None,
    }))
}

fn how(out: &[Output]) -> Vec<Withdrawal> {
    out.iter().filter_map(|o| if let Output::Withdrawn { how, .. } = o { Some(*how) } else { None }).collect()
}

fn wrong(out: &[Output]) -> bool {
    out.iter().any(|o| matches!(o, Output::WrongAddress { .. }))
}

#[test]
fn a_session_lives_from_its_first_request_to_its_last() {
    let mut w = World::new();
    w.flows = Some(2);
    let device = Equipment { kind: 0, value: b"3560920407929901".to_vec() };
    let both = CreditControlRequest {
        ipv6: Some(octets("2001:db8:20:1::/64")),
        equipment: Some(device),
        ..initial(1)
    };
    let out = w.ask(SMF, both.clone());
    let a = cca(&out);
    assert_eq!((a.result_code, a.kind, a.number), (Some(2001), Some(RequestType::Initial), Some(0)));
    assert_eq!(a.features, [Features { vendor: TGPP, list: 1, features: 0x0b }], "what both have");
    let qos = &a.qos[0];
    assert_eq!((qos.apn_ul, qos.apn_dl), (Some(50_000_000), Some(u32::MAX)), "as much as fits");
    let bearer = a.default_qos.as_ref().unwrap();
    assert_eq!((bearer.qci, bearer.arp.as_ref().unwrap().priority), (Some(9), 8));
    let rule = &a.install[0].definitions[0];
    let said: Vec<&str> = rule.flows.iter().map(|f| f.description.as_deref().unwrap()).collect();
    assert_eq!(
        said,
        ["permit out 6 from 10.1.0.0/24 443 to assigned", "permit out 6 from 10.1.1.0/24 443 to assigned"]
    );
    assert_eq!(w.devices, [Some("imeisv-3560920407929901".parse().unwrap())]);
    let began: Vec<&Session> =
        out.iter().filter_map(|o| if let Output::Began(s) = o { Some(s) } else { None }).collect();
    assert_eq!(began[0].addresses.to_string(), "10.20.0.1, 2001:db8:20:1::/64");
    let octets = Pdu::request(Message::from(both.clone()), 1, 1).answer(a).encode();
    assert!(Pdu::parse(&octets).is_ok());

    // An answer that was lost: asked again, answered again, and nothing is new.
    let out = w.ask(SMF, both);
    assert_eq!((code(&out), out.len()), (2001, 1));
    assert_eq!(w.result(SMF, update(1)), 2001);
    let out = w.ask(SMF, termination(1));
    assert_eq!(code(&out), 2001);
    assert!(matches!(&out[..], [Output::Ended(s), _] if s.imsi == imsi(1)), "{out:?}");
    assert_eq!((w.gx.len(), w.gx.sessions_of(imsi(1)).count()), (0, 0));
    for late in [termination(1), update(1), update(7)] {
        assert_eq!(w.result(SMF, late), result::UNKNOWN_SESSION_ID);
    }
}

/// Where its SMF sees a UE, as far as the session is one.
#[test]
fn an_smf_says_where_a_ue_is_and_only_of_its_own_sessions() {
    let at = |tac: u8| Some(vec![130, 0x00, 0xf1, 0x10, 0, tac, 0x00, 0xf1, 0x10, 0, 0, 1, tac]);
    let seen = |out: &[Output]| -> Vec<(Imsi, u32, Option<u32>)> {
        let of = |o: &Output| match o {
            Output::Seen { imsi, place } => Some((*imsi, place.tai.tac.into(), place.cell)),
            _ => None,
        };
        out.iter().filter_map(of).collect()
    };
    let mut w = World::new();
    let out = w.ask(SMF, CreditControlRequest { location: at(7), ..initial(1) });
    assert_eq!((code(&out), seen(&out)), (2001, vec![(imsi(1), 7, Some(0x107))]));
    let out = w.ask(SMF, CreditControlRequest { location: at(8), ..update(1) });
    assert_eq!((code(&out), seen(&out)), (2001, vec![(imsi(1), 8, Some(0x108))]));
    // What says nothing of LTE is no reason to refuse, and none to believe anything.
    for nothing in [vec![], vec![129; 13], vec![130; 5]] {
        let out = w.ask(SMF, CreditControlRequest { location: Some(nothing), ..update(1) });
        assert_eq!((code(&out), seen(&out)), (2001, vec![]));
    }
    // A session that there is not, one of another SMF, and a SIM that may not live.
    let out = w.ask(SMF, CreditControlRequest { location: at(9), ..update(4) });
    assert_eq!((code(&out), seen(&out)), (result::UNKNOWN_SESSION_ID, vec![]));
    let mut as_another = CreditControlRequest { location: at(9), ..update(1) };
    as_another.subscriptions = update(2).subscriptions;
    let out = w.ask(SMF, as_another);
    assert_eq!((code(&out), seen(&out)), (result::INVALID_AVP_VALUE, vec![]));
    w.alive.remove(&imsi(3));
    assert_eq!(seen(&w.ask(SMF, CreditControlRequest { location: at(9), ..initial(3) })), []);
}

#[test]
fn who_may_not_live_gets_no_session() {
    let mut w = World::new();
    w.alive.remove(&imsi(3));
    let out = w.ask(SMF, initial(3));
    assert_eq!(code(&out), 5003);
    assert!(out.iter().any(|o| matches!(o, Output::Denied { reason: RefusalReason::Stolen, .. })), "{out:?}");
    // Not in the SIM's subscription; outside of what the SMF may ask for; from nobody; what a PCRF asks.
    let elsewhere = CreditControlRequest { called_station: Some("other".into()), ..initial(1) };
    assert_eq!(w.result(SMF, elsewhere), 5003);
    let mut foreign = initial(1);
    foreign.subscriptions[1].data = "999700000000001".into();
    assert_eq!(w.result(SMF, foreign), 5003);
    assert_eq!(w.result("smf9.example", initial(1)), result::UNKNOWN_PEER);
    let mut other = World::new();
    other.ask(SMF, initial(1));
    let (_, rar) = released(&other.ban(1)).remove(0);
    assert_eq!(w.result(SMF, rar), result::COMMAND_UNSUPPORTED);
    assert!(w.gx.is_empty());
}

#[test]
fn what_is_missing_or_none_is_refused_and_nothing_begins() {
    let mut w = World::new();
    let without = |change: fn(&mut CreditControlRequest)| {
        let mut m = initial(1);
        change(&mut m);
        m
    };
    let incomplete = [
        without(|m| m.subscriptions.clear()),
        without(|m| m.subscriptions[1].kind = SubscriptionKind::Nai),
        without(|m| m.subscriptions[1].data = "00101".into()),
        without(|m| m.subscriptions[1].data = "0010100000000011234".into()),
        without(|m| m.called_station = None),
        without(|m| m.called_station = Some("-".into())),
        without(|m| m.ipv4 = None),
    ];
    for m in incomplete {
        assert_eq!(w.result(SMF, m.clone()), INITIAL_PARAMETERS, "{m:?}");
    }
    // A prefix of no length, of another, with bits behind it, too long, not reserved, with something before it.
    let mut bad = vec![vec![], vec![0], vec![0, 48], vec![0, 64, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 1]];
    bad.push([&octets("2001:db8:20:1::/64")[..], &[0]].concat());
    bad.push([&[1][..], &octets("2001:db8:20:1::/64")[1..]].concat());
    bad.push([&[0, 129][..], &[0; 16]].concat());
    for ipv6 in bad {
        let m = CreditControlRequest { ipv6: Some(ipv6), ..initial(1) };
        assert_eq!(w.result(SMF, m.clone()), result::INVALID_AVP_VALUE, "{:?}", m.ipv6);
    }
    let long = CreditControlRequest { session_id: "x".repeat(256), ..initial(1) };
    assert_eq!(w.result(SMF, long), result::INVALID_AVP_VALUE);
    for kind in [RequestType::Event, RequestType::Other(0), RequestType::Other(u32::MAX)] {
        let m = CreditControlRequest { kind, ..initial(1) };
        assert_eq!(w.result(SMF, m), result::INVALID_AVP_VALUE);
    }
    assert!(w.gx.is_empty() && w.gx.pending.is_empty());
    // Fewer octets of a prefix are zeros at its end; a device that is none is not named.
    let m = CreditControlRequest {
        ipv6: Some(octets("2001:db8:20:1::/64")[..10].to_vec()),
        equipment: Some(Equipment { kind: 0, value: vec![0xff; 8] }),
        ..initial(1)
    };
    assert_eq!(w.result(SMF, m), 2001);
    assert_eq!(w.devices, [None]);
}

#[test]
fn an_address_that_is_not_the_sims_is_refused_and_told() {
    let mut w = World::new();
    let with = |ipv4: Option<[u8; 4]>, ipv6: Option<&str>| CreditControlRequest {
        ipv4,
        ipv6: ipv6.map(octets),
        ..initial(1)
    };
    let ours = Some([10, 20, 0, 1]);
    let not_its_own = [
        with(Some([10, 20, 0, 2]), None),
        with(Some([192, 0, 2, 1]), None),
        with(ours, Some("2001:db8:20:2::/64")),
        with(Some([10, 20, 0, 2]), Some("2001:db8:20:1::/64")),
        // The range of another SMF.
        with(Some([10, 45, 0, 1]), None),
        // A data network without a pool.
        CreditControlRequest { called_station: Some("plant".into()), ..with(ours, None) },
    ];
    for m in not_its_own {
        let out = w.ask(SMF, m.clone());
        assert!(code(&out) == 5003 && wrong(&out), "{m:?}: {out:?}");
    }
    assert!(w.gx.is_empty());
    assert_eq!(w.result(SMF, with(ours, None)), 2001);
    // A change is refused as a beginning is; the same once more is none; nobody else's SIM is put in.
    let moved = CreditControlRequest { ipv4: Some([10, 20, 0, 2]), ..update(1) };
    let out = w.ask(SMF, moved);
    assert!(code(&out) == 5003 && wrong(&out), "{out:?}");
    assert_eq!(w.result(SMF, CreditControlRequest { ipv4: ours, ..update(1) }), 2001);
    let mut another = update(1);
    another.subscriptions[1].data = imsi(2).to_string();
    assert_eq!(w.result(SMF, another), result::INVALID_AVP_VALUE);
    // The same Session-Id for another SIM.
    let taken = CreditControlRequest { session_id: initial(1).session_id, ..initial(2) };
    assert_eq!(w.result(SMF, taken), result::UNABLE_TO_COMPLY);
    assert_eq!(w.gx.sessions().next().unwrap().imsi, imsi(1));
    // Another SMF that says it is another session.
    let mut foreign = ccr(OWN, RequestType::Termination, 1);
    foreign.session_id = initial(1).session_id;
    assert_eq!(w.result(OWN, foreign), result::UNKNOWN_SESSION_ID);
    assert_eq!(w.gx.len(), 1);
}

#[test]
fn an_smf_that_assigns_on_its_own_keeps_to_its_range_and_one_sim_to_an_address() {
    let mut w = World::new();
    let own = |n: u32, ipv4: [u8; 4], ipv6: Option<&str>| CreditControlRequest {
        ipv4: Some(ipv4),
        ipv6: ipv6.map(octets),
        ..ccr(OWN, RequestType::Initial, n)
    };
    assert_eq!(w.result(OWN, own(1, [10, 45, 0, 2], Some("2001:db8:45:1::/64"))), 2001);
    // A part of ours and a part of its own.
    assert_eq!(w.result(OWN, own(2, [10, 20, 0, 2], Some("2001:db8:45:2::/64"))), 2001);
    // Its range lies in a pool of ours: nothing of that is its to give.
    let out = w.ask(OWN, own(3, [10, 20, 200, 9], None));
    assert!(code(&out) == 5003 && wrong(&out), "{out:?}");
    // Another SIM has it; that SMF is asked whether it still has that session.
    let out = w.ask(OWN, own(3, [10, 45, 0, 2], None));
    assert!(code(&out) == 5003 && wrong(&out), "{out:?}");
    let (txn, rar) = released(&out).remove(0);
    assert_eq!((rar.session_id.as_str(), rar.release), ("smf2.example;1;1;app_gx", Some(0)));
    let out = w.give(Input::Answered { txn, message: raa(&rar, Some(result::UNKNOWN_SESSION_ID), None) });
    assert!(matches!(&out[..], [Output::Ended(s)] if s.imsi == imsi(1)), "{out:?}");
    assert_eq!(w.result(OWN, own(3, [10, 45, 0, 2], None)), 2001);
    let out = w.ask(OWN, own(4, [10, 45, 0, 7], Some("2001:db8:45:2::/64")));
    assert!(code(&out) == 5003 && wrong(&out), "{out:?}");
    assert_eq!(w.live(), ["smf2.example;1;2;app_gx", "smf2.example;1;3;app_gx"]);
}

#[test]
fn a_ban_is_said_until_the_session_is_gone() {
    let mut w = World::new();
    for n in [1, 2] {
        assert_eq!(w.result(SMF, initial(n)), 2001);
    }
    let out = w.ban(1);
    let (txn, rar) = released(&out).remove(0);
    assert_eq!((rar.release, rar.kind, how(&out)), (Some(1), 0, vec![Withdrawal::Sent]));
    assert!(!w.gx.is_acknowledged(imsi(1)));
    // No, and no answer: again after half a minute.
    let out = w.give(Input::Answered { txn, message: raa(&rar, Some(5012), None) });
    assert_eq!(how(&out), [Withdrawal::Declined]);
    assert!(released(&w.pass(29_000)).is_empty());
    let (txn, _) = released(&w.pass(1_000)).remove(0);
    assert!(w.give(Input::Answered { txn, message: None }).is_empty());
    let (txn, rar) = released(&w.pass(30_000)).remove(0);
    let out = w.give(Input::Answered { txn, message: raa(&rar, Some(2001), None) });
    assert_eq!(how(&out), [Withdrawal::Acknowledged]);
    assert!(w.gx.is_acknowledged(imsi(1)) && w.gx.len() == 2, "acknowledged is not gone");
    assert!(w.pass(600_000).is_empty(), "it is not nagged");

    // Signs of life: an update, another beginning, the SMF is back. A number nobody gave is nobody's.
    let out = w.ask(SMF, update(1));
    assert_eq!((code(&out), released(&out).len()), (5003, 1));
    let (txn, rar) = released(&out).remove(0);
    let out = w.ask(SMF, CreditControlRequest { session_id: "smf1.example;1;99".into(), ..initial(1) });
    assert_eq!((code(&out), released(&out).len()), (5003, 0), "it is being told");
    let out = w.give(Input::Answered { txn, message: raa(&rar, Some(2001), None) });
    assert_eq!((how(&out), released(&out).len()), (vec![Withdrawal::Acknowledged, Withdrawal::Sent], 1));
    let out = w.give(Input::Up { peer: name(SMF), state: Some(7) });
    let (txn, rar) = released(&out).remove(0);
    assert!(w.give(Input::Answered { txn: txn + 100, message: None }).is_empty());
    // That it knows no such session is its word, not what was seen.
    let unknown = raa(&rar, None, Some(result::UNKNOWN_SESSION_ID));
    assert_eq!(how(&w.give(Input::Answered { txn, message: unknown })), [Withdrawal::Acknowledged]);

    let out = w.ask(SMF, termination(1));
    assert_eq!((code(&out), how(&out)), (2001, vec![Withdrawal::Effective]));
    assert!(w.pass(60_000).is_empty() && w.gx.poll_timeout().is_none());
    assert_eq!(w.live(), ["smf1.example;1;2;app_gx"], "nobody else notices");
    assert_eq!(w.result(SMF, update(2)), 2001);
}

#[test]
fn who_is_banned_while_a_session_begins_does_not_begin() {
    let mut w = World::new();
    w.slow = true;
    assert!(w.ask(SMF, initial(1)).is_empty(), "nothing is answered before it is durable");
    let again = w.result(SMF, initial(1));
    assert_eq!(again, result::TOO_BUSY, "the same once more, in the meantime");
    assert!(w.ban(1).is_empty());
    let out = w.written();
    assert_eq!(code(&out), 5003);
    assert!(w.gx.is_empty() && w.gx.pending.is_empty());
    // Its end comes first: as if it had never begun.
    w.slow = true;
    w.ask(SMF, initial(2));
    assert_eq!(w.result(SMF, termination(2)), result::UNKNOWN_SESSION_ID);
    assert_eq!(code(&w.written()), 5003);
    assert!(w.gx.is_empty());
    // The ban is taken back: what lives goes on, and what was replaced does not.
    assert_eq!(w.result(SMF, initial(3)), 2001);
    assert_eq!(released(&w.ban(3)).len(), 1);
    w.alive.insert(imsi(3));
    w.give(Input::Restore { imsi: imsi(3) });
    assert_eq!(w.result(SMF, update(3)), 2001);
    assert!(w.give(Input::Up { peer: name(SMF), state: None }).is_empty());
}

#[test]
fn a_new_session_of_a_sim_replaces_its_old_one() {
    let mut w = World::new();
    assert_eq!(w.result(SMF, initial(1)), 2001);
    let second = CreditControlRequest { session_id: "smf1.example;2;1".into(), ..initial(1) };
    let out = w.ask(SMF, second);
    let (txn, rar) = released(&out).remove(0);
    assert_eq!((code(&out), rar.session_id.as_str()), (2001, "smf1.example;1;1;app_gx"));
    assert!(how(&out).is_empty(), "no ban is in it");
    let out = w.give(Input::Answered { txn, message: raa(&rar, Some(result::UNKNOWN_SESSION_ID), None) });
    assert!(matches!(&out[..], [Output::Ended(_)]), "{out:?}");
    assert_eq!(w.live(), ["smf1.example;2;1"]);
    // A hoard of them: those that do not go count.
    for n in 3..=20 {
        let m = CreditControlRequest { session_id: format!("smf1.example;{n};1"), ..initial(1) };
        let expected = if n <= 12 { 2001 } else { result::TOO_BUSY };
        assert_eq!(w.result(SMF, m), expected, "{n}");
    }
    assert_eq!(w.gx.len(), 11);
}

#[test]
fn what_the_user_plane_has_seen_go_is_gone_and_stays_withdrawn() {
    let mut w = World::new();
    assert_eq!((w.result(SMF, initial(1)), w.result(SMF, initial(2))), (2001, 2001));
    let gone = |n: u32, dnn: &str| Input::Gone { imsi: imsi(n), dnn: dnn.parse().unwrap() };
    assert!(w.give(gone(1, "corp")).is_empty(), "nobody takes it away");
    let (txn, rar) = released(&w.ban(1)).remove(0);
    assert!(!w.gx.is_let_go(imsi(1)));
    assert!(w.give(gone(1, "plant")).is_empty() && w.give(gone(2, "corp")).is_empty());
    assert_eq!(how(&w.give(gone(1, "corp"))), [Withdrawal::Effective]);
    assert!(w.gx.is_let_go(imsi(1)) && w.gx.is_acknowledged(imsi(1)));
    let late = raa(&rar, Some(5012), None);
    assert!(w.give(Input::Answered { txn, message: late }).is_empty());
    assert!(w.give(gone(1, "corp")).is_empty() && w.pass(60_000).is_empty(), "once");
    assert_eq!(w.gx.poll_timeout(), None);
    assert!(released(&w.give(Input::Up { peer: name(SMF), state: None })).is_empty());
    assert_eq!(w.result(SMF, update(1)), 5003);
    let out = w.ask(SMF, termination(1));
    assert_eq!((code(&out), how(&out)), (2001, vec![]));
    assert!(w.gx.is_let_go(imsi(1)) && !w.gx.is_let_go(imsi(2)));
}

#[test]
fn a_data_network_that_is_taken_from_a_sim_ends_its_sessions_there() {
    let mut w = World::new();
    assert_eq!((w.result(SMF, initial(1)), w.result(SMF, initial(2))), (2001, 2001));
    let less = Subscription { dnns: vec!["plant".parse().unwrap()], ..subscription(imsi(1)) };
    let out = w.give(Input::Subscribed(less.clone()));
    let (txn, rar) = released(&out).remove(0);
    assert_eq!((rar.release, how(&out)), (Some(1), vec![Withdrawal::Sent]));
    assert!(w.give(Input::Subscribed(less)).is_empty(), "it is on its way");
    assert!(w.give(Input::Subscribed(subscription(imsi(2)))).is_empty());
    w.give(Input::Restore { imsi: imsi(1) });
    assert_eq!(w.result(SMF, update(1)), 5003, "that the SIM lives does not give it back");
    let out = w.give(Input::Answered { txn, message: raa(&rar, Some(result::UNKNOWN_SESSION_ID), None) });
    assert_eq!(how(&out), [Withdrawal::Effective]);
    assert_eq!(w.live(), ["smf1.example;1;2;app_gx"]);
}

#[test]
fn what_an_smf_has_lost_by_its_restart_is_over() {
    let mut w = World::new();
    w.give(Input::Up { peer: name(SMF), state: Some(5) });
    for n in [1, 2] {
        assert_eq!(w.result(SMF, initial(n)), 2001);
    }
    w.ban(1);
    let stored: Vec<Session> = w.gx.sessions().cloned().collect();
    assert!(stored.iter().all(|s| s.state == Some(5)));
    // The connection alone was lost: all live.
    assert_eq!(released(&w.give(Input::Up { peer: name(SMF), state: Some(5) })).len(), 1);

    // We have restarted, and the SMF has not: the ban is said again. Then it has, too.
    let mut w = World::new();
    w.alive.remove(&imsi(1));
    w.give(Input::Load(stored));
    assert_eq!(released(&w.give(Input::Withdraw { imsi: imsi(1) })).len(), 1);
    assert_eq!((w.gx.held_at(&name(SMF)), w.gx.held_at(&name("other.example"))), (2, 0));
    let out = w.give(Input::Up { peer: name(SMF), state: Some(6) });
    assert_eq!(how(&out), [Withdrawal::Effective]);
    assert!(w.gx.is_empty() && w.gx.held_at(&name(SMF)) == 0 && released(&out).is_empty(), "{out:?}");
    assert_eq!((w.gx.lost_at(&name(SMF)), w.gx.lost_at(&name("other.example"))), (2, 0));
}

#[test]
fn what_is_not_durable_or_has_no_address_does_not_begin() {
    let mut w = World::new();
    w.stores = false;
    assert_eq!(w.result(SMF, initial(1)), result::UNABLE_TO_COMPLY);
    w.stores = true;
    w.leases = false;
    assert_eq!(w.result(SMF, initial(1)), result::UNABLE_TO_COMPLY);
    w.leases = true;
    // More than a rule can say, and nothing to say: no rule.
    for flows in [None, Some(0), Some(16)] {
        w.flows = flows;
        let out = w.ask(SMF, initial(1));
        assert!(code(&out) == 2001 && cca(&out).install.is_empty(), "{flows:?}");
    }
    // Its end is its end, whatever the store says.
    w.stores = false;
    assert_eq!(w.result(SMF, termination(1)), result::UNABLE_TO_COMPLY);
    assert!(w.gx.is_empty());
}

#[test]
fn numbers_that_nobody_gave_are_nobodys() {
    let mut w = World::new();
    w.slow = true;
    w.ask(SMF, initial(1));
    for txn in [0, 1, 5, 9, u64::MAX] {
        w.give(Input::Located { txn, subscription: subscription(imsi(2)) });
        w.give(Input::Refused { txn, refusal: stolen() });
        w.give(Input::Addresses { txn, lease: None, disjoint: true });
        w.give(Input::Policy { txn, policy: None });
        w.give(Input::Answered { txn, message: None });
    }
    assert!(w.gx.is_empty());
}
