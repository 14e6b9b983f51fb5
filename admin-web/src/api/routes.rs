//! Networks behind a SIM (framed routes): what a router's SIM carries beside its own address.

use crate::{
    api::sims::no_such_sim,
    check::{Check, Kind, rfc3339},
    problem::{FieldError, Problem, Said, say},
    request::{Body, IfMatch, IfMatchHeader, PathOf, etag},
    rights::{OnSim, ProvisionCapability, ReadCapability},
    state::{AppState, now},
};
use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use store::{SimRoutes, StoreError};
use types::{DataNetwork, Dnn, Imsi, RouteError, RoutePrefix};
use utoipa::ToSchema;

/// Most routes of one SIM.
const MOST: usize = 32;

/// A network behind the SIM, as it is wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouteBody {
    /// The data network whose session carries it.
    #[schema(example = "corp")]
    dnn: String,
    /// The network.
    #[schema(example = "192.168.10.0/24")]
    prefix: String,
}

/// What is to lie behind a SIM.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoutesBody {
    /// All of it, at most 32; a network that is left out lies behind the SIM no longer.
    routes: Vec<RouteBody>,
}

/// A network behind the SIM.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Route {
    dnn: String,
    prefix: String,
    /// Since when it is this SIM's.
    since: String,
}

/// What lies behind a SIM.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Routes {
    imsi: String,
    /// The networks, in the order of their addresses.
    routes: Vec<Route>,
    /// The SIM's version: the ETag is this number in quotes.
    version: u64,
}

impl From<SimRoutes> for Routes {
    fn from(s: SimRoutes) -> Self {
        let one = |r: store::RouteRow| Route {
            dnn: r.route.dnn.to_string(),
            prefix: r.route.prefix.to_string(),
            since: rfc3339(r.start),
        };
        Self { imsi: s.imsi.to_string(), routes: s.routes.into_iter().map(one).collect(), version: s.version }
    }
}

/// Reads what lies behind a SIM.
#[utoipa::path(get, path = "/api/v1/sims/{imsi}/routes", tag = "sims",
    params(("imsi" = String, Path)), security(("token" = ["read"])), responses((status = 200, body = Routes)))]
pub(crate) async fn get(
    _: OnSim<ReadCapability>,
    State(s): State<AppState>,
    PathOf(imsi): PathOf<Imsi>,
) -> Result<Response, Problem> {
    Ok(answer(s.store.sim_routes(imsi).await.map_err(|e| missing(imsi, e))?))
}

/// Says what lies behind a SIM: packets from and to these networks pass by its session, as the rules of the SIM allow.
/// Holds for live sessions at once. Who is limited to groups or sites may not: a route takes addresses from everybody else.
#[utoipa::path(put, path = "/api/v1/sims/{imsi}/routes", tag = "sims",
    params(("imsi" = String, Path), IfMatchHeader), request_body = RoutesBody,
    security(("token" = ["provision"])), responses((status = 200, body = Routes)))]
pub(crate) async fn put(
    right: ProvisionCapability,
    State(s): State<AppState>,
    PathOf(imsi): PathOf<Imsi>,
    expect: IfMatch,
    Body(body): Body<RoutesBody>,
) -> Result<Response, Problem> {
    let sim = s.store.sim(imsi).await.map_err(|e| missing(imsi, e))?;
    let wanted = read(&body)?;
    check_places(&s, imsi, &sim.dnns, &wanted).await?;
    let change = right.caller().change("", now());
    let wanted: BTreeSet<_> = wanted.into_iter().collect();
    let stored = s.store.set_routes(imsi, wanted, expect.0, &change).await;
    let stored = stored.map_err(|e| missing(imsi, e))?;
    if let Err(e) = s.control.sim_changed(imsi).await {
        tracing::error!(%imsi, "the routes of SIM {imsi} are stored but not in force yet: {e}");
    }
    Ok(answer(stored))
}

fn read(body: &RoutesBody) -> Result<Vec<(Dnn, RoutePrefix)>, Problem> {
    let mut check = Check::default();
    if body.routes.len() > MOST {
        check.add(
            "/routes",
            say!("a SIM has at most {MOST} routes", "経路は SIM ごとに {MOST} 件までです"),
            Some(say!("join neighbouring networks to wider ones", "隣り合うネットワークを集約してください")),
        );
    }
    let mut all: Vec<(Dnn, RoutePrefix)> = Vec::new();
    for (n, route) in body.routes.iter().enumerate() {
        let at = format!("/routes/{n}/prefix");
        let dnn: Option<Dnn> = check.parse(&format!("/routes/{n}/dnn"), &route.dnn, Kind::Dnn);
        let net: Option<IpNet> = check.parse(&at, &route.prefix, Kind::Prefix);
        let (Some(dnn), Some(net)) = (dnn, net) else { continue };
        match RoutePrefix::try_from(net) {
            Err(e) => {
                let (detail, fix) = unfit(e);
                check.add(at, detail, Some(fix));
            }
            Ok(prefix) => {
                if let Some((_, other)) = all.iter().find(|(_, other)| other.meets(net)) {
                    check.add(
                        at,
                        say!(
                            "{prefix} shares addresses with {other}",
                            "{prefix} は {other} と重なっています"
                        ),
                        Some(say!(
                            "name each network once",
                            "ネットワークはそれぞれ一度だけ指定してください"
                        )),
                    );
                }
                all.push((dnn, prefix));
            }
        }
    }
    check.done()?;
    Ok(all)
}

