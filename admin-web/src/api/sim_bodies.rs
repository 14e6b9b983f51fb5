//! SIMs as they come in and go out. Keys come in and never go out.

use crate::{
    check::{Check, Kind, rfc3339},
    control::{NewKeys, OperatorKey},
    problem::{Problem, say},
    request::or_null,
    state::AppState,
};
use hss::{Algorithm, SqnMode, SqnProfile, SqnState, TuakK, TuakKeys};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    num::NonZeroU8,
};
use store::{SimEdit, SimRow, SqnRow, StoreError};
use types::{DataNetwork, Dnn, Group, K, Key128, Key256, Name, Opc, SimState, Utc};
use utoipa::ToSchema;
use zeroize::Zeroizing;

/// A key in hexadecimal, as it came in: wiped when it is dropped, never shown.
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    /// A copy that is wiped too.
    pub(crate) fn copied(&self) -> Zeroizing<String> {
        self.0.clone()
    }

    /// Of a text that came in another way than by JSON.
    pub(crate) fn of(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d).map(|s| Self(Zeroizing::new(s)))
    }
}

/// A SIM to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSim {
    /// 6-15 digits.
    #[schema(example = "001010000000001")]
    imsi: String,
    /// Number printed on the card.
    iccid: Option<String>,
    /// Words for people.
    #[serde(default)]
    label: String,
    /// milenage (if not given) or tuak.
    algorithm: Option<String>,
    /// K, 32 hexadecimal digits; of TUAK also 64. Write-only.
    #[schema(value_type = String, write_only, min_length = 32, max_length = 64)]
    k: Secret,
    /// OPc, 32 hexadecimal digits; either this or op. Write-only.
    #[schema(value_type = Option<String>, write_only, min_length = 32, max_length = 32)]
    opc: Option<Secret>,
    /// OP, 32 hexadecimal digits; either this or opc. Write-only.
    #[schema(value_type = Option<String>, write_only, min_length = 32, max_length = 32)]
    op: Option<Secret>,
    /// TOPc of TUAK, 64 hexadecimal digits; either this or top. Write-only.
    #[schema(value_type = Option<String>, write_only, min_length = 64, max_length = 64)]
    topc: Option<Secret>,
    /// TOP of TUAK, 64 hexadecimal digits; either this or topc. Write-only.
    #[schema(value_type = Option<String>, write_only, min_length = 64, max_length = 64)]
    top: Option<Secret>,
    /// How often a TUAK card runs Keccak; 1 if not given.
    #[schema(minimum = 1)]
    iterations: Option<u8>,
    /// stock, ready (if not given) or active.
    state: Option<String>,
    /// Data networks; the first is the default one.
    #[schema(min_items = 1)]
    dnns: Vec<String>,
    /// Slices, SST or SST-SD; the first is the default one. Empty: what the node offers.
    #[serde(default)]
    slices: Vec<String>,
    /// Static address by data network.
    #[serde(default)]
    static_ips: BTreeMap<String, String>,
    /// Groups.
    #[serde(default)]
    groups: Vec<String>,
    /// Uplink, bit/s; 1 Gbit/s if not given.
    ambr_ul_bps: Option<u64>,
    /// Downlink, bit/s; 1 Gbit/s if not given.
    ambr_dl_bps: Option<u64>,
    /// The 14 digits of the device that it is bound to.
    device: Option<String>,
    /// Id of the device that it is in.
    device_id: Option<String>,
    /// Id of the person whose it is.
    person: Option<String>,
    /// Id of the site where it belongs.
    site: Option<String>,
    /// How the card checks sequence numbers; an ordinary card if not given.
    sqn: Option<NewSqn>,
}

/// How a card checks sequence numbers.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSqn {
    /// Bits of IND; 5 if not given.
    ind_bits: Option<u8>,
    /// Largest jump of SEQ that the card takes; 2^28 if not given.
    delta: Option<u64>,
    /// SEQ from a counter alone instead of the clock: for cards whose delta is small.
    #[serde(default)]
    counter: bool,
    /// For a card that was in use elsewhere: the last SEQ that its former owner gave out.
    exported_seq: Option<u64>,
}

