//! Ciphering hides an attach and changes nothing else: the same UE does the same things once under NEA0, which is
//! chosen because it is configured, and once under NEA2. Who listens at the radio and knows K, OPc and nothing of
//! the AMF or of the UE derives the keys from RAND and AUTN, verifies every code, deciphers, and reads twice the
//! same (TS 33.501 §6.4, Annex A; TS 24.501 §4.4).

use crate::site::*;
use crate::world::{Tapped, World};
use lab::ue::{Input, UeEvent};
use sim_auth::{Aka as _, Milenage, fgs};
use types::*;
use wire::nas::fgs::{AuthenticationChallenge, FgmmMessage, FgsmMessage, UeSecurityCapability};
use wire::nas::security::{Direction, HeaderType, NasContext, Nea, Nia, Pdu, open};

const LAPTOP: usize = 0;

/// One message as the listener read it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Read {
    direction: Direction,
    name: String,
    /// How it was protected; `None` for a plain one.
    header: Option<HeaderType>,
    /// Its NAS COUNT, where protected.
    count: Option<u32>,
    /// The plain message.
    plain: Vec<u8>,
    /// The same octets as they went over the air.
    on_air: Vec<u8>,
}

/// Who listens: K and OPc, and what was said so far.
struct Listener {
    k: K,
    opc: Opc,
    /// KAMF of the last challenge, with RES* that must come.
    challenge: Option<(Key256, Key128)>,
    context: Option<NasContext>,
    chosen: Vec<(Nia, Nea)>,
    answers: usize,
}

impl Listener {
    fn new() -> Self {
        let (k, opc) = keys(LAPTOP);
        Self { k, opc, challenge: None, context: None, chosen: Vec::new(), answers: 0 }
    }

    /// K, OPc, RAND, AUTN → CK, IK → KAUSF → KSEAF → KAMF.
    fn challenged(&mut self, rand: &Rand, autn: &Autn) {
        let opened = Milenage::new(&self.k, &self.opc).open_autn(rand, autn).expect("MAC-A is right");
        let snn = plmn().serving_network_name();
        let kausf = fgs::kausf(&opened.ck, &opened.ik, &snn, autn);
        let kamf = fgs::kamf(&fgs::kseaf(&kausf, &snn), Supi(imsi(LAPTOP)), &fgs::ABBA);
        let res_star = fgs::res_star(&opened.ck, &opened.ik, &snn, rand, opened.res.expose());
        self.challenge = Some((kamf, res_star));
    }

    fn read(&mut self, t: &Tapped) -> Read {
        let (header, count, on_air, mut plain) = match open(&t.octets).expect("NAS") {
            Pdu::Plain(plain) => (None, None, plain.to_vec(), plain.to_vec()),
            Pdu::Protected { header, payload, .. } => {
                if header == HeaderType::IntegrityNewContext {
                    self.command(payload);
                }
                let context = self.context.as_mut().expect("nothing is protected before a command");
                let v = context.unprotect(&t.octets, t.direction).expect("the code is right");
                (Some(v.header), Some(v.count), payload.to_vec(), v.plain)
            }
        };
        let mut message = FgmmMessage::decode(&plain).expect("a 5GMM message");
        match &mut message {
            FgmmMessage::AuthenticationRequest(m) => match &m.challenge {
                AuthenticationChallenge::FgAka { rand, autn } => self.challenged(rand, autn),
                AuthenticationChallenge::Eap(_) => panic!("another method"),
            },
            FgmmMessage::AuthenticationResponse(m) => {
                let (_, right) = self.challenge.as_ref().expect("an answer has its challenge");
                assert!(m.res_star.as_ref().is_some_and(|r| r.matches(right.expose())), "RES*");
                self.answers += 1;
            }
            // §4.4.6: in an initial message the whole request is ciphered on its own, with that message's count.
            FgmmMessage::RegistrationRequest(wire::nas::fgs::RegistrationRequest {
                nas_container: Some(c),
                ..
            })
            | FgmmMessage::ServiceRequest(wire::nas::fgs::ServiceRequest {
                nas_container: Some(c), ..
            }) => {
                let context = self.context.as_ref().expect("a container has its keys");
                context.cipher_container(count.expect("protected"), t.direction, c);
                assert_eq!(FgmmMessage::decode(c).expect("a whole request").name(), name_of(&plain));
                plain = message.encode().unwrap();
            }
            _ => {}
        }
        Read { direction: t.direction, name: name_of(&plain), header, count, plain, on_air }
    }

