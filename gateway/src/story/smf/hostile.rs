//! The PFCP rows of the hostile list over the node's own socket, each with a victim's session beside: after every one of
//! them the victim's packets pass, the listed SMF is answered, and nothing more is there than before. And what a UE may try
//! from inside its tunnel.

use super::*;
use std::net::TcpListener;

/// Who the hostile requests are about; the victim is `imsi()`.
const OTHER: u8 = 2;

struct Scene<'a> {
    control: Control<'a>,
    smf: Smf,
    victim: Made,
    sequence: u32,
}

fn element(kind: u16, value: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &(value.len() as u16).to_be_bytes(), value].concat()
}

fn datagram(kind: u8, seid: Option<u64>, sequence: u32, elements: &[u8]) -> Vec<u8> {
    let seid = seid.map(u64::to_be_bytes).into_iter().flatten().collect::<Vec<u8>>();
    let rest = [&seid[..], &(sequence << 8).to_be_bytes(), elements].concat();
    [&[0x20 | u8::from(!seid.is_empty()), kind][..], &(rest.len() as u16).to_be_bytes(), &rest].concat()
}

fn raw(kind: u16, value: &[u8]) -> Vec<RawIe> {
    vec![RawIe { kind, value: value.to_vec() }]
}

/// What the node says to a request: nothing, or this cause.
fn cause(message: &Message) -> Option<Cause> {
    match message {
        Message::AssociationSetupResponse(m) => Some(m.cause),
        Message::SessionEstablishmentResponse(m) => Some(m.cause),
        Message::SessionModificationResponse(m) => Some(m.cause),
        Message::SessionDeletionResponse(m) => Some(m.cause),
        _ => None,
    }
}

impl Scene<'_> {
    /// Sends octets, and then a heartbeat: what was said to them stands before its answer.
    fn said(&mut self, octets: Vec<u8>) -> Option<Cause> {
        let from = self.smf.seen.len() + 1;
        self.smf.send(octets).unwrap();
        self.settle();
        let answers = self.smf.seen[from..].iter().filter(|(ours, _)| !*ours);
        answers.filter_map(|(_, b)| cause(&Pdu::parse(b).unwrap().message)).next()
    }

    /// All that was sent has been answered, as far as it is.
    fn settle(&mut self) {
        let recovery = RecoveryTimeStamp(self.smf.recovery);
        let beat = self.smf.ask(None, HeartbeatRequest { recovery, others: Vec::new() }).unwrap();
        assert!(matches!(beat, Some(Message::HeartbeatResponse(_))), "the node no longer answers");
    }

    fn request(&mut self, kind: u8, seid: Option<u64>, elements: &[u8]) -> Option<Cause> {
        self.sequence += 1;
        self.said(datagram(kind, seid, self.sequence, elements))
    }

    fn says(&mut self, seid: u64, message: impl Into<Message>) -> Option<Cause> {
        self.sequence += 1;
        self.said(Pdu { seid: Some(seid), sequence: self.sequence, message: message.into() }.encode())
    }

    /// The other SIM's session, as it would be right.
    fn wanted(&self) -> SessionEstablishmentRequest {
        self.smf.establishment(&other())
    }

    /// The victim's packets pass, and there are as many sessions as there were.
    fn nothing_happened(&mut self, row: &str) {
        exchange(self.control.site, Core::Epc, self.victim.teid, row.as_bytes());
        let status = self.control.status();
        assert_eq!((status.smfs[0].state, status.smfs[0].sessions), (SmfState::Up, 1), "{row}");
        send_up(self.control.site, Core::Epc, self.victim.cp_teid, &question(b"by no endpoint"));
    }

    fn each<T>(
        &mut self,
        row: &str,
        variants: impl IntoIterator<Item = T>,
        mut play: impl FnMut(&mut Self, T),
    ) {
        let mut n = 0;
        for variant in variants {
            play(self, variant);
            n += 1;
        }
        assert!(n >= 3, "{row}");
        self.nothing_happened(row);
    }
}

