//! Files as people and suppliers write them, and as they should not.

use super::{Finding, Format, Lines, Mode, Options, Raw, columns::Column, csv::Csv, json::Json};
use proptest::prelude::*;
use serde_json::Value;
use std::fmt::Write as _;
use store::{Change, JobRow, JobState, StateChange, Store};
use types::{DataNetwork, Group, Imsi, Key256, Name, SimState, Utc};

const AT: Utc = Utc(1_800_000_000_000);

// ---- the readers

fn csv(pieces: &[&[u8]]) -> Lines {
    let mut r = Csv::default();
    let mut all = Lines::default();
    for p in pieces {
        add(&mut all, r.push(p));
        if all.broken {
            return all;
        }
    }
    add(&mut all, r.end());
    all
}

fn json(text: &str) -> Lines {
    let mut r = Json::default();
    let mut all = r.push(text.as_bytes());
    if !all.broken {
        add(&mut all, r.end());
    }
    all
}

fn add(all: &mut Lines, more: Lines) {
    all.rows.extend(more.rows);
    all.findings.extend(more.findings);
    all.broken |= more.broken;
}

fn cells(r: &Raw) -> Vec<(&'static str, &str)> {
    r.cells.iter().map(|(c, t)| (c.name(), t.as_str())).collect()
}

fn found(all: &Lines) -> Vec<(u64, &str, &str)> {
    all.findings.iter().map(|f| (f.line, f.column.as_str(), f.code.as_str())).collect()
}

#[test]
fn a_spreadsheet_s_file_is_read_with_its_mark_line_ends_and_quotes() {
    let text = "\u{feff}label,IMSI\r\n\"Tokyo, \"\"A\"\"\r\nroom 2\",001010000000001\r\n\r\n,,\r\n 東京 ,001010000000002";
    let all = csv(&[text.as_bytes()]);
    let rows: Vec<_> = all.rows.iter().map(|r| (r.line, cells(r))).collect();
    assert_eq!(found(&all), [], "a row of commas alone is what a spreadsheet leaves of a deleted one");
    assert_eq!(
        rows,
        [
            (2, vec![("label", "Tokyo, \"A\"\r\nroom 2"), ("imsi", "001010000000001")]),
            (6, vec![("label", "東京"), ("imsi", "001010000000002")]),
        ]
    );
}

#[test]
fn a_header_that_cannot_be_read_ends_it_with_the_nearest_name() {
    let f = csv(&[b"imsi,lable,k\n1,2,3\n"]);
    assert!(f.broken && f.rows.is_empty());
    assert_eq!((f.findings[0].text.as_str(), f.findings[0].other.as_str()), ("lable", "label"));
    assert_eq!(found(&csv(&[b"imsi,imsi\n"])), [(1, "imsi", "column-twice")]);
    assert_eq!(found(&csv(&[b"label,k\n"])), [(1, "imsi", "column-missing")]);
    assert_eq!(found(&csv(&[b""])), [(1, "", "empty")]);
    // A file without a header begins with a line of data: its key is not repeated.
    let f = csv(&[b"001010000000001,465b5ce8b199b49faa5f0a2ee238a6bc\n"]);
    assert!(f.findings.iter().all(|f| !f.text.contains("465b5ce8")), "{:?}", f.findings);
}

#[test]
fn other_encodings_are_read_and_what_is_none_is_named() {
    // "東京" in CP932; a file of a spreadsheet's "Unicode text" is UTF-16 with tabs.
    let all = csv(&[b"imsi,label\n001010000000001,\x93\x8c\x8b\x9e\n"]);
    assert_eq!((found(&all), cells(&all.rows[0])[1]), (vec![], ("label", "東京")));
    let utf16 = "imsi\tlabel\r\n001010000000001\t東京\r\n".encode_utf16().flat_map(u16::to_le_bytes);
    let all = csv(&[&[0xff, 0xfe], &utf16.collect::<Vec<_>>()]);
    assert_eq!((found(&all), cells(&all.rows[0])[1], all.rows[0].line), (vec![], ("label", "東京"), 2));
    let f = csv(&[b"imsi\n\xff\xff\n"]);
    assert_eq!((found(&f), f.findings[0].other.as_str()), (vec![(2, "imsi", "not-utf8")], ""));
    assert!(f.broken);
}