    /// Security Mode Command names the algorithms; it is readable, and the first one under its own keys.
    fn command(&mut self, payload: &[u8]) {
        let Ok(FgmmMessage::SecurityModeCommand(m)) = FgmmMessage::decode(payload) else {
            panic!("only the command has that header")
        };
        let (kamf, _) = self.challenge.as_ref().expect("a command has its challenge");
        let integrity = fgs::knas_int(kamf, m.integrity.code());
        let ciphering = fgs::knas_enc(kamf, m.ciphering.code());
        self.context = Some(NasContext::new(integrity, ciphering, m.integrity, m.ciphering));
        self.chosen.push((m.integrity, m.ciphering));
    }
}

fn name_of(plain: &[u8]) -> String {
    let message = FgmmMessage::decode(plain).unwrap();
    let inner = match &message {
        FgmmMessage::UlNasTransport(m) => &m.payload,
        FgmmMessage::DlNasTransport(m) => &m.payload,
        other => return other.name().to_owned(),
    };
    FgsmMessage::decode(inner).unwrap().body.name().to_owned()
}

/// Everything that a UE does in a day: attach, session, idle and back, session released and made anew, leaving, and
/// coming again with the identity and the keys of the last time.
fn day(nia: Nia, nea: Nea) -> (Vec<Read>, Listener) {
    let mut w = World::algorithms(&[Role::Laptop, Role::Plc], 1, Some((vec![nia], vec![nea])));
    w.phones[LAPTOP].ue.can(every_algorithm());
    w.tap = Some(Vec::new());
    w.attach(LAPTOP);
    w.go_idle(LAPTOP);
    w.run();
    w.tell(LAPTOP, Input::Service);
    w.run();
    w.tell(LAPTOP, Input::Release { id: 1.try_into().unwrap() });
    w.run();
    w.ask_session(LAPTOP, 1);
    w.run();
    w.tell(LAPTOP, Input::Deregister { switch_off: false });
    w.run();
    assert_eq!(w.view(LAPTOP), None);
    w.attach(LAPTOP);
    w.assert_tidy();
    let tap = w.tap.take().unwrap();
    assert!(tap.iter().all(|t| t.phone == LAPTOP));
    let mut listener = Listener::new();
    let read = tap.iter().map(|t| listener.read(t)).collect();
    (read, listener)
}

/// What a modern UE can do.
fn every_algorithm() -> UeSecurityCapability {
    UeSecurityCapability::of(
        &[Nea::Nea0, Nea::Nea1, Nea::Nea2, Nea::Nea3],
        &[Nia::Nia0, Nia::Nia1, Nia::Nia2, Nia::Nia3],
    )
}

#[test]
fn a_ciphered_attach_reads_as_the_one_in_clear() {
    let (clear, clear_ears) = day(Nia::Nia2, Nea::Nea0);
    let (ciphered, ciphered_ears) = day(Nia::Nia2, Nea::Nea2);
    // Two registrations each, the second with a new key set.
    assert_eq!(clear_ears.chosen, [(Nia::Nia2, Nea::Nea0); 2]);
    assert_eq!(ciphered_ears.chosen, [(Nia::Nia2, Nea::Nea2); 2]);
    assert_eq!((clear_ears.answers, ciphered_ears.answers), (2, 2));

    let names: Vec<&str> = ciphered.iter().map(|r| r.name.as_str()).collect();
    let attach = [
        "AuthenticationRequest",
        "AuthenticationResponse",
        "SecurityModeCommand",
        "SecurityModeComplete",
        "RegistrationAccept",
        "RegistrationComplete",
        "PDUSessionEstablishmentRequest",
        "PDUSessionEstablishmentAccept",
    ];
    let day = [
        &["RegistrationRequest"][..],
        &attach,
        &["ServiceRequest", "ServiceAccept"],
        &["PDUSessionReleaseRequest", "PDUSessionReleaseCommand", "PDUSessionReleaseComplete"],
        &["PDUSessionEstablishmentRequest", "PDUSessionEstablishmentAccept"],
        &["DeregistrationRequest (UE originating)", "DeregistrationAccept (UE originating)"],
        // Its temporary identity is not known any more: it says who it is.
        &["RegistrationRequest", "IdentityRequest", "IdentityResponse"],
        &attach,
    ]
    .concat();
    assert_eq!(names, day);
    assert_eq!(names, clear.iter().map(|r| r.name.as_str()).collect::<Vec<_>>());

    let mut hidden = 0;
    for (n, (a, b)) in clear.iter().zip(&ciphered).enumerate() {
        let what = format!("message {n}, {}", a.name);
        assert_eq!((a.direction, a.header, a.count), (b.direction, b.header, b.count), "{what}");
        // What must differ: the chosen ciphering algorithm in Security Mode Command (octet 3, high half), and by
        // it nothing else. RAND, AUTN, RES* and 5G-GUTI come from seeds that are the same in both runs, so they
        // are equal here, and no message of ours carries a time of day. A message behind a header differs in
        // its code, which is computed over the ciphered octets; that was verified above.
        let mut expected = a.plain.clone();
        if a.name == "SecurityModeCommand" {
            assert_eq!((a.plain[3], b.plain[3]), (0x02, 0x22), "{what}: NIA2 with NEA0, with NEA2");
            expected[3] = 0x22;
        }
        assert_eq!(b.plain, expected, "{what}");
        // Under NEA0 the air shows what is said. Under NEA2 it does not, wherever the header says so.
        assert_eq!(a.on_air, a.plain, "{what}: NEA0 hides nothing");
        let ciphers = b.header.is_some_and(HeaderType::ciphers);
        hidden += usize::from(ciphers);
        let container = b.header == Some(HeaderType::Integrity);
        assert_eq!(b.on_air != b.plain, ciphers || container, "{what}: NEA2 hides what it must");
    }
    // Plain or readable: what comes before the keys, the command, and the initial messages around their container.
    let readable: Vec<&str> = ciphered
        .iter()
        .filter(|r| !r.header.is_some_and(HeaderType::ciphers))
        .map(|r| r.name.as_str())
        .collect();
    let challenge = ["AuthenticationRequest", "AuthenticationResponse", "SecurityModeCommand"];
    let expected = [
        &["RegistrationRequest"][..],
        &challenge,
        &["ServiceRequest"],
        &["RegistrationRequest", "IdentityRequest", "IdentityResponse"],
        &challenge,
    ]
    .concat();
    assert_eq!(readable, expected);
    assert_eq!(hidden, ciphered.len() - expected.len());
}

