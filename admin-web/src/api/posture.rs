//! How devices are, as it is told by hand or by a script; a source with a webhook of its own tells it by that.

use crate::{
    api::directory::tell_facts,
    check::{Check, Kind, Time, rfc3339},
    problem::{Problem, say},
    request::{Body, IdempotencyKey, IfMatch, IfMatchHeader, PathOf, etag},
    rights::{PostureCapability, ReadCapability},
    state::{AppState, now},
};
use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use store::{FactsOf, PostureRow, StoreError};
use types::{Name, Os, PostureCheck, PostureReport, Utc};
use utoipa::ToSchema;

/// How far ahead of ours a source's clock may be, milliseconds: what is told of later is refused.
pub(crate) const AHEAD: i64 = 5 * 60_000;
/// Most devices in one request.
const MOST: usize = 1000;
/// Who tells what comes by this API.
const SOURCE: &str = "api";

/// An operating system.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OsBody {
    /// windows, macos, ios, android, chromeos, linux or other.
    #[schema(example = "windows")]
    name: String,
    /// One to six numbers joined by dots.
    #[schema(example = "10.0.22631")]
    version: String,
}

/// How a device is. What is left out stays as it was told before.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PostureBody {
    /// When it was so (RFC 3339); now if not given. What is older than what is known changes nothing.
    observed_at: Option<String>,
    /// The operating system.
    os: Option<OsBody>,
    /// Its storage is encrypted.
    disk_encryption: Option<bool>,
    /// Its firewall is on.
    firewall: Option<bool>,
    /// Its protection against malware is on and up to date.
    antivirus: Option<bool>,
    /// Its screen locks itself.
    screen_lock: Option<bool>,
    /// It is jailbroken or rooted.
    jailbroken: Option<bool>,
    /// The system that manages it calls it compliant.
    managed: Option<bool>,
}

/// How one of several devices is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceReport {
    /// Its id in the directory.
    #[schema(example = "pc-0142")]
    device: String,
    /// How it is.
    posture: PostureBody,
}

/// How devices are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PostureReports {
    /// At most 1000.
    reports: Vec<DeviceReport>,
}

/// What was taken.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PostureTaken {
    /// Devices of which something was told.
    taken: usize,
    /// Devices that are not in the directory.
    unknown: Vec<String>,
}

/// One thing that was told of a device.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PostureFact {
    /// os-version, disk-encryption, firewall, antivirus, screen-lock, jailbreak or managed.
    check: String,
    /// True where it is as it should be; of os-version null, because each group says what it asks.
    good: Option<bool>,
    /// The operating system, of os-version.
    os: Option<String>,
    /// Who told it.
    source: String,
    /// When it was so.
    at: String,
    /// How long ago that was, seconds.
    age_s: i64,
}

/// What is known of a device's health.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DevicePosture {
    /// The device.
    device: String,
    /// What was told, fact by fact.
    facts: Vec<PostureFact>,
    /// Its version: the ETag is this number in quotes; 0 before anything was told.
    version: u64,
}

impl PostureBody {
    /// Reads it; findings stand below `at`.
    pub(crate) fn read(&self, check: &mut Check, at: &str, now: Utc) -> Option<PostureReport> {
        let when: Option<Option<Time>> =
            check.maybe(&format!("{at}/observed_at"), self.observed_at.as_deref(), Kind::Time);
        let when = when?.map_or(now, |t| t.0);
        if when.0 > now.0 + AHEAD {
            check.add(
                format!("{at}/observed_at"),
                say!("it is in the future", "未来の時刻です"),
                Some(say!("set the clock of the source right", "報告元の時計を合わせてください")),
            );
        }
        let os = match &self.os {
            None => None,
            Some(os) => Some(Os {
                name: check.parse(&format!("{at}/os/name"), &os.name, Kind::Os)?,
                version: check.parse(&format!("{at}/os/version"), &os.version, Kind::OsVersion)?,
            }),
        };
        let told = [
            (PostureCheck::DiskEncryption, self.disk_encryption),
            (PostureCheck::Firewall, self.firewall),
            (PostureCheck::Antivirus, self.antivirus),
            (PostureCheck::ScreenLock, self.screen_lock),
            (PostureCheck::Jailbreak, self.jailbroken.map(|j| !j)),
            (PostureCheck::Managed, self.managed),
        ];
        let checks: BTreeMap<_, _> = told.into_iter().filter_map(|(c, good)| Some((c, good?))).collect();
        if os.is_none() && checks.is_empty() {
            check.add(
                at,
                say!("it tells nothing", "報告する内容がありません"),
                Some(say!("name at least one thing", "少なくとも 1 項目を指定してください")),
            );
        }
        Some(PostureReport { at: when, os, checks })
    }
}

impl PostureReports {
    /// Reads them all.
    pub(crate) fn read(&self, check: &mut Check, now: Utc) -> Vec<(Name, PostureReport)> {
        if self.reports.len() > MOST {
            check.add(
                "/reports",
                say!("there are more than {MOST}", "{MOST} 件を超えています"),
                Some(say!("send them in several requests", "複数のリクエストに分けてください")),
            );
        }
        let one = |(n, r): (usize, &DeviceReport)| {
            let device = check.parse(&format!("/reports/{n}/device"), &r.device, Kind::Name);
            let report = r.posture.read(check, &format!("/reports/{n}/posture"), now);
            device.zip(report)
        };
        self.reports.iter().enumerate().filter_map(one).collect()
    }
}

