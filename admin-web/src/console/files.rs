//! The files of the console, embedded when this crate is compiled.
//!
//! A build without them compiles too; its console is one page that says how to get it. A stamp beside the files says
//! which sources they were built from, so that an old build is never taken for the sources' own.

use super::policy;
use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::Response,
};
use std::{borrow::Cow, collections::BTreeMap};

#[derive(rust_embed::Embed)]
#[folder = "ui/dist"]
#[allow_missing = true]
struct Dist;

/// The sources at the time of this build; empty where there were none.
const SOURCES: &str = env!("SEKISHO_CONSOLE_SOURCES");
/// What `cargo xtask ui` writes beside what it built.
const STAMP: &str = "stamp";
const INDEX: &str = "index.html";
/// In the index: the place of the nonce of one answer.
const NONCE: &str = "__CSP_NONCE__";

/// The files of the console with what is known of them.
#[derive(Debug, Default)]
pub struct Console {
    files: BTreeMap<String, File>,
    standing: Standing,
}

#[derive(Debug)]
struct File {
    octets: Cow<'static, [u8]>,
    tag: String,
}

/// How the console in this binary stands to the sources that this binary was built from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Standing {
    /// There is none in this binary.
    #[default]
    Missing,
    /// Built from these sources: their digest.
    Current(String),
    /// Built from other sources than this binary: their digest, and that of this binary's.
    Stale {
        /// Of the console; empty where it has no stamp.
        built: String,
        /// Of this binary.
        sources: String,
    },
}

impl Standing {
    /// In English words.
    pub fn text(&self) -> String {
        match self {
            Self::Missing => "the console is not in this binary".to_owned(),
            Self::Current(d) => format!("console built from sources {d}"),
            Self::Stale { built, sources } if built.is_empty() => {
                format!("the console has no stamp: what it was built from is not known (sources: {sources})")
            }
            Self::Stale { built, sources } => {
                format!("the console was built from sources {built}, this binary from {sources}")
            }
        }
    }

    /// Its word in the API.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Current(_) => "current",
            Self::Stale { .. } => "stale",
        }
    }

    /// What mends it, where something is to be mended.
    pub fn fix(&self) -> Option<&'static str> {
        (!matches!(self, Self::Current(_))).then_some("cargo xtask ui && cargo build")
    }
}

impl Console {
    /// What was embedded into this binary.
    pub fn embedded() -> Self {
        let files = Dist::iter().filter_map(|name| {
            let file = Dist::get(&name)?;
            let tag = format!("\"{}\"", types::hex(file.metadata.sha256_hash().first_chunk::<12>()?));
            Some((name.into_owned(), File { octets: file.data, tag }))
        });
        Self::of(files.collect(), SOURCES)
    }

    fn of(mut files: BTreeMap<String, File>, sources: &str) -> Self {
        let stamp = files.remove(STAMP).map(|f| String::from_utf8_lossy(&f.octets).trim().to_owned());
        let standing = match (files.contains_key(INDEX), stamp.unwrap_or_default()) {
            (false, _) => Standing::Missing,
            (true, built) if built == sources && !built.is_empty() => Standing::Current(built),
            (true, built) => Standing::Stale { built, sources: sources.to_owned() },
        };
        Self { files, standing }
    }

    /// How it stands to the sources.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// The page that starts the console, with the nonce of one answer; `None` where it is not built.
    pub(super) fn index(&self, nonce: &str) -> Option<Response> {
        let text = String::from_utf8_lossy(&self.files.get(INDEX)?.octets).replace(NONCE, nonce);
        let mut r = Response::new(Body::from(text));
        r.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        // It names hashed files: it must never be older than they.
        r.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        policy(
            &mut r,
            &format!(
                "default-src 'none'; script-src 'self'; style-src 'self' 'nonce-{nonce}'; img-src 'self' data:; \
                 font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; \
                 frame-ancestors 'none'"
            ),
        );
        Some(r)
    }

