//! `sekisho compat open5gs-dbctl` as scripts call it: the binary itself, before the API of a control process of its own.

use serde_json::{Value, json};
use std::{
    fs,
    io::Write as _,
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

const EXE: &str = env!("CARGO_BIN_EXE_sekisho");
const K: &str = "465b5ce8b199b49faa5f0a2ee238a6bc";
const OPC: &str = "e8ed289deba952e4283b54e88e6183ca";

/// A control process and who calls it.
struct Node {
    dir: tempfile::TempDir,
    api: SocketAddr,
    token: String,
    child: Child,
    /// Of each SIM another K: two cards with one are refused.
    keys: u32,
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Node {
    fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let api = TcpListener::bind(local(0)).and_then(|l| l.local_addr()).expect("a port");
        let n2 = UdpSocket::bind(local(0)).and_then(|s| s.local_addr()).expect("a port").port();
        let config = dir.path().join("sekisho.toml");
        let text = format!(
            "[network]\nplmn = \"001-01\"\ntacs = [1]\nslices = [\"1\", \"1-00000a\"]\n\
             [n2]\naddress = \"127.0.0.1\"\ntransport = \"udp\"\nudp_port = {n2}\n[n3]\naddress = \"127.0.0.1\"\n\
             [paths]\ndata = \"{}\"\n[api]\nlisten = \"{api}\"\n",
            dir.path().join("data").display()
        );
        fs::write(&config, text).expect("written");
        let made = Command::new(EXE).arg("init").arg("--config").arg(&config).output().expect("run");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let token = String::from_utf8(made.stdout).expect("text").trim().to_owned();
        let log = fs::File::create(dir.path().join("log")).expect("a file");
        let child = Command::new(EXE)
            .args(["run", "--part", "control", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the file"))
            .stderr(log)
            .spawn()
            .expect("started");
        let node = Self { dir, api, token, child, keys: 0 };
        let began = Instant::now();
        while !node.run(&["whoami"], "").status.success() {
            assert!(began.elapsed() < Duration::from_secs(30), "the API does not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
        for (dnn, pool) in [("internet", 45), ("internet1", 46), ("internet2", 47), ("corp", 48)] {
            let pool = format!("10.{pool}.0.0/16");
            node.good(&["data-network", "add", dnn, "--pool", &pool], "");
        }
        node
    }

    /// The language stands first: what follows a verb of the other tool is its own.
    fn run(&self, words: &[&str], input: &str) -> Output {
        let mut child = Command::new(EXE)
            .args(["--lang", "en"])
            .args(words)
            .env("SEKISHO_API", format!("http://{}", self.api))
            .env("SEKISHO_TOKEN", &self.token)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("started");
        // One that refuses at once does not read.
        drop(child.stdin.take().expect("a pipe").write_all(input.as_bytes()));
        child.wait_with_output().expect("ended")
    }

    fn good(&self, words: &[&str], input: &str) -> String {
        let done = self.run(words, input);
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).expect("text")
    }

    fn dbctl(&self, line: &str, input: &str) -> Output {
        let words: Vec<&str> =
            ["compat", "open5gs-dbctl"].into_iter().chain(line.split_whitespace()).collect();
        self.run(&words, input)
    }

    fn does(&self, line: &str, input: &str) -> String {
        let done = self.dbctl(line, input);
        assert!(done.status.success(), "{line}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).expect("text")
    }

    /// Exit code and what it said.
    fn refuses(&self, line: &str) -> (i32, String) {
        let done = self.dbctl(line, "");
        (done.status.code().expect("a code"), String::from_utf8(done.stderr).expect("text"))
    }

    fn pair(&mut self) -> String {
        self.keys += 1;
        format!("{:032x} {OPC}\n", 0x1234_5678_9abc_def0_u128 + u128::from(self.keys))
    }

    fn sim(&self, imsi: &str) -> Value {
        serde_json::from_str(&self.good(&["sim", "show", imsi, "-o", "json"], "")).expect("JSON")
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.dir.path().join(name);
        fs::write(&file, text).expect("written");
        file
    }
}

#[test]
fn every_verb_does_what_a_script_means_by_it() {
    let mut n = Node::start();

    // SIMs come, and keys never by an argument unless that is asked for.
    let pair = n.pair();
    n.does("add 001010000000001 -", &pair);
    let pair = n.pair();
    n.does("add 001010000000002 10.45.0.9 -", &pair);
    let pair = n.pair();
    n.does("addT1 001010000000003 -", &pair);
    let (k, opc) = (format!("{:032x}", 0xabc), OPC);
    let keys = n.file("sim.key", &format!("k = {k}\nopc = {opc}\n"));
    n.does(&format!("--keys-from {} add_ue_with_apn 001010000000004 corp", keys.display()), "");
    let pair = n.pair();
    n.does("add_ue_with_slice 001010000000005 - corp 1 00000a", &pair);
    n.does(&format!("--keys-in-arguments add 001010000000006 {:032x} {OPC}", 0xdef), "");
    let one = n.sim("001010000000001");
    assert_eq!(
        (&one["dnns"], &one["ambr_dl_bps"], &one["state"]),
        (&json!(["internet"]), &json!(1_000_000_000), &json!("ready"))
    );
    assert_eq!(n.sim("001010000000002")["static_ips"], json!({ "internet": "10.45.0.9" }));
    assert_eq!(n.sim("001010000000003")["dnns"], json!(["internet", "internet1", "internet2"]));
    assert_eq!(n.sim("001010000000004")["dnns"], json!(["corp"]));
    assert_eq!(n.sim("001010000000005")["slices"], json!(["1-00000a"]));

    let (code, said) = n.refuses(&format!("add 001010000000007 {K} {OPC}"));
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("printf") && !said.contains(K) && !said.contains(OPC), "{said}");
    let (code, said) = n.refuses("add 001010000000001 -");
    assert_eq!(code, 1, "no keys came: {said}");
    let pair = n.pair();
    assert_eq!(n.dbctl("add 001010000000001 -", &pair).status.code(), Some(3), "there is one already");

    // They are changed.
    n.does("static_ip 001010000000001 10.45.0.77", "");
    n.does("update_apn 001010000000001 corp 0", "");
    n.does("ambr_speed 001010000000001 100 2 20 2", "");
    let one = n.sim("001010000000001");
    assert_eq!(
        (&one["static_ips"], &one["dnns"]),
        (&json!({ "internet": "10.45.0.77" }), &json!(["internet", "corp"]))
    );
    assert_eq!((&one["ambr_dl_bps"], &one["ambr_ul_bps"]), (&json!(100_000_000), &json!(20_000_000)));
    n.does("update_slice 001010000000005 internet 1 ffffff", "");
    let five = n.sim("001010000000005");
    assert_eq!((&five["slices"], &five["dnns"]), (&json!(["1-00000a", "1"]), &json!(["corp", "internet"])));
    n.does("update_slice 001010000000001 internet2 1 00000a", "");
    let one = n.sim("001010000000001");
    assert_eq!(one["slices"], json!([]), "it has every slice already");
    assert_eq!(one["dnns"], json!(["internet", "corp", "internet2"]));
    assert_eq!(n.refuses("update_apn 001010000000001 internet1 4").0, 2);

    // Barred, and not.
    n.does("subscriber_status 001010000000001 0 0", "");
    assert_eq!(n.sim("001010000000001")["state"], "ready", "nothing was barred");
    n.good(&["sim", "bulk", "001010000000001", "--expect", "1", "--state", "active", "--reason", "x"], "");
    n.does("subscriber_status 001010000000001 1 0", "");
    assert_eq!(n.sim("001010000000001")["state"], "suspended");
    n.does("subscriber_status 001010000000001 0 0", "");
    assert_eq!(n.sim("001010000000001")["state"], "active");

    // They are shown, without keys.
    let all = n.does("showall", "");
    assert_eq!(all.lines().count(), 6);
    let each: Vec<Value> = all.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    assert_eq!(each[0]["imsi"], "001010000000001");
    let pretty: Value = serde_json::from_str(&n.does("showpretty", "")).expect("JSON");
    assert_eq!(pretty.as_array().map(Vec::len), Some(6));
    let few = n.does("showfiltered", "");
    assert!(few.contains("001010000000002") && few.contains("10.45.0.9"), "{few}");
    for shown in [&all, &few] {
        assert!(!shown.contains(&k) && !shown.contains(OPC), "{shown}");
    }

    // One goes.
    n.does("remove 001010000000006", "");
    let six = n.sim("001010000000006");
    assert_eq!((&six["state"], &six["has_key"]), (&json!("retired"), &json!(false)));
    assert_eq!(n.refuses("remove 001010000000099").0, 3);

    // What means nothing here says what to do instead, and changes nothing.
    let before = n.does("showall", "");
    for (line, instead) in [
        ("reset", "remove IMSI"),
        ("static_ip6 001010000000001 2001:db8::1", "--pool6"),
        ("type 001010000000001 3", "--pool6"),
        ("lbo_roaming_allowed 001010000000001 1", "plmns"),
        ("subscriber_status 001010000000001 0 3", "suspends"),
    ] {
        let (code, said) = n.refuses(line);
        assert_eq!(code, 5, "{line}: {said}");
        assert!(said.contains(instead), "{line}: {said}");
    }
    assert_eq!(n.does("showall", ""), before);
    assert!(n.does("help", "").contains("add_ue_with_slice"));
    assert_eq!(n.refuses("add").0, 2);
    assert_eq!(n.refuses("--db_uri=mongodb://localhost/open5gs remove").0, 2);
}