impl PostureTaken {
    /// Of reports of which these are of devices that are known.
    pub(crate) fn of(reports: &[Name], known: &[bool]) -> Self {
        let unknown = reports.iter().zip(known).filter(|(_, known)| !**known);
        Self {
            taken: known.iter().filter(|k| **k).count(),
            unknown: unknown.map(|(d, _)| d.to_string()).collect(),
        }
    }
}

/// Reads what is known of a device's health, each fact with its source and its age.
#[utoipa::path(get, path = "/api/v1/posture/{device}", tag = "posture", params(("device" = String, Path)),
    security(("token" = ["read"])), responses((status = 200, body = DevicePosture)))]
pub(crate) async fn get(
    _: ReadCapability,
    State(s): State<AppState>,
    PathOf(device): PathOf<Name>,
) -> Result<Response, Problem> {
    let row = s.store.posture(&device).await.map_err(|e| no_such(&device, e))?;
    Ok(answer(&device, row))
}

/// Tells how a device is. What is not spoken of stays as it was. If-Match is "0" before anything was told, or `*`.
#[utoipa::path(put, path = "/api/v1/posture/{device}", tag = "posture",
    params(("device" = String, Path), IfMatchHeader), request_body = PostureBody,
    security(("token" = ["posture"])), responses((status = 200, body = DevicePosture)))]
pub(crate) async fn put(
    right: PostureCapability,
    State(s): State<AppState>,
    PathOf(device): PathOf<Name>,
    expect: IfMatch,
    Body(body): Body<PostureBody>,
) -> Result<Response, Problem> {
    let mut check = Check::default();
    let report = body.read(&mut check, "", now());
    let report = check.finish(report)?;
    let change = right.caller().change("", now());
    let told = vec![(device.clone(), report)];
    let known = s.store.report_posture(told, &source()?, expect.0, &change).await?;
    if known != [true] {
        return Err(no_such(&device, StoreError::NotFound));
    }
    tell_facts(&s, FactsOf::Devices(vec![device.clone()])).await;
    Ok(answer(&device, s.store.posture(&device).await.map_err(|e| no_such(&device, e))?))
}

/// Tells how many devices are, in one transaction. Devices that are not in the directory are named, and nothing else of
/// the request suffers by them.
#[utoipa::path(post, path = "/api/v1/posture", tag = "posture", params(IdempotencyKey),
    request_body = PostureReports, security(("token" = ["posture"])),
    responses((status = 200, body = PostureTaken)))]
pub(crate) async fn report(
    right: PostureCapability,
    State(s): State<AppState>,
    Body(body): Body<PostureReports>,
) -> Result<Json<PostureTaken>, Problem> {
    let mut check = Check::default();
    let reports = body.read(&mut check, now());
    check.done()?;
    let change = right.caller().change("", now());
    take(&s, reports, &source()?, &change).await.map(Json)
}

/// Takes what a source told, and has SIMs judged by it.
pub(crate) async fn take(
    s: &AppState,
    reports: Vec<(Name, PostureReport)>,
    source: &Name,
    change: &store::Change,
) -> Result<PostureTaken, Problem> {
    let devices: Vec<Name> = reports.iter().map(|(d, _)| d.clone()).collect();
    let known = s.store.report_posture(reports, source, None, change).await?;
    let taken = PostureTaken::of(&devices, &known);
    let told = devices.into_iter().zip(&known).filter(|(_, known)| **known).map(|(d, _)| d).collect();
    tell_facts(s, FactsOf::Devices(told)).await;
    Ok(taken)
}

fn source() -> Result<Name, Problem> {
    SOURCE.parse().map_err(|_| Problem::internal())
}

pub(crate) fn no_such(device: &Name, e: StoreError) -> Problem {
    match e {
        StoreError::NotFound => {
            Problem::not_found(say!("there is no device {device}", "端末 {device} は登録されていません"))
        }
        e => e.into(),
    }
}

fn answer(device: &Name, row: PostureRow) -> Response {
    let now = now();
    let age = |at: Utc| (now.0 - at.0).max(0) / 1000;
    let os = row.posture.os.as_ref().map(|o| PostureFact {
        check: PostureCheck::OsVersion.to_string(),
        good: None,
        os: Some(format!("{} {}", o.value.name, o.value.version)),
        source: o.source.to_string(),
        at: rfc3339(o.at),
        age_s: age(o.at),
    });
    let others = row.posture.checks.iter().map(|(check, seen)| PostureFact {
        check: check.to_string(),
        good: Some(seen.value),
        os: None,
        source: seen.source.to_string(),
        at: rfc3339(seen.at),
        age_s: age(seen.at),
    });
    let facts = os.into_iter().chain(others).collect();
    let body = DevicePosture { device: device.to_string(), facts, version: row.version };
    ([(header::ETAG, etag(row.version))], Json(body)).into_response()
}
