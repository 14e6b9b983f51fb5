//! The binary: reads the command line and calls the room that knows.

use anyhow::Context as _;
use clap::{Parser, Subcommand, ValueEnum};
#[cfg(feature = "lab")]
use sekisho::{bench, demo};
use sekisho::{cli, config::Config, control, delivery, doctor, first_run, init, lang::Lang, log, supervisor};
use std::{
    os::fd::RawFd,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

/// Access controller of a private LTE/5G closed network.
#[derive(Parser)]
#[command(name = "sekisho", version, long_version = first_run::version(), propagate_version = true, after_help = EXIT_CODES)]
struct Cli {
    /// Configuration file of this node.
    #[arg(long, global = true, env = "SEKISHO_CONFIG", default_value = "/etc/sekisho/sekisho.toml")]
    config: PathBuf,
    /// Language of what people read.
    #[arg(long, global = true, value_enum)]
    lang: Option<Lang>,
    #[command(flatten)]
    remote: cli::Remote,
    #[command(subcommand)]
    verb: Verb,
}

const EXIT_CODES: &str = "Exit codes: 0 done, 1 failed, 2 wrong words, 3 refused by the API, 4 not available, 5 means nothing here.";

#[derive(Subcommand)]
enum Verb {
    /// Start the gateway and the control process and keep them running.
    Run {
        /// Start only this part, in this process; what the supervisor does.
        #[arg(long, hide = true)]
        part: Option<Part>,
        /// What the page inside the closed network is told.
        #[arg(long, hide = true)]
        page: Option<String>,
        /// File descriptor of a listener for the API that was handed over.
        #[arg(long, hide = true)]
        api_fd: Option<RawFd>,
    },
    /// Make the data directory, the key file, the database and the first token, which is printed once.
    Init,
    /// Print a new one-time link by which the first operator is made in a browser.
    FirstRun,
    /// Read the configuration and name every mistake with its line and its fix.
    Check,
    /// Say what this machine lacks, and the command that mends it.
    Doctor,
    /// Backups: make, drill, key.
    #[command(subcommand)]
    Backup(cli::backups::Backup),
    /// Restore a backup, and confirm the list of bans after it.
    #[command(subcommand)]
    Restore(cli::backups::Restore),
    /// The revocation journal, offline: show, verify, restore.
    #[command(subcommand)]
    Journal(cli::Journal),
    /// Show the whole thing on a simulated site with real traffic.
    #[cfg(feature = "lab")]
    Demo {
        /// End after the story; exit code 0 only if every step held.
        #[arg(long)]
        once: bool,
        /// Print one JSON object as the last line.
        #[arg(long)]
        json: bool,
        /// Kill both processes on the way, and look that nothing is lost by it.
        #[arg(long)]
        kills: bool,
        /// Where the API listens.
        #[arg(long, default_value = "127.0.0.1:8443")]
        listen: std::net::SocketAddr,
        /// Switch NAS ciphering off, so that a capture can be read.
        #[arg(long)]
        clear_nas: bool,
        /// Let N2 go over the kernel's SCTP.
        #[arg(long)]
        kernel_sctp: bool,
        /// Write what passes between radio and core to this file (pcap).
        #[arg(long)]
        capture: Option<PathBuf>,
    },
    /// A simulated site around this configuration: a radio, devices with SIM cards, apps. To try things without a radio.
    #[cfg(feature = "lab")]
    #[command(subcommand)]
    Lab(demo::verbs::Lab),
    /// Measure, as ratios within one run.
    #[cfg(feature = "lab")]
    #[command(subcommand)]
    Bench(Bench),
    /// A host of the simulated site: obeys its standard input.
    #[cfg(feature = "lab")]
    #[command(hide = true)]
    LabHost,
    /// The radio of the simulated site.
    #[cfg(feature = "lab")]
    #[command(hide = true)]
    LabRan,
    /// The simulated site.
    #[cfg(feature = "lab")]
    #[command(hide = true)]
    LabSite {
        /// The API's listener.
        #[arg(long)]
        api_fd: RawFd,
    },
    #[command(flatten)]
    Api(cli::Verb),
}

#[cfg(feature = "lab")]
#[derive(Subcommand)]
enum Bench {
    /// Many UEs register at once, beside the bare cost of their messages and cryptography; what an idle UE costs.
    Attach {
        /// How many register at once.
        #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_024))]
        ues: u32,
        /// At how many gNBs.
        #[arg(long, default_value_t = 10)]
        gnbs: u32,
        /// How many idle UEs with a session each.
        #[arg(long, default_value_t = 20_000)]
        idle: u32,
        /// Print one JSON object as the last line.
        #[arg(long)]
        json: bool,
    },
    /// Bans under traffic: packets after the answer, time of cut and answer.
    Ban {
        /// How many in each circumstance.
        #[arg(long, default_value_t = 200)]
        bans: u32,
        /// Live sessions, those of banned SIMs included; as many as are banned if not given.
        #[arg(long)]
        sessions: Option<u32>,
        /// In which circumstances, one after the other on one site.
        #[arg(long = "while", value_enum, default_value = "quiet")]
        circumstance: Vec<bench::ban::While>,
        /// Milliseconds between an answer and the next ban.
        #[arg(long, default_value_t = 50)]
        pause_ms: u64,
        /// Print one JSON object as the last line.
        #[arg(long)]
        json: bool,
    },
    /// Each call of a ban's write path fails once, in every way, and the power goes.
    Disk {
        /// Only every n-th call.
        #[arg(long, default_value_t = 1)]
        every: u64,
        /// Break a promise on purpose: the run has to end with a loss.
        #[arg(long, hide = true, value_parser = crash::PROMISES)]
        sabotage: Option<String>,
        /// Print one JSON object as the last line.
        #[arg(long)]
        json: bool,
    },
    /// What holds when something is down: the table of the design, cell by cell.
    Failures {
        /// Print one JSON object as the last line.
        #[arg(long)]
        json: bool,
    },
    /// Looks for the keys of the SIMs in everything that Sekisho says and leaves behind.
    Secrets {
        /// Print one JSON object as the last line.
        #[arg(long)]
        json: bool,
    },
    /// Kill -9 of both processes, at random and at every named point of the write path, under traffic.
    Kills {
        /// How many.
        #[arg(long, default_value_t = 60)]
        kills: u32,
        /// Repeat the choices of this run; drawn and printed if not given.
        #[arg(long)]
        seed: Option<u64>,
        /// Break a promise on purpose: the run has to end with a loss.
        #[arg(long, hide = true, value_parser = crash::PROMISES)]
        sabotage: Option<String>,
        /// Print one JSON object as the last line.
        #[arg(long)]
        json: bool,
    },
    /// A relay between the radio and its AMF damages messages, and UEs come and go all the same.
    Damage {
        /// For so long.
        #[arg(long, default_value_t = 0.5)]
        minutes: f64,
        /// Messages that are damaged, of a thousand, both ways.
        #[arg(long, default_value_t = 10)]
        per_mille: u16,
        /// What chance begins with; it is printed in the first line.
        #[arg(long)]
        seed: Option<u64>,
        /// Print one JSON object as the last line.
        #[arg(long)]
        json: bool,
    },
    /// Octets at random at every socket of a running Sekisho.
    Noise {
        /// Print one JSON object as the last line.
        #[arg(long)]
        json: bool,
    },
    /// A node is backed up, lost, and restored without and with its journal, by the command line.
    Restore {
        /// Print one JSON object as the last line.
        #[arg(long)]
        json: bool,
    },
    /// Many rules and SIMs: how long the policy takes to compile, how soon a change is in force, what a decision costs.
    Policy {
        /// How many SIMs.
        #[arg(long, default_value_t = 100_000)]
        sims: u32,
        /// How many rules.
        #[arg(long, default_value_t = 10_000)]
        rules: u32,
        /// How many edits of each kind.
        #[arg(long, default_value_t = 50)]
        edits: usize,
        /// Print one JSON object as the last line.
        #[arg(long)]
        json: bool,
    },
    /// Recorded flows against a draft of the policy, beside a walk of the rules.
    Replay {
        /// How many flows.
        #[arg(long, default_value_t = 10_000_000)]
        flows: u64,
        /// How many SIMs.
        #[arg(long, default_value_t = 100_000)]
        sims: u32,
        /// How many rules.
        #[arg(long, default_value_t = 10_000)]
        rules: u32,
        /// Print one JSON object as the last line.
        #[arg(long)]
        json: bool,
    },
    /// An import of SIMs and its dry run, beside bare inserts of the same rows.
    Import {
        /// How many.
        #[arg(long, default_value_t = 100_000)]
        sims: u32,
        /// Print one JSON object as the last line.
        #[arg(long)]
        json: bool,
    },
    /// Processor time of the packet path, beside a loop of one packet a system call and the kernel's own forwarding.
    Path {
        /// How often each is measured.
        #[arg(long, default_value_t = 5)]
        turns: u32,
        /// Only the works with this in their name.
        #[arg(long, default_value = "")]
        only: String,
        /// A program that is an Open5GS UPF (`open5gs-upfd`), to be measured beside ours.
        #[arg(long, value_name = "FILE")]
        upf: Option<PathBuf>,
        /// Print one JSON object as the last line.
        #[arg(long)]
        json: bool,
    },
    /// 200 000 broken packets a second on N3: what a legitimate UE notices, beside a socket that reads and discards them.
    Flood {
        /// How often each is measured.
        #[arg(long, default_value_t = 5)]
        turns: u32,
        /// Print one JSON object as the last line.
        #[arg(long)]
        json: bool,
    },
    /// What the console asks first, over the API and beside bare SQL on the same database.
    Console {
        /// How many SIMs.
        #[arg(long, default_value_t = 100_000)]
        sims: u32,
        /// Print one JSON object as the last line.
        #[arg(long)]
        json: bool,
    },
    /// Vectors for an MME by S6a, beside an echo of as many octets with the same cryptography; and kill -9 in the middle of it.
    Air {
        /// With how many SIMs; each number is measured by itself.
        #[arg(long, value_delimiter = ',', default_values_t = [100_000, 1_000_000])]
        sims: Vec<u32>,
        /// How often each is measured.
        #[arg(long, default_value_t = 5)]
        turns: u32,
        /// Most requests in a turn.
        #[arg(long, default_value_t = 16_000)]
        requests: u32,
        /// How often the node is killed under this load, with SIMs of its own.
        #[arg(long, default_value_t = 12)]
        kills: u32,
        /// Repeat the choices of this run; drawn and printed if not given.
        #[arg(long)]
        seed: Option<u64>,
        /// Break a promise on purpose: the run has to end with a loss.
        #[arg(long, hide = true, value_parser = crash::PROMISES)]
        sabotage: Option<String>,
        /// Print one JSON object as the last line.
        #[arg(long)]
        json: bool,
    },
    /// Full 5G vectors per second, beside an independent library.
    Aka {
        /// Print one JSON object as the last line.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Part {
    Gateway,
    Control,
    /// The page inside the closed network, which the gateway starts.
    Service,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match act(&cli) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("sekisho: {e:#}");
            supervisor::code_of(&e)
        }
    }
}

