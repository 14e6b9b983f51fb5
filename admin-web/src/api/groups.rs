//! Groups: named sets of SIMs.

use crate::{
    api::{
        List,
        documents::{self, Kept, Resource, handlers},
        requirement::RequirementBody,
    },
    check::{Check, Kind, Time, rfc3339},
    problem::Problem,
    request::{Body, IdempotencyKey, IfMatch, IfMatchHeader, Paging, Params, PathOf},
    rights::{Limited, PolicyCapability, ReadCapability},
    state::AppState,
};
use axum::{extract::State, http::StatusCode, response::Response};
use pgw_policy::{Item, Policy};
use serde::{Deserialize, Serialize};
use types::Group;
use utoipa::ToSchema;

/// A named set of SIMs. Members are named at each SIM.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Group)]
pub(crate) struct GroupBody {
    /// Its name: 1-63 of a-z, 0-9 and inner - _ .
    #[schema(example = "staff")]
    name: String,
    /// Words for people.
    #[serde(default)]
    label: String,
    /// Apps that its SIMs still reach while the group is in panic; nothing if empty.
    #[serde(default)]
    #[schema(example = json!(["alarm-centre"]))]
    emergency_apps: Vec<String>,
    /// Apps that its SIMs still reach while they are in quarantine; nothing if empty.
    #[serde(default)]
    #[schema(example = json!(["device-repair"]))]
    remediation_apps: Vec<String>,
    /// Department that its SIMs are of; words for people.
    department: Option<String>,
    /// Role that its SIMs have; words for people.
    role: Option<String>,
    /// True where its SIMs are of somebody who is not employed here.
    #[serde(default)]
    contractor: bool,
    /// When its contract ends (RFC 3339): from then on its SIMs are suspended.
    ends_at: Option<String>,
    /// What is asked of its SIMs' devices; without one, that the system which manages them calls them compliant.
    posture: Option<RequirementBody>,
}

impl Resource for Group {
    type Body = GroupBody;
    const PATH: &'static str = "/api/v1/groups";
    const KEY: &'static str = "name";

    fn read(b: GroupBody, check: &mut Check) -> Option<Self> {
        check.label("/label", &b.label, 200);
        let name = check.parse("/name", &b.name, Kind::Name);
        let emergency_apps = check.each("/emergency_apps", &b.emergency_apps, Kind::Name);
        let remediation_apps = check.each("/remediation_apps", &b.remediation_apps, Kind::Name);
        for (pointer, text) in [("/department", &b.department), ("/role", &b.role)] {
            if let Some(text) = text {
                check.filled(pointer, text, 200);
            }
        }
        let ends_at: Option<Option<Time>> = check.maybe("/ends_at", b.ends_at.as_deref(), Kind::Time);
        let posture = match b.posture {
            None => Some(None),
            Some(r) => r.read(check).map(Some),
        };
        Some(Self {
            name: name?,
            label: b.label,
            emergency_apps: emergency_apps?,
            remediation_apps: remediation_apps?,
            department: b.department,
            role: b.role,
            contractor: b.contractor,
            ends_at: ends_at?.map(|t| t.0),
            posture: posture?,
        })
    }

    fn body(self) -> GroupBody {
        GroupBody {
            name: self.name.to_string(),
            label: self.label,
            emergency_apps: self.emergency_apps.iter().map(ToString::to_string).collect(),
            remediation_apps: self.remediation_apps.iter().map(ToString::to_string).collect(),
            department: self.department,
            role: self.role,
            contractor: self.contractor,
            ends_at: self.ends_at.map(rfc3339),
            posture: self.posture.map(RequirementBody::from),
        }
    }

    fn list(policy: &mut Policy) -> &mut Vec<Self> {
        &mut policy.groups
    }

    fn is(item: &Item, key: &str) -> bool {
        matches!(item, Item::Group(n) if n.as_str() == key)
    }
}

handlers!(Group, GroupBody, "groups", "/api/v1/groups", "/api/v1/groups/{name}", "name");
