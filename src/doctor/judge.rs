//! What is wrong with a machine. Each thing that was looked at gives one finding or more; each fault has a stable word
//! and a command that mends it.

use super::{
    machine::{CopySeen, Machine, Refused, SilentPeer, Tun},
    page, ways,
};
use crate::{
    config::{Ciphering, Config, Transport},
    io::sctp::SctpMode,
};
use admin_web::{FindingState, MachineFinding, Said, Standing};
use gateway::{link::GatewayStatus, time::rfc3339};
use ipnet::IpNet;
use std::net::IpAddr;
use types::DataNetwork;

/// `both!("English {x}", "日本語 {x}")`.
macro_rules! both {
    ($en:literal, $ja:literal $(,)?) => {
        admin_web::Said { en: format!($en), ja: format!($ja) }
    };
}
pub(super) use both;

/// How the configuration is changed.
pub(super) const EDIT: &str = "${EDITOR:-vi} ${SEKISHO_CONFIG:-/etc/sekisho/sekisho.toml} && sekisho check && systemctl restart sekisho";
/// IPv4, UDP, GTP-U with a PDU session container (TS 29.281 §5.1, TS 38.415), octets.
const TUNNEL: u32 = 20 + 8 + 8 + 8;
pub(super) const DAY: i64 = 86_400;
/// Less than this is no room for a day's records.
const FREE: u64 = 1 << 30;
/// What N3's sockets ask for, octets.
const BUFFER: u64 = 4 << 20;
const FILES: u64 = 4096;
/// Packets after which an answer should have come.
const ENOUGH: u64 = 100;

pub(super) struct List(Vec<MachineFinding>);

impl List {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn good(&mut self, code: &'static str, what: Said, seen: Said) {
        let state = FindingState::Good;
        self.0.push(MachineFinding { code, what, state, seen, command: None, fix: None });
    }

    fn wrong(
        &mut self,
        state: FindingState,
        code: &'static str,
        what: Said,
        seen: Said,
        fix: Said,
        command: impl Into<String>,
    ) {
        let command = Some(command.into());
        self.0.push(MachineFinding { code, what, state, seen, command, fix: Some(fix) });
    }

    pub(super) fn bad(
        &mut self,
        code: &'static str,
        what: Said,
        seen: Said,
        fix: Said,
        command: impl Into<String>,
    ) {
        self.wrong(FindingState::Bad, code, what, seen, fix, command);
    }

    pub(super) fn note(
        &mut self,
        code: &'static str,
        what: Said,
        seen: Said,
        fix: Said,
        command: impl Into<String>,
    ) {
        self.wrong(FindingState::Note, code, what, seen, fix, command);
    }
}

/// Judges a machine, by the configuration that it is to run with.
pub fn judge(c: &Config, m: &Machine) -> Vec<MachineFinding> {
    let mut l = List(Vec::new());
    transport(&mut l, c, m);
    addresses(&mut l, c, m);
    radios(&mut l, c, m);
    peers(&mut l, c, m);
    ranges(&mut l, c, m);
    tun(&mut l, m);
    files(&mut l, c, m);
    journal(&mut l, c, m);
    backups(&mut l, m);
    deliveries(&mut l, m);
    provider(&mut l, c, m);
    page::judge(&mut l, c, m);
    ciphering(&mut l, c);
    concealment(&mut l, c);
    clock(&mut l, m);
    forwarding(&mut l, c, m);
    gateway(&mut l, c, m);
    super::smfs::judge(&mut l, c, m);
    copies(&mut l, m);
    resources(&mut l, c, m);
    certificate(&mut l, c, m);
    console(&mut l, m);
    l.0
}

