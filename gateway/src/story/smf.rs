//! A foreign SMF steers the gateway over UDP: sessions, bans, restarts of all three, reports, lies.

mod bearers;
mod hostile;
mod records;

use super::*;
use crate::link::SmfStatus;
use crate::n4_socket::N4SocketConfig;
use lab::smf::pfcp::{Core, Made, Smf, Wish, idle, query, to_radio};
use std::net::SocketAddr;
use types::{ForeignAsk, ForeignGrant, ForeignRefusal, ForeignSession, Reason, Restoration, SmfState};

const SMF: Ipv4Addr = Ipv4Addr::new(10, 10, 0, 4);
const STRANGER: Ipv4Addr = Ipv4Addr::new(10, 10, 0, 66);
/// The radio's end of the tunnel.
const RADIO: (Ipv4Addr, u32) = (GNB, GNB_TEID);

fn n4() -> SocketAddr {
    (US, PORT).into()
}

fn site() -> Site {
    let mut site = Site::build(2);
    let mut netlink = Netlink::open().unwrap();
    for address in [SMF, STRANGER] {
        netlink.add_address(IpAddr::V4(address).into(), 1).unwrap();
    }
    let smfs = vec![SMF.into()];
    site.config.n4 = Some(N4SocketConfig { listen: n4(), smfs, heartbeat_ms: 400, t1_ms: 150 });
    site
}

fn wish(core: Core) -> Wish {
    Wish {
        core,
        imsi: Some(imsi()),
        dnn: "office".parse().unwrap(),
        ip: Some(UE),
        ip6: None,
        radio: Some(RADIO),
        restores: None,
        threshold: None,
        seid: 0xf13,
    }
}

/// What control is asked, and what it says.
type Word = fn(&ForeignAsk) -> Result<ForeignGrant, ForeignRefusal>;

fn as_named(ask: &ForeignAsk) -> Result<ForeignGrant, ForeignRefusal> {
    Ok(ForeignGrant { ip: ask.ip.ok_or(ForeignRefusal::NoAddress)?, prefix: ask.prefix })
}

/// Our policy is in force, and the SMF has its association.
fn associated(control: &mut Control<'_>) -> Smf {
    control.publish_policy(1);
    let mut smf = Smf::open(SMF, n4()).unwrap();
    smf.associate().unwrap().unwrap();
    smf
}

/// The SMF asks for a session while control is there to be asked.
fn session(control: &mut Control<'_>, smf: &mut Smf, wish: &Wish, word: Word) -> Result<Made, Cause> {
    thread::scope(|all| {
        let made = all.spawn(|| smf.made(wish).unwrap());
        let ask = control.hear(|m| match m {
            FromGateway::ForeignAsk(ask) => Some(ask),
            _ => None,
        });
        assert_eq!((ask.imsi, ask.ip), (wish.imsi.unwrap(), wish.ip.map(types::UeIp)));
        control.say(ToGateway::ForeignAnswer { id: ask.id, answer: word(&ask) });
        made.join().unwrap()
    })
}

fn told(control: &mut Control<'_>, wanted: bool) -> ForeignSession {
    control.hear(|m| match m {
        FromGateway::Foreign { session, up } if up == wanted => Some(session),
        _ => None,
    })
}

fn state(control: &mut Control<'_>) -> SmfState {
    control.hear(|m| match m {
        FromGateway::Smf { state, .. } => Some(state),
        _ => None,
    })
}

/// A question goes out by this tunnel, its answer comes back to the radio.
fn exchange(site: &Site, core: Core, teid: u32, word: &[u8]) {
    send_up(site, core, teid, &question(word));
    let out = site.at_company(SOON).expect("the question did not come through");
    assert_eq!(super::core(&out), super::core(&question(word)));
    site.send_down(&answer(word));
    let (to, inner) = site.at_radio(SOON).expect("the answer did not come back");
    assert_eq!((to, super::core(&inner)), (GNB_TEID, super::core(&answer(word))));
}

