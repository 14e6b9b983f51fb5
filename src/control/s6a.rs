//! MMEs that ask us as their HSS: the wiring of peers, S6a, the directory and the ledger.

use super::{
    Control, Done,
    addresses::{Addresses as Ledger, Asker},
    gx::lives,
    line::{self, Line},
    peers::Held,
};
use crate::{config::Config, io::diameter::DiameterEvent};
use admin_web::PeerView;
use anyhow::Result;
use gateway::time::now;
use hss::{
    Hss, diameter,
    s6a::{self, Addresses, Due, S6a, S6aConfig, Serving, Told, Unsupported, Version, Why},
    s13::{self, S13Config},
};
use ipnet::Ipv6Net;
use std::{
    collections::{BTreeMap, VecDeque},
    net::IpAddr,
};
use store::{CancellationRow, ServingRow, Store, StoreError, UnsupportedRow};
use tracing::warn;
use types::{Dnn, Event, Happening, Imsi, Mono, Now, SessionAddress, Subscription, UeIp};
use wire::diameter::{Identity, Message};

/// Marks our numbers among those of questions to the directory; the rest are the AMF's.
const OURS: u64 = 1 << 63;

/// Whether a question to the directory was S6a's.
pub(super) fn asked(txn: u64) -> bool {
    txn & OURS != 0
}

/// Peers, S6a, and what is between them.
pub(super) struct Wiring {
    line: Line,
    s6a: S6a,
    s13: S13Config,
    leasing: BTreeMap<u64, Leasing>,
}

/// The addresses of one profile, on their way.
struct Leasing {
    imsi: Imsi,
    dnn: Dnn,
    rest: VecDeque<Dnn>,
    got: Vec<Addresses>,
}

/// A wish of either core.
pub(super) enum Wish {
    Peers(diameter::Output),
    S6a(s6a::Output),
}

impl Wiring {
    /// None where no MME is configured. Who served whom is taken up again, and withdrawn from who may not live any more;
    /// what differs from what its MME knows is told.
    pub(super) fn new(
        config: &Config,
        hss: &Hss,
        ledger: &Ledger,
        durable: MmesDurable,
    ) -> Result<Option<Box<Self>>> {
        let Some(c) = &config.s6a else { return Ok(None) };
        let now = now();
        let (line, host, realm) = Line::new(&c.face(), now)?;
        let mmes = c.mmes(config.network.plmn);
        let s13 = S13Config { host: host.clone(), realm: realm.clone(), mmes: mmes.clone() };
        let mut s6a = S6a::new(S6aConfig { host, realm, mmes }, now);
        let (mut dead, mut due) = (Vec::new(), Vec::new());
        let mut serving = Vec::new();
        for row in durable.serving {
            let told = row.told.and_then(|text| serde_json::from_str(&text).ok());
            match hss.subscription(row.imsi).filter(|_| hss.state(row.imsi).is_some_and(lives)) {
                Some(s) if told.as_ref().is_some_and(|t| *t != would_tell(s, ledger)) => due.push(s.clone()),
                Some(_) => {}
                None => dead.push(row.imsi),
            }
            serving.push(Serving { imsi: row.imsi, mme: Some(row.mme), told });
        }
        let unsupported = durable.unsupported.into_iter().filter_map(unsupported).collect();
        let cancellations = durable.cancellations.into_iter().filter_map(cancellation).collect();
        s6a.handle(s6a::Input::Load { serving, unsupported, due: cancellations }, now);
        for imsi in dead {
            s6a.handle(s6a::Input::Withdraw { imsi }, now);
        }
        for s in due {
            s6a.handle(s6a::Input::Subscribed(s), now);
        }
        Ok(Some(Box::new(Self { line, s6a, s13, leasing: BTreeMap::new() })))
    }

    /// MMEs that are there.
    pub(super) fn mmes(&self) -> impl Iterator<Item = &Identity> {
        self.line.peers.up()
    }

    /// How many messages have come.
    pub(super) fn messages(&self) -> u64 {
        self.line.peers.messages()
    }

