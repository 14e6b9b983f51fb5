//! What parses and cannot be right, one function per section; `service`, `n4`, `s6a` and `gx` look at themselves. All
//! mistakes are told, in the order in which they are looked for, not only the first.

use super::{Api, Config, Delivery, DeliveryKind, Fault, Gateway, Gnb, Network, Oidc, StoreSection, line_of};
use std::net::{IpAddr, Ipv4Addr};

impl Config {
    /// Everything that parses but cannot be right.
    pub(super) fn faults(&self, text: &str) -> Vec<Fault> {
        let mut found = Vec::new();
        // Whether it holds, the key, and what to write instead.
        let mut check = |ok: bool, key: &str, what: &str| {
            if !ok {
                found.push(Fault { line: line_of(text, key), key: key.to_owned(), what: what.to_owned() });
            }
        };
        network(&self.network, &mut check);
        reference_points(self, &mut check);
        gateway(&self.gateway, &mut check);
        api(&self.api, &mut check);
        store(&self.store, &mut check);
        if let Some(o) = &self.oidc {
            oidc(o, &mut check);
        }
        if let Some(s) = &self.service {
            s.check(self, &mut check);
        }
        for (i, d) in self.delivery.iter().enumerate() {
            let twin = self.delivery.iter().take(i).any(|o| o.name == d.name);
            check(!twin, "delivery.name", "two destinations have this name; give each its own");
            delivery(d, &mut check);
        }
        for (i, g) in self.gnb.iter().enumerate() {
            let twin = self.gnb.iter().take(i).any(|o| o.name == g.name);
            check(!twin, "gnb.name", "two gNBs have this name; give each its own");
            gnb(g, self.n3.address, &mut check);
        }
        found.extend(self.n4.iter().flat_map(|n| n.faults(text, self.n3.address)));
        found.extend(self.s6a.iter().flat_map(|s| s.faults(text)));
        found.extend(self.gx.iter().flat_map(|g| g.faults(text)));
        if let (Some(gx), Some(n4)) = (&self.gx, &self.n4) {
            found.extend(gx.disagreements(n4, text));
        }
        found
    }
}

fn network(n: &Network, check: &mut impl FnMut(bool, &str, &str)) {
    check(!n.tacs.is_empty(), "network.tacs", "name at least one tracking area, for example [1]");
    check(!n.slices.is_empty(), "network.slices", "name at least one slice, for example [\"1\"]");
    check(n.slices.len() <= 8, "network.slices", "a UE can be told at most 8 slices; name at most 8");
    check(
        n.time_zone.as_deref().is_none_or(pgw_policy::clock::is_zone),
        "network.time_zone",
        "an IANA time zone, such as \"Asia/Tokyo\" or \"Europe/Berlin\"",
    );
    check(n.amf.set < 1024, "network.amf", "the AMF set is 0 to 1023");
    check(n.amf.pointer < 64, "network.amf", "the AMF pointer is 0 to 63");
    check(!n.integrity.is_empty(), "network.integrity", "name at least one of NIA1, NIA2, NIA3");
    check(!n.ciphering.is_empty(), "network.ciphering", "name at least one of NEA0, NEA1, NEA2, NEA3");
    check(
        n.key_life_s == 0 || n.key_life_s >= 60,
        "network.key_life_s",
        "0 for as long as it likes, or at least 60 seconds",
    );
    check(
        (60..=1_116_000).contains(&n.t3512_s),
        "network.t3512_s",
        "60 to 1116000 seconds (310 hours, the most that a UE can be told)",
    );
    check(
        (1..=150).contains(&n.name.chars().count()) && n.name.is_ascii(),
        "network.name",
        "the AMF name has 1 to 150 ASCII characters",
    );
    let shown = n.display_name.as_deref().unwrap_or("x");
    check(
        (1..=32).contains(&shown.chars().count()) && !shown.chars().any(char::is_control),
        "network.display_name",
        "the name that UEs show has 1 to 32 characters",
    );
}

fn reference_points(c: &Config, check: &mut impl FnMut(bool, &str, &str)) {
    let unusable = |a: IpAddr| {
        let disguised = matches!(a, IpAddr::V6(a) if a.to_ipv4_mapped().is_some());
        a.is_unspecified() || a.is_multicast() || a == Ipv4Addr::BROADCAST || disguised
    };
    check(!unusable(c.n2.address.into()), "n2.address", "write the address that gNBs connect to");
    check(!unusable(c.n3.address), "n3.address", "write the address that gNBs send GTP-U to");
    check(
        c.n3.peer_grace_ms.is_none_or(|ms| ms <= 60_000),
        "n3.peer_grace_ms",
        "at most 60000 milliseconds; leave it out to hear a UE through every listed radio",
    );
    check(c.n2.port != 0, "n2.port", "write a port; 38412 is the usual one");
    check(
        (1..=15).contains(&c.n6.tun.len())
            && c.n6.tun.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'),
        "n6.tun",
        "an interface name has 1 to 15 letters, digits, '-' or '_'",
    );
}

