//! What a client can ask of the service itself (RFC 7644 §4): what it can do, and which attributes there are.

use super::{
    Client,
    answer::{Answer, Error, say},
    query::PAGE,
    schema::{self, ENTERPRISE, KINDS, Kind},
};
use axum::{extract::Path, http::StatusCode, response::Response};
use serde_json::{Value, json};

pub(super) async fn config(client: Client) -> Response {
    let no = json!({ "supported": false });
    let root = client.root();
    say(
        StatusCode::OK,
        &json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
            "patch": { "supported": true },
            "bulk": { "supported": false, "maxOperations": 0, "maxPayloadSize": 0 },
            "filter": { "supported": true, "maxResults": PAGE },
            "changePassword": no, "sort": no, "etag": { "supported": true },
            "authenticationSchemes": [{ "type": "oauthbearertoken", "name": "Bearer token", "primary": true,
                "description": "A token of Sekisho's with the scope scim." }],
            "meta": { "resourceType": "ServiceProviderConfig", "location": format!("{root}/ServiceProviderConfig") },
        }),
    )
}

fn resource_type(root: &str, k: &Kind) -> Value {
    let name = k.is.as_str();
    let mut v = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
        "id": name, "name": name, "endpoint": k.endpoint, "description": k.about, "schema": k.schema,
        "meta": { "resourceType": "ResourceType", "location": format!("{root}/ResourceTypes/{name}") },
    });
    if let (Some((urn, _)), Some(o)) = (k.extension, v.as_object_mut()) {
        o.insert("schemaExtensions".to_owned(), json!([{ "schema": urn, "required": false }]));
    }
    v
}

fn whole_list(all: Vec<Value>) -> Response {
    let n = all.len();
    say(
        StatusCode::OK,
        &json!({ "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": n,
                 "startIndex": 1, "itemsPerPage": n, "Resources": all }),
    )
}

pub(super) async fn types(client: Client) -> Response {
    whole_list(KINDS.iter().map(|k| resource_type(&client.root(), k)).collect())
}

pub(super) async fn one_type(client: Client, Path((_, id)): Path<(String, String)>) -> Answer {
    let kind = KINDS.iter().find(|k| k.is.as_str() == id).ok_or_else(Error::not_found)?;
    Ok(say(StatusCode::OK, &resource_type(&client.root(), kind)))
}

pub(super) async fn schemas(client: Client) -> Response {
    let all = [schema::USER, schema::GROUP, ENTERPRISE];
    whole_list(all.iter().filter_map(|u| schema::document(&client.root(), u)).collect())
}

pub(super) async fn one_schema(client: Client, Path((_, id)): Path<(String, String)>) -> Answer {
    let found = schema::document(&client.root(), &id);
    found.map(|d| say(StatusCode::OK, &d)).ok_or_else(Error::not_found)
}
