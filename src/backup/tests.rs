//! A node is backed up, lost, and restored; and what a liar's file gets.

use super::{
    RecoverySecret, Refusal, Report, Restore, drill, make, make_key, restore,
    seal::{Opener, Sealer},
    sweep,
};
use crate::{config::Config, control::boot, keys};
use gateway::{
    journal::{Entry, Journal, What},
    time::now,
};
use std::{
    fs,
    io::{Cursor, Read, Write},
    path::{Path, PathBuf},
};
use store::{Change, SimRow, StateChange, Store};
use types::{Imsi, SimState, SuciProfile};

const SEED: [u8; 32] = [5; 32];

fn sealed(plain: &[u8]) -> (RecoverySecret, Vec<u8>) {
    let secret = RecoverySecret::new([7; 32]);
    let mut sealer = Sealer::begin(Vec::new(), &secret.public(), SEED).expect("begun");
    sealer.write_all(plain).expect("written");
    (secret, sealer.finish().expect("sealed"))
}

fn opened(file: &[u8], secret: &RecoverySecret) -> Result<Vec<u8>, Refusal> {
    let mut plain = Vec::new();
    let read = Opener::begin(Cursor::new(file), secret).and_then(|mut from| from.read_to_end(&mut plain));
    match read {
        Ok(_) => Ok(plain),
        Err(e) => {
            let why = e.get_ref().and_then(|e| e.downcast_ref::<Refusal>());
            Err(why.unwrap_or_else(|| panic!("{e}")).clone())
        }
    }
}

#[test]
fn what_is_sealed_opens_with_its_key_alone() {
    for size in [0, 1, 65_535, 65_536, 65_537, 200_000] {
        let plain: Vec<u8> = (0..size).map(|i| (i * 7 % 251) as u8).collect();
        let (secret, file) = sealed(&plain);
        assert!(opened(&file, &secret).as_ref() == Ok(&plain), "{size} octets");
        assert_eq!(opened(&file, &RecoverySecret::new([8; 32])), Err(Refusal::OtherKey));
    }
    let (secret, _) = sealed(b"");
    assert_eq!(opened(b"no backup at all, but long enough for a head", &secret), Err(Refusal::Foreign));
    assert_eq!(opened(b"", &secret), Err(Refusal::Foreign));
}

#[test]
fn a_cut_a_flip_and_a_swap_are_seen() {
    let plain = vec![3; 3 * 65_536 + 10];
    let (secret, file) = sealed(&plain);
    for end in (0..file.len()).step_by(997).chain([file.len() - 1]) {
        assert!(opened(&file[..end], &secret).is_err(), "cut at {end}");
    }
    let chunk = 4 + 65_536 + 16;
    // A whole chunk, the last included, is not missed.
    assert_eq!(opened(&file[..56 + 3 * chunk], &secret), Err(Refusal::CutShort));
    for at in (0..file.len()).step_by(997).chain([8, 16, 24, 55, 56, 59, file.len() - 1]) {
        let mut bad = file.clone();
        bad[at] ^= 1;
        assert!(opened(&bad, &secret).is_err(), "octet {at} flipped");
    }
    let mut swapped = file.clone();
    let (first, second) = (file[56..56 + chunk].to_vec(), file[56 + chunk..56 + 2 * chunk].to_vec());
    swapped[56..56 + chunk].copy_from_slice(&second);
    swapped[56 + chunk..56 + 2 * chunk].copy_from_slice(&first);
    assert_eq!(opened(&swapped, &secret), Err(Refusal::Altered));
    let mut longer = file;
    longer.push(0);
    assert_eq!(opened(&longer, &secret), Err(Refusal::Altered));
}

