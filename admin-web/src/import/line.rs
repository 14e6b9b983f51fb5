//! One line: checked by itself, then against the file's other lines and what the store has.

use super::{Finding, Raw, columns::Column};
use hss::{Algorithm, CardKeys, SqnMode, SqnProfile, SqnState, TuakK, TuakKeys, Vault};
use ipnet::IpNet;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::Ipv4Addr,
    num::NonZeroU8,
    str::FromStr,
};
use store::{
    ImportEdit, ImportFacts, ImportNames, NewSimKeys, SimEdit, SimLinks, SimRow, SqnRow, Store, StoreError,
};
use types::{
    DataNetwork, Dnn, Group, Iccid, Imei, Imsi, K, Key128, Key256, Name, Opc, Plmn, SimState, Snssai, Utc,
};

const GIGABIT: u64 = 1_000_000_000;

/// What of the store every line is checked against.
pub(super) struct Facts {
    pools: BTreeMap<Dnn, IpNet>,
    groups: BTreeSet<Name>,
    plmn: Option<Plmn>,
}

impl Facts {
    pub(super) async fn load(store: &Store, plmn: Option<Plmn>) -> Result<Self, StoreError> {
        let (mut pools, mut groups) = (BTreeMap::new(), BTreeSet::new());
        let mut after: Option<String> = None;
        loop {
            let page = store.list::<DataNetwork>(after.as_deref(), 1000).await?;
            pools.extend(page.items.into_iter().map(|v| (v.value.dnn, v.value.pool)));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        loop {
            let page = store.list::<Group>(after.as_deref(), 1000).await?;
            groups.extend(page.items.into_iter().map(|v| v.value.name));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(Self { pools, groups, plmn })
    }
}

/// What earlier lines of the file named, with their lines.
#[derive(Default)]
pub(super) struct Seen {
    imsis: HashMap<Imsi, u64>,
    iccids: HashMap<Iccid, u64>,
    keys: HashMap<Vec<u8>, u64>,
    addresses: HashMap<(Dnn, Ipv4Addr), u64>,
    /// Of the line that was read last.
    pub(super) warnings: Vec<Finding>,
}

impl Drop for Seen {
    fn drop(&mut self) {
        use zeroize::Zeroize as _;
        for (mut k, _) in self.keys.drain() {
            k.zeroize();
        }
    }
}

/// A line that is right by itself. `None` is an empty cell (or no such column): what is there stays.
pub(super) struct Line {
    pub(super) line: u64,
    pub(super) imsi: Imsi,
    keys: Option<CardKeys>,
    iccid: Option<Option<Iccid>>,
    label: Option<String>,
    state: Option<SimState>,
    groups: Option<BTreeSet<Name>>,
    dnns: Option<Vec<Dnn>>,
    static_ips: Option<BTreeMap<Dnn, Ipv4Addr>>,
    slices: Option<Vec<Snssai>>,
    ul: Option<u64>,
    dl: Option<u64>,
    device: Option<Option<String>>,
    asset: Option<Option<Name>>,
    person: Option<Option<Name>>,
    site: Option<Option<Name>>,
    profile: SqnProfile,
    exported_seq: Option<u64>,
}

/// What is to become of a line.
pub(super) enum Verdict {
    /// Nothing: it has errors.
    Wrong(Vec<Finding>),
    /// A new SIM; without its row where nothing is to be written.
    New(Option<Box<SimRow>>),
    /// A SIM that is there and differs in these columns.
    Changed(Box<ImportEdit>, Vec<&'static str>),
    /// A SIM that is there and is as the line says.
    Same,
}

/// The cells of a line while they are read.
struct Cells<'a> {
    raw: &'a Raw,
    found: Vec<Finding>,
}

impl<'a> Cells<'a> {
    /// What stands in a column; `None` where it is empty or not there.
    fn text(&self, c: Column) -> Option<&'a str> {
        let cell = self.raw.cells.iter().find(|(o, _)| *o == c)?;
        let text = cell.1.as_str();
        (!text.is_empty()).then_some(text)
    }

    fn wrong(&mut self, c: Column, code: &'static str) {
        self.found.push(Finding::new(self.raw.line, c.name(), code));
    }

    fn wrong_text(&mut self, c: Column, code: &'static str, text: &str) {
        self.found.push(Finding::new(self.raw.line, c.name(), code).text(text));
    }

    fn parse<T: FromStr>(&mut self, c: Column, code: &'static str) -> Option<T> {
        let text = self.text(c)?;
        match text.parse() {
            Ok(v) => Some(v),
            Err(_) => {
                self.wrong_text(c, code, text);
                None
            }
        }
    }

    /// A column in which `-` takes away what is there.
    fn clearable<T>(
        &mut self,
        c: Column,
        read: impl FnOnce(&mut Self, &str) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.text(c)? {
            "-" => Some(None),
            text => read(self, text).map(Some),
        }
    }

    /// A list, separated by `;`, spaces or commas.
    fn list<T: FromStr>(&mut self, c: Column, code: &'static str) -> Option<Vec<T>> {
        let text = self.text(c)?;
        let mut all = Vec::new();
        if text == "-" {
            return Some(all);
        }
        for part in text.split([';', ' ', ',', '\u{3000}']).filter(|p| !p.is_empty()) {
            match part.parse() {
                Ok(v) => all.push(v),
                Err(_) => self.wrong_text(c, code, part),
            }
        }
        Some(all)
    }

    fn key<T>(&mut self, c: Column, read: impl Fn(&str) -> Result<T, &'static str>) -> Option<T> {
        let text = self.text(c)?;
        // Suppliers write octets apart.
        let plain: zeroize::Zeroizing<String> =
            zeroize::Zeroizing::new(text.chars().filter(|c| !matches!(c, ' ' | ':' | '-')).collect());
        match read(&plain) {
            Ok(k) => Some(k),
            Err(_) => {
                self.wrong(c, "bad-key");
                None
            }
        }
    }
}

/// K with what the operator adds, of one algorithm.
fn keys(c: &mut Cells<'_>) -> Option<CardKeys> {
    let algorithm = c.parse(Column::Algorithm, "bad-algorithm").unwrap_or(Algorithm::Milenage);
    let ([bound, general], others) = match algorithm {
        Algorithm::Milenage => {
            ([Column::Opc, Column::Op], &[Column::Topc, Column::Top, Column::Iterations][..])
        }
        Algorithm::Tuak => ([Column::Topc, Column::Top], &[Column::Opc, Column::Op][..]),
    };
    for other in others {
        if c.text(*other).is_some() {
            c.wrong_text(*other, "other-algorithm", algorithm.as_str());
        }
    }
    if c.text(bound).is_some() && c.text(general).is_some() {
        c.wrong(general, "both-operator");
    }
    let given = (c.text(Column::K).is_some(), c.text(bound).or(c.text(general)).is_some());
    if given.0 != given.1 {
        c.wrong(if given.0 { bound } else { Column::K }, "key-incomplete");
    }
    match algorithm {
        Algorithm::Milenage => {
            let k = c.key(Column::K, K::from_hex);
            let (opc, op) = (c.key(bound, Opc::from_hex), c.key(general, Key128::from_hex));
            let k = k?;
            let opc = opc.or_else(|| op.map(|op| hss::opc(&k, op.expose())))?;
            Some(CardKeys::Milenage { k, opc })
        }
        Algorithm::Tuak => {
            let k = c.key(Column::K, |t| match t.len() {
                32 => K::from_hex(t).map(TuakK::Short),
                _ => Key256::from_hex(t).map(TuakK::Long),
            });
            let (topc, top) = (c.key(bound, Key256::from_hex), c.key(general, Key256::from_hex));
            let iterations = c.parse(Column::Iterations, "bad-iterations").unwrap_or(NonZeroU8::MIN);
            let k = k?;
            Some(CardKeys::Tuak(match (topc, top) {
                (Some(topc), _) => TuakKeys { k, topc, iterations },
                (None, top) => TuakKeys::with_top(k, &top?, iterations),
            }))
        }
    }
}

/// The octets of K.
fn k_of(keys: &CardKeys) -> &[u8] {
    match keys {
        CardKeys::Milenage { k, .. } => k.expose(),
        CardKeys::Tuak(t) => t.k.expose(),
    }
}

/// K of published examples and of the open cores' own documentation.
const KNOWN: [&str; 8] = [
    // TS 35.208 §4.3, the sets that everybody copies; the first is also that of Open5GS.
    "465b5ce8b199b49faa5f0a2ee238a6bc",
    "0396eb317b6d1c36f19c1c84cd6ffd16",
    "fec86ba6eb707ed08905757b1bb44b8f",
    "9e5944aea94b81165c82fbf9f32db751",
    // free5GC and UERANSIM.
    "8baf473f2f8fd09487cccbd7097c6862",
    // OpenAirInterface.
    "0c0a34601d4f07677303652c0462535b",
    // srsRAN.
    "00112233445566778899aabbccddeeff",
    "000102030405060708090a0b0c0d0e0f",
];

/// True for a key that everybody knows, or that nobody drew.
fn is_known(octets: &[u8]) -> bool {
    let same = octets.iter().all(|b| Some(b) == octets.first());
    same || KNOWN.iter().any(|t| Key128::from_hex(t).is_ok_and(|known| known.expose().as_slice() == octets))
}

/// What is left of a long number in a cell that a spreadsheet took for one. A key may look like one by chance, but has no
/// sign and no point.
fn is_rounded(c: Column, text: &str) -> bool {
    let number = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'+');
    let Some((mantissa, exponent)) = text.split_once(['e', 'E']) else {
        return text.split_once('.').is_some_and(|(a, b)| number(a) && number(b));
    };
    let key = c.is_key();
    number(mantissa) && number(exponent) && (!key || text.contains(['.', '+']))
}

