//! The decision about a flow, read from the compiled rows. Every verdict of the product comes from here.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used))]

use crate::{
    act::Act,
    compile::{AppIdx, ClassId, Compiled, RuleIdx},
    predicate::Known,
    restrict::Panicked,
    row::{Found, Hit},
};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use types::{Direction, Name, NamesFrom, Protocol, Reason, Verdict};

/// What the rules come to for a flow: a rule's word, or that its name decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ruling {
    /// Forward.
    Allow,
    /// A rule allows the app, and the app has names: forward if the flow is to one of them, by what its stream begins with
    /// or by what the SIM has looked up.
    Inspect,
    /// Drop in silence.
    Deny,
    /// Drop and tell the sender.
    Reject,
}

impl From<Verdict> for Ruling {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Allow => Self::Allow,
            Verdict::Deny | Verdict::Risk => Self::Deny,
            Verdict::Reject | Verdict::StepUp | Verdict::Quarantine => Self::Reject,
        }
    }
}

impl PartialEq<Verdict> for Ruling {
    fn eq(&self, verdict: &Verdict) -> bool {
        *self == Self::from(*verdict)
    }
}

/// What was decided, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What to do.
    pub verdict: Ruling,
    /// Why. [`Reason::Rule`], [`Reason::RuleDeny`], [`Reason::RuleReject`] and [`Reason::NamesNeedTls`] come with a rule;
    /// [`Reason::NoRule`], [`Reason::UnknownApp`] and [`Reason::UeToUe`] deny by default.
    pub reason: Reason,
    /// The app at the peer's address, where there is exactly one.
    pub app: Option<AppIdx>,
    /// The rule that decided.
    pub rule: Option<RuleIdx>,
    /// The flow is written down, whatever the rule says of records.
    pub logged: bool,
    /// A rule that is only watched, and that would have let through what was refused, or refused what was let through.
    pub would: Option<RuleIdx>,
}

impl Decision {
    /// True where the flow may pass, whatever it says.
    pub fn allows(&self) -> bool {
        self.verdict == Ruling::Allow
    }

    fn default_deny(reason: Reason, app: Option<AppIdx>) -> Self {
        Self { verdict: Ruling::Deny, reason, app, rule: None, logged: false, would: None }
    }

    fn by_rule(hit: Hit, app: Option<AppIdx>) -> Self {
        let (verdict, reason) = hit.act.ruling();
        let logged = hit.act == Act::AllowLogged;
        Self { verdict, reason, app, rule: Some(hit.rule), logged, would: None }
    }

    /// With what a watched rule would have made of it.
    fn watched(self, by: Option<Hit>) -> Self {
        let passes = matches!(self.verdict, Ruling::Allow | Ruling::Inspect);
        let is_other = |hit: &Hit| hit.act.allows() != passes && self.reason != Reason::NamesNeedTls;
        let other = by.filter(is_other);
        Self { would: other.map(|hit| hit.rule), ..self }
    }

    /// A grant stands where the rules say nothing, and in place of the proof that a rule asks for; a proof only there. What a
    /// rule refuses neither opens.
    fn granted(self, known: &Known) -> Self {
        let (by_grant, by_proof) = match self.reason {
            Reason::NoRule => (true, false),
            Reason::StepUpNeeded => (true, true),
            _ => return self,
        };
        if known.grants.is_empty() && known.proofs.is_empty() {
            return self;
        }
        let has = |all: &[AppIdx], app| all.binary_search(&app).is_ok();
        match self.app {
            Some(app) if by_grant && has(&known.grants, app) || by_proof && has(&known.proofs, app) => {
                Self { verdict: Ruling::Allow, reason: Reason::Granted, rule: None, ..self }
            }
            _ => self,
        }
    }

    /// What is left of a yes towards an app with names.
    fn narrowed(self, policy: &Compiled, protocol: u8) -> Self {
        if !self.allows() {
            return self;
        }
        match policy.names_from(self.app) {
            None => self,
            Some(NamesFrom::Tls) if protocol != crate::inner::TCP => {
                Self { verdict: Ruling::Deny, reason: Reason::NamesNeedTls, ..self }
            }
            Some(NamesFrom::Tls | NamesFrom::Dns) => Self { verdict: Ruling::Inspect, ..self },
        }
    }
}

/// Who is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// The SIM's class.
    pub class: ClassId,
    /// What is known of it.
    pub known: &'a Known,
    /// It is in quarantine.
    pub quarantined: bool,
    /// The groups in panic.
    pub panicked: Option<&'a Panicked>,
}

impl<'a> Asker<'a> {
    /// A SIM that is not restricted.
    pub fn new(class: ClassId, known: &'a Known) -> Self {
        Self { class, known, quarantined: false, panicked: None }
    }
}

/// [`decide_for`] a SIM of which nothing is known, and that is not restricted.
pub fn decide(
    policy: &Compiled,
    class: ClassId,
    direction: Direction,
    peer: IpAddr,
    protocol: u8,
    port: u16,
) -> Decision {
    by_rules(policy, class, &Known::default(), direction, peer, (protocol, port))
}

