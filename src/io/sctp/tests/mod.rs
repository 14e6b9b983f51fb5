//! Stories of the SCTP transport: two drivers and a link with a hand-moved clock, a liar, and real sockets, over
//! UDP and raw IP on this machine and over the kernel's SCTP on a kernel that has it.

mod face;
mod hostile;
mod kernel;
mod liar;
mod peers;
mod world;
