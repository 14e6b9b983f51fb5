//! The gateway process and the machine under it: whether anything is allowed, whether packets come back; the clock, the disk,
//! buffers and files.

use super::{
    judge::{List, both},
    machine::Machine,
};
use crate::config::Config;
use gateway::link::GatewayStatus;

/// Less than this is no room for a day's records.
const FREE: u64 = 1 << 30;
/// What N3's sockets ask for, octets.
const BUFFER: u64 = 4 << 20;
const FILES: u64 = 4096;
/// Packets after which an answer should have come.
const ENOUGH: u64 = 100;

pub(super) fn clock(l: &mut List, m: &Machine) {
    const YEAR_2025: i64 = 1_735_689_600_000;
    let what = || both!("clock", "時計");
    let fix = || both!("let the system keep it by NTP", "NTP で同期してください");
    if m.utc_ms < YEAR_2025 {
        l.bad(
            "clock-wrong",
            what(),
            both!("it is set before 2025", "2025 年より前になっています"),
            fix(),
            "timedatectl set-ntp true",
        );
    } else if m.clock_kept == Some(false) {
        l.note(
            "clock-free",
            what(),
            both!(
                "nothing keeps it right: SQN, tokens, codes and the audit go by it",
                "同期されていません。SQN、トークン、認証コード、監査は時計に依存します"
            ),
            fix(),
            "timedatectl set-ntp true",
        );
    } else {
        l.good("clock", what(), both!("plausible", "問題ありません"));
    }
}

pub(super) fn gateway(l: &mut List, c: &Config, m: &Machine) {
    let what = || both!("gateway", "ゲートウェイ");
    let Some(s) = &m.gateway else {
        let socket = c.gateway_socket().display().to_string();
        return l.note(
            "gateway-silent",
            what(),
            both!("its socket {socket} does not answer", "ソケット {socket} が応答しません"),
            both!("start it", "起動してください"),
            "systemctl start sekisho || sekisho run",
        );
    };
    match &s.denied {
        Some(why) => l.bad(
            "gateway-closed",
            what(),
            both!("it allows nothing new: {why}", "新しい通信をすべて拒否しています: {why}"),
            both!(
                "see what it says of the journal; it opens as soon as control has said which bans it knows",
                "ジャーナルについての記録を確認してください。制御プロセスが停止一覧を伝えると解除されます"
            ),
            "journalctl -u sekisho -n 100",
        ),
        None => {
            let n = s.revoked;
            l.good(
                "gateway",
                what(),
                both!("it answers; {n} SIMs are cut", "応答しています。遮断中の SIM: {n}"),
            );
        }
    }
    if let Some(why) = &s.journal_low {
        l.bad(
            "journal-room",
            both!("journal room", "ジャーナルの空き"),
            both!("{why}", "{why}"),
            both!(
                "make room on the disk of the data directory",
                "データディレクトリのディスクに空きを作ってください"
            ),
            format!("du -xh {} | sort -h | tail", c.paths.data.display()),
        );
    }
    traffic(l, s);
}

/// Packets that go one way alone: routes and cables.
fn traffic(l: &mut List, s: &GatewayStatus) {
    let sum = |f: fn(&gateway::link::ShardStatus) -> u64| s.shards.iter().map(f).sum::<u64>();
    let (sessions, radio) = (sum(|s| s.sessions), sum(|s| s.io.n3_received));
    let (out, back) = (sum(|s| s.io.n6_sent), sum(|s| s.io.n6_received));
    if sessions > 0 && radio == 0 {
        l.note(
            "n3-silent",
            both!("N3", "N3"),
            both!(
                "{sessions} sessions are up, and no radio has sent a packet",
                "{sessions} 件のセッションがありますが、無線局からパケットが届いていません"
            ),
            both!(
                "see whether GTP-U reaches this machine: routes of the radio, a firewall, n3.address",
                "GTP-U が届いているか確認してください (無線局の経路、ファイアウォール、n3.address)"
            ),
            "tcpdump -ni any udp port 2152",
        );
    }
    if out >= ENOUGH && back == 0 {
        l.bad(
            "no-way-back",
            both!("routes back", "戻りの経路"),
            both!("{out} packets went to the company's network, and none came back", "社内ネットワークへ {out} パケットを送りましたが、応答が 1 つもありません"),
            both!(
                "the company's router needs a route to each pool of a data network, by this machine; there:",
                "社内ルーターに、データネットワークの各プール宛てをこのマシンへ向ける経路が必要です。ルーター側で次を実行します:"
            ),
            "ip route add POOL via ADDRESS-OF-THIS-MACHINE",
        );
    }
}

pub(super) fn resources(l: &mut List, c: &Config, m: &Machine) {
    let what = || both!("disk", "ディスク");
    if let Some(free) = m.free {
        let mib = free >> 20;
        if free < FREE {
            let dir = c.paths.data.display();
            l.bad(
                "disk-full",
                what(),
                both!(
                    "{mib} MiB are free for the data directory",
                    "データディレクトリの空きは {mib} MiB です"
                ),
                both!(
                    "make room: without it nothing is recorded but bans",
                    "空きを作ってください。空きがなくなると停止以外は記録されません"
                ),
                format!("du -xh {dir} | sort -h | tail"),
            );
        } else {
            l.good("disk", what(), both!("{mib} MiB free", "空き {mib} MiB"));
        }
    }
    let what = || both!("socket buffers", "ソケットバッファー");
    match m.receive_buffer {
        Some(n) if n < BUFFER => l.note(
            "buffers-small",
            what(),
            both!(
                "net.core.rmem_max = {n}: bursts of the radio are lost",
                "net.core.rmem_max = {n}: 無線局からのバーストで取りこぼしが起きます"
            ),
            both!("raise it, and keep it in /etc/sysctl.d", "引き上げ、/etc/sysctl.d に保存してください"),
            format!("sysctl -w net.core.rmem_max={BUFFER}"),
        ),
        Some(n) => l.good("buffers", what(), both!("net.core.rmem_max = {n}", "net.core.rmem_max = {n}")),
        None => {}
    }
    let what = || both!("open files", "オープンファイル数");
    match m.open_files {
        Some(n) if n < FILES => l.note(
            "open-files",
            what(),
            both!("a process may have {n} files open", "1 プロセスが開けるファイルは {n} 個です"),
            both!("raise it for the service", "サービスの上限を引き上げてください"),
            "systemctl edit sekisho   # [Service] LimitNOFILE=65536",
        ),
        Some(n) => l.good("files", what(), both!("{n}", "{n}")),
        None => {}
    }
}
