//! What is known of each SIM, as the gateway is told it: facts as they were found, and the grants that count.

use super::{Control, Done};
use admin_web::{ControlError, EveryFact};
use gateway::{link::ToGateway, time::now};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};
use store::Store;
use tokio::sync::mpsc;
use tracing::warn;
use types::{ActiveGrant, Imsi, SimFacts};

/// SIMs in one message.
const TOGETHER: usize = 500;

/// What does not come now comes with the next change, or when the gateway is back.
pub(super) async fn load_grants(store: &Store, done: &mpsc::UnboundedSender<Done>) {
    match store.active_grants(now().utc).await {
        Ok(all) => drop(done.send(Done::Grants(all))),
        Err(e) => warn!("grants could not be read: {e}"),
    }
}

/// The grants that count, or will. What else is known of a SIM is in [`super::facts`].
#[derive(Default)]
pub(super) struct Grants(BTreeMap<Imsi, Vec<ActiveGrant>>);

impl Grants {
    /// The grants that there are from here on; whom that touches.
    fn grant(&mut self, all: Vec<(Imsi, ActiveGrant)>) -> BTreeSet<Imsi> {
        let mut next: BTreeMap<Imsi, Vec<ActiveGrant>> = BTreeMap::new();
        for (imsi, grant) in all {
            next.entry(imsi).or_default().push(grant);
        }
        let old = std::mem::replace(&mut self.0, next);
        let differs = |imsi: &Imsi| old.get(imsi) != self.0.get(imsi);
        old.keys().chain(self.0.keys()).copied().filter(differs).collect()
    }
}

impl Control {
    /// What is known of a SIM, its grants included.
    pub(super) fn known_of(&self, imsi: Imsi) -> SimFacts {
        let facts = self.facts.of(imsi).cloned().unwrap_or_default();
        SimFacts { grants: self.grants.0.get(&imsi).cloned().unwrap_or_default(), ..facts }
    }

    /// What is known of every SIM that may live, at this moment: shared, so that the loop goes on at once.
    pub(super) fn known_of_all(&self) -> Result<EveryFact, ControlError> {
        if self.facts.is_starting() {
            let why = "what is known of SIMs is still being read".to_owned();
            return Err(ControlError::Unavailable { part: "control", why });
        }
        let lives = self.facts.all().filter(|(imsi, _)| self.state_of(*imsi).is_some_and(super::gx::lives));
        let with_grants = |(imsi, facts): (Imsi, &Arc<SimFacts>)| match self.grants.0.contains_key(&imsi) {
            true => (imsi, Arc::new(self.known_of(imsi))),
            false => (imsi, Arc::clone(facts)),
        };
        Ok(lives.map(with_grants).collect())
    }

    /// These are the grants that count, or will.
    pub(super) fn grants_changed(&mut self, all: Vec<(Imsi, ActiveGrant)>) {
        let touched = self.grants.grant(all);
        self.tell_facts(touched);
    }

    /// The grants are read again: one was made, approved or taken back, or a SIM is another person's.
    pub(super) fn reload_grants(&self) {
        let (store, done) = (self.store.clone(), self.done.clone());
        tokio::spawn(async move { load_grants(&store, &done).await });
    }

    /// Everything that is known, to a gateway that has come back. What it knows of others stays.
    pub(super) fn publish_facts(&self) {
        // Of whom an SMF no longer says where it is, nothing may be known: that is told, too.
        let at_smfs = self.gx.iter().flat_map(|w| w.sims());
        let sims: BTreeSet<Imsi> =
            self.facts.known().chain(self.grants.0.keys().copied()).chain(at_smfs).collect();
        self.tell_facts(sims);
    }

    /// While we start, nobody is told anything: then everything is, in one.
    pub(super) fn tell_facts(&self, sims: impl IntoIterator<Item = Imsi>) {
        if self.facts.is_starting() {
            return;
        }
        let all: Vec<(Imsi, SimFacts)> = sims.into_iter().map(|i| (i, self.known_of(i))).collect();
        for some in all.chunks(TOGETHER) {
            self.to_gateway(ToGateway::Facts(some.to_vec()));
        }
    }
}

#[cfg(all(test, feature = "lab"))]
pub(super) mod tests {
    use crate::control::site::{Site, imsi};
    use gateway::{link::ToGateway, time::now};
    use serde_json::json;
    use store::{Change, FactsOf};
    use types::{App, Grant, Name, PostureCheck, PostureReport, SimFacts, Utc};

    /// An hour of the wiki, for whose SIM 1 is.
    pub(in crate::control) fn for_tanaka() -> Grant {
        Grant {
            id: "g".to_owned(),
            to: "person:tanaka".parse().expect("a person"),
            app: "wiki".parse().expect("a name"),
            reason: "an outage".to_owned(),
            requester: "sato".to_owned(),
            approver: Some("suzuki".to_owned()),
            from: now().utc,
            until: Utc(now().utc.0 + 3_600_000),
            revoked: None,
            prover: None,
        }
    }

    /// What the gateway was told of the SIM last.
    fn told(site: &Site) -> Option<SimFacts> {
        let of = |m: &ToGateway| match m {
            ToGateway::Facts(all) => all.iter().find(|(i, _)| *i == imsi(1)).map(|(_, facts)| facts.clone()),
            _ => None,
        };
        site.heard.iter().rev().find_map(of)
    }

    async fn read_again(site: &mut Site, device: Name) {
        let of = FactsOf::Devices(vec![device]);
        site.ask(|c, tx| c.reread_facts(of, Some(tx))).await.expect("read");
        site.rest().await;
    }

    #[tokio::test]
    async fn what_is_known_and_what_is_granted_to_its_person_is_told_together() {
        let mut site = Site::new().await;
        let (store, by) = (site.control.store.clone(), Change::by_system("test", now().utc));
        let wiki = json!({ "name": "wiki", "prefixes": ["10.10.1.5/32"], "services": ["tcp/443"] });
        store.create::<App>(serde_json::from_value(wiki).expect("an app"), None, &by).await.expect("made");
        let grant = for_tanaka();
        store.create_grant(grant, &by).await.expect("made");
        site.ask(|c, reply| c.reload_policy(Some(reply))).await.expect("in force");
        assert_eq!(told(&site).expect("told").grants.len(), 1);

        let pc = || "pc-1".parse::<Name>().expect("a name");
        let checks = [(PostureCheck::Managed, true)].into();
        let report = PostureReport { at: now().utc, os: None, checks };
        let mdm = "mdm".parse().expect("a name");
        store.report_posture(vec![(pc(), report)], &mdm, None, &by).await.expect("stored");
        read_again(&mut site, pc()).await;
        let both = told(&site).expect("told");
        assert_eq!((both.posture.is_some(), both.grants.len()), (true, 1));
        // The same again is no news; what is over is.
        site.heard.clear();
        read_again(&mut site, pc()).await;
        assert_eq!(told(&site), None);
        store.revoke_grant("g".to_owned(), "sato".to_owned(), &by).await.expect("revoked");
        site.ask(|c, reply| c.reload_policy(Some(reply))).await.expect("in force");
        let left = told(&site).expect("told");
        assert_eq!((left.posture.is_some(), left.grants.len()), (true, 0));
    }
}
