//! Messages of any values survive the round trip; octets of chance end no process.

use super::*;

fn any_plmn() -> impl Strategy<Value = Plmn> {
    (0u16..1000, 0u16..1000, any::<bool>()).prop_map(|(c, n, three)| {
        let mnc = if three { format!("{n:03}") } else { format!("{:02}", n % 100) };
        Plmn::new(&format!("{c:03}"), &mnc).unwrap()
    })
}

fn any_slice() -> impl Strategy<Value = Snssai> {
    (any::<u8>(), proptest::option::of(0u32..0xff_ffff)).prop_map(|(sst, sd)| slice(sst, sd))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn ng_setup_of_any_plmn_and_slices(
        plmn in any_plmn(),
        (gnb, bits) in (22u8..=32).prop_flat_map(|b| (0..=(u32::MAX >> (32 - b)), Just(b))),
        tas in proptest::collection::vec((0u32..=0xff_ffff, any_plmn(), proptest::collection::vec(any_slice(), 1..9)), 1..9),
    ) {
        let tas = tas.into_iter()
            .map(|(t, plmn, slices)| SupportedTa { tac: tac(t), plmns: vec![SupportedPlmn { plmn, slices }] })
            .collect();
        let m = Message::NgSetupRequest(NgSetupRequest {
            node: RanNodeId::Gnb(GlobalGnbId { plmn, id: gnb, bits }),
            name: None,
            tas,
            paging_drx: Some(PagingDrx::V32),
        });
        prop_assert_eq!(decode(&encode(&m).unwrap()).unwrap(), m);
    }

    #[test]
    fn uplink_of_any_ids_and_octets(
        a in 0..=AmfUeNgapId::MAX,
        r in any::<u32>(),
        nas in proptest::collection::vec(any::<u8>(), 0..600),
        plmn in any_plmn(),
        cell in 0u64..1 << 36,
        t in 0u32..=0xff_ffff,
    ) {
        let location = UserLocation {
            cell: NrCgi { plmn, cell },
            tai: Tai { plmn, tac: tac(t) },
            time_stamp: None,
        };
        let m = Message::UplinkNasTransport(UplinkNasTransport {
            amf_ue_id: amf(a),
            ran_ue_id: RanUeNgapId(r),
            nas,
            location: Some(location),
        });
        prop_assert_eq!(decode(&encode(&m).unwrap()).unwrap(), m);
    }

    #[test]
    fn any_cause_that_the_spec_has(group in 0u8..5, v in 0u8..65) {
        let cause = match group {
            0 => Cause::RadioNetwork(RadioCause(v)),
            1 => Cause::Transport(TransportCause(v % 2)),
            2 => Cause::Nas(NasCause(v % 8)),
            3 => Cause::Protocol(ProtocolCause(v % 7)),
            _ => Cause::Misc(MiscCause(v % 6)),
        };
        let m = Message::NgReset(NgReset { cause, reset: ResetType::All });
        prop_assert_eq!(decode(&encode(&m).unwrap()).unwrap(), m);
        let t = ReleaseCommand { cause };
        prop_assert_eq!(ReleaseCommand::decode(&t.encode().unwrap()).unwrap(), t);
    }

    #[test]
    fn octets_of_no_meaning(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode(&octets);
        let _ = transfer::SetupRequest::decode(&octets);
        let _ = transfer::SetupResponse::decode(&octets);
        let _ = transfer::SetupUnsuccessful::decode(&octets);
        let _ = transfer::ReleaseCommand::decode(&octets);
        let _ = transfer::ReleaseResponse::decode(&octets);
    }
}
