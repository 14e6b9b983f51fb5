//! A piece of an import taken back: new SIMs that nobody used go, fields that nobody changed since are as they were. What
//! stays is named with the reason.

use super::{Applied, octets, read};
use crate::{
    Store,
    audit::Change,
    db::{Arg, Tx, args, json_text},
    error::{Clash, StoreError},
    sims::{SimEdit, SimRow},
};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use types::{Imsi, SimState};

/// What became of a piece.
#[derive(Default)]
struct Undone {
    removed: u64,
    restored: u64,
    kept: Vec<Value>,
}

impl Undone {
    fn keep(&mut self, imsi: Imsi, why: &'static str, fields: &[&'static str]) {
        self.kept.push(json!({ "imsi": imsi, "code": why, "fields": fields }));
    }
}

impl Store {
    /// Takes the next piece back; false where none is left.
    pub(super) async fn undo_next(&self, job: u64, change: &Change) -> Result<bool, StoreError> {
        match self.undo_piece(job, change, false).await {
            // Something refers to one of its SIMs: then one by one, to find which.
            Err(StoreError::Conflict { what: Clash::Reference }) => self.undo_piece(job, change, true).await,
            other => other,
        }
    }

    async fn undo_piece(&self, job: u64, change: &Change, singly: bool) -> Result<bool, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "SELECT seq, body FROM import_chunks WHERE job = $1 AND step = 'applied'
                           ORDER BY seq DESC LIMIT 1";
                let Some(r) = tx.maybe(sql, args![job]).await? else { return Ok(false) };
                let (seq, rows): (u64, Vec<Applied>) = (r.uint("seq")?, read(&r.blob("body")?)?);
                let undone = tx.undo(&rows, singly, &change).await?;
                let sql = "UPDATE import_chunks SET step = 'undone', body = $3 WHERE job = $1 AND seq = $2";
                tx.exec(sql, args![job, seq, octets(&rows)?]).await?;
                tx.note_undone(job, rows.len() as u64, undone).await?;
                Ok(true)
            })
        })
        .await
    }
}

impl Tx {
    /// Adds what became of a piece to the job.
    async fn note_undone(&mut self, job: u64, n: u64, u: Undone) -> Result<(), StoreError> {
        let mut result = self.job(job).await?.result.unwrap_or_else(|| json!({}));
        let had = |name: &str| result["undo"][name].as_u64().unwrap_or(0);
        let kept = had("kept");
        let sums = json!({
            "removed": had("removed") + u.removed,
            "restored": had("restored") + u.restored,
            "kept": kept + u.kept.len() as u64,
        });
        result["undo"] = sums;
        self.add_items(job, "kept", kept, &u.kept).await?;
        let sql = "UPDATE jobs SET done = done + $2, result = $3 WHERE id = $1";
        self.exec(sql, args![job, n, json_text(&result)]).await.map(|_| ())
    }

    async fn undo(&mut self, rows: &[Applied], singly: bool, change: &Change) -> Result<Undone, StoreError> {
        let mut undone = Undone::default();
        self.remove_new(rows, singly, &mut undone).await?;
        for row in rows {
            if let Applied::Changed { imsi, before, after, state, keys } = row {
                self.restore(*imsi, before, after, *state, *keys, change, &mut undone).await?;
            }
        }
        Ok(undone)
    }

