//! Sources of facts: webhooks that tell how devices are, streams of security events, and clients that keep people and
//! their groups.

use crate::{
    api::{List, page_of_few, sim_bodies::Secret},
    check::{Check, Kind, rfc3339},
    problem::{Problem, say},
    request::{Body, IdempotencyKey, IfMatch, IfMatchHeader, Paging, Params, PathOf, etag},
    rights::{ReadCapability, SignalCapability},
    signals::{Stream, new_secret, scim, seal_secret},
    state::{AppState, now},
};
use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use store::{SourceRow, StoreError, Versioned};
use types::{Group, Name, SignalSource, SourceKind, SsfStream};
use utoipa::ToSchema;

/// A transmitter of security events (OpenID Shared Signals 1.0).
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SsfStream)]
pub(crate) struct StreamBody {
    /// Its issuer, as it stands in `iss` of each event.
    #[schema(example = "https://idp.example.jp")]
    issuer: String,
    /// What it calls us in `aud` of each event.
    #[schema(example = "https://sekisho.example.jp")]
    audience: String,
    /// Its keys as a JWK set (RFC 7517), where they are not to be read from it.
    #[schema(value_type = Option<Object>)]
    jwks: Option<serde_json::Value>,
    /// Where its keys are read, where they are not written down here; https.
    jwks_uri: Option<String>,
    /// Where its events are asked for (RFC 8936), https; without it, it pushes them (RFC 8935).
    poll_url: Option<String>,
    /// Levels that count as proved in an event assurance-level-change, such as nist-aal2.
    #[serde(default)]
    #[schema(example = json!(["nist-aal2"]))]
    assured_by: Vec<String>,
    /// For how long such a proof holds, seconds; 0: none is taken.
    #[serde(default)]
    assured_for_s: u32,
}

/// A source of facts to be made, or as it is to be.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SourceBody {
    /// 1-63 of a-z, 0-9 and inner - _ . : stands in its address and beside what it tells.
    #[schema(example = "intune")]
    name: String,
    /// Words for people.
    #[serde(default)]
    label: String,
    /// webhook, ssf or scim.
    kind: String,
    /// After so many seconds without a word there is an alert; never if not given.
    silent_after_s: Option<u32>,
    /// The transmitter, of kind ssf.
    ssf: Option<StreamBody>,
    /// What we show it when we ask for its events, of kind ssf with a poll_url: a bearer token. Write-only. It stays as it
    /// is where it is left out.
    #[schema(value_type = Option<String>, write_only)]
    poll_token: Option<Secret>,
    /// Which of our groups a group of the source means, by its displayName, of kind scim: the SIMs of its people are in
    /// ours, and those of its other people are not.
    #[serde(default)]
    #[schema(example = json!({ "SG-Engineering": "eng" }))]
    groups: BTreeMap<String, String>,
}

/// A source of facts, and how it does.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Source {
    /// Its name.
    name: String,
    /// Words for people.
    label: String,
    /// webhook, ssf or scim.
    kind: String,
    /// Where it tells us, below the address of this API; null where it is asked.
    address: Option<String>,
    /// After so many seconds without a word there is an alert.
    silent_after_s: Option<u32>,
    /// The transmitter, of kind ssf.
    ssf: Option<StreamBody>,
    /// Which of our groups a group of the source means, of kind scim.
    groups: BTreeMap<String, String>,
    /// When it last told something that was taken.
    last_success: Option<String>,
    /// How long ago that was, seconds.
    age_s: Option<i64>,
    /// True where that is longer than it may be.
    silent: bool,
    /// When something of it was last refused, or it did not answer.
    last_failure: Option<String>,
    /// Why.
    error: Option<String>,
    /// How much of it was taken.
    accepted: u64,
    /// How much of it was refused.
    refused: u64,
    /// What the transmitter last said of its stream: enabled, paused or disabled.
    stream: Option<String>,
    /// Its version: the ETag is this number in quotes.
    version: u64,
    /// When it was made.
    created: String,
    /// When it was last changed.
    changed: String,
}

/// A source that was made, with its secret: it is not shown again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NewSource {
    #[serde(flatten)]
    source: Source,
    /// What it signs its webhook with, of kind webhook: 64 hexadecimal digits. Shown once.
    secret: Option<String>,
}

/// Another secret.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NewSecret {
    /// What the source signs its webhook with from now on: 64 hexadecimal digits. Shown once.
    secret: String,
}

