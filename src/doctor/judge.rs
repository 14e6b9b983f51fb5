//! What is wrong with a machine. Each thing that was looked at gives one finding or more; each fault has a stable word
//! and a command that mends it. The order of the list is here, what is judged in a file per topic.

use super::{gateway, machine::Machine, network, page, people, radio, smfs, storage};
use crate::config::Config;
use admin_web::{FindingState, MachineFinding, Said};

/// `both!("English {x}", "日本語 {x}")`.
macro_rules! both {
    ($en:literal, $ja:literal $(,)?) => {
        admin_web::Said { en: format!($en), ja: format!($ja) }
    };
}
pub(super) use both;

/// How the configuration is changed.
pub(super) const EDIT: &str = "${EDITOR:-vi} ${SEKISHO_CONFIG:-/etc/sekisho/sekisho.toml} && sekisho check && systemctl restart sekisho";
pub(super) const DAY: i64 = 86_400;

pub(super) struct List(Vec<MachineFinding>);

impl List {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn good(&mut self, code: &'static str, what: Said, seen: Said) {
        let state = FindingState::Good;
        self.0.push(MachineFinding { code, what, state, seen, command: None, fix: None });
    }

    fn wrong(
        &mut self,
        state: FindingState,
        code: &'static str,
        what: Said,
        seen: Said,
        fix: Said,
        command: impl Into<String>,
    ) {
        let command = Some(command.into());
        self.0.push(MachineFinding { code, what, state, seen, command, fix: Some(fix) });
    }

    pub(super) fn bad(
        &mut self,
        code: &'static str,
        what: Said,
        seen: Said,
        fix: Said,
        command: impl Into<String>,
    ) {
        self.wrong(FindingState::Bad, code, what, seen, fix, command);
    }

    pub(super) fn note(
        &mut self,
        code: &'static str,
        what: Said,
        seen: Said,
        fix: Said,
        command: impl Into<String>,
    ) {
        self.wrong(FindingState::Note, code, what, seen, fix, command);
    }
}

/// Judges a machine, by the configuration that it is to run with.
pub fn judge(c: &Config, m: &Machine) -> Vec<MachineFinding> {
    let mut l = List(Vec::new());
    radio::transport(&mut l, c, m);
    radio::addresses(&mut l, c, m);
    radio::radios(&mut l, c, m);
    network::peers(&mut l, c, m);
    network::ranges(&mut l, c, m);
    network::tun(&mut l, m);
    storage::files(&mut l, c, m);
    storage::journal(&mut l, c, m);
    storage::backups(&mut l, m);
    people::deliveries(&mut l, m);
    people::provider(&mut l, c, m);
    page::judge(&mut l, c, m);
    radio::ciphering(&mut l, c);
    radio::concealment(&mut l, c);
    gateway::clock(&mut l, m);
    network::forwarding(&mut l, c, m);
    gateway::gateway(&mut l, c, m);
    smfs::judge(&mut l, c, m);
    storage::copies(&mut l, m);
    gateway::resources(&mut l, c, m);
    people::certificate(&mut l, c, m);
    people::console(&mut l, m);
    l.0
}
