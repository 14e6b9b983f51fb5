//! Finding a SIM by whatever somebody knows of it, and the address ledger.

use crate::{
    api::List,
    check::{Check, Kind, Time, half, is_gap, rfc3339},
    problem::{Problem, say},
    request::{Params, number_cursor, page_limit},
    rights::{Limited, Reach, ReadCapability},
    state::AppState,
};
use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use store::{LeaseFilter, SimFound, SimRow, StoreError};
use types::{Device, Imsi, Person};
use utoipa::{IntoParams, ToSchema};

/// Most SIMs of one answer.
const MOST: u32 = 50;
/// Looked at for a caller who may not see all of them.
const LOOK: u32 = 1000;

/// What somebody knows.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct SearchQuery {
    /// A part of an IMSI, ICCID, label, device (id, label, IMEI, serial number) or person (id, name, mail, employee
    /// number), or an address. Two characters or more; full-width characters, and spaces and hyphens in numbers, do not
    /// matter.
    q: String,
    /// Most SIMs, 1-50; 20 if not given.
    limit: Option<u32>,
}

/// What was found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SearchAnswer {
    items: Vec<SimHit>,
    /// True where there are more than were asked for.
    more: bool,
}

/// A SIM that was found.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SimHit {
    imsi: String,
    label: String,
    iccid: Option<String>,
    state: String,
    /// Whose it is: linked to the SIM, or owner of its device.
    person: Option<HitPerson>,
    device: Option<HitDevice>,
    /// Id of the site.
    site: Option<String>,
    /// What matched: imsi, iccid, label, device, imei, person, address.
    matched: Vec<&'static str>,
}

/// A person.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HitPerson {
    id: String,
    name: String,
}

/// A device.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HitDevice {
    id: String,
    label: String,
    imei: Option<String>,
}

/// Finds SIMs by anything that is known of them.
#[utoipa::path(get, path = "/api/v1/search", tag = "sims", params(SearchQuery), security(("token" = ["read"])),
    responses((status = 200, body = SearchAnswer)))]
pub(crate) async fn search(
    right: Limited<ReadCapability>,
    State(s): State<AppState>,
    Params(q): Params<SearchQuery>,
) -> Result<Json<SearchAnswer>, Problem> {
    let texts = spellings(&q.q);
    let limit = q.limit.unwrap_or(20);
    let mut check = Check::default();
    if texts.iter().all(|t| t.chars().count() < 2) {
        check.add(
            "?q",
            say!("one character finds everything", "1 文字では絞り込めません"),
            Some(say!("give two or more", "2 文字以上を指定してください")),
        );
    }
    if !(1..=MOST).contains(&limit) {
        check.add(
            "?limit",
            say!("an answer has 1 to {MOST} SIMs", "1 回の結果は 1〜{MOST} 件です"),
            Some(say!("narrow the search instead", "検索語で絞り込んでください")),
        );
    }
    check.done()?;
    let look = if *right.reach() == Reach::Everywhere { limit + 1 } else { LOOK };
    let mut items = Vec::new();
    for found in s.store.search_sims(&texts, look).await? {
        let row = match s.store.sim(found.imsi).await {
            Ok(row) => row,
            // Gone meanwhile.
            Err(StoreError::NotFound) => continue,
            Err(e) => return Err(e.into()),
        };
        if !right.reach().contains(&row.place()) {
            continue;
        }
        if items.len() == limit as usize {
            return Ok(Json(SearchAnswer { items, more: true }));
        }
        items.push(hit(&s, row, found).await?);
    }
    Ok(Json(SearchAnswer { items, more: false }))
}

/// The text as it was typed and, where that differs, as it may have been meant.
fn spellings(q: &str) -> Vec<String> {
    let plain = q.trim().to_owned();
    let narrow: String = plain.chars().map(half).collect();
    let digits: String = narrow.chars().filter(|c| !is_gap(*c)).collect();
    let mut all = vec![plain, narrow];
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        all.push(digits);
    }
    all.retain(|t| !t.is_empty());
    all.dedup();
    all
}

