//! The reader against the plain parse: however a stream is cut, mixed and repeated, the same comes out.

use super::*;
use proptest::prelude::*;
use segment::Segment;
use wire::tls::Reply;

/// A ClientHello that names `wiki.example.jp`, in records of `of` octets, and what the client sends behind it.
pub(crate) fn hello(name: &str, of: usize, behind: &[u8]) -> Vec<u8> {
    let vector = |octets: usize, content: &[u8]| {
        let len = (content.len() as u32).to_be_bytes();
        [&len[4 - octets..], content].concat()
    };
    let sni = vector(2, &vector(2, &[&[0][..], &vector(2, name.as_bytes())].concat()));
    let extensions = if name.is_empty() { vec![] } else { [&[0, 0][..], &sni].concat() };
    let extensions = [extensions, [&[0, 21][..], &vector(2, &[0; 300])].concat()].concat();
    let body =
        [&[3, 3][..], &[7; 32], &[0], &vector(2, &[0x13, 1]), &[1, 0], &vector(2, &extensions)].concat();
    let message = [&[1][..], &vector(3, &body)].concat();
    let records = message.chunks(of).flat_map(|part| [&[22, 3, 1][..], &vector(2, part)].concat());
    records.chain(behind.iter().copied()).collect()
}

fn plain(all: &[u8]) -> (ClientHello, usize) {
    match tls::client_hello(all).unwrap() {
        Progress::Whole(hello, used) => (hello, used),
        more => panic!("{more:?}"),
    }
}

proptest! {
    #[test]
    fn any_order_of_any_pieces_reads_as_the_whole_does(
        base: u32, of in 20usize..600, behind in prop::collection::vec(any::<u8>(), 0..60),
        cuts in prop::collection::vec((0usize..480, 1usize..200), 0..40), rounds in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
    ) {
        // No record of the client can follow its hello before the server has answered but early data; its octets are
        // no handshake.
        let behind: Vec<u8> = if behind.is_empty() { behind } else { [&[23, 3, 3, 0, 60][..], &behind].concat() };
        let all = hello("wiki.example.jp", of, &behind);
        let (expected, used) = plain(&all);
        let mut stream = Stream::new(base);
        let mut done = None;
        // Pieces of chance, overlapping, some of them again; then all of it in order, as TCP does in the end.
        let mut pieces: Vec<(usize, usize)> = cuts.iter().map(|&(at, len)| (at.min(all.len()), (at + len).min(all.len()))).collect();
        for index in rounds {
            if !pieces.is_empty() {
                let again = pieces[index.index(pieces.len())];
                pieces.push(again);
            }
        }
        pieces.extend((0..all.len()).step_by(50).map(|at| (at, (at + 50).min(all.len()))));
        for (from, to) in pieces {
            match stream.push(base.wrapping_add(from as u32), &all[from..to], false) {
                Ok(Heard::More) => prop_assert!(stream.in_order().len() < used),
                Ok(Heard::Whole(hello, n)) => {
                    done = Some((hello, n));
                    break;
                }
                Err(e) => prop_assert!(false, "{e:?}"),
            }
            prop_assert!(all.starts_with(stream.in_order()));
        }
        prop_assert_eq!(done, Some((expected, used)));
        prop_assert!(stream.held() <= 2 * tls::MOST);
        // Afterwards every piece of the same stream agrees, and one with another octet in the hello does not.
        let judged = stream.judged_last(used);
        for at in (0..all.len()).step_by(7) {
            let seq = base.wrapping_add(at as u32);
            prop_assert!(judged.agrees(seq, &all[at..]));
            let mut other = all[at..].to_vec();
            other[0] ^= 1;
            prop_assert_eq!(judged.agrees(seq, &other), at >= used);
        }
        prop_assert!(!judged.is_confirmed_by(base.wrapping_add(used as u32 - 1)));
        prop_assert!(judged.is_confirmed_by(base.wrapping_add(used as u32)));
        prop_assert!(!judged.is_confirmed_by(base.wrapping_sub(1)));
    }

    #[test]
    fn octets_that_differ_are_never_chosen_between(at in 0usize..200, len in 1usize..50, flip in 0usize..50) {
        let all = hello("wiki.example.jp", 999, b"");
        let mut stream = Stream::new(9);
        prop_assert_eq!(stream.push(9 + at as u32, &all[at..at + len], false), Ok(Heard::More));
        let mut other = all[..at + len].to_vec();
        other[at + flip % len] ^= 0x20;
        prop_assert_eq!(stream.push(9, &other, false), Err(Refusal::Differs));
    }

    #[test]
    fn any_segments_are_taken_without_a_panic_and_within_the_bounds(
        segments in prop::collection::vec((any::<u32>(), prop::collection::vec(any::<u8>(), 0..40), any::<bool>(), 0u32..40_000), 0..200),
    ) {
        let mut stream = Stream::new(u32::MAX - 100);
        for (seq, payload, near, offset) in segments {
            let seq = if near { (u32::MAX - 100).wrapping_add(offset) } else { seq };
            if stream.push(seq, &payload, payload.len() == 7).is_err() {
                break;
            }
            prop_assert!(stream.octets.octets.len() <= tls::MOST && stream.octets.filled.len() <= GAPS);
            prop_assert!(stream.octets.filled.windows(2).all(|w| w[0].1 < w[1].0));
        }
    }

    /// A segment that is written is read as what was written, with checksums that hold; in either version of IP.
    #[test]
    fn what_is_written_can_be_read(payload in prop::collection::vec(any::<u8>(), 0..200), seq: u32, options in 0usize..10, six: bool) {
        let (ip, len_at) = if six { (40, 4) } else { (20, 2) };
        let mut head = vec![0x5a; ip + 20 + 4 * options];
        head[0] = if six { 0x60 } else { 0x45 };
        let mut out = vec![0; 400];
        let n = segment::write(&head, ip, seq, segment::DATA, &payload, &mut out).unwrap();
        prop_assert_eq!(n, head.len() + payload.len());
        let read = Segment::parse(&out[ip..n]).unwrap();
        prop_assert_eq!((read.seq, read.flags, read.payload, read.header), (seq, 0x18, &payload[..], 20 + 4 * options));
        let told = u16::from_be_bytes([out[len_at], out[len_at + 1]]);
        prop_assert_eq!(usize::from(told), if six { n - 40 } else { n });
        let addresses = if six { &out[8..40] } else { &out[12..20] };
        let pseudo = [addresses, &[0, 6], &((n - ip) as u16).to_be_bytes()].concat();
        let sum = |octets: &[u8]| octets.chunks(2).map(|c| u32::from(c[0]) << 8 | u32::from(c.get(1).copied().unwrap_or(0))).sum::<u32>();
        prop_assert_eq!((sum(&pseudo) + sum(&out[ip..n])) % 0xffff, 0);
        prop_assert!(six || sum(&out[..20]) % 0xffff == 0);
    }
}

