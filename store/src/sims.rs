//! SIMs: their identity, sealed keys, subscription, state and its history.
//!
//! The sealed keys are opaque octets here. Neither they nor the key's fingerprint go into an audit row, an outbox
//! row or a `Debug`.

mod list;
mod write;

pub use list::{SimKey, SimOrder};

use crate::{
    Store,
    audit::{Change, Saying, clock},
    db::{Arg, Rec, Tx, args},
    directory::SimLinks,
    error::{Clash, StoreError},
    kept::expect_version,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::Ipv4Addr,
};
use types::{Dnn, Iccid, Imsi, Name, SimState, Snssai, TransitionError, Utc};

/// Profile and state of the sequence number of one SIM (decision D2); what they mean is `sim-auth`'s affair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SqnRow {
    /// `time` or `counter`.
    pub mode: String,
    /// Bits of IND at the low end of SQN.
    pub ind_bits: u8,
    /// How many of them name our node.
    pub node_bits: u8,
    /// Δ that the card allows between accepted sequence numbers.
    pub delta: u64,
    /// Ticks that the SIM may run ahead of the clock.
    pub max_ahead: u64,
    /// Offset of the SIM's clock, in ticks.
    pub offset: i64,
    /// No vector above this SEQ has been given out, and none may be until a higher ceiling is durable.
    pub ceiling: u64,
    /// How often the card has moved the offset.
    pub resyncs: u32,
}

/// A SIM as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct SimRow {
    /// Who.
    pub imsi: Imsi,
    /// The card.
    pub iccid: Option<Iccid>,
    /// Words for people.
    pub label: String,
    /// Its state.
    pub state: SimState,
    /// Sealed K and OPc; `None` once it is retired and the key destroyed.
    pub sealed: Option<Vec<u8>>,
    /// Keyed fingerprint of K: two SIMs may not have one K. `None` once the key is destroyed.
    pub fingerprint: Option<Vec<u8>>,
    /// `milenage`, later `tuak`.
    pub algorithm: String,
    /// Sequence number state.
    pub sqn: SqnRow,
    /// Data networks that it may use; the first is the default one.
    pub dnns: Vec<Dnn>,
    /// Slices that it may use; the first is the default one. Empty means all that the node offers.
    pub slices: Vec<Snssai>,
    /// Static addresses by data network.
    pub static_ips: BTreeMap<Dnn, Ipv4Addr>,
    /// Groups.
    pub groups: BTreeSet<Name>,
    /// Aggregate maximum bit rate, uplink, bit/s.
    pub ambr_ul_bps: u64,
    /// Aggregate maximum bit rate, downlink, bit/s.
    pub ambr_dl_bps: u64,
    /// The 14 digits of the device that it is bound to.
    pub device: Option<String>,
    /// The device, person and site that it is linked to.
    pub links: SimLinks,
    /// Rises with each change that a person makes; 1 at first.
    pub version: u64,
    /// When it was made.
    pub created: Utc,
    /// When it was last changed.
    pub changed: Utc,
    /// When it last proved itself to the network; `None` where it never did.
    pub last_seen: Option<Utc>,
}

impl fmt::Debug for SimRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimRow")
            .field("imsi", &self.imsi)
            .field("state", &self.state)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// What of a SIM is to be changed; `None` leaves it. State and keys have ways of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SimEdit {
    /// The card; `Some(None)` takes it away.
    pub iccid: Option<Option<Iccid>>,
    /// Words for people.
    pub label: Option<String>,
    /// Data networks.
    pub dnns: Option<Vec<Dnn>>,
    /// Slices.
    pub slices: Option<Vec<Snssai>>,
    /// Static addresses.
    pub static_ips: Option<BTreeMap<Dnn, Ipv4Addr>>,
    /// Groups.
    pub groups: Option<BTreeSet<Name>>,
    /// Uplink rate, bit/s.
    pub ambr_ul_bps: Option<u64>,
    /// Downlink rate, bit/s.
    pub ambr_dl_bps: Option<u64>,
    /// Bound device; `Some(None)` unbinds it.
    pub device: Option<Option<String>>,
    /// Linked device; `Some(None)` takes the link away.
    pub linked_device: Option<Option<Name>>,
    /// Linked person; `Some(None)` takes the link away.
    pub person: Option<Option<Name>>,
    /// Linked site; `Some(None)` takes the link away.
    pub site: Option<Option<Name>>,
}

