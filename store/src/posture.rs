//! How devices are, as their sources told it.

use crate::{
    Store,
    audit::Change,
    db::{Rec, Tx, args, json_text},
    error::StoreError,
    kept::expect_version,
};
use types::{DevicePosture, Name, PostureReport, Utc};

/// What is known of a device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PostureRow {
    /// What was told.
    pub posture: DevicePosture,
    /// Rises with each report that told something new; 0 before the first.
    pub version: u64,
    /// When that was.
    pub changed: Option<Utc>,
}

impl PostureRow {
    fn read(r: &Rec) -> Result<Self, StoreError> {
        Ok(Self {
            posture: r.json("body")?,
            version: r.uint("version")?,
            changed: r.maybe_int("changed")?.map(Utc),
        })
    }
}

impl Tx {
    async fn posture(&mut self, device: &Name) -> Result<PostureRow, StoreError> {
        let r = self.maybe("SELECT * FROM device_posture WHERE device = $1", args![device]).await?;
        r.as_ref().map_or_else(|| Ok(PostureRow::default()), PostureRow::read)
    }

    /// Takes a report; `None` where there is no such device.
    pub(crate) async fn take_posture(
        &mut self,
        device: &Name,
        report: &PostureReport,
        source: &Name,
        at: Utc,
    ) -> Result<Option<bool>, StoreError> {
        if self.maybe("SELECT id FROM devices WHERE id = $1", args![device]).await?.is_none() {
            return Ok(None);
        }
        let mut row = self.posture(device).await?;
        if !row.posture.take(report, source) {
            return Ok(Some(false));
        }
        let sql = "INSERT INTO device_posture (device, body, version, changed) VALUES ($1, $2, 1, $3)
                   ON CONFLICT (device) DO UPDATE SET body = $2, version = device_posture.version + 1, changed = $3";
        self.exec(sql, args![device, json_text(&row.posture), at]).await?;
        Ok(Some(true))
    }
}

impl Store {
    /// What is known of a device that is in the directory.
    pub async fn posture(&self, device: &Name) -> Result<PostureRow, StoreError> {
        let mut tx = self.db.snapshot().await?;
        tx.one("SELECT id FROM devices WHERE id = $1", args![device]).await?;
        tx.posture(device).await
    }

    /// Takes what one source told of devices. Which of them are known here, in their order. `expect` is the version that
    /// the caller saw of the first one. Audited where somebody did it by hand (`change` has a request).
    pub async fn report_posture(
        &self,
        reports: Vec<(Name, PostureReport)>,
        source: &Name,
        expect: Option<u64>,
        change: &Change,
    ) -> Result<Vec<bool>, StoreError> {
        let (change, source) = (change.clone(), source.clone());
        self.write(move |tx| {
            Box::pin(async move {
                if let (Some(_), Some((device, _))) = (expect, reports.first()) {
                    expect_version(expect, tx.posture(device).await?.version)?;
                }
                let (mut known, mut changed) = (Vec::with_capacity(reports.len()), 0u64);
                for (device, report) in &reports {
                    let taken = tx.take_posture(device, report, &source, change.at).await?;
                    changed += u64::from(taken == Some(true));
                    known.push(taken.is_some());
                }
                if !change.request_id.is_empty() && known.contains(&true) {
                    let object = match reports.as_slice() {
                        [(device, _)] => format!("device:{device}"),
                        _ => format!("signal-source:{source}"),
                    };
                    let told =
                        serde_json::json!({ "source": source, "devices": known.len(), "changed": changed });
                    tx.record(&change, "posture.report", object, None, Some(told)).await?;
                }
                Ok(known)
            })
        })
        .await
    }
}
