//! Alert rules: what is seen together or too often raises an alert, and takes something away where the rule acts.
//!
//! Nothing here opens anything, and no verdict waits for it: the policy stands as it stands. What a rule takes away is
//! given back as it is after an operator has taken it: a SIM resumed, a quarantine released, an operator enabled, a token
//! resumed. Each of these has its row in the audit, with the rule as its actor.
//!
//! | rule | hears of | does |
//! | --- | --- | --- |
//! | unusual-place | proofs that failed at the page, assurance that fell, places | suspends the SIMs of the person |
//! | not-compliant | the posture as it is judged | quarantine until it is compliant |
//! | much-data | flow records | – |
//! | privilege-escalation | requests without a right, flows refused at confidential apps | operator disabled, token suspended, SIM in quarantine |
//! | night-access | flow records, registrations | – |

#[cfg(all(test, feature = "lab"))]
mod stories;
#[cfg(test)]
mod tests;
mod watch;

use super::{Control, Done, facts::Facts};
use admin_web::{ControlError, Role, Suspicion};
use gateway::time::now;
use std::collections::HashSet;
use store::{AlertRulesRow, Change, Clash, OperatorEdit, StoreError};
use tokio::sync::oneshot;
use types::{
    AlertRule, AlertRules, Event, FlowRecord, Happening, Imsi, Name, RuleResponse, Sensitivity, SimState,
};
use watch::{Around, Fired, Subject};

pub(super) use watch::Watch;

/// Why a SIM is in quarantine whose device is not as its group asks.
pub(super) const NOT_COMPLIANT: &str = "its device is not as its group asks (alert rule not-compliant)";
/// Why one is that tried what is refused to it.
const ESCALATION: &str = "it tried again and again what is refused to it (alert rule privilege-escalation)";
/// Why the SIMs of a person rest.
const UNUSUAL_PLACE: &str = "a proof failed for a SIM of the person that is where it usually is not";

type Reply = oneshot::Sender<Result<(), ControlError>>;

/// The rules were read, or could not be.
pub(crate) struct Loaded {
    result: Result<AlertRulesRow, StoreError>,
    reply: Option<Reply>,
}

/// Somebody was blocked, or could not be.
pub(crate) struct Blocked {
    subject: String,
    result: Result<(), StoreError>,
}

impl Control {
    /// The rules are read, at the start and when somebody has changed them.
    pub(super) fn read_alert_rules(&self, reply: Option<Reply>) {
        let (store, done) = (self.store.clone(), self.done.clone());
        tokio::spawn(async move {
            let result = store.alert_rules().await;
            drop(done.send(Done::AlertRules(Box::new(Loaded { result, reply }))));
        });
    }

    /// They were read: what they say of compliance holds for every SIM at once.
    pub(super) fn alert_rules_read(&mut self, l: Loaded) {
        let rules = match l.result {
            Ok(row) => row.rules,
            Err(e) => {
                self.alarm(None, format!("the alert rules cannot be read; what was in force goes on: {e}"));
                let why = ControlError::Unavailable { part: "store", why: e.to_string() };
                return drop(l.reply.map(|reply| reply.send(Err(why))));
            }
        };
        self.go_by(rules);
        drop(l.reply.map(|reply| reply.send(Ok(()))));
    }

    fn go_by(&mut self, rules: AlertRules) {
        let acted = self.watch.response(AlertRule::NotCompliant) == RuleResponse::Act;
        let acts = rules.not_compliant.response == RuleResponse::Act;
        let spoke = self.watch.response(AlertRule::NotCompliant) != RuleResponse::Off;
        self.watch.set(rules);
        if acted == acts && spoke {
            return;
        }
        let lacking: Vec<Imsi> = self.facts.not_compliant().collect();
        for imsi in lacking {
            if acts {
                self.lacks_compliance(imsi);
            } else {
                self.release_from(imsi, &[NOT_COMPLIANT]);
            }
        }
    }

    /// A SIM's device is not as its group asks, which it was before, or of which nobody knew.
    pub(super) fn lacks_compliance(&mut self, imsi: Imsi) {
        if let Some(fired) = self.watch.not_compliant(imsi, now().utc) {
            self.tell_fired(&fired, Some(imsi));
        }
        // Whether or not there was an alert a short while ago.
        if self.watch.response(AlertRule::NotCompliant) == RuleResponse::Act {
            self.quarantine_by_binding(imsi, NOT_COMPLIANT);
        }
    }

    /// Something that a request or a source has shown.
    pub(super) fn suspected(&mut self, what: Suspicion) {
        let at = now().utc;
        match what {
            Suspicion::ProofFailed(imsi) => {
                self.watch.proof_failed(imsi, at);
                self.hold_place_against_proof(imsi);
            }
            Suspicion::NoRight { operator, token } => {
                let who = operator.map_or(Subject::Token(token), Subject::Operator);
                if let Some(fired) = self.watch.no_right(who, at) {
                    self.block(&fired);
                }
            }
        }
    }