fn transport(l: &mut List, c: &Config, m: &Machine) {
    let what = || both!("SCTP", "SCTP");
    let mode = c.n2.sctp_mode(m.sctp.kernel);
    match mode {
        SctpMode::Kernel if !m.sctp.kernel => l.bad(
            "sctp-kernel-missing",
            what(),
            both!(
                "n2.transport is \"kernel\", but this kernel has no SCTP",
                "n2.transport は \"kernel\" ですが、このカーネルには SCTP がありません"
            ),
            both!(
                "load the module (perhaps from a package of extra kernel modules), or n2.transport = \"auto\"",
                "モジュールを読み込むか (追加カーネルモジュールのパッケージが必要な場合があります)、n2.transport = \"auto\" にしてください"
            ),
            "modprobe sctp",
        ),
        SctpMode::Raw if !m.sctp.raw => l.bad(
            "sctp-raw-refused",
            what(),
            both!(
                "userspace SCTP over raw IP, but raw sockets are not allowed",
                "ユーザー空間 SCTP (raw IP) を使う設定ですが、raw ソケットが許可されていません"
            ),
            both!(
                "load the kernel's SCTP, or start with CAP_NET_RAW, or n2.transport = \"udp\" if the gNB can (RFC 6951)",
                "カーネルの SCTP を読み込むか、CAP_NET_RAW 付きで起動するか、gNB が対応していれば n2.transport = \"udp\" にしてください (RFC 6951)"
            ),
            "modprobe sctp || setcap cap_net_raw,cap_net_admin+ep \"$(command -v sekisho)\"",
        ),
        SctpMode::Raw if m.sctp.kernel => l.bad(
            "sctp-kernel-answers",
            what(),
            both!(
                "userspace SCTP over raw IP, but the kernel answers SCTP as well and would abort our associations",
                "ユーザー空間 SCTP (raw IP) を使う設定ですが、カーネルも SCTP に応答し、接続を切断してしまいます"
            ),
            both!("n2.transport = \"kernel\" or \"auto\"", "n2.transport を \"kernel\" か \"auto\" にしてください"),
            EDIT,
        ),
        mode => {
            let auto = if c.n2.transport == Transport::Auto { ", \"auto\"" } else { "" };
            l.good("sctp", what(), both!("{mode}{auto}", "{mode}{auto}"));
        }
    }
}

fn addresses(l: &mut List, c: &Config, m: &Machine) {
    let mut one = |code, name: &str, key: &str, a: IpAddr, here: &Result<(), String>| match here {
        Ok(()) => l.good(code, both!("{name} address", "{name} アドレス"), both!("{a}", "{a}")),
        Err(why) => l.bad(
            code,
            both!("{name} address", "{name} アドレス"),
            both!(
                "{a} is not an address of this machine ({why})",
                "{a} はこのマシンのアドレスではありません ({why})"
            ),
            both!(
                "add it to an interface, or correct {key}",
                "インターフェースに追加するか、{key} を訂正してください"
            ),
            format!("ip address add {a}/{} dev INTERFACE", if a.is_ipv4() { 24 } else { 64 }),
        ),
    };
    one("n2-address", "N2", "n2.address", c.n2.address.into(), &m.n2);
    one("n3-address", "N3", "n3.address", c.n3.address, &m.n3);
    let what = || both!("ports", "ポート");
    if m.taken.is_empty() {
        l.good(
            "ports",
            what(),
            both!("those that we need are free or ours", "必要なポートは空いているか、使用中です"),
        );
    }
    for at in &m.taken {
        l.bad(
            "port-taken",
            what(),
            both!("{at} is used by another program", "{at} は別のプログラムが使用中です"),
            both!(
                "see which one it is, and stop it (another core's UPF, perhaps)",
                "使用中のプログラムを調べて停止してください (別のコアの UPF など)"
            ),
            format!(
                "ss -lnptu | grep ':{}'",
                at.rsplit(':').next().and_then(|p| p.split('/').next()).unwrap_or_default()
            ),
        );
    }
}