/// Columns whose digits mean something one by one.
const EXACT: [Column; 8] = [
    Column::Imsi,
    Column::K,
    Column::Opc,
    Column::Op,
    Column::Topc,
    Column::Top,
    Column::Iccid,
    Column::Device,
];

/// Names every cell that lost something on its way here. True where one did.
fn lost(c: &mut Cells<'_>, facts: &Facts) -> bool {
    for (column, text) in &c.raw.cells {
        if text.contains('\u{fffd}') {
            c.wrong(*column, "lost-character");
        }
    }
    for column in EXACT {
        match c.text(column) {
            Some(t) if is_rounded(column, t) => c.wrong_text(column, "spreadsheet-number", t),
            _ => {}
        }
    }
    if let (Some(t), Some(plmn)) = (c.text(Column::Imsi), facts.plmn) {
        let begin = format!("{}{}", plmn.mcc(), plmn.mnc());
        let whole = format!("{t:0>15}");
        let digits = t.bytes().all(|b| b.is_ascii_digit());
        if digits && (10..15).contains(&t.len()) && whole.starts_with(&begin) && !t.starts_with(&begin) {
            let f = Finding::new(c.raw.line, Column::Imsi.name(), "zeros-lost");
            c.found.push(f.text(t).other(whole));
        }
    }
    if let Some(t) = c.text(Column::Iccid) {
        let behind = t.get(15..).unwrap_or_default();
        if behind.len() >= 3 && behind.bytes().all(|b| b == b'0') && t.parse::<Iccid>().is_err() {
            c.wrong_text(Column::Iccid, "digits-lost", t);
        }
    }
    !c.found.is_empty()
}

