//! Every state × message of 5GMM, 5GSM and the NGAP UE context: `docs/states.md` says what comes of it, and here each cell is
//! tried. The real core is driven into the state, the message is sent, and what came out and where the context stands then is
//! compared with the page. `UPDATE_STATES=1` writes the page anew; the change is then reviewed as code is.
//!
//! In every cell a second UE stands beside, registered and with a session: nothing of it may change.

mod eap;
mod mm;
pub mod n2;
pub mod scenes;
pub mod sm;

use crate::world::*;
use access::nr::*;
use std::collections::BTreeMap;
use std::path::PathBuf;
use types::FgmmCause;
use wire::nas::fgs::{FgmmMessage, FgsmBody, FgsmMessage};
use wire::nas::security::{self, Pdu};
use wire::ngap::{self, Message, UeIds};
use wire::pfcp;

/// What comes of one row in each of the states: the columns' words, each with its cell.
type Row = (String, Vec<(&'static str, String)>);

/// One table of the page, as the core answers.
struct Table {
    name: &'static str,
    rows: Vec<Row>,
}

impl Table {
    /// The lines of the page. States with the same answer stand together.
    fn lines(&self) -> Vec<String> {
        let mut lines = vec![
            "| message or event | in state | what comes of it |".to_owned(),
            "| --- | --- | --- |".to_owned(),
        ];
        for (row, cells) in &self.rows {
            let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
            for (state, cell) in cells {
                match groups.iter_mut().find(|(c, _)| c == cell) {
                    Some((_, states)) => states.push(state),
                    None => groups.push((cell, vec![state])),
                }
            }
            for (n, (cell, states)) in groups.iter().enumerate() {
                let row = if n == 0 { row } else { "" };
                let states = match states.len() == cells.len() && cells.len() > 1 {
                    true => "each".to_owned(),
                    false => states.join(", "),
                };
                lines.push(format!("| {row} | {states} | {cell} |"));
            }
        }
        lines
    }

    /// The page has this table, word by word.
    #[allow(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        reason = "the page is a file, and tests run side by side"
    )]
    fn hold(&self) {
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/states.md");
        // Several tables are written at once.
        static PAGE: std::sync::Mutex<()> = std::sync::Mutex::new(());
        let _one = PAGE.lock().unwrap_or_else(|e| e.into_inner());
        let page = std::fs::read_to_string(&path).expect("docs/states.md");
        let begin = format!("<!-- table {} -->\n", self.name);
        let (before, rest) = page.split_once(&begin).expect("the table's mark");
        let (written, after) = rest.split_once("<!-- end -->").expect("the table's end");
        let now = self.lines().join("\n") + "\n";
        if std::env::var_os("UPDATE_STATES").is_some() {
            let page = format!("{before}{begin}{now}<!-- end -->{after}");
            return std::fs::write(&path, page).expect("docs/states.md is written");
        }
        let differs = now.lines().zip(written.lines()).find(|(a, b)| a != b);
        assert!(now == written, "docs/states.md, table {}: {differs:?}", self.name);
    }
}

/// Tries a row in every state: `cell` sets the scene, acts and says what came of it.
fn row<S: Copy>(
    name: &str,
    states: &[S],
    word: impl Fn(S) -> &'static str,
    cell: impl Fn(S) -> Option<String>,
) -> Row {
    let tried = states.iter().filter_map(|s| Some((word(*s), cell(*s)?))).collect();
    (name.to_owned(), tried)
}

/// One scene before something happens.
struct Before {
    refused: BTreeMap<&'static str, u64>,
    standing: String,
    beside: UeView,
}

/// Where the context of interest stands, in words.
type Standing<'a> = dyn Fn(&World) -> String + 'a;

fn look(w: &World, standing: &Standing<'_>) -> Before {
    Before {
        refused: w.amf.counters().refused.clone(),
        standing: standing(w),
        beside: w.view(scenes::BESIDE).expect("the UE beside"),
    }
}

/// Lets something happen and says what came out at once, and where the context stands then. Nobody answers.
fn what_comes(w: &mut World, standing: &Standing<'_>, act: impl FnOnce(&mut World)) -> String {
    let before = look(w, standing);
    act(w);
    let mut said = Vec::new();
    while let Some(out) = w.amf.poll_output() {
        let word = in_words(&out);
        if said.last().is_none_or(|(last, _)| *last != word) {
            said.push((word, 1));
        } else if let Some((_, n)) = said.last_mut() {
            *n += 1;
        }
    }
    let after = look(w, standing);
    assert_eq!(before.beside, after.beside, "the UE beside notices nothing");
    let mut text: Vec<String> =
        said.into_iter().map(|(word, n)| if n == 1 { word } else { format!("{n} × {word}") }).collect();
    if text.is_empty() {
        let counted = after.refused.iter().filter(|(why, n)| before.refused.get(*why) != Some(n));
        text.extend(counted.map(|(why, _)| format!("*{why}*")));
    }
    let text = if text.is_empty() { "–".to_owned() } else { text.join("; ") };
    if before.standing == after.standing { text } else { format!("{text} → {}", after.standing) }
}

/// One input, at once.
fn input(w: &mut World, input: Input) {
    w.amf.handle(input, w.now);
}

/// The next timer that runs out, if one runs.
fn timer(w: &mut World) {
    if let Some(at) = w.amf.poll_timeout() {
        let ms = at.0.saturating_sub(w.now.mono.0).div_ceil(1_000_000);
        w.now = w.now.plus_ms(ms);
        w.amf.handle_timeout(w.now);
    }
}

