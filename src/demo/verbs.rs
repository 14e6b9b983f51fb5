//! `sekisho lab …`: a simulated site around a configuration of one's own, so that a day's work can be tried without a
//! radio. Packages do not have it.

use super::{
    cards,
    desk::{self, COUNTER, DeskAsk},
    ran::RanAnswer,
    site::{SiteAnswer, SiteAsk},
};
use crate::{config::Config, lang::Lang};
use anyhow::{Context, Result, bail};
use clap::Subcommand;
use lab::site::{Ask, Outcome};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};
use types::{Dnn, Imsi, Name};

/// How long a device waits for a page, milliseconds.
const WITHIN_MS: u64 = 3_000;
/// Size of the datagrams that a device sends, octets.
const DATAGRAM: usize = 200;

/// `lab`
#[derive(Debug, Subcommand)]
pub enum Lab {
    /// Print a supplier's file of SIM cards with keys of chance: what `sim import` reads, and `lab up` puts into devices.
    Cards {
        /// How many.
        count: u32,
        /// The first IMSI; the others follow it.
        #[arg(long, default_value = "001010000000001")]
        first: Imsi,
        /// Their group.
        #[arg(long, default_value = "office")]
        group: Name,
        /// Their data network.
        #[arg(long, default_value = "corp")]
        dnn: Dnn,
    },
    /// Start Sekisho amid a simulated site: a gNB, a device for each card, an intranet at 10.10.0.10 and a personnel
    /// database at 10.10.0.20. It stays up until `lab down`.
    Up {
        /// The supplier's file.
        #[arg(long)]
        cards: PathBuf,
    },
    /// Switch the device with this SIM on; one that is on is switched off first.
    Attach {
        /// Which.
        imsi: Imsi,
    },
    /// Open a web page on the device with this SIM.
    Open {
        /// Which.
        imsi: Imsi,
        /// Where: ADDRESS:PORT.
        to: SocketAddr,
    },
    /// Have the device with this SIM send datagrams to 10.10.0.10:9000, without end.
    Send {
        /// Which.
        imsi: Imsi,
        /// How many a second.
        #[arg(long, default_value_t = 200)]
        per_second: u32,
    },
    /// How many datagrams have come at 10.10.0.10:9000.
    Received {
        /// Only those after this instant, nanoseconds of CLOCK_MONOTONIC.
        #[arg(long)]
        after_ns: Option<u64>,
    },
    /// End the site and Sekisho in it.
    Down,
    /// The process that holds the site.
    #[command(hide = true)]
    Desk {
        /// The supplier's file.
        #[arg(long)]
        cards: PathBuf,
    },
}

