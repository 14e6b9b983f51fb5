//! True Diameter messages told otherwise, for tests: each AVP, at each depth, spoilt in every way that the record of
//! docs/hostile.md knows. Whatever holds it is as long as it is then, so that only what is meant is wrong.

const VENDOR: u8 = 0x80;
/// Those of the requests that we read, and Failed-AVP and Proxy-Info.
const GROUPS: [u32; 11] = [260, 279, 284, 443, 628, 1016, 1034, 1049, 1401, 1408, 458];

/// An AVP of a message: where it begins, its length without padding, and where the groups begin that hold it.
struct Place {
    at: usize,
    len: usize,
    around: Vec<usize>,
}

fn word(octets: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(octets[at..at + 4].try_into().unwrap())
}

fn length(octets: &[u8], at: usize) -> usize {
    (word(octets, at) & 0x00ff_ffff) as usize
}

fn head(flags: u8) -> usize {
    if flags & VENDOR == 0 { 8 } else { 12 }
}

fn places(octets: &[u8], mut at: usize, end: usize, around: &[usize], all: &mut Vec<Place>) {
    while at < end {
        let len = length(octets, at + 4);
        all.push(Place { at, len, around: around.to_vec() });
        if GROUPS.contains(&word(octets, at)) {
            places(octets, at + head(octets[at + 4]), at + len, &[around, &[at]].concat(), all);
        }
        at += len.next_multiple_of(4);
    }
}

fn with(octets: &[u8], p: &Place, instead: &[u8]) -> Vec<u8> {
    let end = p.at + p.len.next_multiple_of(4);
    let mut m = [&octets[..p.at], instead, &octets[end..]].concat();
    for at in p.around.iter().map(|a| a + 4).chain([0]) {
        let len = (length(octets, at) + instead.len() - (end - p.at)) as u32;
        m[at + 1..at + 4].copy_from_slice(&len.to_be_bytes()[1..]);
    }
    m
}

/// An AVP that says that it is so long, padded.
fn avp(code: u32, flags: u8, vendor: u32, len: usize, data: &[u8]) -> Vec<u8> {
    let mut out = code.to_be_bytes().to_vec();
    out.push(flags);
    out.extend_from_slice(&(len as u32).to_be_bytes()[1..]);
    if flags & VENDOR != 0 {
        out.extend_from_slice(&vendor.to_be_bytes());
    }
    out.extend_from_slice(data);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

/// The message with each of its AVPs spoilt in each way, one at a time.
pub(crate) fn each_avp_spoilt(octets: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    places(octets, 20, octets.len(), &[], &mut all);
    all.iter()
        .flat_map(|p| ways(octets, p).into_iter().map(move |instead| with(octets, p, &instead)))
        .collect()
}

fn ways(octets: &[u8], p: &Place) -> Vec<Vec<u8>> {
    let (code, flags) = (word(octets, p.at), octets[p.at + 4]);
    let head = head(flags);
    let vendor = if flags & VENDOR == 0 { 0 } else { word(octets, p.at + 8) };
    let data = &octets[p.at + head..p.at + p.len];
    let is = |data: &[u8]| avp(code, flags, vendor, head + data.len(), data);
    let good = is(data);
    let mut first = data.to_vec();
    first.iter_mut().take(1).for_each(|b| *b ^= 0xff);
    let short = &data[..data.len().saturating_sub(1)];
    let mut ways = vec![
        Vec::new(),
        [&good[..], &good].concat(),
        [&good[..], &good, &good].concat(),
        is(&[]),
        is(short),
        is(&[data, b"0"].concat()),
        is(&[data, &vec![b'0'; 30_000]].concat()),
        is(&vec![0xff; data.len()]),
        is(&vec![0; data.len()]),
        is(&first),
        // Inside itself, again and again.
        (0..1_000).fold(good.clone(), |inner, _| is(&inner)),
        // Of nobody, or of somebody else; wanted by all means, or not; with flags that nobody knows.
        avp(code, flags & !VENDOR, 0, 8 + data.len(), data),
        avp(code, flags | VENDOR, 0, 12 + data.len(), data),
        avp(code, flags | VENDOR, 4711, 12 + data.len(), data),
        avp(code, flags | VENDOR, u32::MAX, 12 + data.len(), data),
        avp(code, flags ^ 0x40, vendor, p.len, data),
        avp(code, flags | 0x20, vendor, p.len, data),
        avp(code, flags | 0x1f, vendor, p.len, data),
        avp(code ^ 0x8000_0000, flags, vendor, p.len, data),
    ];
    // Lengths that lie: shorter than a header, than itself, into what follows, beyond everything.
    let lies = (0..=12).chain([p.len.saturating_sub(1), p.len + 1, p.len + 4, 0xffff, 0x00ff_ffff]);
    ways.extend(lies.map(|lie| avp(code, flags, vendor, lie, data)));
    ways
}
