//! The beginning of a TLS connection (RFC 8446 §4.1.2, §5.1; RFC 5246 has the same octets): as much of a ClientHello as
//! says which server the client wants, and as much of the server's answer as says whether another one follows (§4.1.4).
//!
//! ```text
//! record:      type 22 | version 3.x | length (2) | a part of the handshake
//! handshake:   type 1  | length (3)  | ClientHello
//! ClientHello: version (2) | random (32) | session id <0..32> | cipher suites <2..> | compression <1..> | extensions <0..>
//! ```
//!
//! # Safety
//! No length is trusted; nothing is indexed. What two readers could understand differently (an extension twice, two
//! names, octets behind the end) is refused, not guessed.
//!
//! # Ownership
//! Borrows the octets, copies a message that lies in several records, hands out a name of its own.
//!
//! # Round trip
//! There is none: nothing of TLS is written here.
//!
//! # Order of elements
//! Extensions may come in any order, each once.
//!
//! # Errors
//! [`NoHello`]: the stream does not begin with a ClientHello that we would let pass. More octets do not mend it.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::panic))]

use std::collections::BTreeSet;
use thiserror::Error;
use types::ServerName;

/// Octets of the stream that a ClientHello ends within.
pub const MOST: usize = 16 * 1024;

/// Octets in front of a record's part of the handshake.
const RECORD_HEAD: usize = 5;
const CHANGE_CIPHER_SPEC: u8 = 20;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const SERVER_NAME: u16 = 0;
const HOST_NAME: u8 = 0;

/// What a ClientHello says of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientHello {
    /// The server that it names in clear, where that is a name. Of an encrypted ClientHello it is the outer one's.
    pub server_name: Option<ServerName>,
}

/// How far the reading is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Before the stream has so many octets, nothing more can be said.
    More(usize),
    /// The ClientHello, and how many octets of the stream it takes.
    Whole(ClientHello, usize),
}

/// The stream does not begin with a ClientHello.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoHello {
    /// It begins with something else.
    #[error("no TLS handshake at octet {0}")]
    NotTls(usize),
    /// It is not well-formed.
    #[error("the ClientHello is malformed: {0}")]
    Malformed(&'static str),
    /// It does not end within [`MOST`] octets.
    #[error("the ClientHello is longer than {MOST} octets")]
    TooLong,
}

/// Reads the beginning of a stream.
pub fn client_hello(stream: &[u8]) -> Result<Progress, NoHello> {
    let mut message = Vec::new();
    let mut at = 0;
    loop {
        // What can be seen of a record's head counts at once: one wrong octet is enough.
        let head = stream.get(at..).unwrap_or_default();
        if head.first().is_some_and(|kind| *kind != HANDSHAKE) || head.get(1).is_some_and(|major| *major != 3)
        {
            return Err(NoHello::NotTls(at));
        }
        let end = at + RECORD_HEAD;
        let &[_, _, _, l1, l2, ..] = head else {
            return more(if head.len() < 2 { at + head.len() + 1 } else { end });
        };
        let len = usize::from(u16::from_be_bytes([l1, l2]));
        // RFC 8446 §5.1: no record is empty or longer than 2^14.
        if len == 0 || len > 1 << 14 {
            return Err(NoHello::Malformed("record length"));
        }
        let Some(part) = stream.get(end..end + len) else {
            return match head.get(RECORD_HEAD) {
                None if message.is_empty() => more(end + 1),
                Some(kind) if message.is_empty() && *kind != CLIENT_HELLO => Err(NoHello::NotTls(end)),
                _ => more(end + len),
            };
        };
        message.extend_from_slice(part);
        at = end + len;
        if let [kind, rest @ ..] = message.as_slice() {
            if *kind != CLIENT_HELLO {
                return Err(NoHello::NotTls(end));
            }
            if let [l1, l2, l3, body @ ..] = rest {
                let len = usize::from(*l1) << 16 | usize::from(*l2) << 8 | usize::from(*l3);
                if len > MOST || at > MOST {
                    return Err(NoHello::TooLong);
                }
                match body.len().cmp(&len) {
                    std::cmp::Ordering::Less => {}
                    std::cmp::Ordering::Equal => return Ok(Progress::Whole(read(body)?, at)),
                    // Nothing may follow before the server has answered.
                    std::cmp::Ordering::Greater => {
                        return Err(NoHello::Malformed("octets behind the message"));
                    }
                }
            }
        }
    }
}

