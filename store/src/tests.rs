//! Every story runs on SQLite and on a PostgreSQL that is made for the test.

mod access_grants;
mod alerts;
mod audit;
mod config;
mod directory;
mod equipment;
mod facts;
mod flows;
mod jobs;
mod ledger;
mod lists;
mod operators;
mod policy_text;
mod refusal;
mod revocations;
mod scim;
mod sims;
mod write;

use crate::{Change, SimRow, Store, StoreError};
use types::{DataNetwork, Group, Imsi, Utc};

/// `on_both!(name, |store| { … })`: the story once per database, as `name::sqlite` and `name::postgres`.
macro_rules! on_both {
    ($(#[$d:meta])* $name:ident, |$store:ident| $body:block) => {
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            $(#[$d])*
            async fn story($store: crate::Store) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                let dir = tempfile::tempdir().unwrap();
                let url = format!("sqlite:{}", dir.path().join("store.db").display());
                story(crate::Store::open(&url).await.unwrap()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                if let Some(url) = crate::lab::postgres().await {
                    story(crate::Store::open(&url).await.unwrap()).await;
                }
            }
        }
    };
}
pub(crate) use on_both;

const T0: Utc = Utc(1_800_000_000_000);

fn by(actor: &str) -> Change {
    Change {
        actor: actor.to_owned(),
        at: T0,
        reason: "because".to_owned(),
        request_id: "r1".to_owned(),
        origin: String::new(),
        ticket: String::new(),
    }
}

fn imsi(n: u32) -> Imsi {
    format!("00101{n:010}").parse().unwrap()
}

/// A SIM that is right in every part; its K and address follow from `n`.
fn sim(n: u32) -> SimRow {
    let mut sim = crate::lab::sim(imsi(n));
    sim.label = format!("Laptop {n}");
    sim.sealed = Some(vec![n as u8; 40]);
    sim.fingerprint = Some(n.to_be_bytes().to_vec());
    sim.sqn.offset = -17_999_999_999;
    sim.dnns = vec!["corp".parse().unwrap()];
    sim.slices = vec!["1".parse().unwrap()];
    (sim.ambr_ul_bps, sim.ambr_dl_bps) = (100_000_000, 200_000_000);
    sim
}

/// Data networks `corp` and `factory`, groups `staff` and `plc`.
async fn site(store: &Store) {
    for (dnn, pool) in [("corp", "10.20.0.0/16"), ("factory", "10.30.0.0/24")] {
        let dn = DataNetwork {
            dnn: dnn.parse().unwrap(),
            pool: pool.parse().unwrap(),
            pool6: None,
            dns: vec![],
            mtu: 1400,
        };
        store.create(dn, None, &by("init")).await.unwrap();
    }
    for name in ["staff", "plc"] {
        let group = Group::new(name.parse().unwrap(), "");
        store.create(group, None, &by("init")).await.unwrap();
    }
}

fn conflict<T: std::fmt::Debug>(r: Result<T, StoreError>) -> crate::Clash {
    match r {
        Err(StoreError::Conflict { what }) => what,
        other => panic!("a conflict was expected, not {other:?}"),
    }
}