/// Which SIMs to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SimFilter {
    /// Only these states' SIMs.
    pub state: Option<SimState>,
    /// Only members of this group.
    pub group: Option<Name>,
    /// Only those whose IMSI, ICCID or label contains this.
    pub text: Option<String>,
    /// Only those linked to this device.
    pub device: Option<Name>,
    /// Only those linked to this person, or in a device that the person owns.
    pub person: Option<Name>,
    /// Only those linked to this site.
    pub site: Option<Name>,
    /// In which order.
    pub order: SimOrder,
}

/// What kind of change of state is asked for; each kind has its own right and its own allowed ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateChange {
    /// Neither from nor to a banned state.
    Ordinary,
    /// To `lost` or `stolen`.
    Ban,
    /// From `lost` or `stolen` back.
    Unban,
}

/// One line of a SIM's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimHistoryRow {
    /// Its number; rises.
    pub seq: u64,
    /// When.
    pub at: Utc,
    /// State before.
    pub from: SimState,
    /// State after.
    pub to: SimState,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// Number of the ticket that asked for it; may be empty.
    pub ticket: String,
}

/// A ceiling to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqnCeiling {
    /// Whose.
    pub imsi: Imsi,
    /// The new ceiling.
    pub ceiling: u64,
    /// The offset that goes with it.
    pub offset: i64,
    /// How often the card has moved the offset. A write of a lower count, or of the same count with a lower
    /// ceiling, is stale and passed over.
    pub resyncs: u32,
}

impl SimRow {
    pub(crate) fn read(r: &Rec) -> Result<Self, StoreError> {
        let dnns: Vec<Dnn> = r.json("dnns")?;
        Ok(Self {
            imsi: r.parse("imsi")?,
            iccid: r.maybe_text("iccid")?.map(|t| t.parse().map_err(|_| damaged("iccid"))).transpose()?,
            label: r.text("label")?,
            state: r.parse("state")?,
            sealed: r.maybe_blob("sealed")?,
            fingerprint: r.maybe_blob("fingerprint")?,
            algorithm: r.text("algorithm")?,
            sqn: SqnRow {
                mode: r.text("sqn_mode")?,
                ind_bits: small(r, "sqn_ind_bits")?,
                node_bits: small(r, "sqn_node_bits")?,
                delta: r.uint("sqn_delta")?,
                max_ahead: r.uint("sqn_max_ahead")?,
                offset: r.int("sqn_offset")?,
                ceiling: r.uint("sqn_ceiling")?,
                resyncs: small(r, "sqn_resyncs")?,
            },
            dnns,
            slices: r.json("slices")?,
            static_ips: BTreeMap::new(),
            groups: BTreeSet::new(),
            ambr_ul_bps: r.uint("ambr_ul")?,
            ambr_dl_bps: r.uint("ambr_dl")?,
            device: r.maybe_text("device")?,
            links: SimLinks::default(),
            version: r.uint("version")?,
            created: r.utc("created")?,
            changed: r.utc("changed")?,
            last_seen: Some(r.utc("seen")?).filter(|t| t.0 > 0),
        })
    }

    pub(crate) fn apply(&mut self, e: SimEdit) {
        fn set<T>(to: &mut T, from: Option<T>) {
            if let Some(v) = from {
                *to = v;
            }
        }
        set(&mut self.iccid, e.iccid);
        set(&mut self.label, e.label);
        set(&mut self.dnns, e.dnns);
        set(&mut self.slices, e.slices);
        set(&mut self.static_ips, e.static_ips);
        set(&mut self.groups, e.groups);
        set(&mut self.ambr_ul_bps, e.ambr_ul_bps);
        set(&mut self.ambr_dl_bps, e.ambr_dl_bps);
        set(&mut self.device, e.device);
        set(&mut self.links.device, e.linked_device);
        set(&mut self.links.person, e.person);
        set(&mut self.links.site, e.site);
    }

    /// Where it belongs.
    pub fn place(&self) -> crate::Place {
        crate::Place { groups: self.groups.clone(), site: self.links.site.clone() }
    }

