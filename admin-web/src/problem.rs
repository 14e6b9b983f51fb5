//! What a caller is told when something is not done: RFC 9457 problems, in English and Japanese.
//!
//! A handler returns a [`Problem`] with both texts; the outermost layer writes it in the language of the request.
//! Each problem says what is wrong, where (a JSON pointer for each field) and what to do about it. None repeats a
//! value that may be a key.

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};
use store::{Clash, StoreError};

/// A text in both languages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// English.
    pub en: String,
    /// Japanese.
    pub ja: String,
}

/// `say!("English {x}", "日本語 {x}")`: both texts with the same captured values.
#[macro_export]
macro_rules! say {
    ($en:literal, $ja:literal $(,)?) => {
        $crate::Said { en: format!($en), ja: format!($ja) }
    };
}
pub(crate) use say;

/// The cookie that the console keeps its language in: an event stream can send no header.
const LANG_COOKIE: &str = "sekisho-lang";

/// The value of a cookie of a request.
pub(crate) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
    all.flat_map(|v| v.split(';')).find_map(|c| {
        let (n, value) = c.trim().split_once('=')?;
        (n == name).then_some(value)
    })
}

/// The language of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// Japanese.
    Ja,
}

impl Lang {
    /// Of a request: what the console was set to, by a cookie, before what the browser says.
    pub(crate) fn asked(headers: &HeaderMap) -> Self {
        match cookie(headers, LANG_COOKIE) {
            Some("ja") => Self::Ja,
            Some("en") => Self::En,
            _ => Self::of(headers.get(header::ACCEPT_LANGUAGE).and_then(|v| v.to_str().ok())),
        }
    }

    /// From an Accept-Language header: the first of the two languages by weight, English without one.
    pub fn of(header: Option<&str>) -> Self {
        let weight = |lang: &str| {
            header
                .unwrap_or_default()
                .split(',')
                .filter_map(|part| {
                    let mut it = part.trim().split(';');
                    let tag = it.next()?.trim().to_ascii_lowercase();
                    let q = it.find_map(|p| p.trim().strip_prefix("q=")?.parse::<f32>().ok()).unwrap_or(1.0);
                    (tag == lang || tag.starts_with(&format!("{lang}-"))).then_some(q)
                })
                .fold(0.0, f32::max)
        };
        if weight("ja") > weight("en") { Self::Ja } else { Self::En }
    }
}

impl Said {
    /// The text in one language.
    pub fn text(&self, lang: Lang) -> &str {
        match lang {
            Lang::En => &self.en,
            Lang::Ja => &self.ja,
        }
    }
}

/// What is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) into the request's body, or `?name` for a query parameter.
    pub pointer: String,
    /// What is wrong.
    pub detail: Said,
    /// What to do.
    pub fix: Option<Said>,
}

/// A problem. Boxed: it is the rare arm of nearly every result here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem(Box<Case>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Case {
    status: u16,
    kind: &'static str,
    title: Said,
    detail: Option<Said>,
    fix: Option<Said>,
    fields: Vec<FieldError>,
    extra: Map<String, Value>,
}

impl Problem {
    /// A problem with its status and its stable kind, a word like `unknown-field`.
    pub fn new(status: u16, kind: &'static str, title: Said) -> Self {
        let (fields, extra) = (Vec::new(), Map::new());
        Self(Box::new(Case { status, kind, title, detail: None, fix: None, fields, extra }))
    }

    /// Adds what is wrong in this case.
    #[must_use]
    pub fn detail(mut self, said: Said) -> Self {
        self.0.detail = Some(said);
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn fix(mut self, said: Said) -> Self {
        self.0.fix = Some(said);
        self
    }

    /// Adds fields.
    #[must_use]
    pub fn fields(mut self, fields: Vec<FieldError>) -> Self {
        self.0.fields.extend(fields);
        self
    }

    /// Adds a member of its own kind.
    #[must_use]
    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.0.extra.insert(name.to_owned(), value);
        self
    }

