//! A subscriber of an Open5GS database, as its export writes it: one document, in the words of our columns.
//!
//! Taken over: IMSI, keys, SQN, rates, data networks in their order with the addresses that are fixed there, slices,
//! numbers (as the label), and the bar (as the state `stock`, which may not attach). What else stands in a document and
//! changes what a subscriber gets is named in a warning.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::{Finding, Raw, columns::Column, json::Cell};
use serde::{Deserialize, de::IgnoredAny};
use zeroize::Zeroizing;

/// IND bits of its SQNs (TS 33.102 Annex C.3.2).
const IND_BITS: u32 = 5;
/// QCI and 5QI that it gives whom nobody has given another.
const USUAL_QOS: u64 = 9;

/// True for an object that is such a document: ours have no member `security`.
pub(super) fn is(object: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Probe {
        security: Option<IgnoredAny>,
    }
    const NAME: &[u8] = b"\"security\"";
    object.windows(NAME.len()).any(|w| w == NAME)
        && serde_json::from_slice::<Probe>(object).is_ok_and(|p| p.security.is_some())
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    imsi: Cell,
    #[serde(default)]
    msisdn: Vec<Cell>,
    security: Security,
    #[serde(default)]
    ambr: Ambr,
    #[serde(default)]
    slice: Vec<Slice>,
    /// Of releases before 2.3, where a subscriber had no slices.
    #[serde(default)]
    pdn: Vec<IgnoredAny>,
    #[serde(default)]
    subscriber_status: Cell,
    #[serde(default)]
    operator_determined_barring: Cell,
}

#[derive(Deserialize)]
struct Security {
    #[serde(default)]
    k: Cell,
    #[serde(default)]
    op: Cell,
    #[serde(default)]
    opc: Cell,
    #[serde(default)]
    sqn: Cell,
}

#[derive(Default, Deserialize)]
struct Ambr {
    #[serde(default)]
    downlink: Rate,
    #[serde(default)]
    uplink: Rate,
}

#[derive(Default, Deserialize)]
struct Rate {
    #[serde(default)]
    value: Cell,
    #[serde(default)]
    unit: Cell,
}

#[derive(Deserialize)]
struct Slice {
    #[serde(default)]
    sst: Cell,
    #[serde(default)]
    sd: Cell,
    #[serde(default)]
    session: Vec<Session>,
}

#[derive(Deserialize)]
struct Session {
    #[serde(default)]
    name: Cell,
    #[serde(default)]
    ue: Ue,
    #[serde(default)]
    qos: Qos,
    #[serde(default)]
    pcc_rule: Vec<IgnoredAny>,
}

#[derive(Default, Deserialize)]
struct Ue {
    #[serde(default, alias = "addr")]
    ipv4: Cell,
    #[serde(default, alias = "addr6")]
    ipv6: Cell,
}

#[derive(Default, Deserialize)]
struct Qos {
    #[serde(default)]
    index: Cell,
}

impl Cell {
    /// A number, also in the export's own form for long ones, `{"$numberLong": "1"}`.
    fn number(&self) -> Option<u64> {
        let digits = self.0.rsplit_once('=').map_or(self.0.as_str(), |(_, n)| n);
        digits.parse().ok()
    }
}

impl Rate {
    /// Bits a second: the unit counts thousands.
    fn bps(&self) -> Option<u64> {
        let unit = u32::try_from(self.unit.number().unwrap_or(0)).ok().filter(|u| *u <= 4)?;
        self.value.number()?.checked_mul(1000_u64.pow(unit))
    }
}

/// Its cells, and what is said of it; only what is said where it cannot be taken over.
pub(super) fn raw(object: &[u8], line: u64) -> (Option<Raw>, Vec<Finding>) {
    let Ok(d) = serde_json::from_slice::<Document>(object) else {
        return (None, vec![Finding::new(line, "", "open5gs-unread")]);
    };
    if d.slice.is_empty() && !d.pdn.is_empty() {
        return (None, vec![Finding::new(line, "", "open5gs-old")]);
    }
    let mut found = Vec::new();
    let left_out = left_out(&d);
    if !left_out.is_empty() {
        found.push(Finding::new(line, "", "open5gs-left-out").other(left_out.join(", ")));
    }
    let mut cells = Vec::new();
    let mut put = |c: Column, text: String| {
        if !text.is_empty() {
            cells.push((c, Zeroizing::new(text)));
        }
    };
    put(Column::Dnns, dnns(&d).join(";"));
    put(Column::StaticIps, static_ips(&d).join(";"));
    put(Column::Slices, d.slice.iter().map(Slice::text).collect::<Vec<_>>().join(";"));
    put(Column::Label, d.msisdn.iter().map(|m| m.0.as_str()).collect::<Vec<_>>().join(" "));
    for (column, rate) in [(Column::AmbrUl, &d.ambr.uplink), (Column::AmbrDl, &d.ambr.downlink)] {
        put(column, rate.bps().map(|n| n.to_string()).unwrap_or_default());
    }
    if d.subscriber_status.number() == Some(1) {
        put(Column::State, "stock".to_owned());
    }
    if let Some(sqn) = d.security.sqn.number() {
        put(Column::ExportedSeq, (sqn >> IND_BITS).to_string());
    }
    let Security { k, op, opc, .. } = d.security;
    // Where both are there, it is the OPc that counts.
    let op = if opc.0.is_empty() { op } else { Cell::default() };
    let secrets = [(Column::Imsi, d.imsi), (Column::K, k), (Column::Opc, opc), (Column::Op, op)];
    cells.extend(secrets.into_iter().filter(|(_, Cell(t))| !t.is_empty()).map(|(c, Cell(t))| (c, t)));
    (Some(Raw { line, cells }), found)
}

/// What changes what a subscriber gets, and has no place with us.
fn left_out(d: &Document) -> Vec<&'static str> {
    let any = |is: fn(&Session) -> bool| d.slice.iter().flat_map(|s| &s.session).any(is);
    let all = [
        ("ue.ipv6", any(|s| !s.ue.ipv6.0.is_empty())),
        ("pcc_rule", any(|s| !s.pcc_rule.is_empty())),
        ("qos.index", any(|s| s.qos.index.number().is_some_and(|n| n != USUAL_QOS))),
        ("operator_determined_barring", d.operator_determined_barring.number().is_some_and(|n| n != 0)),
    ];
    all.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect()
}

/// Each data network once: it has one subscription to it, whatever slice it is in.
fn dnns(d: &Document) -> Vec<&str> {
    let mut all = Vec::new();
    for name in d.slice.iter().flat_map(|s| &s.session).map(|s| s.name.0.as_str()) {
        if !name.is_empty() && !all.contains(&name) {
            all.push(name);
        }
    }
    all
}

fn static_ips(d: &Document) -> Vec<String> {
    let sessions = d.slice.iter().flat_map(|s| &s.session).filter(|s| !s.ue.ipv4.0.is_empty());
    let mut all: Vec<String> =
        sessions.map(|s| format!("{}={}", s.name.0.as_str(), s.ue.ipv4.0.as_str())).collect();
    all.sort();
    all.dedup();
    all
}

impl Slice {
    fn text(&self) -> String {
        let (sst, sd) = (self.sst.number().unwrap_or(1), self.sd.0.as_str());
        if sd.is_empty() { sst.to_string() } else { format!("{sst}-{}", sd.to_lowercase()) }
    }
}
