//! Towards the radios: SCTP and our addresses on N2 and N3, who is let in, and what goes over the air in clear.

use super::{
    judge::{EDIT, List, both},
    machine::{Machine, Refused},
};
use crate::{
    config::{Ciphering, Config, Transport},
    io::sctp::SctpMode,
};
use std::net::IpAddr;

pub(super) fn transport(l: &mut List, c: &Config, m: &Machine) {
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

pub(super) fn addresses(l: &mut List, c: &Config, m: &Machine) {
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

pub(super) fn radios(l: &mut List, c: &Config, m: &Machine) {
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

pub(super) fn ciphering(l: &mut List, c: &Config) {
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

pub(super) fn concealment(l: &mut List, c: &Config) {
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