/// In QoS flow 1, or without one as an EPC's SGW-U sends.
fn send_up(site: &Site, core: Core, teid: u32, inner: &[u8]) {
    if core == Core::FiveG {
        return site.send_up(teid, inner);
    }
    let mut datagram = vec![0x30, 0xff];
    datagram.extend((inner.len() as u16).to_be_bytes());
    datagram.extend(teid.to_be_bytes());
    datagram.extend(inner);
    site.gnb.send_to(&datagram, (site.config.n3, GTPU_PORT)).unwrap();
}

/// Other decoders read every message of both directions.
fn judge(smf: &Smf) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("n4.pcap");
    let mut all = [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 0xffff, 101].map(u32::to_le_bytes).concat();
    for (ours, bytes) in &smf.seen {
        let (from, to) = if *ours { (SMF, US) } else { (US, SMF) };
        let p = udp((from, PORT), (to, PORT), bytes);
        let len = (p.len() as u32).to_le_bytes();
        all.extend([[0; 4], [0; 4], len, len].concat());
        all.extend(p);
    }
    std::fs::write(&file, all).unwrap();
    let fields = ["pfcp.msg_type", "_ws.malformed", "_ws.expert.message"];
    let mut tshark = Command::new("tshark");
    tshark.arg("-r").arg(&file).args(["-T", "fields", "-E", "separator=|"]);
    tshark.args(fields.iter().flat_map(|f| ["-e", f]));
    match tshark.output() {
        Ok(output) => {
            let said = String::from_utf8(output.stdout).unwrap();
            let lines: Vec<&str> = said.lines().collect();
            assert_eq!(lines.len(), smf.seen.len(), "{}", String::from_utf8_lossy(&output.stderr));
            for (line, (_, bytes)) in lines.iter().zip(&smf.seen) {
                assert_eq!(*line, format!("{}||", bytes[1]), "tshark complains");
            }
        }
        Err(_) => skipped("tshark"),
    }
    let hex: String = smf
        .seen
        .iter()
        .map(|(_, b)| b.iter().map(|o| format!("{o:02x}")).collect::<String>() + "\n")
        .collect();
    std::fs::write(dir.path().join("n4.hex"), hex).unwrap();
    let script = "import sys\n\
        from scapy.contrib.pfcp import PFCP\n\
        from scapy.packet import Raw\n\
        for l in open(sys.argv[1]):\n    \
            p = PFCP(bytes.fromhex(l.strip()))\n    \
            assert not p.haslayer(Raw), p.show(dump=True)\n    \
            assert bytes(p) == bytes.fromhex(l.strip()), p.show(dump=True)\n\
        print('read')\n";
    match Command::new("python3").args(["-c", script]).arg(dir.path().join("n4.hex")).output() {
        Ok(o) if String::from_utf8_lossy(&o.stderr).contains("No module named") => skipped("scapy"),
        Ok(o) => assert_eq!(o.stdout, b"read\n", "{}", String::from_utf8_lossy(&o.stderr)),
        Err(_) => skipped("python3"),
    }
}

fn skipped(judge: &str) {
    eprintln!("one judge fewer: {judge} is not installed");
}

