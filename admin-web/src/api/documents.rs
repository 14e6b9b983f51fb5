//! What data networks, apps, groups and rules have in common: made, changed and deleted by name and version, and
//! only where the whole policy is sound with the change.
//!
//! The draft is checked against one generation and stored against the same; should somebody else have been faster,
//! it is checked again. Two changes that are right one by one cannot be wrong together.

use crate::{
    api::{List, policy_tests::published, risk},
    check::{Check, rfc3339},
    problem::{FieldError, Problem, Said, say},
    request::{IfMatch, Paging, etag, page_limit},
    rights::{Limited, PolicyCapability, Reach, ReadCapability},
    state::{AppState, now},
};
use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use pgw_policy::{Item, Policy, PolicyError};
use serde::Serialize;
use store::{Change, Document, Place, StoreError, Versioned};
use utoipa::ToSchema;

/// A thing as it is answered: its body, its version and its times.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Kept<B> {
    #[serde(flatten)]
    body: B,
    /// Its version: the ETag is this number in quotes.
    version: u64,
    /// When it was made.
    created: String,
    /// When it was last changed.
    changed: String,
}

impl<B> Kept<B> {
    pub(crate) fn of(body: B, version: u64, created: types::Utc, changed: types::Utc) -> Self {
        Self { body, version, created: rfc3339(created), changed: rfc3339(changed) }
    }
}

/// An answer with the version as its ETag.
pub(crate) fn stamped<B: Serialize>(status: StatusCode, version: u64, body: B) -> Response {
    (status, [(header::ETAG, etag(version))], Json(body)).into_response()
}

/// A kind of thing.
pub(crate) trait Resource: Document {
    /// Its form in requests and answers.
    type Body: Serialize + Send;
    /// The collection's path.
    const PATH: &'static str;
    /// Field of its name.
    const KEY: &'static str;
    /// Reads a body; every finding goes to `check`.
    fn read(body: Self::Body, check: &mut Check) -> Option<Self>;
    /// The body of a stored thing.
    fn body(self) -> Self::Body;
    /// The list in a policy where it stands.
    fn list(policy: &mut Policy) -> &mut Vec<Self>;
    /// True where who is limited to groups or sites may see it.
    const SEEN_WITHIN: bool = true;
    /// The place that it is about alone, where there is one: who is limited may write it if that lies within.
    fn place(&self) -> Option<Place> {
        None
    }
    /// Refuses what stands against something that is no part of the policy.
    fn clash(_s: &AppState, _w: &Write<Self>) -> impl Future<Output = Result<(), Problem>> + Send {
        async { Ok(()) }
    }
    /// True where a finding is about the thing of this name.
    fn is(item: &Item, key: &str) -> bool;
    /// The policy as it would be, as far as it takes to see whether it is sound: the whole, if a kind does not say it
    /// better.
    fn draft(s: &AppState, w: &Write<Self>) -> impl Future<Output = Result<Policy, Problem>> + Send {
        async {
            let mut draft = policy(s.store.policy_source().await?);
            apply(w, Self::list(&mut draft));
            Ok(draft)
        }
    }
}

/// What is to be written.
#[derive(Clone)]
pub(crate) enum Write<T> {
    Create(T),
    Replace(T, Option<u64>),
    Delete(String, Option<u64>),
}

impl<T: Resource> Write<T> {
    /// The name of what is written.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::Create(v) | Self::Replace(v, _) => v.key(),
            Self::Delete(k, _) => k.clone(),
        }
    }
}

/// Refuses who is limited where the kind is not for him.
fn seen<T: Resource>(right: Limited<ReadCapability>) -> Result<(), Problem> {
    if T::SEEN_WITHIN { Ok(()) } else { right.everywhere().map(|_| ()) }
}

/// The right to write one, where its place lies within the limits.
fn over<T: Resource>(right: Limited<PolicyCapability>, value: &T) -> Result<PolicyCapability, Problem> {
    match value.place() {
        Some(place) => right.at(&place),
        None => right.everywhere(),
    }
}

/// The right to change one that is there. Who is limited changes the very version that was looked at.
async fn over_old<T: Resource>(
    s: &AppState,
    right: Limited<PolicyCapability>,
    key: &str,
    expect: IfMatch,
) -> Result<(PolicyCapability, IfMatch), Problem> {
    if *right.reach() == Reach::Everywhere {
        return Ok((right.everywhere()?, expect));
    }
    let old = s.store.get::<T>(key).await.map_err(|e| match e {
        StoreError::NotFound => crate::rights::outside(),
        e => e.into(),
    })?;
    Ok((over(right, &old.value)?, IfMatch(expect.0.or(Some(old.version)))))
}

