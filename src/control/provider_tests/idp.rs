//! An identity provider on loopback, with keys of its own: it does what OpenID Connect Core 1.0 asks of one, and lies
//! where a test says so.

use axum::{
    Router,
    body::Body,
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::Response,
    routing::{get, post},
};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use p256::ecdsa::signature::Signer as _;
use rsa::{pkcs8::EncodePublicKey as _, rand_core::OsRng, traits::PublicKeyParts as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::{net::TcpListener, task::JoinHandle};

pub const CLIENT: &str = "sekisho";
pub const SECRET: &str = "the secret of the client";

/// How an ID token is signed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sign {
    /// RS256, by the key that is published.
    Rsa,
    /// ES256, by the other one.
    Ec,
    /// `alg=none`.
    None,
    /// HS256 with the client's secret.
    SharedSecret,
    /// HS256 with the text of the public key.
    PublicKeyAsSecret,
    /// RS256, and one bit of the signature is another.
    Damaged,
}

/// How the provider answers at all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Mood {
    Right,
    /// One MiB of something.
    Garbage,
    /// An answer that begins and does not end.
    Slow,
}

/// What a test may change.
pub struct Says {
    pub issuer: String,
    pub mood: Mood,
    /// Published keys: name and method.
    pub keys: Vec<(&'static str, Sign)>,
    pub sign: Sign,
    pub kid: &'static str,
    /// Laid over the right claims; null takes one away.
    pub claims: Value,
    /// In place of the ID token.
    pub token: Option<Value>,
    /// In place of its own door.
    pub door: Option<String>,
    /// Questions so far, by path.
    pub asked: HashMap<&'static str, u32>,
    codes: HashMap<String, Promise>,
}

/// What the provider knows of a code.
struct Promise {
    challenge: String,
    nonce: String,
    redirect: String,
}

/// See the module.
#[derive(Clone)]
pub struct Idp {
    pub issuer: String,
    says: Arc<Mutex<Says>>,
    task: Arc<JoinHandle<()>>,
}

fn rsa_key() -> &'static rsa::RsaPrivateKey {
    static KEY: OnceLock<rsa::RsaPrivateKey> = OnceLock::new();
    KEY.get_or_init(|| rsa::RsaPrivateKey::new(&mut OsRng, 2048).expect("a key"))
}

fn ec_key() -> &'static p256::ecdsa::SigningKey {
    static KEY: OnceLock<p256::ecdsa::SigningKey> = OnceLock::new();
    KEY.get_or_init(|| {
        let random = gateway::sys::random::<32>().expect("randomness");
        p256::ecdsa::SigningKey::from_slice(&random).expect("a key")
    })
}

/// A part of a token.
pub fn part(v: &Value) -> String {
    b64(v.to_string())
}

fn b64(octets: impl AsRef<[u8]>) -> String {
    BASE64URL_NOPAD.encode(octets.as_ref())
}

pub fn seconds() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() as i64
}

impl Idp {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let issuer = format!("http://{}", listener.local_addr().expect("an address"));
        let says = Arc::new(Mutex::new(Says {
            issuer: issuer.clone(),
            mood: Mood::Right,
            keys: vec![("first", Sign::Rsa)],
            sign: Sign::Rsa,
            kid: "first",
            claims: json!({}),
            token: None,
            door: None,
            asked: HashMap::new(),
            codes: HashMap::new(),
        }));
        let state = (issuer.clone(), Arc::clone(&says));
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/jwks", get(jwks))
            .route("/authorize", get(authorize))
            .route("/token", post(token))
            .with_state(state);
        let task = tokio::spawn(async move { axum::serve(listener, app).await.expect("served") });
        Self { issuer, says, task: Arc::new(task) }
    }

    pub fn says(&self) -> MutexGuard<'_, Says> {
        self.says.lock().expect("no panic before")
    }

    /// From now on nobody answers there.
    pub async fn stop(&self) {
        self.task.abort();
        while !self.task.is_finished() {
            tokio::task::yield_now().await;
        }
        let at = self.issuer.trim_start_matches("http://");
        assert!(TcpListener::bind(at).await.is_ok(), "the port is free");
    }

    pub fn asked(&self, path: &'static str) -> u32 {
        self.says().asked.get(path).copied().unwrap_or(0)
    }
}

