//! Decoders: octets in, a message or a refusal out.

use super::{Answer, variant};
use crate::corpus;
use pgw_policy::{Compiled, Policy, compile, decide};
use std::{collections::BTreeSet, fmt::Debug, net::IpAddr};
use types::{App, Direction, Group, Rule, RuleDirection, UeGroups, Verdict};
use wire::{
    diameter, dns,
    eap::Eap,
    gtpu,
    nas::{
        fgs::{FgmmMessage, FgsmMessage, MobileIdentity},
        security,
    },
    ngap::{self, Message, transfer},
    pfcp,
};

/// A message that is another one, or none, after it was written and read again.
fn changed<M: Debug, E: Debug>(before: &M, after: &Result<M, E>) -> Answer {
    let (before, after) = (format!("Ok({before:?})"), format!("{after:?}"));
    let same = before.bytes().zip(after.bytes()).take_while(|(a, b)| a == b).count().saturating_sub(40);
    let part = |text: &str| text.chars().skip(same).take(160).collect::<String>();
    Answer::Broken(format!(
        "changed by its round trip: ...{}... became ...{}...",
        part(&before),
        part(&after)
    ))
}

/// NGAP. What encodes again must be read as the same.
pub fn ngap(input: &[u8]) -> Answer {
    match ngap::decode(input) {
        Err(e) => Answer::refused(&e),
        Ok(Message::Unknown(_)) => Answer::read("unknown procedure"),
        Ok(message) => match ngap::encode(&message) {
            Err(e) => Answer::read(&format!("{} that does not encode: {}", message.name(), e.what)),
            Ok(again) => match ngap::decode(&again) {
                Ok(second) if second == message => Answer::read(message.name()),
                other => changed(&message, &other),
            },
        },
    }
}

/// One of each transfer, in the order in which [`transfer()`] tries them.
pub fn transfer_seeds() -> Vec<Vec<u8>> {
    let mut seeds = corpus::load("ngap-transfer", "none");
    for message in corpus::load("none", "ngap") {
        match ngap::decode(&message) {
            Ok(Message::PduSessionResourceSetupRequest(m)) => {
                seeds.extend(m.sessions.into_iter().map(|s| s.transfer));
            }
            Ok(Message::PduSessionResourceSetupResponse(m)) => {
                seeds.extend(m.setup.into_iter().map(|s| s.transfer));
                seeds.extend(m.failed.into_iter().map(|s| s.transfer));
            }
            _ => {}
        }
    }
    seeds
}

/// Every transfer's decoder gets the same octets.
pub fn transfer(input: &[u8]) -> Answer {
    let mut kinds = String::new();
    macro_rules! each {
        ($($t:ident)*) => {$(
            if let Ok(t) = transfer::$t::decode(input) {
                match t.encode().map(|again| transfer::$t::decode(&again)) {
                    Ok(Ok(second)) if second == t => kinds += concat!(stringify!($t), " "),
                    Ok(other) => return changed(&t, &other),
                    Err(_) => kinds += concat!(stringify!($t), "-that-does-not-encode "),
                }
            }
        )*};
    }
    each!(SetupRequest SetupResponse SetupUnsuccessful ModifyRequest ModifyResponse ReleaseCommand ReleaseResponse
        PathSwitch PathSwitched PathNotSwitched HandoverCommandTransfer NotPrepared Admitted NotAdmitted);
    if kinds.is_empty() { Answer::refused(&"by every transfer") } else { Answer::read(&kinds) }
}

/// NAS PDUs, also those inside the NGAP fixtures.
pub fn nas_seeds() -> Vec<Vec<u8>> {
    let mut seeds = corpus::load("nas", "nas");
    for message in corpus::load("none", "ngap") {
        match ngap::decode(&message) {
            Ok(Message::InitialUeMessage(m)) => seeds.push(m.nas),
            Ok(Message::UplinkNasTransport(m)) => seeds.push(m.nas),
            Ok(Message::DownlinkNasTransport(m)) => seeds.push(m.nas),
            Ok(Message::InitialContextSetupRequest(m)) => seeds.extend(m.nas),
            _ => {}
        }
    }
    seeds
}

