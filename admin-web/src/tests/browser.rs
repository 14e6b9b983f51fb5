//! A browser at the door: the console's files, signing in without script, the first operator, forged requests.

use super::{Answer, World};
use crate::{state::now, totp};
use serde_json::{Value, json};

/// The console of these stories.
pub(super) const FILES: [(&str, &str); 6] = [
    (
        "index.html",
        "<!doctype html><meta name=csp-nonce content=__CSP_NONCE__><script src=/assets/app-1a.js></script>",
    ),
    ("assets/app-1a.js", "let plain"),
    ("assets/app-1a.js.br", "packed by brotli"),
    ("assets/app-1a.js.gz", "packed by gzip"),
    ("favicon.svg", "<svg/>"),
    ("stamp", "abc\n"),
];

const FORM: &str = "application/x-www-form-urlencoded";

async fn form(w: &World, path: &str, cookie: &str, fields: &[(&str, &str)]) -> Answer {
    let body: Vec<String> = fields.iter().map(|(n, v)| format!("{n}={}", encoded(v))).collect();
    let call = w.bare("POST", path).from("10.0.0.1").header("content-type", FORM);
    let call = call.header("sec-fetch-site", "same-origin").header("accept", "text/html");
    call.header("cookie", cookie).raw(body.join("&")).page().await
}

fn encoded(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02X}")).collect()
}

/// What a browser would send back of a Set-Cookie.
fn cookie(r: &Answer) -> String {
    let set = r.header("set-cookie");
    for part in ["HttpOnly", "Secure", "SameSite=Strict", "Path=/"] {
        assert!(set.contains(part), "{set}");
    }
    set.split(';').next().unwrap().to_owned()
}

/// The value of a hidden field.
fn hidden(page: &str, name: &str) -> String {
    let at =
        page.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap_or_else(|| panic!("{name} in {page}"));
    at.split('"').next().unwrap().to_owned()
}

async fn browse(w: &World, path: &str) -> Answer {
    w.bare("GET", path).header("accept", "text/html").page().await
}

#[tokio::test]
async fn the_console_is_served_with_everything_else_forbidden() {
    let w = World::new().await;
    let index = browse(&w, "/sims?state=lost").await.is(200);
    let nonce = index.text.split("content=").nth(1).unwrap().split('>').next().unwrap();
    assert_eq!(nonce.len(), 32, "{}", index.text);
    let policy = index.header("content-security-policy");
    assert!(
        policy.contains(&format!("'nonce-{nonce}'")) && policy.contains("default-src 'none'"),
        "{policy}"
    );
    for forbidden in ["unsafe", "http:", "https:", "*"] {
        assert!(!policy.contains(forbidden), "{policy}");
    }
    let again = browse(&w, "/").await;
    assert_ne!(again.text, index.text, "a nonce is for one answer");
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-cache"),
    ] {
        assert_eq!(index.header(name), value);
    }

    let asset = w.bare("GET", "/assets/app-1a.js").page().await.is(200);
    assert_eq!(
        (asset.text.as_str(), asset.header("content-type")),
        ("let plain", "text/javascript; charset=utf-8")
    );
    assert!(asset.header("cache-control").contains("immutable"));
    for (takes, coding) in [("gzip, br", "br"), ("gzip", "gzip"), ("gzip;q=0", "")] {
        let r = w.bare("GET", "/assets/app-1a.js").header("accept-encoding", takes).page().await.is(200);
        assert_eq!((r.header("content-encoding"), r.header("vary")), (coding, "Accept-Encoding"), "{takes}");
    }
    let known = w.bare("GET", "/favicon.svg").header("if-none-match", "\"favicon.svg\"").page().await.is(304);
    assert!(known.text.is_empty());
    for nothing in ["/assets/app-0.js", "/assets/app-1a.js.br", "/api/v1/nothing", "/api"] {
        w.bare("GET", nothing).page().await.is(404);
    }
    for not_a_page in ["/stamp", "/index.html"] {
        assert!(
            browse(&w, not_a_page).await.is(200).text.contains("<script"),
            "{not_a_page} is a path of the console"
        );
    }
    w.bare("POST", "/sims").page().await.is(404);
    let api = w.get("/api/v1/sims").await.is(200);
    assert!(api.header("content-security-policy").starts_with("default-src 'none'"));
    let console = w.get("/api/v1/system").await.is(200).body["console"].clone();
    assert_eq!((&console["state"], &console["fix"]), (&json!("current"), &Value::Null));
}

#[tokio::test]
async fn a_build_without_the_console_says_how_to_get_it() {
    let mut w = World::new().await;
    w.state.console = std::sync::Arc::new(crate::Console::default());
    w.app = crate::router(w.state.clone());
    let page = browse(&w, "/").await.is(503);
    assert!(page.text.contains("cargo xtask ui") && !page.text.contains("<script"), "{}", page.text);
    let ja = w.bare("GET", "/").header("accept-language", "ja").page().await.is(503);
    assert!(ja.text.contains("コンソールが含まれていません"), "{}", ja.text);
    w.get("/api/v1/sims").await.is(200);
}

