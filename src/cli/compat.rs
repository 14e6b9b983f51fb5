//! `sekisho compat open5gs-dbctl VERB …`: the verbs of Open5GS's command-line tool for its database, as people have them in
//! scripts, made into calls of our API.
//!
//! Arguments stand in the same order. K and OPc do not: arguments are seen by every user of the machine, so `-` stands in
//! their place and they come by standard input, or by `--keys-from FILE` without anything in their place. Literal keys are
//! taken with `--keys-in-arguments` alone. What can mean nothing here ends with [`super::MEANS_NOTHING`] and says what to do
//! instead.

use super::{
    patch,
    print::{Columns, Printer},
    sims::keys_of,
};
use crate::{client::Client, lang::Lang};
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use std::{
    fmt,
    io::{Read as _, Write as _},
    net::Ipv4Addr,
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// The data network that the tool takes where none is named, and those of `addT1`.
const DEFAULT: &str = "internet";
const THREE: [&str; 3] = [DEFAULT, "internet1", "internet2"];
/// What is written down as the reason of a change of state.
const REASON: &str = "open5gs-dbctl";
/// Most that is read of keys.
const KEYS_MOST: u64 = 4_096;

/// `compat`
#[derive(Debug, Subcommand)]
pub enum Compat {
    /// As Open5GS's open5gs-dbctl, for scripts that call it: the same verbs and arguments, but for K and OPc.
    #[command(name = "open5gs-dbctl")]
    Open5gsDbctl(Dbctl),
}

/// `compat open5gs-dbctl`
#[derive(Debug, Args)]
pub struct Dbctl {
    /// File with K and OPc (lines `k = HEX` and `opc = HEX`, or the two words), in place of their arguments.
    #[arg(long, value_name = "FILE")]
    keys_from: Option<PathBuf>,
    /// Take K and OPc as arguments, where every user of this machine can read them as long as the command runs.
    #[arg(long, conflicts_with = "keys_from")]
    keys_in_arguments: bool,
    /// Taken and not used: where the API is, says --api.
    #[arg(long = "db_uri", value_name = "URI")]
    db_uri: Option<String>,
    /// Verb and arguments; `help` lists them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "VERB")]
    words: Vec<String>,
}

/// What is wrong with the words, before anything was asked of the API.
#[derive(Debug)]
pub(super) struct WrongWords(String);

/// A verb that can mean nothing here: why, and what to do instead.
#[derive(Debug)]
pub(super) struct MeansNothing(String);

impl fmt::Display for WrongWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for MeansNothing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for WrongWords {}
impl std::error::Error for MeansNothing {}

/// Where K and OPc come from.
enum Keys {
    Input,
    File(PathBuf),
    Words(Zeroizing<String>),
}

/// A SIM to be added.
struct New {
    imsi: String,
    ip: Option<Ipv4Addr>,
    keys: Keys,
    dnns: Vec<String>,
    slices: Vec<String>,
}

/// What the words ask for.
enum Asked {
    Help,
    Add(New),
    Remove { imsi: String },
    StaticIp { imsi: String, ip: Ipv4Addr },
    Apn { imsi: String, apn: String, slice: usize },
    Slice { imsi: String, apn: String, slice: String },
    Rates { imsi: String, dl: u64, ul: u64 },
    State { imsi: String, state: &'static str },
    ShowAll,
    ShowPretty,
    ShowFiltered,
}

impl Compat {
    /// Reads the words. What needs no API is done here, and then there is nothing left.
    pub(super) fn read(&self, lang: Lang) -> Result<Option<Work>> {
        let Self::Open5gsDbctl(c) = self;
        let words = Words { all: &c.words, options: c, lang };
        match words.read()? {
            Asked::Help => {
                println!("{}", lang.of(HELP, HELP_JA));
                Ok(None)
            }
            asked => Ok(Some(Work { asked, lang })),
        }
    }
}

/// What is to be asked of the API.
pub(super) struct Work {
    asked: Asked,
    lang: Lang,
}

struct Words<'a> {
    all: &'a [String],
    options: &'a Dbctl,
    lang: Lang,
}

impl Words<'_> {
    fn read(&self) -> Result<Asked> {
        let (verb, rest) = match self.all.split_first() {
            None => {
                return Err(self.wrong(
                    "say a verb; `help` lists them",
                    "動詞を指定してください。help で一覧を表示します",
                ));
            }
            Some((verb, rest)) => (verb.as_str(), rest),
        };
        let words: Vec<&str> = rest.iter().map(String::as_str).collect();
        let own = |s: &str| s.to_owned();
        Ok(match (verb, words.as_slice()) {
            ("help", _) => Asked::Help,
            ("add", [imsi, middle @ ..]) => self.add(imsi, middle, vec![own(DEFAULT)], Vec::new())?,
            ("addT1", [imsi, middle @ ..]) => {
                self.add(imsi, middle, THREE.iter().map(|d| own(d)).collect(), Vec::new())?
            }
            ("add_ue_with_apn", [imsi, keys @ .., apn]) => {
                self.add_keys(imsi, keys, vec![own(apn)], Vec::new())?
            }
            ("add_ue_with_slice", [imsi, keys @ .., apn, sst, sd]) => {
                self.add_keys(imsi, keys, vec![own(apn)], vec![slice(sst, sd)])?
            }
            ("remove", [imsi]) => Asked::Remove { imsi: own(imsi) },
            ("static_ip", [imsi, ip]) => Asked::StaticIp { imsi: own(imsi), ip: self.address(ip)? },
            ("update_apn", [imsi, apn, n]) => {
                let n = n
                    .parse()
                    .map_err(|_| self.wrong("slices are numbered from 0", "スライスの番号は 0 からです"))?;
                Asked::Apn { imsi: own(imsi), apn: own(apn), slice: n }
            }
            ("update_slice", [imsi, apn, sst, sd]) => {
                Asked::Slice { imsi: own(imsi), apn: own(apn), slice: slice(sst, sd) }
            }
            ("ambr_speed", [imsi, dl, dl_unit, ul, ul_unit]) => {
                Asked::Rates { imsi: own(imsi), dl: self.rate(dl, dl_unit)?, ul: self.rate(ul, ul_unit)? }
            }
            ("subscriber_status", [imsi, status, barring]) => self.status(imsi, status, barring)?,
            ("showall", []) => Asked::ShowAll,
            ("showpretty", []) => Asked::ShowPretty,
            ("showfiltered", []) => Asked::ShowFiltered,
            ("reset", []) => return Err(self.nothing(NO_RESET)),
            ("static_ip6", [_, _]) => return Err(self.nothing(NO_STATIC_IP6)),
            ("type", [_, _]) => return Err(self.nothing(NO_TYPE)),
            ("lbo_roaming_allowed", [_, _]) => return Err(self.nothing(NO_ROAMING)),
            _ => return Err(self.arguments(verb)),
        })
    }

    /// As [`Self::add_keys`], with an address before the keys or without.
    fn add(&self, imsi: &str, middle: &[&str], dnns: Vec<String>, slices: Vec<String>) -> Result<Asked> {
        let ip = middle.first().and_then(|w| w.parse().ok());
        let keys = if ip.is_some() { middle.get(1..).unwrap_or_default() } else { middle };
        match self.add_keys(imsi, keys, dnns, slices)? {
            Asked::Add(new) => Ok(Asked::Add(New { ip, ..new })),
            other => Ok(other),
        }
    }

    fn add_keys(&self, imsi: &str, keys: &[&str], dnns: Vec<String>, slices: Vec<String>) -> Result<Asked> {
        let keys = match (keys, &self.options.keys_from) {
            ([] | ["-"] | ["-", "-"], Some(file)) => Keys::File(file.clone()),
            (["-"] | ["-", "-"], None) => Keys::Input,
            ([k, opc], None) if self.options.keys_in_arguments => {
                Keys::Words(Zeroizing::new(format!("{k} {opc}")))
            }
            // A file is named, and keys stand here all the same.
            ([_, _], _) => return Err(self.wrong(KEYS_SEEN, KEYS_SEEN_JA)),
            _ => return Err(self.arguments(self.all.first().map_or("", String::as_str))),
        };
        Ok(Asked::Add(New { imsi: imsi.to_owned(), ip: None, keys, dnns, slices }))
    }

    fn address(&self, word: &str) -> Result<Ipv4Addr> {
        word.parse().map_err(|_| self.wrong("give an IPv4 address", "IPv4 アドレスを指定してください"))
    }

    /// Bits a second: unit 0 is bit/s, and each next one a thousand of the one before.
    fn rate(&self, value: &str, unit: &str) -> Result<u64> {
        let unit = unit.parse().ok().filter(|u| *u <= 4_u32);
        let bps = value.parse::<u64>().ok().zip(unit).and_then(|(v, u)| v.checked_mul(1_000_u64.pow(u)));
        bps.ok_or_else(|| {
            self.wrong(
                "a rate is a whole number and a unit: 0 bit/s, 1 kbit/s, 2 Mbit/s, 3 Gbit/s, 4 Tbit/s",
                "速度は整数と単位で指定してください: 0 bit/s、1 kbit/s、2 Mbit/s、3 Gbit/s、4 Tbit/s",
            )
        })
    }

    /// Barring of all packet services is a suspension; the other kinds are about roaming.
    fn status(&self, imsi: &str, status: &str, barring: &str) -> Result<Asked> {
        let state = match (status, barring) {
            ("0", "0") => "active",
            ("1", "0") => "suspended",
            ("0" | "1", "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8") => {
                return Err(self.nothing(NO_BARRING));
            }
            _ => return Err(self.arguments("subscriber_status")),
        };
        Ok(Asked::State { imsi: imsi.to_owned(), state })
    }

    fn wrong(&self, en: &str, ja: &str) -> anyhow::Error {
        WrongWords(self.lang.of(en, ja).to_owned()).into()
    }

    fn nothing(&self, (en, ja): (&str, &str)) -> anyhow::Error {
        MeansNothing(self.lang.of(en, ja).to_owned()).into()
    }

    /// Nothing of the words is repeated: keys may be among them.
    fn arguments(&self, verb: &str) -> anyhow::Error {
        let known = HELP.lines().find_map(|l| {
            let form = l.trim_start();
            (form.split_whitespace().next() == Some(verb)).then(|| form.split("  ").next().unwrap_or(form))
        });
        match known {
            Some(form) => self.wrong(&format!("wrong arguments: {form}"), &format!("引数が違います: {form}")),
            None => self.wrong(
                "there is no such verb; `help` lists them",
                "その動詞はありません。help で一覧を表示します",
            ),
        }
    }
}