type Shared = State<(String, Arc<Mutex<Says>>)>;

/// Counts a question; `None` where the answer is to be the right one.
fn mood(says: &Arc<Mutex<Says>>, path: &'static str) -> Option<Response> {
    let mut says = says.lock().expect("no panic before");
    *says.asked.entry(path).or_default() += 1;
    let body = match says.mood {
        Mood::Right => return None,
        Mood::Garbage => Body::from("{\"issuer\":".repeat(105_000)),
        Mood::Slow => Body::from_stream(futures_util::stream::unfold(0, async |n| {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Some((Ok::<_, std::io::Error>("{"), n + 1))
        })),
    };
    Some(answer(StatusCode::OK, body))
}

fn answer(status: StatusCode, body: impl Into<Body>) -> Response {
    let r = Response::builder().status(status).header(header::CONTENT_TYPE, "application/json");
    r.body(body.into()).expect("an answer")
}

async fn discovery(State((issuer, says)): Shared) -> Response {
    mood(&says, "discovery").unwrap_or_else(|| {
        let own = format!("{issuer}/authorize");
        let door = says.lock().expect("no panic before").door.clone().unwrap_or(own);
        let all = json!({
            "issuer": issuer,
            "authorization_endpoint": door,
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/jwks"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            // It offers what must not be taken.
            "id_token_signing_alg_values_supported": ["RS256", "ES256", "HS256", "none"],
        });
        answer(StatusCode::OK, all.to_string())
    })
}

async fn jwks(State((_, says)): Shared) -> Response {
    mood(&says, "jwks").unwrap_or_else(|| {
        let keys = says.lock().expect("no panic before").keys.clone();
        let keys: Vec<Value> = keys.iter().map(|(kid, sign)| jwk(kid, *sign)).collect();
        answer(StatusCode::OK, json!({ "keys": keys }).to_string())
    })
}

pub fn jwk(kid: &str, sign: Sign) -> Value {
    match sign {
        Sign::Ec => {
            let point = ec_key().verifying_key().to_sec1_point(false);
            let (x, y) = (point.x().expect("no infinity"), point.y().expect("uncompressed"));
            json!({ "kty": "EC", "crv": "P-256", "use": "sig", "kid": kid, "x": b64(x), "y": b64(y) })
        }
        _ => {
            let key = rsa_key();
            let (n, e) = (b64(key.n().to_bytes_be()), b64(key.e().to_bytes_be()));
            json!({ "kty": "RSA", "use": "sig", "kid": kid, "n": n, "e": e })
        }
    }
}

/// The person is signed in there already and agrees.
async fn authorize(State((_, says)): Shared, Query(q): Query<HashMap<String, String>>) -> Response {
    let get = |name: &str| q.get(name).cloned().unwrap_or_default();
    assert_eq!((get("response_type").as_str(), get("client_id").as_str()), ("code", CLIENT));
    assert_eq!(get("code_challenge_method"), "S256");
    assert!(get("scope").split(' ').any(|s| s == "openid"), "{}", get("scope"));
    assert!(get("state").len() >= 32 && get("nonce").len() >= 32);
    let code = types::hex(&gateway::sys::random::<8>().expect("randomness"));
    let promise =
        Promise { challenge: get("code_challenge"), nonce: get("nonce"), redirect: get("redirect_uri") };
    let to = format!("{}?code={code}&state={}", get("redirect_uri"), get("state"));
    says.lock().expect("no panic before").codes.insert(code, promise);
    Response::builder().status(302).header(header::LOCATION, to).body(Body::empty()).expect("an answer")
}

