//! Copies: they get everything, resume where they were, and close the path where they know more.

use super::super::tests::cut;
use super::super::{Journal, offline};
use super::*;
use crate::journal::record::{RECORD, hash_of};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::Instant;

const SOON: Duration = Duration::from_secs(20);

fn journal(dir: &Path) -> Journal {
    Journal::open(&dir.join(FILE), [1; 16]).unwrap().0
}

fn directory(dir: &Path) -> CopyConfig {
    CopyConfig { directory: Some(dir.to_owned()), url: None, token_file: None, ca_file: None }
}

fn sink(address: &str, token_file: Option<PathBuf>) -> CopyConfig {
    CopyConfig { directory: None, url: Some(format!("http://{address}/journal")), token_file, ca_file: None }
}

fn start(journal: &Journal, config: &CopyConfig) -> Copies {
    Copies::start(journal, std::slice::from_ref(config), || {}).unwrap()
}

fn append(journal: &mut Journal, copies: &Copies, n: u32) {
    journal.append(&[cut(n)]).unwrap();
    copies.moved(journal.head());
}

fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < SOON, "{what}");
        thread::yield_now();
    }
}

#[test]
fn a_copy_in_a_directory_is_the_journal_itself() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut j = journal(here.path());
    j.append(&[cut(1), cut(2)]).unwrap();
    let config = directory(there.path());
    check(&mut j, std::slice::from_ref(&config)).unwrap();
    let mut copies = start(&j, &config);
    append(&mut j, &copies, 3);
    wait("it catches up", || copies.all_have(3));
    let copy = offline::inspect(&there.path().join(FILE)).unwrap();
    assert_eq!((copy.head, copy.records.len()), (j.head(), 3));
    let done = CopyNews::Done { place: config.place(), head: j.head() };
    wait("it is told", || copies.news().contains(&done));
    assert_eq!(copies.status()[0].head, Some(j.head()));
    assert!(!copies.all_have(4));
    check(&mut j, &[config]).unwrap();
}

#[test]
fn a_copy_that_knows_more_or_something_else_closes_the_path_and_is_named() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = directory(there.path());
    let mut j = journal(here.path());
    j.append(&[cut(1)]).unwrap();
    let old = std::fs::read(here.path().join(FILE)).unwrap();
    j.append(&[cut(2)]).unwrap();
    std::fs::copy(here.path().join(FILE), there.path().join(FILE)).unwrap();
    drop(j);
    // Last month's journal.
    std::fs::write(here.path().join(FILE), old).unwrap();
    let mut j = journal(here.path());
    let e = check(&mut j, std::slice::from_ref(&config)).unwrap_err().to_string();
    assert!(e.contains("has 2 records, the journal has 1") && e.contains(&config.place()), "{e}");
    // As long, with another record.
    j.append(&[cut(9)]).unwrap();
    let e = check(&mut j, std::slice::from_ref(&config)).unwrap_err().to_string();
    assert!(e.contains("another record 2"), "{e}");
    // A copy that hung at the start and comes back later closes it then.
    let mut copies = start(&j, &config);
    wait("it is found", || copies.news().iter().any(|n| matches!(n, CopyNews::Differs { .. })));
    // Another journal altogether.
    let other = tempfile::tempdir().unwrap();
    let (mut j, _) = Journal::open(&other.path().join(FILE), [2; 16]).unwrap();
    let e = check(&mut j, &[config]).unwrap_err().to_string();
    assert!(e.contains("is of another journal"), "{e}");
}

#[test]
fn a_copy_that_is_not_there_is_told_and_taken_up_again() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mount = there.path().join("mount");
    let config = directory(&mount);
    let mut j = journal(here.path());
    check(&mut j, std::slice::from_ref(&config)).unwrap();
    let mut copies = start(&j, &config);
    append(&mut j, &copies, 1);
    wait("it is told", || {
        copies.news().iter().any(|n| matches!(n, CopyNews::Changed(s) if s.error.is_some()))
    });
    assert!(!mount.exists(), "no copy is made on the same disk by mistake");
    std::fs::create_dir(&mount).unwrap();
    wait("it is taken up", || copies.all_have(1));
    wait("it is told", || {
        copies.news().iter().any(|n| matches!(n, CopyNews::Changed(s) if s.error.is_none()))
    });
}

#[test]
fn what_a_write_that_broke_off_has_left_in_a_copy_is_written_over() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let config = directory(there.path());
    let mut j = journal(here.path());
    j.append(&[cut(1), cut(2)]).unwrap();
    let mut copy = std::fs::read(here.path().join(FILE)).unwrap();
    copy[2 * RECORD + 60..3 * RECORD].fill(0);
    std::fs::write(there.path().join(FILE), copy).unwrap();
    check(&mut j, std::slice::from_ref(&config)).unwrap();
    let copies = start(&j, &config);
    wait("it catches up", || copies.all_have(2));
    assert_eq!(offline::inspect(&there.path().join(FILE)).unwrap().head, j.head());
}