    /// Its status.
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// True where the caller is known and has no right to what they asked for, or not there.
    pub(crate) fn is_for_want_of_rights(&self) -> bool {
        matches!(self.0.kind, "missing-right" | "outside-limits" | "limited-right")
    }

    /// What is wrong, in English, for the log and for alerts.
    pub(crate) fn in_english(&self) -> String {
        let more = self.0.detail.iter().chain(self.0.fields.iter().map(|f| &f.detail));
        let all = std::iter::once(&self.0.title).chain(more).take(4);
        all.map(|s| s.en.as_str()).collect::<Vec<_>>().join("; ")
    }

    /// No token, or none that counts.
    pub fn no_token() -> Self {
        Self::new(401, "no-token", say!("A token is needed", "トークンが必要です")).fix(say!(
            "send the header Authorization: Bearer TOKEN with a token that has not expired or been revoked",
            "有効期限内で失効していないトークンをヘッダー Authorization: Bearer TOKEN で送ってください"
        ))
    }

    /// Nothing here.
    pub fn not_found(what: Said) -> Self {
        Self::new(404, "not-found", say!("Not found", "見つかりません")).detail(what)
    }

    /// The body or a parameter is not as it should be.
    pub fn invalid(fields: Vec<FieldError>) -> Self {
        Self::new(422, "invalid", say!("The request is not valid", "リクエストの内容に誤りがあります"))
            .fields(fields)
    }

    /// One field is wrong.
    pub fn field(pointer: impl Into<String>, detail: Said, fix: Option<Said>) -> Self {
        Self::invalid(vec![FieldError { pointer: pointer.into(), detail, fix }])
    }

    /// Our own fault.
    pub fn internal() -> Self {
        Self::new(500, "internal", say!("An error inside", "内部エラー")).detail(say!(
            "this should not happen; the log has more under this request's id",
            "想定外のエラーです。詳細はこのリクエスト ID でログを確認してください"
        ))
    }

    /// A part that must answer does not.
    pub fn unavailable(detail: Said) -> Self {
        Self::new(503, "unavailable", say!("Not available now", "現在利用できません")).detail(detail).fix(
            say!(
                "try again; GET /readyz names the part that is down",
                "再試行してください。停止箇所は GET /readyz で確認できます"
            ),
        )
    }

    /// A method, path or media type that is not ours: what the status alone says.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let title = match status.as_u16() {
            404 => say!("There is nothing at this path", "このパスには何もありません"),
            405 => say!("This path does not take this method", "このパスではそのメソッドは使えません"),
            413 => say!("The body is too large", "本文が大きすぎます"),
            415 => say!("The body must be JSON", "本文は JSON で送ってください"),
            _ => say!("The request failed", "リクエストに失敗しました"),
        };
        let kind = match status.as_u16() {
            404 => "no-such-path",
            405 => "method",
            413 => "too-large",
            415 => "media-type",
            _ => "failed",
        };
        Self::new(status.as_u16(), kind, title)
    }

    /// The body of the answer.
    pub fn to_json(&self, lang: Lang, request_id: &str) -> Value {
        let mut v = Map::new();
        v.insert("type".to_owned(), json!(format!("urn:sekisho:problem:{}", self.0.kind)));
        v.insert("title".to_owned(), json!(self.0.title.text(lang)));
        v.insert("status".to_owned(), json!(self.0.status));
        if let Some(d) = &self.0.detail {
            v.insert("detail".to_owned(), json!(d.text(lang)));
        }
        if let Some(f) = &self.0.fix {
            v.insert("fix".to_owned(), json!(f.text(lang)));
        }
        if !self.0.fields.is_empty() {
            let fields: Vec<Value> = self.0.fields.iter().map(|f| f.to_json(lang)).collect();
            v.insert("errors".to_owned(), json!(fields));
        }
        v.insert("request_id".to_owned(), json!(request_id));
        v.extend(self.0.extra.clone());
        Value::Object(v)
    }

    /// The answer in one language.
    pub(crate) fn respond(&self, lang: Lang, request_id: &str) -> Response {
        let body = self.to_json(lang, request_id).to_string();
        let mut r = Response::new(Body::from(body));
        *r.status_mut() = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let h = r.headers_mut();
        h.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        let language = match lang {
            Lang::En => "en",
            Lang::Ja => "ja",
        };
        h.insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(language));
        if self.0.status == 401 {
            h.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"sekisho\""));
        }
        if let Some(n) = self.0.extra.get("retry_after").and_then(Value::as_u64) {
            h.insert(header::RETRY_AFTER, HeaderValue::from(n));
        }
        if self.0.status == 503 {
            h.insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        r
    }
}

