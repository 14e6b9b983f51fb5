//! The page for one's own password: where an administrator set it, nothing else is open before it is changed.

use super::{
    page::{Field, Page},
    session,
    sign_in::go,
};
use crate::{
    api::{Secret, change_password, no_password},
    problem::{Problem, say},
    rights::{Caller, SignedIn},
    state::AppState,
};
use axum::{
    Form,
    extract::State,
    http::{HeaderMap, header},
    response::Response,
};
use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct Given {
    old: Secret,
    new: Secret,
    again: Secret,
}

/// `GET /password`.
pub(super) async fn show(who: Option<axum::Extension<Caller>>, headers: HeaderMap) -> Response {
    match who {
        Some(c) if c.operator.is_some() => form(page(&headers)),
        Some(c) if c.by_provider.is_some() => page(&headers).wrong(&no_password()).done(),
        _ => go("/sign-in?next=/password"),
    }
}

fn page(headers: &HeaderMap) -> Page {
    Page::new(headers, say!("Choose a password of your own", "自分のパスワードを設定する"))
}

fn form(page: Page) -> Response {
    let field = |name, label, autocomplete, hint| Field {
        name,
        label,
        kind: "password",
        autocomplete,
        value: "",
        hint,
        needed: true,
    };
    let fields = [
        field("old", say!("Password until now", "現在のパスワード"), "current-password", None),
        field(
            "new",
            say!("New password", "新しいパスワード"),
            "new-password",
            Some(say!(
                "12 to 128 characters, such as a sentence",
                "12〜128 文字。文章のような長いものを推奨します"
            )),
        ),
        field("again", say!("New password again", "新しいパスワード (確認)"), "new-password", None),
    ];
    page.say(&say!(
        "A password that somebody else set or saw is good for one thing alone: choosing your own. Every sign-in of yours ends then.",
        "他の人が設定したパスワードでは、パスワードの変更以外の操作はできません。変更すると、あなたのサインインはすべて終了します。"
    ))
    .form("/password", &[], &fields, &say!("Change it", "変更する"))
    .done()
}

/// `POST /password`.
pub(super) async fn submit(
    right: SignedIn,
    State(s): State<AppState>,
    headers: HeaderMap,
    Form(given): Form<Given>,
) -> Result<Response, Problem> {
    session::form_is_ours(&headers)?;
    if given.new.copied() != given.again.copied() {
        return Ok(form(page(&headers).wrong(&not_the_same())));
    }
    match change_password(&s, right.caller(), None, &given.old, &given.new).await {
        Ok(()) => {
            let mut r = go("/sign-in?changed=1");
            if let Some(v) = session::set(None) {
                r.headers_mut().insert(header::SET_COOKIE, v);
            }
            Ok(r)
        }
        Err(p) => Ok(form(page(&headers).wrong(&p))),
    }
}

pub(super) fn not_the_same() -> Problem {
    Problem::field(
        "/again",
        say!("the two new passwords are not the same", "新しいパスワードが一致しません"),
        Some(say!("type both again", "もう一度入力してください")),
    )
}
