//! Devices: what SIMs are in.

use crate::{
    api::{
        List,
        directory::{self, Listed, Search, directory_handlers},
        documents::Kept,
    },
    check::{Check, Kind},
    problem::Problem,
    request::{Body, IdempotencyKey, IfMatch, IfMatchHeader, Params, PathOf},
    rights::{DirectoryCapability, Limited, ReadCapability},
    state::AppState,
};
use axum::{extract::State, http::StatusCode, response::Response};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use store::StoreError;
use types::{Device, DeviceKind, Imsi, Name};
use utoipa::ToSchema;

/// What a device is.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = DeviceKind)]
pub(crate) enum KindWord {
    /// A laptop with a modem.
    Laptop,
    /// A telephone.
    Phone,
    /// A tablet.
    Tablet,
    /// A router with a network behind it.
    Router,
    /// A programmable logic controller.
    Plc,
    /// A camera.
    Camera,
    /// A sensor or meter.
    Sensor,
    /// A car, a cart, a robot.
    Vehicle,
    /// Anything else.
    Other,
}

/// A device that a SIM is in.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Device)]
pub(crate) struct DeviceBody {
    /// 1-63 of a-z, 0-9 and inner - _ . , for example an inventory number.
    #[schema(example = "pc-0042", value_type = String)]
    id: Name,
    /// Words for people.
    #[serde(default)]
    label: String,
    /// What it is.
    kind: KindWord,
    /// IMEI (15 digits) or IMEISV (16 digits); no two devices have the same first 14.
    #[schema(example = "490154203237518")]
    imei: Option<String>,
    /// The maker's serial number.
    serial: Option<String>,
    /// Id of the person whose it is.
    #[schema(value_type = Option<String>)]
    owner: Option<Name>,
}

macro_rules! kinds {
    ($($v:ident)*) => {
        impl From<KindWord> for DeviceKind {
            fn from(k: KindWord) -> Self {
                match k { $(KindWord::$v => Self::$v,)* }
            }
        }
        impl From<DeviceKind> for KindWord {
            fn from(k: DeviceKind) -> Self {
                match k { $(DeviceKind::$v => Self::$v,)* }
            }
        }
    };
}
kinds!(Laptop Phone Tablet Router Plc Camera Sensor Vehicle Other);

impl Listed for Device {
    type Body = DeviceBody;
    const PATH: &'static str = "/api/v1/devices";
    const CHANGED_WITHIN: bool = true;

    fn read(b: DeviceBody, check: &mut Check) -> Option<Self> {
        check.label("/label", &b.label, 200);
        if let Some(serial) = &b.serial {
            check.filled("/serial", serial, 100);
        }
        let imei = check.maybe("/imei", b.imei.as_deref(), Kind::Imei);
        Some(Self {
            id: b.id,
            label: b.label,
            kind: b.kind.into(),
            imei: imei?,
            serial: b.serial,
            owner: b.owner,
        })
    }

    fn body(self) -> DeviceBody {
        // As it is printed on the device: without the prefix that tells the two forms apart.
        let digits = |i: types::Pei| match i {
            types::Pei::Imei(i) => i.to_string(),
            types::Pei::Imeisv(i) => i.to_string(),
        };
        DeviceBody {
            id: self.id,
            label: self.label,
            kind: self.kind.into(),
            imei: self.imei.map(digits),
            serial: self.serial,
            owner: self.owner,
        }
    }

    fn owner(&self) -> Option<&Name> {
        self.owner.as_ref()
    }

    async fn sims(s: &AppState, id: &Name) -> Result<Vec<Imsi>, StoreError> {
        s.store.sims_of_device(id).await
    }

    fn touched(id: &Name) -> store::FactsOf {
        store::FactsOf::Devices(vec![id.clone()])
    }

    fn among(linked: &store::Linked) -> &BTreeSet<Name> {
        &linked.devices
    }
}

directory_handlers!(Device, DeviceBody, "devices", "/api/v1/devices", "/api/v1/devices/{id}");
