//! What is known of one SIM at a moment: from its rows, its groups, the sites and where the network sees it. Pure.

use pgw_policy::posture::{Judgement, judge};
use std::collections::{BTreeSet, HashMap};
use store::{FactDevice, FactRow};
use types::{
    Assurance, Compliance, DeviceModel, Group, Imsi, Model, Name, Pei, Posture, PostureRequirement, Radio,
    RadioSeen, RiskSignal, SimFacts, Site, SiteSeen, Tai, Utc,
};

/// Who says what the network itself has seen.
const NETWORK: &str = "network";

/// Where and in what the network sees a SIM.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Seat {
    pub tai: Option<Tai>,
    pub cell: Option<u64>,
    /// Of what kind the area is.
    pub radio: Option<Radio>,
    pub pei: Option<Pei>,
    /// Since when it is in this area, where that is known from before we started.
    pub since: Option<Utc>,
}

/// What a group says of its SIMs' devices and end; most say nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    posture: Option<PostureRequirement>,
    ends_at: Option<Utc>,
}

impl Asked {
    /// Of those groups that say something.
    pub fn of(groups: &[Group]) -> HashMap<Name, Self> {
        let says = groups.iter().filter(|g| g.posture.is_some() || g.ends_at.is_some());
        says.map(|g| (g.name.clone(), Self { posture: g.posture.clone(), ends_at: g.ends_at })).collect()
    }
}

/// What a judgement of a SIM needs beside its own rows.
pub(super) struct Around<'a> {
    pub groups: &'a HashMap<Name, Asked>,
    pub sites: &'a [Site],
    pub now: Utc,
}

/// What was found.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub facts: SimFacts,
    pub judgement: Judgement,
    /// The device whose health counts.
    pub device: Option<FactDevice>,
    /// True where its person, or a contract of one of its groups, has come to its end.
    pub ended: bool,
    /// When something of this changes by itself.
    pub next: Option<Utc>,
    /// Sites where it is at home.
    pub usual: BTreeSet<Name>,
}

