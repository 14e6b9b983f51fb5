//! The head of an HTTP/1.1 request (RFC 9112), as much of it as a page without forms needs.
//!
//! # Safety
//! Read from whatever a UE sends: nothing is indexed, nothing is allocated before the head is whole and of its length.
//! # Ownership
//! What is taken is copied.
//! # Round trip
//! None: only requests are read, and only answers written elsewhere.
//! # Order of elements
//! Request line, fields, empty line. Of a field that is there twice the first counts.
//! # Errors
//! [`Bad`] is the status that the sender gets. A line that is folded, ends in a bare LF or holds a control character, a
//! field without a name, a space before the colon: refused, because others would read them differently (RFC 9112 §5).

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#![cfg_attr(test, allow(clippy::indexing_slicing, clippy::unwrap_used))]

/// Octets of a head, at most.
pub const LONGEST: usize = 16 * 1024;
/// Octets of a target, at most.
const LONGEST_TARGET: usize = 4096;
/// Octets of all cookies, at most.
const LONGEST_COOKIE: usize = 8192;
/// Fields, at most.
const FIELDS: usize = 64;

/// What was asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Head {
    /// Path and query, as they stand there: visible ASCII that begins with a slash.
    pub target: String,
    /// Accept-Language.
    pub language: String,
    /// Cookie.
    pub cookie: String,
}

/// What is wrong with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bad {
    /// It is not HTTP/1.
    Malformed,
    /// It is another method than GET or HEAD, or has a body.
    Method,
    /// It is too long.
    TooLong,
}

impl Bad {
    /// The status that its sender gets.
    pub fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::Method => 405,
            Self::TooLong => 431,
        }
    }
}

/// Reads a head; `Ok(None)` until it is whole.
pub fn read(octets: &[u8]) -> Result<Option<Head>, Bad> {
    const END: &[u8] = b"\r\n\r\n";
    let seen = octets.get(..octets.len().min(LONGEST)).unwrap_or_default();
    let Some(end) = seen.windows(END.len()).position(|w| w == END) else {
        return if octets.len() >= LONGEST { Err(Bad::TooLong) } else { Ok(None) };
    };
    let text = seen.get(..end).and_then(|h| std::str::from_utf8(h).ok()).ok_or(Bad::Malformed)?;
    let mut lines = text.split("\r\n");
    let mut head = Head { target: target(lines.next().ok_or(Bad::Malformed)?)?, ..Head::default() };
    for (n, line) in lines.enumerate() {
        if n == FIELDS {
            return Err(Bad::TooLong);
        }
        field(&mut head, line)?;
    }
    Ok(Some(head))
}

fn target(line: &str) -> Result<String, Bad> {
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Bad::Malformed);
    };
    let is_token = !method.is_empty() && method.bytes().all(|b| b.is_ascii_alphabetic());
    let visible = target.starts_with('/') && target.bytes().all(|b| b.is_ascii_graphic());
    match (method, version) {
        _ if !is_token || !visible || !matches!(version, "HTTP/1.0" | "HTTP/1.1") => Err(Bad::Malformed),
        ("GET" | "HEAD", _) if target.len() > LONGEST_TARGET => Err(Bad::TooLong),
        ("GET" | "HEAD", _) => Ok(target.to_owned()),
        _ => Err(Bad::Method),
    }
}