    /// Every MME of the list, as it stands.
    pub(super) fn views(&self) -> Vec<PeerView> {
        let held = |m: &Identity| Held { holds: self.s6a.served_at(m), ended: 0, due: self.s6a.due_at(m) };
        self.line.views("s6a", held)
    }

    pub(super) fn poll_output(&mut self) -> Option<Wish> {
        self.s6a.poll_output().map(Wish::S6a).or_else(|| self.line.poll_output().map(Wish::Peers))
    }

    pub(super) fn flush(&mut self) {
        self.line.flush();
    }

    pub(super) fn poll_timeout(&self) -> Option<Mono> {
        [self.line.peers.poll_timeout(), self.s6a.poll_timeout()].into_iter().flatten().min()
    }

    pub(super) fn handle_timeout(&mut self, now: Now) {
        self.line.peers.handle_timeout(now);
        self.s6a.handle_timeout(now);
    }
}

/// What is read of MMEs at the start.
#[derive(Default)]
pub(crate) struct MmesDurable {
    pub serving: Vec<ServingRow>,
    pub unsupported: Vec<UnsupportedRow>,
    pub cancellations: Vec<CancellationRow>,
}

impl MmesDurable {
    pub async fn read(store: &Store) -> Result<Self, StoreError> {
        Ok(Self {
            serving: store.serving_mmes().await?,
            unsupported: store.unsupported().await?,
            cancellations: store.mme_cancellations().await?,
        })
    }
}

fn unsupported(r: UnsupportedRow) -> Option<Unsupported> {
    let by = Version { state: r.state, product: r.product };
    Some(Unsupported { mme: Identity::new(&r.mme)?, command: r.command, by })
}

fn cancellation(r: CancellationRow) -> Option<Due> {
    let why = if r.moved { Why::Moved } else { Why::Device };
    Some(Due { imsi: r.imsi, mme: Identity::new(&r.mme)?, why })
}

/// What an MME would be told of a SIM, as far as its addresses are settled.
fn would_tell(s: &Subscription, ledger: &Ledger) -> Told {
    let imsi = s.supi.imsi();
    let of = |dnn: &Dnn| {
        let ip = ledger.settled(imsi, dnn);
        let own = ip.map(|ip| own(ip, ledger.prefix_beside(dnn, ip.0))).unwrap_or_default();
        Addresses { dnn: dnn.clone(), own }
    };
    Told::new(s, &s.dnns.iter().map(of).collect::<Vec<_>>())
}

/// An address and its prefix as an MME reads them.
fn own(ip: UeIp, prefix: Option<Ipv6Net>) -> Vec<IpAddr> {
    std::iter::once(ip.into()).chain(prefix.map(|p| p.network().into())).collect()
}

impl Control {
    /// What the transport says.
    pub(super) fn diameter(&mut self, e: DiameterEvent) {
        if let Some(w) = &mut self.s6a {
            w.line.event(e);
        }
    }

    /// What the peers' core or S6a wants.
    pub(super) fn s6a_wish(&mut self, wish: Wish) {
        match wish {
            Wish::Peers(o) => self.peers_wish(o),
            Wish::S6a(o) => self.face_wish(o),
        }
    }

    fn peers_wish(&mut self, o: diameter::Output) {
        use diameter::Output as O;
        let Some(w) = &mut self.s6a else { return };
        let now = now();
        let what = match o {
            // The line's own.
            O::Send { .. } | O::Close { .. } => return,
            O::Request { id, peer, message } if matches!(message, Message::MeIdentityCheckRequest(_)) => {
                let message = s13::answer(&w.s13, &mut self.hss, &peer, &message);
                return w.line.peers.handle(diameter::Input::Answer { id, message }, now);
            }
            O::Request { id, peer, message } => {
                return w.s6a.handle(s6a::Input::Request { id, peer, message }, now);
            }
            O::Answered { txn, message } => {
                return w.s6a.handle(s6a::Input::Answered { txn, message: Some(message) }, now);
            }
            O::Unanswered { txn } => {
                return w.s6a.handle(s6a::Input::Answered { txn, message: None }, now);
            }
            O::Up { peer, state, product, .. } => {
                let version = Version { state, product };
                w.s6a.handle(s6a::Input::Up { peer: peer.clone(), version }, now);
                Happening::MmeUp { name: peer.to_string() }
            }
            O::Down { peer, why } => Happening::MmeDown { name: peer.to_string(), why: line::gone(why) },
            O::Refused { claimed, from, why } => {
                let (claimed, address) = (claimed.to_string(), from.to_string());
                Happening::MmeRefused { claimed, address, why: line::refused(why) }
            }
        };
        self.happened(Event { at: now.utc, imsi: None, what });
    }

