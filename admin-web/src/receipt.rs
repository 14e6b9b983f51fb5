//! The receipt of a ban or unban: what was cut and stored, what the thief tried since, and what is pending.
//!
//! It is a document of its own: a file with one needs nothing but the node's public key to be believed. What is
//! signed is its canonical JSON (RFC 8785: members by name, no spaces) without the member `signature`. It lives on:
//! each thing that is added makes a version of its own, signed anew.

use crate::problem::{Said, say};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::fmt::Write as _;
use types::{Dnn, FgmmCause, Imsi, PduSessionId, SimState, Utc};
use utoipa::ToSchema;

/// Attempts that a receipt keeps one by one; earlier ones are only counted.
const ATTEMPTS: usize = 50;

/// A time in RFC 3339 outside, milliseconds inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(pub Utc);

impl Serialize for Stamp {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&crate::check::rfc3339(self.0))
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        text.parse::<crate::check::Time>().map(|t| Self(t.0)).map_err(serde::de::Error::custom)
    }
}

/// What a receipt is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReceiptKind {
    /// A ban.
    Ban,
    /// The way back from one.
    Unban,
}

/// The cut at the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Cut)]
pub struct ReceiptCut {
    /// When every shard had confirmed.
    #[schema(value_type = String)]
    pub at: Stamp,
    /// From the command to the last confirmation, microseconds.
    pub us: u64,
    /// Shards that confirmed; none where the gateway was down (then no packet passed at all).
    pub shards: u32,
    /// Shards that there are.
    pub of: u32,
}

/// One place where it is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StoredAt {
    /// journal, database, or the name of a copy of the journal.
    pub place: String,
    /// Number of the record there.
    pub record: Option<u64>,
    /// Its hash, hexadecimal.
    pub hash: Option<String>,
}

/// A session that the SIM had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EndedSession {
    /// Which PDU session; null for one that another core's SMF steers.
    #[schema(value_type = Option<u8>)]
    pub id: Option<PduSessionId>,
    /// The SMF that steers it, where that is another core's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub smf: Option<String>,
    /// The gateway's SEID of such a one, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seid: Option<String>,
    /// The address that it had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub ip: Option<std::net::Ipv4Addr>,
    /// Data network.
    #[schema(value_type = String)]
    pub dnn: Dnn,
    /// When it was gone; null while it is being released (it carries nothing since the cut).
    #[schema(value_type = Option<String>)]
    pub released: Option<Stamp>,
}

/// Where the UE's deregistration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Deregistration {
    /// It was not registered.
    None,
    /// It was told, and has not answered.
    Pending,
    /// It, or its radio, has confirmed.
    Confirmed,
    /// It did not answer; its context is gone all the same.
    Unconfirmed,
}

/// Somebody came with the banned SIM.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// When.
    #[schema(value_type = String)]
    pub at: Stamp,
    /// True if the SIM had proved itself; false if the IMSI was only claimed.
    pub authenticated: bool,
    /// 5GMM cause that the UE was told.
    #[schema(value_type = u8)]
    pub cause: FgmmCause,
    /// Which gNB.
    pub gnb: String,
    /// Tracking area, PLMN and TAC.
    pub tai: Option<String>,
    /// NR cell identity.
    pub cell: Option<u64>,
}

/// Attempts since the ban.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attempts {
    /// How many times the SIM itself came.
    pub authenticated: u64,
    /// How many times its IMSI was only claimed.
    pub claimed: u64,
    /// The newest ones, oldest first.
    pub last: Vec<Attempt>,
}

