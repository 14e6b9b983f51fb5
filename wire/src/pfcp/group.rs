//! Grouped information elements (§7.5): rules and what they are made of.

use super::PfcpError;
use super::ie::*;
use super::reader::{Reader, put};
use super::sdf::SdfFilter;

/// Something made of elements: a group or a message.
pub(crate) trait Elements: Sized {
    fn read_elements(r: &mut Reader<'_>) -> Result<Self, PfcpError>;
    fn write_elements(&self, out: &mut Vec<u8>);
}

macro_rules! field {
    (one $t:ty) => { $t };
    (opt $t:ty) => { Option<$t> };
    (many $t:ty) => { Vec<$t> };
}
macro_rules! slot {
    (many $t:ty) => { Vec<$t> };
    ($card:ident $t:ty) => { Option<$t> };
}
macro_rules! keep {
    (many $slot:ident, $value:expr) => {
        $slot.push($value)
    };
    // §7.6.4.6: of an element that stands twice, the first counts. The second is read, so that it is whole.
    ($card:ident $slot:ident, $value:expr) => {{
        let value = $value;
        $slot.get_or_insert(value);
    }};
}
macro_rules! finish {
    (one $slot:ident, $t:ty, $r:ident) => {
        $slot.ok_or_else(|| $r.missing(<$t as Ie>::TYPE))?
    };
    ($card:ident $slot:ident, $t:ty, $r:ident) => {
        $slot
    };
}

/// A struct of elements: `one` must be there, `opt` may, `many` may stand any number of times.
macro_rules! elements {
    ($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $card:ident $t:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name {
            $($(#[$fdoc])* pub $field: field!($card $t),)*
            /// Elements that are not read here, as they came.
            pub others: Vec<RawIe>,
        }

        impl Elements for $name {
            fn read_elements(r: &mut Reader<'_>) -> Result<Self, PfcpError> {
                $(let mut $field: slot!($card $t) = Default::default();)*
                let mut others = Vec::new();
                while let Some(element) = r.element()? {
                    match element.kind {
                        $(<$t as Ie>::TYPE => {
                            let mut value = element.value;
                            keep!($card $field, <$t as Ie>::read(&mut value)?);
                        })*
                        _ => others.push(element.raw()),
                    }
                }
                Ok(Self { $($field: finish!($card $field, $t, r),)* others })
            }

            fn write_elements(&self, out: &mut Vec<u8>) {
                $(for e in elements!(@iter $card &self.$field) {
                    put(out, <$t as Ie>::TYPE, |out| e.write(out));
                })*
                for e in &self.others {
                    put(out, e.kind, |out| out.extend_from_slice(&e.value));
                }
            }
        }
    };
    (@iter one $e:expr) => { std::iter::once($e) };
    (@iter $card:ident $e:expr) => { $e.iter() };
}
pub(crate) use {elements, field, finish, keep, slot};

macro_rules! groups {
    ($($name:ident = $type:literal,)*) => {
        $(impl Ie for $name {
            const TYPE: u16 = $type;
            fn read(r: &mut Reader<'_>) -> Result<Self, PfcpError> {
                Self::read_elements(r)
            }
            fn write(&self, out: &mut Vec<u8>) {
                self.write_elements(out);
            }
        })*
    };
}

groups! {
    CreatePdr = 1, Pdi = 2, CreateFar = 3, ForwardingParameters = 4, CreateUrr = 6, CreateQer = 7,
    CreatedPdr = 8, UpdatePdr = 9, UpdateFar = 10, UpdateForwardingParameters = 11, UpdateUrr = 13,
    UpdateQer = 14, RemovePdr = 15, RemoveFar = 16, RemoveUrr = 17, RemoveQer = 18,
    CreateBar = 85, UpdateBar = 86, UpdateBarInReport = 12, RemoveBar = 87,
    DownlinkDataReport = 83, ErrorIndicationReport = 99, QueryUrr = 77,
}

/// A Usage Report; what it stands in says under which number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageReportIn<const TYPE: u16>(pub UsageReport);

/// In a Session Modification Response.
pub type UsageReportInModification = UsageReportIn<78>;
/// In a Session Deletion Response.
pub type UsageReportInDeletion = UsageReportIn<79>;
/// In a Session Report Request.
pub type UsageReportInReport = UsageReportIn<80>;

impl<const T: u16> From<UsageReport> for UsageReportIn<T> {
    fn from(report: UsageReport) -> Self {
        Self(report)
    }
}

impl<const T: u16> Ie for UsageReportIn<T> {
    const TYPE: u16 = T;
    fn read(r: &mut Reader<'_>) -> Result<Self, PfcpError> {
        UsageReport::read_elements(r).map(Self)
    }
    fn write(&self, out: &mut Vec<u8>) {
        self.0.write_elements(out);
    }
}

elements! {
    /// Create PDR (Table 7.5.2.2-1).
    #[derive(Default)]
    CreatePdr {
        /// Its number.
        pdr_id: one PdrId,
        /// When it is read; always there on N4 and Sxb, never on Sxa.
        precedence: opt Precedence,
        /// What it matches.
        pdi: one Pdi,
        /// Which outer header goes.
        outer_header_removal: opt OuterHeaderRemoval,
        /// What is done; missing only where predefined rules are activated, which we have not.
        far_id: opt FarId,
        /// Measuring.
        urr_ids: many UrrId,
        /// Rates and gates.
        qer_ids: many QerId,
    }
}

elements! {
    /// PDI: packet detection information (Table 7.5.2.2-2).
    #[derive(Default)]
    Pdi {
        /// Where the packet comes from.
        source_interface: one SourceInterface,
        /// Our tunnel endpoint.
        local_f_teid: opt FTeid,
        /// Network instance.
        network_instance: opt NetworkInstance,
        /// The UE's addresses.
        ue_ip_addresses: many UeIpAddress,
        /// Flow filters; a packet that one of them meets is meant.
        sdf_filters: many SdfFilter,
        /// Application, raw.
        application_id: opt ApplicationId,
        /// QoS flows.
        qfis: many Qfi,
        /// 3GPP interface type of the source.
        source_interface_type: opt InterfaceType,
    }
}

elements! {
    /// Create FAR (Table 7.5.2.3-1).
    #[derive(Default)]
    CreateFar {
        /// Its number.
        far_id: one FarId,
        /// What is done.
        apply_action: one ApplyAction,
        /// Where to.
        forwarding_parameters: opt ForwardingParameters,
        /// How its packets are buffered.
        bar_id: opt BarId,
    }
}

elements! {
    /// Forwarding Parameters (Table 7.5.2.3-2).
    #[derive(Default)]
    ForwardingParameters {
        /// Where to.
        destination_interface: one DestinationInterface,
        /// Network instance.
        network_instance: opt NetworkInstance,
        /// Which outer header comes.
        outer_header_creation: opt OuterHeaderCreation,
        /// 3GPP interface type of the destination.
        destination_interface_type: opt InterfaceType,
    }
}

elements! {
    /// Create QER (Table 7.5.2.5-1).
    #[derive(Default)]
    CreateQer {
        /// Its number.
        qer_id: one QerId,
        /// Ties QERs of several sessions.
        correlation_id: opt QerCorrelationId,
        /// Gates.
        gate_status: one GateStatus,
        /// Maximum rates.
        mbr: opt Mbr,
        /// Guaranteed rates.
        gbr: opt Gbr,
        /// QoS flow of downlink packets.
        qfi: opt Qfi,
    }
}

elements! {
    /// Create URR (Table 7.5.2.4-1).
    #[derive(Default)]
    CreateUrr {
        /// Its number.
        urr_id: one UrrId,
        /// What is measured.
        method: one MeasurementMethod,
        /// When it is reported.
        triggers: one ReportingTriggers,
        /// Reported every so many seconds.
        period: opt MeasurementPeriod,
        /// Reported at this volume.
        volume_threshold: opt VolumeThreshold,
        /// Used up at this volume.
        volume_quota: opt VolumeQuota,
        /// Reported after this time.
        time_threshold: opt TimeThreshold,
        /// Used up after this time.
        time_quota: opt TimeQuota,
    }
}

elements! {
    /// Created PDR (Table 7.5.3.2-1).
    #[derive(Default)]
    CreatedPdr {
        /// Which PDR.
        pdr_id: one PdrId,
        /// The tunnel endpoint that was chosen for it.
        local_f_teid: opt FTeid,
        /// The UE's addresses that were chosen.
        ue_ip_addresses: many UeIpAddress,
    }
}

elements! {
    /// Update PDR (Table 7.5.4.2-1): what is given replaces what was.
    #[derive(Default)]
    UpdatePdr {
        /// Which.
        pdr_id: one PdrId,
        /// Which outer header goes.
        outer_header_removal: opt OuterHeaderRemoval,
        /// When it is read.
        precedence: opt Precedence,
        /// What it matches.
        pdi: opt Pdi,
        /// What is done.
        far_id: opt FarId,
        /// Measuring.
        urr_ids: many UrrId,
        /// Rates and gates.
        qer_ids: many QerId,
    }
}

elements! {
    /// Update FAR (Table 7.5.4.3-1).
    #[derive(Default)]
    UpdateFar {
        /// Which.
        far_id: one FarId,
        /// What is done.
        apply_action: opt ApplyAction,
        /// Where to.
        forwarding_parameters: opt UpdateForwardingParameters,
        /// How its packets are buffered.
        bar_id: opt BarId,
    }
}

elements! {
    /// Create BAR (Table 7.5.2.6-1).
    #[derive(Default)]
    CreateBar {
        /// Its number.
        bar_id: one BarId,
        /// How long the control plane waits to hear of a packet.
        delay: opt NotificationDelay,
        /// How many packets are worth buffering.
        packets: opt SuggestedPackets,
    }
}

elements! {
    /// Update BAR of a modification (Table 7.5.4.11-1).
    #[derive(Default)]
    UpdateBar {
        /// Which.
        bar_id: one BarId,
        /// How long the control plane waits to hear of a packet.
        delay: opt NotificationDelay,
        /// How many packets are worth buffering.
        packets: opt SuggestedPackets,
    }
}

elements! {
    /// Update BAR in the answer to a report (Table 7.5.9.2-1).
    #[derive(Default)]
    UpdateBarInReport {
        /// Which.
        bar_id: one BarId,
        /// How long the control plane waits to hear of a packet.
        delay: opt NotificationDelay,
        /// How long the UE stays away: so long nothing more is reported.
        duration: opt DlBufferingDuration,
        /// How many packets are worth buffering meanwhile.
        meanwhile: opt DlBufferingPackets,
        /// How many packets are worth buffering.
        packets: opt SuggestedPackets,
    }
}

elements! {
    /// Remove BAR (Table 7.5.4.12-1).
    #[derive(Default)]
    RemoveBar {
        /// Which.
        bar_id: one BarId,
    }
}

elements! {
    /// Update Forwarding Parameters (Table 7.5.4.3-2).
    #[derive(Default)]
    UpdateForwardingParameters {
        /// Where to.
        destination_interface: opt DestinationInterface,
        /// Network instance.
        network_instance: opt NetworkInstance,
        /// Which outer header comes.
        outer_header_creation: opt OuterHeaderCreation,
        /// PFCPSMReq-Flags: End Markers.
        flags: opt SmReqFlags,
        /// 3GPP interface type of the destination.
        destination_interface_type: opt InterfaceType,
    }
}

elements! {
    /// Update QER (Table 7.5.4.5-1).
    #[derive(Default)]
    UpdateQer {
        /// Which.
        qer_id: one QerId,
        /// Ties QERs of several sessions.
        correlation_id: opt QerCorrelationId,
        /// Gates.
        gate_status: opt GateStatus,
        /// Maximum rates.
        mbr: opt Mbr,
        /// Guaranteed rates.
        gbr: opt Gbr,
        /// QoS flow of downlink packets.
        qfi: opt Qfi,
    }
}

elements! {
    /// Update URR (Table 7.5.4.4-1): what is given replaces what was.
    #[derive(Default)]
    UpdateUrr {
        /// Which.
        urr_id: one UrrId,
        /// What is measured.
        method: opt MeasurementMethod,
        /// When it is reported.
        triggers: opt ReportingTriggers,
        /// Reported every so many seconds.
        period: opt MeasurementPeriod,
        /// Reported at this volume.
        volume_threshold: opt VolumeThreshold,
        /// Used up at this volume.
        volume_quota: opt VolumeQuota,
        /// Reported after this time.
        time_threshold: opt TimeThreshold,
        /// Used up after this time.
        time_quota: opt TimeQuota,
    }
}

elements! {
    /// Remove PDR (Table 7.5.4.6-1).
    #[derive(Default)]
    RemovePdr {
        /// Which.
        pdr_id: one PdrId,
    }
}

elements! {
    /// Remove FAR (Table 7.5.4.7-1).
    #[derive(Default)]
    RemoveFar {
        /// Which.
        far_id: one FarId,
    }
}

elements! {
    /// Remove URR (Table 7.5.4.8-1).
    #[derive(Default)]
    RemoveUrr {
        /// Which.
        urr_id: one UrrId,
    }
}

elements! {
    /// Remove QER (Table 7.5.4.9-1).
    #[derive(Default)]
    RemoveQer {
        /// Which.
        qer_id: one QerId,
    }
}

elements! {
    /// Downlink Data Report (Table 7.5.8.2-1).
    #[derive(Default)]
    DownlinkDataReport {
        /// Which PDRs met the packet.
        pdr_ids: many PdrId,
    }
}

elements! {
    /// Error Indication Report (Table 7.5.8.4-1).
    #[derive(Default)]
    ErrorIndicationReport {
        /// The radio's tunnel endpoint that is gone.
        remote_f_teid: one FTeid,
    }
}

elements! {
    /// Query URR (Table 7.5.4.10-1).
    #[derive(Default)]
    QueryUrr {
        /// Which.
        urr_id: one UrrId,
    }
}

elements! {
    /// Usage Report (Tables 7.5.5.2-1, 7.5.7.2-1, 7.5.8.3-1).
    #[derive(Default)]
    UsageReport {
        /// Of which URR.
        urr_id: one UrrId,
        /// Number of the report.
        ur_seqn: one UrSeqn,
        /// Why it is made.
        trigger: one UsageReportTrigger,
        /// Since when.
        start: opt StartTime,
        /// Until when.
        end: opt EndTime,
        /// How much.
        volume: opt VolumeMeasurement,
        /// How long.
        duration: opt DurationMeasurement,
    }
}