fn gateway(g: &Gateway, check: &mut impl FnMut(bool, &str, &str)) {
    check((1..=16).contains(&g.shards), "gateway.shards", "1 to 16 packet threads");
    for copy in &g.journal_copies {
        let fault = copy.fault();
        check(fault.is_none(), "gateway.journal_copies", fault.unwrap_or_default());
    }
    check(
        g.journal_copy_wait_ms <= 2_000,
        "gateway.journal_copy_wait_ms",
        "0 to 2000: a ban is answered within 3 seconds, whatever the copies do",
    );
}

fn api(a: &Api, check: &mut impl FnMut(bool, &str, &str)) {
    check(
        a.certificate.is_some() == a.private_key.is_some(),
        "api.certificate",
        "certificate and private_key belong together: give both or none",
    );
    if let Some(h) = &a.host {
        let name = h.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b));
        let right = name && !h.is_empty() && h.parse::<IpAddr>().is_err();
        check(
            right,
            "api.host",
            "a host name in lower case, without scheme and port; an address cannot have passkeys",
        );
    }
}

fn store(s: &StoreSection, check: &mut impl FnMut(bool, &str, &str)) {
    if let Some(u) = &s.url {
        let known = ["sqlite:", "postgres://", "postgresql://"].iter().any(|p| u.starts_with(p));
        check(known, "store.url", "begin with sqlite: or postgres://");
    }
}

fn oidc(o: &Oidc, check: &mut impl FnMut(bool, &str, &str)) {
    if let Err((key, what)) = crate::provider::believed(o, None).check() {
        check(false, &format!("oidc.{key}"), &what);
    }
    check((1..=40).contains(&o.name.chars().count()), "oidc.name", "a name has 1 to 40 characters");
    check(!o.client_id.is_empty(), "oidc.client_id", "write who we are at the provider");
    check(
        (5..=720).contains(&o.session_minutes),
        "oidc.session_minutes",
        "5 to 720: a sign-in ends after twelve hours at the latest",
    );
    check(!o.grant.is_empty(), "oidc.grant", "add an [[oidc.grant]]: without one nobody gets in");
    for g in &o.grant {
        check(!g.group.is_empty(), "oidc.grant", "a grant names a group of the provider's");
        let role = g.role.parse::<admin_web::Role>();
        check(role.is_ok(), "oidc.grant", &role.err().unwrap_or_default());
    }
}

fn delivery(d: &Delivery, check: &mut impl FnMut(bool, &str, &str)) {
    check(!d.what.is_empty(), "delivery.what", "name at least one of audit, alerts");
    check(
        d.certificate.is_some() == d.private_key.is_some(),
        "delivery.certificate",
        "certificate and private_key belong together: give both or none",
    );
    match d.kind {
        DeliveryKind::Webhook => {
            let https = d.url.as_ref().is_some_and(|u| u.starts_with("https://"));
            check(https, "delivery.url", "write where the webhook is, https://…");
            check(d.secret_file.is_some(), "delivery.secret_file", "name the file of the shared secret");
            check(d.address.is_none(), "delivery.address", "a webhook has a url, no address");
        }
        DeliveryKind::Syslog => {
            let port = d.address.as_ref().and_then(|a| a.rsplit_once(':')).map(|(_, p)| p);
            let right = port.is_some_and(|p| p.parse::<u16>().is_ok_and(|p| p != 0));
            check(right, "delivery.address", "write HOST:PORT; 6514 is the usual port");
            check(d.url.is_none(), "delivery.url", "a syslog receiver has an address, no url");
        }
    }
}

fn gnb(g: &Gnb, n3: IpAddr, check: &mut impl FnMut(bool, &str, &str)) {
    check(!g.n2.is_empty(), "gnb.n2", "write where its N2 comes from, for example [\"192.0.2.10/32\"]");
    check(!g.n3.is_empty(), "gnb.n3", "write where its N3 comes from, for example [\"192.0.2.10/32\"]");
    for (key, p) in g.n2.iter().map(|p| ("gnb.n2", p)).chain(g.n3.iter().map(|p| ("gnb.n3", p))) {
        check(*p == p.trunc(), key, &format!("{p} has host bits set; write {}", p.trunc()));
    }
    let family = |a: IpAddr| if a.is_ipv4() { "IPv4" } else { "IPv6" };
    let ours = family(n3);
    for p in g.n3.iter().filter(|p| family(p.addr()) != ours) {
        check(
            false,
            "gnb.n3",
            &format!("n3.address is {ours}, so {p} can send it nothing; write its {ours} prefix"),
        );
    }
}