#[test]
fn a_foreign_session_carries_what_our_rules_allow_until_its_sim_is_banned() {
    in_a_namespace(
        "story::smf::a_foreign_session_carries_what_our_rules_allow_until_its_sim_is_banned",
        || {
            let mut site = site();
            let mut control = site.start();
            control.publish_policy(1);
            let mut smf = Smf::open(SMF, n4()).unwrap();
            // Without an association there is nothing.
            assert_eq!(smf.made(&wish(Core::Epc)).unwrap(), Err(Cause::NoAssociation));
            let features = smf.associate().unwrap().unwrap().up_features.unwrap();
            assert_eq!(features.0[..2], [0x10, 0x01], "FTUP, EMPU");
            assert_eq!(state(&mut control), SmfState::Up);
            // Without an identified SIM, and for one of whom no good is known.
            assert_eq!(
                smf.made(&Wish { imsi: None, ..wish(Core::Epc) }).unwrap(),
                Err(Cause::ConditionalIeMissing)
            );
            for (word, cause) in [
                (|_| Err(ForeignRefusal::NotAttached), Cause::Rejected),
                (|_| Err(ForeignRefusal::WrongAddress), Cause::RuleFailure),
                (|_| Ok(ForeignGrant { ip: types::UeIp(APP), prefix: None }), Cause::RuleFailure),
            ] as [(Word, Cause); 3]
            {
                assert_eq!(session(&mut control, &mut smf, &wish(Core::Epc), word), Err(cause));
            }
            let made = session(&mut control, &mut smf, &wish(Core::Epc), as_named).unwrap();
            let up = told(&mut control, true);
            assert_eq!((up.imsi, up.ip.0, up.smf, up.up_seid.0), (imsi(), UE, IpAddr::V4(SMF), made.seid));
            // The same request again gets the same answer, and makes no second session.
            let (request, first) = {
                let at = smf.seen.iter().rposition(|(ours, b)| *ours && b[1] == 50).unwrap();
                let answer = smf.seen.iter().rposition(|(ours, b)| !*ours && b[1] == 51).unwrap();
                (smf.seen[at].1.clone(), smf.seen[answer].1.clone())
            };
            let sequence = Pdu::parse(&request).unwrap().sequence;
            smf.send(request).unwrap();
            smf.answer_to(50, sequence, SOON).unwrap().unwrap();
            let again = smf.seen.iter().rposition(|(ours, b)| !*ours && b[1] == 51).unwrap();
            assert_eq!(smf.seen[again].1, first);
            assert_eq!(
                control.hello.smfs,
                [SmfStatus {
                    smf: SMF.into(),
                    state: SmfState::Never,
                    sessions: 0,
                    restoration: Restoration::default()
                }]
            );
            let status = control.status();
            let restoration = Restoration { recovery: Some(smf.recovery), ..Restoration::default() };
            let up = SmfStatus { smf: SMF.into(), state: SmfState::Up, sessions: 1, restoration };
            assert_eq!(status.smfs, [up]);
            // The radio that is admitted by our list, our rules, both ways.
            exchange(control.site, Core::Epc, made.teid, b"ping");
            send_up(control.site, Core::Epc, made.teid, &udp((UE, 40_000), (APP, 5001), b"no"));
            // The endpoint of the control plane carries nothing, whoever sends there.
            send_up(control.site, Core::Epc, made.cp_teid, &question(b"by the control plane's"));
            assert_eq!(control.site.at_company(NEVER), None);

            // The ban: nothing passes, the SMF cannot change that, and may clear up.
            let receipt = control.cut();
            assert_eq!((receipt.shards_confirmed, receipt.sessions), (2, 1));
            assert_eq!(smf.modify(made.seid, to_radio(GNB, 0x99)).unwrap().unwrap().cause, Cause::Rejected);
            assert_eq!(smf.made(&Wish { seid: 0xf14, ..wish(Core::Epc) }).unwrap(), Err(Cause::Rejected));
            for _ in 0..10 {
                send_up(control.site, Core::Epc, made.teid, &question(b"after"));
                control.site.send_down(&answer(b"after"));
            }
            assert_eq!(control.site.at_company(NEVER), None);
            assert_eq!(control.site.at_radio(NEVER), None);
            assert!(control.trace().dropped >= 20);
            assert_eq!(smf.delete(made.seid).unwrap().unwrap().cause, Cause::Accepted);
            assert_eq!(told(&mut control, false).up_seid.0, made.seid);
            assert_eq!(smf.delete(made.seid).unwrap().unwrap().cause, Cause::SessionContextNotFound);
            judge(&smf);
        },
    );
}

