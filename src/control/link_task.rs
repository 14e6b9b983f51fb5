//! The connection to the gateway: kept up for ever, and made again when the gateway was restarted.

use gateway::link::{self, FromGateway, GatewayHello, Role, ToGateway};
use std::{path::PathBuf, time::Duration};
use tokio::sync::mpsc;
use tracing::{info, warn};

/// What the connection tells the loop.
pub enum LinkEvent {
    /// It stands; the gateway says what it holds.
    Up {
        /// The gateway's first words.
        hello: GatewayHello,
        /// The way to it, until the next [`LinkEvent::Down`].
        to: mpsc::UnboundedSender<ToGateway>,
    },
    /// A message.
    Message(FromGateway),
    /// It is gone.
    Down,
}

/// Connects, passes messages both ways, and begins again when it breaks. Ends when `events` is closed.
pub async fn keep(path: PathBuf, control_id: u64, events: mpsc::Sender<LinkEvent>) {
    let mut pause = Duration::from_millis(10);
    let mut complained = false;
    while !events.is_closed() {
        match link::connect(&path, Role::Control { control_id }).await {
            Ok((sender, receiver, hello)) => {
                info!(
                    gateway = hello.gateway_id,
                    sessions = hello.sessions.len(),
                    "connected to the gateway"
                );
                (pause, complained) = (Duration::from_millis(10), false);
                let (to, from_loop) = mpsc::unbounded_channel();
                if events.send(LinkEvent::Up { hello, to }).await.is_err() {
                    return;
                }
                pass(sender, receiver, from_loop, &events).await;
                if events.send(LinkEvent::Down).await.is_err() {
                    return;
                }
            }
            Err(e) => {
                if !complained {
                    warn!("the gateway is not there: {e}");
                    complained = true;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(500));
            }
        }
    }
}

async fn pass(
    mut sender: link::LinkSender,
    mut receiver: link::LinkReceiver,
    mut from_loop: mpsc::UnboundedReceiver<ToGateway>,
    events: &mpsc::Sender<LinkEvent>,
) {
    // The two directions are tasks of their own, so that a gateway that is slow to read does not keep us from
    // reading what it says.
    let writer = tokio::spawn(async move {
        while let Some(m) = from_loop.recv().await {
            if sender.send(&m).await.is_err() {
                return;
            }
        }
    });
    loop {
        match receiver.recv().await {
            Ok(m) => {
                if events.send(LinkEvent::Message(m)).await.is_err() {
                    break;
                }
            }
            Err(e) => {
                warn!("the link to the gateway is gone: {e}");
                break;
            }
        }
    }
    writer.abort();
}
