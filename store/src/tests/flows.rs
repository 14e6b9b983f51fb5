//! The flow log: found again by SIM, address, app and time; torn, full and expired.

use super::{T0, imsi};
use crate::{FlowLog, FlowLogConfig, FlowPlace, FlowQuery};
use proptest::prelude::*;
use types::{Direction, FlowRecord, Reason, Utc, Verdict};

fn record(n: u32) -> FlowRecord {
    FlowRecord {
        start: Utc(T0.0 + i64::from(n) * 1000),
        end: Utc(T0.0 + i64::from(n) * 1000 + 500),
        imsi: imsi(n % 5),
        direction: Direction::Out,
        ue: format!("10.20.0.{}", n % 5 + 1).parse().unwrap(),
        ue_port: 40_000,
        peer: format!("10.10.1.{}", n % 3 + 1).parse().unwrap(),
        peer_port: 443,
        protocol: 6,
        app: (!n.is_multiple_of(3)).then(|| format!("app{}", n % 3).parse().unwrap()),
        rule: None,
        verdict: if n.is_multiple_of(4) { Verdict::Deny } else { Verdict::Allow },
        reason: if n.is_multiple_of(4) { Reason::NoRule } else { Reason::Closed },
        generation: 3,
        packets_up: u64::from(n),
        bytes_up: 100,
        packets_down: 4,
        bytes_down: 9000,
        name: n.is_multiple_of(7).then(|| "wiki.example.jp".parse().unwrap()),
    }
}

fn small(dir: &std::path::Path) -> FlowLogConfig {
    FlowLogConfig {
        slice_ms: 10_000,
        max_segment: 2_000,
        keep_ms: None,
        keep_bytes: None,
        dir: dir.to_owned(),
    }
}

/// Every page of an answer, one after the other.
async fn all(log: &FlowLog, q: &FlowQuery, limit: u32) -> Vec<FlowRecord> {
    let (mut out, mut cursor) = (Vec::new(), None);
    loop {
        let page = log.query(q.clone(), cursor, limit).await.unwrap();
        out.extend(page.items);
        cursor = page.next;
        if cursor.is_none() {
            return out;
        }
    }
}

#[tokio::test]
async fn a_question_finds_what_it_asks_for_across_segments_and_restarts() {
    let dir = tempfile::tempdir().unwrap();
    let log = FlowLog::open(small(dir.path())).await.unwrap();
    for n in 0..100 {
        log.append(vec![record(n)], Utc(T0.0 + i64::from(n) * 1000)).await.unwrap();
    }
    assert!(log.stats().await.unwrap().segments >= 10);
    drop(log);
    let log = FlowLog::open(small(dir.path())).await.unwrap();
    log.append(vec![record(100)], Utc(T0.0 + 100_000)).await.unwrap();
    assert_eq!(log.stats().await.unwrap().records, 101);

    let newest_first: Vec<FlowRecord> = (0..=100).rev().map(record).collect();
    assert_eq!(all(&log, &FlowQuery::default(), 7).await, newest_first);
    let of_three = FlowQuery { imsi: Some(imsi(3)), verdict: Some(Verdict::Deny), ..FlowQuery::default() };
    let expected: Vec<_> =
        newest_first.iter().filter(|r| r.imsi == imsi(3) && r.verdict == Verdict::Deny).cloned().collect();
    assert_eq!(all(&log, &of_three, 2).await, expected);
    let window =
        FlowQuery { from: Some(Utc(T0.0 + 20_000)), to: Some(Utc(T0.0 + 22_000)), ..FlowQuery::default() };
    assert_eq!(all(&log, &window, 50).await, [record(21), record(20)]);
}

#[tokio::test]
async fn the_whole_is_read_on_in_the_order_of_writing() {
    let dir = tempfile::tempdir().unwrap();
    let log = FlowLog::open(small(dir.path())).await.unwrap();
    for n in 0..100 {
        log.append(vec![record(n)], Utc(T0.0 + i64::from(n) * 1000)).await.unwrap();
    }
    let read = async |from: i64, to: i64| {
        let (mut out, mut at, mut before) = (Vec::new(), FlowPlace::default(), 0);
        loop {
            let piece = log.read_on(at, Utc(T0.0 + from), Utc(T0.0 + to)).await.unwrap();
            out.extend(piece.records);
            let Some(next) = piece.next else { return out };
            assert!(next > at && piece.done > before && piece.done <= piece.total, "{next:?}");
            (at, before) = (next, piece.done);
        }
    };
    assert_eq!(read(0, 100_000).await, (0..100).map(record).collect::<Vec<_>>());
    assert_eq!(read(30_000, 40_000).await, (30..40).map(record).collect::<Vec<_>>());
    assert_eq!(read(200_000, 300_000).await, []);
}