impl Work {
    /// Does it.
    pub(super) fn act(&self, api: &Client, out: &Printer) -> Result<()> {
        match &self.asked {
            Asked::Help => Ok(()),
            Asked::Add(new) => add(new, api, out),
            Asked::Remove { imsi } => self.tell(
                "the SIM is retired and its key destroyed; its record and its history stay",
                "SIM を廃止し鍵を破棄しました。記録と履歴は残ります",
                state(api, out, imsi, "retired"),
            ),
            Asked::StaticIp { imsi, ip } => {
                let sim = api.get(&format!("sims/{imsi}"))?.body;
                let dnn =
                    sim.pointer("/dnns/0").and_then(Value::as_str).context("a SIM without a data network")?;
                let mut all = sim.get("static_ips").and_then(Value::as_object).cloned().unwrap_or_default();
                all.insert(dnn.to_owned(), json!(ip.to_string()));
                change(api, out, imsi, &json!({ "static_ips": all }))
            }
            Asked::Apn { imsi, apn, slice } => {
                let sim = api.get(&format!("sims/{imsi}"))?.body;
                let slices = texts(&sim, "slices").len().max(1);
                if *slice >= slices {
                    let (en, ja) =
                        ("the SIM has no slice of that number", "その番号のスライスは SIM にありません");
                    return Err(WrongWords(self.lang.of(en, ja).to_owned()).into());
                }
                let done = change(api, out, imsi, &json!({ "dnns": with(texts(&sim, "dnns"), apn) }));
                if slices == 1 {
                    return done;
                }
                self.tell(
                    "a data network is in every slice of a SIM here",
                    "データネットワークは SIM のすべてのスライスで使えます",
                    done,
                )
            }
            Asked::Slice { imsi, apn, slice } => {
                let sim = api.get(&format!("sims/{imsi}"))?.body;
                let (slices, dnns) = (texts(&sim, "slices"), with(texts(&sim, "dnns"), apn));
                if !slices.is_empty() {
                    let both = json!({ "slices": with(slices, slice), "dnns": dnns });
                    return change(api, out, imsi, &both);
                }
                // Naming one would take the others away.
                self.tell(
                    "the SIM names no slice, so it has every slice of this node already",
                    "この SIM はスライスを指定していないため、ノードのすべてのスライスをすでに使えます",
                    change(api, out, imsi, &json!({ "dnns": dnns })),
                )
            }
            Asked::Rates { imsi, dl, ul } => {
                change(api, out, imsi, &json!({ "ambr_dl_bps": dl, "ambr_ul_bps": ul }))
            }
            Asked::State { imsi, state: "active" } => {
                // Who is in service already stays what it is.
                let sim = api.get(&format!("sims/{imsi}"))?.body;
                match sim.get("state").and_then(Value::as_str) {
                    Some("active" | "ready") => out.thing(&sim),
                    _ => state(api, out, imsi, "active"),
                }
            }
            Asked::State { imsi, state: to } => state(api, out, imsi, to),
            Asked::ShowAll => {
                let mut to = std::io::stdout().lock();
                for sim in api.list("sims")? {
                    writeln!(to, "{sim}")?;
                }
                Ok(())
            }
            Asked::ShowPretty => {
                let all = serde_json::to_string_pretty(&api.list("sims")?)?;
                Ok(writeln!(std::io::stdout().lock(), "{all}")?)
            }
            Asked::ShowFiltered => self.tell(
                "keys are shown to nobody",
                "鍵は誰にも表示しません",
                out.list(&api.list("sims")?, Columns(&["imsi", "dnns", "static_ips"])),
            ),
        }
    }

