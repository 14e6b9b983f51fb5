//! The first operator: made by whoever has the one-time link, which is printed on the machine itself.
//!
//! There is no default password anywhere. The link's secret is kept by its hash in a file that only the machine's owner
//! reads; it counts for a day, and only while there is no operator. The page makes an owner with a password and a second
//! factor, proves the second factor, and signs him in.

use super::{
    page::{Field, Page, escape},
    password::not_the_same,
    session,
    sign_in::{go, signed_in},
};
use crate::{
    api::{Secret, SignIn, sign_in},
    check::{Check, Kind},
    password::weakness,
    problem::{Problem, say},
    rights::Asking,
    roles::Role,
    state::{AppState, now, random},
    totp,
};
use axum::{
    Extension, Form,
    extract::{Query, State},
    http::HeaderMap,
    response::Response,
};
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
};
use store::{Change, Grant, OperatorRow, StoreError};
use types::{Key256, Name, Utc, hex};

/// Hours that a link counts.
pub const LINK_HOURS: i64 = 24;

/// What the secret of a second factor is sealed for, while it is in a form and has no operator yet.
const IN_A_FORM: &str = "first run";

/// The file that keeps the link's hash.
#[derive(Debug, Clone)]
pub struct FirstRun {
    file: PathBuf,
}

impl FirstRun {
    /// Kept in this file.
    pub fn at(file: impl Into<PathBuf>) -> Self {
        Self { file: file.into() }
    }

    /// Makes a new link of 32 octets of the OS's randomness; one that was made before counts no more. Returns its path
    /// and query.
    pub fn make(&self, random: [u8; 32], now: Utc) -> io::Result<String> {
        let secret = hex(&random);
        let ends = now.0 + LINK_HOURS * 3_600_000;
        let new = self.file.with_extension("new");
        let mut f = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        f.write_all(format!("{} {ends}\n", digest(&secret)).as_bytes())?;
        f.sync_all()?;
        fs::rename(new, &self.file)?;
        Ok(format!("/first-run?link={secret}"))
    }

    /// True while a link is there that counts.
    pub fn is_open(&self, now: Utc) -> bool {
        self.read(now).is_some()
    }

    /// The digest of the link that counts.
    fn read(&self, now: Utc) -> Option<String> {
        let text = fs::read_to_string(&self.file).ok()?;
        let (digest, ends) = text.trim().split_once(' ')?;
        (now.0 < ends.parse::<i64>().ok()?).then(|| digest.to_owned())
    }

    fn is(&self, secret: &str, now: Utc) -> bool {
        // Digests are compared: a clock learns nothing about the secret from them.
        self.read(now).is_some_and(|d| d == digest(secret))
    }

    fn used(&self) {
        if let Err(e) = fs::remove_file(&self.file) {
            // It counts no more all the same: there is an operator.
            tracing::warn!("{} of the first run could not be removed: {e}", self.file.display());
        }
    }
}

fn digest(secret: &str) -> String {
    let d: [u8; 32] = Sha256::digest(secret.as_bytes()).into();
    hex(&d)
}

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    link: String,
}

#[derive(Deserialize)]
pub(super) struct Given {
    link: String,
    sealed: String,
    name: String,
    display: String,
    password: Secret,
    again: Secret,
    code: String,
}

/// `GET /first-run`.
pub(super) async fn show(
    State(s): State<AppState>,
    Extension(asking): Extension<Asking>,
    headers: HeaderMap,
    Query(q): Query<Asked>,
) -> Result<Response, Problem> {
    admitted(&s, &asking, &q.link).await?;
    let secret = totp::Secret::new(random()?);
    let sealed = secret.seal(key(&s)?, IN_A_FORM, random()?).ok_or_else(Problem::internal)?;
    Ok(form(page(&headers), &q.link, &BASE64URL_NOPAD.encode(&sealed), &secret, ["owner", ""]))
}

/// Refuses who has not the link; guesses wait as those of a password do.
async fn admitted(s: &AppState, asking: &Asking, link: &str) -> Result<(), Problem> {
    const WHO: &str = "first run";
    let now = now();
    if let Some(ms) = s.guard.wait(WHO, asking.peer, now) {
        return Err(crate::api::must_wait(ms));
    }
    if !s.store.operators(None, 1).await?.items.is_empty() {
        return Err(over());
    }
    if !s.first_run.as_ref().is_some_and(|f| f.is(link, now)) {
        s.guard.failed(WHO, asking.peer, now);
        return Err(Problem::new(403, "first-run", say!("This link does not count", "このリンクは無効です"))
            .detail(say!(
                "it is not the one that was printed last, or it is older than {LINK_HOURS} hours",
                "最後に発行されたリンクではないか、発行から {LINK_HOURS} 時間を過ぎています"
            ))
            .fix(say!(
                "on the machine itself: sekisho first-run prints a new one",
                "サーバー上で sekisho first-run を実行すると新しいリンクが表示されます"
            )));
    }
    Ok(())
}

