//! `sekisho bench aka`: full 5G vectors (RAND to KSEAF) per second on one core, beside the same chain of an
//! independent library, in turns.

use super::Spread;
use anyhow::{Context, Result};
use oxirush_security::{milenage as other, nas_5gs};
use std::{hint::black_box, process::ExitCode, time::Instant};
use types::{K, Opc, Rand, Sqn};

/// Vectors in one turn.
const TURN: u64 = 20_000;
/// Turns of each side.
const TURNS: usize = 9;
const SNN: &str = "5G:mnc001.mcc001.3gppnetwork.org";

/// Measures, prints a table, and with `json` one object as the last line.
pub fn run(json: bool) -> Result<ExitCode> {
    let (k, opc) = (gateway::sys::random::<16>()?, gateway::sys::random::<16>()?);
    compare(k, opc)?;
    let (mut ours, mut theirs, mut ratio) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..=TURNS {
        let a = rate(|n| _ = black_box(ours_once(&k, &opc, n)));
        let b = rate(|n| _ = black_box(theirs_once(&k, &opc, n)));
        // The first turn warms both up and is not counted.
        if turn > 0 {
            ours.push(a);
            theirs.push(b);
            ratio.push(a / b);
        }
    }
    let (ours, theirs, ratio) = (Spread::of(ours), Spread::of(theirs), Spread::of(ratio));
    let row =
        |name: &str, s: Spread| println!("{name:<34} {:>12.0} {:>12.0} {:>12.0}", s.median, s.min, s.max);
    println!("{:<34} {:>12} {:>12} {:>12}", "5G vectors per second, one core", "median", "min", "max");
    row("sekisho", ours);
    row("oxirush-security", theirs);
    println!("{:<34} {:>12.2} {:>12.2} {:>12.2}", "ratio, turn by turn", ratio.median, ratio.min, ratio.max);
    if json {
        println!("{}", serde_json::json!({ "ours": ours, "theirs": theirs, "ratio": ratio }));
    }
    Ok(ExitCode::SUCCESS)
}

/// Both sides must make the same vector before their speed says anything.
fn compare(k: [u8; 16], opc: [u8; 16]) -> Result<()> {
    let (a, b) = (ours_once(&k, &opc, 7), theirs_once(&k, &opc, 7).context("the other library refuses")?);
    anyhow::ensure!(a == b, "the two libraries disagree about a vector");
    Ok(())
}

fn rate(mut f: impl FnMut(u64)) -> f64 {
    let start = Instant::now();
    for n in 0..TURN {
        f(n);
    }
    TURN as f64 / start.elapsed().as_secs_f64()
}

fn inputs(n: u64) -> ([u8; 16], u64) {
    (u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c834).to_be_bytes(), n << 5)
}

type Made = ([u8; 16], Option<[u8; 16]>, [u8; 32]);

fn ours_once(k: &[u8; 16], opc: &[u8; 16], n: u64) -> Made {
    let (rand, sqn) = inputs(n);
    let sqn = Sqn::new(sqn).unwrap_or(Sqn::from_octets([0; 6]));
    let v = sim_auth::fg_vector(&K::new(*k), &Opc::new(*opc), Rand(rand), sqn, [0x80, 0], SNN);
    (v.autn.0, v.xres_star().map(|x| *x.expose()), *v.kseaf.expose())
}

fn theirs_once(k: &[u8; 16], opc: &[u8; 16], n: u64) -> Option<Made> {
    let (rand, sqn) = inputs(n);
    let sim = other::Milenage::new(&other::K::new(k), &other::Opc::new(opc));
    let sqn = other::Sqn::try_from(sqn).ok()?;
    let v =
        sim.authentication_vector(&oxirush_security::Rand::new(&rand), &sqn, &other::Amf::new(&[0x80, 0]));
    let xres_star = v.xres_star(SNN.as_bytes()).ok()?;
    let kausf = nas_5gs::derive_kausf(v.ck(), v.ik(), SNN.as_bytes(), v.autn()).ok()?;
    let kseaf = nas_5gs::derive_kseaf(&kausf, SNN.as_bytes()).ok()?;
    Some((*v.autn().as_octets(), Some(*xres_star.as_octets()), *kseaf.as_octets()))
}
