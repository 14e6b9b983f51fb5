//! Every route in one place, and the OpenAPI document that is made of them.

mod alert_rules;
mod alerts;
mod apps;
mod assurance;
mod audit;
mod backups;
mod bindings;
mod bulk;
mod data_networks;
mod decisions;
mod devices;
pub(crate) mod directory;
pub(crate) mod documents;
mod equipment;
mod events;
mod facts;
mod flows;
mod grants;
mod groups;
mod home_keys;
mod imports;
mod jobs;
mod monitored;
mod operators;
mod overview;
mod passkeys;
mod people;
mod policies;
mod policy_drafts;
mod policy_tests;
mod policy_text;
mod policy_views;
pub(crate) mod posture;
mod readings;
mod replay;
mod requirement;
mod restrictions;
mod revocations;
pub(crate) mod risk;
pub(crate) mod risk_moves;
mod risk_plan;
mod routes;
mod rules;
mod schedules;
mod search;
mod sessions;
mod sign_in;
mod sim_bodies;
pub(crate) mod sims;
mod sites;
mod sources;
mod system;
mod tokens;
mod unbans;

pub(crate) use documents::in_japanese;
pub(crate) use passkeys::named as named_passkey;
pub(crate) use sign_in::{
    IDLE, SignIn, SignedInView, WHOLE, admit as sign_in, admit_by_passkey, change_password, no_password,
    wait as must_wait,
};
pub(crate) use sim_bodies::{Secret, is_host_of};
pub(crate) use unbans::new_id;

use crate::{
    problem::Problem,
    request::{Paging, bad_cursor, page_limit},
    state::AppState,
};
use serde::Serialize;
use std::{collections::BTreeSet, sync::Arc};
use utoipa::{
    Modify, OpenApi, ToSchema,
    openapi::{
        self, Content, Ref, RefOr, ResponseBuilder,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};
use utoipa_axum::{router::OpenApiRouter, routes};

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct List<T> {
    /// The items.
    items: Vec<T>,
    /// Cursor of the next page; null at the end.
    next: Option<String>,
}

impl<T> List<T> {
    fn of<S>(page: store::Page<S>, view: impl FnMut(S) -> T) -> axum::Json<Self> {
        axum::Json(Self { items: page.items.into_iter().map(view).collect(), next: page.next })
    }
}

/// A page cut from the few things that there are of a kind; the cursor is the key of the last one.
fn page_of_few<T>(all: Vec<T>, p: &Paging, key: impl Fn(&T) -> String) -> Result<store::Page<T>, Problem> {
    let limit = page_limit(p.limit)? as usize;
    let begin = match &p.cursor {
        Some(c) => all.iter().position(|t| key(t) == *c).ok_or_else(bad_cursor)? + 1,
        None => 0,
    };
    let more = all.len() > begin + limit;
    let items: Vec<T> = all.into_iter().skip(begin).take(limit).collect();
    let next = items.last().filter(|_| more).map(key);
    Ok(store::Page { items, next })
}

/// RFC 9457 problem.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
#[allow(dead_code, reason = "read by utoipa alone")]
struct ProblemBody {
    /// Stable name of the kind of problem.
    #[schema(example = "urn:sekisho:problem:invalid")]
    r#type: String,
    /// The kind in words, in the language of the request.
    title: String,
    /// HTTP status.
    status: u16,
    /// This case in words.
    detail: Option<String>,
    /// What to do about it.
    fix: Option<String>,
    /// What is wrong, field by field.
    errors: Option<Vec<ProblemField>>,
    /// Of a policy that came as text: where each of `errors` stands in it; null where it stands nowhere.
    places: Option<Vec<Option<ProblemPlace>>>,
    /// The request's id, as in the header X-Request-Id, the log and the audit.
    request_id: String,
}

/// A place in a text.
#[derive(Debug, Serialize, ToSchema)]
#[allow(dead_code, reason = "read by utoipa alone")]
struct ProblemPlace {
    /// From 1.
    line: usize,
    /// From 1.
    column: usize,
}

/// One field that is wrong.
#[derive(Debug, Serialize, ToSchema)]
#[allow(dead_code, reason = "read by utoipa alone")]
struct ProblemField {
    /// JSON pointer into the body, or `?name` of a query parameter.
    pointer: String,
    /// What is wrong.
    detail: String,
    /// What to do about it.
    fix: Option<String>,
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Sekisho",
        version = "1",
        description = "Access controller of a private LTE/5G closed network. Whatever a person can press, a script can do. \
                       Changes carry If-Match or Idempotency-Key; problems are RFC 9457, in English or Japanese by \
                       Accept-Language; lists go on by `cursor`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(ProblemBody)),
    modifiers(&Token)
)]
struct Document;