/// Does what the words say.
pub fn run(verb: &Lab, file: &Path, lang: Lang) -> Result<ExitCode> {
    if let Lab::Cards { count, first, group, dnn } = verb {
        print!("{}", cards::make(*first, *count, group, dnn)?.as_str());
        return Ok(ExitCode::SUCCESS);
    }
    let config = Config::load(file, std::env::vars())?;
    let site = |ask| desk::ask(&config, &DeskAsk::Site(ask));
    let host = |name: String, ask| site(SiteAsk::Host { name, ask });
    match verb {
        Lab::Cards { .. } => {}
        Lab::Up { cards } => {
            let at = desk::open(file, &config, cards)?;
            println!(
                "{}",
                lang.of(
                    "the site is up: a gNB is on air, 10.10.0.10 and 10.10.0.20 serve pages",
                    "模擬サイトが起動しました。gNB は送信中、10.10.0.10 と 10.10.0.20 がページを提供しています"
                )
            );
            println!("{} {at}/", lang.of("console:", "管理画面:"));
        }
        Lab::Desk { cards } => desk::run(file, &config, cards)?,
        Lab::Attach { imsi } => {
            let ue = imsi.to_string();
            site(SiteAsk::Boot { ue: ue.clone() })?;
            return attached(*imsi, site(SiteAsk::Attach { ue })?, lang);
        }
        Lab::Open { imsi, to } => {
            let ask = Ask::Fetch { from: *to, within_ms: WITHIN_MS };
            match host(imsi.to_string(), ask).context(not_on(*imsi, lang))? {
                SiteAnswer::Host(seen) => println!("{}", opened(*to, &seen, lang)),
                other => bail!("unexpected answer {other:?}"),
            }
        }
        Lab::Send { imsi, per_second } => {
            let to = SocketAddr::from(COUNTER);
            let ask = Ask::SendUdp { to, per_second: *per_second, bytes: DATAGRAM };
            host(imsi.to_string(), ask).context(not_on(*imsi, lang))?;
            println!("{imsi} → {to}");
        }
        Lab::Received { after_ns } => {
            match host("corp".to_owned(), Ask::Counted { since_ns: after_ns.unwrap_or(0) })? {
                SiteAnswer::Host(Outcome::Datagrams { all, after, .. }) => {
                    println!("{}", if after_ns.is_some() { after } else { all });
                }
                other => bail!("unexpected answer {other:?}"),
            }
        }
        Lab::Down => {
            desk::ask(&config, &DeskAsk::Down)?;
            println!("{}", lang.of("the site is down", "模擬サイトを終了しました"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn not_on(imsi: Imsi, lang: Lang) -> String {
    match lang {
        Lang::En => format!("the device with {imsi} is not switched on: `sekisho lab attach {imsi}`"),
        Lang::Ja => format!("{imsi} の端末は電源が入っていません: `sekisho lab attach {imsi}`"),
    }
}

/// What came of switching a device on; a refusal is a failure.
fn attached(imsi: Imsi, answer: SiteAnswer, lang: Lang) -> Result<ExitCode> {
    let (words, code) = match answer {
        SiteAnswer::Ran(RanAnswer::Attached { ip, us, .. }) => {
            let ms = us as f64 / 1000.0;
            let words = match lang {
                Lang::En => format!("{imsi} is registered and has {ip}, in {ms:.0} ms"),
                Lang::Ja => format!("{imsi} が登録され、{ip} を得ました({ms:.0} ミリ秒)"),
            };
            (words, ExitCode::SUCCESS)
        }
        SiteAnswer::Ran(RanAnswer::Refused { cause, protected, .. }) => {
            let guard = if protected {
                lang.of("under integrity", "完全性保護あり")
            } else {
                lang.of("without protection", "保護なし")
            };
            let words = match lang {
                Lang::En => format!("{imsi} was refused, {guard}: 5GMM cause {cause}"),
                Lang::Ja => format!("{imsi} は拒否されました({guard}): 5GMM 理由 {cause}"),
            };
            (words, ExitCode::FAILURE)
        }
        SiteAnswer::Ran(RanAnswer::NoSession { cause }) => {
            let cause = cause.map_or("-".to_owned(), |c| c.to_string());
            let words = match lang {
                Lang::En => format!("{imsi} is registered but got no session: 5GSM cause {cause}"),
                Lang::Ja => {
                    format!("{imsi} は登録されましたが、セッションは拒否されました: 5GSM 理由 {cause}")
                }
            };
            (words, ExitCode::FAILURE)
        }
        other => bail!("unexpected answer {other:?}"),
    };
    println!("{words}");
    Ok(code)
}

/// What a device saw of a page.
fn opened(to: SocketAddr, seen: &Outcome, lang: Lang) -> String {
    match (seen, lang) {
        (Outcome::Fetched { status, bytes, us }, Lang::En) => {
            format!("{to} answered: HTTP {status}, {bytes} octets in {:.1} ms", *us as f64 / 1000.0)
        }
        (Outcome::Fetched { status, bytes, us }, Lang::Ja) => {
            format!(
                "{to} が応答しました: HTTP {status}、{bytes} オクテット、{:.1} ミリ秒",
                *us as f64 / 1000.0
            )
        }
        (Outcome::Silence, Lang::En) => {
            format!("{to} does not answer: nothing came back within {WITHIN_MS} ms")
        }
        (Outcome::Silence, Lang::Ja) => {
            format!("{to} は応答しません({WITHIN_MS} ミリ秒以内に何も戻りませんでした)")
        }
        (Outcome::Refused { how }, Lang::En) => format!("{to} does not answer: {how}"),
        (Outcome::Refused { how }, Lang::Ja) => format!("{to} は応答しません: {how}"),
        (other, _) => format!("{to}: {other:?}"),
    }
}
