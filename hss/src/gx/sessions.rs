//! The sessions that live, by SMF and Session-Id, by SIM, and by address.

use super::UeAddresses;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use types::{Dnn, Imsi};
use wire::diameter::Identity;

/// A session that lives at an SMF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The SMF's Origin-Host.
    pub smf: Identity,
    /// Session-Id.
    pub id: String,
    /// Whose.
    pub imsi: Imsi,
    /// In which data network.
    pub dnn: Dnn,
    /// With which addresses.
    pub addresses: UeAddresses,
    /// The SMF's Origin-State-Id at its beginning.
    pub state: Option<u32>,
}

/// Which session: never by its Session-Id alone, which another SMF may say as well.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionKey {
    /// The SMF's Origin-Host.
    pub smf: Identity,
    /// Session-Id.
    pub id: String,
}

impl Session {
    /// Which session it is.
    pub fn key(&self) -> SessionKey {
        SessionKey { smf: self.smf.clone(), id: self.id.clone() }
    }

    /// True for the same SIM, data network and addresses.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        (self.imsi, &self.dnn, self.addresses) == (other.imsi, &other.dnn, other.addresses)
    }
}

/// All of them.
#[derive(Default)]
pub(super) struct Sessions {
    all: BTreeMap<SessionKey, Session>,
    of: BTreeMap<Imsi, BTreeSet<SessionKey>>,
    /// How many each SMF has.
    at: BTreeMap<Identity, usize>,
    /// Who was given an address last.
    holders: BTreeMap<IpNet, SessionKey>,
}

impl Sessions {
    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn all(&self) -> impl Iterator<Item = &Session> {
        self.all.values()
    }

    pub fn get(&self, key: &SessionKey) -> Option<&Session> {
        self.all.get(key)
    }

    pub fn of(&self, imsi: Imsi) -> impl Iterator<Item = &Session> {
        self.of.get(&imsi).into_iter().flatten().filter_map(|k| self.all.get(k))
    }

    pub fn at(&self, smf: &Identity) -> usize {
        self.at.get(smf).copied().unwrap_or_default()
    }

    /// The session that has one of these addresses and is another SIM's.
    pub fn other_holder(&self, imsi: Imsi, addresses: &UeAddresses) -> Option<&Session> {
        let holder = |net: IpNet| self.holders.get(&net).and_then(|k| self.all.get(k));
        addresses.nets().filter_map(holder).find(|s| s.imsi != imsi)
    }

    /// Puts a session in; what had its key before.
    pub fn put(&mut self, s: Session) -> Option<Session> {
        let before = self.remove(&s.key());
        self.of.entry(s.imsi).or_default().insert(s.key());
        self.holders.extend(s.addresses.nets().map(|n| (n, s.key())));
        *self.at.entry(s.smf.clone()).or_default() += 1;
        self.all.insert(s.key(), s);
        before
    }

    pub fn remove(&mut self, key: &SessionKey) -> Option<Session> {
        let s = self.all.remove(key)?;
        if let Some(n) = self.at.get_mut(&s.smf) {
            *n -= 1;
            if *n == 0 {
                self.at.remove(&s.smf);
            }
        }
        if let Some(keys) = self.of.get_mut(&s.imsi) {
            keys.remove(key);
            if keys.is_empty() {
                self.of.remove(&s.imsi);
            }
        }
        for net in s.addresses.nets() {
            if self.holders.get(&net) == Some(key) {
                self.holders.remove(&net);
            }
        }
        Some(s)
    }
}
