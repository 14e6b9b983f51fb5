//! A copy at an HTTPS sink: `GET` tells its head, `POST` gives it records (docs/journal-copies.md).

use super::{Target, Trouble};
use crate::journal::record::{RECORD, Raw};
use crate::link::JournalHead;
use serde::Deserialize;
use std::fs;
use std::path::Path;
use std::time::Duration;
use ureq::Agent;

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Sink {
    agent: Agent,
    url: String,
    bearer: Option<String>,
    header: Raw,
}

/// What a sink says of itself.
#[derive(Deserialize)]
struct Answer {
    /// Records that it has, without the header.
    records: u64,
    /// Hash of the last one, hexadecimal; empty where it has none.
    #[serde(default)]
    hash: String,
    /// The journal's id, hexadecimal; empty where it has nothing.
    #[serde(default)]
    journal: String,
}

/// What is wrong with a sink's address.
pub(super) fn fault(url: &str, has_ca: bool) -> Option<&'static str> {
    let loopback = ["http://127.0.0.1:", "http://[::1]:"].iter().any(|p| url.starts_with(p));
    match url.strip_prefix("https://") {
        Some("") => Some("the URL names no host"),
        Some(_) if !has_ca => Some("name in ca_file the certificate that the sink is trusted by"),
        Some(_) => None,
        None if loopback => None,
        None => Some("begin with https:// (http:// only towards this machine)"),
    }
}

impl Sink {
    pub(super) fn open(
        url: &str,
        token_file: Option<&Path>,
        ca_file: Option<&Path>,
        header: Raw,
    ) -> Result<Self, Trouble> {
        // A second installation is refused and harmless: it is the same provider.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut tls = ureq::tls::TlsConfig::builder();
        if let Some(file) = ca_file {
            let pem = fs::read(file).map_err(|e| Trouble::Behind(format!("ca_file: {e}")))?;
            let cert = ureq::tls::Certificate::from_pem(&pem)
                .map_err(|e| Trouble::Behind(format!("ca_file: {e}")))?;
            tls = tls.root_certs(ureq::tls::RootCerts::new_with_certs(&[cert]));
        }
        let bearer = match token_file {
            Some(file) => {
                let token =
                    fs::read_to_string(file).map_err(|e| Trouble::Behind(format!("token_file: {e}")))?;
                Some(format!("Bearer {}", token.trim()))
            }
            None => None,
        };
        let agent = Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .tls_config(tls.build())
            .build()
            .new_agent();
        Ok(Self { agent, url: url.to_owned(), bearer, header })
    }

    fn id(&self) -> String {
        types::hex(self.header.get(8..24).unwrap_or_default())
    }

    fn read(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<JournalHead, Trouble> {
        let mut answer = answer.map_err(|e| Trouble::Behind(e.to_string()))?;
        let status = answer.status().as_u16();
        // 409: it has something else in this place, and says what; whether that is ours is asked by our caller.
        if status == 404 {
            return Ok(JournalHead::default());
        }
        if status != 200 && status != 409 {
            return Err(Trouble::Behind(format!("it answers {status}")));
        }
        let unread = |e: &dyn std::fmt::Display| Trouble::Behind(format!("its answer cannot be read: {e}"));
        let said: Answer = answer.body_mut().read_json().map_err(|e| unread(&e))?;
        if said.records == 0 && said.journal.is_empty() {
            return Ok(JournalHead::default());
        }
        if said.journal != self.id() {
            return Err(Trouble::Differs("is of another journal".to_owned()));
        }
        let hash = match said.records {
            0 => [0; 32],
            _ => types::unhex(&said.hash)
                .and_then(|h| <[u8; 32]>::try_from(h).ok())
                .ok_or_else(|| unread(&"its hash is none"))?,
        };
        Ok(JournalHead { records: said.records, hash })
    }

    fn with_token<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.bearer {
            Some(bearer) => request.header("authorization", bearer),
            None => request,
        }
    }
}

impl Target for Sink {
    fn head(&mut self) -> Result<JournalHead, Trouble> {
        self.read(self.with_token(self.agent.get(&self.url)).call())
    }

    fn append(&mut self, first: u64, records: &[u8]) -> Result<JournalHead, Trouble> {
        // The header is record 0: a sink that has nothing gets it first.
        let mut body = Vec::with_capacity(records.len() + RECORD);
        let number = if first == 1 { 0 } else { first };
        if first == 1 {
            body.extend_from_slice(&self.header);
        }
        body.extend_from_slice(records);
        let request = self
            .with_token(self.agent.post(&self.url))
            .header("content-type", "application/octet-stream")
            .header("sekisho-journal", self.id())
            .header("sekisho-first-record", number.to_string());
        self.read(request.send(&body[..]))
    }
}
