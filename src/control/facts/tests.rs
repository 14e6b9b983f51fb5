//! Facts as they are found of rows and of what the network sees; and stories over the real store, with UEs that attach.

use super::found::{Around, Asked, Seat};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use store::{FactDevice, FactRow, RiskRow};
use types::*;

const NOW: Utc = Utc(1_800_000_000_000);
const HOUR: i64 = 3_600_000;

fn name(s: &str) -> Name {
    s.parse().expect("a name")
}

fn told(good: bool, at: Utc) -> DevicePosture {
    let mut p = DevicePosture::default();
    let checks = BTreeMap::from([(PostureCheck::Managed, good)]);
    p.take(&PostureReport { at, os: None, checks }, &name("mdm"));
    p
}

fn device(id: &str, imei: Option<&str>, posture: Option<DevicePosture>) -> FactDevice {
    FactDevice { id: name(id), imei: imei.map(str::to_owned), posture }
}

fn row() -> FactRow {
    FactRow {
        imsi: "001010000000001".parse().expect("an IMSI"),
        state: SimState::Active,
        groups: [name("staff")].into(),
        linked: Some(device("pc-1", Some("35546411000001"), Some(told(true, NOW)))),
        seen_in: None,
        used: None,
        person: Some(name("tanaka")),
        person_ends: None,
        site: Some(name("osaka")),
        usual_sites: BTreeSet::new(),
        assurance: None,
        person_risk: None,
        device_risk: None,
    }
}

fn site(id: &str, tac: u32, cells: &[u64], zone: Option<&str>) -> Site {
    Site {
        id: name(id),
        name: id.to_owned(),
        description: String::new(),
        tacs: [Tac::try_from(tac).expect("a TAC")].into(),
        cells: cells.iter().copied().collect(),
        time_zone: zone.map(str::to_owned),
    }
}

fn seat(tac: u32, cell: u64) -> Seat {
    let tai = Tai { plmn: "001-01".parse().expect("a PLMN"), tac: Tac::try_from(tac).expect("a TAC") };
    Seat { tai: Some(tai), cell: Some(cell), radio: Some(Radio::Nr), pei: None, since: None }
}

#[test]
fn a_cell_says_more_than_its_tracking_area_and_unusual_is_where_nobody_said_it_is_at_home() {
    let sites = [site("osaka", 7, &[], Some("Asia/Tokyo")), site("kobe", 8, &[0x10], None)];
    let around = Around { groups: &HashMap::new(), sites: &sites, now: NOW };
    let at =
        |row: &FactRow, tac, cell| around.find(row, &seat(tac, cell), None).facts.place.expect("a place");
    let home = at(&row(), 7, 1);
    assert_eq!(
        (home.site, home.usual, home.zone.as_deref()),
        (Some(name("osaka")), true, Some("Asia/Tokyo"))
    );
    let by_cell = at(&row(), 7, 0x10);
    assert_eq!((by_cell.site, by_cell.usual, by_cell.zone), (Some(name("kobe")), false, None));
    let nowhere = at(&row(), 9, 1);
    assert_eq!((nowhere.site, nowhere.usual), (None, false));
    let both = FactRow { usual_sites: [name("kobe")].into(), ..row() };
    assert!(at(&both, 8, 1).usual);
    let unsaid = FactRow { site: None, ..row() };
    assert!(at(&unsaid, 9, 1).usual, "where nobody has said anything, no place is unusual");
    assert_eq!(around.find(&row(), &Seat::default(), None).facts.place, None, "it is not here");
}

