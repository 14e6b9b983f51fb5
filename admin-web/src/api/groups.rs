//! Groups: named sets of SIMs.

use crate::{
    api::{
        List,
        documents::{self, Kept, Resource, handlers},
    },
    check::{Check, Kind},
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
        Some(Self {
            name: name?,
            label: b.label,
            emergency_apps: emergency_apps?,
            remediation_apps: remediation_apps?,
        })
    }

    fn body(self) -> GroupBody {
        GroupBody {
            name: self.name.to_string(),
            label: self.label,
            emergency_apps: self.emergency_apps.iter().map(ToString::to_string).collect(),
            remediation_apps: self.remediation_apps.iter().map(ToString::to_string).collect(),
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
