//! `sekisho ban --local`: straight to the gateway's socket, for the hour when control is dead.

use crate::{
    config::Config,
    keys,
    lang::Lang,
    link::{self, CutReceipt, FromGateway, LinkReceiver, LinkSender, Role, Stored, ToGateway},
    time::now,
};
use anyhow::{Context, Result, bail};
use std::{path::Path, process::ExitCode, time::Duration};
use types::{Imsi, SimState};

/// How long the gateway may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whom to cut.
#[derive(Debug, Clone)]
pub struct LocalBan {
    /// Which SIMs.
    imsi: Vec<Imsi>,
    /// Devices by their IMEI (14 digits, or 15 or 16 of which the first 14 count).
    device: Vec<String>,
    /// lost or stolen.
    state: SimState,
    /// Why.
    reason: String,
}

impl LocalBan {
    /// From the words of `sekisho ban --local`.
    pub fn new(imsi: Vec<Imsi>, device: Vec<String>, state: SimState, reason: &str) -> Self {
        Self { imsi, device, state, reason: reason.to_owned() }
    }
}

/// What the gateway did.
pub(crate) struct Done {
    pub(crate) sims: Vec<CutReceipt>,
    pub(crate) devices: Vec<(String, Result<Stored, String>)>,
}

/// Cuts at the gateway of this machine and prints what was done.
///
/// # Errors
/// Where the gateway is not there or does not answer, or the words are wrong.
pub fn ban(config: &Config, what: &LocalBan, lang: Lang) -> Result<ExitCode> {
    if !what.state.is_banned() {
        bail!("{}", lang.of("a ban is to lost or stolen", "停止後の状態は lost か stolen です"));
    }
    let actor = format!(
        "local {}",
        std::env::var("SUDO_USER").or_else(|_| std::env::var("USER")).unwrap_or_default()
    );
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let socket = config.gateway_socket();
    let done = rt.block_on(cut(&socket, &what.imsi, &what.device, what.state, &actor, &what.reason))?;
    let mut stored = true;
    for r in &done.sims {
        let (imsi, some, all, us) = (r.imsi, r.shards_confirmed, r.shards, r.cut_us);
        println!(
            "{}",
            match lang {
                Lang::En => format!("{imsi} is cut: {some} of {all} shards, after {us} µs"),
                Lang::Ja => format!("{imsi} を遮断しました: シャード {some}/{all}、{us} µs"),
            }
        );
        stored &= tell(&r.journal, lang);
        let last = r.journal.as_ref().map_or(0, |s| s.record);
        for copy in &r.copies {
            let (place, has) = (&copy.place, copy.head.map_or(0, |h| h.records));
            println!(
                "{}",
                match (lang, has >= last) {
                    (Lang::En, true) => format!("  the copy {place} has it"),
                    (Lang::Ja, true) => format!("  複製 {place} にも記録済みです"),
                    (Lang::En, false) => format!("  the copy {place} is {} records behind", last - has),
                    (Lang::Ja, false) => format!("  複製 {place} は {} 件遅れています", last - has),
                }
            );
        }
    }
    for (device, journal) in &done.devices {
        println!(
            "{}",
            match lang {
                Lang::En => format!("device {device} is cut: control ends its sessions and refuses it"),
                Lang::Ja => format!(
                    "端末 {device} を遮断しました: control がセッションを終了し、以後の登録を拒否します"
                ),
            }
        );
        stored &= tell(journal, lang);
    }
    Ok(if stored { ExitCode::SUCCESS } else { ExitCode::from(super::UNAVAILABLE) })
}

fn tell(journal: &Result<Stored, String>, lang: Lang) -> bool {
    let n = journal.as_ref().map_or(0, |s| s.record);
    println!(
        "{}",
        match (journal, lang) {
            (Ok(_), Lang::En) =>
                format!("  journal record {n}; control puts it into the database when it is back"),
            (Ok(_), Lang::Ja) =>
                format!("  ジャーナル記録 {n}。control の復帰後にデータベースへ反映されます"),
            (Err(why), Lang::En) => format!("  NOT RECORDED: {why}; it holds until the gateway restarts"),
            (Err(why), Lang::Ja) => {
                format!("  記録できませんでした: {why}。ゲートウェイが再起動するまでの間だけ有効です")
            }
        }
    );
    journal.is_ok()
}

/// Cuts SIMs (all of them with one flush of the disk) and devices.
pub(crate) async fn cut(
    socket: &Path,
    sims: &[Imsi],
    devices: &[String],
    state: SimState,
    actor: &str,
    reason: &str,
) -> Result<Done> {
    let devices: Vec<String> = devices.iter().map(|d| device(d)).collect::<Result<_>>()?;
    let (mut to, mut from, _) = link::connect(socket, Role::Local).await.with_context(|| {
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
    Ok(u64::from_be_bytes(keys::random()?))
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
pub(crate) fn status(socket: &Path) -> Option<Box<link::GatewayStatus>> {
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let asked = async {
        let (mut to, mut from, _) = link::connect(socket, Role::Local).await?;
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
