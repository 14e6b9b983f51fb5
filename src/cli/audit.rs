//! `sekisho audit …`: reading it is a client of the API; `verify` needs no running system and trusts none.

use super::print::{Columns, Printer};
use crate::{
    audit::{
        verify::{self, Findings, Known},
        words,
    },
    client::Client,
    config::Config,
    lang::Lang,
};
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};
use store::{Store, StoreError};

/// `audit`
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// List what was changed, newest first.
    List(Filter),
    /// Write the whole audit with its checkpoints as JSON lines, for `audit verify --export`.
    Export {
        /// Only what stands behind this row.
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// Into this file; without it to the standard output.
        #[arg(long)]
        to: Option<PathBuf>,
    },
    /// Read the whole audit against everything that was signed. Needs no running system. Exit code 0: it holds;
    /// 1: it does not; 4: it could not be read.
    Verify(Verify),
}

/// Which lines of the audit.
#[derive(Debug, Clone, Default, Args)]
pub struct Filter {
    /// Only by this actor.
    #[arg(long)]
    actor: Option<String>,
    /// Only this action, for example sim.create; with a dot at its end all that begin so: sim.
    #[arg(long)]
    action: Option<String>,
    /// Only of this thing, for example sim:001010000000001.
    #[arg(long)]
    object: Option<String>,
    /// Only of this request.
    #[arg(long)]
    request_id: Option<String>,
    /// Only from this time on (RFC 3339).
    #[arg(long)]
    from: Option<String>,
    /// Only before this time (RFC 3339).
    #[arg(long)]
    until: Option<String>,
}

/// `audit verify`
#[derive(Debug, Clone, Args)]
pub struct Verify {
    /// Database, sqlite:PATH or postgres://…; that of the configuration where not given. It is only read.
    #[arg(long, conflicts_with = "export")]
    store_url: Option<String>,
    /// An export instead of a database.
    #[arg(long)]
    export: Option<PathBuf>,
    /// File of checkpoints; repeated for copies that were kept elsewhere. Default: audit.checkpoints of the data
    /// directory.
    #[arg(long)]
    checkpoints: Vec<PathBuf>,
    /// Public key that is trusted: 64 hexadecimal digits or a file with one a line. Default: signing.pub of the data
    /// directory.
    #[arg(long)]
    public_key: Vec<String>,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn act(v: Option<&Audit>, api: &Client, out: &Printer) -> Result<()> {
    match v {
        None => list(&Filter::default(), api, out),
        Some(Audit::List(f)) => list(f, api, out),
        Some(Audit::Export { after, to }) => {
            let mut body = api.stream(&format!("audit/export?after={after}"))?;
            match to {
                Some(path) => {
                    let mut file =
                        File::create(path).with_context(|| format!("writing {}", path.display()))?;
                    std::io::copy(&mut body, &mut file)?;
                    file.sync_all()?;
                }
                None => drop(std::io::copy(&mut body, &mut std::io::stdout().lock())?),
            }
            Ok(())
        }
        Some(Audit::Verify(_)) => anyhow::bail!("verify asks no API"),
    }
}

fn list(f: &Filter, api: &Client, out: &Printer) -> Result<()> {
    let filters = [
        ("actor", &f.actor),
        ("action", &f.action),
        ("object", &f.object),
        ("request_id", &f.request_id),
        ("from", &f.from),
        ("until", &f.until),
    ];
    let query: Vec<String> = filters
        .iter()
        .filter_map(|(k, v)| v.as_ref().map(|v| format!("{k}={}", crate::client::encoded(v))))
        .collect();
    let columns = Columns(&["seq", "at", "actor", "origin", "action", "object", "reason"]);
    out.list(&api.list(&format!("audit?{}", query.join("&")))?, columns)
}

/// `sekisho audit verify`. `config` is read only where something is not given.
pub fn verify(v: &Verify, config: impl FnOnce() -> Result<Config>, lang: Lang) -> ExitCode {
    match find(v, config) {
        Ok(f) => {
            let mut out = std::io::stdout().lock();
            let printed = if v.json {
                writeln!(out, "{}", words::object(&f))
            } else {
                words::lines(&f, lang).iter().try_for_each(|l| writeln!(out, "{l}"))
            };
            if printed.is_ok() && f.whole() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(e) => {
            eprintln!("sekisho: {e:#}");
            ExitCode::from(super::UNAVAILABLE)
        }
    }
}

fn find(v: &Verify, config: impl FnOnce() -> Result<Config>) -> Result<Findings> {
    let here = v.export.is_none() && v.store_url.is_none();
    let config = (here || v.public_key.is_empty()).then(config).transpose()?;
    let data = config.as_ref().map(|c| c.paths.data.as_path());
    let keys = verify::keys(&v.public_key, data)?;
    let mut known = Known::default();
    let own = data.filter(|_| v.checkpoints.is_empty() && here).map(|d| d.join(crate::audit::file::NAME));
    for file in own.iter().chain(&v.checkpoints) {
        known.add_file(file, &keys)?;
    }
    if let Some(path) = &v.export {
        return from_export(path, &keys, known);
    }
    let url = v.store_url.clone().or(config.map(|c| c.store_url())).context("no database is named")?;
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    rt.block_on(from_database(&url, &keys, known))
}

async fn from_database(url: &str, keys: &[String], mut known: Known) -> Result<Findings> {
    let store = Store::open_to_read(url).await.map_err(|e| match e {
        StoreError::Unavailable(why) => anyhow::anyhow!("the database cannot be opened: {why}"),
        e => e.into(),
    })?;
    known.add_all(store.audit_checkpoints().await?, keys);
    let bar = bar();
    let found = verify::database(&store, known, |read, there| {
        bar.set_length(there);
        bar.set_position(read);
    })
    .await;
    bar.finish_and_clear();
    store.close().await;
    found
}

fn from_export(path: &Path, keys: &[String], known: Known) -> Result<Findings> {
    let file = File::open(path).with_context(|| format!("the export {}", path.display()))?;
    let bar = bar();
    let found = verify::export(file, keys, known, |n| bar.set_position(n));
    bar.finish_and_clear();
    found
}

/// A bar on the standard error; nothing where that is no terminal.
fn bar() -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {per_sec} {eta}");
    let bar = ProgressBar::new(0);
    match style {
        Ok(s) => bar.with_style(s),
        Err(_) => bar,
    }
}
