//! The company that `bench policy` and `bench replay` are about: SIMs in sets of groups, apps, and rules of which seven in
//! eight ask about something: posture, place, hours, proof, risk.

use anyhow::{Context, Result};
use pgw_policy::Policy;
use serde_json::{Value, json};
use std::net::Ipv4Addr;
use types::{App, Group, Imsi, Name, Rule, SimFacts, UeGroups, Utc};

pub const GROUPS: u32 = 300;
pub const APPS: u32 = 2_000;
/// Different sets of groups that SIMs are in.
pub const SETS: u32 = 3_000;
/// Groups in one set.
pub const IN_SET: u32 = 5;
/// Friday 2027-01-15, 17:00 in Tokyo: some of the rules' hours are on, others are not.
pub const NOW: Utc = Utc(1_800_000_000_000);

const HOUR_MS: i64 = 3_600_000;
const HOURS: [&str; 5] = [
    "mon-fri 08:00-18:00 Asia/Tokyo",
    "daily 22:00-06:00 Asia/Tokyo",
    "mon-fri 09:00-17:30 Europe/Berlin",
    "sat-sun 00:00-24:00 Asia/Tokyo",
    "daily 06:00-22:00 Asia/Tokyo",
];

pub fn imsi(n: u32) -> Result<Imsi> {
    Ok(format!("00101{n:010}").parse()?)
}

pub fn name(letter: char, n: u32) -> Result<Name> {
    Ok(format!("{letter}{n}").parse()?)
}

pub fn address(app: u32) -> Ipv4Addr {
    Ipv4Addr::from(0x0ac8_0000 + app)
}

/// The groups of set `n`.
pub fn set(n: u32) -> Result<Vec<Name>> {
    let mut chance = fastrand::Rng::with_seed(u64::from(n % SETS));
    (0..IN_SET).map(|_| name('g', chance.u32(..GROUPS))).collect()
}

pub fn group(n: u32) -> Result<Group> {
    Ok(Group::new(name('g', n)?, ""))
}

pub fn app(n: u32) -> Result<App> {
    let sensitivity = ["public", "internal", "confidential"][n as usize % 3];
    Ok(serde_json::from_value(json!({
        "name": name('a', n)?, "prefixes": [format!("{}/32", address(n))], "services": ["tcp/443"],
        "sensitivity": sensitivity,
    }))?)
}

/// Each speaks of one group and one app.
pub fn rule(n: u32) -> Result<Rule> {
    let mut chance = fastrand::Rng::with_seed(u64::from(n) << 32);
    let (group, app) = (chance.u32(..GROUPS), chance.u32(..APPS));
    let mut rule = json!({
        "name": format!("r{n}"), "order": n, "subject": format!("group:g{group}"), "app": format!("a{app}"),
        "direction": "out", "verdict": "allow",
    });
    // The kind hangs on chance, too: edits all over the order meet each of them.
    let more = match chance.u32(..8) {
        0 => json!({ "posture": "compliant" }),
        1 => json!({ "sites": [format!("s{}", n % 5)] }),
        2 => json!({ "hours": HOURS[n as usize % HOURS.len()] }),
        3 => json!({ "assured": true, "posture": "compliant" }),
        4 => json!({ "risk_at_most": "medium", "not_sites": [format!("s{}", n % 5)] }),
        5 => json!({ "verdict": "risk" }),
        6 => json!({ "verdict": "step-up", "hours": HOURS[n as usize % HOURS.len()] }),
        _ => json!({}),
    };
    let fields = rule.as_object_mut().context("a rule")?;
    fields.extend(more.as_object().cloned().unwrap_or_default());
    Ok(serde_json::from_value(rule)?)
}

/// What is known of SIM `n`: half are as they should be, a quarter are nobody knows where, a third have proved themselves.
pub fn facts(n: u32) -> Result<SimFacts> {
    let posture = if n.is_multiple_of(2) { "compliant" } else { "not_compliant" };
    let place = json!({ "site": format!("s{}", n % 5), "usual": n.is_multiple_of(3), "zone": "Asia/Tokyo",
                        "since": 0, "source": "ngap" });
    let proof = |until: i64| json!({ "until": until, "since": 0, "source": "oidc" });
    let assurance = match n % 3 {
        0 => proof(NOW.0 + HOUR_MS),
        1 => proof(NOW.0 - HOUR_MS),
        _ => Value::Null,
    };
    let risk = json!({ "value": "high", "since": 0, "until": null, "source": "soc" });
    Ok(serde_json::from_value(json!({
        "posture": { "value": posture, "since": 0, "until": null, "source": "mdm" },
        "place": if n.is_multiple_of(4) { Value::Null } else { place },
        "assurance": assurance,
        "risk": if n.is_multiple_of(16) { risk } else { Value::Null },
        "radio": null, "model": null, "grants": [],
    }))?)
}

/// All of it, without a running instance.
pub fn policy(sims: u32, rules: u32) -> Result<Policy> {
    let ue = |n| -> Result<UeGroups> {
        Ok(UeGroups { imsi: imsi(n)?, groups: set(n)?.into_iter().collect(), device: None, person: None })
    };
    Ok(Policy {
        generation: 1,
        apps: (0..APPS).map(app).collect::<Result<_>>()?,
        groups: (0..GROUPS).map(group).collect::<Result<_>>()?,
        rules: (0..rules).map(rule).collect::<Result<_>>()?,
        ues: (0..sims).map(ue).collect::<Result<_>>()?,
        ..Policy::default()
    })
}
