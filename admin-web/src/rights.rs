//! Rights as values: who has not shown a token with the scope cannot call what needs it.
//!
//! A capability is made in two places only: by its extractor, which checks the scopes of the request's token, and
//! by `asserted_by_this_machine`, for callers inside the binary that answer for themselves. The second is named
//! loudly and logged.
//!
//! A right may be limited to groups and sites. A handler that takes a capability as it is refuses whoever is limited:
//! only one that takes it as [`Limited`] lets such a caller in, and gets the capability out by naming the place that
//! it acts on. So a route that knows nothing of limits is closed to those who have them.

use crate::{
    problem::{Problem, say},
    request::PathOf,
    state::AppState,
};
use axum::{extract::FromRequestParts, http::request::Parts};
use std::{
    collections::BTreeSet,
    fmt,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};
use store::{Place, Within};
use types::{Imsi, Utc};

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

            impl sealed::Made for $capability {
                const SCOPE: Scope = Scope::$id;
                fn made(caller: Caller) -> Self {
                    Self(caller)
                }
                fn by(&self) -> &Caller {
                    &self.0
                }
            }
            impl Capability for $capability {}

            impl FromRequestParts<AppState> for $capability {
                type Rejection = Problem;
                async fn from_request_parts(parts: &mut Parts, s: &AppState) -> Result<Self, Problem> {
                    Limited::<Self>::from_request_parts(parts, s).await?.everywhere()
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
    /// Tell how devices are.
    Posture = "posture", PostureCapability;
    /// Keep the sources of facts: webhooks and streams of security events.
    Signals = "signals", SignalCapability;
    /// Keep people and their groups by SCIM, as a provisioning client does.
    Scim = "scim", ScimCapability;
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

mod sealed {
    /// Keeps the making of capabilities in this room.
    pub trait Made: Sized {
        const SCOPE: super::Scope;
        fn made(caller: super::Caller) -> Self;
        fn by(&self) -> &super::Caller;
    }
}

/// A right as a value: [`BanCapability`] and its like.
pub trait Capability: sealed::Made {}

/// A right that may be limited to groups and sites. The capability comes out for a place that lies within.
#[derive(Debug, Clone)]
pub struct Limited<C>(C);

impl<C: Capability> Limited<C> {
    /// Who asks.
    pub fn caller(&self) -> &Caller {
        self.0.by()
    }

    /// The SIMs that the right is for.
    pub fn reach(&self) -> &Reach {
        &self.caller().reach
    }

    /// The SIMs within the limits; `None` where nothing is limited.
    pub async fn sims(&self, s: &AppState) -> Result<Option<BTreeSet<Imsi>>, Problem> {
        match self.reach() {
            Reach::Everywhere => Ok(None),
            Reach::Within(limits) => Ok(Some(s.store.sims_within(limits).await?)),
        }
    }

    /// The capability, where it is for every SIM.
    pub fn everywhere(self) -> Result<C, Problem> {
        match self.reach() {
            Reach::Everywhere => Ok(self.0),
            Reach::Within(_) => Err(limited()),
        }
    }

    /// The capability for something at this place.
    pub fn at(self, place: &Place) -> Result<C, Problem> {
        self.caller().may_touch(place)?;
        Ok(self.0)
    }

    /// The capability for this SIM. The store is not asked where nothing is limited.
    pub async fn on_sim(self, s: &AppState, imsi: Imsi) -> Result<C, Problem> {
        if *self.reach() == Reach::Everywhere {
            return Ok(self.0);
        }
        match s.store.place_of_sim(imsi).await {
            Ok(place) => self.at(&place),
            // As one that lies outside: who is limited does not learn which IMSIs exist.
            Err(store::StoreError::NotFound) => Err(outside()),
            // A ban works while the database does not answer, by what was read last.
            Err(e) => match s.reaches.contains(self.reach(), imsi) {
                Some(true) => Ok(self.0),
                Some(false) => Err(outside()),
                None => Err(e.into()),
            },
        }
    }

    /// The capability for making this out of that: what is changed lies within the limits before and after, and no
    /// group outside them is given or taken.
    pub fn change(self, before: Option<&Place>, after: &Place) -> Result<C, Problem> {
        let fits = |w: &Within| {
            let none = Place::default();
            let old = before.map_or(&none.groups, |p| &p.groups);
            let moved: BTreeSet<_> = old.symmetric_difference(&after.groups).cloned().collect();
            before.is_none_or(|p| w.contains(p))
                && w.contains(after)
                && (w.groups.is_empty() || moved.is_subset(&w.groups))
        };
        match self.reach() {
            Reach::Everywhere => Ok(self.0),
            Reach::Within(all) if all.iter().any(fits) => Ok(self.0),
            Reach::Within(_) => Err(outside()),
        }
    }
}

/// A right for the SIM that the path names: refused before anything else of the request is read.
#[derive(Debug, Clone)]
pub struct OnSim<C>(pub C);

impl<C: Capability + Send + Sync> FromRequestParts<AppState> for OnSim<C> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, s: &AppState) -> Result<Self, Problem> {
        let right = Limited::<C>::from_request_parts(parts, s).await?;
        if *right.reach() == Reach::Everywhere {
            return right.everywhere().map(Self);
        }
        let PathOf(imsi) = PathOf::<Imsi>::from_request_parts(parts, s).await?;
        right.on_sim(s, imsi).await.map(Self)
    }
}