/// A NAS PDU: its protection is taken apart, and what is inside is read as if it were plain.
pub fn nas(input: &[u8]) -> Answer {
    if input.first() == Some(&0x2e) {
        return fgsm(input);
    }
    match security::open(input) {
        Err(e) => Answer::refused(&e),
        Ok(security::Pdu::Plain(plain)) => fgmm(plain),
        Ok(security::Pdu::Protected { payload, .. }) => fgmm(payload),
    }
}

fn fgmm(plain: &[u8]) -> Answer {
    match FgmmMessage::decode(plain) {
        Err(e) => Answer::refused(&e),
        Ok(message) if is_of_nobody(&message) => Answer::read(&format!("{} of nobody", variant(&message))),
        Ok(message) => match message.encode() {
            Err(_) => Answer::read(&format!("{} that does not encode", variant(&message))),
            Ok(again) => match FgmmMessage::decode(&again) {
                Ok(second) if second == message => Answer::read(&variant(&message)),
                other => changed(&message, &other),
            },
        },
    }
}

/// "No identity" is written as one octet, less than these messages ask of the IE (TS 24.501 §8.2.6.1).
fn is_of_nobody(message: &FgmmMessage) -> bool {
    match message {
        FgmmMessage::RegistrationRequest(m) => m.identity == MobileIdentity::None,
        FgmmMessage::DeregistrationRequestUeOriginating(m) => m.identity == MobileIdentity::None,
        _ => false,
    }
}

fn fgsm(plain: &[u8]) -> Answer {
    match FgsmMessage::decode(plain) {
        Err(e) => Answer::refused(&e),
        Ok(message) => match message.encode() {
            Err(_) => Answer::read(&format!("{} that does not encode", variant(&message))),
            Ok(again) => match FgsmMessage::decode(&again) {
                Ok(second) if second == message => Answer::read(&variant(&message)),
                other => changed(&message, &other),
            },
        },
    }
}

/// EAP-AKA'. What AT_MAC covers is the packet but for the code, and as long.
pub fn eap(input: &[u8]) -> Answer {
    let covered = wire::eap::covered(input);
    let other = covered.iter().flat_map(|c| c.iter().zip(input)).filter(|(a, b)| a != b && **a != 0).count();
    match Eap::decode(input) {
        _ if other > 0 => Answer::Broken("AT_MAC covers other octets".to_owned()),
        Err(e) => Answer::refused(&e),
        Ok(eap) => match eap.encode().map(|again| Eap::decode(&again)) {
            Ok(Ok(second)) if second == eap => Answer::read(&variant(&eap.body)),
            Ok(other) => changed(&eap, &other),
            // What was skipped made room for it.
            Err(e) => Answer::Broken(format!("read, and cannot be written: {e}")),
        },
    }
}

/// GTP-U: the payload lies where the header says, inside the datagram.
pub fn gtpu(input: &[u8]) -> Answer {
    match gtpu::Packet::parse(input) {
        Err(e) => Answer::refused(&e),
        Ok(p) => {
            if gtpu::peek_teid(input) != Some(p.teid) {
                return Answer::Broken("the TEID at first sight is another one".to_owned());
            }
            let there = input.get(p.payload_at..p.payload_at + p.payload.len());
            if there != Some(p.payload) {
                return Answer::Broken("the payload is not where it is said to be".to_owned());
            }
            let known = [1, 2, 26, 31, 254, 255].contains(&p.kind.0);
            let kind = if known { p.kind.0 } else { 0 };
            Answer::read(&format!("type {kind} {} {}", p.pdu_session.is_some(), p.sequence.is_some()))
        }
    }
}

