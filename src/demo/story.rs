//! The story: SIMs are provisioned, devices attach, rules decide, a stolen laptop is cut. Here is what it is told with
//! (a site, Sekisho in it, the API), which the benches use as well; what happens is in `scenes`.

mod scenes;

use super::{
    Options, namespace,
    ran::{AmfAt, RanAnswer, RanAsk},
    site::{self, CORE, GNB, HR_DB, INTRANET, SCADA, SiteAnswer, SiteAsk},
    words::Teller,
};
use crate::{backup, client::Client, config::Config, init};
use anyhow::{Context, Result, bail};
use lab::site::{Ask, Asked, Outcome};
use serde_json::{Value, json};
use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

/// What was measured; the last line of `--json`.
#[derive(Default, serde::Serialize)]
struct Measured {
    attach_ms: f64,
    allowed_flows: u64,
    denied_flows: u64,
    download_mbps: f64,
    ban_answer_ms: f64,
    ban_cut_us: u64,
    packets_before_ban: u64,
    packets_after_answer: u64,
    reattach_cause: u8,
    held: bool,
}

/// Runs the demo. Call it outside any runtime.
pub fn run(options: &Options) -> Result<ExitCode> {
    namespace::check()
        .context(options.lang.of("the demo cannot run here", "この環境ではデモを実行できません"))?;
    let rt = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    rt.block_on(Demo::tell(options))
}

/// Everything that the story (and the bench of bans) needs.
pub(crate) struct Demo {
    site: Asked<SiteAsk, SiteAnswer>,
    api: Client,
    base: String,
    token: String,
    dir: tempfile::TempDir,
    config: PathBuf,
    env: Vec<(String, String)>,
    teller: Teller,
    measured: Measured,
    kernel_sctp: bool,
}

