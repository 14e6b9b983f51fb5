//! A client of the API: what the command line and the demo speak through. It has no door of its own (D9).

use anyhow::{Context, Result};
use serde_json::Value;
use std::{fmt, time::Duration};
use ureq::{Agent, http::StatusCode};

/// Where the API is and who we are.
#[derive(Clone)]
pub struct Client {
    base: String,
    token: String,
    lang: &'static str,
    agent: Agent,
}

/// The API said no: a problem of RFC 9457.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// HTTP status.
    pub status: u16,
    /// The problem as it came; null where the body was none.
    pub problem: Value,
}

impl Refused {
    /// What kind of problem it is, `transition` say; empty where the body was none.
    pub fn kind(&self) -> &str {
        let name = self.problem.get("type").and_then(Value::as_str).unwrap_or_default();
        name.rsplit(':').next().unwrap_or_default()
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |k: &str| self.problem.get(k).and_then(Value::as_str);
        write!(f, "{}", text("title").unwrap_or("the API refused it"))?;
        if let Some(d) = text("detail") {
            write!(f, ": {d}")?;
        }
        for e in self.problem.get("errors").and_then(Value::as_array).into_iter().flatten() {
            let get = |k: &str| e.get(k).and_then(Value::as_str);
            write!(f, "\n  {}: {}", get("pointer").unwrap_or("?"), get("detail").unwrap_or("?"))?;
            if let Some(fix) = get("fix") {
                write!(f, " ({fix})")?;
            }
        }
        match text("fix") {
            Some(fix) => write!(f, "\n  {fix} (HTTP {})", self.status),
            None => write!(f, " (HTTP {})", self.status),
        }
    }
}

impl std::error::Error for Refused {}

/// A good answer.
#[derive(Debug, Clone)]
pub struct Good {
    /// The body; null where there is none.
    pub body: Value,
    /// Version of the thing, for `If-Match`.
    pub etag: Option<String>,
}

