//! How a device is, as sources outside tell it, and what a group asks of it.
//!
//! What was told is kept fact by fact, each with its source and its time; the newest counts, and of two of the same moment
//! the worse. Whether a device is compliant is no fact but a judgement: `pgw_policy::posture` makes it.

use crate::digits::serde_as_text;
use crate::{Name, Utc};
use serde::{Deserialize, Serialize};
use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

words! {
    /// What can be asked of a device.
    PostureCheck, "a posture check" {
        /// The operating system is at least of the version that the group names for it.
        OsVersion = "os-version",
        /// Its storage is encrypted.
        DiskEncryption = "disk-encryption",
        /// Its firewall is on.
        Firewall = "firewall",
        /// Its protection against malware is on and up to date.
        Antivirus = "antivirus",
        /// Its screen locks itself.
        ScreenLock = "screen-lock",
        /// It is neither jailbroken nor rooted.
        Jailbreak = "jailbreak",
        /// The system that manages it calls it compliant.
        Managed = "managed",
    }
}

words! {
    /// What happens when nobody has told of a device for longer than the group allows.
    WhenSilent, "what happens when a source is silent" {
        /// It counts as not compliant.
        Closed = "closed",
        /// It counts as not compliant, and its SIMs reach the remediation apps of their groups alone.
        Remediation = "remediation",
        /// What was told last goes on.
        Static = "static",
    }
}

words! {
    /// An operating system.
    OsName, "an operating system" {
        /// Microsoft Windows.
        Windows = "windows",
        /// Apple macOS.
        Macos = "macos",
        /// Apple iOS and iPadOS.
        Ios = "ios",
        /// Android.
        Android = "android",
        /// ChromeOS.
        Chromeos = "chromeos",
        /// Linux.
        Linux = "linux",
        /// Anything else, such as the firmware of a PLC.
        Other = "other",
    }
}

/// A version: one to six numbers joined by dots, such as `10.0.22631`. Numbers that are left out are 0.
#[derive(Clone)]
pub struct OsVersion(Box<str>);

impl OsVersion {
    /// Its numbers; whatever is left out is 0.
    fn parts(&self) -> [u32; 6] {
        let mut all = [0; 6];
        for (to, part) in all.iter_mut().zip(self.0.split('.')) {
            *to = part.parse().unwrap_or(0);
        }
        all
    }
}

impl Ord for OsVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

impl PartialOrd for OsVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for OsVersion {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for OsVersion {}

impl fmt::Display for OsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for OsVersion {
    type Err = &'static str;
    fn from_str(s: &str) -> Result<Self, &'static str> {
        const WHAT: &str = "a version is one to six numbers joined by dots, such as 10.0.22631";
        let number = |p: &str| (1..=9).contains(&p.len()) && p.bytes().all(|b| b.is_ascii_digit());
        if s.split('.').count() > 6 || !s.split('.').all(number) { Err(WHAT) } else { Ok(Self(s.into())) }
    }
}
serde_as_text!(OsVersion);

/// An operating system of a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Os {
    /// Which.
    pub name: OsName,
    /// Its version.
    pub version: OsVersion,
}

/// Something that was told, by whom and of which moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen<T> {
    /// What.
    pub value: T,
    /// Who told it.
    pub source: Name,
    /// When it was so.
    pub at: Utc,
}

/// What one source tells of a device at one moment. What it does not speak of stays as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PostureReport {
    /// When it was so.
    pub at: Utc,
    /// The operating system.
    pub os: Option<Os>,
    /// The other checks; true where it is as it should be.
    pub checks: BTreeMap<PostureCheck, bool>,
}

/// Everything that is known of a device's health.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DevicePosture {
    /// The operating system.
    #[serde(default)]
    pub os: Option<Seen<Os>>,
    /// The other checks; true where it is as it should be.
    #[serde(default)]
    pub checks: BTreeMap<PostureCheck, Seen<bool>>,
}

