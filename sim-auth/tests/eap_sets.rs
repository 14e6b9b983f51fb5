//! EAP-AKA' against the four published cases of RFC 9048 Appendix D, and against a judge that follows §3.3, §3.4 with
//! another HMAC.

mod published;

use hmac::{Hmac, KeyInit, Mac};
use proptest::prelude::*;
use sha2::Sha256;
use sim_auth::{Aka, EapAnswer, EapKeys, Expected, Milenage, Usim, aka, eap, eap_vector_of, fgs};
use types::{Autn, K, Key128, Opc, Plmn, Rand, Sqn, Supi};

const SNN: &str = "5G:mnc070.mcc999.3gppnetwork.org";

fn hex<const N: usize>(s: &str) -> [u8; N] {
    types::unhex(s).unwrap().try_into().unwrap()
}

/// Network name, AUTN, CK, IK; CK', IK', K_encr, K_aut, K_re, MSK, EMSK. The identity is 0555444333222111 in each.
#[rustfmt::skip]
const CASES: [[&str; 11]; 4] = [
    ["WLAN", "bb52e91c747ac3ab2a5c23d15ee351d5", "5349fbe098649f948f5d2e973a81c00f", "9744871ad32bf9bbd1dd5ce54e3e2e5a",
     "0093962d0dd84aa5684b045c9edffa04", "ccfc230ca74fcc96c0a5d61164f5a76c", "766fa0a6c317174b812d52fbcd11a179",
     "0842ea722ff6835bfa2032499fc3ec23c2f0e388b4f07543ffc677f1696d71ea", "cf83aa8bc7e0aced892acc98e76a9b2095b558c7795c7094715cb3393aa7d17a",
     "67c42d9aa56c1b79e295e3459fc3d187d42be0bf818d3070e362c5e967a4d544e8ecfe19358ab3039aff03b7c930588c055babee58a02650b067ec4e9347c75a",
     "f861703cd775590e16c7679ea3874ada866311de290764d760cf76df647ea01c313f69924bdd7650ca9bac141ea075c4ef9e8029c0e290cdbad5638b63bc23fb"],
    ["HRPD", "bb52e91c747ac3ab2a5c23d15ee351d5", "5349fbe098649f948f5d2e973a81c00f", "9744871ad32bf9bbd1dd5ce54e3e2e5a",
     "3820f0277fa5f77732b1fb1d90c1a0da", "db94a0ab557ef6c9ab48619ca05b9a9f", "05ad73ac915fce89ac77e1520d82187b",
     "5b4acaef62c6ebb8882b2f3d534c4b35277337a00184f20ff25d224c04be2afd", "3f90bf5c6e5ef325ff04eb5ef6539fa8cca8398194fbd00be425b3f40dba10ac",
     "87b321570117cd6c95ab6c436fb5073ff15cf85505d2bc5bb7355fc21ea8a75757e8f86a2b138002e05752913bb43b82f868a96117e91a2d95f526677d572900",
     "c891d5f20f148a1007553e2dea555c9cb672e9675f4a66b4bafa027379f93aee539a5979d0a0042b9d2ae28bed3b17a31dc8ab75072b80bd0c1da612466e402c"],
    ["WLAN", "a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0", "c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0", "b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0",
     "cd4c8e5c68f57dd1d7d7dfd0c538e577", "3ece6b705dbbf7dfc459a11280c65524", "897d302fa2847416488c28e20dcb7be4",
     "c40700e7722483ae3dc7139eb0b88bb558cb3081eccd057f9207d1286ee7dd53", "0a591a22dd8b5b1cf29e3d508c91dbbdb4aee23051892c42b6a2de66ea504473",
     "9f7dca9e37bb22029ed986e7cd09d4a70d1ac76d95535c5cac40a7504699bb8961a29ef6f3e90f183de5861ad1bedc81ce9916391b401aa006c98785a5756df7",
     "724de00bdb9e568187be3fe746114557d5018779537ee37f4d3c6c738cb97b9dc651bc19bfadc344ffe2b52ca78bd8316b51dacc5f2b1440cb9515521cc7ba23"],
    ["HRPD", "a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0", "c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0c0", "b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0",
     "8310a71ce6f754889613da8f64d5fb46", "5adf14360ae838192db23f6fcb7f8c76", "745e7439ba238f50fcac4d15d47cd1d9",
     "3e1d2aa4e677025cfd862a4be18361a13a645765571463df833a9759e8099879", "99da835e2ae82462576fe6516fad1f802f0fa1191655dd0a273da96d04e0fcd3",
     "c6d3a6e0ceea951eb20d74f32c3061d0680a04b0b086ee8700ace3e0b95fa02683c287beee44432294ff98af26d2cc783bace75c4b0af7fdfeb5511ba8e4cbd0",
     "7fb56813838adafa99d140c2f198f6dacebfb6afee444961105402b508c7f363352cb2919644b50463e6a69354150147ae09cbc54b8a651d8787a6893ed8536d"],
];

#[test]
fn all_four_published_cases_hold() {
    for [network, autn, ck, ik, ck_prime, ik_prime, k_encr, k_aut, k_re, msk, emsk] in CASES {
        let (ck, ik) = (Key128::new(hex(ck)), Key128::new(hex(ik)));
        let (c, i) = eap::primed(&ck, &ik, network, &Autn(hex(autn)));
        assert_eq!((c.expose(), i.expose()), (&hex(ck_prime), &hex(ik_prime)), "CK', IK'");
        let keys = EapKeys::new(&c, &i, "0555444333222111");
        assert_eq!(keys.k_encr().expose(), &hex(k_encr), "K_encr");
        assert_eq!(keys.k_aut().expose(), &hex(k_aut), "K_aut");
        assert_eq!(keys.k_re().expose(), &hex(k_re), "K_re");
        assert_eq!(keys.msk(), &hex(msk), "MSK");
        assert_eq!(keys.emsk(), &hex(emsk), "EMSK");
        assert_eq!(keys.kausf().expose(), &hex(&emsk[..64]), "KAUSF");
    }
}

