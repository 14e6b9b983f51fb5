//! Keys of the home network: SIMs conceal their identity with the public halves (TS 33.501 §6.12); the private ones are
//! sealed and come out nowhere.

use crate::{
    api::{List, page_of_few, sim_bodies::Secret},
    check::{Check, Kind, Time, rfc3339},
    problem::{Problem, say},
    request::{Body, IdempotencyKey, IfMatch, IfMatchHeader, Paging, Params, PathOf, etag},
    rights::{ProvisionCapability, ReadCapability},
    state::{AppState, now, random},
};
use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use hss::HomeNetworkKey as PrivateKey;
use serde::{Deserialize, Serialize};
use store::{HomeKeyRow, StoreError};
use types::{Key256, SuciProfile};
use utoipa::ToSchema;
use zeroize::Zeroize;

/// A key of the home network.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HomeNetworkKey {
    /// What a SIM names it by: home network public key identifier.
    id: u8,
    /// a (X25519) or b (secp256r1).
    profile: String,
    /// What is written onto SIMs, hexadecimal: 32 octets, or 33 of a compressed point.
    public_key: String,
    /// From when on no identity is opened with it; null for as long as it is there.
    accepted_until: Option<String>,
    /// Its version: the ETag is this number in quotes.
    version: u64,
    /// When it was made.
    created: String,
    /// When it was last changed.
    changed: String,
}

impl From<HomeKeyRow> for HomeNetworkKey {
    fn from(r: HomeKeyRow) -> Self {
        Self {
            id: r.id,
            profile: r.profile.to_string(),
            public_key: types::hex(&r.public),
            accepted_until: r.accepted_until.map(rfc3339),
            version: r.version,
            created: rfc3339(r.created),
            changed: rfc3339(r.changed),
        }
    }
}

/// A key to be made, or one that SIMs have already.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewHomeNetworkKey {
    /// 1-254; the lowest free one if not given.
    id: Option<u8>,
    /// a (X25519) or b (secp256r1).
    profile: String,
    /// The private key, 64 hexadecimal digits, of a pair whose public half is on SIMs already; a new one is made if not
    /// given. Write-only.
    #[schema(value_type = Option<String>, write_only, min_length = 64, max_length = 64)]
    private_key: Option<Secret>,
}

/// Until when a key counts.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HomeNetworkKeyChange {
    /// From when on no identity is opened with it; past: from now on. Null: for as long as it is there.
    #[schema(value_type = Option<String>)]
    accepted_until: Option<String>,
    /// Why.
    reason: String,
}

/// Lists them by their ids, with their public halves.
#[utoipa::path(get, path = "/api/v1/home-network-keys", tag = "home-network-keys", params(Paging),
    security(("token" = ["read"])), responses((status = 200, body = List<HomeNetworkKey>)))]
pub(crate) async fn list(
    _: ReadCapability,
    State(s): State<AppState>,
    Params(p): Params<Paging>,
) -> Result<Json<List<HomeNetworkKey>>, Problem> {
    let page = page_of_few(s.store.home_keys().await?, &p, |r| r.id.to_string())?;
    Ok(List::of(page, HomeNetworkKey::from))
}

/// Makes a key pair, or takes one in that SIMs have already. It is accepted at once.
#[utoipa::path(post, path = "/api/v1/home-network-keys", tag = "home-network-keys", params(IdempotencyKey),
    request_body = NewHomeNetworkKey, security(("token" = ["provision"])),
    responses((status = 201, body = HomeNetworkKey)))]
pub(crate) async fn create(
    right: ProvisionCapability,
    State(s): State<AppState>,
    Body(body): Body<NewHomeNetworkKey>,
) -> Result<Response, Problem> {
    let mut check = Check::default();
    let taken: Vec<u8> = s.store.home_keys().await?.iter().map(|k| k.id).collect();
    let id = body.id.or_else(|| (1..=254).find(|id| !taken.contains(id)));
    let id = id.filter(|id| (1..=254).contains(id) && !taken.contains(id));
    if id.is_none() {
        check.add(
            "/id",
            say!("it is taken, or not from 1 to 254", "使用済みか、1〜254 の範囲外です"),
            Some(say!("give a free number, or none", "空いている番号を指定するか、省略してください")),
        );
    }
    let profile = check.parse("/profile", &body.profile, Kind::Word);
    let key = match &body.private_key {
        None => profile.map(made).transpose()?,
        Some(given) => {
            let copy = given.copied();
            let key = profile.and_then(|p| {
                let octets = Key256::from_hex(&copy).ok()?;
                PrivateKey::new(p, &octets).ok().map(|key| (octets, key))
            });
            if key.is_none() && profile.is_some() {
                check.add(
                    "/private_key",
                    say!("it is no private key of this profile", "このプロファイルの秘密鍵ではありません"),
                    Some(say!(
                        "give its 32 octets in hexadecimal",
                        "32 オクテットを 16 進数で指定してください"
                    )),
                );
            }
            key
        }
    };
    let whole = id.zip(profile).zip(key).map(|((id, profile), key)| (id, profile, key));
    let (id, profile, (octets, key)): (u8, SuciProfile, _) = check.finish(whole)?;
    let sealed = s.control.vault().await?.seal_home_key(id, profile, &octets);
    let change = right.caller().change("", now());
    let row = HomeKeyRow {
        id,
        profile,
        public: key.public(),
        sealed: sealed.as_bytes().to_vec(),
        accepted_until: None,
        version: 1,
        created: change.at,
        changed: change.at,
    };
    let row = s.store.add_home_key(row, &change).await?;
    put_in_force(&s).await;
    let location = format!("/api/v1/home-network-keys/{}", row.id);
    let mut r = answer(StatusCode::CREATED, row);
    if let Ok(v) = location.parse() {
        r.headers_mut().insert(header::LOCATION, v);
    }
    Ok(r)
}