    /// The values of the fields that `edit` would set, as they are.
    pub(crate) fn edit_before(&self, edit: &SimEdit) -> SimEdit {
        SimEdit {
            iccid: edit.iccid.as_ref().map(|_| self.iccid.clone()),
            label: edit.label.as_ref().map(|_| self.label.clone()),
            dnns: edit.dnns.as_ref().map(|_| self.dnns.clone()),
            slices: edit.slices.as_ref().map(|_| self.slices.clone()),
            static_ips: edit.static_ips.as_ref().map(|_| self.static_ips.clone()),
            groups: edit.groups.as_ref().map(|_| self.groups.clone()),
            ambr_ul_bps: edit.ambr_ul_bps.map(|_| self.ambr_ul_bps),
            ambr_dl_bps: edit.ambr_dl_bps.map(|_| self.ambr_dl_bps),
            device: edit.device.as_ref().map(|_| self.device.clone()),
            linked_device: edit.linked_device.as_ref().map(|_| self.links.device.clone()),
            person: edit.person.as_ref().map(|_| self.links.person.clone()),
            site: edit.site.as_ref().map(|_| self.links.site.clone()),
        }
    }

    /// The way back from an edit: `before` where a field still is as `after` set it. The fields that somebody changed
    /// since are named beside it.
    pub(crate) fn edit_back(&self, before: &SimEdit, after: &SimEdit) -> (SimEdit, Vec<&'static str>) {
        fn field<T: PartialEq + Clone>(
            name: &'static str,
            is: &T,
            before: &Option<T>,
            after: &Option<T>,
            kept: &mut Vec<&'static str>,
        ) -> Option<T> {
            let (before, after) = (before.as_ref()?, after.as_ref()?);
            if is == after && is != before {
                return Some(before.clone());
            }
            if is != before {
                kept.push(name);
            }
            None
        }
        let (b, a) = (before, after);
        let mut kept = Vec::new();
        let k = &mut kept;
        let back = SimEdit {
            iccid: field("iccid", &self.iccid, &b.iccid, &a.iccid, k),
            label: field("label", &self.label, &b.label, &a.label, k),
            dnns: field("dnns", &self.dnns, &b.dnns, &a.dnns, k),
            slices: field("slices", &self.slices, &b.slices, &a.slices, k),
            static_ips: field("static_ips", &self.static_ips, &b.static_ips, &a.static_ips, k),
            groups: field("groups", &self.groups, &b.groups, &a.groups, k),
            ambr_ul_bps: field("ambr_ul_bps", &self.ambr_ul_bps, &b.ambr_ul_bps, &a.ambr_ul_bps, k),
            ambr_dl_bps: field("ambr_dl_bps", &self.ambr_dl_bps, &b.ambr_dl_bps, &a.ambr_dl_bps, k),
            device: field("device", &self.device, &b.device, &a.device, k),
            linked_device: field("asset", &self.links.device, &b.linked_device, &a.linked_device, k),
            person: field("person", &self.links.person, &b.person, &a.person, k),
            site: field("site", &self.links.site, &b.site, &a.site, k),
        };
        (back, kept)
    }

    /// The SIM without anything secret.
    fn for_audit(&self) -> serde_json::Value {
        serde_json::json!({
            "imsi": self.imsi, "iccid": self.iccid, "label": self.label, "state": self.state,
            "dnns": self.dnns, "slices": self.slices, "static_ips": self.static_ips, "groups": self.groups,
            "ambr_ul_bps": self.ambr_ul_bps, "ambr_dl_bps": self.ambr_dl_bps, "device": self.device,
            "links": self.links,
        })
    }
}

fn damaged(what: &'static str) -> StoreError {
    StoreError::Damaged { what }
}

/// A column whose value fits a type smaller than 64 bits.
fn small<T: TryFrom<i64>>(r: &Rec, c: &'static str) -> Result<T, StoreError> {
    T::try_from(r.int(c)?).map_err(|_| damaged(c))
}

pub(crate) fn object(imsi: Imsi) -> String {
    format!("sim:{imsi}")
}

impl Tx {
    /// A SIM with its groups and addresses.
    pub(crate) async fn sim(&mut self, imsi: Imsi) -> Result<SimRow, StoreError> {
        let mut sim = SimRow::read(&self.one("SELECT * FROM sims WHERE imsi = $1", args![imsi]).await?)?;
        for r in self.rows("SELECT grp FROM sim_groups WHERE imsi = $1", args![imsi]).await? {
            sim.groups.insert(r.parse("grp")?);
        }
        for r in self.rows("SELECT dnn, ip FROM sim_addresses WHERE imsi = $1", args![imsi]).await? {
            sim.static_ips.insert(r.parse("dnn")?, r.parse("ip")?);
        }
        sim.links = self.sim_links(imsi).await?;
        Ok(sim)
    }

