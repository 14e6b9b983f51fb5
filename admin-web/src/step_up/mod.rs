//! The page inside the closed network: what is closed to a SIM and why, and the way of its person to the company's
//! identity provider and back (decision D14; OpenID Connect Core 1.0).
//!
//! | file | what |
//! | --- | --- |
//! | `proof` | out to the provider, back, and what a proof opens |
//! | `words` | why something is closed, for whoever stands before it |
//!
//! A UE's connection ends in another process, which passes on what it was asked and by which address; nothing else of it is
//! believed. Whose SIM that is says the address ledger; the browser names an app and is believed in nothing: what a
//! SIM waits for is asked of the policy in force. Nothing of the API is reached from here.

mod proof;
mod words;

use crate::{
    console::page::{Page, escape},
    problem::{Lang, Problem, say},
    provider::Provider,
    state::{AppState, now},
};
use axum::{
    body::to_bytes,
    extract::Query,
    http::{HeaderMap, HeaderName, HeaderValue, Uri, header},
    response::Response,
};
use pgw_policy::{Explanation, Question, Sample};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};
use store::{FactRow, FactsOf, LeaseFilter};
use types::{App, Direction, Imsi, Name, Person, Reason};

/// Octets of an answer, at most.
const LONGEST: usize = 48 * 1024;
/// Apps that are listed as waiting for a proof.
const LISTED: usize = 50;

/// What a UE asks of the page.
#[derive(Debug, Clone)]
pub struct PageRequest {
    /// The address that it asks from.
    pub from: IpAddr,
    /// Path and query.
    pub target: String,
    /// Its Accept-Language.
    pub language: String,
    /// Its cookies.
    pub cookie: String,
}

/// What it gets.
#[derive(Debug, Clone, Default)]
pub struct PageReply {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

/// How people prove themselves.
pub struct StepUp {
    /// The provider, to come back to the page from.
    provider: Arc<Provider>,
    /// A proof counts for so long, milliseconds.
    counts_ms: i64,
    /// The claim that says who somebody is.
    claim: String,
    /// What became of those who tried: `proved`, or why not.
    tried: Mutex<BTreeMap<&'static str, u64>>,
}

impl StepUp {
    /// By this provider, whose redirect leads to the page; a proof counts for so many milliseconds. `claim` is held against
    /// a person's id in another system, or their mail address where it is `email`.
    pub fn new(provider: Provider, counts_ms: i64, claim: &str) -> Self {
        Self { provider: Arc::new(provider), counts_ms, claim: claim.to_owned(), tried: Mutex::default() }
    }

    fn count(&self, what: &'static str) {
        *self.tried.lock().unwrap_or_else(PoisonError::into_inner).entry(what).or_insert(0) += 1;
    }

