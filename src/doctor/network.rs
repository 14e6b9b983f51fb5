//! Towards other cores and the company's network: peers that ask us, addresses that have two owners, the TUN, and what the
//! kernel forwards.

use super::{
    judge::{EDIT, List, both},
    machine::{Machine, SilentPeer, Tun},
    ways,
};
use crate::config::Config;
use gateway::time::rfc3339;
use ipnet::IpNet;
use types::DataNetwork;

/// IPv4, UDP, GTP-U with a PDU session container (TS 29.281 §5.1, TS 38.415), octets.
const TUNNEL: u32 = 20 + 8 + 8 + 8;

/// Who is configured to ask us and does not.
pub(super) fn peers(l: &mut List, c: &Config, m: &Machine) {
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
pub(super) fn ranges(l: &mut List, c: &Config, m: &Machine) {
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

pub(super) fn tun(l: &mut List, m: &Machine) {
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

pub(super) fn forwarding(l: &mut List, c: &Config, m: &Machine) {
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
