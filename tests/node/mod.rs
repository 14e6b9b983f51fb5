//! The binary itself: a control process of its own, and its command line before that one's API.

use std::{
    fs,
    io::Write as _,
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

const EXE: &str = env!("CARGO_BIN_EXE_sekisho");

/// A control process and who calls it.
pub struct Node {
    pub dir: tempfile::TempDir,
    pub api: SocketAddr,
    pub token: String,
    child: Child,
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Node {
    /// It is up, with these data networks.
    pub fn start(networks: &[(&str, &str)]) -> Self {
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
        let node = Self { dir, api, token, child };
        let began = Instant::now();
        while !node.run(&["whoami"], "").status.success() {
            assert!(began.elapsed() < Duration::from_secs(30), "the API does not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
        for (dnn, pool) in networks {
            node.good(&["data-network", "add", dnn, "--pool", pool], "");
        }
        node
    }

    /// The language stands first: what follows a verb of another tool is its own.
    pub fn run(&self, words: &[&str], input: &str) -> Output {
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

    /// What it prints; it must succeed.
    pub fn good(&self, words: &[&str], input: &str) -> String {
        let done = self.run(words, input);
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).expect("text")
    }

    /// A file beside the node's own.
    pub fn file(&self, name: &str, text: &str) -> PathBuf {
        let file = self.dir.path().join(name);
        fs::write(&file, text).expect("written");
        file
    }
}
