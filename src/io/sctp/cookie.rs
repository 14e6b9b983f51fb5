//! The state cookie: all that an INIT leaves behind, and it leaves it with the peer.
//!
//! RFC 9260 §5.1.3. The body holds what the association will be made of, the address it was promised to, and
//! the tags of an association that stood on the same path (the tie tags of §5.2.2). HMAC-SHA-256 with a key of
//! this process makes it ours. A stranger's INIT therefore costs one MAC and no memory.
//!
//! ```text
//! | created, ns (64) | ip as IPv6 (128) | peer port (16) | our port (16) |
//! | tie: our tag (32) | tie: peer's tag (32) | the cookie dcsctp reads (48 octets) | MAC (32 octets) |
//! ```

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic))]

use std::net::IpAddr;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use types::Mono;

use super::packet::{be16, be32};

/// Octets of the cookie that dcsctp reads.
pub(super) const INNER: usize = 48;
const BODY: usize = 8 + 16 + 4 + 8 + INNER;
const MAC: usize = 32;

/// What a valid cookie says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cookie {
    /// When the INIT was answered.
    pub created: Mono,
    /// Whom it was promised to.
    pub peer: IpAddr,
    pub peer_port: u16,
    pub local_port: u16,
    /// Our tag and the peer's tag of the association that stood on this path, or zeros.
    pub tie: (u32, u32),
    /// The tags the new association will have.
    pub local_tag: u32,
    pub peer_tag: u32,
    pub local_tsn: u32,
    pub peer_tsn: u32,
    /// The peer's receive window, octets.
    pub a_rwnd: u32,
    /// Streams the peer sends on, and streams it takes.
    pub outbound: u16,
    pub inbound: u16,
}

/// The key of this process.
pub(super) struct CookieKey(Hmac<Sha256>);

impl CookieKey {
    /// A key of 32 octets of chance.
    pub fn new(key: &[u8; 32]) -> Self {
        // The key is exactly one of the sizes HMAC takes; any size is.
        Self(<Hmac<Sha256> as KeyInit>::new(&{
            let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
            for (to, from) in block.iter_mut().zip(key) {
                *to = *from;
            }
            block
        }))
    }

    /// The cookie's octets with their MAC.
    pub fn seal(&self, cookie: &Cookie) -> Vec<u8> {
        let mut out = Vec::with_capacity(BODY + MAC);
        out.extend_from_slice(&cookie.created.0.to_be_bytes());
        out.extend_from_slice(&v6(cookie.peer));
        out.extend_from_slice(&cookie.peer_port.to_be_bytes());
        out.extend_from_slice(&cookie.local_port.to_be_bytes());
        out.extend_from_slice(&cookie.tie.0.to_be_bytes());
        out.extend_from_slice(&cookie.tie.1.to_be_bytes());
        out.extend_from_slice(&cookie.inner());
        let mac = self.0.clone().chain_update(&out).finalize().into_bytes();
        out.extend_from_slice(&mac);
        out
    }

    /// The cookie, if it is ours and unchanged. Its age is the caller's to judge.
    pub fn open(&self, bytes: &[u8]) -> Option<Cookie> {
        if bytes.len() != BODY + MAC {
            return None;
        }
        let (body, mac) = bytes.split_at_checked(BODY)?;
        self.0.clone().chain_update(body).verify_slice(mac).ok()?;
        let ip: [u8; 16] = body.get(8..24)?.try_into().ok()?;
        let inner = body.get(36..)?;
        Some(Cookie {
            created: Mono(u64::from_be_bytes(body.get(..8)?.try_into().ok()?)),
            peer: IpAddr::from(ip).to_canonical(),
            peer_port: be16(body, 24)?,
            local_port: be16(body, 26)?,
            tie: (be32(body, 28)?, be32(body, 32)?),
            peer_tag: be32(inner, 8)?,
            local_tag: be32(inner, 12)?,
            peer_tsn: be32(inner, 16)?,
            local_tsn: be32(inner, 20)?,
            a_rwnd: be32(inner, 24)?,
            outbound: be16(inner, 44)?,
            inbound: be16(inner, 46)?,
        })
    }
}

impl Cookie {
    /// The 48 octets from which dcsctp 0.1.16 makes an association: magic, tags, TSNs, window, tie tag,
    /// extensions (all off: N2 needs none of them), streams.
    pub fn inner(&self) -> [u8; INNER] {
        let mut out = Vec::with_capacity(INNER);
        out.extend_from_slice(b"dcSCTPr0");
        for word in [self.peer_tag, self.local_tag, self.peer_tsn, self.local_tsn, self.a_rwnd] {
            out.extend_from_slice(&word.to_be_bytes());
        }
        out.extend_from_slice(&[0; 8 + 4 + 4]);
        out.extend_from_slice(&self.outbound.to_be_bytes());
        out.extend_from_slice(&self.inbound.to_be_bytes());
        let mut inner = [0; INNER];
        for (to, from) in inner.iter_mut().zip(out) {
            *to = from;
        }
        inner
    }
}

fn v6(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Cookie {
        Cookie {
            created: Mono(77),
            peer: "10.5.0.2".parse().unwrap(),
            peer_port: 38412,
            local_port: 38413,
            tie: (1, 2),
            local_tag: 3,
            peer_tag: 4,
            local_tsn: 5,
            peer_tsn: 6,
            a_rwnd: 7,
            outbound: 8,
            inbound: 9,
        }
    }

    #[test]
    fn a_cookie_comes_back_whole_and_no_octet_of_it_can_be_changed() {
        let key = CookieKey::new(&[1; 32]);
        let sealed = key.seal(&sample());
        assert_eq!(key.open(&sealed), Some(sample()));
        for at in 0..sealed.len() {
            let mut forged = sealed.clone();
            forged[at] ^= 1;
            assert_eq!(key.open(&forged), None, "octet {at}");
        }
        assert_eq!(key.open(&sealed[..sealed.len() - 1]), None);
        assert_eq!(CookieKey::new(&[2; 32]).open(&sealed), None, "another process's key");
    }
}
