//! True messages: those of an independent encoder and of a captured registration, and the round trip of our own.

use super::*;

#[test]
fn what_a_gnb_tells_another_is_read_as_far_as_it_concerns_us() {
    let (up, down) = (vector("UplinkRANConfigurationTransfer"), vector("DownlinkRANConfigurationTransfer"));
    let Ok(Message::UplinkRanConfigurationTransfer(m)) = decode(&up) else { panic!() };
    let node = |id| RanNodeId::Gnb(GlobalGnbId { plmn: test_plmn(), id, bits: 32 });
    let son = m.son.clone().unwrap();
    assert_eq!((son.source, son.target), (node(1), node(2)));
    assert_eq!(encode(&Message::UplinkRanConfigurationTransfer(m.clone())).unwrap(), up);
    // The other way it is the same, under another number, as an independent encoder writes it.
    assert_eq!(encode(&Message::DownlinkRanConfigurationTransfer(m)).unwrap(), down);
}

#[test]
fn an_independent_encoder_writes_and_reads_the_same() {
    let (plmn, nas) = (test_plmn(), hex(REGISTRATION));
    let one = slice(1, None);
    let ta = |t, slices| SupportedTa { tac: tac(t), plmns: vec![SupportedPlmn { plmn, slices }] };
    let guami = Guami { plmn, amf: AmfId { region: 2, set: 1, pointer: 0 } };
    let cases = [
        (
            "NGSetupRequest",
            Message::NgSetupRequest(NgSetupRequest {
                node: RanNodeId::Gnb(GlobalGnbId { plmn, id: 0x123456, bits: 24 }),
                name: Some("sekisho-gnb-001".into()),
                tas: vec![ta(1, vec![one, slice(1, Some(0xab))]), ta(2, vec![one])],
                paging_drx: Some(PagingDrx::V128),
            }),
        ),
        (
            "NGSetupResponse",
            Message::NgSetupResponse(NgSetupResponse {
                name: "sekisho-amf".into(),
                guamis: vec![guami],
                relative_capacity: Some(255),
                plmns: vec![SupportedPlmn { plmn, slices: vec![one] }],
            }),
        ),
        (
            "InitialUEMessage",
            Message::InitialUeMessage(InitialUeMessage {
                ran_ue_id: RanUeNgapId(7),
                nas: nas.clone(),
                location: location(plmn),
                rrc_cause: Some(RrcEstablishmentCause::MoSignalling),
                s_tmsi: None,
                context_requested: true,
            }),
        ),
        (
            "UplinkNASTransport",
            Message::UplinkNasTransport(UplinkNasTransport {
                amf_ue_id: amf((1 << 40) - 2),
                ran_ue_id: RanUeNgapId(u32::MAX),
                nas: nas.repeat(8),
                location: Some(location(plmn)),
            }),
        ),
        (
            "InitialContextSetupRequest",
            Message::InitialContextSetupRequest(InitialContextSetupRequest {
                amf_ue_id: amf(1),
                ran_ue_id: RanUeNgapId(7),
                ue_ambr: Some(Ambr { dl_bps: 1_000_000_000, ul_bps: 500_000_000 }),
                guami,
                sessions: vec![SessionSetup {
                    id: id(1),
                    nas: Some(nas.clone()),
                    slice: one,
                    transfer: vector("PDUSessionResourceSetupRequestTransfer"),
                }],
                allowed_nssai: vec![one],
                security_capabilities: SecurityCapabilities { nea: 0xe000, nia: 0xe000, eea: 0, eia: 0 },
                key: SecurityKey(Key256::new(std::array::from_fn(|i| i as u8))),
                radio_capability: None,
                nas: Some(nas.clone()),
            }),
        ),
    ];
    for (name, ours) in cases {
        let theirs = vector(name);
        assert_eq!(decode(&theirs).unwrap(), ours, "{name} read");
        assert_eq!(encode(&ours).unwrap(), theirs, "{name} written");
    }
    let theirs = vector("PDUSessionResourceSetupRequestTransfer");
    assert_eq!(transfer::SetupRequest::decode(&theirs).unwrap(), setup_request());
    assert_eq!(setup_request().encode().unwrap(), theirs);
}

#[test]
fn a_captured_registration_reads_as_the_walk_that_it_was() {
    let messages: Vec<_> = captured().iter().map(|(_, o)| decode(o).unwrap()).collect();
    let names: Vec<_> = messages.iter().map(Message::name).collect();
    let transport = ["DownlinkNASTransport", "UplinkNASTransport"];
    let expected = [
        &["NGSetupRequest", "NGSetupResponse", "InitialUEMessage"][..],
        &transport,
        &transport,
        &["InitialContextSetupRequest", "InitialContextSetupResponse"],
        &["UplinkNASTransport", "UplinkNASTransport", "DownlinkNASTransport"],
        &["PDUSessionResourceSetupRequest", "PDUSessionResourceSetupResponse"],
    ];
    assert_eq!(names, expected.concat());

    let plmn = Plmn::new("999", "70").unwrap();
    let Message::NgSetupRequest(setup) = &messages[0] else { panic!() };
    assert_eq!(setup.node, RanNodeId::Gnb(GlobalGnbId { plmn, id: 1, bits: 32 }));
    assert_eq!(setup.name.as_deref(), Some("UERANSIM-gnb-999-70-1"));
    assert_eq!(setup.tas[0].tac, tac(1));
    let Message::InitialUeMessage(first) = &messages[2] else { panic!() };
    assert_eq!((first.ran_ue_id, first.context_requested), (RanUeNgapId(1), true));
    assert_eq!(first.location.tai, Tai { plmn, tac: tac(1) });

    let Message::PduSessionResourceSetupRequest(request) = &messages[12] else { panic!() };
    let up = transfer::SetupRequest::decode(&request.sessions[0].transfer).unwrap();
    assert_eq!((up.session_type, up.flows[0].qfi, up.flows[0].five_qi), (SessionType::Ipv4, 1, 9));
    let Message::PduSessionResourceSetupResponse(response) = &messages[13] else { panic!() };
    let down = transfer::SetupResponse::decode(&response.setup[0].transfer).unwrap();
    assert_eq!(down.downlink.address, Ipv4Addr::new(10, 50, 0, 2));
    assert_eq!((down.flows, response.failed.len()), (vec![1], 0));

    // What we write of what we read is read as the same.
    for m in &messages {
        assert_eq!(&decode(&encode(m).unwrap()).unwrap(), m);
    }
}

#[test]
fn each_message_survives_the_round_trip() {
    for m in samples() {
        let octets = encode(&m).unwrap();
        assert_eq!(decode(&octets).unwrap(), m);
    }
}

#[test]
fn a_three_digit_mnc_has_its_own_order_of_digits() {
    let p = Plmn::new("310", "410").unwrap();
    assert_eq!(convert::plmn_octets(p).0, [0x13, 0x40, 0x01]);
    assert_eq!(convert::plmn(&ox::PLMNIdentity([0x13, 0x40, 0x01])), Some(p));
    let q = Plmn::new("208", "93").unwrap();
    assert_eq!(convert::plmn_octets(q).0, [0x02, 0xf8, 0x39]);
}

#[test]
fn a_key_is_not_printed() {
    let Message::InitialContextSetupRequest(m) = decode(&vector("InitialContextSetupRequest")).unwrap()
    else {
        panic!()
    };
    let text = format!("{m:?}");
    assert!(text.contains("SecurityKey(..)") && !text.contains("28, 29, 30, 31"));
}
