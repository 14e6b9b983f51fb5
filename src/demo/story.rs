//! The story: SIMs are provisioned, devices attach, rules decide, a stolen laptop is cut.

use super::{
    Options, namespace,
    ran::{AmfAt, RanAnswer, RanAsk},
    site::{self, CORE, GNB, HR_DB, INTRANET, SCADA, SiteAnswer, SiteAsk},
    words::Teller,
};
use crate::{backup, client::Client, config::Config, dashboard, init};
use anyhow::{Context, Result, bail};
use gateway::time;
use lab::site::{Ask, Asked, Outcome};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

/// The laptop's SIM.
const LAPTOP: &str = "001010000000001";
/// The PLC's SIM.
const PLC: &str = "001010000000002";
/// The PLC's address: reserved, so that SCADA finds it.
const PLC_IP: Ipv4Addr = Ipv4Addr::new(10, 61, 0, 10);
/// Size of the download, octets.
const PAGE: u64 = 64 * 1024 * 1024;
/// Rate of the laptop's traffic while it is banned, packets a second.
const RATE: u32 = 2_000;

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

    async fn story(&mut self, kills: bool) -> Result<()> {
        self.provision().await?;
        self.attach_all().await?;
        self.allowed_and_denied().await?;
        self.scada().await?;
        self.spoof().await?;
        self.ban().await?;
        if kills {
            self.kill_gateway().await?;
            self.kill_control().await?;
        }
        self.reattach().await?;
        self.count_flows().await?;
        self.look_at_metrics().await?;
        self.ask_the_doctor().await
    }

    async fn provision(&mut self) -> Result<()> {
        self.teller.step(
            "IT puts in data networks, apps, rules and SIMs, by the API",
            "IT 担当が API でデータネットワーク、アプリ、ルール、SIM を登録します",
        );
        self.put_policy().await?;
        for (name, imsi, dnn, group, ip) in
            [("laptop", LAPTOP, "corp", "office", None), ("plc", PLC, "factory", "factory", Some(PLC_IP))]
        {
            let (k, opc) =
                (types::hex(&gateway::sys::random::<16>()?), types::hex(&gateway::sys::random::<16>()?));
            let mut body = json!({
                "imsi": imsi, "label": name, "k": k, "opc": opc, "dnns": [dnn], "groups": [group], "state": "ready",
            });
            if let (Some(ip), Some(b)) = (ip, body.as_object_mut()) {
                b.insert("static_ips".to_owned(), json!({ dnn: ip }));
            }
            self.call(move |api| api.post("sims", &body).map(Into::into))
                .await
                .with_context(|| format!("SIM {imsi}"))?;
            self.ran(RanAsk::Ue { name: name.to_owned(), imsi: imsi.parse()?, k, opc, dnn: dnn.parse()? })
                .await?;
        }
        let sims = self.call(|api| Ok(api.list("sims")?.len().into())).await?;
        self.teller.must(
            sims == json!(2),
            "2 SIMs; their keys are sealed and cannot be read back",
            "SIM 2 枚。鍵は封印され、読み出せません",
        );
        Ok(())
    }

    async fn attach_all(&mut self) -> Result<()> {
        self.teller.step(
            "A gNB connects; the laptop and the PLC attach over 5G",
            "gNB が接続し、ノート PC と PLC が 5G で接続します",
        );
        self.connect_gnb().await?;
        for (ue, imsi) in [("laptop", LAPTOP), ("plc", PLC)] {
            match self.attach(ue).await? {
                RanAnswer::Attached { ip, us, .. } => {
                    let ms = us as f64 / 1000.0;
                    if ue == "laptop" {
                        self.measured.attach_ms = ms;
                    }
                    self.teller.must(
                        true,
                        &format!("{ue} ({imsi}) is registered and has {ip}, in {ms:.1} ms"),
                        &format!("{ue}({imsi})が登録され、{ip} を得ました({ms:.1} ミリ秒)"),
                    );
                }
                other => bail!("{ue} did not attach: {other:?}"),
            }
        }
        Ok(())
    }

    async fn allowed_and_denied(&mut self) -> Result<()> {
        self.teller.step(
            "The laptop reaches what its rules name, and nothing else",
            "ノート PC は、ルールにあるものだけに届きます",
        );
        self.done(host("corp", Ask::ServeHttp { at: at(INTRANET, 80), bytes: PAGE })).await?;
        self.done(host("corp", Ask::ServeHttp { at: at(HR_DB, 5432), bytes: 1 })).await?;
        match self.host("laptop", Ask::Fetch { from: at(INTRANET, 80), within_ms: 60_000 }).await? {
            Outcome::Fetched { status: 200, bytes, us } => {
                let mbps = bytes as f64 * 8.0 / us as f64;
                self.measured.download_mbps = mbps;
                self.teller.must(
                    bytes == PAGE,
                    &format!("a download of {} MiB from the intranet: {mbps:.0} Mbit/s", bytes >> 20),
                    &format!("イントラネットから {} MiB をダウンロード: {mbps:.0} Mbit/s", bytes >> 20),
                );
            }
            other => self.teller.must(
                false,
                &format!("the download failed: {other:?}"),
                &format!("ダウンロード失敗: {other:?}"),
            ),
        }
        let denied = self.host("laptop", Ask::Connect { to: at(HR_DB, 5432), within_ms: 1_500 }).await?;
        let why = self.why(LAPTOP, "out", HR_DB, "tcp/5432").await?;
        self.teller.must(
            matches!(denied, Outcome::Silence | Outcome::Refused { .. }) && why == "no-rule",
            &format!("the personnel database stays closed; the reason: {why}"),
            &format!("人事データベースには届きません。理由: {why}"),
        );
        Ok(())
    }

    async fn scada(&mut self) -> Result<()> {
        self.teller.step(
            "SCADA opens towards the PLC, as an `in` rule says, and only to its Modbus port",
            "SCADA は「着信」ルールのとおり、PLC の Modbus ポートにだけ届きます",
        );
        self.done(host("plc", Ask::ServeModbus { at: at(PLC_IP, 502) })).await?;
        self.done(host("plc", Ask::ServeHttp { at: at(PLC_IP, 80), bytes: 1 })).await?;
        let read = Ask::ReadModbus { from: at(PLC_IP, 502), first: 40, count: 3, within_ms: 5_000 };
        let read = self.host("scada", read).await?;
        let ok = matches!(&read, Outcome::Registers { values } if values.len() == 3);
        self.teller.must(
            ok,
            &format!("SCADA reads 3 registers of the PLC: {read:?}"),
            &format!("SCADA が PLC のレジスタを 3 個読みました: {read:?}"),
        );
        let other = self.host("scada", Ask::Connect { to: at(PLC_IP, 80), within_ms: 1_500 }).await?;
        self.teller.must(
            matches!(other, Outcome::Silence | Outcome::Refused { .. }),
            "its web page is out of SCADA's reach",
            "PLC の Web 画面には届きません",
        );
        Ok(())
    }

    async fn spoof(&mut self) -> Result<()> {
        self.teller.step(
            "A program on the laptop forges its source address",
            "ノート PC 上のプログラムが送信元アドレスを偽装します",
        );
        self.done(host("corp", Ask::CountUdp { at: at(INTRANET, 9000) })).await?;
        let before = self.dropped("spoofed-source").await?;
        self.done(host(
            "laptop",
            Ask::Spoof { from: Ipv4Addr::new(10, 60, 200, 200), to: at(INTRANET, 9000) },
        ))
        .await?;
        let dropped = self.until(async |d| Ok(d.dropped("spoofed-source").await? > before)).await?;
        let seen = self.counted(0).await?.0;
        self.teller.must(
            dropped && seen == 0,
            "the packet is dropped at the gateway (spoofed-source); the app saw nothing",
            "パケットはゲートウェイで破棄され(spoofed-source)、アプリには届いていません",
        );
        Ok(())
    }

    /// `kill -9` of control under traffic: no packet is lost, and it takes the sessions over.
    async fn kill_control(&mut self) -> Result<()> {
        self.teller.step(
            "The control process is killed while the PLC sends telemetry",
            "PLC のテレメトリ送信中に制御プロセスを強制終了します",
        );
        let before = self.counted(0).await?.0;
        self.done(host("plc", Ask::SendUdp { to: at(INTRANET, 9000), per_second: RATE, bytes: 200 })).await?;
        self.until(async |d| Ok(d.counted(0).await?.0 > before + 100)).await?;
        self.done(SiteAsk::Kill { part: "control".to_owned() }).await?;
        let at_kill = self.counted(0).await?.0;
        let went_on = self.until(async |d| Ok(d.counted(0).await?.0 > at_kill + 500)).await?;
        self.wait_until_ready().await?;
        let sent = match self.host("plc", Ask::Quiet).await? {
            Outcome::Datagrams { all, .. } => all,
            other => bail!("unexpected outcome {other:?}"),
        };
        let arrived = self.until(async |d| Ok(d.counted(0).await?.0 - before >= sent)).await?;
        let got = self.counted(0).await?.0 - before;
        self.teller.must(
            went_on && arrived && got == sent,
            &format!("{sent} packets were sent across the kill, {got} arrived"),
            &format!("強制終了をまたいで {sent} パケットを送り、{got} パケットが届きました"),
        );
        let sessions = self.call(|api| Ok(api.list("sessions")?.len().into())).await?;
        self.teller.must(
            sessions == json!(1),
            &format!("it is back and has taken over {sessions} session"),
            &format!("再起動し、{sessions} セッションを引き継ぎました"),
        );
        Ok(())
    }

    /// `kill -9` of the gateway after a ban: the banned SIM stays cut, the others' sessions are put back.
    async fn kill_gateway(&mut self) -> Result<()> {
        self.teller.step("The gateway process is killed", "ゲートウェイプロセスを強制終了します");
        self.done(host("laptop", Ask::SendUdp { to: at(INTRANET, 9000), per_second: RATE, bytes: 200 }))
            .await?;
        let killed_ns = time::mono().0;
        self.done(SiteAsk::Kill { part: "gateway".to_owned() }).await?;
        let read = async |d: &Self| {
            let ask = Ask::ReadModbus { from: at(PLC_IP, 502), first: 40, count: 3, within_ms: 500 };
            Ok(matches!(d.host("scada", ask).await?, Outcome::Registers { .. }))
        };
        let back = self.until(read).await?;
        self.teller.must(
            back,
            "SCADA reads the PLC again: its session is put back",
            "SCADA は再び PLC を読めます(セッション復元)",
        );
        tokio::time::sleep(Duration::from_millis(300)).await;
        self.done(host("laptop", Ask::Quiet)).await?;
        let (_, after) = self.counted(killed_ns).await?;
        self.teller.must(
            after == 0,
            &format!("packets of the banned laptop since then: {after}"),
            &format!("停止中のノート PC から届いたパケット: {after}"),
        );
        Ok(())
    }

    async fn ban(&mut self) -> Result<()> {
        self.teller.step(
            "The laptop is stolen, in the middle of its traffic: SOC bans it",
            "ノート PC が通信中に盗まれました。SOC が停止します",
        );
        self.done(host("laptop", Ask::SendUdp { to: at(INTRANET, 9000), per_second: RATE, bytes: 200 }))
            .await?;
        let before = self.counted(0).await?.0;
        let flowing = self.until(async |d| Ok(d.counted(0).await?.0 > before + 200)).await?;
        self.teller.must(
            flowing,
            &format!("{RATE} packets a second flow to the intranet"),
            &format!("毎秒 {RATE} パケットが流れています"),
        );
        let start = Instant::now();
        let body = json!({ "state": "stolen", "reason": "demo: bag stolen at the station" });
        let path = format!("sims/{LAPTOP}/ban");
        let receipt =
            self.call(move |api| api.post(&path, &body).map(Into::into)).await.context("the ban")?;
        let answered_ns = time::mono().0;
        let ms = start.elapsed().as_secs_f64() * 1000.0;
        // Long enough for anything that was on its way to arrive: the sender goes on all the while.
        tokio::time::sleep(Duration::from_millis(700)).await;
        let (all, after) = self.counted(answered_ns).await?;
        let all = all - before;
        self.done(host("laptop", Ask::Quiet)).await?;
        self.measured.ban_answer_ms = ms;
        self.measured.ban_cut_us = receipt.pointer("/cut/us").and_then(Value::as_u64).unwrap_or_default();
        (self.measured.packets_before_ban, self.measured.packets_after_answer) = (all, after);
        self.teller.say(
            &format!(
                "answered after {ms:.2} ms; the packet path was cut after {} µs",
                self.measured.ban_cut_us
            ),
            &format!(
                "{ms:.2} ミリ秒で応答。パケットは {} マイクロ秒で遮断されました",
                self.measured.ban_cut_us
            ),
        );
        self.teller.must(
            after == 0,
            &format!("packets after the answer: {after} (before it: {all})"),
            &format!("応答後に届いたパケット: {after}(それまで: {all})"),
        );
        let pending = receipt.get("pending").cloned().unwrap_or_default();
        self.teller.say(
            &format!("the receipt says what is pending: {pending}"),
            &format!("受領証の未了項目: {pending}"),
        );
        Ok(())
    }

    async fn reattach(&mut self) -> Result<()> {
        self.teller.step("The thief switches it off and on again", "盗んだ者が電源を入れ直します");
        self.ran(RanAsk::PowerCycle { ue: "laptop".to_owned() }).await?;
        match self.attach("laptop").await? {
            RanAnswer::Refused { cause, protected, us } => {
                self.measured.reattach_cause = cause;
                self.teller.must(
                    cause == 3 && protected,
                    &format!("authenticated, then refused under integrity with cause #{cause} (illegal UE), in {:.1} ms", us as f64 / 1000.0),
                    &format!("認証の後、完全性保護付きで理由 #{cause}(illegal UE)により拒否({:.1} ミリ秒)", us as f64 / 1000.0),
                );
            }
            other => self.teller.must(
                false,
                &format!("it was not refused: {other:?}"),
                &format!("拒否されませんでした: {other:?}"),
            ),
        }
        Ok(())
    }

    async fn count_flows(&mut self) -> Result<()> {
        self.teller.step(
            "Every flow is on record, with its rule or its reason",
            "すべてのフローが、ルールまたは理由とともに記録されています",
        );
        let count = async |d: &Self, verdict: &'static str| -> Result<u64> {
            d.call(move |api| Ok(api.list(&format!("flows?verdict={verdict}"))?.len().into()))
                .await
                .map(|v| v.as_u64().unwrap_or(0))
        };
        self.until(async |d| Ok(count(d, "allow").await? >= 2 && count(d, "deny").await? >= 2)).await?;
        self.measured.allowed_flows = count(self, "allow").await?;
        self.measured.denied_flows = count(self, "deny").await?;
        let (a, d) = (self.measured.allowed_flows, self.measured.denied_flows);
        self.teller.must(
            a >= 2 && d >= 2,
            &format!("{a} allowed, {d} denied"),
            &format!("許可 {a} 件、拒否 {d} 件"),
        );
        Ok(())
    }

    /// What was seen is in the metrics, and the dashboard asks for nothing else.
    async fn look_at_metrics(&mut self) -> Result<()> {
        self.teller
            .step("The Grafana dashboard finds its numbers", "Grafana ダッシュボードの指標を確認します");
        let text = self.call(|api: &Client| Ok(Value::from(api.words("metrics", None)?.1).into())).await?;
        let missing = dashboard::missing(dashboard::DASHBOARD, text.as_str().unwrap_or_default());
        for m in &missing {
            self.teller.say(m, m);
        }
        let (all, n) = (dashboard::queries(dashboard::DASHBOARD).len(), missing.len());
        self.teller.must(
            missing.is_empty(),
            &format!("{all} queries, {n} that /metrics has no answer to"),
            &format!("クエリ {all} 件中、/metrics にないもの {n} 件"),
        );
        Ok(())
    }

    /// `sekisho doctor` and the health screen show the same list.
    async fn ask_the_doctor(&mut self) -> Result<()> {
        self.teller.step(
            "`sekisho doctor` and the health screen show the same list",
            "`sekisho doctor` と状態画面は同じ一覧を示します",
        );
        let said = match self.site.ask(SiteAsk::Doctor { config: self.config.clone() }).await? {
            SiteAnswer::Said(text) => serde_json::from_str::<Value>(&text).with_context(|| text)?,
            other => bail!("unexpected answer {other:?}"),
        };
        let shown = self.call(|api| api.get("system/findings").map(Into::into)).await?;
        let (said, shown) = (codes(&said), codes(&shown["items"]));
        let apart: Vec<&String> = said.symmetric_difference(&shown).collect();
        let n = said.len();
        self.teller.must(
            apart.is_empty() && n >= 15,
            &format!("{n} findings in the one; not in both: {apart:?}"),
            &format!("所見 {n} 件。片方にしかないもの: {apart:?}"),
        );
        Ok(())
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

/// Findings by code and state.
fn codes(findings: &Value) -> BTreeSet<String> {
    let words =
        |f: &Value| format!("{} {}", f["code"].as_str().unwrap_or("?"), f["state"].as_str().unwrap_or("?"));
    findings.as_array().into_iter().flatten().map(words).collect()
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