#[tokio::test]
async fn somebody_signs_in_by_a_page_without_script_and_out_again() {
    let w = World::with_site().await;
    let password = w.operator_of_his_own("hanako", json!([{ "roles": ["owner"] }])).await;
    let page = browse(&w, "/sign-in?next=/sims").await.is(200);
    assert!(page.text.contains("<form") && !page.text.contains("<script"), "{}", page.text);
    assert_eq!(hidden(&page.text, "next"), "/sims");
    assert!(page.header("content-security-policy").contains("form-action 'self'"));

    let wrong =
        form(&w, "/sign-in", "", &[("name", "hanako\"><b"), ("password", "guess"), ("next", "/sims")]).await;
    assert!(
        wrong.status == 401 && wrong.text.contains("role=alert") && !wrong.text.contains("\"><b"),
        "{}",
        wrong.text
    );
    assert_eq!(wrong.header("set-cookie"), "");
    let given =
        [("name", "hanako"), ("password", password.as_str()), ("code", ""), ("next", "//evil.example")];
    let r = form(&w, "/sign-in", "", &given).await.is(303);
    assert_eq!(r.header("location"), "/", "to no other site");
    let cookie = cookie(&r);

    // The cookie opens the API as a token does.
    let by = |method: &str, path: &str| w.bare(method, path).from("10.0.0.1").header("cookie", &cookie);
    let me = by("GET", "/api/v1/me").send().await.is(200);
    assert_eq!((&me.body["operator"], &me.body["password_must_change"]), (&json!("hanako"), &json!(false)));
    assert!(me.body["expires"].is_string());
    by("GET", "/api/v1/sims").header("sec-fetch-site", "same-site").send().await.is(403);
    // A change must come from our own page.
    let body = json!({ "name": "field" });
    let change = |n: &str| by("POST", "/api/v1/groups").header("idempotency-key", n).json(body.clone());
    change("1").send().await.is(403);
    change("2").header("x-sekisho-console", "1").send().await.is(403);
    change("3").header("sec-fetch-site", "same-origin").send().await.is(403);
    let foreign =
        change("4").header("x-sekisho-console", "1").header("host", "a:1").header("origin", "http://b:1");
    assert_eq!(foreign.send().await.is(403).body["type"], "urn:sekisho:problem:not-from-here");
    let ours =
        || change("5").header("x-sekisho-console", "1").header("host", "a:1").header("origin", "http://a:1");
    ours().send().await.is(201);
    let audit = w.get("/api/v1/audit?object=group:field").await.is(200);
    assert_eq!(audit.body["items"][0]["actor"], "operator:hanako");
    // A token wins over a cookie, and needs none of this.
    w.call("POST", "/api/v1/groups")
        .header("cookie", &cookie)
        .json(json!({ "name": "other" }))
        .send()
        .await
        .is(201);

    let out =
        by("POST", "/api/v1/sign-out").header("idempotency-key", "out").header("x-sekisho-console", "1");
    let out = out.header("sec-fetch-site", "same-origin").send().await.is(204);
    assert!(out.header("set-cookie").contains("Max-Age=0"), "{}", out.header("set-cookie"));
    by("GET", "/api/v1/me").send().await.is(401);
    // Who has a cookie that counts no more can still sign in.
    w.bare("GET", "/sign-in").header("cookie", &cookie).header("accept", "text/html").page().await.is(200);
}

#[tokio::test]
async fn forms_of_other_sites_sign_nobody_in() {
    let w = World::new().await;
    let password = w.operator_of_his_own("hanako", json!([{ "roles": ["owner"] }])).await;
    let body = format!("name=hanako&password={}", encoded(&password));
    let post = || {
        w.bare("POST", "/sign-in")
            .header("content-type", FORM)
            .header("accept", "text/html")
            .raw(body.clone())
    };
    for call in [
        post(),
        post().header("sec-fetch-site", "cross-site"),
        post().header("sec-fetch-site", "same-site"),
        post().header("host", "sekisho").header("origin", "https://evil.example"),
    ] {
        let r = call.page().await.is(403);
        assert_eq!(r.header("set-cookie"), "");
        assert!(r.header("content-type").starts_with("text/html"), "a person reads it: {}", r.text);
    }
    post().header("host", "sekisho").header("origin", "https://sekisho").page().await.is(303);
}

