//! Each kind of message, for the tests that read, write and spoil them.

use super::*;

pub(super) fn registration(identity: MobileIdentity) -> RegistrationRequest {
    RegistrationRequest {
        kind: RegistrationType::Initial,
        follow_on: true,
        ngksi: NgKsi::NoKey,
        identity,
        capability: Some(vec![3]),
        security_capability: Some(UeSecurityCapability::of(&[Nea::Nea0, Nea::Nea2], &[Nia::Nia2])),
        requested_nssai: vec![Snssai { sst: 1, sd: None }, Snssai { sst: 2, sd: Some([0, 0, 9]) }],
        last_tai: Some(tai(plmn(), 7)),
        uplink_data_status: Some(set(&[1])),
        pdu_session_status: Some(set(&[1, 15])),
        nas_container: Some(vec![0x7e, 0, 0x41]),
    }
}

pub(super) fn samples() -> Vec<FgmmMessage> {
    use FgmmMessage as M;
    let snssai = Snssai { sst: 1, sd: Some([0, 0, 1]) };
    let other = Plmn::new("310", "410").unwrap();
    vec![
        M::RegistrationRequest(registration(suci("0000000001"))),
        M::RegistrationRequest(RegistrationRequest {
            kind: RegistrationType::PeriodicUpdating,
            follow_on: false,
            ngksi: NgKsi::Native(3),
            capability: None,
            security_capability: None,
            requested_nssai: vec![],
            last_tai: None,
            uplink_data_status: None,
            pdu_session_status: None,
            nas_container: None,
            ..registration(MobileIdentity::Guti(guti()))
        }),
        M::RegistrationAccept(RegistrationAccept {
            guti: Some(guti()),
            tai_list: vec![tai(plmn(), 1), tai(plmn(), 0xff_ffff), tai(other, 5)],
            allowed_nssai: vec![snssai],
            rejected_nssai: vec![RejectedSnssai { slice: snssai, cause: 1 }],
            configured_nssai: vec![snssai; 16],
            features: Some(vec![1, 0]),
            pdu_session_status: Some(set(&[5])),
            reactivation_result: Some(SessionSet::default()),
            t3512: Some(Timer::Seconds(3_600)),
            t3502: Some(Timer::Deactivated),
        }),
        M::RegistrationAccept(RegistrationAccept::default()),
        M::RegistrationComplete,
        M::RegistrationReject(RegistrationReject {
            cause: FgmmCause::Congestion,
            t3346: Some(Timer::Seconds(600)),
            t3502: None,
            eap: Some(EapMessage(vec![4, 7, 0, 4])),
        }),
        M::DeregistrationRequestUeOriginating(DeregistrationRequestUeOriginating {
            switch_off: true,
            access: 1,
            ngksi: NgKsi::Native(6),
            identity: MobileIdentity::Guti(guti()),
        }),
        M::DeregistrationAcceptUeOriginating,
        M::DeregistrationRequestUeTerminated(DeregistrationRequestUeTerminated {
            reregister: true,
            access: 1,
            cause: Some(FgmmCause::IllegalUe),
            t3346: Some(Timer::Seconds(60)),
        }),
        M::DeregistrationAcceptUeTerminated,
        M::ServiceRequest(ServiceRequest {
            ngksi: NgKsi::Native(0),
            service_type: ServiceType::DATA,
            s_tmsi: STmsi { set: 1, pointer: 2, tmsi: FgTmsi(3) },
            uplink_data_status: Some(set(&[1])),
            pdu_session_status: Some(set(&[1, 2])),
            nas_container: Some(vec![9; 300]),
        }),
        M::ServiceAccept(ServiceAccept {
            pdu_session_status: Some(set(&[1])),
            reactivation_result: Some(set(&[2])),
        }),
        M::ServiceReject(ServiceReject {
            cause: FgmmCause::UeIdentityCannotBeDerived,
            pdu_session_status: Some(set(&[])),
            t3346: Some(Timer::Seconds(2)),
        }),
        M::ConfigurationUpdateCommand(ConfigurationUpdateCommand {
            acknowledge: true,
            registration_requested: true,
            guti: Some(guti()),
            tai_list: vec![tai(plmn(), 2)],
            allowed_nssai: vec![snssai],
            configured_nssai: vec![snssai],
            full_name: Some("Sekisho Works".into()),
            short_name: Some("関所".into()),
            time: Some(NetworkTime { utc: [26, 11, 23, 0, 59, 8], quarters: -13 }),
            daylight_saving: Some(1),
        }),
        M::ConfigurationUpdateComplete,
        M::AuthenticationRequest(AuthenticationRequest {
            ngksi: NgKsi::Native(1),
            abba: vec![0, 0],
            challenge: AuthenticationChallenge::FgAka { rand: Rand([1; 16]), autn: Autn([2; 16]) },
        }),
        M::AuthenticationRequest(AuthenticationRequest {
            ngksi: NgKsi::Native(2),
            abba: vec![0, 0],
            challenge: AuthenticationChallenge::Eap(EapMessage(vec![1, 7, 0, 8, 50, 1, 0, 0])),
        }),
        M::AuthenticationResponse(AuthenticationResponse {
            res_star: None,
            eap: Some(EapMessage(vec![2, 7, 0, 8, 50, 2, 0, 0])),
        }),
        M::AuthenticationReject(Some(EapMessage(vec![4, 7, 0, 4]))),
        M::AuthenticationResult(AuthenticationResult {
            ngksi: NgKsi::Native(2),
            eap: EapMessage(vec![3, 7, 0, 4]),
            abba: Some(vec![0, 0]),
        }),
        M::AuthenticationResponse(AuthenticationResponse::of(Some(Res(vec![3; 16])))),
        M::AuthenticationResponse(AuthenticationResponse::of(None)),
        M::AuthenticationReject(None),
        M::AuthenticationFailure(AuthenticationFailure {
            cause: FgmmCause::SynchFailure,
            auts: Some(Auts([4; 14])),
        }),
        M::AuthenticationFailure(AuthenticationFailure { cause: FgmmCause::MacFailure, auts: None }),
        M::IdentityRequest(IdentityType::Imeisv),
        M::IdentityResponse(suci("123456789")),
        M::IdentityResponse(MobileIdentity::Imei("490154203237518".parse().unwrap())),
        M::IdentityResponse(MobileIdentity::Imeisv("4370816125816151".parse().unwrap())),
        M::IdentityResponse(MobileIdentity::STmsi(STmsi { set: 0, pointer: 0, tmsi: FgTmsi(1) })),
        M::SecurityModeCommand(SecurityModeCommand {
            integrity: Nia::Nia2,
            ciphering: Nea::Nea1,
            ngksi: NgKsi::Native(0),
            replayed_capability: UeSecurityCapability::new(&[0xf0, 0xf0, 0, 0]).unwrap(),
            imeisv_requested: true,
            retransmit_initial: true,
            abba: Some(vec![0, 0]),
            eap: Some(EapMessage(vec![3, 7, 0, 4])),
        }),
        M::SecurityModeComplete(SecurityModeComplete {
            pei: Some(Pei::Imeisv("4370816125816151".parse().unwrap())),
            nas_container: Some(vec![0x7e, 0, 0x41, 0x79]),
        }),
        M::SecurityModeComplete(SecurityModeComplete {
            pei: Some(Pei::Imei("490154203237518".parse().unwrap())),
            nas_container: None,
        }),
        M::SecurityModeReject(FgmmCause::UeSecurityCapabilitiesMismatch),
        M::UlNasTransport(UlNasTransport {
            kind: ContainerType::N1_SM,
            payload: vec![0x2e, 1, 1, 0xc1, 0xff, 0xff],
            session: Some(id(1)),
            request: Some(RequestType::INITIAL),
            slice: Some(snssai),
            dnn: Some(RequestedDnn::Name("factory.example".parse().unwrap())),
        }),
        M::UlNasTransport(UlNasTransport {
            kind: ContainerType::SMS,
            payload: vec![1],
            session: None,
            request: None,
            slice: None,
            dnn: Some(RequestedDnn::Unknown(b"\x03a b".to_vec())),
        }),
        M::DlNasTransport(DlNasTransport {
            kind: ContainerType::N1_SM,
            payload: vec![0; 500],
            session: Some(id(15)),
            cause: Some(FgmmCause::PayloadNotForwarded),
            backoff: Some(Timer::Seconds(36_000)),
        }),
        M::FgmmStatus(FgmmCause::MessageTypeNonExistent),
    ]
}

