//! Stories of apps whose names come from look-ups: what a listed resolver has answered to the SIM's own question narrows.

use super::*;
use types::NamesFrom;

const RESOLVER: &str = FILES;
const DB: &str = "192.168.2.9";
const NAME: &str = "dB.Example.jp";
const PORT: u16 = 40_000;
const ID: u16 = 0x1234;

/// A database by look-ups: it has a whole network, and of it what its name is. Both resolvers are reached by everybody.
fn named(generation: u64, from: NamesFrom, names: &[&str]) -> Policy {
    let mut p = policy(generation, &[]);
    let (mut app, mut rule) = (p.apps[0].clone(), p.rules[0].clone());
    app.name = "db".parse().unwrap();
    app.prefixes = vec!["192.168.2.0/24".parse().unwrap()];
    app.services = ["tcp/5432", "udp/443", "icmp"].iter().map(|s| s.parse().unwrap()).collect();
    app.names = names.iter().map(|n| n.parse().unwrap()).collect();
    app.names_from = from;
    (rule.name, rule.app, rule.subject) = ("db".parse().unwrap(), app.name.clone(), Subject::Sim(imsi(5)));
    p.apps.push(app);
    p.rules.push(rule);
    p.data_networks[0].dns = vec![RESOLVER.parse().unwrap()];
    // Not listed, and reached as well.
    p.apps[0].prefixes.push("192.168.1.11/32".parse().unwrap());
    p
}

fn adopt(w: &mut World, generation: u64, from: NamesFrom, names: &[&str]) {
    w.tell(ShardCommand::Policy(Arc::new(compile(&named(generation, from, names)).unwrap())));
}

fn world_with(limits: Limits) -> World {
    let mut w = World::with(limits);
    adopt(&mut w, 2, NamesFrom::Dns, &["db.example.jp", "*.apps.example.jp"]);
    w
}

fn world() -> World {
    world_with(Limits::default())
}

fn labels(name: &str) -> Vec<u8> {
    name.split('.').flat_map(|l| [&[l.len() as u8], l.as_bytes()].concat()).chain([0]).collect()
}

fn message(id: u16, flags: u16, name: &str, records: &[Vec<u8>]) -> Vec<u8> {
    let head: Vec<u8> =
        [id, flags, 1, records.len() as u16, 0, 0].iter().flat_map(|n| n.to_be_bytes()).collect();
    [head, labels(name), vec![0, 1, 0, 1], records.concat()].concat()
}

fn question(id: u16, name: &str) -> Vec<u8> {
    message(id, 0x0100, name, &[])
}

fn address(name: &str, ttl: u32, address: &str) -> Vec<u8> {
    let a: std::net::Ipv4Addr = address.parse().unwrap();
    [&labels(name)[..], &[0, 1, 0, 1], &ttl.to_be_bytes(), &[0, 4], &a.octets()].concat()
}

fn answer(id: u16, name: &str, ttl: u32, to: &str) -> Vec<u8> {
    message(id, 0x8180, name, &[address(name, ttl, to)])
}

/// The laptop asks the resolver; that passes, whatever it is.
fn ask(w: &mut World, octets: &[u8]) {
    let packet = udp(LAPTOP, PORT, RESOLVER, 53, octets);
    assert_eq!(w.up(5, &packet), [Out::N6(packet)]);
}

/// The resolver answers the laptop; that passes, whatever it is.
fn told(w: &mut World, octets: &[u8]) {
    assert_eq!(w.down(&udp(RESOLVER, 53, LAPTOP, PORT, octets)).len(), 1);
}

fn look_up(w: &mut World, name: &str, ttl: u32, to: &str) {
    ask(w, &question(ID, name));
    told(w, &answer(ID, name, ttl, to));
}

fn syn(port: u16, to: &str) -> Vec<u8> {
    tcp(LAPTOP, port, to, 5432, SYN)
}

