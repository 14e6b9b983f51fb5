//! Octets of a file to UTF-8, whichever of the encodings that spreadsheets write it is in.
//!
//! UTF-8 with and without a byte order mark, UTF-16 of both orders, and CP932 (Shift_JIS as Windows has it). Without a
//! mark the first octet that is not ASCII begins a look at what follows: what is not UTF-8 but could be CP932 is taken
//! for it. What an encoding cannot say becomes U+FFFD, which the line's own check names: nothing is lost unseen.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use encoding_rs::{CoderResult, Decoder, Encoding, SHIFT_JIS, UTF_16BE, UTF_16LE};
use zeroize::{Zeroize as _, Zeroizing};

/// Octets behind the first that is not ASCII which are looked at before the encoding is said.
const LOOK: usize = 16 * 1024;

/// The decoder.
pub(crate) struct Text {
    state: State,
}

enum State {
    /// The first octets, until it is known what the file begins with.
    Begin(Zeroizing<Vec<u8>>),
    /// ASCII so far.
    Ascii,
    /// What begins with the first octet that is not.
    Looking(Zeroizing<Vec<u8>>),
    /// As it is.
    Utf8,
    Other(Box<Decoder>),
}

impl Default for Text {
    fn default() -> Self {
        Self { state: State::Begin(Zeroizing::default()) }
    }
}

impl Text {
    /// Takes octets in; returns what of them can be said by now.
    pub(crate) fn push(&mut self, octets: &[u8]) -> Zeroizing<Vec<u8>> {
        self.go(octets, false)
    }

    /// The file is at its end.
    pub(crate) fn end(&mut self) -> Zeroizing<Vec<u8>> {
        self.go(&[], true)
    }

    fn go(&mut self, octets: &[u8], last: bool) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(octets.len()));
        let mut rest = Zeroizing::new(octets.to_vec());
        loop {
            let (state, more) = self.step(std::mem::take(&mut rest), last, &mut out);
            self.state = state;
            match more {
                Some(m) => rest = m,
                None => return out,
            }
        }
    }

    /// One step; with octets where the next state is to read them.
    fn step(
        &mut self,
        mut octets: Zeroizing<Vec<u8>>,
        last: bool,
        out: &mut Vec<u8>,
    ) -> (State, Option<Zeroizing<Vec<u8>>>) {
        match std::mem::replace(&mut self.state, State::Utf8) {
            State::Begin(mut head) => {
                head.extend_from_slice(&octets);
                if head.len() < 4 && !last {
                    return (State::Begin(head), None);
                }
                let (state, mark) = begins(&head);
                head.drain(..mark);
                (state, Some(head))
            }
            State::Ascii => {
                let Some(at) = octets.iter().position(|b| !b.is_ascii()) else {
                    out.extend_from_slice(&octets);
                    return (State::Ascii, None);
                };
                out.extend(octets.drain(..at));
                (State::Looking(Zeroizing::default()), Some(octets))
            }
            State::Looking(mut seen) => {
                seen.extend_from_slice(&octets);
                if seen.len() < LOOK && !last {
                    return (State::Looking(seen), None);
                }
                let state = if is_cp932(&seen) { other(SHIFT_JIS) } else { State::Utf8 };
                (state, Some(seen))
            }
            State::Utf8 => {
                out.extend_from_slice(&octets);
                (State::Utf8, None)
            }
            State::Other(mut decoder) => {
                decode(&mut decoder, &octets, last, out);
                (State::Other(decoder), None)
            }
        }
    }
}

/// What the file begins with, and the octets of its mark.
fn begins(head: &[u8]) -> (State, usize) {
    match head {
        [0xef, 0xbb, 0xbf, ..] => (State::Utf8, 3),
        [0xff, 0xfe, ..] => (other(UTF_16LE), 2),
        [0xfe, 0xff, ..] => (other(UTF_16BE), 2),
        // Two letters of a header without a mark.
        [a, 0, b, 0, ..] if *a != 0 && *b != 0 => (other(UTF_16LE), 0),
        [0, a, 0, b, ..] if *a != 0 && *b != 0 => (other(UTF_16BE), 0),
        _ => (State::Ascii, 0),
    }
}

