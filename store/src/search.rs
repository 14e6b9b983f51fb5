//! SIMs by anything that people know of them: number of the card, label, person, device, address.

use crate::{
    Page, Store,
    db::{Rec, args},
    error::StoreError,
    routes::digits,
    sims::containing,
};
use std::{collections::BTreeSet, net::IpAddr};
use types::{DataNetwork, Dnn, Imsi, RoutePrefix, Utc};

/// A SIM that was found, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimFound {
    /// Which.
    pub imsi: Imsi,
    /// What of it matched: imsi, iccid, label, device, imei, person, address.
    pub matched: BTreeSet<&'static str>,
}

/// Which lines of the address ledger.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeaseFilter {
    /// Only of this SIM.
    pub imsi: Option<Imsi>,
    /// Only of this address: its leases, and the networks behind SIMs that it lies in. An IPv6 address of a data network
    /// is of the lease beside whose address its prefix is, by the data network's `pool6` of today.
    pub ip: Option<IpAddr>,
    /// Only those that held at this instant.
    pub at: Option<Utc>,
}

/// A line of the address ledger: a lease, a network behind a SIM, or what a foreign SMF gave of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressLine {
    /// Its number.
    pub id: u64,
    /// Whose.
    pub imsi: Imsi,
    /// In which data network.
    pub dnn: Dnn,
    /// The address, or the prefix of the network behind the SIM.
    pub what: String,
    /// The foreign SMF that gave it, where none of ours did.
    pub smf: Option<String>,
    /// From when.
    pub start: Utc,
    /// Until when; `None` while it lasts.
    pub end: Option<Utc>,
}

impl AddressLine {
    fn read(r: &Rec) -> Result<Self, StoreError> {
        Ok(Self {
            id: r.uint("id")?,
            imsi: r.parse("imsi")?,
            dnn: r.parse("dnn")?,
            what: r.text("what")?,
            smf: r.maybe_text("smf")?,
            start: r.utc("started")?,
            end: r.maybe_int("ended")?.map(Utc),
        })
    }
}

/// SIMs by a text in themselves, in their device, in their person.
const BY_TEXT: [(&str, &str); 6] = [
    ("imsi", "SELECT imsi FROM sims WHERE imsi LIKE $1 ESCAPE '!' ORDER BY imsi LIMIT $2"),
    ("iccid", "SELECT imsi FROM sims WHERE iccid LIKE $1 ESCAPE '!' ORDER BY imsi LIMIT $2"),
    ("label", "SELECT imsi FROM sims WHERE LOWER(label) LIKE $1 ESCAPE '!' ORDER BY imsi LIMIT $2"),
    (
        "device",
        "SELECT imsi FROM sim_links WHERE device IN (SELECT id FROM devices WHERE search LIKE $1 ESCAPE '!')
         UNION SELECT imsi FROM sims WHERE device IN (SELECT imei FROM devices WHERE search LIKE $1 ESCAPE '!')
         ORDER BY imsi LIMIT $2",
    ),
    (
        "imei",
        "SELECT imsi FROM sims WHERE device LIKE $1 ESCAPE '!'
         UNION SELECT imsi FROM learned_devices WHERE device LIKE $1 ESCAPE '!' ORDER BY imsi LIMIT $2",
    ),
    (
        "person",
        "SELECT imsi FROM sim_links WHERE person IN (SELECT id FROM people WHERE search LIKE $1 ESCAPE '!')
         UNION SELECT l.imsi FROM sim_links l JOIN devices d ON d.id = l.device
               WHERE d.owner IN (SELECT id FROM people WHERE search LIKE $1 ESCAPE '!')
         UNION SELECT s.imsi FROM sims s JOIN devices d ON d.imei = s.device
               WHERE d.owner IN (SELECT id FROM people WHERE search LIKE $1 ESCAPE '!')
         ORDER BY imsi LIMIT $2",
    ),
];

/// SQLite makes no letters small but those of ASCII.
const AS_TYPED: &str = "SELECT imsi FROM sims WHERE label LIKE $1 ESCAPE '!' ORDER BY imsi LIMIT $2";

const BY_ADDRESS: &str = "SELECT imsi FROM leases WHERE ip = $1 AND ended IS NULL
                          UNION SELECT imsi FROM sim_addresses WHERE ip = $1
                          UNION SELECT imsi FROM sim_routes WHERE low <= $3 AND high >= $3 AND ended IS NULL
                          UNION SELECT imsi FROM foreign_leases WHERE low <= $3 AND high >= $3 AND ended IS NULL
                          ORDER BY imsi LIMIT $2";

