//! Stories of the SCTP transport: two drivers and a link with a hand-moved clock, a liar, and real sockets.

mod hostile;
mod liar;
mod peers;
mod sockets;
mod world;