fn field(head: &mut Head, line: &str) -> Result<(), Bad> {
    let (name, value) = line.split_once(':').ok_or(Bad::Malformed)?;
    // RFC 9110 §5.6.2: a name is a token.
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let plain = |b: u8| b == b'\t' || (b >= b' ' && b != 0x7f);
    if name.is_empty() || !name.bytes().all(is_token) || !value.bytes().all(plain) {
        return Err(Bad::Malformed);
    }
    let value = value.trim_matches([' ', '\t']);
    match name.to_ascii_lowercase().as_str() {
        "accept-language" if head.language.is_empty() => head.language = value.chars().take(256).collect(),
        "cookie" if value.len() > LONGEST_COOKIE => return Err(Bad::TooLong),
        "cookie" if head.cookie.is_empty() => head.cookie = value.to_owned(),
        // A body, or two who see different ones.
        "transfer-encoding" => return Err(Bad::Method),
        "content-length" if value != "0" => return Err(Bad::Method),
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOOD: &str = "GET /?app=hr HTTP/1.1\r\nHost: check.corp.example\r\nAccept-Language: ja,en;q=0.5\r\n\
                        Cookie: a=b; c=d\r\nX-Other:\r\n\r\n";

    #[test]
    fn what_a_browser_asks_is_read_when_it_is_whole() {
        let head = read(GOOD.as_bytes()).unwrap().unwrap();
        assert_eq!((head.target.as_str(), head.cookie.as_str()), ("/?app=hr", "a=b; c=d"));
        assert_eq!(head.language, "ja,en;q=0.5");
        for cut in 0..GOOD.len() {
            assert_eq!(read(&GOOD.as_bytes()[..cut]), Ok(None), "{cut}");
        }
        let more = [GOOD.as_bytes(), b"GET /second HTTP/1.1\r\n\r\n"].concat();
        assert_eq!(read(&more).unwrap().unwrap(), head, "what stands behind it is no part of it");
    }

    #[test]
    fn what_others_would_read_differently_is_refused() {
        let line = |line: &str| read(format!("{line}\r\n\r\n").as_bytes());
        for bad in [
            "",
            "GET",
            "GET /",
            "GET  / HTTP/1.1",
            "GET / HTTP/1.1 x",
            "GET / HTTP/2",
            "GET x HTTP/1.1",
            "GET http://a/ HTTP/1.1",
            "GET /\u{7f} HTTP/1.1",
            "GET /あ HTTP/1.1",
            "G\tT / HTTP/1.1",
            "\x16\x03\x01",
        ] {
            assert_eq!(line(bad), Err(Bad::Malformed), "{bad:?}");
        }
        for bad in ["POST / HTTP/1.1", "CONNECT / HTTP/1.1", "PRI / HTTP/1.1"] {
            assert_eq!(line(bad), Err(Bad::Method), "{bad:?}");
        }
        let field = |field: &str| line(&format!("GET / HTTP/1.1\r\n{field}"));
        for bad in ["a", ": b", "a : b", " a: b", "a: b\nc: d", "a: b\r c", "a: \0", "a\u{e9}: b"] {
            assert_eq!(field(bad), Err(Bad::Malformed), "{bad:?}");
        }
        for bad in ["Transfer-Encoding: chunked", "content-length: 5", "Content-Length: 0, 0"] {
            assert_eq!(field(bad), Err(Bad::Method), "{bad:?}");
        }
        assert!(field("content-length: 0").unwrap().is_some());
        assert_eq!(read(&[GOOD.as_bytes(), b"\xff\r\n\r\n"].concat()).unwrap().unwrap().target, "/?app=hr");
        assert_eq!(read(b"GET / HTTP/1.1\r\na: \xff\r\n\r\n"), Err(Bad::Malformed));
    }

    #[test]
    fn lengths_are_bounded() {
        let of = |n: usize| read(format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(n)).as_bytes());
        assert!(of(LONGEST_TARGET - 1).unwrap().is_some());
        assert_eq!(of(LONGEST_TARGET), Err(Bad::TooLong));
        assert_eq!(read(&[b'a'; LONGEST]), Err(Bad::TooLong));
        assert_eq!(read(&[b'a'; LONGEST - 1]), Ok(None));
        let fields = |n: usize| read(format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(n)).as_bytes());
        assert!(fields(FIELDS).unwrap().is_some());
        assert_eq!(fields(FIELDS + 1), Err(Bad::TooLong));
        let cookie =
            |n: usize| read(format!("GET / HTTP/1.1\r\ncookie: {}\r\n\r\n", "a".repeat(n)).as_bytes());
        assert!(cookie(LONGEST_COOKIE).unwrap().is_some());
        assert_eq!(cookie(LONGEST_COOKIE + 1), Err(Bad::TooLong));
    }

    proptest! {
        #[test]
        fn anything_is_read_without_a_panic(octets in prop::collection::vec(any::<u8>(), 0..400), ascii: bool) {
            let octets: Vec<u8> = if ascii { octets.iter().map(|b| b & 0x7f).collect() } else { octets };
            if let Ok(Some(head)) = read(&octets) {
                prop_assert!(head.target.starts_with('/') && !head.target.contains(['\r', '\n', ' ']));
                prop_assert!(!head.cookie.contains(['\r', '\n']) && !head.language.contains(['\r', '\n']));
            }
        }
    }
}