fn over() -> Problem {
    Problem::new(409, "first-run-over", say!("The first run is over", "初期設定は完了しています"))
        .detail(say!("there is an operator already", "オペレーターが登録済みです"))
        .fix(say!("sign in at /sign-in", "/sign-in からサインインしてください"))
}

fn key(s: &AppState) -> Result<&Key256, Problem> {
    s.secrets.as_deref().ok_or_else(Problem::internal)
}

fn page(headers: &HeaderMap) -> Page {
    Page::new(headers, say!("The first operator", "最初のオペレーター")).say(&say!(
        "You become the owner: you may do everything, and make other operators.",
        "すべての操作と、他のオペレーターの作成ができる owner になります。"
    ))
}

fn form(page: Page, link: &str, sealed: &str, secret: &totp::Secret, typed: [&str; 2]) -> Response {
    let [name, display] = typed;
    let field = |name, label, kind, autocomplete, value, hint| Field {
        name,
        label,
        kind,
        autocomplete,
        value,
        hint,
        needed: true,
    };
    let fields = [
        field(
            "name",
            say!("Name to sign in with", "サインイン名"),
            "text",
            "username",
            name,
            Some(say!("a-z, 0-9 and inner - _ .", "半角英小文字・数字と、途中の - _ .")),
        ),
        field("display", say!("Full name", "氏名"), "text", "name", display, None),
        field(
            "password",
            say!("Password", "パスワード"),
            "password",
            "new-password",
            "",
            Some(say!(
                "12 to 128 characters, such as a sentence",
                "12〜128 文字。文章のような長いものを推奨します"
            )),
        ),
        field("again", say!("Password again", "パスワード (確認)"), "password", "new-password", "", None),
        field(
            "code",
            say!("Code that the app shows", "アプリに表示されたコード"),
            "code",
            "one-time-code",
            "",
            Some(say!("six digits", "6 桁の数字")),
        ),
    ];
    let typed_in = secret.base32();
    page.say(&say!(
        "Scan this with an authenticator app, or type the text below it into the app; then type the code that the app shows.",
        "認証アプリで QR コードを読み取るか、下の文字列をアプリに入力し、アプリに表示されたコードを入力してください。"
    ))
    .raw(&picture(&secret.uri(if name.is_empty() { "owner" } else { name })))
    .command(&typed_in)
    .form("/first-run", &[("link", link), ("sealed", sealed)], &fields, &say!("Make the operator", "作成する"))
    .done()
}

/// A QR code as SVG; nothing where the text is too long for one.
fn picture(text: &str) -> String {
    use qrcodegen::{QrCode, QrCodeEcc};
    /// Modules of white around it (ISO/IEC 18004 §9.1).
    const QUIET: i32 = 4;
    let Ok(code) = QrCode::encode_text(text, QrCodeEcc::Medium) else { return String::new() };
    let size = code.size();
    let dark =
        (0..size).flat_map(|y| (0..size).map(move |x| (x, y))).filter(|(x, y)| code.get_module(*x, *y));
    let path: String = dark.map(|(x, y)| format!("M{} {}h1v1h-1z", x + QUIET, y + QUIET)).collect();
    let whole = size + 2 * QUIET;
    format!(
        "<svg viewBox=\"0 0 {whole} {whole}\" role=img aria-label=\"{}\" shape-rendering=crispEdges><path d=\"{path}\"/></svg>",
        escape("QR")
    )
}

