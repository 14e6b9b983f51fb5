//! Diameter over SCTP (RFC 6733 §2.1): a message of the one is a message of the other.

use super::{DiameterEvent, Door, Line};
use crate::io::sctp::{Sctp, SctpCommand, SctpConfig, SctpEvent, SctpHandle};
use anyhow::{Context as _, Result};
use hss::diameter::Transport;
use std::{collections::HashMap, net::SocketAddr};
use tokio::sync::mpsc;
use tracing::{debug, warn};
use wire::diameter;

/// Payload protocol identifier of Diameter without DTLS (RFC 6733 §11.5).
const PPID: u32 = 46;

impl Door {
    /// Listens by SCTP.
    ///
    /// # Errors
    /// The address cannot be used, or this machine does not speak SCTP that way.
    pub fn sctp(&self, config: SctpConfig) -> Result<SocketAddr> {
        let (address, port, mode) = (config.local, config.port, config.mode);
        let handle = Sctp::listen(config, gateway::sys::random()?).with_context(|| {
            format!("opening Diameter at {address} port {port} ({mode}); see `sekisho doctor`")
        })?;
        let local = handle.local;
        tokio::spawn(serve(handle, self.clone()));
        Ok(local)
    }
}

async fn serve(mut handle: SctpHandle, door: Door) {
    let mut numbers = HashMap::new();
    while let Some(event) = handle.events.recv().await {
        match event {
            SctpEvent::Up { assoc, peer, .. } => {
                let from = peer.ip().to_canonical();
                let Some(place) = door.place(from) else {
                    debug!(%from, "Diameter: too many connections, this one is closed");
                    drop(handle.commands.send(SctpCommand::Abort { assoc }).await);
                    continue;
                };
                let from = Transport { address: from, certified: None };
                let Some(line) = door.begin(place, from).await else { return };
                numbers.insert(assoc, line.connection);
                tokio::spawn(write(line, assoc, handle.commands.clone()));
            }
            SctpEvent::Data { assoc, bytes: octets, .. } => {
                let Some(&connection) = numbers.get(&assoc) else { continue };
                // As on a stream: of who gets the length wrong nothing more can be understood.
                let whole = octets.first_chunk().is_some_and(|h| diameter::length(*h) == Ok(octets.len()));
                if !whole {
                    warn!(connection, "Diameter: a message that has not its own length ends its association");
                    drop(handle.commands.send(SctpCommand::Abort { assoc }).await);
                    continue;
                }
                let event = DiameterEvent::Received { connection, messages: vec![octets] };
                if door.events.send(event).await.is_err() {
                    return;
                }
            }
            SctpEvent::Down { assoc, reason } => {
                let Some(connection) = numbers.remove(&assoc) else { continue };
                debug!(connection, "Diameter: a connection has ended: {reason}");
                door.lost(connection).await;
            }
        }
    }
}

/// Sends what one connection is given, and closes it when there comes no more.
async fn write(mut line: Line, assoc: u64, commands: mpsc::Sender<SctpCommand>) {
    while let Some(bytes) = line.messages.recv().await {
        let send = SctpCommand::Send { assoc, stream: 0, ppid: PPID, bytes };
        if commands.send(send).await.is_err() {
            return;
        }
    }
    drop(commands.send(SctpCommand::Close { assoc }).await);
}
