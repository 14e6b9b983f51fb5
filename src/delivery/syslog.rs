//! Syslog: RFC 5424 messages in RFC 5425 frames over TLS.
//!
//! Syslog itself confirms nothing. A batch is a connection of its own that we end with close_notify; TLS keeps the
//! order, so the receiver's close_notify in answer (RFC 5425 §4.4 demands it) says that it has read all before. A
//! receiver that ends without it may have lost the tail, and gets the batch again; `close_notify = false` takes a
//! plain end of the connection for good where a receiver cannot do better.
//!
//! Facility is 13 (log audit) for the audit and 10 (security) for alerts. Structured data carries the keys that one
//! filters by, the message the whole item as JSON.

use super::{
    NotDelivered,
    item::{Item, time},
    tls,
};
use crate::config::Delivery;
use anyhow::{Context, Result};
use serde_json::Value;
use std::{
    fmt::Write as _,
    io::{ErrorKind, Read, Write},
    net::Shutdown,
    sync::Arc,
};

/// The way to a syslog receiver.
pub struct Syslog {
    host: String,
    port: u16,
    node: String,
    sd_id: String,
    close_notify: bool,
    client: Arc<rustls::ClientConfig>,
}

impl Syslog {
    /// Reads the certificates.
    pub fn open(config: &Delivery, node: &str) -> Result<Self> {
        let address = config.address.as_deref().with_context(|| format!("{} has no address", config.name))?;
        let (host, port) = address.rsplit_once(':').context("an address is HOST:PORT")?;
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: port.parse().context("an address is HOST:PORT")?,
            node: header_word(node, 255),
            sd_id: format!("sekisho@{}", config.enterprise),
            close_notify: config.close_notify,
            client: tls::client(config)?,
        })
    }

    /// Sends a batch; done when the receiver has ended the connection behind it.
    pub fn send(&self, items: &[Item]) -> Result<(), NotDelivered> {
        let mut frames = Vec::new();
        for i in items {
            let m = message(i, &self.node, &self.sd_id);
            // RFC 5425 §4.3: MSG-LEN SP SYSLOG-MSG.
            frames.extend_from_slice(format!("{} ", m.len()).as_bytes());
            frames.extend_from_slice(m.as_bytes());
        }
        let mut s = tls::connect(&self.client, &self.host, self.port)?;
        let fail = |what: &str, e: std::io::Error| NotDelivered(format!("{what}: {e}"));
        s.write_all(&frames).map_err(|e| fail("writing", e))?;
        s.conn.send_close_notify();
        while s.conn.wants_write() {
            s.conn.write_tls(&mut s.sock).map_err(|e| fail("writing", e))?;
        }
        s.sock.shutdown(Shutdown::Write).map_err(|e| fail("ending", e))?;
        let mut answer = [0u8; 256];
        loop {
            match s.read(&mut answer) {
                // close_notify.
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::UnexpectedEof && !self.close_notify => return Ok(()),
                Err(e) if e.kind() == ErrorKind::UnexpectedEof => {
                    return Err(NotDelivered(
                        "the receiver ended the connection without close_notify (RFC 5425 §4.4), so nobody knows what \
                         it has read; where it cannot do better, set close_notify = false"
                            .to_owned(),
                    ));
                }
                Err(e) => return Err(fail("waiting for the receiver's close_notify", e)),
            }
        }
    }

    /// Connects and shakes hands.
    pub fn reach(&self) -> Result<(), NotDelivered> {
        tls::connect(&self.client, &self.host, self.port).map(drop)
    }
}

