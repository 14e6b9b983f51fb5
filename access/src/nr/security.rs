//! The 5G NAS security context of a UE (TS 33.501 §6.7, TS 24.501 §4.4): choice of algorithms, keys, and the
//! protection of what goes to one connection.

use super::Amf;
use super::challenge::Authenticated;
use super::config::AmfConfig;
use types::{Key256, Supi};
use wire::nas::fgs::{FgmmMessage, UeSecurityCapability};
use wire::nas::security::{Direction, HeaderType, NasContext, Nea, Nia, SecurityError, Verified};
use wire::ngap::{AmfUeNgapId, DownlinkNasTransport, Message};

/// NAS COUNTs have 24 bits; new keys are made well before they end.
const ENOUGH_COUNTS: u32 = (1 << 24) - (1 << 16);

/// The best pair that both sides have. NIA0 is never one: it is for emergency alone, which we do not serve.
pub(super) fn choose(config: &AmfConfig, ue: &UeSecurityCapability) -> Option<(Nia, Nea)> {
    let integrity = config.integrity.iter().find(|a| **a != Nia::Nia0 && ue.has_nia(**a))?;
    let ciphering = config.ciphering.iter().find(|a| ue.has_nea(**a))?;
    Some((*integrity, *ciphering))
}

/// Keys and counts of one UE. Made only of a proof that the UE answered a challenge.
pub(super) struct SecurityContext {
    supi: Supi,
    kamf: Key256,
    ksi: u8,
    nas: NasContext,
}

impl SecurityContext {
    /// Fresh keys of a fresh KAMF; both counts begin at 0.
    pub(super) fn new(proof: Authenticated, integrity: Nia, ciphering: Nea) -> Self {
        let (supi, kamf, ksi) = proof.into_parts();
        let knas_int = sim_auth::fgs::knas_int(&kamf, integrity.code());
        let knas_enc = sim_auth::fgs::knas_enc(&kamf, ciphering.code());
        let nas = NasContext::new(knas_int, knas_enc, integrity, ciphering);
        Self { supi, kamf, ksi, nas }
    }

    /// Whose context it is.
    pub(super) fn supi(&self) -> Supi {
        self.supi
    }

    /// Number of the key set, 0–6.
    pub(super) fn ksi(&self) -> u8 {
        self.ksi
    }

    /// KgNB for a connection that began with the uplink message of this count (TS 33.501 §A.9).
    pub(super) fn kgnb(&self, ul_count: u32) -> Key256 {
        sim_auth::fgs::kgnb(&self.kamf, ul_count)
    }

    /// Keys for the handovers of a connection whose KgNB is `kgnb`.
    pub(super) fn chain(&self, kgnb: &Key256) -> KeyChain {
        KeyChain { kamf: self.kamf.clone(), nh: sim_auth::fgs::nh(&self.kamf, kgnb), ncc: 1 }
    }

    /// The count of the last uplink message that was verified; 0 before the first.
    pub(super) fn last_ul_count(&self) -> u32 {
        self.nas.next_count(Direction::Uplink).saturating_sub(1)
    }

    /// True where so few counts are left that new keys are needed (TS 24.501 §4.4.3.5).
    pub(super) fn is_used_up(&self) -> bool {
        [Direction::Uplink, Direction::Downlink].iter().any(|d| self.nas.next_count(*d) >= ENOUGH_COUNTS)
    }

    /// Protects a downlink message. Empty where the counts are used up: such a UE must authenticate anew,
    /// and until then hears nothing.
    pub(super) fn protect(&mut self, plain: &[u8]) -> Vec<u8> {
        self.protect_as(plain, HeaderType::Ciphered)
    }

    /// Protects the Security Mode Command: integrity alone, with the new context.
    pub(super) fn protect_new(&mut self, plain: &[u8]) -> Vec<u8> {
        self.protect_as(plain, HeaderType::IntegrityNewContext)
    }

    fn protect_as(&mut self, plain: &[u8], header: HeaderType) -> Vec<u8> {
        self.nas.protect(plain, header, Direction::Downlink).unwrap_or_default()
    }

    /// Verifies an uplink message; a replayed or forged one changes nothing.
    pub(super) fn unprotect(&mut self, nas: &[u8]) -> Result<Verified, SecurityError> {
        self.nas.unprotect(nas, Direction::Uplink)
    }

    /// Opens the container of an initial message that was verified with `count` (TS 24.501 §4.4.6).
    pub(super) fn open_container(&self, count: u32, container: &[u8]) -> Vec<u8> {
        let mut plain = container.to_vec();
        self.nas.cipher_container(count, Direction::Uplink, &mut plain);
        plain
    }
}

/// The chain of next hops of one connection (TS 33.501 §6.9.2.1.1). It stays with the KAMF that the radio's keys are of,
/// whatever the UE authenticates meanwhile.
pub(super) struct KeyChain {
    kamf: Key256,
    nh: Key256,
    ncc: u8,
}

impl KeyChain {
    /// Next Hop Chaining Count, 0–7, and NH behind one more handover (§6.9.2.3.2).
    pub(super) fn next(&mut self) -> (u8, Key256) {
        self.nh = sim_auth::fgs::nh(&self.kamf, &self.nh);
        self.ncc = (self.ncc + 1) & 7;
        (self.ncc, self.nh.clone())
    }
}

impl Amf {
    /// Sends a NAS PDU as it is. An empty one (see [`SecurityContext::protect`]) is not sent.
    pub(super) fn send_nas(&mut self, id: AmfUeNgapId, nas: Vec<u8>) {
        if nas.is_empty() {
            return self.refused("nas-counts-used-up");
        }
        self.send_on(id, |c| {
            Message::DownlinkNasTransport(DownlinkNasTransport { amf_ue_id: c.id, ran_ue_id: c.ran, nas })
        });
    }

    /// Sends a NAS message in clear: only before security is up.
    pub(super) fn send_plain(&mut self, id: AmfUeNgapId, message: &FgmmMessage) {
        if let Some(nas) = self.encode(message) {
            self.send_nas(id, nas);
        }
    }

    /// Protects a message for a UE.
    pub(super) fn protect_for(&mut self, supi: Supi, plain: &[u8]) -> Vec<u8> {
        self.registry.ue_mut(supi).map(|ue| ue.security.protect(plain)).unwrap_or_default()
    }

    /// Sends an encoded message to a UE, protected, if it is connected.
    pub(super) fn send_protected(&mut self, supi: Supi, plain: &[u8]) {
        if let Some(conn) = self.registry.ue(supi).and_then(|ue| ue.conn) {
            let nas = self.protect_for(supi, plain);
            self.send_nas(conn, nas);
        }
    }

    /// Sends a message to a UE, protected, if it is connected.
    pub(super) fn send_to_ue(&mut self, supi: Supi, message: &FgmmMessage) {
        if let Some(plain) = self.encode(message) {
            self.send_protected(supi, &plain);
        }
    }

    /// Writes a NAS message of ours.
    pub(super) fn encode(&mut self, message: &FgmmMessage) -> Option<Vec<u8>> {
        match message.encode() {
            Ok(plain) => Some(plain),
            Err(e) => {
                self.refused("unencodable");
                let text = format!("{} could not be written: {e}", message.name());
                self.event(None, types::Happening::Alarm { text });
                None
            }
        }
    }
}
