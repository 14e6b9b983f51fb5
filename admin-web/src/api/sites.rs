//! Sites: places with their radios.

use crate::{
    api::{
        List,
        directory::{self, Listed, Search, directory_handlers},
        documents::Kept,
    },
    check::{Check, Kind},
    problem::{Problem, say},
    request::{Body, IdempotencyKey, IfMatch, IfMatchHeader, Params, PathOf},
    rights::{DirectoryCapability, Limited, ReadCapability},
    state::AppState,
};
use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use store::StoreError;
use types::{Imsi, Name, Site, Tac};
use utoipa::ToSchema;

/// A place with its radios.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Site)]
pub(crate) struct SiteBody {
    /// 1-63 of a-z, 0-9 and inner - _ .
    #[schema(example = "osaka-plant")]
    id: String,
    /// Full name.
    name: String,
    /// Words for people.
    #[serde(default)]
    description: String,
    /// Tracking area codes that lie in it.
    #[serde(default)]
    #[schema(example = json!([1]))]
    tacs: Vec<u32>,
    /// NR cell identities that stand in it: nine hexadecimal digits, as sessions show them.
    #[serde(default)]
    #[schema(example = json!(["000000010"]))]
    cells: Vec<String>,
    /// Time zone by its IANA name, in which hours of risk are read; the network's own if not given.
    #[schema(example = "Asia/Tokyo")]
    time_zone: Option<String>,
}

/// Bits of an NR cell identity (TS 38.413 §9.3.1.7).
const CELL_BITS: u32 = 36;

impl Listed for Site {
    type Body = SiteBody;
    const PATH: &'static str = "/api/v1/sites";
    const CHANGED_WITHIN: bool = false;

    fn read(b: SiteBody, check: &mut Check) -> Option<Self> {
        let id = check.parse("/id", &b.id, Kind::Name);
        check.filled("/name", &b.name, 200);
        check.label("/description", &b.description, 1000);
        let mut tacs = BTreeSet::new();
        for (i, tac) in b.tacs.iter().enumerate() {
            match Tac::try_from(*tac) {
                Ok(t) => drop(tacs.insert(t)),
                Err(_) => check.add(
                    format!("/tacs/{i}"),
                    say!("a tracking area code has 24 bits", "TAC は 24 ビットです"),
                    Some(say!("give 0 to 16777215", "0〜16777215 を指定してください")),
                ),
            }
        }
        let mut cells = BTreeSet::new();
        for (i, cell) in b.cells.iter().enumerate() {
            let plain = !cell.is_empty() && cell.bytes().all(|b| b.is_ascii_hexdigit());
            match u64::from_str_radix(cell, 16) {
                Ok(c) if plain && c < 1 << CELL_BITS => drop(cells.insert(c)),
                _ => check.add(
                    format!("/cells/{i}"),
                    say!("it is not an NR cell identity", "NR セル ID ではありません"),
                    Some(say!(
                        "give at most nine hexadecimal digits, as GET /api/v1/sessions shows them",
                        "GET /api/v1/sessions に表示される形式の 16 進数 9 桁以内で指定してください"
                    )),
                ),
            }
        }
        if b.time_zone.as_deref().is_some_and(|z| !pgw_policy::clock::is_zone(z)) {
            check.add(
                "/time_zone",
                say!("there is no such time zone", "そのタイムゾーンはありません"),
                Some(say!(
                    "give an IANA name like Asia/Tokyo",
                    "Asia/Tokyo のような IANA 名を指定してください"
                )),
            );
        }
        let time_zone = b.time_zone;
        Some(Self { id: id?, name: b.name, description: b.description, tacs, cells, time_zone })
    }

    fn body(self) -> SiteBody {
        SiteBody {
            id: self.id.to_string(),
            name: self.name,
            description: self.description,
            tacs: self.tacs.into_iter().map(u32::from).collect(),
            cells: self.cells.into_iter().map(|c| format!("{c:09x}")).collect(),
            time_zone: self.time_zone,
        }
    }

    fn owner(&self) -> Option<&Name> {
        None
    }

    async fn sims(s: &AppState, id: &Name) -> Result<Vec<Imsi>, StoreError> {
        s.store.sims_of_site(id).await
    }

    fn touched(_: &Name) -> store::FactsOf {
        // Where a SIM is may be at any site.
        store::FactsOf::All
    }

    fn among(linked: &store::Linked) -> &BTreeSet<Name> {
        &linked.sites
    }
}

directory_handlers!(Site, SiteBody, "sites", "/api/v1/sites", "/api/v1/sites/{id}");