#[tokio::test]
async fn a_first_password_leads_to_the_page_that_changes_it() {
    let w = World::new().await;
    let made = w.operator("hanako", json!([{ "roles": ["owner"] }])).await;
    let r =
        form(&w, "/sign-in", "", &[("name", "hanako"), ("password", &made), ("next", "/sims")]).await.is(303);
    assert_eq!(r.header("location"), "/password");
    let cookie = cookie(&r);
    w.bare("GET", "/api/v1/sims").from("10.0.0.1").header("cookie", &cookie).send().await.is(403);
    let page = w.bare("GET", "/password").from("10.0.0.1").header("cookie", &cookie).page().await.is(200);
    assert!(page.text.contains("name=\"again\""), "{}", page.text);
    let own = "a sentence that nobody guesses";
    let fields = |new, again| [("old", made.as_str()), ("new", new), ("again", again)];
    assert!(
        form(&w, "/password", &cookie, &fields(own, "another")).await.is(422).text.contains("not the same")
    );
    form(&w, "/password", &cookie, &fields("short", "short")).await.is(422);
    let done = form(&w, "/password", &cookie, &fields(own, own)).await.is(303);
    assert_eq!(done.header("location"), "/sign-in?changed=1");
    let again =
        form(&w, "/sign-in", "", &[("name", "hanako"), ("password", own), ("next", "/sims")]).await.is(303);
    assert_eq!(again.header("location"), "/sims");
    assert_eq!(browse(&w, "/password").await.is(303).header("location"), "/sign-in?next=/password");
}

#[tokio::test]
async fn the_first_operator_comes_by_the_printed_link_and_nobody_after_him() {
    let w = World::new().await;
    let nobody = browse(&w, "/sign-in").await.is(200);
    assert!(nobody.text.contains("sekisho first-run") && !nobody.text.contains("<form"), "{}", nobody.text);
    for guess in ["/first-run", "/first-run?link=0000"] {
        let r = browse(&w, guess).await.is(403);
        assert!(r.text.contains("sekisho first-run"), "{}", r.text);
    }
    let link = w.first_run.make([9; 32], now()).unwrap();
    let page = browse(&w, &link).await.is(200);
    assert!(page.text.contains("<svg") && !page.text.contains("<script"), "{}", page.text);
    let shown = page.text.split("<code>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let secret =
        totp::Secret::new(data_encoding::BASE32_NOPAD.decode(shown.as_bytes()).unwrap().try_into().unwrap());
    let (sealed, key) = (hidden(&page.text, "sealed"), hidden(&page.text, "link"));
    let own = "a sentence that nobody guesses";
    let code = secret.code(totp::step(now()));
    let fields = |name: &str, again: &str, code: &str, link: &str| {
        let all = [
            ("link", link),
            ("sealed", &sealed),
            ("name", name),
            ("display", "Tanaka Hanako"),
            ("password", own),
        ];
        let all = all.into_iter().chain([("again", again), ("code", code)]);
        all.map(|(n, v)| (n.to_owned(), v.to_owned())).collect::<Vec<_>>()
    };
    let post = async |f: Vec<(String, String)>| {
        let f: Vec<(&str, &str)> = f.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        form(&w, "/first-run", "", &f).await
    };
    post(fields("hanako", own, &code, "00")).await.is(403);
    let wrong = post(fields("Not A Name", own, "000000", &key)).await.is(422);
    assert!(
        wrong.text.contains("Not A Name") && wrong.text.contains("<svg"),
        "what was typed stays: {}",
        wrong.text
    );
    assert!(!wrong.text.contains(own), "but for the password");
    post(fields("hanako", "another", &code, &key)).await.is(422);
    assert!(w.store.operators(None, 9).await.unwrap().items.is_empty());

    let done = post(fields("hanako", own, &code, &key)).await.is(303);
    assert_eq!(done.header("location"), "/");
    let cookie = cookie(&done);
    let me = w.bare("GET", "/api/v1/me").from("10.0.0.1").header("cookie", &cookie).send().await.is(200);
    assert_eq!((&me.body["operator"], &me.body["second_factor"]), (&json!("hanako"), &json!(true)));
    assert_eq!(me.body["grants"][0]["roles"], json!(["owner"]));
    // The code was taken once, and the link counts no more, nor does a new one.
    assert!(!w.first_run.is_open(now()));
    w.sign_in("10.0.0.1", json!({ "name": "hanako", "password": own, "code": code })).await.is(401);
    let second = w.first_run.make([8; 32], now()).unwrap();
    browse(&w, &second).await.is(409);
    post(fields("taro", own, &code, second.split('=').nth(1).unwrap())).await.is(409);
    assert_eq!(w.store.operators(None, 9).await.unwrap().items.len(), 1);
    let audit = w.get("/api/v1/audit?object=operator:hanako").await.is(200).text;
    assert!(audit.contains("first-run") && !audit.contains(&shown) && !audit.contains(own));
}

#[tokio::test]
async fn the_language_that_the_console_was_set_to_goes_before_the_browsers() {
    let w = World::new().await;
    let title = async |cookie: &str| {
        let r =
            w.bare("GET", "/sign-in").header("accept-language", "en").header("cookie", cookie).page().await;
        (r.header("content-language").to_owned(), r.text.contains("<html lang=ja>"))
    };
    assert_eq!(title("").await, ("en".to_owned(), false));
    assert_eq!(title("x=1; sekisho-lang=ja").await, ("ja".to_owned(), true));
    let r = w.bare("GET", "/api/v1/sims").header("cookie", "sekisho-lang=ja").send().await.is(401);
    assert_eq!(r.header("content-language"), "ja");
}