#[test]
fn what_typing_leaves_between_and_around_digits_does_not_matter() {
    let file = "imsi;iccid;k;label;groups\n００１０１-００００ 000001; 8981-1000 0000 0000 02 ;４６5B 5ce8-b1;'=1+1 ｱ－Ａ;ｓｔａｆｆ　plc\n";
    let all = csv(&[file.as_bytes()]);
    assert_eq!(found(&all), []);
    let expected = [
        ("imsi", "001010000000001"),
        ("iccid", "898110000000000002"),
        ("k", "465B5ce8b1"),
        ("label", "=1+1 ｱ－Ａ"),
        ("groups", "staff plc"),
    ];
    assert_eq!(cells(&all.rows[0]), expected, "a label stays as it was written");
    let all = csv(&["iccid,imsi\n-,1\n".as_bytes()]);
    assert_eq!(cells(&all.rows[0])[0], ("iccid", "-"), "which takes away what is there");
}

#[test]
fn a_wrong_quote_spoils_its_own_line_alone() {
    let f = csv(&[b"imsi,label\n1,\"a\"b\n2,ok\n3,\"open\n"]);
    assert_eq!(found(&f), [(2, "label", "after-quote"), (4, "", "unclosed-quote")]);
    assert_eq!(f.rows.len(), 1);
    assert_eq!(f.findings[1].other, "4");
}