impl Around<'_> {
    /// Finds out. `before` is what was known before: what is the same has been so since then.
    pub fn find(&self, row: &FactRow, seat: &Seat, before: Option<&SimFacts>) -> Found {
        let groups: Vec<&Asked> = row.groups.iter().filter_map(|g| self.groups.get(g)).collect();
        let asked: Vec<&PostureRequirement> = groups.iter().filter_map(|g| g.posture.as_ref()).collect();
        let device = device_of(row, seat);
        let known = device.as_ref().and_then(|d| d.posture.as_ref());
        let judgement = judge(asked, known, self.now);
        let ends: Vec<Utc> =
            row.person_ends.into_iter().chain(groups.iter().filter_map(|g| g.ends_at)).collect();
        let usual: BTreeSet<Name> = row.site.iter().chain(&row.usual_sites).cloned().collect();
        let assurance = row.assurance.as_ref().map(|p| Assurance {
            until: p.until,
            since: p.at,
            source: p.source.clone(),
        });
        let risk = row.person_risk.iter().chain(&row.device_risk).max_by_key(|r| (r.level, r.at));
        let facts = SimFacts {
            posture: self.posture(device.as_ref(), &judgement, before),
            assurance,
            risk: risk.map(|r| RiskSignal {
                value: r.level,
                since: r.at,
                until: None,
                source: r.source.clone(),
            }),
            ..self.seen(seat, row.seen_in.as_deref(), &usual, before)
        };
        let later = |t: &Utc| *t > self.now;
        let next = ends
            .iter()
            .copied()
            .filter(later)
            .chain(judgement.until)
            .chain(facts.assurance.as_ref().map(|a| a.until).filter(later))
            .min();
        Found { ended: ends.iter().any(|t| !later(t)), facts, judgement, device, next, usual }
    }

    /// What the network alone sees: place, radio, model.
    pub fn seen(
        &self,
        seat: &Seat,
        used_in: Option<&str>,
        usual: &BTreeSet<Name>,
        before: Option<&SimFacts>,
    ) -> SimFacts {
        let Ok(network) = NETWORK.parse::<Name>() else { return SimFacts::default() };
        // Known for the first time: it may have been so for longer.
        let begun = seat.since.map_or(self.now, |since| since.min(self.now));
        let place = seat.tai.map(|tai| {
            let site = site_of(self.sites, tai, seat.cell);
            let id = site.map(|s| s.id.clone());
            // Where nobody has said where it is at home, no place is unusual.
            let is_usual = usual.is_empty() || id.as_ref().is_some_and(|id| usual.contains(id));
            let same = |p: &&SiteSeen| p.site == id && p.usual == is_usual;
            let since = match before.and_then(|b| b.place.as_ref()) {
                None => begun,
                Some(p) => Some(p).filter(same).map_or(self.now, |p| p.since),
            };
            SiteSeen {
                zone: site.and_then(|s| s.time_zone.clone()),
                site: id,
                usual: is_usual,
                since,
                source: network.clone(),
            }
        });
        let radio = seat.radio.map(|value| {
            let since = match before.and_then(|b| b.radio.as_ref()) {
                None => begun,
                Some(r) if r.value == value => r.since,
                Some(_) => self.now,
            };
            RadioSeen { value, since, source: network.clone() }
        });
        let tac = |digits: &str| digits.get(..8).and_then(|d| d.parse::<DeviceModel>().ok());
        let model = seat.pei.map(DeviceModel::from).or_else(|| used_in.and_then(tac)).map(|value| {
            let old = before.and_then(|b| b.model.as_ref()).filter(|m| m.value == value);
            Model { value, since: old.map_or(self.now, |m| m.since), source: network }
        });
        SimFacts { place, radio, model, ..SimFacts::default() }
    }

    /// Nothing is known of a device that is not in the directory, or of which nobody has ever told.
    fn posture(
        &self,
        device: Option<&FactDevice>,
        judged: &Judgement,
        before: Option<&SimFacts>,
    ) -> Option<Posture> {
        let known = device?.posture.as_ref()?;
        let value = if judged.compliant { Compliance::Compliant } else { Compliance::NotCompliant };
        let told = known.checks.values().map(|s| (s.at, &s.source));
        let (at, source) = told.chain(known.os.iter().map(|o| (o.at, &o.source))).max()?;
        let old = before.and_then(|b| b.posture.as_ref()).filter(|p| p.value == value);
        let since = old.map_or(at.min(self.now), |p| p.since);
        Some(Posture { value, since, until: judged.until, source: source.clone() })
    }
}

/// The device that a SIM is in, as the network sees it; where that does not say, the one that it is linked to. A SIM that is
/// in another device than its own has nothing of the health of its own.
fn device_of(row: &FactRow, seat: &Seat) -> Option<FactDevice> {
    let seen = seat.pei.map(|p| p.device());
    let (imei, used) = match &seen {
        // Newer than what is written down.
        Some(live) if row.seen_in.as_ref() != Some(live) => (Some(live), None),
        _ => (row.seen_in.as_ref(), row.used.as_ref()),
    };
    let Some(imei) = imei else { return row.linked.clone() };
    let fits = |d: &&FactDevice| d.imei.as_ref().is_none_or(|own| own == imei);
    used.or_else(|| row.linked.as_ref().filter(fits)).cloned()
}

/// The site of a cell; where none names it, of its tracking area.
fn site_of(sites: &[Site], tai: Tai, cell: Option<u64>) -> Option<&Site> {
    let by_cell = cell.and_then(|c| sites.iter().find(|s| s.cells.contains(&c)));
    by_cell.or_else(|| sites.iter().find(|s| s.tacs.contains(&tai.tac)))
}

/// As `Imsi` stands in the list of what is due.
pub(super) type Due = (Utc, Imsi);
