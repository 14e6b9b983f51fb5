//! K and OPc at rest: what opens, and what must not.

use hss::{CardKeys, SealedDataKey, SealedKeys, Vault, VaultError};
use proptest::prelude::*;
use types::{Imsi, K, Key256, Opc};

fn kek(b: u8) -> Key256 {
    Key256::new([b; 32])
}

fn imsi(n: u32) -> Imsi {
    format!("00101{n:010}").parse().unwrap()
}

fn vault() -> Vault {
    Vault::new(&kek(1), 1, None, [9; 32]).unwrap()
}

#[test]
fn the_keys_of_a_sim_come_back_after_a_restart() {
    let mut first = vault();
    let sealed = first.seal(imsi(1), &K::new([2; 16]), &Opc::new([3; 16]));
    let stored_key = SealedDataKey::from_bytes(first.sealed_data_key().as_bytes()).unwrap();
    let stored_row = SealedKeys::from_bytes(sealed.as_bytes()).unwrap();

    let second = Vault::new(&kek(1), 1, Some(&stored_key), [10; 32]).unwrap();
    let Ok(CardKeys::Milenage { k, opc }) = second.open(&stored_row, imsi(1)) else { panic!() };
    assert!(k == K::new([2; 16]) && opc == Opc::new([3; 16]));
    assert_eq!(first.fingerprint(&k), second.fingerprint(&k), "a duplicate is found across restarts");
    assert_ne!(first.fingerprint(&k), second.fingerprint(&K::new([4; 16])));
}

#[test]
fn a_row_that_was_swapped_to_another_sim_does_not_open() {
    let mut v = vault();
    let mine = v.seal(imsi(1), &K::new([2; 16]), &Opc::new([3; 16]));
    assert_eq!(v.open(&mine, imsi(2)).err(), Some(VaultError::Tampered));
    // Nor one half of it.
    let other = v.seal(imsi(2), &K::new([5; 16]), &Opc::new([6; 16]));
    let mixed = [&mine.as_bytes()[..69], &other.as_bytes()[69..]].concat();
    let mixed = SealedKeys::from_bytes(&mixed).unwrap();
    assert_eq!(v.open(&mixed, imsi(1)).err(), Some(VaultError::Tampered));
    assert_eq!(v.open(&mixed, imsi(2)).err(), Some(VaultError::Tampered));
}

#[test]
fn without_the_right_key_encryption_key_nothing_opens() {
    let mut v = vault();
    let stored = v.sealed_data_key().clone();
    assert_eq!(Vault::new(&kek(2), 1, Some(&stored), [0; 32]).err(), Some(VaultError::Tampered));
    assert_eq!(Vault::new(&kek(1), 2, Some(&stored), [0; 32]).err(), Some(VaultError::OtherKey));
    let row = v.seal(imsi(1), &K::new([2; 16]), &Opc::new([3; 16]));
    let other = Vault::new(&kek(1), 1, None, [8; 32]).unwrap();
    assert_eq!(other.open(&row, imsi(1)).err(), Some(VaultError::OtherKey));
    assert_ne!(v.fingerprint(&K::new([2; 16])), other.fingerprint(&K::new([2; 16])));
}

#[test]
fn the_same_keys_sealed_twice_look_different_and_show_nothing() {
    let mut v = vault();
    let (k, opc) = (K::new([0xab; 16]), Opc::new([0xcd; 16]));
    let (a, b) = (v.seal(imsi(1), &k, &opc), v.seal(imsi(1), &k, &opc));
    assert_ne!(a, b);
    assert!(!a.as_bytes().windows(4).any(|w| w == [0xab; 4] || w == [0xcd; 4]));
    assert_eq!(format!("{a:?} {v:?}"), "SealedKeys(..) Vault(..)");
}

#[test]
fn sealed_keys_survive_serialisation() {
    let sealed = vault().seal(imsi(1), &K::new([2; 16]), &Opc::new([3; 16]));
    let bytes = postcard::to_stdvec(&sealed).unwrap();
    assert_eq!(postcard::from_bytes::<SealedKeys>(&bytes).unwrap(), sealed);
    assert!(postcard::from_bytes::<SealedKeys>(&bytes[..bytes.len() - 1]).is_err());
}

proptest! {
    #[test]
    fn one_wrong_bit_anywhere_and_it_does_not_open(bit in 0usize..129 * 8) {
        let mut v = vault();
        let mut b = v.seal(imsi(1), &K::new([2; 16]), &Opc::new([3; 16])).as_bytes().to_vec();
        b[bit / 8] ^= 1 << (bit % 8);
        if let Ok(sealed) = SealedKeys::from_bytes(&b) {
            prop_assert!(v.open(&sealed, imsi(1)).is_err());
        }
    }

    #[test]
    fn whatever_is_stored_in_its_place_is_refused(b in prop::collection::vec(any::<u8>(), 0..200)) {
        let v = vault();
        if let Ok(sealed) = SealedKeys::from_bytes(&b) {
            prop_assert!(v.open(&sealed, imsi(1)).is_err());
        }
        if let Ok(sealed) = SealedDataKey::from_bytes(&b) {
            prop_assert!(Vault::new(&kek(1), 1, Some(&sealed), [0; 32]).is_err());
        }
    }
}
