//! What can go wrong, said so that the caller knows whom to tell.

use thiserror::Error;
use types::TransitionError;

/// What two rows may not both have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clash {
    /// A SIM with this IMSI exists.
    Imsi,
    /// A SIM with this ICCID exists.
    Iccid,
    /// A SIM with this K exists.
    Key,
    /// Another SIM has this static address in this data network.
    StaticAddress,
    /// Another SIM has an open lease of this address, or this SIM has another one in this data network.
    Lease,
    /// A thing of this kind with this name exists.
    Name,
    /// A pool, or another SIM's network, has some of these addresses.
    Route,
    /// Another person has this employee number.
    Employee,
    /// Another person has this id of another system.
    External,
    /// Another device has this IMEI.
    Imei,
    /// Nobody would be left who may do everything.
    LastOwner,
    /// A name that is used does not exist, or a thing that is still used was to be deleted.
    Reference,
    /// Anything else that must be unique.
    Other,
}

impl std::fmt::Display for Clash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Imsi => "IMSI",
            Self::Iccid => "ICCID",
            Self::Key => "K",
            Self::StaticAddress => "static address",
            Self::Lease => "lease",
            Self::Route => "route",
            Self::Name => "name",
            Self::Employee => "employee number",
            Self::External => "external id",
            Self::Imei => "IMEI",
            Self::LastOwner => "last owner",
            Self::Reference => "reference",
            Self::Other => "unique value",
        })
    }
}

/// Why the store did not do it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// There is no such thing.
    #[error("not found")]
    NotFound,
    /// It would stand against what is there.
    #[error("conflict: {what}")]
    Conflict {
        /// What clashes.
        what: Clash,
    },
    /// Somebody changed it since it was read.
    #[error("changed meanwhile: it is at version {current}")]
    VersionMismatch {
        /// The version that it has.
        current: u64,
    },
    /// The policy changed since the draft was checked: check it against this generation.
    #[error("the policy changed meanwhile: it is at generation {current}")]
    PolicyMoved {
        /// The generation that is stored.
        current: u64,
    },
    /// The table of SIM states does not allow it.
    #[error(transparent)]
    Transition(#[from] TransitionError),
    /// The disk is full.
    #[error("the disk of the database is full")]
    Full,
    /// The database does not answer, or not sensibly.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// What the database holds cannot be read as what it should be.
    #[error("the database holds a {what} that cannot be read")]
    Damaged {
        /// Which column or row.
        what: &'static str,
    },
}

/// SQLITE_FULL, and PostgreSQL's `disk_full`.
const FULL: [&str; 2] = ["13", "53100"];

impl From<sqlx::Error> for StoreError {
    fn from(e: sqlx::Error) -> Self {
        let Some(d) = e.as_database_error() else {
            return match e {
                sqlx::Error::RowNotFound => Self::NotFound,
                // Never the whole error: a connection string may hold a password.
                sqlx::Error::PoolTimedOut => Self::Unavailable("no free connection".to_owned()),
                sqlx::Error::PoolClosed => Self::Unavailable("closed".to_owned()),
                sqlx::Error::Io(e) if e.kind() == std::io::ErrorKind::StorageFull => Self::Full,
                sqlx::Error::Io(e) => Self::Unavailable(e.kind().to_string()),
                other => Self::Unavailable(other.to_string()),
            };
        };
        if d.is_unique_violation() {
            return Self::Conflict { what: clash(d.constraint(), d.message()) };
        }
        if d.is_foreign_key_violation() {
            return Self::Conflict { what: Clash::Reference };
        }
        if d.code().is_some_and(|c| FULL.contains(&&*c)) {
            return Self::Full;
        }
        // The code names what the words leave open: which of the disk's calls failed.
        let code = d.code().unwrap_or_default();
        Self::Unavailable(format!("{} ({code})", d.message()))
    }
}

/// PostgreSQL names the constraint; SQLite lists the columns ("UNIQUE constraint failed: sims.iccid").
fn clash(constraint: Option<&str>, message: &str) -> Clash {
    let text = match constraint {
        Some(c) => c,
        None => message.rsplit(": ").next().unwrap_or(message),
    };
    let has = |s: &str| text.starts_with(s);
    if has("sims.iccid") || has("sims_iccid") {
        Clash::Iccid
    } else if has("sims.fingerprint") || has("sims_fingerprint") {
        Clash::Key
    } else if has("sims.imsi") || has("sims_pkey") {
        Clash::Imsi
    } else if has("sim_addresses") {
        Clash::StaticAddress
    } else if has("leases.") || has("leases_ip") || has("leases_sim") {
        Clash::Lease
    } else if has("sim_routes") {
        Clash::Route
    } else if ["data_networks", "apps", "ue_groups", "rules"].iter().any(|t| has(t)) {
        Clash::Name
    } else {
        crate::directory::clash(has).unwrap_or(Clash::Other)
    }
}
