//! The company's own equipment list, the bindings of SIMs and groups, and the devices that were learnt.
//!
//! A SIM's binding is the first that there is of: its own row, the short form in `sims.device` (exactly that
//! device), the strictest default of its groups, [`Binding::default`]. A change of a SIM's own binding raises the
//! version of the SIM.

use crate::{
    Page, Store,
    audit::Change,
    db::{Rec, Tx, args, json_text},
    error::StoreError,
    kept::expect_version,
};
use std::collections::BTreeMap;
use types::{Binding, BindingMode, Bound, Colour, DevicePattern, EquipmentPattern, Imsi, Learned, Name, Utc};

/// An entry of the equipment list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EquipmentRow {
    /// The devices.
    pub pattern: EquipmentPattern,
    /// Its colour.
    pub colour: Colour,
    /// Words for people.
    pub label: String,
    /// Why it has this colour.
    pub reason: String,
    /// Rises with each change; 1 at first.
    pub version: u64,
    /// When it was made.
    pub created: Utc,
    /// When it was last changed.
    pub changed: Utc,
}

/// An entry as somebody wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EquipmentEntry {
    /// The devices.
    pub pattern: EquipmentPattern,
    /// Its colour.
    pub colour: Colour,
    /// Words for people.
    pub label: String,
    /// Why.
    pub reason: String,
}

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Imported {
    /// Entries that are new.
    pub new: u64,
    /// Entries that are other than before.
    pub changed: u64,
    /// Entries that were so already.
    pub same: u64,
}

/// Which entries to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EquipmentFilter {
    /// Only this colour.
    pub colour: Option<Colour>,
    /// Only those whose digits begin with this, or whose label contains it.
    pub text: Option<String>,
}

/// A SIM's binding and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindingRow {
    /// Whose.
    pub imsi: Imsi,
    /// The SIM's version.
    pub version: u64,
    /// Its own; the short form `device` is one.
    pub own: Option<Binding>,
    /// What it has from its groups, where it has none of its own.
    pub inherited: Option<(Name, Binding)>,
    /// The device that it was used in.
    pub learned: Option<Learned>,
}

impl BindingRow {
    /// The binding that holds.
    pub fn binding(&self) -> Binding {
        let inherited = || self.inherited.as_ref().map(|(_, b)| b.clone());
        self.own.clone().or_else(inherited).unwrap_or_default()
    }

    /// The binding that holds, with what was learnt.
    pub fn bound(&self) -> Bound {
        Bound { binding: self.binding(), learned: self.learned.map(|l| l.device) }
    }
}

/// A group's default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupBinding {
    /// Which group.
    pub group: Name,
    /// What its SIMs have that have none of their own.
    pub binding: Binding,
    /// Rises with each change; 1 at first.
    pub version: u64,
    /// When it was last changed.
    pub changed: Utc,
}

/// A device to be remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceSeen {
    /// With which SIM.
    pub imsi: Imsi,
    /// The device.
    pub device: DevicePattern,
    /// True to replace the one before; false to keep it and say no.
    pub replace: bool,
}

impl EquipmentRow {
    fn read(r: &Rec) -> Result<Self, StoreError> {
        Ok(Self {
            pattern: r.parse("pattern")?,
            colour: r.parse("colour")?,
            label: r.text("label")?,
            reason: r.text("reason")?,
            version: r.uint("version")?,
            created: r.utc("created")?,
            changed: r.utc("changed")?,
        })
    }

    fn is(&self, e: &EquipmentEntry) -> bool {
        self.colour == e.colour && self.label == e.label && self.reason == e.reason
    }
}

fn entry_for_audit(colour: Colour, label: &str, reason: &str) -> Option<serde_json::Value> {
    Some(serde_json::json!({ "colour": colour, "label": label, "reason": reason }))
}

fn for_audit(b: &Binding) -> Option<serde_json::Value> {
    serde_json::to_value(b).ok()
}