/// Reads on behind a first ClientHello that the server wants anew: change_cipher_spec (RFC 8446 §D.4) and early data (§4.2.10)
/// may stand in front of the second one.
pub fn second_client_hello(stream: &[u8]) -> Result<Progress, NoHello> {
    let mut at = 0;
    while let Some([CHANGE_CIPHER_SPEC | APPLICATION_DATA, rest @ ..]) = stream.get(at..) {
        if rest.first().is_some_and(|major| *major != 3) {
            return Err(NoHello::NotTls(at));
        }
        let &[_, _, l1, l2, ..] = rest else { return more(at + RECORD_HEAD) };
        at += RECORD_HEAD + usize::from(u16::from_be_bytes([l1, l2]));
    }
    match client_hello(stream.get(at..).unwrap_or_default()) {
        Ok(Progress::More(octets)) => more(at + octets),
        Ok(Progress::Whole(hello, used)) => Ok(Progress::Whole(hello, at + used)),
        Err(NoHello::NotTls(octet)) => Err(NoHello::NotTls(at + octet)),
        Err(e) => Err(e),
    }
}

/// What a server says to a ClientHello.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// That cannot be said yet.
    More,
    /// It wants another one (HelloRetryRequest).
    Retry,
    /// Anything else; no second one can follow.
    Other,
}

/// Octets of a server's stream within which its reply is known, whatever records it comes in.
pub const REPLY: usize = 38 * (RECORD_HEAD + 1);

/// Reads the beginning of a server's stream.
pub fn server_reply(stream: &[u8]) -> Reply {
    /// Type, version and random of a HelloRetryRequest (RFC 8446 §4.1.3); of its length, which lies between, nothing is asked.
    const RETRY: [u8; 34] = [
        3, 3, 0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
        0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
    ];
    let (mut message, mut rest) = (Vec::new(), stream);
    loop {
        if rest.first().is_some_and(|kind| *kind != HANDSHAKE) {
            return Reply::Other;
        }
        let Some((&[_, _, _, l1, l2], behind)) = rest.split_first_chunk::<RECORD_HEAD>() else {
            return Reply::More;
        };
        let len = usize::from(u16::from_be_bytes([l1, l2]));
        let part = behind.get(..len).unwrap_or(behind);
        message.extend_from_slice(part);
        if message.first().is_some_and(|kind| *kind != SERVER_HELLO) {
            return Reply::Other;
        }
        let said = message.get(4..).unwrap_or_default();
        if !said.iter().zip(&RETRY).all(|(said, retry)| said == retry) {
            return Reply::Other;
        }
        if said.len() >= RETRY.len() {
            return Reply::Retry;
        }
        match behind.get(len..) {
            Some(next) if len > 0 => rest = next,
            Some(_) => return Reply::Other,
            None => return Reply::More,
        }
    }
}

fn more(octets: usize) -> Result<Progress, NoHello> {
    if octets > MOST { Err(NoHello::TooLong) } else { Ok(Progress::More(octets)) }
}

/// Takes `n` octets, or a vector whose length stands in front of it in `n` octets.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize, field: &'static str) -> Result<&'a [u8], NoHello> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or(NoHello::Malformed(field))?;
        self.0 = rest;
        Ok(taken)
    }

    fn number(&mut self, octets: usize, field: &'static str) -> Result<usize, NoHello> {
        Ok(self.take(octets, field)?.iter().fold(0, |n, o| n << 8 | usize::from(*o)))
    }

    fn vector(&mut self, octets: usize, field: &'static str) -> Result<&'a [u8], NoHello> {
        let len = self.number(octets, field)?;
        self.take(len, field)
    }
}

