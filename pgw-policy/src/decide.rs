//! The decision about a flow, read from the compiled rows. Every verdict of the product comes from here.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used))]

use crate::{
    compile::{AppIdx, ClassId, Compiled, RuleIdx},
    restrict::Panicked,
    row::Hit,
};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use types::{Direction, Protocol, Reason, Verdict};

/// What the rules come to for a flow: a rule's word, or that the flow's own first octets decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ruling {
    /// Forward.
    Allow,
    /// A rule allows the app, and the app has names: forward if the stream begins by naming one of them.
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
}

impl Decision {
    /// True where the flow may pass, whatever it says.
    pub fn allows(&self) -> bool {
        self.verdict == Ruling::Allow
    }

    fn default_deny(reason: Reason, app: Option<AppIdx>) -> Self {
        Self { verdict: Ruling::Deny, reason, app, rule: None }
    }

    fn by_rule(hit: Hit, app: Option<AppIdx>) -> Self {
        Self { verdict: hit.verdict.into(), reason: reason_of(hit.verdict), app, rule: Some(hit.rule) }
    }

    /// What is left of a yes towards an app with names.
    fn narrowed(self, policy: &Compiled, protocol: u8) -> Self {
        if !self.allows() || policy.names_of(self.app).is_empty() {
            self
        } else if protocol == crate::inner::TCP {
            Self { verdict: Ruling::Inspect, ..self }
        } else {
            Self { verdict: Ruling::Deny, reason: Reason::NamesNeedTls, ..self }
        }
    }
}

/// The reason of a verdict that a rule gave.
pub(crate) fn reason_of(verdict: Verdict) -> Reason {
    match verdict {
        Verdict::Allow => Reason::Rule,
        Verdict::Deny => Reason::RuleDeny,
        Verdict::Reject => Reason::RuleReject,
        Verdict::StepUp => Reason::StepUpNeeded,
        Verdict::Quarantine => Reason::RuleQuarantine,
        Verdict::Risk => Reason::RiskTooHigh,
    }
}

/// Decides whether a flow may be opened.
///
/// `direction` is [`Direction::Out`] when the UE opens and [`Direction::In`] when the peer does. `peer` is
/// the other end. `protocol` is the IP protocol number. `port` is the destination port of the first packet:
/// the peer's for `Out`, the UE's for `In`; it does not count for ICMP. Where both ends are UEs, ask twice:
/// `Out` for the one that opens, `In` for the other, and let it pass only if both allow.
pub fn decide(
    policy: &Compiled,
    class: ClassId,
    direction: Direction,
    peer: IpAddr,
    protocol: u8,
    port: u16,
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
            match policy.outward(class, app) {
                Some(hit) => Decision::by_rule(hit, Some(app)).narrowed(policy, protocol),
                None => Decision::default_deny(Reason::NoRule, Some(app)),
            }
        }
        Direction::In => {
            // Apps that share a prefix cannot be told apart by who opens: the earliest rule of any decides.
            let hit = service.and_then(|(protocol, port)| {
                place
                    .apps()
                    .iter()
                    .map(|&app| policy.inward(class, app, protocol, port))
                    .fold(None, |a, b| policy.earlier(a, b))
            });
            match (hit, place.apps()) {
                (Some(hit), _) => Decision::by_rule(hit, policy.rule_app(hit.rule)),
                (None, [app]) => Decision::default_deny(Reason::NoRule, Some(*app)),
                (None, _) => Decision::default_deny(Reason::NoRule, None),
            }
        }
    }
}

/// [`decide`] for a SIM that is in quarantine, or while groups are in panic: apps that it does not reach then are
/// denied, whatever the rules say.
#[allow(clippy::too_many_arguments)]
pub fn decide_restricted(
    policy: &Compiled,
    class: ClassId,
    quarantined: bool,
    panicked: &Panicked,
    direction: Direction,
    peer: IpAddr,
    protocol: u8,
    port: u16,
) -> Decision {
    let by_rules = decide(policy, class, direction, peer, protocol, port);
    match policy.barred(class, quarantined, panicked, by_rules.app) {
        None => by_rules,
        Some(reason) => Decision { verdict: Ruling::Deny, reason, app: by_rules.app, rule: None },
    }
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
