//! A dedicated bearer beside the default one: its packets are found by its filters, both ways.

use super::*;
use lab::smf::pfcp::{Bearer, bearer, without_bearer};

/// The radio's end of the dedicated bearer's tunnel.
const VOICE_TEID: u32 = 0x99;

#[test]
fn a_dedicated_bearer_carries_what_its_filters_name_and_our_rules_allow() {
    in_a_namespace(
        "story::smf::bearers::a_dedicated_bearer_carries_what_its_filters_name_and_our_rules_allow",
        || {
            let mut site = site();
            let mut control = site.start();
            let mut smf = associated(&mut control);
            let made = session(&mut control, &mut smf, &wish(Core::Epc), as_named).unwrap();
            let app = format!("permit out 17 from {APP} 5000 to assigned 41000-41999");
            let wanted =
                Bearer { ip: UE, flows: &[&app], radio: Some((GNB, VOICE_TEID)), threshold: 1 << 30 };
            // What is no filter, and more of them than there may be, adds nothing.
            let many: Vec<&str> = std::iter::repeat_n(app.as_str(), 16).collect();
            for flows in
                [&["permit in ip from any to any"][..], &["permit out ip from any to any frag"], &many]
            {
                let mut m = bearer(&Bearer { flows, ..wanted });
                if flows.len() == 1 {
                    let raw = [&[1, 0, 0, flows[0].len() as u8], flows[0].as_bytes()].concat();
                    m.create_pdrs[0].pdi.others.push(RawIe { kind: 23, value: raw });
                }
                let m = smf.modify(made.seid, m).unwrap().unwrap();
                assert_eq!((m.cause.is_accepted(), m.offending_ie), (false, Some(OffendingIe(23))));
            }
            let m = smf.modify(made.seid, bearer(&wanted)).unwrap().unwrap();
            assert_eq!(m.cause, Cause::Accepted);
            let Some(FTeid::Given { teid: voice, .. }) = m.created_pdrs[0].local_f_teid else {
                panic!("{m:?}")
            };
            // From port 41000 by its own tunnel; from 40000, as before, by the default bearer's.
            let ask = |port, word: &[u8]| udp((UE, port), (APP, 5000), word);
            let site = control.site;
            send_up(site, Core::Epc, voice, &ask(41_000, b"voice"));
            assert_eq!(
                super::super::core(&site.at_company(SOON).unwrap()),
                super::super::core(&ask(41_000, b"voice"))
            );
            exchange(site, Core::Epc, made.teid, b"data");
            site.send_down(&udp((APP, 5000), (UE, 41_000), b"heard"));
            let (to, inner) = site.at_radio(SOON).unwrap();
            assert_eq!((to, &inner[28..]), (VOICE_TEID, &b"heard"[..]));
            // By the wrong bearer, and where our rules say no: no filter widens them.
            send_up(site, Core::Epc, voice, &ask(40_000, b"not for this one"));
            send_up(site, Core::Epc, voice, &udp((UE, 41_000), (APP, 5001), b"no rule"));
            assert_eq!(site.at_company(NEVER), None);
            site.send_down(&udp((APP, 5000), (UE, 41_001), b"nobody asked"));
            assert_eq!(site.at_radio(NEVER), None);
            // It goes, with its usage: 33 and 33 octets. The rest goes on.
            let m = smf.modify(made.seid, without_bearer()).unwrap().unwrap();
            let usage = &m.usage_reports[0].0;
            assert_eq!(
                (m.cause, usage.urr_id, usage.trigger),
                (Cause::Accepted, UrrId(2), UsageReportTrigger::TERMR)
            );
            assert_eq!(usage.volume.unwrap().total, Some(66));
            send_up(site, Core::Epc, voice, &ask(41_000, b"gone"));
            assert_eq!(site.at_company(NEVER), None);
            assert_eq!(site.at_radio(SOON).unwrap().0, 0, "an Error Indication");
            site.send_down(&udp((APP, 5000), (UE, 41_000), b"by the default one"));
            assert_eq!(site.at_radio(SOON).unwrap().0, GNB_TEID);
            exchange(site, Core::Epc, made.teid, b"data");
            judge(&smf);
        },
    );
}

#[test]
fn a_bar_says_how_many_packets_wait_and_when_its_smf_hears_of_them() {
    in_a_namespace(
        "story::smf::bearers::a_bar_says_how_many_packets_wait_and_when_its_smf_hears_of_them",
        || {
            let mut site = site();
            let mut control = site.start();
            let mut smf = associated(&mut control);
            let plain = Wish { radio: None, ..wish(Core::FiveG) };
            let made = session(&mut control, &mut smf, &plain, as_named).unwrap();
            let site = control.site;
            let accepted =
                |m: Option<SessionModificationResponse>| assert_eq!(m.unwrap().cause, Cause::Accepted);
            accepted(smf.modify(made.seid, to_radio(GNB, GNB_TEID)).unwrap());
            exchange(site, Core::FiveG, made.teid, b"active");
            // Two packets are worth keeping, and it wants to hear of them after half a second.
            let (delay, packets) = (Some(NotificationDelay(10)), Some(SuggestedPackets(2)));
            let update_bar = Some(UpdateBar { bar_id: BarId(1), delay, packets, ..Default::default() });
            accepted(smf.modify(made.seid, SessionModificationRequest { update_bar, ..idle() }).unwrap());
            let begin = Instant::now();
            for word in [&b"one"[..], b"two", b"three"] {
                site.send_down(&answer(word));
            }
            smf.report(0xf13, Cause::Accepted, SOON).unwrap().expect("a downlink data report");
            assert!(begin.elapsed() >= Duration::from_millis(500), "{:?}", begin.elapsed());
            accepted(smf.modify(made.seid, to_radio(GNB, GNB_TEID)).unwrap());
            for word in [&b"one"[..], b"two"] {
                assert_eq!(
                    super::super::core(&site.at_radio(SOON).unwrap().1),
                    super::super::core(&answer(word))
                );
            }
            assert_eq!(site.at_radio(NEVER), None);
            judge(&smf);
        },
    );
}
