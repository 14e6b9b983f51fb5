//! The bans of the database go to the gateway, so that its path may open: deny wins on both sides.

use super::Control;
use gateway::{
    link::{Revoked, ToGateway},
    time::now,
};

impl Control {
    /// Sends all bans that this process knows. Until then the gateway allows nothing new after a start.
    pub(super) fn send_union(&mut self) {
        let at = now().utc;
        let revoked = self
            .banned()
            .map(|(imsi, state)| Revoked {
                imsi,
                state,
                actor: "reconciler".to_owned(),
                reason: "banned in the database".to_owned(),
                at,
                stored: None,
            })
            .collect();
        let id = self.number();
        self.to_gateway(ToGateway::Union { id, revoked });
    }
}