async fn token(State((issuer, says)): Shared, headers: HeaderMap, body: String) -> Response {
    if let Some(r) = mood(&says, "token") {
        return r;
    }
    let mut says = says.lock().expect("no panic before");
    let form: HashMap<String, String> = form_of(&body);
    let get = |name: &str| form.get(name).cloned().unwrap_or_default();
    // RFC 6749 §2.3.1: both parts are encoded before they are joined.
    let basic = BASE64.encode(format!("{CLIENT}:{}", SECRET.replace(' ', "+")).as_bytes());
    let shown = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok());
    let no = |error: &str| answer(StatusCode::BAD_REQUEST, json!({ "error": error }).to_string());
    if shown != Some(&format!("Basic {basic}")) {
        return no("invalid_client");
    }
    let Some(promise) = says.codes.remove(&get("code")) else { return no("invalid_grant") };
    let challenge = b64(Sha256::digest(get("code_verifier").as_bytes()));
    if challenge != promise.challenge || get("redirect_uri") != promise.redirect {
        return no("invalid_grant");
    }
    let mut claims = json!({
        "iss": issuer, "aud": CLIENT, "sub": "248289761001", "nonce": promise.nonce,
        "iat": seconds(), "exp": seconds() + 300, "preferred_username": "hanako@corp.example",
        "groups": ["net", "osaka", "everybody"],
    });
    for (name, value) in says.claims.as_object().expect("an object") {
        claims[name] = value.clone();
    }
    if let Value::Object(o) = &mut claims {
        o.retain(|_, v| !v.is_null());
    }
    let mut all = json!({ "access_token": "a", "token_type": "Bearer", "expires_in": 300 });
    all["id_token"] = says.token.clone().unwrap_or_else(|| signed(says.sign, says.kid, &claims).into());
    if let Value::Object(o) = &mut all {
        o.retain(|_, v| !v.is_null());
    }
    answer(StatusCode::OK, all.to_string())
}

fn form_of(body: &str) -> HashMap<String, String> {
    let decoded = |s: &str| {
        let mut octets = Vec::new();
        let mut rest = s.bytes();
        while let Some(b) = rest.next() {
            let hex = |a: u8| char::from(a).to_digit(16).unwrap_or(0) as u8;
            match b {
                b'+' => octets.push(b' '),
                b'%' => {
                    let (a, b) = (rest.next().unwrap_or(0), rest.next().unwrap_or(0));
                    octets.push(hex(a) << 4 | hex(b));
                }
                b => octets.push(b),
            }
        }
        String::from_utf8(octets).expect("UTF-8")
    };
    body.split('&').filter_map(|p| p.split_once('=')).map(|(n, v)| (decoded(n), decoded(v))).collect()
}

fn signed(sign: Sign, kid: &str, claims: &Value) -> String {
    signed_as("JWT", sign, kid, claims)
}

/// A token of this type.
pub fn signed_as(typ: &str, sign: Sign, kid: &str, claims: &Value) -> String {
    let alg = match sign {
        Sign::Rsa | Sign::Damaged => "RS256",
        Sign::Ec => "ES256",
        Sign::None => "none",
        Sign::SharedSecret | Sign::PublicKeyAsSecret => "HS256",
    };
    let head = json!({ "alg": alg, "kid": kid, "typ": typ });
    let text = format!("{}.{}", part(&head), part(claims));
    let rsa = || {
        let digest = Sha256::digest(text.as_bytes());
        rsa_key().sign(rsa::Pkcs1v15Sign::new::<rsa::sha2::Sha256>(), &digest).expect("signed")
    };
    let hmac = |secret: &[u8]| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any length");
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    };
    let signature = match sign {
        Sign::Rsa => rsa(),
        Sign::Damaged => {
            let mut s = rsa();
            s[100] ^= 1;
            s
        }
        Sign::Ec => {
            let s: p256::ecdsa::Signature = ec_key().sign(text.as_bytes());
            s.to_bytes().to_vec()
        }
        Sign::None => Vec::new(),
        Sign::SharedSecret => hmac(SECRET.as_bytes()),
        Sign::PublicKeyAsSecret => {
            let pem = rsa_key().to_public_key().to_public_key_pem(Default::default()).expect("a text");
            hmac(pem.as_bytes())
        }
    };
    format!("{text}.{}", b64(signature))
}
