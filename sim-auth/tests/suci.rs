//! SUCI: the data of TS 33.501 Annex C.4.3.1 and C.4.4.1, and what must not open.

use proptest::prelude::*;
use sim_auth::suci::{HomeNetworkKey, NotAKey, Unopened, conceal};
use types::{Key256, SuciProfile, unhex};

struct Set {
    profile: SuciProfile,
    private: &'static str,
    public: &'static str,
    ephemeral: &'static str,
    output: &'static str,
}

/// The IMSI of both is 274012001002086.
const MSIN: &str = "001002086";
const SETS: [Set; 2] = [
    Set {
        profile: SuciProfile::A,
        private: "c53c22208b61860b06c62e5406a7b330c2b577aa5558981510d128247d38bd1d",
        public: "5a8d38864820197c3394b92613b20b91633cbd897119273bf8e4a6f4eec0a650",
        ephemeral: "c80949f13ebe61af4ebdbd293ea4f942696b9e815d7e8f0096bbf6ed7de62256",
        output: "b2e92f836055a255837debf850b528997ce0201cb82adfe4be1f587d07d8457dcb02352410cddd9e730ef3fa87",
    },
    Set {
        profile: SuciProfile::B,
        private: "f1ab1074477ebcc7f554ea1c5fc368b1616730155e0041ac447d6301975fecda",
        public: "0272da71976234ce833a6907425867b82e074d44ef907dfb4b3e21c1c2256ebcd1",
        ephemeral: "99798858a1dc6a2c68637149a4b1dbfd1fdff5addd62a2142f06699ed7602529",
        output: "039aab8376597021e855679a9778ea0b67396e68c66df32c0f41e9acca2da9b9d146a33fc2716ac7dae96aa30a4d",
    },
];

fn key(s: &Set) -> HomeNetworkKey {
    HomeNetworkKey::new(s.profile, &Key256::from_hex(s.private).unwrap()).unwrap()
}

#[test]
fn annex_c_4_conceals_and_opens() {
    for s in &SETS {
        let (home, output) = (unhex(s.public).unwrap(), unhex(s.output).unwrap());
        assert_eq!(key(s).public(), home, "{}", s.profile);
        assert_eq!(key(s).profile(), s.profile);
        let made = conceal(s.profile, &home, &Key256::from_hex(s.ephemeral).unwrap(), MSIN);
        assert_eq!(made, Ok(output.clone()), "{}", s.profile);
        assert_eq!(key(s).deconceal(&output).as_deref(), Ok(MSIN), "{}", s.profile);
    }
}

#[test]
fn whatever_was_changed_or_cut_does_not_open() {
    for s in &SETS {
        let (key, output) = (key(s), unhex(s.output).unwrap());
        for n in 0..output.len() {
            assert_eq!(key.deconceal(&output[..n]), Err(Unopened), "{}: {n} octets", s.profile);
        }
        for bit in 0..output.len() * 8 {
            let mut other = output.clone();
            other[bit / 8] ^= 1 << (bit % 8);
            // The highest bit of an X25519 coordinate does not count; SharedInfo1 has it all the same.
            assert_eq!(key.deconceal(&other), Err(Unopened), "{}: bit {bit}", s.profile);
        }
        for longer in [1, 8, 100] {
            let other = [output.as_slice(), &vec![0; longer]].concat();
            assert_eq!(key.deconceal(&other), Err(Unopened), "{}: {longer} more", s.profile);
        }
    }
    // The output of one profile for the key of the other.
    assert_eq!(key(&SETS[0]).deconceal(&unhex(SETS[1].output).unwrap()), Err(Unopened));
    assert_eq!(key(&SETS[1]).deconceal(&unhex(SETS[0].output).unwrap()), Err(Unopened));
}

#[test]
fn points_that_are_none_are_refused() {
    let ephemeral = Key256::new([7; 32]);
    // RFC 7748 §6.1: points of small order; the shared secret would be zero for everybody.
    let mut p_minus_1 = [0xff; 32];
    (p_minus_1[0], p_minus_1[31]) = (0xec, 0x7f);
    let mut one = [0; 32];
    one[0] = 1;
    for point in [[0; 32], one, p_minus_1] {
        assert_eq!(conceal(SuciProfile::A, &point, &ephemeral, MSIN), Err(NotAKey));
        let mut output = unhex(SETS[0].output).unwrap();
        output[..32].copy_from_slice(&point);
        assert_eq!(key(&SETS[0]).deconceal(&output), Err(Unopened));
    }
    // No point of the curve has this x; an uncompressed point and one by x alone are no form of profile B.
    let mut nowhere = [1; 33];
    nowhere[0] = 2;
    let mut x_only = unhex(SETS[1].public).unwrap();
    x_only[0] = 5;
    for home in [&nowhere[..], &x_only, &[4; 65], &[2; 32], &[]] {
        assert_eq!(conceal(SuciProfile::B, home, &ephemeral, MSIN), Err(NotAKey));
    }
    for no_key in [[0; 32], [0xff; 32]] {
        assert!(HomeNetworkKey::new(SuciProfile::B, &Key256::new(no_key)).is_err());
    }
}

#[test]
fn what_is_no_msin_is_not_concealed_and_a_tag_alone_makes_none() {
    let home = unhex(SETS[0].public).unwrap();
    for msin in ["", "12345678901", "12a", "１２"] {
        assert_eq!(conceal(SuciProfile::A, &home, &Key256::new([7; 32]), msin), Err(NotAKey), "{msin}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn every_msin_comes_back(msin in "[0-9]{1,10}", home in any::<[u8; 32]>(), ephemeral in any::<[u8; 32]>(), b in any::<bool>()) {
        let profile = if b { SuciProfile::B } else { SuciProfile::A };
        let Ok(key) = HomeNetworkKey::new(profile, &Key256::new(home)) else { return Ok(()) };
        let Ok(output) = conceal(profile, &key.public(), &Key256::new(ephemeral), &msin) else { return Ok(()) };
        prop_assert_eq!(key.deconceal(&output), Ok(msin));
    }

    #[test]
    fn nothing_else_opens_and_nothing_panics(output in prop::collection::vec(any::<u8>(), 0..80)) {
        for s in &SETS {
            prop_assert_eq!(key(s).deconceal(&output), Err(Unopened));
        }
    }
}