    /// What somebody who knows the other tool would not expect, once it is done.
    fn tell(&self, en: &str, ja: &str, done: Result<()>) -> Result<()> {
        if done.is_ok() {
            eprintln!("sekisho: {}", self.lang.of(en, ja));
        }
        done
    }
}

fn add(new: &New, api: &Client, out: &Printer) -> Result<()> {
    let mut body = Map::new();
    let statics: Map<String, Value> =
        new.ip.iter().flat_map(|ip| new.dnns.iter().map(|d| (d.clone(), json!(ip.to_string())))).collect();
    for (name, value) in [
        ("imsi", json!(new.imsi)),
        ("dnns", json!(new.dnns)),
        ("slices", json!(new.slices)),
        ("static_ips", Value::Object(statics)),
    ] {
        body.insert(name.to_owned(), value);
    }
    let text = match &new.keys {
        Keys::Words(text) => text.clone(),
        Keys::File(file) => read_file(file)?,
        Keys::Input => read(std::io::stdin().lock(), "standard input")?,
    };
    let from = match &new.keys {
        Keys::File(file) => file.display().to_string(),
        _ => "-".to_owned(),
    };
    keys(&text, &from, &mut body)?;
    out.thing(&api.post("sims", &Value::Object(body))?.body)
}

fn read_file(file: &Path) -> Result<Zeroizing<String>> {
    let name = file.display().to_string();
    read(std::fs::File::open(file).with_context(|| format!("the key file {name}"))?, &name)
}