fn act(cli: &Cli) -> anyhow::Result<ExitCode> {
    let lang = Lang::choose(cli.lang);
    match &cli.verb {
        Verb::Run { part: Some(Part::Service), page, .. } => serve_page(page.as_deref().unwrap_or_default()),
        Verb::Run { part, api_fd, .. } => run(&cli.config, *part, *api_fd),
        Verb::Init => init::run(&load(&cli.config)?, lang),
        Verb::FirstRun => first_run::run(&load(&cli.config)?, lang),
        Verb::Backup(v) => cli::backups::backup(v, &cli.config, &cli.remote, lang),
        Verb::Restore(v) => cli::backups::restore(v, &cli.remote, lang),
        Verb::Check => {
            load(&cli.config)?;
            println!("{}: {}", cli.config.display(), lang.of("right", "正しい設定です"));
            Ok(ExitCode::SUCCESS)
        }
        Verb::Doctor => Ok(doctor::run(&load(&cli.config)?, cli.remote.output, lang)),
        // The one verb that can go around the API.
        Verb::Api(cli::Verb::Ban { local: true, whom, state, why }) => {
            cli::ban_local(&load(&cli.config)?, &whom.local(state, &why.reason)?, lang)
        }
        Verb::Journal(verb) => cli::journal(verb, || load(&cli.config), lang),
        Verb::Api(cli::Verb::Audit { verb: Some(cli::Audit::Verify(v)) }) => {
            Ok(cli::audit_verify(v, || load(&cli.config), lang))
        }
        Verb::Api(cli::Verb::Delivery(cli::Delivery::Test { name })) => {
            delivery::try_out::run(&load(&cli.config)?, name.as_deref(), lang)
        }
        Verb::Api(v) => Ok(cli::run(v, &cli.remote, lang)),
        #[cfg(feature = "lab")]
        Verb::Demo { once, json, kills, listen, clear_nas, kernel_sctp, capture } => {
            let (once, json, kills, clear_nas) = (*once, *json, *kills, *clear_nas);
            demo::run(&demo::Options {
                once,
                json,
                kills,
                listen: *listen,
                lang,
                clear_nas,
                kernel_sctp: *kernel_sctp,
                capture: capture.clone(),
                journal_copy: None,
                env: Vec::new(),
            })
        }
        #[cfg(feature = "lab")]
        Verb::Lab(verb) => demo::verbs::run(verb, &cli.config, lang),
        #[cfg(feature = "lab")]
        Verb::Bench(Bench::Ban { bans, sessions, circumstance, pause_ms, json }) => {
            bench::ban::run(*bans, *sessions, circumstance, Duration::from_millis(*pause_ms), *json, lang)
        }
        #[cfg(feature = "lab")]
        Verb::Bench(Bench::Disk { every, sabotage, json }) => {
            bench::disk::run(*every, sabotage.as_deref(), *json)
        }
        #[cfg(feature = "lab")]
        Verb::Bench(Bench::Secrets { json }) => bench::secrets::run(*json, lang),
        #[cfg(feature = "lab")]
        Verb::Bench(Bench::Failures { json }) => bench::failures::run(*json, lang),
        #[cfg(feature = "lab")]
        Verb::Bench(Bench::Kills { kills, seed, sabotage, json }) => {
            bench::kills::run(*kills, *seed, sabotage.as_deref(), *json, lang)
        }
        #[cfg(feature = "lab")]
        Verb::Bench(Bench::Damage { minutes, per_mille, seed, json }) => {
            bench::damage::run(*minutes, *per_mille, *seed, *json, lang)
        }
        #[cfg(feature = "lab")]
        Verb::Bench(Bench::Noise { json }) => bench::noise::run(*json, lang),
        #[cfg(feature = "lab")]
        Verb::Bench(Bench::Restore { json }) => bench::restore::run(*json, lang),
        #[cfg(feature = "lab")]
        Verb::Bench(Bench::Import { sims, json }) => bench::import::run(*sims, *json),
        #[cfg(feature = "lab")]
        Verb::Bench(Bench::Policy { sims, rules, edits, json }) => {
            bench::policy::run(*sims, *rules, *edits, *json, lang)
        }
        #[cfg(feature = "lab")]
        Verb::Bench(Bench::Replay { flows, sims, rules, json }) => {
            bench::replay::run(*flows, *sims, *rules, *json)
        }
        #[cfg(feature = "lab")]
        Verb::Bench(Bench::Path { turns, only, upf, json }) => {
            bench::path::run(*turns, only, upf.as_deref(), *json)
        }
        #[cfg(feature = "lab")]
        Verb::Bench(Bench::Flood { turns, json }) => bench::path::flood::run(*turns, *json),
        #[cfg(feature = "lab")]
        Verb::Bench(Bench::Console { sims, json }) => bench::console::run(*sims, *json, lang),
        #[cfg(feature = "lab")]
        Verb::Bench(Bench::Attach { ues, gnbs, idle, json }) => bench::attach::run(*ues, *gnbs, *idle, *json),
        #[cfg(feature = "lab")]
        Verb::Bench(Bench::Air { sims, turns, requests, kills, seed, sabotage, json }) => {
            let o = bench::air::Options { turns: *turns, requests: *requests, kills: *kills, seed: *seed };
            bench::air::run(sims, o, sabotage.as_deref(), *json)
        }
        #[cfg(feature = "lab")]
        Verb::Bench(Bench::Aka { json }) => bench::aka::run(*json),
        #[cfg(feature = "lab")]
        Verb::LabHost => lab::site::agent::run().map(|()| ExitCode::SUCCESS),
        #[cfg(feature = "lab")]
        Verb::LabRan => {
            supervisor::give_way();
            demo::ran::run().map(|()| ExitCode::SUCCESS)
        }
        #[cfg(feature = "lab")]
        Verb::LabSite { api_fd } => demo::site::run(*api_fd).map(|()| ExitCode::SUCCESS),
    }
}

fn load(file: &Path) -> anyhow::Result<Config> {
    Ok(Config::load(file, std::env::vars())?)
}

/// It reads no configuration: what it need not know it cannot lose.
fn serve_page(page: &str) -> anyhow::Result<ExitCode> {
    let page = serde_json::from_str(page).context("--page")?;
    log::start(&sekisho::config::Log::default());
    sekisho::service::run(&page)
}

fn run(file: &Path, part: Option<Part>, api_fd: Option<RawFd>) -> anyhow::Result<ExitCode> {
    let config = load(file)?;
    log::start(&config.log);
    supervisor::forbid_core_files()?;
    match part {
        // The gateway enters its namespace before it has a second thread, so it gets no runtime.
        Some(Part::Gateway) => gateway::run(config.gateway_config()),
        Some(Part::Service) => anyhow::bail!("the page is started by the gateway"),
        Some(Part::Control) => {
            let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            rt.block_on(control::run(config, file, api_fd))
        }
        None => {
            let fd = supervisor::handed_listener();
            let rt = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            rt.block_on(supervisor::run(file, fd))
        }
    }
}
