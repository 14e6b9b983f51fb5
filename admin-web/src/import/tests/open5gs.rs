//! Subscribers as mongoexport writes them, of the release's own form.

use super::*;

/// One, with more than we have a place for.
const FULL: &str = r#"{"_id":{"$oid":"65a1"},"schema_version":1,"imsi":"001010000000001","msisdn":["8190000001"],"imeisv":[],
"security":{"k":"11111111 22222222 33333333 44444401","op":null,"opc":"AAAAAAAA BBBBBBBB CCCCCCCC DDDDDD01","amf":"8000",
"sqn":{"$numberLong":"4193"}},"ambr":{"downlink":{"value":2,"unit":3},"uplink":{"value":500,"unit":2}},
"slice":[{"sst":1,"sd":"0000FF","default_indicator":true,"session":[{"name":"corp","type":3,"qos":{"index":7,"arp":{"priority_level":8}},
"ue":{"ipv4":"10.20.0.9","ipv6":"2001:db8::9"},"pcc_rule":[{"flow":[]}]}]},{"sst":2,"session":[{"name":"factory","type":1,
"qos":{"index":9}},{"name":"corp","ue":{"ipv4":"10.20.0.9"}}]}],"subscriber_status":0,"operator_determined_barring":3,"__v":0}"#;

fn small(n: u32, more: &str) -> String {
    format!(
        r#"{{"imsi":"00101000000000{n}","security":{{"k":"{}","op":"{}","opc":null,"sqn":64}},
"slice":[{{"sst":1,"session":[{{"name":"corp"}}]}}]{more}}}"#,
        key(n * 2),
        key(99)
    )
}

#[test]
fn a_subscriber_becomes_a_line_and_what_has_no_place_is_named() {
    let all = json(FULL);
    assert_eq!(found(&all), [(1, "", "open5gs-left-out")]);
    assert_eq!(all.findings[0].other, "ue.ipv6, pcc_rule, qos.index, operator_determined_barring");
    assert_eq!(
        cells(&all.rows[0]),
        [
            ("dnns", "corp;factory"),
            ("static_ips", "corp=10.20.0.9"),
            ("slices", "1-0000ff;2"),
            ("label", "8190000001"),
            ("ambr_ul_bps", "500000000"),
            ("ambr_dl_bps", "2000000000"),
            ("exported_seq", "131"),
            ("imsi", "001010000000001"),
            ("k", "11111111 22222222 33333333 44444401"),
            ("opc", "AAAAAAAA BBBBBBBB CCCCCCCC DDDDDD01"),
        ]
    );
    for (text, code) in [
        (r#"{"imsi":"001010000000001","security":{"k":"11"},"pdn":[{"apn":"internet"}]}"#, "open5gs-old"),
        (r#"{"imsi":"001010000000001","security":7}"#, "open5gs-unread"),
        (r#"{"imsi":"001010000000001","security":{},"slice":{"a":1}}"#, "open5gs-unread"),
    ] {
        let all = json(text);
        assert_eq!((found(&all), all.rows.len()), (vec![(1, "", code)], 0), "{text}");
    }
    // A rate or an SQN that is none, and units that nobody has, leave their cells empty.
    let all = json(&small(
        2,
        r#","ambr":{"downlink":{"value":1,"unit":9},"uplink":{"value":99999999999999999,"unit":4}}"#,
    ));
    assert!(cells(&all.rows[0]).iter().all(|(c, _)| !c.starts_with("ambr")));
    // The word in a cell of ours is no such document.
    assert_eq!(found(&json(r#"{"imsi":"001010000000001","label":"\"security\" desk"}"#)), []);
}

#[tokio::test]
async fn an_export_is_imported_with_its_keys_and_the_sqn_goes_on_above_it() {
    let w = World::new().await;
    let file = format!("[{FULL},\n{},\n{}]", small(2, r#","subscriber_status":1"#), small(3, ""));
    let options = Options { format: Format::Json, ..ALL };
    let job = w.import_as(&file, Options { mode: Mode::DryRun, ..options.clone() }).await;
    assert_eq!((counts(&job), w.count().await), ((3, 0, 0, 0), 0));
    let job = w.import_as(&file, options.clone()).await;
    assert_eq!((job.state, counts(&job), w.count().await), (JobState::Done, (3, 0, 0, 0), 3));
    let state = async |n| w.store.sim(imsi(n)).await.unwrap().state;
    assert_eq!(
        (state(1).await, state(2).await, state(3).await),
        (SimState::Ready, SimState::Stock, SimState::Ready)
    );
    // D2: the last SEQ that was given out there, and room for what was given out since.
    let sqn = w.store.sim(imsi(1)).await.unwrap().sqn;
    assert!(hss::SqnState::imported(131, AT).offset == sqn.offset, "{sqn:?}");
    // The same file again changes nothing.
    let job = w.import_as(&file, options.clone()).await;
    assert_eq!(counts(&job), (0, 0, 3, 0));
    // A data network that is not there yet is named, and nothing is written.
    let other = small(4, "").replace("\"corp\"", "\"ims\"");
    let job = w.import_as(&other, options).await;
    assert_eq!(w.errors(job.id).await[0].2, "no-dnn");
    assert_eq!((job.state, w.count().await), (JobState::Failed, 3));
}
