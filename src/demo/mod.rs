//! `sekisho demo`: a whole site on one machine, and the job being done on it with real traffic.
//!
//! Three kinds of processes, all of this binary:
//!
//! - the **storyteller** (this module's [`run`]) stays in the machine's own namespace, so that the API's address
//!   that it opens is reachable from the machine's browser. It speaks to Sekisho by the API alone;
//! - the **site** ([`site`]) lives in a fresh user and network namespace in the middle, starts `sekisho run` there, and lays the
//!   cables to the others;
//! - **hosts** (`lab::site::agent`) and the **radio** ([`ran`]) have a namespace each.
//!
//! `sekisho lab` ([`verbs`]) has the same site without a story, around a configuration of one's own: a process that
//! holds it ([`desk`]) obeys the verbs, with SIM cards from a supplier's file ([`cards`]).

mod capture;
pub mod cards;
pub mod desk;
pub(crate) mod namespace;
pub mod ran;
pub mod site;
pub(crate) mod story;
pub mod verbs;
pub(crate) mod words;

pub use story::run;

/// What the command line asks for.
#[derive(Debug, Clone)]
pub struct Options {
    /// End after the story.
    pub once: bool,
    /// Print one JSON object as the last line.
    pub json: bool,
    /// Where the API listens; port 0 for one that is free.
    pub listen: std::net::SocketAddr,
    /// Language of the story.
    pub lang: crate::lang::Lang,
    /// Kill both processes on the way, and look that nothing is lost by it.
    pub kills: bool,
    /// Switch NAS ciphering off (NEA0), so that a capture can be read.
    pub clear_nas: bool,
    /// Let N2 go over the kernel's SCTP instead of the userspace stack over UDP.
    pub kernel_sctp: bool,
    /// Write what passes on N2 and N3 to this file (pcap).
    pub capture: Option<std::path::PathBuf>,
    /// A directory in which a copy of the revocation journal is kept.
    pub journal_copy: Option<std::path::PathBuf>,
    /// Environment variables for `sekisho run`, beside ours.
    pub env: Vec<(String, String)>,
}

impl Options {
    /// What a bench runs on: the site without a story, the API at a port that is free.
    pub fn of_a_bench(lang: crate::lang::Lang) -> Self {
        Self {
            once: true,
            json: true,
            listen: std::net::SocketAddr::from(([127, 0, 0, 1], 0)),
            lang,
            kills: false,
            kernel_sctp: false,
            clear_nas: false,
            capture: None,
            journal_copy: None,
            env: Vec::new(),
        }
    }
}
