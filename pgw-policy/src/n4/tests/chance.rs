//! Requests and octets of chance: the node and its shards agree whatever comes.

use super::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Random orders of good and bad requests: the node and the shards never disagree, nothing leaks.
    #[test]
    fn node_and_shards_agree(steps in prop::collection::vec((0u8..6, 0u8..4, any::<bool>(), any::<u8>()), 1..60)) {
        let mut w = World::new();
        let mut live: Vec<(Peer, u64)> = vec![];
        for (what, n, local, x) in steps {
            let peer = if local { Peer::Local } else { FOREIGN };
            let pick = live.get(usize::from(n) % live.len().max(1)).copied().unwrap_or((peer, u64::from(x)));
            match what {
                0 | 1 => {
                    let m = w.establish(peer, session(n, &format!("10.20.0.{}", x % 4)));
                    if let Some(f) = m.up_f_seid { live.push((peer, f.seid)); }
                }
                2 => { w.modify(pick.0, pick.1, tunnel_to(u32::from(x), None)); }
                3 => { w.delete(pick.0, pick.1); }
                4 => { w.ask(peer, None, association(u32::from(x % 3), x > 128)); }
                _ => {
                    let imsi = imsi(n);
                    w.n4.revoke(imsi, x % 2 == 0);
                }
            }
            w.now = w.now.plus_ms(u64::from(x) * 100);
            let (sessions, ues, _, _, changes, in_shards) = w.weight();
            prop_assert_eq!((sessions, ues, changes), (in_shards, in_shards, 0));
        }
        w.ask(FOREIGN, None, association(1000, false));
        for s in w.n4.sessions_of(Peer::Local) {
            w.delete(Peer::Local, s.0);
        }
        prop_assert_eq!(w.weight(), (0, 0, 0, 0, 0, 0));
    }

    #[test]
    fn anything_may_come(at in 0usize..300, value: u8, cut in 0usize..300, mend: bool) {
        let mut w = World::new();
        w.made(Peer::Local, session(7, PLC));
        let mut d = Pdu { seid: Some(0), sequence: 500, message: session(5, LAPTOP).into() }.encode();
        if let Some(b) = d.get_mut(at) { *b = value; }
        d.truncate(cut.max(20));
        if mend {
            let n = ((d.len() - 4) as u16).to_be_bytes();
            d[2..4].copy_from_slice(&n);
        }
        w.raw(FOREIGN, &d);
        w.raw(Peer::Local, &d);
        let (sessions, _, _, _, changes, in_shards) = w.weight();
        prop_assert!(sessions == in_shards && changes == 0 && sessions <= 2);
    }
}
