//! The words of the field, made so that a wrong one cannot exist.
//!
//! Every type parses once at the border (`TryFrom`/`FromStr`), is a plain value afterwards, and prints
//! its canonical form. Nothing here reads a clock, draws a random number or knows a protocol's bytes.

#[macro_use]
mod words;

mod admission;
mod alert;
mod alert_rules;
mod binding;
mod cause;
mod clone;
mod conditions;
mod decision;
mod digits;
mod directory;
mod dnn;
mod equipment;
mod event;
mod facts;
mod flow;
mod grant;
mod guti;
mod hex;
mod hours;
mod ids;
mod keys;
mod listed;
mod now;
mod plmn;
mod policy;
mod policy_text;
mod posture;
mod probe;
mod route;
mod rule;
mod server_name;
mod session_policy;
mod signal;
mod sim;
mod snssai;
mod sqn;
mod subscriber;

pub use admission::{
    AddressRefusal, ForeignAsk, ForeignGrant, ForeignRefusal, ForeignSession, GatewaySession, Identity,
    Refusal, RefusalReason, Restoration, SessionAddress, SmfState, Subscription,
};
pub use alert::{AlertKind, AlertState, Severity};
pub use alert_rules::{
    AlertRule, AlertRules, EscalationRule, MuchDataRule, NightRule, NotCompliantRule, RuleResponse,
    UnusualPlaceRule,
};
pub use binding::{
    Binding, BindingDecision, BindingMode, Bound, Colour, DevicePattern, Learned, OnClone, PatternError,
    WhenMissing,
};
pub use cause::{FgmmCause, FgsmCause};
pub use clone::{CloneProof, CloneSuspicion, Sighting};
pub use conditions::{Compliance, Conditions, DeviceModel, NamesFrom, Radio, RiskLevel, Sensitivity};
pub use decision::{Direction, Reason, Verdict};
pub use digits::DigitError;
pub use directory::{Device, DeviceKind, Person, Site};
pub use dnn::{Dnn, DnnError};
pub use equipment::{Imei, Imeisv, Pei};
pub use event::{Event, Happening, MmeUpdate, Withdrawal};
pub use facts::{Assurance, Model, Posture, RadioSeen, RiskSignal, SimFacts, SiteSeen};
pub use flow::FlowRecord;
pub use grant::{ActiveGrant, Grant, Grantee};
pub use guti::{AmfId, FgGuti, FgTmsi};
pub use hex::{hex, unhex};
pub use hours::{Hours, When};
pub use ids::{Name, NameError, PduSessionId, Seid, Teid, UeIp};
pub use keys::{AuthenticationMethod, Autn, Auts, K, Key128, Key256, Opc, Rand, Res};
pub use listed::{EquipmentPattern, EquipmentPatternError};
pub use now::{Mono, Now, Utc};
pub use plmn::{Plmn, Tac, Tai};
pub use policy::{
    App, DataNetwork, Dscp, Group, Mark, Ports, Protocol, Qfi, Recording, RuleRate, Service, UeGroups,
};
pub use policy_text::{
    Expect, Loose, LooseFields, PolicyExtras, PolicyTest, Template, TemplateUse, TestFacts,
};
pub use posture::{
    DevicePosture, Os, OsName, OsVersion, PostureCheck, PostureReport, PostureRequirement, Seen, WhenSilent,
};
pub use probe::Probe;
pub use route::{FramedRoute, RouteError, RoutePrefix};
pub use rule::{Rule, RuleDirection, Subject};
pub use server_name::{NamePattern, ServerName};
pub use session_policy::{PermittedFlow, SessionPolicy};
pub use signal::{Proof, SignalSource, SourceKind, SsfStream};
pub use sim::{SimState, TransitionError};
pub use snssai::Snssai;
pub use sqn::Sqn;
pub use subscriber::{Iccid, Imsi, Suci, SuciProfile, SuciScheme, Supi, msin_from_bcd, msin_to_bcd};

#[cfg(test)]
mod tests;
