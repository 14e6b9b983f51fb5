//! Pages that are made here: a heading, some words, perhaps one form. But for the page of a passkey they need no script.

use super::{Console, nonce, policy};
use crate::problem::{Lang, Problem, Said, say};
use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use std::fmt::Write as _;

const STYLE: &str = "\
:root{color-scheme:light dark;--paper:#f6f7f9;--card:#fff;--ink:#1b1f24;--soft:#57606a;--line:#8c959f;--act:#0b5cad;--bad:#a40e26}\
@media(prefers-color-scheme:dark){:root{--paper:#12161b;--card:#1c2128;--ink:#e6edf3;--soft:#a9b4c0;--line:#768390;--act:#6cb6ff;--bad:#ff9492}}\
*{box-sizing:border-box}body{margin:0;min-height:100vh;display:grid;place-items:center;background:var(--paper);color:var(--ink);\
font:16px/1.6 system-ui,'Hiragino Sans','Noto Sans JP',sans-serif}\
main{width:min(28rem,100% - 2rem);margin:2rem 1rem;padding:2rem;background:var(--card);border-radius:12px;box-shadow:0 1px 4px #0003}\
h1{margin:0 0 1rem;font-size:1.4rem}label{display:block;margin:.9rem 0 .2rem;font-weight:600}\
input{width:100%;padding:.55rem .7rem;font:inherit;color:inherit;background:var(--paper);border:1px solid var(--line);border-radius:6px}\
button{margin-top:1.4rem;width:100%;padding:.65rem;font:inherit;font-weight:600;color:var(--card);background:var(--act);border:0;border-radius:6px;cursor:pointer}\
dt{font-weight:600}dd{margin:0 0 .4rem;overflow-wrap:anywhere}h2{font-size:1.1rem;overflow-wrap:anywhere}.way{display:block;margin:.5rem 0;padding:.6rem;text-align:center;font-weight:600;color:var(--act);border:1px solid var(--act);border-radius:6px;text-decoration:none}\
:focus-visible{outline:3px solid var(--act);outline-offset:2px}small,.soft{color:var(--soft);font-weight:400}\
.bad{margin:0 0 1rem;padding:.6rem .8rem;border-left:4px solid var(--bad);color:var(--bad)}.bad ul{margin:.2rem 0;padding-left:1.2rem}\
code{font:14px ui-monospace,monospace;overflow-wrap:anywhere}svg{display:block;width:13rem;max-width:100%;margin:1rem auto;background:#fff}";

/// A page in the making.
pub(crate) struct Page {
    lang: Lang,
    title: String,
    body: String,
    status: StatusCode,
    /// A file of ours that the page runs; most pages have none.
    script: Option<&'static str>,
}

/// A field of a form.
pub(super) struct Field<'a> {
    pub(super) name: &'a str,
    pub(super) label: Said,
    /// `text`, `password` or `code`.
    pub(super) kind: &'a str,
    /// For the browser's own memory of what belongs here.
    pub(super) autocomplete: &'a str,
    pub(super) value: &'a str,
    pub(super) hint: Option<Said>,
    pub(super) needed: bool,
}

impl Page {
    pub(crate) fn new(headers: &HeaderMap, title: Said) -> Self {
        let lang = Lang::asked(headers);
        Self {
            lang,
            title: title.text(lang).to_owned(),
            body: String::new(),
            status: StatusCode::OK,
            script: None,
        }
    }

    /// A paragraph.
    pub(crate) fn say(mut self, said: &Said) -> Self {
        _ = write!(self.body, "<p>{}</p>", escape(said.text(self.lang)));
        self
    }

    /// A command, as it is to be typed.
    pub(super) fn command(mut self, text: &str) -> Self {
        _ = write!(self.body, "<p><code>{}</code></p>", escape(text));
        self
    }

    /// A way on, as wide as a button.
    pub(crate) fn link(mut self, to: &str, words: &Said) -> Self {
        _ = write!(
            self.body,
            "<p><a class=way href=\"{}\">{}</a></p>",
            escape(to),
            escape(words.text(self.lang))
        );
        self
    }

    /// Markup that is ours alone.
    pub(crate) fn raw(mut self, html: &str) -> Self {
        self.body.push_str(html);
        self
    }