#[test]
fn the_health_that_counts_is_that_of_the_device_which_the_sim_is_in() {
    let around = Around { groups: &HashMap::new(), sites: &[], now: NOW };
    let of = |row: &FactRow, seat: &Seat| {
        let found = around.find(row, seat, None);
        (found.device.map(|d| d.id.to_string()), found.facts.posture.map(|p| p.value))
    };
    let good = Some(Compliance::Compliant);
    let pc = Some("pc-1".to_owned());
    assert_eq!(of(&row(), &Seat::default()), (pc.clone(), good), "the one that it is linked to");
    let used = FactRow {
        seen_in: Some("35546411000002".to_owned()),
        used: Some(device("pc-2", Some("35546411000002"), Some(told(false, NOW)))),
        ..row()
    };
    assert_eq!(of(&used, &Seat::default()), (Some("pc-2".to_owned()), Some(Compliance::NotCompliant)));
    let stranger = FactRow { seen_in: Some("35546411000009".to_owned()), ..row() };
    assert_eq!(
        of(&stranger, &Seat::default()),
        (None, None),
        "a healthy laptop does not vouch for a strange one"
    );
    let imei: Imeisv = "3554641100000901".parse().expect("an IMEISV");
    let live = Seat { pei: Some(Pei::Imeisv(imei)), ..Seat::default() };
    assert_eq!(of(&row(), &live), (None, None), "what is seen now counts before what is written down");
    let unnumbered = FactRow { linked: Some(device("pc-1", None, Some(told(true, NOW)))), ..stranger };
    assert_eq!(of(&unnumbered, &Seat::default()), (pc, good), "whose IMEI nobody knows may be this one");
    let model = around.find(&row(), &live, None).facts.model.expect("a model");
    assert_eq!(model.value.to_string(), "35546411");
}

#[test]
fn what_nobody_has_told_of_is_not_known_and_what_was_told_runs_out() {
    let around = Around { groups: &HashMap::new(), sites: &[], now: NOW };
    let silent = FactRow { linked: Some(device("pc-1", None, None)), ..row() };
    assert_eq!(around.find(&silent, &Seat::default(), None).facts.posture, None);
    let found = around.find(&row(), &Seat::default(), None);
    let posture = found.facts.posture.clone().expect("told");
    assert_eq!((posture.until, found.next), (Some(Utc(NOW.0 + 24 * HOUR)), posture.until));
    assert_eq!((posture.source, posture.since), (name("mdm"), NOW));
    let later = Around { now: Utc(NOW.0 + 24 * HOUR), ..around };
    let old = later.find(&row(), &Seat::default(), Some(&found.facts)).facts.posture.expect("told");
    assert_eq!((old.value, old.until), (Compliance::NotCompliant, None));
    let again = later.find(&row(), &Seat::default(), Some(&found.facts));
    assert_eq!(again.next, None);
}

#[test]
fn the_end_of_a_person_or_of_a_groups_contract_is_an_end() {
    let mut staff = Group::new(name("staff"), "");
    let at = |groups: &[Group], row: &FactRow, now| {
        let found = Around { groups: &Asked::of(groups), sites: &[], now }.find(row, &Seat::default(), None);
        (found.ended, found.next)
    };
    let bare = FactRow { linked: None, ..row() };
    assert_eq!(at(&[staff.clone()], &bare, NOW), (false, None));
    let leaves = FactRow { person_ends: Some(Utc(NOW.0 + HOUR)), ..bare.clone() };
    assert_eq!(at(&[staff.clone()], &leaves, NOW), (false, Some(Utc(NOW.0 + HOUR))));
    assert_eq!(at(&[staff.clone()], &leaves, Utc(NOW.0 + HOUR)), (true, None));
    staff.ends_at = Some(Utc(NOW.0 - 1));
    assert!(at(&[staff.clone()], &bare, NOW).0);
    let other = FactRow { groups: [name("plcs")].into(), ..bare };
    assert!(!at(&[staff], &other, NOW).0, "it is not of that group");
}