    fn face_wish(&mut self, o: s6a::Output) {
        use hss::Input as Core;
        use s6a::Output as O;
        let now = now();
        match o {
            O::Core(Core::EpsAuthInfo { txn, imsi, serving, node, resync }) => {
                if let Some(refusal) = self.refusal_without_directory() {
                    return self.tell_s6a(txn, |txn| s6a::Input::Refused { txn, refusal });
                }
                self.hss.handle(Core::EpsAuthInfo { txn: txn | OURS, imsi, serving, node, resync }, now);
            }
            O::Core(Core::Locate { txn, supi, pei }) => {
                self.hss.handle(Core::Locate { txn: txn | OURS, supi, pei }, now);
            }
            // The face asks nothing else.
            O::Core(_) => {}
            O::Lease { txn, imsi, dnns } => {
                let mut rest = VecDeque::from(dnns);
                let Some(dnn) = rest.pop_front() else { return };
                let Some(w) = &mut self.s6a else { return };
                w.leasing.insert(txn, Leasing { imsi, dnn: dnn.clone(), rest, got: Vec::new() });
                self.lease(Asker::Profile(txn), imsi, dnn);
            }
            O::Persist { txn, serving } => {
                let (store, done) = (self.store.clone(), self.done.clone());
                tokio::spawn(async move {
                    let Serving { imsi, mme, told } = serving;
                    let told = told.as_ref().and_then(|t| serde_json::to_string(t).ok());
                    let ok = store.set_serving_mme(imsi, mme.clone(), told, now.utc).await;
                    if let Err(e) = &ok {
                        warn!(%imsi, "which MME serves {imsi} could not be written: {e}");
                    }
                    drop(done.send(Done::ServingStored { txn, imsi, mme, ok: ok.is_ok() }));
                });
            }
            O::Told { imsi, mme, told } => {
                let told = serde_json::to_string(&told).unwrap_or_default();
                self.note_mme(move |store| async move { store.set_told(imsi, mme.to_string(), told).await });
            }
            O::NotUnderstood(u) => {
                let Version { state, product } = u.by;
                let row = UnsupportedRow { mme: u.mme.to_string(), command: u.command, state, product };
                self.note_mme(move |store| async move { store.add_unsupported(row).await });
            }
            O::Due { imsi, mme } => {
                self.note_mme(move |store| async move {
                    store.add_mme_cancellation(imsi, mme.to_string(), now.utc).await
                });
            }
            O::NotDue { imsi, mme } => {
                self.note_mme(
                    move |store| async move { store.end_mme_cancellation(imsi, mme.to_string()).await },
                );
            }
            O::MayUnderstand { mme, now: Version { state, product } } => {
                self.note_mme(move |store| async move {
                    store.forget_unsupported(mme.to_string(), state, product).await
                });
            }
            O::Answer { id, message } => {
                if let Some(w) = &mut self.s6a {
                    w.line.peers.handle(diameter::Input::Answer { id, message }, now);
                }
            }
            O::Ask { txn, peer, message } => {
                if let Some(w) = &mut self.s6a {
                    w.line.peers.handle(diameter::Input::Ask { txn, peer, message }, now);
                }
            }
            O::Attempt { imsi, mme, refusal } => {
                let what = Happening::MmeDenied { mme: mme.to_string(), reason: refusal.reason };
                self.happened(Event { at: now.utc, imsi: Some(imsi), what });
            }
            O::Updated { imsi, mme, how } => {
                let what = Happening::MmeUpdated { mme: mme.to_string(), how };
                self.happened(Event { at: now.utc, imsi: Some(imsi), what });
            }
            O::ResetAt { mme, how } => {
                let what = Happening::MmeReset { mme: mme.to_string(), how };
                self.happened(Event { at: now.utc, imsi: None, what });
            }
            O::Withdrawn { imsi, mme, how } => {
                let what = Happening::Withdrawn { mme: mme.to_string(), how };
                self.happened(Event { at: now.utc, imsi: Some(imsi), what });
            }
        }
    }