/// What can be pending.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PendingCode {
    /// The UE has not confirmed its deregistration.
    DeregistrationUnconfirmed,
    /// A session is not gone from the gateway yet; it carries nothing.
    SessionRelease,
    /// An MME that serves the SIM has not acknowledged that it lets it go.
    MmeUnacknowledged,
    /// It may have acknowledged; that it does is not seen yet.
    MmeNotEffective,
    /// An SMF that has a session of the SIM has not acknowledged that it ends it.
    SmfUnacknowledged,
    /// It may have acknowledged; that the session has ended is not seen yet.
    SmfNotEffective,
    /// The journal is copied nowhere.
    NoCopy,
    /// A copy of the journal does not have it yet.
    CopyBehind,
    /// The journal could not be written.
    JournalFailed,
    /// The database could not be written.
    DatabaseFailed,
    /// The database has not answered yet.
    DatabaseUnderWay,
    /// Not every shard has confirmed.
    ShardsUnconfirmed,
    /// The gateway is down: no packet passes, and it is cut before it forwards again.
    GatewayDown,
    /// The gateway has not confirmed in time.
    GatewaySilent,
}

/// Something that is not done yet or could not be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pending {
    /// Which.
    pub code: PendingCode,
    /// A name or a cause that belongs to it: which copy, why.
    pub detail: Option<String>,
    /// In English.
    pub en: String,
    /// In Japanese.
    pub ja: String,
}

impl Pending {
    /// With the words that belong to the code.
    pub fn new(code: PendingCode, detail: Option<String>) -> Self {
        use PendingCode as C;
        let d = detail.as_deref().unwrap_or_default();
        let Said { en, ja } = match code {
            C::DeregistrationUnconfirmed => {
                say!("the UE has not confirmed its deregistration", "端末が登録解除を確認していません")
            }
            C::SessionRelease => say!(
                "a session is being released; it carries nothing since the cut",
                "セッションを解放中です (遮断後の通信はありません)"
            ),
            C::MmeUnacknowledged => say!(
                "{d} has not acknowledged that it lets the SIM go",
                "{d} が在圏の取り消しを受け付けていません"
            ),
            C::MmeNotEffective => say!(
                "that {d} has let the SIM go is not seen yet; it gets no vector and no session any more",
                "{d} での在圏の終了を確認していません (認証情報とセッションは与えられません)"
            ),
            C::SmfUnacknowledged => say!(
                "{d} has not acknowledged that it ends the session",
                "{d} がセッションの解放を受け付けていません"
            ),
            C::SmfNotEffective => say!(
                "that {d} has ended the session is not seen yet; it gets no other one",
                "{d} でのセッションの終了を確認していません (新しいセッションは与えられません)"
            ),
            C::NoCopy => say!(
                "the revocation journal has no copy off this machine",
                "停止ジャーナルの別マシンへのコピーがありません"
            ),
            C::CopyBehind => say!(
                "the journal's copy at {d} does not have it yet",
                "ジャーナルのコピー {d} にまだ反映されていません"
            ),
            C::JournalFailed => say!(
                "the revocation journal could not be written: {d}",
                "停止ジャーナルに書き込めませんでした: {d}"
            ),
            C::DatabaseFailed => say!(
                "the database could not be written, it is tried again: {d}",
                "データベースに書き込めませんでした (再試行します): {d}"
            ),
            C::DatabaseUnderWay => {
                say!("the database has not answered yet", "データベースがまだ応答していません")
            }
            C::ShardsUnconfirmed => {
                say!("not every shard has confirmed: {d}", "未確認のシャードがあります: {d}")
            }
            C::GatewayDown => say!(
                "the gateway is down: no packet passes, and it is cut before it forwards again",
                "ゲートウェイが停止中です。パケットは通らず、再開前に遮断されます"
            ),
            C::GatewaySilent => {
                say!("the gateway has not confirmed the cut", "ゲートウェイが遮断を確認していません")
            }
        };
        Self { code, detail, en, ja }
    }
}