/// The device of an IMEI: 14 digits, or 15 with their check digit, or 16 with a software version behind the 14.
fn device_of(c: &mut Cells<'_>, text: &str) -> Option<String> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    let body = text.get(..14).filter(|_| digits && text.len() <= 16);
    match body {
        None => c.wrong_text(Column::Device, "bad-device", text),
        Some(_) if text.len() == 15 && text.parse::<Imei>().is_err() => {
            c.wrong_text(Column::Device, "bad-check-digit", text);
            return None;
        }
        Some(_) => {}
    }
    body.map(ToOwned::to_owned)
}

/// Reads a line by itself, and against the lines before it.
pub(super) fn parse(raw: &Raw, facts: &Facts, seen: &mut Seen) -> Result<Line, Vec<Finding>> {
    let mut c = Cells { raw, found: Vec::new() };
    // What is said of such a cell beside this would only hide it.
    if lost(&mut c, facts) {
        return Err(c.found);
    }
    let imsi: Option<Imsi> = c.parse(Column::Imsi, "bad-imsi");
    if let (Some(i), Some(plmn)) = (imsi, facts.plmn)
        && !i.to_string().starts_with(&format!("{}{}", plmn.mcc(), plmn.mnc()))
    {
        let f = Finding::new(raw.line, Column::Imsi.name(), "other-plmn");
        seen.warnings.push(f.text(i.to_string()).other(plmn.to_string()));
    }
    if imsi.is_none() && c.text(Column::Imsi).is_none() {
        c.wrong(Column::Imsi, "needed");
    }
    let keys = keys(&mut c);
    if keys.as_ref().is_some_and(|k| is_known(k_of(k))) {
        seen.warnings.push(Finding::new(raw.line, Column::K.name(), "test-key"));
    }
    let iccid = c.clearable(Column::Iccid, |c, _| c.parse(Column::Iccid, "bad-iccid"));
    let label = c.clearable(Column::Label, |_, t| Some(t.to_owned())).map(Option::unwrap_or_default);
    if label.as_ref().is_some_and(|l| l.chars().count() > 200 || l.chars().any(char::is_control)) {
        c.wrong(Column::Label, "bad-label");
    }
    let state: Option<SimState> = c.parse(Column::State, "bad-state");
    if let Some(s) = state.filter(|s| !matches!(s, SimState::Stock | SimState::Ready | SimState::Active)) {
        c.wrong_text(Column::State, "bad-state", &s.to_string());
    }
    let groups: Option<Vec<Name>> = c.list(Column::Groups, "bad-name");
    for g in groups.iter().flatten().filter(|g| !facts.groups.contains(g)) {
        c.wrong_text(Column::Groups, "no-group", g.as_str());
    }
    let dnns = dnns(&mut c, facts);
    let static_ips = static_ips(&mut c, facts);
    let slices = c.list(Column::Slices, "bad-slice");
    let (ul, dl) = (rate(&mut c, Column::AmbrUl), rate(&mut c, Column::AmbrDl));
    let device = c.clearable(Column::Device, device_of);
    let mut link = |column| c.clearable(column, |c, _| c.parse(column, "bad-name"));
    let (asset, person, site) = (link(Column::Asset), link(Column::Person), link(Column::Site));
    let (profile, exported_seq) = sqn(&mut c);
    repeated(&mut c, imsi, iccid.clone().flatten(), keys.as_ref(), static_ips.as_ref(), seen);
    match imsi {
        Some(imsi) if c.found.is_empty() => Ok(Line {
            line: raw.line,
            imsi,
            keys,
            iccid,
            label,
            state,
            groups: groups.map(|g| g.into_iter().collect()),
            dnns,
            static_ips,
            slices,
            ul,
            dl,
            device,
            asset,
            person,
            site,
            profile,
            exported_seq,
        }),
        _ => Err(c.found),
    }
}