pub(crate) async fn list<T: Resource>(
    s: &AppState,
    right: Limited<ReadCapability>,
    p: Paging,
) -> Result<Json<List<Kept<T::Body>>>, Problem> {
    seen::<T>(right)?;
    let limit = page_limit(p.limit)?;
    let page = s.store.list::<T>(p.cursor.as_deref(), limit).await?;
    Ok(List::of(page, kept))
}

pub(crate) async fn get<T: Resource>(
    s: &AppState,
    right: Limited<ReadCapability>,
    key: &str,
) -> Result<Response, Problem> {
    seen::<T>(right)?;
    Ok(answer(StatusCode::OK, s.store.get::<T>(key).await?))
}

pub(crate) async fn create<T: Resource>(
    s: &AppState,
    right: Limited<PolicyCapability>,
    body: T::Body,
) -> Result<Response, Problem> {
    let value = checked::<T>(body)?;
    let right = over(right, &value)?;
    let location = format!("{}/{}", T::PATH, value.key());
    let made = write(s, Write::Create(value), &right.caller().change("", now()))
        .await?
        .ok_or_else(Problem::internal)?;
    let mut r = answer(StatusCode::CREATED, made);
    if let Ok(v) = HeaderValue::from_str(&location) {
        r.headers_mut().insert(header::LOCATION, v);
    }
    Ok(r)
}

pub(crate) async fn replace<T: Resource>(
    s: &AppState,
    right: Limited<PolicyCapability>,
    key: &str,
    expect: IfMatch,
    body: T::Body,
) -> Result<Response, Problem> {
    let value = checked::<T>(body)?;
    over(right.clone(), &value)?;
    let (right, expect) = over_old::<T>(s, right, key, expect).await?;
    if value.key() != key {
        return Err(Problem::field(
            format!("/{}", T::KEY),
            say!("the path names {key}", "パスの名前は {key} です"),
            Some(say!(
                "a name is not changed: make a new one and delete the old one",
                "名前は変更できません。新しく作成して古いものを削除してください"
            )),
        ));
    }
    let change = right.caller().change("", now());
    let made = write(s, Write::Replace(value, expect.0), &change).await?.ok_or_else(Problem::internal)?;
    Ok(answer(StatusCode::OK, made))
}

