//! Frames: a length (u32, big endian), then postcard. Bounded, so that a peer cannot make us hold more.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;

/// Magic and version, sent by both ends before anything else. The last octet counts up with every change of
/// a message: postcard does not describe itself, and the two processes are always of one release.
pub const GREETING: [u8; 8] = *b"SKLINK\x00\x0c";

/// The longest frame, octets without the length: a compiled policy of 100 000 SIMs fits several times.
pub const MAX_FRAME: usize = 64 << 20;

/// Why a link does not work.
#[derive(Debug, Error)]
pub enum LinkError {
    /// The socket failed.
    #[error("the link to the other process failed: {0}")]
    Io(#[from] std::io::Error),
    /// The other end closed.
    #[error("the other process closed the link")]
    Closed,
    /// The other end runs as a stranger.
    #[error("the other end of the link runs as user {uid}, which is neither ours nor root")]
    Stranger {
        /// Its user id.
        uid: u32,
    },
    /// The other end is no Sekisho, or one of another release.
    #[error("the other end of the link is of another release; restart both processes")]
    Version,
    /// A frame above [`MAX_FRAME`].
    #[error("a frame of {0} octets is longer than the link carries")]
    TooLong(usize),
    /// A frame that is no message.
    #[error("a frame on the link cannot be read: {0}")]
    Malformed(#[from] postcard::Error),
    /// A message that has no place here.
    #[error("{0}")]
    Unexpected(&'static str),
}

/// Checks the other end's greeting.
///
/// # Errors
/// [`LinkError::Version`].
pub fn check_greeting(theirs: &[u8]) -> Result<(), LinkError> {
    if theirs == GREETING { Ok(()) } else { Err(LinkError::Version) }
}

/// Appends `message` to `out` as one frame.
///
/// # Errors
/// [`LinkError::TooLong`]; `out` is then as before.
pub fn encode<T: Serialize>(message: &T, out: &mut Vec<u8>) -> Result<(), LinkError> {
    let body = postcard::to_stdvec(message)?;
    let len = u32::try_from(body.len()).ok().filter(|&n| n as usize <= MAX_FRAME);
    let len = len.ok_or(LinkError::TooLong(body.len()))?;
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(&body);
    Ok(())
}

/// Puts frames together again from whatever pieces the socket gave.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    start: usize,
}

impl Decoder {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what was read.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole message; `None` until more is read.
    ///
    /// # Errors
    /// [`LinkError::TooLong`], [`LinkError::Malformed`]: the connection must be closed.
    pub fn message<T: DeserializeOwned>(&mut self) -> Result<Option<T>, LinkError> {
        let rest = self.bytes.get(self.start..).unwrap_or_default();
        let Some((head, rest)) = rest.split_first_chunk::<4>() else { return Ok(None) };
        let len = u32::from_be_bytes(*head) as usize;
        if len > MAX_FRAME {
            return Err(LinkError::TooLong(len));
        }
        let Some(body) = rest.get(..len) else { return Ok(None) };
        let message = postcard::from_bytes(body)?;
        self.start += 4 + len;
        Ok(Some(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{FromGateway, ToGateway};
    use types::{SimState, Utc};

    fn cut() -> ToGateway {
        ToGateway::Cut {
            id: 7,
            imsi: "001010000000001".parse().unwrap(),
            state: SimState::Stolen,
            actor: "soc".into(),
            reason: "laptop left in a taxi".into(),
            at: Utc(1_700_000_000_000),
        }
    }

    #[test]
    fn messages_come_through_in_any_pieces() {
        let mut wire = Vec::new();
        encode(&cut(), &mut wire).unwrap();
        encode(&ToGateway::N4(vec![1, 2, 3]), &mut wire).unwrap();
        for piece in 1..wire.len() {
            let mut d = Decoder::new();
            let mut got = Vec::new();
            for part in wire.chunks(piece) {
                d.push(part);
                while let Some(m) = d.message::<ToGateway>().unwrap() {
                    got.push(m);
                }
            }
            assert_eq!(got, [cut(), ToGateway::N4(vec![1, 2, 3])]);
        }
    }

    #[test]
    fn a_length_above_the_limit_is_refused_before_anything_is_held() {
        let mut d = Decoder::new();
        d.push(&u32::MAX.to_be_bytes());
        assert!(matches!(d.message::<ToGateway>(), Err(LinkError::TooLong(_))));
    }

    #[test]
    fn a_frame_that_is_no_message_is_an_error_and_no_panic() {
        let mut d = Decoder::new();
        d.push(&[0, 0, 0, 3, 0xff, 0xff, 0xff]);
        assert!(matches!(d.message::<FromGateway>(), Err(LinkError::Malformed(_))));
    }

    #[test]
    fn another_release_is_named() {
        assert!(matches!(check_greeting(b"SKLINK\x00\x63"), Err(LinkError::Version)));
        assert!(check_greeting(&GREETING).is_ok());
    }
}
