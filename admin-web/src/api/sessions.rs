//! Live PDU sessions: listed, and ended.

use crate::{
    api::{List, foreign::ForeignId},
    check::{Check, Kind, rfc3339},
    control::SessionView,
    problem::{Problem, say},
    request::{IdempotencyKey, Params, PathOf, page_limit},
    rights::{Limited, ReadCapability, SessionCapability},
    state::{AppState, now},
};
use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use types::{Dnn, Imsi, PduSessionId};
use utoipa::{IntoParams, ToSchema};

/// A live session.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Session {
    /// IMSI and PDU session identity: 001010000000001-1.
    id: String,
    imsi: String,
    pdu_session_id: u8,
    dnn: String,
    ip: String,
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
pub(crate) struct SessionId(Imsi, PduSessionId);

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0, u8::from(self.1))
    }
}

impl FromStr for SessionId {
    type Err = &'static str;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        const WHAT: &str = "a session is named IMSI-N, with N from 1 to 15";
        let (imsi, n) = s.split_once('-').ok_or(WHAT)?;
        // Written as we write it: one session has one name.
        let n: u8 = n.parse().ok().filter(|read: &u8| read.to_string() == n).ok_or(WHAT)?;
        Ok(Self(imsi.parse().map_err(|_| WHAT)?, n.try_into().map_err(|_| WHAT)?))
    }
}

/// The name of any live session: one of ours, or one that a foreign SMF steers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum AnySession {
    Own(SessionId),
    Foreign(ForeignId),
}

impl AnySession {
    fn imsi(self) -> Imsi {
        match self {
            Self::Own(SessionId(imsi, _)) => imsi,
            Self::Foreign(id) => id.imsi(),
        }
    }
}

impl fmt::Display for AnySession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own(id) => id.fmt(f),
            Self::Foreign(id) => id.fmt(f),
        }
    }
}

impl FromStr for AnySession {
    type Err = &'static str;
    fn from_str(s: &str) -> Result<Self, Self::Err> {
        // A SEID is always written in sixteen digits.
        match s.split_once('-').is_some_and(|(_, seid)| seid.len() == 16) {
            true => s.parse().map(Self::Foreign),
            false => s.parse().map(Self::Own),
        }
    }
}

impl From<SessionView> for Session {
    fn from(v: SessionView) -> Self {
        Self {
            id: SessionId(v.imsi, v.id).to_string(),
            imsi: v.imsi.to_string(),
            pdu_session_id: v.id.into(),
            dnn: v.dnn.to_string(),
            ip: v.ip.to_string(),
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
    /// `next` of the page before.
    cursor: Option<String>,
    /// Most items on a page, 1-1000; 100 if not given.
    limit: Option<u32>,
}

/// Lists live sessions by IMSI and session identity.
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
    let after: Option<Option<SessionId>> = check.maybe("?cursor", q.cursor.as_deref(), Kind::Word);
    check.done()?;
    let (imsi, dnn, after) = (imsi.flatten(), dnn.flatten(), after.flatten());
    let limit = page_limit(q.limit)? as usize;

    let within = right.sims(&s).await?;
    let mut all = s.control.sessions().await?;
    all.retain(|v| {
        within.as_ref().is_none_or(|w| w.contains(&v.imsi))
            && imsi.is_none_or(|i| v.imsi == i)
            && dnn.as_ref().is_none_or(|d| v.dnn == *d)
            && after.is_none_or(|a| SessionId(v.imsi, v.id) > a)
    });
    all.sort_by_key(|v| SessionId(v.imsi, v.id));
    let more = all.len() > limit;
    all.truncate(limit);
    let next = all.last().filter(|_| more).map(|v| SessionId(v.imsi, v.id).to_string());
    Ok(Json(List { items: all.into_iter().map(Session::from).collect(), next }))
}

/// Ends a session; the UE may come back. To keep it out, suspend or ban its SIM.
#[utoipa::path(delete, path = "/api/v1/sessions/{id}", tag = "sessions",
    params(("id" = String, Path), IdempotencyKey), security(("token" = ["sessions"])),
    responses((status = 204, description = "Ended")))]
pub(crate) async fn end(
    right: Limited<SessionCapability>,
    State(s): State<AppState>,
    PathOf(session): PathOf<AnySession>,
) -> Result<StatusCode, Problem> {
    let imsi = session.imsi();
    let right = right.on_sim(&s, imsi).await?;
    let ended = match session {
        AnySession::Own(SessionId(_, id)) => s.control.end_session(&right, imsi, id).await,
        AnySession::Foreign(id) => s.control.end_foreign_session(&right, imsi, id.seid()).await,
    };
    ended.map_err(|e| match e {
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
