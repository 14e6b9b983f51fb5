//! The keys of a card as a line has them.

use super::{Column, cells::Cells};
use hss::{Algorithm, CardKeys, TuakK, TuakKeys};
use std::num::NonZeroU8;
use types::{K, Key128, Key256, Opc};

/// K with what the operator adds, of one algorithm.
pub(super) fn keys(c: &mut Cells<'_>) -> Option<CardKeys> {
    let algorithm = c.parse(Column::Algorithm, "bad-algorithm").unwrap_or(Algorithm::Milenage);
    let ([bound, general], others) = match algorithm {
        Algorithm::Milenage => {
            ([Column::Opc, Column::Op], &[Column::Topc, Column::Top, Column::Iterations][..])
        }
        Algorithm::Tuak => ([Column::Topc, Column::Top], &[Column::Opc, Column::Op][..]),
    };
    for other in others {
        if c.text(*other).is_some() {
            c.wrong_text(*other, "other-algorithm", algorithm.as_str());
        }
    }
    if c.text(bound).is_some() && c.text(general).is_some() {
        c.wrong(general, "both-operator");
    }
    let given = (c.text(Column::K).is_some(), c.text(bound).or(c.text(general)).is_some());
    if given.0 != given.1 {
        c.wrong(if given.0 { bound } else { Column::K }, "key-incomplete");
    }
    match algorithm {
        Algorithm::Milenage => {
            let k = c.key(Column::K, K::from_hex);
            let (opc, op) = (c.key(bound, Opc::from_hex), c.key(general, Key128::from_hex));
            let k = k?;
            let opc = opc.or_else(|| op.map(|op| hss::opc(&k, op.expose())))?;
            Some(CardKeys::Milenage { k, opc })
        }
        Algorithm::Tuak => {
            let k = c.key(Column::K, |t| match t.len() {
                32 => K::from_hex(t).map(TuakK::Short),
                _ => Key256::from_hex(t).map(TuakK::Long),
            });
            let (topc, top) = (c.key(bound, Key256::from_hex), c.key(general, Key256::from_hex));
            let iterations = c.parse(Column::Iterations, "bad-iterations").unwrap_or(NonZeroU8::MIN);
            let k = k?;
            Some(CardKeys::Tuak(match (topc, top) {
                (Some(topc), _) => TuakKeys { k, topc, iterations },
                (None, top) => TuakKeys::with_top(k, &top?, iterations),
            }))
        }
    }
}

/// The octets of K.
pub(super) fn k_of(keys: &CardKeys) -> &[u8] {
    match keys {
        CardKeys::Milenage { k, .. } => k.expose(),
        CardKeys::Tuak(t) => t.k.expose(),
    }
}

/// K of published examples and of the open cores' own documentation.
const KNOWN: [&str; 8] = [
    // TS 35.208 §4.3, the sets that everybody copies; the first is also that of Open5GS.
    "465b5ce8b199b49faa5f0a2ee238a6bc",
    "0396eb317b6d1c36f19c1c84cd6ffd16",
    "fec86ba6eb707ed08905757b1bb44b8f",
    "9e5944aea94b81165c82fbf9f32db751",
    // free5GC and UERANSIM.
    "8baf473f2f8fd09487cccbd7097c6862",
    // OpenAirInterface.
    "0c0a34601d4f07677303652c0462535b",
    // srsRAN.
    "00112233445566778899aabbccddeeff",
    "000102030405060708090a0b0c0d0e0f",
];

/// True for a key that everybody knows, or that nobody drew.
pub(super) fn is_known(octets: &[u8]) -> bool {
    let same = octets.iter().all(|b| Some(b) == octets.first());
    same || KNOWN.iter().any(|t| Key128::from_hex(t).is_ok_and(|known| known.expose().as_slice() == octets))
}