/// What of a SIM is to be changed; what is left out stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SimChange {
    /// Number printed on the card; null takes it away.
    #[serde(default, deserialize_with = "or_null")]
    #[schema(value_type = Option<String>)]
    iccid: Option<Option<String>>,
    /// Words for people.
    label: Option<String>,
    /// Data networks; the first is the default one.
    #[schema(min_items = 1)]
    dnns: Option<Vec<String>>,
    /// Slices.
    slices: Option<Vec<String>>,
    /// Static addresses by data network.
    static_ips: Option<BTreeMap<String, String>>,
    /// Groups.
    groups: Option<Vec<String>>,
    /// Uplink, bit/s.
    ambr_ul_bps: Option<u64>,
    /// Downlink, bit/s.
    ambr_dl_bps: Option<u64>,
    /// Bound device; null unbinds it.
    #[serde(default, deserialize_with = "or_null")]
    #[schema(value_type = Option<String>)]
    device: Option<Option<String>>,
    /// Id of the device that it is in; null takes the link away.
    #[serde(default, deserialize_with = "or_null")]
    #[schema(value_type = Option<String>)]
    device_id: Option<Option<String>>,
    /// Id of the person whose it is; null takes the link away.
    #[serde(default, deserialize_with = "or_null")]
    #[schema(value_type = Option<String>)]
    person: Option<Option<String>>,
    /// Id of the site where it belongs; null takes the link away.
    #[serde(default, deserialize_with = "or_null")]
    #[schema(value_type = Option<String>)]
    site: Option<Option<String>>,
}

/// A SIM. Its keys are not here.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Sim {
    imsi: String,
    iccid: Option<String>,
    label: String,
    /// stock, ready, active, suspended, lost, stolen or retired.
    state: String,
    /// milenage.
    algorithm: String,
    /// False once it is retired and its key destroyed.
    has_key: bool,
    /// Data networks; the first is the default one.
    dnns: Vec<String>,
    slices: Vec<String>,
    static_ips: BTreeMap<String, String>,
    groups: Vec<String>,
    ambr_ul_bps: u64,
    ambr_dl_bps: u64,
    device: Option<String>,
    /// Id of the device that it is in.
    device_id: Option<String>,
    /// Id of the person whose it is.
    person: Option<String>,
    /// Id of the site where it belongs.
    site: Option<String>,
    /// Its version: the ETag is this number in quotes.
    version: u64,
    created: String,
    changed: String,
    /// When it last proved itself to the network; null where it never did.
    last_seen: Option<String>,
}

/// A change of state.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StateRequest {
    /// stock, ready, active, suspended or retired. Bans and unbans have routes of their own.
    pub(crate) state: String,
    /// Why.
    pub(crate) reason: String,
    /// Number of the ticket that asked for it.
    pub(crate) ticket: Option<String>,
}

/// A ban.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BanBody {
    /// lost or stolen.
    #[schema(example = "lost")]
    pub(crate) state: String,
    /// Why.
    pub(crate) reason: String,
    /// Number of the ticket that asked for it.
    pub(crate) ticket: Option<String>,
}

/// The way back from a ban.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UnbanBody {
    /// Why.
    pub(crate) reason: String,
    /// Number of the ticket that asked for it.
    pub(crate) ticket: Option<String>,
    /// active (if not given), suspended or stock.
    pub(crate) state: Option<String>,
}

impl From<SimRow> for Sim {
    fn from(s: SimRow) -> Self {
        Self {
            imsi: s.imsi.to_string(),
            iccid: s.iccid.map(|i| i.to_string()),
            label: s.label,
            state: s.state.to_string(),
            algorithm: s.algorithm,
            has_key: s.sealed.is_some(),
            dnns: s.dnns.iter().map(ToString::to_string).collect(),
            slices: s.slices.iter().map(ToString::to_string).collect(),
            static_ips: s.static_ips.iter().map(|(d, i)| (d.to_string(), i.to_string())).collect(),
            groups: s.groups.iter().map(ToString::to_string).collect(),
            ambr_ul_bps: s.ambr_ul_bps,
            ambr_dl_bps: s.ambr_dl_bps,
            device: s.device,
            device_id: s.links.device.map(|n| n.to_string()),
            person: s.links.person.map(|n| n.to_string()),
            site: s.links.site.map(|n| n.to_string()),
            version: s.version,
            created: rfc3339(s.created),
            changed: rfc3339(s.changed),
            last_seen: s.last_seen.map(rfc3339),
        }
    }
}

