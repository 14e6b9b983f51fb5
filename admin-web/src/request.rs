//! What comes in: bodies, parameters, preconditions. Each is refused with the field, what is wrong and what to do.

use crate::{
    problem::{FieldError, Lang, Problem, say},
    state::AppState,
};
use axum::{
    extract::{FromRequest, FromRequestParts, Query, RawPathParams, Request},
    http::{StatusCode, header, request::Parts},
};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use std::str::FromStr;
use utoipa::IntoParams;

/// Largest body, octets.
pub(crate) const BODY_LIMIT: usize = 1 << 20;
/// Largest body that holds a whole policy: tens of thousands of rules.
const POLICY_LIMIT: usize = 16 << 20;
/// Items on a page where nothing else is asked for.
const PAGE: u32 = 100;
/// Most items on a page.
const PAGE_MOST: u32 = 1000;

/// A JSON body. Fields that are not known are refused.
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<AppState> for Body<T> {
    type Rejection = Problem;

    async fn from_request(req: Request, _: &AppState) -> Result<Self, Problem> {
        let kind = req.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
        let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        if essence != "application/json" {
            return Err(Problem::of_status(StatusCode::UNSUPPORTED_MEDIA_TYPE).fix(say!(
                "send Content-Type: application/json",
                "Content-Type: application/json を指定してください"
            )));
        }
        let most = limit_of(req.uri().path());
        let octets = read_body(req.into_body(), most).await?;
        // What is read takes a list for its fields in their order, which is no form of ours.
        if octets.trim_ascii_start().starts_with(b"[") {
            json::<serde_json::Map<String, serde_json::Value>>(&octets)?;
        }
        json(&octets).map(Self)
    }
}

/// JSON in full; what is wrong is named with its place.
pub(crate) fn json<T: DeserializeOwned>(octets: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(octets);
    let value =
        serde_path_to_error::deserialize(&mut json).map_err(|e| wrong_json(&pointer(e.path()), e.inner()))?;
    json.end().map_err(|e| wrong_json("", &e))?;
    Ok(value)
}

/// The most octets of a body that comes by this path.
pub(crate) fn limit_of(path: &str) -> usize {
    if path.starts_with("/api/v1/policies/") { POLICY_LIMIT } else { BODY_LIMIT }
}

/// The whole body, up to a limit in octets.
pub(crate) async fn read_body(body: axum::body::Body, most: usize) -> Result<axum::body::Bytes, Problem> {
    axum::body::to_bytes(body, most).await.map_err(|_| {
        Problem::of_status(StatusCode::PAYLOAD_TOO_LARGE)
            .detail(say!("the most is {most} octets", "上限は {most} オクテットです"))
    })
}

/// A JSON pointer from serde's path.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    path.iter()
        .map(|s| match s {
            Segment::Seq { index } => format!("/{index}"),
            Segment::Map { key } => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { variant } => format!("/{variant}"),
            Segment::Unknown => String::new(),
        })
        .collect()
}

fn wrong_json(at: &str, e: &serde_json::Error) -> Problem {
    if e.is_data() {
        return Problem::invalid(vec![wrong_field(at, &e.to_string())]);
    }
    let (line, column) = (e.line(), e.column());
    Problem::new(400, "not-json", say!("The body is not JSON", "本文が JSON ではありません"))
        .detail(say!("the error is at line {line}, column {column}", "{line} 行 {column} 桁に誤りがあります"))
}

/// From serde's words. The value itself is never repeated: it may be a key.
fn wrong_field(at: &str, text: &str) -> FieldError {
    let quoted = text.split('`').nth(1).unwrap_or_default();
    let expected = text.split(", expected ").nth(1).unwrap_or_default();
    let expected = expected.split(" at line ").next().unwrap_or_default();
    let last = at.rsplit('/').next().unwrap_or_default();
    let below = if last == quoted { at.to_owned() } else { format!("{at}/{quoted}") };
    if text.starts_with("unknown field") {
        FieldError {
            pointer: below,
            detail: say!("there is no field {quoted} here", "{quoted} というフィールドはありません"),
            fix: Some(say!(
                "remove it or correct its name: {expected}",
                "削除するか名前を訂正してください: {expected}"
            )),
        }
    } else if text.starts_with("missing field") {
        FieldError {
            pointer: below,
            detail: say!("{quoted} is missing", "{quoted} がありません"),
            fix: Some(say!("add {quoted}", "{quoted} を追加してください")),
        }
    } else if text.starts_with("duplicate field") {
        FieldError {
            pointer: below,
            detail: say!("{quoted} stands here twice", "{quoted} が重複しています"),
            fix: Some(say!("remove one", "一方を削除してください")),
        }
    } else if expected.is_empty() {
        // The words of the type that parses it (an identity, a name): its rule, never the value. Serde's own begin with
        // "invalid" and may repeat the value.
        let rule = text.split(" at line ").next().unwrap_or_default();
        let said = !rule.is_empty() && !rule.starts_with("invalid ");
        FieldError {
            pointer: at.to_owned(),
            detail: say!("the value is not of the right form", "値の形式が正しくありません"),
            fix: said.then(|| say!("{rule}", "正しい形式で指定してください: {rule}")),
        }
    } else {
        FieldError {
            pointer: at.to_owned(),
            detail: say!("the value is of the wrong kind", "値の種類が正しくありません"),
            fix: Some(say!("give {expected}", "{expected} を指定してください")),
        }
    }
}

