//! `sekisho init`: data directory, key file, database, first token, link of the first operator, recovery key.

use crate::{backup, cli, config::Config, control::boot, first_run, lang::Lang};
use admin_web::{Scope, new_token};
use anyhow::{Result, bail};
use gateway::time::now;
use std::process::ExitCode;
use store::Change;

/// Makes everything that `run` needs and prints the first token and the recovery key, once and nowhere else.
pub fn run(config: &Config, lang: Lang) -> Result<ExitCode> {
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    rt.block_on(async {
        let token = first_token(config).await?;
        println!("{token}");
        eprintln!("This is the first API token, with every right. It is shown once and kept nowhere: put it away now.");
        // On standard error too: who keeps the token by `init > FILE` keeps the token alone.
        eprintln!("{}", first_run::words(&first_run::link(config)?, lang));
        if backup::public_key(&config.paths.data)?.is_none() {
            cli::backups::show(&backup::make_key(&config.paths.data)?, lang);
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// The text of the first token. Refused where the store has tokens already.
pub async fn first_token(config: &Config) -> Result<String> {
    let (store, _vault) = boot::open(config).await?;
    if !store.tokens().await?.is_empty() {
        bail!("this store has tokens already; make more with `sekisho token create`");
    }
    let at = now().utc;
    let (secret, row) = new_token(gateway::sys::random()?, "first", Scope::ALL, None, "init", at);
    store.create_token(row, &Change::by_system("init", at)).await?;
    store.close().await;
    Ok(secret.expose().to_owned())
}