fn radios(l: &mut List, c: &Config, m: &Machine) {
    let what = || both!("radios", "無線局");
    let n = c.gnb.len();
    if n == 0 {
        l.bad(
            "no-radio",
            what(),
            both!(
                "no [[gnb]] is configured: nobody is let in",
                "[[gnb]] の設定がありません。どの gNB も接続できません"
            ),
            both!("add a [[gnb]] with name, n2 and n3", "name、n2、n3 を指定した [[gnb]] を追加してください"),
            EDIT,
        );
    } else {
        l.good("radios", what(), both!("{n} admitted", "{n} 局を許可"));
    }
    let tacs: Vec<String> = c.network.tacs.iter().map(ToString::to_string).collect();
    let (plmn, tacs) = (c.network.plmn, tacs.join(", "));
    for refused in &m.refused {
        match refused {
            Refused::Radio { address, why } => l.bad(
                "radio-refused",
                what(),
                both!("gNB {address} was refused: {why}", "gNB {address} を拒否しました: {why}"),
                both!(
                    "PLMN and TAC of the radio must be ours (PLMN {plmn}; TAC {tacs}): correct the radio, or network.plmn and network.tacs",
                    "無線局の PLMN と TAC をこちらと揃えてください (PLMN {plmn}、TAC {tacs})。無線局側か network.plmn・network.tacs を訂正します"
                ),
                EDIT,
            ),
            Refused::Session { dnn } => l.note(
                "dnn-refused",
                both!("data network", "データネットワーク"),
                both!("a device asked for the data network {dnn}, which is unknown or not its own", "端末が要求したデータネットワーク {dnn} は、未登録か、その SIM に許可されていません"),
                both!("correct the APN in the device, or make it and give it to the SIM", "端末の APN を訂正するか、作成して SIM に割り当ててください"),
                format!("sekisho data-network add {dnn} --pool 10.0.0.0/16"),
            ),
        }
    }
}

/// Who is configured to ask us and does not.
fn peers(l: &mut List, c: &Config, m: &Machine) {
    let what = || both!("MMEs and SMFs", "MME・SMF");
    if m.silent.is_empty() && (c.s6a.is_some() || c.gx.is_some()) {
        l.good("peers", what(), both!("all that are configured are connected", "設定済みのすべてが接続中"));
    }
    for SilentPeer { face, name, since } in &m.silent {
        let since = rfc3339(*since);
        l.note(
            "peer-silent",
            what(),
            both!("{name} ({face}) is not connected since {since}", "{name} ({face}) は {since} から接続していません"),
            both!(
                "see that it runs, that it connects to our address and port, and that its Origin-Host, realm and address are those of its entry",
                "相手が起動し当方のアドレスとポートに接続すること、Origin-Host・レルム・アドレスが設定と一致することを確認してください"
            ),
            "sekisho alert list --state open",
        );
    }
}

/// An address has one owner: what an SMF assigns on its own lies in no pool of ours.
fn ranges(l: &mut List, c: &Config, m: &Machine) {
    if c.gx.is_none() && c.n4.is_none() {
        return;
    }
    let what = || both!("addresses of SMFs", "SMF が割り当てるアドレス");
    let n4 = c.n4.iter().flat_map(|n| n.overlaps(&m.pools));
    // One list of ranges where both sections have it: an SMF is named once.
    let gx =
        c.gx.iter().flat_map(|g| g.overlaps(&m.pools)).map(|(s, range, pool)| (s.host.as_str(), range, pool));
    let by_gx: Vec<_> = gx.collect();
    let new =
        |(_, range, pool): &(&str, IpNet, IpNet)| !by_gx.iter().any(|(_, r, p)| (r, p) == (range, pool));
    let only_n4: Vec<_> = n4.map(|(s, range, pool)| (s.name.as_str(), range, pool)).filter(new).collect();
    let mut found = by_gx.into_iter().chain(only_n4).peekable();
    if found.peek().is_none() {
        return l.good("smf-range", what(), both!("in no pool of ours", "当方のプールと重複なし"));
    }
    for (smf, range, pool) in found {
        l.bad(
            "smf-range-overlaps",
            what(),
            both!(
                "{smf} assigns from {range}, which overlaps with our pool {pool}: its sessions there are refused",
                "{smf} が割り当てる {range} は当方のプール {pool} と重複しており、該当するセッションは拒否されます"
            ),
            both!(
                "give the SMF another range, and name that in gx.smf.assigns and n4.smf.own_range; or none, and it takes the addresses of our profile",
                "SMF に別の範囲を設定して gx.smf.assigns と n4.smf.own_range に記載するか、両方をなくして当方のプロファイルのアドレスを使わせてください"
            ),
            EDIT,
        );
    }
}

