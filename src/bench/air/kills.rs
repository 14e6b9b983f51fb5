//! Kill -9 of the node while an MME asks for vectors, at random and on both sides of an SQN ceiling's write: no (SIM, SEQ, IND)
//! may come twice, which is looked up in the vectors themselves.

use super::{
    WINDOW,
    asker::Asker,
    cards::{Cards, Seen},
    node::Node,
};
use crate::supervisor;
use anyhow::{Context, Result, ensure};
use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

/// SIMs: few, so that each comes often, and SEQ of those that are counted passes one ceiling after the other, and
/// that of the others runs ahead of the clock below the horizon.
const SIMS: u32 = 300;
/// How long a named point may take until it is passed.
const PASSING: Duration = Duration::from_secs(20);
/// The points on both sides of the write.
const POINTS: [&str; 2] = ["sqn.before-ceiling", "sqn.ceiling"];
/// Vectors of each SIM behind the last kill.
const AT_LAST: u32 = 4;

/// What was seen.
#[derive(Debug, Default, serde::Serialize)]
pub(super) struct Found {
    pub kills: u32,
    pub at_random: u32,
    pub at_a_point: u32,
    pub vectors: usize,
    pub answers: u64,
    pub reused: usize,
    /// The first of them, in words.
    pub found: Vec<String>,
}

/// Kills it so often.
///
/// # Errors
/// An answer that is not right, or a node that does not come back.
pub(super) async fn story(kills: u32, seed: u64, sabotage: Option<&str>) -> Result<Found> {
    let aim = tempfile::Builder::new().prefix("sekisho-air-kills-").tempdir()?;
    let aim_at = aim.path().join("crash");
    let mut env = vec![("SEKISHO_CRASH_AT".to_owned(), format!("@{}", aim_at.display()))];
    env.extend(sabotage.map(|promise| ("SEKISHO_SABOTAGE".to_owned(), promise.to_owned())));
    let cards = Cards::draw(SIMS, true, seed);
    let mut node = Node::with_sims(&cards, env).await?;
    let done = tokio::task::block_in_place(|| kill_all(&mut node, &cards, kills, seed, &aim_at));
    if done.is_err() {
        node.print_log();
    }
    done
}

fn kill_all(node: &mut Node, cards: &Cards, kills: u32, seed: u64, aim_at: &Path) -> Result<Found> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut seen, mut found) = (Seen::default(), Found::default());
    for n in 0..kills {
        node.start()?;
        let mut asker = Asker::connect(node.s6a())?;
        // The first is at random: what is known before any write has ended is tried, too.
        let at_a_point = n % 3 > 0;
        if at_a_point {
            let point = POINTS[rng.usize(..POINTS.len())];
            aim(aim_at, &format!("{point}:{}", rng.u32(1..12)))?;
            found.at_a_point += 1;
        } else {
            let (pid, after) = (node.pid()?, Duration::from_micros(rng.u64(1_000..300_000)));
            std::thread::spawn(move || {
                std::thread::sleep(after);
                supervisor::kill(pid);
            });
            found.at_random += 1;
        }
        let (until, mut order) = (Instant::now() + PASSING, rng.fork());
        let sims = std::iter::from_fn(|| (Instant::now() < until).then(|| order.u32(..SIMS)));
        let asked = asker.ask(sims, WINDOW, cards, &mut seen).with_context(|| format!("kill {n}"))?;
        ensure!(asked.cut, "kill {n}: nobody died in {} s", PASSING.as_secs());
        node.buried().with_context(|| format!("kill {n}"))?;
        found.answers += asked.answered;
        found.kills += 1;
    }
    // What is left goes on, for every SIM.
    node.start()?;
    let sims = (0..AT_LAST).flat_map(|_| 0..SIMS);
    let asked = Asker::connect(node.s6a())?.ask(sims, WINDOW, cards, &mut seen)?;
    ensure!(!asked.cut, "the last connection was lost");
    found.answers += asked.answered;
    node.stop()?;
    found.vectors = seen.len();
    found.reused = seen.twice.len();
    found.found = seen.twice.into_iter().take(20).collect();
    Ok(found)
}

/// So that no process reads half of it.
fn aim(file: &Path, text: &str) -> Result<()> {
    let draft = file.with_extension("new");
    fs::write(&draft, text)?;
    Ok(fs::rename(draft, file)?)
}
