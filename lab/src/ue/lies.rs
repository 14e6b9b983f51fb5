//! How a simulated UE misbehaves.

use wire::nas::fgs::MobileIdentity;

/// What a UE does wrong on purpose; all off by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lies {
    /// Downlink messages that it does not hear, by the spec's names as `wire::nas::fgs` gives them, for
    /// example `DeregistrationRequest (UE terminated)` or `PDUSessionReleaseCommand`.
    pub ignore: Vec<&'static str>,
    /// Hears nothing at all.
    pub deaf: bool,
    /// Sends each protected message twice.
    pub replay: bool,
    /// Spoils the code of each protected message.
    pub wrong_mac: bool,
    /// Answers each challenge with a wrong RES* or RES.
    pub wrong_res: bool,
    /// Answers each challenge with "MAC failure".
    pub claim_mac_failure: bool,
    /// Registers under this identity instead of its own.
    pub claim_identity: Option<MobileIdentity>,
    /// Replays capabilities that are not those it sent: claims that the network changed them.
    pub refuse_security_mode: bool,
    /// Does not compare the capabilities that the network replays with its own.
    pub overlook_bidding_down: bool,
    /// Registers again though the network forbade it.
    pub ignore_bars: bool,
}

impl Lies {
    /// Does not hear any order to leave, release or update: the UE that will not go.
    pub fn stubborn() -> Self {
        Self {
            ignore: vec![
                "DeregistrationRequest (UE terminated)",
                "PDUSessionReleaseCommand",
                "ConfigurationUpdateCommand",
            ],
            ..Self::default()
        }
    }

    pub(super) fn hears(&self, name: &str) -> bool {
        !self.deaf && !self.ignore.contains(&name)
    }
}
