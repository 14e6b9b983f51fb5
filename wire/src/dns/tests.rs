use super::*;
use proptest::prelude::*;

const NAME: &str = "wIKi.Example.jp";

fn labels(name: &str) -> Vec<u8> {
    let label = |l: &str| [&[l.len() as u8], l.as_bytes()].concat();
    let mut all: Vec<u8> = name.split('.').filter(|l| !l.is_empty()).flat_map(label).collect();
    all.push(0);
    all
}

fn head(id: u16, flags: u16, questions: u16, answers: u16) -> Vec<u8> {
    [id, flags, questions, answers, 0, 0].iter().flat_map(|n| n.to_be_bytes()).collect()
}

fn asked(name: &[u8], kind: u16) -> Vec<u8> {
    [name, &kind.to_be_bytes(), &[0, 1]].concat()
}

fn record(owner: &[u8], kind: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let len = (data.len() as u16).to_be_bytes();
    [owner, &kind.to_be_bytes(), &[0, 1], &ttl.to_be_bytes(), &len, data].concat()
}

/// An answer of type A to a question for [`NAME`].
fn told(records: &[Vec<u8>]) -> Vec<u8> {
    [head(7, 0x8180, 1, records.len() as u16), asked(&labels(NAME), 1), records.concat()].concat()
}

fn a(owner: &str, ttl: u32, last: u8) -> Vec<u8> {
    record(&labels(owner), 1, ttl, &[10, 10, 1, last])
}

fn alias(owner: &str, to: &str, ttl: u32) -> Vec<u8> {
    record(&labels(owner), 5, ttl, &labels(to))
}

fn read(records: &[Vec<u8>]) -> Result<(Vec<String>, u32), NoDns> {
    let answer = answer(&told(records))?;
    Ok((answer.addresses.iter().map(ToString::to_string).collect(), answer.ttl))
}

/// Where the name of the question begins: what a pointer leads to first of all.
const TO_NAME: [u8; 2] = [0xc0, 12];

#[test]
fn a_question_keeps_its_spelling_and_an_answer_is_held_against_it() {
    let sent = [head(7, 0x0100, 1, 0), asked(&labels(NAME), 1)].concat();
    let q = question(&sent).unwrap();
    assert_eq!((q.id, q.kind, q.name().unwrap().as_str()), (7, Kind::A, "wiki.example.jp"));
    let back =
        |name: &str| answer(&[head(7, 0x8180, 1, 0), asked(&labels(name), 1)].concat()).unwrap().question;
    assert_eq!(back(NAME), q);
    assert_ne!(back("wiki.example.jp"), q, "other letters (0x20)");
    assert_ne!(back("wIKi.Example.jpn"), q);
    // With EDNS (RFC 6891) behind it, as most ask today.
    let mut edns = sent.clone();
    edns[11] = 1;
    edns.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    assert_eq!(question(&edns).unwrap(), q);
    let six = question(&[head(9, 0x0100, 1, 0), asked(&labels(NAME), 28)].concat()).unwrap();
    assert_eq!((six.kind, six.id), (Kind::Aaaa, 9));
    let root = question(&[head(9, 0x0100, 1, 0), asked(&[0], 1)].concat()).unwrap();
    assert_eq!(root.name(), None);
}

#[test]
fn what_is_no_plain_question_is_refused() {
    let ask = |flags, questions, answers, kind, class: u8| {
        let mut m = [head(7, flags, questions, answers), asked(&labels(NAME), kind)].concat();
        *m.last_mut().unwrap() = class;
        question(&m).map(drop)
    };
    assert_eq!(ask(0x0100, 1, 0, 1, 1), Ok(()));
    for (bad, why) in [
        (ask(0x8100, 1, 0, 1, 1), "an answer"),
        (ask(0x0100, 1, 1, 1, 1), "an answer"),
        (ask(0x2800, 1, 0, 1, 1), "another operation"),
        (ask(0x0100, 0, 0, 1, 1), "not one question"),
        (ask(0x0100, 2, 0, 1, 1), "not one question"),
        (ask(0x0100, 1, 0, 16, 1), "another type or class"),
        (ask(0x0100, 1, 0, 1, 3), "another type or class"),
    ] {
        assert_eq!(bad, Err(NoDns::Other(why)));
    }
    assert_eq!(
        answer(&[head(7, 0x0100, 1, 0), asked(&labels(NAME), 1)].concat()),
        Err(NoDns::Other("a question"))
    );
    let cut_off = [head(7, 0x8380, 1, 0), asked(&labels(NAME), 1)].concat();
    assert_eq!(answer(&cut_off), Err(NoDns::Truncated));
}