    /// A proof has failed for a SIM, or its place is another one.
    pub(super) fn hold_place_against_proof(&mut self, imsi: Imsi) {
        let place = self.facts.of(imsi).and_then(|f| f.place.as_ref());
        if place.is_none_or(|p| p.usual) {
            return;
        }
        let person = self.facts.person_of(imsi).cloned();
        let Some(fired) = self.watch.unusual(imsi, person.as_ref(), now().utc) else { return };
        self.tell_fired(&fired, Some(imsi));
        if fired.response == RuleResponse::Act {
            let sims = person.map_or_else(|| vec![imsi], |p| self.facts.sims_of(&p));
            sims.into_iter().for_each(|imsi| self.rest_for_proof(imsi));
        }
    }

    fn rest_for_proof(&self, imsi: Imsi) {
        if let Some(from @ (SimState::Ready | SimState::Active)) = self.state_of(imsi) {
            self.suspend(imsi, from, "alert rule unusual-place", UNUSUAL_PLACE);
        }
    }

    /// Flow records on their way to the disk.
    pub(super) fn watch_flows(&mut self, records: &[FlowRecord]) {
        let at = now().utc;
        let Self { watch, facts, config, policy, .. } = self;
        let zone = watch.zone(config.network.time_zone.as_deref());
        let apps = &policy.source().apps;
        let confidential: HashSet<&Name> =
            apps.iter().filter(|a| a.sensitivity == Sensitivity::Confidential).map(|a| &a.name).collect();
        let mut fired = Vec::new();
        for r in records {
            let asked = r.app.as_ref().is_some_and(|a| confidential.contains(a));
            fired.extend(watch.flow(
                r,
                Around { confidential: asked, ..around(facts, zone.as_deref(), r.imsi) },
                at,
            ));
        }
        fired.iter().for_each(|f| self.block(f));
    }

    /// What happened, as far as rules care.
    pub(super) fn watch_event(&mut self, e: &Event) {
        let (Some(imsi), Happening::Registered { .. }) = (e.imsi, &e.what) else { return };
        let Self { watch, facts, config, .. } = self;
        let zone = watch.zone(config.network.time_zone.as_deref());
        let around = around(facts, zone.as_deref(), imsi);
        if let Some(fired) = watch.night(imsi, (e.at, e.at), around, now().utc) {
            self.block(&fired);
        }
    }

    fn tell_fired(&mut self, fired: &Fired, imsi: Option<Imsi>) {
        let Fired { rule, response, subject, count } = fired;
        let what = Happening::RuleFired {
            rule: *rule,
            response: *response,
            subject: subject.to_string(),
            count: *count,
        };
        self.happened(Event { at: now().utc, imsi, what });
    }

    /// Tells it, and takes away what the rule takes away where it acts.
    fn block(&mut self, fired: &Fired) {
        let sim = match fired.subject {
            Subject::Sim(imsi) => Some(imsi),
            _ => None,
        };
        self.tell_fired(fired, sim);
        if fired.response != RuleResponse::Act {
            return;
        }
        let mut change = Change::by_system(&format!("alert rule {}", fired.rule), now().utc);
        change.reason = format!("{} attempts at what is refused", fired.count);
        let (store, done, subject) = (self.store.clone(), self.done.clone(), fired.subject.clone());
        if let Subject::Sim(imsi) = subject {
            self.quarantine_by_binding(imsi, ESCALATION);
            return;
        }
        tokio::spawn(async move {
            let result = block(&store, &subject, &change).await;
            drop(done.send(Done::Blocked(Blocked { subject: subject.to_string(), result })));
        });
    }

    /// Somebody was blocked, or could not be.
    pub(super) fn blocked(&mut self, b: Blocked) {
        let Blocked { subject, result } = b;
        match result {
            Ok(()) => tracing::warn!("{subject} is blocked by the alert rule privilege-escalation"),
            Err(StoreError::Conflict { what: Clash::LastOwner }) => {
                self.alarm(None, format!("{subject} was not blocked: nobody else is an owner"));
            }
            // Revoked, suspended or gone meanwhile.
            Err(StoreError::Conflict { .. } | StoreError::NotFound) => {}
            Err(e) => self.alarm(None, format!("{subject} could not be blocked: {e}")),
        }
    }
}

/// What counts for a SIM: its clocks, and whether it is anybody's.
fn around<'a>(facts: &'a Facts, default: Option<&'a str>, imsi: Imsi) -> Around<'a> {
    let of_site = facts.of(imsi).and_then(|f| f.place.as_ref()).and_then(|p| p.zone.as_deref());
    Around { confidential: false, zone: of_site.or(default), has_person: facts.person_of(imsi).is_some() }
}

async fn block(store: &store::Store, subject: &Subject, change: &Change) -> Result<(), StoreError> {
    match subject {
        Subject::Operator(name) => {
            let edit = OperatorEdit { disabled: Some(true), ..OperatorEdit::default() };
            store.change_operator(name.clone(), None, edit, Role::Owner.as_str(), change).await.map(drop)
        }
        Subject::Token(id) => store.suspend_token(id.clone(), true, change).await,
        Subject::Sim(_) | Subject::Person(_) => Ok(()),
    }
}