#[test]
fn json_comes_as_an_array_or_line_by_line() {
    let array = json(
        r#"[{"imsi":"1","groups":["a","b"],"static_ips":{"corp":"10.0.0.2"},"ambr_ul_bps":5},
 {"imsi":"2","label":null}]"#,
    );
    let lines = json(
        "{\"imsi\":\"1\",\"groups\":\"a;b\",\"static_ips\":\"corp=10.0.0.2\",\"ambr_ul_bps\":\"5\"}\n{\"imsi\":\"2\",\"label\":\"\"}\n",
    );
    let rows = |l: &Lines| l.rows.iter().map(|r| (r.line, format!("{:?}", cells(r)))).collect::<Vec<_>>();
    assert_eq!(rows(&array), rows(&lines));
    assert_eq!((rows(&array).len(), found(&array)), (2, vec![]));
    assert_eq!(found(&json(r#"{"imsi":"1","ki":"00"}"#)), [(1, "", "unknown-column")]);
    assert_eq!(found(&json(r#"{"imsi":"1","imsi":"2"}"#)), [(1, "imsi", "column-twice")]);
    assert_eq!(found(&json("[{\"imsi\":\"1\"},\n{\"imsi\":")), [(2, "", "unclosed-json")]);
    assert_eq!(found(&json("imsi,k\n")), [(1, "", "not-json")]);
    assert_eq!(found(&json("")), [(1, "", "empty")]);
}

/// One cell as RFC 4180 writes it.
fn quoted(cell: &str) -> String {
    format!("\"{}\"", cell.replace('"', "\"\""))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Whatever comes in, in whatever pieces: no panic, and no line that is not there.
    #[test]
    fn any_octets_are_read_without_a_panic(octets: Vec<u8>, cut in 0usize..64, head: bool) {
        let mut file = if head { b"imsi,label,k\n".to_vec() } else { Vec::new() };
        file.extend(&octets);
        let lines = 1 + file.iter().filter(|b| matches!(b, b'\n' | b'\r')).count() as u64;
        let (a, b) = file.split_at(cut.min(file.len()));
        let all = csv(&[a, b]);
        prop_assert!(all.findings.iter().all(|f| (1..=lines).contains(&f.line)));
        prop_assert!(all.rows.iter().all(|r| (1..=lines).contains(&r.line)));
        let whole = csv(&[&file]);
        prop_assert_eq!(found(&all), found(&whole), "the pieces do not matter");
        let mut r = Json::default();
        let j = r.push(&file);
        prop_assert!(j.findings.iter().all(|f| (1..=lines).contains(&f.line)));
    }

    /// What is written by the book is read as it was, at its line, in pieces of any size.
    #[test]
    fn what_is_written_is_read(
        texts in prop::collection::vec("[a-z \",\n\u{3042}]{0,12}", 1..20),
        size in 1usize..40,
        crlf: bool,
    ) {
        let end = if crlf { "\r\n" } else { "\n" };
        let mut file = format!("label,imsi{end}");
        let mut expected = Vec::new();
        let mut line = 2u64;
        for (n, t) in texts.iter().enumerate() {
            let _ = write!(file, "{},{n}{end}", quoted(t));
            expected.push((line, t.trim().to_owned(), n.to_string()));
            line += 1 + t.matches('\n').count() as u64;
        }
        let pieces: Vec<&[u8]> = file.as_bytes().chunks(size).collect();
        let all = csv(&pieces);
        prop_assert_eq!(found(&all), vec![]);
        let read: Vec<_> = all.rows.iter()
            .map(|r| (r.line, r.cells[0].1.to_string(), r.cells[1].1.to_string())).collect();
        prop_assert_eq!(read, expected);
    }

    /// A line with a cell too many is named with its own line, wherever it stands.
    #[test]
    fn a_wrong_line_is_named_where_it_stands(before in 0usize..20, after in 0usize..20) {
        let right = |n: usize| format!("\"a\nb\",{n}\n");
        let mut file = "label,imsi\n".to_owned();
        file.extend((0..before).map(right));
        file.push_str("one,two,three\n");
        file.extend((0..after).map(right));
        let all = csv(&[file.as_bytes()]);
        prop_assert_eq!(found(&all), vec![(2 + 2 * before as u64, "", "cell-count")]);
        prop_assert_eq!(all.rows.len(), before + after);
    }
}

#[test]
fn every_kind_of_finding_has_words_in_both_languages() {
    let source = concat!(
        include_str!("line.rs"),
        include_str!("csv.rs"),
        include_str!("text.rs"),
        include_str!("json.rs"),
        include_str!("open5gs.rs"),
        include_str!("mod.rs")
    );
    let fallback = Finding::new(1, "x", "no such kind").words();
    let mut kinds = 0;
    for code in source.split('"') {
        // A lone dash is what empties a cell.
        let looks = code.contains('-')
            && code.len() > 1
            && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'-' || b.is_ascii_digit());
        let no_kind = ["dry-run", "all-or-nothing", "valid-rows", "sim-import"];
        if !looks || no_kind.contains(&code) {
            continue;
        }
        kinds += 1;
        let f = Finding { code: code.to_owned(), ..Finding::new(1, "x", "") };
        assert_ne!(f.words(), fallback, "{code} has no words of its own");
    }
    assert!(kinds >= 25, "{kinds}");
}

#[test]
fn the_nearest_name_is_a_near_one() {
    for (wrong, right) in
        [("ki", "k"), ("IMSI-", "imsi"), ("grups", "groups"), ("dnn", "dnns"), ("static_ip", "static_ips")]
    {
        assert_eq!(Column::nearest(wrong), right, "{wrong}");
    }
}

// ---- whole imports

/// `on_both!(name, |w| { … })`: the story once per database, as `name::sqlite` and `name::postgres`.
macro_rules! on_both {
    ($name:ident, |$w:ident| $body:block) => {
        mod $name {
            use super::*;

            async fn story($w: World) $body

            #[tokio::test]
            async fn sqlite() {
                story(World::new().await).await;
            }

            #[tokio::test]
            async fn postgres() {
                if let Some(url) = store::lab::postgres().await {
                    story(World::at(&url, tempfile::tempdir().unwrap()).await).await;
                }
            }
        }
    };
}

struct World {
    store: Store,
    vault: hss::Vault,
    _dir: tempfile::TempDir,
}

fn by(actor: &str) -> Change {
    Change { reason: "delivery".to_owned(), ..Change::by_system(actor, AT) }
}

fn imsi(n: u32) -> Imsi {
    format!("00101{n:010}").parse().unwrap()
}

fn key(n: u32) -> String {
    format!("{n:08x}b199b49faa5f0a2ee238a6bc")
}

/// A file of SIMs `from..=to` with keys that follow from their numbers.
fn file(from: u32, to: u32) -> String {
    let mut text = "imsi,k,opc,label,dnns,groups\n".to_owned();
    for n in from..=to {
        let _ = writeln!(text, "{},{},{},Laptop {n},corp,staff", imsi(n), key(n), key(n + 1_000_000));
    }
    text
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("sqlite:{}", dir.path().join("store.db").display());
        Self::at(&url, dir).await
    }

    async fn at(url: &str, dir: tempfile::TempDir) -> Self {
        let store = Store::open(url).await.unwrap();
        for (dnn, pool) in [("corp", "10.20.0.0/16"), ("factory", "10.30.0.0/24")] {
            let dn = DataNetwork {
                dnn: dnn.parse().unwrap(),
                pool: pool.parse().unwrap(),
                pool6: None,
                dns: vec![],
                mtu: 1400,
            };
            store.create(dn, None, &by("init")).await.unwrap();
        }
        for name in ["staff", "plc"] {
            let group: Group =
                serde_json::from_value(serde_json::json!({ "name": name, "label": "" })).unwrap();
            store.create(group, None, &by("init")).await.unwrap();
        }
        let vault = hss::Vault::new(&Key256::new([7; 32]), 1, None, [1; 32]).unwrap();
        Self { store, vault, _dir: dir }
    }

    async fn import(&self, text: &str, mode: Mode) -> JobRow {
        self.import_as(text, Options { mode, format: Format::Csv, replace_keys: false, plmn: None }).await
    }

    /// Up to and with the switch, and on to the end.
    async fn import_as(&self, text: &str, options: Options) -> JobRow {
        let row = self.commit(text, options).await;
        self.store.carry_on_import(row.id, AT).await.unwrap()
    }

    async fn commit(&self, text: &str, options: Options) -> JobRow {
        let pieces: Vec<Result<Vec<u8>, String>> =
            text.as_bytes().chunks(1000).map(|c| Ok(c.to_vec())).collect();
        let body = futures_util::stream::iter(pieces);
        super::run(&self.store, self.vault.sibling([9; 32]), &options, &by("alice"), body).await.unwrap()
    }

    async fn count(&self) -> u64 {
        self.store.count_sims().await.unwrap().iter().map(|(_, n)| n).sum()
    }

    async fn errors(&self, job: u64) -> Vec<(u64, String, String, String)> {
        let page = self.store.job_items(job, "errors", 0, 1000).await.unwrap();
        let f = page.items.iter().map(|v| Finding::of_json(v).unwrap());
        f.map(|f| (f.line, f.column, f.code, f.other)).collect()
    }
}

fn counts(j: &JobRow) -> (u64, u64, u64, u64) {
    let n = |k: &str| j.result.as_ref().unwrap()[k].as_u64().unwrap();
    (n("new"), n("changed"), n("same"), n("errors"))
}

const ALL: Options =
    Options { mode: Mode::AllOrNothing, format: Format::Csv, replace_keys: false, plmn: None };

on_both!(a_file_becomes_sims_whose_keys_open_and_a_second_time_it_changes_nothing, |w| {
    let generation = w.store.policy_generation().await.unwrap();
    let dry = w.import(&file(1, 700), Mode::DryRun).await;
    assert_eq!((dry.state, counts(&dry), w.count().await), (JobState::Done, (700, 0, 0, 0), 0));
    let job = w.import(&file(1, 700), Mode::AllOrNothing).await;
    assert_eq!((job.state, counts(&job), w.count().await), (JobState::Done, (700, 0, 0, 0), 700));
    assert_eq!((job.done, job.total), (700, Some(700)));
    assert_eq!(w.store.policy_generation().await.unwrap(), generation + 1, "once for all of them");

    let sim = w.store.sim(imsi(345)).await.unwrap();
    let sealed = hss::SealedKeys::from_bytes(sim.sealed.as_ref().unwrap()).unwrap();
    let hss::CardKeys::Milenage { k, opc } = w.vault.open(&sealed, imsi(345)).unwrap() else { panic!() };
    assert_eq!((types::hex(k.expose()), types::hex(opc.expose())), (key(345), key(1_000_345)));
    assert_eq!((sim.label.as_str(), sim.state, sim.version), ("Laptop 345", SimState::Ready, 1));
    assert_eq!(sim.groups, ["staff".parse::<Name>().unwrap()].into());

    let again = w.import(&file(1, 700), Mode::AllOrNothing).await;
    assert_eq!((again.state, counts(&again)), (JobState::Done, (0, 0, 700, 0)));
    let rows = w.store.job_items(job.id, "rows", 698, 9).await.unwrap().items;
    assert_eq!(rows.iter().map(|r| r["line"].as_u64().unwrap()).collect::<Vec<_>>(), [700, 701]);
    // One audit row for the switch, and the chain holds.
    let audit = w.store.audit(Some(format!("job:{}", job.id)), None, 9).await.unwrap().items;
    assert_eq!(audit.len(), 1);
    assert!(audit[0].after.as_ref().unwrap().contains("sha256"));
});

on_both!(one_bad_line_and_nothing_is_written_with_line_column_and_fix, |w| {
    let good = file(1, 600);
    let bad = format!("{good}{},{},00,x,corp,staff\n", imsi(601), key(601));
    let job = w.import(&bad, Mode::AllOrNothing).await;
    assert_eq!((job.state, w.count().await), (JobState::Failed, 0));
    assert_eq!(w.errors(job.id).await, [(602, "opc".to_owned(), "bad-key".to_owned(), String::new())]);
    // What had been staged before the line was read is gone, too: nothing can be undone or found.
    assert_eq!(w.store.imported_sims(job.id, None).await.unwrap(), None);
    assert!(w.store.begin_undo(job.id, &by("alice")).await.is_err());
    // The right lines alone, on request.
    let job = w.import(&bad, Mode::ValidRows).await;
    assert_eq!((job.state, counts(&job), w.count().await), (JobState::Done, (600, 0, 0, 1), 600));
});

#[tokio::test]
async fn what_a_spreadsheet_lost_is_named_in_plain_words_and_nothing_is_guessed() {
    let w = World::new().await;
    let options = Options { mode: Mode::DryRun, plmn: Some("00101".parse().unwrap()), ..ALL };
    let head = "imsi,k,opc,label,dnns,iccid,device\n";
    let line = |imsi: &str, label: &str, iccid: &str, device: &str| {
        format!("{imsi},{},{},{label},corp,{iccid},{device}\n", key(1), key(2))
    };
    for (text, column, code, other) in [
        (line("4.40E+14", "x", "", ""), "imsi", "spreadsheet-number", ""),
        (line("440101234567890.0", "x", "", ""), "imsi", "spreadsheet-number", ""),
        (line("1010000000001", "x", "", ""), "imsi", "zeros-lost", "001010000000001"),
        (line("001010000000001", "x", "8981100000000000000", ""), "iccid", "digits-lost", ""),
        (line("001010000000001", "x", "8.98E+18", ""), "iccid", "spreadsheet-number", ""),
        (line("001010000000001", "x", "8981100000000000001", ""), "iccid", "bad-iccid", ""),
        (line("001010000000001", "\u{fffd}\u{fffd}", "", ""), "label", "lost-character", ""),
        (line("001010000000001", "x", "", "356938035643801"), "device", "bad-check-digit", ""),
        (line("001010000000001", "x", "", "3569380356"), "device", "bad-device", ""),
    ] {
        let job = w.import_as(&format!("{head}{text}"), options.clone()).await;
        let expected = (2, column.to_owned(), code.to_owned(), other.to_owned());
        assert_eq!(w.errors(job.id).await, [expected], "{text}");
    }
    // An IMEI with its check digit is the device that it names.
    let file = format!("{head}{}", line("001010000000001", "x", "", "356938035643809"));
    let job = w.import_as(&file, Options { mode: Mode::AllOrNothing, ..options.clone() }).await;
    assert_eq!((job.state, w.errors(job.id).await), (JobState::Done, vec![]));
    assert_eq!(w.store.sim(imsi(1)).await.unwrap().device.as_deref(), Some("35693803564380"));
    // JSON has numbers of its own to lose digits in.
    let json = r#"{"imsi":4.40E+14,"label":"x"}"#;
    let job = w.import_as(json, Options { format: Format::Json, ..options }).await;
    assert_eq!(w.errors(job.id).await[0].2, "spreadsheet-number");
}

#[tokio::test]
async fn a_known_test_key_and_a_foreign_imsi_are_pointed_out_and_taken() {
    let w = World::new().await;
    let milenage = "465b5ce8b199b49faa5f0a2ee238a6bc";
    let file = format!(
        "imsi,k,opc,dnns\n001010000000001,{milenage},{},corp\n440530000000002,{},{},corp\n",
        key(1),
        key(3),
        key(4)
    );
    let options = Options { plmn: Some("00101".parse().unwrap()), ..ALL };
    let job = w.import_as(&file, options).await;
    assert_eq!((job.state, counts(&job)), (JobState::Done, (2, 0, 0, 0)));
    assert_eq!(job.result.as_ref().unwrap()["warnings"], 2);
    let said = w.errors(job.id).await;
    let said: Vec<_> =
        said.iter().map(|(line, _, code, other)| (*line, code.as_str(), other.as_str())).collect();
    assert_eq!(said, [(2, "test-key", ""), (3, "other-plmn", "001-01")]);
    assert!(!format!("{said:?}{:?}", job.result).contains(milenage));
}

#[tokio::test]
async fn what_is_there_twice_is_named_with_both_sides() {
    let w = World::new().await;
    w.import(&file(1, 3), Mode::AllOrNothing).await;
    let card = "8981100000000000002";
    let mut text = "imsi,k,opc,iccid,dnns,static_ips\n".to_owned();
    let mut line = |n: u32, k: u32, iccid: &str, ip: &str| {
        let ip = if ip.is_empty() { String::new() } else { format!("corp={ip}") };
        let _ = writeln!(text, "{},{},{},{iccid},corp,{ip}", imsi(n), key(k), key(k));
    };
    line(10, 10, card, "10.20.3.4");
    line(10, 11, "", "");
    line(12, 10, card, "10.20.3.4");
    line(13, 2, "", "");
    let job = w.import(&text, Mode::DryRun).await;
    let found: Vec<_> =
        w.errors(job.id).await.into_iter().map(|(l, c, k, o)| format!("{l} {c} {k} {o}")).collect();
    assert_eq!(
        found,
        [
            "3 imsi twice 2".to_owned(),
            "4 iccid twice 2".to_owned(),
            "4 k twice 2".to_owned(),
            "4 static_ips twice 2".to_owned(),
            format!("5 k taken {}", imsi(2)),
        ]
    );
}

on_both!(a_changed_line_says_what_differs_and_a_changed_key_is_refused, |w| {
    w.import(&file(1, 3), Mode::AllOrNothing).await;
    let text = format!(
        "imsi,label,groups,device\n{},Press,plc,35693803564380\n{},,,\n{},-,-,\n",
        imsi(1),
        imsi(2),
        imsi(3)
    );
    let job = w.import(&text, Mode::AllOrNothing).await;
    assert_eq!(counts(&job), (0, 2, 1, 0));
    let rows = w.store.job_items(job.id, "rows", 0, 9).await.unwrap().items;
    assert_eq!(rows[0]["fields"], serde_json::json!(["label", "groups", "device"]));
    let (one, two, three) = (
        w.store.sim(imsi(1)).await.unwrap(),
        w.store.sim(imsi(2)).await.unwrap(),
        w.store.sim(imsi(3)).await.unwrap(),
    );
    assert_eq!((one.label.as_str(), one.groups.len(), one.version), ("Press", 1, 2));
    assert_eq!((two.label.as_str(), two.version), ("Laptop 2", 1));
    assert_eq!((three.label.as_str(), three.groups.len()), ("", 0));

    let other = format!("imsi,k,opc\n{},{},{}\n", imsi(1), key(77), key(77));
    let job = w.import(&other, Mode::AllOrNothing).await;
    assert_eq!((job.state, w.errors(job.id).await[0].2.as_str()), (JobState::Failed, "key-differs"));
    // A K that is the same with another OPc is another key as well.
    let opc = format!("imsi,k,opc\n{},{},{}\n", imsi(1), key(1), key(77));
    assert_eq!(w.import(&opc, Mode::AllOrNothing).await.state, JobState::Failed);
    let replace = Options { replace_keys: true, ..ALL };
    assert_eq!(w.import_as(&other, replace).await.state, JobState::Done);
    let sealed = w.store.sim(imsi(1)).await.unwrap().sealed.unwrap();
    let sealed = hss::SealedKeys::from_bytes(&sealed).unwrap();
    let hss::CardKeys::Milenage { k, .. } = w.vault.open(&sealed, imsi(1)).unwrap() else { panic!() };
    assert_eq!(types::hex(k.expose()), key(77));
});

on_both!(a_ban_between_staging_and_switch_holds, |w| {
    w.import(&file(1, 3), Mode::AllOrNothing).await;
    let soc = by("soc");
    w.store.change_sim_state(imsi(2), SimState::Stock, StateChange::Ordinary, &soc).await.unwrap();
    w.store.change_sim_state(imsi(3), SimState::Stolen, StateChange::Ban, &soc).await.unwrap();
    let text = format!("imsi,state,label\n{},stock,a\n{},active,b\n{},active,c\n", imsi(1), imsi(2), imsi(3));
    let row = w.commit(&text, ALL).await;
    // The lines are judged and staged, the import is committed; then two of its SIMs are banned.
    w.store.change_sim_state(imsi(1), SimState::Lost, StateChange::Ban, &soc).await.unwrap();
    w.store.change_sim_state(imsi(2), SimState::Lost, StateChange::Ban, &soc).await.unwrap();
    w.store.carry_on_import(row.id, AT).await.unwrap();
    for (n, state, label) in [(1, SimState::Lost, "a"), (2, SimState::Lost, "b"), (3, SimState::Stolen, "c")]
    {
        let s = w.store.sim(imsi(n)).await.unwrap();
        assert_eq!((s.state, s.label.as_str()), (state, label), "SIM {n}");
    }
    // Nor does its undo let one live.
    assert!(w.store.begin_undo(row.id, &by("alice")).await.unwrap());
    w.store.carry_on_import(row.id, AT).await.unwrap();
    let states: Vec<_> = [1, 2, 3].into_iter().collect();
    for n in states {
        let s = w.store.sim(imsi(n)).await.unwrap();
        assert!(s.state.is_banned() && s.label.starts_with("Laptop"), "SIM {n}: {}", s.state);
    }
});

on_both!(an_undo_takes_back_what_nobody_used_and_says_what_it_left, |w| {
    w.import(&file(1, 2), Mode::AllOrNothing).await;
    let text = format!("{}{},,,Press 1,corp,plc\n{},,,Press 2,corp,plc\n", file(10, 14), imsi(1), imsi(2));
    let job = w.import(&text, Mode::AllOrNothing).await;
    assert_eq!(counts(&job), (5, 2, 0, 0));
    // SIM 10 attached, 11 was banned, 12 was edited; of SIM 2 somebody changed the label.
    w.store.activate_sims(vec![imsi(10)], AT).await.unwrap();
    w.store.change_sim_state(imsi(11), SimState::Lost, StateChange::Ban, &by("soc")).await.unwrap();
    let label = |l: &str| store::SimEdit { label: Some(l.to_owned()), ..Default::default() };
    w.store.change_sim(imsi(12), None, None, label("mine"), &by("bob")).await.unwrap();
    w.store.change_sim(imsi(2), None, None, label("mine"), &by("bob")).await.unwrap();

    assert!(w.store.begin_undo(job.id, &by("alice")).await.unwrap());
    let undone = w.store.carry_on_import(job.id, AT).await.unwrap();
    assert_eq!(undone.state, JobState::Undone);
    let result = undone.result.unwrap();
    assert_eq!(result["undo"], serde_json::json!({ "removed": 2, "restored": 2, "kept": 4 }));
    let kept = w.store.job_items(job.id, "kept", 0, 9).await.unwrap().items;
    let kept: std::collections::BTreeSet<String> = kept
        .iter()
        .map(|v| format!("{} {} {}", v["imsi"].as_str().unwrap(), v["code"].as_str().unwrap(), v["fields"]))
        .collect();
    let expected = [
        format!("{} used []", imsi(10)),
        format!("{} banned []", imsi(11)),
        format!("{} changed []", imsi(12)),
        format!("{} changed [\"label\"]", imsi(2)),
    ];
    assert_eq!(kept, expected.into());
    let one = w.store.sim(imsi(1)).await.unwrap();
    assert_eq!((one.label.as_str(), one.groups.contains(&"staff".parse().unwrap())), ("Laptop 1", true));
    let two = w.store.sim(imsi(2)).await.unwrap();
    assert_eq!((two.label.as_str(), two.groups.contains(&"staff".parse().unwrap())), ("mine", true));
    assert_eq!(w.count().await, 5);
    assert!(w.store.begin_undo(job.id, &by("alice")).await.is_err(), "once");
});

on_both!(a_process_that_dies_in_the_switch_is_carried_on_and_before_it_leaves_nothing, |w| {
    // Dead before the switch: nothing is there, and what was staged goes.
    let half = file(1, 600);
    let body = futures_util::stream::iter([Ok(half.as_bytes().to_vec()), Err("gone".to_owned())]);
    let row = crate::import::run(&w.store, w.vault.sibling([9; 32]), &ALL, &by("alice"), body).await.unwrap();
    assert_eq!((row.state, w.count().await), (JobState::Failed, 0));
    assert_eq!(w.errors(row.id).await[0].2, "broken-off");

    // Dead behind the switch: the next start finds it and ends it, before anybody reads a SIM.
    let row = w.commit(&file(1, 600), ALL).await;
    assert_eq!((row.phase.as_str(), w.count().await), ("applying", 0));
    assert_eq!(w.store.imports_under_way().await.unwrap(), [row.id]);
    let done = w.store.carry_on_import(row.id, AT).await.unwrap();
    assert_eq!((done.state, w.count().await), (JobState::Done, 600));
    assert_eq!(w.store.imports_under_way().await.unwrap(), Vec::<u64>::new());
    // Once more does no harm.
    assert_eq!(w.store.carry_on_import(row.id, AT).await.unwrap().done, 600);
});

on_both!(two_imports_of_one_file_at_once_make_each_sim_once, |w| {
    let (a, b) = (file(1, 900), file(1, 900));
    let (a, b) = tokio::join!(w.import(&a, Mode::AllOrNothing), w.import(&b, Mode::AllOrNothing));
    assert_eq!(w.count().await, 900);
    let mut ends: Vec<_> = [&a, &b].map(|j| (j.state.to_string(), counts(j).0)).into();
    ends.sort();
    // Either the second one found the first one's SIMs in time, or it was unwound where it met them.
    let second_found_them = ends == [("done".to_owned(), 0), ("done".to_owned(), 900)];
    let second_unwound = ends[0] == ("done".to_owned(), 900) && ends[1].0 == "failed";
    assert!(second_found_them || second_unwound, "{ends:?}");
    for n in [1, 450, 900] {
        let s = w.store.sim(imsi(n)).await.unwrap();
        assert!(w.vault.open(&hss::SealedKeys::from_bytes(&s.sealed.unwrap()).unwrap(), imsi(n)).is_ok());
    }
});

on_both!(a_clash_that_came_behind_the_switch_unwinds_all_of_it, |w| {
    let row = w.commit(&file(1, 600), ALL).await;
    // Somebody makes the last SIM of the file by hand, with a key of its own.
    let hand = file(600, 600).replace(&key(600), &key(4000));
    let other = w.commit(&hand, ALL);
    let made = tokio::time::timeout(std::time::Duration::from_millis(300), other).await;
    assert!(made.is_err(), "a second import waits for the first one");
    let sim = store::lab::sim(imsi(600));
    w.store.create_sim(sim, &by("bob")).await.unwrap();
    let failed = w.store.carry_on_import(row.id, AT).await.unwrap();
    assert_eq!((failed.state, w.count().await), (JobState::Failed, 1), "only the one made by hand is there");
    let result = failed.result.unwrap();
    assert_eq!((result["error"].as_str(), result["clash"].as_str()), (Some("clash"), Some("IMSI")));
    assert!(w.store.imported_sims(row.id, None).await.unwrap().is_some());
});

#[tokio::test]
async fn no_key_is_in_anything_that_is_kept_in_clear() {
    let w = World::new().await;
    let bad = format!("{}{},{},{}0,x,corp,staff\n", file(1, 50), imsi(51), key(51), key(51));
    let job = w.import(&bad, Mode::ValidRows).await;
    let mut text = format!("{:?}", w.store.job(job.id).await.unwrap());
    for part in ["errors", "rows"] {
        let items: Vec<Value> = w.store.job_items(job.id, part, 0, 1000).await.unwrap().items;
        text.push_str(&serde_json::to_string(&items).unwrap());
    }
    for row in w.store.audit(None, None, 1000).await.unwrap().items {
        text.push_str(&format!("{row:?}"));
    }
    let mut files = Vec::new();
    for f in std::fs::read_dir(w._dir.path()).unwrap() {
        files.extend(std::fs::read(f.unwrap().path()).unwrap());
    }
    let raw = |n: u32| types::unhex(&key(n)).unwrap();
    for n in [1, 25, 51, 1_000_001] {
        assert!(!text.contains(&key(n)), "{n}");
        assert!(!files.windows(32).any(|w| w == key(n).as_bytes()), "{n} in hexadecimal on disk");
        assert!(!files.windows(16).any(|w| w == raw(n)), "{n} on disk");
    }
}

on_both!(tuak_cards_are_imported_beside_milenage_ones_and_keep_their_algorithm, |w| {
    let (k, long) = ("31".repeat(16), "32".repeat(32));
    let file = format!(
        "imsi,algorithm,k,topc,top,iterations,opc,dnns\n\
         {},tuak,{k},{long},,,,corp\n{},tuak,{long},,{long},2,,corp\n{},,{},,,,{},corp\n",
        imsi(1),
        imsi(2),
        imsi(3),
        key(3),
        key(4)
    );
    assert_eq!(w.import(&file, Mode::AllOrNothing).await.state, JobState::Done);
    let of = |n| {
        let (w, who) = (&w, imsi(n));
        async move {
            let sim = w.store.sim(who).await.unwrap();
            let sealed = hss::SealedKeys::from_bytes(sim.sealed.as_ref().unwrap()).unwrap();
            (sim.algorithm, w.vault.open(&sealed, who).unwrap())
        }
    };
    let (algorithm, keys) = of(1).await;
    let hss::CardKeys::Tuak(first) = keys else { panic!() };
    assert_eq!(
        (algorithm.as_str(), types::hex(first.k.expose()), first.iterations.get()),
        ("tuak", k.clone(), 1)
    );
    assert_eq!(types::hex(first.topc.expose()), long);
    let (_, keys) = of(2).await;
    let hss::CardKeys::Tuak(second) = keys else { panic!() };
    assert!(
        second
            == hss::TuakKeys::with_top(
                second.k.clone(),
                &Key256::from_hex(&long).unwrap(),
                2u8.try_into().unwrap()
            )
    );
    assert_eq!(of(3).await.0, "milenage");
    // Once more the same; then the keys of another algorithm, which no option takes.
    assert_eq!(counts(&w.import(&file, Mode::AllOrNothing).await), (0, 0, 3, 0));
    let other = format!("imsi,k,opc\n{},{},{}\n", imsi(1), key(7), key(8));
    let replace = Options { replace_keys: true, ..ALL };
    assert_eq!(w.import_as(&other, replace).await.state, JobState::Failed);
    assert_eq!(of(1).await.0, "tuak");
    for wrong in [
        format!("{},tuak,{k},{long},,,{k},corp", imsi(9)),
        format!("{},,{k},,,,,corp", imsi(9)),
        format!("{},,{k},,,2,{k},corp", imsi(9)),
        format!("{},comp128,{k},,,,{k},corp", imsi(9)),
        format!("{},tuak,{k},{k},,,,corp", imsi(9)),
        format!("{},tuak,{k},{long},,0,,corp", imsi(9)),
        format!("{},tuak,{k},{long},{long},,,corp", imsi(9)),
    ] {
        let file = format!("imsi,algorithm,k,topc,top,iterations,opc,dnns\n{wrong}\n");
        assert_eq!(w.import(&file, Mode::AllOrNothing).await.state, JobState::Failed, "{wrong}");
    }
});

mod open5gs;