fn other() -> Wish {
    Wish {
        imsi: Some(imsi_of(OTHER)),
        ip: Some(ue(OTHER)),
        radio: Some((GNB, 0x78)),
        seid: 2,
        ..wish(Core::Epc)
    }
}

#[test]
fn hostile_messages_over_the_socket_leave_everything_as_it_was() {
    in_a_namespace(
        "story::smf::hostile::hostile_messages_over_the_socket_leave_everything_as_it_was",
        || {
            let mut site = site();
            let mut control = site.start();
            let mut smf = associated(&mut control);
            let victim = session(&mut control, &mut smf, &wish(Core::Epc), as_named).unwrap();
            let mut s = Scene { control, smf, victim, sequence: 900_000 };
            let node = element(60, &[&[0][..], &SMF.octets()].concat());
            let stamp = element(96, &0xe000_0001u32.to_be_bytes());

            s.each("R91", [element(96, &[]), Vec::new(), element(96, &[1, 2, 3])], |s, body| {
                assert_eq!(s.request(1, None, &body), None);
            });
            let beyond = [&60u16.to_be_bytes()[..], &200u16.to_be_bytes(), &[0, 10, 10, 0, 4]].concat();
            let variants = [
                (node.clone(), Cause::MandatoryIeMissing),
                ([node.clone(), element(96, &[1, 2])].concat(), Cause::InvalidLength),
                ([beyond, stamp.clone()].concat(), Cause::InvalidLength),
            ];
            s.each("R93", variants, |s, (body, told)| assert_eq!(s.request(5, None, &body), Some(told)));

            // R95: Node IDs without an end are one association; sessions without an end, and questions.
            for n in 0..3_000u16 {
                let name = [&[2, 5][..], format!("n{n:04}").as_bytes()].concat();
                let accepted = s.request(5, None, &[element(60, &name), stamp.clone()].concat());
                assert_eq!(accepted, Some(Cause::Accepted));
            }
            s.smf.associate().unwrap().unwrap();
            s.nothing_happened("R95 Node IDs");
            let many =
                |n: u8| Wish { ip: Some(ue(20 + n)), radio: Some((GNB, 0x200 + u32::from(n))), ..other() };
            let made: Vec<u64> = (0..15)
                .map(|n| session(&mut s.control, &mut s.smf, &many(n), as_named).unwrap().seid)
                .collect();
            let refused = session(&mut s.control, &mut s.smf, &many(15), as_named);
            assert_eq!(refused, Err(Cause::NoResources), "a SIM has fifteen sessions at most");
            for seid in made {
                assert_eq!(s.smf.delete(seid).unwrap().unwrap().cause, Cause::Accepted);
            }
            s.nothing_happened("R95 sessions");
            let asked = Pdu { seid: Some(0), sequence: 901_000, message: s.wanted().into() }.encode();
            for _ in 0..200 {
                s.smf.send(asked.clone()).unwrap();
            }
            let ask = s.control.hear(|m| match m {
                FromGateway::ForeignAsk(ask) => Some(ask),
                _ => None,
            });
            s.control.say(ToGateway::ForeignAnswer { id: ask.id, answer: Err(ForeignRefusal::NotLiving) });
            s.smf.answer_to(50, 901_000, SOON).unwrap().unwrap();
            // What came again behind the answer got the same one.
            s.settle();
            s.nothing_happened("R95 questions");

            type Spoil = fn(&mut SessionEstablishmentRequest);
            let spoilt = |s: &mut Scene<'_>, (spoil, told): (Spoil, Cause)| {
                let mut m = s.wanted();
                spoil(&mut m);
                assert_eq!(s.says(0, m), Some(told));
                // Then traffic: there is nothing that it could meet.
                s.control.site.send_down(&udp((APP, 5000), (ue(OTHER), 40_000), b"to nobody"));
            };
            let variants: [(Spoil, Cause); 3] = [
                (|m| m.create_pdrs[1].far_id = None, Cause::ConditionalIeMissing),
                (|m| m.create_pdrs[1].far_id = Some(FarId(77)), Cause::RuleFailure),
                (|m| m.create_fars.clear(), Cause::RuleFailure),
            ];
            s.each("R97", variants, spoilt);
            let cut = |kind: &[u8]| {
                let forwarding_parameters =
                    Some(UpdateForwardingParameters { others: raw(84, kind), ..Default::default() });
                let far = UpdateFar { far_id: FarId(1), forwarding_parameters, ..Default::default() };
                SessionModificationRequest { update_fars: vec![far], ..Default::default() }
            };
            // Length 0, 3, and IPv6 that is cut: each twice in a row.
            let variants = [vec![], vec![1, 0, 0], [&[2, 0, 0, 0, 0, 7][..], &[0x20; 9]].concat()];
            s.each("R99", variants, |s, octets| {
                for _ in 0..2 {
                    assert_eq!(s.says(s.victim.seid, cut(&octets)), Some(Cause::InvalidLength));
                }
            });
            let urr = |method: Option<u8>, others| {
                let rest = raw(37, &[2, 0]).into_iter().chain(others);
                let others = method.map(|m| raw(62, &[m]).remove(0)).into_iter().chain(rest);
                let id = element(81, &65_535u32.to_be_bytes());
                let body = others.flat_map(|r: RawIe| element(r.kind, &r.value));
                element(6, &[id, body.collect()].concat())
            };
            let short = [
                (urr(None, Vec::new()), Cause::MandatoryIeMissing),
                (urr(Some(2), raw(31, &[7, 0, 0])), Cause::InvalidLength),
                (urr(Some(2), raw(32, &[1])), Cause::InvalidLength),
            ];
            s.each("R101", short, |s, (body, told)| {
                assert_eq!(s.request(52, Some(s.victim.seid), &body), Some(told));
            });
            let to = |n| {
                move |m: &mut SessionEstablishmentRequest| {
                    let forwarding = m.create_fars[1].forwarding_parameters.as_mut().unwrap();
                    forwarding.destination_interface = DestinationInterface(n);
                }
            };
            s.each("R103", [0x09, 0x04, 0x0f], |s, n| {
                let mut m = s.wanted();
                to(n)(&mut m);
                assert_eq!(s.says(0, m), Some(Cause::MandatoryIeIncorrect));
            });

            // R105: answers to the report of a session that has gone.
            let second = session(&mut s.control, &mut s.smf, &other(), as_named).unwrap();
            send_up(s.control.site, Core::Epc, second.teid, &udp((ue(OTHER), 40_000), (APP, 5000), b"opens"));
            s.control.site.at_company(SOON).unwrap();
            assert_eq!(s.smf.modify(second.seid, idle()).unwrap().unwrap().cause, Cause::Accepted);
            s.control.site.send_down(&udp((APP, 5000), (ue(OTHER), 40_000), b"wakes"));
            s.smf.serve(NEVER / 3).unwrap();
            assert_eq!(s.smf.delete(second.seid).unwrap().unwrap().cause, Cause::Accepted);
            s.smf.report(2, Cause::SessionContextNotFound, SOON).unwrap().expect("a report");
            let late = s.smf.seen.last().unwrap().1.clone();
            let anew = |cause| SessionReportResponse { cause, ..Default::default() };
            let sequence = Pdu::parse(&late).unwrap().sequence;
            let variants = [
                late,
                Pdu { seid: Some(2), sequence, message: anew(Cause::Accepted).into() }.encode(),
                Pdu { seid: Some(0xf13), sequence, message: anew(Cause::SessionContextNotFound).into() }
                    .encode(),
            ];
            s.each("R105", variants, |s, octets| assert_eq!(s.said(octets), None));

            // R113: answers to what was never asked of the SMF: without a Node ID, with one that is cut, with all but it.
            let bare = element(19, &[1]);
            let cut = [element(60, &[0, 10, 10]), bare.clone()].concat();
            let seids = [element(57, &[&[2][..], &[0; 8], &SMF.octets()].concat()), bare.clone()].concat();
            s.each("R113", [bare, cut, seids, Vec::new()], |s, body| {
                for seid in [Some(s.victim.seid), Some(0), None] {
                    assert_eq!(s.request(51, seid, &body), None);
                }
            });

            let variants: [(Spoil, Cause); 3] = [
                (|m| m.create_pdrs[3].precedence = None, Cause::MandatoryIeMissing),
                (|m| m.create_fars[2].far_id = FarId(1), Cause::RuleFailure),
                (|m| m.create_pdrs[1].qer_ids = vec![QerId(9)], Cause::RuleFailure),
            ];
            s.each("R107", variants, spoilt);

            // R109: the victim's address for another SIM, in its uplink rule alone, and by a modification of another session.
            let granted = |_: &ForeignAsk| Ok(ForeignGrant { ip: types::UeIp(UE), prefix: None });
            let taken = Wish { ip: Some(UE), ..other() };
            assert_eq!(session(&mut s.control, &mut s.smf, &taken, granted), Err(Cause::RuleFailure));
            let address =
                |m: &mut SessionEstablishmentRequest| m.create_pdrs[1].pdi.ue_ip_addresses[0].v4 = Some(UE);
            let mut m = s.wanted();
            address(&mut m);
            assert_eq!(s.says(0, m), Some(Cause::RuleFailure));
            let second = session(&mut s.control, &mut s.smf, &other(), as_named).unwrap();
            let mut pdi = s.wanted().create_pdrs.remove(0).pdi;
            pdi.ue_ip_addresses[0].v4 = Some(UE);
            let update = UpdatePdr { pdr_id: PdrId(1), pdi: Some(pdi), ..Default::default() };
            let m = SessionModificationRequest { update_pdrs: vec![update], ..Default::default() };
            assert_eq!(s.smf.modify(second.seid, m).unwrap().unwrap().cause, Cause::RuleFailure);
            assert_eq!(s.smf.delete(second.seid).unwrap().unwrap().cause, Cause::Accepted);
            s.nothing_happened("R109");

            let whole = Pdu {
                seid: Some(s.victim.seid),
                sequence: 902_000,
                message: SessionDeletionRequest::default().into(),
            };
            let length = |by: i16| {
                let mut octets = whole.encode();
                let n = i16::from_be_bytes([octets[2], octets[3]]) + by;
                octets[2..4].copy_from_slice(&n.to_be_bytes());
                octets
            };
            let surplus = [whole.encode(), vec![0]].concat();
            let mut several = whole.encode();
            several[0] |= 0x04;
            s.each("R111", [length(1), length(-1), surplus, several], |s, octets| {
                assert_eq!(s.said(octets), None)
            });
            assert_eq!(s.control.site.at_company(NEVER), None);
        },
    );
}