/// Most that a bit rate may be: what 64 signed bits of the store hold.
const RATE_MOST: u64 = i64::MAX as u64;
const GIGABIT: u64 = 1_000_000_000;

impl NewSim {
    /// The keys, which are those of one algorithm.
    fn keys(&self, check: &mut Check, algorithm: Algorithm) -> Option<NewKeys> {
        let milenage = [("/opc", self.opc.is_some()), ("/op", self.op.is_some())];
        let tuak = [
            ("/topc", self.topc.is_some()),
            ("/top", self.top.is_some()),
            ("/iterations", self.iterations.is_some()),
        ];
        let of_the_other = match algorithm {
            Algorithm::Milenage => &tuak[..],
            Algorithm::Tuak => &milenage,
        };
        let (mut fits, name) = (true, algorithm.as_str());
        for (at, _) in of_the_other.iter().filter(|(_, given)| *given) {
            fits = false;
            check.add(
                *at,
                say!("it is not of {name}", "{name} の項目ではありません"),
                Some(say!(
                    "leave it out, or say which algorithm the card runs",
                    "省略するか、カードのアルゴリズムを指定してください"
                )),
            );
        }
        let keys = match algorithm {
            Algorithm::Milenage => milenage_keys(check, &self.k, self.opc.as_ref(), self.op.as_ref()),
            Algorithm::Tuak => self.tuak_keys(check).map(NewKeys::Tuak),
        };
        keys.filter(|_| fits)
    }

    fn tuak_keys(&self, check: &mut Check) -> Option<TuakKeys> {
        let k = match self.k.0.len() {
            32 => K::from_hex(&self.k.0).map(TuakK::Short),
            _ => Key256::from_hex(&self.k.0).map(TuakK::Long),
        };
        let bad = |check: &mut Check, at: &str| {
            check.add(
                at,
                say!("it is not a TUAK key", "TUAK の鍵ではありません"),
                Some(say!(
                    "give 64 of 0-9, a-f; of K also 32",
                    "0-9、a-f の 64 文字 (K は 32 文字も可) で指定してください"
                )),
            );
        };
        let k = k.map_err(|_| bad(check, "/k")).ok();
        let iterations = NonZeroU8::new(self.iterations.unwrap_or(1));
        if iterations.is_none() {
            check.add(
                "/iterations",
                say!("it is 0", "0 が指定されています"),
                Some(say!("give 1 or more", "1 以上を指定してください")),
            );
        }
        let (at, operator) = match (&self.topc, &self.top) {
            (Some(v), None) => ("/topc", Some(v)),
            (None, Some(v)) => ("/top", Some(v)),
            _ => ("/topc", None),
        };
        let Some(given) = operator else {
            check.add(
                at,
                say!(
                    "TOPc or TOP is missing, or both are given",
                    "TOPc・TOP のどちらもないか、両方が指定されています"
                ),
                Some(say!("give one of them", "どちらか一方だけを指定してください")),
            );
            return None;
        };
        let operator = Key256::from_hex(&given.0).map_err(|_| bad(check, at)).ok();
        let (k, operator, iterations) = (k?, operator?, iterations?);
        Some(match at {
            "/top" => TuakKeys::with_top(k, &operator, iterations),
            _ => TuakKeys { k, topc: operator, iterations },
        })
    }

