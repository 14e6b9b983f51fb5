//! Each fault is given to a healthy machine, and the doctor names it, and nothing else, with the command that mends it.

use super::{
    CopySeen, Machine, PageSeen, ProviderSeen, Refused, SilentPeer, Tun, Ways, certificate::Certificate,
    judge,
};
use crate::{config::Config, io::sctp::Probe};
use admin_web::{FindingState, MachineFinding, Standing};
use gateway::{link::GatewayStatus, link::ShardStatus};
use std::collections::BTreeSet;

const NOW: i64 = 1_800_000_000;

fn config(more: &str) -> Config {
    let text = format!(
        "[network]\nplmn = \"001-01\"\ntacs = [1]\nslices = [\"1\"]\n[n2]\naddress = \"192.0.2.1\"\n\
         [[gnb]]\nname = \"gnb-1\"\nn2 = [\"192.0.2.7/32\"]\nn3 = [\"192.0.2.7/32\"]\n[n3]\naddress = \"192.0.2.1\"\n\
         [paths]\ndata = \"/var/lib/sekisho\"\n[oidc]\nname = \"Corp\"\nissuer = \"https://idp.example\"\n\
         client_id = \"sekisho\"\nbase_url = \"https://sekisho.example\"\n[[oidc.grant]]\ngroup = \"net\"\nrole = \"owner\"\n{more}"
    );
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("sekisho.toml");
    std::fs::write(&file, text).expect("written");
    Config::load(&file, std::iter::empty()).expect("a right configuration")
}

fn healthy() -> Machine {
    let mut shard = ShardStatus { sessions: 3, ..ShardStatus::default() };
    (shard.io.n3_received, shard.io.n6_sent, shard.io.n6_received) = (1_000, 900, 800);
    Machine {
        utc_ms: NOW * 1000,
        clock_kept: Some(true),
        sctp: Probe { kernel: true, raw: true },
        n2: Ok(()),
        n3: Ok(()),
        tun: Tun::Opens,
        data_mode: Some(0o700),
        key: Some((0o600, 32)),
        journal: Some(Ok(12)),
        database_knows: Some(12),
        pools: vec!["10.45.0.0/16".parse().expect("a pool")],
        held: None,
        recovery_key: true,
        backup_age: Some(3_600),
        deliveries: Ok(vec![("siem".to_owned(), Ok(()))]),
        provider: Some(ProviderSeen { answer: Ok(()), lost: None }),
        page: None,
        ways: Ok(Ways {
            forwards: true,
            forwards6: Some(true),
            n3_device: Some("ran0".to_owned()),
            past: false,
            n3_mtu: Some(1500),
        }),
        gateway: Some(Box::new(GatewayStatus { shards: vec![shard], ..GatewayStatus::default() })),
        copies: vec![("/mnt/copy".to_owned(), CopySeen::Has(12, 0))],
        free: Some(50 << 30),
        receive_buffer: Some(8 << 20),
        open_files: Some(65_536),
        taken: Vec::new(),
        certificate: None,
        console: Standing::Current("abc".to_owned()),
        refused: Vec::new(),
        silent: Vec::new(),
    }
}

fn faults(c: &Config, m: &Machine) -> Vec<MachineFinding> {
    judge(c, m).into_iter().filter(|f| f.state != FindingState::Good).collect()
}

fn status(m: &mut Machine) -> &mut GatewayStatus {
    m.gateway.as_mut().expect("it answers")
}

fn provider(m: &mut Machine) -> &mut ProviderSeen {
    m.provider.as_mut().expect("it is configured")
}

fn certificate(from: i64, until: i64, key_mode: u32) -> Option<Result<Certificate, String>> {
    Some(Ok(Certificate { from, until, key_mode: Some(key_mode) }))
}

