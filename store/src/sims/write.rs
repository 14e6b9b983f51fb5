//! The rows of a SIM as they are written, by a person's change and by an import alike.

use super::{SimEdit, SimRow};
use crate::{
    db::{Arg, Tx, args, json_text},
    directory::SimLinks,
    error::StoreError,
};
use std::collections::BTreeSet;
use types::{Name, Utc};

const SIMS: &str = "INSERT INTO sims (imsi, iccid, label, state, sealed, fingerprint, algorithm, sqn_mode,
    sqn_ind_bits, sqn_node_bits, sqn_delta, sqn_max_ahead, sqn_offset, sqn_ceiling, sqn_resyncs,
    dnns, slices, ambr_ul, ambr_dl, device, version, created, changed) VALUES";
const DNNS: &str = "INSERT INTO sim_dnns (imsi, dnn) VALUES";
const GROUPS: &str = "INSERT INTO sim_groups (imsi, grp) VALUES";
const LINKS: &str = "INSERT INTO sim_links (imsi, device, person, site) VALUES";
const ADDRESSES: &str = "INSERT INTO sim_addresses (imsi, dnn, ip) VALUES";

impl Tx {
    /// Inserts new SIMs, made at `at`, with all that hangs on them.
    pub(crate) async fn insert_sims(&mut self, sims: Vec<SimRow>, at: Utc) -> Result<(), StoreError> {
        let (mut dnns, mut groups, mut addresses, mut links) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut rows: Vec<Vec<Arg>> = Vec::with_capacity(sims.len());
        for s in sims {
            let imsi = s.imsi.to_string();
            let distinct: BTreeSet<_> = s.dnns.iter().collect();
            dnns.extend(distinct.into_iter().map(|d| args![&imsi, d]));
            groups.extend(s.groups.iter().map(|g| args![&imsi, g]));
            addresses.extend(s.static_ips.iter().map(|(d, ip)| args![&imsi, d, ip.to_string()]));
            if s.links != SimLinks::default() {
                let text = |n: Option<Name>| n.map(|n| n.to_string());
                links.push(args![&imsi, text(s.links.device), text(s.links.person), text(s.links.site)]);
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

    /// Writes the fields of an edit; the SIM as it is then.
    pub(crate) async fn write_edit(
        &mut self,
        old: &SimRow,
        edit: SimEdit,
        at: Utc,
    ) -> Result<SimRow, StoreError> {
        let mut sim = old.clone();
        if edit.device.is_some() {
            self.bind_by_short_form(sim.imsi).await?;
        }
        sim.apply(edit);
        (sim.version, sim.changed) = (old.version + 1, at);
        let sql =
            "UPDATE sims SET iccid = $2, label = $3, dnns = $4, slices = $5, ambr_ul = $6, ambr_dl = $7,
                   device = $8, version = $9, changed = $10 WHERE imsi = $1";
        let a = args![
            sim.imsi,
            sim.iccid.as_ref().map(ToString::to_string),
            &sim.label,
            json_text(&sim.dnns),
            json_text(&sim.slices),
            sim.ambr_ul_bps,
            sim.ambr_dl_bps,
            sim.device.clone(),
            sim.version,
            at
        ];
        self.exec(sql, a).await?;
        if sim.groups != old.groups {
            let sql = "INSERT INTO sim_groups_past (imsi, until, grps) VALUES ($1, $2, $3)
                       ON CONFLICT (imsi, until) DO NOTHING";
            self.exec(sql, args![sim.imsi, at, json_text(&old.groups)]).await?;
        }
        let parts = |s: &SimRow| (s.dnns.clone(), s.groups.clone(), s.static_ips.clone(), s.links.clone());
        if parts(&sim) != parts(old) {
            self.write_sim_parts(&sim).await?;
        }
        Ok(sim)
    }

    /// Writes the rows that hang on a SIM anew.
    async fn write_sim_parts(&mut self, sim: &SimRow) -> Result<(), StoreError> {
        for sql in [
            "DELETE FROM sim_dnns WHERE imsi = $1",
            "DELETE FROM sim_groups WHERE imsi = $1",
            "DELETE FROM sim_addresses WHERE imsi = $1",
        ] {
            self.exec(sql, args![sim.imsi]).await?;
        }
        for dnn in sim.dnns.iter().collect::<BTreeSet<_>>() {
            self.exec("INSERT INTO sim_dnns (imsi, dnn) VALUES ($1, $2)", args![sim.imsi, dnn]).await?;
        }
        for group in &sim.groups {
            self.exec("INSERT INTO sim_groups (imsi, grp) VALUES ($1, $2)", args![sim.imsi, group]).await?;
        }
        for (dnn, ip) in &sim.static_ips {
            let sql = "INSERT INTO sim_addresses (imsi, dnn, ip) VALUES ($1, $2, $3)";
            self.exec(sql, args![sim.imsi, dnn, ip.to_string()]).await?;
        }
        self.write_sim_links(sim.imsi, &sim.links).await
    }
}