/// A private key of the OS's randomness. Of 2^256 numbers less than one in 2^32 is none of secp256r1.
fn made(profile: SuciProfile) -> Result<(Key256, PrivateKey), Problem> {
    loop {
        let mut chance = random::<32>()?;
        let octets = Key256::new(chance);
        chance.zeroize();
        if let Ok(key) = PrivateKey::new(profile, &octets) {
            return Ok((octets, key));
        }
    }
}

/// Reads one.
#[utoipa::path(get, path = "/api/v1/home-network-keys/{id}", tag = "home-network-keys",
    params(("id" = u8, Path)), security(("token" = ["read"])), responses((status = 200, body = HomeNetworkKey)))]
pub(crate) async fn get(
    _: ReadCapability,
    State(s): State<AppState>,
    PathOf(id): PathOf<u8>,
) -> Result<Response, Problem> {
    let row = s.store.home_keys().await?.into_iter().find(|k| k.id == id);
    Ok(answer(StatusCode::OK, row.ok_or_else(|| no_such(id, StoreError::NotFound))?))
}

/// Says until when identities are opened with it: how a key is replaced without a SIM that has the old one being refused
/// before its time.
#[utoipa::path(patch, path = "/api/v1/home-network-keys/{id}", tag = "home-network-keys",
    params(("id" = u8, Path), IfMatchHeader), request_body = HomeNetworkKeyChange,
    security(("token" = ["provision"])), responses((status = 200, body = HomeNetworkKey)))]
pub(crate) async fn change(
    right: ProvisionCapability,
    State(s): State<AppState>,
    PathOf(id): PathOf<u8>,
    expect: IfMatch,
    Body(body): Body<HomeNetworkKeyChange>,
) -> Result<Response, Problem> {
    let mut check = Check::default();
    check.reason(&body.reason);
    let until: Option<Option<Time>> =
        check.maybe("/accepted_until", body.accepted_until.as_deref(), Kind::Time);
    let until = check.finish(until)?.map(|t| t.0);
    let change = right.caller().change(&body.reason, now());
    let row = s.store.accept_home_key(id, until, expect.0, &change).await.map_err(|e| no_such(id, e))?;
    put_in_force(&s).await;
    Ok(answer(StatusCode::OK, row))
}

/// Destroys one. SIMs that conceal with it cannot come until they have another.
#[utoipa::path(delete, path = "/api/v1/home-network-keys/{id}", tag = "home-network-keys",
    params(("id" = u8, Path), IfMatchHeader), security(("token" = ["provision"])),
    responses((status = 204, description = "Destroyed")))]
pub(crate) async fn delete(
    right: ProvisionCapability,
    State(s): State<AppState>,
    PathOf(id): PathOf<u8>,
    expect: IfMatch,
) -> Result<StatusCode, Problem> {
    let change = right.caller().change("", now());
    s.store.delete_home_key(id, expect.0, &change).await.map_err(|e| no_such(id, e))?;
    put_in_force(&s).await;
    Ok(StatusCode::NO_CONTENT)
}

/// What is stored holds from now on. Should the running system not answer, the change is stored all the same.
async fn put_in_force(s: &AppState) {
    if let Err(e) = s.control.home_keys_changed().await {
        tracing::error!("the home network's keys are stored but not in force yet: {e}");
    }
}

fn no_such(id: u8, e: StoreError) -> Problem {
    match e {
        StoreError::NotFound => Problem::not_found(say!(
            "there is no home network key {id}",
            "ホームネットワーク鍵 {id} はありません"
        )),
        e => e.into(),
    }
}

fn answer(status: StatusCode, row: HomeKeyRow) -> Response {
    let tag = etag(row.version);
    (status, [(header::ETAG, tag)], Json(HomeNetworkKey::from(row))).into_response()
}
