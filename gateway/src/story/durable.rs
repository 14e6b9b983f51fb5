//! What no restart, no older file and no dead `control` loses: bans, quarantine, panic, devices.

use super::*;
use crate::journal::copies::CopyConfig;
use crate::journal::offline;
use crate::link::local;
use crate::link::{JournalHead, Revoked, Stored};
use std::fs;

fn restrict(control: &mut Control<'_>, message: ToGateway) -> Stored {
    control.say(message);
    let (result, shards) = control.hear(|m| match m {
        FromGateway::RestrictDone { id: 90, result, shards } => Some((result, shards)),
        _ => None,
    });
    assert_eq!(shards, 2);
    result.unwrap()
}

fn quarantine(on: bool) -> ToGateway {
    let (actor, reason, at) = ("soc".into(), "odd traffic".into(), time::utc());
    ToGateway::Quarantine { id: 90, imsi: imsi(), on, actor, reason, at }
}

#[test]
fn a_quarantine_ends_flows_at_once_and_holds_after_a_restart() {
    in_a_namespace("story::durable::a_quarantine_ends_flows_at_once_and_holds_after_a_restart", || {
        let mut site = Site::build(2);
        {
            let mut control = site.start();
            control.associate();
            control.publish_policy(1);
            let teid = control.establish().unwrap();
            let site = control.site;
            site.send_up(teid, &question(b"ping"));
            assert!(site.at_company(SOON).is_some());
            assert_eq!(restrict(&mut control, quarantine(true)).record, 1);
            site.send_up(teid, &question(b"again"));
            site.send_down(&answer(b"late"));
            assert_eq!((site.at_company(NEVER), site.at_radio(NEVER)), (None, None));
            // A newer policy does not end it.
            control.publish_policy(2);
            site.send_up(teid, &question(b"again"));
            assert_eq!(site.at_company(NEVER), None);
        }
        site.kill();
        std::thread::sleep(Duration::from_millis(1100));
        let mut control = site.start();
        assert_eq!(control.hello.quarantined, [imsi()]);
        control.associate();
        control.publish_policy(2);
        let teid = control.establish().unwrap();
        let site = control.site;
        site.send_up(teid, &question(b"reborn"));
        assert_eq!(site.at_company(NEVER), None);
        let status = control.status();
        let denied: u64 = status.shards.iter().map(|s| s.counters.dropped(types::Reason::Quarantined)).sum();
        assert_eq!((status.quarantined, denied), (1, 1));
        restrict(&mut control, quarantine(false));
        site.send_up(teid, &question(b"free"));
        assert!(site.at_company(SOON).is_some());
    });
}

#[test]
fn a_command_on_this_machine_bans_while_control_is_dead_whatever_the_clock_says() {
    in_a_namespace(
        "story::durable::a_command_on_this_machine_bans_while_control_is_dead_whatever_the_clock_says",
        || {
            let mut site = Site::build(2);
            let control = site.start();
            drop(control);
            let (sims, devices) = ([imsi_of(1), imsi_of(2)], ["356938035643809".to_owned()]);
            let asked =
                local::cut(&site.config.socket, &sims, &devices, SimState::Lost, "local root", "stolen van");
            let done = site.runtime.block_on(asked).unwrap();
            let records: Vec<_> = done.sims.iter().map(|r| r.journal.as_ref().unwrap().record).collect();
            assert_eq!(records, [1, 2], "one batch");
            assert_eq!(done.devices[0].0, "35693803564380");
            assert_eq!(done.devices[0].1.as_ref().unwrap().record, 3);
            let status = local::status(&site.config.socket).unwrap();
            assert_eq!((status.revoked, status.cut_devices), (2, 1));
            site.kill();
            let mut control = site.start();
            assert_eq!(control.hello.revoked.iter().map(|r| r.imsi).collect::<Vec<_>>(), sims);
            assert_eq!(control.hello.cut_devices, ["35693803564380"]);
            // A clock of 1970 in the request: the order is that of the records.
            let at = types::Utc(0);
            for cut in [false, true] {
                let (id, actor, reason) = (91, "soc".into(), "clock".into());
                control.say(if cut {
                    ToGateway::Cut { id, imsi: imsi_of(1), state: SimState::Stolen, actor, reason, at }
                } else {
                    ToGateway::Uncut { id, imsi: imsi_of(1), actor, reason, at }
                });
                control.hear(|m| match m {
                    FromGateway::CutDone { id: 91, receipt } => Some(receipt.journal.unwrap()),
                    FromGateway::UncutDone { id: 91, result } => Some(result.unwrap()),
                    _ => None,
                });
            }
            drop(control);
            site.kill();
            assert!(site.start().hello.revoked.iter().any(|r| r.imsi == imsi_of(1)));
        },
    );
}

