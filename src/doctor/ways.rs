//! What the kernel forwards where the gateway stands: its own packets, and those that should not pass beside it.

use crate::config::Config;
use gateway::netns;
use std::{
    fs,
    fs::File,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
    thread,
};

/// What the kernel does with packets where the gateway stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ways {
    /// It forwards at all.
    pub forwards: bool,
    /// It forwards IPv6; `None` where nothing of IPv6 is routed to the TUN.
    pub forwards6: Option<bool>,
    /// The interface of the N3 side.
    pub n3_device: Option<String>,
    /// It forwards what comes in there as plain IP.
    pub past: bool,
    /// The longest packet of that interface, octets.
    pub n3_mtu: Option<u32>,
}

/// Looks in the gateway's own namespace.
pub(super) fn look(config: &Config) -> Result<Ways, String> {
    let (n3, tun) = (config.n3.address, config.n6.tun.clone());
    match &config.gateway.netns {
        Some(namespace) => inside(namespace, move || seen(n3, &tun)),
        None => Ok(seen(n3, &tun)),
    }
}

/// What is written before a command that is for the gateway's namespace.
pub(super) fn within(config: &Config) -> String {
    let name = |n: &std::path::PathBuf| n.file_name().unwrap_or_default().to_string_lossy().into_owned();
    config.gateway.netns.as_ref().map(|n| format!("ip netns exec {} ", name(n))).unwrap_or_default()
}

/// Runs `look` in a namespace, on a thread of its own: a namespace belongs to a thread.
fn inside<T: Send + 'static>(
    namespace: &Path,
    look: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let place = namespace.display().to_string();
    let file = File::open(namespace).map_err(|e| format!("{place} cannot be opened: {e}"))?;
    let thread = thread::spawn(move || netns::setns(&file).map(|()| look()));
    match thread.join() {
        Ok(Ok(found)) => Ok(found),
        Ok(Err(e)) => Err(format!("{place} cannot be entered: {e:#}")),
        Err(_) => Err(format!("{place} cannot be looked at")),
    }
}

fn seen(n3: IpAddr, tun: &str) -> Ways {
    let is_on = |key: &str| fs::read_to_string(key).is_ok_and(|v| v.trim() == "1");
    let forwards = is_on("/proc/sys/net/ipv4/ip_forward");
    // /proc/net would be that of the whole process.
    let table = |name: &str| fs::read_to_string(format!("/proc/thread-self/net/{name}")).unwrap_or_default();
    let forwards6 =
        leads_to(&table("ipv6_route"), tun).then(|| is_on("/proc/sys/net/ipv6/conf/all/forwarding"));
    let device = match n3 {
        IpAddr::V4(a) => device_of(&table("route"), a).map(str::to_owned),
        IpAddr::V6(a) => device_with(&table("if_inet6"), a).map(str::to_owned),
    };
    let Some(device) = device else { return Ways { forwards, forwards6, ..Ways::default() } };
    let forwards_there = |family: &str| is_on(&format!("/proc/sys/net/{family}/conf/{device}/forwarding"));
    // The kernel's own question is asked in this thread's namespace; files of /sys are of the one that mounted them.
    let mtu = fs::read_to_string(format!("/proc/sys/net/ipv6/conf/{device}/mtu"));
    Ways {
        forwards,
        forwards6,
        past: (forwards && forwards_there("ipv4")) || (n3.is_ipv6() && forwards_there("ipv6")),
        n3_mtu: mtu.ok().and_then(|v| v.trim().parse().ok()),
        n3_device: Some(device),
    }
}

/// The interface of the subnet that an address of ours lies in, from the kernel's table (hexadecimal, as the machine
/// orders octets).
fn device_of(routes: &str, address: Ipv4Addr) -> Option<&str> {
    let ours = u32::from_ne_bytes(address.octets());
    let hexadecimal = |s: &str| u32::from_str_radix(s, 16).ok();
    let mask_of = |line: &str| {
        let mut fields = line.split_whitespace().skip(1);
        let (to, via) = (hexadecimal(fields.next()?)?, hexadecimal(fields.next()?)?);
        let mask = hexadecimal(fields.nth(4)?)?;
        (via == 0 && mask != 0 && ours & mask == to).then(|| mask.count_ones())
    };
    let routes = routes.lines().skip(1).filter_map(|line| Some((mask_of(line)?, line)));
    let (_, line) = routes.max_by_key(|(mask, _)| *mask)?;
    line.split_whitespace().next()
}

/// True if a prefix of UEs is routed to this interface, by the kernel's table (`ipv6_route`: the prefix in hexadecimal first,
/// the name last). Link-local and multicast prefixes every interface has.
fn leads_to(routes: &str, tun: &str) -> bool {
    let is_of = |line: &str| line.split_whitespace().last() == Some(tun);
    routes.lines().any(|line| is_of(line) && !line.starts_with("fe80") && !line.starts_with("ff"))
}

/// The interface that has this address, from the kernel's table (`if_inet6`: hexadecimal, the name last).
fn device_with(addresses: &str, address: Ipv6Addr) -> Option<&str> {
    let ours = format!("{:032x}", address.to_bits());
    let line = addresses.lines().find(|l| l.starts_with(&ours))?;
    line.split_whitespace().last()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interface_of_an_address_is_that_of_its_subnet() {
        let routes = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
                      eth0\t00000000\t010AA8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                      eth0\t000AA8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
                      ran0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
        if cfg!(target_endian = "little") {
            assert_eq!(device_of(routes, Ipv4Addr::new(192, 0, 2, 1)), Some("ran0"));
            assert_eq!(device_of(routes, Ipv4Addr::new(192, 168, 10, 7)), Some("eth0"));
        }
        assert_eq!(device_of(routes, Ipv4Addr::new(10, 0, 0, 1)), None);
        assert_eq!(device_of("", Ipv4Addr::new(10, 0, 0, 1)), None);
        let addresses = "00000000000000000000000000000001 01 80 10 80       lo\n\
                         fd000000000000000000000000000a01 03 40 00 80     ran0\n";
        assert_eq!(device_with(addresses, "fd00::a01".parse().unwrap()), Some("ran0"));
        assert_eq!(device_with(addresses, "fd00::a02".parse().unwrap()), None);
        let none = "00000000000000000000000000000000 00 fd 80";
        let routes = |prefix: &str| {
            format!(
                "{prefix} 30 {none} 00000400 00000001 00000000 00000001 sekisho0\n\
                     fe800000000000000000000000000000 40 {none} 00000100 00000001 00000000 00000001 sekisho0\n\
                     ff000000000000000000000000000000 08 {none} 00000100 00000004 00000000 00000001 sekisho0\n"
            )
        };
        let ues = routes("fd000045000000000000000000000000");
        assert!(leads_to(&ues, "sekisho0") && !leads_to(&ues, "sekisho") && !leads_to(&ues, "eth0"));
        assert!(!leads_to(&routes("fe80000000000000000000000000000a"), "sekisho0"));
    }

    #[test]
    fn a_namespace_that_is_not_there_is_named() {
        let why = inside(Path::new("/nowhere/ns"), || ()).unwrap_err();
        assert!(why.contains("/nowhere/ns"), "{why}");
    }
}
