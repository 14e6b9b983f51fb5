//! Generic UE configuration update (TS 24.501 §5.4.4): a UE that was paged gets a new temporary identity, because the
//! one that it was called by was told to everybody in the area (TS 33.501 §6.12.3). A UE that has registered is told the
//! network's name.

use super::Amf;
use super::timers::{NAS_RETRANSMISSIONS, NAS_RETRANSMIT_MS, TimerKey};
use jiff::{Timestamp, tz::TimeZone};
use types::{Supi, Utc};
use wire::nas::fgs::{ConfigurationUpdateCommand, FgmmMessage, NetworkTime};

/// A command that was not confirmed yet.
pub(super) struct Configuring {
    /// Unprotected, for retransmission.
    command: Vec<u8>,
    left: u8,
}

impl Amf {
    /// Configuration Update Command with a new 5G-GUTI. The one before it stays valid until the UE has confirmed.
    pub(super) fn reallocate_guti(&mut self, supi: Supi) {
        let guti = self.new_guti();
        self.registry.renew_guti(supi, guti, None);
        let command = FgmmMessage::ConfigurationUpdateCommand(ConfigurationUpdateCommand {
            acknowledge: true,
            guti: Some(guti),
            ..ConfigurationUpdateCommand::default()
        });
        let Some(command) = self.encode(&command) else { return };
        self.send_protected(supi, &command);
        if let Some(ue) = self.registry.ue_mut(supi) {
            ue.configuring = Some(Configuring { command, left: NAS_RETRANSMISSIONS });
        }
        self.start(TimerKey::Configuration(supi), NAS_RETRANSMIT_MS);
    }

    /// Configuration Update Command with the network's name and the time, to which no answer is asked for (§5.4.4.2).
    pub(super) fn tell_name(&mut self, supi: Supi) {
        let name = self.config.display_name.clone();
        let told = self.config.time_zone.as_ref().and_then(|zone| network_time(zone, self.now.utc));
        if name.is_none() && told.is_none() {
            return;
        }
        let (time, daylight_saving) = told.unzip();
        let command = ConfigurationUpdateCommand {
            full_name: name.clone(),
            short_name: name,
            time,
            daylight_saving,
            ..ConfigurationUpdateCommand::default()
        };
        self.send_to_ue(supi, &FgmmMessage::ConfigurationUpdateCommand(command));
    }

    /// Configuration Update Complete: the UE has its new temporary identity.
    pub(super) fn on_configuration_complete(&mut self, supi: Supi) {
        match self.registry.ue_mut(supi).and_then(|ue| ue.configuring.take()) {
            Some(_) => self.registry.confirm_guti(supi),
            None => return self.refused("nas-out-of-place"),
        }
        self.timers.stop(TimerKey::Configuration(supi));
    }

    /// T3555. On its fifth expiry the procedure ends, and both identities stay valid (§5.4.4.6 a, b).
    pub(super) fn on_configuration_timeout(&mut self, supi: Supi) {
        let Some(ue) = self.registry.ue_mut(supi) else { return };
        let Some(c) = &mut ue.configuring else { return };
        if c.left == 0 {
            ue.configuring = None;
            return self.refused("no-configuration-complete");
        }
        c.left -= 1;
        let command = c.command.clone();
        self.send_protected(supi, &command);
        self.start(TimerKey::Configuration(supi), NAS_RETRANSMIT_MS);
    }

    /// The UE's radio is gone, it begins something else, or it ends: both identities stay valid (§5.4.4.6 b, c).
    pub(super) fn stop_configuration(&mut self, supi: Supi) {
        self.timers.stop(TimerKey::Configuration(supi));
        if let Some(ue) = self.registry.ue_mut(supi) {
            ue.configuring = None;
        }
    }
}

/// What time it is, how far the zone is from UTC, and how many hours of that are summer time. `None` beyond the years that can
/// be told.
fn network_time(zone: &TimeZone, at: Utc) -> Option<(NetworkTime, u8)> {
    let now = Timestamp::from_millisecond(at.0).ok()?;
    let utc = now.to_zoned(TimeZone::UTC).datetime();
    let info = zone.to_offset_info(now);
    let year = u8::try_from(utc.year() - 2000).ok().filter(|y| *y < 100)?;
    let part = |n: i8| u8::try_from(n).unwrap_or_default();
    let utc =
        [year, part(utc.month()), part(utc.day()), part(utc.hour()), part(utc.minute()), part(utc.second())];
    let quarters = i8::try_from(info.offset().seconds() / 900).ok()?;
    // Where a zone puts its clocks forward it is by an hour (but for one island's half).
    let summer = u8::from(info.dst().is_dst());
    Some((NetworkTime { utc, quarters }, summer))
}