impl FieldError {
    fn to_json(&self, lang: Lang) -> Value {
        let mut v = json!({ "pointer": self.pointer, "detail": self.detail.text(lang) });
        if let (Some(f), Some(o)) = (&self.fix, v.as_object_mut()) {
            o.insert("fix".to_owned(), json!(f.text(lang)));
        }
        v
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // In English until the outermost layer, which knows the request's language, writes it anew.
        let mut r = self.respond(Lang::En, "");
        r.extensions_mut().insert(self);
        r
    }
}

impl From<StoreError> for Problem {
    fn from(e: StoreError) -> Self {
        match e {
            StoreError::NotFound => {
                Self::not_found(say!("there is no such thing", "該当するものがありません"))
            }
            StoreError::Conflict { what } => Self::conflict(what),
            StoreError::VersionMismatch { current } => {
                Self::new(412, "changed", say!("It was changed meanwhile", "他の操作で変更されています"))
                    .detail(say!("it is at version {current}", "現在のバージョンは {current} です"))
                    .fix(say!(
                        "read it again, look at what changed, and send If-Match with its new ETag",
                        "最新の内容を取得して変更点を確認し、新しい ETag を If-Match に指定してください"
                    ))
            }
            StoreError::PolicyMoved { .. } => Self::new(
                409,
                "busy",
                say!("Others are changing the policy", "ポリシーが他の操作で変更中です"),
            )
            .fix(say!("send the request again", "もう一度送信してください")),
            StoreError::Transition(t) => {
                let (from, to) = (t.from, t.to);
                Self::new(
                    409,
                    "transition",
                    say!("This change of state is not allowed", "この状態変更はできません"),
                )
                .detail(say!(
                    "a SIM that is {from} cannot become {to} this way",
                    "状態 {from} の SIM をこの方法で {to} にはできません"
                ))
            }
            StoreError::Full => {
                Self::new(507, "disk-full", say!("The disk is full", "ディスクに空きがありません")).fix(say!(
                    "free space on the disk of the database; bans still work",
                    "データベースのディスクの空きを増やしてください。停止操作 (ban) は引き続き使えます"
                ))
            }
            StoreError::Unavailable(why) => {
                tracing::error!("the store is not available: {why}");
                Self::unavailable(say!("the database does not answer", "データベースが応答しません"))
            }
            StoreError::Damaged { what } => {
                tracing::error!("the store holds a {what} that cannot be read");
                Self::internal()
            }
        }
    }
}

