//! What a UE asks of our own page inside the closed network, and the answer, as they go from the process that serves it
//! through the gateway to `control` and back.
//!
//! This is all that the page's process can say to anybody. It names the address that asked; whose that is, what is asked
//! for and whether somebody proved themselves is judged by `control` alone.

use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// Octets of a question or an answer on its way, at most.
pub const LONGEST: usize = 64 * 1024;

/// A request, read and bounded by the process that heard it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageAsk {
    /// The UE's address: that of its connection.
    pub from: IpAddr,
    /// Path and query.
    pub target: String,
    /// Which languages the browser asks for.
    pub language: String,
    /// Its cookies.
    pub cookie: String,
}

/// What it gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageAnswer {
    /// HTTP status.
    pub status: u16,
    /// Headers of the answer itself; those of the connection are the server's.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// A question with its number, from the page's process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Of that process.
    pub id: u32,
    /// The question.
    pub ask: PageAsk,
}

/// The answer to the question with this number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// Of the question.
    pub id: u32,
    /// The answer.
    pub answer: PageAnswer,
}
