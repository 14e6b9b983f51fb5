//! The binary: reads the command line and calls the room that knows.

use clap::{Parser, Subcommand, ValueEnum};
use sekisho::{config::Config, control, gateway, init, log, supervisor};
use std::{
    os::fd::RawFd,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Access controller of a private LTE/5G closed network.
#[derive(Parser)]
#[command(name = "sekisho", version, propagate_version = true)]
struct Cli {
    /// Configuration file of this node.
    #[arg(long, global = true, env = "SEKISHO_CONFIG", default_value = "/etc/sekisho/sekisho.toml")]
    config: PathBuf,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Start the gateway and the control process and keep them running.
    Run {
        /// Start only this part, in this process; what the supervisor does.
        #[arg(long, hide = true)]
        part: Option<Part>,
        /// File descriptor of a listener for the API that was handed over.
        #[arg(long, hide = true)]
        api_fd: Option<RawFd>,
    },
    /// Make the data directory, the key file, the database and the first token, which is printed once.
    Init,
    /// Read the configuration and name every mistake with its line and its fix.
    Check,
    #[cfg(feature = "lab")]
    /// A host of the simulated site: obeys its standard input.
    #[command(hide = true)]
    LabHost,
}

#[derive(Clone, Copy, ValueEnum)]
enum Part {
    Gateway,
    Control,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match act(&cli) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("sekisho: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn act(cli: &Cli) -> anyhow::Result<ExitCode> {
    match &cli.verb {
        Verb::Run { part, api_fd } => run(&cli.config, *part, *api_fd),
        Verb::Init => init::run(&load(&cli.config)?),
        Verb::Check => {
            load(&cli.config)?;
            println!("{}: right", cli.config.display());
            Ok(ExitCode::SUCCESS)
        }
        #[cfg(feature = "lab")]
        Verb::LabHost => lab::site::agent::run().map(|()| ExitCode::SUCCESS),
    }
}

fn load(file: &Path) -> anyhow::Result<Config> {
    Ok(Config::load(file, std::env::vars())?)
}

fn run(file: &Path, part: Option<Part>, api_fd: Option<RawFd>) -> anyhow::Result<ExitCode> {
    let config = load(file)?;
    log::start(&config.log);
    match part {
        // The gateway enters its namespace before it has a second thread, so it gets no runtime.
        Some(Part::Gateway) => gateway::run(config.gateway_config()),
        Some(Part::Control) => {
            let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
            rt.block_on(control::run(config, api_fd))
        }
        None => {
            let fd = supervisor::handed_listener();
            let rt = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            rt.block_on(supervisor::run(file, fd))
        }
    }
}
