//! A cursor over octets that knows where it stands in the message.

use super::{Fault, PfcpError, RawIe};

/// Our enterprise number in vendor-specific elements: the one that RFC 5612 sets aside for examples,
/// as long as the project has none of its own.
pub(crate) const ENTERPRISE: u16 = 32473;

/// Octets of one group or one element.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
    at: usize,
    ie: Option<u16>,
}

/// One element, not read yet.
pub(crate) struct Element<'a> {
    pub(crate) kind: u16,
    pub(crate) value: Reader<'a>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(rest: &'a [u8], at: usize) -> Self {
        Self { rest, at, ie: None }
    }

    pub(crate) fn fault(&self, fault: Fault) -> PfcpError {
        PfcpError { fault, ie: self.ie, offset: self.at, header: None }
    }

    pub(crate) fn incorrect(&self, why: &'static str) -> PfcpError {
        self.fault(Fault::Incorrect(why))
    }

    pub(crate) fn missing(&self, ie: u16) -> PfcpError {
        PfcpError { fault: Fault::Missing, ie: Some(ie), offset: self.at, header: None }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(crate) fn bytes(&mut self, n: usize) -> Result<&'a [u8], PfcpError> {
        let (head, tail) = self.rest.split_at_checked(n).ok_or_else(|| self.fault(Fault::Length))?;
        self.rest = tail;
        self.at += n;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], PfcpError> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or_else(|| self.fault(Fault::Length))?;
        self.rest = tail;
        self.at += N;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, PfcpError> {
        self.array::<1>().map(|[b]| b)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, PfcpError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, PfcpError> {
        self.array().map(u32::from_be_bytes)
    }

    /// 40 bits, as bit rates are written (§8.2.8).
    pub(crate) fn u40(&mut self) -> Result<u64, PfcpError> {
        let [a, b, c, d, e] = self.array()?;
        Ok(u64::from_be_bytes([0, 0, 0, a, b, c, d, e]))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, PfcpError> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        let all = std::mem::take(&mut self.rest);
        self.at += all.len();
        all
    }

    /// The next element of a group: type, length, value (§8.1.1). The value must lie inside the group.
    pub(crate) fn element(&mut self) -> Result<Option<Element<'a>>, PfcpError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let mut kind = self.u16()?;
        let length = self.u16()?;
        let (at, ie) = (self.at, Some(kind));
        let inside = |_| PfcpError { fault: Fault::Length, ie, offset: at, header: None };
        let rest = self.bytes(usize::from(length)).map_err(inside)?;
        if kind & 0x8000 != 0 {
            match rest.first_chunk::<2>() {
                None => return Err(PfcpError { fault: Fault::Length, ie, offset: at, header: None }),
                Some(e) if u16::from_be_bytes(*e) == ENTERPRISE => {}
                // Somebody else's: the type number means nothing to us, but is kept.
                Some(_) => kind |= FOREIGN,
            }
        }
        Ok(Some(Element { kind, value: Reader { rest, at, ie } }))
    }
}

/// Marks a vendor's element so that it matches none of ours; no type of ours has this bit.
const FOREIGN: u16 = 0x4000;

impl Element<'_> {
    pub(crate) fn raw(mut self) -> RawIe {
        RawIe { kind: self.value.ie.unwrap_or(self.kind), value: self.value.rest().to_vec() }
    }
}

/// Writes one element around what `value` writes. More than 65 535 octets are cut there.
pub(crate) fn put(out: &mut Vec<u8>, kind: u16, value: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(&kind.to_be_bytes());
    let at = out.len();
    out.extend_from_slice(&[0, 0]);
    value(out);
    let begin = at + 2;
    out.truncate(begin + usize::from(u16::MAX));
    let length = ((out.len() - begin) as u16).to_be_bytes();
    if let Some(field) = out.get_mut(at..begin) {
        field.copy_from_slice(&length);
    }
}