/// R77: PFCP, GTP and Diameter inside a tunnel; R91, R93, R111 and strangers at the socket.
#[test]
fn nobody_but_the_smf_is_heard_at_n4() {
    in_a_namespace("story::smf::nobody_but_the_smf_is_heard_at_n4", || {
        let mut site = site();
        let mut control = site.start();
        let mut smf = associated(&mut control);
        let made = session(&mut control, &mut smf, &wish(Core::Epc), as_named).unwrap();
        let before = control.status();
        // A phone that speaks the core's protocols to every address of ours, and of the SMF's.
        let deletion =
            Pdu { seid: Some(made.seid), sequence: 1, message: SessionDeletionRequest::default().into() };
        let mut sent = 0;
        for to in [US, SMF, Ipv4Addr::new(127, 0, 0, 1)] {
            for port in [PORT, GTPU_PORT, 2123, 3868] {
                for payload in
                    [deletion.encode(), vec![0x32, 1, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0], vec![1, 0, 0, 20]]
                {
                    send_up(control.site, Core::Epc, made.teid, &udp((UE, PORT), (to, port), &payload));
                    sent += 1;
                }
            }
        }
        assert_eq!(control.site.at_company(NEVER), None);
        let status = control.status();
        let dropped = |r| status.shards.iter().map(|s| s.counters.dropped(r)).sum::<u64>();
        assert_eq!(dropped(Reason::OwnAddress) + dropped(Reason::SpecialAddress), sent);
        assert_eq!(status.pfcp_refused, before.pfcp_refused);
        // Strangers: an association, a deletion by the right SEID, a heartbeat.
        let mut stranger = Smf::open(STRANGER, n4()).unwrap();
        assert!(stranger.ask_within(None, AssociationSetupRequest::default(), NEVER).unwrap().is_none());
        assert!(stranger.ask_within(None, HeartbeatRequest::default(), NEVER).unwrap().is_none());
        let gone = stranger.ask_within(Some(made.seid), SessionDeletionRequest::default(), NEVER).unwrap();
        assert!(gone.is_none());
        assert_eq!(control.status().pfcp_refused, 3);
        // Every cut of what the SMF said, and each with an octet too many; then it is still understood.
        let all: Vec<Vec<u8>> = smf.seen.iter().filter(|(ours, _)| *ours).map(|(_, b)| b.clone()).collect();
        for message in &all {
            for n in (0..message.len()).step_by(7) {
                smf.send(message[..n].to_vec()).unwrap();
            }
            smf.send([&message[..], &[0]].concat()).unwrap();
        }
        exchange(control.site, Core::Epc, made.teid, b"still there");
        assert_eq!(control.status().smfs[0].sessions, 1);
    });
}

#[test]
fn a_session_outlives_a_killed_gateway_with_its_old_endpoints() {
    in_a_namespace("story::smf::a_session_outlives_a_killed_gateway_with_its_old_endpoints", || {
        let mut site = site();
        let mut smf = Smf::open(SMF, n4()).unwrap();
        let (made, recovery) = {
            let mut control = site.start();
            control.publish_policy(1);
            smf.associate().unwrap().unwrap();
            let made = session(&mut control, &mut smf, &wish(Core::FiveG), as_named).unwrap();
            exchange(control.site, Core::FiveG, made.teid, b"before");
            (made, smf.upf_recovery)
        };
        site.kill();
        std::thread::sleep(Duration::from_millis(1100));
        let mut control = site.start();
        control.publish_policy(1);
        smf.associate().unwrap().unwrap();
        assert_ne!(smf.upf_recovery, recovery, "a restart that is not told");
        // Without RESTI it may name no endpoint of ours; with it, gets its own back.
        let named = Wish { restores: Some((made.teid, made.cp_teid)), ..wish(Core::FiveG) };
        let mut without = smf.establishment(&named);
        without.flags = None;
        let refused = smf.ask(Some(0), without).unwrap();
        assert!(
            matches!(refused, Some(Message::SessionEstablishmentResponse(m)) if m.cause == Cause::InvalidFteidAllocation)
        );
        let again = session(&mut control, &mut smf, &named, as_named).unwrap();
        assert_eq!((again.teid, again.cp_teid), (made.teid, made.cp_teid));
        assert_ne!(again.seid, made.seid);
        exchange(control.site, Core::FiveG, made.teid, b"after");
        // What was refused was not given back.
        let given_back = Restoration { recovery: Some(smf.recovery), restored: 1, ..Restoration::default() };
        assert_eq!(control.status().smfs[0].restoration, given_back);
        judge(&smf);
    });
}