fn read_binding(r: &Rec) -> Result<Binding, StoreError> {
    Ok(Binding {
        mode: r.parse("mode")?,
        allowed: r.json("allowed")?,
        when_missing: r.parse("when_missing")?,
        on_clone: r.parse("on_clone")?,
    })
}

/// The strictest of a SIM's groups; of equals the first by name.
fn stricter(old: Option<(Name, Binding)>, new: (Name, Binding)) -> (Name, Binding) {
    let rank = |b: &Binding| (b.mode, b.when_missing, b.on_clone);
    match old {
        Some(o) if rank(&o.1) > rank(&new.1) || rank(&o.1) == rank(&new.1) && o.0 < new.0 => o,
        _ => new,
    }
}

/// The one device that `binding` stands for, where the short form can say it.
fn short_form(binding: &Binding) -> Option<String> {
    match binding.allowed.as_slice() {
        [one] if binding.mode == BindingMode::Exact && !one.is_model() => Some(one.to_string()),
        _ => None,
    }
}

impl Tx {
    async fn equipment(&mut self, pattern: EquipmentPattern) -> Result<Option<EquipmentRow>, StoreError> {
        let sql = "SELECT * FROM equipment WHERE pattern = $1";
        self.maybe(sql, args![pattern.to_string()]).await?.map(|r| EquipmentRow::read(&r)).transpose()
    }

    /// Writes an entry where it is not so already; true where it was there before.
    async fn put_equipment(
        &mut self,
        old: Option<&EquipmentRow>,
        e: &EquipmentEntry,
        change: &Change,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO equipment (pattern, colour, label, reason, version, created, changed)
                   VALUES ($1, $2, $3, $4, 1, $5, $5) ON CONFLICT (pattern) DO UPDATE
                   SET colour = $2, label = $3, reason = $4, version = equipment.version + 1, changed = $5";
        let a = args![e.pattern.to_string(), e.colour.as_str(), &e.label, &e.reason, change.at];
        self.exec(sql, a).await?;
        let before = old.and_then(|o| entry_for_audit(o.colour, &o.label, &o.reason));
        let after = entry_for_audit(e.colour, &e.label, &e.reason);
        self.record(change, "equipment.put", format!("equipment:{}", e.pattern), before, after).await
    }

    async fn binding_row(&mut self, imsi: Imsi) -> Result<BindingRow, StoreError> {
        let sim = self.one("SELECT version, device FROM sims WHERE imsi = $1", args![imsi]).await?;
        let sql = "SELECT * FROM bindings WHERE imsi = $1";
        let own = self.maybe(sql, args![imsi]).await?.map(|r| read_binding(&r)).transpose()?;
        let own = own.or(short(&sim)?);
        let sql = "SELECT b.* FROM sim_groups g JOIN group_bindings b ON b.grp = g.grp WHERE g.imsi = $1";
        let mut inherited = None;
        for r in self.rows(sql, args![imsi]).await? {
            inherited = Some(stricter(inherited, (r.parse("grp")?, read_binding(&r)?)));
        }
        let sql = "SELECT device, at FROM learned_devices WHERE imsi = $1";
        let learned = self.maybe(sql, args![imsi]).await?.map(|r| learned(&r)).transpose()?;
        Ok(BindingRow { imsi, version: sim.uint("version")?, own, inherited, learned })
    }

    async fn raise_sim(&mut self, imsi: Imsi, device: Option<String>, at: Utc) -> Result<(), StoreError> {
        let sql = "UPDATE sims SET device = $2, version = version + 1, changed = $3 WHERE imsi = $1";
        self.exec(sql, args![imsi, device, at]).await.map(drop)
    }

    /// The short form of a SIM was written: it is the whole binding.
    pub(crate) async fn bind_by_short_form(&mut self, imsi: Imsi) -> Result<(), StoreError> {
        self.exec("DELETE FROM bindings WHERE imsi = $1", args![imsi]).await.map(drop)
    }

    async fn group_binding(&mut self, group: &Name) -> Result<Option<GroupBinding>, StoreError> {
        let r = self.maybe("SELECT * FROM group_bindings WHERE grp = $1", args![group]).await?;
        r.map(|r| read_group(&r)).transpose()
    }
}

