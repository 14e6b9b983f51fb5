//! True messages and values: the round trip, an independent encoder, and what the wire makes of times and options.

use super::*;

#[test]
fn each_message_survives_the_round_trip() {
    for m in samples() {
        let octets = m.encode().unwrap();
        assert_eq!(FgmmMessage::decode(&octets).unwrap(), m, "{octets:02x?}");
    }
    for m in session_samples() {
        let octets = m.encode().unwrap();
        assert_eq!(FgsmMessage::decode(&octets).unwrap(), m, "{octets:02x?}");
    }
}

#[test]
fn an_independent_encoder_writes_the_same() {
    use FgmmMessage as M;
    let ours = [
        M::RegistrationReject(RegistrationReject::new(FgmmCause::Congestion)),
        M::AuthenticationReject(None),
        M::ConfigurationUpdateCommand(ConfigurationUpdateCommand::default()),
    ];
    for (line, m) in PYCRATE.lines().zip(ours) {
        let theirs = hex(line.split('\t').nth(1).unwrap());
        assert_eq!(m.encode().unwrap(), theirs);
        assert_eq!(FgmmMessage::decode(&theirs).unwrap(), m);
    }
    // A Registration Request of the same encoder, SUCI of the null scheme with MSIN 0000000001.
    let theirs = hex("7e004179000d0100f1100000000000000010022e08a020000000000000");
    let M::RegistrationRequest(m) = M::decode(&theirs).unwrap() else { panic!() };
    let MobileIdentity::Suci(s) = &m.identity else { panic!() };
    assert_eq!(s.null_scheme_supi().unwrap().to_string(), "imsi-001010000000120");
    assert_eq!(M::RegistrationRequest(m).encode().unwrap(), theirs);
}

#[test]
fn every_identity_has_one_form() {
    let long = Suci {
        home: Plmn::new("310", "410").unwrap(),
        routing_indicator: "1234".into(),
        scheme: SuciScheme::ProfileA,
        key_id: 27,
        output: vec![9; 45],
    };
    for i in [
        suci("1"),
        suci("12"),
        suci("123456789"),
        suci("1234567890"),
        MobileIdentity::Suci(long.clone()),
        MobileIdentity::Suci(Suci { scheme: SuciScheme::ProfileB, output: vec![9; 46], ..long }),
        MobileIdentity::Guti(guti()),
        MobileIdentity::None,
    ] {
        let octets = i.to_octets().unwrap();
        assert_eq!(MobileIdentity::from_octets(&octets), Some(i));
    }
    for wrong in [suci(""), suci("12345678901"), suci("12x")] {
        assert!(wrong.to_octets().is_err());
    }
    let bad = FgGuti { amf: AmfId { region: 0, set: 1024, pointer: 0 }, ..guti() };
    assert!(MobileIdentity::Guti(bad).to_octets().is_err());
}

#[test]
fn options_are_answered_as_asked() {
    let dns = ["10.0.0.53", "10.0.1.53", "2001:db8::53"].map(|a| a.parse::<IpAddr>().unwrap());
    let answer = Epco::answer(&Epco::ordinary_request(), &dns, 1_400).unwrap();
    assert_eq!((answer.dns(), answer.mtu()), (dns.to_vec(), Some(1_400)));
    let only_v6 = Epco { containers: vec![EpcoContainer { id: Epco::DNS_IPV6, content: vec![] }] };
    assert_eq!(Epco::answer(&only_v6, &dns, 1_400).unwrap().dns(), [dns[2]]);
    assert_eq!(Epco::answer(&Epco::default(), &dns, 1_400), None);
    let only_mtu = Epco { containers: vec![EpcoContainer { id: Epco::IPV4_LINK_MTU, content: vec![] }] };
    let answer = Epco::answer(&only_mtu, &dns, 1_300).unwrap();
    assert_eq!((answer.dns(), answer.mtu()), (vec![], Some(1_300)));
    // The old way, IPCP Configure-Request for both servers: answered by Configure-Nak.
    let ipcp =
        |content: &str| Epco { containers: vec![EpcoContainer { id: Epco::IPCP, content: hex(content) }] };
    let asked = ipcp("01070010810600000000830600000000");
    let nak = Epco::answer(&asked, &dns, 1_400).unwrap();
    assert_eq!(nak.containers[0].content, hex("0307001081060a00003583060a000135"));
    for odd in
        ["", "01", "010700", "01070003", "0107ffff81", "010700068100", "01070010810600000000830600000001ff"]
    {
        let _ = Epco::answer(&ipcp(odd), &dns, 1_400);
    }
    assert_eq!(Epco::answer(&ipcp("02070010810600000000830600000000"), &dns, 1_400), None);
}