    /// Its state alone: a ban reads no more than it needs. None where there is no such SIM.
    pub(crate) async fn maybe_sim_state(&mut self, imsi: Imsi) -> Result<Option<SimState>, StoreError> {
        let found = self.maybe("SELECT state FROM sims WHERE imsi = $1", args![imsi]).await?;
        found.map(|r| r.parse("state")).transpose()
    }

    /// As [`Store::change_sim`], of a SIM that was just read.
    pub(crate) async fn change_sim(
        &mut self,
        old: &SimRow,
        based_on: Option<u64>,
        edit: SimEdit,
        change: &Change,
    ) -> Result<SimRow, StoreError> {
        let mut judged_otherwise = edit.groups.as_ref().is_some_and(|g| *g != old.groups);
        for (device, person) in [
            (edit.linked_device.as_ref(), edit.person.as_ref()),
            (
                edit.linked_device.as_ref().map(|_| &old.links.device),
                edit.person.as_ref().map(|_| &old.links.person),
            ),
        ] {
            let (device, person) = (device.and_then(Option::as_ref), person.and_then(Option::as_ref));
            judged_otherwise = judged_otherwise || self.rules_name(device, person).await?;
        }
        if judged_otherwise {
            self.next_generation_by_sim(old.imsi, based_on).await?;
        }
        let sim = self.write_edit(old, edit, change.at).await?;
        let (before, after) = (old.for_audit(), sim.for_audit());
        self.record(change, "sim.change", object(old.imsi), Some(before), Some(after)).await?;
        Ok(sim)
    }

    pub(crate) async fn set_state(
        &mut self,
        imsi: Imsi,
        from: SimState,
        to: SimState,
        change: &Change,
    ) -> Result<(), StoreError> {
        let said = vec![self.put_state(imsi, from, to, change).await?];
        if to.is_banned() {
            // A ban is not refused where the audit cannot be written (DESIGN §5).
            return self.record_or_owe(said).await;
        }
        self.append_audit(said, clock()).await
    }

    /// As [`Tx::set_state`]; what the audit is to say of it is for the caller to write.
    pub(crate) async fn put_state(
        &mut self,
        imsi: Imsi,
        from: SimState,
        to: SimState,
        change: &Change,
    ) -> Result<Saying, StoreError> {
        let sql = if to == SimState::Retired {
            "UPDATE sims SET state = $2, changed = $3, version = version + 1, sealed = NULL, fingerprint = NULL
             WHERE imsi = $1"
        } else {
            "UPDATE sims SET state = $2, changed = $3, version = version + 1 WHERE imsi = $1"
        };
        self.later(sql, args![imsi, to, change.at]).await?;
        if to == SimState::Retired {
            self.end_routes(imsi, change.at).await?;
        }
        self.count_up_later("sim_history", 1).await?;
        let sql = "INSERT INTO sim_history (imsi, seq, at, from_state, to_state, actor, reason, ticket)
                   SELECT $1, value, $2, $3, $4, $5, $6, $7 FROM counters WHERE name = 'sim_history'";
        let a = args![imsi, change.at, from, to, &change.actor, &change.reason, &change.ticket];
        self.later(sql, a).await?;
        let before = serde_json::json!({ "state": from });
        let mut after = serde_json::json!({ "state": to });
        if !change.ticket.is_empty() {
            after["ticket"] = change.ticket.as_str().into();
        }
        Ok(Saying::new(change, "sim.state", object(imsi), Some(before), Some(after)))
    }
}

impl Store {
    /// Stores a new SIM. `version`, `created` and `changed` of `sim` are set here.
    pub async fn create_sim(&self, sim: SimRow, change: &Change) -> Result<SimRow, StoreError> {
        let change = change.clone();
        let mut sim = sim;
        (sim.version, sim.created, sim.changed) = (1, change.at, change.at);
        self.write(move |tx| {
            Box::pin(async move {
                // Asked first, because the databases differ in which of two clashes they name.
                if tx.maybe("SELECT imsi FROM sims WHERE imsi = $1", args![sim.imsi]).await?.is_some() {
                    return Err(StoreError::Conflict { what: Clash::Imsi });
                }
                let (device, person) = (sim.links.device.clone(), sim.links.person.clone());
                if !sim.groups.is_empty() || tx.rules_name(device.as_ref(), person.as_ref()).await? {
                    tx.next_generation_by_sim(sim.imsi, None).await?;
                }
                tx.insert_sims(vec![sim.clone()], change.at).await?;
                tx.record(&change, "sim.create", object(sim.imsi), None, Some(sim.for_audit())).await?;
                Ok(sim)
            })
        })
        .await
    }