type Fault = (&'static str, fn(&mut Machine));

const FAULTS: &[Fault] = &[
    ("n2-address", |m| m.n2 = Err("not ours".to_owned())),
    ("n3-address", |m| m.n3 = Err("not ours".to_owned())),
    ("port-taken", |m| m.taken = vec!["192.0.2.1:2152/udp".to_owned()]),
    ("tun-missing", |m| m.tun = Tun::Missing),
    ("tun-closed", |m| m.tun = Tun::Closed("denied".to_owned())),
    ("data-missing", |m| m.data_mode = None),
    ("data-mode", |m| m.data_mode = Some(0o755)),
    ("key-missing", |m| m.key = None),
    ("key-mode", |m| m.key = Some((0o640, 32))),
    ("key-length", |m| m.key = Some((0o600, 33))),
    ("journal-missing", |m| m.journal = None),
    ("journal-damaged", |m| m.journal = Some(Err("record 7".to_owned()))),
    ("journal-behind", |m| m.database_knows = Some(13)),
    ("held", |m| m.held = Some("restored".to_owned())),
    ("no-recovery-key", |m| m.recovery_key = false),
    ("backup-none", |m| m.backup_age = None),
    ("backup-old", |m| m.backup_age = Some(8 * 86_400)),
    ("delivery-wrong", |m| m.deliveries = Err("no such file".to_owned())),
    ("delivery-none", |m| m.deliveries = Ok(Vec::new())),
    ("delivery-silent", |m| m.deliveries = Ok(vec![("siem".to_owned(), Err("refused".to_owned()))])),
    ("provider-silent", |m| provider(m).answer = Err("connection refused".to_owned())),
    ("provider-way-back", |m| provider(m).lost = Some("it is another's".to_owned())),
    ("clock-wrong", |m| m.utc_ms = 1_000),
    ("clock-free", |m| m.clock_kept = Some(false)),
    ("namespace", |m| m.ways = Err("no such namespace".to_owned())),
    ("forwarding-off", |m| m.ways = Ok(Ways { forwards: false, ..m.ways.clone().unwrap_or_default() })),
    ("forwarding6-off", |m| {
        m.ways = Ok(Ways { forwards6: Some(false), ..m.ways.clone().unwrap_or_default() })
    }),
    ("past-the-gateway", |m| m.ways = Ok(Ways { past: true, ..m.ways.clone().unwrap_or_default() })),
    ("mtu-small", |m| m.ways = Ok(Ways { n3_mtu: Some(1_400), ..m.ways.clone().unwrap_or_default() })),
    ("gateway-silent", |m| m.gateway = None),
    ("gateway-closed", |m| status(m).denied = Some("no word of control".to_owned())),
    ("journal-room", |m| status(m).journal_low = Some("disk full".to_owned())),
    ("n3-silent", |m| status(m).shards[0].io.n3_received = 0),
    ("no-way-back", |m| status(m).shards[0].io.n6_received = 0),
    ("copy-none", |m| m.copies.clear()),
    ("copy-behind", |m| m.copies[0].1 = CopySeen::Has(10, 2)),
    ("copy-same-disk", |m| m.copies[0].1 = CopySeen::SameDisk),
    ("copy-fails", |m| m.copies[0].1 = CopySeen::Fails("not mounted".to_owned())),
    ("copy-silent", |m| m.copies[0].1 = CopySeen::Silent),
    ("disk-full", |m| m.free = Some(100 << 20)),
    ("buffers-small", |m| m.receive_buffer = Some(212_992)),
    ("open-files", |m| m.open_files = Some(1_024)),
    ("certificate-unreadable", |m| m.certificate = Some(Err("no certificate".to_owned()))),
    ("certificate-early", |m| m.certificate = certificate(NOW + 1, NOW + 90 * 86_400, 0o600)),
    ("certificate-expired", |m| m.certificate = certificate(NOW - 9, NOW, 0o600)),
    ("certificate-soon", |m| m.certificate = certificate(NOW - 9, NOW + 9 * 86_400, 0o600)),
    ("certificate-key-mode", |m| m.certificate = certificate(NOW - 9, NOW + 90 * 86_400, 0o644)),
    ("console-missing", |m| m.console = Standing::Missing),
    ("console-stale", |m| m.console = Standing::Stale { built: "a".to_owned(), sources: "b".to_owned() }),
    ("radio-refused", |m| {
        m.refused = vec![Refused::Radio { address: "192.0.2.7".to_owned(), why: "PLMN 999-70".to_owned() }];
    }),
    ("peer-silent", |m| {
        m.silent =
            vec![SilentPeer { face: "S6a", name: "mme.example".to_owned(), since: types::Utc(NOW * 1000) }];
    }),
    ("dnn-refused", |m| m.refused = vec![Refused::Session { dnn: "internet".to_owned() }]),
];

/// Those that the configuration makes.
const OF_THE_CONFIGURATION: &[(&str, &str, Probe)] = &[
    ("sctp-kernel-missing", "kernel", Probe { kernel: false, raw: true }),
    ("sctp-raw-refused", "raw", Probe { kernel: false, raw: false }),
    ("sctp-kernel-answers", "raw", Probe { kernel: true, raw: true }),
];

fn must_mend(f: &MachineFinding) {
    let code = f.code;
    assert!(f.command.as_ref().is_some_and(|c| !c.trim().is_empty()), "{code} has a command");
    let fix = f.fix.as_ref().expect(code);
    for said in [&f.what, &f.seen, fix] {
        assert!(!said.en.is_empty() && !said.ja.is_empty(), "{code}");
        assert!(said.en.is_ascii(), "{code}: {}", said.en);
    }
    assert!(fix.ja.chars().any(|c| ('\u{3040}'..='\u{30ff}').contains(&c)), "{code}: {}", fix.ja);
}

#[test]
fn a_healthy_machine_has_no_fault_and_says_both_heads() {
    let found = judge(&config(""), &healthy());
    assert_eq!(faults(&config(""), &healthy()), []);
    assert!(found.len() >= 18, "{}", found.len());
    let heads = found.iter().find(|f| f.code == "journal").expect("a line for the heads");
    assert_eq!(heads.seen.en, "head at record 12; the database knows of 12");
}

#[test]
fn each_fault_is_named_alone_with_the_command_that_mends_it() {
    let mut codes = BTreeSet::new();
    for (code, give) in FAULTS {
        let mut m = healthy();
        give(&mut m);
        let found = faults(&config(""), &m);
        assert_eq!(found.iter().map(|f| f.code).collect::<Vec<_>>(), [*code]);
        found.iter().for_each(must_mend);
        codes.insert(*code);
    }
    for (code, transport, probe) in OF_THE_CONFIGURATION {
        let mut c = config("");
        c.n2.transport = match *transport {
            "kernel" => crate::config::Transport::Kernel,
            _ => crate::config::Transport::Raw,
        };
        let found = faults(&c, &Machine { sctp: *probe, ..healthy() });
        assert_eq!(found.iter().map(|f| f.code).collect::<Vec<_>>(), [*code]);
        found.iter().for_each(must_mend);
        codes.insert(*code);
    }
    let mut c = config("");
    c.gnb.clear();
    assert_eq!(faults(&c, &healthy())[0].code, "no-radio");
    let mut c = config("");
    c.network.ciphering.push(crate::config::Ciphering::Nea0);
    assert_eq!(faults(&c, &healthy())[0].code, "nea0");
    assert_eq!(codes.len(), FAULTS.len() + OF_THE_CONFIGURATION.len(), "each has a word of its own");
    assert!(codes.len() + 2 >= 25);
}

#[test]
fn an_smf_that_assigns_from_a_pool_of_ours_is_a_fault() {
    let smf = |ranges: &str| {
        let text = format!(
            "[gx]\nhost = \"pcrf.example\"\nrealm = \"example\"\nlisten = \"127.0.0.9:3868\"\n\
             [[gx.smf]]\nhost = \"smf.example\"\naddresses = [\"127.0.0.4\"]\nassigns = [{ranges}]\n"
        );
        faults(&config(&text), &healthy())
    };
    assert_eq!(smf("\"10.46.0.0/16\", \"2001:db8:45::/48\""), []);
    assert_eq!(smf(""), []);
    for overlapping in ["\"10.45.0.0/16\"", "\"10.45.7.0/24\"", "\"10.0.0.0/8\""] {
        let found = smf(overlapping);
        assert_eq!(found.iter().map(|f| f.code).collect::<Vec<_>>(), ["smf-range-overlaps"], "{overlapping}");
        found.iter().for_each(must_mend);
    }
}

#[test]
fn an_own_range_of_a_foreign_smf_is_a_fault_as_well_and_one_that_both_sections_have_is_one() {
    let both = |gx: &str, n4: &str| {
        let text = format!(
            "[gx]\nhost = \"pcrf.example\"\nrealm = \"example\"\nlisten = \"127.0.0.9:3868\"\n\
             [[gx.smf]]\nhost = \"smf.example\"\naddresses = [\"192.0.2.4\"]\n{gx}\
             [n4]\nlisten = \"192.0.2.1:8805\"\n[[n4.smf]]\nname = \"core\"\naddress = \"192.0.2.4\"\n{n4}"
        );
        let found = faults(&config(&text), &healthy());
        found.iter().for_each(must_mend);
        found.iter().map(|f| f.code).collect::<Vec<_>>()
    };
    assert_eq!(both("", ""), [""; 0]);
    let (gx, n4) = ("assigns = [\"10.45.0.0/16\"]\n", "own_range = [\"10.45.0.0/16\"]\n");
    assert_eq!(both(gx, n4), ["smf-range-overlaps"]);
    let alone = "[n4]\nlisten = \"192.0.2.1:8805\"\n[[n4.smf]]\nname = \"core\"\naddress = \"192.0.2.4\"\n";
    let found = faults(&config(&format!("{alone}{n4}")), &healthy());
    assert_eq!(found.iter().map(|f| f.code).collect::<Vec<_>>(), ["smf-range-overlaps"]);
    assert!(found[0].seen.en.starts_with("core assigns from 10.45.0.0/16"));
}

#[test]
fn what_keeps_people_from_the_page_or_the_provider_is_named() {
    let c = config(
        "[service]\naddress = \"10.99.0.1\"\nurl = \"https://check.example\"\ncertificate = \"/c\"\nprivate_key = \"/k\"\n",
    );
    let found = |change: fn(&mut Machine, &mut PageSeen)| {
        let mut m = healthy();
        let certificate = Ok(Certificate { from: NOW - 1, until: NOW + 90 * 86_400, key_mode: Some(0o600) });
        let provider = Ok(("idp.example".to_owned(), vec!["192.0.2.9:443".parse().expect("an address")]));
        let mut page = PageSeen { certificate, provider, closed: Vec::new() };
        change(&mut m, &mut page);
        m.page = Some(page);
        let found = faults(&c, &m);
        found.iter().for_each(must_mend);
        found.iter().map(|f| f.code).collect::<Vec<_>>()
    };
    assert_eq!(found(|_, _| {}), [""; 0]);
    assert_eq!(found(|_, p| p.certificate = Err("no such file".to_owned())), ["page-certificate"]);
    assert_eq!(
        found(|_, p| p.certificate = Ok(Certificate { from: NOW - 9, until: NOW, key_mode: None })),
        ["page-certificate"]
    );
    assert_eq!(
        found(|_, p| p.certificate = Ok(Certificate { from: NOW - 9, until: NOW + 86_400, key_mode: None })),
        ["page-certificate-soon"]
    );
    assert_eq!(found(|m, _| m.pools = vec!["10.99.0.0/16".parse().expect("a pool")]), ["page-address"]);
    assert_eq!(found(|_, p| p.provider = Err("not found".to_owned())), ["page-provider-name"]);
    assert_eq!(found(|_, p| p.closed = vec!["office".to_owned()]), ["page-provider-closed"]);
}

#[test]
fn a_command_for_the_gateways_namespace_says_so() {
    let c = config("[gateway]\nnetns = \"/run/netns/core\"\n");
    let mut m = healthy();
    m.ways = Ok(Ways { forwards: false, ..Ways::default() });
    let found = faults(&c, &m);
    assert_eq!(found[0].command.as_deref(), Some("ip netns exec core sysctl -w net.ipv4.ip_forward=1"));
    m.ways = Err("cannot be opened".to_owned());
    assert_eq!(faults(&c, &m)[0].command.as_deref(), Some("ip netns add core"));
}

#[test]
fn this_machine_can_be_looked_at() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut c = config("");
    c.paths.data = dir.path().to_owned();
    c.paths.run = None;
    // Not asked from here.
    c.oidc = None;
    let m = Machine::look(&c);
    assert!(m.data_mode.is_some() && m.journal.is_none() && m.gateway.is_none());
    assert!(m.free.is_some_and(|n| n > 0), "df is everywhere");
    assert!(m.open_files.is_some() && m.receive_buffer.is_some());
    let codes: Vec<_> = faults(&c, &m).iter().map(|f| f.code).collect();
    for code in ["key-missing", "journal-missing", "no-recovery-key", "gateway-silent", "n2-address"] {
        assert!(codes.contains(&code), "{code} in {codes:?}");
    }
    // Who has our port is found.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    c.api.listen = taken.local_addr().expect("its address");
    assert_eq!(Machine::look(&c).taken, [format!("{}/tcp", c.api.listen)]);
}