    /// What was wrong with what came in, with its status.
    pub(crate) fn wrong(mut self, p: &Problem) -> Self {
        self.status = StatusCode::from_u16(p.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = p.to_json(self.lang, "");
        let words = |v: &serde_json::Value, name: &str| v[name].as_str().map(escape).unwrap_or_default();
        _ = write!(self.body, "<div class=bad role=alert><strong>{}</strong>", words(&body, "title"));
        for name in ["detail", "fix"] {
            let text = words(&body, name);
            if !text.is_empty() {
                _ = write!(self.body, "<div>{text}</div>");
            }
        }
        let fields = body["errors"].as_array().into_iter().flatten();
        let items: String =
            fields.map(|f| format!("<li>{} {}</li>", words(f, "detail"), words(f, "fix"))).collect();
        if !items.is_empty() {
            _ = write!(self.body, "<ul>{items}</ul>");
        }
        self.body.push_str("</div>");
        self
    }

    /// A form that is sent to `to`. `hidden` comes back with it.
    pub(super) fn form(
        mut self,
        to: &str,
        hidden: &[(&str, &str)],
        fields: &[Field<'_>],
        press: &Said,
    ) -> Self {
        _ = write!(self.body, "<form method=post action=\"{}\">", escape(to));
        for (name, value) in hidden {
            _ = write!(self.body, "<input type=hidden name=\"{name}\" value=\"{}\">", escape(value));
        }
        for (i, f) in fields.iter().enumerate() {
            let (name, label) = (f.name, escape(f.label.text(self.lang)));
            let extra = if f.kind == "code" { " inputmode=numeric maxlength=8" } else { "" };
            let kind = if f.kind == "password" { "password" } else { "text" };
            let needed = if f.needed { " required" } else { "" };
            let first = if i == 0 { " autofocus" } else { "" };
            _ = write!(self.body, "<label for=\"{name}\">{label}</label>");
            let described =
                f.hint.as_ref().map_or(String::new(), |_| format!(" aria-describedby=\"{name}-hint\""));
            _ = write!(
                self.body,
                "<input id=\"{name}\" name=\"{name}\" type={kind} autocomplete=\"{}\" value=\"{}\"{extra}{needed}{first}{described} \
                 autocapitalize=none spellcheck=false>",
                f.autocomplete,
                escape(f.value)
            );
            if let Some(hint) = &f.hint {
                _ = write!(self.body, "<small id=\"{name}-hint\">{}</small>", escape(hint.text(self.lang)));
            }
        }
        _ = write!(self.body, "<button>{}</button></form>", escape(press.text(self.lang)));
        self
    }

    /// A form that `script` fills: it reads `options`, and shows `failed` where nothing came of it.
    pub(super) fn asking(
        mut self,
        to: &str,
        options: &str,
        hidden: &[(&str, &str)],
        failed: &Said,
        press: &Said,
        script: &'static str,
    ) -> Self {
        let (to, options) = (escape(to), escape(options));
        _ = write!(self.body, "<form method=post action=\"{to}\" data-options=\"{options}\">");
        for (name, value) in hidden {
            _ = write!(self.body, "<input type=hidden name=\"{name}\" value=\"{}\">", escape(value));
        }
        let (failed, press) = (escape(failed.text(self.lang)), escape(press.text(self.lang)));
        _ = write!(
            self.body,
            "<p id=said class=bad role=alert hidden>{failed}</p><button>{press}</button></form>"
        );
        self.script = Some(script);
        self
    }

    pub(super) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn done(self) -> Response {
        let nonce = match nonce() {
            Ok(n) => n,
            Err(p) => return p.into_response(),
        };
        let lang = match self.lang {
            Lang::En => "en",
            Lang::Ja => "ja",
        };
        let title = escape(&self.title);
        let script = self.script.map_or(String::new(), |s| format!("<script src=\"{s}\"></script>"));
        let scripts = if self.script.is_some() { " script-src 'self';" } else { "" };
        let text = format!(
            "<!doctype html><html lang={lang}><head><meta charset=utf-8>\
             <meta name=viewport content=\"width=device-width,initial-scale=1\"><title>{title} · Sekisho</title>\
             <style nonce={nonce}>{STYLE}</style></head><body><main><h1>{title}</h1>{}</main>{script}</body></html>",
            self.body
        );
        let mut r = Response::new(Body::from(text));
        *r.status_mut() = self.status;
        r.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        r.headers_mut().insert(header::CONTENT_LANGUAGE, HeaderValue::from_static(lang));
        r.extensions_mut().insert(Made);
        policy(
            &mut r,
            &format!(
                "default-src 'none'; style-src 'nonce-{nonce}';{scripts} base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
            ),
        );
        r
    }
}

/// Said of an answer: it is a page of ours, whatever its status.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Made;

/// A problem as a page.
pub(crate) fn error(headers: &HeaderMap, p: &Problem, request_id: &str) -> Response {
    let id = request_id;
    Page::new(headers, say!("This did not work", "処理できませんでした"))
        .wrong(p)
        .say(&say!("Request {id}", "リクエスト {id}"))
        .raw("<p><a href=\"/\">Sekisho</a></p>")
        .done()
}

/// In place of the console where it was not built.
pub(super) fn not_built(headers: &HeaderMap, console: &Console) -> Response {
    Page::new(headers, say!("The console is not in this build", "このビルドにはコンソールが含まれていません"))
        .say(&say!(
            "Everything else works: the API at /api/v1 and the command line. To get the console, build it where Node 20 or later is, and build Sekisho again:",
            "それ以外の機能 (API /api/v1 とコマンドライン) は使用できます。コンソールを使うには、Node 20 以降のある環境でビルドしてから Sekisho を再ビルドしてください:"
        ))
        .command(console.standing().fix().unwrap_or_default())
        .status(StatusCode::SERVICE_UNAVAILABLE)
        .done()
}

pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}
