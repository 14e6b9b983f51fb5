//! A running system that does what the real one would do to the store, and notes what it was asked.

use crate::{
    control::{
        AffectedSim, Answer, Asker, BackupError, BackupMade, BanError, BanRequest, Control, ControlError,
        DeviceUnban, EveryFact, FactView, FindingState, GnbView, MachineFinding, Metric, MetricKind, NewKeys,
        OperatorKey, PartStatus, RestrictOutcome, RestrictRequest, ScopeBan, ScopeKind, ScopeOutcome, Sealed,
        SessionKey, SessionView, Status, Suspicion, UnbanRequest,
    },
    problem::Said,
    receipt::{PendingCode, Receipt, ReceiptCut, ReceiptKind, Stamp, StoredAt},
    rights::{BackupCapability, BanCapability, QuarantineCapability, SessionCapability, UnbanCapability},
};
use pgw_policy::{Explanation, Policy, ProviderApp, Question, command::LearnedName};
use sha2::{Digest as _, Sha256};
use std::sync::{
    Mutex,
    atomic::{AtomicBool, Ordering},
};
use store::{Change, EventRow, Kept, KeptAnswer, RevocationWrite, StateChange, Store, StoreError};
use tokio::sync::broadcast;
use types::{Imsi, PduSessionId, SimState, Utc};

pub(crate) struct Fake {
    store: Store,
    /// What was asked, in order.
    pub(crate) asked: Mutex<Vec<String>>,
    /// Of whom something else is known, in order.
    pub(crate) facts: Mutex<Vec<store::FactsOf>>,
    /// What is known of every SIM; it is still being read, where there is nothing.
    pub(crate) everything: Mutex<Option<EveryFact>>,
    /// What any SIM has looked up.
    pub(crate) looked_up: Mutex<Vec<LearnedName>>,
    /// What alert rules were told of, in order.
    pub(crate) suspected: Mutex<Vec<Suspicion>>,
    pub(crate) events: broadcast::Sender<EventRow>,
    /// The journal's disk and the database both fail.
    pub(crate) stores_nothing: AtomicBool,
    pub(crate) gateway_down: AtomicBool,
    pub(crate) panics: AtomicBool,
    pub(crate) second_person: AtomicBool,
    /// Where the identity provider is.
    pub(crate) provider: Mutex<Option<ProviderApp>>,
}

pub(crate) const CUT_AT: Utc = Utc(1_800_000_000_123);

impl Fake {
    pub(crate) fn new(store: Store) -> Self {
        Self {
            store,
            asked: Mutex::default(),
            facts: Mutex::default(),
            everything: Mutex::new(Some(Vec::new())),
            looked_up: Mutex::default(),
            suspected: Mutex::default(),
            events: broadcast::channel(4).0,
            stores_nothing: AtomicBool::new(false),
            gateway_down: AtomicBool::new(false),
            panics: AtomicBool::new(false),
            second_person: AtomicBool::new(false),
            provider: Mutex::default(),
        }
    }

    fn built_in(&self) -> Vec<types::App> {
        let provider = self.provider.lock().unwrap();
        provider.iter().filter_map(|p| p.beside(&Policy::default())).collect()
    }

    fn note(&self, what: String) {
        self.asked.lock().unwrap().push(what);
    }

    pub(crate) fn was_asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    fn gateway(&self) -> Result<(), ControlError> {
        if self.gateway_down.load(Ordering::Relaxed) {
            return Err(ControlError::Unavailable { part: "gateway", why: "not connected".to_owned() });
        }
        Ok(())
    }

