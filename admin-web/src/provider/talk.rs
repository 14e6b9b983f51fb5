//! What is said to the provider, and how its answers are judged. Everything here blocks or computes.
//!
//! An ID token counts where its signature is of a key of the provider's, by a method with a public key (never one with a
//! shared secret, whoever asks for it), and issuer, audience, nonce and times are right (OpenID Connect Core 1.0
//! §3.1.3.7).

use super::{Begun, CALLBACK, FetchError, Found, Provider, ProviderConfig, Refusal};
use openidconnect::{
    AdditionalClaims, AuthType, AuthenticationContextClass, AuthorizationCode, ClaimsVerificationError,
    Client, ClientId, ClientSecret, CsrfToken, DiscoveryError, EmptyExtraTokenFields, EndpointNotSet,
    EndpointSet, HttpRequest, IdToken, IdTokenFields, IdTokenVerifier, IssuerUrl, JsonWebKeySet, Nonce,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, SignatureVerificationError,
    StandardErrorResponse, StandardTokenResponse, TokenUrl,
    core::{
        CoreAuthDisplay, CoreAuthPrompt, CoreAuthenticationFlow, CoreClientAuthMethod, CoreErrorResponseType,
        CoreGenderClaim, CoreJsonWebKey, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm,
        CoreProviderMetadata, CoreRevocableToken, CoreRevocationErrorResponse,
        CoreTokenIntrospectionResponse, CoreTokenType,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use types::Utc;

/// How far the provider's clock may be from ours.
const LEEWAY: Duration = Duration::from_secs(60);

/// Methods with a public key; `none` and the ones with a shared secret are not among them.
pub(crate) const METHODS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// Claims that OpenID Connect does not name itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Others {
    #[serde(flatten)]
    all: Map<String, Value>,
}

impl AdditionalClaims for Others {}

pub(super) type Token =
    IdToken<Others, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>;
type Fields = IdTokenFields<
    Others,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;
type OurClient = Client<
    Others,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    StandardTokenResponse<Fields, CoreTokenType>,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
    EndpointNotSet,
>;

/// Whom the provider vouches for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Person {
    /// Who he is there, for good.
    pub(crate) subject: String,
    /// What he is called there.
    pub(crate) label: String,
    /// A mail address, and whether the provider has seen that it is theirs.
    pub(crate) email: Option<(String, bool)>,
    pub(crate) acr: Option<String>,
    pub(crate) amr: Vec<String>,
    pub(crate) claims: Map<String, Value>,
}

/// Addresses that the configuration names.
pub(super) struct Urls {
    issuer: IssuerUrl,
    redirect: RedirectUrl,
    /// True where the provider is on this machine: a test, or a proxy.
    plain: bool,
}

impl Urls {
    pub(super) fn of(c: &ProviderConfig) -> Result<Self, (&'static str, String)> {
        let issuer = IssuerUrl::new(c.issuer.clone()).map_err(|e| ("issuer", e.to_string()))?;
        let base = c.base_url.trim_end_matches('/');
        let redirect =
            RedirectUrl::new(format!("{base}{CALLBACK}")).map_err(|e| ("base_url", e.to_string()))?;
        let plain = is_loopback(issuer.url().host_str());
        if issuer.url().scheme() != "https" && !plain {
            return Err(("issuer", "write https://…".to_owned()));
        }
        if redirect.url().scheme() != "https" && !is_loopback(redirect.url().host_str()) {
            return Err(("base_url", "write https://…".to_owned()));
        }
        if redirect.url().path() != CALLBACK {
            let what = "write scheme, host and port alone, such as https://sekisho.example.com:8443";
            return Err(("base_url", what.to_owned()));
        }
        Ok(Self { issuer, redirect, plain })
    }
}

fn is_loopback(host: Option<&str>) -> bool {
    let host = host.unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|a| a.is_loopback())
}

impl Provider {
    fn http(&self, request: HttpRequest) -> Result<openidconnect::HttpResponse, FetchError> {
        self.fetch.fetch(request)
    }