/// One message of RFC 5424.
fn message(i: &Item, node: &str, sd_id: &str) -> String {
    const AUDIT: u8 = 13;
    const SECURITY: u8 = 10;
    let severity_of = |v: &Value| match v.get("severity").and_then(Value::as_str) {
        Some("critical") => 2,
        Some("warning") => 4,
        _ => 6,
    };
    let (facility, severity) = match i.kind {
        "alert" => (SECURITY, severity_of(&i.body)),
        "gap" => (SECURITY, 3),
        "audit" => (AUDIT, 5),
        _ => (AUDIT, 6),
    };
    let pid = std::process::id();
    let mut m =
        format!("<{}>1 {} {node} sekisho {pid} {} [{sd_id}", facility * 8 + severity, time(i.at), i.kind);
    let text = |k: &str| match i.body.get(k) {
        Some(Value::String(s)) => Some(s.clone()),
        Some(v @ (Value::Number(_) | Value::Bool(_))) => Some(v.to_string()),
        _ => None,
    };
    let keys: &[(&str, &str)] = match i.kind {
        "audit" => &[
            ("auditSeq", "seq"),
            ("action", "action"),
            ("object", "object"),
            ("actor", "actor"),
            ("origin", "origin"),
            ("requestId", "request_id"),
            ("hash", "hash"),
        ],
        "alert" => &[
            ("alertId", "id"),
            ("alertKind", "kind"),
            ("severity", "severity"),
            ("state", "state"),
            ("count", "count"),
            ("imsi", "imsi"),
        ],
        "gap" => &[("count", "count"), ("first", "first"), ("last", "last")],
        "checkpoint" => &[("auditSeq", "checkpoint"), ("hash", "hash"), ("signature", "signature")],
        _ => &[],
    };
    let _ = write!(m, " seq=\"{}\"", i.seq);
    for (name, key) in keys {
        if let Some(v) = text(key).filter(|v| !v.is_empty()) {
            let _ = write!(m, " {name}=\"{}\"", escaped(&v));
        }
    }
    // RFC 5424 §6.4: a BOM says that the message is UTF-8.
    let _ = write!(m, "] \u{feff}{}", i.body);
    m
}

/// RFC 5424 §6.3.3: `"`, `\` and `]` are escaped inside a value. Control characters would only confuse a reader.
fn escaped(v: &str) -> String {
    let mut out = String::with_capacity(v.len());
    for c in v.chars() {
        match c {
            '"' | '\\' | ']' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// A word of the head: printable ASCII without spaces, `-` where nothing is left (RFC 5424 §6).
fn header_word(s: &str, most: usize) -> String {
    let word: String = s.chars().filter(char::is_ascii_graphic).take(most).collect();
    if word.is_empty() { "-".to_owned() } else { word }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use types::Utc;

    #[test]
    fn a_message_has_the_form_of_rfc_5424() {
        let body = json!({
            "id": 7, "kind": "banned-reuse", "severity": "critical", "state": "open", "count": 2,
            "imsi": "001010000000001", "reason": "日本語",
        });
        let i = Item { seq: 9, kind: "alert", at: Utc(1_800_000_000_123), body };
        let m = message(&i, "node-1", "sekisho@32473");
        let pid = std::process::id();
        let head = format!(
            "<82>1 2027-01-15T08:00:00.123Z node-1 sekisho {pid} alert [sekisho@32473 seq=\"9\" alertId=\"7\" \
             alertKind=\"banned-reuse\" severity=\"critical\" state=\"open\" count=\"2\" imsi=\"001010000000001\"] \u{feff}{{"
        );
        assert!(m.starts_with(&head), "{m}");
        assert!(m.ends_with('}') && m.contains("日本語"));
    }

    #[test]
    fn a_value_cannot_end_its_quotes_or_the_structured_data() {
        let body = json!({ "seq": 1, "actor": "a\"b]c\\d\ne", "action": "sim.create", "object": "" });
        let m = message(&Item { seq: 1, kind: "audit", at: Utc(0), body }, "n", "x@1");
        assert!(m.contains(r#" actor="a\"b\]c\\d e""#), "{m}");
        assert!(!m.contains("object=\"\""), "nothing for what is empty: {m}");
        assert!(m.starts_with("<109>1 1970-01-01T00:00:00.000Z n sekisho "), "{m}");
        assert_eq!(header_word("a b\u{3042}", 255), "ab");
        assert_eq!(header_word(" ", 255), "-");
    }
}
