//! Passkeys (Web Authentication Level 3): registering and being let in by one, with the person verified by the
//! authenticator. `webauthn-rs` judges; without the feature `passkeys` there are none, and everything says so.
//!
//! A passkey is bound to the host name that browsers reach the console by. A challenge lies sealed with the person who
//! answers it, counts five minutes and once.

use crate::{
    problem::{Problem, say},
    seal,
    state::{AppState, now, random},
};
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use store::OperatorRow;
use types::{Utc, hex};

/// A challenge counts for so long, milliseconds.
const COUNTS: i64 = 300_000;

/// What a challenge is for; one of one kind is none of the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    /// A new passkey of this operator's.
    Registering,
    /// Whoever has one.
    SigningIn,
}

impl For {
    fn purpose(self) -> &'static str {
        match self {
            Self::Registering => "passkey registration",
            Self::SigningIn => "passkey sign-in",
        }
    }
}

/// A challenge as it comes back.
#[derive(Serialize, Deserialize)]
pub(crate) struct Challenge {
    /// Whose passkey it is to be; empty for a sign-in.
    pub(crate) operator: String,
    state: Value,
    at: Utc,
}

/// A challenge and what a browser is asked.
pub(crate) struct Asked {
    /// Sealed; the browser brings it back.
    pub(crate) state: String,
    /// The JSON form of PublicKeyCredentialCreationOptions or PublicKeyCredentialRequestOptions.
    pub(crate) options: Value,
}

/// The host name that passkeys are bound to, and what judges them.
pub(crate) struct Passkeys {
    host: String,
    judge: judge::Judge,
}

impl Passkeys {
    /// `None` where the name is none that passkeys can be bound to, or this build has none.
    pub(crate) fn at(host: &str) -> Option<Self> {
        Some(Self { judge: judge::Judge::new(host)?, host: host.to_owned() })
    }

    /// The host name.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// What a browser is asked for to register a passkey beside these.
    pub(crate) fn register(
        &self,
        s: &AppState,
        operator: &OperatorRow,
        known: &[store::PasskeyRow],
    ) -> Result<Asked, Problem> {
        let (state, options) = self.judge.register(operator, known).ok_or_else(Problem::internal)?;
        self.asked(s, For::Registering, operator.name.as_str(), state, options)
    }

    /// What a browser is asked for to sign somebody in.
    pub(crate) fn sign_in(&self, s: &AppState) -> Result<Asked, Problem> {
        let (state, options) = self.judge.sign_in().ok_or_else(Problem::internal)?;
        self.asked(s, For::SigningIn, "", state, options)
    }

    fn asked(
        &self,
        s: &AppState,
        what: For,
        operator: &str,
        state: Value,
        options: Value,
    ) -> Result<Asked, Problem> {
        let challenge = Challenge { operator: operator.to_owned(), state, at: now() };
        let text = serde_json::to_vec(&challenge).map_err(|_| Problem::internal())?;
        let key = s.secrets.as_deref().ok_or_else(Problem::internal)?;
        let sealed = seal::seal(key, what.purpose(), random()?, &text).ok_or_else(Problem::internal)?;
        Ok(Asked { state: BASE64URL_NOPAD.encode(&sealed), options })
    }

    /// A challenge that comes back; `None` where it is none of ours, too old or was used.
    pub(crate) async fn taken(
        &self,
        s: &AppState,
        what: For,
        state: &str,
    ) -> Result<Option<Challenge>, Problem> {
        let key = s.secrets.as_deref().ok_or_else(Problem::internal)?;
        let sealed = BASE64URL_NOPAD.decode(state.as_bytes()).unwrap_or_default();
        let opened = seal::open(key, what.purpose(), &sealed);
        let challenge = opened.and_then(|o| serde_json::from_slice::<Challenge>(&o).ok());
        let now = now();
        let Some(c) = challenge.filter(|c| (0..COUNTS).contains(&(now.0 - c.at.0))) else { return Ok(None) };
        let digest: [u8; 32] = Sha256::digest(&sealed).into();
        let first = s.store.use_provider_state(hex(&digest), now, Utc(now.0 - 2 * COUNTS)).await?;
        Ok(first.then_some(c))
    }

    /// The new passkey's id and what is stored of it.
    pub(crate) fn registered(
        &self,
        challenge: &Challenge,
        answer: &Value,
    ) -> Result<(String, String), Problem> {
        self.judge.registered(&challenge.state, answer).map_err(|why| {
            Problem::field(
                "/credential",
                say!("it is not taken: {why}", "パスキーを登録できません: {why}"),
                Some(say!(
                    "begin anew, and let the device check that it is you",
                    "最初からやり直し、端末での本人確認を行ってください"
                )),
            )
        })
    }