/// What a ban or unban did to one SIM: the answer that SOC keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Receipt {
    /// The revocation that it belongs to.
    pub id: String,
    /// 1 is the answer to the request; each later thing makes a new one.
    pub version: u64,
    /// ban or unban.
    pub kind: ReceiptKind,
    /// Whose.
    #[schema(value_type = String)]
    pub imsi: Imsi,
    /// State that it was given.
    #[schema(value_type = String)]
    pub state: SimState,
    /// State before; null where nobody could say.
    #[schema(value_type = Option<String>)]
    pub before: Option<SimState>,
    /// What was asked for: sim:IMSI, person:ID, ….
    pub scope: String,
    /// When it was asked for.
    #[schema(value_type = String)]
    pub asked_at: Stamp,
    /// Who asked.
    pub actor: String,
    /// Why, in their words.
    pub reason: String,
    /// Their ticket; may be empty.
    pub ticket: String,
    /// The cut at the gateway (for an unban: its end).
    pub cut: ReceiptCut,
    /// Where it is recorded.
    pub stored: Vec<StoredAt>,
    /// Last packet of this SIM that was forwarded.
    #[schema(value_type = Option<String>)]
    pub last_packet: Option<Stamp>,
    /// Packets of this SIM dropped since.
    pub dropped_since: u64,
    /// Sessions that it had.
    pub sessions: Vec<EndedSession>,
    /// Where its UE's deregistration stands.
    pub deregistration: Deregistration,
    /// Who came with it since.
    pub attempts: Attempts,
    /// What is not done yet or could not be done.
    pub pending: Vec<Pending>,
    /// When this version was made.
    #[schema(value_type = String)]
    pub made_at: Stamp,
    /// Public key of the node that signed, hexadecimal.
    pub signed_by: String,
    /// Ed25519 over the canonical JSON of everything else, hexadecimal.
    pub signature: String,
    /// True where the answer to the request was kept in the ban's own transaction.
    #[serde(skip)]
    #[schema(ignore)]
    pub kept: bool,
}

impl Receipt {
    /// The receipt of something that was asked for at `at`, before anything is known of it. Not signed.
    pub fn new(kind: ReceiptKind, id: String, imsi: Imsi, state: SimState, at: Utc) -> Self {
        Self {
            id,
            version: 1,
            kind,
            imsi,
            state,
            before: None,
            scope: format!("sim:{imsi}"),
            asked_at: Stamp(at),
            actor: String::new(),
            reason: String::new(),
            ticket: String::new(),
            cut: ReceiptCut { at: Stamp(at), us: 0, shards: 0, of: 0 },
            stored: Vec::new(),
            last_packet: None,
            dropped_since: 0,
            sessions: Vec::new(),
            deregistration: Deregistration::None,
            attempts: Attempts::default(),
            pending: Vec::new(),
            made_at: Stamp(at),
            signed_by: String::new(),
            signature: String::new(),
            kept: false,
        }
    }

    /// Adds something that is pending, once.
    pub fn wait_for(&mut self, code: PendingCode, detail: Option<String>) {
        let p = Pending::new(code, detail);
        if !self.pending.contains(&p) {
            self.pending.push(p);
        }
    }

    /// Takes something out of what is pending; true if it was there.
    pub fn waits_no_more(&mut self, code: PendingCode) -> bool {
        let before = self.pending.len();
        self.pending.retain(|p| p.code != code);
        self.pending.len() < before
    }

    /// These of its sessions are over; true where that is news.
    pub fn session_is_over(&mut self, at: Utc, which: impl Fn(&EndedSession) -> bool) -> bool {
        let mut news = false;
        for s in self.sessions.iter_mut().filter(|s| s.released.is_none() && which(s)) {
            s.released = Some(Stamp(at));
            news = true;
        }
        if self.sessions.iter().all(|s| s.released.is_some()) {
            news |= self.waits_no_more(PendingCode::SessionRelease);
        }
        news
    }

    /// Adds an attempt.
    pub fn attempt(&mut self, a: Attempt) {
        let count =
            if a.authenticated { &mut self.attempts.authenticated } else { &mut self.attempts.claimed };
        *count += 1;
        // Whoever only claims an IMSI must not push out what the SIM itself did.
        let last = &mut self.attempts.last;
        if last.len() >= ATTEMPTS {
            match last.iter().position(|x| !x.authenticated) {
                Some(claim) => drop(last.remove(claim)),
                None if a.authenticated => drop(last.remove(0)),
                None => return,
            }
        }
        last.push(a);
    }

