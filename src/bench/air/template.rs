//! A message that is written once and then changed in place: so neither side's figures are those of an encoder.

use anyhow::{Context, Result, ensure};

/// Octets with places in them.
pub(super) struct Template<const N: usize> {
    octets: Vec<u8>,
    /// Where each begins, and how long it is.
    places: [(usize, usize); N],
}

impl<const N: usize> Template<N> {
    /// The places are where these marks stand, each once.
    pub fn new(octets: Vec<u8>, marks: [&[u8]; N]) -> Result<Self> {
        let mut places = [(0, 0); N];
        for (place, mark) in places.iter_mut().zip(marks) {
            let mut found = octets.windows(mark.len()).enumerate().filter(|(_, w)| *w == mark);
            *place = (found.next().context("a place in a message")?.0, mark.len());
            ensure!(found.next().is_none(), "a place in a message is not the only one of its kind");
        }
        Ok(Self { octets, places })
    }

    /// Appends the message with these numbers in its header and these octets in its places.
    pub fn write(&self, hop_by_hop: u32, end_to_end: u32, what: [&[u8]; N], out: &mut Vec<u8>) -> Result<()> {
        let from = out.len();
        out.extend_from_slice(&self.octets);
        let m = out.get_mut(from..).context("what was appended")?;
        m.get_mut(12..16).context("a header")?.copy_from_slice(&hop_by_hop.to_be_bytes());
        m.get_mut(16..20).context("a header")?.copy_from_slice(&end_to_end.to_be_bytes());
        for ((at, len), what) in self.places.iter().zip(what) {
            ensure!(what.len() == *len, "what is put into a message does not fit");
            m.get_mut(*at..at + len).context("a place")?.copy_from_slice(what);
        }
        Ok(())
    }

    /// What stands in a place of a message that was made by this one.
    pub fn read<'a>(&self, message: &'a [u8], place: usize) -> Option<&'a [u8]> {
        let (at, len) = *self.places.get(place)?;
        (message.len() == self.octets.len()).then(|| message.get(at..at + len)).flatten()
    }
}