    /// Reads what the provider says of itself, and its keys.
    pub(super) fn discover(&self) -> Result<Found, Refusal> {
        let http = |r: HttpRequest| self.http(r);
        let metadata =
            CoreProviderMetadata::discover(&self.urls.issuer, &http).map_err(|e| unreadable(&e))?;
        let token = metadata.token_endpoint().map(|t| t.url());
        let named = [Some(metadata.authorization_endpoint().url()), token, Some(metadata.jwks_uri().url())];
        for url in named {
            let Some(url) = url else {
                return Err(Refusal::Unreachable("it names no token endpoint".to_owned()));
            };
            if url.scheme() != "https" && !self.urls.plain {
                return Err(Refusal::Unreachable(format!("it names an address without TLS: {url}")));
            }
        }
        let keys = Arc::new(metadata.jwks().clone());
        Ok(Found { metadata: Arc::new(metadata), keys })
    }

    /// Reads the keys anew.
    pub(super) fn read_keys(&self, found: &Found) -> Result<Found, Refusal> {
        let http = |r: HttpRequest| self.http(r);
        let keys = JsonWebKeySet::fetch(found.metadata.jwks_uri(), &http).map_err(|e| unreadable(&e))?;
        Ok(Found { keys: Arc::new(keys), metadata: Arc::clone(&found.metadata) })
    }

    fn client(&self, found: &Found) -> Result<OurClient, Refusal> {
        let m = &found.metadata;
        let token = m.token_endpoint().cloned();
        let token: TokenUrl =
            token.ok_or_else(|| Refusal::Unreachable("it names no token endpoint".to_owned()))?;
        let id = ClientId::new(self.config.client_id.clone());
        let client = Client::new(id, self.urls.issuer.clone(), JsonWebKeySet::default())
            .set_auth_uri(m.authorization_endpoint().clone())
            .set_token_uri(token)
            .set_redirect_uri(self.urls.redirect.clone());
        let Some(secret) = &self.config.client_secret else { return Ok(client) };
        // OpenID Connect Discovery §3: without a word of it, it is client_secret_basic.
        let methods = m.token_endpoint_auth_methods_supported();
        let takes = |w: &CoreClientAuthMethod| methods.is_some_and(|all| all.contains(w));
        let by_body = !takes(&CoreClientAuthMethod::ClientSecretBasic)
            && takes(&CoreClientAuthMethod::ClientSecretPost);
        let client = client.set_client_secret(ClientSecret::new(secret.as_str().to_owned()));
        Ok(client.set_auth_type(if by_body { AuthType::RequestBody } else { AuthType::BasicAuth }))
    }