impl Client {
    /// A client of the API at `base` (such as `http://127.0.0.1:8443`) with this token.
    ///
    /// `ca` is a certificate (PEM) that is trusted beside no other: the API's own, where it made it itself.
    pub fn new(base: &str, token: &str, lang: &'static str, ca: Option<&[u8]>) -> Result<Self> {
        // A second installation is refused and harmless: it is the same provider.
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut tls = ureq::tls::TlsConfig::builder();
        if let Some(pem) = ca {
            let cert = ureq::tls::Certificate::from_pem(pem).context("the API's certificate")?;
            tls = tls.root_certs(ureq::tls::RootCerts::new_with_certs(&[cert]));
        }
        let agent = Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(60)))
            .http_status_as_error(false)
            .tls_config(tls.build())
            .build()
            .new_agent();
        let base = base.trim_end_matches('/').to_owned();
        Ok(Self { base, token: token.to_owned(), lang, agent })
    }

    /// GET of `path` (below `/api/v1`).
    pub fn get(&self, path: &str) -> Result<Good> {
        let r = self.agent.get(self.url(path)).header("authorization", self.bearer());
        self.read(r.header("accept-language", self.lang).call())
    }

    /// Signs in: the one request that shows no token.
    pub fn sign_in(&self, body: &Value) -> Result<Good> {
        self.read(self.agent.post(self.url("sign-in")).header("accept-language", self.lang).send_json(body))
    }

    /// POST; an idempotency key of chance makes a repeated one have one effect.
    pub fn post(&self, path: &str, body: &Value) -> Result<Good> {
        let key = idempotency_key()?;
        let r = self.agent.post(self.url(path)).header("authorization", self.bearer());
        self.read(r.header("accept-language", self.lang).header("idempotency-key", key).send_json(body))
    }

    /// POST of a file of any length, as it is read.
    pub fn upload(&self, path: &str, kind: &str, file: &mut dyn std::io::Read) -> Result<Good> {
        let key = idempotency_key()?;
        let r = self.agent.post(self.url(path)).header("authorization", self.bearer());
        let r = r.header("accept-language", self.lang).header("idempotency-key", key);
        // A long file takes as long as it takes; a server that is gone is still noticed.
        let r = r.header("content-type", kind).config().timeout_global(None).build();
        self.read(r.send(ureq::SendBody::from_reader(file)))
    }

    /// PUT of a thing whose version is `etag`.
    pub fn put(&self, path: &str, body: &Value, etag: &str) -> Result<Good> {
        let r = self.agent.put(self.url(path)).header("authorization", self.bearer());
        self.read(r.header("accept-language", self.lang).header("if-match", etag).send_json(body))
    }

    /// PATCH of a thing whose version is `etag`.
    pub fn patch(&self, path: &str, body: &Value, etag: &str) -> Result<Good> {
        let r = self.agent.patch(self.url(path)).header("authorization", self.bearer());
        self.read(r.header("accept-language", self.lang).header("if-match", etag).send_json(body))
    }

    /// DELETE of a thing whose version is `etag`; of one that has none, with an idempotency key.
    pub fn delete(&self, path: &str, etag: Option<&str>) -> Result<Good> {
        let r = self.agent.delete(self.url(path)).header("authorization", self.bearer());
        let r = match etag {
            Some(e) => r.header("if-match", e),
            None => r.header("idempotency-key", idempotency_key()?),
        };
        self.read(r.header("accept-language", self.lang).call())
    }

    /// All items of a list, page by page.
    pub fn list(&self, path: &str) -> Result<Vec<Value>> {
        let mut all = Vec::new();
        let mut cursor: Option<String> = None;
        loop {
            let glue = if path.contains('?') { '&' } else { '?' };
            let page = match &cursor {
                Some(c) => self.get(&format!("{path}{glue}cursor={c}"))?.body,
                None => self.get(path)?.body,
            };
            all.extend(page.get("items").and_then(Value::as_array).cloned().unwrap_or_default());
            cursor = page.get("next").and_then(Value::as_str).map(ToOwned::to_owned);
            if cursor.is_none() {
                return Ok(all);
            }
        }
    }

    /// GET of `path` as a stream of octets: an export.
    pub fn stream(&self, path: &str) -> Result<impl std::io::Read + use<>> {
        let r = self.agent.get(self.url(path)).header("authorization", self.bearer());
        let r = r.header("accept-language", self.lang).config().timeout_global(None).build().call();
        let mut r = r.with_context(|| format!("the API at {} does not answer", self.base))?;
        if !r.status().is_success() {
            let text = r.body_mut().read_to_string().unwrap_or_default();
            let problem = serde_json::from_str(&text).unwrap_or(Value::Null);
            return Err(Refused { status: r.status().as_u16(), problem }.into());
        }
        Ok(r.into_body().into_reader())
    }

    /// The sum of a metric's samples whose labels contain `label`.
    pub fn metric(&self, name: &str, label: &str) -> Result<f64> {
        let r =
            self.agent.get(format!("{}/metrics", self.base)).header("authorization", self.bearer()).call();
        let mut r = r.with_context(|| format!("the API at {} does not answer", self.base))?;
        let text = r.body_mut().read_to_string()?;
        let of_name = |l: &&str| l.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let lines = text.lines().filter(of_name).filter(|l| l.contains(label));
        Ok(lines.filter_map(|l| l.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    /// What `/readyz` says, which is asked without a token: status and words.
    #[cfg(feature = "lab")]
    pub fn readiness(&self) -> Result<(u16, String)> {
        let answer = self.agent.get(format!("{}/readyz", self.base)).call();
        let mut answer = answer.with_context(|| format!("the API at {} does not answer", self.base))?;
        Ok((answer.status().as_u16(), answer.body_mut().read_to_string()?))
    }

    /// What the API says to a request as it is, whatever the status: the body in its own words. `path` is below the
    /// root; `post` is a content type and a body.
    #[cfg(feature = "lab")]
    pub fn words(&self, path: &str, post: Option<(&str, &str)>) -> Result<(u16, String)> {
        let url = format!("{}/{}", self.base, path.trim_start_matches('/'));
        let answer = match post {
            Some((kind, body)) => {
                let r = self.agent.post(url).header("authorization", self.bearer());
                r.header("content-type", kind).header("idempotency-key", idempotency_key()?).send(body)
            }
            None => self.agent.get(url).header("authorization", self.bearer()).call(),
        };
        let mut answer = answer.with_context(|| format!("the API at {} does not answer", self.base))?;
        Ok((answer.status().as_u16(), answer.body_mut().read_to_string()?))
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/v1/{}", self.base, path.trim_start_matches('/'))
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }

    fn read(&self, r: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Good> {
        let mut r =
            r.with_context(|| format!("the API at {} does not answer; is `sekisho run` up?", self.base))?;
        let status = r.status();
        let etag = r.headers().get("etag").and_then(|v| v.to_str().ok()).map(ToOwned::to_owned);
        let text = r.body_mut().read_to_string().context("reading the answer")?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        if status.is_success() || status == StatusCode::NOT_MODIFIED {
            Ok(Good { body, etag })
        } else {
            Err(Refused { status: status.as_u16(), problem: body }.into())
        }
    }
}

/// A value of a query, percent-encoded where it must be.
pub fn encoded(v: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.~:".contains(&b);
    v.bytes().map(|b| if plain(b) { (b as char).to_string() } else { format!("%{b:02X}") }).collect()
}

fn idempotency_key() -> Result<String> {
    let key: [u8; 16] = gateway::sys::random()?;
    Ok(types::hex(&key))
}
