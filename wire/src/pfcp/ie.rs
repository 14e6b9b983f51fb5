//! Information elements that are not groups (§8.2), by their names in the spec: a file for those that say something of the
//! same thing.

mod addresses;
mod identity;
mod rules;
mod usage;
mod values;

pub use addresses::*;
pub use identity::*;
pub use rules::*;
pub use usage::*;
pub use values::*;

use super::{PfcpError, reader::Reader};

/// An element with a type of its own.
pub(crate) trait Ie: Sized {
    /// Its type number.
    const TYPE: u16;
    fn read(r: &mut Reader<'_>) -> Result<Self, PfcpError>;
    fn write(&self, out: &mut Vec<u8>);
}

/// An element as it came: not known, or kept without being read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawIe {
    /// Type number; from 32 768 on it is a vendor's, and the value begins with the vendor's number.
    pub kind: u16,
    /// Its value.
    pub value: Vec<u8>,
}
