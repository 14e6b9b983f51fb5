//! The Gx face behind a live session: what an SMF may send changes nothing of another SMF's, and has one answer.

use super::Answer;
use crate::corpus;
use hss::gx::{Gx, GxConfig, Input, Output, Smf};
use types::{Mono, Now, SessionAddress, Subscription, Supi, UeIp, Utc};
use wire::diameter::{Identity, Message, Pdu, RequestType};

const NOW: Now = Now { mono: Mono(5), utc: Utc(1_790_000_000_000) };

/// The captured CC-Requests.
pub fn seeds() -> Vec<Vec<u8>> {
    corpus::load("diameter", "diameter").into_iter().filter(|m| ccr(m).is_some()).collect()
}

fn ccr(octets: &[u8]) -> Option<Message> {
    let message = Pdu::parse(octets).ok()?.message;
    matches!(message, Message::CreditControlRequest(_)).then_some(message)
}

fn name(n: &str) -> Option<Identity> {
    Identity::new(n)
}

/// Gives a request, and whatever it needs on its way; how many answers came.
fn give(gx: &mut Gx, peer: &Identity, message: Message) -> usize {
    gx.handle(Input::Request { id: 1, peer: peer.clone(), message }, NOW);
    let mut answers = 0;
    while let Some(o) = gx.poll_output() {
        let input = match o {
            Output::Locate { txn, imsi, .. } => {
                let dnns = ["internet", "corp"].iter().filter_map(|d| d.parse().ok()).collect();
                let supi = Supi(imsi);
                let subscription =
                    Subscription { supi, slices: vec![], dnns, ambr_ul_bps: 1, ambr_dl_bps: 1 };
                Input::Located { txn, subscription }
            }
            Output::Addresses { txn, lease, .. } => {
                let prefix = "2001:db8:cafe:1::/64".parse().ok();
                let address =
                    SessionAddress { ip: UeIp([10, 45, 0, 2].into()), prefix, dns: vec![], mtu: 1400 };
                Input::Addresses { txn, lease: lease.then_some(Ok(address)), disjoint: true }
            }
            Output::Policy { txn, .. } => Input::Policy { txn, policy: None },
            Output::Persist { txn, .. } => Input::Persisted { txn, ok: true },
            Output::Answer { .. } => {
                answers += 1;
                continue;
            }
            _ => continue,
        };
        gx.handle(input, NOW);
    }
    answers
}

/// An SMF with a session, and another one that says this.
pub fn run(input: &[u8]) -> Answer {
    let Some(message) = ccr(input) else { return Answer::Lived("no CC-Request".to_owned()) };
    let (Some(host), Some(realm)) = (name("pcrf.localdomain"), name("localdomain")) else {
        return Answer::Broken("names".to_owned());
    };
    let (Some(one), Some(two)) = (name("smf.localdomain"), name("smf2.localdomain")) else {
        return Answer::Broken("names".to_owned());
    };
    let smf = |host: &Identity| Smf {
        host: host.clone(),
        realm: realm.clone(),
        imsis: vec![],
        assigns: vec![],
        rules: true,
    };
    let smfs = vec![smf(&one), smf(&two)];
    let mut gx = Gx::new(GxConfig { host, realm: realm.clone(), smfs });
    let Some(first) = seeds().into_iter().next().and_then(|m| ccr(&m)) else {
        return Answer::Broken("no seed".to_owned());
    };
    give(&mut gx, &one, first);
    let before: Vec<_> = gx.sessions().cloned().collect();
    if before.len() != 1 {
        return Answer::Broken("the captured session does not begin".to_owned());
    }
    let kind = match &message {
        Message::CreditControlRequest(m) => m.kind,
        _ => RequestType::Other(0),
    };
    let answers = give(&mut gx, &two, message);
    if answers != 1 {
        return Answer::Broken(format!("{answers} answers"));
    }
    if !before.iter().all(|s| gx.sessions().any(|now| now == s)) {
        return Answer::Broken("another SMF's session has changed".to_owned());
    }
    Answer::read(&format!("{kind:?}, {} sessions", gx.len()))
}
