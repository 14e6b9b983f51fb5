//! A piece of an import put in force: one transaction, with its way back in the place of what was staged.

use super::{Applied, NewSimKeys, Staged, StagedSim, octets, read};
use crate::{
    Store,
    audit::Change,
    db::{Arg, Tx, args, json_text},
    error::StoreError,
    sims::{SimEdit, SimRow},
};
use std::collections::BTreeSet;
use types::{Imsi, SimState, Utc};

const SIMS: &str = "INSERT INTO sims (imsi, iccid, label, state, sealed, fingerprint, algorithm, sqn_mode,
    sqn_ind_bits, sqn_node_bits, sqn_delta, sqn_max_ahead, sqn_offset, sqn_ceiling, sqn_resyncs,
    dnns, slices, ambr_ul, ambr_dl, device, version, created, changed) VALUES";
const DNNS: &str = "INSERT INTO sim_dnns (imsi, dnn) VALUES";
const GROUPS: &str = "INSERT INTO sim_groups (imsi, grp) VALUES";
const LINKS: &str = "INSERT INTO sim_links (imsi, device, person, site) VALUES";
const ADDRESSES: &str = "INSERT INTO sim_addresses (imsi, dnn, ip) VALUES";

impl Store {
    /// Puts the next piece in force; false where none is left.
    pub(super) async fn apply_next(&self, job: u64, change: &Change) -> Result<bool, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "SELECT seq, body FROM import_chunks WHERE job = $1 AND step = 'staged'
                           ORDER BY seq LIMIT 1";
                let Some(r) = tx.maybe(sql, args![job]).await? else { return Ok(false) };
                let (seq, rows): (u64, Vec<Staged>) = (r.uint("seq")?, read(&r.blob("body")?)?);
                let n = rows.len() as u64;
                let applied = tx.apply(rows, &change).await?;
                let sql = "UPDATE import_chunks SET step = 'applied', body = $3 WHERE job = $1 AND seq = $2";
                tx.exec(sql, args![job, seq, octets(&applied)?]).await?;
                tx.exec("UPDATE jobs SET done = done + $2 WHERE id = $1", args![job, n]).await?;
                Ok(true)
            })
        })
        .await
    }

    /// Puts SIMs into the tables with the import's own statements and nothing else, in one transaction: what a bench
    /// measures an import against.
    #[doc(hidden)]
    pub async fn bare_inserts(&self, sims: Vec<SimRow>, at: Utc) -> Result<(), StoreError> {
        let staged: Vec<Staged> =
            sims.into_iter().map(|s| super::ImportRow::New(Box::new(s)).into()).collect();
        self.write(move |tx| {
            Box::pin(async move {
                let new = staged.into_iter().filter_map(|s| match s {
                    Staged::New(s) => Some(*s),
                    Staged::Changed { .. } => None,
                });
                tx.insert_sims(new.collect(), at).await
            })
        })
        .await
    }
}

impl Tx {
    async fn apply(&mut self, rows: Vec<Staged>, change: &Change) -> Result<Vec<Applied>, StoreError> {
        let (mut applied, mut new) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
        for row in rows {
            match row {
                Staged::New(s) => {
                    applied.push(Applied::New {
                        imsi: s.imsi,
                        state: s.state,
                        ceiling: s.sqn.ceiling,
                        offset: s.sqn.offset,
                    });
                    new.push(*s);
                }
                Staged::Changed { imsi, edit, state, keys } => {
                    applied.extend(self.apply_edit(imsi, edit, state, keys, change).await?);
                }
            }
        }
        self.insert_sims(new, change.at).await?;
        Ok(applied)
    }