    async fn change(
        &self,
        imsi: Imsi,
        to: SimState,
        kind: StateChange,
        asker: Asker,
    ) -> Result<Receipt, BanError> {
        let before = self.store.sim(imsi).await;
        let of = if kind == StateChange::Ban { ReceiptKind::Ban } else { ReceiptKind::Unban };
        let mut receipt = Receipt::new(of, "0001".to_owned(), imsi, to, CUT_AT);
        receipt.before = before.as_ref().ok().map(|s| s.state);
        receipt.cut = ReceiptCut { at: Stamp(CUT_AT), us: 180, shards: 2, of: 2 };
        receipt.stored =
            vec![StoredAt { place: "journal".to_owned(), record: Some(7), hash: Some("ab".to_owned()) }];
        receipt.last_packet = Some(Stamp(Utc(CUT_AT.0 - 1)));
        receipt.dropped_since = 12;
        receipt.wait_for(PendingCode::DeregistrationUnconfirmed, None);
        if self.stores_nothing.load(Ordering::Relaxed) {
            receipt.stored.clear();
            return Err(BanError::CutNotStored(Box::new(receipt)));
        }
        let mut change = Change::by_system(&asker.actor, CUT_AT);
        change.reason.clone_from(&asker.reason);
        let mut write = RevocationWrite::new(kind, change);
        write.states = vec![(imsi, to)];
        let mut answered = receipt.clone();
        answered.stored.push(StoredAt { place: "database".to_owned(), record: None, hash: None });
        write.kept = asker.claim.map(|c| KeptAnswer {
            actor: c.actor,
            key: c.key,
            fingerprint: c.fingerprint,
            answer: Kept { status: 200, body: serde_json::to_vec(&answered).unwrap(), etag: None },
        });
        if kind == StateChange::Ban && matches!(before, Err(StoreError::NotFound)) {
            return Err(BanError::NotFound);
        }
        if let Ok(b) = &before
            && b.state != to
            && let Err(t) = b.state.change_to(to)
        {
            return Err(BanError::NotAllowed(t));
        }
        answered.kept = write.kept.is_some();
        match self.store.write_revocation(write).await {
            Ok(()) => return Ok(answered),
            Err(StoreError::NotFound) => return Err(BanError::NotFound),
            Err(StoreError::Transition(t)) => return Err(BanError::NotAllowed(t)),
            Err(e) if kind == StateChange::Unban => {
                return Err(ControlError::Unavailable { part: "store", why: e.to_string() }.into());
            }
            Err(e) => receipt.wait_for(PendingCode::DatabaseFailed, Some(e.to_string())),
        }
        Ok(receipt)
    }
}

fn answer<'a, T: Send + 'a>(v: T) -> Answer<'a, T> {
    Box::pin(async move { v })
}