/// `POST /first-run`.
pub(super) async fn submit(
    State(s): State<AppState>,
    Extension(asking): Extension<Asking>,
    headers: HeaderMap,
    Form(given): Form<Given>,
) -> Result<Response, Problem> {
    session::form_is_ours(&headers)?;
    admitted(&s, &asking, &given.link).await?;
    let sealed = BASE64URL_NOPAD.decode(given.sealed.as_bytes()).unwrap_or_default();
    let Some(secret) = totp::Secret::open(&sealed, key(&s)?, IN_A_FORM) else {
        // A form of an earlier start of this node, or an altered one: with a new secret it goes on.
        return Ok(go(&format!("/first-run?link={}", hex_only(&given.link))));
    };
    let again = |p: &Problem| {
        form(page(&headers).wrong(p), &given.link, &given.sealed, &secret, [&given.name, &given.display])
    };
    let (name, step) = match checked(&given, &secret) {
        Ok(found) => found,
        Err(p) => return Ok(again(&p)),
    };
    let hash = s.passwords.hash(given.password.copied()).await?;
    let sealed = secret.seal(key(&s)?, name.as_str(), random()?).ok_or_else(Problem::internal)?;
    let now = now();
    let grant = Grant { roles: [Role::Owner.as_str().to_owned()].into(), ..Grant::default() };
    let row = OperatorRow {
        name: name.clone(),
        display: given.display.trim().to_owned(),
        grants: vec![grant],
        password: hash,
        must_change: false,
        totp: Some(sealed),
        totp_pending: None,
        // One step before the code that was shown: that one signs him in below.
        totp_step: step - 1,
        disabled: None,
        signed_in: None,
        version: 0,
        created: now,
        changed: now,
    };
    let change = Change {
        request_id: asking.request_id.clone(),
        origin: asking.origin(),
        ..Change::by_system("first-run", now)
    };
    match s.store.create_first_operator(row, &change).await {
        Ok(_) => {}
        Err(StoreError::Conflict { .. }) => return Err(over()),
        Err(e) => return Err(e.into()),
    }
    if let Some(f) = &s.first_run {
        f.used();
    }
    let code = Some(Secret::of(given.code.trim()));
    match sign_in(&s, &asking, SignIn { name: name.to_string(), password: given.password, code }).await {
        Ok(made) => Ok(signed_in(&made.token, "/")),
        // The code ran out meanwhile: he signs in with the next one.
        Err(_) => Ok(go("/sign-in")),
    }
}

/// Only what a link of ours can hold.
fn hex_only(link: &str) -> String {
    link.chars().filter(char::is_ascii_hexdigit).take(64).collect()
}

/// The name, and the step of the code.
fn checked(given: &Given, secret: &totp::Secret) -> Result<(Name, i64), Problem> {
    if given.password.copied() != given.again.copied() {
        return Err(not_the_same());
    }
    let mut check = Check::default();
    let name: Option<Name> = check.parse("/name", given.name.trim(), Kind::Name);
    check.filled("/display", given.display.trim(), 200);
    if let Some(why) = weakness(&given.password.copied(), given.name.trim()) {
        check.add(
            "/password",
            why,
            Some(say!("choose a longer one, such as a sentence", "文章のような長いものにしてください")),
        );
    }
    let step = secret.accepts(&given.code, 0, now());
    if step.is_none() {
        check.add(
            "/code",
            say!("it is not the code that the app shows for this picture", "この QR コードに対応するコードではありません"),
            Some(say!(
                "scan the picture again, wait for the next code, and see that both clocks are right",
                "QR コードを読み取り直し、次のコードを待って入力してください。両方の時計が正しいことも確認してください"
            )),
        );
    }
    check.finish(name.zip(step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_counts_for_a_day_and_the_last_one_alone() {
        let dir = tempfile::tempdir().unwrap();
        let f = FirstRun::at(dir.path().join("first-run"));
        let (now, day) = (Utc(1_800_000_000_000), LINK_HOURS * 3_600_000);
        assert!(!f.is_open(now) && !f.is("", now));
        let secret = |link: String| link.split_once('=').unwrap().1.to_owned();
        let first = secret(f.make([1; 32], now).unwrap());
        assert!(f.is(&first, now) && f.is(&first, Utc(now.0 + day - 1)));
        assert!(!f.is(&first, Utc(now.0 + day)) && !f.is(&first[1..], now));
        let kept = fs::read_to_string(&f.file).unwrap();
        assert!(!kept.contains(&first), "only its hash lies there");
        use std::os::unix::fs::MetadataExt as _;
        assert_eq!(fs::metadata(&f.file).unwrap().mode() & 0o777, 0o600);
        let second = secret(f.make([2; 32], now).unwrap());
        assert!(!f.is(&first, now) && f.is(&second, now));
        f.used();
        assert!(!f.is(&second, now));
    }

    #[test]
    fn the_picture_is_a_qr_code_with_white_around_it() {
        let svg =
            picture("otpauth://totp/Sekisho:owner?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Sekisho");
        assert!(svg.starts_with("<svg viewBox=\"0 0 ") && svg.contains("M4 4h1v1h-1z"), "{svg}");
        assert_eq!(picture(&"x".repeat(5000)), "");
    }
}