impl SourceBody {
    fn read(&self) -> Result<SignalSource, Problem> {
        let mut check = Check::default();
        let name: Option<Name> = check.parse("/name", &self.name, Kind::Name);
        check.label("/label", &self.label, 200);
        let kind: Option<SourceKind> = check.parse("/kind", &self.kind, Kind::Source);
        if self.name == "api" {
            check.add(
                "/name",
                say!("what is told by the API itself has this name", "API からの報告に使われる名前です"),
                Some(say!("choose another", "別の名前にしてください")),
            );
        }
        if self.silent_after_s.is_some_and(|s| s < 60) {
            check.add(
                "/silent_after_s",
                say!("it is shorter than a minute", "1 分より短い値です"),
                Some(say!("give 60 or more", "60 以上を指定してください")),
            );
        }
        if kind.is_some_and(|k| (k == SourceKind::Ssf) != self.ssf.is_some()) {
            check.add(
                "/ssf",
                say!(
                    "kind ssf has a transmitter, and no other kind has",
                    "送信元 (ssf) は種別 ssf の場合だけ指定します"
                ),
                Some(say!("add ssf or leave it out", "ssf を追加するか削除してください")),
            );
        }
        if self.poll_token.is_some() && self.ssf.as_ref().is_none_or(|t| t.poll_url.is_none()) {
            check.add(
                "/poll_token",
                say!("there is no poll_url that it is for", "対応する poll_url がありません"),
                Some(say!("leave it out", "省略してください")),
            );
        }
        let ssf = self.ssf.as_ref().map(|s| s.read(&mut check));
        let groups = self.groups(&mut check);
        check.finish(name.zip(kind).map(|(name, kind)| SignalSource {
            name,
            label: self.label.clone(),
            kind,
            silent_after_s: self.silent_after_s,
            ssf,
            groups,
        }))
    }

    fn groups(&self, check: &mut Check) -> BTreeMap<String, Name> {
        if !self.groups.is_empty() && self.kind != SourceKind::Scim.as_str() {
            check.add(
                "/groups",
                say!("only a source of kind scim has groups", "groups は種別 scim の場合だけ指定します"),
                Some(say!("leave it out", "省略してください")),
            );
        }
        let mut all = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for (shown, ours) in &self.groups {
            let at = at_group(shown);
            check.filled(&at, shown, 200);
            if !seen.insert(shown.to_lowercase()) {
                check.add(
                    &at,
                    say!("it is there twice, in other letters", "大文字小文字だけが異なる同じ名前があります"),
                    Some(say!("leave one of them out", "一方を削除してください")),
                );
            }
            if let Some(ours) = check.parse(&at, ours, Kind::Name) {
                all.insert(shown.clone(), ours);
            }
        }
        all
    }
}

/// The pointer of a group of the source.
fn at_group(shown: &str) -> String {
    format!("/groups/{}", shown.replace('~', "~0").replace('/', "~1"))
}

/// Refuses groups that are not there.
async fn groups_are_there(s: &AppState, source: &SignalSource) -> Result<(), Problem> {
    let mut check = Check::default();
    for (shown, ours) in &source.groups {
        match s.store.get::<Group>(ours.as_str()).await {
            Ok(_) => {}
            Err(StoreError::NotFound) => check.add(
                at_group(shown),
                say!("there is no group {ours}", "グループ {ours} は登録されていません"),
                Some(say!(
                    "make it first, or name one that exists",
                    "先に作成するか、既存のものを指定してください"
                )),
            ),
            Err(e) => return Err(e.into()),
        }
    }
    check.done()
}

impl StreamBody {
    fn read(&self, check: &mut Check) -> SsfStream {
        check.filled("/ssf/issuer", &self.issuer, 500);
        check.filled("/ssf/audience", &self.audience, 500);
        let jwks = self.jwks.as_ref().map(ToString::to_string);
        if self.jwks.is_some() == self.jwks_uri.is_some() {
            check.add(
                "/ssf/jwks",
                say!("keys come from one place", "鍵の指定元は 1 つです"),
                Some(say!(
                    "give either jwks or jwks_uri",
                    "jwks と jwks_uri のどちらか一方を指定してください"
                )),
            );
        }
        if let Some(text) = &jwks
            && let Err(why) = Stream::check_keys(text)
        {
            check.add(
                "/ssf/jwks",
                say!("it is no set of public keys: {why}", "公開鍵の JWK Set ではありません: {why}"),
                Some(say!(
                    "paste the document from the transmitter's jwks_uri",
                    "送信元の jwks_uri の内容を貼り付けてください"
                )),
            );
        }
        for (at, url) in [("/ssf/jwks_uri", &self.jwks_uri), ("/ssf/poll_url", &self.poll_url)] {
            if url.as_deref().is_some_and(|u| !Stream::may_ask(u)) {
                check.add(
                    at,
                    say!("it is no address that is asked", "問い合わせできるアドレスではありません"),
                    Some(say!("write https://…", "https:// で始まる URL を指定してください")),
                );
            }
        }
        let assured_by: BTreeSet<String> = self.assured_by.iter().cloned().collect();
        for (n, level) in self.assured_by.iter().enumerate() {
            check.filled(&format!("/ssf/assured_by/{n}"), level, 100);
        }
        SsfStream {
            issuer: self.issuer.clone(),
            audience: self.audience.clone(),
            jwks,
            jwks_uri: self.jwks_uri.clone(),
            poll_url: self.poll_url.clone(),
            assured_by,
            assured_for_s: self.assured_for_s,
        }
    }