#[test]
fn proofs_and_risks_are_taken_over_and_the_worse_risk_counts() {
    let around = Around { groups: &HashMap::new(), sites: &[], now: NOW };
    let risk = |level, at| Some(RiskRow { level, source: name("idp"), at: Utc(at) });
    let proof = Proof { until: Utc(NOW.0 + HOUR), level: "aal2".to_owned(), source: name("idp"), at: NOW };
    let known = FactRow {
        linked: None,
        assurance: Some(proof),
        person_risk: risk(RiskLevel::Low, 9),
        device_risk: risk(RiskLevel::High, 5),
        ..row()
    };
    let found = around.find(&known, &Seat::default(), None);
    assert_eq!(found.facts.risk.map(|r| (r.value, r.since)), Some((RiskLevel::High, Utc(5))));
    assert_eq!(found.facts.assurance.map(|a| a.until), Some(Utc(NOW.0 + HOUR)));
    assert_eq!(found.next, Some(Utc(NOW.0 + HOUR)));
}

#[cfg(feature = "lab")]
mod stories {
    use super::*;
    use crate::control::site::{Site, asker, imsi};
    use admin_web::{FactView, RestrictRequest, Restricted};
    use gateway::{link::ToGateway, time::now};
    use store::{Change, FactsOf};

    impl Site {
        async fn know(&mut self, of: FactsOf) {
            let told = self.ask(|c, tx| c.reread_facts(of, Some(tx))).await;
            told.expect("read");
            self.rest().await;
        }

        async fn facts(&mut self) -> Vec<FactView> {
            self.ask(|c, tx| c.show_facts(imsi(1), tx)).await.expect("known")
        }

        /// Somebody tells of the laptop, as of so many milliseconds ago.
        async fn told(&mut self, good: bool, ago: i64) {
            let checks = [(PostureCheck::Managed, good)].into();
            let report = PostureReport { at: Utc(now().utc.0 - ago), os: None, checks };
            let by = Change::by_system("mdm", now().utc);
            let told = vec![(name("pc-1"), report)];
            self.control.store.report_posture(told, &name("mdm"), None, &by).await.expect("stored");
            self.know(FactsOf::Devices(vec![name("pc-1")])).await;
        }

        async fn asks(&mut self, change: impl FnOnce(&mut Group)) {
            let mut staff = Group::new(name("staff"), "");
            change(&mut staff);
            let by = Change::by_system("test", now().utc);
            self.control.store.replace(staff, None, None, &by).await.expect("stored");
            drop(self.ask(|c, tx| c.reload_policy(Some(tx))).await);
            self.rest().await;
        }

        /// Tanaka leaves then; nobody is told.
        async fn leaves(&self, at: Utc) {
            let mut tanaka: Person = self.control.store.entity(&name("tanaka")).await.expect("there").value;
            tanaka.ends_at = Some(at);
            let by = Change::by_system("hr", now().utc);
            self.control.store.replace_entity(tanaka, None, &by).await.expect("stored");
        }

        fn quarantines(&mut self) -> Vec<(bool, String)> {
            let of = |m: &ToGateway| match m {
                ToGateway::Quarantine { on, actor, .. } => Some((*on, actor.clone())),
                _ => None,
            };
            let found = self.heard.iter().filter_map(of).collect();
            self.heard.clear();
            found
        }
    }

