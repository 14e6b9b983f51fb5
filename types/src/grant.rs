//! Access to one app for a time, with a reason and somebody who answers for it.

use crate::{Imsi, Name, Utc, digits::serde_as_text};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// To whom something is granted. Text form `sim:IMSI`, `person:ID`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grantee {
    /// One SIM.
    Sim(Imsi),
    /// All SIMs of one person.
    Person(Name),
}

impl fmt::Display for Grantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sim(i) => write!(f, "sim:{i}"),
            Self::Person(n) => write!(f, "person:{n}"),
        }
    }
}

impl FromStr for Grantee {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        match s.split_once(':') {
            Some(("sim", i)) => i.parse().map(Self::Sim).map_err(|e| e.to_string()),
            Some(("person", n)) => n.parse().map(Self::Person).map_err(|e| e.to_string()),
            _ => Err("a grant is to sim:IMSI or person:ID".to_owned()),
        }
    }
}
serde_as_text!(Grantee);

/// A grant as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Its id.
    pub id: String,
    /// To whom.
    pub to: Grantee,
    /// Which app.
    pub app: Name,
    /// What for, in the words of who asked.
    pub reason: String,
    /// Who asked for it.
    pub requester: String,
    /// Who answers for it; `None`: nobody yet, so it grants nothing.
    pub approver: Option<String>,
    /// From when.
    pub from: Utc,
    /// Up to when.
    pub until: Utc,
    /// When somebody took it back, if so.
    pub revoked: Option<Utc>,
    /// The person who proved themselves for it, where it is a proof: it counts for a rule that asks for one and for nothing
    /// else, and as long as the SIM is that person's.
    #[serde(default)]
    pub prover: Option<Name>,
}

/// As much of an approved grant as is judged by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActiveGrant {
    /// The grant.
    pub id: String,
    /// Which app.
    pub app: Name,
    /// From when.
    pub from: Utc,
    /// Up to when.
    pub until: Utc,
    /// It is a proof: it counts where a rule asks for one, and not where the rules say nothing.
    pub proof: bool,
}

impl ActiveGrant {
    /// True while it counts.
    pub fn counts(&self, at: Utc) -> bool {
        self.from <= at && at < self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_is_to_a_sim_or_a_person_and_ends_at_its_end() {
        for good in ["sim:001010000000001", "person:tanaka"] {
            assert_eq!(good.parse::<Grantee>().unwrap().to_string(), good);
        }
        for bad in ["", "any", "group:staff", "sim:1", "person:", "tanaka"] {
            assert!(bad.parse::<Grantee>().is_err(), "{bad}");
        }
        let (from, until) = (Utc(10), Utc(20));
        let g = ActiveGrant { id: String::new(), app: "wiki".parse().unwrap(), from, until, proof: false };
        assert_eq!([9, 10, 19, 20].map(|t| g.counts(Utc(t))), [false, true, true, false]);
    }
}
