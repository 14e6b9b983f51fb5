//! The page for signing in. Where nobody can sign in yet it says how the first operator comes about.

use super::{
    page::{Field, Page},
    passkey, provider, session,
};
use crate::{
    api::{SignIn, SignedInView, sign_in},
    problem::{Problem, say},
    rights::Asking,
    state::AppState,
};
use axum::{
    Extension, Form,
    extract::{Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;

/// Where to go behind it.
#[derive(Default, Deserialize)]
pub(super) struct Asked {
    next: Option<String>,
    changed: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Given {
    name: String,
    password: crate::api::Secret,
    #[serde(default)]
    code: Option<crate::api::Secret>,
    #[serde(default)]
    next: String,
}

/// `GET /sign-in`.
pub(super) async fn show(State(s): State<AppState>, headers: HeaderMap, Query(q): Query<Asked>) -> Response {
    let next = q.next.as_deref().unwrap_or_default();
    let nobody = matches!(s.store.operators(None, 1).await, Ok(page) if page.items.is_empty());
    if nobody {
        return Page::new(&headers, say!("Nobody can sign in yet", "サインインできる人がまだいません"))
            .say(&say!(
                "The first operator is made by a one-time link. `sekisho init` printed it; on the machine itself a new one is made by:",
                "最初のオペレーターは一度だけ使えるリンクから作成します。リンクは sekisho init が表示しています。サーバー上で次のコマンドを実行すると新しいリンクを発行できます:"
            ))
            .command("sekisho first-run")
            .by_provider(&s, next)
            .done();
    }
    let page = Page::new(&headers, say!("Sign in", "サインイン"));
    let page = match q.changed {
        Some(_) => page.say(&say!(
            "The password is changed. Sign in with the new one.",
            "パスワードを変更しました。新しいパスワードでサインインしてください。"
        )),
        None => page,
    };
    form(page.by_provider(&s, next).by_passkey(&s, next), "", next)
}

impl Page {
    /// The way out to the provider, where there is one.
    fn by_provider(self, s: &AppState, next: &str) -> Self {
        let Some(name) = s.provider.as_ref().map(|p| p.name()) else { return self };
        let to = provider::way_out(inside(next));
        self.link(&to, &say!("Sign in by {name}", "{name} でサインイン"))
    }

    /// The way to the page for passkeys, where there are any.
    fn by_passkey(self, s: &AppState, next: &str) -> Self {
        if s.passkeys.is_none() {
            return self;
        }
        self.link(&passkey::way(inside(next)), &say!("Sign in by passkey", "パスキーでサインイン"))
    }
}

fn form(page: Page, name: &str, next: &str) -> Response {
    let field = |name, label, kind, autocomplete, value, hint, needed| Field {
        name,
        label,
        kind,
        autocomplete,
        value,
        hint,
        needed,
    };
    let fields = [
        field("name", say!("Name", "名前"), "text", "username", name, None, true),
        field("password", say!("Password", "パスワード"), "password", "current-password", "", None, true),
        field(
            "code",
            say!("Code", "認証コード"),
            "code",
            "one-time-code",
            "",
            Some(say!(
                "six digits of the authenticator app, if you have set one up",
                "認証アプリの 6 桁のコード (設定している場合)"
            )),
            false,
        ),
    ];
    page.form("/sign-in", &[("next", next)], &fields, &say!("Sign in", "サインイン")).done()
}

/// `POST /sign-in`.
pub(super) async fn submit(
    State(s): State<AppState>,
    Extension(asking): Extension<Asking>,
    headers: HeaderMap,
    Form(given): Form<Given>,
) -> Result<Response, Problem> {
    session::form_is_ours(&headers)?;
    let Given { name, password, code, next } = given;
    // An empty field of a form is none.
    let code = code.filter(|c| !c.copied().trim().is_empty());
    match sign_in(&s, &asking, SignIn { name: name.clone(), password, code }).await {
        Ok(made) => Ok(let_in(&made, &next)),
        Err(p) => {
            let page = Page::new(&headers, say!("Sign in", "サインイン")).wrong(&p);
            Ok(form(page.by_provider(&s, &next).by_passkey(&s, &next), &name, &next))
        }
    }
}

/// An operator is let in: to where he wanted to go, unless a new password comes first.
pub(super) fn let_in(made: &SignedInView, next: &str) -> Response {
    signed_in(&made.token, if made.password_must_change { "/password" } else { inside(next) })
}

/// The browser gets its cookie and goes there.
pub(super) fn signed_in(token: &str, to: &str) -> Response {
    let mut r = go(to);
    if let Some(v) = session::set(Some(token)) {
        r.headers_mut().insert(header::SET_COOKIE, v);
    }
    r
}

pub(super) fn go(to: &str) -> Response {
    let mut r = StatusCode::SEE_OTHER.into_response();
    if let Ok(v) = HeaderValue::from_str(to) {
        r.headers_mut().insert(header::LOCATION, v);
    }
    r
}

/// A path of this site, and of no other; the overview in place of anything else.
pub(super) fn inside(next: &str) -> &str {
    let plain = |b: u8| b.is_ascii_graphic() && b != b'\\';
    let ours = next.starts_with('/') && !next.starts_with("//") && next.bytes().all(plain);
    if ours { next } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::inside;

    #[test]
    fn a_sign_in_leads_to_no_other_site() {
        assert_eq!(inside("/sims?state=lost"), "/sims?state=lost");
        for elsewhere in
            ["", "//evil.example", "https://evil.example", "/\\evil.example", "/a\r\nx", "sims", "/\t/evil"]
        {
            assert_eq!(inside(elsewhere), "/", "{elsewhere}");
        }
    }
}
