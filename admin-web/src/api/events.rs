//! What happens, as it happens: server-sent events that go on where they broke off.
//!
//! Each event carries its number. A client that comes back with `Last-Event-ID` first gets what it missed from the
//! store. What can no longer be had, because it was deleted or the store does not answer, is told as an event `gap`
//! with its numbers: silence never hides a loss.

use crate::{
    api::List,
    check::rfc3339,
    problem::{Lang, Problem},
    request::{Language, Paging, Params, bad_cursor, number_cursor, page_limit},
    rights::{Limited, ReadCapability},
    state::AppState,
    words,
};
use axum::{
    Json,
    extract::State,
    http::HeaderMap,
    response::sse::{Event as Sse, KeepAlive, Sse as Stream},
};
use futures_util::stream::{self, StreamExt as _};
use serde::{Deserialize, Serialize};
use std::{collections::VecDeque, convert::Infallible, time::Duration};
use store::EventRow;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use types::Imsi;
use utoipa::{IntoParams, ToSchema};

/// Something that happened.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(crate) struct EventView {
    /// Its number; rises by one.
    id: u64,
    at: String,
    /// Whose, where it is about a SIM.
    #[schema(value_type = Option<String>)]
    imsi: Option<Imsi>,
    /// registered, session-up, sim-state, alarm, ….
    kind: String,
    /// True for what the security desk wants to see first.
    security: bool,
    /// What happened, in words, in the language of the request.
    title: String,
    /// The rest, by kind.
    #[schema(value_type = Object)]
    detail: serde_json::Value,
}

impl EventView {
    /// An event in the words of one language.
    pub(crate) fn of(r: EventRow, lang: Lang) -> Self {
        let (kind, detail) = match serde_json::to_value(&r.event.what) {
            Ok(serde_json::Value::Object(o)) => o.into_iter().next().unwrap_or_default(),
            Ok(serde_json::Value::String(s)) => (s, serde_json::Value::Null),
            _ => Default::default(),
        };
        let title = words::happening(&r.event.what).text(lang).to_owned();
        let security = r.event.what.is_security();
        Self { id: r.seq, at: rfc3339(r.event.at), imsi: r.event.imsi, kind, security, title, detail }
    }
}

/// Where to begin and what to leave out.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventQuery {
    /// Begin after this number; the header Last-Event-ID stands above it. Without either: from now on.
    after: Option<u64>,
    /// Only events of this SIM.
    #[param(value_type = Option<String>)]
    imsi: Option<Imsi>,
}

/// Streams events. An event `gap` with `{"from": n, "to": m}` names events that cannot be had any more.
#[utoipa::path(get, path = "/api/v1/events", tag = "events",
    params(EventQuery, ("Last-Event-ID" = Option<u64>, Header, description = "Number of the last event that was seen")),
    security(("token" = ["read"])),
    responses((status = 200, body = EventView, content_type = "text/event-stream")))]
pub(crate) async fn stream(
    right: Limited<ReadCapability>,
    State(s): State<AppState>,
    headers: HeaderMap,
    Language(lang): Language,
    Params(q): Params<EventQuery>,
) -> Result<Stream<impl futures_util::Stream<Item = Result<Sse, Infallible>> + use<>>, Problem> {
    // The stream of every SIM is for nobody who is limited; that of one SIM is.
    match q.imsi {
        Some(imsi) => right.on_sim(&s, imsi).await?,
        None => right.everywhere()?,
    };
    let last_id = headers.get("last-event-id").map(|v| v.to_str().ok().and_then(|v| v.parse().ok()));
    let after = match last_id {
        Some(None) => return Err(bad_cursor()),
        Some(Some(n)) => Some(n),
        None => q.after,
    };
    // Heard from before the store is read: nothing falls between.
    let live = s.control.events();
    let last = match after {
        Some(n) => n,
        None => s.store.last_event().await?,
    };
    // Without a first octet the answer's head would wait for the first event, and the client would not know that it
    // is heard.
    let first = Sse::default().comment("open");
    let feed =
        Feed { state: s, live, last, imsi: q.imsi, ready: VecDeque::from([first]), behind: true, lang };
    let events = stream::unfold(feed, |mut f| async move { f.next().await.map(|e| (Ok(e), f)) });
    Ok(Stream::new(events.boxed()).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

/// What the security desk wants to see first: refusals, bans, clones, foreign devices, alarms. Newest first.
#[utoipa::path(get, path = "/api/v1/events/security", tag = "events", params(Paging),
    security(("token" = ["read"])), responses((status = 200, body = List<EventView>)))]
pub(crate) async fn security(
    _: ReadCapability,
    State(s): State<AppState>,
    Language(lang): Language,
    Params(q): Params<Paging>,
) -> Result<Json<List<EventView>>, Problem> {
    let before = number_cursor(q.cursor.as_deref())?;
    let page = s.store.security_events(before, page_limit(q.limit)?).await?;
    Ok(List::of(page, |r| EventView::of(r, lang)))
}

/// Where one client is.
struct Feed {
    state: AppState,
    live: Receiver<EventRow>,
    /// Number of the last event sent or passed over.
    last: u64,
    imsi: Option<Imsi>,
    ready: VecDeque<Sse>,
    /// True while the store may hold events that this client has not seen.
    behind: bool,
    lang: Lang,
}

/// Events read from the store at once.
const CHUNK: u32 = 500;

impl Feed {
    async fn next(&mut self) -> Option<Sse> {
        loop {
            if let Some(e) = self.ready.pop_front() {
                return Some(e);
            }
            if self.behind {
                self.catch_up().await;
                continue;
            }
            match self.live.recv().await {
                Ok(row) => self.take(row),
                // Too slow for the live feed; the store has it.
                Err(RecvError::Lagged(_)) => self.behind = true,
                Err(RecvError::Closed) => return None,
            }
        }
    }

    async fn catch_up(&mut self) {
        match self.state.store.events_after(self.last, CHUNK).await {
            Ok(rows) => {
                self.behind = rows.len() == CHUNK as usize;
                for row in rows {
                    self.take(row);
                }
            }
            Err(e) => {
                // What is missed shows as a gap when the next live event comes.
                tracing::warn!("events cannot be read for a stream that lags: {e}");
                self.behind = false;
            }
        }
    }

    /// Queues an event that is new to this client, and before it the gap, if there is one.
    fn take(&mut self, row: EventRow) {
        if row.seq <= self.last {
            return;
        }
        if row.seq > self.last + 1 {
            let gap = serde_json::json!({ "from": self.last + 1, "to": row.seq - 1 });
            self.ready.push_back(Sse::default().event("gap").data(gap.to_string()));
        }
        self.last = row.seq;
        if self.imsi.is_some_and(|i| row.event.imsi != Some(i)) {
            return;
        }
        let (id, view) = (row.seq.to_string(), EventView::of(row, self.lang));
        let text = serde_json::to_string(&view).unwrap_or_default();
        self.ready.push_back(Sse::default().id(id).event(view.kind).data(text));
    }
}