    async fn insert_sims(&mut self, sims: Vec<StagedSim>, at: Utc) -> Result<(), StoreError> {
        let (mut dnns, mut groups, mut addresses, mut links) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut rows: Vec<Vec<Arg>> = Vec::with_capacity(sims.len());
        for s in sims {
            let imsi = s.imsi.to_string();
            let distinct: BTreeSet<_> = s.dnns.iter().collect();
            dnns.extend(distinct.into_iter().map(|d| args![&imsi, d]));
            groups.extend(s.groups.iter().map(|g| args![&imsi, g]));
            addresses.extend(s.static_ips.iter().map(|(d, ip)| args![&imsi, d, ip.to_string()]));
            if s.links != (None, None, None) {
                let text = |n: Option<types::Name>| n.map(|n| n.to_string());
                links.push(args![&imsi, text(s.links.0), text(s.links.1), text(s.links.2)]);
            }
            rows.push(args![
                imsi,
                s.iccid.map(|i| i.to_string()),
                s.label,
                s.state,
                s.sealed,
                s.fingerprint,
                s.algorithm,
                s.sqn.mode,
                u32::from(s.sqn.ind_bits),
                u32::from(s.sqn.node_bits),
                s.sqn.delta,
                s.sqn.max_ahead,
                s.sqn.offset,
                s.sqn.ceiling,
                s.sqn.resyncs,
                json_text(&s.dnns),
                json_text(&s.slices),
                s.ambr_ul_bps,
                s.ambr_dl_bps,
                s.device,
                1u32,
                at,
                at
            ]);
        }
        self.insert_many(SIMS, rows).await?;
        self.insert_many(DNNS, dnns).await?;
        self.insert_many(GROUPS, groups).await?;
        self.insert_many(ADDRESSES, addresses).await?;
        self.insert_many(LINKS, links).await
    }

    /// Changes a SIM; `None` where it is gone by now.
    async fn apply_edit(
        &mut self,
        imsi: Imsi,
        edit: SimEdit,
        state: Option<SimState>,
        keys: Option<NewSimKeys>,
        change: &Change,
    ) -> Result<Option<Applied>, StoreError> {
        let old = match self.sim(imsi).await {
            Ok(s) => s,
            Err(StoreError::NotFound) => return Ok(None),
            Err(e) => return Err(e),
        };
        let before = old.edit_before(&edit);
        self.write_edit(&old, edit.clone(), change.at).await?;
        // Somebody may have banned, suspended or retired it since the file was read: that holds.
        let calm = |s: SimState| matches!(s, SimState::Stock | SimState::Ready | SimState::Active);
        let state = match state {
            Some(to) if calm(old.state) && old.state.change_to(to).is_ok() => {
                self.set_state(imsi, old.state, to, change).await?;
                Some((old.state, to))
            }
            _ => None,
        };
        let replaced = match keys {
            // The key of a retired SIM is destroyed and stays so.
            Some(k) if old.state != SimState::Retired => {
                let sql = "UPDATE sims SET sealed = $2, fingerprint = $3, sqn_mode = $4, sqn_ind_bits = $5,
                           sqn_node_bits = $6, sqn_delta = $7, sqn_max_ahead = $8, sqn_offset = $9,
                           sqn_ceiling = $10, sqn_resyncs = $11 WHERE imsi = $1";
                let a = args![
                    imsi,
                    k.sealed,
                    k.fingerprint,
                    k.sqn.mode,
                    u32::from(k.sqn.ind_bits),
                    u32::from(k.sqn.node_bits),
                    k.sqn.delta,
                    k.sqn.max_ahead,
                    k.sqn.offset,
                    k.sqn.ceiling,
                    k.sqn.resyncs
                ];
                self.exec(sql, a).await?;
                true
            }
            _ => false,
        };
        Ok(Some(Applied::Changed { imsi, before, after: edit, state, keys: replaced }))
    }

    /// Writes the fields of an edit.
    pub(super) async fn write_edit(
        &mut self,
        old: &SimRow,
        edit: SimEdit,
        at: Utc,
    ) -> Result<(), StoreError> {
        let mut sim = old.clone();
        sim.apply(edit);
        let sql =
            "UPDATE sims SET iccid = $2, label = $3, dnns = $4, slices = $5, ambr_ul = $6, ambr_dl = $7,
                   device = $8, version = version + 1, changed = $9 WHERE imsi = $1";
        let a = args![
            sim.imsi,
            sim.iccid.as_ref().map(ToString::to_string),
            &sim.label,
            json_text(&sim.dnns),
            json_text(&sim.slices),
            sim.ambr_ul_bps,
            sim.ambr_dl_bps,
            sim.device.clone(),
            at
        ];
        self.exec(sql, a).await?;
        if sim.device != old.device {
            self.bind_by_short_form(sim.imsi).await?;
        }
        let parts = |s: &SimRow| (s.dnns.clone(), s.groups.clone(), s.static_ips.clone(), s.links.clone());
        if parts(&sim) != parts(old) {
            self.write_sim_parts(&sim).await?;
        }
        Ok(())
    }
}
