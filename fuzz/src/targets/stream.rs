//! The beginning of a TLS stream: read plainly, and put together from segments of chance.
//!
//! Whatever the octets are, cut, mixed and repeated they read as they do in one piece; a judged stream agrees with all of
//! its own segments and with none that has another octet in the judged part.

use super::Answer;
use crate::{corpus, mutate::Mutator};
use pgw_policy::stream::{Heard, Refusal, Stream};
use wire::tls::{self, Progress};

pub fn seeds() -> Vec<Vec<u8>> {
    let mut seeds = corpus::load("stream", "tls");
    // The same hellos in records of a few octets.
    for hello in seeds.clone() {
        if let Some(message) = hello.get(5..) {
            let records = |part: &[u8]| [&[22, 3, 1, 0, part.len() as u8][..], part].concat();
            seeds.push(message.chunks(37).flat_map(records).collect());
        }
    }
    seeds
}

pub fn run(input: &[u8]) -> Answer {
    let plain = tls::client_hello(input);
    let mut chance = Mutator::new(input.len() as u64 * 31 + u64::from(input.last().copied().unwrap_or(0)));
    let base = u32::MAX - 20;
    let mut stream = Stream::new(base);
    // Pieces of chance first, then everything in order.
    let mut pieces: Vec<(usize, usize)> = Vec::new();
    for _ in 0..chance.below(12) {
        let at = chance.below(input.len());
        pieces.push((at, (at + 1 + chance.below(90)).min(input.len())));
    }
    pieces.extend((0..input.len()).step_by(61).map(|at| (at, (at + 61).min(input.len()))));
    let mut heard = Ok(Heard::More);
    for (from, to) in pieces {
        heard = stream.push(base.wrapping_add(from as u32), input.get(from..to).unwrap_or_default(), false);
        if !matches!(heard, Ok(Heard::More)) {
            break;
        }
    }
    match (plain, heard) {
        (Ok(Progress::Whole(hello, used)), Ok(Heard::Whole(other, n))) if hello == other && used == n => {
            let judged = stream.judged_last(used);
            let at = chance.below(used);
            let mut octets = input.get(at..).unwrap_or_default().to_vec();
            let same = judged.agrees(base.wrapping_add(at as u32), &octets);
            if let Some(first) = octets.first_mut() {
                *first ^= 1;
            }
            if same && !judged.agrees(base.wrapping_add(at as u32), &octets) {
                Answer::read(if hello.server_name.is_some() { "a name" } else { "no name" })
            } else {
                Answer::Broken("a judged stream takes another octet, or not its own".to_owned())
            }
        }
        (Ok(Progress::More(_)), Ok(Heard::More)) => Answer::Lived("incomplete".to_owned()),
        // What is wrong may be seen at other octets, if those come first; never overlooked.
        (Err(e), Err(Refusal::NoHello(_))) => Answer::refused(&e),
        (Err(tls::NoHello::TooLong), Ok(Heard::More)) if input.len() > tls::MOST => {
            Answer::Lived("cut off".to_owned())
        }
        (plain, heard) => Answer::Broken(format!("plain {plain:?}, in segments {heard:?}")),
    }
}
