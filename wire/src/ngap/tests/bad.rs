//! Bad messages: what is missing, doubled, unknown, out of range, too large or cut short is refused, and the refusal can be
//! answered.

use super::*;

/// The message with the IEs that `keep` lets through.
fn with_ies(octets: &[u8], change: impl FnOnce(&mut Vec<ox::ProtocolIEField<'static>>)) -> Vec<u8> {
    let mut pdu = ox::NGAP_PDU::decode(octets).unwrap();
    let mut ies = pdu.protocol_ies().unwrap().into_owned();
    change(&mut ies.0);
    pdu.set_protocol_ies(ies).unwrap();
    pdu.encode().unwrap()
}

/// R09: each IE of each message removed in turn. A missing one of criticality *reject* is named; the answer
/// can be encoded; nothing else fails.
#[test]
fn r09_every_ie_removed_in_turn() {
    let mut refused = 0;
    for m in samples() {
        let octets = encode(&m).unwrap();
        let n = ox::NGAP_PDU::decode(&octets).unwrap().protocol_ies().unwrap().0.len();
        for gone in 0..n {
            let mut removed = 0;
            let cut = with_ies(&octets, |ies| removed = ies.remove(gone).id.0);
            match decode(&cut) {
                Ok(less) => assert_ne!(less, m, "{} without IE {removed} reads the same", m.name()),
                Err(e) if e.fault == Fault::Unusable => assert!(!e.wants_answer()),
                Err(e) => {
                    let missing = IeDiagnostic {
                        criticality: Criticality::Reject,
                        id: removed,
                        error: TypeOfError::Missing,
                    };
                    assert_eq!((e.fault, e.ies.as_slice()), (Fault::AbstractSyntaxReject, &[missing][..]));
                    let answer = Message::ErrorIndication(e.indication());
                    assert_eq!(decode(&encode(&answer).unwrap()).unwrap(), answer);
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 40, "only {refused} removals were refused");
}

#[test]
fn an_ie_that_comes_twice_makes_the_message_falsely_constructed() {
    for m in samples() {
        let octets = encode(&m).unwrap();
        let twice = with_ies(&octets, |ies| {
            if let Some(first) = ies.first().cloned() {
                ies.push(first);
            }
        });
        if twice == octets {
            continue; // no IE at all
        }
        let e = decode(&twice).unwrap_err();
        assert_eq!(e.fault, Fault::FalselyConstructed, "{}", m.name());
        assert_eq!(e.cause(), Cause::Protocol(ProtocolCause::ABSTRACT_SYNTAX_ERROR_FALSELY_CONSTRUCTED));
    }
}

#[test]
fn an_unknown_ie_fails_the_message_only_if_it_says_so() {
    for (criticality, fails) in
        [(ox::Criticality::reject, true), (ox::Criticality::ignore, false), (ox::Criticality::notify, false)]
    {
        for m in samples() {
            let odd = with_ies(&encode(&m).unwrap(), |ies| {
                ies.push(ox::ProtocolIEField::new(65_500u16, criticality, vec![1, 2, 3].into()));
            });
            match decode(&odd) {
                Ok(read) => assert!(!fails && read == m),
                Err(e) => assert!(fails && e.ies.iter().any(|i| i.id == 65_500)),
            }
        }
    }
}

#[test]
fn a_procedure_that_is_not_ours_is_told_with_its_criticality() {
    // PWS Cancel (32), and a code that the spec does not have; with each criticality.
    for (octets, criticality, answered) in [
        ("00200003000000", Criticality::Reject, true),
        ("00fa4003000000", Criticality::Ignore, false),
        ("00fa8003000000", Criticality::Notify, true),
    ] {
        let Message::Unknown(p) = decode(&hex(octets)).unwrap() else { panic!() };
        assert_eq!((p.criticality, p.direction), (criticality, Direction::Initiating));
        let answer = p.indication(None, None);
        assert_eq!(answer.is_some(), answered);
        if let Some(a) = answer {
            encode(&Message::ErrorIndication(a)).unwrap();
        }
    }
    assert!(encode(&decode(&hex("00200003000000")).unwrap()).is_err());
}

/// R11: a PLMN that is not three octets of digits, in each of the places that carry one.
#[test]
fn r11_bad_plmn_in_ng_setup() {
    let good = vector("NGSetupRequest");
    let plmns: Vec<_> = (0..good.len() - 2).filter(|i| good[*i..*i + 3] == [0x00, 0xf1, 0x10]).collect();
    assert_eq!(plmns.len(), 3);
    for at in plmns {
        for bad in [[0xaa, 0xf1, 0x10], [0x00, 0xfb, 0x10], [0x00, 0xf1, 0xcd]] {
            let mut octets = good.clone();
            octets[at..at + 3].copy_from_slice(&bad);
            let e = decode(&octets).unwrap_err();
            assert_eq!(e.fault, Fault::AbstractSyntaxReject);
            assert!(matches!(
                e.ies.as_slice(),
                [IeDiagnostic { id: 27 | 102, error: TypeOfError::NotUnderstood, .. }]
            ));
        }
        // Two octets where three belong: everything behind moves.
        let mut short = good.clone();
        short.remove(at);
        assert!(decode(&short).is_err());
    }
}

/// R13: AMF-UE-NGAP-ID above 40 bits. The error can be answered, and the answer carries no such number.
#[test]
fn r13_amf_ue_ngap_id_out_of_range() {
    let good = vector("UplinkNASTransport");
    let wide = [
        vec![0xa0, 1, 0, 0, 0, 0, 0],
        vec![0xc0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        vec![0xe0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        vec![0x80],
        vec![],
    ];
    for value in wide {
        let octets = with_ies(&good, |ies| ies[0].value = value.clone().into());
        let e = decode(&octets).unwrap_err();
        assert_eq!(
            (e.fault, e.amf_ue_id, e.ran_ue_id),
            (Fault::AbstractSyntaxReject, None, Some(RanUeNgapId(u32::MAX)))
        );
        let id = IeDiagnostic { criticality: Criticality::Reject, id: 10, error: TypeOfError::NotUnderstood };
        assert_eq!(e.ies, [id]);
        encode(&Message::ErrorIndication(e.indication())).unwrap();
    }
    assert_eq!(AmfUeNgapId::new(1 << 40), None);
}

/// R15: a cause or a choice that does not exist. The cause is of criticality *ignore*, the choice is not.
#[test]
fn r15_ng_reset_with_unknown_choices() {
    let reset = encode(&Message::NgReset(NgReset {
        cause: Cause::Misc(MiscCause::HARDWARE_FAILURE),
        reset: ResetType::All,
    }))
    .unwrap();
    for cause in [vec![0xff], vec![0x0f, 0xff, 0xff], vec![0xa0, 0x00, 0x0f, 0x00, 0x01, 0x00], vec![]] {
        let octets = with_ies(&reset, |ies| ies[0].value = cause.clone().into());
        assert_eq!(
            decode(&octets).unwrap(),
            Message::NgReset(NgReset { cause: Cause::UNSPECIFIED, reset: ResetType::All })
        );
    }
    for kind in [vec![0x80, 0x00, 0x58, 0x00, 0x01, 0x00], vec![0xc0], vec![0x60, 0xff], vec![]] {
        let octets = with_ies(&reset, |ies| ies[1].value = kind.clone().into());
        let e = decode(&octets).unwrap_err();
        assert_eq!((e.fault, e.ies[0].id), (Fault::AbstractSyntaxReject, 88));
    }
}

/// R23: the longest FailedToSetupList there can be, with sessions that cannot be.
#[test]
fn r23_a_very_long_failed_list() {
    let cause = transfer::SetupUnsuccessful { cause: Cause::UNSPECIFIED }.encode().unwrap();
    let base = PduSessionResourceSetupResponse {
        amf_ue_id: amf(1),
        ran_ue_id: RanUeNgapId(1),
        setup: Vec::new(),
        failed: Vec::new(),
    };
    let full = |n: usize, t: &[u8]| {
        let item = SessionTransfer { id: id(1), transfer: t.to_vec() };
        encode(&Message::PduSessionResourceSetupResponse(PduSessionResourceSetupResponse {
            failed: vec![item; n],
            ..base.clone()
        }))
    };
    // 256 is the limit of the spec, with small and with large transfers.
    for t in [cause.clone(), vec![0; 200]] {
        let Message::PduSessionResourceSetupResponse(m) = decode(&full(256, &t).unwrap()).unwrap() else {
            panic!()
        };
        assert_eq!(m.failed.len(), 256);
    }
    assert!(full(257, &cause).is_err());
    assert!(full(256, &[0; 300]).is_err(), "above one message");
    // Sessions 16 and 255 do not exist: the list (criticality ignore) counts as not received.
    for wrong in [0u8, 16, 255] {
        let octets = full(1, &cause).unwrap();
        let list = with_ies(&octets, |ies| {
            let mut v = ies[2].value.to_vec();
            v[2] = wrong;
            ies[2].value = v.into();
        });
        assert_eq!(decode(&list).unwrap(), Message::PduSessionResourceSetupResponse(base.clone()));
    }
}

/// R25: a transfer without a usable tunnel fails its session and nothing else.
#[test]
fn r25_transfer_without_an_address() {
    let tunnel = Tunnel::new(Ipv4Addr::new(192, 0, 2, 7), Teid::new(9).unwrap());
    let good = transfer::SetupResponse { downlink: tunnel, flows: vec![1], failed: Vec::new() };
    let octets = good.encode().unwrap();
    assert_eq!(transfer::SetupResponse::decode(&octets).unwrap(), good);
    let with_address = |bits: oxirush_ngap::BitString<'static>, teid: [u8; 4]| {
        let mut t: ox::PDUSessionResourceSetupResponseTransfer<'_> = ox::decode_open_type(&octets).unwrap();
        t.dl_qos_flow_per_tnl_information.up_transport_layer_information =
            ox::UPTransportLayerInformation::gTPTunnel(ox::GTPTunnel::new(
                ox::TransportLayerAddress(bits),
                ox::GTPTEID(teid),
                None,
            ));
        transfer::SetupResponse::decode(&ox::encode_open_type(&t).unwrap())
    };
    let bits = |n: usize| {
        oxirush_ngap::BitString::new(vec![if n < 8 { 128u8 } else { 192 }; n.div_ceil(8)], n).unwrap()
    };
    for n in [1, 8, 30, 34, 64, 126, 130, 158, 162] {
        assert_eq!(with_address(bits(n), [0, 0, 0, 9]), Err(TransferError::Tunnel), "{n} bits");
    }
    assert_eq!(with_address(bits(32), [0; 4]), Err(TransferError::Tunnel), "TEID 0");
    // Both families: the IPv4 address comes first. What is read is written again.
    let (v4, v6) = (Ipv4Addr::from([192; 4]), Ipv6Addr::from([192; 16]));
    for (n, address, also) in [(32, IpAddr::V4(v4), None), (128, v6.into(), None), (160, v4.into(), Some(v6))]
    {
        let read = with_address(bits(n), [0, 0, 0, 9]).unwrap();
        assert_eq!((read.downlink.address, read.downlink.also), (address, also), "{n} bits");
        assert_eq!(transfer::SetupResponse::decode(&read.encode().unwrap()).unwrap(), read);
    }
    assert_eq!(
        transfer::SetupResponse::decode(&vec![0; transfer::MAX_TRANSFER + 1]),
        Err(TransferError::TooLong(transfer::MAX_TRANSFER + 1))
    );
    for n in 0..octets.len() {
        assert!(transfer::SetupResponse::decode(&octets[..n]).is_err());
    }
}

#[test]
fn sizes_are_bounded_both_ways() {
    assert_eq!(decode(&vec![0; MAX_MESSAGE + 1]).unwrap_err().fault, Fault::TooLong);
    let of = |n: usize| {
        Message::DownlinkNasTransport(DownlinkNasTransport {
            amf_ue_id: amf(1),
            ran_ue_id: RanUeNgapId(1),
            nas: vec![0x7e; n],
        })
    };
    assert!(encode(&of(MAX_NAS_PDU + 1)).is_err());
    let long = encode(&of(MAX_NAS_PDU)).unwrap();
    assert_eq!(decode(&long).unwrap(), of(MAX_NAS_PDU));
    for n in [MAX_NAS_PDU + 1, 20_000, 60_000] {
        let too_long = with_ies(&long, |ies| {
            let pdu = ox::NASPDU::from(vec![0x7e; n]);
            ies[2].value = ox::encode_open_type(&pdu).unwrap();
        });
        let e = decode(&too_long).unwrap_err();
        assert_eq!((e.fault, e.ies[0].id), (Fault::AbstractSyntaxReject, 38));
    }
    // A NAS PDU of no octets is the NAS layer's business.
    assert_eq!(decode(&encode(&of(0)).unwrap()).unwrap(), of(0));
}

#[test]
fn nothing_that_is_cut_short_is_taken_for_a_message() {
    for m in samples() {
        let octets = encode(&m).unwrap();
        for n in 0..octets.len() {
            if let Ok(Message::Unknown(_)) | Err(_) = decode(&octets[..n]) {
                continue;
            }
            panic!("{} of {} octets of {} were read", n, octets.len(), m.name());
        }
    }
}

#[test]
fn every_octet_changed_ends_no_process() {
    for m in samples() {
        let octets = encode(&m).unwrap();
        for at in 0..octets.len() {
            for v in [0x00, 0x01, 0x7f, 0x80, 0xff, octets[at] ^ 1, octets[at] ^ 0x80] {
                let mut odd = octets.clone();
                odd[at] = v;
                match decode(&odd) {
                    Ok(Message::Unknown(_)) => {}
                    Ok(read) => _ = encode(&read),
                    Err(e) => _ = encode(&Message::ErrorIndication(e.indication())).unwrap(),
                }
            }
        }
    }
}