/// Parameters of the query. Names that are not known are refused.
pub(crate) struct Params<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<AppState> for Params<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Problem> {
        let q = Query::<T>::try_from_uri(&parts.uri).map_err(|e| {
            let text = e.body_text();
            let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
            // "limit: invalid digit found in string" and "unknown field `x`, expected …".
            let (at, text) = match text.split_once(": ") {
                Some((at, rest)) if !at.contains(' ') => (at, rest),
                _ => ("", text),
            };
            let mut f = wrong_field(at, text);
            f.pointer =
                format!("?{}", f.pointer.trim_start_matches('/').rsplit('/').next().unwrap_or_default());
            Problem::invalid(vec![f])
        })?;
        Ok(Self(q.0))
    }
}

/// The one parameter of the path, in the canonical form of a type.
pub(crate) struct PathOf<T>(pub(crate) T);

impl<T: FromStr<Err: std::fmt::Display>> FromRequestParts<AppState> for PathOf<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Problem> {
        let params =
            RawPathParams::from_request_parts(parts, state).await.map_err(|_| Problem::internal())?;
        let (name, text) = params.iter().next().ok_or_else(Problem::internal)?;
        text.parse().map(Self).map_err(|e: T::Err| {
            let detail = say!("{name} in the path: {e}", "パスの {name} が正しくありません: {e}");
            Problem::not_found(detail)
        })
    }
}

/// The version in If-Match; `None` for `*`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IfMatch(pub(crate) Option<u64>);

impl FromRequestParts<AppState> for IfMatch {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Problem> {
        let Some(v) = parts.headers.get(header::IF_MATCH) else {
            return Err(Problem::new(428, "if-match", say!("If-Match is needed", "If-Match が必要です"))
                .detail(say!(
                    "a change says which version it was made for, so that nobody's work is overwritten unseen",
                    "他の変更を上書きしないよう、どのバージョンに対する変更かを指定する必要があります"
                ))
                .fix(say!(
                    "read the thing first and send its ETag as If-Match",
                    "先に対象を取得し、その ETag を If-Match に指定してください"
                )));
        };
        let text = v.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Ok(Self(None));
        }
        let quoted = text.strip_prefix("W/").unwrap_or(text);
        let plain = quoted.strip_prefix('"').and_then(|t| t.strip_suffix('"'));
        let version = plain.filter(|t| t.bytes().all(|b| b.is_ascii_digit())).and_then(|t| t.parse().ok());
        version.map(|v| Self(Some(v))).ok_or_else(|| {
            // An ETag that we never gave matches nothing.
            Problem::new(412, "changed", say!("It is not at that version", "そのバージョンではありません"))
                .fix(say!(
                    "send the ETag of the thing as it was read",
                    "取得時の ETag をそのまま指定してください"
                ))
        })
    }
}

/// The ETag of a version.
pub(crate) fn etag(version: u64) -> String {
    format!("\"{version}\"")
}

/// Documentation of the header that [`IfMatch`] reads.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "read by utoipa alone")]
pub(crate) struct IfMatchHeader {
    /// The ETag that was read, or `*`.
    #[param(rename = "If-Match")]
    if_match: String,
}

/// Documentation of the header that the idempotency layer reads.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[allow(dead_code, reason = "read by utoipa alone")]
pub(crate) struct IdempotencyKey {
    /// Any text of 1–128 characters that is new for each intended effect, such as a UUID.
    #[param(rename = "Idempotency-Key", min_length = 1, max_length = 128)]
    idempotency_key: String,
}

/// Cursor and limit of a list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Paging {
    /// `next` of the page before.
    pub(crate) cursor: Option<String>,
    /// Most items on a page, 1–1000; 100 if not given.
    pub(crate) limit: Option<u32>,
}

/// The limit of a page within its bounds.
pub(crate) fn page_limit(limit: Option<u32>) -> Result<u32, Problem> {
    match limit.unwrap_or(PAGE) {
        n @ 1..=PAGE_MOST => Ok(n),
        _ => Err(Problem::field(
            "?limit",
            say!("a page has 1 to {PAGE_MOST} items", "1 ページは 1〜{PAGE_MOST} 件です"),
            Some(say!("choose a limit within", "範囲内の limit を指定してください")),
        )),
    }
}

/// A word of the query that is one of these: an unknown one would find nothing, and nobody would know why.
pub(crate) fn one_of(name: &str, word: Option<&str>, words: &[&str]) -> Result<(), Problem> {
    if word.is_none_or(|w| words.contains(&w)) {
        return Ok(());
    }
    let known = words.join(", ");
    Err(Problem::field(
        name,
        say!("there is no such word here", "使えない値です"),
        Some(say!("give one of {known}", "次のいずれかを指定してください: {known}")),
    ))
}

/// A cursor that is a number.
pub(crate) fn number_cursor(cursor: Option<&str>) -> Result<Option<u64>, Problem> {
    cursor.map(|c| c.parse().map_err(|_| bad_cursor())).transpose()
}

pub(crate) fn bad_cursor() -> Problem {
    Problem::field(
        "?cursor",
        say!("this cursor is not one of ours", "この cursor は無効です"),
        Some(say!("use next of the page before, unchanged", "前ページの next をそのまま指定してください")),
    )
}

/// Tells a field that is absent (`None`) from one that is null (`Some(None)`).
pub(crate) fn or_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    d: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(d).map(Some)
}

/// The language of the request, for texts in good answers.
pub(crate) struct Language(pub(crate) Lang);

impl FromRequestParts<AppState> for Language {
    type Rejection = std::convert::Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Self::Rejection> {
        Ok(Self(Lang::asked(&parts.headers)))
    }
}