    fn of(s: SsfStream) -> Self {
        Self {
            issuer: s.issuer,
            audience: s.audience,
            jwks: s.jwks.and_then(|t| serde_json::from_str(&t).ok()),
            jwks_uri: s.jwks_uri,
            poll_url: s.poll_url,
            assured_by: s.assured_by.into_iter().collect(),
            assured_for_s: s.assured_for_s,
        }
    }
}

impl Source {
    fn of(s: &AppState, row: SourceRow) -> Self {
        let health = s.signals.with_pending(&row);
        let v = row.source;
        let since = health.last_ok.unwrap_or(v.created);
        let age = (now().0 - since.0).max(0) / 1000;
        let polled = v.value.ssf.as_ref().is_some_and(|t| t.poll_url.is_some());
        let name = &v.value.name;
        let address = match v.value.kind {
            SourceKind::Webhook => Some(format!("/signals/{name}/posture")),
            SourceKind::Ssf if polled => None,
            SourceKind::Ssf => Some(format!("/signals/{name}/events")),
            SourceKind::Scim => Some(format!("/signals/{name}/scim/v2")),
        };
        Self {
            name: name.to_string(),
            label: v.value.label,
            kind: v.value.kind.to_string(),
            address,
            silent: v.value.silent_after_s.is_some_and(|most| age > i64::from(most)),
            silent_after_s: v.value.silent_after_s,
            ssf: v.value.ssf.map(StreamBody::of),
            groups: v.value.groups.into_iter().map(|(shown, ours)| (shown, ours.to_string())).collect(),
            age_s: health.last_ok.map(|_| age),
            last_success: health.last_ok.map(rfc3339),
            last_failure: health.last_bad.map(rfc3339),
            error: health.error,
            accepted: health.accepted,
            refused: health.refused,
            stream: s.signals.stream_status(name),
            version: v.version,
            created: rfc3339(v.created),
            changed: rfc3339(v.changed),
        }
    }
}

/// Lists the sources by name, each with its last success and its age.
#[utoipa::path(get, path = "/api/v1/posture/sources", tag = "posture", params(Paging),
    security(("token" = ["read"])), responses((status = 200, body = List<Source>)))]
pub(crate) async fn list(
    _: ReadCapability,
    State(s): State<AppState>,
    Params(p): Params<Paging>,
) -> Result<Json<List<Source>>, Problem> {
    let page = page_of_few(s.store.signal_sources().await?, &p, |r| r.source.value.name.to_string())?;
    Ok(List::of(page, |row| Source::of(&s, row)))
}

/// Makes a source. The secret of a webhook is in this answer and in no other.
#[utoipa::path(post, path = "/api/v1/posture/sources", tag = "posture", params(IdempotencyKey),
    request_body = SourceBody, security(("token" = ["signals"])), responses((status = 201, body = NewSource)))]
pub(crate) async fn create(
    right: SignalCapability,
    State(s): State<AppState>,
    Body(body): Body<SourceBody>,
) -> Result<Response, Problem> {
    let source = body.read()?;
    groups_are_there(&s, &source).await?;
    let secret = (source.kind == SourceKind::Webhook).then(new_secret).transpose()?;
    let kept = secret.clone().or_else(|| body.poll_token.as_ref().map(Secret::copied));
    let sealed = kept.map(|text| seal_secret(&s, &source.name, &text)).transpose()?;
    let name = source.name.clone();
    s.store.create_source(source, sealed, &right.caller().change("", now())).await?;
    let made = Source::of(&s, s.store.signal_source(&name).await?);
    let head =
        [(header::ETAG, etag(made.version)), (header::LOCATION, format!("/api/v1/posture/sources/{name}"))];
    let body = NewSource { source: made, secret: secret.map(|s| s.to_string()) };
    Ok((StatusCode::CREATED, head, Json(body)).into_response())
}

