//! Live sessions that another core's SMF steers in our gateway: listed. They end as ours do, by [`super::sessions::end`].

use crate::{
    api::List,
    check::{Check, Kind, rfc3339},
    problem::Problem,
    request::{Params, page_limit},
    rights::{Limited, ReadCapability},
    state::AppState,
};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use types::{Dnn, ForeignSession, Imsi};
use utoipa::{IntoParams, ToSchema};

/// A live session of a foreign SMF.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Foreign {
    /// IMSI and the gateway's SEID in hexadecimal: 001010000000001-00c0ffee00c0ffee.
    id: String,
    imsi: String,
    dnn: String,
    ip: String,
    /// Its IPv6 prefix, where it has one.
    prefix: Option<String>,
    /// Slice, where the SMF said one (5G).
    slice: Option<String>,
    /// Address of the SMF.
    smf: String,
    since: String,
}

/// A session's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ForeignId(Imsi, u64);

impl ForeignId {
    fn of(s: &ForeignSession) -> Self {
        Self(s.imsi, s.up_seid.0)
    }

    pub(crate) fn imsi(self) -> Imsi {
        self.0
    }

    pub(crate) fn seid(self) -> types::Seid {
        types::Seid(self.1)
    }
}

impl fmt::Display for ForeignId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:016x}", self.0, self.1)
    }
}

impl FromStr for ForeignId {
    type Err = &'static str;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        const WHAT: &str = "a foreign session is named IMSI-SEID, with the SEID in hexadecimal";
        let (imsi, seid) = s.split_once('-').ok_or(WHAT)?;
        Ok(Self(imsi.parse().map_err(|_| WHAT)?, u64::from_str_radix(seid, 16).map_err(|_| WHAT)?))
    }
}

impl From<ForeignSession> for Foreign {
    fn from(s: ForeignSession) -> Self {
        Self {
            id: ForeignId::of(&s).to_string(),
            imsi: s.imsi.to_string(),
            dnn: s.dnn.to_string(),
            ip: s.ip.to_string(),
            prefix: s.prefix.map(|p| p.to_string()),
            slice: s.snssai.map(|s| s.to_string()),
            smf: s.smf.to_string(),
            since: rfc3339(s.since),
        }
    }
}

/// Which foreign sessions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ForeignQuery {
    /// Only this SIM's.
    imsi: Option<String>,
    /// Only in this data network.
    dnn: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Most items on a page, 1-1000; 100 if not given.
    limit: Option<u32>,
}

/// Lists live sessions that foreign SMFs steer, by IMSI.
#[utoipa::path(get, path = "/api/v1/foreign-sessions", tag = "sessions", params(ForeignQuery),
    security(("token" = ["read"])), responses((status = 200, body = List<Foreign>)))]
pub(crate) async fn list(
    right: Limited<ReadCapability>,
    State(s): State<AppState>,
    Params(q): Params<ForeignQuery>,
) -> Result<Json<List<Foreign>>, Problem> {
    let mut check = Check::default();
    let imsi: Option<Option<Imsi>> = check.maybe("?imsi", q.imsi.as_deref(), Kind::Imsi);
    let dnn: Option<Option<Dnn>> = check.maybe("?dnn", q.dnn.as_deref(), Kind::Dnn);
    let after: Option<Option<ForeignId>> = check.maybe("?cursor", q.cursor.as_deref(), Kind::Word);
    check.done()?;
    let (imsi, dnn, after) = (imsi.flatten(), dnn.flatten(), after.flatten());
    let limit = page_limit(q.limit)? as usize;

    let within = right.sims(&s).await?;
    let mut all = s.control.foreign_sessions().await?;
    all.retain(|v| {
        within.as_ref().is_none_or(|w| w.contains(&v.imsi))
            && imsi.is_none_or(|i| v.imsi == i)
            && dnn.as_ref().is_none_or(|d| v.dnn == *d)
            && after.is_none_or(|a| ForeignId::of(v) > a)
    });
    all.sort_by_key(ForeignId::of);
    let more = all.len() > limit;
    all.truncate(limit);
    let next = all.last().filter(|_| more).map(|v| ForeignId::of(v).to_string());
    Ok(Json(List { items: all.into_iter().map(Foreign::from).collect(), next }))
}
