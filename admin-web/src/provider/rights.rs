//! Which of a person's groups gives which rights.

use super::{Person, ProviderConfig, Refusal};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use store::Grant;

/// What a person may do; refused where he did not prove himself as it is asked for, or has no group that gives
/// anything.
pub(super) fn of(config: &ProviderConfig, person: &Person) -> Result<Vec<Grant>, Refusal> {
    if !is_proven(config, person) {
        return Err(Refusal::Assurance);
    }
    let groups = groups(&person.claims, &config.groups_claim);
    let given = config.grants.iter().filter(|g| groups.contains(g.group.as_str()));
    let grants: BTreeSet<Grant> = given.map(|g| g.grant.clone()).collect();
    if grants.is_empty() { Err(Refusal::NoGroup) } else { Ok(grants.into_iter().collect()) }
}

/// True where the provider says that the person proved themselves as it is asked for.
pub(super) fn is_proven(config: &ProviderConfig, person: &Person) -> bool {
    let proven = config.acr.is_empty() || person.acr.as_ref().is_some_and(|a| config.acr.contains(a));
    proven && config.amr.iter().all(|a| person.amr.contains(a))
}

/// The groups that a claim names: one, or a list. Whatever else stands there is none.
fn groups<'c>(claims: &'c Map<String, Value>, name: &str) -> BTreeSet<&'c str> {
    let found = match name.strip_prefix('/') {
        None => claims.get(name),
        Some(path) => path.split_once('/').map_or_else(
            || claims.get(path),
            |(first, rest)| claims.get(first).and_then(|v| v.pointer(&format!("/{rest}"))),
        ),
    };
    match found {
        Some(Value::String(one)) => [one.as_str()].into(),
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect(),
        _ => BTreeSet::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::ProviderGrant, *};
    use serde_json::json;

    fn config() -> ProviderConfig {
        let role = |group: &str, role: &str, site: Option<&str>| ProviderGrant {
            group: group.to_owned(),
            grant: Grant {
                roles: [role.to_owned()].into(),
                sites: site.iter().map(|s| s.parse().unwrap()).collect(),
                ..Grant::default()
            },
        };
        ProviderConfig {
            name: "Corp".to_owned(),
            issuer: "https://idp.example".to_owned(),
            client_id: "sekisho".to_owned(),
            client_secret: None,
            scopes: vec![],
            groups_claim: "groups".to_owned(),
            grants: vec![
                role("net", "owner", None),
                role("osaka", "soc", Some("osaka")),
                role("both", "owner", None),
            ],
            base_url: "https://sekisho.example".to_owned(),
            acr: vec![],
            amr: vec![],
            session_ms: 1,
        }
    }

    fn person(claims: Value) -> Person {
        Person {
            subject: "s".to_owned(),
            label: "s".to_owned(),
            email: None,
            acr: None,
            amr: vec!["pwd".to_owned()],
            claims: claims.as_object().unwrap().clone(),
        }
    }

    #[test]
    fn each_mapped_group_gives_its_rights_within_its_limits() {
        let c = config();
        let all = of(&c, &person(json!({ "groups": ["osaka", "net", "both", "other"] }))).unwrap();
        assert_eq!(all.len(), 2, "the same right twice is one: {all:?}");
        assert!(all.iter().any(|g| g.roles.contains("soc") && g.sites.len() == 1));
        assert_eq!(of(&c, &person(json!({ "groups": "osaka" }))).unwrap().len(), 1);
        for none in [
            json!({}),
            json!({ "groups": [] }),
            json!({ "groups": ["NET", "net ", "osak"] }),
            json!({ "groups": { "net": true } }),
            json!({ "groups": [{ "name": "net" }, 1, null] }),
            json!({ "group": ["net"] }),
        ] {
            assert_eq!(of(&c, &person(none.clone())), Err(Refusal::NoGroup), "{none}");
        }
    }

    #[test]
    fn a_claim_may_lie_deeper() {
        let mut c = config();
        c.groups_claim = "/realm_access/roles".to_owned();
        assert!(of(&c, &person(json!({ "realm_access": { "roles": ["net"] } }))).is_ok());
        assert!(of(&c, &person(json!({ "/realm_access/roles": ["net"] }))).is_err());
        c.groups_claim = "https://corp.example/groups".to_owned();
        assert!(of(&c, &person(json!({ "https://corp.example/groups": ["net"] }))).is_ok());
        c.groups_claim = "/groups".to_owned();
        assert!(of(&c, &person(json!({ "groups": ["net"] }))).is_ok());
    }

    #[test]
    fn what_must_be_proven_is_asked_for_before_the_groups() {
        let mut c = config();
        let mut p = person(json!({ "groups": ["net"] }));
        c.amr = vec!["pwd".to_owned(), "mfa".to_owned()];
        assert_eq!(of(&c, &p), Err(Refusal::Assurance));
        p.amr.push("mfa".to_owned());
        assert!(of(&c, &p).is_ok());
        c.acr = vec!["gold".to_owned(), "silver".to_owned()];
        assert_eq!(of(&c, &p), Err(Refusal::Assurance));
        p.acr = Some("bronze".to_owned());
        assert_eq!(of(&c, &p), Err(Refusal::Assurance));
        p.acr = Some("silver".to_owned());
        assert!(of(&c, &p).is_ok());
    }
}
