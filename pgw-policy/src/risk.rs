//! Risk: what is unusual about a SIM at a moment, added up, and what that comes to for an app.
//!
//! The profile that is shipped is the common one: a device that is not as it should be 30, nobody has proved themselves
//! 25, an unusual place 20, night 15; 60 is critical, 40 high, 20 medium. What is not known counts as bad: a risk is
//! never called low for want of facts.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used))]

use crate::clock;
use serde::{Deserialize, Serialize};
use types::{Compliance, Hours, RiskLevel, Sensitivity, SimFacts, Utc, When};

/// What a risk and a sensitivity come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RiskOutcome {
    /// Forward.
    Allow,
    /// Forward, and write the flow down whatever the rule says of records.
    AllowLogged,
    /// Forward where the person has proved themselves for this SIM.
    StepUp,
    /// Refuse.
    Deny,
}

/// What makes a risk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Factor {
    /// The device is not as its group asks.
    NotCompliant,
    /// Nobody has proved themselves for this SIM.
    NotAssured,
    /// The SIM is where it usually is not.
    UnusualPlace,
    /// It is night where the SIM is.
    Night,
}

impl Factor {
    /// Every factor.
    pub const ALL: [Self; 4] = [Self::NotCompliant, Self::NotAssured, Self::UnusualPlace, Self::Night];

    /// The stable word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotCompliant => "not-compliant",
            Self::NotAssured => "not-assured",
            Self::UnusualPlace => "unusual-place",
            Self::Night => "night",
        }
    }
}

/// How risk is weighed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RiskProfile {
    /// For a device that is not as its group asks.
    pub not_compliant: u16,
    /// Where nobody has proved themselves.
    pub not_assured: u16,
    /// For an unusual place.
    pub unusual_place: u16,
    /// At night.
    pub night: u16,
    /// From this sum on it is medium.
    pub medium: u16,
    /// From this sum on it is high.
    pub high: u16,
    /// From this sum on it is critical.
    pub critical: u16,
    /// When night begins and ends, by the clocks of the SIM's site: `22:00-06:00`.
    pub night_hours: String,
    /// The time zone where the site has none, or where the SIM is at none. Without one it is then night.
    pub zone: Option<String>,
    /// For [`RiskLevel`] low to critical, each for [`Sensitivity`] public, internal, confidential.
    pub outcomes: [[RiskOutcome; 3]; 4],
}

impl Default for RiskProfile {
    fn default() -> Self {
        use RiskOutcome::{Allow, AllowLogged, Deny, StepUp};
        Self {
            not_compliant: 30,
            not_assured: 25,
            unusual_place: 20,
            night: 15,
            medium: 20,
            high: 40,
            critical: 60,
            night_hours: "22:00-06:00".to_owned(),
            zone: None,
            outcomes: [
                [Allow, Allow, AllowLogged],
                [Allow, AllowLogged, StepUp],
                [AllowLogged, StepUp, Deny],
                [StepUp, Deny, Deny],
            ],
        }
    }
}

/// What is wrong with a profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfileFault {
    /// This level is higher than the one above it.
    Levels(&'static str),
    /// They are no hours.
    NightHours,
    /// There is no time zone of this name.
    Zone,
    /// It opens more than a lower level does, or than a less sensitive app is opened: then knowing less, which counts as
    /// bad, could open what knowing more closes.
    Outcome {
        /// The level.
        level: RiskLevel,
        /// The sensitivity.
        sensitivity: Sensitivity,
    },
}

impl ProfileFault {
    /// The field of the profile, and what is wrong with it.
    fn words(&self) -> (&'static str, &'static str) {
        match self {
            Self::Levels(field) => {
                (field, "the levels rise: medium is at most high, and high at most critical")
            }
            Self::NightHours => ("night_hours", "hours are written as 22:00-06:00"),
            Self::Zone => {
                ("zone", "there is no time zone of this name; name one of IANA's, such as Asia/Tokyo")
            }
            Self::Outcome { .. } => {
                ("outcomes", "a higher risk, or a more sensitive app, never comes to something more open")
            }
        }
    }
}

/// What a SIM's risk is at a moment, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assessment {
    /// The sum, where what is not known counts as bad.
    pub score: u16,
    /// What that is.
    pub level: RiskLevel,
    /// The sum of what is known to be bad.
    pub least_score: u16,
    /// What that is: it is never lower.
    pub least: RiskLevel,
    /// What it is the sum of.
    pub factors: Vec<Weighed>,
}

