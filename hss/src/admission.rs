//! May this SIM, in this device, be served (decision D6)? Asked only of SIMs that have proved themselves,
//! so that the refusal goes out under integrity protection.

use crate::record::SimRecord;
use types::{FgmmCause, Pei, Refusal, RefusalReason, SimState};

/// Refuses what may not be served, with what the UE is told.
pub(crate) fn judge(record: &SimRecord, pei: Option<Pei>, backoff_s: u32) -> Result<(), Refusal> {
    // #3 makes the UE treat its USIM as invalid until power-off; #22 with T3346 lets it come back.
    match record.state {
        SimState::Ready | SimState::Active => {}
        SimState::Lost => return Err(refusal(FgmmCause::IllegalUe, RefusalReason::Lost)),
        SimState::Stolen => return Err(refusal(FgmmCause::IllegalUe, RefusalReason::Stolen)),
        SimState::Retired => return Err(refusal(FgmmCause::IllegalUe, RefusalReason::Retired)),
        SimState::Suspended => return Err(backoff(backoff_s, RefusalReason::Suspended)),
        SimState::Stock => return Err(backoff(backoff_s, RefusalReason::Stock)),
    }
    match &record.device {
        // A bound SIM in a device that does not name itself is in the wrong device.
        Some(bound) if pei.map(Pei::device).as_ref() != Some(bound) => {
            Err(refusal(FgmmCause::IllegalMe, RefusalReason::DeviceMismatch))
        }
        _ => Ok(()),
    }
}

/// A refusal without a timer.
pub(crate) fn refusal(cause: FgmmCause, reason: RefusalReason) -> Refusal {
    Refusal { cause, backoff_s: None, reason }
}

/// #22 with T3346.
pub(crate) fn backoff(seconds: u32, reason: RefusalReason) -> Refusal {
    Refusal { cause: FgmmCause::Congestion, backoff_s: Some(seconds), reason }
}