/// The bearer token, as a security scheme.
struct Token;

impl Modify for Token {
    fn modify(&self, doc: &mut openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "A token with the scope that the operation names. A browser that signed in at /sign-in has it in a cookie; \
                 its changes carry X-Sekisho-Console: 1.",
            ))
            .build();
        if let Some(c) = doc.components.as_mut() {
            c.add_security_scheme("token", SecurityScheme::Http(scheme));
        }
    }
}

/// The routes with their document.
pub(crate) fn routes() -> OpenApiRouter<AppState> {
    let mut all = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(sims::list, sims::create))
        .routes(routes!(bulk::change))
        .routes(routes!(search::search))
        .routes(routes!(search::addresses))
        .routes(routes!(sims::get, sims::change))
        .routes(routes!(sims::change_state))
        .routes(routes!(sims::ban))
        .routes(routes!(sims::unban))
        .routes(routes!(sims::timeline))
        .routes(routes!(sims::history))
        .routes(routes!(revocations::list, revocations::create))
        .routes(routes!(revocations::get))
        .routes(routes!(revocations::receipts))
        .routes(routes!(restrictions::quarantine))
        .routes(routes!(restrictions::release))
        .routes(routes!(restrictions::panic))
        .routes(routes!(restrictions::calm))
        .routes(routes!(grants::list, grants::create))
        .routes(routes!(grants::approve))
        .routes(routes!(grants::revoke))
        .routes(routes!(unbans::list))
        .routes(routes!(unbans::approve))
        .routes(routes!(unbans::refuse))
        .routes(routes!(schedules::of_sim, schedules::create))
        .routes(routes!(schedules::end_date))
        .routes(routes!(schedules::list))
        .routes(routes!(schedules::get, schedules::cancel))
        .routes(routes!(bindings::get, bindings::put, bindings::delete))
        .routes(routes!(routes::get, routes::put))
        .routes(routes!(bindings::reset))
        .routes(routes!(bindings::devices))
        .routes(routes!(bindings::get_group, bindings::put_group, bindings::delete_group))
        .routes(routes!(equipment::list))
        .routes(routes!(equipment::import))
        .routes(routes!(equipment::get, equipment::put, equipment::delete))
        .routes(routes!(equipment::unban))
        .routes(routes!(home_keys::list, home_keys::create))
        .routes(routes!(home_keys::get, home_keys::change, home_keys::delete))
        .routes(routes!(risk::profile, risk::set_profile))
        .routes(routes!(risk_plan::plan))
        .routes(routes!(risk_plan::of_sim))
        .routes(routes!(monitored::list))
        .routes(routes!(data_networks::list, data_networks::create))
        .routes(routes!(data_networks::get, data_networks::replace, data_networks::delete))
        .routes(routes!(apps::list, apps::create))
        .routes(routes!(apps::get, apps::replace, apps::delete))
        .routes(routes!(groups::list, groups::create))
        .routes(routes!(groups::get, groups::replace, groups::delete))
        .routes(routes!(rules::list, rules::create))
        .routes(routes!(rules::get, rules::replace, rules::delete))
        .routes(routes!(policies::current))
        .routes(routes!(policies::test))
        .routes(routes!(policies::explain))
        .routes(routes!(policy_text::text))
        .routes(routes!(policy_text::plan))
        .routes(routes!(policy_text::analyse))
        .routes(routes!(policy_text::apply))
        .routes(routes!(replay::replay))
        .routes(routes!(policy_text::history))
        .routes(routes!(policy_text::rollback))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::end))
        .routes(routes!(flows::list))
        .routes(routes!(decisions::decide))
        .routes(routes!(events::stream))
        .routes(routes!(events::security))
        .routes(routes!(alert_rules::rules, alert_rules::set_rules))
        .routes(routes!(alerts::list))
        .routes(routes!(alerts::get))
        .routes(routes!(alerts::acknowledge))
        .routes(routes!(alerts::close))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::get))
        .routes(routes!(imports::create))
        .routes(routes!(imports::undo))
        .routes(routes!(imports::errors))
        .routes(routes!(imports::rows))
        .routes(routes!(imports::kept))
        .routes(routes!(audit::list))
        .routes(routes!(audit::export))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::revoke))
        .routes(routes!(tokens::resume))
        .routes(routes!(backups::list, backups::create_backup))
        .routes(routes!(backups::read_hold))
        .routes(routes!(backups::confirm_hold))
        .routes(routes!(people::list, people::create))
        .routes(routes!(people::get, people::replace, people::delete))
        .routes(routes!(devices::list, devices::create))
        .routes(routes!(devices::get, devices::replace, devices::delete))
        .routes(routes!(sites::list, sites::create))
        .routes(routes!(sites::get, sites::replace, sites::delete))
        .routes(routes!(operators::roles))
        .routes(routes!(operators::list, operators::create))
        .routes(routes!(operators::get, operators::change))
        .routes(routes!(sign_in::sign_in))
        .routes(routes!(sign_in::sign_out))
        .routes(routes!(sign_in::me))
        .routes(routes!(sign_in::own_sign_ins))
        .routes(routes!(sign_in::end_own_sign_in))
        .routes(routes!(sign_in::password))
        .routes(routes!(passkeys::list, passkeys::register))
        .routes(routes!(passkeys::challenge))
        .routes(routes!(passkeys::remove))
        .routes(routes!(sign_in::second_factor))
        .routes(routes!(posture::report))
        .routes(routes!(sources::list, sources::create))
        .routes(routes!(sources::get, sources::replace, sources::delete))
        .routes(routes!(sources::another_secret))
        .routes(routes!(posture::get, posture::put))
        .routes(routes!(facts::of_sim))
        .routes(routes!(assurance::assure))
        .routes(routes!(assurance::withdraw))
        .routes(routes!(facts::usual_sites, facts::put_usual_sites))
        .routes(routes!(overview::overview))
        .routes(routes!(overview::findings))
        .routes(routes!(system::status))
        .routes(routes!(system::document))
        .routes(routes!(system::alive))
        .routes(routes!(system::ready))
        .routes(routes!(system::metrics));
    finish(all.get_openapi_mut());
    all
}