#[test]
fn live_sessions_go_on_without_control_and_new_ones_wait_for_it() {
    in_a_namespace("story::smf::live_sessions_go_on_without_control_and_new_ones_wait_for_it", || {
        let mut site = site();
        let mut control = site.start();
        let mut smf = associated(&mut control);
        let made = session(&mut control, &mut smf, &wish(Core::Epc), as_named).unwrap();
        let site = control.site;
        drop(control);
        exchange(site, Core::Epc, made.teid, b"nobody decides");
        // A new session: nobody can say whether its SIM may live.
        let other = Wish {
            imsi: Some(imsi_of(2)),
            ip: Some(ue(2)),
            radio: Some((GNB, 0x78)),
            seid: 2,
            ..wish(Core::Epc)
        };
        assert_eq!(smf.made(&other).unwrap(), Err(Cause::NoResources));
        // What is asked while control is away is asked again when it is back.
        let request = smf.establishment(&other);
        thread::scope(|all| {
            let made = all.spawn(|| smf.ask(Some(0), request).unwrap());
            std::thread::sleep(NEVER);
            let mut control = site.connect();
            assert_eq!(control.hello.foreign.len(), 1);
            let ask = control.hear(|m| match m {
                FromGateway::ForeignAsk(ask) => Some(ask),
                _ => None,
            });
            control.say(ToGateway::ForeignAnswer { id: ask.id, answer: as_named(&ask) });
            let answer = made.join().unwrap();
            assert!(
                matches!(answer, Some(Message::SessionEstablishmentResponse(m)) if m.cause.is_accepted())
            );
            // What control does not want any longer ends, whatever the SMF says.
            control.say(ToGateway::EndForeign { seids: vec![types::Seid(made_seid(&control))] });
            assert_eq!(told(&mut control, false).imsi, imsi());
        });
        send_up(site, Core::Epc, made.teid, &question(b"ended"));
        assert_eq!(site.at_company(NEVER), None);
        assert_eq!(smf.modify(made.seid, idle()).unwrap().unwrap().cause, Cause::SessionContextNotFound);
    });
}

fn made_seid(control: &Control<'_>) -> u64 {
    control.hello.foreign[0].up_seid.0
}

#[test]
fn an_smf_that_is_silent_gets_nothing_new_and_one_that_restarts_has_nothing() {
    in_a_namespace(
        "story::smf::an_smf_that_is_silent_gets_nothing_new_and_one_that_restarts_has_nothing",
        || {
            let mut site = site();
            let mut control = site.start();
            let mut smf = associated(&mut control);
            assert_eq!(state(&mut control), SmfState::Up);
            let made = session(&mut control, &mut smf, &wish(Core::Epc), as_named).unwrap();
            smf.answers = false;
            assert_eq!(state(&mut control), SmfState::Silent);
            exchange(control.site, Core::Epc, made.teid, b"goes on");
            let other = Wish { imsi: Some(imsi_of(2)), ip: Some(ue(2)), seid: 2, ..wish(Core::Epc) };
            assert_eq!(smf.made(&other).unwrap(), Err(Cause::NoAssociation));
            smf.answers = true;
            smf.serve(Duration::from_millis(600)).unwrap();
            assert_eq!(state(&mut control), SmfState::Up);
            exchange(control.site, Core::Epc, made.teid, b"is back");
            // It started anew: its heartbeats say so.
            smf.recovery += 1;
            smf.serve(Duration::from_millis(600)).unwrap();
            assert_eq!(told(&mut control, false).up_seid.0, made.seid);
            assert_eq!(state(&mut control), SmfState::Restarted);
            send_up(control.site, Core::Epc, made.teid, &question(b"whose"));
            assert_eq!(control.site.at_company(NEVER), None);
            assert_eq!(smf.made(&other).unwrap(), Err(Cause::NoAssociation));
            smf.associate().unwrap().unwrap();
            session(&mut control, &mut smf, &wish(Core::Epc), as_named).unwrap();
            judge(&smf);
        },
    );
}

