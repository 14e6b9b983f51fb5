//! What the network says of itself, changed while it runs: AMF Configuration Update (TS 38.413 §8.7.3).
//!
//! A gNB is told once at a time. Where it asks for patience it is told again after that; where it refuses or is silent it
//! keeps what it had, until the next change or its next NG Setup. UEs learn of slices and names when they register next;
//! who lives in a slice that is not served any more stays until then.

use super::timers::{NGAP_GUARD_MS, TimerKey};
use super::{Amf, AssocId};
use jiff::tz::TimeZone;
use serde::{Serialize, Serializer};
use types::Snssai;
use wire::ngap::{AmfConfigurationUpdate, AmfConfigurationUpdateFailure, Message, SupportedPlmn, TimeToWait};

/// How often a gNB that asks for patience is told of the same change.
const TRIES: u8 = 8;

/// What may change while the network runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Serving {
    /// AMF name (TS 38.413 §9.3.3.21).
    pub name: String,
    /// What UEs show as the network's name.
    pub display_name: Option<String>,
    /// Whose clocks UEs are told.
    #[serde(serialize_with = "by_name")]
    pub time_zone: Option<TimeZone>,
    /// Slices served, 1 to 8.
    pub slices: Vec<Snssai>,
    /// Relative AMF capacity.
    pub relative_capacity: u8,
}

/// How far a gNB is with what we serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Telling {
    /// It knows, or keeps what it had.
    Done,
    /// Its answer is awaited. `behind`: there was another change since.
    Sent { behind: bool, tries: u8 },
    /// It asked for patience.
    Later { tries: u8 },
}

impl Amf {
    /// From now on this is what we serve. gNBs hear of it where it concerns them.
    pub(super) fn on_serving(&mut self, s: Serving) {
        let c = &mut self.config;
        let concerns_gnbs =
            (&c.name, &c.slices, c.relative_capacity) != (&s.name, &s.slices, s.relative_capacity);
        (c.name, c.display_name, c.time_zone) = (s.name, s.display_name, s.time_zone);
        (c.slices, c.relative_capacity) = (s.slices, s.relative_capacity);
        if !concerns_gnbs {
            return;
        }
        let set_up = self.gnbs.iter().filter(|(_, g)| g.setup.is_some());
        for assoc in set_up.map(|(assoc, _)| *assoc).collect::<Vec<_>>() {
            self.tell_serving(assoc, TRIES);
        }
    }

    /// What NG Setup has just said is all that there is to say.
    pub(super) fn stop_telling(&mut self, assoc: AssocId) {
        self.timers.stop(TimerKey::GnbUpdate(assoc));
        if let Some(gnb) = self.gnbs.get_mut(&assoc) {
            gnb.telling = Telling::Done;
        }
    }

    fn tell_serving(&mut self, assoc: AssocId, tries: u8) {
        let Some(gnb) = self.gnbs.get_mut(&assoc) else { return };
        if let Telling::Sent { behind, tries: left } = &mut gnb.telling {
            (*behind, *left) = (true, tries);
            return;
        }
        gnb.telling = Telling::Sent { behind: false, tries };
        self.start(TimerKey::GnbUpdate(assoc), NGAP_GUARD_MS);
        let update = AmfConfigurationUpdate {
            name: Some(self.config.name.clone()),
            relative_capacity: Some(self.config.relative_capacity),
            plmns: vec![SupportedPlmn { plmn: self.config.plmn, slices: self.config.slices.clone() }],
        };
        self.send(assoc, 0, &Message::AmfConfigurationUpdate(update));
    }

    /// The answer to the update that is under way; `None` where none is.
    fn told(&mut self, assoc: AssocId) -> Option<(bool, u8)> {
        let gnb = self.gnbs.get_mut(&assoc)?;
        let Telling::Sent { behind, tries } = gnb.telling else { return None };
        gnb.telling = Telling::Done;
        self.timers.stop(TimerKey::GnbUpdate(assoc));
        Some((behind, tries))
    }

    /// AMF CONFIGURATION UPDATE ACKNOWLEDGE.
    pub(super) fn on_serving_acknowledged(&mut self, assoc: AssocId) {
        match self.told(assoc) {
            None => self.refused("unasked-answer"),
            Some((true, tries)) => self.tell_serving(assoc, tries),
            Some((false, _)) => {}
        }
    }

    /// AMF CONFIGURATION UPDATE FAILURE: the gNB keeps what it had. It is told again when the time that it names is over
    /// (§8.7.3.3), so many times.
    pub(super) fn on_serving_refused(&mut self, assoc: AssocId, m: AmfConfigurationUpdateFailure) {
        let Some((behind, tries)) = self.told(assoc) else { return self.refused("unasked-answer") };
        self.refused("amf-configuration");
        match m.time_to_wait {
            Some(wait) if tries > 1 || behind => {
                if let Some(gnb) = self.gnbs.get_mut(&assoc) {
                    gnb.telling = Telling::Later { tries: if behind { tries } else { tries - 1 } };
                }
                self.start(TimerKey::GnbUpdate(assoc), wait_ms(wait));
            }
            None if behind => self.tell_serving(assoc, tries),
            _ => {}
        }
    }

    /// No answer has come, or the gNB's time is over.
    pub(super) fn on_serving_timeout(&mut self, assoc: AssocId) {
        match self.gnbs.get(&assoc).map(|g| g.telling) {
            Some(Telling::Later { tries }) => self.tell_serving(assoc, tries),
            Some(Telling::Sent { behind, tries }) => {
                self.refused("no-amf-configuration-answer");
                self.stop_telling(assoc);
                if behind {
                    self.tell_serving(assoc, tries);
                }
            }
            Some(Telling::Done) | None => {}
        }
    }
}

fn by_name<S: Serializer>(zone: &Option<TimeZone>, to: S) -> Result<S::Ok, S::Error> {
    zone.as_ref().and_then(TimeZone::iana_name).serialize(to)
}

fn wait_ms(t: TimeToWait) -> u64 {
    match t {
        TimeToWait::S1 => 1_000,
        TimeToWait::S2 => 2_000,
        TimeToWait::S5 => 5_000,
        TimeToWait::S10 => 10_000,
        TimeToWait::S20 => 20_000,
        TimeToWait::S60 => 60_000,
    }
}
