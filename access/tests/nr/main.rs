//! Stories of the 5G control plane: the core stands between scripted radios, UEs and neighbours.

mod attach;
mod attacks;
mod bad;
mod ban;
mod clones;
mod device;
mod eap;
mod gnbs;
mod hostile;
mod idle;
mod mobility;
mod octets;
mod sessions;
mod table;
mod ue;
mod world;

/// What a message costs is counted as the fuzzer counts it.
#[path = "../../../fuzz/src/alloc.rs"]
mod alloc;

#[global_allocator]
static ALLOCATOR: alloc::Counting = alloc::Counting;
