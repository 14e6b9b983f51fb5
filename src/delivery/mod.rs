//! Audit and alerts on their way out: to webhooks and to syslog receivers, at least once and in their order.
//!
//! What leaves stands in the outbox, numbered in the transaction of what it tells of. Each destination has a task, a
//! place in the outbox that is kept in the database, and a pause of its own: a slow one holds nobody else, and nothing
//! in here is waited for by the rest of the system. A destination has something when it has said so: a webhook by its
//! 2xx, a syslog receiver by its TLS close_notify behind the last octet (RFC 5425 §4.4). What was sent and not
//! confirmed is sent again, so a receiver may see an item twice; it knows it by its number.
//!
//! A destination that is away for longer than the outbox keeps things gets a `gap` with the count and the numbers.
//!
//! | file | what |
//! | --- | --- |
//! | `item` | what is sent: one item with its number, kind, time and body |
//! | `redact` | IMSI, IMEI and ICCID replaced by names that tell nothing, where they may not leave |
//! | `webhook` | batches of JSON over HTTPS, signed twice |
//! | `syslog` | RFC 5424 in RFC 5425 frames |
//! | `tls` | whom we trust, and who we are |
//! | `task` | the loop of one destination, and what the outbox keeps |
//! | `spool` | events that the database could not take, on disk and bounded |
//! | `try_out` | `sekisho delivery test`, and what `doctor` looks at |

pub mod item;
mod redact;
pub mod spool;
mod syslog;
mod task;
#[cfg(test)]
mod tests;
pub(crate) mod tls;
pub mod try_out;
mod webhook;

pub use task::{Deliveries, Pace};

use crate::{
    config::{Delivery, DeliveryKind},
    signing::Signer,
};
use anyhow::Result;
use item::Item;
use std::fmt;

/// Why a batch is not known to have arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotDelivered(pub String);

impl fmt::Display for NotDelivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The way to one destination.
enum Way {
    Webhook(Box<webhook::Webhook>),
    Syslog(syslog::Syslog),
}

/// One destination: what it gets, and the way to it.
pub struct Destination {
    config: Delivery,
    way: Way,
    hide: Option<redact::Hide>,
}

impl Destination {
    /// Reads the secrets and certificates that its configuration names.
    ///
    /// # Errors
    /// Where one of them cannot be read or is not what it should be.
    pub fn open(config: &Delivery, node: &str, signer: &Signer) -> Result<Self> {
        let way = match config.kind {
            DeliveryKind::Webhook => {
                Way::Webhook(Box::new(webhook::Webhook::open(config, node, signer.clone())?))
            }
            DeliveryKind::Syslog => Way::Syslog(syslog::Syslog::open(config, node)?),
        };
        let hide = (!config.include_imsi).then(|| redact::Hide::new(signer.derived(b"delivery pseudonyms")));
        Ok(Self { config: config.clone(), way, hide })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.config.name.as_str()
    }

    /// Sends a batch and waits until the other side has it. Blocks.
    pub fn send(&self, items: &[Item]) -> Result<(), NotDelivered> {
        let hidden: Vec<Item>;
        let items = match &self.hide {
            Some(h) => {
                hidden = items.iter().map(|i| i.hidden(h)).collect();
                &hidden
            }
            None => items,
        };
        match &self.way {
            Way::Webhook(w) => w.send(items),
            Way::Syslog(s) => s.send(items),
        }
    }

    /// Connects and shakes hands, and sends nothing. Blocks.
    pub fn reach(&self) -> Result<(), NotDelivered> {
        match &self.way {
            Way::Webhook(w) => w.reach(),
            Way::Syslog(s) => s.reach(),
        }
    }
}
