//! Where SIMs were seen: when each last proved itself, and in which devices it was, from the same events that its timeline
//! is made of and in their transaction.
//!
//! Only what a SIM did that had proved itself counts; what an IMSI merely claims is no sighting. A device names itself,
//! so a SIM has at most [`DEVICES`] here: whoever makes numbers up only pushes out the oldest of his own.

use crate::{
    Store,
    db::{Rec, Tx, args},
    error::StoreError,
};
use std::{collections::BTreeMap, str::FromStr};
use types::{Colour, DevicePattern, EquipmentPattern, Event, Happening, Imsi, Name, Utc};

/// Most devices that are remembered of one SIM: those it was in last.
const DEVICES: u32 = 100;

/// A device that a SIM was in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighted {
    /// The device, by 14 digits.
    pub device: DevicePattern,
    /// When it was first in it.
    pub first: Utc,
    /// When it was last in it.
    pub last: Utc,
    /// How often it came in it.
    pub times: u64,
    /// When it was last turned away because of this device.
    pub refused: Option<Utc>,
    /// Its id in the directory, where it is there.
    pub known: Option<Name>,
    /// Its colour on the company's list, or its model's, whatever the software version.
    pub colour: Option<Colour>,
}

/// What an event says of where its SIM was: the device, where it names one, and whether it was refused in it.
fn seen(what: &Happening) -> Option<(Option<DevicePattern>, bool)> {
    match what {
        Happening::Registered { pei, .. } => Some((pei.map(DevicePattern::from), false)),
        Happening::SessionUp { .. } | Happening::Deregistered { by_network: false, .. } => {
            Some((None, false))
        }
        Happening::DeviceMismatch { seen, .. } => Some((*seen, true)),
        Happening::EquipmentBlack { device, .. } => Some((Some(*device), true)),
        Happening::BannedReuse { authenticated: true, device, .. } => {
            Some((device.as_ref().and_then(|d| d.parse().ok()), true))
        }
        _ => None,
    }
}

impl Tx {
    /// Notes what events say of where SIMs were; a SIM that is gone is passed over.
    pub(crate) async fn note_sightings(&mut self, events: &[Event]) -> Result<(), StoreError> {
        let mut last: BTreeMap<Imsi, Utc> = BTreeMap::new();
        for e in events {
            let (Some(imsi), Some((device, refused))) = (e.imsi, seen(&e.what)) else { continue };
            let at = last.entry(imsi).or_insert(e.at);
            *at = (*at).max(e.at);
            if let Some(device) = device {
                self.note_device(imsi, device, e.at, refused).await?;
            }
        }
        for (imsi, at) in last {
            self.exec("UPDATE sims SET seen = $2 WHERE imsi = $1 AND seen < $2", args![imsi, at]).await?;
        }
        Ok(())
    }

    async fn note_device(
        &mut self,
        imsi: Imsi,
        device: DevicePattern,
        at: Utc,
        refused: bool,
    ) -> Result<(), StoreError> {
        let sql = "INSERT INTO sightings (imsi, device, first, last, times, refused)
                   SELECT imsi, $2, $3, $3, 1, $4 FROM sims WHERE imsi = $1
                   ON CONFLICT (imsi, device) DO UPDATE SET last = $3, times = sightings.times + 1,
                   refused = COALESCE($4, sightings.refused) RETURNING times";
        let a = args![imsi, device.to_string(), at, refused.then_some(at)];
        let first = self.maybe(sql, a).await?.map(|r| r.uint("times")).transpose()? == Some(1);
        if first {
            let sql = "DELETE FROM sightings WHERE imsi = $1 AND device NOT IN
                       (SELECT device FROM sightings WHERE imsi = $1 ORDER BY last DESC, device LIMIT $2)";
            self.exec(sql, args![imsi, DEVICES]).await?;
        }
        Ok(())
    }
}

impl Store {
    /// The devices that a SIM was in, the last one first.
    pub async fn sightings(&self, imsi: Imsi) -> Result<Vec<Sighted>, StoreError> {
        let sql = "SELECT g.*, d.id AS known, COALESCE(e.colour, m.colour) AS colour FROM sightings g
                   LEFT JOIN devices d ON d.imei = g.device LEFT JOIN equipment e ON e.pattern = g.device
                   LEFT JOIN equipment m ON m.pattern = SUBSTR(g.device, 1, 8)
                   WHERE g.imsi = $1 ORDER BY g.last DESC, g.device";
        let rows = self.db.rows(sql, args![imsi]).await?;
        let ranges = "SELECT pattern, colour FROM equipment WHERE pattern LIKE '%-%'";
        let mut ranges: Vec<(EquipmentPattern, Colour)> = self
            .db
            .rows(ranges, vec![])
            .await?
            .iter()
            .map(|r| Ok::<_, StoreError>((r.parse("pattern")?, r.parse("colour")?)))
            .collect::<Result<_, _>>()?;
        ranges.sort_by_key(|(p, _)| p.width());
        // Of which software version it was then is not kept here.
        let by_range = |d: DevicePattern| {
            ranges.iter().find(|(p, _)| p.covers_any_version(d)).map(|(_, colour)| *colour)
        };
        rows.iter()
            .map(|r| {
                let device: DevicePattern = r.parse("device")?;
                Ok(Sighted {
                    device,
                    first: r.utc("first")?,
                    last: r.utc("last")?,
                    times: r.uint("times")?,
                    refused: r.maybe_int("refused")?.map(Utc),
                    known: maybe(r, "known")?,
                    colour: maybe(r, "colour")?.or_else(|| by_range(device)),
                })
            })
            .collect()
    }
}

fn maybe<T: FromStr>(r: &Rec, c: &'static str) -> Result<Option<T>, StoreError> {
    r.maybe_text(c)?.map(|t| t.parse().map_err(|_| StoreError::Damaged { what: c })).transpose()
}