fn read(body: &[u8]) -> Result<ClientHello, NoHello> {
    let mut r = Reader(body);
    r.take(2 + 32, "version and random")?;
    if r.vector(1, "session id")?.len() > 32 {
        return Err(NoHello::Malformed("session id"));
    }
    r.vector(2, "cipher suites")?;
    r.vector(1, "compression methods")?;
    let mut hello = ClientHello { server_name: None };
    if r.0.is_empty() {
        return Ok(hello);
    }
    let mut extensions = Reader(r.vector(2, "extensions")?);
    if !r.0.is_empty() {
        return Err(NoHello::Malformed("octets behind the extensions"));
    }
    let mut seen = BTreeSet::new();
    while !extensions.0.is_empty() {
        let kind = extensions.number(2, "extension type")? as u16;
        let content = extensions.vector(2, "extension")?;
        if !seen.insert(kind) {
            return Err(NoHello::Malformed("an extension comes twice"));
        }
        if kind == SERVER_NAME {
            hello.server_name = server_name(content)?;
        }
    }
    Ok(hello)
}

/// RFC 6066 §3: a list with one host name; the registry has no other kind of name.
fn server_name(content: &[u8]) -> Result<Option<ServerName>, NoHello> {
    const FIELD: &str = "server name";
    let mut r = Reader(content);
    let mut list = Reader(r.vector(2, FIELD)?);
    if list.number(1, FIELD)? != usize::from(HOST_NAME) {
        return Err(NoHello::Malformed(FIELD));
    }
    let name = list.vector(2, FIELD)?;
    if !r.0.is_empty() || !list.0.is_empty() {
        return Err(NoHello::Malformed(FIELD));
    }
    Ok(ServerName::from_wire(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vector(octets: usize, content: &[u8]) -> Vec<u8> {
        let len = (content.len() as u32).to_be_bytes();
        [&len[4 - octets..], content].concat()
    }

    fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &vector(2, content)].concat()
    }

    fn sni(name: &str) -> Vec<u8> {
        extension(0, &vector(2, &[&[0][..], &vector(2, name.as_bytes())].concat()))
    }

    fn message(extensions: &[Vec<u8>]) -> Vec<u8> {
        let body =
            [&[3, 3][..], &[7; 32], &vector(1, &[9; 32]), &vector(2, &[0x13, 1]), &vector(1, &[0])].concat();
        let body = [body, vector(2, &extensions.concat())].concat();
        [&[1][..], &vector(3, &body)].concat()
    }

    fn records(message: &[u8], of: usize) -> Vec<u8> {
        message.chunks(of).flat_map(|part| [&[22, 3, 1][..], &vector(2, part)].concat()).collect()
    }

    fn named(stream: &[u8]) -> Option<String> {
        match client_hello(stream).unwrap() {
            Progress::Whole(hello, used) => {
                assert_eq!(used, stream.len());
                hello.server_name.map(|n| n.to_string())
            }
            more => panic!("{more:?}"),
        }
    }

    #[test]
    fn the_name_is_read_from_one_record_or_many() {
        let m = message(&[extension(0x2b, &[2, 3, 4]), sni("Wiki.example.jp"), extension(0xfe0d, &[0; 40])]);
        for of in [1, 2, 3, 5, 40, 1000] {
            assert_eq!(named(&records(&m, of)).as_deref(), Some("wiki.example.jp"), "{of}");
        }
        assert_eq!(named(&records(&message(&[]), 999)), None);
        // Extensions may be left out altogether (RFC 5246 §7.4.1.2).
        let old =
            [&[1][..], &vector(3, &[&[3, 1][..], &[7; 32], &[0], &[0, 2, 0, 5], &[1, 0]].concat())].concat();
        assert_eq!(named(&records(&old, 999)), None);
        // What is no name names nobody.
        assert_eq!(named(&records(&message(&[sni("10.1.1.5")]), 999)), None);
        assert_eq!(named(&records(&message(&[sni("wiki.example.jp.")]), 999)), None);
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let two = vector(2, &[&[0][..], &vector(2, b"a.jp"), &[0], &vector(2, b"b.jp")].concat());
        let other_kind = vector(2, &[&[1][..], &vector(2, b"a.jp")].concat());
        for bad in [
            vec![sni("a.jp"), sni("b.jp")],
            vec![extension(0, &two)],
            vec![extension(0, &other_kind)],
            vec![extension(0, &[])],
            vec![extension(0, &[sni("a.jp")[4..].to_vec(), vec![0]].concat())],
            vec![vec![0, 0, 0]],
            vec![vec![0, 9, 0, 9, 1]],
        ] {
            let refused = client_hello(&records(&message(&bad), 9999));
            assert!(matches!(refused, Err(NoHello::Malformed(_))), "{bad:?}: {refused:?}");
        }
        let m = message(&[sni("a.jp")]);
        assert!(matches!(client_hello(&records(&[&m[..], &[0]].concat(), 999)), Err(NoHello::Malformed(_))));
        assert_eq!(client_hello(&[22, 3, 1, 0, 0]), Err(NoHello::Malformed("record length")));
        assert_eq!(client_hello(&[22, 3, 1, 0x40, 1]), Err(NoHello::Malformed("record length")));
        // Between two parts of the message there is nothing else.
        let split = records(&m, 40);
        let alert = [&split[..45], &[21, 3, 1, 0, 2, 1, 0], &split[45..]].concat();
        assert_eq!(client_hello(&alert), Err(NoHello::NotTls(45)));
    }

    #[test]
    fn what_is_no_tls_is_seen_at_its_first_octet() {
        for (octets, at) in [
            (&b"GET / HTTP/1.1"[..], 0),
            (b"S", 0),
            (&[22, 2], 0),
            (&[22, 3, 3, 0, 9, 2], 5),
            (&[22, 3, 3, 0, 1, 2], 5),
        ] {
            assert_eq!(client_hello(octets), Err(NoHello::NotTls(at)), "{octets:?}");
        }
        let more = [(0, 1), (1, 2), (2, 5), (4, 5), (5, 6), (6, 0x105)];
        for (n, need) in more {
            assert_eq!(client_hello(&[22, 3, 1, 1, 0, 1][..n]), Ok(Progress::More(need)));
        }
    }

    #[test]
    fn a_hello_that_is_too_long_is_refused_before_it_is_there() {
        assert_eq!(client_hello(&[22, 3, 1, 0x40, 0, 1, 0, 0x3f, 0]), Err(NoHello::TooLong));
        let m = message(&[extension(0x15, &vec![0; 17_000])]);
        assert_eq!(client_hello(&records(&m, 999)), Err(NoHello::TooLong));
        assert_eq!(client_hello(&records(&m, 1)[..MOST]), Err(NoHello::TooLong));
    }

    fn retry() -> Vec<u8> {
        // Its random is the digest of its name (RFC 8446 §4.1.3).
        let random = "cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c";
        let octets = (0..64).step_by(2).map(|at| u8::from_str_radix(&random[at..at + 2], 16).unwrap());
        let body = [[3, 3].into_iter().chain(octets).collect(), vec![0, 0x13, 1, 0, 0, 0]].concat();
        [&[2][..], &vector(3, &body)].concat()
    }

    #[test]
    fn a_server_that_wants_another_hello_is_told_from_all_others() {
        for of in [1, 2, 5, 37, 38, 999] {
            let all = records(&retry(), of);
            let known = (0..=all.len()).find(|n| server_reply(&all[..*n]) != Reply::More).unwrap();
            assert_eq!(server_reply(&all[..known]), Reply::Retry, "{of}");
            assert!(known <= REPLY && all[known..].len() <= all.len() - 38, "{of}: {known}");
            assert_eq!(server_reply(&all), Reply::Retry);
            let mut usual = all.clone();
            let at = usual.iter().rposition(|o| *o == 0x9c).unwrap();
            usual[at] ^= 1;
            assert_eq!(server_reply(&usual), Reply::Other, "{of}");
        }
        for other in [&b"HTTP"[..], &[21, 3, 3, 0, 2, 2, 40], &[22, 3, 3, 0, 4, 11], &[22, 3, 3, 0, 0]] {
            assert_eq!(server_reply(other), Reply::Other, "{other:?}");
        }
        assert_eq!((server_reply(b""), server_reply(&[22, 3, 3, 0, 4])), (Reply::More, Reply::More));
    }

    #[test]
    fn a_second_hello_is_read_behind_early_data() {
        let hello = records(&message(&[sni("wiki.example.jp")]), 60);
        for before in
            [vec![], vec![20, 3, 3, 0, 1, 1], [&[20, 3, 3, 0, 1, 1, 23, 3, 3, 0, 9][..], &[7; 9]].concat()]
        {
            let all = [&before[..], &hello].concat();
            for n in 0..all.len() {
                let Ok(Progress::More(need)) = second_client_hello(&all[..n]) else { panic!("{n}") };
                assert!(need > n, "{n}");
            }
            let Ok(Progress::Whole(read, used)) = second_client_hello(&all) else { panic!("{before:?}") };
            assert_eq!(
                (read.server_name.unwrap().to_string().as_str(), used),
                ("wiki.example.jp", all.len())
            );
        }
        assert_eq!(second_client_hello(&[20, 3, 3, 0, 1, 1, 21]), Err(NoHello::NotTls(6)));
        assert_eq!(second_client_hello(&[20, 2]), Err(NoHello::NotTls(0)));
        assert_eq!(second_client_hello(&[23, 3, 3, 0x40, 0]), Err(NoHello::TooLong));
    }

    /// What another implementation writes.
    #[test]
    fn hellos_of_openssl_are_read() {
        let text = include_str!("../../fixtures/tls/openssl.tsv");
        let rows: Vec<Vec<&str>> =
            text.lines().filter(|l| !l.starts_with('#')).map(|l| l.split('\t').collect()).collect();
        for row in &rows {
            let &[how, name, hex] = row.as_slice() else { panic!("{row:?}") };
            let octets: Vec<u8> = (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
                .collect();
            assert_eq!(named(&octets).as_deref().unwrap_or("-"), name, "{how}");
        }
        assert_eq!(rows.len(), 9);
    }

    proptest! {
        /// Every prefix says how much is missing, and says the same until that is there.
        #[test]
        fn a_prefix_is_never_more_than_incomplete(of in 1usize..300, padding in 0usize..900) {
            let all = records(&message(&[extension(0x15, &vec![0; padding]), sni("wiki.example.jp")]), of);
            let mut need = 0;
            for n in 0..all.len() {
                match client_hello(&all[..n]) {
                    Ok(Progress::More(m)) => {
                        prop_assert!(m > n && m >= need && (n >= need || m == need), "{n}: {need} {m}");
                        need = m;
                    }
                    other => prop_assert!(false, "{n}: {other:?}"),
                }
            }
        }

        #[test]
        fn anything_is_read_without_a_panic(noise in prop::collection::vec(any::<u8>(), 0..300), at in 0usize..200, of in 1usize..80) {
            let mut all = records(&message(&[sni("wiki.example.jp"), extension(7, &noise)]), of);
            let _ = (client_hello(&noise), second_client_hello(&noise), server_reply(&noise));
            if let (Some(octet), Some(new)) = (all.get_mut(at), noise.first()) {
                *octet = *new;
            }
            if let Ok(Progress::Whole(_, used)) = client_hello(&all) {
                prop_assert!(used <= all.len());
            }
        }
    }
}