/// A wish of the core in the page's words.
fn in_words(out: &Output) -> String {
    match out {
        Output::Send { assoc, bytes, .. } => {
            let m = ngap::decode(bytes).expect("the AMF's message decodes");
            let there = if *assoc == B { " to the other gNB" } else { "" };
            format!("{}{there}", ngap_in_words(&m))
        }
        Output::Close { .. } => "the association is closed".to_owned(),
        Output::NeedVector { resync: None, .. } => "vector asked for".to_owned(),
        Output::NeedVector { resync: Some(_), .. } => "vector asked for, with AUTS".to_owned(),
        Output::JudgeAuts { .. } => "AUTS looked at for clones".to_owned(),
        Output::Locate { .. } => "admission asked for".to_owned(),
        Output::NeedAddress { .. } => "address asked for".to_owned(),
        Output::ReleaseAddress { .. } => "address given back".to_owned(),
        Output::N4(bytes) => n4_in_words(bytes),
        Output::Event(e) => {
            let name = format!("{:?}", e.what);
            let name: String = name.chars().take_while(char::is_ascii_alphanumeric).collect();
            format!("told: {name}")
        }
    }
}

fn ngap_in_words(m: &Message) -> String {
    let with = |nas: Vec<&Vec<u8>>| {
        let inside: Vec<String> = nas.into_iter().map(|n| nas_in_words(n)).collect();
        if inside.is_empty() { m.name().to_owned() } else { format!("{} [{}]", m.name(), inside.join(", ")) }
    };
    match m {
        Message::DownlinkNasTransport(d) => nas_in_words(&d.nas),
        Message::InitialContextSetupRequest(i) => {
            with(i.nas.iter().chain(i.sessions.iter().filter_map(|s| s.nas.as_ref())).collect())
        }
        Message::PduSessionResourceSetupRequest(r) => {
            with(r.nas.iter().chain(r.sessions.iter().filter_map(|s| s.nas.as_ref())).collect())
        }
        Message::PduSessionResourceReleaseCommand(r) => with(r.nas.iter().collect()),
        Message::PduSessionResourceModifyRequest(r) => {
            with(r.sessions.iter().filter_map(|s| s.nas.as_ref()).collect())
        }
        Message::UeContextReleaseCommand(r) => match r.ue {
            UeIds::Pair(..) => m.name().to_owned(),
            UeIds::Amf(_) => format!("{} (by our own name)", m.name()),
        },
        Message::ErrorIndication(e) => match e.cause {
            Some(cause) => format!("{} ({cause})", m.name()),
            None => m.name().to_owned(),
        },
        Message::NgSetupFailure(f) => format!("{} ({})", m.name(), f.cause),
        Message::RanConfigurationUpdateFailure(f) => format!("{} ({})", m.name(), f.cause),
        Message::HandoverPreparationFailure(f) => format!("{} ({})", m.name(), f.cause),
        _ => m.name().to_owned(),
    }
}

/// What is not protected is said to be in clear. The scenes' ciphering is NEA0, so that it can be read here.
fn nas_in_words(nas: &[u8]) -> String {
    let (plain, clear) = match security::open(nas).expect("NAS of the AMF") {
        Pdu::Plain(plain) => (plain, " in clear"),
        Pdu::Protected { payload, .. } => (payload, ""),
    };
    let m = FgmmMessage::decode(plain).expect("NAS of the AMF decodes");
    let cause = |c: &FgmmCause| format!(" #{}", c.0);
    let more = match &m {
        FgmmMessage::RegistrationReject(r) => cause(&r.cause),
        FgmmMessage::ServiceReject(r) => cause(&r.cause),
        FgmmMessage::FgmmStatus(c) => cause(c),
        FgmmMessage::IdentityRequest(kind) => format!(" {kind:?}"),
        FgmmMessage::DeregistrationRequestUeTerminated(r) => r.cause.as_ref().map(cause).unwrap_or_default(),
        FgmmMessage::DlNasTransport(d) => match &d.cause {
            Some(c) => cause(c),
            None => return session_in_words(&FgsmMessage::decode(&d.payload).expect("5GSM of the SMF")),
        },
        _ => String::new(),
    };
    format!("{}{more}{clear}", m.name())
}

fn session_in_words(m: &FgsmMessage) -> String {
    let cause = match &m.body {
        FgsmBody::EstablishmentReject(r) => Some(r.cause),
        FgsmBody::ModificationReject(c) | FgsmBody::ReleaseReject(c) | FgsmBody::Status(c) => Some(*c),
        FgsmBody::ReleaseCommand { cause, .. } => Some(*cause),
        FgsmBody::EstablishmentAccept(a) => a.cause,
        _ => None,
    };
    let cause = cause.map(|c| format!(" #{}", c.0)).unwrap_or_default();
    format!("{}{cause}", m.body.name())
}

fn n4_in_words(bytes: &[u8]) -> String {
    use pfcp::Message as M;
    let m = pfcp::Pdu::parse(bytes).expect("PFCP of the SMF").message;
    let name = match m {
        M::SessionEstablishmentRequest(_) => "N4 establishment",
        M::SessionModificationRequest(_) => "N4 modification",
        M::SessionDeletionRequest(_) => "N4 deletion",
        M::SessionReportResponse(_) => "N4 report answered",
        _ => "N4",
    };
    name.to_owned()
}
