//! Live sessions, our own SMF's and those that another core's SMF steers in our gateway: listed, and ended.

use crate::{
    api::List,
    check::{Check, Kind, rfc3339},
    control::{SessionKey, SessionView},
    problem::{Problem, say},
    request::{IdempotencyKey, Params, PathOf, page_limit},
    rights::{Limited, ReadCapability, SessionCapability},
    state::{AppState, now},
};
use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use types::{Dnn, Imsi, Seid};
use utoipa::{IntoParams, ToSchema};

/// Who steers a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum SessionKind {
    /// Our own SMF.
    Own,
    /// Another core's SMF, by PFCP.
    Foreign,
}

impl SessionKind {
    pub(crate) fn of(key: SessionKey) -> Self {
        match key {
            SessionKey::Own(_) => Self::Own,
            SessionKey::Foreign(_) => Self::Foreign,
        }
    }
}

impl FromStr for SessionKind {
    type Err = &'static str;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        match s {
            "own" => Ok(Self::Own),
            "foreign" => Ok(Self::Foreign),
            _ => Err("a kind of session is own or foreign"),
        }
    }
}

/// A live session.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Session {
    /// IMSI and PDU session identity: 001010000000001-1. Of a foreign one IMSI and the gateway's SEID in hexadecimal:
    /// 001010000000001-00c0ffee00c0ffee.
    id: String,
    imsi: String,
    /// own, or foreign: steered by another core's SMF.
    kind: SessionKind,
    /// Of our own ones.
    pdu_session_id: Option<u8>,
    /// The SMF that steers a foreign one.
    smf: Option<String>,
    /// The gateway's SEID of a foreign one, hexadecimal.
    seid: Option<String>,
    dnn: String,
    slice: Option<String>,
    ip: String,
    /// Its IPv6 prefix, where it has one.
    prefix: Option<String>,
    /// Most bits a second from the UE: of all sessions of the SIM together, or what a foreign SMF says of this one.
    uplink_bps: Option<u64>,
    /// The same to the UE.
    downlink_bps: Option<u64>,
    /// True while the UE has a radio connection for it.
    connected: bool,
    gnb: Option<String>,
    /// PLMN and tracking area code, the latter in hexadecimal: 001-01-000001.
    tai: Option<String>,
    /// NR cell identity in hexadecimal.
    cell: Option<String>,
    since: String,
    /// True where the gateway drops everything of it.
    banned: bool,
}

/// A session's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SessionId(Imsi, SessionKey);

impl SessionId {
    pub(crate) fn of(v: &SessionView) -> Self {
        Self(v.imsi, v.key)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.1 {
            SessionKey::Own(id) => write!(f, "{}-{}", self.0, u8::from(id)),
            SessionKey::Foreign(seid) => write!(f, "{}-{seid}", self.0),
        }
    }
}

impl FromStr for SessionId {
    type Err = &'static str;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        const WHAT: &str = "a session is named IMSI-N, with N from 1 to 15; a foreign one IMSI-SEID, with the SEID in 16 hexadecimal digits";
        let (imsi, which) = s.split_once('-').ok_or(WHAT)?;
        let imsi = imsi.parse().map_err(|_| WHAT)?;
        let key = match which.len() {
            16 => SessionKey::Foreign(Seid(u64::from_str_radix(which, 16).map_err(|_| WHAT)?)),
            _ => {
                let n: u8 = which.parse().map_err(|_| WHAT)?;
                SessionKey::Own(n.try_into().map_err(|_| WHAT)?)
            }
        };
        // Written as we write it: one session has one name.
        let id = Self(imsi, key);
        if id.to_string() == s { Ok(id) } else { Err(WHAT) }
    }
}