    /// Changes a SIM. `expect` is the version that the caller saw; `None` is any. `based_on` is the policy
    /// generation that the change was checked against.
    pub async fn change_sim(
        &self,
        imsi: Imsi,
        expect: Option<u64>,
        based_on: Option<u64>,
        edit: SimEdit,
        change: &Change,
    ) -> Result<SimRow, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let old = tx.sim(imsi).await?;
                expect_version(expect, old.version)?;
                tx.change_sim(&old, based_on, edit, &change).await
            })
        })
        .await
    }

    /// Changes the state of a SIM as the table of decision D6 allows, with history, audit and outbox.
    ///
    /// `Retired` destroys the key. A ban of a SIM that is in that banned state already changes nothing and is
    /// not an error, so that a ban can be repeated.
    pub async fn change_sim_state(
        &self,
        imsi: Imsi,
        to: SimState,
        kind: StateChange,
        change: &Change,
    ) -> Result<SimRow, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let sim = tx.sim(imsi).await?;
                let from = sim.state;
                if kind == StateChange::Ban && from == to && to.is_banned() {
                    return Ok(sim);
                }
                let fits = match kind {
                    StateChange::Ordinary => !from.is_banned() && !to.is_banned(),
                    StateChange::Ban => to.is_banned(),
                    StateChange::Unban => from.is_banned() && !to.is_banned(),
                };
                // A retirement is allowed from a banned state too: it never lets anything live again.
                if !(fits || kind == StateChange::Ordinary && to == SimState::Retired) {
                    return Err(TransitionError { from, to }.into());
                }
                from.change_to(to)?;
                tx.set_state(imsi, from, to, &change).await?;
                tx.sim(imsi).await
            })
        })
        .await
    }

    /// First attach: those of `imsis` that are `ready` become `active`.
    pub async fn activate_sims(&self, imsis: Vec<Imsi>, at: Utc) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let change = Change { reason: "first attach".to_owned(), ..Change::by_system("network", at) };
                for imsi in imsis {
                    let from = tx.maybe_sim_state(imsi).await?.ok_or(StoreError::NotFound)?;
                    if from == SimState::Ready {
                        tx.set_state(imsi, from, SimState::Active, &change).await?;
                    }
                }
                Ok(())
            })
        })
        .await
    }

    /// Writes ceilings of sequence numbers, all in one transaction and few statements, because vectors wait for it: durable
    /// when it returns. A SIM that is gone, and a stale ceiling, is passed over. No audit: nobody decided it.
    pub async fn write_sqn_ceilings(&self, ceilings: Vec<SqnCeiling>) -> Result<(), StoreError> {
        const HEAD: &str =
            "UPDATE sims SET sqn_ceiling = v.column2, sqn_offset = v.column3, sqn_resyncs = v.column4
                            FROM (VALUES";
        const TAIL: &str = ") AS v WHERE sims.imsi = v.column1 AND (sims.sqn_resyncs < v.column4
                            OR (sims.sqn_resyncs = v.column4 AND sims.sqn_ceiling <= v.column2))";
        let mut newest: BTreeMap<Imsi, SqnCeiling> = BTreeMap::new();
        for c in ceilings {
            let known = newest.entry(c.imsi).or_insert(c);
            if (known.resyncs, known.ceiling) < (c.resyncs, c.ceiling) {
                *known = c;
            }
        }
        let row = |c: SqnCeiling| args![c.imsi, c.ceiling, c.offset, c.resyncs];
        let rows = newest.into_values().map(row).collect();
        self.write(move |tx| Box::pin(tx.update_many(HEAD, rows, TAIL))).await
    }

    /// One SIM.
    pub async fn sim(&self, imsi: Imsi) -> Result<SimRow, StoreError> {
        self.db.snapshot().await?.sim(imsi).await
    }

    /// Every SIM, by IMSI: what `hss` is fed with at the start.
    pub async fn all_sims(&self) -> Result<Vec<SimRow>, StoreError> {
        let mut tx = self.db.snapshot().await?;
        let rows = tx.rows("SELECT * FROM sims ORDER BY imsi", vec![]).await?;
        let mut items = rows.iter().map(SimRow::read).collect::<Result<Vec<_>, _>>()?;
        add_parts(&mut tx, &mut items).await?;
        Ok(items)
    }

    /// Every static address: what the pools must leave out.
    pub async fn static_addresses(&self) -> Result<Vec<(Imsi, Dnn, Ipv4Addr)>, StoreError> {
        let rows = self.db.rows("SELECT * FROM sim_addresses ORDER BY imsi, dnn", vec![]).await?;
        rows.iter().map(|r| Ok((r.parse("imsi")?, r.parse("dnn")?, r.parse("ip")?))).collect()
    }

    /// The history of a SIM's state, newest first.
    pub async fn sim_history(&self, imsi: Imsi, limit: u32) -> Result<Vec<SimHistoryRow>, StoreError> {
        let sql = "SELECT * FROM sim_history WHERE imsi = $1 ORDER BY seq DESC LIMIT $2";
        let rows = self.db.rows(sql, args![imsi, limit]).await?;
        rows.iter()
            .map(|r| {
                Ok(SimHistoryRow {
                    seq: r.uint("seq")?,
                    at: r.utc("at")?,
                    from: r.parse("from_state")?,
                    to: r.parse("to_state")?,
                    actor: r.text("actor")?,
                    reason: r.text("reason")?,
                    ticket: r.text("ticket")?,
                })
            })
            .collect()
    }

    /// How many SIMs are in each state.
    pub async fn count_sims(&self) -> Result<Vec<(SimState, u64)>, StoreError> {
        let rows = self.db.rows("SELECT state, COUNT(*) AS n FROM sims GROUP BY state", vec![]).await?;
        rows.iter().map(|r| Ok((r.parse("state")?, r.uint("n")?))).collect()
    }

    /// Which of these keys' fingerprints is taken, and by whom: for an import's dry run.
    pub async fn key_owner(&self, fingerprint: &[u8]) -> Result<Option<Imsi>, StoreError> {
        let r = self.db.maybe("SELECT imsi FROM sims WHERE fingerprint = $1", args![fingerprint]).await?;
        r.map(|r| r.parse("imsi")).transpose()
    }
}