#[test]
fn an_smf_hears_of_data_for_an_idle_ue_of_usage_and_of_lost_tunnels() {
    in_a_namespace("story::smf::an_smf_hears_of_data_for_an_idle_ue_of_usage_and_of_lost_tunnels", || {
        let mut site = site();
        let mut control = site.start();
        let mut smf = associated(&mut control);
        // The address is left to us.
        let plain = Wish { ip: None, radio: None, threshold: Some(1_000), ..wish(Core::FiveG) };
        let ours = |_: &ForeignAsk| Ok(ForeignGrant { ip: types::UeIp(UE), prefix: None });
        let made = session(&mut control, &mut smf, &plain, ours).unwrap();
        assert_eq!(made.ip, Some(UE));
        let accepted = |m: Option<SessionModificationResponse>| assert_eq!(m.unwrap().cause, Cause::Accepted);
        accepted(smf.modify(made.seid, to_radio(GNB, GNB_TEID)).unwrap());
        exchange(control.site, Core::FiveG, made.teid, b"active");
        // Idle: what comes waits, is told once, and goes when the radio is there.
        accepted(smf.modify(made.seid, idle()).unwrap());
        control.site.send_down(&answer(b"wake up"));
        let report = smf.report(0xf13, Cause::Accepted, SOON).unwrap().expect("a downlink data report");
        assert_eq!((report.report_type.0, report.downlink_data_report.unwrap().pdr_ids), (1, vec![PdrId(1)]));
        control.site.send_down(&answer(b"more"));
        assert_eq!(control.site.at_radio(NEVER), None);
        accepted(smf.modify(made.seid, to_radio(GNB, GNB_TEID)).unwrap());
        for word in [&b"wake up"[..], b"more"] {
            assert_eq!(super::core(&control.site.at_radio(SOON).unwrap().1), super::core(&answer(word)));
        }
        // So far: 2 × (28 + 6) and 28 + 7 and 28 + 4 octets of inner IP.
        let m = smf.modify(made.seid, query()).unwrap().unwrap();
        let volume = m.usage_reports[0].0.volume.unwrap();
        assert_eq!((volume.uplink, volume.downlink, volume.total), (Some(34), Some(34 + 35 + 32), Some(135)));
        assert_eq!(m.usage_reports[0].0.trigger, UsageReportTrigger::IMMER);
        // The threshold, with what was really used.
        exchange(control.site, Core::FiveG, made.teid, &[b'x'; 1_000]);
        let report = smf.report(0xf13, Cause::Accepted, SOON).unwrap().expect("a usage report");
        let usage = &report.usage_reports[0].0;
        assert_eq!((report.report_type.0, usage.trigger, usage.ur_seqn.0), (2, UsageReportTrigger::VOLTH, 1));
        assert_eq!(usage.volume.unwrap().total, Some(2 * 1_028));
        // The radio has lost its end.
        let lost = wire_error_indication(GNB_TEID, GNB);
        control.site.gnb.send_to(&lost, (US, GTPU_PORT)).unwrap();
        let report = smf.report(0xf13, Cause::Accepted, SOON).unwrap().expect("an error indication report");
        assert_eq!(report.error_indication_report.unwrap().remote_f_teid, FTeid::at(GNB_TEID, GNB.into()));
        accepted(smf.modify(made.seid, to_radio(GNB, GNB_TEID)).unwrap());
        exchange(control.site, Core::FiveG, made.teid, b"again");
        // The last word about usage comes with the deletion.
        let m = smf.delete(made.seid).unwrap().unwrap();
        let usage = &m.usage_reports[0].0;
        assert_eq!(
            (m.cause, usage.trigger, usage.ur_seqn.0),
            (Cause::Accepted, UsageReportTrigger::TERMR, 2)
        );
        assert_eq!(usage.volume.unwrap().total, Some(2 * 33));
        // An SMF that says it does not know the session steers it no longer.
        let made = session(&mut control, &mut smf, &wish(Core::FiveG), as_named).unwrap();
        exchange(control.site, Core::FiveG, made.teid, b"once more");
        accepted(smf.modify(made.seid, idle()).unwrap());
        control.site.send_down(&answer(b"anybody?"));
        smf.report(0xf13, Cause::SessionContextNotFound, SOON).unwrap().expect("a report");
        assert_eq!(told(&mut control, false).imsi, imsi());
        judge(&smf);
    });
}

fn wire_error_indication(teid: u32, from: Ipv4Addr) -> Vec<u8> {
    let mut octets = [0; wire::gtpu::SMALL_MESSAGE];
    let n = wire::gtpu::encode_error_indication(&mut octets, teid, from.into());
    octets[..n].to_vec()
}