fn accept() -> EstablishmentAccept {
    EstablishmentAccept {
        session_type: PduSessionType::IPV4,
        ssc_mode: 1,
        rules: vec![QosRule::match_all(1, 255, 1)],
        ambr: SessionAmbr { dl_bps: 100_000_000, ul_bps: 50_000_000 },
        cause: Some(FgsmCause::PduSessionTypeIpv4OnlyAllowed),
        address: Some(Ipv4Addr::new(10, 20, 3, 4)),
        interface: None,
        slice: Some(Snssai { sst: 1, sd: None }),
        flows: vec![QosFlow::create(1, 9)],
        epco: Epco::answer(&Epco::ordinary_request(), &[IpAddr::from([10, 20, 0, 1])], 1_400),
        dnn: Some("corp".parse().unwrap()),
    }
}

pub(super) fn session_samples() -> Vec<FgsmMessage> {
    let request = EstablishmentRequest {
        max_integrity_rate: [0xff, 0xff],
        session_type: Some(PduSessionType::IPV4V6),
        ssc_mode: Some(1),
        epco: Some(Epco::ordinary_request()),
    };
    let cause = FgsmCause::RegularDeactivation;
    [
        FgsmBody::EstablishmentRequest(request),
        FgsmBody::EstablishmentAccept(accept()),
        FgsmBody::EstablishmentAccept(EstablishmentAccept {
            interface: Some([0, 0, 0, 0, 0, 0, 0, 2]),
            ..accept()
        }),
        FgsmBody::EstablishmentAccept(EstablishmentAccept {
            address: None,
            interface: Some([1, 2, 3, 4, 5, 6, 7, 8]),
            ..accept()
        }),
        FgsmBody::EstablishmentReject(EstablishmentReject {
            cause: FgsmCause::MissingOrUnknownDnn,
            backoff: Some(Timer::Seconds(60)),
        }),
        FgsmBody::ModificationRequest(ModificationRequest::default()),
        FgsmBody::ModificationRequest(ModificationRequest {
            cause: Some(cause),
            rules: vec![QosRule::match_all(2, 7, 3)],
            flows: vec![QosFlow::create(3, 7)],
            epco: Some(Epco::ordinary_request()),
        }),
        FgsmBody::ModificationCommand(ModificationCommand::default()),
        FgsmBody::ModificationCommand(ModificationCommand {
            ambr: Some(SessionAmbr { dl_bps: 64_000, ul_bps: 32_000 }),
            epco: Some(Epco::ordinary_request()),
        }),
        FgsmBody::ModificationComplete,
        FgsmBody::ModificationCommandReject(FgsmCause::InvalidPduSessionIdentity),
        FgsmBody::ModificationReject(FgsmCause::ServiceOptionNotSupported),
        FgsmBody::ReleaseRequest { cause: Some(cause) },
        FgsmBody::ReleaseReject(FgsmCause::PtiAlreadyInUse),
        FgsmBody::ReleaseCommand { cause, backoff: None },
        FgsmBody::ReleaseComplete { cause: None },
        FgsmBody::Status(FgsmCause::InvalidPduSessionIdentity),
    ]
    .map(|body| FgsmMessage { session: id(5), pti: 17, body })
    .into()
}