    /// The row without its sealed keys, and the keys.
    pub(crate) fn read(self, now: Utc) -> Result<(SimRow, NewKeys), Problem> {
        let mut check = Check::default();
        check.label("/label", &self.label, 200);
        let imsi = check.parse("/imsi", &self.imsi, Kind::Imsi);
        let iccid = check.maybe("/iccid", self.iccid.as_deref(), Kind::Iccid);
        let algorithm =
            check.parse("/algorithm", self.algorithm.as_deref().unwrap_or("milenage"), Kind::Word);
        let keys = algorithm.and_then(|a| self.keys(&mut check, a));
        let state = first_state(&mut check, self.state.as_deref());
        let dnns = dnns(&mut check, &self.dnns);
        let slices = check.each("/slices", &self.slices, Kind::Slice);
        let static_ips = addresses(&mut check, &self.static_ips);
        let groups = check.each("/groups", &self.groups, Kind::Name);
        let ul = rate(&mut check, "/ambr_ul_bps", self.ambr_ul_bps.unwrap_or(GIGABIT));
        let dl = rate(&mut check, "/ambr_dl_bps", self.ambr_dl_bps.unwrap_or(GIGABIT));
        device(&mut check, self.device.as_deref());
        let links = links(&mut check, &self.device_id, &self.person, &self.site);
        let sqn = sqn(&mut check, self.sqn, now);
        let both = (|| {
            let row = SimRow {
                imsi: imsi?,
                iccid: iccid?,
                label: self.label,
                state: state?,
                sealed: None,
                fingerprint: None,
                algorithm: algorithm?.as_str().to_owned(),
                sqn: sqn?,
                dnns: dnns?,
                slices: slices?,
                static_ips: static_ips?,
                groups: groups?,
                ambr_ul_bps: ul,
                ambr_dl_bps: dl,
                device: self.device,
                links: links?,
                version: 0,
                created: now,
                changed: now,
                last_seen: None,
            };
            Some((row, keys?))
        })();
        check.finish(both)
    }
}

impl SimChange {
    pub(crate) fn read(self) -> Result<SimEdit, Problem> {
        let mut check = Check::default();
        if let Some(label) = &self.label {
            check.label("/label", label, 200);
        }
        let mut e = SimEdit { label: self.label, ..SimEdit::default() };
        if let Some(iccid) = self.iccid {
            e.iccid = check.maybe("/iccid", iccid.as_deref(), Kind::Iccid);
        }
        if let Some(d) = &self.dnns {
            e.dnns = dnns(&mut check, d);
        }
        if let Some(s) = &self.slices {
            e.slices = check.each("/slices", s, Kind::Slice);
        }
        if let Some(a) = &self.static_ips {
            e.static_ips = addresses(&mut check, a);
        }
        if let Some(g) = &self.groups {
            e.groups = check.each("/groups", g, Kind::Name);
        }
        e.ambr_ul_bps = self.ambr_ul_bps.map(|r| rate(&mut check, "/ambr_ul_bps", r));
        e.ambr_dl_bps = self.ambr_dl_bps.map(|r| rate(&mut check, "/ambr_dl_bps", r));
        if let Some(d) = &self.device {
            device(&mut check, d.as_deref());
            e.device = self.device;
        }
        let mut link = |pointer, id: Option<Option<String>>| {
            id.and_then(|id| check.maybe(pointer, id.as_deref(), Kind::Name))
        };
        e.linked_device = link("/device_id", self.device_id);
        e.person = link("/person", self.person);
        e.site = link("/site", self.site);
        check.finish(Some(e))
    }
}

/// Checks what a SIM names against what is there: data networks, groups, and its addresses against their pools.
pub(crate) async fn check_names(
    s: &AppState,
    dnns: &[Dnn],
    groups: &BTreeSet<Name>,
    ips: &BTreeMap<Dnn, Ipv4Addr>,
) -> Result<(), Problem> {
    let mut check = Check::default();
    for (i, dnn) in dnns.iter().enumerate() {
        if let Err(StoreError::NotFound) = found(s.store.get::<DataNetwork>(dnn.as_str()).await)? {
            check.add(
                format!("/dnns/{i}"),
                say!("there is no data network {dnn}", "データネットワーク {dnn} はありません"),
                Some(say!(
                    "make it first, or name one that exists",
                    "先に作成するか、既存のものを指定してください"
                )),
            );
        }
    }
    for group in groups {
        if let Err(StoreError::NotFound) = found(s.store.get::<Group>(group.as_str()).await)? {
            check.add(
                "/groups",
                say!("there is no group {group}", "グループ {group} はありません"),
                Some(say!(
                    "make it first, or name one that exists",
                    "先に作成するか、既存のものを指定してください"
                )),
            );
        }
    }
    for (dnn, ip) in ips {
        let pointer = format!("/static_ips/{dnn}");
        if !dnns.contains(dnn) {
            check.add(
                pointer,
                say!(
                    "the SIM may not use data network {dnn}",
                    "この SIM はデータネットワーク {dnn} を使えません"
                ),
                Some(say!(
                    "add it to dnns or remove the address",
                    "dnns に追加するか、アドレスを削除してください"
                )),
            );
            continue;
        }
        let Ok(network) = found(s.store.get::<DataNetwork>(dnn.as_str()).await)? else { continue };
        let pool = network.value.pool;
        if !is_host_of(*ip, pool) {
            check.add(
                pointer,
                say!(
                    "{ip} is not an address that pool {pool} can give",
                    "{ip} はプール {pool} から割り当てられるアドレスではありません"
                ),
                Some(say!(
                    "choose one inside the pool that is neither its network, its gateway (the first) nor its broadcast address",
                    "プール内で、ネットワーク・ゲートウェイ (先頭)・ブロードキャスト以外のアドレスを選んでください"
                )),
            );
        }
    }
    check.done()
}

