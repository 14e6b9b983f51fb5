//! S13: an MME asks what is known of a device (TS 29.272 §6).
//!
//! The answer is that of the list and the bindings by which a device is judged on N1, too: black is what is banned, what is
//! black on the list, and what this SIM is not bound to; a device that nobody has listed is white. That the MME is told so
//! changes nothing, so there is no state here and no wish: a question, its answer, and what an operator would care about.

use crate::s6a::{self, Mme};
use crate::{Hss, diameter};
use types::{Colour, Imsi};
use wire::diameter::{
    EquipmentStatus, Experimental, Identity, MeIdentityCheckAnswer, MeIdentityCheckRequest, Message,
    NO_STATE_MAINTAINED, TGPP, VendorApplication, application, result,
};

/// What belongs to this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S13Config {
    /// Our Origin-Host.
    pub host: Identity,
    /// Our Origin-Realm.
    pub realm: Identity,
    /// Who may ask.
    pub mmes: Vec<Mme>,
}

/// The answer to an MME's request.
pub fn answer(config: &S13Config, hss: &mut Hss, peer: &Identity, request: &Message) -> Message {
    let refused = |code| diameter::refusal(&config.host, &config.realm, request, code);
    let Some(mme) = config.mmes.iter().find(|m| m.host == *peer) else {
        return refused(result::UNKNOWN_PEER);
    };
    let Message::MeIdentityCheckRequest(m) = request else { return refused(result::COMMAND_UNSUPPORTED) };
    let judged = judge(hss, mme, m);
    let (result_code, experimental) = match judged {
        Ok(_) => (Some(result::SUCCESS), None),
        Err(NotJudged::Rejected) => (Some(result::AUTHORIZATION_REJECTED), None),
        Err(NotJudged::Unknown) => (None, Some(Experimental::tgpp(result::EQUIPMENT_UNKNOWN))),
    };
    MeIdentityCheckAnswer {
        session_id: m.session_id.clone(),
        application: Some(VendorApplication { vendor_id: TGPP, auth: Some(application::S13), acct: None }),
        result_code,
        experimental,
        auth_session_state: Some(NO_STATE_MAINTAINED),
        origin_host: config.host.clone(),
        origin_realm: config.realm.clone(),
        features: Vec::new(),
        error_message: None,
        failed_avp: None,
        status: judged.ok(),
    }
    .into()
}

/// Why a device is not judged.
enum NotJudged {
    /// It is asked for a SIM that this MME may not ask for.
    Rejected,
    /// What is named is no device (§7.4.3.6).
    Unknown,
}