    /// Writes what is known of an MME. Should it not come to that, the MME is told something twice, or after a start not again.
    fn note_mme<F: Future<Output = Result<(), StoreError>> + Send>(
        &self,
        write: impl FnOnce(Store) -> F + Send + 'static,
    ) {
        let store = self.store.clone();
        tokio::spawn(async move {
            if let Err(e) = write(store).await {
                warn!("what an MME knows could not be written: {e}");
            }
        });
    }

    /// The directory's answer to a question of S6a's.
    pub(super) fn tell_s6a(&mut self, txn: u64, input: impl FnOnce(u64) -> s6a::Input) {
        if let Some(w) = &mut self.s6a {
            w.s6a.handle(input(txn & !OURS), now());
        }
    }

    /// Which MME serves a SIM is durable, or could not be made so.
    pub(super) fn serving_stored(&mut self, txn: u64, imsi: Imsi, mme: Option<String>, ok: bool) {
        let before = self.served_by(imsi);
        self.tell_s6a(txn, |txn| s6a::Input::Persisted { txn, ok });
        let what = match (mme, before) {
            _ if !ok => return,
            (Some(mme), _) => Happening::MmeServes { mme },
            (None, Some(mme)) => Happening::MmePurged { mme },
            (None, None) => return,
        };
        self.happened(Event { at: now().utc, imsi: Some(imsi), what });
    }

    /// The MME that serves a SIM.
    pub(super) fn served_by(&self, imsi: Imsi) -> Option<String> {
        self.s6a.as_ref()?.s6a.serving(imsi).map(ToString::to_string)
    }

    /// One more address of a profile, or none at all: an MME gets a profile whole.
    pub(super) fn profile_leased(&mut self, txn: u64, address: Option<SessionAddress>) {
        let Some(w) = &mut self.s6a else { return };
        let Some(mut l) = w.leasing.remove(&txn) else { return };
        let now = now();
        let Some(address) = address else {
            return w.s6a.handle(s6a::Input::Leased { txn, addresses: None }, now);
        };
        l.got.push(Addresses { dnn: l.dnn, own: own(address.ip, address.prefix) });
        match l.rest.pop_front() {
            Some(next) => {
                let imsi = l.imsi;
                w.leasing.insert(txn, Leasing { dnn: next.clone(), ..l });
                self.lease(Asker::Profile(txn), imsi, next);
            }
            None => w.s6a.handle(s6a::Input::Leased { txn, addresses: Some(l.got) }, now),
        }
    }

    /// What a SIM may have, or its address, has changed: the MME that serves it is told.
    pub(super) fn subscribed_at_mme(&mut self, s: Subscription) {
        if let Some(w) = &mut self.s6a {
            w.s6a.handle(s6a::Input::Subscribed(s), now());
        }
    }

    /// A SIM may not be served any more: the MME that serves it is told, and told again until it has let go.
    pub(super) fn withdraw(&mut self, imsi: Imsi) {
        if let Some(w) = &mut self.s6a {
            w.s6a.handle(s6a::Input::Withdraw { imsi }, now());
        }
    }

    /// It may be served again.
    pub(super) fn restore_at_mme(&mut self, imsi: Imsi) {
        if let Some(w) = &mut self.s6a {
            w.s6a.handle(s6a::Input::Restore { imsi }, now());
        }
    }

    /// Its last session is seen to be over.
    pub(super) fn gone_at_mme(&mut self, imsi: Imsi) {
        if let Some(w) = &mut self.s6a {
            w.s6a.handle(s6a::Input::Gone { imsi }, now());
        }
    }

    /// Every MME is told that we go away; what was said by then is sent.
    pub(super) fn farewell_to_mmes(&mut self) {
        if let Some(w) = &mut self.s6a {
            w.line.peers.handle(diameter::Input::Farewell, now());
            self.drain();
        }
    }
}

#[cfg(all(test, feature = "lab"))]
pub(super) mod tests;
