//! How somebody may find out that an app works.

use crate::digits::serde_as_text;
use std::{fmt, str::FromStr};

/// A question to an app. Text form `tcp/443` (it takes a connection), `http/8080/healthz` (it answers with 2xx).
#[derive(Clone, PartialEq, Eq)]
pub enum Probe {
    /// A connection is taken at this port.
    Tcp(u16),
    /// A GET of this path is answered with 2xx.
    Http {
        /// Its port.
        port: u16,
        /// Begins with a slash.
        path: Box<str>,
    },
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(port) => write!(f, "tcp/{port}"),
            Self::Http { port, path } => write!(f, "http/{port}{path}"),
        }
    }
}

impl FromStr for Probe {
    type Err = &'static str;
    fn from_str(s: &str) -> Result<Self, &'static str> {
        const WHAT: &str = "a probe is tcp/PORT or http/PORT/PATH, for example http/8080/healthz";
        let port = |s: &str| match s.parse::<u16>() {
            Ok(p) if p > 0 && s.bytes().all(|b| b.is_ascii_digit()) => Ok(p),
            _ => Err(WHAT),
        };
        match s.split_once('/') {
            Some(("tcp", p)) => port(p).map(Self::Tcp),
            Some(("http", rest)) => {
                let slash = rest.find('/').ok_or(WHAT)?;
                let (p, path) = rest.split_at(slash);
                let plain = path.len() <= 512 && path.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
                if plain { Ok(Self::Http { port: port(p)?, path: path.into() }) } else { Err(WHAT) }
            }
            _ => Err(WHAT),
        }
    }
}
serde_as_text!(Probe);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_is_read_and_said_in_one_way() {
        for good in ["tcp/443", "http/8080/", "http/80/healthz?deep=1"] {
            assert_eq!(good.parse::<Probe>().unwrap().to_string(), good);
        }
        for bad in
            ["", "tcp", "tcp/0", "tcp/+1", "tcp/65536", "http/80", "http//x", "http/80/a b", "https/1/"]
        {
            assert!(bad.parse::<Probe>().is_err(), "{bad}");
        }
    }
}