/// One factor of an assessment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weighed {
    /// Which.
    pub factor: Factor,
    /// What it adds.
    pub weight: u16,
    /// True where it is known to be so; false where nothing is known and it counts for that.
    pub known: bool,
}

impl RiskProfile {
    /// What was read (`None` where it could not be), where it is sound. Else everything that goes by risk is refused: what
    /// was meant may have been stricter than what is shipped.
    pub fn or_closed(read: Option<Self>) -> Self {
        let closed = || Self { outcomes: [[RiskOutcome::Deny; 3]; 4], ..Self::default() };
        read.filter(|p| p.faults().is_empty()).unwrap_or_else(closed)
    }

    /// Everything that is wrong with it.
    pub fn faults(&self) -> Vec<ProfileFault> {
        let mut found = Vec::new();
        if self.medium > self.high {
            found.push(ProfileFault::Levels("medium"));
        }
        if self.high > self.critical {
            found.push(ProfileFault::Levels("high"));
        }
        if self.night_in("UTC").is_none() {
            found.push(ProfileFault::NightHours);
        }
        if self.zone.as_deref().is_some_and(|z| !clock::is_zone(z)) {
            found.push(ProfileFault::Zone);
        }
        let lower = |level: RiskLevel| RiskLevel::ALL.iter().copied().filter(move |l| *l < level).max();
        let duller = |s: Sensitivity| Sensitivity::ALL.iter().copied().filter(move |o| *o < s).max();
        for &level in RiskLevel::ALL {
            for &sensitivity in Sensitivity::ALL {
                let is = self.outcome(level, sensitivity);
                let looser = |other: Option<RiskOutcome>| other.is_some_and(|o| o > is);
                if looser(lower(level).map(|l| self.outcome(l, sensitivity)))
                    || looser(duller(sensitivity).map(|s| self.outcome(level, s)))
                {
                    found.push(ProfileFault::Outcome { level, sensitivity });
                }
            }
        }
        found
    }

    /// Why it is no profile, with the field that is wrong.
    pub fn problem(&self) -> Option<(&'static str, &'static str)> {
        self.faults().first().map(ProfileFault::words)
    }

    /// What a level and a sensitivity come to.
    pub fn outcome(&self, level: RiskLevel, sensitivity: Sensitivity) -> RiskOutcome {
        let row = self.outcomes.get(level as usize);
        row.and_then(|r| r.get(sensitivity as usize)).copied().unwrap_or(RiskOutcome::Deny)
    }

    fn night_in(&self, zone: &str) -> Option<When> {
        let hours: Hours = format!("daily {} {zone}", self.night_hours).parse().ok()?;
        Some(When { hours: Some(hours), until: None })
    }

    /// Night, by the clocks that count for this SIM; `None` where nobody knows which.
    fn night_for(&self, facts: &SimFacts) -> Option<When> {
        let of_site = facts.place.as_ref().and_then(|p| p.zone.as_deref());
        self.night_in(of_site.or(self.zone.as_deref())?)
    }

    fn level(&self, score: u16) -> RiskLevel {
        match score {
            s if s >= self.critical => RiskLevel::Critical,
            s if s >= self.high => RiskLevel::High,
            s if s >= self.medium => RiskLevel::Medium,
            _ => RiskLevel::Low,
        }
    }

    /// Whether a factor is there; `None` where that is not known.
    fn factor(&self, factor: Factor, facts: &SimFacts, at: Utc) -> Option<bool> {
        match factor {
            Factor::NotCompliant => posture(facts, at).map(|p| p == Compliance::NotCompliant),
            Factor::NotAssured => facts.assurance.as_ref().map(|a| a.until <= at),
            Factor::UnusualPlace => facts.place.as_ref().map(|p| !p.usual),
            Factor::Night => self.night_for(facts).and_then(|night| clock::holds(&night, at)),
        }
    }

    fn weight(&self, factor: Factor) -> u16 {
        match factor {
            Factor::NotCompliant => self.not_compliant,
            Factor::NotAssured => self.not_assured,
            Factor::UnusualPlace => self.unusual_place,
            Factor::Night => self.night,
        }
    }