fn dnns(c: &mut Cells<'_>, facts: &Facts) -> Option<Vec<Dnn>> {
    let dnns: Vec<Dnn> = c.list(Column::Dnns, "bad-name")?;
    let mut named = BTreeSet::new();
    for d in &dnns {
        if !facts.pools.contains_key(d) {
            c.wrong_text(Column::Dnns, "no-dnn", d.as_str());
        }
        if !named.insert(d) {
            c.wrong_text(Column::Dnns, "dnn-twice", d.as_str());
        }
    }
    if dnns.is_empty() && c.text(Column::Dnns) == Some("-") {
        c.wrong(Column::Dnns, "dnns-empty");
    }
    Some(dnns)
}

fn static_ips(c: &mut Cells<'_>, facts: &Facts) -> Option<BTreeMap<Dnn, Ipv4Addr>> {
    let text = c.text(Column::StaticIps)?;
    let mut all = BTreeMap::new();
    if text == "-" {
        return Some(all);
    }
    for part in text.split([';', ' ', ',']).filter(|p| !p.is_empty()) {
        let pair = part.split_once('=').and_then(|(d, i)| Some((d.parse().ok()?, i.parse().ok()?)));
        let Some((dnn, ip)): Option<(Dnn, Ipv4Addr)> = pair else {
            c.wrong_text(Column::StaticIps, "bad-static", part);
            continue;
        };
        if let Some(pool) = facts.pools.get(&dnn).filter(|p| !crate::api::is_host_of(ip, **p)) {
            let f = Finding::new(c.raw.line, Column::StaticIps.name(), "static-pool");
            c.found.push(f.text(ip.to_string()).other(pool.to_string()));
        }
        all.insert(dnn, ip);
    }
    Some(all)
}