/// Who has a token, whatever it may do: for what concerns nobody but the caller.
#[derive(Debug, Clone)]
pub(crate) struct Who(Caller);

impl Who {
    pub(crate) fn caller(&self) -> &Caller {
        &self.0
    }
}

impl FromRequestParts<AppState> for Who {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Problem> {
        Caller::of(parts).cloned().map(Self)
    }
}

/// A person who signed in: an operator, or somebody whom the provider let in.
#[derive(Debug, Clone)]
pub(crate) struct SignedIn(Caller);

impl SignedIn {
    pub(crate) fn caller(&self) -> &Caller {
        &self.0
    }
}

impl FromRequestParts<AppState> for SignedIn {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Problem> {
        let caller = Caller::of(parts)?;
        if caller.operator.is_some() || caller.by_provider.is_some() {
            return Ok(Self(caller.clone()));
        }
        Err(Problem::new(403, "not-signed-in", say!("This is for operators", "オペレーター専用の操作です"))
            .detail(say!(
                "a script's token has no password",
                "スクリプト用トークンにはパスワードがありません"
            ))
            .fix(say!("sign in: POST /api/v1/sign-in", "POST /api/v1/sign-in でサインインしてください")))
    }
}

/// The SIMs inside the limits that tokens have, as they were read last: what a limited ban goes by while the database
/// does not answer.
#[derive(Default)]
pub struct Reaches(Mutex<Known>);

#[derive(Default)]
struct Known {
    of: Vec<(Within, BTreeSet<Imsi>)>,
    read_at: Utc,
}

impl Reaches {
    /// Read again after so long, milliseconds.
    const FRESH: i64 = 30_000;

    /// Takes what was read elsewhere: at the same time as the snapshot of bans, or out of it.
    pub fn set(&self, of: Vec<(Within, BTreeSet<Imsi>)>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).of = of;
    }

    /// Reads anew what is old, behind the request's back.
    pub(crate) fn refresh(&self, s: &AppState, now: Utc) {
        let limits = s.tokens.limits();
        {
            let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let missing = limits.iter().any(|l| !known.of.iter().any(|(w, _)| w == l));
            if limits.is_empty() || !missing && now.0 - known.read_at.0 < Self::FRESH {
                return;
            }
            known.read_at = now;
        }
        let s = s.clone();
        tokio::spawn(async move {
            let mut of = Vec::with_capacity(limits.len());
            for within in limits {
                match s.store.sims_within(std::slice::from_ref(&within)).await {
                    Ok(sims) => of.push((within, sims)),
                    // What was read before goes on.
                    Err(_) => return,
                }
            }
            s.reaches.set(of);
        });
    }

    /// True where the SIM was inside; `None` where none of the limits was read yet.
    pub(crate) fn contains(&self, reach: &Reach, imsi: Imsi) -> Option<bool> {
        let Reach::Within(limits) = reach else { return Some(true) };
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut of = known.of.iter().filter(|(w, _)| limits.contains(w)).peekable();
        of.peek()?;
        Some(of.any(|(_, sims)| sims.contains(&imsi)))
    }
}

impl<C: Capability> FromRequestParts<AppState> for Limited<C> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Problem> {
        Caller::of(parts)?.must(C::SCOPE).map(|caller| Self(C::made(caller)))
    }
}

/// The SIMs that a right is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Every SIM.
    Everywhere,
    /// Those inside one of these limits; an empty list is none.
    Within(Vec<Within>),
}

impl Reach {
    /// True where a SIM of this place is inside.
    pub fn contains(&self, place: &Place) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Within(all) => all.iter().any(|w| w.contains(place)),
        }
    }
}

/// Scopes and where they hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) scopes: BTreeSet<Scope>,
    pub(crate) within: Within,
}

/// Who makes a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The token's id; `None` for a caller inside this binary.
    pub token: Option<String>,
    /// The operator who signed in, if it is one.
    pub operator: Option<String>,
    /// Who signed in by an identity provider.
    pub by_provider: Option<store::ByProvider>,
    /// The token's label: the actor in audit rows.
    pub label: String,
    /// The request's id.
    pub request_id: String,
    /// When the token ends whatever is done.
    pub expires: Option<Utc>,
    /// The address that the request came from; `local` where it came by no network.
    pub origin: String,
    held: Arc<[Held]>,
    /// Of the right that was shown; nothing before one was.
    reach: Reach,
}

/// Stands in an actor between the name, which the provider may change, and the subject, which stays.
const BY_PROVIDER: &str = " (provider:";

