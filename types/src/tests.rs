//! The words refuse what cannot be, keep what can, and print what they parsed.

use crate::*;
use proptest::prelude::*;

#[test]
fn a_two_digit_mnc_is_not_a_three_digit_one() {
    let (a, b): (Plmn, Plmn) = ("001-01".parse().unwrap(), "001-001".parse().unwrap());
    assert_ne!(a, b);
    assert_eq!(a.to_octets(), [0x00, 0xf1, 0x10]);
    assert_eq!(b.to_octets(), [0x00, 0x11, 0x00]);
    assert_eq!(Plmn::new("999", "70").unwrap().serving_network_name(), "5G:mnc070.mcc999.3gppnetwork.org");
}

#[test]
fn octets_that_are_no_plmn_are_refused() {
    for o in [[0x0a, 0xf1, 0x10], [0x00, 0xa1, 0x10], [0x00, 0xf1, 0x1f], [0xff; 3]] {
        assert_eq!(Plmn::from_octets(o), None, "{o:02x?}");
    }
}

#[test]
fn an_imsi_keeps_its_leading_zeros_and_refuses_the_rest() {
    let i: Imsi = "001010000000001".parse().unwrap();
    assert_eq!(i.to_string(), "001010000000001");
    assert!(i.is_in("001-01".parse().unwrap()) && !i.is_in("001-02".parse().unwrap()));
    assert_eq!(i.msin(2), "0000000001");
    for bad in ["", "00101", "0010100000000012", "00101000000000x", "００１０１００００"] {
        assert!(bad.parse::<Imsi>().is_err(), "{bad}");
    }
}

#[test]
fn check_digits_are_checked() {
    assert!("490154203237518".parse::<Imei>().is_ok());
    assert_eq!("490154203237519".parse::<Imei>(), Err(DigitError::CheckDigit { what: "IMEI", expected: 8 }));
    assert!("8991101200003204514".parse::<Iccid>().is_ok());
    assert!("8991101200003204515".parse::<Iccid>().is_err());
}

#[test]
fn only_the_table_of_states_is_allowed() {
    use SimState::*;
    assert_eq!(Active.change_to(Stolen), Ok(Stolen));
    assert_eq!(Stolen.change_to(Active), Ok(Active));
    for (from, to) in [(Retired, Active), (Stock, Suspended), (Active, Ready), (Active, Active)] {
        assert_eq!(from.change_to(to), Err(TransitionError { from, to }));
    }
    // Only two states may attach, and no banned one is among them.
    assert_eq!(SimState::ALL.into_iter().filter(|s| s.may_attach()).collect::<Vec<_>>(), [Ready, Active]);
    assert!(SimState::ALL.into_iter().all(|s| !(s.may_attach() && s.is_banned())));
}

#[test]
fn a_rule_with_a_typo_or_a_missing_target_is_refused() {
    let rule = |s: &str| serde_json::from_str::<Rule>(s).map_err(|e| e.to_string());
    let base = r#""name":"r","order":1,"subject":"any","app":"a""#;
    assert!(rule(&format!(r#"{{{base},"direction":"out","verdict":"allow"}}"#)).is_ok());
    assert!(rule(&format!(r#"{{{base},"direction":"out","verdict":"alow"}}"#)).unwrap_err().contains("alow"));
    assert!(rule(&format!(r#"{{{base},"direction":"in","verdict":"allow"}}"#)).unwrap_err().contains("to"));
    assert!(
        rule(&format!(r#"{{{base},"direction":"out","verdict":"allow","prio":1}}"#))
            .unwrap_err()
            .contains("prio")
    );
    assert!("tcp/90-80".parse::<Service>().is_err() && "icmp/1".parse::<Service>().is_err());
}

#[test]
fn a_key_is_never_repeated_by_its_error() {
    let e = K::from_hex("00112233445566778899aabbccddeefg").err().unwrap();
    assert!(!e.contains("0011"));
    assert!(K::from_hex("00").is_err() && K::from_hex(&"é".repeat(16)).is_err());
}

proptest! {
    #[test]
    fn plmn_octets_round_trip(mcc in 0u16..1000, mnc in 0u16..1000, three: bool) {
        let mnc = if three { format!("{mnc:03}") } else { format!("{:02}", mnc % 100) };
        let p = Plmn::new(&format!("{mcc:03}"), &mnc).unwrap();
        prop_assert_eq!(Plmn::from_octets(p.to_octets()), Some(p));
        prop_assert_eq!(p.to_string().parse::<Plmn>().unwrap(), p);
    }

    #[test]
    fn text_forms_round_trip(digits in "[0-9]{6,15}", name in "[a-z0-9]([a-z0-9._-]{0,20}[a-z0-9])?", a: u16, b: u16) {
        prop_assert_eq!(digits.parse::<Imsi>().unwrap().to_string(), digits);
        prop_assert_eq!(name.parse::<Name>().unwrap().to_string(), name);
        let s = Service { protocol: Protocol::Udp, ports: Ports::try_from((a.min(b), a.max(b))).unwrap() };
        prop_assert_eq!(s.to_string().parse::<Service>().unwrap(), s);
    }

    #[test]
    fn no_text_makes_a_parser_panic(s in "\\PC{0,40}") {
        drop((s.parse::<Imsi>(), s.parse::<Plmn>(), s.parse::<Pei>(), s.parse::<Iccid>()));
        drop((s.parse::<Dnn>(), s.parse::<Snssai>(), s.parse::<Name>(), s.parse::<Service>()));
        drop((s.parse::<Subject>(), s.parse::<SimState>(), K::from_hex(&s)));
    }

    #[test]
    fn sqn_parts_round_trip(seq in 0u64..1 << 43, ind in 0u64..32) {
        let s = Sqn::from_seq_ind(seq, ind, 5).unwrap();
        prop_assert_eq!((s.seq(5), s.ind(5)), (seq, ind));
        prop_assert_eq!(Sqn::from_octets(s.to_octets()), s);
    }
}
