//! The one-time link of the first operator: printed on the machine itself, and nowhere else.

use crate::{config::Config, lang::Lang};
use admin_web::{Console, FirstRun, LINK_HOURS};
use anyhow::{Context, Result};
use gateway::time::now;
use std::{io::IsTerminal, net::IpAddr, process::ExitCode, sync::LazyLock};
use store::Store;
use tracing::info;

/// Where the link's hash is kept.
pub fn kept(config: &Config) -> FirstRun {
    FirstRun::at(config.paths.data.join("first-run"))
}

/// The console's address, as somebody at this machine can open it.
pub fn address(config: &Config) -> String {
    let at = config.api.listen;
    let scheme = if at.ip().is_loopback() && config.api.certificate.is_none() { "http" } else { "https" };
    match at.ip() {
        ip if ip.is_unspecified() => format!("{scheme}://localhost:{}", at.port()),
        IpAddr::V4(ip) => format!("{scheme}://{ip}:{}", at.port()),
        IpAddr::V6(ip) => format!("{scheme}://[{ip}]:{}", at.port()),
    }
}

/// Makes a link; those that were made before count no more.
pub fn link(config: &Config) -> Result<String> {
    let file = kept(config);
    let path = file
        .make(gateway::sys::random()?, now().utc)
        .with_context(|| format!("writing into {}", config.paths.data.display()))?;
    Ok(format!("{}{path}", address(config)))
}

/// What is printed with a link.
pub fn words(link: &str, lang: Lang) -> String {
    let text = lang.of(
        "The first operator is made in a browser by this link. It works once, while there is no operator:",
        "最初のオペレーターはブラウザーで次のリンクを開いて作成します。オペレーターがいない間、一度だけ使えます:",
    );
    let hours = match lang {
        Lang::En => format!("({LINK_HOURS} hours; `sekisho first-run` makes another)"),
        Lang::Ja => format!("(有効期間 {LINK_HOURS} 時間。再発行は `sekisho first-run`)"),
    };
    format!("{text}\n  {link}\n  {hours}")
}

/// `sekisho first-run`.
pub fn run(config: &Config, lang: Lang) -> Result<ExitCode> {
    println!("{}", words(&link(config)?, lang));
    Ok(ExitCode::SUCCESS)
}

/// At the start of `control`: where nobody can sign in yet, says how somebody can. The link itself is shown at a
/// terminal alone: a log is read by many.
pub async fn announce(config: &Config, store: &Store) {
    if !matches!(store.operators(None, 1).await, Ok(page) if page.items.is_empty()) {
        return;
    }
    info!("there is no operator yet: `sekisho first-run` prints a one-time link");
    if std::io::stdout().is_terminal()
        && !kept(config).is_open(now().utc)
        && let Ok(link) = link(config)
    {
        println!("{}", words(&link, Lang::choose(None)));
    }
}

/// Version and console, for `sekisho --version`.
pub fn version() -> &'static str {
    static TEXT: LazyLock<String> =
        LazyLock::new(|| format!("{}\n{}", env!("CARGO_PKG_VERSION"), Console::embedded().standing().text()));
    &TEXT
}