/// Decides whether a flow may be opened.
///
/// A grant opens what the rules say nothing of, and stands for the proof that a rule of verdict `step-up` asks for; it is
/// for what the UE opens. `direction` is [`Direction::Out`] when the UE opens and [`Direction::In`] when the peer does. `peer` is
/// the other end. `protocol` is the IP protocol number. `port` is the destination port of the first packet:
/// the peer's for `Out`, the UE's for `In`; it does not count for ICMP. Where both ends are UEs, ask twice:
/// `Out` for the one that opens, `In` for the other, and let it pass only if both allow.
#[inline]
pub fn decide_for(
    policy: &Compiled,
    asker: &Asker<'_>,
    direction: Direction,
    peer: IpAddr,
    protocol: u8,
    port: u16,
) -> Decision {
    let decision = by_rules(policy, asker.class, asker.known, direction, peer, (protocol, port));
    if !asker.quarantined && asker.panicked.is_none() {
        return decision;
    }
    // Apps that a restricted SIM does not reach are denied, whatever the rules say.
    match policy.barred(asker.class, asker.quarantined, asker.panicked, decision.app) {
        None => decision,
        Some(reason) => Decision { reason, ..Decision::default_deny(reason, decision.app) },
    }
}

fn by_rules(
    policy: &Compiled,
    class: ClassId,
    known: &Known,
    direction: Direction,
    peer: IpAddr,
    (protocol, port): (u8, u16),
) -> Decision {
    let Some(place) = policy.place(peer) else {
        return Decision::default_deny(Reason::UnknownApp, None);
    };
    if place.is_bare_pool() {
        return Decision::default_deny(Reason::UeToUe, None);
    }
    let service = service(peer, protocol, port);
    match direction {
        Direction::Out => {
            let Some(app) = service.and_then(|(protocol, port)| place.offering(protocol, port)) else {
                return Decision::default_deny(Reason::UnknownApp, None);
            };
            let found = policy.outward(class, known, app);
            let by_rules = match found.hit {
                Some(hit) => Decision::by_rule(hit, Some(app)),
                None => Decision::default_deny(Reason::NoRule, Some(app)),
            };
            let decision = by_rules.granted(known).narrowed(policy, protocol);
            if found.watched.is_some() { decision.watched(found.watched) } else { decision }
        }
        Direction::In => {
            // Apps that share a prefix cannot be told apart by who opens: the earliest rule of any decides.
            let found = service.map_or_else(Found::default, |service| {
                let of = |&app| policy.inward(class, known, app, service);
                place.apps().iter().map(of).fold(Found::default(), |a, b| policy.first(a, b))
            });
            let decision = match (found.hit, place.apps()) {
                (Some(hit), _) => Decision::by_rule(hit, policy.rule_app(hit.rule)),
                (None, [app]) => Decision::default_deny(Reason::NoRule, Some(*app)),
                (None, _) => Decision::default_deny(Reason::NoRule, None),
            };
            decision.watched(found.watched)
        }
    }
}

/// What the rules come to where the UE opens towards an app, whichever of its services that is to.
pub(crate) fn to_app(policy: &Compiled, class: ClassId, known: &Known, app: AppIdx) -> Decision {
    let found = policy.outward(class, known, app);
    let by_rules = match found.hit {
        Some(hit) => Decision::by_rule(hit, Some(app)),
        None => Decision::default_deny(Reason::NoRule, Some(app)),
    };
    by_rules.granted(known)
}

/// What an app's own rules come to where it opens towards a service of the UE.
pub(crate) fn from_app(
    policy: &Compiled,
    class: ClassId,
    known: &Known,
    app: AppIdx,
    service: (Protocol, u16),
) -> Decision {
    match policy.inward(class, known, app, service).hit {
        Some(hit) => Decision::by_rule(hit, Some(app)),
        None => Decision::default_deny(Reason::NoRule, Some(app)),
    }
}

/// Apps that a rule opens to the SIM once its person has proved themselves.
pub fn awaiting_proof(policy: &Compiled, asker: &Asker<'_>) -> Vec<Name> {
    let waits = |app: AppIdx| {
        let decision = to_app(policy, asker.class, asker.known, app);
        let name = policy.app_name(app)?;
        (decision.reason == Reason::StepUpNeeded).then(|| name.clone())
    };
    (0..policy.apps() as u32).map(AppIdx).filter_map(waits).collect()
}

/// The service that an IP protocol number and a port mean towards `peer`; ICMP has port 0. `None` for
/// protocols that no rule can name.
pub(crate) fn service(peer: IpAddr, protocol: u8, port: u16) -> Option<(Protocol, u16)> {
    match (protocol, peer) {
        (6, _) => Some((Protocol::Tcp, port)),
        (17, _) => Some((Protocol::Udp, port)),
        (1, IpAddr::V4(_)) | (58, IpAddr::V6(_)) => Some((Protocol::Icmp, 0)),
        _ => None,
    }
}