impl Problem {
    /// What clashes, at the field that it came in.
    fn conflict(what: Clash) -> Self {
        let (pointer, detail, fix) = match what {
            Clash::Imsi => (
                "/imsi",
                say!("a SIM with this IMSI exists", "この IMSI の SIM は登録済みです"),
                say!(
                    "change the SIM that is there, or correct the IMSI",
                    "既存の SIM を変更するか、IMSI を訂正してください"
                ),
            ),
            Clash::Iccid => (
                "/iccid",
                say!("a SIM with this ICCID exists", "この ICCID の SIM は登録済みです"),
                say!("correct the ICCID", "ICCID を訂正してください"),
            ),
            Clash::Key => (
                "/k",
                say!("a SIM with this K exists", "この K を持つ SIM は登録済みです"),
                say!(
                    "every card has a K of its own: check the supplier's file for a repeated line",
                    "K はカードごとに異なります。ベンダーのファイルに重複行がないか確認してください"
                ),
            ),
            Clash::StaticAddress => (
                "/static_ips",
                say!("another SIM has this static address", "この固定アドレスは別の SIM に割り当て済みです"),
                say!("choose another address", "別のアドレスを指定してください"),
            ),
            Clash::Route => (
                "/routes",
                say!(
                    "a pool or another SIM's network has some of these addresses",
                    "プールまたは別の SIM の背後のネットワークとアドレスが重なっています"
                ),
                say!(
                    "give each network to one SIM, apart from the pools",
                    "プールと重ならないネットワークを、それぞれ 1 枚の SIM だけに割り当ててください"
                ),
            ),
            Clash::Name => (
                "/name",
                say!("there is one with this name", "同じ名前のものがあります"),
                say!(
                    "choose another name, or change the one that is there",
                    "別の名前にするか、既存のものを変更してください"
                ),
            ),
            Clash::Employee => (
                "/employee",
                say!("another person has this employee number", "この社員番号は別の人に登録済みです"),
                say!(
                    "correct it, or change the person who has it",
                    "訂正するか、登録済みの人を変更してください"
                ),
            ),
            Clash::External => (
                "/external",
                say!("another person has this id", "この外部 ID は別の人に登録済みです"),
                say!(
                    "correct it, or change the person who has it",
                    "訂正するか、登録済みの人を変更してください"
                ),
            ),
            Clash::Imei => (
                "/imei",
                say!("another device has this IMEI", "この IMEI は別の端末に登録済みです"),
                say!(
                    "correct it, or change the device that has it",
                    "訂正するか、登録済みの端末を変更してください"
                ),
            ),
            Clash::LastOwner => {
                return Self::new(
                    409,
                    "last-owner",
                    say!("The last owner stays", "最後の owner は外せません"),
                )
                .detail(say!(
                    "nobody would be left who may do everything",
                    "すべての権限を持つ人がいなくなります"
                ))
                .fix(say!(
                    "give somebody else the role owner without limits first",
                    "先に別の人へ範囲制限のない owner ロールを付与してください"
                ));
            }
            Clash::Reference => (
                "",
                say!(
                    "it names something that does not exist, or something else still uses it",
                    "存在しないものを参照しているか、まだ他から参照されています"
                ),
                say!(
                    "make what it names first; before a deletion change what uses it",
                    "参照先を先に作成してください。削除の場合は参照元を先に変更してください"
                ),
            ),
            Clash::Lease | Clash::Other => (
                "",
                say!("it stands against something that is there", "既存のデータと矛盾します"),
                say!("read what is there and try again", "既存のデータを確認して再試行してください"),
            ),
        };
        let p = Self::new(409, "conflict", say!("It clashes with what is there", "既存のデータと重複します"));
        if pointer.is_empty() {
            return p.detail(detail).fix(fix);
        }
        p.fields(vec![FieldError { pointer: pointer.to_owned(), detail, fix: Some(fix) }])
    }
}

impl From<crate::control::ControlError> for Problem {
    fn from(e: crate::control::ControlError) -> Self {
        use crate::control::ControlError as E;
        match e {
            E::NotFound => Self::not_found(say!("there is no such thing", "該当するものがありません")),
            E::Unavailable { part, why } => {
                tracing::error!(part, "{part} does not answer: {why}");
                Self::unavailable(say!("{part} does not answer", "{part} が応答しません"))
            }
            E::Denied(why) => Self::new(409, "denied", say!("Deny wins", "停止操作が優先されます"))
                .detail(Said { en: why.clone(), ja: why })
                .fix(say!(
                    "look who put it on, then try again",
                    "誰が停止したかを確認してから再試行してください"
                )),
            E::PolicyRefused(why) => Self::new(
                500,
                "policy-refused",
                say!("The stored policy does not compile", "保存済みポリシーをコンパイルできません"),
            )
            .detail(Said { en: why.clone(), ja: why }),
        }
    }
}
