//! The list of peers, and whether a connection is the one that it claims to be.

use super::Impostor;
use std::collections::BTreeSet;
use std::net::IpAddr;
use wire::diameter::{CapabilitiesExchangeRequest, Identity, application, result};

/// A peer that may connect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its Origin-Host.
    pub host: Identity,
    /// Its Origin-Realm.
    pub realm: Identity,
    /// Addresses that it may come from; any, where there is none. What it writes into Host-IP-Address proves nothing.
    pub addresses: Vec<IpAddr>,
    /// True where only a certificate of its name lets it in.
    pub certificate: bool,
    /// Applications that it is served ([`application`]).
    pub applications: BTreeSet<u32>,
}

/// Where a connection comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transport {
    /// The peer's address, as the socket says.
    pub address: IpAddr,
    /// The names in the peer's certificate, where it was asked for one and it was good; `None` without TLS.
    pub certified: Option<Vec<Identity>>,
}

impl Entry {
    /// The applications that both speak. A relay speaks all.
    pub(super) fn common(&self, cer: &CapabilitiesExchangeRequest) -> BTreeSet<u32> {
        let theirs = cer.applications();
        match theirs.contains(&application::RELAY) {
            true => self.applications.clone(),
            false => self.applications.iter().filter(|a| theirs.contains(a)).copied().collect(),
        }
    }

    fn is(&self, realm: &Identity, from: &Transport) -> bool {
        let address = self.addresses.is_empty() || self.addresses.contains(&from.address.to_canonical());
        let certified = from.certified.as_ref().is_some_and(|names| names.contains(&self.host));
        *realm == self.realm && address && (certified || !self.certificate)
    }
}

/// The entry of who sent this CER.
///
/// # Errors
/// The result that is answered, and what an operator is told.
pub(super) fn admitted<'a>(
    peers: &'a [Entry],
    cer: &CapabilitiesExchangeRequest,
    from: &Transport,
) -> Result<&'a Entry, (u32, Option<Impostor>)> {
    match peers.iter().find(|p| p.host == cer.origin_host) {
        None => Err((result::UNKNOWN_PEER, Some(Impostor::Unknown))),
        Some(entry) if !entry.is(&cer.origin_realm, from) => {
            Err((result::UNKNOWN_PEER, Some(Impostor::NotThatOne)))
        }
        Some(entry) => Ok(entry),
    }
}