#[test]
fn timers_round_up_to_what_the_wire_has() {
    let t2 = |s| Timer::from_timer_2(Timer::Seconds(s).to_timer_2());
    let t3 = |s| Timer::from_timer_3(Timer::Seconds(s).to_timer_3());
    for s in 0..40_000 {
        let (Timer::Seconds(a), Timer::Seconds(b)) = (t2(s), t3(s)) else { panic!() };
        assert!(a >= s.min(31 * 360) && b >= s, "{s}: {a}, {b}");
    }
    assert_eq!(
        (t2(60), t2(61), t2(600), t2(3_600)),
        (Timer::Seconds(60), Timer::Seconds(62), Timer::Seconds(600), Timer::Seconds(3_600))
    );
    assert_eq!(
        (t3(3_240), t3(7_200), t3(4_000_000)),
        (Timer::Seconds(3_600), Timer::Seconds(7_200), Timer::Seconds(4_608_000))
    );
    assert_eq!(Timer::from_timer_2(Timer::Deactivated.to_timer_2()), Timer::Deactivated);
    assert_eq!(Timer::from_timer_3(0xff), Timer::Deactivated);
}

#[test]
fn the_gnb_is_told_the_algorithms_shifted_by_one() {
    let c = UeSecurityCapability::of(&[Nea::Nea0, Nea::Nea1, Nea::Nea2], &[Nia::Nia0, Nia::Nia2, Nia::Nia3]);
    assert_eq!(c.octets(), [0xe0, 0xb0]);
    let n = c.for_ngap();
    assert_eq!((n.nea, n.nia, n.eea, n.eia), (0xc000, 0x6000, 0, 0));
    assert!(c.has_nea(Nea::Nea0) && !c.has_nea(Nea::Nea3) && c.has_nia(Nia::Nia3) && !c.has_nia(Nia::Nia1));
    assert!(UeSecurityCapability::new(&[0xf0]).is_none() && UeSecurityCapability::new(&[0; 9]).is_none());
}

/// TS 23.040 §9.2.3.11 and TS 24.008 §10.5.3.9: digits with the nibbles swapped, the zone's sign in bit 4 of the first digit.
#[test]
fn the_time_is_told_in_the_digits_of_short_messages() {
    let told = |time| {
        let m = ConfigurationUpdateCommand { time: Some(time), ..Default::default() };
        FgmmMessage::ConfigurationUpdateCommand(m).encode()
    };
    let tokyo = NetworkTime { utc: [26, 11, 23, 4, 5, 59], quarters: 36 };
    assert_eq!(told(tokyo).unwrap()[3..], [0x47, 0x62, 0x11, 0x32, 0x40, 0x50, 0x95, 0x63]);
    let new_york = NetworkTime { utc: [99, 1, 31, 23, 0, 0], quarters: -20 };
    assert_eq!(told(new_york).unwrap()[3..], [0x47, 0x99, 0x10, 0x13, 0x32, 0, 0, 0x0a]);
    for wrong in [[26, 0, 1, 0, 0, 0], [26, 13, 1, 0, 0, 0], [26, 1, 1, 24, 0, 0], [100, 1, 1, 0, 0, 0]] {
        assert!(told(NetworkTime { utc: wrong, quarters: 0 }).is_err(), "{wrong:?}");
    }
    assert!(told(NetworkTime { quarters: 80, ..tokyo }).is_err());
    // What is no time is passed over, as if it were not there.
    let mut octets = told(tokyo).unwrap();
    octets[5] = 0xff;
    let Ok(FgmmMessage::ConfigurationUpdateCommand(m)) = FgmmMessage::decode(&octets) else { panic!() };
    assert_eq!(m.time, None);
}