fn judge(hss: &mut Hss, mme: &Mme, m: &MeIdentityCheckRequest) -> Result<EquipmentStatus, NotJudged> {
    let imsi = match &m.user_name {
        // §6.2.1.1: without a SIM it is asked about the device alone.
        None => None,
        Some(user) => {
            let may = |_: &Imsi| mme.may_ask_for(user);
            Some(user.parse().ok().filter(may).ok_or(NotJudged::Rejected)?)
        }
    };
    let pei = s6a::device(&m.terminal).ok_or(NotJudged::Unknown)?;
    Ok(match hss.check_equipment(imsi, pei) {
        Colour::White => EquipmentStatus::White,
        Colour::Grey => EquipmentStatus::Grey,
        Colour::Black => EquipmentStatus::Black,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HssConfig, Input, Output, Vault};
    use types::{Binding, BindingMode, Bound, Happening, Key256, Mono, Now, Utc};
    use wire::diameter::{AuthenticationInformationRequest, TerminalInformation};

    const WHITE: &str = "35693803564380";
    const GREY: &str = "35693803564381";
    const BLACK: &str = "35693803564382";
    const BANNED: &str = "86012345000001";
    /// Of a black model.
    const MODEL: &str = "01234567000000";
    const NOBODYS: &str = "49015420323751";

    fn name(s: &str) -> Identity {
        Identity::new(s).unwrap()
    }

    fn imsi(n: u32) -> Imsi {
        format!("00101{n:010}").parse().unwrap()
    }

    fn config() -> S13Config {
        let mme = |host: &str, imsis: Vec<String>| Mme {
            host: name(host),
            realm: name("example"),
            node: 1,
            plmns: vec![],
            imsis,
            vectors: 1,
        };
        let mmes = vec![mme("mme1.example", vec!["00101".into()]), mme("mme2.example", vec![])];
        S13Config { host: name("eir.example"), realm: name("example"), mmes }
    }

    /// SIM 1 is bound to one device, SIM 2 to those that are white, SIM 3 to nothing.
    fn hss() -> Hss {
        let now = Now { mono: Mono(5), utc: Utc(1_790_000_000_000) };
        let vault = Vault::new(&Key256::new([1; 32]), 1, None, [2; 32]).unwrap();
        let mut hss = Hss::new(HssConfig::new("001-01".parse().unwrap()), vault, now, [3; 32]);
        let list = [
            (WHITE, Colour::White),
            (GREY, Colour::Grey),
            (BLACK, Colour::Black),
            (BANNED, Colour::White),
            ("01234567", Colour::Black),
        ];
        let list = list.map(|(device, colour)| (device.parse().unwrap(), colour)).to_vec();
        hss.handle(Input::Equipment(list), now);
        hss.handle(Input::BanDevice { device: BANNED.parse().unwrap(), banned: true }, now);
        let bind = |mode, allowed: Vec<&str>| {
            let allowed = allowed.into_iter().map(|d| d.parse().unwrap()).collect();
            Bound { binding: Binding { mode, allowed, ..Binding::default() }, learned: None }
        };
        let bounds = vec![
            (imsi(1), bind(BindingMode::Exact, vec![WHITE])),
            (imsi(2), bind(BindingMode::Listed, vec![])),
        ];
        hss.handle(Input::Bindings(bounds), now);
        hss
    }

    fn ecr(imei: Option<&str>, version: Option<&str>, user: Option<String>) -> MeIdentityCheckRequest {
        MeIdentityCheckRequest {
            session_id: "mme1.example;1;1".into(),
            application: None,
            auth_session_state: NO_STATE_MAINTAINED,
            origin_host: name("mme1.example"),
            origin_realm: name("example"),
            destination_host: None,
            destination_realm: name("example"),
            features: vec![],
            route: vec![],
            terminal: TerminalInformation {
                imei: imei.map(Into::into),
                software_version: version.map(Into::into),
            },
            user_name: user,
        }
    }

    fn ask(hss: &mut Hss, peer: &str, m: MeIdentityCheckRequest) -> MeIdentityCheckAnswer {
        match answer(&config(), hss, &name(peer), &m.into()) {
            Message::MeIdentityCheckAnswer(a) => *a,
            m => panic!("{m:?}"),
        }
    }

    fn status(hss: &mut Hss, imei: &str, n: Option<u32>) -> EquipmentStatus {
        let a = ask(hss, "mme1.example", ecr(Some(imei), Some("01"), n.map(|n| imsi(n).to_string())));
        assert!(a.is_success(), "{a:?}");
        a.status.unwrap()
    }

    #[test]
    fn a_device_has_the_colour_of_list_ban_and_binding() {
        use EquipmentStatus::{Black, Grey, White};
        let mut hss = hss();
        let expected = [
            (WHITE, [White, White, White, White]),
            (GREY, [Grey, Black, Black, Grey]),
            (BLACK, [Black; 4]),
            (BANNED, [Black; 4]),
            (MODEL, [Black; 4]),
            (NOBODYS, [White, Black, Black, White]),
        ];
        for (device, of) in expected {
            let seen = [None, Some(1), Some(2), Some(3)].map(|n| status(&mut hss, device, n));
            assert_eq!(seen, of, "{device}: alone, bound to one device, to white ones, to none");
        }
    }

    /// The same list answers an MME that asks here, one that registers a SIM, and our own AMF (`hss/tests/equipment.rs`).
    #[test]
    fn the_list_knows_software_versions_and_ranges_of_models_and_the_narrowest_entry_counts() {
        use EquipmentStatus::{Black, Grey, White};
        let mut hss = hss();
        let list = [
            ("35693800-35693899", Colour::Black),
            ("35693800-35693899:07", Colour::Grey),
            ("35693803", Colour::Grey),
            ("35693803:02", Colour::White),
            (GREY, Colour::White),
            ("35693803564381:66", Colour::Black),
        ];
        let list = list.map(|(entry, colour)| (entry.parse().unwrap(), colour)).to_vec();
        hss.handle(Input::Equipment(list), Now { mono: Mono(6), utc: Utc(1_790_000_000_000) });
        let mut status = |imei: &str, version: Option<&str>| {
            ask(&mut hss, "mme1.example", ecr(Some(imei), version, None)).status.unwrap()
        };
        for (imei, version, expected) in [
            ("35693850000000", Some("01"), Black),
            ("35693850000000", Some("07"), Grey),
            ("35693850000000", None, Black),
            ("35693800000000", Some("00"), Black),
            ("35693899999999", Some("00"), Black),
            ("35693900000000", Some("00"), White),
            ("35693799999999", Some("07"), White),
            ("35693803000000", Some("01"), Grey),
            ("35693803000000", Some("02"), White),
            ("35693803000000", Some("07"), Grey),
            (GREY, Some("02"), White),
            (GREY, None, White),
            (GREY, Some("66"), Black),
        ] {
            assert_eq!(status(imei, version), expected, "{imei} {version:?}");
        }
        // A ban stands above all of them.
        let device = GREY.parse().unwrap();
        hss.handle(Input::BanDevice { device, banned: true }, Now { mono: Mono(6), utc: Utc(0) });
        assert_eq!(ask(&mut hss, "mme1.example", ecr(Some(GREY), Some("02"), None)).status, Some(Black));
    }

    #[test]
    fn a_device_is_read_in_each_form_and_what_is_none_is_unknown() {
        let mut hss = hss();
        let imei = (0..10).map(|d| format!("{BLACK}{d}")).find(|i| i.parse::<types::Imei>().is_ok());
        let forms = [(BLACK, Some("01")), (BLACK, None), (imei.as_deref().unwrap(), None)];
        for (imei, version) in forms {
            let a = ask(&mut hss, "mme2.example", ecr(Some(imei), version, None));
            assert_eq!(a.status, Some(EquipmentStatus::Black), "{imei} {version:?}");
        }
        let none = [
            (None, None),
            (None, Some("01")),
            (Some(""), None),
            (Some("3569380356438"), Some("01")),
            (Some("35693803564382"), Some("1")),
            (Some("3569380356438a"), Some("01")),
            (Some("356938035643829999"), None),
        ];
        for (imei, version) in none {
            let a = ask(&mut hss, "mme1.example", ecr(imei, version, None));
            let code = a.experimental.as_ref().map(|e| e.code);
            assert_eq!((code, a.status), (Some(result::EQUIPMENT_UNKNOWN), None), "{imei:?} {version:?}");
        }
        assert!(hss.poll_output().is_none(), "nobody's SIM has anything in its timeline");
    }

    #[test]
    fn who_may_not_ask_learns_nothing_and_a_sim_in_a_black_device_is_told_of() {
        let mut hss = hss();
        for user in ["999700000000001", "", "mallory", "0010100000000011234"] {
            let a = ask(&mut hss, "mme1.example", ecr(Some(BLACK), None, Some(user.into())));
            assert_eq!((a.result_code, a.status), (Some(5003), None), "{user}");
        }
        let refused = |hss: &mut Hss, peer: &str, m: Message| match answer(&config(), hss, &name(peer), &m) {
            Message::Refusal { refusal, .. } => refusal.result_code,
            m => panic!("{m:?}"),
        };
        let m = ecr(Some(BLACK), None, None);
        assert_eq!(refused(&mut hss, "mme9.example", m.clone().into()), result::UNKNOWN_PEER);
        let air = AuthenticationInformationRequest {
            session_id: m.session_id.clone(),
            application: None,
            auth_session_state: NO_STATE_MAINTAINED,
            origin_host: m.origin_host.clone(),
            origin_realm: m.origin_realm.clone(),
            destination_host: None,
            destination_realm: m.destination_realm.clone(),
            features: vec![],
            route: vec![],
            user_name: imsi(1).to_string(),
            eutran: None,
            visited_plmn: [0; 3],
        };
        assert_eq!(refused(&mut hss, "mme1.example", air.into()), result::COMMAND_UNSUPPORTED);
        assert!(hss.poll_output().is_none());

        status(&mut hss, BLACK, Some(3));
        assert!(matches!(
            hss.poll_output(),
            Some(Output::Noticed { imsi: i, what: Happening::EquipmentBlack { .. } }) if i == imsi(3)
        ));
        status(&mut hss, GREY, Some(1));
        assert!(matches!(
            hss.poll_output(),
            Some(Output::Noticed { what: Happening::DeviceMismatch { mode: BindingMode::Exact, .. }, .. })
        ));
        status(&mut hss, WHITE, Some(1));
        assert!(hss.poll_output().is_none());
    }
}
