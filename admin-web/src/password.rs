//! Passwords of operators: Argon2id (RFC 9106), off the threads that serve.
//!
//! A sign-in for a name that is not there does the same work as one that is: it is held against a hash of ours.

use crate::problem::{Problem, say};
use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// What one check costs.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Memory, KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
}

impl Default for Cost {
    /// RFC 9106 §4, second recommended choice, with one lane: 64 MiB, three passes.
    fn default() -> Self {
        Self { memory_kib: 64 * 1024, passes: 3 }
    }
}

/// Checks that run at once: each takes the memory that [`Cost`] says.
const AT_ONCE: usize = 2;
/// Checks that wait behind them; more are refused.
const WAITING: u64 = 16;
/// Characters of a password.
const LEAST: usize = 12;
const MOST: usize = 128;

/// Hashes and checks passwords.
pub(crate) struct Passwords {
    cost: Cost,
    /// Of no password.
    stand_in: tokio::sync::OnceCell<String>,
    turns: Arc<Semaphore>,
    waiting: AtomicU64,
    /// Checks that were made: the same number whether or not a name is there.
    checks: AtomicU64,
}

impl Passwords {
    pub(crate) fn new(cost: Cost) -> Self {
        Self {
            cost,
            stand_in: tokio::sync::OnceCell::new(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: AtomicU64::new(0),
            checks: AtomicU64::new(0),
        }
    }

    /// Checks made so far.
    #[cfg(test)]
    pub(crate) fn checks(&self) -> u64 {
        self.checks.load(Ordering::Relaxed)
    }

    /// The hash to store, as a PHC string.
    pub(crate) async fn hash(&self, password: Zeroizing<String>) -> Result<String, Problem> {
        let cost = self.cost;
        self.in_turn(move || {
            let hash = hasher(cost)?.hash_password(password.as_bytes()).map_err(|e| defect(&e))?;
            Ok(hash.to_string())
        })
        .await
    }

    /// True where `hash` is of this password. Without a hash the answer is false, after the same work.
    pub(crate) async fn check(
        &self,
        password: Zeroizing<String>,
        hash: Option<String>,
    ) -> Result<bool, Problem> {
        let there = hash.is_some();
        let nobody = || self.hash(Zeroizing::new("nobody has this one".to_owned()));
        let stand_in = self.stand_in.get_or_try_init(nobody).await?;
        let hash = hash.unwrap_or_else(|| stand_in.clone());
        let cost = self.cost;
        self.checks.fetch_add(1, Ordering::Relaxed);
        let right = self
            .in_turn(move || {
                let parsed = PasswordHash::new(&hash).map_err(|e| defect(&e))?;
                Ok(hasher(cost)?.verify_password(password.as_bytes(), &parsed).is_ok())
            })
            .await?;
        Ok(right && there)
    }

    async fn in_turn<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<R, Problem> + Send + 'static,
    ) -> Result<R, Problem> {
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Err(busy());
        }
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        let turn = turn.map_err(|_| Problem::internal())?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        done.await.map_err(|_| Problem::internal())?
    }
}

fn hasher(cost: Cost) -> Result<Argon2<'static>, Problem> {
    let params = Params::new(cost.memory_kib, cost.passes, 1, None).map_err(|e| defect(&e))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

fn defect(e: &dyn std::fmt::Display) -> Problem {
    tracing::error!("a password could not be hashed or checked: {e}");
    Problem::internal()
}

fn busy() -> Problem {
    Problem::new(429, "busy", say!("Too many sign-ins at once", "サインインが集中しています"))
        .fix(say!("try again in a few seconds", "数秒後に再試行してください"))
}

/// What is wrong with a password that somebody chose.
pub(crate) fn weakness(password: &str, operator: &str) -> Option<crate::problem::Said> {
    let n = password.chars().count();
    if !(LEAST..=MOST).contains(&n) {
        return Some(say!(
            "a password has {LEAST} to {MOST} characters",
            "パスワードは {LEAST}〜{MOST} 文字です"
        ));
    }
    let mut different: Vec<char> = password.chars().collect();
    different.sort_unstable();
    different.dedup();
    if different.len() < 5 || password.to_lowercase().contains(&operator.to_lowercase()) {
        return Some(say!("it is too easy to guess", "推測されやすいパスワードです"));
    }
    None
}

/// A password that nobody chose: 100 bits in groups that can be read out.
pub(crate) fn made(random: [u8; 13]) -> Zeroizing<String> {
    let text = Zeroizing::new(data_encoding::BASE32_NOPAD.encode(&random).to_lowercase());
    let groups: Vec<String> =
        text.chars().collect::<Vec<_>>().chunks(5).take(4).map(|c| c.iter().collect()).collect();
    Zeroizing::new(groups.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Cost = Cost { memory_kib: 64, passes: 1 };

    #[tokio::test]
    async fn a_hash_is_argon2id_and_of_one_password_alone() {
        let p = Passwords::new(CHEAP);
        let text = |s: &str| Zeroizing::new(s.to_owned());
        let hash = p.hash(text("correct horse battery")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{hash}");
        assert_ne!(hash, p.hash(text("correct horse battery")).await.unwrap(), "each has a salt of its own");
        assert!(p.check(text("correct horse battery"), Some(hash.clone())).await.unwrap());
        assert!(!p.check(text("correct horse batterx"), Some(hash)).await.unwrap());
        assert!(!p.check(text("nobody has this one"), None).await.unwrap(), "not even the stand-in's own");
        assert_eq!(p.checks(), 3);
    }

    #[test]
    fn weak_passwords_are_named() {
        for weak in ["short", "aaaaaaaaaaaaaaaa", "my-Hanako-2026!!"] {
            assert!(weakness(weak, "hanako").is_some(), "{weak}");
        }
        assert!(weakness("関所をまもる長い合言葉です", "hanako").is_none());
        let made = made([0xa5; 13]);
        assert_eq!((made.len(), weakness("uwrf-umntp-zqk7m-4xh2b", "hanako").is_none()), (23, true));
    }
}