fn read(from: impl std::io::Read, name: &str) -> Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    from.take(KEYS_MOST).read_to_string(&mut text).with_context(|| format!("reading keys from {name}"))?;
    Ok(text)
}

/// K and OPc as two words, or as a key file has them. An error names the line, never its content.
fn keys(text: &str, from: &str, body: &mut Map<String, Value>) -> Result<()> {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        [k, opc] if !text.contains('=') => {
            body.insert("k".to_owned(), json!(k));
            body.insert("opc".to_owned(), json!(opc));
            Ok(())
        }
        [] => anyhow::bail!("{from}: no keys came"),
        _ => keys_of(text, from, body),
    }
}

fn change(api: &Client, out: &Printer, imsi: &str, body: &Value) -> Result<()> {
    out.thing(&patch(api, &format!("sims/{imsi}"), body)?.body)
}

fn state(api: &Client, out: &Printer, imsi: &str, to: &str) -> Result<()> {
    let body = json!({ "state": to, "reason": REASON });
    out.thing(&api.post(&format!("sims/{imsi}/state"), &body)?.body)
}

/// SST, or SST-SD; SD ffffff is none (TS 23.003 §28.4.2).
fn slice(sst: &str, sd: &str) -> String {
    if sd.is_empty() || sd.eq_ignore_ascii_case("ffffff") { sst.to_owned() } else { format!("{sst}-{sd}") }
}