proptest! {
    /// However the server's answer is cut and mixed, it is known once it is there, and until then nothing more may go.
    #[test]
    fn the_servers_answer_is_known_whatever_it_is_cut_into(
        base: u32, of in 1usize..60, retry: bool, cuts in prop::collection::vec((0usize..90, 1usize..40), 0..30),
    ) {
        let all = hello("wiki.example.jp", 999, b"");
        let mut stream = Stream::new(7);
        prop_assert!(matches!(stream.push(7, &all, false), Ok(Heard::Whole(..))));
        let mut judged = stream.judged_first(all.len(), base);
        let end = 7 + all.len() as u32;
        let answer = server_hello(retry, of);
        let whole = if retry { Reply::Retry } else { Reply::Other };
        let in_order = (0..answer.len()).map(|at| (at, 1));
        for (at, len) in cuts.into_iter().chain(in_order) {
            let (from, to) = (at.min(answer.len()), (at + len).min(answer.len()));
            prop_assert!(judged.is_early(end, b"x") && !judged.is_early(end, b"") && !judged.is_early(7, &all));
            prop_assert!(!judged.is_confirmed_by(end));
            match judged.hear(base.wrapping_add(from as u32), &answer[from..to]) {
                Reply::More => {}
                said => {
                    prop_assert_eq!(said, whole);
                    prop_assert!(!judged.is_early(end, b"x") && judged.is_confirmed_by(end));
                    return Ok(());
                }
            }
        }
        prop_assert!(false, "nothing was heard");
    }
}

/// A ServerHello, or a HelloRetryRequest, in records of `of` octets.
pub(crate) fn server_hello(retry: bool, of: usize) -> Vec<u8> {
    let random = "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c";
    let octets = |at: usize| u8::from_str_radix(&random[at..at + 2], 16).unwrap();
    let mut message: Vec<u8> = vec![2, 0, 0, 40, 3, 3];
    message.extend((0..64).step_by(2).map(octets));
    message.extend([0, 0x13, 1, 0, 0, 0]);
    if !retry {
        message[20] ^= 1;
    }
    message.chunks(of).flat_map(|part| [&[22, 3, 3, 0, part.len() as u8][..], part].concat()).collect()
}

#[test]
fn a_stream_that_ends_too_early_or_never_does_is_refused() {
    let all = hello("wiki.example.jp", 999, b"");
    let mut stream = Stream::new(100);
    // The end is known before what lies in front of it.
    assert_eq!(stream.push(110, &all[10..40], true), Ok(Heard::More));
    assert_eq!(stream.push(100, &all[..10], false), Err(Refusal::Ended));
    assert_eq!(Stream::new(5).push(5, b"", true), Err(Refusal::Ended));
    // With its hello whole it may end where it likes.
    assert!(matches!(Stream::new(5).push(5, &all, true), Ok(Heard::Whole(..))));
    assert_eq!(Stream::new(5).push(5, b"S", false), Err(Refusal::NoHello(NoHello::NotTls(0))));
    // One octet before the first is a question whether we live, and no part of the stream.
    let mut stream = Stream::new(0);
    assert_eq!((stream.push(u32::MAX, &[0], false), stream.is_empty()), (Ok(Heard::More), true));
    assert!(matches!(stream.push(u32::MAX, &[&[0], &all[..]].concat(), false), Ok(Heard::Whole(..))));
}
