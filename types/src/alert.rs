//! What somebody has to look at: kinds of alerts, how bad they are, and what was done about them.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

macro_rules! words {
    ($(#[$t:meta])* $name:ident, $what:literal, { $($(#[$d:meta])* $id:ident = $word:literal,)* }) => {
        $(#[$t])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { $($(#[$d])* $id,)* }

        impl $name {
            /// All of them, in their order.
            pub const ALL: &'static [Self] = &[$(Self::$id,)*];

            /// The word for it, in the API and in the database.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$id => $word,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = String;
            fn from_str(s: &str) -> Result<Self, String> {
                Self::ALL.iter().find(|v| v.as_str() == s).copied().ok_or_else(|| {
                    let all: Vec<&str> = Self::ALL.iter().map(|v| v.as_str()).collect();
                    format!(concat!($what, " is one of {}"), all.join(", "))
                })
            }
        }
    };
}

words! {
    /// The kinds of alerts.
    AlertKind, "a kind of alert", {
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
        /// Anything else that somebody should look at.
        Alarm = "alarm",
    }
}

words! {
    /// How bad it is.
    Severity, "a severity", {
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
    AlertState, "a state of an alert", {
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
