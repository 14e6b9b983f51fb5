//! The control process: what is started and in which order, the one loop, the end.

use super::{
    Control, ControlHandle, Done, boot, events, health, known, line, link_task, page, serve, upkeep,
};
use crate::{
    audit::checkpoints::Checkpoints,
    config::Config,
    delivery::{
        Deliveries, Pace,
        spool::{self, Spool},
    },
    io::sctp::{Sctp, SctpConfig, SctpHandle, SctpMode, probe},
};
use anyhow::{Context, Result};
use gateway::time::now;
use std::{os::fd::RawFd, path::Path, process::ExitCode, sync::Arc, time::Duration};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
};
use tracing::{error, info, warn};
use types::Mono;

/// How many API commands may wait for the loop.
const COMMANDS: usize = 1024;

/// How many events of MMEs may wait for the loop; more make their senders wait.
const EVENTS: usize = 64;

/// How long the end waits for the last checkpoint of the audit: it may be behind a reading of the whole.
const LAST_CHECKPOINT: Duration = Duration::from_secs(3);

/// Runs the control process until a signal asks to stop. `config_file` is where the configuration came from: SIGHUP has it read again.
pub async fn run(config: Config, config_file: &Path, api_fd: Option<RawFd>) -> Result<ExitCode> {
    let config = Arc::new(config);
    let sctp = listen_n2(&config)?;
    let mut ready = boot::load(&config).await?;
    let (store, flows, signer) = (ready.store.clone(), ready.flows.clone(), ready.signer.clone());
    let tokens = std::mem::take(&mut ready.tokens);
    let reaches = ready.reaches.clone();
    let (done, mut finished) = mpsc::unbounded_channel();
    let (link_tx, mut link) = mpsc::channel(256);
    let (command_tx, mut commands) = mpsc::channel(COMMANDS);
    let control_id = u64::from_be_bytes(gateway::sys::random()?);
    tokio::spawn(link_task::keep(config.gateway_socket(), control_id, link_tx));

    if let Err(e) = crate::backup::sweep(&config) {
        error!("what a backup that was being made has left could not be taken away: {e}");
    }
    if !ready.reduced {
        tokio::spawn(upkeep::keep(store.clone(), flows.clone()));
    }
    let spool =
        Spool::open(&config.paths.data.join(spool::NAME), spool::MOST).context("opening the event spool")?;
    let events = events::EventWriter::start(store.clone(), spool);
    let teller = events.clone();
    let file = config.paths.data.join(crate::audit::file::NAME);
    let (checkpoints, checkpointing) =
        Checkpoints::start(store.clone(), signer.clone(), file, move |e| teller.push(e));
    let teller = events.clone();
    let deliveries =
        Deliveries::start(&config.delivery, &config.network.name, &signer, &store, Pace::default(), {
            move |e| teller.push(e)
        });
    tokio::spawn(health::watch_writes(store.write_fault(), done.clone()));
    let handle = ControlHandle {
        tx: command_tx,
        events: events.clone(),
        checkpoints: checkpoints.clone(),
        deliveries,
        store,
        flows,
        config: config.clone(),
        second_person: config.revocation.second_person,
    };
    let mut control = Control::new(config.clone(), ready, events, (sctp.commands, sctp.mode), done)?;
    control.read_agenda();
    control.read_alert_rules(None);
    // Grants go along with the first that is told of facts: theirs would end with them.
    known::load_grants(&control.store, &control.done).await;
    control.learn_facts();
    control.ban_devices_again();
    let state = serve::start(&config, api_fd, handle, tokens, reaches).await?;
    control.pages = config.service.as_ref().map(|_| page::start(state, control.done.clone()));
    let mut n2 = sctp.events;
    let (s6a_tx, mut s6a) = mpsc::channel(EVENTS);
    if let Some(c) = &config.s6a {
        line::listen("S6a", &c.face(), s6a_tx.clone()).await?;
    }
    let (gx_tx, mut gx) = mpsc::channel(EVENTS);
    if let Some(c) = &config.gx {
        line::listen("Gx", &c.face(), gx_tx.clone()).await?;
    }
    let mut stop = stop_signal()?;
    let mut hangup = signal(SignalKind::hangup())?;
    let n2_at = match sctp.mode {
        SctpMode::Udp { .. } => format!("{}, SCTP over UDP", sctp.local),
        mode => format!("{} port {}, {mode}", config.n2.address, config.n2.port),
    };
    info!(plmn = %config.network.plmn, n2 = n2_at, transport = sctp.mode.word(), "control is up, N2 at {n2_at}");
    loop {
        control.drain();
        let wait = control.next_timeout();
        tokio::select! {
            // Commands first: a ban does not wait behind an attach storm.
            biased;
            _ = stop.recv() => break,
            Some(()) = hangup.recv() => control.reload(config_file),
            Some(c) = commands.recv() => control.command(c),
            Some(e) = link.recv() => control.link(e),
            Some(d) = finished.recv() => {
                if matches!(d, Done::DatabaseBack) {
                    // The supervisor starts us anew, with everything.
                    info!("the database can be opened again: starting anew");
                    return Ok(ExitCode::SUCCESS);
                }
                control.finished(d);
            }
            e = n2.recv() => match e {
                Some(e) => control.n2(e),
                None => anyhow::bail!("the SCTP transport has ended"),
            },
            all = line::hear(&mut s6a) => all.into_iter().for_each(|e| control.diameter(e)),
            all = line::hear(&mut gx) => all.into_iter().for_each(|e| control.gx_event(e)),
            () = sleep_until(wait) => control.timeout(),
        }
    }
    control.farewell_to_mmes();
    control.farewell_to_smfs();
    control.persist.close().await;
    // What was written until now is signed before the store is closed.
    if tokio::time::timeout(LAST_CHECKPOINT, checkpoints.now()).await.is_err() {
        warn!("the last rows of the audit could not be signed in time; they are at the next start");
    }
    checkpointing.abort();
    control.store.close().await;
    info!("control has stopped");
    Ok(ExitCode::SUCCESS)
}

/// Opens N2. The socket comes before the database is read, so that a wrong address is told at once.
fn listen_n2(config: &Config) -> Result<SctpHandle> {
    let mode = config.n2.sctp_mode(probe().kernel);
    let (address, port) = (config.n2.address, config.n2.port);
    let c = SctpConfig::new(mode, address.into(), port, config.n2_peers());
    Sctp::listen(c, gateway::sys::random()?)
        .with_context(|| format!("opening N2 at {address} ({mode}); see `sekisho doctor`"))
}

fn stop_signal() -> Result<mpsc::Receiver<()>> {
    let (tx, rx) = mpsc::channel(1);
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::spawn(async move {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        _ = tx.send(()).await;
    });
    Ok(rx)
}

async fn sleep_until(at: Option<Mono>) {
    match at {
        Some(at) => {
            let ns = at.0.saturating_sub(now().mono.0);
            tokio::time::sleep(Duration::from_nanos(ns)).await;
        }
        None => std::future::pending().await,
    }
}