    /// What the risk is at this moment.
    pub fn assess(&self, facts: &SimFacts, at: Utc) -> Assessment {
        let (mut score, mut least_score, mut factors) = (0u16, 0u16, Vec::new());
        for factor in Factor::ALL {
            let (there, weight) = (self.factor(factor, facts, at), self.weight(factor));
            if there == Some(false) {
                continue;
            }
            score = score.saturating_add(weight);
            if there == Some(true) {
                least_score = least_score.saturating_add(weight);
            }
            factors.push(Weighed { factor, weight, known: there == Some(true) });
        }
        // Somebody else's word only raises it.
        let said = facts.risk.as_ref().filter(|r| r.until.is_none_or(|end| at < end)).map(|r| r.value);
        let at_least = |level: RiskLevel| said.map_or(level, |said| said.max(level));
        Assessment {
            score,
            level: at_least(self.level(score)),
            least_score,
            least: at_least(self.level(least_score)),
            factors,
        }
    }

    /// The next moment at which it may be night, or day, for this SIM.
    pub(crate) fn next_border(&self, facts: &SimFacts, at: Utc) -> Option<Utc> {
        clock::next(&self.night_for(facts)?, at)
    }
}

/// The posture that counts at this moment.
pub(crate) fn posture(facts: &SimFacts, at: Utc) -> Option<Compliance> {
    facts.posture.as_ref().filter(|p| p.until.is_none_or(|end| at < end)).map(|p| p.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{Assurance, Posture, RiskSignal, SiteSeen};

    /// Noon and midnight in Tokyo.
    const NOON: Utc = Utc(1_795_143_600_000);
    const MIDNIGHT: Utc = Utc(NOON.0 + 12 * 3_600_000);

    fn name(s: &str) -> types::Name {
        s.parse().unwrap()
    }

    fn facts(compliant: bool, assured: bool, usual: bool) -> SimFacts {
        let value = if compliant { Compliance::Compliant } else { Compliance::NotCompliant };
        SimFacts {
            posture: Some(Posture { value, since: Utc(0), until: None, source: name("mdm") }),
            place: Some(SiteSeen {
                site: Some(name("tokyo")),
                usual,
                zone: Some("Asia/Tokyo".to_owned()),
                since: Utc(0),
                source: name("ngap"),
            }),
            assurance: Some(Assurance {
                until: Utc(if assured { i64::MAX } else { 0 }),
                since: Utc(0),
                source: name("oidc"),
            }),
            ..SimFacts::default()
        }
    }

    /// All sixteen combinations, the score and the level of each, and what they come to for the three sensitivities.
    #[test]
    fn the_shipped_profile_says_this_and_nothing_else() {
        let golden = [
            // compliant, assured, usual, day: score, level, public, internal, confidential
            ("YYYY", 0, "low", "allow", "allow", "allow-logged"),
            ("YYYN", 15, "low", "allow", "allow", "allow-logged"),
            ("YYNY", 20, "medium", "allow", "allow-logged", "step-up"),
            ("YYNN", 35, "medium", "allow", "allow-logged", "step-up"),
            ("YNYY", 25, "medium", "allow", "allow-logged", "step-up"),
            ("YNYN", 40, "high", "allow-logged", "step-up", "deny"),
            ("YNNY", 45, "high", "allow-logged", "step-up", "deny"),
            ("YNNN", 60, "critical", "step-up", "deny", "deny"),
            ("NYYY", 30, "medium", "allow", "allow-logged", "step-up"),
            ("NYYN", 45, "high", "allow-logged", "step-up", "deny"),
            ("NYNY", 50, "high", "allow-logged", "step-up", "deny"),
            ("NYNN", 65, "critical", "step-up", "deny", "deny"),
            ("NNYY", 55, "high", "allow-logged", "step-up", "deny"),
            ("NNYN", 70, "critical", "step-up", "deny", "deny"),
            ("NNNY", 75, "critical", "step-up", "deny", "deny"),
            ("NNNN", 90, "critical", "step-up", "deny", "deny"),
        ];
        let profile = RiskProfile::default();
        for (how, score, level, public, internal, confidential) in golden {
            let [compliant, assured, usual, day] =
                <[u8; 4]>::try_from(how.as_bytes()).unwrap().map(|c| c == b'Y');
            let at = if day { NOON } else { MIDNIGHT };
            let a = profile.assess(&facts(compliant, assured, usual), at);
            assert_eq!(
                (a.score, a.level.as_str(), a.least_score, a.least),
                (score, level, score, a.level),
                "{how}"
            );
            let sum: u16 = a.factors.iter().map(|w| w.weight).sum();
            assert!(sum == score && a.factors.iter().all(|w| w.known), "{how}");
            let word = |s| serde_json::to_value(profile.outcome(a.level, s)).unwrap();
            let said = [Sensitivity::Public, Sensitivity::Internal, Sensitivity::Confidential].map(word);
            assert_eq!(said, [public, internal, confidential], "{how}");
        }
    }

    #[test]
    fn what_is_not_known_counts_as_bad_and_is_shown_as_not_known() {
        let a = RiskProfile::default().assess(&SimFacts::default(), NOON);
        assert_eq!((a.score, a.level, a.least_score, a.least), (90, RiskLevel::Critical, 0, RiskLevel::Low));
        assert!(a.factors.iter().all(|w| !w.known));
        // A posture that nobody has confirmed for too long is none.
        let mut stale = facts(true, true, true);
        stale.posture.as_mut().unwrap().until = Some(NOON);
        let score = |at| RiskProfile::default().assess(&stale, at).score;
        assert_eq!((score(Utc(NOON.0 - 1)), score(NOON)), (0, 30));
    }

    #[test]
    fn night_is_that_of_the_site_and_else_of_the_profile() {
        let mut f = facts(true, true, true);
        let mut profile = RiskProfile::default();
        let night = |p: &RiskProfile, f: &SimFacts, at| p.assess(f, at).score == 15;
        assert!(!night(&profile, &f, NOON) && night(&profile, &f, MIDNIGHT));
        assert_eq!(profile.next_border(&f, NOON), Some(Utc(NOON.0 + 10 * 3_600_000)));
        f.place.as_mut().unwrap().zone = Some("Europe/Berlin".to_owned());
        // 04:00 and 16:00 in Berlin.
        assert!(night(&profile, &f, NOON) && !night(&profile, &f, MIDNIGHT));
        f.place.as_mut().unwrap().zone = None;
        assert!(night(&profile, &f, NOON) && night(&profile, &f, MIDNIGHT));
        assert_eq!(profile.next_border(&f, NOON), None);
        profile.zone = Some("Asia/Tokyo".to_owned());
        assert!(!night(&profile, &f, NOON) && night(&profile, &f, MIDNIGHT));
    }

    #[test]
    fn somebody_elses_word_raises_a_risk_and_never_lowers_it() {
        let with = |value, f: SimFacts| {
            let risk = Some(RiskSignal { value, since: Utc(0), until: Some(MIDNIGHT), source: name("caep") });
            RiskProfile::default().assess(&SimFacts { risk, ..f }, NOON).level
        };
        assert_eq!(with(RiskLevel::High, facts(true, true, true)), RiskLevel::High);
        assert_eq!(with(RiskLevel::Low, facts(false, false, false)), RiskLevel::Critical);
    }

    #[test]
    fn a_profile_that_is_none_is_named() {
        let wrong = |change: fn(&mut RiskProfile)| {
            let mut p = RiskProfile::default();
            change(&mut p);
            p.problem().map(|(field, _)| field)
        };
        assert_eq!(wrong(|_| {}), None);
        assert_eq!(wrong(|p| p.medium = 41), Some("medium"));
        assert_eq!(wrong(|p| p.night_hours = "22-6".to_owned()), Some("night_hours"));
        assert_eq!(wrong(|p| p.zone = Some("Asia/Edo".to_owned())), Some("zone"));
        // A critical risk that opens what a high one does not.
        assert_eq!(wrong(|p| p.outcomes[3][1] = RiskOutcome::Allow), Some("outcomes"));
    }

    #[test]
    fn each_outcome_that_is_looser_than_its_neighbours_is_named() {
        let mut p = RiskProfile::default();
        p.outcomes[1] = [RiskOutcome::StepUp, RiskOutcome::AllowLogged, RiskOutcome::StepUp];
        let outcome = |level, sensitivity| ProfileFault::Outcome { level, sensitivity };
        let found = [
            outcome(RiskLevel::Medium, Sensitivity::Internal),
            outcome(RiskLevel::High, Sensitivity::Public),
        ];
        assert_eq!(p.faults(), found);
    }

    #[test]
    fn what_cannot_be_read_refuses() {
        let mut p = RiskProfile { night: 40, ..RiskProfile::default() };
        assert_eq!(RiskProfile::or_closed(Some(p.clone())), p);
        p.outcomes[3][0] = RiskOutcome::Allow;
        for bad in [None, Some(p)] {
            let read = RiskProfile::or_closed(bad);
            assert!(read.outcomes.iter().flatten().all(|o| *o == RiskOutcome::Deny));
            assert_eq!(read.problem(), None, "it compiles");
        }
    }
}
