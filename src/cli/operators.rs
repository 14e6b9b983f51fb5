//! `sekisho operator|role|token …`, and signing in and out.
//!
//! A password is never an argument: it comes from the terminal, which does not show it, or from a file.

use super::{
    Remote,
    print::{Columns, Printer},
};
use crate::{
    client::{Client, Good},
    lang::Lang,
};
use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use std::{
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// What somebody may do, and where.
#[derive(Debug, Args)]
pub struct Rights {
    /// Roles: viewer, helpdesk, provisioner, policy-author, approver, soc, ot-engineer, auditor, owner.
    #[arg(long)]
    role: Vec<String>,
    /// Scopes beside those of the roles.
    #[arg(long)]
    scope: Vec<String>,
    /// Only for SIMs in one of these groups.
    #[arg(long)]
    limit_group: Vec<String>,
    /// Only for SIMs at one of these sites.
    #[arg(long)]
    limit_site: Vec<String>,
}

impl Rights {
    fn body(&self) -> Value {
        json!({ "roles": self.role, "scopes": self.scope, "groups": self.limit_group, "sites": self.limit_site })
    }

    fn is_empty(&self) -> bool {
        self.role.is_empty() && self.scope.is_empty()
    }
}

/// `operator`
#[derive(Debug, Subcommand)]
pub enum Operator {
    /// Add one; the password that is made for him is shown once.
    Add {
        /// The name that he signs in with.
        name: String,
        /// Full name.
        #[arg(long)]
        display: String,
        #[command(flatten)]
        rights: Rights,
    },
    /// List them.
    List,
    /// Show one.
    Show {
        /// Which.
        name: String,
    },
    /// Change one. His sign-ins end where his rights or his password change.
    Change {
        /// Which.
        name: String,
        /// Full name.
        #[arg(long)]
        display: Option<String>,
        /// In place of all the rights that he has.
        #[command(flatten)]
        rights: Rights,
        /// Make a new password and show it once.
        #[arg(long)]
        new_password: bool,
        /// Take away the second factor, where he lost it.
        #[arg(long)]
        no_second_factor: bool,
    },
    /// Refuse one from now on.
    Disable {
        /// Which.
        name: String,
    },
    /// Let one sign in again.
    Enable {
        /// Which.
        name: String,
    },
}

/// `token`
#[derive(Debug, Subcommand)]
pub enum Token {
    /// List them; their texts are kept nowhere.
    List,
    /// Make one; its text is shown once.
    Create {
        /// Who or what uses it.
        label: String,
        #[command(flatten)]
        rights: Rights,
        /// Prefixes that it may be used from, such as 10.1.0.0/16.
        #[arg(long)]
        address: Vec<String>,
        /// When it ends, such as 2027-03-31T15:00:00Z.
        #[arg(long)]
        expires: Option<String>,
    },
    /// End one.
    Revoke {
        /// Its id.
        id: String,
    },
    /// Let one count again that an alert rule has put aside.
    Resume {
        /// Its id.
        id: String,
    },
}

/// `sign-in`
#[derive(Debug, Args)]
pub struct SignIn {
    /// Who.
    name: String,
    /// File that holds the password; without it the terminal is asked.
    #[arg(long)]
    password_file: Option<PathBuf>,
    /// File that holds the code of the second factor; without it the terminal is asked.
    #[arg(long)]
    code_file: Option<PathBuf>,
    /// File (mode 0600) to keep the token in, for --token-file; without it the token is printed.
    #[arg(long)]
    save: Option<PathBuf>,
}

/// `second-factor`
#[derive(Debug, Args)]
pub struct SecondFactor {
    /// File that holds the password; without it the terminal is asked.
    #[arg(long)]
    password_file: Option<PathBuf>,
    /// File that holds a code of the secret that was shown: sets the factor up.
    #[arg(long)]
    code_file: Option<PathBuf>,
    /// Ask the terminal for such a code.
    #[arg(long)]
    confirm: bool,
}

/// `password`
#[derive(Debug, Args)]
pub struct Password {
    /// File that holds the old password; without it the terminal is asked.
    #[arg(long)]
    old_file: Option<PathBuf>,
    /// File that holds the new password; without it the terminal is asked.
    #[arg(long)]
    new_file: Option<PathBuf>,
}

pub(super) fn operator(v: &Operator, api: &Client, out: &Printer) -> Result<()> {
    match v {
        Operator::Add { name, display, rights } => {
            let body = json!({ "name": name, "display": display, "grants": [rights.body()] });
            out.thing(&api.post("operators", &body)?.body)
        }
        Operator::List => {
            let columns =
                Columns(&["name", "display", "grants", "second_factor", "disabled", "last_sign_in"]);
            out.list(&api.list("operators")?, columns)
        }
        Operator::Show { name } => out.thing(&api.get(&format!("operators/{name}"))?.body),
        Operator::Change { name, display, rights, new_password, no_second_factor } => {
            let mut body = Map::new();
            if let Some(d) = display {
                body.insert("display".to_owned(), json!(d));
            }
            if !rights.is_empty() {
                body.insert("grants".to_owned(), json!([rights.body()]));
            } else if !rights.limit_group.is_empty() || !rights.limit_site.is_empty() {
                bail!("limits stand with --role or --scope: the rights are given anew, whole");
            }
            if *new_password {
                body.insert("new_password".to_owned(), json!(true));
            }
            if *no_second_factor {
                body.insert("second_factor".to_owned(), json!(false));
            }
            change(api, out, name, &Value::Object(body))
        }
        Operator::Disable { name } => change(api, out, name, &json!({ "disabled": true })),
        Operator::Enable { name } => change(api, out, name, &json!({ "disabled": false })),
    }
}

fn change(api: &Client, out: &Printer, name: &str, body: &Value) -> Result<()> {
    out.thing(&super::patch(api, &format!("operators/{name}"), body)?.body)
}

pub(super) fn roles(api: &Client, out: &Printer) -> Result<()> {
    let all = api.get("roles")?.body;
    out.list(all.as_array().map_or(&[], Vec::as_slice), Columns(&["name", "scopes", "en", "ja"]))
}

pub(super) fn token(v: &Token, api: &Client, out: &Printer) -> Result<()> {
    match v {
        Token::List => {
            let columns = Columns(&[
                "id",
                "label",
                "roles",
                "scopes",
                "groups",
                "sites",
                "addresses",
                "operator",
                "provider",
                "subject",
                "expires",
                "last_used",
                "revoked",
                "suspended",
            ]);
            out.list(&api.list("tokens")?, columns)
        }
        Token::Create { label, rights, address, expires } => {
            let mut body = rights.body();
            if let Some(b) = body.as_object_mut() {
                b.insert("label".to_owned(), json!(label));
                b.insert("addresses".to_owned(), json!(address));
                b.insert("expires".to_owned(), json!(expires));
            }
            out.thing(&api.post("tokens", &body)?.body)
        }
        Token::Resume { id } => api.post(&format!("tokens/{id}/resume"), &json!({})).map(drop),
        Token::Revoke { id } => api.delete(&format!("tokens/{id}"), None).map(drop),
    }
}

/// Signs in: the one verb that needs no token.
pub(super) fn sign_in(v: &SignIn, remote: &Remote, lang: Lang) -> Result<()> {
    let password = secret(v.password_file.as_deref(), lang.of("Password: ", "パスワード: "))?;
    let asked = lang.of("Code of the second factor (empty if none): ", "二要素認証コード (未設定なら空): ");
    let code = match &v.code_file {
        Some(f) => Some(from_file(f)?),
        None if v.password_file.is_some() => None,
        None => Some(secret(None, asked)?).filter(|c| !c.trim().is_empty()),
    };
    let ca = remote.ca.as_ref().map(std::fs::read).transpose().context("the certificate named by --ca")?;
    let api = Client::new(&remote.api, "", lang.tag(), ca.as_deref())?;
    let mut body = json!({ "name": v.name, "password": *password });
    if let (Some(c), Some(b)) = (code, body.as_object_mut()) {
        b.insert("code".to_owned(), json!(*c));
    }
    let Good { body, .. } = api.sign_in(&body)?;
    let token = body.get("token").and_then(Value::as_str).context("the API answered no token")?;
    if body.get("password_must_change") == Some(&Value::Bool(true)) {
        eprintln!(
            "{}",
            lang.of(
                "This password was made for you: all that you can do with it is to choose your own, by `sekisho password`.",
                "このパスワードは他の人が発行したものです。`sekisho password` で自分のパスワードに変更するまで、他の操作はできません。"
            )
        );
    }
    let expires = body.get("expires").and_then(Value::as_str).unwrap_or_default();
    match &v.save {
        Some(file) => {
            keep(file, token)?;
            let file = file.display();
            eprintln!("{} {expires}", lang.of("Signed in until", "サインインの期限:"));
            eprintln!("--token-file {file}");
        }
        None => println!("{token}"),
    }
    Ok(())
}

pub(super) fn sign_out(api: &Client) -> Result<()> {
    api.post("sign-out", &Value::Null).map(drop)
}

pub(super) fn password(v: &Password, api: &Client, lang: Lang) -> Result<()> {
    let old = secret(v.old_file.as_deref(), lang.of("Password: ", "現在のパスワード: "))?;
    let new = secret(v.new_file.as_deref(), lang.of("New password: ", "新しいパスワード: "))?;
    if v.new_file.is_none() && secret(None, lang.of("Once more: ", "もう一度: "))? != new {
        bail!("{}", lang.of("the two are not the same", "一致しません"));
    }
    let Good { etag, .. } = api.get("me")?;
    api.put("me/password", &json!({ "old": *old, "new": *new }), etag.as_deref().unwrap_or("*"))?;
    eprintln!("{}", lang.of("Changed. Sign in again.", "変更しました。もう一度サインインしてください。"));
    Ok(())
}

pub(super) fn second_factor(v: &SecondFactor, api: &Client, out: &Printer, lang: Lang) -> Result<()> {
    let password = secret(v.password_file.as_deref(), lang.of("Password: ", "パスワード: "))?;
    let mut body = json!({ "password": *password });
    let code = match (&v.code_file, v.confirm) {
        (Some(f), _) => Some(from_file(f)?),
        (None, true) => Some(secret(None, lang.of("Code: ", "コード: "))?),
        (None, false) => None,
    };
    if let (Some(c), Some(b)) = (code, body.as_object_mut()) {
        b.insert("code".to_owned(), json!(*c));
    }
    let Good { etag, .. } = api.get("me")?;
    out.thing(&api.put("me/second-factor", &body, etag.as_deref().unwrap_or("*"))?.body)
}

/// A secret from a file, or from the terminal, which does not show it.
fn secret(file: Option<&Path>, prompt: &str) -> Result<Zeroizing<String>> {
    if let Some(f) = file {
        return from_file(f);
    }
    let terminal = console::Term::stderr();
    if !terminal.is_term() {
        bail!("there is no terminal to ask at: name a file");
    }
    terminal.write_str(prompt)?;
    Ok(Zeroizing::new(terminal.read_secure_line()?))
}

fn from_file(file: &Path) -> Result<Zeroizing<String>> {
    let text = std::fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    let text = Zeroizing::new(text);
    Ok(Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// Keeps the token where nobody else reads it.
fn keep(file: &Path, token: &str) -> Result<()> {
    // A file that is there may be readable by others: it is replaced, not written over.
    match std::fs::remove_file(file) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(e).context(file.display().to_string());
        }
        _ => {}
    }
    let mut f = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .with_context(|| format!("writing {}", file.display()))?;
    writeln!(f, "{token}")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_token_is_kept_where_nobody_else_reads_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("token");
        std::fs::write(&file, "old").expect("written");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("opened up");
        keep(&file, "sekisho_00").expect("kept");
        assert_eq!(std::fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o600);
        assert_eq!(*from_file(&file).expect("read"), "sekisho_00");
    }

    #[test]
    fn a_password_keeps_its_spaces_and_loses_its_line_end() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("password");
        std::fs::write(&file, " a b \r\n").expect("written");
        assert_eq!(*from_file(&file).expect("read"), " a b ");
    }
}
