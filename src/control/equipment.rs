//! Devices: the company's list and the bindings, from the store to the directory, and what a change of them means
//! for those who live.

use super::{Control, Done};
use access::nr;
use admin_web::ControlError;
use gateway::time::now;
use store::{Store, StoreError};
use tokio::sync::oneshot;
use types::{
    BindingDecision, Bound, Colour, DevicePattern, EquipmentPattern, Event, FgmmCause, Happening, Imsi, Pei,
    Supi, WhenMissing,
};

/// Why a SIM whose device does not name itself is in quarantine.
pub(super) const NO_DEVICE: &str = "its device does not name itself, and its binding says quarantine";

/// The way back to whoever changed something.
pub(crate) type Reply = Option<oneshot::Sender<Result<(), ControlError>>>;

/// List and bindings were read again.
pub(crate) struct Reloaded {
    read: Result<Books, StoreError>,
    reply: Reply,
}

/// List and bindings.
pub(crate) struct Books {
    list: Vec<(EquipmentPattern, Colour)>,
    bindings: Vec<(Imsi, Bound)>,
}

impl Books {
    /// Reads both.
    pub(crate) async fn read(store: &Store) -> Result<Self, StoreError> {
        Ok(Self { list: store.equipment_book().await?, bindings: store.all_bindings().await? })
    }

    /// Gives both to the directory.
    pub(crate) fn put_in(self, hss: &mut hss::Hss) {
        hss.handle(hss::Input::Equipment(self.list), now());
        hss.handle(hss::Input::Bindings(self.bindings), now());
    }
}

impl Control {
    /// The list or a group's default changed in the store.
    pub(super) fn reload_equipment(&self, reply: Reply) {
        let (store, done) = (self.store.clone(), self.done.clone());
        tokio::spawn(async move {
            let read = Books::read(&store).await;
            drop(done.send(Done::Equipment(Reloaded { read, reply })));
        });
    }

    /// It was read again: who lives in a device that is not allowed any longer is sent away.
    pub(super) fn equipment_reloaded(&mut self, r: Reloaded) {
        let answer = match r.read {
            Ok(books) => {
                books.put_in(&mut self.hss);
                self.judge_living(None);
                Ok(())
            }
            Err(e) => Err(ControlError::Unavailable { part: "store", why: e.to_string() }),
        };
        drop(r.reply.map(|reply| reply.send(answer)));
    }

    /// The device that was learnt for a SIM was forgotten in the store.
    pub(super) fn device_forgotten(&mut self, imsi: Imsi, reply: Reply) {
        self.hss.handle(hss::Input::ForgetDevice { imsi }, now());
        self.reread_sim(imsi, reply);
    }

    /// Judges the devices of those who live anew: of one SIM, or of all.
    pub(super) fn judge_living(&mut self, only: Option<Imsi>) {
        let seen = |u: nr::UeView| u.guti.is_some().then_some((u.supi.imsi(), u.pei));
        let living: Vec<(Imsi, Option<Pei>)> = match only {
            Some(imsi) => self.amf.ue(Supi(imsi)).and_then(seen).into_iter().collect(),
            None => self.amf.ues().filter_map(seen).collect(),
        };
        for (imsi, pei) in living {
            // A banned one is on its way out, with the cause that belongs to that.
            if self.state_of(imsi).is_some_and(types::SimState::is_banned) {
                continue;
            }
            let seen = pei.map(DevicePattern::from);
            let mode = self.hss.binding(imsi).mode;
            let what = match self.hss.judge_device(imsi, pei) {
                BindingDecision::Mismatch { expected } => Happening::DeviceMismatch { mode, expected, seen },
                BindingDecision::Missing(WhenMissing::Refuse) => {
                    let expected = self.hss.binding(imsi).allowed;
                    Happening::DeviceMismatch { mode, expected, seen }
                }
                BindingDecision::Black { by } => match seen {
                    Some(device) => Happening::EquipmentBlack { device, by },
                    None => continue,
                },
                BindingDecision::Missing(WhenMissing::Quarantine) => {
                    if self.quarantine_by_binding(imsi, NO_DEVICE) {
                        let what = Happening::DeviceMismatch { mode, expected: vec![], seen };
                        self.happened(Event { at: now().utc, imsi: Some(imsi), what });
                    }
                    continue;
                }
                BindingDecision::Fits
                | BindingDecision::First
                | BindingDecision::Changed { .. }
                | BindingDecision::Missing(WhenMissing::Allow) => continue,
            };
            self.happened(Event { at: now().utc, imsi: Some(imsi), what });
            let ban = nr::Input::Ban { supi: Supi(imsi), cause: FgmmCause::IllegalMe };
            self.amf.handle(ban, now());
        }
    }
}