impl From<SessionView> for Session {
    fn from(v: SessionView) -> Self {
        let (pdu_session_id, seid) = match v.key {
            SessionKey::Own(id) => (Some(id.into()), None),
            SessionKey::Foreign(seid) => (None, Some(seid.to_string())),
        };
        let (uplink_bps, downlink_bps) = v.rates.unzip();
        Self {
            id: SessionId::of(&v).to_string(),
            imsi: v.imsi.to_string(),
            kind: SessionKind::of(v.key),
            pdu_session_id,
            smf: v.smf,
            seid,
            dnn: v.dnn.to_string(),
            slice: v.slice.map(|s| s.to_string()),
            ip: v.ip.to_string(),
            prefix: v.prefix.map(|p| p.to_string()),
            uplink_bps,
            downlink_bps,
            connected: v.connected,
            gnb: v.gnb,
            tai: v.tai.map(|t| format!("{}-{:06x}", t.plmn, u32::from(t.tac))),
            cell: v.cell.map(|c| format!("{c:09x}")),
            since: rfc3339(v.since),
            banned: v.banned,
        }
    }
}

/// Which sessions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SessionQuery {
    /// Only this SIM's.
    imsi: Option<String>,
    /// Only in this data network.
    dnn: Option<String>,
    /// Only own, or only foreign ones.
    kind: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Most items on a page, 1-1000; 100 if not given.
    limit: Option<u32>,
}

/// Lists live sessions by IMSI: our own by session identity, then those that another core's SMF steers by SEID.
#[utoipa::path(get, path = "/api/v1/sessions", tag = "sessions", params(SessionQuery),
    security(("token" = ["read"])), responses((status = 200, body = List<Session>)))]
pub(crate) async fn list(
    right: Limited<ReadCapability>,
    State(s): State<AppState>,
    Params(q): Params<SessionQuery>,
) -> Result<Json<List<Session>>, Problem> {
    let mut check = Check::default();
    let imsi: Option<Option<Imsi>> = check.maybe("?imsi", q.imsi.as_deref(), Kind::Imsi);
    let dnn: Option<Option<Dnn>> = check.maybe("?dnn", q.dnn.as_deref(), Kind::Dnn);
    let kind: Option<Option<SessionKind>> = check.maybe("?kind", q.kind.as_deref(), Kind::Word);
    let after: Option<Option<SessionId>> = check.maybe("?cursor", q.cursor.as_deref(), Kind::Word);
    check.done()?;
    let (imsi, dnn, kind, after) = (imsi.flatten(), dnn.flatten(), kind.flatten(), after.flatten());
    let limit = page_limit(q.limit)? as usize;

    let within = right.sims(&s).await?;
    let mut all = s.control.sessions().await?;
    all.retain(|v| {
        within.as_ref().is_none_or(|w| w.contains(&v.imsi))
            && imsi.is_none_or(|i| v.imsi == i)
            && dnn.as_ref().is_none_or(|d| v.dnn == *d)
            && kind.is_none_or(|k| SessionKind::of(v.key) == k)
            && after.is_none_or(|a| SessionId::of(v) > a)
    });
    all.sort_by_key(SessionId::of);
    let more = all.len() > limit;
    all.truncate(limit);
    let next = all.last().filter(|_| more).map(|v| SessionId::of(v).to_string());
    Ok(Json(List { items: all.into_iter().map(Session::from).collect(), next }))
}

/// Ends a session; the UE may come back. To keep it out, suspend or ban its SIM. The SMF of a foreign one learns it when it
/// next speaks of it.
#[utoipa::path(delete, path = "/api/v1/sessions/{id}", tag = "sessions",
    params(("id" = String, Path), IdempotencyKey), security(("token" = ["sessions"])),
    responses((status = 204, description = "Ended")))]
pub(crate) async fn end(
    right: Limited<SessionCapability>,
    State(s): State<AppState>,
    PathOf(session): PathOf<SessionId>,
) -> Result<StatusCode, Problem> {
    let SessionId(imsi, key) = session;
    let right = right.on_sim(&s, imsi).await?;
    s.control.end_session(&right, imsi, key).await.map_err(|e| match e {
        crate::ControlError::NotFound => {
            Problem::not_found(say!("there is no session {session}", "セッション {session} はありません"))
        }
        e => e.into(),
    })?;
    let change = right.caller().change("", now());
    if let Err(e) = s.store.audit_note(&change, "session.end", format!("sim:{imsi}"), None).await {
        tracing::error!("the end of session {session} is not in the audit: {e}");
    }
    Ok(StatusCode::NO_CONTENT)
}
