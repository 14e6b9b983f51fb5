//! Whether a device is compliant: what its SIM's groups ask, held against what was told of it.
//!
//! Pure: the same question has the same answer, and the answer says until when it holds. Nothing gets better by itself,
//! because what was told only grows older.

use types::{DevicePosture, OsName, OsVersion, PostureCheck, PostureRequirement, Seen, Utc, WhenSilent};

/// Why a check is not met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lack {
    /// Nobody has told of it.
    Missing,
    /// What was told is older than the group allows.
    Stale,
    /// It is not as it should be.
    Failed,
    /// The operating system is older than the group allows, or not named there.
    OldVersion,
}

impl Lack {
    /// The stable word, as in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Stale => "stale",
            Self::Failed => "failed",
            Self::OldVersion => "old-version",
        }
    }
}

/// A check that is not met.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shortfall {
    /// Which.
    pub check: PostureCheck,
    /// Why.
    pub why: Lack,
    /// True where a group says must; false where it says should.
    pub must: bool,
}

/// A judgement of a device at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// True where everything holds that must.
    pub compliant: bool,
    /// True where a group wants its SIM to reach the remediation apps alone, because nobody tells of it any longer.
    pub remediate: bool,
    /// What is not met, in the order of the checks.
    pub failed: Vec<Shortfall>,
    /// The first moment at which a must fails by its age; `None` where none will.
    pub until: Option<Utc>,
}

/// Judges a device. Several requirements must all be met; where none is given, [`PostureRequirement::unasked`] is.
pub fn judge<'a>(
    asked: impl IntoIterator<Item = &'a PostureRequirement>,
    known: Option<&DevicePosture>,
    at: Utc,
) -> Judgement {
    let nothing = DevicePosture::default();
    let known = known.unwrap_or(&nothing);
    let mut all = Judgement { compliant: true, remediate: false, failed: Vec::new(), until: None };
    let mut any = false;
    for r in asked {
        any = true;
        hold(r, known, at, &mut all);
    }
    if !any {
        hold(&PostureRequirement::unasked(), known, at, &mut all);
    }
    all.failed.sort();
    all.failed.dedup();
    if !all.compliant {
        all.until = None;
    }
    all
}

fn hold(r: &PostureRequirement, known: &DevicePosture, at: Utc, all: &mut Judgement) {
    let musts = r.must.iter().map(|c| (*c, true));
    for (check, must) in musts.chain(r.should.iter().map(|c| (*c, false))) {
        match lack(r, check, known, at) {
            Ok(until) if must => all.until = all.until.into_iter().chain(until).min(),
            Ok(_) => {}
            Err(why) => {
                all.failed.push(Shortfall { check, why, must });
                all.compliant &= !must;
                let silent = matches!(why, Lack::Missing | Lack::Stale);
                all.remediate |= must && silent && r.when_silent == WhenSilent::Remediation;
            }
        }
    }
}

/// Until when a check is met by its age, or why it is not.
fn lack(
    r: &PostureRequirement,
    check: PostureCheck,
    known: &DevicePosture,
    at: Utc,
) -> Result<Option<Utc>, Lack> {
    if check == PostureCheck::OsVersion {
        let os = known.os.as_ref().ok_or(Lack::Missing)?;
        let until = fresh(r, os, at)?;
        return if is_new_enough(r, os.value.name, &os.value.version) {
            Ok(until)
        } else {
            Err(Lack::OldVersion)
        };
    }
    let seen = known.checks.get(&check).ok_or(Lack::Missing)?;
    // What was told to be wrong is wrong, however long ago: age makes nothing better.
    if !seen.value {
        return Err(Lack::Failed);
    }
    fresh(r, seen, at)
}

fn is_new_enough(r: &PostureRequirement, name: OsName, version: &OsVersion) -> bool {
    r.os.get(&name).is_some_and(|least| version >= least)
}

fn fresh<T>(r: &PostureRequirement, seen: &Seen<T>, at: Utc) -> Result<Option<Utc>, Lack> {
    if r.when_silent == WhenSilent::Static {
        return Ok(None);
    }
    let until = Utc(seen.at.0.saturating_add(i64::from(r.max_age_s).saturating_mul(1000)));
    if at < until { Ok(Some(until)) } else { Err(Lack::Stale) }
}

#[cfg(test)]
#[path = "posture_tests.rs"]
mod tests;
