//! A piece of an import put in force: one transaction, with its way back in the place of what was staged.

use super::{Applied, NewSimKeys, Staged, octets, read};
use crate::{
    Store,
    audit::Change,
    db::{Tx, args},
    error::StoreError,
    sims::{SimEdit, SimRow},
};
use types::{Imsi, SimState, Utc};

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
        self.write(move |tx| Box::pin(async move { tx.insert_sims(sims, at).await })).await
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
                    new.push(SimRow::from(*s));
                }
                Staged::Changed { imsi, edit, state, keys } => {
                    applied.extend(self.apply_edit(imsi, edit, state, keys, change).await?);
                }
            }
        }
        self.insert_sims(new, change.at).await?;
        Ok(applied)
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
}
