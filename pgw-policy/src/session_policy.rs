//! What a SIM may reach, in the words of another core's session (TS 29.212 §4.5.2): for who judges before us.

use crate::{Policy, policy::speaks_of};
use std::collections::BTreeSet;
use types::{App, Imsi, PermittedFlow, Ports, RuleDirection, Service, SessionPolicy};

impl Policy {
    /// What this SIM may reach by any rule that allows something, whatever else says no and whenever it is in force: never
    /// narrower than what passes here. None where that is more than `most` flows.
    pub fn session_policy(&self, imsi: Imsi, most: usize) -> Option<SessionPolicy> {
        let ue = self.ue(imsi);
        let mut flows = BTreeSet::new();
        for rule in self.rules.iter().filter(|r| r.verdict.may_open() && speaks_of(&r.subject, imsi, ue)) {
            for app in self.apps.iter().filter(|a| a.name == rule.app) {
                flows.extend(permitted(app, &rule.direction));
            }
            if flows.len() > most {
                return None;
            }
        }
        Some(SessionPolicy { flows: flows.into_iter().collect() })
    }
}

fn permitted(app: &App, direction: &RuleDirection) -> Vec<PermittedFlow> {
    let (services, in_ue): (&[Service], bool) = match direction {
        RuleDirection::Out => (&app.services, false),
        RuleDirection::In { to } => (to, true),
    };
    let of = |s: &Service| {
        let (remote_ports, ue_ports) = if in_ue { (Ports::ANY, s.ports) } else { (s.ports, Ports::ANY) };
        let protocol = s.protocol;
        app.prefixes.iter().map(move |p| PermittedFlow { protocol, remote: *p, remote_ports, ue_ports })
    };
    services.iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{from_value, json};

    fn policy() -> Policy {
        let app = |name: &str, prefixes: &[&str], services: &[&str]| json!({ "name": name, "prefixes": prefixes, "services": services });
        let rule = |name: &str, subject: &str, app: &str, verdict: &str| json!({ "name": name, "order": 1, "subject": subject, "app": app, "direction": "out", "verdict": verdict });
        let mut scada = rule("scada", "group:plc", "scada", "allow");
        (scada["direction"], scada["to"]) = (json!("in"), json!(["tcp/502"]));
        from_value(json!({
            "generation": 1,
            "apps": [
                app("mail", &["10.1.0.0/24", "2001:db8:1::/64"], &["tcp/443", "icmp"]),
                app("wiki", &["10.2.0.0/24"], &["tcp/8000-8010"]),
                app("pay", &["10.3.0.0/24"], &["tcp/443"]),
                app("scada", &["10.9.0.1/32"], &[]),
            ],
            "groups": [{ "name": "plc", "label": "" }],
            "rules": [
                rule("mail", "any", "mail", "allow"),
                rule("wiki", "sim:001010000000001", "wiki", "allow"),
                rule("no-mail", "group:plc", "mail", "deny"),
                rule("no-pay", "any", "pay", "deny"),
                scada,
            ],
            "ues": [{ "imsi": "001010000000002", "groups": ["plc"] }],
        }))
        .unwrap()
    }

    fn said(imsi: &str, most: usize) -> Option<Vec<String>> {
        let ports = |p: Ports| format!("{}-{}", p.first(), p.last());
        let one = |f: &PermittedFlow| {
            format!("{:?} {} {} {}", f.protocol, f.remote, ports(f.remote_ports), ports(f.ue_ports))
        };
        let policy = policy().session_policy(imsi.parse().unwrap(), most)?;
        Some(policy.flows.iter().map(one).collect())
    }

    const MAIL: [&str; 4] = [
        "Tcp 10.1.0.0/24 443-443 0-65535",
        "Tcp 2001:db8:1::/64 443-443 0-65535",
        "Icmp 10.1.0.0/24 0-65535 0-65535",
        "Icmp 2001:db8:1::/64 0-65535 0-65535",
    ];

    #[test]
    fn each_sim_has_what_any_rule_allows_it_and_no_more() {
        assert_eq!(said("001010000000003", 15).unwrap(), MAIL);
        let wiki = said("001010000000001", 15).unwrap();
        assert!(
            wiki.len() == 5 && wiki.contains(&"Tcp 10.2.0.0/24 8000-8010 0-65535".to_owned()),
            "{wiki:?}"
        );
        // What is denied by another rule stays in: our own judge says so. What nobody allows does not.
        let plc = said("001010000000002", 15).unwrap();
        assert!(plc.len() == 5 && plc.contains(&"Tcp 10.9.0.1/32 0-65535 502-502".to_owned()), "{plc:?}");
    }

    #[test]
    fn more_than_fits_is_nothing_rather_than_a_part() {
        assert_eq!(said("001010000000001", 4), None);
        assert_eq!(said("001010000000003", 4).unwrap().len(), 4);
    }
}
