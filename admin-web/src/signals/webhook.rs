//! Posture by a signed webhook.
//!
//! `X-Sekisho-Signature: v1=` HMAC-SHA-256, hexadecimal, with the source's secret (its 64 digits as they stand) over
//! `TIMESTAMP.NONCE.BODY`; `X-Sekisho-Timestamp` in seconds since 1970, at most five minutes from our clock;
//! `X-Sekisho-Nonce` of 16 to 64 letters, digits, `-` and `_`, never the same twice. Whoever is not right in all of this hears
//! the same, and learns neither what is wrong nor which sources there are.

use super::{note, open_secret};
use crate::{
    api::posture::{self, PostureReports, PostureTaken},
    check::Check,
    problem::{Problem, say},
    request::{BODY_LIMIT, PathOf, read_body},
    state::{AppState, now},
};
use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use store::Change;
use types::{Name, SourceKind, Utc, unhex};

/// How far the source's clock may be from ours, milliseconds.
const WINDOW: i64 = 5 * 60_000;

/// Why a message is not taken: a word for the counter.
type Why = &'static str;

/// What stands in the head of a message.
struct Signed<'h> {
    timestamp: &'h str,
    at: Utc,
    nonce: &'h str,
    signature: Vec<u8>,
}

impl<'h> Signed<'h> {
    fn read(headers: &'h HeaderMap) -> Result<Self, Why> {
        // A header that is there twice is no header: two readers could take different ones.
        let one = |name: &str| {
            let mut all = headers.get_all(name).iter();
            match (all.next(), all.next()) {
                (Some(v), None) => v.to_str().map_err(|_| "unsigned"),
                _ => Err("unsigned"),
            }
        };
        let timestamp = one("x-sekisho-timestamp")?;
        let digits = (1..=12).contains(&timestamp.len()) && timestamp.bytes().all(|b| b.is_ascii_digit());
        let seconds: i64 = timestamp.parse().ok().filter(|_| digits).ok_or("unsigned")?;
        let nonce = one("x-sekisho-nonce")?;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if !(16..=64).contains(&nonce.len()) || !nonce.bytes().all(plain) {
            return Err("unsigned");
        }
        let hex = one("x-sekisho-signature")?.strip_prefix("v1=").ok_or("unsigned")?;
        let signature = unhex(hex).filter(|s| s.len() == 32).ok_or("unsigned")?;
        Ok(Self { timestamp, at: Utc(seconds * 1000), nonce, signature })
    }

    /// Holds the signature and the time against a secret.
    fn judge(&self, secret: &[u8], body: &[u8], now: Utc) -> Result<(), Why> {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).map_err(|_| "signature")?;
        for part in [self.timestamp.as_bytes(), b".", self.nonce.as_bytes(), b".", body] {
            mac.update(part);
        }
        // In constant time.
        mac.verify_slice(&self.signature).map_err(|_| "signature")?;
        if (now.0 - self.at.0).abs() > WINDOW { Err("time") } else { Ok(()) }
    }
}