/// PFCP, with its round trip.
pub fn pfcp(input: &[u8]) -> Answer {
    match pfcp::Pdu::parse(input) {
        Err(e) => Answer::refused(&format!("{:?} in {:?}", e.fault, e.ie)),
        Ok(pdu) => match pfcp::Pdu::parse(&pdu.encode()) {
            Ok(again) if again == pdu => Answer::read(&variant(&pdu.message)),
            other => changed(&pdu, &other),
        },
    }
}

/// Diameter, and the answer to what cannot be read: that must be readable.
pub fn diameter(input: &[u8]) -> Answer {
    use diameter::{DiameterError, Identity, Pdu, name};
    let ours = Identity::new("hss.example");
    match Pdu::parse(input) {
        Err(e) => {
            let answer = ours.and_then(|i| e.answer(&i, &i)).map(|a| Pdu::parse(&a));
            match answer {
                Some(Err(why)) => Answer::Broken(format!("{e}: its answer cannot be read: {why}")),
                answer => {
                    let DiameterError { result, what, avp, .. } = e;
                    let avp = avp.map(|(code, vendor)| name(code, vendor));
                    let told = if answer.is_some() { "answered" } else { "in silence" };
                    Answer::Refused(format!("refused {told}: {result} {what} {avp:?}"))
                }
            }
        }
        Ok(pdu) => match Pdu::parse(&pdu.encode()) {
            Ok(again) if again == pdu => Answer::read(&variant(&pdu.message)),
            other => changed(&pdu, &other),
        },
    }
}

/// A small policy's snapshot.
pub fn policy_seeds() -> Vec<Vec<u8>> {
    let mut seeds = corpus::load("policy", "none");
    seeds.extend(small_policy().and_then(|p| compile(&p).ok()?.to_bytes()));
    seeds.extend(Compiled::empty().to_bytes());
    seeds
}

fn small_policy() -> Option<Policy> {
    let services = ["tcp/443", "udp/53-60", "icmp"].iter().filter_map(|s| s.parse().ok()).collect();
    let app = App {
        name: "intranet".parse().ok()?,
        label: String::new(),
        prefixes: vec!["10.0.0.0/8".parse().ok()?, "2001:db8::/32".parse().ok()?],
        services,
        names: Vec::new(),
        names_from: Default::default(),
        dscp: None,
        qfi: None,
        sensitivity: Default::default(),
        health: None,
    };
    let rule = |name: &str, direction| {
        Some(Rule {
            name: name.parse().ok()?,
            order: 1,
            subject: "group:laptops".parse().ok()?,
            app: app.name.clone(),
            direction,
            verdict: Verdict::Allow,
            rate: Default::default(),
            record: Default::default(),
            when: Default::default(),
            conditions: Default::default(),
            monitor_until: None,
        })
    };
    let to = RuleDirection::In { to: vec!["tcp/502".parse().ok()?] };
    let laptop = UeGroups {
        imsi: "999700000000001".parse().ok()?,
        groups: BTreeSet::from(["laptops".parse().ok()?]),
        device: None,
        person: None,
    };
    Some(Policy {
        generation: 5,
        data_networks: Vec::new(),
        groups: vec![Group::new("laptops".parse().ok()?, "")],
        rules: vec![rule("web", RuleDirection::Out)?, rule("poll", to)?],
        ues: vec![laptop],
        apps: vec![app],
        risk: Default::default(),
    })
}

/// A snapshot that is read decides without a panic, whatever it says. It comes from our own other process,
/// so what a refused one costs is not judged.
pub fn policy(input: &[u8]) -> Answer {
    match Compiled::from_bytes(input) {
        Err(e) => Answer::Lived(format!("refused: {e}")),
        Ok(compiled) => {
            let mut kinds = String::new();
            for peer in [IpAddr::from([10, 0, 0, 1]), IpAddr::from([0u8; 16])] {
                for direction in [Direction::Out, Direction::In] {
                    let d = decide(&compiled, pgw_policy::ClassId(0), direction, peer, 6, 443);
                    kinds += d.reason.as_str();
                }
            }
            Answer::read(&kinds)
        }
    }
}

