//! The structure of a message, and the elements that many messages have.

use super::*;
use types::PduSessionId;

impl<'p> Reader<'p> {
    /// What is missing, repeated, or unknown and must be understood. `Err` if this is no list of IEs.
    pub(super) fn structure(&mut self) -> Result<(), ()> {
        for d in self.pdu.check_structure().map_err(drop)? {
            match d {
                Deviation::RepeatedIe { id, .. } => {
                    self.repeated = true;
                    self.note(id, TypeOfError::NotUnderstood, self.received(id));
                }
                Deviation::MissingIe { id, criticality, .. } => {
                    self.note(id, TypeOfError::Missing, c::criticality(criticality));
                }
                Deviation::UnexpectedIe { id, criticality, .. } => {
                    self.note(id, TypeOfError::NotUnderstood, c::criticality(criticality));
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub(super) fn note(&mut self, id: u16, error: TypeOfError, criticality: Criticality) {
        if criticality != Criticality::Ignore && self.ies.len() < MAX_DIAGNOSTICS {
            self.ies.push(IeDiagnostic { criticality, id, error });
        }
    }

    pub(super) fn rejects(&self) -> bool {
        self.ies.iter().any(|i| i.criticality == Criticality::Reject)
    }

    /// The criticality that an IE came with.
    pub(super) fn received(&self, id: u16) -> Criticality {
        let ies = self.pdu.protocol_ies();
        let found =
            ies.iter().flat_map(|l| &l.0).find(|f| f.id.0 == id).map(|f| c::criticality(f.criticality));
        found.unwrap_or(Criticality::Ignore)
    }

    /// The first occurrence of an IE, converted; not remembered as wrong if it cannot be.
    pub(super) fn peek<T: Ie<Protocol = Ngap>, U>(
        &self,
        convert: impl FnOnce(T::Value<'p>) -> Option<U>,
    ) -> Option<U> {
        self.pdu.ie::<T>()?.ok().and_then(convert)
    }

    /// The first occurrence of an IE, converted; remembered as not understood if it cannot be.
    pub(super) fn get<T: Ie<Protocol = Ngap>, U>(
        &mut self,
        convert: impl FnOnce(T::Value<'p>) -> Option<U>,
    ) -> Option<U> {
        let value = self.pdu.ie::<T>()?.ok().and_then(convert);
        if value.is_none() {
            self.note(T::ID, TypeOfError::NotUnderstood, self.received(T::ID));
        }
        value
    }

    pub(super) fn ue(&mut self) -> (Option<AmfUeNgapId>, Option<RanUeNgapId>) {
        let amf = self.get::<ie::AMF_UE_NGAP_ID, _>(|v| AmfUeNgapId::new(v.0));
        let ran = self.get::<ie::RAN_UE_NGAP_ID, _>(|v| Some(RanUeNgapId(v.0)));
        (amf, ran)
    }

    pub(super) fn nas(&mut self) -> Option<Vec<u8>> {
        self.get::<ie::NAS_PDU, _>(|v| nas(&v))
    }

    pub(super) fn cause(&mut self) -> Cause {
        self.get::<ie::Cause, _>(|v| c::cause(&v)).unwrap_or(Cause::UNSPECIFIED)
    }

    pub(super) fn location(&mut self) -> Option<UserLocation> {
        self.get::<ie::UserLocationInformation, _>(|v| c::location(&v))
    }

    pub(super) fn location_event(&mut self) -> Option<LocationEvent> {
        self.get::<ie::LocationReportingRequestType, _>(|v| match v.event_type {
            ox::EventType::direct => Some(LocationEvent::Direct),
            ox::EventType::change_of_serve_cell => Some(LocationEvent::CellChange),
            ox::EventType::stop_change_of_serve_cell => Some(LocationEvent::StopCellChange),
            _ => None,
        })
    }

    pub(super) fn diagnostics(&mut self) -> Option<CriticalityDiagnostics> {
        self.get::<ie::CriticalityDiagnostics, _>(|v| c::diagnostics(&v))
    }

    pub(super) fn security_capabilities(&mut self) -> Option<SecurityCapabilities> {
        self.get::<ie::UESecurityCapabilities, _>(|v| Some(c::security_capabilities(&v)))
    }

    pub(super) fn radio_capability(&mut self) -> Option<Vec<u8>> {
        self.get::<ie::UERadioCapability, _>(|v| Some(v.0.as_slice().to_vec()))
    }

    pub(super) fn allowed_nssai(&mut self) -> Option<Vec<types::Snssai>> {
        self.get::<ie::AllowedNSSAI, _>(|l| Some(l.0.iter().map(|i| c::snssai(&i.s_nssai)).collect()))
    }

    pub(super) fn ambr(&mut self) -> Option<Ambr> {
        self.get::<ie::UEAggregateMaximumBitRate, _>(|v| {
            Some(Ambr {
                dl_bps: v.ue_aggregate_maximum_bit_rate_dl.0,
                ul_bps: v.ue_aggregate_maximum_bit_rate_ul.0,
            })
        })
    }

    pub(super) fn ran_name(&mut self) -> Option<String> {
        self.get::<ie::RANNodeName, _>(|v| Some(v.0.into_owned()))
    }

    pub(super) fn paging_drx(&mut self) -> Option<PagingDrx> {
        self.get::<ie::DefaultPagingDRX, _>(|v| {
            Some(match v {
                ox::PagingDRX::v32 => PagingDrx::V32,
                ox::PagingDRX::v64 => PagingDrx::V64,
                ox::PagingDRX::v128 => PagingDrx::V128,
                ox::PagingDRX::v256 => PagingDrx::V256,
                #[allow(unreachable_patterns)]
                _ => return None,
            })
        })
    }

    pub(super) fn time_to_wait(&mut self) -> Option<TimeToWait> {
        self.get::<ie::TimeToWait, _>(|v| {
            Some(match v {
                ox::TimeToWait::v1s => TimeToWait::S1,
                ox::TimeToWait::v2s => TimeToWait::S2,
                ox::TimeToWait::v5s => TimeToWait::S5,
                ox::TimeToWait::v10s => TimeToWait::S10,
                ox::TimeToWait::v20s => TimeToWait::S20,
                ox::TimeToWait::v60s => TimeToWait::S60,
                #[allow(unreachable_patterns)]
                _ => return None,
            })
        })
    }

    pub(super) fn next_hop(&mut self) -> Option<NextHop> {
        self.get::<ie::SecurityContext, _>(|v| {
            Some(NextHop { ncc: v.next_hop_chaining_count.0, nh: c::security_key(&v.next_hop_nh)? })
        })
    }
}

fn nas(v: &ox::NASPDU<'_>) -> Option<Vec<u8>> {
    let octets = v.0.as_slice();
    (octets.len() <= MAX_NAS_PDU).then(|| octets.to_vec())
}

pub(super) fn transfer(id: &ox::PDUSessionID, octets: &[u8]) -> Option<SessionTransfer> {
    Some(SessionTransfer { id: c::session_id(id)?, transfer: octets.to_vec() })
}

pub(super) fn modify(i: &ox::PDUSessionResourceModifyItemModReq<'_>) -> Option<SessionModify> {
    let nas = match &i.nas_pdu {
        Some(n) => Some(nas(n)?),
        None => None,
    };
    let transfer = i.pdu_session_resource_modify_request_transfer.to_vec();
    Some(SessionModify { id: c::session_id(&i.pdu_session_id)?, nas, transfer })
}

pub(super) fn setup(
    id: &ox::PDUSessionID,
    nas_pdu: Option<&ox::NASPDU<'_>>,
    slice: &ox::SNSSAI,
    transfer: &[u8],
) -> Option<SessionSetup> {
    let id: PduSessionId = c::session_id(id)?;
    let nas = match nas_pdu {
        Some(n) => Some(nas(n)?),
        None => None,
    };
    Some(SessionSetup { id, nas, slice: c::snssai(slice), transfer: transfer.to_vec() })
}

/// None where a node in it is none that we know the name of.
pub(super) fn son_transfer(v: ox::SONConfigurationTransfer<'_>) -> Option<SonTransfer> {
    let whole = v.into_owned();
    Some(SonTransfer {
        target: c::ran_node(&whole.target_ran_node_id_son.global_ran_node_id)?,
        source: c::ran_node(&whole.source_ran_node_id.global_ran_node_id)?,
        whole,
    })
}