    /// Removes those new SIMs that were never used nor changed.
    async fn remove_new(
        &mut self,
        rows: &[Applied],
        singly: bool,
        undone: &mut Undone,
    ) -> Result<(), StoreError> {
        let all: Vec<Imsi> =
            rows.iter().filter(|r| matches!(r, Applied::New { .. })).map(Applied::imsi).collect();
        if all.is_empty() {
            return Ok(());
        }
        let keys = || all.iter().map(Arg::from).collect::<Vec<_>>();
        let mut used: BTreeSet<Imsi> = BTreeSet::new();
        let heads = [
            "SELECT imsi FROM leases WHERE imsi IN",
            "SELECT imsi FROM foreign_leases WHERE imsi IN",
            "SELECT imsi FROM serving_mmes WHERE imsi IN",
            "SELECT imsi FROM sim_history WHERE imsi IN",
        ];
        for head in heads {
            for r in self.rows_in(head, keys()).await? {
                used.insert(r.parse("imsi")?);
            }
        }
        let sql = "SELECT imsi, state, version, sqn_ceiling, sqn_offset FROM sims WHERE imsi IN";
        let found = self.rows_in(sql, keys()).await?;
        let mut now = std::collections::BTreeMap::new();
        for r in &found {
            let state: SimState = r.parse("state")?;
            let seen = (state, r.uint("version")?, r.uint("sqn_ceiling")?, r.int("sqn_offset")?);
            now.insert(r.parse::<Imsi>("imsi")?, seen);
        }
        let mut gone = Vec::new();
        for row in rows {
            let Applied::New { imsi, state, ceiling, offset } = row else { continue };
            match now.get(imsi) {
                None => {}
                Some((s, ..)) if s.is_banned() => undone.keep(*imsi, "banned", &[]),
                _ if used.contains(imsi) => undone.keep(*imsi, "used", &[]),
                Some((_, _, c, o)) if (c, o) != (ceiling, offset) => undone.keep(*imsi, "used", &[]),
                Some((s, version, ..)) if s != state || *version != 1 => undone.keep(*imsi, "changed", &[]),
                Some(_) => gone.push(*imsi),
            }
        }
        if !singly {
            let keys = gone.iter().map(Arg::from).collect();
            self.exec_in("DELETE FROM sims WHERE imsi IN", keys).await?;
            undone.removed += gone.len() as u64;
            return Ok(());
        }
        for imsi in gone {
            self.exec("SAVEPOINT one_sim", vec![]).await?;
            match self.exec("DELETE FROM sims WHERE imsi = $1", args![imsi]).await {
                Ok(_) => undone.removed += 1,
                Err(StoreError::Conflict { .. }) => {
                    self.exec("ROLLBACK TO SAVEPOINT one_sim", vec![]).await?;
                    undone.keep(imsi, "referred-to", &[]);
                }
                Err(e) => return Err(e),
            }
            self.exec("RELEASE SAVEPOINT one_sim", vec![]).await?;
        }
        Ok(())
    }

    /// Puts the fields of a SIM back that are still as the import set them.
    #[allow(clippy::too_many_arguments, reason = "the parts of one row")]
    async fn restore(
        &mut self,
        imsi: Imsi,
        before: &SimEdit,
        after: &SimEdit,
        state: Option<(SimState, SimState)>,
        keys: bool,
        change: &Change,
        undone: &mut Undone,
    ) -> Result<(), StoreError> {
        let sim = match self.sim(imsi).await {
            Ok(s) => s,
            Err(StoreError::NotFound) => return Ok(()),
            Err(e) => return Err(e),
        };
        let (back, kept) = sim.edit_back(before, after);
        let mut restored = false;
        if back != SimEdit::default() {
            match self.try_edit(&sim, back, change).await? {
                true => restored = true,
                false => undone.keep(imsi, "taken", &["iccid", "static_ips"]),
            }
        }
        if !kept.is_empty() {
            undone.keep(imsi, "changed", &kept);
        }
        if keys {
            // The old key was destroyed when the new one took its place.
            undone.keep(imsi, "key-replaced", &["k"]);
        }
        if let Some((from, to)) = state {
            if sim.state == to && to.change_to(from).is_ok() {
                self.set_state(imsi, to, from, change).await?;
                restored = true;
            } else if sim.state != from {
                undone.keep(imsi, "changed", &["state"]);
            }
        }
        undone.restored += u64::from(restored);
        Ok(())
    }

    /// Writes an edit; false where somebody else has a card or an address of it by now.
    async fn try_edit(&mut self, sim: &SimRow, edit: SimEdit, change: &Change) -> Result<bool, StoreError> {
        self.exec("SAVEPOINT one_edit", vec![]).await?;
        let done = match self.write_edit(sim, edit, change.at).await {
            Ok(_) => true,
            Err(StoreError::Conflict { .. }) => {
                self.exec("ROLLBACK TO SAVEPOINT one_edit", vec![]).await?;
                false
            }
            Err(e) => return Err(e),
        };
        self.exec("RELEASE SAVEPOINT one_edit", vec![]).await?;
        Ok(done)
    }
}