/// What `sims.device` stands for. It may have been written before there was a check of its digits.
fn short(sim: &Rec) -> Result<Option<Binding>, StoreError> {
    let device = sim.maybe_text("device")?;
    device
        .map(|d| d.parse().map(Binding::exactly).map_err(|_| StoreError::Damaged { what: "device" }))
        .transpose()
}

fn learned(r: &Rec) -> Result<Learned, StoreError> {
    Ok(Learned { device: r.parse("device")?, at: r.utc("at")? })
}

fn read_group(r: &Rec) -> Result<GroupBinding, StoreError> {
    Ok(GroupBinding {
        group: r.parse("grp")?,
        binding: read_binding(r)?,
        version: r.uint("version")?,
        changed: r.utc("changed")?,
    })
}

impl Store {
    /// Makes or replaces an entry of the equipment list. `expect` is the version that the caller saw, 0 for an entry
    /// that is to be new; `None` is any.
    pub async fn put_equipment(
        &self,
        entry: EquipmentEntry,
        expect: Option<u64>,
        change: &Change,
    ) -> Result<EquipmentRow, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let old = tx.equipment(entry.pattern).await?;
                expect_version(expect, old.as_ref().map_or(0, |o| o.version))?;
                tx.put_equipment(old.as_ref(), &entry, &change).await?;
                tx.equipment(entry.pattern).await?.ok_or(StoreError::NotFound)
            })
        })
        .await
    }

    /// Puts many entries, all or none. One that stands there already as wanted is left alone.
    pub async fn import_equipment(
        &self,
        entries: Vec<EquipmentEntry>,
        change: &Change,
    ) -> Result<Imported, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let mut done = Imported::default();
                for e in entries {
                    let old = tx.equipment(e.pattern).await?;
                    match &old {
                        Some(o) if o.is(&e) => {
                            done.same += 1;
                            continue;
                        }
                        Some(_) => done.changed += 1,
                        None => done.new += 1,
                    }
                    tx.put_equipment(old.as_ref(), &e, &change).await?;
                }
                Ok(done)
            })
        })
        .await
    }

    /// Takes an entry off the list.
    pub async fn delete_equipment(
        &self,
        pattern: EquipmentPattern,
        expect: Option<u64>,
        change: &Change,
    ) -> Result<(), StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let old = tx.equipment(pattern).await?.ok_or(StoreError::NotFound)?;
                expect_version(expect, old.version)?;
                tx.exec("DELETE FROM equipment WHERE pattern = $1", args![pattern.to_string()]).await?;
                let before = entry_for_audit(old.colour, &old.label, &old.reason);
                tx.record(&change, "equipment.delete", format!("equipment:{pattern}"), before, None).await
            })
        })
        .await
    }

    /// One entry.
    pub async fn equipment_entry(&self, pattern: EquipmentPattern) -> Result<EquipmentRow, StoreError> {
        let r =
            self.db.maybe("SELECT * FROM equipment WHERE pattern = $1", args![pattern.to_string()]).await?;
        EquipmentRow::read(&r.ok_or(StoreError::NotFound)?)
    }

    /// Entries by their digits, behind `after`.
    pub async fn equipment(
        &self,
        filter: &EquipmentFilter,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Page<EquipmentRow>, StoreError> {
        let sql = "SELECT * FROM equipment WHERE pattern > $1
                   AND (CAST($2 AS TEXT) IS NULL OR colour = $2)
                   AND (CAST($3 AS TEXT) IS NULL OR pattern LIKE $3 ESCAPE '!'
                        OR LOWER(label) LIKE LOWER($3) ESCAPE '!')
                   ORDER BY pattern LIMIT $4";
        let text = filter.text.as_deref().map(crate::sims::containing);
        let a = args![after.unwrap_or(""), filter.colour.map(|c| c.to_string()), text, limit + 1];
        let rows = self.db.rows(sql, a).await?;
        let items = rows.iter().map(EquipmentRow::read).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(items, limit, |e| e.pattern.to_string()))
    }

    /// The whole list, as `hss` is fed with it.
    pub async fn equipment_book(&self) -> Result<Vec<(EquipmentPattern, Colour)>, StoreError> {
        let rows = self.db.rows("SELECT pattern, colour FROM equipment ORDER BY pattern", vec![]).await?;
        rows.iter().map(|r| Ok((r.parse("pattern")?, r.parse("colour")?))).collect()
    }

    /// A SIM's binding.
    pub async fn binding(&self, imsi: Imsi) -> Result<BindingRow, StoreError> {
        self.db.snapshot().await?.binding_row(imsi).await
    }

    /// The bindings of all SIMs that have one, own or inherited, or a learnt device: as `hss` is fed with them.
    pub async fn all_bindings(&self) -> Result<Vec<(Imsi, Bound)>, StoreError> {
        let mut tx = self.db.snapshot().await?;
        let mut own: BTreeMap<Imsi, Bound> = BTreeMap::new();
        let mut inherited: BTreeMap<Imsi, (Name, Binding)> = BTreeMap::new();
        let sql = "SELECT g.imsi, b.* FROM sim_groups g JOIN group_bindings b ON b.grp = g.grp";
        for r in tx.rows(sql, vec![]).await? {
            let imsi = r.parse("imsi")?;
            let best = stricter(inherited.remove(&imsi), (r.parse("grp")?, read_binding(&r)?));
            inherited.insert(imsi, best);
        }
        for (imsi, (_, binding)) in inherited {
            own.insert(imsi, Bound { binding, learned: None });
        }
        for r in tx.rows("SELECT imsi, device FROM sims WHERE device IS NOT NULL", vec![]).await? {
            if let Some(binding) = short(&r)? {
                own.insert(r.parse("imsi")?, Bound { binding, learned: None });
            }
        }
        for r in tx.rows("SELECT * FROM bindings", vec![]).await? {
            own.insert(r.parse("imsi")?, Bound { binding: read_binding(&r)?, learned: None });
        }
        for r in tx.rows("SELECT * FROM learned_devices", vec![]).await? {
            own.entry(r.parse("imsi")?).or_default().learned = Some(learned(&r)?.device);
        }
        Ok(own.into_iter().collect())
    }

    /// Gives a SIM a binding of its own, or takes it away (`None`). `expect` is the SIM's version.
    pub async fn bind_sim(
        &self,
        imsi: Imsi,
        binding: Option<Binding>,
        expect: Option<u64>,
        change: &Change,
    ) -> Result<BindingRow, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let old = tx.binding_row(imsi).await?;
                expect_version(expect, old.version)?;
                tx.exec("DELETE FROM bindings WHERE imsi = $1", args![imsi]).await?;
                if let Some(b) = &binding {
                    let sql = "INSERT INTO bindings (imsi, mode, allowed, when_missing, on_clone)
                               VALUES ($1, $2, $3, $4, $5)";
                    let allowed = json_text(&b.allowed);
                    let a =
                        args![imsi, b.mode.as_str(), allowed, b.when_missing.as_str(), b.on_clone.as_str()];
                    tx.exec(sql, a).await?;
                }
                tx.raise_sim(imsi, binding.as_ref().and_then(short_form), change.at).await?;
                let (before, after) =
                    (old.own.as_ref().and_then(for_audit), binding.as_ref().and_then(for_audit));
                tx.record(&change, "sim.binding", format!("sim:{imsi}"), before, after).await?;
                tx.binding_row(imsi).await
            })
        })
        .await
    }

    /// Forgets the device that a SIM was used in: the next one is learnt. What it forgot.
    pub async fn forget_device(&self, imsi: Imsi, change: &Change) -> Result<BindingRow, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let old = tx.binding_row(imsi).await?;
                tx.exec("DELETE FROM learned_devices WHERE imsi = $1", args![imsi]).await?;
                let before = old.learned.map(|l| serde_json::json!({ "device": l.device }));
                tx.record(&change, "sim.binding-reset", format!("sim:{imsi}"), before, None).await?;
                tx.binding_row(imsi).await
            })
        })
        .await
    }

    /// Remembers devices, all in one transaction: durable when it returns. For each whether the SIM now has this
    /// device: not where it is bound to another one already (a second node was faster), and not where it is gone.
    pub async fn learn_devices(&self, seen: Vec<DeviceSeen>, at: Utc) -> Result<Vec<bool>, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let change = Change { reason: "use".to_owned(), ..Change::by_system("network", at) };
                let mut done = Vec::with_capacity(seen.len());
                for s in seen {
                    done.push(tx.learn(s, &change).await?);
                }
                Ok(done)
            })
        })
        .await
    }

    /// A group's default; [`StoreError::NotFound`] where it has none.
    pub async fn group_binding(&self, group: &Name) -> Result<GroupBinding, StoreError> {
        self.db.snapshot().await?.group_binding(group).await?.ok_or(StoreError::NotFound)
    }

    /// Gives a group a default, or takes it away (`None`). `expect` is the version that the caller saw, 0 where there
    /// was none; `None` is any.
    pub async fn bind_group(
        &self,
        group: Name,
        binding: Option<Binding>,
        expect: Option<u64>,
        change: &Change,
    ) -> Result<Option<GroupBinding>, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                tx.one("SELECT name FROM ue_groups WHERE name = $1", args![&group]).await?;
                let old = tx.group_binding(&group).await?;
                expect_version(expect, old.as_ref().map_or(0, |o| o.version))?;
                match &binding {
                    Some(b) => {
                        let sql = "INSERT INTO group_bindings (grp, mode, allowed, when_missing, on_clone, version, changed)
                                   VALUES ($1, $2, $3, $4, $5, 1, $6) ON CONFLICT (grp) DO UPDATE
                                   SET mode = $2, allowed = $3, when_missing = $4, on_clone = $5,
                                       version = group_bindings.version + 1, changed = $6";
                        let allowed = json_text(&b.allowed);
                        let words = (b.mode.as_str(), b.when_missing.as_str(), b.on_clone.as_str());
                        tx.exec(sql, args![&group, words.0, allowed, words.1, words.2, change.at]).await?;
                    }
                    None if old.is_none() => return Err(StoreError::NotFound),
                    None => {
                        tx.exec("DELETE FROM group_bindings WHERE grp = $1", args![&group]).await?;
                    }
                }
                let before = old.as_ref().and_then(|o| for_audit(&o.binding));
                let after = binding.as_ref().and_then(for_audit);
                tx.record(&change, "group.binding", format!("group:{group}"), before, after).await?;
                tx.group_binding(&group).await
            })
        })
        .await
    }
}

impl Tx {
    async fn learn(&mut self, s: DeviceSeen, change: &Change) -> Result<bool, StoreError> {
        if self.maybe("SELECT imsi FROM sims WHERE imsi = $1", args![s.imsi]).await?.is_none() {
            return Ok(false);
        }
        let sql = "SELECT device FROM learned_devices WHERE imsi = $1";
        let old: Option<DevicePattern> =
            self.maybe(sql, args![s.imsi]).await?.map(|r| r.parse("device")).transpose()?;
        match old {
            Some(old) if old == s.device => return Ok(true),
            Some(_) if !s.replace => return Ok(false),
            _ => {}
        }
        let sql = "INSERT INTO learned_devices (imsi, device, at) VALUES ($1, $2, $3)
                   ON CONFLICT (imsi) DO UPDATE SET device = $2, at = $3";
        self.exec(sql, args![s.imsi, s.device.to_string(), change.at]).await?;
        let json = |d: DevicePattern| serde_json::json!({ "device": d });
        let object = format!("sim:{}", s.imsi);
        self.record(change, "sim.device-learned", object, old.map(json), Some(json(s.device))).await?;
        Ok(true)
    }
}
