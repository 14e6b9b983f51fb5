//! What is fuzzed: each function that reads octets from outside.

mod amf;
mod decoders;
mod gateway;
mod gx;
mod n4;
mod policy_text;
mod signals;
mod stream;

use crate::corpus;

/// How an input was answered. The text tells answers of different kinds apart.
pub enum Answer {
    /// Refused: it must have cost little.
    Refused(String),
    /// Read, and it survived its round trip where there is one.
    Read(String),
    /// A state machine lived through it; what it holds is its own business and checked by the target.
    Lived(String),
    /// Read, and something that must hold did not.
    Broken(String),
}

impl Answer {
    /// Refused with an error; numbers in its text do not make it another kind.
    fn refused(error: &dyn std::fmt::Display) -> Self {
        Self::Refused(format!("refused: {}", without_numbers(&error.to_string())))
    }

    /// Read: a value of this kind.
    fn read(kind: &str) -> Self {
        Self::Read(format!("read {kind}"))
    }
}

/// Digits as one `#`, so that one kind of answer has one text.
fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '0'..='9' if out.ends_with('#') => {}
            '0'..='9' => out.push('#'),
            c => out.push(c),
        }
    }
    out
}

/// The first word of a value's `Debug` form: the name of its variant.
fn variant(value: &dyn std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    text.chars().take_while(|c| c.is_ascii_alphanumeric()).collect()
}

/// One thing to fuzz.
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub what: &'static str,
    /// Inputs to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Runs one input.
    pub run: fn(&[u8]) -> Answer,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target {
        name: "ngap",
        what: "NGAP messages (TS 38.413)",
        seeds: || corpus::load("ngap", "ngap"),
        run: decoders::ngap,
    },
    Target {
        name: "ngap-transfer",
        what: "what NGAP carries for the SMF",
        seeds: decoders::transfer_seeds,
        run: decoders::transfer,
    },
    Target {
        name: "nas",
        what: "5GMM, 5GSM and their protection (TS 24.501)",
        seeds: decoders::nas_seeds,
        run: decoders::nas,
    },
    Target {
        name: "eap",
        what: "EAP-AKA' packets (RFC 9048)",
        seeds: || corpus::load("eap", "none"),
        run: decoders::eap,
    },
    Target {
        name: "gtpu",
        what: "GTP-U headers (TS 29.281)",
        seeds: || corpus::load("gtpu", "gtpu"),
        run: decoders::gtpu,
    },
    Target {
        name: "pfcp",
        what: "PFCP messages (TS 29.244)",
        seeds: || corpus::load("pfcp", "pfcp"),
        run: decoders::pfcp,
    },
    Target {
        name: "diameter",
        what: "Diameter messages (RFC 6733, S6a, S13, Gx)",
        seeds: || corpus::load("diameter", "diameter"),
        run: decoders::diameter,
    },
    Target { name: "gx", what: "the Gx face, by what an SMF may send", seeds: gx::seeds, run: gx::run },
    Target {
        name: "policy",
        what: "snapshots of the compiled policy",
        seeds: decoders::policy_seeds,
        run: decoders::policy,
    },
    Target { name: "policy-text", what: "policy files", seeds: policy_text::seeds, run: policy_text::run },
    Target {
        name: "scim-filter",
        what: "filters and paths of SCIM clients (RFC 7644)",
        seeds: signals::filter_seeds,
        run: signals::filter,
    },
    Target {
        name: "scim-changes",
        what: "changes that SCIM clients ask for (RFC 7644 3.5.2)",
        seeds: signals::change_seeds,
        run: signals::changes,
    },
    Target {
        name: "set",
        what: "security event tokens (RFC 8417)",
        seeds: signals::set_seeds,
        run: signals::set,
    },
    Target {
        name: "http",
        what: "the head of a request for our own page (RFC 9112)",
        seeds: decoders::http_seeds,
        run: decoders::http,
    },
    Target {
        name: "dns",
        what: "questions and answers that names are learned from (RFC 1035)",
        seeds: || corpus::load("dns", "dns"),
        run: decoders::dns,
    },
    Target {
        name: "stream",
        what: "the beginning of a TLS stream, in segments",
        seeds: stream::seeds,
        run: stream::run,
    },
    Target {
        name: "amf",
        what: "the AMF, by what a gNB and its UE may send",
        seeds: amf::seeds,
        run: amf::run,
    },
    Target {
        name: "gateway",
        what: "a shard and its PFCP node, by packets and PFCP",
        seeds: gateway::seeds,
        run: gateway::run,
    },
    Target {
        name: "n4",
        what: "the PFCP node over UDP, by what a foreign SMF and strangers may send",
        seeds: n4::seeds,
        run: n4::run,
    },
];
