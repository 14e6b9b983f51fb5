//! The control process, played by hand: the link, PFCP, policies, bans.

use super::*;
use pgw_policy::command::LearnedName;

/// The control process's part, played by hand.
pub(super) struct Control<'a> {
    pub(super) site: &'a Site,
    pub(super) sender: LinkSender,
    pub(super) receiver: LinkReceiver,
    pub(super) hello: GatewayHello,
    pub(super) sequence: u32,
    /// The SEID of the last session that was made.
    pub(super) session: Option<u64>,
    pub(super) flows: Vec<FlowRecord>,
}

impl Control<'_> {
    pub(super) fn say(&mut self, message: ToGateway) {
        self.site.runtime.block_on(self.sender.send(&message)).unwrap();
    }

    /// The next answer that `pick` takes; flow records are kept.
    pub(super) fn hear<T>(&mut self, pick: impl Fn(FromGateway) -> Option<T>) -> T {
        let (receiver, flows) = (&mut self.receiver, &mut self.flows);
        let heard = async {
            loop {
                match receiver.recv().await.unwrap() {
                    FromGateway::Flows { records, .. } => flows.extend(records),
                    other => {
                        if let Some(t) = pick(other) {
                            return t;
                        }
                    }
                }
            }
        };
        self.site.runtime.block_on(async { tokio::time::timeout(SOON, heard).await }).expect("no answer")
    }

    pub(super) fn pfcp(&mut self, seid: Option<u64>, message: impl Into<Message>) -> Message {
        self.sequence += 1;
        let sequence = self.sequence;
        self.say(ToGateway::N4(Pdu { seid, sequence, message: message.into() }.encode()));
        self.hear(|m| match m {
            FromGateway::N4(bytes) => {
                Pdu::parse(&bytes).ok().filter(|p| p.sequence == sequence).map(|p| p.message)
            }
            _ => None,
        })
    }

    pub(super) fn associate(&mut self) {
        let request = AssociationSetupRequest { node_id: NodeId::V4(US), ..Default::default() };
        let answer = self.pfcp(None, request);
        assert!(
            matches!(&answer, Message::AssociationSetupResponse(r) if r.cause.is_accepted()),
            "{answer:?}"
        );
    }

    /// A session of `imsi()`: our uplink TEID, or the cause of the refusal.
    pub(super) fn establish(&mut self) -> Result<u32, Cause> {
        self.establish_for(1)
    }

    /// A session of UE number `n`; the radio's end of its tunnel is `GNB_TEID + n - 1`.
    pub(super) fn establish_for(&mut self, n: u8) -> Result<u32, Cause> {
        self.establish_with(n, None)
    }

    /// The same with an IPv6 prefix beside the address.
    pub(super) fn establish_with(&mut self, n: u8, v6: Option<std::net::Ipv6Addr>) -> Result<u32, Cause> {
        let v4 = Some(ue(n));
        let (us, gnb) = (self.site.config.n3, self.site.gnb.local_addr().unwrap().ip());
        let radio = OuterHeaderCreation::gtpu(GNB_TEID + u32::from(n) - 1, gnb);
        let request = SessionEstablishmentRequest {
            node_id: NodeId::V4(US),
            cp_f_seid: FSeid { seid: n.into(), v4: Some(US), v6: None },
            create_pdrs: vec![
                CreatePdr {
                    pdr_id: PdrId(1),
                    precedence: Some(Precedence(100)),
                    pdi: Pdi {
                        source_interface: SourceInterface(0),
                        local_f_teid: Some(FTeid::Choose {
                            v4: us.is_ipv4(),
                            v6: us.is_ipv6(),
                            choose_id: None,
                        }),
                        ue_ip_addresses: vec![UeIpAddress { v4, v6, ..Default::default() }],
                        ..Default::default()
                    },
                    outer_header_removal: Some(OuterHeaderRemoval(0)),
                    far_id: Some(FarId(1)),
                    ..Default::default()
                },
                CreatePdr {
                    pdr_id: PdrId(2),
                    precedence: Some(Precedence(100)),
                    pdi: Pdi {
                        source_interface: SourceInterface(1),
                        ue_ip_addresses: vec![UeIpAddress {
                            v4,
                            v6,
                            destination: true,
                            ..Default::default()
                        }],
                        ..Default::default()
                    },
                    far_id: Some(FarId(2)),
                    ..Default::default()
                },
            ],
            create_fars: vec![
                CreateFar {
                    far_id: FarId(1),
                    apply_action: ApplyAction::of(ApplyAction::FORW),
                    forwarding_parameters: Some(ForwardingParameters {
                        destination_interface: DestinationInterface(1),
                        ..Default::default()
                    }),
                    ..Default::default()
                },
                CreateFar {
                    far_id: FarId(2),
                    apply_action: ApplyAction::of(ApplyAction::FORW),
                    forwarding_parameters: Some(ForwardingParameters {
                        destination_interface: DestinationInterface(0),
                        outer_header_creation: Some(radio),
                        ..Default::default()
                    }),
                    ..Default::default()
                },
            ],
            pdn_type: Some(PdnType(1)),
            user_id: Some(UserId { imsi: Some(imsi_of(n)), ..Default::default() }),
            apn_dnn: Some(ApnDnn("office".parse().unwrap())),
            pdu_session: Some(PduSession(PduSessionId::try_from(1).unwrap())),
            ..Default::default()
        };
        match self.pfcp(Some(0), request) {
            Message::SessionEstablishmentResponse(r) if r.cause.is_accepted() => {
                self.session = r.up_f_seid.map(|f| f.seid);
                match r.created_pdrs.first().and_then(|p| p.local_f_teid) {
                    Some(FTeid::Given { teid, v4, v6 }) => {
                        assert_eq!(FTeid::Given { teid, v4, v6 }, FTeid::at(teid, us));
                        Ok(teid)
                    }
                    other => panic!("no TEID: {other:?}"),
                }
            }
            Message::SessionEstablishmentResponse(r) => Err(r.cause),
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn publish_policy(&mut self, generation: u64) {
        self.publish_policy_with(generation, json!({ "dnn": "office", "pool": "10.45.0.0/16" }));
    }

    pub(super) fn publish_policy_with(&mut self, generation: u64, data_network: serde_json::Value) {
        self.publish_policy_until(generation, data_network, None);
    }

    pub(super) fn publish_policy_until(
        &mut self,
        generation: u64,
        data_network: serde_json::Value,
        until: Option<Utc>,
    ) {
        let mut policy: Policy = serde_json::from_value(json!({
            "generation": generation,
            "data_networks": [data_network],
            "apps": [{ "name": "wiki", "prefixes": ["10.50.0.1/32", "fd00:50::1/128"],
                       "services": ["udp/5000", "tcp/5201"] }, {
                 "name": "portal", "prefixes": ["10.50.0.1/32"], "services": ["tcp/443"],
                 "names": ["portal.example.jp"],
             }, {
                 "name": "resolver", "prefixes": ["10.50.0.1/32"], "services": ["udp/53"],
             }, {
                 "name": "db", "prefixes": ["10.50.0.1/32"], "services": ["tcp/5432"],
                 "names": ["db.example.jp"], "names_from": "dns",
             }],
            "rules": [{
                "name": "all-wiki", "order": 1, "subject": "any", "app": "wiki", "direction": "out",
                "verdict": "allow",
            }, {
                "name": "all-portal", "order": 2, "subject": "any", "app": "portal", "direction": "out",
                "verdict": "allow",
            }, {
                "name": "all-resolver", "order": 3, "subject": "any", "app": "resolver", "direction": "out",
                "verdict": "allow",
            }, {
                "name": "all-db", "order": 4, "subject": "any", "app": "db", "direction": "out",
                "verdict": "allow",
            }],
        }))
        .unwrap();
        policy.rules[0].when.until = until;
        let compiled = pgw_policy::compile(&policy).unwrap().to_bytes().unwrap();
        self.say(ToGateway::UePrefixes(vec!["10.45.0.0/16".parse().unwrap()]));
        self.say(ToGateway::Policy { generation, compiled });
        let result = self.hear(|m| match m {
            FromGateway::PolicyDone { generation: g, result } if g == generation => Some(result),
            _ => None,
        });
        assert_eq!(result, Ok(()));
    }

    /// Takes a rule out of the policy in force; the generation that is in force where it is another one.
    pub(super) fn change_policy(&mut self, base: u64, generation: u64, without: &str) -> Result<(), u64> {
        let changes = vec![pgw_policy::Change::NoRule(without.parse().unwrap())];
        self.say(ToGateway::PolicyChange { base, generation, changes });
        self.hear(|m| match m {
            FromGateway::PolicyDone { generation: g, result } if g == generation => {
                assert_eq!(result, Ok(()));
                Some(Ok(()))
            }
            FromGateway::PolicyWanted { has } => Some(Err(has)),
            _ => None,
        })
    }

    pub(super) fn cut(&mut self) -> CutReceipt {
        self.say(ToGateway::Cut {
            id: 77,
            imsi: imsi(),
            state: SimState::Stolen,
            actor: "soc".into(),
            reason: "laptop left in a taxi".into(),
            at: time::utc(),
        });
        self.hear(|m| match m {
            FromGateway::CutDone { id: 77, receipt } => Some(receipt),
            _ => None,
        })
    }

    pub(super) fn uncut(&mut self) {
        let (actor, reason, at) = ("owner".into(), "found".into(), time::utc());
        self.say(ToGateway::Uncut { id: 78, imsi: imsi(), actor, reason, at });
        let result = self.hear(|m| match m {
            FromGateway::UncutDone { id: 78, result } => Some(result),
            _ => None,
        });
        result.unwrap();
    }

    pub(super) fn trace(&mut self) -> SimTrace {
        self.say(ToGateway::Trace { id: 79, imsi: imsi() });
        self.hear(|m| match m {
            FromGateway::Trace { id: 79, trace } => Some(trace),
            _ => None,
        })
    }

    pub(super) fn looked_up(&mut self) -> Vec<LearnedName> {
        self.say(ToGateway::Names { id: 81, imsi: imsi() });
        self.hear(|m| match m {
            FromGateway::Names { id: 81, names } => Some(names),
            _ => None,
        })
    }

    pub(super) fn status(&mut self) -> GatewayStatus {
        self.say(ToGateway::Status { id: 80 });
        *self.hear(|m| match m {
            FromGateway::Status { id: 80, status } => Some(status),
            _ => None,
        })
    }
}
