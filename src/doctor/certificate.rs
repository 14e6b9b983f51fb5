//! When a certificate holds, read from the file itself (RFC 5280 §4.1.2.5); everything else of it is rustls's.

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{fs, os::unix::fs::MetadataExt, path::Path};

/// What was read of a certificate and its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Certificate {
    /// It holds from then, seconds since 1970.
    pub from: i64,
    /// And until then.
    pub until: i64,
    /// Mode of the file of its key; `None` where that is not there.
    pub key_mode: Option<u32>,
}

pub(super) fn read(file: &Path, key: Option<&Path>) -> Result<Certificate, String> {
    use rustls::pki_types::{CertificateDer, pem::PemObject};
    let der = CertificateDer::from_pem_file(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let (from, until) =
        validity(&der).ok_or_else(|| format!("{} holds no certificate that can be read", file.display()))?;
    let key_mode = key.and_then(|k| fs::metadata(k).ok()).map(|m| m.mode() & 0o777);
    Ok(Certificate { from, until, key_mode })
}

/// One element: its tag, its content, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        n @ 0..=0x7f => (usize::from(*n), rest),
        n @ 0x81..=0x84 => {
            let (octets, rest) = rest.split_at_checked(usize::from(n & 0x7f))?;
            (octets.iter().fold(0, |l, b| l << 8 | usize::from(*b)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

/// From when until when a certificate holds, seconds since 1970.
fn validity(der: &[u8]) -> Option<(i64, i64)> {
    let (_, certificate, _) = element(der)?;
    let (_, mut rest, _) = element(certificate)?;
    // [0] version, where it is said; serialNumber, signature, issuer.
    let skipped = if rest.first() == Some(&0xa0) { 4 } else { 3 };
    for _ in 0..skipped {
        (_, _, rest) = element(rest)?;
    }
    let (_, validity, _) = element(rest)?;
    let (tag, from, rest) = element(validity)?;
    let from = time(tag, from)?;
    let (tag, until, _) = element(rest)?;
    Some((from, time(tag, until)?))
}

/// UTCTime (two digits of the year, 50 to 49) or GeneralizedTime, both in UTC and to the second.
fn time(tag: u8, text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        0x17 => {
            let (y, rest) = text.split_at_checked(2)?;
            let y: i16 = y.parse().ok()?;
            (if y < 50 { 2000 + y } else { 1900 + y }, rest)
        }
        0x18 => {
            let (y, rest) = text.split_at_checked(4)?;
            (y.parse().ok()?, rest)
        }
        _ => return None,
    };
    let two = |at: usize| rest.get(at..at + 2)?.parse::<i8>().ok();
    let date = jiff::civil::DateTime::new(year, two(0)?, two(2)?, two(4)?, two(6)?, two(8)?, 0).ok()?;
    Some(date.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn a_certificates_own_dates_are_read() {
        let mut p = rcgen::CertificateParams::new(vec!["sekisho".to_owned()]).expect("a name");
        p.not_before = rcgen::date_time_ymd(2026, 4, 1);
        p.not_after = rcgen::date_time_ymd(2055, 3, 31);
        let key = rcgen::KeyPair::generate().expect("a key");
        let made = p.self_signed(&key).expect("a certificate");
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("c.pem");
        fs::write(&file, made.pem()).expect("written");
        let c = read(&file, None).expect("read");
        // UTCTime for the first, GeneralizedTime for the second (RFC 5280 §4.1.2.5).
        assert_eq!((c.from, c.until, c.key_mode), (1_775_001_600, 2_690_064_000, None));
        for cut in 0..made.der().len().min(200) {
            assert_eq!(validity(made.der().get(..cut).unwrap_or_default()), None, "cut at {cut}");
        }
        fs::write(&file, "no certificate").expect("written");
        assert!(read(&file, None).is_err());
    }
}
