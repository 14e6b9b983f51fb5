//! Names of servers, as a TLS client says them (RFC 6066 §3) and as an app is narrowed by them.

use std::{fmt, str::FromStr};

/// The name of a server: labels of lower-case ASCII letters, digits, inner hyphens and underscores; a name in another
/// script stands here in its A-labels (RFC 5890 §2.3.2.1). Never an IP address.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerName(Box<str>);

const WHAT: &str = "a server name is labels of a-z, 0-9, _ and inner -, joined by dots, at most 253 characters and no IP \
                    address, for example wiki.example.jp; write other scripts as A-labels (xn--…)";

impl ServerName {
    /// The name in a `server_name` extension, in whatever case. `None` for octets that are no name.
    pub fn from_wire(octets: &[u8]) -> Option<Self> {
        std::str::from_utf8(octets).ok()?.to_ascii_lowercase().parse().ok()
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What remains behind the first label, then behind the second, and so on.
    pub fn parents(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('.').filter_map(|(dot, _)| self.0.get(dot + 1..))
    }
}

impl fmt::Display for ServerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_label(label: &str) -> bool {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_' || c == b'-';
    (1..=63).contains(&label.len())
        && label.bytes().all(inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label != "xn--"
}

impl FromStr for ServerName {
    type Err = &'static str;
    fn from_str(s: &str) -> Result<Self, &'static str> {
        // No top-level domain is a number: what ends in one is an IP address.
        let is_address = s.rsplit('.').next().is_some_and(|l| l.bytes().all(|c| c.is_ascii_digit()));
        if s.len() > 253 || is_address || !s.split('.').all(is_label) {
            return Err(WHAT);
        }
        Ok(Self(s.into()))
    }
}
crate::digits::serde_as_text!(ServerName);

/// Which servers an app is: one by its name, or by `*.` all whose names end in a suffix, by one label or more.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NamePattern {
    /// This one.
    Exact(ServerName),
    /// All below this one, itself not among them.
    Below(ServerName),
}

impl NamePattern {
    /// True where the server is one of these.
    pub fn covers(&self, name: &ServerName) -> bool {
        match self {
            Self::Exact(n) => n == name,
            Self::Below(suffix) => name.parents().any(|parent| parent == suffix.as_str()),
        }
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(n) => n.fmt(f),
            Self::Below(n) => write!(f, "*.{n}"),
        }
    }
}

impl FromStr for NamePattern {
    type Err = &'static str;
    fn from_str(s: &str) -> Result<Self, &'static str> {
        match s.strip_prefix("*.") {
            Some(suffix) => suffix.parse().map(Self::Below),
            None => s.parse().map(Self::Exact),
        }
    }
}
crate::digits::serde_as_text!(NamePattern);

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(s: &str) -> NamePattern {
        s.parse().unwrap()
    }

    #[test]
    fn names_are_read_and_what_is_none_is_refused() {
        for good in ["wiki.example.jp", "a", "xn--wgv71a.jp", "_x.a-b.c1", "1.2.3.x4"] {
            assert_eq!(good.parse::<ServerName>().unwrap().as_str(), good);
        }
        let long = ["a"; 128].join(".");
        for bad in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "Wiki.jp",
            "日本.jp",
            "-a.jp",
            "a-.jp",
            "a b",
            "*.a",
            "10.1.1.5",
            "a.1",
            "::1",
            "xn--.jp",
            &"a".repeat(64),
            &long,
        ] {
            assert!(bad.parse::<ServerName>().is_err(), "{bad}");
        }
        assert_eq!(ServerName::from_wire(b"WIKI.Example.jp").unwrap().as_str(), "wiki.example.jp");
        assert_eq!(ServerName::from_wire(&[0xff, b'a']), None);
    }

    #[test]
    fn a_suffix_covers_what_is_below_it_and_nothing_beside_it() {
        let name = |s: &str| s.parse::<ServerName>().unwrap();
        assert!(pattern("*.example.jp").covers(&name("wiki.example.jp")));
        assert!(pattern("*.example.jp").covers(&name("a.b.example.jp")));
        for other in ["example.jp", "badexample.jp", "example.jp.evil.com", "wiki.example.jp.x"] {
            assert!(!pattern("*.example.jp").covers(&name(other)), "{other}");
        }
        assert!(pattern("wiki.example.jp").covers(&name("wiki.example.jp")));
        assert!(!pattern("wiki.example.jp").covers(&name("a.wiki.example.jp")));
        assert_eq!(pattern("*.example.jp").to_string(), "*.example.jp");
        for bad in ["*", "*.", "**.a", "a.*.b", "*a.b"] {
            assert!(bad.parse::<NamePattern>().is_err(), "{bad}");
        }
    }
}