/// Takes what a source tells of devices.
pub(super) async fn take(
    State(s): State<AppState>,
    PathOf(name): PathOf<Name>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<PostureTaken>, Problem> {
    let body = read_body(body, BODY_LIMIT).await?;
    let known = match s.store.signal_source(&name).await {
        Ok(row) => Some(row.source.value).filter(|v| v.kind == SourceKind::Webhook),
        Err(store::StoreError::NotFound) => None,
        Err(e) => return Err(e.into()),
    };
    let Some(source) = known else { return refuse(&s, None, "unknown-source").await };
    let secret = open_secret(&s, &name).await?.ok_or_else(Problem::internal)?;
    let now = now();
    let judged = Signed::read(&headers).and_then(|h| h.judge(&secret, &body, now).map(|()| h));
    let signed = match judged {
        Ok(signed) => signed,
        Err(why) => return refuse(&s, Some(&source.name), why).await,
    };
    // Remembered for as long as its time would be taken, whatever becomes of it.
    let until = Utc(signed.at.0 + WINDOW + 1000);
    if !s.store.take_word_once(&name, signed.nonce, until, now).await? {
        return refuse(&s, Some(&source.name), "replayed").await;
    }
    match told(&s, &source.name, &body, now).await {
        Ok(taken) => {
            note(&s, Some(&source.name), Ok(())).await;
            Ok(Json(taken))
        }
        Err(p) => {
            note(&s, Some(&source.name), Err(("malformed", "what it sent could not be taken"))).await;
            Err(p)
        }
    }
}

async fn told(s: &AppState, source: &Name, body: &[u8], now: Utc) -> Result<PostureTaken, Problem> {
    let reports: PostureReports = crate::request::json(body)?;
    let mut check = Check::default();
    let reports = reports.read(&mut check, now);
    check.done()?;
    posture::take(s, reports, source, &Change::by_system(&format!("signal source {source}"), now)).await
}

async fn refuse<T>(s: &AppState, source: Option<&Name>, why: Why) -> Result<T, Problem> {
    let words = match why {
        "signature" => "a signature is not that of its secret",
        "time" => "a time stamp is more than five minutes from our clock",
        "replayed" => "a message came twice",
        _ => "a message is not signed as it should be",
    };
    note(s, source, Err((why, words))).await;
    Err(Problem::new(
        StatusCode::UNAUTHORIZED.as_u16(),
        "not-signed",
        say!("The signature does not count", "署名が無効です"),
    )
    .detail(say!(
        "source, signature, time stamp and nonce must all be right, and each message is taken once",
        "送信元・署名・タイムスタンプ・nonce がすべて正しい必要があります。同じメッセージは一度だけ受け付けます"
    ))
    .fix(say!(
        "the source's page in the console says why the last one was refused",
        "直近の拒否理由は送信元の画面で確認できます"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(timestamp: &str, nonce: &str, signature: &str) -> HeaderMap {
        let mut h = HeaderMap::new();
        h.insert("x-sekisho-timestamp", timestamp.parse().unwrap());
        h.insert("x-sekisho-nonce", nonce.parse().unwrap());
        h.insert("x-sekisho-signature", signature.parse().unwrap());
        h
    }

    /// Computed by OpenSSL: printf '1800000000.0123456789abcdef.{}' | openssl dgst -sha256 -hmac secret
    const BY_OPENSSL: &str = "8432c214a313cdc695cf51c65e74af6e9c387a8ac5358ff01a57302d3423c34b";

    #[test]
    fn the_signature_is_the_one_that_openssl_makes() {
        let good = format!("v1={BY_OPENSSL}");
        let h = headers("1800000000", "0123456789abcdef", &good);
        let now = Utc(1_800_000_000_000);
        let judge =
            |secret: &[u8], body: &[u8], now| Signed::read(&h).and_then(|s| s.judge(secret, body, now));
        assert_eq!(judge(b"secret", b"{}", now), Ok(()));
        assert_eq!(judge(b"Secret", b"{}", now), Err("signature"));
        assert_eq!(judge(b"secret", b"{ }", now), Err("signature"));
        assert_eq!(judge(b"secret", b"{}", Utc(now.0 + WINDOW)), Ok(()));
        assert_eq!(judge(b"secret", b"{}", Utc(now.0 + WINDOW + 1)), Err("time"));
        assert_eq!(judge(b"secret", b"{}", Utc(now.0 - WINDOW - 1)), Err("time"));
    }

    #[test]
    fn a_head_that_is_not_as_it_should_be_is_unsigned() {
        let good = format!("v1={BY_OPENSSL}");
        for (t, n, s) in [
            ("-1", "0123456789abcdef", good.as_str()),
            ("1800000000.5", "0123456789abcdef", &good),
            ("9999999999999", "0123456789abcdef", &good),
            ("1800000000", "short", &good),
            ("1800000000", "0123456789abcde.", &good),
            ("1800000000", "0123456789abcdef", BY_OPENSSL),
            ("1800000000", "0123456789abcdef", "v1=00"),
            ("1800000000", "0123456789abcdef", "v2=00"),
        ] {
            assert_eq!(Signed::read(&headers(t, n, s)).err(), Some("unsigned"), "{t} {n} {s}");
        }
        let mut twice = headers("1800000000", "0123456789abcdef", &good);
        twice.append("x-sekisho-timestamp", "1800000001".parse().unwrap());
        assert_eq!(Signed::read(&twice).err(), Some("unsigned"));
    }
}