    /// Where a browser is sent to (§3.1.2.1, RFC 7636 §4.3).
    pub(super) fn authorize_url(&self, found: &Found, begun: &Begun) -> Result<String, Refusal> {
        let client = self.client(found)?;
        let verifier = PkceCodeVerifier::new(begun.verifier.clone());
        let (state, nonce) = (CsrfToken::new(begun.state.clone()), Nonce::new(begun.nonce.clone()));
        let mut ask = client
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, || state, || nonce)
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        for scope in self.config.scopes.iter().filter(|s| *s != "openid") {
            ask = ask.add_scope(Scope::new(scope.clone()));
        }
        for acr in &self.config.acr {
            ask = ask.add_auth_context_value(AuthenticationContextClass::new(acr.clone()));
        }
        Ok(ask.url().0.to_string())
    }

    /// Gives the code away for an ID token (§3.1.3.1).
    pub(super) fn exchange(&self, found: &Found, code: String, begun: &Begun) -> Result<Token, Refusal> {
        let http = |r: HttpRequest| self.http(r);
        let client = self.client(found)?;
        let verifier = PkceCodeVerifier::new(begun.verifier.clone());
        let answer =
            client.exchange_code(AuthorizationCode::new(code)).set_pkce_verifier(verifier).request(&http);
        let answer = answer.map_err(|e| match e {
            RequestTokenError::Request(e) => Refusal::Unreachable(e.to_string()),
            RequestTokenError::ServerResponse(e) => Refusal::CodeRefused(plain(e.error().as_ref(), 40)),
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => Refusal::Malformed,
        })?;
        answer.extra_fields().id_token().cloned().ok_or(Refusal::Malformed)
    }

    /// Whom an ID token vouches for, where it counts.
    pub(super) fn judge(
        &self,
        found: &Found,
        token: &Token,
        nonce: &str,
        now: Utc,
    ) -> Result<Person, Refusal> {
        let now = UNIX_EPOCH + Duration::from_millis(u64::try_from(now.0).unwrap_or(0));
        let (early, late) = (now - LEEWAY, now + LEEWAY);
        // As a public client: an ID token that is signed with our own secret is taken from nobody.
        let id = ClientId::new(self.config.client_id.clone());
        let keys = (*found.keys).clone();
        let verifier = IdTokenVerifier::new_public_client(id, self.urls.issuer.clone(), keys)
            .set_allowed_algs(METHODS)
            .set_time_fn(move || early.into());
        let claims = token.claims(&verifier, &Nonce::new(nonce.to_owned())).map_err(|e| wrong(&e))?;
        let others = &claims.additional_claims().all;
        let not_before = match others.get("nbf") {
            None => UNIX_EPOCH,
            Some(v) => {
                let seconds = v.as_f64().filter(|s| (0.0..1e12).contains(s)).ok_or(Refusal::Malformed)?;
                UNIX_EPOCH + Duration::from_secs_f64(seconds)
            }
        };
        if not_before > late || SystemTime::from(claims.issue_time()) > late {
            return Err(Refusal::NotYetValid);
        }
        let subject = claims.subject().as_str();
        // §2: at most 255 ASCII characters.
        if subject.is_empty()
            || subject.len() > 255
            || !subject.bytes().all(|b| b.is_ascii_graphic() || b == b' ')
        {
            return Err(Refusal::Malformed);
        }
        let names = [
            claims.preferred_username().map(|n| n.as_str()),
            claims.email().map(|e| e.as_str()),
            claims.name().and_then(|n| n.get(None)).map(|n| n.as_str()),
        ];
        let label = names.into_iter().flatten().map(|n| plain(n, 80)).find(|n| !n.is_empty());
        Ok(Person {
            label: label.unwrap_or_else(|| subject.to_owned()),
            subject: subject.to_owned(),
            email: claims.email().map(|e| (e.as_str().to_owned(), claims.email_verified() == Some(true))),
            acr: claims.auth_context_ref().map(|a| a.as_str().to_owned()),
            amr: claims.auth_method_refs().into_iter().flatten().map(|a| a.as_str().to_owned()).collect(),
            claims: others.clone(),
        })
    }
}

/// Words from outside, on one line and not too long; parentheses are ours.
pub(crate) fn plain(text: &str, most: usize) -> String {
    let shown = text.chars().filter(|c| !c.is_control() && !"()<>\"".contains(*c));
    shown.take(most).collect::<String>().trim().to_owned()
}

fn unreadable(e: &DiscoveryError<FetchError>) -> Refusal {
    Refusal::Unreachable(match e {
        DiscoveryError::Request(e) => e.to_string(),
        DiscoveryError::Parse(e) => format!("its answer cannot be read: {}", plain(&e.to_string(), 200)),
        other => plain(&other.to_string(), 200),
    })
}

fn wrong(e: &ClaimsVerificationError) -> Refusal {
    use SignatureVerificationError as S;
    match e {
        ClaimsVerificationError::Expired(_) => Refusal::Expired,
        ClaimsVerificationError::InvalidAudience(_) => Refusal::Audience,
        ClaimsVerificationError::InvalidIssuer(_) => Refusal::Issuer,
        ClaimsVerificationError::InvalidNonce(_) => Refusal::Nonce,
        ClaimsVerificationError::SignatureVerification(s) => match s {
            S::NoMatchingKey | S::AmbiguousKeyId(_) => Refusal::KeyUnknown,
            S::DisallowedAlg(_) | S::UnsupportedAlg(_) | S::NoSignature => Refusal::Algorithm,
            _ => Refusal::Signature,
        },
        _ => Refusal::Malformed,
    }
}