fn fixed(n: IpNet) -> Said {
    say!("write {n}", "{n} と書いてください")
}

fn unfit(e: RouteError) -> (Said, Said) {
    match e {
        RouteError::Syntax => (
            say!("it is no prefix", "プレフィックスではありません"),
            say!("give one like 192.168.10.0/24", "192.168.10.0/24 のように指定してください"),
        ),
        RouteError::HostBits(n) => (
            say!(
                "{n} has bits set behind its prefix length",
                "{n} はプレフィックス長より後ろのビットが立っています"
            ),
            fixed(n.trunc()),
        ),
        RouteError::Wide(n) => (
            say!(
                "{n} is too wide for what lies behind one SIM",
                "{n} は 1 枚の SIM の背後のネットワークとしては広すぎます"
            ),
            say!("use /8 to /32, or /16 to /128 of IPv6", "/8〜/32 (IPv6 は /16〜/128) にしてください"),
        ),
        RouteError::Special(n) => (
            say!(
                "{n} holds loopback, link-local, multicast or reserved addresses",
                "{n} にはループバック・リンクローカル・マルチキャスト・予約済みのアドレスが含まれています"
            ),
            say!("name the network behind the SIM", "SIM の背後のネットワークを指定してください"),
        ),
    }
}

/// Nobody else has these addresses: no pool, no other SIM, not we ourselves.
async fn check_places(
    s: &AppState,
    imsi: Imsi,
    dnns: &[Dnn],
    wanted: &[(Dnn, RoutePrefix)],
) -> Result<(), Problem> {
    let mut check = Check::default();
    let pools = s.store.policy_source().await?.data_networks;
    let own = s.control.own_addresses();
    let another = || {
        Some(say!(
            "name the network behind the SIM, and give each network to one SIM",
            "SIM の背後のネットワークを指定し、1 つのネットワークは 1 枚の SIM だけに割り当ててください"
        ))
    };
    for (n, (dnn, prefix)) in wanted.iter().enumerate() {
        let at = format!("/routes/{n}/prefix");
        let net = prefix.net();
        if !dnns.contains(dnn) {
            check.add(
                format!("/routes/{n}/dnn"),
                say!(
                    "the SIM may not use data network {dnn}",
                    "この SIM はデータネットワーク {dnn} を使えません"
                ),
                Some(say!(
                    "add it to the SIM's dnns or name one of them",
                    "SIM の dnns に追加するか、その中から指定してください"
                )),
            );
        }
        let mut all = pools.iter().flat_map(|p| p.pools().map(move |pool| (pool, &p.dnn)));
        if let Some((pool, other)) = all.find(|(pool, _)| prefix.meets(*pool)) {
            check.add(
                at,
                say!(
                    "{prefix} shares addresses with {pool}, the pool of {other}",
                    "{prefix} はデータネットワーク {other} のプール {pool} と重なっています"
                ),
                another(),
            );
        } else if let Some(a) = own.iter().find(|a| net.contains(*a)) {
            check.add(
                at,
                say!("{a} is an address of this system", "{a} はこのシステム自身のアドレスです"),
                another(),
            );
        } else if let Some(r) = s.store.route_meeting(net).await?.filter(|r| r.route.imsi != imsi) {
            let (other, whose) = (r.route.prefix, r.route.imsi);
            check.add(
                at,
                say!(
                    "{prefix} shares addresses with {other}, which lies behind SIM {whose}",
                    "{prefix} は SIM {whose} の背後にある {other} と重なっています"
                ),
                another(),
            );
        }
    }
    check.done()
}

/// The pool of a data network takes no addresses from behind a SIM.
pub(crate) async fn pool_is_free(s: &AppState, n: &DataNetwork) -> Result<(), Problem> {
    for (pool, pointer) in n.pools().zip(["/pool", "/pool6"]) {
        if let Some(r) = s.store.route_meeting(pool).await? {
            return Err(taken(pointer, pool, &r));
        }
    }
    Ok(())
}

fn taken(pointer: &str, pool: IpNet, r: &store::RouteRow) -> Problem {
    let (route, whose) = (r.route.prefix, r.route.imsi);
    Problem::invalid(vec![FieldError {
        pointer: pointer.to_owned(),
        detail: say!(
            "{pool} shares addresses with {route}, which lies behind SIM {whose}",
            "{pool} は SIM {whose} の背後にある {route} と重なっています"
        ),
        fix: Some(say!(
            "choose another pool, or take that route away first",
            "別のプールにするか、先にその経路を削除してください"
        )),
    }])
}

fn missing(imsi: Imsi, e: StoreError) -> Problem {
    if e == StoreError::NotFound { no_such_sim(imsi) } else { e.into() }
}

fn answer(s: SimRoutes) -> Response {
    let tag = etag(s.version);
    (StatusCode::OK, [(header::ETAG, tag)], Json(Routes::from(s))).into_response()
}