#[test]
fn addresses_are_those_of_the_name_or_of_its_aliases_for_the_shortest_time() {
    let pointed = record(&TO_NAME, 1, 300, &[10, 10, 1, 5]);
    assert_eq!(read(std::slice::from_ref(&pointed)).unwrap(), (vec!["10.10.1.5".to_owned()], 300));
    let chain = [alias(NAME, "a.example.jp", 600), alias("A.example.jp", "b.jp", 90), a("B.jp", 300, 7)];
    let there = Ok((vec!["10.10.1.7".to_owned()], 90));
    assert_eq!(read(&chain), there);
    assert_eq!(read(&chain.iter().rev().cloned().collect::<Vec<_>>()), there, "in whatever order");
    // Of others nothing is taken, nor of another family, class or type.
    let mut chaos = a(NAME, 300, 9);
    chaos[labels(NAME).len() + 3] = 3;
    let six = record(&TO_NAME, 28, 300, &[1; 16]);
    let text = record(&TO_NAME, 16, 1, b"\x04text");
    let others =
        [a("evil.jp", 300, 66), a("example.jp", 300, 67), chaos, six, text, pointed.clone(), pointed];
    assert_eq!(read(&others).unwrap(), (vec!["10.10.1.5".to_owned()], 300));
    assert_eq!(read(&[a(NAME, 300, 2), a(NAME, 200, 1)]).unwrap().1, 200);
    // RFC 2181 §8.
    assert_eq!(read(&[a(NAME, 1 << 31, 1)]).unwrap().1, 0);
    assert_eq!(read(&[a(NAME, i32::MAX as u32, 1)]).unwrap().1, i32::MAX as u32);
    assert_eq!(read(&[alias(NAME, "a.jp", 600)]).unwrap(), (vec![], 0), "an alias of nobody");
    let no_such_name = [head(7, 0x8183, 1, 1), asked(&labels(NAME), 1), a(NAME, 300, 1)].concat();
    assert_eq!(answer(&no_such_name).unwrap().addresses, Vec::<IpAddr>::new());
}

#[test]
fn circles_and_contradictions_are_refused() {
    for (records, why) in [
        (vec![alias(NAME, NAME, 9)], NoDns::TooMany("aliases")),
        (vec![alias(NAME, "a.jp", 9), alias("a.jp", NAME, 9)], NoDns::TooMany("aliases")),
        (vec![alias(NAME, "a.jp", 9), alias(NAME, "b.jp", 9), a("b.jp", 9, 1)], NoDns::Records("alias")),
        (vec![alias(NAME, "a.jp", 9), a(NAME, 9, 1)], NoDns::Records("alias")),
        (vec![record(&TO_NAME, 1, 9, &[10, 10, 1])], NoDns::Records("address")),
        (vec![record(&TO_NAME, 1, 9, &[1; 16])], NoDns::Records("address")),
        (vec![record(&TO_NAME, 5, 9, &[labels("a.jp"), vec![0]].concat())], NoDns::Records("alias")),
        (vec![a(NAME, 9, 1); MOST_RECORDS + 1], NoDns::TooMany("records")),
    ] {
        assert_eq!(read(&records), Err(why));
    }
    let chain = |n: usize| -> Vec<Vec<u8>> {
        let name = |k: usize| if k == 0 { NAME.to_owned() } else { format!("n{k}.jp") };
        (0..n).map(|k| alias(&name(k), &name(k + 1), 9)).chain([a(&name(n), 9, 1)]).collect()
    };
    assert_eq!(read(&chain(MOST_ALIASES)).unwrap().0.len(), 1);
    assert_eq!(read(&chain(MOST_ALIASES + 1)), Err(NoDns::TooMany("aliases")));
}

