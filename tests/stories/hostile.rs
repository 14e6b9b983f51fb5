//! Input that broke open cores, beside a UE that is registered and whose traffic flows, with the whole house behind
//! it: control process, gateway, store. The rows R… are those of `docs/hostile.md`.
//!
//! After each of them the same is asked: is the victim's registration, session and flow what it was; did exactly its
//! own packets pass; is nothing left of the attacker once its timers are over; was the answer right.

use crate::field::Fate;
use crate::gateway::Sent;
use crate::packets::{Packet, What};
use crate::site::*;
use crate::world::World;
use access::nr::UeView;
use lab::ue::Input;
use pgw_policy::counters::Counters;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use types::*;
use wire::gtpu;
use wire::nas::fgs::FgmmMessage;
use wire::nas::security::Direction;
use wire::ngap::{self, Cause, Message, RadioCause, transfer};

const VICTIM: usize = 0;
/// An attacker at another radio than the victim's.
const FAR: usize = 1;
/// An attacker at the victim's own radio.
const NEAR: usize = 2;

/// The victim as it was before anybody attacked.
struct Before {
    view: UeView,
    sessions: Vec<GatewaySession>,
    /// Of the AMF: connections, timers, questions, PFCP requests.
    held: [usize; 4],
    /// Of the shards: sessions, flows.
    shards: (usize, usize),
    happened: usize,
    heard: usize,
    address: Ipv4Addr,
}

/// The victim has a connection open to a file server. The attackers have radios and hear nothing.
fn scene() -> (World, Before) {
    let mut w = World::new(&[Role::Laptop, Role::Plc, Role::Team(0)], 2);
    let address = w.attach(VICTIM);
    assert_eq!(w.send(VICTIM, Packet::new(What::Syn, address, 40_000, FILES, 443)), Fate::Answered);
    assert_eq!(w.send(VICTIM, Packet::new(What::Ack, address, 40_000, FILES, 443)), Fate::Arrived);
    for attacker in [FAR, NEAR] {
        w.phones[attacker].ue.lies().deaf = true;
    }
    w.tap = Some(Vec::new());
    let before = before(&mut w, address);
    (w, before)
}

fn before(w: &mut World, address: Ipv4Addr) -> Before {
    let now = w.now;
    Before {
        view: w.view(VICTIM).unwrap(),
        sessions: sessions(w),
        held: w.ctl().amf.held(),
        shards: w.gw().held(now),
        happened: w.happened(VICTIM, |_| true),
        heard: w.phones[VICTIM].events.len(),
        address,
    }
}

fn sessions(w: &mut World) -> Vec<GatewaySession> {
    w.gw().n4.sessions().into_iter().filter(|s| s.supi.imsi() == imsi(VICTIM)).collect()
}

/// What the gateway counted since `earlier`, as (uplink, downlink, dropped).
fn since(w: &mut World, earlier: &Counters) -> (u64, u64, u64) {
    let c = w.gw().counters();
    (
        c.uplink_packets - earlier.uplink_packets,
        c.downlink_packets - earlier.downlink_packets,
        c.dropped_in_all() - earlier.dropped_in_all(),
    )
}

impl Before {
    /// The victim has noticed nothing, and its open connection goes on, both ways, by exactly its own packets.
    fn untouched(&self, w: &mut World, what: &str) {
        assert_eq!(w.view(VICTIM).as_ref(), Some(&self.view), "{what}");
        assert_eq!(sessions(w), self.sessions, "{what}");
        assert_eq!(w.happened(VICTIM, |_| true), self.happened, "{what}: the victim's timeline");
        assert_eq!(w.phones[VICTIM].events.len(), self.heard, "{what}: {:?}", w.phones[VICTIM].events);
        let now = w.now;
        assert_eq!(w.gw().held(now), self.shards, "{what}: sessions and flows");
        let c = w.gw().counters();
        let up = Packet::new(What::Ack, self.address, 40_000, FILES, 443);
        let down = Packet::new(What::Ack, FILES, 443, self.address, 40_000);
        assert_eq!((w.send(VICTIM, up), w.knock(down)), (Fate::Arrived, Fate::Arrived), "{what}");
        assert_eq!(since(w, &c), (1, 1, 0), "{what}");
        assert!(w.records.iter().all(|r| r.imsi != imsi(VICTIM)), "{what}: the flow never ended");
    }

    /// Of the attackers nothing is left, at the latest when their timers are over.
    fn nothing_is_left(&self, w: &mut World, what: &str) {
        if w.ctl().amf.held() != self.held {
            let [connections, ..] = w.ctl().amf.held();
            assert!(connections <= self.held[0] + 2, "{what}: one connection for each attacker");
            w.pass_ms(100_000);
        }
        assert_eq!(w.ctl().amf.held(), self.held, "{what}");
        assert_eq!(w.ctl().amf.ues().count(), 1, "{what}");
        let connected: usize = w.radios.iter().map(|r| r.gnb.connected().count()).sum();
        assert_eq!(connected, 1, "{what}: the radios hold the victim alone");
    }