    fn value<'a>(facts: &'a [FactView], fact: &str) -> Option<&'a str> {
        facts.iter().find(|f| f.fact == fact).expect("a fact").value.as_deref()
    }

    #[tokio::test]
    async fn what_is_known_follows_the_network_and_the_sources() {
        let mut w = Site::new().await;
        w.know(FactsOf::All).await;
        let before = w.facts().await;
        assert_eq!([value(&before, "place"), value(&before, "posture")], [None, None]);
        assert_eq!([value(&before, "person"), value(&before, "device")], [Some("tanaka"), Some("pc-1")]);
        w.attached(1).await;
        let here = w.facts().await;
        assert_eq!([value(&here, "place"), value(&here, "radio")], [Some("none"), Some("nr")]);
        assert_eq!(value(&here, "model"), Some(&crate::control::site::device(1)[..8]));
        let kept = w.control.facts.of(imsi(1)).cloned().expect("known");
        assert!(kept.place.is_some_and(|p| p.site.is_none() && !p.usual), "without a question to the store");
        w.told(true, 0).await;
        let well = w.facts().await;
        assert_eq!(value(&well, "posture"), Some("compliant"));
        let posture = well.iter().find(|f| f.fact == "posture").expect("a fact");
        assert_eq!((posture.source.clone(), posture.until.is_some()), (Some(name("mdm")), true));
        w.told(false, 0).await;
        let ill = w.facts().await;
        let posture = ill.iter().find(|f| f.fact == "posture").expect("a fact");
        assert_eq!(posture.value.as_deref(), Some("not_compliant"));
        assert!(posture.words.en.contains("not as it should be") && posture.words.ja.contains("不適合"));
        let nobody = w.ask(|c, tx| c.show_facts("001010000000099".parse().expect("an IMSI"), tx)).await;
        assert!(nobody.is_err());
    }

    #[tokio::test]
    async fn a_person_who_has_left_has_no_live_sim() {
        let mut w = Site::new().await;
        w.attached(1).await;
        w.attached(2).await;
        w.know(FactsOf::All).await;
        w.leaves(Utc(now().utc.0 + HOUR)).await;
        w.know(FactsOf::People(vec![name("tanaka")])).await;
        assert_eq!(w.sessions(), 2, "not before the day");
        assert!(w.control.facts.due.iter().any(|(at, i)| *i == imsi(1) && at.0 > now().utc.0));
        // The day has come: nobody says so but the clock.
        w.leaves(Utc(now().utc.0 - 1)).await;
        w.control.facts.set_due(imsi(1), Some(now().utc));
        w.control.facts.next_look = Some(now().mono);
        w.control.facts_timeout(now());
        w.until(|w| w.sessions() == 1).await;
        assert_eq!(w.control.store.sim(imsi(1)).await.expect("there").state, SimState::Suspended);
        assert_eq!(w.control.store.sim(imsi(2)).await.expect("there").state, SimState::Active);
        w.happened(1, |h| matches!(h, Happening::SimState { to: SimState::Suspended, actor, .. } if actor == "end of a contract"))
            .await;
    }

    #[tokio::test]
    async fn a_silent_source_means_remediation_where_the_group_says_so_and_a_word_ends_it() {
        let mut w = Site::new().await;
        w.asks(|g| {
            let when_silent = WhenSilent::Remediation;
            g.posture =
                Some(PostureRequirement { when_silent, max_age_s: 3600, ..PostureRequirement::unasked() });
        })
        .await;
        assert_eq!(w.quarantines(), [(true, "system".to_owned())], "nobody has ever told of it");
        w.told(true, 0).await;
        w.rest().await;
        assert_eq!(w.quarantines(), [(false, "system".to_owned())]);
        // As it is found when the word is two hours old.
        let mut row = w.control.store.fact_rows(&FactsOf::Sims(vec![imsi(1)])).await.expect("read").remove(0);
        row.linked.as_mut().expect("a device").posture = Some(told(true, Utc(now().utc.0 - 2 * HOUR)));
        w.control.judge_row(&row);
        w.rest().await;
        assert_eq!(w.quarantines(), [(true, "system".to_owned())]);
        w.told(true, 0).await;
        w.rest().await;
        assert_eq!(w.quarantines(), [(false, "system".to_owned())], "it is known again");
        // A quarantine of somebody's own is not ended by a word of the source.
        let on =
            RestrictRequest { what: Restricted::Quarantine(imsi(1)), on: true, asker: asker("soc", "r1") };
        w.ask(|c, tx| c.restrict(on, tx)).await.expect("done");
        w.told(true, 0).await;
        w.rest().await;
        assert_eq!(w.quarantines(), [(true, "soc".to_owned())]);
    }
}