fn tcp_syn(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16)) -> Vec<u8> {
    let mut p = udp(from, to, &[0; 12]);
    p[9] = 6;
    p[10..12].fill(0);
    let sum = p[..20].chunks(2).map(|w| u32::from(w[0]) << 8 | u32::from(w[1])).sum::<u32>();
    let sum = !((sum & 0xffff) as u16).wrapping_add((sum >> 16) as u16);
    p[10..12].copy_from_slice(&sum.to_be_bytes());
    // Sequence and acknowledgement number, five words of header, SYN.
    p[24..40].copy_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0]);
    p
}

/// R77: PFCP, Diameter and GTP inside the tunnel of a foreign and of an own session, to every address that the core has.
#[test]
fn a_ue_reaches_the_core_by_none_of_its_protocols() {
    in_a_namespace("story::smf::hostile::a_ue_reaches_the_core_by_none_of_its_protocols", || {
        let mut site = site();
        let mut control = site.start();
        let mut smf = associated(&mut control);
        let foreign = session(&mut control, &mut smf, &wish(Core::Epc), as_named).unwrap();
        control.associate();
        let own = control.establish_for(2).unwrap();
        // Somebody who would answer: Diameter by TCP and UDP, GTP-C.
        let diameter = TcpListener::bind((US, 3868)).unwrap();
        diameter.set_nonblocking(true).unwrap();
        let sockets: Vec<UdpSocket> = [(US, 3868), (US, 2123), (SMF, GTPU_PORT), (SMF, 3868)]
            .into_iter()
            .map(|at| UdpSocket::bind(at).unwrap())
            .collect();
        let deletion = |seid| {
            Pdu { seid: Some(seid), sequence: 1, message: SessionDeletionRequest::default().into() }.encode()
        };
        let association = AssociationSetupRequest { node_id: NodeId::V4(SMF), ..Default::default() };
        let association = Pdu { seid: None, sequence: 1, message: association.into() }.encode();
        let g_pdu = |teid: u32| {
            let inner = question(b"as somebody else");
            [&[0x30, 0xff][..], &(inner.len() as u16).to_be_bytes(), &teid.to_be_bytes(), &inner].concat()
        };
        let echo = vec![0x32, 1, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0];
        // Capabilities-Exchange-Request without an AVP (RFC 6733 §5.3.1).
        let cer = [&[1, 0, 0, 20, 0x80, 0, 1, 1][..], &[0; 12]].concat();
        let (seen, before) = (smf.seen.len(), control.status());
        let mut sent = 0;
        for (ue, foreign_one, teid, other) in
            [(UE, true, foreign.teid, own), (super::ue(2), false, own, foreign.teid)]
        {
            let site = control.site;
            let up = |inner: &[u8]| match foreign_one {
                true => send_up(site, Core::Epc, teid, inner),
                false => site.send_up(teid, inner),
            };
            let tun = Ipv4Addr::new(10, 45, 255, 254);
            for to in [US, SMF, GNB, tun, Ipv4Addr::LOCALHOST] {
                let pfcp = [deletion(foreign.seid), association.clone()].map(|octets| (PORT, octets));
                let gtp = [g_pdu(other), echo.clone()].map(|octets| (GTPU_PORT, octets));
                let gtp_c = (2123, echo.clone());
                for (port, octets) in pfcp.into_iter().chain(gtp).chain([gtp_c, (3868, cer.clone())]) {
                    up(&udp((ue, port), (to, port), &octets));
                    sent += 1;
                }
                up(&tcp_syn((ue, 40_000), (to, 3868)));
                sent += 1;
            }
        }
        let dropped = |status: &GatewayStatus| {
            let by = |r| status.shards.iter().map(|s| s.counters.dropped(r)).sum::<u64>();
            by(Reason::OwnAddress) + by(Reason::SpecialAddress)
        };
        let begin = Instant::now();
        while dropped(&control.status()) < sent && begin.elapsed() < SOON {
            thread::sleep(Duration::from_millis(1));
        }
        let status = control.status();
        assert_eq!(dropped(&status), sent);
        assert_eq!(control.site.at_company(NEVER), None);
        assert_eq!(control.site.at_radio(NEVER), None);
        for socket in &sockets {
            socket.set_nonblocking(true).unwrap();
            assert!(socket.recv_from(&mut [0; 64]).is_err(), "{:?}", socket.local_addr());
        }
        assert!(diameter.accept().is_err());
        // The node has heard nobody but its SMF, and no session is gone.
        assert_eq!((status.pfcp_refused, smf.seen.len()), (before.pfcp_refused, seen));
        assert_eq!(status.smfs[0].sessions, 1);
        exchange(control.site, Core::Epc, foreign.teid, b"still there");
    });
}