#[test]
fn the_recovery_key_is_read_as_people_type_it_and_a_slip_is_found() {
    let secret = RecoverySecret::new([9; 32]);
    let text = secret.text();
    assert_eq!(text.split('-').count(), 15, "{}", text.as_str());
    for typed in [text.to_string(), text.to_lowercase().replace('-', " "), format!(" {}\n", text.as_str())] {
        assert!(RecoverySecret::parse(&typed).is_ok_and(|s| s.public() == secret.public()));
    }
    for at in 0..text.len() {
        let mut slip: Vec<char> = text.chars().collect();
        if slip[at] != '-' {
            slip[at] = if slip[at] == 'Q' { 'R' } else { 'Q' };
            let slip: String = slip.into_iter().collect();
            assert!(matches!(RecoverySecret::parse(&slip), Err(Refusal::KeyText)), "letter {at}");
        }
    }
    for wrong in ["", "ABCD", "1111-1111", &text[5..]] {
        assert!(matches!(RecoverySecret::parse(wrong), Err(Refusal::KeyText)));
    }
}

fn imsi(n: u32) -> Imsi {
    format!("00101{n:010}").parse().expect("an IMSI")
}

/// A node with three SIMs, the third of which is banned, in database and journal.
struct Node {
    dir: tempfile::TempDir,
    config: Config,
    store: Store,
    secret: RecoverySecret,
}

const K: [u8; 16] = *b"the K of a SIM!!";

impl Node {
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let text = format!(
            "[network]\nplmn = \"001-01\"\ntacs = [1]\nslices = [\"1\"]\n[n2]\naddress = \"192.0.2.1\"\n[n3]\n\
             address = \"192.0.2.1\"\n[paths]\ndata = \"{}\"\n",
            dir.path().join("data").display()
        );
        let config = Config::parse(&text, std::iter::empty()).expect("a configuration");
        let (store, mut vault) = boot::open(&config).await.expect("a store");
        let text = make_key(&config.paths.data).expect("a recovery key");
        let secret = RecoverySecret::parse(&text).expect("it can be read");
        let by = Change::by_system("test", now().utc);
        let dn = serde_json::json!({ "dnn": "corp", "pool": "10.60.0.0/24" });
        let dn: types::DataNetwork = serde_json::from_value(dn).expect("a data network");
        store.create(dn, None, &by).await.expect("it is stored");
        for n in 1..=3 {
            let keys = vault.seal(imsi(n), &types::K::new(K), &types::Opc::new(K));
            store.create_sim(row(n, keys.as_bytes().to_vec()), &by).await.expect("a SIM");
        }
        let sealed = vault.seal_home_key(7, SuciProfile::B, &types::Key256::new([7; 32]));
        let home_key = store::HomeKeyRow {
            id: 7,
            profile: SuciProfile::B,
            public: vec![2; 33],
            sealed: sealed.as_bytes().to_vec(),
            accepted_until: None,
            version: 1,
            created: by.at,
            changed: by.at,
        };
        store.add_home_key(home_key, &by).await.expect("a home network key");
        let node = Self { dir, config, store, secret };
        node.ban(3).await;
        node.store
            .change_sim_state(imsi(3), SimState::Stolen, StateChange::Ban, &by)
            .await
            .expect("it is banned");
        node
    }

    /// A ban that reaches the journal.
    async fn ban(&self, n: u32) {
        let (mut journal, _) = Journal::open(&self.config.journal(), [1; 16]).expect("the journal");
        let entry = Entry {
            what: What::Cut(imsi(n), SimState::Stolen),
            at: now().utc,
            actor: "soc".to_owned(),
            reason: "lost in a train".to_owned(),
        };
        journal.append(&[entry]).expect("appended");
    }

    async fn backup(&self, name: &str) -> PathBuf {
        make(&self.config, &self.store, name, now().utc).await.expect("a backup").file
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    async fn restore(&self, file: &Path, journals: &[PathBuf], into: &str) -> anyhow::Result<Report> {
        restore(&Restore { file, secret: &self.secret, journals }, &self.at(into)).await
    }

    /// What lies beside the data directory, drafts included.
    fn beside(&self) -> Vec<String> {
        let mut all: Vec<String> = fs::read_dir(self.dir.path())
            .expect("a directory")
            .map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned())
            .collect();
        all.sort();
        all
    }
}

