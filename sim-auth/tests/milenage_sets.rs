//! Milenage against every published test set, and the judges against the same sets.

mod published;

use oxirush_security::milenage as oxi;
use published::{Set, TS_35_207, TS_35_208};
use sim_auth::{Milenage, milenage::opc};
use types::{K, Opc, Rand, Sqn};

fn hex<const N: usize>(s: &str) -> [u8; N] {
    assert_eq!(s.len(), 2 * N);
    std::array::from_fn(|i| u8::from_str_radix(&s[2 * i..2 * i + 2], 16).unwrap())
}

/// The documents have twenty sets (the second repeats the first) and six.
fn all_sets() -> impl Iterator<Item = (String, Set)> {
    let name = |doc: &'static str| move |(i, set): (usize, &Set)| (format!("{doc} set {}", i + 1), *set);
    TS_35_208
        .iter()
        .enumerate()
        .map(name("TS 35.208"))
        .chain(TS_35_207.iter().enumerate().map(name("TS 35.207")))
}

#[test]
fn all_twenty_six_published_sets_hold() {
    let mut sets = 0;
    for (name, [k, rand, sqn, amf, op, op_c, f1, f1_star, f2, f5, f3, f4, f5_star]) in all_sets() {
        let (k, rand, amf) = (K::new(hex(k)), Rand(hex(rand)), hex(amf));
        let sqn = Sqn::from_octets(hex(sqn));
        let computed = opc(&k, &hex(op));
        assert!(computed == Opc::new(hex(op_c)), "OPc of {name}");

        let m = Milenage::new(&k, &computed);
        assert_eq!(m.f1(&rand, sqn, amf), hex(f1), "f1 of {name}");
        assert_eq!(m.f1_star(&rand, sqn, amf), hex(f1_star), "f1* of {name}");
        let f = m.f2345(&rand);
        assert_eq!(f.res, hex(f2), "f2 of {name}");
        assert_eq!(f.ck, hex(f3), "f3 of {name}");
        assert_eq!(f.ik, hex(f4), "f4 of {name}");
        assert_eq!(f.ak, hex(f5), "f5 of {name}");
        assert_eq!(m.f5_star(&rand), hex(f5_star), "f5* of {name}");
        let (mac_a, together) = m.f12345(&rand, sqn, amf);
        assert_eq!((mac_a, together.res, together.ak), (hex(f1), f.res, f.ak), "one pass of {name}");
        sets += 1;
    }
    assert_eq!(sets, 26);
}

#[test]
fn the_judges_agree_with_the_sets() {
    for (name, [k, rand, sqn, amf, op, op_c, f1, f1_star, f2, f5, f3, f4, f5_star]) in all_sets() {
        let mut m = milenage::Milenage::new_with_op(hex(k), hex(op));
        assert_eq!(m.opc(), &hex(op_c), "{name}");
        assert_eq!(m.f1(&hex(rand), &hex(sqn), &hex(amf)), hex(f1), "{name}");
        assert_eq!(m.f1star(&hex(rand), &hex(sqn), &hex(amf)), hex(f1_star), "{name}");
        assert_eq!(m.f2345(&hex(rand)), (hex(f2), hex(f3), hex(f4), hex(f5)), "{name}");
        assert_eq!(m.f5star(&hex(rand)), hex(f5_star), "{name}");

        let key = oxi::K::new(&hex(k));
        let o = oxi::Milenage::new(&key, &oxi::Opc::from_op(&key, &oxi::Op::new(&hex(op))));
        let rand = oxirush_security::Rand::new(&hex(rand));
        let (sqn, amf) = (oxi::Sqn::new(&hex(sqn)), oxi::Amf::new(&hex(amf)));
        assert_eq!(o.f1(&rand, &sqn, &amf).as_octets(), &hex(f1), "{name}");
        assert_eq!(o.f1_star(&rand, &sqn, &amf).as_octets(), &hex(f1_star), "{name}");
        assert_eq!(o.f2(&rand).as_octets(), &hex(f2), "{name}");
        assert_eq!(o.f3(&rand).as_octets(), &hex(f3), "{name}");
        assert_eq!(o.f4(&rand).as_octets(), &hex(f4), "{name}");
        assert_eq!(o.f5(&rand).as_octets(), &hex(f5), "{name}");
        assert_eq!(o.f5_star(&rand).as_octets(), &hex(f5_star), "{name}");
    }
}
