//! Rights as values: who has not shown a token with the scope cannot call what needs it.
//!
//! A capability is made in two places only: by its extractor, which checks the scopes of the request's token, and
//! by `asserted_by_this_machine`, for callers inside the binary that answer for themselves. The second is named
//! loudly and logged.

use crate::{
    problem::{Problem, say},
    state::AppState,
};
use axum::{extract::FromRequestParts, http::request::Parts};
use std::{fmt, str::FromStr};
use types::Utc;

macro_rules! scopes {
    ($($(#[$d:meta])* $id:ident = $word:literal, $capability:ident;)*) => {
        /// What a token may do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Scope { $($(#[$d])* $id,)* }

        impl Scope {
            /// Every scope.
            pub const ALL: &'static [Self] = &[$(Self::$id,)*];

            /// Its word in the API.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$id => $word,)* }
            }
        }

        $(
            $(#[$d])*
            #[derive(Debug, Clone)]
            pub struct $capability(Caller);

            impl $capability {
                /// Who holds the right.
                pub fn caller(&self) -> &Caller {
                    &self.0
                }

                /// The way around the tokens, for a caller inside this binary that answers for itself (a local
                /// command of the machine's owner, a test). Logged.
                pub fn asserted_by_this_machine(actor: &str) -> Self {
                    tracing::warn!(actor, scope = $word, "{actor} asserts the right {} without a token", $word);
                    Self(Caller::this_machine(actor))
                }
            }

            impl FromRequestParts<AppState> for $capability {
                type Rejection = Problem;
                async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Problem> {
                    Caller::of(parts)?.must(Scope::$id).map(Self)
                }
            }
        )*
    };
}

scopes! {
    /// Read everything but the audit and the tokens.
    Read = "read", ReadCapability;
    /// Ban a SIM.
    Ban = "ban", BanCapability;
    /// Take a ban back.
    Unban = "unban", UnbanCapability;
    /// Make and change SIMs.
    Provision = "provision", ProvisionCapability;
    /// Change data networks, apps, groups and rules.
    Policy = "policy", PolicyCapability;
    /// End sessions.
    Sessions = "sessions", SessionCapability;
    /// Read the audit.
    Audit = "audit", AuditCapability;
    /// Make, list and revoke tokens.
    Tokens = "tokens", TokenCapability;
    /// Make and change local operators and their roles.
    Operators = "operators", OperatorCapability;
    /// Keep people, devices and sites, and which SIM is whose.
    Directory = "directory", DirectoryCapability;
    /// Keep the equipment lists and what a SIM's device must be.
    Equipment = "equipment", EquipmentCapability;
    /// Put a SIM in quarantine or a group in panic, and take it out again.
    Quarantine = "quarantine", QuarantineCapability;
    /// Give the second yes to what somebody else asked for.
    Approve = "approve", ApproveCapability;
    /// Answer and silence alerts, and say where they go.
    Alerts = "alerts", AlertCapability;
    /// Make backups.
    Backup = "backup", BackupCapability;
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|v| v.as_str() == s).copied();
        found.ok_or_else(|| {
            let all: Vec<&str> = Self::ALL.iter().map(|s| s.as_str()).collect();
            format!("a scope is one of {}", all.join(", "))
        })
    }
}

/// Who makes a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The token's id; `None` for a caller inside this binary.
    pub token: Option<String>,
    /// The token's label: the actor in audit rows.
    pub label: String,
    /// The request's id.
    pub request_id: String,
    scopes: Vec<Scope>,
}

impl Caller {
    pub(crate) fn new(token: String, label: String, scopes: Vec<Scope>, request_id: String) -> Self {
        Self { token: Some(token), label, request_id, scopes }
    }

    fn this_machine(actor: &str) -> Self {
        Self { token: None, label: actor.to_owned(), request_id: String::new(), scopes: Vec::new() }
    }

    /// The caller that the middleware found; a request that came around it has none.
    fn of(parts: &Parts) -> Result<&Self, Problem> {
        parts.extensions.get::<Self>().ok_or_else(Problem::no_token)
    }

    /// What a token holder's own name for the audit is.
    pub fn actor(&self) -> String {
        match &self.token {
            Some(id) => format!("{} ({id})", self.label),
            None => self.label.clone(),
        }
    }

    /// True where the token has the scope.
    pub fn has(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }

    fn must(&self, scope: Scope) -> Result<Self, Problem> {
        if self.has(scope) {
            return Ok(self.clone());
        }
        let label = &self.label;
        Err(Problem::new(
            403,
            "missing-right",
            say!("This token may not do that", "このトークンには権限がありません"),
        )
        .detail(say!(
            "the token of {label} has no scope {scope}",
            "{label} のトークンにはスコープ {scope} がありません"
        ))
        .fix(say!(
            "use a token with the scope {scope}, or ask somebody with the scope tokens to make one",
            "スコープ {scope} を持つトークンを使うか、スコープ tokens を持つ人に発行を依頼してください"
        )))
    }

    /// A change that this caller makes now.
    pub fn change(&self, reason: &str, at: Utc) -> store::Change {
        store::Change {
            actor: self.actor(),
            at,
            reason: reason.to_owned(),
            request_id: self.request_id.clone(),
            origin: String::new(),
            ticket: String::new(),
        }
    }
}
