//! What a session has room for, by real sockets: its MTU, and the rate that PFCP gives it.

use super::*;
use types::Reason;

#[test]
fn a_session_has_the_mtu_and_the_rate_that_it_was_given() {
    in_a_namespace("story::capacity::a_session_has_the_mtu_and_the_rate_that_it_was_given", || {
        let mut site = Site::build(1);
        let mut control = site.start();
        control.associate();
        // The TUN takes 1 400 octets, the data network fewer: what is between them, no kernel catches.
        control.publish_policy_with(1, json!({ "dnn": "office", "pool": "10.45.0.0/16", "mtu": 1_300 }));
        let teid = control.establish().unwrap();
        control.site.send_up(teid, &question(b"first"));
        assert!(control.site.at_company(SOON).is_some());
        let too_big = answer(&[7; 1_301 - 28]);
        control.site.send_down(&too_big);
        let told = control.site.at_company(SOON).expect("an ICMP message");
        assert_eq!((told[9], &told[12..16], &told[20..22]), (1, &UE.octets()[..], &[3, 4][..]));
        assert_eq!(u16::from_be_bytes([told[26], told[27]]), 1_300);
        // The kernel forwarded the packet: one hop fewer, and the header's checksum with it.
        assert_eq!((&told[28..36], &told[40..56]), (&too_big[..8], &too_big[12..28]));
        control.site.send_down(&answer(&[7; 1_300 - 28]));
        assert_eq!(control.site.at_radio(SOON).expect("what fits").1.len(), 1_300);

        control.limit(1_000);
        let word = vec![9; 1_000 - 28];
        // At 1 000 kbit/s the bucket holds 65 536 octets, and a second gives 125 000 more.
        let begin = Instant::now();
        for _ in 0..200 {
            control.site.send_up(teid, &question(&word));
        }
        let dropped = |c: &mut Control<'_>| c.status().shards[0].counters.dropped(Reason::RateExceeded);
        let counted = |c: &mut Control<'_>| c.status().shards[0].counters.uplink_packets + dropped(c);
        while counted(&mut control) < 201 {
            assert!(begin.elapsed() < SOON, "packets are missing");
        }
        let earned = begin.elapsed().as_millis() as u64 * 125;
        let passed = 200 - dropped(&mut control);
        println!("{passed} of 200 packets passed while {earned} octets were earned");
        assert!(passed >= 65, "{passed} packets of what the bucket holds");
        assert!(passed * 1_000 <= 65_536 + earned, "{passed} packets in {:?}", begin.elapsed());
    });
}

impl Control<'_> {
    /// The session of `imsi()` gets a QER with this rate, both ways.
    fn limit(&mut self, kbps: u64) {
        let seid = self.session.expect("a session");
        let qer = QerId(1);
        let mbr = Some(Mbr { uplink: kbps, downlink: kbps });
        let of = |pdr| UpdatePdr { pdr_id: PdrId(pdr), qer_ids: vec![qer], ..Default::default() };
        let request = SessionModificationRequest {
            create_qers: vec![CreateQer { qer_id: qer, mbr, ..Default::default() }],
            update_pdrs: vec![of(1), of(2)],
            ..Default::default()
        };
        match self.pfcp(Some(seid), request) {
            Message::SessionModificationResponse(r) => assert!(r.cause.is_accepted(), "{r:?}"),
            other => panic!("{other:?}"),
        }
    }
}