fn tun(l: &mut List, m: &Machine) {
    let what = || both!("TUN", "TUN");
    match &m.tun {
        Tun::Opens => l.good("tun", what(), both!("/dev/net/tun opens", "/dev/net/tun を開けます")),
        Tun::Missing => l.bad(
            "tun-missing",
            what(),
            both!("/dev/net/tun is not there", "/dev/net/tun がありません"),
            both!("load the module", "モジュールを読み込んでください"),
            "modprobe tun",
        ),
        Tun::Closed(why) => l.bad(
            "tun-closed",
            what(),
            both!("/dev/net/tun does not open: {why}", "/dev/net/tun を開けません: {why}"),
            both!(
                "open it, or start with CAP_NET_ADMIN",
                "アクセスを許可するか、CAP_NET_ADMIN 付きで起動してください"
            ),
            "chmod 0666 /dev/net/tun",
        ),
    }
}

fn files(l: &mut List, c: &Config, m: &Machine) {
    let (dir, key) = (c.paths.data.display().to_string(), c.key_file().display().to_string());
    let what = || both!("data directory", "データディレクトリ");
    match m.data_mode {
        Some(mode) if mode & 0o077 == 0 => l.good("data", what(), both!("{dir}", "{dir}")),
        Some(mode) => l.bad(
            "data-mode",
            what(),
            both!(
                "{dir} is open to others (mode {mode:o})",
                "{dir} に他のユーザーもアクセスできます (モード {mode:o})"
            ),
            both!("close it to all but its owner", "所有者以外のアクセスを禁止してください"),
            format!("chmod 700 {dir}"),
        ),
        None => l.note(
            "data-missing",
            what(),
            both!("{dir} is not there yet", "{dir} はまだありません"),
            both!("make it with everything in it", "初期化してください"),
            "sekisho init",
        ),
    }
    let what = || both!("key file", "鍵ファイル");
    match m.key {
        Some((_, length)) if length != 32 => l.bad(
            "key-length",
            what(),
            both!("{key} is not a key of 32 octets", "{key} は 32 オクテットの鍵ではありません"),
            both!(
                "put the right file back; without it no SIM's key opens",
                "正しいファイルを戻してください。これがないと SIM の鍵を復号できません"
            ),
            format!("cp /PLACE/OF/THE/COPY/kek.key {key} && chmod 600 {key}"),
        ),
        Some((mode, _)) if mode & 0o077 != 0 => l.bad(
            "key-mode",
            what(),
            both!(
                "others can read {key} (mode {mode:o})",
                "{key} を他のユーザーも読み取れます (モード {mode:o})"
            ),
            both!(
                "close it; who has copied it can open every SIM's key",
                "アクセスを禁止してください。複製した人はすべての SIM の鍵を復号できます"
            ),
            format!("chmod 600 {key}"),
        ),
        Some(_) => l.good("key", what(), both!("{key}", "{key}")),
        None => l.note(
            "key-missing",
            what(),
            both!("{key} is not there yet", "{key} はまだありません"),
            both!("make it", "作成してください"),
            "sekisho init",
        ),
    }
}

