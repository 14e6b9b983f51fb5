//! What is known of SIMs beside their rules: whose they are, how their device is, who proved to be whom, who looks
//! dangerous. Read together, so that one moment is judged.

use crate::{
    Store,
    audit::Change,
    db::{Rec, Tx, args, json_text},
    error::StoreError,
    kept::expect_version,
    sims::object,
};
use std::collections::{BTreeSet, HashMap};
use types::{DevicePosture, Imsi, Name, Proof, RiskLevel, SimState, Utc};

/// Somebody else's view of a danger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RiskRow {
    /// How large.
    pub level: RiskLevel,
    /// Who says so.
    pub source: Name,
    /// Since when.
    pub at: Utc,
}

/// A device as far as it is a fact of a SIM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactDevice {
    /// Its id.
    pub id: Name,
    /// The 14 digits of its IMEI.
    pub imei: Option<String>,
    /// What was told of it.
    pub posture: Option<DevicePosture>,
}

/// What is known of a SIM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactRow {
    /// Which.
    pub imsi: Imsi,
    /// Its state.
    pub state: SimState,
    /// Its groups.
    pub groups: BTreeSet<Name>,
    /// The device that it is linked to.
    pub linked: Option<FactDevice>,
    /// The 14 digits of the IMEI that it was last used in.
    pub seen_in: Option<String>,
    /// The device of the directory with that IMEI.
    pub used: Option<FactDevice>,
    /// Its person: linked, or the owner of its device.
    pub person: Option<Name>,
    /// When that person leaves.
    pub person_ends: Option<Utc>,
    /// Its own site.
    pub site: Option<Name>,
    /// Other sites where it is at home.
    pub usual_sites: BTreeSet<Name>,
    /// Whether the person proved to be the one who uses it.
    pub assurance: Option<Proof>,
    /// How dangerous its person looks.
    pub person_risk: Option<RiskRow>,
    /// How dangerous its device looks.
    pub device_risk: Option<RiskRow>,
}

/// Which SIMs a change of something touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FactsOf {
    /// Every SIM.
    All,
    /// These SIMs.
    Sims(Vec<Imsi>),
    /// The SIMs of these people.
    People(Vec<Name>),
    /// The SIMs of these devices.
    Devices(Vec<Name>),
}

macro_rules! fact_sql {
    ($which:literal) => {
        concat!(
            "SELECT s.imsi, s.state, k.person, k.site, k.device AS linked, dl.imei AS linked_imei,
                    pl.body AS linked_posture, l.device AS seen_in, du.id AS used, pu.body AS used_posture,
                    p.id AS who, p.ends_at, a.body AS assurance,
                    rp.level AS p_level, rp.source AS p_source, rp.at AS p_at,
                    rd.level AS d_level, rd.source AS d_source, rd.at AS d_at
             FROM sims s
             LEFT JOIN sim_links k ON k.imsi = s.imsi
             LEFT JOIN devices dl ON dl.id = k.device
             LEFT JOIN device_posture pl ON pl.device = k.device
             LEFT JOIN learned_devices l ON l.imsi = s.imsi
             LEFT JOIN devices du ON du.imei = l.device
             LEFT JOIN device_posture pu ON pu.device = du.id
             LEFT JOIN people p ON p.id = COALESCE(k.person, du.owner, dl.owner)
             LEFT JOIN sim_assurance a ON a.imsi = s.imsi
             LEFT JOIN signal_risks rp ON rp.kind = 'person' AND rp.id = p.id
             LEFT JOIN signal_risks rd ON rd.kind = 'device' AND rd.id = COALESCE(du.id, k.device)",
            $which
        )
    };
}

