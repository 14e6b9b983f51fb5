//! What else belongs to the classes behind the rows R77 to R89 of docs/hostile.md: true datagrams with every octet changed to
//! every other value, beside another UE whose flow must not notice.

use super::*;

/// What comes of it is its own UE's or an answer to its own radio, whatever it was changed to.
fn only_its_own(out: &[Out]) {
    for o in out {
        match o {
            Out::N6(p) => assert_eq!(p[12..16], [10, 20, 0, 5], "{o:?}"),
            Out::N3(peer, teid, _) => assert_eq!((*peer, *teid), (gnb(), 0x9005), "{o:?}"),
            Out::Message(peer, _) => assert_eq!(*peer, gnb(), "{o:?}"),
            Out::Service(_) | Out::Handed(_) => panic!("{o:?}"),
        }
    }
}

#[test]
fn every_octet_of_a_datagram_changed_in_every_way_is_its_own_ues_at_most() {
    let mut w = World::new();
    let theirs = udp(PLC, 40_000, FILES, 53, b"the victim's");
    assert_eq!(w.up(7, &theirs), [Out::N6(theirs.clone())]);
    let inner = udp(LAPTOP, 40_000, FILES, 53, b"question");
    let up = gtpu::encode_uplink(teid(5).value(), 1, &inner).unwrap();
    let mut passed = [0; 2];
    for (at, value) in (0..up.len()).flat_map(|at| (0..=255).map(move |v| (at, v))) {
        let mut d = up.clone();
        d[at] = value;
        let out = w.datagram_from(GNB, &d);
        only_its_own(&out);
        passed[usize::from(out.iter().any(|o| matches!(o, Out::N6(_))))] += 1;
        // By a stranger it is nothing at all.
        assert_eq!(w.datagram_from("172.16.0.66:2152", &d), []);
        w.now = w.now.plus_ms(1);
    }
    assert!(passed.iter().all(|n| *n > 1_000), "dropped, and passed: {passed:?}");
    let down = udp(FILES, 53, LAPTOP, 40_000, b"answer");
    for (at, value) in (0..down.len()).flat_map(|at| (0..=255).map(move |v| (at, v))) {
        let mut p = down.clone();
        p[at] = value;
        let out = w.down(&p);
        // Whose address it names is who gets it, by the own tunnel; the victim has a flow just like this one.
        for o in &out {
            let Out::N3(peer, teid, inner) = o else { panic!("{o:?}") };
            assert_eq!((*peer, &inner[16..19]), (gnb(), &[10, 20, 0][..]));
            assert_eq!(*teid, 0x9000 + u32::from(inner[19]), "{o:?}");
        }
    }
    let back = udp(FILES, 53, PLC, 40_000, b"the answer");
    assert_eq!(w.down(&back), [Out::N3(gnb(), 0x9007, back.clone())]);
    assert_eq!(w.up(7, &theirs), [Out::N6(theirs.clone())]);
}