fn rate(c: &mut Cells<'_>, column: Column) -> Option<u64> {
    let bps: u64 = c.parse(column, "bad-rate")?;
    if bps == 0 || bps > i64::MAX as u64 {
        c.wrong_text(column, "bad-rate", &bps.to_string());
    }
    Some(bps)
}

fn sqn(c: &mut Cells<'_>) -> (SqnProfile, Option<u64>) {
    let mut profile = SqnProfile::default();
    match c.text(Column::SqnMode) {
        None | Some("time") => {}
        Some("counter") => profile.mode = SqnMode::Counter,
        Some(other) => c.wrong_text(Column::SqnMode, "bad-sqn", other),
    }
    if let Some(bits) = c.parse::<u8>(Column::SqnIndBits, "bad-sqn") {
        profile.ind_bits = bits;
        profile.node_bits = profile.node_bits.min(bits);
    }
    if let Some(delta) = c.parse(Column::SqnDelta, "bad-sqn") {
        profile.delta = delta;
    }
    if profile.check(1).is_err() {
        c.wrong(Column::SqnIndBits, "bad-sqn");
    }
    let seq: Option<u64> = c.parse(Column::ExportedSeq, "bad-sqn");
    // SEQ and IND share 48 bits.
    if let Some(s) = seq.filter(|s| *s >= 1 << 43) {
        c.wrong_text(Column::ExportedSeq, "bad-sqn", &s.to_string());
    }
    (profile, seq)
}

/// What an earlier line has already is named with that line; what is new is noted.
fn repeated(
    c: &mut Cells<'_>,
    imsi: Option<Imsi>,
    iccid: Option<Iccid>,
    keys: Option<&CardKeys>,
    ips: Option<&BTreeMap<Dnn, Ipv4Addr>>,
    seen: &mut Seen,
) {
    let line = c.raw.line;
    let mut twice = |column: Column, earlier: u64| {
        let f = Finding::new(line, column.name(), "twice").other(earlier.to_string());
        c.found.push(f);
    };
    fn note<T: std::hash::Hash + Eq>(all: &mut HashMap<T, u64>, key: T, line: u64) -> Option<u64> {
        match all.entry(key) {
            std::collections::hash_map::Entry::Occupied(o) => Some(*o.get()),
            std::collections::hash_map::Entry::Vacant(v) => {
                v.insert(line);
                None
            }
        }
    }
    if let Some(n) = imsi.and_then(|i| note(&mut seen.imsis, i, line)) {
        twice(Column::Imsi, n);
    }
    if let Some(n) = iccid.and_then(|i| note(&mut seen.iccids, i, line)) {
        twice(Column::Iccid, n);
    }
    if let Some(n) = keys.and_then(|k| note(&mut seen.keys, k_of(k).to_vec(), line)) {
        twice(Column::K, n);
    }
    for (dnn, ip) in ips.into_iter().flatten() {
        if let Some(n) = note(&mut seen.addresses, (dnn.clone(), *ip), line) {
            twice(Column::StaticIps, n);
        }
    }
}

/// What the store has of everything that these lines name.
pub(super) async fn look_up(store: &Store, vault: &Vault, lines: &[Line]) -> Result<ImportFacts, StoreError> {
    if lines.is_empty() {
        return Ok(ImportFacts::default());
    }
    let mut names = ImportNames::default();
    for l in lines {
        names.imsis.push(l.imsi);
        names.iccids.extend(l.iccid.clone().flatten());
        names.keys.extend(l.keys.as_ref().map(|k| vault.fingerprint_of(k).0.to_vec()));
        names.ips.extend(l.static_ips.iter().flat_map(BTreeMap::values));
        names.devices.extend(l.asset.clone().flatten());
        names.people.extend(l.person.clone().flatten());
        names.sites.extend(l.site.clone().flatten());
    }
    store.import_facts(&names).await
}