impl Store {
    /// The address that the leases have: of an IPv6 address of a data network the one beside its prefix.
    async fn leased_as(&self, ip: IpAddr) -> Result<String, StoreError> {
        let IpAddr::V6(six) = ip else { return Ok(ip.to_string()) };
        let networks = self.list::<DataNetwork>(None, u32::from(u16::MAX)).await?.items;
        let beside = networks.iter().find_map(|n| n.value.address_beside(six));
        Ok(beside.map_or_else(|| ip.to_string(), |four| four.to_string()))
    }

    /// SIMs of which any of `texts` is a part of something that people know of them; at most `limit` for each kind of
    /// match. The texts are spellings of one thing, and 14 to 16 digits are an IMEI too.
    pub async fn search_sims(&self, texts: &[String], limit: u32) -> Result<Vec<SimFound>, StoreError> {
        let mut found: Vec<SimFound> = Vec::new();
        let mut addresses = Vec::new();
        for ip in texts.iter().filter_map(|t| t.parse::<IpAddr>().ok()) {
            addresses.push((ip, self.leased_as(ip).await?));
        }
        let mut tx = self.db.snapshot().await?;
        for text in texts {
            let pattern = containing(&text.to_lowercase());
            for (kind, sql) in BY_TEXT {
                // Digits behind the fourteenth are the check digit or the software version.
                let imei = text.get(..14).filter(|_| kind == "imei" && text.len() <= 16);
                let pattern = imei.map_or_else(|| pattern.clone(), containing);
                let rows = tx.rows(sql, args![pattern, limit]).await?;
                note(&mut found, kind, rows.iter().map(|r| r.parse("imsi")))?;
            }
            if *text != text.to_lowercase() {
                let rows = tx.rows(AS_TYPED, args![containing(text), limit]).await?;
                note(&mut found, "label", rows.iter().map(|r| r.parse("imsi")))?;
            }
        }
        for (ip, leased) in addresses {
            let rows = tx.rows(BY_ADDRESS, args![leased, limit, digits(RoutePrefix::number_of(ip))]).await?;
            note(&mut found, "address", rows.iter().map(|r| r.parse("imsi")))?;
        }
        Ok(found)
    }

    /// The address ledger, newest first, behind the line `before`.
    pub async fn leases(
        &self,
        filter: &LeaseFilter,
        before: Option<u64>,
        limit: u32,
    ) -> Result<Page<AddressLine>, StoreError> {
        let sql = "SELECT id, imsi, dnn, ip AS what, CAST(NULL AS TEXT) AS smf, started, ended FROM leases
                   WHERE (CAST($1 AS BIGINT) IS NULL OR id < $1)
                   AND (CAST($2 AS TEXT) IS NULL OR imsi = $2) AND (CAST($3 AS TEXT) IS NULL OR ip = $3)
                   AND (CAST($4 AS BIGINT) IS NULL OR (started <= $4 AND (ended IS NULL OR ended > $4)))
                   UNION ALL SELECT id, imsi, dnn, prefix AS what, NULL AS smf, started, ended FROM sim_routes
                   WHERE (CAST($1 AS BIGINT) IS NULL OR id < $1)
                   AND (CAST($2 AS TEXT) IS NULL OR imsi = $2)
                   AND (CAST($6 AS TEXT) IS NULL OR (low <= $6 AND high >= $6))
                   AND (CAST($4 AS BIGINT) IS NULL OR (started <= $4 AND (ended IS NULL OR ended > $4)))
                   UNION ALL SELECT id, imsi, dnn, net AS what, smf, started, ended FROM foreign_leases
                   WHERE (CAST($1 AS BIGINT) IS NULL OR id < $1)
                   AND (CAST($2 AS TEXT) IS NULL OR imsi = $2)
                   AND (CAST($6 AS TEXT) IS NULL OR (low <= $6 AND high >= $6))
                   AND (CAST($4 AS BIGINT) IS NULL OR (started <= $4 AND (ended IS NULL OR ended > $4)))
                   ORDER BY id DESC LIMIT $5";
        let leased = match filter.ip {
            Some(ip) => Some(self.leased_as(ip).await?),
            None => None,
        };
        let a = args![
            before.map(|n| n as i64),
            filter.imsi.map(|i| i.to_string()),
            leased,
            filter.at,
            limit + 1,
            filter.ip.map(|i| digits(RoutePrefix::number_of(i)))
        ];
        let rows = self.db.rows(sql, a).await?;
        let items = rows.iter().map(AddressLine::read).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::cut(items, limit, |l| l.id.to_string()))
    }
}

fn note(
    found: &mut Vec<SimFound>,
    kind: &'static str,
    imsis: impl Iterator<Item = Result<Imsi, StoreError>>,
) -> Result<(), StoreError> {
    for imsi in imsis {
        let imsi = imsi?;
        match found.iter_mut().find(|f| f.imsi == imsi) {
            Some(f) => {
                f.matched.insert(kind);
            }
            None => found.push(SimFound { imsi, matched: [kind].into() }),
        }
    }
    Ok(())
}