    /// A file other than the index, compressed as the browser takes it; `None` where there is none of this name.
    pub(super) fn file(&self, path: &str, asked: &HeaderMap) -> Option<Response> {
        let name = path.strip_prefix('/')?;
        if name == INDEX || name.ends_with(".br") || name.ends_with(".gz") {
            return None;
        }
        let plain = self.files.get(name)?;
        let packed = [("br", ".br"), ("gzip", ".gz")].into_iter().find_map(|(coding, ending)| {
            let file = self.files.get(&format!("{name}{ending}"))?;
            takes(asked, coding).then_some((coding, file))
        });
        let (coding, file) = packed.map_or((None, plain), |(c, f)| (Some(c), f));
        let known = asked.get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok());
        let unchanged = known.is_some_and(|k| k.split(',').any(|t| t.trim() == file.tag));
        // Borrowed from the binary: nothing is copied.
        let body = match &file.octets {
            _ if unchanged => Body::empty(),
            Cow::Borrowed(b) => Body::from(*b),
            Cow::Owned(b) => Body::from(b.clone()),
        };
        let mut r = Response::new(body);
        if unchanged {
            *r.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let h = r.headers_mut();
        h.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind(name)));
        h.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        let keep =
            if name.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
        h.insert(header::CACHE_CONTROL, HeaderValue::from_static(keep));
        if let Ok(tag) = HeaderValue::from_str(&file.tag) {
            h.insert(header::ETAG, tag);
        }
        if let Some(coding) = coding {
            h.insert(header::CONTENT_ENCODING, HeaderValue::from_static(coding));
        }
        Some(r)
    }
}

/// True where Accept-Encoding names a coding and does not give it weight 0 (RFC 9110 §12.5.3).
fn takes(asked: &HeaderMap, coding: &str) -> bool {
    let all = asked.get_all(header::ACCEPT_ENCODING).iter().filter_map(|v| v.to_str().ok());
    all.flat_map(|v| v.split(',')).any(|one| {
        let mut parts = one.split(';').map(str::trim);
        let named = parts.next().is_some_and(|c| c.eq_ignore_ascii_case(coding));
        let refused =
            parts.any(|p| p.strip_prefix("q=").is_some_and(|q| q.parse::<f32>().is_ok_and(|q| q <= 0.0)));
        named && !refused
    })
}

fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next().unwrap_or_default() {
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
impl Console {
    /// A console of these files.
    pub(crate) fn pretended(files: &[(&str, &str)], sources: &str) -> Self {
        let file = |(name, text): &(&str, &str)| {
            let file = File { octets: text.as_bytes().to_vec().into(), tag: format!("\"{name}\"") };
            ((*name).to_owned(), file)
        };
        Self::of(files.iter().map(file).collect(), sources)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_build_is_told_from_the_sources_own() {
        let stamped = |s: &'static str| Console::pretended(&[("index.html", "x"), ("stamp", s)], "abc");
        assert_eq!(*stamped("abc\n").standing(), Standing::Current("abc".to_owned()));
        assert_eq!(stamped("def").standing().word(), "stale");
        assert!(
            stamped("def").standing().text().contains("def") && stamped("def").standing().fix().is_some()
        );
        assert_eq!(Console::pretended(&[("index.html", "x")], "abc").standing().word(), "stale");
        assert_eq!(Console::pretended(&[("stamp", "abc")], "abc").standing().word(), "missing");
        assert_eq!(Console::pretended(&[("index.html", "x"), ("stamp", "")], "").standing().word(), "stale");
    }

    #[test]
    fn a_coding_is_given_to_those_who_take_it() {
        let asked = |v: &'static str| {
            let mut h = HeaderMap::new();
            h.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(v));
            h
        };
        assert!(takes(&asked("gzip, deflate, br"), "br"));
        assert!(takes(&asked("BR;q=0.1"), "br"));
        assert!(!takes(&asked("gzip, br;q=0"), "br"));
        assert!(!takes(&asked("brotli"), "br"));
        assert!(!takes(&HeaderMap::new(), "gzip"));
    }
}
