//! One line: checked by itself, then against the file's other lines and what the store has.

mod cells;
mod judge;
mod keys;
mod lost;

use super::{Finding, Raw, columns::Column};
use cells::Cells;
use hss::{CardKeys, SqnMode, SqnProfile};
use ipnet::IpNet;
pub(super) use judge::{Verdict, look_up};
use keys::{is_known, k_of, keys};
use lost::lost;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::Ipv4Addr,
};
use store::{Store, StoreError};
use types::{DataNetwork, Dnn, Group, Iccid, Imei, Imsi, Name, Plmn, SimState, Snssai};

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