#[test]
fn an_smf_that_is_away_or_does_not_answer_is_said_and_what_a_restart_ended() {
    use gateway::link::SmfStatus;
    use types::{Restoration, SmfState};
    let c =
        config("[n4]\nlisten = \"192.0.2.1:8805\"\n[[n4.smf]]\nname = \"core\"\naddress = \"192.0.2.4\"\n");
    let restoration = Restoration { recovery: Some(7), restarts: 2, ended: 5, restored: 4 };
    for (state, code, kind) in [
        (SmfState::Up, "smf", FindingState::Good),
        (SmfState::Silent, "smf-silent", FindingState::Note),
        (SmfState::Never, "smf-away", FindingState::Note),
        (SmfState::Restarted, "smf-away", FindingState::Note),
    ] {
        let mut m = healthy();
        let smf = "192.0.2.4".parse().expect("an address");
        status(&mut m).smfs = vec![SmfStatus { smf, state, sessions: 3, restoration }];
        let found = judge(&c, &m);
        let f = found.iter().find(|f| f.code == code).expect(code);
        assert!(f.state == kind && f.seen.en.contains("core") && f.seen.ja.contains("core"), "{f:?}");
        if state == SmfState::Up {
            assert!(
                ["3 sessions", "2 times", "ended 5", "4 were given back"]
                    .iter()
                    .all(|w| f.seen.en.contains(w))
            );
        } else {
            must_mend(f);
        }
    }
}