/// DNS. What is read of a message does not hang on what stands behind its answers, an answer is never a question, and what
/// our own resolver says is an answer that is hardly longer than the question.
pub fn dns(input: &[u8]) -> Answer {
    let ours = ["wiki.example.jp", "portal.example.jp"].iter().filter_map(|n| n.parse().ok());
    let told = |name| dns::reply(input, &name, &[[10, 255, 255, 1].into()]);
    if ours.filter_map(told).any(|r| r.len() > input.len() + 16 || dns::question(&r).is_ok()) {
        return Answer::Broken("a reply that is too long, or a question".to_owned());
    }
    let more = [input, &[0xff; 40]].concat();
    match (dns::question(input), dns::answer(input)) {
        (Ok(_), Ok(_)) => Answer::Broken("a question and an answer at once".to_owned()),
        (Ok(q), Err(_)) if dns::question(&more).as_ref() != Ok(&q) => {
            Answer::Broken("a question hangs on what stands behind it".to_owned())
        }
        (Ok(q), Err(_)) => Answer::read(if q.name().is_some() { "question" } else { "question for no host" }),
        (Err(_), Ok(a)) if dns::answer(&more).as_ref() != Ok(&a) => {
            Answer::Broken("an answer hangs on what stands behind it".to_owned())
        }
        (Err(_), Ok(a)) => match (a.addresses.len(), a.ttl) {
            (0, 0) => Answer::read("answer without addresses"),
            (n, ttl) if n <= dns::MOST_RECORDS && ttl <= i32::MAX as u32 => Answer::read("answer"),
            other => Answer::Broken(format!("addresses and seconds: {other:?}")),
        },
        (Err(dns::NoDns::Other("an answer")), Err(e)) | (Err(e), Err(_)) => Answer::refused(&e),
    }
}

/// Requests as browsers make them, and what others would read differently.
pub fn http_seeds() -> Vec<Vec<u8>> {
    let head = "Host: check.corp.example\r\nUser-Agent: Mozilla/5.0\r\nAccept: text/html\r\nAccept-Language: ja,en-US;q=0.7\r\n\
                Cookie: __Host-sekisho_prove=AAAA; sekisho-lang=ja\r\nConnection: keep-alive\r\n\r\n";
    let targets = [
        "/",
        "/?app=hr&lang=ja",
        "/prove?app=hr",
        "/sign-in/provider/callback?code=a&state=b&iss=https%3A%2F%2Fidp",
    ];
    let good = targets.iter().map(|t| format!("GET {t} HTTP/1.1\r\n{head}").into_bytes());
    let others = [
        &b"POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"[..],
        b"GET / HTTP/1.1\r\na: b\r\n folded\r\n\r\n",
        b"GET http://other/ HTTP/1.1\nHost: x\n\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ];
    good.chain(others.map(<[u8]>::to_vec)).chain(corpus::load("http", "none")).collect()
}

/// What is read has nothing that would end a line where it is written again.
pub fn http(octets: &[u8]) -> Answer {
    match wire::http::read(octets) {
        Err(e) => Answer::Refused(format!("refused: {e:?}")),
        Ok(None) => Answer::Refused("refused: not whole".to_owned()),
        Ok(Some(head)) => {
            let all = [&head.target, &head.language, &head.cookie];
            if !head.target.starts_with('/') || all.iter().any(|t| t.contains(['\r', '\n', '\0'])) {
                return Answer::Broken(format!("{head:?}"));
            }
            // What stands behind the head does not change it.
            let more = [octets, b"GET /other HTTP/1.1\r\n\r\n"].concat();
            match wire::http::read(&more) {
                Ok(Some(same)) if same == head => Answer::read("a head"),
                other => Answer::Broken(format!("{head:?}, then {other:?}")),
            }
        }
    }
}
