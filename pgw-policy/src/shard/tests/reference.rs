//! A reference walk beside the real one, under steps of chance; and whatever may come.

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Up { n: u8, src: &'static str, dst: &'static str, sport: u16, dport: u16, kind: u8, stranger: bool },
    Down { src: &'static str, dst: &'static str, sport: u16, dport: u16, kind: u8 },
    Cut(u8),
    Uncut(u8),
    Policy(bool),
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    let host = || prop::sample::select(vec![LAPTOP, PLC, FILES, SCADA, SECRET, OURS, "224.0.0.1", "8.8.8.8"]);
    let sim = || prop::sample::select(vec![5u8, 7]);
    let port = || prop::sample::select(vec![53u16, 80, 443, 502]);
    prop_oneof![
        6 => (sim(), any::<bool>(), host(), host(), port(), port(), 0u8..3, prop::bool::weighted(0.1)).prop_map(
            |(n, honest, src, dst, sport, dport, kind, stranger)| {
                let src = if honest { if n == 5 { LAPTOP } else { PLC } } else { src };
                Step::Up { n, src, dst, sport, dport, kind, stranger }
            }),
        4 => (host(), host(), port(), port(), 0u8..3)
            .prop_map(|(src, dst, sport, dport, kind)| Step::Down { src, dst, sport, dport, kind }),
        1 => sim().prop_map(Step::Cut),
        1 => sim().prop_map(Step::Uncut),
        1 => any::<bool>().prop_map(Step::Policy),
        1 => Just(Step::Wait),
    ]
}

/// The rules of [`policy`] in plain words, with a set of live flows.
#[derive(Default)]
struct Reference {
    cut: std::collections::BTreeSet<u8>,
    /// (UE, peer, UE port, peer port, protocol, UE opened)
    flows: std::collections::BTreeMap<(&'static str, &'static str, u16, u16, u8), bool>,
    without_files: bool,
}

impl Reference {
    fn out(&self, n: u8, dst: &str, dport: u16, kind: u8) -> bool {
        match (dst, kind) {
            (FILES, 0) => dport == 443 && !self.without_files,
            (FILES, 1) => dport == 53 && !self.without_files,
            (FILES, 2) => !self.without_files,
            (PLC, 0) => n == 5 && (dport == 80),
            _ => false,
        }
    }

    fn in_(&self, n: u8, src: &str, dport: u16, kind: u8) -> bool {
        n == 7 && kind == 0 && ((src == SCADA && dport == 502) || (src == LAPTOP && dport == 80))
    }

    /// The receiving side of a packet for a UE.
    fn deliver(&mut self, src: &'static str, dst: &'static str, sport: u16, dport: u16, kind: u8) -> bool {
        let n = if dst == LAPTOP { 5 } else { 7 };
        if self.cut.contains(&n) {
            return false;
        }
        let key = if kind == 2 { (dst, src, 0, 0, 2 + 8) } else { (dst, src, dport, sport, kind) };
        if self.flows.contains_key(&key) {
            return true;
        }
        let ok = self.in_(n, src, dport, kind);
        if ok {
            self.flows.insert(key, false);
        }
        ok
    }

    #[allow(clippy::too_many_arguments)]
    fn up(
        &mut self,
        n: u8,
        src: &'static str,
        dst: &'static str,
        sport: u16,
        dport: u16,
        kind: u8,
        stranger: bool,
    ) -> bool {
        let own = if n == 5 { LAPTOP } else { PLC };
        if self.cut.contains(&n) || stranger || src != own || dst == own || [OURS, "224.0.0.1"].contains(&dst)
        {
            return false;
        }
        let key = if kind == 2 { (src, dst, 1, 8, 2) } else { (src, dst, sport, dport, kind) };
        if !self.flows.contains_key(&key) {
            if !self.out(n, dst, dport, kind) {
                return false;
            }
            self.flows.insert(key, true);
        }
        if dst == LAPTOP || dst == PLC { self.deliver(src, dst, sport, dport, kind) } else { true }
    }

    fn down(&mut self, src: &'static str, dst: &'static str, sport: u16, dport: u16, kind: u8) -> bool {
        let ue = dst == LAPTOP || dst == PLC;
        ue && ![LAPTOP, PLC, "224.0.0.1"].contains(&src) && self.deliver(src, dst, sport, dport, kind)
    }
}

fn packet(src: &str, dst: &str, sport: u16, dport: u16, kind: u8) -> Vec<u8> {
    match kind {
        0 => tcp(src, sport, dst, dport, SYN),
        1 => udp(src, sport, dst, dport, b"data"),
        _ => ping(src, dst, true, 1),
    }
}

proptest! {
    #[test]
    fn the_walk_says_what_the_reference_says(steps in prop::collection::vec(step(), 1..60)) {
        let mut w = World::new();
        let mut r = Reference::default();
        let mut generation = 1;
        for s in steps {
            match s {
                Step::Up { n, src, dst, sport, dport, kind, stranger } => {
                    let d = gtpu::encode_uplink(teid(n).value(), 1, &packet(src, dst, sport, dport, kind)).unwrap();
                    let out = w.datagram_from(if stranger { "172.16.9.9:2152" } else { GNB }, &d);
                    let inner = packet(src, dst, sport, dport, kind);
                    let passed = out.iter().any(|o| matches!(o, Out::N6(p) | Out::N3(_, _, p) if *p == inner));
                    prop_assert_eq!(passed, r.up(n, src, dst, sport, dport, kind, stranger));
                }
                Step::Down { src, dst, sport, dport, kind } => {
                    let inner = packet(src, dst, sport, dport, kind);
                    let passed = w.down(&inner).iter().any(|o| matches!(o, Out::N3(_, _, p) if *p == inner));
                    prop_assert_eq!(passed, r.down(src, dst, sport, dport, kind));
                }
                Step::Cut(n) => { w.cut(n); r.cut.insert(n); }
                Step::Uncut(n) => { w.tell(ShardCommand::Uncut { imsi: imsi(n) }); r.cut.remove(&n); }
                Step::Policy(without_files) => {
                    generation += 1;
                    w.tell(compiled(generation, if without_files { &["files"] } else { &[] }));
                    r.without_files = without_files;
                    if without_files {
                        r.flows.retain(|k, _| k.1 != FILES);
                    }
                }
                Step::Wait => {
                    w.wait(7_440_000);
                    r.flows.clear();
                }
            }
        }
    }

    /// Whatever comes in: no panic, and what goes to N6 is from a session's own address.
    #[test]
    fn anything_may_come(packets in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..80), 0usize..80, any::<u8>()), 0..40)) {
        let mut w = World::new();
        for (uplink, noise, at, value) in packets {
            let mut inner = tcp(LAPTOP, 1, FILES, 443, SYN);
            if at % 3 == 0 { inner = noise; } else if let Some(b) = inner.get_mut(at) { *b = value; }
            let out = if uplink { w.up(5, &inner) } else {
                let raw = gtpu::encode_uplink(teid(5).value(), 1, &inner).unwrap();
                let mut raw = raw;
                if let Some(b) = raw.get_mut(at) { *b = value; }
                let mut out = w.datagram_from(GNB, &raw);
                out.extend(w.down(&inner));
                out
            };
            for o in out {
                if let Out::N6(p) = o {
                    prop_assert_eq!(&p[12..16], &[10, 20, 0, 5]);
                }
            }
        }
    }
}