/// True where two actors are one person, whatever the provider called him at the time.
pub(crate) fn same_person(a: &str, b: &str) -> bool {
    let subject = |actor: &str| actor.rsplit_once(BY_PROVIDER).map(|(_, s)| s.to_owned());
    a == b || subject(a).is_some_and(|s| subject(b) == Some(s))
}

/// What a request says of itself before its token is looked at.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asking {
    pub(crate) request_id: String,
    /// `None` where it came by no network.
    pub(crate) peer: Option<std::net::IpAddr>,
}

impl Asking {
    /// The peer's address as it stands in the audit.
    pub(crate) fn origin(&self) -> String {
        self.peer.map_or_else(|| "local".to_owned(), |ip| ip.to_string())
    }
}

impl Caller {
    pub(crate) fn new(row: &store::TokenRow, held: Arc<[Held]>, asking: &Asking) -> Self {
        Self {
            token: Some(row.id.clone()),
            operator: row.operator.clone(),
            by_provider: row.by_provider.clone(),
            label: row.label.clone(),
            expires: row.expires,
            request_id: asking.request_id.clone(),
            origin: asking.origin(),
            held,
            reach: Reach::Within(Vec::new()),
        }
    }

    fn this_machine(actor: &str) -> Self {
        Self {
            token: None,
            operator: None,
            by_provider: None,
            expires: None,
            label: actor.to_owned(),
            request_id: String::new(),
            origin: "local".to_owned(),
            held: Arc::default(),
            reach: Reach::Everywhere,
        }
    }

    /// The caller that the middleware found; a request that came around it has none.
    pub(crate) fn of(parts: &Parts) -> Result<&Self, Problem> {
        parts.extensions.get::<Self>().ok_or_else(Problem::no_token)
    }

    /// What a token holder's own name for the audit is.
    pub fn actor(&self) -> String {
        match (&self.operator, &self.by_provider, &self.token) {
            (Some(operator), ..) => format!("operator:{operator}"),
            (None, Some(by), _) => format!("{}{BY_PROVIDER}{})", self.label, by.subject),
            (None, None, Some(id)) => format!("{} ({id})", self.label),
            (None, None, None) => self.label.clone(),
        }
    }

    /// True where the token has the scope, within whatever limits.
    pub fn has(&self, scope: Scope) -> bool {
        self.held.iter().any(|h| h.scopes.contains(&scope))
    }

    /// Where the token has the scope.
    pub fn reach_of(&self, scope: Scope) -> Reach {
        let of_scope = self.held.iter().filter(|h| h.scopes.contains(&scope));
        let all: Vec<Within> = of_scope.map(|h| h.within.clone()).collect();
        if all.iter().any(Within::is_everywhere) { Reach::Everywhere } else { Reach::Within(all) }
    }

    /// Refuses where the right that was shown is not for a SIM of this place.
    pub fn may_touch(&self, place: &Place) -> Result<(), Problem> {
        if self.reach.contains(place) { Ok(()) } else { Err(outside()) }
    }

    fn must(&self, scope: Scope) -> Result<Self, Problem> {
        if self.has(scope) {
            return Ok(Self { reach: self.reach_of(scope), ..self.clone() });
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
            origin: self.origin.clone(),
            ticket: String::new(),
        }
    }
}

/// The SIM is not among those that the right is for.
pub(crate) fn outside() -> Problem {
    Problem::new(403, "outside-limits", say!("This right is limited", "この権限には範囲の制限があります"))
        .detail(say!(
            "what was named does not lie within the groups and sites that the right is for",
            "指定した対象は、この権限が及ぶグループ・拠点の範囲外です"
        ))
        .fix(say!(
            "use a token whose limits take it in, or ask an owner",
            "対象を範囲に含むトークンを使うか、owner に依頼してください"
        ))
}

/// The route is for nobody who is limited.
pub(crate) fn limited() -> Problem {
    Problem::new(403, "limited-right", say!("This right is limited", "この権限には範囲の制限があります"))
        .detail(say!(
            "this route concerns every SIM, and the right is for some groups or sites only",
            "このルートは全 SIM に関わりますが、権限は一部のグループ・拠点に限られています"
        ))
        .fix(say!(
            "use a token without limits, or ask an owner",
            "範囲の制限がないトークンを使うか、owner に依頼してください"
        ))
}

#[cfg(test)]
mod tests {
    use super::same_person;

    #[test]
    fn a_new_name_at_the_provider_makes_no_second_person() {
        assert!(same_person("operator:hanako", "operator:hanako"));
        assert!(same_person("hanako@corp.example (provider:s-1)", "h.tanaka@corp.example (provider:s-1)"));
        for (a, b) in [
            ("operator:hanako", "operator:taro"),
            ("hanako (provider:s-1)", "hanako (provider:s-2)"),
            ("hanako (provider:s-1)", "hanako (ab12)"),
            ("hanako (ab12)", "hanako (ab13)"),
        ] {
            assert!(!same_person(a, b), "{a} {b}");
        }
    }
}