impl Demo {
    async fn tell(options: &Options) -> Result<ExitCode> {
        let teller = Teller::new(options.lang, options.json);
        let mut demo = Self::set_up(options, teller).await?;
        if let Err(e) = demo.story(options.kills).await {
            eprintln!("\nsekisho demo: {e:#}");
            demo.print_log();
            return Ok(ExitCode::FAILURE);
        }
        demo.measured.held = demo.teller.held();
        if !demo.teller.held() {
            demo.print_log();
        }
        if !options.once {
            demo.stay().await?;
        }
        if options.json {
            println!("{}", serde_json::to_string(&demo.measured)?);
        }
        Ok(if demo.teller.held() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// The API's listener in the machine's own namespace, the site in its own, Sekisho started in it.
    pub(crate) async fn set_up(options: &Options, teller: Teller) -> Result<Self> {
        let listener = TcpListener::bind(options.listen).with_context(|| {
            format!("the address {} for the API is not free; choose one by --listen", options.listen)
        })?;
        let base = format!("http://{}", listener.local_addr()?);
        let dir = tempfile::Builder::new().prefix("sekisho-demo-").tempdir()?;
        let config = write_config(dir.path(), options)?;
        let parsed = Config::load(&config, std::iter::empty())?;
        let token = init::first_token(&parsed).await?;
        let site = site::start(&listener)?;
        drop(listener);
        let api = Client::new(&base, &token, options.lang.tag(), None)?;
        let (env, kernel_sctp) = (options.env.clone(), options.kernel_sctp);
        let measured = Measured::default();
        let demo = Self { site, api, base, token, dir, config, env, teller, measured, kernel_sctp };
        demo.done(SiteAsk::Lay { capture: options.capture.clone() }).await.context("laying the cables")?;
        demo.start().await?;
        demo.wait_until_ready().await?;
        Ok(demo)
    }

    /// Starts `sekisho run`, for the first time or because somebody killed all of it.
    pub(crate) async fn start(&self) -> Result<()> {
        let (config, log, env) = (self.config.clone(), self.log(), self.env.clone());
        self.done(SiteAsk::Start { config, log, env }).await
    }

    /// The configuration that Sekisho runs with.
    pub(crate) fn config(&self) -> Result<Config> {
        Ok(Config::load(&self.config, std::iter::empty())?)
    }

    /// Why `sekisho run` does not run, if it does not.
    pub(crate) async fn ended(&self) -> Result<Option<String>> {
        match self.site.ask(SiteAsk::Runs).await? {
            SiteAnswer::Runs(how) => Ok(how.err()),
            other => bail!("unexpected answer {other:?}"),
        }
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.dir.path().join("sekisho.log")
    }

    pub(crate) fn print_log(&self) {
        let log = std::fs::read_to_string(self.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        eprintln!("\nThe end of Sekisho's log:");
        lines.iter().skip(lines.len().saturating_sub(60)).for_each(|l| eprintln!("  {l}"));
    }

    pub(crate) async fn wait_until_ready(&self) -> Result<()> {
        self.wait_until_ready_within(Duration::from_secs(20)).await
    }

    pub(crate) async fn wait_until_ready_within(&self, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let ready = self.call(|api| api.get("system").map(Into::into)).await.ok();
            if ready.is_some_and(|s| s.get("ready").and_then(Value::as_bool) == Some(true)) {
                return Ok(());
            }
            if Instant::now() > deadline {
                self.print_log();
                bail!("Sekisho is not ready after {} s", patience.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Stays up until Ctrl-C.
    async fn stay(&self) -> Result<()> {
        let (base, token) = (&self.base, &self.token);
        let password = self.make_operator()?;
        // Backups can be taken from the console. What would open them is not kept: they end with this run.
        drop(backup::make_key(&self.config()?.paths.data)?);
        self.teller.say("", "");
        self.teller.say(&format!("console: {base}/"), &format!("コンソール: {base}/"));
        self.teller.say(
            &format!("         name demo, password {password} (made for this run alone)"),
            &format!("           名前 demo、パスワード {password} (この実行のためだけに生成)"),
        );
        self.teller.say(&format!("API:   {base}/api/v1"), &format!("API:      {base}/api/v1"));
        self.teller.say(&format!("token: {token}"), &format!("トークン: {token}"));
        self.teller.say(
            &format!("try:   curl -H 'Authorization: Bearer {token}' {base}/api/v1/sims"),
            &format!("例:       curl -H 'Authorization: Bearer {token}' {base}/api/v1/sims"),
        );
        self.teller.say("Ctrl-C ends it.", "Ctrl-C で終了します。");
        tokio::signal::ctrl_c().await?;
        Ok(())
    }

    /// An operator who can sign in to the console, with a password of chance that he chose himself.
    fn make_operator(&self) -> Result<String> {
        let body = json!({ "name": "demo", "display": "Demo", "grants": [{ "roles": ["owner"] }] });
        let made = self.api.post("operators", &body)?.body;
        let first = made.get("password").and_then(Value::as_str).context("no password was made")?;
        let signed_in = self.api.sign_in(&json!({ "name": "demo", "password": first }))?.body;
        let token = signed_in.get("token").and_then(Value::as_str).context("no token was given")?;
        let own = types::hex(&gateway::sys::random::<10>()?);
        let his = Client::new(&self.base, token, "en", None)?;
        his.put("me/password", &json!({ "old": first, "new": own }), "*")?;
        Ok(own)
    }

    /// The site's gNB connects.
    pub(crate) async fn connect_gnb(&self) -> Result<()> {
        self.ran(RanAsk::Gnb {
            name: "gnb-1".to_owned(),
            plmn: "001-01".parse()?,
            tac: 1u32.try_into()?,
            slice: "1".parse().map_err(|e: &str| anyhow::anyhow!(e))?,
            address: GNB,
            amf: AmfAt { address: CORE, kernel_sctp: self.kernel_sctp },
        })
        .await
    }

    /// Where Sekisho keeps its files.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The configuration's file.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.config.clone()
    }

    /// What the command line needs to reach this Sekisho, as environment variables.
    pub(crate) fn remote(&self) -> [(&'static str, &str); 2] {
        [("SEKISHO_API", &self.base), ("SEKISHO_TOKEN", &self.token)]
    }

    /// The policy of the story, put in by the API.
    pub(crate) async fn put_policy(&self) -> Result<()> {
        for (path, body) in policy() {
            self.call(move |api| api.post(path, &body).map(Into::into))
                .await
                .with_context(|| format!("POST {path}"))?;
        }
        Ok(())
    }

    async fn attach(&self, ue: &str) -> Result<RanAnswer> {
        match self.site.ask(SiteAsk::Attach { ue: ue.to_owned() }).await? {
            SiteAnswer::Ran(r) => Ok(r),
            other => bail!("unexpected answer {other:?}"),
        }
    }

    pub(crate) async fn ran(&self, ask: RanAsk) -> Result<()> {
        self.radio(ask).await.map(drop)
    }

    /// A SIM of `groups` in the store and in a UE of this name; its keys are nobody else's.
    pub(crate) async fn sim(&self, name: &str, imsi: &str, groups: &[&str]) -> Result<()> {
        let (k, opc) =
            (types::hex(&gateway::sys::random::<16>()?), types::hex(&gateway::sys::random::<16>()?));
        let body = json!({
            "imsi": imsi, "k": k, "opc": opc, "dnns": ["corp"], "groups": groups, "state": "ready",
        });
        self.call(move |api| api.post("sims", &body).map(Into::into)).await?;
        let ue = RanAsk::Ue { name: name.to_owned(), imsi: imsi.parse()?, k, opc, dnn: "corp".parse()? };
        self.ran(ue).await
    }

    /// Asks the radio.
    pub(crate) async fn radio(&self, ask: RanAsk) -> Result<RanAnswer> {
        match self.site.ask(SiteAsk::Ran(ask)).await? {
            SiteAnswer::Ran(r) => Ok(r),
            other => bail!("unexpected answer {other:?}"),
        }
    }

    pub(crate) async fn host(&self, name: &str, ask: Ask) -> Result<Outcome> {
        match self.site.ask(host(name, ask)).await? {
            SiteAnswer::Host(o) => Ok(o),
            other => bail!("unexpected answer {other:?}"),
        }
    }

    pub(crate) async fn done(&self, ask: SiteAsk) -> Result<()> {
        match self.site.ask(ask).await? {
            SiteAnswer::Host(Outcome::Failed { why }) => bail!(why),
            _ => Ok(()),
        }
    }

    /// A client of the API with another token.
    pub(crate) fn client(&self, token: &str) -> Result<Client> {
        Client::new(&self.base, token, "en", None)
    }

    /// A call of the API; the client blocks, so it gets a thread of its own.
    pub(crate) async fn call(
        &self,
        f: impl FnOnce(&Client) -> Result<Reply> + Send + 'static,
    ) -> Result<Value> {
        let api = self.api.clone();
        tokio::task::spawn_blocking(move || f(&api)).await?.map(|r| r.0)
    }

    async fn why(&self, imsi: &str, direction: &str, to: Ipv4Addr, service: &str) -> Result<String> {
        let path = format!("decisions?imsi={imsi}&direction={direction}&address={to}&service={service}");
        let d = self.call(move |api| api.get(&path).map(Into::into)).await?;
        Ok(d.get("reason").and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// Packets that the gateway dropped for `reason`.
    async fn dropped(&self, reason: &'static str) -> Result<u64> {
        let m = self.call(move |api| {
            Ok(api.metric("sekisho_gateway_dropped_total", &format!("reason=\"{reason}\""))?.into())
        });
        Ok(m.await?.as_f64().unwrap_or_default() as u64)
    }

    /// Datagrams that the intranet app counted: all, and those after an instant.
    async fn counted(&self, since_ns: u64) -> Result<(u64, u64)> {
        match self.host("corp", Ask::Counted { since_ns }).await? {
            Outcome::Datagrams { all, after, .. } => Ok((all, after)),
            other => bail!("unexpected outcome {other:?}"),
        }
    }

    /// Waits until something holds, for at most five seconds.
    async fn until(&self, holds: impl AsyncFn(&Self) -> Result<bool>) -> Result<bool> {
        let deadline = Instant::now() + Duration::from_secs(5);
        while Instant::now() < deadline {
            if holds(self).await? {
                return Ok(true);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(false)
    }
}

/// A body as the story wants it.
pub(crate) struct Reply(Value);

impl From<Value> for Reply {
    fn from(v: Value) -> Self {
        Self(v)
    }
}
impl From<f64> for Reply {
    fn from(v: f64) -> Self {
        Self(json!(v))
    }
}
impl From<usize> for Reply {
    fn from(v: usize) -> Self {
        Self(json!(v))
    }
}
impl From<crate::client::Good> for Reply {
    fn from(g: crate::client::Good) -> Self {
        Self(g.body)
    }
}

fn host(name: &str, ask: Ask) -> SiteAsk {
    SiteAsk::Host { name: name.to_owned(), ask }
}

pub(crate) fn at(ip: Ipv4Addr, port: u16) -> SocketAddr {
    SocketAddr::from((ip, port))
}

/// The company's policy.
pub(crate) fn policy() -> Vec<(&'static str, Value)> {
    vec![
        ("data-networks", json!({ "dnn": "corp", "pool": "10.60.0.0/16", "dns": ["10.10.0.53"] })),
        ("data-networks", json!({ "dnn": "factory", "pool": "10.61.0.0/16" })),
        ("groups", json!({ "name": "office", "label": "Office laptops" })),
        ("groups", json!({ "name": "factory", "label": "Factory PLCs" })),
        (
            "apps",
            json!({ "name": "intranet", "label": "Intranet", "prefixes": [format!("{INTRANET}/32")], "services": ["tcp/80", "udp/9000"] }),
        ),
        (
            "apps",
            json!({ "name": "hr-db", "label": "Personnel database", "prefixes": [format!("{HR_DB}/32")], "services": ["tcp/5432"] }),
        ),
        ("apps", json!({ "name": "scada", "label": "SCADA", "prefixes": [format!("{SCADA}/32")] })),
        (
            "rules",
            json!({ "name": "office-intranet", "order": 10, "subject": "group:office", "app": "intranet", "direction": "out", "verdict": "allow" }),
        ),
        (
            "rules",
            json!({ "name": "factory-telemetry", "order": 15, "subject": "group:factory", "app": "intranet", "direction": "out", "verdict": "allow" }),
        ),
        (
            "rules",
            json!({ "name": "scada-plc", "order": 20, "subject": "group:factory", "app": "scada", "direction": "in", "to": ["tcp/502"], "verdict": "allow" }),
        ),
    ]
}

fn write_config(dir: &Path, options: &Options) -> Result<PathBuf> {
    let ciphering = if options.clear_nas { "NEA0" } else { "NEA2" };
    let transport = if options.kernel_sctp { "kernel" } else { "udp" };
    let copy = options.journal_copy.as_ref();
    let copies = copy.map(|d| format!("journal_copies = [{{ directory = \"{}\" }}]\n", d.display()));
    let text = format!(
        "[network]\nplmn = \"001-01\"\ntacs = [1]\nslices = [\"1\"]\nciphering = [\"{ciphering}\"]\n\
         [n2]\naddress = \"{CORE}\"\ntransport = \"{transport}\"\n\
         [[gnb]]\nname = \"gnb-1\"\nn2 = [\"{GNB}/32\"]\nn3 = [\"{GNB}/32\"]\n\
         [n3]\naddress = \"{CORE}\"\n[gateway]\nshards = 2\n{}[paths]\ndata = \"{}\"\n[api]\nlisten = \"{}\"\nhost = \"localhost\"\n",
        copies.unwrap_or_default(),
        dir.join("data").display(),
        options.listen
    );
    let file = dir.join("sekisho.toml");
    std::fs::write(&file, text)?;
    Ok(file)
}
