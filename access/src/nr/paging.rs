//! Idle UEs (TS 24.501 §5.3.7, §5.6.2; TS 38.413 §8.5; TS 23.502 §4.2.3.3): a packet that waits in the gateway makes us
//! call its UE; one that does not come is left alone for a while, one that was not heard of for long is not called.
//!
//! ```text
//!  idle ─> Listens ── packet waits ──> Paged ── T3513, so often ──> LeftAlone ── a while ──> Listens
//!             │ mobile reachable                                       (the gateway drops)
//!             └────> Gone (the gateway drops) ── implicit deregistration ──> forgotten
//! ```
//!
//! Whatever proves itself to be the UE ends all of it, and so does its end.

use super::Amf;
use super::session::Session;
use super::timers::{
    IMPLICIT_DEREGISTRATION_MS, MOBILE_REACHABLE_EXTRA_MS, PAGING_PAUSE_MS, T3513_MS, TimerKey,
};
use super::ue::{Mm, Radio, Reach, Ue};
use types::{PduSessionId, Supi};
use wire::nas::fgs::SessionSet;
use wire::ngap::{Message, Paging, STmsi};

/// How often a UE is called before it is given up: the first time and two more.
const CALLS: u8 = 3;

impl Amf {
    /// A packet waits in the gateway for this session.
    pub(super) fn on_downlink_data(&mut self, supi: Supi, id: PduSessionId) {
        let Some(ue) = self.registry.ue_mut(supi) else { return };
        if !ue.sessions.get(&id).is_some_and(|s| s.is_idle()) {
            // Its radio is on its way, or it ends.
            return self.refused("data-for-a-busy-session");
        }
        ue.data_waits.insert(id);
        match (ue.conn, ue.reach) {
            (Some(_), _) => self.serve_waiting(supi),
            (None, Reach::Listens) if matches!(ue.mm, Mm::Registered) => {
                ue.reach = Reach::Paged { left: CALLS };
                self.page(supi);
            }
            // It is being called, or is not to be called: then what was reported is gone already.
            (None, _) => {}
        }
    }

    /// A connected UE gets the user plane for which packets wait, as soon as its gNB has a context for it.
    pub(super) fn serve_waiting(&mut self, supi: Supi) {
        let Some(ue) = self.registry.ue(supi).filter(|ue| ue.is_registered()) else { return };
        let radio = ue.conn.and_then(|c| self.registry.conn(c)).map(|c| c.radio);
        if radio == Some(Radio::Up) {
            let setups = self.reactivate(supi, self.data_waits(supi));
            self.ask_for_resources(supi, None, setups);
        }
    }

    /// Sessions of a UE for which packets wait.
    pub(super) fn data_waits(&self, supi: Supi) -> SessionSet {
        self.registry.ue(supi).map(|ue| ue.data_waits).unwrap_or_default()
    }

    /// What waited for this session has gone.
    pub(super) fn data_waits_no_more(&mut self, supi: Supi, id: PduSessionId) {
        if let Some(ue) = self.registry.ue_mut(supi) {
            ue.data_waits.remove(id);
        }
    }

    /// PAGING, in the registration area, by the identity that the UE listens for: of two that it may have, in turns.
    fn page(&mut self, supi: Supi) {
        let Some(ue) = self.registry.ue_mut(supi) else { return };
        let Reach::Paged { left } = &mut ue.reach else { return };
        if *left == 0 {
            return self.give_up_paging(supi);
        }
        *left -= 1;
        let guti = ue.old_guti.filter(|_| *left % 2 == 0).unwrap_or(ue.guti);
        let here = ue.tai;
        let tais = self.registration_area(here);
        let s_tmsi = STmsi { set: guti.amf.set, pointer: guti.amf.pointer, tmsi: guti.tmsi };
        let message = Message::Paging(Paging { s_tmsi, tais: tais.clone() });
        let whom: Vec<_> = self
            .gnbs
            .iter()
            .filter(|(_, g)| g.setup.as_ref().is_some_and(|s| tais.iter().any(|t| s.tacs.contains(&t.tac))))
            .map(|(assoc, _)| *assoc)
            .collect();
        if whom.is_empty() {
            return self.give_up_paging(supi);
        }
        self.counters.pages += 1;
        for assoc in whom {
            self.send(assoc, 0, &message);
        }
        self.start(TimerKey::Paging(supi), T3513_MS);
    }

    /// T3513, or the pause behind a paging that failed.
    pub(super) fn on_paging_timeout(&mut self, supi: Supi) {
        match self.registry.ue(supi).map(|ue| ue.reach) {
            Some(Reach::Paged { .. }) => self.page(supi),
            Some(Reach::LeftAlone) => self.set_reach(supi, Reach::Listens),
            Some(Reach::Listens | Reach::Gone) | None => {}
        }
    }

    /// It does not come. What waits for it is dropped, and nothing waits for a while: who sends on does not make us
    /// page on.
    fn give_up_paging(&mut self, supi: Supi) {
        self.refused("paging-failed");
        self.set_reach(supi, Reach::LeftAlone);
        self.start(TimerKey::Paging(supi), PAGING_PAUSE_MS);
    }

    /// What is known of an idle UE, and what the gateway does with packets for it.
    fn set_reach(&mut self, supi: Supi, reach: Reach) {
        let Some(ue) = self.registry.ue_mut(supi) else { return };
        (ue.reach, ue.data_waits) = (reach, SessionSet::default());
        for id in self.session_ids(supi) {
            if self.session(supi, id).is_some_and(Session::is_idle) {
                self.n4_idle(supi, id);
            }
        }
    }

    /// The UE has no connection from here on: its time runs.
    pub(super) fn now_idle(&mut self, supi: Supi) {
        let ms = u64::from(self.config.t3512_s) * 1_000 + MOBILE_REACHABLE_EXTRA_MS;
        self.start(TimerKey::Reachable(supi), ms);
    }

    /// The UE has shown itself, or is no more: nobody waits for it.
    pub(super) fn stop_idle_timers(&mut self, supi: Supi) {
        for key in [TimerKey::Reachable(supi), TimerKey::Implicit(supi), TimerKey::Paging(supi)] {
            self.timers.stop(key);
        }
        match self.registry.ue_mut(supi) {
            // The gateway is told as well: not every session gets its radio back with this.
            Some(Ue { reach: Reach::LeftAlone | Reach::Gone, .. }) => self.set_reach(supi, Reach::Listens),
            Some(ue) => ue.reach = Reach::Listens,
            None => {}
        }
    }

    /// The UE was not heard of for T3512 and four minutes, or never since we found its sessions: it is not paged any more.
    pub(super) fn on_unreachable(&mut self, supi: Supi) {
        self.timers.stop(TimerKey::Paging(supi));
        if self.registry.ue(supi).is_some_and(|ue| ue.conn.is_none()) {
            self.set_reach(supi, Reach::Gone);
        }
        self.start(TimerKey::Implicit(supi), IMPLICIT_DEREGISTRATION_MS);
    }

    /// Nor since.
    pub(super) fn on_implicit_deregistration(&mut self, supi: Supi) {
        self.end_adopted(supi);
        if self.registry.ue(supi).is_some_and(|ue| ue.conn.is_none()) {
            self.deregistration_done(supi, false);
        }
    }
}
