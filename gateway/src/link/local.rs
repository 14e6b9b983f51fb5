//! What a command on this machine says to the gateway while `control` may be dead: cut these, and how are you.

use super::{
    CutReceipt, FromGateway, GatewayStatus, LinkReceiver, LinkSender, Role, Stored, ToGateway, connect,
};
use crate::{sys::random, time::now};
use anyhow::{Context, Result, bail};
use std::{path::Path, time::Duration};
use types::{Imsi, SimState};

/// How long the gateway may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the gateway did.
#[derive(Debug)]
pub struct Done {
    /// One for each SIM, in the order they were given.
    pub sims: Vec<CutReceipt>,
    /// Each device with where its cut is recorded, or why it is not.
    pub devices: Vec<(String, Result<Stored, String>)>,
}

/// Cuts SIMs (all of them with one flush of the disk) and devices.
///
/// # Errors
/// Where a device is no IMEI (nothing is cut then), or the gateway is not there or does not answer.
pub async fn cut(
    socket: &Path,
    sims: &[Imsi],
    devices: &[String],
    state: SimState,
    actor: &str,
    reason: &str,
) -> Result<Done> {
    let devices: Vec<String> = devices.iter().map(|d| device(d)).collect::<Result<_>>()?;
    let (mut to, mut from, _) = connect(socket, Role::Local).await.with_context(|| {
        format!("the gateway's socket {}; is the gateway up, and are you its user?", socket.display())
    })?;
    let (actor, reason, at) = (actor.to_owned(), reason.to_owned(), now().utc);
    let mut done = Done { sims: Vec::new(), devices: Vec::new() };
    if !sims.is_empty() {
        let (id, imsis) = (number()?, sims.to_vec());
        let ask = ToGateway::CutAll { id, imsis, state, actor: actor.clone(), reason: reason.clone(), at };
        done.sims = answer(&mut to, &mut from, &ask, |m| match m {
            FromGateway::CutAllDone { id: of, receipts } if of == id => Some(receipts),
            _ => None,
        })
        .await?;
    }
    for device in devices {
        let id = number()?;
        let (actor, reason) = (actor.clone(), reason.clone());
        let ask = ToGateway::CutImei { id, device: device.clone(), on: true, actor, reason, at };
        let stored = answer(&mut to, &mut from, &ask, |m| match m {
            FromGateway::RestrictDone { id: of, result, .. } if of == id => Some(result),
            _ => None,
        })
        .await?;
        done.devices.push((device, stored));
    }
    Ok(done)
}

/// The first 14 digits of an IMEI or IMEISV.
fn device(text: &str) -> Result<String> {
    match text.get(..14) {
        Some(first) if (14..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) => {
            Ok(first.to_owned())
        }
        _ => bail!("{text} is no IMEI: give 14, 15 or 16 digits"),
    }
}

fn number() -> Result<u64> {
    Ok(u64::from_be_bytes(random()?))
}

async fn answer<T>(
    to: &mut LinkSender,
    from: &mut LinkReceiver,
    ask: &ToGateway,
    is: impl Fn(FromGateway) -> Option<T>,
) -> Result<T> {
    to.send(ask).await?;
    let wait = async {
        loop {
            if let Some(found) = is(from.recv().await?) {
                return anyhow::Ok(found);
            }
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.context("the gateway does not answer")?
}

/// How the gateway of this machine is; `None` where it does not answer.
pub fn status(socket: &Path) -> Option<Box<GatewayStatus>> {
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let asked = async {
        let (mut to, mut from, _) = connect(socket, Role::Local).await?;
        answer(&mut to, &mut from, &ToGateway::Status { id: 1 }, |m| match m {
            FromGateway::Status { id: 1, status } => Some(status),
            _ => None,
        })
        .await
    };
    rt.block_on(async { tokio::time::timeout(PATIENCE, asked).await }).ok()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_named_by_the_first_14_digits_of_its_imei() {
        for text in ["35693803564380", "356938035643809", "3569380356438012"] {
            assert_eq!(device(text).unwrap(), "35693803564380");
        }
        for text in ["3569380356438", "35693803564380123", "3569380356438x", ""] {
            assert!(device(text).is_err(), "{text}");
        }
    }
}