#[test]
fn a_journal_that_was_moved_away_allows_nothing_until_control_has_sent_its_bans() {
    in_a_namespace(
        "story::durable::a_journal_that_was_moved_away_allows_nothing_until_control_has_sent_its_bans",
        || {
            let mut site = Site::build(2);
            let mut control = site.start();
            control.cut();
            let known = JournalHead { records: 1, hash: control.status().journal.hash };
            drop(control);
            site.kill();
            fs::rename(&site.config.journal, site.config.journal.with_extension("away")).unwrap();
            site.spawn();
            let mut control = site.greet();
            assert!(control.hello.revoked.is_empty());
            control.associate();
            control.publish_policy(1);
            let teid = control.establish().unwrap();
            let site = control.site;
            site.send_up(teid, &question(b"unasked"));
            assert_eq!(site.at_company(NEVER), None);
            control.say(ToGateway::KnownHead { head: known });
            let why = control.hear(|m| match m {
                FromGateway::NeedUnion { why } => Some(why),
                _ => None,
            });
            assert!(why.contains("older"), "{why}");
            site.send_up(teid, &question(b"unasked"));
            assert_eq!(site.at_company(NEVER), None);
            assert!(control.status().denied.is_some());
            // Another SIM is banned in the database; this one is not.
            let other = Revoked {
                imsi: imsi_of(2),
                state: SimState::Stolen,
                actor: "reconciler".into(),
                reason: "banned in the database".into(),
                at: time::utc(),
                stored: None,
            };
            control.say(ToGateway::Union { id: 92, revoked: vec![other] });
            let head = control.hear(|m| match m {
                FromGateway::UnionDone { id: 92, result } => Some(result.unwrap()),
                _ => None,
            });
            assert_eq!(head.records, 1);
            site.send_up(teid, &question(b"open"));
            assert!(site.at_company(SOON).is_some());
            let status = control.status();
            assert_eq!((status.revoked, status.denied), (1, None));
            // Found out while it runs: what is open ends.
            control.say(ToGateway::KnownHead { head: JournalHead { records: 1, hash: [7; 32] } });
            control.status();
            site.send_up(teid, &question(b"open"));
            assert_eq!(site.at_company(NEVER), None);
        },
    );
}

#[test]
fn a_receipt_names_the_copies_and_a_newer_copy_keeps_the_path_closed_until_it_is_restored() {
    in_a_namespace(
        "story::durable::a_receipt_names_the_copies_and_a_newer_copy_keeps_the_path_closed_until_it_is_restored",
        || {
            let there = tempfile::tempdir().unwrap();
            let mut site = Site::build(1);
            site.config.journal_copies = vec![CopyConfig {
                directory: Some(there.path().to_owned()),
                url: None,
                token_file: None,
                ca_file: None,
            }];
            site.config.journal_copy_wait_ms = 2000;
            let mut control = site.start();
            drop(control);
            let empty = fs::read(&site.config.journal).unwrap();
            control = site.connect();
            let receipt = control.cut();
            let [copy] = receipt.copies.as_slice() else { panic!("{:?}", receipt.copies) };
            assert_eq!(copy.place, there.path().display().to_string());
            assert_eq!((copy.head.map(|h| h.records), copy.error.as_ref()), (Some(1), None));
            drop(control);
            site.kill();
            // Last month's backup of the journal.
            fs::write(&site.config.journal, empty).unwrap();
            let told = site.refused();
            assert!(told.contains("has 1 records, the journal has 0"), "{told}");
            assert!(told.contains(&*there.path().to_string_lossy()) && told.contains("restore"), "{told}");
            let copy = there.path().join(offline::FILE);
            let done = offline::restore(&copy, &site.config.journal, time::utc()).unwrap();
            assert_eq!(
                (done.copied, done.head),
                (1, receipt.journal.map(|s| JournalHead { records: 1, hash: s.hash }).unwrap())
            );
            assert_eq!(site.start().hello.revoked.iter().map(|r| r.imsi).collect::<Vec<_>>(), [imsi()]);
        },
    );
}