fn other(encoding: &'static Encoding) -> State {
    State::Other(Box::new(encoding.new_decoder_without_bom_handling()))
}

/// True for what is not UTF-8 and could be CP932. The end may be in the middle of a character.
fn is_cp932(octets: &[u8]) -> bool {
    let cut = |e: std::str::Utf8Error| e.error_len().is_none();
    if std::str::from_utf8(octets).map_or_else(cut, |_| true) {
        return false;
    }
    let whole = |o: &[u8]| SHIFT_JIS.decode_without_bom_handling_and_without_replacement(o).is_some();
    whole(octets) || octets.split_last().is_some_and(|(_, rest)| whole(rest))
}

fn decode(decoder: &mut Decoder, octets: &[u8], last: bool, out: &mut Vec<u8>) {
    let mut piece = [0u8; 4096];
    let mut rest = octets;
    loop {
        let (result, read, written, _) = decoder.decode_to_utf8(rest, &mut piece, last);
        out.extend(piece.iter().take(written));
        rest = rest.get(read..).unwrap_or_default();
        if result == CoderResult::InputEmpty {
            break;
        }
    }
    piece.zeroize();
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(pieces: &[&[u8]]) -> String {
        let mut t = Text::default();
        let mut all: Vec<u8> = pieces.iter().flat_map(|p| t.push(p).to_vec()).collect();
        all.extend_from_slice(&t.end());
        String::from_utf8(all).unwrap()
    }

    fn utf16(text: &str, octets: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(octets).collect()
    }

    const TEXT: &str = "imsi,label\r\n001010000000001,東京 ㈱ｶﾅ～①\r\n";

    #[test]
    fn every_encoding_that_a_spreadsheet_writes_is_read() {
        let mark = [b"\xef\xbb\xbf", TEXT.as_bytes()].concat();
        let (le, be) = (utf16(TEXT, u16::to_le_bytes), utf16(TEXT, u16::to_be_bytes));
        let (le_mark, be_mark) = ([&b"\xff\xfe"[..], &le].concat(), [&b"\xfe\xff"[..], &be].concat());
        let (cp932, _, lossy) = SHIFT_JIS.encode(TEXT);
        assert!(!lossy);
        for file in [TEXT.as_bytes(), &mark, &le, &be, &le_mark, &be_mark, &cp932] {
            assert_eq!(read(&[file]), TEXT);
            for size in [1, 2, 3, 7] {
                assert_eq!(read(&file.chunks(size).collect::<Vec<_>>()), TEXT, "in pieces of {size}");
            }
        }
        assert_eq!(read(&[b""]), "");
        assert_eq!(read(&[b"a"]), "a");
    }

    #[test]
    fn what_an_encoding_cannot_say_is_marked_and_not_dropped() {
        assert_eq!(read(&[b"\xff\xfei\0\x00\xd8m\0"]), "i\u{fffd}m", "half of a pair");
        // Neither UTF-8 nor CP932: passed on as it is, and named behind this.
        let mut t = Text::default();
        assert_eq!(*t.push(b"imsi\n\xff\xff\n"), b"imsi\n".to_vec());
        assert_eq!(*t.end(), b"\xff\xff\n".to_vec());
    }

    proptest! {
        #[test]
        fn any_octets_pass_and_pieces_do_not_matter(octets: Vec<u8>, cut in 0usize..64) {
            let go = |pieces: &[&[u8]]| {
                let mut t = Text::default();
                let mut all: Vec<u8> = pieces.iter().flat_map(|p| t.push(p).to_vec()).collect();
                all.extend_from_slice(&t.end());
                all
            };
            let (a, b) = octets.split_at(cut.min(octets.len()));
            prop_assert_eq!(go(&[a, b]), go(&[&octets]));
        }

        #[test]
        fn utf8_passes_as_it_is(text in "[a-z]{4}\\PC{0,40}") {
            prop_assert_eq!(read(&[text.as_bytes()]), text);
        }
    }
}