/// Reads one.
#[utoipa::path(get, path = "/api/v1/posture/sources/{name}", tag = "posture", params(("name" = String, Path)),
    security(("token" = ["read"])), responses((status = 200, body = Source)))]
pub(crate) async fn get(
    _: ReadCapability,
    State(s): State<AppState>,
    PathOf(name): PathOf<Name>,
) -> Result<Response, Problem> {
    let row = s.store.signal_source(&name).await.map_err(|e| no_such(&name, e))?;
    Ok(answer(&s, row))
}

/// Replaces one. Its kind and its secret stay.
#[utoipa::path(put, path = "/api/v1/posture/sources/{name}", tag = "posture",
    params(("name" = String, Path), IfMatchHeader), request_body = SourceBody,
    security(("token" = ["signals"])), responses((status = 200, body = Source)))]
pub(crate) async fn replace(
    right: SignalCapability,
    State(s): State<AppState>,
    PathOf(name): PathOf<Name>,
    expect: IfMatch,
    Body(body): Body<SourceBody>,
) -> Result<Response, Problem> {
    let source = body.read()?;
    let old: Versioned<SignalSource> =
        s.store.signal_source(&name).await.map_err(|e| no_such(&name, e))?.source;
    let mut check = Check::default();
    for (at, same) in [("/name", source.name == name), ("/kind", source.kind == old.value.kind)] {
        if !same {
            check.add(
                at,
                say!("it is not changed", "変更できません"),
                Some(say!(
                    "make a new one and delete the old one",
                    "新しく作成し、古いものを削除してください"
                )),
            );
        }
    }
    check.done()?;
    groups_are_there(&s, &source).await?;
    let change = right.caller().change("", now());
    s.store.replace_source(source, expect.0, &change).await.map_err(|e| no_such(&name, e))?;
    if let Some(token) = &body.poll_token {
        s.store.set_source_secret(&name, seal_secret(&s, &name, &token.copied())?, &change).await?;
    }
    s.signals.forget_keys(&name);
    scim::follow_one(&s, &name).await;
    Ok(answer(&s, s.store.signal_source(&name).await?))
}

/// Deletes one. What it told counts until it is too old.
#[utoipa::path(delete, path = "/api/v1/posture/sources/{name}", tag = "posture",
    params(("name" = String, Path), IfMatchHeader), security(("token" = ["signals"])),
    responses((status = 204, description = "Deleted")))]
pub(crate) async fn delete(
    right: SignalCapability,
    State(s): State<AppState>,
    PathOf(name): PathOf<Name>,
    expect: IfMatch,
) -> Result<StatusCode, Problem> {
    let change = right.caller().change("", now());
    s.store.delete_source(&name, expect.0, &change).await.map_err(|e| no_such(&name, e))?;
    s.signals.forget_keys(&name);
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a webhook another secret. The one before counts no longer.
#[utoipa::path(post, path = "/api/v1/posture/sources/{name}/secret", tag = "posture",
    params(("name" = String, Path), IdempotencyKey), security(("token" = ["signals"])),
    responses((status = 200, body = NewSecret)))]
pub(crate) async fn another_secret(
    right: SignalCapability,
    State(s): State<AppState>,
    PathOf(name): PathOf<Name>,
) -> Result<Json<NewSecret>, Problem> {
    let row = s.store.signal_source(&name).await.map_err(|e| no_such(&name, e))?;
    if row.source.value.kind != SourceKind::Webhook {
        return Err(Problem::new(
            409,
            "no-secret",
            say!("It signs with keys of its own", "自身の鍵で署名する送信元です"),
        )
        .fix(say!("only a webhook has a secret of ours", "シークレットを持つのは webhook だけです")));
    }
    let secret = new_secret()?;
    let sealed = seal_secret(&s, &name, &secret)?;
    s.store.set_source_secret(&name, sealed, &right.caller().change("", now())).await?;
    Ok(Json(NewSecret { secret: secret.to_string() }))
}

fn no_such(name: &Name, e: StoreError) -> Problem {
    match e {
        StoreError::NotFound => {
            Problem::not_found(say!("there is no source {name}", "送信元 {name} は登録されていません"))
        }
        e => e.into(),
    }
}

fn answer(s: &AppState, row: SourceRow) -> Response {
    let body = Source::of(s, row);
    ([(header::ETAG, etag(body.version))], Json(body)).into_response()
}