fn journal(l: &mut List, c: &Config, m: &Machine) {
    let file = c.journal().display().to_string();
    let what = || both!("journal", "ジャーナル");
    match &m.journal {
        None => l.note(
            "journal-missing",
            what(),
            both!("{file} is not there yet", "{file} はまだありません"),
            both!("the gateway makes it at its first start", "ゲートウェイの初回起動時に作成されます"),
            "sekisho run",
        ),
        Some(Err(why)) => l.bad(
            "journal-damaged",
            what(),
            both!("{file} cannot be read: {why}", "{file} を読み取れません: {why}"),
            both!("bring a copy back; what the damaged one says of bans is kept", "コピーから復元してください。破損側に残る停止の記録も引き継がれます"),
            format!("sekisho journal verify {file}"),
        ),
        // Both heads in one line: who reads it sees which is behind.
        Some(Ok(records)) => match m.database_knows {
            Some(known) if known > *records => l.bad(
                "journal-behind",
                what(),
                both!(
                    "head at record {records}; the database knows of {known}: the end of the journal is missing",
                    "先頭は {records} 件目。データベースは {known} 件を記録しており、ジャーナルの末尾が失われています"
                ),
                both!("the bans of both are in force; restore a copy of the journal", "両方の停止が有効です。ジャーナルのコピーを復元してください"),
                format!("sekisho journal verify {file}"),
            ),
            Some(known) => l.good(
                "journal",
                what(),
                both!("head at record {records}; the database knows of {known}", "先頭は {records} 件目。データベースの記録は {known} 件"),
            ),
            None => l.good("journal", what(), both!("head at record {records}", "先頭は {records} 件目")),
        },
    }
    let what = || both!("hold", "保留");
    match &m.held {
        Some(why) => l.bad(
            "held",
            what(),
            both!("every SIM is held: {why}", "すべての SIM が保留中です: {why}"),
            both!(
                "look at the banned SIMs, then confirm their number",
                "停止中の SIM を確認し、その件数を確定してください"
            ),
            "sekisho restore confirm --banned NUMBER --reason WHY",
        ),
        None => l.good("hold", what(), both!("no SIM is held", "保留中の SIM はありません")),
    }
}

fn backups(l: &mut List, m: &Machine) {
    const WEEK: u64 = 7 * 86_400;
    let what = || both!("backups", "バックアップ");
    if !m.recovery_key {
        return l.note(
            "no-recovery-key",
            what(),
            both!(
                "there is no recovery key, so no backup can be made",
                "復旧鍵がないため、バックアップを作成できません"
            ),
            both!("make one and write it down", "作成して控えてください"),
            "sekisho backup key",
        );
    }
    match m.backup_age {
        None => l.note(
            "backup-none",
            what(),
            both!("no backup lies on this machine", "このマシンにバックアップがありません"),
            both!("make one, then take the file away", "作成し、ファイルを別の場所に保管してください"),
            "sekisho backup make",
        ),
        Some(age) if age > WEEK => {
            let days = age / 86_400;
            l.note(
                "backup-old",
                what(),
                both!("the newest is {days} days old", "最新のものは {days} 日前です"),
                both!("make one, then take the file away", "作成し、ファイルを別の場所に保管してください"),
                "sekisho backup make",
            );
        }
        Some(age) => {
            let hours = age / 3600;
            l.good(
                "backups",
                what(),
                both!("the newest is {hours} hours old", "最新のものは {hours} 時間前です"),
            );
        }
    }
}

fn deliveries(l: &mut List, m: &Machine) {
    let what = || both!("delivery", "配信");
    let all = match &m.deliveries {
        Err(why) => {
            return l.bad(
                "delivery-wrong",
                what(),
                both!("{why}", "{why}"),
                both!("correct it in [[delivery]]", "[[delivery]] を訂正してください"),
                EDIT,
            );
        }
        Ok(all) => all,
    };
    if all.is_empty() {
        l.note(
            "delivery-none",
            what(),
            both!("audit and alerts stay on this machine", "監査とアラートはこのマシンにしか残りません"),
            both!(
                "add a [[delivery]]: whoever owns this machine could cut the end of the audit unseen",
                "[[delivery]] を追加してください。このマシンの管理者が監査の末尾を気付かれずに消せる状態です"
            ),
            EDIT,
        );
    }
    for (name, answer) in all {
        match answer {
            Ok(()) => l.good("delivery", what(), both!("{name} answers", "{name} は応答しています")),
            Err(why) => l.bad(
                "delivery-silent",
                what(),
                both!("{name}: {why}", "{name}: {why}"),
                both!(
                    "nothing is lost before it is older than what is kept; try it by hand",
                    "保持期間内であれば失われません。手動で試してください"
                ),
                format!("sekisho delivery test {name}"),
            ),
        }
    }
}

