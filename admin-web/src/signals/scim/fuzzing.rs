//! Doors for the fuzzer: what a provisioning client's text becomes, without the requests around it.

use super::{
    filter::{Filter, Target},
    patch,
    schema::KINDS,
};
use serde_json::{Map, Value};

/// Whether a resource is among what a filter finds; `None` where the filter cannot be read.
pub fn scim_filter(filter: &str, of: &Value) -> Option<bool> {
    Filter::read(filter).ok().map(|f| f.fits(of))
}

/// Whether a path of a change can be read.
pub fn scim_path(path: &str) -> bool {
    Target::read(path).is_ok()
}

/// A user after the changes of a request; `None` where they are refused.
pub fn scim_changes(user: &Map<String, Value>, request: &Map<String, Value>) -> Option<Map<String, Value>> {
    let [people, _] = &KINDS;
    patch::apply(people, user, request).ok()
}
