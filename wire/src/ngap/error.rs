//! What is wrong with a received message, and how the spec wants it answered (TS 38.413 §10).

use super::{AmfUeNgapId, Cause, ErrorIndication, ProtocolCause, RanUeNgapId};
use thiserror::Error;

/// Criticality (§9.3.1.2): what the receiver does with what it does not understand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Criticality {
    /// Refuse the procedure.
    Reject,
    /// Go on as if it were not there.
    Ignore,
    /// Go on, and tell.
    Notify,
}

/// Which of the three kinds of message of a procedure (§9.3.1.3, Triggering Message).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The message that begins the procedure.
    Initiating,
    /// The answer of success.
    Successful,
    /// The answer of failure.
    Unsuccessful,
}

/// The envelope of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Procedure {
    /// Procedure code: see [`super::procedure`].
    pub code: u8,
    /// Which of its messages.
    pub direction: Direction,
    /// Criticality of the procedure as received.
    pub criticality: Criticality,
}

/// Type of Error (§9.3.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TypeOfError {
    /// The IE is there and not understood.
    NotUnderstood,
    /// The IE is missing.
    Missing,
}

/// One IE that was wrong (§9.3.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IeDiagnostic {
    /// Its criticality; for a missing one, as assigned by the spec.
    pub criticality: Criticality,
    /// Protocol IE identifier.
    pub id: u16,
    /// What is wrong.
    pub error: TypeOfError,
}

/// Criticality Diagnostics (§9.3.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CriticalityDiagnostics {
    /// Procedure code of the message that was wrong.
    pub procedure: Option<u8>,
    /// Which of its messages.
    pub triggering: Option<Direction>,
    /// Criticality of the procedure.
    pub criticality: Option<Criticality>,
    /// The IEs; up to 256.
    pub ies: Vec<IeDiagnostic>,
}

/// What kind of wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Above [`super::MAX_MESSAGE`] octets; nothing was parsed.
    TooLong,
    /// The octets are not NGAP (§10.2, transfer syntax error).
    TransferSyntax,
    /// An IE of criticality *reject* is missing or not understood (§10.3.4.2, §10.3.5).
    AbstractSyntaxReject,
    /// An IE comes too often (§10.3.6).
    FalselyConstructed,
    /// An IE of criticality *ignore* is missing or not understood, and nothing can be done without it: an
    /// answer that names no UE. To be dropped in silence (§10.3.5).
    Unusable,
}

/// A message that must not be acted upon. The peer is to blame in every case.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("NGAP message of {octets} octets refused: {fault:?}, procedure {procedure:?}, IEs {ies:?}")]
pub struct NgapError {
    /// What kind of wrong.
    pub fault: Fault,
    /// The envelope, where it could be read.
    pub procedure: Option<Procedure>,
    /// The AMF's name of the UE, where it could be read.
    pub amf_ue_id: Option<AmfUeNgapId>,
    /// The gNB's name of the UE, where it could be read.
    pub ran_ue_id: Option<RanUeNgapId>,
    /// The IEs that are wrong; up to 256.
    pub ies: Vec<IeDiagnostic>,
    /// Length of the message as received.
    pub octets: usize,
}

impl NgapError {
    /// The cause for the answer.
    pub fn cause(&self) -> Cause {
        Cause::Protocol(match self.fault {
            Fault::TooLong | Fault::TransferSyntax => ProtocolCause::TRANSFER_SYNTAX_ERROR,
            Fault::AbstractSyntaxReject => ProtocolCause::ABSTRACT_SYNTAX_ERROR_REJECT,
            Fault::Unusable => ProtocolCause::ABSTRACT_SYNTAX_ERROR_IGNORE_AND_NOTIFY,
            Fault::FalselyConstructed => ProtocolCause::ABSTRACT_SYNTAX_ERROR_FALSELY_CONSTRUCTED,
        })
    }

    /// The diagnostics for the answer. Procedure, direction and criticality are told in an Error Indication
    /// alone (§9.3.1.3); a failure message of the procedure itself takes [`Self::ies`].
    pub fn diagnostics(&self) -> Option<CriticalityDiagnostics> {
        let p = self.procedure?;
        Some(CriticalityDiagnostics {
            procedure: Some(p.code),
            triggering: Some(p.direction),
            criticality: Some(p.criticality),
            ies: self.ies.clone(),
        })
    }

    /// True if the spec wants an answer of any kind: an Error Indication is not answered by another
    /// (§10.4, so that two nodes cannot throw them at each other for ever), what is above the size
    /// limit ends the association instead, and an unusable answer is dropped.
    pub fn wants_answer(&self) -> bool {
        !matches!(self.fault, Fault::TooLong | Fault::Unusable)
            && self.procedure.is_none_or(|p| p.code != super::procedure::ERROR_INDICATION)
    }

    /// The Error Indication that answers it (§8.7.5).
    pub fn indication(&self) -> ErrorIndication {
        ErrorIndication {
            amf_ue_id: self.amf_ue_id,
            ran_ue_id: self.ran_ue_id,
            cause: Some(self.cause()),
            diagnostics: self.diagnostics(),
        }
    }
}

impl Procedure {
    /// The Error Indication for a procedure that we do not have (§10.3.4.1); `None` where its criticality is
    /// *ignore*, and for an answer to nothing that we asked.
    pub fn indication(
        self,
        amf_ue_id: Option<AmfUeNgapId>,
        ran_ue_id: Option<RanUeNgapId>,
    ) -> Option<ErrorIndication> {
        let cause = match self.criticality {
            Criticality::Reject => ProtocolCause::ABSTRACT_SYNTAX_ERROR_REJECT,
            Criticality::Notify => ProtocolCause::ABSTRACT_SYNTAX_ERROR_IGNORE_AND_NOTIFY,
            Criticality::Ignore => return None,
        };
        Some(ErrorIndication {
            amf_ue_id,
            ran_ue_id,
            cause: Some(Cause::Protocol(cause)),
            diagnostics: Some(CriticalityDiagnostics {
                procedure: Some(self.code),
                triggering: Some(self.direction),
                criticality: Some(self.criticality),
                ies: Vec::new(),
            }),
        })
    }
}
