//! QoS of a PDU session: rules (TS 24.501 §9.11.4.13), flow descriptions (§9.11.4.12), session AMBR
//! (§9.11.4.14).
//!
//! ```text
//! rule: id | length (2) | operation:3 default:1 count:4 | filters | precedence | 0:1 segregation:1 QFI:6
//! filter: 0:2 direction:2 id:4 | length | components          (id alone when filters are deleted)
//! flow: QFI | operation:3 0:5 | 0:1 E:1 count:6 | parameters: id | length | content
//! ambr: unit DL | value DL (2) | unit UL | value UL (2)
//! ```

use super::NasError;

/// Which way a packet filter looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Downlink only.
    Downlink,
    /// Uplink only.
    Uplink,
    /// Both ways.
    Both,
}

/// One packet filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PacketFilter {
    /// Identifier, 0–15.
    pub id: u8,
    /// Which way.
    pub direction: Direction,
    /// Its components as octets; `[1]` is match-all.
    pub components: Vec<u8>,
}

/// What a rule does to the ones that the UE has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleOperation {
    /// A new rule.
    Create,
    /// The rule goes.
    Delete,
    /// Another operation of §9.11.4.13, 3–6.
    Modify(u8),
}

/// One QoS rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QosRule {
    /// Identifier, 1–255.
    pub id: u8,
    /// What to do.
    pub operation: RuleOperation,
    /// This is the default rule.
    pub default: bool,
    /// Filters; up to 15. For `Modify(5)` only their identifiers mean something.
    pub filters: Vec<PacketFilter>,
    /// Precedence; lower is looked at first. Absent where the rule goes.
    pub precedence: Option<u8>,
    /// QoS flow, 0–63. Absent where the rule goes.
    pub qfi: Option<u8>,
}

/// Packet filter component "match-all".
const MATCH_ALL: u8 = 1;
/// Rule operation "modify and delete packet filters".
const DELETE_FILTERS: u8 = 5;
/// Most rules and flows that are read of one IE.
const MAX_ITEMS: usize = 64;

impl QosRule {
    /// The default rule of a session with one flow: everything, both ways, into `qfi`.
    pub fn match_all(id: u8, precedence: u8, qfi: u8) -> Self {
        let filter = PacketFilter { id: 1, direction: Direction::Both, components: vec![MATCH_ALL] };
        Self {
            id,
            operation: RuleOperation::Create,
            default: true,
            filters: vec![filter],
            precedence: Some(precedence),
            qfi: Some(qfi),
        }
    }
}

/// Reads QoS rules; `None` on a syntax error.
pub(super) fn rules(mut o: &[u8]) -> Option<Vec<QosRule>> {
    let mut list = Vec::new();
    while !o.is_empty() {
        let ([id, l1, l2], rest) = o.split_first_chunk::<3>()?;
        let (body, after) = rest.split_at_checked(usize::from(u16::from_be_bytes([*l1, *l2])))?;
        if list.len() == MAX_ITEMS {
            return None;
        }
        list.push(rule(*id, body)?);
        o = after;
    }
    Some(list)
}

fn rule(id: u8, body: &[u8]) -> Option<QosRule> {
    let (head, mut rest) = body.split_first()?;
    let code = head >> 5;
    let operation = match code {
        1 => RuleOperation::Create,
        2 => RuleOperation::Delete,
        3..=6 => RuleOperation::Modify(code),
        _ => return None,
    };
    let mut filters = Vec::new();
    for _ in 0..head & 15 {
        let (f, after) = rest.split_first()?;
        let direction = match f >> 4 & 3 {
            1 => Direction::Downlink,
            2 => Direction::Uplink,
            3 => Direction::Both,
            _ if code == DELETE_FILTERS => Direction::Both,
            _ => return None,
        };
        let (components, after) = if code == DELETE_FILTERS {
            (&[][..], after)
        } else {
            let (n, after) = after.split_first()?;
            after.split_at_checked(usize::from(*n))?
        };
        filters.push(PacketFilter { id: f & 15, direction, components: components.to_vec() });
        rest = after;
    }
    let (precedence, qfi) = match rest {
        [] => (None, None),
        [p] => (Some(*p), None),
        [p, q] => (Some(*p), Some(q & 63)),
        _ => return None,
    };
    Some(QosRule { id, operation, default: head & 0x10 != 0, filters, precedence, qfi })
}

/// Writes QoS rules.
pub(super) fn rules_octets(list: &[QosRule]) -> Result<Vec<u8>, NasError> {
    const WRONG: NasError = NasError::Encode { ie: "QoS rules" };
    let mut o = Vec::new();
    for r in list {
        let code = match r.operation {
            RuleOperation::Create => 1,
            RuleOperation::Delete => 2,
            RuleOperation::Modify(c) => c & 7,
        };
        if r.filters.len() > 15 || (r.precedence.is_none() && r.qfi.is_some()) {
            return Err(WRONG);
        }
        let mut body = vec![code << 5 | u8::from(r.default) << 4 | r.filters.len() as u8];
        for f in &r.filters {
            let direction = match f.direction {
                Direction::Downlink => 1u8,
                Direction::Uplink => 2,
                Direction::Both => 3,
            };
            body.push(direction << 4 | f.id & 15);
            if code != DELETE_FILTERS {
                body.push(u8::try_from(f.components.len()).map_err(|_| WRONG)?);
                body.extend(&f.components);
            }
        }
        body.extend(r.precedence);
        body.extend(r.qfi.map(|q| q & 63));
        o.push(r.id);
        o.extend(u16::try_from(body.len()).map_err(|_| WRONG)?.to_be_bytes());
        o.extend(body);
    }
    Ok(o)
}

