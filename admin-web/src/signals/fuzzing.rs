//! Doors for the fuzzer in `fuzz/`: what reads the text of others, for whom nobody has answered yet.

pub use super::scim::fuzzing::{scim_changes, scim_filter, scim_path};

use super::{Stream, set};
use openidconnect::core::CoreJsonWebKeySet;
use types::{SsfStream, Utc};

/// A transmitter of security events, and its keys.
pub struct Transmitter {
    stream: SsfStream,
    keys: CoreJsonWebKeySet,
}

impl Transmitter {
    /// One whose events are for `audience`; `None` where this is no JWK set.
    pub fn new(issuer: &str, audience: &str, jwks: &str) -> Option<Self> {
        let stream = SsfStream {
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            jwks: None,
            jwks_uri: None,
            poll_url: None,
            assured_by: Default::default(),
            assured_for_s: 0,
        };
        Some(Self { stream, keys: Stream::check_keys(jwks).ok()? })
    }

    /// The id of a token of its, or the word of the counter.
    pub fn judge(&self, token: &str, now: Utc) -> Result<String, &'static str> {
        set::judge(token, &self.stream, &self.keys, now).map(|set| set.jti).map_err(set::Refused::word)
    }
}
