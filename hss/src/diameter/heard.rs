//! Which refusals an operator hears of: of each address so many in a row, then one now and then. Who invents a name for each
//! try is told of all the same, and fills nobody's list of alerts.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use types::Mono;

/// So many in a row.
pub(super) const IN_A_ROW: u64 = 8;
/// And one more after so many milliseconds.
const PAUSE_MS: u64 = 60_000;
/// Most addresses that are told apart; all others are one.
const ADDRESSES: usize = 256;

/// Until when each address has used up what it had.
#[derive(Default)]
pub(super) struct Heard(BTreeMap<IpAddr, Mono>);

impl Heard {
    /// May one more be told?
    pub fn may(&mut self, from: IpAddr, now: Mono) -> bool {
        self.0.retain(|_, until| *until > now);
        let is_one_of_them = self.0.contains_key(&from) || self.0.len() < ADDRESSES;
        let from = if is_one_of_them { from } else { Ipv4Addr::UNSPECIFIED.into() };
        let until = self.0.entry(from).or_insert(now);
        let may = *until <= now.plus_ms(PAUSE_MS * (IN_A_ROW - 1));
        if may {
            *until = until.plus_ms(PAUSE_MS);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_in_a_row_then_one_a_minute_and_of_each_address() {
        let mut heard = Heard::default();
        let at = |s: u64| Mono(7).plus_ms(1_000 * s);
        let one: IpAddr = "192.0.2.1".parse().unwrap();
        let told = |heard: &mut Heard, s| (0..1_000).filter(|_| heard.may(one, at(s))).count();
        assert_eq!([0, 1, 61, 62, 181].map(|s| told(&mut heard, s)), [8, 0, 1, 0, 2]);
        assert!(heard.may("192.0.2.2".parse().unwrap(), at(181)));
        assert_eq!(told(&mut heard, 10_000), 8);
        // However many there are.
        let all =
            (0..100_000u32).filter(|n| heard.may(Ipv4Addr::from(0x0a00_0000 | n).into(), at(20_000))).count();
        assert_eq!((all, heard.0.len()), (ADDRESSES + 8, ADDRESSES + 1));
        assert!(!heard.may(one, at(20_000)));
        assert_eq!(told(&mut heard, 30_000), 8);
    }
}