/// Lets "not found" through as a value; another error ends the request.
#[allow(clippy::type_complexity, reason = "a result in a result, spelled once")]
fn found<T>(r: Result<T, StoreError>) -> Result<Result<T, StoreError>, Problem> {
    match r {
        Err(e) if e != StoreError::NotFound => Err(e.into()),
        r => Ok(r),
    }
}

pub(crate) fn is_host_of(ip: Ipv4Addr, pool: IpNet) -> bool {
    let IpNet::V4(p) = pool else { return false };
    let gateway = u32::from(p.network()).checked_add(1).map(Ipv4Addr::from);
    p.contains(&ip) && ip != p.network() && ip != p.broadcast() && Some(ip) != gateway
}

fn milenage_keys(
    check: &mut Check,
    k: &Secret,
    opc: Option<&Secret>,
    op: Option<&Secret>,
) -> Option<NewKeys> {
    let bad = |check: &mut Check, at: &str| {
        check.add(
            at,
            say!("it is not 32 hexadecimal digits", "16 進数 32 桁ではありません"),
            Some(say!(
                "give 16 octets as 32 of 0-9, a-f",
                "16 オクテットを 0-9、a-f の 32 文字で指定してください"
            )),
        );
    };
    let k = K::from_hex(&k.0).map_err(|_| bad(check, "/k")).ok();
    let operator = match (opc, op) {
        (Some(v), None) => Opc::from_hex(&v.0).map(OperatorKey::Opc).map_err(|_| bad(check, "/opc")).ok(),
        (None, Some(v)) => Key128::from_hex(&v.0).map(OperatorKey::Op).map_err(|_| bad(check, "/op")).ok(),
        (None, None) => {
            check.add(
                "/opc",
                say!("OPc or OP is missing", "OPc または OP がありません"),
                Some(say!(
                    "give opc, or op if the supplier gave that",
                    "opc、またはベンダー提供の op を指定してください"
                )),
            );
            None
        }
        (Some(_), Some(_)) => {
            check.add(
                "/op",
                say!("OPc and OP are both given", "OPc と OP の両方が指定されています"),
                Some(say!("give one of them", "どちらか一方だけを指定してください")),
            );
            None
        }
    };
    Some(NewKeys::Milenage { k: k?, operator: operator? })
}

fn first_state(check: &mut Check, text: Option<&str>) -> Option<SimState> {
    let state = check.parse("/state", text.unwrap_or("ready"), Kind::State)?;
    if matches!(state, SimState::Stock | SimState::Ready | SimState::Active) {
        return Some(state);
    }
    check.add(
        "/state",
        say!("a new SIM cannot be {state}", "新しい SIM を {state} にはできません"),
        Some(say!("make it stock, ready or active", "stock、ready、active のいずれかにしてください")),
    );
    None
}

