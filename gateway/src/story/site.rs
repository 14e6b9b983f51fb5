//! The namespace with its roles: the gateway's process, the radio's socket, the company's TUN.

use super::*;

pub(super) struct Site {
    pub(super) dir: tempfile::TempDir,
    pub(super) config: GatewayConfig,
    pub(super) runtime: tokio::runtime::Runtime,
    pub(super) gateway: Option<Child>,
    pub(super) gnb: UdpSocket,
    pub(super) n6: SyncDevice,
}

impl Site {
    pub(super) fn build(shards: u8) -> Self {
        Self::between(US.into(), GNB.into(), shards)
    }

    /// N3 is between these two addresses.
    pub(super) fn between(us: IpAddr, gnb: IpAddr, shards: u8) -> Self {
        let mut netlink = Netlink::open().unwrap();
        netlink.set_up(1).unwrap();
        for address in [us, gnb] {
            netlink.add_address(address.into(), 1).unwrap();
        }
        let n6 = DeviceBuilder::new().name("company0").build_sync().unwrap();
        n6.set_nonblocking(true).unwrap();
        netlink.add_route("10.50.0.0/16".parse().unwrap(), n6.if_index().unwrap()).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let config = GatewayConfig {
            netns: None,
            forward: true,
            n3: us,
            n3_port: GTPU_PORT,
            peer_grace_ms: None,
            tun: TunConfig {
                name: "sekisho0".into(),
                mtu: 1400,
                addresses: vec!["10.45.255.254/32".parse().unwrap()],
                ue_prefixes: Vec::new(),
            },
            shards,
            radios: vec![gnb.into()],
            n4: None,
            service: None,
            socket: dir.path().join("control.sock"),
            journal: dir.path().join("revocations.journal"),
            journal_copies: Vec::new(),
            journal_copy_wait_ms: 0,
        };
        drop(bound(us));
        let gnb = bound(gnb);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        Self { dir, config, runtime, gateway: None, gnb, n6 }
    }

    pub(super) fn start(&mut self) -> Control<'_> {
        self.spawn();
        self.connect()
    }

    pub(super) fn spawn(&mut self) {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "story::gateway_process", "--nocapture"])
            .env(CONFIG, serde_json::to_string(&self.config).unwrap())
            .spawn()
            .unwrap();
        self.gateway = Some(child);
    }

    /// Starts the gateway where it must refuse to; what it says.
    pub(super) fn refused(&self) -> String {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "story::gateway_process", "--nocapture"])
            .env(CONFIG, serde_json::to_string(&self.config).unwrap())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(9), "{told}");
        assert!(UdpSocket::bind((US, GTPU_PORT)).is_ok(), "no socket is open");
        told
    }

    /// A control that knows what the gateway knows.
    pub(super) fn connect(&self) -> Control<'_> {
        let mut control = self.greet();
        let head = control.hello.journal;
        control.say(ToGateway::KnownHead { head });
        control
    }

    /// A control that has not yet said what it knows.
    pub(super) fn greet(&self) -> Control<'_> {
        let begin = Instant::now();
        let (sender, receiver, hello) = loop {
            let opened = link::connect(&self.config.socket, Role::Control { control_id: 1 });
            match self.runtime.block_on(opened) {
                Ok(opened) => break opened,
                Err(e) => assert!(begin.elapsed() < SOON, "the gateway does not come up: {e}"),
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        Control { site: self, sender, receiver, hello, sequence: 0, session: None, flows: Vec::new() }
    }

    pub(super) fn kill(&mut self) {
        let mut child = self.gateway.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub(super) fn send_up(&self, teid: u32, inner: &[u8]) {
        let datagram = wire::gtpu::encode_uplink(teid, 1, inner).unwrap();
        self.gnb.send_to(&datagram, (self.config.n3, GTPU_PORT)).unwrap();
    }

    /// The next packet of `APP` or to it on the company's side.
    pub(super) fn at_company(&self, within: Duration) -> Option<Vec<u8>> {
        let begin = Instant::now();
        let mut buffer = [0; 2048];
        while begin.elapsed() < within {
            match self.n6.recv(&mut buffer) {
                Ok(n) if buffer[..n].get(16..20) == Some(&APP.octets()) => return Some(buffer[..n].to_vec()),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_millis(1))
                }
                Err(e) => panic!("{e}"),
            }
        }
        None
    }

    /// The next inner packet at the radio, with its TEID.
    pub(super) fn at_radio(&self, within: Duration) -> Option<(u32, Vec<u8>)> {
        let mut buffer = [0; 2048];
        self.gnb.set_read_timeout(Some(within)).unwrap();
        let (n, _) = self.gnb.recv_from(&mut buffer).ok()?;
        let packet = wire::gtpu::Packet::parse(&buffer[..n]).unwrap();
        Some((packet.teid, packet.payload.to_vec()))
    }

    pub(super) fn send_down(&self, inner: &[u8]) {
        self.n6.send(inner).unwrap();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(child) = &mut self.gateway {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
