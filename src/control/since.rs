//! Since when sessions and radios are there, as their events said it.

use std::collections::HashMap;
use types::{Event, Happening, Imsi, PduSessionId, Utc};

/// Times of arrival of what lives.
pub(crate) struct Since {
    started: Utc,
    sessions: HashMap<(Imsi, PduSessionId), Utc>,
    gnbs: HashMap<String, Utc>,
    /// MMEs and SMFs that were here, since when they are not.
    gone: HashMap<String, Utc>,
}

impl Since {
    /// Nothing yet; what was there before `started` counts from then.
    pub fn new(started: Utc) -> Self {
        Self { started, sessions: HashMap::new(), gnbs: HashMap::new(), gone: HashMap::new() }
    }

    /// Takes note of an event.
    pub fn note(&mut self, e: &Event) {
        match (&e.what, e.imsi) {
            (Happening::SessionUp { id, .. }, Some(imsi)) => drop(self.sessions.insert((imsi, *id), e.at)),
            (Happening::SessionDown { id, .. }, Some(imsi)) => drop(self.sessions.remove(&(imsi, *id))),
            (Happening::GnbUp { name, .. }, _) => drop(self.gnbs.insert(name.clone(), e.at)),
            (Happening::GnbDown { name }, _) => drop(self.gnbs.remove(name)),
            (Happening::MmeUp { name } | Happening::SmfUp { name }, _) => drop(self.gone.remove(name)),
            (Happening::MmeDown { name, .. } | Happening::SmfDown { name, .. }, _) => {
                self.gone.insert(name.clone(), e.at);
            }
            _ => {}
        }
    }

    /// When a session came up.
    pub fn session(&self, imsi: Imsi, id: PduSessionId) -> Utc {
        self.sessions.get(&(imsi, id)).copied().unwrap_or(self.started)
    }

    /// Since when an MME or SMF is not connected.
    pub fn gone(&self, name: &str) -> Utc {
        self.gone.get(name).copied().unwrap_or(self.started)
    }

    /// When a radio was set up.
    pub fn gnb(&self, name: &str) -> Utc {
        self.gnbs.get(name).copied().unwrap_or(self.started)
    }
}