/// Adds groups, addresses and links to all SIMs there are, which stand in the order of their IMSI.
async fn add_parts(tx: &mut Tx, sims: &mut [SimRow]) -> Result<(), StoreError> {
    let (Some(first), Some(last)) = (sims.first(), sims.last()) else { return Ok(()) };
    let range = args![first.imsi, last.imsi];
    let groups =
        tx.rows("SELECT imsi, grp FROM sim_groups WHERE imsi BETWEEN $1 AND $2", range.clone()).await?;
    let ips = tx
        .rows("SELECT imsi, dnn, ip FROM sim_addresses WHERE imsi BETWEEN $1 AND $2", range.clone())
        .await?;
    let links = tx.rows("SELECT * FROM sim_links WHERE imsi BETWEEN $1 AND $2", range).await?;
    fill(sims, &groups, &ips, &links)
}

/// The same for some SIMs in any order: between the first and the last of them may stand all others.
pub(crate) async fn add_parts_of(tx: &mut Tx, sims: &mut [SimRow]) -> Result<(), StoreError> {
    let keys: Vec<Arg> = sims.iter().map(|s| Arg::from(s.imsi)).collect();
    let groups = tx.rows_in("SELECT imsi, grp FROM sim_groups WHERE imsi IN", keys.clone()).await?;
    let ips = tx.rows_in("SELECT imsi, dnn, ip FROM sim_addresses WHERE imsi IN", keys.clone()).await?;
    let links = tx.rows_in("SELECT * FROM sim_links WHERE imsi IN", keys).await?;
    fill(sims, &groups, &ips, &links)
}

fn fill(sims: &mut [SimRow], groups: &[Rec], ips: &[Rec], links: &[Rec]) -> Result<(), StoreError> {
    let mut at: BTreeMap<String, &mut SimRow> = sims.iter_mut().map(|s| (s.imsi.to_string(), s)).collect();
    for r in groups {
        if let Some(s) = at.get_mut(&r.text("imsi")?) {
            s.groups.insert(r.parse("grp")?);
        }
    }
    for r in ips {
        if let Some(s) = at.get_mut(&r.text("imsi")?) {
            s.static_ips.insert(r.parse("dnn")?, r.parse("ip")?);
        }
    }
    for r in links {
        if let Some(s) = at.get_mut(&r.text("imsi")?) {
            s.links = SimLinks::read(r)?;
        }
    }
    Ok(())
}

/// A LIKE pattern for "contains", with its own signs taken literally.
pub(crate) fn containing(text: &str) -> String {
    let mut p = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '!') {
            p.push('!');
        }
        p.push(c);
    }
    p.push('%');
    p
}
