//! The scenes, in the order in which they are told: each says what happens, does it, and says what was seen.

use super::{Demo, at, host};
use crate::{
    client::Client,
    dashboard,
    demo::{
        ran::{RanAnswer, RanAsk},
        site::{HR_DB, INTRANET, SiteAnswer, SiteAsk},
    },
};
use anyhow::{Context, Result, bail};
use gateway::time;
use lab::site::{Ask, Outcome};
use serde_json::{Value, json};
use std::{
    collections::BTreeSet,
    net::Ipv4Addr,
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

impl Demo {
    pub(super) async fn story(&mut self, kills: bool) -> Result<()> {
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
}

/// Findings by code and state.
fn codes(findings: &Value) -> BTreeSet<String> {
    let words =
        |f: &Value| format!("{} {}", f["code"].as_str().unwrap_or("?"), f["state"].as_str().unwrap_or("?"));
    findings.as_array().into_iter().flatten().map(words).collect()
}
