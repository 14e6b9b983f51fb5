//! Values of chance survive the round trip; octets of chance end no process.

use super::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_suci_of_the_null_scheme(msin in "[0-9]{1,10}", routing in "[0-9]{1,4}", mcc in "[0-9]{3}", mnc in "[0-9]{2,3}") {
        let too_long = mcc.len() + mnc.len() + msin.len() > 15;
        let i = MobileIdentity::Suci(Suci {
            home: Plmn::new(&mcc, &mnc).unwrap(),
            routing_indicator: routing,
            scheme: SuciScheme::Null,
            key_id: 0,
            output: msin.into_bytes(),
        });
        let m = FgmmMessage::IdentityResponse(i);
        match m.encode() {
            Ok(octets) => prop_assert_eq!(FgmmMessage::decode(&octets).unwrap(), m),
            // An IMSI has 15 digits at most.
            Err(_) => prop_assert!(too_long),
        }
    }

    #[test]
    fn any_bit_rate_is_at_least_what_was_meant(dl in 0u64..4_000_000_000_000, ul in 0u64..4_000_000_000_000) {
        let wire = SessionAmbr { dl_bps: dl, ul_bps: ul }.to_octets();
        let back = SessionAmbr::from_octets(&wire).unwrap();
        prop_assert!(back.dl_bps >= dl && back.ul_bps >= ul);
        prop_assert!(back.dl_bps <= dl + dl / 10_000 + 1_000);
        prop_assert_eq!(back.to_octets(), SessionAmbr::from_octets(&back.to_octets()).unwrap().to_octets());
    }

    #[test]
    fn any_slices_and_areas(
        slices in proptest::collection::vec((any::<u8>(), proptest::option::of([0u8..255, 0..255, 0..255])), 0..=8),
        tacs in proptest::collection::vec(0u32..=0xff_ffff, 0..=16),
    ) {
        let m = FgmmMessage::RegistrationAccept(RegistrationAccept {
            allowed_nssai: slices.into_iter().map(|(sst, sd)| Snssai { sst, sd }).collect(),
            tai_list: tacs.into_iter().map(|t| tai(plmn(), t)).collect(),
            ..RegistrationAccept::default()
        });
        prop_assert_eq!(FgmmMessage::decode(&m.encode().unwrap()).unwrap(), m);
    }

    #[test]
    fn octets_of_no_meaning(mut octets in proptest::collection::vec(any::<u8>(), 0..200), t in any::<u8>()) {
        let _ = FgmmMessage::decode(&octets);
        let _ = FgsmMessage::decode(&octets);
        // And with a header that is right.
        octets.splice(0..0, [0x7e, 0, t]);
        let _ = FgmmMessage::decode(&octets);
        octets.splice(0..2, [0x2e, 1, 1]);
        let _ = FgsmMessage::decode(&octets);
        let _ = Epco::from_octets(&octets);
        let _ = super::qos::rules(&octets);
        let _ = super::qos::flows(&octets);
        let _ = super::ie::tai_list(&octets);
        let _ = MobileIdentity::from_octets(&octets);
    }
}