/// The first two cases are of a card that is published as well: TS 35.208 set 19.
#[test]
fn the_card_of_the_first_two_cases_gives_what_they_begin_with() {
    let [k, rand, sqn, amf, _, opc, ..] = published::TS_35_208[18];
    let (k, opc) = (K::new(hex(k)), Opc::new(hex(opc)));
    let card = Milenage::new(&k, &opc);
    let (rand, sqn) = (Rand(hex(rand)), Sqn::from_octets(hex(sqn)));
    let v = eap_vector_of(&card, rand, sqn, hex(amf), "WLAN", supi());
    assert_eq!(v.rand, Rand(hex("81e92b6c0ee0e12ebceba8d92a99dfa5")));
    assert_eq!(v.autn, Autn(hex(CASES[0][1])));
    let Expected::Eap(proof) = &v.expected else { panic!("another method") };
    assert_eq!(proof.xres(), hex::<8>("28d7b0f2a2ec3de5"));
    let opened = Aka::open_autn(&card, &v.rand, &v.autn).unwrap();
    assert_eq!((opened.ck.expose(), opened.ik.expose()), (&hex(CASES[0][2]), &hex(CASES[0][3])));
}

fn supi() -> Supi {
    Supi("999700000000001".parse().unwrap())
}

#[test]
fn the_identity_is_the_imsi_and_the_network_is_bound_in() {
    let plmn: Plmn = "99970".parse().unwrap();
    assert_eq!(plmn.serving_network_name(), SNN);
    let (ck, ik, autn) = (Key128::new([1; 16]), Key128::new([2; 16]), Autn([3; 16]));
    let ours = eap::eap_keys(&ck, &ik, SNN, &autn, supi());
    let (c, i) = eap::primed(&ck, &ik, SNN, &autn);
    assert_eq!(ours.emsk(), EapKeys::new(&c, &i, "999700000000001").emsk());
    let other = eap::eap_keys(&ck, &ik, "5G:mnc071.mcc999.3gppnetwork.org", &autn, supi());
    assert!(ours.emsk() != other.emsk());
}

proptest! {
    /// Card and network come to the same, as the judge does; whatever was changed of a packet does not verify.
    #[test]
    fn a_card_and_its_network_agree_with_the_judge(k: [u8; 16], opc: [u8; 16], rand: [u8; 16], seq in 1u64..1 << 28,
        packet in prop::collection::vec(any::<u8>(), 1..200), bit in 0usize..1600) {
        let (k, opc, rand) = (K::new(k), Opc::new(opc), Rand(rand));
        let sqn = Sqn::from_seq_ind(seq, 0, 5).unwrap();
        let v = eap_vector_of(&Milenage::new(&k, &opc), rand, sqn, aka::AMF, SNN, supi());
        let mut card = Usim::new(&k, &opc);
        let EapAnswer::Success { res, keys } = card.authenticate_eap(&rand, &v.autn, SNN, supi()) else {
            panic!("the card refuses")
        };
        let Expected::Eap(proof) = &v.expected else { panic!("another method") };
        prop_assert_eq!(proof.xres(), &res.expose()[..]);
        prop_assert!(fgs::kseaf(&keys.kausf(), SNN) == v.kseaf);

        let plain = Milenage::new(&k, &opc);
        let opened = Aka::open_autn(&plain, &rand, &v.autn).unwrap();
        let mut s = vec![0x20];
        s.extend_from_slice(SNN.as_bytes());
        s.extend_from_slice(&(SNN.len() as u16).to_be_bytes());
        s.extend_from_slice(&v.autn.0[..6]);
        s.extend_from_slice(&[0, 6]);
        let primed = judge(&[&opened.ck.expose()[..], &opened.ik.expose()[..]].concat(), &s);
        let mk = judge_prf(&[&primed[16..], &primed[..16]].concat(), b"EAP-AKA'999700000000001");
        let k_aut = keys.k_aut();
        prop_assert_eq!(&k_aut.expose()[..], &mk[16..48]);
        prop_assert_eq!(&keys.msk()[..], &mk[80..144]);
        prop_assert_eq!(&keys.emsk()[..], &mk[144..208]);

        let mac: [u8; 16] = judge(&mk[16..48], &packet)[..16].try_into().unwrap();
        prop_assert!(proof.verifies(&packet, &mac) && eap::at_mac(&keys.k_aut(), &packet) == mac);
        let mut changed = packet.clone();
        changed[bit / 8 % packet.len()] ^= 1 << (bit % 8);
        prop_assert!(!proof.verifies(&changed, &mac));
        // The card takes each challenge once.
        prop_assert!(matches!(card.authenticate_eap(&rand, &v.autn, SNN, supi()), EapAnswer::SynchFailure(_)));
    }
}

fn judge(key: &[u8], text: &[u8]) -> [u8; 32] {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    hmac.update(text);
    hmac.finalize().into_bytes().into()
}

fn judge_prf(key: &[u8], s: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    for n in 1..=7u8 {
        let before = if n == 1 { vec![] } else { out[out.len() - 32..].to_vec() };
        out.extend(judge(key, &[&before[..], s, &[n]].concat()));
    }
    out
}