fn row(n: u32, sealed: Vec<u8>) -> SimRow {
    let mut sim = store::lab::sim(imsi(n));
    (sim.label, sim.state, sim.sealed) = (format!("SIM {n}"), SimState::Active, Some(sealed));
    sim.sqn.ceiling = 100;
    sim.dnns = vec!["corp".parse().expect("a name")];
    sim
}

async fn reopened(dir: &Path) -> Store {
    Store::open(&format!("sqlite:{}", dir.join("sekisho.db").display())).await.expect("it opens")
}

#[tokio::test]
async fn a_lost_node_comes_back_and_every_sim_waits_for_its_owner() {
    let node = Node::new().await;
    let file = node.backup("one").await;
    let report = node.restore(&file, &[], "new").await.expect("restored");
    assert!(report.held && report.journal_from.is_none());
    assert_eq!((report.keys_opened, report.manifest.sims, report.manifest.banned), (4, 3, 1));
    let new = node.at("new");
    for name in ["kek.key", "signing.key", "recovery.pub"] {
        let (old, restored) = (fs::read(node.config.paths.data.join(name)), fs::read(new.join(name)));
        assert!(old.expect("old").trim_ascii() == restored.expect("restored").trim_ascii(), "{name}");
    }
    let store = reopened(&new).await;
    assert!(store.hold().await.expect("read").is_some(), "no journal is known to be the newest");
    assert_eq!(store.sim(imsi(3)).await.expect("there").state, SimState::Stolen);
    assert!(store.leases_rest_until().await.expect("read").is_some_and(|t| t > now().utc));
    // SQN has jumped ahead of the clock, and so of all that can have been used since.
    let sqn = store.sim(imsi(1)).await.expect("there").sqn;
    assert!(sqn.ceiling > (now().utc.0 / 100) as u64, "{}", sqn.ceiling);
    let audit = store.audit(None, None, 5).await.expect("read").items;
    assert!(audit.iter().any(|r| r.action == "system.restore"));
    store.close().await;
    assert_eq!(node.beside(), ["data", "new"], "no draft is left");
}

#[tokio::test]
async fn last_months_backup_does_not_unban() {
    let node = Node::new().await;
    let file = node.backup("last-month").await;
    node.ban(2).await;
    let journal = node.config.journal();
    let report = node.restore(&file, std::slice::from_ref(&journal), "new").await.expect("restored");
    assert!(!report.held, "the machine's own journal was given");
    assert_eq!(report.bans_applied, [imsi(2)]);
    let store = reopened(&node.at("new")).await;
    assert_eq!(store.hold().await.expect("read"), None);
    assert_eq!(store.sim(imsi(2)).await.expect("there").state, SimState::Stolen);
    assert_eq!(store.sim(imsi(1)).await.expect("there").state, SimState::Active);
    store.close().await;
    assert!(fs::read(&journal).ok() == fs::read(node.at("new/revocations.journal")).ok());
    // Without that journal the ban of SIM 2 is not known: everybody waits.
    assert!(node.restore(&file, &[], "older").await.expect("restored").held);
    // A copy that is older than the backup proves nothing.
    let old = node.at("copy");
    fs::copy(&journal, &old).expect("copied");
    node.ban(1).await;
    let newer = node.backup("newer").await;
    let report = node.restore(&newer, &[old], "newest").await.expect("restored");
    assert!(report.held && report.journal_records == 3, "{report:?}");
}

