//! What the gateway decided about a packet or flow, and why.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What a rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Forward.
    Allow,
    /// Drop in silence.
    Deny,
    /// Drop and tell the sender (TCP reset or ICMP administratively prohibited).
    Reject,
    /// Forward while the person has proved themselves for this SIM; else as [`Verdict::Reject`], for want of that.
    #[serde(rename = "step-up")]
    StepUp,
    /// As [`Verdict::Reject`], because the SIM is to be kept apart.
    Quarantine,
    /// What the risk of the SIM at this moment and the sensitivity of the app come to.
    Risk,
}

impl Verdict {
    /// True where it may let a flow through.
    pub fn may_open(self) -> bool {
        matches!(self, Self::Allow | Self::StepUp | Self::Risk)
    }
}

/// Which way a flow or packet goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the UE towards the data network (uplink).
    Out,
    /// From the data network towards the UE (downlink).
    In,
}

macro_rules! reasons {
    ($($(#[$d:meta])* $id:ident = $v:literal $text:literal;)*) => {
        /// Why a packet was dropped or a flow was judged as it was. Stable numbers and words.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        #[repr(u8)]
        pub enum Reason { $($(#[$d])* $id = $v,)* }

        impl Reason {
            /// Every reason, in the order of its number.
            pub const ALL: &'static [Self] = &[$(Self::$id,)*];

            /// The stable word, as in the API and in metrics.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$id => $text,)* }
            }
        }
    };
}

reasons! {
    /// A rule allowed it.
    Rule = 0 "rule";
    /// No rule speaks of it: default deny.
    NoRule = 1 "no-rule";
    /// A rule denied it.
    RuleDeny = 2 "rule-deny";
    /// A rule rejected it.
    RuleReject = 3 "rule-reject";
    /// The SIM is banned: its drop bit is set.
    Banned = 4 "banned";
    /// No app covers the address, protocol and port.
    UnknownApp = 5 "unknown-app";
    /// The outer source is not an admitted radio.
    UnknownPeer = 6 "unknown-peer";
    /// No session has this TEID.
    UnknownTeid = 7 "unknown-teid";
    /// The inner source is not the session's address.
    SpoofedSource = 8 "spoofed-source";
    /// The inner destination is one of our own addresses (decision D14).
    OwnAddress = 9 "own-address";
    /// Loopback, link-local, multicast or broadcast (decision D14).
    SpecialAddress = 10 "special-address";
    /// The outer packet is not well-formed GTP-U.
    MalformedGtpu = 11 "malformed-gtpu";
    /// The inner packet is not well-formed IP.
    MalformedInner = 12 "malformed-inner";
    /// A fragment that cannot be judged.
    Fragment = 13 "fragment";
    /// The SIM has as many flows as it may have.
    FlowTableFull = 14 "flow-table-full";
    /// A downlink packet that belongs to no flow and no `in` rule.
    NoFlow = 15 "no-flow";
    /// No session has this UE address.
    UnknownUe = 16 "unknown-ue";
    /// The session has no downlink tunnel (yet, or the UE is idle).
    NoTunnel = 17 "no-tunnel";
    /// The session's rules (PDR, FAR) do not forward it.
    NotForwarded = 18 "not-forwarded";
    /// Both ends are UEs and no rule on both sides allows it.
    UeToUe = 19 "ue-to-ue";
    /// The packet is larger than the path's MTU and may not be fragmented.
    TooBig = 20 "too-big";
    /// The session belongs to no identified SIM (decision D4).
    UnidentifiedSim = 21 "unidentified-sim";
    /// There is no policy yet, or bans may be missing: nothing is allowed until `control` has said which it knows.
    StalePolicy = 22 "stale-policy";
    /// The internal queue between shards is full.
    Overload = 23 "overload";
    /// A version of IP that the session does not carry.
    WrongIpVersion = 24 "wrong-ip-version";
    /// The row and the rules disagree: denied, and an alarm raised (promise 2).
    Disagreement = 25 "disagreement";
    /// The flow ended because nothing was seen for its idle time.
    Idle = 26 "idle";
    /// The flow ended because its session ended.
    SessionEnded = 27 "session-ended";
    /// The flow ended because a newer policy denies it.
    PolicyChanged = 28 "policy-changed";
    /// The flow ended by its own protocol (FIN, RST).
    Closed = 29 "closed";
    /// The SIM is in quarantine, and the app is no remediation app of its groups.
    Quarantined = 30 "quarantined";
    /// A group of the SIM is in panic, and the app is no emergency app of it.
    GroupInPanic = 31 "group-in-panic";
    /// More than the maximum bit rate of the session, or of the rule, lets through.
    RateExceeded = 32 "rate-exceeded";
    /// The outer source is an admitted radio, but not the one that serves this UE.
    WrongPeer = 33 "wrong-peer";
    /// The flow ended because the rule that allowed it is in force at other hours, or no longer.
    OutOfHours = 34 "out-of-hours";
    /// The app has names, and the stream does not begin with a TLS ClientHello.
    NotTls = 35 "not-tls";
    /// The app has names, and the ClientHello names no server.
    NoServerName = 36 "no-server-name";
    /// The app has names, and the server that the ClientHello names is none of them.
    OtherServerName = 37 "other-server-name";
    /// The app has names, and the flow is no TCP: a name is read from TLS over TCP only.
    NamesNeedTls = 38 "names-need-tls";
    /// There was no room to read the beginning of the stream.
    InspectFull = 39 "inspect-full";
    /// The beginning of the stream did not come in time.
    InspectTimeout = 40 "inspect-timeout";
    /// The app has names, and the packet belongs to no connection whose beginning was read, or differs from what was.
    NotInspected = 41 "not-inspected";
    /// A rule asks that the person prove themselves for this SIM, and they have not, or no longer.
    StepUpNeeded = 42 "step-up-needed";
    /// A rule keeps the SIM apart from this app.
    RuleQuarantine = 43 "rule-quarantine";
    /// The SIM's risk is too high for how much the app matters.
    RiskTooHigh = 44 "risk-too-high";
    /// A fact that the rule asks about is not known, so that it cannot say whether to step up.
    FactUnknown = 45 "fact-unknown";
    /// A grant to this SIM or person allowed it.
    Granted = 46 "granted";
    /// The flow ended because the grant that allowed it did.
    GrantEnded = 47 "grant-ended";
    /// The flow ended because what is known of the SIM has changed.
    FactsChanged = 48 "facts-changed";
    /// It goes to our own page or resolver inside the closed network, which no rule closes (decision D14).
    Service = 49 "service";
    /// The app's names come from look-ups, and the SIM has looked up none of them at this address, or not lately.
    NotLookedUp = 50 "not-looked-up";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
