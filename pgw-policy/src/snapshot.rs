//! The compiled policy as octets: what `control` hands to `gateway`.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used))]

use crate::compile::Compiled;
use thiserror::Error;

/// Rises when the compiled form changes, so that a gateway never misreads another build's rows.
const FORMAT: u16 = 9;

/// Why a snapshot was refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SnapshotError {
    /// Made by a build with another compiled form.
    #[error("the snapshot has format {found}, this build reads {FORMAT}")]
    Format {
        /// The format found.
        found: u16,
    },
    /// Cut short, overlong or not a snapshot.
    #[error("the snapshot is damaged")]
    Damaged,
}

impl Compiled {
    /// As octets. `None` only where memory ends.
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        postcard::to_extend(self, FORMAT.to_be_bytes().to_vec()).ok()
    }

    /// From octets that [`Compiled::to_bytes`] made.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let (format, body) = bytes.split_first_chunk::<2>().ok_or(SnapshotError::Damaged)?;
        let found = u16::from_be_bytes(*format);
        if found != FORMAT {
            return Err(SnapshotError::Format { found });
        }
        match postcard::take_from_bytes(body) {
            Ok((compiled, [])) => Ok(compiled),
            Ok(_) | Err(_) => Err(SnapshotError::Damaged),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_comes_back_and_a_damaged_one_does_not() {
        let compiled = Compiled::empty();
        let bytes = compiled.to_bytes().unwrap();
        assert_eq!(Compiled::from_bytes(&bytes), Ok(compiled));
        assert_eq!(Compiled::from_bytes(&bytes[..bytes.len() - 1]), Err(SnapshotError::Damaged));
        assert_eq!(Compiled::from_bytes(&[bytes.as_slice(), &[0]].concat()), Err(SnapshotError::Damaged));
        assert_eq!(Compiled::from_bytes(&[0xff, 0xff, 0]), Err(SnapshotError::Format { found: 0xffff }));
        assert_eq!(Compiled::from_bytes(&[]), Err(SnapshotError::Damaged));
    }
}
