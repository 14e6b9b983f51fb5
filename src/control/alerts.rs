//! From what happened to what somebody has to look at.

use store::NewAlert;
use types::{AlertKind, AlertRule, Event, Happening, RefusalReason, RuleResponse, Severity, SmfState};

/// The alert that an event is, if it is one.
pub fn of(e: &Event) -> Option<NewAlert> {
    let sim = || e.imsi.map(|i| i.to_string()).unwrap_or_default();
    let (kind, severity, subject) = match &e.what {
        Happening::RegistrationRefused { authenticated, reason, .. } => {
            let kind = match reason {
                RefusalReason::Lost | RefusalReason::Stolen => AlertKind::BannedReuse,
                RefusalReason::DeviceMismatch => AlertKind::DeviceMismatch,
                _ => return None,
            };
            // Anybody can claim an IMSI; only the card itself can prove it.
            (kind, if *authenticated { Severity::Critical } else { Severity::Warning }, sim())
        }
        Happening::DeviceMismatch { .. } => (AlertKind::DeviceMismatch, Severity::Critical, sim()),
        Happening::EquipmentBlack { device, .. } => {
            (AlertKind::EquipmentBlack, Severity::Critical, device.to_string())
        }
        Happening::EquipmentGrey { device, .. } => {
            (AlertKind::EquipmentGrey, Severity::Warning, device.to_string())
        }
        Happening::CloneFound { .. } => (AlertKind::CloneFound, Severity::Critical, sim()),
        Happening::CloneSuspected { .. } => (AlertKind::CloneSuspected, Severity::Warning, sim()),
        Happening::PolicyDisagreement { peer } => {
            (AlertKind::PolicyDisagreement, Severity::Critical, format!("{} {peer}", sim()))
        }
        Happening::AuditBroken { .. } => (AlertKind::AuditBroken, Severity::Critical, String::new()),
        Happening::EventsLost { .. } => (AlertKind::RecordsLost, Severity::Warning, "events".to_owned()),
        Happening::DeliveryFailing { destination, .. } => {
            (AlertKind::DeliveryFailing, Severity::Warning, destination.clone())
        }
        Happening::DiskFull { place } => (AlertKind::DiskFull, Severity::Critical, place.clone()),
        Happening::BannedReuse { authenticated, .. } => {
            let severity = if *authenticated { Severity::Critical } else { Severity::Warning };
            (AlertKind::BannedReuse, severity, sim())
        }
        Happening::JournalBehind { .. } => (AlertKind::JournalBehind, Severity::Critical, String::new()),
        Happening::DatabaseBehind { .. } => (AlertKind::DatabaseBehind, Severity::Warning, String::new()),
        Happening::ReconcilerRemoved { kind, .. } => {
            (AlertKind::ReconcilerRemoved, Severity::Warning, kind.clone())
        }
        Happening::MmeRefused { claimed, address, .. } => {
            (AlertKind::Alarm, Severity::Warning, format!("mme {claimed} {address}"))
        }
        Happening::Smf { name, state: SmfState::Silent } => {
            (AlertKind::Alarm, Severity::Warning, format!("smf {name} silent"))
        }
        // That an MME asks for a SIM proves nothing of who holds it.
        Happening::MmeDenied { reason: RefusalReason::Lost | RefusalReason::Stolen, .. } => {
            (AlertKind::BannedReuse, Severity::Warning, sim())
        }
        Happening::SmfRefused { claimed, address, .. } => {
            (AlertKind::Alarm, Severity::Warning, format!("smf {claimed} {address}"))
        }
        // Nor does it of an SMF.
        Happening::SmfDenied { reason: RefusalReason::Lost | RefusalReason::Stolen, .. } => {
            (AlertKind::BannedReuse, Severity::Warning, sim())
        }
        Happening::SmfWrongAddress { smf, .. } => {
            (AlertKind::Alarm, Severity::Warning, format!("address {smf} {}", sim()))
        }
        Happening::RuleFired { response: RuleResponse::Off | RuleResponse::Log, .. } => return None,
        Happening::RuleFired { rule, subject, .. } => {
            let severity = match rule {
                AlertRule::UnusualPlace | AlertRule::Escalation => Severity::Critical,
                AlertRule::NotCompliant | AlertRule::MuchData => Severity::Warning,
                AlertRule::NightAccess => Severity::Info,
            };
            (rule.kind(), severity, subject.clone())
        }
        Happening::Alarm { text } => (AlertKind::Alarm, Severity::Warning, text.chars().take(200).collect()),
        Happening::GnbUp { .. }
        | Happening::GnbRefused { .. }
        | Happening::MmeUp { .. }
        | Happening::MmeDown { .. }
        | Happening::Smf { .. }
        | Happening::ForeignUp { .. }
        | Happening::ForeignDown { .. }
        | Happening::ForeignRefused { .. }
        | Happening::MmeServes { .. }
        | Happening::MmePurged { .. }
        | Happening::MmeUpdated { .. }
        | Happening::MmeReset { .. }
        | Happening::MmeDenied { .. }
        | Happening::Withdrawn { .. }
        | Happening::SmfUp { .. }
        | Happening::SmfDown { .. }
        | Happening::SmfSessionUp { .. }
        | Happening::SmfSessionDown { .. }
        | Happening::SmfDenied { .. }
        | Happening::SessionWithdrawn { .. }
        | Happening::GnbDown { .. }
        | Happening::Registered { .. }
        | Happening::Moved { .. }
        | Happening::Deregistered { .. }
        | Happening::SessionUp { .. }
        | Happening::SessionRefused { .. }
        | Happening::SessionDown { .. }
        | Happening::SimState { .. }
        | Happening::Revoked { .. }
        | Happening::ScheduleDropped { .. }
        | Happening::SimsImported { .. }
        | Happening::SimsImportUndone { .. }
        | Happening::DeviceLearned { .. }
        | Happening::DeviceChanged { .. }
        | Happening::PolicyPublished { .. }
        | Happening::Gateway { .. } => return None,
    };
    let what = serde_json::to_value(&e.what).unwrap_or_default();
    Some(NewAlert { at: e.at, kind, severity, imsi: e.imsi, subject, what })
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{FgmmCause, Utc};

    fn refused(authenticated: bool, reason: RefusalReason) -> Event {
        let what = Happening::RegistrationRefused {
            authenticated,
            cause: FgmmCause::IllegalUe,
            reason,
            tai: None,
            cell: Some(7),
            gnb: "gnb-1".to_owned(),
        };
        Event { at: Utc(1), imsi: "001010000000001".parse().ok(), what }
    }

    #[test]
    fn a_banned_sim_that_comes_back_is_an_alert_and_a_proved_one_is_worse() {
        let proved = of(&refused(true, RefusalReason::Stolen)).expect("an alert");
        let claimed = of(&refused(false, RefusalReason::Lost)).expect("an alert");
        assert_eq!((proved.kind, proved.severity), (AlertKind::BannedReuse, Severity::Critical));
        assert_eq!((claimed.kind, claimed.severity), (AlertKind::BannedReuse, Severity::Warning));
        assert_eq!(proved.subject, claimed.subject, "one SIM, one alert");
        assert_eq!(proved.what["registration-refused"]["cell"], 7, "with where it was");
    }

    #[test]
    fn an_ordinary_refusal_is_none() {
        assert_eq!(of(&refused(true, RefusalReason::Suspended)), None);
        assert_eq!(of(&refused(false, RefusalReason::UnknownSim)), None);
    }
}