async fn hit(s: &AppState, row: SimRow, found: SimFound) -> Result<SimHit, Problem> {
    let device = match &row.links.device {
        Some(id) => s.store.entity::<Device>(id).await.ok().map(|v| v.value),
        None => None,
    };
    let owner = row.links.person.clone().or_else(|| device.as_ref().and_then(|d| d.owner.clone()));
    let person = match &owner {
        Some(id) => s.store.entity::<Person>(id).await.ok().map(|v| v.value),
        None => None,
    };
    Ok(SimHit {
        imsi: row.imsi.to_string(),
        label: row.label,
        iccid: row.iccid.map(|i| i.to_string()),
        state: row.state.to_string(),
        person: person.map(|p| HitPerson { id: p.id.to_string(), name: p.name }),
        device: device.map(|d| HitDevice {
            id: d.id.to_string(),
            label: d.label,
            imei: d.imei.map(|i| i.to_string()),
        }),
        site: row.links.site.map(|n| n.to_string()),
        matched: found.matched.into_iter().collect(),
    })
}

/// Which lines.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AddressQuery {
    /// Only of this address: its leases, and the networks behind SIMs that it lies in.
    address: Option<String>,
    /// Only of this SIM. Who is limited to groups or sites must name one within.
    imsi: Option<String>,
    /// Only what held at this time (RFC 3339).
    at: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Most items on a page, 1-1000; 100 if not given.
    limit: Option<u32>,
}

/// A line of the address ledger.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AddressLine {
    id: u64,
    imsi: String,
    dnn: String,
    /// The address, or the prefix of a network behind the SIM.
    ip: String,
    /// The foreign SMF that gave it of a range of its own; null for what this system gives.
    smf: Option<String>,
    /// From when.
    start: String,
    /// Until when; null while it lasts.
    end: Option<String>,
}

impl From<store::AddressLine> for AddressLine {
    fn from(l: store::AddressLine) -> Self {
        Self {
            id: l.id,
            imsi: l.imsi.to_string(),
            dnn: l.dnn.to_string(),
            // A single address is written as one.
            ip: l.what.strip_suffix("/32").map(str::to_owned).unwrap_or(l.what),
            smf: l.smf,
            start: rfc3339(l.start),
            end: l.end.map(rfc3339),
        }
    }
}

/// The address ledger, newest first: which SIM had which address, and which network behind it, from when to when.
#[utoipa::path(get, path = "/api/v1/addresses", tag = "sessions", params(AddressQuery),
    security(("token" = ["read"])), responses((status = 200, body = List<AddressLine>)))]
pub(crate) async fn addresses(
    right: Limited<ReadCapability>,
    State(s): State<AppState>,
    Params(q): Params<AddressQuery>,
) -> Result<Json<List<AddressLine>>, Problem> {
    let mut check = Check::default();
    let ip: Option<Option<IpAddr>> = check.maybe("?address", q.address.as_deref(), Kind::Ip);
    let imsi: Option<Option<Imsi>> = check.maybe("?imsi", q.imsi.as_deref(), Kind::Imsi);
    let at: Option<Option<Time>> = check.maybe("?at", q.at.as_deref(), Kind::Time);
    check.done()?;
    let imsi = imsi.flatten();
    match imsi {
        Some(imsi) => right.on_sim(&s, imsi).await?,
        None => right.everywhere()?,
    };
    let before = number_cursor(q.cursor.as_deref())?;
    let filter = LeaseFilter { imsi, ip: ip.flatten(), at: at.flatten().map(|t| t.0) };
    let page = s.store.leases(&filter, before, page_limit(q.limit)?).await?;
    Ok(List::of(page, AddressLine::from))
}

#[cfg(test)]
mod tests {
    use super::spellings;

    #[test]
    fn a_number_is_found_however_it_is_typed() {
        assert_eq!(spellings(" ００１０１－０００ "), ["００１０１－０００", "00101-000", "00101000"]);
        assert_eq!(spellings("Tanaka"), ["Tanaka"]);
        assert_eq!(spellings("  "), Vec::<String>::new());
    }
}