fn dnns(check: &mut Check, texts: &[String]) -> Option<Vec<Dnn>> {
    if texts.is_empty() {
        check.add(
            "/dnns",
            say!("a SIM has at least one data network", "SIM にはデータネットワークが 1 つ以上必要です"),
            Some(say!("name one; the first is the default", "1 つ以上指定してください (先頭が既定)")),
        );
        return None;
    }
    let dnns: Vec<Dnn> = check.each("/dnns", texts, Kind::Dnn)?;
    let distinct: BTreeSet<&Dnn> = dnns.iter().collect();
    if distinct.len() != dnns.len() {
        check.add(
            "/dnns",
            say!("a data network is named twice", "データネットワークが重複しています"),
            Some(say!("name each once", "それぞれ一度だけ指定してください")),
        );
        return None;
    }
    Some(dnns)
}

fn addresses(check: &mut Check, texts: &BTreeMap<String, String>) -> Option<BTreeMap<Dnn, Ipv4Addr>> {
    let all: Vec<Option<(Dnn, Ipv4Addr)>> = texts
        .iter()
        .map(|(d, i)| {
            let pointer = format!("/static_ips/{d}");
            let dnn = check.parse(&pointer, d, Kind::Dnn);
            let ip = check.parse(&pointer, i, Kind::Ipv4);
            Some((dnn?, ip?))
        })
        .collect();
    all.into_iter().collect()
}

fn rate(check: &mut Check, pointer: &str, bps: u64) -> u64 {
    if bps == 0 || bps > RATE_MOST {
        check.add(
            pointer,
            say!("a rate is 1 to 2^63 - 1 bit/s", "速度は 1〜2^63-1 bit/s です"),
            Some(say!(
                "give bits per second, for example 100000000",
                "bit/s で指定してください (例: 100000000)"
            )),
        );
    }
    bps
}

fn device(check: &mut Check, text: Option<&str>) {
    if text.is_some_and(|t| t.len() != 14 || !t.bytes().all(|b| b.is_ascii_digit())) {
        check.add(
            "/device",
            say!("a device is named by 14 digits", "端末は 14 桁の数字で指定します"),
            Some(say!(
                "give the first 14 digits of the IMEI (TAC and serial number)",
                "IMEI の先頭 14 桁 (TAC とシリアル番号) を指定してください"
            )),
        );
    }
}

fn links(
    check: &mut Check,
    device: &Option<String>,
    person: &Option<String>,
    site: &Option<String>,
) -> Option<store::SimLinks> {
    let device = check.maybe("/device_id", device.as_deref(), Kind::Name);
    let person = check.maybe("/person", person.as_deref(), Kind::Name);
    let site = check.maybe("/site", site.as_deref(), Kind::Name);
    Some(store::SimLinks { device: device?, person: person?, site: site? })
}

fn sqn(check: &mut Check, given: Option<NewSqn>, now: Utc) -> Option<SqnRow> {
    let mut profile = SqnProfile::default();
    let mut state = SqnState::fresh(now);
    if let Some(g) = given {
        profile.ind_bits = g.ind_bits.unwrap_or(profile.ind_bits);
        profile.node_bits = profile.node_bits.min(profile.ind_bits);
        profile.delta = g.delta.unwrap_or(profile.delta);
        if g.counter {
            profile.mode = SqnMode::Counter;
        }
        if let Some(seq) = g.exported_seq {
            state = SqnState::imported(seq, now);
        }
        // SEQ and IND share 48 bits.
        if g.exported_seq.is_some_and(|s| s >= 1 << 43) {
            check.add(
                "/sqn/exported_seq",
                say!("SEQ has at most 43 bits", "SEQ は 43 ビット以下です"),
                Some(say!("give SEQ without IND", "IND を除いた SEQ を指定してください")),
            );
            return None;
        }
    }
    if let Err(e) = profile.check(1) {
        check.add(
            "/sqn",
            say!("{e}", "SQN の設定が正しくありません: {e}"),
            Some(say!(
                "use 0 to 16 bits of IND and a delta of at least 2",
                "ind_bits は 0〜16、delta は 2 以上にしてください"
            )),
        );
        return None;
    }
    Some(SqnRow {
        mode: match profile.mode {
            SqnMode::Time => "time",
            SqnMode::Counter => "counter",
        }
        .to_owned(),
        ind_bits: profile.ind_bits,
        node_bits: profile.node_bits,
        delta: profile.delta,
        max_ahead: profile.max_ahead,
        offset: state.offset,
        ceiling: state.ceiling,
        resyncs: state.resyncs,
    })
}