    /// In the end the victim's keys still work: it can open a session and end it.
    fn is_served(&self, w: &mut World) {
        second_session(w);
        assert_eq!(w.phases(VICTIM).len(), 2);
        w.tell(VICTIM, Input::Release { id: 2.try_into().unwrap() });
        w.run();
        assert_eq!(w.view(VICTIM).as_ref(), Some(&self.view));
        w.assert_tidy();
    }
}

/// The victim opens a session into its other network.
fn second_session(w: &mut World) {
    let dnn = Some("factory".parse().unwrap());
    let session_type = wire::nas::fgs::PduSessionType::IPV4;
    w.tell(VICTIM, Input::Establish { id: 2.try_into().unwrap(), dnn, slice: None, session_type });
    w.run();
}

fn say(w: &mut World, u: usize, octets: &[u8]) {
    w.tell(u, Input::Raw(octets.to_vec()));
    w.run();
}

/// What the network said to a UE since this was asked last.
fn answers(w: &mut World, u: usize) -> Vec<FgmmMessage> {
    let all = w.tap.replace(Vec::new()).unwrap();
    let down = all.into_iter().filter(|t| t.phone == u && t.direction == Direction::Downlink);
    down.map(|t| FgmmMessage::decode(&t.octets).expect("to an attacker everything is plain")).collect()
}

/// An answer in one word.
fn word(m: &FgmmMessage) -> String {
    match m {
        FgmmMessage::RegistrationReject(r) => format!("reject {}", r.cause.0),
        FgmmMessage::FgmmStatus(cause) => format!("status {}", cause.0),
        other => other.name().to_owned(),
    }
}

fn words(w: &mut World, u: usize) -> Vec<String> {
    answers(w, u).iter().map(word).collect()
}

fn refused(w: &mut World, why: &str) -> u64 {
    w.ctl().amf.counters().refused.get(why).copied().unwrap_or(0)
}

/// A Registration Request, plain, with these octets as its identity.
fn registration(identity: &[u8]) -> Vec<u8> {
    let len = (identity.len() as u16).to_be_bytes();
    [&[0x7e, 0, 0x41, 0x79][..], &len, identity, &[0x2e, 2, 0xe0, 0xe0]].concat()
}

/// A 5G-GUTI of ours that nobody has.
const NOBODYS_GUTI: [u8; 11] = [0xf2, 0x00, 0xf1, 0x10, 1, 0, 0x40, 0xde, 0xad, 0xbe, 0xef];

/// The victim's.
fn victims_guti(w: &World) -> [u8; 11] {
    let mut octets = NOBODYS_GUTI;
    let guti = w.phones[VICTIM].ue.guti().expect("registered");
    octets[7..].copy_from_slice(&guti.tmsi.0.to_be_bytes());
    octets
}

/// A SUCI of our network: what comes behind the first octet until the scheme output, then that.
fn suci(routing: [u8; 2], scheme: u8, key: u8, output: &[u8]) -> Vec<u8> {
    [&[0x01, 0x00, 0xf1, 0x10][..], &routing, &[scheme, key], output].concat()
}

#[test]
fn r27_nas_of_no_length_to_speak_of() {
    // The octets; the answer to them as an Initial UE Message, and in the middle of an attempt.
    let scraps: &[(&[u8], Option<&str>, Option<&str>)] = &[
        (&[], None, None),
        (&[0x7e], None, None),
        (&[0x2e], None, None),
        (&[0x7e, 0], None, None),
        (&[0x7e, 1], None, None),
        (&[0x7e, 0, 0x41], Some("reject 96"), Some("reject 96")),
        (&[0x7e, 0, 0xff], Some("status 97"), Some("status 97")),
        (&[0x7e, 0, 0x43], None, None),
        (&[0x7e, 2, 1], None, None),
        // Header only, under each type; and with one ciphered octet behind it, which somebody may have keys for.
        (&[0x7e, 1, 1, 2, 3, 4, 5], None, None),
        (&[0x7e, 2, 1, 2, 3, 4, 5], None, None),
        (&[0x7e, 3, 1, 2, 3, 4, 5], None, None),
        (&[0x7e, 4, 1, 2, 3, 4, 5], None, None),
        (&[0x7e, 4, 1, 2, 3, 4, 5, 6], None, Some("reject 9")),
        (&[0x7e, 0x0f, 1, 2, 3, 4, 5, 6], None, None),
    ];
    let (mut w, before) = scene();
    for (scrap, initial, later) in scraps {
        let what = format!("{scrap:02x?}");
        for attacker in [FAR, NEAR] {
            say(&mut w, attacker, scrap);
            assert_eq!(
                words(&mut w, attacker),
                initial.iter().copied().collect::<Vec<&str>>(),
                "{what}, first"
            );
            // It is let go at once, without a timer.
            assert_eq!(w.ctl().amf.held(), before.held, "{what}");
            say(&mut w, attacker, &registration(&NOBODYS_GUTI));
            assert_eq!(words(&mut w, attacker), ["IdentityRequest"], "{what}");
            say(&mut w, attacker, scrap);
            assert_eq!(
                words(&mut w, attacker),
                later.iter().copied().collect::<Vec<&str>>(),
                "{what}, later"
            );
            before.untouched(&mut w, &what);
            before.nothing_is_left(&mut w, &what);
            w.tap = Some(Vec::new());
        }
        // On the victim's own connection, as if from it.
        let silent = refused(&mut w, "unreadable-nas")
            + refused(&mut w, "unprotected-nas")
            + refused(&mut w, "wrong-mac");
        say(&mut w, VICTIM, scrap);
        let after = refused(&mut w, "unreadable-nas")
            + refused(&mut w, "unprotected-nas")
            + refused(&mut w, "wrong-mac");
        assert_eq!((after - silent, words(&mut w, VICTIM)), (1, vec![]), "{what}, the victim's");
        before.untouched(&mut w, &what);
    }
    before.is_served(&mut w);
}