pub(crate) async fn delete<T: Resource>(
    s: &AppState,
    right: Limited<PolicyCapability>,
    key: String,
    expect: IfMatch,
) -> Result<StatusCode, Problem> {
    let (right, expect) = over_old::<T>(s, right, &key, expect).await?;
    write::<T>(s, Write::Delete(key, expect.0), &right.caller().change("", now())).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Checks the draft, stores it, puts it in force.
pub(crate) async fn write<T: Resource>(
    s: &AppState,
    w: Write<T>,
    change: &Change,
) -> Result<Option<Versioned<T>>, Problem> {
    for _ in 0..5 {
        let draft = T::draft(s, &w).await?;
        let generation = draft.generation;
        sound::<T>(&draft, &w)?;
        T::clash(s, &w).await?;
        published(s, &w).await?;
        let done = match w.clone() {
            Write::Create(v) => s.store.create(v, Some(generation), change).await.map(Some),
            Write::Replace(v, e) => s.store.replace(v, e, Some(generation), change).await.map(Some),
            Write::Delete(k, e) => s.store.delete::<T>(k, e, Some(generation), change).await.map(|()| None),
        };
        match done {
            Err(StoreError::PolicyMoved { .. }) => continue,
            Err(e) => return Err(at_key::<T>(e)),
            Ok(v) => {
                put_in_force(s).await;
                return Ok(v);
            }
        }
    }
    Err(StoreError::PolicyMoved { current: 0 }.into())
}

/// What is stored goes to the gateway. Should that fail, the change is stored all the same, `GET /policies` shows
/// the two generations apart, and the running system tries again by itself.
pub(crate) async fn put_in_force(s: &AppState) {
    if let Err(e) = s.control.policy_changed().await {
        tracing::error!("the policy is stored but not in force yet: {e}");
    }
}

/// Makes a list what it is after the write.
pub(crate) fn apply<T: Resource>(w: &Write<T>, list: &mut Vec<T>) {
    match w {
        Write::Create(v) => list.push(v.clone()),
        Write::Replace(v, _) => {
            // One that is not there is the store's to refuse.
            if let Some(old) = list.iter_mut().find(|o| o.key() == v.key()) {
                *old = v.clone();
            }
        }
        Write::Delete(k, _) => list.retain(|o| o.key() != *k),
    }
}

/// Refuses a draft that is not sound. A second thing of one name is left to the store, which says it better.
fn sound<T: Resource>(draft: &Policy, w: &Write<T>) -> Result<(), Problem> {
    let Err(found) = pgw_policy::validate(draft) else { return Ok(()) };
    let key = w.key();
    let found: Vec<&PolicyError> =
        found.iter().filter(|e| !matches!(e.problem, pgw_policy::Problem::Duplicate)).take(20).collect();
    if found.is_empty() {
        return Ok(());
    }
    let fields: Vec<FieldError> = found
        .iter()
        .map(|e| {
            let own = T::is(&e.item, &key);
            field_error(e, own)
        })
        .collect();
    if let Write::Delete(..) = w {
        let p = Problem::new(409, "in-use", say!("It is still in use", "まだ使われています"));
        return Err(p.fields(fields).fix(say!("change what uses it first", "先に参照元を変更してください")));
    }
    Err(Problem::invalid(fields))
}

/// A policy that is not sound, with what was found first.
pub(crate) fn unsound(found: Vec<PolicyError>) -> Problem {
    Problem::invalid(found.iter().take(20).map(|e| field_error(e, false)).collect())
}

/// A finding of the policy's check, at the field of the body where it is about that, else with its item's name.
pub(crate) fn field_error(e: &PolicyError, own: bool) -> FieldError {
    let (text, item, field) = (e.problem.to_string(), &e.item, e.field);
    let (en, fix) = text.rsplit_once("; ").map_or((text.as_str(), None), |(a, b)| (a, Some(b)));
    let ja = in_japanese(&e.problem);
    let (pointer, detail) = if own {
        (format!("/{field}"), Said { en: en.to_owned(), ja })
    } else {
        (String::new(), say!("{item}, {field}: {en}", "{item} の {field}: {ja}"))
    };
    let fix = fix.map(|f| Said { en: f.to_owned(), ja: "内容を訂正してください".to_owned() });
    FieldError { pointer, detail, fix }
}

/// What is wrong with a policy, in Japanese.
pub(crate) fn in_japanese(p: &pgw_policy::Problem) -> String {
    use pgw_policy::Problem as P;
    match p {
        P::Duplicate => "同じ名前のものが既にあります".to_owned(),
        P::UnknownGroup(g) => format!("グループ {g} はありません"),
        P::UnknownApp(a) => format!("アプリ {a} はありません"),
        P::HostBits(n) => {
            format!("{n} はプレフィックス長より後ろのビットが立っています。{} と書いてください", n.trunc())
        }
        P::OverlappingPools { pool, other, other_pool } => {
            format!("{pool} はデータネットワーク {other} の {other_pool} と重なっています")
        }
        P::Pool6Size(n, most) => {
            format!("{n} では各アドレスに /64 を割り当てられません。/{most} 以下の長さにしてください")
        }
        P::Mtu6(m) => format!("IPv6 では MTU {m} は小さすぎます (1280 以上)"),
        P::PoolNotIpv4(n) => format!("{n} は IPv4 ではありません"),
        P::PoolSize(n) => format!("{n} には割り当てられるアドレスがありません。/1〜/29 にしてください"),
        P::SpecialPrefix(n) => format!("{n} は端末の通信に使えない特別なアドレス範囲です"),
        P::SpecialResolver(a) => format!("{a} はリゾルバーに使えません"),
        P::Mtu(m) => format!("MTU {m} は小さすぎます (576 以上)"),
        P::NoPrefix => "アプリにはプレフィックスが 1 つ以上必要です".to_owned(),
        P::RepeatedPrefix(n) => format!("{n} が重複しています"),
        P::Ambiguous { prefix, service, other, other_service } => {
            format!("{prefix} の {service} はアプリ {other} の {other_service} と重なっています")
        }
        P::NoServices(a) => format!("アプリ {a} には提供サービスがないため、out のルールは作れません"),
        P::NoTo => "in のルールには到達先のサービス (to) が必要です".to_owned(),
        P::OnlyAllow => "許可するルールだけで使えます".to_owned(),
        P::Rate(bps) => format!("{bps} bit/s は小さすぎます (1000 以上)"),
        P::NamesWithoutTcp => {
            "名前は TCP 上の TLS から読み取ります。tcp のサービスを追加するか、名前を削除してください"
                .to_owned()
        }
        P::NoNames => {
            "名前の判定方法がありますが、名前がありません。名前を追加するか、この項目を削除してください"
                .to_owned()
        }
        P::RepeatedName(n) => format!("{n} が重複しています"),
        P::NamesInward(a) => {
            format!(
                "アプリ {a} には名前があり、in のルールには使えません。名前のないアプリを指定してください"
            )
        }
        P::TooMany(n) => format!("{n} 件は多すぎます"),
        other => other.to_string(),
    }
}

/// A clash of names, at the field that holds this kind's name.
fn at_key<T: Resource>(e: StoreError) -> Problem {
    match e {
        StoreError::Conflict { what: store::Clash::Name } => {
            Problem::new(409, "conflict", say!("It clashes with what is there", "既存のデータと重複します"))
                .fields(vec![FieldError {
                    pointer: format!("/{}", T::KEY),
                    detail: say!("there is one with this name", "同じ名前のものがあります"),
                    fix: Some(say!(
                        "choose another name, or change the one that is there",
                        "別の名前にするか、既存のものを変更してください"
                    )),
                }])
        }
        e => e.into(),
    }
}

fn checked<T: Resource>(body: T::Body) -> Result<T, Problem> {
    let mut check = Check::default();
    let value = T::read(body, &mut check);
    check.finish(value)
}

fn kept<T: Resource>(v: Versioned<T>) -> Kept<T::Body> {
    Kept {
        body: v.value.body(),
        version: v.version,
        created: rfc3339(v.created),
        changed: rfc3339(v.changed),
    }
}

fn answer<T: Resource>(status: StatusCode, v: Versioned<T>) -> Response {
    let tag = etag(v.version);
    (status, [(header::ETAG, tag)], Json(kept(v))).into_response()
}

/// The policy as `pgw-policy` knows it.
pub(crate) fn policy(s: store::PolicySource) -> Policy {
    Policy {
        generation: s.generation,
        data_networks: s.data_networks,
        apps: s.apps,
        groups: s.groups,
        rules: s.rules,
        ues: s.ues,
        risk: risk::of(s.risk.as_deref()),
    }
}

/// A policy with the app that nobody made beside it: as it judges where it is in force.
pub(crate) async fn with_built_in(s: &AppState, policy: Policy) -> Policy {
    policy.with_provider(s.control.provider_app().await.as_ref())
}

/// The five handlers of one kind.
macro_rules! handlers {
    ($t:ty, $body:ident, $tag:tt, $collection:tt, $one:tt, $key:tt) => {
        /// Lists them by name.
        #[utoipa::path(get, path = $collection, tag = $tag, params(Paging), security(("token" = ["read"])),
            responses((status = 200, body = List<Kept<$body>>)))]
        pub(crate) async fn list(
            right: Limited<ReadCapability>,
            State(s): State<AppState>,
            Params(p): Params<Paging>,
        ) -> Result<axum::Json<List<Kept<$body>>>, Problem> {
            documents::list::<$t>(&s, right, p).await
        }

        /// Makes one. The whole policy is checked with it, stored and put in force.
        #[utoipa::path(post, path = $collection, tag = $tag, params(IdempotencyKey), request_body = $body,
            security(("token" = ["policy"])), responses((status = 201, body = Kept<$body>)))]
        pub(crate) async fn create(
            right: Limited<PolicyCapability>,
            State(s): State<AppState>,
            Body(body): Body<$body>,
        ) -> Result<Response, Problem> {
            documents::create::<$t>(&s, right, body).await
        }

        /// Reads one.
        #[utoipa::path(get, path = $one, tag = $tag, params(($key = String, Path)),
            security(("token" = ["read"])), responses((status = 200, body = Kept<$body>)))]
        pub(crate) async fn get(
            right: Limited<ReadCapability>,
            State(s): State<AppState>,
            PathOf(key): PathOf<String>,
        ) -> Result<Response, Problem> {
            documents::get::<$t>(&s, right, &key).await
        }

        /// Replaces one. The whole policy is checked with it, stored and put in force.
        #[utoipa::path(put, path = $one, tag = $tag, params(($key = String, Path), IfMatchHeader), request_body = $body,
            security(("token" = ["policy"])), responses((status = 200, body = Kept<$body>)))]
        pub(crate) async fn replace(
            right: Limited<PolicyCapability>,
            State(s): State<AppState>,
            PathOf(key): PathOf<String>,
            expect: IfMatch,
            Body(body): Body<$body>,
        ) -> Result<Response, Problem> {
            documents::replace::<$t>(&s, right, &key, expect, body).await
        }

        /// Deletes one that nothing uses.
        #[utoipa::path(delete, path = $one, tag = $tag, params(($key = String, Path), IfMatchHeader),
            security(("token" = ["policy"])), responses((status = 204, description = "Deleted")))]
        pub(crate) async fn delete(
            right: Limited<PolicyCapability>,
            State(s): State<AppState>,
            PathOf(key): PathOf<String>,
            expect: IfMatch,
        ) -> Result<StatusCode, Problem> {
            documents::delete::<$t>(&s, right, key, expect).await
        }
    };
}
pub(crate) use handlers;