/// What is the same for every operation: its id, and the problem that it answers with when it does not succeed.
fn finish(doc: &mut openapi::OpenApi) {
    let problem = ResponseBuilder::new()
        .description("A problem (RFC 9457)")
        .content("application/problem+json", Content::new(Some(RefOr::Ref(Ref::from_schema_name("Problem")))))
        .build();
    for (path, item) in &mut doc.paths.paths {
        for (method, operation) in operations(item) {
            let words = path.trim_start_matches("/api/v1").replace(['{', '}'], "").replace(['/', '.'], "_");
            operation.operation_id = Some(format!("{method}{}", words.replace('-', "_")));
            operation.responses.responses.insert("default".to_owned(), RefOr::T(problem.clone()));
        }
    }
}

/// The operations of a path with their methods.
fn operations(
    item: &mut openapi::PathItem,
) -> impl Iterator<Item = (&'static str, &mut openapi::path::Operation)> {
    let all = [
        ("get", &mut item.get),
        ("post", &mut item.post),
        ("put", &mut item.put),
        ("patch", &mut item.patch),
        ("delete", &mut item.delete),
    ];
    all.into_iter().filter_map(|(m, o)| o.as_mut().map(|o| (m, o)))
}

/// Methods and paths whose document declares the header Idempotency-Key.
pub(crate) fn need_a_key(doc: &mut openapi::OpenApi) -> Arc<BTreeSet<(String, String)>> {
    let mut found = BTreeSet::new();
    for (path, item) in &mut doc.paths.paths {
        for (method, operation) in operations(item) {
            let declared = operation.parameters.iter().flatten().any(|p| match p {
                RefOr::T(p) => p.name == "Idempotency-Key",
                RefOr::Ref(_) => false,
            });
            if declared {
                found.insert((method.to_ascii_uppercase(), path.clone()));
            }
        }
    }
    Arc::new(found)
}