#[test]
fn r31_mobile_identities_of_every_length() {
    let (mut w, before) = scene();
    let mut said: BTreeMap<(u8, String), usize> = BTreeMap::new();
    let mut tries = 0;
    let mut attempt = |w: &mut World, identity: &[u8], kind: u8| {
        let attacker = [FAR, NEAR][tries % 2];
        tries += 1;
        let what = format!("{identity:02x?}");
        say(w, attacker, &registration(identity));
        let words = words(w, attacker);
        assert_eq!(words.len(), 1, "{what}: one answer: {words:?}");
        *said.entry((kind, words[0].clone())).or_default() += 1;
        before.untouched(w, &what);
        before.nothing_is_left(w, &what);
        w.tap = Some(Vec::new());
    };
    // SUCI, 5G-GUTI with and without its filler, 5G-S-TMSI, IMEI, none, a kind that does not exist.
    for first in [0x01u8, 0xf2, 0x02, 0xf4, 0x0b, 0x00, 0x07] {
        for len in 0..=13usize {
            for fill in [0x00u8, 0xff, 0x21] {
                let mut identity = vec![fill; len];
                identity.iter_mut().take(1).for_each(|o| *o = first);
                attempt(&mut w, &identity, first);
            }
        }
    }
    // The victim's own, cut and extended. Whole, it is a claim that must be proved.
    let guti = victims_guti(&w);
    for len in 0..=13usize {
        let identity: Vec<u8> = guti.iter().copied().chain([0xff; 2]).take(len).collect();
        attempt(&mut w, &identity, 0xff);
    }
    assert_eq!(tries, 7 * 14 * 3 + 14);
    // What can be read and names nobody that we know is asked who it is; what cannot is refused (#96); a SUCI of
    // another network or of a SIM of nobody is refused as unknown (#3); the victim's name alone gets a challenge.
    let said: Vec<(u8, &str, usize)> = said.iter().map(|((k, w), n)| (*k, w.as_str(), *n)).collect();
    let (asks, no) = ("IdentityRequest", "reject 96");
    let expected = [
        (0x00, asks, 30),
        (0x00, no, 12),
        (0x01, "reject 3", 4),
        (0x01, no, 38),
        (0x02, asks, 2),
        (0x02, no, 40),
        (0x07, asks, 15),
        (0x07, no, 27),
        (0x0b, asks, 1),
        (0x0b, no, 41),
        (0xf2, asks, 2),
        (0xf2, no, 40),
        (0xf4, asks, 3),
        (0xf4, no, 39),
        (0xff, "AuthenticationRequest", 1),
        (0xff, no, 13),
    ];
    assert_eq!(said, expected);
    before.is_served(&mut w);
}

