//! Filters, paths and changes by themselves.

use super::{
    filter::{Filter, Target},
    patch::{self, Refused},
    schema::{ENTERPRISE, KINDS, Kind},
};
use serde_json::{Map, Value, json};

const PEOPLE: Kind = KINDS[0];
const GROUPS: Kind = KINDS[1];

fn tanaka() -> Value {
    json!({ "userName": "Tanaka@example.jp", "externalId": "Ab1", "active": true, "title": "",
            "name": { "givenName": "Hanako", "familyName": "Tanaka" },
            "emails": [{ "value": "t@example.jp", "type": "work", "primary": true },
                       { "value": "h@home.example", "type": "home" }],
            ENTERPRISE: { "department": "Sales" }, "meta": { "lastModified": "2026-05-01T00:00:00Z" } })
}

#[test]
fn a_filter_finds_what_it_says() {
    for (filter, fits) in [
        (r#"userName eq "tanaka@EXAMPLE.jp""#, true),
        (r#"USERNAME Eq "suzuki""#, false),
        (r#"externalId eq "ab1""#, false),
        (r#"externalId eq "Ab1""#, true),
        (r#"urn:ietf:params:scim:schemas:core:2.0:User:userName sw "tan""#, true),
        (r#"name.familyName co "ANA" and active eq true"#, true),
        (r#"active eq "False" or title pr"#, false),
        (r#"not (title pr) and emails pr"#, true),
        (r#"emails eq "t@example.jp""#, true),
        (r#"emails[type eq "work" and value ew ".jp"]"#, true),
        (r#"emails[type eq "home" and value ew ".jp"]"#, false),
        (r#"emails.type ne "work""#, false),
        (r#"meta.lastModified gt "2026-04-30T00:00:00Z""#, true),
        (r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq "sales""#, true),
        (r#"title eq "a" and userName eq "x" or userName pr"#, true),
        (r#"userName eq null"#, false),
        (r#"not (active eq true)"#, false),
        (r#"emails[primary eq true] and (active eq true or title eq null)"#, true),
    ] {
        assert_eq!(Filter::read(filter).map(|f| f.fits(&tanaka())), Ok(fits), "{filter}");
    }
}

#[test]
fn a_filter_that_is_none_is_refused_whole() {
    let deep = format!("{}userName pr{}", "(".repeat(40), ")".repeat(40));
    let nots = format!("{}userName pr{}", "not (".repeat(17), ")".repeat(17));
    let long = format!("userName eq \"{}\"", "x".repeat(2000));
    for bad in [
        "",
        "userName",
        "userName eq",
        "userName is \"x\"",
        "userName eq x",
        "userName eq \"x",
        "eq \"x\"",
        "userName pr and",
        "userName pr or or userName pr",
        "(userName pr",
        "userName pr)",
        "emails[type pr",
        "emails[type pr]]",
        "userName eq {\"a\":1}",
        "userName eq [1]",
        "userName eq {}",
        "userName eq 1x",
        "userName eq true,",
        "userName eq (true)",
        "user name pr",
        "a.b.c pr",
        "1a pr",
        "urn:x:y:z eq \"a\"",
        "not userName pr",
        "userName pr userName pr",
        &deep,
        &nots,
        &long,
    ] {
        assert!(Filter::read(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_path_names_an_attribute_its_values_and_a_part() {
    for good in
        ["active", "name.givenName", "emails[type eq \"work\"].value", "members[value eq \"]\"]", ENTERPRISE]
    {
        assert!(Target::read(good).is_ok(), "{good}");
    }
    for bad in
        ["", ".", "a.", "emails[", "emails[]", "emails[type eq \"x\"]value", "emails.type[value pr]", "a b"]
    {
        assert!(Target::read(bad).is_err(), "{bad}");
    }
}

fn changed(kind: &Kind, body: &Value, operations: Value) -> Result<Value, Refused> {
    let request = Map::from_iter([("Operations".to_owned(), operations)]);
    patch::apply(kind, body.as_object().unwrap(), &request).map(Value::Object)
}

/// What Microsoft's and Okta's clients send, as their documents show it.
#[test]
fn the_changes_that_clients_send() {
    let body = tanaka();
    let after = |operation: Value| changed(&PEOPLE, &body, json!([operation])).unwrap();
    // Entra ID: an op in capitals, a boolean as text.
    let off = after(json!({ "op": "Replace", "path": "active", "value": "False" }));
    assert_eq!(off["active"], false);
    // Without a path: names of members that are paths, and the extension by its URN.
    let department = format!("{ENTERPRISE}:department");
    let many =
        json!({ "op": "Add", "value": { "name.givenName": "Hana", "displayName": "花", department: "HR" } });
    let many = after(many);
    assert_eq!((&many["name"]["givenName"], &many["name"]["familyName"]), (&json!("Hana"), &json!("Tanaka")));
    assert_eq!((&many["displayName"], &many[ENTERPRISE]["department"]), (&json!("花"), &json!("HR")));
    // A value that fits is changed; where none does, it is made.
    let work = |value: &str, kind: &str| {
        after(json!({ "op": "Replace", "path": format!("emails[type eq \"{kind}\"].value"), "value": value }))
    };
    assert_eq!(work("new@example.jp", "work")["emails"][0]["value"], "new@example.jp");
    let made = work("o@example.jp", "other");
    assert_eq!(made["emails"][2], json!({ "value": "o@example.jp", "type": "other" }));
    // Okta: the whole resource's own members in a replacement.
    let okta = after(json!({ "op": "replace", "value": { "id": "x", "schemas": [], "active": false } }));
    assert_eq!((&okta["active"], okta.get("id")), (&json!(false), None));
    // The main address is one.
    let second =
        json!({ "op": "add", "path": "emails", "value": [{ "value": "m@example.jp", "primary": true }] });
    let main: Vec<bool> =
        after(second)["emails"].as_array().unwrap().iter().map(|m| m["primary"] == true).collect();
    assert_eq!(main, [false, false, true]);
    let none = after(json!({ "op": "remove", "path": "emails[type eq \"home\"]" }));
    assert_eq!(none["emails"].as_array().unwrap().len(), 1);
    assert_eq!(
        after(json!({ "op": "remove", "path": "name.givenName" }))["name"],
        json!({ "familyName": "Tanaka" })
    );
}

#[test]
fn members_join_and_leave_in_each_form() {
    let group =
        json!({ "displayName": "Eng", "members": [{ "value": "a" }, { "value": "b" }, { "value": "c" }] });
    let ids = |operation: Value| {
        let after = changed(&GROUPS, &group, json!([operation])).unwrap();
        let all = after["members"].as_array().cloned().unwrap_or_default();
        all.iter().map(|m| m["value"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join("")
    };
    let of = |all: &[&str]| all.iter().map(|id| json!({ "value": id })).collect::<Vec<_>>();
    assert_eq!(ids(json!({ "op": "Add", "path": "members", "value": of(&["d", "a"]) })), "abcd");
    assert_eq!(ids(json!({ "op": "add", "path": "members", "value": { "value": "d" } })), "abcd");
    assert_eq!(ids(json!({ "op": "add", "value": { "members": of(&["d"]) } })), "abcd");
    assert_eq!(ids(json!({ "op": "Remove", "path": "members", "value": of(&["a", "c"]) })), "b");
    assert_eq!(ids(json!({ "op": "remove", "path": "members[value eq \"b\"]" })), "ac");
    assert_eq!(ids(json!({ "op": "replace", "path": "members", "value": of(&["z"]) })), "z");
    assert_eq!(ids(json!({ "op": "remove", "path": "members" })), "");
}

#[test]
fn a_change_that_is_wrong_changes_nothing() {
    let many: Vec<Value> = (0..51).map(|n| json!({ "value": format!("{n}@x") })).collect();
    for (operations, path) in [
        (json!([]), false),
        (json!({}), false),
        (json!([{ "op": "move", "path": "active", "value": true }]), false),
        (json!([{ "op": "replace", "path": "active", "value": "maybe" }]), false),
        (json!([{ "op": "replace", "path": "emails[", "value": "x" }]), true),
        (json!([{ "op": "replace", "path": 5, "value": "x" }]), true),
        (json!([{ "op": "replace", "value": "x" }]), false),
        (json!([{ "op": "remove", "path": "userName" }]), false),
        (json!([{ "op": "replace", "path": "userName", "value": " " }]), false),
        (json!([{ "op": "add", "path": "emails", "value": many }]), false),
        (json!([{ "op": "replace", "path": "title", "value": "x".repeat(1001) }]), false),
        (
            json!([{ "op": "replace", "path": "title", "value": "ok" }, { "op": "replace", "path": "active", "value": 1 }]),
            false,
        ),
    ] {
        let refused = changed(&PEOPLE, &tanaka(), operations.clone()).unwrap_err();
        assert_eq!(matches!(refused, Refused::Path(_)), path, "{operations}: {refused:?}");
    }
    let nothing = changed(&PEOPLE, &tanaka(), json!([{ "op": "remove" }]));
    assert!(matches!(nothing, Err(Refused::NoTarget(_))), "{nothing:?}");
}

/// Whatever stands there, an answer: every cut, and every octet changed to what means something in a filter.
#[test]
fn nothing_that_is_cut_or_changed_ends_the_process() {
    let person = tanaka();
    let mut read = 0;
    for good in [
        r#"emails[type eq "wo\"rk" and not (value ew ".jp")] or userName sw "t" and active eq true"#,
        r#"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department ne null"#,
        r#"name.familyName co "\u3042\ud83d\ude00 あ" and meta.lastModified gt "2026""#,
        r#"members[value eq "]"].display"#,
    ] {
        let mut all: Vec<String> = good.char_indices().map(|(at, _)| good[..at].to_owned()).collect();
        for (at, c) in good.char_indices() {
            for other in "()[]\"\\ .:,-0$あ\0".chars() {
                all.push(format!("{}{other}{}", &good[..at], &good[at + c.len_utf8()..]));
            }
        }
        for text in all {
            if let Ok(filter) = Filter::read(&text) {
                filter.fits(&person);
                read += 1;
            }
            let change = json!([{ "op": "replace", "path": text, "value": "x" }]);
            drop(changed(&PEOPLE, &person, change));
        }
    }
    assert!(read > 300, "{read} of them are filters");
}
