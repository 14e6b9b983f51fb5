//! `sekisho ban --local`: straight to the gateway's socket, for the hour when control is dead.

use crate::{
    config::Config,
    keys,
    link::{self, FromGateway, Role, ToGateway},
    time::now,
};
use anyhow::{Context, Result, bail};
use std::{process::ExitCode, time::Duration};
use types::{Imsi, SimState};

/// Cuts a SIM at the gateway of this machine and prints what was done.
pub fn ban(config: &Config, imsi: Imsi, state: SimState, reason: &str) -> Result<ExitCode> {
    if !state.is_banned() {
        bail!("a ban is to lost or stolen");
    }
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    rt.block_on(async {
        let socket = config.gateway_socket();
        let (mut to, mut from, _) = link::connect(&socket, Role::Local).await.with_context(|| {
            format!("the gateway's socket {}; is the gateway up, and are you its user?", socket.display())
        })?;
        let id = u64::from_be_bytes(keys::random()?);
        let actor = format!(
            "local {}",
            std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).unwrap_or_default()
        );
        to.send(&ToGateway::Cut { id, imsi, state, actor, reason: reason.to_owned(), at: now().utc }).await?;
        let answer = async {
            loop {
                if let FromGateway::CutDone { id: of, receipt } = from.recv().await?
                    && of == id
                {
                    return anyhow::Ok(receipt);
                }
            }
        };
        let r = tokio::time::timeout(Duration::from_secs(10), answer)
            .await
            .context("the gateway does not answer")??;
        println!("{imsi} is cut: {} of {} shards, after {} µs", r.shards_confirmed, r.shards, r.cut_us);
        match &r.journal {
            Ok(s) => {
                println!("journal record {}; control puts it into the database when it is back", s.record)
            }
            Err(why) => println!("NOT RECORDED: {why}; the cut holds until the gateway restarts"),
        }
        Ok(if r.journal.is_ok() { ExitCode::SUCCESS } else { ExitCode::from(super::UNAVAILABLE) })
    })
}