impl Line {
    /// Judges the line against what the store has. `seals` says whether keys are to be sealed for writing.
    pub(super) fn judge(
        mut self,
        there: &ImportFacts,
        facts: &Facts,
        vault: &mut Vault,
        replace_keys: bool,
        seals: bool,
        at: Utc,
    ) -> Verdict {
        let mut found = self.taken(there, vault);
        match there.sims.get(&self.imsi) {
            None => {
                for (column, missing) in [
                    (Column::K, self.keys.is_none()),
                    (Column::Opc, self.keys.is_none()),
                    (Column::Dnns, self.dnns.as_ref().is_none_or(Vec::is_empty)),
                ] {
                    if missing {
                        found.push(Finding::new(self.line, column.name(), "needed"));
                    }
                }
                found.extend(self.addresses_outside(self.dnns.as_deref().unwrap_or_default(), facts));
                if found.is_empty() {
                    Verdict::New(self.row(vault, seals, at))
                } else {
                    Verdict::Wrong(found)
                }
            }
            Some(old) if old.state == SimState::Retired => {
                Verdict::Wrong(vec![Finding::new(self.line, "imsi", "retired")])
            }
            Some(old) => {
                let dnns = self.dnns.clone().unwrap_or_else(|| old.dnns.clone());
                found.extend(self.addresses_outside(&dnns, facts));
                // A card does not change its algorithm.
                if self.keys.as_ref().is_some_and(|k| Algorithm::of(k).as_str() != old.algorithm) {
                    found.push(Finding::new(self.line, "k", "key-algorithm").text(&old.algorithm));
                }
                let other_key = self.has_other_key(old, vault);
                if other_key && !replace_keys {
                    found.push(Finding::new(self.line, "k", "key-differs"));
                }
                if !found.is_empty() {
                    return Verdict::Wrong(found);
                }
                self.edit(old, other_key, vault, at)
            }
        }
    }

    /// What another SIM of the store has.
    fn taken(&self, there: &ImportFacts, vault: &Vault) -> Vec<Finding> {
        let mut found = Vec::new();
        let mut check = |column: &str, owner: Option<&Imsi>| {
            if let Some(o) = owner.filter(|o| **o != self.imsi) {
                found.push(Finding::new(self.line, column, "taken").other(o.to_string()));
            }
        };
        check("iccid", self.iccid.as_ref().and_then(|i| there.iccids.get(i.as_ref()?)));
        if !there.keys.is_empty() {
            let of_key = |k| there.keys.get(vault.fingerprint_of(k).0.as_slice());
            check("k", self.keys.as_ref().and_then(of_key));
        }
        if !there.addresses.is_empty() {
            for (dnn, ip) in self.static_ips.iter().flatten() {
                check("static_ips", there.addresses.get(&(dnn.clone(), *ip)));
            }
        }
        for (column, name, known) in [
            ("asset", &self.asset, &there.devices),
            ("person", &self.person, &there.people),
            ("site", &self.site, &there.sites),
        ] {
            if let Some(Some(n)) = name
                && !known.contains(n)
            {
                found.push(Finding::new(self.line, column, "no-entity").text(n.as_str()));
            }
        }
        found
    }

    fn addresses_outside(&self, dnns: &[Dnn], facts: &Facts) -> Vec<Finding> {
        let outside = |d: &&Dnn| !dnns.contains(d) || !facts.pools.contains_key(*d);
        let wrong = self.static_ips.iter().flat_map(BTreeMap::keys).filter(outside);
        wrong.map(|d| Finding::new(self.line, "static_ips", "static-dnn").text(d.as_str())).collect()
    }

    fn has_other_key(&self, old: &SimRow, vault: &Vault) -> bool {
        let Some(keys) = &self.keys else { return false };
        if old.fingerprint.as_deref() != Some(vault.fingerprint_of(keys).0.as_slice()) {
            return true;
        }
        let sealed = old.sealed.as_ref().and_then(|b| hss::SealedKeys::from_bytes(b).ok());
        // One that does not open is not the same either.
        sealed.and_then(|s| vault.open(&s, self.imsi).ok()).is_none_or(|there| there != *keys)
    }

    fn sqn_row(&self, at: Utc) -> SqnRow {
        let state = match self.exported_seq {
            Some(seq) => SqnState::imported(seq, at),
            None => SqnState::fresh(at),
        };
        let mode = match self.profile.mode {
            SqnMode::Time => "time",
            SqnMode::Counter => "counter",
        };
        SqnRow {
            mode: mode.to_owned(),
            ind_bits: self.profile.ind_bits,
            node_bits: self.profile.node_bits,
            delta: self.profile.delta,
            max_ahead: self.profile.max_ahead,
            offset: state.offset,
            ceiling: state.ceiling,
            resyncs: state.resyncs,
        }
    }