fn provider(l: &mut List, c: &Config, m: &Machine) {
    let (Some(seen), Some(oidc)) = (&m.provider, &c.oidc) else { return };
    let what = || both!("identity provider", "ID プロバイダー");
    let (name, issuer, base) = (&oidc.name, oidc.issuer.trim_end_matches('/'), &oidc.base_url);
    match &seen.answer {
        Ok(()) => l.good("provider", what(), both!("{name} answers", "{name} は応答しています")),
        Err(why) => l.bad(
            "provider-silent",
            what(),
            both!("{name}: {why}", "{name}: {why}"),
            both!(
                "see that this machine reaches it and trusts its certificate (oidc.issuer, oidc.ca); local operators sign in meanwhile",
                "このマシンから到達でき、証明書を信頼しているか確認してください (oidc.issuer、oidc.ca)。その間もローカルのオペレーターはサインインできます"
            ),
            format!("curl -sS {issuer}/.well-known/openid-configuration"),
        ),
    }
    if let Some(why) = &seen.lost {
        l.note(
            "provider-way-back",
            what(),
            both!(
                "people come back from it to {base}: {why}",
                "サインイン後の戻り先は {base} です: {why}"
            ),
            both!(
                "write in oidc.base_url how browsers reach the console, and the same at the provider; a proxy in front of the API makes this right",
                "oidc.base_url にブラウザーからコンソールに到達するアドレスを書き、プロバイダー側にも同じものを登録してください。API の前段にプロキシがある場合は問題ありません"
            ),
            EDIT,
        );
    }
}

fn ciphering(l: &mut List, c: &Config) {
    let what = || both!("ciphering", "暗号化");
    if c.network.ciphering.contains(&Ciphering::Nea0) {
        l.note(
            "nea0",
            what(),
            both!(
                "NEA0 is allowed: signalling may go in clear",
                "NEA0 が許可されており、シグナリングが暗号化されないことがあります"
            ),
            both!("take NEA0 out of network.ciphering", "network.ciphering から NEA0 を外してください"),
            EDIT,
        );
    } else {
        l.good("ciphering", what(), both!("signalling is ciphered", "シグナリングは暗号化されます"));
    }
}

fn concealment(l: &mut List, c: &Config) {
    let seen = match c.network.refuse_null_scheme {
        true => both!(
            "a SIM that tells its identity in clear is refused as soon as there is a home network key",
            "ホームネットワーク鍵が登録されると、識別情報を平文で送る SIM は拒否されます"
        ),
        false => both!(
            "SIMs may tell their identity in clear (network.refuse_null_scheme is false)",
            "識別情報を平文で送る SIM も受け付けます (network.refuse_null_scheme = false)"
        ),
    };
    l.good("concealment", both!("identities on the air", "無線区間の識別情報"), seen);
}

