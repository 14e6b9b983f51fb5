//! What a group asks of the devices of its SIMs.

use crate::{
    check::{Check, Kind},
    problem::say,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use types::{OsName, OsVersion, PostureCheck, PostureRequirement, WhenSilent};
use utoipa::ToSchema;

/// What is asked of devices.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PostureRequirement)]
pub(crate) struct RequirementBody {
    /// What must hold for a device to be compliant: os-version, disk-encryption, firewall, antivirus, screen-lock,
    /// jailbreak (that there is none), managed (that the system which manages it calls it compliant).
    #[serde(default)]
    #[schema(example = json!(["os-version", "disk-encryption"]))]
    must: Vec<String>,
    /// What should hold: shown, and nothing more.
    #[serde(default)]
    #[schema(example = json!(["screen-lock"]))]
    should: Vec<String>,
    /// The lowest version of each operating system, for os-version: windows, macos, ios, android, chromeos, linux, other.
    /// One that is not named here fails.
    #[serde(default)]
    #[schema(example = json!({ "windows": "10.0.22631" }))]
    os: BTreeMap<String, String>,
    /// For how long what was told counts, seconds; a day if not given.
    max_age_s: Option<u32>,
    /// When nobody has told of a device for longer than that: closed (not compliant; if not given), remediation (not
    /// compliant, and its SIMs reach their remediation apps alone), static (what was told last goes on).
    when_silent: Option<String>,
}

/// A minute: nobody tells of a device more often.
const LEAST_AGE_S: u32 = 60;

impl RequirementBody {
    pub(crate) fn read(self, check: &mut Check) -> Option<PostureRequirement> {
        let must: Option<BTreeSet<PostureCheck>> =
            check.each("/posture/must", &self.must, Kind::PostureCheck);
        let should: Option<BTreeSet<PostureCheck>> =
            check.each("/posture/should", &self.should, Kind::PostureCheck);
        let mut os = BTreeMap::new();
        for (name, version) in &self.os {
            let at = format!("/posture/os/{name}");
            let name: Option<OsName> = check.parse(&at, name, Kind::Os);
            let version: Option<OsVersion> = check.parse(&at, version, Kind::OsVersion);
            os.extend(name.zip(version));
        }
        let when_silent: Option<Option<WhenSilent>> =
            check.maybe("/posture/when_silent", self.when_silent.as_deref(), Kind::WhenSilent);
        let (must, should) = (must?, should?);
        if let Some(both) = must.intersection(&should).next() {
            check.add(
                "/posture/should",
                say!("{both} stands in must already", "{both} は must にもあります"),
                Some(say!("name each check once", "各項目は一度だけ指定してください")),
            );
        }
        let asked = must.contains(&PostureCheck::OsVersion) || should.contains(&PostureCheck::OsVersion);
        if asked == os.is_empty() {
            check.add(
                "/posture/os",
                say!(
                    "os-version and the versions in os belong together",
                    "os-version と os のバージョンは組で指定します"
                ),
                Some(say!(
                    "ask for os-version and name a version, or leave out both",
                    "os-version を指定して os にバージョンを書くか、両方を省略してください"
                )),
            );
        }
        let plain = PostureRequirement::unasked();
        let max_age_s = self.max_age_s.unwrap_or(plain.max_age_s);
        if max_age_s < LEAST_AGE_S {
            check.add(
                "/posture/max_age_s",
                say!("it is shorter than a minute", "1 分より短い値です"),
                Some(say!("give {LEAST_AGE_S} or more", "{LEAST_AGE_S} 以上を指定してください")),
            );
        }
        let when_silent = when_silent?.unwrap_or(plain.when_silent);
        Some(PostureRequirement { must, should, os, max_age_s, when_silent })
    }
}

impl From<PostureRequirement> for RequirementBody {
    fn from(r: PostureRequirement) -> Self {
        let words = |all: BTreeSet<PostureCheck>| all.iter().map(ToString::to_string).collect();
        Self {
            must: words(r.must),
            should: words(r.should),
            os: r.os.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect(),
            max_age_s: Some(r.max_age_s),
            when_silent: Some(r.when_silent.to_string()),
        }
    }
}