fn passes(w: &mut World, packet: &[u8]) -> bool {
    let before = w.dropped(Reason::NotLookedUp);
    match w.up(5, packet).as_slice() {
        [Out::N6(p)] => *p == packet,
        // The sender is told, so that it does not wait.
        [Out::N3(..)] if w.dropped(Reason::NotLookedUp) == before + 1 => false,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_address_that_was_looked_up_passes_by_whatever_is_spoken_and_no_other() {
    let mut w = world();
    assert!(!passes(&mut w, &syn(1000, DB)), "before it was looked up");
    look_up(&mut w, NAME, 300, DB);
    assert!(passes(&mut w, &syn(1001, DB)));
    assert!(passes(&mut w, &udp(LAPTOP, 1002, DB, 443, b"quic")));
    assert!(passes(&mut w, &ping(LAPTOP, DB, true, 7)));
    assert!(!passes(&mut w, &syn(1003, "192.168.2.10")), "beside it");
    look_up(&mut w, "x.Apps.example.jp", 300, "192.168.2.10");
    assert!(passes(&mut w, &syn(1004, "192.168.2.10")));
    // A name narrows: what is outside of prefix, service and rule stays so.
    look_up(&mut w, NAME, 300, "192.168.3.9");
    w.up_dropped(5, &syn(1005, "192.168.3.9"), Reason::UnknownApp);
    w.up_dropped(5, &tcp(LAPTOP, 1006, DB, 22, SYN), Reason::UnknownApp);
    look_up(&mut w, NAME, 300, SECRET);
    assert!(matches!(w.up(5, &tcp(LAPTOP, 1007, SECRET, 443, SYN))[..], [Out::N3(..)]), "a rule rejects it");
    assert_eq!(w.shard.counters().names_learned, 4);
    assert_eq!(w.shard.lookups_held(), (0, 4));
    // The record says by which name.
    w.end(5);
    let r = w.records();
    let db: Vec<_> = r.iter().filter(|r| r.ue_port == 1001 || r.ue_port == 1004).collect();
    let names: Vec<_> = db.iter().filter_map(|r| r.name.as_ref()).map(|n| n.as_str()).collect();
    assert_eq!(names, ["x.apps.example.jp", "db.example.jp"]);
    // With the session what it has looked up is gone.
    assert_eq!((w.shard.lookups_held(), w.shard.names_of(imsi(5), w.now.mono)), ((0, 0), vec![]));
}

#[test]
fn only_the_answer_to_its_own_question_is_heard() {
    let right = answer(ID, NAME, 300, DB);
    let forged: &[(&str, Vec<u8>)] = &[
        ("another id", answer(ID + 1, NAME, 300, DB)),
        ("other letters", answer(ID, "db.example.jp", 300, DB)),
        ("another name", answer(ID, "dc.Example.jp", 300, DB)),
        ("another type", {
            let mut other = right.clone();
            other[12 + labels(NAME).len() + 1] = 28;
            other
        }),
        ("cut off", message(ID, 0x8380, NAME, &[address(NAME, 300, DB)])),
        ("no such name", message(ID, 0x8183, NAME, &[address(NAME, 300, DB)])),
        ("a question", question(ID, NAME)),
        ("an address of another", message(ID, 0x8180, NAME, &[address("evil.jp", 300, DB)])),
        (
            "a circle",
            message(
                ID,
                0x8180,
                NAME,
                &[[&labels(NAME)[..], &[0, 5, 0, 1, 0, 0, 0, 9, 0, 2, 0xc0, 12]].concat()],
            ),
        ),
        ("a stump", right[..right.len() - 1].to_vec()),
        ("nothing", Vec::new()),
    ];
    for (what, octets) in forged {
        let mut w = world();
        ask(&mut w, &question(ID, NAME));
        told(&mut w, octets);
        assert!(!passes(&mut w, &syn(1000, DB)), "{what}");
        assert_eq!(w.shard.counters().names_learned, 0, "{what}");
    }
    // Unasked, by another way, for somebody else, too late, or once more.
    let mut w = world();
    ask(&mut w, &question(ID, "wiki.example.jp"));
    told(&mut w, &answer(ID, NAME, 300, DB));
    assert_eq!(w.shard.lookups_held(), (0, 0), "nobody waits for a name of no app");
    ask(&mut w, &question(ID, NAME));
    for (from, port, sp) in [("192.168.1.11", PORT, 53), (RESOLVER, PORT + 1, 53), (RESOLVER, PORT, 54)] {
        w.down_dropped(&udp(from, sp, LAPTOP, port, &right), Reason::NoFlow);
    }
    // The PLC has asked the same by the same port and id; what it is told is not the laptop's.
    let of_plc = udp(PLC, PORT, RESOLVER, 53, &question(ID, NAME));
    assert_eq!(w.up(7, &of_plc).len(), 1);
    assert_eq!(w.down(&udp(RESOLVER, 53, PLC, PORT, &right)).len(), 1);
    assert!(!passes(&mut w, &syn(1000, DB)));
    w.wait(10_000);
    told(&mut w, &right);
    assert!(!passes(&mut w, &syn(1000, DB)), "ten seconds later");
    ask(&mut w, &question(ID, NAME));
    told(&mut w, &right);
    told(&mut w, &answer(ID, NAME, 300, "192.168.2.66"));
    assert!(!passes(&mut w, &syn(1001, "192.168.2.66")), "a second answer to one question");
    assert!(passes(&mut w, &syn(1001, DB)));
}

#[test]
fn nobody_listens_to_resolvers_that_are_not_listed_or_for_sims_without_such_apps() {
    let mut w = world();
    let packet = udp(LAPTOP, PORT, "192.168.1.11", 53, &question(ID, NAME));
    assert_eq!(w.up(5, &packet).len(), 1);
    assert_eq!(w.down(&udp("192.168.1.11", 53, LAPTOP, PORT, &answer(ID, NAME, 300, DB))).len(), 1);
    assert!(!passes(&mut w, &syn(1000, DB)));
    let of_plc = udp(PLC, PORT, RESOLVER, 53, &question(ID, NAME));
    assert_eq!(w.up(7, &of_plc).len(), 1);
    assert_eq!(w.shard.lookups_held(), (0, 0));
    // Until the names come from look-ups nobody listens to the laptop, either; from then on also to what is open.
    let mut w = World::new();
    adopt(&mut w, 2, NamesFrom::Tls, &["db.example.jp"]);
    look_up(&mut w, NAME, 300, DB);
    assert_eq!(w.shard.counters().names_learned, 0);
    adopt(&mut w, 3, NamesFrom::Dns, &["db.example.jp"]);
    look_up(&mut w, NAME, 300, DB);
    assert!(passes(&mut w, &syn(1000, DB)));
    adopt(&mut w, 4, NamesFrom::Tls, &["db.example.jp"]);
    ask(&mut w, &question(ID, NAME));
    assert_eq!(w.shard.lookups_held().0, 0);
}

#[test]
fn what_was_looked_up_ends_with_its_time_and_live_flows_go_on() {
    for (ttl, lives, over) in
        [(300, 299_999, 300_000), (0, 59_999, 60_000), (i32::MAX as u32, 86_399_999, 86_400_000)]
    {
        let mut w = world();
        look_up(&mut w, NAME, ttl, DB);
        let began = w.now;
        w.now = began.plus_ms(lives);
        assert!(passes(&mut w, &syn(1000, DB)), "{ttl}");
        w.now = began.plus_ms(over);
        assert!(!passes(&mut w, &syn(1001, DB)), "{ttl}");
        assert!(passes(&mut w, &tcp(LAPTOP, 1000, DB, 5432, ACK)), "an open flow goes on");
    }
    // Looked up again it holds for longer; for a shorter time, not for less.
    let mut w = world();
    look_up(&mut w, NAME, 300, DB);
    look_up(&mut w, NAME, 100, DB);
    let names = w.shard.names_of(imsi(5), w.now.mono);
    let [n] = names.as_slice() else { panic!("{names:?}") };
    assert_eq!(
        (n.name.as_str(), n.left_ms, n.resolver.to_string().as_str()),
        ("db.example.jp", 300_000, RESOLVER)
    );
}

#[test]
fn another_policy_ends_flows_whose_name_is_no_longer_one_of_the_app() {
    let mut w = world();
    look_up(&mut w, NAME, 300, DB);
    assert!(passes(&mut w, &syn(1000, DB)));
    adopt(&mut w, 3, NamesFrom::Dns, &["db.example.jp"]);
    assert!(passes(&mut w, &tcp(LAPTOP, 1000, DB, 5432, ACK)));
    adopt(&mut w, 4, NamesFrom::Dns, &["other.example.jp"]);
    w.records();
    assert!(!passes(&mut w, &tcp(LAPTOP, 1000, DB, 5432, ACK)));
    // What was looked up was not read from TLS.
    let mut w = world();
    look_up(&mut w, NAME, 300, DB);
    assert!(passes(&mut w, &syn(1000, DB)));
    adopt(&mut w, 3, NamesFrom::Tls, &["db.example.jp"]);
    let r = w.records();
    let ended: Vec<_> = r.iter().filter(|r| r.ue_port == 1000).map(|r| r.reason).collect();
    assert_eq!(ended, [Reason::PolicyChanged]);
}

#[test]
fn what_is_kept_has_bounds() {
    let limits = || Limits { lookups_per_sim: 4, names: 20, names_per_sim: 10, ..Limits::default() };
    let mut w = world_with(limits());
    // Questions without answers, each from a port of its own.
    for port in 0..10 {
        let packet = udp(LAPTOP, 2000 + port, RESOLVER, 53, &question(ID, NAME));
        assert_eq!(w.up(5, &packet).len(), 1);
    }
    assert_eq!((w.shard.lookups_held().0, w.shard.counters().lookups_left_out), (4, 6));
    // From one port: the newest are waited for.
    let mut w = world_with(limits());
    for id in 0..100 {
        ask(&mut w, &question(id, NAME));
    }
    told(&mut w, &answer(0, NAME, 300, DB));
    assert!(!passes(&mut w, &syn(1000, DB)));
    told(&mut w, &answer(99, NAME, 300, DB));
    assert!(passes(&mut w, &syn(1000, DB)));
    // An answer with many addresses, and many names: the SIM's own make room for one another.
    let pointed = |n: u8| [&[0xc0, 12, 0, 1, 0, 1, 0, 0, 1, 44, 0, 4][..], &[192, 168, 2, n]].concat();
    let many: Vec<Vec<u8>> = (0..64).map(pointed).collect();
    ask(&mut w, &question(ID, NAME));
    told(&mut w, &message(ID, 0x8180, NAME, &many));
    assert_eq!(w.shard.lookups_held(), (1, 10));
    for n in 0..30 {
        look_up(&mut w, &format!("h{n}.apps.example.jp"), 300, "192.168.2.77");
    }
    assert_eq!(w.shard.lookups_held().1, 10);
    assert!(passes(&mut w, &syn(1001, "192.168.2.77")));
    // Of all SIMs together: who is too late learns nothing, until what is old has ended.
    let mut w = world_with(Limits { names: 3, ..limits() });
    for n in 0..5 {
        look_up(&mut w, &format!("h{n}.apps.example.jp"), 60, &format!("192.168.2.{n}"));
    }
    assert_eq!(w.shard.lookups_held().1, 3);
    assert!(passes(&mut w, &syn(1002, "192.168.2.2")) && !passes(&mut w, &syn(1003, "192.168.2.3")));
    w.now = w.now.plus_ms(60_000);
    look_up(&mut w, NAME, 60, DB);
    assert!(passes(&mut w, &syn(1004, DB)));
    assert_eq!(w.shard.lookups_held().1, 1);
}

#[test]
fn a_fragment_or_an_error_about_a_question_teaches_nothing() {
    let mut w = world();
    ask(&mut w, &question(ID, NAME));
    let mut whole = udp(RESOLVER, 53, LAPTOP, PORT, &answer(ID, NAME, 300, DB));
    // More fragments follow.
    whole[6] = 0x20;
    whole[10..12].copy_from_slice(&[0, 0]);
    let sum = checksum(&[&whole[..20]]);
    whole[10..12].copy_from_slice(&sum.to_be_bytes());
    // Whether it goes on is the fragments' affair.
    w.down(&whole);
    let about = udp(LAPTOP, PORT, RESOLVER, 53, &question(ID, NAME));
    assert_eq!(w.down(&icmp_error(RESOLVER, LAPTOP, &about)).len(), 1);
    assert!(!passes(&mut w, &syn(1000, DB)));
    told(&mut w, &answer(ID, NAME, 300, DB));
    assert!(passes(&mut w, &syn(1000, DB)), "the whole answer is still waited for");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever comes back, in whatever order: only addresses that the right answer gives pass, and nothing is kept beyond
    /// its bounds.
    #[test]
    fn nothing_but_the_right_answer_opens(
        says in prop::collection::vec((0u16..3, 0usize..3, 0u8..4, any::<u8>(), any::<u8>()), 1..20),
    ) {
        let names = [NAME, "db.example.jp", "x.apps.example.jp"];
        let mut w = world();
        let mut right = std::collections::BTreeSet::new();
        ask(&mut w, &question(1, NAME));
        let mut open = true;
        for (id, name, last, at, turned) in says {
            let to = format!("192.168.2.{last}");
            let mut octets = answer(id, names[name], 300, &to);
            let place = usize::from(at) % octets.len();
            // Only what is in front of the record: its own octets are the resolver's word.
            let front = 12 + labels(names[name]).len() + 4;
            let changed = place < front && turned != 0;
            if changed {
                octets[place] ^= turned;
            }
            told(&mut w, &octets);
            let heard = dns_question(&octets) == dns_question(&answer(1, NAME, 300, DB));
            if heard && open {
                open = false;
                if wire::dns::answer(&octets).is_ok_and(|a| !a.addresses.is_empty()) {
                    right.insert(last);
                }
            }
        }
        for last in 0..4u8 {
            let port = 3000 + u16::from(last);
            prop_assert_eq!(passes(&mut w, &syn(port, &format!("192.168.2.{last}"))), right.contains(&last));
        }
    }
}

/// The question of a message that can be read as an answer.
fn dns_question(octets: &[u8]) -> Option<wire::dns::Question> {
    wire::dns::answer(octets).ok().map(|a| a.question)
}