#[test]
fn pointers_lead_backwards_and_names_are_of_hosts() {
    let begin = told(&[]).len();
    let to = |at: usize| [0xc0 | (at >> 8) as u8, at as u8];
    for (owner, at) in [
        // To itself, to what comes behind it, and into the middle of its own part.
        (to(begin).to_vec(), begin),
        (to(begin + 9).to_vec(), begin),
        ([&[1, b'a'][..], &to(begin)].concat(), begin + 2),
        ([&[1, b'a'][..], &to(begin + 2)].concat(), begin + 2),
        // No length of a label.
        (vec![0x40, 1], begin),
        (vec![0x80, 1], begin),
        (labels("a b.jp"), begin),
        (labels("日本.jp"), begin),
        ([&[3][..], b"a.b", &[0]].concat(), begin),
    ] {
        assert_eq!(read(&[record(&owner, 1, 9, &[10, 10, 1, 5])]), Err(NoDns::Name(at)), "{owner:?}");
    }
    // Two that lead to one another: the second one leads forward.
    let two = [record(&to(begin + 16), 1, 9, &[0; 4]), record(&to(begin), 1, 9, &[0; 4])];
    assert_eq!(read(&two), Err(NoDns::Name(begin)));
    // A name of more octets than a name has, put together of short parts.
    let long: String = (0..125).map(|_| "a.").collect();
    let owner = |more: &str| labels(&format!("{long}{more}"));
    assert_eq!(read(&[record(&owner("aaa"), 1, 9, &[0; 4])]).unwrap().0.len(), 0);
    assert!(matches!(read(&[record(&owner("aaaa"), 1, 9, &[0; 4])]), Err(NoDns::Name(_))));
    // Reserved or not, pointers may be chained as long as each leads to before the last.
    let first = record(&[&[1, b'x'][..], &TO_NAME].concat(), 1, 9, &[0; 4]);
    let second = record(&[&[1, b'y'][..], &to(begin)].concat(), 1, 9, &[0; 4]);
    assert_eq!(read(&[first, second]).unwrap().0.len(), 0);
}

#[test]
fn whatever_is_cut_off_is_refused() {
    let whole = told(&[alias(NAME, "a.jp", 90), record(&labels("a.jp"), 1, 60, &[10, 10, 1, 5])]);
    assert_eq!(answer(&whole).unwrap().addresses.len(), 1);
    for n in 0..whole.len() {
        assert!(matches!(answer(&whole[..n]), Err(NoDns::Short(_))), "{n}");
    }
}

/// What dnspython wrote.
#[test]
fn messages_of_another_encoder_are_read_as_it_meant_them() {
    let text = include_str!("../../../fixtures/dns/dnspython.tsv");
    let octets = |hex: &str| -> Vec<u8> {
        hex.as_bytes()
            .chunks(2)
            .map(|o| u8::from_str_radix(std::str::from_utf8(o).unwrap(), 16).unwrap())
            .collect()
    };
    let mut read = 0;
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        let [what, way, id, name, kind, addresses, ttl, hex] = line.split('\t').collect::<Vec<_>>()[..]
        else {
            panic!("{line}")
        };
        let message = octets(hex);
        let q = if way == "question" {
            question(&message).unwrap()
        } else {
            let a = answer(&message).unwrap();
            let told: Vec<String> = a.addresses.iter().map(ToString::to_string).collect();
            let told = if told.is_empty() { "-".to_owned() } else { told.join(",") };
            assert_eq!((told.as_str(), a.ttl.to_string().as_str()), (addresses, ttl), "{what}");
            a.question
        };
        let is = if q.kind == Kind::A { "A" } else { "AAAA" };
        assert_eq!((q.id.to_string().as_str(), &*q.spelled, is), (id, name, kind), "{what}");
        assert!(q.name().is_some(), "{what}");
        read += 1;
    }
    assert_eq!(read, 11);
}