/// What docs/journal-copies.md asks of a sink, over plain HTTP on this machine.
fn serve(listener: TcpListener, kept: Arc<Mutex<Vec<u8>>>, token: &'static str) {
    for stream in listener.incoming() {
        let Ok(stream) = stream else { return };
        let _ = one_request(stream, &kept, token);
    }
}

fn one_request(stream: TcpStream, kept: &Mutex<Vec<u8>>, token: &str) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let (mut length, mut number, mut allowed) = (0, 0, false);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap(),
            "sekisho-first-record" => number = value.parse().unwrap(),
            "authorization" => allowed = value == format!("Bearer {token}"),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let mut kept = lock(kept);
    let at = number * RECORD;
    let status = if !allowed {
        "401 Unauthorized"
    } else if !first.starts_with("POST") {
        if kept.is_empty() { "404 Not Found" } else { "200 OK" }
    } else if at > kept.len() || body.iter().zip(kept.iter().skip(at)).any(|(a, b)| a != b) {
        "409 Conflict"
    } else {
        // By number: what it has already is not added again.
        let new = body.get(kept.len() - at..).unwrap_or_default();
        kept.extend_from_slice(new);
        "200 OK"
    };
    let last: Option<&Raw> = kept.last_chunk();
    let (records, hash) = match last {
        Some(raw) if kept.len() > RECORD => (kept.len() / RECORD - 1, types::hex(&hash_of(raw))),
        _ => (0, String::new()),
    };
    let id = types::hex(kept.get(8..24).unwrap_or_default());
    let body = format!("{{\"journal\":\"{id}\",\"records\":{records},\"hash\":\"{hash}\"}}");
    write!(&stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

#[test]
fn a_sink_gets_every_record_once_and_in_order_also_after_it_was_away() {
    let here = tempfile::tempdir().unwrap();
    let token = here.path().join("token");
    std::fs::write(&token, "secret\n").unwrap();
    let mut j = journal(here.path());
    j.append(&(0..3000).map(cut).collect::<Vec<_>>()).unwrap();
    let kept = Arc::new(Mutex::new(Vec::new()));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let theirs = Arc::clone(&kept);
    thread::spawn(move || serve(listener, theirs, "secret"));
    let config = sink(&address, Some(token));
    let copies = start(&j, &config);
    wait("it catches up", || copies.all_have(3000));
    append(&mut j, &copies, 1);
    wait("it follows", || copies.all_have(3001));
    let whole = std::fs::read(here.path().join(FILE)).unwrap();
    assert_eq!(*lock(&kept), whole[..3002 * RECORD]);
    drop(copies);

    // It resumes from what the sink says.
    lock(&kept).truncate(2500 * RECORD);
    let copies = start(&j, &config);
    wait("it resumes", || copies.all_have(3001));
    assert_eq!(*lock(&kept), whole[..3002 * RECORD]);
    drop(copies);

    // A sink that knows more: the journal here was put back.
    let longer = [whole[..3002 * RECORD].to_vec(), whole[RECORD..2 * RECORD].to_vec()].concat();
    lock(&kept).clone_from(&longer);
    let mut copies = start(&j, &config);
    wait("it is found", || {
        copies.news().iter().any(|n| matches!(n, CopyNews::Differs { how, .. } if how.contains("3002")))
    });

    // Without the token it is behind, and says so.
    let mut copies = start(&j, &sink(&address, None));
    wait("it is told", || {
        let refused = |s: &CopyStatus| s.error.as_ref().is_some_and(|e| e.contains("401"));
        copies.news().iter().any(|n| matches!(n, CopyNews::Changed(s) if refused(s)))
    });
}

#[test]
fn what_is_configured_must_make_sense() {
    let of = |text: &str| serde_json::from_str::<CopyConfig>(text).unwrap().fault();
    assert_eq!(of(r#"{"directory": "/mnt/copy"}"#), None);
    assert_eq!(of(r#"{"url": "https://sink.example/j", "ca_file": "/etc/ca.pem"}"#), None);
    assert_eq!(of(r#"{"url": "http://127.0.0.1:8080/j"}"#), None);
    for bad in [
        "{}",
        r#"{"directory": "relative"}"#,
        r#"{"directory": "/a", "url": "https://b"}"#,
        r#"{"directory": "/a", "ca_file": "/b"}"#,
        r#"{"url": "http://sink.example/j"}"#,
        r#"{"url": "https://sink.example/j"}"#,
        r#"{"url": "https://", "ca_file": "/b"}"#,
    ] {
        assert!(of(bad).is_some(), "{bad}");
    }
}
