//! Requests that may be sent twice and take effect once.
//!
//! A key is claimed before the work and its answer kept after it. A claim without an answer means that the
//! first request is under way, or that its process died in the middle: then the caller must look for itself.

use crate::{
    Store,
    db::{Rec, Tx, args},
    error::StoreError,
    revocations::KeptAnswer,
};
use types::Utc;

/// The answer that was given the first time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: Vec<u8>,
    /// ETag, where there was one.
    pub etag: Option<String>,
}

/// What became of a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// The key is new: do the work.
    New,
    /// The work was done: give this answer.
    Done(Kept),
    /// The key was used for another request.
    Other,
    /// The first request has no answer yet.
    Open,
}

/// What a row says to a request with this digest.
fn claimed(r: &Rec, fingerprint: &[u8]) -> Result<Claim, StoreError> {
    if r.blob("fingerprint")? != fingerprint {
        return Ok(Claim::Other);
    }
    let Some(status) = r.maybe_int("status")? else { return Ok(Claim::Open) };
    let status = u16::try_from(status).map_err(|_| StoreError::Damaged { what: "status" })?;
    let body = r.maybe_blob("body")?.unwrap_or_default();
    Ok(Claim::Done(Kept { status, body, etag: r.maybe_text("etag")? }))
}

impl Tx {
    /// Keeps a key and its answer at once, in the transaction of what the request did.
    pub(crate) async fn keep_whole(&mut self, k: KeptAnswer, at: Utc) -> Result<(), StoreError> {
        let sql = "INSERT INTO idempotency (actor, key, fingerprint, at, status, body, etag)
                   VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (actor, key) DO NOTHING";
        let status = u32::from(k.answer.status);
        let a = args![k.actor, k.key, k.fingerprint, at, status, k.answer.body, k.answer.etag];
        self.later(sql, a).await
    }
}

impl Store {
    /// What became of a key, without claiming it: reads only.
    pub async fn claim_seen(&self, actor: &str, key: &str, fingerprint: &[u8]) -> Result<Claim, StoreError> {
        let sql = "SELECT * FROM idempotency WHERE actor = $1 AND key = $2";
        match self.db.maybe(sql, args![actor, key]).await? {
            Some(r) => claimed(&r, fingerprint),
            None => Ok(Claim::New),
        }
    }

    /// Keeps a key and its answer at once, where the request's effect could not carry them.
    pub async fn keep_whole(&self, k: KeptAnswer, at: Utc) -> Result<(), StoreError> {
        self.write(move |tx| Box::pin(async move { tx.keep_whole(k, at).await })).await
    }

    /// Claims `key` of `actor` for the request whose digest is `fingerprint`.
    pub async fn claim(
        &self,
        actor: String,
        key: String,
        fingerprint: Vec<u8>,
        at: Utc,
    ) -> Result<Claim, StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "INSERT INTO idempotency (actor, key, fingerprint, at) VALUES ($1, $2, $3, $4)
                           ON CONFLICT (actor, key) DO NOTHING";
                if tx.exec(sql, args![&actor, &key, &fingerprint, at]).await? == 1 {
                    return Ok(Claim::New);
                }
                let sql = "SELECT * FROM idempotency WHERE actor = $1 AND key = $2";
                let r = tx.one(sql, args![&actor, &key]).await?;
                claimed(&r, &fingerprint)
            })
        })
        .await
    }

    /// Keeps the answer of a claim.
    pub async fn keep_answer(&self, actor: String, key: String, answer: Kept) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let sql =
                    "UPDATE idempotency SET status = $3, body = $4, etag = $5 WHERE actor = $1 AND key = $2";
                let a = args![actor, key, u32::from(answer.status), answer.body, answer.etag];
                tx.exec(sql, a).await.map(|_| ())
            })
        })
        .await
    }

    /// Gives a claim back: the request did nothing and may be tried again.
    pub async fn unclaim(&self, actor: String, key: String) -> Result<(), StoreError> {
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "DELETE FROM idempotency WHERE actor = $1 AND key = $2 AND status IS NULL";
                tx.exec(sql, args![actor, key]).await.map(|_| ())
            })
        })
        .await
    }

    /// Forgets answers older than `before`; how many.
    pub async fn forget_answers(&self, before: Utc) -> Result<u64, StoreError> {
        self.write(move |tx| {
            Box::pin(async move { tx.exec("DELETE FROM idempotency WHERE at < $1", args![before]).await })
        })
        .await
    }
}