#[test]
fn a_resolver_of_one_name_answers_that_and_refuses_everything_else() {
    let name: ServerName = "check.corp.example".parse().unwrap();
    let ours: Vec<IpAddr> = ["10.255.255.1", "fd00:ff::1"].map(|a| a.parse().unwrap()).into();
    let ask = |id, flags, name: &str, kind, class: u8| {
        let mut m = [head(id, flags, 1, 0), asked(&labels(name), kind)].concat();
        *m.last_mut().unwrap() = class;
        m
    };
    for (kind, address) in [(1, ours[0]), (28, ours[1])] {
        // The spelling comes back as it was.
        let sent = ask(77, 0x0100, "Check.CORP.example", kind, 1);
        let told = answer(&reply(&sent, &name, &ours).unwrap()).unwrap();
        assert_eq!(
            (&told.question, told.addresses, told.ttl),
            (&question(&sent).unwrap(), vec![address], 60)
        );
    }
    let code = |m: &[u8]| reply(m, &name, &ours).map(|r| (r[2] & 0x80, r[3] & 0xf, r[7], r.len()));
    let mine = |kind, class| ask(1, 0x0100, "check.corp.example", kind, class);
    let (len, other) = (mine(1, 1).len(), ask(1, 0x0100, "evil.corp.example", 1, 1));
    // Of our name there is nothing else; of other names, classes and operations nothing at all, and nothing longer.
    for kind in [16, 65, 255, 5] {
        assert_eq!(code(&mine(kind, 1)), Some((0x80, 0, 0, len)), "{kind}");
    }
    assert_eq!(code(&other), Some((0x80, 5, 0, other.len())));
    for class in [3, 254, 255] {
        assert_eq!(code(&mine(1, class)), Some((0x80, 5, 0, len)), "{class}");
    }
    for name in ["", "corp.example", "a.check.corp.example"] {
        assert_eq!(code(&ask(1, 0x0100, name, 1, 1)).unwrap().1, 5, "{name}");
    }
    assert_eq!(code(&ask(1, 0x2900, "check.corp.example", 1, 1)), Some((0x80, 5, 0, len)), "an update");
    // What could be answered in a circle, or is no message, is not answered.
    for nothing in
        [ask(1, 0x8180, "check.corp.example", 1, 1), other[..20].to_vec(), head(1, 0x0100, 0, 0), vec![]]
    {
        assert_eq!(code(&nothing), None);
    }
    let mut two = mine(1, 1);
    two[5] = 2;
    assert_eq!(code(&two), None);
    let only_six = reply(&mine(1, 1), &name, &ours[1..]).unwrap();
    assert_eq!((only_six[3] & 0xf, only_six[7]), (0, 0), "it has no such address");
}

proptest! {
    /// Whatever octets come, neither reading panics, and what is read is within its bounds.
    #[test]
    fn nothing_panics(octets in prop::collection::vec(any::<u8>(), 0..200), flags in prop::sample::select(vec![0x0100u16, 0x8180])) {
        let message = [head(7, flags, 1, u16::from(octets.first().copied().unwrap_or(0) % 5)), octets].concat();
        if let Ok(q) = question(&message) {
            prop_assert!(q.spelled.len() + 2 <= NAME_OCTETS);
        }
        let name: ServerName = "a.jp".parse().unwrap();
        if let Some(reply) = reply(&message, &name, &["10.0.0.1".parse().unwrap()]) {
            prop_assert!(reply.len() <= message.len() + 16 && reply[2] & 0x80 != 0);
        }
        if let Ok(answer) = answer(&message) {
            prop_assert!(answer.addresses.len() <= MOST_RECORDS && answer.ttl <= i32::MAX as u32);
        }
    }

    /// An octet that is turned in the question of an answer makes it the answer to another question, or none.
    #[test]
    fn an_answer_to_another_question_is_seen(at in 12usize..33, bit in 0u32..8, id in any::<u16>()) {
        let sent = [head(id, 0x0100, 1, 0), asked(&labels(NAME), 1)].concat();
        let mut back = [head(id, 0x8180, 1, 1), asked(&labels(NAME), 1), a(NAME, 60, 1)].concat();
        let asked_for = question(&sent).unwrap();
        prop_assert_eq!(&answer(&back).unwrap().question, &asked_for);
        back[at] ^= 1 << bit;
        prop_assert!(answer(&back).map_or(true, |a| a.question != asked_for));
    }
}