    /// What is stored of the passkey from now on, where the answer is right.
    pub(crate) fn proven(&self, challenge: &Challenge, answer: &Value, stored: &str) -> Option<String> {
        self.judge.proven(&challenge.state, answer, stored)
    }
}

/// The id of the credential that an answer names.
pub(crate) fn id_of(answer: &Value) -> Option<&str> {
    answer["id"].as_str().filter(|id| id.len() <= 1400)
}

#[cfg(feature = "passkeys")]
mod judge {
    use super::*;
    use webauthn_rs::prelude::{
        DiscoverableAuthentication, Passkey, PasskeyRegistration, PublicKeyCredential,
        RegisterPublicKeyCredential, Url, Uuid, Webauthn, WebauthnBuilder,
    };

    pub(super) struct Judge(Webauthn);

    impl Judge {
        pub(super) fn new(host: &str) -> Option<Self> {
            // Browsers let a page without TLS do this on the machine itself alone.
            let scheme = if host == "localhost" { "http" } else { "https" };
            let origin = Url::parse(&format!("{scheme}://{host}")).ok()?;
            let builder = WebauthnBuilder::new(host, &origin).ok()?;
            builder.rp_name("Sekisho").allow_any_port(true).build().ok().map(Self)
        }

        pub(super) fn register(
            &self,
            operator: &OperatorRow,
            known: &[store::PasskeyRow],
        ) -> Option<(Value, Value)> {
            // The user handle: the same for all passkeys of one operator, and no name.
            let digest: [u8; 32] = Sha256::digest(operator.name.as_str().as_bytes()).into();
            let id = Uuid::from_slice(digest.get(..16)?).ok()?;
            let known: Vec<Passkey> =
                known.iter().filter_map(|k| serde_json::from_str(&k.credential).ok()).collect();
            let known = known.iter().map(|k| k.cred_id().clone()).collect();
            let (asked, state) = self
                .0
                .start_passkey_registration(id, operator.name.as_str(), &operator.display, Some(known))
                .ok()?;
            let mut options = serde_json::to_value(asked).ok()?["publicKey"].take();
            // One that is found without a name typed first.
            let chosen = options["authenticatorSelection"].as_object_mut()?;
            chosen.insert("residentKey".to_owned(), "required".into());
            chosen.insert("requireResidentKey".to_owned(), true.into());
            Some((serde_json::to_value(state).ok()?, options))
        }

        pub(super) fn registered(&self, state: &Value, answer: &Value) -> Result<(String, String), String> {
            let state = PasskeyRegistration::deserialize(state).map_err(|e| e.to_string())?;
            let answer = RegisterPublicKeyCredential::deserialize(answer).map_err(|e| e.to_string())?;
            let made = self.0.finish_passkey_registration(&answer, &state).map_err(|e| e.to_string())?;
            let stored = serde_json::to_string(&made).map_err(|e| e.to_string())?;
            Ok((BASE64URL_NOPAD.encode(made.cred_id().as_ref()), stored))
        }

        pub(super) fn sign_in(&self) -> Option<(Value, Value)> {
            let (asked, state) = self.0.start_discoverable_authentication().ok()?;
            let options = serde_json::to_value(asked).ok()?["publicKey"].take();
            Some((serde_json::to_value(state).ok()?, options))
        }

        pub(super) fn proven(&self, state: &Value, answer: &Value, stored: &str) -> Option<String> {
            let state = DiscoverableAuthentication::deserialize(state).ok()?;
            let answer = PublicKeyCredential::deserialize(answer).ok()?;
            let mut passkey: Passkey = serde_json::from_str(stored).ok()?;
            let proof = self.0.finish_discoverable_authentication_v2(&answer, state, &passkey).ok()?;
            if !proof.user_verified() {
                return None;
            }
            passkey.update_credential(&proof)?;
            serde_json::to_string(&passkey).ok()
        }
    }
}

#[cfg(not(feature = "passkeys"))]
mod judge {
    use super::*;

    /// There is none in this build.
    pub(super) enum Judge {}

    impl Judge {
        pub(super) fn new(_: &str) -> Option<Self> {
            None
        }

        pub(super) fn register(&self, _: &OperatorRow, _: &[store::PasskeyRow]) -> Option<(Value, Value)> {
            match *self {}
        }

        pub(super) fn registered(&self, _: &Value, _: &Value) -> Result<(String, String), String> {
            match *self {}
        }

        pub(super) fn sign_in(&self) -> Option<(Value, Value)> {
            match *self {}
        }

        pub(super) fn proven(&self, _: &Value, _: &Value, _: &str) -> Option<String> {
            match *self {}
        }
    }
}
