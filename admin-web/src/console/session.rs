//! A browser's session: the token of a sign-in in a cookie, and what a request that comes by it must prove.
//!
//! The cookie is for this host alone, is sent from our own pages alone (`SameSite=Strict`) and no script reads it. A
//! change must carry a header that a foreign page cannot send without asking us first, and the browser's word that the
//! page is ours: ports of one host share cookies.

use crate::problem::{Problem, cookie, say};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};

/// The cookie's name.
pub(crate) const COOKIE: &str = "sekisho_session";
/// The header that a change by cookie must carry, with the value 1.
const MARK: HeaderName = HeaderName::from_static("x-sekisho-console");
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Said of a request that was let in by its cookie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ByCookie;

/// The token in the cookie.
pub(crate) fn token(headers: &HeaderMap) -> Option<&str> {
    cookie(headers, COOKIE)
}

/// The header that gives a browser this token; `None` takes it away.
pub(crate) fn set(token: Option<&str>) -> Option<HeaderValue> {
    let rest = "Path=/; HttpOnly; Secure; SameSite=Strict";
    let text = match token {
        Some(t) => format!("{COOKIE}={t}; {rest}"),
        None => format!("{COOKIE}=; Max-Age=0; {rest}"),
    };
    HeaderValue::from_str(&text).ok()
}

/// Refuses a request by cookie that might come from another's page.
pub(crate) fn must_be_ours(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    let word = |name: &HeaderName| headers.get(name).and_then(|v| v.to_str().ok());
    if matches!(*method, Method::GET | Method::HEAD) {
        // Without a word of the browser: a program with a cookie jar.
        return if is_foreign(headers) { Err(foreign()) } else { Ok(()) };
    }
    if word(&MARK) != Some("1") {
        return Err(foreign().fix(say!(
            "a change by cookie carries the header X-Sekisho-Console: 1; a script sends Authorization: Bearer TOKEN instead",
            "Cookie による変更操作にはヘッダー X-Sekisho-Console: 1 が必要です。スクリプトでは Authorization: Bearer TOKEN を使ってください"
        )));
    }
    form_is_ours(headers)
}

/// True where the browser says that a page of another origin leads here.
pub(crate) fn is_foreign(headers: &HeaderMap) -> bool {
    let site = headers.get(&SITE).and_then(|v| v.to_str().ok());
    site.is_some_and(|w| w != "same-origin" && w != "none")
}

/// Refuses a form that was not on one of our own pages.
pub(crate) fn form_is_ours(headers: &HeaderMap) -> Result<(), Problem> {
    let word = |name: &HeaderName| headers.get(name).and_then(|v| v.to_str().ok());
    let ours = match (word(&SITE), word(&header::ORIGIN), word(&header::HOST)) {
        (Some(site), _, _) => site == "same-origin",
        (None, Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, h)| h == host),
        (None, _, _) => false,
    };
    if ours { Ok(()) } else { Err(foreign()) }
}

fn foreign() -> Problem {
    Problem::new(
        403,
        "not-from-here",
        say!("Not from our own page", "このサイトのページからの操作ではありません"),
    )
    .detail(say!(
        "the browser does not say that the page which sent this is one of ours",
        "送信元がこのサイトのページであることをブラウザーから確認できません"
    ))
    .fix(say!(
        "open the console at its own address and do it there",
        "コンソールを正規のアドレスで開いて操作してください"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
        all.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        assert_eq!(token(&headers(&[("cookie", "a=b; sekisho_session=sekisho_1; c=d")])), Some("sekisho_1"));
        assert_eq!(token(&headers(&[("cookie", "xsekisho_session=1")])), None);
        assert_eq!(token(&HeaderMap::new()), None);
        let set = set(Some("t")).unwrap();
        for part in ["HttpOnly", "Secure", "SameSite=Strict", "Path=/"] {
            assert!(set.to_str().unwrap().contains(part), "{part}");
        }
    }

    #[test]
    fn a_change_by_cookie_must_come_from_our_own_page() {
        let (mark, here) = (("x-sekisho-console", "1"), ("sec-fetch-site", "same-origin"));
        let (host, own) = (("host", "10.0.0.5:8443"), ("origin", "https://10.0.0.5:8443"));
        let post = |h: &[(&'static str, &'static str)]| must_be_ours(&Method::POST, &headers(h)).is_ok();
        assert!(post(&[mark, here]) && post(&[mark, host, own]));
        for wrong in [
            vec![here],
            vec![mark],
            vec![mark, host],
            vec![mark, ("sec-fetch-site", "same-site"), host, own],
            vec![mark, ("sec-fetch-site", "cross-site")],
            vec![mark, ("sec-fetch-site", "none")],
            vec![mark, host, ("origin", "https://10.0.0.5:9999")],
            vec![mark, host, ("origin", "null")],
            vec![("x-sekisho-console", "0"), here],
        ] {
            assert!(!post(&wrong), "{wrong:?}");
        }
        let get = |h: &[(&'static str, &'static str)]| must_be_ours(&Method::GET, &headers(h)).is_ok();
        assert!(get(&[]) && get(&[here]) && get(&[("sec-fetch-site", "none")]));
        assert!(!get(&[("sec-fetch-site", "same-site")]), "another port of this host");
    }
}