    /// How often what became of those who tried.
    pub(crate) fn counted(&self) -> BTreeMap<&'static str, u64> {
        self.tried.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What stands in a query.
#[derive(Debug, Default, Deserialize)]
struct Words {
    app: Option<Name>,
    lang: Option<String>,
    code: Option<String>,
    #[serde(default)]
    state: String,
    error: Option<String>,
    iss: Option<String>,
}

/// Who asks.
struct Who {
    imsi: Imsi,
    from: IpAddr,
    row: FactRow,
    person: Option<Person>,
}

/// Answers a UE.
pub async fn answer(s: &AppState, asked: PageRequest) -> PageReply {
    let (mut headers, words, path) = read(&asked);
    let lang = words.lang.as_deref().and_then(|l| ["en", "ja"].into_iter().find(|known| *known == l));
    if let Some(lang) = lang {
        // Before what the browser kept, because the first cookie of a name counts.
        if let Ok(v) = HeaderValue::from_str(&format!("sekisho-lang={lang}; {}", asked.cookie)) {
            headers.insert(header::COOKIE, v);
        }
    }
    let done = serve(s, asked.from, &path, words, &headers).await;
    let mut r = done.unwrap_or_else(|p| {
        Page::new(&headers, say!("This did not work", "処理できませんでした"))
            .wrong(&p)
            .link("/", &say!("To the beginning", "最初に戻る"))
            .done()
    });
    if let Some(lang) = lang {
        let text = format!("sekisho-lang={lang}; Path=/; Max-Age=31536000; HttpOnly; Secure; SameSite=Lax");
        r.headers_mut().extend(HeaderValue::from_str(&text).map(|v| (header::SET_COOKIE, v)));
    }
    reply(r).await
}

/// What was asked, as the pages read it.
fn read(asked: &PageRequest) -> (HeaderMap, Words, String) {
    let mut headers = HeaderMap::new();
    for (name, value) in [(header::ACCEPT_LANGUAGE, &asked.language), (header::COOKIE, &asked.cookie)] {
        headers.extend(HeaderValue::from_str(value).map(|v| (name, v)));
    }
    let uri: Uri = asked.target.parse().unwrap_or_default();
    let words = Query::<Words>::try_from_uri(&uri).map(|q| q.0).unwrap_or_default();
    (headers, words, uri.path().to_owned())
}

async fn serve(
    s: &AppState,
    from: IpAddr,
    path: &str,
    words: Words,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let who = who(s, from).await?;
    match path {
        "/" => show(s, &who, words.app.as_ref(), headers).await,
        proof::OUT => proof::out(s, &who, words.app, headers).await,
        crate::provider::CALLBACK => proof::back(s, &who, words, headers).await,
        _ => Err(Problem::not_found(say!("there is no such page", "該当するページがありません"))),
    }
}

/// The SIM that has this address, or behind which it lies.
async fn who(s: &AppState, from: IpAddr) -> Result<Who, Problem> {
    let nobody = || {
        Problem::new(
            403,
            "unknown-address",
            say!("No SIM has the address {from}", "アドレス {from} を持つ SIM がありません"),
        )
    };
    let filter = LeaseFilter { imsi: None, ip: Some(from), at: Some(now()) };
    let found = s.store.leases(&filter, None, 1).await?.items.first().map(|l| l.imsi);
    let imsi = found.ok_or_else(nobody)?;
    let row = s.store.fact_rows(&FactsOf::Sims(vec![imsi])).await?.pop().ok_or_else(nobody)?;
    let person = match &row.person {
        Some(id) => Some(s.store.entity::<Person>(id).await?.value),
        None => None,
    };
    Ok(Who { imsi, from, row, person })
}

/// The question whether the SIM may open this app, at its first address and service.
async fn question(s: &AppState, imsi: Imsi, app: &Name) -> Result<Question, Problem> {
    let unknown = || Problem::not_found(say!("there is no app {app}", "アプリ {app} はありません"));
    let app = match s.store.get::<App>(app.as_str()).await {
        Ok(found) => found.value,
        Err(store::StoreError::NotFound) => return Err(unknown()),
        Err(e) => return Err(e.into()),
    };
    let (Some(prefix), Some(service)) = (app.prefixes.first(), app.services.first()) else {
        return Err(unknown());
    };
    let Sample { direction, peer, protocol, port } = Sample::of(Direction::Out, prefix.addr(), service);
    Ok(Question { imsi, direction, peer, protocol, port })
}

/// Why this app is open or closed to the SIM.
async fn standing(s: &AppState, imsi: Imsi, app: &Name) -> Result<Explanation, Problem> {
    let question = question(s, imsi, app).await?;
    Ok(s.control.explain(question, None).await?)
}

/// `GET /`: what is closed, and why.
async fn show(s: &AppState, who: &Who, app: Option<&Name>, headers: &HeaderMap) -> Result<Response, Problem> {
    let lang = Lang::asked(headers);
    let title = say!("Access to company apps", "社内アプリへのアクセス");
    let mut page = Page::new(headers, title).raw(&about(s, who, lang).await?);
    let name = s.step_up.as_ref().map_or("", |p| p.provider.name());
    if let Some(app) = app {
        let story = standing(s, who.imsi, app).await?;
        page = page.raw(&format!("<h2>{}</h2>", escape(app.as_str())));
        for said in words::of(&story) {
            page = page.say(&said);
        }
        if let Some(id) = &story.grant {
            page = page.say(&words::until(s.store.grant(id).await?.until.0 - now().0));
        }
        if story.reason == Reason::StepUpNeeded {
            page = match (&s.step_up, &who.person) {
                (Some(_), Some(_)) => page.link(
                    &format!("{}?app={app}", proof::OUT),
                    &say!("Prove it is you at {name}", "{name} で本人確認を行う"),
                ),
                (Some(_), None) => page.say(&words::nobody()),
                (None, _) => page.say(&words::no_provider()),
            };
        }
    }
    let waiting = s.control.awaiting_proof(who.imsi).await?;
    let others: Vec<&Name> = waiting.iter().filter(|w| Some(*w) != app).take(LISTED).collect();
    if !others.is_empty() {
        page = page.raw(&format!("<h2>{}</h2>", escape(words::others().text(lang))));
        for other in others {
            page = page.link(&format!("/?app={other}"), &say!("{other}", "{other}"));
        }
    } else if app.is_none() {
        page = page.say(&words::nothing_waits());
    }
    Ok(page.raw(&switch(app, lang)).done())
}

/// Which SIM, device and person this is.
async fn about(s: &AppState, who: &Who, lang: Lang) -> Result<String, Problem> {
    let label = s.store.sim(who.imsi).await?.label;
    let device = who.row.used.as_ref().or(who.row.linked.as_ref()).map(|d| d.id.to_string());
    // Who is in a device that the directory does not have is told its IMEI, without the check digit.
    let device = device.or_else(|| who.row.seen_in.as_ref().map(|imei| format!("IMEI {imei}")));
    let unknown = || words::unknown().text(lang).to_owned();
    let sim = if label.is_empty() { who.imsi.to_string() } else { format!("{label} ({})", who.imsi) };
    let rows = [
        (say!("SIM", "SIM"), sim),
        (say!("Device", "端末"), device.unwrap_or_else(unknown)),
        (say!("Person", "利用者"), who.person.as_ref().map_or_else(unknown, |p| p.name.clone())),
        (say!("Address", "アドレス"), who.from.to_string()),
    ];
    let row = |(name, value): &(crate::problem::Said, String)| {
        format!("<dt>{}</dt><dd>{}</dd>", escape(name.text(lang)), escape(value))
    };
    Ok(format!("<dl>{}</dl>", rows.iter().map(row).collect::<String>()))
}

/// The way to the other language.
fn switch(app: Option<&Name>, lang: Lang) -> String {
    let (tag, name) = match lang {
        Lang::En => ("ja", "日本語"),
        Lang::Ja => ("en", "English"),
    };
    let app = app.map_or(String::new(), |a| format!("app={a}&"));
    format!("<p><a href=\"/?{}lang={tag}\" lang={tag} hreflang={tag}>{name}</a></p>", escape(&app))
}

async fn reply(mut r: Response) -> PageReply {
    crate::console::guard(r.headers_mut());
    r.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    r.headers_mut()
        .insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    let (parts, body) = r.into_parts();
    let Ok(body) = to_bytes(body, LONGEST).await else {
        return PageReply { status: 500, ..PageReply::default() };
    };
    let text = |(n, v): (&HeaderName, &HeaderValue)| Some((n.to_string(), v.to_str().ok()?.to_owned()));
    let headers = parts.headers.iter().filter_map(text).collect();
    PageReply { status: parts.status.as_u16(), headers, body: body.to_vec() }
}