/// One QoS flow description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QosFlow {
    /// QoS flow identifier, 0–63.
    pub qfi: u8,
    /// Operation, 1 create, 2 delete, 3 modify.
    pub operation: u8,
    /// 5QI, where the description has one.
    pub five_qi: Option<u8>,
    /// The other parameters, identifier and content, as received.
    pub others: Vec<(u8, Vec<u8>)>,
}

impl QosFlow {
    /// A new flow with a standard 5QI.
    pub fn create(qfi: u8, five_qi: u8) -> Self {
        Self { qfi, operation: 1, five_qi: Some(five_qi), others: Vec::new() }
    }
}

const FIVE_QI: u8 = 1;

/// Reads QoS flow descriptions; `None` on a syntax error.
pub(super) fn flows(mut o: &[u8]) -> Option<Vec<QosFlow>> {
    let mut list = Vec::new();
    while !o.is_empty() {
        let ([qfi, op, count], mut rest) = o.split_first_chunk::<3>()?;
        let mut flow = QosFlow { qfi: qfi & 63, operation: op >> 5, five_qi: None, others: Vec::new() };
        for _ in 0..count & 63 {
            let ([id, n], body) = rest.split_first_chunk::<2>()?;
            let (content, after) = body.split_at_checked(usize::from(*n))?;
            match (*id, content) {
                (FIVE_QI, [q]) => flow.five_qi = Some(*q),
                (FIVE_QI, _) => return None,
                _ => flow.others.push((*id, content.to_vec())),
            }
            rest = after;
        }
        if list.len() == MAX_ITEMS {
            return None;
        }
        list.push(flow);
        o = rest;
    }
    Some(list)
}

/// Writes QoS flow descriptions.
pub(super) fn flows_octets(list: &[QosFlow]) -> Result<Vec<u8>, NasError> {
    const WRONG: NasError = NasError::Encode { ie: "QoS flow descriptions" };
    let mut o = Vec::new();
    for f in list {
        let count = f.others.len() + usize::from(f.five_qi.is_some());
        if count > 63 {
            return Err(WRONG);
        }
        // E: for "create" and "modify" the parameters are (all of) those here.
        let e = u8::from(count > 0) << 6;
        o.extend([f.qfi & 63, f.operation << 5, e | count as u8]);
        o.extend(f.five_qi.iter().flat_map(|q| [FIVE_QI, 1, *q]));
        for (id, content) in &f.others {
            o.extend([*id, u8::try_from(content.len()).map_err(|_| WRONG)?]);
            o.extend(content);
        }
    }
    Ok(o)
}

/// Session AMBR, bit/s. Written as the next larger value that the wire has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionAmbr {
    /// Downlink.
    pub dl_bps: u64,
    /// Uplink.
    pub ul_bps: u64,
}

impl SessionAmbr {
    pub(super) fn from_octets(o: &[u8]) -> Option<Self> {
        let [du, d1, d2, uu, u1, u2] = *<&[u8; 6]>::try_from(o).ok()?;
        let rate = |u: u8, v: [u8; 2]| u64::from(u16::from_be_bytes(v)).saturating_mul(unit(u));
        Some(Self { dl_bps: rate(du, [d1, d2]), ul_bps: rate(uu, [u1, u2]) })
    }

    pub(super) fn to_octets(self) -> [u8; 6] {
        let (du, [d1, d2]) = pack_rate(self.dl_bps);
        let (uu, [u1, u2]) = pack_rate(self.ul_bps);
        [du, d1, d2, uu, u1, u2]
    }
}

/// Bit/s of one step: unit 1 is 1 kbit/s, each further one four times that, every fifth a new thousand.
/// Unit 0 means "not used"; above 25 the spec says 256 Pbit/s.
fn unit(code: u8) -> u64 {
    let Some(n) = code.checked_sub(1) else { return 0 };
    let n = u32::from(n.min(24));
    1_000u64.pow(n / 5 + 1) * 4u64.pow(n % 5)
}

fn pack_rate(bps: u64) -> (u8, [u8; 2]) {
    let fits = |c: &u8| bps.div_ceil(unit(*c)) <= u64::from(u16::MAX);
    let exact = (1..=25u8).find(|c| fits(c) && bps.is_multiple_of(unit(*c)));
    let code = exact.or_else(|| (1..=25).find(fits)).unwrap_or(25);
    let value = bps.div_ceil(unit(code)).min(u64::from(u16::MAX)) as u16;
    (code, value.to_be_bytes())
}