/// SNOW 3G, AES and ZUC, in every pair: a whole day, whose every code the listener verifies and whose every message
/// it reads as the same under each.
#[test]
fn every_pair_of_algorithms_carries_a_day() {
    let mut first: Option<Vec<String>> = None;
    for nia in [Nia::Nia1, Nia::Nia2, Nia::Nia3] {
        for nea in [Nea::Nea1, Nea::Nea2, Nea::Nea3] {
            let (read, ears) = day(nia, nea);
            assert_eq!(ears.chosen, [(nia, nea); 2]);
            let names: Vec<String> = read.into_iter().map(|r| r.name).collect();
            assert_eq!(first.get_or_insert_with(|| names.clone()), &names, "{nia} {nea}");
        }
    }
}

/// The network's order decides, not the UE's; null integrity is never chosen, not even where it is configured first.
#[test]
fn the_first_algorithm_that_both_have_is_chosen() {
    let ue = |neas: &[Nea], nias: &[Nia]| UeSecurityCapability::of(neas, nias);
    let all = (vec![Nia::Nia0, Nia::Nia3, Nia::Nia1, Nia::Nia2], vec![Nea::Nea3, Nea::Nea1, Nea::Nea2]);
    for (capability, chosen) in [
        (every_algorithm(), (Nia::Nia3, Nea::Nea3)),
        (ue(&[Nea::Nea0, Nea::Nea1, Nea::Nea2], &[Nia::Nia0, Nia::Nia2, Nia::Nia1]), (Nia::Nia1, Nea::Nea1)),
        (ue(&[Nea::Nea2, Nea::Nea3], &[Nia::Nia2]), (Nia::Nia2, Nea::Nea3)),
    ] {
        let mut w = World::algorithms(&[Role::Laptop, Role::Plc], 1, Some(all.clone()));
        w.phones[LAPTOP].ue.can(capability);
        w.tap = Some(Vec::new());
        w.attach(LAPTOP);
        let mut listener = Listener::new();
        w.tap.take().unwrap().iter().for_each(|t| drop(listener.read(t)));
        assert_eq!(listener.chosen, [chosen]);
    }
    // Who has null algorithms alone is refused.
    let mut w = World::algorithms(&[Role::Laptop, Role::Plc], 1, Some(all));
    w.phones[LAPTOP].ue.can(ue(&[Nea::Nea0], &[Nia::Nia0]));
    w.tell(LAPTOP, Input::Register);
    w.run();
    let refused = |h: &Happening| {
        matches!(
            h,
            Happening::RegistrationRefused {
                cause: FgmmCause::UeSecurityCapabilitiesMismatch,
                reason: RefusalReason::NothingInCommon,
                ..
            }
        )
    };
    assert_eq!(w.happened(LAPTOP, refused), 1);
    assert_eq!(w.view(LAPTOP), None);
}