    /// What is signed.
    pub fn text(&self) -> Vec<u8> {
        let value = serde_json::to_value(self).unwrap_or_default();
        signed_text(&value)
    }

    /// Signs this version.
    pub fn sign(&mut self, at: Utc, public: String, sign: impl FnOnce(&[u8]) -> String) {
        (self.made_at, self.signed_by) = (Stamp(at), public);
        self.signature = sign(&self.text());
    }
}

/// The canonical text of a receipt's JSON without its signature.
pub fn signed_text(receipt: &Value) -> Vec<u8> {
    let mut v = receipt.clone();
    if let Some(o) = v.as_object_mut() {
        o.remove("signature");
    }
    let mut out = String::new();
    canonical(&v, &mut out);
    out.into_bytes()
}

/// RFC 8785 for what receipts hold: whole numbers, texts, lists and objects with plain ASCII names.
fn canonical(v: &Value, out: &mut String) {
    match v {
        Value::Object(o) => {
            let mut names: Vec<&String> = o.keys().collect();
            names.sort();
            out.push('{');
            for (n, name) in names.into_iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                _ = write!(out, "{}:", Value::String(name.clone()));
                canonical(o.get(name).unwrap_or(&Value::Null), out);
            }
            out.push('}');
        }
        Value::Array(a) => {
            out.push('[');
            for (n, item) in a.iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                canonical(item, out);
            }
            out.push(']');
        }
        other => _ = write!(out, "{other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt() -> Receipt {
        let imsi = "001010000000001".parse().unwrap();
        Receipt::new(ReceiptKind::Ban, "id".to_owned(), imsi, SimState::Lost, Utc(1_800_000_000_000))
    }

    fn attempt(n: i64, authenticated: bool) -> Attempt {
        let cause = FgmmCause::IllegalUe;
        Attempt { at: Stamp(Utc(n)), authenticated, cause, gnb: "g".to_owned(), tai: None, cell: Some(16) }
    }

    #[test]
    fn the_signed_text_is_that_of_the_document_whatever_the_order_of_its_members() {
        let mut r = receipt();
        r.reason = "盗難 \"bag\"\n".to_owned();
        r.attempt(attempt(5, true));
        r.wait_for(PendingCode::NoCopy, None);
        r.sign(Utc(6), "aa".to_owned(), |_| "bb".to_owned());
        let text = serde_json::to_string_pretty(&r).unwrap();
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(signed_text(&read), r.text());
        let again: Receipt = serde_json::from_value(read).unwrap();
        assert_eq!(again, r);
        let text = String::from_utf8(r.text()).unwrap();
        assert!(text.starts_with("{\"actor\":\"\",\"asked_at\":\"2027-01-15T08:00:00Z\""), "{text}");
        assert!(!text.contains("signature") && text.contains("\"signed_by\":\"aa\""));
    }

    #[test]
    fn claims_are_counted_and_never_push_out_what_the_sim_itself_did() {
        let mut r = receipt();
        r.attempt(attempt(1, true));
        (0..200).for_each(|n| r.attempt(attempt(2 + n, false)));
        assert_eq!((r.attempts.authenticated, r.attempts.claimed, r.attempts.last.len()), (1, 200, ATTEMPTS));
        assert!(r.attempts.last.iter().any(|a| a.authenticated));
        (0..60).for_each(|n| r.attempt(attempt(300 + n, true)));
        assert_eq!(r.attempts.last.len(), ATTEMPTS);
        assert!(r.attempts.last.iter().all(|a| a.authenticated));
        r.attempt(attempt(999, false));
        assert!(r.attempts.last.iter().all(|a| a.authenticated));
        assert_eq!(r.attempts.claimed, 201);
    }
}