impl Control for Fake {
    fn seal(&self, imsi: Imsi, keys: NewKeys) -> Answer<'_, Result<Sealed, ControlError>> {
        let (operator, fingerprint) = match &keys {
            NewKeys::Milenage { k, operator: OperatorKey::Op(_) } => ("op", Sha256::digest(k.expose())),
            NewKeys::Milenage { k, operator: OperatorKey::Opc(_) } => ("opc", Sha256::digest(k.expose())),
            NewKeys::Tuak(t) => ("tuak", Sha256::digest([t.k.expose(), t.topc.expose()].concat())),
        };
        self.note(format!("seal {imsi} {operator}"));
        let fingerprint = fingerprint.to_vec();
        answer(Ok(Sealed { keys: vec![1; 40], fingerprint }))
    }

    fn sim_changed(&self, imsi: Imsi) -> Answer<'_, Result<(), ControlError>> {
        self.note(format!("sim_changed {imsi}"));
        answer(Ok(()))
    }

    fn facts_stored(&self, of: store::FactsOf) -> Answer<'_, Result<(), ControlError>> {
        self.facts.lock().unwrap().push(of);
        answer(Ok(()))
    }

    fn facts(&self, imsi: Imsi) -> Answer<'_, Result<Vec<FactView>, ControlError>> {
        Box::pin(async move {
            self.store.sim(imsi).await.map_err(|_| ControlError::NotFound)?;
            Ok(vec![FactView {
                fact: "posture",
                value: Some("compliant".to_owned()),
                words: Said { en: "compliant".to_owned(), ja: "準拠".to_owned() },
                source: "mdm".parse().ok(),
                since: Some(CUT_AT),
                until: None,
            }])
        })
    }

    /// Of every SIM the same.
    fn known(&self, _: Imsi) -> Answer<'_, Result<types::SimFacts, ControlError>> {
        let posture = types::Posture {
            value: types::Compliance::NotCompliant,
            since: CUT_AT,
            until: None,
            source: "mdm".parse().unwrap(),
        };
        answer(Ok(types::SimFacts { posture: Some(posture), ..types::SimFacts::default() }))
    }

    fn known_of_all(&self) -> Answer<'_, Result<EveryFact, ControlError>> {
        let said = self.everything.lock().unwrap().clone();
        answer(said.ok_or_else(|| ControlError::Unavailable { part: "control", why: "it starts".to_owned() }))
    }

    fn own_addresses(&self) -> Vec<std::net::IpAddr> {
        vec!["192.0.2.1".parse().unwrap()]
    }

    fn equipment_changed(&self) -> Answer<'_, Result<(), ControlError>> {
        self.note("equipment_changed".to_owned());
        answer(Ok(()))
    }

    fn suspect(&self, what: Suspicion) {
        self.suspected.lock().unwrap().push(what);
    }

    fn alert_rules_changed(&self) -> Answer<'_, Result<(), ControlError>> {
        self.note("alert_rules_changed".to_owned());
        answer(Ok(()))
    }

    fn home_keys_changed(&self) -> Answer<'_, Result<(), ControlError>> {
        self.note("home_keys_changed".to_owned());
        answer(Ok(()))
    }

    fn device_forgotten(&self, imsi: Imsi) -> Answer<'_, Result<(), ControlError>> {
        self.note(format!("device_forgotten {imsi}"));
        answer(Ok(()))
    }

    fn policy_changed(&self) -> Answer<'_, Result<u64, ControlError>> {
        self.note("policy_changed".to_owned());
        answer(self.gateway().map(|()| 1))
    }

    fn ban<'a>(&'a self, _: &'a BanCapability, r: BanRequest) -> Answer<'a, Result<Receipt, BanError>> {
        self.note(format!("ban {} {} by {}: {}", r.imsi, r.state, r.asker.actor, r.asker.reason));
        Box::pin(self.change(r.imsi, r.state, StateChange::Ban, r.asker))
    }

    fn unban<'a>(&'a self, _: &'a UnbanCapability, r: UnbanRequest) -> Answer<'a, Result<Receipt, BanError>> {
        self.note(format!("unban {} {} by {}: {}", r.imsi, r.state, r.asker.actor, r.asker.reason));
        Box::pin(async move {
            let receipt = self.change(r.imsi, r.state, StateChange::Unban, r.asker).await?;
            if let Some(approves) = r.approves {
                let change = Change::by_system("fake", crate::state::now());
                let write = RevocationWrite {
                    approves: Some(approves),
                    ..RevocationWrite::new(StateChange::Unban, change)
                };
                self.store.write_revocation(write).await.unwrap();
            }
            Ok(receipt)
        })
    }

    fn affected(
        &self,
        scope: ScopeKind,
        value: String,
    ) -> Answer<'_, Result<Vec<AffectedSim>, ControlError>> {
        Box::pin(async move {
            if value == "nobody" {
                return Err(ControlError::NotFound);
            }
            let sessions = self.sessions().await?;
            let sims =
                sessions.iter().map(|s| s.imsi).filter(|i| scope != ScopeKind::Sim || i.to_string() == value);
            Ok(sims
                .map(|imsi| AffectedSim {
                    imsi,
                    state: SimState::Active,
                    sessions: sessions.iter().filter(|s| s.imsi == imsi).cloned().collect(),
                })
                .collect())
        })
    }

    fn ban_scope<'a>(
        &'a self,
        _: &'a BanCapability,
        r: ScopeBan,
    ) -> Answer<'a, Result<ScopeOutcome, BanError>> {
        self.note(format!(
            "ban {} {} {} by {}: {}",
            r.scope, r.value, r.state, r.asker.actor, r.asker.reason
        ));
        answer(if r.value == "nobody" {
            Err(BanError::NotFound)
        } else {
            Ok(ScopeOutcome {
                id: "0002".to_owned(),
                scope: r.scope.to_string(),
                value: r.value,
                state: r.state.to_string(),
                sims: 3,
                sessions: 3,
                device: None,
                cut_us: 200,
                stored: Vec::new(),
                failed: Vec::new(),
                pending: Vec::new(),
                kept: false,
            })
        })
    }

    fn restrict<'a>(
        &'a self,
        _: &'a QuarantineCapability,
        r: RestrictRequest,
    ) -> Answer<'a, Result<RestrictOutcome, ControlError>> {
        self.note(format!("restrict {:?} {} by {}: {}", r.what, r.on, r.asker.actor, r.asker.reason));
        answer(self.gateway().map(|()| RestrictOutcome {
            id: "0003".to_owned(),
            kind: "quarantine".to_owned(),
            value: "x".to_owned(),
            sims: 1,
            shards: 2,
            stored: Vec::new(),
            pending: Vec::new(),
        }))
    }

    fn unban_device<'a>(
        &'a self,
        _: &'a UnbanCapability,
        r: DeviceUnban,
    ) -> Answer<'a, Result<RestrictOutcome, ControlError>> {
        self.note(format!("unban device {} by {}: {}", r.device, r.asker.actor, r.asker.reason));
        Box::pin(async move {
            let value = r.device.to_string();
            let all = self.store.restrictions().await.unwrap();
            let Some(row) = all.into_iter().find(|x| x.kind == "device" && x.value == value) else {
                return Err(ControlError::NotFound);
            };
            let write = RevocationWrite {
                restriction: Some((row, false)),
                approves: r.approves,
                ..RevocationWrite::new(StateChange::Unban, Change::by_system("fake", crate::state::now()))
            };
            self.store.write_revocation(write).await.unwrap();
            let (kind, stored, pending) = ("unban".to_owned(), Vec::new(), Vec::new());
            Ok(RestrictOutcome { id: "0004".to_owned(), kind, value, sims: 0, shards: 2, stored, pending })
        })
    }

    fn second_person(&self) -> bool {
        self.second_person.load(Ordering::Relaxed)
    }

    fn backup<'a>(
        &'a self,
        _: &'a BackupCapability,
        name: String,
    ) -> Answer<'a, Result<BackupMade, BackupError>> {
        self.note(format!("backup {name}"));
        if name == "taken" {
            return answer(Err(BackupError::NameTaken));
        }
        let file = format!("/backups/{name}");
        answer(Ok(BackupMade { file, octets: 1, at: CUT_AT, sims: 0, banned: 0, journal_records: 0 }))
    }

    fn backups<'a>(
        &'a self,
        _: &'a BackupCapability,
    ) -> Answer<'a, Result<Vec<crate::control::BackupFile>, ControlError>> {
        let file = |name: &str| crate::control::BackupFile { name: name.to_owned(), octets: 7, at: CUT_AT };
        answer(Ok(vec![file("tuesday.skbackup"), file("monday.skbackup")]))
    }

    fn hold_lifted(&self) -> Answer<'_, Result<(), ControlError>> {
        self.note("hold_lifted".to_owned());
        answer(Ok(()))
    }

    fn sessions(&self) -> Answer<'_, Result<Vec<SessionView>, ControlError>> {
        let imsi = |n: u8| format!("00101000000000{n}").parse().unwrap();
        let session = |n: u8| SessionView {
            imsi: imsi(n),
            key: SessionKey::Own(PduSessionId::try_from(1).unwrap()),
            smf: None,
            dnn: if n == 3 { "factory" } else { "corp" }.parse().unwrap(),
            slice: None,
            ip: types::UeIp(std::net::Ipv4Addr::new(10, 20, 0, n)),
            prefix: None,
            rates: None,
            connected: true,
            gnb: Some("gnb-1".to_owned()),
            tai: Some(types::Tai {
                plmn: types::Plmn::new("001", "01").unwrap(),
                tac: types::Tac::try_from(1).unwrap(),
            }),
            cell: Some(0x10),
            since: CUT_AT,
            banned: false,
        };
        let foreign = |n: u8| SessionView {
            key: SessionKey::Foreign(types::Seid(0xc0ff_ee00 + u64::from(n))),
            smf: Some("core-smf".to_owned()),
            prefix: Some("2001:db8:45:7::/64".parse().unwrap()),
            rates: Some((50_000_000, 100_000_000)),
            gnb: None,
            tai: None,
            cell: None,
            ..session(n)
        };
        let all = (1..=3).rev().map(session).chain([foreign(4)]).collect();
        answer(self.gateway().map(|()| all))
    }

    fn end_session<'a>(
        &'a self,
        _: &'a SessionCapability,
        imsi: Imsi,
        key: SessionKey,
    ) -> Answer<'a, Result<(), ControlError>> {
        let there = match key {
            SessionKey::Own(id) => {
                self.note(format!("end_session {imsi} {}", u8::from(id)));
                u8::from(id) == 1
            }
            SessionKey::Foreign(seid) => {
                self.note(format!("end_session {imsi} {seid}"));
                seid.0 == 0xc0ffee
            }
        };
        answer(if there { Ok(()) } else { Err(ControlError::NotFound) })
    }

    fn awaiting_proof(&self, _: Imsi) -> Answer<'_, Result<Vec<types::Name>, ControlError>> {
        answer(Ok(Vec::new()))
    }

    fn provider_app(&self) -> Answer<'_, Option<ProviderApp>> {
        answer(self.provider.lock().unwrap().clone())
    }

    fn looked_up(&self, _: Imsi) -> Answer<'_, Result<Vec<LearnedName>, ControlError>> {
        answer(Ok(self.looked_up.lock().unwrap().clone()))
    }

    fn explain(&self, q: Question, at: Option<Utc>) -> Answer<'_, Result<Explanation, ControlError>> {
        Box::pin(async move {
            let s = self.store.policy_source().await.unwrap();
            let policy = Policy {
                generation: s.generation,
                data_networks: s.data_networks,
                apps: s.apps,
                groups: s.groups,
                rules: s.rules,
                ues: s.ues,
                risk: Default::default(),
            };
            let policy = policy.with_provider(self.provider.lock().unwrap().as_ref());
            let off = pgw_policy::clock::off(&policy.rules, at.unwrap_or_else(crate::state::now));
            let standing = pgw_policy::Standing { off, ..Default::default() };
            Ok(pgw_policy::explain_for(&policy, &q, &standing))
        })
    }

    fn findings(&self) -> Answer<'_, Vec<MachineFinding>> {
        let said = |en: &str, ja: &str| Said { en: en.to_owned(), ja: ja.to_owned() };
        answer(vec![MachineFinding {
            code: "key-mode",
            what: said("key file", "鍵ファイル"),
            state: FindingState::Bad,
            seen: said("others can read it", "他のユーザーも読み取れます"),
            command: Some("chmod 600 /k".to_owned()),
            fix: None,
        }])
    }

    fn status(&self) -> Answer<'_, Status> {
        assert!(!self.panics.load(Ordering::Relaxed), "a defect");
        let up = self.gateway().is_ok();
        answer(Status {
            started: CUT_AT,
            parts: vec![PartStatus { name: "gateway", up, detail: crate::say!("", "") }],
            transport: "udp".to_owned(),
            enforced_generation: Some(1),
            gnbs: vec![GnbView {
                name: "gnb-1".to_owned(),
                address: "10.0.0.7".parse().unwrap(),
                tacs: vec!["000001".to_owned()],
                ues: 2,
                since: CUT_AT,
            }],
            peers: vec![crate::PeerView {
                face: "n4",
                name: "core-smf".to_owned(),
                state: "up",
                started: Some(CUT_AT),
                origin_state: None,
                restarts: 1,
                holds: 3,
                ended: 2,
                restored: 4,
                due: 0,
            }],
            built_in: self.built_in(),
            apps: vec![crate::AppView {
                name: "wiki".to_owned(),
                probe: "http/80/healthz".to_owned(),
                address: Some("10.10.1.5".parse().unwrap()),
                state: "down",
                since: Some(CUT_AT),
                asked: Some(CUT_AT),
                why: Some(Said {
                    en: "it answers with 503".to_owned(), ja: "応答は 503 です".to_owned()
                }),
            }],
            ues: 2,
            sessions: 3,
            revoked: 1,
            journal_record: Some(7),
        })
    }

    fn metrics(&self) -> Answer<'_, Vec<Metric>> {
        answer(vec![Metric {
            name: "sekisho_packets_dropped_total",
            help: "Packets dropped, by reason.",
            kind: MetricKind::Counter,
            labels: vec![("reason", "banned".to_owned()), ("sim", "001010000000001".to_owned())],
            value: 12.0,
        }])
    }

    fn audit_standing(&self) -> Option<crate::AuditStanding> {
        Some(crate::AuditStanding { whole: CUT_AT, checked: CUT_AT, rows: 7, broken: None })
    }

    fn sign_audit(&self) -> Answer<'_, bool> {
        Box::pin(async move {
            let Some(r) = self.store.audit(None, None, 1).await.unwrap().items.pop() else { return true };
            let (public_key, signature) = ("aa".to_owned(), "bb".to_owned());
            let c = store::AuditCheckpoint { seq: r.seq, hash: r.hash, at: CUT_AT, public_key, signature };
            self.store.add_audit_checkpoint(c).await.is_ok()
        })
    }

    fn vault(&self) -> Answer<'_, Result<hss::Vault, ControlError>> {
        let vault = hss::Vault::new(&types::Key256::new([7; 32]), 1, None, [1; 32]);
        answer(Ok(vault.expect("a vault")))
    }

    fn sims_imported(&self, job: u64, event: Option<types::Event>) -> Answer<'_, Result<(), ControlError>> {
        self.note(format!("sims_imported {job} {}", event.is_some()));
        answer(Ok(()))
    }

    fn schedules_changed(&self) -> Answer<'_, ()> {
        self.note("schedules_changed".to_owned());
        answer(())
    }

    fn events(&self) -> broadcast::Receiver<EventRow> {
        self.events.subscribe()
    }
}