#[tokio::test]
async fn what_is_wrong_is_refused_and_nothing_is_written() {
    let node = Node::new().await;
    let file = node.backup("one").await;
    let good = fs::read(&file).expect("read");
    let refused = async |octets: &[u8], journals: &[PathBuf], into: &str| {
        let bad = node.at("bad");
        fs::write(&bad, octets).expect("written");
        let e = node.restore(&bad, journals, into).await.expect_err("refused");
        fs::remove_file(&bad).expect("removed");
        e.downcast::<Refusal>().expect("in words")
    };
    for at in [9, 40, 60, good.len() / 2, good.len() - 1] {
        let mut flipped = good.clone();
        flipped[at] ^= 0x10;
        refused(&flipped, &[], "new").await;
    }
    for end in [0, 30, 56, good.len() / 2, good.len() - 1] {
        let why = refused(&good[..end], &[], "new").await;
        assert!(matches!(why, Refusal::CutShort | Refusal::Foreign), "{why}");
    }
    assert_eq!(refused(b"SQLite format 3, and what else there may be", &[], "new").await, Refusal::Foreign);
    let other = Node::new().await;
    let foreign = fs::read(other.backup("one").await).expect("read");
    assert_eq!(refused(&foreign, &[], "new").await, Refusal::OtherKey);
    // The journal of another node, and one that parts ways with the backup's.
    other.ban(1).await;
    let journal = other.config.journal();
    assert!(matches!(refused(&good, std::slice::from_ref(&journal), "new").await, Refusal::Journal(_)));
    let mut torn = fs::read(&journal).expect("read");
    torn[300] ^= 1;
    fs::write(&journal, torn).expect("written");
    assert!(matches!(refused(&good, &[journal], "new").await, Refusal::Journal(_)));
    assert_eq!(node.beside(), ["data"]);
    // A directory that is in use is not touched.
    let e = node.restore(&file, &[], "data").await.expect_err("refused");
    assert!(matches!(e.downcast::<Refusal>(), Ok(Refusal::NotEmpty(_))));
    assert!(node.config.key_file().exists());
}

#[tokio::test]
async fn a_backup_shows_no_key_and_a_drill_leaves_nothing() {
    let node = Node::new().await;
    let file = node.backup("one").await;
    let octets = fs::read(&file).expect("read");
    let kek = fs::read(node.config.key_file()).expect("read");
    let signing = fs::read(node.config.paths.data.join("signing.key")).expect("read");
    let sealed = node.store.sim(imsi(1)).await.expect("there").sealed.expect("a key");
    for secret in [K.as_slice(), &kek[..16], &signing[..16], &sealed[..16], b"00101"] {
        assert!(!octets.windows(secret.len()).any(|w| w == secret), "a secret in clear");
    }
    let report = drill(&Restore { file: &file, secret: &node.secret, journals: &[] }).await.expect("drilled");
    assert_eq!((report.keys_opened, report.manifest.sims), (4, 3));
    let left = fs::read_dir(std::env::temp_dir()).expect("a directory").flatten();
    let mine = |e: &fs::DirEntry| {
        e.file_name().to_string_lossy().starts_with("sekisho-drill-")
            && fs::read(e.path().join("kek.key")).is_ok_and(|k| k == kek)
    };
    assert!(!left.into_iter().any(|e| mine(&e)), "the drill's directory is gone");
    let drafts = fs::read_dir(node.config.paths.data.join("backups")).expect("a directory").count();
    assert_eq!(drafts, 1, "the backup alone");
    // A kill in the middle leaves the draft of a backup, with a snapshot in clear, to the next start.
    let dir = node.config.paths.data.join("backups");
    fs::create_dir(dir.join(".two.0badcafe")).expect("made");
    fs::write(dir.join(".two.0badcafe/sekisho.db"), b"a snapshot").expect("written");
    sweep(&node.config).expect("swept");
    assert_eq!(fs::read_dir(&dir).expect("a directory").count(), 1, "the backup stays, the draft goes");
    assert!(make(&node.config, &node.store, "one", now().utc).await.is_err(), "nothing is replaced");
    assert!(fs::read(&file).expect("read") == octets);
    assert!(make_key(&node.config.paths.data).is_err(), "a second recovery key would orphan the first");
    assert!(keys::key_file(&node.config.key_file(), false).is_ok());
}
