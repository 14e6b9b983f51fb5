//! `sekisho bench import`: a file of SIMs through the whole import, its dry run, and the bare inserts of the same rows, in
//! one run; and how long a ban's change of state waits for the database meanwhile.

use super::at;
use admin_web::import::{self, Format, Mode, Options};
use anyhow::{Context, Result, ensure};
use std::{
    fmt::Write as _,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use store::{Change, JobRow, JobState, SimRow, StateChange, Store};
use types::{DataNetwork, Group, Imsi, Key256, SimState};

/// How often the bare inserts are measured.
const BARE: usize = 3;
/// How much longer than the bare inserts an import may take: what is judged, because it holds on any machine; from so many
/// SIMs on, because with few of them it is a matter of milliseconds.
const MOST: f64 = 4.0;
const JUDGED_FROM: u32 = 100_000;
/// SIMs that are there before, to be banned while the import runs.
const BANNED: u32 = 1_000;

/// Measures, prints a table, and with `json` one object as the last line.
pub fn run(sims: u32, json: bool) -> Result<ExitCode> {
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    rt.block_on(measure(sims, json))
}

async fn measure(sims: u32, json: bool) -> Result<ExitCode> {
    let dir = tempfile::tempdir()?;
    let vault = hss::Vault::new(&Key256::new(gateway::sys::random()?), 1, None, gateway::sys::random()?)
        .context("a vault")?;
    let (first, file) = (text(0, BANNED)?, text(BANNED, sims)?);
    let store = site(dir.path(), "import").await?;
    let options = |mode| Options { mode, format: Format::Csv, replace_keys: false, plmn: None };

    let (there, _) = through(&store, &vault, &first, options(Mode::AllOrNothing)).await?;
    ensure!(there.state == JobState::Done, "the SIMs to be banned are not there: {:?}", there.result);
    let (dry, dry_s) = through(&store, &vault, &file, options(Mode::DryRun)).await?;
    count(&dry, sims)?;

    let idle = bans(store.clone(), 0, Arc::new(AtomicBool::new(false)), Some(50)).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let during = tokio::spawn(bans(store.clone(), 50, stop.clone(), None));
    let (done, import_s) = through(&store, &vault, &file, options(Mode::AllOrNothing)).await?;
    stop.store(true, Ordering::Relaxed);
    let during = during.await??;
    count(&done, sims)?;

    let rows: Vec<SimRow> = store.all_sims().await?.into_iter().filter(|s| s.imsi >= imsi(BANNED)).collect();
    ensure!(rows.len() == sims as usize, "{} SIMs are there instead of {sims}", rows.len());
    let mut bare = Vec::new();
    for n in 0..BARE {
        let store = site(dir.path(), &format!("bare{n}")).await?;
        let rows = rows.clone();
        let start = Instant::now();
        store.bare_inserts(rows, gateway::time::utc()).await?;
        bare.push(start.elapsed().as_secs_f64());
        store.close().await;
    }
    bare.sort_by(f64::total_cmp);
    let bare_s = at(&bare, 0.5);
    let ratio = import_s / bare_s;
    let row = |what: &str, s: f64| {
        println!("{what:<44} {s:>9.2} s {:>10.0} SIMs/s", f64::from(sims) / s.max(1e-9));
    };
    println!("{sims} SIMs, {} octets of CSV", file.len());
    row("import: read, seal, stage, switch", import_s);
    row("dry run", dry_s);
    row("bare inserts of the same rows (median)", bare_s);
    println!("{:<44} {ratio:>9.2}", "import / bare inserts");
    println!("{:<44} {:>9.2}", "dry run / bare inserts", dry_s / bare_s);
    let ms = |v: &[f64], q| at(v, q);
    for (what, v) in [("a ban in the database, idle, ms", &idle), ("the same during the import, ms", &during)]
    {
        println!(
            "{what:<44} p50 {:.1}, p95 {:.1}, max {:.1} ({} bans)",
            ms(v, 0.5),
            ms(v, 0.95),
            ms(v, 1.0),
            v.len()
        );
    }
    let held = sims < JUDGED_FROM || ratio <= MOST;
    if json {
        let spread = |v: &[f64]| serde_json::json!({ "p50": ms(v, 0.5), "p95": ms(v, 0.95), "max": ms(v, 1.0), "bans": v.len() });
        println!(
            "{}",
            serde_json::json!({
                "sims": sims, "import_s": import_s, "dry_run_s": dry_s, "bare_s": bare_s, "bare_all_s": bare,
                "ratio": ratio, "held": held, "ban_idle_ms": spread(&idle), "ban_during_ms": spread(&during),
            })
        );
    }
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A store with a data network and two groups.
async fn site(dir: &std::path::Path, name: &str) -> Result<Store> {
    let store = Store::open(&format!("sqlite:{}", dir.join(format!("{name}.db")).display())).await?;
    let by = Change::by_system("bench", gateway::time::utc());
    let dn = DataNetwork {
        dnn: "corp".parse()?,
        pool: "10.0.0.0/8".parse()?,
        pool6: None,
        dns: vec![],
        mtu: 1400,
    };
    store.create(dn, None, &by).await?;
    for name in ["staff", "plc"] {
        let group: Group = serde_json::from_value(serde_json::json!({ "name": name }))?;
        store.create(group, None, &by).await?;
    }
    Ok(store)
}

fn imsi(n: u32) -> Imsi {
    Imsi::from_parts(types::Plmn::new("001", "01").unwrap_or_else(|_| unreachable!()), &format!("{n:010}"))
        .unwrap_or_else(|_| unreachable!())
}

/// A supplier's file: keys, card numbers, labels, groups.
fn text(from: u32, sims: u32) -> Result<String> {
    let mut text = "imsi,k,opc,iccid,label,state,groups,dnns\n".to_owned();
    for n in from..from + sims {
        let (k, opc): ([u8; 16], [u8; 16]) = (gateway::sys::random()?, gateway::sys::random()?);
        let (k, opc) = (types::hex(&k), types::hex(&opc));
        let group = if n % 4 == 0 { "plc" } else { "staff" };
        // 18 digits carry no check digit.
        writeln!(
            text,
            "{},{k},{opc},8981{n:014},\"Laptop {n}, floor {}\",ready,{group},corp",
            imsi(n),
            n % 9
        )?;
    }
    Ok(text)
}

/// The whole way of a file; the job and the seconds.
async fn through(store: &Store, vault: &hss::Vault, text: &str, options: Options) -> Result<(JobRow, f64)> {
    let pieces: Vec<Result<Vec<u8>, String>> =
        text.as_bytes().chunks(16 * 1024).map(|c| Ok(c.to_vec())).collect();
    let vault = vault.sibling(gateway::sys::random()?);
    let by = Change::by_system("bench", gateway::time::utc());
    let start = Instant::now();
    let body = futures_util::stream::iter(pieces);
    let job = import::run(store, vault, &options, &by, body).await?;
    let job = store.carry_on_import(job.id, gateway::time::utc()).await?;
    Ok((job, start.elapsed().as_secs_f64()))
}

fn count(job: &JobRow, sims: u32) -> Result<()> {
    let new = job.result.as_ref().and_then(|r| r.get("new")?.as_u64());
    ensure!(job.state == JobState::Done && new == Some(u64::from(sims)), "{:?}: {:?}", job.state, job.result);
    Ok(())
}

/// Bans SIM after SIM until told to stop; how long the database took for each, in milliseconds, sorted.
async fn bans(store: Store, first: u32, stop: Arc<AtomicBool>, most: Option<u32>) -> Result<Vec<f64>> {
    let mut took = Vec::new();
    for n in (first..BANNED).take(most.unwrap_or(BANNED) as usize) {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let by = Change { reason: "bench".to_owned(), ..Change::by_system("soc", gateway::time::utc()) };
        let start = Instant::now();
        store.change_sim_state(imsi(n), SimState::Lost, StateChange::Ban, &by).await?;
        took.push(start.elapsed().as_secs_f64() * 1000.0);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    took.sort_by(f64::total_cmp);
    Ok(took)
}