fn clock(l: &mut List, m: &Machine) {
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

fn forwarding(l: &mut List, c: &Config, m: &Machine) {
    let within = ways::within(c);
    let what = || both!("forwarding", "転送");
    let w = match &m.ways {
        Ok(w) => w,
        Err(why) => {
            return l.note(
                "namespace",
                what(),
                both!("{why}", "{why}"),
                both!(
                    "make the namespace that gateway.netns names, or run doctor as root",
                    "gateway.netns の名前空間を作成するか、root で実行してください"
                ),
                format!("ip netns add {}", within.split_whitespace().nth(3).unwrap_or("core")),
            );
        }
    };
    if !w.forwards {
        l.bad(
            "forwarding-off",
            what(),
            both!(
                "net.ipv4.ip_forward = 0: no packet gets from the devices to the company's network",
                "net.ipv4.ip_forward = 0: 端末から社内ネットワークへパケットが転送されません"
            ),
            both!("switch it on, and keep it in /etc/sysctl.d", "有効にし、/etc/sysctl.d に保存してください"),
            format!("{within}sysctl -w net.ipv4.ip_forward=1"),
        );
    } else {
        l.good("forwarding", what(), both!("net.ipv4.ip_forward = 1", "net.ipv4.ip_forward = 1"));
    }
    if w.forwards6 == Some(false) {
        l.bad(
            "forwarding6-off",
            both!("forwarding of IPv6", "IPv6 の転送"),
            both!(
                "net.ipv6.conf.all.forwarding = 0: no packet gets from the devices to the company's network by IPv6",
                "net.ipv6.conf.all.forwarding = 0: IPv6 プールのあるデータネットワークで、端末から社内ネットワークへ IPv6 パケットが転送されません"
            ),
            both!(
                "switch it on, and keep it in /etc/sysctl.d",
                "有効にし、/etc/sysctl.d に保存してください"
            ),
            format!("{within}sysctl -w net.ipv6.conf.all.forwarding=1"),
        );
    }
    let Some(device) = &w.n3_device else { return };
    if w.past {
        l.note(
            "past-the-gateway",
            both!("past the gateway", "ゲートウェイの迂回"),
            both!(
                "plain IP of hosts on the N3 side ({device}) is forwarded by the kernel, past every rule",
                "N3 側 ({device}) のホストの通信が、ルールを通らずカーネルにより転送されます"
            ),
            both!(
                "switch it off; where {device} also leads to the company's network, drop in a firewall what is forwarded and neither from nor to the TUN",
                "無効にしてください。{device} が社内ネットワークにもつながる場合は、TUN 以外を出入りする転送をファイアウォールで破棄してください"
            ),
            format!("{within}sysctl -w net.ipv4.conf.{device}.forwarding=0"),
        );
    }
    let needed = u32::from(DataNetwork::default_mtu()) + TUNNEL;
    match w.n3_mtu {
        Some(mtu) if mtu < needed => l.note(
            "mtu-small",
            both!("MTU", "MTU"),
            both!(
                "{device} takes packets of {mtu} octets; with the tunnel's head a full one has {needed}",
                "{device} の MTU は {mtu} です。トンネルのヘッダーを含む最大パケットは {needed} オクテットになります"
            ),
            both!("raise it, or lower the MTU of the data networks", "MTU を上げるか、データネットワークの MTU を下げてください"),
            format!("{within}ip link set {device} mtu {needed}"),
        ),
        Some(mtu) => l.good("mtu", both!("MTU", "MTU"), both!("{device}: {mtu}", "{device}: {mtu}")),
        None => {}
    }
}

fn gateway(l: &mut List, c: &Config, m: &Machine) {
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

fn copies(l: &mut List, m: &Machine) {
    let what = || both!("journal copy", "ジャーナルのコピー");
    let log = "journalctl -u sekisho -n 100 | grep -i copy";
    if m.copies.is_empty() {
        l.note(
            "copy-none",
            what(),
            both!("the revocation journal has no copy off this machine", "停止ジャーナルのコピーが別のマシンにありません"),
            both!(
                "name a place in gateway.journal_copies: a ban survives a crash of this machine, not its loss",
                "gateway.journal_copies に保存先を指定してください。停止は障害後も残りますが、マシンごと失うと残りません"
            ),
            EDIT,
        );
    }
    for (place, copy) in &m.copies {
        match copy {
            CopySeen::Has(n, 0) => {
                l.good("copy", what(), both!("{place} has all {n} records", "{place} は全 {n} 件を保持"))
            }
            CopySeen::Has(_, behind) => l.note(
                "copy-behind",
                what(),
                both!("{place} is {behind} records behind", "{place} は {behind} 件遅れています"),
                both!("see what the gateway's log says of it", "ゲートウェイのログを確認してください"),
                log,
            ),
            CopySeen::SameDisk => l.note(
                "copy-same-disk",
                what(),
                both!("{place} is on the journal's own disk", "{place} はジャーナルと同じディスクにあります"),
                both!("name another disk", "別のディスクを指定してください"),
                EDIT,
            ),
            CopySeen::Fails(why) => l.bad(
                "copy-fails",
                what(),
                both!("{place}: {why}", "{place}: {why}"),
                both!(
                    "mount it or correct the path; a sink must answer",
                    "マウントするかパスを訂正してください。送信先なら応答を確認してください"
                ),
                format!("ls -ld {place}; {log}"),
            ),
            CopySeen::Silent => l.note(
                "copy-silent",
                what(),
                both!("{place} has not answered yet", "{place} はまだ応答していません"),
                both!("see what the gateway's log says of it", "ゲートウェイのログを確認してください"),
                log,
            ),
        }
    }
}

fn resources(l: &mut List, c: &Config, m: &Machine) {
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

fn certificate(l: &mut List, c: &Config, m: &Machine) {
    let what = || both!("certificate", "証明書");
    let key = c.api.private_key.as_deref().map(|p| p.display().to_string()).unwrap_or_default();
    let file = c.api.certificate.as_deref().map(|p| p.display().to_string()).unwrap_or_default();
    let show = format!("openssl x509 -in {file} -noout -dates");
    let cert = match &m.certificate {
        None => return,
        Some(Err(why)) => {
            return l.bad(
                "certificate-unreadable",
                what(),
                both!("{why}", "{why}"),
                both!(
                    "put the right file there, or correct api.certificate",
                    "正しいファイルを置くか、api.certificate を訂正してください"
                ),
                format!("openssl x509 -in {file} -noout -text"),
            );
        }
        Some(Ok(cert)) => cert,
    };
    let now = m.utc_ms / 1000;
    let days = (cert.until - now) / DAY;
    let renew = || both!("put a new one there and restart", "新しい証明書に置き換えて再起動してください");
    if now < cert.from {
        l.bad(
            "certificate-early",
            what(),
            both!("it does not hold yet", "まだ有効期間が始まっていません"),
            both!("see whether it or the clock is wrong", "証明書と時計のどちらが誤りか確認してください"),
            format!("date -u; {show}"),
        );
    } else if now >= cert.until {
        l.bad(
            "certificate-expired",
            what(),
            both!("it has run out", "有効期限が切れています"),
            renew(),
            show,
        );
    } else if days < 30 {
        l.note(
            "certificate-soon",
            what(),
            both!("it runs out in {days} days", "あと {days} 日で期限が切れます"),
            renew(),
            show,
        );
    } else {
        l.good("certificate", what(), both!("it holds for {days} days", "有効期限まで {days} 日"));
    }
    if let Some(mode) = cert.key_mode.filter(|mode| mode & 0o077 != 0) {
        l.bad(
            "certificate-key-mode",
            what(),
            both!(
                "others can read its key {key} (mode {mode:o})",
                "秘密鍵 {key} を他のユーザーも読み取れます (モード {mode:o})"
            ),
            both!("close it", "アクセスを禁止してください"),
            format!("chmod 600 {key}"),
        );
    }
}

fn console(l: &mut List, m: &Machine) {
    let what = || both!("console", "コンソール");
    let get = m.console.fix().unwrap_or_default();
    match &m.console {
        Standing::Current(d) => {
            l.good("console", what(), both!("built from sources {d}", "ソース {d} からビルド"))
        }
        Standing::Missing => l.note(
            "console-missing",
            what(),
            both!(
                "it is not in this binary; API and command line work",
                "このバイナリには含まれていません。API とコマンドラインは使えます"
            ),
            both!("build it where Node 20 or later is", "Node 20 以降のある環境でビルドしてください"),
            get,
        ),
        Standing::Stale { built, sources } => l.note(
            "console-stale",
            what(),
            both!(
                "it was built from other sources ({built}) than this binary ({sources})",
                "バイナリ ({sources}) と異なるソース ({built}) からビルドされています"
            ),
            both!("build both anew", "両方を再ビルドしてください"),
            get,
        ),
    }
}
