//! What the code cannot say of itself in the OpenAPI document: the forms that texts must have, and answers whose fields come
//! from two types. A field that is listed here and is not in the document fails a test.

use utoipa::{
    Number,
    openapi::{
        OpenApi, RefOr, Schema,
        path::{Operation, Parameter, PathItem},
        schema::{AdditionalProperties, ArrayItems, KnownFormat, Object, SchemaFormat},
    },
};

/// The form of a text or number.
#[derive(Clone, Copy)]
enum Form {
    /// ECMA-262, as JSON Schema has it.
    Pattern(&'static str),
    /// RFC 3339.
    Time,
    /// From 1 to this.
    UpTo(u32),
}

const NAME: Form = Form::Pattern("^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$");
const IMSI: Form = Form::Pattern("^[0-9]{6,15}$");
const KEY: Form = Form::Pattern("^[0-9A-Fa-f]{32}$");
const LONG_KEY: Form = Form::Pattern("^[0-9A-Fa-f]{64}$");
const SUBJECT: Form =
    Form::Pattern("^(any|(group|device|person):[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?|sim:[0-9]{6,15})$");
const GRANTEE: Form = Form::Pattern("^(person:[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?|sim:[0-9]{6,15})$");
const RISK: Form = Form::Pattern("^(low|medium|high|critical)$");
/// Not of spaces alone.
const WORDS: Form = Form::Pattern("\\S");
const COLOUR: Form = Form::Pattern("^(white|grey|black)$");
const BAN: Form = Form::Pattern("^(lost|stolen)$");

/// Fields of bodies: schema, field, form.
const FIELDS: &[(&str, &str, Form)] = &[
    ("App", "health", Form::Pattern("^(tcp/[1-9][0-9]{0,3}|http/[1-9][0-9]{0,3}/[!-\"$-~]*)$")),
    ("App", "name", NAME),
    ("App", "names_from", Form::Pattern("^(tls|dns)$")),
    ("App", "sensitivity", Form::Pattern("^(public|internal|confidential)$")),
    ("BanBody", "reason", WORDS),
    ("BanBody", "state", BAN),
    ("Binding", "mode", Form::Pattern("^(none|observe|learn|model|listed|exact)$")),
    ("Binding", "on_clone", Form::Pattern("^(alert|quarantine)$")),
    ("Binding", "when_missing", Form::Pattern("^(allow|quarantine|refuse)$")),
    ("BulkChange", "reason", WORDS),
    ("BulkChange", "state", Form::Pattern("^(stock|ready|active|suspended|retired)$")),
    ("Closing", "reason", WORDS),
    ("ConfirmHold", "reason", WORDS),
    ("DataNetwork", "pool", Form::Pattern("^[0-9]{1,3}(\\.[0-9]{1,3}){3}/[0-9]{1,2}$")),
    ("Device", "id", NAME),
    ("Device", "owner", NAME),
    ("DeviceUnbanBody", "reason", WORDS),
    ("EndDate", "at", Form::Time),
    ("EndDate", "reason", WORDS),
    ("EquipmentBody", "colour", COLOUR),
    ("EquipmentLine", "colour", COLOUR),
    ("FlowQuestion", "imsi", IMSI),
    ("GrantWords", "reason", WORDS),
    ("Group", "name", NAME),
    ("HomeNetworkKeyChange", "accepted_until", Form::Time),
    ("HomeNetworkKeyChange", "reason", WORDS),
    ("NewHomeNetworkKey", "id", Form::UpTo(254)),
    ("NewHomeNetworkKey", "private_key", LONG_KEY),
    ("NewHomeNetworkKey", "profile", Form::Pattern("^(a|b)$")),
    ("NewGrant", "app", NAME),
    ("NewGrant", "from", Form::Time),
    ("NewGrant", "reason", WORDS),
    ("NewGrant", "to", GRANTEE),
    ("NewGrant", "until", Form::Time),
    ("NewBackup", "name", Form::Pattern("^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$")),
    ("NewOperator", "name", NAME),
    ("NewRevocation", "reason", WORDS),
    ("NewRevocation", "scope", Form::Pattern("^(sim|imei|device|person|group|site)$")),
    ("NewRevocation", "state", BAN),
    ("NewSchedule", "action", Form::Pattern("^(suspend|resume|retire)$")),
    ("NewSchedule", "at", Form::Time),
    ("NewSchedule", "reason", WORDS),
    ("NewSim", "device_id", NAME),
    ("NewSim", "imsi", IMSI),
    ("NewSim", "algorithm", Form::Pattern("^(milenage|tuak)$")),
    ("NewSim", "k", Form::Pattern("^([0-9A-Fa-f]{32}|[0-9A-Fa-f]{64})$")),
    ("NewSim", "op", KEY),
    ("NewSim", "opc", KEY),
    ("NewSim", "top", LONG_KEY),
    ("NewSim", "topc", LONG_KEY),
    ("NewSim", "person", NAME),
    ("NewSim", "site", NAME),
    ("NewSim", "state", Form::Pattern("^(stock|ready|active)$")),
    ("NewToken", "expires", Form::Time),
    ("Person", "ends_at", Form::Time),
    ("Person", "id", NAME),
    ("RestrictBody", "reason", WORDS),
    ("Rule", "app", NAME),
    ("Rule", "monitor_until", Form::Time),
    ("Rule", "name", NAME),
    ("Rule", "posture", Form::Pattern("^(compliant|not_compliant)$")),
    ("Rule", "radio", Form::Pattern("^(nr|eutra)$")),
    ("Rule", "risk_at_least", RISK),
    ("Rule", "risk_at_most", RISK),
    ("Rule", "subject", SUBJECT),
    ("SimChange", "device_id", NAME),
    ("SimChange", "person", NAME),
    ("SimChange", "site", NAME),
    ("Site", "id", NAME),
    ("StateRequest", "reason", WORDS),
    ("StateRequest", "state", Form::Pattern("^(stock|ready|active|suspended|retired)$")),
    ("UnbanBody", "reason", WORDS),
    ("UnbanBody", "state", Form::Pattern("^(active|suspended|stock)$")),
];

/// Parameters: where (`*` for everywhere else), name, form.
const PARAMETERS: &[(&str, &str, Form)] = &[
    ("/api/v1/search", "limit", Form::UpTo(50)),
    ("/api/v1/sims", "state", Form::Pattern("^(stock|ready|active|suspended|lost|stolen|retired)$")),
    ("/api/v1/alerts", "state", Form::Pattern("^(open|acknowledged|closed)$")),
    ("/api/v1/alerts", "severity", Form::Pattern("^(info|warning|critical)$")),
    ("/api/v1/jobs", "state", Form::Pattern("^(queued|running|done|failed|undone)$")),
    ("/api/v1/schedules", "state", Form::Pattern("^(waiting|done|dropped|cancelled)$")),
    ("/api/v1/unban-requests", "state", Form::Pattern("^(open|approved|refused|expired)$")),
    ("/api/v1/revocations", "scope", Form::Pattern("^(sim|imei|device|person|group|site)$")),
    ("/api/v1/revocations", "kind", Form::Pattern("^(ban|unban|quarantine|release|panic|calm)$")),
    ("/api/v1/imports", "mode", Form::Pattern("^(dry-run|all-or-nothing|valid-rows)$")),
    ("/api/v1/flows", "to", Form::Time),
    ("*", "limit", Form::UpTo(1000)),
    ("*", "imsi", IMSI),
    ("*", "name", NAME),
    ("*", "colour", COLOUR),
    ("*", "at", Form::Time),
    ("*", "from", Form::Time),
    ("*", "until", Form::Time),
    ("*", "If-Match", Form::Pattern("^(\\*|(W/)?\"[0-9]+\")$")),
];

/// Makes the document say what is true of every request and answer.
pub(crate) fn finish(doc: &mut OpenApi) {
    let schemas = doc.components.iter_mut().flat_map(|c| c.schemas.iter_mut());
    for (name, schema) in schemas {
        let RefOr::T(schema) = schema else { continue };
        merge(schema);
        let Schema::Object(o) = schema else { continue };
        for (_, field, form) in FIELDS.iter().filter(|(s, ..)| s == name) {
            if let Some(RefOr::T(Schema::Object(field))) = o.properties.get_mut(*field) {
                shape(field, *form);
            }
        }
    }
    for (path, item) in &mut doc.paths.paths {
        for parameter in operations(item).flat_map(|o| o.parameters.iter_mut().flatten()) {
            shape_parameter(path, parameter);
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    let all = [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
    all.into_iter().filter_map(Option::as_mut)
}

fn shape_parameter(path: &str, parameter: &mut RefOr<Parameter>) {
    let RefOr::T(p) = parameter else { return };
    let form = PARAMETERS.iter().find(|(at, name, _)| (*at == path || *at == "*") && *name == p.name);
    if let (Some((.., form)), Some(RefOr::T(Schema::Object(o)))) = (form, &mut p.schema) {
        shape(o, *form);
    }
}

fn shape(o: &mut Object, form: Form) {
    match form {
        Form::Pattern(p) => o.pattern = Some(p.to_owned()),
        Form::Time => o.format = Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)),
        Form::UpTo(most) => {
            (o.minimum, o.maximum) = (Some(Number::UInt(1)), Some(Number::UInt(most as usize)));
        }
    }
}

/// Two objects of which one takes no other field cannot both hold (`allOf`): an answer that has the fields of both is one
/// object.
fn merge(schema: &mut Schema) {
    match schema {
        Schema::AllOf(all) => {
            let mut whole: Option<Object> = None;
            for part in &all.items {
                let RefOr::T(Schema::Object(o)) = part else { return };
                match &mut whole {
                    None => whole = Some(o.clone()),
                    Some(w) => {
                        w.properties.extend(o.properties.clone());
                        w.required.extend(o.required.clone());
                    }
                }
            }
            let closed = |w: &Object| {
                matches!(w.additional_properties.as_deref(), Some(AdditionalProperties::FreeForm(false)))
            };
            if let Some(mut whole) = whole.filter(closed) {
                whole.description = all.description.take().or(whole.description);
                *schema = Schema::Object(whole);
            }
        }
        Schema::Object(o) => o.properties.values_mut().for_each(merge_ref),
        Schema::Array(a) => {
            if let ArrayItems::RefOrSchema(items) = &mut a.items {
                merge_ref(items);
            }
        }
        _ => {}
    }
}

fn merge_ref(schema: &mut RefOr<Schema>) {
    if let RefOr::T(s) = schema {
        merge(s);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_that_of_something() {
        let doc = serde_json::to_value(crate::openapi()).unwrap();
        for (schema, field, _) in FIELDS {
            let f = &doc["components"]["schemas"][schema]["properties"][field];
            let shaped = ["pattern", "format", "minLength"].iter().any(|k| !f[k].is_null());
            assert!(shaped, "{schema}.{field}: {f}");
        }
        let all = doc["paths"].to_string();
        for (_, name, _) in PARAMETERS {
            assert!(all.contains(&format!("\"name\":\"{name}\"")), "{name}");
        }
    }

    #[test]
    fn no_answer_is_of_two_objects_of_which_one_is_closed() {
        fn look(at: &str, v: &serde_json::Value) {
            if let Some(parts) = v["allOf"].as_array() {
                assert!(parts.iter().all(|p| p["additionalProperties"] != false), "{at}");
            }
            for (k, v) in v.as_object().into_iter().flatten() {
                look(&format!("{at}/{k}"), v);
            }
        }
        look("", &serde_json::to_value(crate::openapi()).unwrap());
    }
}