#[tokio::test]
async fn a_torn_record_is_cut_off_and_the_others_stay() {
    let dir = tempfile::tempdir().unwrap();
    let log = FlowLog::open(FlowLogConfig::new(dir.path())).await.unwrap();
    log.append((0..10).map(record).collect(), T0).await.unwrap();
    drop(log);
    let path = std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
    let whole = std::fs::read(&path).unwrap();
    for cut in [1, 5, 40] {
        std::fs::write(&path, &whole[..whole.len() - cut]).unwrap();
        let log = FlowLog::open(FlowLogConfig::new(dir.path())).await.unwrap();
        assert_eq!(log.stats().await.unwrap().records, 9, "cut by {cut}");
        let left = all(&log, &FlowQuery::default(), 100).await;
        assert_eq!(left, (0..9).rev().map(record).collect::<Vec<_>>());
    }
    // One flipped bit in the middle: what stands before it is kept.
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    std::fs::write(&path, &flipped).unwrap();
    let log = FlowLog::open(FlowLogConfig::new(dir.path())).await.unwrap();
    let left = log.stats().await.unwrap().records;
    assert!((3..=6).contains(&left), "{left} records before the flipped bit");
}

#[tokio::test]
async fn retention_deletes_whole_files_oldest_first() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = small(dir.path());
    config.keep_ms = Some(30_000);
    let log = FlowLog::open(config).await.unwrap();
    for n in 0..100 {
        log.append(vec![record(n)], Utc(T0.0 + i64::from(n) * 1000)).await.unwrap();
    }
    let before = log.stats().await.unwrap();
    let gone = log.expire(Utc(T0.0 + 100_000)).await.unwrap();
    let after = log.stats().await.unwrap();
    assert_eq!(after.segments, before.segments - gone);
    let left = all(&log, &FlowQuery::default(), 100).await;
    assert!(left.len() >= 29 && left.len() < 45, "{}", left.len());
    assert_eq!(left[0], record(99));
    let files = std::fs::read_dir(dir.path()).unwrap().count() as u64;
    assert!(files <= after.segments * 2, "indexes go with their segments");
}

#[tokio::test]
async fn what_cannot_be_written_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let log = FlowLog::open(FlowLogConfig::new(dir.path().join("flows"))).await.unwrap();
    std::fs::remove_dir_all(dir.path().join("flows")).unwrap();
    assert!(log.append((0..3).map(record).collect(), T0).await.is_err());
    assert_eq!(log.stats().await.unwrap().lost, 3);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The index answers as reading every record would.
    #[test]
    fn the_index_agrees_with_a_plain_search(
        numbers in proptest::collection::vec(0u32..60, 1..80),
        sim in proptest::option::of(0u32..6), peer in proptest::option::of(1u8..5), app in proptest::option::of(1u8..4),
        some in proptest::option::of(proptest::collection::btree_set(0u32..4, 0..3)),
        from in proptest::option::of(0i64..60), to in proptest::option::of(0i64..60), limit in 1u32..20,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let dir = tempfile::tempdir().unwrap();
            let log = FlowLog::open(small(dir.path())).await.unwrap();
            for (i, chunk) in numbers.chunks(4).enumerate() {
                log.append(chunk.iter().map(|n| record(*n)).collect(), Utc(T0.0 + i as i64 * 3000)).await.unwrap();
            }
            let q = FlowQuery {
                imsi: sim.map(imsi),
                sims: some.map(|s| std::sync::Arc::new(s.into_iter().map(imsi).collect())),
                address: peer.map(|p| format!("10.10.1.{p}").parse().unwrap()),
                app: app.map(|a| format!("app{a}").parse().unwrap()),
                verdict: None,
                from: from.map(|s| Utc(T0.0 + s * 1000)),
                to: to.map(|s| Utc(T0.0 + s * 1000)),
            };
            let plain: Vec<FlowRecord> = numbers.iter().rev().map(|n| record(*n)).filter(|r| {
                q.imsi.is_none_or(|i| i == r.imsi)
                    && q.sims.as_ref().is_none_or(|s| s.contains(&r.imsi))
                    && q.address.is_none_or(|a| a == r.peer || a == r.ue)
                    && q.app.as_ref().is_none_or(|a| r.app.as_ref() == Some(a))
                    && q.from.is_none_or(|t| r.end >= t)
                    && q.to.is_none_or(|t| r.start < t)
            }).collect();
            assert_eq!(all(&log, &q, limit).await, plain);
        });
    }
}