/// Somebody on the way takes the strong algorithms out of the first message. The UE is shown what the network heard,
/// finds the difference and refuses (TS 33.501 §6.7.2); a UE that does not look is found out by its protected copy.
#[test]
fn who_is_bid_down_is_not_let_in() {
    for ue_looks in [true, false] {
        let mut w = World::site();
        let mut weak = Some(UeSecurityCapability::of(&[Nea::Nea1], &[Nia::Nia1]));
        w.phones[LAPTOP].ue.can(every_algorithm());
        w.phones[LAPTOP].ue.lies().overlook_bidding_down = !ue_looks;
        w.on_way_up = Some(Box::new(move |octets| {
            let Ok(Pdu::Plain(plain)) = open(octets) else { return };
            if let Ok(FgmmMessage::RegistrationRequest(mut m)) = FgmmMessage::decode(plain)
                && let Some(weak) = weak.take()
            {
                m.security_capability = Some(weak);
                *octets = FgmmMessage::RegistrationRequest(m).encode().unwrap();
            }
        }));
        w.tell(LAPTOP, Input::Register);
        w.run();
        assert_eq!(w.view(LAPTOP), None, "not registered");
        let told = |h: &Happening| {
            matches!(
                h,
                Happening::RegistrationRefused { cause: FgmmCause::UeSecurityCapabilitiesMismatch, .. }
            )
        };
        assert_eq!(w.happened(LAPTOP, told), 1, "in the timeline, UE looks: {ue_looks}");
        let news = w.news_of(LAPTOP);
        let refused = |e: &UeEvent| match e {
            UeEvent::SecurityModeRefused(cause) => {
                ue_looks && *cause == FgmmCause::UeSecurityCapabilitiesMismatch
            }
            UeEvent::Rejected { cause, protected, .. } => {
                !ue_looks && *protected && *cause == FgmmCause::UeSecurityCapabilitiesMismatch
            }
            _ => false,
        };
        assert!(news.iter().any(refused), "{news:?}");
        // Nobody on the way: it is let in.
        w.on_way_up = None;
        w.power_cycle(LAPTOP);
        w.attach(LAPTOP);
    }
}

/// The counts rise by one in each direction under each key set: nothing is sent twice under one count, nothing is
/// left out.
#[test]
fn no_count_is_used_twice() {
    for nea in [Nea::Nea0, Nea::Nea2] {
        let (read, _) = day(Nia::Nia2, nea);
        let mut next = [0, 0];
        for r in read {
            let Some(count) = r.count else { continue };
            if r.header == Some(HeaderType::IntegrityNewContext) {
                next = [0, 0];
            }
            let next = &mut next[usize::from(r.direction == Direction::Downlink)];
            assert_eq!(count, *next, "{}", r.name);
            *next += 1;
        }
    }
}

/// Without the key nothing is read: another card's K verifies nothing, and K with another algorithm's number
/// deciphers nothing.
#[test]
fn another_key_reads_nothing() {
    let mut w = World::algorithms(&[Role::Laptop, Role::Plc], 1, Some((vec![Nia::Nia2], vec![Nea::Nea2])));
    w.tap = Some(Vec::new());
    w.attach(LAPTOP);
    let tap = w.tap.take().unwrap();
    let mut listener = Listener::new();
    let command = tap
        .iter()
        .position(|t| {
            matches!(open(&t.octets), Ok(Pdu::Protected { header: HeaderType::IntegrityNewContext, .. }))
        })
        .expect("a command");
    for t in &tap[..command] {
        listener.read(t);
    }
    let (kamf, _) = listener.challenge.as_ref().unwrap();
    let key = |n| fgs::knas_int(kamf, n);
    let wrong = [
        // KNASenc for KNASint; the key of NIA1; no key.
        fgs::knas_enc(kamf, 2),
        key(1),
        Key128::new([0; 16]),
    ];
    for integrity in wrong {
        let mut c = NasContext::new(integrity, fgs::knas_enc(kamf, 2), Nia::Nia2, Nea::Nea2);
        assert!(c.unprotect(&tap[command].octets, Direction::Downlink).is_err());
    }
    // The right code, and the ciphering key of another algorithm: verified, and unreadable.
    let mut c = NasContext::new(key(2), fgs::knas_enc(kamf, 1), Nia::Nia2, Nea::Nea2);
    let mut read = 0;
    for t in &tap[command..] {
        let v = c.unprotect(&t.octets, t.direction).expect("the code is right");
        read += usize::from(v.header.ciphers() && FgmmMessage::decode(&v.plain).is_ok());
    }
    assert_eq!(read, 0);
}