fn texts(sim: &Value, name: &str) -> Vec<String> {
    let all = sim.get(name).and_then(Value::as_array).into_iter().flatten();
    all.filter_map(Value::as_str).map(ToOwned::to_owned).collect()
}

fn with(mut all: Vec<String>, one: &str) -> Vec<String> {
    if !all.iter().any(|a| a == one) {
        all.push(one.to_owned());
    }
    all
}

const HELP: &str = "\
sekisho compat open5gs-dbctl [--keys-from FILE] VERB ARGUMENTS

K and OPc come by standard input (`-` in their place) or from FILE, as lines `k = HEX`, `opc = HEX` or as two words.

  add IMSI [IPV4] -                     add a SIM in data network internet, 1 Gbit/s both ways
  addT1 IMSI [IPV4] -                   the same in internet, internet1 and internet2
  add_ue_with_apn IMSI - APN            the same in a data network of this name
  add_ue_with_slice IMSI - APN SST SD   the same in one slice
  update_apn IMSI APN SLICE             one data network more
  update_slice IMSI APN SST SD          one slice more, and its data network
  static_ip IMSI IPV4                   fixed address in the first data network
  ambr_speed IMSI DL UNIT UL UNIT       rates; unit 0 bit/s, 1 kbit/s, 2 Mbit/s, 3 Gbit/s, 4 Tbit/s
  subscriber_status IMSI STATUS BARRING  1 0 suspends, 0 0 resumes
  remove IMSI                           retire; the key is destroyed
  showall                               each SIM as a line of JSON
  showpretty                            all SIMs as JSON for people
  showfiltered                          IMSI, data networks and addresses, without keys
  help                                  this

They mean nothing here, end with exit code 5 and say what to do instead:
  reset
  static_ip6 IMSI IPV6
  type IMSI TYPE
  lbo_roaming_allowed IMSI ALLOWED";

const HELP_JA: &str = "\
sekisho compat open5gs-dbctl [--keys-from FILE] 動詞 引数

K と OPc は標準入力 (引数の位置に - を書く) または FILE から、「k = HEX」「opc = HEX」の行か 2 語で渡します。

  add IMSI [IPV4] -                     データネットワーク internet、上下 1 Gbit/s の SIM を追加
  addT1 IMSI [IPV4] -                   internet、internet1、internet2 で追加
  add_ue_with_apn IMSI - APN            この名前のデータネットワークで追加
  add_ue_with_slice IMSI - APN SST SD   1 つのスライスで追加
  update_apn IMSI APN SLICE             データネットワークを 1 つ追加
  update_slice IMSI APN SST SD          スライスとそのデータネットワークを追加
  static_ip IMSI IPV4                   先頭のデータネットワークの固定アドレス
  ambr_speed IMSI DL UNIT UL UNIT       速度。単位は 0 bit/s、1 kbit/s、2 Mbit/s、3 Gbit/s、4 Tbit/s
  subscriber_status IMSI STATUS BARRING  1 0 で一時停止、0 0 で再開
  remove IMSI                           廃止 (鍵を破棄)
  showall                               SIM ごとに JSON を 1 行
  showpretty                            すべての SIM を読みやすい JSON で
  showfiltered                          IMSI、データネットワーク、アドレス (鍵は表示しない)
  help                                  この説明

