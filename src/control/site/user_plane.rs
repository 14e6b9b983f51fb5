//! The site's gateway: an N4 node and a shard that do what control tells them, and a foreign SMF beside.

use super::*;

impl Site {
    /// The foreign SMF says something.
    pub fn smf_says(&mut self, seid: Option<u64>, message: wire::pfcp::Message) {
        self.smf_sequence += 1;
        let bytes = wire::pfcp::Pdu { seid, sequence: self.smf_sequence, message }.encode();
        self.to_smf.clear();
        self.n4.handle(Peer::Udp(SMF.into()), &bytes, now());
        self.run_n4();
    }

    /// The last that it was told.
    pub fn smf_hears(&mut self) -> Option<wire::pfcp::Message> {
        self.to_smf.pop()
    }

    pub async fn smf_associates(&mut self) {
        let request = wire::pfcp::AssociationSetupRequest {
            node_id: wire::pfcp::NodeId::V4(SMF),
            recovery: wire::pfcp::RecoveryTimeStamp(1),
            ..Default::default()
        };
        self.smf_says(None, request.into());
        self.rest().await;
    }

    pub(super) fn run_n4(&mut self) {
        while let Some(o) = self.n4.poll_output() {
            match o {
                N4Output::Send { peer: Peer::Udp(_), bytes, .. } => {
                    let pdu = wire::pfcp::Pdu::parse(&bytes).expect("PFCP of ours");
                    self.to_smf.push(pdu.message);
                }
                N4Output::Send { bytes, .. } => {
                    self.control.link(LinkEvent::Message(FromGateway::N4(bytes)));
                }
                N4Output::Command { token, command, .. } => {
                    let reply = self.shard.command(command, now());
                    self.n4.confirmed(token, reply, now());
                }
                N4Output::Ask(ask) => self.control.link(LinkEvent::Message(FromGateway::ForeignAsk(ask))),
                N4Output::Foreign { session, up } => {
                    self.control.link(LinkEvent::Message(FromGateway::Foreign { session, up }));
                }
                N4Output::Smf { smf, state } => {
                    self.control.link(LinkEvent::Message(FromGateway::Smf { smf, state }));
                }
            }
        }
    }

    fn store(&mut self) -> Stored {
        self.records += 1;
        Stored { record: self.records, hash: [self.records as u8; 32] }
    }

    fn cut(&mut self, imsi: Imsi, state: SimState) -> CutReceipt {
        self.n4.revoke(imsi, true);
        let ShardReply::Cut(r) = self.shard.command(ShardCommand::Cut { imsi }, now()) else { panic!() };
        CutReceipt {
            imsi,
            state,
            cut_at: now().utc,
            cut_mono: now().mono,
            cut_us: 120,
            store_us: 900,
            shards_confirmed: 1,
            shards: 1,
            sessions: r.sessions,
            last_packet: r.last_packet,
            dropped: r.dropped,
            journal: Ok(self.store()),
            copies: vec![],
        }
    }

    pub(super) fn gateway_does(&mut self, m: ToGateway) {
        let answer = match m {
            ToGateway::Cut { id, imsi, state, .. } => {
                FromGateway::CutDone { id, receipt: self.cut(imsi, state) }
            }
            ToGateway::CutAll { id, imsis, state, .. } => {
                let receipts = imsis.into_iter().map(|i| self.cut(i, state)).collect();
                FromGateway::CutAllDone { id, receipts }
            }
            ToGateway::Uncut { id, imsi, .. } => {
                self.n4.revoke(imsi, false);
                self.shard.command(ShardCommand::Uncut { imsi }, now());
                FromGateway::UncutDone { id, result: Ok(self.store()) }
            }
            ToGateway::ForeignAnswer { id, answer } => {
                self.n4.answered(id, answer, now());
                return self.run_n4();
            }
            ToGateway::EndForeign { seids } => {
                self.n4.end_foreign(&seids, now());
                return self.run_n4();
            }
            ToGateway::CutImei { id, .. }
            | ToGateway::Quarantine { id, .. }
            | ToGateway::Panic { id, .. } => {
                FromGateway::RestrictDone { id, result: Ok(self.store()), shards: 1 }
            }
            ToGateway::Policy { generation, compiled } => {
                self.policy = Compiled::from_bytes(&compiled).expect("a policy");
                FromGateway::PolicyDone { generation, result: Ok(()) }
            }
            ToGateway::PolicyChange { base, .. } if base != self.policy.generation() => {
                FromGateway::PolicyWanted { has: self.policy.generation() }
            }
            ToGateway::PolicyChange { generation, changes, .. } => {
                self.policy = self.policy.with(&changes, generation).expect("a change").0;
                FromGateway::PolicyDone { generation, result: Ok(()) }
            }
            ToGateway::Union { id, .. } => FromGateway::UnionDone { id, result: Ok(JournalHead::default()) },
            ToGateway::Names { id, imsi } => match self.shard.command(ShardCommand::Names { imsi }, now()) {
                ShardReply::Names(names) => FromGateway::Names { id, names },
                other => panic!("{other:?}"),
            },
            ToGateway::Trace { id, imsi } => {
                let r = match self.shard.command(ShardCommand::Cut { imsi }, now()) {
                    ShardReply::Cut(r) => r,
                    other => panic!("{other:?}"),
                };
                let trace = SimTrace {
                    revoked: true,
                    sessions: r.sessions,
                    dropped: r.dropped + 7,
                    last_packet: r.last_packet,
                };
                FromGateway::Trace { id, trace }
            }
            _ => return,
        };
        self.control.link(LinkEvent::Message(answer));
    }

    /// Sessions that the gateway has.
    pub fn sessions(&self) -> usize {
        self.n4.session_count()
    }

    /// The gateway says something unasked.
    pub async fn gateway_says(&mut self, m: FromGateway) {
        self.control.link(LinkEvent::Message(m));
        self.rest().await;
    }
}
