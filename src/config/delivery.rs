//! `[[delivery]]`: where audit and alerts are sent to.

use serde::Deserialize;
use std::path::PathBuf;
use types::Name;

/// `[[delivery]]`: a destination of audit and alerts.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// A name for people; it also marks how far the destination is, so a new name begins anew.
    pub name: Name,
    /// How it is reached.
    pub kind: DeliveryKind,
    /// Of a webhook: where, `https://…`.
    #[serde(default)]
    pub url: Option<String>,
    /// Of a syslog receiver: where, `HOST:PORT`.
    #[serde(default)]
    pub address: Option<String>,
    /// Of a webhook: file of the secret that both sides share, mode 0600.
    #[serde(default)]
    pub secret_file: Option<PathBuf>,
    /// Certificates (PEM) that are trusted; the system's where not given.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Own certificate chain (PEM), where the destination asks for one.
    #[serde(default)]
    pub certificate: Option<PathBuf>,
    /// Its private key (PEM).
    #[serde(default)]
    pub private_key: Option<PathBuf>,
    /// What it gets.
    #[serde(default = "default_what")]
    pub what: Vec<What>,
    /// Whether IMSI, IMEI and ICCID leave as they are; else each is replaced by a name that tells nothing.
    #[serde(default)]
    pub include_imsi: bool,
    /// Of a syslog receiver: whether only its close_notify says that it has read everything.
    #[serde(default = "default_true")]
    pub close_notify: bool,
    /// Of a syslog receiver: private enterprise number in the name of the structured data (RFC 5424 §7.2.2).
    #[serde(default = "default_enterprise")]
    pub enterprise: u32,
}

/// How a destination is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryKind {
    /// Signed JSON over HTTPS.
    Webhook,
    /// RFC 5424 over TLS (RFC 5425).
    Syslog,
}

impl DeliveryKind {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Syslog => "syslog",
        }
    }
}

/// What a destination gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// The audit with its checkpoints.
    Audit,
    /// Alerts.
    Alerts,
}
fn default_what() -> Vec<What> {
    vec![What::Audit, What::Alerts]
}
fn default_true() -> bool {
    true
}
fn default_enterprise() -> u32 {
    // The number that RFC 5612 sets aside for examples: we have none of our own.
    32473
}