次の動詞はここでは意味を持たず、終了コード 5 と代わりの方法を返します:
  reset
  static_ip6 IMSI IPV6
  type IMSI TYPE
  lbo_roaming_allowed IMSI ALLOWED";

const KEYS_SEEN: &str = "K and OPc stand on the command line, where every user of this machine can read them. In the script, \
    put one - in their place and send them by standard input:\n  \
    printf '%s %s\\n' \"$K\" \"$OPC\" | sekisho compat open5gs-dbctl add \"$IMSI\" -\n\
    or leave them out and name a file (mode 0600) with lines k = HEX and opc = HEX by --keys-from FILE. \
    --keys-in-arguments takes them as they stand.";
const KEYS_SEEN_JA: &str = "K と OPc がコマンドラインにあり、このマシンの全ユーザーに見えます。スクリプトでは代わりに - を 1 つ書き、標準入力で渡してください:\n  \
    printf '%s %s\\n' \"$K\" \"$OPC\" | sekisho compat open5gs-dbctl add \"$IMSI\" -\n\
    または引数から除き、「k = HEX」「opc = HEX」の行を持つファイル (モード 0600) を --keys-from FILE で指定してください。\
    --keys-in-arguments を付けると引数のまま受け取ります。";

const NO_RESET: (&str, &str) = (
    "reset means nothing here: no command forgets every SIM. Retire SIMs one by one (remove IMSI), or stop Sekisho and begin with \
     an empty data directory",
    "reset はここでは意味を持ちません。全 SIM を消すコマンドはありません。SIM を 1 枚ずつ廃止する (remove IMSI) か、Sekisho を止めて空のデータディレクトリで始めてください",
);
const NO_STATIC_IP6: (&str, &str) = (
    "static_ip6 means nothing here: a SIM keeps the IPv6 prefix that it was first given from its data network's pool \
     (sekisho data-network add NAME --pool6 PREFIX)",
    "static_ip6 はここでは意味を持ちません。SIM は最初に割り当てられた IPv6 プレフィックスを使い続けます \
     (sekisho data-network add NAME --pool6 PREFIX)",
);
const NO_TYPE: (&str, &str) = (
    "type means nothing here: whether a session is IPv4, IPv6 or both is its data network's pools \
     (sekisho data-network add NAME --pool PREFIX --pool6 PREFIX)",
    "type はここでは意味を持ちません。IPv4・IPv6・両方のどれかはデータネットワークのプールで決まります \
     (sekisho data-network add NAME --pool PREFIX --pool6 PREFIX)",
);
const NO_ROAMING: (&str, &str) = (
    "lbo_roaming_allowed means nothing here: a closed network has no roaming. Networks that an MME may ask for stand in \
     [[s6a.mme]] plmns",
    "lbo_roaming_allowed はここでは意味を持ちません。閉域網にローミングはありません。MME が要求できる網は [[s6a.mme]] の plmns で指定します",
);
const NO_BARRING: (&str, &str) = (
    "barring of these kinds means nothing here: they are about roaming and voice. subscriber_status IMSI 1 0 suspends the SIM, \
     0 0 resumes it; sekisho ban cuts it",
    "この種類の規制はここでは意味を持ちません (ローミングと音声のもの)。subscriber_status IMSI 1 0 で一時停止、0 0 で再開、sekisho ban で遮断します",
);

#[cfg(test)]
mod tests;