    fn sealed(&self, vault: &mut Vault) -> Option<(Vec<u8>, Vec<u8>)> {
        let keys = self.keys.as_ref()?;
        let sealed = vault.seal_card(self.imsi, keys).as_bytes().to_vec();
        Some((sealed, vault.fingerprint_of(keys).0.to_vec()))
    }

    fn row(self, vault: &mut Vault, seals: bool, at: Utc) -> Option<Box<SimRow>> {
        if !seals {
            return None;
        }
        let algorithm = Algorithm::of(self.keys.as_ref()?);
        let (sealed, fingerprint) = self.sealed(vault)?;
        Some(Box::new(SimRow {
            imsi: self.imsi,
            state: self.state.unwrap_or(SimState::Ready),
            sealed: Some(sealed),
            fingerprint: Some(fingerprint),
            algorithm: algorithm.as_str().to_owned(),
            sqn: self.sqn_row(at),
            iccid: self.iccid.flatten(),
            label: self.label.unwrap_or_default(),
            dnns: self.dnns.unwrap_or_default(),
            slices: self.slices.unwrap_or_default(),
            static_ips: self.static_ips.unwrap_or_default(),
            groups: self.groups.unwrap_or_default(),
            ambr_ul_bps: self.ul.unwrap_or(GIGABIT),
            ambr_dl_bps: self.dl.unwrap_or(GIGABIT),
            device: self.device.flatten(),
            links: SimLinks {
                device: self.asset.flatten(),
                person: self.person.flatten(),
                site: self.site.flatten(),
            },
            version: 0,
            created: at,
            changed: at,
            last_seen: None,
        }))
    }

    /// What differs from the SIM that is there.
    fn edit(&mut self, old: &SimRow, other_key: bool, vault: &mut Vault, at: Utc) -> Verdict {
        fn differs<T: PartialEq>(
            name: &'static str,
            new: Option<T>,
            old: &T,
            fields: &mut Vec<&'static str>,
        ) -> Option<T> {
            let new = new.filter(|n| n != old)?;
            fields.push(name);
            Some(new)
        }
        let mut fields = Vec::new();
        let f = &mut fields;
        let edit = SimEdit {
            iccid: differs("iccid", self.iccid.take(), &old.iccid, f),
            label: differs("label", self.label.take(), &old.label, f),
            dnns: differs("dnns", self.dnns.take(), &old.dnns, f),
            slices: differs("slices", self.slices.take(), &old.slices, f),
            static_ips: differs("static_ips", self.static_ips.take(), &old.static_ips, f),
            groups: differs("groups", self.groups.take(), &old.groups, f),
            ambr_ul_bps: differs("ambr_ul_bps", self.ul, &old.ambr_ul_bps, f),
            ambr_dl_bps: differs("ambr_dl_bps", self.dl, &old.ambr_dl_bps, f),
            device: differs("device", self.device.take(), &old.device, f),
            linked_device: differs("asset", self.asset.take(), &old.links.device, f),
            person: differs("person", self.person.take(), &old.links.person, f),
            site: differs("site", self.site.take(), &old.links.site, f),
        };
        let state = self.state.filter(|to| state_follows(old.state, *to));
        fields.extend(state.map(|_| "state"));
        let keys = if other_key { self.sealed(vault) } else { None };
        let keys =
            keys.map(|(sealed, fingerprint)| NewSimKeys { sealed, fingerprint, sqn: self.sqn_row(at) });
        fields.extend(keys.as_ref().map(|_| "k"));
        if fields.is_empty() {
            return Verdict::Same;
        }
        Verdict::Changed(Box::new(ImportEdit { imsi: self.imsi, edit, state, keys }), fields)
    }
}

/// Whether a SIM in state `from` takes the state of its line. A supplier's file says `ready` for ever, also of a SIM that
/// is in use by now; and what is suspended, banned or retired stays so.
fn state_follows(from: SimState, to: SimState) -> bool {
    use SimState::{Active, Ready, Stock};
    matches!((from, to), (Stock, Ready | Active) | (Ready, Active | Stock) | (Active, Stock))
}