impl FactRow {
    fn read(r: &Rec) -> Result<Self, StoreError> {
        let name = |c: &'static str| {
            r.maybe_text(c)?.map(|t| t.parse().map_err(|_| StoreError::Damaged { what: c })).transpose()
        };
        let posture = |c: &'static str| {
            let text = r.maybe_text(c)?;
            text.map(|t| serde_json::from_str(&t).map_err(|_| StoreError::Damaged { what: c })).transpose()
        };
        let risk = |level: &'static str, source: &'static str, at: &'static str| {
            Ok::<_, StoreError>(match r.maybe_text(level)? {
                None => None,
                Some(_) => Some(RiskRow { level: r.parse(level)?, source: r.parse(source)?, at: r.utc(at)? }),
            })
        };
        let linked: Option<Name> = name("linked")?;
        let linked_posture = posture("linked_posture")?;
        let linked_imei = r.maybe_text("linked_imei")?;
        let linked = linked.map(|id| FactDevice { id, imei: linked_imei, posture: linked_posture });
        let seen_in = r.maybe_text("seen_in")?;
        let used: Option<Name> = name("used")?;
        let used_posture = posture("used_posture")?;
        let used = used.map(|id| FactDevice { id, imei: seen_in.clone(), posture: used_posture });
        let assurance = r.maybe_text("assurance")?;
        Ok(Self {
            imsi: r.parse("imsi")?,
            state: r.parse("state")?,
            groups: BTreeSet::new(),
            linked,
            seen_in,
            used,
            person: name("who")?,
            person_ends: r.maybe_int("ends_at")?.map(Utc),
            site: name("site")?,
            usual_sites: BTreeSet::new(),
            assurance: assurance
                .map(|t| serde_json::from_str(&t).map_err(|_| StoreError::Damaged { what: "assurance" }))
                .transpose()?,
            person_risk: risk("p_level", "p_source", "p_at")?,
            device_risk: risk("d_level", "d_source", "d_at")?,
        })
    }
}

impl Tx {
    async fn fact_row(&mut self, imsi: Imsi) -> Result<Option<FactRow>, StoreError> {
        let Some(r) = self.maybe(fact_sql!(" WHERE s.imsi = $1"), args![imsi]).await? else {
            return Ok(None);
        };
        let mut row = FactRow::read(&r)?;
        for r in self.rows("SELECT grp FROM sim_groups WHERE imsi = $1", args![imsi]).await? {
            row.groups.insert(r.parse("grp")?);
        }
        for r in self.rows("SELECT site FROM sim_usual_sites WHERE imsi = $1", args![imsi]).await? {
            row.usual_sites.insert(r.parse("site")?);
        }
        Ok(Some(row))
    }

    async fn all_fact_rows(&mut self) -> Result<Vec<FactRow>, StoreError> {
        let rows = self.rows(fact_sql!(" ORDER BY s.imsi"), vec![]).await?;
        let mut all = rows.iter().map(FactRow::read).collect::<Result<Vec<_>, _>>()?;
        let groups = self.rows("SELECT imsi, grp AS name FROM sim_groups", vec![]).await?;
        let sites = self.rows("SELECT imsi, site AS name FROM sim_usual_sites", vec![]).await?;
        let at: HashMap<Imsi, usize> = all.iter().enumerate().map(|(n, f)| (f.imsi, n)).collect();
        for (rows, is_group) in [(groups, true), (sites, false)] {
            for r in &rows {
                let imsi: Imsi = r.parse("imsi")?;
                let Some(row) = at.get(&imsi).and_then(|n| all.get_mut(*n)) else { continue };
                let set = if is_group { &mut row.groups } else { &mut row.usual_sites };
                set.insert(r.parse("name")?);
            }
        }
        Ok(all)
    }
}

impl Tx {
    /// Writes for a SIM that its person proved to be the one who uses it, or (`None`) that nobody has.
    pub(crate) async fn put_assurance(
        &mut self,
        imsi: Imsi,
        proof: Option<&Proof>,
        change: &Change,
    ) -> Result<(), StoreError> {
        let touched = match proof {
            Some(a) => {
                let sql = "INSERT INTO sim_assurance (imsi, body)
                           SELECT imsi, $2 FROM sims WHERE imsi = $1
                           ON CONFLICT (imsi) DO UPDATE SET body = excluded.body";
                self.exec(sql, args![imsi, json_text(a)]).await?
            }
            None => self.exec("DELETE FROM sim_assurance WHERE imsi = $1", args![imsi]).await?,
        };
        if touched == 0 {
            return Ok(());
        }
        let after = proof.map(|a| serde_json::json!(a));
        self.record(change, "sim.assurance", object(imsi), None, after).await
    }
}

