//! `sekisho bench secrets`: the keys of the SIMs and of the home network are looked for in everything that Sekisho says and leaves behind.
//!
//! A site lives through a story: SIMs are put in, well and badly, attach, are banned and unbanned, every list is read,
//! keys of the home network are taken in and retired, and both processes are made to crash. Then every answer, the log at its most talkative, the capture of the radio,
//! the database with its write-ahead log, the journal and whatever else lies in the directories is searched for K and
//! OPc of every SIM and for the home network's private keys: raw, as hexadecimal digits, as Base64 in each of its three alignments, and for either half of a key
//! alone. What is sealed is not found, because it is not there.
//!
//! A file with planted keys lies among the others; a search that does not find those is worth nothing.

use crate::{
    client::Client,
    demo::{Options, namespace, ran::RanAsk, site::SiteAsk, story::Demo, words::Teller},
    lang::Lang,
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Duration,
};

/// Names of the planted keys.
const PLANTED: &str = "planted";

/// Runs the story and the search; with `json` one object is the last line.
pub fn run(json: bool, lang: Lang) -> Result<ExitCode> {
    namespace::check()?;
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    rt.block_on(story(json, lang))
}

async fn story(json: bool, lang: Lang) -> Result<ExitCode> {
    let own = tempfile::Builder::new().prefix("sekisho-secrets-").tempdir()?;
    let mut options = Options::of_a_bench(lang);
    options.env = vec![("SEKISHO_LOG_FILTER".to_owned(), "trace".to_owned())];
    options.capture = Some(own.path().join("radio.pcap"));
    let demo = Demo::set_up(&options, Teller::new(lang, true)).await?;
    let mut needles = Needles::default();
    let answers = own.path().join("answers.txt");
    let said = live(&demo, &mut needles).await?;
    fs::write(&answers, said.join("\n"))?;
    let limits = crash_both(&demo).await?;
    demo.done(SiteAsk::Kill { part: "all".to_owned() }).await?;

    plant(&mut needles, &own.path().join("planted"))?;
    let mut looked = Looked::default();
    for dir in [demo.dir(), own.path()] {
        looked.tree(dir, &needles)?;
    }
    let (planted, found): (Vec<Hit>, Vec<Hit>) = looked.hits.into_iter().partition(|h| h.key == PLANTED);
    let cores = machine_writes_cores(own.path())?;
    println!("{} answers, {} files, {} octets searched", said.len(), looked.files, looked.octets);
    println!(
        "core files: {} by Sekisho, which both processes forbid; one by a program that does not: {cores}",
        looked.cores.len()
    );
    found.iter().for_each(|h| println!("FOUND: {} of {} in {} at {}", h.how, h.key, h.file.display(), h.at));
    looked.cores.iter().for_each(|c| println!("FOUND: a core file, {}", c.display()));
    // Each form of both planted keys, whole and by halves.
    let seen_all = planted.len() >= PLANTS;
    let held = found.is_empty() && looked.cores.is_empty() && seen_all && limits && !said.is_empty();
    if !seen_all {
        println!("FOUND: the search found only {} of {PLANTS} planted keys", planted.len());
    }
    if !limits {
        println!("FOUND: a process of Sekisho may write core files");
    }
    if json {
        let o = json!({
            "answers": said.len(), "files": looked.files, "octets": looked.octets, "found": found.len(),
            "planted_found": planted.len(), "core_files": looked.cores.len(), "core_limit_is_0": limits,
            "machine_writes_cores": cores, "held": held,
        });
        println!("{o}");
    }
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The story. Returns every answer.
async fn live(demo: &Demo, needles: &mut Needles) -> Result<Vec<String>> {
    demo.put_policy().await?;
    demo.connect_gnb().await?;
    let mut said = Vec::new();
    let mut sims = Vec::new();
    for n in 0..6u32 {
        let imsi = format!("00101{:010}", 500 + n);
        let (k, opc) = (gateway::sys::random::<16>()?, gateway::sys::random::<16>()?);
        needles.key(&format!("K of {imsi}"), &k);
        needles.key(&format!("OPc of {imsi}"), &opc);
        let (mut k, mut opc) = (types::hex(&k), types::hex(&opc));
        if n % 2 == 1 {
            (k, opc) = (k.to_ascii_uppercase(), opc.to_ascii_uppercase());
        }
        sims.push((imsi, k, opc));
    }
    let body = |imsi: &str, k: &str, opc: &str| json!({ "imsi": imsi, "k": k, "opc": opc, "dnns": ["corp"], "groups": ["office"], "state": "ready" });
    for (imsi, k, opc) in &sims {
        let good = body(imsi, k, opc);
        let mut wrong = vec![good.clone(), good.clone()];
        // The same K for another SIM, a field that is none, digits too many, keys in the wrong places.
        wrong.push(body("001010000000999", k, opc));
        let put = |field: &str, value: Value| {
            let mut b = good.clone();
            drop(b.as_object_mut().map(|b| b.insert(field.to_owned(), value)));
            b
        };
        wrong.push(put("kk", json!(k)));
        wrong.push(put("k", json!(format!("{k}0"))));
        wrong.push(put("k", json!([k])));
        wrong.push(put("opc", json!({ "value": opc })));
        wrong.push(put("imsi", json!(k)));
        wrong.push(put("state", json!(opc)));
        for b in wrong {
            said.push(ask(demo, "api/v1/sims", Some(("application/json", b.to_string()))).await?);
        }
        let broken = good.to_string().replace('}', "");
        said.push(ask(demo, "api/v1/sims", Some(("application/json", broken))).await?);
        let csv = format!("imsi,k,opc,dnns,groups\n{imsi},{k},{opc},corp,office\nx,{k},{opc}\n");
        for path in ["api/v1/sims", "api/v1/sims/import", "api/v1/imports"] {
            said.push(ask(demo, path, Some(("text/csv", csv.clone()))).await?);
        }
        let ue = RanAsk::Ue {
            name: imsi.clone(),
            imsi: imsi.parse()?,
            k: k.clone(),
            opc: opc.clone(),
            dnn: "corp".parse()?,
        };
        demo.ran(ue).await?;
        demo.radio(RanAsk::TryBare { ue: imsi.clone(), within_ms: 5_000 }).await?;
        for (what, state) in [("ban", "stolen"), ("unban", "active"), ("ban", "lost")] {
            let b = json!({ "state": state, "reason": "secrets" }).to_string();
            said.push(ask(demo, &format!("api/v1/sims/{imsi}/{what}"), Some(("application/json", b))).await?);
        }
        demo.ran(RanAsk::PowerCycle { ue: imsi.clone() }).await?;
        demo.radio(RanAsk::TryBare { ue: imsi.clone(), within_ms: 5_000 }).await?;
    }
    for (imsi, octets) in [("001010000000600", 16), ("001010000000601", 32)] {
        let (k, topc) = (gateway::sys::random::<32>()?, gateway::sys::random::<32>()?);
        let k = k.get(..octets).unwrap_or_default();
        needles.key(&format!("K of {imsi}"), k);
        needles.key(&format!("TOPc of {imsi}"), &topc);
        let (k, topc) = (types::hex(k), types::hex(&topc));
        let good = json!({ "imsi": imsi, "algorithm": "tuak", "k": k, "topc": topc, "dnns": ["corp"] });
        let wrong = [
            json!({ "imsi": imsi, "k": k, "opc": topc, "topc": topc, "dnns": ["corp"] }),
            json!({ "imsi": imsi, "algorithm": topc, "k": topc, "top": [k], "dnns": ["corp"] }),
        ];
        for b in wrong.iter().chain([&good]).map(Value::to_string) {
            said.push(ask(demo, "api/v1/sims", Some(("application/json", b))).await?);
        }
    }
    for (id, profile) in [(1, "a"), (2, "b")] {
        let key = gateway::sys::random::<32>()?;
        needles.key(&format!("home network key {id}"), &key);
        let key = types::hex(&key);
        let good = json!({ "id": id, "profile": profile, "private_key": key });
        // A field that is none, a digit too many, the key in the wrong place, no JSON; then taken in, and once more.
        let wrong = [
            json!({ "id": id, "profile": profile, "private_key": key, "kk": key }),
            json!({ "id": id, "profile": profile, "private_key": format!("{key}0") }),
            json!({ "id": id, "profile": key, "private_key": [key] }),
            json!({ "id": key, "profile": key }),
        ];
        let bodies = wrong.iter().chain([&good, &good]).map(Value::to_string);
        for b in bodies.chain([good.to_string().replace('}', "")]) {
            said.push(ask(demo, "api/v1/home-network-keys", Some(("application/json", b))).await?);
        }
    }
    let doc: Value =
        serde_json::from_str(&ask(demo, "api/openapi.json", None).await?).context("openapi.json")?;
    let paths = doc.get("paths").and_then(Value::as_object).cloned().unwrap_or_default();
    let imsi = sims.first().map(|s| s.0.clone()).unwrap_or_default();
    for (path, verbs) in &paths {
        // The event stream does not end; what it says is in the timelines.
        if verbs.get("get").is_none() || path.ends_with("/events") {
            continue;
        }
        let path = path.replace("{imsi}", &imsi).replace("home-network-keys/{id}", "home-network-keys/1");
        said.push(ask(demo, &path, None).await?);
    }
    said.push(ask(demo, "metrics", None).await?);
    // The events and flows of the last moment are written down.
    tokio::time::sleep(Duration::from_millis(500)).await;
    Ok(said)
}

async fn ask(demo: &Demo, path: &str, post: Option<(&'static str, String)>) -> Result<String> {
    let path = path.to_owned();
    let said = demo
        .call(move |api: &Client| {
            let post = post.as_ref().map(|(kind, body)| (*kind, body.as_str()));
            Ok(Value::from(api.words(&path, post)?.1).into())
        })
        .await?;
    Ok(said.as_str().unwrap_or_default().to_owned())
}

/// Both processes end by SIGABRT. True where both forbid core files by their limit.
async fn crash_both(demo: &Demo) -> Result<bool> {
    let forbidden = no_core_limit(demo.dir())?;
    for part in ["gateway", "control"] {
        demo.wait_until_ready().await?;
        demo.done(SiteAsk::Signal { part: part.to_owned(), signal: libc::SIGABRT }).await?;
        // The supervisor has it started again; a core file would be written by then.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    demo.wait_until_ready().await?;
    Ok(forbidden)
}

/// The two processes of the `sekisho run` of this directory, as `/proc` names them.
pub(super) fn processes(dir: &Path) -> Result<BTreeSet<PathBuf>> {
    let config = dir.join("sekisho.toml");
    let mut found = BTreeSet::new();
    for entry in fs::read_dir("/proc")? {
        let pid = entry?.path();
        let Ok(line) = fs::read(pid.join("cmdline")) else { continue };
        let words: Vec<&[u8]> = line.split(|b| *b == 0).collect();
        if words.contains(&config.as_os_str().as_encoded_bytes()) && words.contains(&b"--part".as_slice()) {
            found.insert(pid);
        }
    }
    ensure!(found.len() >= 2, "the two processes were not found in /proc");
    Ok(found)
}

/// True where both processes of this directory have a core limit of 0.
fn no_core_limit(dir: &Path) -> Result<bool> {
    let mut open = 0;
    for pid in processes(dir)? {
        let limits = fs::read_to_string(pid.join("limits")).unwrap_or_default();
        let core = limits.lines().find(|l| l.starts_with("Max core file size")).unwrap_or_default();
        open += u32::from(core.split_whitespace().skip(4).take(2).any(|n| n != "0"));
    }
    Ok(open == 0)
}

/// Whether this machine writes core files into the working directory at all: a shell that asks for one tries.
fn machine_writes_cores(own: &Path) -> Result<bool> {
    let dir = own.join("control");
    fs::create_dir(&dir)?;
    let tried =
        Command::new("/bin/sh").args(["-c", "ulimit -c unlimited; kill -ABRT $$"]).current_dir(&dir).status();
    drop(tried);
    Ok(fs::read_dir(&dir)?.next().is_some())
}

/// Forms of a key that are planted, of each of two keys.
const PLANTS: usize = 12;

fn plant(needles: &mut Needles, file: &Path) -> Result<()> {
    let mut text = Vec::new();
    for _ in 0..2 {
        let key = gateway::sys::random::<16>()?;
        needles.key(PLANTED, &key);
        text.extend_from_slice(b"x");
        text.extend_from_slice(&key);
        text.extend_from_slice(types::hex(&key).as_bytes());
        text.extend_from_slice(types::hex(&key).to_ascii_uppercase().as_bytes());
        for before in 0..3 {
            let mut with = vec![b'.'; before];
            with.extend_from_slice(&key);
            with.extend_from_slice(b"end");
            text.extend_from_slice(base64(&with, STANDARD).as_bytes());
            text.push(b' ');
        }
    }
    Ok(fs::write(file, text)?)
}

/// What is searched for, by its first eight octets.
#[derive(Default)]
struct Needles(HashMap<[u8; 8], Vec<Needle>>);

struct Needle {
    bytes: Vec<u8>,
    key: String,
    how: &'static str,
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

impl Needles {
    /// A key in all its forms; by halves, so that half a key is found, too.
    fn key(&mut self, name: &str, key: &[u8]) {
        for half in key.chunks(8) {
            self.add(name, "raw octets", half.to_vec());
            self.add(name, "hexadecimal digits", types::hex(half).into_bytes());
            self.add(name, "hexadecimal digits", types::hex(half).to_ascii_uppercase().into_bytes());
            for alphabet in [STANDARD, URL] {
                for before in 0..3usize {
                    let mut with = vec![0; before];
                    with.extend_from_slice(half);
                    let text = base64(&with, alphabet).into_bytes();
                    // Only the characters whose six bits are all of the key; what is before and behind is not known.
                    let first = (before * 8).div_ceil(6);
                    let last = (before + half.len()) * 8 / 6;
                    self.add(name, "Base64", text.get(first..last).unwrap_or_default().to_vec());
                }
            }
        }
    }

    fn add(&mut self, key: &str, how: &'static str, bytes: Vec<u8>) {
        if let Some(first) = bytes.first_chunk::<8>() {
            self.0.entry(*first).or_default().push(Needle { bytes, key: key.to_owned(), how });
        }
    }

    fn search(&self, hay: &[u8], mut hit: impl FnMut(usize, &Needle)) {
        for (at, window) in hay.windows(8).enumerate() {
            let Some(list) = window.first_chunk::<8>().and_then(|w| self.0.get(w)) else { continue };
            for n in list {
                if hay.get(at..).is_some_and(|rest| rest.starts_with(&n.bytes)) {
                    hit(at, n);
                }
            }
        }
    }
}

/// Base64 without padding.
fn base64(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let mut out = String::new();
    for c in bytes.chunks(3) {
        let word = c.iter().chain([0u8; 2].iter()).take(3).fold(0u32, |w, b| w << 8 | u32::from(*b));
        for n in 0..=c.len() {
            let six = word >> (18 - 6 * n) & 63;
            out.push(char::from(alphabet.get(six as usize).copied().unwrap_or(b'=')));
        }
    }
    out
}

struct Hit {
    key: String,
    how: &'static str,
    file: PathBuf,
    at: usize,
}

#[derive(Default)]
struct Looked {
    files: u64,
    octets: u64,
    hits: Vec<Hit>,
    cores: Vec<PathBuf>,
}

impl Looked {
    /// Every file below a directory.
    fn tree(&mut self, dir: &Path, needles: &Needles) -> Result<()> {
        for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            if kind.is_dir() {
                self.tree(&path, needles)?;
            } else if kind.is_file() {
                let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
                self.files += 1;
                self.octets += bytes.len() as u64;
                if entry.file_name().as_encoded_bytes().starts_with(b"core") {
                    self.cores.push(path.clone());
                }
                needles.search(&bytes, |at, n| {
                    self.hits.push(Hit { key: n.key.clone(), how: n.how, file: path.clone(), at });
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_in_every_form_at_every_place_and_its_neighbour_is_not() {
        let key: [u8; 16] = *b"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff";
        let mut needles = Needles::default();
        needles.key("k", &key);
        let found = |hay: &[u8]| {
            let mut n = 0;
            needles.search(hay, |_, _| n += 1);
            n
        };
        for before in 0..9 {
            let mut raw = vec![b'?'; before];
            raw.extend_from_slice(&key);
            raw.extend_from_slice(b"tail");
            assert!(found(&raw) >= 2, "raw behind {before}");
            assert!(found(types::hex(&raw).as_bytes()) >= 2);
            assert!(found(types::hex(&raw).to_ascii_uppercase().as_bytes()) >= 2);
            assert!(found(base64(&raw, STANDARD).as_bytes()) >= 2, "Base64 behind {before}");
            assert!(found(base64(&raw, URL).as_bytes()) >= 2);
        }
        assert_eq!(found(&key[..8]), 1, "half of it");
        let mut other = key;
        other[3] ^= 1;
        other[12] ^= 1;
        assert_eq!(
            found(&other) + found(types::hex(&other).as_bytes()) + found(base64(&other, URL).as_bytes()),
            0
        );
    }

    #[test]
    fn base64_is_that_of_rfc_4648() {
        for (bytes, text) in [("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes(), STANDARD), text);
        }
    }
}
