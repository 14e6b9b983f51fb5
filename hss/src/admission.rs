//! May this SIM be served (decision D6)? In which device is `equipment`'s part. Asked only of SIMs that have proved themselves,
//! so that the refusal goes out under integrity protection.

use crate::record::SimRecord;
use types::{FgmmCause, Refusal, RefusalReason, SimState};

/// What becomes of a SIM that wants to be served.
pub(crate) enum Judged {
    /// It is served.
    Accepted,
    /// It is refused.
    Refused(Refusal),
    /// Something must be durable first.
    Waits,
}

/// Refuses what may not be served in its state, with what the UE is told.
pub(crate) fn judge(record: &SimRecord, backoff_s: u32) -> Result<(), Refusal> {
    // #3 makes the UE treat its USIM as invalid until power-off; #22 with T3346 lets it come back.
    match record.state {
        SimState::Ready | SimState::Active => Ok(()),
        SimState::Lost => Err(refusal(FgmmCause::IllegalUe, RefusalReason::Lost)),
        SimState::Stolen => Err(refusal(FgmmCause::IllegalUe, RefusalReason::Stolen)),
        SimState::Retired => Err(refusal(FgmmCause::IllegalUe, RefusalReason::Retired)),
        SimState::Suspended => Err(backoff(backoff_s, RefusalReason::Suspended)),
        SimState::Stock => Err(backoff(backoff_s, RefusalReason::Stock)),
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