impl Store {
    /// What is known of the SIMs that something touches.
    pub async fn fact_rows(&self, of: &FactsOf) -> Result<Vec<FactRow>, StoreError> {
        let mut sims = BTreeSet::new();
        match of {
            FactsOf::All => return self.db.snapshot().await?.all_fact_rows().await,
            FactsOf::Sims(these) => sims.extend(these.iter().copied()),
            FactsOf::People(ids) => {
                for id in ids {
                    sims.extend(self.sims_of_person(id).await?);
                }
            }
            FactsOf::Devices(ids) => {
                for id in ids {
                    sims.extend(self.sims_of_device(id).await?);
                }
            }
        }
        let mut tx = self.db.snapshot().await?;
        let mut all = Vec::with_capacity(sims.len());
        for imsi in sims {
            all.extend(tx.fact_row(imsi).await?);
        }
        Ok(all)
    }

    /// Sites beside its own where a SIM is at home, and the SIM's version.
    pub async fn usual_sites(&self, imsi: Imsi) -> Result<(BTreeSet<Name>, u64), StoreError> {
        let mut tx = self.db.snapshot().await?;
        let version =
            tx.one("SELECT version FROM sims WHERE imsi = $1", args![imsi]).await?.uint("version")?;
        let rows = tx.rows("SELECT site FROM sim_usual_sites WHERE imsi = $1", args![imsi]).await?;
        Ok((rows.iter().map(|r| r.parse("site")).collect::<Result<_, _>>()?, version))
    }

    /// Says where a SIM is at home beside its own site. A change of it raises the version of the SIM.
    pub async fn set_usual_sites(
        &self,
        imsi: Imsi,
        sites: BTreeSet<Name>,
        expect: Option<u64>,
        change: &Change,
    ) -> Result<u64, StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "SELECT version FROM sims WHERE imsi = $1";
                expect_version(expect, tx.one(sql, args![imsi]).await?.uint("version")?)?;
                let rows = tx.rows("SELECT site FROM sim_usual_sites WHERE imsi = $1", args![imsi]).await?;
                let old = rows.iter().map(|r| r.text("site")).collect::<Result<Vec<_>, _>>()?;
                tx.exec("DELETE FROM sim_usual_sites WHERE imsi = $1", args![imsi]).await?;
                for site in &sites {
                    let sql = "INSERT INTO sim_usual_sites (imsi, site) VALUES ($1, $2)";
                    tx.exec(sql, args![imsi, site]).await?;
                }
                let sql =
                    "UPDATE sims SET version = version + 1, changed = $2 WHERE imsi = $1 RETURNING version";
                let version = tx.one(sql, args![imsi, change.at]).await?.uint("version")?;
                let new: Vec<String> = sites.iter().map(ToString::to_string).collect();
                let told = |all: &[String]| Some(serde_json::json!({ "usual_sites": all }));
                tx.record(&change, "sim.usual-sites", object(imsi), told(&old), told(&new)).await?;
                Ok(version)
            })
        })
        .await
    }

    /// Writes for SIMs that their person proved to be the one who uses them, or (`None`) that nobody has.
    pub async fn set_assurance(
        &self,
        sims: Vec<Imsi>,
        assurance: Option<Proof>,
        change: &Change,
    ) -> Result<(), StoreError> {
        let change = change.clone();
        self.write(move |tx| {
            Box::pin(async move {
                for imsi in sims {
                    tx.put_assurance(imsi, assurance.as_ref(), &change).await?;
                }
                Ok(())
            })
        })
        .await
    }

    /// Writes how dangerous a `person` or `device` looks; a word that is older than the one that is there changes nothing.
    pub async fn set_signal_risk(
        &self,
        kind: &'static str,
        id: &Name,
        risk: RiskRow,
    ) -> Result<(), StoreError> {
        let id = id.clone();
        self.write(move |tx| {
            Box::pin(async move {
                let sql = "INSERT INTO signal_risks (kind, id, level, source, at) VALUES ($1, $2, $3, $4, $5)
                           ON CONFLICT (kind, id) DO UPDATE SET level = excluded.level, source = excluded.source,
                             at = excluded.at WHERE signal_risks.at <= excluded.at";
                let a = args![kind, &id, risk.level.as_str(), &risk.source, risk.at];
                tx.exec(sql, a).await.map(drop)
            })
        })
        .await
    }
}