#[test]
fn r33_sucis_that_are_none() {
    let z = [0, 0];
    let msin = [0x99; 5];
    let plmn = |p: [u8; 3], out: &[u8]| [&[0x01][..], &p, &[0, 0, 0, 0], out].concat();
    let mut table: Vec<(String, Vec<u8>, &str)> = Vec::new();
    for digits in
        [[0xc0u8, 0, 0, 0, 0x10], [0x0c, 0, 0, 0, 0], [0, 0, 0xf0, 0, 0], [0, 0, 0, 0, 0xff], [0xc0; 5]]
    {
        table.push((format!("digits {digits:02x?}"), suci(z, 0, 0, &digits), "reject 96"));
    }
    for n in [0usize, 6, 7, 200, 3_000] {
        table.push((format!("an MSIN of {n} octets"), suci(z, 0, 0, &vec![0x11; n]), "reject 96"));
    }
    for p in [[0xaau8, 0xf1, 0x10], [0x00, 0xfa, 0x10], [0xff; 3], [0x00, 0xf1, 0xc0]] {
        table.push((format!("PLMN {p:02x?}"), plmn(p, &msin), "reject 96"));
    }
    for routing in [[0xffu8, 0xff], [0x0f, 0x00], [0xa0, 0xff], [0xf0, 0x0f]] {
        table.push((format!("routing indicator {routing:02x?}"), suci(routing, 0, 0, &msin), "reject 96"));
    }
    for (scheme, n) in [(1u8, 0usize), (1, 40), (1, 46), (2, 41), (2, 47), (2, 3_000)] {
        table.push((format!("scheme {scheme} of {n} octets"), suci(z, scheme, 1, &vec![7; n]), "reject 96"));
    }
    // Schemes that are reserved or an operator's own.
    for scheme in 3..=15u8 {
        table.push((format!("scheme {scheme}"), suci(z, scheme, 0, &msin), "reject 96"));
    }
    // Well-formed: not our key, not our network, not our SIM.
    table.push(("profile A, a key of nobody".into(), suci(z, 1, 1, &[7; 41]), "reject 3"));
    table.push(("profile B, a key of nobody".into(), suci(z, 2, 2, &[7; 42]), "reject 3"));
    table.push(("another network".into(), plmn([0x99, 0xf9, 0x99], &msin), "reject 3"));
    table.push(("a SIM of nobody".into(), suci(z, 0, 0, &msin), "reject 3"));

    let (mut w, before) = scene();
    let mut wrong = Vec::new();
    for (n, (name, identity, answer)) in table.iter().enumerate() {
        let attacker = [FAR, NEAR][n % 2];
        // In a first message, and as the answer to an Identity Request.
        say(&mut w, attacker, &registration(identity));
        let got = words(&mut w, attacker);
        if got != [*answer] {
            wrong.push(format!("{name}: {got:?}"));
        }
        before.untouched(&mut w, name);
        before.nothing_is_left(&mut w, name);
        say(&mut w, attacker, &registration(&NOBODYS_GUTI));
        answers(&mut w, attacker);
        let len = (identity.len() as u16).to_be_bytes();
        say(&mut w, attacker, &[&[0x7e, 0, 0x5c][..], &len, identity].concat());
        let got = words(&mut w, attacker);
        let later = match *answer {
            "reject 96" => vec!["status 96"],
            other => vec![other],
        };
        if got != later {
            wrong.push(format!("{name}, asked: {got:?}"));
        }
        before.untouched(&mut w, name);
        before.nothing_is_left(&mut w, name);
        w.tap = Some(Vec::new());
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(table.len(), 41);
    before.is_served(&mut w);
}

#[test]
fn r45_a_few_octets_that_claim_protection_behind_an_identity_request() {
    let (mut w, before) = scene();
    for attacker in [FAR, NEAR] {
        say(&mut w, attacker, &registration(&NOBODYS_GUTI));
        assert_eq!(words(&mut w, attacker), ["IdentityRequest"]);
        let unreadable = refused(&mut w, "unreadable-nas");
        for header in 1..=4u8 {
            for len in 2..=7usize {
                let scrap: Vec<u8> =
                    [0x7e, header, 0xaa, 0xbb, 0xcc, 0xdd, 0].into_iter().take(len).collect();
                say(&mut w, attacker, &scrap);
                before.untouched(&mut w, &format!("{scrap:02x?}"));
            }
        }
        assert_eq!(refused(&mut w, "unreadable-nas") - unreadable, 24);
        // One octet more, readable, and no message.
        say(&mut w, attacker, &[0x7e, 1, 0xaa, 0xbb, 0xcc, 0xdd, 0, 0x7e]);
        assert_eq!(words(&mut w, attacker), [""; 0]);
        // The attempt is where it was, one for each attacker: it is asked four times more, and let go.
        let [connections, ..] = w.ctl().amf.held();
        assert_eq!(connections, before.held[0] + 1);
        w.pass_ms(29_999);
        assert_eq!(words(&mut w, attacker), ["IdentityRequest"; 4]);
        w.pass_ms(1);
        assert_eq!(w.ctl().amf.held(), before.held);
        before.untouched(&mut w, "let go");
    }
    // An attempt that hears nonsense first and the answer then goes on as if it had heard the answer alone.
    say(&mut w, FAR, &registration(&NOBODYS_GUTI));
    say(&mut w, FAR, &[0x7e, 1, 0xaa, 0xbb]);
    answers(&mut w, FAR);
    // Its own SUCI: MSIN 0000000001.
    let own = suci([0, 0], 0, 0, &[0, 0, 0, 0, 0x10]);
    say(&mut w, FAR, &[&[0x7e, 0, 0x5c, 0, 13][..], &own].concat());
    assert_eq!(words(&mut w, FAR), ["AuthenticationRequest"]);
    before.untouched(&mut w, "asked");
    before.nothing_is_left(&mut w, "asked");
    before.is_served(&mut w);
}

#[test]
fn r17_another_radio_speaks_for_the_victims_connection() {
    let (mut w, before) = scene();
    // What the victim said last, protected, to be replayed; the story goes on behind it.
    second_session(&mut w);
    w.tell(VICTIM, Input::Release { id: 2.try_into().unwrap() });
    w.run();
    let said = w.tap.replace(Vec::new()).unwrap();
    let nas = said.into_iter().rfind(|t| t.direction == Direction::Uplink).unwrap().octets;
    let before =
        Before { heard: w.phones[VICTIM].events.len(), happened: w.happened(VICTIM, |_| true), ..before };
    let (amf, ran_ue_id) = w.radios[0].gnb.ids(w.phones[VICTIM].key).unwrap();
    let amf_ue_id = amf.unwrap();
    let id = PduSessionId::try_from(1).unwrap();
    let downlink = transfer::Tunnel::new(w.radios[1].address, Teid::new(0x6666).unwrap());
    let evil = transfer::SetupResponse { downlink, flows: vec![1], failed: vec![] }.encode().unwrap();
    let setup = || vec![ngap::SessionTransfer { id, transfer: evil.clone() }];
    let cause = Cause::UNSPECIFIED;
    let unknown = Cause::RadioNetwork(RadioCause::UNKNOWN_LOCAL_UE_NGAP_ID);
    let both = ngap::UeConnection { amf_ue_id: Some(amf_ue_id), ran_ue_id: Some(ran_ue_id) };
    let half = ngap::UeConnection { amf_ue_id: Some(amf_ue_id), ran_ue_id: None };
    let reset = |c| Message::NgReset(ngap::NgReset { cause, reset: ngap::ResetType::Part(vec![c]) });
    let indication = Message::ErrorIndication(ngap::ErrorIndication {
        amf_ue_id: Some(amf_ue_id),
        ran_ue_id: Some(ran_ue_id),
        cause: Some(unknown),
        diagnostics: None,
    });
    // Each with the number of Error Indications that answer it.
    let messages = [
        (
            Message::UplinkNasTransport(ngap::UplinkNasTransport {
                amf_ue_id,
                ran_ue_id,
                nas,
                location: None,
            }),
            1,
        ),
        (
            Message::InitialContextSetupResponse(ngap::InitialContextSetupResponse {
                amf_ue_id,
                ran_ue_id,
                setup: setup(),
                failed: vec![],
            }),
            1,
        ),
        (
            Message::InitialContextSetupFailure(ngap::InitialContextSetupFailure {
                amf_ue_id,
                ran_ue_id,
                failed: vec![],
                cause,
            }),
            1,
        ),
        (
            Message::PduSessionResourceSetupResponse(ngap::PduSessionResourceSetupResponse {
                amf_ue_id,
                ran_ue_id,
                setup: setup(),
                failed: vec![],
            }),
            1,
        ),
        (
            Message::PduSessionResourceReleaseResponse(ngap::PduSessionResourceReleaseResponse {
                amf_ue_id,
                ran_ue_id,
                released: setup(),
                location: None,
            }),
            1,
        ),
        (
            Message::UeContextReleaseRequest(ngap::UeContextReleaseRequest {
                amf_ue_id,
                ran_ue_id,
                sessions: vec![id],
                cause,
            }),
            1,
        ),
        (
            Message::UeContextReleaseComplete(ngap::UeContextReleaseComplete {
                amf_ue_id,
                ran_ue_id,
                location: None,
                sessions: vec![],
            }),
            1,
        ),
        // Acknowledged, and about nobody there; never answered.
        (reset(both), 0),
        (reset(half), 0),
        (indication, 0),
    ];
    for (m, n) in &messages {
        let octets = ngap::encode(m).unwrap();
        let now = w.now;
        w.radios[1].errors.clear();
        w.radios[1].gnb.handle(lab::gnb::Input::Raw { stream: 1, octets }, now);
        w.run();
        let causes: Vec<_> = w.radios[1].errors.iter().map(|e| e.cause).collect();
        assert_eq!(causes, vec![Some(unknown); *n], "{}", m.name());
        before.untouched(&mut w, m.name());
        before.nothing_is_left(&mut w, m.name());
    }
    // The same names are free for a UE of its own there, which must prove itself like any other.
    let claim = registration(&victims_guti(&w));
    say(&mut w, FAR, &claim);
    assert_eq!(words(&mut w, FAR), ["AuthenticationRequest"]);
    before.untouched(&mut w, "a claim");
    before.nothing_is_left(&mut w, "a claim");
    before.is_served(&mut w);
}

#[test]
fn r87_path_messages_about_the_victims_tunnel() {
    let (mut w, before) = scene();
    let tunnel = w.phones[VICTIM].remembers[0].1;
    let (ours, radios) = (tunnel.uplink.teid.value(), tunnel.downlink.teid.value());
    let mut messages: Vec<(&str, Vec<u8>)> = Vec::new();
    let mut put = |name, write: &dyn Fn(&mut [u8]) -> usize| {
        let mut b = [0; gtpu::SMALL_MESSAGE];
        let n = write(&mut b);
        messages.push((name, b[..n].to_vec()));
    };
    let victims_radio = w.radios[0].address;
    for teid in [ours, radios] {
        for named in [victims_radio, N3.into()] {
            put("Error Indication", &|b| gtpu::encode_error_indication(b, teid, named));
        }
        put("End Marker", &|b| gtpu::encode_end_marker(b, teid));
    }
    put("Supported Extension Headers", &|b| gtpu::encode_supported_extension_headers(b, 1));
    put("Echo Response", &|b| gtpu::encode_echo_response(b, 1));
    assert_eq!(messages.len(), 8);
    // From outside the radios' network; from the company; with our own address; from an address where a radio may
    // stand and none does; from a radio that does not serve the victim.
    let strangers: [(IpAddr, bool); 5] = [
        (Ipv4Addr::new(172, 16, 2, 9).into(), false),
        (FILES.into(), false),
        (N3.into(), false),
        (Ipv4Addr::new(172, 16, 1, 200).into(), true),
        (w.radios[1].address, true),
    ];
    for (from, admitted) in strangers {
        for (name, octets) in &messages {
            let what = format!("{name} from {from}");
            let c = w.gw().counters();
            assert_eq!(w.at_n3(from, octets), [], "{what}: silence");
            assert!(!w.step(), "{what}: nobody has anything to do");
            let mut expected = c.clone();
            let after = w.gw().counters();
            // Of a radio's address an indication is counted, and means that radio's own tunnels, whatever it names.
            let heard = u64::from(admitted && *name == "Error Indication");
            expected.error_indications_received += heard;
            let dropped = u64::from(!admitted);
            assert_eq!(
                after.dropped(Reason::UnknownPeer),
                c.dropped(Reason::UnknownPeer) + dropped,
                "{what}"
            );
            assert_eq!(after.dropped_in_all(), c.dropped_in_all() + dropped, "{what}");
            assert_eq!(after.error_indications_received, expected.error_indications_received, "{what}");
            assert_eq!(after.error_indications, c.error_indications, "{what}");
            before.untouched(&mut w, &what);
        }
    }
    w.pass_ms(1_000);
    before.untouched(&mut w, "later");
    before.nothing_is_left(&mut w, "later");
    before.is_served(&mut w);
}

/// An IPv4 packet with this transport behind its header.
fn ipv4(protocol: u8, src: Ipv4Addr, dst: Ipv4Addr, transport: &[u8]) -> Vec<u8> {
    let [l1, l2] = ((20 + transport.len()) as u16).to_be_bytes();
    let head = [0x45, 0, l1, l2, 0, 1, 0x40, 0, 64, protocol, 0, 0];
    let mut whole = [&head[..], &src.octets(), &dst.octets()].concat();
    let sum = whole.chunks(2).fold(0u32, |n, c| n + u32::from(u16::from_be_bytes([c[0], c[1]])));
    let sum = !(((sum & 0xffff) + (sum >> 16)) as u16);
    whole[10..12].copy_from_slice(&sum.to_be_bytes());
    [&whole, transport].concat()
}

fn udp(src: Ipv4Addr, dst: Ipv4Addr, port: u16, payload: &[u8]) -> Vec<u8> {
    let [p, l] = [port, 8 + payload.len() as u16].map(u16::to_be_bytes);
    ipv4(17, src, dst, &[&p[..], &p, &l, &[0, 0], payload].concat())
}

#[test]
fn r77_what_an_attacker_sends_to_us_through_its_own_tunnel() {
    let (mut w, first) = scene();
    w.phones[FAR].ue.lies().deaf = false;
    let own = w.attach(FAR);
    let before = before(&mut w, first.address);
    let victims = w.phones[VICTIM].remembers[0].1;
    let (ours, radios) = (victims.uplink.teid.value(), victims.downlink.teid.value());
    let into = w.phones[FAR].remembers[0].1.uplink.teid.value();
    let (attackers_radio, victims_radio) = (w.radios[1].address, w.radios[0].address);
    // GTP-U in GTP-U: a packet in the victim's name and tunnel; the end of its tunnel, said in three ways.
    let packet = Packet::new(What::Ack, before.address, 40_000, FILES, 443).bytes();
    let mut inside = vec![gtpu::encode_uplink(ours, 1, &packet).unwrap()];
    let mut put = |write: &dyn Fn(&mut [u8]) -> usize| {
        let mut b = [0; gtpu::SMALL_MESSAGE];
        let n = write(&mut b);
        inside.push(b[..n].to_vec());
    };
    put(&|b| gtpu::encode_error_indication(b, radios, victims_radio));
    put(&|b| gtpu::encode_end_marker(b, ours));
    put(&|b| gtpu::encode_supported_extension_headers(b, 1));
    put(&|b| gtpu::encode_echo_request(b, 1));
    let (mut sent, mut dropped) = (0, 0);
    let mut goes_nowhere = |w: &mut World, inner: &[u8], reason: Reason, what: &str| {
        let datagram = gtpu::encode_uplink(into, 1, inner).unwrap();
        let c = w.gw().counters();
        assert_eq!(w.at_n3(attackers_radio, &datagram), Vec::<Sent>::new(), "{what}");
        let after = w.gw().counters();
        assert_eq!(
            after.dropped(reason),
            c.dropped(reason) + 1,
            "{what}: {:?}",
            after.drops().collect::<Vec<_>>()
        );
        assert_eq!(since(w, &c), (0, 0, 1), "{what}");
        assert!(!w.step(), "{what}");
        sent += 1;
        dropped += usize::from(reason == Reason::OwnAddress);
    };
    for address in own_addresses() {
        let IpAddr::V4(us) = address else { panic!("IPv4") };
        // PFCP, GTP-C, Diameter, NGAP, GTP-U.
        for port in [8805, 2123, 3868, 38412, 2152] {
            let what = format!("{us}:{port}");
            for payload in &inside {
                goes_nowhere(&mut w, &udp(own, us, port, payload), Reason::OwnAddress, &what);
            }
            let syn = Packet::new(What::Syn, own, 50_000, us, port).bytes();
            goes_nowhere(&mut w, &syn, Reason::OwnAddress, &what);
            // SCTP INIT.
            let [p1, p2] = port.to_be_bytes();
            let init = [
                p1, p2, p1, p2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 20, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 1, 0,
                0, 0, 1,
            ];
            goes_nowhere(&mut w, &ipv4(132, own, us, &init), Reason::OwnAddress, &what);
            before.untouched(&mut w, &what);
        }
    }
    assert_eq!((sent, dropped), (4 * 5 * 7, 4 * 5 * 7));
    before.untouched(&mut w, "all");
    before.is_served_beside(&mut w);
}

impl Before {
    /// The same where the attacker is registered, too.
    fn is_served_beside(&self, w: &mut World) {
        assert_eq!(w.ctl().amf.held(), self.held);
        second_session(w);
        assert_eq!(w.phases(VICTIM).len(), 2);
        w.assert_tidy();
    }
}

/// A G-PDU with these octets behind its optional fields: the type of the first extension header, and the chain.
fn extended(teid: u32, chain: &[u8], inner: &[u8]) -> Vec<u8> {
    let len = (3 + chain.len() + inner.len()) as u16;
    [&[0x34, 0xff][..], &len.to_be_bytes(), &teid.to_be_bytes(), &[0, 0, 0], chain, inner].concat()
}

/// An IPv4 fragment: `at` in units of eight octets.
fn fragment(
    src: Ipv4Addr,
    dst: Ipv4Addr,
    protocol: u8,
    id: u8,
    (at, more): (u16, bool),
    payload: &[u8],
) -> Vec<u8> {
    let mut p = ipv4(protocol, src, dst, payload);
    p[5] = id;
    let flags = (u16::from(more) << 13 | at).to_be_bytes();
    p[6..8].copy_from_slice(&flags);
    p[10..12].fill(0);
    let sum = p[..20].chunks(2).fold(0u32, |n, c| n + u32::from(u16::from_be_bytes([c[0], c[1]])));
    let sum = !(((sum & 0xffff) + (sum >> 16)) as u16);
    p[10..12].copy_from_slice(&sum.to_be_bytes());
    p
}

#[test]
fn r79_to_r89_tunnel_packets_that_lie_beside_a_victim() {
    let (mut w, first) = scene();
    w.phones[FAR].ue.lies().deaf = false;
    let own = w.attach(FAR);
    let before = before(&mut w, first.address);
    let victims = w.phones[VICTIM].remembers[0].1.uplink.teid.value();
    let into = w.phones[FAR].remembers[0].1.uplink.teid.value();
    let radio = w.radios[1].address;
    let good = udp(own, HISTORIAN, 514, b"log");
    let by_tunnel = |inner: &[u8]| gtpu::encode_uplink(into, 1, inner).unwrap();
    let six = |next: u8, len: u8| {
        let mut p = [0; 40];
        (p[0], p[5], p[6]) = (0x60, len, next);
        by_tunnel(&p)
    };
    let version = |v: u8| {
        let mut p = good.clone();
        p[0] = v << 4 | 5;
        by_tunnel(&p)
    };
    let container = [0x85, 1, 0x10, 1];
    let deep: Vec<u8> = [container].repeat(255).concat().into_iter().chain([0]).collect();
    let packet = Packet::new(What::Ack, before.address, 40_000, FILES, 443).bytes();
    let stolen = gtpu::encode_uplink(victims, 1, &packet).unwrap();
    let cut = |d: &[u8], n: usize| {
        // The header's length is mended, so that it is the packet inside that is cut.
        let mut d = d[..n].to_vec();
        let len = (n as u16 - 8).to_be_bytes();
        d[2..4].copy_from_slice(&len);
        d
    };
    let whole = by_tunnel(&good);
    const LIES: &[Reason] = &[Reason::MalformedGtpu];
    const ODD: &[Reason] = &[Reason::MalformedInner];
    const STRANGER: &[Reason] = &[Reason::UnknownPeer];
    // What is broken about IPv6 is broken, whether the session carries it or not.
    const OTHER: &[Reason] = &[Reason::WrongIpVersion, Reason::MalformedInner, Reason::SpoofedSource];
    let table: Vec<(&str, IpAddr, Vec<u8>, &[Reason])> = vec![
        ("R79: an extension of no length", radio, extended(into, &[0x85, 0, 0], &good), LIES),
        (
            "R79: a chain that goes on behind the end",
            radio,
            extended(into, &[0x85, 1, 0x10, 1, 0x85], &[]),
            LIES,
        ),
        ("R79: a chain of 255", radio, extended(into, &deep, &good), LIES),
        (
            "R79: an extension longer than the datagram",
            radio,
            extended(into, &[0x85, 200, 0x10, 1, 0], &good),
            LIES,
        ),
        ("R81: IPv6 of length 0, hop by hop", radio, six(0, 0), OTHER),
        ("R81: IPv6 of length 0, TCP", radio, six(6, 0), OTHER),
        ("R81: IPv6 of length 0, nothing next", radio, six(59, 0), OTHER),
        ("R81: IPv6 that is longer than it is", radio, six(17, 200), OTHER),
        ("R83: version 0", radio, version(0), ODD),
        ("R83: version 5", radio, version(5), ODD),
        ("R83: version 15", radio, version(15), ODD),
        ("R83: nothing", radio, cut(&whole, whole.len() - good.len()), ODD),
        ("R83: one octet", radio, cut(&whole, whole.len() - good.len() + 1), ODD),
        (
            "R85: the victim's tunnel from a stranger",
            Ipv4Addr::new(172, 16, 2, 9).into(),
            stolen.clone(),
            STRANGER,
        ),
        ("R85: from the company", FILES.into(), stolen.clone(), STRANGER),
        ("R85: from our own address", N3.into(), stolen, STRANGER),
        (
            "R89: a first fragment without its ports",
            radio,
            by_tunnel(&fragment(own, HISTORIAN, 6, 1, (0, true), &[0; 8])),
            &[Reason::Fragment],
        ),
        (
            "R89: a later one without a first",
            radio,
            by_tunnel(&fragment(own, HISTORIAN, 17, 2, (3, true), &[0; 16])),
            &[Reason::Fragment],
        ),
        (
            "R89: a last one without a first",
            radio,
            by_tunnel(&fragment(own, HISTORIAN, 17, 3, (1, false), &[0; 16])),
            &[Reason::Fragment],
        ),
        (
            "R89: behind the end of any packet",
            radio,
            by_tunnel(&fragment(own, HISTORIAN, 17, 4, (0x1fff, false), &[0; 64])),
            ODD,
        ),
    ];
    for (what, from, datagram, reasons) in &table {
        let c = w.gw().counters();
        let sent = w.at_n3(*from, datagram);
        assert!(!sent.iter().any(|s| matches!(s, Sent::N6(_))), "{what}: {sent:?}");
        let after = w.gw().counters();
        let new: Vec<Reason> = after.drops().filter(|(r, n)| *n > c.dropped(*r)).map(|(r, _)| r).collect();
        assert!(matches!(new[..], [r] if reasons.contains(&r)), "{what}: {new:?}");
        assert_eq!(since(&mut w, &c), (0, 0, 1), "{what}");
        before.untouched(&mut w, what);
    }
    assert_eq!(table.len(), 20);
    // R89: of a packet in parts, what overlaps and what begins anew is dropped, and the parts that do not pass.
    let head = [&[2, 2, 2, 2, 0, 40, 0, 0][..], &[0; 16]].concat();
    let parts = [
        ((0, true), &head[..], true),
        ((2, true), &[0; 8], false),
        ((0, true), &head[..], false),
        ((3, false), &[0; 16], true),
    ];
    for ((at, more), payload, passes) in parts {
        let c = w.gw().counters();
        let mut part = fragment(own, HISTORIAN, 17, 9, (at, more), payload);
        if at == 0 {
            part[22..24].copy_from_slice(&514u16.to_be_bytes());
        }
        w.at_n3(radio, &by_tunnel(&part));
        let (up, dropped) = (u64::from(passes), u64::from(!passes));
        assert_eq!(since(&mut w, &c), (up, 0, dropped), "{at} {more}");
        assert_eq!(w.gw().counters().dropped(Reason::Fragment) - c.dropped(Reason::Fragment), dropped);
    }
    // The flow that the attacker was allowed is its own.
    let after = Before { shards: (before.shards.0, before.shards.1 + 1), ..before };
    after.untouched(&mut w, "all");
    after.is_served_beside(&mut w);
}
