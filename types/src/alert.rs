//! What somebody has to look at: kinds of alerts, how bad they are, and what was done about them.

words! {
    /// The kinds of alerts.
    AlertKind, "a kind of alert" {
        /// A banned SIM (or a banned device) tried to come back.
        BannedReuse = "banned-reuse",
        /// A SIM is in a device that is not its own.
        DeviceMismatch = "device-mismatch",
        /// Two cards of one identity are proved to be in use.
        CloneFound = "clone-found",
        /// Two cards of one identity may be in use.
        CloneSuspected = "clone-suspected",
        /// A device of the black list was used.
        EquipmentBlack = "equipment-black",
        /// A device of the grey list is in use.
        EquipmentGrey = "equipment-grey",
        /// Rules and compiled rows disagree; the packet was denied.
        PolicyDisagreement = "policy-disagreement",
        /// The revocation journal is older than what is known.
        JournalBehind = "journal-behind",
        /// The database is older than the journal.
        DatabaseBehind = "database-behind",
        /// A copy of the journal off this machine is behind.
        CopyBehind = "copy-behind",
        /// A disk is full.
        DiskFull = "disk-full",
        /// The audit is not as it was written.
        AuditBroken = "audit-broken",
        /// The reconciler ended something that should not have lived.
        ReconcilerRemoved = "reconciler-removed",
        /// Records were lost on their way and counted.
        RecordsLost = "records-lost",
        /// What must leave this machine does not arrive.
        DeliveryFailing = "delivery-failing",
        /// A proof failed for a SIM that is where it usually is not.
        UnusualPlace = "unusual-place",
        /// A SIM's device is not as its group asks.
        NotCompliant = "not-compliant",
        /// A SIM moved more within an hour than it should.
        MuchData = "much-data",
        /// Somebody, or a SIM, tried again and again what is refused to them.
        Escalation = "privilege-escalation",
        /// Somebody was at work at night.
        NightAccess = "night-access",
        /// Anything else that somebody should look at.
        Alarm = "alarm",
    }
}

words! {
    /// How bad it is.
    Severity, "a severity" {
        /// Somebody should know.
        Info = "info",
        /// Somebody should look today.
        Warning = "warning",
        /// Somebody must get up.
        Critical = "critical",
    }
}

words! {
    /// What was done about an alert.
    AlertState, "a state of an alert" {
        /// Nobody has looked yet.
        Open = "open",
        /// Somebody has it.
        Acknowledged = "acknowledged",
        /// It is done with; the next one of its kind is a new alert.
        Closed = "closed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_read_as_it_is_written() {
        for k in AlertKind::ALL {
            assert_eq!(k.as_str().parse::<AlertKind>().as_ref(), Ok(k));
            assert_eq!(serde_json::to_string(k).ok(), Some(format!("\"{k}\"")), "serde says the same word");
        }
        assert!(Severity::Critical > Severity::Warning && Severity::Warning > Severity::Info);
        assert!("root".parse::<AlertState>().is_err());
    }
}