impl DevicePosture {
    /// Takes what a source tells, fact by fact: the newest counts, and of two of the same moment the worse. True where
    /// anything is other than before, be it its time alone.
    pub fn take(&mut self, report: &PostureReport, source: &Name) -> bool {
        let at = report.at;
        let mut changed = false;
        if let Some(os) = &report.os
            && self.os.as_ref().is_none_or(|o| o.at < at || o.at == at && os.version < o.value.version)
        {
            self.os = Some(Seen { value: os.clone(), source: source.clone(), at });
            changed = true;
        }
        for (check, good) in &report.checks {
            let older = |s: &Seen<bool>| s.at < at || s.at == at && s.value && !good;
            if self.checks.get(check).is_none_or(older) {
                self.checks.insert(*check, Seen { value: *good, source: source.clone(), at });
                changed = true;
            }
        }
        changed
    }

    /// When anything was last told of it.
    pub fn newest(&self) -> Option<Utc> {
        self.checks.values().map(|s| s.at).chain(self.os.as_ref().map(|o| o.at)).max()
    }
}

/// What a group asks of the devices of its SIMs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostureRequirement {
    /// What must hold: one that fails, is missing or is older than allowed makes the device not compliant.
    #[serde(default)]
    pub must: BTreeSet<PostureCheck>,
    /// What should hold: told, and nothing more.
    #[serde(default)]
    pub should: BTreeSet<PostureCheck>,
    /// The lowest version of each operating system; one that is not named here fails `os-version`.
    #[serde(default)]
    pub os: BTreeMap<OsName, OsVersion>,
    /// For how long what was told counts, seconds.
    #[serde(default = "PostureRequirement::a_day")]
    pub max_age_s: u32,
    /// What happens then.
    #[serde(default = "PostureRequirement::closed")]
    pub when_silent: WhenSilent,
}

impl PostureRequirement {
    fn a_day() -> u32 {
        86_400
    }

    fn closed() -> WhenSilent {
        WhenSilent::Closed
    }

    /// What is asked of a device none of whose SIM's groups asks anything: the word of the system that manages it, not
    /// older than a day.
    pub fn unasked() -> Self {
        Self {
            must: [PostureCheck::Managed].into(),
            should: BTreeSet::new(),
            os: BTreeMap::new(),
            max_age_s: Self::a_day(),
            when_silent: Self::closed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(s: &str) -> OsVersion {
        s.parse().unwrap()
    }

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(version("10.0.9") < version("10.0.22631"));
        assert!(version("14") == version("14.0.0") && version("14") < version("14.0.1"));
        assert_eq!(version("22.04").to_string(), "22.04", "as people know it");
        for bad in ["", ".", "1.", "1..2", "v1", "1.2.3.4.5.6.7", "1234567890", "-1", "１"] {
            assert!(bad.parse::<OsVersion>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_newest_word_counts_and_the_worse_of_two_of_one_moment() {
        let told = |at, good| PostureReport {
            at: Utc(at),
            os: None,
            checks: [(PostureCheck::Firewall, good)].into(),
        };
        let [mdm, agent]: [Name; 2] = ["mdm", "agent"].map(|n| n.parse().unwrap());
        let mut p = DevicePosture::default();
        assert!(p.take(&told(10, true), &mdm));
        assert!(!p.take(&told(9, false), &agent), "what is older changes nothing");
        assert!(!p.take(&told(10, true), &agent));
        assert!(p.take(&told(10, false), &agent), "the worse one");
        assert!(!p.take(&told(10, true), &mdm), "in whichever order they come");
        let seen = &p.checks[&PostureCheck::Firewall];
        assert_eq!((seen.value, seen.source.as_str(), seen.at), (false, "agent", Utc(10)));
        assert_eq!(p.newest(), Some(Utc(10)));
        let text = serde_json::to_string(&p).unwrap();
        assert_eq!(serde_json::from_str::<DevicePosture>(&text).unwrap(), p);
    }
}
